"""Uploads in parts: in bounded memory, several under way at once, and nothing left of a broken one."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from botocore.exceptions import ClientError

from cdk_encrypted_data_client.envelope import MOST_BYTES, Envelope, Upload
from cdk_encrypted_data_client.errors import SettingsError
from cdk_encrypted_data_client.failover import is_outage, said
from cdk_encrypted_data_client.journal import Journal, Record
from cdk_encrypted_data_client.locations import Location

_LOG = logging.getLogger("cdk_encrypted_data_client")

PART = 8 * 2**20
"""Bytes of a part: 8,192 of them are the largest object that AES-GCM allows, and S3 takes 10,000."""
# In parts it would be three requests more, two of them before and after everything else.
_ONE_REQUEST = 16 * 2**20
_AT_ONCE = 4
# How far this machine's clock may be from S3's, which takes no request of a clock that is further off.
_CLOCKS = timedelta(minutes=15)


class Readable(Protocol):
    """What is read until it returns nothing."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes."""


def part_size(expected: int) -> int:
    """Return the bytes of a part: all of what isn't larger than 16 MiB, else 8 MiB."""
    return _ONE_REQUEST if expected <= _ONE_REQUEST else PART


def parts_of(stream: Readable, expected: int = 0) -> Iterator[bytes | memoryview]:
    """Yield parts of exactly that size, the last one shorter and perhaps empty.

    Of a file that is expected to be small no more room is asked for. Of what says 0, as pipes do, nothing is expected.
    """
    part, ask = (part_size(expected), expected + 1) if expected else (PART, PART)
    while True:
        pieces: list[bytes] = []
        missing = part
        # A pipe or a socket returns what it has.
        while missing and (piece := stream.read(min(missing, ask))):
            pieces.append(piece)
            missing -= len(piece)
        yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if missing:
            return


def upload(
    *,
    envelope: Envelope,
    journal: Journal,
    location: Location,
    name: str,
    parts: Iterable[tuple[bytes | memoryview, bool]],
    progress: Callable[[int], object],
) -> tuple[str, str | None, int]:
    """Upload an object in parts, each with whether it is the last, and return its seal, version and size.

    Whatever happens, no upload is left, or it stays written down.
    """
    about = {"kind": "upload", "region": location.region, "bucket": location.bucket, "name": name}
    with journal.unfinished(**about, at=datetime.now(timezone.utc).isoformat()) as record:
        started = _start(envelope, name, record)
        try:
            record.write(**about, upload=started.id)
            etags, size = _upload_parts(started, parts, progress)
            version = started.complete(etags)
        except BaseException:  # Ctrl-C as well
            _leave_nothing(started, name, record)
            raise
        return started.seal, version, size


def _start(envelope: Envelope, name: str, record: Record) -> Upload:
    try:
        return envelope.start(name)
    except Exception as error:
        # Refused, there is none. Without an answer there may be.
        record.done = not is_outage(error)
        raise


def _leave_nothing(started: Upload, name: str, record: Record) -> None:
    try:
        started.abort()
        record.done = True
    except Exception as error:  # noqa: BLE001 - what went wrong before is what counts
        _LOG.warning("%s: the upload is left; the next put in parts or clean aborts it: %s", name, said(error))


def _upload_parts(
    started: Upload,
    parts: Iterable[tuple[bytes | memoryview, bool]],
    progress: Callable[[int], object],
) -> tuple[list[dict[str, Any]], int]:
    """Encrypt one part after the other, as the cipher wants it, while those before are still on their way."""
    under_way: deque[tuple[Future[dict[str, Any]], int]] = deque()
    etags: list[dict[str, Any]] = []
    size = 0

    def arrived() -> None:
        future, length = under_way.popleft()
        etags.append(future.result())
        progress(length)

    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="encrypted-data")
    try:
        for number, (data, last) in enumerate(parts, start=1):
            size += len(data)
            if size > MOST_BYTES:
                raise SettingsError(
                    f"the object is larger than {MOST_BYTES} bytes, the most AES-GCM takes; put it in pieces"
                )
            if len(under_way) == _AT_ONCE:
                arrived()
            encrypted = threading.Event()
            under_way.append((pool.submit(started.part, number, data, last=last, encrypted=encrypted), len(data)))
            encrypted.wait()
        while under_way:
            arrived()
    finally:
        # A part that arrives after the upload was aborted would stay.
        pool.shutdown(wait=True, cancel_futures=True)
    return etags, size


def with_last(parts: Iterable[bytes | memoryview]) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Yield each part, and whether it is the last: an empty one only if it is the only one."""
    before: bytes | memoryview | None = None
    for part in parts:
        if before is not None and not len(part):
            break
        if before is not None:
            yield before, False
        before = part
    if before is not None:
        yield before, True


def clean_up(record: Record, journal: Journal, location: Location, s3: Any) -> int:  # noqa: ANN401
    """Abort what a dead process had started, and return how many uploads there were.

    It wrote the upload's id down as soon as it knew it. Killed in the moment between, it left a start without an id;
    then only that upload can be its own which has this very name, began then, holds no part and is no other record's.
    """
    facts = record.read()
    at, where = facts.get("at"), {"Bucket": location.bucket, "Key": facts["name"]}
    uploads = [facts["upload"]] if at is None else list(_started(s3, where, datetime.fromisoformat(at), journal))
    for each in uploads:
        _abort(s3, where, each)
    record.remove()
    return len(uploads)


def _abort(s3: Any, where: dict[str, str], upload_id: str) -> None:  # noqa: ANN401
    try:
        s3.abort_multipart_upload(**where, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise


def _started(s3: Any, where: dict[str, str], at: datetime, journal: Journal) -> Iterator[str]:  # noqa: ANN401
    others = {facts.get("upload") for facts in journal.in_hand()}
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=where["Bucket"], Prefix=where["Key"])
    for found in (each for page in pages for each in page.get("Uploads", [])):
        if found["Key"] != where["Key"] or found["UploadId"] in others or abs(found["Initiated"] - at) > _CLOCKS:
            continue
        if not s3.list_parts(**where, UploadId=found["UploadId"], MaxParts=1).get("Parts"):
            yield found["UploadId"]

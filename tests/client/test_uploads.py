"""Uploads in parts: nothing is left of a broken one, and nobody else's is touched."""

from __future__ import annotations

import datetime as dt
import fcntl
import io
import os
import threading
import time
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse

from cdk_encrypted_data_client import EncryptedDataError, EncryptedObjects, RefusedError, SettingsError
from cdk_encrypted_data_client import uploads as module
from cdk_encrypted_data_client.envelope import MOST_BYTES
from cdk_encrypted_data_client.journal import Journal
from tests.client.conftest import HOME, Faults, Pair, status

_PART = 8 * 2**20


@pytest.fixture
def objects(pair: Pair) -> EncryptedObjects:
    return pair.objects()


class _Breaking(io.RawIOBase):
    """A stream that breaks after two parts and a half."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error, self._left = error, 2 * _PART + _PART // 2

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            raise self._error
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


@pytest.mark.parametrize(
    ("size", "operations"),
    [
        (2 * _PART, ["PutObject"]),
        (2 * _PART + 1, ["CreateMultipartUpload", *["UploadPart"] * 3, "CompleteMultipartUpload"]),
    ],
)
def test_what_is_known_to_be_no_more_than_two_parts_goes_in_one_request(
    objects: EncryptedObjects, faults: Faults, tmp_path: Path, size: int, operations: list[str]
) -> None:
    data, path = os.urandom(size), tmp_path / "file"
    path.write_bytes(data)
    objects.put(name="data", data=data)
    objects.put_file(name="file", path=path)
    assert [operation for service, _, operation in faults.requests if service == "s3"] == operations * 2
    assert [objects.get(name=name).data for name in ("data", "file")] == [data] * 2


def test_a_file_that_doesnt_know_its_size_is_read_in_large_pieces(tmp_path: Path) -> None:
    data, pipe = os.urandom(_PART + 5), tmp_path / "pipe"
    os.mkfifo(pipe)
    reads: list[int] = []

    class Counting(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size or 0)
            return super().read(size or 0)

    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    with Counting(pipe) as stream:
        parts = list(module.parts_of(stream, 0))
    assert b"".join(parts) == data
    assert [len(part) for part in parts] == [_PART, 5]  # four of them under way are what memory is said to be
    writer.join()
    assert min(reads) > 1


@pytest.mark.parametrize("error", [OSError("the disk is broken"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_a_stream_that_breaks_leaves_nothing(objects: EncryptedObjects, pair: Pair, error: BaseException) -> None:
    with pytest.raises(type(error)):
        objects.put_stream(name="n", stream=_Breaking(error))
    assert pair.uploads() == []
    assert list(objects.list()) == []
    assert _records(pair) == []


@pytest.mark.parametrize("operation", ["UploadPart", "CompleteMultipartUpload"])
def test_a_request_that_fails_leaves_nothing(
    objects: EncryptedObjects, faults: Faults, pair: Pair, operation: str
) -> None:
    def fail() -> AWSResponse | None:
        return status(403, "AccessDenied")() if faults.requests[-1][2] == operation else None

    faults.fail("s3", HOME, fail)
    with pytest.raises(RefusedError, match="AccessDenied"):
        objects.put(name="n", data=bytes(3 * _PART))
    faults.end()
    assert pair.uploads() == []
    assert list(objects.list()) == []
    assert _records(pair) == []


def test_an_upload_is_aborted_after_its_last_part_arrived(
    objects: EncryptedObjects, faults: Faults, pair: Pair
) -> None:
    # A part that arrives later would stay, and cost.
    ended: list[str] = []

    def slowly() -> AWSResponse | None:
        operation = faults.requests[-1][2]
        first = operation == "UploadPart" and [each[2] for each in faults.requests].count("UploadPart") == 1
        if operation == "UploadPart" and not first:
            time.sleep(0.5)
        ended.append(operation)
        return status(403, "AccessDenied")() if first else None

    faults.fail("s3", HOME, slowly)
    with pytest.raises(RefusedError):
        objects.put(name="n", data=bytes(3 * _PART))
    assert ended.count("UploadPart") > 1
    assert ended[-1] == "AbortMultipartUpload"
    assert pair.uploads() == []


def test_a_record_that_is_cleaned_up_before_it_is_locked_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, lock = Journal(tmp_path), fcntl.flock
    locked: list[int] = []

    def too_late(descriptor: int, how: int) -> None:
        if not locked:
            for path in tmp_path.iterdir():
                path.unlink()
        locked.append(descriptor)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with journal.unfinished(kind="upload", name="n"):
        assert [each["name"] for each in journal.in_hand()] == ["n"]
    assert len(locked) == 2


def test_what_couldnt_be_aborted_is_aborted_by_the_next_put(
    objects: EncryptedObjects, faults: Faults, pair: Pair
) -> None:
    def fail() -> AWSResponse | None:
        failing = ("UploadPart", "AbortMultipartUpload")
        return status(503, "ServiceUnavailable")() if faults.requests[-1][2] in failing else None

    faults.fail("s3", HOME, fail)
    with pytest.raises(EncryptedDataError):
        objects.put(name="n", data=bytes(3 * _PART))
    faults.end()
    assert pair.uploads() == ["n"]
    assert len(_records(pair)) == 1
    objects.put(name="another", data=bytes(3 * _PART))
    assert pair.uploads() == []
    assert _records(pair) == []


def test_an_upload_without_an_answer_is_found_again_and_nobody_elses_with_it(
    objects: EncryptedObjects, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if this process had been killed between S3's start of the upload and its answer."""
    where = {"Bucket": pair.home.bucket}
    with_parts = pair.s3.create_multipart_upload(**where, Key="n")["UploadId"]
    pair.s3.upload_part(**where, Key="n", UploadId=with_parts, PartNumber=1, Body=b"somebody else's")
    other_name = pair.s3.create_multipart_upload(**where, Key="n2")["UploadId"]
    journal = Journal(pair.files / "state")
    now = dt.datetime.now(dt.timezone.utc)
    about = {"kind": "upload", "region": HOME, "bucket": pair.home.bucket, "name": "n"}
    living = pair.s3.create_multipart_upload(**where, Key="n")["UploadId"]
    pair.s3.create_multipart_upload(**where, Key="n")
    with pytest.raises(KeyError), journal.unfinished(**about, at=now.isoformat()):
        raise KeyError
    with journal.unfinished(**about, upload=living):
        # Another day's, by the record: nothing of it is ours.
        with monkeypatch.context() as patch:
            patch.setattr(module, "_CLOCKS", dt.timedelta(seconds=-1))
            (record,) = journal.abandoned()
            assert module.clean_up(record, journal, pair.home, pair.s3) == 0
        with pytest.raises(KeyError), journal.unfinished(**about, at=now.isoformat()):
            raise KeyError
        assert objects.clean() == 1
        left = {each["UploadId"] for each in pair.s3.list_multipart_uploads(**where)["Uploads"]}
        assert left == {with_parts, other_name, living}
    assert objects.clean() == 0


def test_the_uploads_of_the_living_are_left_alone(objects: EncryptedObjects, pair: Pair) -> None:
    seen: list[list[str]] = []

    class Watching(io.RawIOBase):
        left = 3

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            if not self.left:
                # As another process of this machine would, in the middle of it.
                pair.objects().clean()
                seen.append(pair.uploads())
            return bytes(size) if self.left > 0 else b""

    put = objects.put_stream(name="n", stream=Watching())
    assert seen == [["n"]]
    assert objects.get(name="n").seal == put.seal


def test_records_of_other_buckets_are_left_to_others(objects: EncryptedObjects, pair: Pair) -> None:
    journal = Journal(pair.files / "state")
    with (
        pytest.raises(KeyError),
        journal.unfinished(kind="upload", region=HOME, bucket="another", name="n", upload="x"),
    ):
        raise KeyError
    assert objects.clean() == 0
    assert len(_records(pair)) == 1


def test_a_record_that_was_never_written_is_nothing(objects: EncryptedObjects, pair: Pair) -> None:
    for number, text in enumerate((b"", b'{"kind": "upl')):
        (pair.files / "state" / f"{number}.unfinished").write_bytes(text)
    assert objects.clean() == 0
    assert _records(pair) == []


def test_more_than_aes_gcm_takes_is_refused_before_and_while_it_is_put(
    objects: EncryptedObjects, pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), MOST_BYTES + 1)
    with pytest.raises(SettingsError, match="allowed: up to 68719476704, the most AES-GCM takes"):
        objects.put_file(name="n", path=huge)
    monkeypatch.setattr(module, "MOST_BYTES", 2 * _PART)
    with pytest.raises(SettingsError, match="the most AES-GCM takes"):
        objects.put_stream(name="n", stream=io.BytesIO(bytes(2 * _PART + 1)))
    assert pair.uploads() == []


def _records(pair: Pair) -> list[Path]:
    return list((pair.files / "state").iterdir())

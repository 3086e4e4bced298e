"""The objects of one purpose: encrypted before they leave the process, read from the nearest Region that answers."""

from __future__ import annotations

import functools
import io
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config

from cdk_encrypted_data_client.envelope import MOST_BYTES, TAG, Envelope, Sending, check_name, check_purpose, seal_of
from cdk_encrypted_data_client.errors import EncryptedDataError, OutcomeUnknownError, SettingsError
from cdk_encrypted_data_client.failover import ELSEWHERE, Failover, is_absent, is_aws, is_outage, said
from cdk_encrypted_data_client.files import Spool, landing
from cdk_encrypted_data_client.journal import Journal, Record
from cdk_encrypted_data_client.locations import Location, home_first
from cdk_encrypted_data_client.uploads import Readable, clean_up, part_size, parts_of, upload, with_last

_LOG = logging.getLogger("cdk_encrypted_data_client")

Progress = Callable[[int], object]
"""boto3's: called with the bytes that went through since the last call; negative when they have to go again."""

# An outage shows within seconds; three attempts each, boto3's own back-off between them.
_DEFAULTS = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=50,
    # What is read is authenticated to its last byte: a second checksum over the same bytes would find nothing more.
    response_checksum_validation="when_required",
)
# How often a body may break off before its Region counts as failed: boto3 tries requests again, not what follows them.
_BODIES = 2
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One version of an object, put or read.

    Attributes:
        name: Its name.
        region: The Region it was put to or read from.
        size: Its bytes, without encryption.
        version_id: S3's version, None in a bucket without versions. A replica has the same.
        seal: 40 characters that stand for exactly these data: given to a read, it refuses any other version, were it
            authentic. A replica has the same.
    """

    name: str
    region: str
    size: int
    version_id: str | None
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved(StoredObject):
    """An object with its data, verified."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object's entry in a list. S3 vouches for it, nothing else: `verify` reads the object.

    Attributes:
        name: Its name.
        region: The Region whose bucket was listed.
        size: Its bytes, without encryption, if it is encrypted.
        last_modified: When it was stored there.
    """

    name: str
    region: str
    size: int
    last_modified: datetime


class Reader(io.BufferedReader):
    """A verified object to read from, once or with `seek`; `source` says what and from where."""

    def __init__(self, spool: Spool, source: StoredObject) -> None:
        super().__init__(spool, 2**18)
        self.source = source


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def seek(self, offset: int, /) -> int: ...
    def truncate(self, size: int, /) -> int: ...


class EncryptedObjects:
    """Objects of one purpose in the buckets of a multi-Region key: put, get, list, delete.

    Data are encrypted in this process (AES-256-GCM, committed to its key), each object under a data key of its own that
    KMS wraps under the multi-Region key and binds to the purpose and to the object's name. What is read was verified to
    its last byte before any of it is delivered.

    One instance serves all threads of a process. Reads ask the home Region first and the others when S3 or KMS fails
    there (no connection, timeouts, 5xx, throttling, after boto3's own retries); the result's `region` and a warning of
    the logger `cdk_encrypted_data_client` say so. A refusal, an absent object and one that isn't authentic are answers:
    nobody else is asked. What another Region holds may be older: replication takes time. Writes and deletes go to the
    home Region only: whether they would come back from elsewhere, and what they would meet there, depends on how the
    buckets replicate. Another instance with another `home` writes elsewhere.

    Args:
        locations: A bucket and a key for each Region that may be asked.
        purpose: What the objects are for, as the key's policy may demand it (`kms:EncryptionContext:purpose`): 1 to 128
            printable ASCII characters. It is stored in the clear.
        home: The Region asked first and written to; the first location's by default.
        session: Where credentials come from; boto3's own chain by default.
        config: What botocore shall do otherwise. By default it gives up connecting after 5 seconds and waiting after
            30, tries three times, keeps 50 connections, and leaves the checksums of answers to the authentication.
        state_directory: Where unfinished uploads are written down for `clean`: a directory that only this user may
            write to. By default `encrypted-data-UID` among the temporary files.

    Raises:
        SettingsError: an argument can't be right, or they don't fit together.
    """

    def __init__(
        self,
        *,
        locations: Sequence[Location],
        purpose: str,
        home: str | None = None,
        session: boto3.session.Session | None = None,
        config: Config | None = None,
        state_directory: Path | None = None,
    ) -> None:
        check_purpose(purpose)
        self._locations = home_first(locations, home)
        self._purpose = purpose
        self._session = session or boto3.session.Session()
        self._config = _DEFAULTS if config is None else _DEFAULTS.merge(config)
        self._journal = Journal(state_directory)
        self._failover = Failover(self._locations)
        self._connect()

    # Put

    def put(self, *, name: str, data: bytes | bytearray | memoryview, progress: Progress | None = None) -> StoredObject:
        """Encrypt data and store them under a name, above 16 MiB in parts.

        Args:
            name: The object's name: 1 to 1024 characters, one that isn't ASCII counting three for each byte of UTF-8.
            data: Up to 64 GiB less 32 bytes, the most AES-GCM takes. What lies there already becomes an older
                version.
            progress: As boto3's `Callback`.

        Raises:
            SettingsError: the name or the data are too long.
            RefusedError, UnavailableError: it isn't what lies under the name, and no upload is left, or one that is
                written down for the next put in parts and `clean`.
            OutcomeUnknownError: an UnavailableError: S3's answer was lost, and whether it is stored couldn't be seen
                either; by the error's `seal` `verify` sees it later. Where it can be seen that it is stored, the put
                ends as every other, with a warning of the logger `cdk_encrypted_data_client`. An interruption, as
                Ctrl-C, goes on as it is, with a warning where it isn't true that nothing is stored.
        """
        whole = memoryview(data).cast("B")
        part = part_size(len(whole))
        parts: Iterator[bytes | memoryview] = (whole[at : at + part] for at in range(0, max(len(whole), 1), part))
        return self._put(name, parts, len(whole), progress)

    def put_file(self, *, name: str, path: str | os.PathLike[str], progress: Progress | None = None) -> StoredObject:
        """Encrypt a file and store it under a name; memory doesn't grow with it.

        Args:
            name: As in `put`.
            path: The file.
            progress: As boto3's `Callback`.

        Raises:
            OSError: the file can't be read.
            SettingsError, RefusedError, UnavailableError, OutcomeUnknownError: as in `put`.
        """
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - also a descriptor's path
            size = os.fstat(file.fileno()).st_size
            return self._put(name, parts_of(file, size), size, progress)

    def put_stream(self, *, name: str, stream: Readable, progress: Progress | None = None) -> StoredObject:
        """Encrypt what a stream yields until it ends, of whatever length, and store it under a name.

        Args:
            name: As in `put`.
            stream: What has `read(size)` and returns bytes, fewer than asked for if it likes, none at its end.
            progress: As boto3's `Callback`.

        Raises:
            SettingsError, RefusedError, UnavailableError, OutcomeUnknownError: as in `put`. An error of the stream
                leaves nothing either.
        """
        return self._put(name, parts_of(stream), 0, progress)

    # Get

    def get(
        self, *, name: str, version_id: str | None = None, seal: str | None = None, progress: Progress | None = None
    ) -> Retrieved:
        """Return an object's data, verified. They are in memory: `get_to_file` and `open` are for large ones.

        Args:
            name: The name it was put under.
            version_id: An older version; the current one by default.
            seal: The seal that the put returned: any other version is refused, were it authentic.
            progress: As boto3's `Callback`.

        Raises:
            ObjectNotFoundError: the home Region has no such object.
            NotAuthenticError: it isn't what was put under this name for this purpose; the subclass says in what way.
            RefusedError: S3 or KMS said no.
            UnavailableError: no Region answered.
        """
        buffer = io.BytesIO()
        found = self._get(name, version_id, seal, buffer, progress)
        return Retrieved(
            name=name,
            region=found.region,
            size=found.size,
            version_id=found.version_id,
            seal=found.seal,
            data=buffer.getvalue(),
        )

    def get_to_file(
        self,
        *,
        name: str,
        path: str | os.PathLike[str],
        version_id: str | None = None,
        seal: str | None = None,
        progress: Progress | None = None,
    ) -> StoredObject:
        """Write an object to a file, which appears (mode 0600, in place of an old one) when all of it is verified.

        Args:
            name: The name it was put under.
            path: The file.
            version_id: As in `get`.
            seal: As in `get`.
            progress: As boto3's `Callback`.

        Raises:
            OSError: the file can't be written.
            ObjectNotFoundError, NotAuthenticError, RefusedError, UnavailableError: as in `get`; no file appears, and
                one that was there stays as it was.
        """
        self._remove_hidden_files()
        with landing(Path(path), self._journal) as file:
            return self._get(name, version_id, seal, file, progress)

    def open(
        self, *, name: str, version_id: str | None = None, seal: str | None = None, progress: Progress | None = None
    ) -> Reader:
        """Return an object to read from: fetched and verified first, then delivered.

        Meanwhile it lies in memory up to 8 MiB, above in a nameless temporary file, encrypted under a key that is
        nowhere but in this process.

        Args:
            name: The name it was put under.
            version_id: As in `get`.
            seal: As in `get`.
            progress: As boto3's `Callback`.

        Raises:
            OSError: there is no room for the temporary file.
            ObjectNotFoundError, NotAuthenticError, RefusedError, UnavailableError: as in `get`.
        """
        spool = Spool()
        try:
            source = self._get(name, version_id, seal, spool, progress)
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return Reader(spool, source)

    def verify(
        self, *, name: str, version_id: str | None = None, seal: str | None = None, progress: Progress | None = None
    ) -> StoredObject:
        """Read an object to its end and keep nothing of it.

        Args:
            name: The name it was put under.
            version_id: As in `get`.
            seal: As in `get`.
            progress: As boto3's `Callback`.

        Raises:
            ObjectNotFoundError, NotAuthenticError, RefusedError, UnavailableError: as in `get`.
        """
        return self._get(name, version_id, seal, _Nowhere(), progress)

    # List, delete, clean

    def list(self, *, prefix: str = "") -> Iterator[Listed]:
        """Yield the bucket's objects in the order of their names, whoever put them.

        Args:
            prefix: What the names begin with.

        Raises:
            RefusedError, UnavailableError: as in `get`.
        """
        after, more = "", True
        while more:
            page, more = self._failover.read(f"list of {prefix!r}", functools.partial(self._page, prefix, after))
            yield from page
            after = page[-1].name if page else after

    def delete(self, *, name: str, version_id: str | None = None) -> None:
        """Delete an object in the home Region's bucket; an absent one isn't an error.

        Args:
            name: Its name.
            version_id: The version to delete for ever. By default the current one is hidden behind a delete marker, in
                a bucket with versions.

        Raises:
            RefusedError: S3 said no.
            UnavailableError: no answer; it may be deleted all the same. Deleting it again does no harm: at worst there
                is one more delete marker.
        """
        check_name(name)
        version = {} if version_id is None else {"VersionId": version_id}
        self._failover.write(
            f"delete of {name}",
            lambda home: self._plain(home).delete_object(Bucket=home.bucket, Key=name, **version),
        )

    def clean(self) -> int:
        """Remove what killed processes of this machine and user left: started uploads, hidden files.

        Each put in parts does that before it begins, and each `get_to_file` for hidden files. What was left by a
        machine that doesn't come back, the bucket's lifecycle rule for abandoned uploads removes.

        Returns:
            How many there were.

        Raises:
            RefusedError, UnavailableError: an upload couldn't be aborted; it stays written down.
        """
        by_bucket = {location.bucket: location for location in self._locations}
        count = self._remove_hidden_files()
        for record in self._journal.abandoned():
            facts = record.read()
            location = by_bucket.get(facts.get("bucket", ""))
            if location is not None:
                count += Failover([location]).write(
                    f"upload of {facts['name']}",
                    functools.partial(self._abort, record),
                )
        return count

    def _abort(self, record: Record, location: Location) -> int:
        return clean_up(record, self._journal, location, self._plain(location))

    def _remove_hidden_files(self) -> int:
        count = 0
        for record in self._journal.abandoned():
            facts = record.read()
            if facts.get("kind") == "file":
                Path(facts["path"]).unlink(missing_ok=True)
                count += 1
            if not facts or facts.get("kind") == "file":
                record.remove()
        return count

    def close(self) -> None:
        """Close the connections; the end of a ``with`` block does it too."""
        for envelope in self._envelopes.values():
            envelope.close()
        for client in self._plain_clients.values():
            client.close()

    def __enter__(self) -> EncryptedObjects:  # noqa: PYI034 - Self is newer than Python 3.10
        """Return it, to be closed at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections."""
        self.close()

    # How

    def _connect(self) -> None:
        """Make the clients. A process that was forked can't use its parent's connections."""
        self._process = os.getpid()
        self._envelopes = {
            location: Envelope(location, purpose=self._purpose, session=self._session, config=self._config)
            for location in self._locations
        }
        # Lists, deletes and aborts: never through the client that encrypts.
        self._plain_clients: dict[Location, Any] = {
            location: self._session.client("s3", region_name=location.region, config=self._config)
            for location in self._locations
        }

    def _envelope(self, location: Location) -> Envelope:
        if self._process != os.getpid():
            self._connect()
        return self._envelopes[location]

    def _plain(self, location: Location) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        if self._process != os.getpid():
            self._connect()
        return self._plain_clients[location]

    def _put(
        self, name: str, parts: Iterator[bytes | memoryview], size: int, progress: Progress | None
    ) -> StoredObject:
        check_name(name)
        if size > MOST_BYTES:
            raise SettingsError(
                f"{name}: {size} bytes; allowed: up to {MOST_BYTES}, the most AES-GCM takes; put it in pieces"
            )
        tell = progress or _quiet
        pieces = with_last(parts)

        def attempt(home: Location) -> StoredObject:
            first, only = next(pieces)
            envelope = self._envelope(home)
            sending = envelope.begin()
            try:
                if only:
                    seal, version = envelope.put(name, bytes(first))
                    length = len(first)
                else:
                    self._clean_quietly()
                    seal, version, length = upload(
                        envelope=envelope,
                        journal=self._journal,
                        location=home,
                        name=name,
                        parts=itertools.chain([(first, only)], pieces),
                        progress=tell,
                    )
                stored = StoredObject(name=name, region=home.region, size=length, version_id=version, seal=seal)
            except BaseException as error:  # Ctrl-C as well
                if not sending.may_be_stored:
                    raise
                stored = self._settled(home, name, sending, error)
            if only:
                tell(stored.size)
            return stored

        return self._failover.write(name, attempt)

    def _settled(self, home: Location, name: str, sending: Sending, error: BaseException) -> StoredObject:
        """Return what S3 stored though its answer was lost; else raise what is known of it.

        An error that isn't AWS's, as Ctrl-C, is raised as it is, and what is known is a warning.
        """
        from_aws = is_aws(error)
        failed = f"{home.region} failed ({said(error)})" if from_aws else f"{type(error).__name__} before S3's answer"

        def unknown(why: str) -> str:
            return (
                f"{name}: {failed}, and whether it is stored isn't known: {why}; {home}; "
                f"see with verify and the seal {sending.seal}, or put it again: at worst there are two versions then; "
                f"{ELSEWHERE}"
            )

        try:
            stored, doubt = self._look(home, name, sending)
        except BaseException:  # Ctrl-C while looking
            _LOG.warning("%s", unknown("looking was interrupted"))
            raise
        if stored is not None:
            words = f"{name}: {failed}, and it is stored all the same: version {stored.version_id}, seal {stored.seal}"
            _LOG.warning("%s", words)
            if from_aws:
                return stored
        elif doubt and from_aws:
            raise OutcomeUnknownError(unknown(doubt), seal=sending.seal) from error
        elif doubt:
            _LOG.warning("%s", unknown(doubt))
        raise error

    def _look(self, home: Location, name: str, sending: Sending) -> tuple[StoredObject | None, str]:
        """Return the object if it is there, which its seal says; else why nobody knows, or "" if it isn't stored."""
        try:
            found = self._plain(home).head_object(Bucket=home.bucket, Key=name)
        except Exception as problem:  # noqa: BLE001 - a refusal too: who may put needn't be allowed to read
            if not is_absent(problem):
                return None, f"looking failed ({said(problem)})"
            seen = "it wasn't there"
        else:
            seal = seal_of(found["Metadata"])
            if seal == sending.seal:
                version, size = found.get("VersionId"), found["ContentLength"] - TAG
                return StoredObject(name=name, region=home.region, size=size, version_id=version, seal=seal), ""
            seen = f"another lies there, sealed {seal or 'by nobody'}"
        return None, seen if sending.is_under_way else ""

    def _clean_quietly(self) -> None:
        try:
            self.clean()
        except EncryptedDataError as problem:
            # It stays written down. What is to be put now can be put all the same.
            _LOG.warning("an abandoned upload is still there: %s", problem)

    def _get(
        self, name: str, version_id: str | None, seal: str | None, sink: _Sink, progress: Progress | None
    ) -> StoredObject:
        check_name(name)
        tell = progress or _quiet

        def attempt(location: Location) -> StoredObject:
            for more in reversed(range(_BODIES)):
                delivered = 0
                try:
                    with self._envelope(location).opened(name, version_id=version_id, seal=seal) as sealed:
                        for chunk in sealed.chunks():
                            sink.write(chunk)
                            delivered += len(chunk)
                            tell(len(chunk))
                    return StoredObject(
                        name=name,
                        region=location.region,
                        size=sealed.size,
                        version_id=sealed.version_id,
                        seal=sealed.seal,
                    )
                except Exception as error:
                    sink.seek(0)
                    sink.truncate(0)
                    if delivered:
                        tell(-delivered)
                    if not more or not delivered or not is_outage(error):
                        raise
            raise AssertionError  # the last attempt returned or raised

        return self._failover.read(name, attempt)

    def _page(self, prefix: str, after: str, location: Location) -> tuple[Sequence[Listed], bool]:
        where = {"Bucket": location.bucket, "Prefix": prefix, "StartAfter": after, "MaxKeys": _PAGE}
        answer = self._plain(location).list_objects_v2(**where)
        page = [
            Listed(
                name=each["Key"],
                region=location.region,
                size=max(0, each["Size"] - TAG),
                last_modified=each["LastModified"],
            )
            for each in answer.get("Contents", [])
        ]
        return page, bool(page) and answer["IsTruncated"]


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)

    def seek(self, _offset: int, /) -> int:
        return 0

    def truncate(self, _size: int, /) -> int:
        return 0


def _quiet(_count: int) -> None:
    pass

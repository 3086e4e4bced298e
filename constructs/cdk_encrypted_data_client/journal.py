"""What must not stay behind when this process is killed, written down for the next one.

A record is a file that its process holds locked. The kernel lets go of the lock when the process ends, however it ends:
a record that can be locked is a dead one's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdk_encrypted_data_client.errors import SettingsError

_ENDING = ".unfinished"


class Record:
    """One unfinished thing: lines of JSON, the last of which counts."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self.done = False

    def write(self, **facts: str) -> None:
        """Say what there is to clean up by now."""
        os.write(self._descriptor, json.dumps(facts).encode() + b"\n")

    def read(self) -> dict[str, str]:
        """Return what there was to clean up; nothing if its process didn't come to begin."""
        lines = self._path.read_bytes().split(b"\n")[:-1]  # what stands behind the last line's end was cut off
        facts: dict[str, str] = json.loads(lines[-1]) if lines else {}
        return facts

    def remove(self) -> None:
        """Nothing is left to clean up."""
        self._path.unlink(missing_ok=True)


class Journal:
    """The records of this machine and this user.

    Args:
        directory: Where they are; made with mode 0700 when it isn't there.

    Raises:
        SettingsError: somebody else could write there: records name what to remove.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or Path(tempfile.gettempdir()) / f"encrypted-data-{os.getuid()}"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise SettingsError(
                f"state_directory is {str(self._directory)!r}; allowed: a directory that is yours and that nobody else "
                "may write to; name another one"
            )

    @contextmanager
    def unfinished(self, **facts: str) -> Iterator[Record]:
        """Have a record while the block lasts; it stays if the block fails and doesn't say that it is done."""
        path, descriptor = self._new()
        record = Record(path, descriptor)
        try:
            record.write(**facts)
            yield record
            record.done = True
        finally:
            if record.done:
                record.remove()
            os.close(descriptor)

    def abandoned(self) -> Iterator[Record]:
        """Yield the records of dead processes, each locked meanwhile."""
        for path in self._paths():
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                if _lock(path, descriptor):
                    yield Record(path, descriptor)
            finally:
                os.close(descriptor)

    def in_hand(self) -> Iterator[dict[str, str]]:
        """Yield what all records say, those of the living too."""
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):
                yield Record(path, -1).read()

    def _paths(self) -> list[Path]:
        # Looked at before each get: usually it is empty.
        names = os.listdir(self._directory)  # noqa: PTH208 - makes no path of each
        return [self._directory / name for name in names if name.endswith(_ENDING)]

    def _new(self) -> tuple[Path, int]:
        while True:
            path = self._directory / f"{uuid.uuid4().hex}{_ENDING}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            # Who cleans up may have come between: then it is locked, or gone.
            if _lock(path, descriptor):
                return path, descriptor
            os.close(descriptor)


def _lock(path: Path, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False

"""Where plaintext lies on this machine: in a file without a name until it is whole, or in one that nobody can read."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from cdk_encrypted_data_client.errors import SettingsError
from cdk_encrypted_data_client.journal import Journal, Record

HIDDEN = ".encrypted-data-"
_IN_MEMORY = 8 * 2**20
_BLOCK = 16
_NO_NAMELESS_FILES = {errno.EISDIR, errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def landing(target: Path, journal: Journal) -> Iterator[io.BufferedRandom]:
    """Write a file that gets its name when the block ends, and that nothing is left of when it fails.

    On Linux it has no name before, so that even a killed process leaves nothing. Elsewhere, and on file systems that
    don't know such files, it has a hidden one beside the target, which the next run removes.
    """
    if target.exists() and not target.is_file():
        raise SettingsError(f"path is {str(target)!r}, which is no file; allowed: a file, there already or not")
    directory = target.parent
    hidden = directory / f"{HIDDEN}{uuid.uuid4().hex}"
    descriptor = _nameless(directory)
    if descriptor is None:
        with journal.unfinished(kind="file", path=str(hidden.absolute())) as record, _removed(hidden, record):
            with os.fdopen(os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
                yield file
            hidden.replace(target)
    else:
        with os.fdopen(descriptor, "r+b") as file:
            yield file
            file.flush()
            _name(descriptor, target, hidden, journal)


def _nameless(directory: Path) -> int | None:
    if not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600)
    except AttributeError:  # not Linux
        return None
    except OSError as error:
        if error.errno in _NO_NAMELESS_FILES and directory.is_dir():
            return None
        raise


def _name(descriptor: int, target: Path, hidden: Path, journal: Journal) -> None:
    # Python follows the link in /proc only when a directory is named as well.
    nameless = f"/proc/self/fd/{descriptor}"
    with contextlib.suppress(FileExistsError):
        os.link(nameless, target, src_dir_fd=descriptor, follow_symlinks=True)
        return
    # No call gives a nameless file the name of another one.
    with journal.unfinished(kind="file", path=str(hidden.absolute())) as record, _removed(hidden, record):
        os.link(nameless, hidden, src_dir_fd=descriptor, follow_symlinks=True)
        hidden.replace(target)


@contextmanager
def _removed(hidden: Path, record: Record) -> Iterator[None]:
    try:
        yield
    finally:
        hidden.unlink(missing_ok=True)
        record.done = True


class Spool(io.RawIOBase):
    """A file for one reader: up to 8 MiB in memory, above in a nameless file, encrypted under a key of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with this one
        self._key, self._nonce = os.urandom(32), os.urandom(8)
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is, for `Objects`; readers get it behind a `BufferedReader`."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Write at the position."""
        plain = memoryview(data)  # type: ignore[arg-type]
        self._file.seek(self._position)
        self._file.write(self._stream().update(plain))
        self._position += plain.nbytes
        return plain.nbytes

    def readinto(self, buffer: object) -> int:
        """Read from the position."""
        room = memoryview(buffer)  # type: ignore[arg-type]
        self._file.seek(self._position)
        data = self._stream().update(self._file.read(room.nbytes))
        room[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}
        self._position = max(0, offset + (base[whence] if whence in base else self._file.seek(0, os.SEEK_END)))
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Forget what is behind a position, and take another key: no two texts under the same one."""
        if size != 0:
            raise io.UnsupportedOperation("truncate to zero only")
        self._key, self._nonce = os.urandom(32), os.urandom(8)
        self._file.truncate(0)
        return 0

    def close(self) -> None:
        """Forget it."""
        self._file.close()
        super().close()

    def _stream(self) -> CipherContext:
        """Return the cipher at the position: counter mode, in which encrypting and decrypting are the same."""
        block, rest = divmod(self._position, _BLOCK)
        stream = Cipher(AES(self._key), CTR(self._nonce + block.to_bytes(8, "big"))).encryptor()
        stream.update(bytes(rest))
        return stream

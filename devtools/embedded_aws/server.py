"""Start, reach and stop the embedded AWS."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, TLSVersion
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import trustme
import urllib3
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.config import Config
from botocore.exceptions import UnknownServiceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from types import FrameType, TracebackType
    from typing import Self

_PROJECT = Path(__file__).resolve().parents[2]
_PYTHON = _PROJECT / ".embedded-aws" / "bin" / "python"
_HOST = "127.0.0.1"
_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 10


class EmbeddedAwsError(RuntimeError):
    """The embedded AWS didn't start; the message ends with its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An access key of the embedded AWS."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class EmbeddedAws:
    """An AWS on loopback, for as long as the ``with`` block lasts; everything in it is in memory.

    Args:
        account_id: The twelve digits of the account; its root is who ``client`` calls as by default.
        region: The Region ``client`` and ``environment`` use by default.
        python: The interpreter that has MiniStack, by default the one ``make install`` makes.
        directory: Where certificates and the log are written; a temporary one, removed at the end, by default.
        without: Names of patches to leave out, to see the contract test of a patch fail.

    Raises:
        EmbeddedAwsError: it didn't answer within a minute.
    """

    def __init__(
        self,
        *,
        account_id: str = "111122223333",
        region: str = "eu-central-1",
        python: Path = _PYTHON,
        directory: Path | None = None,
        without: Collection[str] = (),
    ) -> None:
        if not (account_id.isascii() and account_id.isdigit() and len(account_id) == 12):  # noqa: PLR2004
            raise ValueError(f"account_id: {account_id!r} isn't twelve digits")
        self.account_id = account_id
        self.region = region
        self._python = python
        self._keep = directory is not None
        self._directory = directory
        self._without = without
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: tuple[int, int] = (0, 0)
        self._open = contextlib.ExitStack()

    # Life

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        if not self._python.exists():
            raise EmbeddedAwsError(f"no MiniStack at {self._python}: run `make install`")
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="embedded-aws-"))
        self._directory.mkdir(parents=True, exist_ok=True)
        self._stop_on_signals()
        try:
            self._start()
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """Stop the process and remove its files; harmless when that has been done."""
        self._open.close()
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                # The adapter ends when its standard input does; so it also ends when this process is killed.
                process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._directory is not None and not self._keep:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _start(self) -> None:
        files = self._files
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        authority.issue_cert(_HOST, "localhost").private_key_and_cert_chain_pem.write_to_path(str(self._certificate))
        # Bound here and handed over, so that nobody else can take the ports in between.
        with _bound() as https, _bound() as http, self.log.open("wb") as log:
            self._ports = (https.getsockname()[1], http.getsockname()[1])
            command = [str(self._python), "-m", "devtools.embedded_aws.adapter"]
            command += [f"--https-socket={https.fileno()}", f"--http-socket={http.fileno()}"]
            command += [f"--certificate={self._certificate}", *(f"--without={name}" for name in self._without)]
            command += [] if self._keep else [f"--remove={files}"]
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=files,
                env=self._ministack_environment(),
                pass_fds=(https.fileno(), http.fileno()),
                # Away from the terminal's Ctrl-C: this process decides when it stops.
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _ministack_environment(self) -> dict[str, str]:
        """A clean one: nothing of the user's AWS configuration, nothing that would reach outside."""
        return {
            "AUTH": "true",
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "BIND_HOST": _HOST,
            "EMBEDDED_AWS_FUNCTION_PYTHON": sys.executable,
            "GATEWAY_PORT": str(self._ports[0]),
            "HOME": str(self._files),
            "IOT_MTLS_ENABLED": "0",
            "LANG": "C.UTF-8",
            "MINISTACK_HOST": _HOST,
            "MINISTACK_REGION": self.region,
            "MINISTACK_SSL_CERT": str(self._certificate),
            "MINISTACK_SSL_KEY": str(self._certificate),
            "PATH": os.defpath,
            "PYTHONPATH": str(_PROJECT),
            "PYTHONUNBUFFERED": "1",
            "SFTP_ENABLED": "0",
            "SSL_CERT_FILE": str(self.ca_bundle),
            "TMPDIR": str(self._files),
            "USE_SSL": "1",
        }

    def _wait_until_it_answers(self) -> None:
        give_up = time.monotonic() + _SECONDS_TO_START
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            if self._process is None or self._process.poll() is not None:
                raise EmbeddedAwsError(f"the embedded AWS ended at once\n{self._log_tail()}")
            with contextlib.suppress(OSError, urllib.error.URLError, json.JSONDecodeError):
                with opener.open(f"{self.http_endpoint_url}/_ministack/health", timeout=5) as answer:
                    json.load(answer)
                return
            if time.monotonic() > give_up:
                raise EmbeddedAwsError(
                    f"the embedded AWS didn't answer within {_SECONDS_TO_START} s\n{self._log_tail()}"
                )
            time.sleep(0.05)

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def _stop_on_signals(self) -> None:
        """Let SIGTERM end the ``with`` block as Ctrl-C does, unless the program has its own handler."""
        with contextlib.suppress(ValueError):  # not the main thread
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, _exit)
                self._open.callback(signal.signal, signal.SIGTERM, signal.SIG_DFL)

    # Where it is

    @property
    def endpoint_url(self) -> str:
        """The HTTPS endpoint of every service."""
        return f"https://{_HOST}:{self._ports[0]}"

    @property
    def http_endpoint_url(self) -> str:
        """The same without TLS: ``aws:SecureTransport`` is false there."""
        return f"http://{_HOST}:{self._ports[1]}"

    @property
    def ca_bundle(self) -> Path:
        """The certificate authority that the HTTPS endpoint's certificate is from."""
        return self._files / "ca.pem"

    @property
    def log(self) -> Path:
        """The log of the process."""
        return self._files / "embedded-aws.log"

    @property
    def _certificate(self) -> Path:
        return self._files / "server.pem"

    @property
    def _files(self) -> Path:
        if self._directory is None:
            raise EmbeddedAwsError("the embedded AWS isn't running")
        return self._directory

    # Reaching it

    @property
    def root(self) -> Credentials:
        """The account's root: everything is allowed to it that no policy denies."""
        return Credentials(access_key_id=self.account_id, secret_access_key="test")  # noqa: S106 - any will do

    def client(
        self,
        service: str,
        *,
        region: str | None = None,
        credentials: Credentials | None = None,
        plain_http: bool = False,
        tls_version: TLSVersion | None = None,
    ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """A boto3 client: as the root unless ``credentials`` say otherwise, over HTTPS unless told otherwise.

        ``tls_version`` makes it speak exactly that version, which may be an old one.
        """
        caller = credentials or self.root
        make: Any = self._session.client  # its type asks for a literal service name
        client = make(
            service,
            region_name=region or self.region,
            endpoint_url=self.http_endpoint_url if plain_http else self.endpoint_url,
            verify=str(self.ca_bundle),
            aws_access_key_id=caller.access_key_id,
            aws_secret_access_key=caller.secret_access_key,
            aws_session_token=caller.session_token,
            config=Config(proxies={}, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        self._open.callback(client.close)
        if tls_version is not None:
            sender = _Sender(tls_version, self.ca_bundle)
            self._open.callback(sender.close)
            client.meta.events.register(f"before-send.{service}", sender)
        return client

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """A boto3 session as an application would have it: of the root unless ``credentials`` say otherwise."""
        caller = credentials or self.root
        configuration = self._files / f"config-{caller.access_key_id}"
        lines = ["[default]", f"endpoint_url = {self.endpoint_url}", f"region = {self.region}"]
        configuration.write_text("\n".join(lines))
        values = {"profile": None, "config_file": str(configuration), "credentials_file": os.devnull}
        values["ca_bundle"] = str(self.ca_bundle)
        variables = {name: (None, None, value, None) for name, value in values.items()}
        return boto3.Session(
            caller.access_key_id,
            caller.secret_access_key,
            caller.session_token,
            botocore_session=botocore.session.Session(session_vars=variables),
        )

    @cached_property
    def _session(self) -> boto3.Session:
        """Knows nothing of the user's own AWS configuration."""
        nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
        variables = {name: (None, None, value, None) for name, value in nothing.items()}
        return boto3.Session(botocore_session=botocore.session.Session(session_vars=variables))

    def create_user(self, name: str, *policies: Mapping[str, Any]) -> Credentials:
        """An IAM user with these inline policy statements, and an access key of theirs."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policies:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(policies)})
            iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])

    def assume_role(self, role_arn: str, *, by: Credentials | None = None, session: str = "session") -> Credentials:
        """A session of a role whose trust policy lets ``by`` (the root by default) assume it."""
        answer = self.client("sts", credentials=by).assume_role(RoleArn=role_arn, RoleSessionName=session)
        key = answer["Credentials"]
        return Credentials(
            access_key_id=key["AccessKeyId"],
            secret_access_key=key["SecretAccessKey"],
            session_token=key["SessionToken"],
        )

    def replication_failures(self) -> list[dict[str, str]]:
        """What S3 replication couldn't do: bucket, key, version, destination, operation, reason and message of each."""
        failures: list[dict[str, str]] = self._ask("replication-failures")
        return failures

    def announce(self, source: str, detail_type: str, detail: Mapping[str, Any], *, region: str | None = None) -> None:
        """Put an event on the default bus as an AWS service does: people can't, where ``source`` is ``aws.…``."""
        where = {"account": self.account_id, "region": region or self.region}
        self._ask("announce", **where, source=source, detail_type=detail_type, detail=dict(detail))

    @contextlib.contextmanager
    def shut_off(self, service: str, region: str | None = None) -> Iterator[None]:
        """Answer 503 to every request to a service in a Region, as long as the ``with`` block lasts.

        Without KMS, S3 in that Region can't read nor write what is under a KMS key. Without S3 or KMS, what is to be
        replicated from there or to there waits until the block is left.

        Raises:
            ValueError: there is no such service, or it isn't in that Region.
        """
        what = {"service": self._signing_name(service), "region": region or self.region}
        regions = self._session.get_available_regions(service)
        if regions and what["region"] not in regions:
            raise ValueError(f"region: {service} isn't in {what['region']!r}, but in {', '.join(regions)}")
        self._ask("shut-off", **what)
        try:
            yield
        finally:
            self._ask("restore", **what)

    def _signing_name(self, service: str) -> str:
        try:
            name: str = self.client(service).meta.service_model.signing_name
        except UnknownServiceError:
            raise ValueError(f"service: boto3 knows no {service!r}") from None
        return name

    def _ask(self, name: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask the embedded AWS about itself."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url, body = f"{self.http_endpoint_url}/_embedded_aws/{name}", json.dumps(arguments).encode()
        with opener.open(url, body, timeout=_SECONDS_TO_START) as answer:
            return json.load(answer)

    def environment(self, *, region: str | None = None) -> dict[str, str]:
        """The environment for a program that shall use the embedded AWS: the CDK CLI, an app, a script.

        It is the current one, without the user's own AWS and CDK settings.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(("AWS_", "CDK_"))}
        cdk_home = self._files / "cdk-home"  # the CLI caches the account by access key
        cdk_home.mkdir(exist_ok=True)
        return inherited | {
            "AWS_ACCESS_KEY_ID": self.root.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.root.secret_access_key,
            "AWS_REGION": region or self.region,
            "AWS_DEFAULT_REGION": region or self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NODE_EXTRA_CA_CERTS": str(self.ca_bundle),
            "NO_PROXY": f"{_HOST},localhost",
            "no_proxy": f"{_HOST},localhost",
            "CDK_HOME": str(cdk_home),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }


def _bound() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind((_HOST, 0))
    return bound


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


class _Sender:
    """Sends a client's requests over one given TLS version, in place of botocore's own connection."""

    def __init__(self, version: TLSVersion, ca_bundle: Path) -> None:
        context = SSLContext(PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca_bundle)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 keeps TLS 1.1 behind it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False)
        self.close = self._pool.clear

    def __call__(self, request: Any, **_event: Any) -> AWSResponse:  # noqa: ANN401 - botocore's event arguments
        answer = self._pool.urlopen(
            request.method,
            request.url,
            body=request.body,
            headers=dict(request.headers.items()),
            preload_content=False,
            redirect=False,
        )
        return AWSResponse(request.url, answer.status, HTTPHeaders.from_pairs(answer.headers.items()), answer)

"""A multi-Region key, a bucket in each of its Regions, and hands that copy, change and break what is stored."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.config import Config

from cdk_encrypted_data_client import EncryptedObjects, Location
from devtools.embedded_aws.server import EmbeddedAws

HOME, OTHER = "eu-central-1", "eu-west-1"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two locations on the embedded AWS."""

    aws: EmbeddedAws
    home: Location
    other: Location
    files: Path
    s3: Any = field(repr=False)
    session: boto3.session.Session = field(repr=False)
    open: ExitStack = field(repr=False)

    def objects(self, *, purpose: str = "orders", state: Path | None = None, **options: Any) -> EncryptedObjects:  # noqa: ANN401
        settings: dict[str, Any] = {
            "locations": [self.home, self.other],
            "session": self.session,
            "config": Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 1}),
            "state_directory": state or self.files / "state",
        }
        return self.open.enter_context(EncryptedObjects(purpose=purpose, **settings | options))

    def command(self, *, state: Path | None = None) -> list[str]:
        """Return the arguments that every call of the command begins with."""
        locations = [
            argument
            for each in (self.home, self.other)
            for argument in ("--location", each.region, each.bucket, each.key_arn)
        ]
        return [*locations, "--purpose", "orders", "--state-directory", str(state or self.files / "state")]

    def environment(self) -> dict[str, str]:
        return self.aws.environment(region=HOME) | {"PYTHONPATH": "constructs"}

    def replicate(self, name: str) -> None:
        """Do what replication does: the stored bytes and metadata, as they are."""
        stored = self.s3.get_object(Bucket=self.home.bucket, Key=name)
        self.s3.put_object(Bucket=self.other.bucket, Key=name, Body=stored["Body"].read(), Metadata=stored["Metadata"])

    def stored(self, name: str, **version: str) -> tuple[bytes, dict[str, str]]:
        """Return what lies in the home bucket."""
        stored = self.s3.get_object(Bucket=self.home.bucket, Key=name, **version)
        return stored["Body"].read(), stored["Metadata"]

    def store(self, name: str, body: bytes, metadata: dict[str, str]) -> None:
        self.s3.put_object(Bucket=self.home.bucket, Key=name, Body=body, Metadata=metadata)

    def uploads(self) -> list[str]:
        """Return the names of uploads that are under way or were left."""
        return [each["Key"] for each in self.s3.list_multipart_uploads(Bucket=self.home.bucket).get("Uploads", [])]


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(region=HOME) as aws:
        yield aws


@pytest.fixture(scope="session")
def keys(aws: EmbeddedAws) -> dict[str, str]:
    """A multi-Region key and its replica; what needs one to itself makes it."""
    kms = aws.client("kms")
    primary = kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    replica = kms.replicate_key(KeyId=primary, ReplicaRegion=OTHER)["ReplicaKeyMetadata"]["Arn"]
    return {HOME: primary, OTHER: replica}


@pytest.fixture(scope="session")
def session(aws: EmbeddedAws) -> boto3.session.Session:
    """One for all: what a session costs is the reading of botocore's descriptions of S3 and KMS."""
    return aws.session()


@pytest.fixture(scope="session")
def faults_of_session(session: boto3.session.Session) -> Faults:
    return Faults(session)


@pytest.fixture
def faults(faults_of_session: Faults) -> Iterator[Faults]:
    faults_of_session.requests.clear()
    yield faults_of_session
    faults_of_session.end()


@pytest.fixture(scope="session")
def s3(aws: EmbeddedAws) -> dict[str, Any]:
    return {region: aws.client("s3", region=region) for region in (HOME, OTHER)}


@pytest.fixture
def pair(  # noqa: PLR0917
    aws: EmbeddedAws,
    keys: dict[str, str],
    session: boto3.session.Session,
    s3: dict[str, Any],
    tmp_path: Path,
    faults: Faults,
) -> Iterator[Pair]:
    """A bucket in each Region, for one test; no fault of the test before is left."""
    faults.end()
    locations = []
    for region in (HOME, OTHER):
        bucket = f"b{os.urandom(8).hex()}-{region}"
        s3[region].create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        s3[region].put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        locations.append(Location(region=region, bucket=bucket, key_arn=keys[region]))
    with ExitStack() as stack:
        yield Pair(
            aws=aws, home=locations[0], other=locations[1], files=tmp_path, s3=s3[HOME], session=session, open=stack
        )


class Faults:
    """Answers in place of AWS where a test wants it: installed in a session before clients are made."""

    def __init__(self, session: boto3.session.Session) -> None:
        self._rules: list[tuple[str, str, Callable[[], AWSResponse | None]]] = []
        self.requests: list[tuple[str, str, str]] = []
        answer: Any = self._answer  # boto3's types want None of a handler, botocore takes an answer
        for service in ("s3", "kms"):
            session.events.register(f"before-send.{service}", answer)

    def fail(self, service: str, region: str, how: Callable[[], AWSResponse | None]) -> None:
        self._rules.append((service, region, how))

    def end(self) -> None:
        self._rules.clear()

    def _answer(self, request: Any, event_name: str, **_event: object) -> AWSResponse | None:  # noqa: ANN401
        _before, service, operation = event_name.split(".")
        authorization = request.headers["Authorization"]
        scope = (authorization.decode() if isinstance(authorization, bytes) else authorization).split("/")
        self.requests.append((service, scope[2], operation))
        for each, region, how in self._rules:
            if (each, region) == (service, scope[2]):
                answer = how()
                if answer is not None:
                    return answer
        return None


def status(code: int, error: str) -> Callable[[], AWSResponse]:
    """Return what answers with an error of S3."""
    xml = f"<Error><Code>{error}</Code><Message>as the test wants</Message></Error>"
    return lambda: AWSResponse("https://test", code, HTTPHeaders(), Raw(xml.encode()))


def kms_status(code: int, error: str) -> Callable[[], AWSResponse]:
    """Return what answers with an error of KMS."""
    text = json.dumps({"__type": error, "message": "as the test wants"})
    return lambda: AWSResponse("https://test", code, HTTPHeaders(), Raw(text.encode()))


def stored(body: bytes, metadata: dict[str, str], *, length: int | None = None) -> Callable[[], AWSResponse]:
    """Return what answers as S3 does that holds this object; ``length`` announces more than comes."""
    headers = [("content-length", str(len(body) if length is None else length))]
    headers += [(f"x-amz-meta-{name}", value) for name, value in metadata.items()]
    return lambda: AWSResponse("https://test", 200, HTTPHeaders.from_pairs(headers), Raw(body))


class Raw(io.BytesIO):
    """The body of an answer, as urllib3 gives it."""

    def stream(self, *_arguments: object, **_options: object) -> Iterator[bytes]:
        yield self.getvalue()

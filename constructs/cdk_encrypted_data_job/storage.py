"""The customer's bucket, where nothing but ciphertext under their key goes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from cdk_encrypted_data_job.envelope import CONTEXT, seal, unseal
from cdk_encrypted_data_job.errors import NotAuthenticError

# Throttled or cut off, a request is tried again, by whoever runs this: the driver or a task.
_CONFIG = Config(
    connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=4
)
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}


class StoredFile(TypedDict):
    """An object as a manifest names it.

    Attributes:
        name: Its name in the bucket.
        rows: The rows in it.
        size: The bytes stored.
        sha256: The digest of the bytes stored.
    """

    name: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a customer's objects lie, and under which key. Plain words, so that it can go to a task.

    Attributes:
        bucket: The customer's bucket.
        prefix: What every name begins with; empty, or ending in a slash.
        key_arn: The customer's key.
        region: The Region of both.
        context: The encryption context of their data keys.
    """

    bucket: str
    prefix: str
    key_arn: str
    region: str
    context: Mapping[str, str] = field(default_factory=lambda: CONTEXT)


class Storage:
    """Puts and gets objects at a place, encrypted and decrypted in this process."""

    def __init__(self, place: Place, *, s3: Any, kms: Any) -> None:  # noqa: ANN401 - boto3
        self.place = place
        self._s3, self._kms = s3, kms
        self.kms_calls = 0

    def put(self, name: str, data: bytes | memoryview, *, rows: int = 0) -> StoredFile:
        """Encrypt data and store them under a name that ends in their digest, if it holds `{digest}`."""
        body, metadata = self._seal(data)
        digest = hashlib.sha256(body).hexdigest()
        name = f"{self.place.prefix}{name}".replace("{digest}", digest[:32])
        self._s3.put_object(Bucket=self.place.bucket, Key=name, Body=body, Metadata=metadata)
        return StoredFile(name=name, rows=rows, size=len(body), sha256=digest)

    def put_new(self, name: str, data: bytes) -> bool:
        """Encrypt data and store them, unless there is something of that name: S3 decides, for all writers at once."""
        body, metadata = self._seal(data)
        name = f"{self.place.prefix}{name}"
        try:
            self._s3.put_object(Bucket=self.place.bucket, Key=name, Body=body, Metadata=metadata, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _TAKEN:
                raise
            return False
        return True

    def get(self, file: StoredFile) -> bytes:
        """Return the data of an object that a manifest names.

        Raises:
            NotAuthenticError: it isn't there, or other bytes are.
        """
        name = file["name"]
        try:
            stored = self._s3.get_object(Bucket=self.place.bucket, Key=name)
        except self._s3.exceptions.NoSuchKey:
            raise NotAuthenticError(f"{name}: the manifest names it, but it is gone; restore it") from None
        body = stored["Body"].read()
        if len(body) != file["size"] or hashlib.sha256(body).hexdigest() != file["sha256"]:
            raise NotAuthenticError(f"{name}: it isn't what the manifest names; restore that version")
        return self._unseal(name, body, stored["Metadata"])

    def get_latest(self, name: str) -> bytes:
        """Return the data of an object that no manifest names: what it says about itself must be checked."""
        name = f"{self.place.prefix}{name}"
        stored = self._s3.get_object(Bucket=self.place.bucket, Key=name)
        return self._unseal(name, stored["Body"].read(), stored["Metadata"])

    def names(self, beginning: str) -> list[str]:
        """Return the names, without the prefix, that begin so, in order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.place.bucket, Prefix=f"{self.place.prefix}{beginning}"
        )
        length = len(self.place.prefix)
        return [each["Key"][length:] for page in pages for each in page.get("Contents", [])]

    def _seal(self, data: bytes | memoryview) -> tuple[bytes, dict[str, str]]:
        self.kms_calls += 1
        return seal(data, kms=self._kms, key_arn=self.place.key_arn, context=self.place.context)

    def _unseal(self, name: str, body: bytes, metadata: dict[str, str]) -> bytes:
        self.kms_calls += 1
        place = self.place
        return unseal(name, body, metadata, kms=self._kms, key_arn=place.key_arn, context=place.context)


def storage_at(place: Place) -> Storage:
    """Return the storage with this process' own credentials, in the driver or in a task."""
    return Storage(place, s3=client("s3", place.region), kms=client("kms", place.region))


@functools.cache  # a task begins in a process that others ran in before
def client(service: str, region: str) -> Any:  # noqa: ANN401 - boto3
    """Return this process' client of a service."""
    make: Any = boto3.client
    return make(service, region_name=region, config=_CONFIG)

"""The permissions of an identity: exactly what one kind of access to a bucket takes, its key included."""

from __future__ import annotations

from typing import NamedTuple

from cdk_encrypted_data.policies import Condition
from cdk_encrypted_data.policies.key import READ_ACTIONS, WRITE_ACTIONS, encryption_context

_READ_OBJECTS = ("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging")
_READ_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions")
_WRITE_OBJECTS = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging")
_WRITE_BUCKET = ("s3:GetBucketLocation", "s3:ListBucketMultipartUploads")
_DELETE_OBJECTS = ("s3:DeleteObject",)


class Permission(NamedTuple):
    """Some actions on one resource."""

    actions: tuple[str, ...]
    resource: str
    condition: Condition | None = None


def read(bucket_arn: str, objects: str, *, key_arn: str | None, region: str) -> list[Permission]:
    """Return what listing the bucket and reading the objects that match the pattern takes."""
    return [
        Permission(_READ_BUCKET, bucket_arn),
        Permission(_READ_OBJECTS, f"{bucket_arn}/{objects}"),
        *_use_key(READ_ACTIONS, bucket_arn, key_arn, region),
    ]


def write(bucket_arn: str, objects: str, *, key_arn: str | None, region: str) -> list[Permission]:
    """Return what storing objects that match the pattern takes, in one request or in parts."""
    return [
        Permission(_WRITE_BUCKET, bucket_arn),
        Permission(_WRITE_OBJECTS, f"{bucket_arn}/{objects}"),
        *_use_key(WRITE_ACTIONS, bucket_arn, key_arn, region),
    ]


def read_write(bucket_arn: str, objects: str, *, key_arn: str | None, region: str) -> list[Permission]:
    """Return what reading and storing objects that match the pattern takes."""
    return [
        Permission(tuple(sorted({*_READ_BUCKET, *_WRITE_BUCKET})), bucket_arn),
        Permission(tuple(sorted((*_READ_OBJECTS, *_WRITE_OBJECTS))), f"{bucket_arn}/{objects}"),
        *_use_key(WRITE_ACTIONS, bucket_arn, key_arn, region),
    ]


def delete(bucket_arn: str, objects: str, *, key_arn: str | None, region: str) -> list[Permission]:  # noqa: ARG001
    """Return what deleting objects that match the pattern takes: a delete marker, never a version, and no key."""
    return [Permission(_DELETE_OBJECTS, f"{bucket_arn}/{objects}")]


def _use_key(actions: tuple[str, ...], bucket_arn: str, key_arn: str | None, region: str) -> list[Permission]:
    if key_arn is None:
        return []
    # Through S3 and for this bucket only. A prefix can't be told here: with a bucket key the context is the bucket.
    condition: Condition = {
        "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
        "StringLike": encryption_context([bucket_arn]),
    }
    return [Permission(actions, key_arn, condition)]

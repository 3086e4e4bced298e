"""What is broken: our own templates, plain L2s, and templates that were written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import EncryptedBucket, ServerSideEncryption, UploadPolicy
from tests.synthesis import build, template

ADMINISTRATOR = "arn:aws:iam::111122223333:role/key-administrator"
APPLICATION = "arn:aws:iam::111122223333:role/application"


def _of(make: Callable[[cdk.Stack], object]) -> Callable[[], dict[str, Any]]:
    return lambda: template(build(make))


def _smallest(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "Data")


def _strict(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "Data", upload_policy=UploadPolicy.REQUIRE_HEADER, bucket_name="acme-data")


def _dsse(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.DSSE_KMS)


def _sse_s3(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.SSE_S3)


def _separated(stack: cdk.Stack) -> None:
    EncryptedBucket(
        stack,
        "Data",
        bucket_name="acme-data",
        key_administrators=[iam.ArnPrincipal(ADMINISTRATOR)],
        key_users=[iam.ArnPrincipal(APPLICATION)],
    )


TEMPLATES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "smallest": _of(_smallest),
    "strict": _of(_strict),
    "dsse": _of(_dsse),
    "sse-s3": _of(_sse_s3),
    "separated": _of(_separated),
}

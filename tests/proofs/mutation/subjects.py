"""What is broken: our own templates, plain L2s, and templates that were written by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from cdk_encrypted_data import AccessLogBucket, EncryptedBucket, ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.proofs.cloudformation.assembly import read_template
from cdk_encrypted_data.proofs.cloudformation.resolution import Json
from tests.proofs.mutation.equivalence import ACCOUNT, REGION
from tests.synthesis import new_stack, template

_BY_HAND = Path(__file__).parent / "templates"

ADMINISTRATOR = "arn:aws:iam::111122223333:role/key-administrator"
APPLICATION = "arn:aws:iam::111122223333:role/application"


def _of(make: Callable[[cdk.Stack], object]) -> Callable[[], Json]:
    def synthesized() -> Json:
        stack = new_stack(account=ACCOUNT, region=REGION)
        make(stack)
        return template(stack)

    return synthesized


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


def _with_users(stack: cdk.Stack) -> None:
    bucket = EncryptedBucket(stack, "Data", access_log_bucket=AccessLogBucket(stack, "Logs"))
    for name, grant in (("Reader", bucket.grant_read), ("Writer", bucket.grant_write)):
        role = iam.Role(stack, name, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        grant(iam.ManagedPolicy(stack, f"{name}Policy", roles=[role]))
    bucket.grant_read_to_service(
        "cloudfront.amazonaws.com", source_arns=["arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"]
    )


def _plain_l2s(stack: cdk.Stack) -> None:
    """What a careful engineer writes without us."""
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    bucket = s3.Bucket(
        stack,
        "Data",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
    )
    for sid, key_name in (("Algorithm", "s3:x-amz-server-side-encryption"), ("Key", f"{_KEY_ID}")):
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"RefuseOther{sid}",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject", "s3:UpdateObjectEncryption"],
                resources=[bucket.arn_for_objects("*")],
                conditions={"Null": {key_name: "false"}, "StringNotEquals": {_KEY_ID: key.key_arn}},
            )
        )
    role = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    bucket.grant_read(role)
    of_logs = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/acme/*"}}
    key.grant_encrypt_decrypt(iam.ServicePrincipal("logs.us-east-1.amazonaws.com", conditions=of_logs))
    logs.LogGroup(stack, "Group", encryption_key=key, log_group_name="/acme/app")


_KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"

TEMPLATES: Mapping[str, Callable[[], Json]] = {
    "smallest": _of(_smallest),
    "strict": _of(_strict),
    "dsse": _of(_dsse),
    "sse-s3": _of(_sse_s3),
    "separated": _of(_separated),
    "with users": _of(_with_users),
    "plain L2s": _of(_plain_l2s),
    **{file.name: functools.partial(read_template, file) for file in sorted(_BY_HAND.iterdir())},
}

"""A deployed `EncryptedDataStack` as a target to try promises on."""

from __future__ import annotations

import functools
import ssl
from typing import Any

from devtools.embedded_aws.server import Credentials, EmbeddedAws
from devtools.promises import Target
from stacks.settings import BucketSettings


def outputs_of(aws: EmbeddedAws, stack_name: str, *, region: str | None = None) -> dict[str, str]:
    """Return the outputs of a deployed stack."""
    (stack,) = aws.client("cloudformation", region=region).describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def target_of(aws: EmbeddedAws, stack_name: str, settings: BucketSettings, *, suffix: str = "") -> Target:
    """Make who tries things on one bucket of the stack: a writer, a reader and a stranger, each an IAM user.

    Their names end with ``suffix``: whoever makes them twice needs two.
    """
    outputs = outputs_of(aws, stack_name)
    name = settings.name
    people = f"{stack_name}-{name}{suffix}"
    other_key_arn = aws.client("kms").create_key(Description="Another key")["KeyMetadata"]["Arn"]
    # Nothing but the bucket's policy may stand between the writer and the other key.
    any_key = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": other_key_arn}
    writer = _user(aws, f"{people}-writer", outputs[f"{name}WriterPolicyArn"], any_key)
    reader = _user(aws, f"{people}-reader", outputs[f"{name}ReaderPolicyArn"])
    stranger = aws.create_user(f"{people}-stranger", {"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"})

    @functools.cache
    def owner(service: str) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        return aws.client(service)

    return Target(
        bucket_name=outputs[f"{name}BucketName"],
        encryption=settings.encryption,
        upload_policy=settings.upload_policy,
        key_arn=outputs.get(f"{name}KeyArn"),
        other_key_arn=other_key_arn,
        access_log_bucket_name=outputs["AccessLogBucketName"],
        owner=owner,
        writer=aws.client("s3", credentials=writer),
        reader=aws.client("s3", credentials=reader),
        stranger=aws.client("s3", credentials=stranger),
        writer_over_http=aws.client("s3", credentials=writer, plain_http=True),
        writer_over_old_tls=aws.client("s3", credentials=writer, tls_version=ssl.TLSVersion.TLSv1_1),
    )


def _user(aws: EmbeddedAws, name: str, policy_arn: str, *inline: dict[str, Any]) -> Credentials:
    credentials = aws.create_user(name, *inline)
    aws.client("iam").attach_user_policy(UserName=name, PolicyArn=policy_arn)
    return credentials

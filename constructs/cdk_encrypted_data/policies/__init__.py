"""Policies as data: pure functions that make policy statements from ARNs. Nothing here knows the CDK.

Each function returns statements in IAM's own JSON grammar, so that a reviewer reads what AWS will read and a test can
evaluate it. ARNs may be CDK tokens: they are only put into strings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias, TypedDict

Condition: TypeAlias = dict[str, dict[str, str | list[str]]]
"""A condition block: operator, context key, values."""


class Statement(TypedDict, total=False):
    """One statement of a policy document, in the JSON grammar of IAM policies."""

    Sid: str
    Effect: str
    Principal: str | dict[str, str | list[str]]
    Action: str | list[str]
    Resource: str | list[str]
    Condition: Condition


def document(statements: list[Statement]) -> dict[str, object]:
    """Return the policy document that consists of ``statements``."""
    return {"Version": "2012-10-17", "Statement": statements}


MANAGED_POLICY_CHARACTERS = 6144
"""How many characters IAM takes in a managed policy, white space apart.

See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length.
"""


def characters(statements: Sequence[Statement]) -> int:
    """Return how many characters the document of these statements has for IAM, as the CDK writes it."""

    def written(value: object) -> object:
        if isinstance(value, dict):
            return {name: written(each) for name, each in value.items()}
        if isinstance(value, list):
            return value[0] if len(value) == 1 else value
        return value

    whole = {
        "Version": "2012-10-17",
        "Statement": [
            {name: value if name == "Condition" else written(value) for name, value in statement.items()}
            for statement in statements
        ],
    }
    return len(json.dumps(whole, separators=(",", ":"), ensure_ascii=False))


def bucket_and_objects(bucket_arn: str) -> list[str]:
    """Return a bucket's ARN and the pattern of its objects' ARNs.

    As resources they are all that a bucket policy may speak about. As values of ``kms:EncryptionContext:aws:s3:arn``
    they are both forms that S3 sends: the bucket's ARN with an S3 Bucket Key, the object's ARN without one
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html).
    """
    return [bucket_arn, f"{bucket_arn}/*"]


def source_condition(source_arns: Sequence[str], source_account: str | None) -> Condition:
    """Return the condition that lets an AWS service act only for these sources (against the confused deputy)."""
    sources: Condition = {"ArnLike": {"aws:SourceArn": list(source_arns)}}
    if source_account is None:
        return sources
    return {**sources, "StringEquals": {"aws:SourceAccount": source_account}}

"""What rule packs and proofs find in our templates and a reviewer accepts: each at its resource, with the reason.

The ids are those under which a report keeps the finding with its reason: ``PACK::PACK-RULE``. Without the pack in front
the finding would vanish from the report.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping

import aws_cdk as cdk
from constructs import IConstruct

REPLICATION = (
    "HIPAA.Security::HIPAA.Security-S3BucketReplicationEnabled",
    "NIST.800.53.R5::NIST.800.53.R5-S3BucketReplicationEnabled",
    "PCI.DSS.321::PCI.DSS.321-S3BucketReplicationEnabled",
)
DEFAULT_KMS = (
    "HIPAA.Security::HIPAA.Security-S3DefaultEncryptionKMS",
    "NIST.800.53.R5::NIST.800.53.R5-S3DefaultEncryptionKMS",
    "PCI.DSS.321::PCI.DSS.321-S3DefaultEncryptionKMS",
)
# Of a function that CloudFormation alone calls, seldom.
CALLED_BY_CLOUDFORMATION = (
    "HIPAA.Security::HIPAA.Security-LambdaConcurrency",
    "HIPAA.Security::HIPAA.Security-LambdaDLQ",
    "NIST.800.53.R5::NIST.800.53.R5-LambdaConcurrency",
    "NIST.800.53.R5::NIST.800.53.R5-LambdaDLQ",
)
FUNCTION_IN_VPC = (
    "HIPAA.Security::HIPAA.Security-LambdaInsideVPC",
    "NIST.800.53.R5::NIST.800.53.R5-LambdaInsideVPC",
    "PCI.DSS.321::PCI.DSS.321-LambdaInsideVPC",
)
LOG_GROUP_UNDER_KMS = (
    "HIPAA.Security::HIPAA.Security-CloudWatchLogGroupEncrypted",
    "NIST.800.53.R5::NIST.800.53.R5-CloudWatchLogGroupEncrypted",
    "PCI.DSS.321::PCI.DSS.321-CloudWatchLogGroupEncrypted",
)
HEADER_REQUIRED = ("EncryptionProofs::bucket-header-required",)
_BUCKET_NOT_RETAINED = ("EncryptionProofs::bucket-not-retained",)
_KEY_NOT_RETAINED = ("EncryptionProofs::key-not-retained",)
_NOT_RETAINED = "The settings say by name that this deployment's buckets and keys go with their stacks."
NOT_LOGGED = (
    "AwsSolutions::AwsSolutions-S1",
    "HIPAA.Security::HIPAA.Security-S3BucketLoggingEnabled",
    "NIST.800.53.R5::NIST.800.53.R5-S3BucketLoggingEnabled",
    "PCI.DSS.321::PCI.DSS.321-S3BucketLoggingEnabled",
)


def objects_of(bucket: IConstruct) -> tuple[str, ...]:
    """Return the id of the finding that an IAM policy names the objects of this bucket by a wildcard."""
    resource = bucket.node.default_child
    if not isinstance(resource, cdk.CfnElement):
        raise TypeError(f"{bucket.node.path} has no CloudFormation resource of its own")
    logical_id = cdk.Stack.of(bucket).get_logical_id(resource)
    return (f"AwsSolutions::AwsSolutions-IAM5[Resource::<{logical_id}.Arn>/*]",)


def logical_id(*path: str) -> str:
    """Return the logical id that the CDK makes of a resource's path in its stack, two ids or more.

    Asking the CDK takes five calls into Node. It can't make another of the same path, which would replace everybody's
    resources; and if this is wrong one day, findings come back that nobody has accepted.
    See https://docs.aws.amazon.com/cdk/v2/guide/identifiers.html#identifiers-logical-ids.
    """
    # No security hangs on it.
    digest = hashlib.md5("/".join(path).encode(), usedforsecurity=False).hexdigest()[:8].upper()
    # An id with which the one before it ends is left out.
    parts = [each for before, each in itertools.pairwise(("", *path)) if not before.endswith(each)]
    return re.sub("[^A-Za-z0-9]", "", "".join(parts))[:240] + digest


def objects_of_bucket_named(name: str) -> tuple[str, ...]:
    """Return the id of the same finding where the policy names the bucket by its name."""
    return (f"AwsSolutions::AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::{name}/*]",)


def acknowledge(scope: IConstruct, findings: tuple[str, ...], *, reason: str) -> None:
    """Accept findings at ``scope``."""
    acknowledge_each(scope, {reason: findings})


def acknowledge_each(scope: IConstruct, findings: Mapping[str, tuple[str, ...]]) -> None:
    """Accept findings at ``scope`` by their reasons, in one call into Node: in a fleet each call counts."""
    accepted = (cdk.Acknowledgment(id=each, reason=reason) for reason, several in findings.items() for each in several)
    cdk.Validations.of(scope).acknowledge(*accepted)


def acknowledge_access_logs(bucket: IConstruct) -> None:
    """Accept what is found at a bucket of access logs."""
    acknowledge(
        bucket,
        REPLICATION,
        reason="Access logs are delivered best-effort and kept for a year; the data itself is what has to survive.",
    )
    acknowledge(
        bucket,
        DEFAULT_KMS,
        reason="SSE-S3 is the only encryption AWS documents for the target of server access logs; under a customer "
        "managed key S3 may deliver logs that nobody can read.",
    )


def acknowledge_removal(
    removal_policy: cdk.RemovalPolicy, *, buckets: Iterable[IConstruct], keys: Iterable[IConstruct]
) -> None:
    """Accept that what isn't retained isn't retained."""
    if removal_policy is cdk.RemovalPolicy.RETAIN:
        return
    for bucket in buckets:
        acknowledge(bucket, _BUCKET_NOT_RETAINED, reason=_NOT_RETAINED)
    for key in keys:
        acknowledge(key, _KEY_NOT_RETAINED, reason=_NOT_RETAINED)


def removal(removal_policy: cdk.RemovalPolicy) -> dict[str, tuple[str, ...]]:
    """Return the same findings of a bucket and a key together, by their reason; none where both are retained."""
    if removal_policy is cdk.RemovalPolicy.RETAIN:
        return {}
    return {_NOT_RETAINED: (*_BUCKET_NOT_RETAINED, *_KEY_NOT_RETAINED)}

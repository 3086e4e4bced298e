"""What the rule packs find in our templates and a reviewer accepts: each finding at its resource, with the reason.

The ids are those under which a report keeps the finding with its reason: ``PACK::PACK-RULE``. Without the pack in front
the finding would vanish from the report.
"""

from __future__ import annotations

from collections.abc import Mapping

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


def acknowledge(scope: IConstruct, findings: tuple[str, ...], *, reason: str) -> None:
    """Accept findings at ``scope``."""
    acknowledge_each(scope, {reason: findings})


def acknowledge_each(scope: IConstruct, findings: Mapping[str, tuple[str, ...]]) -> None:
    """Accept findings at ``scope`` by their reasons, in one call into Node: in a fleet each call counts."""
    accepted = (cdk.Acknowledgment(id=each, reason=reason) for reason, several in findings.items() for each in several)
    cdk.Validations.of(scope).acknowledge(*accepted)

"""Buckets: what is stored in them and how, over which connections, and who may read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cdk_encrypted_data.proofs.findings import Outcome, Rule, Severity, outcome
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.spaces import Prover

PLAIN_HTTP: Final = Rule(
    id="bucket-plain-http",
    severity=Severity.ERROR,
    claim="No request reaches the bucket without TLS.",
    because="Over plain HTTP whoever stands between reads the objects and the signature that fetches them again.",
    remedy="Deny s3:* on the bucket and its objects where aws:SecureTransport is false, to everybody.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-securetransport",
    ),
)


def _transport(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        yield from outcome(
            PLAIN_HTTP,
            bucket.policy_resource or bucket.resource,
            prover.allowed(
                [inventory.administrator(bucket.account)],
                ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                bucket.objects,
                [{"aws:SecureTransport": "false"}],
            )
            or prover.allowed(
                [inventory.administrator(bucket.account)],
                ["s3:ListBucket"],
                bucket.target,
                [{"aws:SecureTransport": "false"}],
            ),
            "the object and the signed request travel in the clear",
        )




CHECKS: Final = (_transport,)
RULES: Final[tuple[Rule, ...]] = (PLAIN_HTTP,)

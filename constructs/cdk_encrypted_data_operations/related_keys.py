"""What KMS says of the keys of a multi-Region key, each in its Region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One Region's key, as KMS of that Region describes it.

    Args:
        region: The Region.
        arn: The key's ARN there.
        key_id: What all members have in common, `mrk-…`.
        state: `Enabled`, `Updating`, ….
        kind: `PRIMARY` or `REPLICA`.
        primary_region: Where it says that the primary is.
        regions: All Regions that it says have a key, sorted.
        encrypts: Whether it is a symmetric key that encrypts.
    """

    region: str
    arn: str
    key_id: str
    state: str
    kind: str
    primary_region: str
    regions: tuple[str, ...]
    encrypts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How KMS rotates the material of all members.

    Args:
        enabled: Whether it does by itself.
        period_days: How often; none where it doesn't.
    """

    enabled: bool
    period_days: int | None

    def __str__(self) -> str:
        """Say it."""
        return f"every {self.period_days} days" if self.enabled else "off"


def member_of(region: str, metadata: Mapping[str, Any]) -> Member:
    """Return what KMS of a Region says by DescribeKey; the key is a multi-Region key."""
    related = metadata["MultiRegionConfiguration"]
    replicas = [str(each["Region"]) for each in related.get("ReplicaKeys", [])]
    primary = str(related["PrimaryKey"]["Region"])
    return Member(
        region=region,
        arn=metadata["Arn"],
        key_id=metadata["KeyId"],
        state=metadata["KeyState"],
        kind=related["MultiRegionKeyType"],
        primary_region=primary,
        regions=tuple(sorted({primary, *replicas})),
        encrypts=(metadata.get("KeySpec"), metadata.get("KeyUsage")) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    )

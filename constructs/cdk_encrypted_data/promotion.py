"""Promotion: what an app records of a pair whose primary was moved to another Region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk

from cdk_encrypted_data import validation
from cdk_encrypted_data.managed_key import ROTATION_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """That the primary of a `MultiRegionKeyPair` was moved to a replica's Region, and how the pair was then.

    ``encrypted-data-operations promote`` moves it and prints the record. CloudFormation has no property for it and
    needs none: **the record changes no template**. With it the pair refuses, when the app is synthesized, what
    CloudFormation would try on the key that isn't the primary any more.

    It is of one deployment: a pair that is deployed anew, in another account or stage, has its primary in its own
    stack. It is to be taken out when the primary is back there.

    See https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-update.html.

    Args:
        primary_region: Where the primary is now: the Region of a replica.
        regions: The Regions that had a key then, the primary's and all replicas'.
        rotation_period: The pair's ``rotation_period`` then, as the template has it. Default: it gave none.
    """

    primary_region: str
    regions: Sequence[str]
    rotation_period: cdk.Duration | None = None


def check_promotion(
    owner: str, promotion: object, *, regions: Sequence[str], rotation_period: cdk.Duration | None
) -> None:
    """Refuse a record that can't be of this pair, and what CloudFormation couldn't do to a pair with this record.

    Args:
        owner: The pair's id.
        promotion: The record; ``None`` passes.
        regions: The Regions of the pair, that of its own stack first.
        rotation_period: The pair's.
    """
    if promotion is None:
        return
    validation.check_instance(owner, "promotion", promotion, Promotion, allowed="a Promotion")
    assert isinstance(promotion, Promotion)  # noqa: S101 - checked the line before
    _check_record(owner, promotion, regions)
    missing = [region for region in regions if region not in promotion.regions]
    if missing:
        # KMS replicates the primary only, and PrimaryKeyArn names the key that was: it can't be changed later.
        raise validation.refusal(
            owner,
            "replicas",
            got=f"one in {', '.join(missing)}, which had no key when the primary was moved",
            allowed=f"replicas in {', '.join(promotion.regions)}, while the primary is in {promotion.primary_region}",
            remedy="promote back, take promotion out, deploy the new replica, and promote again",
        )
    if _days(rotation_period) != _days(promotion.rotation_period):
        # CloudFormation calls KMS when the property changes, and KMS takes rotation on the primary only.
        raise validation.refusal(
            owner,
            "rotation_period",
            got=_words(rotation_period),
            allowed=f"{_words(promotion.rotation_period)}, as in promotion, while the primary is in "
            f"{promotion.primary_region}",
            remedy="promote back and take promotion out before you change it; if it is what the template had when the "
            "primary was moved, write it into promotion",
        )


def _check_record(owner: str, promotion: Promotion, regions: Sequence[str]) -> None:
    home, *others = regions
    validation.check_list(owner, "promotion.regions", promotion.regions, str, allowed="a list of Regions")
    validation.check_known_days(owner, "promotion.rotation_period", promotion.rotation_period, ROTATION_DAYS)
    if promotion.primary_region == home:
        raise validation.refusal(
            owner,
            "promotion.primary_region",
            got=home,
            allowed=f"one of {', '.join(others)}",
            remedy="take promotion out once the primary was promoted back; leave scope and replicas as they were: "
            "exchanged they make new keys, which open nothing old",
        )
    if promotion.primary_region not in others:
        # Without its resource the primary would be in no template, or its deletion would be scheduled.
        raise validation.refusal(
            owner,
            "promotion.primary_region",
            got=promotion.primary_region,
            allowed=f"a Region of replicas, which has {', '.join(others)}",
            remedy="keep its stack in replicas; promote back before you take it out",
        )
    for region in (home, promotion.primary_region):
        if region not in promotion.regions:
            raise validation.refusal(
                owner,
                "promotion.regions",
                got=list(promotion.regions),
                allowed=f"a list with {home} and {promotion.primary_region} in it",
                remedy="name every Region that had a key when the primary was moved",
            )


def _days(period: cdk.Duration | None) -> float | None:
    return None if period is None else period.to_days()


def _words(period: cdk.Duration | None) -> str:
    return "none" if period is None else f"{period.to_days():g} days"

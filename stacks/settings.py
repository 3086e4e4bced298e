"""What a deployment may choose, read from the CDK context and checked once. Plain data: no CDK, no Node."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from cdk_encrypted_data import ServerSideEncryption, UploadPolicy

ACCOUNT = "encrypted-data:account"
BUCKETS = "encrypted-data:buckets"
REPLICATED_BUCKETS = "encrypted-data:replicatedBuckets"
REMOVAL_POLICY = "encrypted-data:removalPolicy"
NAMES = frozenset({ACCOUNT, BUCKETS, REPLICATED_BUCKETS, REMOVAL_POLICY})
"""The settings that are read here."""

REPLICATED_FIELDS = {"name", "regions", "administrators", "monitoring", "promotion"}
_PROMOTION_FIELDS = {"primaryRegion", "regions"}
BUCKET_FIELDS = {"name", "encryption", "uploadPolicy", "administrators", "users"}
# AccessLogs and its output are the stack's own.
_NAME = re.compile(r"(?!AccessLog)[A-Z][A-Za-z0-9]{0,31}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
_ACCOUNT = re.compile(r"[0-9]{12}")

_Choice = TypeVar("_Choice", bound=Enum)


class RemovalPolicy(Enum):
    """What happens to buckets and keys when they leave the template, in the CDK's words."""

    RETAIN = "RETAIN"
    DESTROY = "DESTROY"


class Monitoring(Enum):
    """Whether somebody can be told what S3 doesn't replicate, or not in time."""

    ON = "ON"
    OFF = "OFF"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """One bucket of the stack.

    Attributes:
        name: Its construct id: part of the logical ids, so a new name is a new bucket.
        encryption: How S3 encrypts.
        upload_policy: What an upload that names no encryption meets.
        administrators: ARNs of the roles and users who administer the key and may not use it.
        users: ARNs of the roles and users who use the key and may not administer it.
    """

    name: str
    encryption: ServerSideEncryption = ServerSideEncryption.SSE_KMS
    upload_policy: UploadPolicy = UploadPolicy.RESPECT_DEFAULT
    administrators: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionSettings:
    """That another Region's key was made the primary, as ``encrypted-data-operations promote`` says it.

    Attributes:
        primary_region: Where the primary is now.
        regions: The Regions that had a key then.
    """

    primary_region: str
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicatedBucketsSettings:
    """A bucket in each of several Regions, each replicating to all others, and a key for applications.

    Attributes:
        account: The account's twelve digits: the buckets' names are made from it.
        name: What its stacks are called: ``NAME-REGION`` and ``NAME-keys-REGION``. In lower case, what its buckets'
            names begin with. A new name is new buckets and new keys.
        regions: Two Regions or more; the first has the key's primary. A Region that is added gets what is stored from
            then on.
        administrators: ARNs of the roles and users who administer the keys and may not use them.
        monitoring: Whether each Region has a topic, under a key of its own, for failed replicas and for alarms: S3
            tells nobody otherwise. A key costs $1.00 a month, an alarm $0.10.
        promotion: Where the primary is, while it isn't in the first Region.
    """

    account: str
    name: str
    regions: tuple[str, ...]
    administrators: tuple[str, ...] = ()
    monitoring: Monitoring = Monitoring.ON
    promotion: PromotionSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the app's stacks may differ in.

    Attributes:
        account: The account's twelve digits, None where neither context nor credentials name it.
        buckets: The buckets, each with a key of its own.
        replicated_buckets: The buckets in several Regions.
        removal_policy: What happens to buckets and keys when they leave the template.
    """

    account: str | None = None
    buckets: tuple[BucketSettings, ...] = (BucketSettings(name="Data"),)
    replicated_buckets: tuple[ReplicatedBucketsSettings, ...] = ()
    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN

    @classmethod
    def from_context(cls, context: Mapping[str, object], *, account: str | None = None) -> Settings:
        """Read the settings from the app's context (``cdk.json``, or ``-c KEY=VALUE``).

        Args:
            context: The app's context.
            account: The account of the credentials, for a context that names none.

        Raises:
            ValueError: If a setting isn't one of those allowed.
        """
        account = _account(context.get(ACCOUNT, account))
        buckets = _list(BUCKETS, context.get(BUCKETS, [{"name": "Data"}]))
        if not buckets:
            raise refusal(BUCKETS, buckets, 'a list of at least one object such as {"name": "Data"}')
        read = tuple(_bucket(each) for each in buckets)
        names = [bucket.name for bucket in read]
        if len(set(names)) != len(names):
            raise refusal(f"{BUCKETS}, name", names, "names that differ from each other")
        replicated = tuple(
            _replicated(each, account) for each in _list(REPLICATED_BUCKETS, context.get(REPLICATED_BUCKETS, []))
        )
        names = [bucket.name for bucket in replicated]
        if len({name.lower() for name in names}) != len(names):
            raise refusal(f"{REPLICATED_BUCKETS}, name", names, "names that differ from each other in lower case")
        removal_policy = context.get(REMOVAL_POLICY, "RETAIN")
        if removal_policy not in RemovalPolicy.__members__:
            raise refusal(REMOVAL_POLICY, removal_policy, " or ".join(RemovalPolicy.__members__))
        return cls(
            account=account,
            buckets=read,
            replicated_buckets=replicated,
            removal_policy=RemovalPolicy[str(removal_policy)],
        )


def check_names(context: Mapping[str, object], *, known: Collection[str]) -> None:
    """Refuse a setting of the app's context that nobody reads: it would be taken for heeded.

    Raises:
        ValueError: If there is one.
    """
    for name in sorted(context):
        if name.startswith("encrypted-data:") and name not in known:
            raise refusal(name, context[name], f"one of the settings {', '.join(sorted(known))}")


def _account(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _ACCOUNT.fullmatch(value)):
        return value
    raise refusal(ACCOUNT, value, "twelve digits in quotes")


def _list(setting: str, value: object) -> list[object]:
    value = parsed(setting, value, "a JSON list of objects")
    if not isinstance(value, list):
        raise refusal(setting, value, "a list of objects")
    return value


def _bucket(entry: object) -> BucketSettings:
    fields = _entry(BUCKETS, entry, required={"name"}, allowed=BUCKET_FIELDS)
    return BucketSettings(
        name=_name(BUCKETS, fields["name"]),
        encryption=_choice(BUCKETS, "encryption", fields.get("encryption", "SSE_KMS"), ServerSideEncryption),
        upload_policy=_choice(BUCKETS, "uploadPolicy", fields.get("uploadPolicy", "RESPECT_DEFAULT"), UploadPolicy),
        administrators=_arns(BUCKETS, "administrators", fields.get("administrators", [])),
        users=_arns(BUCKETS, "users", fields.get("users", [])),
    )


def _replicated(entry: object, account: str | None) -> ReplicatedBucketsSettings:
    if account is None:
        raise refusal(
            ACCOUNT, None, f"twelve digits, or credentials that tell them, where {REPLICATED_BUCKETS} has any"
        )
    fields = _entry(REPLICATED_BUCKETS, entry, required={"name", "regions"}, allowed=REPLICATED_FIELDS)
    return ReplicatedBucketsSettings(
        account=account,
        name=_name(REPLICATED_BUCKETS, fields["name"]),
        regions=_regions("regions", fields["regions"]),
        administrators=_arns(REPLICATED_BUCKETS, "administrators", fields.get("administrators", [])),
        monitoring=_choice(REPLICATED_BUCKETS, "monitoring", fields.get("monitoring", "ON"), Monitoring),
        promotion=_promotion(fields.get("promotion")),
    )


def _promotion(value: object) -> PromotionSettings | None:
    if value is None:
        return None
    if isinstance(value, dict) and set(value) == _PROMOTION_FIELDS:
        region = value["primaryRegion"]
        if isinstance(region, str) and _REGION.fullmatch(region):
            return PromotionSettings(primary_region=region, regions=_regions("promotion, regions", value["regions"]))
    raise refusal(f"{REPLICATED_BUCKETS}, promotion", value, "an object with primaryRegion, a Region, and regions")


def _entry(setting: str, entry: object, *, required: set[str], allowed: set[str]) -> dict[str, object]:
    if isinstance(entry, dict) and required <= set(entry) <= allowed:
        return entry
    needed, others = " and ".join(sorted(required)), ", ".join(sorted(allowed - required))
    raise refusal(setting, entry, f"objects with a {needed} and any of {others}")


def _name(setting: str, value: object) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise refusal(f"{setting}, name", value, "1 to 32 letters and digits that begin with a capital, not with AccessLog")


def _regions(field: str, value: object) -> tuple[str, ...]:
    if (
        isinstance(value, list)
        and all(isinstance(region, str) and _REGION.fullmatch(region) for region in value)
        and len(set(value)) == len(value) > 1
    ):
        return tuple(value)
    raise refusal(f"{REPLICATED_BUCKETS}, {field}", value, "a list of at least two Regions, each once")


def _choice(setting: str, field: str, value: object, choices: type[_Choice]) -> _Choice:
    if isinstance(value, str) and value in choices.__members__:
        return choices[value]
    raise refusal(f"{setting}, {field}", value, ", ".join(choices.__members__))


def _arns(setting: str, field: str, value: object) -> tuple[str, ...]:
    if (arns := arns_in(value)) is None:
        raise refusal(f"{setting}, {field}", value, "a list of ARNs of roles and users")
    return arns


def arns_in(value: object) -> tuple[str, ...] | None:
    """Return the ARNs that a setting lists, or None where it is something else: whose, the constructs check."""
    if isinstance(value, list) and all(isinstance(arn, str) and arn.startswith("arn:") for arn in value):
        return tuple(value)
    return None


def parsed(setting: str, value: object, allowed: str) -> object:
    """Return what a setting holds: `-c KEY=VALUE` brings text.

    Raises:
        ValueError: it is text, and no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise refusal(setting, value, allowed) from error


def refusal(setting: str, got: object, allowed: str) -> ValueError:
    """Return the error for a setting that has another value than those allowed."""
    return ValueError(f"{setting} is {got!r}; allowed: {allowed}; change it in cdk.json or on the command line (-c)")

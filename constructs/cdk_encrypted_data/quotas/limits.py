"""AWS's limits, each named once: its number, what counts, for what it holds and the page that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

_GENERAL: Final = "https://docs.aws.amazon.com/general/latest/gr"
_CLOUDFORMATION: Final = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
_IAM: Final = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
_KMS: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"
_KEY_POLICIES: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html"
_KMS_RATES: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html"
_S3_POLICIES: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"
_S3: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html"
_GLUE: Final = f"{_GENERAL}/glue.html"
_EVENTS: Final = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
_ALARMS: Final = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"


class Scope(Enum):
    """What a limit holds for."""

    RESOURCE = "resource"
    TEMPLATE = "template"
    REGION = "account and Region"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number that AWS doesn't let be exceeded.

    Attributes:
        id: What overrides and findings call it.
        name: What people call it, as in "250 NAME".
        number: The number that every account has at first.
        scope: For what it holds.
        source: The page of AWS that says so.
        adjustable: Whether AWS raises it for an account that asks.
        most: The number above which it isn't raised. None where none is documented.
        types: The CloudFormation types of what is counted, where resources are.
        lower: Regions with another number, as they are at first.
    """

    id: str
    name: str
    number: int
    scope: Scope
    source: str
    adjustable: bool = False
    most: int | None = None
    types: frozenset[str] = frozenset()
    lower: Mapping[str, int] = field(default_factory=dict)


def _of_types(
    id: str,  # noqa: A002
    name: str,
    number: int,
    scope: Scope,
    source: str,
    *types: str,
    most: int | None = None,
    lower: Mapping[str, int] | None = None,
) -> Limit:
    return Limit(
        id=id,
        name=name,
        number=number,
        scope=scope,
        source=source,
        adjustable=True,
        most=most,
        types=frozenset(types),
        lower=dict(lower or {}),
    )


TEMPLATE_RESOURCES: Final = Limit(
    id="template-resources",
    name="resources in a template",
    number=500,
    scope=Scope.TEMPLATE,
    source=_CLOUDFORMATION,
)
TEMPLATE_SIZE: Final = Limit(
    id="template-size",
    # AWS says 1 MB without saying of which kind: the smaller one, as the CDK has it.
    name="bytes in a template",
    number=1_000_000,
    scope=Scope.TEMPLATE,
    source=_CLOUDFORMATION,
)
TEMPLATE_OUTPUTS: Final = Limit(
    id="template-outputs", name="outputs in a template", number=200, scope=Scope.TEMPLATE, source=_CLOUDFORMATION
)
TEMPLATE_PARAMETERS: Final = Limit(
    id="template-parameters", name="parameters in a template", number=200, scope=Scope.TEMPLATE, source=_CLOUDFORMATION
)
TEMPLATE_MAPPINGS: Final = Limit(
    id="template-mappings", name="mappings in a template", number=200, scope=Scope.TEMPLATE, source=_CLOUDFORMATION
)
BUCKET_POLICY: Final = Limit(
    id="bucket-policy", name="bytes in a bucket policy", number=20_480, scope=Scope.RESOURCE, source=_S3_POLICIES
)
KEY_POLICY: Final = Limit(
    id="key-policy", name="bytes in a key policy", number=32_768, scope=Scope.RESOURCE, source=_KEY_POLICIES
)
KEY_ALIASES: Final = Limit(
    id="key-aliases", name="aliases of a key", number=50, scope=Scope.RESOURCE, source=_KMS, adjustable=True
)
ROLE_INLINE_POLICIES: Final = Limit(
    id="role-inline-policies",
    name="characters in a role's inline policies",
    number=10_240,
    scope=Scope.RESOURCE,
    source=_IAM,
)
ROLE_TRUST_POLICY: Final = Limit(
    id="role-trust-policy",
    name="characters in a role's trust policy",
    number=2_048,
    scope=Scope.RESOURCE,
    source=_IAM,
    adjustable=True,
    most=8_192,
)
MANAGED_POLICY: Final = Limit(
    id="managed-policy", name="characters in a managed policy", number=6_144, scope=Scope.RESOURCE, source=_IAM
)
ROLE_MANAGED_POLICIES: Final = Limit(
    id="role-managed-policies",
    name="managed policies of a role",
    # Some accounts of 2026 have 20: what holds in all of them counts.
    number=10,
    scope=Scope.RESOURCE,
    source=_IAM,
    adjustable=True,
    most=25,
)

LIMITS: Final[Mapping[str, Limit]] = MappingProxyType(
    {
        limit.id: limit
        for limit in (
            TEMPLATE_RESOURCES,
            TEMPLATE_SIZE,
            TEMPLATE_OUTPUTS,
            TEMPLATE_PARAMETERS,
            TEMPLATE_MAPPINGS,
            BUCKET_POLICY,
            KEY_POLICY,
            KEY_ALIASES,
            ROLE_INLINE_POLICIES,
            ROLE_TRUST_POLICY,
            MANAGED_POLICY,
            ROLE_MANAGED_POLICIES,
            _of_types("cloudformation-stacks", "stacks", 2_000, Scope.REGION, _CLOUDFORMATION),
            _of_types(
                "glue-security-configurations",
                "Glue security configurations",
                250,
                Scope.REGION,
                _GLUE,
                "AWS::Glue::SecurityConfiguration",
            ),
            _of_types("glue-jobs", "Glue jobs", 2_000, Scope.REGION, _GLUE, "AWS::Glue::Job"),
            _of_types("glue-connections", "Glue connections", 1_000, Scope.REGION, _GLUE, "AWS::Glue::Connection"),
            _of_types("glue-triggers", "Glue triggers", 1_000, Scope.REGION, _GLUE, "AWS::Glue::Trigger"),
            _of_types("kms-keys", "KMS keys", 100_000, Scope.REGION, _KMS, "AWS::KMS::Key", "AWS::KMS::ReplicaKey"),
            _of_types(
                "eventbridge-rules",
                "EventBridge rules on the default bus",
                300,
                Scope.REGION,
                _EVENTS,
                "AWS::Events::Rule",
                lower={"af-south-1": 100, "eu-south-1": 100},
            ),
            _of_types("cloudwatch-alarms", "CloudWatch alarms", 5_000, Scope.REGION, _ALARMS, "AWS::CloudWatch::Alarm"),
            _of_types("iam-roles", "IAM roles", 1_000, Scope.ACCOUNT, _IAM, "AWS::IAM::Role", most=10_000),
            _of_types(
                "iam-managed-policies",
                "customer managed IAM policies",
                1_500,
                Scope.ACCOUNT,
                _IAM,
                "AWS::IAM::ManagedPolicy",
                most=10_000,
            ),
            _of_types("s3-buckets", "S3 buckets", 10_000, Scope.ACCOUNT, _S3, "AWS::S3::Bucket"),
        )
    }
)
"""Every limit that is counted, by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many requests a second AWS takes of an account in a Region: what a deployment from nothing can't outrun.

    CloudFormation tries again what is refused for its rate, so a rate refuses nothing; it takes time.
    """

    operation: str
    a_second: int
    types: frozenset[str]
    source: str


RATES: Final = (
    Rate(operation="kms:CreateKey", a_second=5, types=frozenset({"AWS::KMS::Key"}), source=_KMS_RATES),
    Rate(operation="kms:CreateAlias", a_second=5, types=frozenset({"AWS::KMS::Alias"}), source=_KMS_RATES),
)


def numbers(given: Mapping[str, object]) -> dict[str, int]:
    """Return the numbers that an account has: AWS's own where ``given`` doesn't say another.

    Raises:
        ValueError: If there is no such limit, AWS raises it for nobody, or the number isn't one it can have.
    """
    checked: dict[str, int] = {}
    for name, number in given.items():
        limit = LIMITS.get(name)
        if limit is None or not limit.adjustable:
            allowed = ", ".join(each.id for each in LIMITS.values() if each.adjustable)
            why = "AWS has no such limit here" if limit is None else "AWS raises it for nobody"
            raise _refusal("limits", name, allowed, why)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise _refusal(f"limits[{name!r}]", number, "a whole number from 1", "write what Service Quotas shows")
        if limit.most is not None and number > limit.most:
            raise _refusal(f"limits[{name!r}]", number, f"at most {limit.most:,}", f"see {limit.source}")
        checked[name] = number
    return checked


def _refusal(argument: str, got: object, allowed: str, remedy: str) -> ValueError:
    # As `validation.refusal` says it, without the CDK that module needs.
    return ValueError(f"FleetQuotas: {argument} is {got!r}; allowed: {allowed}; {remedy}")

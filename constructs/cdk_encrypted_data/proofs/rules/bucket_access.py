"""Buckets: whom their policies let in."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.cloudformation.resolution import Undecided, truth
from cdk_encrypted_data.proofs.findings import Outcome, Rule, Severity, Undecidable, outcome
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Request, Said
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import STRANGER_ACCOUNT, Bucket, Caller, Inventory
from cdk_encrypted_data.proofs.spaces import Answer, Prover
from cdk_encrypted_data.proofs.subjects.outsiders import outsiders
from cdk_encrypted_data.proofs.subjects.s3 import any_request, first_allowed, looks_at, objects, services

_BLOCK_PUBLIC_ACCESS: Final = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"
)

OPEN_TO_STRANGERS: Final = Rule(
    id="bucket-open-to-strangers",
    severity=Severity.ERROR,
    claim="Nobody reaches the bucket whom no policy names.",
    because='A statement for "*" is for everybody with an Internet connection, unless a fixed value limits it.',
    remedy="Name the principals, or limit the statement to an organization, an account, a VPC endpoint or a source.",
    sources=(_BLOCK_PUBLIC_ACCESS,),
)
PUBLIC_BUT_BLOCKED: Final = Rule(
    id="bucket-policy-public-but-blocked",
    severity=Severity.ERROR,
    claim="S3 accepts the bucket's policy, and it does what it says.",
    because=(
        "With BlockPublicPolicy, which new buckets have by default, S3 refuses a policy that is public, and the "
        "deployment fails; with RestrictPublicBuckets it takes the policy and refuses the strangers."
    ),
    remedy="Name the principals, or limit the statement to an organization, an account, a VPC endpoint or a source.",
    sources=(
        _BLOCK_PUBLIC_ACCESS,
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-overview.html",
    ),
)
SERVICE_WITHOUT_SOURCE: Final = Rule(
    id="bucket-service-without-source",
    severity=Severity.WARNING,
    claim="A service that the policy names reaches the bucket only on behalf of whom the policy names.",
    because="Everybody can have a service act for them: another customer's resource reaches the bucket through it.",
    remedy="Add a condition on aws:SourceArn or aws:SourceAccount to the statement for the service.",
    sources=("https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",),
)
SERVICE_ADMINISTERS: Final = Rule(
    id="bucket-service-administers",
    severity=Severity.WARNING,
    claim="No AWS service that the policy names may change the bucket itself, or how its objects are locked.",
    because="Services deliver and read objects; who changes the encryption, the lifecycle or the locks decides.",
    remedy="Name the actions on objects that the service needs instead of s3:* or s3:Put*.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
    ),
)


def _strangers(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        if bucket.policy is None:
            continue  # without a policy S3 answers nobody of another account
        policy = _without_canonical_users(bucket.policy)
        seen, answer = replace(bucket, policy=policy), Answer()
        for stranger in outsiders(inventory, policy):
            found = any_request(prover, [stranger], seen, _of_strangers(stranger, seen))
            answer = found if found or answer.doubt is None else answer
            if found:
                break
        yield from _opened(bucket, answer)


def _without_canonical_users(policy: Policy) -> Policy:
    """Leave out what is allowed to canonical users: whoever they are, somebody has named them."""
    kept = tuple(one for one in policy.statements if not (one.allows and _names_canonical_users_alone(one)))
    return Policy(policy.name, policy.kind, kept)


def _names_canonical_users_alone(statement: Statement) -> bool:
    named = statement.principals
    if named is None or named.everyone or not named.names:
        return False
    return all(name.startswith("CanonicalUser ") for name in named.names)


def _opened(bucket: Bucket, answer: Answer) -> Iterator[Outcome]:
    """A public policy is refused where public policies are blocked; absent, all four settings are on.

    "By default, S3 Block Public Access is enabled for all new buckets", since April 2023.
    """
    place = bucket.policy_resource or bucket.resource
    block = bucket.resource.setting("PublicAccessBlockConfiguration")
    settings = {name: bucket.resource.setting("PublicAccessBlockConfiguration", name) for name in _BLOCKING}
    if not answer:
        yield from outcome(OPEN_TO_STRANGERS, place, answer, "")
    elif undecided := [one for one in (block, *settings.values()) if isinstance(one, Undecided)]:
        yield Undecidable(OPEN_TO_STRANGERS, place, undecided[0].reason)
    elif block is None or truth(settings["BlockPublicPolicy"]):
        why = "by default" if block is None else "by BlockPublicPolicy"
        words = f"that is public, and S3 refuses public policies of this bucket {why}: the deployment fails"
        yield from outcome(PUBLIC_BUT_BLOCKED, place, answer, words)
    elif truth(settings["RestrictPublicBuckets"]):
        words = "that is public, and by RestrictPublicBuckets S3 refuses every stranger nevertheless"
        yield from outcome(PUBLIC_BUT_BLOCKED, place, answer, words)
    else:
        yield from outcome(OPEN_TO_STRANGERS, place, answer, "nobody has named them, and nothing limits who they are")


_Value: TypeAlias = "str | tuple[str, ...] | None"
_BLOCKING: Final = ("BlockPublicPolicy", "RestrictPublicBuckets")
# Addresses far from each other: a policy that lets one of them pass lets a large part of the Internet pass.
_ADDRESSES: Final = ("23.7.7.7", "87.7.7.7", "151.7.7.7", "198.18.7.7", "2a7f:7::7")
_MOST_VARIANTS: Final = 2_000
_OF_SOURCES: Final = ("aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths")
_ORGANIZATION: Final = "o-strangers0"
# What nobody can claim of themselves: a stranger's value is never one that a policy has fixed. After "The meaning of
# 'public'" in access-control-block-public-access.html. An access point of the bucket is its owner's; so is whatever
# vouches for somebody in a key of another service than S3.
_FIXED: Final[Mapping[str, tuple[_Value, ...]]] = {
    "aws:principalorgid": (None, _ORGANIZATION),
    "aws:principalorgpaths": (None, (f"{_ORGANIZATION}/r-strange/ou-strange-strangers/",)),
    "aws:resourceorgid": ("o-theowners00",),
    "aws:resourceorgpaths": (("o-theowners00/r-owns/ou-owns-theowners/",),),
    "aws:sourcevpc": (None, "vpc-5742a6e55742a6e55"),
    "aws:sourcevpcarn": (None, f"arn:aws:ec2:us-east-1:{STRANGER_ACCOUNT}:vpc/vpc-5742a6e55742a6e55"),
    "aws:sourcevpce": (None, "vpce-5742a6e55742a6e55"),
    "aws:vpceaccount": (None, STRANGER_ACCOUNT),
    "aws:vpceorgid": (None, _ORGANIZATION),
    "aws:vpceorgpaths": (None, (f"{_ORGANIZATION}/r-strange/ou-strange-strangers/",)),
    "aws:sourceip": _ADDRESSES,
    "aws:sourceowner": (None,),
    "aws:userid": ("AROASTRANGERSSTRANGER:stranger",),
    "s3:dataaccesspointaccount": (None,),
    "s3:dataaccesspointarn": (None,),
    "s3:accesspointnetworkorigin": (None,),
    "s3:accessgrantsinstancearn": (None,),
    "s3:x-amz-server-side-encryption-aws-kms-key-id": (
        None,
        f"arn:aws:kms:us-east-1:{STRANGER_ACCOUNT}:key/57420000-5742-4742-8742-574200000000",
    ),
}


def _of_strangers(who: Caller, bucket: Bucket) -> list[Said]:
    """Combine the values that a stranger has of the keys that the policy looks at; all others stay open."""
    choices: dict[str, tuple[_Value, ...]] = {}
    for key, written in looks_at([bucket.policy]).items():
        values = _values_of_strangers(who, key)
        if values:
            choices[written] = values
    variants: list[Said] = [dict(zip(choices, values, strict=True)) for values in _combined(choices)]
    if who.principal.kind is Kind.SERVICE:
        return [{**one, **source} for one in variants for source in _of_sources(who, bucket)]
    return variants


def _combined(choices: Mapping[str, tuple[_Value, ...]]) -> Iterable[tuple[_Value, ...]]:
    """Combine the values of some keys; of very many all the first ones and all the last."""
    if math.prod(map(len, choices.values())) <= _MOST_VARIANTS:
        return itertools.product(*choices.values())
    return [tuple(values[place] for values in choices.values()) for place in (0, -1)]


def _values_of_strangers(who: Caller, key: str) -> tuple[_Value, ...]:
    """Return the values of a key that a stranger can have; none: the request settles it, or anybody can have any."""
    bare = Request(who.principal, "s3:GetObject", "*", STRANGER_ACCOUNT).context
    if bare.get(key) is not None or key in _OF_SOURCES:
        return ()
    if who.principal.account is None and key.startswith(("aws:principal", "aws:sourcevpc", "aws:vpce")):
        return (None,)  # neither somebody without credentials nor a service has these
    if key in _FIXED:
        return _FIXED[key]
    return () if key.startswith(("aws:", "s3:")) else (None,)


def _of_sources(who: Caller, bucket: Bucket) -> list[Said]:
    """Return for what a stranger has a service act: a resource of the stranger's that no policy fixes."""
    keys = looks_at([bucket.policy])
    service = who.principal.name.partition(".")[0]
    arns = [f"arn:aws:{service}:{bucket.region}:{STRANGER_ACCOUNT}:strangers/own"]
    for statement in () if bucket.policy is None else bucket.policy.statements:
        for condition in statement.conditions:
            if condition.key.lower() == "aws:sourcearn":
                arns += filter(None, map(_strangers_own, condition.values))
    fixed: dict[str, _Value] = {
        "aws:sourceaccount": STRANGER_ACCOUNT,
        "aws:sourceorgid": _ORGANIZATION,
        "aws:sourceorgpaths": (f"{_ORGANIZATION}/r-strange/ou-strange-strangers/",),
    }
    values: dict[str, list[_Value]] = {keys[key]: [value] for key, value in fixed.items() if key in keys}
    if "aws:sourcearn" in keys:
        values[keys["aws:sourcearn"]] = list(arns)
    asked_by_allows = () if bucket.policy is None else looks_at([_allowing(bucket.policy)])
    for key in _OF_SOURCES:
        # Not every service says every one of them, and an Allow by …IfExists takes that for a match. A Deny that looks
        # away where there is none may mean to.
        if key in asked_by_allows:
            values[keys[key]].append(None)
    return [dict(zip(values, combined, strict=True)) for combined in itertools.product(*values.values())]


def _allowing(policy: Policy) -> Policy:
    return Policy(policy.name, policy.kind, policy.allows)


def _strangers_own(pattern: str) -> str | None:
    """Return a stranger's resource that a pattern for ARNs may match: it leaves open whose, or of S3 which bucket."""
    if pattern == "*":
        return f"arn:aws:any:us-east-1:{STRANGER_ACCOUNT}:own"
    parts = pattern.split(":", 5)
    if len(parts) < 6 or "${" in pattern:  # noqa: PLR2004 - an ARN's parts
        return None
    if not re.search(r"[*?]", parts[4]) and not re.match(r"[^/]*[*?]", parts[5]):
        return None
    parts = [re.sub(r"[*?]+", "x", part) for part in parts]
    return ":".join([*parts[:4], STRANGER_ACCOUNT if parts[4] else "", parts[5]])


def _service_sources(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        for service in services(inventory, bucket):
            variants = _of_strangers(service, bucket)
            # Logs and the like are delivered under the account that they are of: another's can't come there.
            targets = [one for one in objects(bucket) if not re.search(r"/\d{12}/", one.arn)]
            answer = first_allowed(prover, [service], _SERVICES_DO, targets, variants)
            words = "nothing ties the service to a resource or an account, so it does this for any of its customers"
            yield from outcome(SERVICE_WITHOUT_SOURCE, bucket.policy_resource or bucket.resource, answer, words)


_SERVICES_DO: Final = ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject")


def _service_administers(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    """Whatever a service's source is: nothing that it does for the bucket's owner either needs this."""
    for bucket in inventory.buckets:
        for service in services(inventory, bucket):
            answer = prover.allowed([service], _ADMINISTRATION, bucket.target)
            if not answer and answer.doubt is None:
                answer = first_allowed(prover, [service], _ADMINISTRATION_OF_OBJECTS, objects(bucket), [{}])
            words = "what the service does for somebody can change who reads the bucket, or what becomes of its objects"
            yield from outcome(SERVICE_ADMINISTERS, bucket.policy_resource or bucket.resource, answer, words)


# The policy isn't among them: S3 lets nobody change it but principals of the bucket's own account.
_ADMINISTRATION: Final = (
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketAcl",
    "s3:PutBucketOwnershipControls",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
    "s3:PutBucketVersioning",
    "s3:PutBucketLogging",
    "s3:DeleteBucket",
)
_ADMINISTRATION_OF_OBJECTS: Final = (
    "s3:BypassGovernanceRetention",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:UpdateObjectEncryption",
)


CHECKS: Final = (_strangers, _service_sources, _service_administers)
RULES: Final[tuple[Rule, ...]] = (OPEN_TO_STRANGERS, PUBLIC_BUT_BLOCKED, SERVICE_WITHOUT_SOURCE, SERVICE_ADMINISTERS)

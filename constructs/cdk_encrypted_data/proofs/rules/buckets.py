"""Buckets: over which connections they answer, and whether their policies are about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cdk_encrypted_data.proofs.attachments import UNDECIDED, compiled
from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Opaque, Resource, listed
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, outcome
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import PolicyKind, Statement
from cdk_encrypted_data.proofs.inventory import Bucket, Inventory, Target
from cdk_encrypted_data.proofs.spaces import TLS, Prover
from cdk_encrypted_data.proofs.subjects.s3 import (
    BUCKET_ACTIONS,
    OBJECT_ACTIONS,
    any_request,
    askers,
    first_allowed,
    looks_at,
    objects,
    relevant,
    services,
    unsaid_account,
)

_READ: Final = ("s3:GetObject",)
_POLICY_LANGUAGE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html"

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
WEAK_TLS: Final = Rule(
    id="bucket-weak-tls",
    severity=Severity.WARNING,
    claim="A policy that looks at the version of TLS lets none below 1.2 pass.",
    because=(
        "S3's own endpoints have stopped answering below TLS 1.2; who writes a condition wants it held by the policy "
        "as well, and this one doesn't hold it."
    ),
    remedy="Deny s3:* on the bucket and its objects with NumericLessThan s3:TlsVersion 1.2, to everybody.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingEncryptionInTransit.html",),
)
POLICY_ELSEWHERE: Final = Rule(
    id="bucket-policy-elsewhere",
    severity=Severity.ERROR,
    claim="Each action of a statement is one on the bucket or on its objects, as the statement's resources are.",
    because='S3 refuses the policy ("Action does not apply to any resource(s) in statement"), or it has no effect.',
    remedy="Name the bucket's ARN for actions on the bucket and the ARN with /* for actions on objects.",
    sources=(
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html",
        _POLICY_LANGUAGE,
    ),
)
UNREADABLE: Final = Rule(
    id="bucket-unreadable",
    severity=Severity.WARNING,
    claim="Somebody can read what the bucket stores.",
    because="A Deny that is wider than it was meant to be closes the bucket to everybody, administrators too.",
    remedy="Name in the Deny only the actions that it is about: what its condition asks for, a GetObject may not have.",
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
        _POLICY_LANGUAGE,
    ),
)
TWO_POLICIES: Final = Rule(
    id="bucket-two-policies",
    severity=Severity.ERROR,
    claim="One resource says what a bucket's policy is.",
    because=(
        "A bucket has one policy: the later AWS::S3::BucketPolicy replaces the earlier one, with all that it refused, "
        "or fails because the bucket has a policy already. Which is later isn't said."
    ),
    remedy="Put the statements of both into one AWS::S3::BucketPolicy.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucketpolicy.html",
    ),
)


# Over which connections.


def _transport(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        place = bucket.policy_resource or bucket.resource
        callers = askers(inventory, bucket)
        yield from outcome(
            PLAIN_HTTP,
            place,
            any_request(prover, callers, bucket, [{"aws:SecureTransport": "false"}]),
            "the object and the signed request travel in the clear",
        )
        if "s3:tlsversion" in looks_at([bucket.policy]):
            weak: list[Said] = [{"aws:SecureTransport": "true", "s3:TlsVersion": one} for one in ("1.0", "1.1")]
            words = "the policy looks at the version of TLS, and lets one pass that is broken"
            yield from outcome(WEAK_TLS, place, any_request(prover, callers, bucket, weak), words)


# Whether it leaves anything possible.


def _readers(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        if bucket.policy is None or not any(one.acts(_READ[0].lower()) for one in bucket.policy.denies):
            continue  # IAM lets an administrator read
        callers = [*askers(inventory, bucket, as_administrators=True), *services(inventory, bucket)]
        said = relevant(TLS, callers, bucket)
        answer = first_allowed(prover, callers, _READ, objects(bucket), [said])
        if answer:
            continue
        place = bucket.policy_resource or bucket.resource
        doubt = answer.doubt or unsaid_account(bucket)
        if doubt is not None:
            yield Undecidable(UNREADABLE, place, doubt)
            continue
        refused = prover.refused(callers[:1], _READ, bucket.objects, [said])
        yield from outcome(
            UNREADABLE, place, refused, "and nobody else may either, so what is stored there stays unread"
        )


# Whether the policy is about this bucket.


def _resources(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        if bucket.policy_resource is None:
            continue
        document = bucket.policy_resource.properties.get("PolicyDocument")
        if not isinstance(document, Mapping):
            continue
        for position, written in enumerate(listed(document.get("Statement"))):
            if isinstance(written, Mapping):
                yield from _misplaced(bucket, document, written, position)


def _misplaced(
    bucket: Bucket, document: Mapping[str, Json], written: Mapping[str, Json], position: int
) -> Iterator[Outcome]:
    place = bucket.policy_resource or bucket.resource
    name = f"statement {written.get('Sid', position)}"
    whole = {**document, "Statement": [written]}
    for statement in compiled(whole, PolicyKind.RESOURCE, name).statements:
        on_bucket = _concerns(statement, bucket.target)
        on_objects = any(_concerns(statement, target) for target in objects(bucket))
        doubt = next((one.key for one in statement.conditions if one.operator == UNDECIDED), None)
        wrong = list(_inapplicable(statement, on_bucket=on_bucket, on_objects=on_objects))
        if not wrong:
            continue
        if doubt is not None:
            yield Undecidable(POLICY_ELSEWHERE, place, doubt)
        elif not on_bucket and not on_objects:
            words = f"none of the resources of {name} is {bucket.arn} or an object of it: it applies to no request"
            yield Finding(POLICY_ELSEWHERE, place, words, "Properties/PolicyDocument")
        else:
            kind, other = ("the bucket", "objects") if on_objects else ("objects", "the bucket")
            words = f"{' and '.join(wrong)} of {name} {'is' if len(wrong) == 1 else 'are'} asked of {kind}, and all "
            words += f"its resources are {other}: no request is both"
            yield Finding(POLICY_ELSEWHERE, place, words, "Properties/PolicyDocument")


def _inapplicable(statement: Statement, *, on_bucket: bool, on_objects: bool) -> Iterator[str]:
    """Name the actions that no resource of the statement is for; of a pattern one action that is for one is enough."""
    for written in listed(statement.written.get("Action")):
        if not isinstance(written, str):
            continue
        pattern = re.compile(re.escape(written.lower()).replace(r"\*", ".*").replace(r"\?", "."))
        for_bucket = any(pattern.fullmatch(action.lower()) for action in BUCKET_ACTIONS)
        for_objects = any(pattern.fullmatch(action.lower()) for action in OBJECT_ACTIONS)
        # An action that isn't in the tables may be new.
        if (for_bucket or for_objects) and not (for_bucket and on_bucket) and not (for_objects and on_objects):
            yield written


def _concerns(statement: Statement, target: Target) -> bool:
    if any("${" in one for one in listed(statement.written.get("Resource")) if isinstance(one, str)):
        return True  # who asks decides which resource it is
    try:
        return statement.concerns(target.arn, {})
    except Unmodelled:
        return True


# Whether it is the bucket's policy.


def _policies(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    by_bucket: dict[tuple[str, str], list[Resource]] = {}
    for policy in inventory.assembly.resources_of_type("AWS::S3::BucketPolicy"):
        named = policy.setting("Bucket")
        if isinstance(named, str) and not isinstance(named, Opaque):
            by_bucket.setdefault((policy.account, named), []).append(policy)
    buckets = {bucket.name: bucket.resource.title for bucket in inventory.buckets}
    for (_, name), policies in by_bucket.items():
        if len(policies) > 1:
            yield from _several(buckets.get(name, name), policies)


def _several(bucket: str, policies: list[Resource]) -> Iterator[Outcome]:
    there = [policy for policy in policies if policy.present is True]
    if len(there) > 1:
        first, *others = (policy.title for policy in there)
        words = (
            f"{first} and {' and '.join(others)} are both the policy of {bucket}, which has one: the later replaces "
        )
        words += "the earlier, whose statements then hold no more, or its deployment fails"
        yield Finding(TWO_POLICIES, there[-1], words, "Properties/Bucket")
        return
    reason = next(policy.present.reason for policy in policies if policy.present is not True)
    yield Undecidable(TWO_POLICIES, policies[-1], reason)


CHECKS: Final = (_transport, _readers, _resources, _policies)
RULES: Final[tuple[Rule, ...]] = (
    PLAIN_HTTP,
    WEAK_TLS,
    UNREADABLE,
    POLICY_ELSEWHERE,
    TWO_POLICIES,
)

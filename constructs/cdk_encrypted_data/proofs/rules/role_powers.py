"""Roles and users that work with data: what they may do to it, or to its key, beyond reading and writing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Prover
from cdk_encrypted_data.proofs.subjects.candidates import candidates

_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt")
_POWERS: Final = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey")
# Kinds of object actions that nothing but a wildcard brings together.
_KINDS: Final = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObjectVersion",
    "s3:PutObjectAcl",
    "s3:BypassGovernanceRetention",
    "s3:ReplicateObject",
    "s3:ObjectOwnerOverrideToBucketOwner",
)
_LEAST_PRIVILEGE: Final = "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege"

ADMINISTERS_KEY: Final = Rule(
    id="role-administers-key",
    severity=Severity.WARNING,
    claim="A role or user of the templates that uses a key can't administer it.",
    because="Whoever takes the role over reads the data and then takes the key from everybody else.",
    remedy="Allow the role the cryptographic actions that it needs, by their names.",
    sources=(
        _LEAST_PRIVILEGE,
        "https://docs.aws.amazon.com/kms/latest/developerguide/iam-policies-best-practices.html",
    ),
)
EVERY_OBJECT_ACTION: Final = Rule(
    id="role-with-every-object-action",
    severity=Severity.NOTE,
    claim="No role or user of the templates may do everything to a bucket's objects.",
    because="Erasing versions, going past retention and posing as replication come with the wildcard unasked.",
    remedy="Name the actions on objects that the role needs.",
    sources=(
        _LEAST_PRIVILEGE,
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
    ),
)


def _keys(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    near = candidates(inventory.callers, inventory.keys, _POWERS)
    for key in inventory.keys:
        for caller in near[key.arn]:
            yield from _administers(prover, caller, key)


def _administers(prover: Prover, caller: Caller, key: Key) -> Iterator[Outcome]:
    powers = prover.allowed([caller], _POWERS, key.target)
    if powers.case is None and powers.doubt is None:
        return
    use = prover.allowed([caller], _USE, key.target)
    resource = caller.resource or key.resource
    if powers.case is not None and use.case is not None:
        words = f"{in_words(use.case)}, and {in_words(powers.case)}: who uses the key can take it from everybody else"
        yield Finding(ADMINISTERS_KEY, resource, words)
    elif (powers.case or powers.doubt) and (use.case or use.doubt):
        yield Undecidable(ADMINISTERS_KEY, resource, powers.doubt or use.doubt or "")


def _objects(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    near = candidates(inventory.callers, inventory.buckets, ("s3:BypassGovernanceRetention",))
    for bucket in inventory.buckets:
        for caller in near[bucket.arn]:
            yield from _does_everything(prover, caller, bucket)


def _does_everything(prover: Prover, caller: Caller, bucket: Bucket) -> Iterator[Outcome]:
    answers = [_may(prover, caller, bucket, action) for action in _KINDS]
    resource = caller.resource or bucket.resource
    if all(answer.case for answer in answers):
        case = next(answer.case for answer in reversed(answers) if answer.case)
        words = f"{in_words(case)}, and everything else on objects: it erases versions and goes past retention"
        yield Finding(EVERY_OBJECT_ACTION, resource, words)
    elif all(answer.case or answer.doubt for answer in answers):
        doubt = next(answer.doubt for answer in answers if answer.case is None)
        yield Undecidable(EVERY_OBJECT_ACTION, resource, doubt or "")


def _may(prover: Prover, caller: Caller, bucket: Bucket, action: str) -> Answer:
    return prover.allowed([caller], [action], bucket.objects, [TLS])


CHECKS: Final = (_keys, _objects)
RULES: Final[tuple[Rule, ...]] = (ADMINISTERS_KEY, EVERY_OBJECT_ACTION)

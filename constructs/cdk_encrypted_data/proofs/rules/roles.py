"""Roles and users: what they may beyond the data that they are for, and whether anybody can be them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from cdk_encrypted_data.proofs.attachments import UNDECIDED, compiled
from cdk_encrypted_data.proofs.cloudformation.resolution import Resource, truth
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words, outcome
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, Bucket, Caller, Inventory, Target
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Case, Prover
from cdk_encrypted_data.proofs.subjects.candidates import candidates
from cdk_encrypted_data.proofs.subjects.outsiders import principal_like
from cdk_encrypted_data.proofs.subjects.plaintext import keys_within, looks_at
from cdk_encrypted_data.proofs.subjects.uses import unsaid

_IAM: Final = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
_DATA: Final = ("s3:GetObject", "s3:PutObject")
_LISTING: Final = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
# What decides how a bucket's objects are protected, kept and copied.
_PROTECTION: Final = (
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutEncryptionConfiguration",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketAcl",
)
_ASSUMING: Final = ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML")

EVERY_KEY: Final = Rule(
    id="role-on-every-key",
    severity=Severity.WARNING,
    claim="Nobody may decrypt with every key of the account.",
    because="The statement reaches keys that are made for other data, later too.",
    remedy="Name the keys in the statement, or say which they are by kms:ResourceAliases or aws:ResourceTag.",
    sources=(
        "https://docs.aws.amazon.com/securityhub/latest/userguide/kms-controls.html#kms-1",
        "https://docs.aws.amazon.com/securityhub/latest/userguide/kms-controls.html#kms-2",
        "https://docs.aws.amazon.com/kms/latest/developerguide/iam-policies-best-practices.html",
    ),
)
EVERY_BUCKET: Final = Rule(
    id="role-on-every-bucket",
    severity=Severity.NOTE,
    claim="Nobody may work with every bucket of the account.",
    because="The statement reaches buckets that are made for other data, later too.",
    remedy="Name the buckets in the statement.",
    sources=(f"{_IAM}/best-practices.html#grant-least-privilege",),
)
CHANGES_PROTECTION: Final = Rule(
    id="role-changes-protection",
    severity=Severity.WARNING,
    claim="Who reads or writes a bucket's objects can't change what protects them.",
    because="Whoever takes the role over first takes the protection away: the policy, the encryption, the versions.",
    remedy="Allow the role actions on objects only, by their names; leave the bucket's settings to deployments.",
    sources=(
        f"{_IAM}/best-practices.html#grant-least-privilege",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
    ),
)
NOT_ASSUMABLE: Final = Rule(
    id="role-not-assumable",
    severity=Severity.WARNING,
    claim="Somebody can assume a role.",
    because="What nobody can assume gives nobody anything, and whatever was to run as the role fails.",
    remedy="Allow sts:AssumeRole (for federated users its like) to whom the role is for, by conditions that can hold.",
    sources=(f"{_IAM}/id_roles_update-role-trust-policy.html", f"{_IAM}/troubleshoot_roles.html"),
)


# What no template knows.


def _everything(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for caller in inventory.callers:
        if caller.resource is not None:
            yield from _every_key(prover, caller, caller.resource)
            yield from _every_bucket(prover, caller, caller.resource)


def _every_key(prover: Prover, caller: Caller, resource: Resource) -> Iterator[Outcome]:
    account = resource.account
    arn = f"arn:aws:kms:{resource.region}:{account}:key/00000000-1111-4222-8333-444444444444"
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Sid": "Default", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    target = Target(arn, account, compiled(document, PolicyKind.RESOURCE, "KMS's default policy for a key"))
    answer = prover.allowed([caller], ("kms:Decrypt", "kms:ReEncryptFrom"), target, [_nothing_meant(caller)])
    yield from outcome(
        EVERY_KEY, resource, answer, "it decrypts what is under any key of the account that leaves it to IAM"
    )


def _every_bucket(prover: Prover, caller: Caller, resource: Resource) -> Iterator[Outcome]:
    bucket = "arn:aws:s3:::a-bucket-that-no-template-knows"
    said = {**TLS, **_nothing_meant(caller)}
    on_objects = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    target = Target(f"{bucket}/an-object", resource.account, None)
    answer = prover.allowed([caller], on_objects, target, [said])
    if answer.case is None:
        listed = prover.allowed([caller], _LISTING, Target(bucket, resource.account, None), [said])
        answer = listed if listed.case is not None else Answer(None, answer.doubt or listed.doubt)
    yield from outcome(EVERY_BUCKET, resource, answer, "it may the same in any bucket of the account")


# By these a statement means certain keys and buckets though its Resource is a wildcard. An encryption context isn't
# among them: it means data, under whatever key they are.
_MEANING: Final = ("kms:resourcealiases", "kms:requestalias", "s3:dataaccesspoint")
_TAGS: Final = ("aws:resourcetag/", "s3:buckettag/", "s3:existingobjecttag/")


def _nothing_meant(caller: Caller) -> Said:
    """Return a request in which nothing says which key or bucket it is: no tag and no alias."""
    policies = (*caller.identity, *(() if caller.boundary is None else (caller.boundary,)))
    keys = looks_at(statement for policy in policies for statement in policy.statements)
    return {key: None for key in keys if key.lower().startswith((*_MEANING, *_TAGS))}


# What protects a bucket.


def _protection(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    near = candidates(inventory.callers, inventory.buckets, (*_PROTECTION, "s3:BypassGovernanceRetention"))
    changing: dict[Caller, list[Bucket]] = {}
    for bucket in inventory.buckets:
        for caller in near[bucket.arn]:
            changing.setdefault(caller, []).append(bucket)
    for caller, buckets in changing.items():
        yield from _changes(prover, caller, buckets)


def _changes(prover: Prover, caller: Caller, buckets: Sequence[Bucket]) -> Iterator[Outcome]:
    doubt: str | None = None
    found: Finding | None = None
    titles: list[str] = []
    for bucket in buckets:
        resource = caller.resource or bucket.resource
        changed, data = _both(prover, caller, bucket)
        if changed.case is not None and data.case is not None:
            effect = "it works with the data and can undo what protects them"
            words = f"{in_words(data.case)}, and {in_words(changed.case)}: {effect}"
            found = found or Finding(CHANGES_PROTECTION, resource, words)
            titles.append(bucket.resource.title)
        elif (changed.case or changed.doubt) and (data.case or data.doubt):
            doubt = doubt or changed.doubt or data.doubt
    if found is not None:
        others = f"; so of {', '.join(titles[1:])}" if titles[1:] else ""
        yield replace(found, counterexample=f"{found.counterexample}{others}")
    elif doubt is not None:
        yield Undecidable(CHANGES_PROTECTION, caller.resource or buckets[0].resource, doubt)


def _both(prover: Prover, caller: Caller, bucket: Bucket) -> tuple[Answer, Answer]:
    """Search how the caller changes what protects a bucket, and how it reads or writes there."""
    changed = prover.allowed([caller], _PROTECTION, bucket.target, [TLS])
    if not changed and truth(bucket.resource.setting("ObjectLockEnabled")):
        changed = prover.allowed([caller], ["s3:BypassGovernanceRetention"], bucket.objects, [TLS])
    if changed.case is None and changed.doubt is None:
        return changed, Answer()
    doubt: str | None = None
    for arn in keys_within(bucket, caller):
        data = prover.allowed([caller], _DATA, Target(arn, bucket.account, bucket.policy), [TLS])
        if data:
            return changed, data
        doubt = doubt or data.doubt
    return changed, Answer(None, doubt)


# Trust.


def _trust(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for caller in inventory.callers:
        trust, resource = caller.trust, caller.resource
        if trust is None or resource is None or resource.arn is None:
            continue
        target = Target(resource.arn, resource.account, trust)
        whoever = list(_trusted(inventory, trust, resource.account))
        answers = [prover.hopeless(whoever, [action], target) for action in _ASSUMING]
        if not all(answer.case or answer.doubt for answer in answers):
            continue
        doubt = next((answer.doubt for answer in answers if answer.doubt), None) or _unknown(trust) or unsaid(resource)
        place = "Properties/AssumeRolePolicyDocument"
        if doubt is not None:
            yield Undecidable(NOT_ASSUMABLE, resource, doubt)
        else:
            refused = _shown(trust, answers)
            words = f"{in_words(refused)}, nor may anybody else: nothing runs as the role" if refused else ""
            yield Finding(NOT_ASSUMABLE, resource, words, place)


def _unknown(trust: Policy) -> str | None:
    """Say what isn't known of whom a trust policy names: then nobody knows whom to ask about."""
    conditions = (one for statement in trust.allows for one in statement.conditions)
    return next((one.key for one in conditions if one.operator == UNDECIDED), None)


def _shown(trust: Policy, answers: Sequence[Answer]) -> Case | None:
    """Choose the action to show: one that the trust policy is about, if there is one."""
    cases = [answer.case for answer in answers if answer.case is not None]
    about = (case for case in cases if any(one.acts(case.request.lowered_action) for one in trust.allows))
    return next(about, cases[0] if cases else None)


def _trusted(inventory: Inventory, trust: Policy, account: str) -> Iterator[Caller]:
    """Yield everybody whom a trust policy may let assume the role, with IAM policies that allow everything."""
    for caller in inventory.named_by([trust]):
        yield caller if caller.principal.kind is Kind.SERVICE else _unlimited(caller)
    for name in sorted({name for one in trust.statements if one.principals for name in one.principals.names}):
        yield from _beside(name)
    conditions = [one for statement in trust.statements for one in statement.conditions]
    for value in (value for one in conditions if one.key.lower() == "aws:principalarn" for value in one.values):
        if named := principal_like(value, account):
            yield named
    # Last, for it is who a refusal names least well.
    yield inventory.administrator(account)
    if any(one.principals is not None and one.principals.everyone for one in trust.allows):
        yield from inventory.strangers()


def _unlimited(caller: Caller) -> Caller:
    return replace(caller, identity=(FULL_ACCESS,), boundary=None)


_SESSION: Final = re.compile(r"AWS (arn:[a-z\-]+):sts::(\d{12}):assumed-role/([^/]+)/(.+)")


def _beside(name: str) -> Iterator[Caller]:
    """Yield who a name means that isn't an account's, a user's, a role's or a service's: federated users, sessions."""
    kind, _, value = name.partition(" ")
    if kind == "Federated":
        yield Caller(principals.federated(value), f"a user for whom {value} vouches")
    elif session := _SESSION.fullmatch(name):
        partition, account, role, session_name = session.groups()
        who = principals.principal(f"{partition}:iam::{account}:role/{role}", session_name=session_name)
        yield Caller(who, value, (FULL_ACCESS,))


CHECKS: Final = (_everything, _protection, _trust)
RULES: Final[tuple[Rule, ...]] = (EVERY_KEY, EVERY_BUCKET, CHANGES_PROTECTION, NOT_ASSUMABLE)

"""Replication roles: whether S3 can take every step of every copy as the role, and what else it could do as it.

The steps are those of [perm] setting-repl-config-perm-overview.html and [kms] replication-config-for-kms-objects.html,
below https://docs.aws.amazon.com/AmazonS3/latest/userguide/. A step is reported only if no request of its kind is
allowed, whatever the keys hold that AWS doesn't document of S3's own requests.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Resource, known, truth
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy, compile_policy
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from cdk_encrypted_data.proofs.iam.principals import Named
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import PolicyKind, Statement
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, Bucket, Caller, Inventory, Key, Target
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Case, Prover
from cdk_encrypted_data.proofs.subjects.copies import (
    Copy,
    UnsaidError,
    copies,
    guarded,
    kms_default,
    once,
    uses_bucket_key,
)

_GUIDE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
_PERMISSIONS: Final = f"{_GUIDE}/setting-repl-config-perm-overview.html"
_ENCRYPTED: Final = f"{_GUIDE}/replication-config-for-kms-objects.html"
_FAILURES: Final = f"{_GUIDE}/replication-failure-codes.html"

ROLE_CANNOT: Final = Rule(
    id="replication-role-cannot",
    severity=Severity.ERROR,
    claim="S3 can take every step of a copy as the replication role.",
    because="S3 takes the configuration as it is, and then every replica fails; nobody is told.",
    remedy=(
        "Allow the step in the role's policy and, for keys, in the key's policy. The encryption context is the "
        "bucket's ARN where objects have an S3 Bucket Key, and the object's ARN where they haven't: list both."
    ),
    sources=(_PERMISSIONS, _ENCRYPTED, _FAILURES, f"{_GUIDE}/bucket-key.html"),
)
ROLE_CANNOT_ALWAYS: Final = Rule(
    id="replication-role-cannot-always",
    severity=Severity.WARNING,
    claim="S3 can also copy objects that differ from the bucket's default: tagged ones, with or without a bucket key.",
    because="Most objects arrive, so nobody looks for those that don't.",
    remedy="Allow the step. List both forms of the encryption context: the bucket's ARN and that of its objects.",
    sources=(_PERMISSIONS, _ENCRYPTED, f"{_GUIDE}/bucket-key.html"),
)
ROLE_EXCESS: Final = Rule(
    id="replication-role-excess",
    severity=Severity.WARNING,
    claim="The replication role can replicate between its own buckets, with their keys through S3, and nothing else.",
    because="The role reads everything that is stored. Whoever may pass it or assume it gets what it may beyond that.",
    remedy=(
        "Name the actions, the buckets and the keys. Limit the keys by kms:ViaService (s3.REGION.amazonaws.com) and by "
        "kms:EncryptionContext:aws:s3:arn (the bucket's ARN and that of its objects)."
    ),
    sources=(_PERMISSIONS, _ENCRYPTED),
)
NOT_ASSUMABLE: Final = Rule(
    id="replication-role-not-assumable",
    severity=Severity.ERROR,
    claim="S3 can assume the replication role.",
    because="S3 copies nothing otherwise.",
    remedy="Allow sts:AssumeRole to the service s3.amazonaws.com in the role's trust policy.",
    sources=(_PERMISSIONS, _FAILURES),
)
DESTINATION_REFUSES: Final = Rule(
    id="replication-destination-refuses",
    severity=Severity.ERROR,
    claim="The destination's policy lets the replication role store replicas.",
    because="S3 takes the configuration as it is, and then every replica fails; nobody is told.",
    remedy=(
        "Except the role from the statement that denies. A destination of another account must allow the role "
        "s3:ReplicateObject, s3:ReplicateDelete and s3:ReplicateTags on its objects."
    ),
    sources=(_PERMISSIONS, _FAILURES),
)

_CONTEXT: Final = "kms:EncryptionContext:aws:s3:arn"
# S3 replicates from its own network, over TLS, as a role that it assumed without MFA. Whether aws:ViaAWSService is true
# of its requests isn't documented.
_AS_S3: Final[tuple[Said, ...]] = tuple(
    {**TLS, "aws:SourceVpce": None, "aws:SourceVpc": None, "aws:MultiFactorAuthPresent": None, "aws:ViaAWSService": via}
    for via in ("true", "false")
)
_EVERYBODY: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
_ANYTHING: Final = compile_policy(
    {"Version": "2012-10-17", "Statement": [_EVERYBODY]},
    PolicyKind.RESOURCE,
    name="a policy that isn't in the templates",
)
_OTHER_BUCKET: Final = "arn:aws:s3:::any-other-bucket"
_ACCOUNT: Final = re.compile(r"(?<!\d)\d{12}(?!\d)")


# What S3 must be able to do.


@dataclass(frozen=True, slots=True)
class _Step:
    """One of S3's requests: any of the actions will do, and any of the variants is how it may come.

    ``certain``: what lies in the source by default takes it. ``unknown``: why an answer "allowed" is none.
    """

    actions: tuple[str, ...]
    target: Target
    variants: Sequence[Said]
    lost: str
    certain: bool = True
    into: Bucket | None = None
    unknown: str | None = None


def _source_steps(copy: Copy) -> Iterator[_Step]:
    bucket, objects = copy.source.target, _objects(copy.source.target, copy)
    encrypted = kms_default(copy.source) is not None
    yield _Step(("s3:GetReplicationConfiguration",), bucket, _AS_S3, "S3 can't read its orders, and copies nothing")
    yield _Step(
        ("s3:ListBucket",),
        bucket,
        _AS_S3,
        "S3 can't see delete markers, and what is deleted here stays there",
        certain=copy.copies_deletions,
    )
    yield _Step(
        # s3:GetObjectVersion "allows replication of unencrypted and SSE-S3-encrypted objects, but not of" others. [kms]
        ("s3:GetObjectVersionForReplication", *(() if encrypted and copy.selects_kms else ("s3:GetObjectVersion",))),
        objects,
        _AS_S3,
        "no object is copied (SrcGetObjectNotPermitted)",
    )
    yield _Step(
        ("s3:GetObjectVersionAcl",), objects, _AS_S3, "S3 can't read what belongs to the object, and it isn't copied"
    )
    yield _Step(
        ("s3:GetObjectVersionTagging",),
        objects,
        _AS_S3,
        "the replica of a tagged object has no tags, and nothing says so",
        certain=copy.by_tags,
    )
    if truth(copy.source.resource.setting("ObjectLockEnabled")):
        for action in ("s3:GetObjectRetention", "s3:GetObjectLegalHold"):
            yield _Step((action,), objects, _AS_S3, "S3 can't copy an object's lock, and the object isn't copied")


def _destination_steps(copy: Copy) -> Iterator[_Step]:
    arn, destination = copy.destination_arn, copy.destination
    if arn is None or not re.fullmatch(r"arn:[a-z-]+:s3:::[^:/*]+", arn):
        raise UnsaidError("which bucket the destination is can't be known before deployment")
    bucket = destination.target if destination else Target(arn, _owner(copy), _ANYTHING)
    unknown = None if destination else f"the policy of the destination {arn} isn't in these templates"
    objects = _objects(bucket, copy)

    def step(action: str, lost: str, *, certain: bool = True) -> _Step:
        return _Step((action,), objects, _AS_S3, lost, certain=certain, into=destination, unknown=unknown)

    yield step("s3:ReplicateObject", "no replica is stored (DstPutObjectNotPermitted)")
    if copy.copies_deletions:
        yield step("s3:ReplicateDelete", "what is deleted here stays there (DstDelObjNotPermitted)")
    yield step("s3:ReplicateTags", "the replica of a tagged object has no tags", certain=copy.by_tags)
    if destination and copy.setting("Destination", "AccessControlTranslation") is not None and _has_owners(destination):
        yield step(
            "s3:ObjectOwnerOverrideToBucketOwner", "S3 can't change the replica's owner, and no replica is stored"
        )


def _has_owners(bucket: Bucket) -> bool:
    """Whether objects may have other owners; if not, nothing has to be overridden (replication-change-owner.html)."""
    ownership = bucket.resource.setting("OwnershipControls", "Rules", 0, "ObjectOwnership")
    return ownership in ("ObjectWriter", "BucketOwnerPreferred")


def _owner(copy: Copy) -> str:
    account = copy.setting("Destination", "Account")
    return account if isinstance(account, str) and _ACCOUNT.fullmatch(account) else copy.source.account


def _objects(bucket: Target, copy: Copy) -> Target:
    return replace(bucket, arn=f"{bucket.arn}/{copy.prefix}an-object")


def _decryption_steps(copy: Copy) -> Iterator[_Step]:
    default = kms_default(copy.source)
    if default is None or default.key is None or not copy.selects_kms:
        return  # without a key of its own it is aws/s3, whose policy is AWS's
    key = copy.key(copy.source, default.key)
    if key is None:
        raise UnsaidError(f"the key {default.key} isn't in these templates")
    forms = _forms(copy.source.arn, copy)
    for certain, form in zip((True, False), forms if uses_bucket_key(default) else reversed(forms), strict=True):
        variants = [_through_s3(copy.source.region, form)]
        yield _Step(("kms:Decrypt",), key.target, variants, _lost(certain=certain), certain=certain)


def _encryption_steps(copy: Copy) -> Iterator[_Step]:
    destination, written = copy.destination, copy.replica_key
    if kms_default(copy.source) is None or not copy.selects_kms or written is None:
        return  # to name no key is another rule's
    if destination is None:
        raise UnsaidError(f"the Region of the destination {copy.destination_arn} isn't in these templates")
    key = copy.key(destination, written)
    if key is None:
        raise UnsaidError(f"the key {written} isn't in these templates")
    if known(key.region) and known(destination.region) and key.region != destination.region:
        return  # that is another rule's
    # "If your source object uses an S3 Bucket Key … the replica object maintains" it (bucket-key.html). Without one in
    # the source and with one in the destination AWS's pages leave open which form it is: either will do.
    here, there = uses_bucket_key(kms_default(copy.source)), uses_bucket_key(kms_default(destination))
    forms = _forms(destination.arn, copy)
    variants = [_through_s3(destination.region, form) for form in forms]
    certain = [variants[0]] if here else variants if there else [variants[1]]
    yield _Step(("kms:Encrypt",), key.target, certain, _lost(certain=True))
    for variant in variants:
        yield _Step(("kms:Encrypt",), key.target, [variant], _lost(certain=False), certain=False)
    if here or there:
        # "must include kms:Decrypt … The call to kms:Decrypt verifies the integrity of the S3 Bucket Key". [kms]
        yield _Step(("kms:Decrypt",), key.target, [variants[0]], _lost(certain=here), certain=here)


def _forms(bucket: str, copy: Copy) -> tuple[str, str]:
    """Return the encryption contexts of an object with a bucket key and of one without."""
    return bucket, f"{bucket}/{copy.prefix}an-object"


def _through_s3(region: str, context: str) -> Said:
    said: dict[str, str] = {_CONTEXT: context}
    # A Region that isn't known is no reason to say that a policy names the wrong one.
    return {**said, "kms:ViaService": _s3(region)} if known(region) else said


def _s3(region: str) -> str:
    return f"s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _lost(*, certain: bool) -> str:
    if certain:
        return "every object that the bucket's default encrypts fails to be copied"
    return "an object with another bucket-key setting than the bucket's default fails to be copied"


def _capability(copy: Copy, prover: Prover) -> Iterator[Outcome]:
    """Yield what S3 can't do as the role, and who is to blame."""
    if not copy.enabled():
        return
    role = copy.role
    if role is None:
        yield Undecidable(ROLE_CANNOT, copy.source.resource, f"the role {copy.role_arn} isn't in these templates")
        yield from _refusals_of_stranger(copy, prover)
        return
    for steps in (_source_steps, _destination_steps, _decryption_steps, _encryption_steps):
        yield from guarded(ROLE_CANNOT, copy, _failures(steps(copy), role, copy, prover))


def _failures(steps: Iterable[_Step], role: Caller, copy: Copy, prover: Prover) -> Iterator[Outcome]:
    failed: set[tuple[str, ...]] = set()
    for step in steps:
        # What fails by default isn't told again of the exceptions.
        told = step.actions in failed or (step.into is not None and ("s3:ReplicateObject",) in failed)
        if step.certain or not told:
            found = list(_failure(step, role, copy, prover))
            if found:
                failed.add(step.actions)
            yield from found


def _failure(step: _Step, role: Caller, copy: Copy, prover: Prover) -> Iterator[Outcome]:
    rule = ROLE_CANNOT if step.certain else ROLE_CANNOT_ALWAYS
    answer = _never_allowed(step, role, prover)
    if answer.case is None:
        if reason := answer.doubt or step.unknown:
            yield Undecidable(rule, copy.source.resource, reason)
        return
    culprit = role.resource or copy.source.resource
    if step.into is not None and _never_allowed(step, _with_full_access(role), prover):
        rule = DESTINATION_REFUSES if step.certain else rule
        culprit = step.into.policy_resource or step.into.resource
    yield Finding(rule, culprit, _told(answer.case, step))


def _refusals_of_stranger(copy: Copy, prover: Prover) -> Iterator[Outcome]:
    """What the destination refuses to a role whose own policies nobody knows, even if these allow everything."""
    if copy.role_arn is None:
        return
    try:
        who = principals.principal(copy.role_arn)
    except ValueError:
        return
    role = Caller(who, f"role {copy.role_arn}", (FULL_ACCESS,))
    for step in _destination_steps(copy):
        answer = _never_allowed(step, role, prover)
        if step.into is not None and step.certain and answer.case is not None:
            culprit = step.into.policy_resource or step.into.resource
            yield Finding(DESTINATION_REFUSES, culprit, _told(answer.case, step))


def _with_full_access(role: Caller) -> Caller:
    return replace(role, identity=(FULL_ACCESS,), boundary=None)


def _never_allowed(step: _Step, role: Caller, prover: Prover) -> Answer:
    """Return a refused request if none is allowed, or why nobody can say."""
    found = prover.allowed([role], step.actions, step.target, step.variants)
    if found.case is not None:
        return Answer()
    if found.doubt is not None:
        return found
    if _hangs_on_account(role, step.target):
        return Answer(None, "its account isn't known, and the policies name accounts by their numbers")
    return prover.refused([role], step.actions[:1], step.target, step.variants)


def _hangs_on_account(role: Caller, target: Target) -> bool:
    """Whether policies name accounts, and nobody said which account this is."""
    if known(target.account) and known(role.resource.account if role.resource else target.account):
        return False
    policies = (*role.identity, target.policy, role.boundary)
    named = {number for policy in policies if policy for text in _texts(policy) for number in _ACCOUNT.findall(text)}
    return bool(named - {str(target.account)})


def _texts(policy: Policy) -> Iterator[str]:
    for statement in policy.statements:
        yield from statement.principals.names if statement.principals else ()
        yield from (value for condition in statement.conditions for value in condition.values)


def _told(case: Case, step: _Step) -> str:
    """Say what is refused; of the context only what tells KMS requests apart."""
    said = {key: value for key, value in case.request.said.items() if key.startswith("kms:") and value}
    shown = ", ".join(f"{key} = {value}" for key, value in said.items())
    because = case.decision.because if case.decision else ""
    request = f"{case.request.action} on {case.request.resource}{f' with {shown}' if shown else ''}"
    return f"{case.caller.title} may not {request} ({because}): {step.lost}"


def _assumption(copy: Copy, prover: Prover) -> Iterator[Outcome]:
    role = copy.role
    if role is None or role.resource is None:
        yield Undecidable(NOT_ASSUMABLE, copy.source.resource, f"the role {copy.role_arn} isn't in these templates")
        return
    # AWS documents neither that S3 names its source here nor that it doesn't: what it can't have is another source.
    sources: Iterable[tuple[str | None, str | None]] = itertools.product(
        (copy.source.account, None), (copy.source.arn, None)
    )
    variants: list[Said] = [
        {"aws:SourceAccount": account, "aws:SourceArn": arn, "sts:ExternalId": None} for account, arn in sources
    ]
    s3 = Caller(principals.service("s3.amazonaws.com"), "Amazon S3")
    target = Target(role.principal.arn or "", role.resource.account, role.trust)
    step = _Step(("sts:AssumeRole",), target, variants, "nothing is copied (AssumeRoleNotPermitted)")
    answer = _never_allowed(step, s3, prover)
    if answer.case is not None:
        yield Finding(NOT_ASSUMABLE, role.resource, _told(answer.case, step), "Properties/AssumeRolePolicyDocument")
    elif answer.doubt is not None:
        yield Undecidable(NOT_ASSUMABLE, role.resource, answer.doubt)


# What else it could do.


@dataclass(slots=True)
class _Duty:
    """All that a role replicates: from and to which buckets, and with which keys, each through S3 of which Region."""

    role: Caller
    resource: Resource
    sources: dict[str, Bucket]
    destinations: dict[str, Target]
    keys: dict[str, Key]
    services: dict[str, set[str]]
    unknown_keys: set[str]


def _duties(inventory: Inventory) -> Iterator[tuple[Copy, _Duty | UnsaidError]]:
    found: dict[str, tuple[Copy, _Duty | UnsaidError]] = {}
    for copy in copies(inventory):
        try:
            role = copy.role
        except UnsaidError:
            continue  # told where the role is needed
        if role is None or role.resource is None:
            continue
        arn = role.resource.arn or ""
        first, duty = found.setdefault(arn, (copy, _Duty(role, role.resource, {}, {}, {}, {}, set())))
        if isinstance(duty, _Duty):
            try:
                _add(duty, copy)
            except UnsaidError as unsaid:
                found[arn] = first, unsaid
    yield from found.values()


def _add(duty: _Duty, copy: Copy) -> None:
    destination = copy.destination
    duty.sources[copy.source.arn] = copy.source
    if copy.destination_arn is not None:
        target = destination.target if destination else Target(copy.destination_arn, _owner(copy), None)
        duty.destinations[copy.destination_arn] = target
    default = kms_default(copy.source)
    for bucket, written in ((copy.source, default.key if default else None), (destination, copy.replica_key)):
        key = copy.key(bucket, written)
        if key is not None and bucket is not None:
            duty.keys[key.arn] = key
            duty.services.setdefault(key.arn, set()).add(_s3(bucket.region))
        elif isinstance(written, str) and written:
            duty.unknown_keys.add(written)


@dataclass(frozen=True, slots=True)
class _Excess:
    """Requests of one kind, any of which is one too many."""

    requests: Sequence[tuple[tuple[str, ...], Target, Sequence[Said]]]
    meaning: str


def _excesses(duty: _Duty, inventory: Inventory) -> Iterator[_Excess]:
    yield from _excesses_of_buckets(duty, inventory)
    yield from _excesses_of_keys(duty, inventory)


def _excesses_of_buckets(duty: _Duty, inventory: Inventory) -> Iterator[_Excess]:
    account = duty.role.principal.account or ""
    own = [*(one.target for one in duty.sources.values()), *duty.destinations.values()]
    others = [one.target for one in inventory.buckets if one.arn not in {target.arn for target in own}]
    others = [one for one in others if one.account == account] + [Target(_OTHER_BUCKET, account, None)]
    everywhere = [_any_object(one) for one in (*own, *others) if one.account == account]
    if not _runs_batches(duty.role):
        # A batch job reads its list of objects and writes its report as the same role (s3-batch-replication-policies).
        reads = [(("s3:GetObject", "s3:GetObjectVersion"), one, (TLS,)) for one in everywhere]
        yield _Excess(reads, "replication doesn't take this, and who gets hold of the role reads the objects")
        writes = [(("s3:PutObject",), one, (TLS,)) for one in everywhere]
        yield _Excess(writes, "replicas are stored by s3:ReplicateObject, and this stores anything else")
    deletes = [(("s3:DeleteObject", "s3:DeleteObjectVersion"), one, (TLS,)) for one in everywhere]
    yield _Excess(deletes, "replication doesn't take this, and it deletes source and copies alike")
    changes = (
        "s3:PutBucketPolicy",
        "s3:PutReplicationConfiguration",
        "s3:PutLifecycleConfiguration",
        "s3:DeleteBucket",
    )
    whole = [one for one in (*own, *others) if one.account == account]
    yield _Excess([(changes, one, (TLS,)) for one in whole], "replication doesn't take this, and it changes the bucket")
    elsewhere = [
        *(
            (("s3:ReplicateObject", "s3:ReplicateDelete"), one)
            for one in (*others, *own)
            if one.arn not in duty.destinations
        ),
        *((("s3:GetObjectVersionForReplication",), one) for one in (*others, *own) if one.arn not in duty.sources),
    ]
    yield _Excess(
        [(actions, _any_object(one), (TLS,)) for actions, one in elsewhere if one.account == account],
        "no replication rule of this role takes that bucket",
    )


def _any_object(bucket: Target) -> Target:
    return replace(bucket, arn=f"{bucket.arn}/an-object")


def _runs_batches(role: Caller) -> bool:
    names = (
        name for one in (role.trust.allows if role.trust else ()) if one.principals for name in one.principals.names
    )
    return "Service batchoperations.s3.amazonaws.com" in names


def _excesses_of_keys(duty: _Duty, inventory: Inventory) -> Iterator[_Excess]:
    account = duty.role.principal.account or ""
    uses = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
    keys = [duty.keys[arn] for arn in sorted(duty.keys)]
    outside: list[Said] = [{"kms:ViaService": None}, {"kms:ViaService": "s3.another-region-1.amazonaws.com"}]
    yield _Excess(
        [(uses, key.target, outside) for key in keys],
        "S3 asks for objects of its own, and this uses the key for anything else",
    )
    yield _Excess(
        [
            (uses, key.target, [{"kms:ViaService": s3, _CONTEXT: f"{_OTHER_BUCKET}/an-object"}])
            for key in keys
            for s3 in sorted(duty.services[key.arn])
        ],
        "that object isn't of a bucket that the role replicates",
    )
    administers = ("kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey")
    yield _Excess(
        [(administers, key.target, ({},)) for key in keys],
        "replication doesn't take this, and it gives the key away or takes it from the data",
    )
    # A key that is written out may be any of these.
    others = [] if duty.unknown_keys else [one for one in inventory.keys if one.arn not in duty.keys]
    stranger = Target(f"arn:aws:kms:{duty.resource.region}:{account}:key/any-other-key", account, _delegating(account))
    yield _Excess(
        [(uses, one, ({},)) for one in (*(one.target for one in others if one.account == account), stranger)],
        "no replication rule of this role takes that key",
    )


def _delegating(account: str) -> Policy:
    """Return a key's default policy, which leaves it to IAM (key-policy-default.html)."""
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Sid": "Default", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return compile_policy(document, PolicyKind.RESOURCE, name="a key policy that leaves it to IAM")


def _excess(duty: _Duty, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in sorted(duty.unknown_keys):
        yield Undecidable(ROLE_EXCESS, duty.resource, f"the key {key} isn't in these templates")
    for excess in _excesses(duty, inventory):
        doubts = []
        for actions, target, variants in excess.requests:
            if not _may_concern(duty.role, target):
                continue
            answer = prover.allowed([duty.role], actions, target, variants)
            if answer.case is not None:
                said = _relevant_part(answer.case)
                yield Finding(ROLE_EXCESS, duty.resource, f"{in_words(said)}: {excess.meaning}")
                break
            doubts += [answer.doubt] if answer.doubt else []
        else:
            yield from (Undecidable(ROLE_EXCESS, duty.resource, doubt) for doubt in doubts[:1])


def _may_concern(role: Caller, target: Target) -> bool:
    """Whether a role's policies say anything about a resource, or the resource's about the role.

    It saves going through the requests of every role on every bucket where there are hundreds of both.
    """
    own = (statement for policy in role.identity for statement in policy.allows)
    theirs = (statement.principals for statement in (target.policy.allows if target.policy else ()))
    # Naming the account leaves it to the role's own policies.
    names = {name for name, how in role.principal.names.items() if how is not Named.THROUGH_ACCOUNT}
    return any(_concerns(statement, target) for statement in own) or any(
        one is None or one.everyone or not one.names.isdisjoint(names) for one in theirs
    )


def _concerns(statement: Statement, target: Target) -> bool:
    try:
        return statement.concerns(target.arn, {})
    except Unmodelled:
        return True


def _relevant_part(case: Case) -> Case:
    """Leave out that a request came over TLS."""
    shown = {key: value for key, value in case.request.said.items() if key not in TLS}
    return replace(case, request=replace(case.request, said=shown))


def _roles(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    def outcomes() -> Iterator[Outcome]:
        for copy in copies(inventory):
            yield from guarded(ROLE_CANNOT, copy, _capability(copy, prover))
            yield from guarded(NOT_ASSUMABLE, copy, _assumption(copy, prover))
        for copy, duty in _duties(inventory):
            if isinstance(duty, UnsaidError):
                yield Undecidable(ROLE_EXCESS, copy.source.resource, str(duty))
            else:
                yield from _excess(duty, inventory, prover)

    yield from once(outcomes())


CHECKS: Final = (_roles,)
RULES: Final[tuple[Rule, ...]] = (ROLE_CANNOT, ROLE_CANNOT_ALWAYS, ROLE_EXCESS, NOT_ASSUMABLE, DESTINATION_REFUSES)

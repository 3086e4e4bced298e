"""Who reaches whose data: customer from customer, by assuming other roles, and by changing what refuses it."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words
from cdk_encrypted_data.proofs.iam.documents import Policy, compile_policy
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, Bucket, Caller, Inventory, Key, Target
from cdk_encrypted_data.proofs.spaces import TLS, Case, Prover
from cdk_encrypted_data.proofs.subjects.customers import Reach, matrix, reaches
from cdk_encrypted_data.proofs.subjects.glue import Secret, bucket_key, through_s3
from cdk_encrypted_data.proofs.subjects.plaintext import Abilities, Means, keys_within

__all__ = ["CHECKS", "RULES", "matrix"]

_CROSS: Final = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html"
_SSE_KMS: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"

NOT_ISOLATED: Final = Rule(
    id="data-not-isolated",
    severity=Severity.ERROR,
    claim="What only one customer's jobs use, no other customer's role can use: buckets, keys, secrets.",
    because="The jobs run the same program for each customer; only policies keep it from the others' data.",
    remedy=(
        "Name each customer's own bucket, key and secret in its role's policy, with no wildcard that reaches the "
        "others', and let each key's policy admit that role alone."
    ),
    sources=(_CROSS, "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"),
)
REACHED_BY_ASSUMING: Final = Rule(
    id="data-reached-by-assuming",
    severity=Severity.WARNING,
    claim="Nobody who can't read a bucket's data can assume a role that can.",
    because="The policies of the bucket and its key don't name who really reads.",
    remedy="Narrow the trust policy of the role that reads, or the sts:AssumeRole of who may become it.",
    sources=("https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html", _CROSS),
)
SELF_GRANTED: Final = Rule(
    id="data-self-granted",
    severity=Severity.WARNING,
    claim="No role or user that can't read a bucket's data may change the policies that keep it out.",
    because="One more request, and it reads: the policy that refuses it is no defence against it.",
    remedy=(
        "Take kms:PutKeyPolicy, kms:CreateGrant, s3:PutBucketPolicy or iam:Put…Policy from it, or limit it: "
        "kms:GrantIsForAWSResource for grants, a permissions boundary for IAM."
    ),
    sources=(
        "https://docs.aws.amazon.com/kms/latest/developerguide/grants.html",
        "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
        _SSE_KMS,
    ),
)

_ASSUME: Final = "sts:assumerole"
_ADMINISTRATOR: Final = "arn:aws:iam::aws:policy/AdministratorAccess"


def _isolation(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    by_thing: dict[str, list[Reach]] = {}
    for reach in reaches(inventory, prover):
        by_thing.setdefault(reach.thing.arn, []).append(reach)
    for found in by_thing.values():
        certain = [reach for reach in found if reach.means]
        thing = found[0].thing.resource
        if certain:
            yield Finding(NOT_ISOLATED, thing, _reached(certain))
        else:
            yield Undecidable(NOT_ISOLATED, thing, found[0].doubt or "")


def _reached(certain: Sequence[Reach]) -> str:
    """Say the gravest of what other customers can do with a thing, and how many can do something."""
    reach = certain[0]
    kind = {Bucket: "bucket", Key: "key", Secret: "secret"}[type(reach.thing)]
    verbs = " and ".join(means.verb for means in reach.means)
    others = {one.name: None for each in certain for one in each.others}
    more = f" (and so can {len(others) - 1} more)" if len(others) > 1 else ""
    requests = " and ".join(map(in_words, reach.means[0].cases))
    return (
        f"{requests}: customer {next(iter(others))} can {verbs} {kind} {reach.thing.resource.title}{more}, "
        f"which is customer {reach.owner.name}'s alone"
    )


# Assuming.


@dataclass(frozen=True, slots=True)
class _Step:
    role: Caller
    case: Case | None
    doubt: str | None


def _assuming(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    buckets = _protected(inventory)
    if not buckets:
        return
    steps = _steps(inventory, prover)
    read = functools.lru_cache(maxsize=None)(functools.partial(_reads, inventory, prover))
    for arn in steps:
        caller = inventory.caller(arn)
        if caller is None or caller.resource is None:
            continue
        for chain in _chains(arn, steps):
            last = chain[-1]
            readable = [bucket for bucket in buckets if isinstance(read(last.role, bucket), Means)]
            gained = [bucket for bucket in readable if read(caller, bucket) is None]
            means = read(last.role, gained[0]) if gained else None
            if not isinstance(means, Means):
                continue
            if last.case is None:
                yield Undecidable(REACHED_BY_ASSUMING, caller.resource, last.doubt or "")
                continue
            words = ", then ".join(in_words(case) for one in chain for case in (one.case,) if case is not None)
            requests = " and ".join(map(in_words, means.cases))
            yield Finding(
                REACHED_BY_ASSUMING,
                caller.resource,
                f"{words}, then {requests}: {caller.title} reads {_named(gained)}, which its own policies don't let it",
            )


def _steps(inventory: Inventory, prover: Prover) -> dict[str, list[_Step]]:
    """Return who may assume which roles of the templates, by the ARN of who may."""
    callers = [one for one in inventory.callers if _is_somebody(one)]
    by_arn = {one.principal.arn or "": one for one in callers}
    assumers = [one for one in callers if _may(one, _ASSUME)]
    found: dict[str, list[_Step]] = {}
    for role in callers:
        if role.trust is None or role.principal.arn is None or role.resource is None:
            continue
        named = _named_in(role.trust, by_arn, assumers, callers, _ASSUME)
        target = Target(role.principal.arn, role.resource.account, role.trust)
        for caller in named:
            if caller is role:
                continue
            answer = Abilities(caller, inventory, prover).ask("sts:AssumeRole", target, {})
            if answer or answer.doubt is not None:
                found.setdefault(caller.principal.arn or "", []).append(_Step(role, answer.case, answer.doubt))
    return found


def _chains(start: str, steps: Mapping[str, list[_Step]]) -> Iterator[list[_Step]]:
    """Yield the shortest way to each role, doubtful ones at their last step only."""
    seen = {start}
    queue = collections.deque([(start, list[_Step]())])
    while queue:
        arn, chain = queue.popleft()
        for step in steps.get(arn, ()):
            reached = step.role.principal.arn or ""
            if reached in seen:
                continue
            yield [*chain, step]
            if step.case is not None:
                seen.add(reached)
                queue.append((reached, [*chain, step]))


def _reads(inventory: Inventory, prover: Prover, caller: Caller, bucket: Bucket) -> Means | str | None:
    return Abilities(caller, inventory, prover).reads(bucket, tuple(keys_within(bucket, caller)))


# Granting oneself.


@dataclass(frozen=True, slots=True)
class _Change:
    """A request that changes what refuses somebody, and who and what it makes of them."""

    case: Case | None
    caller: Caller
    policy: Policy | None


def _self_granting(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    buckets = _protected(inventory)
    callers = [one for one in inventory.callers if _is_somebody(one)]
    by_arn = {one.principal.arn or "": one for one in callers}
    changers = [one for one in callers if any(_may(one, action) for action in _CHANGING)]
    gained: dict[str, list[Bucket]] = {}
    means: dict[str, Means | str] = {}
    for bucket in buckets:
        key = bucket_key(bucket, inventory)
        if not isinstance(key, Key):
            continue
        policies = [key.policy, *([] if bucket.policy is None else [bucket.policy])]
        named = [one for policy in policies for one in _named_in(policy, by_arn, changers, callers, *_CHANGING)]
        for caller in {one.principal.arn or "": one for one in (*changers, *named)}.values():
            arn, found = caller.principal.arn or "", _gains(Abilities(caller, inventory, prover), bucket, key)
            if isinstance(found, Means):
                gained.setdefault(arn, []).append(bucket)
            if found is not None and not isinstance(means.get(arn), Means):
                means[arn] = found
    for arn, one in means.items():
        resource, title = by_arn[arn].resource, by_arn[arn].title
        if resource is None:
            continue
        if isinstance(one, str):
            yield Undecidable(SELF_GRANTED, resource, one)
        else:
            requests = " and ".join(map(in_words, one.cases))
            reads = f"{title} then reads {_named(gained[arn])}, which the policies refuse it now"
            yield Finding(SELF_GRANTED, resource, f"{requests}: {reads}")


def _gains(able: Abilities, bucket: Bucket, key: Key) -> Means | str | None:
    """Return how a caller makes S3 and KMS let it read what one of them refuses now; a text is the doubt."""
    objects = bucket.objects
    fetch = _way(able, ("s3:GetObject", objects, TLS), _changes_of_bucket(able, bucket))
    if fetch is None:
        return None
    opened = ("kms:Decrypt", key.target, through_s3(bucket, objects.arn))
    decrypt = _way(able, opened, _changes_of_key(able, key))
    if decrypt is None:
        return None
    doubt = next((one for one in (fetch, decrypt) if isinstance(one, str)), None)
    if doubt is not None:
        return doubt
    changes = {
        one.case.request.action: one.case
        for one in (fetch, decrypt)
        if isinstance(one, _Change) and one.case is not None
    }
    return Means("read", tuple(changes.values())) if changes else None


def _way(able: Abilities, wish: tuple[str, Target, Said], changes: Iterable[_Change]) -> _Change | str | None:
    """Return the first change, or that none is needed, after which a wish is certainly granted; a text is the doubt."""
    action, target, context = wish
    doubt: str | None = None
    for change in (_Change(None, able.caller, target.policy), *changes):
        after = replace(able, caller=change.caller)
        answer = after.ask(action, replace(target, policy=change.policy), context)
        if answer:
            # Where it may read as it is, nobody knows whether it needs the change.
            return doubt or change
        doubt = doubt or answer.doubt
    return doubt


def _changes_of_bucket(able: Abilities, bucket: Bucket) -> Iterator[_Change]:
    put = able.ask("s3:PutBucketPolicy", bucket.target, TLS)
    if put:
        yield _Change(put.case, able.caller, _allowing(able.caller, "s3:GetObject", f"{bucket.arn}/*"))
    yield from _changes_of_itself(able, bucket.policy)


def _changes_of_key(able: Abilities, key: Key) -> Iterator[_Change]:
    caller = able.caller
    allowing = _allowing(caller, "kms:Decrypt", "*")
    put = able.ask("kms:PutKeyPolicy", key.target, {"kms:ViaService": None})
    if put:
        yield _Change(put.case, caller, allowing)
    # A grant adds to what policies allow; what they deny stays denied.
    grant: Said = {
        "kms:GrantIsForAWSResource": "false",
        "kms:GranteePrincipal": caller.principal.arn,
        "kms:GrantOperations": ["Decrypt"],
        "kms:GrantConstraintType": None,
        "kms:ViaService": None,
    }
    granted = able.ask("kms:CreateGrant", key.target, grant)
    if granted:
        statements = (*key.policy.statements, *allowing.statements)
        yield _Change(granted.case, caller, Policy(key.policy.name, key.policy.kind, statements))
    yield from _changes_of_itself(able, key.policy)


def _changes_of_itself(able: Abilities, policy: Policy | None) -> Iterator[_Change]:
    caller, arn = able.caller, able.caller.principal.arn or ""
    word = "User" if ":user/" in arn else "Role"
    target = Target(arn, caller.principal.account or "", None)
    ways: tuple[tuple[str, Said], ...] = (
        (f"iam:Put{word}Policy", {}),
        (f"iam:Attach{word}Policy", {"iam:PolicyARN": _ADMINISTRATOR}),
    )
    for action, context in ways:
        put = able.ask(action, target, context)
        if put:
            yield _Change(put.case, replace(caller, identity=(*caller.identity, FULL_ACCESS)), policy)
            return


_CHANGING: Final = (
    "s3:putbucketpolicy",
    "kms:putkeypolicy",
    "kms:creategrant",
    "iam:putrolepolicy",
    "iam:putuserpolicy",
    "iam:attachrolepolicy",
    "iam:attachuserpolicy",
)


def _allowing(caller: Caller, action: str, resource: str) -> Policy:
    statement = {"Effect": "Allow", "Principal": {"AWS": caller.principal.arn}, "Action": action, "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return compile_policy(document, PolicyKind.RESOURCE, name="the changed policy")


# Finding who may matter.


def _protected(inventory: Inventory) -> list[Bucket]:
    """Return the buckets under a key of the templates: those that were meant to be read by few."""
    return [bucket for bucket in inventory.buckets if isinstance(bucket_key(bucket, inventory), Key)]


def _is_somebody(caller: Caller) -> bool:
    return caller.resource is not None and caller.resource.type in ("AWS::IAM::Role", "AWS::IAM::User")


def _may(caller: Caller, action: str) -> bool:
    """Whether an identity policy of the caller allows an action on anything."""
    return any(statement.acts(action) for policy in caller.identity for statement in policy.allows)


def _named_in(
    policy: Policy,
    by_arn: Mapping[str, Caller],
    able: Sequence[Caller],
    everybody: Sequence[Caller],
    *actions: str,
) -> list[Caller]:
    """Return whom a policy may allow one of the actions: those it names, or, of an account, those that IAM allows."""
    found: dict[str, Caller] = {}
    for statement in policy.allows:
        named = statement.principals
        if named is None or not any(map(statement.acts, actions)):
            continue
        some: Iterable[Caller] = everybody if named.everyone else ()
        for name in named.names:
            arn = name.partition(" ")[2]
            account = arn if arn.isdecimal() else arn.split(":")[4] if arn.endswith(":root") else None
            if account is not None:
                some = (*some, *(one for one in able if one.principal.account == account))
            elif arn in by_arn:
                some = (*some, by_arn[arn])
        found.update((one.principal.arn or "", one) for one in some)
    return list(found.values())


def _named(buckets: Sequence[Bucket]) -> str:
    more = f" and {len(buckets) - 1} more" if len(buckets) > 1 else ""
    return f"bucket {buckets[0].resource.title}{more}"


CHECKS: Final = (_isolation, _assuming, _self_granting)
RULES: Final[tuple[Rule, ...]] = (NOT_ISOLATED, REACHED_BY_ASSUMING, SELF_GRANTED)

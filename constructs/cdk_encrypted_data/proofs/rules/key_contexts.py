"""What S3 says to KMS: whether a key and those who may use it mean their buckets' objects, in both forms and no others.

S3 names the object, or the bucket where that has a Bucket Key, in the encryption context of every message:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Resource
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words, outcome
from cdk_encrypted_data.proofs.iam.conditions import Condition
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, Bucket, Caller, Encryption, Inventory, Key, Target
from cdk_encrypted_data.proofs.rules.access import named_by
from cdk_encrypted_data.proofs.rules.keys import PLACE
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Case, Prover
from cdk_encrypted_data.proofs.subjects.candidates import Arns, candidates
from cdk_encrypted_data.proofs.subjects.plaintext import keys_within
from cdk_encrypted_data.proofs.subjects.uses import masters, protected, through_s3, unsaid
from cdk_encrypted_data.proofs.witnesses import FRESH

_CONTEXT: Final = "kms:EncryptionContext:aws:s3:arn"
_VARIABLE: Final = re.compile(r"\$\{([^},]*)[^}]*\}")
_TAG: Final = "aws:principaltag/"
_OTHER_BUCKET: Final = "arn:aws:s3:::some-other-bucket"
_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
# What reads or writes objects; replicating does both.
_DATA: Final = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionForReplication",
    "s3:PutObject",
    "s3:ReplicateObject",
    "s3:UpdateObjectEncryption",
)
_SOURCES: Final = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html#bucket-key-changes",
)

ONE_FORM: Final = Rule(
    id="key-one-form-of-context",
    severity=Severity.WARNING,
    claim="Who may use a bucket's key for its objects may do so with and without a Bucket Key.",
    because="Objects of both kinds are there once the setting has changed, or a client asks for the other.",
    remedy="List both the bucket's ARN and BUCKET-ARN/* under kms:EncryptionContext:aws:s3:arn.",
    sources=_SOURCES,
)
ROLE_ONE_FORM: Final = Rule(
    id="role-one-form-of-context",
    severity=Severity.WARNING,
    claim="A role that may use a bucket's key for its objects may do so with and without a Bucket Key.",
    because=ONE_FORM.because,
    remedy="List both the bucket's ARN and BUCKET-ARN/* (or the objects' prefix) in the role's condition.",
    sources=_SOURCES,
)
WITHOUT_DATA: Final = Rule(
    id="role-key-without-data",
    severity=Severity.NOTE,
    claim="A role that was granted the use of a bucket's key through S3 may read or write objects there.",
    because="It is half a grant: either something fails, or the role has more than it needs.",
    remedy="Allow the role the objects that it works with, or take the key away from it.",
    sources=_SOURCES[:1],
)
NOT_BOUND: Final = Rule(
    id="role-key-not-bound",
    severity=Severity.NOTE,
    claim="A role may use a bucket's key through S3 only for the buckets that have it.",
    because="The role can bring another bucket's objects under the key, or read there what it may not here.",
    remedy="Limit the role's statement by kms:EncryptionContext:aws:s3:arn to the bucket's ARN and BUCKET-ARN/*.",
    sources=(
        "https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context",
        *_SOURCES[:1],
    ),
)


# Both forms.


def _keys(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket, key in protected(inventory):
        if _has_one_form(bucket):
            continue
        for caller in masters(inventory, key):
            found = _other_form(prover, bucket, key, _by_key_alone(caller))
            if found is not None:
                yield _found(ONE_FORM, key.resource, found, bucket, [key.resource])
                break


def _roles(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    under = {bucket.arn: (bucket, key) for bucket, key in protected(inventory) if not _has_one_form(bucket)}
    arns = Arns(under)
    doubtful: set[Resource] = set()
    for caller in inventory.callers:
        meant = dict.fromkeys(arn for value in _contexts(_policies(caller)) for arn in arns.like(value))
        for bucket, key in (under[arn] for arn in meant):
            resource = caller.resource or key.resource
            found = _other_form(prover, bucket, key, caller)
            if found is None or (isinstance(found, str) and resource in doubtful):
                continue
            # What the key's policy refuses to everybody is no fault of the role's.
            if isinstance(found, Case) and _other_form(prover, bucket, key, _by_key_alone(caller)) is not None:
                continue
            if isinstance(found, str):
                doubtful.add(resource)
            yield _found(ROLE_ONE_FORM, resource, found, bucket, [key.resource, resource])


def _has_one_form(bucket: Bucket) -> bool:
    """Whether there are no Bucket Keys: DSSE-KMS has none."""
    return isinstance(bucket.encryption, Encryption) and bucket.encryption.algorithm == "aws:kms:dsse"


def _by_key_alone(caller: Caller) -> Caller:
    return replace(caller, identity=(FULL_ACCESS,), boundary=None)


def _other_form(prover: Prover, bucket: Bucket, key: Key, caller: Caller) -> Case | str | None:
    """Return the refusal of one form where the caller may in the other; or else a doubt."""
    policies = [key.policy, *_policies(caller)]
    objects = [{**_said(bucket, arn), **_tagged(policies)} for arn in _objects(bucket, policies)]
    for action in _USE:
        whole = prover.hopeless([caller], [action], key.target, [_said(bucket, bucket.arn)])
        single = prover.hopeless([caller], [action], key.target, objects)
        if bool(whole) != bool(single):
            doubt = whole.doubt or single.doubt or _unfilled(bucket, policies)
            return doubt if doubt is not None else whole.case or single.case
        if whole.doubt != single.doubt:
            return whole.doubt or single.doubt
    return None


def _said(bucket: Bucket, arn: str) -> Said:
    return {**through_s3(bucket, arn), _CONTEXT: arn}


def _objects(bucket: Bucket, policies: Iterable[Policy]) -> list[str]:
    """Return an object, and one for each pattern of this bucket's objects that policies compare the context with."""
    found = {bucket.objects.arn: None}
    for value in _contexts(policies):
        start, slash, key = value.partition("/")
        if slash and start == bucket.arn:
            witness = _VARIABLE.sub(FRESH, key).replace("*", "an-object").replace("?", "x")
            found[f"{bucket.arn}/{witness}"] = None
    return list(found)


def _tagged(policies: Iterable[Policy]) -> Said:
    """Return tags of the caller that fill the values of conditions as the objects above do."""
    names = [name for value in _contexts(policies) for name in _VARIABLE.findall(value)]
    return {name: FRESH for name in names if name.lower().startswith(_TAG)}


def _unfilled(bucket: Bucket, policies: Iterable[Policy]) -> str | None:
    """Say why it isn't known which objects a condition means."""
    for value in _contexts(policies):
        for name in _VARIABLE.findall(value) if value.startswith(bucket.arn) else ():
            if not name.lower().startswith(_TAG):
                return f"which objects {value} means depends on who asks"
    return None


def _words(bucket: Bucket, refused: Case) -> str:
    whole = refused.request.said.get(_CONTEXT) == bucket.arn
    may, without = ("an object's", "with") if whole else ("the bucket's", "without")
    verb = "read" if refused.request.action == "kms:Decrypt" else "write"
    return (
        f"{in_words(refused)}, though it may with {may} ARN there: "
        f"it can't {verb} objects of {bucket.resource.title} that S3 encrypts {without} a Bucket Key"
    )


def _found(
    rule: Rule, resource: Resource, found: Case | str, bucket: Bucket, policies: Sequence[Resource]
) -> Finding | Undecidable:
    doubt = found if isinstance(found, str) else unsaid(*policies)
    if doubt is not None or isinstance(found, str):
        return Undecidable(rule, resource, str(doubt))
    place = PLACE if rule is ONE_FORM else "Properties"
    return Finding(rule, resource, _words(bucket, found), place)


def _contexts(policies: Iterable[Policy]) -> Iterator[str]:
    """Yield what policies compare with the context that S3 sends."""
    for condition in (one for policy in policies for statement in policy.statements for one in statement.conditions):
        if _is_context(condition):
            yield from condition.values


def _is_context(condition: Condition) -> bool:
    return condition.key.lower() == _CONTEXT.lower()


def _policies(caller: Caller) -> list[Policy]:
    return [*caller.identity, *([] if caller.boundary is None else [caller.boundary])]


# No others, and not without objects.


def _granted(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    under: dict[str, list[Bucket]] = {}
    keys: dict[str, Key] = {}
    for bucket, key in protected(inventory):
        under.setdefault(key.arn, []).append(bucket)
        keys[key.arn] = key
    near = candidates(inventory.callers, list(keys.values()), _USE)
    reaching = _reaching(inventory, [bucket for some in under.values() for bucket in some])
    for arn, key in keys.items():
        for caller in near[arn]:
            yield from _not_bound(prover, key, under[arn], caller)
            yield from _without_data(prover, key, under[arn], caller, reaching.get(caller, frozenset()))


def _reaching(inventory: Inventory, buckets: Sequence[Bucket]) -> dict[Caller, frozenset[str]]:
    """Return the ARNs of the buckets that statements may allow each caller something of."""
    found: dict[Caller, set[str]] = {}
    for arn, callers in candidates(inventory.callers, buckets, _DATA).items():
        for caller in callers:
            found.setdefault(caller, set()).add(arn)
    return {caller: frozenset(arns) for caller, arns in found.items()}


def _not_bound(prover: Prover, key: Key, buckets: Sequence[Bucket], caller: Caller) -> Iterator[Outcome]:
    answer = prover.allowed([caller], _USE, key.target, [_said(buckets[0], _OTHER_BUCKET)])
    # What a wildcard gives it gives on every key; that is another rule's.
    if answer.case is None or _names(answer, key):
        resource = caller.resource or key.resource
        yield from outcome(NOT_BOUND, resource, answer, "the key isn't for that bucket's objects")


def _names(answer: Answer, key: Key) -> bool:
    return answer.case is not None and named_by(answer.case, f"{key.arn.rpartition('/')[0]}/key-of-somebody-else")


def _without_data(
    prover: Prover, key: Key, buckets: Sequence[Bucket], caller: Caller, reached: frozenset[str]
) -> Iterator[Outcome]:
    resource = caller.resource
    # The other half of a managed policy without holders may be in another one; an access point has its own ARN.
    if resource is None or resource.type == "AWS::IAM::ManagedPolicy" or _uses_access_points(caller):
        return
    named = [bucket for bucket in buckets if bucket.arn in set(_contexts(_policies(caller)))]
    if not named and any(_works_with(prover, bucket, caller) for bucket in buckets if bucket.arn in reached):
        return
    for bucket in named or buckets[:1]:
        answer = prover.allowed([caller], _USE, key.target, [through_s3(bucket, bucket.objects.arn)])
        if answer.case is None or not _names(answer, key):
            continue
        if bucket.arn not in reached or not _works_with(prover, bucket, caller):
            yield Finding(
                WITHOUT_DATA,
                resource,
                f"{in_words(answer.case)}, but may neither read nor write any object there: it is half a grant",
            )


def _works_with(prover: Prover, bucket: Bucket, caller: Caller) -> bool:
    """Whether the caller may, or perhaps may, read or write some object."""
    targets = [Target(arn, bucket.account, bucket.policy) for arn in keys_within(bucket, caller)]
    return not all(prover.hopeless([caller], [action], target, [TLS]) for target in targets for action in _DATA)


def _uses_access_points(caller: Caller) -> bool:
    return any(
        ":accesspoint/" in str(one.written.get("Resource")) for policy in caller.identity for one in policy.allows
    )


CHECKS: Final = (_keys, _roles, _granted)
RULES: Final[tuple[Rule, ...]] = (ONE_FORM, ROLE_ONE_FORM, WITHOUT_DATA, NOT_BOUND)

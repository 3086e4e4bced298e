"""Whether two templates mean the same: every policy decides every request alike, and nothing else differs."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Json, listed
from cdk_encrypted_data.proofs.findings import in_words
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import Caller, Inventory, Target
from cdk_encrypted_data.proofs.spaces import Prover
from tests.proofs.mutation.mutants import DOCUMENTS

ACCOUNT, REGION = "111122223333", "us-east-1"
_S3_OBJECT = ("DeleteObject", "DeleteObjectVersion", "GetObject", "PutObject", "ReplicateObject", "ReplicateDelete")
_S3_OBJECT_MORE = ("BypassGovernanceRetention", "PutObjectAcl", "PutObjectTagging", "UpdateObjectEncryption")
_S3_BUCKET = ("DeleteBucketPolicy", "GetBucketLocation", "ListBucket", "PutBucketPolicy", "PutEncryptionConfiguration")


def inventory_of(template: Json) -> Inventory:
    return Inventory(Assembly.of([StackTemplate(id="Test", template=template, account=ACCOUNT, region=REGION)]))


@dataclass(frozen=True, slots=True)
class Difference:
    """A request that is decided otherwise. ``application``: who asks is a role or user of the template itself."""

    words: str
    widens: bool
    application: bool


def differences(before: Json, after: Json) -> Iterator[Difference]:
    """Find what tells two templates apart."""
    if _without_policies(before) != _without_policies(after):
        yield Difference("something besides the policies differs", widens=True, application=False)
        return
    old, new = inventory_of(before), inventory_of(after)
    prover = Prover()
    pairs = [(*pair, _changed(pair[0].identity, pair[1].identity)) for pair in _callers(old, new)]
    for (was, target), (is_, same) in zip(_targets(old), _targets(new), strict=True):
        at_the_target = _changed((target.policy,), (same.policy,))
        for action in sorted(_actions(old, was) | _actions(new, is_)):
            for one, other, of_the_caller in pairs:
                if not any(statement.acts(action.lower()) for statement in (*at_the_target, *of_the_caller)):
                    continue  # nothing that has a say differs
                for was_decided, is_decided in prover.differences((one, target), (other, same), action):
                    if is_possible(is_decided.request):
                        words = f"{in_words(was_decided)}; then: {in_words(is_decided)}"
                        yield Difference(words, not is_decided.refused, other.resource is not None)
    yield from _trust_differences(old, new)


def _changed(before: Sequence[Policy | None], after: Sequence[Policy | None]) -> list[Statement]:
    """Return the statements that are on one side only: what they don't act on is decided as before, doubts and all."""
    assert [one is None for one in before] == [one is None for one in after]
    sides = [[one for policy in policies if policy for one in policy.statements] for policies in (before, after)]
    written = [[one.written for one in statements] for statements in sides]
    return [
        one for number, statements in enumerate(sides) for one in statements if one.written not in written[1 - number]
    ]


def is_possible(request: Request) -> bool:
    """Whether S3 doesn't refuse the request by itself, whatever its policies say.

    Only what stores an object names an encryption; one algorithm that S3 knows; a key with SSE-KMS only; SSE-C alone.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    said = {key.lower(): value for key, value in request.said.items() if value is not None}
    sse, key, customer = (said.get(f"{_SSE}{name}") for name in ("", "-aws-kms-key-id", "-customer-algorithm"))
    if request.action == "s3:UpdateObjectEncryption":
        return customer is None and sse is None
    if request.action != "s3:PutObject":
        return sse is None and key is None and customer is None
    if customer is not None:
        return sse is None and key is None
    return sse in (None, "AES256", "aws:kms", "aws:kms:dsse") and (key is None or str(sse).startswith("aws:kms"))


_SSE = "s3:x-amz-server-side-encryption"


def _without_policies(template: Json) -> Json:
    def bare(value: Json) -> Json:
        if isinstance(value, dict):
            return {name: "a policy" if name in DOCUMENTS else bare(one) for name, one in value.items()}
        return [bare(one) for one in value] if isinstance(value, list) else value

    return bare(copy.deepcopy(template))


def _targets(inventory: Inventory) -> Iterator[tuple[str, Target]]:
    for bucket in inventory.buckets:
        yield "bucket", bucket.target
        yield "object", bucket.objects
    for key in inventory.keys:
        yield "key", key.target
    # What no template knows: a role may reach further than the template.
    yield "bucket", Target("arn:aws:s3:::some-other-bucket", ACCOUNT, None)
    yield "object", Target("arn:aws:s3:::some-other-bucket/an-object", ACCOUNT, None)
    other = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"
    yield "key", Target(other, ACCOUNT, _of_another_key())


@functools.cache
def _of_another_key() -> Policy:
    (key,) = inventory_of({"Resources": {"Key": {"Type": "AWS::KMS::Key"}}}).keys
    return key.policy


@functools.cache
def _listed(kind: str) -> frozenset[str]:
    if kind == "bucket":
        return frozenset(f"s3:{name}" for name in _S3_BUCKET)
    if kind == "object":
        return frozenset(f"s3:{name}" for name in (*_S3_OBJECT, *_S3_OBJECT_MORE))
    return frozenset(f"kms:{name}" for name in ("CreateGrant", "Decrypt", "GetKeyPolicy", "PutKeyPolicy"))


def _actions(inventory: Inventory, kind: str) -> frozenset[str]:
    """The actions that the policies name and some that they may not."""
    named = _named_actions(inventory)
    if kind == "key":
        return _listed(kind) | {action for action in named if action.startswith("kms:")}
    ours = {action for action in named if action.startswith("s3:")}
    of_objects = {action for action in ours if "Object" in action or "Replicate" in action}
    return _listed(kind) | (of_objects if kind == "object" else ours - of_objects)


@functools.cache
def _named_actions(inventory: Inventory) -> frozenset[str]:
    found = set()
    for resource in inventory.assembly.resources():
        for document in filter(None, (resource.properties.get(name) for name in DOCUMENTS)):
            for statement in listed(document["Statement"]):
                found |= {action for action in listed(statement.get("Action")) if "*" not in action}
    return frozenset(found)


def _callers(old: Inventory, new: Inventory) -> Iterator[tuple[Caller, Caller]]:
    """Everybody, before and after; whom policies name with IAM policies that allow everything, and with none."""
    yield from zip(old.callers, new.callers, strict=True)
    fixed = [new.administrator(ACCOUNT), new.bystander(ACCOUNT), *new.strangers()]
    policies = [target.policy for inventory in (old, new) for _, target in _targets(inventory) if target.policy]
    known = {caller.principal for caller in itertools.chain(new.callers, fixed)}
    named = [caller for caller in new.named_by(policies) if caller.principal not in known]
    without = [replace(caller, identity=()) for caller in named if caller.identity]
    yield from ((caller, caller) for caller in (*fixed, *named, *without))


def _trust_differences(old: Inventory, new: Inventory) -> Iterator[Difference]:
    prover = Prover()
    for one, other in zip(old.callers, new.callers, strict=True):
        if one.trust is None or other.trust is None or one.resource is None or one.resource.arn is None:
            continue
        before = Target(one.resource.arn, one.resource.account, one.trust)
        after = Target(one.resource.arn, one.resource.account, other.trust)
        callers = [*new.strangers(), new.administrator(ACCOUNT), *new.named_by([one.trust, other.trust])]
        for caller in callers:
            for _, decided in prover.differences((caller, before), (caller, after), "sts:AssumeRole"):
                yield Difference(f"then: {in_words(decided)}", not decided.refused, application=True)

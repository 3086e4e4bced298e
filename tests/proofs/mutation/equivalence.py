"""Whether two templates mean the same: every policy decides every request alike, and nothing else differs."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Json, listed
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.inventory import Caller, Inventory, Target
from cdk_encrypted_data.proofs.spaces import Prover
from tests.proofs.mutation.mutants import DOCUMENTS

_S3_OBJECT = ("DeleteObject", "DeleteObjectVersion", "GetObject", "PutObject", "ReplicateObject", "ReplicateDelete")
_S3_OBJECT_MORE = ("BypassGovernanceRetention", "PutObjectAcl", "PutObjectTagging", "UpdateObjectEncryption")
_S3_BUCKET = ("DeleteBucketPolicy", "GetBucketLocation", "ListBucket", "PutBucketPolicy", "PutEncryptionConfiguration")


def inventory_of(template: Json) -> Inventory:
    return Inventory(Assembly.of([StackTemplate(id="Test", template=template)]))


def difference(before: Json, after: Json) -> str | None:
    """Return what tells two templates apart, None if nothing does."""
    if _without_policies(before) != _without_policies(after):
        return "something besides the policies differs"
    old, new = inventory_of(before), inventory_of(after)
    prover = Prover()
    for (was, target), (is_, same) in zip(_targets(old), _targets(new), strict=True):
        for action in sorted(_actions(old, was) | _actions(new, is_)):
            for one, other in _callers(old, new):
                found = prover.difference((one, target), (other, same), action)
                if found is not None:
                    return f"{found[1].request} with {found[1].request.said}: {found[0]} before, {found[1]} after"
    return _trust_difference(old, new)


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
    """Everybody, before and after."""
    account = new.assembly.stacks[0].account
    for one, other in zip(old.callers, new.callers, strict=True):
        if one.principal.kind is not Kind.ROLE or other.principal.kind is Kind.ROLE:
            yield one, other
    fixed = [new.administrator(account), new.bystander(account), *new.strangers()]
    policies = [target.policy for inventory in (old, new) for _, target in _targets(inventory) if target.policy]
    known = {caller.principal for caller in itertools.chain(new.callers, fixed)}
    named = {caller.principal: caller for caller in new.named_by(policies) if caller.principal not in known}
    yield from ((caller, caller) for caller in (*fixed, *named.values()))


def _trust_difference(old: Inventory, new: Inventory) -> str | None:
    prover = Prover()
    for one, other in zip(old.callers, new.callers, strict=True):
        if one.trust is None or other.trust is None or one.resource is None or one.resource.arn is None:
            continue
        before = Target(one.resource.arn, one.resource.account, one.trust)
        after = Target(one.resource.arn, one.resource.account, other.trust)
        callers = [*new.strangers(), new.administrator(one.resource.account), *new.named_by([one.trust, other.trust])]
        for caller in callers:
            if prover.difference((caller, before), (caller, after), "sts:AssumeRole") is not None:
                return f"{caller.title} assumes {one.title} in one of them only"
    return None

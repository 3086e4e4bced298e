"""What a caller can do with a bucket's objects, S3 and KMS taken together.

An object is read when S3 lets the caller fetch it and KMS lets the caller decrypt it through S3; one without the other
gives nothing: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Resource, Undecided, listed
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Encryption, Inventory, Target
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Case, Prover
from cdk_encrypted_data.proofs.subjects.glue import bucket_key, through_s3
from cdk_encrypted_data.proofs.witnesses import looked_at

_SSE: Final = "s3:x-amz-server-side-encryption"
_SILENT: Final[Said] = {
    **TLS,
    _SSE: None,
    f"{_SSE}-aws-kms-key-id": None,
    f"{_SSE}-customer-algorithm": None,
}
_AN_OBJECT: Final = "an-object"
_RESOURCE_TAGS: Final = ("aws:resourcetag", "secretsmanager:resourcetag")


@dataclass(frozen=True, slots=True)
class Means:
    """What a caller can do, in a word before the thing's name, and the allowed requests that do it."""

    verb: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Abilities:
    """Searches what a caller can do. Each answer is the means, the doubt that may hide them, or None for none."""

    caller: Caller
    inventory: Inventory
    prover: Prover

    def ask(self, action: str, target: Target, context: Said) -> Answer:
        """Search a request that is allowed; what templates say of its two sides is so."""
        facts = known_of(self.caller, target, self.inventory)
        return self.prover.allowed([self.caller], [action], target, [{**facts, **context}])

    def reads(self, bucket: Bucket, objects: Sequence[str]) -> Means | str | None:
        """Return how the caller reads one of the objects."""
        doubt: str | None = None
        for arn in objects:
            got = self.ask("s3:GetObject", Target(arn, bucket.account, bucket.policy), TLS)
            found = self._with_key("read", got, "kms:Decrypt", bucket, arn)
            if isinstance(found, Means):
                return found
            doubt = doubt or found
        return doubt

    def writes(self, bucket: Bucket, objects: Sequence[str]) -> Means | str | None:
        """Return how the caller stores an object, under the bucket's key or, asking for it, under S3's own."""
        doubt: str | None = None
        for arn in objects:
            target = Target(arn, bucket.account, bucket.policy)
            put = self.ask("s3:PutObject", target, {**_SILENT, _SSE: "AES256"})
            if put.case is not None:
                return Means("write to", (put.case,))
            put = self.ask("s3:PutObject", target, _SILENT)
            found = self._with_key("write to", put, "kms:GenerateDataKey", bucket, arn)
            if isinstance(found, Means):
                return found
            doubt = doubt or found
        return doubt

    def does(
        self, verb: str, action: str, targets: Sequence[Target], context: Said | None = None
    ) -> Means | str | None:
        """Return the first allowed request on any of the targets."""
        doubt: str | None = None
        for target in targets:
            found = self.ask(action, target, context or {})
            if found.case is not None:
                return Means(verb, (found.case,))
            doubt = doubt or found.doubt
        return doubt

    def decrypts(self, action: str, bucket: Bucket, arn: str) -> Answer | None:
        """Return whether S3 may use the bucket's key for the caller; None where there is no customer's key to use."""
        if isinstance(bucket.encryption, Undecided):
            return Answer(None, bucket.encryption.reason)
        key = bucket_key(bucket, self.inventory)
        if isinstance(key, Undecided):
            return Answer(None, key.reason)
        if key is None:
            named = isinstance(bucket.encryption, Encryption) and bucket.encryption.key is not None
            return Answer(None, f"the key of bucket {bucket.resource.title} isn't in the templates") if named else None
        return self.ask(action, key.target, through_s3(bucket, arn))

    def _with_key(self, verb: str, asked: Answer, action: str, bucket: Bucket, arn: str) -> Means | str | None:
        """Put S3's answer and KMS's together: one that refuses for certain settles it."""
        if asked.case is None and asked.doubt is None:
            return None
        opened = self.decrypts(action, bucket, arn)
        if opened is not None and opened.case is None:
            return None if opened.doubt is None else opened.doubt
        if asked.case is None:
            return asked.doubt
        return Means(verb, (asked.case, *(() if opened is None or opened.case is None else (opened.case,))))


def known_of(caller: Caller, target: Target, inventory: Inventory) -> Said:
    """Return what templates say of the two sides of a request: their tags and a key's aliases, as conditions ask them.

    A role's tags are those of its sessions, unless who assumes it may tag them. Requests come to the bucket itself:
    what comes through an access point is decided by that one's policy.
    """
    policies = (*caller.identity, target.policy, caller.boundary)
    asked = looks_at(one for policy in policies if policy is not None for one in policy.statements)
    if not asked:
        return {}
    resource = inventory.assembly.resource(target.arn)
    facts: dict[str, str | Sequence[str] | None] = {}
    for key in asked:
        kind, _, tag = key.partition("/")
        if kind.lower() == "aws:principaltag":
            facts[key] = tags(caller.resource).get(tag)
        elif kind.lower() in _RESOURCE_TAGS:
            facts[key] = tags(resource).get(tag)
        elif kind.lower() == "kms:resourcealiases":
            facts[key] = _aliases(target.arn, inventory)
        elif kind.lower().startswith("s3:dataaccesspoint") or kind.lower() == "s3:accesspointnetworkorigin":
            facts[key] = None
    return facts


def looks_at(statements: Iterable[Statement]) -> tuple[str, ...]:
    """Return the condition keys that statements look at, each once."""
    return tuple(looked_at(condition for statement in statements for condition in statement.conditions).values())


def tags(resource: Resource | None) -> Mapping[str, str]:
    """Return the tags of a resource that are known, in either of the forms that CloudFormation has for them."""
    written = None if resource is None else resource.setting("Tags")
    if isinstance(written, Mapping):
        return {name: value for name, value in written.items() if isinstance(value, str)}
    pairs = [one for one in listed(written) if isinstance(one, Mapping)]
    return {
        one["Key"]: one["Value"]
        for one in pairs
        if isinstance(one.get("Key"), str) and isinstance(one.get("Value"), str)
    }


def _aliases(arn: str, inventory: Inventory) -> tuple[str, ...] | None:
    key = next((one for one in inventory.keys if one.arn == arn), None)
    names = () if key is None else (alias.setting("AliasName") for alias in key.aliases)
    return tuple(name for name in names if isinstance(name, str)) or None


def keys_within(bucket: Bucket, caller: Caller) -> Iterator[str]:
    """Yield ARNs of objects that stand for all that the policies of both sides tell apart by their names."""
    found = {f"{bucket.arn}/{_AN_OBJECT}": None}
    for policy in (*caller.identity, bucket.policy):
        for text in _resources(policy):
            name, slash, key = text.partition("/")
            if slash and (name == bucket.arn or (re.search(r"[*?]", name) and _matches(name, bucket.arn))):
                witness = re.sub(r"\*|\$\{[^}]*\}", _AN_OBJECT, key).replace("?", "x")
                found[f"{bucket.arn}/{witness or _AN_OBJECT}"] = None
    yield from found


def _resources(policy: Policy | None) -> Iterator[str]:
    for statement in () if policy is None else policy.statements:
        written = statement.written.get("Resource", statement.written.get("NotResource"))
        yield from [written] if isinstance(written, str) else written or ()


def _matches(pattern: str, text: str) -> bool:
    pieces = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(pieces), text) is not None

"""Replication as templates say it: each rule of each bucket, what it copies, where to, under which key, as whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Undecided, listed, undecided_in
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Undecidable
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Encryption, Inventory, Key

_T = TypeVar("_T")


class UnsaidError(Exception):
    """What a check hangs on isn't known before deployment. Its text is the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One replication rule of a bucket: the ``number``-th, from 0."""

    inventory: Inventory
    source: Bucket
    number: int

    def setting(self, *path: str) -> Json:
        """Return a property of the rule, None if it isn't there; raise UnsaidError if nobody knows."""
        value = self.source.resource.setting("ReplicationConfiguration", "Rules", self.number, *path)
        for undecided in undecided_in(value):
            raise UnsaidError(undecided.reason)
        return value

    def enabled(self, *path: str) -> bool:
        """Whether a Status says Enabled."""
        return bool(self.setting(*path, "Status") == "Enabled")

    @property
    def title(self) -> str:
        """What people call the rule."""
        name = self.setting("Id")
        return f"rule {name}" if isinstance(name, str) else f"rule {self.number + 1}"

    @property
    def siblings(self) -> list[Copy]:
        """All rules of its bucket."""
        return [one for one in copies(self.inventory) if one.source is self.source]

    @property
    def place(self) -> str:
        """Where it stands in its resource."""
        return f"Properties/ReplicationConfiguration/Rules/{self.number}"

    @property
    def role_arn(self) -> str | None:
        """The role as whom S3 copies."""
        role = self.source.resource.setting("ReplicationConfiguration", "Role")
        if isinstance(role, Undecided):
            raise UnsaidError(role.reason)
        return role if isinstance(role, str) else None

    @property
    def role(self) -> Caller | None:
        """That role, if it is in the templates."""
        return None if self.role_arn is None else self._only(self.role_arn, self.inventory.caller(self.role_arn))

    @property
    def destination_arn(self) -> str | None:
        """The bucket that the rule copies to."""
        arn = self.setting("Destination", "Bucket")
        return arn if isinstance(arn, str) else None

    @property
    def destination(self) -> Bucket | None:
        """That bucket, if it is in the templates."""
        arn = self.destination_arn
        return None if arn is None else self._only(arn, self.inventory.bucket(arn))

    @property
    def prefix(self) -> str:
        """What the keys of the objects begin with that the rule is about."""
        for path in (("Filter", "Prefix"), ("Filter", "And", "Prefix"), ("Prefix",)):
            found = self.setting(*path)
            if isinstance(found, str):
                return found
        return ""

    @property
    def by_tags(self) -> bool:
        """Whether it is about objects with certain tags only."""
        both = (self.setting("Filter", "TagFilter"), self.setting("Filter", "And", "TagFilters"))
        return any(listed(one) for one in both)

    @property
    def selects_kms(self) -> bool:
        """Whether it copies objects that KMS keys encrypt."""
        return self.enabled("SourceSelectionCriteria", "SseKmsEncryptedObjects")

    @property
    def copies_deletions(self) -> bool:
        """Whether delete markers are copied: rules without a Filter are of the first version, and copy them."""
        return self.setting("Filter") is None or self.enabled("DeleteMarkerReplication")

    @property
    def replica_key(self) -> str | None:
        """The key for the replicas, as it is written."""
        key = self.setting("Destination", "EncryptionConfiguration", "ReplicaKmsKeyID")
        return key if isinstance(key, str) else None

    def _only(self, arn: str, found: _T) -> _T:
        owners = self.inventory.assembly.owners(arn)
        if len(owners) > 1:
            raise UnsaidError(f"{len(owners)} resources here have the same name: {arn}")
        return found

    def key(self, bucket: Bucket | None, reference: str | Undecided | None) -> Key | None:
        """Find a key that is named for a bucket: None if it isn't in the templates."""
        found = self.inventory.key(reference, near=(bucket or self.source).resource) if reference else None
        if isinstance(found, Undecided):
            raise UnsaidError(found.reason)
        return found


def copies(inventory: Inventory) -> Iterator[Copy]:
    """Yield every replication rule, and one for a configuration of which nothing is known."""
    for bucket in inventory.buckets:
        rules = bucket.resource.setting("ReplicationConfiguration", "Rules")
        count = len(rules) if isinstance(rules, list) else int(isinstance(rules, Undecided))
        yield from (Copy(inventory, bucket, number) for number in range(count))


def kms_default(bucket: Bucket) -> Encryption | None:
    """Return a bucket's default encryption if a KMS key does it; raise UnsaidError if nobody knows."""
    encryption = bucket.encryption
    if isinstance(encryption, Undecided):
        raise UnsaidError(encryption.reason)
    return encryption if encryption and encryption.algorithm in ("aws:kms", "aws:kms:dsse") else None


def uses_bucket_key(encryption: Encryption | None) -> bool:
    """Whether objects get a bucket key by default; DSSE-KMS has none (specifying-dsse-encryption.html)."""
    return encryption is not None and encryption.bucket_key and encryption.algorithm == "aws:kms"


def guarded(rule: Rule, copy: Copy, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield outcomes, and what isn't known as one of them."""
    try:
        yield from outcomes
    except UnsaidError as unsaid:
        yield Undecidable(rule, copy.source.resource, str(unsaid))


def once(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Leave out what several replication rules say in the same words."""
    said: set[tuple[str, int, str]] = set()
    for one in outcomes:
        words = one.counterexample if isinstance(one, Finding) else one.reason
        key = one.rule.id, id(one.resource), words
        if key not in said:
            said.add(key)
            yield one


def reaches(resources: Mapping[str, tuple[str, ...]], start: str, end: str) -> bool:
    """Whether there is a way along the edges of a graph from one place to another one."""
    seen: set[str] = set()
    open_ = list(resources.get(start, ()))
    while open_:
        place = open_.pop()
        if place == end:
            return True
        if place not in seen:
            seen.add(place)
            open_ += resources.get(place, ())
    return False

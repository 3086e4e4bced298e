"""S3 replication: by the rules, as the role, under the replica's key.

S3 copies when the write is done and before it is answered, so that a test sees the last status at once. What failed,
and why, is in the log, in the answer of ``/_embedded_aws/replication-failures``, and in the bucket's notifications
where the rule has metrics.
"""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import copy
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import s3

from . import authorization, connection, control, kms, outages, s3_encryption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Record = dict[str, Any]
_Response = tuple[int, dict[str, str], bytes]

_log = logging.getLogger("embedded_aws.replication")
# What is to be replicated when the request that is being carried out is done.
_later: ContextVar[list[Callable[[], None]] | None] = ContextVar("replication", default=None)
_failures: list[dict[str, str]] = []
# What waits for a Region that is shut off.
_waiting: list[Callable[[], None]] = []


class _Failed(Exception):  # noqa: N818 - AWS's failureReason, on its way to whoever reads it
    def __init__(self, reason: str, why: str) -> None:
        super().__init__(f"{reason}: {why}")
        self.reason = reason


def replication_configurations_are_checked() -> None:
    """Gap: MiniStack takes destinations that don't exist, and rules that AWS refuses."""
    original = s3._put_bucket_replication

    def put_bucket_replication(bucket: str, body: bytes) -> _Response:
        before = s3._bucket_replication.get(bucket)
        answer: _Response = original(bucket, body)
        if answer[0] != 200:  # noqa: PLR2004
            return answer
        problem = next(_problems(bucket, s3._bucket_replication[bucket]), None)
        if not problem:
            return answer
        s3._bucket_replication.pop(bucket)
        if before:
            s3._bucket_replication[bucket] = before
        refusal: _Response = s3._error("InvalidRequest", problem, 400)
        return refusal

    s3._put_bucket_replication = put_bucket_replication


def _problems(source: str, configuration: _Record) -> Iterator[str]:
    if not configuration["Role"].startswith("arn:aws:iam::"):
        yield "Role must be the ARN of an IAM role."
    taken = set()
    for rule in configuration["Rules"]:
        destination = _bucket_of(rule)
        if destination == source:
            yield "Destination bucket cannot be the same as the source bucket."
        if _owner(destination) is None:
            yield "Destination bucket must exist."
        if "Filter" not in rule:
            continue
        for name in ("Priority", "DeleteMarkerReplication"):
            if name not in rule:
                yield (
                    f"{name} must be specified for this version of Cross Region Replication configuration schema. "
                    "Please refer to S3 Developer Guide for more information."
                )
        if s3._replication_rule_tags(rule) and rule["DeleteMarkerReplication"]["Status"] == "Enabled":
            yield "Delete marker replication is not supported if any Tag filter is specified."
        if (destination, rule["Priority"]) in taken:
            yield f"Two rules to {destination} have the priority {rule['Priority']}."
        taken.add((destination, rule["Priority"]))


def objects_are_replicated_as_the_role() -> None:
    """Gap: MiniStack's replica keeps the source's key, and nobody's rights are looked at.

    It also takes the first rule for the one of the highest priority, copies KMS objects that no rule selects, and gives
    the replica a version id of its own.
    """
    original = s3._dispatch

    def dispatch(*arguments: Any) -> Any:
        done: list[Callable[[], None]] = []
        token = _later.set(done)
        try:
            answer = original(*arguments)
        finally:
            _later.reset(token)
        for replicate in done:
            replicate()
        return answer

    s3._dispatch = dispatch
    s3._maybe_replicate = lambda bucket, key, record, *_: _remember(partial(_replicate_object, bucket, key, record))
    s3._maybe_replicate_delete_marker = lambda bucket, key: _remember(partial(_replicate_delete_marker, bucket, key))


def _remember(replicate: Callable[[], None]) -> None:
    done = _later.get()
    if done is not None:
        done.append(replicate)


def changes_of_replicas_are_replicated() -> None:
    """Gap: MiniStack replicates no later change of tags and locks, and knows no ReplicaModifications."""
    original = s3._dispatch

    def dispatch(*arguments: Any) -> Any:
        method, bucket, key, _headers, _body, query = arguments
        answer = original(*arguments)
        changed = {"tagging", "retention", "legal-hold"} & set(query)
        if key and changed and method in {"PUT", "DELETE"} and answer[0] < 300:  # noqa: PLR2004
            _replicate_change(bucket, key, query.get("versionId", [""])[0])
        return answer

    s3._dispatch = dispatch


# What is to be copied where


@dataclass(frozen=True)
class _Copying:
    """A rule's copying of one version, by S3 as the role."""

    source: str
    key: str
    version: str
    rule: _Record
    role_arn: str

    @cached_property
    def destination(self) -> str:
        return _bucket_of(self.rule)

    @cached_property
    def into(self) -> _Record:
        """The destination bucket, which may have changed since the rule was made."""
        owner = _owner(self.destination)
        if owner is None:
            raise _Failed("DstBucketNotFound", f"there is no bucket {self.destination}")
        if s3._bucket_versioning.get_scoped(owner, None, self.destination) != "Enabled":
            raise _Failed("DstBucketUnversioned", f"bucket {self.destination} isn't versioned")
        bucket: _Record = s3._buckets.get_scoped(owner, None, self.destination)
        return bucket

    @cached_property
    def role(self) -> Any:
        """The session that S3 gets."""
        account = _owner(self.source)
        session = authorization.role_session(self.role_arn, "s3-replication")
        conditions = {"aws:SourceAccount": account, "aws:SourceArn": f"arn:aws:s3:::{self.source}"}
        if session is None or not authorization.service_may_assume(self.role_arn, "s3.amazonaws.com", conditions):
            raise _Failed("AssumeRoleNotPermitted", f"s3.amazonaws.com may not assume {self.role_arn}")
        return session

    def may(self, action: str, resource: str, conditions: _Record | None = None) -> bool:
        """Whether the role may do ``action`` with a bucket or object of the source or the destination."""
        bucket = resource.partition(":::")[2].partition("/")[0]
        owner = _owner(bucket)
        decision = authorization.decide(
            self.role,
            action,
            resource,
            region=_region(bucket),
            conditions=conditions or {},
            policy=s3._bucket_policies.get_scoped(owner, None, bucket),
            owner=owner,
            source_ip=None,
        )
        return bool(decision.decision == "Allow")

    def need(self, reason: str, action: str, resource: str, conditions: _Record | None = None) -> None:
        if not self.may(action, resource, conditions):
            raise _Failed(reason, f"{self.role_arn} may not {action} on {resource}")

    def need_key(self, reason: str, action: str, key: _Record, region: str, protected: str) -> None:
        """Refuse unless the role may use ``key`` through S3 in ``region`` for the bucket or object ``protected``."""
        decision = authorization.decide(
            self.role,
            action,
            key["Arn"],
            region=region,
            conditions=authorization.encryption_context({"aws:s3:arn": f"arn:aws:s3:::{protected}"})
            | {
                "kms:CallerAccount": self.role.account,
                "kms:ViaService": f"s3.{region}.amazonaws.com",
                "aws:ViaAWSService": "true",
            }
            | authorization.key_conditions(key),
            policy=key["Policy"],
            owner=key["Arn"].split(":")[4],
            required=True,
            source_ip=None,
        )
        if decision.decision != "Allow":
            raise _Failed(reason, f"{self.role_arn} may not {action} on {key['Arn']} for arn:aws:s3:::{protected}")


def _rules(bucket: str, key: str, tags: dict[str, str], *, of: _Record | None) -> Iterator[tuple[_Record, str]]:
    """The rules that apply to an object, or to a delete marker: of each destination the one of the highest priority."""
    configuration = s3._bucket_replication.get(bucket)
    if not configuration or s3._bucket_versioning.get(bucket) != "Enabled":
        return
    chosen: dict[str, _Record] = {}
    for rule in sorted(configuration["Rules"], key=lambda rule: -rule.get("Priority", 0)):
        wanted = s3._replication_rule_tags(rule)
        if (
            rule["Status"] == "Enabled"
            and key.startswith(s3._replication_rule_prefix(rule))
            and all(tags.get(name) == value for name, value in wanted.items())
            and (of is None or not _under_kms(of) or _criterion(rule, "SseKmsEncryptedObjects"))
        ):
            chosen.setdefault(_bucket_of(rule), rule)
    yield from ((rule, configuration["Role"]) for rule in chosen.values())


def _criterion(rule: _Record, name: str) -> bool:
    return bool(rule.get("SourceSelectionCriteria", {}).get(name, {}).get("Status") == "Enabled")


def _bucket_of(rule: _Record) -> str:
    name: str = rule["Destination"]["Bucket"].rpartition(":::")[2]
    return name


def _region(bucket: str) -> str:
    record = s3._buckets.get_scoped(_owner(bucket), None, bucket)
    region: str = record.get("region") or s3.get_region()
    return region


def _under_kms(record: _Record) -> bool:
    return s3_encryption.KEY_ID in record["preserved_headers"]


# Copying


def _replicate_object(bucket: str, key: str, record: _Record) -> None:
    version: str = record.get("version_id") or ""
    tags = s3._object_tags.get((bucket, key, version)) or {}
    rules = list(_rules(bucket, key, tags, of=record)) if version else []
    if _waits(bucket, rules, partial(_replicate_object, bucket, key, record)):
        _stamp(bucket, key, record, "PENDING")
    elif rules:
        each = [_Copying(bucket, key, version, *rule) for rule in rules]
        copied = [_try(copying, partial(_copy_object, copying, record, tags), "OBJECT_PUT") for copying in each]
        _stamp(bucket, key, record, "COMPLETED" if all(copied) else "FAILED")


def _replicate_delete_marker(bucket: str, key: str) -> None:
    _replicate_marker(bucket, key, s3._object_versions[bucket, key][-1]["version_id"])


def _replicate_marker(bucket: str, key: str, version: str) -> None:
    rules = list(_rules(bucket, key, {}, of=None))
    if _waits(bucket, rules, partial(_replicate_marker, bucket, key, version)):
        return
    for rule, role in rules:
        # Rules of the older schema, without a filter, replicate delete markers without saying so.
        if "Filter" not in rule or rule["DeleteMarkerReplication"]["Status"] == "Enabled":
            copying = _Copying(bucket, key, version, rule, role)
            _try(copying, partial(_copy_delete_marker, copying), "OBJECT_DELETE")


def _replicate_change(bucket: str, key: str, version: str) -> None:
    versions = s3._object_versions.get((bucket, key)) or []
    record = next((each for each in reversed(versions) if version in {"", each["version_id"]}), None)
    if not record or record.get("is_delete_marker"):
        return
    version = record["version_id"]
    is_replica = record.get("replication_status") == "REPLICA"
    rules = list(_rules(bucket, key, s3._object_tags.get((bucket, key, version)) or {}, of=record))
    if _waits(bucket, rules, partial(_replicate_change, bucket, key, version)):
        return
    for rule, role in rules:
        copying = _Copying(bucket, key, version, rule, role)
        if not is_replica or _criterion(rule, "ReplicaModifications"):
            done = _try(copying, partial(_copy_change, copying), "OBJECT_PUT")
            if not done and not is_replica:
                _stamp(bucket, key, record, "FAILED")


def _waits(bucket: str, rules: list[tuple[_Record, str]], again: Callable[[], None]) -> bool:
    """Whether it has to wait for a Region, as everything after it does then."""
    regions = {_region(name) for name in (bucket, *(_bucket_of(rule) for rule, _role in rules)) if _owner(name)}
    waits = bool(rules) and any(outages.is_off(service, region) for service in ("kms", "s3") for region in regions)
    if waits:
        _waiting.append(partial(_in_scope, bucket, again))
    return waits


def _in_scope(bucket: str, replicate: Callable[[], None]) -> None:
    with _scope(bucket):
        replicate()


def _resume() -> None:
    waiting = _waiting.copy()
    _waiting.clear()
    for replicate in waiting:
        replicate()


outages.afterwards(_resume)


def _try(copying: _Copying, work: Callable[[], None], operation: str) -> bool:
    # S3 calls over TLS, whatever the connection of whoever wrote.
    token = connection.assume_tls_version("1.3")
    try:
        work()
    except _Failed as failed:
        where = f"{copying.source}/{copying.key} to {copying.destination}"
        _log.warning("replication of %s (version %s) failed: %s", where, copying.version, failed)
        _failures.append(
            {
                "bucket": copying.source,
                "key": copying.key,
                "version": copying.version,
                "destination": copying.destination,
                "operation": operation,
                "reason": failed.reason,
                "message": str(failed),
            }
        )
        _notify(copying, operation, failed.reason)
        return False
    else:
        return True
    finally:
        connection.forget_tls_version(token)


def _notify(copying: _Copying, operation: str, reason: str) -> None:
    if copying.rule["Destination"].get("Metrics", {}).get("Status") != "Enabled":
        return
    s3._fire_s3_event_async(
        copying.source,
        copying.key,
        "s3:Replication:OperationFailedReplication",
        version_id=copying.version,
        record_extra={
            "replicationEventData": {
                "replicationRuleId": copying.rule["ID"],
                "destinationBucket": f"arn:aws:s3:::{copying.destination}",
                "s3Operation": operation,
                "failureReason": reason,
            }
        },
    )


def _copy_object(copying: _Copying, record: _Record, tags: dict[str, str]) -> None:
    source, destination = copying.source, copying.destination
    read, written = f"arn:aws:s3:::{source}/{copying.key}", f"arn:aws:s3:::{destination}/{copying.key}"
    unreadable = "SrcGetObjectNotPermitted"
    existing = {f"s3:ExistingObjectTag/{name}": value for name, value in tags.items()}
    copying.need(unreadable, "s3:GetReplicationConfiguration", f"arn:aws:s3:::{source}")
    # Of objects without KMS, s3:GetObjectVersion is enough.
    if _under_kms(record) or not copying.may("s3:GetObjectVersion", read, existing):
        copying.need(unreadable, "s3:GetObjectVersionForReplication", read, existing)
    copying.need(unreadable, "s3:GetObjectVersionAcl", read, existing)
    into = copying.into
    locks = list(_locks(copying))
    if s3._bucket_object_lock.get(source):
        if not s3._bucket_object_lock.get_scoped(_owner(destination), None, destination):
            raise _Failed("DstBucketObjectLockConfigMissing", f"bucket {destination} has no Object Lock")
        copying.need(unreadable, "s3:GetObjectRetention", read, existing)
        copying.need(unreadable, "s3:GetObjectLegalHold", read, existing)
    encryption = _replica_encryption(copying, record)
    written_with = {f"s3:{name}": encryption[name] for name in s3_encryption.CONDITION_HEADERS if name in encryption}
    copying.need("DstPutObjectNotPermitted", "s3:ReplicateObject", written, written_with)
    if "AccessControlTranslation" in copying.rule["Destination"] and not s3._bucket_owner_enforced(into):
        copying.need("DstPutObjectNotPermitted", "s3:ObjectOwnerOverrideToBucketOwner", written)
    copied_tags = _copied_tags(copying, tags)
    _store(copying, record, encryption)
    with _scope(destination):
        if copied_tags:
            s3._object_tags[destination, copying.key, copying.version] = copied_tags
        for store, lock in locks:
            store[destination, copying.key, copying.version] = lock


def _replica_encryption(copying: _Copying, record: _Record) -> dict[str, str]:
    """The replica's encryption headers: the kind is the source object's, the key is the rule's."""
    stored = {name: record["preserved_headers"].get(name) for name in s3._SSE_STORED_HEADERS}
    headers: dict[str, str] = {name: value for name, value in stored.items() if value}
    if not _under_kms(record):
        if s3_encryption.blocks_customer_keys(copying.destination, headers):
            raise _Failed("DstPutObjectNotPermitted", f"bucket {copying.destination} blocks SSE-C")
        return headers
    here, there = _region(copying.source), _region(copying.destination)
    # "If your source object uses an S3 Bucket Key … the replica object maintains its S3 Bucket Key encryption" (AWS).
    bucket_key = s3_encryption.BUCKET_KEY in headers
    key = kms.key_by_arn(headers[s3_encryption.KEY_ID])
    if key is None or key["KeyState"] != "Enabled":
        raise _Failed("SrcKmsKeyInvalidState", f"{headers[s3_encryption.KEY_ID]} can't be used")
    protected = copying.source if bucket_key else f"{copying.source}/{copying.key}"
    copying.need_key("SrcGetObjectNotPermitted", "kms:Decrypt", key, here, protected)

    named = copying.rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]
    replica_key = kms.key_by_arn(named)
    if replica_key is None:
        raise _Failed("DstKmsKeyNotFound", f"there is no key {named}")
    if replica_key["KeyState"] != "Enabled":
        raise _Failed("DstKmsKeyInvalidState", f"{named} is in state {replica_key['KeyState']}")
    protected = copying.destination if bucket_key else f"{copying.destination}/{copying.key}"
    for action in ("kms:Encrypt", *(("kms:Decrypt",) if bucket_key else ())):
        copying.need_key("DstPutObjectNotPermitted", action, replica_key, there, protected)
    return headers | {s3_encryption.KEY_ID: replica_key["Arn"]}


def _copied_tags(copying: _Copying, tags: dict[str, str]) -> dict[str, str]:
    """What arrives of the tags; without the right to them, and unless the rule looks at them, nothing, in silence."""
    if not tags:
        return {}
    existing = {f"s3:ExistingObjectTag/{name}": value for name, value in tags.items()}
    if not copying.may("s3:GetObjectVersionTagging", f"arn:aws:s3:::{copying.source}/{copying.key}", existing):
        if s3._replication_rule_tags(copying.rule):
            raise _Failed("SrcGetTaggingNotPermitted", f"{copying.role_arn} may not s3:GetObjectVersionTagging")
        return {}
    may_write = copying.may("s3:ReplicateTags", f"arn:aws:s3:::{copying.destination}/{copying.key}")
    return dict(tags) if may_write else {}


def _locks(copying: _Copying) -> Iterator[tuple[Any, Any]]:
    for store in (s3._object_retention, s3._object_legal_hold):
        lock = store.get((copying.source, copying.key, copying.version))
        if lock is not None:
            yield store, copy.deepcopy(lock)


def _store(copying: _Copying, record: _Record, encryption: dict[str, str]) -> None:
    destination, key = copying.destination, copying.key
    data = s3._read_body(copying.source, key, record)
    replica = {name: copy.deepcopy(value) for name, value in record.items() if name not in {"_replica", "version_id"}}
    replica["replication_status"] = "REPLICA"
    for name in s3._SSE_STORED_HEADERS:
        replica["preserved_headers"].pop(name, None)
    replica["preserved_headers"] |= encryption
    replica["storage_class"] = copying.rule["Destination"].get("StorageClass") or record["storage_class"]
    with _scope(destination):
        prior = copying.into["objects"].get(key)
        copying.into["objects"][key] = replica
        s3._record_object_version(destination, key, prior, replica, data)
        replica["version_id"] = s3._object_versions[destination, key][-1]["version_id"] = copying.version


def _copy_delete_marker(copying: _Copying) -> None:
    copying.need("SrcGetObjectNotPermitted", "s3:GetReplicationConfiguration", f"arn:aws:s3:::{copying.source}")
    copying.need("SrcGetObjectNotPermitted", "s3:ListBucket", f"arn:aws:s3:::{copying.source}")
    objects, destination, key = copying.into["objects"], copying.destination, copying.key
    copying.need("DstDelObjNotPermitted", "s3:ReplicateDelete", f"arn:aws:s3:::{destination}/{key}")
    with _scope(destination):
        s3._record_delete_marker(destination, key, objects.get(key))
        s3._object_versions[destination, key][-1]["version_id"] = copying.version
        objects.pop(key, None)


def _copy_change(copying: _Copying) -> None:
    """Copy tags and locks of a version that is there already."""
    place = (copying.source, copying.key, copying.version)
    there = (copying.destination, copying.key, copying.version)
    with _scope(copying.destination):
        versions = s3._object_versions.get((copying.destination, copying.key)) or []
    if copying.version not in {each["version_id"] for each in versions}:
        return
    tags, locks = s3._object_tags.get(place) or {}, list(_locks(copying))
    read, written = (f"arn:aws:s3:::{bucket}/{copying.key}" for bucket in (copying.source, copying.destination))
    copying.need("SrcGetTaggingNotPermitted", "s3:GetObjectVersionTagging", read)
    copying.need("DstPutObjectNotPermitted", "s3:ReplicateTags", written)
    if locks:
        copying.need("SrcGetObjectNotPermitted", "s3:GetObjectRetention", read)
        copying.need("SrcGetObjectNotPermitted", "s3:GetObjectLegalHold", read)
        copying.need("DstPutObjectNotPermitted", "s3:ReplicateObject", written)
    with _scope(copying.destination):
        s3._object_tags[there] = dict(tags)
        for store, lock in locks:
            store[there] = lock


def _scope(bucket: str) -> Any:
    return request_scope(_owner(bucket), _region(bucket))


def _owner(bucket: str) -> str | None:
    account: str | None = s3._bucket_owner_account(bucket)
    return account


def _stamp(bucket: str, key: str, record: _Record, status: str) -> None:
    """Set the status where reads of the object and of its version look for it."""
    record["replication_status"] = status
    current = s3._buckets[bucket]["objects"].get(key, {})
    for each in (current, *s3._object_versions.get((bucket, key), [])):
        if each.get("version_id") == record["version_id"]:
            each["replication_status"] = status


@control.route("replication-failures")
def _replication_failures() -> list[dict[str, str]]:
    return list(_failures)


PATCHES = (
    replication_configurations_are_checked,
    objects_are_replicated_as_the_role,
    changes_of_replicas_are_replicated,
)

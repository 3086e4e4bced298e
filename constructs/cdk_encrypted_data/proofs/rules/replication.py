"""Replication: whether each rule copies what it should, and can be deployed. What its role may is in its own module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Resource, Undecided, known, truth
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity
from cdk_encrypted_data.proofs.inventory import Bucket, Inventory
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data.proofs.subjects.copies import Copy, UnsaidError, copies, guarded, kms_default, once, reaches

_GUIDE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
_API: Final = "https://docs.aws.amazon.com/AmazonS3/latest/API"
_TEMPLATES: Final = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference"
_ENCRYPTED: Final = f"{_GUIDE}/replication-config-for-kms-objects.html"
_CONFIGURATION: Final = f"{_GUIDE}/replication-add-config.html"
_DESTINATION: Final = f"{_TEMPLATES}/aws-properties-s3-bucket-replicationdestination.html"
_REQUIREMENTS: Final = f"{_GUIDE}/replication.html"
_FAILURES: Final = f"{_GUIDE}/replication-failure-codes.html"

SKIPS_KMS_OBJECTS: Final = Rule(
    id="replication-skips-kms-objects",
    severity=Severity.ERROR,
    claim="A rule of a bucket that encrypts with KMS by default copies objects that KMS keys encrypt.",
    because="S3 doesn't copy such objects unless it is told to. They aren't even marked as failed.",
    remedy="Set SourceSelectionCriteria.SseKmsEncryptedObjects.Status to Enabled, and name the key for the replicas.",
    sources=(_ENCRYPTED,),
)
REPLICA_KEY: Final = Rule(
    id="replication-replica-key",
    severity=Severity.ERROR,
    claim="A rule that copies objects that KMS keys encrypt names a key of the destination's Region.",
    because="S3 accepts any text as the key, and then every replica fails.",
    remedy="Set Destination.EncryptionConfiguration.ReplicaKmsKeyID to the ARN of a key in the destination's Region.",
    sources=(_ENCRYPTED, _DESTINATION),
)
REPLICA_KEY_BY_NAME: Final = Rule(
    id="replication-replica-key-by-name",
    severity=Severity.WARNING,
    claim="A rule names the key for the replicas by its ARN.",
    because="An alias is looked up in the account of whoever asks, and can be pointed at another key later.",
    remedy="Write the key's ARN.",
    sources=(f"{_TEMPLATES}/aws-properties-s3-bucket-encryptionconfiguration.html",),
)
REPLICA_KEY_OTHER: Final = Rule(
    id="replication-replica-key-other",
    severity=Severity.WARNING,
    claim="Replicas are encrypted under the key that the destination bucket encrypts with.",
    because="Otherwise a bucket's objects lie under two keys: readers need both, and losing either loses data.",
    remedy="Name the destination bucket's default key as ReplicaKmsKeyID.",
    sources=(_ENCRYPTED,),
)
NOT_VERSIONED: Final = Rule(
    id="replication-not-versioned",
    severity=Severity.ERROR,
    claim="Source and destination keep versions.",
    because="S3 replicates between buckets with versioning only, and refuses the configuration otherwise.",
    remedy="Set VersioningConfiguration.Status to Enabled.",
    sources=(_REQUIREMENTS, _FAILURES),
)
LOCK: Final = Rule(
    id="replication-lock",
    severity=Severity.ERROR,
    claim="Where the source has Object Lock, so has the destination.",
    because="S3 doesn't copy from a bucket with Object Lock into one without.",
    remedy="Set ObjectLockEnabled on the destination.",
    sources=(f"{_GUIDE}/object-lock-managing.html", _FAILURES),
)
DESTINATION_LATE: Final = Rule(
    id="replication-destination-late",
    severity=Severity.ERROR,
    claim="The destination is created before the bucket that replicates to it.",
    because="S3 refuses a replication configuration whose destination isn't there: the first deployment fails.",
    remedy=(
        "Name the destination by Ref or Fn::GetAtt, or in DependsOn, or make the source's stack depend on its stack. "
        "Two buckets that replicate to each other take two deployments."
    ),
    sources=(
        # "The destination bucket or buckets must already exist."
        f"{_TEMPLATES}/aws-resource-s3-bucket.html",
        f"{_TEMPLATES}/aws-attribute-dependson.html",
    ),
)
INCOMPLETE: Final = Rule(
    id="replication-rule-incomplete",
    severity=Severity.ERROR,
    claim="A rule has all that S3 demands of it.",
    because="S3 refuses the configuration, and the deployment fails.",
    remedy="Complete the rule as the counterexample says.",
    sources=(_CONFIGURATION, f"{_API}/API_ReplicationRule.html", _DESTINATION),
)
DISABLED: Final = Rule(
    id="replication-rule-disabled",
    severity=Severity.NOTE,
    claim="Every rule is in effect.",
    because="What is stored while a rule is disabled isn't copied afterwards either, unless a batch job does it.",
    remedy="Set its Status to Enabled, or remove it.",
    sources=(_CONFIGURATION,),
)
CHANGES_ONE_WAY: Final = Rule(
    id="replication-changes-one-way",
    severity=Severity.WARNING,
    claim="Of two buckets that replicate to each other, both or neither copy changes of replicas' metadata.",
    because="With one side only, tags, ACLs and locks of the same object drift apart.",
    remedy="Enable SourceSelectionCriteria.ReplicaModifications in the rules of both buckets.",
    sources=(f"{_GUIDE}/replication-for-metadata-changes.html",),
)
OWNER_OVERRIDE: Final = Rule(
    id="replication-owner-override",
    severity=Severity.WARNING,
    claim="Only a rule that copies to another account changes the owner of replicas.",
    because="AWS documents AccessControlTranslation for destinations of other accounts only.",
    remedy="Remove AccessControlTranslation.",
    sources=(_DESTINATION,),
)
UNOBSERVED: Final = Rule(
    id="replication-unobserved",
    severity=Severity.NOTE,
    claim="S3 measures each rule and tells of replicas that fail.",
    because="Without metrics there are neither failure events nor numbers: replicas may be missing for years.",
    remedy="Set Destination.Metrics.Status to Enabled, and send s3:Replication:OperationFailedReplication on.",
    sources=(f"{_GUIDE}/replication-metrics-events.html", f"{_GUIDE}/repl-metrics.html"),
)


def _finding(rule: Rule, copy: Copy, words: str, resource: Resource | None = None) -> Finding:
    where = "Properties" if resource is not None else copy.place
    return Finding(
        rule, resource or copy.source.resource, f"{copy.title} of bucket {copy.source.resource.title} {words}", where
    )


def _skips_kms_objects(copy: Copy) -> Iterator[Outcome]:
    default = kms_default(copy.source)
    if copy.enabled() and default is not None and not copy.selects_kms:
        yield _finding(
            SKIPS_KMS_OBJECTS,
            copy,
            f"doesn't select objects that KMS keys encrypt, and an upload that names no encryption is stored as "
            f"{default.algorithm}: no copy of it is ever made, and nothing says so",
        )


def _replica_key(copy: Copy) -> Iterator[Outcome]:
    if not (copy.enabled() and copy.selects_kms):
        return
    written, destination = copy.replica_key, copy.destination
    if written is None:
        yield _finding(
            REPLICA_KEY,
            copy,
            "selects objects that KMS keys encrypt and names no ReplicaKmsKeyID: S3 refuses the configuration",
        )
        return
    found = copy.key(destination, written)
    region = found.region if found else _region(written)
    if region and destination and known(region) and known(destination.region) and region != destination.region:
        yield _finding(
            REPLICA_KEY,
            copy,
            f"encrypts replicas under {written}, a key of {region}, and they are stored in {destination.region}: "
            "every replica fails",
        )


def _region(arn: str) -> str | None:
    """Return the Region in a key's or alias's ARN that is written out."""
    parts = arn.split(":")
    return parts[3] if known(arn) and arn.startswith("arn:") and len(parts) > 3 else None  # noqa: PLR2004 - an ARN's


def _replica_key_by_name(copy: Copy) -> Iterator[Outcome]:
    written = copy.replica_key
    if copy.enabled() and copy.selects_kms and written is not None and ":key/" not in written:
        if isinstance(copy.inventory.key(written, near=copy.source.resource), Undecided):
            raise UnsaidError(f"whether {written} is a key's ARN can't be known before deployment")
        if "alias/" in written:
            what = (
                "an alias: whichever key it points at when S3 asks is taken, and an IAM statement that names the "
                "alias's ARN grants nothing on that key"
            )
        else:
            what = "neither a key's ARN nor an alias's, which is all that AWS documents here"
        yield _finding(REPLICA_KEY_BY_NAME, copy, f"encrypts replicas under {written}, which is {what}")


def _replica_key_other(copy: Copy) -> Iterator[Outcome]:
    destination = copy.destination
    if destination is None or not (copy.enabled() and copy.selects_kms):
        return
    default = kms_default(destination)
    own = copy.key(destination, default.key) if default else None
    replicas = copy.key(destination, copy.replica_key)
    if default is None or copy.replica_key is None:
        return
    named = [key.arn if key else known for key, known in ((own, default.key), (replicas, copy.replica_key))]
    # Of another Region is another rule, and worse; what isn't an ARN may be the same key.
    regions = {arn.split(":")[3] for arn in named if isinstance(arn, str) and ":key/" in arn}
    if named[0] != named[1] and len(regions) == 1 and all(":key/" in str(arn) for arn in named):
        yield _finding(
            REPLICA_KEY_OTHER,
            copy,
            f"encrypts replicas under key {named[1]}, and bucket {destination.resource.title} everything else under "
            f"key {named[0]}",
        )


def _not_versioned(copy: Copy) -> Iterator[Outcome]:
    if not copy.enabled():
        return
    if not _keeps_versions(copy.source):
        yield _finding(NOT_VERSIONED, copy, "can't be deployed: its own bucket has no versioning")
    destination = copy.destination
    if destination is not None and not _keeps_versions(destination):
        yield _finding(
            NOT_VERSIONED,
            copy,
            f"copies to bucket {destination.resource.title}, which has no versioning: S3 refuses the configuration, or "
            "fails every replica with DstBucketUnversioned",
        )


def _keeps_versions(bucket: Bucket) -> bool:
    """Object Lock turns versioning on: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html."""
    status = bucket.resource.setting("VersioningConfiguration", "Status")
    if isinstance(status, Undecided):
        raise UnsaidError(status.reason)
    return status == "Enabled" or _is_locked(bucket)


def _is_locked(bucket: Bucket) -> bool:
    enabled = bucket.resource.setting("ObjectLockEnabled")
    if isinstance(enabled, Undecided):
        raise UnsaidError(enabled.reason)
    return truth(enabled)


def _lock(copy: Copy) -> Iterator[Outcome]:
    destination = copy.destination
    if copy.enabled() and destination is not None and _is_locked(copy.source) and not _is_locked(destination):
        yield _finding(
            LOCK,
            copy,
            f"copies objects under Object Lock to bucket {destination.resource.title}, which has none: every replica "
            "fails with DstBucketObjectLockConfigMissing",
        )


def _destination_late(copy: Copy) -> Iterator[Outcome]:
    destination = copy.destination
    if destination is None:
        return
    source, target = copy.source.resource, destination.resource
    if source.stack != target.stack:
        yield from _late_stack(copy, source.stack, target)
        return
    (stack,) = (one for one in copy.inventory.assembly.stacks if one.id == source.stack)
    edges = {name: (*one.depends_on, *one.references) for name, one in stack.resources.items()}
    if not reaches(edges, source.logical_id, target.logical_id):
        yield _finding(
            DESTINATION_LATE,
            copy,
            f"names bucket {target.title} without depending on it: CloudFormation may create the source first, and S3 "
            "refuses its configuration",
        )
    elif reaches(edges, target.logical_id, source.logical_id):
        yield _finding(
            DESTINATION_LATE,
            copy,
            f"needs bucket {target.title}, and that bucket needs this one: CloudFormation refuses the circle",
        )


def _late_stack(copy: Copy, stack: str, target: Resource) -> Iterator[Outcome]:
    edges = {one.id: one.dependencies for one in copy.inventory.assembly.stacks}
    root, other = _root(stack, edges), _root(target.stack, edges)
    if root == other:
        raise UnsaidError("in which order nested stacks are deployed isn't followed")
    if not reaches(edges, root, other):
        yield _finding(
            DESTINATION_LATE,
            copy,
            f"names bucket {target.title} of stack {target.stack}, on which stack {stack} doesn't depend: the source "
            "may be deployed first, and S3 refuses its configuration",
        )


def _root(stack: str, stacks: Mapping[str, tuple[str, ...]]) -> str:
    """Return the stack that a nested stack is part of; its id is the parent's with its own behind a slash."""
    while (parent := stack.rpartition("/")[0]) in stacks:
        stack = parent
    return stack


def _incomplete(copy: Copy) -> Iterator[Outcome]:
    for missing in (*_missing_of_filter(copy), *_missing_of_destination(copy)):
        yield _finding(INCOMPLETE, copy, f"{missing}: S3 refuses the configuration")
    for other in copy.siblings[: copy.number]:
        same = other.setting("Priority"), other.destination_arn
        if copy.setting("Priority") is not None and same == (copy.setting("Priority"), copy.destination_arn):
            yield _finding(
                INCOMPLETE,
                copy,
                f"has the Priority of {other.title} and copies to the same bucket: S3 can't tell which wins",
            )


def _missing_of_filter(copy: Copy) -> Iterator[str]:
    if copy.setting("Filter") is None:
        return
    # A single rule gets the priority 0, as those have that the CDK makes.
    if copy.setting("Priority") is None and len(copy.siblings) > 1:
        yield "has a Filter and no Priority beside another rule"
    if copy.setting("DeleteMarkerReplication", "Status") is None:
        yield "has a Filter and no DeleteMarkerReplication"
    if copy.by_tags and copy.enabled("DeleteMarkerReplication"):
        yield "filters by tags and copies delete markers, which have none"


def _missing_of_destination(copy: Copy) -> Iterator[str]:
    if copy.enabled("Destination", "ReplicationTime"):
        if not copy.enabled("Destination", "Metrics"):
            yield "has ReplicationTime without Metrics"
        for what, minutes in (("ReplicationTime", "Time"), ("Metrics", "EventThreshold")):
            value = copy.setting("Destination", what, minutes, "Minutes")
            if value is not None and str(value) != "15":
                yield f"has {what} with {value} minutes, and S3 takes 15 only"
    overrides = copy.setting("Destination", "AccessControlTranslation") is not None
    if overrides and copy.setting("Destination", "Account") is None:
        yield "changes the owner of replicas and doesn't name the destination's Account"


def _disabled(copy: Copy) -> Iterator[Outcome]:
    if copy.setting("Status") == "Disabled":
        yield _finding(DISABLED, copy, "is disabled: what is stored meanwhile has no copy")


def _changes_one_way(copy: Copy) -> Iterator[Outcome]:
    path = ("SourceSelectionCriteria", "ReplicaModifications")
    destination = copy.destination
    if destination is None or not copy.enabled() or copy.enabled(*path):
        return
    for back in copies(copy.inventory):
        if back.source is destination and back.destination is copy.source and back.enabled() and back.enabled(*path):
            yield _finding(
                CHANGES_ONE_WAY,
                copy,
                f"doesn't copy changes of replicas' metadata, and {back.title} of bucket {destination.resource.title} "
                "back to this one does: a tag set on a replica here never reaches its original",
            )
            return


def _owner_override(copy: Copy) -> Iterator[Outcome]:
    destination = copy.destination
    if destination is None or copy.setting("Destination", "AccessControlTranslation") is None:
        return
    one, other = copy.source.resource, destination.resource
    if one.account == other.account and (known(one.account) or one.stack == other.stack):
        yield _finding(
            OWNER_OVERRIDE, copy, f"changes the owner of replicas in bucket {other.title}, which is of the same account"
        )


def _unobserved(copy: Copy) -> Iterator[Outcome]:
    if copy.enabled() and not copy.enabled("Destination", "Metrics"):
        yield _finding(UNOBSERVED, copy, "has no Metrics: a replica that fails is seen by nobody")


_EXAMINED: Final[tuple[tuple[Rule, Callable[[Copy], Iterator[Outcome]]], ...]] = (
    (SKIPS_KMS_OBJECTS, _skips_kms_objects),
    (REPLICA_KEY, _replica_key),
    (REPLICA_KEY_BY_NAME, _replica_key_by_name),
    (REPLICA_KEY_OTHER, _replica_key_other),
    (NOT_VERSIONED, _not_versioned),
    (LOCK, _lock),
    (DESTINATION_LATE, _destination_late),
    (INCOMPLETE, _incomplete),
    (DISABLED, _disabled),
    (CHANGES_ONE_WAY, _changes_one_way),
    (OWNER_OVERRIDE, _owner_override),
    (UNOBSERVED, _unobserved),
)


def _settings(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    yield from once(
        one for copy in copies(inventory) for rule, examine in _EXAMINED for one in guarded(rule, copy, examine(copy))
    )


CHECKS: Final = (_settings,)
RULES: Final[tuple[Rule, ...]] = tuple(rule for rule, _ in _EXAMINED)

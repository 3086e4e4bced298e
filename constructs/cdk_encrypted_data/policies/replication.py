"""What S3 does as a replication role, and the rules that tell it to: the role's trust, its permissions, the rules.

The permissions are those of https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
and https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from cdk_encrypted_data.choices import (
    DeleteMarkers,
    ObjectLock,
    ReplicationDirection,
    ReplicationTime,
    ServerSideEncryption,
)
from cdk_encrypted_data.policies import Condition, Statement, bucket_and_objects
from cdk_encrypted_data.policies.key import WRITE_ACTIONS

Rule: TypeAlias = dict[str, Any]
"""A replication rule, in the words of CloudFormation or of S3's API."""

# Of each copy; s3:GetObjectVersion would do for what no KMS key encrypts, and lets its holder read.
_READ_ACTIONS = ("s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging")
_GIVE_AWAY = "s3:ObjectOwnerOverrideToBucketOwner"
_READ_LOCK_ACTIONS = ("s3:GetObjectLegalHold", "s3:GetObjectRetention")
_ORDERS_ACTIONS = ("s3:GetReplicationConfiguration", "s3:ListBucket")

BATCH_OPERATIONS = "batchoperations.s3.amazonaws.com"

REPORTS = "batch-replication"
"""Where in their bucket the reports of jobs are."""

_MINUTES = 15  # the only number that S3 takes


class Place(NamedTuple):
    """A bucket of several that replicate, and the key of its Region. ``account``: whose it is, where it isn't ours."""

    region: str
    bucket_arn: str
    key_arn: str
    account: str | None = None

    @property
    def bucket_name(self) -> str:
        """The bucket's name."""
        return self.bucket_arn.rpartition(":")[2]

    @property
    def rule_id(self) -> str:
        """What a rule to this bucket is called, in the configuration of the source and in CloudWatch."""
        return f"To-{self.account}-{self.region}" if self.account else f"To-{self.region}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAccountDestination:
    """A bucket of another account, made there by `ReplicationDestination`, which says all four.

    Args:
        account: The account that owns it.
        region: Its Region.
        bucket_name: Its name.
        key_arn: The ARN of the key that it is under.
    """

    account: str
    region: str
    bucket_name: str
    key_arn: str


class Permission(NamedTuple):
    """Some actions on some resources."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """What is replicated, and how: the same for every pair of buckets."""

    direction: ReplicationDirection = ReplicationDirection.ONE_WAY
    delete_markers: DeleteMarkers = DeleteMarkers.REPLICATED
    replication_time: ReplicationTime = ReplicationTime.BEST_EFFORT
    storage_class: str | None = None
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    object_lock: ObjectLock = ObjectLock.OFF
    encryption: ServerSideEncryption = ServerSideEncryption.SSE_KMS

    def permissions(self, source: Place, destinations: Sequence[Place]) -> list[Statement]:
        """Return what S3 needs to replicate from one bucket to the others, and nothing else."""
        markers = ("s3:ReplicateDelete",) if self.delete_markers is DeleteMarkers.REPLICATED else ()
        lock = _READ_LOCK_ACTIONS if self.object_lock is ObjectLock.ON else ()
        # "verifies the integrity of the S3 Bucket Key", which DSSE-KMS hasn't.
        verify = () if self.encryption is ServerSideEncryption.DSSE_KMS else ("kms:Decrypt",)
        elsewhere = [self._objects(each) for each in destinations if each.account]
        return [
            _allow("ReadOrders", _ORDERS_ACTIONS, [source.bucket_arn]),
            _allow("ReadObjects", sorted((*_READ_ACTIONS, *lock)), [self._objects(source)]),
            self._use("DecryptObjects", ("kms:Decrypt",), source),
            _allow(
                "StoreReplicas",
                (*markers, "s3:ReplicateObject", "s3:ReplicateTags"),
                [self._objects(each) for each in destinations],
            ),
            # Whoever owns the bucket owns its replicas, and not the account that sent them.
            *([_allow("GiveReplicasAway", (_GIVE_AWAY,), elsewhere)] if elsewhere else []),
            *(
                self._use(f"EncryptReplicas{number}", (*verify, "kms:Encrypt"), each)
                for number, each in enumerate(destinations, 1)
            ),
        ]

    def permissions_for_existing(self, source: Place, *, reports_arn: str, reports_key_arn: str) -> list[Statement]:
        """Return what S3 Batch Operations needs to have S3 replicate what is in a bucket already, and to report on it.

        It lists the objects itself and touches none: the replication role copies them.
        See https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-policies.html.
        """
        condition: Condition = {
            "StringEquals": {"kms:ViaService": f"s3.{source.region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [reports_arn, f"{reports_arn}/{REPORTS}/*"]},
        }
        return [
            _allow(
                "ListObjects", ("s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"), [source.bucket_arn]
            ),
            _allow("InitiateReplication", ("s3:InitiateReplication",), [self._objects(source)]),
            _allow("StoreReports", ("s3:PutObject",), [f"{reports_arn}/{REPORTS}/*"]),
            {**_allow("EncryptReports", WRITE_ACTIONS, [reports_key_arn]), "Condition": condition},
        ]

    def _objects(self, place: Place) -> str:
        return f"{place.bucket_arn}/{self.prefix}*"

    def _use(self, sid: str, actions: Sequence[str], place: Place) -> Statement:
        """Use a key through S3 of its Region: for the bucket, which has a key of its own, or for an object."""
        condition: Condition = {
            "StringEquals": {"kms:ViaService": f"s3.{place.region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [place.bucket_arn, self._objects(place)]},
        }
        return {**_allow(sid, actions, [place.key_arn]), "Condition": condition}

    def rules(self, destinations: Sequence[Place]) -> list[Rule]:
        """Return the rules of a bucket, one for each destination, in CloudFormation's words."""
        # No two have the same priority: S3 asks for it only of rules with one destination, and other tools of all.
        return [self._rule(each, priority) for priority, each in enumerate(destinations, 1)]

    def _rule(self, destination: Place, priority: int) -> Rule:
        # Not selected, objects under KMS keys aren't copied, and nothing says so.
        selected = {"SseKmsEncryptedObjects": _ENABLED}
        if self.direction is ReplicationDirection.BOTH_WAYS:
            # On both sides or not at all: with one only, the tags of an object drift apart.
            selected["ReplicaModifications"] = _ENABLED
        return {
            "Id": destination.rule_id,
            "Priority": priority,
            "Status": "Enabled",
            "Filter": self._filter(),
            "DeleteMarkerReplication": _ENABLED if self.delete_markers is DeleteMarkers.REPLICATED else _DISABLED,
            "SourceSelectionCriteria": selected,
            "Destination": {
                "Bucket": destination.bucket_arn,
                "EncryptionConfiguration": {"ReplicaKmsKeyID": destination.key_arn},
                **_owned(destination),
                **({"StorageClass": self.storage_class} if self.storage_class else {}),
                **self._observed(),
            },
        }

    def _filter(self) -> Rule:
        tags = [{"Key": key, "Value": value} for key, value in self.tags]
        if not tags:
            return {"Prefix": self.prefix}
        if self.prefix or len(tags) > 1:
            return {"And": {**({"Prefix": self.prefix} if self.prefix else {}), "TagFilters": tags}}
        return {"TagFilter": tags[0]}

    def _observed(self) -> Rule:
        """Measure always: without metrics S3 tells nobody of replicas that fail."""
        if self.replication_time is ReplicationTime.BEST_EFFORT:
            return {"Metrics": _ENABLED}
        return {
            "Metrics": {**_ENABLED, "EventThreshold": {"Minutes": _MINUTES}},
            "ReplicationTime": {**_ENABLED, "Time": {"Minutes": _MINUTES}},
        }


def _owned(destination: Place) -> Rule:
    """Name the account of a bucket that isn't ours, and give it the replicas."""
    if destination.account is None:
        return {}
    return {"Account": destination.account, "AccessControlTranslation": {"Owner": "Destination"}}


_ENABLED = {"Status": "Enabled"}
_DISABLED = {"Status": "Disabled"}


def admit_replicas(role_arns: Sequence[str], *, bucket_arn: str, delete_markers: DeleteMarkers) -> list[Statement]:
    """Let roles of other accounts store replicas in a bucket and give them to its owner, and nothing else."""
    markers = ("s3:ReplicateDelete",) if delete_markers is DeleteMarkers.REPLICATED else ()
    actions = sorted((*markers, _GIVE_AWAY, "s3:ReplicateObject", "s3:ReplicateTags"))
    return [
        _admit(f"AdmitReplicas{number}", actions, [f"{bucket_arn}/*"], role, {})
        for number, role in enumerate(role_arns, 1)
    ]


def admit_use_for_replicas(
    role_arns: Sequence[str], *, region: str, bucket_arn: str, encryption: ServerSideEncryption
) -> list[Statement]:
    """Let roles of other accounts encrypt replicas in a bucket through S3, and nothing else."""
    # As in `Replication.permissions`.
    verify = () if encryption is ServerSideEncryption.DSSE_KMS else ("kms:Decrypt",)
    condition: Condition = {
        "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": bucket_and_objects(bucket_arn)},
    }
    return [
        _admit(f"AdmitUseForReplicas{number}", (*verify, "kms:Encrypt"), ["*"], role, condition)
        for number, role in enumerate(role_arns, 1)
    ]


def _admit(sid: str, actions: Sequence[str], resources: list[str], role_arn: str, condition: Condition) -> Statement:
    """Admit a role by its account and its ARN: as a principal it would have to be there first, and it is made last."""
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    return {
        **_allow(sid, actions, resources),
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Condition": {**condition, "ArnEquals": {"aws:PrincipalArn": role_arn}},
    }


def assumed_for(bucket_arn: str, *, account: str) -> Condition:
    """Return the condition under which S3 may assume a role: for this bucket, wherever S3 says for which.

    AWS documents neither that S3 names its source when it replicates nor that it doesn't. A condition without
    ``IfExists`` would switch replication off if it doesn't; with it, whoever is named is the right one.
    """
    return {
        "ArnEqualsIfExists": {"aws:SourceArn": bucket_arn},
        "StringEqualsIfExists": {"aws:SourceAccount": account},
    }


def run_for_jobs_in(region: str, *, partition: str, account: str) -> Condition:
    """Return the condition under which S3 Batch Operations may assume a role: for this account's jobs in a Region.

    Wherever it says for which: AWS documents it as little as for replication (`assumed_for`).
    """
    return {
        "ArnLikeIfExists": {"aws:SourceArn": f"arn:{partition}:s3:{region}:{account}:job/*"},
        "StringEqualsIfExists": {"aws:SourceAccount": account},
    }


def may_run_jobs(
    sources: Sequence[Place], *, role_arns: Sequence[str], partition: str, account: str
) -> list[Permission]:
    """Return what an operator needs to have S3 replicate what is in these buckets already, and to see how it goes."""
    regions = [each.region for each in sources]
    in_regions: dict[str, str | list[str]] = {"aws:RequestedRegion": regions}
    create: Condition = {"StringEquals": {**in_regions, "s3:RequestJobOperation": "S3ReplicateObject"}}
    pass_on: Condition = {"StringEquals": {"iam:PassedToService": BATCH_OPERATIONS}}
    jobs = tuple(f"arn:{partition}:s3:{each}:{account}:job/*" for each in regions)
    return [
        # A job has no ARN before it is there, and a list of jobs none at all.
        Permission(("s3:CreateJob",), ("*",), create),
        Permission(("s3:ListJobs",), ("*",), {"StringEquals": in_regions}),
        Permission(("s3:DescribeJob",), jobs),
        Permission(("iam:PassRole",), tuple(role_arns), pass_on),
        Permission(("s3:GetReplicationConfiguration",), tuple(each.bucket_arn for each in sources)),
    ]


def may_configure(bucket_arns: Sequence[str], role_arns: Sequence[str], *, log_group_arn: str) -> list[Statement]:
    """Return what putting replication configurations on these buckets takes, with these roles."""
    return [
        _allow("Configure", ("s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration"), list(bucket_arns)),
        # To whom, the roles' own trust says: S3, for these buckets.
        _allow("PassRoles", ("iam:PassRole",), list(role_arns)),
        _allow("WriteLogs", ("logs:CreateLogStream", "logs:PutLogEvents"), [log_group_arn]),
    ]


def as_request(rule: Rule) -> Rule:
    """Return a rule in the words of S3's API, which has other names for some things."""
    named = {"Id": "ID", "TagFilter": "Tag", "TagFilters": "Tags"}

    def renamed(value: object) -> object:
        if isinstance(value, Mapping):
            return {named.get(key, key): renamed(each) for key, each in value.items()}
        return value

    return {named.get(key, key): renamed(value) for key, value in rule.items()}


def _allow(sid: str, actions: Sequence[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}

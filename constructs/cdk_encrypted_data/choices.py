"""The closed choices of the constructs: two behaviours are two names."""

from __future__ import annotations

from enum import Enum


class ServerSideEncryption(Enum):
    """How S3 encrypts what is stored."""

    SSE_KMS = "aws:kms"
    """Under a customer managed KMS key, with an S3 Bucket Key."""
    DSSE_KMS = "aws:kms:dsse"
    """Twice, under a customer managed KMS key. S3 has no Bucket Key for it: every object is a request to KMS."""
    SSE_S3 = "AES256"
    """Under keys that S3 manages. Nobody can withhold such a key: for data that isn't the customer's to protect."""


class UploadPolicy(Enum):
    """What an upload that names no encryption meets."""

    RESPECT_DEFAULT = "respect-default"
    """It is stored under the bucket's encryption. Only naming another encryption or key is refused."""
    REQUIRE_HEADER = "require-header"
    """It is refused, and with it most AWS services' uploads, copies without headers and every default client.

    The parts of a multipart upload carry no headers. AWS doesn't document what a policy sees of them: try uploads in
    parts before you rely on this mode.
    """


class CustomerProvidedKeys(Enum):
    """Whether uploads may bring a key of their own (SSE-C)."""

    BLOCKED = "blocked"
    """No: S3 blocks it by the bucket's configuration, and the bucket's policy refuses it."""
    ALLOWED = "allowed"
    """Yes: such objects are readable only with the key that came with them, and not under the bucket's key."""


class MinimumTlsVersion(Enum):
    """The oldest TLS version that the bucket answers; with an older one every request is refused.

    AWS endpoints themselves refuse TLS below 1.2 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/
    network-isolation.html); the bucket's policy says so for this bucket, whatever endpoint is used.
    """

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ObjectEvents(Enum):
    """Where the bucket reports what happens to its objects."""

    NOWHERE = "nowhere"
    EVENT_BRIDGE = "event-bridge"
    """To Amazon EventBridge of the account, all events. It excludes the L2's own notifications: S3 has one
    configuration of both, and the CDK would write it without EventBridge."""


class ReplicationDirection(Enum):
    """Which of several buckets replicate."""

    ONE_WAY = "one-way"
    """The first one, to each of the others."""
    BOTH_WAYS = "both-ways"
    """Each, to all others: what is stored in any Region is in all of them, and so are later changes of its tags."""


class DeleteMarkers(Enum):
    """What an object's deletion does to its replicas. It erases none: the older versions stay, here and there."""

    REPLICATED = "replicated"
    """The replicas are hidden by a delete marker as well."""
    NOT_REPLICATED = "not-replicated"
    """The replicas stay as they are: what is deleted by mistake is still read in the other Regions."""


class ReplicationTime(Enum):
    """How soon S3 replicates."""

    BEST_EFFORT = "best-effort"
    """Most objects within 15 minutes, without a promise of AWS."""
    WITHIN_15_MINUTES = "within-15-minutes"
    """S3 Replication Time Control: 99.9 percent within 15 minutes by AWS's service level agreement, for a price."""


class ObjectLock(Enum):
    """Whether objects can be locked against deletion. A bucket's lock can't be switched off again."""

    OFF = "off"
    ON = "on"
    """Whoever stores an object may give it a retention or a legal hold, and replicas get the same."""


class GlueVersion(Enum):
    """Which version of Glue runs a job, and with it Spark and Python."""

    V5_1 = "5.1"
    """Spark 3.5.6, Python 3.11: what the library's own job is tried on."""
    V6_0 = "6.0"
    """Spark 4.1.1, Python 3.13."""

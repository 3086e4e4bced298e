"""AccessLogBucket: where S3 delivers the server access logs of other buckets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.interned import block_all_public_access, block_sse_c, days, home, pseudo_parameters
from cdk_encrypted_data.policies import bucket as bucket_policy

RETENTION_DAYS = (1, 36_500)
"""The shortest and the longest time that logs are kept, in days."""

# S3 takes bucket policies of 20 KB. The rest is what the policy says without sources.
_ROOM_FOR_SOURCES = 17_500
# What admitting one source takes, with names as long as S3 takes them, without its prefix.
_SIZE_OF_A_SOURCE = 410

_DEFAULT_RETENTION_DAYS = 365


class AccessLogBucket(Construct):
    """A bucket that only S3's log delivery writes to, for buckets of the same account and Region.

    Logs are encrypted with SSE-S3, the only encryption that AWS documents for a log bucket: under a customer managed
    key S3 may deliver logs that nobody can read. The bucket keeps versions, takes no ACLs, is closed to the public,
    refuses plain HTTP and old TLS, refuses every writer but log delivery, and expires logs. It isn't logged itself and
    has no Object Lock, which S3 doesn't allow on a log bucket.

    Stateful: the bucket, retained when it leaves the template unless ``removal_policy`` says otherwise, and its policy
    with it. A new ``bucket_name`` replaces it.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        bucket_name: str | None = None,
        retention: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the bucket and its policy.

        Args:
            scope: The construct to put it into.
            id: Its id there. Part of the logical id: changing it makes a new bucket.
            bucket_name: Default: CloudFormation makes one.
            retention: How long logs are kept: 1 to 36500 days (a bound of this library's). Default: 365 days.
            removal_policy: What happens to the bucket when it leaves the template. Default: it stays. CloudFormation
                deletes no bucket that holds logs.

        Raises:
            ValueError: If an argument is out of bounds.
        """
        validation.check_optional_text(id, "bucket_name", bucket_name, validation.BUCKET_NAME)
        validation.check_days(id, "retention", retention, RETENTION_DAYS)
        validation.check_removal_policy(id, "removal_policy", removal_policy)

        super().__init__(scope, id)
        self._id = id
        self._prefixes: set[str] = set()
        self._open_to_the_account = False
        self._bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=bucket_name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            blocked_encryption_types=[block_sse_c()],
            block_public_access=block_all_public_access(),
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="ExpireLogs",
                    expiration=retention or days(_DEFAULT_RETENTION_DAYS),
                    noncurrent_version_expiration=days(1),
                    abort_incomplete_multipart_upload_after=days(1),
                )
            ],
            removal_policy=removal_policy,
        )
        arn = self._bucket.bucket_arn
        statements = [
            *bucket_policy.refuse_weak_transport(arn, minimum_tls_version="1.2"),
            *bucket_policy.refuse_other_writers(arn),
        ]
        self._bucket.policy = s3.BucketPolicy(
            self,
            "Policy",
            bucket=self._bucket,
            document=iam.PolicyDocument.from_json(policies.document(statements)),
            removal_policy=removal_policy,
        )

    @property
    def bucket(self) -> s3.Bucket:
        """The bucket."""
        return self._bucket

    @functools.cached_property
    def bucket_name(self) -> str:
        """The bucket's name."""
        return self._bucket.bucket_name

    def allow_delivery(self, *, source: s3.IBucket, prefix: str) -> None:
        """Allow S3 to deliver a bucket's logs under a prefix; `EncryptedBucket` calls it for its ``access_log_bucket``.

        Args:
            source: The bucket whose logs are delivered, of the same account and Region. One of another stack may
                deliver as any bucket of this account, under any prefix: naming it would make both stacks need each
                other, since the source names this bucket.
            prefix: What the names of its logs begin with, ended by a slash.

        Raises:
            ValueError: If the prefix is malformed or taken, or the bucket's policy has room for no further source.
        """
        self._allow_delivery_from(cast("Construct", source), bucket_arn=lambda: source.bucket_arn, prefix=prefix)

    def _allow_delivery_from(self, scope: Construct, *, bucket_arn: Callable[[], str], prefix: str) -> None:
        """Do what `allow_delivery` does, for a construct of this library that has the bucket in ``scope``.

        The bucket is asked for its ARN only where the policy names it: in a fleet each call into Node counts.
        """
        owner = self._id
        validation.check_text(owner, "prefix", prefix, validation.LOG_PREFIX)
        if prefix in self._prefixes:
            raise validation.refusal(
                owner,
                "prefix",
                got=prefix,
                allowed="a prefix that no other source has",
                remedy="choose another: logs of two buckets under one prefix can't be told apart",
            )
        if sum(_SIZE_OF_A_SOURCE + len(each) for each in (*self._prefixes, prefix)) > _ROOM_FOR_SOURCES:
            raise validation.refusal(
                owner,
                "source",
                got=f"source number {len(self._prefixes) + 1} of this stack",
                allowed="as many as S3's 20 KB for a bucket's policy have room for, about 40",
                remedy="make another AccessLogBucket",
            )
        here = pseudo_parameters()
        if home(scope).stack == home(self).stack:
            self._prefixes.add(prefix)
            self._admit(bucket_arn(), prefix)
        elif not self._open_to_the_account:
            self._open_to_the_account = True
            self._admit(f"arn:{here.partition}:s3:::*", "")

    def _admit(self, source_bucket_arn: str, prefix: str) -> None:
        statement = bucket_policy.allow_log_delivery(
            self._bucket.bucket_arn,
            prefix=prefix,
            source_bucket_arn=source_bucket_arn,
            source_account=pseudo_parameters().account,
        )
        self._bucket.add_to_resource_policy(iam.PolicyStatement.from_json(statement))

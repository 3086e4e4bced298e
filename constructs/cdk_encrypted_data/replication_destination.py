"""ReplicationDestination: a bucket that takes replicas of another account's, for the app of its own account."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_encrypted_data import validation
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.bucket_options import check_access_logs, check_storage
from cdk_encrypted_data.choices import (
    DeleteMarkers,
    MinimumTlsVersion,
    ObjectEvents,
    ObjectLock,
    ServerSideEncryption,
)
from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.managed_key import check_options
from cdk_encrypted_data.policies import replication


class ReplicationDestination(Construct):
    """An `EncryptedBucket` and its key, which admit replication roles of other accounts, and nothing else of theirs.

    The other account's `ReplicatedEncryptedBuckets` names it in ``destinations``; this one is deployed first, and the
    role need not be there yet. A role may store replicas, their tags and delete markers in this bucket, give them to
    its owner, and encrypt them under this key through S3 of this Region. It reads nothing, lists nothing, deletes no
    version, and doesn't change the bucket.

    Stateful: the bucket and the key, retained when they leave the template unless ``removal_policy`` says otherwise. A
    new ``bucket_name_prefix`` replaces the bucket.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        bucket_name_prefix: str,
        source_role_arns: Sequence[str],
        delete_markers: DeleteMarkers = DeleteMarkers.REPLICATED,
        object_lock: ObjectLock = ObjectLock.OFF,
        encryption: ServerSideEncryption = ServerSideEncryption.SSE_KMS,
        key_administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_alias_name: str | None = None,
        key_rotation_period: cdk.Duration | None = None,
        key_pending_window: cdk.Duration | None = None,
        minimum_tls_version: MinimumTlsVersion = MinimumTlsVersion.TLS_1_2,
        noncurrent_version_expiration: cdk.Duration | None = None,
        abort_incomplete_multipart_upload_after: cdk.Duration | None = None,
        lifecycle_rules: Sequence[s3.LifecycleRule] = (),
        access_log_bucket: AccessLogBucket | None = None,
        access_log_prefix: str | None = None,
        object_events: ObjectEvents = ObjectEvents.NOWHERE,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the bucket, its policy and its key.

        Args:
            scope: The construct to put it into.
            id: Its id there. Part of the logical ids: changing it makes a new bucket and key.
            bucket_name_prefix: The bucket is named PREFIX-ACCOUNT-REGION-an, which the other account can know.
            source_role_arns: The ARNs of the roles as which S3 replicates, of other accounts: their ``role_name``.
            delete_markers: Whether they may hide what they replicated, as the sources' ``delete_markers`` says.
                Default: they may.
            object_lock: Whether objects can be locked, as the sources' ``object_lock`` says. Default: they can't.
            encryption: SSE-KMS or DSSE-KMS, as the sources'. Default: SSE-KMS.
            key_administrators: Who administers the key and may not use it. Default: this account's IAM policies decide.
            key_alias_name: ``alias/…``. Default: ``alias/STACK/PATH``, the path of the key.
            key_rotation_period: 90 to 2560 days. Default: 365 days.
            key_pending_window: 7 to 30 days. Default: 30 days.
            minimum_tls_version: Default: TLS 1.2.
            noncurrent_version_expiration: 1 to 36500 days. Default: 90 days.
            abort_incomplete_multipart_upload_after: 1 to 365 days. Default: 7 days.
            lifecycle_rules: Rules beside the bucket's own. Default: none.
            access_log_bucket: Where S3 delivers server access logs. Default: no access logs.
            access_log_prefix: The prefix of those logs, ended by a slash; no two buckets of a log bucket may share one.
                Default: the bucket's path.
            object_events: Where the bucket reports what happens to its objects, the arrival of replicas among it.
                Default: nowhere.
            removal_policy: What happens to bucket and key when they leave the template. Default: they stay.

        Raises:
            ValueError: If an argument is out of bounds, if a log prefix comes without a log bucket, or if a role is of
                the bucket's own account.
        """
        validation.check_text(id, "bucket_name_prefix", bucket_name_prefix, validation.BUCKET_NAME_PREFIX)
        validation.check_choice(id, "delete_markers", delete_markers, DeleteMarkers)
        validation.check_choice(id, "object_lock", object_lock, ObjectLock)
        validation.check_choice(id, "encryption", encryption, ServerSideEncryption)
        if encryption is ServerSideEncryption.SSE_S3:
            raise validation.refusal(
                id,
                "encryption",
                got=encryption,
                allowed="ServerSideEncryption.SSE_KMS, ServerSideEncryption.DSSE_KMS",
                remedy="replicate under a key of the customer",
            )
        stack = cdk.Stack.of(scope)
        _check_roles(id, source_role_arns, stack.account)
        validation.check_name_length(id, "bucket_name_prefix", bucket_name_prefix, stack.region)
        check_storage(
            id,
            minimum_tls_version=minimum_tls_version,
            noncurrent_version_expiration=noncurrent_version_expiration,
            abort_incomplete_multipart_upload_after=abort_incomplete_multipart_upload_after,
            lifecycle_rules=lifecycle_rules,
            object_events=object_events,
            removal_policy=removal_policy,
        )
        check_options(
            id,
            scope,
            administrators=key_administrators,
            alias_name=key_alias_name,
            rotation_period=key_rotation_period,
            pending_window=key_pending_window,
            prefix="key_",
        )
        validation.check_optional_text(id, "access_log_prefix", access_log_prefix, validation.LOG_PREFIX)
        check_access_logs(id, access_log_bucket, access_log_prefix, scope)

        super().__init__(scope, id)
        here = pseudo_parameters()
        self._bucket_arn = f"arn:{here.partition}:s3:::{bucket_name_prefix}-{here.account}-{here.region}-an"
        key = CustomerManagedKey(
            self,
            "Key",
            administrators=key_administrators,
            bucket_arns=[self._bucket_arn],
            alias_name=key_alias_name,
            rotation_period=key_rotation_period,
            pending_window=key_pending_window,
            removal_policy=removal_policy,
        )
        key.add_statements(
            replication.admit_use_for_replicas(
                source_role_arns, region=here.region, bucket_arn=self._bucket_arn, encryption=encryption
            )
        )
        self._bucket = EncryptedBucket(
            self,
            "Bucket",
            bucket_name_prefix=bucket_name_prefix,
            encryption=encryption,
            key=key,
            minimum_tls_version=minimum_tls_version,
            noncurrent_version_expiration=noncurrent_version_expiration,
            abort_incomplete_multipart_upload_after=abort_incomplete_multipart_upload_after,
            lifecycle_rules=lifecycle_rules,
            access_log_bucket=access_log_bucket,
            access_log_prefix=access_log_prefix,
            object_events=object_events,
            removal_policy=removal_policy,
        )
        if object_lock is ObjectLock.ON:
            resource = self._bucket.bucket.node.default_child
            assert isinstance(resource, s3.CfnBucket)  # noqa: S101 - for type checkers: the CDK made it
            resource.object_lock_enabled = True
        for statement in replication.admit_replicas(
            source_role_arns, bucket_arn=self._bucket.bucket.bucket_arn, delete_markers=delete_markers
        ):
            self._bucket.bucket.add_to_resource_policy(iam.PolicyStatement.from_json(statement))

    @property
    def bucket(self) -> EncryptedBucket:
        """The bucket, for grants to readers of this account."""
        return self._bucket


def _check_roles(owner: str, role_arns: object, account: str) -> None:
    validation.check_texts(owner, "source_role_arns", role_arns, validation.ROLE_ARN)
    assert isinstance(role_arns, (list, tuple))  # noqa: S101 - for type checkers: just checked
    if not role_arns:
        raise validation.refusal(
            owner,
            "source_role_arns",
            got=role_arns,
            allowed="at least one ARN",
            remedy="name the role as which the other account replicates; a bucket without is an EncryptedBucket",
        )
    for arn in role_arns:
        # By its parts the policies know the account.
        validation.check_known_text(owner, "source_role_arns", arn, validation.ROLE_ARN)
        if validation.account_in(arn) == account:
            raise validation.refusal(
                owner,
                "source_role_arns",
                got=arn,
                allowed="roles of other accounts",
                remedy="use ReplicatedEncryptedBuckets with replicas for buckets of one account",
            )

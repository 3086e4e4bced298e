"""EncryptedBucket: a bucket that stores nothing except under its own encryption."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from enum import Enum
from typing import Protocol, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.interfaces.aws_kms import IKeyRef
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.interned import block_all_public_access, block_sse_c, days, pseudo_parameters
from cdk_encrypted_data.policies import access
from cdk_encrypted_data.policies import bucket as bucket_policy
from cdk_encrypted_data.policies import key as key_policy

NONCURRENT_VERSION_DAYS = (1, 36_500)
"""How long non-current versions may be kept, in days."""

ABORT_UPLOAD_DAYS = (1, 365)
"""How long an incomplete multipart upload may be kept, in days."""

_DEFAULT_NONCURRENT_VERSION_DAYS = 90
_DEFAULT_ABORT_UPLOAD_DAYS = 7


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
    """It is refused. Refuses most AWS services' uploads too, copies without headers and every default client."""


class CustomerProvidedKeys(Enum):
    """Whether uploads may bring a key of their own (SSE-C)."""

    BLOCKED = "blocked"
    """No: S3 blocks it by the bucket's configuration, and the bucket's policy refuses it."""
    ALLOWED = "allowed"
    """Yes: such objects are readable only with the key that came with them, and not under the bucket's key."""


class MinimumTlsVersion(Enum):
    """The oldest TLS version that the bucket answers."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ObjectEvents(Enum):
    """Where the bucket reports what happens to its objects."""

    NOWHERE = "nowhere"
    EVENT_BRIDGE = "event-bridge"
    """To Amazon EventBridge of the account, all events."""


# Where SSE-KMS is the rule, DSSE-KMS under the same key protects no less.
_NAMEABLE_ALGORITHMS = {
    ServerSideEncryption.SSE_KMS: ("aws:kms", "aws:kms:dsse"),
    ServerSideEncryption.DSSE_KMS: ("aws:kms:dsse",),
    ServerSideEncryption.SSE_S3: ("AES256",),
}

_L2_ENCRYPTION = {
    ServerSideEncryption.SSE_KMS: s3.BucketEncryption.KMS,
    ServerSideEncryption.DSSE_KMS: s3.BucketEncryption.DSSE,
    ServerSideEncryption.SSE_S3: s3.BucketEncryption.S3_MANAGED,
}


class _Access(Protocol):
    def __call__(
        self, bucket_arn: str, objects: str, *, key_arn: str | None, region: str
    ) -> list[access.Permission]: ...


class EncryptedBucket(Construct):
    """An S3 bucket in which every object is encrypted as the bucket says, whoever uploads it and however.

    Without options: a customer managed key of its own (`CustomerManagedKey`), default encryption SSE-KMS under it with
    an S3 Bucket Key, SSE-C blocked, a policy that refuses uploads under anything else and every request over plain HTTP
    or TLS below 1.2, no public access, no ACLs, versions, and a lifecycle that expires old versions and abandoned
    uploads. What the class promises has no switch.

    Stateful: the bucket and the key. Both are retained when they leave the template unless ``removal_policy`` says
    otherwise, and so is the bucket's policy. A new ``bucket_name`` or ``bucket_name_prefix`` replaces the bucket. A new
    ``key`` or ``encryption`` changes how new objects are stored and leaves old ones as they are.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        encryption: ServerSideEncryption = ServerSideEncryption.SSE_KMS,
        key: CustomerManagedKey | IKeyRef | None = None,
        upload_policy: UploadPolicy = UploadPolicy.RESPECT_DEFAULT,
        customer_provided_keys: CustomerProvidedKeys = CustomerProvidedKeys.BLOCKED,
        minimum_tls_version: MinimumTlsVersion = MinimumTlsVersion.TLS_1_2,
        bucket_name: str | None = None,
        bucket_name_prefix: str | None = None,
        noncurrent_version_expiration: cdk.Duration | None = None,
        abort_incomplete_multipart_upload_after: cdk.Duration | None = None,
        transitions: Sequence[s3.Transition] = (),
        noncurrent_version_transitions: Sequence[s3.NoncurrentVersionTransition] = (),
        lifecycle_rules: Sequence[s3.LifecycleRule] = (),
        access_log_bucket: AccessLogBucket | None = None,
        access_log_prefix: str | None = None,
        cors: Sequence[s3.CorsRule] = (),
        object_events: ObjectEvents = ObjectEvents.NOWHERE,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the bucket, its policy and, unless ``key`` is given, its key.

        Args:
            scope: The construct to put it into.
            id: Its id there. Part of the logical ids: changing it makes a new bucket and key.
            encryption: How S3 encrypts. Default: SSE-KMS.
            key: An existing key: a `CustomerManagedKey` with administrators and users of its own, a key of this app, or
                any key by reference (``kms.Key.from_key_arn``), of this or another account, single- or multi-Region, of
                any origin, in the bucket's Region. Its policy must let the bucket's users use it; where it belongs to
                another account a warning shows the statement needed. Default: a new key for this bucket.
            upload_policy: What an upload that names no encryption meets. Default: it gets the bucket's encryption.
            customer_provided_keys: Whether SSE-C is allowed. Default: blocked.
            minimum_tls_version: Default: TLS 1.2.
            bucket_name: A name that is unique in the partition. Default: CloudFormation makes one. With a name the key
                is bound to this bucket by its policy as well.
            bucket_name_prefix: Name the bucket PREFIX-ACCOUNT-REGION-an, in the account's own namespace, which nobody
                else can take. At most 37 characters. The key is bound to this bucket by its policy as well.
            noncurrent_version_expiration: How long overwritten and deleted versions are kept: 1 to 36500 days. Default:
                90 days.
            abort_incomplete_multipart_upload_after: 1 to 365 days. Default: 7 days.
            transitions: When current versions move to another storage class. Default: never.
            noncurrent_version_transitions: When non-current versions do. Default: never.
            lifecycle_rules: Rules beside the bucket's own.
            access_log_bucket: Where S3 delivers server access logs: a log bucket of the same account and Region.
                Default: no access logs.
            access_log_prefix: The prefix of those logs, ended by a slash. Default: the construct's path.
            cors: Which web pages of other origins may call the bucket. Default: none.
            object_events: Where the bucket reports what happens to its objects. Default: nowhere.
            removal_policy: What happens to bucket and key when they leave the template. Default: they stay.
                CloudFormation deletes no bucket that holds objects.

        Raises:
            ValueError: If an argument is out of bounds, or two contradict each other.
        """
        validation.check_choice(id, "encryption", encryption, ServerSideEncryption)
        validation.check_choice(id, "upload_policy", upload_policy, UploadPolicy)
        validation.check_choice(id, "customer_provided_keys", customer_provided_keys, CustomerProvidedKeys)
        validation.check_choice(id, "minimum_tls_version", minimum_tls_version, MinimumTlsVersion)
        validation.check_choice(id, "object_events", object_events, ObjectEvents)
        validation.check_text(id, "bucket_name", bucket_name, validation.BUCKET_NAME)
        validation.check_text(id, "bucket_name_prefix", bucket_name_prefix, validation.BUCKET_NAME_PREFIX)
        validation.check_text(id, "access_log_prefix", access_log_prefix, validation.LOG_PREFIX)
        validation.check_days(
            id, "noncurrent_version_expiration", noncurrent_version_expiration, NONCURRENT_VERSION_DAYS
        )
        validation.check_days(
            id, "abort_incomplete_multipart_upload_after", abort_incomplete_multipart_upload_after, ABORT_UPLOAD_DAYS
        )
        validation.check_removal_policy(id, "removal_policy", removal_policy)
        if key is not None and encryption is ServerSideEncryption.SSE_S3:
            raise validation.refusal(
                id,
                "key",
                got=key,
                allowed="no key with SSE_S3",
                remedy="leave the key out, or choose SSE_KMS or DSSE_KMS",
            )
        if bucket_name is not None and bucket_name_prefix is not None:
            raise validation.refusal(
                id,
                "bucket_name_prefix",
                got=bucket_name_prefix,
                allowed="no prefix with bucket_name",
                remedy="leave one of the two out",
            )
        if access_log_prefix is not None and access_log_bucket is None:
            raise validation.refusal(
                id,
                "access_log_prefix",
                got=access_log_prefix,
                allowed="no prefix without access_log_bucket",
                remedy="pass the log bucket as well, or leave the prefix out",
            )
        if access_log_bucket is not None:
            validation.check_same_environment(
                id, "access_log_bucket", cdk.Stack.of(access_log_bucket), here=cdk.Stack.of(scope)
            )

        super().__init__(scope, id)
        here = pseudo_parameters()
        # The key's policy can name the bucket only by a name known beforehand: its ARN would be a cycle.
        name = f"{bucket_name_prefix}-{here.account}-{here.region}-an" if bucket_name_prefix else bucket_name
        self._own_key: CustomerManagedKey | None = None
        self._key: kms.IKey | None = None
        if encryption is not ServerSideEncryption.SSE_S3:
            if key is None:
                arns = [f"arn:{here.partition}:s3:::{name}"] if name else []
                key = CustomerManagedKey(self, "Key", bucket_arns=arns, removal_policy=removal_policy)
            self._key = self._existing_key(key)
        key_arn = self._key.key_arn if self._key else None

        self._bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=bucket_name,
            bucket_name_prefix=bucket_name_prefix,
            bucket_namespace=s3.BucketNamespace.ACCOUNT_REGIONAL if bucket_name_prefix else None,
            encryption=_L2_ENCRYPTION[encryption],
            encryption_key=self._key,
            # One request to KMS for many objects; S3 has none for DSSE.
            bucket_key_enabled=True if encryption is ServerSideEncryption.SSE_KMS else None,
            blocked_encryption_types=[
                block_sse_c()
                if customer_provided_keys is CustomerProvidedKeys.BLOCKED
                else s3.BlockedEncryptionType.NONE
            ],
            block_public_access=block_all_public_access(),
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Retention",
                    noncurrent_version_expiration=noncurrent_version_expiration
                    or days(_DEFAULT_NONCURRENT_VERSION_DAYS),
                    abort_incomplete_multipart_upload_after=abort_incomplete_multipart_upload_after
                    or days(_DEFAULT_ABORT_UPLOAD_DAYS),
                    transitions=list(transitions) or None,
                    noncurrent_version_transitions=list(noncurrent_version_transitions) or None,
                ),
                *lifecycle_rules,
            ],
            cors=list(cors) or None,
            removal_policy=removal_policy,
        )
        arn = self._bucket.bucket_arn
        statements = [
            *bucket_policy.refuse_weak_transport(arn, minimum_tls_version=minimum_tls_version.value),
            *bucket_policy.refuse_other_encryption(
                arn,
                algorithms=_NAMEABLE_ALGORITHMS[encryption],
                key_arn=key_arn,
                header_required=upload_policy is UploadPolicy.REQUIRE_HEADER,
                customer_provided_keys_refused=customer_provided_keys is CustomerProvidedKeys.BLOCKED,
            ),
        ]
        # Set before anything else asks for a policy: a bucket can have only one.
        self._bucket.policy = s3.BucketPolicy(
            self,
            "Policy",
            bucket=self._bucket,
            document=iam.PolicyDocument.from_json(policies.document(statements)),
            # Data that stays behind stays protected.
            removal_policy=removal_policy,
        )
        if access_log_bucket is not None:
            self._deliver_access_logs(access_log_bucket, access_log_prefix or f"{self.node.path}/")
        if object_events is ObjectEvents.EVENT_BRIDGE:
            # The L2's own option would add a Lambda function to do what this property does.
            self._cfn_bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
                event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
            )

    @property
    def bucket(self) -> s3.Bucket:
        """The bucket, for all that the CDK does with buckets; its policy takes further statements."""
        return self._bucket

    @property
    def key(self) -> kms.IKey:
        """The key that protects the bucket.

        Raises:
            ValueError: If the bucket has none, because its encryption is SSE-S3.
        """
        if self._key is None:
            raise validation.refusal(
                self.node.id, "key", got=None, allowed="a bucket under a KMS key", remedy="choose SSE_KMS or DSSE_KMS"
            )
        return self._key

    def grant_read(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy list the bucket and read objects, decryption included.

        Args:
            grantee: A role, user, group or managed policy of this app, or one imported into it.
            objects_key_pattern: Which objects; ``*`` stands for any characters. Listing is not limited by it, and
                neither is the key: with a bucket key KMS sees only the bucket.

        Raises:
            ValueError: If the key names its users and the grantee isn't one, or the grantee can't be given a policy.
        """
        return self._grant(grantee, objects_key_pattern, access.read)

    def grant_write(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy store objects, in one request or in parts, but read none.

        S3 needs ``kms:Decrypt`` for a bucket key and for multipart uploads, so the grantee gets it, limited to S3 and
        this bucket. Arguments and errors are those of `grant_read`.
        """
        return self._grant(grantee, objects_key_pattern, access.write)

    def grant_read_write(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy read and store objects. Arguments and errors are those of `grant_read`."""
        return self._grant(grantee, objects_key_pattern, access.read_write)

    def grant_delete(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy delete objects: each becomes a non-current version, none is erased.

        Arguments and errors are those of `grant_read`.
        """
        return self._grant(grantee, objects_key_pattern, access.delete)

    def grant_read_to_service(
        self, service: str, *, source_arns: Sequence[str], source_account: str | None = None
    ) -> None:
        """Let an AWS service read objects, decryption included, for named sources only.

        For CloudFront with origin access control: ``service="cloudfront.amazonaws.com"`` and the distribution's ARN. If
        distribution and bucket are in one stack, use ``arn:aws:cloudfront::ACCOUNT:distribution/*``: the key's policy
        can't name what depends on the key.

        Args:
            service: The service principal.
            source_arns: The resources the service acts for, as ARNs or patterns (``aws:SourceArn``).
            source_account: The account of the sources (``aws:SourceAccount``). Needed where an ARN names none.

        Raises:
            ValueError: If no source is named, or one that could be anybody's.
        """
        validation.check_text(self.node.id, "service", service, validation.SERVICE)
        validation.check_sources(self.node.id, source_arns, source_account)
        condition = policies.source_condition(source_arns, source_account)
        self._bucket.add_to_resource_policy(
            _l2(bucket_policy.allow_service_read(self._bucket.bucket_arn, service=service, condition=condition))
        )
        if self._key is not None:
            statement = key_policy.allow_service(service, actions=key_policy.READ_ACTIONS, condition=condition)
            if not self._key.add_to_resource_policy(_l2(statement)).statement_added:
                self._warn_of_key_policy(f"lets {service} decrypt", [statement])

    @property
    def _cfn_bucket(self) -> s3.CfnBucket:
        return cast("s3.CfnBucket", self._bucket.node.default_child)

    def _existing_key(self, key: CustomerManagedKey | IKeyRef) -> kms.IKey:
        if isinstance(key, CustomerManagedKey):
            self._own_key = key
            return key.key
        stack = cdk.Stack.of(self)
        existing = cast("kms.IKey", key) if hasattr(key, "grant_decrypt") else None
        if existing is None:
            existing = kms.Key.from_key_arn(self, "Key", key.key_ref.key_arn)
        validation.check_key(self.node.id, "key", existing, region=stack.region)
        owner = existing.env.account
        if not validation.is_token(stack.account) and not validation.is_token(owner) and owner != stack.account:
            here = pseudo_parameters()
            self._warn_of_key_policy(
                "lets this account use it through S3",
                key_policy.use_through_s3(
                    here.account_root_arn, account=here.account, region=here.region, users=(), bucket_arns=()
                ),
            )
        return existing

    def _deliver_access_logs(self, log_bucket: AccessLogBucket, prefix: str) -> None:
        log_bucket.allow_delivery(source=self._bucket, prefix=prefix)
        # By the L1: the L2's way depends on a feature flag, and without it fails on a bucket that takes no ACLs.
        self._cfn_bucket.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=log_bucket.bucket.bucket_name, log_file_prefix=prefix
        )

    def _grant(self, grantee: iam.IGrantable, pattern: str, permissions_for: _Access) -> iam.Grant:
        validation.check_text(self.node.id, "objects_key_pattern", pattern, validation.OBJECTS_KEY_PATTERN)
        if self._own_key is not None:
            self._own_key.check_user(grantee)
        permissions = permissions_for(
            self._bucket.bucket_arn,
            pattern,
            key_arn=self._key.key_arn if self._key else None,
            region=pseudo_parameters().region,
        )
        grants = [
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=list(permission.actions),  # jsii takes no tuples
                resource_arns=[permission.resource],
                conditions=permission.condition,
            )
            for permission in permissions
        ]
        if not all(grant.success for grant in grants):
            raise validation.refusal(
                self.node.id,
                "grantee",
                got=grantee,
                allowed="a role, user, group or managed policy whose permissions this app may change",
                remedy="import it as mutable, or use grant_read_to_service for an AWS service",
            )
        return functools.reduce(iam.Grant.combine, grants)

    def _warn_of_key_policy(self, purpose: str, statements: Sequence[policies.Statement]) -> None:
        wanted = json.dumps(cdk.Stack.of(self).resolve(statements))
        cdk.Annotations.of(self).add_warning_v2(
            "cdk-encrypted-data:keyPolicyElsewhere",
            f"the policy of {self.node.path}'s key can't be changed from here; see to it that it {purpose}: {wanted}",
        )


def _l2(statement: policies.Statement) -> iam.PolicyStatement:
    return iam.PolicyStatement.from_json(statement)

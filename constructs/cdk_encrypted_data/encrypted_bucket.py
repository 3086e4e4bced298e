"""EncryptedBucket: a bucket that takes no upload except under its own encryption."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Protocol, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.interfaces.aws_kms import IKeyRef
from constructs import Construct, IValidation

from cdk_encrypted_data import names, policies, validation
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.bucket_options import (
    DEFAULT_ABORT_UPLOAD_DAYS,
    DEFAULT_NONCURRENT_VERSION_DAYS,
    RETENTION,
    check_access_logs,
    check_storage,
)
from cdk_encrypted_data.choices import (
    CustomerProvidedKeys,
    MinimumTlsVersion,
    ObjectEvents,
    ServerSideEncryption,
    UploadPolicy,
)
from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.interned import block_all_public_access, block_sse_c, days, pseudo_parameters
from cdk_encrypted_data.managed_key import ManagedKey, check_options
from cdk_encrypted_data.policies import access
from cdk_encrypted_data.policies import bucket as bucket_policy
from cdk_encrypted_data.policies import key as key_policy

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
    """An S3 bucket that takes no upload except under its own encryption, whoever uploads and however.

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
        key: ManagedKey | IKeyRef | None = None,
        key_administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_users: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_alias_name: str | None = None,
        key_rotation_period: cdk.Duration | None = None,
        key_pending_window: cdk.Duration | None = None,
        upload_policy: UploadPolicy = UploadPolicy.RESPECT_DEFAULT,
        customer_provided_keys: CustomerProvidedKeys = CustomerProvidedKeys.BLOCKED,
        minimum_tls_version: MinimumTlsVersion = MinimumTlsVersion.TLS_1_2,
        bucket_name: str | None = None,
        bucket_name_prefix: str | None = None,
        noncurrent_version_expiration: cdk.Duration | None = None,
        abort_incomplete_multipart_upload_after: cdk.Duration | None = None,
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
            key: An existing key: a `CustomerManagedKey`, a key of this app, or any key by reference
                (``kms.Key.from_key_arn``), of this or another account, single- or multi-Region, in the bucket's Region.
                S3 takes symmetric keys only, whatever their origin: a key of this app is looked at, and an ARN doesn't
                show it. Its policy must let the bucket's users use it; where it can't be changed from here a warning
                shows the statement it needs. Default: a new key for this bucket. Another key for a bucket that holds
                objects takes the old key out of its grants: what is stored under it can't be read by them.
            key_administrators: Of the new key: who administers it and may not use it (`CustomerManagedKey`). Default:
                the account's IAM policies decide.
            key_users: Of the new key: who uses it and may not administer it. Default: the account's IAM policies
                decide.
            key_alias_name: Of the new key: ``alias/…``. Default: ``alias/STACK/PATH``.
            key_rotation_period: Of the new key: 90 to 2560 days. Default: 365 days.
            key_pending_window: Of the new key: 7 to 30 days. Default: 30 days.
            upload_policy: What an upload that names no encryption meets. Default: it gets the bucket's encryption.
            customer_provided_keys: Whether SSE-C is allowed. Default: blocked.
            minimum_tls_version: Default: TLS 1.2.
            bucket_name: A name that is unique in the partition. Default: CloudFormation makes one. With a name the new
                key is bound to this bucket by its policy as well.
            bucket_name_prefix: Name the bucket PREFIX-ACCOUNT-REGION-an, in the account's own namespace, which nobody
                else can take; 63 characters at most in all. The new key is bound to this bucket by its policy as well.
            noncurrent_version_expiration: How long overwritten and deleted versions are kept: 1 to 36500 days (a bound
                of this library's). Default: 90 days.
            abort_incomplete_multipart_upload_after: 1 to 365 days (a bound of this library's). Default: 7 days.
            lifecycle_rules: Rules beside the bucket's own, for archive classes and expiry; each with an id. Default:
                none.
            access_log_bucket: Where S3 delivers server access logs: a log bucket of the same account and Region.
                Default: no access logs.
            access_log_prefix: The prefix of those logs, ended by a slash; no two buckets of a log bucket may share one.
                Default: the construct's path.
            cors: Which web pages of other origins may call the bucket. Default: none.
            object_events: Where the bucket reports what happens to its objects. Default: nowhere.
            removal_policy: What happens to bucket and key when they leave the template. Default: they stay.
                CloudFormation deletes no bucket that holds objects. A named bucket that stays after a failed first
                deployment is in the way of the next one; ``RETAIN_ON_UPDATE_OR_DELETE`` keeps it only once it is made.

        Raises:
            ValueError: If an argument is out of bounds, or two contradict each other.
        """
        validation.check_choice(id, "encryption", encryption, ServerSideEncryption)
        check_storage(
            id,
            upload_policy=upload_policy,
            customer_provided_keys=customer_provided_keys,
            minimum_tls_version=minimum_tls_version,
            noncurrent_version_expiration=noncurrent_version_expiration,
            abort_incomplete_multipart_upload_after=abort_incomplete_multipart_upload_after,
            lifecycle_rules=lifecycle_rules,
            cors=cors,
            object_events=object_events,
            removal_policy=removal_policy,
        )
        validation.check_optional_text(id, "bucket_name", bucket_name, validation.BUCKET_NAME)
        validation.check_optional_text(id, "bucket_name_prefix", bucket_name_prefix, validation.BUCKET_NAME_PREFIX)
        validation.check_optional_text(id, "access_log_prefix", access_log_prefix, validation.LOG_PREFIX)
        of_a_key: dict[str, object] = {
            "key_administrators": key_administrators,
            "key_users": key_users,
            "key_alias_name": key_alias_name,
            "key_rotation_period": key_rotation_period,
            "key_pending_window": key_pending_window,
        }
        _check_key_options(id, {"key": key, **of_a_key}, encryption)
        check_options(
            id,
            scope,
            administrators=key_administrators,
            users=key_users,
            alias_name=key_alias_name,
            rotation_period=key_rotation_period,
            pending_window=key_pending_window,
            prefix="key_",
        )
        validation.check_not_both(
            id, "bucket_name_prefix", bucket_name_prefix, other="bucket_name", other_value=bucket_name
        )
        here = pseudo_parameters()
        name = f"{bucket_name_prefix}-{here.account}-{here.region}-an" if bucket_name_prefix else bucket_name
        if bucket_name_prefix is not None:
            validation.check_name_length(id, "bucket_name_prefix", bucket_name_prefix, cdk.Stack.of(scope).region)
        if key is not None:
            _check_key(id, key, cdk.Stack.of(scope), bucket_name=name)
        check_access_logs(id, access_log_bucket, access_log_prefix, scope)

        super().__init__(scope, id)
        self._name_prefix = bucket_name_prefix
        self._managed_key = key if isinstance(key, ManagedKey) else None
        if key is None and encryption is not ServerSideEncryption.SSE_S3:
            self._managed_key = CustomerManagedKey(
                self,
                "Key",
                administrators=key_administrators,
                users=key_users,
                # Only by a name known beforehand: the bucket needs the key, so its ARN would be a cycle.
                bucket_arns=[f"arn:{here.partition}:s3:::{name}"] if name else [],
                alias_name=key_alias_name,
                rotation_period=key_rotation_period,
                pending_window=key_pending_window,
                removal_policy=removal_policy,
            )
        self._key: kms.IKey | None = None
        if self._managed_key is not None:
            self._key = self._managed_key.key
        elif key is not None and not isinstance(key, ManagedKey):
            self._key = self._existing_key(key)
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
            blocked_encryption_types=[_blocked(customer_provided_keys)],
            block_public_access=block_all_public_access(),
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                _retention(noncurrent_version_expiration, abort_incomplete_multipart_upload_after),
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
                encryption=encryption,
                key_arn=self._key.key_arn if self._key else None,
                upload_policy=upload_policy,
                customer_provided_keys=customer_provided_keys,
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
            self._deliver_access_logs(access_log_bucket, access_log_prefix)
        if object_events is ObjectEvents.EVENT_BRIDGE:
            self._report_to_event_bridge()

    @property
    def bucket(self) -> s3.Bucket:
        """The bucket, for all that the CDK does with buckets; its policy takes further statements.

        Its own ``grant_*`` know nothing of this construct's key policy: use those of this class.
        """
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
        on_objects = bucket_policy.allow_service_read(self._bucket.bucket_arn, service=service, condition=condition)
        self._bucket.add_to_resource_policy(iam.PolicyStatement.from_json(on_objects))
        if self._managed_key is not None:
            # By the construct: of a replica key the CDK has an imported one, whose policy it can't change.
            self._managed_key.allow_service(service, source_arns=source_arns, source_account=source_account)
        elif self._key is not None:
            statement = key_policy.allow_service(service, actions=key_policy.READ_ACTIONS, condition=condition)
            added = self._key.add_to_resource_policy(iam.PolicyStatement.from_json(statement))
            if not added.statement_added:
                self._warn_of_key_policy("Service", f"lets {service} decrypt", [statement])

    def check_grantee(self, grantee: iam.IGrantable) -> None:
        """Refuse a grantee of whom it is known that the policy of the bucket's key gives it nothing.

        Raises:
            ValueError: If the key names its users and the grantee isn't one, or if it administers the key.
        """
        if self._managed_key is not None:
            self._managed_key.check_grantee(grantee)

    @property
    def _cfn_bucket(self) -> s3.CfnBucket:
        return cast("s3.CfnBucket", self._bucket.node.default_child)

    def _existing_key(self, key: IKeyRef) -> kms.IKey:
        if not isinstance(key, (kms.Key, kms.CfnKey)):
            stack = cdk.Stack.of(self)
            arn = key.key_ref.key_arn
            partition = stack.partition if validation.is_token(arn) else arn.split(":")[1]
            self._warn_of_key_policy(
                "Existing",
                "lets this account use it through S3",
                key_policy.use_through_s3(
                    f"arn:{partition}:iam::{stack.account}:root",
                    account=stack.account,
                    region=stack.region,
                    users=(),
                    bucket_arns=(),
                ),
            )
        if hasattr(key, "grant_decrypt"):
            return cast("kms.IKey", key)
        return kms.Key.from_key_arn(self, "Key", key.key_ref.key_arn)

    def _deliver_access_logs(self, log_bucket: AccessLogBucket, prefix: str | None) -> None:
        prefix = prefix or f"{names.readable(self.to_string())}/"
        log_bucket.allow_delivery(source=self._bucket, prefix=prefix)
        # By the L1: the L2's way depends on a feature flag, and without it fails on a bucket that takes no ACLs.
        self._cfn_bucket.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=log_bucket.bucket_name, log_file_prefix=prefix
        )

    def _report_to_event_bridge(self) -> None:
        # The L2's own option would add a Lambda function to do what this property does.
        self._cfn_bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        self.node.add_validation(NoOtherNotifications(self._bucket, "object_events is EVENT_BRIDGE"))

    def _grant(self, grantee: iam.IGrantable, pattern: str, permissions_for: _Access) -> iam.Grant:
        owner = self.node.id
        validation.check_text(owner, "objects_key_pattern", pattern, validation.OBJECTS_KEY_PATTERN)
        stack = cdk.Stack.of(self)
        validation.check_grantee(owner, grantee, account=stack.account)
        key_arn = self._key.key_arn if self._key else None
        # The bucket's Region, wherever the grantee's policy is.
        permissions = permissions_for(self._arn_for(grantee), pattern, key_arn=key_arn, region=stack.region)
        if self._managed_key is not None and any(permission.resource == key_arn for permission in permissions):
            self._managed_key.check_grantee(grantee)
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
            raise validation.unable_to_grant(owner, grantee)
        return functools.reduce(iam.Grant.combine, grants)

    def _arn_for(self, grantee: iam.IGrantable) -> str:
        """Return the bucket's ARN as the policy of a grantee can name it."""
        here, there = cdk.Stack.of(self), validation.stack_of(grantee)
        regional = self._name_prefix and not validation.is_token(here.account + here.region)
        if there is None or there.region == here.region or not regional:
            return self._bucket.bucket_arn
        # The CDK refers to a bucket of another Region by its name, and doesn't know the one that S3 makes of a prefix.
        name = f"{self._name_prefix}-{here.account}-{here.region}-an"
        return f"arn:{pseudo_parameters().partition}:s3:::{name}"

    def _warn_of_key_policy(self, what: str, purpose: str, statements: Sequence[policies.Statement]) -> None:
        wanted = json.dumps(cdk.Stack.of(self).resolve(statements))
        cdk.Annotations.of(self).add_warning_v2(
            f"cdk-encrypted-data:keyPolicy{what}",
            f"the policy of {self.node.path}'s key can't be changed from here; see to it that it {purpose}: {wanted}",
        )


@jsii.implements(IValidation)
class NoOtherNotifications:
    """Refuses the L2's notifications beside others: the CDK would write S3's one configuration without these."""

    def __init__(self, bucket: s3.Bucket, others: str) -> None:
        self._bucket = bucket
        self._others = others

    def validate(self) -> list[str]:
        """Say what is wrong, if anything is."""
        if self._bucket.node.try_find_child("Notifications") is None:
            return []
        message = (
            f"{self._others}, and notifications of the bucket's L2 would switch that off; "
            "allowed: one of the two; let a rule of EventBridge do what the notification does"
        )
        return [message]


def _check_key_options(id: str, options: dict[str, object], encryption: ServerSideEncryption) -> None:  # noqa: A002
    for argument, value in options.items():
        if argument != "key":
            validation.check_not_both(id, argument, value, other="key", other_value=options["key"])
        if encryption is ServerSideEncryption.SSE_S3:
            validation.check_not_both(id, argument, value, other="SSE_S3", other_value=encryption)


def _blocked(customer_provided_keys: CustomerProvidedKeys) -> s3.BlockedEncryptionType:
    blocked = customer_provided_keys is CustomerProvidedKeys.BLOCKED
    return block_sse_c() if blocked else s3.BlockedEncryptionType.NONE


def _check_key(id: str, key: ManagedKey | IKeyRef, stack: cdk.Stack, *, bucket_name: str | None) -> None:  # noqa: A002
    if isinstance(key, ManagedKey):
        validation.check_same_environment(id, "key", cdk.Stack.of(key), here=stack)
        key.check_bucket(bucket_name)
        return
    validation.check_key(id, "key", key, region=stack.region)


def _retention(expiration: cdk.Duration | None, abort_after: cdk.Duration | None) -> s3.LifecycleRule:
    if expiration is None and abort_after is None:
        return _default_retention()
    return s3.LifecycleRule(
        id=RETENTION,
        noncurrent_version_expiration=expiration or days(DEFAULT_NONCURRENT_VERSION_DAYS),
        abort_incomplete_multipart_upload_after=abort_after or days(DEFAULT_ABORT_UPLOAD_DAYS),
        # A delete marker of which no version is left hides nothing and keeps the bucket from being deleted.
        expired_object_delete_marker=True,
    )


@functools.cache
def _default_retention() -> s3.LifecycleRule:
    # Made once: jsii checks every field of every rule it makes.
    return _retention(days(DEFAULT_NONCURRENT_VERSION_DAYS), days(DEFAULT_ABORT_UPLOAD_DAYS))

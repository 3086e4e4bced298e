"""The stack of encrypted buckets, their keys, their access logs and the policies that give access to them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data import AccessLogBucket, EncryptedBucket, ServerSideEncryption, UploadPolicy
from stacks.acknowledgements import (
    DEFAULT_KMS,
    HEADER_REQUIRED,
    REPLICATION,
    acknowledge,
    acknowledge_access_logs,
    acknowledge_removal,
    objects_of,
)
from stacks.settings import BucketSettings, Settings


class EncryptedDataStack(cdk.Stack):
    """A log bucket and, for each bucket of the settings, the bucket with a key and two policies to attach.

    A reader's policy lists and reads; a writer's stores and deletes and reads nothing. Each is a managed policy whose
    ARN is an output, for whoever gives people and services their roles.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, env: cdk.Environment | None = None) -> None:  # noqa: A002
        """Make the stack.

        Args:
            scope: The app or stage.
            id: The stack's id and name.
            settings: What to deploy.
            env: Account and Region. Default: wherever the template is deployed.
        """
        super().__init__(scope, id, env=env, description="Buckets encrypted under customer managed KMS keys")
        removal_policy = cdk.RemovalPolicy[settings.removal_policy.name]
        self.access_logs = AccessLogBucket(self, "AccessLogs", removal_policy=removal_policy)
        acknowledge_access_logs(self.access_logs.bucket)
        acknowledge_removal(removal_policy, buckets=[self.access_logs.bucket], keys=[])
        cdk.CfnOutput(self, "AccessLogBucketName", value=self.access_logs.bucket.bucket_name)
        self.buckets = {each.name: self._bucket(each, removal_policy) for each in settings.buckets}

    def _bucket(self, settings: BucketSettings, removal_policy: cdk.RemovalPolicy) -> EncryptedBucket:
        name = settings.name
        bucket = EncryptedBucket(
            self,
            name,
            key_administrators=[iam.ArnPrincipal(arn) for arn in settings.administrators],
            key_users=[iam.ArnPrincipal(arn) for arn in settings.users],
            encryption=settings.encryption,
            upload_policy=settings.upload_policy,
            access_log_bucket=self.access_logs,
            removal_policy=removal_policy,
        )
        acknowledge(
            bucket.bucket,
            REPLICATION,
            reason="This stack keeps its data in one Region by design; versions are what recovers overwritten objects.",
        )
        has_key = settings.encryption is not ServerSideEncryption.SSE_S3
        acknowledge_removal(removal_policy, buckets=[bucket.bucket], keys=[bucket.key] if has_key else [])
        if settings.upload_policy is UploadPolicy.REQUIRE_HEADER:
            acknowledge(
                bucket, HEADER_REQUIRED, reason="REQUIRE_HEADER was chosen for this bucket by name in the settings."
            )
        if not has_key:
            acknowledge(bucket.bucket, DEFAULT_KMS, reason="SSE-S3 was chosen for this bucket by name in the settings.")
        if settings.encryption is ServerSideEncryption.DSSE_KMS:
            acknowledge(
                bucket.bucket,
                DEFAULT_KMS,
                reason="DSSE-KMS encrypts twice under a customer managed key; the rule knows only aws:kms.",
            )
        reader = iam.ManagedPolicy(bucket, "Reader", description=f"Lists and reads the bucket {name}")
        bucket.grant_read(reader)
        writer = iam.ManagedPolicy(
            self, f"{name}Writer", description=f"Stores and deletes objects of the bucket {name}"
        )
        bucket.grant_write(writer)
        bucket.grant_delete(writer)
        for policy in (reader, writer):
            acknowledge(
                policy,
                objects_of(bucket.bucket),
                reason="The policy is about every object of this one bucket, whose names nobody knows beforehand.",
            )
        outputs = {
            "BucketName": bucket.bucket.bucket_name,
            "ReaderPolicyArn": reader.managed_policy_arn,
            "WriterPolicyArn": writer.managed_policy_arn,
        }
        if has_key:
            outputs["KeyArn"] = bucket.key.key_arn
        for output, value in outputs.items():
            # In the bucket's scope, where no other bucket's name can be in its way.
            cdk.CfnOutput(bucket, output, value=value).override_logical_id(f"{name}{output}")
        return bucket

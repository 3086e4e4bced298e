"""The stacks of buckets in several Regions, and of the key under which applications encrypt before they store there."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data import (
    AccessLogBucket,
    MultiRegionKeyPair,
    Promotion,
    ReplicatedEncryptedBuckets,
    ReplicationDirection,
    ReplicationMonitoring,
)
from stacks.acknowledgements import (
    CALLED_BY_CLOUDFORMATION,
    FUNCTION_IN_VPC,
    LOG_GROUP_UNDER_KMS,
    REPLICATION,
    acknowledge,
    acknowledge_access_logs,
    acknowledge_removal,
    objects_of,
    objects_of_bucket_named,
)
from stacks.settings import Monitoring, PromotionSettings, RemovalPolicy, ReplicatedBucketsSettings


class ReplicatedData:
    """In each Region two stacks: ``NAME-keys-REGION`` with the applications' key, ``NAME-REGION`` with the bucket.

    The first Region is home: it has the key's primary, and a reader's and a writer's policy, which hold in all Regions.
    Its bucket's stack is deployed last and its key's first, so one stack can't be both; and who deletes the buckets'
    stacks doesn't touch the keys, without which nothing that was encrypted can be read. Beside each bucket is a topic
    that tells of what isn't replicated, unless the settings want none.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: ReplicatedBucketsSettings,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """Make the stacks.

        Args:
            scope: The app or stage.
            settings: What to deploy.
            removal_policy: What happens to buckets and keys when they leave the template.
        """
        name = settings.name
        removal = cdk.RemovalPolicy[removal_policy.name]
        administrators = [iam.ArnPrincipal(arn) for arn in settings.administrators]

        def stack(id: str, region: str, description: str) -> cdk.Stack:  # noqa: A002 - the CDK's name for it
            env = cdk.Environment(account=settings.account, region=region)
            return cdk.Stack(scope, id, env=env, description=description)

        self.key_stacks = {
            region: stack(f"{name}-keys-{region}", region, f"The key under which applications encrypt {name}")
            for region in settings.regions
        }
        self.bucket_stacks = {
            region: stack(f"{name}-{region}", region, f"The bucket of {name}, which replicates to its other Regions")
            for region in settings.regions
        }
        key_home, *key_replicas = self.key_stacks.values()
        bucket_home, *bucket_replicas = self.bucket_stacks.values()

        self.keys = MultiRegionKeyPair(
            key_home,
            "Key",
            replicas=key_replicas,
            administrators=administrators,
            alias_name=f"alias/{name}",
            promotion=_promotion(settings.promotion),
            removal_policy=removal,
        )
        self.access_logs = {
            region: AccessLogBucket(each, "AccessLogs", removal_policy=removal)
            for region, each in self.bucket_stacks.items()
        }
        self.buckets = ReplicatedEncryptedBuckets(
            bucket_home,
            "Data",
            bucket_name_prefix=name.lower(),
            replicas=bucket_replicas,
            direction=ReplicationDirection.BOTH_WAYS,
            key_administrators=administrators,
            access_log_buckets=list(self.access_logs.values()),
            removal_policy=removal,
        )
        self.monitoring = (
            ReplicationMonitoring(
                bucket_home,
                "Monitoring",
                buckets=self.buckets,
                key_administrators=administrators,
                removal_policy=removal,
            )
            if settings.monitoring is Monitoring.ON
            else None
        )
        self.reader, self.writer = self._policies(bucket_home, name)
        self._acknowledge(settings)
        for region in settings.regions:
            bucket = self.buckets.bucket_for(region)
            acknowledge_removal(
                removal,
                buckets=[self.access_logs[region].bucket, bucket.bucket],
                keys=[self.keys.key_for(region), bucket.key],
            )
            cdk.CfnOutput(self.key_stacks[region], "KeyArn", value=self.keys.key_for(region).key_arn)
            cdk.CfnOutput(self.bucket_stacks[region], "BucketName", value=bucket.bucket.bucket_name)
            if self.monitoring is not None:
                topic = self.monitoring.topic_for(region)
                assert topic.master_key is not None  # noqa: S101 - for type checkers: each has one
                acknowledge_removal(removal, buckets=[], keys=[topic.master_key])
                cdk.CfnOutput(self.bucket_stacks[region], "ReplicationTopicArn", value=topic.topic_arn)
        cdk.CfnOutput(bucket_home, "ReaderPolicyArn", value=self.reader.managed_policy_arn)
        cdk.CfnOutput(bucket_home, "WriterPolicyArn", value=self.writer.managed_policy_arn)
        cdk.CfnOutput(bucket_home, "Purpose", value=name)

    def _policies(self, home: cdk.Stack, name: str) -> tuple[iam.ManagedPolicy, iam.ManagedPolicy]:
        # What applications encrypt for another purpose isn't theirs to read.
        context = {"purpose": name}
        reader = iam.ManagedPolicy(home, "Reader", description=f"Lists, reads and decrypts {name} in every Region")
        self.buckets.grant_read(reader)
        self.keys.grant_decrypt(reader, encryption_context=context)
        writer = iam.ManagedPolicy(home, "Writer", description=f"Encrypts, stores and deletes {name} in every Region")
        self.buckets.grant_write(writer)
        self.buckets.grant_delete(writer)
        self.keys.grant_encrypt(writer, encryption_context=context)
        return reader, writer

    def _acknowledge(self, settings: ReplicatedBucketsSettings) -> None:
        for logs in self.access_logs.values():
            acknowledge_access_logs(logs.bucket)
        for region in settings.regions:
            acknowledge(
                self.buckets.bucket_for(region).bucket,
                REPLICATION,
                reason="It replicates to every other Region: a custom resource puts that when all buckets are there, "
                "because as a property of the bucket it would need the others first.",
            )
        replication = self.buckets.node.find_child("Replication")
        acknowledge(
            replication,
            CALLED_BY_CLOUDFORMATION,
            reason="CloudFormation alone calls this function, once for each bucket of a deployment, waits for it and "
            "shows its failure in the stack's events: there is no event that could be lost, and no crowd of calls.",
        )
        acknowledge(
            replication,
            FUNCTION_IN_VPC,
            reason="It calls S3's API in several Regions to configure these buckets, may read no object and reaches "
            "nothing that is in a VPC.",
        )
        acknowledge(
            replication,
            LOG_GROUP_UNDER_KMS,
            reason="The log holds what Lambda writes of each call and nothing of any object; CloudWatch Logs encrypts "
            "it under a key of its own.",
        )
        names = [f"{settings.name.lower()}-{settings.account}-{region}-an" for region in settings.regions]
        acknowledge(
            self.buckets,
            tuple(finding for name in names for finding in objects_of_bucket_named(name)),
            reason="S3 replicates every object of these buckets and no others; nobody knows their names beforehand.",
        )
        source = self.buckets.bucket_for(settings.regions[0]).bucket
        for policy in (self.reader, self.writer):
            acknowledge(
                policy,
                (*objects_of(source), *(finding for name in names[1:] for finding in objects_of_bucket_named(name))),
                reason="The policy is about every object of these buckets, whose names nobody knows beforehand.",
            )


def _promotion(settings: PromotionSettings | None) -> Promotion | None:
    if settings is None:
        return None
    return Promotion(primary_region=settings.primary_region, regions=settings.regions)

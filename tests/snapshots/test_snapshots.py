"""The templates as a reviewer reads them: the smallest and the fullest use of each construct, and our own app.

``make snapshots`` accepts them as they are now; the diff belongs into the pull request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from cdk_encrypted_data import (
    AccessLogBucket,
    BatchReplication,
    CrossAccountDestination,
    CustomerManagedKey,
    CustomerProvidedKeys,
    DeleteMarkers,
    EncryptedBucket,
    FailureTopic,
    MinimumTlsVersion,
    MultiRegionAccessPoint,
    MultiRegionKeyPair,
    ObjectEvents,
    ObjectLock,
    ReplicatedEncryptedBuckets,
    ReplicationDestination,
    ReplicationDirection,
    ReplicationMonitoring,
    ReplicationTime,
    ServerSideEncryption,
    UploadPolicy,
)
from stacks.encrypted_data import EncryptedDataStack
from stacks.replicated_data import ReplicatedData
from stacks.settings import ReplicatedBucketsSettings, Settings
from tests.customers import fixtures as customers
from tests.synthesis import build, new_stack, template

_ASSET = re.compile(r"\b[0-9a-f]{64}\b")


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


def reviewed(stack: cdk.Stack) -> dict[str, Any]:
    """Return the template without what changes with every edit of an asset, and without the CDK's own boilerplate."""
    text = _ASSET.sub("ASSET", json.dumps(template(stack)))
    whole: dict[str, Any] = json.loads(text)
    whole.get("Parameters", {}).pop("BootstrapVersion", None)
    return {section: value for section, value in whole.items() if section != "Rules" and value}


def fullest_key(stack: cdk.Stack) -> None:
    key = CustomerManagedKey(
        stack,
        "Key",
        administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        users=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/application")],
        bucket_arns=["arn:aws:s3:::acme-data"],
        alias_name="alias/acme",
        description="Acme's data",
        rotation_period=cdk.Duration.days(180),
        pending_window=cdk.Duration.days(14),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    key.allow_cloudwatch_logs(log_group_name="/acme/*")
    key.allow_service("cloudfront.amazonaws.com", source_arns=["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"])


def fullest_bucket(stack: cdk.Stack) -> None:
    bucket = EncryptedBucket(
        stack,
        "Data",
        upload_policy=UploadPolicy.REQUIRE_HEADER,
        customer_provided_keys=CustomerProvidedKeys.ALLOWED,
        minimum_tls_version=MinimumTlsVersion.TLS_1_3,
        bucket_name_prefix="acme",
        noncurrent_version_expiration=cdk.Duration.days(400),
        abort_incomplete_multipart_upload_after=cdk.Duration.days(2),
        lifecycle_rules=[
            s3.LifecycleRule(
                id="Archive",
                transitions=[
                    s3.Transition(storage_class=s3.StorageClass.GLACIER, transition_after=cdk.Duration.days(90))
                ],
                noncurrent_version_transitions=[
                    s3.NoncurrentVersionTransition(
                        storage_class=s3.StorageClass.DEEP_ARCHIVE, transition_after=cdk.Duration.days(30)
                    )
                ],
            ),
            s3.LifecycleRule(id="Drafts", prefix="drafts/", expiration=cdk.Duration.days(5)),
        ],
        access_log_bucket=AccessLogBucket(stack, "Logs", retention=cdk.Duration.days(30)),
        access_log_prefix="acme/",
        cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["https://example.com"])],
        object_events=ObjectEvents.EVENT_BRIDGE,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    policy = iam.ManagedPolicy(stack, "Policy")
    bucket.grant_read_write(policy)
    bucket.grant_delete(policy, objects_key_pattern="drafts/*")
    bucket.grant_read_to_service(
        "cloudfront.amazonaws.com", source_arns=["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"]
    )


def smallest_pair(home: cdk.Stack, away: cdk.Stack) -> None:
    MultiRegionKeyPair(home, "Pair", replicas=[away])


def fullest_pair(home: cdk.Stack, away: cdk.Stack) -> None:
    pair = MultiRegionKeyPair(
        home,
        "Pair",
        replicas=[away],
        administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        users=[iam.Role(home, "Application", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))],
        alias_name="alias/acme",
        description="Acme's data",
        rotation_period=cdk.Duration.days(180),
        pending_window=cdk.Duration.days(14),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    pair.grant_encrypt(iam.ManagedPolicy(home, "Writers"))
    pair.grant_encrypt_decrypt(iam.ManagedPolicy(away, "Readers"))
    key = pair.key_for(away.region)
    key.allow_cloudwatch_logs(log_group_name="/acme/*")
    key.allow_service("cloudfront.amazonaws.com", source_arns=["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"])
    EncryptedBucket(away, "Data", key=key)


def smallest_replicated(home: cdk.Stack, away: cdk.Stack) -> None:
    ReplicatedEncryptedBuckets(home, "Data", bucket_name_prefix="acme", replicas=[away])


def fullest_replicated(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(
        home,
        "Data",
        bucket_name_prefix="acme",
        replicas=[away],
        direction=ReplicationDirection.BOTH_WAYS,
        delete_markers=DeleteMarkers.NOT_REPLICATED,
        replication_time=ReplicationTime.WITHIN_15_MINUTES,
        replica_storage_class=s3.StorageClass.INFREQUENT_ACCESS,
        object_key_prefix="reports/",
        object_tags={"class": "public"},
        object_lock=ObjectLock.ON,
        encryption=ServerSideEncryption.DSSE_KMS,
        key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        key_rotation_period=cdk.Duration.days(180),
        access_log_buckets=[AccessLogBucket(home, "Logs"), AccessLogBucket(away, "Logs")],
        access_log_prefix="acme/",
        object_events=ObjectEvents.EVENT_BRIDGE,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    buckets.grant_read_write(iam.ManagedPolicy(home, "Policy"))


def smallest_monitoring(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(home, "Data", bucket_name_prefix="acme", replicas=[away])
    ReplicationMonitoring(home, "Monitoring", buckets=buckets)


def fullest_monitoring(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(
        home,
        "Data",
        bucket_name_prefix="acme",
        replicas=[away],
        direction=ReplicationDirection.BOTH_WAYS,
        object_events=ObjectEvents.EVENT_BRIDGE,
    )
    monitoring = ReplicationMonitoring(
        home,
        "Monitoring",
        buckets=buckets,
        pending_operations=50,
        pending_for=cdk.Duration.hours(1),
        maximum_latency=cdk.Duration.minutes(30),
        key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        key_rotation_period=cdk.Duration.days(180),
        key_pending_window=cdk.Duration.days(14),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    monitoring.grant_subscribe(iam.ManagedPolicy(home, "Subscribers"))


def smallest_access_point(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(home, "Data", bucket_name_prefix="acme", replicas=[away])
    MultiRegionAccessPoint(home, "Everywhere", buckets=buckets)


def fullest_access_point(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(
        home, "Data", bucket_name_prefix="acme", replicas=[away], direction=ReplicationDirection.BOTH_WAYS
    )
    everywhere = MultiRegionAccessPoint(
        home, "Everywhere", buckets=buckets, name="acme", removal_policy=cdk.RemovalPolicy.DESTROY
    )
    policy = iam.ManagedPolicy(home, "Policy")
    everywhere.grant_read_write(policy, objects_key_pattern="orders/*")
    everywhere.grant_delete(policy, objects_key_pattern="orders/*")
    everywhere.grant_routing(policy)


def fullest_failure_topic(stack: cdk.Stack) -> None:
    failures = FailureTopic(
        stack,
        "Failures",
        key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        key_rotation_period=cdk.Duration.days(180),
        key_pending_window=cdk.Duration.days(14),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    failures.topic.grant_subscribe(iam.ManagedPolicy(stack, "Subscribers"))


def fullest_destination(stack: cdk.Stack) -> None:
    destination = ReplicationDestination(
        stack,
        "Backup",
        bucket_name_prefix="backup",
        source_role_arns=[ROLE, f"{ROLE}-2"],
        delete_markers=DeleteMarkers.NOT_REPLICATED,
        object_lock=ObjectLock.ON,
        encryption=ServerSideEncryption.DSSE_KMS,
        key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        key_alias_name="alias/backup",
        key_rotation_period=cdk.Duration.days(180),
        key_pending_window=cdk.Duration.days(14),
        minimum_tls_version=MinimumTlsVersion.TLS_1_3,
        noncurrent_version_expiration=cdk.Duration.days(400),
        abort_incomplete_multipart_upload_after=cdk.Duration.days(2),
        lifecycle_rules=[s3.LifecycleRule(id="Drafts", prefix="drafts/", expiration=cdk.Duration.days(5))],
        access_log_bucket=AccessLogBucket(stack, "Logs"),
        access_log_prefix="backup/",
        object_events=ObjectEvents.EVENT_BRIDGE,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    destination.bucket.grant_read(iam.ManagedPolicy(stack, "Readers"))


def smallest_batch_replication(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(home, "Data", bucket_name_prefix="acme", replicas=[away])
    BatchReplication(home, "Batch", buckets=buckets, report_buckets=[EncryptedBucket(home, "Reports")])


def batch_replication(home: cdk.Stack, away: cdk.Stack) -> None:
    buckets = ReplicatedEncryptedBuckets(
        home,
        "Data",
        bucket_name_prefix="acme",
        replicas=[away],
        direction=ReplicationDirection.BOTH_WAYS,
        object_key_prefix="reports/",
    )
    reports = [EncryptedBucket(each, "Reports") for each in (home, away)]
    batch = BatchReplication(home, "Batch", buckets=buckets, report_buckets=reports)
    batch.grant_create_job(iam.ManagedPolicy(home, "Operators"))


def to_another_account(home: cdk.Stack, _away: cdk.Stack) -> None:
    ReplicatedEncryptedBuckets(
        home, "Data", bucket_name_prefix="acme", destinations=[DESTINATION], role_name="orders-replication"
    )


REPLICATED = [
    smallest_replicated,
    fullest_replicated,
    smallest_monitoring,
    fullest_monitoring,
    smallest_access_point,
    fullest_access_point,
    smallest_batch_replication,
    batch_replication,
]
ROLE = "arn:aws:iam::444455556666:role/orders-replication"
DESTINATION = CrossAccountDestination(
    account="444455556666",
    region="eu-west-1",
    bucket_name="backup-444455556666-eu-west-1-an",
    key_arn="arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
)
USES: dict[str, Callable[[cdk.Stack], object]] = {
    "CustomerManagedKey-smallest": lambda stack: CustomerManagedKey(stack, "Key"),
    "CustomerManagedKey-fullest": fullest_key,
    "EncryptedBucket-smallest": lambda stack: EncryptedBucket(stack, "Data"),
    "EncryptedBucket-fullest": fullest_bucket,
    "EncryptedBucket-DSSE-KMS": lambda stack: EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.DSSE_KMS),
    "EncryptedBucket-SSE-S3": lambda stack: EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.SSE_S3),
    "ReplicationDestination-smallest": lambda stack: ReplicationDestination(
        stack, "Backup", bucket_name_prefix="backup", source_role_arns=[ROLE]
    ),
    "ReplicationDestination-fullest": fullest_destination,
    "FailureTopic-smallest": lambda stack: FailureTopic(stack, "Failures"),
    "FailureTopic-fullest": fullest_failure_topic,
    "PerCustomerGlueJob-smallest": customers.job,
    "PerCustomerGlueJob-fullest": customers.fullest_job,
    "AccessLogBucket-smallest": lambda stack: AccessLogBucket(stack, "Logs"),
}


@pytest.mark.parametrize("use", USES)
def test_construct(use: str, snapshot: SnapshotAssertion) -> None:
    assert reviewed(build(USES[use])) == snapshot


@pytest.mark.parametrize("region", ["eu-central-1", "eu-west-1"])
@pytest.mark.parametrize("use", [smallest_pair, fullest_pair])
def test_pair(use: Callable[[cdk.Stack, cdk.Stack], None], region: str, snapshot: SnapshotAssertion) -> None:
    assert in_two_regions(use, region) == snapshot


@pytest.mark.parametrize("region", ["eu-central-1", "eu-west-1"])
@pytest.mark.parametrize("use", REPLICATED)
def test_replicated(use: Callable[[cdk.Stack, cdk.Stack], None], region: str, snapshot: SnapshotAssertion) -> None:
    assert in_two_regions(use, region) == snapshot


def test_replicated_to_another_account(snapshot: SnapshotAssertion) -> None:
    assert in_two_regions(to_another_account, "eu-central-1") == snapshot


def in_two_regions(use: Callable[[cdk.Stack, cdk.Stack], None], region: str) -> dict[str, Any]:
    app = cdk.App()
    stacks = {
        each: cdk.Stack(app, each, env=cdk.Environment(account="111122223333", region=each))
        for each in ("eu-central-1", "eu-west-1")
    }
    use(*stacks.values())
    return reviewed(stacks[region])


def test_app(snapshot: SnapshotAssertion) -> None:
    app = cdk.App()
    assert reviewed(EncryptedDataStack(app, "EncryptedData", settings=Settings())) == snapshot


@pytest.mark.parametrize(
    "stack", [f"Orders{part}-{region}" for part in ("-keys", "") for region in ("eu-central-1", "eu-west-1")]
)
def test_app_in_several_regions(stack: str, in_several_regions: cdk.App, snapshot: SnapshotAssertion) -> None:
    found = in_several_regions.node.find_child(stack)
    assert isinstance(found, cdk.Stack)
    assert reviewed(found) == snapshot


@pytest.fixture(scope="module")
def in_several_regions() -> cdk.App:
    app = cdk.App()
    settings = ReplicatedBucketsSettings(account="111122223333", name="Orders", regions=("eu-central-1", "eu-west-1"))
    ReplicatedData(app, settings=settings)
    return app


def test_the_same_commit_gives_the_same_template() -> None:
    first, second = new_stack(), new_stack()
    for stack in (first, second):
        fullest_bucket(stack)
    assert template(first) == template(second)

"""ReplicatedEncryptedBuckets, deployed to an empty account: what is stored in one Region is read in the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from botocore.exceptions import ClientError

from cdk_encrypted_data import (
    ObjectLock,
    ReplicatedEncryptedBuckets,
    ReplicationDirection,
    ReplicationMonitoring,
    ReplicationTime,
    ServerSideEncryption,
)
from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.inbox import Inbox
from devtools.embedded_aws.server import EmbeddedAws

pytestmark = pytest.mark.deploy

ACCOUNT = "111122223333"
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")
HOME, AWAY, FAR = REGIONS
DEPLOY = ("deploy", "--all", "--require-approval=never")


def stacks(directory: Path) -> tuple[cdk.App, list[cdk.Stack]]:
    app = cdk.App(outdir=str(directory))
    return app, [cdk.Stack(app, each, env=cdk.Environment(account=ACCOUNT, region=each)) for each in REGIONS]


def name(prefix: str, region: str) -> str:
    return f"{prefix}-{ACCOUNT}-{region}-an"


def put(aws: EmbeddedAws, prefix: str, region: str, key: str, **how: Any) -> str:  # noqa: ANN401 - what the API takes
    answer = aws.client("s3", region=region).put_object(Bucket=name(prefix, region), Key=key, Body=b"x", **how)
    version: str = answer["VersionId"]
    return version


def head(aws: EmbeddedAws, prefix: str, region: str, key: str) -> dict[str, Any] | None:
    """Return what is known of an object, or None if it isn't there."""
    try:
        found: dict[str, Any] = aws.client("s3", region=region).head_object(Bucket=name(prefix, region), Key=key)
    except ClientError:
        return None
    return found


def default_key(aws: EmbeddedAws, prefix: str, region: str) -> str:
    answer = aws.client("s3", region=region).get_bucket_encryption(Bucket=name(prefix, region))
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    key: str = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    return key


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("one-way") / "cdk.out"
    app, (home, *away) = stacks(directory)
    buckets = ReplicatedEncryptedBuckets(home, "Data", bucket_name_prefix="acme", replicas=away)
    ReplicationMonitoring(home, "Monitoring", buckets=buckets)
    ReplicatedEncryptedBuckets(
        home,
        "Locked",
        bucket_name_prefix="locked",
        replicas=away[:1],
        object_lock=ObjectLock.ON,
        encryption=ServerSideEncryption.DSSE_KMS,
        object_key_prefix="reports/",
        replication_time=ReplicationTime.WITHIN_15_MINUTES,
    )
    app.synth()
    return directory


@pytest.fixture(scope="module")
def aws(directory: Path) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(account_id=ACCOUNT, region=HOME) as aws:
        run_cdk(aws, "bootstrap", app=directory)
        run_cdk(aws, *DEPLOY, app=directory)
        yield aws


class TestOneWay:
    @pytest.mark.parametrize(
        "how",
        [
            {},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "its own"},
            {"BucketKeyEnabled": False},
            {"Tagging": "class=public"},
        ],
    )
    def test_every_kind_of_object_is_copied_under_the_regions_own_key(self, aws: EmbeddedAws, how: Any) -> None:  # noqa: ANN401
        if "SSEKMSKeyId" in how:
            how = {**how, "SSEKMSKeyId": default_key(aws, "acme", HOME)}
        version = put(aws, "acme", HOME, "a", **how)
        for region in (AWAY, FAR):
            found = head(aws, "acme", region, "a")
            assert found is not None, aws.replication_failures()
            assert (found["VersionId"], found["ReplicationStatus"]) == (version, "REPLICA")
            assert found["SSEKMSKeyId"] == default_key(aws, "acme", region)
            assert found["SSEKMSKeyId"].split(":")[3] == region
        tags = aws.client("s3", region=FAR).get_object_tagging(Bucket=name("acme", FAR), Key="a")["TagSet"]
        assert bool(tags) is ("Tagging" in how)

    def test_a_deletion_hides_the_replicas(self, aws: EmbeddedAws) -> None:
        put(aws, "acme", HOME, "deleted")
        aws.client("s3").delete_object(Bucket=name("acme", HOME), Key="deleted")
        assert head(aws, "acme", AWAY, "deleted") is None

    def test_nothing_comes_back(self, aws: EmbeddedAws) -> None:
        put(aws, "acme", AWAY, "stays")
        assert head(aws, "acme", HOME, "stays") is None

    def test_locks_and_a_prefix_under_dsse(self, aws: EmbeddedAws) -> None:
        put(aws, "locked", HOME, "reports/a", ObjectLockLegalHoldStatus="ON")
        put(aws, "locked", HOME, "other")
        found = head(aws, "locked", AWAY, "reports/a")
        assert found is not None, aws.replication_failures()
        assert (found["ObjectLockLegalHoldStatus"], found["ServerSideEncryption"]) == ("ON", "aws:kms:dsse")
        assert head(aws, "locked", AWAY, "other") is None

    def test_nothing_failed(self, aws: EmbeddedAws) -> None:
        assert aws.replication_failures() == []

    def test_a_second_deployment_changes_nothing(self, aws: EmbeddedAws, directory: Path) -> None:
        assert run_cdk(aws, *DEPLOY, app=directory).count("(no changes)") == len(REGIONS)


class TestMonitoring:
    def test_a_replica_that_fails_is_told_with_its_reason(self, aws: EmbeddedAws) -> None:
        inbox = subscribed(aws, HOME)
        key, kms = default_key(aws, "acme", AWAY), aws.client("kms", region=AWAY)
        kms.disable_key(KeyId=key)
        version = put(aws, "acme", HOME, "fails")
        kms.enable_key(KeyId=key)
        (record,) = (each for message in inbox.take(seconds=10) for each in message.get("Records", []))
        assert record["eventName"].endswith("Replication:OperationFailedReplication")
        assert record["s3"]["object"]["key"] == "fails"
        assert record["s3"]["object"]["versionId"] == version
        event = record["replicationEventData"]
        assert event["replicationRuleId"] == f"To-{AWAY}"
        assert event["failureReason"] == "DstKmsKeyInvalidState"
        assert aws.replication_failures().pop()["key"] == "fails"

    @pytest.mark.parametrize(("region", "metric"), [(HOME, "Failed"), (AWAY, "Pending")])
    def test_alarms_of_each_region_reach_its_topic(self, aws: EmbeddedAws, region: str, metric: str) -> None:
        inbox = subscribed(aws, region)
        cloudwatch = aws.client("cloudwatch", region=region)
        alarm, *_ = (
            each["AlarmName"]
            for each in cloudwatch.describe_alarms()["MetricAlarms"]
            if each["MetricName"] == f"Operations{metric}Replication"
        )
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="tried")
        assert [each["AlarmName"] for each in inbox.take(seconds=10)] == [alarm]

    def test_nobody_else_uses_the_key(self, aws: EmbeddedAws) -> None:
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        kms = aws.client("kms", credentials=aws.create_user("operator", everything))
        with pytest.raises(ClientError, match="AccessDenied"):
            kms.generate_data_key(KeyId=topic(aws, HOME)["KmsMasterKeyId"], KeySpec="AES_256")


def topic(aws: EmbeddedAws, region: str) -> dict[str, str]:
    sns = aws.client("sns", region=region)
    (arn,) = (each["TopicArn"] for each in sns.list_topics()["Topics"])
    attributes: dict[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return attributes


def subscribed(aws: EmbeddedAws, region: str) -> Inbox:
    return Inbox.of(aws, topic(aws, region)["TopicArn"])


def both_ways(directory: Path, *, days: int = 90) -> Path:
    app, (home, *away) = stacks(directory)
    ReplicatedEncryptedBuckets(
        home,
        "Data",
        bucket_name_prefix="mesh",
        replicas=away,
        direction=ReplicationDirection.BOTH_WAYS,
        noncurrent_version_expiration=cdk.Duration.days(days),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    app.synth()
    return directory


class TestBothWays:
    def test_from_an_empty_account_to_an_empty_account(self, tmp_path: Path) -> None:
        first, later = both_ways(tmp_path / "first"), both_ways(tmp_path / "later", days=30)
        with EmbeddedAws(account_id=ACCOUNT, region=HOME) as aws:
            run_cdk(aws, "bootstrap", app=first)
            run_cdk(aws, *DEPLOY, app=first)
            _assert_full_mesh(aws, "first")
            assert run_cdk(aws, *DEPLOY, app=first).count("(no changes)") == len(REGIONS)

            # Each bucket's lifecycle changes, and CloudFormation knows nothing of the replication.
            assert run_cdk(aws, *DEPLOY, app=later).count("(no changes)") == 0
            lifecycle = aws.client("s3").get_bucket_lifecycle_configuration(Bucket=name("mesh", HOME))
            assert lifecycle["Rules"][0]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
            _assert_full_mesh(aws, "later")

            _empty(aws)
            run_cdk(aws, "destroy", "--all", "--force", app=later)
            left = [each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]]
            assert [each for each in left if each.startswith("mesh")] == []
            assert aws.client("lambda").list_functions()["Functions"] == []

    def test_its_failure_is_shown_and_leaves_nothing(self, tmp_path: Path) -> None:
        app, (home, *away) = stacks(tmp_path / "cdk.out")
        buckets = ReplicatedEncryptedBuckets(
            home,
            "Data",
            bucket_name_prefix="mesh",
            replicas=away,
            direction=ReplicationDirection.BOTH_WAYS,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        # S3 takes no configuration of a bucket without versions.
        bucket = buckets.bucket_for(FAR).bucket.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        bucket.versioning_configuration = None
        app.synth()
        with EmbeddedAws(account_id=ACCOUNT, region=HOME) as aws:
            run_cdk(aws, "bootstrap", app=tmp_path / "cdk.out")
            with pytest.raises(CdkError, match=f"replication of {name('mesh', HOME)}: .*versioning"):
                run_cdk(aws, *DEPLOY, app=tmp_path / "cdk.out")
            left = [each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]]
            assert name("mesh", HOME) not in left


def _assert_full_mesh(aws: EmbeddedAws, key: str) -> None:
    for source in REGIONS:
        put(aws, "mesh", source, f"{key}/{source}")
        for region in REGIONS:
            found = head(aws, "mesh", region, f"{key}/{source}")
            assert found is not None, aws.replication_failures()
            assert found["ReplicationStatus"] == ("COMPLETED" if region == source else "REPLICA")
            assert found["SSEKMSKeyId"] == default_key(aws, "mesh", region)
    # A tag set on a replica reaches the original and the other replica.
    tags = [{"Key": "seen", "Value": "yes"}]
    aws.client("s3", region=AWAY).put_object_tagging(
        Bucket=name("mesh", AWAY), Key=f"{key}/{HOME}", Tagging={"TagSet": tags}
    )
    found = aws.client("s3", region=HOME).get_object_tagging(Bucket=name("mesh", HOME), Key=f"{key}/{HOME}")
    assert found["TagSet"] == tags
    assert aws.replication_failures() == []


def _empty(aws: EmbeddedAws) -> None:
    for region in REGIONS:
        client = aws.client("s3", region=region)
        for each in client.list_object_versions(Bucket=name("mesh", region))["Versions"]:
            client.delete_object(Bucket=name("mesh", region), Key=each["Key"], VersionId=each["VersionId"])

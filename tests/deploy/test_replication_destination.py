"""A destination in another account, deployed by each account for itself: what is stored here is read there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from botocore.exceptions import ClientError

from cdk_encrypted_data import CrossAccountDestination, ReplicatedEncryptedBuckets, ReplicationDestination
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.server import Credentials, EmbeddedAws

pytestmark = pytest.mark.deploy

HERE, THERE = "111122223333", "444455556666"
HOME, AWAY = "eu-central-1", "eu-west-1"
ROLE_NAME = "orders-replication"
SOURCE, BACKUP = f"orders-{HERE}-{HOME}-an", f"backup-{THERE}-{AWAY}-an"
# An access key of twelve digits is the root's of that account.
ROOT_THERE = Credentials(access_key_id=THERE, secret_access_key="test")  # noqa: S106 - takes any
AS_THERE = {"AWS_ACCESS_KEY_ID": THERE, "AWS_SECRET_ACCESS_KEY": "test"}
DEPLOY = ("deploy", "--all", "--require-approval=never")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    directory = tmp_path_factory.mktemp("accounts")
    with EmbeddedAws(account_id=HERE, region=HOME) as aws:
        there = backup(directory / "there")
        run_cdk(aws, "bootstrap", app=there, region=AWAY, environment=AS_THERE)
        # Its policies admit a role that isn't there yet.
        run_cdk(aws, *DEPLOY, app=there, region=AWAY, environment=AS_THERE)
        cloudformation = aws.client("cloudformation", region=AWAY, credentials=ROOT_THERE)
        (stack,) = cloudformation.describe_stacks(StackName="Backup")["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        assert outputs["BucketName"] == BACKUP
        here = orders(directory / "here", outputs["KeyArn"])
        run_cdk(aws, "bootstrap", app=here)
        run_cdk(aws, *DEPLOY, app=here)
        yield aws


def backup(directory: Path) -> Path:
    app = cdk.App(outdir=str(directory))
    stack = cdk.Stack(app, "Backup", env=cdk.Environment(account=THERE, region=AWAY))
    role = f"arn:aws:iam::{HERE}:role/{ROLE_NAME}"
    made = ReplicationDestination(stack, "Backup", bucket_name_prefix="backup", source_role_arns=[role])
    cdk.CfnOutput(stack, "BucketName", value=made.bucket.bucket.bucket_name)
    cdk.CfnOutput(stack, "KeyArn", value=made.bucket.key.key_arn)
    app.synth()
    return directory


def orders(directory: Path, key_arn: str) -> Path:
    app = cdk.App(outdir=str(directory))
    stack = cdk.Stack(app, "Orders", env=cdk.Environment(account=HERE, region=HOME))
    destination = CrossAccountDestination(account=THERE, region=AWAY, bucket_name=BACKUP, key_arn=key_arn)
    ReplicatedEncryptedBuckets(
        stack, "Orders", bucket_name_prefix="orders", destinations=[destination], role_name=ROLE_NAME
    )
    app.synth()
    return directory


def put(aws: EmbeddedAws, key: str, **how: str) -> str:
    s3 = aws.client("s3")
    s3.put_object(Bucket=SOURCE, Key=key, Body=b"x", **how)
    status: str = s3.head_object(Bucket=SOURCE, Key=key)["ReplicationStatus"]
    return status


def there(aws: EmbeddedAws) -> Any:  # noqa: ANN401 - boto3
    return aws.client("s3", region=AWAY, credentials=ROOT_THERE)


def test_the_other_account_reads_it_under_its_own_key(aws: EmbeddedAws) -> None:
    assert put(aws, "a", Tagging="class=public") == "COMPLETED", aws.replication_failures()
    s3 = there(aws)
    found = s3.get_object(Bucket=BACKUP, Key="a")
    assert found["Body"].read() == b"x"
    assert found["SSEKMSKeyId"].split(":")[3:5] == [AWAY, THERE]
    assert s3.get_object_tagging(Bucket=BACKUP, Key="a")["TagSet"] == [{"Key": "class", "Value": "public"}]
    assert aws.replication_failures() == []


def test_the_source_account_reaches_nothing_there(aws: EmbeddedAws) -> None:
    put(aws, "b")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    for caller in (aws.root, aws.create_user("operator", everything)):
        s3 = aws.client("s3", region=AWAY, credentials=caller)
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            s3.get_object(Bucket=BACKUP, Key="b")
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            s3.put_object(Bucket=BACKUP, Key="b", Body=b"y")


def test_without_the_other_accounts_consent_it_fails_and_says_so(aws: EmbeddedAws) -> None:
    s3 = there(aws)
    policy = s3.get_bucket_policy(Bucket=BACKUP)["Policy"]
    document = json.loads(policy)
    document["Statement"] = [each for each in document["Statement"] if each["Effect"] == "Deny"]
    s3.put_bucket_policy(Bucket=BACKUP, Policy=json.dumps(document))
    assert put(aws, "c") == "FAILED"
    assert aws.replication_failures().pop()["reason"] == "DstPutObjectNotPermitted"
    s3.put_bucket_policy(Bucket=BACKUP, Policy=policy)
    assert put(aws, "c") == "COMPLETED"

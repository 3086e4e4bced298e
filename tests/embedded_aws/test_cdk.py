"""Contract: the real CDK CLI bootstraps, deploys, finds no changes, updates and destroys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws

if TYPE_CHECKING:
    from pathlib import Path

_YES = "--require-approval=never"
_HERE, _THERE = "eu-central-1", "eu-west-1"
_ROOT = "arn:aws:iam::111122223333:root"
_SOURCE, _TARGET, _KEY = "here-111122223333", "there-111122223333", "made-by-the-stack"
# A custom resource without helpers: it writes an object, and answers.
_WRITER = """
import json, urllib.request
import boto3

def handler(event, context):
    properties = event["ResourceProperties"]
    if event["RequestType"] == "Create":
        boto3.client("s3").put_object(Bucket=properties["Bucket"], Key=properties["Key"], Body=b"x")
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": properties["Key"]}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request).close()
"""


@pytest.mark.deploy
def test_bootstrap_deploy_update_destroy(tmp_path: Path) -> None:
    first, second = (_assembly(tmp_path / str(days), rotation_days=days) for days in (90, 120))
    with EmbeddedAws() as aws:
        kms, s3 = aws.client("kms"), aws.client("s3")
        assert "bootstrapped." in run_cdk(aws, "bootstrap", app=first)

        output = run_cdk(aws, "deploy", "--all", _YES, app=first)
        assert "Reader.Bucket = data-111122223333-eu-central-1-an" in output
        key = kms.describe_key(KeyId="alias/data")["KeyMetadata"]["Arn"]
        assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 90
        bucket = "data-111122223333-eu-central-1-an"
        assert s3.put_object(Bucket=bucket, Key="a", Body=b"x")["SSEKMSKeyId"] == key
        reader = aws.assume_role(f"arn:aws:iam::{aws.account_id}:role/reader")
        assert aws.client("s3", credentials=reader).get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"

        assert run_cdk(aws, "deploy", "--all", _YES, app=first).count("(no changes)") == 2

        run_cdk(aws, "deploy", "--all", _YES, app=second)
        assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 120

        with pytest.raises(CdkError, match="BucketNotEmpty"):
            run_cdk(aws, "destroy", "--all", "--force", app=second)
        s3.delete_object(Bucket=bucket, Key="a")
        run_cdk(aws, "destroy", "--all", "--force", app=second)
        assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [
            f"cdk-hnb659fds-assets-{aws.account_id}-eu-central-1"
        ]
        assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


@pytest.mark.deploy
def test_two_regions(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "index.py").write_text(_WRITER)
    assembly = _two_regions(tmp_path / "assembly", code)
    with EmbeddedAws() as aws:
        output = run_cdk(aws, "bootstrap", app=assembly)
        for region in (_HERE, _THERE):
            assert f"aws://111122223333/{region} bootstrapped." in output
        run_cdk(aws, "deploy", "--all", _YES, app=assembly)
        here, there = (aws.client("kms", region=region) for region in (_HERE, _THERE))
        primary = here.describe_key(KeyId="alias/data")["KeyMetadata"]
        replica = there.describe_key(KeyId="alias/data")["KeyMetadata"]
        assert primary["KeyId"] == replica["KeyId"]
        assert replica["MultiRegionConfiguration"]["PrimaryKey"]["Arn"] == primary["Arn"]
        # The custom resource has written it, as its role.
        copied = aws.client("s3", region=_THERE).get_object(Bucket=_TARGET, Key=_KEY)
        assert (copied["ReplicationStatus"], copied["SSEKMSKeyId"]) == ("REPLICA", replica["Arn"])
        assert aws.replication_failures() == []

        blob = here.encrypt(KeyId="alias/data", Plaintext=b"secret")["CiphertextBlob"]
        with aws.shut_off("kms", _HERE), aws.shut_off("s3", _HERE):
            assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
            aws.client("s3", region=_THERE).get_object(Bucket=_TARGET, Key=_KEY)

        assert run_cdk(aws, "deploy", "--all", _YES, app=assembly).count("(no changes)") == 3
        for region, bucket in ((_HERE, _SOURCE), (_THERE, _TARGET)):
            s3 = aws.client("s3", region=region)
            for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
                s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        run_cdk(aws, "destroy", "--all", "--force", app=assembly)
        assert there.describe_key(KeyId=replica["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
        assert here.describe_key(KeyId=primary["KeyId"])["KeyMetadata"]["KeyState"] == "PendingReplicaDeletion"


def _two_regions(directory: Path, code: Path) -> Path:
    """A primary key; its replica with a bucket; a bucket that is replicated there and written by a custom resource."""
    import aws_cdk as cdk  # noqa: PLC0415 - starts a Node process
    from aws_cdk import aws_iam as iam  # noqa: PLC0415
    from aws_cdk import aws_kms as kms  # noqa: PLC0415
    from aws_cdk import aws_lambda as lambda_  # noqa: PLC0415
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415

    context = {"@aws-cdk/core:defaultCrossStackReferences": "weak"}
    app = cdk.App(outdir=str(directory), analytics_reporting=False, context=context)
    here, there = (cdk.Environment(account="111122223333", region=region) for region in (_HERE, _THERE))

    primary = cdk.Stack(app, "Primary", env=here)
    key = kms.Key(primary, "Key", alias="data", multi_region=True, removal_policy=cdk.RemovalPolicy.DESTROY)

    copies = cdk.Stack(app, "Copies", env=there)
    delegation = {"Effect": "Allow", "Principal": {"AWS": _ROOT}, "Action": "kms:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [delegation]}
    replica = kms.CfnReplicaKey(copies, "Key", primary_key_arn=key.key_arn, key_policy=policy)
    kms.CfnAlias(copies, "Alias", alias_name="alias/data", target_key_id=replica.ref)
    target = s3.CfnBucket(copies, "Bucket", bucket_name=_TARGET, versioning_configuration={"status": "Enabled"})

    data = cdk.Stack(app, "Data", env=here)
    role = iam.Role(data, "Replication", assumed_by=iam.ServicePrincipal("s3.amazonaws.com"))
    for actions, resources in (
        (["s3:GetReplicationConfiguration", "s3:ListBucket"], [f"arn:aws:s3:::{_SOURCE}"]),
        (["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl"], [f"arn:aws:s3:::{_SOURCE}/*"]),
        (["s3:ReplicateObject"], [f"arn:aws:s3:::{_TARGET}/*"]),
        (["kms:Decrypt"], [key.key_arn]),
        (["kms:Encrypt"], [replica.attr_arn]),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
    default = {"serverSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key.key_arn}}
    rule = {
        "status": "Enabled",
        "priority": 1,
        "filter": {"prefix": ""},
        "deleteMarkerReplication": {"status": "Disabled"},
        "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
        "destination": {
            "bucket": target.attr_arn,
            "encryptionConfiguration": {"replicaKmsKeyId": replica.attr_arn},
        },
    }
    source = s3.CfnBucket(
        data,
        "Bucket",
        bucket_name=_SOURCE,
        versioning_configuration={"status": "Enabled"},
        bucket_encryption={"serverSideEncryptionConfiguration": [default]},
        replication_configuration={"role": role.role_arn, "rules": [rule]},
    )
    writer = lambda_.Function(
        data,
        "Writer",
        code=lambda_.Code.from_asset(str(code)),
        handler="index.handler",
        runtime=lambda_.Runtime.PYTHON_3_13,
    )
    for action, resource in (("s3:PutObject", f"arn:aws:s3:::{_SOURCE}/*"), ("kms:GenerateDataKey", key.key_arn)):
        writer.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
    written = cdk.CustomResource(
        data, "Written", service_token=writer.function_arn, properties={"Bucket": source.ref, "Key": _KEY}
    )
    written.node.add_dependency(role, writer)
    app.synth()
    return directory


def _assembly(directory: Path, *, rotation_days: int) -> Path:
    """Two stacks: a key with a bucket under it, and a role in another stack that reads."""
    import aws_cdk as cdk  # noqa: PLC0415 - starts a Node process
    from aws_cdk import aws_iam as iam  # noqa: PLC0415
    from aws_cdk import aws_kms as kms  # noqa: PLC0415
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415

    app = cdk.App(outdir=str(directory), analytics_reporting=False)
    environment = cdk.Environment(account="111122223333", region="eu-central-1")
    data = cdk.Stack(app, "Data", env=environment)
    key = kms.Key(
        data,
        "Key",
        alias="data",
        enable_key_rotation=True,
        rotation_period=cdk.Duration.days(rotation_days),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    bucket = s3.Bucket(
        data,
        "Bucket",
        bucket_name_prefix="data",
        bucket_namespace=s3.BucketNamespace.ACCOUNT_REGIONAL,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    reader = cdk.Stack(app, "Reader", env=environment)
    role = iam.Role(reader, "Role", role_name="reader", assumed_by=iam.AccountRootPrincipal())
    bucket.grant_read(role)
    cdk.CfnOutput(reader, "Bucket", value=bucket.bucket_name)
    app.synth()
    return directory

"""Contract: the real CDK CLI bootstraps, deploys, finds no changes, updates and destroys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws

if TYPE_CHECKING:
    from pathlib import Path

_YES = "--require-approval=never"


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

"""AccessLogBucket: what it makes, and what is refused."""

from __future__ import annotations

import json

import aws_cdk as cdk
import pytest

from cdk_encrypted_data import AccessLogBucket, EncryptedBucket
from tests.synthesis import build, new_stack, only, resources_of, template


def test_logs_are_encrypted_by_s3_and_expire() -> None:
    bucket = only(build(lambda stack: AccessLogBucket(stack, "Logs")), "AWS::S3::Bucket")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert rule["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
    (expiry,) = bucket["LifecycleConfiguration"]["Rules"]
    assert expiry["ExpirationInDays"] == 365
    # S3 doesn't allow them on a log bucket, and a log bucket that logs itself never stops.
    assert not {"ObjectLockEnabled", "LoggingConfiguration"} & set(bucket)


def test_retention_and_name() -> None:
    stack = build(
        lambda stack: AccessLogBucket(stack, "Logs", retention=cdk.Duration.days(30), bucket_name="acme-logs")
    )
    bucket = only(stack, "AWS::S3::Bucket")
    assert bucket["BucketName"] == "acme-logs"
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 30


def test_logical_ids_and_retention_of_what_holds_logs() -> None:
    stack = build(lambda stack: AccessLogBucket(stack, "Logs"))
    assert {name: resource["DeletionPolicy"] for name, resource in template(stack)["Resources"].items()} == {
        "LogsBucket5C52C3D2": "Retain",
        "LogsPolicy90DB40C9": "Retain",
    }


def test_one_statement_for_each_source() -> None:
    stack = new_stack()
    logs = AccessLogBucket(stack, "Logs")
    for name in ("One", "Two"):
        EncryptedBucket(stack, name, access_log_bucket=logs)
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for name, each in resources_of(stack, "AWS::S3::BucketPolicy").items()
        if name.startswith("Logs")
    ]
    delivered = [each for each in policy if each["Effect"] == "Allow"]
    assert [each["Principal"] for each in delivered] == [{"Service": "logging.s3.amazonaws.com"}] * 2
    assert ["/Test/One/*" in json.dumps(each["Resource"]) for each in delivered] == [True, False]
    for each in delivered:
        assert each["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        (source,) = each["Condition"]["ArnLike"]["aws:SourceArn"]
        assert source["Fn::GetAtt"][1] == "Arn"


def test_a_source_in_another_stack_makes_no_cycle() -> None:
    app = cdk.App()
    logs = AccessLogBucket(cdk.Stack(app, "Central"), "Logs")
    EncryptedBucket(cdk.Stack(app, "Test"), "Data", access_log_bucket=logs)
    assembly = app.synth()
    policy = json.dumps(assembly.get_stack_by_name("Central").template)
    assert ":s3:::*" in policy
    assert '"aws:SourceAccount": {"Ref": "AWS::AccountId"}' in policy


@pytest.mark.parametrize("prefix", ["", "/", "data", "a//b/", "ä/"])
def test_prefixes_that_another_could_begin_with_are_refused(prefix: str) -> None:
    stack = new_stack()
    with pytest.raises(ValueError, match=r"Data: access_log_prefix is .*; allowed: names that each end with a slash"):
        EncryptedBucket(stack, "Data", access_log_bucket=AccessLogBucket(stack, "Logs"), access_log_prefix=prefix)

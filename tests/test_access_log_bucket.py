"""AccessLogBucket: what it makes, and what is refused."""

from __future__ import annotations

import json
import re

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

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


def test_sources_of_other_stacks_need_one_statement() -> None:
    app = cdk.App()
    logs = AccessLogBucket(cdk.Stack(app, "Central"), "Logs")
    for number in range(3):
        EncryptedBucket(cdk.Stack(app, f"Stack{number}"), "Data", access_log_bucket=logs)
    policy = json.dumps(app.synth().get_stack_by_name("Central").template)
    assert policy.count("logging.s3.amazonaws.com") == 2  # the one that admits it, and the one that refuses the others


@pytest.mark.parametrize("length", [1, 400])
def test_more_sources_than_the_policy_has_room_for_are_refused(length: int) -> None:
    stack = new_stack()
    logs = AccessLogBucket(stack, "Logs")
    source = s3.Bucket(stack, "Source")
    room = {1: 42, 400: 21}[length]
    for number in range(room):
        logs.allow_delivery(source=source, prefix=f"{'x' * length}{number:02}/")
    with pytest.raises(ValueError, match=r"Logs: source is .*; allowed: as many as S3's 20 KB .*; make another"):
        logs.allow_delivery(source=source, prefix=f"{'x' * length}{room}/")
    # With names as long as S3 takes them.
    policy = only_policy_of(stack)
    text = json.dumps(policy)
    for token in re.findall(r'\{"Fn::GetAtt": \["\w+", "Arn"\]\}', text):
        text = text.replace(token, '"arn:aws-us-gov:s3:::' + "x" * 63 + '"')
    text = re.sub(r'\{"Fn::Join": \["", \["([^"]*)", "([^"]*)"\]\]\}', r'"\1\2"', text)
    text = text.replace('{"Ref": "AWS::AccountId"}', '"111122223333"')
    assert "Fn::" not in text
    assert len(text) < 20_000


def only_policy_of(stack: cdk.Stack) -> object:
    (policy,) = resources_of(stack, "AWS::S3::BucketPolicy").values()
    return policy["Properties"]["PolicyDocument"]


@pytest.mark.parametrize("prefix", ["", "/", "data", "a//b/", "ä/"])
def test_prefixes_that_another_could_begin_with_are_refused(prefix: str) -> None:
    stack = new_stack()
    with pytest.raises(ValueError, match=r"Data: access_log_prefix is .*; allowed: names that each end with a slash"):
        EncryptedBucket(stack, "Data", access_log_bucket=AccessLogBucket(stack, "Logs"), access_log_prefix=prefix)

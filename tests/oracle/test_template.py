"""The resolver: one value for each thing a template may say, and an error for everything else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.table import read_table
from tests.oracle.template import Template, UnresolvableError

RESOURCES: dict[str, Any] = {
    "DataBucket1A2B": {"Type": "AWS::S3::Bucket"},
    "Named": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::Sub": "b-${AWS::AccountId}"}}},
    "Key": {"Type": "AWS::KMS::Key"},
    "MultiRegionKey": {"Type": "AWS::KMS::Key", "Properties": {"MultiRegion": True}},
    "Replica": {"Type": "AWS::KMS::ReplicaKey", "Properties": {"PrimaryKeyArn": {"Fn::GetAtt": "MultiRegionKey.Arn"}}},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "app", "Path": "/jobs/"}},
    "Queue": {"Type": "AWS::SQS::Queue"},
    "Policy": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Named"}, "PolicyDocument": {"Statement": []}},
    },
}  # fmt: skip
TEMPLATE = Template({"Resources": RESOURCES}, account="111122223333", region="eu-west-1")
ARN = {"Fn::GetAtt": ["DataBucket1A2B", "Arn"]}


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ("literal", "literal"),
        ([1, True, None], [1, True, None]),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "DataBucket1A2B"}, "data-bucket1-a2-b"),
        ({"Ref": "Named"}, "b-111122223333"),
        (ARN, "arn:aws:s3:::data-bucket1-a2-b"),
        ({"Fn::GetAtt": "DataBucket1A2B.Arn"}, "arn:aws:s3:::data-bucket1-a2-b"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::111122223333:role/jobs/app"),
        ({"Fn::Join": ["", [ARN, "/*"]]}, "arn:aws:s3:::data-bucket1-a2-b/*"),
        ({"Fn::Sub": "${DataBucket1A2B.Arn}/${!x}/${AWS::Region}"}, "arn:aws:s3:::data-bucket1-a2-b/${x}/eu-west-1"),
        ({"Fn::Sub": ["${a}/*", {"a": ARN}]}, "arn:aws:s3:::data-bucket1-a2-b/*"),
        ({"Fn::Select": [5, {"Fn::Split": [":", ARN]}]}, "data-bucket1-a2-b"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
        ({"StringEquals": {"k": {"Ref": "AWS::AccountId"}}}, {"StringEquals": {"k": "111122223333"}}),
    ],
)  # fmt: skip
def test_resolves(value: object, resolved: object) -> None:
    assert TEMPLATE.resolve(value) == resolved


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Missing"},
        {"Ref": "Queue"},
        {"Fn::GetAtt": ["Queue", "Arn"]},
        {"Fn::GetAtt": ["DataBucket1A2B", "DomainName"]},
        {"Fn::ImportValue": "x"},
        {"Fn::GetStackOutput": {"StackName": "x"}},
        {"Fn::If": ["a", "b", "c"]},
        {"Fn::Sub": "${Missing}"},
        {"Fn::Join": ["", [["a"], "b"]]},
    ],
    ids=str,
)
def test_refuses_to_guess(value: object) -> None:
    with pytest.raises(UnresolvableError):
        TEMPLATE.resolve(value)


def test_keys_have_ids_of_the_right_form() -> None:
    assert TEMPLATE.arn("Key").startswith("arn:aws:kms:eu-west-1:111122223333:key/")
    assert TEMPLATE.arn("Key") != TEMPLATE.arn("MultiRegionKey")
    assert TEMPLATE.arn("MultiRegionKey").rpartition("/")[2].startswith("mrk-")
    assert TEMPLATE.arn("Replica") == TEMPLATE.arn("MultiRegionKey")


def test_a_bucket_has_one_policy() -> None:
    assert TEMPLATE.bucket_policy("Named") == {"Statement": []}
    with pytest.raises(UnresolvableError, match="0 bucket policies"):
        TEMPLATE.bucket_policy("DataBucket1A2B")
    with pytest.raises(UnresolvableError, match="expected one"):
        TEMPLATE.only("AWS::S3::Bucket")


@pytest.mark.parametrize("text", ["\n | a\nx | 1 | 2\n", "\n | a\nx | 1\nx | 1\n"])
def test_a_table_that_is_not_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"not 2 cells|a row appears twice"):
        read_table(text)

"""The size of a policy once it is deployed: as AWS will count it where that can be known, and never less."""

from __future__ import annotations

import json

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.quotas.sizes import size_of

RESOURCES = {
    "Key": {"Type": "AWS::KMS::Key"},
    "Named": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "orders"}},
    "Unnamed": {"Type": "AWS::S3::Bucket"},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Fn::Sub": "glue-${Stage}"}}},
    "Topic": {"Type": "AWS::SNS::Topic"},
}
PARAMETERS = {"Stage": {"Type": "String", "Default": "production"}, "Given": {"Type": "String"}}
STACK = StackTemplate(
    id="Stack",
    name="Customers",
    template={"Parameters": PARAMETERS, "Resources": RESOURCES},
    account="111122223333",
    region="eu-central-1",
)
KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"


@pytest.mark.parametrize(
    ("written", "deployed"),
    [
        ("text", "text"),
        ({"Ref": "AWS::AccountId"}, "111122223333"),
        ({"Ref": "AWS::StackName"}, "Customers"),
        ({"Fn::GetAtt": ["Key", "Arn"]}, KEY_ARN),
        ({"Fn::GetAtt": "Key.Arn"}, KEY_ARN),
        ({"Fn::GetAtt": ["Named", "Arn"]}, "arn:aws:s3:::orders"),
        ({"Fn::GetAtt": ["Unnamed", "Arn"]}, f"arn:aws:s3:::{'b' * 63}"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::111122223333:role/glue-production"),
        ({"Ref": "Named"}, "orders"),
        ({"Ref": "Stage"}, "production"),
        ({"Ref": "Given"}, "x" * 128),
        ({"Ref": "Topic"}, "x" * 128),
        ({"Fn::ImportValue": "Elsewhere"}, "x" * 128),
        ({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "Named"}]]}, "arn:aws:s3:::orders"),
        ({"Fn::Sub": "${AWS::Region}/${Key.Arn}/${!Kept}"}, f"eu-central-1/{KEY_ARN}/${{!Kept}}"),
        ({"Fn::Sub": ["${a}-${Stage}", {"a": {"Ref": "Named"}}]}, "orders-production"),
        ({"Fn::If": ["Any", "short", {"Ref": "Stage"}]}, "production"),
    ],
)
def test_a_function_counts_with_what_it_will_be(written: object, deployed: str) -> None:
    document = {"Statement": [{"Effect": "Allow", "Resource": [written]}]}
    as_deployed = {"Statement": [{"Effect": "Allow", "Resource": [deployed]}]}
    assert size_of(document, STACK) == len(json.dumps(as_deployed, separators=(",", ":")))


def test_where_no_environment_is_named_the_longest_counts() -> None:
    nowhere = StackTemplate(id="Stack", template={"Resources": RESOURCES})
    document = {"a": {"Fn::Sub": "${AWS::Region}${AWS::AccountId}${AWS::Partition}"}}
    assert size_of(document, nowhere) == len('{"a":""}') + len("ap-southeast-1") + 12 + len("aws-us-gov")


def test_white_space_does_not_count_and_bytes_do() -> None:
    assert size_of({"Sid": "a b\n c"}, STACK) == len('{"Sid":"abc"}') + 2  # the line's end is two characters of JSON
    assert size_of({"Sid": "é"}, STACK) == len('{"Sid":""}') + 2

"""What an assembly deploys, and which policies have a say over it."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Undecided
from cdk_encrypted_data.proofs.inventory import Bucket, Encryption, Inventory
from cdk_encrypted_data.proofs.spaces import Prover

Json: TypeAlias = Any

ACCOUNT, REGION = "111122223333", "eu-west-1"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def inventory(resources: dict[str, Any], parameters: dict[str, Any] | None = None) -> Inventory:
    template = {"Resources": resources, "Parameters": parameters or {}}
    return Inventory(Assembly.of([StackTemplate(id="Test", template=template, account=ACCOUNT, region=REGION)]))


def document(*statements: Json) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(**properties: Json) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document(trust), **properties}}


def may_read(found: Inventory) -> bool | str:
    """Whether the first caller may read a bucket without a policy; the doubt if nobody can say."""
    bucket, caller = found.buckets[0], found.callers[0]
    answer = Prover().allowed([caller], ["s3:GetObject"], bucket.objects)
    return answer.doubt if answer.doubt is not None else bool(answer)


BUCKET = {"Type": "AWS::S3::Bucket"}
ATTACHED: dict[str, dict[str, Any]] = {
    "inline": {"App": role(Policies=[{"PolicyName": "Read", "PolicyDocument": document(READ)}])},
    "a policy": {
        "App": role(),
        "Read": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"Roles": [{"Ref": "App"}], "PolicyDocument": document(READ)},
        },
    },
    "a managed policy that names the role": {
        "App": role(),
        "Read": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Roles": [{"Ref": "App"}], "PolicyDocument": document(READ)},
        },
    },
    "a managed policy that the role names": {
        "App": role(ManagedPolicyArns=[{"Ref": "Read"}]),
        "Read": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document(READ)}},
    },
    "a group's policy": {
        "Ada": {"Type": "AWS::IAM::User", "Properties": {"Groups": [{"Ref": "Readers"}]}},
        "Readers": {
            "Type": "AWS::IAM::Group",
            "Properties": {"Policies": [{"PolicyName": "Read", "PolicyDocument": document(READ)}]},
        },
    },
    "nobody's yet": {"Read": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document(READ)}}},
}


@pytest.mark.parametrize("name", ATTACHED)
def test_a_policy_is_found_wherever_it_is_attached(name: str) -> None:
    found = inventory({"Data": BUCKET, **ATTACHED[name]})
    assert len(found.callers) == 1
    assert may_read(found) is True


def test_without_a_policy_nothing_is_allowed() -> None:
    assert may_read(inventory({"Data": BUCKET, "App": role()})) is False


def test_a_boundary_limits() -> None:
    boundary = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": document({**READ, "Action": "s3:ListBucket"})},
    }
    within = {"Data": BUCKET, "App": role(PermissionsBoundary={"Ref": "Limit"}), "Limit": boundary}
    within["App"]["Properties"]["Policies"] = [{"PolicyName": "Read", "PolicyDocument": document(READ)}]
    found = inventory(within)
    (app,) = [one for one in found.callers if one.title == "role App"]
    assert not Prover().allowed([app], ["s3:GetObject"], found.buckets[0].objects)


@pytest.mark.parametrize(
    "properties",
    [
        {"ManagedPolicyArns": ["arn:aws:iam::aws:policy/SomethingOfTheirs"]},
        {"ManagedPolicyArns": [{"Ref": "Given"}]},
        {"Policies": {"Ref": "Given"}},
        {"Policies": [{"PolicyName": "Read", "PolicyDocument": document({**READ, "Resource": {"Ref": "Given"}})}]},
        {"Policies": [{"PolicyName": "Read", "PolicyDocument": document({**READ, "Action": {"Ref": "Given"}})}]},
        {"Policies": [{"PolicyName": "Read", "PolicyDocument": document({"Ref": "Given"})}]},
        {"Policies": [{"PolicyName": "Read", "PolicyDocument": {"Ref": "Given"}}]},
        {"Policies": [{"PolicyName": "Odd", "PolicyDocument": document({**READ, "Acton": "s3:*"})}]},
        {"Policies": [{"PolicyName": "Odd", "PolicyDocument": "{}"}]},
    ],
)
def test_what_cannot_be_read_is_a_doubt_and_no_answer(properties: dict[str, Any]) -> None:
    found = inventory({"Data": BUCKET, "App": role(**properties)}, {"Given": {"Type": "String"}})
    assert isinstance(may_read(found), str)


def test_an_undecided_condition_leaves_the_rest_of_the_statement_decided() -> None:
    unknown = {**READ, "Action": "s3:DeleteObject", "Condition": {"Ref": "Given"}}
    found = inventory(
        {"Data": BUCKET, "App": role(Policies=[{"PolicyName": "Odd", "PolicyDocument": document(unknown)}])},
        {"Given": {"Type": "String"}},
    )
    assert may_read(found) is False


KEY = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": document()}}
ALIAS = {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/data", "TargetKeyId": {"Ref": "Key"}}}


@pytest.mark.parametrize(
    "reference",
    [
        {"Fn::GetAtt": ["Key", "Arn"]},
        {"Ref": "Key"},
        "alias/data",
        {"Ref": "Alias"},
        {"Fn::Sub": "arn:aws:kms:${AWS::Region}:${AWS::AccountId}:alias/data"},
    ],
)
def test_a_key_is_found_by_whatever_names_it(reference: Json) -> None:
    other = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": reference}}
    found = inventory({"Key": KEY, "Alias": ALIAS, "Topic": other})
    (topic,) = found.assembly.resources_of_type("AWS::SNS::Topic")
    assert found.key(topic.setting("KmsMasterKeyId"), topic) is found.keys[0]


def test_a_key_elsewhere_is_none_and_an_unknown_one_undecided() -> None:
    found = inventory({"Key": KEY, "Data": BUCKET})
    near = found.buckets[0].resource
    assert found.key("arn:aws:kms:eu-west-1:111122223333:key/not-here", near) is None
    assert found.key("alias/not-here", near) is None
    assert isinstance(found.key(Undecided("why", "/"), near), Undecided)
    assert isinstance(found.key(["odd"], near), Undecided)


def test_a_key_without_a_policy_has_kms_own_default() -> None:
    found = inventory({"Key": {"Type": "AWS::KMS::Key"}})
    key = found.keys[0]
    assert Prover().allowed([found.administrator(ACCOUNT)], ["kms:Decrypt"], key.target)
    assert not Prover().allowed([found.bystander(ACCOUNT)], ["kms:Decrypt"], key.target)


def test_the_default_encryption_is_read_as_s3_takes_it() -> None:
    rule = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/data"},
        "BucketKeyEnabled": "true",
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    properties = {"BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]}}
    found = inventory({"Data": {**BUCKET, "Properties": properties}, "Plain": BUCKET})
    data, plain = found.buckets
    assert isinstance(data.encryption, Encryption)
    assert (data.encryption.algorithm, data.encryption.key) == ("aws:kms", "alias/data")
    assert (data.encryption.bucket_key, data.encryption.blocks_sse_c) == (True, True)
    assert plain.encryption is None


def test_of_the_default_encryption_the_key_alone_may_be_undecided() -> None:
    unsaid = {"Fn::Transform": {"Name": "x"}}

    def read(**rule: Json) -> Bucket:
        whole = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": unsaid}, **rule}
        properties = {"BucketEncryption": {"ServerSideEncryptionConfiguration": [whole]}}
        return inventory({"Data": {**BUCKET, "Properties": properties}}).buckets[0]

    alone = read()
    assert isinstance(alone.encryption, Encryption)
    assert isinstance(alone.encryption.key, Undecided)
    assert alone.encryption.algorithm == "aws:kms"
    assert alone.key_doubt == alone.encryption.key.reason
    for more in ({"BucketKeyEnabled": unsaid}, {"ServerSideEncryptionByDefault": unsaid}):
        whole = read(**more)
        assert isinstance(whole.encryption, Undecided)
        assert whole.key_doubt == whole.encryption.reason
    assert read(ServerSideEncryptionByDefault={"SSEAlgorithm": "AES256"}).key_doubt is None


@pytest.mark.parametrize("odd", [{"Ref": "Given"}, [], "AES256", [{"Ref": "Given"}], [7], {"a": 1}])
def test_odd_encryption_is_no_crash(odd: Json) -> None:
    properties = {"BucketEncryption": {"ServerSideEncryptionConfiguration": odd}}
    found = inventory({"Data": {**BUCKET, "Properties": properties}}, {"Given": {"Type": "String"}})
    assert found.buckets[0].encryption is None or isinstance(found.buckets[0].encryption, Undecided)

"""Templates, resolved: each function beside a twin that can't be carried out, and assemblies that the CDK made."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data.proofs.cloudformation import assembly as reading
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate, UnreadableError
from cdk_encrypted_data.proofs.cloudformation.resolution import (
    Assembly,
    Json,
    Opaque,
    Resource,
    StandIn,
    Undecided,
    undecided_in,
)
from stacks.encrypted_data import EncryptedDataStack
from stacks.settings import BucketSettings, Settings

_PROJECT = Path(__file__).resolve().parents[2]
_TEMPLATES = Path(__file__).parent / "templates"
_BOOTSTRAP = _PROJECT / "node_modules/aws-cdk/lib/api/bootstrap/bootstrap-template.yaml"
_ACCOUNT, _OTHER_ACCOUNT = "111122223333", "444455556666"
_NOTHING = "nothing"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}"

_SECTIONS: dict[str, Json] = {
    "Parameters": {
        "Name": {"Type": "String", "Default": "data"},
        "Days": {"Type": "Number", "Default": 30},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Unsaid": {"Type": "String"},
        "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/release"},
        "StoredList": {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/zones"},
    },
    "Mappings": {"Regions": {"us-east-1": {"Short": "use1", "Zones": ["a", "b"]}}},
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "Name"}, "data"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Open": {"Fn::Equals": [{"Ref": "Unsaid"}, "x"]},
        "Stored": {"Fn::Equals": [{"Ref": "Stored"}, "1"]},
        "Same": {"Fn::Equals": [{"Ref": "Stored"}, {"Ref": "Stored"}]},
        "NoAndOpen": {"Fn::And": [{"Condition": "Open"}, {"Condition": "No"}]},
        "YesAndOpen": {"Fn::And": [{"Condition": "Open"}, {"Condition": "Yes"}]},
        "YesOrOpen": {"Fn::Or": [{"Condition": "Open"}, {"Condition": "Yes"}]},
        "NoOrOpen": {"Fn::Or": [{"Condition": "Open"}, {"Condition": "No"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "Same"}]},
        "Neither": {"Fn::Or": [{"Condition": "No"}, {"Fn::Not": [{"Condition": "Yes"}]}]},
        "NotOpen": {"Fn::Not": [{"Condition": "Open"}]},
        "Round": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "About"}]},
        "About": {"Condition": "Round"},
        "Texts": {"Fn::Equals": [True, "true"]},
        "Odd": {"Fn::Contains": [["a"], "a"]},
    },
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data-bucket"}},
        "Gone": {"Type": "AWS::S3::Bucket", "Condition": "No", "Properties": {"BucketName": "gone"}},
        "Maybe": {"Type": "AWS::S3::Bucket", "Condition": "Open", "Properties": {"BucketName": "maybe"}},
        "Nameless": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Ref": "Unsaid"}}},
        "Egg": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::Sub": "of-${Hen}"}}},
        "Hen": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Ref": "Egg"}}},
        "Custom": {"Type": "Custom::Thing"},
    },
}


def template(value: Json, **resources: Json) -> dict[str, Json]:
    whole = copy.deepcopy(_SECTIONS)
    whole["Resources"] |= {"Probe": {"Type": "AWS::Test::Probe", "Properties": {"Value": value}}, **resources}
    return whole


def resolve(*templates: dict[str, Json], **where: Json) -> Assembly:
    place = {"account": _ACCOUNT, "region": "us-east-1", **where}
    return Assembly.of(
        StackTemplate(id=f"app{number or ''}", name=f"app{number or ''}", template=one, **place)
        for number, one in enumerate(templates)
    )


def probe(value: Json, **resources: Json) -> Json:
    stack = resolve(template(value, **resources)).stacks[0]
    return stack.resources["Probe"].properties.get("Value", _NOTHING)


def ref_and(attribute: str, kind: str, **properties: Json) -> tuple[Json, Json]:
    value = [{"Ref": "It"}, {"Fn::GetAtt": ["It", attribute]}]
    one, other = probe(value, It={"Type": kind, "Properties": properties})
    return one, other


def statements(resource: Resource, document: str = "PolicyDocument") -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = resource.properties[document]["Statement"]
    return found


# Functions


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Bucket"}, "data-bucket"),
        ({"Ref": "Maybe"}, "maybe"),
        ({"Ref": "Name"}, "data"),
        ({"Ref": "Days"}, "30"),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "AWS::AccountId"}, _ACCOUNT),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::URLSuffix"}, "amazonaws.com"),
        ({"Ref": "AWS::StackName"}, "app"),
        ({"Ref": "AWS::NoValue"}, _NOTHING),
        ([1, {"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}}], [1, {}]),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::data-bucket"),
        ({"Fn::GetAtt": "Bucket.Arn"}, "arn:aws:s3:::data-bucket"),
        ({"Fn::GetAtt": ["Bucket", "RegionalDomainName"]}, "data-bucket.s3.us-east-1.amazonaws.com"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, 1, True]]}, "a-data-1-true"),
        ({"Fn::Join": ["-", {"Ref": "Zones"}]}, "a-b"),
        ({"Fn::Join": ["-", ["a", {"Ref": "AWS::NoValue"}]]}, "a"),
        ({"Fn::Sub": "${Name}/${Bucket.Arn}/${AWS::Region}"}, "data/arn:aws:s3:::data-bucket/us-east-1"),
        ({"Fn::Sub": "${!aws:username} ${!Name} $Name ${"}, "${aws:username} ${Name} $Name ${"),
        ({"Fn::Sub": ["${Name}-${More}", {"More": {"Ref": "Days"}, "Name": "mine"}]}, "mine-30"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        ({"Fn::Select": ["0", {"Ref": "Zones"}]}, "a"),
        ({"Fn::Select": [0, ["a", {"Ref": "Unsaid"}]]}, "a"),
        ({"Fn::Split": [":", "a:b"]}, ["a", "b"]),
        ({"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": ["Bucket", "Arn"]}]}]}, "data-bucket"),
        ({"Fn::If": ["Yes", {"a": {"Ref": "Name"}}, "no"]}, {"a": "data"}),
        ({"Fn::If": ["No", "yes", {"Ref": "AWS::NoValue"}]}, _NOTHING),
        ({"Fn::If": ["NoAndOpen", "yes", "no"]}, "no"),
        ({"Fn::If": ["YesOrOpen", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Same", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Both", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Neither", "yes", "no"]}, "no"),
        ({"Fn::If": ["Texts", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Open", {"Ref": "Name"}, "data"]}, "data"),
        ({"Fn::FindInMap": ["Regions", {"Ref": "AWS::Region"}, "Short"]}, "use1"),
        ({"Fn::FindInMap": ["Regions", "us-east-1", "Zones"]}, ["a", "b"]),
        ({"Fn::FindInMap": ["Regions", "eu-west-1", "Short", {"DefaultValue": {"Ref": "Name"}}]}, "data"),
        ({"Fn::Base64": {"Ref": "Name"}}, "ZGF0YQ=="),
        ({"Fn::Length": {"Ref": "Zones"}}, 2),
        ({"Fn::ToJsonString": {"a": [1, {"Ref": "Name"}], "b": {"Ref": "AWS::NoValue"}}}, '{"a":[1,"data"]}'),
        ({"Condition": "No"}, {"Condition": "No"}),
        ([None, 1.5, False, {}, []], [None, 1.5, False, {}, []]),
    ],
    ids=repr,
)
def test_functions(value: Json, expected: Json) -> None:
    found = probe(value)
    assert found == expected
    assert "StandIn" not in repr(found)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"Ref": "Nobody"}, "nothing in the template is called Nobody"),
        ({"Ref": "Gone"}, "its condition is false"),
        ({"Ref": "Unsaid"}, "Unsaid has no default"),
        ({"Ref": "StoredList"}, "only Systems Manager knows"),
        ({"Ref": "AWS::NotificationARNs"}, "known only once it is deployed"),
        ({"Ref": "Custom"}, "isn't known here for Custom::Thing"),
        ({"Ref": ["Bucket"]}, "takes a name"),
        ({"Ref": "Name", "b": 1}, "beside other keys"),
        ({"a": 1, "Fn::Transform": {}}, "beside other keys"),
        ({"Fn::GetAtt": ["Bucket", "Colour"]}, "isn't known here"),
        ({"Fn::GetAtt": ["Nameless", "Arn"]}, "Unsaid has no default"),
        ({"Fn::GetAtt": ["Custom", "Arn"]}, "isn't known here for Custom::Thing"),
        ({"Fn::GetAtt": "Bucket"}, "takes a list"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Unsaid"}]]}, "Unsaid has no default"),
        ({"Fn::Join": ["-", "a"]}, "a list is needed"),
        ({"Fn::Join": ["-", ["a", {"b": 1}]]}, "a text is needed"),
        ({"Fn::Sub": "${Nobody}"}, "nothing in the template is called Nobody"),
        ({"Fn::Sub": "${aws:username}"}, "nothing in the template is called aws:username"),
        ({"Fn::Sub": ["${A}", {"A": {"Ref": "AWS::NoValue"}}]}, "AWS::NoValue"),
        ({"Fn::Select": [2, ["a", "b"]]}, "a list of 2 has no element 2"),
        ({"Fn::Select": [1, [{"Fn::If": ["Open", "a", {"Ref": "AWS::NoValue"}]}, "b"]]}, "Unsaid has no default"),
        ({"Fn::Select": [{"Ref": "Stored"}, ["a"]]}, "the index is known only once"),
        ({"Fn::Split": ["-", {"Ref": "Stored"}]}, "known only once it is deployed"),
        ({"Fn::Split": ["", "a"]}, "the delimiter is empty"),
        ({"Fn::If": ["Open", "yes", "no"]}, "Unsaid has no default"),
        ({"Fn::If": ["NotOpen", "yes", "no"]}, "Unsaid has no default"),
        ({"Fn::If": ["YesAndOpen", "yes", "no"]}, "Unsaid has no default"),
        ({"Fn::If": ["NoOrOpen", "yes", "no"]}, "Unsaid has no default"),
        ({"Fn::If": ["Stored", "yes", "no"]}, "a text that the condition compares"),
        ({"Fn::If": ["Round", "yes", "no"]}, "hangs on itself"),
        ({"Fn::If": ["Odd", "yes", "no"]}, "Fn::Contains isn't a condition"),
        ({"Fn::If": ["Nobody", "yes", "no"]}, "no condition 'Nobody'"),
        ({"Fn::FindInMap": ["Regions", "eu-west-1", "Short"]}, "no Regions/eu-west-1/Short"),
        ({"Fn::FindInMap": ["Regions", {"Ref": "Stored"}, "Short", {"DefaultValue": 1}]}, "a key of the map"),
        ({"Fn::FindInMap": ["Regions", "us-east-1"]}, "takes a list of 3 or 4"),
        ({"Fn::ImportValue": "theirs"}, "no stacks here export theirs"),
        ({"Fn::GetStackOutput": {"StackName": "them", "OutputName": "o"}}, "no stacks here are called them"),
        ({"Fn::GetStackOutput": {"StackName": "app", "OutputName": "o"}}, "the stack app has no output o"),
        ({"Fn::Base64": {"Ref": "Unsaid"}}, "Unsaid has no default"),
        ({"Fn::Length": [{"Ref": "Unsaid"}]}, "Unsaid has no default"),
        ({"Fn::ToJsonString": {"a": {"Ref": "Unsaid"}}}, "Unsaid has no default"),
        ({"Fn::GetAZs": ""}, "Fn::GetAZs isn't carried out here"),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, "Fn::Cidr isn't carried out here"),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, "Fn::Transform isn't carried out here"),
        ({"Ref": "Egg"}, "hangs on itself"),
        ({"Fn::GetAtt": ["Hen", "Arn"]}, "hangs on itself"),
    ],
    ids=repr,
)
def test_what_cannot_be_resolved_says_why_in_its_place(value: Json, reason: str) -> None:
    found = probe({"kept": 1, "value": [value]})
    assert found["kept"] == 1
    (undecided,) = found["value"]
    assert isinstance(undecided, Undecided)
    assert reason in undecided.reason
    assert undecided.path.startswith("/Resources/Probe/Properties/Value/value/0")


@pytest.mark.parametrize(
    ("value", "kind", "shape"),
    [
        ({"Ref": "Stored"}, Opaque, r"parameter-[a-z0-9]{20}"),
        ("{{resolve:ssm:/a:1}}", Opaque, r"resolved-[a-z0-9]{20}"),
        ("x{{resolve:secretsmanager:a:SecretString:b}}y", Opaque, r"xresolved-[a-z0-9]{20}y"),
        ({"Fn::Join": ["", ["{{resolve:ssm:", {"Ref": "Name"}, "}}"]]}, Opaque, r"resolved-[a-z0-9]{20}"),
        ({"Ref": "AWS::StackId"}, StandIn, rf"arn:aws:cloudformation:us-east-1:{_ACCOUNT}:stack/app/{_UUID}"),
        ({"Fn::Base64": {"Ref": "AWS::StackId"}}, Opaque, r"[A-Za-z0-9+/=]+"),
        ({"Fn::ToJsonString": {"a": {"Ref": "Stored"}}}, Opaque, r'\{"a":"parameter-[a-z0-9]{20}"\}'),
        ({"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}, StandIn, _UUID),
    ],
    ids=repr,
)
def test_what_only_a_deployment_knows_gets_a_stand_in(value: Json, kind: type[StandIn], shape: str) -> None:
    found = probe(value)
    assert type(found) is kind
    assert re.fullmatch(shape, found)
    assert json.loads(json.dumps(found)) == found


def test_an_unknown_environment_decides_nothing() -> None:
    whole = template({"Fn::If": ["Here", "yes", "no"]})
    whole["Conditions"]["Here"] = {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}
    assert resolve(whole).stacks[0].resources["Probe"].properties == {"Value": "yes"}
    assert resolve(whole, region="eu-west-1").stacks[0].resources["Probe"].properties == {"Value": "no"}
    unknown = resolve(whole, account=None, region=None).stacks[0]
    assert type(unknown.account) is type(unknown.region) is StandIn
    assert isinstance(unknown.resources["Probe"].properties["Value"], Undecided)


def test_partitions() -> None:
    whole = template({"Fn::Sub": "${AWS::Partition} ${AWS::URLSuffix}"})
    found = resolve(whole, region="cn-north-1").stacks[0].resources["Probe"].properties
    assert found == {"Value": "aws-cn amazonaws.com.cn"}


def test_given_parameters_win() -> None:
    found = resolve(template({"Fn::If": ["Open", {"Ref": "Name"}, "no"]}), parameters={"Unsaid": "x", "Name": "given"})
    assert found.stacks[0].resources["Probe"].properties == {"Value": "given"}


def test_a_long_chain_is_resolved_from_either_end() -> None:
    count = 400
    chain = {
        f"Link{n:03}": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Fn::Sub": f"${{Link{n + 1:03}}}"}}}
        for n in range(count)
    }
    chain[f"Link{count:03}"] = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "end"}}
    for order in (sorted(chain), sorted(chain, reverse=True)):
        found = resolve({"Resources": {name: chain[name] for name in order}})
        assert {one.ref for one in found.resources()} == {"end"}
        assert found.gaps == ()


def test_a_circle_is_undecided_wherever_one_begins() -> None:
    count = 40
    circle = {
        f"Link{n:03}": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Ref": f"Link{(n + 1) % count:03}"}}}
        for n in range(count)
    }
    circle["Outside"] = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Ref": "Link007"}}}
    for order in (sorted(circle), sorted(circle, reverse=True)):
        found = resolve({"Resources": {name: circle[name] for name in order}})
        assert {type(one.ref) for one in found.resources()} == {Undecided}
        assert {one.arn for one in found.resources()} == {None}
        assert {gap.logical_id for gap in found.gaps} == set(circle)


def test_what_is_nested_too_deeply_is_undecided() -> None:
    value: Json = "deep"
    for _ in range(5000):
        value = [value]
    (undecided,) = undecided_in(probe(value))
    assert undecided.reason == "it is nested too deeply"


# What resources are called


@pytest.mark.parametrize(
    ("kind", "properties", "ref", "attribute", "value"),
    [
        ("AWS::KMS::Key", {}, _UUID, "Arn", rf"arn:aws:kms:us-east-1:{_ACCOUNT}:key/{_UUID}"),
        ("AWS::KMS::Key", {"MultiRegion": True}, r"mrk-[0-9a-f]{32}", "KeyId", r"mrk-[0-9a-f]{32}"),
        ("AWS::KMS::Key", {"MultiRegion": "false"}, _UUID, "KeyId", _UUID),
        ("AWS::IAM::Role", {}, r"app-It-[A-Z0-9]{12}", "Arn", rf"arn:aws:iam::{_ACCOUNT}:role/app-It-[A-Z0-9]{{12}}"),
        ("AWS::IAM::Role", {"RoleName": "r", "Path": "/p/"}, "r", "Arn", rf"arn:aws:iam::{_ACCOUNT}:role/p/r"),
        ("AWS::IAM::User", {"UserName": "u"}, "u", "Arn", rf"arn:aws:iam::{_ACCOUNT}:user/u"),
        ("AWS::S3::Bucket", {}, r"app-it-[a-z0-9]{12}", "Arn", r"arn:aws:s3:::app-it-[a-z0-9]{12}"),
        ("AWS::Logs::LogGroup", {"LogGroupName": "/l"}, "/l", "Arn", rf"arn:aws:logs:us-east-1:{_ACCOUNT}:.*:/l:\*"),
        ("AWS::SNS::Topic", {"TopicName": "t"}, rf"arn:aws:sns:us-east-1:{_ACCOUNT}:t", "TopicName", "t"),
        ("AWS::SQS::Queue", {"FifoQueue": True}, r"https://sqs\..*\.fifo", "Arn", r"arn:aws:sqs:.*\.fifo"),
        ("AWS::SecretsManager::Secret", {"Name": "s"}, r"arn:aws:secretsmanager:.*:s-\w{6}", "Id", r".*:s-\w{6}"),
        ("AWS::CloudFront::Distribution", {}, r"E[A-Z0-9]{13}", "DomainName", r"d[a-z0-9]{13}\.cloudfront\.net"),
        ("AWS::Lambda::Function", {}, r"app-It-[A-Z0-9]{12}", "Arn", rf"arn:aws:lambda:.*:{_ACCOUNT}:function:app.*"),
        ("AWS::EC2::VPCEndpoint", {}, r"vpce-[0-9a-f]{17}", "Id", r"vpce-[0-9a-f]{17}"),
    ],
)  # fmt: skip
def test_stand_ins_look_like_the_real_thing(
    kind: str, properties: dict[str, Json], ref: str, attribute: str, value: str
) -> None:
    found, attributed = ref_and(attribute, kind, **properties)
    assert re.fullmatch(ref, found)
    assert re.fullmatch(value, attributed)


def test_account_regional_names_are_computed_exactly() -> None:
    properties = {"BucketNamespace": "account-regional", "BucketNamePrefix": "data"}
    name, arn = ref_and("Arn", "AWS::S3::Bucket", **properties)
    assert (type(name), name, arn) == (
        str,
        f"data-{_ACCOUNT}-us-east-1-an",
        f"arn:aws:s3:::data-{_ACCOUNT}-us-east-1-an",
    )
    undecided, _ = ref_and("Arn", "AWS::S3::Bucket", BucketNamespace="account-regional")
    assert isinstance(undecided, Undecided)


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::KMS::Key", {"MultiRegion": {"Ref": "Unsaid"}}),
        ("AWS::KMS::ReplicaKey", {"PrimaryKeyArn": "no-arn"}),
        ("AWS::KMS::ReplicaKey", {}),
        ("AWS::KMS::Alias", {}),
        ("AWS::Events::Rule", {"EventBusName": "mine"}),
        ("AWS::S3::Bucket", {"BucketNamespace": {"Ref": "Stored"}}),
        ("AWS::S3::Bucket", {"BucketName": ["a", "b"]}),
    ],
)
def test_names_that_hang_on_what_nobody_knows(kind: str, properties: dict[str, Json]) -> None:
    found = resolve(template(1, It={"Type": kind, "Properties": properties})).stacks[0].resources["It"]
    assert isinstance(found.ref, Undecided)
    assert found.arn is None


def test_stand_ins_differ_by_stack_region_account_and_resource() -> None:
    whole = {"Resources": {name: {"Type": "AWS::S3::Bucket"} for name in ("A", "B")}}
    names = [
        str(resource.ref)
        for where in ({}, {"region": "eu-west-1"}, {"account": _OTHER_ACCOUNT})
        for resource in resolve(whole, whole, **where).resources()
    ]
    assert len(set(names)) == len(names) == 12


def test_owners() -> None:
    logs = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "l"}}
    twin = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "twins"}}
    found = resolve(template(1, Logs=logs, One=twin, Other=twin))
    for arn, owner in {
        "arn:aws:s3:::data-bucket": "Bucket",
        "arn:aws:s3:::data-bucket/a/b": "Bucket",
        f"arn:aws:logs:us-east-1:{_ACCOUNT}:log-group:l": "Logs",
        f"arn:aws:logs:us-east-1:{_ACCOUNT}:log-group:l:*": "Logs",
    }.items():
        resource = found.resource(arn)
        assert resource is not None
        assert resource.logical_id == owner
    assert found.resource("arn:aws:s3:::data-bucket-2") is None
    assert found.resource("arn:aws:s3:::twins") is None
    assert [one.logical_id for one in found.owners("arn:aws:s3:::twins")] == ["One", "Other"]


# Templates from files

_LAUGHS = "a0: &a0 [0]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


def test_yaml_with_short_forms() -> None:
    pytest.importorskip("yaml")
    found = Assembly.read(_TEMPLATES / "short_forms.yaml", account=_ACCOUNT, region="eu-central-1")
    assert found.gaps == ()
    stack = found.stacks[0]
    assert set(stack.resources) == {"Key", "Bucket", "Policy"}
    bucket, key = stack.resources["Bucket"], stack.resources["Key"]
    assert (bucket.ref, bucket.deletion_policy, bucket.depends_on) == ("payments-prod", "Retain", ("Key",))
    assert str(key.ref).startswith("mrk-")
    assert key.properties["PendingWindowInDays"] == 30
    assert key.properties["Description"] == "of 011122223333"
    assert key.properties["KeyPolicy"]["Version"] == "2012-10-17"
    assert statements(key, "KeyPolicy")[0]["Principal"] == {"AWS": f"arn:aws:iam::{_ACCOUNT}:root"}
    deny, allow = statements(stack.resources["Policy"])
    assert deny["Resource"] == "arn:aws:s3:::payments-prod/*"
    assert deny["Condition"]["StringNotEquals"].popitem()[1] == key.arn
    assert allow["Resource"] == "arn:aws:s3:::payments-prod/${aws:username}/b/*"
    assert allow["Principal"] == {"AWS": [f"arn:aws:iam::{_ACCOUNT}:role/{name}" for name in ("one", "two")]}


def test_yaml_conditions_leave_resources_out() -> None:
    pytest.importorskip("yaml")
    found = Assembly.read(
        _TEMPLATES / "short_forms.yaml", account=_ACCOUNT, region="eu-central-1", parameters={"Stage": "test"}
    )
    assert set(found.stacks[0].resources) == {"Key", "Bucket", "Policy", "OnlyInTest"}
    assert len(statements(found.stacks[0].resources["Policy"])) == 1


def test_gaps_name_the_construct_and_the_place() -> None:
    found = Assembly.read(_TEMPLATES / "not_in_the_template.json")
    gaps = {gap.undecided.path: (gap.construct_path, gap.undecided.reason) for gap in found.gaps}
    trust = "/Resources/Role/Properties/AssumeRolePolicyDocument/Statement"
    no_owner = "the parameter Owner has no default and nobody gave it a value"
    assert gaps == {
        "/Resources/Role/Condition": ("App/Role/Resource", no_owner),
        f"{trust}/0/Principal/AWS": ("App/Role/Resource", no_owner),
        f"{trust}/1/Principal/AWS": (
            "App/Role/Resource",
            "what Arn of Lookup returns isn't known here for Custom::Lookup",
        ),
        "/Resources/Role/Properties/RoleName": (
            "App/Role/Resource",
            "a text that the condition compares is known only once it is deployed",
        ),
    }
    role = found.stacks[0].resources["Role"]
    assert isinstance(role.present, Undecided)
    assert role.arn is None
    decided = Assembly.read(_TEMPLATES / "not_in_the_template.json", region="eu-west-1", parameters={"Owner": "them"})
    assert set(decided.stacks[0].resources) == {"Lookup"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", '{"Resources": {"A": {}, "A": {}}}', "'A'] is there twice"),
        ("a.json", '{"name": "package"}', "a template has a map of Resources"),
        ("a.json", "{" + '"a":{' * 100_000, "nested too deeply"),
        ("a.yaml", "a: [", "not YAML"),
        ("a.yaml", "", "a template has a map of Resources"),
        ("a.yaml", "Resources:\n  A: 1\n  A: 2", "line 3: the key 'A' is there twice"),
        ("a.yaml", "a: &a [1]\nResources: &r {<<: *a}", "the key '<<'"),
        ("a.yaml", "Resources: &r {A: *r}", "nested too deeply|more than"),
        ("a.yaml", _LAUGHS, "its aliases make more than"),
        ("a.yaml", "Resources: {A: {B: \xff}}".encode("latin-1"), "can't decode"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UnreadableError, match=message) as error:
        Assembly.read(file)
    assert str(file) in str(error.value)


def test_yaml_without_pyyaml_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UnreadableError, match=r"install PyYAML \(pip install pyyaml\), or give the template as JSON"):
        Assembly.read(_TEMPLATES / "short_forms.yaml")
    assert Assembly.read(_TEMPLATES / "not_in_the_template.json").stacks
    with pytest.raises(UnreadableError, match=r"manifest\.json: No such file"):
        Assembly.read(tmp_path)


def test_templates_that_are_not_what_they_say_are_reported() -> None:
    odd = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Fn::ForEach::Buckets": ["Name", ["a"], {}],
            "Typeless": {"Properties": {}},
            "Included": {"Type": "AWS::S3::Bucket", "Fn::Transform": {}},
            "Whole": {"Type": "AWS::S3::Bucket", "Properties": {"Fn::If": ["Nobody", {}, {"BucketName": "a"}]}},
            "Listed": {"Type": "AWS::S3::Bucket", "Properties": ["a"]},
        },
    }
    found = resolve(odd)
    assert {gap.undecided.path for gap in found.gaps} == {
        "/Transform",
        "/Resources/Fn::ForEach::Buckets",
        "/Resources/Typeless",
        "/Resources/Included/Fn::Transform",
        "/Resources/Whole/Properties",
        "/Resources/Listed/Properties",
    }
    assert all(isinstance(one.present, Undecided) for one in found.resources())
    extended = {"Transform": ["AWS::LanguageExtensions"], "Resources": {}}
    assert resolve(extended).gaps == ()


def test_a_strangers_template() -> None:
    """The CDK's own bootstrap stack, with 14 conditions, nobody here wrote it."""
    pytest.importorskip("yaml")
    found = Assembly.read(_BOOTSTRAP, account=_ACCOUNT, region="eu-west-1")
    assert found.gaps == ()
    assert len(found.stacks[0].resources) == 13
    bucket = found.resource(f"arn:aws:s3:::cdk-hnb659fds-assets-{_ACCOUNT}-eu-west-1")
    assert bucket is not None
    assert bucket.logical_id == "StagingBucket"
    assert "FileAssetsBucketEncryptionKey" in found.stacks[0].resources
    given = Assembly.read(_BOOTSTRAP, parameters={"FileAssetsBucketKmsKeyId": "AWS_MANAGED_KEY"})
    assert "FileAssetsBucketEncryptionKey" not in given.stacks[0].resources


# Assemblies


class _Producer(cdk.Stack):
    def __init__(self, scope: cdk.App | cdk.Stage, id: str, **options: Json) -> None:  # noqa: A002
        super().__init__(scope, id, **options)
        self.key = kms.Key(self, "Key", multi_region=True)


def _reader(scope: Json, key: kms.Key) -> None:
    iam.ManagedPolicy(
        scope, "Reader", statements=[iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key.key_arn])]
    )


def _make(directory: Path, *, weak: bool) -> Path:
    context = {"@aws-cdk/core:defaultCrossStackReferences": "weak"} if weak else {}
    app = cdk.App(outdir=str(directory), context=context, analytics_reporting=False)
    home = cdk.Environment(account=_ACCOUNT, region="us-east-1")
    primary = _Producer(app, "Primary", env=home)
    _reader(cdk.Stack(app, "SameRegion", env=home), primary.key)
    if weak:
        replica = cdk.Stack(app, "Replica", env=cdk.Environment(account=_ACCOUNT, region="eu-west-1"))
        kms.CfnReplicaKey(replica, "Key", primary_key_arn=primary.key.key_arn, key_policy={"Statement": []})
        other = cdk.Stack(app, "OtherAccount", env=cdk.Environment(account=_OTHER_ACCOUNT, region="eu-west-1"))
        _reader(other, primary.key)
    stage = cdk.Stage(app, "Prod", env=cdk.Environment(account=_ACCOUNT, region="eu-central-1"))
    in_stage = _Producer(stage, "Data")
    parent = cdk.Stack(stage, "Use")
    nested = cdk.NestedStack(parent, "Nest")
    _reader(nested, in_stage.key)
    # The nested stack is given the parent's key as a parameter, and gives its bucket back as an output.
    inner = s3.Bucket(nested, "Inner", encryption_key=kms.Key(parent, "OuterKey"))
    cdk.CfnOutput(parent, "InnerArn", value=inner.bucket_arn)
    s3.Bucket(cdk.Stack(app, "Anywhere"), "Bucket")
    app.synth()
    return directory


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make(tmp_path_factory.mktemp("weak"), weak=True)


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make(tmp_path_factory.mktemp("strong"), weak=False)


def _only(found: Assembly, construct_path: str) -> Resource:
    (resource,) = [one for one in found.resources() if one.construct_path == construct_path]
    return resource


def _readers_key(found: Assembly, construct_path: str) -> Json:
    return statements(_only(found, construct_path))[0]["Resource"]


@pytest.mark.parametrize(("kind", "function"), [("weak", "Fn::GetStackOutput"), ("strong", "Fn::ImportValue")])
def test_references_between_stacks(request: pytest.FixtureRequest, kind: str, function: str) -> None:
    directory: Path = request.getfixturevalue(kind)
    assert function in (directory / "SameRegion.template.json").read_text()
    found = Assembly.read(directory)
    assert found.gaps == ()
    key = _only(found, "Primary/Key/Resource")
    assert re.fullmatch(rf"arn:aws:kms:us-east-1:{_ACCOUNT}:key/mrk-[0-9a-f]{{32}}", str(key.arn))
    assert _readers_key(found, "SameRegion/Reader/Resource") == key.arn
    in_stage = _only(found, "Prod/Data/Key/Resource")
    assert in_stage.arn != key.arn
    assert _readers_key(found, "Prod/Use/Nest/Reader/Resource") == in_stage.arn


def test_references_over_regions_and_accounts(weak: Path) -> None:
    found = Assembly.read(weak)
    key, replica = _only(found, "Primary/Key/Resource"), _only(found, "Replica/Key")
    assert replica.ref == key.ref
    assert replica.arn == str(key.arn).replace("us-east-1", "eu-west-1")
    assert found.resource(str(replica.arn)) is replica
    assert _readers_key(found, "OtherAccount/Reader/Resource") == key.arn


def test_stacks_of_an_assembly(weak: Path) -> None:
    found = Assembly.read(weak)
    stacks = {stack.id: stack for stack in found.stacks}
    assert set(stacks) > {"Primary", "SameRegion", "Replica", "OtherAccount", "Prod/Data", "Prod/Use", "Anywhere"}
    assert stacks["Prod/Data"].name == "Prod-Data"
    assert (stacks["OtherAccount"].account, stacks["OtherAccount"].region) == (_OTHER_ACCOUNT, "eu-west-1")
    assert stacks["Replica"].dependencies == ("Primary",)
    assert type(stacks["Anywhere"].account) is StandIn
    given = {stack.id: stack for stack in Assembly.read(weak, account="123456789012", region="eu-west-3").stacks}
    assert (given["Anywhere"].account, given["Primary"].account) == ("123456789012", _ACCOUNT)


def test_nested_stacks(weak: Path) -> None:
    found = Assembly.read(weak)
    inner, outer_key = _only(found, "Prod/Use/Nest/Inner/Resource"), _only(found, "Prod/Use/OuterKey/Resource")
    (rule,) = inner.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == outer_key.arn
    (parent,) = [stack for stack in found.stacks if stack.id == "Prod/Use"]
    assert parent.outputs["InnerArn"] == inner.arn


def test_a_nested_stack_that_is_not_there_is_a_gap() -> None:
    found = resolve(template({"Fn::GetAtt": ["It", "Outputs.A"]}, It={"Type": "AWS::CloudFormation::Stack"}))
    assert isinstance(found.stacks[0].resources["Probe"].properties["Value"], Undecided)
    assert "/Resources/It/Properties/TemplateURL" in {gap.undecided.path for gap in found.gaps}


def test_stacks_that_read_each_other_in_a_circle() -> None:
    def reads(other: str) -> dict[str, Json]:
        value = {"Fn::GetStackOutput": {"StackName": other, "OutputName": "Out"}}
        return {"Resources": {}, "Outputs": {"Out": {"Value": value}}}

    for order in ((reads("app1"), reads("app")), (reads("app1"), reads("app"))[::-1]):
        assert {type(stack.outputs["Out"]) for stack in resolve(*order).stacks} == {Undecided}


def test_exports_that_are_ambiguous_or_elsewhere() -> None:
    def exporting(value: str) -> dict[str, Json]:
        return {"Resources": {}, "Outputs": {"Out": {"Value": value, "Export": {"Name": {"Fn::Sub": "shared"}}}}}

    importing = template({"Fn::ImportValue": {"Fn::Sub": "shared"}})
    assert resolve(importing, exporting("one")).stacks[0].resources["Probe"].properties == {"Value": "one"}
    twice = resolve(importing, exporting("one"), exporting("other")).stacks[0].resources["Probe"].properties["Value"]
    assert isinstance(twice, Undecided)
    assert twice.reason.startswith("2 stacks here export shared")
    elsewhere = Assembly.of(
        (
            StackTemplate(id="a", name="a", template=importing, account=_ACCOUNT, region="us-east-1"),
            StackTemplate(id="b", name="b", template=exporting("one"), account=_ACCOUNT, region="eu-west-1"),
        )
    )
    assert isinstance(elsewhere.stacks[0].resources["Probe"].properties["Value"], Undecided)


def test_a_stack_in_an_unknown_region_is_not_taken_for_one_in_a_known_region() -> None:
    reading_there = template({"Fn::GetStackOutput": {"StackName": "b", "OutputName": "Out", "Region": "us-east-1"}})
    reading_here = template({"Fn::GetStackOutput": {"StackName": "b", "OutputName": "Out"}})
    written: dict[str, Json] = {"Resources": {}, "Outputs": {"Out": {"Value": "it"}}}
    for reader, expected in ((reading_here, True), (reading_there, False)):
        found = Assembly.of(
            StackTemplate(id=name, name=name, template=one) for name, one in {"a": reader, "b": written}.items()
        )
        assert (found.stacks[0].resources["Probe"].properties["Value"] == "it") is expected


def test_what_hangs_on_an_import_may_name_an_export_no_other_import_finds() -> None:
    """The name of the second export is undecided; the bucket it is named after isn't."""
    base = {"Resources": {}, "Outputs": {"Out": {"Value": "x", "Export": {"Name": "base"}}}}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::ImportValue": "base"}}}
    second = {"Value": "y", "Export": {"Name": {"Ref": "It"}}}
    found = resolve({**template({"Fn::ImportValue": "x"}, It=bucket), "Outputs": {"Out": second}}, base).stacks[0]
    assert found.resources["It"].ref == "x"
    assert isinstance(found.resources["Probe"].properties["Value"], Undecided)


# Our own app


def _is_policy(resource: Resource) -> bool:
    return resource.type in {"AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"}


@pytest.mark.parametrize("env", [None, cdk.Environment(account=_ACCOUNT, region="eu-central-1")], ids=["any", "one"])
def test_our_own_app(tmp_path: Path, env: cdk.Environment | None) -> None:
    app = cdk.App(outdir=str(tmp_path))
    EncryptedDataStack(app, "EncryptedData", settings=Settings(buckets=(BucketSettings(name="Data"),)), env=env)
    app.synth()
    found = Assembly.read(tmp_path)
    assert [gap for gap in found.gaps if gap.logical_id] == []
    policies = [one for one in found.resources() if _is_policy(one)]
    assert len(policies) >= 5
    assert not any(list(undecided_in(one.properties)) for one in policies)
    (key,) = found.resources_of_type("AWS::KMS::Key")
    bucket = _only(found, "EncryptedData/Data/Bucket/Resource")
    (policy,) = [
        one for one in found.resources_of_type("AWS::S3::BucketPolicy") if one.properties["Bucket"] == bucket.ref
    ]
    named = set(re.findall(r"arn:aws:kms:[^'\"]*", json.dumps(policy.properties)))
    assert named == {key.arn}
    objects = {resource for one in statements(policy) for resource in [one["Resource"]] if isinstance(resource, str)}
    assert objects
    assert {found.resource(arn) for arn in objects if arn.endswith("/*")} == {bucket}


# Laws

_NAMES = st.sampled_from(
    [
        *_SECTIONS["Resources"],
        *_SECTIONS["Parameters"],
        "Probe",
        "Nobody",
        "AWS::Region",
        "AWS::NoValue",
        "AWS::StackId",
    ]
)
_KEYS = st.sampled_from(
    [*"ab", "Ref", "Condition", "Fn::Nonsense", "DefaultValue", "StackName", "OutputName", "RoleArn"]
    + [f"Fn::{name}" for name in ("Base64", "FindInMap", "GetAtt", "GetStackOutput", "If", "ImportValue", "Join")]
    + [f"Fn::{name}" for name in ("Length", "Select", "Split", "Sub", "ToJsonString", "Equals", "And", "Or", "Not")]
)
_TEXTS = st.sampled_from(
    [
        *("", "a", "-", "1", "Arn", "app", "Regions", "us-east-1", "Short", "Open", "Yes", "Round"),
        *("${Bucket.Arn}", "${Egg}", "${!a}${", "{{resolve:ssm:a}}", "arn:aws:iam::111122223333:role/a"),
    ]
)
_VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats(allow_nan=False) | _TEXTS | _NAMES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_KEYS, inner, max_size=2)
        | st.builds(lambda key, value: {key: value}, _KEYS, inner)
    ),
    max_leaves=25,
)


def _by_id(found: Assembly) -> dict[str, str]:
    return {one.logical_id: repr(one) for one in found.resources()}


@settings(max_examples=500, deadline=None)
@given(value=_VALUES, properties=_VALUES, condition=_VALUES, output=_VALUES)
def test_anything_is_resolved_or_undecided(value: Json, properties: Json, condition: Json, output: Json) -> None:
    whole = template(value, Odd={"Type": "AWS::S3::Bucket", "Properties": properties, "Condition": "Maybe"})
    whole["Conditions"]["Maybe"] = condition
    whole["Outputs"] = {"Out": {"Value": output, "Export": {"Name": output}}, "Odd": output}
    before = copy.deepcopy(whole)
    found = resolve(whole)
    assert whole == before
    backwards = {name: dict(reversed(section.items())) for name, section in reversed(whole.items())}
    assert _by_id(resolve(backwards)) == _by_id(found)
    resolved = found.stacks[0].resources["Probe"].properties
    if "Value" in resolved:
        twice = probe(resolved["Value"])
        assert repr(twice) == repr(resolved["Value"])


_IDS = st.sampled_from("ABCD")
_REFERENCE = st.builds(lambda name: {"Ref": name}, _IDS) | st.builds(lambda name: {"Fn::Sub": f"x${{{name}}}"}, _IDS)
_RESOURCE = st.fixed_dictionaries(
    {"Type": st.sampled_from(["AWS::S3::Bucket", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::KMS::ReplicaKey"])},
    optional={
        "Condition": _IDS,
        "DependsOn": _IDS | st.lists(_IDS),
        "Properties": st.dictionaries(
            st.sampled_from(["BucketName", "RoleName", "MultiRegion", "PrimaryKeyArn", "Path"]), _VALUES, max_size=3
        ),
    },
)
# Names and conditions that hang on each other, in circles as often as not.
_NAMED = st.builds(
    lambda kind, name: {"Type": kind, "Properties": {"BucketName": name, "RoleName": name}},
    st.sampled_from(["AWS::S3::Bucket", "AWS::IAM::Role"]),
    _REFERENCE | _IDS | st.builds(lambda *it: {"Fn::If": list(it)}, _IDS, _REFERENCE, _REFERENCE),
)
_CONDITION: st.SearchStrategy[Json] = st.recursive(
    st.builds(lambda name: {"Condition": name}, _IDS)
    | st.builds(lambda *texts: {"Fn::Equals": list(texts)}, _IDS, _IDS | _REFERENCE),
    lambda inner: st.builds(
        lambda name, both: {name: both}, st.sampled_from(["Fn::And", "Fn::Or", "Fn::Not"]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)
_OTHERS: st.SearchStrategy[Json] = _VALUES | st.dictionaries(_IDS, _VALUES, max_size=3)
_WHOLE = st.fixed_dictionaries(
    {
        "Resources": st.dictionaries(_IDS, _RESOURCE | _NAMED | _VALUES, max_size=4),
        "Conditions": st.dictionaries(_IDS, _CONDITION | _VALUES, max_size=4),
    },
    optional={"Parameters": _OTHERS, "Mappings": _OTHERS, "Outputs": _OTHERS, "Transform": _OTHERS},
)


@settings(max_examples=500, deadline=None)
@given(whole=_WHOLE)
def test_no_template_is_too_odd_and_order_never_matters(whole: dict[str, Json]) -> None:
    before = repr(whole)
    found = _by_id(resolve(whole))
    assert repr(whole) == before
    backwards = {name: dict(reversed(one.items())) if isinstance(one, dict) else one for name, one in whole.items()}
    assert _by_id(resolve(backwards)) == found


def test_importing_starts_nothing() -> None:
    program = (
        "import sys, cdk_encrypted_data.proofs.cloudformation.resolution as r; r.Assembly.read(sys.argv[1]);"
        "print([name for name in ('aws_cdk', 'jsii', 'constructs', 'boto3', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(_TEMPLATES / "not_in_the_template.json")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(_PROJECT / "constructs")},
    )
    assert done.stdout.strip() == "[]"


def _fleet(customers: int) -> dict[str, Json]:
    """The same five resources for each customer."""
    made: dict[str, Json] = {}
    for n in range(customers):
        key, bucket = {"Fn::GetAtt": [f"Key{n}", "Arn"]}, {"Fn::GetAtt": [f"Bucket{n}", "Arn"]}
        objects = {"Fn::Join": ["", [bucket, "/*"]]}
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": [bucket, objects]}
        decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
        document = {"Version": "2012-10-17", "Statement": [statement, decrypt] * 3}
        root = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
        made |= {
            f"Key{n}": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": [{"Principal": root}]}}},
            f"Alias{n}": {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": f"alias/{n}", "TargetKeyId": key}},
            f"Bucket{n}": {"Type": "AWS::S3::Bucket", "Properties": {"KMSMasterKeyID": key}},
            f"Policy{n}": {"Type": "AWS::S3::BucketPolicy", "Properties": {"PolicyDocument": document}},
            f"Reader{n}": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}},
        }
    return {"Resources": made}


def _calls(whole: dict[str, Json]) -> int:
    count = 0

    def count_calls(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(count_calls)
    try:
        resolve(whole)
    finally:
        sys.setprofile(None)
    return count


def test_the_work_is_linear_in_the_resources() -> None:
    assert _calls(_fleet(200)) < 4.1 * _calls(_fleet(50))


def test_reading_keeps_what_is_written() -> None:
    (template_,) = reading.read(_TEMPLATES / "not_in_the_template.json")
    assert template_.template == json.loads((_TEMPLATES / "not_in_the_template.json").read_text())


def test_a_stack_without_resources_is_empty(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    cdk.Stack(app, "Empty")
    app.synth()
    (stack,) = Assembly.read(tmp_path).stacks
    assert stack.resources == {}

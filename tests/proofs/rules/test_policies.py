"""The rules of names in policies, where pairs don't show it: places, operators, what can't be known, odd input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cdk_encrypted_data import EncryptedBucket
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.findings import Finding
from cdk_encrypted_data.proofs.proof import Proof, prove
from cdk_encrypted_data.proofs.rules.policies import RULES, UNKNOWN_ACTION, UNKNOWN_KEY
from tests.synthesis import new_stack, template

Json = Any

IDS = {rule.id for rule in RULES}
PARAMETER = {"P": {"Type": "String"}}


def document(*statements: Json) -> dict[str, Json]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(action: Json = "s3:GetObject", effect: str = "Allow", **others: Json) -> dict[str, Json]:
    return {"Sid": "S", "Effect": effect, "Action": action, "Resource": "*", **others}


def proof(properties: Mapping[str, Json], kind: str = "AWS::IAM::ManagedPolicy", **sections: Json) -> Proof:
    whole = {"Resources": {"R": {"Type": kind, "Properties": dict(properties)}}, **sections}
    return prove(Assembly.of([StackTemplate(id="Test", template=whole, account="111122223333", region="eu-west-1")]))


def found(
    properties: Mapping[str, Json], kind: str = "AWS::IAM::ManagedPolicy", **sections: Json
) -> Sequence[tuple[str, str]]:
    findings = proof(properties, kind, **sections).findings
    return [(one.rule.id, one.place) for one in findings if one.rule.id in IDS]


def words(*statements: Json) -> list[str]:
    findings = proof({"PolicyDocument": document(*statements)}).findings
    return [one.counterexample for one in findings if one.rule.id in IDS]


def undecided(properties: Mapping[str, Json], **sections: Json) -> list[str]:
    return [one.rule.id for one in proof(properties, **sections).undecidable if one.rule.id in IDS]


# Where policies stand.


@pytest.mark.parametrize(
    ("kind", "name", "principal"),
    [
        ("AWS::EC2::VPCEndpoint", "PolicyDocument", "*"),
        ("AWS::IAM::ManagedPolicy", "PolicyDocument", None),
        ("AWS::IAM::Policy", "PolicyDocument", None),
        ("AWS::IAM::Role", "AssumeRolePolicyDocument", {"Service": "glue.amazonaws.com"}),
        ("AWS::IAM::RolePolicy", "PolicyDocument", None),
        ("AWS::KMS::Key", "KeyPolicy", "*"),
        ("AWS::KMS::ReplicaKey", "KeyPolicy", "*"),
        ("AWS::S3::BucketPolicy", "PolicyDocument", "*"),
        ("AWS::SNS::TopicPolicy", "PolicyDocument", "*"),
        ("AWS::SecretsManager::ResourcePolicy", "ResourcePolicy", "*"),
    ],
)
def test_every_place_of_a_policy(kind: str, name: str, principal: Json) -> None:
    others = {} if principal is None else {"Principal": principal}
    for action, key in (("sts:AssumRole", "aws:SourceArm"), ("sts:AssumeRole", "aws:SourceArn")):
        written = statement(action, **others, Condition={"StringLike": {key: "arn:aws:s3:::data"}})
        rules = [] if action == "sts:AssumeRole" else [UNKNOWN_ACTION.id, UNKNOWN_KEY.id]
        assert found({name: document(written)}, kind) == [(rule, f"Properties/{name}") for rule in rules]


@pytest.mark.parametrize("kind", ["AWS::IAM::Group", "AWS::IAM::Role", "AWS::IAM::User"])
def test_inline_policies(kind: str) -> None:
    good, bad = (
        {"PolicyName": name, "PolicyDocument": document(statement(f"s3:{name}"))}
        for name in ("GetObject", "ReadObject")
    )
    assert found({"Policies": [good, bad]}, kind) == [(UNKNOWN_ACTION.id, "Properties/Policies/1/PolicyDocument")]


def test_what_looks_like_a_policy_and_is_none() -> None:
    assert found({"Rules": [{"Statement": [statement("s3:ReadObject")]}]}, "AWS::WAFv2::WebACL") == []


# Actions.


@pytest.mark.parametrize(
    "action", ["s3:GETOBJECT", "S3:*", "*", "s3:Get*", "kms:ReEncrypt*", "glue:NoSuchThing", 7, {}]
)
def test_actions_that_are_known_or_whose_service_is_not(action: Json) -> None:
    assert words(statement(action)) == []


def test_each_unknown_action_is_said() -> None:
    assert len(words(statement(["s3:GetObject", "s3:ReadObject", "kms:Encrpt", "kms:ReEncrypt"]))) == 3


def test_what_is_denied_and_what_is_spared() -> None:
    (denied,) = words(statement("kms:Decrpyt", "Deny"))
    assert denied == (
        "statement S denies kms:Decrpyt, which is no action of kms (kms:Decrypt is the nearest): "
        "no request asks for it, so nothing is denied by it"
    )
    spared = {"Sid": "S", "Effect": "Allow", "NotAction": ["kms:Decrpyt*", "s3:*"], "Resource": "*"}
    (said,) = words(spared)
    assert said == (
        "statement S allows everything but kms:Decrpyt*, which matches no action of kms (kms:Decrypt is the nearest): "
        "it leaves nothing out, so what was meant is allowed too"
    )


# Condition keys.


@pytest.mark.parametrize(
    ("condition", "means"),
    [
        ({"StringEquals": {"aws:SourceIpp": "10.0.0.1"}}, "never holds, so the statement denies nothing"),
        ({"IpAddress": {"aws:SourceIpp": "10.0.0.0/8"}}, "never holds"),
        ({"NumericLessThan": {"s3:TlsVersions": "1.2"}}, "never holds"),
        ({"DateLessThan": {"aws:CurrentTimes": "2026-01-01T00:00:00Z"}}, "never holds"),
        ({"ArnLike": {"aws:SourceArns": "arn:aws:s3:::data"}}, "never holds"),
        ({"Bool": {"aws:SecureTransports": "false"}}, "never holds"),
        ({"ForAnyValue:StringEquals": {"aws:TagKey": "a"}}, "never holds"),
        ({"Null": {"aws:SourceVpcs": "false"}}, "never holds"),
        ({"Null": {"aws:SourceVpcs": "true"}}, "always holds, so the statement denies as if it weren't there"),
        ({"StringNotEquals": {"aws:SourceIpp": "10.0.0.1"}}, "always holds"),
        ({"NotIpAddress": {"aws:SourceIpp": "10.0.0.0/8"}}, "always holds"),
        ({"BoolIfExists": {"aws:SecureTransports": "false"}}, "always holds"),
        ({"NumericLessThanIfExists": {"s3:TlsVersions": "1.2"}}, "always holds"),
        ({"ForAllValues:StringEquals": {"aws:TagKey": "a"}}, "always holds"),
        # AWS says both.
        ({"ForAnyValue:StringEqualsIfExists": {"aws:TagKey": "a"}}, None),
        ({"NoSuchOperator": {"aws:TagKey": "a"}}, None),
    ],
)
def test_what_an_unknown_key_means(condition: Json, means: str | None) -> None:
    (said,) = words(statement("s3:PutObject", "Deny", Condition=condition))
    assert f": the condition {means}" in said if means else said.endswith(" such a key (aws:TagKeys is the nearest)")


@pytest.mark.parametrize(
    "key",
    [
        "AWS:SECURETRANSPORT",
        "aws:PrincipalTag/Any",
        "aws:SourceOwner",
        "kms:EncryptionContext:any",
        "lambda:SourceFunctionArn",
        "s3:ExistingObjectTag/any",
        "saml:aud",
        "token.actions.githubusercontent.com:sub",
    ],
)
def test_keys_that_are_known_or_somebody_elses(key: str) -> None:
    assert words(statement(Condition={"StringEquals": {key: "a"}})) == []


def test_each_unknown_key_is_said() -> None:
    condition = {"StringEquals": {"aws:A": "a", "aws:SourceArn": "a"}, "StringLike": {"s3:B": "b", "kms:C": "c"}}
    assert len(words(statement(Condition=condition))) == 3


def test_a_value_that_is_not_known_changes_nothing_but_for_null() -> None:
    for operator, means in (("StringNotEquals", "always holds"), ("NumericLessThan", "never holds"), ("Null", None)):
        written = statement(Condition={operator: {"aws:PrincipalOrg": {"Ref": "P"}}})
        (one,) = (
            one
            for one in proof({"PolicyDocument": document(written)}, Parameters=PARAMETER).findings
            if one.rule.id == UNKNOWN_KEY.id
        )
        assert (means or "no request has such a key") in one.counterexample
        assert ("holds" in one.counterexample) is (means is not None)


# What can't be known.


def test_what_is_not_known_is_said_once_for_a_policy() -> None:
    unknown = {"Ref": "P"}
    both = sorted(IDS)
    action, condition = statement(unknown), statement(Condition=unknown)
    assert undecided({"PolicyDocument": unknown}, Parameters=PARAMETER) == both
    assert undecided({"PolicyDocument": document(unknown, unknown)}, Parameters=PARAMETER) == both
    assert undecided({"PolicyDocument": document(action, action)}, Parameters=PARAMETER) == [UNKNOWN_ACTION.id]
    assert undecided({"PolicyDocument": document(condition)}, Parameters=PARAMETER) == [UNKNOWN_KEY.id]
    keys = statement(Condition={"StringEquals": unknown})
    assert undecided({"PolicyDocument": document(keys)}, Parameters=PARAMETER) == [UNKNOWN_KEY.id]
    assert undecided({"PolicyDocument": document(statement(Resource=unknown))}, Parameters=PARAMETER) == []


def test_what_is_certain_beside_a_doubt_is_found() -> None:
    whole = {"PolicyDocument": document({"Ref": "P"}, statement("s3:ReadObject"))}
    assert found(whole, Parameters=PARAMETER) == [(UNKNOWN_ACTION.id, "Properties/PolicyDocument")]


def test_an_action_made_of_what_only_a_deployment_knows() -> None:
    whole = {"PolicyDocument": document(statement({"Fn::Sub": "s3:${AWS::StackId}"}))}
    assert found(whole) == []
    assert undecided(whole) == [UNKNOWN_ACTION.id]


@pytest.mark.parametrize(
    "odd",
    [
        [],
        7,
        "text",
        {},
        {"Statement": "text"},
        {"Statement": [None, 7, [], "text"]},
        document(statement([["s3:ReadObject"], None])),
        document(statement(Condition=[])),
        document(statement(Condition={"StringEquals": ["aws:A"]})),
        document(statement(Condition={"StringEquals": {"": "a", ":": "a"}})),
        document({"Effect": ["Allow"], "Action": "s3:GetObject", "Resource": "*"}),
    ],
)
def test_odd_policies(odd: Json) -> None:
    assert found({"PolicyDocument": odd, "Policies": odd}) == []


def test_an_effect_that_is_none() -> None:
    for effect in ("Permit", ["Allow"], None):
        written = {**statement("s3:ReadObject", Condition={"Bool": {"aws:A": "true"}}), "Effect": effect}
        assert len(words(written)) == 2


def test_our_own_templates() -> None:
    stack = new_stack()
    EncryptedBucket(stack, "Data")
    whole = template(stack)
    proven = prove(Assembly.of([StackTemplate(id="Test", template=whole, account="111122223333", region="eu-west-1")]))
    found: list[Finding] = [one for one in proven.findings if one.rule.id in IDS]
    assert found == []

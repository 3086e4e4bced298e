"""The spaces: every request that the policies can tell apart, and no request that can't be."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from cdk_encrypted_data.proofs.attachments import compiled
from cdk_encrypted_data.proofs.cloudformation.resolution import Undecided
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy, compile_policy
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, Caller, Target
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Prover

Json: TypeAlias = Any

OWNER = "111122223333"
BUCKET = "arn:aws:s3:::data"
ROLE = Caller(principals.principal(f"arn:aws:iam::{OWNER}:role/app"), "the role", (FULL_ACCESS,))
SERVICE = Caller(principals.service("logging.s3.amazonaws.com"), "the service")
SSE = "s3:x-amz-server-side-encryption"


def policy(*statements: dict[str, Any]) -> Policy:
    everybody = {"Principal": "*", "Resource": [BUCKET, f"{BUCKET}/*"]}
    document = {"Version": "2012-10-17", "Statement": [{**everybody, **one} for one in statements]}
    return compile_policy(document, PolicyKind.RESOURCE)


def objects(*statements: dict[str, Any]) -> Target:
    return Target(f"{BUCKET}/an-object", OWNER, policy(*statements))


def said(caller: Caller, target: Target, *variants: Said) -> list[dict[str, Any]]:
    return [dict(case.request.said) for case in Prover().cases(caller, "s3:PutObject", target, variants or ({},))]


def deny(**condition: Json) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": "s3:PutObject", "Condition": condition}


def test_a_key_that_no_statement_looks_at_makes_no_request() -> None:
    assert said(ROLE, objects({"Effect": "Allow", "Action": "s3:GetObject"})) == [{}]


def test_only_statements_about_the_action_the_resource_and_the_caller_count() -> None:
    condition = {"StringEquals": {"s3:x-amz-acl": "private"}}
    about_others: list[dict[str, Any]] = [
        {"Effect": "Deny", "Action": "s3:GetObject", "Condition": condition},
        {**deny(**condition), "Resource": "arn:aws:s3:::other/*"},
        {**deny(**condition), "Principal": {"Service": "logging.s3.amazonaws.com"}},
    ]
    for statement in about_others:
        assert said(ROLE, objects(statement)) == [{}]
    assert len(said(ROLE, objects(deny(**condition)))) == 2


def test_each_class_of_values_and_absence_is_met() -> None:
    found = said(ROLE, objects(deny(Null={SSE: "false"}, StringNotEquals={SSE: ["aws:kms", "aws:kms:dsse"]})))
    assert len(found) == 3
    assert {SSE: None} in found
    assert {SSE: "aws:kms"} in found


def test_what_a_claim_fixes_is_not_varied() -> None:
    target = objects(deny(StringNotEquals={SSE: "aws:kms"}), deny(Bool={"aws:SecureTransport": "false"}))
    variants: list[Said] = [{**TLS, SSE: None}, {**TLS, SSE: "AES256"}]
    assert said(ROLE, target, *variants) == variants


def test_plain_http_has_no_version_of_tls() -> None:
    target = objects(deny(Bool={"aws:SecureTransport": "false"}), deny(NumericLessThan={"s3:TlsVersion": "1.2"}))
    found = said(ROLE, target)
    assert {(one["aws:SecureTransport"], one["s3:TlsVersion"] is None) for one in found} == {
        ("true", False),
        ("true", True),
        ("false", True),
    }


def test_only_services_come_with_a_source() -> None:
    target = objects(deny(StringNotEquals={"aws:SourceAccount": OWNER}))
    assert said(ROLE, target) == [{"aws:SourceAccount": None}]
    assert {one["aws:SourceAccount"] for one in said(SERVICE, target)} >= {None, OWNER}


def test_no_request_has_a_key_that_aws_does_not_document() -> None:
    for invented in ("aws:SourceVpcx", "s3:Invented", "kms:EncryptionContext", "AWS:PrincipalTags/Team"):
        assert said(ROLE, objects(deny(StringEquals={invented: "a"}))) == [{invented: None}]
    # Its twins, and what other services and identity providers may have.
    for real in ("aws:SourceVpc", "aws:PrincipalTag/Team", "ec2:SourceInstanceArn", "example.com:sub"):
        assert {one[real] for one in said(ROLE, objects(deny(StringEquals={real: "a"})))} >= {None, "a"}


def test_an_invented_key_saves_no_claim() -> None:
    prover = Prover()
    only = {"Effect": "Allow", "Action": "s3:PutObject"}
    for key, count in (("aws:SourceVpcx", 0), ("aws:SourceVpc", 1)):
        stranger = Caller(principals.principal("arn:aws:iam::444455556666:role/app"), "a stranger", (FULL_ACCESS,))
        target = objects({**only, "Condition": {"StringEquals": {key: "a"}}})
        found = prover.allowed([stranger], ["s3:PutObject"], target, [TLS])
        assert (bool(found), found.doubt) == (bool(count), None)
        refusing = objects(deny(StringNotEquals={key: "a"}))
        assert bool(prover.allowed([ROLE], ["s3:PutObject"], refusing, [TLS])) is bool(count)


def test_what_the_principal_says_of_itself_is_not_varied() -> None:
    target = objects(deny(StringNotEquals={"aws:PrincipalAccount": "444455556666"}))
    assert said(ROLE, target) == [{}]


@pytest.mark.parametrize("operator", ["ForAnyValue:StringEquals", "ForAllValues:StringEquals"])
def test_several_values_come_in_sets(operator: str) -> None:
    found = said(ROLE, objects(deny(**{operator: {"aws:TagKeys": ["a", "b"]}})))
    answers = {one["aws:TagKeys"] for one in found}
    assert None in answers
    assert len(answers) >= 2


def test_a_counterexample_is_found_and_its_absence_is_certain() -> None:
    guarded = objects(deny(Bool={"aws:SecureTransport": "false"}))
    open_ = objects(deny(Bool={"aws:SecureTransprot": "false"}))
    http: list[Said] = [{"aws:SecureTransport": "false"}]
    prover = Prover()
    assert not prover.allowed([ROLE], ["s3:PutObject"], guarded, http)
    assert prover.allowed([ROLE], ["s3:PutObject"], guarded, http).doubt is None
    found = prover.allowed([ROLE], ["s3:PutObject"], open_, http)
    assert found.case is not None
    assert found.case.request.said["aws:SecureTransport"] == "false"
    assert prover.requests > 0


def test_a_doubt_is_neither_allowed_nor_refused() -> None:
    unknown = Undecided("the parameter Objects has no value", "/Resources/Policy")
    doubtful = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": unknown}
    certain = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"{BUCKET}/*"}
    prover = Prover()

    def answers(*statements: Json) -> tuple[Answer, Answer]:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        target = Target(f"{BUCKET}/an-object", OWNER, compiled(document, PolicyKind.RESOURCE, "the policy"))
        return prover.allowed([ROLE], ["s3:PutObject"], target), prover.refused([ROLE], ["s3:PutObject"], target)

    for answer in answers(doubtful):
        assert answer.case is None
        assert "the parameter Objects has no value" in str(answer.doubt)
    allowed, refused = answers(doubtful, certain)
    assert allowed == Answer(None, None)
    assert refused.case is not None


def test_two_policies_differ_where_a_request_shows_it() -> None:
    guard = deny(Null={SSE: "false"}, StringNotEquals={SSE: "aws:kms"})
    same = deny(StringNotEquals={SSE: "aws:kms"}, Null={SSE: "false"})
    unguarded = deny(StringNotEquals={SSE: "aws:kms"})
    prover = Prover()
    assert list(prover.differences((ROLE, objects(guard)), (ROLE, objects(same)), "s3:PutObject")) == []
    (found,) = prover.differences((ROLE, objects(guard)), (ROLE, objects(unguarded)), "s3:PutObject")
    assert (found[0].allowed, found[1].allowed) == (True, False)
    assert found[0].request.said[SSE] is None


@pytest.mark.parametrize(
    ("action", "key", "there"),
    [
        ("kms:CreateGrant", "kms:GrantIsForAWSResource", True),
        ("kms:PutKeyPolicy", "kms:GrantIsForAWSResource", False),
        ("kms:Decrypt", "kms:EncryptionContext:purpose", True),
        ("kms:GenerateDataKeyPair", "kms:EncryptionContextKeys", True),
        ("kms:DescribeKey", "kms:EncryptionContext:purpose", False),
        ("kms:ReplicateKey", "kms:ReplicaRegion", True),
        ("kms:Decrypt", "kms:ReplicaRegion", False),
    ],
)
def test_a_key_comes_with_the_actions_that_have_it(action: str, key: str, there: bool) -> None:  # noqa: FBT001
    arn = f"arn:aws:kms:eu-west-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    operator = "ForAnyValue:StringEquals" if key.endswith("Keys") else "StringEquals"
    statement = {"Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": {operator: {key: "x"}}}
    found = [dict(case.request.said) for case in Prover().cases(ROLE, action, Target(arn, OWNER, policy(statement)))]
    assert any(one[key] is not None for one in found) is there
    assert {key: None} in found


def test_the_keys_of_an_encryption_context_are_those_that_have_values() -> None:
    value, keys = "kms:EncryptionContext:aws:s3:arn", "kms:EncryptionContextKeys"
    condition = {"StringLike": {value: f"{BUCKET}*"}, "ForAnyValue:StringEquals": {keys: ["aws:s3:arn", "tenant"]}}
    allow = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": condition}
    target = Target(f"arn:aws:kms:us-east-1:{OWNER}:key/a", OWNER, policy(allow))
    cases = list(Prover().cases(ROLE, "kms:Decrypt", target))
    shown = [(case.request.said[value], case.request.said[keys] or ()) for case in cases]
    assert shown
    assert [one for one in shown if (one[0] is not None) != ("aws:s3:arn" in one[1])] == []
    assert {case.allowed for case in cases} == {True, False}


def test_a_range_of_addresses_may_be_written_by_any_address_of_it() -> None:
    target = objects(deny(NotIpAddress={"aws:SourceIp": "203.0.113.7/24"}))
    cases = list(Prover().cases(ROLE, "s3:PutObject", target))
    assert {case.request.said["aws:SourceIp"]: case.allowed for case in cases} == {
        "203.0.113.0": True,
        "203.0.112.255": False,
    }


def test_a_service_has_names_beside_the_one_it_comes_by() -> None:
    names = {"aws:PrincipalServiceNamesList": "logging.s3.amazonaws.com"}
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Condition": {"ForAnyValue:StringEquals": names}}
    assert Prover().allowed([SERVICE], ["s3:PutObject"], objects(allow))
    assert not Prover().allowed([ROLE], ["s3:PutObject"], objects(allow, deny(**{"ForAllValues:StringEquals": names})))
    other = {"aws:PrincipalServiceNamesList": "logs.us-east-1.amazonaws.com"}
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Condition": {"ForAnyValue:StringEquals": other}}
    answer = Prover().allowed([SERVICE], ["s3:PutObject"], objects(allow))
    assert "isn't known beyond logging.s3.amazonaws.com" in str(answer.doubt)


def test_nobody_adds_to_a_services_encryption_context() -> None:
    arn = f"arn:aws:kms:eu-west-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    condition = {"StringEquals": {"kms:EncryptionContext:purpose": "x"}}
    statement = {"Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": condition}
    target = Target(arn, OWNER, policy(statement))
    variants: list[Said] = [{"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:111122223333:log-group:a"}]
    purposes = {
        who.title: {
            case.request.said["kms:EncryptionContext:purpose"]
            for case in Prover().cases(who, "kms:Decrypt", target, variants)
        }
        for who in (ROLE, SERVICE)
    }
    assert purposes == {"the role": {None, "x"}, "the service": {None}}

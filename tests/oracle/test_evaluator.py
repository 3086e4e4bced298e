"""The evaluator against what AWS documents: each refusal beside the request, one step away, that passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from tests.oracle.evaluator import ANONYMOUS, FULL_ADMIN, Evaluator, Policy, Request, UndecidableError

if TYPE_CHECKING:
    from tests.oracle.evaluator import Context

OWNER, OTHER = "111122223333", "444455556666"
BUCKET = "arn:aws:s3:::data-bucket"
OBJECT = f"{BUCKET}/a.parquet"
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE, USER = f"arn:aws:iam::{OWNER}:role/app", f"arn:aws:iam::{OWNER}:user/anna"
ROOT = f"arn:aws:iam::{OWNER}:root"
PARTNER = f"arn:aws:iam::{OTHER}:role/partner"
LOGS = "logs.us-east-1.amazonaws.com"
LOG_DELIVERY = "logging.s3.amazonaws.com"
SSE = "s3:x-amz-server-side-encryption"
S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"

Statement = dict[str, Any]
Principal = str | dict[str, str]
Condition = Mapping[str, Mapping[str, Any]] | None


def policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def say(effect: str, action: str, principal: Principal, resource: str | list[str], condition: Condition) -> Statement:
    statement: Statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def on(action: str) -> str | list[str]:
    return KEY if action.startswith("kms:") else [BUCKET, f"{BUCKET}/*"]


def allow(action: str, principal: Principal = "*", *, condition: Condition = None) -> Statement:
    return say("Allow", action, principal, on(action), condition)


def allow_if(action: str, condition: Condition) -> Statement:
    return allow(action, condition=condition)


def deny(action: str, principal: Principal = "*", *, condition: Condition = None) -> Statement:
    return say("Deny", action, principal, on(action), condition)


def deny_if(action: str, condition: Condition) -> Statement:
    return deny(action, condition=condition)


def identity(effect: str, action: str, condition: Condition = None) -> Policy:
    statement: Statement = {"Effect": effect, "Action": action, "Resource": "*"}
    return policy(statement | ({"Condition": condition} if condition else {}))


ADMIN = [FULL_ADMIN]
NOBODY: list[Policy] = []
DELEGATE = allow("kms:*", {"AWS": ROOT})
PUT_ALL = allow("s3:PutObject", {"AWS": ROLE})
NOT_KMS = {"StringNotEquals": {SSE: "aws:kms"}}
NOT_KMS_IF_EXISTS = {"StringNotEqualsIfExists": {SSE: "aws:kms"}}
IS_KMS = {"StringEquals": {SSE: "aws:kms"}}
IS_KMS_OVER_HTTP = {**IS_KMS, "Bool": {"aws:SecureTransport": "false"}}
IS_KMS_IF_EXISTS = {"StringEqualsIfExists": {SSE: "aws:kms"}}
GUARDED = {"Null": {SSE: "false"}, "StringNotEquals": {SSE: "aws:kms"}}
MODERN_TLS = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
FROM_GROUP = {
    "ArnLike": {"aws:SourceArn": f"arn:aws:logs:us-east-1:{OWNER}:*"},
    "StringEquals": {"aws:SourceAccount": OWNER},
}
GROUP = {"aws:SourceArn": f"arn:aws:logs:us-east-1:{OWNER}:log-group:app", "aws:SourceAccount": OWNER}
BOTH_FORMS = {"StringLike": {S3_CONTEXT: [BUCKET, f"{BUCKET}/*"]}}
OBJECTS_ONLY = {"StringLike": {S3_CONTEXT: f"{BUCKET}/*"}}
VIA_S3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
AWS_RESOURCE_ONLY = {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}

NO_SERVICE = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
KEY_FOR_LOGS = policy(allow("kms:*", {"Service": LOGS}, condition=FROM_GROUP))
KEY_FOR_BUCKET = policy(allow("kms:*", {"AWS": ROOT}, condition=BOTH_FORMS))
KEY_FOR_OBJECTS = policy(allow("kms:*", {"AWS": ROOT}, condition=OBJECTS_ONLY))
KEY_VIA_S3 = policy(allow("kms:*", {"AWS": ROOT}, condition=VIA_S3))
KEY_WITH_ANY_CONTEXT_OF_S3 = policy(
    allow("kms:*", {"AWS": ROOT}, condition={"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "aws:s3:arn"}})
)
OLD_TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}

PUT, DECRYPT, GRANT = "s3:PutObject", "kms:Decrypt", "kms:CreateGrant"

# principal, action, context, identity policies, resource policy, allowed
CASES: dict[str, tuple[str, str, Context, list[Policy], Policy | None, bool]] = {
    "nothing allows": (ROLE, PUT, {}, NOBODY, None, False),
    "identity allows, same account": (ROLE, PUT, {}, ADMIN, None, True),
    "resource allows, same account": (ROLE, PUT, {}, NOBODY, policy(PUT_ALL), True),
    "resource allows another role": (USER, PUT, {}, NOBODY, policy(PUT_ALL), False),
    "Deny in the resource policy wins": (ROLE, PUT, {}, ADMIN, policy(PUT_ALL, deny(PUT)), False),
    "Deny of another action doesn't": (ROLE, PUT, {}, ADMIN, policy(PUT_ALL, deny("s3:GetObject")), True),
    "Deny in the identity policy wins": (ROLE, PUT, {}, [*ADMIN, identity("Deny", "s3:*")], policy(PUT_ALL), False),
    "Deny that names the account's root reaches its roles": (
        ROLE, PUT, {}, ADMIN, policy(deny(PUT, {"AWS": ROOT})), False,
    ),
    "Deny that names the other account doesn't": (ROLE, PUT, {}, ADMIN, policy(deny(PUT, {"AWS": OTHER})), True),
    # A missing key: positive operators are false, negated ones true, in Allow and in Deny.
    "missing key, Deny unless equal": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, NOT_KMS)), False),
    "key there, Deny unless equal": (ROLE, PUT, {SSE: "aws:kms"}, ADMIN, policy(deny_if(PUT, NOT_KMS)), True),
    "missing key, Deny unless equal if exists": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, NOT_KMS_IF_EXISTS)), False),
    "missing key, Deny guarded by Null": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, GUARDED)), True),
    "wrong value, Deny guarded by Null": (ROLE, PUT, {SSE: "AES256"}, ADMIN, policy(deny_if(PUT, GUARDED)), False),
    "missing key, Deny if equal": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, IS_KMS)), True),
    "missing key, Deny if equal if exists": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, IS_KMS_IF_EXISTS)), False),
    "missing key, Allow if equal": (ROLE, PUT, {}, NOBODY, policy(allow_if(PUT, IS_KMS)), False),
    "missing key, Allow if equal if exists": (ROLE, PUT, {}, NOBODY, policy(allow_if(PUT, IS_KMS_IF_EXISTS)), True),
    "missing key, Deny if absent": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, {"Null": {SSE: "true"}})), False),
    "key there, Deny if absent": (ROLE, PUT, {SSE: "x"}, ADMIN, policy(deny_if(PUT, {"Null": {SSE: "true"}})), True),
    "values of one key are alternatives": (
        ROLE, PUT, {SSE: "aws:kms:dsse"}, ADMIN,
        policy(deny_if(PUT, {"StringNotEquals": {SSE: ["aws:kms", "aws:kms:dsse"]}})), True,
    ),
    "keys and operators are all needed": (
        ROLE, PUT, {SSE: "aws:kms"}, NOBODY, policy(allow_if(PUT, IS_KMS_OVER_HTTP)), False,
    ),
    "StringEquals is case-sensitive": (ROLE, PUT, {SSE: "AWS:KMS"}, NOBODY, policy(allow_if(PUT, IS_KMS)), False),
    "StringEquals has no wildcards": (
        ROLE, PUT, {SSE: "aws:kms:dsse"}, NOBODY, policy(allow_if(PUT, {"StringEquals": {SSE: "aws:kms*"}})), False,
    ),
    "StringLike has": (
        ROLE, PUT, {SSE: "aws:kms:dsse"}, NOBODY, policy(allow_if(PUT, {"StringLike": {SSE: "aws:kms*"}})), True,
    ),
    # The connection is filled in where the request says nothing of it.
    "TLS 1.3 unless said otherwise": (ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, MODERN_TLS)), True),
    "TLS is said": (ROLE, PUT, {}, NOBODY, policy(allow_if(PUT, {"Bool": {"aws:SecureTransport": "true"}})), True),
    "TLS 1.1": (ROLE, PUT, OLD_TLS, ADMIN, policy(deny_if(PUT, MODERN_TLS)), False),
    "HTTP": (
        ROLE, PUT, {"aws:SecureTransport": "false"}, ADMIN,
        policy(deny_if(PUT, {"Bool": {"aws:SecureTransport": "false"}})), False,
    ),
    "HTTP, where it shows no TLS version": (
        ROLE, PUT, {"aws:SecureTransport": "false"}, ADMIN, policy(deny_if(PUT, MODERN_TLS)), True,
    ),
    # Across accounts both sides must allow.
    "cross-account, identity only": (PARTNER, PUT, {}, ADMIN, None, False),
    "cross-account, resource only": (PARTNER, PUT, {}, NOBODY, policy(allow(PUT, {"AWS": PARTNER})), False),
    "cross-account, both": (PARTNER, PUT, {}, ADMIN, policy(allow(PUT, {"AWS": PARTNER})), True),
    "cross-account, both, by account": (PARTNER, PUT, {}, ADMIN, policy(allow(PUT, {"AWS": OTHER})), True),
    "PrincipalAccount is filled in": (
        PARTNER, PUT, {}, ADMIN, policy(allow_if(PUT, {"StringEquals": {"aws:PrincipalAccount": OTHER}})), True,
    ),
    "PrincipalAccount of our own": (
        PARTNER, PUT, {}, ADMIN, policy(allow_if(PUT, {"StringEquals": {"aws:PrincipalAccount": OWNER}})), False,
    ),
    "PrincipalArn is filled in": (
        ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, {"ArnNotLike": {"aws:PrincipalArn": ROLE}})), True,
    ),
    "PrincipalArn of another": (
        USER, PUT, {}, ADMIN, policy(deny_if(PUT, {"ArnNotLike": {"aws:PrincipalArn": ROLE}})), False,
    ),
    # Anonymous callers and services.
    "anonymous, role named": (ANONYMOUS, PUT, {}, NOBODY, policy(PUT_ALL), False),
    "anonymous, everyone": (ANONYMOUS, PUT, {}, NOBODY, policy(allow(PUT)), True),
    "service, named with its source": (LOGS, DECRYPT, GROUP, NOBODY, KEY_FOR_LOGS, True),
    "service, other source account": (LOGS, DECRYPT, GROUP | {"aws:SourceAccount": OTHER}, NOBODY, KEY_FOR_LOGS, False),
    "service, no source": (LOGS, DECRYPT, {}, NOBODY, KEY_FOR_LOGS, False),
    "service, of another Region": ("logs.eu-west-1.amazonaws.com", DECRYPT, GROUP, NOBODY, KEY_FOR_LOGS, False),
    "service, only its account's root is named": (LOGS, DECRYPT, GROUP, NOBODY, policy(DELEGATE), False),
    "PrincipalIsAWSService carves services out": (
        LOG_DELIVERY, PUT, {}, NOBODY,
        policy(allow(PUT, {"Service": LOG_DELIVERY}), deny_if(PUT, NO_SERVICE)),
        True,
    ),
    "PrincipalIsAWSService doesn't carve roles out": (
        ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, NO_SERVICE)), False,
    ),
    "PrincipalIsAWSService is there for a role": (
        ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, {"Bool": {"aws:PrincipalIsAWSService": "false"}})), False,
    ),
    "PrincipalServiceName": (
        LOG_DELIVERY, PUT, {}, NOBODY,
        policy(allow_if(PUT, {"StringEquals": {"aws:PrincipalServiceName": LOG_DELIVERY}})), True,
    ),
    "PrincipalServiceName of a role": (
        ROLE, PUT, {}, NOBODY,
        policy(allow_if(PUT, {"StringEquals": {"aws:PrincipalServiceName": LOG_DELIVERY}})), False,
    ),
    "PrincipalServiceNamesList": (
        LOG_DELIVERY, PUT, {}, NOBODY,
        policy(allow_if(PUT, {"ForAnyValue:StringEquals": {"aws:PrincipalServiceNamesList": [LOG_DELIVERY, LOGS]}})),
        True,
    ),
    # A key trusts nobody but its own policy.
    "key, admin not delegated to": (ROLE, DECRYPT, {}, ADMIN, policy(allow(DECRYPT, {"AWS": USER})), False),
    "key, admin delegated to": (ROLE, DECRYPT, {}, ADMIN, policy(DELEGATE), True),
    "key, delegated to, no identity policy": (ROLE, DECRYPT, {}, NOBODY, policy(DELEGATE), False),
    "key, named, no identity policy": (ROLE, DECRYPT, {}, NOBODY, policy(allow(DECRYPT, {"AWS": ROLE})), True),
    "key, named, denied by identity policy": (
        ROLE, DECRYPT, {}, [identity("Deny", "kms:*")], policy(allow(DECRYPT, {"AWS": ROLE})), False,
    ),
    "key, root delegated to": (ROOT, DECRYPT, {}, NOBODY, policy(DELEGATE), True),
    "key, root not delegated to": (ROOT, DECRYPT, {}, NOBODY, policy(allow(DECRYPT, {"AWS": ROLE})), False),
    "key, root delegated to but denied": (ROOT, DECRYPT, {}, NOBODY, policy(DELEGATE, deny(DECRYPT)), False),
    "key, delegated under a condition it meets": (
        ROLE, DECRYPT, {"kms:ViaService": "s3.us-east-1.amazonaws.com"}, ADMIN, KEY_VIA_S3, True,
    ),
    "key, delegated under a condition it doesn't": (ROLE, DECRYPT, {}, ADMIN, KEY_VIA_S3, False),
    "key, other account, both": (PARTNER, DECRYPT, {}, ADMIN, policy(allow(DECRYPT, {"AWS": OTHER})), True),
    "key, other account, identity only": (PARTNER, DECRYPT, {}, ADMIN, policy(DELEGATE), False),
    "CallerAccount is filled in": (
        ROLE, DECRYPT, {}, NOBODY, policy(allow_if(DECRYPT, {"StringEquals": {"kms:CallerAccount": OWNER}})), True,
    ),
    "CallerAccount of another": (
        PARTNER, DECRYPT, {}, ADMIN, policy(allow_if(DECRYPT, {"StringEquals": {"kms:CallerAccount": OWNER}})), False,
    ),
    "CreateGrant by an AWS service": (
        ROLE, GRANT, {"kms:GrantIsForAWSResource": "true"}, ADMIN,
        policy(DELEGATE, deny_if(GRANT, AWS_RESOURCE_ONLY)), True,
    ),
    "CreateGrant by hand": (ROLE, GRANT, {}, ADMIN, policy(DELEGATE, deny_if(GRANT, AWS_RESOURCE_ONLY)), False),
    # kms:EncryptionContext:<name>, which iam-simulate would drop.
    "encryption context, bucket ARN": (ROLE, DECRYPT, {S3_CONTEXT: BUCKET}, ADMIN, KEY_FOR_BUCKET, True),
    "encryption context, object ARN": (ROLE, DECRYPT, {S3_CONTEXT: OBJECT}, ADMIN, KEY_FOR_BUCKET, True),
    "encryption context, other bucket": (ROLE, DECRYPT, {S3_CONTEXT: f"{BUCKET}-2"}, ADMIN, KEY_FOR_BUCKET, False),
    "encryption context, bucket ARN, objects only": (
        ROLE, DECRYPT, {S3_CONTEXT: BUCKET}, ADMIN, KEY_FOR_OBJECTS, False,
    ),
    "encryption context, missing": (ROLE, DECRYPT, {}, ADMIN, KEY_FOR_BUCKET, False),
    "encryption context, other name": (
        ROLE, DECRYPT, {"kms:EncryptionContext:tenant": BUCKET}, ADMIN, KEY_FOR_BUCKET, False,
    ),
    "encryption context, name in another case": (
        ROLE, DECRYPT, {S3_CONTEXT.upper().replace("KMS:ENCRYPTIONCONTEXT", "kms:EncryptionContext"): BUCKET}, ADMIN,
        KEY_FOR_BUCKET, True,
    ),
    "encryption context in an identity policy": (
        ROLE, DECRYPT, {S3_CONTEXT: OBJECT}, [identity("Allow", "kms:*", BOTH_FORMS)], policy(DELEGATE), True,
    ),
    "encryption context missed by an identity policy": (
        ROLE, DECRYPT, {S3_CONTEXT: f"{BUCKET}-2/a"}, [identity("Allow", "kms:*", BOTH_FORMS)], policy(DELEGATE), False,
    ),
    "EncryptionContextKeys is filled in": (
        ROLE, DECRYPT, {S3_CONTEXT: BUCKET}, ADMIN,
        KEY_WITH_ANY_CONTEXT_OF_S3, True,
    ),
    "EncryptionContextKeys without the key": (
        ROLE, DECRYPT, {"kms:EncryptionContext:tenant": "a"}, ADMIN,
        KEY_WITH_ANY_CONTEXT_OF_S3, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_decides_as_aws_documents(evaluator: Evaluator, case: str) -> None:
    principal, action, context, identity_policies, resource_policy, allowed = CASES[case]
    resource = KEY if action.startswith("kms:") else OBJECT
    decision = evaluator.decide(
        Request(principal=principal, action=action, resource=resource, context=context),
        account=OWNER,
        identity_policies=identity_policies,
        resource_policy=resource_policy,
    )
    assert decision.allowed is allowed, decision.why


@pytest.mark.parametrize(("boundary", "allowed"), [("s3:*", True), ("kms:*", False)])
def test_a_permissions_boundary_bounds(evaluator: Evaluator, boundary: str, allowed: bool) -> None:  # noqa: FBT001
    decision = evaluator.decide(
        Request(principal=ROLE, action=PUT, resource=OBJECT),
        account=OWNER,
        identity_policies=ADMIN,
        boundary=identity("Allow", boundary),
    )
    assert decision.allowed is allowed, decision.why


@pytest.mark.parametrize(("principal", "allowed"), [(ROLE, False), (PARTNER, True)])
def test_identity_policies_reach_no_further_than_the_account(
    evaluator: Evaluator,
    principal: str,
    allowed: bool,  # noqa: FBT001
) -> None:
    put = Request(principal=principal, action=PUT, resource=OBJECT)
    assert evaluator.decide(put, account=OTHER, identity_policies=ADMIN).allowed is allowed


def test_why_names_the_statements(evaluator: Evaluator) -> None:
    refused = {**deny(PUT), "Sid": "DenyEverybody"}
    put = Request(principal=ROLE, action=PUT, resource=OBJECT)
    decision = evaluator.decide(put, account=OWNER, identity_policies=ADMIN, resource_policy=policy(PUT_ALL, refused))
    assert decision.why == "allow FullAdmin (identity); deny DenyEverybody (resource); allow 1 (resource)"
    assert evaluator.decide(put, account=OWNER).why == "no statement applies"


def test_many_requests_are_decided_in_their_order(evaluator: Evaluator) -> None:
    requests = [
        Request(principal=ROLE, action=PUT, resource=OBJECT, context={SSE: sse}) for sse in ("aws:kms", "AES256")
    ]
    decisions = evaluator.decide_all(requests, account=OWNER, resource_policy=policy(allow_if(PUT, IS_KMS)))
    assert [decision.allowed for decision in decisions] == [True, False]


# What it must refuse to decide: principal, action, context, identity policies, resource policy, what the error says.
UNDECIDABLE: dict[str, tuple[str, str, Context, list[Policy], Policy | None, str]] = {
    "context key of another action": (ROLE, "s3:GetObject", {SSE: "aws:kms"}, ADMIN, None, f"no context key {SSE}"),
    "context key of another service": (
        ROLE, PUT, {"kms:ViaService": "x"}, ADMIN, None, "no context key kms:ViaService",
    ),
    "context key that doesn't exist": (ROLE, PUT, {"s3:x-amz-sse": "x"}, ADMIN, None, "no context key s3:x-amz-sse"),
    "encryption context of an action without": (
        ROLE, "kms:DescribeKey", {S3_CONTEXT: BUCKET}, ADMIN, policy(DELEGATE), f"no context key {S3_CONTEXT}",
    ),
    "several values for one": (ROLE, PUT, {SSE: ["aws:kms", "AES256"]}, ADMIN, None, "has one value"),
    "context that contradicts the principal": (
        ROLE, PUT, {"aws:PrincipalAccount": OTHER}, ADMIN, None, "aws:PrincipalAccount is",
    ),
    "condition key that doesn't exist": (
        ROLE, PUT, {}, ADMIN,
        policy(deny_if(PUT, {"StringEquals": {"s3:x-amz-server-side-encyption": "AES256"}})), "encyption not found",
    ),
    "operator that doesn't exist": (
        ROLE, PUT, {}, ADMIN,
        policy(deny_if(PUT, {"StringNotEqual": {SSE: "aws:kms"}})), "no condition operator StringNotEqual",
    ),
    "truth value that isn't one": (
        ROLE, PUT, {}, ADMIN,
        policy(deny_if(PUT, {"Bool": {"aws:SecureTransport": "no"}})), "Bool aws:SecureTransport compares",
    ),
    "number that isn't one": (
        ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, {"NumericLessThan": {"s3:TlsVersion": "TLS1.2"}})), "can't decide",
    ),
    "ARN operator over what isn't an ARN": (
        ROLE, PUT, {}, ADMIN, policy(deny_if(PUT, {"ArnNotEquals": {"aws:PrincipalArn": "writer"}})), "can't decide",
    ),
    "single-valued operator over many values": (
        LOG_DELIVERY, PUT, {}, NOBODY,
        policy(allow(PUT), deny_if(PUT, {"StringEquals": {"aws:PrincipalServiceNamesList": LOG_DELIVERY}})),
        "can't decide",
    ),
    "policy variable without a value": (
        ROLE, PUT, {}, ADMIN,
        policy(deny_if(PUT, {"StringEquals": {"aws:PrincipalTag/name": "${aws:username}"}})), "aws:username",
    ),
    "key that is always there, but not said": (
        ROLE, PUT, {}, ADMIN,
        policy(deny_if(PUT, {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}})), "can't decide",
    ),
    "key nobody documents for services": (
        LOG_DELIVERY, PUT, {}, NOBODY,
        policy(allow(PUT), deny_if(PUT, {"StringNotEquals": {"aws:PrincipalAccount": OWNER}})), "can't decide",
    ),
    "statement without an action": (
        ROLE, PUT, {}, ADMIN, policy({"Effect": "Deny", "Principal": "*", "Resource": "*"}), "resourcePolicyErrors",
    ),
    "wildcard in a principal": (
        ROLE, PUT, {}, ADMIN, policy(deny(PUT, {"AWS": f"arn:aws:iam::{OWNER}:role/*"})), "can't hold a wildcard",
    ),
    "identity policy with a principal": (ROLE, PUT, {}, [policy(PUT_ALL)], None, "identityPolicyErrors"),
    "action that doesn't exist": (ROLE, "s3:PutObjects", {}, ADMIN, None, "s3:PutObjects"),
    "session, whose role may have a path": (
        f"arn:aws:sts::{OWNER}:assumed-role/app/session", PUT, {}, ADMIN, None, "not an IAM user, role",
    ),
    "key without its policy": (ROLE, DECRYPT, {}, ADMIN, None, "every key has a policy"),
    "identity policies of a service": (LOGS, DECRYPT, {}, ADMIN, policy(DELEGATE), "has no identity policies"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNDECIDABLE)
def test_refuses_to_guess(evaluator: Evaluator, case: str) -> None:
    principal, action, context, identity_policies, resource_policy, message = UNDECIDABLE[case]
    request = Request(
        principal=principal,
        action=action,
        resource=KEY if action.startswith("kms:") else OBJECT,
        context=context,
    )
    with pytest.raises(UndecidableError, match=message):
        evaluator.decide(request, account=OWNER, identity_policies=identity_policies, resource_policy=resource_policy)


def test_doubt_about_a_statement_that_cannot_apply_is_no_doubt(evaluator: Evaluator) -> None:
    elsewhere = deny_if(
        PUT, {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}, "StringEquals": {SSE: "aws:kms"}}
    )
    decision = evaluator.decide(
        Request(principal=ROLE, action=PUT, resource=OBJECT, context={SSE: "AES256"}),
        account=OWNER,
        identity_policies=ADMIN,
        resource_policy=policy(elsewhere),
    )
    assert decision.allowed

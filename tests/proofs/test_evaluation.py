"""The corner cases of AWS's evaluation logic: a request that is allowed, and the one step that makes it denied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import pytest

from cdk_encrypted_data.proofs.iam.documents import Policy, compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Decision, Policies, decide
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from cdk_encrypted_data.proofs.iam.principals import (
    ANONYMOUS,
    Principal,
    federated,
    origin_access_identity,
    principal,
    service,
)
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from tests.proofs.fuzz import BUCKET, KEY, OTHER, OWNER, PARTNER, PARTNER_ROOT, ROLE, ROOT, TARGET_ROLE, USER, who

IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
LOGIC = f"{IAM}/reference_policies_evaluation-logic.html"
CROSS = f"{IAM}/reference_policies_evaluation-logic-cross-account.html"
BOUNDARIES = f"{IAM}/access_policies_boundaries.html"
PRINCIPAL = f"{IAM}/reference_policies_elements_principal.html"
NOT_PRINCIPAL = f"{IAM}/reference_policies_elements_notprincipal.html"
NOT_ACTION = f"{IAM}/reference_policies_elements_notaction.html"
ACTION = f"{IAM}/reference_policies_elements_action.html"
RESOURCE = f"{IAM}/reference_policies_elements_resource.html"
NOT_RESOURCE = f"{IAM}/reference_policies_elements_notresource.html"
VARIABLES = f"{IAM}/reference_policies_variables.html"
OPERATORS = f"{IAM}/reference_policies_elements_condition_operators.html"
MULTIVALUED = f"{IAM}/reference_policies_condition-single-vs-multi-valued-context-keys.html"
CONTEXT = f"{IAM}/reference_policies_condition-keys.html"
KMS = "https://docs.aws.amazon.com/kms/latest/developerguide"
KEY_POLICY = f"{KMS}/key-policy-default.html"
EXTERNAL = f"{KMS}/key-policy-modifying-external-accounts.html"
KMS_CONTEXT = f"{KMS}/conditions-kms.html"
TRUST = f"{IAM}/id_roles_update-role-trust-policy.html"
ASSUME = "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"
ORGANIZATIONS = "https://docs.aws.amazon.com/organizations/latest/userguide"
SCP = f"{ORGANIZATIONS}/orgs_manage_policies_scps.html"
SCP_LEVELS = f"{ORGANIZATIONS}/orgs_manage_policies_scps_evaluation.html"
RCP = f"{ORGANIZATIONS}/orgs_manage_policies_rcps.html"
WEB_IDENTITY = "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"
IDENTITY = (
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html"
)
LOCK_OUT = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html"

OBJECT = f"{BUCKET}/a.parquet"
SSE, TLS, SECURE = "s3:x-amz-server-side-encryption", "s3:TlsVersion", "aws:SecureTransport"
S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
LOGS, LOG_DELIVERY, GLUE = "logs.us-east-1.amazonaws.com", "logging.s3.amazonaws.com", "glue.amazonaws.com"
PUT, DECRYPT, ASSUME_ROLE = "s3:PutObject", "kms:Decrypt", "sts:AssumeRole"
JOB = f"arn:aws:iam::{OWNER}:role/jobs/app"
SESSION = principal(ROLE, session_name="monday")
SESSION_ARN = f"arn:aws:sts::{OWNER}:assumed-role/app/monday"
FEDERATED_USER = f"arn:aws:sts::{OWNER}:federated-user/anna"
SERVICE_LINKED = f"arn:aws:iam::{OWNER}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
CLOUDFRONT = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity"
READER = origin_access_identity(f"{CLOUDFRONT} E1")
CANONICAL = {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}
GITHUB = f"arn:aws:iam::{OWNER}:oidc-provider/token.actions.githubusercontent.com"

Json: TypeAlias = Any
Statement: TypeAlias = dict[str, Any]


def document(*statements: Statement, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def may(action: Json, target: Json = "*", condition: Json = None, **elements: Json) -> Statement:
    statement = {"Effect": "Allow", "Action": action, "Resource": target, **elements}
    return statement | ({"Condition": condition} if condition else {})


def may_not(action: Json, target: Json = "*", condition: Json = None, **elements: Json) -> Statement:
    return may(action, target, condition, **elements) | {"Effect": "Deny"}


def lets(who_: Json, action: Json, target: Json = "*", condition: Json = None) -> Statement:
    return may(action, target, condition, Principal=who_)


def stops(who_: Json, action: Json, target: Json = "*", condition: Json = None) -> Statement:
    return may_not(action, target, condition, Principal=who_)


def trusts(who_: Json, action: str = ASSUME_ROLE, condition: Json = None) -> Statement:
    statement = {"Effect": "Allow", "Principal": who_, "Action": action}
    return statement | ({"Condition": condition} if condition else {})


def spares(*names: str) -> Statement:
    return {"Effect": "Deny", "NotPrincipal": {"AWS": list(names)}, "Action": "*", "Resource": "*"}


def without(statement: Statement, *elements: str) -> Statement:
    return {name: value for name, value in statement.items() if name not in elements}


def ask(  # every layer of the evaluation logic
    principal: str | Principal = ROLE,
    action: str = PUT,
    target: str | None = None,
    context: dict[str, Any] | None = None,
    *,
    identity: Sequence[Statement] = (),
    resource: Sequence[Statement] | None = None,
    boundary: Sequence[Statement] | None = None,
    session: Sequence[Statement] | None = None,
    scps: Sequence[Sequence[Statement]] = (),
    rcps: Sequence[Statement] = (),
    version: str = "2012-10-17",
    unknown: Sequence[str] = (),
) -> Decision:
    def compiled(statements: Sequence[Statement], kind: PolicyKind) -> Policy:
        return compile_policy(document(*statements, version=version), kind)

    service = action.partition(":")[0]
    kind = PolicyKind.TRUST if service == "sts" else PolicyKind.RESOURCE
    request = Request(
        who(principal) if isinstance(principal, str) else principal,
        action,
        target or {"s3": OBJECT, "kms": KEY, "sts": TARGET_ROLE}[service],
        OWNER,
        said={SECURE: "true"} | (context or {}),
        unknown=unknown,
    )
    return decide(
        request,
        Policies(
            identity=(compiled(identity, PolicyKind.IDENTITY),) if identity else (),
            resource=None if resource is None else compiled(resource, kind),
            boundary=None if boundary is None else compiled(boundary, PolicyKind.BOUNDARY),
            session=None if session is None else (compiled(session, PolicyKind.SESSION),),
            scps=tuple((compiled(level, PolicyKind.SERVICE_CONTROL),) for level in scps),
            rcps=(compiled(rcps, PolicyKind.RESOURCE_CONTROL),) if rcps else (),
        ),
    )


ALIAS = f"arn:aws:kms:us-east-1:{OWNER}:alias/data"
LOG_GROUP = f"arn:aws:logs:us-east-1:{OWNER}:log-group:app"
ALL, PUTS = [may("*")], [may(PUT)]
DELEGATES = lets({"AWS": ROOT}, "kms:*")
NOT_KMS = {"StringNotEquals": {SSE: "aws:kms"}}
GUARDED = {"Null": {SSE: "false"}, **NOT_KMS}
FROM_GROUP = {
    "ArnLike": {"aws:SourceArn": f"arn:aws:logs:us-east-1:{OWNER}:*"},
    "StringEquals": {"aws:SourceAccount": OWNER},
}
GROUP = {"aws:SourceArn": f"arn:aws:logs:us-east-1:{OWNER}:log-group:app", "aws:SourceAccount": OWNER}
VIA_S3 = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
WITH_S3_CONTEXT = {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "aws:s3:arn"}}
FOR_PEOPLE = {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}
OF_OWNER = {"StringEquals": {"aws:PrincipalAccount": OWNER}}
FULL_RCP = lets("*", "*")

# source, a request that is allowed, and what makes it denied.
PAIRS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # Within an account.
    "an identity policy suffices": (LOGIC, {"identity": PUTS}, {"identity": []}),
    "a resource's policy suffices": (
        LOGIC, {"resource": [lets({"AWS": ROLE}, PUT)]}, {"resource": [lets({"AWS": USER}, PUT)]},
    ),
    "the root user has full access": (LOGIC, {"principal": ROOT}, {"principal": USER}),
    "an explicit deny of the resource's policy wins": (
        LOGIC, {"identity": ALL, "resource": [stops("*", "s3:GetObject")]}, {"resource": [stops("*", PUT)]},
    ),
    "an explicit deny of an identity policy wins": (
        LOGIC, {"resource": [lets("*", PUT)], "identity": [may_not("s3:GetObject")]}, {"identity": [may_not(PUT)]},
    ),
    "an explicit deny of the boundary wins": (
        LOGIC,
        {"principal": USER, "resource": [lets({"AWS": USER}, PUT)], "boundary": [may_not("s3:GetObject")]},
        {"boundary": [may_not(PUT)]},
    ),
    "an explicit deny of the session policy wins": (
        LOGIC,
        {"principal": SESSION, "resource": [lets({"AWS": SESSION_ARN}, PUT)], "session": [may_not("s3:GetObject")]},
        {"session": [may_not(PUT)]},
    ),
    "a deny that names the account reaches its roles": (
        PRINCIPAL,
        {"identity": ALL, "resource": [stops({"AWS": PARTNER_ROOT}, PUT)]},
        {"resource": [stops({"AWS": OWNER}, PUT)]},
    ),
    "the root user is denied too": (
        LOGIC,
        {"principal": ROOT, "resource": [stops({"AWS": USER}, PUT)]},
        {"resource": [stops({"AWS": ROOT}, PUT)]},
    ),
    "naming the account leaves it to its identity policies": (
        PRINCIPAL, {"resource": [lets({"AWS": ROOT}, PUT)], "identity": PUTS}, {"identity": []},
    ),
    "but the owner's root user can always replace the bucket's policy": (
        LOCK_OUT,
        {"principal": ROOT, "target": BUCKET, "action": "s3:PutBucketPolicy", "resource": [stops("*", "s3:*")]},
        {"action": "s3:PutBucketAcl"},
    ),
    "another user can't": (
        LOCK_OUT,
        {"principal": ROOT, "target": BUCKET, "action": "s3:DeleteBucketPolicy", "resource": [stops("*", "s3:*")]},
        {"principal": USER, "identity": ALL},
    ),
    # What limits.
    "a boundary bounds identity policies": (
        BOUNDARIES, {"identity": ALL, "boundary": [may("s3:*")]}, {"boundary": [may("kms:*")]},
    ),
    "a boundary grants nothing": (BOUNDARIES, {"boundary": ALL, "identity": PUTS}, {"identity": []}),
    "a boundary limits what a resource's policy gives the role": (
        BOUNDARIES,
        {"resource": [lets({"AWS": ROLE}, PUT)], "boundary": PUTS},
        {"boundary": [may("kms:*")]},
    ),
    "but not what it gives the role's session": (
        BOUNDARIES,
        {"principal": SESSION, "resource": [lets({"AWS": SESSION_ARN}, PUT)], "boundary": [may("kms:*")]},
        {"resource": [lets({"AWS": ROLE}, PUT)]},
    ),
    "nor what it gives another session": (
        BOUNDARIES,
        {"principal": SESSION, "resource": [lets({"AWS": SESSION_ARN}, PUT)], "boundary": [may("kms:*")]},
        {"resource": [lets({"AWS": SESSION_ARN.replace("monday", "friday")}, PUT)]},
    ),
    "nor what it gives a user": (
        BOUNDARIES,
        {"principal": USER, "resource": [lets({"AWS": USER}, PUT)], "boundary": [may("kms:*")]},
        {"resource": [lets({"AWS": OWNER}, PUT)], "identity": ALL},
    ),
    "nor what it gives everyone, if aws:PrincipalArn says which role": (
        PRINCIPAL,
        {
            "resource": [lets("*", PUT, condition={"ArnEquals": {"aws:PrincipalArn": ROLE}})],
            "boundary": [may("kms:*")],
        },
        {"resource": [lets({"AWS": ROLE}, PUT)]},
    ),
    "the most direct of several statements counts": (
        BOUNDARIES,
        {"resource": [lets("*", PUT), lets({"AWS": ROLE}, PUT)], "boundary": [may("kms:*")]},
        {"resource": [lets({"AWS": OWNER}, PUT), lets({"AWS": ROLE}, PUT)]},
    ),
    "a session policy limits the role": (LOGIC, {"identity": ALL, "session": PUTS}, {"session": [may("kms:*")]}),
    "a session policy grants nothing": (LOGIC, {"session": ALL, "identity": PUTS}, {"identity": []}),
    "a session policy limits what the role is given": (
        LOGIC, {"resource": [lets({"AWS": ROLE}, PUT)], "session": PUTS}, {"session": [may("kms:*")]},
    ),
    "but not what its session is given": (
        LOGIC,
        {"principal": SESSION, "resource": [lets({"AWS": SESSION_ARN}, PUT)], "session": [may("kms:*")]},
        {"resource": [lets({"AWS": ROLE}, PUT)]},
    ),
    "a federated user needs a session policy": (
        LOGIC, {"principal": FEDERATED_USER, "identity": ALL, "session": PUTS}, {"session": None},
    ),
    "unless a resource's policy names it": (
        LOGIC,
        {"principal": FEDERATED_USER, "resource": [lets({"AWS": FEDERATED_USER}, PUT)]},
        {"resource": [lets({"AWS": ROOT}, PUT)]},
    ),
    "a policy that names the user who federated is limited by the session policy": (
        LOGIC,
        {
            "principal": principal(FEDERATED_USER, session_of=USER),
            "resource": [lets({"AWS": USER}, PUT)],
            "session": PUTS,
        },
        {"session": [may("kms:*")]},
    ),
    # Across accounts.
    "both accounts must allow: theirs": (
        CROSS,
        {"principal": PARTNER, "identity": PUTS, "resource": [lets({"AWS": PARTNER}, PUT)]},
        {"identity": []},
    ),
    "both accounts must allow: ours": (
        CROSS,
        {"principal": PARTNER, "identity": PUTS, "resource": [lets({"AWS": PARTNER_ROOT}, PUT)]},
        {"resource": [lets({"AWS": ROOT}, PUT)]},
    ),
    "a session's own ARN doesn't spare it the other account's boundary": (
        CROSS,
        {
            "principal": principal(PARTNER, session_name="x"),
            "resource": [lets({"AWS": f"arn:aws:sts::{OTHER}:assumed-role/partner/x"}, PUT)],
            "identity": ALL,
            "boundary": PUTS,
        },
        {"boundary": [may("kms:*")]},
    ),
    "another account's root user": (
        CROSS,
        {"principal": PARTNER_ROOT, "resource": [lets({"AWS": OTHER}, PUT)]},
        {"resource": [lets({"AWS": PARTNER}, PUT)]},
    ),
    "another account unlocks nothing, whatever allows it": (
        LOCK_OUT,
        {"principal": ROOT, "action": "s3:PutBucketPolicy", "target": BUCKET, "resource": [lets("*", "s3:*")]},
        {"principal": PARTNER_ROOT},
    ),
    "a key is administered by its own account": (
        EXTERNAL,
        {"principal": PARTNER_ROOT, "action": DECRYPT, "target": KEY, "resource": [lets({"AWS": OTHER}, "kms:*")]},
        {"action": "kms:ScheduleKeyDeletion"},
    ),
    "KMS answers only signed requests": (
        KEY_POLICY,
        {"principal": PARTNER_ROOT, "action": "kms:Decrypt", "target": KEY, "resource": [lets("*", "kms:*")]},
        {"principal": ANONYMOUS},
    ),
    "STS answers only signed requests": (
        ASSUME,
        {"principal": USER, "action": ASSUME_ROLE, "resource": [trusts("*")]},
        {"principal": ANONYMOUS},
    ),
    # Who is named.
    "everyone is everyone: anonymous": (
        PRINCIPAL, {"principal": ANONYMOUS, "resource": [lets("*", PUT)]}, {"resource": [lets({"AWS": ROOT}, PUT)]},
    ),
    "everyone, said of AWS, is the same": (
        PRINCIPAL,
        {"principal": ANONYMOUS, "resource": [lets({"AWS": "*"}, PUT)]},
        {"resource": [lets({"AWS": "*"}, PUT), stops({"AWS": "*"}, PUT)]},
    ),
    "a service": (
        PRINCIPAL,
        {"principal": LOG_DELIVERY, "resource": [lets({"Service": LOG_DELIVERY}, PUT)]},
        {"resource": [lets({"Service": LOGS}, PUT)]},
    ),
    "a service isn't the account's": (
        PRINCIPAL,
        {"principal": LOG_DELIVERY, "resource": [lets({"Service": [LOGS, LOG_DELIVERY]}, PUT)]},
        {"resource": [lets({"AWS": ROOT}, PUT)]},
    ),
    "a role with a path": (
        PRINCIPAL,
        {"principal": JOB, "resource": [lets({"AWS": JOB}, PUT)]},
        {"resource": [lets({"AWS": ROLE}, PUT)]},
    ),
    "a session is named without its role's path": (
        PRINCIPAL,
        {
            "principal": principal(JOB, session_name="monday"),
            "resource": [lets({"AWS": SESSION_ARN}, PUT)],
        },
        {"resource": [lets({"AWS": SESSION_ARN.replace("app", "jobs/app")}, PUT)]},
    ),
    "NotPrincipal spares who is listed with the account": (
        NOT_PRINCIPAL,
        {"identity": ALL, "resource": [spares(ROOT, ROLE)]},
        {"resource": [spares(PARTNER_ROOT, PARTNER)]},
    ),
    "NotPrincipal doesn't spare others of the account": (
        NOT_PRINCIPAL, {"identity": ALL, "resource": [spares(ROOT, ROLE)]}, {"principal": USER},
    ),
    "NotPrincipal spares a session listed with role and account": (
        NOT_PRINCIPAL,
        {"principal": SESSION, "identity": ALL, "resource": [spares(OWNER, ROLE, SESSION_ARN)]},
        {"principal": USER},
    ),
    "NotPrincipal spares nobody who has a boundary": (
        NOT_PRINCIPAL, {"identity": ALL, "resource": [spares(ROOT, ROLE)]}, {"boundary": ALL},
    ),
    "NotPrincipal spares a service": (
        NOT_PRINCIPAL,
        {
            "principal": LOG_DELIVERY,
            "resource": [lets("*", PUT), {**spares(), "NotPrincipal": {"Service": LOG_DELIVERY}}],
        },
        {"principal": ANONYMOUS},
    ),
    "an origin access identity of CloudFront": (
        IDENTITY,
        {"principal": READER, "action": "s3:GetObject", "resource": [lets({"AWS": READER.name}, "s3:GetObject")]},
        {"resource": [lets({"AWS": f"{CLOUDFRONT} E2"}, "s3:GetObject")]},
    ),
    "an origin access identity is of no account": (
        IDENTITY,
        {"principal": READER, "action": "s3:GetObject", "resource": [lets("*", "s3:*")]},
        {"resource": [lets({"AWS": ROOT}, "s3:*")]},
    ),
    "an origin access identity reads buckets only": (
        IDENTITY,
        {"principal": READER, "action": "s3:GetObject", "resource": [lets("*", "*")]},
        {"action": DECRYPT, "target": KEY},
    ),
    "NotPrincipal spares an origin access identity": (
        NOT_PRINCIPAL,
        {"principal": READER, "resource": [lets("*", PUT), spares(READER.name, ROOT)]},
        {"resource": [lets("*", PUT), spares(f"{CLOUDFRONT} E2", ROOT)]},
    ),
    "NotPrincipal spares who is listed with the account, beside a canonical user": (
        NOT_PRINCIPAL,
        {"identity": ALL, "resource": [{**spares(ROOT), "NotPrincipal": {"AWS": [ROOT, ROLE], **CANONICAL}}]},
        {"principal": ANONYMOUS, "identity": []},
    ),
    # Actions and resources.
    "actions in any case": (ACTION, {"identity": [may("S3:putobject")]}, {"identity": [may("S3:putobjects")]}),
    "wildcards in actions": (ACTION, {"identity": [may("s3:P?t*")]}, {"identity": [may("s3:P?Put*")]}),
    "NotAction allows everything else": (
        NOT_ACTION,
        {"identity": [without(may(""), "Action") | {"NotAction": ["s3:Get*", "iam:*"]}]},
        {"action": "s3:GetObject"},
    ),
    "NotAction with Deny denies everything else": (
        NOT_ACTION,
        {"identity": [may("*"), without(may_not(""), "Action") | {"NotAction": "s3:Put*"}]},
        {"action": "s3:GetObject"},
    ),
    "wildcards in resources": (
        RESOURCE, {"identity": [may("*", f"{BUCKET}/?.par*")]}, {"identity": [may("*", f"{BUCKET}/?par*")]},
    ),
    "resources with their case": (
        RESOURCE, {"identity": [may("*", f"{BUCKET}/a.parquet")]}, {"identity": [may("*", f"{BUCKET}/A.parquet")]},
    ),
    "a wildcard reaches over slashes": (
        RESOURCE, {"identity": [may("*", f"{BUCKET}/*/c")], "target": f"{BUCKET}/a/b/c"}, {"target": f"{BUCKET}/a/b/d"},
    ),
    "a bucket isn't its objects": (
        RESOURCE, {"identity": [may("*", f"{BUCKET}/*")]}, {"identity": [may("*", BUCKET)]},
    ),
    "a wildcard at the end of a part reaches over colons": (
        RESOURCE,
        {"action": DECRYPT, "identity": [may("*", "arn:aws:kms:*:key/*")], "resource": [DELEGATES]},
        {"identity": [may("*", "arn:aws:kms:*west*:key/*")]},
    ),
    "parts left out are anything": (
        RESOURCE,
        {"action": DECRYPT, "identity": [may("*", "arn:aws:kms:us-east-1")], "resource": [DELEGATES]},
        {"identity": [may("*", "arn:aws:kms:us-west-1")]},
    ),
    "NotResource * is no resource": (
        NOT_RESOURCE,
        {"identity": [may("*"), without(may_not("*"), "Resource") | {"NotResource": "*"}]},
        {"identity": [without(may("*"), "Resource") | {"NotResource": "*"}]},
    ),
    "NotResource is every other resource": (
        NOT_RESOURCE,
        {"identity": [without(may("*"), "Resource") | {"NotResource": f"{BUCKET}/secret/*"}]},
        {"target": f"{BUCKET}/secret/a"},
    ),
    # Variables.
    "a variable in a resource": (
        VARIABLES,
        {"principal": USER, "identity": [may("*", f"{BUCKET}/${{aws:username}}/*")], "target": f"{BUCKET}/anna/x"},
        {"target": f"{BUCKET}/bert/x"},
    ),
    "a variable without a value matches no resource": (
        VARIABLES,
        {
            "identity": [may("*", f"{BUCKET}/${{aws:PrincipalTag/team}}*")],
            "context": {"aws:PrincipalTag/team": "a"},
        },
        {"context": {}},
    ),
    "nor does it in NotResource": (
        VARIABLES,
        {
            "identity": [
                may("*"),
                without(may_not("*"), "Resource") | {"NotResource": f"{BUCKET}/${{aws:PrincipalTag/team}}*"},
            ],
            "context": {"aws:PrincipalTag/team": "a"},
        },
        {"context": {}},
    ),
    "a variable with a default": (
        VARIABLES,
        {"identity": [may("*", f"{BUCKET}/${{aws:PrincipalTag/team, 'a'}}.parquet")]},
        {"context": {"aws:PrincipalTag/team": "b"}},
    ),
    "the old version has no variables": (
        VARIABLES,
        {"principal": USER, "identity": [may("*", f"{BUCKET}/${{aws:username}}/*")], "target": f"{BUCKET}/anna/x"},
        {"version": "2008-10-17"},
    ),
    "a literal asterisk": (
        VARIABLES, {"identity": [may("*", f"{BUCKET}/${{*}}")], "target": f"{BUCKET}/*"}, {"target": f"{BUCKET}/a"},
    ),
    # Conditions in Allow and in Deny; the operators one by one are in test_conditions.
    "a missing key denies, unless equal": (
        OPERATORS,
        {"identity": ALL, "resource": [stops("*", PUT, condition=NOT_KMS)], "context": {SSE: "aws:kms"}},
        {"context": {}},
    ),
    "a missing key denies, with IfExists too": (
        OPERATORS,
        {
            "identity": ALL,
            "resource": [stops("*", PUT, condition={"StringNotEqualsIfExists": {SSE: "aws:kms"}})],
            "context": {SSE: "aws:kms"},
        },
        {"context": {}},
    ),
    "Null tells absent from other": (
        OPERATORS,
        {"identity": ALL, "resource": [stops("*", PUT, condition=GUARDED)]},
        {"context": {SSE: "AES256"}},
    ),
    "a missing key allows with IfExists": (
        OPERATORS,
        {"identity": [may(PUT, condition={"StringEqualsIfExists": {SSE: "aws:kms"}})]},
        {"identity": [may(PUT, condition={"StringEquals": {SSE: "aws:kms"}})]},
    ),
    "IfExists in Deny denies for lack of the key": (
        OPERATORS,
        {"identity": ALL, "resource": [stops("*", PUT, condition={"StringEquals": {SSE: "AES256"}})]},
        {"resource": [stops("*", PUT, condition={"StringEqualsIfExists": {SSE: "AES256"}})]},
    ),
    "ForAllValues is true of no value": (
        MULTIVALUED,
        {"identity": [may(PUT, condition={"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}})]},
        {
            "identity": [
                may(PUT, condition={
                    "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]},
                    "Null": {"s3:RequestObjectTagKeys": "false"},
                })
            ]
        },
    ),
    "ForAnyValue needs one": (
        MULTIVALUED,
        {
            "identity": [may(PUT, condition={"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}})],
            "context": {"s3:RequestObjectTagKeys": ["b", "a"]},
        },
        {"context": {"s3:RequestObjectTagKeys": ["b"]}},
    ),
    "plain HTTP": (
        CONTEXT,
        {"identity": ALL, "resource": [stops("*", "s3:*", condition={"Bool": {SECURE: "false"}})]},
        {"context": {SECURE: "false"}},
    ),
    "an old TLS": (
        CONTEXT,
        {
            "identity": ALL,
            "resource": [stops("*", "s3:*", condition={"NumericLessThan": {TLS: 1.2}})],
            "context": {TLS: "1.2"},
        },
        {"context": {TLS: "1.1"}},
    ),
    # What AWS derives of the principal.
    "aws:PrincipalArn of a session is the role's": (
        CONTEXT,
        {"principal": SESSION, "identity": [may(PUT, condition={"ArnEquals": {"aws:PrincipalArn": ROLE}})]},
        {"identity": [may(PUT, condition={"ArnEquals": {"aws:PrincipalArn": SESSION_ARN}})]},
    ),
    "aws:PrincipalAccount": (
        CONTEXT,
        {
            "principal": PARTNER,
            "identity": ALL,
            "resource": [lets("*", PUT, condition={"StringEquals": {"aws:PrincipalAccount": OTHER}})],
        },
        {"resource": [lets("*", PUT, condition=OF_OWNER)]},
    ),
    "an anonymous request shows no aws:PrincipalArn": (
        CONTEXT,
        {"principal": ANONYMOUS, "resource": [lets("*", PUT, condition={"Null": {"aws:PrincipalArn": "true"}})]},
        {"resource": [lets("*", PUT, condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:*"}})]},
    ),
    "aws:PrincipalIsAWSService": (
        CONTEXT,
        {
            "principal": LOG_DELIVERY,
            "resource": [lets("*", PUT), stops("*", PUT, condition={"Bool": {"aws:PrincipalIsAWSService": "false"}})],
        },
        {"principal": USER},
    ),
    "aws:PrincipalServiceName": (
        CONTEXT,
        {
            "principal": LOG_DELIVERY,
            "resource": [lets("*", PUT, condition={"StringEquals": {"aws:PrincipalServiceName": LOG_DELIVERY}})],
        },
        {"principal": LOGS},
    ),
    "aws:ViaAWSService": (
        CONTEXT,
        {
            "action": DECRYPT,
            "identity": ALL,
            "resource": [lets({"AWS": ROOT}, "*", condition={"Bool": {"aws:ViaAWSService": "true"}})],
            "context": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"},
        },
        {"context": {}},
    ),
    "s3:ResourceAccount": (
        CONTEXT,
        {"identity": [may(PUT, condition={"StringEquals": {"s3:ResourceAccount": OWNER}})]},
        {"identity": [may(PUT, condition={"StringEquals": {"s3:ResourceAccount": OTHER}})]},
    ),
    # Keys.
    "a key trusts nobody but its own policy": (
        KEY_POLICY,
        {"action": DECRYPT, "identity": ALL, "resource": [DELEGATES]},
        {"resource": [lets({"AWS": USER}, "kms:*")]},
    ),
    "delegated to the account, IAM decides": (
        KEY_POLICY, {"action": DECRYPT, "identity": [may(DECRYPT)], "resource": [DELEGATES]}, {"identity": []},
    ),
    "delegated for one action": (
        KEY_POLICY,
        {"action": DECRYPT, "identity": ALL, "resource": [lets({"AWS": OWNER}, DECRYPT)]},
        {"resource": [lets({"AWS": OWNER}, "kms:Encrypt")]},
    ),
    "a key names a role directly": (
        KEY_POLICY,
        {"action": DECRYPT, "resource": [lets({"AWS": ROLE}, DECRYPT)]},
        {"identity": [may_not("kms:*")]},
    ),
    "everyone in the account, by kms:CallerAccount": (
        KMS_CONTEXT,
        {"action": DECRYPT, "resource": [lets("*", DECRYPT, condition={"StringEquals": {"kms:CallerAccount": OWNER}})]},
        {"principal": PARTNER, "identity": ALL},
    ),
    "not even the root user without the key's policy": (
        KEY_POLICY,
        {"action": DECRYPT, "principal": ROOT, "resource": [DELEGATES]},
        {"resource": [lets({"AWS": ROLE}, "kms:*")]},
    ),
    "a key of another account": (
        f"{KMS}/key-policy-modifying-external-accounts.html",
        {"action": DECRYPT, "principal": PARTNER, "identity": ALL, "resource": [lets({"AWS": PARTNER_ROOT}, DECRYPT)]},
        {"resource": [DELEGATES]},
    ),
    "through S3 only": (
        KMS_CONTEXT,
        {
            "action": DECRYPT,
            "identity": ALL,
            "resource": [lets({"AWS": ROOT}, "*", condition=VIA_S3)],
            "context": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"},
        },
        {"context": {}},
    ),
    "encryption context by name, in any case": (
        KMS_CONTEXT,
        {
            "action": DECRYPT,
            "identity": ALL,
            "resource": [lets({"AWS": ROOT}, "*", condition={"StringLike": {S3_CONTEXT.upper(): f"{BUCKET}/*"}})],
            "context": {S3_CONTEXT: OBJECT},
        },
        {"context": {S3_CONTEXT: BUCKET}},
    ),
    "kms:EncryptionContextKeys is filled in": (
        KMS_CONTEXT,
        {
            "action": DECRYPT,
            "identity": ALL,
            "resource": [lets({"AWS": ROOT}, "*", condition=WITH_S3_CONTEXT)],
            "context": {S3_CONTEXT: OBJECT},
        },
        {"context": {"kms:EncryptionContext:tenant": "a"}},
    ),
    "grants for AWS resources only": (
        KMS_CONTEXT,
        {
            "action": "kms:CreateGrant",
            "identity": ALL,
            "resource": [DELEGATES, stops("*", "kms:CreateGrant", condition=FOR_PEOPLE)],
            "context": {"kms:GrantIsForAWSResource": "true"},
        },
        {"context": {}},
    ),
    "making a key is the account's to allow": (
        f"{KMS}/kms-api-permissions-reference.html",
        {"action": "kms:CreateKey", "target": "*", "identity": [may("kms:CreateKey")]},
        {"identity": [may("kms:CreateAlias")]},
    ),
    "an alias has no policy": (
        f"{KMS}/alias-access.html",
        {"action": "kms:CreateAlias", "target": ALIAS, "identity": [may("kms:*Alias", ALIAS)]},
        {"identity": [may("kms:*Alias", KEY)]},
    ),
    "but its key has": (
        f"{KMS}/alias-access.html",
        {"action": "kms:CreateAlias", "identity": ALL, "resource": [DELEGATES]},
        {"resource": [lets({"AWS": USER}, "kms:*")]},
    ),
    "a service uses the key for its source": (
        f"{KMS}/conditions-kms.html",
        {
            "action": DECRYPT,
            "principal": LOGS,
            "resource": [lets({"Service": LOGS}, "kms:*", condition=FROM_GROUP)],
            "context": GROUP,
        },
        {"context": GROUP | {"aws:SourceAccount": OTHER}},
    ),
    "a property of the key": (
        KMS_CONTEXT,
        {
            "action": DECRYPT,
            "identity": [may(DECRYPT, condition={"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}})],
            "resource": [DELEGATES],
            "context": {"kms:KeyOrigin": "AWS_KMS"},
        },
        {"context": {"kms:KeyOrigin": "EXTERNAL"}},
    ),
    "a property of no key": (
        KMS_CONTEXT,
        {
            "action": "kms:ListKeys",
            "target": "*",
            "identity": [may("*"), may_not("*", condition={"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}})],
        },
        {"identity": [may("*", condition={"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}})]},
    ),
    # Roles.
    "a role trusts who is named": (
        LOGIC, {"action": ASSUME_ROLE, "resource": [trusts({"AWS": ROLE})]}, {"resource": [trusts({"AWS": USER})]},
    ),
    "an identity policy alone assumes no role": (
        LOGIC,
        {"action": ASSUME_ROLE, "identity": ALL, "resource": [trusts({"AWS": ROOT})]},
        {"resource": [trusts({"AWS": OTHER})]},
    ),
    "trusting the account leaves it to its identity policies": (
        TRUST,
        {"action": ASSUME_ROLE, "identity": [may(ASSUME_ROLE, TARGET_ROLE)], "resource": [trusts({"AWS": ROOT})]},
        {"identity": [may(ASSUME_ROLE, ROLE)]},
    ),
    "a role trusts with session tags": (
        f"{IAM}/id_session-tags.html",
        {"action": "sts:TagSession", "identity": ALL, "resource": [trusts({"AWS": ROOT}, "sts:*")]},
        {"resource": [trusts({"AWS": ROOT})]},
    ),
    "across accounts, both": (
        TRUST,
        {"action": ASSUME_ROLE, "principal": PARTNER, "identity": ALL, "resource": [trusts({"AWS": PARTNER})]},
        {"identity": []},
    ),
    "the root user assumes no role": (
        ASSUME,
        {"action": ASSUME_ROLE, "principal": USER, "resource": [trusts("*")]},
        {"action": ASSUME_ROLE, "principal": ROOT},
    ),
    "a service assumes a role": (
        TRUST,
        {"action": ASSUME_ROLE, "principal": GLUE, "resource": [trusts({"Service": GLUE})]},
        {"principal": "lambda.amazonaws.com"},
    ),
    "a web identity assumes a role": (
        PRINCIPAL,
        {
            "action": "sts:AssumeRoleWithWebIdentity",
            "principal": federated(GITHUB),
            "resource": [
                trusts(
                    {"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity",
                    {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:a/b:*"}},
                )
            ],
            "context": {"token.actions.githubusercontent.com:sub": "repo:a/b:ref:refs/heads/main"},
        },
        {"context": {"token.actions.githubusercontent.com:sub": "repo:a/bc:ref:refs/heads/main"}},
    ),
    "a provider that a role trusts beside everybody else": (
        WEB_IDENTITY,
        {
            "action": "sts:AssumeRoleWithWebIdentity",
            "principal": federated(GITHUB),
            "resource": [trusts({"AWS": "*", "Federated": GITHUB}, "sts:*")],
        },
        {"resource": [trusts({"AWS": "*", "Federated": GITHUB}, "sts:*"), trusts("*", "sts:*") | {"Effect": "Deny"}]},
    ),
    "the name of the session that a role is assumed for": (
        f"{IAM}/reference_policies_iam-condition-keys.html",
        {
            "principal": USER,
            "action": ASSUME_ROLE,
            "identity": ALL,
            "resource": [trusts({"AWS": ROOT}, condition={"StringEquals": {"sts:RoleSessionName": "${aws:username}"}})],
            "context": {"sts:RoleSessionName": "anna"},
        },
        {"context": {"sts:RoleSessionName": "bert"}},
    ),
    # Organizations.
    "an SCP allows at every level": (
        SCP_LEVELS, {"identity": ALL, "scps": [ALL, PUTS]}, {"scps": [ALL, [may("kms:*")]]},
    ),
    "an SCP grants nothing": (SCP, {"identity": PUTS, "scps": [ALL]}, {"identity": []}),
    "an SCP denies": (SCP, {"identity": ALL, "scps": [ALL]}, {"scps": [[may("*"), may_not("s3:*")]]}),
    "an SCP reaches the root user": (SCP, {"principal": ROOT, "scps": [ALL]}, {"scps": [[may("kms:*")]]}),
    "an SCP limits what a resource's policy gives": (
        LOGIC, {"resource": [lets({"AWS": ROLE}, PUT)], "scps": [ALL]}, {"scps": [[may("kms:*")]]},
    ),
    "an SCP doesn't reach a service-linked role": (
        SCP,
        {"principal": SERVICE_LINKED, "identity": ALL, "scps": [[may_not("s3:*")]]},
        {"principal": ROLE},
    ),
    "an SCP doesn't reach a service": (
        SCP,
        {"principal": LOG_DELIVERY, "resource": [lets("*", PUT)], "scps": [[may("kms:*"), may_not("s3:*")]]},
        {"principal": ROLE},
    ),
    "an RCP denies": (RCP, {"identity": ALL, "rcps": [FULL_RCP]}, {"rcps": [FULL_RCP, stops("*", "s3:*")]}),
    "an RCP grants nothing": (RCP, {"identity": PUTS, "rcps": [FULL_RCP]}, {"identity": []}),
    "an RCP reaches other accounts and services": (
        RCP,
        {
            "principal": LOG_DELIVERY,
            "resource": [lets("*", PUT)],
            "rcps": [stops("*", "s3:*", condition={"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}})],
        },
        {"principal": PARTNER, "identity": ALL},
    ),
    "an RCP doesn't reach a service-linked role": (
        RCP,
        {"principal": SERVICE_LINKED, "identity": ALL, "rcps": [stops("*", "s3:*")]},
        {"principal": ROLE},
    ),
    "an RCP keeps the root user from unlocking a bucket": (
        LOCK_OUT,
        {
            "principal": ROOT,
            "action": "s3:DeleteBucketPolicy",
            "target": BUCKET,
            "resource": [stops("*", "s3:*")],
            "rcps": [FULL_RCP],
        },
        {"rcps": [stops("*", "s3:DeleteBucketPolicy")]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_allowed_and_one_step_away_denied(name: str) -> None:
    source, allowed, step = PAIRS[name]
    assert source.startswith("https://docs.aws.amazon.com/")
    decision = ask(**allowed)
    assert decision.allowed, decision.because
    decision = ask(**allowed | step)
    assert not decision.allowed, decision.because


UNMODELLED: dict[str, tuple[dict[str, Any], str]] = {
    "a key without its policy": ({"action": DECRYPT, "identity": ALL}, "has a policy that decides"),
    "a key operation without a key": ({"action": DECRYPT, "target": "*", "identity": ALL}, "has a policy that decides"),
    "a role without its trust policy": ({"action": ASSUME_ROLE, "identity": ALL}, "has a policy that decides"),
    "a condition on what nobody said": (
        {"identity": [may(PUT, condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})]}, "isn't known",
    ),
    "the TLS version that nobody said": (
        {"identity": ALL, "resource": [stops("*", PUT, condition={"NumericLessThan": {TLS: "1.2"}})]},
        "TlsVersion isn't known",
    ),
    "whether a user has MFA": (
        {
            "principal": USER,
            "identity": ALL,
            "resource": [stops("*", PUT, condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})],
        },
        "MultiFactorAuthPresent isn't known",
    ),
    "a deny on what nobody said": (
        {"identity": ALL, "resource": [stops("*", PUT, condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}})]},
        r"Deny 0 \(resource policy\): aws:PrincipalOrgID isn't known",
    ),
    "the account of a service": (
        {"principal": LOG_DELIVERY, "resource": [lets("*", PUT, condition=OF_OWNER)]},
        "isn't known",
    ),
    "the account before a role is assumed": (
        {
            "action": "sts:AssumeRoleWithWebIdentity",
            "principal": federated(GITHUB),
            "resource": [trusts({"Federated": GITHUB}, "sts:*", OF_OWNER)],
        },
        "isn't known",
    ),
    "NotPrincipal without the account": (
        {"identity": ALL, "resource": [spares(ROLE)]}, "without its account or role",
    ),
    "NotPrincipal with the session but without its role": (
        {"principal": SESSION, "identity": ALL, "resource": [spares(OWNER, SESSION_ARN)]},
        "without its account or role",
    ),
    "NotPrincipal with the account alone": (
        {"identity": ALL, "resource": [spares(ROOT)]}, "lists the account alone",
    ),
    "everyone, for an identity provider's users": (
        {
            "action": "sts:AssumeRoleWithWebIdentity",
            "principal": federated(GITHUB),
            "resource": [trusts("*", "sts:AssumeRoleWithWebIdentity")],
        },
        "whether '\\*' specifies an identity provider",
    ),
    "NotPrincipal with a canonical user": (
        {"identity": ALL, "resource": [{**spares(), "NotPrincipal": CANONICAL}]}, "canonical user id",
    ),
    "NotPrincipal with a canonical user and another account": (
        {"identity": ALL, "resource": [{**spares(), "NotPrincipal": {"AWS": [PARTNER_ROOT, PARTNER], **CANONICAL}}]},
        "canonical user id",
    ),
    "NotPrincipal with a canonical user, for the root user": (
        {"principal": ROOT, "resource": [{**spares(), "NotPrincipal": CANONICAL}]}, "canonical user id",
    ),
    "a canonical user may be an origin access identity": (
        {"principal": READER, "action": "s3:GetObject", "resource": [lets(CANONICAL, "s3:GetObject")]},
        "canonical user id",
    ),
    "what an origin access identity shows of itself": (
        {"principal": READER, "resource": [lets("*", PUT, condition={"Null": {"aws:PrincipalArn": "true"}})]},
        "PrincipalArn isn't known",
    ),
    "the names of a service beside the one it comes by": (
        {
            "principal": LOGS,
            "resource": [
                lets("*", PUT, condition={"ForAnyValue:StringEquals": {"aws:PrincipalServiceNamesList": LOG_DELIVERY}})
            ],
        },
        "PrincipalServiceNamesList isn't known beyond logs.us-east-1.amazonaws.com",
    ),
    "the organization of what a service acts for": (
        {
            "principal": LOGS,
            "resource": [lets("*", PUT), stops("*", PUT, condition={"StringNotEquals": {"aws:SourceOrgID": "o-1"}})],
        },
        "SourceOrgID isn't known",
    ),
    "the name of the session that nobody said": (
        {
            "principal": USER,
            "action": ASSUME_ROLE,
            "resource": [trusts({"AWS": USER}, ASSUME_ROLE, {"StringEquals": {"sts:RoleSessionName": "a"}})],
        },
        "RoleSessionName isn't known",
    ),
    "tags that may be there": (
        {
            "identity": ALL,
            "resource": [stops("*", PUT, condition={"Null": {"aws:PrincipalTag/team": "true"}})],
            "unknown": ["aws:PrincipalTag/"],
        },
        "aws:PrincipalTag/team isn't known",
    ),
    "tags that may be there, in a variable": (
        {"identity": [may(PUT, f"{BUCKET}/${{aws:PrincipalTag/team, 'a'}}*")], "unknown": ["AWS:PrincipalTag/"]},
        "can't be filled in",
    ),
    "keys of tags that may be there": (
        {
            "identity": [may(PUT, condition={"ForAllValues:StringEquals": {"aws:TagKeys": "team"}})],
            "unknown": ["aws:RequestTag/"],
        },
        "aws:TagKeys isn't known",
    ),
    "an encryption context that may be there": (
        {
            "action": DECRYPT,
            "identity": ALL,
            "resource": [lets({"AWS": ROOT}, "*", condition=WITH_S3_CONTEXT)],
            "unknown": ["kms:EncryptionContext:"],
        },
        "kms:EncryptionContextKeys isn't known",
    ),
    "a canonical user": (
        {"identity": ALL, "resource": [stops({"CanonicalUser": "79a5"}, PUT)]}, "canonical user id",
    ),
    "a boundary on what nobody said": (
        {"identity": ALL, "boundary": [may(PUT, condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})]},
        "isn't known",
    ),
    "an SCP on what nobody said": (
        {"identity": ALL, "scps": [[may(PUT, condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})]]},
        "isn't known",
    ),
    "an RCP over another service": (
        {"action": "logs:PutLogEvents", "target": LOG_GROUP, "identity": ALL, "rcps": [stops("*", "logs:*")]},
        "whether it reaches logs:PutLogEvents isn't modelled",
    ),
    "an action without a resource of its own": (
        {"action": "s3:ListAllMyBuckets", "target": "*", "identity": [may("s3:*", "arn:aws:s3:::*")]},
        "no resource of its own",
    ),
    "a federated user at IAM": (
        {"principal": FEDERATED_USER, "action": ASSUME_ROLE, "resource": [trusts("*")]}, "exceptions of its own",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNMODELLED)
def test_never_guesses(name: str) -> None:
    asked, message = UNMODELLED[name]
    with pytest.raises(Unmodelled, match=message):
        ask(**asked)


UNKNOWN = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
OF_KEYS = ("KeyOrigin", "KeySpec", "KeyUsage", "MultiRegion", "MultiRegionKeyType", "ResourceAliases")
OF_CALLS = {
    "kms:Decrypt": (*OF_KEYS, "EncryptionAlgorithm"),
    "kms:CreateGrant": (*OF_KEYS, "GranteePrincipal", "GrantOperations"),
    "kms:GenerateDataKeyPair": (*OF_KEYS, "EncryptionAlgorithm", "DataKeyPairSpec"),
    "kms:Sign": (*OF_KEYS, "SigningAlgorithm"),
    "kms:VerifyMac": (*OF_KEYS, "MacAlgorithm"),
}


@pytest.mark.parametrize("action", OF_CALLS)
def test_what_a_request_of_kms_always_has_is_unknown_until_said(action: str) -> None:
    request = Request(who(ROLE), action, KEY, OWNER)
    found = {key for key, value in request.context.items() if key.startswith("kms:") and value is None}
    deprecated = {"kms:customermasterkeyspec", "kms:customermasterkeyusage"}
    assert found - deprecated == {f"kms:{key.lower()}" for key in OF_CALLS[action]}
    said = {f"kms:{key}": "x" for key in OF_CALLS[action]}
    assert None not in [Request(who(ROLE), action, KEY, OWNER, said).context[key.lower()] for key in said]


def test_the_names_of_a_service_contain_the_one_it_comes_by() -> None:
    names = "aws:PrincipalServiceNamesList"
    condition = {"ForAnyValue:StringEquals": {names: LOG_DELIVERY}, "Null": {names: "false"}}
    asked: dict[str, Any] = {"principal": LOG_DELIVERY, "resource": [lets("*", PUT, condition=condition)]}
    assert ask(**asked).allowed
    assert ask(**asked, context={names: [LOGS, LOG_DELIVERY]}).allowed
    assert not ask(**asked | {"principal": LOGS}, context={names: [LOGS]}).allowed
    with pytest.raises(ValueError, match="the request says"):
        ask(**asked, context={names: [LOGS]})


def test_tags_are_absent_unless_said_or_unknown() -> None:
    tagged = {"StringEquals": {"aws:PrincipalTag/team": "a"}}
    asked: dict[str, Any] = {"identity": [may(PUT, condition=tagged)]}
    assert not ask(**asked).allowed
    for context, allowed in (({"aws:PrincipalTag/team": "a"}, True), ({"aws:PrincipalTag/team": None}, False)):
        assert ask(**asked, context=context, unknown=["aws:PrincipalTag/"]).allowed is allowed
    assert not ask(**asked, unknown=["aws:RequestTag/", "aws:ResourceTag/"]).allowed


def test_keys_of_an_encryption_context_may_be_said_without_their_values() -> None:
    keys = "kms:EncryptionContextKeys"
    said = {S3_CONTEXT: OBJECT, keys: ["aws:s3:arn", "tenant"]}
    request = Request(who(ROLE), DECRYPT, KEY, OWNER, said)
    assert request.context[keys.lower()] == ("aws:s3:arn", "tenant")
    with pytest.raises(ValueError, match="the request says"):
        Request(who(ROLE), DECRYPT, KEY, OWNER, {**said, keys: ["tenant"]})


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        # Another condition of the statement says no.
        ({"identity": ALL, "resource": [stops("*", PUT, condition={**UNKNOWN, "Null": {SSE: "false"}})]}, True),
        # Another statement allows for certain.
        ({"identity": [may(PUT, condition=UNKNOWN), may(PUT)]}, True),
        # Another statement denies for certain.
        ({"identity": ALL, "resource": [stops("*", PUT, condition=UNKNOWN), stops("*", PUT)]}, False),
        # Nothing allows, whatever the Deny says.
        ({"resource": [stops("*", PUT, condition=UNKNOWN)]}, False),
        # Another layer certainly says no, before or after the doubtful one.
        ({"identity": ALL, "scps": [[may("*", condition=UNKNOWN)], [may("kms:*")]]}, False),
        ({"identity": ALL, "scps": [[may("kms:*")], [may("*", condition=UNKNOWN)]]}, False),
        ({"identity": ALL, "scps": [[may("*", condition=UNKNOWN)]], "boundary": [may("kms:*")]}, False),
        ({"identity": ALL, "boundary": [may("*", condition=UNKNOWN)], "scps": [[may("kms:*")]]}, False),
        ({"identity": ALL, "boundary": [may("*", condition=UNKNOWN)], "session": [may("kms:*")]}, False),
        ({"identity": ALL, "session": [may("*", condition=UNKNOWN)], "boundary": [may("kms:*")]}, False),
        ({"identity": [may("*", condition=UNKNOWN)], "scps": [[may("kms:*")]]}, False),
        ({"identity": [], "scps": [[may("*", condition=UNKNOWN)]]}, False),
        ({"identity": [], "boundary": [may("*", condition=UNKNOWN)]}, False),
        ({"identity": [may_not("*")], "scps": [[may("*", condition=UNKNOWN)]]}, False),
        ({"identity": ALL, "rcps": [stops("*", PUT, condition=UNKNOWN), stops("*", PUT)]}, False),
        ({"identity": ALL, "rcps": [stops("*", PUT)], "resource": [stops("*", PUT, condition=UNKNOWN)]}, False),
        (
            {"identity": [may_not("*")], "action": "logs:PutLogEvents", "target": LOG_GROUP, "rcps": [stops("*", "*")]},
            False,
        ),
        ({"action": "logs:PutLogEvents", "target": LOG_GROUP, "rcps": [stops("*", "*")]}, False),
        # Another account's side says no, and this one's is in doubt.
        ({"principal": PARTNER, "resource": [lets("*", PUT, condition=UNKNOWN)]}, False),
        # A key's policy that nobody gave: its own side says no.
        ({"action": DECRYPT, "identity": [may_not("kms:*")]}, False),
        ({"action": DECRYPT, "identity": ALL, "scps": [[may("s3:*")]]}, False),
        # A doubtful statement gives no more than whom it names may have: a role stays within its boundary.
        ({"resource": [lets({"AWS": ROLE}, PUT, condition=UNKNOWN)], "boundary": [may("kms:*")]}, False),
        ({"resource": [lets({"AWS": OWNER}, PUT, condition=UNKNOWN)], "identity": [may("kms:*")]}, False),
        # One of several resources is certain.
        ({"identity": [may(PUT, [f"{BUCKET}/${{aws:UserAgent}}", OBJECT])]}, True),
        ({"identity": [may(PUT, [OBJECT, f"{BUCKET}/${{aws:UserAgent}}"])]}, True),
        (
            {"identity": [without(may(PUT), "Resource") | {"NotResource": [f"{BUCKET}/${{aws:UserAgent}}", OBJECT]}]},
            False,
        ),
        # A canonical user beside a name that is certain.
        ({"identity": [], "resource": [lets({"AWS": ROLE, **CANONICAL}, PUT)]}, True),
        ({"principal": LOG_DELIVERY, "resource": [lets(CANONICAL, PUT)]}, False),
        # The other account allows nothing, whatever this one says.
        ({"principal": PARTNER, "resource": [lets("*", PUT)]}, False),
    ],
)
def test_a_doubt_that_changes_nothing_is_none(asked: dict[str, Any], allowed: bool) -> None:  # noqa: FBT001
    assert ask(**asked).allowed is allowed


def test_a_key_known_to_be_absent() -> None:
    from_office = {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    asked: dict[str, Any] = {"identity": ALL, "resource": [stops("*", PUT, condition=from_office)]}
    with pytest.raises(Unmodelled, match="aws:SourceIp isn't known"):
        ask(**asked)
    assert not ask(**asked, context={"aws:SourceIp": None}).allowed  # as through a VPC endpoint
    assert ask(**asked, context={"aws:SourceIp": "203.0.113.9"}).allowed


def test_a_doubt_that_matters_in_one_layer_is_raised_whichever_it_is() -> None:
    for layer in ("identity", "boundary", "session"):
        asked: dict[str, Any] = {"identity": ALL, "boundary": ALL, "session": ALL, "scps": [ALL, ALL]}
        assert ask(**asked).allowed
        with pytest.raises(Unmodelled, match="RequestedRegion isn't known"):
            ask(**asked | {layer: [may("*", condition=UNKNOWN)]})
    for scps in ([ALL, [may("*", condition=UNKNOWN)]], [[may("*", condition=UNKNOWN)], ALL]):
        with pytest.raises(Unmodelled, match="RequestedRegion isn't known"):
            ask(identity=ALL, scps=scps)
    session_named = lets({"AWS": SESSION_ARN}, PUT, condition=UNKNOWN)
    with pytest.raises(Unmodelled, match="RequestedRegion isn't known"):
        ask(SESSION, resource=[session_named], boundary=[may("kms:*")])


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        ({"identity": [may(PUT, Sid="Uploads")]}, "allowed by Allow Uploads (identity policy)"),
        ({"identity": [may("kms:*"), may(PUT)]}, "allowed by Allow 1 (identity policy)"),
        (
            {"identity": ALL, "resource": [{**stops("*", PUT), "Sid": "Closed"}], "boundary": [may_not("s3:*")]},
            "denied by Deny Closed (resource policy), Deny 0 (permissions boundary)",
        ),
        ({}, f"no statement of the identity policies of {ROLE} allows it"),
        (
            {"identity": ALL, "boundary": [may("kms:*")]},
            f"no statement of the permissions boundary of {ROLE} allows it",
        ),
        ({"identity": ALL, "session": [may("kms:*")]}, f"no statement of the session policies of {ROLE} allows it"),
        (
            {"identity": ALL, "scps": [[may("kms:*")]]},
            "no statement of the service control policies of one level (service control policy) allows it",
        ),
        (
            {"principal": PARTNER, "identity": ALL},
            "no statement of a resource policy, for another account, allows it",
        ),
        (
            {"action": DECRYPT, "identity": ALL, "resource": [lets({"AWS": USER}, DECRYPT)]},
            "no statement of resource policy allows it",
        ),
        (
            {"action": DECRYPT, "identity": ALL, "resource": [{**DELEGATES, "Sid": "Account"}]},
            "allowed by Allow Account (resource policy), Allow 0 (identity policy)",
        ),
        ({"principal": ROOT}, "allowed by the full access of an account's root user"),
    ],
)
def test_says_why(asked: dict[str, Any], because: str) -> None:
    assert ask(**asked).because == because


def test_an_explicit_deny_is_told_from_a_missing_allow() -> None:
    assert ask(identity=[may_not(PUT)]).explicit
    assert not ask().explicit


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"principal": ROOT, "identity": ALL}, "has no identity policies"),
        ({"principal": LOGS, "identity": ALL}, "has no identity policies"),
        ({"principal": ANONYMOUS, "boundary": ALL}, "has no identity policies"),
        ({"principal": USER, "session": ALL}, "is no session"),
        ({"target": f"arn:aws:s3:us-east-1:{OTHER}:accesspoint/a"}, "isn't of account"),
        ({"target": "bucket"}, "not an ARN"),
        ({"action": DECRYPT, "target": ALIAS, "resource": [DELEGATES]}, "ask with the key's ARN as the resource"),
        ({"action": "kms:DescribeKey", "target": ALIAS, "identity": ALL}, "say kms:RequestAlias"),
        ({"principal": READER, "identity": ALL}, "has no identity policies"),
        ({"action": "s3:*"}, "not an action"),
        ({"context": {"aws:PrincipalAccount": OTHER}}, "the request says"),
        ({"context": {"aws:PrincipalAccount": None}}, "says that it is absent"),
        ({"context": {"aws:securetransport": "true"}}, "said twice"),
    ],
)
def test_a_request_that_cannot_be(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(**asked)


NO_PRINCIPALS = ["arn:aws:iam::1:user/a", SESSION_ARN, GITHUB, f"arn:aws:iam::{OWNER}:group/a", "*", READER.name]


@pytest.mark.parametrize("arn", [*NO_PRINCIPALS, f"arn:aws:iam::{OWNER}:role", f"arn:aws:iam::{OWNER}:root/a"])
def test_not_a_principal(arn: str) -> None:
    with pytest.raises(ValueError, match="neither an account's root"):
        principal(arn)
    with pytest.raises(ValueError, match="not the principal of a service"):
        service(arn)
    if arn != READER.name:
        with pytest.raises(ValueError, match="not an origin access identity"):
            origin_access_identity(arn)

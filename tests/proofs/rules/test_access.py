"""Roles and users beside what the pairs show: which half grants are meant so, wildcards, prefixes, trust."""

from __future__ import annotations

from typing import Any

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import access
from cdk_encrypted_data.proofs.spaces import Prover

ACCOUNT, OTHER_ACCOUNT, REGION = "111122223333", "444455556666", "eu-central-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
DATA = "arn:aws:s3:::acme-data"
KEY = {"Fn::GetAtt": ["Key", "Arn"]}

Json = dict[str, Any]


def outcomes(resources: Json, *, account: str | None = ACCOUNT, name: str | None = "Test") -> tuple[set[str], set[str]]:
    """Return the ids of the rules that found something, and of those that are undecided."""
    template = StackTemplate(id="Test", name=name, template={"Resources": resources}, account=account, region=REGION)
    inventory, prover = Inventory(Assembly.of([template])), Prover()
    ended = [one for check in access.CHECKS for one in check(inventory, prover)]
    found = {one.rule.id for one in ended if hasattr(one, "counterexample")}
    return found, {one.rule.id for one in ended if hasattr(one, "reason")}


def found_in(resources: Json) -> set[str]:
    found, undecided = outcomes(resources)
    assert undecided == set()
    return found


def policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


def world(
    *grants: Json,
    key_policy: tuple[Json, ...] = (),
    bucket_policy: tuple[Json, ...] = (),
    bucket_key: bool = True,
    algorithm: str = "aws:kms",
    role: Json | None = None,
) -> Json:
    """Return a bucket under a key, and a role with what it is granted."""
    default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": KEY}
    rules = [{"BucketKeyEnabled": bucket_key, "ServerSideEncryptionByDefault": default}]
    encryption = {"BucketEncryption": {"ServerSideEncryptionConfiguration": rules}}
    account = {"Principal": {"AWS": ROOT}, "Action": "kms:*"}
    statements = [{"Resource": "*", **one} for one in (account, *key_policy)]
    resources: Json = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy(*statements)}},
        "Data": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "acme-data", **encryption}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "reader", **(role or {})}},
    }
    if grants:
        resources["Role"]["Properties"]["Policies"] = [{"PolicyName": "Own", "PolicyDocument": policy(*grants)}]
    if bucket_policy:
        properties = {"Bucket": {"Ref": "Data"}, "PolicyDocument": policy(*bucket_policy)}
        resources["Policy"] = {"Type": "AWS::S3::BucketPolicy", "Properties": properties}
    return resources


OBJECTS = {"Action": "s3:GetObject", "Resource": f"{DATA}/*"}
UPLOADS = {"Action": "s3:PutObject", "Resource": f"{DATA}/*"}
DECRYPT = {"Action": "kms:Decrypt", "Resource": KEY}
READER = f"arn:aws:iam::{ACCOUNT}:role/reader"


def in_context(*contexts: str, via: str = f"s3.{REGION}.amazonaws.com") -> Json:
    return {
        "StringEquals": {"kms:ViaService": via},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": list(contexts)},
    }


# Half grants.


@pytest.mark.parametrize(
    ("condition", "bucket_key", "reads"),
    [
        (in_context(DATA, f"{DATA}/*"), True, True),
        (in_context(DATA, f"{DATA}/*"), False, True),
        (in_context(DATA), True, True),
        (in_context(DATA), False, False),
        (in_context(f"{DATA}/*"), True, False),
        (in_context(f"{DATA}/*"), False, True),
        (in_context("arn:aws:s3:::acme-date", "arn:aws:s3:::acme-date/*"), True, False),
        (in_context(DATA, via="s3.amazonaws.com"), True, False),
        (in_context(DATA, via="s3.eu-west-1.amazonaws.com"), True, False),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, True, True),
        ({"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}, True, True),
    ],
)
def test_conditions_on_the_keys_use(condition: Json, *, bucket_key: bool, reads: bool) -> None:
    resources = world(OBJECTS, {**DECRYPT, "Condition": condition}, bucket_key=bucket_key)
    assert found_in(resources) == (set() if reads else {"role-cannot-read"})


def test_dsse_has_no_bucket_key() -> None:
    whole, single = ({**DECRYPT, "Condition": in_context(one)} for one in (DATA, f"{DATA}/*"))
    assert found_in(world(OBJECTS, whole, algorithm="aws:kms:dsse")) == {"role-cannot-read"}
    assert found_in(world(OBJECTS, single, algorithm="aws:kms:dsse")) == set()


def test_sse_s3_takes_no_key() -> None:
    assert found_in(world(OBJECTS, UPLOADS, algorithm="AES256")) == set()


def test_a_grant_of_some_objects() -> None:
    assert found_in(world({**OBJECTS, "Resource": f"{DATA}/reports/*"})) == {"role-cannot-read"}
    assert found_in(world({**OBJECTS, "Resource": f"{DATA}/reports/*"}, DECRYPT)) == set()


def test_the_keys_policy_names_the_role() -> None:
    named = {"Principal": {"AWS": READER}, "Action": "kms:Decrypt"}
    assert found_in(world(OBJECTS, key_policy=(named,))) == set()


def test_the_buckets_policy_names_the_role() -> None:
    named = {"Principal": {"AWS": READER}, **OBJECTS}
    assert found_in(world(bucket_policy=(named,))) == {"role-cannot-read"}
    assert found_in(world(DECRYPT, bucket_policy=(named,))) == set()


def test_a_refusal_is_meant_so() -> None:
    refused = {"Effect": "Deny", "Principal": {"AWS": READER}, "Action": "kms:Decrypt"}
    assert found_in(world(OBJECTS, DECRYPT, key_policy=(refused,))) == set()


def test_a_refusal_of_a_context_is_a_mistake() -> None:
    refused: Json = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt"}
    refused["Condition"] = {"StringNotLike": {"kms:EncryptionContext:aws:s3:arn": f"{DATA}/*"}}
    assert found_in(world(OBJECTS, DECRYPT, key_policy=(refused,))) == {"role-cannot-read"}


def test_everything_in_s3_is_no_grant_of_this_bucket() -> None:
    assert found_in(world({"Action": "s3:*", "Resource": "*"})) == set()


def test_uploads_in_parts() -> None:
    data_keys = {"Action": "kms:GenerateDataKey", "Resource": KEY}
    assert found_in(world(UPLOADS)) == {"role-cannot-write"}
    assert found_in(world(UPLOADS, data_keys)) == {"role-cannot-write-parts"}
    assert found_in(world(UPLOADS, data_keys, DECRYPT)) == set()


def test_a_bucket_that_wants_the_header() -> None:
    wanted: Json = {"Effect": "Deny", "Principal": "*", **UPLOADS}
    wanted["Condition"] = {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY}}
    assert found_in(world(UPLOADS, bucket_policy=(wanted,))) == {"role-cannot-write"}


def test_a_boundary_that_leaves_the_key_out() -> None:
    boundary: Json = {"Type": "AWS::IAM::ManagedPolicy"}
    boundary["Properties"] = {
        "ManagedPolicyName": "boundary",
        "PolicyDocument": policy({"Action": "s3:*", "Resource": "*"}),
    }
    resources = world(OBJECTS, DECRYPT, role={"PermissionsBoundary": {"Ref": "Boundary"}})
    assert found_in({**resources, "Boundary": boundary}) == {"role-cannot-read"}
    boundary["Properties"]["PolicyDocument"] = policy({"Action": ["s3:*", "kms:*"], "Resource": "*"})
    assert "role-cannot-read" not in found_in({**resources, "Boundary": boundary})


def test_a_managed_policy_may_be_anybodys_whom_the_key_names() -> None:
    """Our own keys name their users: what a managed policy grants takes effect for those."""
    named = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/application"}, "Action": "kms:Decrypt"}
    managed = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy(OBJECTS)}}
    assert found_in({**world(), "Managed": managed}) == {"role-cannot-read"}
    assert found_in({**world(key_policy=(named,)), "Managed": managed}) == set()


def test_policies_that_arent_here() -> None:
    unknown = {"ManagedPolicyArns": [f"arn:aws:iam::{ACCOUNT}:policy/elsewhere"]}
    found, undecided = outcomes(world(OBJECTS, role=unknown))
    assert found == set()
    assert "role-cannot-read" in undecided


def test_an_account_that_nobody_said() -> None:
    of_the_account = {"Action": "kms:Decrypt", "Resource": f"arn:aws:kms:*:{ACCOUNT}:key/*"}
    assert found_in(world(OBJECTS, of_the_account)) == set()
    found, undecided = outcomes(world(OBJECTS, of_the_account), account=None)
    assert found == set()
    assert "role-cannot-read" in undecided


# Keys by alias.


@pytest.mark.parametrize(
    ("action", "resource", "fires"),
    [
        ("kms:Decrypt", f"arn:aws:kms:*:{ACCOUNT}:alias/data", True),
        ("kms:*", f"arn:aws:kms:*:{ACCOUNT}:alias/data", True),
        ("kms:UpdateAlias", f"arn:aws:kms:*:{ACCOUNT}:alias/data", False),
        ("kms:Decrypt", [f"arn:aws:kms:*:{ACCOUNT}:alias/data", f"arn:aws:kms:*:{ACCOUNT}:key/*"], False),
        (["kms:Decrypt", "s3:GetObject"], [f"arn:aws:kms:*:{ACCOUNT}:alias/data", "arn:aws:s3:::other/*"], True),
    ],
)
def test_aliases(action: object, resource: object, *, fires: bool) -> None:
    found = found_in(world({"Action": action, "Resource": resource}))
    assert found == ({"role-key-by-alias"} if fires else set())


def test_an_alias_is_found_in_every_kind_of_policy() -> None:
    document = policy({"Action": "kms:Decrypt", "Resource": f"arn:aws:kms:*:{ACCOUNT}:alias/data"})
    for kind in ("Policy", "ManagedPolicy"):
        one = {"Type": f"AWS::IAM::{kind}", "Properties": {"PolicyDocument": document}}
        assert found_in({"One": one}) == {"role-key-by-alias"}
    for kind in ("Group", "User"):
        one = {"Type": f"AWS::IAM::{kind}", "Properties": {"Policies": [{"PolicyDocument": document}]}}
        assert found_in({"One": one}) == {"role-key-by-alias"}


# Wildcards.


@pytest.mark.parametrize(
    ("s3", "kms", "fires"),
    [
        ({"Resource": "*"}, {"Resource": "*"}, True),
        ({"Resource": "arn:aws:s3:::*"}, {"Resource": f"arn:aws:kms:*:{ACCOUNT}:key/*"}, True),
        ({"Resource": f"{DATA}/*"}, {"Resource": "*"}, False),
        ({"Resource": "arn:aws:s3:::acme-*"}, {"Resource": "*"}, False),
        ({"Resource": "*"}, {"Resource": KEY}, False),
        ({"Resource": "*"}, {"Resource": "*", "Condition": in_context(DATA)}, False),
        (
            {"Resource": "*", "Condition": {"StringEquals": {"s3:ExistingObjectTag/team": "reader"}}},
            {"Resource": "*"},
            False,
        ),
    ],
)
def test_what_names_a_bucket(s3: Json, kms: Json, *, fires: bool) -> None:
    found = found_in(world({"Action": "s3:GetObject", **s3}, {"Action": "kms:Decrypt", **kms}))
    assert found == ({"role-reads-by-wildcard"} if fires else set())


def test_a_wildcard_that_the_key_refuses() -> None:
    everything = {"Action": ["s3:*", "kms:*"], "Resource": "*"}
    refused = {"Effect": "Deny", "Principal": {"AWS": READER}, "Action": "kms:Decrypt"}
    assert found_in(world(everything)) == {"role-reads-by-wildcard"}
    assert found_in(world(everything, key_policy=(refused,))) == set()


# Trust.


def trusting(principal: object, action: str = "sts:AssumeRole", condition: Json | None = None) -> Json:
    statement = {"Principal": principal, "Action": action, **({"Condition": condition} if condition else {})}
    return {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": policy(statement)}}}


@pytest.mark.parametrize(
    ("principal", "condition", "fires"),
    [
        ("*", None, True),
        ({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, False),
        ({"AWS": "*"}, {"StringEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}}, False),
        ({"AWS": "*"}, {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}, False),
        ({"AWS": "*"}, {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/deployer"}}, True),
        ({"AWS": "*"}, {"StringLike": {"aws:PrincipalTag/team": "*"}}, True),
        ({"AWS": OTHER_ACCOUNT}, None, False),
        ({"Service": "lambda.amazonaws.com"}, None, False),
    ],
)
def test_who_assumes_a_role(principal: object, condition: Json | None, *, fires: bool) -> None:
    assert found_in(trusting(principal, condition=condition)) == ({"role-trusts-strangers"} if fires else set())


GITHUB = "token.actions.githubusercontent.com"
EKS = "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
OWN = "acme.okta.com"
COGNITO = "cognito-identity.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "condition", "fires"),
    [
        (GITHUB, {"StringLike": {f"{GITHUB}:sub": "repo:acme/*"}}, False),
        (GITHUB, {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}}, True),
        (GITHUB, {"StringLike": {f"{GITHUB}:sub": "repo:*"}}, True),
        (GITHUB, {"StringLike": {f"{GITHUB}:sub": "*"}}, True),
        (GITHUB, {"StringEquals": {f"{GITHUB}:repository_owner": "acme"}}, False),
        (EKS, {"StringEquals": {f"{EKS}:aud": "sts.amazonaws.com"}}, True),
        (EKS, {"StringEquals": {f"{EKS}:sub": "system:serviceaccount:default:reader"}}, False),
        (OWN, {"StringEquals": {f"{OWN}:aud": "0oa1b2c3d4"}}, False),
        (OWN, None, True),
        (COGNITO, {"StringEquals": {f"{COGNITO}:aud": "eu-central-1:1"}}, False),
        (COGNITO, {"ForAnyValue:StringLike": {f"{COGNITO}:amr": "authenticated"}}, True),
    ],
)
def test_federation(host: str, condition: Json | None, *, fires: bool) -> None:
    provider = host if host == COGNITO else f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"
    resources = trusting({"Federated": provider}, "sts:AssumeRoleWithWebIdentity", condition)
    assert found_in(resources) == ({"role-federation-unbound"} if fires else set())


def test_a_saml_provider_is_the_accounts_own() -> None:
    provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/acme"}
    assert found_in(trusting(provider, "sts:AssumeRoleWithSAML")) == set()


def test_trust_that_isnt_known() -> None:
    found, undecided = outcomes(trusting({"AWS": {"Fn::ImportValue": "elsewhere"}}))
    assert found == set()
    assert undecided == {"role-trusts-strangers"}


@pytest.mark.parametrize("odd", ["", [], {}, "*", 1, None, [None], {"a": "b"}, {"Fn::ImportValue": "x"}], ids=repr)
def test_nothing_odd_is_an_error(odd: object) -> None:
    for properties in ({"Policies": odd}, {"AssumeRolePolicyDocument": odd}, {"ManagedPolicyArns": odd}):
        outcomes(world(OBJECTS, role=properties))
    outcomes(world({"Action": odd, "Resource": odd}))
    outcomes({"Policy": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": odd, "Roles": odd}}})

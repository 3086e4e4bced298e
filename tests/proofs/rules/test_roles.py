"""Roles beside what the pairs show: keys and buckets that no template knows, contexts, trust; and that it is linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.inventory import Caller, Inventory
from cdk_encrypted_data.proofs.rules import access, key_contexts, roles
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data.proofs.subjects import candidates as pairing

ACCOUNT, OTHER_ACCOUNT, REGION = "111122223333", "444455556666", "eu-central-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
DATA, OTHER = "arn:aws:s3:::acme-data", "arn:aws:s3:::acme-data-two"
KEY = {"Fn::GetAtt": ["Key", "Arn"]}

Json = dict[str, Any]


def inventory_of(resources: Json, *, account: str | None = ACCOUNT) -> Inventory:
    stack = StackTemplate(id="Test", name="Test", template={"Resources": resources}, account=account, region=REGION)
    return Inventory(Assembly.of([stack]))


def outcomes(resources: Json, *, account: str | None = ACCOUNT) -> tuple[set[str], set[str]]:
    """Return the ids of the rules that found something, and of those that are undecided."""
    inventory, prover = inventory_of(resources, account=account), Prover()
    ended = [one for check in (*roles.CHECKS, *key_contexts.CHECKS) for one in check(inventory, prover)]
    found = {one.rule.id for one in ended if hasattr(one, "counterexample")}
    return found, {one.rule.id for one in ended if hasattr(one, "reason")}


def found_in(resources: Json) -> set[str]:
    found, undecided = outcomes(resources)
    assert undecided == set()
    return found


def policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


TRUST = policy({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})


def role(*grants: Json, name: str = "worker", trust: Json | None = None, **properties: object) -> Json:
    own: Json = {"Policies": [{"PolicyName": "Own", "PolicyDocument": policy(*grants)}]} if grants else {}
    said = {"RoleName": name, "AssumeRolePolicyDocument": trust or TRUST, **own, **properties}
    return {"Type": "AWS::IAM::Role", "Properties": said}


def bucket(name: str = "acme-data", key: object = KEY, algorithm: str = "aws:kms", **properties: object) -> Json:
    default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}
    rules = [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default}]
    encryption = {"BucketEncryption": {"ServerSideEncryptionConfiguration": rules}}
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **encryption, **properties}}


def key(*statements: Json) -> Json:
    said = statements or ({"Principal": {"AWS": ROOT}, "Action": "kms:*"},)
    return {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeyPolicy": policy(*({"Resource": "*", **one} for one in said))},
    }


def world(*grants: Json, key_policy: Sequence[Json] = (), algorithm: str = "aws:kms") -> Json:
    return {"Key": key(*key_policy), "Data": bucket(algorithm=algorithm), "Role": role(*grants)}


def in_context(*contexts: str) -> Json:
    return {"StringLike": {"kms:EncryptionContext:aws:s3:arn": list(contexts)}}


OBJECTS = {"Action": "s3:GetObject", "Resource": f"{DATA}/*"}
DECRYPT = {"Action": "kms:Decrypt", "Resource": KEY}
BOUND = {**DECRYPT, "Condition": in_context(DATA, f"{DATA}/*")}


# Keys and buckets that no template knows.


@pytest.mark.parametrize(
    ("grant", "reaches"),
    [
        ({"Action": "kms:Decrypt", "Resource": "*"}, True),
        ({"Action": "kms:ReEncryptFrom", "Resource": f"arn:aws:kms:*:{ACCOUNT}:key/*"}, True),
        ({"Action": "kms:ReEncrypt*", "Resource": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"}, True),
        ({"Action": "kms:GenerateDataKey", "Resource": "*"}, False),
        ({"Action": "kms:Decrypt", "Resource": f"arn:aws:kms:us-west-1:{ACCOUNT}:key/*"}, False),
        ({"Action": "kms:Decrypt", "Resource": f"arn:aws:kms:*:{OTHER_ACCOUNT}:key/*"}, False),
        ({"NotAction": "iam:*", "Resource": "*"}, True),
        ({"Action": "kms:*", "NotResource": f"arn:aws:kms:*:{ACCOUNT}:key/1"}, True),
    ],
)
def test_every_key(grant: Json, *, reaches: bool) -> None:
    assert ("role-on-every-key" in found_in({"Role": role(grant)})) is reaches


@pytest.mark.parametrize(
    ("condition", "reaches"),
    [
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/acme"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "acme"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}, False),
        ({"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}, True),
        # Data of one name, under whatever key.
        (in_context(DATA, f"{DATA}/*"), True),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, True),
    ],
)
def test_conditions_that_mean_some_keys(condition: Json, *, reaches: bool) -> None:
    grant = {"Action": "kms:Decrypt", "Resource": "*", "Condition": condition}
    assert ("role-on-every-key" in found_in({"Role": role(grant)})) is reaches


def test_a_deny_or_a_boundary_limits_it() -> None:
    everything = {"Action": "kms:*", "Resource": "*"}
    assert found_in({"Role": role(everything, {**everything, "Effect": "Deny"})}) == set()
    boundary = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy(OBJECTS)}}
    limited = role(everything, PermissionsBoundary={"Ref": "Boundary"})
    assert "role-on-every-key" not in found_in({"Role": limited, "Boundary": boundary})


@pytest.mark.parametrize(
    ("grant", "reaches"),
    [
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}, True),
        ({"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::*/*"}, True),
        ({"Action": "s3:ListBucket", "Resource": "*"}, True),
        ({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::acme-*"}, False),
        ({"Action": "s3:ListAllMyBuckets", "Resource": "*"}, False),
        ({"Action": "s3:PutBucketNotification", "Resource": "*"}, False),
    ],
)
def test_every_bucket(grant: Json, *, reaches: bool) -> None:
    assert ("role-on-every-bucket" in found_in({"Role": role(grant)})) is reaches


def test_a_managed_policy_that_nobody_has_yet() -> None:
    document = policy({"Action": "kms:Decrypt", "Resource": "*"})
    assert found_in({"Own": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}}) == {
        "role-on-every-key"
    }


# What protects a bucket.


@pytest.mark.parametrize(
    ("grants", "changes"),
    [
        (({"Action": "s3:*", "Resource": [DATA, f"{DATA}/*"]},), True),
        ((OBJECTS, {"Action": "s3:PutEncryptionConfiguration", "Resource": DATA}), True),
        ((OBJECTS, {"Action": "s3:Put*", "Resource": "arn:aws:s3:::acme-*"}), True),
        # It has effect on locked objects only.
        (({"Action": "s3:*", "Resource": f"{DATA}/*"},), False),
        # Who deploys administers.
        (({"Action": "s3:*", "Resource": DATA},), False),
        ((OBJECTS, {"Action": "s3:PutBucketPolicy", "Resource": OTHER}), False),
        ((OBJECTS, {"Action": ["s3:GetBucketPolicy", "s3:ListBucket"], "Resource": DATA}), False),
    ],
)
def test_who_works_with_data_changes_no_protection(grants: Sequence[Json], *, changes: bool) -> None:
    resources = {"Data": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "acme-data"}}, "Role": role(*grants)}
    assert found_in(resources) == ({"role-changes-protection"} if changes else set())


def test_locked_objects() -> None:
    whole = {"Action": "s3:*", "Resource": f"{DATA}/*"}
    locked = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "acme-data", "ObjectLockEnabled": True}}
    assert found_in({"Data": locked, "Role": role(whole)}) == {"role-changes-protection"}
    assert found_in({"Data": locked, "Role": role(OBJECTS)}) == set()


# Contexts.


@pytest.mark.parametrize(
    ("contexts", "one_form"),
    [
        ((DATA, f"{DATA}/*"), False),
        ((f"{DATA}*",), False),
        ((DATA,), True),
        ((f"{DATA}/*",), True),
        # Of some objects, in both forms.
        ((DATA, f"{DATA}/reports/*"), False),
        ((DATA, f"{DATA}/${{aws:PrincipalTag/team}}/*"), False),
        ((f"{DATA}/reports/*",), True),
        ((OTHER,), False),
    ],
)
def test_both_forms(contexts: Sequence[str], *, one_form: bool) -> None:
    found = found_in(world(OBJECTS, {**DECRYPT, "Condition": in_context(*contexts)}))
    assert ("role-one-form-of-context" in found) is one_form


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_dsse_has_one_form_only(algorithm: str) -> None:
    single = {**DECRYPT, "Condition": in_context(f"{DATA}/*")}
    found = found_in(world(OBJECTS, single, algorithm=algorithm))
    assert ("role-one-form-of-context" in found) is (algorithm == "aws:kms")


def test_what_the_key_refuses_is_no_fault_of_the_role() -> None:
    account = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Condition": in_context(DATA)}
    assert found_in(world(OBJECTS, BOUND, key_policy=[account])) == {"key-one-form-of-context"}
    both = {**account, "Condition": in_context(DATA, f"{DATA}/*")}
    assert found_in(world(OBJECTS, BOUND, key_policy=[both])) == set()


@pytest.mark.parametrize(
    ("grants", "fires"),
    [
        ((BOUND,), True),
        ((DECRYPT,), True),
        ((BOUND, OBJECTS), False),
        ((BOUND, {"Action": "s3:ReplicateObject", "Resource": f"{DATA}/*"}), False),
        ((BOUND, {"Action": "s3:GetObject", "Resource": f"{DATA}/reports/*"}), False),
        ((BOUND, {"Action": "s3:GetObject", "Resource": f"{OTHER}/*"}), True),
        # Through another service it is for something else.
        (
            (
                {
                    **DECRYPT,
                    "Condition": {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}},
                },
            ),
            False,
        ),
        # Not granted for this key.
        (({"Action": "kms:Decrypt", "Resource": "*"},), False),
        # The objects' half may be of an access point.
        ((BOUND, {"Action": "s3:*", "Resource": f"arn:aws:s3:{REGION}:{ACCOUNT}:accesspoint/a/object/*"}), False),
    ],
)
def test_a_key_without_data(grants: Sequence[Json], *, fires: bool) -> None:
    assert ("role-key-without-data" in found_in(world(*grants))) is fires


def test_data_by_the_buckets_policy() -> None:
    resources = world(BOUND)
    assert found_in(resources) == {"role-key-without-data"}
    reader = {"Principal": {"AWS": {"Fn::GetAtt": ["Role", "Arn"]}}, **OBJECTS}
    properties = {"Bucket": {"Ref": "Data"}, "PolicyDocument": policy(reader)}
    assert found_in({**resources, "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": properties}}) == set()


def test_one_key_for_two_buckets() -> None:
    resources = {**world(OBJECTS, DECRYPT), "More": bucket("acme-data-two")}
    # Which of the two the key is for, the role doesn't say.
    assert found_in(resources) == {"role-key-not-bound"}
    both = {**DECRYPT, "Condition": in_context(DATA, f"{DATA}/*", OTHER, f"{OTHER}/*")}
    assert found_in({**resources, "Role": role(OBJECTS, both)}) == {"role-key-without-data"}


def test_objects_that_hang_on_who_asks() -> None:
    own = {**DECRYPT, "Condition": in_context(DATA, f"{DATA}/${{aws:username}}/*")}
    found, undecided = outcomes(world(OBJECTS, own))
    assert "role-one-form-of-context" not in found
    assert "role-one-form-of-context" in undecided


# Trust.

FEDERATED = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
SAML = {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/acme"}
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/alice"


@pytest.mark.parametrize(
    ("statement", "assumable"),
    [
        ({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}, True),
        ({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:TagSession"}, False),
        ({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRoleWithSAML"}, False),
        ({"Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}, True),
        ({"Principal": {"AWS": OTHER_ACCOUNT}, "Action": "sts:AssumeRole"}, True),
        ({"Principal": {"AWS": SESSION}, "Action": "sts:AssumeRole"}, True),
        ({"Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}, True),
        (
            {
                "Principal": {"AWS": "*"},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/sso/*"}},
            },
            True,
        ),
        (
            {
                "Principal": {"AWS": ROOT},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"sts:ExternalId": "a1b2c3"},
                    "Bool": {"aws:MultiFactorAuthPresent": "true"},
                },
            },
            True,
        ),
        ({"Principal": FEDERATED, "Action": "sts:AssumeRole"}, False),
        (
            {
                "Principal": FEDERATED,
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
            },
            True,
        ),
        (
            {
                "Principal": SAML,
                "Action": "sts:AssumeRoleWithSAML",
                "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
            },
            True,
        ),
        ({"Effect": "Deny", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}, False),
    ],
)
def test_who_can_assume(statement: Json, *, assumable: bool) -> None:
    assert found_in({"Role": role(trust=policy(statement))}) == (set() if assumable else {"role-not-assumable"})


@pytest.mark.parametrize("kind", ["AWS", "Federated"])
def test_trust_that_nobody_knows_yet(kind: str) -> None:
    unknown = {"Fn::ImportValue": "Somebody"}
    statement = {"Principal": {kind: unknown}, "Action": "sts:AssumeRoleWithWebIdentity"}
    assert outcomes({"Role": role(trust=policy(statement))}) == (set(), {"role-not-assumable"})


# As many questions as there are statements.


def fleet(size: int) -> Json:
    resources: Json = {}
    for number in range(size):
        name = f"acme-{number}"
        arn = f"arn:aws:s3:::{name}"
        of_key = {"Fn::GetAtt": [f"Key{number}", "Arn"]}
        resources[f"Key{number}"] = key()
        resources[f"Data{number}"] = bucket(name, of_key)
        resources[f"Role{number}"] = role(
            {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/*"},
            {"Action": _USE, "Resource": of_key, "Condition": in_context(arn, f"{arn}/*")},
            name=f"worker-{number}",
        )
    return resources


_USE = ["kms:Decrypt", "kms:GenerateDataKey"]
CHECKS = (*access.CHECKS, *roles.CHECKS, *key_contexts.CHECKS)


def requests(size: int) -> int:
    inventory, prover = inventory_of(fleet(size)), Prover()
    assert [one for check in CHECKS for one in check(inventory, prover)] == []
    return prover.requests


def test_a_fleet_takes_requests_in_proportion() -> None:
    ten, thirty = requests(10), requests(30)
    assert thirty <= 3 * ten


def mixed() -> Json:
    """Return roles of every kind: by name, by prefix, by wildcard, by a bucket's policy, by a doubtful one."""
    resources = fleet(3)
    reader = {"Fn::GetAtt": ["Role1", "Arn"]}
    named = policy(
        {"Principal": {"AWS": reader}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-0/*"},
        {
            "Principal": {"AWS": {"Fn::ImportValue": "Somebody"}},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::acme-0/a/*",
        },
    )
    everyone = policy({"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-1/*"})
    account = policy({"Principal": {"AWS": ROOT}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-2/*"})
    for number, document in enumerate((named, everyone, account)):
        properties = {"Bucket": {"Ref": f"Data{number}"}, "PolicyDocument": document}
        resources[f"Policy{number}"] = {"Type": "AWS::S3::BucketPolicy", "Properties": properties}
    for name, resource in (
        ("prefix", "arn:aws:s3:::acme-*"),
        ("wild", "*"),
        ("tail", "arn:aws:s3:::*-2/*"),
        ("variable", "arn:aws:s3:::${aws:PrincipalTag/team}/*"),
        ("short", "arn:aws:s3"),
        ("unknown", {"Fn::ImportValue": "Something"}),
        ("longer", "arn:aws:s3:::acme-10/*"),
    ):
        resources[name] = role({"Action": "s3:*", "Resource": resource}, name=name)
    # It reads what a bucket's policy opens to everybody.
    resources["keys"] = role({"Action": "kms:Decrypt", "Resource": "*"}, name="keys")
    resources["other"] = role({"Action": "s3:*", "NotResource": "arn:aws:s3:::acme-0/*"}, name="other")
    return resources


def everybody(callers: Sequence[Caller], things: Sequence[Any], _actions: object) -> dict[str, list[Caller]]:
    return {thing.arn: list(callers) for thing in things}


def test_no_pair_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = inventory_of(mixed())

    def said() -> tuple[list[tuple[str, str, str]], int]:
        prover = Prover()
        ended = [one for check in CHECKS for one in check(inventory, prover)]
        return [
            (one.rule.id, one.resource.logical_id, getattr(one, "counterexample", "") or getattr(one, "reason", ""))
            for one in ended
        ], prover.requests

    quick, few = said()
    for module in (access, roles, key_contexts):
        monkeypatch.setattr(module, "candidates", everybody)
    slow, many = said()
    assert quick == slow
    assert len({rule for rule, _, _ in quick}) > 3
    assert few < many


def test_a_pattern_finds_what_it_may_match() -> None:
    arns = pairing.Arns([DATA, OTHER, "arn:aws:s3:::other"])
    assert set(arns.like(f"{DATA}/reports/*")) == {DATA}
    assert set(arns.like(DATA)) == {DATA}
    assert set(arns.like(f"{DATA}*")) == {DATA, OTHER}
    assert set(arns.like("arn:aws:s3:::acme-data-t?o/x")) == {OTHER}
    assert set(arns.like("*")) == {DATA, OTHER, "arn:aws:s3:::other"}

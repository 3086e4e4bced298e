"""Customer from customer: what counts as a customer, that all pairs are covered, and at what cost."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Undecidable
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import isolation as rules
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data.proofs.subjects import customers

ACCOUNT, REGION = "111122223333", "eu-west-1"
Template = dict[str, Any]
GLUE_ROLE = "arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def arn_of(name: str) -> Template:
    return {"Fn::GetAtt": [name, "Arn"]}


def inside(bucket: str) -> Template:
    return {"Fn::Sub": f"${{{bucket}.Arn}}/*"}


def document(*statements: Template) -> Template:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(*actions: str, on: object = "*", to: object = None, where: object = None) -> Template:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return statement | ({} if to is None else {"Principal": to}) | ({} if where is None else {"Condition": where})


def deny(*actions: str, on: object = "*", to: object = None, where: object = None) -> Template:
    return {**allow(*actions, on=on, to=to, where=where), "Effect": "Deny"}


def own(name: str) -> list[Template]:
    """Return what a customer's role needs, and no more."""
    return [
        allow("s3:GetObject", "s3:PutObject", "s3:DeleteObject", on=inside(f"{name}Data")),
        allow("s3:ListBucket", on=arn_of(f"{name}Data")),
        allow("kms:Decrypt", "kms:GenerateDataKey", on=arn_of(f"{name}Key")),
        allow("secretsmanager:GetSecretValue", on={"Ref": f"{name}Secret"}),
    ]


def customer(
    name: str,
    *statements: Template,
    key: Iterable[Template] = (),
    bucket: Iterable[Template] = (),
    managed: Sequence[str] = (),
    tags: object = None,
    script: str = "job.py",
) -> Template:
    """Return a customer's resources: its own and what is added."""
    trust = allow("sts:AssumeRole", to={"Service": "glue.amazonaws.com"})
    del trust["Resource"]
    pairs = [{"Key": one, "Value": value} for one, value in (tags or {}).items()] if isinstance(tags, dict) else []
    role = {
        "AssumeRolePolicyDocument": document(trust),
        "ManagedPolicyArns": list(managed),
        "Policies": [{"PolicyName": "Work", "PolicyDocument": document(*own(name), *statements)}],
        "Tags": pairs,
    }
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn_of(f"{name}Key")}
    rule = {"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    configuration = {"S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": arn_of(f"{name}Key")}]}
    job = {
        "Role": arn_of(f"{name}Role"),
        "Command": {"Name": "glueetl", "ScriptLocation": {"Fn::Sub": f"s3://${{{name}Data}}/{script}"}},
        "SecurityConfiguration": {"Ref": f"{name}Security"},
    }
    made: Template = {
        f"{name}Key": {
            "Type": "AWS::KMS::Key",
            "Properties": {"KeyPolicy": document(allow("kms:*", to=ROOT), *key), "Tags": pairs},
        },
        f"{name}Data": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]}, "Tags": pairs},
        },
        f"{name}Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"KmsKeyId": arn_of(f"{name}Key"), "Tags": pairs},
        },
        f"{name}Role": {"Type": "AWS::IAM::Role", "Properties": role},
        f"{name}Security": {
            "Type": "AWS::Glue::SecurityConfiguration",
            "Properties": {"Name": name, "EncryptionConfiguration": configuration},
        },
        f"{name}Job": {"Type": "AWS::Glue::Job", "Properties": job},
    }
    statements_ = [*bucket]
    if statements_:
        properties = {"Bucket": {"Ref": f"{name}Data"}, "PolicyDocument": document(*statements_)}
        made[f"{name}Policy"] = {"Type": "AWS::S3::BucketPolicy", "Properties": properties}
    return made


def inventory(*parts: Template) -> Inventory:
    """Resolve them, forty parts a stack."""
    stacks = [
        StackTemplate(
            id=f"Stack{start}",
            name=f"Stack{start}",
            template={"Resources": {name: one for part in parts[start : start + 40] for name, one in part.items()}},
            account=ACCOUNT,
            region=REGION,
        )
        for start in range(0, len(parts), 40)
    ]
    return Inventory(Assembly.of(stacks))


def matrix(*parts: Template) -> customers.Matrix:
    return customers.matrix(inventory(*parts), Prover())


def outcomes(*parts: Template) -> list[Outcome]:
    known, prover = inventory(*parts), Prover()
    return [one for check in rules.CHECKS for one in check(known, prover)]


def test_customers_that_share_nothing_reach_nothing() -> None:
    found = matrix(customer("Acme"), customer("Globex"), customer("Initech"))
    assert found.customers == ("AcmeJob", "GlobexJob", "InitechJob")
    assert (found.pairs, found.reached, found.undecided) == (6, {}, frozenset())
    assert outcomes(customer("Acme"), customer("Globex")) == []


def test_the_matrix_says_who_reaches_whom_by_what() -> None:
    acme, globex = customer("Acme"), customer("Globex", *own("Acme"))
    found = matrix(acme, globex, customer("Initech"))
    assert found.reached == {
        ("GlobexJob", "AcmeJob"): ("decrypt with", "encrypt with", "read", "write to", "delete from", "list")
    }
    findings = [one for one in outcomes(acme, globex) if isinstance(one, Finding)]
    assert {one.resource.logical_id for one in findings} == {"AcmeKey", "AcmeData", "AcmeSecret"}
    assert all("customer GlobexJob" in one.counterexample for one in findings)
    assert all("customer AcmeJob's alone" in one.counterexample for one in findings)


# Who is a customer.


def test_stages_of_a_pipeline_are_no_customers() -> None:
    later = customer("Publish", *own("Ingest"), script="publish.py")
    assert matrix(customer("Ingest", script="ingest.py"), later).customers == ()
    assert outcomes(customer("Ingest", script="ingest.py"), later) == []


def test_jobs_that_share_a_key_or_a_role_are_one_customers() -> None:
    acme, second = customer("Acme"), customer("Second", *own("Acme"))
    mode = second["SecondSecurity"]["Properties"]["EncryptionConfiguration"]["S3Encryptions"][0]
    mode["KmsKeyArn"] = arn_of("AcmeKey")
    assert matrix(acme, second).customers == ()
    found = matrix(acme, second, customer("Globex", *own("Second")))
    assert found.customers == ("AcmeJob", "GlobexJob")
    second = customer("Second")
    second["SecondJob"]["Properties"]["Role"] = arn_of("AcmeRole")
    assert matrix(acme, second).customers == ()


def test_a_third_job_may_show_that_two_are_one_customers() -> None:
    acme, second, third = customer("Acme"), customer("Second"), customer("Third")
    third["ThirdJob"]["Properties"]["Role"] = arn_of("AcmeRole")
    mode = third["ThirdSecurity"]["Properties"]["EncryptionConfiguration"]["S3Encryptions"][0]
    mode["KmsKeyArn"] = arn_of("SecondKey")
    assert matrix(acme, second, third).customers == ()


def test_tags_say_whose_a_job_is() -> None:
    acme, globex = customer("Acme", script="acme.py"), customer("Globex", *own("Acme"), script="globex.py")
    acme["AcmeJob"]["Properties"]["Tags"] = {"acme:customer": "Acme Corp."}
    globex["GlobexJob"]["Properties"]["Tags"] = {"Customer": "Globex"}
    assert set(matrix(acme, globex).reached) == {("Globex", "Acme Corp.")}
    globex["GlobexJob"]["Properties"]["Tags"] = {"Customer": "Acme Corp."}
    assert matrix(acme, globex).customers == ()


def test_what_several_customers_use_is_nobodys_alone() -> None:
    shared = {"Scripts": {"Type": "AWS::S3::Bucket"}}
    read = allow("s3:GetObject", on=inside("Scripts"))
    parts = [customer("Acme", read), customer("Globex", read)]
    for part, name in zip(parts, ("Acme", "Globex"), strict=True):
        part[f"{name}Job"]["Properties"]["Command"]["ScriptLocation"] = {"Fn::Sub": "s3://${Scripts}/job.py"}
    found = matrix(shared, *parts)
    assert (found.customers, found.reached) == (("AcmeJob", "GlobexJob"), {})


def test_replicas_of_a_key_are_its_customers_too() -> None:
    primary = {"Fn::GetStackOutput": {"StackName": "Home", "OutputName": "Key", "Region": REGION}}
    policy = document(allow("kms:*", to=ROOT))
    replica = {"Type": "AWS::KMS::ReplicaKey", "Properties": {"PrimaryKeyArn": primary, "KeyPolicy": policy}}
    away = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/*"
    home = {"Resources": {**customer("Acme"), **customer("Globex", allow("kms:Decrypt", on=away))}}
    home["Outputs"] = {"Key": {"Value": arn_of("AcmeKey")}}
    stacks = [
        StackTemplate(id="Home", name="Home", template=home, account=ACCOUNT, region=REGION),
        StackTemplate(
            id="Away", name="Away", template={"Resources": {"Replica": replica}}, account=ACCOUNT, region="us-west-2"
        ),
    ]
    reached = customers.matrix(Inventory(Assembly.of(stacks)), Prover()).reached
    assert reached == {("GlobexJob", "AcmeJob"): ("decrypt with",)}
    assert customers.matrix(Inventory(Assembly.of(stacks[:1])), Prover()).reached == {}


def test_customers_of_one_name_are_told_apart_by_their_stacks() -> None:
    stacks = [
        StackTemplate(id=name, name=name, template={"Resources": customer("Acme")}, account=ACCOUNT, region=region)
        for name, region in (("Home", REGION), ("Away", "us-west-2"))
    ]
    found = customers.matrix(Inventory(Assembly.of(stacks)), Prover())
    assert found.customers == ("AcmeJob of Home", "AcmeJob of Away")


# What reaches.


def test_half_of_reading_is_no_reading() -> None:
    objects = allow("s3:GetObject", on=inside("AcmeData"))
    assert matrix(customer("Acme"), customer("Globex", objects)).reached == {}
    closed = allow(
        "kms:Decrypt", on=arn_of("AcmeKey"), where={"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
    )
    found = matrix(customer("Acme"), customer("Globex", objects, closed))
    assert found.reached == {("GlobexJob", "AcmeJob"): ("decrypt with", "read")}


def test_writing_takes_no_key_where_the_bucket_takes_other_encryption() -> None:
    globex = customer("Globex", allow("s3:PutObject", on=inside("AcmeData")))
    assert matrix(customer("Acme"), globex).reached == {("GlobexJob", "AcmeJob"): ("write to",)}
    other = deny(
        "s3:PutObject",
        on=inside("AcmeData"),
        to="*",
        where={
            "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
            "Null": {"s3:x-amz-server-side-encryption": "false"},
        },
    )
    assert matrix(customer("Acme", bucket=[other]), globex).reached == {}


def test_a_role_that_reaches_some_names_of_objects_reaches() -> None:
    objects = allow("s3:DeleteObject", on={"Fn::Sub": "${AcmeData.Arn}/exports/2026-??/*"})
    assert set(matrix(customer("Acme"), customer("Globex", objects)).reached) == {("GlobexJob", "AcmeJob")}


def test_the_managed_policy_of_glue_reaches_into_every_bucket_of_the_account() -> None:
    found = matrix(customer("Acme"), customer("Globex", managed=[GLUE_ROLE]))
    assert found.reached == {("GlobexJob", "AcmeJob"): ("write to", "delete from", "list")}
    only = deny(
        "s3:*",
        on=[arn_of("AcmeData"), inside("AcmeData")],
        to="*",
        where={"ArnNotEquals": {"aws:PrincipalArn": arn_of("AcmeRole")}},
    )
    assert matrix(customer("Acme", bucket=[only]), customer("Globex", managed=[GLUE_ROLE])).reached == {}


def test_a_key_that_everybody_may_use_through_a_service_is_reached_through_that_services_resources() -> None:
    everybody = allow(
        "kms:Decrypt",
        "kms:GenerateDataKey",
        to={"AWS": "*"},
        where={"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:CallerAccount": ACCOUNT}},
    )
    acme = customer("Acme", key=[everybody])
    assert matrix(acme, customer("Globex")).reached == {}
    found = matrix(acme, customer("Globex", allow("s3:GetObject", on="*")))
    assert found.reached == {("GlobexJob", "AcmeJob"): ("read",)}


def test_tags_of_both_sides_are_known() -> None:
    same = {"StringEquals": {"aws:ResourceTag/customer": "${aws:PrincipalTag/customer}"}}
    decrypt = allow("kms:Decrypt", where=same)
    acme = customer("Acme", decrypt, tags={"customer": "acme"})
    assert matrix(acme, customer("Globex", decrypt, tags={"customer": "globex"})).reached == {}
    assert matrix(acme, customer("Globex", decrypt, tags={"customer": "acme"})).reached == {
        ("AcmeJob", "GlobexJob"): ("decrypt with",),
        ("GlobexJob", "AcmeJob"): ("decrypt with",),
    }
    many = [customer(f"C{number}", decrypt, tags={"customer": f"c{number}"}) for number in range(12)]
    assert matrix(*many).reached == {}
    many[3] = customer("C3", decrypt, tags={"customer": "c7"})
    assert set(matrix(*many).reached) == {("C3Job", "C7Job"), ("C7Job", "C3Job")}


def test_aliases_of_a_key_are_known() -> None:
    where = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/globex"}}
    alias: Template = {
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": "alias/globex", "TargetKeyId": {"Ref": "GlobexKey"}},
        }
    }
    globex = customer("Globex", allow("kms:Decrypt", where=where))
    assert matrix(customer("Acme"), globex, alias).reached == {}
    alias["Alias"]["Properties"]["TargetKeyId"] = {"Ref": "AcmeKey"}
    assert set(matrix(customer("Acme"), globex, alias).reached) == {("GlobexJob", "AcmeJob")}


def test_what_is_undecided_is_said_so() -> None:
    unknown = customer("Globex", managed=["arn:aws:iam::111122223333:policy/somewhere-else"])
    found = matrix(customer("Acme"), unknown)
    assert found.reached == {}
    assert found.undecided == {("GlobexJob", "AcmeJob")}
    assert {type(one) for one in outcomes(customer("Acme"), unknown)} == {Undecidable}
    # Certain of one, a doubt of another: both are said.
    three = [customer("Acme"), unknown, customer("Initech", *own("Acme"))]
    found = matrix(*three)
    assert set(found.reached) == {("InitechJob", "AcmeJob")}
    assert ("GlobexJob", "AcmeJob") in found.undecided
    assert {one.resource.logical_id for one in outcomes(*three) if isinstance(one, Finding)} == {
        "AcmeKey",
        "AcmeData",
        "AcmeSecret",
    }


# All pairs, without asking about all pairs.

NAMES = [f"Customer{number}" for number in range(9)]


def randomly(seed: int) -> list[Template]:
    """Return customers with statements that reach others in many ways."""
    rng = random.Random(seed)  # noqa: S311 - no secret hangs on it

    def other() -> str:
        return rng.choice(NAMES)

    def reaching() -> Template:
        wild = [
            {"Fn::Sub": "arn:aws:s3:::*"},
            {"Fn::Sub": f"${{{other()}Data.Arn}}/*"},
            inside(f"{other()}Data"),
            [inside(f"{other()}Data"), arn_of(f"{other()}Data")],
            "arn:aws:s3:::*/exports/*",
        ]
        keys = ["*", arn_of(f"{other()}Key"), f"arn:aws:kms:*:{ACCOUNT}:key/*", f"arn:aws:kms:{REGION}"]
        s3 = rng.choice(["s3:GetObject", "s3:*", "s3:PutObject", "s3:ListBucket"])
        actions, on = rng.choice([(s3, rng.choice(wild)), ("kms:Decrypt", rng.choice(keys))])
        return rng.choice([allow, allow, deny])(actions, on=on)

    def guarding(name: str) -> list[Template]:
        everything = [arn_of(f"{name}Data"), inside(f"{name}Data")]
        return rng.sample(
            [
                deny(
                    "s3:*", on=everything, to="*", where={"ArnNotEquals": {"aws:PrincipalArn": arn_of(f"{name}Role")}}
                ),
                deny(
                    "s3:*",
                    on=everything,
                    to="*",
                    where={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*role-*"}},
                ),
                deny("s3:*", on=everything, to={"AWS": arn_of(f"{other()}Role")}),
                allow("s3:GetObject", on=inside(f"{name}Data"), to={"AWS": arn_of(f"{other()}Role")}),
                allow("s3:ListBucket", on=arn_of(f"{name}Data"), to="*"),
            ],
            rng.choice([0, 0, 1, 2]),
        )

    shared = [allow("s3:PutObject", on="arn:aws:s3:::*"), allow("s3:GetObject")]
    return [
        customer(
            name,
            *(reaching() for _ in range(rng.choice([0, 0, 1, 3]))),
            *(shared if rng.random() < 0.4 else ()),
            bucket=guarding(name),
            managed=[GLUE_ROLE] if rng.random() < 0.4 else [],
        )
        for name in NAMES
    ]


@pytest.mark.parametrize("seed", range(12))
def test_classes_of_roles_decide_what_each_role_would(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = randomly(seed)
    factored = matrix(*parts)

    def each(self: customers._Roles, owner: customers.Customer, _thing: object) -> Iterable[tuple[list[Any], bool]]:
        return (([role], True) for role in self._roles if role.customer is not owner)

    monkeypatch.setattr("cdk_encrypted_data.proofs.subjects.customers._Roles.about", each)
    assert matrix(*parts) == factored
    assert factored.reached


def requests(count: int, managed: Sequence[str]) -> tuple[int, int]:
    prover = Prover()
    parts = [customer(f"Customer{number}", managed=managed) for number in range(count)]
    found = customers.matrix(inventory(*parts), prover)
    return prover.requests, found.pairs


@pytest.mark.parametrize("managed", [[], [GLUE_ROLE]])
def test_decisions_grow_with_the_customers_and_not_with_their_pairs(managed: list[str]) -> None:
    (few, few_pairs), (many, many_pairs) = (requests(count, managed) for count in (20, 100))
    assert (few_pairs, many_pairs) == (20 * 19, 100 * 99)
    assert many <= 5 * few
    if managed:
        assert few > 0


def test_five_hundred_customers() -> None:
    parts = [customer(f"Customer{number}", managed=[GLUE_ROLE]) for number in range(500)]
    parts[7] = customer("Customer7", *own("Customer11"))
    prover = Prover()
    found = customers.matrix(inventory(*parts[:1], *parts[1:]), prover)
    assert found.pairs == 500 * 499
    assert "read" in found.reached["Customer7Job", "Customer11Job"]
    assert all("read" not in verbs for pair, verbs in found.reached.items() if pair[0] != "Customer7Job")
    assert prover.requests < 500 * 20


# Assuming.


def role(*statements: Template, trusts: object) -> Template:
    trust = allow("sts:AssumeRole", to=trusts)
    del trust["Resource"]
    policies = [{"PolicyName": "Work", "PolicyDocument": document(*statements)}] if statements else []
    properties = {"AssumeRolePolicyDocument": document(trust), "Policies": policies}
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def data(**roles: Template) -> Template:
    acme = customer("Acme")
    return {name: acme[name] for name in ("AcmeKey", "AcmeData")} | roles


READ = [allow("s3:GetObject", on=inside("AcmeData")), allow("kms:Decrypt", on=arn_of("AcmeKey"))]
EC2 = {"Service": "ec2.amazonaws.com"}


def fired(*parts: Template) -> dict[str, list[str]]:
    by_rule: dict[str, list[str]] = {}
    for one in outcomes(*parts):
        assert isinstance(one, Finding)
        by_rule.setdefault(one.rule.id, []).append(one.resource.logical_id)
    return by_rule


ASSUMED = "data-reached-by-assuming"
ASSUME = allow("sts:AssumeRole")


@pytest.mark.parametrize(
    ("trusts", "statements", "fires"),
    [
        (ROOT, [ASSUME], True),
        (ROOT, [], False),
        (ROOT, [ASSUME, *READ], False),
        (ROOT, [ASSUME, deny("sts:AssumeRole")], False),
        ({"AWS": arn_of("Web")}, [], True),
        ({"AWS": arn_of("Other")}, [ASSUME], False),
        (EC2, [ASSUME], False),
    ],
)
def test_assuming(trusts: object, statements: list[Template], fires: bool) -> None:  # noqa: FBT001
    template = data(Reader=role(*READ, trusts=trusts), Web=role(*statements, trusts=EC2), Other=role(trusts=EC2))
    assert ("Web" in fired(template).get(ASSUMED, [])) == fires


def test_chains_end_and_are_the_shortest() -> None:
    template = data(
        A=role(ASSUME, trusts={"AWS": [arn_of("B"), arn_of("C")]}),
        B=role(ASSUME, trusts={"AWS": [arn_of("A"), arn_of("C")]}),
        C=role(ASSUME, *READ, trusts={"AWS": arn_of("B")}),
    )
    assert {rule: sorted(who) for rule, who in fired(template).items()} == {ASSUMED: ["A", "B"]}
    (far,) = (one for one in outcomes(template) if one.resource.logical_id == "A")
    assert isinstance(far, Finding)
    assert far.counterexample.count("sts:AssumeRole") == 2


def test_users_and_their_groups_assume_too() -> None:
    template = data(
        Reader=role(*READ, trusts=ROOT),
        User={"Type": "AWS::IAM::User", "Properties": {"Groups": [{"Ref": "Group"}]}},
        Group={
            "Type": "AWS::IAM::Group",
            "Properties": {"Policies": [{"PolicyName": "Assume", "PolicyDocument": document(ASSUME)}]},
        },
    )
    assert fired(template) == {ASSUMED: ["User"]}


def test_a_trust_that_is_not_known_is_undecided() -> None:
    unknown = {"Fn::GetAtt": ["Custom", "Arn"]}
    template = data(
        Reader=role(*READ, trusts={"AWS": unknown}),
        Web=role(ASSUME, trusts=EC2),
        Custom={"Type": "Custom::Thing", "Properties": {"ServiceToken": "x"}},
    )
    assert [(type(one), one.rule.id) for one in outcomes(template)] == [(Undecidable, ASSUMED)]


# Granting oneself.

GRANTED = "data-self-granted"
FETCH, DECRYPT = READ


@pytest.mark.parametrize(
    ("statements", "fires"),
    [
        ([FETCH, allow("kms:PutKeyPolicy")], True),
        ([FETCH, allow("kms:CreateGrant")], True),
        ([FETCH, allow("kms:CreateGrant", where={"Bool": {"kms:GrantIsForAWSResource": "true"}})], False),
        (
            [
                FETCH,
                allow(
                    "kms:CreateGrant", where={"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}}
                ),
            ],
            False,
        ),
        ([DECRYPT, allow("s3:PutBucketPolicy")], True),
        ([allow("s3:PutBucketPolicy")], False),
        ([allow("kms:PutKeyPolicy")], False),
        ([allow("s3:PutBucketPolicy"), allow("kms:CreateGrant")], True),
        ([allow("iam:PutRolePolicy")], True),
        ([allow("iam:AttachRolePolicy")], True),
        (
            [allow("iam:AttachRolePolicy", where={"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnly*"}})],
            False,
        ),
        ([allow("iam:PutRolePolicy", on=arn_of("Other"))], False),
        ([allow("iam:PutRolePolicy"), deny("kms:*")], False),
        # What reads already needs no change.
        ([*READ, allow("kms:PutKeyPolicy")], False),
        # A key's own deny outlives a grant, and not another policy.
        ([FETCH, deny("kms:Decrypt"), allow("kms:PutKeyPolicy", "kms:CreateGrant")], False),
    ],
)
def test_granting_oneself(statements: list[Template], fires: bool) -> None:  # noqa: FBT001
    template = data(Web=role(*statements, trusts=EC2), Other=role(trusts=EC2))
    assert fired(template) == ({GRANTED: ["Web"]} if fires else {})


@pytest.mark.parametrize(("action", "fires"), [("kms:CreateGrant", False), ("kms:PutKeyPolicy", True)])
def test_a_deny_of_the_key_outlives_a_grant_only(action: str, fires: bool) -> None:  # noqa: FBT001
    template = data(Web=role(FETCH, DECRYPT, allow(action), trusts=EC2))
    refused = deny("kms:Decrypt", to={"AWS": arn_of("Web")})
    template["AcmeKey"]["Properties"]["KeyPolicy"] = document(allow("kms:*", to=ROOT), refused)
    assert fired(template) == ({GRANTED: ["Web"]} if fires else {})


def test_a_boundary_limits_what_one_grants_oneself() -> None:
    template = data(Web=role(FETCH, allow("iam:PutRolePolicy"), trusts=EC2))
    assert fired(template) == {GRANTED: ["Web"]}
    limits = document(allow("s3:*"), allow("iam:*"))
    template["Limits"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": limits}}
    template["Web"]["Properties"]["PermissionsBoundary"] = {"Ref": "Limits"}
    assert fired(template) == {}


def test_who_may_change_is_undecided_with_a_policy_that_nobody_knows() -> None:
    template = data(Web=role(trusts=EC2))
    template["Web"]["Properties"]["ManagedPolicyArns"] = ["arn:aws:iam::111122223333:policy/somewhere-else"]
    assert [(type(one), one.rule.id) for one in outcomes(template)] == [(Undecidable, GRANTED)]


def test_what_may_need_no_change_is_undecided() -> None:
    unknown = {"StringEquals": {"aws:SourceVpce": {"Fn::GetAtt": ["Custom", "Value"]}}}
    template = data(
        Web=role({**FETCH, "Condition": unknown}, DECRYPT, allow("s3:PutBucketPolicy"), trusts=EC2),
        Custom={"Type": "Custom::Thing", "Properties": {"ServiceToken": "x"}},
    )
    assert [(type(one), one.rule.id) for one in outcomes(template)] == [(Undecidable, GRANTED)]

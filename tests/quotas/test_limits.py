"""Each limit of AWS: at its number everything fits, one more is refused, and near it there is a warning."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.quotas import limits, report
from cdk_encrypted_data.quotas.counting import NEAR, Usage, count
from cdk_encrypted_data.quotas.limits import LIMITS, Limit, Scope

ACCOUNT, REGION = "111122223333", "eu-central-1"


def stack(
    resources: Mapping[str, Any] | None = None, *, name: str = "Stack", region: str = REGION, **sections: object
) -> StackTemplate:
    template = {**sections, "Resources": dict(resources or {})}
    return StackTemplate(id=name, name=name, template=template, account=ACCOUNT, region=region)


def several(number: int, kind: str, properties: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {f"R{each}": {"Type": kind, "Properties": properties or {}} for each in range(number)}


def of_kind(kind: str) -> Callable[[int], list[StackTemplate]]:
    # In stacks, since what counts is what an account holds.
    def made(number: int) -> list[StackTemplate]:
        many = stack(several(400, kind))
        return [many] * (number // 400) + [stack(several(number % 400, kind))]

    return made


def padded(number: int) -> dict[str, str]:
    """A document of so many bytes, written without white space."""
    return {"Sid": "x" * (number - len('{"Sid":""}'))}


def one(kind: str, **properties: object) -> list[StackTemplate]:
    return [stack({"One": {"Type": kind, "Properties": properties}})]


def template_of_size(number: int) -> list[StackTemplate]:
    empty = len(json.dumps({"Description": "", "Resources": {}}, separators=(",", ":")))
    return [stack(Description="x" * (number - empty))]


def inline_policies(number: int) -> list[StackTemplate]:
    half = {"PolicyDocument": padded(number // 2)}
    rest = {"PolicyDocument": padded(number - number // 2 - 100), "Roles": [{"Ref": "Role"}]}
    third = {"PolicyDocument": padded(100), "RoleName": {"Ref": "Role"}}
    return [
        stack(
            {
                "Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [half]}},
                "Policy": {"Type": "AWS::IAM::Policy", "Properties": rest},
                "Third": {"Type": "AWS::IAM::RolePolicy", "Properties": third},
            }
        )
    ]


def managed_policies(number: int) -> list[StackTemplate]:
    attached = several(number - 2, "AWS::IAM::ManagedPolicy", {"Roles": [{"Ref": "Role"}]})
    role = {"Type": "AWS::IAM::Role", "Properties": {"ManagedPolicyArns": ["arn:a", "arn:b"]}}
    return [stack({**attached, "Role": role})]


def aliases(number: int) -> list[StackTemplate]:
    by_arn, by_id = {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "Key"}
    made = several(number, "AWS::KMS::Alias", {"TargetKeyId": by_id})
    made["R0"] = {"Type": "AWS::KMS::Alias", "Properties": {"TargetKeyId": by_arn}}
    return [stack({**made, "Key": {"Type": "AWS::KMS::Key"}})]


# How to use so much of a limit.
USES: dict[str, Callable[[int], list[StackTemplate]]] = {
    "template-resources": lambda number: [stack(several(number, "AWS::SNS::Topic"))],
    "template-size": template_of_size,
    "template-outputs": lambda number: [stack(Outputs={f"O{each}": {} for each in range(number)})],
    "template-parameters": lambda number: [stack(Parameters={f"P{each}": {} for each in range(number)})],
    "template-mappings": lambda number: [stack(Mappings={f"M{each}": {} for each in range(number)})],
    "bucket-policy": lambda number: one("AWS::S3::BucketPolicy", PolicyDocument=padded(number)),
    "key-policy": lambda number: one("AWS::KMS::Key", KeyPolicy=padded(number)),
    "key-aliases": aliases,
    "role-inline-policies": inline_policies,
    "role-trust-policy": lambda number: one("AWS::IAM::Role", AssumeRolePolicyDocument=padded(number)),
    "managed-policy": lambda number: one("AWS::IAM::ManagedPolicy", PolicyDocument=padded(number)),
    "role-managed-policies": managed_policies,
    "cloudformation-stacks": lambda number: [
        stack(several(1, "AWS::SNS::Topic"), name=f"S{each}") for each in range(number)
    ],
    "glue-security-configurations": of_kind("AWS::Glue::SecurityConfiguration"),
    "glue-jobs": of_kind("AWS::Glue::Job"),
    "glue-connections": of_kind("AWS::Glue::Connection"),
    "glue-triggers": of_kind("AWS::Glue::Trigger"),
    "kms-keys": lambda number: [*of_kind("AWS::KMS::Key")(number - 1), *of_kind("AWS::KMS::ReplicaKey")(1)],
    "eventbridge-rules": of_kind("AWS::Events::Rule"),
    "cloudwatch-alarms": of_kind("AWS::CloudWatch::Alarm"),
    "iam-roles": of_kind("AWS::IAM::Role"),
    "iam-managed-policies": of_kind("AWS::IAM::ManagedPolicy"),
    "s3-buckets": of_kind("AWS::S3::Bucket"),
}
NUMBERS = {
    "template-resources": 500,
    "template-size": 1_000_000,
    "template-outputs": 200,
    "template-parameters": 200,
    "template-mappings": 200,
    "bucket-policy": 20 * 1024,
    "key-policy": 32 * 1024,
    "key-aliases": 50,
    "role-inline-policies": 10_240,
    "role-trust-policy": 2_048,
    "managed-policy": 6_144,
    "role-managed-policies": 10,
    "cloudformation-stacks": 2_000,
    "glue-security-configurations": 250,
    "glue-jobs": 2_000,
    "glue-connections": 1_000,
    "glue-triggers": 1_000,
    "kms-keys": 100_000,
    "eventbridge-rules": 300,
    "cloudwatch-alarms": 5_000,
    "iam-roles": 1_000,
    "iam-managed-policies": 1_500,
    "s3-buckets": 10_000,
}
# Who asks gets so many, and no more. Of what isn't here AWS's pages name no such number.
MOST = {
    "role-trust-policy": 8_192,
    "role-managed-policies": 25,
    "iam-roles": 10_000,
    "iam-managed-policies": 10_000,
}
# What AWS raises for nobody; of the others its pages say "Adjustable: Yes", or how to ask.
FIXED = {
    "template-resources",
    "template-size",
    "template-outputs",
    "template-parameters",
    "template-mappings",
    "bucket-policy",
    "key-policy",
    "role-inline-policies",
    "managed-policy",
}
every_limit = pytest.mark.parametrize("limit", LIMITS.values(), ids=list(LIMITS))


@functools.cache
def _used(limit: str, used: int) -> tuple[StackTemplate, ...]:
    return tuple(USES[limit](used))


def only(limit: Limit, used: int, given: Mapping[str, int] | None = None) -> Usage:
    (found,) = [each for each in count(_used(limit.id, used), given=given).usages if each.limit is limit]
    return found


@every_limit
def test_at_the_limit_it_holds_and_one_more_is_refused(limit: Limit) -> None:
    number = NUMBERS[limit.id]
    at, over = only(limit, number), only(limit, number + 1)
    assert (at.used, at.number, at.is_over, at.is_near) == (number, number, False, True)
    assert (over.used, over.is_over, over.is_near) == (number + 1, True, False)
    words = report.in_words(over)
    assert f"{number + 1:,} of {number:,} {limit.name}" in words
    assert limit.source in report.remedy(over)


@every_limit
def test_far_from_the_limit_nothing_is_said(limit: Limit) -> None:
    number = int(NUMBERS[limit.id] * NEAR)
    assert only(limit, number).is_near is (number / NUMBERS[limit.id] >= NEAR)
    few = only(limit, max(3, number // 2) if limit.id != "role-inline-policies" else 3_000)
    assert not few.is_over
    assert not few.is_near


@every_limit
def test_what_an_account_has_counts_instead(limit: Limit) -> None:
    if not limit.adjustable:
        with pytest.raises(ValueError, match=f"limits is '{limit.id}'; allowed: .*; AWS raises it for nobody"):
            limits.numbers({limit.id: 10**6})
        return
    number = NUMBERS[limit.id]
    assert only(limit, number + 1, {limit.id: number + 1}).is_over is False
    assert only(limit, number, {limit.id: number - 1}).is_over is True
    if limit.most is not None:
        with pytest.raises(ValueError, match=rf"limits\['{limit.id}'\] is .*; allowed: at most {limit.most:,}; see"):
            limits.numbers({limit.id: limit.most + 1})
        limits.numbers({limit.id: limit.most})


def test_what_aws_raises_and_how_far() -> None:
    assert {limit.id for limit in LIMITS.values() if not limit.adjustable} == FIXED
    assert {limit.id: limit.most for limit in LIMITS.values() if limit.most is not None} == MOST


def test_every_limit_is_tried() -> None:
    assert USES.keys() == NUMBERS.keys() == LIMITS.keys()


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "many"])
def test_numbers_that_are_none_are_refused(number: object) -> None:
    with pytest.raises(ValueError, match=r"^FleetQuotas: limits\['glue-jobs'\] is .*; allowed: a whole number from 1"):
        limits.numbers({"glue-jobs": number})


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limits is 'glue-job'; allowed: .*glue-jobs.*; AWS has no such limit here"):
        limits.numbers({"glue-job": 3})


def test_accounts_and_regions_are_apart() -> None:
    jobs = several(3, "AWS::Glue::Job") | {"Role": {"Type": "AWS::IAM::Role"}}
    other = StackTemplate(id="Other", template={"Resources": jobs}, account="444455556666", region=REGION)
    found = count([stack(jobs, name="A"), stack(jobs, name="B"), stack(jobs, name="C", region="eu-west-1"), other])
    used = {each.where: each.used for each in found.usages if each.limit.id == "glue-jobs"}
    assert used == {
        f"account {ACCOUNT}, Region {REGION}": 6,
        f"account {ACCOUNT}, Region eu-west-1": 3,
        f"account 444455556666, Region {REGION}": 3,
    }
    # IAM knows no Regions.
    roles = {each.where: each.used for each in found.usages if each.limit.scope is Scope.ACCOUNT and each.used}
    assert roles == {f"account {ACCOUNT}": 3, "account 444455556666": 1}


def test_a_region_with_a_lower_number() -> None:
    rules = several(101, "AWS::Events::Rule")
    assert [each.limit.id for each in count([stack(rules, region="af-south-1")]).over] == ["eventbridge-rules"]
    assert count([stack(rules)]).over == ()


def test_rules_of_another_bus_do_not_count() -> None:
    rules = several(301, "AWS::Events::Rule", {"EventBusName": "orders"})
    assert count([stack(rules)]).over == ()
    named = several(301, "AWS::Events::Rule", {"EventBusName": "default"})
    assert [each.limit.id for each in count([stack(named)]).over] == ["eventbridge-rules"]


def test_a_nested_stack_counts_as_often_as_it_is_named() -> None:
    nested = StackTemplate(id="Nested", template={"Resources": several(2, "AWS::Glue::Job")})
    named = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": {"Fn::Sub": "https://x/abc.json"}}}
    other = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://x/other.json"}}
    around = StackTemplate(
        id="Around",
        template={"Resources": {"A": named, "B": named, "C": other, "J": {"Type": "AWS::Glue::Job"}}},
        account=ACCOUNT,
        region=REGION,
        nested={"abc.json": nested},
    )
    found = {each.limit.id: each.used for each in count([around]).usages if each.limit.scope is Scope.REGION}
    assert (found["glue-jobs"], found["cloudformation-stacks"]) == (5, 3)


def test_what_macros_loop_over_is_not_counted() -> None:
    looped = {"Fn::ForEach::Jobs": ["Name", ["A", "B"], {"Job${Name}": {"Type": "AWS::Glue::Job"}}]}
    found = {each.limit.id: each.used for each in count([stack(looped)]).usages}
    assert found["glue-jobs"] == 0


def test_rates_say_how_long_a_deployment_takes_at_least() -> None:
    keys = several(100, "AWS::KMS::Key") | {"A": {"Type": "AWS::KMS::Alias", "Properties": {"TargetKeyId": "x"}}}
    counted = count([stack(keys, name="A"), stack(keys, name="B")])
    assert {pace.rate.operation: pace.seconds for pace in counted.paces} == {
        "kms:CreateKey": 40,
        "kms:CreateAlias": 0.4,
    }

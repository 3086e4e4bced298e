"""What the benchmark of a fleet compares says the same, or the benchmark would say so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from benchmarks import fleet_by_hand
from benchmarks.fleet_protection import differences
from tests.customers.fixtures import ENVIRONMENT, customer, job

Resources = dict[str, dict[str, Any]]


def synthesized(directory: Path, make: Callable[[cdk.Stack], object]) -> Path:
    app = cdk.App(outdir=str(directory))
    make(cdk.Stack(app, "Customers0", env=ENVIRONMENT))
    app.synth()
    return directory


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    def ours(stack: cdk.Stack) -> None:
        for name in ("customer-0", "customer-1"):
            job(stack, name, customer=customer(name, schedule="cron(0 3 * * ? *)"))

    def by_hand(stack: cdk.Stack) -> None:
        place = fleet_by_hand.place_in(stack)
        for name in ("customer-0", "customer-1"):
            fleet_by_hand.customer(stack, place, name, customer(name).secret_arn)

    directory = tmp_path_factory.mktemp("fleets")
    return synthesized(directory / "ours", ours), synthesized(directory / "by hand", by_hand)


def test_by_hand_protects_as_ours_does(fleets: tuple[Path, Path]) -> None:
    assert differences(*fleets) == []


def one_of(resources: Resources, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in resources.values() if each["Type"] == kind)
    return found


def without_a_statement(resources: Resources) -> None:
    one_of(resources, "AWS::S3::BucketPolicy")["Properties"]["PolicyDocument"]["Statement"].pop()


def without_a_condition(resources: Resources) -> None:
    one_of(resources, "AWS::IAM::Role")["Properties"]["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition")


def without_a_bucket_in_the_context(resources: Resources) -> None:
    for statement in one_of(resources, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]:
        statement.get("Condition", {}).pop("StringLike", None)


def with_the_key_of_another(resources: Resources) -> None:
    keys = [name for name, each in resources.items() if each["Type"] == "AWS::KMS::Key"]
    alias = one_of(resources, "AWS::KMS::Alias")["Properties"]
    (other,) = {*keys} - {alias["TargetKeyId"]["Fn::GetAtt"][0]}
    alias["TargetKeyId"] = {"Fn::GetAtt": [other, "Arn"]}


def with_an_argument_that_can_be_overridden(resources: Resources) -> None:
    one_of(resources, "AWS::Glue::Job")["Properties"]["NonOverridableArguments"].pop("--key-arn")


def without_a_policy_that_stays(resources: Resources) -> None:
    one_of(resources, "AWS::S3::BucketPolicy").pop("DeletionPolicy")


def without_a_trigger(resources: Resources) -> None:
    resources.pop(next(name for name, each in resources.items() if each["Type"] == "AWS::Glue::Trigger"))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (without_a_statement, "AWS::S3::BucketPolicy of customer-0 PolicyDocument Statement: only ours has"),
        (without_a_condition, "AWS::IAM::Role of customer-0 AssumeRolePolicyDocument Statement"),
        (without_a_bucket_in_the_context, "AWS::KMS::Key of customer-0 KeyPolicy Statement"),
        (with_the_key_of_another, "AWS::KMS::Alias of customer-0 TargetKeyId: ours is <ARN of AWS::KMS::Key of"),
        (with_an_argument_that_can_be_overridden, "AWS::Glue::Job of customer-0 NonOverridableArguments --key-arn"),
        (without_a_policy_that_stays, "AWS::S3::BucketPolicy of customer-0 DeletionPolicy: ours is Retain"),
        (without_a_trigger, "AWS::Glue::Trigger of customer-0: ours is"),
    ],
)
def test_what_protects_less_is_found(
    fleets: tuple[Path, Path], tmp_path: Path, change: Callable[[Resources], None], where: str
) -> None:
    ours, by_hand = fleets
    shutil.copytree(by_hand, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "Customers0.template.json"
    template = json.loads(file.read_text())
    change(template["Resources"])
    file.write_text(json.dumps(template))
    found = differences(ours, tmp_path)
    assert any(each.startswith(where) for each in found), found

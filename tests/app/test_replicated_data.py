"""The app's buckets in several Regions: the stacks, what each needs, and what a change of the settings changes."""

from __future__ import annotations

import dataclasses
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.replicated_data import ReplicatedData
from stacks.settings import Monitoring, PromotionSettings, RemovalPolicy, ReplicatedBucketsSettings

ORDERS = ReplicatedBucketsSettings(account="111122223333", name="Orders", regions=("eu-central-1", "eu-west-1"))
STATEFUL = {"AWS::KMS::Key", "AWS::KMS::ReplicaKey", "AWS::S3::Bucket"}


class Assembly:
    """The stacks of some sets of buckets, synthesized."""

    def __init__(self, *sets: ReplicatedBucketsSettings, removal_policy: RemovalPolicy = RemovalPolicy.RETAIN) -> None:
        app = cdk.App()
        for each in sets:
            ReplicatedData(app, settings=each, removal_policy=removal_policy)
        assembly = app.synth()
        self.stacks = {each.stack_name: each for each in assembly.stacks}
        self.needs = {name: {str(each.id) for each in stack.dependencies} for name, stack in self.stacks.items()}

    def template(self, stack: str) -> dict[str, Any]:
        template: dict[str, Any] = self.stacks[stack].template
        return template

    def stateful(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (stack, name): resource
            for stack in self.stacks
            for name, resource in self.template(stack)["Resources"].items()
            if resource["Type"] in STATEFUL
        }


@pytest.fixture(scope="module")
def assembly() -> Assembly:
    return Assembly(ORDERS)


def test_stacks_of_a_region_each(assembly: Assembly) -> None:
    places = {name: (stack.environment.account, stack.environment.region) for name, stack in assembly.stacks.items()}
    assert places == {
        "Orders-keys-eu-central-1": ("111122223333", "eu-central-1"),
        "Orders-keys-eu-west-1": ("111122223333", "eu-west-1"),
        "Orders-eu-central-1": ("111122223333", "eu-central-1"),
        "Orders-eu-west-1": ("111122223333", "eu-west-1"),
    }


def test_the_keys_need_no_stack_of_the_buckets(assembly: Assembly) -> None:
    needs = {name: {each for each in needed if not each.endswith(".assets")} for name, needed in assembly.needs.items()}
    assert needs["Orders-keys-eu-central-1"] == set()
    assert needs["Orders-keys-eu-west-1"] == {"Orders-keys-eu-central-1"}
    assert needs["Orders-eu-west-1"] == set()
    assert needs["Orders-eu-central-1"] >= {"Orders-eu-west-1"}


def test_outputs_are_what_an_application_needs(assembly: Assembly) -> None:
    outputs = {stack: set(assembly.template(stack).get("Outputs", {})) for stack in assembly.stacks}
    for region in ORDERS.regions:
        assert "KeyArn" in outputs[f"Orders-keys-{region}"]
        assert {"BucketName", "ReplicationTopicArn"} <= outputs[f"Orders-{region}"]
    assert outputs["Orders-eu-central-1"] >= {"ReaderPolicyArn", "WriterPolicyArn", "Purpose"}
    assert assembly.template("Orders-eu-central-1")["Outputs"]["Purpose"]["Value"] == "Orders"


def test_what_isnt_replicated_is_told_in_each_region(assembly: Assembly) -> None:
    for region in ORDERS.regions:
        resources = assembly.template(f"Orders-{region}")["Resources"]
        kinds = [each["Type"] for each in resources.values()]
        # What failed, and what waits, from and to the one other Region.
        assert (kinds.count("AWS::SNS::Topic"), kinds.count("AWS::CloudWatch::Alarm")) == (1, 2)
        (topic,) = [name for name, each in resources.items() if each["Type"] == "AWS::SNS::Topic"]
        assert assembly.template(f"Orders-{region}")["Outputs"]["ReplicationTopicArn"]["Value"] == {"Ref": topic}
        (bucket,) = [each for each in resources.values() if "TopicConfigurations" in str(each)]
        assert bucket["Properties"]["NotificationConfiguration"]["TopicConfigurations"] == [
            {"Event": "s3:Replication:*", "Topic": {"Ref": topic}}
        ]


def test_nobody_is_told_where_the_settings_want_it_so(assembly: Assembly) -> None:
    quiet = Assembly(dataclasses.replace(ORDERS, monitoring=Monitoring.OFF))
    assert "Topic" not in str([quiet.template(each) for each in quiet.stacks])
    # It comes and goes without touching a bucket's or an application's key.
    kept = {place: each for place, each in assembly.stateful().items() if place in quiet.stateful()}
    assert len(kept) == len(quiet.stateful()) == 8
    keys = {"AWS::KMS::Key", "AWS::KMS::ReplicaKey"}
    assert all(each == quiet.stateful()[place] for place, each in kept.items() if each["Type"] in keys)


def test_who_administers_the_keys_administers_the_topics(assembly: Assembly) -> None:
    administrator = "arn:aws:iam::111122223333:role/key-administrator"
    named = Assembly(dataclasses.replace(ORDERS, administrators=(administrator,)))
    for (_, name), key in named.stateful().items():
        if key["Type"] != "AWS::S3::Bucket":
            assert administrator in str(key["Properties"]["KeyPolicy"]), name
    assert administrator not in str(assembly.stateful())


def test_the_policies_are_about_one_purpose_with_every_key(assembly: Assembly) -> None:
    resources = assembly.template("Orders-eu-central-1")["Resources"]
    for name, action in (("Reader", "kms:Decrypt"), ("Writer", "kms:GenerateDataKey")):
        (policy,) = [each for key, each in resources.items() if key.startswith(name)]
        statements = policy["Properties"]["PolicyDocument"]["Statement"]
        (direct,) = [each for each in statements if "kms:EncryptionContext:purpose" in str(each.get("Condition"))]
        assert direct["Condition"]["StringEquals"]["kms:EncryptionContext:purpose"] == "Orders"
        assert action in direct["Action"]
        assert len(direct["Resource"]) == len(ORDERS.regions)


@pytest.mark.parametrize(
    ("removal_policy", "expected"), [(RemovalPolicy.RETAIN, "Retain"), (RemovalPolicy.DESTROY, "Delete")]
)
def test_the_removal_policy_is_every_keys_and_buckets(removal_policy: RemovalPolicy, expected: str) -> None:
    stateful = Assembly(ORDERS, removal_policy=removal_policy).stateful()
    # In each Region the applications' key, the bucket, its key and log bucket, and the topic's key.
    assert len(stateful) == 10
    assert {each["DeletionPolicy"] for each in stateful.values()} == {expected}


def test_one_more_set_changes_nothing_of_the_others(assembly: Assembly) -> None:
    more = Assembly(ORDERS, dataclasses.replace(ORDERS, name="Invoices"))
    assert len(more.stacks) == 2 * len(assembly.stacks)
    for stack in assembly.stacks:
        assert more.template(stack) == assembly.template(stack)


def test_one_more_region_replaces_nothing(assembly: Assembly) -> None:
    before = assembly.stateful()
    after = Assembly(dataclasses.replace(ORDERS, regions=(*ORDERS.regions, "us-east-1"))).stateful()
    assert before.keys() < after.keys()
    for place, resource in before.items():
        # What CloudFormation would replace it for.
        for name in ("BucketName", "BucketNamespace", "BucketNamePrefix", "PrimaryKeyArn", "MultiRegion", "KeySpec"):
            assert resource["Properties"].get(name) == after[place]["Properties"].get(name)


def test_a_promotion_changes_no_template(assembly: Assembly) -> None:
    promotion = PromotionSettings(primary_region="eu-west-1", regions=ORDERS.regions)
    promoted = Assembly(dataclasses.replace(ORDERS, promotion=promotion))
    for stack in assembly.stacks:
        assert promoted.template(stack) == assembly.template(stack)
    # What CloudFormation would do wrong meanwhile is refused.
    more = dataclasses.replace(ORDERS, regions=(*ORDERS.regions, "us-east-1"), promotion=promotion)
    with pytest.raises(ValueError, match=r"Key: replicas is .*us-east-1.*; promote back"):
        Assembly(more)


def test_the_bucket_names_are_known_beforehand(assembly: Assembly) -> None:
    text = str(assembly.template("Orders-eu-central-1"))
    for region in ORDERS.regions:
        assert f"orders-111122223333-{region}-an" in text

"""The same security under every feature flag the CDK recommends and under none: a library can't choose its app's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import (
    AccessLogBucket,
    BatchReplication,
    CustomerManagedKey,
    EncryptedBucket,
    FailureTopic,
    MultiRegionAccessPoint,
    MultiRegionKeyPair,
    ObjectEvents,
    ReplicatedEncryptedBuckets,
    ReplicationDestination,
    ReplicationDirection,
    ReplicationMonitoring,
    ServerSideEncryption,
    UploadPolicy,
)
from tests.customers import fixtures as customers
from tests.synthesis import new_stack, template

CONTEXT: dict[str, Any] = json.loads((Path(__file__).resolve().parents[1] / "cdk.json").read_text())["context"]
FLAGS = {name: value for name, value in CONTEXT.items() if name.startswith("@aws-cdk/")}


def everything(context: dict[str, Any]) -> dict[str, Any]:
    stack = new_stack(context=context)
    logs = AccessLogBucket(stack, "Logs")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    policy = iam.ManagedPolicy(stack, "Policy", roles=[role])
    for encryption in ServerSideEncryption:
        for upload_policy in UploadPolicy:
            bucket = EncryptedBucket(
                stack,
                f"{encryption.name}{upload_policy.name}",
                encryption=encryption,
                upload_policy=upload_policy,
                access_log_bucket=logs,
                object_events=ObjectEvents.EVENT_BRIDGE,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            )
            bucket.grant_read_write(policy)
            bucket.grant_delete(policy)
            bucket.grant_read_to_service(
                "cloudfront.amazonaws.com", source_arns=["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"]
            )
    key = CustomerManagedKey(stack, "Key", users=[role])
    key.allow_cloudwatch_logs(log_group_name="/acme/*")
    EncryptedBucket(stack, "Closed", key=key, bucket_name_prefix="acme").grant_read(role)
    FailureTopic(stack, "Failures")
    roles = ["arn:aws:iam::444455556666:role/orders-replication"]
    ReplicationDestination(stack, "Backup", bucket_name_prefix="backup", source_role_arns=roles)
    return template(stack)["Resources"]  # type: ignore[no-any-return]


def pair(context: dict[str, Any]) -> dict[str, Any]:
    """Return the templates of a pair's stacks."""
    app = cdk.App(context=context)
    stacks = [
        cdk.Stack(app, region, env=cdk.Environment(account="111122223333", region=region))
        for region in ("eu-central-1", "eu-west-1", "us-east-1")
    ]
    home, *away = stacks
    role = iam.Role(home, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    keys = MultiRegionKeyPair(home, "Pair", replicas=away, users=[role])
    for stack in stacks:
        keys.grant_encrypt_decrypt(iam.ManagedPolicy(stack, "Policy"))
        key = keys.key_for(stack.region)
        key.allow_cloudwatch_logs(log_group_name="/acme/*")
        EncryptedBucket(stack, "Data", key=key)
    return {stack.stack_name: template(stack) for stack in stacks}


def replicated(context: dict[str, Any], *, granted: bool) -> dict[str, Any]:
    """Return the templates of buckets that replicate one way, and both ways, with all that is made over them."""
    app = cdk.App(context=context)
    home, *away = in_regions = [
        cdk.Stack(app, region, env=cdk.Environment(account="111122223333", region=region))
        for region in ("eu-central-1", "eu-west-1", "us-east-1")
    ]
    later = cdk.Stack(app, "Later", env=cdk.Environment(account="111122223333", region="eu-west-1"))
    for direction in ReplicationDirection:
        buckets = ReplicatedEncryptedBuckets(
            home, direction.name, bucket_name_prefix=direction.value, replicas=away, direction=direction
        )
        monitoring = ReplicationMonitoring(home, f"{direction.name}Monitoring", buckets=buckets)
        everywhere = MultiRegionAccessPoint(home, f"{direction.name}Everywhere", buckets=buckets)
        sources = [each for each in in_regions if buckets.replicates(each.region)]
        reports = [EncryptedBucket(each, f"{direction.name}Reports") for each in sources]
        batch = BatchReplication(home, f"{direction.name}Batch", buckets=buckets, report_buckets=reports)
        if granted:
            policy = iam.ManagedPolicy(home, f"Read{direction.name}")
            buckets.grant_read(policy)
            monitoring.grant_subscribe(policy)
            everywhere.grant_read(policy)
            everywhere.grant_read(iam.ManagedPolicy(later, f"Read{direction.name}"))
            batch.grant_create_job(policy)
    return {stack.stack_name: template(stack) for stack in (*in_regions, later)}


def test_all_flags_and_none_give_replicated_buckets_the_same_templates() -> None:
    # Without grants: a flag lets the CDK merge their statements.
    with_all, with_none = replicated(FLAGS, granted=False), replicated({}, granted=False)
    for region, whole in with_none.items():
        for section in ("Resources", "Outputs"):
            assert with_all[region].get(section) == whole.get(section)


@pytest.mark.parametrize("strength", ["strong", "weak", "both"])
def test_replicated_buckets_refer_weakly_whatever_the_app_prefers(strength: str) -> None:
    context = {"@aws-cdk/core:defaultCrossStackReferences": strength}
    assert replicated(context, granted=True) == replicated({}, granted=True)


def test_all_flags_and_none_give_a_pair_the_same_templates() -> None:
    with_all, with_none = pair(FLAGS), pair({})
    for region, whole in with_none.items():
        for section in ("Resources", "Outputs"):
            assert with_all[region].get(section) == whole.get(section)


@pytest.mark.parametrize("strength", ["strong", "weak", "both"])
def test_a_pair_refers_weakly_whatever_the_app_prefers(strength: str) -> None:
    assert pair({"@aws-cdk/core:defaultCrossStackReferences": strength}) == pair({})


@pytest.mark.parametrize("make", [customers.job, customers.fullest_job])
def test_all_flags_and_none_give_a_customer_the_same_resources(make: Callable[[cdk.Stack], object]) -> None:
    with_all, with_none = (new_stack(context=context) for context in (FLAGS, {}))
    for stack in (with_all, with_none):
        make(stack)
    found, expected = template(with_all)["Resources"], template(with_none)["Resources"]
    assert found.keys() == expected.keys()
    # What is granted beside comes through the CDK, which may merge it.
    granted = {name for name, each in expected.items() if name.startswith(("Operators", "Reader"))}
    assert {name for name in expected if found[name] != expected[name]} <= granted


def test_all_flags_and_none_give_the_same_resources() -> None:
    assert len(FLAGS) > 60
    with_all, with_none = everything(FLAGS), everything({})
    assert with_all.keys() == with_none.keys()
    for name, resource in with_none.items():
        if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            continue
        assert with_all[name] == resource


def test_grants_give_the_same_permissions() -> None:
    # A flag lets the CDK merge statements, so only what they permit can be compared.
    def permissions(resources: dict[str, Any]) -> set[str]:
        found = set()
        for resource in resources.values():
            if resource["Type"] not in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
                continue
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                actions, targets = (
                    value if isinstance(value, list) else [value]
                    for value in (statement["Action"], statement["Resource"])
                )
                for action in actions:
                    for target in targets:
                        found.add(json.dumps([action, target, statement.get("Condition")], sort_keys=True))
        return found

    assert permissions(everything(FLAGS)) == permissions(everything({}))

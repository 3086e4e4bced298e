"""FailureTopic: what is proven of it, what its key may be told, and its ids. Who may publish is in the truth tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import FailureTopic
from cdk_encrypted_data.policies import Statement
from cdk_encrypted_data.policies import key as key_policy
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import prove
from tests.synthesis import new_stack, only, resources_of, template

ACCOUNT = "111122223333"


def test_logical_ids_stay() -> None:
    stack = new_stack()
    FailureTopic(stack, "Failures")
    assert list(template(stack)["Resources"]) == [
        "FailuresKey0D42236B",
        "FailuresKeyAlias960ED869",
        "FailuresTopic6CB7CD9B",
        "FailuresTopicPolicyC619B15F",
    ]


def test_what_its_key_is_told() -> None:
    stack = new_stack()
    FailureTopic(
        stack,
        "Failures",
        key_administrators=[iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/administrator")],
        key_rotation_period=cdk.Duration.days(180),
        key_pending_window=cdk.Duration.days(14),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    (key,) = resources_of(stack, "AWS::KMS::Key").values()
    properties = key["Properties"]
    assert (properties["EnableKeyRotation"], properties["RotationPeriodInDays"]) == (True, 180)
    assert (properties["PendingWindowInDays"], key["DeletionPolicy"]) == (14, "Delete")
    assert "AdministratorsCannotUseKey" in [each.get("Sid") for each in properties["KeyPolicy"]["Statement"]]
    assert only(stack, "AWS::SNS::Topic")["KmsMasterKeyId"]


def test_by_default_the_key_stays_and_the_account_administers_it() -> None:
    stack = new_stack()
    topic = FailureTopic(stack, "Failures")
    (key,) = resources_of(stack, "AWS::KMS::Key").values()
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert "RotationPeriodInDays" not in key["Properties"]
    assert stack.resolve(topic.key.key_arn)["Fn::GetAtt"][0] in template(stack)["Resources"]


def outcomes(directory: Path) -> set[str]:
    """Return what the proofs find, or can't decide, in an app with a rule that publishes to the topic."""
    app = cdk.App(outdir=str(directory))
    stack = cdk.Stack(app, "Test", env=cdk.Environment(account=ACCOUNT, region="eu-central-1"))
    target = events.CfnRule.TargetProperty(arn=FailureTopic(stack, "Failures").topic.topic_arn, id="Topic")
    # By the L1: the L2 would let EventBridge in by itself.
    events.CfnRule(stack, "Rule", event_pattern={"source": ["aws.glue"]}, targets=[target])
    app.synth()
    proof = prove(Assembly.read(directory))
    return {each.rule.id for each in proof.findings} | {each.rule.id for each in proof.undecidable}


class TestProofs:
    def test_nothing_is_found_and_nothing_undecided(self, tmp_path: Path) -> None:
        assert outcomes(tmp_path) == set()

    @pytest.mark.parametrize(
        "change",
        [
            {"Principal": {"Service": "sqs.amazonaws.com"}},
            {"Action": ["kms:Decrypt"]},
            # EventBridge names no source.
            {"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},
        ],
    )
    def test_a_key_that_loses_events_is_found(
        self, change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        allow = key_policy.allow_service

        def changed(*arguments: Any, **named: Any) -> Statement:  # noqa: ANN401 - passed on
            return {**allow(*arguments, **named), **change}  # type: ignore[typeddict-item]

        monkeypatch.setattr(key_policy, "allow_service", changed)
        assert outcomes(tmp_path) & {"key-service-refused"}


def test_what_else_is_added_comes_into_the_same_policy() -> None:
    stack = new_stack()
    failures = FailureTopic(stack, "Failures")
    failures.topic.grant_subscribe(iam.AccountPrincipal("444455556666"))
    statements = only(stack, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert len(statements) == 4
    assert "444455556666" in json.dumps(statements[-1])

"""Who may publish to a FailureTopic, subscribe to it, and use its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.failure_topic import FailureTopic
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, REGION
from tests.truth_tables.topic_table import (
    ADMIN,
    CALLS,
    CLOUDWATCH,
    EVENTS,
    FOR_NOBODY,
    PEOPLE,
    S3,
    TLS,
    Topic,
    passing,
    source,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.evaluator import Context, Evaluator

FOR: dict[str, tuple[str, Context]] = {
    # To encrypted topics it names no source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    "EventBridge": (EVENTS, TLS),
    "EventBridge over plain HTTP": (EVENTS, {"aws:SecureTransport": "false"}),
    "S3, for a bucket here": (S3, {**TLS, **source("arn:aws:s3:::acme")}),
    "CloudWatch, for an alarm here": (
        CLOUDWATCH,
        {**TLS, **source(f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:failed")},
    ),
    **PEOPLE,
}

EXPECTED = read_table("""
                                                     | smallest | administered
EventBridge: publishes                               | ok       | ok
EventBridge: makes a data key                        | ok       | ok
EventBridge: decrypts                                | ok       | ok
EventBridge: encrypts                                | D        | D
EventBridge: grants by hand                          | D        | D
EventBridge: rewrites the key's policy               | D        | D
EventBridge: subscribes to https                     | D        | D
EventBridge: deletes the topic                       | D        | D
EventBridge over plain HTTP: publishes               | D        | D
S3, for a bucket here: publishes                     | D        | D
S3, for a bucket here: makes a data key              | D        | D
CloudWatch, for an alarm here: publishes             | D        | D
CloudWatch, for an alarm here: makes a data key      | D        | D
an operator: publishes                               | ok       | ok
an operator: makes a data key                        | D        | D
an operator: decrypts                                | D        | D
an operator: encrypts                                | D        | D
an operator: rewrites the key's policy               | ok       | ok
an operator: schedules the key's deletion            | ok       | D
an operator: grants by hand                          | D        | D
an operator: subscribes to https                     | ok       | ok
an operator: subscribes to http                      | D        | D
an operator: subscribes to HTTP                      | D        | D
an operator: deletes the topic                       | ok       | ok
an operator over plain HTTP: publishes               | D        | D
an operator over plain HTTP: subscribes to https     | D        | D
an operator over plain HTTP: deletes the topic       | D        | D
the key's administrator: schedules the key's deletion | ok      | ok
the key's administrator: decrypts                    | D        | D
a stranger: publishes                                | D        | D
a stranger: subscribes to https                      | D        | D
a stranger: decrypts                                 | D        | D
anybody: publishes                                   | D        | D
anybody: subscribes to https                         | D        | D
anybody: decrypts                                    | D        | D
""")


@pytest.fixture(scope="module", params=EXPECTED)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def topic(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Topic:
    directory: Path = tmp_path_factory.mktemp(shape) / "cdk.out"
    app = cdk.App(outdir=str(directory))
    stack = cdk.Stack(app, "Test", env=cdk.Environment(account=ACCOUNT, region=REGION))
    administrators = [iam.ArnPrincipal(ADMIN)] if shape == "administered" else []
    FailureTopic(stack, "Failures", key_administrators=administrators)
    app.synth()
    return Topic(directory, REGION)


def test_who_may_what(evaluator: Evaluator, topic: Topic, shape: str) -> None:
    """An operator's publishing passes the topic's policy and not the key's, by which SNS would encrypt it."""
    assert {row: topic.cell(row, FOR, evaluator) for row in EXPECTED[shape]} == EXPECTED[shape]


def test_every_call_passes_for_somebody() -> None:
    assert passing(EXPECTED) == set(CALLS) - FOR_NOBODY

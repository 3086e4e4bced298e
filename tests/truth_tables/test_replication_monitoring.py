"""Who may publish to the topic of ReplicationMonitoring, subscribe to it, and use its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.choices import ReplicationDirection
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
from cdk_encrypted_data.replication_monitoring import ReplicationMonitoring
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT
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

HOME, AWAY = "eu-central-1", "eu-west-1"


def bucket(region: str) -> str:
    return f"arn:aws:s3:::acme-{ACCOUNT}-{region}-an"


def alarm(region: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:failed"


# Who, for what.
FOR: dict[str, tuple[str, Context]] = {
    "S3, for the bucket": (S3, {**TLS, **source(bucket(AWAY))}),
    "S3, for the bucket of another Region": (S3, {**TLS, **source(bucket(HOME))}),
    "S3, for a bucket of that name elsewhere": (S3, {**TLS, **source(bucket(AWAY), OTHER_ACCOUNT)}),
    "S3, for nobody": (S3, TLS),
    "CloudWatch, for an alarm here": (CLOUDWATCH, {**TLS, **source(alarm(AWAY))}),
    "CloudWatch, for an alarm of another Region": (CLOUDWATCH, {**TLS, **source(alarm(HOME))}),
    "CloudWatch, for an alarm of another account": (
        CLOUDWATCH,
        {**TLS, **source(alarm(AWAY, OTHER_ACCOUNT), OTHER_ACCOUNT)},
    ),
    "CloudWatch, for the bucket": (CLOUDWATCH, {**TLS, **source(bucket(AWAY))}),
    "EventBridge, for the bucket": (EVENTS, {**TLS, **source(bucket(AWAY))}),
    **PEOPLE,
}

# source, replica: the topic in the Region of a bucket that replicates, and of one that doesn't.
EXPECTED = read_table("""
                                                     | source | replica | administered
S3, for the bucket: publishes                        | ok     | D       | ok
S3, for the bucket: makes a data key                 | ok     | D       | ok
S3, for the bucket: decrypts                         | ok     | D       | ok
S3, for the bucket: encrypts                         | D      | D       | D
S3, for the bucket: rewrites the key's policy        | D      | D       | D
S3, for the bucket: subscribes to https              | D      | D       | D
S3, for the bucket of another Region: publishes      | D      | D       | D
S3, for the bucket of another Region: decrypts       | D      | D       | D
S3, for a bucket of that name elsewhere: publishes   | D      | D       | D
S3, for a bucket of that name elsewhere: decrypts    | D      | D       | D
S3, for nobody: publishes                            | D      | D       | D
S3, for nobody: decrypts                             | D      | D       | D
CloudWatch, for an alarm here: publishes             | ok     | ok      | ok
CloudWatch, for an alarm here: makes a data key      | ok     | ok      | ok
CloudWatch, for an alarm here: decrypts              | ok     | ok      | ok
CloudWatch, for an alarm here: deletes the topic     | D      | D       | D
CloudWatch, for an alarm of another Region: publishes | D     | D       | D
CloudWatch, for an alarm of another Region: decrypts | D      | D       | D
CloudWatch, for an alarm of another account: publishes | D    | D       | D
CloudWatch, for an alarm of another account: decrypts | D     | D       | D
CloudWatch, for the bucket: publishes                | D      | D       | D
CloudWatch, for the bucket: decrypts                 | D      | D       | D
EventBridge, for the bucket: publishes               | D      | D       | D
EventBridge, for the bucket: decrypts                | D      | D       | D
an operator: publishes                               | ok     | ok      | ok
an operator: makes a data key                        | D      | D       | D
an operator: decrypts                                | D      | D       | D
an operator: encrypts                                | D      | D       | D
an operator: rewrites the key's policy               | ok     | ok      | ok
an operator: schedules the key's deletion            | ok     | ok      | D
an operator: grants by hand                          | D      | D       | D
an operator: subscribes to https                     | ok     | ok      | ok
an operator: subscribes to http                      | D      | D       | D
an operator: subscribes to HTTP                      | D      | D       | D
an operator: deletes the topic                       | ok     | ok      | ok
an operator over plain HTTP: publishes               | D      | D       | D
an operator over plain HTTP: subscribes to https     | D      | D       | D
an operator over plain HTTP: deletes the topic       | D      | D       | D
the key's administrator: schedules the key's deletion | ok    | ok      | ok
the key's administrator: decrypts                    | D      | D       | D
a stranger: publishes                                | D      | D       | D
a stranger: subscribes to https                      | D      | D       | D
a stranger: decrypts                                 | D      | D       | D
anybody: publishes                                   | D      | D       | D
anybody: subscribes to https                         | D      | D       | D
anybody: decrypts                                    | D      | D       | D
""")


def synthesize(directory: Path, shape: str) -> None:
    app = cdk.App(outdir=str(directory))
    stacks = [cdk.Stack(app, each, env=cdk.Environment(account=ACCOUNT, region=each)) for each in (HOME, AWAY)]
    direction = ReplicationDirection.ONE_WAY if shape == "replica" else ReplicationDirection.BOTH_WAYS
    buckets = ReplicatedEncryptedBuckets(
        stacks[0], "Data", bucket_name_prefix="acme", replicas=stacks[1:], direction=direction
    )
    administrators = [iam.ArnPrincipal(ADMIN)] if shape == "administered" else []
    ReplicationMonitoring(stacks[0], "Monitoring", buckets=buckets, key_administrators=administrators)
    app.synth()


@pytest.fixture(scope="module", params=EXPECTED)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def topic(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Topic:
    directory = tmp_path_factory.mktemp(shape) / "cdk.out"
    synthesize(directory, shape)
    return Topic(directory, AWAY)


def test_who_may_what(evaluator: Evaluator, topic: Topic, shape: str) -> None:
    assert {row: topic.cell(row, FOR, evaluator) for row in EXPECTED[shape]} == EXPECTED[shape]


def test_every_call_passes_for_somebody() -> None:
    assert passing(EXPECTED) == set(CALLS) - FOR_NOBODY

"""Who may publish to the topic of ReplicationMonitoring, subscribe to it, and use its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.choices import ReplicationDirection
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
from cdk_encrypted_data.replication_monitoring import ReplicationMonitoring
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.evaluator import Context, Evaluator, Policy

HOME, AWAY = "eu-central-1", "eu-west-1"
S3, CLOUDWATCH, EVENTS = "s3.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"
OPERATOR, STRANGER, ADMIN = (
    f"arn:aws:iam::{account}:role/{name}"
    for account, name in ((ACCOUNT, "operator"), (OTHER_ACCOUNT, "stranger"), (ACCOUNT, "key-administrator"))
)
TLS = {"aws:SecureTransport": "true"}


def source(arn: str, account: str = ACCOUNT) -> dict[str, str]:
    return {"aws:SourceArn": arn, "aws:SourceAccount": account}


def bucket(region: str) -> str:
    return f"arn:aws:s3:::acme-{ACCOUNT}-{region}-an"


def alarm(region: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:failed"


# Who, for what. A service's requests come over TLS; in the last four rows it is the subject.
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
    "an operator": (OPERATOR, TLS),
    "an operator over plain HTTP": (OPERATOR, {"aws:SecureTransport": "false"}),
    "the key's administrator": (ADMIN, TLS),
    "a stranger": (STRANGER, TLS),
    "anybody": ("anonymous", TLS),
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

CALLS: dict[str, tuple[str, Context]] = {
    "publishes": ("sns:Publish", {}),
    "subscribes to https": ("sns:Subscribe", {"sns:Protocol": "https"}),
    "subscribes to http": ("sns:Subscribe", {"sns:Protocol": "http"}),
    "subscribes to HTTP": ("sns:Subscribe", {"sns:Protocol": "HTTP"}),
    "deletes the topic": ("sns:DeleteTopic", {}),
    "makes a data key": ("kms:GenerateDataKey", {}),
    "decrypts": ("kms:Decrypt", {}),
    "encrypts": ("kms:Encrypt", {}),
    "grants by hand": ("kms:CreateGrant", {"kms:GrantIsForAWSResource": "false"}),
    "rewrites the key's policy": ("kms:PutKeyPolicy", {}),
    "schedules the key's deletion": ("kms:ScheduleKeyDeletion", {}),
}


class Topic:
    """The topic in the Region AWAY with its key, in one shape."""

    def __init__(self, directory: Path, shape: str) -> None:
        app = cdk.App(outdir=str(directory))
        stacks = [cdk.Stack(app, each, env=cdk.Environment(account=ACCOUNT, region=each)) for each in (HOME, AWAY)]
        direction = ReplicationDirection.ONE_WAY if shape == "replica" else ReplicationDirection.BOTH_WAYS
        buckets = ReplicatedEncryptedBuckets(
            stacks[0], "Data", bucket_name_prefix="acme", replicas=stacks[1:], direction=direction
        )
        administrators = [iam.ArnPrincipal(ADMIN)] if shape == "administered" else []
        ReplicationMonitoring(stacks[0], "Monitoring", buckets=buckets, key_administrators=administrators)
        app.synth()
        self._assembly = Assembly.read(directory)
        self.arn, topic = self._only("AWS::SNS::Topic")
        self.key_arn = str(topic.setting("KmsMasterKeyId"))
        _, policy = self._only("AWS::SNS::TopicPolicy")
        assert list(policy.setting("Topics")) == [self.arn]
        self.policy: Policy = json.loads(json.dumps(policy.setting("PolicyDocument")))
        (self.key_policy,) = (
            json.loads(json.dumps(each.setting("KeyPolicy")))
            for each in self._assembly.resources_of_type("AWS::KMS::Key")
            if each.arn == self.key_arn
        )

    def _only(self, kind: str) -> tuple[str, Any]:
        (found,) = (each for each in self._assembly.resources_of_type(kind) if each.region == AWAY)
        return str(found.arn), found


@pytest.fixture(scope="module", params=EXPECTED)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def topic(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Topic:
    return Topic(tmp_path_factory.mktemp(shape) / "cdk.out", shape)


def test_who_may_what(evaluator: Evaluator, topic: Topic, shape: str) -> None:
    def cell(row: str) -> str:
        who, _, call = row.partition(": ")
        (principal, said), (action, context) = FOR[who], CALLS[call]
        of_the_key = action.startswith("kms:")
        decision = evaluator.decide(
            Request(
                principal=principal,
                action=action,
                resource=topic.key_arn if of_the_key else topic.arn,
                context={**said, **context},
            ),
            account=ACCOUNT,
            # Of who is an IAM principal, the worst: IAM policies that allow everything.
            identity_policies=[FULL_ADMIN] if principal.startswith("arn:") else [],
            resource_policy=topic.key_policy if of_the_key else topic.policy,
        )
        return "ok" if decision.allowed else "D"

    assert {row: cell(row) for row in EXPECTED[shape]} == EXPECTED[shape]


def test_every_call_passes_for_somebody() -> None:
    """A call that nobody may make in any shape is one that a typing error could refuse."""
    passing = {row.partition(": ")[2] for cells in EXPECTED.values() for row, cell in cells.items() if cell == "ok"}
    assert passing == set(CALLS) - {"encrypts", "grants by hand", "subscribes to http", "subscribes to HTTP"}

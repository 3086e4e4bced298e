"""Who asks what of a topic and its key, and what the policies of a template say to that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.oracle.evaluator import Context, Evaluator, Policy

S3, CLOUDWATCH, EVENTS = "s3.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"
OPERATOR, STRANGER, ADMIN = (
    f"arn:aws:iam::{account}:role/{name}"
    for account, name in ((ACCOUNT, "operator"), (OTHER_ACCOUNT, "stranger"), (ACCOUNT, "key-administrator"))
)
# A service's requests come over TLS.
TLS: Context = {"aws:SecureTransport": "true"}

PEOPLE: dict[str, tuple[str, Context]] = {
    "an operator": (OPERATOR, TLS),
    "an operator over plain HTTP": (OPERATOR, {"aws:SecureTransport": "false"}),
    "the key's administrator": (ADMIN, TLS),
    "a stranger": (STRANGER, TLS),
    "anybody": ("anonymous", TLS),
}

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
FOR_NOBODY = {"encrypts", "grants by hand", "subscribes to http", "subscribes to HTTP"}


def source(arn: str, account: str = ACCOUNT) -> dict[str, str]:
    return {"aws:SourceArn": arn, "aws:SourceAccount": account}


def passing(expected: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Return the calls that pass for somebody: one that never does is one that a typing error could refuse."""
    return {row.partition(": ")[2] for cells in expected.values() for row, cell in cells.items() if cell == "ok"}


class Topic:
    """The only topic that an app has in a Region, with its policy and its key's."""

    def __init__(self, directory: Path, region: str) -> None:
        self._assembly = Assembly.read(directory)
        self._region = region
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
        (found,) = (each for each in self._assembly.resources_of_type(kind) if each.region == self._region)
        return str(found.arn), found

    def cell(self, row: str, callers: Mapping[str, tuple[str, Context]], evaluator: Evaluator) -> str:
        """Decide a row of a table, "WHO: CALL"."""
        who, _, call = row.partition(": ")
        (principal, said), (action, context) = callers[who], CALLS[call]
        of_the_key = action.startswith("kms:")
        decision = evaluator.decide(
            Request(
                principal=principal,
                action=action,
                resource=self.key_arn if of_the_key else self.arn,
                context={**said, **context},
            ),
            account=ACCOUNT,
            # Of who is an IAM principal, the worst: IAM policies that allow everything.
            identity_policies=[FULL_ADMIN] if principal.startswith("arn:") else [],
            resource_policy=self.key_policy if of_the_key else self.policy,
        )
        return "ok" if decision.allowed else "D"

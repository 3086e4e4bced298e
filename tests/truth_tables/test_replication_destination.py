"""Who reaches a ReplicationDestination from another account: its role, with both accounts' consent, and nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest

from cdk_encrypted_data.choices import DeleteMarkers, ServerSideEncryption
from cdk_encrypted_data.policies.replication import CrossAccountDestination
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
from cdk_encrypted_data.replication_destination import ReplicationDestination
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.oracle.table import read_table

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.oracle.evaluator import Context, Evaluator, Policy

HERE, THERE, ELSEWHERE = "111122223333", "444455556666", "777788889999"
HOME, AWAY = "eu-central-1", "eu-west-1"
NAME = f"backup-{THERE}-{AWAY}-an"
BUCKET = f"arn:aws:s3:::{NAME}"
ROLE = f"arn:aws:iam::{HERE}:role/orders-replication"
S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
VIA_S3 = {"kms:ViaService": f"s3.{AWAY}.amazonaws.com"}

# Who, and with what on the own side: the permissions that the source's construct gives, everything, or nothing.
CALLERS = {
    "the role": (ROLE, "its own"),
    "the role, allowed all": (ROLE, "all"),
    "the role, without its policy": (ROLE, "none"),
    "another role there": (f"arn:aws:iam::{HERE}:role/orders-replication-2", "all"),
    "its name elsewhere": (ROLE.replace(HERE, ELSEWHERE), "all"),
    "an operator here": (f"arn:aws:iam::{THERE}:role/operator", "all"),
    "S3 itself": ("s3.amazonaws.com", "none"),
    "anybody": ("anonymous", "none"),
}
CALLS: dict[str, tuple[str, str, Context]] = {
    "stores a replica": ("s3:ReplicateObject", f"{BUCKET}/a", {}),
    "tags it": ("s3:ReplicateTags", f"{BUCKET}/a", {}),
    "hides it": ("s3:ReplicateDelete", f"{BUCKET}/a", {}),
    "gives it away": ("s3:ObjectOwnerOverrideToBucketOwner", f"{BUCKET}/a", {}),
    "reads": ("s3:GetObject", f"{BUCKET}/a", {}),
    "uploads": ("s3:PutObject", f"{BUCKET}/a", {}),
    "deletes": ("s3:DeleteObject", f"{BUCKET}/a", {}),
    "deletes a version": ("s3:DeleteObjectVersion", f"{BUCKET}/a", {}),
    "lists": ("s3:ListBucket", BUCKET, {}),
    "suspends versions": ("s3:PutBucketVersioning", BUCKET, {}),
    "rewrites the policy": ("s3:PutBucketPolicy", BUCKET, {}),
    "encrypts under the bucket key": ("kms:Encrypt", "key", {**VIA_S3, S3_CONTEXT: BUCKET}),
    "encrypts without one": ("kms:Encrypt", "key", {**VIA_S3, S3_CONTEXT: f"{BUCKET}/a"}),
    "verifies the bucket key": ("kms:Decrypt", "key", {**VIA_S3, S3_CONTEXT: BUCKET}),
    "encrypts for another bucket": ("kms:Encrypt", "key", {**VIA_S3, S3_CONTEXT: "arn:aws:s3:::other"}),
    "encrypts by itself": ("kms:Encrypt", "key", {S3_CONTEXT: BUCKET}),
    "encrypts through S3 elsewhere": (
        "kms:Encrypt",
        "key",
        {"kms:ViaService": f"s3.{HOME}.amazonaws.com", S3_CONTEXT: BUCKET},
    ),
    "makes a data key": ("kms:GenerateDataKey", "key", {**VIA_S3, S3_CONTEXT: BUCKET}),
    "grants": ("kms:CreateGrant", "key", {"kms:GrantIsForAWSResource": "true"}),
    "schedules the key's deletion": ("kms:ScheduleKeyDeletion", "key", {}),
}
SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "dsse": {"encryption": ServerSideEncryption.DSSE_KMS},
    "kept": {"delete_markers": DeleteMarkers.NOT_REPLICATED},
}

EXPECTED = read_table("""
                                                    | default | dsse | kept
the role: stores a replica                          | ok      | ok   | ok
the role: tags it                                   | ok      | ok   | ok
the role: hides it                                  | ok      | ok   | D
the role: gives it away                             | ok      | ok   | ok
the role: encrypts under the bucket key             | ok      | ok   | ok
the role: encrypts without one                      | ok      | ok   | ok
the role: verifies the bucket key                   | ok      | D    | ok
the role, allowed all: stores a replica             | ok      | ok   | ok
the role, allowed all: hides it                     | ok      | ok   | D
the role, allowed all: reads                        | D       | D    | D
the role, allowed all: uploads                      | D       | D    | D
the role, allowed all: deletes                      | D       | D    | D
the role, allowed all: deletes a version            | D       | D    | D
the role, allowed all: lists                        | D       | D    | D
the role, allowed all: suspends versions            | D       | D    | D
the role, allowed all: rewrites the policy          | D       | D    | D
the role, allowed all: encrypts under the bucket key | ok     | ok   | ok
the role, allowed all: verifies the bucket key      | ok      | D    | ok
the role, allowed all: encrypts for another bucket  | D       | D    | D
the role, allowed all: encrypts by itself           | D       | D    | D
the role, allowed all: encrypts through S3 elsewhere | D      | D    | D
the role, allowed all: makes a data key             | D       | D    | D
the role, allowed all: grants                       | D       | D    | D
the role, allowed all: schedules the key's deletion | D       | D    | D
the role, without its policy: stores a replica      | D       | D    | D
the role, without its policy: encrypts under the bucket key | D | D  | D
another role there: stores a replica                | D       | D    | D
another role there: gives it away                   | D       | D    | D
another role there: reads                           | D       | D    | D
another role there: encrypts under the bucket key   | D       | D    | D
its name elsewhere: stores a replica                | D       | D    | D
its name elsewhere: encrypts under the bucket key   | D       | D    | D
an operator here: reads                             | ok      | ok   | ok
an operator here: deletes                           | ok      | ok   | ok
an operator here: deletes a version                 | ok      | ok   | ok
an operator here: lists                             | ok      | ok   | ok
an operator here: uploads                           | ok      | ok   | ok
an operator here: suspends versions                 | ok      | ok   | ok
an operator here: rewrites the policy               | ok      | ok   | ok
an operator here: encrypts under the bucket key     | ok      | ok   | ok
an operator here: makes a data key                  | ok      | ok   | ok
an operator here: encrypts by itself                | D       | D    | D
an operator here: schedules the key's deletion      | ok      | ok   | ok
S3 itself: stores a replica                         | D       | D    | D
S3 itself: encrypts under the bucket key            | D       | D    | D
anybody: stores a replica                           | D       | D    | D
anybody: reads                                      | D       | D    | D
anybody: encrypts under the bucket key              | D       | D    | D
""")


class Deployment:
    """Both accounts' apps in one shape: first the destination, then the source with the key that it said."""

    def __init__(self, directory: Path, arguments: dict[str, Any]) -> None:
        app = cdk.App(outdir=str(directory / "there"))
        there = cdk.Stack(app, "There", env=cdk.Environment(account=THERE, region=AWAY))
        ReplicationDestination(there, "Backup", bucket_name_prefix="backup", source_role_arns=[ROLE], **arguments)
        app.synth()
        first = Assembly.read(directory / "there")
        (key,) = first.resources_of_type("AWS::KMS::Key")
        (policy,) = first.resources_of_type("AWS::S3::BucketPolicy")
        self.key_arn, self.key_policy = str(key.arn), _plain(key.setting("KeyPolicy"))
        self.bucket_policy = _plain(policy.setting("PolicyDocument"))
        app = cdk.App(outdir=str(directory / "here"))
        here = cdk.Stack(app, "Here", env=cdk.Environment(account=HERE, region=HOME))
        destination = CrossAccountDestination(account=THERE, region=AWAY, bucket_name=NAME, key_arn=self.key_arn)
        ReplicatedEncryptedBuckets(
            here,
            "Data",
            bucket_name_prefix="acme",
            destinations=[destination],
            role_name=ROLE.rpartition("/")[2],
            **arguments,
        )
        app.synth()
        second = Assembly.read(directory / "here")
        (role,) = second.resources_of_type("AWS::IAM::Role")
        assert role.arn == ROLE
        (permissions,) = second.resources_of_type("AWS::IAM::ManagedPolicy")
        self.permissions = _plain(permissions.setting("PolicyDocument"))


def _plain(value: object) -> Policy:
    policy: Policy = json.loads(json.dumps(value))
    return policy


@pytest.fixture(scope="module", params=EXPECTED)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def deployment(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp("accounts"), SHAPES[shape])


def test_who_may_what(evaluator: Evaluator, deployment: Deployment, shape: str) -> None:
    def cell(row: str) -> str:
        who, _, call = row.partition(": ")
        (principal, own), (action, target, context) = CALLERS[who], CALLS[call]
        of_the_key = target == "key"
        decision = evaluator.decide(
            Request(
                principal=principal,
                action=action,
                resource=deployment.key_arn if of_the_key else target,
                context={**context, **({"kms:CallerAccount": _account(principal)} if of_the_key else {})},
            ),
            account=THERE,
            identity_policies={"its own": [deployment.permissions], "all": [FULL_ADMIN], "none": []}[own],
            resource_policy=deployment.key_policy if of_the_key else deployment.bucket_policy,
        )
        return "ok" if decision.allowed else "D"

    assert {row: cell(row) for row in EXPECTED[shape]} == EXPECTED[shape]


def _account(principal: str) -> str:
    return principal.split(":")[4] if principal.startswith("arn:") else "anonymous"


def test_every_caller_and_call_is_in_the_table() -> None:
    for cells in EXPECTED.values():
        assert {row.partition(": ")[0] for row in cells} == set(CALLERS)
        assert {row.partition(": ")[2] for row in cells} == set(CALLS)

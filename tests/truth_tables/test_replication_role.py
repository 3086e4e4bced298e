"""What S3 may do as the role of ReplicatedEncryptedBuckets: every step of replication, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest

from cdk_encrypted_data.choices import DeleteMarkers, ObjectLock, ServerSideEncryption
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam import requests as iam_requests
from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Policies, decide
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
from tests.oracle.evaluator import Request
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.evaluator import Evaluator, Policy

HOME, AWAY, OUTSIDE = "eu-central-1", "eu-west-1", "us-east-1"
SOURCE, DESTINATION = (f"arn:aws:s3:::acme-{ACCOUNT}-{region}-an" for region in (HOME, AWAY))
OTHER = "arn:aws:s3:::other"
S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"

SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "dsse": {"encryption": ServerSideEncryption.DSSE_KMS},
    "kept": {"delete_markers": DeleteMarkers.NOT_REPLICATED},
    "lock": {"object_lock": ObjectLock.ON},
    "prefix": {"object_key_prefix": "reports/"},
}

# Action, then what it is done to. Of a key: through S3 of which Region, for what.
STEPS: dict[str, tuple[str, str]] = {
    "reads its orders": ("s3:GetReplicationConfiguration", SOURCE),
    "lists the source": ("s3:ListBucket", SOURCE),
    "lists the destination": ("s3:ListBucket", DESTINATION),
    "reads an object to replicate it": ("s3:GetObjectVersionForReplication", f"{SOURCE}/a"),
    "reads a report to replicate it": ("s3:GetObjectVersionForReplication", f"{SOURCE}/reports/a"),
    "reads an object of the destination so": ("s3:GetObjectVersionForReplication", f"{DESTINATION}/a"),
    "reads an object of another bucket so": ("s3:GetObjectVersionForReplication", f"{OTHER}/a"),
    "reads a report's ACL": ("s3:GetObjectVersionAcl", f"{SOURCE}/reports/a"),
    "reads a report's tags": ("s3:GetObjectVersionTagging", f"{SOURCE}/reports/a"),
    "reads a report's retention": ("s3:GetObjectRetention", f"{SOURCE}/reports/a"),
    "reads a report's legal hold": ("s3:GetObjectLegalHold", f"{SOURCE}/reports/a"),
    "reads a report": ("s3:GetObject", f"{SOURCE}/reports/a"),
    "reads a report's version": ("s3:GetObjectVersion", f"{SOURCE}/reports/a"),
    "stores a replica": ("s3:ReplicateObject", f"{DESTINATION}/a"),
    "stores a report's replica": ("s3:ReplicateObject", f"{DESTINATION}/reports/a"),
    "stores a replica in the source": ("s3:ReplicateObject", f"{SOURCE}/reports/a"),
    "stores a replica elsewhere": ("s3:ReplicateObject", f"{OTHER}/reports/a"),
    "tags a report's replica": ("s3:ReplicateTags", f"{DESTINATION}/reports/a"),
    "hides a report's replica": ("s3:ReplicateDelete", f"{DESTINATION}/reports/a"),
    "hides a report": ("s3:ReplicateDelete", f"{SOURCE}/reports/a"),
    "gives a replica to another owner": ("s3:ObjectOwnerOverrideToBucketOwner", f"{DESTINATION}/reports/a"),
    "uploads": ("s3:PutObject", f"{DESTINATION}/reports/a"),
    "deletes": ("s3:DeleteObject", f"{DESTINATION}/reports/a"),
    "changes its orders": ("s3:PutReplicationConfiguration", SOURCE),
}
USES: dict[str, tuple[str, str, str, str]] = {
    "decrypts under the source's bucket key": ("kms:Decrypt", HOME, HOME, SOURCE),
    "decrypts a report without one": ("kms:Decrypt", HOME, HOME, f"{SOURCE}/reports/a"),
    "decrypts an object without one": ("kms:Decrypt", HOME, HOME, f"{SOURCE}/a"),
    "decrypts for another bucket": ("kms:Decrypt", HOME, HOME, OTHER),
    "decrypts through S3 of another Region": ("kms:Decrypt", HOME, OUTSIDE, SOURCE),
    "decrypts by itself": ("kms:Decrypt", HOME, "", SOURCE),
    "encrypts in the source": ("kms:Encrypt", HOME, HOME, SOURCE),
    "encrypts under the destination's bucket key": ("kms:Encrypt", AWAY, AWAY, DESTINATION),
    "encrypts a report's replica without one": ("kms:Encrypt", AWAY, AWAY, f"{DESTINATION}/reports/a"),
    "encrypts a replica without one": ("kms:Encrypt", AWAY, AWAY, f"{DESTINATION}/a"),
    "verifies the destination's bucket key": ("kms:Decrypt", AWAY, AWAY, DESTINATION),
    "encrypts for another bucket": ("kms:Encrypt", AWAY, AWAY, OTHER),
    "encrypts through S3 of another Region": ("kms:Encrypt", AWAY, HOME, DESTINATION),
    "makes a data key": ("kms:GenerateDataKey", AWAY, AWAY, DESTINATION),
    "grants": ("kms:CreateGrant", AWAY, AWAY, DESTINATION),
}

EXPECTED = read_table("""
                                            | default | dsse | kept | lock | prefix
reads its orders                            | ok      | ok   | ok   | ok   | ok
lists the source                            | ok      | ok   | ok   | ok   | ok
lists the destination                       | D       | D    | D    | D    | D
reads an object to replicate it             | ok      | ok   | ok   | ok   | D
reads a report to replicate it              | ok      | ok   | ok   | ok   | ok
reads an object of the destination so       | D       | D    | D    | D    | D
reads an object of another bucket so        | D       | D    | D    | D    | D
reads a report's ACL                        | ok      | ok   | ok   | ok   | ok
reads a report's tags                       | ok      | ok   | ok   | ok   | ok
reads a report's retention                  | D       | D    | D    | ok   | D
reads a report's legal hold                 | D       | D    | D    | ok   | D
reads a report                              | D       | D    | D    | D    | D
reads a report's version                    | D       | D    | D    | D    | D
stores a replica                            | ok      | ok   | ok   | ok   | D
stores a report's replica                   | ok      | ok   | ok   | ok   | ok
stores a replica in the source              | D       | D    | D    | D    | D
stores a replica elsewhere                  | D       | D    | D    | D    | D
tags a report's replica                     | ok      | ok   | ok   | ok   | ok
hides a report's replica                    | ok      | ok   | D    | ok   | ok
hides a report                              | D       | D    | D    | D    | D
gives a replica to another owner            | D       | D    | D    | D    | D
uploads                                     | D       | D    | D    | D    | D
deletes                                     | D       | D    | D    | D    | D
changes its orders                          | D       | D    | D    | D    | D
decrypts under the source's bucket key      | ok      | ok   | ok   | ok   | ok
decrypts a report without one               | ok      | ok   | ok   | ok   | ok
decrypts an object without one              | ok      | ok   | ok   | ok   | D
decrypts for another bucket                 | D       | D    | D    | D    | D
decrypts through S3 of another Region       | D       | D    | D    | D    | D
decrypts by itself                          | D       | D    | D    | D    | D
encrypts in the source                      | D       | D    | D    | D    | D
encrypts under the destination's bucket key | ok      | ok   | ok   | ok   | ok
encrypts a report's replica without one     | ok      | ok   | ok   | ok   | ok
encrypts a replica without one              | ok      | ok   | ok   | ok   | D
verifies the destination's bucket key       | ok      | D    | ok   | ok   | ok
encrypts for another bucket                 | D       | D    | D    | D    | D
encrypts through S3 of another Region       | D       | D    | D    | D    | D
makes a data key                            | D       | D    | D    | D    | D
grants                                      | D       | D    | D    | D    | D
""")


class Deployment:
    """One shape, synthesized, with every function of the templates resolved."""

    def __init__(self, directory: Path, arguments: dict[str, Any]) -> None:
        app = cdk.App(outdir=str(directory))
        home, away = (
            cdk.Stack(app, region, env=cdk.Environment(account=ACCOUNT, region=region)) for region in (HOME, AWAY)
        )
        ReplicatedEncryptedBuckets(home, "Data", bucket_name_prefix="acme", replicas=[away], **arguments)
        app.synth()
        self._assembly = Assembly.read(directory)
        (self.role,) = self._assembly.resources_of_type("AWS::IAM::Role")
        (self.permissions,) = (
            self._plain(each.setting("PolicyDocument"))
            for each in self._assembly.resources_of_type("AWS::IAM::ManagedPolicy")
        )
        self.trust = self._plain(self.role.setting("AssumeRolePolicyDocument"))

    def key(self, region: str) -> tuple[str, Policy]:
        """The ARN of a Region's key, and its policy."""
        (key,) = (each for each in self._assembly.resources_of_type("AWS::KMS::Key") if each.region == region)
        return str(key.arn), self._plain(key.setting("KeyPolicy"))

    def bucket_policy(self, arn: str) -> Policy | None:
        """The policy of the bucket that an ARN is of, or is an object's of."""
        for each in self._assembly.resources_of_type("AWS::S3::BucketPolicy"):
            if str(each.setting("Bucket")) == arn.partition(":::")[2].partition("/")[0]:
                return self._plain(each.setting("PolicyDocument"))
        return None

    def _plain(self, value: object) -> Policy:
        policy: Policy = json.loads(json.dumps(value))
        return policy


@pytest.fixture(scope="module", params=EXPECTED)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def deployment(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp(shape) / "cdk.out", SHAPES[shape])


def test_what_s3_may_do_as_the_role(evaluator: Evaluator, deployment: Deployment, shape: str) -> None:
    def cell(row: str) -> str:
        if row in STEPS:
            action, resource = STEPS[row]
            policy, context = deployment.bucket_policy(resource), {}
        else:
            action, region, service, bound = USES[row]
            resource, policy = deployment.key(region)
            context = {S3_CONTEXT: bound} | ({"kms:ViaService": f"s3.{service}.amazonaws.com"} if service else {})
            if action == "kms:CreateGrant":
                context["kms:GrantIsForAWSResource"] = "true"
        decision = evaluator.decide(
            Request(principal=str(deployment.role.arn), action=action, resource=resource, context=context),
            account=ACCOUNT,
            identity_policies=[deployment.permissions],
            resource_policy=policy,
        )
        return "ok" if decision.allowed else "D"

    assert {row: cell(row) for row in EXPECTED[shape]} == EXPECTED[shape]


def test_every_step_is_in_the_table() -> None:
    for cells in EXPECTED.values():
        assert list(cells) == [*STEPS, *USES]


@pytest.mark.parametrize(
    ("who", "context", "may"),
    [
        ("s3.amazonaws.com", {"aws:SourceArn": SOURCE, "aws:SourceAccount": ACCOUNT}, True),
        ("s3.amazonaws.com", {}, True),
        ("s3.amazonaws.com", {"aws:SourceArn": OTHER, "aws:SourceAccount": ACCOUNT}, False),
        ("s3.amazonaws.com", {"aws:SourceArn": SOURCE, "aws:SourceAccount": OTHER_ACCOUNT}, False),
        ("batchoperations.s3.amazonaws.com", {}, False),
        (f"arn:aws:iam::{ACCOUNT}:user/operator", {}, False),
    ],
)
def test_who_assumes_it(deployment: Deployment, who: str, context: dict[str, str], *, may: bool) -> None:
    # The oracle takes no trust policies.
    policies = Policies(resource=compile_policy(dict(deployment.trust), PolicyKind.TRUST))
    caller = principals.service(who) if who.endswith(".amazonaws.com") else principals.principal(who)
    request = iam_requests.Request(caller, "sts:AssumeRole", str(deployment.role.arn), ACCOUNT, context)
    assert decide(request, policies).allowed is may

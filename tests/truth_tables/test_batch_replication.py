"""What S3 Batch Operations may do as the role of BatchReplication, and an operator by its grant: what a job takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.batch_replication import BatchReplication
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam import requests as iam_requests
from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Policies, decide
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
from tests.oracle.evaluator import Request
from tests.oracle.table import read_table
from tests.truth_tables.proofs_engine import ProofsEngine
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.evaluator import Context, Evaluator, Policy

HOME, AWAY = "eu-central-1", "eu-west-1"
SOURCE, DESTINATION = (f"arn:aws:s3:::acme-{ACCOUNT}-{region}-an" for region in (HOME, AWAY))
REPORTS = f"arn:aws:s3:::reports-{ACCOUNT}-{HOME}-an"
REPORT = f"{REPORTS}/batch-replication/job-1/report.json"
JOB = f"arn:aws:s3:{HOME}:{ACCOUNT}:job/1"
BATCH = "batchoperations.s3.amazonaws.com"
S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
HERE = {"aws:RequestedRegion": HOME}
TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}

# Action, what it is done to ("role", "key of reports", "key of source": as deployed), context.
CALLS: dict[str, tuple[str, str, Context]] = {
    "reads the rules": ("s3:GetReplicationConfiguration", SOURCE, {}),
    "reads another bucket's rules": ("s3:GetReplicationConfiguration", DESTINATION, {}),
    "has S3 list the source": ("s3:PutInventoryConfiguration", SOURCE, {}),
    "has S3 list the destination": ("s3:PutInventoryConfiguration", DESTINATION, {}),
    "initiates a report's replication": ("s3:InitiateReplication", f"{SOURCE}/reports/a", TLS),
    "initiates an object's replication": ("s3:InitiateReplication", f"{SOURCE}/a", TLS),
    "initiates it from the destination": ("s3:InitiateReplication", f"{DESTINATION}/reports/a", TLS),
    "stores what it did": ("s3:PutObject", REPORT, {}),
    "stores it elsewhere in the bucket": ("s3:PutObject", f"{REPORTS}/a", {}),
    "stores it in the source": ("s3:PutObject", f"{SOURCE}/batch-replication/a", {}),
    "encrypts it under the bucket key": ("kms:GenerateDataKey", "key of reports", {S3_CONTEXT: REPORTS}),
    "encrypts it without one": ("kms:GenerateDataKey", "key of reports", {S3_CONTEXT: REPORT}),
    "opens the bucket key": ("kms:Decrypt", "key of reports", {S3_CONTEXT: REPORTS}),
    "opens another object": ("kms:Decrypt", "key of reports", {S3_CONTEXT: f"{REPORTS}/a"}),
    "decrypts what is to be replicated": ("kms:Decrypt", "key of source", {S3_CONTEXT: SOURCE}),
    "reads an object": ("s3:GetObject", f"{SOURCE}/reports/a", {}),
    "reads it for replication": ("s3:GetObjectVersionForReplication", f"{SOURCE}/reports/a", {}),
    "stores a replica": ("s3:ReplicateObject", f"{DESTINATION}/reports/a", {}),
    "deletes": ("s3:DeleteObject", f"{SOURCE}/reports/a", {}),
    "changes the rules": ("s3:PutReplicationConfiguration", SOURCE, {}),
    "reads reports": ("s3:GetObject", REPORT, {}),
    "makes a job of replication": ("s3:CreateJob", "*", {**HERE, "s3:RequestJobOperation": "S3ReplicateObject"}),
    "makes a job that tags": ("s3:CreateJob", "*", {**HERE, "s3:RequestJobOperation": "S3PutObjectTagging"}),
    "makes a job of replication elsewhere": (
        "s3:CreateJob",
        "*",
        {"aws:RequestedRegion": AWAY, "s3:RequestJobOperation": "S3ReplicateObject"},
    ),
    "lists jobs": ("s3:ListJobs", "*", HERE),
    "follows a job": ("s3:DescribeJob", JOB, {}),
    "ends a job": ("s3:UpdateJobStatus", JOB, {}),
    "passes the role to a job": ("iam:PassRole", "role", {"iam:PassedToService": BATCH}),
    "passes the role to a function": ("iam:PassRole", "role", {"iam:PassedToService": "lambda.amazonaws.com"}),
    "passes another role": ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {"iam:PassedToService": BATCH}),
}

EXPECTED = read_table("""
                                     | role | role with prefix | operator
reads the rules                      | ok   | ok               | ok
reads another bucket's rules         | D    | D                | D
has S3 list the source               | ok   | ok               | D
has S3 list the destination          | D    | D                | D
initiates a report's replication     | ok   | ok               | D
initiates an object's replication    | ok   | D                | D
initiates it from the destination    | D    | D                | D
stores what it did                   | ok   | ok               | D
stores it elsewhere in the bucket    | D    | D                | D
stores it in the source              | D    | D                | D
encrypts it under the bucket key     | ok   | ok               | D
encrypts it without one              | ok   | ok               | D
opens the bucket key                 | ok   | ok               | D
opens another object                 | D    | D                | D
decrypts what is to be replicated    | D    | D                | D
reads an object                      | D    | D                | D
reads it for replication             | D    | D                | D
stores a replica                     | D    | D                | D
deletes                              | D    | D                | D
changes the rules                    | D    | D                | D
reads reports                        | D    | D                | D
makes a job of replication           | D    | D                | ok
makes a job that tags                | D    | D                | D
makes a job of replication elsewhere | D    | D                | D
lists jobs                           | D    | D                | ok
follows a job                        | D    | D                | ok
ends a job                           | D    | D                | D
passes the role to a job             | D    | D                | ok
passes the role to a function        | D    | D                | D
passes another role                  | D    | D                | D
""")


class Deployment:
    """One column, synthesized, with every function of the templates resolved."""

    def __init__(self, directory: Path, column: str) -> None:
        app = cdk.App(outdir=str(directory))
        home, away = (cdk.Stack(app, each, env=cdk.Environment(account=ACCOUNT, region=each)) for each in (HOME, AWAY))
        prefix = "reports/" if column == "role with prefix" else None
        buckets = ReplicatedEncryptedBuckets(
            home, "Data", bucket_name_prefix="acme", replicas=[away], object_key_prefix=prefix
        )
        reports = EncryptedBucket(home, "Reports", bucket_name_prefix="reports")
        batch = BatchReplication(home, "Batch", buckets=buckets, report_buckets=[reports])
        operators = iam.ManagedPolicy(home, "Operators")
        batch.grant_create_job(operators)
        app.synth()
        self._assembly = Assembly.read(directory)
        (self.role,) = (
            each
            for each in self._assembly.resources_of_type("AWS::IAM::Role")
            if BATCH in str(each.setting("AssumeRolePolicyDocument"))
        )
        wanted = "Operators" if column == "operator" else "BatchReplication"
        (self.permissions,) = (
            _plain(each.setting("PolicyDocument"))
            for each in self._assembly.resources_of_type("AWS::IAM::ManagedPolicy")
            if wanted in each.logical_id
        )
        self.principal = f"arn:aws:iam::{ACCOUNT}:role/operator" if column == "operator" else str(self.role.arn)

    def target(self, name: str) -> tuple[str, Policy | None]:
        """The ARN that a call is about, and the policy that is attached to it."""
        if name == "role":
            return str(self.role.arn), None
        if name.startswith("key of "):
            logical_id = {"key of reports": "ReportsKey", "key of source": "DataBucketKey"}[name]
            (key,) = (
                each
                for each in self._assembly.resources_of_type("AWS::KMS::Key")
                if each.region == HOME and each.logical_id.startswith(logical_id)
            )
            return str(key.arn), _plain(key.setting("KeyPolicy"))
        for each in self._assembly.resources_of_type("AWS::S3::BucketPolicy"):
            if str(each.setting("Bucket")) == name.partition(":::")[2].partition("/")[0]:
                return name, _plain(each.setting("PolicyDocument"))
        return name, None


def _plain(value: object) -> Policy:
    policy: Policy = json.loads(json.dumps(value))
    return policy


@pytest.fixture(scope="module", params=EXPECTED)
def column(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def deployment(column: str, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp("batch") / "cdk.out", column)


def test_what_each_may_do(evaluator: Evaluator, deployment: Deployment, column: str) -> None:
    def cell(row: str) -> str:
        action, name, said = CALLS[row]
        resource, policy = deployment.target(name)
        if action == "s3:InitiateReplication" and not isinstance(evaluator, ProofsEngine):
            # Its list of this action's keys lacks s3:TlsVersion, of which the bucket's policy speaks, to refuse.
            said, policy = {"aws:SecureTransport": "true"}, None
        through_s3 = {"kms:ViaService": f"s3.{HOME}.amazonaws.com"} if action.startswith("kms:") else {}
        decision = evaluator.decide(
            Request(principal=deployment.principal, action=action, resource=resource, context={**said, **through_s3}),
            account=ACCOUNT,
            identity_policies=[deployment.permissions],
            resource_policy=policy,
        )
        return "ok" if decision.allowed else "D"

    assert {row: cell(row) for row in EXPECTED[column]} == EXPECTED[column]
    assert list(CALLS) == list(EXPECTED[column])


@pytest.mark.parametrize(
    ("who", "context", "may"),
    [
        (BATCH, {"aws:SourceArn": JOB, "aws:SourceAccount": ACCOUNT}, True),
        (BATCH, {}, True),
        (BATCH, {"aws:SourceAccount": OTHER_ACCOUNT}, False),
        (BATCH, {"aws:SourceArn": f"arn:aws:s3:{HOME}:{OTHER_ACCOUNT}:job/1"}, False),
        (BATCH, {"aws:SourceArn": f"arn:aws:s3:{AWAY}:{ACCOUNT}:job/1"}, False),
        ("s3.amazonaws.com", {}, False),
        (f"arn:aws:iam::{ACCOUNT}:user/operator", {}, False),
    ],
)
def test_who_assumes_the_role(deployment: Deployment, who: str, context: dict[str, str], *, may: bool) -> None:
    # The oracle takes no trust policies.
    trust = _plain(deployment.role.setting("AssumeRolePolicyDocument"))
    policies = Policies(resource=compile_policy(dict(trust), PolicyKind.TRUST))
    caller = principals.service(who) if who.endswith(".amazonaws.com") else principals.principal(who)
    request = iam_requests.Request(caller, "sts:AssumeRole", str(deployment.role.arn), ACCOUNT, context)
    assert decide(request, policies).allowed is may

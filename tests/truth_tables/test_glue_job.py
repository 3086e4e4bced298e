"""What a customer's job and its readers may read: the outputs of rules both, rows from before them the job alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data_job.envelope import CONTEXT, STATE_CONTEXT
from tests.customers import fixtures
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, REGION, Synthesis

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aws_cdk as cdk
    from constructs import IConstruct

    from tests.oracle.evaluator import Context, Evaluator

# What IAM policies say besides: the reader has what `grant_read` gives, and others have all of AWS.
WHO = ("job", "reader", "reader who may all", "operator who may all")


def bound(context: Mapping[str, str]) -> Context:
    return {f"kms:EncryptionContext:{name}": value for name, value in context.items()}


VIA_S3: Context = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
CALLS: dict[str, tuple[str, str, Context]] = {
    "gets an output": ("s3:GetObject", "data/runs/1/results/a.parquet", {}),
    "gets a row from before": ("s3:GetObject", "state/1/subjects/a.parquet", {}),
    "gets its version": ("s3:GetObjectVersion", "state/1/subjects/a.parquet", {}),
    "puts an output": ("s3:PutObject", "data/runs/1/results/a.parquet", {}),
    "puts a row from before": ("s3:PutObject", "state/1/subjects/a.parquet", {}),
    "opens an output": ("kms:Decrypt", "", bound(CONTEXT)),
    "opens a row from before": ("kms:Decrypt", "", bound(STATE_CONTEXT)),
    "opens it through S3": ("kms:Decrypt", "", {**VIA_S3, **bound(STATE_CONTEXT)}),
    "opens what is bound to nothing": ("kms:Decrypt", "", {}),
    "makes a key for an output": ("kms:GenerateDataKey", "", bound(CONTEXT)),
    "makes a key for a row from before": ("kms:GenerateDataKey", "", bound(STATE_CONTEXT)),
}

# The job may decrypt directly whatever S3 didn't encrypt, for Glue's bookmarks: decision 37.
EXPECTED = read_table("""
                                  | job | reader | reader who may all | operator who may all
gets an output                    | ok  | ok     | ok                 | ok
gets a row from before            | ok  | D      | ok                 | ok
gets its version                  | ok  | D      | ok                 | ok
puts an output                    | ok  | D      | ok                 | ok
puts a row from before            | ok  | D      | ok                 | ok
opens an output                   | ok  | ok     | ok                 | D
opens a row from before           | ok  | D      | D                  | D
opens it through S3               | D   | D      | D                  | D
opens what is bound to nothing    | ok  | D      | D                  | D
makes a key for an output         | ok  | D      | D                  | D
makes a key for a row from before | ok  | D      | D                  | D
""")


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        roles = {
            name: iam.Role(stack, name.title().replace(" ", ""), assumed_by=iam.AccountRootPrincipal())
            for name in WHO[1:]
        }
        readers = [role for name, role in roles.items() if name.startswith("reader")]
        job = fixtures.job(stack, key_users=readers)
        job.grant_read(roles["reader"])
        return {**roles}

    return Synthesis(build)


@pytest.mark.parametrize("who", WHO)
def test_who_reads_what(evaluator: Evaluator, synthesis: Synthesis, who: str) -> None:
    template = synthesis.template
    key, bucket = template.only("AWS::KMS::Key"), template.only("AWS::S3::Bucket")
    # The job's own is included, so no construct holds it.
    (role_of_job,) = (name for name in template.all("AWS::IAM::Role") if name.startswith("acme"))
    role = role_of_job if who == "job" else synthesis.logical_id(who)
    policies = [FULL_ADMIN] if who.endswith("all") else template.identity_policies(role)

    def may(action: str, name: str, context: Context) -> bool:
        of_key = action.startswith("kms:")
        request = Request(
            principal=template.arn(role),
            action=action,
            resource=template.arn(key) if of_key else f"{template.arn(bucket)}/{name}",
            context=context,
        )
        return evaluator.decide(
            request,
            account=ACCOUNT,
            identity_policies=policies,
            resource_policy=template.key_policy(key) if of_key else template.bucket_policy(bucket),
        ).allowed

    assert {call: "ok" if may(*asked) else "D" for call, asked in CALLS.items()} == EXPECTED[who]

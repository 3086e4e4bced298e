"""What the job of one customer may do with what is its own, and with what is another customer's: of all kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aws_cdk as cdk
import pytest

from cdk_encrypted_data.job_code import JobCode
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from tests.customers.fixtures import ACCOUNT, ENVIRONMENT, REGION, customer, job
from tests.oracle.evaluator import Request
from tests.oracle.table import read_table

if TYPE_CHECKING:
    from tests.oracle.evaluator import Evaluator, Policy

RULES = {"acme": "clinical-trials", "globex": "registries"}
CODE = JobCode(
    script="s3://code/script.py",
    rules={name: f"s3://code/{name}.zip" for name in RULES.values()},
    packages=["s3://code/package.zip"],
)

IAM_DATA = Path(__file__).parents[2] / "node_modules" / "@cloud-copilot" / "iam-data" / "data"

IN_JOB = {"kms:EncryptionContext:aws:x-amz-cek-alg": "AES/GCM/NoPadding"}

# Action, and what it is done to: of the customer whose column it is.
STEPS: dict[str, tuple[str, str]] = {
    "lists the bucket": ("s3:ListBucket", "{bucket}"),
    "reads an object": ("s3:GetObject", "{bucket}/data/a"),
    "stores an object": ("s3:PutObject", "{bucket}/data/a"),
    "deletes an object": ("s3:DeleteObject", "{bucket}/data/a"),
    "reads a temporary object": ("s3:GetObject", "{bucket}/tmp/a"),
    "stores a temporary object": ("s3:PutObject", "{bucket}/tmp/a"),
    "deletes a temporary object": ("s3:DeleteObject", "{bucket}/tmp/a"),
    "stores Spark's event log": ("s3:PutObject", "{bucket}/tmp/spark-events/a"),
    "changes the bucket's policy": ("s3:PutBucketPolicy", "{bucket}"),
    "reads the script": ("s3:GetObject", "{code}/script.py"),
    "reads the package": ("s3:GetObject", "{code}/package.zip"),
    "reads the rules": ("s3:GetObject", "{rules}"),
    "changes the rules": ("s3:PutObject", "{rules}"),
    "reads what lies beside the code": ("s3:GetObject", "{code}/other.zip"),
    "reads the secret": ("secretsmanager:GetSecretValue", "{secret}"),
    "makes the log group": ("logs:CreateLogGroup", "{logs}/output"),
    "puts the log group under a key": ("logs:AssociateKmsKey", "{logs}/output"),
    "makes a log stream": ("logs:CreateLogStream", "{logs}/output:log-stream:jr_1"),
    "writes logs": ("logs:PutLogEvents", "{logs}/error:log-stream:jr_1"),
    "reads logs": ("logs:GetLogEvents", "{logs}/output:log-stream:jr_1"),
    "writes logs under another security configuration": ("logs:PutLogEvents", "{other_logs}/output:log-stream:jr_1"),
    "writes logs where Glue does without one": ("logs:PutLogEvents", "{plain_logs}/output:log-stream:jr_1"),
    "looks at the connection": ("glue:GetConnection", "{glue}:connection/{name}"),
    "looks at the job": ("glue:GetJob", "{glue}:job/{name}"),
    # AWS decides on bookmarks without a resource. What is in another's is encrypted under their key.
    "looks at a bookmark": ("glue:GetJobBookmark", "*"),
    "resets a bookmark": ("glue:ResetJobBookmark", "*"),
    "starts the job": ("glue:StartJobRun", "{glue}:job/{name}"),
    "changes the job": ("glue:UpdateJob", "{glue}:job/{name}"),
    "reads a table of the catalog": ("glue:GetTable", "{glue}:table/default/{name}"),
    "asks Lake Formation for data": ("lakeformation:GetDataAccess", "*"),
}
# Action, and through which service, bound to what.
USES: dict[str, tuple[str, dict[str, str]]] = {
    "makes a data key in its process": ("kms:GenerateDataKey", IN_JOB),
    "opens a data key in its process": ("kms:Decrypt", IN_JOB),
    "makes a data key of another format": ("kms:GenerateDataKey", {"kms:EncryptionContext:purpose": "other"}),
    "makes a data key through S3": (
        "kms:GenerateDataKey",
        {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": "{bucket}"},
    ),
    "opens a data key through S3": (
        "kms:Decrypt",
        {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": "{bucket}"},
    ),
    "keeps a bookmark": ("kms:Encrypt", {"kms:ViaService": f"glue.{REGION}.amazonaws.com"}),
    "changes the key's policy": ("kms:PutKeyPolicy", {}),
}

EXPECTED = read_table("""
                                                 | its own | another's
lists the bucket                                 | ok      | D
reads an object                                  | ok      | D
stores an object                                 | ok      | D
deletes an object                                | D       | D
reads a temporary object                         | ok      | D
stores a temporary object                        | ok      | D
deletes a temporary object                       | ok      | D
stores Spark's event log                         | ok      | D
changes the bucket's policy                      | D       | D
reads the script                                 | ok      | ok
reads the package                                | ok      | ok
reads the rules                                  | ok      | D
changes the rules                                | D       | D
reads what lies beside the code                  | D       | D
reads the secret                                 | ok      | D
makes the log group                              | ok      | D
puts the log group under a key                   | ok      | D
makes a log stream                               | ok      | D
writes logs                                      | ok      | D
reads logs                                       | D       | D
writes logs under another security configuration | D       | D
writes logs where Glue does without one          | D       | D
looks at the connection                          | ok      | D
looks at the job                                 | ok      | D
looks at a bookmark                              | ok      | ok
resets a bookmark                                | D       | D
starts the job                                   | D       | D
changes the job                                  | D       | D
reads a table of the catalog                     | D       | D
asks Lake Formation for data                     | D       | D
makes a data key in its process                  | ok      | D
opens a data key in its process                  | ok      | D
makes a data key of another format               | D       | D
makes a data key through S3                      | ok      | D
opens a data key through S3                      | ok      | D
keeps a bookmark                                 | ok      | D
changes the key's policy                         | D       | D
""")


class Theirs(NamedTuple):
    """A customer's things."""

    role: str
    permissions: Policy
    bucket_policy: Policy
    key: tuple[str, Policy]
    names: dict[str, str]


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Theirs]:
    app = cdk.App(outdir=str(tmp_path_factory.mktemp("customers") / "cdk.out"))
    stack = cdk.Stack(app, "Fleet", env=ENVIRONMENT)
    for name, rules in RULES.items():
        job(stack, name, customer=customer(name, rules=rules), code=CODE)
    assembly = Assembly.read(app.synth().directory)
    return {name: theirs(assembly, name) for name in RULES}


def theirs(assembly: Assembly, name: str) -> Theirs:
    def one(kind: str) -> Any:  # noqa: ANN401 - a resource of the templates
        (found,) = (each for each in assembly.resources_of_type(kind) if each.logical_id.startswith(name))
        return found

    def plain(value: object) -> Policy:
        policy: Policy = json.loads(json.dumps(value))
        return policy

    role, key, own = one("AWS::IAM::Role"), one("AWS::KMS::Key"), one("AWS::Glue::Job")
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws-glue/jobs"
    suffix = f"-role/{role.ref}"
    return Theirs(
        role=str(role.arn),
        permissions=plain(one("AWS::IAM::ManagedPolicy").setting("PolicyDocument")),
        bucket_policy=plain(one("AWS::S3::BucketPolicy").setting("PolicyDocument")),
        key=(str(key.arn), plain(key.setting("KeyPolicy"))),
        names={
            "name": str(own.setting("Name")),
            "bucket": str(one("AWS::S3::Bucket").arn),
            "code": "arn:aws:s3:::code",
            "rules": f"arn:aws:s3:::code/{RULES[name]}.zip",
            "secret": customer(name).secret_arn,
            "glue": f"arn:aws:glue:{REGION}:{ACCOUNT}",
            "logs": f"{groups}/{own.setting('SecurityConfiguration')}{suffix}",
            "other_logs": f"{groups}/another{suffix}",
            "plain_logs": groups,
        },
    )


@pytest.mark.parametrize(("name", "other"), [("acme", "globex"), ("globex", "acme")])
@pytest.mark.parametrize("whose", EXPECTED)
def test_what_a_job_may_do(
    evaluator: Evaluator, customers: dict[str, Theirs], name: str, other: str, whose: str
) -> None:
    own, things = customers[name], customers[name if whose == "its own" else other]

    def cell(row: str) -> str:
        policy: Policy | None = None
        context: dict[str, str] = {}
        if row in STEPS:
            action, place = STEPS[row]
            resource = place.format(**things.names)
            policy = things.bucket_policy if resource.startswith(things.names["bucket"]) else None
        else:
            action, said = USES[row]
            resource, policy = things.key
            context = {key: value.format(**things.names) for key, value in said.items()}
        decision = evaluator.decide(
            Request(principal=own.role, action=action, resource=resource, context=context),
            account=ACCOUNT,
            identity_policies=[own.permissions],
            resource_policy=policy,
        )
        return "ok" if decision.allowed else "D"

    assert {row: cell(row) for row in EXPECTED[whose]} == EXPECTED[whose]


def test_every_step_is_in_the_table() -> None:
    for cells in EXPECTED.values():
        assert list(cells) == [*STEPS, *USES]


@pytest.mark.skipif(not IAM_DATA.exists(), reason="the tools that only npm has aren't installed here")
def test_every_action_is_limited_to_resources_as_far_as_aws_decides_by_them(customers: dict[str, Theirs]) -> None:
    """Where AWS decides without a resource, a statement that names one allows nothing, and the job would fail."""
    statements = list(_statements(customers["acme"].permissions))
    limited = [(action, arns) for actions, arns in statements for action in actions if arns != ["*"]]
    everywhere = [action for actions, arns in statements for action in actions if arns == ["*"]]
    assert len(limited) > 20
    assert [action for action, arns in limited if not any(_is_of(action, arn) for arn in arns)] == []
    assert {action for action in everywhere if any(required for _, required in _resources_of(action))} == {
        "ec2:DescribeVpcAttribute"
    }


def _statements(policy: Policy) -> Iterator[tuple[list[str], list[str]]]:
    def listed(value: Any) -> list[str]:  # noqa: ANN401 - JSON
        return value if isinstance(value, list) else [value]

    statements: Any = policy["Statement"]
    for each in statements:
        yield listed(each["Action"]), listed(each["Resource"])


def _resources_of(action: str) -> list[tuple[str, bool]]:
    """Return the ARNs, with placeholders, by which AWS decides on an action, and whether it always has one."""
    service, _, name = action.partition(":")
    actions, kinds = (
        json.loads((IAM_DATA / what / f"{service}.json").read_text()) for what in ("actions", "resourceTypes")
    )
    return [(kinds[kind["name"].lower()]["arn"], kind["required"]) for kind in actions[name.lower()]["resourceTypes"]]


def _is_of(action: str, arn: str) -> bool:
    # The wildcard at the end of a log group's name stands for its streams as well.
    forms = [arn, f"{arn.removesuffix('*')}group:log-stream:stream"]
    patterns = [re.sub(r"\\\$\\\{[^}]*\\\}", ".+", re.escape(each)) for each, _ in _resources_of(action)]
    return any(re.fullmatch(pattern, form) for pattern in patterns for form in forms)

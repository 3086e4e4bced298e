"""A cell deployed: a customer's reader reads what the job wrote, and whom the key doesn't name reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest

from cdk_encrypted_data import Placement
from cdk_encrypted_data_job.envelope import CONTEXT
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.server import EmbeddedAws
from stacks.cells import Cell, CellSettings
from tests.customers.fixtures import NETWORK, customer
from tests.customers.test_job_code import rules
from tests.deploy.test_customers import NAMES, Deployed, deployed, made_secrets, refused

pytestmark = pytest.mark.deploy

STACK = "Frankfurt1-Customers0000"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Deployment(NamedTuple):
    """A running embedded AWS with a cell of two customers, each with a reader, and clients of whoever tries."""

    aws: EmbeddedAws
    secrets: dict[str, str]
    customers: dict[str, Deployed]
    users: dict[str, Callable[[str], Any]]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    place = tmp_path_factory.mktemp("deploy")
    with EmbeddedAws() as aws:
        secrets = made_secrets(aws)
        credentials = {f"{name}-reader": aws.create_user(f"{name}-reader") for name in NAMES}
        credentials |= {name: aws.create_user(name, EVERYTHING) for name in ("administrator", "stranger")}
        synthesize(place, aws, secrets)
        run_cdk(aws, "bootstrap", app=place / "cdk.out")
        run_cdk(aws, "deploy", "Frankfurt1/*", "--require-approval=never", app=place / "cdk.out")
        for name in NAMES:
            aws.client("iam").attach_user_policy(UserName=f"{name}-reader", PolicyArn=reader_policy(aws, name))
        made = {name: deployed(aws, name, secrets[name]) for name in NAMES}
        for each in made.values():
            each.client("s3").put_object(Bucket=each.bucket, Key="data/rows", Body=b"rows")
            each.client("s3").put_object(Bucket=each.bucket, Key="tmp/spilled", Body=b"rows")
        yield Deployment(aws, secrets, made, {name: client_of(aws, each) for name, each in credentials.items()})


def synthesize(place: Path, aws: EmbeddedAws, secrets: dict[str, str]) -> None:
    app = cdk.App(outdir=str(place / "cdk.out"))
    users = f"arn:aws:iam::{aws.account_id}:user"
    settings = CellSettings(
        name="Frankfurt1",
        account=aws.account_id,
        region=aws.region,
        placement=Placement(stacks=1, capacity=40),
        customers=tuple(
            customer(name, secret_arn=secret, readers=[f"{users}/{name}-reader"]) for name, secret in secrets.items()
        ),
        rules={"clinical-trials": str(rules(place))},
        **{**NETWORK, "security_group_ids": tuple(NETWORK["security_group_ids"])},
        administrators=(f"{users}/administrator",),
    )
    Cell(app, settings=settings)
    app.synth()


def client_of(aws: EmbeddedAws, credentials: Any) -> Callable[[str], Any]:  # noqa: ANN401
    return lambda service: aws.client(service, credentials=credentials)


def reader_policy(aws: EmbeddedAws, name: str) -> str:
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    (arn,) = (
        str(each["OutputValue"]) for each in stack["Outputs"] if each["OutputKey"].startswith(f"{name}ReaderPolicyArn")
    )
    return arn


def sealed_by_the_job(whose: Deployed) -> dict[str, Any]:
    """Return the request that opens a data key of the job's."""
    key = whose.client("kms").generate_data_key(KeyId=whose.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    return {"KeyId": whose.key_arn, "CiphertextBlob": key["CiphertextBlob"], "EncryptionContext": CONTEXT}


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_reads_what_the_job_wrote(deployment: Deployment, name: str) -> None:
    whose, client = deployment.customers[name], deployment.users[f"{name}-reader"]
    s3 = client("s3")
    assert "data/rows" in [each["Key"] for each in s3.list_objects_v2(Bucket=whose.bucket)["Contents"]]
    assert s3.get_object(Bucket=whose.bucket, Key="data/rows")["Body"].read() == b"rows"
    assert client("kms").decrypt(**sealed_by_the_job(whose))["Plaintext"]


@pytest.mark.parametrize("name", NAMES)
def test_and_does_nothing_else(deployment: Deployment, name: str) -> None:
    whose, client = deployment.customers[name], deployment.users[f"{name}-reader"]
    s3, kms = client("s3"), client("kms")
    assert refused(s3.get_object, Bucket=whose.bucket, Key="tmp/spilled")
    assert refused(s3.put_object, Bucket=whose.bucket, Key="data/rows", Body=b"other")
    assert refused(s3.delete_object, Bucket=whose.bucket, Key="data/rows")
    assert refused(kms.generate_data_key, KeyId=whose.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert refused(kms.disable_key, KeyId=whose.key_arn)


@pytest.mark.parametrize(("name", "other"), [NAMES, NAMES[::-1]])
def test_nor_reads_what_is_another_customers(deployment: Deployment, name: str, other: str) -> None:
    aws, others, client = deployment.aws, deployment.customers[other], deployment.users[f"{name}-reader"]
    s3, kms = client("s3"), client("kms")
    assert refused(s3.list_objects_v2, Bucket=others.bucket)
    assert refused(s3.get_object, Bucket=others.bucket, Key="data/rows")
    assert refused(kms.decrypt, **sealed_by_the_job(others))
    # Nor with the policy of the other's readers: their key doesn't name it.
    attached = {"UserName": f"{name}-reader", "PolicyArn": reader_policy(aws, other)}
    aws.client("iam").attach_user_policy(**attached)
    try:
        assert s3.list_objects_v2(Bucket=others.bucket)["Contents"]
        assert refused(s3.get_object, Bucket=others.bucket, Key="data/rows")
        assert refused(kms.decrypt, **sealed_by_the_job(others))
    finally:
        aws.client("iam").detach_user_policy(**attached)


@pytest.mark.parametrize("who", ["administrator", "stranger"])
def test_whom_iam_allows_everything_reads_nothing(deployment: Deployment, who: str) -> None:
    client = deployment.users[who]
    for whose in deployment.customers.values():
        assert refused(client("s3").get_object, Bucket=whose.bucket, Key="data/rows")
        assert refused(client("kms").decrypt, **sealed_by_the_job(whose))


def test_administrators_alone_administer_the_keys(deployment: Deployment) -> None:
    for whose in deployment.customers.values():
        assert refused(deployment.users["stranger"]("kms").disable_key, KeyId=whose.key_arn)
        kms = deployment.users["administrator"]("kms")
        kms.disable_key(KeyId=whose.key_arn)
        kms.enable_key(KeyId=whose.key_arn)


def test_a_second_deployment_changes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    synthesize(tmp_path, deployment.aws, deployment.secrets)
    output = run_cdk(deployment.aws, "deploy", "Frankfurt1/*", "--require-approval=never", app=tmp_path / "cdk.out")
    # What the customers share, and their stack.
    assert output.count("(no changes)") == 2, output

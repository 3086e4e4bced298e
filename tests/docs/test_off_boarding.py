"""The commands of docs/off-boarding.md, as they stand there, on a customer of the embedded AWS."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest

from cdk_encrypted_data_operations.__main__ import main
from devtools.embedded_aws.server import EmbeddedAws
from devtools.readme import README
from stacks.customers import CustomersSettings, customer_stacks
from tests.customers.fixtures import ENVIRONMENT
from tests.customers.test_job_code import rules
from tests.customers.test_stacks import context, listed
from tests.docs.test_readme import code
from tests.operations.test_off_boarding import OFF, ON, Customer, Runs

_TEXT = (README.parent / "docs" / "off-boarding.md").read_text()
_PROGRAM = "encrypted-data-operations"


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(account_id="111122223333", region="eu-central-1") as aws:
        yield aws


def section(title: str) -> str:
    return _TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_commands_take_the_customer_off_and_back_with_the_rights_that_are_listed_and_no_others(
    aws: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed_actions = re.findall(r"`([a-z0-9]+:[A-Za-z]+)`", section("What it needs"))
    keeper = aws.create_user("keeper", {"Effect": "Allow", "Action": listed_actions, "Resource": "*"})
    second = aws.client("iam").create_role(RoleName="second", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    acme = Customer.new(aws, "acme")
    session = aws.session(keeper)
    runs = Runs(session)
    runs.running["acme"] = ["jr_1"]
    monkeypatch.setattr(boto3.session, "Session", lambda: session)
    monkeypatch.chdir(tmp_path)
    blocks = [block.replace("\\\n", " ") for block in code("sh", _TEXT)]
    commands = [shlex.split(block)[1:] for block in blocks if block.startswith(_PROGRAM)]
    states = []
    for command in commands:
        assert main([*command, "--administrator", second]) == 0, command
        states.append(acme.whole()[:3])
    assert states == [ON[:3], ("Enabled", "DEACTIVATED", []), OFF[:3], ON[:3]]
    steps = [each["step"] for each in json.loads(Path("acme.json").read_text())["events"] if "outcome" in each]
    assert steps == [
        "stop trigger",
        "stop runs",
        "close bucket",
        "disable key",
        "schedule key deletion",
        "cancel key deletion",
        "enable key",
        "open bucket",
        "start trigger",
    ]


def test_the_access_logs_that_stay_are_as_it_says(tmp_path: Path) -> None:
    app = cdk.App()
    settings = CustomersSettings.from_context(context(rules(tmp_path)), text=listed("acme"))
    customer_stacks(app, settings, env=ENVIRONMENT)
    assembly = app.synth()

    def bucket(stack: str) -> dict[str, Any]:
        resources = assembly.get_stack_by_name(stack).template["Resources"].values()
        (found,) = [each["Properties"] for each in resources if each["Type"] == "AWS::S3::Bucket"]
        return found  # type: ignore[no-any-return]

    (page,) = [each for each in section("What it leaves").split("\n- ") if "access logs" in each]
    (encryption,) = bucket("Customers")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert "under SSE-S3" in page
    (rule,) = bucket("Customers")["LifecycleConfiguration"]["Rules"]
    assert f"for {rule['ExpirationInDays']} days" in page
    assert f"`{bucket('Customer-acme')['LoggingConfiguration']['LogFilePrefix']}`" in page

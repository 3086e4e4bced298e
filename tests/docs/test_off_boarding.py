"""The commands of docs/off-boarding.md, as they stand there, on a customer of the embedded AWS."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdk_encrypted_data_operations.__main__ import main
from devtools.embedded_aws.server import EmbeddedAws
from devtools.readme import README
from tests.docs.test_readme import code

_TEXT = (README.parent / "docs" / "off-boarding.md").read_text()
_PROGRAM = "encrypted-data-operations"


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(account_id="111122223333", region="eu-central-1") as aws:
        yield aws


def test_the_commands_take_the_customer_off_and_back(
    aws: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = aws.create_user("keeper", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keeper.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keeper.secret_access_key)
    monkeypatch.chdir(tmp_path)
    kms = aws.client("kms")
    key = kms.create_key(Tags=[{"TagKey": "customer", "TagValue": "acme"}])["KeyMetadata"]["KeyId"]
    blocks = [block.replace("\\\n", " ") for block in code("sh", _TEXT)]
    commands = [shlex.split(block)[1:] for block in blocks if block.startswith(_PROGRAM)]
    states = []
    for command in commands:
        assert main(command) == 0, command
        states.append(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])
    assert states == ["Enabled", "Enabled", "PendingDeletion", "Enabled"]
    steps = [each["step"] for each in json.loads(Path("acme.json").read_text())["events"] if "outcome" in each]
    assert steps == ["disable key", "schedule key deletion", "cancel key deletion", "enable key"]

"""docs/replication.md: its example is run, its tables are complete."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from cdk_encrypted_data import BatchReplication, MultiRegionAccessPoint, ReplicationDestination, ReplicationMonitoring
from cdk_encrypted_data_operations.__main__ import main
from devtools.readme import README
from tests.docs.test_readme import code

_TEXT = (README.parent / "docs" / "replication.md").read_text()


def test_the_example_watches_both_regions_and_tells_operators_of_alarms() -> None:
    (example,) = [each for each in code("python", _TEXT) if "ReplicationMonitoring(" in each]
    names: dict[str, Any] = {}
    exec(example.replace("app.synth()", "assembly = app.synth()"), names)  # noqa: S102 - our own page
    for stack in names["assembly"].stacks:
        (subscription,) = (
            each["Properties"]
            for each in stack.template["Resources"].values()
            if each["Type"] == "AWS::SNS::Subscription"
        )
        assert subscription["FilterPolicyScope"] == "MessageBody"
        assert subscription["FilterPolicy"] == {"AlarmName": [{"exists": True}]}


def test_the_example_of_jobs_makes_a_role_and_a_report_bucket() -> None:
    (example,) = [each for each in code("python", _TEXT) if "BatchReplication(" in each]
    names: dict[str, Any] = {}
    exec(example.replace("app.synth()", "assembly = app.synth()"), names)  # noqa: S102 - our own page
    outputs = names["assembly"].get_stack_by_name("Orders-eu-central-1").template["Outputs"]
    assert {"BatchRole", "ReportBucket"} <= set(outputs)


def test_the_examples_of_two_accounts_know_each_other() -> None:
    there, here = (
        each
        for each in code("python", _TEXT)
        if "ReplicationDestination(" in each or "CrossAccountDestination(" in each
    )
    templates = []
    for example in (there, here):
        names: dict[str, Any] = {}
        exec(example.replace("app.synth()", "assembly = app.synth()"), names)  # noqa: S102 - our own page
        templates.append(str(names["assembly"].stacks[0].template))
    assert "arn:aws:iam::111122223333:role/orders-replication" in templates[0]
    assert "'RoleName': 'orders-replication'" in templates[1]
    assert "backup-444455556666-eu-west-1-an" in templates[1]


def test_the_example_of_one_name_gives_an_application_its_arn() -> None:
    (example,) = [each for each in code("python", _TEXT) if "MultiRegionAccessPoint(" in each]
    names: dict[str, Any] = {}
    exec(example.replace("app.synth()", "assembly = app.synth()"), names)  # noqa: S102 - our own page
    home = names["assembly"].get_stack_by_name("Orders-eu-central-1").template
    assert "accesspoint/" in str(home["Outputs"]["OrdersEverywhere"]["Value"])
    assert "AWS::S3::MultiRegionAccessPoint" in {each["Type"] for each in home["Resources"].values()}


def test_the_command_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = [each for each in code("sh", _TEXT) if each.startswith("encrypted-data-operations ")]
    given = {word for word in shlex.split(command.replace("\\\n", " ")) if word.startswith("--")}
    with pytest.raises(SystemExit):
        main(["replicate-existing", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert given <= known
    assert set(re.findall(r"`(--[a-z-]+)", _TEXT)) <= known


@pytest.mark.parametrize(
    ("number", "construct"),
    [(1, ReplicationMonitoring), (2, BatchReplication), (3, ReplicationDestination), (4, MultiRegionAccessPoint)],
)
def test_the_options_table_names_every_option(number: int, construct: type) -> None:
    rows = _TEXT.split("| option |")[number].split("\n\n")[0].splitlines()
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    annotations = vars(construct)["__init__"].__annotations__
    assert named == {name for name in annotations if name not in ("scope", "id", "return")}


def test_every_reason_that_the_embedded_aws_gives_has_a_remedy() -> None:
    adapter = README.parent / "devtools" / "embedded_aws" / "adapter" / "replication.py"
    given = set(re.findall(r'"((?:Src|Dst|Assume)\w+)"', adapter.read_text()))
    assert "DstKmsKeyInvalidState" in given
    rows = [row.split(" | ")[0] for row in _TEXT.split("| `failureReason` |")[1].split("\n\n")[0].splitlines()]
    assert given - {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set()

"""Fleets: many customers in a stack, cells as stages, and nobody changed by anybody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import tomllib
from jsii._kernel.providers import process

from cdk_encrypted_data import Placement
from cdk_encrypted_data.proofs.cloudformation import assembly
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import prove
from cdk_encrypted_data.quotas.counting import count
from stacks.cells import CELLS, Cell, CellSettings, cells_from
from tests.customers.fixtures import ACCOUNT, NETWORK, READER, REGION, customer
from tests.customers.test_job_code import rules
from tests.customers.test_stacks import listed

_PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("acme", "globex", "initech", "umbrella", "hooli")
OTHER_ACCOUNT = "444455556666"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/key-administrator"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rules(tmp_path_factory.mktemp("rules"))


def settings(directory: Path, *names: str, name: str = "Frankfurt1", stacks: int = 3, **changes: Any) -> CellSettings:  # noqa: ANN401
    said: dict[str, Any] = {
        "name": name,
        "account": ACCOUNT,
        "region": REGION,
        "placement": Placement(stacks=stacks, capacity=40),
        "customers": tuple(customer(each, schedule="cron(0 3 * * ? *)") for each in names),
        "rules": {"clinical-trials": str(directory)},
        "subnet_id": NETWORK["subnet_id"],
        "availability_zone": NETWORK["availability_zone"],
        "security_group_ids": tuple(NETWORK["security_group_ids"]),
        **changes,
    }
    return CellSettings(**said)


def synthesized(*cells: CellSettings) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The assembly, and the resources of its stacks by their names."""
    app = cdk.App()
    for cell in cells:
        Cell(app, settings=cell)
    out = Path(app.synth().directory)
    stacks = assembly.read(out)
    return out, {str(each.name): dict(each.template["Resources"]) for each in stacks}


def whole(stacks: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(stack, name): each for stack, resources in stacks.items() for name, each in resources.items()}


def of(stacks: Mapping[str, Mapping[str, Any]], customer: str) -> dict[tuple[str, str], Any]:
    """What carries a customer's name in its logical id."""
    begins = customer.replace("-", "")
    return {place: each for place, each in whole(stacks).items() if place[1].lower().startswith(begins)}


def test_a_cell_has_all_its_stacks_and_each_customer_is_in_its_own(directory: Path) -> None:
    cell = settings(directory, *NAMES)
    _, stacks = synthesized(cell)
    assert set(stacks) == {"Frankfurt1-Shared", *(f"Frankfurt1-Customers{each:04}" for each in range(3))}
    for name in NAMES:
        (place,) = {stack for stack, _ in of(stacks, name)}
        assert place == f"Frankfurt1-Customers{cell.placement.stack_of(name):04}"
        kinds = {each["Type"] for each in of(stacks, name).values()}
        assert {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::Glue::Job", "AWS::Glue::Trigger"} <= kinds


@pytest.mark.parametrize("newcomer", ["pied-piper", "aviato"])
def test_who_comes_leaves_or_is_renamed_changes_nothing_of_the_others(directory: Path, newcomer: str) -> None:
    before = whole(synthesized(settings(directory, *NAMES))[1])
    added = synthesized(settings(directory, *NAMES, newcomer))[1]
    theirs = of(added, newcomer)
    assert len(theirs) == 11
    # Nor does who reads what is theirs.
    first, *others = (customer(each, schedule="cron(0 3 * * ? *)") for each in NAMES)
    read = synthesized(settings(directory, customers=(replace(first, readers=[READER]), *others)))[1]
    changed = {place for place, each in whole(read).items() if before.get(place) != each}
    assert len(changed) == 2
    assert changed <= of(read, NAMES[0]).keys()
    assert {place: each for place, each in whole(added).items() if place not in theirs} == before
    renamed = synthesized(settings(directory, *NAMES[1:], newcomer))[1]
    left = {place: each for place, each in before.items() if not place[1].lower().startswith(NAMES[0])}
    assert {place: each for place, each in whole(renamed).items() if place not in theirs} == left


def test_every_key_of_a_cell_names_its_administrators(directory: Path) -> None:
    _, stacks = synthesized(settings(directory, *NAMES, administrators=(ADMINISTRATOR,)))
    keys = [each["Properties"]["KeyPolicy"] for each in whole(stacks).values() if each["Type"] == "AWS::KMS::Key"]
    # The topic's too.
    assert len(keys) == len(NAMES) + 1
    for policy in keys:
        naming = {each["Sid"]: each["Effect"] for each in policy["Statement"] if ADMINISTRATOR in json.dumps(each)}
        assert naming["AdministratorsCannotUseKey"] == "Deny"


def test_the_last_to_leave_a_stack_leaves_it_empty(directory: Path) -> None:
    _, stacks = synthesized(settings(directory, "acme"))
    empty = [name for name, resources in stacks.items() if not resources]
    assert len(empty) == 2


def test_cells_are_in_their_own_accounts_and_regions(directory: Path) -> None:
    home = settings(directory, "acme")
    away = settings(directory, "globex", name="Ireland1", account=OTHER_ACCOUNT, region="eu-west-1")
    out, stacks = synthesized(home, away)
    assert whole(synthesized(home)[1]).items() <= whole(stacks).items()
    environments = {(each.name or "").split("-")[0]: (each.account, each.region) for each in assembly.read(out)}
    assert environments == {"Frankfurt1": (ACCOUNT, REGION), "Ireland1": (OTHER_ACCOUNT, "eu-west-1")}


def test_a_full_stack_is_within_what_cloudformation_takes(directory: Path) -> None:
    fleet = tuple(
        customer(f"customer-{number}", schedule="cron(0 3 * * ? *)", readers=[READER]) for number in range(40)
    )
    cell = settings(directory, stacks=1, customers=fleet)
    out, _ = synthesized(cell)
    counted = {each.limit.id: each for each in count(assembly.read(out)).usages if "Customers0000" in each.where}
    assert counted["template-resources"].used == 480
    for limit in ("template-resources", "template-size", "role-trust-policy", "managed-policy"):
        assert not counted[limit].is_over, counted[limit]
    # A certificate and the tables of a real customer take some kB more.
    assert counted["template-size"].used < 800_000


@pytest.mark.parametrize(
    ("said", "of_the_cell", "number"),
    [
        pytest.param({}, {}, 6, id="no readers"),
        pytest.param({"readers": [READER]}, {}, 9, id="readers"),
        pytest.param({}, {"administrators": (ADMINISTRATOR,)}, 6, id="administrators"),
    ],
)
def test_a_customer_more_takes_six_calls_into_node(
    said: dict[str, Any],
    of_the_cell: dict[str, Any],
    number: int,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each costs as much as a small resource, and a fleet has thousands of customers.
    calls: list[str] = []
    send = process._NodeProcess.send  # noqa: SLF001 - jsii counts its objects, not its calls

    def counted(node: Any, request: Any, response: Any) -> Any:  # noqa: ANN401 - jsii's own
        calls.append(f"{type(request).__name__} {getattr(request, 'method', '')}")
        return send(node, request, response)

    monkeypatch.setattr(process._NodeProcess, "send", counted)  # noqa: SLF001
    made = []
    for names in (NAMES[:3], NAMES[:4]):
        app = cdk.App()
        calls.clear()
        customers = tuple(customer(each, schedule="cron(0 3 * * ? *)", **said) for each in names)
        Cell(app, settings=settings(directory, stacks=1, customers=customers, **of_the_cell))
        made.append(Counter(calls))
    assert (made[1] - made[0]).total() == number, made[1] - made[0]


def test_a_cell_that_is_full_is_refused_before_anything_is_made(directory: Path) -> None:
    full = settings(directory, *NAMES, placement=Placement(stacks=1, capacity=4))
    with pytest.raises(ValueError, match="5 in stack 0, 5 in all"):
        Cell(cdk.App(), settings=full)


# The file


def file_of(**changes: Any) -> str:  # noqa: ANN401 - of any field
    said = {
        "name": "Frankfurt1",
        "account": ACCOUNT,
        "region": REGION,
        "stacks": 45,
        "capacity": 40,
        "customers": "frankfurt1.json",
        "rules": {"clinical-trials": "rules"},
        "subnetId": NETWORK["subnet_id"],
        "availabilityZone": NETWORK["availability_zone"],
        "securityGroupIds": NETWORK["security_group_ids"],
        **changes,
    }
    lines = [f"{name} = {_toml(value)}" for name, value in said.items() if value is not None]
    return "\n".join(["[[cells]]", *lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


def test_cells_are_read_from_a_file() -> None:
    lists = {"frankfurt1.json": listed("acme", "globex"), "ireland1.json": listed("initech")}
    ireland = file_of(
        name="Ireland1",
        region="eu-west-1",
        customers="ireland1.json",
        pinned={"initech": 7},
        administrators=[ADMINISTRATOR],
    )
    assert tomllib.loads(file_of())["cells"][0]["stacks"] == 45
    first, second = cells_from(file_of() + ireland, read=lists.__getitem__)
    assert [each.name for each in first.customers] == ["acme", "globex"]
    assert first.placement == Placement(stacks=45, capacity=40)
    assert (second.region, second.placement.stack_of("initech")) == ("eu-west-1", 7)
    assert second.rules == {"clinical-trials": "rules"}
    assert (first.administrators, second.administrators) == ((), (ADMINISTRATOR,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[cells", "can't be read"),
        ("", "a list named cells"),
        ("cells = []", "a list named cells"),
        ('[[cells]]\nname = "A"', "cells with account, availabilityZone"),
        (file_of(odd=1), "cells with account"),
        (file_of(name="frankfurt"), "begin with a capital"),
        (file_of(account=1), "twelve digits, as text"),
        (file_of(region="Frankfurt"), "a Region"),
        (file_of(securityGroupIds=[]), "at least one security group"),
        (file_of(rules={}), "rules"),
        (file_of(administrators="key-administrator"), "a list of ARNs"),
        (file_of() + file_of(), "names that differ"),
    ],
)
def test_what_is_no_file_of_cells_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{CELLS}.* is .*; allowed: .*") as refused:
        cells_from(text, read=lambda _: listed("acme"))
    assert message in str(refused.value)


def test_numbers_of_a_placement_are_refused_in_its_words() -> None:
    with pytest.raises(ValueError, match="Placement: stacks is 0; allowed: a whole number from 1 to 2000"):
        cells_from(file_of(stacks=0), read=lambda _: listed("acme"))


def test_a_customer_in_two_cells_is_refused() -> None:
    with pytest.raises(ValueError, match=r"name is .acme and acme.; allowed: names that differ"):
        cells_from(file_of() + file_of(name="Ireland1"), read=lambda _: listed("acme"))


# The app


def test_the_app_deploys_cells_and_no_pack_finds_anything(tmp_path: Path) -> None:
    made = rules(tmp_path)
    (tmp_path / "frankfurt1.json").write_text(listed("acme", "Globex.Ltd", readers=["acme"]))
    file = tmp_path / "cells.toml"
    file.write_text(file_of(stacks=1, rules={"clinical-trials": str(made)}, administrators=[ADMINISTRATOR]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CDK_", "AWS_"))}
    context = json.loads((_PROJECT / "cdk.json").read_text())["context"]
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=_PROJECT,
        env={
            **environment,
            "CDK_OUTDIR": str(tmp_path / "cdk.out"),
            "CDK_CONTEXT_JSON": json.dumps({**context, CELLS: str(file)}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reports = json.loads((tmp_path / "cdk.out" / "validation-report.json").read_text())["pluginReports"]
    assert {report["pluginName"]: report["violations"] for report in reports if report["violations"]} == {}
    stacks = assembly.read(tmp_path / "cdk.out")
    assert {"Frankfurt1-Shared", "Frankfurt1-Customers0000"} <= {each.name for each in stacks}
    proof = prove(Assembly.read(str(tmp_path / "cdk.out")))
    assert [str(each) for each in proof.findings] == []

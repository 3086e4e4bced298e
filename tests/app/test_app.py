"""What the settings say of the whole app holds for each of its stacks, whatever kind it is."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest

from cdk_encrypted_data.proofs.cloudformation import assembly
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from stacks.cells import CELLS, Cell
from stacks.customers import CUSTOMERS, CustomersSettings, customer_stacks
from stacks.settings import ACCOUNT, REMOVAL_POLICY, REPLICATED_BUCKETS
from tests.app.test_rules import acknowledged, reports, synthesize
from tests.customers.test_cells import file_of, settings
from tests.customers.test_job_code import rules
from tests.customers.test_stacks import context, listed

_ACCOUNT = "444455556666"
_STATEFUL = ("AWS::KMS::Key", "AWS::KMS::ReplicaKey", "AWS::S3::Bucket")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's assembly, with every kind of stack, in an account that the settings name, of data that may go."""
    place = tmp_path_factory.mktemp("app")
    made = rules(place)
    (place / "customers.json").write_text(listed("acme"))
    (place / "frankfurt1.json").write_text(listed("globex"))
    (place / "cells.toml").write_text(file_of(stacks=1, rules={"clinical-trials": str(made)}))
    said = {
        ACCOUNT: _ACCOUNT,
        REMOVAL_POLICY: "DESTROY",
        REPLICATED_BUCKETS: [{"name": "Orders", "regions": ["eu-central-1", "eu-west-1"]}],
        CUSTOMERS: str(place / "customers.json"),
        CELLS: str(place / "cells.toml"),
    }
    status, output = synthesize(place / "cdk.out", context(made, **said))
    # No finding is left: that nothing stays is accepted where it was chosen by name.
    assert status == 0, output
    return place / "cdk.out"


@pytest.fixture(scope="module")
def stacks(directory: Path) -> dict[str, StackTemplate]:
    return {str(each.name): each for each in assembly.read(directory)}


def test_it_refuses_what_it_doesnt_read(tmp_path: Path) -> None:
    status, output = synthesize(tmp_path, {"encrypted-data:removalpolicy": "DESTROY"})
    assert status != 0
    assert "encrypted-data:removalpolicy is 'DESTROY'; allowed: one of the settings encrypted-data:account, " in output


def test_it_has_every_kind_of_stack(stacks: dict[str, StackTemplate]) -> None:
    kinds = {name.partition("-")[0] for name in stacks}
    assert kinds == {"EncryptedData", "Orders", "Customers", "Customer", "Frankfurt1"}


def test_what_may_go_goes_in_every_stack(stacks: dict[str, StackTemplate]) -> None:
    stateful = {
        (stack, name): resource["DeletionPolicy"]
        for stack, each in stacks.items()
        for name, resource in each.template["Resources"].items()
        if resource["Type"] in _STATEFUL
    }
    assert {place for place, policy in stateful.items() if policy != "Delete"} == set()
    assert {stack for stack, _ in stateful} == set(stacks)


def test_that_it_goes_is_accepted_where_it_goes(directory: Path, tmp_path: Path) -> None:
    made, destroy = rules(tmp_path), cdk.RemovalPolicy.DESTROY
    app = cdk.App()
    customer_stacks(app, CustomersSettings.from_context(context(made), text=listed("acme")), removal_policy=destroy)
    Cell(app, settings=settings(made, "globex", stacks=1), removal_policy=destroy)
    given = {(construct.node.path, name) for construct in app.node.find_all() for name in acknowledged(construct)}
    used = {
        (construct["constructPath"], violation["acknowledgedId"])
        for report in reports(directory).values()
        for violation in report["suppressedViolations"]
        for construct in violation["violatingConstructs"]
    }
    assert {path for path, name in given if name == "EncryptionProofs::key-not-retained"} == {
        "Customers/Failures/Key/Resource",
        "Customer-acme/Customer",
        "Frankfurt1/Shared/Failures/Key/Resource",
        "Frankfurt1/Customers0000/globex",
    }
    assert {(path, name) for path, name in given if not any(p.startswith(path) and n == name for p, n in used)} == set()


def test_the_account_that_the_settings_name_is_that_of_every_stack(stacks: dict[str, StackTemplate]) -> None:
    # But of cells, which name their own.
    accounts = {name: each.account for name, each in stacks.items() if not name.startswith("Frankfurt1")}
    assert accounts == dict.fromkeys(accounts, _ACCOUNT)

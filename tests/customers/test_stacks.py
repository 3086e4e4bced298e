"""The app with customers, a stack for each, run as its users run it: the packs, the proofs and cfn-lint over it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import prove
from stacks.customers import (
    CUSTOMER_ADMINISTRATORS,
    CUSTOMER_NETWORK,
    CUSTOMER_RULES,
    CUSTOMERS,
    CustomersSettings,
    customer_stacks,
)
from stacks.settings import ACCOUNT as SETTINGS_ACCOUNT
from tests.customers.fixtures import ACCOUNT, NETWORK, customer
from tests.customers.test_job_code import rules
from tests.synthesis import template

_PROJECT = Path(__file__).resolve().parents[2]
_CONTEXT = json.loads((_PROJECT / "cdk.json").read_text())["context"]
_PACKS = {"AwsSolutions", "HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"}
_NETWORK = {
    "subnetId": NETWORK["subnet_id"],
    "availabilityZone": NETWORK["availability_zone"],
    "securityGroupIds": NETWORK["security_group_ids"],
}
# As the command line brings it.
_ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/key-administrator"
SEPARATED: dict[str, Any] = {CUSTOMER_ADMINISTRATORS: json.dumps([_ADMINISTRATOR])}


def reader(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}-reader"


def listed(*names: str, readers: Sequence[str] = ()) -> str:
    """Return the text of a file of customers; some of them have a reader."""
    entries = [
        {
            "name": name,
            "secret_arn": customer(name).secret_arn,
            "jdbc_url": customer(name).jdbc_url,
            "schedule": "cron(0 3 * * ? *)",
            **({"readers": [reader(name)]} if name in readers else {}),
        }
        for name in names
    ]
    defaults = {
        "rules": "clinical-trials",
        "ca_certificate": customer().ca_certificate,
        "tables": [{"name": "subjects", "source": "public.subjects"}],
    }
    return json.dumps({"defaults": defaults, "customers": entries})


def context(directory: Path, **changes: object) -> dict[str, object]:
    said = {CUSTOMER_NETWORK: _NETWORK, CUSTOMER_RULES: {"clinical-trials": str(directory)}}
    return {**said, **changes}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's, run in a process of its own as the CDK CLI does it."""
    place = tmp_path_factory.mktemp("customers")
    file = place / "customers.json"
    file.write_text(listed("acme", "Globex.Ltd", readers=["acme"]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CDK_", "AWS_"))}
    given = {**_CONTEXT, **context(rules(place), **SEPARATED), CUSTOMERS: str(file), SETTINGS_ACCOUNT: ACCOUNT}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=_PROJECT,
        env={**environment, "CDK_OUTDIR": str(place / "cdk.out"), "CDK_CONTEXT_JSON": json.dumps(given)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "cdk.out"


def reports(directory: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((directory / "validation-report.json").read_text())["pluginReports"]
    return {report["pluginName"]: report for report in found}


def test_no_finding_is_left(assembly: Path) -> None:
    found = reports(assembly)
    assert set(found) >= _PACKS
    assert {name: report["violations"] for name, report in found.items() if report["violations"]} == {}


def test_every_acknowledgement_has_an_effect_and_a_reason(assembly: Path, tmp_path: Path) -> None:
    text = listed("acme", "Globex.Ltd", readers=["acme"])
    settings = CustomersSettings.from_context(context(rules(tmp_path), **SEPARATED), text=text)
    app = cdk.App()
    customer_stacks(app, settings)
    given = {
        (construct.node.path, name)
        for construct in app.node.find_all()
        for entry in construct.node.metadata
        if "acknowledge" in entry.type.lower()
        for name in entry.data
    }
    used = {
        (violation["violatingConstructs"][0]["constructPath"], violation["acknowledgedId"]): violation["reason"]
        for report in reports(assembly).values()
        for violation in report["suppressedViolations"]
    }
    assert given
    assert {(path, name) for path, name in given if not any(p.startswith(path) and n == name for p, n in used)} == set()
    assert all(len(reason) > 40 for reason in used.values())


def test_the_packs_see_the_resources(assembly: Path) -> None:
    # What isn't of a type that a pack knows is passed over without a word.
    seen = {
        violation["violatingConstructs"][0]["constructPath"]
        for report in reports(assembly).values()
        for violation in report["suppressedViolations"]
    }
    assert {f"Customer-acme/Customer/Default/{name}" for name in ("Bucket", "Permissions", "Connection")} <= seen


def test_the_proofs_find_nothing(assembly: Path) -> None:
    proof = prove(Assembly.read(str(assembly)))
    assert [str(each) for each in proof.findings] == []
    assert [str(each) for each in proof.undecidable] == []


def test_cfn_lint_finds_nothing(assembly: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).parent / "cfn-lint",
            "--ignore-checks=W3010",  # acknowledged in the app: the zone is that of the subnet
            "--",
            str(assembly / "Customer-acme.template.json"),
            str(assembly / "Customers.template.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def templates(directory: Path, *names: str, readers: Sequence[str] = (), **changes: object) -> dict[str, Any]:
    app = cdk.App()
    settings = CustomersSettings.from_context(context(directory, **changes), text=listed(*names, readers=readers))
    stacks = customer_stacks(app, settings)
    shared = [each for each in app.node.children if each.node.id == "Customers"]
    return {stack.node.id: template(stack) for stack in (*stacks, *shared) if isinstance(stack, cdk.Stack)}


def test_one_customer_more_or_less_changes_no_other_template(tmp_path: Path) -> None:
    directory = rules(tmp_path)
    two = templates(directory, "acme", "globex")
    assert set(two) == {"Customer-acme", "Customer-globex", "Customers"}
    assert all(two[name] == each for name, each in templates(directory, "acme").items())
    renamed = templates(directory, "acme", "globex-2")
    assert [name for name in ("Customer-acme", "Customers") if renamed[name] != two[name]] == []


def test_a_reader_of_one_customer_changes_no_other_template(tmp_path: Path) -> None:
    directory = rules(tmp_path)
    before, after = (templates(directory, "acme", "globex", readers=each) for each in ((), ("acme",)))
    assert {name for name, each in after.items() if each != before[name]} == {"Customer-acme"}
    acme, was = after["Customer-acme"], before["Customer-acme"]
    added = set(acme["Resources"]) - set(was["Resources"])
    assert {acme["Resources"][each]["Type"] for each in added} == {"AWS::IAM::ManagedPolicy"}
    assert acme["Outputs"]["ReaderPolicyArn"]["Value"] == {"Ref": added.pop()}
    changed = {each["Type"] for name, each in acme["Resources"].items() if was["Resources"].get(name) != each}
    # In place: with another logical id what is stored would be out of reach.
    assert changed == {"AWS::KMS::Key", "AWS::IAM::ManagedPolicy"}


def test_administrators_are_named_by_every_key_and_use_none(tmp_path: Path) -> None:
    found = templates(rules(tmp_path), "acme", "globex", **SEPARATED)
    keys = [
        each["Properties"]["KeyPolicy"]["Statement"]
        for stack in found.values()
        for each in stack["Resources"].values()
        if each["Type"] == "AWS::KMS::Key"
    ]
    assert len(keys) == 3
    for statements in keys:
        naming = {each["Sid"]: each["Effect"] for each in statements if _ADMINISTRATOR in json.dumps(each)}
        assert naming["AdministratorsCannotUseKey"] == "Deny"


def test_without_a_file_there_are_no_customers() -> None:
    app = cdk.App()
    assert customer_stacks(app, CustomersSettings.from_context({}, text=None)) == []
    assert app.node.children == []


@pytest.mark.parametrize("name", [CUSTOMER_NETWORK, CUSTOMER_RULES, CUSTOMER_ADMINISTRATORS])
def test_what_is_said_of_customers_where_there_are_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*; allowed: nothing without {CUSTOMERS}: cells name their own"):
        CustomersSettings.from_context({name: []}, text=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({CUSTOMER_NETWORK: None}, "an object"),
        ({CUSTOMER_NETWORK: "{"}, "a JSON object"),
        ({CUSTOMER_NETWORK: {"subnetId": "subnet-0123456789abcdef0"}}, "an object with availabilityZone"),
        ({CUSTOMER_NETWORK: {**_NETWORK, "securityGroupIds": "sg-1"}}, "the last a list"),
        ({CUSTOMER_ADMINISTRATORS: _ADMINISTRATOR}, "a JSON list of ARNs"),
        ({CUSTOMER_ADMINISTRATORS: [1]}, "a list of ARNs"),
        ({CUSTOMER_RULES: {}}, "an object such as"),
        ({CUSTOMER_RULES: {"a": 7}}, "an object such as"),
    ],
)
def test_refused_settings(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^encrypted-data:.* is .*; allowed: .*{message}.*; change it in cdk.json"):
        CustomersSettings.from_context(context(tmp_path, **changes), text=listed("acme"))


def test_rules_that_nobody_has_are_refused(tmp_path: Path) -> None:
    settings = CustomersSettings.from_context(
        context(tmp_path, **{CUSTOMER_RULES: {"other": str(tmp_path)}}), text=listed("acme")
    )
    with pytest.raises(ValueError, match="encrypted-data:customers, rules is 'clinical-trials'; allowed: other"):
        customer_stacks(cdk.App(), settings)

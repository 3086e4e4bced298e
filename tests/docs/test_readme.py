"""Every sentence of the README that can be run is run."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from cdk_encrypted_data import (
    AccessLogBucket,
    BatchReplication,
    Customer,
    CustomerManagedKey,
    EncryptedBucket,
    FailureTopic,
    MultiRegionAccessPoint,
    MultiRegionKeyPair,
    PerCustomerGlueJob,
    ReplicatedEncryptedBuckets,
    ReplicationDestination,
    ReplicationMonitoring,
    ServerSideEncryption,
    UploadPolicy,
)
from devtools.demo import CHAPTERS
from devtools.readme import PROOFS, README, with_tables
from stacks import cells, customers, settings
from stacks.encrypted_data import EncryptedDataStack
from stacks.replicated_data import ReplicatedData
from stacks.settings import Settings
from tests.synthesis import Resources, new_stack, template

_PROJECT = README.parent
_TEXT = README.read_text()
_ALARM = "AWS::CloudWatch::Alarm"


def code(language: str, text: str = _TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", [README, PROOFS], ids=lambda path: path.name)
def test_tables_are_what_the_tests_try(document: Path) -> None:
    assert with_tables(document) == document.read_text(), "run: make readme"


def test_the_smallest_example(tmp_path: Path) -> None:
    example = code("python")[0]
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=_PROJECT,
        env={"CDK_OUTDIR": str(tmp_path), "PATH": str(Path(sys.executable).parent), "CDK_VALIDATION": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "Storage.template.json").exists()


def test_the_example_with_options() -> None:
    (example,) = [each for each in code("python") if "class Orders" in each]
    names: dict[str, type[cdk.Stack]] = {}
    exec(example, names)  # noqa: S102 - our own README
    resources = template(names["Orders"](cdk.App(), "Orders"))["Resources"]
    assert {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::IAM::Role"} <= {each["Type"] for each in resources.values()}


def test_the_example_of_the_proofs() -> None:
    (example,) = [each for each in code("python") if "EncryptionProofs" in each]
    names: dict[str, cdk.App] = {}
    exec(example, names)  # noqa: S102 - our own README
    s3.Bucket(cdk.Stack(names["app"], "Storage"), "Data", encryption=s3.BucketEncryption.KMS)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        names["app"].synth()


def test_the_example_in_several_regions() -> None:
    (example,) = [each for each in code("python") if "MultiRegionKeyPair" in each]
    (bucket,) = re.findall(r"`(EncryptedBucket\(ireland.*)`", _TEXT)
    names: dict[str, Any] = {"EncryptedBucket": EncryptedBucket}
    exec(example.replace("app.synth()", f"{bucket}\nassembly = app.synth()"), names)  # noqa: S102 - our own README
    templates: dict[str, Resources] = {
        name: names["assembly"].get_stack_by_name(name).template["Resources"] for name in ("Frankfurt", "Ireland")
    }
    sources = []
    for name, kind in (("Frankfurt", "AWS::KMS::Key"), ("Ireland", "AWS::KMS::ReplicaKey")):
        resources = templates[name].values()
        (key,) = [each["Properties"] for each in resources if each["Type"] == kind]
        (alias,) = [each["Properties"] for each in resources if each["Type"] == "AWS::KMS::Alias"]
        assert alias["AliasName"] == "alias/Frankfurt/Orders"
        assert f"`{alias['AliasName']}`" in _TEXT
        sources.append(key.get("PrimaryKeyArn", {}))
        assert key["Tags"] == [{"Key": "Name", "Value": "Frankfurt/Orders"}]
        assert not [
            each for each in resources if each["Type"].startswith(("AWS::Lambda", "AWS::CloudFormation", "Custom"))
        ]
    assert [list(source) for source in sources] == [[], ["Fn::GetStackOutput"]]


def test_the_settings_it_shows() -> None:
    (block,) = code("json")
    settings = Settings.from_context(json.loads(f"{{{block}}}"))
    app = cdk.App()
    EncryptedDataStack(app, "EncryptedData", settings=settings)
    (invoices,) = settings.replicated_buckets
    ReplicatedData(app, settings=invoices)
    assembly = app.synth()
    for stack in (f"{kind}{region}" for kind in ("Invoices-keys-", "Invoices-") for region in invoices.regions):
        outputs = assembly.get_stack_by_name(stack).template["Outputs"]
        named = {name for name in outputs if not name.startswith("PublishOutput")}
        assert named
        assert [name for name in named if f"`{name}`" not in _TEXT] == []
    home = str(assembly.get_stack_by_name("Invoices-eu-central-1").template)
    assert [region for region in invoices.regions if f"invoices-{settings.account}-{region}-an" not in home] == []


def test_every_chapter_of_the_demo_is_named() -> None:
    assert [name for name in CHAPTERS if f"**{name.title()}**" not in _TEXT] == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="its customers are TOML, which takes Python 3.11")
def test_the_example_of_customers() -> None:
    (example,) = [each for each in code("python") if "PerCustomerGlueJob" in each]
    names: dict[str, Any] = {}
    exec(example.replace("app.synth()", "assembly = app.synth()"), names)  # noqa: S102 - our own README
    resources: Resources = names["assembly"].get_stack_by_name("Customers").template["Resources"]
    kinds = sorted(each["Type"].removeprefix("AWS::") for each in resources.values())
    assert kinds == [
        "Glue::Connection",
        "Glue::Job",
        "Glue::SecurityConfiguration",
        "Glue::Trigger",
        "IAM::ManagedPolicy",
        "IAM::Role",
        "KMS::Alias",
        "KMS::Key",
        "S3::Bucket",
        "S3::BucketPolicy",
    ]


def test_every_make_command_exists() -> None:
    targets = re.findall(r"^([a-z]+):", (_PROJECT / "Makefile").read_text(), re.MULTILINE)
    named = [shlex.split(line)[1] for block in code("sh") for line in block.splitlines() if line.startswith("make ")]
    assert named
    assert set(named) <= set(targets)


@pytest.mark.parametrize(
    "construct",
    [
        EncryptedBucket,
        CustomerManagedKey,
        AccessLogBucket,
        BatchReplication,
        MultiRegionAccessPoint,
        MultiRegionKeyPair,
        ReplicatedEncryptedBuckets,
        ReplicationDestination,
        ReplicationMonitoring,
        FailureTopic,
        PerCustomerGlueJob,
    ],
)
def test_every_option_is_in_the_docstring(construct: type) -> None:
    options = [name for name in vars(construct)["__init__"].__annotations__ if name not in ("scope", "id", "return")]
    # Python 3.13 takes the indentation away when it compiles.
    described = inspect.getdoc(vars(construct)["__init__"]) or ""
    assert [name for name in options if f"\n    {name}: " not in described] == []


@pytest.mark.parametrize(
    ("number", "construct"),
    list(enumerate([EncryptedBucket, MultiRegionKeyPair, ReplicatedEncryptedBuckets, PerCustomerGlueJob])),
)
def test_the_options_table_names_every_option(number: int, construct: type) -> None:
    _, *tables = _TEXT.split("| option |")
    rows = tables[number].split("\n\n")[0].splitlines()
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    options = {name for name in vars(construct)["__init__"].__annotations__ if name not in ("scope", "id", "return")}
    assert named == options


def rows_of(header: str) -> dict[str, str]:
    """Return the rows of a table of the README by the words in their first columns."""
    (table,) = re.findall(rf"^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", _TEXT, re.MULTILINE)
    found: dict[str, str] = {}
    for row in table.splitlines():
        first, _, rest = row.partition(" | ")
        found |= dict.fromkeys(re.findall(r"`([\w:-]+)`", first), rest)
    return found


def test_the_table_of_settings_names_every_setting_and_its_fields() -> None:
    found = rows_of("setting")
    # The app refuses any other.
    assert found.keys() == settings.NAMES | customers.NAMES | {cells.CELLS}
    choices: list[type[Enum]] = [ServerSideEncryption, UploadPolicy, settings.Monitoring, settings.RemovalPolicy]
    fields = {
        settings.BUCKETS: [*settings.BUCKET_FIELDS, *(each.name for kind in choices[:2] for each in kind)],
        settings.REPLICATED_BUCKETS: [*settings.REPLICATED_FIELDS, *(each.name for each in choices[2])],
        settings.REMOVAL_POLICY: [each.name for each in choices[3]],
        customers.CUSTOMER_NETWORK: customers.NETWORK_FIELDS,
    }
    for setting, names in fields.items():
        assert [name for name in names if f"`{name}`" not in found[setting]] == []


def test_the_table_of_customers_names_everything_that_is_said_of_one() -> None:
    assert list(rows_of("of a customer")) == [
        *("name", "title", "secret_arn", "secret_key_arn", "jdbc_url", "ca_certificate", "tables", "rules", "schedule"),
        *("readers", "worker_type", "maximum_workers", "timeout_minutes", "retries", "tags"),
    ]
    assert rows_of("of a customer").keys() == {each.name for each in dataclasses.fields(Customer)}


def test_what_replication_costs_is_what_two_regions_make() -> None:
    app = cdk.App()
    said = settings.ReplicatedBucketsSettings(account="111122223333", name="Orders", regions=("eu-west-1", "us-east-1"))
    ReplicatedData(app, settings=said)
    resources = [each for stack in app.synth().stacks for each in stack.template["Resources"].values()]
    topics, alarms = (sum(each["Type"] == kind for each in resources) for kind in ("AWS::SNS::Topic", _ALARM))
    # In the properties of custom resources, as one text each.
    rules = re.findall(r"Metrics\W+Status\W+Enabled", json.dumps(resources))
    assert rules
    # S3 publishes four metrics of a rule: pending bytes and operations, failed operations, latency.
    assert f"each rule's four metrics $0.30 each, told or not: ${len(rules) * 4 * 0.30:.2f} for two Regions" in _TEXT
    assert f"${topics + alarms * 0.10:.2f} more for two Regions both ways" in _TEXT


def test_the_refusal_it_quotes() -> None:
    with pytest.raises(ValueError, match="Data: rotation_period") as caught:
        CustomerManagedKey(new_stack(), "Data", rotation_period=cdk.Duration.days(30))
    assert str(caught.value) in " ".join(_TEXT.split())

"""Every sentence of the README that can be run is run."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from cdk_encrypted_data import (
    AccessLogBucket,
    BatchReplication,
    CustomerManagedKey,
    EncryptedBucket,
    FailureTopic,
    MultiRegionAccessPoint,
    MultiRegionKeyPair,
    PerCustomerGlueJob,
    ReplicatedEncryptedBuckets,
    ReplicationDestination,
    ReplicationMonitoring,
)
from devtools.demo import CHAPTERS
from devtools.readme import PROOFS, README, with_tables
from stacks.encrypted_data import EncryptedDataStack
from stacks.replicated_data import ReplicatedData
from stacks.settings import Settings
from tests.synthesis import Resources, new_stack, template

_PROJECT = README.parent
_TEXT = README.read_text()


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


def test_the_refusal_it_quotes() -> None:
    with pytest.raises(ValueError, match="Data: rotation_period") as caught:
        CustomerManagedKey(new_stack(), "Data", rotation_period=cdk.Duration.days(30))
    assert str(caught.value) in " ".join(_TEXT.split())

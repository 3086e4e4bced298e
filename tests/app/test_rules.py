"""The rule packs, the CDK's own validator and cfn-lint over the app, run as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest

from stacks.acknowledgements import DEFAULT_KMS, REPLICATION
from stacks.encrypted_data import EncryptedDataStack
from stacks.replicated_data import ReplicatedData
from stacks.settings import ACCOUNT, BUCKETS, REMOVAL_POLICY, REPLICATED_BUCKETS, BucketSettings, Settings

_PROJECT = Path(__file__).resolve().parents[2]
_CONTEXT = json.loads((_PROJECT / "cdk.json").read_text())["context"]
_EVERY_MODE: list[dict[str, object]] = [
    {"name": "Data"},
    {"name": "Strict", "uploadPolicy": "REQUIRE_HEADER"},
    {"name": "Twice", "encryption": "DSSE_KMS"},
    {"name": "Public", "encryption": "SSE_S3"},
    {
        "name": "Separated",
        "administrators": ["arn:aws:iam::111122223333:role/key-administrator"],
        "users": ["arn:aws:iam::111122223333:role/application"],
    },
]
_EVERYTHING: dict[str, object] = {
    ACCOUNT: "111122223333",
    BUCKETS: _EVERY_MODE,
    REPLICATED_BUCKETS: [
        {
            "name": "Separated",
            "regions": ["us-east-1", "ap-southeast-2"],
            "administrators": ["arn:aws:iam::111122223333:role/key-administrator"],
        }
    ],
}
# By these names the settings say that data may go.
_DESTROYED: dict[str, object] = {
    ACCOUNT: "111122223333",
    REMOVAL_POLICY: "DESTROY",
    BUCKETS: [{"name": "Data"}, {"name": "Public", "encryption": "SSE_S3", "uploadPolicy": "REQUIRE_HEADER"}],
    REPLICATED_BUCKETS: [{"name": "Orders", "regions": ["eu-central-1", "eu-west-1"]}],
}
_PACKS = {"EncryptionProofs", "AwsSolutions", "HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"}


def synthesize(directory: Path, context: Mapping[str, object], *, program: str = "app.py") -> tuple[int, str]:
    """Run the app as the CDK CLI does; return its exit status and what it wrote."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CDK_", "AWS_"))}
    done = subprocess.run(
        [sys.executable, program],
        cwd=_PROJECT,
        env={**environment, "CDK_OUTDIR": str(directory), "CDK_CONTEXT_JSON": json.dumps({**_CONTEXT, **context})},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def reports(directory: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((directory / "validation-report.json").read_text())["pluginReports"]
    return {report["pluginName"]: report for report in found}


class _App(NamedTuple):
    """The app, synthesized with a context."""

    context: Mapping[str, object]
    assembly: Path


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> _App:
    return _synthesized(_EVERYTHING, tmp_path_factory.mktemp("cdk.out"))


@pytest.fixture(scope="module")
def destroyed(tmp_path_factory: pytest.TempPathFactory) -> _App:
    return _synthesized(_DESTROYED, tmp_path_factory.mktemp("cdk.out"))


def _synthesized(context: Mapping[str, object], directory: Path) -> _App:
    status, output = synthesize(directory, context)
    assert status == 0, output
    return _App(context, directory)


@pytest.fixture(params=["everything", "destroyed"])
def synthesized(request: pytest.FixtureRequest) -> _App:
    app: _App = request.getfixturevalue(request.param)
    return app


def test_no_finding_is_left(synthesized: _App) -> None:
    found = reports(synthesized.assembly)
    assert set(found) >= _PACKS
    assert {name: report["violations"] for name, report in found.items() if report["violations"]} == {}


def test_every_acknowledgement_has_an_effect_and_a_reason(synthesized: _App) -> None:
    settings = Settings.from_context(synthesized.context)
    app = cdk.App()
    EncryptedDataStack(app, "EncryptedData", settings=settings)
    for each in settings.replicated_buckets:
        ReplicatedData(app, settings=each, removal_policy=settings.removal_policy)
    given = {(construct.node.path, name) for construct in app.node.find_all() for name in acknowledged(construct)}
    assert given
    used = {
        (construct["constructPath"], violation["acknowledgedId"]): violation["reason"]
        for report in reports(synthesized.assembly).values()
        for violation in report["suppressedViolations"]
        for construct in violation["violatingConstructs"]
    }
    unused = {(path, name) for path, name in given if not any(p.startswith(path) and n == name for p, n in used)}
    assert unused == set()
    assert all(len(reason) > 40 for reason in used.values())


def acknowledged(construct: Any) -> list[str]:  # noqa: ANN401 - any construct
    return [name for entry in construct.node.metadata if "acknowledge" in entry.type.lower() for name in entry.data]


def test_a_finding_fails_the_synth(tmp_path: Path) -> None:
    # The twin of the test above: without its acknowledgements the app doesn't pass.
    program = tmp_path / "unacknowledged.py"
    program.write_text(
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(_PROJECT)!r})\n"
        "import stacks.acknowledgements\n"
        "stacks.acknowledgements.acknowledge = lambda *_, **__: None\n"
        f"runpy.run_path({str(_PROJECT / 'app.py')!r})\n"
    )
    status, output = synthesize(tmp_path / "cdk.out", {}, program=str(program))
    assert status != 0, output
    found = {
        violation["ruleName"].split("[")[0]
        for report in reports(tmp_path / "cdk.out").values()
        for violation in report["violations"]
    }
    expected = {name.split("::", 1)[1] for name in (*REPLICATION, *DEFAULT_KMS)}
    assert found == {*expected, "AwsSolutions-IAM5"}


def test_the_cdks_own_validator_stops_a_bad_template(tmp_path: Path) -> None:
    program = tmp_path / "bad.py"
    program.write_text(
        "import aws_cdk as cdk\n"
        "app = cdk.App()\n"
        "cdk.CfnResource(cdk.Stack(app, 'Bad'), 'Key', type='AWS::KMS::Key', properties={'RotationPeriodInDays': 1})\n"
        "app.synth()\n"
    )
    status, output = synthesize(tmp_path / "cdk.out", {}, program=str(program))
    assert status != 0
    assert "RotationPeriodInDays" in output


def test_the_proofs_find_nothing(synthesized: _App) -> None:
    command = [Path(sys.executable).parent / "encryption-proofs", synthesized.assembly]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 errors, 0 warnings, 0 notes; " in done.stdout
    assert ", 0 undecided; " in done.stdout


def test_cfn_lint_finds_nothing(everything: _App) -> None:
    templates = [str(path) for path in everything.assembly.glob("*.template.json")]
    assert templates
    done = subprocess.run(
        # The CDK writes each dependency that it was told, one that a reference implies too.
        [Path(sys.executable).parent / "cfn-lint", "--ignore-checks=W3005", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_default_settings_are_among_those_checked() -> None:
    assert set(Settings().buckets) <= {BucketSettings(name=str(entry["name"])) for entry in _EVERY_MODE}

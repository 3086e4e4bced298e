"""Every sentence of docs/proofs.md that can be run is run."""

from __future__ import annotations

import json
import shlex
import textwrap
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_encrypted_data.proofs.__main__ import main
from devtools.readme import PROOFS
from tests.docs.test_readme import code

_TEXT = PROOFS.read_text()
_PLAIN = {"Type": "AWS::S3::Bucket"}


def _template(directory: Path, resource: dict[str, Any]) -> Path:
    file = directory / "template.json"
    file.write_text(json.dumps({"Parameters": {"Stage": {"Type": "String"}}, "Resources": {"Site": resource}}))
    return file


def test_the_plugin_takes_the_acknowledgement() -> None:
    first, second = code("python", _TEXT)
    names: dict[str, Any] = {}
    exec(first, names)  # noqa: S102 - our own documentation
    exec(second, names)  # noqa: S102
    app: cdk.App = names["app"]
    app.synth()
    (ours,) = [
        one
        for one in json.loads((Path(app.outdir) / "validation-report.json").read_text())["pluginReports"]
        if one["pluginName"] == "EncryptionProofs"
    ]
    assert [one["ruleName"] for one in ours["suppressedViolations"]] == ["bucket-plain-http"]


def test_the_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("template.yaml").write_text(_template(tmp_path, _PLAIN).read_text())
    Path("cdk.out").mkdir()
    Path("cdk.out/manifest.json").write_text(json.dumps({"artifacts": {}}))
    lines = [line for block in code("sh", _TEXT) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("encryption-proofs")]
    assert len(commands) >= 5
    for command in commands:
        assert main(shlex.split(command, comments=True)[1:]) in (0, 1), command


def test_the_acknowledgement_in_a_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (written,) = code("yaml", _TEXT)
    file = tmp_path / "template.yaml"
    file.write_text(f"Resources:\n  Site:\n    Type: AWS::S3::Bucket\n{textwrap.indent(written, '    ')}")
    main([str(file), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert [one["rule"] for one in found["acknowledged"]] == ["bucket-plain-http"]

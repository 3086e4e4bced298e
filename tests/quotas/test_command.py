"""The command: a table for people, JSON for programs, how it exits, and that it needs no CDK and no Node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cdk_encrypted_data.quotas.__main__ import main
from cdk_encrypted_data.quotas.limits import LIMITS


def template(directory: Path, number: int) -> Path:
    file = directory / "template.json"
    resources: dict[str, Any] = {f"R{each}": {"Type": "AWS::Glue::SecurityConfiguration"} for each in range(number)}
    resources["Key"] = {"Type": "AWS::KMS::Key"}
    file.write_text(json.dumps({"Resources": resources}))
    return file


def test_text_says_how_far_it_is_from_each_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = template(tmp_path, 249)
    assert main([str(file), "--account", "111122223333", "--region", "eu-west-1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "account 111122223333, Region eu-west-1" in lines
    row = next(line.split() for line in lines if "security configurations" in line)
    assert row == ["Glue", "security", "configurations", "249", "250", "100%", "near", "1"]
    (resources,) = [line.split() for line in lines if "resources in a template" in line]
    assert resources == ["resources", "in", "a", "template", "250", "500", "50%", "250", "template"]
    assert "1 x kms:CreateKey at 5 a second" in "\n".join(lines)
    assert lines[-1].startswith("1 stacks; 0 over, 1 near; fullest: 249 of 250 Glue security configurations (100%)")


def test_the_exit_status_says_whether_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(template(tmp_path, 100)), "--fail-on", "near"]) == 0
    assert main([str(template(tmp_path, 250)), "--fail-on", "near"]) == 1
    assert main([str(template(tmp_path, 250))]) == 0
    assert main([str(template(tmp_path, 251))]) == 1
    assert "OVER" in capsys.readouterr().out
    assert main([str(template(tmp_path, 251)), "--limit", "glue-security-configurations=500"]) == 0


def test_json_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(template(tmp_path, 251)), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {each["limit"] for each in found["usages"]} <= LIMITS.keys()
    (over,) = [each for each in found["usages"] if each["state"] == "over"]
    assert (over["limit"], over["used"], over["number"]) == ("glue-security-configurations", 251, 250)
    assert found["rates"][0]["operation"] == "kms:CreateKey"


def test_limits_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--limits"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(LIMITS)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--limit", "glue-jobs", "x"], ["--limit", "glue-jobs=many", "x"], ["--limit", "template-size=5", "x"]],
)
def test_wrong_uses_are_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "fleet-quotas: error:" in capsys.readouterr().err


def test_what_cannot_be_read_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.json")]) == 2
    assert "none.json: No such file" in capsys.readouterr().err


def test_it_starts_without_the_cdk_and_without_node(tmp_path: Path) -> None:
    (tmp_path / "node").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "node").chmod(0o755)
    environment = {**os.environ, "PATH": str(tmp_path), "JSII_NODE": str(tmp_path / "node")}
    code = (
        "import sys; from cdk_encrypted_data.quotas.__main__ import main; status = main(sys.argv[1:]);"
        "assert not {'aws_cdk', 'constructs', 'jsii', 'boto3'} & set(sys.modules), 'too much'; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(template(tmp_path, 251))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "OVER" in done.stdout

"""The command: what it prints for people and for programs, how it exits, and that it needs no CDK and no Node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cdk_encrypted_data.proofs.__main__ import main
from cdk_encrypted_data.proofs.rules import RULES

PAIRS = Path(__file__).parent / "rules" / "pairs" / "bucket-plain-http"
FIRES, HOLDS = PAIRS / "fires.yaml", PAIRS / "holds.yaml"
RULE = "bucket-plain-http"
REASON = "a public web site, in the clear on purpose"


def as_json(template: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    status = main([str(template), "--format", "json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def template(directory: Path, **metadata: Any) -> Path:  # noqa: ANN401 - JSON
    file = directory / "template.json"
    resource = {"Type": "AWS::S3::Bucket", **({"Metadata": metadata} if metadata else {})}
    file.write_text(json.dumps({"Resources": {"Data": resource}}))
    return file


def test_text_says_who_with_which_request_why_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FIRES)]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert f"error {RULE} DataPolicy" in text
    assert "may s3:GetObject on <Data>/an-object with aws:SecureTransport = false" in text
    assert RULES[RULE].remedy in text
    assert "000000000001 stands for it" in text
    assert "requests decided" in text


def test_what_holds_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = as_json(HOLDS, capsys=capsys)
    assert RULE not in {one["rule"] for one in found["findings"]}
    assert found["requests"] > 0


def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    status, found = as_json(FIRES, capsys=capsys)
    assert status == 1
    (one,) = [one for one in found["findings"] if one["rule"] == RULE]
    assert (one["severity"], one["logicalId"], one["type"]) == ("error", "DataPolicy", "AWS::S3::BucketPolicy")
    assert set(found) == {"version", "findings", "acknowledged", "undecided", "requests", "subjects"}


def test_sarif_names_file_and_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAIRS.parent)
    assert main([str(FIRES), "--format", "sarif"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    (one,) = [one for one in run["results"] if one["ruleId"] == RULE]
    physical = one["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == f"{RULE}/fires.yaml"
    assert FIRES.read_text().splitlines()[physical["region"]["startLine"] - 1].strip() == "DataPolicy:"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} >= {RULE}
    assert one["level"] == "error"


def test_a_finding_is_accepted_in_the_template_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = template(tmp_path, **{"cdk-encrypted-data": {"acknowledge": {RULE: REASON}}})
    _, found = as_json(file, capsys=capsys)
    assert RULE not in {one["rule"] for one in found["findings"]}
    assert [one["reason"] for one in found["acknowledged"] if one["rule"] == RULE] == [REASON]
    main([str(file), "--format", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    (one,) = [one for one in run["results"] if one["ruleId"] == RULE]
    assert one["suppressions"] == [{"kind": "inSource", "justification": REASON}]


def test_without_a_reason_nothing_is_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = template(tmp_path, **{"cdk-encrypted-data": {"acknowledge": {RULE: " "}}})
    status, found = as_json(file, capsys=capsys)
    assert status == 1
    assert RULE in {one["rule"] for one in found["findings"]}


def test_the_exit_status_goes_by_severity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accepted = {rule: "not what this is about" for rule in RULES if RULES[rule].severity.word == "error"}
    file = template(tmp_path, **{"cdk-encrypted-data": {"acknowledge": accepted}})
    status, found = as_json(file, capsys=capsys)
    assert status == 0
    assert found["findings"]
    assert {one["severity"] for one in found["findings"]} <= {"warning", "note"}
    assert as_json(file, "--fail-on", "note", capsys=capsys)[0] == 1


def test_undecided_is_said_and_may_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "template.json"
    policy = {"Bucket": {"Ref": "Data"}, "PolicyDocument": {"Statement": {"Ref": "Given"}}}
    resources = {"Data": {"Type": "AWS::S3::Bucket"}, "P": {"Type": "AWS::S3::BucketPolicy", "Properties": policy}}
    file.write_text(json.dumps({"Parameters": {"Given": {"Type": "String"}}, "Resources": resources}))
    status, found = as_json(file, "--fail-on-undecided", capsys=capsys)
    assert status == 1
    assert RULE in {one["rule"] for one in found["undecided"]}
    assert main([str(file)]) in (0, 1)
    assert "nothing is said about these" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("Resources: [", "not YAML"),
        ("{}", "has a map of Resources"),
        ("a: 1", "has a map of Resources"),
    ],
)
def test_what_cannot_be_read_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    file = tmp_path / "template.yaml"
    if content is not None:
        file.write_text(content)
    assert main([str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert str(file) in printed.err


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_explained(rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", rule]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (RULES[rule].claim, RULES[rule].because, RULES[rule].remedy, *RULES[rule].sources):
        assert part in text


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rules"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(RULES)


@pytest.mark.parametrize(
    "arguments", [[], ["--explain", "no-such-rule"], ["--parameter", "odd", "x"], ["--format", "xml", "x"]]
)
def test_wrong_uses_are_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "encryption-proofs: error:" in capsys.readouterr().err


def test_parameters_are_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "template.json"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [{"Fn::GetAtt": ["Data", "Arn"]}, {"Fn::Sub": "${Data.Arn}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": {"Ref": "Value"}}},
    }
    resources = {
        "Data": {"Type": "AWS::S3::Bucket"},
        "P": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Data"}, "PolicyDocument": {"Statement": statement}},
        },
    }
    file.write_text(json.dumps({"Parameters": {"Value": {"Type": "String"}}, "Resources": resources}))
    for value, fires in (("false", False), ("true", True)):
        _, found = as_json(file, "--parameter", f"Value={value}", capsys=capsys)
        assert (RULE in {one["rule"] for one in found["findings"]}) is fires


def test_it_starts_without_the_cdk_and_without_node(tmp_path: Path) -> None:
    # Whatever would start Node fails here: there is none to be found.
    (tmp_path / "node").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "node").chmod(0o755)
    environment = {**os.environ, "PATH": str(tmp_path), "JSII_NODE": str(tmp_path / "node")}
    code = (
        "import sys; from cdk_encrypted_data.proofs.__main__ import main; status = main(sys.argv[1:]);"
        "assert not {'aws_cdk', 'constructs', 'jsii', 'boto3'} & set(sys.modules), 'too much'; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FIRES)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert RULE in done.stdout

"""The quotas at synthesis, in an app that isn't ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_glue as glue

from cdk_encrypted_data import FleetQuotas

FRANKFURT = cdk.Environment(account="111122223333", region="eu-central-1")
SECURITY = "glue-security-configurations"


def report(app: cdk.App) -> tuple[bool, list[dict[str, Any]]]:
    """Synthesize; return whether that went well, and our part of the CDK's report."""
    try:
        app.synth()
        passed = True
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        passed = False
    reports = json.loads((Path(app.outdir) / "validation-report.json").read_text())["pluginReports"]
    return passed, [found for one in reports if one["pluginName"] == "FleetQuotas" for found in one["violations"]]


def configurations(scope: cdk.Stack, number: int) -> None:
    for each in range(number):
        glue.CfnSecurityConfiguration(scope, f"C{each}", name=f"c{each}", encryption_configuration={})


def app_with(tmp_path: Path, *numbers: int, **limits: int) -> cdk.App:
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    for place, number in enumerate(numbers):
        configurations(cdk.Stack(app, f"Stack{place}", env=FRANKFURT), number)
    cdk.Validations.of(app).add_plugins(FleetQuotas(limits={name.replace("_", "-"): of for name, of in limits.items()}))
    return app


def test_stacks_that_fit_alone_and_not_together_fail_the_synthesis(tmp_path: Path) -> None:
    passed, found = report(app_with(tmp_path, 3, 3, glue_security_configurations=5))
    assert not passed
    (one,) = found
    assert (one["ruleName"], one["severity"]) == (SECURITY, "error")
    assert (
        "6 of 5 Glue security configurations (120%) in account 111122223333, Region eu-central-1" in one["description"]
    )
    assert "another account or Region" in one["suggestedFix"]
    assert {each["constructPath"] for each in one["violatingConstructs"]} >= {"Stack0/C0", "Stack1/C0"}


def test_what_fits_passes_with_a_warning_when_it_is_near(tmp_path: Path) -> None:
    passed, found = report(app_with(tmp_path, 2, 2, glue_security_configurations=4))
    assert passed
    assert [(one["ruleName"], one["severity"]) for one in found] == [(SECURITY, "warning")]
    assert "little more fits" in found[0]["description"]


def test_what_is_far_away_is_not_mentioned(tmp_path: Path) -> None:
    passed, found = report(app_with(tmp_path, 2))
    assert passed
    assert found == []


def test_stages_of_one_account_count_together(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    for name in ("First", "Second"):
        configurations(cdk.Stack(cdk.Stage(app, name, env=FRANKFURT), "Stack"), 3)
    cdk.Validations.of(app).add_plugins(FleetQuotas(limits={SECURITY: 5}))
    passed, found = report(app)
    assert not passed
    assert all("6 of 5" in one["description"] for one in found)
    assert {each["constructPath"] for one in found for each in one["violatingConstructs"]} >= {"First/Stack/C0"}


def test_limits_that_are_none_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^FleetQuotas: limits is 'template-size'; allowed: .*; AWS raises it for nobody"
    ):
        FleetQuotas(limits={"template-size": 2_000_000})

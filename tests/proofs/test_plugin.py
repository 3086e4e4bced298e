"""The proofs at synthesis, in an app that isn't ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from cdk_encrypted_data import EncryptionProofs
from cdk_encrypted_data.encryption_proofs import UNDECIDED
from cdk_encrypted_data.proofs.rules import RULES

RULE = "bucket-plain-http"
REASON = "a public web site, in the clear on purpose"


def report(app: cdk.App) -> tuple[bool, dict[str, Any]]:
    """Synthesize; return whether that went well, and our part of the CDK's report."""
    try:
        app.synth()
        passed = True
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        passed = False
    reports = json.loads((Path(app.outdir) / "validation-report.json").read_text())["pluginReports"]
    ours = [one for one in reports if one["pluginName"] == "EncryptionProofs"]
    # The CDK leaves out who found nothing.
    return passed, ours[0] if ours else {"violations": [], "suppressedViolations": []}


def at(violations: list[dict[str, Any]], rule: str) -> set[str]:
    found = [one for one in violations if one["ruleName"] == rule]
    return {construct["constructPath"] for one in found for construct in one["violatingConstructs"]}


def app_with(make: Callable[[cdk.Stack], object], tmp_path: Path) -> cdk.App:
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    make(cdk.Stack(app, "Stack"))
    cdk.Validations.of(app).add_plugins(EncryptionProofs())
    return app


def test_an_error_fails_the_synthesis_at_the_construct(tmp_path: Path) -> None:
    passed, ours = report(app_with(lambda stack: s3.Bucket(stack, "Plain"), tmp_path))
    assert not passed
    assert at(ours["violations"], RULE) == {"Stack/Plain/Resource"}
    (violation,) = [one for one in ours["violations"] if one["ruleName"] == RULE]
    assert violation["severity"] == "error"
    assert "aws:SecureTransport = false" in violation["description"]
    assert violation["suggestedFix"] == RULES[RULE].remedy


def test_what_is_not_found_does_not_fail(tmp_path: Path) -> None:
    _, ours = report(app_with(lambda stack: s3.Bucket(stack, "Guarded", enforce_ssl=True), tmp_path))
    assert at(ours["violations"], RULE) == set()


def accept(construct: Any) -> None:  # noqa: ANN401 - any construct
    for rule in RULES:
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"EncryptionProofs::{rule}", reason=REASON))


def test_a_finding_is_accepted_at_its_construct_and_kept_with_the_reason(tmp_path: Path) -> None:
    passed, ours = report(app_with(lambda stack: accept(s3.Bucket(stack, "Plain")), tmp_path))
    assert passed
    assert at(ours["violations"], RULE) == set()
    assert at(ours["suppressedViolations"], RULE) == {"Stack/Plain/Resource"}
    assert {one["reason"] for one in ours["suppressedViolations"]} == {REASON}


def test_an_acknowledgement_at_one_construct_is_none_at_another(tmp_path: Path) -> None:
    def two(stack: cdk.Stack) -> None:
        accept(s3.Bucket(stack, "Accepted"))
        s3.Bucket(stack, "Other")

    passed, ours = report(app_with(two, tmp_path))
    assert not passed
    assert at(ours["violations"], RULE) == {"Stack/Other/Resource"}


def test_nested_stacks_and_stages_are_proven_where_they_are(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    for name in ("Asked", "Other"):
        stage = cdk.Stage(app, name, env=cdk.Environment(account="111122223333", region="eu-west-1"))
        s3.Bucket(cdk.NestedStack(cdk.Stack(stage, "Stack"), "Nested"), "Plain")
        if name == "Asked":
            cdk.Validations.of(stage).add_plugins(EncryptionProofs())
    passed, ours = report(app)
    assert not passed
    assert at(ours["violations"], RULE) == {"Asked/Stack/Nested/Plain/Resource"}


def test_undecided_is_listed_and_fails_nothing(tmp_path: Path) -> None:
    def unknown(stack: cdk.Stack) -> None:
        given = cdk.CfnParameter(stack, "Given")
        bucket = s3.Bucket(stack, "Data")
        accept(bucket)
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": given.value_as_string,
        }
        policy = s3.CfnBucketPolicy(
            stack, "Policy", bucket=bucket.bucket_name, policy_document={"Statement": [statement]}
        )
        accept(policy)

    passed, ours = report(app_with(unknown, tmp_path))
    assert passed
    found = [one for one in ours["violations"] if one["ruleName"] == UNDECIDED]
    assert found
    assert {one["severity"] for one in found} == {"info"}
    assert any("Given" in one["description"] for one in found)


@pytest.mark.parametrize("broken", ["construct", "rule"])
def test_a_wrong_acknowledgement_accepts_nothing(tmp_path: Path, broken: str) -> None:
    def wrong(stack: cdk.Stack) -> None:
        bucket, other = s3.Bucket(stack, "Plain"), s3.Bucket(stack, "Guarded", enforce_ssl=True)
        rule = RULE if broken == "construct" else "bucket-plain-htp"
        where = other if broken == "construct" else bucket
        cdk.Validations.of(where).acknowledge(cdk.Acknowledgment(id=f"EncryptionProofs::{rule}", reason=REASON))

    passed, ours = report(app_with(wrong, tmp_path))
    assert not passed
    assert at(ours["violations"], RULE) == {"Stack/Plain/Resource"}

"""The rule packs over the fullest use of each construct: what is left is known, and why."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks

from cdk_encrypted_data import AccessLogBucket, EncryptedBucket
from stacks.acknowledgements import DEFAULT_KMS, REPLICATION
from tests.snapshots.test_snapshots import fullest_access_point, fullest_bucket, fullest_key, fullest_monitoring

# By design of this release: nothing here replicates. Log buckets are under SSE-S3 (docs/decisions.md, 6).
NOT_REPLICATED = {name.split("::", 1)[1] for name in REPLICATION}
NOT_UNDER_KMS = {name.split("::", 1)[1] for name in DEFAULT_KMS}
# An AccessLogBucket that is nobody's target: the packs see no log bucket in it.
NOT_LOGGED = {
    "AwsSolutions-S1",
    "HIPAA.Security-S3BucketLoggingEnabled",
    "NIST.800.53.R5-S3BucketLoggingEnabled",
    "PCI.DSS.321-S3BucketLoggingEnabled",
}


def findings(directory: Path, make: Callable[[cdk.Stack], object], *, within: str = "") -> set[str]:
    """Return the rules that find something in what ``make`` puts into a stack, or only where a path has ``within``."""
    app = cdk.App(outdir=str(directory))
    make(cdk.Stack(app, "Test"))
    for pack in (AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks):
        cdk.Validations.of(app).add_plugins(pack(app))
    with contextlib.suppress(RuntimeError):  # what a finding makes of a synth
        app.synth()
    reports = json.loads((directory / "validation-report.json").read_text())["pluginReports"]
    violations = [each for report in reports for each in report["violations"]]
    return {each["ruleName"].split("[")[0] for each in violations if within in json.dumps(each)}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(fullest_key, set(), id="CustomerManagedKey"),
        # The grant on all objects of the bucket, and its log bucket.
        pytest.param(fullest_bucket, NOT_REPLICATED | NOT_UNDER_KMS | {"AwsSolutions-IAM5"}, id="EncryptedBucket"),
        pytest.param(
            lambda stack: EncryptedBucket(stack, "Data"), NOT_REPLICATED | NOT_LOGGED, id="EncryptedBucket, smallest"
        ),
        pytest.param(
            lambda stack: AccessLogBucket(stack, "Logs"),
            NOT_REPLICATED | NOT_UNDER_KMS | NOT_LOGGED,
            id="AccessLogBucket",
        ),
    ],
)
def test_what_the_packs_find(tmp_path: Path, make: Callable[[cdk.Stack], object], expected: set[str]) -> None:
    assert findings(tmp_path, make) == expected


def two_regions(stack: cdk.Stack) -> tuple[cdk.Stack, cdk.Stack]:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    environments = [cdk.Environment(account="111122223333", region=each) for each in ("eu-central-1", "eu-west-1")]
    home, away = (cdk.Stack(app, str(each.region), env=each) for each in environments)
    return home, away


def test_what_the_packs_find_in_an_access_point(tmp_path: Path) -> None:
    def granted(stack: cdk.Stack) -> None:
        home, away = two_regions(stack)
        fullest_access_point(home, away)

    assert findings(tmp_path / "point", granted, within='"eu-central-1/Everywhere') == set()
    # The grants on all objects whose names begin so, of each bucket and of the access point.
    assert findings(tmp_path / "policy", granted, within='"eu-central-1/Policy') == {"AwsSolutions-IAM5"}


def test_what_the_packs_find_in_what_watches_replication(tmp_path: Path) -> None:
    def watched(stack: cdk.Stack) -> None:
        home, away = two_regions(stack)
        fullest_monitoring(home, away)
        sns.Topic(home, "PlainTopic")

    assert findings(tmp_path / "ours", watched, within="ReplicationMonitoring") == set()
    assert "AwsSolutions-SNS3" in findings(tmp_path / "plain", watched, within="PlainTopic")

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

from cdk_encrypted_data import AccessLogBucket, EncryptedBucket, FailureTopic
from stacks.acknowledgements import DEFAULT_KMS, REPLICATION
from stacks.customers import acknowledge_job
from tests.customers.fixtures import fullest_job
from tests.snapshots.test_snapshots import (
    batch_replication,
    fullest_access_point,
    fullest_bucket,
    fullest_destination,
    fullest_failure_topic,
    fullest_key,
    fullest_monitoring,
)

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
        pytest.param(fullest_failure_topic, set(), id="FailureTopic"),
        pytest.param(lambda stack: FailureTopic(stack, "Failures"), set(), id="FailureTopic, smallest"),
        # The grant to readers, and its log bucket.
        pytest.param(
            fullest_destination, NOT_REPLICATED | NOT_UNDER_KMS | {"AwsSolutions-IAM5"}, id="ReplicationDestination"
        ),
    ],
)
def test_what_the_packs_find(tmp_path: Path, make: Callable[[cdk.Stack], object], expected: set[str]) -> None:
    assert findings(tmp_path, make) == expected


def in_two_regions(make: Callable[[cdk.Stack, cdk.Stack], object]) -> Callable[[cdk.Stack], cdk.Stack]:
    """Return what makes both stacks of a use beside the given one, and returns the first."""

    def made(stack: cdk.Stack) -> cdk.Stack:
        app = stack.node.root
        assert isinstance(app, cdk.App)
        environments = [cdk.Environment(account="111122223333", region=each) for each in ("eu-central-1", "eu-west-1")]
        home, away = (cdk.Stack(app, str(each.region), env=each) for each in environments)
        make(home, away)
        return home

    return made


def test_what_the_packs_find_in_an_access_point(tmp_path: Path) -> None:
    granted = in_two_regions(fullest_access_point)
    assert findings(tmp_path / "point", granted, within='"eu-central-1/Everywhere') == set()
    # The grants on all objects whose names begin so, of each bucket and of the access point.
    assert findings(tmp_path / "policy", granted, within='"eu-central-1/Policy') == {"AwsSolutions-IAM5"}


def test_what_the_packs_find_in_what_watches_replication(tmp_path: Path) -> None:
    def watched(stack: cdk.Stack) -> None:
        sns.Topic(in_two_regions(fullest_monitoring)(stack), "PlainTopic")

    assert findings(tmp_path / "ours", watched, within="ReplicationMonitoring") == set()
    assert "AwsSolutions-SNS3" in findings(tmp_path / "plain", watched, within="PlainTopic")


def test_what_the_packs_find_in_roles_for_batch_jobs(tmp_path: Path) -> None:
    # All objects of the one bucket, and of the prefix of its reports.
    found = findings(tmp_path, in_two_regions(batch_replication), within="BatchReplication")
    assert found == {"AwsSolutions-IAM5"}


def test_nothing_is_left_of_a_customer_whose_findings_the_app_accepts(tmp_path: Path) -> None:
    def accepted(stack: cdk.Stack) -> None:
        acknowledge_job(fullest_job(stack), "Acme", cdk.RemovalPolicy.DESTROY)

    assert findings(tmp_path, accepted, within="Test/Acme") == set()
    # The twin: without, there is something to accept.
    assert findings(tmp_path / "plain", fullest_job, within="Test/Acme") >= {"AwsSolutions-IAM5", *NOT_REPLICATED}

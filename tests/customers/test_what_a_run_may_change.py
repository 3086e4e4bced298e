"""What whoever starts a run may change of it: every special argument of Glue and every field of StartJobRun, decided.

The arguments are those of AWS's pages, read in November 2026:

- https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
- https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-virtual-environments.html
- https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
- https://docs.aws.amazon.com/glue/latest/dg/monitor-spark-shuffle-manager.html

Nothing here ran in Glue: why something gives nobody data, key or code rests on these pages and on the policies.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from cdk_encrypted_data import JobCode
from cdk_encrypted_data_job.arguments import parser
from tests.customers.fixtures import CODE, customer, job, new_stack
from tests.customers.test_per_customer_glue_job import by_type, resources

_PROJECT = Path(__file__).parents[2]

SCRIPT, RULES = "s3://acme-code/script.py", "s3://acme-code/rules.zip"
PACKAGE, WHEEL, MODULE = "s3://acme-code/package.zip", "s3://acme-code/a.whl", "cryptography==48.0.1"

# Pinned: what a run could bring code by, what says where its files go, and what it takes for new.
PINNED = {
    "--additional-python-modules",
    "--conf",
    "--extra-files",
    "--extra-jars",
    "--extra-py-files",
    "--job-bookmark-option",
    "--job-language",
    "--python-modules-installer-option",
    "--scriptLocation",
    "--spark-event-logs-path",
    "--state",
    "--TempDir",
}

# May differ: what each gives whoever starts a run is no data, no key and no code.
HARMLESS = {
    "--auto-scale-within-microbatch": "for streaming jobs",
    "--class": "for scripts in Scala, and the language is pinned",
    "--continuous-log-conversionPattern": "how lines look in the job's own log groups",
    "--continuous-log-logGroup": "the role may write to the job's own log groups; what goes elsewhere is lost",
    "--continuous-log-logStreamPrefix": "how streams are called in the job's own log groups",
    "--custom-logGroup-prefix": "as --continuous-log-logGroup, since Glue 5",
    "--custom-logStream-prefix": "as --continuous-log-logStreamPrefix, since Glue 5",
    "--customer-driver-env-vars": "Glue sets names that begin with CUSTOMER_, and nothing in the job reads one",
    "--customer-executor-env-vars": "as --customer-driver-env-vars",
    "--datalake-formats": "adds libraries of AWS",
    "--disable-proxy-v2": "AWS is called through the customer's subnet",
    "--enable-auto-scaling": "how many workers a run has",
    "--enable-continuous-cloudwatch-log": "Glue 5 and later log in any case",
    "--enable-continuous-log-filter": "which lines are left out",
    "--enable-glue-datacatalog": "the role may read no table of the catalog",
    "--enable-job-insights": "goes to the job's own log groups",
    "--enable-lakeformation-fine-grained-access": "the role may ask Lake Formation for nothing",
    "--enable-metrics": "numbers, in the namespace Glue",
    "--enable-observability-metrics": "numbers, in the namespace Glue",
    "--enable-rename-algorithm-v2": "for Glue 1.0",
    "--enable-s3-parquet-optimized-committer": "how Spark writes files, which the job doesn't let it",
    "--enable-spark-ui": "Spark's event log goes where it is pinned to; no row and no password is in it",
    "--encryption-type": "the bucket's policy refuses other keys, whoever asks for them",
    "--executor-cores": "how many tasks run at the same time",
    "--job-bookmark-from": "for job-bookmark-pause, and the option is pinned",
    "--job-bookmark-to": "as --job-bookmark-from",
    "--python-virtual-env-version": "what the environment of --python-virtual-env-storage-prefix is called",
    "--use-postgres-driver": "for Glue 2.0",
    "--user-jars-first": "there are no jars but the pinned ones",
    # The entry point's own.
    "--JOB_RUN_ID": "Glue's own name of the run",
    "--output-partitions": "how many files the job writes",
    "--run-id": "the run's name: one that is finished isn't run again, and no object is overwritten by another's",
}

# Can't be pinned: there is no value that means what leaving them out means. Decision 51 says what is left by each.
OPEN = {
    "--JOB_NAME": "Glue's own; AWS doesn't say what another value does",
    "--debug": "as --JOB_NAME",
    "--endpoint": "as --JOB_NAME",
    "--mode": "as --JOB_NAME",
    "--python-virtual-env": "an archive takes the place of all of Python, if the role may read it",
    "--python-virtual-env-storage-prefix": "from the second run on, what lies there is taken, if the role may read it",
    "--write-shuffle-files-to-s3": "its presence counts, not its value: shuffles lie in S3, under --TempDir",
    "--write-shuffle-spills-to-s3": "as --write-shuffle-files-to-s3",
}

FIELDS = {
    "AllocatedCapacity": "size",
    "Arguments": "see above",
    "ExecutionClass": "cost",
    "ExecutionRoleSessionPolicy": "takes rights from the role, and gives none",
    "JobName": "grant_start names one job",
    "JobRunId": "an earlier run is tried again",
    "JobRunQueuingEnabled": "whether a run waits for room",
    "MaxCapacity": "size",
    "NotificationProperty": "when a slow run is told of",
    "NumberOfWorkers": "size",
    "SecurityConfiguration": "can't be pinned: decision 51 says what another one changes",
    "Timeout": "how long a run may take",
    "WorkerType": "size",
}


def code(*, modules: tuple[str, ...] = (), packages: tuple[str, ...] = ()) -> JobCode:
    return JobCode(script=SCRIPT, rules=CODE.rules, modules=modules, packages=packages)


# How the code is put together, and what is pinned where that makes a difference.
SHAPES: dict[str, tuple[JobCode, dict[str, str]]] = {
    "neither modules nor packages": (
        code(),
        {
            "--additional-python-modules": "pip",
            "--extra-py-files": RULES,
            "--python-modules-installer-option": "--no-index",
        },
    ),
    "packages": (
        code(packages=(PACKAGE,)),
        {
            "--additional-python-modules": "pip",
            "--extra-py-files": PACKAGE,
            "--python-modules-installer-option": "--no-index",
        },
    ),
    "modules of the index": (
        code(modules=(MODULE,)),
        {
            "--additional-python-modules": MODULE,
            "--extra-py-files": RULES,
            "--python-modules-installer-option": "--disable-pip-version-check",
        },
    ),
    "modules of the index and packages": (
        code(modules=(MODULE,), packages=(PACKAGE, PACKAGE)),
        {
            "--additional-python-modules": MODULE,
            "--extra-py-files": f"{PACKAGE},{PACKAGE}",
            "--python-modules-installer-option": "--disable-pip-version-check",
        },
    ),
    "wheels": (
        code(modules=(WHEEL,), packages=(PACKAGE,)),
        {
            "--additional-python-modules": WHEEL,
            "--extra-py-files": PACKAGE,
            "--python-modules-installer-option": "--no-index",
        },
    ),
    "wheels and modules of the index": (
        code(modules=(WHEEL, MODULE)),
        {
            "--additional-python-modules": f"{WHEEL},{MODULE}",
            "--extra-py-files": RULES,
            "--python-modules-installer-option": "--disable-pip-version-check",
        },
    ),
}


def made(shape: str) -> dict[str, Any]:
    stack = new_stack()
    job(stack, code=SHAPES[shape][0])
    return resources(stack)


def properties(shape: str) -> dict[str, Any]:
    found: dict[str, Any] = by_type(made(shape), "AWS::Glue::Job")["Properties"]
    return found


def of_the_job() -> dict[str, bool]:
    """The entry point's arguments, and whether it needs them."""
    actions = parser()._actions  # noqa: SLF001 - argparse has no other way to ask
    return {name: each.required for each in actions for name in each.option_strings}


def test_each_argument_is_decided_once() -> None:
    needed = {name for name, is_needed in of_the_job().items() if is_needed}
    decided = [*PINNED, *HARMLESS, *OPEN, *needed]
    assert len(decided) == len(set(decided))
    assert of_the_job().keys() <= set(decided)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_decides_whose_data_it_is_and_what_runs_is_pinned(shape: str) -> None:
    found = properties(shape)
    pinned, free = found["NonOverridableArguments"], found["DefaultArguments"]
    assert pinned.keys() == PINNED | {name for name, is_needed in of_the_job().items() if is_needed}
    assert free.keys() <= HARMLESS.keys()
    assert {name: pinned[name] for name in PINNED if isinstance(pinned[name], str)} == {
        "--conf": "spark.io.encryption.enabled=true",
        "--extra-files": RULES,
        "--extra-jars": RULES,
        "--job-bookmark-option": "job-bookmark-enable",
        "--job-language": "python",
        "--scriptLocation": SCRIPT,
        **SHAPES[shape][1],
    }
    # In the customer's bucket, and gone after seven days.
    for name in ("--TempDir", "--spark-event-logs-path"):
        assert re.fullmatch(r"s3://\$\{acmeBucket\w+\}/tmp/[a-z-]*/?", pinned[name]["Fn::Sub"])
    assert pinned["--scriptLocation"] == found["Command"]["ScriptLocation"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_role_may_read_what_is_pinned(shape: str) -> None:
    # What stands in for nothing must be there for Glue, or no run would start.
    found = made(shape)
    pinned = by_type(found, "AWS::Glue::Job")["Properties"]["NonOverridableArguments"]
    statements = by_type(found, "AWS::IAM::ManagedPolicy")["Properties"]["PolicyDocument"]["Statement"]
    (readable,) = (each["Resource"] for each in statements if each["Sid"] == "ReadCode")
    named = {
        location.removeprefix("s3://")
        for value in pinned.values()
        if isinstance(value, str)
        for location in value.split(",")
        if location.startswith("s3://")
    }
    assert {SCRIPT, RULES} <= {f"s3://{each}" for each in named}
    assert named <= {each["Fn::Sub"].partition(":::")[2] for each in readable}


def test_pip_leaves_alone_what_stands_in_for_modules() -> None:
    pinned = properties("neither modules nor packages")["NonOverridableArguments"]
    said = dry_run(pinned["--python-modules-installer-option"], pinned["--additional-python-modules"])
    assert "Requirement already satisfied: pip in" in said
    assert "Would install" not in said


def test_pip_takes_the_option_that_changes_nothing() -> None:
    pinned = properties("modules of the index")["NonOverridableArguments"]
    # Asked for what is there, so that no index is.
    assert "Requirement already satisfied: pip in" in dry_run(pinned["--python-modules-installer-option"], "pip")


def dry_run(options: str, modules: str) -> str:
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", *options.split(), *modules.split(",")]
    return subprocess.run(pip, capture_output=True, text=True, check=True).stdout


def test_nothing_in_the_job_reads_the_environment() -> None:
    for file in (_PROJECT / "constructs/cdk_encrypted_data_job").glob("*.py"):
        assert not re.search(r"\benviron\b|\bgetenv\b|CUSTOMER_", file.read_text()), file


def test_each_field_of_start_job_run_is_decided() -> None:
    model = botocore.session.get_session().get_service_model("glue").operation_model("StartJobRun")
    assert model.input_shape is not None
    assert FIELDS.keys() == model.input_shape.members.keys()


def test_what_cant_be_pinned_is_said() -> None:
    decisions = (_PROJECT / "docs/decisions.md").read_text()
    (decision,) = re.findall(r"^## 51\. .+?(?=^## |\Z)", decisions, re.DOTALL | re.MULTILINE)
    for name in (*OPEN, "SecurityConfiguration"):
        assert f"`{name}`" in decision, name


def test_a_customers_rules_stand_in_for_their_own_job() -> None:
    stack = new_stack()
    both = JobCode(script=SCRIPT, rules={"clinical-trials": RULES, "other": "s3://acme-code/other.zip"})
    job(stack, "acme", code=both)
    job(stack, "globex", customer=customer("globex", rules="other"), code=both)
    pinned = {
        each["Properties"]["NonOverridableArguments"]["--customer"]: each["Properties"]["NonOverridableArguments"]
        for each in resources(stack).values()
        if each["Type"] == "AWS::Glue::Job"
    }
    for name in ("--extra-files", "--extra-jars", "--extra-py-files"):
        assert (pinned["acme"][name], pinned["globex"][name]) == (RULES, "s3://acme-code/other.zip")

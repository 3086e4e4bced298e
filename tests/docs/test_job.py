"""What docs/job.md says is what the job does: its arguments, its layout, and the programs that read it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from cdk_encrypted_data.customer_template import OUTPUT, STATE
from cdk_encrypted_data.customers import TableSource
from cdk_encrypted_data_job import manifests
from cdk_encrypted_data_job.arguments import parser
from cdk_encrypted_data_job.envelope import CONTEXT, STATE_CONTEXT
from cdk_encrypted_data_job.manifests import Manifest, Output, TableState
from cdk_encrypted_data_job.progress import Step, Summary
from cdk_encrypted_data_job.storage import Place, client, storage_at
from devtools.embedded_aws.server import EmbeddedAws
from devtools.readme import README
from devtools.spark import EXAMPLE_RULES
from tests.docs.test_readme import code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdk_encrypted_data_job.storage import StoredFile

_TEXT = (README.parent / "docs" / "job.md").read_text()
_LINT, _READ, _ORPHANS = code("python", _TEXT)
_NAMES = ("bucket", "key_arn")


def test_the_arguments_are_those_of_the_job() -> None:
    (table,) = re.findall(r"^\| argument \|.*?\n\n", _TEXT, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"^\| `(--[a-z-]+)`", table, re.MULTILINE))
    # Glue passes the other one.
    assert named == {option for action in parser()._actions for option in action.option_strings} - {"--JOB_RUN_ID"}  # noqa: SLF001
    (fields,) = re.findall(r"JSON: `\[\{(.*)\}\]`", table)
    assert re.findall(r'"(\w+)"', fields) == list(TableSource.__dataclass_fields__)


def test_the_rules_are_linted() -> None:
    names: dict[str, Any] = {"folder": EXAMPLE_RULES}
    tables = list(json.loads((EXAMPLE_RULES / "tables.json").read_text()))
    pytest.importorskip("sqlglot", reason="not run: sqlglot isn't there")
    exec(_LINT.replace('["subjects", "visits"]', repr(tables)), names)  # noqa: S102 - our own page
    assert names["wrong"] == []


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    # The job's clients live as long as the process: none may go to another test's AWS.
    client.cache_clear()
    with EmbeddedAws(account_id="111122223333", region="eu-central-1") as aws:
        yield aws
    client.cache_clear()


def test_the_programs_read_runs_and_find_what_none_has_named(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow", reason="not run: pyarrow isn't there")
    pq = pytest.importorskip("pyarrow.parquet")

    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    # The session of boto3 keeps the credentials that it found first.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    said = dict(re.findall(rf'^({"|".join(_NAMES)}) = "(.*)"$', _READ, re.MULTILINE))
    bucket = said["bucket"]
    key_arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})
    # Ours, as the job would write it: a run that finished, after one that was killed, and before one that goes on.
    where = {"bucket": bucket, "key_arn": key_arn, "region": aws.region}
    data = storage_at(Place(prefix=OUTPUT, context=CONTEXT, **where))
    state = storage_at(Place(prefix=STATE, context=STATE_CONTEXT, **where))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"result_id": [1, 2]}), sink)
    rows = sink.getvalue().to_pybytes()

    def stored(run: str) -> tuple[StoredFile, StoredFile]:
        return (
            data.put(f"runs/{run}/lab_results/{{digest}}.parquet", rows, rows=2),
            state.put(f"{run}/lab_results/{{digest}}.parquet", rows, rows=2),
        )

    killed = stored("killed")
    outputs, kept = stored("finished")
    summary = Summary(customer="acme", run_id="finished", number=1, steps=[Step(kind="output", name="lab_results")])
    schema = json.dumps({"fields": [{"name": "result_id", "type": "long"}]})
    left = stored("finished")  # by its first attempt
    wait_for_another_second(aws, bucket)
    manifests.finish(
        data,
        Manifest(
            number=1,
            run_id="finished",
            customer="acme",
            rules="",
            outputs={"lab_results": Output(schema=schema, rows=2, files=[outputs])},
            tables={
                "lab_results": TableState(
                    source="lab_results",
                    database="",
                    parts=[],
                    transaction=1,
                    key=["result_id"],
                    schema=schema,
                    files=[kept],
                )
            },
            summary=data.put("runs/finished/summary-{digest}", summary.as_json()),
        ),
    )
    stored("goes-on")
    names: dict[str, Any] = {}
    exec(_READ.replace(said["key_arn"], key_arn), names)  # noqa: S102 - our own page
    assert names["table"].to_pydict() == {"result_id": [1, 2]}
    assert [step.name for step in names["steps"]] == ["lab_results"]
    exec(_ORPHANS, names)  # noqa: S102 - our own page
    assert sorted(names["orphans"]) == sorted(file["name"] for file in (*killed, *left))


def wait_for_another_second(aws: EmbeddedAws, bucket: str) -> None:
    """Wait until what is stored is younger than what was: S3 counts seconds."""
    s3 = aws.client("s3")
    last = max(each["LastModified"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"])
    while True:
        s3.put_object(Bucket=bucket, Key="clock", Body=b"")
        if s3.head_object(Bucket=bucket, Key="clock")["LastModified"] > last:
            return

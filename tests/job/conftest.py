"""The job on a real PostgreSQL over TLS, the embedded AWS, and one Spark session for all tests of a process.

Where a part can't be had, its tests are skipped, each by its name and with what is lacking.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from devtools import customers, postgresql, spark
from devtools.customers import Customer
from devtools.embedded_aws.server import Credentials, EmbeddedAws
from devtools.postgresql import Postgresql

_SUBJECTS = 40
_numbers = itertools.count(1)
# What `session` sets.
_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
}
# With few rows, planning is what takes time: no code is generated, no plan is made anew on the way, few tasks.
FEW_ROWS = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.ui.explainMode": "simple",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pass over what PySpark 3.5 does, here only: it asks distutils for versions and leaves sockets open."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkHere:
    """The session, and where it writes."""

    session: Any
    files: Path


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    lacking = postgresql.missing()
    if lacking:
        pytest.skip(f"not run: {lacking}")
    with Postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def acme(aws: EmbeddedAws, server: Postgresql) -> Customer:
    return customers.make(aws, server, "acme", subjects=_SUBJECTS, seed=1)


@pytest.fixture(scope="session")
def globex(aws: EmbeddedAws, server: Postgresql) -> Customer:
    return customers.make(aws, server, "globex", subjects=_SUBJECTS, seed=2)


@pytest.fixture(scope="session")
def spark_here(aws: EmbeddedAws, acme: Customer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkHere]:
    """A session with the rights of the job of acme: Java and its workers take them from the environment."""
    lacking = spark.missing()
    if lacking:
        pytest.skip(f"not run: {lacking}")
    from pyspark.sql import SparkSession

    files = tmp_path_factory.mktemp("spark")
    builder: Any = SparkSession.builder
    # A task is tried four times, as on a cluster.
    builder = builder.master("local[2,4]")
    for name, value in (spark.settings(files) | _SETTINGS | FEW_ROWS).items():
        builder = builder.config(name, value)
    with _rights_of_the_job(aws, acme):
        session = builder.getOrCreate()
    try:
        yield SparkHere(session=session, files=files)
    finally:
        session.stop()


@pytest.fixture(scope="module", autouse=True)
def rights_of_the_job(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give a module that runs jobs here what boto3 takes from the environment, and nobody after it."""
    items = [each for each in request.session.items if each.path == request.path and isinstance(each, pytest.Function)]
    if spark.missing() or postgresql.missing() or not any("spark_here" in each.fixturenames for each in items):
        yield
        return
    with _rights_of_the_job(request.getfixturevalue("aws"), request.getfixturevalue("acme")):
        yield


@contextlib.contextmanager
def _rights_of_the_job(aws: EmbeddedAws, acme: Customer) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(acme.environment(aws) | spark.environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A customer with a place of their own for one test, and what a run there needs."""

    customer: Customer
    prefix: str
    aws: EmbeddedAws
    spark: SparkHere

    @property
    def state_prefix(self) -> str:
        return f"state/{self.prefix}"

    def arguments(self, run_id: str = "run-1", **changes: str) -> list[str]:
        words = self.customer.arguments(run_id)
        given = dict(zip(words[::2], words[1::2], strict=True))
        given["--output"] = f"s3://{self.customer.bucket}/{self.prefix}"
        given["--state"] = f"s3://{self.customer.bucket}/{self.state_prefix}"
        given |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        return [word for pair in given.items() for word in pair]

    def run(self, run_id: str = "run-1", **changes: str) -> Any:
        from cdk_encrypted_data_job.arguments import parse
        from cdk_encrypted_data_job.job import run

        return run(self.spark.session, parse(self.arguments(run_id, **changes)))

    def finished(self, credentials: Credentials | None = None) -> Any:
        from cdk_encrypted_data_job.reading import FinishedRuns

        return FinishedRuns(
            customer=self.customer.name,
            bucket=self.customer.bucket,
            prefix=self.prefix,
            key_arn=self.customer.key_arn,
            session=self.aws.session(credentials or self.customer.credentials),
        )

    def rows(self, output: str = "results", number: int | None = None) -> list[dict[str, Any]]:
        table = self.finished().read(output, number)
        return sorted(table.to_pylist(), key=lambda row: json.dumps(row, default=str))

    def objects(self, folder: str = "") -> list[str]:
        return self._names(f"{self.prefix}{folder}")

    def state_objects(self) -> list[str]:
        return self._names(self.state_prefix)

    def _names(self, beginning: str) -> list[str]:
        pages = (
            self.aws.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self.customer.bucket, Prefix=beginning)
        )
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def with_tables(self, *tables: dict[str, Any]) -> Case:
        return replace(self, customer=replace(self.customer, tables=tables))

    def with_rules(self, rules: str) -> Case:
        return replace(self, customer=replace(self.customer, rules=rules))


SMALL_RULES = {
    "tables.json": json.dumps(
        {
            "subjects": {"subject_id": "bigint", "full_name": "string"},
            "lab_results": {
                "result_id": "bigint",
                "sample_id": "bigint",
                "subject_id": "bigint",
                "value": "double",
                "measured_at": "timestamp",
                "remark": "string",
            },
        }
    ),
    "10_named_results.sql": """
        SELECT l.result_id, l.sample_id, s.full_name, l.value, l.measured_at, l.remark
        FROM lab_results AS l INNER JOIN subjects AS s ON s.subject_id = l.subject_id
    """,
    "check_results_twice.sql": "SELECT result_id FROM named_results GROUP BY result_id HAVING count(*) > 1",
    "write_results.sql": "SELECT * FROM named_results",
}
SMALL_TABLES = (
    {"name": "subjects", "source": "subjects"},
    {"name": "lab_results", "source": "lab_results", "partition_column": "result_id", "partitions": 2},
)


@pytest.fixture(scope="session")
def put_rules(aws: EmbeddedAws, acme: Customer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what stores rules where acme's job reads them."""

    def put(**changes: str | None) -> str:
        folder = tmp_path_factory.mktemp("rules")
        files = {name.removesuffix(".sql"): text for name, text in SMALL_RULES.items()} | changes
        for name, text in files.items():
            if text is not None:
                file = name if "." in name else f"{name}.sql"
                (folder / file.replace("_tables.json", "tables.json")).write_text(textwrap.dedent(text))
        return customers.put_rules(aws, acme.name, folder)

    return put


@pytest.fixture(scope="session")
def cases(aws: EmbeddedAws, acme: Customer, spark_here: SparkHere, put_rules: Any) -> Callable[[], Case]:
    """Return what makes cases: few rules on two tables of acme, each with a prefix of its own."""

    def new() -> Case:
        made = Case(customer=acme, prefix=f"etl/test-{next(_numbers)}/", aws=aws, spark=spark_here)
        return made.with_tables(*SMALL_TABLES).with_rules(put_rules())

    return new


@pytest.fixture
def case(cases: Callable[[], Case]) -> Case:
    return cases()


BOOKMARKED = {
    "name": "lab_results",
    "source": "lab_results",
    "partition_column": "result_id",
    "partitions": 2,
    "bookmark": "xmin",
}
ADDED = 900_000_000
ADD = """
    INSERT INTO lab_results SELECT %s, sample_id, 9, subject_id, visit_id, analyte, value, unit, measured_at, 'added'
    FROM lab_results WHERE result_id = 1
"""


@pytest.fixture
def bookmarked(case: Case, server: Postgresql) -> Iterator[Case]:
    """Results are read once, and what a test adds or changes is taken back."""
    with server.connect("acme") as owner:
        owner.execute("CREATE TABLE before AS SELECT * FROM lab_results")
    try:
        yield case.with_tables(SMALL_TABLES[0], BOOKMARKED)
    finally:
        with server.connect("acme") as owner:
            owner.execute("DELETE FROM lab_results")
            owner.execute("INSERT INTO lab_results SELECT * FROM before")
            owner.execute("DROP TABLE before")


_QUERY = """
    SELECT l.result_id, l.sample_id, s.full_name, l.value, l.measured_at, l.remark
    FROM lab_results l JOIN subjects s USING (subject_id)
"""


def in_database(server: Postgresql, query: str = _QUERY) -> list[dict[str, Any]]:
    """Return what a query selects, the small rules' if no other is given, by PostgreSQL itself."""
    with server.connect("acme") as owner:
        cursor = owner.execute(query)
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: json.dumps(row, default=str))

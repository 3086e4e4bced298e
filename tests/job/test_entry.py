"""The entry point: what it says of failures, and what it tells Glue."""

from __future__ import annotations

import contextlib
import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cdk_encrypted_data_job.errors import ChecksFailedError, JobError
from devtools.clinical_data import MARKER
from tests.job.test_arguments import arguments

pytest.importorskip("pyspark", reason="not run: Spark isn't there for this Python")


def failing(error: Exception) -> Any:
    def run(*_arguments: object) -> None:
        raise error

    return run


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Any:
    from cdk_encrypted_data_job import __main__

    monkeypatch.setattr(__main__, "session", lambda _argv: contextlib.nullcontext())
    monkeypatch.setattr(logging, "basicConfig", lambda **_options: None)
    return __main__


def test_what_others_say_of_a_failure_isnt_repeated(
    entry: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entry, "run", failing(ValueError(f"{MARKER} is no number")))
    with pytest.raises(JobError, match=r"^the run failed: ValueError$") as failed:
        entry.main(arguments())
    assert failed.value.__suppress_context__
    assert MARKER not in caplog.text


def test_what_the_job_itself_refuses_is_said(
    entry: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entry, "run", failing(ChecksFailedError("check_it: 3 rows; nothing was written")))
    with pytest.raises(ChecksFailedError):
        entry.main(arguments())
    assert "failed: check_it: 3 rows" in caplog.text


def test_glue_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from cdk_encrypted_data_job import session

    told: list[str] = []

    class Job:
        def __init__(self, context: object) -> None:
            told.append(f"context {context}")

        def init(self, name: str, _arguments: object) -> None:
            told.append(f"init {name}")

        def commit(self) -> None:
            told.append("commit")

    contents: dict[str, dict[str, Any]] = {
        "awsglue": {},
        "awsglue.context": {"GlueContext": str},
        "awsglue.job": {"Job": Job},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    spark: Any = SimpleNamespace(sparkContext="spark")
    job = session._glue_job(spark, ["--x", "y", "--JOB_NAME", "acme"])  # noqa: SLF001
    assert told == ["context spark", "init acme"]
    job.commit()
    assert told[-1] == "commit"


def test_elsewhere_there_is_no_glue() -> None:
    from cdk_encrypted_data_job import session

    spark: Any = SimpleNamespace(sparkContext="spark")
    assert session._glue_job(spark, []) is None  # noqa: SLF001

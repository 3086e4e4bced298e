"""JobCode.from_assets: what is published is the job and the rules, and rules that can't run aren't."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_encrypted_data import JobCode
from tests.customers.fixtures import customer, job, new_stack
from tests.synthesis import resources_of

_PROJECT = Path(__file__).resolve().parents[2]
CLINICAL_TRIALS = _PROJECT / "docs/examples/clinical_trials"
_TABLES = json.dumps({"subjects": {"subject_id": "bigint"}})


def rules(directory: Path, **files: str) -> Path:
    made = directory / "rules"
    made.mkdir()
    for name, text in {
        "tables.json": _TABLES,
        "write_subjects.sql": "SELECT subject_id FROM subjects",
        **files,
    }.items():
        (made / name).write_text(text)
    return made


def published(stack: cdk.Stack) -> dict[str, Path]:
    """Synthesize; return what is published, by what the object's name ends with."""
    app = stack.node.root
    assert isinstance(app, cdk.App)
    directory = Path(app.synth().directory)
    files: dict[str, Any] = json.loads((directory / "Test.assets.json").read_text())["files"]
    return {
        each["destinations"][name]["objectKey"]: directory / each["source"]["path"]
        for each in files.values()
        for name in each["destinations"]
    }


def test_the_package_is_all_that_is_in_its_zip(tmp_path: Path) -> None:
    stack = new_stack()
    code = JobCode.from_assets(stack, "Code", rules={"clinical-trials": rules(tmp_path)})
    assert len(code.packages) == 1
    assert code.tables == {"clinical-trials": ("subjects",)}
    found = published(stack)
    (package,) = [path for path in found.values() if (path / "cdk_encrypted_data_job").is_dir()]
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    source = _PROJECT / "constructs/cdk_encrypted_data_job"
    assert files == {f"cdk_encrypted_data_job/{path.name}" for path in source.iterdir() if path.is_file()}


def test_the_script_runs_with_the_package_from_its_zip(tmp_path: Path) -> None:
    stack = new_stack()
    JobCode.from_assets(stack, "Code", rules={"clinical-trials": rules(tmp_path)})
    found = published(stack)
    (script,) = [path for name, path in found.items() if name.endswith(".py")]
    (package,) = [path for path in found.values() if (path / "cdk_encrypted_data_job").is_dir()]
    zipped = tmp_path / "package.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in package.rglob("*"):
            archive.write(path, path.relative_to(package))
    # As Glue does: the zip is on the path, the library isn't.
    program = (
        "import sys\n"
        f"sys.path[:] = [{str(zipped)!r}, *(each for each in sys.path if 'constructs' not in each)]\n"
        "from cdk_encrypted_data_job import arguments\n"
        "print(arguments.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(zipped)), done.stderr
    assert "cdk_encrypted_data_job" in script.read_text()


def test_the_role_reads_exactly_what_is_published(tmp_path: Path) -> None:
    stack = new_stack()
    wheel = tmp_path / "some-1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    code = JobCode.from_assets(stack, "Code", rules={"clinical-trials": rules(tmp_path)}, wheels=[wheel])
    job(stack, code=code)
    names = {name for name in published(stack) if not name.endswith(".json")}
    (policy,) = resources_of(stack, "AWS::IAM::ManagedPolicy").values()
    (statement,) = [each for each in policy["Properties"]["PolicyDocument"]["Statement"] if each["Sid"] == "ReadCode"]
    read = [json.dumps(each) for each in statement["Resource"]]
    assert statement["Action"] == "s3:GetObject"
    assert len(read) == len(names) == 4
    assert all(any(f"/{name}" in each for each in read) for name in names)


def test_glue_gets_what_it_lacks_as_it_is_locked_here(tmp_path: Path) -> None:
    stack = new_stack()
    directory = rules(tmp_path)
    wheel = tmp_path / "some-1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    choices: list[dict[str, Any]] = [{}, {"wheels": [wheel]}, {"modules": ["cryptography==47.0.0"]}]
    by_default, from_wheels, chosen = (
        JobCode.from_assets(stack, f"Code{number}", rules={"clinical-trials": directory}, **options)
        for number, options in enumerate(choices)
    )
    (module,) = by_default.modules
    assert f"\n{module} \\\n" in (_PROJECT / "requirements/dev.txt").read_text()
    assert [each.startswith("s3://") for each in from_wheels.modules] == [True]
    assert chosen.modules == ("cryptography==47.0.0",)


def test_the_example_of_clinical_trials_is_fit_for_a_job() -> None:
    stack = new_stack()
    code = JobCode.from_assets(stack, "Code", rules={"clinical-trials": CLINICAL_TRIALS})
    tables = code.tables["clinical-trials"]
    assert len(tables) > 3
    with pytest.raises(
        ValueError, match=r"(?s)^acme: customer is 'acme without the tables .*'; allowed: customers with"
    ):
        job(stack, code=code, customer=customer())


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"10_a.sql": "SELECT other FROM subjects"}, "other"),
        ({"10_a.sql": "SELECT subject_id FROM elsewhere"}, "elsewhere"),
        ({"10_a.sql": "SELECT FROM WHERE"}, "10_a.sql"),
        ({"10_a.sql": "SELECT subject_id FROM b", "20_b.sql": "SELECT subject_id FROM a"}, "b"),
        ({"notes.txt": "hello"}, "notes.txt"),
    ],
)
def test_rules_that_cant_run_are_refused(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    stack = new_stack()
    with pytest.raises(ValueError, match=rf"(?s)^Code: rules is .*{problem}.*; allowed: rules that can run; change"):
        JobCode.from_assets(stack, "Code", rules={"clinical-trials": rules(tmp_path, **files)})
    assert stack.node.try_find_child("Code") is None


def test_a_directory_that_isnt_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^Code: rules is .*; allowed: directories of SQL files; write its path"):
        JobCode.from_assets(new_stack(), "Code", rules={"clinical-trials": tmp_path / "nowhere"})


def test_without_the_linter_nothing_is_published_unlinted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_sqlglot(name: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as __import__
        if name.split(".", maxsplit=1)[0] == "sqlglot":
            raise ModuleNotFoundError("No module named 'sqlglot'", name="sqlglot")
        return imported(name, *arguments, **named)

    for name in [each for each in sys.modules if each.split(".")[0] == "sqlglot" or each.endswith(".rules_lint")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("cdk_encrypted_data_job.rules_lint", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_sqlglot)
    with pytest.raises(
        ValueError, match=r"Code: rules is .*no linter.*; allowed: an installation with the extra rules"
    ):
        JobCode.from_assets(new_stack(), "Code", rules={"clinical-trials": rules(tmp_path)})

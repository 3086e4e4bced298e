"""The public API as type checkers show it to users: in the programs beside this file, which `make types` checks too."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import aws_cdk
import pytest
import tomllib
from constructs import Construct

import cdk_encrypted_data

_HERE = Path(__file__).parent
_PROJECT = _HERE.parents[1]
_USER_APP = _HERE / "user_app.py"
_WRONG_USES = _HERE / "wrong_uses.py"
_EXPECTED = re.compile(r"  # type: ignore\[[a-z, -]+\]  # pyright: ignore\[(\w+)\]")
_Node = TypeVar("_Node", bound=ast.AST)
_PUBLIC = [getattr(cdk_encrypted_data, name) for name in cdk_encrypted_data.__all__ if name != "__version__"]
_CLASSES: list[type] = [each for each in _PUBLIC if inspect.isclass(each)]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, str]]]:
    """The lines and rules that pyright reports in each program by the project's settings, if nothing is ignored."""
    folder = tmp_path_factory.mktemp("typing")
    settings = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["tool"]["pyright"]
    programs = [_PROJECT / name for name in settings["include"]]
    for program in programs:
        (folder / program.name).write_text(_EXPECTED.sub("", program.read_text()))
    settings |= {
        "include": [program.name for program in programs],
        "extraPaths": [str(_PROJECT / path) for path in settings["extraPaths"]],
        "venvPath": str(_PROJECT),
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    node, pyright = Path(sys.executable).parent / "node", _PROJECT / "node_modules" / ".bin" / "pyright"
    done = subprocess.run(
        [node, pyright, "--project", folder, "--outputjson"], capture_output=True, text=True, check=False
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["summary"]["filesAnalyzed"] == len(programs) == 4
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for each in answer["generalDiagnostics"]:
        found[Path(each["file"]).name].append((each["range"]["start"]["line"] + 1, each.get("rule", each["message"])))
    return found


def test_pyright_accepts_what_a_user_writes(reported: dict[str, list[tuple[int, str]]]) -> None:
    assert {name: found for name, found in reported.items() if name != _WRONG_USES.name} == {}


def test_pyright_reports_every_wrong_use_and_says_why(reported: dict[str, list[tuple[int, str]]]) -> None:
    lines = enumerate(_WRONG_USES.read_text().splitlines(), start=1)
    expected = [(number, rule[1]) for number, line in lines if (rule := _EXPECTED.search(line))]
    assert len(expected) > 20
    assert reported[_WRONG_USES.name] == expected


def test_the_user_app_uses_no_ignore_comment() -> None:
    assert "ignore" not in _USER_APP.read_text()


def test_the_user_app_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", _USER_APP],
        cwd=tmp_path,
        env=os.environ | {"CDK_OUTDIR": str(tmp_path / "cdk.out")},
        capture_output=True,
        text=True,
        check=False,
    )
    # No word on stderr either: neither the library nor the CDK calls anything deprecated.
    assert (done.returncode, done.stderr) == (0, "")
    template = json.loads((tmp_path / "cdk.out" / "UserApp.template.json").read_text())
    kinds = Counter(each["Type"] for each in template["Resources"].values())
    # Nine buckets of ours, two of customers, two for logs, and one that is no EncryptedBucket and has no policy.
    assert (kinds["AWS::S3::Bucket"], kinds["AWS::S3::BucketPolicy"]) == (14, 13)


@pytest.mark.parametrize("choices", [each for each in _CLASSES if issubclass(each, Enum)])
def test_the_user_app_uses_every_choice(choices: type[Enum]) -> None:
    used = {node.attr for node in _nodes(ast.Attribute) if ast.unparse(node.value) == choices.__name__}
    assert used == {choice.name for choice in choices}


@pytest.mark.parametrize("construct", [each for each in _CLASSES if issubclass(each, Construct)])
def test_the_user_app_uses_every_option_method_and_property(construct: type) -> None:
    used = _options_used()
    assert _options(vars(construct)["__init__"]) <= used[construct.__name__]
    own = {name: member for name, member in vars(construct).items() if not name.startswith("_")}
    methods = {name: member for name, member in own.items() if inspect.isfunction(member)}
    assert {name for name in methods if name not in used} == set()
    assert {name: left for name, method in methods.items() if (left := _options(method) - used[name])} == {}
    read = {node.attr for node in _nodes(ast.Attribute)}
    assert {name for name, member in own.items() if isinstance(member, (property, functools.cached_property))} <= read


def test_mypy_reads_all_that_the_cdks_types_name() -> None:
    # What a listed module imports and the list lacks would be Any, and no wrong use of it an error.
    overrides = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (listed,) = [each["module"] for each in overrides if "aws_cdk" in each["module"]]
    imported = {module: _imported_for_types(module) for module in listed}
    assert imported["aws_cdk.aws_kms"] >= {"aws_cdk", "aws_cdk.aws_iam", "aws_cdk.interfaces.*"}
    assert {module: left for module, names in imported.items() if (left := names - {*listed})} == {}


def _imported_for_types(module: str) -> set[str]:
    """Return what a module of the CDK, as mypy's settings name it, imports at its head where nothing is run."""
    folder = Path(aws_cdk.__file__).parents[1] / module.removesuffix(".*").replace(".", "/")
    found: set[str] = set()
    for path in folder.rglob("__init__.py") if module.endswith(".*") else [folder / "__init__.py"]:
        head = path.read_text().partition("if typing.TYPE_CHECKING:\n")[2].partition("\nelse:\n")[0]
        found |= set(re.findall(r"^    import (aws_cdk[\w.]*) as ", head, re.MULTILINE))
    return {"aws_cdk.interfaces.*" if each.startswith("aws_cdk.interfaces") else each for each in found}


def _options(function: Any) -> set[str]:  # noqa: ANN401 - any callable
    parameters = inspect.signature(function).parameters.values()
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


def _options_used() -> dict[str, set[str]]:
    """Return the keyword arguments that the user app calls each class and method with, by its name."""
    used: dict[str, set[str]] = {}
    for call in _nodes(ast.Call):
        name = ast.unparse(call.func).rsplit(".", 1)[-1]
        used.setdefault(name, set()).update(each.arg for each in call.keywords if each.arg)
    return used


def _nodes(kind: type[_Node]) -> list[_Node]:
    return [node for node in ast.walk(ast.parse(_USER_APP.read_text())) if isinstance(node, kind)]

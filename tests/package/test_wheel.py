"""The library as others get it: a wheel, installed beside another CDK app that knows nothing of this checkout."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

_PROJECT = Path(__file__).resolve().parents[2]
_SOURCE = _PROJECT / "constructs"
_PACKAGES = (
    "cdk_encrypted_data",
    "cdk_encrypted_data_client",
    "cdk_encrypted_data_job",
    "cdk_encrypted_data_operations",
)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the source archive, each built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", folder, cwd=_PROJECT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as content:
        (name,) = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(content.read(name))


@pytest.fixture(scope="module")
def other_app(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another app, with a virtual environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("other-app")
    _run(sys.executable, "-m", "venv", "--without-pip", folder / ".venv")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(_locked((_PROJECT / "requirements" / "dev.txt").read_text())))
    install = ("install", "--quiet", "--no-compile", "--disable-pip-version-check", "--constraint", constraints)
    _run(sys.executable, "-m", "pip", "--python", folder / ".venv", *install, wheel)
    return folder


def test_the_wheel_holds_the_library_its_types_and_its_licence_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        files = {PurePosixPath(name) for name in content.namelist()}
    source = {
        PurePosixPath(each.relative_to(_SOURCE).as_posix())
        for package in _PACKAGES
        for each in (*(_SOURCE / package).rglob("*.py"), _SOURCE / package / "py.typed")
    }
    library = {each for each in files if each.parts[0] in _PACKAGES}
    assert library == source
    (information,) = {each.parts[0] for each in files - library}
    assert re.fullmatch(r"cdk_encrypted_data-.*\.dist-info", information)
    about = {str(each.relative_to(information)) for each in files - library}
    assert about == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def test_the_source_archive_holds_what_the_wheel_is_built_from(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        top = {PurePosixPath(name).parts[1] for name in content.getnames()}
    made_by_the_backend = {"PKG-INFO", ".gitignore"}
    assert top - made_by_the_backend == {"CHANGELOG.md", "LICENSE", "README.md", "constructs", "pyproject.toml"}


def test_it_installs_on_every_python_it_supports(metadata: Message) -> None:
    assert metadata["Requires-Python"] == ">=3.10"


def test_it_leaves_the_versions_of_the_cdk_to_the_app(metadata: Message) -> None:
    # A range with both ends: an exact pin would collide with the app's own, an open end with the next major version.
    wanted = {}
    for requirement in metadata.get_all("Requires-Dist", []):
        if "extra ==" in requirement:
            continue
        parts = re.fullmatch(r"([A-Za-z0-9-]+)(.*)", requirement)
        assert parts is not None
        wanted[parts[1]] = sorted(re.findall(r"<(?=\d)|>=|==|~=|!=|;", parts[2]))
    # No cdk-nag and no boto3: neither a checker nor an AWS client is forced on the app.
    assert wanted == {"aws-cdk-lib": ["<", ">="], "constructs": ["<", ">="]}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("client", {"amazon-s3-encryption-client-python", "boto3", "cryptography", "rich"}),
        ("operations", {"boto3", "rich"}),
    ],
)
def test_what_runs_against_aws_brings_what_it_needs_as_an_extra(metadata: Message, name: str, wanted: set[str]) -> None:
    extra = [each for each in metadata.get_all("Requires-Dist", []) if f"extra == '{name}'" in each]
    assert {re.split(r"[^A-Za-z0-9-]", each)[0] for each in extra} == wanted


def test_the_readme_names_the_extras_there_are_and_what_they_bring(metadata: Message) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([^|]*) \|$", _section("Install"), re.MULTILINE)
    named = {name: set(re.findall(r"`([\w-]+)`", brings)) for name, brings in rows}
    extras: dict[str, set[str]] = {name: set() for name in metadata.get_all("Provides-Extra", [])}
    for requirement in metadata.get_all("Requires-Dist", []):
        for name in re.findall(r"extra == '(\w+)'", requirement):
            extras[name].add(re.split(r"[^A-Za-z0-9-]", requirement)[0])
    assert named == extras


def test_the_commands_of_the_readme_install_this_wheel(wheel: Path, tmp_path: Path) -> None:
    # It isn't on PyPI, where the name is anybody's: what pip is told must be a file.
    commands = re.findall(r"^pip .*$", _section("Install"), re.MULTILINE)
    assert [bool(re.search(r"\[[\w,]+\]", each)) for each in commands] == [False, True]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / wheel.name).symlink_to(wheel)
    pip = tmp_path / "pip"
    only_show = "--dry-run --no-deps --no-index --ignore-installed --disable-pip-version-check"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@" {only_show}\n')
    pip.chmod(0o755)
    version = wheel.name.split("-")[1]
    for command in commands:
        said = _run("/bin/sh", "-euc", command, cwd=tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin")
        assert f"Would install cdk-encrypted-data-{version}" in said


def test_nothing_tells_pip_to_fetch_it_by_its_name() -> None:
    texts = [_PROJECT / "README.md", *(_PROJECT / "docs").rglob("*.md"), *_SOURCE.rglob("*.py")]
    assert len(texts) > 50
    wrong = re.compile(r"""(pip|uv|poetry)\b[^\n]*\b(install|add)\b[^\n]*cdk-encrypted-data""")
    assert [str(each) for each in texts if wrong.search(each.read_text())] == []


def test_it_shows_the_readme_and_its_licence(metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    shown = metadata.get_payload(decode=True)
    assert isinstance(shown, bytes)
    assert shown.decode().strip() == (_PROJECT / "README.md").read_text().strip()


def test_the_other_app_has_nothing_of_this_checkout(other_app: Path) -> None:
    program = """
import importlib.util, json, sys
import cdk_encrypted_data
names = ["stacks", "devtools", "tests", "cdk_nag", "boto3"]
found = [name for name in names if importlib.util.find_spec(name)]
import constructs
print(json.dumps([found, cdk_encrypted_data.__file__, constructs.__file__, sys.path]))
"""
    found, library, constructs, path = json.loads(_run_in(other_app, "-c", program))
    assert found == []
    assert Path(library).is_relative_to(other_app)
    assert Path(constructs).is_relative_to(other_app)
    assert not [each for each in path if Path(each).is_relative_to(_PROJECT)]


def test_the_smallest_example_of_the_readme_works_there(other_app: Path) -> None:
    app, out = other_app / "app.py", other_app / "cdk.out"
    app.write_text(_first_python_block((_PROJECT / "README.md").read_text()))
    assert "EncryptedBucket(" in app.read_text()
    assert _run_in(other_app, app, CDK_OUTDIR=str(out)) == ""
    template: dict[str, Any] = json.loads((out / "Storage.template.json").read_text())
    resources = list(template["Resources"].values())
    kinds = Counter(each["Type"] for each in resources)
    assert kinds == {"AWS::KMS::Key": 1, "AWS::KMS::Alias": 1, "AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1}
    by_kind = {each["Type"]: each["Properties"] for each in resources}
    (rule,) = by_kind["AWS::S3::Bucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    statements = by_kind["AWS::S3::BucketPolicy"]["PolicyDocument"]["Statement"]
    assert {each["Effect"] for each in statements} == {"Deny"}


def _locked(requirements: str) -> list[str]:
    """Return the versions of a lock file; with its hashes pip would want one of our wheel too."""
    return re.findall(r"^[a-z0-9].*?(?=\s*\\?$)", requirements, re.MULTILINE)


def _section(title: str) -> str:
    """Return a section of the README."""
    return (_PROJECT / "README.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def _first_python_block(markdown: str) -> str:
    block = re.search(r"^```python\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def _run_in(app: Path, *arguments: str | Path, **environment: str) -> str:
    """Run the app's Python and return what it writes."""
    return _run(app / ".venv" / "bin" / "python", *arguments, cwd=app, **environment)


def _run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run as another project's user would: without this checkout's paths and without what our tests switch off."""
    ours = ("PYTHONPATH", "CDK_VALIDATION")
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

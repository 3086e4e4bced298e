"""The command `encrypted-data`, as a shell runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_encrypted_data_client.__main__ import main
from tests.client.conftest import HOME, Pair

_PROJECT = Path(__file__).parents[2]


def _run(pair: Pair, *arguments: str, data: bytes = b"", code: int = 0) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "cdk_encrypted_data_client", *pair.command(), *arguments],
        cwd=_PROJECT,
        env=pair.environment(),
        input=data,
        capture_output=True,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    return done.stdout or done.stderr


def test_a_round_trip(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in pair.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, code: int = 0) -> str:
        assert main([*pair.command(), *arguments]) == code
        return "".join(capsys.readouterr())

    source, target = pair.files / "source", pair.files / "target"
    source.write_bytes(os.urandom(1000))
    said = run("put", str(source), "a/1")
    assert said.startswith(f"a/1: 1,000 bytes, {HOME}, version ")
    seal = said.split()[-1]
    run("get", "a/1", str(target), "--seal", seal)
    assert target.read_bytes() == source.read_bytes()
    assert run("verify", "a/1") == said
    pair.objects().put(name="a/2", data=b"another")
    assert "put anew or put back" in run("verify", "a/2", "--seal", seal, code=1)
    listed = run("ls", "a/").splitlines()
    assert [line.split()[2:] for line in listed] == [["1,000", HOME, "a/1"], ["7", HOME, "a/2"]]
    run("rm", "a/2")
    assert len(run("ls").splitlines()) == 1
    assert run("clean") == "0 removed\n"


def test_pipes(pair: Pair) -> None:
    _run(pair, "put", "-", "n", data=b"from a pipe")
    assert _run(pair, "get", "n", "-") == b"from a pipe"


def test_an_error_is_one_line_and_no_file(pair: Pair) -> None:
    said = _run(pair, "get", "absent", str(pair.files / "n"), code=1).decode()
    assert said.startswith("encrypted-data: absent: not in bucket ")
    assert said.count("\n") == 1
    assert not (pair.files / "n").exists()


@pytest.mark.parametrize("arguments", [[], ["ls"], ["--purpose", "x", "--location", "r", "b", "ls"]])
def test_what_makes_no_sense_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: encrypted-data" in capsys.readouterr().err


def test_settings_that_cant_be_right_are_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--purpose", "x", "--location", "eu-west-1", "bucket", "alias/x", "ls"]) == 1
    assert "allowed: the ARN of a multi-Region key" in capsys.readouterr().err


def test_the_locations_can_be_in_a_file(pair: Pair) -> None:
    arguments = pair.files / "orders.args"
    arguments.write_text("\n".join(pair.command()))
    done = subprocess.run(
        [sys.executable, "-m", "cdk_encrypted_data_client", f"@{arguments}", "ls"],
        cwd=_PROJECT,
        env=pair.environment(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""

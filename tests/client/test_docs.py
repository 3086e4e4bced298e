"""What docs/client.md shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cdk_encrypted_data_client.__main__ import main
from tests.client.conftest import Pair

_TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _TEXT, re.DOTALL | re.MULTILINE)


def test_the_example(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in pair.environment().items():
        monkeypatch.setenv(name, value)
    (example,) = _blocks("python")
    for location in (pair.home, pair.other):
        example = re.sub(rf"arn:aws:kms:{location.region}:[^\"]+", location.key_arn, example)
    example = example.replace("orders-frankfurt", pair.home.bucket).replace("orders-ireland", pair.other.bucket)
    names = {"pair": pair}
    exec(f"{example}\norders.close()", names)  # noqa: S102 - our own document
    assert capsys.readouterr().out == f"{pair.home.region}\n"


def test_the_commands_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [line.split()[2] for line in _blocks("sh")[0].splitlines()]
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert commands == ["put", "get", "ls", "verify"]
    assert all(re.search(rf"^ +{command} ", shown, re.MULTILINE) for command in commands)

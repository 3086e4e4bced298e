"""The commands of docs/failover.md are run by a shell, as they stand there, on keys of the embedded AWS."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.embedded_aws.server import EmbeddedAws
from devtools.readme import README
from tests.docs.test_readme import code

_TEXT = (README.parent / "docs" / "failover.md").read_text()
_FROM, _TO = "eu-central-1", "eu-west-1"

# As much of the AWS CLI as the page needs, by the models that the CLI itself is made from.
_CLI = """#!{python}
import json, os, sys
import boto3, jmespath

service, command, *rest = sys.argv[1:]
options = {{name.removeprefix("--"): value for name, value in zip(rest[::2], rest[1::2], strict=True)}}
query, output = options.pop("query", None), options.pop("output", "json")
client = boto3.client(service, region_name=options.pop("region"), endpoint_url=os.environ["AWS_ENDPOINT_URL"])
parameters = {{"".join(word.title() for word in name.split("-")): value for name, value in options.items()}}
answer = getattr(client, command.replace("-", "_"))(**parameters)
answer.pop("ResponseMetadata")
found = jmespath.search(query, answer) if query else answer
if found:
    print(found if output == "text" else json.dumps(found, default=str))
"""


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(region=_FROM) as aws:
        home, away = aws.client("kms"), aws.client("kms", region=_TO)
        key = home.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        home.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
        home.replicate_key(KeyId=key, ReplicaRegion=_TO)
        for kms in (home, away):
            kms.create_alias(AliasName="alias/Frankfurt/Orders", TargetKeyId=key)
        yield aws


def test_the_commands_move_the_primary_and_back(aws: EmbeddedAws, tmp_path: Path) -> None:
    program = tmp_path / "aws"
    program.write_text(_CLI.format(python=sys.executable))
    program.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", "\n".join(f"{block}\necho ---" for block in code("sh", _TEXT))],
        env=aws.environment() | {"PATH": f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    looked, promoted, back, by_hand, _ = done.stdout.split("---\n")
    assert "Nothing is known to stand against it. Nothing was changed" in looked
    # What the command prints is what the page says to write into the app, and how to come back.
    (example,) = code("python", _TEXT)
    (record,) = re.findall(r"promotion=Promotion\(.*?\n    \),\n", example, re.DOTALL)
    assert "".join(record.split()) in "".join(promoted.split())
    for line in (
        f"the primary.*is in {_TO}",
        r"rotation.*every 180 days, as before",
        f"{_FROM} to {_TO}.*opens in the",
    ):
        assert re.search(line, promoted.split("Afterwards")[1]), line
    (way_back,) = re.findall(r"^    (encrypted-data-operations .*)$", promoted, re.MULTILINE)
    assert f"{way_back} --yes" in _TEXT
    assert re.search(f"the primary.*is in {_FROM}", back.split("Afterwards")[1])
    rotation, *keys, after = by_hand.splitlines()
    assert [_primary(line) for line in keys] == [("Enabled", "REPLICA", _TO), ("Enabled", "PRIMARY", _TO)]
    assert rotation == after


def test_the_record_changes_no_template() -> None:
    (example,) = code("python", _TEXT)
    without = re.sub(r"    promotion=Promotion\(.*?\n    \),\n", "", example, flags=re.DOTALL)
    assert "promotion" not in without
    templates = []
    for program in (example, without):
        names: dict[str, Any] = {}
        exec(program.replace("app.synth()", "assembly = app.synth()"), names)  # noqa: S102 - our own page
        templates.append([stack.template for stack in names["assembly"].stacks])
    assert len(templates[0]) == 2
    assert templates[0] == templates[1]


def _primary(line: str) -> tuple[str, str, str]:
    """Read what a check says: the key's state and kind, and where it says that the primary is."""
    state, pair = json.loads(line)
    return state, pair["MultiRegionKeyType"], pair["PrimaryKey"]["Region"]

"""The commands of docs/failover.md are run by a shell, as they stand there, on keys of the embedded AWS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
    before, *steps = code("sh", _TEXT)
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", "\n".join(f"{block}\necho ---" for block in (before, *steps))],
        env=aws.environment() | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, checks, promotion, after, back, _ = done.stdout.split("---\n")
    assert promotion == ""
    assert [_primary(line) for line in checks.splitlines()[:2]] == [
        ("Enabled", "PRIMARY", _FROM),
        ("Enabled", "REPLICA", _FROM),
    ]
    assert [_primary(line) for line in after.splitlines()[:2]] == [
        ("Enabled", "REPLICA", _TO),
        ("Enabled", "PRIMARY", _TO),
    ]
    assert checks.splitlines()[2] == after.splitlines()[2]
    assert [_primary(line) for line in back.splitlines()] == [
        ("Enabled", "PRIMARY", _FROM),
        ("Enabled", "REPLICA", _FROM),
    ]


def _primary(line: str) -> tuple[str, str, str]:
    """Read what a check says: the key's state and kind, and where it says that the primary is."""
    state, pair = json.loads(line)
    return state, pair["MultiRegionKeyType"], pair["PrimaryKey"]["Region"]

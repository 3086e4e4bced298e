"""Kill -9 in the middle of puts and gets."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_encrypted_data_client import ObjectNotFoundError
from tests.client.conftest import HOME, Pair

_PROJECT = Path(__file__).parents[2]


# CLIENT_KILLS=200 for the whole of it: minutes.
@pytest.mark.parametrize("kills", [int(os.environ.get("CLIENT_KILLS", "60"))])
def test_nothing_is_left_of_what_is_killed(pair: Pair, kills: int) -> None:
    source = pair.files / "source"
    # Large enough to be put in parts.
    source.write_bytes(os.urandom(17 * 2**20))
    (pair.files / "tmp").mkdir()
    settings = {"folder": str(pair.files), "region": HOME, "bucket": pair.home.bucket, "key_arn": pair.home.key_arn}
    done = subprocess.run(
        [sys.executable, "-m", "tests.client.kills", json.dumps(settings), str(kills), "1"],
        cwd=_PROJECT,
        env=pair.environment() | {"TMPDIR": str(pair.files / "tmp")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    # It says something only if many were killed in the middle, and some left an upload.
    killed = sum(count for what, count in seen.items() if what.endswith(": killed"))
    assert killed > kills // 4, seen
    assert seen.pop("records that were left") > 0, seen
    assert killed + sum(count for what, count in seen.items() if what.endswith(": done")) == kills
    assert [what for what in seen if not what.endswith((": killed", ": done"))] == [], seen
    # After the next run, nothing.
    assert pair.uploads() == []
    assert list((pair.files / "state").iterdir()) == []
    assert list((pair.files / "tmp").iterdir()) == []
    objects = pair.objects()
    assert objects.get(name="there").data == source.read_bytes()
    with contextlib.suppress(ObjectNotFoundError):
        assert objects.get(name="n").data == source.read_bytes()

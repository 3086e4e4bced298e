"""Threads and processes at once. `python -m benchmarks.client --crowd` does it with 10,000 objects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.conftest import HOME, Pair

_PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("processes", "threads", "objects"),
    [(1, 32, 400), (8, 4, 400)],
    ids=["400 objects, 32 threads", "400 objects, 8 processes of 4 threads"],
)
def test_everything_is_read_back_right(pair: Pair, processes: int, threads: int, objects: int) -> None:
    settings = {"region": HOME, "bucket": pair.home.bucket, "key_arn": pair.home.key_arn}
    share = objects // processes
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.client.crowd",
                json.dumps(settings),
                str(n * share),
                str(share),
                str(threads),
            ],
            cwd=_PROJECT,
            env=pair.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(processes)
    ]
    right = [int(process.communicate()[0]) for process in started]
    assert right == [share] * processes
    assert len(list(pair.objects().list())) == objects

"""Runs that something happens to at a random moment, each run again afterwards."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cdk_encrypted_data_job.errors import NoRunError
from cdk_encrypted_data_job.progress import LOG
from devtools import spark
from tests.job.conftest import FEW_ROWS

if TYPE_CHECKING:
    from devtools.postgresql import Postgresql
    from tests.job.conftest import Case

_AS_LONG_AS_IT_RUNS = 600
KINDS = ("driver", "worker", "postgresql", "s3", "kms")


def lines(case: Case) -> int:
    """Return how many lines the job logs: two for each step, and one at the end."""
    # Beside tables: a rule, a check and an output. What is kept of a table with a bookmark is a step, too.
    tables = case.customer.tables
    return 2 * (len(tables) + 3 + sum("bookmark" in table for table in tables)) + 1


def disturb(case: Case, server: Postgresql, kind: str, chance: random.Random) -> Counter[str]:
    """Run the job, let something happen to it, run it again if need be, and return what was seen.

    Args:
        case: What is run, at a place of its own.
        server: Its database.
        kind: What happens: one of `KINDS`.
        chance: When, by what the job has logged: what runs take differs with all else that a machine does.

    Raises:
        AssertionError: something was half there.
    """
    seen: Counter[str] = Counter()
    before = len(case.objects("manifests/"))
    if kind == "driver":
        finished, step = _killed_driver(case, chance)
    else:
        with _happening(case, server, kind, chance) as moment:
            finished = _run(case)
        step = moment.step if moment.happened else "the end, so never"
    seen[f"{kind}: after {step}"] += 1
    seen[f"{kind}: {'finished all the same' if finished else 'failed'}"] += 1
    if len(case.objects("manifests/")) > before:
        seen[f"{kind}: manifest was there"] += 1
    elif before:
        assert case.finished().manifest().number == before
        seen[f"{kind}: the run before still counted"] += 1
    else:
        try:
            case.finished().read("results")
        except NoRunError:
            left = len(case.objects("runs/"))
            seen[f"{kind}: left {'ciphertext of no run' if left else 'nothing'}"] += 1
        else:
            raise AssertionError("rows were read without a manifest")
    case.run()
    assert len(case.objects("manifests/")) == before + 1
    return seen


def _run(case: Case) -> bool:
    try:
        case.run()
    except Exception:  # noqa: BLE001 - whatever the fault made of it
        return False
    return True


class _Moment(logging.Handler):
    """Comes when the job has logged so many lines."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._left = lines
        self.step = ""
        self.came = threading.Event()
        self.happened = False

    def emit(self, record: logging.LogRecord) -> None:
        self._left -= 1
        if self._left == 0:
            self.step = _step(record.getMessage())
            self.came.set()


@contextlib.contextmanager
def _happening(case: Case, server: Postgresql, kind: str, chance: random.Random) -> Iterator[_Moment]:
    ended = threading.Event()
    # Not after the last line: the run is over then.
    moment = _Moment(chance.randint(1, lines(case) - 1))
    # What is out for seconds, the job waits for; one time in two it stays out until the run gives up.
    later, lasts = chance.uniform(0, 0.3), chance.choice((chance.uniform(0.1, 3), _AS_LONG_AS_IT_RUNS))

    def happen() -> None:
        moment.came.wait()
        if ended.wait(later):
            return
        moment.happened = True
        if kind == "worker":
            _kill_workers(case.spark.session)
        elif kind == "postgresql":
            server.kill()
        else:
            with case.aws.shut_off(kind, case.aws.region):
                ended.wait(lasts)

    thread = threading.Thread(target=happen)
    thread.start()
    LOG.addHandler(moment)
    level = LOG.level
    LOG.setLevel(logging.INFO)
    try:
        yield moment
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(moment)
        ended.set()
        moment.came.set()
        thread.join()
        server.start_again()


def _kill_workers(session: Any) -> None:
    """Kill what runs Python for the tasks, as if an executor were lost."""
    handles = session._jvm.java.lang.ProcessHandle.current().descendants().iterator()  # noqa: SLF001
    while handles.hasNext():
        with contextlib.suppress(ProcessLookupError):
            os.kill(handles.next().pid(), signal.SIGKILL)


def _killed_driver(case: Case, chance: random.Random) -> tuple[bool, str]:
    """Run the job in a process of its own, kill all of it after some line of its log; say if it was done, and which."""
    files = case.spark.files / f"driver-{time.monotonic_ns()}"
    process = subprocess.Popen(
        spark.command(case.arguments(), spark.settings(files) | FEW_ROWS),
        env=case.customer.environment(case.aws) | spark.environment(),
        cwd=files,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    last = chance.randint(1, lines(case))
    try:
        of_job = (line for line in process.stdout if " cdk_encrypted_data_job " in line)
        *_, line = itertools.islice(of_job, last)
        time.sleep(chance.uniform(0, 1))
        return process.poll() == 0, _step(line.partition(" cdk_encrypted_data_job ")[2].strip())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _step(said: str) -> str:
    """Return which step of the job a line of its log is about, in words that are the same in every run."""
    if said.startswith("{"):
        done = json.loads(said)
        return f"{done['kind']} {done['name']}: done"
    return "all is done" if " is finished " in said else said


def many(
    count: int,
    seed: int,
    *,
    kinds: Sequence[str] = KINDS,
    new_case: Callable[[], Case],
    server: Postgresql,
    expected: Callable[[], list[dict[str, Any]]],
) -> Counter[str]:
    """Disturb so many runs, in turn by each kind, and compare all rows of each with the undisturbed run's."""
    chance = random.Random(seed)  # noqa: S311 - moments
    seen: Counter[str] = Counter()
    for number in range(count):
        case = new_case()
        found = disturb(case, server, kinds[number % len(kinds)], chance)
        assert case.rows() == expected()
        print(f"{number + 1} of {count}: {', '.join(found)}", flush=True)  # noqa: T201 - minutes go by
        seen += found
    return seen

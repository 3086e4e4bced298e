"""A worker, the database, S3, KMS or the driver fails at a random moment: run again, the rows are the same."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.job.conftest import ADD, ADDED, in_database
from tests.job.faults import KINDS, many

if TYPE_CHECKING:
    from devtools.postgresql import Postgresql
    from tests.job.conftest import Case

# JOB_FAULTS=50 for the whole of it: minutes. Of each kind there is one in three and three.
_FAULTS = int(os.environ.get("JOB_FAULTS", "3"))
_SEED = int(os.environ.get("JOB_FAULTS_SEED", "3"))


def test_disturbed_runs_come_to_the_same(case: Case, server: Postgresql) -> None:
    numbers = itertools.count(1)
    undisturbed = replace(case, prefix=f"{case.prefix}undisturbed/")
    undisturbed.run()

    new: Callable[[], Case] = lambda: replace(case, prefix=f"{case.prefix}{next(numbers)}/")  # noqa: E731
    checked(many(_FAULTS, _SEED, new_case=new, server=server, expected=undisturbed.rows))


def test_disturbed_runs_go_on_from_the_bookmark(bookmarked: Case, server: Postgresql) -> None:
    """Each after an undisturbed one, and after rows were added and changed."""
    numbers = itertools.count(1)

    def new() -> Case:
        number = next(numbers)
        case = replace(bookmarked, prefix=f"{bookmarked.prefix}{number}/")
        case.run("run-0")
        with server.connect("acme") as owner:
            owner.execute(ADD, [ADDED + number])
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id = 2")
        return case

    checked(
        many(_FAULTS, _SEED + 1, kinds=KINDS[::-1], new_case=new, server=server, expected=lambda: in_database(server))
    )


def checked(seen: Counter[str]) -> None:
    print(f"{_FAULTS} runs: {dict(sorted(seen.items()))}")  # noqa: T201
    assert sum(count for what, count in seen.items() if what.endswith(("failed", "same"))) == _FAULTS
    # One that comes after a last line may come too late; most don't.
    assert 2 * sum(count for what, count in seen.items() if what.endswith("never")) < _FAULTS

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracle.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as running:
        yield running

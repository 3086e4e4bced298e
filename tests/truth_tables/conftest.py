from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracle.evaluator import Evaluator
from tests.truth_tables.proofs_engine import ProofsEngine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", params=["proofs", "oracle"])
def evaluator(request: pytest.FixtureRequest) -> Iterator[Evaluator | ProofsEngine]:
    """Every table is decided twice: by the library's evaluator and by one that nobody here wrote."""
    if request.param == "proofs":
        yield ProofsEngine()
        return
    with Evaluator() as running:
        yield running

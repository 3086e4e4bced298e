"""The embedded AWS for its own contract tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from devtools.embedded_aws.server import EmbeddedAws
from tests.embedded_aws.account import Account

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    """One for all tests; EMBEDDED_AWS_WITHOUT=<patch> leaves a patch out, to see which tests notice."""
    without = os.environ.get("EMBEDDED_AWS_WITHOUT", "").split()
    with EmbeddedAws(without=without) as aws:
        yield aws


@pytest.fixture(scope="session")
def account(embedded_aws: EmbeddedAws) -> Account:
    return Account(embedded_aws)


@pytest.fixture(scope="session")
def elsewhere(embedded_aws: EmbeddedAws) -> Account:
    """The same account in another Region."""
    return Account(embedded_aws, "eu-west-1")

"""What the sub-commands show, to people and to other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdk_encrypted_data_operations.checks import Check, Outcome

_MARKS = {Outcome.HOLDS: "[green]holds", Outcome.REFUSED: "[red]REFUSED", Outcome.UNKNOWN: "[yellow]unknown"}


class Report:
    """What is shown: tables and sentences, or one JSON object at the end.

    Args:
        whole: What the object begins with.
        as_json: Whether it is to be the object: what is said goes to stderr then.
    """

    def __init__(self, whole: dict[str, Any], *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False, stderr=as_json)
        self._whole = whole

    def say(self, words: str) -> None:
        """Show a sentence as it is, so that what is code in it can be copied."""
        self._console.out(words, highlight=False)

    def close(self) -> None:
        """Write the JSON object, where it was asked for."""
        if self._as_json:
            sys.stdout.write(json.dumps(self._whole, indent=2) + "\n")


def table_of(title: str, checks: Sequence[Check]) -> Table:
    """Return checks as a table for people."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("looked at", "found", "", "what to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(escape(check.subject), escape(check.found), _MARKS[check.outcome], escape(check.remedy))
    return table


def as_data(checks: Sequence[Check]) -> list[dict[str, str]]:
    """Return checks for other programs."""
    return [asdict(check) | {"outcome": check.outcome.value} for check in checks]

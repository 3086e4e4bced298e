"""Checks as the sub-commands show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from cdk_encrypted_data_operations.checks import Check, Outcome

_MARKS = {Outcome.HOLDS: "[green]holds", Outcome.REFUSED: "[red]REFUSED", Outcome.UNKNOWN: "[yellow]unknown"}


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

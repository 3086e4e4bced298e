"""Counts on paper: a table for people, JSON for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cdk_encrypted_data.quotas.counting import Count, Environment, Usage
from cdk_encrypted_data.quotas.limits import Scope

_HEADING: Final = ("limit", "used", "of", "part", "left", "where it is fullest")


def as_text(count: Count) -> str:
    """Return a table for each account and Region: of each limit where it is fullest, the fullest first."""
    lines: list[str] = []
    for environment in _environments(count):
        rows = [_row(usage) for usage in _fullest(count, environment)]
        title = str(environment) if environment.region else f"account {environment.account or 'unnamed'}, all Regions"
        if not rows:
            continue
        lines += [title, *_aligned([_HEADING, *rows]), ""]
        lines += [
            f"  {pace.requests:,} x {pace.rate.operation} at {pace.rate.a_second} a second: "
            f"{pace.seconds:,.0f} s at least, deployed from nothing"
            for pace in count.paces
            if pace.environment == environment
        ]
        if lines[-1]:
            lines.append("")
    return "\n".join([*lines, summary(count)])


def summary(count: Count) -> str:
    """Return how it ended, in one line."""
    fullest = next(iter(count.usages), None)
    words = "" if fullest is None else f"; fullest: {in_words(fullest)}"
    return f"{count.stacks:,} stacks; {len(count.over)} over, {len(count.near)} near{words}"


def in_words(usage: Usage) -> str:
    """Return a usage as a sentence without its end: how much of what, where."""
    return f"{usage.used:,} of {usage.number:,} {usage.limit.name} ({usage.part:.0%}) in {usage.where}"


def remedy(usage: Usage) -> str:
    """Return what to do before AWS refuses it."""
    limit = usage.limit
    if limit.scope is Scope.RESOURCE:
        act = "shorten it, or part what it serves"
    elif limit.scope is Scope.TEMPLATE:
        act = "put less into this stack: lower the capacity of new cells, and pin newcomers to other stacks"
    else:
        act = "put new customers into a cell of another account" + (" or Region" if limit.scope is Scope.REGION else "")
    if limit.adjustable:
        most = "" if limit.most is None else f" (at most {limit.most:,})"
        act += f"; or have AWS raise the quota{most}, and say so by limits={{{limit.id!r}: …}}"
    return f"{act}. {limit.source}"


def _environments(count: Count) -> list[Environment]:
    named = {usage.environment for usage in count.usages}
    return sorted(named, key=lambda each: (each.account or "", each.region is None, each.region or ""))


def _fullest(count: Count, environment: Environment) -> Iterator[Usage]:
    seen: set[str] = set()
    for usage in count.usages:
        if usage.environment == environment and usage.used and usage.limit.id not in seen:
            seen.add(usage.limit.id)
            yield usage


def _row(usage: Usage) -> tuple[str, ...]:
    state = " OVER" if usage.is_over else " near" if usage.is_near else ""
    where = usage.where if usage.limit.scope in (Scope.TEMPLATE, Scope.RESOURCE) else ""
    left = usage.number - usage.used
    return (usage.limit.name, f"{usage.used:,}", f"{usage.number:,}", f"{usage.part:.0%}{state}", f"{left:,}", where)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADING))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, len(_HEADING) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


def as_json(count: Count, *, version: str) -> str:
    """Return everything, as JSON that only ever gains keys."""
    document = {
        "version": version,
        "stacks": count.stacks,
        "usages": [_as_data(usage) for usage in count.usages],
        "rates": [
            {
                "operation": pace.rate.operation,
                "account": pace.environment.account,
                "region": pace.environment.region,
                "requests": pace.requests,
                "aSecond": pace.rate.a_second,
                "seconds": pace.seconds,
            }
            for pace in count.paces
        ],
    }
    return json.dumps(document, indent=2)


def _as_data(usage: Usage) -> dict[str, Any]:
    return {
        "limit": usage.limit.id,
        "name": usage.limit.name,
        "where": usage.where,
        "account": usage.environment.account,
        "region": usage.environment.region,
        "used": usage.used,
        "number": usage.number,
        "state": "over" if usage.is_over else "near" if usage.is_near else "within",
        "source": usage.limit.source,
    }

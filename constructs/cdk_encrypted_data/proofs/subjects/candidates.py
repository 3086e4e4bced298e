"""Which callers may have something to do with which things, without asking about every pair.

A caller can do something with a thing only if a statement allows it that is the caller's and concerns the thing, or the
thing's and names the caller. So pairs are found from the statements' own texts, and their number grows with those and
not with callers times things. There may be pairs too many, never one too few.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.iam.patterns import ARN_PARTS
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Key

Thing: TypeAlias = "Bucket | Key"

_OPEN: Final = re.compile(r"[*?]|\$\{")
_LAST: Final = "\U0010ffff"


class Arns:
    """Finds those of some ARNs that a pattern may match, by what stands before the pattern's first wildcard."""

    def __init__(self, arns: Iterable[str]) -> None:
        self._ordered = sorted(set(arns))

    def like(self, pattern: str) -> Sequence[str]:
        """Return the ARNs that a pattern for them, or for something below them, may match."""
        start = _OPEN.split(pattern, maxsplit=1)[0]
        whole = start == pattern and pattern.count(":") >= ARN_PARTS - 1
        # What an ARN leaves out at its end is anything; a bucket's objects have the bucket's ARN before the slash.
        exact = [one for one in dict.fromkeys((start, start.partition("/")[0])) if self._has(one)]
        return exact if whole else [*exact, *(one for one in self._after(start) if one not in exact)]

    def concerned(self, statement: Statement) -> Sequence[str]:
        """Return the ARNs that a statement may concern."""
        written = statement.written.get("Resource")
        if written is None:
            return self._ordered
        patterns = [written] if isinstance(written, str) else written
        return list(dict.fromkeys(arn for pattern in patterns for arn in self.like(str(pattern))))

    def _has(self, arn: str) -> bool:
        return arn in self._after(arn)[:1]

    def _after(self, start: str) -> Sequence[str]:
        low = bisect.bisect_left(self._ordered, start)
        return self._ordered[low : bisect.bisect_left(self._ordered, start + _LAST)]


def candidates(callers: Sequence[Caller], things: Sequence[Thing], actions: Sequence[str]) -> dict[str, list[Caller]]:
    """Return for each thing, by its ARN, the callers that some statement may allow one of the actions on it."""
    found: dict[str, set[int]] = {thing.arn: set() for thing in things}
    arns = Arns(found)
    places = {caller.principal.arn: place for place, caller in enumerate(callers)}
    for place, caller in enumerate(callers):
        for statement in (one for policy in caller.identity for one in policy.allows if _acts(one, actions)):
            for arn in arns.concerned(statement):
                found[arn].add(place)
    for thing in things:
        for statement in () if thing.policy is None else thing.policy.allows:
            if _acts(statement, actions):
                found[thing.arn].update(_named(statement, places))
    return {arn: [callers[place] for place in sorted(some)] for arn, some in found.items()}


def _acts(statement: Statement, actions: Iterable[str]) -> bool:
    return any(statement.acts(action.lower()) for action in actions)


def _named(statement: Statement, places: dict[str | None, int]) -> Iterator[int]:
    """Yield whom a statement names by themselves. Whom it names by their account, their own policies decide about."""
    named = statement.principals
    if named is None or named.everyone or named.canonical or named.excepted:
        yield from places.values()
        return
    for name in named.names:
        place = places.get(name.removeprefix("AWS "))
        if place is not None:
            yield place

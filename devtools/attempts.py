"""What is promised, as attempts that anybody can make: the demo and the deploy tests try them.

An attempt says what is tried, with which request, what should happen and, once tried, what happened, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One thing to try."""

    what: str
    request: str
    expected: str
    run: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of an attempt."""

    attempt: Attempt
    happened: str

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return self.happened == self.attempt.expected


def try_each(attempts: Iterable[Attempt]) -> Iterator[Result]:
    """Try one after the other."""
    for attempt in attempts:
        try:
            happened = attempt.run()
        except ClientError as error:
            happened = _refusal(error)
        except Exception as error:  # noqa: BLE001 - whatever an account answers, it is a row and no crash
            happened = f"failed: {error!r}"
        yield Result(attempt=attempt, happened=happened)


def _refusal(error: ClientError) -> str:
    code = error.response["Error"]["Code"]
    refusals = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
    return REFUSED if code in refusals else f"failed: {error}"

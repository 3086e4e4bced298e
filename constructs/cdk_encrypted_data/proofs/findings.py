"""What a proof ends with: findings, each a counterexample in words, and what stayed undecided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Resource
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.spaces import Answer, Case

# An ARN in a sentence: what ends the sentence, or a list in it, isn't of the ARN.
_ARN: Final = re.compile(r"arn:[a-z-]+:[^\s,;()<>\"']*[^\s,;()<>\"'.:]")


class Severity(IntEnum):
    """How bad it is."""

    @property
    def word(self) -> str:
        """The word for it."""
        return self.name.lower()

    NOTE = 1
    """Sound, and could be tighter."""
    WARNING = 2
    """A defence that the template seems to want, and that doesn't hold against everybody."""
    ERROR = 3
    """Data are stored or read as they must not be, or the deployed thing can't do its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is proven. ``id`` is what acknowledgements name; it never changes its meaning.

    ``claim`` says what holds where nothing is found, ``because`` why it matters, ``remedy`` what to do, ``sources`` the
    AWS pages it rests on.
    """

    id: str
    severity: Severity
    claim: str
    because: str
    remedy: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that doesn't hold, at a resource: ``counterexample`` is one sentence or more, with the request's values.

    ``place``: the property that it is about, as ``Properties/KeyPolicy``.
    """

    rule: Rule
    resource: Resource
    counterexample: str
    place: str = "Properties"


@dataclass(frozen=True, slots=True)
class Undecidable:
    """A rule about which nothing can be said at a resource, and why."""

    rule: Rule
    resource: Resource
    reason: str


Outcome = Finding | Undecidable


def outcome(rule: Rule, resource: Resource, answer: Answer, words: str, place: str = "Properties") -> Iterator[Outcome]:
    """Yield what a search for a counterexample ended with; ``words`` is what the case means, without the request."""
    if answer.case is not None:
        yield Finding(rule, resource, f"{in_words(answer.case)}: {words}", place)
    elif answer.doubt is not None:
        yield Undecidable(rule, resource, answer.doubt)


def in_words(case: Case) -> str:
    """Say who asks for what with which context, and what decides it."""
    request = case.request
    said = [f"{key} = {_value(value)}" for key, value in request.said.items() if value is not None]
    absent = [key for key, value in request.said.items() if value is None]
    with_ = f" with {', '.join(said)}" if said else ""
    without = f"{' and' if said else ''} without {', '.join(absent)}" if absent else ""
    verb = "may" if case.allowed else "may not"
    because = "" if case.decision is None else f" ({case.decision.because})"
    return f"{case.caller.title} {verb} {request.action} on {request.resource}{with_}{without}{because}"


def _value(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else " and ".join(value)


def readable(text: str, inventory: Inventory) -> str:
    """Put the names of resources where a text has their ARNs, which may be stand-ins."""

    def named(found: re.Match[str]) -> str:
        resource = inventory.assembly.resource(found[0])
        if resource is None or resource.arn is None or not found[0].startswith(resource.arn):
            return found[0]
        return f"<{resource.title}>{found[0].removeprefix(resource.arn)}"

    return _ARN.sub(named, text)

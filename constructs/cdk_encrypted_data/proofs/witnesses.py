"""Values of a condition key that stand for all others: one for each answer that policies can give.

Conditions can tell values apart only by what they compare with. So the values of a key fall into finitely many classes,
in each of which every condition gives the same answer, and one witness of each class decides for all of it. For texts
the classes are found by running the patterns side by side as one automaton: each set of patterns that some text matches
is met. Numbers, dates and addresses lie on a line that the policies' values cut into pieces.
"""

from __future__ import annotations

import collections
import functools
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.attachments import UNDECIDED
from cdk_encrypted_data.proofs.iam.conditions import Condition
from cdk_encrypted_data.proofs.iam.patterns import Context, Unmodelled, Value
from cdk_encrypted_data.proofs.iam.values import seconds

FRESH: Final = "somethingelse"
FRESH_ARN: Final = "arn:aws:somethingelse:somewhere:999999999999:somethingelse"
"""Texts that no policy is expected to hold. They only read better than the automaton's: no claim rests on them."""

_VARIABLE: Final = re.compile(r"\$\{(?:([*?$])|([^},]+)[^}]*)\}")
_QUANTIFIED: Final = re.compile(r"(ForAllValues:|ForAnyValue:)?([A-Za-z]+?)(IfExists)?")
# More patterns together than any policy within AWS's limits has on one key.
_MAX_STATES: Final = 50_000
_ANY_ARN: Final = "arn:*:*:*:*:*"
_ONE_SECOND: Final = Decimal(1)


class TooManyError(Exception):
    """There are more classes than can be gone through."""


def base_operator(condition: Condition) -> str:
    """Return a condition's operator without its set quantifier and IfExists."""
    found = _QUANTIFIED.fullmatch(condition.operator)
    return condition.operator if found is None else found[2]


def is_set(condition: Condition) -> bool:
    """Whether the condition is about several values."""
    return condition.operator.startswith("For")


def variables(condition: Condition) -> Iterator[str]:
    """Name the context keys, in lower case, that a condition's values are filled in from."""
    for value in condition.values:
        for _, key in _VARIABLE.findall(value):
            if key:
                yield key.strip().lower()


def looked_at(conditions: Iterable[Condition]) -> dict[str, str]:
    """Name the context keys that conditions look at: in lower case, and as they are written first."""
    found: dict[str, str] = {}
    for condition in conditions:
        if condition.operator != UNDECIDED:
            for key in (condition.key, *variables(condition)):
                found.setdefault(key.lower(), key)
    return found


def classes(key: str, conditions: Sequence[Condition], candidates: Iterable[Value], context: Context) -> list[Value]:
    """Keep the first candidate of each class: those that the conditions answer differently."""
    kept: dict[tuple[object, ...], Value] = {}
    for candidate in candidates:
        vector = tuple(_answer(condition, {**context, key: candidate}) for condition in conditions)
        kept.setdefault(vector, candidate)
    return list(kept.values())


def _answer(condition: Condition, context: Context) -> object:
    try:
        return condition.holds(context)
    except Unmodelled:
        return None


def candidates(conditions: Sequence[Condition], fill: Callable[[str], str]) -> list[str]:
    """Return texts among which each class of single values that the conditions tell apart has one.

    Args:
        conditions: All conditions on the key.
        fill: The value that a policy variable has, by the lower-case name of its key.
    """
    texts: list[str] = []
    patterns: dict[str, None] = {}
    numbers: list[Decimal] = []
    dates: list[Decimal] = []
    networks: list[str] = []
    arn = False
    for condition in conditions:
        operator = base_operator(condition)
        for written in condition.values:
            value = _filled(written, fill)
            if operator in ("Bool", "Null"):
                texts += ["true", "false"] if operator == "Bool" else []
            elif operator.startswith("Numeric"):
                numbers.append(Decimal(value))
            elif operator.startswith("Date"):
                dates.append(seconds(value))
            elif "IpAddress" in operator:
                networks.append(value)
            elif operator.startswith("Arn"):
                arn = True
                patterns[_filled(written, fill, pattern=True)] = None
            elif "Like" in operator:
                patterns[_filled(written, fill, pattern=True)] = None
            else:
                texts += [value, value.swapcase()] if "IgnoreCase" in operator else [value]
                patterns[_escaped(value)] = None
    found = [FRESH_ARN if arn else FRESH] if patterns or not (texts or numbers or dates or networks) else []
    found += [*texts, *_on_a_line(numbers), *_on_a_line(dates), *_addresses(networks)]
    if patterns:
        found += texts_of_classes(tuple(patterns), arn=arn)
    return list(dict.fromkeys(found))


def _filled(written: str, fill: Callable[[str], str], *, pattern: bool = False) -> str:
    """Fill in the policy variables; in a pattern, ``${*}`` is a star and no wildcard."""
    mark = "\\" if pattern else ""
    if pattern:
        written = written.replace("\\", "\\\\")
    return _VARIABLE.sub(lambda found: mark + found[1] if found[1] else fill(found[2].strip().lower()), written)


@functools.lru_cache(maxsize=4096)
def texts_of_classes(patterns: tuple[str, ...], *, arn: bool = False) -> tuple[str, ...]:
    r"""Return a text for each set of patterns that some text matches: no other set is possible.

    ``*`` is any characters, ``?`` any one, and a character after a ``\`` itself. ``arn``: only texts in the form of
    ARNs, whose first five parts hold no colon that a pattern doesn't name.
    """
    if not any(re.search(r"(?<!\\)[*?]", pattern) for pattern in patterns):
        return tuple(re.sub(r"\\(.)", r"\1", pattern) for pattern in patterns)
    compiled = [_compiled(pattern, arn=arn) for pattern in (*patterns, *((_ANY_ARN,) if arn else ()))]
    alphabet = sorted({character for pattern in compiled for kind, character in pattern if kind == "is"})
    # Whatever no pattern names is all one; what it is should read well.
    alphabet += [next(character for character in "xyzwvutsrqponm0123456789|~" if character not in alphabet)]
    start = tuple(_closure(pattern, {0}) for pattern in compiled)
    found: dict[tuple[bool, ...], str] = {}
    seen = {start}
    queue = collections.deque([(start, "")])
    while queue:
        states, text = queue.popleft()
        accepted = tuple(len(pattern) in state for pattern, state in zip(compiled, states, strict=True))
        if text and (not arn or accepted[-1]):
            found.setdefault(accepted, text)
        for character in alphabet:
            following = tuple(_step(pattern, state, character) for pattern, state in zip(compiled, states, strict=True))
            if following not in seen:
                if len(seen) >= _MAX_STATES:
                    raise TooManyError(f"the patterns {', '.join(patterns)} part texts into too many classes")
                seen.add(following)
                queue.append((following, text + character))
    return tuple(found.values())


_State: TypeAlias = frozenset[int]
_Compiled: TypeAlias = tuple[tuple[str, str], ...]


def _compiled(pattern: str, *, arn: bool) -> _Compiled:
    """Part a pattern into ("is", character), ("any", but) and ("many", but), where ``but`` is a colon or nothing."""
    pieces: list[tuple[str, str]] = []
    colons = 0
    characters = iter(pattern)
    for character in characters:
        but = ":" if arn and colons < 5 else ""  # noqa: PLR2004 - an ARN's parts
        if character == "\\":
            pieces.append(("is", next(characters, "\\")))
        elif character == "*":
            pieces.append(("many", but))
        elif character == "?":
            pieces.append(("any", but))
        else:
            pieces.append(("is", character))
        colons += character == ":"
    return tuple(pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*?])", r"\\\1", text)


def _closure(pattern: _Compiled, positions: Iterable[int]) -> _State:
    reached = set()
    for position in positions:
        reached.add(position)
        while position < len(pattern) and pattern[position][0] == "many":
            position += 1  # noqa: PLW2901 - a walk over what may be left out
            reached.add(position)
    return frozenset(reached)


def _step(pattern: _Compiled, state: _State, character: str) -> _State:
    following = set()
    for position in state:
        if position == len(pattern):
            continue
        kind, what = pattern[position]
        if (kind == "is" and what == character) or (kind == "any" and what != character):
            following.add(position + 1)
        elif kind == "many" and what != character:
            following.add(position)
    return _closure(pattern, following)


def _on_a_line(cuts: Sequence[Decimal]) -> list[str]:
    """Return each cut, and a point between every two of them and beyond the outer ones."""
    ordered = sorted(set(cuts))
    between = [(low + high) / 2 for low, high in itertools.pairwise(ordered)]
    beyond = [ordered[0] - _ONE_SECOND, ordered[-1] + _ONE_SECOND] if ordered else []
    return [format(point, "f") for point in (*ordered, *between, *beyond)]


def _addresses(networks: Sequence[str]) -> list[str]:
    """Return the ends of each range and the addresses just outside."""
    found: list[str] = []
    for text in networks:
        network = ipaddress.ip_network(text, strict=False)
        kind = type(network.network_address)
        first, last = int(network.network_address), int(network.broadcast_address)
        top = 2**network.max_prefixlen - 1
        found += [str(kind(number)) for number in (first, last, first - 1, last + 1) if 0 <= number <= top]
    return found

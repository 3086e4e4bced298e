"""Texts of a policy, compiled once: literal, with wildcards, with policy variables, or an ARN of six parts.

Sources, below https://docs.aws.amazon.com/IAM/latest/UserGuide/: reference_policies_variables.html,
reference_policies_elements_resource.html, reference_policies_elements_condition_operators.html#Conditions_ARN.
"""

from __future__ import annotations

import functools
import itertools
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

Value: TypeAlias = "str | tuple[str, ...] | None"
"""A context key's value: one, several, or None where nobody knows whether the request has it."""


class AtLeast(tuple[str, ...]):
    """Values that a key has for certain; it may have others too."""

    __slots__ = ()


Context: TypeAlias = Mapping[str, Value]
"""The request's context keys, in lower case."""

Match: TypeAlias = Callable[[str, Context], "bool | None"]
"""Whether a text matches; None where a policy variable of the pattern has no value in the request."""

ARN_PARTS: Final = 6

# The same ARNs, operators and values come back in policy after policy.
_CACHED: Final = 4096

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"([A-Za-z0-9_.\-/]+:[^,']*[^\s,'])(?:,\s*'([^']*)')?")
_WILDCARDS = re.compile(r"([*?])")
_STARS: Final = (".*", "[^:]*")
_NUMBERS = itertools.count()
_LITERAL_VARIABLES = {"*": "*", "?": "?", "$": "$"}
# A colon that parts an ARN, rather than one inside ${aws:username}.
_ARN_COLON = re.compile(r":(?![^{}]*\})")


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 300


class PolicyError(Exception):
    """AWS would refuse the document, or nobody documents what it means."""


class Unmodelled(Exception):  # noqa: N818 - the outcome of a decision, beside "allowed" and "denied"
    """Nothing that was said, and nothing that AWS documents, decides the request."""


class _Wildcard(NamedTuple):
    regex: str


class _Variable(NamedTuple):
    key: str
    default: str | None


_Piece: TypeAlias = "str | _Wildcard | _Variable"


@functools.lru_cache(maxsize=_CACHED)
def literal(text: str, *, variables: bool, ignore_case: bool = False) -> Match:
    """Match a whole text. ``*`` and ``?`` stand for themselves."""
    return _matcher(_pieces(text, wildcards=None, variables=variables), ignore_case=ignore_case)


@functools.lru_cache(maxsize=_CACHED)
def like(text: str, *, variables: bool) -> Match:
    """Match a whole text in which ``*`` is any characters and ``?`` any one character."""
    return _matcher(_pieces(text, wildcards=("*", "."), variables=variables))


@functools.lru_cache(maxsize=_CACHED)
def arn_like(text: str, *, variables: bool) -> Match:
    """Match an ARN part by part: a wildcard doesn't reach over the colons between the six parts.

    ``arn:aws:s3:*:111122223333:finance/*`` doesn't match an ARN that holds another account and ends in
    ``:111122223333:finance/document.txt``: that is what the ARN operators are for.
    """
    parts = _ARN_COLON.split(text, maxsplit=ARN_PARTS - 1)
    if len(parts) != ARN_PARTS:
        return _not_an_arn(text)
    matches = _matcher(_arn_pieces(parts, variables=variables))

    def match(value: str, context: Context) -> bool | None:
        if not is_arn(value):
            raise Unmodelled(f"AWS doesn't say how an ARN operator compares {value!r}, which is no ARN, with {text!r}")
        return matches(value, context)

    return match


@functools.lru_cache(maxsize=_CACHED)
def resource(text: str, *, variables: bool) -> Match:
    """Match the ARN of a resource.

    A wildcard at the end of a part reaches over the colons that follow; one inside a part doesn't. Parts left out at
    the end are anything. Variables may stand in the last part only.
    """
    if text == "*":
        return lambda _value, _context: True
    parts = _ARN_COLON.split(text, maxsplit=ARN_PARTS - 1)
    if parts[0] != "arn":
        raise PolicyError(f"{text!r} is neither an ARN nor '*'")
    if variables and any("${" in part for part in parts[: ARN_PARTS - 1]):
        raise PolicyError(f"{text!r} has a policy variable before the resource's own part of the ARN")
    if len(parts) > 2 and re.search(r"[*?]", parts[2]) and parts[2:] != ["*"]:  # noqa: PLR2004 - arn:partition:service
        raise PolicyError(f"{text!r} has a wildcard in its service")
    pieces = _arn_pieces(parts, variables=variables, reaching=True)
    if len(parts) < ARN_PARTS:
        pieces += (_Wildcard(r"(?::.*)?"),)
    return _matcher(pieces)


def matches_one(matches: Iterable[Match], value: str, context: Context) -> bool | None:
    """Whether a value matches one of several patterns, in whatever order; None as of a single one.

    A doubt about one of them counts only where no other matches for certain.
    """
    answer: bool | None = False
    doubt: Unmodelled | None = None
    for match in matches:
        try:
            found = match(value, context)
        except Unmodelled as error:
            doubt = doubt or error
            continue
        if found:
            return True
        if found is None:
            answer = None
    if doubt is not None:
        raise doubt
    return answer


def listed(value: object) -> list[object]:
    """Return the values of an element, which may be one or a list."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]


def shown(value: object) -> str:
    """Return a part of a document for a message: its beginning, however long or deep it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        return "a number of thousands of digits"


def is_arn(text: str) -> bool:
    """Whether a text has the form of an ARN."""
    return text.startswith("arn:") and text.count(":") >= ARN_PARTS - 1


def variable_free(text: str) -> str:
    """Return a text of a place where AWS has no policy variables; raise where it seems to hold one."""
    if "${" in text:
        raise PolicyError(f"{text!r} has a policy variable where AWS has none")
    return text


@functools.lru_cache(maxsize=_CACHED)
def wildcard_regex(text: str) -> str:
    """Return the regular expression of a text with wildcards."""
    return _regex(_pieces(text, wildcards=("*", "."), variables=False))


def _not_an_arn(text: str) -> Match:
    def match(value: str, _context: Context) -> bool | None:
        raise Unmodelled(f"AWS doesn't say how an ARN operator compares {value!r} with {text!r}, which is no ARN")

    return match


def _arn_pieces(parts: list[str], *, variables: bool, reaching: bool = False) -> tuple[_Piece, ...]:
    pieces: list[_Piece] = []
    for position, part in enumerate(parts):
        last = position == ARN_PARTS - 1
        part_pieces = list(_pieces(part, wildcards=("*", "." if last else "[^:]"), variables=variables))
        if reaching and part_pieces and part.endswith("*") and isinstance(part_pieces[-1], _Wildcard):
            part_pieces[-1] = _Wildcard(".*")
        pieces += ([":"] if position else []) + part_pieces
    return tuple(pieces)


def _pieces(text: str, *, wildcards: tuple[str, str] | None, variables: bool) -> tuple[_Piece, ...]:
    """Part a text into literals, wildcards and variables; ``wildcards`` is a marker and what one character may be."""
    pieces: list[_Piece] = []
    position = 0
    for found in _VARIABLE.finditer(text) if variables else ():
        pieces += _plain_pieces(text[position : found.start()], wildcards)
        pieces.append(_LITERAL_VARIABLES.get(found[1]) or _variable(found[1]))
        position = found.end()
    rest = text[position:]
    if variables and "${" in rest:
        raise PolicyError(f"{text!r} has a policy variable without its closing brace")
    return (*pieces, *_plain_pieces(rest, wildcards))


def _plain_pieces(text: str, wildcards: tuple[str, str] | None) -> list[_Piece]:
    if wildcards is None:
        return [text] if text else []
    _, one = wildcards
    named = {"*": _Wildcard(f"{one}*"), "?": _Wildcard(one)}
    return [named.get(piece, piece) for piece in _WILDCARDS.split(text) if piece]


def _variable(text: str) -> _Variable:
    found = _VARIABLE_NAME.fullmatch(text)
    if found is None:
        raise PolicyError(f"${{{text}}} is no policy variable")
    return _Variable(found[1].lower(), found[2])


def _matcher(pieces: tuple[_Piece, ...], *, ignore_case: bool = False) -> Match:
    if any(isinstance(piece, _Variable) for piece in pieces):
        return _variable_matcher(pieces, ignore_case=ignore_case)
    if not any(isinstance(piece, _Wildcard) for piece in pieces):
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        if ignore_case:
            lowered = text.lower()
            return lambda value, _context: value.lower() == lowered
        return lambda value, _context: value == text
    fullmatch = re.compile(_regex(pieces), re.DOTALL).fullmatch
    return lambda value, _context: fullmatch(value) is not None


def _variable_matcher(pieces: tuple[_Piece, ...], *, ignore_case: bool) -> Match:
    def match(value: str, context: Context) -> bool | None:
        filled = tuple(_fill(piece, context) if isinstance(piece, _Variable) else piece for piece in pieces)
        if None in filled:
            return None
        regex = _compiled(tuple(piece for piece in filled if piece is not None), ignore_case)
        return regex.fullmatch(value) is not None

    return match


def _fill(variable: _Variable, context: Context) -> str | None:
    if variable.key not in context:
        return variable.default
    value = context[variable.key]
    if not isinstance(value, str):
        problem = "isn't known" if value is None else "has several values"
        raise Unmodelled(f"the policy variable ${{{variable.key}}} can't be filled in: the key {problem}")
    if "*" in value or "?" in value:
        raise Unmodelled(f"AWS doesn't say whether ${{{variable.key}}} = {value!r} acts as a pattern")
    return value


@functools.lru_cache(maxsize=_CACHED)
def _compiled(pieces: tuple[str | _Wildcard, ...], ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 - cached
    return re.compile(_regex(pieces), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _regex(pieces: tuple[_Piece, ...]) -> str:
    """Return the expression of the pieces; many ``*`` in it don't multiply the time a text takes."""
    kept = [piece for number, piece in enumerate(pieces) if number == 0 or not _repeats(pieces[number - 1], piece)]
    texts = [piece.regex if isinstance(piece, _Wildcard) else re.escape(str(piece)) for piece in kept]
    stars = [number for number, text in enumerate(texts) if text in _STARS and isinstance(kept[number], _Wildcard)]
    parts = texts[: stars[0]] if stars else texts
    for star, following in itertools.pairwise(stars):
        chunk = "".join(texts[star + 1 : following])
        if texts[star] == ".*" and any(texts[later] != ".*" for later in stars if later > star):
            # What comes after it must not cross a colon, so where this one ends isn't all the same.
            parts += [texts[star], chunk]
            continue
        # Its first place will do, since the next star takes whatever a later place would have taken: a group that isn't
        # entered again, in the words of a Python that has no atomic groups yet.
        name = f"_{next(_NUMBERS)}"
        parts += [f"(?=(?P<{name}>{texts[star]}?{chunk}))(?P={name})"]
    return "".join(parts + (texts[stars[-1] :] if stars else []))


def _repeats(before: _Piece, piece: _Piece) -> bool:
    return isinstance(piece, _Wildcard) and piece == before and piece.regex in _STARS

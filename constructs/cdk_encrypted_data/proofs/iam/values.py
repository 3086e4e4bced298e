"""What the condition operators compare: texts, numbers, dates, booleans, bytes, IP addresses and ARNs.

Sources, below https://docs.aws.amazon.com/IAM/latest/UserGuide/:
[ops] reference_policies_elements_condition_operators.html
[vars] reference_policies_variables.html
[checks] access-analyzer-reference-policy-checks.html
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from cdk_encrypted_data.proofs.iam.patterns import (
    Match,
    PolicyError,
    Unmodelled,
    arn_like,
    like,
    literal,
    variable_free,
)

if TYPE_CHECKING:
    from typing import Any

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_DATE = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?(?:Z|([+-])(\d\d):(\d\d)))?)?",
    re.ASCII,
)
_ADDRESS = re.compile(r"[0-9a-f.:]+", re.IGNORECASE)
_RANGE = re.compile(r"[0-9a-f.:]+/[0-9]+|[0-9.]+", re.IGNORECASE)
_YEAR_OR_SECONDS: Final = 4


class Matcher(Protocol):
    """Compiles one value of a policy."""

    def __call__(self, text: str, /, *, variables: bool) -> Match: ...  # noqa: D102


def _parse(parse: Callable[[str], Any], value: str) -> Any:  # noqa: ANN401 - whatever the parser makes
    """Parse a value of the request. AWS doesn't document what an operator does with a value not of its kind."""
    try:
        return parse(value)
    except PolicyError as error:
        raise Unmodelled(f"in the request, {error}") from None


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise PolicyError(f"{text!r} is no number")
    return Decimal(text)


def boolean(text: str) -> bool:
    """Parse a truth value; AWS compares it without regard to case."""
    if text.lower() not in ("true", "false"):
        raise PolicyError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise PolicyError(f"{text!r} isn't base 64") from None


def seconds(text: str) -> Decimal:
    """Read one of the W3C's forms of ISO 8601, or seconds since 1970 [ops]; four digits could be either."""
    if _NUMBER.fullmatch(text) and len(text) != _YEAR_OR_SECONDS:
        return Decimal(text)
    found = _DATE.fullmatch(text)
    if found is None:
        raise PolicyError(f"{text!r} is no date and time of the W3C, nor seconds since 1970")
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = found.groups(default="")
    try:
        zone = dt.timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0)) * (-1 if sign == "-" else 1)
        moment = dt.datetime(
            int(year),
            int(month),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int(fraction.ljust(6, "0") or 0),
            tzinfo=dt.timezone(zone),
        )
    except ValueError as error:
        raise PolicyError(f"{text!r} is no date: {error}") from None
    return Decimal((moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)) / 10**6


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a range in CIDR form; "the non-zero bits … after the masked bits are ignored" [checks].

    An address alone is a range with AWS's default prefix of /32, which is one address of IPv4 [ops]. Whether it is
    that for IPv6 too, AWS doesn't say.
    """
    try:
        if _RANGE.fullmatch(text):
            return ipaddress.ip_network(text, strict=False)
    except ValueError:
        pass
    raise PolicyError(f"{text!r} is no IP address or range in CIDR form")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        if _ADDRESS.fullmatch(text):
            return ipaddress.ip_address(text)
    except ValueError:
        pass
    raise PolicyError(f"{text!r} is no IP address")


def _compared(
    in_policy: Callable[[str], Any], in_request: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> Matcher:
    """Compare values of a kind. AWS has no policy variables here [vars]; for Bool it says both [ops]."""

    def matcher(text: str, /, *, variables: bool) -> Match:  # noqa: ARG001 - as the other matchers
        bound = in_policy(variable_free(text))
        return lambda value, _context: compare(_parse(in_request, value), bound)

    return matcher


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}

MATCHERS: Final[Mapping[str, Matcher]] = {
    # Case counts, but for …IgnoreCase; wildcards are for StringLike. [ops]
    "StringEquals": literal,
    "StringEqualsIgnoreCase": functools.partial(literal, ignore_case=True),
    "StringLike": like,
    # These two behave identically, wildcards and all. [ops]
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": _compared(boolean, boolean, operator.eq),
    # Byte for byte: the policy says the bytes in base 64 [ops], and so does the request's context here.
    "BinaryEquals": _compared(_bytes, _bytes, operator.eq),
    "IpAddress": _compared(_network, _address, lambda address, network: address in network),
    **{f"Numeric{name}": _compared(_number, _number, compare) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": _compared(seconds, seconds, compare) for name, compare in _COMPARISONS.items()},
}
"""The operators that aren't negated, and but for Null."""

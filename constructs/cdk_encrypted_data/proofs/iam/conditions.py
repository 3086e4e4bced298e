"""The Condition element: every operator of IAM, compiled to one function from a request's context to yes or no.

Sources, below https://docs.aws.amazon.com/IAM/latest/UserGuide/:
[ops] reference_policies_elements_condition_operators.html
[multi] reference_policies_condition-single-vs-multi-valued-context-keys.html
[vars] reference_policies_variables.html
[checks] access-analyzer-reference-policy-checks.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.iam.patterns import (
    AtLeast,
    Context,
    Match,
    PolicyError,
    Unmodelled,
    Value,
    listed,
    matches_one,
    shown,
    variable_free,
)
from cdk_encrypted_data.proofs.iam.values import MATCHERS, boolean

Holds: TypeAlias = Callable[[Context], bool]

_NAME = re.compile(r"(ForAllValues:|ForAnyValue:)?([A-Za-z]+?)(IfExists)?")
# An identity provider's keys begin with its address, which may have a path: oidc.eks.…/id/…:sub.
_KEY = re.compile(r"[A-Za-z0-9_.\-/]+:.+")
# Beyond, JSON's numbers aren't exact (RFC 8259).
_MOST: Final = 2**53
# An operator without "Not" says when the request's value matches one of the policy's. [ops]
_POSITIVE: Final[Mapping[str, str]] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator over one key, whose name AWS compares without regard to case [ops]."""

    operator: str
    key: str
    values: tuple[str, ...]
    holds: Holds

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.operator} {self.key} {' | '.join(self.values)}"


def compile_conditions(block: object, *, variables: bool) -> tuple[Condition, ...]:
    """Compile a Condition element. All of its conditions are needed [multi]."""
    if not isinstance(block, Mapping):
        raise PolicyError(f"Condition is {shown(block)}, not a map of operators")
    conditions = []
    for name, keys in block.items():
        if not isinstance(name, str):
            raise PolicyError(f"Condition has {shown(name)} for an operator")
        if not isinstance(keys, Mapping) or not keys or not all(isinstance(key, str) for key in keys):
            raise PolicyError(f"Condition {name} is {shown(keys)}, not a map of condition keys")
        if len({key.lower() for key in keys}) != len(keys):
            raise PolicyError(f"Condition {name} has one key twice, in different case: {sorted(keys)}")
        for key, values in keys.items():
            conditions.append(_named_compile(name, key, values, variables=variables))
    return tuple(conditions)


def _named_compile(name: str, key: str, values: object, *, variables: bool) -> Condition:
    try:
        return _compile(name, key, _texts(values), variables=variables)
    except PolicyError as error:
        raise PolicyError(f"Condition {name} {key}: {error}") from None


def _texts(values: object) -> tuple[str, ...]:
    """Return a condition's values as texts: AWS takes strings, numbers and booleans, one or a list.

    Of an empty list AWS says that "the condition returns true", and that it never matches [checks].
    """
    texts = tuple(map(_text, listed(values)))
    if not texts:
        raise PolicyError("it has no value to compare with")
    return texts


def _text(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    if not isinstance(value, (int, float)):
        raise PolicyError(f"{shown(value)} is no string, number or boolean")
    if isinstance(value, bool):
        return str(value).lower()
    # How AWS writes the others as texts, nobody says.
    if abs(value) >= _MOST or math.isnan(value) or "e" in str(value):
        raise PolicyError(f"{shown(value)} is no number as policies write them")
    return str(value)


def _compile(name: str, key: str, values: tuple[str, ...], *, variables: bool) -> Condition:
    found = _NAME.fullmatch(name)
    if found is None:
        raise PolicyError("AWS has no such operator")
    quantifier, base, if_exists = found.groups()
    if not _KEY.fullmatch(variable_free(key)):
        raise PolicyError("that is no condition key")
    if base == "Null":
        if quantifier or if_exists:
            raise PolicyError("Null takes neither IfExists nor a set operator")
        return Condition(name, key, values, _null(key, values))
    positive = _POSITIVE.get(base, base)
    matcher = MATCHERS.get(positive)
    if matcher is None:
        raise PolicyError("AWS has no such operator")
    matches = _any_of([matcher(value, variables=variables) for value in values], negated=base in _POSITIVE)
    # A key that isn't there: a positive operator doesn't match, a negated one does, with IfExists both do. [ops]
    # ForAllValues is true of no value at all, ForAnyValue false, negated or not. [multi]
    absent = bool(if_exists) or (base in _POSITIVE if quantifier is None else quantifier == "ForAllValues:")
    contradiction = bool(if_exists) and quantifier == "ForAnyValue:"
    test = _single(matches) if quantifier is None else _set(matches, quantifier)
    lowered = key.lower()

    def holds(context: Context) -> bool:
        value = context.get(lowered, ())
        if value != ():
            return test(key, value, context)
        if contradiction:
            raise Unmodelled(f"for lack of {key} AWS says both: IfExists is true, ForAnyValue is false")
        return absent

    return Condition(name, key, values, holds)


# How many values the request has.

_Test: TypeAlias = Callable[[str, Value, Context], bool]


def _single(matches: Callable[[str, Context], bool]) -> _Test:
    def test(key: str, value: Value, context: Context) -> bool:
        if isinstance(value, str):
            return matches(value, context)
        if value is None:
            raise Unmodelled(f"{key} isn't known")
        raise Unmodelled(f"{key} has several values: AWS wants ForAllValues or ForAnyValue before the operator")

    return test


def _set(matches: Callable[[str, Context], bool], quantifier: str) -> _Test:
    """Every value of the request matches, or one does [multi]."""
    # The answer that one value alone gives for all of them.
    settling = quantifier == "ForAnyValue:"

    def test(key: str, value: Value, context: Context) -> bool:
        if value is None:
            raise Unmodelled(f"{key} isn't known")
        texts = (value,) if isinstance(value, str) else value
        if "" in texts:
            raise Unmodelled(f"AWS calls an empty {key} a null data set, but not what that means beside other values")
        doubt: Unmodelled | None = None
        for text in texts:
            try:
                found = matches(text, context)
            except Unmodelled as error:
                doubt = doubt or error
                continue
            if found is settling:
                return settling
        if doubt is not None:
            raise doubt
        if isinstance(value, AtLeast):
            raise Unmodelled(f"{key} isn't known beyond {', '.join(value)}")
        return not settling

    return test


def _any_of(matches: Sequence[Match], *, negated: bool) -> Callable[[str, Context], bool]:
    """Several values of the policy are alternatives; negated, none of them may match. [multi].

    A variable without a value equals nothing, so a positive operator doesn't match. What a negated one then says, AWS
    leaves open: "this might cause the entire statement to be invalid". [vars]
    """

    def positive(value: str, context: Context) -> bool:
        return matches_one(matches, value, context) is True

    def negative(value: str, context: Context) -> bool:
        found = matches_one(matches, value, context)
        if found is None:
            raise Unmodelled("AWS doesn't say what a negated operator means for a policy variable without a value")
        return not found

    return negative if negated else positive


def _null(key: str, values: tuple[str, ...]) -> Holds:
    """``true``: the key isn't there; ``false``: it is there and has a value [ops]."""
    wanted = {boolean(variable_free(value)) for value in values}
    lowered = key.lower()

    def holds(context: Context) -> bool:
        value = context.get(lowered, ())
        if value is None:
            raise Unmodelled(f"{key} isn't known")
        if value == "":
            raise Unmodelled(f"AWS doesn't say whether an empty {key} is null")
        return (value == ()) in wanted

    return holds

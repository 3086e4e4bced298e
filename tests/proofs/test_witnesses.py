"""The witnesses of a condition key's values: no class of values goes without one."""

from __future__ import annotations

import fnmatch
import ipaddress
import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data.proofs.iam.conditions import Condition, compile_conditions
from cdk_encrypted_data.proofs.witnesses import TooManyError, candidates, classes, texts_of_classes

_LETTERS = "ab:"
_PATTERNS = st.lists(st.text(alphabet=f"{_LETTERS}*?", min_size=1, max_size=5), min_size=1, max_size=3, unique=True)


def _matches(pattern: str, text: str) -> bool:
    return fnmatch.fnmatchcase(text, pattern)


def _met(patterns: Sequence[str], texts: Sequence[str]) -> set[tuple[bool, ...]]:
    return {tuple(_matches(pattern, text) for pattern in patterns) for text in texts}


@given(_PATTERNS)
@settings(max_examples=150, deadline=None)
def test_every_set_of_patterns_that_some_text_matches_is_met(patterns: list[str]) -> None:
    # Exhaustively: no text of up to five characters matches a set of patterns that no witness matches.
    texts = ["".join(some) for length in range(1, 6) for some in itertools.product(f"{_LETTERS}z", repeat=length)]
    wild = [pattern for pattern in patterns if re.search("[*?]", pattern)]
    found = _met(patterns, [*texts_of_classes(tuple(patterns)), "fresh"])
    assert _met(patterns, texts) <= found if wild else set(patterns) <= set(texts_of_classes(tuple(patterns)))


@given(_PATTERNS, st.text(alphabet=f"{_LETTERS}z", min_size=1, max_size=9))
@settings(max_examples=500, deadline=None)
def test_no_condition_tells_a_text_from_all_witnesses(patterns: list[str], text: str) -> None:
    conditions = _conditions("StringLike", patterns[:2]) + _conditions("StringNotEquals", patterns[2:] or ["b"])
    found = candidates(conditions, str)
    answers = {tuple(condition.holds({"s3:prefix": one}) for condition in conditions) for one in found}
    assert tuple(condition.holds({"s3:prefix": text}) for condition in conditions) in answers


def _conditions(operator: str, values: Sequence[str], key: str = "s3:prefix") -> tuple[Condition, ...]:
    return compile_conditions({operator: {key: list(values)}}, variables=True)


def test_two_patterns_have_a_text_in_common_only_if_there_is_one() -> None:
    assert _met(["a*", "*b"], texts_of_classes(("a*", "*b"))) == set(itertools.product((True, False), repeat=2))
    assert (True, True) not in _met(["a*", "b*"], texts_of_classes(("a*", "b*")))


def test_arns_are_arns() -> None:
    found = texts_of_classes(("arn:aws:s3:::data/*", "arn:aws:s3:*"), arn=True)
    assert found
    assert all(re.fullmatch(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:.*", text) for text in found)


def test_a_wildcard_of_an_arn_part_stays_in_it() -> None:
    conditions = _conditions("ArnLike", ["arn:aws:s3:*:111122223333:finance/*"], "aws:SourceArn")
    (condition,) = conditions
    answers = {condition.holds({"aws:sourcearn": one}) for one in candidates(conditions, str)}
    assert answers == {True, False}


@pytest.mark.parametrize("operator", ["NumericLessThan", "NumericGreaterThanEquals", "NumericEquals"])
def test_numbers_are_cut_where_policies_cut_them(operator: str) -> None:
    conditions = (*_conditions(operator, ["1.2"], "s3:TlsVersion"), *_conditions(operator, ["1.3"], "s3:TlsVersion"))
    found = [float(one) for one in candidates(conditions, str)]
    assert {1.2, 1.3} <= set(found)
    assert min(found) < 1.2
    assert max(found) > 1.3
    assert any(1.2 < one < 1.3 for one in found)


def test_dates_are_cut_where_policies_cut_them() -> None:
    conditions = _conditions("DateGreaterThan", ["2026-01-01T00:00:00Z"], "aws:CurrentTime")
    answers = {conditions[0].holds({"aws:currenttime": one}) for one in candidates(conditions, str)}
    assert answers == {True, False}


def test_addresses_are_taken_inside_and_just_outside() -> None:
    conditions = _conditions("IpAddress", ["203.0.113.0/24", "2001:db8::/32"], "aws:SourceIp")
    found = [ipaddress.ip_address(one) for one in candidates(conditions, str)]
    assert ipaddress.ip_address("203.0.114.0") in found
    assert ipaddress.ip_address("203.0.112.255") in found
    assert ipaddress.ip_address("203.0.113.255") in found
    assert any(isinstance(one, ipaddress.IPv6Address) for one in found)


def test_case_is_told_apart_where_it_counts() -> None:
    conditions = (*_conditions("StringEqualsIgnoreCase", ["Data"]), *_conditions("StringEquals", ["Data"]))
    answers = {tuple(one.holds({"s3:prefix": text}) for one in conditions) for text in candidates(conditions, str)}
    assert answers == {(True, True), (True, False), (False, False)}


def test_a_variable_is_filled_in_and_its_star_is_no_wildcard() -> None:
    conditions = _conditions("StringLike", ["home/${aws:username}/*", "${*}"])
    found = candidates(conditions, {"aws:username": "ada"}.__getitem__)
    assert any(one.startswith("home/ada/") for one in found)
    assert "*" in found


def test_one_value_stands_for_each_class() -> None:
    conditions = _conditions("StringNotEquals", ["aws:kms", "aws:kms:dsse"])
    found = classes("s3:prefix", conditions, [(), *candidates(conditions, str)], {})
    # Absent and different are one class for StringNotEquals, and both allowed values are another.
    assert len(found) == 2


def test_more_classes_than_can_be_gone_through_are_no_answer() -> None:
    def last_but(number: int) -> str:
        """An a, so many characters before the end: where one was among the last ones is 2**(number + 1) states."""
        return f"*a{'?' * number}"

    assert len(texts_of_classes((last_but(8),))) == 2
    with pytest.raises(TooManyError):
        texts_of_classes((last_but(16),))

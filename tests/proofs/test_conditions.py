"""Every operator of the Condition element, as its page documents it: what holds beside what doesn't."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from cdk_encrypted_data.proofs.iam.conditions import compile_conditions
from cdk_encrypted_data.proofs.iam.patterns import PolicyError, Unmodelled

# Below https://docs.aws.amazon.com/IAM/latest/UserGuide/.
OPS = "reference_policies_elements_condition_operators.html"
MULTI = "reference_policies_condition-single-vs-multi-valued-context-keys.html"
VARS = "reference_policies_variables.html"

KEY = "aws:PrincipalTag/k"
Json: TypeAlias = Any

ABSENT: Any = ()
UNKNOWN: Any = None
BUCKET = "arn:aws:s3:::bucket"


def holds(operator: str, policy: Json, request: Json, *, variables: bool = True, **context: Json) -> bool:
    conditions = compile_conditions({operator: {KEY: policy}}, variables=variables)
    if request != ABSENT:
        context[KEY.lower()] = request
    return all(one.holds({name.replace("__", ":"): value for name, value in context.items()}) for one in conditions)


# operator: source, values of the policy, values of requests for which it holds, and for which it doesn't.
OPERATORS: list[tuple[str, str, Any, list[Any], list[Any]]] = [
    ("StringEquals", OPS, "red", ["red"], ["Red", "red ", "", ABSENT]),
    ("StringEquals", OPS, ["red", "blue"], ["red", "blue"], ["green"]),
    ("StringEquals", OPS, "r*", ["r*"], ["red"]),
    ("StringEquals", OPS, "a.b", ["a.b"], ["axb"]),
    ("StringNotEquals", OPS, "red", ["Red", "", ABSENT], ["red"]),
    ("StringNotEquals", MULTI, ["red", "blue"], ["green", ABSENT], ["red", "blue"]),
    ("StringEqualsIgnoreCase", OPS, "Red", ["red", "RED"], ["blue", ABSENT]),
    ("StringNotEqualsIgnoreCase", OPS, "Red", ["blue", ABSENT], ["red", "RED"]),
    ("StringLike", OPS, "r*d", ["rd", "red", "r:/d", "r\nd"], ["Red", "redo", ABSENT]),
    ("StringLike", OPS, "r?d", ["red", "r?d"], ["rd", "reed"]),
    ("StringLike", OPS, "r.d", ["r.d"], ["red"]),
    ("StringNotLike", OPS, "r*d", ["blue", "Red", ABSENT], ["red"]),
    ("NumericEquals", OPS, "1.2", ["1.2", "1.20"], ["1.3", ABSENT]),
    ("NumericEquals", OPS, 10, ["10", "10.0"], ["100"]),
    ("NumericNotEquals", OPS, "1.2", ["1.3", ABSENT], ["1.2", "1.20"]),
    ("NumericLessThan", OPS, "1.2", ["1.1", "-3"], ["1.2", "1.3", "10", ABSENT]),
    ("NumericLessThanEquals", OPS, "1.2", ["1.1", "1.2"], ["1.3", "10", ABSENT]),
    ("NumericGreaterThan", OPS, "9", ["10"], ["9", "8", ABSENT]),
    ("NumericGreaterThanEquals", OPS, "9", ["10", "9"], ["8", ABSENT]),
    ("NumericLessThan", OPS, ["1", "5"], ["4"], ["5"]),
    ("DateEquals", OPS, "2026-11-22T10:00:00Z", ["2026-11-22T12:00:00+02:00", "1795341600"], ["2026-11-22", ABSENT]),
    ("DateEquals", OPS, "2026-11-22T10:00:00.5Z", ["2026-11-22T09:00:00.50-01:00"], ["2026-11-22T10:00:00Z"]),
    ("DateNotEquals", OPS, "2026-11-22T10:00:00Z", ["2026-11-22", ABSENT], ["2026-11-22T10:00Z"]),
    ("DateLessThan", OPS, "2026-11-22", ["2026-11-21T23:59:59.9Z", "0"], ["2026-11-22T00:00:00Z", ABSENT]),
    ("DateLessThanEquals", OPS, "2026-11", ["2026-11-01"], ["2026-11-01T00:00:00.000001Z", ABSENT]),
    ("DateGreaterThan", OPS, "1795341600", ["2026-11-22T10:00:01Z"], ["2026-11-22T10:00:00Z", ABSENT]),
    ("DateGreaterThanEquals", OPS, "1795341600", ["2026-11-22T10:00:00-00:00"], ["2026-11-22T10:00:00+00:01", ABSENT]),
    ("Bool", OPS, "true", ["true", "True"], ["false", ABSENT]),
    ("Bool", OPS, False, ["false"], ["true", ABSENT]),
    ("BinaryEquals", OPS, "QmluYXJ5", ["QmluYXJ5"], ["QmluYXJ6", "qmluYXJ5", ABSENT]),
    ("IpAddress", OPS, "203.0.113.0/24", ["203.0.113.0", "203.0.113.255"], ["203.0.114.0", "2001:db8::1", ABSENT]),
    ("IpAddress", OPS, "203.0.113.7", ["203.0.113.7"], ["203.0.113.8"]),
    ("IpAddress", OPS, ["2001:db8::/32", "203.0.113.7"], ["2001:DB8:0::1", "203.0.113.7"], ["2001:db9::1"]),
    ("IpAddress", OPS, "0.0.0.0/0", ["198.51.100.1"], ["::1"]),
    ("NotIpAddress", OPS, "203.0.113.0/24", ["203.0.114.0", "2001:db8::1", ABSENT], ["203.0.113.9"]),
    ("ArnEquals", OPS, "arn:aws:s3:::b*", [BUCKET, "arn:aws:s3:::b/a/c:d"], ["arn:aws:s3:::a", ABSENT]),
    # The page's own example: a string operator would match, an ARN operator doesn't.
    (
        "ArnLike", OPS, "arn:aws:x:*:111122223333:finance/*", ["arn:aws:x:us-east-2:111122223333:finance/a"],
        ["arn:aws:x:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"],
    ),
    ("ArnLike", OPS, "arn:aws:iam::1?1:role/*", ["arn:aws:iam::121:role/a"], ["arn:aws:iam::1:1:role/a"]),
    ("ArnNotEquals", OPS, "arn:aws:s3:::b*", ["arn:aws:s3:::a", ABSENT], [BUCKET]),
    ("ArnNotLike", OPS, ["arn:aws:s3:::b*", "arn:aws:s3:::c"], ["arn:aws:s3:::a"], [BUCKET, "arn:aws:s3:::c"]),
    ("Null", OPS, "true", [ABSENT], ["x", ("x",)]),
    ("Null", OPS, "false", ["x", ("x",)], [ABSENT]),
    ("Null", OPS, ["true", "false"], ["x", ABSENT], []),
    ("StringEqualsIfExists", OPS, "red", ["red", ABSENT], ["blue"]),
    ("StringNotEqualsIfExists", OPS, "red", ["blue", ABSENT], ["red"]),
    ("BoolIfExists", OPS, "false", ["false", ABSENT], ["true"]),
    ("NumericLessThanIfExists", OPS, "1.2", ["1.1", ABSENT], ["1.2"]),
    ("ArnLikeIfExists", OPS, "arn:aws:s3:::b*", [BUCKET, ABSENT], ["arn:aws:s3:::a"]),
    ("IpAddressIfExists", OPS, "203.0.113.7", ["203.0.113.7", ABSENT], ["203.0.113.8"]),
    ("ForAllValues:StringEquals", MULTI, ["a", "b"], [("a",), ("a", "b"), ("a", "a"), ABSENT, "a"], [("a", "c"), "c"]),
    ("ForAllValues:StringLike", MULTI, "a*", [("a", "ab"), ABSENT], [("a", "b")]),
    ("ForAllValues:StringNotEquals", MULTI, ["a", "b"], [("c", "d"), ABSENT], [("a", "c")]),
    ("ForAllValues:StringEqualsIfExists", MULTI, "a", [("a",), ABSENT], [("b",)]),
    ("ForAnyValue:StringEquals", MULTI, ["a", "b"], [("a", "z"), "b"], [("c",), ABSENT]),
    ("ForAnyValue:StringLike", MULTI, "a*", [("b", "ab")], [("b",), ABSENT]),
    ("ForAnyValue:StringNotEquals", MULTI, ["a", "b"], [("a", "c")], [("a", "b"), ABSENT]),
    ("ForAnyValue:StringEqualsIfExists", MULTI, "a", [("a", "b")], [("b",)]),
    ("ForAnyValue:ArnLike", MULTI, "arn:aws:s3:::b*", [("arn:aws:s3:::a", BUCKET)], [("arn:aws:s3:::a",), ABSENT]),
    ("StringEquals", VARS, "${*}${?}${$}", ["*?$"], ["abc"]),
    ("StringLike", VARS, "a${*}*", ["a*", "a*b"], ["ab"]),
    ("StringEquals", VARS, "${aws:PrincipalTag/absent, 'none'}", ["none"], ["", ABSENT]),
    ("StringEquals", VARS, "${aws:PrincipalTag/absent}", [], ["", "${aws:PrincipalTag/absent}", "x", ABSENT]),
    ("StringEquals", VARS, ["${aws:PrincipalTag/absent}", "red"], ["red"], ["blue"]),
    ("StringNotEquals", VARS, ["${aws:PrincipalTag/absent}", "red"], [], ["red"]),
]  # fmt: skip


@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: f"{row[0]} {row[2]}")
def test_operator(row: tuple[str, str, Any, list[Any], list[Any]]) -> None:
    operator, source, policy, holding, not_holding = row
    assert source.startswith("reference_policies_")
    assert [one for one in holding if not holds(operator, policy, one)] == []
    assert [one for one in not_holding if holds(operator, policy, one)] == []


def test_variables_are_filled_in_from_the_request() -> None:
    same_team = {"StringEquals": {KEY: "${aws:ResourceTag/K}"}}
    (condition,) = compile_conditions(same_team, variables=True)
    assert condition.holds({KEY.lower(): "red", "aws:resourcetag/k": "red"})
    assert not condition.holds({KEY.lower(): "red", "aws:resourcetag/k": "blue"})
    assert not condition.holds({KEY.lower(): "red"})
    assert holds(
        "ArnLike", "arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::1:role/a", aws__principalaccount="1"
    )
    assert not holds(
        "ArnLike", "arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::1:role/a", aws__principalaccount="2"
    )
    assert holds("StringEqualsIgnoreCase", "${aws:x}", "RED", aws__x="red")
    assert holds("StringLike", "${aws:x}.b*", "a.bc", aws__x="a")
    assert not holds("StringLike", "${aws:x}.b*", "a.bc", aws__x="a.")


def test_the_old_version_has_no_variables() -> None:
    assert holds("StringEquals", "${aws:x}", "${aws:x}", variables=False)
    assert not holds("StringEquals", "${aws:x}", "a", variables=False, aws__x="a")
    assert holds("StringEquals", "${aws:x}", "a", aws__x="a")


def test_key_names_in_any_case() -> None:
    (condition,) = compile_conditions({"StringEquals": {"KMS:encryptioncontext:Tenant": "a"}}, variables=True)
    assert condition.holds({"kms:encryptioncontext:tenant": "a"})


def test_all_conditions_are_needed() -> None:
    block = {"StringEquals": {"aws:a": "1", "aws:b": "2"}, "Bool": {"aws:c": "true"}}
    conditions = compile_conditions(block, variables=True)
    assert [f"{condition}" for condition in conditions] == [
        "StringEquals aws:a 1", "StringEquals aws:b 2", "Bool aws:c true",
    ]  # fmt: skip


# What no page settles: operator, policy, request, and what the error says.
UNDECIDED: list[tuple[str, Any, Any, str]] = [
    ("StringEquals", "a", UNKNOWN, "isn't known"),
    ("StringEqualsIfExists", "a", UNKNOWN, "isn't known"),
    ("ForAllValues:StringEquals", "a", UNKNOWN, "isn't known"),
    ("Null", "true", UNKNOWN, "isn't known"),
    ("StringEquals", "a", ("a", "b"), "several values"),
    ("StringEquals", "a", ("a",), "several values"),
    ("ForAllValues:StringEquals", "a", "", "null data set"),
    ("ForAnyValue:StringEquals", "a", ("a", ""), "null data set"),
    ("ForAnyValue:StringEqualsIfExists", "a", ABSENT, "says both"),
    ("Null", "true", "", "is null"),
    ("NumericLessThan", "1.2", "TLSv1.2", "is no number"),
    ("NumericNotEquals", "1.2", "", "is no number"),
    ("DateLessThan", "2026-11-22", "yesterday", "no date"),
    ("Bool", "true", "yes", "neither true nor false"),
    ("BinaryEquals", "QmluYXJ5", "?", "isn't base 64"),
    ("NotIpAddress", "203.0.113.0/24", "vpce-1", "no IP address"),
    ("ArnEquals", BUCKET, "bucket", "no ARN"),
    ("ArnNotEquals", "bucket", BUCKET, "no ARN"),
    ("ArnLike", "*", BUCKET, "no ARN"),
    ("StringNotEquals", "${aws:absent}", "a", "negated operator"),
    ("StringNotLike", ["${aws:absent}", "b"], "a", "negated operator"),
]


@pytest.mark.parametrize(("operator", "policy", "request_value", "message"), UNDECIDED)
def test_undecided(operator: str, policy: Json, request_value: Json, message: str) -> None:
    with pytest.raises(Unmodelled, match=message):
        holds(operator, policy, request_value)


def test_variables_that_cannot_be_filled_in() -> None:
    for value, message in ((UNKNOWN, "isn't known"), (("a", "b"), "several values"), ("a*", "acts as a pattern")):
        with pytest.raises(Unmodelled, match=message):
            holds("StringLike", "${aws:x}", "a", aws__x=value)


REFUSED: list[tuple[Any, str]] = [
    ([], "not a map of operators"),
    ({"StringEquals": []}, "not a map of condition keys"),
    ({"StringEquals": {}}, "not a map of condition keys"),
    ({"StringEqual": {KEY: "a"}}, "Condition StringEqual aws:PrincipalTag/k: AWS has no such operator"),
    ({"stringequals": {KEY: "a"}}, "no such operator"),
    ({"ForSomeValues:StringEquals": {KEY: "a"}}, "no such operator"),
    ({"BoolNotEquals": {KEY: "true"}}, "no such operator"),
    ({"NullIfExists": {KEY: "true"}}, "Null takes neither"),
    ({"ForAnyValue:Null": {KEY: "true"}}, "Null takes neither"),
    ({"StringEquals": {KEY: []}}, "no value to compare with"),
    ({"StringEquals": {KEY: {}}}, "is no string"),
    ({"StringEquals": {KEY: [None]}}, "is no string"),
    ({"StringEquals": {KEY: "a", KEY.upper(): "b"}}, "twice"),
    ({"StringEquals": {"team": "a"}}, "no condition key"),
    ({"StringEquals": {"aws:PrincipalTag/${aws:x}": "a"}}, "variable where AWS has none"),
    ({"NumericEquals": {KEY: "1.2.3"}}, "is no number"),
    ({"NumericEquals": {KEY: "${aws:x}"}}, "variable where AWS has none"),
    ({"DateEquals": {KEY: "22.11.2026"}}, "no date"),
    ({"DateEquals": {KEY: "2026-02-30"}}, "no date"),
    ({"DateEquals": {KEY: "2026"}}, "no date"),
    ({"DateEquals": {KEY: "2026-11-22T10:00:00"}}, "no date"),
    ({"Bool": {KEY: "yes"}}, "neither true nor false"),
    ({"Bool": {KEY: "${aws:x}"}}, "variable where AWS has none"),
    ({"Null": {KEY: "maybe"}}, "neither true nor false"),
    ({"BinaryEquals": {KEY: "not base 64"}}, "isn't base 64"),
    ({"IpAddress": {KEY: "203.0.113.*"}}, "no IP address"),
    ({"IpAddress": {KEY: "203.0.113.7/24"}}, "has host bits set"),
    ({"StringEquals": {KEY: "${aws:x"}}, "closing brace"),
    ({"StringEquals": {KEY: "${}"}}, "no policy variable"),
    ({"StringEquals": {KEY: "${aws:x, none}"}}, "no policy variable"),
]


@pytest.mark.parametrize(("block", "message"), REFUSED)
def test_refused(block: Json, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        compile_conditions(block, variables=True)

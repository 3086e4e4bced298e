"""Every operator of the Condition element, as its page documents it: what holds beside what doesn't."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from cdk_encrypted_data.proofs.iam.conditions import compile_conditions
from cdk_encrypted_data.proofs.iam.patterns import AtLeast, PolicyError, Unmodelled

# Below https://docs.aws.amazon.com/IAM/latest/UserGuide/.
OPS = "reference_policies_elements_condition_operators.html"
MULTI = "reference_policies_condition-single-vs-multi-valued-context-keys.html"
VARS = "reference_policies_variables.html"
CHECKS = "access-analyzer-reference-policy-checks.html"

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
    ("IpAddress", CHECKS, "203.0.113.7/24", ["203.0.113.0", "203.0.113.7"], ["203.0.114.7", ABSENT]),
    ("IpAddress", CHECKS, "2001:db8::7/32", ["2001:db8:1::1"], ["2001:db9::7", "203.0.113.7"]),
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
    assert source in (OPS, MULTI, VARS, CHECKS)
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
    ("BinaryEquals", "QmluYXJ5", "QmluYXJé", "isn't base 64"),
    ("IpAddress", "fe80::/64", "fe80::1%1", "no IP address"),
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


# A value of the policy that nobody knows beside one that is certain: requests for which it holds whatever the first
# turns out to be, for which it doesn't, and for which it hangs on that.
UNSAID = "${aws:x}"
DESPITE_DOUBT: list[tuple[str, list[str], list[Any], list[Any], list[Any]]] = [
    ("StringEquals", [UNSAID, "red"], ["red"], [ABSENT], ["blue"]),
    ("StringNotEquals", [UNSAID, "red"], [ABSENT], ["red"], ["blue"]),
    ("StringLike", [UNSAID, "r*"], ["red"], [ABSENT], ["blue"]),
    ("ArnNotLike", [f"{BUCKET}/{UNSAID}", f"{BUCKET}/b*"], [ABSENT], [f"{BUCKET}/blue"], [f"{BUCKET}/red"]),
    ("ForAnyValue:StringEquals", [UNSAID, "red"], [("blue", "red"), ("red", "blue")], [ABSENT], [("blue",)]),
    ("ForAnyValue:StringNotEquals", [UNSAID, "red"], [], [("red", "red"), ABSENT], [("red", "blue"), ("blue", "red")]),
    ("ForAllValues:StringEquals", [UNSAID, "red"], [("red", "red"), ABSENT], [], [("red", "blue"), ("blue", "red")]),
    ("ForAllValues:StringNotEquals", [UNSAID, "red"], [ABSENT], [("blue", "red"), ("red", "blue")], [("blue",)]),
]


@pytest.mark.parametrize("row", DESPITE_DOUBT, ids=lambda row: row[0])
def test_a_doubt_about_one_value_counts_only_where_no_other_settles_it(
    row: tuple[str, list[str], list[Any], list[Any], list[Any]],
) -> None:
    operator, policy, holding, not_holding, doubtful = row
    for ordered in (policy, policy[::-1]):
        assert [one for one in holding if not holds(operator, ordered, one, aws__x=UNKNOWN)] == []
        assert [one for one in not_holding if holds(operator, ordered, one, aws__x=UNKNOWN)] == []
        for one in doubtful:
            with pytest.raises(Unmodelled, match="isn't known"):
                holds(operator, ordered, one, aws__x=UNKNOWN)


def test_so_does_one_about_a_value_of_the_request() -> None:
    for values in (("yesterday", "2026-11-23"), ("2026-11-23", "yesterday")):
        assert holds("ForAnyValue:DateGreaterThan", "2026-11-22", values)
        assert not holds("ForAllValues:DateLessThan", "2026-11-22", values)
        with pytest.raises(Unmodelled, match="no date"):
            holds("ForAllValues:DateGreaterThan", "2026-11-22", values)


def test_of_values_that_may_be_more_only_those_known_count() -> None:
    known = AtLeast(("a", "b"))
    assert holds("ForAnyValue:StringEquals", "a", known)
    assert not holds("ForAllValues:StringEquals", "a", known)
    assert holds("Null", "false", known)
    for operator, policy in (("ForAnyValue:StringEquals", "c"), ("ForAllValues:StringLike", "*")):
        with pytest.raises(Unmodelled, match="isn't known beyond a, b"):
            holds(operator, policy, known)


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
    ({"IpAddress": {KEY: "203.0.113.0/255.255.255.0"}}, "no IP address or range in CIDR form"),
    ({"IpAddress": {KEY: "203.0.113.0/33"}}, "no IP address or range in CIDR form"),
    ({"IpAddress": {KEY: "fe80::1%eth0/64"}}, "no IP address or range in CIDR form"),
    ({"IpAddress": {KEY: "2001:db8::1"}}, "no IP address or range in CIDR form"),  # is AWS's default of /32 meant?
    ({"BinaryEquals": {KEY: "QmluYXJé"}}, "isn't base 64"),
    ({"NumericEquals": {KEY: "٣"}}, "is no number"),
    ({"DateEquals": {KEY: "٢٠٢٦-11-22"}}, "no date"),
    ({"NumericEquals": {KEY: 10**5000}}, "no number as policies write them"),
    ({"NumericEquals": {KEY: float("nan")}}, "no number as policies write them"),
    ({"NumericEquals": {KEY: float("-inf")}}, "no number as policies write them"),
    ({"StringEquals": {KEY: 1e-7}}, "no number as policies write them"),
    ({7: {KEY: "a"}}, "Condition has 7 for an operator"),
    ({None: {KEY: "a"}}, "Condition has None for an operator"),
    ({"StringEquals": {7: "a"}}, "not a map of condition keys"),
    ({"StringEquals": {KEY: "a", None: "b"}}, "not a map of condition keys"),
    ({"StringEquals": {KEY: b"a"}}, "is no string"),
    ({"StringEquals": {KEY: "${aws:x"}}, "closing brace"),
    ({"StringEquals": {KEY: "${}"}}, "no policy variable"),
    ({"StringEquals": {KEY: "${aws:x, none}"}}, "no policy variable"),
]


@pytest.mark.parametrize(("block", "message"), REFUSED)
def test_refused(block: Json, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        compile_conditions(block, variables=True)

"""Wildcards: the expressions that don't slow down say what the plain ones say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.patterns import resource, wildcard_regex
from cdk_encrypted_data.proofs.iam.statements import PolicyKind

PLAIN = {"*": ".*", "?": "."}


@settings(max_examples=3000, deadline=None)
@given(st.text("ab*?", max_size=10), st.text("ab", max_size=12))
def test_a_text_matches_as_by_the_plain_expression(pattern: str, text: str) -> None:
    plain = "".join(PLAIN.get(character, character) for character in pattern)
    assert bool(re.fullmatch(wildcard_regex(pattern), text)) is bool(re.fullmatch(plain, text))


@settings(max_examples=3000, deadline=None)
@given(st.text("ab*?:", max_size=8), st.text("ab:", max_size=10))
def test_an_arn_matches_as_by_the_plain_expression(pattern: str, text: str) -> None:
    # In the resource's own part a wildcard crosses colons.
    plain = "".join({"*": ".*", "?": "."}.get(character, character) for character in pattern)
    match = resource(f"arn:aws:s3:eu:1:{pattern}", variables=False)
    assert match(f"arn:aws:s3:eu:1:{text}", {}) is bool(re.fullmatch(plain, text))


@settings(max_examples=3000, deadline=None)
@given(st.text("ab*?", max_size=5), st.text("ab*?", max_size=5), st.text("ab:", max_size=10))
def test_in_other_parts_only_a_trailing_star_crosses_colons(region: str, name: str, text: str) -> None:
    def plain(part: str) -> str:
        inner = part.removesuffix("*")
        crossing = ".*" if part.endswith("*") else ""
        return "".join({"*": "[^:]*", "?": "[^:]"}.get(character, character) for character in inner) + crossing

    own = "".join(PLAIN.get(character, character) for character in name)
    match = resource(f"arn:aws:s3:{region}:1:{name}", variables=False)
    assert match(f"arn:aws:s3:{text}", {}) is bool(re.fullmatch(f"{plain(region)}:1:{own}", text, re.DOTALL))


@pytest.mark.parametrize("pattern", ["*a" * 12 + "b", "*" * 30 + "b", "/*/*/*/*/*.parquet"])
def test_many_stars_take_no_longer(pattern: str) -> None:
    # By plain expressions each of these takes longer than anybody waits.
    text = "a/" * 450
    match = resource(f"arn:aws:s3:::{pattern}", variables=False)
    assert match(f"arn:aws:s3:::{text}", {}) is False
    assert re.fullmatch(wildcard_regex(pattern), text) is None


def test_an_identity_providers_key_may_hold_a_path() -> None:
    condition = {"StringEquals": {"oidc.eks.us-east-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:a:b"}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    assert compile_policy({"Version": "2012-10-17", "Statement": [statement]}, PolicyKind.TRUST).allows


def test_an_empty_sid_is_none() -> None:
    statement = {"Sid": "", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    assert compile_policy({"Version": "2012-10-17", "Statement": [statement] * 2}, PolicyKind.IDENTITY).allows

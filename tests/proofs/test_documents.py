"""Documents that AWS would refuse are refused, with the place named; what AWS takes is taken."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.patterns import PolicyError
from cdk_encrypted_data.proofs.iam.statements import _STATEMENT_ELEMENTS, PolicyKind
from cdk_encrypted_data.proofs.iam.values import MATCHERS
from tests.proofs.fuzz import BUCKET, KEY, OWNER, ROLE, ROOT

IDENTITY, RESOURCE, TRUST = PolicyKind.IDENTITY, PolicyKind.RESOURCE, PolicyKind.TRUST
SERVICE_CONTROL, RESOURCE_CONTROL = PolicyKind.SERVICE_CONTROL, PolicyKind.RESOURCE_CONTROL
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
DENY = {**ALLOW, "Effect": "Deny"}
PUBLIC = {**ALLOW, "Principal": "*"}
TRUSTED = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
LATEST = "2012-10-17"


def without(statement: dict[str, Any], element: str) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != element}


REFUSED: dict[str, tuple[PolicyKind, Any, str]] = {
    "no map": (IDENTITY, [ALLOW], "identity policy: a policy is"),
    "unknown element": (IDENTITY, {"Version": LATEST, "Statements": [ALLOW]}, r"no element \['Statements'\]"),
    "unknown version": (IDENTITY, {"Version": "2026-11-22", "Statement": [ALLOW]}, "Version '2026-11-22'"),
    "no statement": (IDENTITY, {"Version": LATEST}, "Statement is None"),
    "no statements": (IDENTITY, {"Statement": []}, r"Statement is \[\]"),
    "statement that is a text": (IDENTITY, {"Statement": "Allow"}, "Statement is 'Allow'"),
    "statement in the list that is a text": (IDENTITY, {"Statement": ["Allow"]}, "statement 0: it is 'Allow'"),
    "Id of an identity policy": (IDENTITY, {"Id": "a", "Statement": ALLOW}, "has no Id"),
    "unknown statement element": (IDENTITY, {"Statement": {**ALLOW, "Actions": "*"}}, r"no element \['Actions'\]"),
    "element in another case": (IDENTITY, {"Statement": {**ALLOW, "effect": "Deny"}}, r"no element \['effect'\]"),
    "no effect": (IDENTITY, {"Statement": without(ALLOW, "Effect")}, "Effect is None"),
    "effect in another case": (IDENTITY, {"Statement": {**ALLOW, "Effect": "allow"}}, "Effect is 'allow'"),
    "no action": (IDENTITY, {"Statement": without(ALLOW, "Action")}, "neither Action nor NotAction"),
    "two actions": (IDENTITY, {"Statement": {**ALLOW, "NotAction": "s3:*"}}, "Action and NotAction"),
    "empty actions": (IDENTITY, {"Statement": {**ALLOW, "Action": []}}, r"Action is \[\]"),
    "action of no service": (IDENTITY, {"Statement": {**ALLOW, "Action": "GetObject"}}, "isn't service:action"),
    "wildcard for services": (IDENTITY, {"Statement": {**ALLOW, "Action": "s*:GetObject"}}, "isn't service:action"),
    "wildcard for every service": (IDENTITY, {"Statement": {**ALLOW, "Action": "*:*"}}, "isn't service:action"),
    "variable in an action": (IDENTITY, {"Statement": {**ALLOW, "Action": "s3:${aws:x}"}}, "where AWS has none"),
    "no resource": (IDENTITY, {"Statement": without(ALLOW, "Resource")}, "neither Resource nor NotResource"),
    "two resources": (IDENTITY, {"Statement": {**ALLOW, "NotResource": "*"}}, "Resource and NotResource"),
    "resource that is no ARN": (IDENTITY, {"Statement": {**ALLOW, "Resource": "bucket/*"}}, "neither an ARN nor"),
    "resource that is no text": (IDENTITY, {"Statement": {**ALLOW, "Resource": {"Ref": "B"}}}, "Resource is {'Ref'"),
    "wildcard for the service": (IDENTITY, {"Statement": {**ALLOW, "Resource": "arn:aws:s*:::b"}}, "in its service"),
    "variable for the account": (
        IDENTITY,
        {"Statement": {**ALLOW, "Resource": "arn:aws:kms:*:${aws:PrincipalAccount}:key/a"}, "Version": LATEST},
        "before the resource's own part",
    ),
    "condition": (
        IDENTITY, {"Statement": [ALLOW, {**DENY, "Sid": "No", "Condition": {"StringEqual": {"aws:x": "a"}}}]},
        "identity policy, statement No: Condition StringEqual aws:x: AWS has no such operator",
    ),
    "principal in an identity policy": (IDENTITY, {"Statement": PUBLIC}, "has no principal"),
    "Sid twice": (IDENTITY, {"Statement": [{**ALLOW, "Sid": "A"}, {**DENY, "Sid": "A"}]}, "a Sid is there twice"),
    "Sid with a space": (IDENTITY, {"Statement": {**ALLOW, "Sid": "A B"}}, "more than letters and digits"),
    "no principal in a resource's policy": (RESOURCE, {"Statement": ALLOW}, "neither Principal nor NotPrincipal"),
    "two principals": (RESOURCE, {"Statement": {**PUBLIC, "NotPrincipal": "*"}}, "Principal and NotPrincipal"),
    "principal of no kind": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"aws": OWNER}}}, "no kind of principal"),
    "principal that is a name": (RESOURCE, {"Statement": {**ALLOW, "Principal": "app"}}, "neither '\\*' nor a map"),
    "principal that is no ARN": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": "app"}}}, "is no account"),
    "principal that was deleted": (
        RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": "AROAEXAMPLEID"}}}, "is no account",
    ),
    "principal that is a resource": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": KEY}}}, "is no account"),
    "principal with a wildcard": (
        RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": f"{ROLE}*"}}}, "can't hold wildcards",
    ),
    "service that is none": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"Service": "s3"}}}, "no service's"),
    "service with a wildcard": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"Service": "*"}}}, "can't hold"),
    "identity provider as an account's": (
        RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": f"arn:aws:iam::{OWNER}:saml-provider/a"}}}, "no account",
    ),
    "account in another script's digits": (
        RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": "\u0661" * 12}}}, "is no account",
    ),
    "kind of principal that is no text": (
        RESOURCE, {"Statement": {**ALLOW, "Principal": {7: OWNER}}}, "no kind of principal called 7",
    ),
    "element that is no text": (IDENTITY, {"Statement": {**ALLOW, 7: "a", None: "b"}}, r"no element \[7, None\]"),
    "document element that is no text": (IDENTITY, {"Statement": ALLOW, 7: "a", "b": 1}, r"no element \[7, 'b'\]"),
    "Sid that is no text": (IDENTITY, {"Statement": {**ALLOW, "Sid": [{}]}}, r"statement \[{}\]: Sid \[{}\] is more"),
    "empty principal": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": []}}}, "is empty"),
    "NotPrincipal that allows": (RESOURCE, {"Statement": {**ALLOW, "NotPrincipal": {"AWS": ROOT}}}, "for Deny"),
    "NotPrincipal of everyone": (RESOURCE, {"Statement": {**DENY, "NotPrincipal": "*"}}, "NotPrincipal can't be"),
    "NotPrincipal of everyone in AWS": (
        RESOURCE, {"Statement": {**DENY, "NotPrincipal": {"AWS": "*"}}}, "can't hold wildcards",
    ),
    "NotPrincipal in a trust policy": (
        TRUST, {"Statement": {**without(TRUSTED, "Principal"), "Effect": "Deny", "NotPrincipal": {"AWS": ROOT}}},
        "for Deny in a resource's policy only",
    ),
    "resource in a trust policy": (TRUST, {"Statement": {**TRUSTED, "Resource": "*"}}, "has no Resource"),
    "principal in an SCP": (SERVICE_CONTROL, {"Statement": PUBLIC}, "has no principal"),
    "RCP that allows": (RESOURCE_CONTROL, {"Statement": PUBLIC}, "only denies"),
    "RCP for one principal": (
        RESOURCE_CONTROL, {"Statement": {**DENY, "Principal": {"AWS": ROOT}}}, 'has Principal "\\*"',
    ),
    "RCP with NotAction": (
        RESOURCE_CONTROL,
        {"Statement": {**without(DENY, "Action"), "NotAction": "s3:*", "Principal": "*"}},
        "no NotAction",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    kind, document, message = REFUSED[name]
    with pytest.raises(PolicyError, match=message):
        compile_policy(document, kind)


TAKEN: dict[str, tuple[PolicyKind, Any]] = {
    "a statement alone": (IDENTITY, {"Statement": ALLOW}),
    "a list": (IDENTITY, {"Version": "2008-10-17", "Statement": [ALLOW, DENY]}),
    "an Id and a Sid with spaces": (RESOURCE, {"Id": "key", "Statement": {**PUBLIC, "Sid": "Enable IAM policies"}}),
    "a trust policy": (TRUST, {"Statement": TRUSTED}),
    "a session as a principal": (
        RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": f"arn:aws:sts::{OWNER}:assumed-role/app/s"}}},
    ),
    "CloudFront's old identity": (
        RESOURCE,
        {
            "Statement": {
                **ALLOW,
                "Principal": {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"},
            }
        },
    ),
    "China": (RESOURCE, {"Statement": {**ALLOW, "Principal": {"AWS": f"arn:aws-cn:iam::{OWNER}:root"}}}),
    "an SCP with NotAction": (SERVICE_CONTROL, {"Statement": {**without(DENY, "Action"), "NotAction": "s3:*"}}),
    "an RCP that denies": (RESOURCE_CONTROL, {"Statement": {**DENY, "Principal": "*"}}),
    "a text in the old version": (IDENTITY, {"Statement": {**ALLOW, "Resource": f"{BUCKET}/${{"}}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    kind, document = TAKEN[name]
    policy = compile_policy(document, kind, name="the policy")
    assert [one.allows for one in policy.statements].count(True) == len(policy.allows)
    assert len(policy.allows) + len(policy.denies) == len(policy.statements)
    assert policy.statements[0].policy == "the policy"


def hashable(value: object) -> bool:
    return not isinstance(value, (list, dict))


# What isn't JSON at all, what is but no policy, and what is nearly one.
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=2),
    st.sampled_from(
        ["*", "*:*", "${aws:x}", "${", "Allow", "Deny", "s3:*", ROOT, OWNER, BUCKET, KEY, "true", "1.2", LATEST]
    ),
)
NAMES = st.sampled_from(
    [*sorted(_STATEMENT_ELEMENTS), "Version", "Id", "Statement", "AWS", "Service", *MATCHERS, "Null"]
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.just("s3:*"), "Resource": st.just("*")},
    optional={
        "Principal": st.just("*") | st.dictionaries(st.just("AWS") | st.just("CanonicalUser"), LEAVES, max_size=2),
        "Condition": st.dictionaries(NAMES, st.dictionaries(st.just("aws:x") | LEAVES.filter(hashable), NESTED)),
        "Sid": LEAVES,
    },
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PolicyKind),
    NESTED | st.fixed_dictionaries({"Version": st.just(LATEST), "Statement": NEARLY | NESTED}),
)
def test_whatever_is_no_policy_is_refused_in_words(kind: PolicyKind, document: object) -> None:
    with contextlib.suppress(PolicyError):
        compile_policy(document, kind)


def deep(depth: int) -> object:
    value: object = "a"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("element", [*sorted(_STATEMENT_ELEMENTS), "Unknown"])
def test_a_deep_document_is_refused_briefly(element: str) -> None:
    value = deep(100_000)
    for statement in ({**PUBLIC, element: value}, {**PUBLIC, element: {"StringEquals": {"aws:x": value}}}):
        with pytest.raises(PolicyError) as refused:
            compile_policy({"Version": LATEST, "Statement": statement}, RESOURCE)
        assert len(str(refused.value)) < 1000
    with pytest.raises(PolicyError):
        compile_policy(value, RESOURCE)


def test_a_long_document_is_taken_and_a_long_mistake_shown_briefly() -> None:
    resources = [f"{BUCKET}/{'*a?' * 20}/{number}" for number in range(300)]
    policy = compile_policy({"Statement": [{**ALLOW, "Resource": resources}] * 3}, IDENTITY)
    assert policy.allows[0].concerns(f"{BUCKET}/{'xax' * 20}/299", {})
    with pytest.raises(PolicyError) as refused:
        compile_policy({"Statement": {**ALLOW, "Action": ["s3:" + "*" * 100_000 + " "]}}, IDENTITY)
    assert len(str(refused.value)) < 1000

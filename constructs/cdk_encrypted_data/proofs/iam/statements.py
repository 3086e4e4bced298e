"""One statement of a policy, read once so that it decides fast.

The grammar is https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html; what a kind of policy
adds to it or leaves out stands where it is checked.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from cdk_encrypted_data.proofs.iam.conditions import Condition, compile_conditions
from cdk_encrypted_data.proofs.iam.patterns import (
    Context,
    Match,
    PolicyError,
    Unmodelled,
    listed,
    matches_one,
    resource,
    shown,
    variable_free,
    wildcard_regex,
)
from cdk_encrypted_data.proofs.iam.principals import Kind, Named, Principal, Principals, compile_principals

if TYPE_CHECKING:
    from typing import Any

Json: TypeAlias = "Mapping[str, Any]"

_ACTION = re.compile(r"[A-Za-z0-9\-]+:[A-Za-z0-9*?]+")
_STATEMENT_ELEMENTS = frozenset(
    (
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    )
)


class PolicyKind(Enum):
    """What a policy is attached to, in the words that a reason uses."""

    IDENTITY = "identity policy"
    RESOURCE = "resource policy"
    TRUST = "trust policy"  # a role's: no Resource, no NotPrincipal (reference_policies_elements_notprincipal.html)
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    SERVICE_CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"

    @property
    def names_principals(self) -> bool:
        """Whether its statements must say whom they are about."""
        return self in (PolicyKind.RESOURCE, PolicyKind.TRUST, PolicyKind.RESOURCE_CONTROL)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why nobody knows whether a statement applies; ``named`` is how directly it names the principal if it does."""

    reason: Unmodelled
    named: Named


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``sid`` is its Sid or, without one, its position from 0; ``written`` is the document's text."""

    policy: str
    sid: str
    allows: bool
    acts: Callable[[str], bool]
    concerns: Callable[[str, Context], bool]
    principals: Principals | None
    conditions: tuple[Condition, ...]
    written: Json = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        """Return its effect, its name and its policy."""
        return f"{'Allow' if self.allows else 'Deny'} {self.sid} ({self.policy})"

    def applies(self, action: str, target: str, who: Principal, context: Context, *, bounded: bool) -> Named | Doubt:
        """Return how directly it names the principal if it applies, ``Named.NOT`` if it doesn't, or the doubt.

        A doubt counts only if nothing certain makes the statement not apply. ``bounded``: the principal has a
        permissions boundary.
        """
        if not self.acts(action):
            return Named.NOT
        try:
            return self._applies_for_certain(target, who, context, bounded=bounded)
        except Unmodelled as doubt:
            return self._weigh(doubt, target, who, context, bounded=bounded)

    def _applies_for_certain(self, target: str, who: Principal, context: Context, *, bounded: bool) -> Named:
        if not self.concerns(target, context):
            return Named.NOT
        named = self._names(who, bounded=bounded)
        if named is Named.NOT or not all(condition.holds(context) for condition in self.conditions):
            return Named.NOT
        return named

    def _names(self, who: Principal, *, bounded: bool) -> Named:
        principals = self.principals
        if principals is None:
            return Named.DIRECTLY
        if principals.excepted:
            # "will always deny any IAM principal that has a permissions boundary policy attached, regardless of the
            # values specified in the NotPrincipal element" (reference_policies_elements_notprincipal.html).
            return Named.DIRECTLY if bounded or not principals.excepts(who) else Named.NOT
        if self.allows and principals.everyone and who.kind is Kind.WEB_OR_SAML and not principals.lists(who):
            # "the identity provider must be specified in the role's trust policy"
            # (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html).
            raise Unmodelled("AWS doesn't say whether '*' specifies an identity provider, which a role must trust")
        return principals.named(who)

    def _weigh(
        self, doubt: Unmodelled, target: str, who: Principal, context: Context, *, bounded: bool
    ) -> Named | Doubt:
        """Return the doubt, unless something else certainly makes the statement not apply."""
        try:
            named = self._names(who, bounded=bounded)
        except Unmodelled:
            named = Named.DIRECTLY
        tests: list[Callable[[], object]] = [
            lambda: self.concerns(target, context),
            *(functools.partial(condition.holds, context) for condition in self.conditions),
        ]
        if named is Named.NOT or any(_certainly_not(test) for test in tests):
            return Named.NOT
        return Doubt(Unmodelled(f"{self}: {doubt}"), named)


def compile_statement(statement: object, position: int, kind: PolicyKind, policy: str, *, variables: bool) -> Statement:
    """Compile one statement; what is wrong with it is said with its policy and its Sid or position."""
    try:
        return _compile(statement, position, kind, policy, variables=variables)
    except PolicyError as error:
        sid = statement.get("Sid", position) if isinstance(statement, Mapping) else position
        name = sid if isinstance(sid, str) else shown(sid)
        raise PolicyError(f"{policy}, statement {name}: {error}") from None


def _compile(statement: object, position: int, kind: PolicyKind, policy: str, *, variables: bool) -> Statement:
    if not isinstance(statement, Mapping):
        raise PolicyError(f"it is {shown(statement)}")
    if unknown := set(statement) - _STATEMENT_ELEMENTS:
        raise PolicyError(f"a statement has no element {shown(sorted(unknown, key=str))}")
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or (kind is not PolicyKind.RESOURCE and not re.fullmatch("[A-Za-z0-9]*", sid)):
        raise PolicyError(f"Sid {shown(sid)} is more than letters and digits")
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"Effect is {shown(effect)}, neither Allow nor Deny")
    compiled = Statement(
        policy=policy,
        sid=sid or str(position),
        allows=effect == "Allow",
        acts=_actions(statement),
        concerns=_resources(statement, kind, variables=variables),
        principals=_principals(statement, kind),
        conditions=compile_conditions(statement.get("Condition", {}), variables=variables),
        written=statement,
    )
    if kind is PolicyKind.RESOURCE_CONTROL:
        _check_resource_control(statement)
    return compiled


def _only(statement: Json, *elements: str) -> str:
    present = [element for element in elements if element in statement]
    if len(present) != 1:
        raise PolicyError(f"it has {' and '.join(present) or 'neither ' + ' nor '.join(elements)}, not exactly one")
    return present[0]


def _texts(statement: Json, element: str) -> list[str]:
    texts = [text for text in listed(statement[element]) if isinstance(text, str) and text]
    if not texts or len(texts) != len(listed(statement[element])):
        raise PolicyError(f"{element} is {shown(statement[element])}: neither a text nor a list of them")
    return texts


def _actions(statement: Json) -> Callable[[str], bool]:
    """Compile Action or NotAction; names are compared in lower case (reference_policies_elements_action.html)."""
    element = _only(statement, "Action", "NotAction")
    exact, patterns = set(), []
    for action in _texts(statement, element):
        if action != "*" and not _ACTION.fullmatch(variable_free(action)):
            raise PolicyError(f"{element} {shown(action)} isn't service:action")
        if "*" in action or "?" in action:
            patterns.append(wildcard_regex(action.lower()))
        else:
            exact.add(action.lower())
    named = _is_one_of(frozenset(exact), re.compile("|".join(patterns)).fullmatch if patterns else None)
    return named if element == "Action" else lambda action: not named(action)


def _is_one_of(exact: frozenset[str], pattern: Callable[[str], re.Match[str] | None] | None) -> Callable[[str], bool]:
    if pattern is None:
        return exact.__contains__
    return lambda action: action in exact or pattern(action) is not None


def _resources(statement: Json, kind: PolicyKind, *, variables: bool) -> Callable[[str, Context], bool]:
    if kind is PolicyKind.TRUST:
        if "Resource" in statement or "NotResource" in statement:
            raise PolicyError("a trust policy has no Resource: it is about its own role")
        return lambda _target, _context: True
    element = _only(statement, "Resource", "NotResource")
    matches = [resource(text, variables=variables) for text in _texts(statement, element)]
    positive = element == "Resource"
    return _concerns(matches, positive=positive, everything="*" in _texts(statement, element))


def _concerns(matches: list[Match], *, positive: bool, everything: bool) -> Callable[[str, Context], bool]:
    """A variable without a value matches no resource, in NotResource too (reference_policies_variables.html)."""
    if everything:
        return lambda _target, _context: positive

    def concerns(target: str, context: Context) -> bool:
        if target == "*":
            raise Unmodelled("the request has no resource of its own, the statement names one")
        return (matches_one(matches, target, context) is True) is positive

    return concerns


def _principals(statement: Json, kind: PolicyKind) -> Principals | None:
    if not kind.names_principals:
        if "Principal" in statement or "NotPrincipal" in statement:
            raise PolicyError(f"a statement of an {kind.value} has no principal: it is about what it is attached to")
        return None
    element = _only(statement, "Principal", "NotPrincipal")
    if element == "Principal":
        return compile_principals(statement[element])
    if kind is PolicyKind.TRUST or statement["Effect"] == "Allow":
        raise PolicyError("NotPrincipal is for Deny in a resource's policy only")
    return compile_principals(statement[element], excepted=True)


def _certainly_not(test: Callable[[], object]) -> bool:
    try:
        return not test()
    except Unmodelled:
        return False


def _check_resource_control(statement: Json) -> None:
    """What customers write only denies; the one Allow is RCPFullAWSAccess, which AWS attaches everywhere.

    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_syntax.html
    """
    if "NotAction" in statement or statement.get("Principal") != "*":
        raise PolicyError('a resource control policy has Principal "*" and no NotAction')
    full = all(statement.get(element) in ("*", ["*"]) for element in ("Action", "Resource"))
    if statement["Effect"] == "Allow" and (not full or "Condition" in statement):
        raise PolicyError("a resource control policy only denies, but for RCPFullAWSAccess")

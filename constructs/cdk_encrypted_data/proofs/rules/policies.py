"""Policies: whether AWS knows the actions and the condition keys that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Resource, StandIn, Undecided, listed, undecided_in
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable
from cdk_encrypted_data.proofs.iam import vocabulary
from cdk_encrypted_data.proofs.iam.conditions import compile_conditions
from cdk_encrypted_data.proofs.iam.patterns import PolicyError, Unmodelled
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.spaces import Prover

_REFERENCE: Final = (
    "https://docs.aws.amazon.com/service-authorization/latest/reference/"
    "reference_policies_actions-resources-contextkeys.html"
)
_USER_GUIDE: Final = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"

UNKNOWN_ACTION: Final = Rule(
    id="policy-unknown-action",
    severity=Severity.WARNING,
    claim="Each action that a policy names is one that its service has, as of November 2026.",
    because=(
        "IAM takes a policy with a misspelt action, or with an operation's name where the action has another, and no "
        "request ever asks for it: what should be allowed isn't, and what should be denied isn't either."
    ),
    remedy="Name the action as the Service Authorization Reference does; it lists which operation needs which.",
    sources=(_REFERENCE, f"{_USER_GUIDE}reference_policies_elements_action.html"),
)
UNKNOWN_KEY: Final = Rule(
    id="policy-unknown-condition-key",
    severity=Severity.WARNING,
    claim="Each condition key that a policy names is one that AWS documents, as of November 2026.",
    because=(
        "No request has another key. Whether its condition then never or always holds hangs on the operator, so that "
        "the statement has no effect, or has it without the condition."
    ),
    remedy="Name the condition key as AWS does: in the Service Authorization Reference, or among the global keys.",
    sources=(
        _REFERENCE,
        f"{_USER_GUIDE}reference_policies_condition-keys.html",
        f"{_USER_GUIDE}reference_policies_elements_condition_operators.html",
    ),
)

_DOCUMENTS: Final = ("AssumeRolePolicyDocument", "KeyPolicy", "PolicyDocument", "ResourcePolicy")


def _names(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for resource in inventory.assembly.resources():
        for place, document in _documents(resource):
            yield from _of_document(resource, place, document)


def _documents(resource: Resource) -> Iterator[tuple[str, Json]]:
    """Yield the policies that a resource holds, each with its place."""
    for name in _DOCUMENTS:
        yield f"Properties/{name}", resource.properties.get(name)
    inlines = resource.properties.get("Policies") if resource.type.startswith("AWS::IAM::") else None
    for position, inline in enumerate(listed(inlines)):
        document = inline.get("PolicyDocument") if isinstance(inline, Mapping) else inline
        yield f"Properties/Policies/{position}/PolicyDocument", document


def _of_document(resource: Resource, place: str, document: Json) -> Iterator[Outcome]:
    doubts: dict[str, Undecidable] = {}
    for position, statement in enumerate(_statements(document)):
        found: list[tuple[Rule, str | Undecided]] = []
        if isinstance(statement, Undecided):
            found = [(rule, statement) for rule in RULES]
        elif isinstance(statement, Mapping):
            name = f"statement {statement.get('Sid', position)}"
            found = [*_of_actions(name, statement), *_of_conditions(name, statement)]
        for rule, one in found:
            if isinstance(one, Undecided):
                doubts.setdefault(rule.id, Undecidable(rule, resource, one.reason))
            else:
                yield Finding(rule, resource, one, place)
    yield from doubts.values()


def _statements(document: Json) -> list[Json]:
    if isinstance(document, Undecided):
        return [document]
    return listed(document.get("Statement")) if isinstance(document, Mapping) else []


def _verbs(effect: Json) -> tuple[str, str]:
    verbs = {"Allow": ("allows", "allowed"), "Deny": ("denies", "denied")}
    return verbs.get(str(effect), ("says", "said"))


# Actions.


def _of_actions(name: str, statement: Mapping[str, Json]) -> Iterator[tuple[Rule, str | Undecided]]:
    for element in ("Action", "NotAction"):
        for action in listed(statement.get(element)):
            if isinstance(action, Undecided):
                yield UNKNOWN_ACTION, action
            elif isinstance(action, StandIn):
                yield UNKNOWN_ACTION, Undecided(f"which action {action!r} is can't be known before deployment", "")
            elif isinstance(action, str) and vocabulary.is_action(action) is False:
                yield UNKNOWN_ACTION, f"{name} {_without_action(element, action, statement.get('Effect'))}"


def _without_action(element: str, action: str, effect: Json) -> str:
    says, done = _verbs(effect)
    verb = "matches" if "*" in action or "?" in action else "is"
    what = f"{action}, which {verb} no action of {action.partition(':')[0].lower()}{_meant(action)}"
    if element == "NotAction":
        return f"{says} everything but {what}: it leaves nothing out, so what was meant is {done} too"
    return f"{says} {what}: no request asks for it, so nothing is {done} by it"


def _meant(action: str) -> str:
    if needed := vocabulary.action_of_operation(action):
        return f" (it is an operation, which needs the action {needed})"
    nearest = vocabulary.nearest_action(action)
    return "" if nearest is None else f" ({nearest} is the nearest)"


# Condition keys.


def _of_conditions(name: str, statement: Mapping[str, Json]) -> Iterator[tuple[Rule, str | Undecided]]:
    block = statement.get("Condition")
    for operator, keys in block.items() if isinstance(block, Mapping) else [("", block)]:
        if isinstance(keys, Undecided):
            yield UNKNOWN_KEY, keys
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            if isinstance(key, str) and vocabulary.is_condition_key(key) is False:
                nearest = vocabulary.nearest_condition_key(key)
                which = "" if nearest is None else f" ({nearest} is the nearest)"
                words = f"{name} has the condition {operator} {key}, and no request has such a key{which}"
                yield UNKNOWN_KEY, words + _meaning(_of_absent(operator, key, values), statement.get("Effect"))


def _meaning(holds: bool | None, effect: Json) -> str:  # noqa: FBT001 - what was found out
    says, _ = _verbs(effect)
    if holds is None:
        return ""
    if holds:
        return f": the condition always holds, so the statement {says} as if it weren't there"
    return f": the condition never holds, so the statement {says} nothing"


# Each operator takes one of them. What it says of a key that isn't there doesn't hang on the value, but for Null's.
_FITTING: Final = ("true", "1", "0.0.0.0/0")


def _of_absent(operator: str, key: str, values: Json) -> bool | None:
    """Whether a condition holds for want of its key; None where that isn't known."""
    if operator == "Null":
        return None if any(True for _ in undecided_in(values)) else _holds(operator, key, values)
    answers = (_holds(operator, key, value) for value in _FITTING)
    return next((answer for answer in answers if answer is not None), None)


def _holds(operator: str, key: str, values: Json) -> bool | None:
    try:
        (condition,) = compile_conditions({operator: {key: values}}, variables=False)
        return condition.holds({})
    except (PolicyError, Unmodelled):
        return None


CHECKS: Final = (_names,)
RULES: Final[tuple[Rule, ...]] = (UNKNOWN_ACTION, UNKNOWN_KEY)

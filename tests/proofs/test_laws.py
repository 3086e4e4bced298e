"""Laws that hold for all policies and requests, whatever the details of the language."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data.proofs.iam.evaluation import decide
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from tests.proofs.fuzz import Case, random_case, random_statement

Change = Callable[[Random, Case], Case]


def outcome(case: Case) -> bool | None:
    """Allowed, denied, or None where nothing decides."""
    try:
        return decide(case.request(), case.policies()).allowed
    except Unmodelled:
        return None


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    block = document["Statement"]
    return [block] if isinstance(block, dict) else list(block)


def edited(rng: Random, case: Case, edit: Callable[[list[dict[str, Any]], str], list[dict[str, Any]]]) -> Case:
    """The case with the statements of one of its documents, picked at random, edited."""
    kind = "trust" if case.is_trust else "resource"
    places = [("identity", "identity", place) for place in range(len(case.identity))]
    places += [("resource_policy", kind, 0)] if case.resource_policy else []
    places += [("boundary", "boundary", 0)] if case.boundary else []
    if not places:
        return case
    attribute, kind, place = rng.choice(places)
    if attribute == "identity":
        documents = list(case.identity)
        documents[place] = {**documents[place], "Statement": edit(statements(documents[place]), kind)}
        return dataclasses.replace(case, identity=documents)
    if attribute == "boundary":
        assert case.boundary is not None
        boundary = {**case.boundary, "Statement": edit(statements(case.boundary), kind)}
        return dataclasses.replace(case, boundary=boundary)
    assert case.resource_policy is not None
    resource_policy = {**case.resource_policy, "Statement": edit(statements(case.resource_policy), kind)}
    return dataclasses.replace(case, resource_policy=resource_policy)


def add(effect: str) -> Change:
    def change(rng: Random, case: Case) -> Case:
        service = case.action.partition(":")[0]

        def edit(block: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
            added = {**random_statement(rng, service, kind), "Effect": effect}
            if effect == "Allow" and "NotPrincipal" in added:
                added["Principal"] = added.pop("NotPrincipal")
            block.insert(rng.randrange(len(block) + 1), added)
            return block

        return edited(rng, case, edit)

    return change


def loosen(effect: str) -> Change:
    """Remove a condition of a statement with this effect."""

    def change(rng: Random, case: Case) -> Case:
        def edit(block: list[dict[str, Any]], _kind: str) -> list[dict[str, Any]]:
            for statement in block:
                if statement["Effect"] == effect and "Condition" in statement:
                    operators = dict(statement["Condition"])
                    operators.pop(rng.choice(sorted(operators)))
                    statement["Condition"] = operators
            return block

        return edited(rng, case, edit)

    return change


def shuffle(rng: Random, case: Case) -> Case:
    def edit(block: list[dict[str, Any]], _kind: str) -> list[dict[str, Any]]:
        rng.shuffle(block)
        return block

    return edited(rng, case, edit)


def split(rng: Random, case: Case) -> Case:
    """One statement for each action, each resource: lists are alternatives."""

    def edit(block: list[dict[str, Any]], _kind: str) -> list[dict[str, Any]]:
        parts = block
        for element in ("Action", "Resource"):
            parts = [
                {**statement, element: value} if element in statement else statement
                for statement in parts
                for value in (
                    statement[element] if isinstance(statement.get(element), list) else [statement.get(element)]
                )
            ]
        return parts

    return edited(rng, case, edit)


def drop_limits(_rng: Random, case: Case) -> Case:
    return dataclasses.replace(case, boundary=None)


LAWS: dict[str, tuple[Change, set[tuple[bool, bool]]]] = {
    # A change, and the pairs (before, after) that must never be.
    "adding a Deny never allows": (add("Deny"), {(False, True)}),
    "adding an Allow never denies": (add("Allow"), {(True, False)}),
    "the order of statements means nothing": (shuffle, {(False, True), (True, False)}),
    "a list of actions or resources is as many statements": (split, {(False, True), (True, False)}),
    "loosening a Deny never allows": (loosen("Deny"), {(False, True)}),
    "loosening an Allow never denies": (loosen("Allow"), {(True, False)}),
    "taking away a boundary never denies": (drop_limits, {(True, False)}),
}


@pytest.mark.parametrize("law", LAWS)
def test_law(law: str) -> None:
    change, forbidden = LAWS[law]
    seen: set[tuple[bool | None, bool | None]] = set()

    @settings(max_examples=800, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - repeatable
        case = random_case(rng)
        pair = outcome(case), outcome(change(rng, case))
        seen.add(pair)
        assert pair not in forbidden, f"seed {seed}: {pair}"

    holds()
    assert {(True, True), (False, False)} <= seen, seen
    if len(forbidden) == 1 and change is not drop_limits:
        # The law isn't empty: the other way round it does happen.
        ((before, after),) = forbidden
        assert (not before, not after) in seen, seen

"""Laws that hold for all policies and requests, whatever the details of the language."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data.proofs.iam.evaluation import decide
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from tests.proofs.fuzz import (
    FULL_ACCESS,
    IP,
    S3_CONTEXT,
    SECURE,
    SSE,
    TEAM,
    TIME,
    Case,
    random_case,
    random_levels,
    random_statement,
)

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


def edited(
    rng: Random,
    case: Case,
    edit: Callable[[list[dict[str, Any]], str], list[dict[str, Any]]],
    concerns: Callable[[dict[str, Any]], bool] = lambda _statement: True,
) -> Case:
    """The case with the statements edited of one of those documents, picked at random, that hold such a statement."""
    documents = case.documents()
    places = [place for place, (_, one) in enumerate(documents) if any(map(concerns, statements(one)))]
    if not places:
        return case
    picked = rng.choice(places)
    kind, document = documents[picked]
    changed = {**document, "Statement": edit(statements(document), kind)}
    return case.with_documents([changed if place == picked else one for place, (_, one) in enumerate(documents)])


def add(effect: str) -> Change:
    def change(rng: Random, case: Case) -> Case:
        service = case.action.partition(":")[0]

        def edit(block: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
            if kind == "rcp" and effect == "Allow":
                return block  # the one there is goes without saying
            added = {**random_statement(rng, service, kind), "Effect": effect}
            if effect == "Allow" and "NotPrincipal" in added:
                added["Principal"] = added.pop("NotPrincipal")
            block.insert(rng.randrange(len(block) + 1), added)
            return block

        return edited(rng, case, edit)

    return change


def loosen(effect: str) -> Change:
    """Remove a condition of the statements with this effect."""

    def concerns(statement: dict[str, Any]) -> bool:
        return statement["Effect"] == effect and "Condition" in statement

    def change(rng: Random, case: Case) -> Case:
        def edit(block: list[dict[str, Any]], _kind: str) -> list[dict[str, Any]]:
            for statement in filter(concerns, block):
                operators = dict(statement["Condition"])
                operators.pop(rng.choice(sorted(operators)))
                statement["Condition"] = operators
            return block

        return edited(rng, case, edit, concerns)

    return change


def shuffle(rng: Random, case: Case) -> Case:
    """The same policies, statements and lists in another order."""

    def shuffled(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        if isinstance(value, list):
            return rng.sample([shuffled(one) for one in value], len(value))
        if isinstance(value, dict):
            return {name: shuffled(value[name]) for name in rng.sample(list(value), len(value))}
        return value

    return dataclasses.replace(
        case,
        identity=shuffled(case.identity),
        resource_policy=shuffled(case.resource_policy),
        boundary=shuffled(case.boundary),
        session=shuffled(case.session),
        scps=shuffled(case.scps),
        rcps=shuffled(case.rcps),
    )


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
    return dataclasses.replace(case, boundary=None, session=None, scps=[], rcps=[])


# A condition on what nobody says.
UNSAID = [
    {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
    {"Null": {"aws:UserAgent": "true"}},
    {"StringNotLike": {"aws:ResourceOrgID": ["o-1", "o-2"]}},
    {"ForAnyValue:StringLike": {"aws:ResourceOrgPaths": "o-1/*"}},
]


def written(effect: str, action: str, kind: str) -> dict[str, Any]:
    """Return a statement about one action on everything, for everyone."""
    statement: dict[str, Any] = {"Effect": effect, "Action": action}
    statement |= {"Principal": "*"} if kind in ("resource", "trust", "rcp") else {}
    return statement | ({"Resource": "*"} if kind != "trust" else {})


def doubtful(effect: str, action: str, kind: str, rng: Random) -> dict[str, Any]:
    """Return a statement that applies or not, depending on what nobody says."""
    return {**written(effect, action, kind), "Condition": rng.choice(UNSAID)}


def add_doubtful(effect: str) -> Change:
    def change(rng: Random, case: Case) -> Case:
        def edit(block: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
            if kind != "rcp" or effect == "Deny":
                block.insert(rng.randrange(len(block) + 1), doubtful(effect, case.action, kind, rng))
            return block

        return edited(rng, case, edit)

    return change


ANY_CHANGE: set[tuple[bool | None, bool | None]] = {
    (before, after) for before in (True, False, None) for after in (True, False, None) if before is not after
}
LAWS: dict[str, tuple[Change, set[tuple[bool | None, bool | None]]]] = {
    # A change, and the pairs (before, after) that must never be.
    "adding a Deny never allows": (add("Deny"), {(False, True)}),
    "adding an Allow never denies": (add("Allow"), {(True, False)}),
    "order means nothing, of layers, policies, statements and values": (shuffle, ANY_CHANGE),
    "a list of actions or resources is as many statements": (split, ANY_CHANGE),
    "a doubtful Deny takes nothing from a denial": (
        add_doubtful("Deny"), {(False, None), (False, True), (True, False)},
    ),
    "a doubtful Allow takes nothing from a permission": (
        add_doubtful("Allow"), {(True, None), (True, False), (False, True)},
    ),
    "loosening a Deny never allows": (loosen("Deny"), {(False, True)}),
    "loosening an Allow never denies": (loosen("Allow"), {(True, False)}),
    "taking away what limits never denies": (drop_limits, {(True, False)}),
}  # fmt: skip


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
    if "doubtful" in law:
        assert (True in {before for before, after in seen if after is None}) is ("Deny" in law), seen
        assert (False in {before for before, after in seen if after is None}) is ("Allow" in law), seen


FORGOTTEN = [TEAM, IP, TIME, SECURE, SSE, S3_CONTEXT, "s3:RequestObjectTagKeys", "kms:ViaService"]


def test_what_is_decided_without_knowing_a_key_is_so_whatever_its_value() -> None:
    seen: Counter[tuple[bool | None, bool | None]] = Counter()

    @settings(max_examples=1500, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - repeatable
        case = random_case(rng)
        key = rng.choice([key for key in FORGOTTEN if key in case.context] or [IP])
        known = outcome(case)
        context = {name: value for name, value in case.context.items() if name != key}
        unknown = outcome(dataclasses.replace(case, context=context, unknown=[key]))
        seen[unknown, known] += 1
        assert unknown in (None, known) or known is None, f"seed {seed}: {key}: {unknown}, {known}"

    holds()
    # Most decisions don't hang on one key; some do.
    assert seen[True, True] > 50, seen
    assert seen[False, False] > 500, seen
    assert min(seen[None, True], seen[None, False]) > 5, seen


def doubtful_everywhere(rng: Random, case: Case) -> Case:
    """Put a doubtful statement into every document."""
    documents = []
    for kind, document in case.documents():
        added = doubtful(rng.choice(["Allow", "Deny"]) if kind != "rcp" else "Deny", case.action, kind, rng)
        block = statements(document)
        documents.append({**document, "Statement": rng.choice([[added, *block], [*block, added]])})
    return case.with_documents(documents)


def test_a_certain_no_of_one_layer_outweighs_doubts_in_all_others() -> None:
    found: set[str] = set()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - repeatable
        case = random_case(rng)
        if not case.documents():
            return
        documents = doubtful_everywhere(rng, case).documents()
        picked = rng.randrange(len(documents))
        kind, document = documents[picked]
        documents[picked] = kind, {**document, "Statement": [written("Deny", case.action, kind), *statements(document)]}
        assert outcome(case.with_documents([one for _, one in documents])) is False, f"seed {seed}: {kind}"
        found.add(kind)

    holds()
    assert found == {"identity", "resource", "trust", "boundary", "session", "scp", "rcp"}


def test_so_does_a_level_of_the_organization_that_allows_nothing() -> None:
    found: set[bool | None] = set()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - repeatable
        case = random_case(rng)
        if not case.caller.startswith("arn:"):
            return
        case = dataclasses.replace(case, scps=random_levels(rng, case.action.partition(":")[0], "scp"))
        doubts = doubtful_everywhere(rng, case)
        closed = {**FULL_ACCESS, "Statement": written("Allow", "ec2:DescribeInstances", "scp")}
        place = rng.randrange(len(doubts.scps) + 1)
        after = dataclasses.replace(doubts, scps=[*doubts.scps[:place], [closed], *doubts.scps[place:]])
        assert outcome(after) is False, f"seed {seed}"
        found.add(outcome(doubts))

    holds()
    assert None in found

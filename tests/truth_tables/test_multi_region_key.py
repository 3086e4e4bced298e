"""Who administers, uses, replicates and promotes the keys of a MultiRegionKeyPair, and what its grants give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracle.evaluator import Request
from tests.truth_tables.multi_region_key_table import (
    AWAY,
    CALLERS,
    CONTEXT,
    EXPECTED,
    GRANTED,
    HOME,
    OPENED,
    REGIONS,
    Deployment,
    calls,
    granted_calls,
)
from tests.truth_tables.synthesis import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.evaluator import Context, Evaluator, Policy


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return Deployment()


def _cell(evaluator: Evaluator, deployment: Deployment, pair: str, region: str, row: str) -> str:
    caller_name, _, call = row.partition(": ")
    caller, (action, context) = CALLERS[caller_name], calls(region)[call]
    statement = {"Effect": "Allow", "Action": caller.action, "Resource": "*"}
    policies: list[Policy] = [{"Version": "2012-10-17", "Statement": [statement]}] if caller.action else []
    decision = evaluator.decide(
        Request(principal=caller.principal, action=action, resource=deployment.key_arn(pair, region), context=context),
        account=ACCOUNT,
        identity_policies=policies,
        resource_policy=deployment.key_policy(pair, region),
    )
    return "ok" if decision.allowed else "D"


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("pair", EXPECTED)
def test_who_may_what(evaluator: Evaluator, deployment: Deployment, pair: str, region: str) -> None:
    found = {row: _cell(evaluator, deployment, pair, region, row) for row in EXPECTED[pair]}
    assert found == EXPECTED[pair]


def test_what_withstands_a_statement_of_the_owners_own(evaluator: Evaluator, deployment: Deployment) -> None:
    found = {row: _cell(evaluator, deployment, "opened", HOME, row) for row in OPENED["opened"]}
    assert found == OPENED["opened"]


def test_every_refusal_has_a_twin_that_passes() -> None:
    """A call that nobody may make in any shape of the policy is one that a typing error could refuse."""
    tables: list[Mapping[str, str]] = [*EXPECTED.values(), *OPENED.values()]
    passing = {row.partition(": ")[2] for cells in tables for row, cell in cells.items() if cell == "ok"}
    never = {
        # Twins: in the pair, for its distribution, through S3 of the own Region, through S3.
        "replicates elsewhere",
        "promotes elsewhere",
        "decrypts for another distribution",
        "decrypts for another account",
        "decrypts through S3 of the other Region",
        "makes a data key through S3 of the other Region",
        "decrypts itself what S3 encrypted",
        "encrypts itself",
        "re-encrypts itself",
        "grants by hand",
    }
    assert passing == set(calls(HOME)) - never


class _Grantee:
    """A role with one grant, trying things in one Region."""

    def __init__(self, evaluator: Evaluator, deployment: Deployment, grant: str, region: str) -> None:
        self._evaluator, self._deployment, self._grant, self._region = evaluator, deployment, grant, region
        self._pair = "named" if grant == "named" else "granted"

    def may(self, action: str, context: Context, *, pair: str | None = None) -> str:
        pair = pair or self._pair
        decision = self._evaluator.decide(
            Request(
                principal=self._deployment.role_arn(self._grant),
                action=action,
                resource=self._deployment.key_arn(pair, self._region),
                context=context,
            ),
            account=ACCOUNT,
            identity_policies=self._deployment.identity_policies(self._grant),
            resource_policy=self._deployment.key_policy(pair, self._region),
        )
        return "ok" if decision.allowed else "D"


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("grant", GRANTED)
def test_what_a_grant_lets_do(evaluator: Evaluator, deployment: Deployment, grant: str, region: str) -> None:
    grantee = _Grantee(evaluator, deployment, grant, region)
    found = {call: grantee.may(action, context) for call, (action, context) in granted_calls(region).items()}
    assert found == GRANTED[grant]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("grant", [*GRANTED, "nothing"])
def test_a_grant_is_for_one_pair(evaluator: Evaluator, deployment: Deployment, grant: str, region: str) -> None:
    grantee = _Grantee(evaluator, deployment, grant, region)
    for action, context in granted_calls(region).values():
        assert grantee.may(action, context, pair="default") == "D"
    said: Context = {f"kms:EncryptionContext:{name}": value for name, value in CONTEXT.items()}
    own = {grantee.may(action, said) for action in ("kms:Decrypt", "kms:GenerateDataKey")}
    assert ("ok" in own) is (grant != "nothing")


def test_the_keys_of_a_pair_have_one_id(deployment: Deployment) -> None:
    here, there = (deployment.key_arn("default", region) for region in (HOME, AWAY))
    assert here.replace(HOME, AWAY) == there
    assert "key/mrk-" in here

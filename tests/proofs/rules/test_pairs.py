"""Each rule by a pair of templates: one in which it finds something and one, as near as can be, in which it doesn't.

``fires*.yaml`` begins with a comment that says what is wrong. The findings' words are a snapshot: people read them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import Proof, prove
from cdk_encrypted_data.proofs.rules import RULES

PAIRS = Path(__file__).parent / "pairs"
FIRING = sorted(PAIRS.glob("*/fires*"))
HOLDING = sorted(PAIRS.glob("*/holds*"))


def proven(template: Path) -> Proof:
    return prove(Assembly.read(template))


def test_every_rule_has_its_pair() -> None:
    assert {path.parent.name for path in FIRING} == set(RULES)
    assert {path.parent.name for path in HOLDING} == set(RULES)


@pytest.mark.parametrize("template", FIRING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_fires(template: Path, snapshot: SnapshotAssertion) -> None:
    found = [one for one in proven(template).findings if one.rule.id == template.parent.name]
    assert found
    assert [f"{one.resource.logical_id}: {one.counterexample}" for one in found] == snapshot


@pytest.mark.parametrize("template", HOLDING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_holds(template: Path) -> None:
    proof = proven(template)
    assert [one for one in proof.findings if one.rule.id == template.parent.name] == []
    assert [one for one in proof.undecidable if one.rule.id == template.parent.name] == []

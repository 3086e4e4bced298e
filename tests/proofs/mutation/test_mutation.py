"""Break templates in every way, one place at a time: each break that changes what they mean is found.

A mutant that no rule reports has to be shown to mean the same: either its policies decide every request of the joint
space alike (``equivalence``), or its place is one of ``HARMLESS``, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Json
from cdk_encrypted_data.proofs.proof import Proof, prove
from tests.proofs.mutation.equivalence import difference
from tests.proofs.mutation.mutants import Mutant, mutants
from tests.proofs.mutation.templates import TEMPLATES

# By the mutant's name: what it changes without harm, and why.
HARMLESS: Mapping[str, str] = {}


def proven(template: Json) -> Proof:
    return prove(Assembly.of([StackTemplate(id="Test", template=template)]))


def found(proof: Proof) -> set[tuple[str, str, str]]:
    findings = {(one.rule.id, one.resource.logical_id, one.counterexample) for one in proof.findings}
    return findings | {(one.rule.id, one.resource.logical_id, one.reason) for one in proof.undecidable}


def survivors(template: Json) -> tuple[int, list[Mutant]]:
    before = found(proven(template))
    made = list(mutants(template))
    return len(made), [mutant for mutant in made if found(proven(mutant.template)) <= before]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_mutant_is_caught_or_means_the_same(name: str) -> None:
    template = TEMPLATES[name]()
    count, left = survivors(template)
    assert count > 20
    unexplained = []
    for mutant in left:
        if any(re.fullmatch(pattern, mutant.name) for pattern in HARMLESS):
            continue
        why = difference(template, mutant.template)
        if why is not None:
            unexplained.append(f"{mutant.name}: {why}")
    assert unexplained == []

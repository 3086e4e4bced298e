"""Prove an assembly: every rule over everything in it, with what was acknowledged set apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Gap, Resource
from cdk_encrypted_data.proofs.findings import Finding, Severity, Undecidable, readable
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import CHECKS
from cdk_encrypted_data.proofs.spaces import Prover

NAME: Final = "EncryptionProofs"
"""What stands before ``::`` and a rule's id where the CDK's acknowledgements name it."""

METADATA: Final = "cdk-encrypted-data"
"""Under this a resource's Metadata says what is acknowledged: ``{"acknowledge": {"RULE": "the reason"}}``."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A finding that somebody accepted, with the reason."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How it ended. ``requests`` is how many were decided, ``subjects`` what they were about."""

    findings: tuple[Finding, ...]
    acknowledged: tuple[Acknowledged, ...]
    undecidable: tuple[Undecidable, ...]
    gaps: tuple[Gap, ...]
    requests: int
    subjects: Mapping[str, int]

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding."""
        return max((finding.rule.severity for finding in self.findings), default=None)


def prove(assembly: Assembly, *, acknowledgements: bool = True, prover: Prover | None = None) -> Proof:
    """Prove an assembly. Nothing is guessed: what can't be decided is said so.

    Without ``acknowledgements`` a finding that somebody accepted is a finding like others. ``prover`` goes through the
    requests, by default one that has seen no other assembly.
    """
    inventory, prover = Inventory(assembly), prover or Prover()
    decided_before = prover.requests
    findings: list[Finding] = []
    acknowledged: list[Acknowledged] = []
    undecidable: list[Undecidable] = []
    for check in CHECKS:
        for one in check(inventory, prover):
            if isinstance(one, Undecidable):
                undecidable.append(Undecidable(one.rule, one.resource, readable(one.reason, inventory)))
                continue
            finding = Finding(one.rule, one.resource, readable(one.counterexample, inventory), one.place)
            if acknowledgements and (reason := _reason(assembly, one.resource, one.rule.id)):
                acknowledged.append(Acknowledged(finding, reason))
            else:
                findings.append(finding)
    return Proof(
        tuple(sorted(findings, key=lambda one: -one.rule.severity)),
        tuple(acknowledged),
        tuple(undecidable),
        assembly.gaps,
        prover.requests - decided_before,
        {
            "buckets": len(inventory.buckets),
            "keys": len(inventory.keys),
            "roles and users": len(inventory.callers),
            "stacks": len(assembly.stacks),
        },
    )


def _reason(assembly: Assembly, resource: Resource, rule: str) -> str | None:
    """Return why a finding was accepted: in the resource's Metadata, or at a construct around it."""
    ours = resource.metadata.get(METADATA)
    written = ours.get("acknowledge") if isinstance(ours, Mapping) else None
    given = [written] if isinstance(written, Mapping) else []
    stack = assembly.stack(resource.stack)
    path = resource.construct_path or ""
    while path:
        given.append(stack.acknowledged.get(path, {}))
        path = path.rpartition("/")[0]
    for rules in given:
        reason = rules.get(f"{NAME}::{rule}", rules.get(rule))
        if isinstance(reason, str) and reason.strip():
            return reason
    return None

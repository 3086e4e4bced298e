"""Replication: whether each rule copies what it should, and whether its role can do that and nothing else."""

from __future__ import annotations

from typing import Final

from cdk_encrypted_data.proofs.findings import Rule

CHECKS: Final = ()
RULES: Final[tuple[Rule, ...]] = ()

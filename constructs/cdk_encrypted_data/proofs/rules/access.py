"""Roles and users: whether what they were granted works, and whether it is no more than that."""

from __future__ import annotations

from typing import Final

from cdk_encrypted_data.proofs.findings import Rule

CHECKS: Final = ()
RULES: Final[tuple[Rule, ...]] = ()

"""Glue jobs: whether what they process is encrypted, and whether their roles can do the job."""

from __future__ import annotations

from typing import Final

from cdk_encrypted_data.proofs.findings import Rule

CHECKS: Final = ()
RULES: Final[tuple[Rule, ...]] = ()

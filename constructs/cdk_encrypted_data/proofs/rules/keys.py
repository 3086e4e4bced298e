"""Keys: who can administer them, who can use them and through what, and whether who must use them can."""

from __future__ import annotations

from typing import Final

from cdk_encrypted_data.proofs.findings import Rule

CHECKS: Final = ()
RULES: Final[tuple[Rule, ...]] = ()

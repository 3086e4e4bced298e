"""Who reaches whose data: customer from customer, and by assuming other roles."""

from __future__ import annotations

from typing import Final

from cdk_encrypted_data.proofs.findings import Rule

CHECKS: Final = ()
RULES: Final[tuple[Rule, ...]] = ()

"""What is proven of an assembly: one module for each kind of thing, each check yielding findings of its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.findings import Outcome, Rule
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import access, buckets, isolation, jobs, keys, replication
from cdk_encrypted_data.proofs.spaces import Prover

Check: TypeAlias = "Callable[[Inventory, Prover], Iterator[Outcome]]"

_AREAS: Final = (buckets, keys, access, replication, jobs, isolation)
CHECKS: Final[tuple[Check, ...]] = tuple(check for area in _AREAS for check in area.CHECKS)
RULES: Final[Mapping[str, Rule]] = {rule.id: rule for area in _AREAS for rule in area.RULES}
"""Every rule, by its id."""

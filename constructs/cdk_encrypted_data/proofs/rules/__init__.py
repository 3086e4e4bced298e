"""What is proven of an assembly: one module for each kind of thing, each check yielding findings of its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.findings import Outcome, Rule
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import (
    access,
    bucket_access,
    bucket_encryption,
    bucket_logs,
    bucket_settings,
    buckets,
    isolation,
    job_settings,
    jobs,
    key_contexts,
    key_separation,
    key_services,
    key_settings,
    keys,
    policies,
    replication,
    replication_roles,
    role_powers,
    roles,
)
from cdk_encrypted_data.proofs.spaces import Prover

Check: TypeAlias = "Callable[[Inventory, Prover], Iterator[Outcome]]"

_AREAS: Final = (
    buckets,
    bucket_access,
    bucket_encryption,
    bucket_settings,
    bucket_logs,
    keys,
    key_separation,
    key_services,
    key_settings,
    key_contexts,
    access,
    roles,
    role_powers,
    replication,
    replication_roles,
    job_settings,
    jobs,
    isolation,
    policies,
)
CHECKS: Final[tuple[Check, ...]] = tuple(check for area in _AREAS for check in area.CHECKS)
RULES: Final[Mapping[str, Rule]] = {rule.id: rule for area in _AREAS for rule in area.RULES}
"""Every rule, by its id."""

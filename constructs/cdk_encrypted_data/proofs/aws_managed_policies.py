"""What AWS's managed policies allow, for those that roles beside encrypted data often have.

From https://docs.aws.amazon.com/aws-managed-policy/latest/reference/; AWS may widen them, and says so there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

AWS_MANAGED_POLICIES: Final[Mapping[str, Mapping[str, Any]]] = {}
"""By the name behind ``policy/``; the resource ``*`` where AWS writes it."""

"""Policy documents, read once into statements. An error names the policy, the statement and the element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdk_encrypted_data.proofs.iam.patterns import PolicyError, listed, shown
from cdk_encrypted_data.proofs.iam.statements import PolicyKind, Statement, compile_statement

_DOCUMENT_ELEMENTS = frozenset(("Version", "Id", "Statement"))


@dataclass(frozen=True, slots=True)
class Policy:
    """A document, compiled. ``denies`` and ``allows`` are its statements in their order."""

    name: str
    kind: PolicyKind
    statements: tuple[Statement, ...]
    denies: tuple[Statement, ...] = field(init=False)
    allows: tuple[Statement, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Part the statements by effect."""
        object.__setattr__(self, "denies", tuple(one for one in self.statements if not one.allows))
        object.__setattr__(self, "allows", tuple(one for one in self.statements if one.allows))


def compile_policy(document: object, kind: PolicyKind, *, name: str | None = None) -> Policy:
    """Compile a document as the kind of policy it is attached as; ``name`` is what reasons call it."""
    name = name or kind.value
    if not isinstance(document, Mapping):
        raise PolicyError(f"{name}: a policy is {shown(document)}, not a map")
    if unknown := set(document) - _DOCUMENT_ELEMENTS:
        raise PolicyError(f"{name}: a policy has no element {shown(sorted(unknown, key=str))}")
    version = document.get("Version", "2008-10-17")
    if version not in ("2008-10-17", "2012-10-17"):
        raise PolicyError(f"{name}: Version {shown(version)} is neither 2008-10-17 nor 2012-10-17")
    if "Id" in document and not kind.names_principals:
        raise PolicyError(f"{name}: an {kind.value} has no Id")
    block = document.get("Statement")
    written = listed(block)
    if not written or not isinstance(block, (Mapping, Sequence)) or isinstance(block, (str, bytes)):
        raise PolicyError(f"{name}: Statement is {shown(block)}: neither a statement nor a list of them")
    statements = []
    for position, statement in enumerate(written):
        statements.append(compile_statement(statement, position, kind, name, variables=version == "2012-10-17"))
    sids = [one["Sid"] for one in written if isinstance(one, Mapping) and one.get("Sid")]  # "" is none
    if kind is not PolicyKind.RESOURCE and len(set(sids)) != len(sids):
        raise PolicyError(f"{name}: a Sid is there twice: {sorted(sids)}")
    return Policy(name, kind, tuple(statements))

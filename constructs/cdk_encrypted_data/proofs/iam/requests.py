"""One call as policies see it: who, what, on which resource of which account, and the context keys.

What AWS derives from the principal and the resource is filled in; what is always in a request, with a value that only
the caller knows, decides nothing until it is said. Every other key that isn't said is absent. Source of each key:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html and, for kms:CallerAccount,
https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.iam.patterns import Value, is_arn
from cdk_encrypted_data.proofs.iam.principals import Kind, Principal

Said: TypeAlias = "Mapping[str, str | Sequence[str] | None]"
"""Context keys: one value, several, or None for a key that is known to be absent."""

_ACTION = re.compile(r"[A-Za-z0-9\-]+:[A-Za-z0-9]+")
_ENCRYPTION_CONTEXT: Final = "kms:encryptioncontext:"
# The same principals ask for the same actions over and over.
_CACHED: Final = 4096

_UNKNOWN_UNLESS_SAID: Final = (
    "aws:currenttime",
    "aws:epochtime",
    "aws:requestedregion",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:securetransport",
    "aws:sourceip",
    "aws:useragent",
)
_UNKNOWN_OF_S3: Final = ("s3:authtype", "s3:signatureage", "s3:signatureversion", "s3:tlsversion")
# AWS documents neither their presence nor their value for a service principal, nor before a role is assumed.
_UNKNOWN_OF_SERVICES: Final = ("aws:principalaccount", "aws:principalarn", "aws:principaltype", "kms:calleraccount")
# Users and root may come with temporary credentials too: whether they do, only the caller knows.
_UNKNOWN_OF_ACCOUNTS: Final = (
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:tokenissuetime",
    "aws:userid",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One call. ``resource`` is an ARN, or ``*`` for an action without one; ``resource_account`` owns it.

    ``unknown`` names further keys whose presence and value nobody knows.
    """

    principal: Principal
    action: str
    resource: str
    resource_account: str
    said: Said = field(default_factory=dict)
    unknown: Iterable[str] = ()
    # The context as policies see it, by lower-case key.
    context: Mapping[str, Value] = field(init=False, compare=False, repr=False)
    lowered_action: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Fill in the context; raise ValueError on a request that can't be."""
        if not _ACTION.fullmatch(self.action):
            raise ValueError(f"not an action: {self.action}")
        if self.resource != "*":
            if not is_arn(self.resource):
                raise ValueError(f"not an ARN: {self.resource}")
            owner = self.resource.split(":", 5)[4]
            if owner not in ("", self.resource_account):
                raise ValueError(f"{self.resource} isn't of account {self.resource_account}")
        object.__setattr__(self, "lowered_action", self.action.lower())
        object.__setattr__(self, "context", self._context())

    def __str__(self) -> str:
        """Return who asks for what."""
        return f"{self.action} on {self.resource} by {self.principal}"

    @property
    def crosses_accounts(self) -> bool:
        """Whether the principal is of another account than the resource."""
        return self.principal.account != self.resource_account

    def _context(self) -> dict[str, Value]:
        said = {key.lower(): _value(value) for key, value in self.said.items() if value is not None}
        unknown = {*map(str.lower, self.unknown)}
        derived = {
            **_derived(self.principal, self.lowered_action, self.resource_account),
            **self._implied(said, unknown),
        }
        context = {
            **_unknown(self.principal, self.lowered_action),
            **dict.fromkeys(unknown),
            **said,
        }
        if said.get("aws:securetransport") == "false" and "s3:tlsversion" not in said:
            # AWS doesn't say whether plain HTTP has one, and no version is the worse for those who rely on it.
            context.pop("s3:tlsversion", None)
        for key, value in derived.items():
            if key in unknown:
                continue
            if said.get(key, value) != value:
                raise ValueError(f"{key} is {value!r} for {self.principal}, the request says {said[key]!r}")
            context[key] = value
        absent = [key.lower() for key, value in self.said.items() if value is None]
        if len(said) + len(absent) != len(self.said):
            raise ValueError(f"a key is said twice: {sorted(self.said)}")
        for key in absent:
            if key in derived:
                raise ValueError(f"{key} is {derived[key]!r} for {self.principal}, the request says that it is absent")
            context.pop(key, None)
        return context

    def _implied(self, said: Mapping[str, Value], unknown: set[str]) -> dict[str, Value]:
        """Return what other keys of the request say; what hangs on unknown ones becomes unknown itself."""
        implied: dict[str, Value] = {}
        through = {"kms:viaservice", "aws:calledvia"}
        if through & unknown:
            unknown.add("aws:viaawsservice")
        elif "aws:viaawsservice" not in said:
            implied["aws:viaawsservice"] = "true" if through & said.keys() else "false"
        names = tuple(
            key.split(":", 2)[2]
            for key, value in self.said.items()
            if value is not None and key.lower().startswith(_ENCRYPTION_CONTEXT)
        )
        if any(key.startswith(_ENCRYPTION_CONTEXT) for key in unknown):
            unknown.add("kms:encryptioncontextkeys")
        elif names:
            implied["kms:encryptioncontextkeys"] = names
        return implied


def _value(said: str | Sequence[str]) -> str | tuple[str, ...]:
    return said if isinstance(said, str) else tuple(said)


@functools.lru_cache(maxsize=_CACHED)
def _unknown(who: Principal, action: str) -> Mapping[str, None]:
    unknown: tuple[str, ...] = _UNKNOWN_UNLESS_SAID
    if action.startswith("s3:"):
        unknown += _UNKNOWN_OF_S3
    if who.kind in (Kind.SERVICE, Kind.WEB_OR_SAML):
        return dict.fromkeys(unknown + _UNKNOWN_OF_SERVICES)
    return dict.fromkeys(unknown + (_UNKNOWN_OF_ACCOUNTS if who.account else ()))


@functools.lru_cache(maxsize=_CACHED)
def _derived(who: Principal, action: str, resource_account: str) -> Mapping[str, Value]:
    context: dict[str, Value] = {"aws:resourceaccount": resource_account}
    if action.startswith("s3:"):
        context["s3:resourceaccount"] = resource_account
    if who.kind is Kind.SERVICE:
        return context | {
            "aws:principalisawsservice": "true",
            "aws:principalservicename": who.name,
            "aws:principalservicenameslist": (who.name,),
        }
    if who.kind is Kind.WEB_OR_SAML:
        return context
    if who.account is None:
        return context | {
            "aws:principalaccount": "anonymous",
            "aws:principaltype": "Anonymous",
            "aws:userid": "anonymous",
        }
    context |= {
        "aws:principalaccount": who.account,
        "aws:principalarn": who.arn,
        "aws:principalisawsservice": "false",
        "aws:principaltype": who.kind.value,
    }
    if who.kind is Kind.ROOT:
        context["aws:userid"] = who.account
    if who.kind is Kind.USER:
        context["aws:username"] = who.name.rpartition("/")[2]
    if action.startswith("kms:"):
        context["kms:calleraccount"] = who.account
    return context

"""One call as policies see it: who, what, on which resource of which account, and the context keys.

What AWS derives from the principal and the resource is filled in; what is always in a request, with a value that only
the caller knows, decides nothing until it is said. Every other key that isn't said is absent, tags too. Source of each
key: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html, for sts:RoleSessionName
reference_policies_iam-condition-keys.html beside it, and for those of KMS
https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cdk_encrypted_data.proofs.iam.patterns import AtLeast, Value, is_arn
from cdk_encrypted_data.proofs.iam.principals import Kind, Principal

if TYPE_CHECKING:
    from typing import Any

Said: TypeAlias = "Mapping[str, str | Sequence[str] | None]"
"""Context keys: one value, several, or None for a key that is known to be absent."""

_ACTION = re.compile(r"[A-Za-z0-9\-]+:[A-Za-z0-9]+")
_ENCRYPTION_CONTEXT: Final = "kms:encryptioncontext:"
_REQUEST_TAG: Final = "aws:requesttag/"
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
# Properties of the key that a request uses or makes; which aliases and of which kind, if any.
_UNKNOWN_OF_KEYS: Final = (
    "kms:customermasterkeyspec",
    "kms:customermasterkeyusage",
    "kms:keyorigin",
    "kms:keyspec",
    "kms:keyusage",
    "kms:multiregion",
    "kms:multiregionkeytype",
    "kms:resourcealiases",
)
# Parameters that have a default, or that KMS refuses the request without.
_UNKNOWN_OF_KMS: Final[Mapping[str, tuple[str, ...]]] = {
    "encryptionalgorithm": (
        "decrypt",
        "encrypt",
        "generatedatakey",
        "generatedatakeypair",
        "generatedatakeypairwithoutplaintext",
        "generatedatakeywithoutplaintext",
        "reencryptfrom",
        "reencryptto",
    ),
    "datakeypairspec": ("generatedatakeypair", "generatedatakeypairwithoutplaintext"),
    "grantoperations": ("creategrant",),
    "granteeprincipal": ("creategrant",),
    "macalgorithm": ("generatemac", "verifymac"),
    "signingalgorithm": ("sign", "verify"),
}
_UNKNOWN_OF_ASSUMPTIONS: Final = ("sts:rolesessionname",)
# AWS documents neither their presence nor their value for a service principal, nor before a role is assumed.
_UNKNOWN_OF_OTHERS: Final = ("aws:principalaccount", "aws:principalarn", "aws:principaltype", "kms:calleraccount")
# Whether the account that a service acts for is in an organization.
_UNKNOWN_OF_SERVICES: Final = ("aws:sourceorgid", "aws:sourceorgpaths")
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

    ``unknown`` names further keys whose presence and value nobody knows; ``aws:PrincipalTag/`` and its like, and
    ``kms:EncryptionContext:``, stand for every key that begins so and isn't said.
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
            self._refuse_alias()
        object.__setattr__(self, "lowered_action", self.action.lower())
        object.__setattr__(self, "context", self._context())

    def __str__(self) -> str:
        """Return who asks for what."""
        return f"{self.action} on {self.resource} by {self.principal}"

    @property
    def crosses_accounts(self) -> bool:
        """Whether the principal is of another account than the resource."""
        return self.principal.account != self.resource_account

    def _refuse_alias(self) -> None:
        """An alias is a resource only for its own administration.

        https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html
        """
        action = self.action.lower()
        if action.startswith("kms:") and ":alias/" in self.resource and not action.endswith("alias"):
            raise ValueError(
                f"{self.action} is authorized on a key, not on {self.resource}: ask with the key's ARN as the resource,"
                " and say kms:RequestAlias if the request names the alias"
            )

    def _context(self) -> Mapping[str, Value]:
        said = {key.lower(): _value(value) for key, value in self.said.items() if value is not None}
        lowered = {*map(str.lower, self.unknown)}
        prefixes = tuple(key for key in lowered if key.endswith("/") or key == _ENCRYPTION_CONTEXT)
        unknown = lowered.difference(prefixes)
        derived = {
            **_derived(self.principal, self.lowered_action, self.resource_account),
            **self._implied(said, unknown, prefixes),
        }
        context = {
            **_unknown(self.principal, self.lowered_action, of_a_key=":key/" in self.resource),
            **dict.fromkeys(unknown),
            **said,
        }
        if said.get("aws:securetransport") == "false" and "s3:tlsversion" not in said:
            # AWS doesn't say whether plain HTTP has one, and no version is the worse for those who rely on it.
            context.pop("s3:tlsversion", None)
        for key, value in derived.items():
            if key in unknown:
                continue
            if key not in said:
                context[key] = value
            elif _contradicts(said[key], value):
                raise ValueError(f"{key} is {value!r} for {self.principal}, the request says {said[key]!r}")
        absent = [key.lower() for key, value in self.said.items() if value is None]
        if len(said) + len(absent) != len(self.said):
            raise ValueError(f"a key is said twice: {sorted(self.said)}")
        for key in absent:
            if key in derived:
                raise ValueError(f"{key} is {derived[key]!r} for {self.principal}, the request says that it is absent")
            context.pop(key, None)
        return _Open(context, prefixes, frozenset(absent)) if prefixes else context

    def _implied(self, said: Mapping[str, Value], unknown: set[str], prefixes: tuple[str, ...]) -> dict[str, Value]:
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
        open_ = (*unknown, *prefixes)
        if any(key.startswith(_REQUEST_TAG) for key in open_):
            unknown.add("aws:tagkeys")
        if any(key.startswith(_ENCRYPTION_CONTEXT) for key in open_):
            unknown.add("kms:encryptioncontextkeys")
        elif names:
            # Whoever says the keys themselves may say more of them than the values.
            listed = "kms:encryptioncontextkeys" in said
            implied["kms:encryptioncontextkeys"] = AtLeast(names) if listed else names
        return implied


class _Open(dict[str, Value]):
    """A context in which every key that begins so is unknown, unless it is there or known to be absent."""

    def __init__(self, known: Mapping[str, Value], prefixes: tuple[str, ...], absent: frozenset[str]) -> None:
        super().__init__(known)
        self._prefixes = prefixes
        self._absent = absent

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._is_open(key)

    def __missing__(self, key: str) -> Value:
        if self._is_open(key):
            return None
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as a dict's
        return super().get(key, None if self._is_open(key) else default)

    def _is_open(self, key: object) -> bool:
        return isinstance(key, str) and key.startswith(self._prefixes) and key not in self._absent


def _value(said: str | Sequence[str]) -> str | tuple[str, ...]:
    return said if isinstance(said, str) else tuple(said)


def _contradicts(said: Value, derived: Value) -> bool:
    if isinstance(derived, AtLeast) and said is not None:
        listed = {said.lower()} if isinstance(said, str) else {one.lower() for one in said}
        return not {one.lower() for one in derived} <= listed
    return said != derived


@functools.lru_cache(maxsize=_CACHED)
def _unknown(who: Principal, action: str, *, of_a_key: bool) -> Mapping[str, None]:
    unknown: tuple[str, ...] = _UNKNOWN_UNLESS_SAID
    service, _, operation = action.partition(":")
    if service == "s3":
        unknown += _UNKNOWN_OF_S3
    if service == "kms":
        unknown += _UNKNOWN_OF_KEYS if of_a_key or operation == "createkey" else ()
        unknown += tuple(f"kms:{key}" for key, operations in _UNKNOWN_OF_KMS.items() if operation in operations)
    if service == "sts":
        unknown += _UNKNOWN_OF_ASSUMPTIONS
    if who.kind in (Kind.SERVICE, Kind.WEB_OR_SAML, Kind.ORIGIN_ACCESS_IDENTITY):
        unknown += _UNKNOWN_OF_OTHERS + (_UNKNOWN_OF_SERVICES if who.kind is Kind.SERVICE else ())
    elif who.account is not None:
        unknown += _UNKNOWN_OF_ACCOUNTS
    return dict.fromkeys(unknown)


@functools.lru_cache(maxsize=_CACHED)
def _derived(who: Principal, action: str, resource_account: str) -> Mapping[str, Value]:
    context: dict[str, Value] = {"aws:resourceaccount": resource_account}
    if action.startswith("s3:"):
        context["s3:resourceaccount"] = resource_account
    if who.kind is Kind.SERVICE:
        return context | {
            "aws:principalisawsservice": "true",
            "aws:principalservicename": who.name,
            # "All service principal names associated with the Regional instance of the service"
            "aws:principalservicenameslist": AtLeast((who.name,)),
        }
    if who.kind in (Kind.WEB_OR_SAML, Kind.ORIGIN_ACCESS_IDENTITY):
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

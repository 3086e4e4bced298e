"""Who asks, and how a policy's Principal element names them.

Sources, below https://docs.aws.amazon.com/IAM/latest/UserGuide/: reference_policies_elements_principal.html,
reference_policies_elements_notprincipal.html, reference_policies_evaluation-logic.html; of canonical user ids and of
CloudFront's identities https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-bucket-user-policy-specifying-principal-intro.html
and https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from cdk_encrypted_data.proofs.iam.patterns import PolicyError, Unmodelled, listed, shown

_ACCOUNT = re.compile(r"[0-9]{12}")
_SERVICE = re.compile(r"[a-z0-9.\-]+\.amazonaws\.com(\.cn)?|[a-z0-9.\-]+\.amazon\.com")
_IAM_ARN = re.compile(
    r"arn:(?P<partition>[a-z\-]+):iam::(?P<account>[0-9]{12}):(?P<resource>root|(?:user|role)/[^*?]+)"
)
_STS_ARN = re.compile(
    r"arn:(?P<partition>[a-z\-]+):sts::(?P<account>[0-9]{12}):"
    r"(?P<resource>(?:federated-user|assumed-role)/[^*?]+)"
)
_ORIGIN_ACCESS_IDENTITY = re.compile(r"arn:[a-z\-]+:iam::cloudfront:user/[^*?/]+")
_AWS = (_ACCOUNT, _IAM_ARN, _STS_ARN, _ORIGIN_ACCESS_IDENTITY)


class Kind(Enum):
    """What a principal is."""

    ROOT = "Account"
    USER = "User"
    ROLE = "AssumedRole"
    FEDERATED_USER = "FederatedUser"
    WEB_OR_SAML = "Federated"
    SERVICE = "Service"
    ORIGIN_ACCESS_IDENTITY = "OriginAccessIdentity"
    ANONYMOUS = "Anonymous"


class Named(IntEnum):
    """How directly a resource's policy names the principal, which decides what else has a say."""

    NOT = 0
    THROUGH_ACCOUNT = 1  # the account's own policies decide
    AS_ROLE = 2  # a permissions boundary and a session policy still limit it
    DIRECTLY = 3  # nothing but an explicit deny limits it


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request. Made by the functions below.

    ``arn`` is what ``aws:PrincipalArn`` shows: of a role's session, the role. A session whose name nobody says is one
    that no policy names.
    """

    kind: Kind
    name: str
    account: str | None = None
    arn: str | None = None
    session_name: str | None = None
    # Under which names policies know it.
    names: Mapping[str, Named] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        """Return its name."""
        return self.name


ANONYMOUS: Final = Principal(Kind.ANONYMOUS, "anonymous")


def service(name: str) -> Principal:
    """Return an AWS service that acts for itself, such as ``logging.s3.amazonaws.com``."""
    if not _SERVICE.fullmatch(name):
        raise ValueError(f"not the principal of a service: {name}")
    return Principal(Kind.SERVICE, name, names={f"Service {name}": Named.DIRECTLY})


def federated(provider: str) -> Principal:
    """Return somebody whom an identity provider vouches for, before a role is assumed: its ARN or its host name."""
    return Principal(Kind.WEB_OR_SAML, provider, names={f"Federated {provider}": Named.DIRECTLY})


def origin_access_identity(arn: str) -> Principal:
    """Return the older of CloudFront's two ways to read a private bucket: a user of the account ``cloudfront``."""
    if not _ORIGIN_ACCESS_IDENTITY.fullmatch(arn):
        raise ValueError(f"not an origin access identity of CloudFront: {arn}")
    return Principal(Kind.ORIGIN_ACCESS_IDENTITY, arn, names={f"AWS {arn}": Named.DIRECTLY})


def principal(arn: str, *, session_name: str | None = None, session_of: str | None = None) -> Principal:
    """Return an account's root, an IAM user, or a session: of a role (its ARN), or of a federated user.

    ``session_name`` is the name of the role's session; ``session_of`` the ARN of the user who federated.
    """
    found = _IAM_ARN.fullmatch(arn) or _STS_ARN.fullmatch(arn)
    kind = "" if found is None else found["resource"].partition("/")[0]
    if found is None or kind == "assumed-role":
        raise ValueError(f"neither an account's root, a user, a role nor a federated user: {arn}")
    partition, account = found["partition"], found["account"]
    names = {f"AWS {account}": Named.THROUGH_ACCOUNT, f"AWS arn:{partition}:iam::{account}:root": Named.THROUGH_ACCOUNT}
    if kind == "root":
        return Principal(Kind.ROOT, arn, account, arn, names=names)
    if kind == "user":
        return Principal(Kind.USER, arn, account, arn, names={**names, f"AWS {arn}": Named.DIRECTLY})
    if kind == "federated-user":
        names[f"AWS {arn}"] = Named.DIRECTLY
        if session_of is not None:
            names[f"AWS {session_of}"] = Named.AS_ROLE
        return Principal(Kind.FEDERATED_USER, arn, account, arn, names=names)
    names[f"AWS {arn}"] = Named.AS_ROLE
    if session_name is None:
        return Principal(Kind.ROLE, arn, account, arn, names=names)
    # A session's ARN leaves out the role's path.
    session = f"arn:{partition}:sts::{account}:assumed-role/{arn.rpartition('/')[2]}/{session_name}"
    return Principal(Kind.ROLE, session, account, arn, session_name, names={**names, f"AWS {session}": Named.DIRECTLY})


@dataclass(frozen=True, slots=True)
class Principals:
    """A Principal or NotPrincipal element. ``everyone``: it is, or contains, ``"*"``."""

    names: frozenset[str]
    everyone: bool
    excepted: bool = False
    # Some of the names are canonical user ids.
    canonical: bool = False

    def named(self, who: Principal) -> Named:
        """Return how a Principal element names somebody.

        ``"*"`` and ``{"AWS": "*"}`` are the same, and name everybody directly, services and strangers too.
        """
        if self.everyone:
            return Named.DIRECTLY
        best = self.lists(who)
        if best is Named.NOT and self._may_hide(who):
            raise Unmodelled(f"a canonical user id doesn't show whether it is {who} or its account")
        return best

    def lists(self, who: Principal) -> Named:
        """Return how directly one of the names is the principal's."""
        best = Named.NOT
        for name, how in who.names.items():
            if how > best and name in self.names:
                best = how
        return best

    def excepts(self, who: Principal) -> bool:
        """Return whether a NotPrincipal element, with Deny, spares somebody.

        AWS: list the account beside the user, the account and the role beside the session, or the statement "might deny
        access to the entire account". Who is listed with the account is spared. Who isn't listed isn't spared, not even
        where the account is listed beside another principal of it. What lies between raises.
        """
        found = {how for name, how in who.names.items() if name in self.names}
        spared = self._spares(who, found)
        if spared is not True and self._may_hide(who):
            raise Unmodelled(f"a canonical user id doesn't show whether NotPrincipal spares {who}")
        if spared is None:
            alone = "the account alone" if found == {Named.THROUGH_ACCOUNT} else "it without its account or role"
            raise Unmodelled(f"NotPrincipal lists {alone}: AWS doesn't say whether that spares {who}")
        return spared

    def _spares(self, who: Principal, found: set[Named]) -> bool | None:
        """Whether what is listed of somebody spares them, canonical user ids aside; None where AWS doesn't say."""
        if who.account is None or who.kind is Kind.ROOT:
            return bool(found)
        if not found:
            return False
        if found == {Named.THROUGH_ACCOUNT}:
            beside = any(f":{who.account}:" in name and not name.endswith(":root") for name in self.names)
            return False if beside else None
        whole = Named.THROUGH_ACCOUNT in found and (who.kind is not Kind.ROLE or Named.AS_ROLE in found)
        return True if whole else None

    def _may_hide(self, who: Principal) -> bool:
        """Whether a canonical user id among the names may be the principal's account, or an identity of CloudFront."""
        return self.canonical and (who.account is not None or who.kind is Kind.ORIGIN_ACCESS_IDENTITY)


def compile_principals(element: object, *, excepted: bool = False) -> Principals:
    """Compile a Principal or NotPrincipal element."""
    if element == "*":
        if excepted:
            raise PolicyError("NotPrincipal can't be '*'")
        return Principals(frozenset(), everyone=True)
    if not isinstance(element, Mapping) or not element:
        raise PolicyError(f"a principal is {shown(element)}: neither '*' nor a map")
    names: set[str] = set()
    everyone = False
    for kind, values in element.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise PolicyError(f"there is no kind of principal called {shown(kind)}")
        if not listed(values):
            raise PolicyError(f"Principal {kind} is empty")
        for value in listed(values):
            if kind == "AWS" and value == "*" and not excepted:
                everyone = True
            else:
                names.add(_name(kind, value))
    return Principals(frozenset(names), everyone, excepted, canonical="CanonicalUser" in element)


def _name(kind: str, value: object) -> str:
    if not isinstance(value, str) or re.search(r"[*?]|\$\{", value):
        raise PolicyError(f"{shown(value)} is no principal: it can't hold wildcards or variables")
    if kind == "AWS" and not any(form.fullmatch(value) for form in _AWS):
        raise PolicyError(f"{shown(value)} is no account, nor the ARN of a user, role, session or account root")
    if kind == "Service" and not _SERVICE.fullmatch(value):
        raise PolicyError(f"{shown(value)} is no service's principal")
    return f"{kind} {value}"

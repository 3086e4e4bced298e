"""Whether AWS allows a request: the policies of both sides, put together as AWS documents it.

Sources:
[logic] https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
[cross] https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
[key] https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
[external] https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
[kms] https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html
[assume] https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
[scp] https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
[rcp] https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html
[lockout] https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
[identity] https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html

Not modelled, and so not to be asked: KMS grants, ACLs, S3's public access block, access points, endpoint policies.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from cdk_encrypted_data.proofs.iam.principals import Kind, Named
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import Doubt, Statement

# The owner's root user can always do these, so that no policy locks a bucket for good. [lockout]
_UNLOCKING: Final = frozenset(("s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"))
_BY_IDENTITY_PROVIDERS: Final = frozenset(("sts:assumerolewithsaml", "sts:assumerolewithwebidentity"))
_ASSUMPTIONS: Final = frozenset(("sts:assumerole", *_BY_IDENTITY_PROVIDERS))
# "Permissions for other operations have no effect" for principals of other accounts. [external]
_ACROSS_ACCOUNTS: Final = frozenset(
    f"kms:{name}"
    for name in (
        "creategrant",
        "decrypt",
        "derivesharedsecret",
        "describekey",
        "encrypt",
        "generatedatakey",
        "generatedatakeypair",
        "generatedatakeypairwithoutplaintext",
        "generatedatakeywithoutplaintext",
        "generatemac",
        "getkeyrotationstatus",
        "getpublickey",
        "listgrants",
        "reencryptfrom",
        "reencryptto",
        "retiregrant",
        "revokegrant",
        "sign",
        "verify",
        "verifymac",
    )
)
# What concerns no key. Aliases have no policy either, but the key beside them has. [kms]
_KEYLESS: Final = frozenset(
    f"kms:{name}"
    for name in (
        "connectcustomkeystore",
        "createcustomkeystore",
        "createkey",
        "deletecustomkeystore",
        "describecustomkeystores",
        "disconnectcustomkeystore",
        "generaterandom",
        "listaliases",
        "listkeys",
        "updatecustomkeystore",
    )
)
# The services under resource control policies from their start; AWS adds others, each with limits of its own. [rcp]
_RESOURCE_CONTROLLED: Final = frozenset(("s3", "sts", "kms", "sqs", "secretsmanager"))
_SERVICE_LINKED: Final = ":role/aws-service-role/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Every policy that has a say. None is no such policy, which isn't the same as one that allows nothing.

    ``scps``: for each level from the organization's root down to the principal's account, the policies attached there.
    ``rcps``: those over the resource's account; RCPFullAWSAccess goes without saying. ``session``: those passed when
    the session was made. SCPs and RCPs don't reach the organization's management account: leave them out. [scp] [rcp]
    """

    identity: tuple[Policy, ...] = ()
    resource: Policy | None = None
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None
    scps: tuple[tuple[Policy, ...], ...] = ()
    rcps: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """``rule`` says in words what settled it, ``statements`` are those that did. ``explicit``: a Deny statement did."""

    allowed: bool
    rule: str
    statements: tuple[Statement, ...] = ()
    explicit: bool = False

    @property
    def because(self) -> str:
        """The whole reason."""
        return f"{self.rule} {', '.join(map(str, self.statements))}" if self.statements else self.rule


def decide(request: Request, policies: Policies) -> Decision:
    """Decide a request. Raises Unmodelled where nothing documented does, ValueError where a policy can't be there.

    A doubt about a statement counts only where the decision hangs on it, in whatever layer it is.
    """
    _check(request, policies)
    denies = _denies(request, policies)
    if denies.statements:
        # A Deny that applies settles it, wherever it stands. [logic]
        return Decision(allowed=False, rule="denied by", statements=denies.statements, explicit=True)
    certain = _Allowing(request, policies, doubtful=False)
    decision = certain.decide()
    if decision.allowed:
        for doubt in (*denies.doubts, *_exceptions(request)):
            raise doubt
    elif certain.doubts:
        decision = _Allowing(request, policies, doubtful=True).decide()
        if decision.allowed:
            raise certain.doubts[0]
    return decision


def _check(request: Request, policies: Policies) -> None:
    who = request.principal
    has_policies = bool(policies.identity or policies.boundary or policies.session is not None)
    if has_policies and (who.account is None or who.kind is Kind.ROOT):
        raise ValueError(f"{who} has no identity policies, boundary or session policies")
    if policies.session is not None and who.kind is Kind.USER:
        raise ValueError(f"{who} is no session: it has no session policies")


def _exceptions(request: Request) -> Iterator[Unmodelled]:
    if request.principal.kind is Kind.FEDERATED_USER and request.lowered_action.startswith(("iam:", "sts:")):
        yield Unmodelled("what a federated user may ask of IAM and STS has exceptions of its own")


def _hidden_policy(request: Request, policies: Policies) -> Unmodelled | None:
    """The doubt that there is a policy that decides, of which nothing is known."""
    if policies.resource is None and _is_root_of_trust(request):
        return Unmodelled(f"{request.resource} has a policy that decides, but none was given")
    return None


def _is_root_of_trust(request: Request) -> bool:
    """Whether IAM policies alone give nothing here: keys and roles must trust first [logic] [key]."""
    action = request.lowered_action
    if action.startswith("kms:"):
        return action not in _KEYLESS and not (action.endswith("alias") and ":alias/" in request.resource)
    return action in _ASSUMPTIONS or (action.startswith("sts:") and ":role/" in request.resource)


# Denying.


def _denies(request: Request, policies: Policies) -> _Applying:
    controls = [] if _is_service_linked(request) else [one for policy in policies.rcps for one in policy.denies]
    reached = request.lowered_action.partition(":")[0] in _RESOURCE_CONTROLLED
    statements = itertools.chain(_denying(request, policies), controls if reached else ())
    found = _applying(request, statements, bounded=policies.boundary is not None)
    doubts = found.doubts
    if controls and not reached:
        # They reach every principal, services and strangers too, but not every service's resources. [rcp]
        beyond = _applying(request, controls)
        reach = f"whether it reaches {request.action} isn't modelled"
        doubts += (*beyond.doubts, *(Unmodelled(f"{statement}: {reach}") for statement in beyond.statements))
    return _Applying(found.statements, found.best, doubts)


def _denying(request: Request, policies: Policies) -> Iterator[Statement]:
    """Every Deny statement but those of resource control policies."""
    who = request.principal
    for policy in policies.identity:
        yield from policy.denies
    unlocks = who.kind is Kind.ROOT and not request.crosses_accounts and request.lowered_action in _UNLOCKING
    if policies.resource is not None and not unlocks:
        yield from policies.resource.denies
    if policies.boundary is not None:
        yield from policies.boundary.denies
    for policy in policies.session or ():
        yield from policy.denies
    if who.account is not None and not _is_service_linked(request):
        for policy in (policy for level in policies.scps for policy in level):
            yield from policy.denies


def _is_service_linked(request: Request) -> bool:
    """Neither SCPs nor RCPs reach service-linked roles [scp] [rcp]."""
    return _SERVICE_LINKED in (request.principal.arn or "")


# Allowing.


class _Allowing:
    """What allows, in one of two readings of the doubtful Allow statements: none of them applies, or all of them do.

    The more Allow statements apply, the more is allowed. So what both readings decide alike is decided.
    """

    def __init__(self, request: Request, policies: Policies, *, doubtful: bool) -> None:
        self.doubts: list[Unmodelled] = []
        self._request = request
        self._policies = policies
        self._doubtful = doubtful

    def decide(self) -> Decision:
        """Decide, no Deny statement being there."""
        request = self._request
        if never := _never(request):
            return Decision(allowed=False, rule=never)
        missing = self._missing_from_scps()
        if missing is not None:
            return missing
        resource = self._resource()
        if request.principal.account is None:
            # Anonymous callers, services and identity providers have no policies of their own.
            if resource.best is Named.DIRECTLY:
                return Decision(allowed=True, rule="allowed by", statements=resource.statements)
            return _nothing_allows(_title(self._policies.resource))
        return self._across_accounts(resource) if request.crosses_accounts else self._within_account(resource)

    def _within_account(self, resource: _Applying) -> Decision:
        """Either side may allow; what else limits it depends on how directly the resource's policy names the principal.

        "Resource-based policies that grant permissions to an IAM role ARN are limited by an implicit deny in a
        permissions boundary or session policy"; to a user's or a session's own ARN they are not. [logic] Naming the
        account leaves it to the account's IAM policies: that is how a key policy delegates. [key]
        """
        unlimited = resource.best is Named.DIRECTLY
        if unlimited or (resource.best is Named.AS_ROLE and self._missing_from_limits() is None):
            return Decision(allowed=True, rule="allowed by", statements=resource.statements)
        if _is_root_of_trust(self._request) and resource.best is Named.NOT:
            return _nothing_allows(_title(self._policies.resource))
        missing, statements = self._own_side()
        if missing is not None:
            return missing
        if _is_root_of_trust(self._request):
            statements = (*resource.statements, *statements)
        rule = "allowed by" if statements else "allowed by the full access of an account's root user"
        return Decision(allowed=True, rule=rule, statements=statements)

    def _across_accounts(self, resource: _Applying) -> Decision:
        """Both accounts must allow [cross]."""
        if resource.best is Named.NOT:
            return _nothing_allows(f"{_title(self._policies.resource)}, for another account,")
        missing, statements = self._own_side()
        if missing is not None:
            return missing
        return Decision(allowed=True, rule="allowed by", statements=(*resource.statements, *statements))

    def _own_side(self) -> tuple[Decision | None, tuple[Statement, ...]]:
        """What the principal's own account allows: identity policies, within boundary and session policies [logic]."""
        who = self._request.principal
        if who.kind is Kind.ROOT:
            return None, ()  # "with the exception of the AWS account root user, which has full access" [logic]
        allows = self._allows(self._policies.identity)
        if not allows.statements:
            return _nothing_allows(f"the identity policies of {who}"), ()
        if who.kind is Kind.FEDERATED_USER and self._policies.session is None:
            missing = f"a session policy, without which a federated user may nothing, of {who}"  # [logic]
            return _nothing_allows(missing), ()
        return self._missing_from_limits(), allows.statements

    def _missing_from_limits(self) -> Decision | None:
        boundary = self._policies.boundary
        for layer, limits in (
            ("the permissions boundary", None if boundary is None else (boundary,)),
            ("the session policies", self._policies.session),
        ):
            if limits is not None and not self._allows(limits).statements:
                return _nothing_allows(f"{layer} of {self._request.principal}")
        return None

    def _missing_from_scps(self) -> Decision | None:
        """Every level must allow, for every principal of the account, its root user too [scp]."""
        if self._request.principal.account is None or _is_service_linked(self._request):
            return None
        for level in self._policies.scps:
            if not self._allows(level).statements:
                names = " or ".join(policy.name for policy in level)
                return _nothing_allows(f"the service control policies of one level ({names})")
        return None

    def _resource(self) -> _Applying:
        hidden = _hidden_policy(self._request, self._policies)
        if hidden is None:
            return self._allows((self._policies.resource,) if self._policies.resource else ())
        self.doubts.append(hidden)
        return _Applying((), Named.DIRECTLY if self._doubtful else Named.NOT, ())

    def _allows(self, policies: Iterable[Policy]) -> _Applying:
        statements = (one for policy in policies for one in policy.allows)
        found = _applying(self._request, statements, doubtful=self._doubtful)
        self.doubts += found.doubts
        return found


def _never(request: Request) -> str | None:
    """Return why no policy whatever could allow this, if so."""
    kind, action = request.principal.kind, request.lowered_action
    if kind is Kind.ORIGIN_ACCESS_IDENTITY and not action.startswith("s3:"):
        return "CloudFront's origin access identities read buckets, and nothing else"  # [identity]
    if kind is Kind.ANONYMOUS and action.startswith(("kms:", "sts:")):
        return "KMS and STS answer only signed requests"  # [kms] [assume]
    if action in _ASSUMPTIONS:
        return _never_assumes(kind, action)
    if request.crosses_accounts and action in _UNLOCKING:
        return "a bucket's policy is its owner's account's alone"  # [lockout]
    if request.crosses_accounts and request.principal.account and action.startswith("kms:"):
        of_a_key = ":key/" in request.resource and action not in _ACROSS_ACCOUNTS
        return "administering a key has no effect from another account" if of_a_key else None  # [external]
    return None


def _never_assumes(kind: Kind, action: str) -> str | None:
    if kind is Kind.ROOT:
        return "an account's root user can't assume a role"  # [assume]
    if (kind is Kind.WEB_OR_SAML) != (action in _BY_IDENTITY_PROVIDERS):
        return "an identity provider's users assume roles by their own calls, and nobody else by those"  # [assume]
    return None


def _nothing_allows(layer: str) -> Decision:
    return Decision(allowed=False, rule=f"no statement of {layer} allows it")


def _title(policy: Policy | None) -> str:
    return "a resource policy" if policy is None else policy.name


# Statements that apply.


@dataclass(frozen=True, slots=True)
class _Applying:
    """The statements of one layer that apply; ``best`` is how directly they name the principal."""

    statements: tuple[Statement, ...]
    best: Named
    doubts: tuple[Unmodelled, ...]


def _applying(
    request: Request, statements: Iterable[Statement], *, bounded: bool = False, doubtful: bool = False
) -> _Applying:
    """Go through statements; ``doubtful``: those that may apply are taken to."""
    found: list[Statement] = []
    best = Named.NOT
    doubts: list[Unmodelled] = []
    action, target, who, context = request.lowered_action, request.resource, request.principal, request.context
    for statement in statements:
        outcome = statement.applies(action, target, who, context, bounded=bounded)
        if isinstance(outcome, Doubt):
            doubts.append(outcome.reason)
            outcome = outcome.named if doubtful else Named.NOT
        if outcome is not Named.NOT:
            found.append(statement)
            best = max(best, outcome)
    return _Applying(tuple(found), best, tuple(doubts))

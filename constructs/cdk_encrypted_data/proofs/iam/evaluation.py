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

Not modelled, and so not to be asked: KMS grants, ACLs, S3's public access block, access points, endpoint policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from cdk_encrypted_data.proofs.iam.principals import Kind, Named
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import Statement

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
    """Decide a request. Raises Unmodelled where nothing documented does, ValueError where a policy can't be there."""
    _check(request, policies)
    denies = _applying(request, _denies(request, policies), bounded=policies.boundary is not None)
    if denies.statements:
        # A Deny that applies settles it, wherever it stands. [logic]
        return Decision(allowed=False, rule="denied by", statements=denies.statements, explicit=True)
    decision = _decide_allows(request, policies)
    if decision.allowed:
        denies.raise_doubt()
    return decision


def _check(request: Request, policies: Policies) -> None:
    who = request.principal
    has_policies = bool(policies.identity or policies.boundary or policies.session is not None)
    if has_policies and (who.account is None or who.kind is Kind.ROOT):
        raise ValueError(f"{who} has no identity policies, boundary or session policies")
    if policies.session is not None and who.kind is Kind.USER:
        raise ValueError(f"{who} is no session: it has no session policies")
    if policies.resource is None and _is_root_of_trust(request):
        raise Unmodelled(f"{request.resource} has a policy that decides, but none was given")
    if who.kind is Kind.FEDERATED_USER and request.lowered_action.startswith(("iam:", "sts:")):
        raise Unmodelled("what a federated user may ask of IAM and STS has exceptions of its own")


def _is_root_of_trust(request: Request) -> bool:
    """Whether IAM policies alone give nothing here: keys and roles must trust first [logic] [key]."""
    action = request.lowered_action
    if action.startswith("kms:"):
        return action not in _KEYLESS and not (action.endswith("alias") and ":alias/" in request.resource)
    return action in _ASSUMPTIONS or (action.startswith("sts:") and ":role/" in request.resource)


# Denying.


def _denies(request: Request, policies: Policies) -> Iterator[Statement]:
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
    if _is_service_linked(request):
        return
    if who.account is not None:
        for policy in (policy for level in policies.scps for policy in level):
            yield from policy.denies
    for policy in policies.rcps:
        yield from _resource_control_denies(request, policy)


def _resource_control_denies(request: Request, policy: Policy) -> Iterator[Statement]:
    """They reach every principal, services and strangers too, but not every service's resources [rcp]."""
    reached = request.lowered_action.partition(":")[0] in _RESOURCE_CONTROLLED
    for statement in policy.denies:
        if not reached and statement.acts(request.lowered_action):
            raise Unmodelled(f"{statement}: whether it reaches {request.action} isn't modelled")
        yield statement


def _is_service_linked(request: Request) -> bool:
    """Neither SCPs nor RCPs reach service-linked roles [scp] [rcp]."""
    return _SERVICE_LINKED in (request.principal.arn or "")


# Allowing.


def _decide_allows(request: Request, policies: Policies) -> Decision:
    if never := _never(request):
        return Decision(allowed=False, rule=never)
    resource = _allows(request, (policies.resource,) if policies.resource else ())
    missing = _missing_from_scps(request, policies)
    if missing is not None:
        return missing
    if request.principal.account is None:
        # Anonymous callers, services and identity providers have no policies of their own.
        if resource.best is Named.DIRECTLY:
            return Decision(allowed=True, rule="allowed by", statements=resource.statements)
        resource.raise_doubt()
        return _nothing_allows(_title(policies.resource))
    if request.crosses_accounts:
        return _across_accounts(request, policies, resource)
    return _within_account(request, policies, resource)


def _never(request: Request) -> str | None:
    """Return why no policy whatever could allow this, if so."""
    kind, action = request.principal.kind, request.lowered_action
    if kind is Kind.ROOT and action in _ASSUMPTIONS:
        return "an account's root user can't assume a role"  # [assume]
    if kind is Kind.ANONYMOUS and action.startswith(("kms:", "sts:")):
        return "KMS and STS answer only signed requests"  # [kms] [assume]
    if (kind is Kind.WEB_OR_SAML) != (action in _BY_IDENTITY_PROVIDERS) and action in _ASSUMPTIONS:
        return "an identity provider's users assume roles by their own calls, and nobody else by those"  # [assume]
    if request.crosses_accounts and action in _UNLOCKING:
        return "a bucket's policy is its owner's account's alone"  # [lockout]
    if request.crosses_accounts and request.principal.account and action.startswith("kms:"):
        of_a_key = ":key/" in request.resource and action not in _ACROSS_ACCOUNTS
        return "administering a key has no effect from another account" if of_a_key else None  # [external]
    return None


def _within_account(request: Request, policies: Policies, resource: _Applying) -> Decision:
    """Either side may allow; what else limits it depends on how directly the resource's policy names the principal.

    "Resource-based policies that grant permissions to an IAM role ARN are limited by an implicit deny in a permissions
    boundary or session policy"; to a user's or a session's own ARN they are not. [logic] Naming the account leaves it
    to the account's IAM policies: that is how a key policy delegates. [key]
    """
    unlimited = resource.best is Named.DIRECTLY
    if unlimited or (resource.best is Named.AS_ROLE and _missing_from_limits(request, policies) is None):
        return Decision(allowed=True, rule="allowed by", statements=resource.statements)
    if _is_root_of_trust(request) and resource.best is Named.NOT:
        resource.raise_doubt()
        return _nothing_allows(_title(policies.resource))
    missing, statements = _own_side(request, policies)
    if missing is not None:
        resource.raise_doubt()
        return missing
    if _is_root_of_trust(request):
        statements = (*resource.statements, *statements)
    rule = "allowed by" if statements else "allowed by the full access of an account's root user"
    return Decision(allowed=True, rule=rule, statements=statements)


def _across_accounts(request: Request, policies: Policies, resource: _Applying) -> Decision:
    """Both accounts must allow [cross]."""
    if not resource.statements:
        resource.raise_doubt()
        return _nothing_allows(f"{_title(policies.resource)}, for another account,")
    missing, statements = _own_side(request, policies)
    if missing is not None:
        return missing
    return Decision(allowed=True, rule="allowed by", statements=(*resource.statements, *statements))


def _own_side(request: Request, policies: Policies) -> tuple[Decision | None, tuple[Statement, ...]]:
    """What the principal's own account allows: identity policies, within boundary and session policies [logic]."""
    who = request.principal
    if who.kind is Kind.ROOT:
        return None, ()  # "with the exception of the AWS account root user, which has full access" [logic]
    allows = _allows(request, policies.identity)
    if not allows.statements:
        allows.raise_doubt()
        return _nothing_allows(f"the identity policies of {who}"), ()
    if who.kind is Kind.FEDERATED_USER and policies.session is None:
        return _nothing_allows(f"a session policy, without which a federated user may nothing, of {who}"), ()  # [logic]
    return _missing_from_limits(request, policies), allows.statements


def _missing_from_limits(request: Request, policies: Policies) -> Decision | None:
    for layer, limits in (
        ("the permissions boundary", None if policies.boundary is None else (policies.boundary,)),
        ("the session policies", policies.session),
    ):
        if limits is not None and not _allows(request, limits, must=True).statements:
            return _nothing_allows(f"{layer} of {request.principal}")
    return None


def _missing_from_scps(request: Request, policies: Policies) -> Decision | None:
    """Every level must allow, for every principal of the account, its root user too [scp]."""
    if request.principal.account is None or _is_service_linked(request):
        return None
    for level in policies.scps:
        if not _allows(request, level, must=True).statements:
            names = " or ".join(policy.name for policy in level)
            return _nothing_allows(f"the service control policies of one level ({names})")
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
    doubt: Unmodelled | None

    def raise_doubt(self) -> None:
        """Raise what couldn't be decided, where nothing certain was found instead."""
        if self.doubt is not None:
            raise self.doubt


def _allows(request: Request, policies: Iterable[Policy], *, must: bool = False) -> _Applying:
    """The Allow statements that apply; ``must``: the answer hangs on there being one."""
    allows = _applying(request, (one for policy in policies for one in policy.allows), bounded=False)
    if must and not allows.statements:
        allows.raise_doubt()
    return allows


def _applying(request: Request, statements: Iterable[Statement], *, bounded: bool) -> _Applying:
    found: list[Statement] = []
    best = Named.NOT
    doubt: Unmodelled | None = None
    action, target, who, context = request.lowered_action, request.resource, request.principal, request.context
    for statement in statements:
        outcome = statement.applies(action, target, who, context, bounded=bounded)
        if isinstance(outcome, Unmodelled):
            doubt = outcome
        elif outcome is not Named.NOT:
            found.append(statement)
            best = max(best, outcome)
    return _Applying(tuple(found), best, doubt)

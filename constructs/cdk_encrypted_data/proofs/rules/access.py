"""Roles and users: whether what they were granted works, and whether it is no more than that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.attachments import compiled
from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Resource, listed
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words, outcome
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.patterns import Context, Unmodelled
from cdk_encrypted_data.proofs.iam.principals import Named, Principal
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import PolicyKind, Statement
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key, Target
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Case, Prover
from cdk_encrypted_data.proofs.subjects.candidates import candidates
from cdk_encrypted_data.proofs.subjects.outsiders import outsiders, without_owner
from cdk_encrypted_data.proofs.subjects.uses import hangs_on_name, protected, through_s3, unsaid

_S3_AND_KMS: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"
_BUCKET_KEYS: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html"
_HEADER: Final = "s3:x-amz-server-side-encryption"
OTHER_OBJECT: Final = "arn:aws:s3:::bucket-of-somebody-else/an-object"

CANNOT_READ: Final = Rule(
    id="role-cannot-read",
    severity=Severity.ERROR,
    claim="Who was granted a bucket's objects may also use the bucket's key to read them.",
    because="The grant is half of what it takes: every download fails with AccessDenied from KMS.",
    remedy="Allow kms:Decrypt on the key's ARN, with both forms of the bucket's ARN in conditions on the context.",
    sources=(_S3_AND_KMS, f"{_BUCKET_KEYS}#bucket-key-changes"),
)
CANNOT_WRITE: Final = Rule(
    id="role-cannot-write",
    severity=Severity.ERROR,
    claim="Who was granted uploads to a bucket may also use the bucket's key for them.",
    because="The grant is half of what it takes: every upload fails with AccessDenied from KMS.",
    remedy="Allow kms:GenerateDataKey and kms:Decrypt on the key's ARN, with both forms of the bucket's ARN.",
    sources=(_S3_AND_KMS, f"{_BUCKET_KEYS}#bucket-key-changes"),
)
CANNOT_WRITE_PARTS: Final = Rule(
    id="role-cannot-write-parts",
    severity=Severity.WARNING,
    claim="Who was granted uploads to a bucket may upload large objects too.",
    because="SDKs upload in parts from some megabytes on, and for each part S3 decrypts the upload's data key.",
    remedy="Allow kms:Decrypt beside kms:GenerateDataKey.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions",),
)
BY_WILDCARD: Final = Rule(
    id="role-reads-by-wildcard",
    severity=Severity.WARNING,
    claim="Who reads a bucket's plaintext was granted the bucket or its key by name.",
    because="A wildcard reaches every bucket and key of the account, those too that are made for others later.",
    remedy="Name the buckets and keys in the role's statements, or deny it this bucket or key.",
    sources=(
        "https://docs.aws.amazon.com/kms/latest/developerguide/iam-policies-best-practices.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
    ),
)
KEY_BY_ALIAS: Final = Rule(
    id="role-key-by-alias",
    severity=Severity.ERROR,
    claim="No IAM statement means a key by the ARN of its alias.",
    because="An alias as Resource is the alias: the statement gives nothing on the key.",
    remedy="Name the key's ARN, or Resource * with the condition kms:ResourceAliases.",
    sources=(
        "https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html",
        "https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html",
    ),
)
TRUSTS_STRANGERS: Final = Rule(
    id="role-trusts-strangers",
    severity=Severity.ERROR,
    claim="Nobody assumes a role whom its trust policy doesn't name.",
    because="Who assumes the role has everything that it may.",
    remedy="Name the principals, or limit the statement by aws:PrincipalOrgID or aws:SourceAccount.",
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-anonymous",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
    ),
)
FEDERATION_UNBOUND: Final = Rule(
    id="role-federation-unbound",
    severity=Severity.WARNING,
    claim="Of an identity provider's users only those assume a role whom its trust policy means.",
    because="A provider vouches for all its users, and a public one for everybody who opens an account there.",
    remedy="Add a condition on PROVIDER:sub, for Cognito identity pools on :aud, beside the one on the audience.",
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html",
    ),
)


# Reading and writing what is under a key.


@dataclass(frozen=True, slots=True)
class _Half:
    """An S3 grant, and what it takes of KMS. ``variants``: what a client may send to S3."""

    rule: Rule
    s3: str
    variants: tuple[Said, ...]
    kms: str
    effect: str


@dataclass(frozen=True, slots=True)
class _Access:
    """What somebody may want of an object in a bucket under a key."""

    caller: Caller
    half: _Half
    bucket: Bucket
    key: Key
    object_arn: str

    @property
    def objects(self) -> Target:
        return Target(self.object_arn, self.bucket.account, self.bucket.policy)

    @property
    def resource(self) -> Resource:
        return self.caller.resource or self.bucket.resource

    @property
    def said(self) -> Said:
        return through_s3(self.bucket, self.object_arn)


def _data(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        if bucket.key_doubt is not None:
            for rule in (CANNOT_READ, CANNOT_WRITE, BY_WILDCARD):
                yield Undecidable(rule, bucket.resource, bucket.key_doubt)
    undecided: set[tuple[str, str, str]] = set()
    for several in _accesses(inventory):
        for one in _judged(inventory, prover, several):
            # What isn't known of a role is the same for every bucket.
            if isinstance(one, Undecidable):
                known = one.rule.id, one.resource.stack, one.resource.logical_id
                if known in undecided:
                    continue
                undecided.add(known)
            yield one


def _accesses(inventory: Inventory) -> Iterator[list[_Access]]:
    """Yield, for each half grant that may be, the objects it may be about."""
    objects = _granted_objects(inventory)
    under_key = list(protected(inventory))
    near = candidates(inventory.callers, [bucket for bucket, _ in under_key], ("s3:GetObject", "s3:PutObject"))
    granting = {action: _granting(inventory.callers, action) for action in ("s3:GetObject", "s3:PutObject")}
    for bucket, key in under_key:
        arns = (bucket.objects.arn, *objects.get(bucket.arn, ()))
        for action, by_callers in granting.items():
            by_bucket = [] if bucket.policy is None else _allowing(bucket.policy, action)
            halves = [half for half in _halves(key) if half.s3 == action]
            for caller in near[bucket.arn]:
                found = _concerned([*by_bucket, *by_callers[caller]], arns)
                for half in halves if found else ():
                    yield [_Access(caller, half, bucket, key, arn) for arn in found]


_Concerns: TypeAlias = "Callable[[str, Context], bool]"


def _granting(callers: Iterable[Caller], action: str) -> dict[Caller, list[_Concerns]]:
    return {caller: [one for policy in caller.identity for one in _allowing(policy, action)] for caller in callers}


def _allowing(policy: Policy, action: str) -> list[_Concerns]:
    return [one.concerns for one in policy.allows if one.acts(action.lower())]


def _concerned(statements: list[_Concerns], arns: Sequence[str]) -> list[str]:
    """Return the objects that statements may be about."""
    try:
        return [arn for arn in arns if any(concerns(arn, {}) for concerns in statements)]
    except Unmodelled:
        return list(arns)


def _halves(key: Key) -> Iterator[_Half]:
    plain = {**TLS, _HEADER: None, f"{_HEADER}-aws-kms-key-id": None, f"{_HEADER}-customer-algorithm": None}
    named = {**plain, _HEADER: "aws:kms", f"{_HEADER}-aws-kms-key-id": key.arn}
    yield _Half(CANNOT_READ, "s3:GetObject", (TLS,), "kms:Decrypt", "every download fails")
    yield _Half(CANNOT_WRITE, "s3:PutObject", (plain, named), "kms:GenerateDataKey", "every upload fails")
    yield _Half(CANNOT_WRITE_PARTS, "s3:PutObject", (plain, named), "kms:Decrypt", "uploads in parts fail")


def _judged(inventory: Inventory, prover: Prover, several: list[_Access]) -> Iterator[Outcome]:
    """Judge the first object that the caller certainly may have, or else what is doubtful."""
    doubt: str | None = None
    for access in several:
        granted = prover.allowed([access.caller], [access.half.s3], access.objects, access.half.variants)
        if granted.case is not None:
            if _names_bucket(granted.case):
                yield from _half_granted(inventory, prover, access, granted.case)
            elif access.half.rule is CANNOT_READ:
                yield from _by_wildcard(prover, access, granted.case)
            return
        doubt = doubt or granted.doubt
    if doubt is not None:
        yield Undecidable(several[0].half.rule, several[0].resource, doubt)
        if several[0].half.rule is CANNOT_READ:
            yield Undecidable(BY_WILDCARD, several[0].resource, doubt)


def _half_granted(inventory: Inventory, prover: Prover, access: _Access, granted: Case) -> Iterator[Outcome]:
    holders = _holders(inventory, access.caller, access.key)
    used = prover.hopeless(holders, [access.half.kms], access.key.target, [access.said])
    doubt = used.doubt if used.case is None else _hangs_on_place(inventory, prover, access)
    if doubt:
        yield Undecidable(access.half.rule, access.resource, doubt)
    elif used.case is not None and not _is_meant(prover, access):
        may = f"{access.caller.title} may {access.half.s3} on {granted.request.resource}"
        words = f"{may}, but {in_words(used.case)}: {access.half.effect}"
        yield Finding(access.half.rule, access.resource, words)


def _hangs_on_place(inventory: Inventory, prover: Prover, access: _Access) -> str | None:
    policies = [access.key.resource, *_policies_of(inventory, access.caller)]
    doubt = unsaid(*policies)
    if doubt is None and not prover.hopeless([access.caller], [access.half.kms], access.key.target):
        doubt = hangs_on_name(inventory, access.bucket.resource, access.said, policies)
    return doubt


def _policies_of(inventory: Inventory, caller: Caller) -> list[Resource]:
    """Return the resources that hold a caller's policies."""
    if caller.resource is None:
        return []
    arns = listed(caller.resource.setting("ManagedPolicyArns"))
    found = [caller.resource]
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in inventory.assembly.resources_of_type(kind):
            holders = (*listed(policy.setting("Roles")), *listed(policy.setting("Users")))
            if caller.resource.ref in holders or (policy.arn is not None and policy.arn in arns):
                found.append(policy)
    return found


def _is_meant(prover: Prover, access: _Access) -> bool:
    """Whether a Deny keeps the caller from the key whatever the request, or another rule says what is missing."""
    cases = list(prover.cases(access.caller, access.half.kms, access.key.target))
    if all(case.decision is not None and case.refused and case.decision.explicit for case in cases):
        return True
    whole = access.half.rule is CANNOT_WRITE_PARTS
    return whole and bool(prover.hopeless([access.caller], ["kms:GenerateDataKey"], access.key.target, [access.said]))


def _by_wildcard(prover: Prover, access: _Access, granted: Case) -> Iterator[Outcome]:
    answer = prover.allowed([access.caller], ["kms:Decrypt"], access.key.target, [access.said])
    if answer.case is None:
        if answer.doubt is not None:
            yield Undecidable(BY_WILDCARD, access.resource, answer.doubt)
    elif not named_by(answer.case, f"{access.key.arn.rpartition('/')[0]}/key-of-somebody-else"):
        words = (
            f"{in_words(granted)}, and {in_words(answer.case)}: it reads {access.bucket.resource.title}, "
            "though nothing names that bucket or its key"
        )
        yield Finding(BY_WILDCARD, access.resource, words)


def _names_bucket(case: Case) -> bool:
    """Whether a statement gives it that means this bucket, and to this principal: no wildcard for all."""
    return named_by(case, OTHER_OBJECT)


def named_by(case: Case, other: str) -> bool:
    """Whether a statement that allows it wouldn't allow the same on another resource, or names the caller."""
    statements = () if case.decision is None else case.decision.statements
    return any(_is_about(statement, case.caller.principal, other) for statement in statements)


# Conditions by which a statement means certain data though its Resource is a wildcard.
_MEANING: Final = (
    "kms:encryptioncontext",
    "kms:resourcealiases",
    "kms:requestalias",
    "aws:resourcetag/",
    "s3:existingobjecttag/",
)


def _is_about(statement: Statement, who: Principal, other: str) -> bool:
    if statement.principals is not None:
        names = (name for name, how in who.names.items() if how is not Named.THROUGH_ACCOUNT)
        return any(name in statement.principals.names for name in names)
    if any(condition.key.lower().startswith(_MEANING) for condition in statement.conditions):
        return True
    try:
        return not statement.concerns(other, {})
    except Unmodelled:
        return True


def _holders(inventory: Inventory, caller: Caller, key: Key) -> list[Caller]:
    """Return who the caller may turn out to be: a managed policy without holders here, whomever the key's policy names.

    Whoever the key's policy allows to use the key may have been given the policy.
    """
    if caller.resource is None or caller.resource.type != "AWS::IAM::ManagedPolicy":
        return [caller]
    named = (one for one in inventory.named_by([key.policy]) if one.principal.account == caller.principal.account)
    return [caller, *(replace(caller, principal=one.principal) for one in named)]


# Policies grant less than whole buckets too: the objects that they name.
_OBJECT: Final = re.compile(r"arn:[a-z\-]+:s3:::[^*?/$]+/[^$]+")
_OF_POLICIES: Final = ("Group", "ManagedPolicy", "Policy", "Role", "User")


def _granted_objects(inventory: Inventory) -> dict[str, list[str]]:
    """Return an object for each pattern of objects that policies name, by their buckets' ARNs."""
    found: dict[str, dict[str, None]] = {}
    for statement in _statements(inventory):
        for resource in listed(statement[1].get("Resource")):
            if isinstance(resource, str) and _OBJECT.fullmatch(resource) and not resource.endswith("/*/*"):
                arn = resource.replace("*", "an-object").replace("?", "x")
                found.setdefault(resource.partition("/")[0], {})[arn] = None
    return {bucket: list(objects) for bucket, objects in found.items()}


def _statements(inventory: Inventory) -> Iterator[tuple[Resource, Mapping[str, Json]]]:
    """Yield the statements of every identity policy as they are written, with what they stand in."""
    for kind in _OF_POLICIES:
        for resource in inventory.assembly.resources_of_type(f"AWS::IAM::{kind}"):
            inline = (one for one in listed(resource.setting("Policies")) if isinstance(one, Mapping))
            for document in (resource.setting("PolicyDocument"), *(one.get("PolicyDocument") for one in inline)):
                if isinstance(document, Mapping):
                    for statement in listed(document.get("Statement")):
                        if isinstance(statement, Mapping):
                            yield resource, statement


# Keys by alias.


def _aliases(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for resource, statement in _statements(inventory):
        resources = [one for one in listed(statement.get("Resource")) if isinstance(one, str)]
        named = [one for one in resources if ":kms:" in one and ":alias/" in one]
        if not named or any(one == "*" or ":kms:" in one for one in resources if one not in named):
            continue
        document = {"Version": "2012-10-17", "Statement": [statement]}
        policy = compiled(document, PolicyKind.IDENTITY, f"the policy {resource.title}")
        if any(_uses_keys(one) for one in policy.allows):
            words = f"a statement of {resource.title} allows a key's use on {named[0]}: it gives nothing on the key"
            yield Finding(KEY_BY_ALIAS, resource, words)


def _uses_keys(statement: Statement) -> bool:
    return any(statement.acts(f"kms:{name}") for name in ("decrypt", "encrypt", "generatedatakey", "reencryptfrom"))


# Trust.


def _trust(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for caller in inventory.callers:
        trust, resource = caller.trust, caller.resource
        if trust is None or resource is None or resource.arn is None:
            continue
        target = Target(resource.arn, resource.account, trust)
        yield from outcome(
            TRUSTS_STRANGERS,
            resource,
            _assumed_by_outsiders(inventory, prover, trust, target),
            "whoever does so has everything that the role may",
            "Properties/AssumeRolePolicyDocument",
        )
        for provider in _providers(trust):
            yield from outcome(
                FEDERATION_UNBOUND,
                resource,
                prover.allowed(
                    [Caller(principals.federated(provider), f"anybody for whom {provider} vouches")],
                    ["sts:AssumeRoleWithWebIdentity"],
                    target,
                    [_of_another_user(trust, provider)],
                ),
                "any user of the provider has everything that the role may",
                "Properties/AssumeRolePolicyDocument",
            )


def _assumed_by_outsiders(inventory: Inventory, prover: Prover, trust: Policy, target: Target) -> Answer:
    doubt: str | None = None
    for stranger in outsiders(inventory, trust):
        answer = prover.allowed([stranger], ["sts:AssumeRole"], target, without_owner(trust, stranger, target))
        if answer:
            return answer
        doubt = doubt or answer.doubt
    return Answer(None, doubt)


def _providers(trust: Policy) -> list[str]:
    """Name the OpenID Connect providers that a trust policy names. SAML providers are the account's own."""
    names = {name for one in trust.statements if one.principals for name in one.principals.names}
    kinds = (name.partition(" ")[2] for name in sorted(names) if name.startswith("Federated "))
    return [name for name in kinds if ":saml-provider/" not in name]


# Whose audience is the same for everybody, as sts.amazonaws.com is.
_SHARED_AUDIENCE: Final = re.compile(
    r"token\.actions\.githubusercontent\.com.*|gitlab\.com|app\.terraform\.io|oidc\.eks\..*|vstoken\.dev\.azure\.com.*"
)


def _of_another_user(trust: Policy, provider: str) -> Said:
    """Return the claims of a user whom a trust policy can't mean, as far as its conditions look at claims."""
    host = provider.partition(":oidc-provider/")[2] or provider
    audience = f"{host}:aud".lower()
    telling_nothing = {f"{host}:amr".lower()} | ({audience} if _SHARED_AUDIENCE.fullmatch(host) else set())
    keys = {one.key.lower(): one.key for statement in trust.statements for one in statement.conditions}
    return {
        key: "repo:somebody-else/something:ref:refs/heads/main"
        for lowered, key in keys.items()
        if lowered.startswith(f"{host.lower()}:") and lowered not in telling_nothing
    }


CHECKS: Final = (_data, _aliases, _trust)
RULES: Final[tuple[Rule, ...]] = (
    CANNOT_READ,
    CANNOT_WRITE,
    CANNOT_WRITE_PARTS,
    BY_WILDCARD,
    KEY_BY_ALIAS,
    TRUSTS_STRANGERS,
    FEDERATION_UNBOUND,
)

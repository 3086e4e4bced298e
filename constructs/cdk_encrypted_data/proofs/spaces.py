"""Every request that policies can tell apart: what holds for all of these holds for all requests.

A space is a caller, an action and a resource with every combination of the context keys that the policies' statements
about them look at. A key's values are its witnesses (``witnesses``); that it is absent is one more, unless AWS
documents that every such request has it. A key that AWS doesn't document (``vocabulary``) is always absent. What a
claim is about (the headers of an upload, the service that a key is used through) comes as variants; everything else is
left open.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.attachments import UNDECIDED
from cdk_encrypted_data.proofs.iam import vocabulary
from cdk_encrypted_data.proofs.iam.conditions import Condition
from cdk_encrypted_data.proofs.iam.evaluation import Decision, Policies, decide
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled, Value
from cdk_encrypted_data.proofs.iam.principals import Kind, Named, Principal, Principals
from cdk_encrypted_data.proofs.iam.requests import Request, Said
from cdk_encrypted_data.proofs.inventory import Caller, Target
from cdk_encrypted_data.proofs.witnesses import FRESH, TooManyError, candidates, classes, is_set, variables

TLS: Final[Said] = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
"""An S3 request as every client of today sends it."""

_MOST: Final = 100_000
# AWS documents that every request has them; requests.py doesn't decide without their value.
_ALWAYS: Final = frozenset(
    (
        "aws:currenttime",
        "aws:epochtime",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceip",
        "aws:userid",
        "kms:customermasterkeyspec",
        "kms:customermasterkeyusage",
        "kms:keyorigin",
        "kms:keyspec",
        "kms:keyusage",
        "kms:multiregion",
        "s3:authtype",
        "s3:signatureversion",
        "sts:rolesessionname",
    )
)
# "Present in the request only if the call is made by an AWS service principal":
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_OF_SERVICES: Final = frozenset(
    (
        "aws:principalservicename",
        "aws:principalservicenameslist",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
    )
)
_CONTEXT_KEY: Final = "kms:encryptioncontext:"
_CONTEXT_KEYS: Final = "kms:encryptioncontextkeys"
# A service that asks for itself doesn't ask through another one.
_OF_PRINCIPALS: Final = frozenset(("kms:viaservice", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast"))
# What only some actions' requests have; a name ending in "*" is the beginning of one.
# https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
_OF_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "kms:encryptioncontext": (
        "kms:creategrant",
        "kms:decrypt",
        "kms:encrypt",
        "kms:generatedatakey*",
        "kms:reencrypt*",
        "kms:retiregrant",
    ),
    "kms:grantconstrainttype": ("kms:creategrant",),
    "kms:granteeprincipal": ("kms:creategrant",),
    "kms:grantisforawsresource": ("kms:creategrant", "kms:listgrants", "kms:revokegrant"),
    "kms:grantoperations": ("kms:creategrant",),
    "kms:primaryregion": ("kms:updateprimaryregion",),
    "kms:replicaregion": ("kms:replicatekey",),
    "kms:retiringprincipal": ("kms:creategrant",),
    "kms:rotationperiodindays": ("kms:enablekeyrotation",),
    "kms:schedulekeydeletionpendingwindowindays": ("kms:schedulekeydeletion",),
    "s3:delimiter": ("s3:listbucket*",),
    "s3:max-keys": ("s3:listbucket*",),
    "s3:prefix": ("s3:listbucket*",),
    # What S3 shows policies of its own requests for replicas isn't documented.
    "s3:x-amz-server-side-encryption": ("s3:putobject", "s3:replicate*", "s3:updateobjectencryption"),
}


Context: TypeAlias = "dict[str, str | Sequence[str] | None]"


@dataclass(frozen=True, slots=True)
class Case:
    """One request of a space, and the decision or, with ``doubt``, why there is none."""

    caller: Caller
    request: Request
    decision: Decision | None
    doubt: str | None

    @property
    def allowed(self) -> bool:
        """Whether it is certainly allowed."""
        return self.decision is not None and self.decision.allowed

    @property
    def refused(self) -> bool:
        """Whether it is certainly refused."""
        return self.decision is not None and not self.decision.allowed


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search through spaces found: the case, or, if there is none for certain, the doubt that may hide one."""

    case: Case | None = None
    doubt: str | None = None

    def __bool__(self) -> bool:
        """Whether a case was found."""
        return self.case is not None


class Prover:
    """Goes through spaces and counts the requests it has decided."""

    def __init__(self) -> None:
        self.requests = 0

    def allowed(
        self, callers: Iterable[Caller], actions: Iterable[str], target: Target, variants: Sequence[Said] = ({},)
    ) -> Answer:
        """Search a request that is allowed."""
        return self._search(lambda case: case.allowed, callers, actions, target, variants)

    def refused(
        self, callers: Iterable[Caller], actions: Iterable[str], target: Target, variants: Sequence[Said] = ({},)
    ) -> Answer:
        """Search a request that is refused."""
        return self._search(lambda case: case.refused, callers, actions, target, variants)

    def hopeless(
        self, callers: Sequence[Caller], actions: Iterable[str], target: Target, variants: Sequence[Said] = ({},)
    ) -> Answer:
        """Search an action that none of the callers may in any request; the case is one of those refused."""
        doubt: str | None = None
        for action in actions:
            answer = self._hopeless(callers, action, target, variants)
            if answer:
                return answer
            doubt = doubt or answer.doubt
        return Answer(None, doubt)

    def _hopeless(self, callers: Sequence[Caller], action: str, target: Target, variants: Sequence[Said]) -> Answer:
        refused: Case | None = None
        doubt: str | None = None
        for caller in callers:
            cases = self.cases(caller, action, target, variants)
            try:
                for case in cases:
                    if case.allowed:
                        return Answer()
                    doubt = doubt or case.doubt
                    refused = refused or case
            except TooManyError as many:
                doubt = doubt or str(many)
        return Answer(None, doubt) if doubt else Answer(refused)

    def cases(self, caller: Caller, action: str, target: Target, variants: Sequence[Said] = ({},)) -> Iterator[Case]:
        """Decide every request of a space.

        Args:
            caller: Who asks.
            action: For what.
            target: On what.
            variants: What the claim fixes about the requests; each is gone through.
        """
        policies = _policies(caller, target)
        relevant = _relevant(policies, caller.principal, action.lower(), target.arn)
        for request in _requests(relevant, caller.principal, action, target, variants):
            self.requests += 1
            yield _decided(caller, request, policies)

    def differences(
        self, before: tuple[Caller, Target], after: tuple[Caller, Target], action: str
    ) -> Iterator[tuple[Case, Case]]:
        """Find the requests that are decided otherwise after a change of policies, the caller's or the resource's."""
        old, new = _policies(*before), _policies(*after)
        caller, target = after
        relevant = [
            condition
            for policies in (old, new)
            for condition in _relevant(policies, caller.principal, action.lower(), target.arn)
        ]
        for request in _requests(relevant, caller.principal, action, target, ({},)):
            self.requests += 1
            pair = _decided(before[0], request, old), _decided(caller, request, new)
            if (pair[0].allowed, pair[0].doubt) != (pair[1].allowed, pair[1].doubt):
                yield pair

    def _search(
        self,
        wanted: Callable[[Case], bool],
        callers: Iterable[Caller],
        actions: Iterable[str],
        target: Target,
        variants: Sequence[Said],
    ) -> Answer:
        doubt: str | None = None
        for caller, action in itertools.product(callers, actions):
            cases = self.cases(caller, action, target, variants)
            try:
                for case in cases:
                    if wanted(case):
                        return Answer(case)
                    doubt = doubt or case.doubt
            except TooManyError as many:
                doubt = doubt or str(many)
        return Answer(None, doubt)


def _policies(caller: Caller, target: Target) -> Policies:
    return Policies(identity=caller.identity, resource=target.policy, boundary=caller.boundary)


def _decided(caller: Caller, request: Request, policies: Policies) -> Case:
    try:
        return Case(caller, request, decide(request, policies), None)
    except Unmodelled as doubt:
        return Case(caller, request, None, str(doubt))


def _requests(
    conditions: Sequence[Condition], who: Principal, action: str, target: Target, variants: Sequence[Said]
) -> Iterator[Request]:
    for said in variants:
        bare = Request(who, action, target.arn, target.account, said)
        for context in _contexts(conditions, bare):
            # With nothing left open it is the request that was there already.
            yield bare if context == said else Request(who, action, target.arn, target.account, context)


def _relevant(policies: Policies, who: Principal, action: str, resource: str) -> list[Condition]:
    """Collect the conditions of every statement that may apply: no other key can make a difference."""
    layers = (*policies.identity, policies.resource, policies.boundary)
    found: list[Condition] = []
    for policy in layers:
        for statement in () if policy is None else policy.statements:
            if not statement.acts(action) or not _may_concern(statement.concerns, resource):
                continue
            if statement.principals is None or _may_name(statement.principals, who):
                found += statement.conditions
    return found


def _may_concern(concerns: Callable[[str, Mapping[str, Value]], bool], resource: str) -> bool:
    try:
        return concerns(resource, _Anything())
    except Unmodelled:
        return True


def _may_name(named: Principals, who: Principal) -> bool:
    try:
        # NotPrincipal spares somebody or doesn't; either way its conditions may count.
        return named.excepted or named.named(who) is not Named.NOT
    except Unmodelled:
        return True


class _Anything(dict[str, Value]):
    """A context in which nothing is known, so that a policy variable's value isn't either."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Value:
        return None


def _contexts(conditions: Sequence[Condition], bare: Request) -> Iterator[Context]:
    """Combine what a claim fixes with every value of every other key that the conditions look at."""
    free: dict[str, list[Value]] = {}
    for key, about in _by_key(conditions).items():
        if bare.context.get(key) is None and key not in map(str.lower, bare.said):
            name = about[0].key if about else key
            free[name] = _values(key, about, bare)
    size = math.prod(map(len, free.values()))
    if size > _MOST:
        raise TooManyError(f"{size:,} requests would have to be decided: {bare}")
    for combination in itertools.product(*free.values()):
        # A key without any value is absent, which a request says by None.
        values = ((key, None if value == () else value) for key, value in zip(free, combination, strict=True))
        context = {**bare.said, **dict(values)}
        said = {key.lower(): value for key, value in context.items()}
        if _can_be(said):
            yield context


def _can_be(said: Said) -> bool:
    """Whether a request can have these keys, in lower case, together.

    Plain HTTP has no version of TLS; the keys of an encryption context are those that kms:EncryptionContextKeys lists.
    """
    if said.get("aws:securetransport") == "false" and said.get("s3:tlsversion") is not None:
        return False
    if _CONTEXT_KEYS not in said:
        return True
    keys = said[_CONTEXT_KEYS] or ()
    listed = {key.lower() for key in ((keys,) if isinstance(keys, str) else keys)}
    named = {key: value for key, value in said.items() if key.startswith(_CONTEXT_KEY)}
    return all((value is not None) == (key.removeprefix(_CONTEXT_KEY) in listed) for key, value in named.items())


def _by_key(conditions: Iterable[Condition]) -> dict[str, list[Condition]]:
    """Group conditions by their key, and name the keys that fill in policy variables."""
    found: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition.operator != UNDECIDED:
            found.setdefault(condition.key.lower(), []).append(condition)
            for key in variables(condition):
                found.setdefault(key, [])
    return found


def _values(key: str, conditions: Sequence[Condition], bare: Request) -> list[Value]:
    """Return the values a key may have in this caller's requests, one of each class; ``()`` is none."""
    if key == "aws:securetransport":
        return ["true", "false"]
    if vocabulary.is_condition_key(key) is False:
        return [()]
    service = bare.principal.kind is Kind.SERVICE
    if (key in _OF_SERVICES and not service) or (key in _OF_PRINCIPALS and service):
        return [()]
    if not _has(bare.lowered_action, key):
        return [()]
    if service and key.startswith(_CONTEXT_KEY) and _says_context(bare.said):
        return [()]

    def fill(variable: str) -> str:
        value = bare.context.get(variable)
        return value if isinstance(value, str) else FRESH

    absent: list[Value] = [] if key in _ALWAYS else [()]
    found = classes(key, conditions, [*absent, *candidates(conditions, fill)], bare.context)
    if any(is_set(condition) for condition in conditions):
        pairs = itertools.combinations([one for one in found if isinstance(one, str)], 2)
        found = classes(key, conditions, [*found, *pairs], bare.context)
    return found


def _says_context(said: Said) -> bool:
    """Whether a claim names keys of an encryption context: of a service's own it names all, as nobody can add to it."""
    return any(key.lower().startswith(_CONTEXT_KEY) and value is not None for key, value in said.items())


def _has(action: str, key: str) -> bool:
    """Whether a request for an action can have a key, both in lower case."""
    for family, actions in _OF_ACTIONS.items():
        if key == family or key.startswith((f"{family}:", f"{family}-")) or key == f"{family}keys":
            return any(action == one or (one.endswith("*") and action.startswith(one[:-1])) for one in actions)
    return True

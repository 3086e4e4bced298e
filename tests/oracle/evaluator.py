"""Decides requests over policy documents, with iam-simulate in a Node process of its own.

It answers as AWS documents it, or raises: a context key that the action doesn't have, a policy that AWS would refuse, a
key whose presence nobody documents. It is never "allowed by default". Not modelled: KMS grants, endpoint policies.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

Policy: TypeAlias = "Mapping[str, Any]"
Context: TypeAlias = "Mapping[str, str | Sequence[str]]"

ANONYMOUS = "anonymous"
FULL_ADMIN: Policy = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "FullAdmin", "Effect": "Allow", "Action": "*", "Resource": "*"}],
}

# Always in a real request, with a value only the caller knows: a policy that reads one decides nothing without it.
_CALLERS_OWN = (
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:RequestedRegion",
    "s3:authType",
    "s3:signatureAge",
    "s3:signatureversion",
)
# AWS documents neither their presence nor their value for a service principal.
_UNDOCUMENTED_FOR_SERVICES = ("aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalType", "kms:CallerAccount")


class UndecidableError(Exception):
    """The request, a policy or their combination is something the evaluator can't decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call.

    `principal` is the ARN of an IAM user, a role, a role's session or an account's root, a service such as
    `logging.s3.amazonaws.com`, or ANONYMOUS; `role` is the session's role, whose path its own ARN doesn't show. What
    AWS derives from principal, account and connection is filled in; a request that says nothing of its connection comes
    over TLS 1.3. Everything else stands in `context`, and what isn't there is absent.
    """

    principal: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`why` names each statement that had a say, by Sid, or by position where it has none."""

    allowed: bool
    why: str


class Evaluator:
    """A context manager around the Node process: 0.3 s to start, then about a millisecond a decision."""

    def __enter__(self) -> Self:
        node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
        if node is None:
            raise RuntimeError("node isn't installed: run `make install`")
        self._process = subprocess.Popen(
            [node, str(Path(__file__).with_name("simulate.mjs"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def decide(
        self,
        request: Request,
        *,
        account: str,
        identity_policies: Sequence[Policy] = (),
        resource_policy: Policy | None = None,
        boundary: Policy | None = None,
        session: Policy | None = None,
        scps: Sequence[Sequence[Policy]] = (),
        rcps: Sequence[Sequence[Policy]] = (),
    ) -> Decision:
        """Decide one request on a resource of `account`."""
        (decision,) = self.decide_all(
            [request],
            account=account,
            identity_policies=identity_policies,
            resource_policy=resource_policy,
            boundary=boundary,
            session=session,
            scps=scps,
            rcps=rcps,
        )
        return decision

    def decide_all(
        self,
        requests: Iterable[Request],
        *,
        account: str,
        identity_policies: Sequence[Policy] = (),
        resource_policy: Policy | None = None,
        boundary: Policy | None = None,
        session: Policy | None = None,
        scps: Sequence[Sequence[Policy]] = (),
        rcps: Sequence[Sequence[Policy]] = (),
    ) -> list[Decision]:
        """Decide many requests over the same policies, in their order.

        `scps` and `rcps` are those of each level, from the organization's root down to the account.
        """
        requests = list(requests)
        for request in requests:
            if request.action.startswith("kms:") and ":key/" in request.resource and resource_policy is None:
                raise UndecidableError(f"every key has a policy, none was given for {request.resource}")
        message = {
            "account": account,
            "resource": resource_policy,
            "boundary": boundary,
            "session": session,
            "scps": scps,
            "rcps": rcps,
            "requests": [
                _as_aws_presents(request, account) | {"identity": _identity(request.principal, identity_policies)}
                for request in requests
            ],
        }
        answer = self._exchange(message)
        return [_decision(one) for one in answer["decisions"]]

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the evaluator was started without pipes")
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the evaluator ended with {self._process.wait()}: run `make install`, see stderr")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UndecidableError(answer["error"])
        return answer


def _is_service(principal: str) -> bool:
    return principal.endswith(".amazonaws.com")


def _identity(principal: str, policies: Sequence[Policy]) -> list[Policy]:
    root = principal.endswith(":root")
    if policies and (root or principal == ANONYMOUS or _is_service(principal)):
        raise UndecidableError(f"{principal} has no identity policies")
    return [FULL_ADMIN] if root else list(policies)  # an account's root needs none


def _as_aws_presents(request: Request, account: str) -> dict[str, Any]:
    context = _derived_context(request, account)
    for key, value in request.context.items():
        if context.setdefault(key, value) != value:
            raise UndecidableError(f"{key} is {context[key]!r} for {request.principal}, the request says {value!r}")
    unknowable = _CALLERS_OWN + (_UNDOCUMENTED_FOR_SERVICES if _is_service(request.principal) else ())
    return {
        "principal": request.principal,
        "action": request.action,
        "resource": request.resource,
        "context": context,
        "unknowable": unknowable,
    }


def _derived_context(request: Request, account: str) -> dict[str, str | Sequence[str]]:
    via_service = "kms:ViaService" in request.context
    context: dict[str, str | Sequence[str]] = {
        "aws:ResourceAccount": account,
        "aws:ViaAWSService": "true" if via_service else "false",
    }
    if "aws:SecureTransport" not in request.context:
        context["aws:SecureTransport"] = "true"
        if request.action.startswith("s3:"):
            context["s3:TlsVersion"] = "1.3"
    if request.action.startswith("s3:"):
        context["s3:ResourceAccount"] = account
    if names := [key.split(":", 2)[2] for key in request.context if key.startswith("kms:EncryptionContext:")]:
        context["kms:EncryptionContextKeys"] = names
    return context | _principal_context(request)


def _principal_context(request: Request) -> dict[str, str | Sequence[str]]:
    principal = request.principal
    if principal == ANONYMOUS:
        return {"aws:PrincipalAccount": "anonymous", "aws:PrincipalType": "Anonymous"}
    if _is_service(principal):
        return {
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": principal,
            "aws:PrincipalServiceNamesList": [principal],
        }
    arn = principal if request.role is None else request.role
    match arn.split(":", 5):
        case ["arn", _, "iam", "", account, resource] if resource == "root" or resource.startswith(("user/", "role/")):
            kind = {"root": "Account", "user": "User", "role": "AssumedRole"}[resource.partition("/")[0]]
        case _:
            raise UndecidableError(f"not an IAM user, role, account root, service or {ANONYMOUS!r}: {principal}")
    if request.role is not None and f":{account}:assumed-role/{arn.rpartition('/')[2]}/" not in principal:
        raise UndecidableError(f"{principal} is no session of {request.role}")
    context: dict[str, str | Sequence[str]] = {
        "aws:PrincipalAccount": account,
        "aws:PrincipalArn": arn,
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": kind,
    }
    # KMS's own synchronization has no key of KMS's in IAM's reference.
    if request.action.startswith("kms:") and request.action != "kms:SynchronizeMultiRegionKey":
        context["kms:CallerAccount"] = account
    return context


def _decision(answer: dict[str, Any]) -> Decision:
    said = "; ".join(f"{effect} {sid} ({policy})" for effect, policy, sid in answer["statements"])
    return Decision(allowed=answer["allowed"], why=said or "no statement applies")

"""The proofs' evaluator, asked as the oracle is."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Policies, decide
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from tests.oracle.evaluator import ANONYMOUS, Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdk_encrypted_data.proofs.iam.documents import Policy as CompiledPolicy
    from cdk_encrypted_data.proofs.iam.principals import Principal
    from tests.oracle.evaluator import Policy
    from tests.oracle.evaluator import Request as AskedRequest


class ProofsEngine:
    """Decides what the oracle decides, with the library's own evaluator."""

    def decide(
        self,
        request: AskedRequest,
        *,
        account: str,
        identity_policies: Sequence[Policy] = (),
        resource_policy: Policy | None = None,
        boundary: Policy | None = None,
    ) -> Decision:
        (decision,) = self.decide_all(
            [request],
            account=account,
            identity_policies=identity_policies,
            resource_policy=resource_policy,
            boundary=boundary,
        )
        return decision

    def decide_all(
        self,
        requests: Iterable[AskedRequest],
        *,
        account: str,
        identity_policies: Sequence[Policy] = (),
        resource_policy: Policy | None = None,
        boundary: Policy | None = None,
    ) -> list[Decision]:
        policies = Policies(
            identity=tuple(_compiled(policy, PolicyKind.IDENTITY) for policy in identity_policies),
            resource=None if resource_policy is None else _compiled(resource_policy, PolicyKind.RESOURCE),
            boundary=None if boundary is None else _compiled(boundary, PolicyKind.BOUNDARY),
        )
        decisions = [decide(_asked(request, account), policies) for request in requests]
        return [Decision(allowed=decision.allowed, why=decision.because) for decision in decisions]


def _compiled(document: Policy, kind: PolicyKind) -> CompiledPolicy:
    return _compile(json.dumps(document, sort_keys=True), kind)


@functools.cache
def _compile(document: str, kind: PolicyKind) -> CompiledPolicy:
    return compile_policy(json.loads(document), kind)


def _asked(request: AskedRequest, account: str) -> Request:
    said = dict(request.context)
    if "aws:SecureTransport" not in said:  # a request that says nothing of its connection comes over TLS 1.3
        said["aws:SecureTransport"] = "true"
        if request.action.startswith("s3:"):
            said["s3:TlsVersion"] = "1.3"
    return Request(_principal(request.principal), request.action, request.resource, account, said)


def _principal(name: str) -> Principal:
    if name == ANONYMOUS:
        return principals.ANONYMOUS
    return principals.service(name) if name.endswith(".amazonaws.com") else principals.principal(name)

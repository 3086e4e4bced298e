"""What a decision costs over this library's own bucket and key policies, and what it costs the oracle's process.

Run as ``python -m benchmarks.evaluation``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, TypeVar

from cdk_encrypted_data.choices import CustomerProvidedKeys, ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.policies import document
from cdk_encrypted_data.policies.bucket import refuse_other_encryption, refuse_weak_transport
from cdk_encrypted_data.policies.key import administration, refuse_grants_to_people, use_through_s3
from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Policies, decide
from cdk_encrypted_data.proofs.iam.principals import principal
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from tests.oracle.evaluator import Evaluator
from tests.oracle.evaluator import Request as OracleRequest

OWNER = "111122223333"
BUCKET = "arn:aws:s3:::data-bucket"
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT, ROLE = f"arn:aws:iam::{OWNER}:root", f"arn:aws:iam::{OWNER}:role/app"
SSE, KEY_ID = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
SSE_C = "s3:x-amz-server-side-encryption-customer-algorithm"
REPEATS = 40
T = TypeVar("T")


BUCKET_POLICY: Any = document(
    [
        *refuse_weak_transport(BUCKET, minimum_tls_version="1.2"),
        *refuse_other_encryption(
            BUCKET,
            encryption=ServerSideEncryption.SSE_KMS,
            key_arn=KEY,
            upload_policy=UploadPolicy.RESPECT_DEFAULT,
            customer_provided_keys=CustomerProvidedKeys.BLOCKED,
        ),
    ]
)
KEY_POLICY: Any = document(
    [
        *administration(ROOT, administrators=[]),
        *use_through_s3(ROOT, account=OWNER, region="us-east-1", users=[], bucket_arns=[BUCKET]),
        *refuse_grants_to_people(),
    ]
)
ADMIN: Any = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def _requests() -> list[tuple[Any, str, str, dict[str, str]]]:
    """Uploads with every combination of headers, and uses of the key through S3 and not."""
    found: list[tuple[Any, str, str, dict[str, str]]] = []
    headers = ([None, "aws:kms", "AES256"], [None, KEY, "alias/data"], [None, "AES256"], ["1.1", "1.3"])
    for sse, key_id, customer, tls in itertools.product(*headers):
        said = {SSE: sse, KEY_ID: key_id, SSE_C: customer, "s3:TlsVersion": tls, "aws:SecureTransport": "true"}
        context = {name: value for name, value in said.items() if value is not None}
        found.append((BUCKET_POLICY, "s3:PutObject", f"{BUCKET}/a.parquet", context))
    for action, via in itertools.product(("kms:Decrypt", "kms:CreateGrant", "kms:PutKeyPolicy"), (True, False)):
        context = {"aws:SecureTransport": "true"} | ({"kms:ViaService": "s3.us-east-1.amazonaws.com"} if via else {})
        if action == "kms:Decrypt":
            context["kms:EncryptionContext:aws:s3:arn"] = BUCKET
        found.append((KEY_POLICY, action, KEY, context))
    return found


def _timed(answer: Callable[[], T], repeats: int = 1) -> tuple[T, float]:
    """The answer, and the seconds that one repeat takes."""
    result = answer()  # warms up
    start = time.perf_counter()
    for _ in range(repeats):
        result = answer()
    return result, (time.perf_counter() - start) / repeats


def main() -> None:
    """Print a table."""
    asked = _requests()
    who = principal(ROLE)
    identity = compile_policy(ADMIN, PolicyKind.IDENTITY)

    def compile_both() -> list[Policies]:
        return [
            Policies(identity=(identity,), resource=compile_policy(policy, PolicyKind.RESOURCE))
            for policy in (BUCKET_POLICY, KEY_POLICY)
        ]

    (bucket, key), compiling = _timed(compile_both, REPEATS)
    requests, requesting = _timed(
        lambda: [Request(who, action, target, OWNER, said=said) for _, action, target, said in asked], REPEATS
    )
    pairs = [
        (request, bucket if policy is BUCKET_POLICY else key)
        for request, (policy, *_) in zip(requests, asked, strict=True)
    ]
    ours, deciding = _timed(lambda: [decide(*pair).allowed for pair in pairs], REPEATS)
    with Evaluator() as oracle:
        theirs, asking = _timed(lambda: [_ask(oracle, *one) for one in asked], 3)
    if ours != theirs:
        raise SystemExit("they disagree")

    count = len(asked)
    print(f"{count} requests, {sum(ours)} allowed")
    print(f"ours    {count / deciding:10,.0f} decisions/s, {asking / deciding:,.0f} times the oracle's")
    print(f"oracle  {count / asking:10,.0f} decisions/s")
    print(
        f"a request takes {requesting / count * 1e6:.0f} µs to make, a policy {compiling / 2 * 1e6:.0f} µs to compile"
    )


def _ask(oracle: Evaluator, policy: Any, action: str, target: str, said: dict[str, str]) -> bool:  # noqa: ANN401
    request = OracleRequest(principal=ROLE, action=action, resource=target, context=said)
    return oracle.decide(request, account=OWNER, identity_policies=[ADMIN], resource_policy=policy).allowed


if __name__ == "__main__":
    main()

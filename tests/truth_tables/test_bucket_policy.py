"""What an EncryptedBucket lets in, in every mode: no upload of any shape lies there under another encryption or key."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cdk_encrypted_data.choices import ServerSideEncryption
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.oracle.requests import (
    DSSE_KMS,
    SSE_C,
    SSE_KMS,
    SSE_S3,
    Headers,
    Stored,
    Target,
    decide_uploads,
    outcome,
    uploads,
)
from tests.truth_tables.bucket_table import (
    ALLOWED,
    LOG_SOURCE,
    MODES,
    REQUIRE,
    RESPECT,
    TLS_1_2,
    Mode,
    expected,
    make_bucket,
)
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT, Synthesis

if TYPE_CHECKING:
    import aws_cdk as cdk
    from constructs import IConstruct

    from tests.oracle.evaluator import Evaluator, Policy


class Bucket(NamedTuple):
    policy: Policy
    target: Target
    default: Stored


@pytest.fixture(scope="module")
def buckets() -> dict[Mode, Bucket]:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        named: dict[str, IConstruct] = {}
        for mode in MODES:
            made = make_bucket(stack, mode)
            named[f"{mode} bucket"] = made.bucket
            if mode.encryption is not ServerSideEncryption.SSE_S3:
                named[f"{mode} key"] = made.key
        return named

    synthesis = Synthesis(build)
    found = {}
    for mode in MODES:
        logical_id = synthesis.logical_id(f"{mode} bucket")
        has_key = mode.encryption is not ServerSideEncryption.SSE_S3
        key_arn = synthesis.arn(f"{mode} key") if has_key else "arn:aws:kms:us-east-1:111122223333:key/any"
        target = Target(
            bucket=synthesis.arn(f"{mode} bucket").rpartition(":")[2],
            key_arn=key_arn,
            account=ACCOUNT,
            partner_account=OTHER_ACCOUNT,
            log_source=LOG_SOURCE,
        )
        default = Stored(mode.encryption.value, key_arn if has_key else None)
        found[mode] = Bucket(synthesis.template.bucket_policy(logical_id), target, default)
    return found


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_way_to_upload(evaluator: Evaluator, buckets: dict[Mode, Bucket], mode: Mode) -> None:
    bucket = buckets[mode]
    rows = {name: row for name, row in uploads(bucket.target).items() if not row.action.startswith("s3:Update")}
    decisions = decide_uploads(evaluator, bucket.policy, bucket.target, rows)

    found = {row: outcome(rows[row], decisions[row], bucket.default) for row in rows}

    assert found == {row: cell for row, cell in expected(mode).items() if row in rows}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode[2:] == MODES[0][2:]], ids=str)
def test_no_object_is_encrypted_anew_under_another_key(
    evaluator: Evaluator, buckets: dict[Mode, Bucket], mode: Mode
) -> None:
    bucket = buckets[mode]
    rows = {name: row for name, row in uploads(bucket.target).items() if row.action.startswith("s3:Update")}
    decisions = decide_uploads(evaluator, bucket.policy, bucket.target, rows)

    found = {row: outcome(rows[row], decisions[row], bucket.default) for row in rows}

    assert found == {row: expected(mode)[row] for row in rows}


# Of all requests that bring no SSE-C header, these and no others pass: (x-amz-server-side-encryption, key id).
PASSING = {
    (ServerSideEncryption.SSE_KMS, RESPECT): {
        (None, None),
        (None, "right"),
        (SSE_KMS, "right"),
        (DSSE_KMS, "right"),
    },
    (ServerSideEncryption.SSE_KMS, REQUIRE): {(SSE_KMS, "right"), (DSSE_KMS, "right")},
    (ServerSideEncryption.DSSE_KMS, RESPECT): {(None, None), (None, "right"), (DSSE_KMS, "right")},
    (ServerSideEncryption.DSSE_KMS, REQUIRE): {(DSSE_KMS, "right")},
    (ServerSideEncryption.SSE_S3, RESPECT): {(None, None), (SSE_S3, None)},
    (ServerSideEncryption.SSE_S3, REQUIRE): {(SSE_S3, None)},
}
INTENDED = {
    ServerSideEncryption.SSE_KMS: {SSE_KMS, DSSE_KMS},
    ServerSideEncryption.DSSE_KMS: {DSSE_KMS},
    ServerSideEncryption.SSE_S3: {SSE_S3},
}
TLS = [(True, "1.3"), (True, "1.2"), (True, "1.1"), (False, None), (False, "1.3")]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.minimum_tls_version is TLS_1_2], ids=str)
def test_no_request_of_any_shape_is_stored_otherwise(
    evaluator: Evaluator, buckets: dict[Mode, Bucket], mode: Mode
) -> None:
    """For each condition key: absent, each constant that S3 or the policy knows, and a value nobody thought of."""
    bucket = buckets[mode]
    target, right = bucket.target, bucket.target.key_arn
    shapes = [
        (Headers(sse=sse, key_id=key_id, customer_algorithm=customer), secure, version)
        for sse, key_id, customer, (secure, version) in product(
            (None, SSE_S3, SSE_KMS, DSSE_KMS, "unheard-of"),
            (None, right, target.wrong_key_arn, "unheard-of"),
            (None, "AES256", "unheard-of"),
            TLS,
        )
    ]
    decisions = evaluator.decide_all(
        [
            Request(
                principal=target.writer,
                action="s3:PutObject",
                resource=f"{target.bucket_arn}/a.parquet",
                context={
                    **headers.context(),
                    "aws:SecureTransport": str(secure).lower(),
                    **({"s3:TlsVersion": version} if version else {}),
                },
            )
            for headers, secure, version in shapes
        ],
        account=ACCOUNT,
        identity_policies=[FULL_ADMIN],
        resource_policy=bucket.policy,
    )
    passing = [shape for shape, decision in zip(shapes, decisions, strict=True) if decision.allowed]

    intended = {Stored(algorithm, bucket.default.key) for algorithm in INTENDED[mode.encryption]}
    if mode.customer_provided_keys is ALLOWED:
        intended.add(Stored(SSE_C))
    assert {headers.stored(bucket.default) for headers, _, _ in passing} <= intended
    assert {(secure, version) for _, secure, version in passing} == {(True, "1.2"), (True, "1.3")}
    assert {
        (headers.sse, headers.key_id and "right") for headers, _, _ in passing if headers.customer_algorithm is None
    } == PASSING[mode.encryption, mode.upload_policy]


def test_a_bucket_lets_in_nobody_by_itself(evaluator: Evaluator) -> None:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        return {"bucket": EncryptedBucket(stack, "Orders").bucket}

    synthesis = Synthesis(build)
    arn, policy = synthesis.arn("bucket"), synthesis.template.bucket_policy(synthesis.logical_id("bucket"))

    def allowed(principal: str, action: str, identity_policies: list[Policy]) -> bool:
        request = Request(principal=principal, action=action, resource=f"{arn}/a.parquet")
        return evaluator.decide(
            request, account=ACCOUNT, identity_policies=identity_policies, resource_policy=policy
        ).allowed

    for action in ("s3:PutObject", "s3:GetObject", "s3:ReplicateObject"):
        assert allowed(f"arn:aws:iam::{ACCOUNT}:role/writer", action, [FULL_ADMIN])
        assert not allowed(f"arn:aws:iam::{ACCOUNT}:role/writer", action, [])
        assert not allowed(f"arn:aws:iam::{OTHER_ACCOUNT}:role/partner", action, [FULL_ADMIN])
        assert not allowed("logging.s3.amazonaws.com", action, [])
        assert not allowed("anonymous", action, [])


@pytest.mark.parametrize(
    ("action", "on_objects"),
    [("s3:GetObject", True), ("s3:DeleteObject", True), ("s3:ListBucket", False), ("s3:PutBucketPolicy", False)],
)
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode[:3] == MODES[0][:3]], ids=str)
def test_everything_goes_over_new_tls(
    evaluator: Evaluator,
    buckets: dict[Mode, Bucket],
    mode: Mode,
    action: str,
    on_objects: bool,  # noqa: FBT001
) -> None:
    bucket = buckets[mode]
    found = {}
    for secure, version in TLS:
        context = {"aws:SecureTransport": str(secure).lower(), **({"s3:TlsVersion": version} if version else {})}
        request = Request(
            principal=bucket.target.writer,
            action=action,
            resource=bucket.target.bucket_arn + ("/a.parquet" if on_objects else ""),
            context=context,
        )
        decision = evaluator.decide(
            request, account=ACCOUNT, identity_policies=[FULL_ADMIN], resource_policy=bucket.policy
        )
        found[secure, version] = decision.allowed

    assert found == {
        (True, "1.3"): True,
        (True, "1.2"): mode.minimum_tls_version is TLS_1_2,
        (True, "1.1"): False,
        (False, None): False,
        (False, "1.3"): False,
    }

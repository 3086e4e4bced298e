"""What an EncryptedBucket lets in, in every mode: no upload of any shape lies there under another encryption or key."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.choices import (
    CustomerProvidedKeys,
    MinimumTlsVersion,
    ServerSideEncryption,
    UploadPolicy,
)
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
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT, Synthesis

if TYPE_CHECKING:
    import aws_cdk as cdk
    from constructs import IConstruct

    from tests.oracle.evaluator import Evaluator, Policy

RESPECT, REQUIRE = UploadPolicy.RESPECT_DEFAULT, UploadPolicy.REQUIRE_HEADER
BLOCKED, ALLOWED = CustomerProvidedKeys.BLOCKED, CustomerProvidedKeys.ALLOWED
TLS_1_2, TLS_1_3 = MinimumTlsVersion.TLS_1_2, MinimumTlsVersion.TLS_1_3
LOG_SOURCE = "source-bucket"


class Mode(NamedTuple):
    encryption: ServerSideEncryption
    upload_policy: UploadPolicy
    customer_provided_keys: CustomerProvidedKeys
    minimum_tls_version: MinimumTlsVersion

    def __str__(self) -> str:
        return "-".join(choice.name for choice in self)

    @property
    def column(self) -> str:
        return self.encryption.name + ("" if self.upload_policy is RESPECT else ", header")


MODES = [
    Mode(*choices) for choices in product(ServerSideEncryption, UploadPolicy, CustomerProvidedKeys, MinimumTlsVersion)
]

# SSE-C blocked, TLS 1.2. The bucket's owner has let a partner account and log delivery write: a consumer's own Allow
# statements open nothing that the table says is closed.
EXPECTED = read_table("""
                                  | SSE_KMS | SSE_KMS, header | DSSE_KMS | DSSE_KMS, header | SSE_S3 | SSE_S3, header
no header                         | ok      | D               | ok       | D                | ok     | D
AES256                            | D       | D               | D        | D                | ok     | ok
aws:kms, no key: verbatim         | D       | D               | D        | D                | D      | D
aws:kms, no key: filled in        | D       | D               | D        | D                | D      | D
aws:kms, right key                | ok      | ok              | D        | D                | D      | D
right key id: verbatim            | D       | D               | D        | D                | D      | D
right key id: as ARN              | ok      | ok              | D        | D                | D      | D
right alias: verbatim             | D       | D               | D        | D                | D      | D
right alias: as ARN               | ok      | ok              | D        | D                | D      | D
aws:kms, wrong key                | D       | D               | D        | D                | D      | D
right key, no aws:kms             | ok      | D               | ok       | D                | D      | D
wrong key, no aws:kms             | D       | D               | D        | D                | D      | D
dsse, right key                   | OK!dsse | OK!dsse         | ok       | ok               | D      | D
dsse, wrong key                   | D       | D               | D        | D                | D      | D
dsse, no key                      | D       | D               | D        | D                | D      | D
unknown algorithm                 | D       | D               | D        | D                | D      | D
SSE-C                             | D       | D               | D        | D                | D      | D
HTTP                              | D       | D               | D        | D                | D      | D
HTTP: TLS version shown           | D       | D               | D        | D                | D      | D
TLS 1.1                           | D       | D               | D        | D                | D      | D
TLS 1.2                           | ok      | D               | ok       | D                | ok     | D
TLS 1.3                           | ok      | D               | ok       | D                | ok     | D
other account, no header          | ok      | D               | ok       | D                | ok     | D
other account, right key          | ok      | ok              | D        | D                | D      | D
anonymous                         | D       | D               | D        | D                | D      | D
CopyObject, no header             | ok      | D               | ok       | D                | ok     | D
CopyObject, right key             | ok      | ok              | D        | D                | D      | D
CopyObject, wrong key             | D       | D               | D        | D                | D      | D
multipart upload, no header       | ok      | D               | ok       | D                | ok     | D
multipart upload, right key       | ok      | ok              | D        | D                | D      | D
multipart upload, wrong key       | D       | D               | D        | D                | D      | D
UploadPart: nothing shown         | ok      | D               | ok       | D                | ok     | D
UploadPart: its upload's shown    | ok      | ok              | D        | D                | D      | D
UploadPart, SSE-C                 | D       | D               | D        | D                | D      | D
UpdateObjectEncryption, right key | ok      | ok              | D        | D                | D      | D
UpdateObjectEncryption, wrong key | D       | D               | D        | D                | D      | D
ReplicateObject                   | ok      | ok              | ok       | ok               | ok     | ok
ReplicateDelete                   | ok      | ok              | ok       | ok               | ok     | ok
log delivery                      | ok      | D               | ok       | D                | ok     | D
log delivery, other account       | D       | D               | D        | D                | D      | D
log delivery, other bucket        | D       | D               | D        | D                | D      | D
log delivery, no source           | D       | D               | D        | D                | D      | D
""")
# What the other choices change, and nothing else.
WITH_SSE_C = {"SSE-C": "OK!sse-c", "UploadPart, SSE-C": "OK!sse-c"}
WITH_TLS_1_3 = {"TLS 1.2": "D"}


class Bucket(NamedTuple):
    policy: Policy
    target: Target
    default: Stored


@pytest.fixture(scope="module")
def buckets() -> dict[Mode, Bucket]:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        named: dict[str, IConstruct] = {}
        for mode in MODES:
            made = EncryptedBucket(
                stack,
                str(mode).replace("_", ""),
                encryption=mode.encryption,
                upload_policy=mode.upload_policy,
                customer_provided_keys=mode.customer_provided_keys,
                minimum_tls_version=mode.minimum_tls_version,
            )
            named[f"{mode} bucket"] = made.bucket
            if mode.encryption is not ServerSideEncryption.SSE_S3:
                named[f"{mode} key"] = made.key
            from_source = {"aws:SourceArn": f"arn:aws:s3:::{LOG_SOURCE}", "aws:SourceAccount": ACCOUNT}
            for writer in (
                iam.AccountPrincipal(OTHER_ACCOUNT),
                iam.ServicePrincipal("logging.s3.amazonaws.com", conditions={"StringEquals": from_source}),
            ):
                made.bucket.add_to_resource_policy(
                    iam.PolicyStatement(
                        principals=[writer], actions=["s3:PutObject"], resources=[made.bucket.arn_for_objects("*")]
                    )
                )
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

    expected = {row: cell for row, cell in EXPECTED[mode.column].items() if row in rows}
    if mode.customer_provided_keys is ALLOWED:
        expected |= WITH_SSE_C
    if mode.minimum_tls_version is TLS_1_3:
        expected |= WITH_TLS_1_3
    assert found == expected


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode[2:] == MODES[0][2:]], ids=str)
def test_no_object_is_encrypted_anew_under_another_key(
    evaluator: Evaluator, buckets: dict[Mode, Bucket], mode: Mode
) -> None:
    bucket = buckets[mode]
    rows = {name: row for name, row in uploads(bucket.target).items() if row.action.startswith("s3:Update")}
    decisions = decide_uploads(evaluator, bucket.policy, bucket.target, rows)

    found = {row: outcome(rows[row], decisions[row], bucket.default) for row in rows}

    assert found == {row: EXPECTED[mode.column][row] for row in rows}


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

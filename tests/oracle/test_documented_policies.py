"""What the well-known deny-unencrypted policies do: known answers for the tables, and what ours is measured by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.oracle.requests import SSE_KMS, Stored, Target, decide_uploads, outcome, uploads
from tests.oracle.table import read_table

if TYPE_CHECKING:
    from tests.oracle.evaluator import Evaluator, Policy

TARGET = Target(
    bucket="data-bucket", key_arn="arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)
DEFAULT = Stored(SSE_KMS, TARGET.key_arn)

SSE = "s3:x-amz-server-side-encryption"
KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
CUSTOMER = "s3:x-amz-server-side-encryption-customer-algorithm"
BOTH = [TARGET.bucket_arn, f"{TARGET.bucket_arn}/*"]


def statement(
    effect: str, action: str | list[str], principal: str | dict[str, str], condition: dict[str, Any]
) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Principal": principal, "Resource": BOTH, "Condition": condition}


def deny(condition: dict[str, Any], action: str = "s3:PutObject") -> dict[str, Any]:
    return statement("Deny", action, "*", condition)


def policy(*denies: dict[str, Any]) -> Policy:
    """The denies beside what every data bucket has: TLS, a partner who may write, log delivery."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            deny({"Bool": {"aws:SecureTransport": "false"}}, "s3:*"),
            deny({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, "s3:*"),
            statement("Allow", "s3:PutObject", {"AWS": f"arn:aws:iam::{TARGET.partner_account}:root"}, {}),
            statement(
                "Allow",
                "s3:PutObject",
                {"Service": "logging.s3.amazonaws.com"},
                {
                    "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{TARGET.log_source}"},
                    "StringEquals": {"aws:SourceAccount": TARGET.account},
                },
            ),
            *denies,
        ],
    }


NO_SSE_C = deny({"Null": {CUSTOMER: "false"}})
GUARDED_SSE = deny({"Null": {SSE: "false"}, "StringNotEquals": {SSE: "aws:kms"}})
GUARDED_KEY = deny({"Null": {KEY_ID: "false"}, "StringNotEquals": {KEY_ID: TARGET.key_arn}})

POLICIES = {
    "tls-only": policy(),
    "classic": policy(deny({"StringNotEquals": {SSE: "aws:kms"}})),
    "classic *": policy(deny({"StringNotEquals": {SSE: "aws:kms"}}, "s3:*")),
    "IfExists": policy(deny({"StringNotEqualsIfExists": {SSE: "aws:kms"}})),
    "Null": policy(GUARDED_SSE),
    "Null+key": policy(GUARDED_SSE, GUARDED_KEY, NO_SSE_C),
    "classic+key": policy(
        deny({"StringNotEquals": {SSE: "aws:kms"}}), deny({"StringNotEquals": {KEY_ID: TARGET.key_arn}})
    ),
    "modern": policy(
        deny({"Null": {SSE: "false"}, "StringNotEquals": {SSE: ["aws:kms", "aws:kms:dsse"]}}),
        deny({"Null": {SSE: "false"}, "StringNotEquals": {KEY_ID: TARGET.key_arn}}),
        GUARDED_KEY,
        NO_SSE_C,
    ),
}

EXPECTED = read_table("""
                                  | tls-only  | classic   | classic * | IfExists  | Null      | Null+key  | classic+key | modern
no header                         | ok        | D         | D         | D         | ok        | ok        | D           | ok
AES256                            | OK!sse-s3 | D         | D         | D         | D         | D         | D           | D
aws:kms, no key: verbatim         | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | D           | D
aws:kms, no key: filled in        | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | OK!aws/s3 | D         | D           | D
aws:kms, right key                | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
right key id: verbatim            | ok        | ok        | ok        | ok        | ok        | D         | D           | D
right key id: as ARN              | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
right alias: verbatim             | ok        | ok        | ok        | ok        | ok        | D         | D           | D
right alias: as ARN               | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
aws:kms, wrong key                | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | D         | D           | D
right key, no aws:kms             | ok        | D         | D         | D         | ok        | ok        | D           | ok
wrong key, no aws:kms             | OK!wrong  | D         | D         | D         | OK!wrong  | D         | D           | D
dsse, right key                   | OK!dsse   | D         | D         | D         | D         | D         | D           | OK!dsse
dsse, wrong key                   | OK!wrong  | D         | D         | D         | D         | D         | D           | D
dsse, no key                      | OK!aws/s3 | D         | D         | D         | D         | D         | D           | D
unknown algorithm                 | OK!aws/s3 | D         | D         | D         | D         | D         | D           | D
SSE-C                             | OK!sse-c  | D         | D         | D         | OK!sse-c  | D         | D           | D
HTTP                              | D         | D         | D         | D         | D         | D         | D           | D
HTTP: TLS version shown           | D         | D         | D         | D         | D         | D         | D           | D
TLS 1.1                           | D         | D         | D         | D         | D         | D         | D           | D
TLS 1.2                           | ok        | D         | D         | D         | ok        | ok        | D           | ok
TLS 1.3                           | ok        | D         | D         | D         | ok        | ok        | D           | ok
other account, no header          | ok        | D         | D         | D         | ok        | ok        | D           | ok
other account, right key          | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
anonymous                         | D         | D         | D         | D         | D         | D         | D           | D
CopyObject, no header             | ok        | D         | D         | D         | ok        | ok        | D           | ok
CopyObject, right key             | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
CopyObject, wrong key             | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | D         | D           | D
multipart upload, no header       | ok        | D         | D         | D         | ok        | ok        | D           | ok
multipart upload, right key       | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
multipart upload, wrong key       | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | D         | D           | D
UploadPart: nothing shown         | ok        | D         | D         | D         | ok        | ok        | D           | ok
UploadPart: its upload's shown    | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
UploadPart, SSE-C                 | OK!sse-c  | D         | D         | D         | OK!sse-c  | D         | D           | D
UpdateObjectEncryption, right key | ok        | ok        | ok        | ok        | ok        | ok        | ok          | ok
UpdateObjectEncryption, wrong key | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong  | OK!wrong    | OK!wrong
ReplicateObject                   | ok        | ok        | D         | ok        | ok        | ok        | ok          | ok
ReplicateDelete                   | ok        | ok        | D         | ok        | ok        | ok        | ok          | ok
log delivery                      | ok        | D         | D         | D         | ok        | ok        | D           | ok
log delivery, other account       | D         | D         | D         | D         | D         | D         | D           | D
log delivery, other bucket        | D         | D         | D         | D         | D         | D         | D           | D
log delivery, no source           | D         | D         | D         | D         | D         | D         | D           | D
""")  # noqa: E501 - a table


@pytest.mark.parametrize("name", POLICIES)
def test_a_well_known_policy_does_what_it_is_known_for(evaluator: Evaluator, name: str) -> None:
    rows = uploads(TARGET)
    decisions = decide_uploads(evaluator, POLICIES[name], TARGET, rows)

    found = {row: outcome(rows[row], decisions[row], DEFAULT) for row in rows}

    assert found == EXPECTED[name]

"""The ways an object reaches a bucket, as AWS presents them to policies, and what S3 would store if they were allowed.

Where AWS documents two possibilities, or none, there is a row for each: its name ends in the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle.evaluator import FULL_ADMIN, Decision, Evaluator, Policy, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

SSE_S3 = "AES256"
SSE_KMS = "aws:kms"
DSSE_KMS = "aws:kms:dsse"
SSE_C = "SSE-C"
AWS_MANAGED_KEY = "aws/s3"

_SSE = "s3:x-amz-server-side-encryption"
_KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_CUSTOMER = "s3:x-amz-server-side-encryption-customer-algorithm"


@dataclass(frozen=True, slots=True)
class Stored:
    """How an object lies in the bucket. `key` is a key ARN, AWS_MANAGED_KEY, or None where KMS has no part in it."""

    algorithm: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """The encryption headers of an upload; None is a header that isn't sent.

    `key_arn` is the key that `key_id` names, where it isn't the ARN itself. `presented_key_id` is what the policy sees
    for the key id, where it isn't the header verbatim.
    """

    sse: str | None = None
    key_id: str | None = None
    customer_algorithm: str | None = None
    key_arn: str | None = None
    presented_key_id: str | None = None

    def context(self) -> dict[str, str]:
        """The condition keys: present only if the header was sent. The bucket's default fills in none of them."""
        shown = {_SSE: self.sse, _KEY_ID: self.presented_key_id or self.key_id, _CUSTOMER: self.customer_algorithm}
        return {name: value for name, value in shown.items() if value is not None}

    def stored(self, default: Stored) -> Stored:
        """What S3 stores if it takes the request.

        S3 refuses contradictory headers by itself; here each one is taken at its worst, so that no proof rests on that.
        """
        if self.customer_algorithm is not None:
            return Stored(SSE_C)
        if self.sse is None and self.key_id is None:
            return default
        algorithm = default.algorithm if self.sse is None else self.sse
        if self.key_id is not None:
            return Stored(algorithm, self.key_arn or self.key_id)
        return Stored(algorithm, None if algorithm == SSE_S3 else AWS_MANAGED_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The bucket a table is about, and who deals with it. `key_arn` is the "right key", wherever there is one."""

    bucket: str
    key_arn: str
    account: str = "111122223333"
    region: str = "us-east-1"
    partner_account: str = "444455556666"
    log_source: str = "source-bucket"

    @property
    def bucket_arn(self) -> str:
        """The ARN of the bucket."""
        return f"arn:aws:s3:::{self.bucket}"

    @property
    def wrong_key_arn(self) -> str:
        """Another customer managed key of the same account."""
        return f"arn:aws:kms:{self.region}:{self.account}:key/0bad0bad-0bad-4bad-8bad-0bad0bad0bad"

    @property
    def aws_managed_key_arn(self) -> str:
        """The ARN behind alias/aws/s3."""
        return f"arn:aws:kms:{self.region}:{self.account}:key/aaaaaaaa-0000-4000-8000-00000000a353"

    @property
    def writer(self) -> str:
        """A role of the bucket's account."""
        return f"arn:aws:iam::{self.account}:role/writer"

    @property
    def replication_role(self) -> str:
        """The role another bucket of the account replicates with."""
        return f"arn:aws:iam::{self.account}:role/replication"

    @property
    def partner(self) -> str:
        """A role of another account."""
        return f"arn:aws:iam::{self.partner_account}:role/partner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One row. `settles_encryption`: whether the request's own headers decide how the object is stored."""

    principal: str
    action: str = "s3:PutObject"
    headers: Headers = field(default_factory=Headers)
    context: Mapping[str, str] = field(default_factory=dict)
    settles_encryption: bool = True

    def request(self, target: Target) -> Request:
        """The request as policies see it."""
        context = {**self.headers.context(), **self.context}
        resource = f"{target.bucket_arn}/customers/a.parquet"
        return Request(principal=self.principal, action=self.action, resource=resource, context=context)

    @property
    def identity_policies(self) -> tuple[Policy, ...]:
        """On the caller's side everything is allowed: what refuses is the bucket. Only IAM principals have any."""
        return (FULL_ADMIN,) if self.principal.startswith("arn:") else ()


def uploads(target: Target) -> dict[str, Upload]:
    """Every way to store an object, by name."""
    writer, key_arn = target.writer, target.key_arn
    key_id, alias = key_arn.rpartition("/")[2], "alias/data"
    right_key = Headers(sse=SSE_KMS, key_id=key_arn)
    wrong_key = Headers(sse=SSE_KMS, key_id=target.wrong_key_arn)
    http = {"aws:SecureTransport": "false"}
    copy = {"s3:x-amz-copy-source": "source-bucket/a.parquet"}
    from_source = {
        "aws:SourceArn": f"arn:aws:s3:::{target.log_source}",
        "aws:SourceAccount": target.account,
    }

    def by_name(name: str, presented: str) -> Upload:
        headers = Headers(sse=SSE_KMS, key_id=name, key_arn=key_arn, presented_key_id=presented)
        return Upload(principal=writer, headers=headers)

    def over_tls(version: str) -> Upload:
        return Upload(principal=writer, context={"aws:SecureTransport": "true", "s3:TlsVersion": version})

    def put(**headers: str) -> Upload:
        return Upload(principal=writer, headers=Headers(**headers))

    return {
        "no header": put(),
        "AES256": put(sse=SSE_S3),
        "aws:kms, no key: verbatim": put(sse=SSE_KMS),
        "aws:kms, no key: filled in": put(sse=SSE_KMS, presented_key_id=target.aws_managed_key_arn),
        "aws:kms, right key": put(sse=SSE_KMS, key_id=key_arn),
        "right key id: verbatim": by_name(key_id, presented=key_id),
        "right key id: as ARN": by_name(key_id, presented=key_arn),
        "right alias: verbatim": by_name(alias, presented=alias),
        "right alias: as ARN": by_name(alias, presented=key_arn),
        "aws:kms, wrong key": put(sse=SSE_KMS, key_id=target.wrong_key_arn),
        "right key, no aws:kms": put(key_id=key_arn),
        "wrong key, no aws:kms": put(key_id=target.wrong_key_arn),
        "dsse, right key": put(sse=DSSE_KMS, key_id=key_arn),
        "dsse, wrong key": put(sse=DSSE_KMS, key_id=target.wrong_key_arn),
        "dsse, no key": put(sse=DSSE_KMS),
        "unknown algorithm": put(sse="aws:rot13"),
        "SSE-C": put(customer_algorithm="AES256"),
        "HTTP": Upload(principal=writer, context=http),
        "HTTP: TLS version shown": Upload(principal=writer, context={**http, "s3:TlsVersion": "0"}),
        "TLS 1.1": over_tls("1.1"),
        "TLS 1.2": over_tls("1.2"),
        "TLS 1.3": over_tls("1.3"),
        "other account, no header": Upload(principal=target.partner),
        "other account, right key": Upload(principal=target.partner, headers=right_key),
        "anonymous": Upload(principal="anonymous"),
        "CopyObject, no header": Upload(principal=writer, context=copy),
        "CopyObject, right key": Upload(principal=writer, headers=right_key, context=copy),
        "CopyObject, wrong key": Upload(principal=writer, headers=wrong_key, context=copy),
        # Both are s3:PutObject; the upload's headers go with the first, never with a part. What a policy sees of a part
        # isn't documented.
        "multipart upload, no header": put(),
        "multipart upload, right key": put(sse=SSE_KMS, key_id=key_arn),
        "multipart upload, wrong key": put(sse=SSE_KMS, key_id=target.wrong_key_arn),
        "UploadPart: nothing shown": Upload(principal=writer, settles_encryption=False),
        "UploadPart: its upload's shown": Upload(principal=writer, headers=right_key, settles_encryption=False),
        "UploadPart, SSE-C": put(customer_algorithm="AES256"),
        # Encrypts an object anew where it lies. The request names the encryption in its body.
        "UpdateObjectEncryption, right key": Upload(
            principal=writer, action="s3:UpdateObjectEncryption", headers=right_key
        ),
        "UpdateObjectEncryption, wrong key": Upload(
            principal=writer, action="s3:UpdateObjectEncryption", headers=wrong_key
        ),
        "ReplicateObject": Upload(
            principal=target.replication_role, action="s3:ReplicateObject", settles_encryption=False
        ),
        "ReplicateDelete": Upload(
            principal=target.replication_role, action="s3:ReplicateDelete", settles_encryption=False
        ),
        "log delivery": Upload(principal="logging.s3.amazonaws.com", context=from_source),
        "log delivery, other account": Upload(
            principal="logging.s3.amazonaws.com", context={**from_source, "aws:SourceAccount": target.partner_account}
        ),
        "log delivery, other bucket": Upload(
            principal="logging.s3.amazonaws.com", context={**from_source, "aws:SourceArn": "arn:aws:s3:::other-bucket"}
        ),
        "log delivery, no source": Upload(principal="logging.s3.amazonaws.com"),
    }


def decide_uploads(
    evaluator: Evaluator, policy: Policy | None, target: Target, rows: Mapping[str, Upload]
) -> dict[str, Decision]:
    """The bucket's decision on each row."""
    return {
        name: evaluator.decide(
            row.request(target),
            account=target.account,
            identity_policies=row.identity_policies,
            resource_policy=policy,
        )
        for name, row in rows.items()
    }


def outcome(row: Upload, decision: Decision, default: Stored) -> str:
    """A cell: `D` refused, `ok` allowed and stored as the bucket's default says, `OK!x` allowed but stored as x."""
    if not decision.allowed:
        return "D"
    stored = row.headers.stored(default)
    if not row.settles_encryption or stored == default:
        return "ok"
    if stored.key is None or stored.key == default.key:
        return {SSE_S3: "OK!sse-s3", SSE_C: "OK!sse-c", DSSE_KMS: "OK!dsse"}.get(stored.algorithm, "OK!other")
    return "OK!aws/s3" if stored.key == AWS_MANAGED_KEY else "OK!wrong"

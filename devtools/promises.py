"""What a deployed bucket promises, as attempts on it."""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cdk_encrypted_data import ServerSideEncryption, UploadPolicy
from devtools.attempts import REFUSED, Attempt, Result, try_each

PART_SIZE = 5 * 1024 * 1024

Headers: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A deployed bucket, and who tries what on it.

    Attributes:
        bucket_name: The bucket.
        encryption: The encryption it was deployed with.
        upload_policy: The upload policy it was deployed with.
        key_arn: Its key; ``None`` with SSE-S3.
        other_key_arn: Another key of the same account, which the writer may use.
        access_log_bucket_name: Where its access logs go.
        owner: Clients of a principal that may do everything in the account: by service name.
        writer: An S3 client that has the bucket's writer policy.
        reader: An S3 client that has the bucket's reader policy.
        stranger: An S3 client that may do everything in S3 and nothing in KMS.
        writer_over_http: The writer, without TLS.
        writer_over_old_tls: The writer, with TLS 1.1.
    """

    bucket_name: str
    encryption: ServerSideEncryption
    upload_policy: UploadPolicy
    key_arn: str | None
    other_key_arn: str
    access_log_bucket_name: str
    owner: Callable[[str], Any]
    writer: Any
    reader: Any
    stranger: Any
    writer_over_http: Any
    writer_over_old_tls: Any


def try_all(target: Target) -> Iterator[Result]:
    """Try every promise, one after the other."""
    return try_each((*uploads(target), *access(target), *configuration(target)))


# Uploads


def stored_when_named(encryption: ServerSideEncryption, algorithm: str, key: str | None) -> bool:
    """Say whether a bucket of this encryption takes an upload that names this algorithm and key.

    ``key`` is ``"right"``, ``"other"`` or ``None``. This is the promise in one place, written without the policy: the
    demo, the deploy tests and the table in the README all hold the policy to it.
    """
    if encryption is ServerSideEncryption.SSE_S3:
        return algorithm == "AES256" and key is None
    if encryption is ServerSideEncryption.DSSE_KMS:
        return algorithm == "aws:kms:dsse" and key == "right"
    return algorithm in ("aws:kms", "aws:kms:dsse") and key == "right"


def uploads(target: Target) -> list[Attempt]:
    """Return the attempts to store something."""
    right = _right_headers(target)
    default_taken = target.upload_policy is UploadPolicy.RESPECT_DEFAULT
    by_default = _stored_by_default(target) if default_taken else REFUSED
    attempts = [
        Attempt(what="upload that names no encryption", request="PutObject", expected=by_default, run=_put(target, {})),
        Attempt(
            what="upload in parts that names no encryption",
            request="CreateMultipartUpload, UploadPart twice, CompleteMultipartUpload",
            expected=by_default,
            run=lambda: _multipart(target, {}),
        ),
        Attempt(
            what="copy that names no encryption", request="CopyObject", expected=by_default, run=lambda: _copy(target)
        ),
    ]
    for algorithm, key in (
        ("AES256", None),
        ("aws:kms", None),
        ("aws:kms", "right"),
        ("aws:kms", "other"),
        ("aws:kms:dsse", None),
        ("aws:kms:dsse", "right"),
        ("aws:kms:dsse", "other"),
    ):
        if key == "right" and target.key_arn is None:
            continue
        arn = {"right": target.key_arn, "other": target.other_key_arn, None: None}[key]
        headers = {"ServerSideEncryption": algorithm, **({"SSEKMSKeyId": arn} if arn else {})}
        whose = {"right": "under the bucket's key", "other": "under another key", None: "without a key"}[key]
        stored = stored_when_named(target.encryption, algorithm, key)
        attempts.append(
            Attempt(
                what=f"upload with {algorithm} {whose}" if algorithm != "AES256" else "upload with AES256",
                request=f"PutObject, x-amz-server-side-encryption: {algorithm}" + (" and a key id" if arn else ""),
                expected=_describe(algorithm, "the bucket's key" if arn else "no key of ours") if stored else REFUSED,
                run=_put(target, headers),
            )
        )
    customer_key = os.urandom(32)
    sse_c = {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(customer_key).decode(),
        "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(customer_key, usedforsecurity=False).digest()).decode(),
    }
    if default_taken:
        # Parts carry no headers, and AWS doesn't document what a policy sees of them: the strict mode promises nothing.
        attempts.append(
            Attempt(
                what="upload in parts with the right encryption",
                request="CreateMultipartUpload with its headers, UploadPart twice, CompleteMultipartUpload",
                expected=_describe(*_right(target)),
                run=lambda: _multipart(target, right),
            )
        )
    return [
        *attempts,
        Attempt(
            what="upload with a key of the customer's own (SSE-C)",
            request="PutObject, x-amz-server-side-encryption-customer-algorithm: AES256",
            expected=REFUSED,
            run=_put(target, sse_c),
        ),
        Attempt(
            what="upload over plain HTTP",
            request="PutObject over http://, right encryption",
            expected=REFUSED,
            run=_put(target, right, client=target.writer_over_http),
        ),
        Attempt(
            what="upload over TLS 1.1",
            request="PutObject over TLS 1.1, right encryption",
            expected=REFUSED,
            run=_put(target, right, client=target.writer_over_old_tls),
        ),
    ]


def _right_headers(target: Target) -> Headers:
    if target.key_arn is None:
        return {"ServerSideEncryption": "AES256"}
    return {"ServerSideEncryption": target.encryption.value, "SSEKMSKeyId": target.key_arn}


def _right(target: Target) -> tuple[str, str]:
    if target.key_arn is None:
        return "AES256", "no key of ours"
    return target.encryption.value, "the bucket's key"


def _stored_by_default(target: Target) -> str:
    if target.key_arn is None:
        return _describe(*_right(target))
    return _describe(*_right(target), "on" if target.encryption is ServerSideEncryption.SSE_KMS else "off")


def _describe(algorithm: str, key: str, bucket_key: str | None = None) -> str:
    return f"stored: {algorithm}, {key}" + (f", bucket key {bucket_key}" if bucket_key else "")


def _stored(target: Target, name: str, *, with_bucket_key: bool) -> str:
    head = target.owner("s3").head_object(Bucket=target.bucket_name, Key=name)
    arn = head.get("SSEKMSKeyId")
    key = "no key of ours" if arn is None else "the bucket's key" if arn == target.key_arn else "another key"
    bucket_key = None
    if with_bucket_key and target.key_arn is not None:
        bucket_key = "on" if head.get("BucketKeyEnabled") else "off"
    return _describe(head["ServerSideEncryption"], key, bucket_key)


def _put(target: Target, headers: Headers, *, client: Any = None) -> Callable[[], str]:  # noqa: ANN401 - boto3
    def run() -> str:
        name = f"promises/{uuid.uuid4()}"
        (client or target.writer).put_object(Bucket=target.bucket_name, Key=name, Body=b"data", **headers)
        return _stored(target, name, with_bucket_key=not headers)

    return run


def _multipart(target: Target, headers: Headers) -> str:
    name = f"promises/{uuid.uuid4()}"
    where = {"Bucket": target.bucket_name, "Key": name}
    upload = target.writer.create_multipart_upload(**where, **headers)["UploadId"]
    bodies = (b"a" * PART_SIZE, b"b")
    parts = [
        {
            "PartNumber": number,
            "ETag": target.writer.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate(bodies, start=1)
    ]
    target.writer.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    return _stored(target, name, with_bucket_key=not headers)


def _copy(target: Target) -> str:
    source = f"promises/{uuid.uuid4()}"
    owner = target.owner("s3")
    owner.put_object(Bucket=target.bucket_name, Key=source, Body=b"data", **_right_headers(target))
    name = f"promises/{uuid.uuid4()}"
    owner.copy_object(Bucket=target.bucket_name, Key=name, CopySource={"Bucket": target.bucket_name, "Key": source})
    return _stored(target, name, with_bucket_key=True)


# Access


def access(target: Target) -> list[Attempt]:
    """Return the attempts to read, list and delete."""
    name = f"promises/{uuid.uuid4()}"
    where = {"Bucket": target.bucket_name, "Key": name}

    def read_by(client: Any) -> Callable[[], str]:  # noqa: ANN401 - boto3
        def run() -> str:
            target.owner("s3").put_object(**where, Body=b"data", **_right_headers(target))
            return f"read: {client.get_object(**where)['Body'].read().decode()}"

        return run

    def delete() -> str:
        owner = target.owner("s3")
        version = owner.put_object(**where, Body=b"data", **_right_headers(target))["VersionId"]
        target.writer.delete_object(**where)
        owner.head_object(**where, VersionId=version)
        return "deleted, the version is kept"

    attempts = [
        Attempt(
            what="read with the reader's policy", request="GetObject", expected="read: data", run=read_by(target.reader)
        ),
        Attempt(
            what="read with the writer's policy", request="GetObject", expected=REFUSED, run=read_by(target.writer)
        ),
        Attempt(
            what="upload with the reader's policy",
            request="PutObject, right encryption",
            expected=REFUSED,
            run=_put(target, _right_headers(target), client=target.reader),
        ),
        Attempt(
            what="delete with the writer's policy",
            request="DeleteObject",
            expected="deleted, the version is kept",
            run=delete,
        ),
    ]
    if target.key_arn is None:
        return attempts

    def decrypt_directly() -> str:
        kms = target.owner("kms")
        kms.generate_data_key(KeyId=target.key_arn, KeySpec="AES_256")
        return "the key was used"

    return [
        *attempts,
        Attempt(
            what="read with all rights in S3 but none on the key",
            request="GetObject",
            expected=REFUSED,
            run=read_by(target.stranger),
        ),
        Attempt(
            what="use of the key other than through S3",
            request="kms:GenerateDataKey by the account's root",
            expected=REFUSED,
            run=decrypt_directly,
        ),
        Attempt(
            what="grant on the key to a person",
            request="kms:CreateGrant by the account's root",
            expected=REFUSED,
            run=lambda: _create_grant(target),
        ),
    ]


def _create_grant(target: Target) -> str:
    account = str(target.key_arn).split(":")[4]
    target.owner("kms").create_grant(
        KeyId=target.key_arn, GranteePrincipal=f"arn:aws:iam::{account}:root", Operations=["Decrypt"]
    )
    return "the grant was made"


# Configuration, read back


def configuration(target: Target) -> list[Attempt]:
    """Return what the account says of the bucket and its key."""
    s3 = target.owner("s3")
    kms = target.owner("kms")
    bucket = {"Bucket": target.bucket_name}

    def encryption() -> str:
        (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        key = default.get("KMSMasterKeyID")
        whose = "no key of ours" if key is None else "the bucket's key" if key == target.key_arn else "another key"
        bucket_key = "on" if rule.get("BucketKeyEnabled") else "off"
        blocked = ", ".join(rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", []))
        return f"{default['SSEAlgorithm']}, {whose}, bucket key {bucket_key}, blocked: {blocked}"

    def public_access() -> str:
        closed = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
        return f"{sum(closed.values())} of {len(closed)} closed"

    def ownership() -> str:
        (rule,) = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]
        return str(rule["ObjectOwnership"])

    def lifecycle() -> str:
        (rule,) = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
        versions = rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        abandoned = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        return f"{rule['Status']}: old versions {versions} days, abandoned uploads {abandoned} days"

    def logging() -> str:
        target_bucket = s3.get_bucket_logging(**bucket)["LoggingEnabled"]["TargetBucket"]
        return (
            "the log bucket" if target_bucket == target.access_log_bucket_name else f"another bucket: {target_bucket}"
        )

    bucket_key = "on" if target.encryption is ServerSideEncryption.SSE_KMS else "off"
    whose = "no key of ours" if target.key_arn is None else "the bucket's key"
    attempts = [
        Attempt(
            what="default encryption",
            request="GetBucketEncryption",
            expected=f"{target.encryption.value}, {whose}, bucket key {bucket_key}, blocked: SSE-C",
            run=encryption,
        ),
        Attempt(what="public access", request="GetPublicAccessBlock", expected="4 of 4 closed", run=public_access),
        Attempt(what="ACLs off", request="GetBucketOwnershipControls", expected="BucketOwnerEnforced", run=ownership),
        Attempt(
            what="versions",
            request="GetBucketVersioning",
            expected="Enabled",
            run=lambda: str(s3.get_bucket_versioning(**bucket).get("Status")),
        ),
        Attempt(
            what="lifecycle",
            request="GetBucketLifecycleConfiguration",
            expected="Enabled: old versions 90 days, abandoned uploads 7 days",
            run=lifecycle,
        ),
        Attempt(what="access logs go to", request="GetBucketLogging", expected="the log bucket", run=logging),
    ]
    if target.key_arn is None:
        return attempts
    key = {"KeyId": target.key_arn}

    def rotation() -> str:
        status = kms.get_key_rotation_status(**key)
        return f"{'on' if status['KeyRotationEnabled'] else 'off'}, every {status.get('RotationPeriodInDays')} days"

    def alias() -> str:
        names = [each["AliasName"] for each in kms.list_aliases(**key)["Aliases"]]
        found = [kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] for name in names]
        return "the bucket's key" if found == [target.key_arn] else f"{names}: {found}"

    def tag() -> str:
        tags = {each["TagKey"]: each["TagValue"] for each in kms.list_resource_tags(**key)["Tags"]}
        described = kms.describe_key(**key)["KeyMetadata"]["Description"]
        return (
            "both there" if tags.get("Name") and described else f"Name {tags.get('Name')!r}, description {described!r}"
        )

    return [
        *attempts,
        Attempt(what="key rotation", request="GetKeyRotationStatus", expected="on, every 365 days", run=rotation),
        Attempt(what="the key's alias resolves to", request="DescribeKey", expected="the bucket's key", run=alias),
        Attempt(
            what="the key's Name tag and description",
            request="ListResourceTags, DescribeKey",
            expected="both there",
            run=tag,
        ),
    ]

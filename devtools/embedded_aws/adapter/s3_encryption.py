"""Server-side encryption in S3: which key an object gets, and the caller's right to use that key.

Nothing is encrypted at rest here. What is carried out is everything one can observe from outside: headers, refusals
and who needs which KMS permission.
"""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import kms, s3

from . import authorization, connection, outages
from .kms import key_by_arn

_SSE = "x-amz-server-side-encryption"
KEY_ID = f"{_SSE}-aws-kms-key-id"
BUCKET_KEY = f"{_SSE}-bucket-key-enabled"
_CONTEXT = f"{_SSE}-context"
_CUSTOMER = (f"{_SSE}-customer-algorithm", f"{_SSE}-customer-key", f"{_SSE}-customer-key-md5")

# Those that are also condition keys.
CONDITION_HEADERS = (_SSE, KEY_ID, _CUSTOMER[0])

_Record = dict[str, Any]
_Response = tuple[int, dict[str, str], bytes]
# The headers to store and answer, or the refusal.
_Decision = tuple[dict[str, str] | None, _Response | None]


@dataclass(frozen=True)
class _Request:
    method: str
    bucket: str
    key: str
    access_key: str
    account: str
    region: str


_request: ContextVar[_Request] = ContextVar("s3_request")


class _Default(NamedTuple):
    """A bucket's default encryption; a new bucket has SSE-S3 and, since April 2026, no SSE-C."""

    algorithm: str = "AES256"
    key: str = ""
    bucket_key: bool = False
    blocked: tuple[str, ...] = ("SSE-C",)


class _Refused(Exception):  # noqa: N818 - S3's answer, on its way out
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.response: _Response = s3._error(code, message, status)


def requests_are_remembered() -> None:
    """Gap: where MiniStack decides about encryption it no longer knows who asks, for which object."""
    original = s3._dispatch

    def dispatch(*arguments: Any) -> Any:
        method, bucket, key, headers, body, query = arguments
        access_key = s3._request_access_key(method, key, headers, query, body)
        account = iam_evaluator.caller_arn().split(":")[4]
        token = _request.set(_Request(method, bucket, key, access_key, account, s3.bucket_region(bucket)))
        try:
            return original(*arguments)
        finally:
            _request.reset(token)

    s3._dispatch = dispatch


def uploads_nobody_can_judge_are_refused() -> None:
    """Gap: a form upload's fields reach no condition key, and UpdateObjectEncryption would overwrite the object."""
    original = s3._dispatch

    def dispatch(*arguments: Any) -> Any:
        method, _bucket, key, headers, _body, query = arguments
        if method == "POST" and headers.get("content-type", "").startswith("multipart/form-data"):
            return s3._error("NotImplemented", "the embedded AWS doesn't carry out form uploads", 501)
        if method == "PUT" and key and "encryption" in query:
            return s3._error("NotImplemented", "the embedded AWS doesn't carry out UpdateObjectEncryption", 501)
        return original(*arguments)

    s3._dispatch = dispatch


def writes_are_encrypted_as_s3_does() -> None:
    """Gap: MiniStack knows no DSSE, Bucket Key, ``aws/s3``, BlockedEncryptionTypes nor the key's state.

    It also stores the key as it was named; S3 answers with the key's ARN.
    """

    def resolve(headers: dict[str, str], bucket: str) -> _Decision:
        try:
            return _encryption_of_a_write(headers, _default(bucket)), None
        except _Refused as refused:
            return None, refused.response

    s3._SSE_STORED_HEADERS = (*s3._SSE_STORED_HEADERS, BUCKET_KEY)
    s3._resolve_sse_write_headers = resolve


def kms_permissions_of_writes() -> None:
    """Gap: MiniStack lets anybody write under any key; S3 needs kms:GenerateDataKey, with a Bucket Key kms:Decrypt."""
    original = s3._resolve_sse_write_headers

    def resolve_and_ask(headers: dict[str, str], bucket: str) -> _Decision:
        stored, refusal = original(headers, bucket)
        if refusal or not stored or KEY_ID not in stored:
            return stored, refusal
        try:
            _ask_kms("kms:GenerateDataKey", stored, f"{bucket}/{_request.get().key}")
            if BUCKET_KEY in stored:
                _ask_kms("kms:Decrypt", stored, bucket)
        except _Refused as refused:
            return None, refused.response
        return stored, None

    s3._resolve_sse_write_headers = resolve_and_ask


def kms_permissions_of_reads_and_parts() -> None:
    """Gap: MiniStack lets anybody read; S3 needs kms:Decrypt for GetObject, a copy's source, a part, a completion."""
    read, copy_source, part = s3._check_sse_read_headers, s3._check_sse_c_copy_source, s3._check_sse_c_part

    def check_read(headers: dict[str, str], record: _Record) -> _Response | None:
        request = _request.get()
        needs_data = request.method == "GET" or headers.get("x-amz-checksum-mode")
        refusal: _Response | None = read(headers, record)
        return refusal or (_decrypt_refusal(record, f"{request.bucket}/{request.key}") if needs_data else None)

    def check_copy_source(headers: dict[str, str], record: _Record) -> _Response | None:
        source = unquote(headers["x-amz-copy-source"].partition("?")[0]).lstrip("/")
        return copy_source(headers, record) or _decrypt_refusal(record, source)

    def check_part(headers: dict[str, str], upload: _Record) -> _Response | None:
        return part(headers, upload) or _decrypt_refusal(upload, f"{upload['bucket']}/{upload['key']}")

    s3._check_sse_read_headers = check_read
    s3._check_sse_c_copy_source = check_copy_source
    s3._check_sse_c_part = check_part


def _encryption_of_a_write(headers: dict[str, str], default: _Default) -> dict[str, str]:
    """The encryption headers an object is stored with and answered with."""
    algorithm, key = headers.get(_SSE, ""), headers.get(KEY_ID, "")
    if any(headers.get(name) for name in _CUSTOMER):
        return _customer_provided(headers, default)
    if key and not algorithm.startswith("aws:kms"):
        raise _Refused("InvalidArgument", f"{KEY_ID} needs {_SSE}: aws:kms or aws:kms:dsse")
    if headers.get(_CONTEXT):
        raise _Refused("NotImplemented", f"the embedded AWS doesn't carry out {_CONTEXT}", 501)
    if not algorithm:
        # Only now: an algorithm without a key means the AWS managed key, never the bucket's own.
        algorithm, key = default.algorithm, default.key
    if algorithm == "AES256":
        return {_SSE: algorithm}
    if algorithm not in {"aws:kms", "aws:kms:dsse"}:
        raise _Refused("InvalidArgument", f"Invalid {_SSE} value: {algorithm}")
    _refuse_plain_http("AWS KMS managed keys")
    stored = {_SSE: algorithm, KEY_ID: _usable_key(key)["Arn"]}
    wants_bucket_key = headers.get(BUCKET_KEY, str(default.bucket_key)).lower() == "true"
    return stored | ({BUCKET_KEY: "true"} if wants_bucket_key and algorithm == "aws:kms" else {})


def _customer_provided(headers: dict[str, str], default: _Default) -> dict[str, str]:
    if headers.get(_SSE):
        raise _Refused("InvalidArgument", f"{_SSE} is incompatible with a customer provided key")
    _refuse_plain_http("Customer provided keys")
    algorithm, key, checksum = (headers.get(name, "") for name in _CUSTOMER)
    if s3._validate_sse_c_headers(algorithm, key, checksum):
        raise _Refused("InvalidArgument", "the three headers of a customer provided key don't fit together")
    if "SSE-C" in default.blocked:
        raise _Refused("AccessDenied", "this bucket blocks encryption with customer provided keys (SSE-C)", 403)
    return {_CUSTOMER[0]: algorithm, _CUSTOMER[2]: checksum}


def blocks_customer_keys(bucket: str, headers: dict[str, str]) -> bool:
    """Whether the headers are those of SSE-C, and the bucket, of whatever account, blocks it."""
    owner = s3._bucket_owner_account(bucket)
    with request_scope(owner, get_region()):
        return _CUSTOMER[0] in headers and "SSE-C" in _default(bucket).blocked


def _default(bucket: str) -> _Default:
    stored = s3._bucket_encryption.get(bucket)
    if not stored:
        return _Default()
    found: dict[str, list[str]] = {}
    for element in ET.fromstring(stored).iter():  # noqa: S314 - what PutBucketEncryption has already parsed safely
        found.setdefault(element.tag.rpartition("}")[2], []).append((element.text or "").strip())
    return _Default(
        algorithm=found.get("SSEAlgorithm", ["AES256"])[0],
        key=found.get("KMSMasterKeyID", [""])[0],
        bucket_key=found.get("BucketKeyEnabled", ["false"])[0] == "true",
        blocked=tuple(found.get("EncryptionType", ["SSE-C"])),
    )


def _usable_key(named: str) -> _Record:
    """The key a request names, as an ARN or in its caller's account; none means ``aws/s3``."""
    request = _request.get()
    if outages.is_off("kms", request.region):
        raise _Refused("ServiceUnavailable", "KMS is shut off in this Region.", 503)
    with request_scope(request.account, request.region):
        key = (
            key_by_arn(named) if named.startswith("arn:") else kms._resolve_key(named) if named else _aws_managed_key()
        )
    if not key or f":{request.region}:" not in key["Arn"]:
        raise _Refused("KMS.NotFoundException", f"Invalid keyId '{named}'")
    if key["KeyState"] == "Disabled":
        raise _Refused("KMS.DisabledException", f"{key['Arn']} is disabled.")
    if key["KeyState"] != "Enabled":
        raise _Refused("KMS.KMSInvalidStateException", f"{key['Arn']} is in state {key['KeyState']}.")
    return key


def _aws_managed_key() -> _Record:
    """``aws/s3`` of the caller's account, made when it's first needed, usable through S3 only, as AWS's is."""
    key: _Record | None = kms._resolve_key("alias/aws/s3")
    if key is None:
        account, region = get_account_id(), get_region()
        use = {
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"kms:CallerAccount": account, "kms:ViaService": f"s3.{region}.amazonaws.com"}
            },
        }
        read = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [use, read]})
        _status, _headers, body = kms._create_key({"Description": "AWS managed key for S3", "Policy": policy})
        made: _Record = kms._keys[json.loads(body)["KeyMetadata"]["KeyId"]]
        made["KeyManager"] = "AWS"
        kms._aliases[kms._alias_arn("alias/aws/s3")] = made["KeyId"]
        return made
    return key


def _decrypt_refusal(record: _Record, name: str) -> _Response | None:
    stored = record.get("preserved_headers", {})
    if KEY_ID not in stored:
        return None
    try:
        _refuse_plain_http("AWS KMS managed keys")
        _usable_key(stored[KEY_ID])
        _ask_kms("kms:Decrypt", stored, name)
    except _Refused as refused:
        return refused.response
    return None


def _ask_kms(action: str, stored: dict[str, str], name: str) -> None:
    """Refuse unless the caller may do ``action``, through S3, with the key that the object ``name`` is under."""
    request, key = _request.get(), key_by_arn(stored[KEY_ID])
    # A request about another account's bucket is in that account by now; the caller's policies are in the caller's.
    with request_scope(request.account, request.region):
        principal = iam_evaluator.resolve_principal(request.access_key, request.account) if request.access_key else None
    if key is None or not isinstance(principal, iam_evaluator.PrincipalInfo):
        raise _Refused("AccessDenied", "SSE-KMS needs a signed request", 403)
    if principal.policies is None:
        return
    _arn, _partition, _service, region, owner, _resource = key["Arn"].split(":", 5)
    protected = name.partition("/")[0] if BUCKET_KEY in stored else name
    conditions = authorization.encryption_context({"aws:s3:arn": f"arn:aws:s3:::{protected}"}) | {
        "kms:CallerAccount": principal.account,
        "kms:ViaService": f"s3.{region}.amazonaws.com",
        "aws:ViaAWSService": "true",
    }
    decision = authorization.decide(
        principal,
        action,
        key["Arn"],
        region=region,
        conditions=conditions | authorization.key_conditions(key),
        policy=key["Policy"],
        owner=owner,
        required=True,
    )
    if decision.decision != "Allow":
        reason = "with an explicit deny" if decision.decision == "Deny" else "because no policy allows it"
        who = f"User: {principal.arn} is not authorized to perform: {action} on resource: {key['Arn']}"
        raise _Refused("AccessDenied", f"{who} {reason}", 403)


def _refuse_plain_http(how: str) -> None:
    if connection.tls_version() is None:
        message = f"Requests specifying Server Side Encryption with {how} must be made over a secure connection."
        raise _Refused("InvalidArgument", message)


PATCHES = (
    requests_are_remembered,
    uploads_nobody_can_judge_are_refused,
    writes_are_encrypted_as_s3_does,
    kms_permissions_of_writes,
    kms_permissions_of_reads_and_parts,
)

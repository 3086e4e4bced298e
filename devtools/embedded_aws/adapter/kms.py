"""KMS: ciphertext that can't be changed unnoticed.

Not a cipher to use: MiniStack's environment has no ``cryptography``. MiniStack's own key stream is kept and an
HMAC-SHA256 over ciphertext and encryption context is put behind it (encrypt, then MAC).
"""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from ministack.core.responses import error_response_json, request_scope
from ministack.services import kms

_TAG = 32
_KEY_ID = 36


def ciphertext_is_authenticated() -> None:
    """Gap: MiniStack's ciphertext has no tag, so a changed one decrypts to garbage without an error.

    It also decrypts under another key than the one named, which AWS answers with IncorrectKeyException, or with
    NotFoundException when the ARN is another Region's.
    """
    encrypt, decrypt, generate = kms._encrypt, kms._decrypt, kms._generate_data_key_common

    def encrypt_and_seal(request: dict[str, Any]) -> Any:
        status, headers, body = encrypt(request)
        key = kms._resolve_key(request.get("KeyId", ""))
        if status != 200 or "_symmetric_key" not in key:  # noqa: PLR2004
            return status, headers, body
        answer = json.loads(body)
        blob = base64.b64decode(answer["CiphertextBlob"])
        answer["CiphertextBlob"] = base64.b64encode(_seal(key, blob, request)).decode()
        return status, headers, json.dumps(answer).encode()

    def generate_and_seal(request: dict[str, Any], *arguments: Any) -> Any:
        key, plaintext, blob = generate(request, *arguments)
        return (key, plaintext, blob) if key is None else (key, plaintext, _seal(key, blob, request))

    def check_and_decrypt(request: dict[str, Any]) -> Any:
        sealed = base64.b64decode(request.get("CiphertextBlob", ""))
        key = kms._resolve_key(sealed[:_KEY_ID].decode("ascii", errors="ignore"))
        named = kms._resolve_key(request.get("KeyId", "")) if request.get("KeyId") else key
        if request.get("KeyId") and not named:
            return error_response_json("NotFoundException", f"Key '{request['KeyId']}' does not exist", 400)
        if named and "_private_key" in named:
            return decrypt(request)
        if named and key and named is not key:
            return error_response_json(
                "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this.", 400
            )
        blob = sealed[:-_TAG]
        if not key or not hmac.compare_digest(_seal(key, blob, request), sealed):
            return error_response_json("InvalidCiphertextException", "", 400)
        return decrypt({**request, "CiphertextBlob": base64.b64encode(blob).decode()})

    kms._encrypt = encrypt_and_seal
    kms._generate_data_key_common = generate_and_seal
    kms._decrypt = check_and_decrypt


def _seal(key: dict[str, Any], blob: bytes, request: dict[str, Any]) -> bytes:
    context = json.dumps(request.get("EncryptionContext") or {}, sort_keys=True).encode()
    authentication_key = hashlib.sha256(b"authentication" + key["_symmetric_key"]).digest()
    return blob + hmac.digest(authentication_key, len(context).to_bytes(8, "big") + context + blob, "sha256")


def aws_managed_keys_say_so() -> None:
    """Gap: MiniStack has no AWS managed keys; ``s3_encryption`` makes ``aws/s3``, and DescribeKey says whose it is."""
    original = kms._key_metadata

    def key_metadata(key: dict[str, Any]) -> dict[str, Any]:
        metadata: dict[str, Any] = original(key)
        return metadata | {"KeyManager": key.get("KeyManager", "CUSTOMER")}

    kms._key_metadata = key_metadata


def key_by_arn(arn: str) -> dict[str, Any] | None:
    """The key, in whatever account and Region its ARN or its alias' ARN names."""
    _arn, _partition, _service, region, account, _resource = f"{arn}:::::".split(":", 5)
    with request_scope(account, region):
        key: dict[str, Any] | None = kms._resolve_key(arn)
    return key


PATCHES = (ciphertext_is_authenticated, aws_managed_keys_say_so)

"""Bytes encrypted in this process under the customer's key, in the format that CSE-KMS readers of S3 know (V2).

A data key of KMS for each object, AES-256-GCM, and what is needed to decrypt in the object's metadata: AWS's S3
encryption clients, Hadoop's S3A and Athena read it. Of all packages it needs `cryptography` only.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cdk_encrypted_data_job.errors import NotAuthenticError

_CIPHER = "AES/GCM/NoPadding"
# Readers of this format send back what they know by themselves. With more in it, they couldn't decrypt.
CONTEXT = {"aws:x-amz-cek-alg": _CIPHER}
"""The encryption context that the data key of whatever readers read is bound to."""
# They shouldn't: the key's policy opens these data keys to nobody but the job.
STATE_CONTEXT = {**CONTEXT, "cdk-encrypted-data-job:content": "state"}
"""The encryption context of rows from before the rules."""
_IV = 12
_FIXED = {"x-amz-cek-alg": _CIPHER, "x-amz-wrap-alg": "kms+context", "x-amz-tag-len": "128"}
_ENVELOPE = {*_FIXED, "x-amz-key-v2", "x-amz-iv", "x-amz-matdesc", "x-amz-unencrypted-content-length"}


def seal(
    data: bytes | memoryview,
    *,
    kms: Any,  # noqa: ANN401 - boto3
    key_arn: str,
    context: Mapping[str, str] = CONTEXT,
) -> tuple[bytes, dict[str, str]]:
    """Return the ciphertext, and the metadata it has to be stored with. One request to KMS."""
    data_key = kms.generate_data_key(KeyId=key_arn, KeySpec="AES_256", EncryptionContext=context)
    iv = os.urandom(_IV)
    metadata = {
        **_FIXED,
        "x-amz-key-v2": base64.b64encode(data_key["CiphertextBlob"]).decode(),
        "x-amz-iv": base64.b64encode(iv).decode(),
        "x-amz-matdesc": json.dumps(context, separators=(",", ":")),
        "x-amz-unencrypted-content-length": str(len(data)),
    }
    return AESGCM(data_key["Plaintext"]).encrypt(iv, data, None), metadata


def unseal(
    name: str,
    data: bytes,
    metadata: Mapping[str, str],
    *,
    kms: Any,  # noqa: ANN401 - boto3
    key_arn: str,
    context: Mapping[str, str] = CONTEXT,
) -> bytes:
    """Return the plaintext. One request to KMS, for this key and context only.

    Raises:
        NotAuthenticError: it isn't what `seal` returned.
    """
    if metadata.keys() & _ENVELOPE != _ENVELOPE or any(metadata[each] != value for each, value in _FIXED.items()):
        raise NotAuthenticError(f"{name}: it isn't encrypted as the job does; read what the job has written")
    try:
        wrapped, iv = (base64.b64decode(metadata[each], validate=True) for each in ("x-amz-key-v2", "x-amz-iv"))
        # Naming the key keeps out what somebody wrapped under a key of their own.
        key = kms.decrypt(CiphertextBlob=wrapped, KeyId=key_arn, EncryptionContext=context)["Plaintext"]
        return AESGCM(key).decrypt(iv, data, None)
    except (binascii.Error, ValueError, InvalidTag):
        raise NotAuthenticError(f"{name}: it was changed after it was written; restore that version") from None
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"InvalidCiphertextException", "IncorrectKeyException"}:
            raise
        raise NotAuthenticError(f"{name}: its data key isn't one of {key_arn}; restore that version") from None

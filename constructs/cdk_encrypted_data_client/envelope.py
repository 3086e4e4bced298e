"""The S3 encryption client, held so that nothing passes it unencrypted: the only module that knows it.

It hooks itself into the boto3 client that it is given, for two operations of many: others (``upload_file`` of a large
file, ``copy_object``) store plaintext without an error. So that client is made here, is shared with nobody, and lets
nothing pass but what is listed below, each with the envelope in its headers.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore import exceptions as boto
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.instruction_file_config import InstructionFileConfig
from s3_encryption.materials.kms_keyring import KmsKeyring

from cdk_encrypted_data_client.errors import (
    EncryptedDataError,
    MovedObjectError,
    OtherSealError,
    SettingsError,
    WrongPurposeError,
)
from cdk_encrypted_data_client.failover import code_of, not_encrypted, tampered
from cdk_encrypted_data_client.locations import Location

if TYPE_CHECKING:
    import boto3

TAG = 16
"""Bytes that the stored object is longer than the data."""
MOST_BYTES = 2**36 - 32
"""The largest object: what AES-GCM may encrypt under one key."""
_CHUNK = 2**20
_LONGEST_NAME = 1024
_LONGEST_PURPOSE = 128
_PREFIX = "x-amz-meta-"
# The suite that commits to its key (0x73), and a data key wrapped by KMS under an encryption context.
_SUITE, _WRAPPING = "115", "12"
_ENVELOPE = {"x-amz-c", "x-amz-w", "x-amz-3", "x-amz-t", "x-amz-d", "x-amz-i"}
_SEAL = "x-amz-d"
_CREATING = {"PutObject", "CreateMultipartUpload"}
# What makes the object readable under its name, if it is stored at all.
_MAKING = ("PutObject", "CompleteMultipartUpload")
_REDIRECTION, _SERVER_ERROR = 300, 500
_NEVER_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
_OPERATIONS = {"GetObject", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", *_CREATING}
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def encryption_context(purpose: str, name: str) -> dict[str, str]:
    """Return what the data key is bound to: neither bucket nor Region, or a replica couldn't be read.

    It is stored in the object's metadata, which take ASCII only: other characters of the name are written as `%XX`.
    """
    return {"purpose": purpose, "object": quote(name, safe=_PRINTABLE)}


def check_purpose(purpose: str) -> None:
    """Refuse a purpose that a key's policy couldn't demand."""
    if not (0 < len(purpose) <= _LONGEST_PURPOSE and purpose.isascii() and purpose.isprintable()):
        raise SettingsError(f"purpose is {purpose!r}; allowed: 1 to {_LONGEST_PURPOSE} printable ASCII characters")


def check_name(name: str) -> None:
    """Refuse a name that S3's metadata have no room for, since it is stored there as well."""
    if not name:
        raise SettingsError("name is empty; allowed: the key of an object")
    try:
        length = len(json.dumps(encryption_context("", name)["object"])) - 2
    except UnicodeEncodeError:
        raise SettingsError(f"name is {name!r}; allowed: what can be written as UTF-8") from None
    if length > _LONGEST_NAME:
        raise SettingsError(
            f"name has {length} characters; allowed: {_LONGEST_NAME}, "
            "where one that isn't ASCII counts as three for each byte of its UTF-8; choose a shorter one"
        )


def seal_of(metadata: Mapping[str, str]) -> str | None:
    """Return the seal in an object's metadata, which only the object itself has."""
    return metadata.get(_SEAL)


class Sending:
    """What is known of the request that makes an object, over all its attempts: what a failure means for the object."""

    def __init__(self) -> None:
        self.seal = ""
        self._is_out = self._was_lost = self._was_answered = False

    @property
    def may_be_stored(self) -> bool:
        """Whether S3 may have stored the object. If not, it never heard of it, or refused it."""
        return self._is_out or self._was_lost or self._was_answered

    @property
    def is_under_way(self) -> bool:
        """Whether S3 may be storing it even now: what isn't there may come yet."""
        return self._is_out or self._was_lost

    def begin(self) -> None:
        """An attempt is sent."""
        self._is_out = True

    def answer(self, status: int) -> None:
        """S3 answered an attempt. What it answers with an error of its own it may have done."""
        self._is_out = False
        self._was_answered |= status < _REDIRECTION or status >= _SERVER_ERROR

    def fail(self, error: BaseException) -> None:
        """An attempt had no answer."""
        self._is_out = False
        self._was_lost |= not _was_never_sent(error)

    def stop(self) -> None:
        """Whatever was under way can't store it any more."""
        self._was_answered |= self.is_under_way
        self._is_out = self._was_lost = False


class Sealed:
    """An object on its way in: its bytes are *not authentic* before `chunks` has ended without an error."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        self._body = response["Body"]
        self.size = int(response["ContentLength"]) - TAG
        self.version_id: str | None = response.get("VersionId")
        self.seal: str = response["Metadata"][_SEAL]

    def chunks(self) -> Iterator[bytes]:
        """Yield the decrypted bytes; the error for what was changed comes at the end."""
        delivered = 0
        while chunk := self._body.read(_CHUNK):
            delivered += len(chunk)
            yield chunk
        if delivered != self.size:
            raise ValueError(f"{delivered} bytes of {self.size}")


class _Request(threading.local):
    """What each request is about: the hooks see it, and boto3 runs them in the thread of the call."""

    def __init__(self) -> None:
        self.sending = Sending()


class Upload:
    """An upload in parts, started."""

    def __init__(self, client: Any, local: _Request, where: Mapping[str, str], seal: str) -> None:  # noqa: ANN401
        self._client, self._local, self._where = client, local, dict(where)
        self.seal = seal
        self.id = where["UploadId"]

    def part(self, number: int, data: bytes | memoryview, *, last: bool, encrypted: threading.Event) -> dict[str, Any]:
        """Encrypt and upload a part; ``encrypted`` is set when the next one may come, from another thread."""
        self._local.encrypted = encrypted
        try:
            answer = self._client.upload_part(**self._where, PartNumber=number, Body=data, IsLastPart=last)
        finally:
            encrypted.set()
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def complete(self, parts: list[dict[str, Any]]) -> str | None:
        """Make the object, and return its version."""
        answer = self._client.complete_multipart_upload(**self._where, MultipartUpload={"Parts": parts})
        version: str | None = answer.get("VersionId")
        return version

    def abort(self) -> None:
        """Leave nothing of it, but for the object if it was made already."""
        try:
            self._client.abort_multipart_upload(**self._where)
        except boto.ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise
        self._local.sending.stop()


class Envelope:
    """Puts and gets the objects of one purpose at one location."""

    def __init__(self, location: Location, *, purpose: str, session: boto3.session.Session, config: Config) -> None:
        self._location, self._purpose = location, purpose
        self._local = _Request()
        region = location.region
        s3, kms = (session.client(name, region_name=region, config=config) for name in ("s3", "kms"))
        self._kms = kms
        events = s3.meta.events
        # Before the S3 encryption client's own, which decrypts.
        events.register_first("after-call.s3.GetObject", self._check)
        self._client = S3EncryptionClient(
            s3,
            S3EncryptionClientConfig(
                keyring=KmsKeyring(kms, location.key_arn),
                # In bounded memory it can't be otherwise; who delivers waits for the end of `Sealed.chunks`.
                enable_delayed_authentication=True,
                instruction_file_config=InstructionFileConfig(
                    disable_get_object=True, disable_delete_object=True, disable_delete_objects=True
                ),
            ),
        )
        # And these after it.
        events.register_last("before-call.s3", self._guard)
        events.register_first("needs-retry.s3", self._stay)
        for each in _MAKING:
            # Before whatever else there is, which may raise.
            events.register_first(f"before-send.s3.{each}", self._sent)
            events.register_first(f"needs-retry.s3.{each}", self._ended)

    def begin(self) -> Sending:
        """Return what will be known of the next request of this thread that makes an object."""
        self._local.sending = Sending()
        return self._local.sending

    def put(self, name: str, data: bytes) -> tuple[str, str | None]:
        """Encrypt and put an object, and return its seal and version."""
        answer = self._client.put_object(**self._where(name), Body=data, EncryptionContext=self._context(name))
        return self._local.sending.seal, answer.get("VersionId")

    def start(self, name: str) -> Upload:
        """Start an upload in parts."""
        where = self._where(name)
        answer = self._client.create_multipart_upload(**where, EncryptionContext=self._context(name))
        return Upload(self._client, self._local, {**where, "UploadId": answer["UploadId"]}, self._local.sending.seal)

    @contextmanager
    def opened(self, name: str, *, version_id: str | None, seal: str | None) -> Iterator[Sealed]:
        """Get an object whose metadata are what they must be."""
        version = {} if version_id is None else {"VersionId": version_id}
        self._local.name, self._local.wanted, self._local.body = name, seal, None
        try:
            yield Sealed(self._client.get_object(**self._where(name), **version, EncryptionContext=self._context(name)))
        finally:
            # What nobody read must not be taken for the answer to the connection's next request. The S3 encryption
            # client forgets it when KMS refuses.
            if self._local.body is not None:
                self._local.body.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.wrapped_s3_client.close()
        self._kms.close()

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self._location.bucket, "Key": name}

    def _context(self, name: str) -> dict[str, str]:
        return encryption_context(self._purpose, name)

    def _guard(self, *, model: Any, params: Mapping[str, Any], **_event: object) -> None:  # noqa: ANN401
        """Stop what would store plaintext, should this code or the S3 encryption client ever try."""
        if model.name not in _OPERATIONS:
            raise EncryptedDataError(f"{model.name} isn't for the client that encrypts")
        if model.name in _CREATING:
            headers = {str(name).lower(): value for name, value in params["headers"].items()}
            missing = {each for each in _ENVELOPE if f"{_PREFIX}{each}" not in headers}
            if missing:
                raise EncryptedDataError(f"{model.name} without {', '.join(sorted(missing))}: it would store plaintext")
            self._local.sending.seal = headers[f"{_PREFIX}{_SEAL}"]
        if model.name == "UploadPart":
            self._local.encrypted.set()

    def _sent(self, **_event: object) -> None:
        self._local.sending.begin()

    def _ended(self, *, response: Any, caught_exception: BaseException | None, **_event: object) -> None:  # noqa: ANN401
        if response is not None:
            self._local.sending.answer(response[0].status_code)
        elif caught_exception is not None:
            self._local.sending.fail(caught_exception)

    def _check(self, *, parsed: Mapping[str, Any], **_event: object) -> None:
        """Refuse metadata that aren't this object's, before KMS is asked and before anything is decrypted."""
        if parsed.get("Body") is None:
            return  # S3's own error
        self._local.body = parsed["Body"]
        self._check_metadata(self._local.name, parsed.get("Metadata") or {}, self._local.wanted)

    def _check_metadata(self, name: str, metadata: Mapping[str, str], wanted: str | None) -> None:
        found = {each for each in metadata if each.startswith("x-amz-")}
        if not found:
            raise not_encrypted(name, self._location, "it has no envelope")
        if metadata.get("x-amz-c", _SUITE) != _SUITE or metadata.get("x-amz-w", _WRAPPING) != _WRAPPING:
            raise not_encrypted(name, self._location, "another format")
        if found != _ENVELOPE:
            raise not_encrypted(name, self._location, f"its envelope has {', '.join(sorted(found))}")
        # Python's decoder passes over characters that aren't base64, and over unused bits of the last one.
        for each in ("x-amz-3", "x-amz-d", "x-amz-i"):
            if not _is_canonical(metadata[each]):
                raise tampered(name, self._location, f"{each} is no base64")
        self._check_context(name, metadata["x-amz-t"])
        if wanted is not None and metadata[_SEAL] != wanted:
            raise OtherSealError(
                f"{name}: its seal is {metadata[_SEAL]}, not {wanted}; {self._location}; "
                "it was put anew or put back: name the version that you mean"
            )

    def _check_context(self, name: str, stored: str) -> None:
        expected = self._context(name)
        try:
            context = json.loads(stored)
        except ValueError:
            raise tampered(name, self._location, "x-amz-t is no JSON") from None
        if not isinstance(context, dict):
            raise tampered(name, self._location, "x-amz-t is no map")
        if context.get("purpose") != expected["purpose"]:
            raise WrongPurposeError(
                f"{name}: was put for the purpose {context.get('purpose')!r}, not {expected['purpose']!r}; "
                f"{self._location}; read it with a client of that purpose"
            )
        if context.get("object") != expected["object"]:
            raise MovedObjectError(
                f"{name}: was put as {context.get('object')!r}; {self._location}; "
                "objects can't be moved or copied to another name: get it there, and put it here"
            )
        if context != {**expected, "aws:x-amz-cek-alg": _SUITE}:
            raise tampered(name, self._location, "its encryption context has more")

    def _stay(self, *, response: Any, **_event: object) -> None:  # noqa: ANN401
        """Stop boto3 from following a bucket into another Region than its key's."""
        if response is None:
            return
        http, parsed = response
        elsewhere = http.headers.get("x-amz-bucket-region") or parsed.get("Error", {}).get("Region")
        if http.status_code >= 300 and elsewhere and elsewhere != self._location.region:  # noqa: PLR2004
            raise SettingsError(
                f"{self._location}: the bucket is in {elsewhere}; name that Region and the key's ARN there"
            )


def _was_never_sent(error: BaseException) -> bool:
    """Return whether there was no connection to S3 to send it through."""
    if isinstance(error, boto.SSLError):
        # A certificate is looked at before anything is sent. Else TLS broke, before that or later.
        cause: BaseException = error.kwargs["error"]
        return any(isinstance(each, ssl.SSLCertVerificationError) for each in cause.args)
    return isinstance(error, _NEVER_SENT)


def _is_canonical(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (binascii.Error, ValueError):
        return False

"""Which failures are a Region's, and who is asked instead."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from botocore import exceptions as boto

from cdk_encrypted_data_client.errors import (
    EncryptedDataError,
    NotEncryptedError,
    ObjectNotFoundError,
    RefusedError,
    SettingsError,
    TamperedError,
    UnavailableError,
)
from cdk_encrypted_data_client.locations import Location

_Answer = TypeVar("_Answer")

_LOG = logging.getLogger("cdk_encrypted_data_client")

SECONDS_OF_REST = 30
"""How long a Region that failed is asked last: else every read would wait for the same timeout."""

ELSEWHERE = "to write to another Region, make a client that has its home there"

_OUTAGES = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ReadTimeoutError,
    boto.ConnectionClosedError,
    boto.ProxyConnectionError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
)
_SERVER_ERROR = 500
_BUSY = {
    "BandwidthLimitExceeded",
    "DependencyTimeoutException",
    "InternalError",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_ABSENT = {"NoSuchKey", "NoSuchVersion", "404"}
# KMS says these of what isn't a ciphertext of this key under this encryption context.
_NOT_THE_CIPHERTEXT = {"InvalidCiphertextException", "IncorrectKeyException"}
_REMEDIES = {
    "AccessDenied": "allow s3:GetObject, s3:PutObject on the objects, s3:ListBucket on the bucket",
    "AccessDeniedException": "allow kms:GenerateDataKey to write, kms:Decrypt to read, under this encryption context",
    "DisabledException": "enable the key",
    "KMSInvalidStateException": "the key is to be deleted or not ready: cancel its deletion, or wait",
    "NotFoundException": "name a key that exists in this Region",
    "NoSuchBucket": "name a bucket that exists",
    "InvalidObjectState": "restore the object from its archive class first",
    "MethodNotAllowed": "this version is a delete marker: name another one",
}


class Failover:
    """Asks the home Region, and the others when that one fails.

    Args:
        locations: The home Region's first.
    """

    def __init__(self, locations: Sequence[Location]) -> None:
        self._locations = tuple(locations)
        self._failed_at: dict[Location, float] = {}

    def read(self, what: str, attempt: Callable[[Location], _Answer]) -> _Answer:
        """Return the first answer.

        An outage passes the question on. A refusal doesn't, and neither does anything that isn't authentic: another
        Region must not answer what the home Region denies. That an object is absent counts at home only: elsewhere it
        may not have been replicated yet.
        """
        home = self._locations[0]
        failed: list[str] = []
        first: BaseException | None = None
        for location in self._in_turn():
            try:
                answer = attempt(location)
            except Exception as error:
                if is_outage(error):
                    self._failed_at[location] = time.monotonic()
                    failed.append(f"{location.region} ({said(error)})")
                    first = first or error
                    continue
                meant = explained(error, what, location)
                if isinstance(meant, ObjectNotFoundError) and location != home:
                    failed.append(f"{location.region} (not there, or not replicated yet)")
                    continue
                if meant is error:
                    raise
                raise meant from error
            if location == home:
                self._failed_at.pop(location, None)
            else:
                _LOG.warning(
                    "%s: read from %s instead of %s: %s", what, location.region, home.region, self._why(failed)
                )
            return answer
        raise UnavailableError(
            f"{what}: no Region answered: {'; '.join(failed)}; {home}; "
            "try again later, and see the AWS Health Dashboard of these Regions"
        ) from first

    def write(self, what: str, attempt: Callable[[Location], _Answer]) -> _Answer:
        """Return the home Region's answer; nobody else is asked."""
        home = self._locations[0]
        try:
            return attempt(home)
        except Exception as error:
            if is_outage(error):
                raise UnavailableError(
                    f"{what}: {home.region} failed ({said(error)}); {home}; try again later; {ELSEWHERE}"
                ) from error
            meant = explained(error, what, home)
            if meant is error:
                raise
            raise meant from error

    def _in_turn(self) -> Iterator[Location]:
        now = time.monotonic()
        tired = [
            each for each in self._locations if now - self._failed_at.get(each, -SECONDS_OF_REST) < SECONDS_OF_REST
        ]
        return iter([*(each for each in self._locations if each not in tired), *tired])

    @staticmethod
    def _why(failed: Sequence[str]) -> str:
        return "; ".join(failed) or f"it failed less than {SECONDS_OF_REST} s ago"


def is_outage(error: BaseException) -> bool:
    """Return whether a Region failed, rather than answered."""
    cause = root(error)
    if isinstance(cause, boto.ClientError):
        return _status(cause) >= _SERVER_ERROR or code_of(cause) in _BUSY
    # A certificate that doesn't convince is no outage: who answers there is unknown.
    return isinstance(cause, _OUTAGES) and not isinstance(cause, boto.SSLError)


def is_aws(error: BaseException) -> bool:
    """Return whether AWS, or the way to it, failed or refused, and not this program or who runs it."""
    return isinstance(root(error), (boto.BotoCoreError, boto.ClientError))


def is_absent(error: BaseException) -> bool:
    """Return whether S3 says that there is no such object."""
    cause = root(error)
    return isinstance(cause, boto.ClientError) and code_of(cause) in _ABSENT


def explained(error: Exception, what: str, location: Location) -> Exception:
    """Return the error of this package that says what AWS's means here; another's error (a full disk, …) as it is."""
    cause = root(error)
    if isinstance(cause, EncryptedDataError):
        return cause
    if isinstance(cause, boto.ClientError):
        return _answered(cause, what, location)
    if isinstance(cause, boto.NoCredentialsError):
        return SettingsError(f"{what}: no AWS credentials; {location}; configure them as for boto3")
    if type(cause).__module__.startswith(("s3_encryption", "cryptography")) or isinstance(
        cause, boto.FlexibleChecksumError
    ):
        return tampered(what, location, said(cause))
    if isinstance(error, boto.BotoCoreError):
        return RefusedError(f"{what}: {said(cause)}; {location}")
    return error


def _answered(error: boto.ClientError, what: str, location: Location) -> EncryptedDataError:
    code = code_of(error)
    if code in _ABSENT:
        return ObjectNotFoundError(
            f"{what}: not in {location}; see what is there with list; "
            "what was put in another Region needs time to arrive"
        )
    if code in _NOT_THE_CIPHERTEXT:
        return tampered(what, location, f"KMS: {code}")
    return RefusedError(f"{what}: {said(error)}; {location}; {_REMEDIES.get(code, 'see the request in CloudTrail')}")


def tampered(what: str, location: Location, why: str) -> TamperedError:
    """Return the error that says an object isn't what was put."""
    return TamperedError(
        f"{what}: not what was put ({why}); {location}; nothing of it was delivered; "
        "read an earlier version, and see who wrote this one in CloudTrail"
    )


def not_encrypted(what: str, location: Location, why: str) -> NotEncryptedError:
    """Return the error that says an object was stored by something else."""
    return NotEncryptedError(
        f"{what}: wasn't encrypted by this client ({why}); {location}; put it anew, and delete what lies there"
    )


def root(error: BaseException) -> BaseException:
    """Return what the S3 encryption client wrapped, however often."""
    while error.__cause__ is not None and type(error).__module__.startswith("s3_encryption"):
        error = error.__cause__
    return error


def said(error: BaseException) -> str:
    """Return an error's kind and its words on one line."""
    cause = root(error)
    kind = code_of(cause) if isinstance(cause, boto.ClientError) else type(cause).__name__
    return f"{kind}: {' '.join(str(cause).split())}"


def code_of(error: boto.ClientError) -> str:
    """Return the code of an error that AWS answered with."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

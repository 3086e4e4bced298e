"""What can go wrong, each with the bucket, the key, the Region and what to do about it."""

from __future__ import annotations

import functools
from collections.abc import Callable


class EncryptedDataError(Exception):
    """The base of every error that this package raises on purpose."""


class SettingsError(EncryptedDataError, ValueError):
    """An argument can't be right; nothing was sent."""


class ObjectNotFoundError(EncryptedDataError, LookupError):
    """The home Region's bucket holds no such object, or no such version of it."""


class RefusedError(EncryptedDataError):
    """S3 or KMS answered, and the answer is no: permissions, a disabled key, a bucket that isn't there."""


class UnavailableError(EncryptedDataError):
    """No Region that may be asked gave an answer."""


class OutcomeUnknownError(UnavailableError):
    """S3's answer to a put was lost, and whether the object is stored couldn't be seen either.

    Args:
        message: What is known.
        seal: The object's seal, by which `verify` sees later whether it is stored.
    """

    def __init__(self, message: str, *, seal: str) -> None:
        super().__init__(message)
        self.seal = seal

    def __reduce__(self) -> tuple[Callable[[str], OutcomeUnknownError], tuple[str]]:
        """Go whole from one process to another: an exception is made anew there from its positional arguments."""
        return functools.partial(OutcomeUnknownError, seal=self.seal), (str(self),)


class NotAuthenticError(EncryptedDataError):
    """What is stored isn't what was put under this name for this purpose. Nothing of it was delivered."""


class NotEncryptedError(NotAuthenticError):
    """The object wasn't encrypted before it was stored, or not in the format this package writes."""


class WrongPurposeError(NotAuthenticError):
    """The object was encrypted for another purpose."""


class MovedObjectError(NotAuthenticError):
    """The object was put under another name."""


class OtherSealError(NotAuthenticError):
    """The object is authentic, and it isn't the one whose seal was given: an older or a newer one."""


class TamperedError(NotAuthenticError):
    """The object or its metadata were changed after it was put, or belong to different objects."""

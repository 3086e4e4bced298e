"""What can go wrong. No message holds a row, a value of one, or a secret."""

from __future__ import annotations

from typing import Any


class JobError(Exception):
    """The base of every error that this package raises on purpose."""


class SettingsError(JobError, ValueError):
    """An argument or a rule can't be right; nothing was read."""


class ChecksFailedError(JobError):
    """Rules' checks found rows; nothing was written."""


class OvertakenError(JobError):
    """Another run of this customer was finished meanwhile; this one counts for nothing."""


class NoRunError(JobError, LookupError):
    """There is no finished run."""


class NotAuthenticError(JobError):
    """What is stored isn't what a run has written. Nothing of it was delivered."""


def kind_of(error: BaseException) -> str:
    """Return the classes of an error, of Java's too, and the state that SQL has for it.

    Nothing of its message: rows may be quoted there.
    """
    kinds = [type(error).__name__]
    condition = getattr(error, "getErrorClass", None)
    if callable(condition) and condition():
        kinds.append(str(condition()))
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    depth = 0
    while java is not None and depth < 6:  # noqa: PLR2004 - causes of causes
        kinds.append(java.getClass().getSimpleName())
        if "SQLException" in kinds[-1] and java.getSQLState():
            kinds.append(f"SQLSTATE {java.getSQLState()}")
        java, depth = java.getCause(), depth + 1
    return ", ".join(kinds)

"""What can go wrong. No message holds a row, a value of one, or a secret."""

from __future__ import annotations


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

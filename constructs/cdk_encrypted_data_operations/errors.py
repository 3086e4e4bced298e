"""What can go wrong, each with the resource, the Region and what to do about it."""

from __future__ import annotations


class OperationsError(Exception):
    """The base of every error that this package raises on purpose."""

    exit_status = 1


class SettingsError(OperationsError, ValueError):
    """An argument can't be right; nothing was sent."""

    exit_status = 2


class RefusedError(OperationsError):
    """A check or AWS itself refused; nothing was changed."""


class UnavailableError(OperationsError):
    """AWS gave no answer, or the answer that it can't answer now; nothing was changed."""


class UnfinishedError(OperationsError):
    """Something was begun, and it isn't known to have ended well. Running it again goes on from there."""

    exit_status = 3

"""What was looked at before and after something is done, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What a check came to."""

    HOLDS = "holds"
    REFUSED = "refused"
    """It stands against what is to be done, or against taking it for done."""
    UNKNOWN = "unknown"
    """It couldn't be found out. That doesn't stand against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Args:
        subject: What it is, and where.
        found: What is so.
        outcome: What that means.
        remedy: What to do about it; empty where nothing is.
    """

    subject: str
    found: str
    outcome: Outcome = Outcome.HOLDS
    remedy: str = ""

"""What options of several sub-commands take."""

from __future__ import annotations

import argparse
import math


def seconds(text: str) -> float:
    """Read a number of seconds; raise ArgumentTypeError on anything else."""
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of seconds")
    return number

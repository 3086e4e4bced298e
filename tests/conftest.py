"""What every test stands on."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[1]

if (_PROJECT / "constructs" / "__init__.py").exists():
    pytest.exit("constructs/__init__.py exists: it hides PyPI's package of that name. Remove it.", returncode=2)

# The Node that came with this environment, whatever else is installed; jsii reads it when it is first imported.
os.environ["JSII_NODE"] = str(Path(sys.executable).parent / "node")
# The CDK's own validator takes seconds at the first synth. The tests of the app run it, in a process of their own.
os.environ["CDK_VALIDATION"] = "false"
# A shell that starts the tests in the background has them, and each program they start and interrupt, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""What every test stands on."""

from __future__ import annotations

import os
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

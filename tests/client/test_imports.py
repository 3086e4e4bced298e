"""An application that reads and writes objects needs neither the library, nor the CDK, nor Node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import json, sys
import cdk_encrypted_data_client, cdk_encrypted_data_client.__main__
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_it_loads_none_of_them() -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "constructs"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert loaded & {"cdk_encrypted_data", "stacks", "aws_cdk", "constructs", "jsii", "cdk_nag", "rich"} == set()
    assert {"cdk_encrypted_data_client", "s3_encryption"} <= loaded

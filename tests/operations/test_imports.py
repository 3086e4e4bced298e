"""An operator needs neither the library, nor the client, nor the CDK, nor Node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import json, sys
import cdk_encrypted_data_operations.__main__
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_it_loads_none_of_them() -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "constructs"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    others = {"cdk_encrypted_data", "cdk_encrypted_data_client", "stacks", "aws_cdk", "constructs", "jsii", "cdk_nag"}
    assert loaded & (others | {"s3_encryption", "cryptography"}) == set()
    assert {"cdk_encrypted_data_operations", "boto3", "rich"} <= loaded

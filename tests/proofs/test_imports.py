"""The proofs are for any template: they start no Node and import neither the CDK nor boto3."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import cdk_encrypted_data

LOADED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
FORBIDDEN = {"aws_cdk", "constructs", "jsii", "boto3", "botocore", "cdk_nag"}


def _loaded_by(statement: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{statement}\n{LOADED}"], check=True, capture_output=True, text=True
    )
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "statement", ["import cdk_encrypted_data", "from cdk_encrypted_data.proofs.iam.evaluation import decide"]
)
def test_imports_no_cdk(statement: str) -> None:
    assert _loaded_by(statement) & FORBIDDEN == set()


def test_imports_nothing_but_the_standard_library() -> None:
    ours = _loaded_by("from cdk_encrypted_data.proofs.iam.evaluation import decide") - _loaded_by("pass")
    assert {name for name in ours if name not in sys.stdlib_module_names} == {"cdk_encrypted_data"}


def test_the_constructs_do_import_it() -> None:
    assert "aws_cdk" in _loaded_by("from cdk_encrypted_data import EncryptedBucket")


def test_every_public_name_is_there() -> None:
    assert set(cdk_encrypted_data.__all__) <= set(dir(cdk_encrypted_data))
    for name in cdk_encrypted_data.__all__:
        assert getattr(cdk_encrypted_data, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'EncryptedBuckets'"):
        cdk_encrypted_data.EncryptedBuckets  # type: ignore[attr-defined]  # noqa: B018

"""The vocabulary against what else knows AWS's names: the SDK, our own policies, the rules' pairs of templates."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from cdk_encrypted_data import policies
from cdk_encrypted_data.proofs.cloudformation.assembly import read_template
from cdk_encrypted_data.proofs.iam.vocabulary import (
    action_of_operation,
    is_action,
    is_condition_key,
    nearest_action,
    nearest_condition_key,
)
from cdk_encrypted_data.proofs.subjects.s3 import BUCKET_ACTIONS, OBJECT_ACTIONS

Json = Any

PAIRS = Path(__file__).parent / "rules" / "pairs"
IAM_DATA = Path(__file__).parents[2] / "node_modules" / "@cloud-copilot" / "iam-data" / "data"
# Operations of directory buckets, of S3 on Outposts and of Object Lambda: their actions have other prefixes than s3.
OF_OTHER_SERVICES = {
    "CreateSession",
    "DeleteAccessPointScope",
    "DeleteBucketLifecycleConfiguration",
    "GetAccessPointScope",
    "GetBucket",
    "ListAccessPointsForDirectoryBuckets",
    "ListDirectoryBuckets",
    "ListRegionalBuckets",
    "PutAccessPointScope",
    "RenameObject",
    "WriteGetObjectResponse",
}


@pytest.mark.parametrize(
    ("service", "prefix"),
    [
        ("kms", "kms"),
        ("logs", "logs"),
        ("s3", "s3"),
        ("s3control", "s3"),
        ("secretsmanager", "secretsmanager"),
        ("sts", "sts"),
    ],
)
def test_every_operation_is_an_action_or_needs_one(service: str, prefix: str) -> None:
    operations = set(botocore.session.get_session().get_service_model(service).operation_names)
    named_otherwise = {name for name in operations if not is_action(f"{prefix}:{name}")}
    unknown = {name for name in named_otherwise if action_of_operation(f"{prefix}:{name}") is None}
    assert unknown <= OF_OTHER_SERVICES
    assert all(is_action(action_of_operation(f"{prefix}:{name}") or "") for name in named_otherwise - unknown)


@pytest.mark.skipif(not IAM_DATA.exists(), reason="the tools that only npm has aren't installed here")
@pytest.mark.parametrize("prefix", ["kms", "logs", "s3", "secretsmanager", "sts"])
def test_the_service_authorization_reference_has_no_other_names(prefix: str) -> None:
    actions = json.loads((IAM_DATA / "actions" / f"{prefix}.json").read_text(encoding="utf-8"))
    keys = json.loads((IAM_DATA / "conditionKeys" / f"{prefix}.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in actions.values() if not is_action(f"{prefix}:{one['name']}")] == []
    names = [re.sub(r"\$\{.*?\}|<.*?>", "some", one["key"]) for one in keys.values()]
    assert [name for name in names if is_condition_key(name) is False] == []


def test_our_own_policies_name_what_is_known() -> None:
    modules = Path(inspect.getfile(policies)).parent.glob("*.py")
    quoted = {name for module in modules for name in _QUOTED.findall(module.read_text(encoding="utf-8"))}
    assert len(quoted) > 20
    # Values of headers, and a key of the encryption context that readers of CSE-KMS send.
    values = {"aws:kms", "aws:kms:dsse", "aws:x-amz-cek-alg"}
    # key.py compares with the beginnings of some.
    known = {name for name in quoted if is_action(name) or is_action(f"{name}*") or is_condition_key(name)}
    assert quoted - values - known == set()


_QUOTED = re.compile(r"\"((?:aws|kms|s3|sts):[^\"{}]+)\"")


def test_the_tables_of_the_bucket_rules_are_part_of_it() -> None:
    assert {action for action in BUCKET_ACTIONS | OBJECT_ACTIONS if not is_action(action)} == set()


def test_templates_that_are_right_name_what_is_known() -> None:
    statements = [one for path in PAIRS.glob("*/holds*.*") for one in statements_in(read_template(path))]
    assert len(statements) > 100
    actions = {text for one in statements for text in listed(one.get("Action")) + listed(one.get("NotAction"))}
    keys = {key for one in statements for names in one.get("Condition", {}).values() for key in names}
    assert {action for action in actions if isinstance(action, str) and is_action(action) is False} == set()
    assert {key for key in keys if is_condition_key(key) is False} == set()


def statements_in(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        if value.get("Effect") in ("Allow", "Deny"):
            yield value
        for one in value.values():
            yield from statements_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from statements_in(one)


def listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


@pytest.mark.parametrize(
    ("action", "known"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:*", True),
        ("s3:*Object?agging", True),
        ("s3:Get*Tagging", True),
        ("kms:ReEncrypt*", True),
        ("kms:ReEncrypt", False),
        ("kms:Encapsulate", True),
        ("s3:GetObjectt", False),
        ("s3:GetObjectt*", True),
        ("s3:GetObjcet*", False),
        ("s3:GetObject?", False),
        ("s3:ListObjectsV2", False),
        ("s3:", False),
        ("glue:GetTable", None),
        ("*", None),
        ("", None),
    ],
)
def test_actions(action: str, known: bool | None) -> None:  # noqa: FBT001 - a table's column
    assert is_action(action) is known


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("aws:SourceArn", True),
        ("AWS:SOURCEARN", True),
        ("aws:Source", False),
        ("aws:PrincipalTag/Team", True),
        ("aws:PrincipalTag/", False),
        ("aws:PrincipalTag", False),
        ("s3:ExistingObjectTag/a/b", True),
        ("s3:x-amz-server-side-encryption", True),
        ("s3:x-amz-server-side-encryption-kms-key-id", False),
        ("kms:EncryptionContext:aws:s3:arn", True),
        ("kms:EncryptionContextKeys", True),
        ("kms:EncryptionContext", False),
        ("kms:RecipientAttestation:PCR31", True),
        ("kms:RecipientAttestation:NitroTPMPCR4", True),
        ("secretsmanager:resource/Type", True),
        ("sts:RequestContext/Some", True),
        ("lambda:SourceFunctionArn", None),
        ("token.actions.githubusercontent.com:sub", None),
        ("nothing", None),
    ],
)
def test_condition_keys(key: str, known: bool | None) -> None:  # noqa: FBT001 - a table's column
    assert is_condition_key(key) is known


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3:GetObejct", "s3:GetObject"),
        ("kms:generatedatakeys*", "kms:GenerateDataKey"),
        ("s3:DoSomething", None),
        ("glue:GetTabel", None),
    ],
)
def test_the_nearest_action(written: str, meant: str | None) -> None:
    assert nearest_action(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("aws:SecureTransprot", "aws:SecureTransport"),
        ("aws:PrincipalTags/Team", "aws:PrincipalTag/Team"),
        ("aws:ResourceTag", "aws:ResourceTag/…"),
        ("kms:EncryptionContxt:aws:s3:arn", "kms:EncryptionContext:aws:s3:arn"),
        ("s3:something", None),
        ("nothing", None),
    ],
)
def test_the_nearest_condition_key(written: str, meant: str | None) -> None:
    assert nearest_condition_key(written) == meant

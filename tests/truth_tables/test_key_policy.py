"""Who administers and who uses a CustomerManagedKey: every kind of principal, in each shape of the key's policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.synthesis import new_stack
from tests.truth_tables.key_table import CALLERS, CALLS, EXPECTED, make_keys
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT, Synthesis

if TYPE_CHECKING:
    import aws_cdk as cdk
    from constructs import IConstruct

    from tests.oracle.evaluator import Evaluator, Policy


def _reader_policy(key_arn: str) -> Policy:
    """What grant_read gives on the key; test_grants decides over the policies that are really made."""
    statement = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key_arn}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        admin, user = (
            iam.Role(stack, name, role_name=name, assumed_by=iam.AccountRootPrincipal())
            for name in ("KeyAdmin", "KeyUser")
        )
        keys = make_keys(stack, administrators=[admin], users=[user])
        bucket = EncryptedBucket(stack, "Named", bucket_name="data-bucket")
        return {name: key.key for name, key in keys.items()} | {"of a named bucket": bucket.key}

    return Synthesis(build)


def _cell(evaluator: Evaluator, synthesis: Synthesis, key: str, row: str) -> str:
    caller_name, _, call = row.partition(": ")
    caller, (action, context) = CALLERS[caller_name], CALLS[call]
    key_arn = synthesis.arn(key)
    identity_policies = {"all": [FULL_ADMIN], "decrypt": [_reader_policy(key_arn)], "none": []}[caller.may]
    decision = evaluator.decide(
        Request(principal=caller.principal, action=action, resource=key_arn, context=context),
        account=ACCOUNT,
        identity_policies=identity_policies,
        resource_policy=synthesis.template.key_policy(synthesis.logical_id(key)),
    )
    return "ok" if decision.allowed else "D"


@pytest.mark.parametrize("key", EXPECTED)
def test_who_may_what(evaluator: Evaluator, synthesis: Synthesis, key: str) -> None:
    assert {row: _cell(evaluator, synthesis, key, row) for row in EXPECTED[key]} == EXPECTED[key]


def test_the_key_of_a_named_bucket_is_bound_to_it(evaluator: Evaluator, synthesis: Synthesis) -> None:
    expected = EXPECTED["bound"]
    assert {row: _cell(evaluator, synthesis, "of a named bucket", row) for row in expected} == expected


@pytest.mark.parametrize("account", [ACCOUNT, OTHER_ACCOUNT])
def test_an_account_is_nobody_in_particular(account: str) -> None:
    """As users the own account would be denied its administration, recovery included; the other one would be let in."""
    with pytest.raises(ValueError, match="administrators"):
        CustomerManagedKey(new_stack(), "Key", administrators=[iam.AccountPrincipal(account)])
    with pytest.raises(ValueError, match="users"):
        CustomerManagedKey(new_stack(), "Key", users=[iam.AccountPrincipal(account)])


def test_every_refusal_has_a_twin_that_passes() -> None:
    """A call that nobody may make in any shape of the policy is one that a typing error could refuse."""
    passing = {row.partition(": ")[2] for cells in EXPECTED.values() for row, cell in cells.items() if cell == "ok"}
    never = {
        "decrypts itself",
        "decrypts through S3 elsewhere",
        "decrypts through Glue",
        "grants by hand",
        "grants, unsaid for what",
        "decrypts for another distribution",
        "decrypts for another account",
        "decrypts for nobody",
        "makes a data key for its distribution",
        "encrypts another log group",
        "encrypts no log group",
    }
    assert passing == set(CALLS) - never

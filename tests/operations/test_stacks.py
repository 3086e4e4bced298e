"""What CloudFormation says of a key, in answers that the embedded AWS doesn't give."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cdk_encrypted_data_operations.stacks import Declaration, declaration_of

_KEY = "mrk-1234abcd12ab34cd56ef12345678990a"
_STACK = "arn:aws:cloudformation:eu-central-1:111122223333:stack/Home/12345678-1234-1234-1234-123456789012"


def asked(status: str, *physical_ids: str) -> Declaration | None:
    """What is made of a stack in this status, whose keys are these."""
    make: Any = boto3.session.Session("key", "secret").client
    client = make("cloudformation", region_name="eu-central-1")
    some_time = "2026-01-01T00:00:00Z"
    resources = [
        {
            "StackName": "Home",
            "StackId": _STACK,
            "LogicalResourceId": f"Key{number}",
            "PhysicalResourceId": physical_id,
            "ResourceType": "AWS::KMS::Key",
            "Timestamp": some_time,
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for number, physical_id in enumerate(physical_ids)
    ]
    with Stubber(client) as stubber:
        stubber.add_response("describe_stack_resources", {"StackResources": resources}, {"PhysicalResourceId": _KEY})
        stack = {"StackName": "Home", "StackId": _STACK, "CreationTime": some_time, "StackStatus": status}
        stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": _STACK})
        return declaration_of(client, _KEY)


@pytest.mark.parametrize(
    ("status", "busy"), [("UPDATE_COMPLETE", False), ("UPDATE_ROLLBACK_FAILED", False), ("UPDATE_IN_PROGRESS", True)]
)
def test_its_stack(status: str, busy: bool) -> None:  # noqa: FBT001
    found = asked(status, "mrk-0", _KEY)
    assert found == Declaration(stack="Home", resource_type="AWS::KMS::Key", status=status)
    assert found.is_being_deployed is busy


def test_a_stack_that_was_deleted_is_described_for_ninety_days() -> None:
    assert asked("DELETE_COMPLETE", _KEY) is None


def test_only_the_first_hundred_resources_are_described() -> None:
    assert asked("UPDATE_COMPLETE", *[f"mrk-{number}" for number in range(100)]) is None

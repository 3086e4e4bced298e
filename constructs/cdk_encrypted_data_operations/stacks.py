"""Which stack has a key, and whether it is being deployed, as CloudFormation says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from cdk_encrypted_data_operations.answers import code

PRIMARY = "AWS::KMS::Key"
"""The type of the key that the template makes as the primary; the replicas' is `AWS::KMS::ReplicaKey`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A key's resource in a stack.

    Args:
        stack: The stack's name.
        resource_type: The resource's type.
        status: The stack's status.
    """

    stack: str
    resource_type: str
    status: str

    @property
    def is_being_deployed(self) -> bool:
        """Whether CloudFormation is at work on the stack."""
        return self.status.endswith("_IN_PROGRESS")


def declaration_of(cloudformation: Any, key_id: str) -> Declaration | None:  # noqa: ANN401 - boto3's client
    """Return the resource of a key in the client's Region; none where no stack that exists has it.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: CloudFormation doesn't say.
    """
    try:
        answer = cloudformation.describe_stack_resources(PhysicalResourceId=key_id)
    except ClientError as error:
        if code(error) == "ValidationError":
            return None
        raise
    # Of a large stack these are the first hundred only, and then ours may be missing.
    for resource in answer["StackResources"]:
        if resource.get("PhysicalResourceId") == key_id:
            (stack,) = cloudformation.describe_stacks(StackName=resource["StackId"])["Stacks"]
            if stack["StackStatus"] == "DELETE_COMPLETE":
                return None
            return Declaration(
                stack=stack["StackName"], resource_type=resource["ResourceType"], status=stack["StackStatus"]
            )
    return None

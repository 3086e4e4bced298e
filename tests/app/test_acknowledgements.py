"""What the app says of its own templates to rule packs."""

from __future__ import annotations

import aws_cdk as cdk
import pytest
from constructs import Construct

from stacks.acknowledgements import logical_id


@pytest.mark.parametrize("path", [("acme", "Bucket"), ("my-Bucket", "Bucket"), ("A.B_c", "Role"), ("x" * 250, "Key")])
def test_a_logical_id_is_the_one_that_the_cdk_makes(path: tuple[str, ...]) -> None:
    stack = cdk.Stack(cdk.App(), "Test")
    scope = Construct(Construct(stack, path[0]), "Default")
    made = cdk.CfnResource(scope, path[1], type="AWS::S3::Bucket")
    assert stack.resolve(made.logical_id) == logical_id(*path)

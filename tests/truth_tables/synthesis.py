"""From constructs to the policies that would be deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from tests.oracle.template import Template
from tests.synthesis import new_stack, template

if TYPE_CHECKING:
    from collections.abc import Callable

    from constructs import IConstruct

ACCOUNT, OTHER_ACCOUNT, REGION = "111122223333", "444455556666", "us-east-1"


class Synthesis:
    """A stack, synthesized once, as it would be deployed to ACCOUNT and REGION."""

    def __init__(self, build: Callable[[cdk.Stack], dict[str, IConstruct]]) -> None:
        stack = new_stack()
        self._named = build(stack)
        self._stack = stack
        self.template = Template(template(stack), account=ACCOUNT, region=REGION)

    def logical_id(self, name: str) -> str:
        """The logical id of the L2 resource that `build` returned under a name."""
        resource = self._named[name].node.default_child
        if not isinstance(resource, cdk.CfnElement):
            raise TypeError(f"{name} is no resource: {resource}")
        logical_id: str = self._stack.resolve(resource.logical_id)
        return logical_id

    def arn(self, name: str) -> str:
        """Its stand-in ARN."""
        return self.template.arn(self.logical_id(name))

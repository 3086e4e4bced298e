"""A stack to put constructs into, and its template as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template

Resources = dict[str, dict[str, Any]]


def new_stack(
    *, account: str | None = None, region: str | None = None, context: Mapping[str, Any] | None = None
) -> cdk.Stack:
    """Return an empty stack named Test, in any environment unless one is given."""
    env = cdk.Environment(account=account, region=region) if account or region else None
    return cdk.Stack(cdk.App(context=dict(context or {})), "Test", env=env)


def template(stack: cdk.Stack) -> dict[str, Any]:
    """Synthesize the stack's app and return the stack's template."""
    return dict(Template.from_stack(stack).to_json())


def resources_of(stack: cdk.Stack, kind: str) -> Resources:
    """Synthesize and return the resources of one type, by logical id."""
    resources: Resources = template(stack)["Resources"]
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def only(stack: cdk.Stack, kind: str) -> dict[str, Any]:
    """Synthesize and return the properties of the only resource of a type."""
    (resource,) = resources_of(stack, kind).values()
    properties: dict[str, Any] = resource["Properties"]
    return properties


def build(make: Callable[[cdk.Stack], object]) -> cdk.Stack:
    """Return a stack with what ``make`` puts into it."""
    stack = new_stack()
    make(stack)
    return stack

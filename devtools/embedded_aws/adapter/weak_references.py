"""Fn::GetStackOutput: read from the Region it names, and refused where AWS would fail."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, engine, handlers, stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTION = "Fn::GetStackOutput"
_MAY_ENCLOSE = {"Fn::If", "Fn::Join", "Fn::Select"}
_PARAMETERS = {"OutputName", "Region", "StackName"}

_Place = tuple[str, ...]


def stack_outputs_are_read_across_regions() -> None:
    """Gap: MiniStack reads Fn::GetStackOutput from the stack's own Region, whatever Region it names."""
    original = engine._resolve_refs

    def resolve_refs(value: Any, *context: Any) -> Any:
        if isinstance(value, dict) and _FUNCTION in value:
            return _stack_output({name: resolve_refs(part, *context) for name, part in value[_FUNCTION].items()})
        return original(value, *context)

    # Everyone who has imported the name.
    engine._resolve_refs = changesets._resolve_refs = handlers._resolve_refs = stacks._resolve_refs = resolve_refs


def _stack_output(named: dict[str, str]) -> str:
    region = named.get("Region", get_region())
    stack = cloudformation._stacks.get_scoped(get_account_id(), region, named["StackName"])
    if not stack or stack["StackStatus"] == "DELETE_COMPLETE":
        raise ValueError(f"{_FUNCTION}: there is no stack {named['StackName']} in {region}")
    for output in stack.get("Outputs", []):
        if output["OutputKey"] == named["OutputName"]:
            value: str = output["OutputValue"]
            return value
    raise ValueError(f"{_FUNCTION}: stack {named['StackName']} in {region} has no output {named['OutputName']}")


def stack_outputs_are_refused_where_aws_fails() -> None:
    """Gap: MiniStack reads a stack's output anywhere.

    AWS supports it as a property's value and within Fn::Join, Fn::If and Fn::Select; elsewhere it answers
    InternalFailure.
    """
    original = engine._validate_template_statics

    def validate_template_statics(template: dict[str, Any]) -> None:
        for place, spec in _uses(template, ()):
            _refuse_what_aws_would(place, spec, template.get("Resources") or {})
        original(template)

    engine._validate_template_statics = validate_template_statics


def _uses(value: Any, place: _Place) -> Iterator[tuple[_Place, Any]]:
    if isinstance(value, list):
        for each in value:
            yield from _uses(each, place)
    elif isinstance(value, dict):
        for name, content in value.items():
            if name == _FUNCTION:
                yield place, content
            yield from _uses(content, (*place, name))


def _refuse_what_aws_would(place: _Place, spec: Any, resources: dict[str, Any]) -> None:
    where = ".".join(place)
    section, _logical_id, attribute, *inner = (*place, "", "", "")
    functions = {name for name in inner if name.startswith("Fn::")} - _MAY_ENCLOSE
    if section != "Resources" or attribute != "Properties" or functions:
        raise ValueError(
            f"InternalFailure: {_FUNCTION} at {where}: AWS supports it as the value of a resource's property "
            "and within Fn::Join, Fn::If and Fn::Select only"
        )
    if not isinstance(spec, dict) or not {"OutputName", "StackName"} <= set(spec):
        raise ValueError(f"Template error: {_FUNCTION} at {where} takes a StackName and an OutputName")
    if set(spec) - _PARAMETERS:
        others = ", ".join(sorted(set(spec) - _PARAMETERS))
        raise ValueError(f"the embedded AWS doesn't carry out {_FUNCTION}: {others}")
    for name, _attribute in engine._intrinsic_references(spec):
        if name in resources:
            raise ValueError(f"Template error: {_FUNCTION} at {where} can't depend on the resource {name}")


PATCHES = (stack_outputs_are_read_across_regions, stack_outputs_are_refused_where_aws_fails)

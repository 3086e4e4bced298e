"""What templates say once they are deployed: every intrinsic function carried out, over all stacks of an assembly.

What only a deployment knows gets a stand-in: a text in the shape of the real one, the same in every run and wherever it
is named. What can't be resolved stays in its place as ``Undecided``; it is never guessed and never dropped.

Not carried out, and so undecided: macros (Fn::Transform, Fn::ForEach, Transform), Fn::Cidr, Fn::GetAZs, and what
custom resources and types that aren't in ``shapes`` return.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate, read
from cdk_encrypted_data.proofs.cloudformation.functions import (
    ABSENT,
    Json,
    Place,
    Scope,
    Undecided,
    Unresolvable,
    Values,
    is_function,
    pointer,
    undecided_in,
)
from cdk_encrypted_data.proofs.cloudformation.shapes import NESTED_STACK, Opaque, StandIn

__all__ = [
    "Assembly",
    "Gap",
    "Json",
    "Opaque",
    "Resource",
    "Stack",
    "StandIn",
    "Undecided",
    "known",
    "listed",
    "truth",
    "undecided_in",
]

_EXTENSIONS: Final = "AWS::LanguageExtensions"
_SUBSTITUTED: Final = re.compile(r"\$\{([^!${}][^${}]*)\}")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something undecided, and whose it is; a gap in a stack's outputs or macros has no resource."""

    stack: str
    logical_id: str | None
    construct_path: str | None
    undecided: Undecided


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A resource as it would be deployed.

    ``stack`` is its stack's id. ``present`` is True, or why nobody can say whether it is there, or as what; resources
    whose condition is false aren't there at all. ``ref`` is what Ref returns; ``arn`` is None for what has none here.
    ``depends_on`` and ``references`` are what it is created after: by DependsOn, and by naming it in a function.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Json]
    stack: str
    account: str
    region: str
    construct_path: str | None
    present: Literal[True] | Undecided
    ref: str | Undecided
    arn: str | None
    deletion_policy: Json
    depends_on: tuple[str, ...]
    metadata: Mapping[str, Json]
    references: frozenset[str] = frozenset()
    update_replace_policy: Json = None

    @property
    def title(self) -> str:
        """What people call it: the path of the construct that made it, or its logical id."""
        return self.logical_id if self.construct_path is None else self.construct_path.removesuffix("/Resource")

    def setting(self, *path: str | int) -> Json:
        """Return a property by its path: None if it isn't there, Undecided if it or what holds it is."""
        value: Json = self.properties
        for step in path:
            if isinstance(value, Undecided):
                return value
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and len(value) > step else None
            else:
                value = value.get(step) if isinstance(value, Mapping) else None
        return value


def listed(value: Json) -> list[Json]:
    """Return a property that may be one value or a list of them as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def known(text: str) -> bool:
    """Whether a text is said, and not only stands for what a deployment knows."""
    return not isinstance(text, StandIn)


def truth(value: Json) -> bool:
    """Return a property that CloudFormation takes as a boolean or as its text; what is undecided is no truth."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A stack, nested ones too. A name, account or Region that nobody said is a ``StandIn``.

    ``acknowledged`` and ``file`` are its template's.
    """

    id: str
    name: str
    account: str
    region: str
    resources: Mapping[str, Resource]
    outputs: Mapping[str, Json]
    dependencies: tuple[str, ...]
    gaps: tuple[Gap, ...]
    acknowledged: Mapping[str, Mapping[str, str]]
    file: Path | None


@dataclass(frozen=True, slots=True)
class Assembly:
    """Stacks, resolved together."""

    stacks: tuple[Stack, ...]
    _owners: Mapping[str, tuple[Resource, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the resources by ARN."""
        owners: dict[str, tuple[Resource, ...]] = {}
        for resource in self.resources():
            if resource.arn is not None:
                owners[resource.arn] = (*owners.get(resource.arn, ()), resource)
        object.__setattr__(self, "_owners", owners)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        account: str | None = None,
        region: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Assembly:
        """Read an assembly's directory or a template's file; the arguments are those of ``assembly.read``."""
        return cls.of(read(path, account=account, region=region, parameters=parameters))

    @classmethod
    def of(cls, templates: Iterable[StackTemplate]) -> Assembly:
        """Resolve templates that are deployed together."""
        return cls(_World(templates).resolved())

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Everything undecided."""
        return tuple(gap for stack in self.stacks for gap in stack.gaps)

    def stack(self, id: str) -> Stack:  # noqa: A002 - the stack's own word
        """Return the stack of an id."""
        return next(stack for stack in self.stacks if stack.id == id)

    def resources(self) -> Iterator[Resource]:
        """Every resource, stack by stack."""
        return (resource for stack in self.stacks for resource in stack.resources.values())

    def resources_of_type(self, type: str) -> tuple[Resource, ...]:  # noqa: A002 - CloudFormation's word
        """The resources of a type, ``AWS::S3::Bucket`` for one."""
        return tuple(resource for resource in self.resources() if resource.type == type)

    def owners(self, arn: str) -> tuple[Resource, ...]:
        """The resources that an ARN names, or whose object or log stream it names. Several share a name in vain."""
        if ":s3:::" in arn:
            arn = arn.partition("/")[0]
        elif ":log-group:" in arn:
            arn = f"{arn.partition(':log-group:')[0]}:log-group:{arn.partition(':log-group:')[2].partition(':')[0]}"
        return self._owners.get(arn, ())

    def resource(self, arn: str) -> Resource | None:
        """The one resource that an ARN names; None for several as for none, ``owners`` tells them apart."""
        owners = self.owners(arn)
        return owners[0] if len(owners) == 1 else None


class _World:
    """The stacks of an assembly, which read each other's outputs."""

    def __init__(self, templates: Iterable[StackTemplate]) -> None:
        self.values = Values()
        self._scopes = [Scope(template, self) for template in templates]
        ids = [scope.source.id for scope in self._scopes]
        if len(set(ids)) != len(ids):
            raise ValueError(f"every stack has an id of its own, and these have not: {sorted(ids)}")
        self._nested: dict[tuple[str, str], Scope] = {}
        self._by_name: dict[tuple[str, str, str], list[Scope]] = {}
        for scope in self._scopes:
            self._by_name.setdefault(_address(scope.account, scope.region, scope.name), []).append(scope)
        self._exports: dict[tuple[str, str, str], list[tuple[Scope, str]]] | None = None

    def resolved(self) -> tuple[Stack, ...]:
        """Resolve every stack, nested ones behind their parents."""
        exports: dict[tuple[str, str, str], list[tuple[Scope, str]]] = {}
        for scope in self._scopes:
            for name, output in scope.exports():
                exports.setdefault(_address(scope.account, scope.region, name), []).append((scope, output))
        self._exports = exports
        # What hung on an import has failed until now.
        self.values = Values()
        return tuple(stack for scope in self._scopes for stack in self._stacks(scope))

    def exported(self, reader: Scope, name: str) -> tuple[Scope, str]:
        """Find the output that is exported by a name, where the reader is deployed."""
        if self._exports is None:
            raise Unresolvable("the name of an export hangs on another export")
        found = self._exports.get(_address(reader.account, reader.region, name), [])
        if len(found) != 1:
            raise Unresolvable(f"{len(found) or 'no'} stacks here export {name} in its account and Region")
        return found[0]

    def stack(self, account: str, region: str, name: str) -> Scope:
        """Find the stack of a name in an account and Region."""
        found = self._by_name.get(_address(account, region, name), [])
        if len(found) != 1:
            raise Unresolvable(f"{len(found) or 'no'} stacks here are called {name} in {account}, {region}")
        return found[0]

    def nested(self, parent: Scope, logical_id: str) -> Scope:
        """Find a nested stack, whose template is an asset of its parent."""
        key = parent.source.id, logical_id
        if key not in self._nested:
            url = parent.text(
                parent.property_of(logical_id, "TemplateURL"), ("Resources", logical_id, "Properties", "TemplateURL")
            )
            template = parent.source.nested.get(url.rpartition("/")[2])
            if template is None:
                raise Unresolvable(f"the template of the nested stack {logical_id} isn't here")
            ancestor: Scope | None = parent
            while ancestor is not None:
                if ancestor.source.template is template.template:
                    raise Unresolvable(f"the nested stack {logical_id} is nested in itself")
                ancestor = ancestor.nested_in and ancestor.nested_in[0]
            source = replace(
                template,
                id=f"{parent.source.id}/{logical_id}",
                name=parent.physical_name(logical_id),
                account=parent.account,
                region=parent.region,
                dependencies=(parent.source.id,),
                nested=parent.source.nested,
            )
            self._nested[key] = Scope(source, self, nested_in=(parent, logical_id))
        return self._nested[key]

    def _stacks(self, scope: Scope) -> Iterator[Stack]:
        resources: dict[str, Resource] = {}
        gaps = [Gap(scope.source.id, None, None, one) for one in _macros(scope)]
        for logical_id in scope.section("Resources"):
            resource, undecided = self._resource(scope, logical_id)
            if resource is not None:
                resources[logical_id] = resource
            path = _construct_path(scope, logical_id)
            gaps.extend(Gap(scope.source.id, logical_id, path, one) for one in undecided)
        children = []
        for logical_id in [one.logical_id for one in resources.values() if one.type == NESTED_STACK]:
            place = ("Resources", logical_id, "Properties", "TemplateURL")
            child = self._or_undecided(functools.partial(self.nested, scope, logical_id), place)
            if isinstance(child, Undecided):
                gaps.append(Gap(scope.source.id, logical_id, resources[logical_id].construct_path, child))
            else:
                children.append(child)
        outputs = {
            name: self._or_undecided(functools.partial(scope.output, name), ("Outputs", name))
            for name in scope.section("Outputs")
        }
        gaps.extend(Gap(scope.source.id, None, None, one) for one in undecided_in(outputs))
        yield Stack(
            scope.source.id,
            scope.name,
            scope.account,
            scope.region,
            resources,
            outputs,
            scope.source.dependencies,
            tuple(gaps),
            scope.source.acknowledged,
            scope.source.file,
        )
        for child in children:
            yield from self._stacks(child)

    def _resource(self, scope: Scope, logical_id: str) -> tuple[Resource | None, tuple[Undecided, ...]]:
        """Resolve a resource, None if it isn't there, with what is undecided about it."""
        written = scope.section("Resources")[logical_id]
        place = ("Resources", logical_id)
        if not isinstance(written, Mapping) or not isinstance(written.get("Type"), str):
            return None, (Undecided("it isn't a resource with a Type", pointer(place)),)
        present = self._present(scope, logical_id)
        if present is None:
            return None, ()

        def resolved(name: str) -> Json:
            value = self.values.settle(functools.partial(scope.resolve, written.get(name), (*place, name)))
            return None if value is ABSENT else value

        properties = resolved("Properties")
        properties = {} if properties is None else properties
        functions = [name for name in written if is_function(name)]
        if functions:
            present = Undecided(f"{functions[0]} isn't carried out here", pointer((*place, functions[0])))
        elif isinstance(properties, Undecided):
            present = properties
        elif not isinstance(properties, Mapping):
            present = Undecided("its properties aren't a map", pointer((*place, "Properties")))
        depends_on = written.get("DependsOn", [])
        resource = Resource(
            logical_id,
            written["Type"],
            properties if isinstance(properties, Mapping) else {},
            scope.source.id,
            scope.account,
            scope.region,
            _construct_path(scope, logical_id),
            present,
            self._or_undecided(functools.partial(scope.ref, logical_id), place),
            self.values.settle(functools.partial(scope.arn, logical_id)),
            resolved("DeletionPolicy"),
            tuple(map(str, depends_on)) if isinstance(depends_on, list) else (str(depends_on),),
            written["Metadata"] if isinstance(written.get("Metadata"), Mapping) else {},
            frozenset(_referenced(written.get("Properties"))) & scope.section("Resources").keys(),
            resolved("UpdateReplacePolicy"),
        )
        whole = (resource.properties, resource.deletion_policy, resource.present)
        return resource, tuple(undecided for part in whole for undecided in undecided_in(part))

    def _present(self, scope: Scope, logical_id: str) -> Literal[True] | Undecided | None:
        """Whether a resource is there: None if not."""
        parent = self._present(*scope.nested_in) if scope.nested_in else True
        condition = scope.section("Resources")[logical_id].get("Condition")
        if condition is None:
            return parent
        holds = self._or_undecided(
            functools.partial(scope.condition, condition), ("Resources", logical_id, "Condition")
        )
        if isinstance(holds, Undecided):
            return holds
        return parent if holds else None

    def _or_undecided(self, compute: Callable[[], Json], place: Place) -> Json:
        try:
            return self.values.settle(compute)
        except Unresolvable as reason:
            return Undecided(reason.reason, pointer(place))


def _referenced(written: Json) -> Iterator[str]:
    """Name what Ref, Fn::GetAtt and Fn::Sub name, in either branch of every Fn::If."""
    open_ = [written]
    while open_:
        value = open_.pop()
        if isinstance(value, list):
            open_ += value
        elif isinstance(value, Mapping):
            open_ += value.values()
            for name, one in value.items():
                first = next(iter(listed(one)), None)
                if not isinstance(first, str):
                    continue
                if name in ("Ref", "Fn::GetAtt"):
                    yield first.partition(".")[0]
                elif name == "Fn::Sub":
                    yield from (found.partition(".")[0] for found in _SUBSTITUTED.findall(first))


def _address(account: str, region: str, name: str) -> tuple[str, str, str]:
    # A stand-in isn't the same as what is known, even if it reads the same.
    return repr(account), repr(region), repr(name)


def _macros(scope: Scope) -> Iterator[Undecided]:
    """Yield what changes or replaces the template before it is deployed."""
    template = scope.source.template
    if not isinstance(template.get("Resources"), Mapping):
        yield Undecided("a template has a map of Resources, and this has none", "")
    for name in ("Transform", "Fn::Transform"):
        # The language extensions only make more functions of the same kind possible.
        if template.get(name, _EXTENSIONS) not in (_EXTENSIONS, [_EXTENSIONS]):
            yield Undecided("the macros that change this template aren't carried out here", f"/{name}")


def _construct_path(scope: Scope, logical_id: str) -> str | None:
    """Name the construct that made a resource, if the CDK did."""
    written = scope.section("Resources").get(logical_id)
    metadata = written.get("Metadata") if isinstance(written, Mapping) else None
    path = metadata.get("aws:cdk:path") if isinstance(metadata, Mapping) else None
    return path if isinstance(path, str) else scope.source.construct_paths.get(logical_id)

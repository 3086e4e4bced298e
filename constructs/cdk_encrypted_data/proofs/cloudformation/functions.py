"""CloudFormation's intrinsic functions, carried out within one stack.

Sources, below https://docs.aws.amazon.com/AWSCloudFormation/latest/:
[fn] TemplateReference/intrinsic-function-reference.html
[pseudo] TemplateReference/pseudo-parameter-reference.html
[dynamic] UserGuide/dynamic-references.html
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.shapes import (
    ALPHABETS,
    FIFO,
    LOWER_CASE,
    NESTED_STACK,
    SHAPES,
    Opaque,
    Shape,
    StandIn,
    characters,
    fields,
    uuid,
)

Json: TypeAlias = Any
Place: TypeAlias = "tuple[str | int, ...]"
_T = TypeVar("_T")

# AWS gives such an account to nobody: no template names it, so nothing is equal to it by accident.
_ACCOUNT: Final = "000000000001"
_REGION: Final = "us-east-1"
_PARTITIONS: Final = (
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
    ("", "aws", "amazonaws.com"),
)
# Deeper than templates go; Python's own limit is a thousand frames.
_MAX_DEPTH: Final = 60
_MAX_OPEN: Final = 6
_DYNAMIC: Final = re.compile(r"\{\{resolve:[^{}]*\}\}")
_VARIABLE: Final = re.compile(r"\$\{(!?)([^${}]*)\}")
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::(\d{12}):role/.+", re.DOTALL)
ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Undecided:
    """Stands where a value couldn't be resolved. ``path`` is the JSON pointer of the function in its template."""

    reason: str
    path: str


def undecided_in(value: Json) -> Iterator[Undecided]:
    """Find what is undecided in a resolved value, in its order."""
    if isinstance(value, Undecided):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            if not isinstance(one, str):
                yield from undecided_in(one)


class Stacks(Protocol):
    """The stacks around one: whose outputs it reads."""

    values: Values

    def nested(self, parent: Scope, logical_id: str) -> Scope:
        """Return the stack that a resource of ``parent`` is."""
        ...

    def exported(self, reader: Scope, name: str) -> tuple[Scope, str]:
        """Return the stack and the output that export a name to ``reader``."""
        ...

    def stack(self, account: str, region: str, name: str) -> Scope:
        """Return the stack of a name."""
        ...


class Unresolvable(Exception):  # noqa: N818 - ends in an Undecided, not in an error
    """Why a value can't be resolved."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Circular(Unresolvable):
    """A value hangs on itself. All that hangs on it is undecided, wherever in the circle one begins."""

    def __init__(self) -> None:
        super().__init__("it hangs on a value that hangs on itself")


class _TooDeep(Exception):  # noqa: N818 - a detour
    """A chain of values is longer than Python's stack likes: this one has to be had first."""

    def __init__(self, key: Hashable, compute: Callable[[], Json]) -> None:
        super().__init__()
        self.key = key
        self.compute = compute


class Values:
    """What has a name is computed once: names of resources, conditions, parameters, outputs."""

    def __init__(self) -> None:
        self._done: dict[Hashable, tuple[Json, Unresolvable | None]] = {}
        self._open: set[Hashable] = set()

    @property
    def busy(self) -> bool:
        """Whether a value is being computed for another."""
        return bool(self._open)

    def once(self, key: Hashable, compute: Callable[[], Json]) -> Json:
        """Compute a value that others need, if it isn't known yet."""
        if key not in self._done:
            if key in self._open:
                raise _Circular
            if len(self._open) >= _MAX_OPEN:
                raise _TooDeep(key, compute)
            self._open.add(key)
            try:
                self._done[key] = compute(), None
            except Unresolvable as failed:
                self._done[key] = None, failed
            finally:
                self._open.remove(key)
        value, reason = self._done[key]
        if reason is not None:
            raise reason.with_traceback(None)
        return value

    def settle(self, compute: Callable[[], _T]) -> _T:
        """Compute what nothing else needs, taking long chains in pieces."""
        waiting: dict[Hashable, Callable[[], Json]] = {}
        while True:
            try:
                if not waiting:
                    return compute()
                key = next(reversed(waiting))
                with contextlib.suppress(Unresolvable):  # kept, and raised again where it is needed
                    self.once(key, waiting[key])
                del waiting[key]
            except _TooDeep as first:  # noqa: PERF203 - this is what the loop is for
                if first.key in waiting:
                    self._done[first.key] = None, _Circular()
                waiting[first.key] = first.compute


def pointer(place: Place) -> str:
    """Return the JSON pointer of a place in a template."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


def _known(value: Json) -> Json:
    """Insist on a value that is there and decided all through."""
    if value is ABSENT:
        raise Unresolvable("AWS::NoValue stands where a value is needed")
    for undecided in undecided_in(value):
        raise Unresolvable(undecided.reason)
    return value


def _as_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    value = _known(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise Unresolvable(f"a text is needed, not {'null' if value is None else f'a {type(value).__name__}'}")


def _exact(value: Json, what: str) -> str:
    """Insist on a text that is known already now."""
    text = _as_text(value)
    if isinstance(text, StandIn):
        raise Unresolvable(f"{what} is known only once it is deployed")
    return text


def _as_list(value: Json) -> list[Json]:
    if isinstance(value, Undecided):
        raise Unresolvable(value.reason)
    if not isinstance(value, list):
        raise Unresolvable("a list is needed")
    return value


def _like(text: str, sources: Iterable[str]) -> str:
    """Mark a text that is made of others as they are marked."""
    kinds = {type(one) for one in sources}
    return Opaque(text) if Opaque in kinds else StandIn(text) if StandIn in kinds else str(text)


def _joined(parts: Sequence[str], delimiter: str = "") -> str:
    return _dynamic(_like(delimiter.join(parts), (delimiter, *parts)))


def _dynamic(text: str) -> str:
    """Replace dynamic references by stand-ins, one for each secret or parameter."""
    if "{{resolve:" not in text:
        return text
    lower = ALPHABETS["lower"]
    replaced = _DYNAMIC.sub(lambda found: f"resolved-{characters(lower, 20, found[0])}", text)
    return Opaque(replaced) if replaced != text else text


def is_function(name: str) -> bool:
    """Whether a map's only key makes it a function."""
    return name == "Ref" or name.startswith("Fn::")


def _arguments(value: Json, *counts: int) -> list[Json]:
    if not isinstance(value, list) or len(value) not in counts:
        raise Unresolvable(f"the function takes a list of {' or '.join(map(str, counts))}")
    return value


class Scope:
    """One stack's template and what its names stand for."""

    def __init__(self, source: StackTemplate, world: Stacks, nested_in: tuple[Scope, str] | None = None) -> None:
        self.source = source
        self.nested_in = nested_in
        self._sections = {name: one for name, one in source.template.items() if isinstance(one, dict)}
        self._world = world
        given = re.sub(r"[^A-Za-z0-9-]+", "-", source.id)
        self.name = StandIn(given) if source.name is None else source.name
        self.account = StandIn(_ACCOUNT) if source.account is None else source.account
        self.region = StandIn(_REGION) if source.region is None else source.region
        partition, suffix = next((name, end) for start, name, end in _PARTITIONS if self.region.startswith(start))
        self._seed = (self.account, self.region, self.name)
        self._pseudo = {
            "account": self.account,
            "partition": _like(partition, (self.region,)),
            "region": self.region,
            "stack": self.name,
            "suffix": _like(suffix, (self.region,)),
        }

    def section(self, name: str) -> Mapping[str, Json]:
        """A section of the template, empty if it has none."""
        return self._sections.get(name, {})

    # Values

    def resolve(self, value: Json, place: Place) -> Json:
        """A value with every function carried out; ``ABSENT`` if it is AWS::NoValue."""
        if isinstance(value, str):
            return _dynamic(value)
        if not isinstance(value, (dict, list)) or not value:
            return value
        if len(place) > _MAX_DEPTH:
            return Undecided("it is nested too deeply", pointer(place))
        if isinstance(value, list):
            listed = [self.resolve(one, (*place, index)) for index, one in enumerate(value)]
            return [one for one in listed if one is not ABSENT]
        functions = [name for name in value if is_function(name)]
        if functions:
            return self._function(functions[0], value, place)
        made = {}
        for name, one in value.items():
            resolved = self.resolve(one, (*place, name))
            if resolved is not ABSENT:
                made[name] = resolved
        return made

    def _function(self, name: str, value: Mapping[str, Json], place: Place) -> Json:
        try:
            return self._carried_out(name, value, place)
        except _Circular as reason:
            # In a circle nothing may be decided by where one began.
            if self._world.values.busy:
                raise
            return Undecided(reason.reason, pointer(place))
        except Unresolvable as reason:
            return Undecided(reason.reason, pointer(place))

    def _carried_out(self, name: str, value: Mapping[str, Json], place: Place) -> Json:
        if len(value) > 1:
            raise Unresolvable(f"{name} stands beside other keys")
        if name not in _FUNCTIONS:
            raise Unresolvable(f"{name} isn't carried out here")
        return _FUNCTIONS[name](self, value[name], (*place, name))

    def text(self, value: Json, place: Place) -> str:
        """A value that has to be a text."""
        return _as_text(self.resolve(value, place))

    # References

    def ref(self, name: Json, _place: Place = ()) -> Json:
        """What Ref returns."""
        if not isinstance(name, str):
            raise Unresolvable("Ref takes a name")
        if name.startswith("AWS::"):
            return self._pseudo_parameter(name)
        if name in self.section("Parameters"):
            return self.parameter(name)
        return self.attribute(name, None)

    def _pseudo_parameter(self, name: str) -> Json:
        known = {
            "AWS::AccountId": "account",
            "AWS::Partition": "partition",
            "AWS::Region": "region",
            "AWS::StackName": "stack",
            "AWS::URLSuffix": "suffix",
        }
        if name in known:
            return self._pseudo[known[name]]
        if name == "AWS::NoValue":
            return ABSENT
        if name == "AWS::StackId":
            if self.nested_in:
                parent, logical_id = self.nested_in
                return parent.attribute(logical_id, None)
            identity = f"stack/{self.name}/{uuid(*self._seed)}"
            parts = ["arn:", self._pseudo["partition"], ":cloudformation:", self.region, ":", self.account, ":"]
            return _joined([*parts, StandIn(identity)])
        raise Unresolvable(f"{name} is known only once it is deployed")

    def parameter(self, name: str) -> Json:
        """A parameter's value: the one given, or its default."""
        return self._world.values.once(("parameter", self.source.id, name), lambda: self._parameter(name))

    def _parameter(self, name: str) -> Json:
        declared = self.section("Parameters")[name]
        declared = declared if isinstance(declared, Mapping) else {}
        kind = str(declared.get("Type", "String"))
        value = self._given_parameter(name)
        if value is ABSENT:
            value = declared.get("Default")
        if value is None:
            raise Unresolvable(f"the parameter {name} has no default and nobody gave it a value")
        text = _as_text(",".join(map(_as_text, value)) if isinstance(value, list) else value)
        is_list = kind == "CommaDelimitedList" or "List<" in kind or kind.endswith("<CommaDelimitedList>")
        if kind.startswith("AWS::SSM::Parameter::Value<"):
            if is_list:
                raise Unresolvable(f"the parameter {name} is a list that only Systems Manager knows")
            lower = ALPHABETS["lower"]
            return Opaque(f"parameter-{characters(lower, 20, self.account, self.region, text)}")
        if not is_list:
            return _dynamic(text)
        if isinstance(text, Opaque):
            raise Unresolvable(f"the parameter {name} is a list that is known only once it is deployed")
        return [_like(one.strip(), (text,)) for one in text.split(",")]

    def _given_parameter(self, name: str) -> Json:
        if self.nested_in is None:
            return self.source.parameters.get(name, ABSENT)
        parent, logical_id = self.nested_in
        given = parent.property_of(logical_id, "Parameters")
        if not isinstance(given, Mapping) or name not in given:
            return ABSENT
        place = ("Resources", logical_id, "Properties", "Parameters", name)
        return _known(parent.resolve(given[name], place))

    def property_of(self, logical_id: str, path: str) -> Json:
        """A property as it is written; None if it isn't there."""
        value: Json = self.section("Resources")[logical_id].get("Properties")
        for name in path.split("."):
            if not isinstance(value, Mapping):
                return None
            if any(map(is_function, value)):
                raise Unresolvable(f"whether {logical_id} has a {path} hangs on a function")
            value = value.get(name)
        return value

    def _property(self, logical_id: str, path: str) -> Json:
        """A property, resolved; ``ABSENT`` if it isn't there."""
        value = self.property_of(logical_id, path)
        if value is None:
            return ABSENT
        return self.resolve(value, ("Resources", logical_id, "Properties", *path.split(".")))

    def attribute(self, logical_id: str, attribute: str | None) -> Json:
        """What Fn::GetAtt returns, or Ref for None."""
        key = ("attribute", self.source.id, logical_id, attribute)
        return self._world.values.once(key, lambda: self._attribute(logical_id, attribute))

    def _attribute(self, logical_id: str, attribute: str | None) -> Json:
        kind = self._type(logical_id)
        if not self.may_exist(logical_id):
            raise Unresolvable(f"{logical_id} isn't there: its condition is false")
        if kind == NESTED_STACK and attribute is not None and attribute.startswith("Outputs."):
            return self._world.nested(self, logical_id).output(attribute.removeprefix("Outputs."))
        shape = SHAPES.get(kind, Shape(None, {}))
        text = shape.ref if attribute is None else shape.attributes.get(attribute)
        if text is None:
            what = "Ref" if attribute is None else attribute
            raise Unresolvable(f"what {what} of {logical_id} returns isn't known here for {kind}")
        return self._fill(text, logical_id)

    def arn(self, logical_id: str) -> str | None:
        """What policies call a resource, None if they can't or nobody can say."""
        shape = SHAPES.get(self._type(logical_id))
        if shape is None or shape.arn is None:
            return None
        try:
            return self._fill(shape.arn, logical_id)
        except Unresolvable:
            return None

    def _type(self, logical_id: str) -> str:
        resource = self.section("Resources").get(logical_id)
        if not isinstance(resource, Mapping) or not isinstance(resource.get("Type"), str):
            raise Unresolvable(f"nothing in the template is called {logical_id}")
        return str(resource["Type"])

    def _fill(self, shape: str, logical_id: str) -> str:
        parts = []
        for text, name, spec in fields(shape):
            parts.append(text)
            if name is not None:
                parts.append(self._field(name, spec or "", logical_id, shape))
        return _joined(parts)

    def _field(self, name: str, spec: str, logical_id: str, shape: str) -> str:
        if name[0].isupper():
            return self._property_text(logical_id, name)
        if name in ALPHABETS:
            return StandIn(characters(ALPHABETS[name], int(spec), *self._seed, logical_id, shape))
        if name == "uuid":
            return StandIn(uuid(*self._seed, logical_id))
        if name == "name":
            return self.physical_name(logical_id)
        return {**self._pseudo, "logical": logical_id}[name]

    def _property_text(self, logical_id: str, path: str) -> str:
        value = self._property(logical_id, path)
        if value is ABSENT and path == "Path":
            return "/"
        if value is ABSENT:
            raise Unresolvable(f"{logical_id} has no {path}")
        return _as_text(value)

    def physical_name(self, logical_id: str) -> str:
        """A resource's name, as given or made up as CloudFormation would."""
        key = ("name", self.source.id, logical_id)
        name: str = self._world.values.once(key, lambda: self._physical_name(logical_id))
        return name

    def _physical_name(self, logical_id: str) -> str:
        kind = self._type(logical_id)
        shape = SHAPES[kind]
        for other in shape.unless:
            if self._property(logical_id, other) is not ABSENT:
                raise Unresolvable(f"what {logical_id} is called with {other} isn't known here")
        if kind == "AWS::KMS::Key":
            return self._key_id(logical_id)
        if kind == "AWS::KMS::ReplicaKey":
            return self._replica_key_id(logical_id)
        given = self._property(logical_id, shape.name_property) if shape.name_property else ABSENT
        if given is not ABSENT:
            return _as_text(given)
        if not shape.generated:
            raise Unresolvable(f"{logical_id} has no {shape.name_property}")
        if kind == "AWS::S3::Bucket" and self._is("account-regional", logical_id, "BucketNamespace"):
            return self._account_regional_name(logical_id)
        made = self._made_up(shape.generated, logical_id)
        if kind in LOWER_CASE:
            made = StandIn(made.lower())
        is_fifo = kind in FIFO and self._is("true", logical_id, FIFO[kind])
        return StandIn(f"{made}.fifo") if is_fifo else made

    def _is(self, text: str, logical_id: str, path: str) -> bool:
        value = self._property(logical_id, path)
        return value is not ABSENT and _exact(value, path).lower() == text

    def _made_up(self, shape: str, logical_id: str) -> str:
        """Make a name up. The stack's and the resource's are cut as CloudFormation does, to stay within all limits."""
        parts = []
        for text, name, spec in fields(shape):
            field_ = self._field(name, spec or "", logical_id, shape) if name else ""
            parts += [text, field_[:24] if name in ("stack", "logical") else field_]
        return StandIn("".join(parts))

    def _account_regional_name(self, logical_id: str) -> str:
        """``<prefix>-<account>-<region>-an``: computed, not made up (AmazonS3/latest/userguide/gpbucketnamespaces)."""
        prefix = self._property(logical_id, "BucketNamePrefix")
        if prefix is ABSENT:
            raise Unresolvable(f"{logical_id} is in the account's namespace without BucketNamePrefix or BucketName")
        return _joined([_as_text(prefix), "-", self.account, "-", self.region, "-an"])

    def _key_id(self, logical_id: str) -> str:
        made = uuid(*self._seed, logical_id)
        return StandIn(f"mrk-{made.replace('-', '')}" if self._is("true", logical_id, "MultiRegion") else made)

    def _replica_key_id(self, logical_id: str) -> str:
        primary = _as_text(self._property(logical_id, "PrimaryKeyArn"))
        _, slash, key_id = primary.rpartition(":key/")
        if not slash or isinstance(primary, Opaque):
            raise Unresolvable(f"the PrimaryKeyArn of {logical_id} isn't a key's ARN")
        return _like(key_id, (primary,))

    # Conditions

    def condition(self, name: Json) -> bool:
        """Whether a condition holds."""
        if not isinstance(name, str) or name not in self.section("Conditions"):
            raise Unresolvable(f"there is no condition {name!r}")
        place = ("Conditions", name)
        holds: bool = self._world.values.once(
            ("condition", self.source.id, name), lambda: self._holds(self.section("Conditions")[name], place)
        )
        return holds

    def _holds(self, expression: Json, place: Place) -> bool:
        if len(place) > _MAX_DEPTH:
            raise Unresolvable("the condition is nested too deeply")
        if not isinstance(expression, Mapping) or len(expression) != 1:
            raise Unresolvable("a condition is a function")
        ((name, argument),) = expression.items()
        inner = (*place, name)
        match name:
            case "Condition":
                return self.condition(argument)
            case "Fn::Equals":
                first, second = (self.resolve(one, inner) for one in _arguments(argument, 2))
                return self._equal(first, second)
            case "Fn::Not":
                return not self._holds(_arguments(argument, 1)[0], (*inner, 0))
            case "Fn::And" | "Fn::Or":
                return self._combined(argument, inner, settles=name == "Fn::Or")
        raise Unresolvable(f"{name} isn't a condition that is carried out here")

    def _combined(self, argument: Json, place: Place, *, settles: bool) -> bool:
        """And, Or: one operand may settle it, even if another is undecided."""
        verdicts = [self._verdict(one, (*place, index)) for index, one in enumerate(_as_list(argument))]
        if settles in verdicts:
            return settles
        for verdict in verdicts:
            if isinstance(verdict, Unresolvable):
                raise verdict
        return not settles

    def _verdict(self, expression: Json, place: Place) -> bool | Unresolvable:
        try:
            return self._holds(expression, place)
        except _Circular:
            raise
        except Unresolvable as reason:
            return reason

    @staticmethod
    def _equal(first: Json, second: Json) -> bool:
        one, other = _as_text(first), _as_text(second)
        # A stand-in is equal to itself. To anything else, only the deployment knows.
        if repr(one) == repr(other):
            return True
        for text in (one, other):
            _exact(text, "a text that the condition compares")
        return one == other

    def may_exist(self, logical_id: str) -> bool:
        """Whether a resource's condition isn't false."""
        resource = self.section("Resources")[logical_id]
        if "Condition" not in resource:
            return True
        try:
            return self.condition(resource["Condition"])
        except _Circular:
            raise
        except Unresolvable:
            return True

    # Outputs

    def output(self, name: str) -> Json:
        """The value of an output."""
        return self._world.values.once(("output", self.source.id, name), lambda: self._output(name))

    def _output(self, name: str) -> Json:
        output = self.section("Outputs").get(name)
        if not isinstance(output, Mapping) or "Value" not in output:
            raise Unresolvable(f"the stack {self.name} has no output {name}")
        if "Condition" in output and not self.condition(output["Condition"]):
            raise Unresolvable(f"the output {name} isn't there: its condition is false")
        return _known(self.resolve(output["Value"], ("Outputs", name, "Value")))

    def exports(self) -> Iterator[tuple[str, str]]:
        """Yield the names of exports and of their outputs; one that is undecided is nobody's to import."""
        for name, output in self.section("Outputs").items():
            export = output.get("Export") if isinstance(output, Mapping) else None
            if isinstance(export, Mapping) and "Name" in export:
                resolve = functools.partial(self.resolve, export["Name"], ("Outputs", name, "Export", "Name"))
                exported = self._world.values.settle(resolve)
                if isinstance(exported, str):
                    yield exported, name

    # Functions

    def get_att(self, argument: Json, place: Place) -> Json:
        """Fn::GetAtt."""
        dotted = isinstance(argument, str) and "." in argument
        name, attribute = argument.split(".", 1) if dotted else _arguments(argument, 2)
        if not isinstance(name, str):
            raise Unresolvable("Fn::GetAtt takes a resource's name")
        return self.attribute(name, _exact(self.resolve(attribute, (*place, 1)), "the attribute"))

    def join(self, argument: Json, place: Place) -> str:
        """Fn::Join."""
        delimiter, parts = _arguments(argument, 2)
        listed = _as_list(self.resolve(parts, (*place, 1)))
        return _joined([_as_text(one) for one in listed], self.text(delimiter, (*place, 0)))

    def sub(self, argument: Json, place: Place) -> str:
        """Fn::Sub, with a map or without."""
        text, values = _arguments(argument, 2) if isinstance(argument, list) else (argument, {})
        if not isinstance(text, str) or not isinstance(values, Mapping):
            raise Unresolvable("Fn::Sub takes a text, and a map of values")
        parts, end = [], 0
        for found in _VARIABLE.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            literal, name = found.groups()
            if literal:
                parts.append(f"${{{name}}}")
            elif name in values:
                parts.append(self.text(values[name], (*place, 1, name)))
            elif "." in name:
                parts.append(_as_text(self.attribute(*name.split(".", 1))))
            else:
                parts.append(_as_text(self.ref(name)))
        return _joined([*parts, text[end:]])

    def select(self, argument: Json, place: Place) -> Json:
        """Fn::Select."""
        index, values = _arguments(argument, 2)
        chosen = _exact(self.resolve(index, (*place, 0)), "the index")
        listed = _as_list(self.resolve(values, (*place, 1)))
        if not chosen.isdecimal() or int(chosen) >= len(listed):
            raise Unresolvable(f"a list of {len(listed)} has no element {chosen}")
        # One that is undecided may turn out to be none at all: those behind it would move up.
        for undecided in listed[: int(chosen)]:
            if isinstance(undecided, Undecided):
                raise Unresolvable(undecided.reason)
        return listed[int(chosen)]

    def split(self, argument: Json, place: Place) -> list[str]:
        """Fn::Split."""
        delimiter, text = (self.resolve(one, (*place, index)) for index, one in enumerate(_arguments(argument, 2)))
        separator, whole = _exact(delimiter, "the delimiter"), _as_text(text)
        if isinstance(whole, Opaque):
            raise Unresolvable("what is split is known only once it is deployed")
        if not separator:
            raise Unresolvable("the delimiter is empty")
        return [_like(part, (whole,)) for part in whole.split(separator)]

    def choose(self, argument: Json, place: Place) -> Json:
        """Fn::If. Where both values are one, the condition doesn't matter."""
        name, yes, no = _arguments(argument, 3)
        try:
            holds = self.condition(name)
        except _Circular:
            raise
        except Unresolvable:
            either, other = self.resolve(yes, (*place, 1)), self.resolve(no, (*place, 2))
            if repr(either) == repr(other) and not any(undecided_in(either)):
                return either
            raise
        return self.resolve(yes, (*place, 1)) if holds else self.resolve(no, (*place, 2))

    def find_in_map(self, argument: Json, place: Place) -> Json:
        """Fn::FindInMap, with a default or without."""
        *keys, options = [*_arguments(argument, 3, 4), {}][:4]
        names = [_exact(self.resolve(one, (*place, index)), "a key of the map") for index, one in enumerate(keys)]
        found: Json = self.section("Mappings")
        for name in names:
            found = found.get(name, ABSENT) if isinstance(found, Mapping) else ABSENT
        if found is ABSENT and isinstance(options, Mapping) and "DefaultValue" in options:
            return self.resolve(options["DefaultValue"], (*place, 3, "DefaultValue"))
        if found is ABSENT:
            raise Unresolvable(f"there is no {'/'.join(names)} in the mappings")
        if any(isinstance(one, (Mapping, list)) for one in (found if isinstance(found, list) else [found])):
            raise Unresolvable("a mapping holds texts and lists of texts")
        return self.resolve(found, place)

    def import_value(self, argument: Json, place: Place) -> Json:
        """Fn::ImportValue, from any stack of the assembly in the same account and Region."""
        name = self.text(argument, place)
        scope, output = self._world.exported(self, name)
        return scope.output(output)

    def get_stack_output(self, argument: Json, place: Place) -> Json:
        """Fn::GetStackOutput, from any stack of the assembly; a role of another account reads there."""
        if not isinstance(argument, Mapping) or not {"StackName", "OutputName"} <= set(argument):
            raise Unresolvable("Fn::GetStackOutput takes a StackName and an OutputName")
        texts = {key: self.text(one, (*place, key)) for key, one in argument.items()}
        account = self.account
        if "RoleArn" in texts:
            role = _ROLE.fullmatch(texts["RoleArn"])
            if role is None or isinstance(texts["RoleArn"], Opaque):
                raise Unresolvable("the RoleArn isn't a role's ARN")
            # The account is as well known as the text of the ARN, or as this stack's own.
            account = self.account if role[1] == self.account else role[1]
        region = texts.get("Region", self.region)
        return self._world.stack(account, region, texts["StackName"]).output(texts["OutputName"])

    def base64(self, argument: Json, place: Place) -> str:
        """Fn::Base64."""
        text = self.text(argument, place)
        encoded = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        return Opaque(encoded) if isinstance(text, StandIn) else encoded

    def length(self, argument: Json, place: Place) -> int:
        """Fn::Length."""
        return len(_known(_as_list(self.resolve(argument, place))))

    def to_json(self, argument: Json, place: Place) -> str:
        """Fn::ToJsonString."""
        value = _known(self.resolve(argument, place))
        return _like(json.dumps(value, separators=(",", ":"), ensure_ascii=False), _texts(value))


_FUNCTIONS: Final[Mapping[str, Callable[[Scope, Json, Place], Json]]] = {
    "Ref": Scope.ref,
    "Fn::Base64": Scope.base64,
    "Fn::FindInMap": Scope.find_in_map,
    "Fn::GetAtt": Scope.get_att,
    "Fn::GetStackOutput": Scope.get_stack_output,
    "Fn::If": Scope.choose,
    "Fn::ImportValue": Scope.import_value,
    "Fn::Join": Scope.join,
    "Fn::Length": Scope.length,
    "Fn::Select": Scope.select,
    "Fn::Split": Scope.split,
    "Fn::Sub": Scope.sub,
    "Fn::ToJsonString": Scope.to_json,
}


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)

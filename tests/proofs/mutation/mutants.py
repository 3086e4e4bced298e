"""Breaks a template in one place at a time: every statement, condition, operator, ARN and property that matters.

It knows CloudFormation's shape and no template in particular, so it does the same to anybody's.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any
Place: TypeAlias = "tuple[str | int, ...]"

DOCUMENTS: Final = ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument")

# What says nothing about who may do what, how data are stored, or whether they are kept.
UNRELATED: Final = {
    "AWS::CDK::Metadata": None,
    # To whom it is attached: without it a role may do less.
    "AWS::IAM::ManagedPolicy": {"Description", "ManagedPolicyName", "Path", "Roles"},
    "AWS::IAM::Role": {"Description", "Path", "RoleName", "Tags", "MaxSessionDuration"},
    "AWS::KMS::Alias": {"AliasName"},
    "AWS::KMS::Key": {"Description", "PendingWindowInDays", "RotationPeriodInDays", "Tags"},
    "AWS::Glue::Connection": {"CatalogId"},
    "AWS::Glue::Job": {"Connections", "GlueVersion"},
    "AWS::IAM::Policy": {"PolicyName", "Roles"},
    # What its key must admit is proven at the key.
    "AWS::Logs::LogGroup": None,
    "AWS::S3::Bucket": {
        "BucketName",
        "BucketNamePrefix",
        "BucketNamespace",
        "CorsConfiguration",
        "LifecycleConfiguration",
        "NotificationConfiguration",
        "Tags",
    },
}
_OPERATORS: Final = {
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
    "Bool": None,
    "BoolIfExists": "Bool",
    "Null": None,
    "NumericLessThan": "NumericGreaterThan",
    "StringEquals": "StringNotEquals",
    "StringLike": "StringNotLike",
    "StringNotEquals": "StringEquals",
}
_WORDS: Final = {
    "aws:kms": "AES256",
    "aws:kms:dsse": "AES256",
    "AES256": "aws:kms",
    "Enabled": "Disabled",
    "BucketOwnerEnforced": "ObjectWriter",
    "SSE-C": "NONE",
}
_ELSEWHERE: Final = "999988887777"
_OTHER_KEY: Final = f"arn:aws:kms:us-east-1:{_ELSEWHERE}:key/11112222-3333-4444-8555-666677778888"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A template with one change; ``what`` says which, ``place`` where."""

    what: str
    place: Place
    template: Json

    @property
    def name(self) -> str:
        return f"{self.what} at {'/'.join(map(str, self.place[1:]))}"

    @property
    def in_a_policy(self) -> bool:
        return any(step in DOCUMENTS for step in self.place)


def mutants(template: Json) -> Iterator[Mutant]:
    """Break the template in every way, one at a time."""
    for place, what, value in _changes(template):
        mutant = copy.deepcopy(template)
        _put(mutant, place, value)
        if mutant != template:
            yield Mutant(what, place, mutant)


_GONE: Final = object()


def _put(template: Json, place: Place, value: Json) -> None:
    holder = template
    for step in place[:-1]:
        holder = holder[step]
    if value is _GONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value


def _changes(template: Json) -> Iterator[tuple[Place, str, Json]]:
    resources = template["Resources"]
    for logical_id, resource in resources.items():
        unrelated = UNRELATED.get(resource["Type"], set())
        if unrelated is None:
            continue
        place: Place = ("Resources", logical_id)
        if not _is_named(logical_id, {name: one for name, one in template.items() if name != "Resources"}) and not any(
            _is_named(logical_id, one) for name, one in resources.items() if name != logical_id
        ):
            yield place, "drop the resource", _GONE
        for name in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(name) == "Retain":
                yield (*place, name), "delete with the stack", "Delete"
        for name, value in resource.get("Properties", {}).items():
            if name in DOCUMENTS:
                yield from _of_a_document((*place, "Properties", name), value)
            elif name not in unrelated:
                yield from _of_a_property((*place, "Properties", name), value)


def _is_named(logical_id: str, value: Json) -> bool:
    return f'"{logical_id}"' in (text := json.dumps(value)) or f"${{{logical_id}" in text


# Properties.


def _of_a_property(place: Place, value: Json) -> Iterator[tuple[Place, str, Json]]:
    yield place, "drop", _GONE
    yield from _of_a_value(place, value)


def _of_a_value(place: Place, value: Json) -> Iterator[tuple[Place, str, Json]]:
    if isinstance(value, bool):
        yield place, "flip", not value
    elif isinstance(value, str) and value in _WORDS:
        word = "Suspended" if (value, "VersioningConfiguration" in place) == ("Enabled", True) else _WORDS[value]
        yield place, f"say {word}", word
    elif _is_function(value):
        if _means_a_key(place):
            yield place, "name another key", _OTHER_KEY
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from (_of_a_document if name in DOCUMENTS else _of_a_property)((*place, name), one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            if len(value) > 1:
                yield (*place, number), "drop", _GONE
            yield from _of_a_value((*place, number), one)


def _means_a_key(place: Place) -> bool:
    return any(word in str(place[-1]).lower() for word in ("kms", "key"))


def _is_function(value: Json) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) == 1
        and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Join", "Fn::Sub", "Fn::ImportValue", "Fn::GetStackOutput")
    )


# Policies.


def _of_a_document(place: Place, document: Json) -> Iterator[tuple[Place, str, Json]]:
    statements = document["Statement"]
    for number, statement in enumerate(statements if isinstance(statements, list) else [statements]):
        its: Place = (*place, "Statement", number) if isinstance(statements, list) else (*place, "Statement")
        if isinstance(statements, list) and len(statements) > 1:
            yield its, "drop the statement", _GONE
        yield (*its, "Effect"), "flip the effect", "Deny" if statement["Effect"] == "Allow" else "Allow"
        for element, change in (("Action", _of_actions), ("Resource", _of_resources)):
            if element in statement:
                yield from change((*its, element), statement[element])
        if "Principal" in statement:
            yield from _of_principals((*its, "Principal"), statement["Principal"])
        for operator, keys in statement.get("Condition", {}).items():
            yield from _of_a_condition((*its, "Condition"), operator, keys, statement["Condition"])
        if len(statement.get("Condition", {})) > 1:
            yield (*its, "Condition"), "drop every condition", {}


def _of_actions(place: Place, value: Json) -> Iterator[tuple[Place, str, Json]]:
    listed = value if isinstance(value, list) else [value]
    service = listed[0].partition(":")[0]
    if listed not in ([f"{service}:*"], ["*"]):
        yield place, "allow or deny every action", f"{service}:*"
    for number, action in enumerate(listed):
        its: Place = (*place, number) if isinstance(value, list) else place
        if len(listed) > 1:
            yield its, f"drop {action}", _GONE
        if not action.endswith("*"):
            yield its, f"misspell {action}", f"{action[:-2]}{action[-1]}{action[-2]}"


def _of_resources(place: Place, value: Json) -> Iterator[tuple[Place, str, Json]]:
    if value == "*":
        return
    yield place, "say *", "*"
    for number, one in enumerate(value if isinstance(value, list) else [value]):
        its: Place = (*place, number) if isinstance(value, list) else place
        if isinstance(value, list) and len(value) > 1:
            yield its, "drop a resource", _GONE
        yield its, "misspell the resource", _misspelt(one)
        if (shorter := _without_objects(one)) is not None:
            yield its, "say the bucket for its objects", shorter


def _misspelt(arn: Json) -> Json:
    """The ARN of something else: another bucket, another key."""
    if isinstance(arn, str):
        head, slash, tail = arn.partition("/")
        return f"{head}x{slash}{tail}"
    if isinstance(arn, Mapping) and "Fn::Join" in arn and arn["Fn::Join"][0] == "":
        pieces = list(arn["Fn::Join"][1])
        first = next(number for number, piece in enumerate(pieces) if not isinstance(piece, str))
        return {"Fn::Join": ["", [*pieces[: first + 1], "x", *pieces[first + 1 :]]]}
    if isinstance(arn, Mapping) and isinstance(arn.get("Fn::Sub"), str):
        return {"Fn::Sub": arn["Fn::Sub"].replace("}", "}x", 1)}
    return {"Fn::Join": ["", [arn, "x"]]}


def _without_objects(arn: Json) -> Json | None:
    if isinstance(arn, str):
        return arn.removesuffix("/*") if arn.endswith("/*") else None
    if isinstance(arn, Mapping) and "Fn::Join" in arn and arn["Fn::Join"][1][-1] == "/*":
        pieces = arn["Fn::Join"][1][:-1]
        return {"Fn::Join": ["", pieces]}
    if isinstance(arn, Mapping) and str(arn.get("Fn::Sub", "")).endswith("/*"):
        return {"Fn::Sub": arn["Fn::Sub"].removesuffix("/*")}
    return None


def _of_principals(place: Place, value: Json) -> Iterator[tuple[Place, str, Json]]:
    if value in ("*", {"AWS": "*"}):
        yield place, "name one principal for everybody", {"AWS": f"arn:aws:iam::{_ELSEWHERE}:root"}
        return
    yield place, "name everybody", "*"
    for kind, names in value.items():
        listed: Sequence[Json] = names if isinstance(names, list) else [names]
        for number, name in enumerate(listed):
            its: Place = (*place, kind, number) if isinstance(names, list) else (*place, kind)
            if len(listed) > 1:
                yield its, "drop a principal", _GONE
            other = "other.amazonaws.com" if kind == "Service" else f"arn:aws:iam::{_ELSEWHERE}:root"
            if name != other:
                yield its, "name another principal", other


def _of_a_condition(place: Place, operator: str, keys: Json, whole: Json) -> Iterator[tuple[Place, str, Json]]:
    base = operator.removesuffix("IfExists")
    others = {name: value for name, value in whole.items() if name != operator}
    if len(whole) == 1:
        yield place, f"drop {operator}", {}
    else:
        yield (*place, operator), f"drop {operator}", _GONE
    turned = _OPERATORS.get(operator, _OPERATORS.get(base))
    if turned is not None and turned not in others:
        yield place, f"{turned} for {operator}", {**others, turned: keys}
    if not operator.endswith("IfExists") and operator != "Null" and f"{operator}IfExists" not in others:
        yield place, f"{operator}IfExists", {**others, f"{operator}IfExists": keys}
    for key, values in keys.items():
        its: Place = (*place, operator)
        rest = {name: value for name, value in keys.items() if name != key}
        if rest:
            yield (*its, key), f"drop {key}", _GONE
        yield its, f"misspell {key}", {**rest, f"{key}x": values}
        yield from _of_values((*its, key), values)


def _of_values(place: Place, values: Json) -> Iterator[tuple[Place, str, Json]]:
    for number, value in enumerate(values if isinstance(values, list) else [values]):
        its: Place = (*place, number) if isinstance(values, list) else place
        if isinstance(values, list) and len(values) > 1:
            yield its, "drop a value", _GONE
        if value in ("true", "false", True, False):
            yield its, "turn the value round", "false" if str(value).lower() == "true" else "true"
        elif isinstance(value, str) and value.replace(".", "").isdigit() and len(value) < 12:
            yield its, "another number", "1.0"
        else:
            yield its, "misspell the value", _misspelt(value)

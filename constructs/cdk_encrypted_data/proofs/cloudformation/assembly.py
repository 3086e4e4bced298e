"""Reads what is to be deployed: the stacks of a cloud assembly, or one CloudFormation template, as they are written.

An assembly is what ``cdk synth`` writes; its files are described in
https://docs.aws.amazon.com/cdk/v2/guide/deploy.html and https://www.npmjs.com/package/@aws-cdk/cloud-assembly-schema.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any

_MANIFEST: Final = "manifest.json"
_STACK: Final = "aws:cloudformation:stack"
_NESTED_ASSEMBLY: Final = "cdk:cloud-assembly"
_ASSETS: Final = "cdk:asset-manifest"
_LOGICAL_ID: Final = "aws:cdk:logicalId"
_ACKNOWLEDGED: Final = "aws:cdk:acknowledged-rules"
_TEMPLATE_FILE: Final = "aws:cdk:templateFile"
_UNKNOWN: Final = {"unknown-account", "unknown-region", ""}
# More than any template within AWS's limit of 1 MB can hold; aliases of aliases would grow without end.
_YAML_NODES: Final = 1_000_000
_YAML_CORE: Final = "tag:yaml.org,2002:"


class UnreadableError(ValueError):
    """A file isn't what it should be. The message names it and says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackTemplate:
    """A template and where it is deployed. None is what nobody said, which isn't the same as any value.

    ``id`` is unique among the stacks that are resolved together; ``dependencies`` are ids. ``nested`` has the templates
    that its nested stacks may name, by the last part of their URL. ``acknowledged`` has the rules that were accepted at
    a construct, by its path, each with its reason. ``file`` is where the template was read.
    """

    id: str
    template: Mapping[str, Json]
    name: str | None = None
    account: str | None = None
    region: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    construct_paths: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    nested: Mapping[str, StackTemplate] = field(default_factory=dict)
    acknowledged: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    file: Path | None = None


def read(
    path: str | Path,
    *,
    account: str | None = None,
    region: str | None = None,
    parameters: Mapping[str, str] | None = None,
) -> tuple[StackTemplate, ...]:
    """Read an assembly's directory or a template's file.

    Args:
        path: The directory with ``manifest.json``, or the template as JSON or YAML.
        account: The account of every stack that doesn't name its own. Default: not known.
        region: The Region of every such stack. Default: not known.
        parameters: Values of parameters, in every stack that has them. Default: the templates' defaults.

    Raises:
        UnreadableError: A file is missing or isn't what it should be.
    """
    path = Path(path)
    given = dict(parameters or {})
    if path.is_dir():
        return tuple(_stacks(path, account, region, given))
    template = read_template(path)
    stack = StackTemplate(id=path.stem, template=template, account=account, region=region, parameters=given, file=path)
    return (stack,)


def read_template(path: Path, *, may_be_empty: bool = False) -> dict[str, Json]:
    """Read a template's file, JSON or YAML. The CDK writes a stack without resources, though none can be deployed."""
    text = _text(path)
    template = _json(text, path) if text.lstrip("\ufeff \t\r\n").startswith("{") else _yaml(text, path)
    if may_be_empty and isinstance(template, dict):
        template.setdefault("Resources", {})
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise UnreadableError(f"{path}: a template has a map of Resources, and this has none")
    return template


def _stacks(
    directory: Path, account: str | None, region: str | None, given: Mapping[str, str]
) -> Iterator[StackTemplate]:
    artifacts = _map(_json_file(directory / _MANIFEST).get("artifacts"))
    for name, artifact in artifacts.items():
        properties = _map(artifact.get("properties"))
        if artifact.get("type") == _NESTED_ASSEMBLY:
            yield from _stacks(directory / str(properties.get("directoryName")), account, region, given)
        elif artifact.get("type") == _STACK:
            environment = str(artifact.get("environment", "")).removeprefix("aws://")
            its_account, _, its_region = environment.partition("/")
            metadata = _metadata(directory, artifact)
            paths, acknowledged = _construct_paths(metadata, artifact), _acknowledged(metadata)
            file = str(properties.get("templateFile"))
            yield StackTemplate(
                id=str(artifact.get("displayName", name)),
                name=str(properties.get("stackName", name)),
                template=read_template(directory / file, may_be_empty=True),
                account=account if its_account in _UNKNOWN else its_account,
                region=region if its_region in _UNKNOWN else its_region,
                parameters={**_map(properties.get("parameters")), **given},
                construct_paths=paths.get(file, {}),
                dependencies=tuple(
                    str(artifacts[one].get("displayName", one))
                    for one in artifact.get("dependencies", ())
                    if artifacts.get(one, {}).get("type") == _STACK
                ),
                nested=dict(_nested(directory, artifacts, artifact, paths, acknowledged)),
                acknowledged=acknowledged,
                file=directory / file,
            )


def _nested(
    directory: Path,
    artifacts: Mapping[str, Json],
    stack: Mapping[str, Json],
    paths: Mapping[str, Mapping[str, str]],
    acknowledged: Mapping[str, Mapping[str, str]],
) -> Iterator[tuple[str, StackTemplate]]:
    """Yield the template assets of a stack by their names in the assets' bucket: its nested stacks' URLs end so."""
    own = _map(stack.get("properties")).get("templateFile")
    for name in stack.get("dependencies", ()):
        artifact = artifacts.get(name, {})
        if artifact.get("type") != _ASSETS:
            continue
        assets = _json_file(directory / str(_map(artifact.get("properties")).get("file")))
        for asset in _map(assets.get("files")).values():
            file = str(asset.get("source", {}).get("path", ""))
            if not file.endswith((".template.json", ".template.yaml")) or file == own:
                continue
            template = StackTemplate(
                id=file,
                template=read_template(directory / file, may_be_empty=True),
                construct_paths=paths.get(file, {}),
                acknowledged=acknowledged,
                file=directory / file,
            )
            for destination in _map(asset.get("destinations")).values():
                yield str(destination.get("objectKey", "")).rpartition("/")[2], template


def _metadata(directory: Path, stack: Mapping[str, Json]) -> list[tuple[str, Mapping[str, Json]]]:
    """Return what the CDK noted at each construct of a stack, by its path."""
    metadata = dict(_map(stack.get("metadata")))
    if file := stack.get("additionalMetadataFile"):
        metadata.update(_json_file(directory / str(file)))
    return [(path.strip("/"), _map(one)) for path, several in metadata.items() for one in several]


def _acknowledged(metadata: list[tuple[str, Mapping[str, Json]]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path, one in metadata:
        if one.get("type") == _ACKNOWLEDGED:
            rules = {str(rule): str(reason) for rule, reason in _map(one.get("data")).items()}
            found.setdefault(path, {}).update(rules)
    return found


def _construct_paths(
    entries: list[tuple[str, Mapping[str, Json]]], stack: Mapping[str, Json]
) -> dict[str, dict[str, str]]:
    """Map a stack's template file, and those of its nested stacks, to construct paths by logical id."""
    files = {path: str(one.get("data")) for path, one in entries if one.get("type") == _TEMPLATE_FILE}
    own = str(_map(stack.get("properties")).get("templateFile"))
    found: dict[str, dict[str, str]] = {}
    for path, one in entries:
        if one.get("type") != _LOGICAL_ID:
            continue
        scopes = [path[:end] for end in _ends(path)]
        file = next((files[scope] for scope in scopes if scope in files), own)
        found.setdefault(file, {})[str(one.get("data"))] = path
    return found


def _ends(path: str) -> Iterable[int]:
    """Find where the scopes of a construct path end, innermost first."""
    return [place for place in range(len(path) - 1, 0, -1) if path[place] == "/"]


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _json_file(path: Path) -> Mapping[str, Json]:
    return _map(_json(_text(path), path))


def _json(text: str, path: Path) -> Json:
    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        made = dict(pairs)
        if len(made) != len(pairs):
            names = [name for name, _ in pairs]
            raise UnreadableError(f"{path}: {sorted({one for one in names if names.count(one) > 1})} is there twice")
        return made

    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"{path}: not JSON: {error}") from None
    except RecursionError:
        raise UnreadableError(f"{path}: nested too deeply") from None


def _yaml(text: str, path: Path) -> Json:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise UnreadableError(
            f"{path}: to read YAML, install PyYAML (pip install pyyaml), or give the template as JSON"
        ) from None
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return None if node is None else _YamlNodes(path).value(node)
    except yaml.YAMLError as error:
        raise UnreadableError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UnreadableError(f"{path}: nested too deeply") from None


class _YamlNodes:
    """Makes JSON of YAML as CloudFormation reads it: short forms become functions, and no date is a date."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def value(self, node: Json) -> Json:
        """Convert a node and what is below it."""
        self._count += 1
        if self._count > _YAML_NODES:
            raise UnreadableError(f"{self._path}: its aliases make more than {_YAML_NODES} values")
        if not node.tag.startswith("!"):
            return self._plain(node)
        name = node.tag[1:]
        if name in ("Ref", "Condition"):
            return {name: self._plain(node)}
        argument = self._plain(node)
        if name == "GetAtt" and isinstance(argument, str):
            argument = argument.split(".", 1)
        return {f"Fn::{name}": argument}

    def _plain(self, node: Json) -> Json:
        if node.id == "sequence":
            return [self.value(one) for one in node.value]
        if node.id == "mapping":
            made: dict[str, Json] = {}
            for key, one in node.value:
                # A key is text, whatever it looks like: account ids are keys of mappings.
                if key.id != "scalar" or key.tag == f"{_YAML_CORE}merge" or key.value in made:
                    line = f"line {key.start_mark.line + 1}"
                    raise UnreadableError(f"{self._path}: {line}: the key {key.value!r} is there twice or isn't text")
                made[key.value] = self.value(one)
            return made
        return self._scalar(node.tag, node.value)

    def _scalar(self, tag: str, text: str) -> Json:
        match tag.removeprefix(_YAML_CORE):
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            # Digits behind a zero stay text: they are an account's id, not an octal number.
            case "int" if re.fullmatch(r"[-+]?(0|[1-9]\d*)", text):
                return int(text)
            case "float" if re.fullmatch(r"[-+]?\d+\.\d*", text):
                return float(text)
            case _:
                return text

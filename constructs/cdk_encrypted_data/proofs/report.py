"""A proof on paper: text for people, JSON and SARIF for other programs."""

from __future__ import annotations

import collections
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Resource, StandIn
from cdk_encrypted_data.proofs.findings import Finding, Rule, Severity
from cdk_encrypted_data.proofs.proof import NAME, Proof
from cdk_encrypted_data.proofs.rules import RULES

_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_INDENT: Final = " " * 4


def as_text(proof: Proof, assembly: Assembly, *, width: int) -> str:
    """Return what people read: the worst first, each finding once with its remedy."""
    lines = list(_heading(proof, assembly, width))
    for finding in proof.findings:
        lines += ["", *_finding(finding, width)]
    if proof.undecidable:
        lines += ["", "undecided: nothing is said about these, neither that they hold nor that they don't"]
        for (rule, reason), several in _grouped(
            ((one.rule.id, one.reason), one.resource.title) for one in proof.undecidable
        ):
            lines += _wrapped(f"{rule} at {', '.join(several)}: {reason}", width, _INDENT)
    if proof.acknowledged:
        lines += ["", "acknowledged"]
        for (rule, reason), several in _grouped(
            ((one.finding.rule.id, one.reason), one.finding.resource.title) for one in proof.acknowledged
        ):
            lines += _wrapped(f"{rule} at {', '.join(several)}: {reason}", width, _INDENT)
    return "\n".join([*lines, "", summary(proof)])


def summary(proof: Proof) -> str:
    """Return how it ended, in one line."""
    counts = collections.Counter(finding.rule.severity for finding in proof.findings)
    found = ", ".join(_counted(counts[severity], severity.word) for severity in sorted(Severity, reverse=True))
    aside = f"{len(proof.acknowledged)} acknowledged, {len(proof.undecidable)} undecided"
    return f"{found}; {aside}; {proof.requests:,} requests decided"


def _heading(proof: Proof, assembly: Assembly, width: int) -> Iterator[str]:
    yield from _wrapped(", ".join(f"{number} {what}" for what, number in proof.subjects.items()), width)
    for what in ("account", "region"):
        stand_ins = {value for stack in assembly.stacks if isinstance(value := getattr(stack, what), StandIn)}
        for value in stand_ins:
            word = {"account": "account", "region": "Region"}[what]
            yield from _wrapped(f"No template names its {word}; {value} stands for it.", width)


def _finding(finding: Finding, width: int) -> Iterator[str]:
    resource = finding.resource
    where = f"{resource.stack}: {resource.logical_id}" if resource.title != resource.logical_id else resource.stack
    yield f"{finding.rule.severity.word}  {finding.rule.id}  {resource.title} ({where})"
    yield from _wrapped(f"{_capitalized(finding.counterexample)}.", width, _INDENT)
    yield from _wrapped(finding.rule.remedy, width, _INDENT)


def _grouped(pairs: Iterable[tuple[tuple[str, str], str]]) -> Iterator[tuple[tuple[str, str], list[str]]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for key, one in pairs:
        if one not in groups.setdefault(key, []):
            groups[key].append(one)
    yield from groups.items()


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def explained(rule: Rule, *, width: int) -> str:
    """Return what a rule claims and why, what to do, and the pages it rests on."""
    lines = [f"{rule.id} ({rule.severity.word})", "", *_wrapped(rule.claim, width), "", *_wrapped(rule.because, width)]
    lines += ["", *_wrapped(f"To do: {rule.remedy}", width), ""]
    lines += ["Sources:", *(f"{_INDENT}{one}" for one in rule.sources)]
    ours = f'cdk.Acknowledgment(id="{NAME}::{rule.id}", reason="…")'
    lines += ["", *_wrapped(f"To accept it at a construct: cdk.Validations.of(construct).acknowledge({ours})", width)]
    written = json.dumps({"Metadata": {"cdk-encrypted-data": {"acknowledge": {rule.id: "…"}}}})
    return "\n".join([*lines, *_wrapped(f"In a template, at the resource: {written}", width)])


def catalogue() -> str:
    """Return a line for each rule."""
    longest = max(map(len, RULES))
    return "\n".join(f"{rule.severity.word:8} {rule.id:{longest}}  {rule.claim}" for rule in RULES.values())


# For programs.


def as_json(proof: Proof, *, version: str) -> str:
    """Return everything, as JSON that only ever gains keys."""
    document = {
        "version": version,
        "findings": [_as_data(one) for one in proof.findings],
        "acknowledged": [{**_as_data(one.finding), "reason": one.reason} for one in proof.acknowledged],
        "undecided": [{"rule": one.rule.id, **_where(one.resource), "reason": one.reason} for one in proof.undecidable],
        "requests": proof.requests,
        "subjects": dict(proof.subjects),
    }
    return json.dumps(document, indent=2)


def _as_data(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "severity": finding.rule.severity.word,
        **_where(finding.resource),
        "place": finding.place,
        "counterexample": finding.counterexample,
        "remedy": finding.rule.remedy,
    }


def _where(resource: Resource) -> dict[str, Any]:
    return {
        "stack": resource.stack,
        "logicalId": resource.logical_id,
        "type": resource.type,
        "constructPath": resource.construct_path,
    }


def as_sarif(proof: Proof, assembly: Assembly, *, version: str, base: Path) -> str:
    """Return SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/). Paths are relative to ``base``."""
    lines = _Lines(assembly, base)
    results = [_result(finding, lines) for finding in proof.findings]
    for one in proof.acknowledged:
        suppression = {"kind": "inSource", "justification": one.reason}
        results.append({**_result(one.finding, lines), "suppressions": [suppression]})
    used = {result["ruleId"]: None for result in results}
    driver = {"name": NAME, "version": version, "rules": [_as_sarif_rule(RULES[rule]) for rule in used]}
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def _as_sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.claim},
        "fullDescription": {"text": rule.because},
        "help": {"text": rule.remedy},
        "helpUri": rule.sources[0],
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, lines: _Lines) -> dict[str, Any]:
    resource = finding.resource
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": resource.construct_path or resource.title}]}
    if physical := lines.of(resource):
        location["physicalLocation"] = physical
    return {
        "ruleId": finding.rule.id,
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": f"{_capitalized(finding.counterexample)}. {finding.rule.remedy}"},
        "locations": [location],
        # So that a finding is the same one after lines have moved.
        "partialFingerprints": {"resource/v1": f"{finding.rule.id}:{resource.stack}:{resource.logical_id}"},
    }


class _Lines:
    """Where in their files the resources stand."""

    def __init__(self, assembly: Assembly, base: Path) -> None:
        self._assembly = assembly
        self._base = base.resolve()
        self._texts: dict[Path, list[str]] = {}

    def of(self, resource: Resource) -> dict[str, Any] | None:
        file = self._assembly.stack(resource.stack).file
        if file is None:
            return None
        path = file.resolve()
        uri = path.relative_to(self._base).as_posix() if path.is_relative_to(self._base) else path.as_uri()
        place: dict[str, Any] = {"artifactLocation": {"uri": uri}}
        if line := self._line(path, resource.logical_id):
            place["region"] = {"startLine": line}
        return place

    def _line(self, path: Path, logical_id: str) -> int | None:
        if path not in self._texts:
            self._texts[path] = path.read_text(encoding="utf-8").splitlines()
        begins = re.compile(rf"\s*(['\"]?){re.escape(logical_id)}\1\s*:")
        return next((number for number, text in enumerate(self._texts[path], 1) if begins.match(text)), None)

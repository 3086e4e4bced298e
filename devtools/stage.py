"""What a chapter of the demo acts on, and what it shows."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from devtools.attempts import Attempt, Result
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.server import EmbeddedAws

_DEPLOY = ("deploy", "--all", "--require-approval=never", "--progress=events")
# What the CLI writes of each stack at the end of its deployment.
_DEPLOYED = re.compile(r"^ *✅ +(\S+?)( \(no changes\))?$", re.MULTILINE)
NO_CHANGES = "no changes"


class NotRunError(RuntimeError):
    """A part that a chapter needs can't be had on this machine; the message says which, and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table of the demo: what was tried, and what came of it."""

    title: str
    results: Sequence[Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An empty account to deploy to, a folder to write into, and a line for each step with the seconds it took."""

    aws: EmbeddedAws
    directory: Path
    console: Console = field(repr=False)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show what is being done, and how long it took."""
        started = time.monotonic()
        with self.console.status(what):
            yield
        self.console.print(f"  {what:<42} {time.monotonic() - started:5.1f} s")

    def synth(self, command: str, *options: str) -> Path:
        """Run ``cdk synth`` of an app and return its assembly. The project's own cdk.out is the user's."""
        assembly = self.directory / "cdk.out"
        with self.step("cdk synth"):
            run_cdk(self.aws, "synth", "--quiet", f"--output={assembly}", *options, app=command)
        return assembly

    def bootstrap(self, assembly: Path) -> None:
        """Run ``cdk bootstrap`` of every environment of an assembly."""
        with self.step("cdk bootstrap"):
            run_cdk(self.aws, "bootstrap", app=assembly)

    def deploy(self, assembly: Path) -> None:
        """Run ``cdk deploy --all``."""
        with self.step("cdk deploy --all"):
            run_cdk(self.aws, *_DEPLOY, app=assembly)

    def deploy_again(self, assembly: Path, *, when: str = "once more") -> Attempt:
        """Return the attempt to deploy without having changed anything."""

        def run() -> str:
            with self.step(f"cdk deploy --all, {when}"):
                return changes(run_cdk(self.aws, *_DEPLOY, app=assembly))

        return Attempt(what=f"deploy {when}", request="cdk deploy --all", expected=NO_CHANGES, run=run)


Chapter: TypeAlias = Callable[[Stage], Iterator[Section]]
"""A part of the demo, on a stage of its own: it does its steps and yields its tables."""


def changes(output: str) -> str:
    """Say what a deployment changed, by what the CLI wrote."""
    stacks: list[tuple[str, str]] = _DEPLOYED.findall(output)
    changed = [name for name, unchanged in stacks if not unchanged]
    if not stacks:
        return f"no stack was deployed: {output}"
    return f"changed: {', '.join(changed)}" if changed else NO_CHANGES

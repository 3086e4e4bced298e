"""Our own app as it is: every bucket of its settings, and whatever anybody may try on it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from devtools.attempts import try_each
from devtools.deployment import target_of
from devtools.promises import try_all
from devtools.stage import Section, Stage
from stacks.settings import Settings

_PROJECT = Path(__file__).resolve().parents[2]
_STACK = "EncryptedData"


def show(stage: Stage) -> Iterator[Section]:
    """Deploy the app and try every promise of each bucket."""
    assembly = stage.synth(shlex.join([sys.executable, "app.py"]))
    stage.bootstrap(assembly)
    stage.deploy(assembly)
    again = list(try_each([stage.deploy_again(assembly)]))
    settings = Settings.from_context(json.loads((_PROJECT / "cdk.json").read_text())["context"])
    for bucket in settings.buckets:
        with stage.step(f"try the promises of {bucket.name}"):
            results = list(try_all(target_of(stage.aws, _STACK, bucket)))
        yield Section(title=f"{bucket.name}: {bucket.encryption.name}, {bucket.upload_policy.name}", results=results)
    yield Section(title="The app", results=again)

"""Deploy our own app to an AWS on this machine with the real CDK CLI, and try what it promises.

``make demo`` runs it. It needs no account and no network, leaves nothing behind, and fails if one promise isn't kept.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devtools.deployment import target_of
from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws, EmbeddedAwsError
from devtools.promises import Result, try_all
from stacks.settings import Settings

_PROJECT = Path(__file__).resolve().parents[1]
_STACK = "EncryptedData"
_NO_CHANGES = "(no changes)"
_WIDTH_IN_A_FILE = 160


def main() -> int:
    """Run the demo and return its exit status."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_FILE
    try:
        with EmbeddedAws() as aws, _scratch() as assembly:
            broken = _demonstrate(console, aws, assembly)
    except (EmbeddedAwsError, CdkError) as error:
        console.print(f"[red]{error}")
        return 1
    except KeyboardInterrupt:
        console.print("[yellow]stopped; the embedded AWS is gone and left nothing behind")
        return 130
    return 1 if broken else 0


def _demonstrate(console: Console, aws: EmbeddedAws, assembly: Path) -> int:
    console.print(f"An embedded AWS answers at {aws.endpoint_url}, account {aws.account_id}, Region {aws.region}.")
    command = f"{sys.executable} app.py"
    deploy = ("deploy", "--all", "--require-approval=never", "--progress=events")
    with _step(console, "cdk bootstrap"):
        run_cdk(aws, "bootstrap", f"aws://{aws.account_id}/{aws.region}", app=command, directory=_PROJECT)
    with _step(console, "cdk deploy --all"):
        run_cdk(aws, *deploy, f"--output={assembly}", app=command, directory=_PROJECT)
    with _step(console, "cdk deploy --all, once more"):
        again = run_cdk(aws, *deploy, app=assembly, directory=_PROJECT)

    settings = Settings.from_context(json.loads((_PROJECT / "cdk.json").read_text())["context"])
    broken = 0
    for bucket in settings.buckets:
        with _step(console, f"try the promises of {bucket.name}"):
            results = list(try_all(target_of(aws, _STACK, bucket)))
        console.print(_table(f"{bucket.name}: {bucket.encryption.name}, {bucket.upload_policy.name}", results))
        broken += sum(not result.kept for result in results)
    unchanged = _NO_CHANGES in again
    console.print(
        "A second deploy changes nothing." if unchanged else f"[red]A second deploy changed something:\n{again}"
    )
    broken += not unchanged
    console.print(f"[red]{broken} promises broken" if broken else "[green]Every promise was kept, on the embedded AWS.")
    return broken


@contextlib.contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(what):
        yield
    console.print(f"  {what:<40} {time.monotonic() - started:5.1f} s")


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="cdk-encrypted-data-"))
    try:
        yield directory / "cdk.out"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _table(title: str, results: list[Result]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("tried", "request", "should happen", "happened", ""):
        table.add_column(column, overflow="fold")
    for result in results:
        attempt = result.attempt
        mark = "[green]kept" if result.kept else "[red]BROKEN"
        table.add_row(attempt.what, attempt.request, attempt.expected, result.happened, mark)
    return table


if __name__ == "__main__":
    sys.exit(main())

"""Deploy our own app to an AWS on this machine with the real CDK CLI, and try what it promises.

``make demo`` runs it. It needs no account and no network, leaves nothing behind, and fails if one promise isn't kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws, EmbeddedAwsError

if TYPE_CHECKING:
    from devtools.promises import Result

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
        with _scratch() as assembly, EmbeddedAws() as aws:
            broken = _demonstrate(console, aws, assembly)
    except (EmbeddedAwsError, CdkError) as error:
        console.print(f"[red]{escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("[yellow]stopped; the embedded AWS is gone and left nothing behind")
        return 130
    return 1 if broken else 0


def _demonstrate(console: Console, aws: EmbeddedAws, assembly: Path) -> int:
    console.print(f"An embedded AWS answers at {aws.endpoint_url}, account {aws.account_id}, Region {aws.region}.")
    command = shlex.join([sys.executable, "app.py"])
    output = f"--output={assembly}"  # the project's own cdk.out is the user's
    deploy = ("deploy", "--all", "--require-approval=never", "--progress=events")
    with _step(console, "cdk synth"):
        run_cdk(aws, "synth", "--quiet", output, app=command, directory=_PROJECT)
    with _step(console, "cdk bootstrap"):
        run_cdk(aws, "bootstrap", app=assembly, directory=_PROJECT)
    with _step(console, "cdk deploy --all"):
        run_cdk(aws, *deploy, app=assembly, directory=_PROJECT)
    with _step(console, "cdk deploy --all, once more"):
        again = run_cdk(aws, *deploy, app=assembly, directory=_PROJECT)

    # Importing the library starts Node. Until here there is none that Ctrl-C could hit.
    from devtools.deployment import target_of  # noqa: PLC0415
    from devtools.promises import try_all  # noqa: PLC0415
    from stacks.settings import Settings  # noqa: PLC0415

    settings = Settings.from_context(json.loads((_PROJECT / "cdk.json").read_text())["context"])
    broken = 0
    for bucket in settings.buckets:
        with _step(console, f"try the promises of {bucket.name}"):
            results = list(try_all(target_of(aws, _STACK, bucket)))
        console.print(_table(f"{bucket.name}: {bucket.encryption.name}, {bucket.upload_policy.name}", results))
        broken += sum(not result.kept for result in results)
    unchanged = _NO_CHANGES in again
    console.print(
        "A second deploy changes nothing." if unchanged else f"[red]A second deploy changed something:\n{escape(again)}"
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
    """Give a folder for all temporary files, of the programs started too: killed, they leave theirs behind."""
    directory = Path(tempfile.mkdtemp(prefix="cdk-encrypted-data-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
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
        table.add_row(attempt.what, attempt.request, attempt.expected, escape(result.happened), mark)
    return table


if __name__ == "__main__":
    sys.exit(main())

"""Deploy our own app to an AWS on this machine with the real CDK CLI, and try what it promises.

``make demo`` runs it. It needs no account and no network, leaves nothing behind, and fails if one promise isn't kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from devtools.chapters import buckets, customers, regions
from devtools.embedded_aws.cdk import CdkError
from devtools.embedded_aws.server import EmbeddedAws, EmbeddedAwsError
from devtools.stage import Chapter, NotRunError, Section, Stage

CHAPTERS: Mapping[str, Chapter] = {"buckets": buckets.show, "regions": regions.show, "customers": customers.show}
"""In the order in which they are shown, each on an empty account."""

_WIDTH_IN_A_FILE = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m devtools.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"default: all; one of {', '.join(CHAPTERS)}")
    chosen = parser.parse_args(arguments).chapters or list(CHAPTERS)
    if unknown := [each for each in chosen if each not in CHAPTERS]:
        parser.error(f"CHAPTER is {unknown[0]!r}; allowed: {', '.join(CHAPTERS)}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_FILE
    not_run: list[str] = []
    try:
        with _scratch() as directory:
            broken = sum(_show_or_say_why_not(console, name, directory / name, not_run) for name in chosen)
    except (EmbeddedAwsError, CdkError) as error:
        console.print(f"[red]{escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("[yellow]stopped; the embedded AWS is gone and left nothing behind")
        return 130
    if not_run:
        console.print(f"[yellow]Not run, so not shown: {', '.join(not_run)}.")
    console.print(f"[red]{broken} promises broken" if broken else "[green]Every promise was kept, on the embedded AWS.")
    return 1 if broken else 0


def _show_or_say_why_not(console: Console, name: str, directory: Path, not_run: list[str]) -> int:
    try:
        return _show(console, name, directory)
    except NotRunError as lacking:
        console.print(f"[yellow]not run: {escape(str(lacking))}")
        not_run.append(name)
        return 0


def _show(console: Console, name: str, directory: Path) -> int:
    """Show a chapter and return how many promises it broke."""
    broken = 0
    with EmbeddedAws() as aws:
        console.print(
            f"[bold]{name}[/]: an embedded AWS answers at {aws.endpoint_url}, account {aws.account_id}, "
            f"Region {aws.region}."
        )
        for section in CHAPTERS[name](Stage(aws=aws, directory=directory, console=console)):
            console.print(_table(section))
            broken += sum(not result.kept for result in section.results)
    return broken


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Give a folder for all temporary files, of the programs started too: killed, they leave theirs behind."""
    directory = Path(tempfile.mkdtemp(prefix="cdk-encrypted-data-"))
    # To pass through, not to look into: where root runs the demo, PostgreSQL runs as somebody else.
    directory.chmod(0o711)
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _table(section: Section) -> Table:
    table = Table(title=section.title, title_justify="left", header_style="bold")
    for column in ("tried", "request", "should happen", "happened", ""):
        table.add_column(column, overflow="fold")
    for result in section.results:
        attempt = result.attempt
        mark = "[green]kept" if result.kept else "[red]BROKEN"
        table.add_row(attempt.what, attempt.request, attempt.expected, escape(result.happened), mark)
    return table


if __name__ == "__main__":
    sys.exit(main())

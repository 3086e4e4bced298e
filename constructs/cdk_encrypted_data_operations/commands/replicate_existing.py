"""`replicate-existing`: replicate what was in a bucket before replication, or what failed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cdk_encrypted_data_operations.batch_replication import BatchReplication, Job, ReplicationStatus
from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.commands.reports import Report, as_data, table_of
from cdk_encrypted_data_operations.errors import RefusedError, UnfinishedError

_DESCRIPTION = """\
Replicate what was in a bucket before it replicated, and what failed: a job of S3 Batch Operations, made once and
followed to its end. S3 finds the objects by the bucket's rules and copies them as its replication role. A job of the
same settings that hasn't ended is followed, not made again; interrupting this command doesn't end it."""


class Show(Protocol):
    """Shows how far a job is."""

    def __call__(self, job: Job) -> object:
        """Show it."""


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add the sub-command to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "replicate-existing",
        help="replicate what was in a bucket before it replicated, or what failed",
        description=_DESCRIPTION,
    )
    parser.add_argument("--bucket", required=True, help="the name of the bucket to replicate from")
    parser.add_argument("--region", required=True, help="its Region")
    parser.add_argument("--role", required=True, metavar="ARN", help="the role for the job, of BatchReplication")
    parser.add_argument("--report-bucket", required=True, metavar="BUCKET", help="where S3 reports on every object")
    parser.add_argument(
        "--status",
        action="append",
        type=ReplicationStatus,
        choices=list(ReplicationStatus),
        metavar="STATUS",
        help="which objects, may be given several times: NONE (there before), FAILED, COMPLETED, REPLICA; "
        "default: NONE and FAILED",
    )
    parser.add_argument("--prefix", default="", help="only objects whose keys begin so")
    parser.add_argument(
        "--created-before", type=_time, metavar="TIME", help="only objects stored before, as in 2026-01-31T12:00:00Z"
    )
    parser.add_argument("--yes", action="store_true", help="don't ask before making the job")
    parser.add_argument("--dry-run", action="store_true", help="only look, and make no job")
    parser.add_argument("--json", action="store_true", help="write one JSON object instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it; return its exit status."""
    work = BatchReplication(
        bucket=options.bucket,
        region=options.region,
        role_arn=options.role,
        report_bucket=options.report_bucket,
        statuses=options.status or (ReplicationStatus.NONE, ReplicationStatus.FAILED),
        prefix=options.prefix,
        created_before=options.created_before,
    )
    report = _Report(work, as_json=options.json)
    try:
        return _run(work, options, report)
    finally:
        report.close()


def _run(work: BatchReplication, options: argparse.Namespace, report: _Report) -> int:
    checks = work.inspect()
    report.before(checks)
    if any(check.outcome is Outcome.REFUSED for check in checks):
        raise RefusedError(f"{work}: no job was made; do what the table says, and run this again")
    job = work.unfinished()
    if options.dry_run:
        report.say(f"Job {job.id} would be followed." if job else "A job would be made. None was: --dry-run.")
        return 0
    if job is None:
        if not options.yes:
            _ask(work, report)
        job = work.start()
        report.say(f"Job {job.id} was made.")
    else:
        report.say(f"Job {job.id} has begun before; it is followed.")
    try:
        with _shown(options) as show:
            job = work.follow(job, progress=show)
    except KeyboardInterrupt:
        raise UnfinishedError(
            f"{work}: interrupted; job {job.id} goes on by itself; run the same command again to follow it"
        ) from None
    report.after(job)
    if job.status != "Complete":
        raise UnfinishedError(f"{work}: job {job.id} is {job.status}: {'; '.join(job.reasons) or 'S3 says no reason'}")
    if job.failed:
        raise UnfinishedError(
            f"{work}: {job.failed} of {job.total} objects failed; the report in {work.report_of(job)} says which and "
            "why; docs/replication.md says what to do; run this again for those"
        )
    return 0


def _ask(work: BatchReplication, report: _Report) -> None:
    report.say(f"Have S3 replicate what is in {work.bucket}? It costs requests and transfer.\nType the bucket's name:")
    if sys.stdin.readline().strip() != work.bucket:
        raise RefusedError(f"{work}: not confirmed, no job was made; type {work.bucket}, or say --yes")


class _Report(Report):
    def __init__(self, work: BatchReplication, *, as_json: bool) -> None:
        self._work = work
        super().__init__({"bucket": work.bucket, "region": work.region}, as_json=as_json)

    def before(self, checks: Sequence[Check]) -> None:
        """Show what was found before."""
        self._whole["before"] = as_data(checks)
        if self._as_json:
            return
        self._console.print(table_of("Before", checks))

    def after(self, job: Job) -> None:
        """Show what came of it."""
        self._whole |= {"job": asdict(job), "report": self._work.report_of(job)}
        if self._as_json:
            return
        table = Table(title=f"Job {job.id}: {job.status}", title_justify="left", header_style="bold")
        for column in ("objects", "succeeded", "failed"):
            table.add_column(column, justify="right")
        table.add_column("report", overflow="fold")
        table.add_row(f"{job.total:,}", f"{job.succeeded:,}", f"{job.failed:,}", escape(self._work.report_of(job)))
        self._console.print(table)


@contextmanager
def _shown(options: argparse.Namespace) -> Iterator[Show]:
    """Show a bar on a terminal; a file or a pipe gets nothing."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or options.json:
        yield lambda _job: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("New", total=None)

        def show(job: Job) -> None:
            words = f"{job.status}, {job.failed:,} failed" if job.failed else job.status
            bar.update(task, description=words, total=job.total or None, completed=job.succeeded + job.failed)

        yield show


def _time(text: str) -> datetime:
    # Python 3.10 doesn't know Z.
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text)

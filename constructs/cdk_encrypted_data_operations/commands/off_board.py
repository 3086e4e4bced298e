"""`off-board`: take a customer off, so that nothing of theirs can be decrypted, or take that back."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from cdk_encrypted_data_operations import off_boarding
from cdk_encrypted_data_operations.commands.options import seconds
from cdk_encrypted_data_operations.commands.reports import Report, as_data, table_of
from cdk_encrypted_data_operations.errors import RefusedError, SettingsError, UnfinishedError
from cdk_encrypted_data_operations.off_boarding import Inspection, OffBoarding

_DESCRIPTION = f"""\
Take a customer off: stop their job and its schedule, close their bucket to everybody but administrators, disable their
key and have KMS destroy it after {off_boarding.PENDING_DAYS} days. From then on nobody can decrypt anything that was
encrypted under the key, in whatever copy. What carries the tag {off_boarding.TAG!r} with the customer's name is theirs;
nothing else is touched. Run the same command again to go on after an interruption."""
_CONFIRMED_BY = "Type the customer's name:"

_Progress = Callable[[str], object]


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add the sub-command to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "off-board",
        help="destroy a customer's key, so that nothing of theirs can be decrypted",
        description=_DESCRIPTION,
    )
    parser.add_argument("--customer", required=True, metavar="NAME", help="the customer's name, as their tag has it")
    parser.add_argument(
        "--region", required=True, action="append", help="a Region where they have something; may be repeated"
    )
    parser.add_argument(
        "--administrator",
        required=True,
        action="append",
        metavar="ARN",
        help="a role or user that may still reach the bucket, your own among them; may be repeated",
    )
    parser.add_argument(
        "--evidence", required=True, type=Path, metavar="FILE", help="the JSON file that says what was done; it is kept"
    )
    parser.add_argument(
        "--confirm", metavar="NAME", help="the customer's name once more, instead of being asked for it"
    )
    parser.add_argument("--dry-run", action="store_true", help="only look, and change nothing")
    parser.add_argument(
        "--only-stop", action="store_true", help="only stop the job and its schedule, before a last export"
    )
    parser.add_argument("--cancel", action="store_true", help="take it back, as long as KMS hasn't destroyed the key")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=off_boarding.WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for runs to end at most; default: {off_boarding.WAIT_SECONDS}",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it; return its exit status."""
    if options.cancel and (options.only_stop or not options.evidence.exists()):
        raise SettingsError(
            f"--cancel with {'--only-stop' if options.only_stop else f'{options.evidence}, which is not there'}; "
            "allowed: the file that off-boarding wrote, and nothing else to do; name that file"
        )
    if options.confirm is not None and options.confirm != options.customer:
        raise SettingsError(
            f"--confirm is {options.confirm!r}; allowed: {options.customer!r}, the customer; write the name once more"
        )
    end = OffBoarding(
        customer=options.customer,
        regions=options.region,
        administrators=options.administrator,
        evidence=options.evidence,
    )
    report = _Report(end, as_json=options.json)
    try:
        return _run(end, options, report)
    finally:
        report.close()


def _run(end: OffBoarding, options: argparse.Namespace, report: _Report) -> int:
    found = end.inspect()
    report.before(found)
    if found.is_refused:
        raise RefusedError(f"{end}: nothing was changed; do what the table says, and run this again")
    if options.dry_run:
        report.say(f"{_plan(found, options)}\nNothing was changed: --dry-run.")
        return 0
    if not found.is_done or options.cancel:
        _ask(end, found, options, report)
    gone: tuple[str, ...] = ()
    try:
        with _waiting(options) as progress:
            if options.cancel:
                gone = end.take_back(found, progress=progress)
            else:
                end.stop(found, seconds=options.wait, progress=progress)
                if options.only_stop:
                    report.say("Stopped. Bucket and key still work: make the last export, and run this again.")
                    return 0
                end.destroy(end.inspect(), progress=progress)
        after = end.verify(is_back=options.cancel)
    except KeyboardInterrupt:
        raise UnfinishedError(f"{end}: interrupted; run the same command again, and it goes on there") from None
    if options.cancel:
        report.back(after, gone)
    else:
        report.off(after)
    return 0


def _plan(found: Inspection, options: argparse.Namespace) -> str:
    """Say what would be done, in its order."""
    if options.cancel:
        return "It would be taken back: keys kept and enabled, buckets opened, triggers started."
    steps = []
    for job in found.jobs:
        steps += [f"stop the trigger {trigger}" for trigger in job.triggers]
        steps += [f"stop {len(job.runs)} runs of {job.name}"] if job.runs else []
    if not options.only_stop:
        steps += [f"close {bucket.name}" for bucket in found.buckets if not bucket.is_closed_as_asked]
        going = [key for key in found.keys if not key.state.startswith(("Pending", "Destroyed"))]
        steps += [f"disable {key.arn}" for key in going if key.state != "Disabled"]
        steps += [f"destroy {key.arn} after {off_boarding.PENDING_DAYS} days" for key in going]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)) or "Nothing is left to do."


def _ask(end: OffBoarding, found: Inspection, options: argparse.Namespace, report: _Report) -> None:
    if options.confirm is not None:
        return
    report.say(f"{_plan(found, options)}\n{_CONFIRMED_BY}")
    if sys.stdin.readline().strip() != end.customer:
        raise RefusedError(
            f"{end}: not confirmed, nothing was changed; type {end.customer}, or say --confirm {end.customer}"
        )


class _Report(Report):
    def __init__(self, end: OffBoarding, *, as_json: bool) -> None:
        self._end = end
        super().__init__({"customer": end.customer, "evidence": str(end.evidence_file)}, as_json=as_json)

    def before(self, found: Inspection) -> None:
        """Show what was found before."""
        self._whole |= {"account": found.account, "before": as_data(found.checks)}
        if not self._as_json:
            self._console.print(table_of("Before", found.checks))

    def off(self, found: Inspection) -> None:
        """Show that the customer was taken off."""
        self._after(
            found,
            f"Nothing under these keys can be decrypted. KMS destroys them after {off_boarding.PENDING_DAYS} days; "
            "until then --cancel takes it back.\n"
            "Now destroy the customer's stack with `cdk destroy`, and only then take them out of the list; in a cell, "
            "take them out and deploy the cell: docs/off-boarding.md.",
        )

    def back(self, found: Inspection, gone: Sequence[str]) -> None:
        """Show that it was taken back: what is so now, whoever made it so."""
        self._whole["gone"] = list(gone)
        lines = ["It was taken back: what was done here is undone."]
        lines += [f"{key.arn}: {key.state}" for key in found.keys]
        lines += [f"{bucket.name}: {bucket.state}" for bucket in found.buckets]
        lines += [f"{arn}: isn't there any more, so it wasn't started" for arn in gone]
        self._after(found, "\n".join(lines))

    def _after(self, found: Inspection, words: str) -> None:
        digest = self._end.digest(found)
        self._whole |= {
            "after": as_data(found.checks),
            "digest": digest,
            "keys": {key.arn: key.state for key in found.keys},
            "buckets": {bucket.arn: bucket.state for bucket in found.buckets},
        }
        if self._as_json:
            return
        self._console.print(table_of("Afterwards", found.checks))
        self.say(words)
        self.say(f"Evidence: {self._end.evidence_file}\nKeep its digest elsewhere: {digest}")


@contextmanager
def _waiting(options: argparse.Namespace) -> Iterator[_Progress]:
    """Show on a terminal what is done; a file or a pipe gets nothing."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _words: None
        return
    with console.status(f"off-boarding {escape(options.customer)}") as status:
        yield lambda words: status.update(escape(words))

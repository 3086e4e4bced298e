"""`promote`: make another Region's key the primary of a multi-Region key."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape

from cdk_encrypted_data_operations import promotion, stacks
from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.commands.options import seconds
from cdk_encrypted_data_operations.commands.reports import Report, as_data, table_of
from cdk_encrypted_data_operations.errors import RefusedError, UnfinishedError
from cdk_encrypted_data_operations.promotion import Inspection, Promotion, Stage

_DESCRIPTION = """\
Make another Region's key the primary of a multi-Region key. What stands against it is shown before, and what came of it
afterwards; nothing that was encrypted is touched, and the keys can be used all the time. An outage needs no promotion:
every Region's key encrypts and decrypts by itself."""
# What a pair's template leaves out.
_DEFAULT_ROTATION_DAYS = 365


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add the sub-command to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "promote", help="make another Region's key the primary of a multi-Region key", description=_DESCRIPTION
    )
    parser.add_argument(
        "--key", required=True, metavar="ALIAS|ARN", help="its alias, ARN or id, as it is known in the first Region"
    )
    parser.add_argument("--from", required=True, dest="from_region", metavar="REGION", help="where the primary is")
    parser.add_argument(
        "--to", required=True, dest="to_region", metavar="REGION", help="where it is to be; a replica is there"
    )
    parser.add_argument("--yes", action="store_true", help="don't ask before moving it")
    parser.add_argument("--dry-run", action="store_true", help="only look, and change nothing")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=promotion.WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for KMS at most; default: {promotion.WAIT_SECONDS}",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it; return its exit status."""
    move = Promotion(key=options.key, from_region=options.from_region, to_region=options.to_region)
    report = _Report(move, as_json=options.json)
    try:
        return _run(move, options, report)
    finally:
        report.close()


def _run(move: Promotion, options: argparse.Namespace, report: _Report) -> int:
    found = move.inspect()
    report.before(found)
    if found.stage is Stage.UNDER_WAY and not options.dry_run:
        with _waiting(options) as progress:
            move.wait(found, seconds=options.wait, progress=progress)
        found = move.inspect()
        report.before(found)
    if found.stage is Stage.REFUSED:
        raise RefusedError(f"{move}: nothing was changed; do what the table says, and run this again")
    if options.dry_run:
        report.say(_DRY_RUN[found.stage])
        return 0 if found.stage is not Stage.UNDER_WAY else UnfinishedError.exit_status
    if found.stage is Stage.READY and not options.yes:
        _ask(move, found, report)
    try:
        if found.stage is Stage.READY:
            move.promote(found)
        with _waiting(options) as progress:
            move.wait(found, seconds=options.wait, progress=progress)
        checks = move.verify(found)
    except KeyboardInterrupt:
        raise UnfinishedError(
            f"{move}: interrupted; what KMS has begun goes on by itself; run the same command again to see it through"
        ) from None
    report.after(found, checks)
    if any(check.outcome is Outcome.REFUSED for check in checks):
        raise UnfinishedError(f"{move}: not all is as it should be; do what the table says, and run this again")
    return 0


_DRY_RUN = {
    Stage.READY: "Nothing is known to stand against it. Nothing was changed: --dry-run.",
    Stage.DONE: "It was moved before. Nothing was changed: --dry-run.",
    Stage.UNDER_WAY: "KMS is moving it. Nothing was changed: --dry-run.",
}


def _ask(move: Promotion, found: Inspection, report: _Report) -> None:
    key_id = found.home.key_id if found.home else ""
    report.say(
        f"Move the primary of {key_id} from {move.from_region} to {move.to_region}? "
        "Stop deployments of its stacks first.\nType the Region that it moves to:"
    )
    answer = sys.stdin.readline().strip()
    if answer != move.to_region:
        raise RefusedError(f"{move}: not confirmed, nothing was changed; type {move.to_region}, or say --yes")


class _Report(Report):
    def __init__(self, move: Promotion, *, as_json: bool) -> None:
        self._move = move
        super().__init__({"key": move.key, "from": move.from_region, "to": move.to_region}, as_json=as_json)

    def before(self, found: Inspection) -> None:
        """Show what was found before the move."""
        self._whole |= {
            "stage": found.stage.value,
            "key_id": found.home.key_id if found.home else None,
            "before": as_data(found.checks),
        }
        if not self._as_json:
            self._console.print(table_of("Before", found.checks))

    def after(self, found: Inspection, checks: Sequence[Check]) -> None:
        """Show what came of it, what to write into the template, and the way back."""
        record = _record(self._move, found)
        back = _back(self._move)
        self._whole |= {"stage": Stage.DONE.value, "after": as_data(checks), "promotion": record, "back": back}
        if self._as_json:
            return
        self._console.print(table_of("Afterwards", checks))
        if found.stage is Stage.DONE:
            self.say("It was moved before.")
        self.say(_words(found, record, back))


def _record(move: Promotion, found: Inspection) -> dict[str, Any] | None:
    """Return what the pair's setting holds; none where the template has the primary there anyway."""
    if found.declaration and found.declaration.resource_type == stacks.PRIMARY:
        return None
    rotation = found.rotation
    days = rotation.period_days if rotation and rotation.enabled else None
    return {
        "primary_region": move.to_region,
        "regions": list(promotion.regions_of(found)),
        "rotation_period_days": None if days == _DEFAULT_ROTATION_DAYS else days,
    }


def _words(found: Inspection, record: dict[str, Any] | None, back: str) -> str:
    if record is None:
        setting = "The primary is where the template has it: take promotion= out of the app, if it is there."
    else:
        regions = ", ".join(f'"{region}"' for region in record["regions"])
        lines = [f'primary_region="{record["primary_region"]}",', f"regions=[{regions}],"]
        if record["rotation_period_days"]:
            lines.append(f"rotation_period=Duration.days({record['rotation_period_days']}),")
        setting = _SETTING.format(lines="".join(f"\n            {line}" for line in lines))
        if found.declaration is None:
            setting += f"\n\nIf the pair's own stack is in {record['primary_region']}, take promotion= out instead."
    return f"\n{setting}\n\ncdk diff shows no difference, before and after. The way back:\n\n    {back}\n"


_SETTING = """\
Record it in the app, at the pair:

    MultiRegionKeyPair(
        …
        promotion=Promotion({lines}
        ),
    )"""


def _back(move: Promotion) -> str:
    return f"encrypted-data-operations promote --key {move.key} --from {move.to_region} --to {move.from_region}"


@contextmanager
def _waiting(options: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    """Show what both Regions say: a terminal the latest, a file or a pipe a line whenever it changes."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        waiting = f"waiting for KMS, {options.wait:g} s at most"
        with console.status(waiting) as status:
            yield lambda words: status.update(f"{waiting}: {escape(words)}")
        return
    shown: list[str] = []

    def show(words: str) -> None:
        if shown[-1:] != [words]:
            shown.append(words)
            console.out(words, highlight=False)

    yield show

"""The command `encrypted-data`: put, get, list and verify objects from a shell."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cdk_encrypted_data_client.errors import EncryptedDataError
from cdk_encrypted_data_client.locations import Location
from cdk_encrypted_data_client.objects import EncryptedObjects, StoredObject

_INTERRUPTED = 130
_REGION, _BUCKET, _KEY = range(3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when it was done, 1 when it wasn't or nobody knows, 2 when it makes no sense, 130 when it was interrupted.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        with EncryptedObjects(
            locations=[
                Location(region=each[_REGION], bucket=each[_BUCKET], key_arn=each[_KEY]) for each in options.location
            ],
            purpose=options.purpose,
            home=options.home,
            state_directory=options.state_directory,
        ) as objects:
            options.run(objects, options)
    except KeyboardInterrupt:
        print("interrupted; nothing is left of it but what was said before", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Who reads our output has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (EncryptedDataError, OSError) as problem:
        print(f"encrypted-data: {problem}", file=sys.stderr)
        return 1
    return 0


def _put(objects: EncryptedObjects, options: argparse.Namespace) -> None:
    objects.clean()
    if options.file == "-":
        with _bar(options, "put", None) as progress:
            _say(objects.put_stream(name=options.name, stream=sys.stdin.buffer, progress=progress))
    else:
        with _bar(options, "put", Path(options.file).stat().st_size) as progress:
            _say(objects.put_file(name=options.name, path=options.file, progress=progress))


def _get(objects: EncryptedObjects, options: argparse.Namespace) -> None:
    which = {"name": options.name, "version_id": options.version_id, "seal": options.seal}
    with _bar(options, "get", None) as progress:
        if options.file != "-":
            _say(objects.get_to_file(path=options.file, progress=progress, **which))
            return
        with objects.open(progress=progress, **which) as reader:
            shutil.copyfileobj(reader, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _verify(objects: EncryptedObjects, options: argparse.Namespace) -> None:
    with _bar(options, "verify", None) as progress:
        found = objects.verify(name=options.name, version_id=options.version_id, seal=options.seal, progress=progress)
    _say(found)


def _ls(objects: EncryptedObjects, options: argparse.Namespace) -> None:
    for each in objects.list(prefix=options.prefix):
        print(f"{each.last_modified:%Y-%m-%d %H:%M:%S} {each.size:>14,} {each.region} {each.name}")


def _rm(objects: EncryptedObjects, options: argparse.Namespace) -> None:
    objects.delete(name=options.name, version_id=options.version_id)


def _clean(objects: EncryptedObjects, _options: argparse.Namespace) -> None:
    print(f"{objects.clean()} removed")


def _say(stored: StoredObject) -> None:
    print(f"{stored.name}: {stored.size:,} bytes, {stored.region}, version {stored.version_id}, seal {stored.seal}")


@contextmanager
def _bar(options: argparse.Namespace, what: str, total: int | None) -> Iterator[Callable[[int], object] | None]:
    """Show progress on a terminal; a file or a pipe gets none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only where it is seen
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{what} {options.name}", total=total)
        yield lambda count: progress.advance(task, count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="encrypted-data",
        description="Put and get objects that are encrypted before they leave this process.",
        epilog="@FILE stands for arguments in a file, one a line: the place for locations and purpose.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument(
        "--location",
        nargs=3,
        action="append",
        required=True,
        metavar=("REGION", "BUCKET", "KEY_ARN"),
        help="a Region's bucket and its member of the multi-Region key; once for each Region",
    )
    parser.add_argument("--purpose", required=True, help="what the objects are for: part of the encryption context")
    parser.add_argument(
        "--home", metavar="REGION", help="the Region to ask first and to write to; default: the first location's"
    )
    parser.add_argument("--state-directory", type=Path, help="where unfinished uploads are written down")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        run: Callable[[EncryptedObjects, argparse.Namespace], None], name: str, words: str, *takes: str
    ) -> None:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(run=run)
        for each in takes:
            added.add_argument(each, **_ARGUMENTS[each])

    reading = ("--version-id", "--seal")
    command(_put, "put", "encrypt a file and store it", "file", "name")
    command(_get, "get", "fetch an object, verify it, and only then write it", "name", "file", *reading)
    command(_ls, "ls", "list the bucket's objects", "prefix")
    command(_verify, "verify", "read an object to its end and keep nothing of it", "name", *reading)
    command(_rm, "rm", "delete an object", "name", "--version-id")
    command(_clean, "clean", "remove what killed processes left")
    return parser


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "file": {"metavar": "FILE", "help": "a file, or - for standard input or output"},
    "name": {"metavar": "NAME", "help": "the object's name"},
    "prefix": {"metavar": "PREFIX", "nargs": "?", "default": "", "help": "what the names begin with"},
    "--version-id": {"metavar": "ID", "help": "an older version"},
    "--seal": {"metavar": "SEAL", "help": "what put said: refuse any other version"},
}


if __name__ == "__main__":
    sys.exit(main())

"""Count what templates would make: ``python -m cdk_encrypted_data.quotas cdk.out``, or ``fleet-quotas cdk.out``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cdk_encrypted_data
from cdk_encrypted_data.proofs.cloudformation import assembly
from cdk_encrypted_data.quotas import limits, report
from cdk_encrypted_data.quotas.counting import count

_UNUSABLE: Final = 2
_EPILOG: Final = """\
Exit status: 0 everything fits, 1 AWS would refuse something (with --fail-on near: or little more would fit),
2 the input can't be read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.limits:
        for limit in limits.LIMITS.values():
            adjustable = "adjustable" if limit.adjustable else "fixed"
            print(f"{limit.id:29} {limit.number:>9,} {limit.name}, for each {limit.scope.value}; {adjustable}")
        return 0
    if given.path is None:
        parser.error("name the directory of a cloud assembly, such as cdk.out, or a template's file")
    try:
        numbers = limits.numbers(dict(given.limit))
    except ValueError as error:
        parser.error(str(error))
    try:
        stacks = assembly.read(given.path, account=given.account, region=given.region)
    except assembly.UnreadableError as error:
        print(f"fleet-quotas: {error}", file=sys.stderr)
        return _UNUSABLE
    counted = count(stacks, given=numbers)
    if given.format == "json":
        print(report.as_json(counted, version=cdk_encrypted_data.__version__))
    else:
        print(report.as_text(counted))
    return int(bool(counted.over or (given.fail_on == "near" and counted.near)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleet-quotas",
        description="Count what a cloud assembly or a CloudFormation template would make, against AWS's limits.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", type=Path, help="cdk.out, or a template as JSON or YAML")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--fail-on", choices=("over", "near"), default="over", help="default: over")
    parser.add_argument("--account", help="the account of stacks that don't name theirs")
    parser.add_argument("--region", help="the Region of stacks that don't name theirs")
    parser.add_argument(
        "--limit",
        metavar="ID=NUMBER",
        type=_limit,
        action="append",
        default=[],
        help="what the accounts have instead of AWS's own number; may be repeated",
    )
    parser.add_argument("--limits", action="store_true", help="list the limits and stop")
    parser.add_argument("--version", action="version", version=f"%(prog)s {cdk_encrypted_data.__version__}")
    return parser


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} isn't ID=NUMBER")
    return name, int(number)


if __name__ == "__main__":
    sys.exit(main())

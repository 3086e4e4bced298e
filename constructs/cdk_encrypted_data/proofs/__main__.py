"""Prove what templates mean: ``python -m cdk_encrypted_data.proofs cdk.out``, or ``encryption-proofs cdk.out``."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cdk_encrypted_data
from cdk_encrypted_data.proofs import report
from cdk_encrypted_data.proofs.cloudformation.assembly import UnreadableError
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.findings import Severity
from cdk_encrypted_data.proofs.proof import prove
from cdk_encrypted_data.proofs.rules import RULES

_UNUSABLE: Final = 2
_WIDEST: Final = 120
_EPILOG: Final = """\
Exit status: 0 nothing at or above --fail-on was found, 1 something was, 2 the input can't be read.
What can't be decided is listed as undecided; with --fail-on-undecided it counts as found."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 0)).columns)
    if given.explain:
        if given.explain not in RULES:
            parser.error(f"there is no rule {given.explain}; --rules lists them")
        print(report.explained(RULES[given.explain], width=width))
        return 0
    if given.rules:
        print(report.catalogue())
        return 0
    if given.path is None:
        parser.error("name the directory of a cloud assembly, such as cdk.out, or a template's file")
    try:
        assembly = Assembly.read(
            given.path, account=given.account, region=given.region, parameters=dict(given.parameter)
        )
    except UnreadableError as error:
        print(f"encryption-proofs: {error}", file=sys.stderr)
        return _UNUSABLE
    proof = prove(assembly)
    if given.format == "json":
        print(report.as_json(proof, version=cdk_encrypted_data.__version__))
    elif given.format == "sarif":
        print(report.as_sarif(proof, assembly, version=cdk_encrypted_data.__version__, base=Path.cwd()))
    else:
        print(report.as_text(proof, assembly, width=width))
    failed = proof.worst is not None and proof.worst >= Severity[given.fail_on.upper()]
    return int(failed or (given.fail_on_undecided and bool(proof.undecidable)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="encryption-proofs",
        description="Prove that data stay encrypted under the customer's keys: evaluate every policy of a cloud "
        "assembly or a CloudFormation template over every request that the policies can tell apart.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", type=Path, help="cdk.out, or a template as JSON or YAML")
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text", help="default: text")
    parser.add_argument(
        "--fail-on",
        choices=[severity.word for severity in Severity],
        default="error",
        help="the least severity that makes the exit status 1; default: error",
    )
    parser.add_argument("--fail-on-undecided", action="store_true", help="what is undecided makes it 1 too")
    parser.add_argument("--account", help="the account of stacks that don't name theirs")
    parser.add_argument("--region", help="the Region of stacks that don't name theirs")
    parser.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        type=_parameter,
        action="append",
        default=[],
        help="a template parameter's value, where the template has no default or another; may be repeated",
    )
    parser.add_argument("--rules", action="store_true", help="list the rules and stop")
    parser.add_argument("--explain", metavar="RULE", help="say what a rule claims, why, and what to do, and stop")
    parser.add_argument("--version", action="version", version=f"%(prog)s {cdk_encrypted_data.__version__}")
    return parser


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} isn't NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())

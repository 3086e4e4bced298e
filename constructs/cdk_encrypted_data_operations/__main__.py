"""The command `encrypted-data-operations`: one sub-command for each thing that operators do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cdk_encrypted_data_operations.commands import off_board, promote, replicate_existing
from cdk_encrypted_data_operations.errors import OperationsError

_COMMANDS = (off_board, promote, replicate_existing)
_INTERRUPTED = 130
_EPILOG = """\
Exit status: 0 it is as it was to be, or nothing stands against it (--dry-run); 1 refused, nothing was changed;
2 the command makes no sense; 3 something was begun and isn't known to have ended well: run it again;
130 interrupted. Credentials and configuration are found as by the AWS CLI."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="encrypted-data-operations",
        description="Operate keys and buckets that the constructs of cdk_encrypted_data have made.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for each in _COMMANDS:
        each.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except OperationsError as problem:
        print(f"encrypted-data-operations: {problem}", file=sys.stderr)
        return problem.exit_status
    except KeyboardInterrupt:
        print("encrypted-data-operations: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main())

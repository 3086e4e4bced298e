"""Start MiniStack with the patches: ``python -m devtools.embedded_aws.adapter``, run by ``server.EmbeddedAws``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
from pathlib import Path

from . import pins


def main() -> None:
    """Check, patch, serve; stop when standard input ends, as it does when the parent is gone, however it went."""
    options = _options()
    try:
        pins.check_version()
        from . import (  # noqa: PLC0415
            access_points,
            authorization,
            buckets,
            cloudformation,
            connection,
            functions,
            jobs,
            kms,
            multi_region_keys,
            replication,
            s3_encryption,
            topics,
            weak_references,
        )

        # In this order: refusing comes last, around every handler.
        modules = (
            connection,
            authorization,
            kms,
            multi_region_keys,
            s3_encryption,
            replication,
            buckets,
            access_points,
            topics,
            weak_references,
            functions,
            jobs,
            cloudformation,
        )
        pins.check_names(modules)
    except (pins.Unusable, ImportError, AttributeError) as problem:
        sys.exit(f"embedded AWS: {problem}")
    patches = [patch for module in modules for patch in module.PATCHES]
    unknown = set(options.without) - {patch.__name__ for patch in patches}
    if unknown:
        sys.exit(f"embedded AWS: no such patch: {', '.join(sorted(unknown))}")
    for patch in patches:
        if patch.__name__ not in options.without:
            patch()

    threading.Thread(target=_end_with_the_parent, args=(options.remove,), daemon=True).start()
    from ministack.app import app  # noqa: PLC0415

    connection.serve(
        app, https_socket=options.https_socket, http_socket=options.http_socket, certificate=options.certificate
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--https-socket", type=int, required=True, help="file descriptor of a bound socket")
    parser.add_argument("--http-socket", type=int, required=True, help="file descriptor of a bound socket")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file with key and chain")
    parser.add_argument("--remove", type=Path, help="directory to remove at the end")
    parser.add_argument("--without", action="append", default=[], help="leave this patch out, to see its test fail")
    return parser.parse_args()


def _end_with_the_parent(directory: Path | None) -> None:
    """End at once when standard input does: everything is in memory, there is nothing to finish."""
    sys.stdin.buffer.read()
    if directory:
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


main()

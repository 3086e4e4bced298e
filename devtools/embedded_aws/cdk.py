"""The real CDK CLI against the embedded AWS."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devtools.embedded_aws.server import EmbeddedAws

_PROJECT = Path(__file__).resolve().parents[2]


class CdkError(RuntimeError):
    """The CLI ended with an error; the message is what it wrote."""


def run_cdk(
    aws: EmbeddedAws,
    *arguments: str,
    app: str | Path,
    directory: Path = _PROJECT,
    region: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run ``cdk <arguments> --app <app>`` in ``directory``, which an ``app`` that is a command starts from.

    An ``app`` that is a folder is an assembly made before, which saves the synth. Returns what the CLI wrote.

    Raises:
        CdkError: it ended with an error.
    """
    # Node comes with the virtual environment, the CLI with node_modules: whatever else is installed doesn't matter.
    tools = [str(Path(sys.executable).parent), str(_PROJECT / "node_modules" / ".bin")]
    settings = aws.environment(region=region)
    settings["PATH"] = os.pathsep.join([*tools, settings.get("PATH", os.defpath)])
    settings |= environment or {}
    with subprocess.Popen(  # noqa: S603 - our own command
        [_PROJECT / "node_modules" / ".bin" / "cdk", *arguments, "--app", str(app), "--no-notices", "--no-color"],
        cwd=directory,
        env=settings,
        # Away from the terminal's Ctrl-C: this process decides when it stops.
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            # With all its children, the app's Node among them: they would go on without it and write more files.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise CdkError(f"cdk {' '.join(arguments)}\n{output}")
    return output

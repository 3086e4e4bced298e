"""`make demo` tells the truth by its exit status, and leaves nothing behind however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from devtools import demo, deployment, promises
from devtools.embedded_aws.cdk import CdkError
from devtools.embedded_aws.server import EmbeddedAws, EmbeddedAwsError
from devtools.promises import Attempt, Result

_PROJECT = Path(__file__).resolve().parents[2]
_SECONDS_TO_STOP = 10


class _Demo(NamedTuple):
    """A running demo, in a session of its own as in a terminal, and the folder for its temporary files."""

    process: subprocess.Popen[str]
    files: Path

    def output_up_to(self, text: str) -> str:
        """Wait until it writes a line with this text."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if text in line:
                return "".join(lines)
        pytest.fail("it ended before: " + "".join(lines))

    def rest(self) -> str:
        """Wait until it ends."""
        return self.process.communicate(timeout=120)[0]

    def left_behind(self) -> list[str]:
        """Return the files and processes that are left of it."""
        return [*map(str, self.files.iterdir()), *_processes_with(f"TMPDIR={self.files}")]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[_Demo]:
    with subprocess.Popen(
        [sys.executable, "-m", "devtools.demo"],
        cwd=_PROJECT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        yield _Demo(process, tmp_path)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.deploy
def test_it_shows_every_promise_kept_and_leaves_nothing_behind(running: _Demo) -> None:
    own_assembly = _modified(_PROJECT / "cdk.out")
    shown = running.rest()
    assert running.process.returncode == 0, shown
    for step in ("cdk bootstrap", "cdk deploy --all", "cdk deploy --all, once more", "try the promises of Data"):
        assert re.search(rf"^  {step} +\d+\.\d s$", shown, re.MULTILINE), step
    rows = re.findall(r"^│ (.*?) *│ (.*?) *│ (.*?) *│ (.*?) *│ kept │$", shown, re.MULTILINE)
    tried = {what: (request, expected, happened) for what, request, expected, happened in rows}
    assert len(rows) > 25
    assert tried["upload over TLS 1.1"][1:] == ("refused", "refused")
    assert tried["read with the reader's policy"] == ("GetObject", "read: data", "read: data")
    assert tried["public access"] == ("GetPublicAccessBlock", "4 of 4 closed", "4 of 4 closed")
    assert "BROKEN" not in shown
    assert shown.endswith("A second deploy changes nothing.\nEvery promise was kept, on the embedded AWS.\n")
    assert running.left_behind() == []
    assert _modified(_PROJECT / "cdk.out") == own_assembly


@pytest.mark.deploy
@pytest.mark.parametrize("reaches", ["the whole terminal", "the demo alone"])
def test_ctrl_c_ends_it_and_the_cdk_cli_at_once(running: _Demo, reaches: str) -> None:
    running.output_up_to("An embedded AWS answers")
    # The CLI runs the app and the app runs Node: none of them may stay.
    assert _within_seconds(30, lambda: any("jsii-runtime" in each for each in running.left_behind()))
    stopped = time.monotonic()
    if reaches == "the whole terminal":
        os.killpg(running.process.pid, signal.SIGINT)
    else:
        running.process.send_signal(signal.SIGINT)
    shown = running.rest()
    assert running.process.returncode == 130, shown
    assert time.monotonic() - stopped < _SECONDS_TO_STOP
    assert shown.strip() == "stopped; the embedded AWS is gone and left nothing behind"
    assert running.left_behind() == []


class _Outcome(NamedTuple):
    """What a demo without an AWS finds out."""

    kept: int = 2
    broken: int = 0
    second_deploy: str = "EncryptedData: (no changes)"


@pytest.mark.parametrize(
    ("outcome", "status", "said"),
    [
        (_Outcome(), 0, "Every promise was kept, on the embedded AWS."),
        (_Outcome(broken=1), 1, "1 promises broken"),
        (_Outcome(kept=0, broken=3), 1, "3 promises broken"),
        (_Outcome(second_deploy="[~] AWS::KMS::Key [/Data]"), 1, "something:\n[~] AWS::KMS::Key [/Data]\n1 promises"),
        (_Outcome(broken=1, second_deploy="changed"), 1, "2 promises broken"),
    ],
)
def test_the_exit_status_says_whether_every_promise_was_kept(
    outcome: _Outcome, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _without_aws(monkeypatch, run_cdk=lambda *_, **__: outcome.second_deploy, outcome=outcome)
    assert demo.main() == status
    shown = capsys.readouterr().out
    assert said in shown
    assert shown.count("│ kept ") == outcome.kept
    assert shown.count("│ BROKEN │") == outcome.broken


@pytest.mark.parametrize(
    "error", [CdkError("cdk deploy\n[red] [/data]"), EmbeddedAwsError("no MiniStack at [/nowhere]")]
)
def test_what_stops_it_is_said_as_it_is(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    _without_aws(monkeypatch, run_cdk=fail, outcome=_Outcome())
    assert demo.main() == 1
    assert str(error) in capsys.readouterr().out


def _without_aws(monkeypatch: pytest.MonkeyPatch, *, run_cdk: Callable[..., str], outcome: _Outcome) -> None:
    def result(*, kept: bool) -> Result:
        attempt = Attempt(what="upload", request="PutObject", expected="refused", run=str)
        return Result(attempt=attempt, happened="refused" if kept else "stored [/data]")

    def try_all(_target: object) -> Iterator[Result]:
        yield from [result(kept=True)] * outcome.kept + [result(kept=False)] * outcome.broken

    class NoAws(EmbeddedAws):
        def __enter__(self) -> Any:  # noqa: ANN401 - the same type as the real one's
            return self

    def target_of(*_: object) -> None:
        return None

    # What the demo changes for its own process is put back afterwards.
    monkeypatch.setenv("TMPDIR", os.environ.get("TMPDIR", ""))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(demo, "EmbeddedAws", NoAws)
    monkeypatch.setattr(demo, "run_cdk", run_cdk)
    monkeypatch.setattr(deployment, "target_of", target_of)
    monkeypatch.setattr(promises, "try_all", try_all)


def _processes_with(variable: str) -> list[str]:
    """Return the commands of the processes whose environment has a variable that begins so."""
    if not Path("/proc/self/environ").exists():
        shown = subprocess.run(["ps", "-axEww", "-o", "command="], capture_output=True, text=True, check=True)  # noqa: S607
        return [line for line in shown.stdout.splitlines() if variable in line]
    processes = Path("/proc").glob("[0-9]*")
    return [command for each in processes if (command := _command_if(each, variable.encode()))]


def _command_if(process: Path, variable: bytes) -> str | None:
    with contextlib.suppress(OSError):  # it has ended, or is somebody else's
        if any(each.startswith(variable) for each in (process / "environ").read_bytes().split(b"\0")):
            return (process / "cmdline").read_text().replace("\0", " ")
    return None


def _modified(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mtime_ns for each in folder.glob("*")}


def _within_seconds(seconds: float, condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True

"""`make demo` tells the truth by its exit status, and leaves nothing behind however it ends."""

from __future__ import annotations

import contextlib
import functools
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

from devtools import demo, stage
from devtools.attempts import Attempt, try_each
from devtools.embedded_aws.cdk import CdkError
from devtools.embedded_aws.server import EmbeddedAws, EmbeddedAwsError
from devtools.stage import Chapter, Section, Stage

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
        [sys.executable, "-m", "devtools.demo", "buckets"],
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
    assert tried["deploy once more"] == ("cdk deploy --all", "no changes", "no changes")
    assert "BROKEN" not in shown
    assert shown.endswith("\nEvery promise was kept, on the embedded AWS.\n")
    assert running.left_behind() == []
    assert _modified(_PROJECT / "cdk.out") == own_assembly


@pytest.mark.deploy
@pytest.mark.parametrize("reaches", ["the whole terminal", "the demo alone"])
def test_ctrl_c_ends_it_and_the_cdk_cli_at_once(running: _Demo, reaches: str) -> None:
    running.output_up_to("an embedded AWS answers")
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


@pytest.mark.parametrize(
    ("chapters", "status", "said"),
    [
        ([], 0, "Every promise was kept, on the embedded AWS."),
        (["good"], 0, "Every promise was kept, on the embedded AWS."),
        (["bad"], 1, "2 promises broken"),
        (["bad", "worse"], 1, "5 promises broken"),
        (["worse", "good", "good"], 1, "3 promises broken"),
    ],
)
def test_the_exit_status_says_whether_every_promise_was_kept(
    chapters: list[str],
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcomes = {"good": (2, 0), "bad": (1, 2), "worse": (0, 3)}
    shown_by_default = {name: _chapter(*outcomes[name]) for name in chapters or ["good"]}
    _without_aws(monkeypatch, shown_by_default)
    assert demo.main(chapters) == status
    shown = capsys.readouterr().out
    assert said in shown
    assert shown.count("│ kept ") == sum(outcomes[name][0] for name in chapters or ["good"])
    assert shown.count("│ BROKEN │") == sum(outcomes[name][1] for name in chapters or ["good"])
    assert re.findall(r"^(\w+): an embedded AWS answers", shown, re.MULTILINE) == (chapters or ["good"])


def test_an_unknown_chapter_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        demo.main(["Buckets"])
    assert refused.value.code == 2
    assert f"CHAPTER is 'Buckets'; allowed: {', '.join(demo.CHAPTERS)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["EncryptedData (no changes)"], "no changes"),
        (["Orders-eu-west-1 (no changes)", "Orders-eu-central-1 (no changes)"], "no changes"),
        (["Orders-eu-west-1 (no changes)", "Orders-eu-central-1"], "changed: Orders-eu-central-1"),
        (["EncryptedData"], "changed: EncryptedData"),
        ([], "no stack was deployed: cdk says"),
    ],
)
def test_what_a_deployment_changed(written: list[str], said: str) -> None:
    output = "".join(f"\n ✅  {each}\n\n✨  Deployment time: 0.1s\n" for each in written)
    assert stage.changes(f"cdk says{output}") == said


@pytest.mark.parametrize(
    "error", [CdkError("cdk deploy\n[red] [/data]"), EmbeddedAwsError("no MiniStack at [/nowhere]")]
)
def test_what_stops_it_is_said_as_it_is(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_stage: Stage) -> Iterator[Section]:
        raise error

    _without_aws(monkeypatch, {"failing": fail})
    assert demo.main([]) == 1
    assert str(error) in capsys.readouterr().out


def test_it_starts_no_node() -> None:
    # Ctrl-C in a terminal would hit it, and it would write a traceback over what the demo says.
    program = "import sys, devtools.demo; sys.exit(bool({'aws_cdk', 'constructs', 'jsii'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], cwd=_PROJECT, check=True)


def _chapter(kept: int, broken: int) -> Chapter:
    def show(_stage: Stage) -> Iterator[Section]:
        attempts = [
            Attempt(what="upload", request="PutObject", expected="refused", run=functools.partial(str, happened))
            for happened in ["refused"] * kept + ["stored [/data]"] * broken
        ]
        yield Section(title="one by one", results=[])
        yield Section(title="all", results=list(try_each(attempts)))

    return show


def _without_aws(monkeypatch: pytest.MonkeyPatch, chapters: dict[str, Chapter]) -> None:
    class NoAws(EmbeddedAws):
        def __enter__(self) -> Any:  # noqa: ANN401 - the same type as the real one's
            return self

        @property
        def endpoint_url(self) -> str:
            return "https://nowhere"

    # What the demo changes for its own process is put back afterwards.
    monkeypatch.setenv("TMPDIR", os.environ.get("TMPDIR", ""))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(demo, "EmbeddedAws", NoAws)
    monkeypatch.setattr(demo, "CHAPTERS", chapters)


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

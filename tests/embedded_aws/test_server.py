"""Contract: the embedded AWS comes up, keeps to itself, and is gone afterwards, however its program ends."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from devtools.embedded_aws.server import EmbeddedAws, EmbeddedAwsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.embedded_aws.account import Account

_PROGRAM = """
import sys, time
from devtools.embedded_aws.server import EmbeddedAws
with EmbeddedAws() as aws:
    print(aws.endpoint_url, aws.log.parent, flush=True)
    {then}
"""


def test_afterwards_nothing_is_left() -> None:
    with EmbeddedAws() as aws:
        url, directory = aws.endpoint_url, aws.log.parent
        assert _answers(url)
    assert not _answers(url)
    assert not directory.exists()


def test_an_exception_ends_it() -> None:
    aws = EmbeddedAws()
    with contextlib.suppress(ZeroDivisionError), aws:
        url = aws.endpoint_url
        raise ZeroDivisionError
    assert not _answers(aws.endpoint_url)
    assert url == aws.endpoint_url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_the_program_ends_it(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(then="time.sleep(60)")],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as program:
        assert program.stdout is not None
        url, directory = program.stdout.readline().split()
        assert _answers(url)
        program.send_signal(number)
        assert program.wait(20) != 0
    assert _within_seconds(10, lambda: not _answers(url) and not Path(directory).exists())


def test_two_at_once_have_nothing_in_common(account: Account) -> None:
    bucket = account.bucket()
    with EmbeddedAws(account_id="444455556666") as other:
        assert other.client("sts").get_caller_identity()["Account"] == "444455556666"
        assert bucket not in [each["Name"] for each in other.client("s3").list_buckets()["Buckets"]]


def test_the_users_own_aws_settings_are_left_out(embedded_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://example.com")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "users")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "users")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with EmbeddedAws() as aws:
        assert aws.client("sts").get_caller_identity()["Account"] == aws.account_id
    environment = embedded_aws.environment()
    assert {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"}.isdisjoint(environment)
    assert environment["AWS_ACCESS_KEY_ID"] == embedded_aws.account_id
    assert "127.0.0.1" in environment["NO_PROXY"]


def test_a_directory_of_ones_own_is_kept(tmp_path: Path) -> None:
    with EmbeddedAws(directory=tmp_path) as aws:
        assert aws.log.parent == tmp_path
    assert "Ready" in aws.log.read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"python": Path("/nowhere/python")}, "no MiniStack at /nowhere/python: run `make install`"),
        ({"python": Path(sys.executable)}, "embedded AWS: MiniStack isn't installed here"),
        ({"without": ["nothing"]}, "embedded AWS: no such patch: nothing"),
    ],
)
def test_what_keeps_it_from_starting_is_said(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EmbeddedAwsError) as refusal, EmbeddedAws(**options):
        pass
    assert sentence in str(refusal.value)


def test_an_account_has_twelve_digits() -> None:
    with pytest.raises(ValueError, match="'123' isn't twelve digits"):
        EmbeddedAws(account_id="123")


def _answers(url: str) -> bool:
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    try:
        socket.create_connection((where.hostname, where.port), timeout=5).close()
    except OSError:
        return False
    return True


def _within_seconds(seconds: float, condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True

"""S3's answer to a put is lost, or never comes: what the client says of the object is so, stored or not."""

from __future__ import annotations

import logging
import os
import pickle
import re
import ssl
from collections.abc import Callable

import pytest
from botocore import exceptions as boto
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.httpsession import URLLib3Session

import cdk_encrypted_data_client.__main__ as command
from cdk_encrypted_data_client import (
    EncryptedObjects,
    ObjectNotFoundError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
)
from tests.client.conftest import HOME, Faults, Pair, kms_status, status

_PART = 8 * 2**20
_URL = {"endpoint_url": "https://s3.eu-central-1.amazonaws.com"}
_LOST = {
    "connection closed": boto.ConnectionClosedError(**_URL),
    "no answer in time": boto.ReadTimeoutError(**_URL),
}
_MAKING = {"one request": "PutObject", "parts": "CompleteMultipartUpload"}
_SIZES = {"one request": 1000, "parts": 3 * _PART}

Ending = Callable[[], AWSResponse] | BaseException


class Line:
    """The line to S3, which carries the request that makes the object, and what ends there."""

    def __init__(self, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
        self._endings: list[tuple[bool, Ending]] = []
        self._faults = faults
        self._send = URLLib3Session.send
        monkeypatch.setattr(URLLib3Session, "send", lambda *sent: self._carry(*sent))  # noqa: PLW0108 - a bound method gets no session

    def ends(self, ending: Ending, *, stored: bool) -> None:
        """Let the next of those requests end like this, after it arrived or before."""
        self._endings.append((stored, ending))

    def _carry(self, session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        operations = [operation for _, _, operation in self._faults.requests]
        if not self._endings or operations[-1] not in _MAKING.values():
            return self._send(session, request)
        stored, ending = self._endings.pop(0)
        if stored:
            assert self._send(session, request).status_code == 200
        if isinstance(ending, BaseException):
            raise ending
        return ending()


@pytest.fixture
def line(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(faults, monkeypatch)


@pytest.fixture
def objects(pair: Pair) -> EncryptedObjects:
    return pair.objects()


@pytest.fixture(params=_MAKING)
def how(request: pytest.FixtureRequest) -> str:
    """In one request, or in parts."""
    return str(request.param)


def _fail(faults: Faults, operation: str, code: int, error: str) -> None:
    faults.fail("s3", HOME, lambda: status(code, error)() if faults.requests[-1][2] == operation else None)


def _looks(faults: Faults) -> int:
    return [operation for _, _, operation in faults.requests].count("HeadObject")


def _nothing_is_left(pair: Pair) -> bool:
    return pair.uploads() == [] and list((pair.files / "state").iterdir()) == []


@pytest.mark.parametrize(
    "ending", [*_LOST.values(), status(500, "InternalError")], ids=[*_LOST, "answered with an error"]
)
def test_what_is_stored_is_said_to_be_stored(  # noqa: PLR0917
    objects: EncryptedObjects,
    line: Line,
    faults: Faults,
    pair: Pair,
    how: str,
    ending: Ending,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = os.urandom(_SIZES[how])
    steps: list[int] = []
    line.ends(ending, stored=True)
    put = objects.put(name="n", data=data, progress=steps.append)
    assert _looks(faults) == 1
    assert sum(steps) == put.size == len(data)
    got = objects.get(name="n", version_id=put.version_id, seal=put.seal)
    assert got.data == data
    assert got.version_id == put.version_id
    assert _nothing_is_left(pair)
    (said,) = caplog.records
    assert "it is stored all the same" in said.getMessage()


@pytest.mark.parametrize("ending", _LOST.values(), ids=_LOST)
def test_what_may_be_under_way_isnt_said_not_to_be_stored(
    objects: EncryptedObjects, line: Line, pair: Pair, ending: Ending
) -> None:
    line.ends(ending, stored=False)
    with pytest.raises(
        OutcomeUnknownError, match=r"n: eu-central-1 failed .* whether it is stored isn't known: it wasn't there"
    ) as raised:
        objects.put(name="n", data=b"data")
    with pytest.raises(ObjectNotFoundError):
        objects.verify(name="n", seal=raised.value.seal)
    assert _nothing_is_left(pair)


def test_parts_that_were_aborted_cant_be_made_an_object_any_more(
    objects: EncryptedObjects, line: Line, pair: Pair
) -> None:
    line.ends(boto.ReadTimeoutError(**_URL), stored=False)
    with pytest.raises(UnavailableError) as raised:
        objects.put(name="n", data=bytes(3 * _PART))
    assert type(raised.value) is UnavailableError
    assert list(objects.list()) == []
    assert _nothing_is_left(pair)


def test_what_s3_answered_with_an_error_and_isnt_there_isnt_stored(
    objects: EncryptedObjects, line: Line, pair: Pair, how: str
) -> None:
    line.ends(status(503, "SlowDown"), stored=False)
    with pytest.raises(UnavailableError) as raised:
        objects.put(name="n", data=bytes(_SIZES[how]))
    assert type(raised.value) is UnavailableError
    assert _nothing_is_left(pair)


@pytest.mark.parametrize(
    "answer", [(503, "ServiceUnavailable"), (403, "AccessDenied")], ids=["no answer", "no right to look"]
)
def test_what_cant_be_looked_at_isnt_known_and_can_be_seen_later(  # noqa: PLR0917
    objects: EncryptedObjects, line: Line, faults: Faults, how: str, pair: Pair, answer: tuple[int, str]
) -> None:
    _fail(faults, "HeadObject", *answer)
    line.ends(boto.ConnectionClosedError(**_URL), stored=True)
    with pytest.raises(OutcomeUnknownError, match="whether it is stored isn't known: looking failed") as raised:
        objects.put(name="n", data=bytes(_SIZES[how]))
    assert f"verify and the seal {raised.value.seal}" in str(raised.value)
    faults.end()
    assert objects.verify(name="n", seal=raised.value.seal).size == _SIZES[how]
    assert _nothing_is_left(pair)


def test_another_object_under_the_name_isnt_taken_for_it(objects: EncryptedObjects, line: Line) -> None:
    before = objects.put(name="n", data=b"data")
    line.ends(boto.ConnectionClosedError(**_URL), stored=False)
    with pytest.raises(OutcomeUnknownError, match=f"another lies there, sealed {re.escape(before.seal)}"):
        objects.put(name="n", data=b"data")


def test_nor_is_one_that_isnt_encrypted(objects: EncryptedObjects, line: Line, pair: Pair) -> None:
    pair.store("100%", b"data", {})
    line.ends(boto.ConnectionClosedError(**_URL), stored=False)
    with pytest.raises(OutcomeUnknownError, match="another lies there, sealed by nobody"):
        objects.put(name="100%", data=b"data")


@pytest.mark.parametrize(
    "ending",
    [
        boto.EndpointConnectionError(**_URL),
        boto.ConnectTimeoutError(**_URL),
        boto.ProxyConnectionError(proxy_url="http://127.0.0.1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_never_reached_s3_isnt_looked_for(  # noqa: PLR0917
    objects: EncryptedObjects, line: Line, faults: Faults, pair: Pair, ending: Ending, how: str
) -> None:
    line.ends(ending, stored=False)
    with pytest.raises(UnavailableError) as raised:
        objects.put(name="n", data=bytes(_SIZES[how]))
    assert type(raised.value) is UnavailableError
    assert _looks(faults) == 0
    assert _nothing_is_left(pair)


def test_nor_what_went_to_somebody_whose_certificate_doesnt_convince(
    objects: EncryptedObjects, line: Line, faults: Faults
) -> None:
    line.ends(boto.SSLError(**_URL, error=OSError(ssl.SSLCertVerificationError())), stored=False)
    with pytest.raises(RefusedError):
        objects.put(name="n", data=b"data")
    assert _looks(faults) == 0


def test_nor_what_s3_or_kms_refused(objects: EncryptedObjects, line: Line, faults: Faults) -> None:
    line.ends(status(403, "AccessDenied"), stored=False)
    with pytest.raises(RefusedError):
        objects.put(name="n", data=b"data")
    # What is known of an earlier put in this thread says nothing of this one.
    objects.put(name="n", data=b"data")
    faults.fail("kms", HOME, kms_status(500, "KMSInternalException"))
    with pytest.raises(UnavailableError) as raised:
        objects.put(name="n", data=b"data")
    assert type(raised.value) is UnavailableError
    assert _looks(faults) == 0


@pytest.mark.parametrize(
    "last",
    [boto.EndpointConnectionError(**_URL), status(403, "ExpiredToken"), status(404, "NoSuchUpload")],
    ids=["no connection", "refused", "gone"],
)
def test_the_first_of_several_attempts_may_have_stored_it(
    pair: Pair, line: Line, last: Ending, how: str, faults: Faults
) -> None:
    line.ends(boto.ReadTimeoutError(**_URL), stored=True)
    line.ends(last, stored=False)
    config = Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 2})
    data = os.urandom(_SIZES[how])
    put = pair.objects(config=config).put(name="n", data=data)
    assert pair.objects().get(name="n", version_id=put.version_id, seal=put.seal).data == data
    assert _looks(faults) == 1


def test_an_attempt_that_is_answered_after_one_that_wasnt_is_the_answer(pair: Pair, line: Line, faults: Faults) -> None:
    line.ends(boto.ReadTimeoutError(**_URL), stored=True)
    config = Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 2})
    put = pair.objects(config=config).put(name="n", data=b"data")
    assert _looks(faults) == 0
    assert pair.objects().verify(name="n", seal=put.seal).version_id == put.version_id


def test_an_upload_that_couldnt_be_aborted_either_is_said_and_aborted_later(
    objects: EncryptedObjects, line: Line, faults: Faults, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    _fail(faults, "AbortMultipartUpload", 503, "ServiceUnavailable")
    line.ends(boto.ReadTimeoutError(**_URL), stored=False)
    with pytest.raises(OutcomeUnknownError, match="it wasn't there"):
        objects.put(name="n", data=bytes(3 * _PART))
    assert pair.uploads() == ["n"]
    assert "the upload is left; the next put in parts or clean aborts it" in caplog.text
    faults.end()
    assert objects.clean() == 1
    assert _nothing_is_left(pair)


def test_the_error_goes_whole_from_one_process_to_another() -> None:
    error = pickle.loads(pickle.dumps(OutcomeUnknownError("n: failed", seal="its seal")))  # noqa: S301 - ours
    assert (type(error), str(error), error.seal) == (OutcomeUnknownError, "n: failed", "its seal")


# Ctrl-C


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
def test_interrupted_it_says_what_is_known(  # noqa: PLR0917
    objects: EncryptedObjects,
    line: Line,
    pair: Pair,
    how: str,
    stored: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    line.ends(KeyboardInterrupt(), stored=stored)
    with pytest.raises(KeyboardInterrupt):
        objects.put(name="n", data=bytes(_SIZES[how]))
    said = [each.getMessage() for each in caplog.records]
    if stored:
        assert len(said) == 1
        assert "it is stored all the same" in said[0]
        assert [each.name for each in objects.list()] == ["n"]
    elif how == "parts":
        assert said == []  # aborted, and not there
    else:
        assert len(said) == 1
        assert "whether it is stored isn't known: it wasn't there" in said[0]
    assert _nothing_is_left(pair)


def test_interrupted_twice_it_says_so_too(
    objects: EncryptedObjects, line: Line, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt() -> AWSResponse | None:
        if faults.requests[-1][2] == "HeadObject":
            raise KeyboardInterrupt
        return None

    faults.fail("s3", HOME, interrupt)
    line.ends(KeyboardInterrupt(), stored=True)
    with pytest.raises(KeyboardInterrupt):
        objects.put(name="n", data=b"data")
    (said,) = caplog.records
    assert "whether it is stored isn't known: looking was interrupted" in said.getMessage()


def test_an_error_of_the_program_goes_through_and_what_is_stored_is_said(
    objects: EncryptedObjects, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line.ends(SystemExit(7), stored=True)
    with pytest.raises(SystemExit) as raised:
        objects.put(name="n", data=b"data")
    assert raised.value.code == 7
    assert "it is stored all the same" in caplog.text


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
def test_the_command_interrupted_says_what_is_known(  # noqa: PLR0917
    pair: Pair,
    line: Line,
    stored: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "EncryptedObjects", lambda **options: pair.objects(purpose=options["purpose"]))
    (pair.files / "source").write_bytes(b"data")
    line.ends(KeyboardInterrupt(), stored=stored)
    with caplog.at_level(logging.WARNING):
        assert command.main([*pair.command(), "put", str(pair.files / "source"), "n"]) == 130
    assert capsys.readouterr().err == "interrupted; nothing is left of it but what was said before\n"
    assert ("it is stored all the same" if stored else "whether it is stored isn't known") in caplog.text


def test_the_command_says_what_isnt_known(
    pair: Pair, line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "EncryptedObjects", lambda **options: pair.objects(purpose=options["purpose"]))
    (pair.files / "source").write_bytes(b"data")
    line.ends(boto.ReadTimeoutError(**_URL), stored=False)
    assert command.main([*pair.command(), "put", str(pair.files / "source"), "n"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("encrypted-data: n: eu-central-1 failed (ReadTimeoutError")
    assert "whether it is stored isn't known" in said

"""Reads go to the other Region when S3 or KMS of the first fails, and say so; never past an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse

from cdk_encrypted_data_client import (
    EncryptedDataError,
    EncryptedObjects,
    ObjectNotFoundError,
    RefusedError,
    SettingsError,
    TamperedError,
    UnavailableError,
)
from cdk_encrypted_data_client import failover as module
from tests.client.conftest import HOME, OTHER, Faults, Pair, kms_status, status, stored

_Fault = Callable[[], AWSResponse]


def _raising(error: Exception) -> _Fault:
    def fail() -> AWSResponse:
        raise error

    return fail


_URL = {"endpoint_url": "https://s3.eu-central-1.amazonaws.com"}
_S3_OUTAGES = {
    "no connection": _raising(boto.EndpointConnectionError(**_URL)),
    "no connection in time": _raising(boto.ConnectTimeoutError(**_URL)),
    "no answer in time": _raising(boto.ReadTimeoutError(**_URL)),
    "connection closed": _raising(boto.ConnectionClosedError(**_URL)),
    "500": status(500, "InternalError"),
    "503": status(503, "ServiceUnavailable"),
    "throttled": status(503, "SlowDown"),
}
_KMS_OUTAGES = {
    "no connection": _raising(boto.EndpointConnectionError(**_URL)),
    "internal": kms_status(500, "KMSInternalException"),
    "unavailable": kms_status(500, "KeyUnavailableException"),
    "dependency": kms_status(400, "DependencyTimeoutException"),
    "throttled": kms_status(400, "ThrottlingException"),
}
_S3_ANSWERS: dict[str, tuple[_Fault, type[EncryptedDataError]]] = {
    "denied": (status(403, "AccessDenied"), RefusedError),
    "unknown credentials": (status(403, "InvalidAccessKeyId"), RefusedError),
    "absent": (status(404, "NoSuchKey"), ObjectNotFoundError),
    "no bucket": (status(404, "NoSuchBucket"), RefusedError),
    "archived": (status(403, "InvalidObjectState"), RefusedError),
    "a certificate that doesn't convince": (_raising(boto.SSLError(**_URL, error=OSError())), RefusedError),
    "no credentials": (_raising(boto.NoCredentialsError()), SettingsError),
}
_KMS_ANSWERS: dict[str, tuple[_Fault, type[EncryptedDataError]]] = {
    "denied": (kms_status(400, "AccessDeniedException"), RefusedError),
    "disabled": (kms_status(400, "DisabledException"), RefusedError),
    "to be deleted": (kms_status(400, "KMSInvalidStateException"), RefusedError),
    "absent": (kms_status(400, "NotFoundException"), RefusedError),
    "not its ciphertext": (kms_status(400, "InvalidCiphertextException"), TamperedError),
    "another key's": (kms_status(400, "IncorrectKeyException"), TamperedError),
}


@pytest.fixture
def objects(pair: Pair, faults: Faults) -> EncryptedObjects:
    """A client whose requests can be made to fail, and an object that has been replicated."""
    objects = pair.objects()
    objects.put(name="n", data=b"data")
    pair.replicate("n")
    faults.requests.clear()
    return objects


def test_home_is_asked_and_nobody_else(
    objects: EncryptedObjects, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    assert objects.get(name="n").region == HOME
    assert {region for _service, region, _operation in faults.requests} == {HOME}
    assert caplog.records == []


@pytest.mark.parametrize(
    ("service", "fault"),
    [*(("s3", fault) for fault in _S3_OUTAGES.values()), *(("kms", fault) for fault in _KMS_OUTAGES.values())],
    ids=[f"S3: {name}" for name in _S3_OUTAGES] + [f"KMS: {name}" for name in _KMS_OUTAGES],
)
def test_an_outage_is_passed_over_and_said(
    objects: EncryptedObjects, faults: Faults, service: str, fault: _Fault, caplog: pytest.LogCaptureFixture
) -> None:
    faults.fail(service, HOME, fault)
    got = objects.get(name="n")
    assert (got.data, got.region) == (b"data", OTHER)
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert f"read from {OTHER} instead of {HOME}" in said.getMessage()


@pytest.mark.parametrize(
    ("service", "fault", "error"),
    [*(("s3", *answer) for answer in _S3_ANSWERS.values()), *(("kms", *answer) for answer in _KMS_ANSWERS.values())],
    ids=[f"S3: {name}" for name in _S3_ANSWERS] + [f"KMS: {name}" for name in _KMS_ANSWERS],
)
def test_an_answer_is_an_answer(
    objects: EncryptedObjects, faults: Faults, service: str, fault: _Fault, error: type[EncryptedDataError]
) -> None:
    faults.fail(service, HOME, fault)
    with pytest.raises(error) as raised:
        objects.get(name="n")
    assert type(raised.value) is error
    assert {region for _service, region, _operation in faults.requests} == {HOME}


def test_what_isnt_authentic_at_home_isnt_looked_for_elsewhere(
    objects: EncryptedObjects, faults: Faults, pair: Pair
) -> None:
    body, metadata = pair.stored("n")
    faults.fail("s3", HOME, stored(body[:-1] + b"\0", metadata))
    with pytest.raises(TamperedError):
        objects.get(name="n")
    assert OTHER not in {region for _service, region, _operation in faults.requests}


def test_a_region_that_failed_is_asked_last_for_a_while(
    objects: EncryptedObjects, faults: Faults, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults.fail("s3", HOME, status(503, "ServiceUnavailable"))
    objects.get(name="n")
    faults.end()
    faults.requests.clear()
    assert objects.get(name="n").region == OTHER
    assert {region for _service, region, _operation in faults.requests} == {OTHER}
    assert "it failed less than 30 s ago" in caplog.records[-1].getMessage()
    monkeypatch.setattr(module, "SECONDS_OF_REST", 0)
    assert objects.get(name="n").region == HOME


def test_elsewhere_absent_isnt_absent(objects: EncryptedObjects, faults: Faults) -> None:
    objects.put(name="new", data=b"not replicated yet")
    faults.fail("s3", HOME, status(503, "ServiceUnavailable"))
    with pytest.raises(UnavailableError, match=r"eu-west-1 \(not there, or not replicated"):
        objects.get(name="new")
    # While home rests the other Region is asked first. What isn't there may be at home.
    faults.end()
    assert objects.get(name="new").region == HOME


def test_all_regions_out(objects: EncryptedObjects, faults: Faults) -> None:
    for region in (HOME, OTHER):
        faults.fail("kms", region, kms_status(500, "KMSInternalException"))
    with pytest.raises(UnavailableError, match=r"no Region answered: eu-central-1 .*; eu-west-1 .*bucket b.*try again"):
        objects.get(name="n")


def test_a_body_that_breaks_off_is_fetched_again_and_then_elsewhere(
    objects: EncryptedObjects, faults: Faults, pair: Pair, tmp_path: Path
) -> None:
    data = bytes(3 * 2**20)
    objects.put(name="n", data=data)
    pair.replicate("n")
    body, metadata = pair.stored("n")
    answers = [stored(body[: 2 * 2**20], metadata, length=len(body))]
    faults.fail("s3", HOME, lambda: answers.pop()() if answers else None)
    steps: list[int] = []
    target = tmp_path / "n"
    assert objects.get_to_file(name="n", path=target, progress=steps.append).region == HOME
    assert target.read_bytes() == data
    assert sum(steps) == len(data)
    assert min(steps) < 0
    answers.extend([stored(body[: 2 * 2**20], metadata, length=len(body))] * 2)
    assert objects.get(name="n").region == OTHER


def test_nothing_of_a_body_that_broke_off_is_left_in_another_regions_answer(
    objects: EncryptedObjects, faults: Faults, pair: Pair, tmp_path: Path
) -> None:
    objects.put(name="n", data=b"older and shorter")
    pair.replicate("n")
    objects.put(name="n", data=bytes(3 * 2**20))
    body, metadata = pair.stored("n")
    faults.fail("s3", HOME, stored(body[: 2 * 2**20], metadata, length=len(body)))
    assert objects.get_to_file(name="n", path=tmp_path / "n").size == 17
    assert (tmp_path / "n").read_bytes() == b"older and shorter"


def test_lists_fall_over_too(objects: EncryptedObjects, faults: Faults) -> None:
    faults.fail("s3", HOME, status(503, "SlowDown"))
    assert [(each.name, each.region) for each in objects.list()] == [("n", OTHER)]


@pytest.mark.parametrize("use", ["put", "delete"])
def test_writes_never_go_elsewhere(objects: EncryptedObjects, faults: Faults, use: str) -> None:
    faults.fail("s3", HOME, status(503, "ServiceUnavailable"))
    with pytest.raises(UnavailableError, match="to write to another Region, make a client that has its home there"):
        objects.put(name="n", data=b"") if use == "put" else objects.delete(name="n")
    assert OTHER not in {region for _service, region, _operation in faults.requests}


def test_a_bucket_that_is_in_another_region_isnt_followed_there(objects: EncryptedObjects, faults: Faults) -> None:
    moved = status(301, "PermanentRedirect")()
    moved.headers["x-amz-bucket-region"] = "us-east-1"
    faults.fail("s3", HOME, lambda: moved)
    with pytest.raises(SettingsError, match="the bucket is in us-east-1; name that Region"):
        objects.get(name="n")
    assert "us-east-1" not in {region for _service, region, _operation in faults.requests}


def test_a_full_disk_is_nobodys_refusal(objects: EncryptedObjects, faults: Faults) -> None:
    def full(_count: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        objects.get(name="n", progress=full)
    assert {region for _service, region, _operation in faults.requests} == {HOME}

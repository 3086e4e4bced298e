"""Whatever is changed where it lies is refused, and not a byte of it is delivered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdk_encrypted_data_client import (
    EncryptedObjects,
    MovedObjectError,
    NotAuthenticError,
    NotEncryptedError,
    TamperedError,
    WrongPurposeError,
)
from tests.client.conftest import HOME, Faults, Pair, stored

_DATA = b"thirty-two bytes that are secret"
_Serve = Callable[[bytes, dict[str, str]], None]


@pytest.fixture
def objects(pair: Pair) -> EncryptedObjects:
    return pair.objects()


@pytest.fixture
def genuine(objects: EncryptedObjects, pair: Pair) -> tuple[bytes, dict[str, str]]:
    objects.put(name="n", data=_DATA)
    return pair.stored("n")


@pytest.fixture
def serve(faults: Faults) -> _Serve:
    """Return what makes S3 answer every GetObject with these bytes and metadata."""

    def serve(body: bytes, metadata: dict[str, str]) -> None:
        faults.end()
        faults.fail("s3", HOME, stored(body, metadata))

    return serve


def _flips(text: str) -> Iterator[str]:
    """Yield the text with each character in turn changed, by each bit that leaves it one that a header can carry."""
    for at, character in enumerate(text):
        for bit in range(7):
            changed = chr(ord(character) ^ 1 << bit)
            if changed.isprintable():
                yield text[:at] + changed + text[at + 1 :]


def test_what_is_served_unchanged_is_read(
    objects: EncryptedObjects, genuine: tuple[bytes, dict[str, str]], serve: _Serve
) -> None:
    serve(*genuine)
    assert objects.get(name="n").data == _DATA


def test_every_byte_of_the_object_flipped(
    objects: EncryptedObjects, genuine: tuple[bytes, dict[str, str]], serve: _Serve
) -> None:
    body, metadata = genuine
    assert len(body) == len(_DATA) + 16
    for at in range(len(body)):
        serve(body[:at] + bytes([body[at] ^ 1 << at % 8]) + body[at + 1 :], metadata)
        with pytest.raises(TamperedError, match="nothing of it was delivered"):
            objects.get(name="n")


def test_truncated_at_every_length_and_made_longer(
    objects: EncryptedObjects, genuine: tuple[bytes, dict[str, str]], serve: _Serve
) -> None:
    body, metadata = genuine
    for other in (*(body[:length] for length in range(len(body))), body + b"\0", body + body, b"\0" + body):
        serve(other, metadata)
        with pytest.raises(TamperedError):
            objects.get(name="n")


@pytest.mark.parametrize("name", ["x-amz-c", "x-amz-w", "x-amz-t", "x-amz-d", "x-amz-i"])
def test_every_byte_of_its_metadata_flipped_by_every_bit(
    objects: EncryptedObjects, genuine: tuple[bytes, dict[str, str]], serve: _Serve, name: str
) -> None:
    body, metadata = genuine
    for value in _flips(metadata[name]):
        serve(body, {**metadata, name: value})
        with pytest.raises(NotAuthenticError):
            objects.get(name="n")


def test_every_byte_of_its_wrapped_key_flipped_by_one_bit_of_many(
    objects: EncryptedObjects, genuine: tuple[bytes, dict[str, str]], serve: _Serve
) -> None:
    # KMS is asked for each: the lowest bit everywhere, every bit at the end, where base64 has bits to spare.
    body, metadata = genuine
    wrapped = metadata["x-amz-3"]
    lowest = [wrapped[:at] + chr(ord(wrapped[at]) ^ 1) + wrapped[at + 1 :] for at in range(len(wrapped) - 3)]
    for value in (*lowest, *(wrapped[:-3] + end for end in _flips(wrapped[-3:]))):
        serve(body, {**metadata, "x-amz-3": value})
        with pytest.raises(TamperedError):
            objects.get(name="n")


def test_metadata_taken_away_renamed_cut_off_or_added(
    objects: EncryptedObjects, genuine: tuple[bytes, dict[str, str]], serve: _Serve
) -> None:
    body, metadata = genuine
    changed = [{}, {**metadata, "x-amz-key-v2": metadata["x-amz-3"]}, {**metadata, "x-amz-m": "{}"}]
    for name, value in metadata.items():
        others = {other: metadata[other] for other in metadata if other != name}
        changed += [others, *({**others, renamed: value} for renamed in _flips(name) if renamed.lower() != name)]
        changed += [{**others, name: value[:length]} for length in range(0, len(value), 1 if len(value) < 90 else 7)]
    for other in changed:
        serve(body, other)
        with pytest.raises(NotAuthenticError):
            objects.get(name="n")


def test_parts_of_two_objects_put_together(objects: EncryptedObjects, pair: Pair, serve: _Serve) -> None:
    # Two names, and two versions of one name with the same data.
    versions = [objects.put(name=name, data=_DATA) for name in ("a", "n", "n")]
    found = [pair.stored(each.name, VersionId=str(each.version_id)) for each in versions]
    for one in range(3):
        for other in {0, 1, 2} - {one}:
            serve(found[one][0], found[other][1])
            with pytest.raises(NotAuthenticError):
                objects.get(name="n")
            for name in found[0][1].keys() - {"x-amz-c", "x-amz-w"}:
                if found[one][1][name] != found[other][1][name]:
                    serve(found[one][0], {**found[one][1], name: found[other][1][name]})
                    with pytest.raises(NotAuthenticError):
                        objects.get(name=versions[one].name)


def test_an_object_under_another_name(objects: EncryptedObjects, pair: Pair) -> None:
    objects.put(name="salaries/me", data=_DATA)
    pair.store("salaries/you", *pair.stored("salaries/me"))
    with pytest.raises(MovedObjectError, match="was put as 'salaries/me'"):
        objects.get(name="salaries/you")
    # And its encryption context changed to match: KMS knows better.
    body, metadata = pair.stored("salaries/me")
    pair.store("salaries/you", body, {**metadata, "x-amz-t": metadata["x-amz-t"].replace("/me", "/you")})
    with pytest.raises(TamperedError, match="KMS: InvalidCiphertextException"):
        objects.get(name="salaries/you")


def test_an_object_for_another_purpose(objects: EncryptedObjects, pair: Pair) -> None:
    objects.put(name="n", data=_DATA)
    with pytest.raises(WrongPurposeError, match="for the purpose 'orders', not 'payroll'"):
        pair.objects(purpose="payroll").get(name="n")
    body, metadata = pair.stored("n")
    pair.store("n", body, {**metadata, "x-amz-t": metadata["x-amz-t"].replace("orders", "payroll")})
    with pytest.raises(TamperedError):
        pair.objects(purpose="payroll").get(name="n")


def test_an_object_that_was_never_encrypted(objects: EncryptedObjects, pair: Pair) -> None:
    pair.store("n", _DATA, {})
    with pytest.raises(NotEncryptedError, match="wasn't encrypted by this client"):
        objects.get(name="n")
    # No instruction file is asked for either, where the S3 encryption client would look for the envelope.
    pair.store("n.instruction", b"{}", {"x-amz-crypto-instr-file": ""})
    with pytest.raises(NotEncryptedError):
        objects.get(name="n")


def test_an_object_of_the_same_key_in_the_older_format(objects: EncryptedObjects, serve: _Serve) -> None:
    v2 = {"x-amz-key-v2": "AA==", "x-amz-iv": "AA==", "x-amz-matdesc": "{}", "x-amz-wrap-alg": "kms+context"}
    serve(b"\0" * 48, {**v2, "x-amz-cek-alg": "AES/GCM/NoPadding"})
    with pytest.raises(NotEncryptedError):
        objects.get(name="n")


def test_a_large_object_changed_near_its_end_leaves_nothing(
    objects: EncryptedObjects, pair: Pair, serve: _Serve, tmp_path: Path
) -> None:
    data = os.urandom(9 * 2**20)
    objects.put(name="n", data=data)
    body, metadata = pair.stored("n")
    serve(body[:-20] + bytes([body[-20] ^ 1]) + body[-19:], metadata)
    target = tmp_path / "out" / "n"
    target.parent.mkdir()
    for get in (objects.get, objects.open, objects.verify):
        with pytest.raises(TamperedError):
            get(name="n")
    with pytest.raises(TamperedError):
        objects.get_to_file(name="n", path=target)
    assert list(target.parent.iterdir()) == []
    target.write_bytes(b"before")
    with pytest.raises(TamperedError):
        objects.get_to_file(name="n", path=target)
    assert [each.read_bytes() for each in target.parent.iterdir()] == [b"before"]

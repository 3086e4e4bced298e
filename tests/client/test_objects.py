"""What is put is read back, in either Region, by every way of putting and getting."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from cdk_encrypted_data_client import (
    EncryptedObjects,
    Location,
    ObjectNotFoundError,
    OtherSealError,
    RefusedError,
    SettingsError,
)
from cdk_encrypted_data_client.envelope import Envelope
from cdk_encrypted_data_client.errors import EncryptedDataError
from tests.client.conftest import HOME, OTHER, Pair

_PART = 8 * 2**20
_SIZES = [0, 1, 16, 2**20, 2**20 + 1, _PART - 1, _PART, _PART + 1, 2 * _PART, 2 * _PART + 1]


@pytest.fixture
def objects(pair: Pair) -> EncryptedObjects:
    return pair.objects()


class _Trickle(io.RawIOBase):
    """A stream that returns less than it is asked for, as a pipe does."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 3_000_001))


@pytest.mark.parametrize("size", _SIZES)
def test_every_way_in_and_every_way_out(objects: EncryptedObjects, pair: Pair, size: int) -> None:
    data, source, target = os.urandom(size), pair.files / "source", pair.files / "target"
    source.write_bytes(data)
    put = [
        objects.put(name="bytes", data=data),
        objects.put_file(name="file", path=source),
        objects.put_stream(name="stream", stream=_Trickle(data)),
    ]
    for each in put:
        assert (each.size, each.region) == (size, HOME)
        stored, metadata = pair.stored(each.name)
        assert len(stored) == size + 16
        assert metadata["x-amz-d"] == each.seal
        got = objects.get(name=each.name)
        assert got.data == data
        assert (got.seal, got.version_id, got.size) == (each.seal, each.version_id, size)
        assert objects.get_to_file(name=each.name, path=target) == each
        assert target.read_bytes() == data
        with objects.open(name=each.name) as reader:
            assert reader.read() == data
            assert reader.source == each
        assert objects.verify(name=each.name) == each
    assert pair.uploads() == []


def test_nothing_of_it_is_stored_in_the_clear(objects: EncryptedObjects, pair: Pair) -> None:
    data = b"a sentence that would be recognised" * 400_000
    objects.put(name="small", data=data[:1000])
    objects.put(name="large", data=data)
    for name in ("small", "large"):
        stored, metadata = pair.stored(name)
        assert b"sentence" not in stored
        assert set(metadata) == {f"x-amz-{letter}" for letter in "cw3tdi"}


def test_a_replica_is_read_where_it_lies(pair: Pair) -> None:
    put = pair.objects().put(name="orders/1", data=b"one")
    pair.replicate("orders/1")
    got = pair.objects(home=OTHER).get(name="orders/1", seal=put.seal)
    assert (got.data, got.region) == (b"one", OTHER)


@pytest.mark.parametrize("name", ["ä/ö ü", "100%", "%41", 'a"b\\c', "日本/" * 30, " ", "a\tb", "x" * 1024, "ü" * 170])
def test_names_of_all_kinds(objects: EncryptedObjects, name: str) -> None:
    objects.put(name=name, data=name.encode())
    assert objects.get(name=name).data == name.encode()


@pytest.mark.parametrize("name", ["", "x" * 1025, "ü" * 171, "\ud800"])
def test_names_that_have_no_room_are_refused(objects: EncryptedObjects, name: str) -> None:
    with pytest.raises(SettingsError, match="name"):
        objects.put(name=name, data=b"")
    with pytest.raises(SettingsError, match="name"):
        objects.get(name=name)


def test_a_view_of_other_items_than_bytes(objects: EncryptedObjects) -> None:
    objects.put(name="ints", data=memoryview(b"12345678").cast("I"))
    assert objects.get(name="ints").data == b"12345678"


def test_versions_and_seals(objects: EncryptedObjects) -> None:
    first, second = (objects.put(name="n", data=data) for data in (b"first", b"second"))
    assert objects.get(name="n").data == b"second"
    assert objects.get(name="n", version_id=first.version_id).data == b"first"
    assert objects.get(name="n", version_id=first.version_id, seal=first.seal).data == b"first"
    with pytest.raises(OtherSealError, match="put anew or put back"):
        objects.get(name="n", seal=first.seal)
    with pytest.raises(OtherSealError):
        objects.get(name="n", version_id=first.version_id, seal=second.seal)


def test_list_and_delete(objects: EncryptedObjects) -> None:
    for number in range(3):
        objects.put(name=f"a/{number}", data=b"x" * number)
    objects.put(name="b", data=b"")
    assert [(each.name, each.size, each.region) for each in objects.list(prefix="a/")] == [
        (f"a/{number}", number, HOME) for number in range(3)
    ]
    objects.delete(name="a/1")
    objects.delete(name="a/1")
    assert [each.name for each in objects.list()] == ["a/0", "a/2", "b"]
    with pytest.raises(ObjectNotFoundError, match="a/1: not in bucket"):
        objects.get(name="a/1")


def test_a_list_of_many_pages(objects: EncryptedObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdk_encrypted_data_client.objects._PAGE", 3)
    names = [f"{number:02}" for number in range(9)]
    for name in names:
        objects.put(name=name, data=b"")
    assert [each.name for each in objects.list()] == names


def test_deleting_a_version_is_for_ever(objects: EncryptedObjects) -> None:
    put = objects.put(name="n", data=b"x")
    objects.delete(name="n", version_id=put.version_id)
    with pytest.raises(ObjectNotFoundError):
        objects.get(name="n", version_id=put.version_id)


def test_progress_adds_up(objects: EncryptedObjects, pair: Pair) -> None:
    data = os.urandom(2 * _PART + 5)
    for size in (0, 5, len(data)):
        steps: list[int] = []
        objects.put(name="n", data=data[:size], progress=steps.append)
        assert sum(steps) == size
        for get in (objects.get, objects.open, objects.verify):
            steps.clear()
            get(name="n", progress=steps.append)
            assert sum(steps) == size
        steps.clear()
        objects.get_to_file(name="n", path=pair.files / "n", progress=steps.append)
        assert sum(steps) == size


def test_a_file_is_for_its_owner_and_replaces_what_was_there(objects: EncryptedObjects, tmp_path: Path) -> None:
    objects.put(name="n", data=b"new")
    target = tmp_path / "target"
    target.write_bytes(b"old")
    target.chmod(0o644)
    objects.get_to_file(name="n", path=target)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_what_is_no_file_is_refused(objects: EncryptedObjects, tmp_path: Path) -> None:
    objects.put(name="n", data=b"x")
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(SettingsError, match="which is no file"):
            objects.get_to_file(name="n", path=path)
    with pytest.raises(FileNotFoundError):
        objects.get_to_file(name="n", path=tmp_path / "absent" / "n")


def test_a_reader_seeks(objects: EncryptedObjects) -> None:
    data = os.urandom(_PART + 12_345)
    objects.put(name="n", data=data)
    with objects.open(name="n") as reader:
        for at in (0, 1, 4095, _PART - 1, _PART + 12_344, 7):
            reader.seek(at)
            assert reader.read(100) == data[at : at + 100]
        assert reader.seek(-10, os.SEEK_END) == len(data) - 10
        assert reader.read() == data[-10:]


def test_a_bucket_without_versions(pair: Pair) -> None:
    pair.s3.put_bucket_versioning(Bucket=pair.home.bucket, VersioningConfiguration={"Status": "Suspended"})
    put = pair.objects().put(name="n", data=b"x")
    assert pair.objects().get(name="n").data == b"x"
    assert put.version_id in {None, "null"}


def test_refusals_say_who_and_where_and_what_to_do(pair: Pair) -> None:
    own_key = pair.aws.client("kms").create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    absent = Location(region=HOME, bucket="no-such-bucket-here", key_arn=pair.home.key_arn)
    with pytest.raises(RefusedError, match=r"NoSuchBucket.*no-such-bucket-here in eu-central-1.*that exists"):
        pair.objects(locations=[absent]).put(name="n", data=b"x")
    pair.aws.client("kms").disable_key(KeyId=own_key)
    disabled = Location(region=HOME, bucket=pair.home.bucket, key_arn=own_key)
    with pytest.raises(RefusedError, match=r"DisabledException.*mrk-.*enable the key"):
        pair.objects(locations=[disabled]).put(name="n", data=b"x")


class TestTheClientThatEncryptsStoresNoPlaintext:
    @pytest.fixture
    def wrapped(self, objects: EncryptedObjects, pair: Pair) -> Any:  # noqa: ANN401
        envelope: Envelope = objects._envelope(pair.home)  # noqa: SLF001
        return envelope._client  # noqa: SLF001

    def test_not_by_boto3s_upload_of_a_large_file(self, wrapped: Any, pair: Pair) -> None:  # noqa: ANN401
        with pytest.raises(EncryptedDataError, match="would store plaintext"):
            wrapped.wrapped_s3_client.create_multipart_upload(Bucket=pair.home.bucket, Key="n")
        assert pair.uploads() == []

    def test_not_by_copy_or_any_other_call(self, wrapped: Any, pair: Pair) -> None:  # noqa: ANN401
        pair.store("plain", b"plain", {})
        with pytest.raises(EncryptedDataError, match="isn't for the client that encrypts"):
            wrapped.copy_object(Bucket=pair.home.bucket, Key="n", CopySource=f"{pair.home.bucket}/plain")
        with pytest.raises(EncryptedDataError, match="DeleteObject isn't for the client that encrypts"):
            wrapped.wrapped_s3_client.delete_object(Bucket=pair.home.bucket, Key="plain")

    def test_its_own_put_is_let_through(self, wrapped: Any, pair: Pair) -> None:  # noqa: ANN401
        wrapped.put_object(Bucket=pair.home.bucket, Key="n", Body=b"plain", EncryptionContext={})
        assert b"plain" not in pair.stored("n")[0]

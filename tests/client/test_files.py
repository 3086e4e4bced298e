"""Where plaintext lies on this machine, on Linux and where files can't be without a name."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from cdk_encrypted_data_client import files
from cdk_encrypted_data_client.files import HIDDEN, Spool, landing
from cdk_encrypted_data_client.journal import Journal


@pytest.fixture(params=["nameless", "hidden"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Journal:
    if request.param == "hidden":
        monkeypatch.setattr(files, "_nameless", lambda _directory: None)
    return Journal(tmp_path / "state")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_it_has_its_name_when_it_is_whole(journal: Journal, folder: Path) -> None:
    for data in (b"first", b"second"):
        with landing(folder / "n", journal) as file:
            before = _names(folder)
            file.write(data)
            assert [name for name in before if not name.startswith(HIDDEN)] == (["n"] if data == b"second" else [])
        assert _names(folder) == ["n"]
        assert (folder / "n").read_bytes() == data
    assert list(journal.in_hand()) == []


@pytest.mark.parametrize("error", [OSError("no room"), KeyboardInterrupt()], ids=repr)
def test_it_leaves_nothing_when_it_breaks(journal: Journal, folder: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), landing(folder / "n", journal) as file:  # noqa: PT012
        file.write(b"half of it")
        raise error
    assert _names(folder) == []
    assert list(journal.in_hand()) == []


def test_a_link_is_replaced_and_not_followed(journal: Journal, folder: Path) -> None:
    (folder / "elsewhere").write_bytes(b"untouched")
    (folder / "n").symlink_to(folder / "elsewhere")
    with landing(folder / "n", journal) as file:
        file.write(b"new")
    assert (folder / "elsewhere").read_bytes() == b"untouched"
    assert not (folder / "n").is_symlink()


def test_a_file_system_without_nameless_files_gets_hidden_ones(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "state")
    unpatched = os.open

    def refuse(path: str | Path, flags: int, *more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return unpatched(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    with landing(folder / "n", journal) as file:
        (hidden,) = _names(folder)
        assert hidden.startswith(HIDDEN)
        assert (folder / hidden).stat().st_mode & 0o777 == 0o600
        assert [each["path"] for each in journal.in_hand()] == [str(folder / hidden)]
        file.write(b"data")
    assert _names(folder) == ["n"]


def test_what_is_spooled_to_disk_is_encrypted() -> None:
    data = b"a sentence that would be recognised" * 300_000
    spool = Spool()
    for at in range(0, len(data), 1_000_003):  # no multiple of a block
        spool.write(data[at : at + 1_000_003])
    spool._file.seek(0)  # noqa: SLF001
    assert b"sentence" not in spool._file.read()  # noqa: SLF001
    spool.seek(0)
    with io.BufferedReader(spool) as reader:
        assert reader.read() == data


def test_a_spool_takes_another_key_when_it_begins_again() -> None:
    # Two texts under one key stream would give away what differs between them.
    spool, texts = Spool(), []
    for _ in range(2):
        spool.seek(0)
        spool.truncate(0)
        spool.write(bytes(64))
        spool._file.seek(0)  # noqa: SLF001
        texts.append(spool._file.read())  # noqa: SLF001
    assert texts[0] != texts[1]
    with pytest.raises(io.UnsupportedOperation):
        spool.truncate(5)
    spool.close()

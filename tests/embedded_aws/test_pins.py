"""Contract: the adapter starts on the MiniStack it was written for, or says in one sentence why not."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import pytest

from devtools.embedded_aws.adapter import pins

if TYPE_CHECKING:
    from pathlib import Path


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "version", lambda _package: "1.5.34")
    with pytest.raises(pins.Unusable, match=r"^MiniStack 1\.5\.34 is installed but the adapter patches 1\.5\.33: "):
        pins.check_version()


def test_a_missing_name_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "adapter.py"
    file.write_text("import os\ndef patch():\n    os._not_there = os.sep\n")
    spec = importlib.util.spec_from_file_location("adapter", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(pins, "version", lambda _package: pins.MINISTACK)
    with pytest.raises(pins.Unusable, match=r"lacks what the adapter patches: os\._not_there$"):
        pins.check_names([module])
    monkeypatch.setattr(os, "_not_there", "", raising=False)
    pins.check_names([module])

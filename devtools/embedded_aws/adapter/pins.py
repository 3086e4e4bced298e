"""What the adapter relies on in MiniStack, checked before anything is patched."""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MINISTACK = "1.5.33"


class Unusable(Exception):  # noqa: N818 - reads as the sentence it carries
    """The installed MiniStack isn't the one the adapter was written for."""


def check_version() -> None:
    """Refuse any other MiniStack."""
    try:
        installed = version("ministack")
    except PackageNotFoundError:
        raise Unusable(f"MiniStack isn't installed here: install ministack=={MINISTACK}") from None
    if installed != MINISTACK:
        raise Unusable(f"MiniStack {installed} is installed but the adapter patches {MINISTACK}: install that version")


def check_names(modules: Iterable[ModuleType]) -> None:
    """Refuse when a name of MiniStack that one of our ``modules`` reads or replaces isn't there."""
    missing = sorted({name for module in modules for name in _missing(module)})
    if missing:
        raise Unusable(f"MiniStack {version('ministack')} lacks what the adapter patches: {', '.join(missing)}")


def _missing(ours: ModuleType) -> Iterator[str]:
    for node in ast.walk(ast.parse(inspect.getsource(ours))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            theirs = getattr(ours, node.value.id, None)
            if isinstance(theirs, ModuleType) and not hasattr(theirs, node.attr):
                yield f"{theirs.__name__}.{node.attr}"

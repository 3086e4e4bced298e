"""The evidence of what was done to somebody's data, when and by whom: a file that is whole after each step.

Its digest tells a file that was damaged or edited by hand from one that was written here. It is no signature: who wants
to know later that nobody exchanged the file keeps the digest somewhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cdk_encrypted_data_operations.errors import SettingsError

_FORMAT = "cdk-encrypted-data off-boarding 1"


class Evidence:
    """What was done, in a JSON file that every step adds to.

    Args:
        path: The file. One that is there already is continued.
        subject: What the whole file is about; the same whenever it is continued.
        now: The clock. Default: this machine's.

    Raises:
        SettingsError: The file isn't one of these, was changed, or is about something else.
    """

    def __init__(self, path: Path, *, subject: Mapping[str, str], now: Callable[[], datetime] | None = None) -> None:
        self.path = path
        self._now = now or (lambda: datetime.now(timezone.utc))
        self._content: dict[str, Any] = {"format": _FORMAT, **subject, "events": []}
        if path.exists():
            self._content = _read(path, subject)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was done so far, the first thing first."""
        return list(self._content["events"])

    @property
    def digest(self) -> str:
        """The SHA-256 of everything in the file but itself."""
        return _digest(self._content)

    def add(self, step: str, *, resource: str, by: str, **details: object) -> int:
        """Write something down; on return it is on the disk.

        Args:
            step: What is done, or was found.
            resource: The ARN of what it is about.
            by: The ARN of who does it.
            details: What else is worth knowing.

        Returns:
            The number of the event.

        Raises:
            SettingsError: The file can't be written.
        """
        self._content["events"].append({"when": self._time(), "by": by, "step": step, "resource": resource, **details})
        self._write()
        return len(self._content["events"]) - 1

    def change(
        self, step: str, ask: Callable[[], Mapping[str, Any]], *, resource: str, by: str, **details: object
    ) -> None:
        """Write down what is going to be asked of AWS, ask it, and write down the answer.

        In that order, so that whatever was done is in the file, whenever this ends. ``asked`` without ``done`` is what
        may have been done.

        Args:
            step: What is done.
            ask: Does it; returns AWS's answer.
            resource: The ARN of what it is done to.
            by: The ARN of who does it.
            details: What else is worth knowing.

        Raises:
            SettingsError: The file can't be written.
        """
        number = self.add(step, resource=resource, by=by, **details, outcome="asked")
        answer = ask()
        event = self._content["events"][number]
        event |= {
            "outcome": "done",
            "answered": self._time(),
            "request_id": answer.get("ResponseMetadata", {}).get("RequestId", ""),
        }
        if "DeletionDate" in answer:
            event["deletion"] = answer["DeletionDate"].astimezone(timezone.utc).isoformat(timespec="seconds")
        self._write()

    def _time(self) -> str:
        return self._now().astimezone(timezone.utc).isoformat(timespec="seconds")

    def _write(self) -> None:
        text = json.dumps({**self._content, "digest": self.digest}, indent=2) + "\n"
        try:
            # Beside it, and then in its place: whoever reads it, whenever this ends, finds a whole file.
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            raise SettingsError(
                f"{self.path}: can't be written: {error.strerror}; name a file in a folder that can be written to"
            ) from error


def _read(path: Path, subject: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: can't be read as evidence: {error}; name another file") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise SettingsError(f"{path}: no evidence of an off-boarding; name another file")
    written = content.pop("digest", None)
    if written != _digest(content):
        raise SettingsError(
            f"{path}: was changed since it was written: its digest is {written}, its content's {_digest(content)}; "
            "keep it, find out why, and name another file"
        )
    for name, value in subject.items():
        if content.get(name) != value:
            raise SettingsError(f"{path}: is about the {name} {content.get(name)!r}, not {value!r}; name another file")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""What a run does and did, as lines of a log and as a small file: numbers and names, never a row."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdk_encrypted_data_job.storage import StoredFile

LOG = logging.getLogger("cdk_encrypted_data_job")


@dataclass(slots=True, kw_only=True)
class Step:
    """Something the run did.

    Attributes:
        kind: `table`, `rule`, `check`, `output` or `state`.
        name: Whose.
        rows_in: The rows of all that it may read.
        rows: The rows that came of it; of a check, those it found.
        seconds: How long it took.
        bytes: What was stored, encrypted.
        files: In how many objects.
    """

    kind: str
    name: str
    rows_in: int = 0
    rows: int = 0
    seconds: float = 0.0
    bytes: int = 0
    files: int = 0

    def stored(self, files: Sequence[StoredFile]) -> None:
        """Count what came of it by what was stored."""
        self.rows = sum(file["rows"] for file in files)
        self.bytes = sum(file["size"] for file in files)
        self.files = len(files)


@dataclass(slots=True, kw_only=True)
class Summary:
    """A run in numbers.

    Attributes:
        customer: Whose.
        run_id: Which.
        number: Its place among the finished runs.
        steps: What it did, in order.
        seconds: How long all of it took, until the manifest.
        kms_calls: Requests to KMS, the driver's and the tasks', until the manifest.
    """

    customer: str
    run_id: str
    number: int
    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0
    kms_calls: int = 0

    @contextmanager
    def step(self, kind: str, name: str) -> Iterator[Step]:
        """Measure a step, and log it when it is done."""
        step = Step(kind=kind, name=name)
        LOG.info("%s %s: begins", kind, name)
        started = time.monotonic()
        try:
            yield step
        finally:
            step.seconds = round(time.monotonic() - started, 3)
        self.steps.append(step)
        LOG.info("%s", json.dumps(_numbers(step)))

    def as_json(self) -> bytes:
        """Return it for the file."""
        fields: dict[str, Any] = {
            "customer": self.customer,
            "run_id": self.run_id,
            "number": self.number,
            "seconds": self.seconds,
            "kms_calls": self.kms_calls,
            "steps": [_numbers(step) for step in self.steps],
        }
        return json.dumps(fields, indent=1).encode()


def summary_from(data: bytes) -> Summary:
    """Return what `as_json` wrote."""
    fields = json.loads(data)
    return Summary(**{**fields, "steps": [Step(**step) for step in fields["steps"]]})


def _numbers(step: Step) -> dict[str, Any]:
    return {name: getattr(step, name) for name in Step.__slots__}

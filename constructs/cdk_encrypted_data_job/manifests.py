"""What finished runs have written. What no manifest names doesn't count.

A run becomes finished by one write: S3 takes a manifest only if there is none of its number. Until then, nobody sees
what it wrote; from then on, all of it, and the next run goes on from it. Manifests are encrypted, so who can't use the
key can't make or change one, and each says where it belongs, so none can be put in another's place.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypedDict, cast

from cdk_encrypted_data_job.errors import NoRunError, NotAuthenticError, OvertakenError
from cdk_encrypted_data_job.storage import Storage, StoredFile

_FORMAT = "cdk-encrypted-data-job 1"
_FOLDER = "manifests/"
_NAME = re.compile(_FOLDER + "[0-9]{10}")


class Output(TypedDict):
    """What a run wrote under one name: Spark's schema as JSON, the rows, the files."""

    schema: str
    rows: int
    files: list[StoredFile]


class TableState(TypedDict):
    """A table that is read once: how far (a `Mark`), and the files with all rows read so, in the order of the runs."""

    source: str
    database: str
    parts: list[int]
    transaction: int
    key: list[str]
    schema: str
    files: list[StoredFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A finished run.

    Attributes:
        number: 1 for the first finished run, and so on.
        run_id: The run.
        customer: Whose it is.
        rules: The SHA-256 of the rules that were run.
        outputs: What it wrote, by name.
        tables: What the next run goes on from, by the names of tables with a bookmark. The rows themselves lie apart
            from the outputs, and whoever reads these can't open them.
        summary: The file with the run's summary.
    """

    number: int
    run_id: str
    customer: str
    rules: str
    outputs: dict[str, Output]
    tables: dict[str, TableState]
    summary: StoredFile


def latest(storage: Storage, customer: str) -> Manifest | None:
    """Return the last finished run, if there is one.

    Raises:
        NotAuthenticError: its manifest was changed, or isn't of this place.
    """
    names = [name for name in storage.names(_FOLDER) if _NAME.fullmatch(name)]
    return _read(storage, customer, int(names[-1].removeprefix(_FOLDER))) if names else None


def finished(storage: Storage, customer: str, number: int | None = None) -> Manifest:
    """Return a finished run, the last one by default.

    Raises:
        NoRunError: there is none.
        NotAuthenticError: its manifest was changed, or isn't of this place.
    """
    if number is None:
        found = latest(storage, customer)
    else:
        found = _read(storage, customer, number) if _name(number) in storage.names(_name(number)) else None
    if found is None:
        place = storage.place
        raise NoRunError(
            f"no finished run of {customer} in s3://{place.bucket}/{place.prefix}; what lies there counts not"
        )
    return found


def finish(storage: Storage, manifest: Manifest) -> None:
    """Make a run a finished one.

    Raises:
        OvertakenError: another one has that number.
    """
    place = storage.place
    content = {
        "format": _FORMAT,
        "bucket": place.bucket,
        "prefix": place.prefix,
        "number": manifest.number,
        "run_id": manifest.run_id,
        "customer": manifest.customer,
        "rules": manifest.rules,
        "outputs": manifest.outputs,
        "tables": manifest.tables,
        "summary": manifest.summary,
    }
    if storage.put_new(_name(manifest.number), json.dumps(content).encode()):
        return
    # The request that made it may have lost its answer, and been sent again.
    if _read(storage, manifest.customer, manifest.number) != manifest:
        raise OvertakenError(
            f"run {manifest.run_id}: another run was finished as number {manifest.number} meanwhile; "
            "this one counts for nothing: let one run at a time"
        )


def _name(number: int) -> str:
    return f"{_FOLDER}{number:010d}"


def _read(storage: Storage, customer: str, number: int) -> Manifest:
    place = storage.place
    content = json.loads(storage.get_latest(_name(number)))
    belongs = {
        "format": _FORMAT,
        "bucket": place.bucket,
        "prefix": place.prefix,
        "number": number,
        "customer": customer,
    }
    if not isinstance(content, dict) or any(content.get(each) != value for each, value in belongs.items()):
        raise NotAuthenticError(
            f"{place.prefix}{_name(number)}: it is no manifest of {customer} for this place and number; restore it"
        )
    return Manifest(
        number=number,
        run_id=content["run_id"],
        customer=customer,
        rules=content["rules"],
        outputs=cast("dict[str, Output]", content["outputs"]),
        tables=cast("dict[str, TableState]", content["tables"]),
        summary=cast("StoredFile", content["summary"]),
    )

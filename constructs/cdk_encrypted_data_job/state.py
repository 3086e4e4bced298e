"""What a run keeps for the next one: all rows of tables that are read once, and how far each was read.

These are rows from before the rules, so they lie beside the outputs, not among them, and their data keys open to the
job alone. A manifest names the one file that says it all, so a run and what it keeps come to count in the same moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from cdk_encrypted_data_job import output
from cdk_encrypted_data_job.arguments import TableSource
from cdk_encrypted_data_job.errors import SettingsError
from cdk_encrypted_data_job.extract import Snapshot
from cdk_encrypted_data_job.output import CACHED
from cdk_encrypted_data_job.progress import Step, Summary
from cdk_encrypted_data_job.storage import Place, StoredFile, storage_at


class TableState(TypedDict):
    """A table that is read once: how far, and the files with all rows read until then, in the order of the runs."""

    bookmark: str
    value: str | None
    schema: str
    files: list[StoredFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grown:
    """A table in this run: its new rows, how many, and its state without their files."""

    new: DataFrame
    rows: int
    state: TableState


class History:
    """The tables that are read once, in one run: first they are read, and after the checks they are kept.

    Args:
        spark: The session.
        place: Where rows are kept.
        before: What the last finished run has kept, as its manifest names it.
        run_id: The run.
        partitions: How many tasks write a table at the same time.

    Raises:
        NotAuthenticError: it isn't what that run has kept.
    """

    def __init__(
        self, spark: SparkSession, place: Place, *, before: StoredFile | None, run_id: str, partitions: int
    ) -> None:
        self._spark, self._place = spark, place
        self._folder, self._partitions = f"{run_id}/", partitions
        self._storage = storage_at(place)
        self._before: Mapping[str, TableState] = {} if before is None else json.loads(self._storage.get(before))
        self._grown: dict[str, _Grown] = {}
        self._kms_calls = 0

    @property
    def kms_calls(self) -> int:
        """Requests to KMS until now, the tasks' too."""
        return self._storage.kms_calls + self._kms_calls

    def read(self, snapshot: Snapshot, table: TableSource, columns: Mapping[str, str], step: Step) -> DataFrame:
        """Return all rows of a table: what earlier runs have kept, and what is new. Nothing is stored yet.

        Raises:
            SettingsError: it can't be read so, or has other columns than in earlier runs.
        """
        assert table.bookmark is not None  # noqa: S101 - asked by who calls
        before = self._before.get(table.name)
        if before is not None and before["bookmark"] != table.bookmark:
            before = None
        reading = snapshot.read(table, columns, None if before is None else before["value"])
        # Read once, and kept until it is stored: another time would cost another reading.
        new = reading.rows.persist(CACHED)
        schema = new.schema.json()
        files = [] if before is None else before["files"]
        state = TableState(bookmark=table.bookmark, value=reading.value, schema=schema, files=files)
        try:
            _check_columns(table, state, before)
            step.rows_in = step.rows = new.count()
        except BaseException:
            new.unpersist()
            raise
        self._grown[table.name] = _Grown(new=new, rows=step.rows_in, state=state)
        if not files:
            return new
        old = output.read(self._spark, files, schema=StructType.fromJson(json.loads(schema)), place=self._place)
        self._kms_calls += len(files)
        every = old.unionByName(new).persist(CACHED)
        step.rows = every.count()
        return every

    def holds(self, frame: DataFrame) -> bool:
        """Say whether a frame is one of new rows, which stay until they are stored, whoever reads them before."""
        return any(frame is grown.new for grown in self._grown.values())

    def keep(self, summary: Summary) -> StoredFile | None:
        """Store the new rows, and then the file that says how far all is read, if there is anything to keep.

        Nothing of it counts until a manifest names that file; nothing that counts is written over or left out.
        """
        tables: dict[str, TableState] = {}
        for name, grown in self._grown.items():
            tables[name] = grown.state
            if not grown.rows:
                continue
            with summary.step("state", name) as step:
                folder = f"{self._folder}{name}/"
                files = output.write(grown.new, place=self._place, folder=folder, partitions=self._partitions)
                step.rows_in = grown.rows
                step.stored(files)
            self._kms_calls += len(files)
            tables[name] = {**grown.state, "files": [*grown.state["files"], *files]}
        if not tables:
            return None
        return self._storage.put(f"{self._folder}tables-{{digest}}", json.dumps(tables).encode())

    def forget(self) -> None:
        """Let the new rows go."""
        for grown in self._grown.values():
            grown.new.unpersist()


def _check_columns(table: TableSource, state: TableState, before: TableState | None) -> None:
    if before is not None and before["schema"] != state["schema"]:
        raise SettingsError(
            f"{table.name}: its columns are others than in earlier runs; allowed: the same, or a run without its "
            "bookmark, after which everything is read anew"
        )

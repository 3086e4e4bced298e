"""What a run keeps for the next one: all rows of tables that are read once.

These are rows from before the rules, so they lie beside the outputs, not among them, and their data keys open to the
job alone. The run's manifest names their files and says how far was read: both come to count in the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession, Window, functions

from cdk_encrypted_data_job import output
from cdk_encrypted_data_job.arguments import TableSource
from cdk_encrypted_data_job.errors import SettingsError
from cdk_encrypted_data_job.extract import Snapshot
from cdk_encrypted_data_job.manifests import TableState
from cdk_encrypted_data_job.output import CACHED, MOST_BYTES
from cdk_encrypted_data_job.progress import Step, Summary
from cdk_encrypted_data_job.storage import Place, StoredFile

FILES_OF_A_TASK = 32
"""So many files of a table stay for each task that writes. If there are more, and small, all rows are stored anew."""
# No column of a database can be named so, as far as rules go.
_NUMBER, _RANK = "file#", "rank#"
_SMALL = MOST_BYTES // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grown:
    """A table in this run: its new rows, how many, what is to be stored, and the state that its files go to."""

    new: DataFrame
    rows: int
    stored: DataFrame
    state: TableState


class History:
    """The tables that are read once, in one run: first they are read, and after the checks they are kept.

    Args:
        spark: The session.
        place: Where rows are kept.
        before: What the manifest of the last finished run says.
        run_id: The run.
        partitions: How many tasks write a table at the same time.

    Attributes:
        kms_calls: The tasks' requests to KMS until now.
    """

    def __init__(
        self, spark: SparkSession, place: Place, *, before: Mapping[str, TableState], run_id: str, partitions: int
    ) -> None:
        self._spark, self._place = spark, place
        self._before, self._folder, self._partitions = before, f"{run_id}/", partitions
        self._grown: dict[str, _Grown] = {}
        self.kms_calls = 0

    def read(self, snapshot: Snapshot, table: TableSource, columns: Mapping[str, str], step: Step) -> DataFrame:
        """Return all rows of a table, each as it was read last: in earlier runs or in this one. Nothing is stored yet.

        Raises:
            SettingsError: it can't be read so, or has other columns than in earlier runs.
        """
        before = self._before.get(table.name)
        if before is not None and before["source"] != table.source:
            before = None
        mark = snapshot.mark(table, columns)
        if before is not None and before["database"] == mark.database:
            parts = [part for part in mark.parts if part not in before["parts"]]
            reading = snapshot.read(table, columns, since=before["transaction"], but_all_of=parts)
        else:
            # In another database, or one that was set back, old numbers say nothing: all of it is read, and takes the
            # place of what is known.
            reading = snapshot.read(table, columns)
        # Read once, and kept until it is stored: another time would cost another reading.
        new = reading.persist(CACHED)
        files = [] if before is None else before["files"]
        state = TableState(
            source=table.source,
            database=mark.database,
            parts=list(mark.parts),
            transaction=mark.transaction,
            key=list(mark.key),
            schema=new.schema.json(),
            files=files,
        )
        try:
            _check_columns(table, state, before)
            step.rows_in = step.rows = new.count()
        except BaseException:
            new.unpersist()
            raise
        grown = self._grown[table.name] = _Grown(new=new, rows=step.rows_in, stored=new, state=state)
        if not files:
            return new
        old = output.read(self._spark, files, schema=new.schema, place=self._place, numbered=_NUMBER)
        self.kms_calls += len(files)
        every = _newest(old, new.withColumn(_NUMBER, functions.lit(len(files))), mark.key).persist(CACHED)
        step.rows = every.count()
        if grown.rows and are_worn(files, rows=step.rows, partitions=self._partitions):
            self._grown[table.name] = replace(grown, stored=every, state={**state, "files": []})
        return every

    def holds(self, frame: DataFrame) -> bool:
        """Say whether a frame is one that stays until it is stored, whoever reads it before."""
        return any(frame is grown.new or frame is grown.stored for grown in self._grown.values())

    def keep(self, summary: Summary) -> dict[str, TableState]:
        """Store the new rows, or all of them in place of worn files, and return what the run's manifest has to say.

        They count when it does. Nothing that counts is written over.
        """
        tables: dict[str, TableState] = {}
        for name, grown in self._grown.items():
            tables[name] = grown.state
            if not grown.rows:
                continue
            with summary.step("state", name) as step:
                folder = f"{self._folder}{name}/"
                files = output.write(grown.stored, place=self._place, folder=folder, partitions=self._partitions)
                step.rows_in = grown.rows
                step.stored(files)
            self.kms_calls += len(files)
            tables[name] = {**grown.state, "files": [*grown.state["files"], *files]}
        return tables

    def forget(self) -> None:
        """Let go what was to be stored."""
        for grown in self._grown.values():
            grown.stored.unpersist()
            grown.new.unpersist()


def are_worn(files: Sequence[StoredFile], *, rows: int, partitions: int) -> bool:
    """Say whether rows are better stored anew, by so many tasks, than kept in these files.

    Each file is a request to KMS in each run to come, and a line in its manifest; each old row is read for nothing.
    """
    many = len(files) > FILES_OF_A_TASK * partitions
    small = sum(file["size"] for file in files) < len(files) * _SMALL
    mostly_old = sum(file["rows"] for file in files) > 2 * rows
    return (many and small) or mostly_old


def _newest(old: DataFrame, new: DataFrame, key: Sequence[str]) -> DataFrame:
    """Return of each key the row of the last file: no file holds a key twice, and files are in the runs' order."""
    window = Window.partitionBy(*key).orderBy(functions.col(_NUMBER).desc())
    ranked = old.unionByName(new).withColumn(_RANK, functions.row_number().over(window))
    return ranked.where(functions.col(_RANK) == 1).drop(_NUMBER, _RANK)


def _check_columns(table: TableSource, state: TableState, before: TableState | None) -> None:
    if before is not None and any(before[each] != state[each] for each in ("schema", "key")):
        raise SettingsError(
            f"{table.name}: its columns or its primary key are others than in earlier runs; allowed: the same, or a "
            "run without its bookmark, after which everything is read anew"
        )

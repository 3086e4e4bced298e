"""Frames to encrypted Parquet files and back, in the tasks: no row leaves a task in the clear."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import IntegerType, StructField, StructType

from cdk_encrypted_data_job.errors import JobError, kind_of
from cdk_encrypted_data_job.storage import Place, StoredFile, storage_at

# What doesn't fit goes to disk, encrypted as `session` sees to.
CACHED = StorageLevel.MEMORY_AND_DISK
"""Where rows stay between steps."""
MOST_BYTES = 64 * 2**20
"""A task begins another file at so many bytes of Parquet, which it holds twice: in the clear and encrypted."""
_FILES = "name string, rows long, size long, sha256 string"
_FILES_IN_ARROW = pa.schema(
    [("name", pa.string()), ("rows", pa.int64()), ("size", pa.int64()), ("sha256", pa.string())]
)


def write(rows: DataFrame, *, place: Place, folder: str, partitions: int) -> list[StoredFile]:
    """Store a frame as encrypted Parquet files, and return those that count.

    A file's name holds its own digest, so no task ever writes over what another one wrote: of a task that ran twice,
    Spark takes the answer of one, and the other's files are in no manifest.
    """
    store = functools.partial(_store, place=place, folder=folder, most_bytes=MOST_BYTES)
    stored = rows.coalesce(partitions).mapInArrow(store, _FILES).collect()
    files = [StoredFile(name=row.name, rows=row.rows, size=row.size, sha256=row.sha256) for row in stored]
    return sorted(files, key=lambda file: file["name"])


def read(
    spark: SparkSession, files: Sequence[StoredFile], *, schema: StructType, place: Place, numbered: str
) -> DataFrame:
    """Return the rows of stored files, verified and decrypted in the tasks, and in one more column which file's."""
    load = functools.partial(_load, place=place, files=tuple(files), numbered=numbered)
    with_number = StructType([*schema.fields, StructField(numbered, IntegerType(), nullable=False)])
    return spark.range(len(files), numPartitions=len(files)).mapInArrow(load, with_number)


def parquet_files(batches: Iterator[pa.RecordBatch], most_bytes: int) -> Iterator[tuple[memoryview, int]]:
    """Yield Parquet files in memory, each with its number of rows: none for no rows."""
    buffer, writer, rows = io.BytesIO(), None, 0
    for batch in batches:
        if not batch.num_rows:
            continue
        if writer is None:
            writer = pq.ParquetWriter(buffer, batch.schema, compression="zstd")
        writer.write_batch(batch)
        rows += batch.num_rows
        if buffer.tell() >= most_bytes:
            writer.close()
            yield buffer.getbuffer(), rows
            buffer, writer, rows = io.BytesIO(), None, 0
    if writer is not None:
        writer.close()
        yield buffer.getbuffer(), rows


def _store(
    batches: Iterator[pa.RecordBatch], *, place: Place, folder: str, most_bytes: int
) -> Iterator[pa.RecordBatch]:
    storage = storage_at(place)
    try:
        files = [
            storage.put(f"{folder}{{digest}}.parquet", parquet, rows=rows)
            for parquet, rows in parquet_files(batches, most_bytes)
        ]
    except Exception as error:
        # What Spark reports of a task goes to logs and to the event log. Messages of Parquet may quote rows.
        raise JobError(f"{folder}: it can't be stored: {kind_of(error)}{_code(error)}") from None
    yield pa.RecordBatch.from_pylist(files, schema=_FILES_IN_ARROW)


def _load(
    indexes: Iterator[pa.RecordBatch], *, place: Place, files: tuple[StoredFile, ...], numbered: str
) -> Iterator[pa.RecordBatch]:
    storage = storage_at(place)
    for batch in indexes:
        for index in batch.column(0).to_pylist():
            for rows in pq.ParquetFile(pa.BufferReader(storage.get(files[index]))).iter_batches():
                yield rows.append_column(numbered, pa.array([index] * rows.num_rows, pa.int32()))


def _code(error: Exception) -> str:
    """Return AWS' word for what it refused."""
    response = getattr(error, "response", None)
    return f" {response['Error']['Code']}" if isinstance(response, dict) else ""

"""What encrypting in the tasks costs: the job against the same job that writes plain Parquet, in one session, in turn.

Run: ``PYTHONPATH=constructs python -m benchmarks.job [--subjects 250,1000,4000] [--rounds 3]``.
A subject has about 108 rows.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools import clinical_data, customers, spark
from devtools.embedded_aws.server import EmbeddedAws
from devtools.postgresql import Postgresql

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from cdk_encrypted_data_job.progress import Summary
    from cdk_encrypted_data_job.storage import Place, StoredFile
    from devtools.customers import Customer

_SUBJECTS = "250,1000,4000"
_ROUNDS = 3


def write_plain(rows: DataFrame, *, place: Place, folder: str, partitions: int) -> list[StoredFile]:
    """Do what the job's `output.write` does, and encrypt nothing."""
    from cdk_encrypted_data_job.output import MOST_BYTES  # noqa: PLC0415 - asks for Spark

    store = functools.partial(_store_plain, place=place, folder=folder, most_bytes=MOST_BYTES)
    files = "name string, rows long, size long, sha256 string"
    stored = rows.coalesce(partitions).mapInArrow(store, files).collect()
    return [{"name": row.name, "rows": row.rows, "size": row.size, "sha256": row.sha256} for row in stored]


def _store_plain(
    batches: Iterator[pa.RecordBatch], *, place: Place, folder: str, most_bytes: int
) -> Iterator[pa.RecordBatch]:
    import hashlib  # noqa: PLC0415 - runs in a task

    import pyarrow as pa  # noqa: PLC0415

    from cdk_encrypted_data_job.output import parquet_files  # noqa: PLC0415
    from cdk_encrypted_data_job.storage import client  # noqa: PLC0415

    s3 = client("s3", place.region)
    for parquet, rows in parquet_files(batches, most_bytes):
        digest = hashlib.sha256(parquet).hexdigest()
        name = f"{place.prefix}{folder}{digest[:32]}.parquet"
        s3.put_object(Bucket=place.bucket, Key=name, Body=bytes(parquet))
        row = {"name": name, "rows": rows, "size": len(parquet), "sha256": digest}
        yield pa.RecordBatch.from_pylist([row])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", default=_SUBJECTS)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    options = parser.parse_args()
    with EmbeddedAws() as aws, Postgresql() as server, tempfile.TemporaryDirectory() as folder:
        columns = f"{'plain':>9} {'ratio':>6}"
        print(f"{'rows':>9} {'job, rows/s':>12} {columns}   {'writing, rows/s':>16} {columns}")
        session: SparkSession | None = None
        for number, subjects in enumerate(int(each) for each in options.subjects.split(",")):
            customer = customers.make(aws, server, f"customer{number}", subjects=subjects, seed=number)
            # All sizes in one session, as the root: it is about time.
            os.environ.update(aws.environment() | spark.environment())
            session = session or _session(Path(folder))
            _measure(session, customer, options.rounds, sum(clinical_data.count(server, customer.name).values()))
        if session is not None:
            session.stop()


def _session(folder: Path) -> SparkSession:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder: Any = SparkSession.builder
    for name, value in (spark.settings(folder, memory="4g") | {"spark.sql.ansi.enabled": "true"}).items():
        builder = builder.config(name, value)
    made: SparkSession = builder.master("local[2]").getOrCreate()
    return made


def _measure(session: SparkSession, customer: Customer, rounds: int, rows: int) -> None:
    from cdk_encrypted_data_job import output  # noqa: PLC0415

    ways: dict[str, Callable[..., list[StoredFile]]] = {"encrypted": output.write, "plain": write_plain}
    times: dict[str, list[Summary]] = {way: [] for way in ways}
    # What a task needs is loaded when it is first needed, and each way needs something else.
    for way, write in ways.items():
        _run(session, customer, f"warm-{way}", write)
    for number in range(rounds):
        # In turn, and not always the same first.
        for way in sorted(ways, reverse=bool(number % 2)):
            times[way].append(_run(session, customer, f"{way}-{number}", ways[way]))
    whole = {way: statistics.median(summary.seconds for summary in found) for way, found in times.items()}
    writing = {way: statistics.median(map(_writing, found)) for way, found in times.items()}
    written = sum(step.rows for step in times["plain"][0].steps if step.kind == "output")
    print(
        f"{rows:>9,} {rows / whole['encrypted']:>12,.0f} {rows / whole['plain']:>9,.0f} "
        f"{whole['plain'] / whole['encrypted']:>6.2f}   {written / writing['encrypted']:>16,.0f} "
        f"{written / writing['plain']:>9,.0f} {writing['plain'] / writing['encrypted']:>6.2f}",
        flush=True,
    )


def _run(session: SparkSession, customer: Customer, run_id: str, write: Callable[..., list[StoredFile]]) -> Summary:
    from cdk_encrypted_data_job import job, output  # noqa: PLC0415
    from cdk_encrypted_data_job.arguments import parse  # noqa: PLC0415

    before = output.write
    output.write = write
    try:
        return job.run(session, parse(customer.arguments(run_id)))
    finally:
        output.write = before


def _writing(summary: Summary) -> float:
    return sum(step.seconds for step in summary.steps if step.kind == "output")


if __name__ == "__main__":
    main()

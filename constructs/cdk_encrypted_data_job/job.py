"""One run, from the database to the manifest: extract, rules, encrypt, write."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from cdk_encrypted_data_job import manifests, output
from cdk_encrypted_data_job.arguments import Arguments, TableSource
from cdk_encrypted_data_job.errors import ChecksFailedError, SettingsError
from cdk_encrypted_data_job.extract import Login, Reading, Snapshot, login
from cdk_encrypted_data_job.manifests import Manifest, Output, TableState
from cdk_encrypted_data_job.progress import LOG, Step, Summary, summary_from
from cdk_encrypted_data_job.rules import Rule, RuleSet, rules_from_zip
from cdk_encrypted_data_job.storage import Place, client, storage_at

# What doesn't fit goes to disk, encrypted as `session` sees to.
_LEVEL = StorageLevel.MEMORY_AND_DISK


def run(spark: SparkSession, arguments: Arguments) -> Summary:
    """Run the job once. Afterwards there is one more finished run, or nothing anybody would see.

    A run that is finished already isn't run again: its summary is returned.

    Raises:
        ChecksFailedError: a check found rows.
        JobError: what else the job refuses.
    """
    started = time.monotonic()
    region = arguments.region
    place = Place(bucket=arguments.bucket, prefix=arguments.prefix, key_arn=arguments.key_arn, region=region)
    storage = storage_at(place)
    before = manifests.latest(storage, arguments.customer)
    if before is not None and before.run_id == arguments.run_id:
        LOG.info("run %s is finished already, as number %d", before.run_id, before.number)
        return summary_from(storage.get(before.summary))
    rules = rules_from_zip(_rules(arguments))
    _check_tables(arguments.tables, rules)
    number = 1 if before is None else before.number + 1
    summary = Summary(customer=arguments.customer, run_id=arguments.run_id, number=number)
    who = login(client("secretsmanager", region), arguments.secret_arn)
    with _snapshot(spark, arguments, who) as snapshot:
        written = transform(
            spark,
            snapshot=snapshot,
            arguments=arguments,
            rules=rules,
            place=place,
            before={} if before is None else before.tables,
            summary=summary,
        )
    summary.seconds = round(time.monotonic() - started, 3)
    # Two more are to come, the summary's and the manifest's.
    summary.kms_calls = storage.kms_calls + written.kms_calls + 2
    manifest = Manifest(
        number=number,
        run_id=arguments.run_id,
        customer=arguments.customer,
        rules=rules.digest,
        outputs=written.outputs,
        tables=written.tables,
        summary=storage.put(f"{_folder(arguments)}summary-{{digest}}", summary.as_json()),
    )
    manifests.finish(storage, manifest)
    LOG.info("run %s is finished as number %d, after %.1f s", arguments.run_id, number, summary.seconds)
    return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What lies in the bucket, though no manifest names it yet."""

    outputs: dict[str, Output]
    tables: dict[str, TableState]
    kms_calls: int


def transform(
    spark: SparkSession,
    *,
    snapshot: Snapshot,
    arguments: Arguments,
    rules: RuleSet,
    place: Place,
    before: Mapping[str, TableState],
    summary: Summary,
) -> Written:
    """Read the tables, run the rules and the checks, and write the outputs."""
    rows: dict[str, int] = {}
    cached: dict[str, DataFrame] = {}
    states: dict[str, TableState] = {}
    kms_calls = 0
    writing = _Writing(place=place, folder=_folder(arguments), partitions=arguments.output_partitions)
    try:
        for table in arguments.tables:
            if table.name not in rules.tables:
                continue
            columns = rules.tables[table.name]
            state = before.get(table.name)
            if state is not None and state["bookmark"] != table.bookmark:
                state = None
            with summary.step("table", table.name) as step:
                frame, states_of_table, calls = _extract(
                    spark,
                    reading=snapshot.read(table, columns, None if state is None else state["value"]),
                    table=table,
                    state=state,
                    writing=writing,
                    step=step,
                )
                kms_calls += calls
                states |= states_of_table
                rows[table.name] = step.rows
                cached[table.name] = frame
        for index, rule in enumerate(rules.steps):
            with summary.step("rule", rule.name) as step:
                frame = spark.sql(rule.sql).persist(_LEVEL)
                cached[rule.name] = frame
                step.rows_in = _rows_in(rule, rows)
                step.rows = rows[rule.name] = frame.count()
                frame.createOrReplaceTempView(rule.name)
            _forget(cached, (*rules.steps[index + 1 :], *rules.checks, *rules.outputs))
        _check(spark, rules.checks, rows, summary)
        outputs: dict[str, Output] = {}
        for rule in rules.outputs:
            with summary.step("output", rule.name) as step:
                frame = spark.sql(rule.sql)
                outputs[rule.name] = writing.write(frame, f"{rule.name}/", step)
                step.rows_in = _rows_in(rule, rows)
            kms_calls += step.files
        return Written(outputs=outputs, tables=states, kms_calls=kms_calls)
    finally:
        _forget(cached, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writing:
    place: Place
    folder: str
    partitions: int

    def write(self, frame: DataFrame, name: str, step: Step) -> Output:
        files = output.write(frame, place=self.place, folder=f"{self.folder}{name}", partitions=self.partitions)
        step.rows = sum(file["rows"] for file in files)
        step.bytes = sum(file["size"] for file in files)
        step.files = len(files)
        return Output(schema=frame.schema.json(), rows=step.rows, files=files)


def _extract(
    spark: SparkSession,
    *,
    reading: Reading,
    table: TableSource,
    state: TableState | None,
    writing: _Writing,
    step: Step,
) -> tuple[DataFrame, dict[str, TableState], int]:
    """Return a table's rows: all of them now in the database, or what earlier runs kept and what came since."""
    # Read once: another time would cost another reading.
    frame = reading.rows.persist(_LEVEL)
    try:
        step.rows = frame.count()
        if table.bookmark is None:
            frame.createOrReplaceTempView(table.name)
            return frame, {}, 0
        step.rows_in = step.rows
        schema = frame.schema.json()
        earlier = state["files"] if state is not None else []
        _check_columns(table, schema, state)
        kept = writing.write(frame, f"tables/{table.name}/", step)["files"] if reading.new else []
        known = TableState(bookmark=table.bookmark, value=reading.value, schema=schema, files=[*earlier, *kept])
        calls = len(kept) + len(earlier)
        if earlier:
            old = output.read(spark, earlier, schema=StructType.fromJson(json.loads(schema)), place=writing.place)
            both = old.unionByName(frame).persist(_LEVEL)
            step.rows = both.count()
            frame.unpersist()
            frame = both
        frame.createOrReplaceTempView(table.name)
    except BaseException:
        frame.unpersist()
        raise
    return frame, {table.name: known}, calls


def _check_columns(table: TableSource, schema: str, state: TableState | None) -> None:
    if state is not None and state["schema"] != schema:
        raise SettingsError(
            f"{table.name}: its columns are others than in earlier runs; allowed: the same, or another prefix, "
            "where everything is read anew"
        )


def _check(spark: SparkSession, checks: Sequence[Rule], rows: Mapping[str, int], summary: Summary) -> None:
    """Run all checks, and fail with how many rows each found, never with the rows."""
    found: dict[str, int] = {}
    for rule in checks:
        with summary.step("check", rule.name) as step:
            step.rows = spark.sql(rule.sql).count()
            step.rows_in = _rows_in(rule, rows)
        if step.rows:
            found[rule.name] = step.rows
    if found:
        counts = ", ".join(f"{name}: {count} rows" for name, count in found.items())
        raise ChecksFailedError(f"{counts}; nothing was written")


def _forget(cached: dict[str, DataFrame], to_come: Sequence[Rule]) -> None:
    """Let go what no rule to come mentions."""
    for name in [name for name in cached if not any(rule.mentions(name) for rule in to_come)]:
        cached.pop(name).unpersist()


def _rows_in(rule: Rule, rows: Mapping[str, int]) -> int:
    return sum(count for name, count in rows.items() if rule.mentions(name))


def _check_tables(tables: Sequence[TableSource], rules: RuleSet) -> None:
    missing = sorted(rules.tables.keys() - {table.name for table in tables})
    if missing:
        raise SettingsError(f"tables has no {', '.join(missing)}; allowed: each table of the rules' tables.json")


def _snapshot(spark: SparkSession, arguments: Arguments, who: Login) -> Snapshot:
    return Snapshot(spark, url=arguments.jdbc_url, certificate=arguments.ca_certificate, login=who)


def _rules(arguments: Arguments) -> bytes:
    stored = client("s3", arguments.region).get_object(Bucket=arguments.rules_bucket, Key=arguments.rules_name)
    data: bytes = stored["Body"].read()
    return data


def _folder(arguments: Arguments) -> str:
    return f"runs/{arguments.run_id}/"

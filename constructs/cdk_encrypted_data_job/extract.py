"""Tables of a PostgreSQL database as frames: over verified TLS, all of one moment, in ranges side by side."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession

from cdk_encrypted_data_job.arguments import TableSource
from cdk_encrypted_data_job.errors import SettingsError

if TYPE_CHECKING:
    from typing import Self

_DRIVER = "org.postgresql.Driver"
# PostgreSQL's driver reads all rows into memory otherwise, and Spark leaves autocommit on, which ends snapshots.
_FETCH_SIZE = 10_000
_SECONDS_TO_CONNECT = 30
# A database that is gone without a word ends the run, not its timeout.
_SECONDS_OF_SILENCE = 600

# What isn't stored as PostgreSQL's own tables are, has no mark of who wrote it, or another's. A policy that hides rows
# may show them later, and none was written then. Those that inherit from a table share no primary key with it.
_ABOUT_TABLE = """
    SELECT
        CASE
            WHEN relkind NOT IN ('r', 'p') THEN 'no table'
            WHEN row_security_active(it.oid) THEN 'a table with row security'
            WHEN relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = it.oid) THEN 'inherited from'
            WHEN EXISTS (
                SELECT FROM pg_class AS part INNER JOIN pg_am ON pg_am.oid = part.relam
                WHERE part.oid = ANY (parts) AND amname <> 'heap'
            ) THEN 'stored by an extension'
        END,
        (
            SELECT json_agg(attname ORDER BY at)::text
            FROM pg_index, unnest(indkey) WITH ORDINALITY AS keys (number, at), pg_attribute
            WHERE indrelid = it.oid AND indisprimary AND at <= indnkeyatts AND attrelid = it.oid AND attnum = number
        ),
        array_to_json(parts)::text,
        (SELECT oid::text FROM pg_database WHERE datname = current_database())
    FROM
        pg_class AS it,
        LATERAL (
            SELECT array_agg(part ORDER BY part) AS parts
            FROM (SELECT it.oid AS part UNION SELECT relid::oid FROM pg_partition_tree(it.oid)) AS them
        ) AS whole
    WHERE it.oid = to_regclass({name})
"""
# After a failover or a restore, numbers of transactions come a second time, and the server has started at another time.
# A standby that is promoted goes on where what it showed ended. Not by pg_control_system(): it reads a file, and the
# storage of Aurora is another.
_ABOUT_MOMENT = """
    SELECT
        pg_snapshot_xmin(pg_current_snapshot())::text,
        extract(epoch FROM pg_postmaster_start_time())::text
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who reads the database. Shown nowhere.

    Attributes:
        username: The role in PostgreSQL.
        password: Its password.
    """

    username: str
    password: str

    def __repr__(self) -> str:
        """Keep it out of messages."""
        return "Login(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a table is read: whatever older transactions wrote was visible.

    Attributes:
        database: When the server started, and the database: elsewhere transactions have other numbers.
        parts: The table and its partitions, by PostgreSQL's numbers: one that comes later brings rows along that may
            have been written before.
        transaction: The oldest one that could still commit. https://www.postgresql.org/docs/current/functions-info.html
        key: The columns of the primary key.
    """

    database: str
    parts: tuple[int, ...]
    transaction: int
    key: tuple[str, ...]


def login(secretsmanager: Any, secret_arn: str) -> Login:  # noqa: ANN401 - boto3
    """Return what the customer's secret says.

    Raises:
        SettingsError: it isn't JSON with `username` and `password`.
    """
    text = secretsmanager.get_secret_value(SecretId=secret_arn).get("SecretString", "")
    with contextlib.suppress(ValueError):
        content = json.loads(text)
        if isinstance(content, dict) and isinstance(content.get("password"), str) and content.get("username"):
            return Login(username=str(content["username"]), password=content["password"])
    raise SettingsError(
        f"the secret {secret_arn} is something else; allowed: JSON with username and password"
    ) from None


class Snapshot:
    """A moment of the database, which every connection of the run sees, as long as the `with` block lasts.

    One transaction exports it and stays open until the end: a task that is run again reads the same rows. The database
    keeps dead rows of that time.
    """

    def __init__(self, spark: SparkSession, *, url: str, certificate: str, login: Login) -> None:
        self._spark, self._url = spark, url
        self._properties = {
            "user": login.username,
            "password": login.password,
            "driver": _DRIVER,
            # `require` encrypts, but for whoever answers. This verifies the chain, by an authority that is carried by
            # value, and the host's name.
            "sslmode": "verify-full",
            "sslfactory": "org.postgresql.ssl.SingleCertValidatingFactory",
            "sslfactoryarg": certificate,
            "connectTimeout": str(_SECONDS_TO_CONNECT),
            "loginTimeout": str(_SECONDS_TO_CONNECT),
            "socketTimeout": str(_SECONDS_OF_SILENCE),
            "tcpKeepAlive": "true",
            "ApplicationName": "cdk-encrypted-data-job",
            # Errors of the server may quote values of rows.
            "logServerErrorDetail": "false",
        }
        self._connection: Any = None
        self._id = ""

    def __enter__(self) -> Self:
        """Connect, and fix the moment."""
        jvm: Any = self._spark._jvm  # noqa: SLF001 - how PySpark reaches Java
        properties = jvm.java.util.Properties()
        for name, value in self._properties.items():
            if name != "driver":
                properties.setProperty(name, value)
        # Not by the DriverManager: it doesn't see what came with --jars.
        self._connection = jvm.org.postgresql.Driver().connect(self._url, properties)
        self._connection.setAutoCommit(False)
        self._execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Idle on purpose.
        self._execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        ((self._id,),) = self._query("SELECT pg_export_snapshot()", 1)
        return self

    def __exit__(self, *_error: object) -> None:
        """Let the moment go."""
        with contextlib.suppress(Exception):  # the database may be what failed
            self._connection.close()

    def mark(self, table: TableSource, columns: Mapping[str, str]) -> Mark:
        """Return how far this moment reads a table.

        Raises:
            SettingsError: it isn't a table whose rows say who wrote them, or has no primary key in these columns.
        """
        found = self._query(_ABOUT_TABLE.format(name=_literal(_source(table))), 4)
        unfit, key, parts, database = found[0] if found else ("not there", None, "[]", "")
        if unfit is not None:
            raise SettingsError(
                f"{table.name}: {table.source} is {unfit}; allowed with a bookmark: a table that its rows are stored in"
            )
        names = tuple(json.loads(key)) if key is not None else ()
        if not names or not set(names) <= columns.keys():
            raise SettingsError(
                f"{table.name}: its primary key is {', '.join(names) or 'missing'}; allowed with a bookmark: a table "
                "that has one, of columns in tables.json"
            )
        ((oldest, server),) = self._query(_ABOUT_MOMENT, 2)
        return Mark(
            database=f"{server}/{database}",
            parts=tuple(int(part) for part in json.loads(parts)),
            transaction=int(oldest),
            key=names,
        )

    def read(
        self,
        table: TableSource,
        columns: Mapping[str, str],
        *,
        since: int | None = None,
        but_all_of: Iterable[int] = (),
    ) -> DataFrame:
        """Return the rows of a table, of these columns, not yet read; or those alone that young transactions wrote.

        Args:
            table: The table.
            columns: Its columns, and their types in Spark's words.
            since: The oldest of these transactions.
            but_all_of: Parts of the table that are read whole.

        Raises:
            SettingsError: the table has other columns than the rules are about.
        """
        if table.partition_column is not None and table.partition_column not in columns:
            raise SettingsError(
                f"{table.name}: {table.partition_column} isn't in tables.json; allowed: {', '.join(columns)}"
            )
        if table.partition_column is not None and columns[table.partition_column] not in {"int", "bigint", "date"}:
            raise SettingsError(f"{table.name}: {table.partition_column} can't part it; allowed: int, bigint or date")
        condition = ""
        if since is not None:
            young = written_since("xmin", since, self._youngest())
            condition = " WHERE " + " OR ".join([young, *(f"tableoid = {part}" for part in but_all_of)])
        selected = f"(SELECT {', '.join(map(_quoted, columns))} FROM {_source(table)}{condition}) AS rows"  # noqa: S608 - quoted
        reader = (
            self._spark.read.format("jdbc")
            .options(**self._properties)
            .options(url=self._url, dbtable=selected, fetchsize=_FETCH_SIZE, sessionInitStatement=self._join())
        )
        found = {field.name: field.dataType.simpleString() for field in reader.load().schema.fields}
        if found != dict(columns):
            wrong = [f"{name} is {kind} in the database" for name, kind in found.items() if columns.get(name) != kind]
            raise SettingsError(f"{table.name}: {', '.join(wrong)}; allowed: the types in tables.json")
        if table.partition_column is not None and table.partitions > 1:
            reader = reader.options(**self._ranges(table.partition_column, table.partitions, selected))
        return reader.load()

    def _join(self) -> str:
        """Return what each of Spark's connections says first."""
        return (
            f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {_literal(self._id)}"
        )

    def _youngest(self) -> int:
        """Return the greatest number that a transaction may have which this moment sees."""
        ((beyond,),) = self._query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", 1)
        return int(beyond) - 1

    def _ranges(self, column: str, partitions: int, selected: str) -> dict[str, str]:
        quoted = _quoted(column)
        ((low, high),) = self._query(f"SELECT min({quoted})::text, max({quoted})::text FROM {selected}", 2)  # noqa: S608
        if low is None:
            return {}
        return {
            "partitionColumn": quoted,
            "lowerBound": low,
            "upperBound": high,
            "numPartitions": str(partitions),
        }

    def _execute(self, sql: str) -> None:
        statement = self._connection.createStatement()
        try:
            statement.execute(sql)
        finally:
            statement.close()

    def _query(self, sql: str, width: int) -> list[tuple[Any, ...]]:
        statement = self._connection.createStatement()
        try:
            rows = statement.executeQuery(sql)
            found = []
            while rows.next():
                found.append(tuple(rows.getString(index) for index in range(1, width + 1)))
            return found
        finally:
            statement.close()


def written_since(xmin: str, oldest: int, youngest: int) -> str:
    """Return the condition in SQL that a transaction wrote the row which isn't older than the oldest.

    Rows hold the lower 32 bits of its number, and those that were frozen meanwhile still do: so it says how far they
    are behind the youngest, around the circle. A row that went all the way around is taken for a young one: it is read
    once more than needed, and changes nothing.
    """
    return f"(({youngest} - {xmin}::text::bigint) & 4294967295) <= {youngest - oldest}"


def _source(table: TableSource) -> str:
    return ".".join(map(_quoted, table.source.split(".")))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

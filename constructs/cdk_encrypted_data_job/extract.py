"""Tables of a PostgreSQL database as frames: over verified TLS, all of one moment, in ranges side by side."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
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
class Reading:
    """What is read of a table in this run.

    Attributes:
        rows: The rows, not yet read.
        value: The greatest bookmark among all rows until now, as text; None without a bookmark or a row.
        new: Whether there is anything to read.
    """

    rows: DataFrame
    value: str | None
    new: bool


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

    def read(self, table: TableSource, columns: Mapping[str, str], after: str | None) -> Reading:
        """Return the rows of a table, of these columns; with a bookmark, those after a value of it.

        Raises:
            SettingsError: the table has other columns than the rules are about.
        """
        for needed in (table.partition_column, table.bookmark):
            if needed is not None and needed not in columns:
                raise SettingsError(f"{table.name}: {needed} isn't in tables.json; allowed: {', '.join(columns)}")
        if table.partition_column is not None and columns[table.partition_column] not in {"int", "bigint", "date"}:
            raise SettingsError(f"{table.name}: {table.partition_column} can't part it; allowed: int, bigint or date")
        source = ".".join(map(_quoted, table.source.split(".")))
        condition, value, new = "", after, True
        if table.bookmark is not None:
            condition, value, new = self._since(table.bookmark, source, after)
        selected = f"(SELECT {', '.join(map(_quoted, columns))} FROM {source}{condition}) AS rows"  # noqa: S608 - quoted
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
        return Reading(rows=reader.load(), value=value, new=new)

    def _join(self) -> str:
        """Return what each of Spark's connections says first."""
        return (
            f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {_literal(self._id)}"
        )

    def _since(self, bookmark: str, source: str, after: str | None) -> tuple[str, str | None, bool]:
        column = _quoted(bookmark)
        # A literal without a type takes the column's.
        beyond = "" if after is None else f" WHERE {column} > {_literal(after)}"
        ((greatest, nulls),) = self._query(
            f"SELECT max({column})::text, count(*) FILTER (WHERE {column} IS NULL) FROM {source}"  # noqa: S608 - quoted
            + (f"{beyond} OR {column} IS NULL" if beyond else ""),
            2,
        )
        if int(nulls):
            raise SettingsError(f"the bookmark {bookmark} is null in {nulls} rows; allowed: a column that never is")
        return beyond, greatest if greatest is not None else after, greatest is not None

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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""What the job is told: exactly the arguments that its Glue job passes. None of them is a secret."""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from cdk_encrypted_data_job.errors import SettingsError

MOST_PARTITIONS = 64
"""Connections to the database that one table may be read with at the same time."""
MOST_OUTPUT_PARTITIONS = 1000
_OUTPUT_PARTITIONS = 8
_PARTITIONS = 4

_CUSTOMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VIEW = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_BOOKMARK = re.compile("xmin")
_SOURCE = re.compile(rf"{_COLUMN.pattern}(\.{_COLUMN.pattern})?")
_KEY_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")
_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<name>[A-Za-z0-9!_.*'()/=-]*)")
# Whatever is said after a question mark could take the verified TLS away, or carry the password.
_JDBC = re.compile(r"jdbc:postgresql://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9_.$-]+")
# Glue tries again under the first run's id with this behind it.
_ATTEMPT = re.compile(r"_attempt_[0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """How a table is read.

    Attributes:
        name: The name rules know it by: lower case letters, digits and underscores.
        source: Its name in the database, `table` or `schema.table`; case matters.
        partition_column: An `int`, `bigint` or `date` that parts it into ranges which are read at the same time.
        partitions: Connections that read it at the same time, 1 to 64; only with `partition_column`.
        bookmark: `xmin`, PostgreSQL's own mark of the transaction that wrote a row. With it, a run reads the rows of
            all transactions that the last finished run couldn't see, and earlier runs' rows are kept; the table needs a
            primary key, by which a changed row takes the place of the row it was. Without it, a run reads the whole
            table. No other column will do: numbers of sequences and times of day don't grow in the order of commits.
    """

    name: str
    source: str
    partition_column: str | None = None
    partitions: int = 1
    bookmark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The job's arguments, checked.

    Attributes:
        customer: Whose data it is.
        key_arn: The customer's KMS key, in the bucket's Region.
        bucket: The customer's bucket.
        prefix: What the names of manifests and outputs begin with, ending in a slash, or empty.
        secret_arn: The secret in Secrets Manager that holds `username` and `password` of the database, as JSON.
        jdbc_url: The database: `jdbc:postgresql://host:port/database`, without parameters.
        ca_certificate: The certificate, in PEM, that the database's certificate must descend from.
        tables: What is read.
        rules_bucket: Where the rules lie.
        rules_name: The object with the rules: a zip of SQL files.
        run_id: The same when a run is tried again, another for another run.
        output_partitions: How many tasks write an output at the same time, each at least a file.
        state_prefix: What the names of rows that are kept for the next run begin with, ending in a slash: another
            place of the same bucket, since these are rows from before the rules. None if no table has a bookmark.
    """

    customer: str
    key_arn: str
    bucket: str
    prefix: str
    secret_arn: str
    jdbc_url: str
    ca_certificate: str
    tables: tuple[TableSource, ...]
    rules_bucket: str
    rules_name: str
    run_id: str
    output_partitions: int = _OUTPUT_PARTITIONS
    state_prefix: str | None = None

    @property
    def region(self) -> str:
        """The Region of the key, the bucket and the secret."""
        return _matched(_KEY_ARN, self.key_arn)["region"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


class _Once(argparse.Action):
    """Store a value, and refuse a second one.

    Glue passes whatever else a run is started with as well. A value in it that begins with ``--jdbc-url=`` would be
    read as that argument, and argparse takes the last: the database's password would go to another host.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice; allowed: once")
        setattr(namespace, self.dest, values)


def parser() -> argparse.ArgumentParser:
    """Return what parses the job's own arguments; Glue passes others as well."""
    # Abbreviations would take Glue's arguments for ours.
    made = _Parser(prog="cdk-encrypted-data-job", allow_abbrev=False, add_help=False)
    made.register("action", None, _Once)
    made.add_argument("--customer", required=True, help="whose data it is")
    made.add_argument("--key-arn", required=True, help="the customer's KMS key")
    made.add_argument("--output", required=True, metavar="s3://BUCKET/PREFIX", help="where encrypted files go")
    made.add_argument("--state", metavar="s3://BUCKET/PREFIX", help="where rows are kept that are read once only")
    made.add_argument("--secret-arn", required=True, help="the secret with the database's username and password")
    made.add_argument("--jdbc-url", required=True, metavar="jdbc:postgresql://HOST:PORT/DATABASE")
    made.add_argument("--ca-certificate", required=True, help="PEM, or the base64 between its first and last line")
    made.add_argument(
        "--tables",
        required=True,
        metavar="JSON",
        help='[{"name": …, "source": …, "partition_column": …, "partitions": …, "bookmark": …}, …]',
    )
    made.add_argument("--rules", required=True, metavar="s3://BUCKET/NAME.zip", help="SQL files; see docs/job.md")
    made.add_argument("--output-partitions", type=int, help="1 to 1000, default 8")
    made.add_argument("--run-id", help="by default Glue's --JOB_RUN_ID, without the number of the attempt")
    made.add_argument("--JOB_RUN_ID", action="store", help=argparse.SUPPRESS)
    return made


def parse(argv: Sequence[str]) -> Arguments:
    """Return the arguments, checked; those of Glue are passed over.

    Raises:
        SettingsError: one is missing, is given twice, or can't be right.
    """
    given, _of_glue = parser().parse_known_args(list(argv))
    output = _check(_S3, "output", given.output, "s3://BUCKET/PREFIX")
    rules = _check(_S3, "rules", given.rules, "s3://BUCKET/NAME.zip")
    if not rules["name"].endswith(".zip"):
        raise SettingsError(f"rules is {given.rules!r}; allowed: an object whose name ends in .zip")
    _check(_CUSTOMER, "customer", given.customer, "1 to 63 letters, digits, dots, hyphens and underscores")
    _check(_KEY_ARN, "key_arn", given.key_arn, "the ARN of a KMS key; an alias could come to mean another one")
    _check(_SECRET_ARN, "secret_arn", given.secret_arn, "the ARN of a secret")
    if not _JDBC.fullmatch(given.jdbc_url):
        # Not shown: it may hold a password, which is what is wrong with it.
        raise SettingsError(
            "jdbc_url is something else; allowed: jdbc:postgresql://HOST:PORT/DATABASE, without user, password or "
            "parameters; the job adds verified TLS, and the secret says who"
        )
    output_partitions = _OUTPUT_PARTITIONS if given.output_partitions is None else given.output_partitions
    if not 1 <= output_partitions <= MOST_OUTPUT_PARTITIONS:
        raise SettingsError(f"output_partitions is {output_partitions}; allowed: 1 to {MOST_OUTPUT_PARTITIONS}")
    read = tables(given.tables)
    prefix = _folder(output)
    return Arguments(
        customer=given.customer,
        key_arn=given.key_arn,
        bucket=output["bucket"],
        prefix=prefix,
        secret_arn=given.secret_arn,
        jdbc_url=given.jdbc_url,
        ca_certificate=certificate(given.ca_certificate),
        tables=read,
        rules_bucket=rules["bucket"],
        rules_name=rules["name"],
        run_id=_run_id(given.run_id, given.JOB_RUN_ID),
        output_partitions=output_partitions,
        state_prefix=_state(given.state, read, bucket=output["bucket"], prefix=prefix),
    )


def tables(text: str) -> tuple[TableSource, ...]:
    """Return what `--tables` says.

    Raises:
        SettingsError: it isn't JSON, or a table can't be read so.
    """
    try:
        entries = json.loads(text)
    except ValueError:
        raise SettingsError("tables is no JSON; allowed: a list of objects") from None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError("tables is no list of objects; allowed: an object for each table, one at least")
    found = tuple(_table(entry) for entry in entries)
    names = [table.name for table in found]
    if len(set(names)) != len(names):
        raise SettingsError(f"tables are named {', '.join(names)}; allowed: each name once")
    return found


def certificate(text: str) -> str:
    """Return the one certificate in PEM, given so or as the base64 in it, with line breaks or without.

    Raises:
        SettingsError: it is none, or several.
    """
    body = re.fullmatch(
        r"\s*(?:-----BEGIN CERTIFICATE-----)?(?P<base64>[A-Za-z0-9+/=\s]+)(?:-----END CERTIFICATE-----)?\s*",
        text.replace("\\n", "\n"),
    )
    try:
        # A certificate is a SEQUENCE in DER.
        der = base64.b64decode("".join(body["base64"].split()), validate=True) if body else b""
    except binascii.Error:
        der = b""
    if not der.startswith(b"\x30"):
        raise SettingsError(
            "ca_certificate is no single certificate; allowed: one, in PEM; the driver takes one only, "
            "so name the authority of this database, not a bundle"
        )
    lines = base64.encodebytes(der).decode().replace("\n", "")
    wrapped = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n"


def _table(entry: dict[str, object]) -> TableSource:
    unknown = entry.keys() - {"name", "source", "partition_column", "partitions", "bookmark"}
    if unknown:
        raise SettingsError(f"a table has {', '.join(sorted(unknown))}; allowed: what `TableSource` has")
    texts = {"name": _VIEW, "source": _SOURCE, "partition_column": _COLUMN, "bookmark": _BOOKMARK}
    values: dict[str, str | None] = {}
    for field, pattern in texts.items():
        value = entry.get(field)
        needed = field in {"name", "source"}
        if (value is None and needed) or not (value is None or (isinstance(value, str) and pattern.fullmatch(value))):
            raise SettingsError(f"a table's {field} is {value!r}; allowed: {pattern.pattern}")
        values[field] = value if isinstance(value, str) else None
    column = values["partition_column"]
    partitions = entry.get("partitions", _PARTITIONS if column else 1)
    if not isinstance(partitions, int) or isinstance(partitions, bool) or not 1 <= partitions <= MOST_PARTITIONS:
        raise SettingsError(f"a table's partitions is {partitions!r}; allowed: 1 to {MOST_PARTITIONS}")
    if partitions > 1 and column is None:
        raise SettingsError(f"a table's partitions is {partitions} without partition_column; allowed: 1, or name one")
    return TableSource(
        name=values["name"] or "",
        source=values["source"] or "",
        partition_column=column,
        partitions=partitions,
        bookmark=values["bookmark"],
    )


def _state(given: str | None, read: Sequence[TableSource], *, bucket: str, prefix: str) -> str | None:
    if given is None:
        if bookmarked := [table.name for table in read if table.bookmark is not None]:
            raise SettingsError(
                f"state is missing, and {', '.join(bookmarked)} has a bookmark; allowed: s3://BUCKET/PREFIX, where "
                "rows are kept for the next run"
            )
        return None
    place = _check(_S3, "state", given, "s3://BUCKET/PREFIX")
    state = _folder(place)
    # Rows from before the rules: who was given a prefix to read outputs must not find them under it.
    apart = state and not state.startswith(prefix) and not prefix.startswith(state)
    if place["bucket"] != bucket or not apart:
        raise SettingsError(
            f"state is {given!r}, beside the output in s3://{bucket}/{prefix}; allowed: another prefix of that bucket, "
            "neither within the other"
        )
    return state


def _folder(place: re.Match[str]) -> str:
    folder = place["name"].strip("/")
    return f"{folder}/" if folder else ""


def _run_id(given: str | None, of_glue: str | None) -> str:
    run_id = given or _ATTEMPT.sub("", of_glue or "")
    if not run_id:
        raise SettingsError("run_id is missing; allowed: --run-id, or Glue's own --JOB_RUN_ID")
    _check(_RUN_ID, "run_id", run_id, "1 to 128 letters, digits, dots, hyphens and underscores")
    return run_id


def _check(pattern: re.Pattern[str], name: str, value: str, allowed: str) -> re.Match[str]:
    match = pattern.fullmatch(value)
    if match is None:
        raise SettingsError(f"{name} is {value!r}; allowed: {allowed}")
    return match


def _matched(pattern: re.Pattern[str], value: str) -> re.Match[str]:
    match = pattern.fullmatch(value)
    assert match is not None  # noqa: S101 - checked when it was parsed
    return match

"""Rules as files: what a set of rules holds, in which order it runs. No Spark here, and no SQL parser."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from cdk_encrypted_data_job.errors import SettingsError

TABLES = "tables.json"
"""The file that says which columns of which tables the rules are about."""
TYPES = re.compile(r"boolean|int|bigint|double|decimal\([0-9]{1,2},[0-9]{1,2}\)|string|date|timestamp")
"""The types a column may have, in Spark's words."""
_STEP = re.compile(r"(?P<number>[0-9]{2})_(?P<name>[a-z][a-z0-9_]*)\.sql")
_CHECK = re.compile(r"(?P<name>check_[a-z][a-z0-9_]*)\.sql")
_WRITE = re.compile(r"write_(?P<name>[a-z][a-z0-9_]*)\.sql")
_VIEW = re.compile(r"[a-z][a-z0-9_]*")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_MOST_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One SELECT.

    Attributes:
        name: What others know its rows by; of a check and of an output, their name.
        file: The file it is in.
        sql: The statement.
    """

    name: str
    file: str
    sql: str

    def mentions(self, name: str) -> bool:
        """Say whether the statement may read a table or a step: whether its name stands in it, comments aside."""
        return re.search(rf"\b{re.escape(name)}\b", re.sub(r"--.*", "", self.sql), re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules of a job.

    Attributes:
        tables: The columns of each table and their types, in Spark's words.
        steps: `NN_name.sql`, in order: each may read tables and steps before it.
        checks: `check_name.sql`: each must find no row, or nothing is written.
        outputs: `write_name.sql`: what is written, and nothing else is.
        digest: The SHA-256 of all of it.
    """

    tables: Mapping[str, Mapping[str, str]]
    steps: tuple[Rule, ...]
    checks: tuple[Rule, ...]
    outputs: tuple[Rule, ...]
    digest: str


def rules_from(files: Mapping[str, str]) -> RuleSet:
    """Return the rules in files, by name and text.

    Raises:
        SettingsError: a file isn't named as rules are, a name is used twice, or there is nothing to write.
    """
    steps: dict[str, tuple[str, Rule]] = {}
    checks: list[Rule] = []
    outputs: list[Rule] = []
    tables = _tables(files.get(TABLES))
    for file, text in sorted(files.items()):
        if file == TABLES or file.endswith(".md"):
            continue
        if match := _STEP.fullmatch(file):
            number, name = match["number"], match["name"]
            if name in tables or name in steps:
                raise SettingsError(f"{file}: {name} is a table or a step already; allowed: each name once")
            if any(number == other for other, _rule in steps.values()):
                raise SettingsError(
                    f"{file}: another step has {number}; allowed: each number once, so that one is first"
                )
            steps[name] = number, Rule(name=name, file=file, sql=text)
        elif match := _CHECK.fullmatch(file):
            checks.append(Rule(name=match["name"], file=file, sql=text))
        elif match := _WRITE.fullmatch(file):
            outputs.append(Rule(name=match["name"], file=file, sql=text))
        else:
            raise SettingsError(
                f"{file} is no rule; allowed: {TABLES}, NN_name.sql, check_name.sql, write_name.sql, and .md for people"
            )
    if not outputs:
        raise SettingsError("no file is named write_name.sql; allowed: one at least, or nothing would be written")
    digest = hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()
    in_order = tuple(rule for _number, rule in steps.values())
    return RuleSet(tables=tables, steps=in_order, checks=tuple(checks), outputs=tuple(outputs), digest=digest)


def rules_from_zip(data: bytes) -> RuleSet:
    """Return the rules in a zip, in whatever folder of it.

    Raises:
        SettingsError: as `rules_from`, or it is no zip of texts.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > _MOST_BYTES:
                raise SettingsError(f"the rules are larger than {_MOST_BYTES} bytes; allowed: SQL files")
            files = {entry.filename.rpartition("/")[2]: archive.read(entry).decode() for entry in entries}
    except (zipfile.BadZipFile, UnicodeDecodeError):
        raise SettingsError("the rules are no zip of SQL files in UTF-8") from None
    if len(files) != len(entries):
        raise SettingsError("the rules have two files of one name; allowed: one folder")
    return rules_from(files)


def _tables(text: str | None) -> dict[str, dict[str, str]]:
    if text is None:
        raise SettingsError(f'{TABLES} is missing; allowed: {{"table": {{"column": "type", …}}, …}}')
    try:
        tables = json.loads(text)
    except ValueError:
        raise SettingsError(f"{TABLES} is no JSON") from None
    if not isinstance(tables, dict) or not tables:
        raise SettingsError(f'{TABLES} holds no table; allowed: {{"table": {{"column": "type", …}}, …}}')
    for table, columns in tables.items():
        if not _VIEW.fullmatch(table) or not isinstance(columns, dict) or not columns:
            raise SettingsError(f"{TABLES}: {table!r}; allowed: lower case letters, digits, underscores, with columns")
        for column, kind in columns.items():
            if not _COLUMN.fullmatch(column) or not isinstance(kind, str) or not TYPES.fullmatch(kind):
                raise SettingsError(f"{TABLES}: {table}.{column} is {kind!r}; allowed: {TYPES.pattern}")
    return tables

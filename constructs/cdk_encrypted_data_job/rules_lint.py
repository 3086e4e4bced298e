"""What is wrong with a set of rules, found without Spark and without data: at synth, before anything is deployed.

It needs sqlglot, which the job in Glue doesn't.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import OptimizeError, ParseError, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from cdk_encrypted_data_job.errors import SettingsError
from cdk_encrypted_data_job.rules import Rule, RuleSet, rules_from


class _AnsiSpark(Spark):
    """Spark as the job runs it, where CAST fails and TRY_CAST doesn't."""

    class Parser(Spark.Parser):  # type: ignore[misc, valid-type] # sqlglot makes it a variable
        STRICT_CAST = True


# What turns a text into a date, a time or a number by a format, and what takes a text for a date.
_CONVERSIONS = (exp.TsOrDsToDate, exp.TsOrDsAdd, exp.StrToTime, exp.StrToDate, exp.StrToUnix, exp.ToNumber)
# They fail with what they are given in their message.
_TELLING = {"raise_error", "assert_true", "to_binary", "to_char"}
# They give another result each time, and a task that is run again would give other rows.
_UNSTEADY = {"shuffle", "monotonically_increasing_id", "spark_partition_id", "input_file_name", "random"}
_UNSTEADY_NODES = (exp.Rand, exp.Randn, exp.Uuid, exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentDatetime)
_TEXTS = {*exp.DataType.TEXT_TYPES, exp.DataType.Type.UNKNOWN}
_OTHERS = {*exp.DataType.NUMERIC_TYPES, *exp.DataType.TEMPORAL_TYPES, exp.DataType.Type.BOOLEAN}


def lint(files: Mapping[str, str], *, tables: Collection[str] | None = None) -> list[str]:
    """Return what is wrong with rules, one sentence each; nothing if they can run.

    Args:
        files: The texts of the files by name, as `rules_from` takes them.
        tables: The names of the tables that the job reads, if they are known: others are unknown to the rules.
    """
    try:
        rules = rules_from(files)
    except SettingsError as error:
        return [str(error)]
    return [*_tables(rules, tables), *_rules(rules)]


def _tables(rules: RuleSet, given: Collection[str] | None) -> Iterator[str]:
    if given is None:
        return
    for table in sorted(rules.tables.keys() - set(given)):
        yield f"tables.json: {table} is no table of the job; it reads {', '.join(sorted(given))}"


def _rules(rules: RuleSet) -> Iterator[str]:
    known: dict[str, dict[str, str]] = {name: dict(columns) for name, columns in rules.tables.items()}
    later = {rule.name: rule.file for rule in rules.steps}
    for rule in (*rules.steps, *rules.checks, *rules.outputs):
        # Its columns stay unknown to what follows, if something is wrong with it: one mistake, one sentence.
        columns: dict[str, str] = {}
        wrong = []
        try:
            query = _parsed(rule)
            wrong = [*_names(rule, query, known, later), *_functions(query)]
            if not wrong and all(known[table] for table in _sources(query)):
                columns, wrong = _columns(query, known)
        except (SqlglotError, _NotOneSelect) as error:
            wrong = [_first_line(error)]
        yield from (f"{rule.file}: {each}" for each in wrong)
        if rule in rules.steps:
            known[rule.name] = columns
            del later[rule.name]


class _NotOneSelect(Exception):  # noqa: N818 - never leaves this file
    pass


def _parsed(rule: Rule) -> exp.Query:
    statements = [each for each in sqlglot.parse(rule.sql, dialect=_AnsiSpark) if each is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise _NotOneSelect("it isn't one SELECT; allowed: one, with WITH before it if need be")
    return statements[0]


def _sources(query: exp.Expr) -> list[str]:
    own = {cte.alias_or_name.lower() for cte in query.find_all(exp.CTE)}
    return [table.name.lower() for table in query.find_all(exp.Table) if table.name.lower() not in own]


def _names(
    rule: Rule, query: exp.Query, known: Mapping[str, Mapping[str, str]], later: Mapping[str, str]
) -> Iterator[str]:
    for table in query.find_all(exp.Table):
        if table.db or table.catalog:
            yield f"{_text(table)} is outside; allowed: tables of tables.json and steps, by their names"
    for name in sorted(set(_sources(query)) - known.keys()):
        if name == rule.name:
            yield "it reads itself; allowed: tables and steps before it"
        elif name in later:
            yield f"it reads {name}, which {later[name]} makes after it; allowed: tables and steps before it"
        else:
            yield f"it reads {name}, which is no table and no step; allowed: {', '.join(sorted(known))}"
    shadowed = {cte.alias_or_name.lower() for cte in query.find_all(exp.CTE)} & known.keys()
    for name in sorted(shadowed):
        yield f"WITH names {name}, which is a table or a step already; allowed: another name"


def _functions(query: exp.Query) -> Iterator[str]:
    for cast in query.find_all(exp.Cast):
        # Everything can become a text, and what stands in the rule is no secret.
        safe = isinstance(cast, exp.TryCast) or cast.to.this in exp.DataType.TEXT_TYPES
        if not safe and not isinstance(cast.this, exp.Literal | exp.Null | exp.Neg):
            yield f"{_text(cast)} fails with the value in its message; allowed: TRY_CAST, and a check of nulls"
    for function in query.find_all(exp.Func):
        name = function.name.lower() if isinstance(function, exp.Anonymous) else function.sql_name().lower()
        if name in _TELLING:
            yield f"{name} fails with the value in its message; allowed: a check that counts rows"
        if name in _UNSTEADY or isinstance(function, _UNSTEADY_NODES):
            yield f"{_text(function)} isn't the same when a task is run again; allowed: what the data alone decide"


def _columns(query: exp.Query, known: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Return the columns of what is selected and their types, or what is wrong."""
    schema: dict[str, Any] = {name: dict(columns) for name, columns in known.items() if columns}
    try:
        qualified = qualify(query.copy(), schema=schema, dialect=_AnsiSpark, validate_qualify_columns=True)
    except (OptimizeError, ParseError) as error:
        return {}, [_first_line(error)]
    typed = annotate_types(qualified, schema=schema, dialect=_AnsiSpark)
    assert isinstance(typed, exp.Query)  # noqa: S101 - it was one
    names = [select.alias_or_name for select in typed.selects]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return {}, [f"it has {', '.join(twice)} twice; allowed: each column once"]
    columns = {
        select.alias_or_name: (select.type or exp.DataType.build("unknown")).sql(dialect=_AnsiSpark)
        for select in typed.selects
    }
    return columns, list(_conversions(typed))


def _conversions(query: exp.Query) -> Iterator[str]:
    """Yield what Spark would convert from a text: it fails with that text in its message."""
    for node in query.find_all(*_CONVERSIONS):
        if _is_text(node.this):
            yield (
                f"{_text(node)} fails with the value in its message; allowed: TRY_CAST or try_to_timestamp, "
                "and a check of nulls"
            )
    for binary in query.find_all(exp.Binary):
        if isinstance(binary, exp.Connector | exp.DPipe | exp.Like | exp.Dot):
            continue
        for text, other in ((binary.left, binary.right), (binary.right, binary.left)):
            if _is_text(text) and other.type is not None and other.type.this in _OTHERS:
                yield f"{_text(binary)} converts a text, and fails with it in the message; allowed: TRY_CAST around it"


def _is_text(node: exp.Expr) -> bool:
    return not isinstance(node, exp.Literal) and (node.type is None or node.type.this in _TEXTS)


def _text(node: exp.Expr) -> str:
    return node.sql(dialect=_AnsiSpark)


def _first_line(error: Exception) -> str:
    # sqlglot underlines with terminal codes.
    return str(error).splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")

"""Customers: what is said of each once, in code or in a file. One more customer is one more entry."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdk_encrypted_data import validation
from cdk_encrypted_data.validation import Text

PARTITIONS = (1, 64)
"""How many connections may read a table at the same time."""

MAXIMUM_WORKERS = (2, 299)
"""The fewest and the most workers that a run may have."""

TIMEOUT_MINUTES = (1, 10_080)
"""How long a run may take, in minutes: a minute to seven days."""

RETRIES = (0, 10)
"""How often Glue may start a failed run again."""

TAGS = 40
"""How many tags a customer may have. AWS takes 50 of a resource; the library and the app need some."""

NAME = Text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
    "1 to 63 letters, digits, dots, hyphens and underscores, the first a letter or a digit",
    "choose one that never changes: it names the customer's key and bucket",
)
_TITLE = Text(re.compile(r"[\w .:/=+@-]{1,128}"), "1 to 128 letters, digits, spaces and any of _.:/=+-@", "reword it")
_SECRET_ARN = Text(
    re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}"),
    "the whole ARN of a secret, with the six characters that Secrets Manager puts behind its name",
    "read it from the secret: a shorter one grants nothing",
)
_JDBC_URL = Text(
    # Whatever is said after a question mark could take the verified TLS away, or carry the password.
    re.compile(r"jdbc:postgresql://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9_.$-]+"),
    "jdbc:postgresql://HOST:PORT/DATABASE without user, password or parameters",
    "leave them out: the job adds verified TLS, and the secret says who",
)
_CERTIFICATE = Text(
    re.compile(r"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*"),
    "one certificate in PEM",
    "name the authority of this database, not a bundle: the driver takes one only",
)
_RULES = Text(
    re.compile(r"[a-z0-9][a-z0-9_-]{0,62}"),
    "the name of one of the sets of rules of the job's code: 1 to 63 lower-case letters, digits, hyphens, underscores",
    "name it as in JobCode",
)
_SCHEDULE = Text(
    re.compile(r"cron\((\S+ ){5}\S+\)"),
    "a schedule of six fields, such as cron(0 3 * * ? *), in UTC",
    "see https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html",
)
_KEY_ARN = validation.KEY_ARN
_VIEW = Text(
    re.compile(r"[a-z][a-z0-9_]{0,62}"),
    "1 to 63 lower-case letters, digits and underscores, the first a letter",
    "name it as the rules do",
)
_COLUMN = Text(
    re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}"), "a column's name, of letters, digits, _ and $", "case matters"
)
_SOURCE = Text(
    re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}(\.[A-Za-z_][A-Za-z0-9_$]{0,62})?"),
    "table or schema.table, of letters, digits, _ and $",
    "case matters",
)
_BOOKMARK = Text(
    re.compile("xmin"),
    "xmin, PostgreSQL's own mark of the transaction that wrote a row",
    "other columns don't grow in the order of commits, and what is committed late would never be read",
)
# Said by the library itself: who the resource belongs to, in the proofs and in off-boarding.
_OWN_TAGS = ("Name", "customer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """How a table of the customer's database is read.

    Attributes:
        name: The name that rules know it by: lower-case letters, digits and underscores.
        source: Its name in the database, ``table`` or ``schema.table``; case matters.
        partition_column: A number, date or timestamp that parts it into ranges which are read at the same time.
            Default: it is read in one piece.
        partitions: Connections that read it at the same time, 1 to 64. Default: what the job takes, 4 with a
            ``partition_column`` and 1 without.
        bookmark: ``xmin``, PostgreSQL's own mark of the transaction that wrote a row: a run reads the rows of all
            transactions that the last finished run couldn't see, and keeps what earlier runs have read. The table needs
            a primary key; rows that are deleted stay. No other column will do, since a row that is committed late would
            be lost: numbers of sequences and times of day don't grow in the order of commits. See docs/job.md. Default:
            each run reads the whole table.

    Raises:
        ValueError: If an attribute is out of bounds.
    """

    name: str
    source: str
    partition_column: str | None = None
    partitions: int | None = None
    bookmark: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be read so."""
        owner = f"table {self.name}"
        validation.check_text(owner, "name", self.name, _VIEW)
        validation.check_text(owner, "source", self.source, _SOURCE)
        validation.check_optional_text(owner, "partition_column", self.partition_column, _COLUMN)
        validation.check_optional_text(owner, "bookmark", self.bookmark, _BOOKMARK)
        if self.partitions is None:
            return
        validation.check_number(owner, "partitions", self.partitions, PARTITIONS)
        if self.partitions > 1 and self.partition_column is None:
            raise validation.refusal(
                owner,
                "partitions",
                got=self.partitions,
                allowed="1 without partition_column",
                remedy="name a column that parts the table",
            )

    def as_argument(self) -> dict[str, object]:
        """Return what the job is told of the table."""
        said = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer, as `PerCustomerGlueJob` needs to know them.

    Attributes:
        name: What the customer's resources are named by, for ever: another name is another customer, with a new key and
            a new, empty bucket. 1 to 63 letters, digits, dots, hyphens and underscores.
        title: What people call the customer; it may change. Default: the name.
        secret_arn: The secret in Secrets Manager with ``username`` and ``password`` of their database, as JSON. No
            other customer's: `check_customers` refuses a shared one, of the customers that it is given.
        secret_key_arn: The customer managed key of that secret. Default: the AWS managed key, which needs no grant.
        jdbc_url: Their database: ``jdbc:postgresql://HOST:PORT/DATABASE``, without user, password or parameters.
        ca_certificate: The certificate, in PEM, that the database's certificate must descend from. Public, no secret.
        tables: What is read of it.
        rules: Which set of rules of the job's code is applied.
        schedule: When the job runs, in UTC, such as ``cron(0 3 * * ? *)``. Default: when somebody starts it.
        readers: ARNs of roles and users of the job's account, who read and decrypt what the job writes, and may not
            administer the key. The key names them, so they must be there when it is deployed; attach to each the policy
            that `PerCustomerGlueJob` makes for them. Default: nobody but the job.
        worker_type: The size of the workers, ``G.1X`` to ``G.16X`` or ``R.1X`` to ``R.8X``. Default, of this and the
            next three: what `PerCustomerGlueJob` is told for those who say nothing.
        maximum_workers: 2 to 299, of which Glue takes what a run has use for.
        timeout_minutes: When a run is ended: 1 to 10080 minutes, which are seven days.
        retries: How often Glue starts a failed run again: 0 to 10. With 0, runs for which the account has no room wait.
        tags: Further tags of the customer's resources, at most 40. Default: none.

    Raises:
        ValueError: If an attribute is out of bounds.
    """

    name: str
    secret_arn: str
    jdbc_url: str
    ca_certificate: str
    tables: Sequence[TableSource]
    rules: str
    title: str | None = None
    secret_key_arn: str | None = None
    schedule: str | None = None
    readers: Sequence[str] = ()
    worker_type: str | None = None
    maximum_workers: int | None = None
    timeout_minutes: int | None = None
    retries: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the job couldn't work with."""
        owner = f"customer {self.name}"
        validation.check_known_text(owner, "name", self.name, NAME)
        validation.check_optional_text(owner, "title", self.title, _TITLE)
        validation.check_text(owner, "secret_arn", self.secret_arn, _SECRET_ARN)
        validation.check_optional_text(owner, "secret_key_arn", self.secret_key_arn, _KEY_ARN)
        _check_jdbc_url(owner, self.jdbc_url)
        validation.check_text(owner, "ca_certificate", self.ca_certificate, _CERTIFICATE)
        validation.check_list(owner, "tables", self.tables, TableSource, allowed="a list of TableSource")
        if not self.tables:
            raise validation.refusal(
                owner, "tables", got=self.tables, allowed="at least one table", remedy="name what is to be read"
            )
        _check_different(owner, "tables", [table.name for table in self.tables])
        validation.check_known_text(owner, "rules", self.rules, _RULES)
        validation.check_optional_text(owner, "schedule", self.schedule, _SCHEDULE)
        validation.check_texts(owner, "readers", self.readers, validation.PRINCIPAL_ARN)
        _check_different(owner, "readers", self.readers)
        validation.check_optional_text(owner, "worker_type", self.worker_type, validation.WORKER_TYPE)
        for argument, number, bounds in (
            ("maximum_workers", self.maximum_workers, MAXIMUM_WORKERS),
            ("timeout_minutes", self.timeout_minutes, TIMEOUT_MINUTES),
            ("retries", self.retries, RETRIES),
        ):
            if number is not None:
                validation.check_number(owner, argument, number, bounds)
        _check_tags(owner, self.tags)

    def all_tags(self) -> dict[str, str]:
        """Return the tags of the customer's resources: whose they are, what people call them, and their own."""
        return {"Name": self.title or self.name, "customer": self.name, **self.tags}


def customers_from(text: str) -> tuple[Customer, ...]:
    """Return the customers that a file lists, in TOML or JSON: ``customers``, a list of tables or objects.

    What ``defaults`` says holds for each customer that doesn't say otherwise. The names are those of `Customer` and
    `TableSource`.

    Args:
        text: The file's text. (TOML takes Python 3.11.)

    Raises:
        ValueError: If the text isn't read as TOML or JSON, says what no customer has, or says something twice.
    """
    document = _parsed(text)
    unknown = sorted(document.keys() - {"customers", "defaults"})
    entries, defaults = document.get("customers"), document.get("defaults", {})
    if unknown or not isinstance(entries, list) or not isinstance(defaults, dict):
        raise _refusal(unknown or entries, "a list named customers, and a table named defaults if there are any")
    found = tuple(_customer({**defaults, **each} if isinstance(each, dict) else each) for each in entries)
    check_customers("customers", found)
    return found


def check_customers(owner: str, customers: Sequence[Customer]) -> None:
    """Refuse customers that couldn't be told apart, or that share what keeps them apart.

    `customers_from` does it for the customers of a text. `PerCustomerGlueJob` knows one customer only: where customers
    are made in code, or come from several texts, this is to be called with all of them.

    Args:
        owner: Who asks, as the refusal begins: the app, the stack, the file.
        customers: All of them.

    Raises:
        ValueError: If two names are the same to people or to a service, or two customers have one secret.
    """
    validation.check_list(owner, "customers", customers, Customer, allowed="a list of Customer")
    seen: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for customer in customers:
        # Services disagree about case and about what else than letters and digits a name may have.
        plain = re.sub(r"[._-]", "-", customer.name.casefold())
        if plain in seen:
            raise validation.refusal(
                owner,
                "name",
                got=f"{seen[plain]} and {customer.name}",
                allowed="names that differ in more than case, dots, hyphens and underscores",
                remedy="give one of them another name, before it is deployed",
            )
        if customer.secret_arn in secrets:
            raise validation.refusal(
                owner,
                "secret_arn",
                got=f"the same of {secrets[customer.secret_arn]} and {customer.name}",
                allowed="a secret for each customer",
                remedy="make one: with a shared secret each job could read the other's database",
            )
        seen[plain] = secrets[customer.secret_arn] = customer.name


def _parsed(text: object) -> dict[str, object]:
    if not isinstance(text, str):
        raise _refusal(text, "the text of a file, in TOML or JSON")
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else _toml(text)
    except ValueError as error:
        raise _refusal(f"a text that can't be read: {error}", "TOML, or a JSON object") from error
    return document if isinstance(document, dict) else {}


def _toml(text: str) -> object:
    try:
        import tomllib  # noqa: PLC0415 - not in Python 3.10
    except ModuleNotFoundError:
        raise _refusal("TOML", "JSON on Python 3.10") from None
    return tomllib.loads(text)


def _customer(entry: object) -> Customer:
    named = {each.name for each in dataclasses.fields(Customer)}
    needed = {each.name for each in dataclasses.fields(Customer) if _is_needed(each)}
    if not isinstance(entry, dict) or not needed <= entry.keys() <= named:
        odd = sorted(entry.keys() ^ needed - named) if isinstance(entry, dict) else entry
        raise _refusal(
            f"{entry.get('name', 'an entry')} with {odd}" if isinstance(entry, dict) else odd,
            f"entries with {', '.join(sorted(needed))}, and any of {', '.join(sorted(named - needed))}",
        )
    tables = entry["tables"]
    if not isinstance(tables, list):
        raise _refusal(tables, "a list of tables of each customer")
    return Customer(**{**entry, "tables": tuple(map(_table, tables))})


def _table(entry: object) -> TableSource:
    named = {each.name for each in dataclasses.fields(TableSource)}
    needed = {each.name for each in dataclasses.fields(TableSource) if _is_needed(each)}
    if not isinstance(entry, dict) or not needed <= entry.keys() <= named:
        raise _refusal(
            entry,
            f"tables with {', '.join(sorted(needed))}, and any of {', '.join(sorted(named - needed))}",
        )
    return TableSource(**entry)


def _is_needed(each: dataclasses.Field[object]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def _check_jdbc_url(owner: str, url: object) -> None:
    try:
        validation.check_text(owner, "jdbc_url", url, _JDBC_URL)
    except ValueError:
        # Not shown: it may hold a password, which is what is wrong with it.
        raise validation.refusal(
            owner, "jdbc_url", got="something else", allowed=_JDBC_URL.allowed, remedy=_JDBC_URL.remedy
        ) from None


def _check_different(owner: str, argument: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise validation.refusal(
            owner, argument, got=list(names), allowed="each name once", remedy="rename one, or leave it out"
        )


def _check_tags(owner: str, tags: object) -> None:
    if not isinstance(tags, Mapping) or len(tags) > TAGS:
        raise validation.refusal(
            owner, "tags", got=tags, allowed=f"a dict of at most {TAGS} texts", remedy='write {"cost-center": "4711"}'
        )
    for name, value in tags.items():
        validation.check_known_text(owner, "tags", name, validation.TAG_KEY)
        validation.check_text(owner, "tags", value, validation.TAG_VALUE)
        if name.casefold() in {each.casefold() for each in _OWN_TAGS}:
            raise validation.refusal(
                owner, "tags", got=name, allowed="tags other than Name and customer", remedy="they are the library's"
            )


def _refusal(got: object, allowed: str) -> ValueError:
    return validation.refusal("customers", "text", got=got, allowed=allowed, remedy="change it in the file")

"""Customers as they are listed: what is read of a file, and what is refused."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from cdk_encrypted_data import Customer, TableSource, check_customers, customers_from
from tests.customers.fixtures import CERTIFICATE, READER, customer

_TOML = f"""
[defaults]
rules = "clinical-trials"
ca_certificate = '''
{CERTIFICATE}'''

[[defaults.tables]]
name = "subjects"
source = "public.subjects"

[[customers]]
name = "acme"
secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:acme/database-AbCdEf"
jdbc_url = "jdbc:postgresql://acme.example.com:5432/clinical"

[[customers]]
name = "globex"
secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:globex/database-AbCdEf"
jdbc_url = "jdbc:postgresql://globex.example.com:5432/clinical"
schedule = "cron(0 3 * * ? *)"
tags = {{ "cost-center" = "4711" }}

[[customers.tables]]
name = "visits"
source = "public.visits"
partition_column = "visit_id"
"""


def as_json(*entries: dict[str, Any], **more: Any) -> str:  # noqa: ANN401
    return json.dumps({"customers": list(entries), **more})


def entry(name: str = "acme", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    one = customer(name)
    said = {field: getattr(one, field) for field in ("name", "secret_arn", "jdbc_url", "ca_certificate", "rules")}
    return {**said, "tables": [{"name": "subjects", "source": "public.subjects"}], **changes}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML takes Python 3.11")
def test_toml_with_defaults() -> None:
    acme, globex = customers_from(_TOML)
    assert acme == customer("acme", tables=(TableSource(name="subjects", source="public.subjects"),))
    assert globex.tables == (TableSource(name="visits", source="public.visits", partition_column="visit_id"),)
    assert (globex.schedule, globex.tags, globex.rules) == (
        "cron(0 3 * * ? *)",
        {"cost-center": "4711"},
        "clinical-trials",
    )


def test_json() -> None:
    assert [each.name for each in customers_from(as_json(entry("acme"), entry("globex")))] == ["acme", "globex"]


def test_readers_and_sizes_are_a_customers_own_or_everybodys() -> None:
    sizes = {"worker_type": "G.2X", "maximum_workers": 20, "timeout_minutes": 300, "retries": 0}
    text = as_json(entry("acme", readers=[READER], **sizes), entry("globex"), defaults={"retries": 2, "readers": []})
    acme, globex = customers_from(text)
    assert (acme.readers, acme.worker_type, acme.maximum_workers) == ([READER], "G.2X", 20)
    assert (acme.timeout_minutes, acme.retries) == (300, 0)
    assert (globex.readers, globex.maximum_workers, globex.retries) == ([], None, 2)


def test_nobody_is_a_list_of_customers_too() -> None:
    assert customers_from(as_json()) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[customers", "that can't be read"),
        ("{", "that can't be read"),
        ("customers = 7", "a list named customers"),
        ("{}", "a list named customers"),
        (as_json(entry(), people=[]), "a list named customers"),
        (as_json({"name": "acme"}), "entries with ca_certificate, jdbc_url, name"),
        (as_json(entry(user="x")), "entries with ca_certificate, jdbc_url, name"),
        (json.dumps({"customers": ["acme"]}), "entries with"),
        (as_json(entry(tables={})), "a list of tables"),
        (as_json(entry(tables=[{"name": "a"}])), "tables with name, source"),
        (as_json(entry(tables=[])), "at least one table"),
        (as_json(entry("acme"), entry("acme")), "names that differ"),
        (as_json(entry("acme-a"), entry("Acme.A")), "names that differ in more than case"),
        (
            as_json(entry("acme"), entry("globex", secret_arn=customer("acme").secret_arn)),
            "a secret for each customer",
        ),
    ],
)
def test_refused_lists(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)^customers?\b.*: \w+ is .*; allowed: .*{message}|{message}"):
        customers_from(text)


@pytest.mark.parametrize(
    ("said", "argument"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": 7}, "name"),
        ({"title": "a\nb"}, "title"),
        ({"secret_arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:acme"}, "secret_arn"),
        ({"secret_key_arn": "alias/acme"}, "secret_key_arn"),
        ({"jdbc_url": "jdbc:mysql://host/db"}, "jdbc_url"),
        ({"ca_certificate": "MIIB"}, "ca_certificate"),
        ({"ca_certificate": CERTIFICATE * 2}, "ca_certificate"),
        ({"tables": "subjects"}, "tables"),
        ({"tables": [TableSource(name="a", source="a"), TableSource(name="a", source="b")]}, "tables"),
        ({"rules": "../other"}, "rules"),
        ({"schedule": "every day"}, "schedule"),
        ({"readers": READER}, "readers"),
        ({"readers": ["acme-reader"]}, "readers"),
        ({"readers": ["arn:aws:iam::111122223333:root"]}, "readers"),
        ({"readers": ["arn:aws:iam::111122223333:role/*"]}, "readers"),
        ({"readers": ["arn:aws:iam::111122223333:group/readers"]}, "readers"),
        ({"readers": [READER, READER]}, "readers"),
        ({"worker_type": "Standard"}, "worker_type"),
        ({"maximum_workers": 1}, "maximum_workers"),
        ({"maximum_workers": "4"}, "maximum_workers"),
        ({"timeout_minutes": 0}, "timeout_minutes"),
        ({"timeout_minutes": 10_081}, "timeout_minutes"),
        ({"timeout_minutes": 1.5}, "timeout_minutes"),
        ({"retries": 11}, "retries"),
        ({"retries": True}, "retries"),
        ({"tags": {"customer": "other"}}, "tags"),
        ({"tags": {"Customer": "other"}}, "tags"),
        ({"tags": {"aws:x": "y"}}, "tags"),
        ({"tags": {str(number): "" for number in range(41)}}, "tags"),
        ({"tags": ["a"]}, "tags"),
    ],
)
def test_refused_customers(said: dict[str, Any], argument: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)^customer .*: {argument} is .*; allowed: .*; ") as caught:
        customer(**said)
    assert re.search(r"; allowed: [^;]+; .+[^.]$", str(caught.value), re.DOTALL)


def test_a_password_in_the_url_isnt_shown() -> None:
    with pytest.raises(ValueError, match="jdbc_url is 'something else'") as caught:
        customer(jdbc_url="jdbc:postgresql://host/db?password=hunter2")
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    ("said", "argument"),
    [
        ({"name": "Subjects"}, "name"),
        ({"source": "a.b.c"}, "source"),
        ({"source": "a; drop table b"}, "source"),
        ({"partition_column": "a b"}, "partition_column"),
        ({"bookmark": "changed_at"}, "bookmark"),
        ({"partitions": 0, "partition_column": "id"}, "partitions"),
        ({"partitions": 65, "partition_column": "id"}, "partitions"),
        ({"partitions": True, "partition_column": "id"}, "partitions"),
        ({"partitions": 2}, "partitions"),
    ],
)
def test_refused_tables(said: dict[str, Any], argument: str) -> None:
    with pytest.raises(ValueError, match=rf"^table .*: {argument} is .*; allowed: .*; "):
        TableSource(**{"name": "subjects", "source": "subjects", **said})


def test_lists_in_code_are_checked_as_well() -> None:
    check_customers("App", [customer("acme"), customer("globex")])
    with pytest.raises(ValueError, match=r"^App: name is 'acme and ACME'; allowed: names that differ"):
        check_customers("App", [customer("acme"), customer("ACME")])


def test_title_and_tags() -> None:
    one = customer(title="Acme Ltd", tags={"cost-center": "4711"})
    assert one.all_tags() == {"Name": "Acme Ltd", "customer": "acme", "cost-center": "4711"}
    assert isinstance(one, Customer)

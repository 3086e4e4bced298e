"""The numbers of docs/fleets.md are those of the library, and its file of cells is one."""

from __future__ import annotations

import re

import tomllib

from cdk_encrypted_data import Placement
from cdk_encrypted_data.quotas.limits import LIMITS, RATES, Scope
from devtools.readme import README
from stacks.cells import NEEDED_FIELDS, OPTIONAL_FIELDS, cells_from
from tests.customers.test_stacks import listed
from tests.docs.test_readme import code

_TEXT = (README.parent / "docs" / "fleets.md").read_text()


def test_the_limits_are_those_that_are_counted() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)`( \(of the account\))? \| ([\d,]+) \| .* \| ([^|]+) \|$", _TEXT, re.MULTILINE)
    assert len(rows) == 10
    for name, of_account, number, raised in rows:
        limit = LIMITS[name]
        assert int(number.replace(",", "")) == limit.number
        assert bool(of_account) is (limit.scope is Scope.ACCOUNT)
        assert raised == ("yes" if limit.most is None else f"to {limit.most:,}")
    # Fixed, or reached by the customers first: nothing that counts in an account is missing.
    counted = {limit.id for limit in LIMITS.values() if limit.scope in (Scope.REGION, Scope.ACCOUNT)}
    assert counted - {name for name, *_ in rows} == {"cloudwatch-alarms"}
    assert {rate.a_second for rate in RATES} == {5}


def test_the_room_of_a_cell_is_what_the_placement_says() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", _TEXT, re.MULTILINE)
    assert len(rows) == 5
    for stacks, likely, room in rows:
        placement = Placement(stacks=int(stacks), capacity=40)
        assert (f"{placement.likely_room():,}", f"{placement.room:,}") == (likely, room)


def test_the_file_of_cells_is_one() -> None:
    (text,) = code("toml", _TEXT)
    lists = {"frankfurt1.toml": listed("acme", "globex"), "frankfurt2.toml": listed("initech")}
    first, second = cells_from(text, read=lists.__getitem__)
    assert first.placement.stack_of("globex") == 7
    assert first.administrators == ("arn:aws:iam::111122223333:role/key-administrator",)
    said = {name for cell in tomllib.loads(text)["cells"] for name in cell}
    assert said == NEEDED_FIELDS | OPTIONAL_FIELDS
    assert (second.name, second.account) == ("Frankfurt2", "444455556666")

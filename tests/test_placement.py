"""Placement: nobody is moved by anybody else, capacity holds, and what is refused says what to do."""

from __future__ import annotations

import dataclasses
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_encrypted_data.placement import STACKS, Placement, stacks_for

names = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=20)
fleets = st.sets(names, max_size=60)
numbers_of_stacks = st.integers(1, 40)


def where(placement: Placement, customers: set[str]) -> dict[str, int]:
    return {name: stack for stack, held in enumerate(placement.place(customers)) for name in held}


@given(fleets, fleets, numbers_of_stacks)
def test_whoever_comes_or_goes_nobody_else_moves(before: set[str], after: set[str], stacks: int) -> None:
    placement = Placement(stacks=stacks, capacity=500)
    then, now = where(placement, before), where(placement, after)
    assert {name: then[name] for name in before & after} == {name: now[name] for name in before & after}


@given(fleets, names, numbers_of_stacks, st.data())
def test_pinning_one_moves_no_other(fleet: set[str], newcomer: str, stacks: int, data: st.DataObject) -> None:
    plain = Placement(stacks=stacks, capacity=500)
    stack = data.draw(st.integers(0, stacks - 1))
    pinned = dataclasses.replace(plain, pinned={newcomer: stack})
    fleet = fleet - {newcomer}
    assert where(pinned, fleet | {newcomer}) == {**where(plain, fleet), newcomer: stack}


@given(fleets, fleets, numbers_of_stacks, st.integers(1, 8))
def test_more_capacity_moves_nobody(fleet: set[str], more: set[str], stacks: int, capacity: int) -> None:
    small, large = Placement(stacks=stacks, capacity=capacity), Placement(stacks=stacks, capacity=500)
    try:
        then = where(small, fleet)
    except ValueError:
        return
    now = where(large, fleet | more)
    assert then == {name: now[name] for name in fleet}


@given(fleets, numbers_of_stacks, st.integers(1, 8))
def test_a_stack_never_holds_more_than_its_capacity(fleet: set[str], stacks: int, capacity: int) -> None:
    placement = Placement(stacks=stacks, capacity=capacity)
    fullest = max(map(len, Placement(stacks=stacks, capacity=500).place(fleet)))
    if fullest > capacity:
        with pytest.raises(ValueError, match=rf"{capacity} in a stack, {stacks * capacity} in the cell"):
            placement.place(fleet)
    else:
        placed = placement.place(fleet)
        assert max(map(len, placed)) == fullest
        assert {name for held in placed for name in held} == fleet
        assert len(placed) == stacks


def test_the_order_of_the_list_says_nothing() -> None:
    placement = Placement(stacks=7, capacity=100)
    fleet = [f"customer-{number}" for number in range(100)]
    shuffled = fleet[:]
    random.Random(0).shuffle(shuffled)  # noqa: S311 - no secret
    assert placement.place(fleet) == placement.place(shuffled)


def test_where_a_name_falls_is_contract() -> None:
    # Another number here is another key and an empty bucket for every customer that is deployed.
    placement = Placement(stacks=25, capacity=40)
    assert [placement.stack_of(name) for name in ("acme", "globex", "initech", "umbrella")] == [22, 24, 13, 7]


def test_a_full_stack_names_those_with_room_and_a_pin_is_taken() -> None:
    placement = Placement(stacks=3, capacity=2)
    fleet = [name for name in (f"c{number}" for number in range(100)) if placement.stack_of(name) == 1][:3]
    with pytest.raises(
        ValueError, match=r"^Placement: customers is '3 in stack 1, 3 in all'; allowed: 2 in a stack"
    ) as no:
        placement.place(fleet)
    assert "such as 0 (2 free), 2 (2 free)" in str(no.value)
    assert "none that is deployed" in str(no.value)
    newcomer = fleet[-1]
    assert dataclasses.replace(placement, pinned={newcomer: 2}).place(fleet) == (
        (),
        tuple(sorted(fleet[:2])),
        (newcomer,),
    )


def test_with_pins_a_cell_fills_to_the_last_place() -> None:
    fleet = [f"customer-{number}" for number in range(60)]
    pinned = {name: number % 6 for number, name in enumerate(fleet)}
    full = Placement(stacks=6, capacity=10, pinned=pinned)
    assert full.room == 60
    assert [len(held) for held in full.place(fleet)] == [10] * 6
    with pytest.raises(ValueError, match="the cell is full: put the newcomers into another cell, which moves nobody"):
        full.place([*fleet, "one-more"])


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"customers is \['acme'\]; allowed: each name once"):
        Placement(stacks=2, capacity=2).place(["acme", "globex", "acme"])


@pytest.mark.parametrize("capacity", [10, 40])
@pytest.mark.parametrize("stacks", [2, 30])
def test_the_likely_room_is_likely(stacks: int, capacity: int) -> None:
    placement = Placement(stacks=stacks, capacity=capacity)
    room = placement.likely_room(chance=0.05)
    assert capacity <= room < placement.room

    def overflows(count: int) -> int:
        generator = random.Random(1)  # noqa: S311 - no secret
        # The same stacks without their capacity say which is the fullest.
        roomy = dataclasses.replace(placement, capacity=500)
        fleets = ([f"{generator.getrandbits(64):x}" for _ in range(count)] for _ in range(100))
        return sum(max(map(len, roomy.place(fleet))) > capacity for fleet in fleets)

    # It is a bound from above: a sum of chances. 5 of 100 fleets, and as much again for luck.
    assert overflows(room) <= 10
    assert overflows((room + placement.room) // 2) > 10


def test_one_stack_takes_what_it_holds() -> None:
    assert Placement(stacks=1, capacity=10).likely_room() == 10


def test_how_many_stacks_a_fleet_takes() -> None:
    for customers in (1, 40, 1_000, 5_000):
        stacks = stacks_for(customers, capacity=40)
        assert Placement(stacks=stacks, capacity=40).likely_room() >= customers
        assert stacks == 1 or Placement(stacks=stacks - 1, capacity=40).likely_room() < customers
    with pytest.raises(ValueError, match="part them into cells"):
        stacks_for(1_000_000, capacity=40)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stacks": 0}, r"stacks is 0; allowed: a whole number from 1 to 2000"),
        ({"stacks": STACKS[1] + 1}, r"stacks is 2001"),
        ({"stacks": True}, r"stacks is True"),
        ({"stacks": 2.5}, r"stacks is 2.5"),
        ({"capacity": 501}, r"capacity is 501; allowed: a whole number from 1 to 500"),
        ({"pinned": {"acme": 2}}, r"pinned\['acme'\] is 2; allowed: a whole number from 0 to 1"),
        ({"pinned": ["acme"]}, r"pinned is \['acme'\]; allowed: a dict"),
    ],
)
def test_bad_numbers_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^Placement: {message}.*; "):
        Placement(**{"stacks": 2, "capacity": 2, **arguments})  # type: ignore[arg-type]


def test_a_chance_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="chance is 0; allowed: a number between 0 and 1"):
        Placement(stacks=2, capacity=2).likely_room(chance=0)

"""Placement: which stack of a cell holds a customer, decided by the customer's name alone."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cdk_encrypted_data.validation import refusal

STACKS = (1, 2_000)
"""How many stacks a cell may have: CloudFormation takes 2,000 in an account and Region."""

CUSTOMERS_IN_A_STACK = (1, 500)
"""How many customers a stack may hold: CloudFormation takes 500 resources in a stack, and a customer has several."""

_NAMED_ROOM = 5
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A cell's stacks and which customer is in which: a function of the customer's name, so nobody else moves anybody.

    A customer is in the stack that the SHA-256 of the name says, whoever comes, goes or is renamed. A move would be
    another key and an empty bucket, so nothing here moves anybody: a stack that is full refuses, and the refusal names
    the stacks with room. The newcomer is then pinned to one of them, or goes to another cell.

    Attributes:
        stacks: How many stacks the cell has: 1 to 2000. Part of the contract: with another number most customers would
            be in other stacks, with new keys and empty buckets. A cell grows by a further cell beside it.
        capacity: How many customers a stack takes: 1 to 500. May be raised later, as far as CloudFormation's 500
            resources go.
        pinned: The stack of customers that aren't where their name says, by name; stacks count from 0. For newcomers
            only: pinning a customer that is deployed moves it, and so does taking its pin away.
    """

    stacks: int
    capacity: int
    pinned: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers that no cell can have."""
        _check_count("stacks", self.stacks, STACKS)
        _check_count("capacity", self.capacity, CUSTOMERS_IN_A_STACK)
        if not isinstance(self.pinned, Mapping):
            raise refusal(
                "Placement",
                "pinned",
                got=self.pinned,
                allowed="a dict of stacks by customers' names",
                remedy='write {"acme": 7}',
            )
        for name, stack in self.pinned.items():
            _check_count(f"pinned[{name!r}]", stack, (0, self.stacks - 1))

    @property
    def room(self) -> int:
        """How many customers the cell takes at most: with pins for those that come to a stack that is full."""
        return self.stacks * self.capacity

    def likely_room(self, *, chance: float = 0.01) -> int:
        """Return how many customers the cell takes without pins.

        Names fall on stacks like balls into bins, so the fullest stack is full long before the cell is.

        Args:
            chance: How likely it may be that a stack of so many customers overflows nevertheless. Default: 0.01.

        Raises:
            ValueError: If the chance isn't between 0 and 1.
        """
        if not 0 < chance < 1:
            raise refusal(
                "Placement", "chance", got=chance, allowed="a number between 0 and 1", remedy="write 0.01 for 1 in 100"
            )
        fits, fails = 0, self.room + 1
        while fails - fits > 1:
            middle = (fits + fails) // 2
            # Of all stacks together it is at most the sum.
            if self.stacks * _chance_of_more(middle, 1 / self.stacks, self.capacity) <= chance:
                fits = middle
            else:
                fails = middle
        return fits

    def stack_of(self, customer: str) -> int:
        """Return the stack of a customer, counted from 0."""
        pinned = self.pinned.get(customer)
        if pinned is not None:
            return pinned
        return int.from_bytes(hashlib.sha256(customer.encode()).digest()[:8], "big") % self.stacks

    def place(self, customers: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return each stack's customers, sorted by name. A stack may be empty.

        Args:
            customers: The names of the cell's customers, in any order.

        Raises:
            ValueError: If a name is there twice, or a stack would hold more than its capacity.
        """
        names = sorted(customers)
        twice = sorted({name for name, following in itertools.pairwise(names) if name == following})
        if twice:
            raise refusal(
                "Placement", "customers", got=twice, allowed="each name once", remedy="rename one, or take it out"
            )
        placed: list[list[str]] = [[] for _ in range(self.stacks)]
        for name in names:
            placed[self.stack_of(name)].append(name)
        for stack, held in enumerate(placed):
            if len(held) > self.capacity:
                raise self._full(stack, placed)
        return tuple(tuple(held) for held in placed)

    def _full(self, stack: int, placed: list[list[str]]) -> ValueError:
        count = sum(map(len, placed))
        # The emptiest first, so that pins don't fill up where names will fall.
        room = sorted((len(held), each) for each, held in enumerate(placed) if len(held) < self.capacity)
        if count > self.room or not room:
            remedy = "the cell is full: put the newcomers into another cell, which moves nobody"
        else:
            free = ", ".join(f"{each} ({self.capacity - held} free)" for held, each in room[:_NAMED_ROOM])
            remedy = (
                f"pin the customer you are adding, and none that is deployed, to a stack with room, such as {free}; "
                "or put it into another cell"
            )
        return refusal(
            "Placement",
            "customers",
            got=f"{len(placed[stack])} in stack {stack}, {count} in all",
            allowed=f"{self.capacity} in a stack, {self.room} in the cell's {self.stacks} stacks",
            remedy=remedy,
        )


def stacks_for(customers: int, *, capacity: int, chance: float = 0.01) -> int:
    """Return the least number of stacks that take so many customers without pins.

    Args:
        customers: How many customers the cell will ever have.
        capacity: How many customers a stack takes: 1 to 500.
        chance: How likely it may be that a stack overflows nevertheless. Default: 0.01.

    Raises:
        ValueError: If a number is out of bounds, or no number of stacks is enough.
    """
    fails, fits = 0, STACKS[1]
    if Placement(stacks=fits, capacity=capacity).likely_room(chance=chance) < customers:
        raise refusal(
            "Placement",
            "customers",
            got=customers,
            allowed=f"what {fits} stacks of {capacity} take",
            remedy="part them into cells",
        )
    while fits - fails > 1:
        middle = (fails + fits) // 2
        if Placement(stacks=middle, capacity=capacity).likely_room(chance=chance) >= customers:
            fits = middle
        else:
            fails = middle
    return fits


def _chance_of_more(tries: int, probability: float, most: int) -> float:
    """Return the chance that more than ``most`` of so many tries succeed, or 1 where that is likely anyway."""
    if most >= tries:
        return 0.0
    if tries * probability >= most:
        return 1.0
    hits = most + 1
    term = math.exp(
        math.lgamma(tries + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(tries - hits + 1)
        + hits * math.log(probability)
        + (tries - hits) * math.log1p(-probability)
    )
    chance = term
    # Beyond the mean each term is smaller than the one before.
    while hits < tries and term > chance * _NEGLIGIBLE:
        term *= (tries - hits) / (hits + 1) * probability / (1 - probability)
        hits += 1
        chance += term
    return chance


def _check_count(argument: str, value: object, bounds: tuple[int, int]) -> None:
    least, most = bounds
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise refusal(
            "Placement",
            argument,
            got=value,
            allowed=f"a whole number from {least} to {most}",
            remedy="choose one within these bounds",
        )

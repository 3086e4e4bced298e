"""Which customer's jobs reach which customer's data, for every pair, without asking about every pair.

Customers are told apart by what they don't share: jobs that run one program with arguments of the same names are a
fleet, and those of them that share a role or the key of what they write are one customer's. Or a tag says it. What is
used by the jobs of one customer only (keys, the buckets and secrets under them, secrets that its connections name) is
its own.

A role can reach a thing only if a statement of either side concerns both. Statements that name few things are indexed
by these; roles that differ in nothing else are one class, of which one is asked for all. So the work grows with the
number of customers, and not with its square.
"""

from __future__ import annotations

import bisect
import collections
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.cloudformation.resolution import Undecided
from cdk_encrypted_data.proofs.iam.conditions import Condition
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.patterns import ARN_PARTS, Context, Unmodelled
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key, Target
from cdk_encrypted_data.proofs.spaces import TLS, Prover
from cdk_encrypted_data.proofs.subjects.glue import BOOKMARKS, LOGS, S3, Job, Protection, Secret, bucket_key, glue
from cdk_encrypted_data.proofs.subjects.plaintext import Abilities, Means, keys_within, looks_at, tags

Thing: TypeAlias = "Bucket | Key | Secret"

_ACTIONS: Final = (
    "s3:getobject",
    "s3:putobject",
    "s3:deleteobject",
    "s3:listbucket",
    "kms:decrypt",
    "kms:generatedatakey",
    "secretsmanager:getsecretvalue",
)
_TAGS: Final = ("customer", "tenant", "client")
# A statement that concerns more things than these isn't about single ones.
_FEW: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Customer:
    """Jobs that belong together, with what is theirs alone. ``name`` is what their tag says, or their first job."""

    name: str
    jobs: tuple[Job, ...]
    roles: tuple[Caller, ...]
    things: tuple[Thing, ...]
    fleet: object


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What roles of other customers can do with a thing; ``doubt`` where that isn't decided."""

    owner: Customer
    thing: Thing
    others: tuple[Customer, ...]
    means: tuple[Means, ...]
    doubt: str | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Who reaches whom: ``reached`` says by what, for each pair of a customer and the owner of what it reaches.

    ``pairs`` is how many pairs were covered, each in both directions; those that aren't in ``reached`` or
    ``undecided`` are refused.
    """

    customers: tuple[str, ...]
    pairs: int
    reached: Mapping[tuple[str, str], tuple[str, ...]]
    undecided: frozenset[tuple[str, str]]


def matrix(inventory: Inventory, prover: Prover) -> Matrix:
    """Return which customer reaches whose things."""
    found = customers(inventory)
    reached: dict[tuple[str, str], dict[str, None]] = {}
    undecided = set()
    for reach in reaches(inventory, prover):
        for other in reach.others:
            pair = other.name, reach.owner.name
            for means in reach.means:
                reached.setdefault(pair, {})[means.verb] = None
            if reach.doubt is not None and not reach.means:
                undecided.add(pair)
    sizes = collections.Counter(customer.fleet for customer in found)
    return Matrix(
        tuple(customer.name for customer in found),
        sum(size * (size - 1) for size in sizes.values()),
        {pair: tuple(verbs) for pair, verbs in reached.items()},
        frozenset(undecided - reached.keys()),
    )


# Customers.


@functools.lru_cache(maxsize=1)
def customers(inventory: Inventory) -> tuple[Customer, ...]:
    """Part the jobs into customers; those of a fleet of one are left out, there is nobody to keep them from."""
    jobs = [job for job in glue(inventory).jobs if isinstance(job.role, Caller) and _fleet(job) is not None]
    groups = _groups(jobs, inventory)
    used = _Use(groups, inventory)
    found = [
        Customer(
            name,
            tuple(group),
            tuple({job.role.principal.arn: job.role for job in group if isinstance(job.role, Caller)}.values()),
            tuple(used.own(number)),
            _fleet(group[0]),
        )
        for number, (name, group) in enumerate(zip(_named(groups), groups, strict=True))
    ]
    sizes = collections.Counter(customer.fleet for customer in found)
    return tuple(customer for customer in found if sizes[customer.fleet] > 1)


def _fleet(job: Job) -> object:
    """Return what the jobs of a fleet have in common: the program they run, or that a tag says whose they are."""
    if _tag(job) is not None:
        return _TAGS
    location = job.resource.setting("Command", "ScriptLocation")
    key = str(location).partition("://")[2].partition("/")[2] if isinstance(location, str) else ""
    return (str(job.kind), key, frozenset(name for _, name, _ in job.arguments())) if key else None


def _tag(job: Job) -> str | None:
    tags = job.resource.setting("Tags")
    for name, value in tags.items() if isinstance(tags, Mapping) else ():
        if name.lower().rpartition(":")[2] in _TAGS and isinstance(value, str):
            return value
    return None


def _groups(jobs: Sequence[Job], inventory: Inventory) -> list[list[Job]]:
    """Put jobs together that share a tag's value, or else a role or the key of what they write to S3."""
    groups: list[list[Job]] = []
    of_mark: dict[object, list[Job]] = {}
    for job in jobs:
        marks = [mark for mark in _marks(job, inventory) if mark is not None]
        joined = {id(of_mark[mark]): of_mark[mark] for mark in marks if mark in of_mark}
        group = [one for part in joined.values() for one in part] + [job]
        groups = [one for one in groups if id(one) not in joined]
        groups.append(group)
        for mark in {mark for one in group for mark in _marks(one, inventory)} if joined else marks:
            of_mark[mark] = group
    return groups


def _marks(job: Job, inventory: Inventory) -> Iterator[object]:
    tag = _tag(job)
    if tag is not None:
        yield _TAGS, tag
        return
    fleet = _fleet(job)
    if isinstance(job.role, Caller):
        yield fleet, job.role.principal.arn
    key = _key(job, S3, inventory)
    if key is not None:
        yield fleet, key.arn


def _key(job: Job, what: str, inventory: Inventory) -> Key | None:
    protection = job.protection(what)
    if not isinstance(protection, Protection) or not protection.by_key or protection.key is None:
        return None
    key = inventory.key(protection.key, job.resource)
    return key if isinstance(key, Key) else None


class _Use:
    """What each group of jobs uses, by the ARNs of what is used."""

    def __init__(self, groups: Sequence[Sequence[Job]], inventory: Inventory) -> None:
        self._things: list[dict[str, Thing]] = [{} for _ in groups]
        under = _under_keys(inventory)
        replicas: dict[str, list[Key]] = {}
        for key in inventory.keys:
            if key.primary is not None:
                replicas.setdefault(key.primary, []).append(key)
        users: dict[str, set[int]] = {}
        for number, group in enumerate(groups):
            for job in group:
                for thing in self._used(job, inventory):
                    self._things[number][thing.arn] = thing
                    users.setdefault(thing.arn, set()).add(number)
        for number, things in enumerate(self._things):
            own = {arn: one for arn, one in things.items() if users[arn] == {number}}
            for key in [one for one in own.values() if isinstance(one, Key)]:
                more: list[Thing] = [*replicas.get(key.arn, ()), *under.get(key.arn, ())]
                own |= {one.arn: one for one in more if users.get(one.arn, {number}) == {number}}
            self._things[number] = own

    def own(self, number: int) -> Iterable[Thing]:
        """Return what only this group uses."""
        return self._things[number].values()

    @staticmethod
    def _used(job: Job, inventory: Inventory) -> Iterator[Thing]:
        for what in (S3, LOGS, BOOKMARKS):
            key = _key(job, what, inventory)
            if key is not None:
                yield key
        known = glue(inventory)
        for connection in known.connections_of(job):
            secret = None if isinstance(connection, Undecided) else known.secret_of(connection)
            if isinstance(secret, Secret):
                yield secret
        locations = [job.resource.setting("Command", "ScriptLocation"), *(value for _, _, value in job.arguments())]
        for found in map(known.located, locations):
            if found is not None:
                yield found[0]


def _under_keys(inventory: Inventory) -> dict[str, list[Thing]]:
    """Index the buckets and secrets by the key that they are under."""
    found: dict[str, list[Thing]] = {}
    for bucket in inventory.buckets:
        key = bucket_key(bucket, inventory)
        if isinstance(key, Key):
            found.setdefault(key.arn, []).append(bucket)
    for secret in glue(inventory).secrets:
        key = None if secret.key is None else inventory.key(secret.key, secret.resource)
        if isinstance(key, Key):
            found.setdefault(key.arn, []).append(secret)
    return found


def _named(groups: Iterable[Sequence[Job]]) -> Iterator[str]:
    """Name each customer; two of one name, in templates without construct paths, are told apart by their stacks."""
    firsts = [group[0] for group in groups]
    names = [_tag(job) or job.resource.title for job in firsts]
    count = collections.Counter(names)
    for name, job in zip(names, firsts, strict=True):
        yield name if count[name] == 1 else f"{name} of {job.resource.stack}"


# Reaching.


@functools.lru_cache(maxsize=1)
def reaches(inventory: Inventory, prover: Prover) -> tuple[Reach, ...]:
    """Decide for each thing of each customer what the roles of the others can do with it."""
    return tuple(_reaches(inventory, prover))


def _reaches(inventory: Inventory, prover: Prover) -> Iterator[Reach]:
    fleets: dict[object, list[Customer]] = {}
    for customer in customers(inventory):
        fleets.setdefault(customer.fleet, []).append(customer)
    for fleet in fleets.values():
        roles = _Roles(fleet)
        for owner in fleet:
            for thing in owner.things:
                for members, single in roles.about(owner, thing):
                    able = Abilities(members[0].caller, inventory, prover)
                    means, doubt = _means(able, thing, single=single)
                    if means or doubt is not None:
                        others = tuple({id(one.customer): one.customer for one in members}.values())
                        yield Reach(owner, thing, others, means, doubt)


def _means(able: Abilities, thing: Thing, *, single: bool) -> tuple[tuple[Means, ...], str | None]:
    """Return everything that a caller can do with a thing; ``single``: a statement concerns these two."""
    searches: tuple[Means | str | None, ...]
    if isinstance(thing, Bucket):
        objects = tuple(keys_within(thing, able.caller))
        targets = [Target(arn, thing.account, thing.policy) for arn in objects]
        searches = (
            able.reads(thing, objects),
            able.writes(thing, objects),
            able.does("delete from", "s3:DeleteObject", targets, TLS),
            able.does("list", "s3:ListBucket", [thing.target], TLS),
        )
    elif isinstance(thing, Key):
        # What everybody may do through a service, that service's resource decides: a bucket, a secret.
        context: Said = {} if single else {"kms:ViaService": None}
        searches = (
            able.does("decrypt with", "kms:Decrypt", [thing.target], context),
            able.does("encrypt with", "kms:GenerateDataKey", [thing.target], context),
        )
    else:
        searches = (able.does("read", "secretsmanager:GetSecretValue", [thing.target]),)
    means = tuple(one for one in searches if isinstance(one, Means))
    return means, next((one for one in searches if isinstance(one, str)), None)


@dataclass(slots=True, eq=False)
class _Role:
    customer: Customer
    caller: Caller
    narrow: set[str] = field(default_factory=set)
    broad: list[Statement] = field(default_factory=list)


class _Roles:
    """The roles of a fleet: by the single things that their statements concern, and in classes for all others."""

    def __init__(self, fleet: Sequence[Customer]) -> None:
        self._index = _Index(thing.arn for customer in fleet for thing in customer.things)
        self._roles = [_Role(customer, caller) for customer in fleet for caller in customer.roles]
        self._by_arn = {role.caller.principal.arn: role for role in self._roles}
        self._by_thing: dict[str, list[_Role]] = {}
        classes: dict[object, list[_Role]] = {}
        for role in self._roles:
            self._read(role)
            classes.setdefault(_signature(role), []).append(role)
        self._classes = list(classes.values())

    def about(self, owner: Customer, thing: Thing) -> Iterator[tuple[list[_Role], bool]]:
        """Yield the roles of other customers that a statement concerns with the thing, in classes.

        With each class: whether it is a single role, which a statement of either side names or nearly names.
        """
        policy = thing.policy
        single = {id(one): one for one in (*self._by_thing.get(thing.arn, ()), *self._named(policy))}
        for role in single.values():
            if role.customer is not owner:
                yield [role], True
        to_all = policy is not None and any(_is_to_all(one) for one in policy.allows if _acts(one))
        for members in self._classes:
            if not to_all and not any(one.allows for one in members[0].broad):
                continue
            others = [one for one in members if one.customer is not owner and id(one) not in single]
            yield from ((part, False) for part in _told_apart(others, thing))

    def _read(self, role: _Role) -> None:
        for policy in role.caller.identity:
            for statement in filter(_acts, policy.statements):
                things = self._index.concerned(statement)
                if things is None:
                    role.broad.append(statement)
                else:
                    role.narrow |= things
        for arn in role.narrow:
            self._by_thing.setdefault(arn, []).append(role)

    def _named(self, policy: Policy | None) -> Iterator[_Role]:
        """Yield the roles that a policy names, as principals or in conditions."""
        for statement in () if policy is None else policy.statements:
            names = (
                [] if statement.principals is None else [one.partition(" ")[2] for one in statement.principals.names]
            )
            for condition in statement.conditions:
                names += condition.values
            for name in names:
                if role := self._by_arn.get(name):
                    yield role


def _is_to_all(statement: Statement) -> bool:
    """Whether it may be about principals that it doesn't name: a canonical user is an account, nobody knows which."""
    named = statement.principals
    return named is not None and (named.everyone or any(name.startswith("CanonicalUser") for name in named.names))


def _told_apart(roles: list[_Role], thing: Thing) -> Iterator[list[_Role]]:
    """Part a class by what conditions can say of its roles: of their ARNs by wildcards, and of their tags."""
    if not roles:
        return
    statements = [*roles[0].broad, *(() if thing.policy is None else thing.policy.statements)]
    by_arn = [one for each in statements for one in each.conditions if _asks_for_some_arns(one)]
    tag_names = [key.partition("/")[2] for key in looks_at(statements) if key.lower().startswith("aws:principaltag/")]
    if not by_arn and not tag_names:
        yield roles
        return
    values = [value for each in statements for one in each.conditions for value in one.values]
    compared = {*values, *tags(thing.resource).values()}
    by_pattern = any(re.search(r"[*?]", value) for value in values)
    parts: dict[object, list[_Role]] = {}
    for role in roles:
        context = {"aws:principalarn": role.caller.principal.arn or ""}
        given = tags(role.caller.resource) if tag_names else {}
        # Tags that nothing compares with are all the same.
        marks = [given.get(name) if by_pattern or given.get(name) in compared else name in given for name in tag_names]
        answers = [_holds(one.holds, context) for one in by_arn]
        parts.setdefault((*answers, *marks), []).append(role)
    yield from parts.values()


def _asks_for_some_arns(condition: Condition) -> bool:
    return condition.key.lower() == "aws:principalarn" and bool(re.search(r"[*?$]", "".join(condition.values)))


def _holds(holds: Callable[[Context], bool], context: Context) -> bool | None:
    try:
        return holds(context)
    except Unmodelled:
        return None


def _signature(role: _Role) -> object:
    """Return all by which roles differ for things that their narrow statements don't concern."""
    boundary = role.caller.boundary
    limits = () if boundary is None else (*map(_text, boundary.statements),)
    return role.caller.principal.account, frozenset(map(_text, role.broad)), limits


def _text(statement: Statement) -> str:
    written = {element: value for element, value in statement.written.items() if element != "Sid"}
    return json.dumps([written, *map(str, statement.conditions)], sort_keys=True, default=str)


def _acts(statement: Statement) -> bool:
    return any(map(statement.acts, _ACTIONS))


class _Index:
    """Finds the few ARNs that a statement can concern by how the ARNs begin or end."""

    def __init__(self, arns: Iterable[str]) -> None:
        self._forward = sorted(set(arns))
        self._backward = sorted(arn[::-1] for arn in self._forward)

    def concerned(self, statement: Statement) -> set[str] | None:
        """Return the ARNs, or None for more than a few."""
        written = statement.written.get("Resource")
        if written is None:
            return None
        found: set[str] = set()
        for text in [written] if isinstance(written, str) else written:
            some = self._matching(str(text))
            if some is None:
                return None
            found.update(some)
        return found

    def _matching(self, text: str) -> Sequence[str] | None:
        if text.partition(":::")[2]:
            text = _bucket(text)
        starts = re.split(r"[*?]|\$\{", text, maxsplit=1)[0]
        by_start = self._range(self._forward, starts)
        # What an ARN leaves out at its end is anything.
        whole = text.count(":") >= ARN_PARTS - 1
        if starts == text and whole:
            return [text] if text in by_start[:1] else []
        if len(by_start) <= _FEW:
            return by_start
        ends = re.split(r"[*?}]", text)[-1]
        if not ends or not whole:
            return None
        by_end = self._range(self._backward, ends[::-1])
        return [arn[::-1] for arn in by_end] if len(by_end) <= _FEW else None

    @staticmethod
    def _range(ordered: Sequence[str], start: str) -> Sequence[str]:
        low = bisect.bisect_left(ordered, start)
        high = bisect.bisect_left(ordered, start + "\U0010ffff")
        return ordered[low:high]


def _bucket(text: str) -> str:
    """Cut the object off: it doesn't matter for which bucket is concerned."""
    bucket = text.partition("/")[0]
    # A wildcard reaches over the slash.
    return f"{bucket}*" if re.search(r"[*?]|\$\{", bucket) else bucket

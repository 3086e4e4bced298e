"""Counts what templates would make, for each account and Region, against AWS's limits."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.assembly import Json, StackTemplate
from cdk_encrypted_data.quotas import limits
from cdk_encrypted_data.quotas.limits import LIMITS, RATES, Limit, Rate, Scope
from cdk_encrypted_data.quotas.sizes import size_of

NEAR: Final = 0.9
"""From which part of a limit on it is said to be near."""

_NESTED: Final = "AWS::CloudFormation::Stack"
_ROLE: Final = "AWS::IAM::Role"
_RULE: Final = "AWS::Events::Rule"
_SECTIONS: Final = {
    "Outputs": limits.TEMPLATE_OUTPUTS,
    "Parameters": limits.TEMPLATE_PARAMETERS,
    "Mappings": limits.TEMPLATE_MAPPINGS,
}
_POLICIES: Final = {
    "AWS::IAM::ManagedPolicy": (limits.MANAGED_POLICY, "PolicyDocument"),
    "AWS::IAM::Role": (limits.ROLE_TRUST_POLICY, "AssumeRolePolicyDocument"),
    "AWS::KMS::Key": (limits.KEY_POLICY, "KeyPolicy"),
    "AWS::KMS::ReplicaKey": (limits.KEY_POLICY, "KeyPolicy"),
    "AWS::S3::BucketPolicy": (limits.BUCKET_POLICY, "PolicyDocument"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An account and a Region; None is one that no template names."""

    account: str | None
    region: str | None

    def __str__(self) -> str:
        """Say it to people."""
        return f"account {self.account or 'unnamed'}, Region {self.region or 'unnamed'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A resource that counts: where a reviewer looks."""

    stack: str
    logical_id: str
    construct_path: str | None
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of a limit is used by one thing that it holds for.

    ``where`` is that thing in words. ``environment`` has no Region for what counts in an account's Regions together.
    """

    limit: Limit
    where: str
    environment: Environment
    used: int
    number: int
    places: tuple[Place, ...]

    @property
    def part(self) -> float:
        """The part of the limit that is used: more than 1 is refused by AWS."""
        return self.used / self.number

    @property
    def is_over(self) -> bool:
        """Whether AWS would refuse it."""
        return self.used > self.number

    @property
    def is_near(self) -> bool:
        """Whether it fits, and little more would."""
        return not self.is_over and self.part >= NEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The least time that a deployment from nothing takes in an environment, by AWS's rates."""

    rate: Rate
    environment: Environment
    requests: int

    @property
    def seconds(self) -> float:
        """How long the requests take at the rate."""
        return self.requests / self.rate.a_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """All that was counted: the fullest first."""

    usages: tuple[Usage, ...]
    paces: tuple[Pace, ...]
    stacks: int

    @property
    def over(self) -> tuple[Usage, ...]:
        """What AWS would refuse."""
        return tuple(usage for usage in self.usages if usage.is_over)

    @property
    def near(self) -> tuple[Usage, ...]:
        """What fits still."""
        return tuple(usage for usage in self.usages if usage.is_near)


@dataclass(frozen=True, slots=True)
class _Deployed:
    """A template once for each time it is deployed: nested ones as often as stacks name them."""

    stack: StackTemplate
    environment: Environment
    resources: Mapping[str, Mapping[str, Json]]

    def properties_of(self, *types: str) -> dict[str, Mapping[str, Json]]:
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource.get("Type") in types
        }

    def place(self, logical_id: str) -> Place:
        file = None if self.stack.file is None else str(self.stack.file)
        path = self.stack.construct_paths.get(logical_id)
        return Place(stack=self.stack.id, logical_id=logical_id, construct_path=path, file=file)


def count(stacks: Iterable[StackTemplate], *, given: Mapping[str, int] | None = None) -> Count:
    """Count everything that has a limit.

    Resources under a condition count as if it held; what macros make isn't known and doesn't count.

    Args:
        stacks: The templates, as `proofs.cloudformation.assembly.read` returns them.
        given: Numbers that the accounts have instead of AWS's own, by the limit's id. Default: none.

    Raises:
        ValueError: If a number is given for a limit that has no other, or one that it can't have.
    """
    numbers = limits.numbers(given or {})
    deployed = [one for stack in stacks for one in _deployed(stack, _environment(stack))]
    found = [
        *(usage for one in deployed for usage in _in_template(one, numbers)),
        *_in_environments(deployed, numbers),
    ]
    found.sort(key=lambda usage: (-usage.part, usage.limit.id, usage.where))
    return Count(usages=tuple(found), paces=tuple(_paces(deployed)), stacks=len(deployed))


def _environment(stack: StackTemplate) -> Environment:
    return Environment(account=stack.account, region=stack.region)


def _deployed(stack: StackTemplate, environment: Environment) -> Iterator[_Deployed]:
    # What isn't a map is a loop of a macro.
    resources = {name: each for name, each in stack.template["Resources"].items() if isinstance(each, dict)}
    one = _Deployed(stack, environment, resources)
    yield one
    for resource in one.resources.values():
        if resource.get("Type") == _NESTED:
            url = json.dumps(resource.get("Properties", {}).get("TemplateURL"))
            for name, nested in stack.nested.items():
                if name and name in url:
                    yield from _deployed(nested, environment)


def _in_template(one: _Deployed, numbers: Mapping[str, int]) -> Iterator[Usage]:
    """Yield what holds for a template or a resource of it."""

    def usage(limit: Limit, used: int, logical_id: str | None = None) -> Usage:
        # A template has no logical id of its own: it is found by its first resource.
        shown = sorted(one.resources)[:1] if logical_id is None else [logical_id]
        return Usage(
            limit=limit,
            where=one.stack.id if logical_id is None else f"{one.stack.id}: {logical_id}",
            environment=one.environment,
            used=used,
            number=numbers.get(limit.id, limit.number),
            places=tuple(one.place(name) for name in shown),
        )

    yield usage(limits.TEMPLATE_RESOURCES, len(one.resources))
    yield usage(limits.TEMPLATE_SIZE, _bytes(one.stack))
    for section, limit in _SECTIONS.items():
        yield usage(limit, len(one.stack.template.get(section, {})))
    for name, resource in one.resources.items():
        if resource.get("Type") in _POLICIES:
            of_policy, property_name = _POLICIES[resource["Type"]]
            if document := resource.get("Properties", {}).get(property_name):
                yield usage(of_policy, size_of(document, one.stack), name)
    for limit, counted in (
        (limits.KEY_ALIASES, _aliases(one)),
        (limits.ROLE_INLINE_POLICIES, _inline_policies(one)),
        (limits.ROLE_MANAGED_POLICIES, _managed_policies(one)),
    ):
        for name, used in counted.items():
            yield usage(limit, used, name)


def _aliases(one: _Deployed) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for properties in one.properties_of("AWS::KMS::Alias").values():
        found.update(_named([properties.get("TargetKeyId")], one.resources))
    return found


def _inline_policies(one: _Deployed) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for name, properties in one.properties_of(_ROLE).items():
        for policy in properties.get("Policies", ()):
            found[name] += size_of(policy.get("PolicyDocument"), one.stack)
    for properties in one.properties_of("AWS::IAM::Policy", "AWS::IAM::RolePolicy").values():
        size = size_of(properties.get("PolicyDocument"), one.stack)
        for role in _named(properties.get("Roles") or [properties.get("RoleName")], one.resources):
            found[role] += size
    return found


def _managed_policies(one: _Deployed) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for name, properties in one.properties_of(_ROLE).items():
        if arns := properties.get("ManagedPolicyArns"):
            found[name] += len(arns)
    for properties in one.properties_of("AWS::IAM::ManagedPolicy").values():
        found.update(_named(properties.get("Roles"), one.resources))
    return found


def _bytes(stack: StackTemplate) -> int:
    # As it is written: that is what is uploaded.
    if stack.file is not None:
        return stack.file.stat().st_size
    return len(json.dumps(stack.template, separators=(",", ":")).encode())


def _named(values: Json, resources: Mapping[str, Json]) -> list[str]:
    """Return the resources of the template that a list names, by Ref or an attribute."""
    found = []
    for value in values if isinstance(values, list) else []:
        if isinstance(value, Mapping):
            target = value.get("Ref") or value.get("Fn::GetAtt", "")
            name = target[0] if isinstance(target, list) else str(target).partition(".")[0]
            if name in resources:
                found.append(name)
    return found


def _in_environments(deployed: list[_Deployed], numbers: Mapping[str, int]) -> Iterator[Usage]:
    for limit in LIMITS.values():
        if limit.scope not in (Scope.REGION, Scope.ACCOUNT):
            continue
        places: dict[Environment, list[Place]] = {}
        for one in deployed:
            environment = one.environment
            if limit.scope is Scope.ACCOUNT:
                environment = Environment(account=environment.account, region=None)
            counted = places.setdefault(environment, [])
            if not limit.types:  # what is counted are the stacks
                counted += [one.place(name) for name in sorted(one.resources)[:1]]
                continue
            counted += [
                one.place(name)
                for name, resource in one.resources.items()
                if resource.get("Type") in limit.types and not _is_on_another_bus(resource)
            ]
        for environment, counted in places.items():
            where = str(environment)
            if limit.scope is Scope.ACCOUNT:
                where = f"account {environment.account or 'unnamed'}"
            number = limit.lower.get(environment.region or "", limit.number)
            yield Usage(
                limit=limit,
                where=where,
                environment=environment,
                used=len(counted),
                number=numbers.get(limit.id, number),
                places=tuple(counted),
            )


def _is_on_another_bus(resource: Mapping[str, Json]) -> bool:
    return resource.get("Type") == _RULE and resource.get("Properties", {}).get("EventBusName", "default") != "default"


def _paces(deployed: list[_Deployed]) -> Iterator[Pace]:
    for rate in RATES:
        requests: collections.Counter[Environment] = collections.Counter()
        for one in deployed:
            requests[one.environment] += sum(resource.get("Type") in rate.types for resource in one.resources.values())
        for environment, made in requests.items():
            if made:
                yield Pace(rate=rate, environment=environment, requests=made)

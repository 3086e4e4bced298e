"""Which policies are attached to roles and users, compiled; what can't be read in one is a doubt, never left out."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from cdk_encrypted_data.proofs.aws_managed_policies import AWS_MANAGED_POLICIES
from cdk_encrypted_data.proofs.cloudformation.resolution import (
    Assembly,
    Json,
    Resource,
    Undecided,
    listed,
    undecided_in,
)
from cdk_encrypted_data.proofs.iam.conditions import Condition
from cdk_encrypted_data.proofs.iam.documents import Policy, compile_policy
from cdk_encrypted_data.proofs.iam.patterns import Context, PolicyError, Unmodelled
from cdk_encrypted_data.proofs.iam.statements import PolicyKind, Statement

UNDECIDED: Final = "Undecided"
"""The operator of a condition that stands for what isn't known of its statement."""

_STATEMENTS: Final = "Statement"
_STAND_IN: Final = re.compile(r"\b(?:StandIn|Opaque)\((\'[^\']*\'|\"[^\"]*\")\)")


class Attachments:
    """The policies of an assembly's roles, users and groups, by the ARN of whom they are attached to."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._owners: dict[tuple[str, str, str], Resource] = {}
        self._members: dict[str, list[Resource]] = {}
        self._attached: dict[str, list[Policy]] = {}
        self._documents: dict[str, Policy] = {}
        self._unattached: dict[str, tuple[Resource, Policy]] = {}
        self._read_owners()
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for resource in assembly.resources_of_type(kind):
                self._read_policy(resource)
        for kind in ("Role", "User", "Group"):
            for resource in assembly.resources_of_type(f"AWS::IAM::{kind}Policy"):
                self._read_inline_policy(resource, kind)
        for owner in self._owners.values():
            for policy in self._own(owner):
                self._attach(owner, policy)

    @property
    def unattached(self) -> tuple[tuple[Resource, Policy], ...]:
        """The managed policies that nobody in the templates has."""
        return tuple(self._unattached.values())

    def of(self, resource: Resource) -> tuple[Policy, ...]:
        """Return the identity policies of a role or user, its groups' too."""
        return tuple(self._attached.get(resource.arn or "", ()))

    def boundary(self, resource: Resource) -> Policy | None:
        """Return its permissions boundary."""
        arn = resource.properties.get("PermissionsBoundary")
        if arn is None:
            return None
        name = f"the permissions boundary of {resource.title}"
        found = self._assembly.resource(arn) if isinstance(arn, str) else None
        if found is not None and found.type == "AWS::IAM::ManagedPolicy":
            return compiled(found.properties.get("PolicyDocument"), PolicyKind.BOUNDARY, name)
        reason = arn.reason if isinstance(arn, Undecided) else f"the policy {arn} isn't in the templates"
        return doubtful(PolicyKind.BOUNDARY, name, reason)

    def _read_owners(self) -> None:
        for kind in ("Role", "User", "Group"):
            for resource in self._assembly.resources_of_type(f"AWS::IAM::{kind}"):
                if isinstance(resource.ref, str):
                    self._owners[kind, resource.account, resource.ref] = resource
        for user in self._assembly.resources_of_type("AWS::IAM::User"):
            for name in listed(user.properties.get("Groups")):
                group = self._owners.get(("Group", user.account, str(name)))
                if group is not None and group.arn is not None:
                    self._members.setdefault(group.arn, []).append(user)
        for addition in self._assembly.resources_of_type("AWS::IAM::UserToGroupAddition"):
            group = self._owners.get(("Group", addition.account, str(addition.properties.get("GroupName"))))
            users = [
                self._owners.get(("User", addition.account, str(name)))
                for name in listed(addition.properties.get("Users"))
            ]
            if group is not None and group.arn is not None:
                self._members.setdefault(group.arn, []).extend(user for user in users if user is not None)

    def _read_policy(self, resource: Resource) -> None:
        document = resource.properties.get("PolicyDocument")
        policy = compiled(document, PolicyKind.IDENTITY, f"the policy {resource.title}")
        if resource.arn is not None:
            self._documents[resource.arn] = policy
            self._unattached[resource.arn] = resource, policy
        for kind, property_name in (("Role", "Roles"), ("User", "Users"), ("Group", "Groups")):
            for name in listed(resource.properties.get(property_name)):
                if owner := self._owners.get((kind, resource.account, str(name))):
                    self._attach(owner, policy)
                    self._unattached.pop(resource.arn or "", None)

    def _read_inline_policy(self, resource: Resource, kind: str) -> None:
        """Read one of the types that put an inline policy into a role, user or group of another resource."""
        name = resource.properties.get(f"{kind}Name")
        if owner := self._owners.get((kind, resource.account, str(name))):
            document = resource.properties.get("PolicyDocument")
            self._attach(owner, compiled(document, PolicyKind.IDENTITY, f"the policy {resource.title}"))

    def _own(self, owner: Resource) -> Iterator[Policy]:
        """Yield what the role, user or group itself says."""
        name = f"an inline policy of {owner.title}"
        for one in listed(owner.properties.get("Policies")):
            if isinstance(one, Undecided):
                yield doubtful(PolicyKind.IDENTITY, name, one.reason)
            elif isinstance(one, Mapping):
                yield compiled(one.get("PolicyDocument"), PolicyKind.IDENTITY, name)
        for arn in listed(owner.properties.get("ManagedPolicyArns")):
            self._unattached.pop(str(arn), None)
            if isinstance(arn, (str, Undecided)):
                yield (isinstance(arn, str) and self._documents.get(arn)) or _managed(arn)
            else:
                yield doubtful(PolicyKind.IDENTITY, f"a managed policy of {owner.title}", "it isn't named by an ARN")

    def _attach(self, owner: Resource, policy: Policy) -> None:
        if owner.arn is not None:
            self._attached.setdefault(owner.arn, []).append(policy)
            for member in self._members.get(owner.arn, ()):
                self._attach(member, policy)


def compiled(document: Json, kind: PolicyKind, name: str) -> Policy:
    """Compile a policy as it was resolved; what is undecided or unreadable in it becomes a doubt of a statement."""
    if not isinstance(document, Mapping):
        reason = document.reason if isinstance(document, Undecided) else "it isn't a policy document"
        return doubtful(kind, name, reason)
    block = document.get(_STATEMENTS)
    statements: list[Statement] = []
    for position, statement in enumerate([block] if block is None else listed(block)):
        if isinstance(statement, Undecided):
            statements += doubtful(kind, name, statement.reason).statements
            continue
        try:
            statements += _compiled_statement(document, statement, kind, name, position)
        except PolicyError as error:
            # That a text is a stand-in is nothing for people to read.
            statements += doubtful(kind, name, _STAND_IN.sub(r"\1", str(error))).statements
    return Policy(name, kind, tuple(statements))


def _compiled_statement(
    document: Json, statement: Json, kind: PolicyKind, name: str, position: int
) -> tuple[Statement, ...]:
    doubts = tuple(undecided_in(statement))
    if doubts:
        statement = {element: _widest(element, value) for element, value in statement.items()}
        statement = {element: value for element, value in statement.items() if value is not None}
    known = {element: value for element, value in document.items() if not isinstance(value, Undecided)}
    sids = {} if not isinstance(statement, Mapping) or statement.get("Sid") else {"Sid": str(position)}
    whole = {**known, _STATEMENTS: [{**statement, **sids} if isinstance(statement, Mapping) else statement]}
    policy = compile_policy(whole, kind, name=name)
    if not doubts:
        return policy.statements
    doubt = _doubt(f"{doubts[0].reason} ({doubts[0].path})")
    return tuple(replace(one, conditions=(*one.conditions, doubt)) for one in policy.statements)


def _widest(element: str, value: Json) -> Json:
    """Return the widest that an element may turn out to be, where it isn't known."""
    if not any(True for _ in undecided_in(value)):
        return value
    if element in ("Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"):
        # The doubt that comes with it keeps the statement from deciding anything; here it must only not be narrower.
        return {"NotAction": "nothing:AtAll", "NotResource": "arn:aws:nothing:::", "NotPrincipal": None}.get(
            element, "*"
        )
    if element == "Condition":
        return {}
    raise PolicyError(f"its {element} isn't known before deployment")


def _doubt(reason: str) -> Condition:
    def holds(_context: Context) -> bool:
        raise Unmodelled(reason)

    return Condition(UNDECIDED, reason, (), holds)


def doubtful(kind: PolicyKind, name: str, reason: str) -> Policy:
    """Return a policy of which nothing is known: it may allow or deny anything."""
    everything: dict[str, Json] = {"Action": "*"}
    if kind is not PolicyKind.TRUST:
        everything["Resource"] = "*"
    if kind.names_principals:
        everything["Principal"] = "*"
    document = {
        "Version": "2012-10-17",
        _STATEMENTS: [{"Sid": effect, "Effect": effect, **everything} for effect in ("Allow", "Deny")],
    }
    policy = compile_policy(document, kind, name=name)
    doubt = _doubt(reason)
    return Policy(name, kind, tuple(replace(one, conditions=(doubt,)) for one in policy.statements))


@functools.lru_cache(maxsize=1024)
def _managed(arn: str | Undecided) -> Policy:
    """Return a managed policy that no template holds: one of AWS's that are known here, or a doubt."""
    if isinstance(arn, Undecided):
        return doubtful(PolicyKind.IDENTITY, "a managed policy", arn.reason)
    name = arn.rpartition(":policy/")[2]
    document = AWS_MANAGED_POLICIES.get(name) if ":iam::aws:policy/" in arn else None
    if document is None:
        return doubtful(PolicyKind.IDENTITY, arn, f"the managed policy {arn} isn't in the templates")
    return compile_policy(document, PolicyKind.IDENTITY, name=f"AWS's managed policy {name}")

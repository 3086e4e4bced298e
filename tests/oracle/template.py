"""Reads the policy documents out of a synthesized template, with stable stand-ins for what only a deployment knows."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json: TypeAlias = Any

_ABSENT = object()
_KEYS = uuid.UUID("6f2c7a52-6d41-4f0e-9f6e-3f8f4f2f9d10")  # a namespace of our own for stand-in key ids


class UnresolvableError(Exception):
    """The template says something the resolver has no value for."""


class Template:
    """A synthesized template as it would be deployed to one account and Region."""

    def __init__(
        self,
        template: Mapping[str, Json],
        *,
        account: str = "111122223333",
        region: str = "us-east-1",
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self._resources: Mapping[str, Mapping[str, Json]] = template.get("Resources", {})
        self._values = {
            "AWS::AccountId": account,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::URLSuffix": "amazonaws.com",
            **(parameters or {}),
        }

    def only(self, resource_type: str) -> str:
        """The logical id of the only resource of a type."""
        found = self.all(resource_type)
        if len(found) != 1:
            raise UnresolvableError(f"expected one {resource_type}, found {found}")
        return found[0]

    def all(self, resource_type: str) -> list[str]:
        """The logical ids of the resources of a type."""
        return [name for name, resource in self._resources.items() if resource["Type"] == resource_type]

    def properties(self, logical_id: str) -> dict[str, Json]:
        """The properties of a resource, resolved."""
        resolved: dict[str, Json] = self.resolve(self._resource(logical_id).get("Properties", {}))
        return resolved

    def arn(self, logical_id: str) -> str:
        """The stand-in ARN of a resource."""
        return self._attribute(logical_id, "Arn")

    def key_policy(self, key: str) -> dict[str, Json]:
        """The policy of a key or replica key."""
        policy: dict[str, Json] = self.properties(key)["KeyPolicy"]
        return policy

    def bucket_policy(self, bucket: str) -> dict[str, Json]:
        """The policy of a bucket, which may have only one."""
        policies = [self.properties(name) for name in self.all("AWS::S3::BucketPolicy")]
        found = [one["PolicyDocument"] for one in policies if one["Bucket"] == self._reference(bucket)]
        if len(found) != 1:
            raise UnresolvableError(f"{bucket} has {len(found)} bucket policies")
        policy: dict[str, Json] = found[0]
        return policy

    def identity_policies(self, principal: str) -> list[dict[str, Json]]:
        """The policies of a role or user: its own, and those of the template that name it."""
        properties = self.properties(principal)
        if properties.get("ManagedPolicyArns"):
            raise UnresolvableError(f"{principal} has managed policies: {properties['ManagedPolicyArns']}")
        documents = [one["PolicyDocument"] for one in properties.get("Policies", [])]
        for name in self.all("AWS::IAM::Policy") + self.all("AWS::IAM::ManagedPolicy"):
            policy = self.properties(name)
            if self._reference(principal) in [*policy.get("Roles", []), *policy.get("Users", [])]:
                documents.append(policy["PolicyDocument"])
        return documents

    def resolve(self, value: Json) -> Json:
        """A template value with every intrinsic function replaced."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not _ABSENT}

    def _function(self, name: str, argument: Json) -> Json:
        functions: dict[str, Callable[[Json], Json]] = {
            "Ref": self._reference,
            "Fn::GetAtt": lambda it: self._attribute(*(it.split(".", 1) if isinstance(it, str) else it)),
            "Fn::Join": lambda it: self._text(it[0]).join(map(self._text, self.resolve(it[1]))),
            "Fn::Split": lambda it: self._text(self.resolve(it[1])).split(it[0]),
            "Fn::Select": lambda it: self.resolve(it[1])[int(it[0])],
            "Fn::Sub": self._substitute,
        }
        if name not in functions:
            raise UnresolvableError(f"{name}: {argument}")
        return functions[name](argument)

    def _substitute(self, argument: Json) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in values:
                return self._text(self.resolve(values[name]))
            return self._text(self._attribute(*name.split(".", 1)) if "." in name else self._reference(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def _text(self, value: Json) -> str:
        if not isinstance(value, str):
            raise UnresolvableError(f"not a string: {value!r}")
        return value

    def _resource(self, logical_id: str) -> Mapping[str, Json]:
        if logical_id not in self._resources:
            raise UnresolvableError(f"nothing in the template is called {logical_id}")
        return self._resources[logical_id]

    def _reference(self, name: str) -> Json:  # noqa: PLR0911 - a table of resource types
        if name == "AWS::NoValue":
            return _ABSENT
        if name in self._values:
            return self._values[name]
        resource = self._resource(name)
        properties = resource.get("Properties", {})
        kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
        match resource["Type"]:
            case "AWS::S3::Bucket":
                return self.resolve(properties.get("BucketName", kebab))
            case "AWS::KMS::Key":
                key_id = uuid.uuid5(_KEYS, name)
                return f"mrk-{key_id.hex}" if properties.get("MultiRegion") else str(key_id)
            case "AWS::KMS::ReplicaKey":
                return self._text(self.resolve(properties["PrimaryKeyArn"])).rpartition("/")[2]
            case "AWS::KMS::Alias":
                return self.resolve(properties["AliasName"])
            case "AWS::IAM::Role":
                return self.resolve(properties.get("RoleName", kebab))
            case "AWS::IAM::User":
                return self.resolve(properties.get("UserName", kebab))
            case kind:
                raise UnresolvableError(f"Ref of {kind} {name}")

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self._resource(name)["Type"]
        path = self._resource(name).get("Properties", {}).get("Path", "/")
        match kind, attribute:
            case "AWS::S3::Bucket", "Arn":
                return f"arn:aws:s3:::{self._reference(name)}"
            case (("AWS::KMS::Key" | "AWS::KMS::ReplicaKey"), "Arn"):
                return f"arn:aws:kms:{self.region}:{self.account}:key/{self._reference(name)}"
            case (("AWS::KMS::Key" | "AWS::KMS::ReplicaKey"), "KeyId"):
                return self._text(self._reference(name))
            case "AWS::IAM::Role", "Arn":
                return f"arn:aws:iam::{self.account}:role{path}{self._reference(name)}"
            case "AWS::IAM::User", "Arn":
                return f"arn:aws:iam::{self.account}:user{path}{self._reference(name)}"
            case _:
                raise UnresolvableError(f"{attribute} of {kind} {name}")

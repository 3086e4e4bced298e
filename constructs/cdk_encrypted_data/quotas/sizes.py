"""How long a policy will be once it is deployed, though only the deployment knows some of its texts.

What is unknown counts with the longest text it can be, where AWS says how long that is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.assembly import Json, StackTemplate

_SUBSTITUTED: Final = re.compile(r"\$\{([^!${}][^${}]*)\}")
_ACCOUNT: Final = 12
_LONGEST_REGION: Final = len("ap-southeast-1")
_LONGEST_PARTITION: Final = len("aws-us-gov")
_STACK_NAME: Final = 128
_UUID: Final = 36
_BUCKET_NAME: Final = 63
_ROLE_NAME: Final = 64
# Nothing says how long it is: a longish ARN.
_UNKNOWN: Final = 128

_NAMES: Final = {
    "AWS::S3::Bucket": ("BucketName", _BUCKET_NAME),
    "AWS::IAM::Role": ("RoleName", _ROLE_NAME),
    "AWS::IAM::User": ("UserName", _ROLE_NAME),
    "AWS::KMS::Key": ("", _UUID),
    "AWS::KMS::ReplicaKey": ("", _UUID),
}
_ARNS: Final = {
    "AWS::S3::Bucket": "arn:{partition}:s3:::{name}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{name}",
    "AWS::IAM::User": "arn:{partition}:iam::{account}:user/{name}",
    "AWS::KMS::Key": "arn:{partition}:kms:{region}:{account}:key/{name}",
    "AWS::KMS::ReplicaKey": "arn:{partition}:kms:{region}:{account}:key/{name}",
}


def size_of(document: Json, stack: StackTemplate) -> int:
    """Return the bytes of a policy without white space, as it will be deployed, or somewhat more."""
    text = json.dumps(_Deployed(stack).value(document), separators=(",", ":"), ensure_ascii=False)
    return len(re.sub(r"\s", "", text).encode())


class _Deployed:
    """Puts texts of the right length where functions stand."""

    def __init__(self, stack: StackTemplate) -> None:
        self._resources = stack.template["Resources"]
        self._parameters = stack.template.get("Parameters", {})
        region = stack.region or _filler(_LONGEST_REGION)
        self._pseudo = {
            "AWS::AccountId": stack.account or _filler(_ACCOUNT),
            "AWS::Region": region,
            "AWS::Partition": _partition(stack.region),
            "AWS::URLSuffix": "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com",
            "AWS::StackName": stack.name or _filler(_STACK_NAME),
            "AWS::NoValue": "",
        }

    def value(self, value: Json) -> Json:
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, argument)
        return {name: self.value(one) for name, one in value.items()}

    def _function(self, name: str, argument: Json) -> Json:
        made: Json = _filler(_UNKNOWN)
        match name, argument:
            case "Ref", str():
                made = self._ref(argument)
            case "Fn::GetAtt", [str() as resource, str() as attribute]:
                made = self._attribute(resource, attribute)
            case "Fn::GetAtt", str():
                resource, _, attribute = argument.partition(".")
                made = self._attribute(resource, attribute)
            case "Fn::Join", [str() as between, list() as parts]:
                made = between.join(str(self.value(part)) for part in parts)
            case "Fn::Sub", str():
                made = self._substituted(argument, {})
            case "Fn::Sub", [str() as text, Mapping() as names]:
                made = self._substituted(text, names)
            case "Fn::If", [_, one, other]:
                made = max(self.value(one), self.value(other), key=lambda each: len(json.dumps(each)))
        return made

    def _ref(self, name: str) -> str:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            default = self._parameters[name].get("Default")
            return _filler(_UNKNOWN) if default is None else str(default)
        return self._name(name)

    def _name(self, resource: str) -> str:
        found = self._resources.get(resource, {})
        given, longest = _NAMES.get(found.get("Type"), ("", _UNKNOWN))
        name = found.get("Properties", {}).get(given)
        return _filler(longest) if name is None else str(self.value(name))

    def _attribute(self, resource: str, attribute: str) -> str:
        pattern = _ARNS.get(self._resources.get(resource, {}).get("Type"))
        if attribute != "Arn" or pattern is None:
            return _filler(_UNKNOWN)
        return pattern.format(
            partition=self._pseudo["AWS::Partition"],
            region=self._pseudo["AWS::Region"],
            account=self._pseudo["AWS::AccountId"],
            name=self._name(resource),
        )

    def _substituted(self, text: str, names: Mapping[str, Json]) -> str:
        def one(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name in names:
                return str(self.value(names[name]))
            resource, dot, attribute = name.partition(".")
            return self._attribute(resource, attribute) if dot else self._ref(name)

        return _SUBSTITUTED.sub(one, text)


def _partition(region: str | None) -> str:
    if region is None:
        return _filler(_LONGEST_PARTITION)
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _filler(length: int) -> str:
    return "x" * length

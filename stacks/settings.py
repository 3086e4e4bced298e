"""What a deployment may choose, read from the CDK context and checked once. Plain data: no CDK, no Node."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from cdk_encrypted_data import ServerSideEncryption, UploadPolicy

BUCKETS = "encrypted-data:buckets"
REMOVAL_POLICY = "encrypted-data:removalPolicy"

_FIELDS = {"name", "encryption", "uploadPolicy", "administrators", "users"}
# AccessLogs and its output are the stack's own.
_NAME = re.compile(r"(?!AccessLog)[A-Z][A-Za-z0-9]{0,31}")

_Choice = TypeVar("_Choice", bound=Enum)


class RemovalPolicy(Enum):
    """What happens to buckets and keys when they leave the template, in the CDK's words."""

    RETAIN = "RETAIN"
    DESTROY = "DESTROY"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """One bucket of the stack.

    Attributes:
        name: Its construct id: part of the logical ids, so a new name is a new bucket.
        encryption: How S3 encrypts.
        upload_policy: What an upload that names no encryption meets.
        administrators: ARNs of the roles and users who administer the key and may not use it.
        users: ARNs of the roles and users who use the key and may not administer it.
    """

    name: str
    encryption: ServerSideEncryption = ServerSideEncryption.SSE_KMS
    upload_policy: UploadPolicy = UploadPolicy.RESPECT_DEFAULT
    administrators: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the app's stack may differ in.

    Attributes:
        buckets: The buckets, each with a key of its own.
        removal_policy: What happens to buckets and keys when they leave the template.
    """

    buckets: tuple[BucketSettings, ...] = (BucketSettings(name="Data"),)
    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> Settings:
        """Read the settings from the app's context (``cdk.json``, or ``-c KEY=VALUE``).

        Raises:
            ValueError: If a setting isn't one of those allowed.
        """
        buckets = context.get(BUCKETS, [{"name": "Data"}])
        if isinstance(buckets, str):  # -c KEY=VALUE brings text
            try:
                buckets = json.loads(buckets)
            except json.JSONDecodeError as error:
                raise _refusal(BUCKETS, buckets, "a JSON list of objects") from error
        if not isinstance(buckets, list) or not buckets:
            raise _refusal(BUCKETS, buckets, 'a list of at least one object such as {"name": "Data"}')
        read = tuple(_bucket(each) for each in buckets)
        names = [bucket.name for bucket in read]
        if len(set(names)) != len(names):
            raise _refusal(f"{BUCKETS}, name", names, "names that differ from each other")
        removal_policy = context.get(REMOVAL_POLICY, "RETAIN")
        if removal_policy not in RemovalPolicy.__members__:
            raise _refusal(REMOVAL_POLICY, removal_policy, " or ".join(RemovalPolicy.__members__))
        return cls(buckets=read, removal_policy=RemovalPolicy[str(removal_policy)])


def _bucket(entry: object) -> BucketSettings:
    if not isinstance(entry, dict) or "name" not in entry or not set(entry) <= _FIELDS:
        raise _refusal(BUCKETS, entry, f"objects with a name and any of {', '.join(sorted(_FIELDS - {'name'}))}")
    name = entry["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _refusal(
            f"{BUCKETS}, name", name, "1 to 32 letters and digits that begin with a capital, not with AccessLog"
        )
    return BucketSettings(
        name=name,
        encryption=_choice("encryption", entry.get("encryption", "SSE_KMS"), ServerSideEncryption),
        upload_policy=_choice("uploadPolicy", entry.get("uploadPolicy", "RESPECT_DEFAULT"), UploadPolicy),
        administrators=_arns("administrators", entry.get("administrators", [])),
        users=_arns("users", entry.get("users", [])),
    )


def _choice(field: str, value: object, choices: type[_Choice]) -> _Choice:
    if isinstance(value, str) and value in choices.__members__:
        return choices[value]
    raise _refusal(f"{BUCKETS}, {field}", value, ", ".join(choices.__members__))


def _arns(field: str, value: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(arn, str) and arn.startswith("arn:") for arn in value):
        return tuple(value)
    raise _refusal(f"{BUCKETS}, {field}", value, "a list of ARNs of roles and users")


def _refusal(setting: str, got: object, allowed: str) -> ValueError:
    return ValueError(f"{setting} is {got!r}; allowed: {allowed}; change it in cdk.json or on the command line (-c)")

"""What Glue's jobs hang on: their roles, security configurations, keys, connections, secrets and arguments."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.attachments import compiled
from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Resource, Undecided, listed
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key, Target

S3: Final = "S3 targets"
LOGS: Final = "logs"
BOOKMARKS: Final = "job bookmarks"

_LOCATION: Final = re.compile(r"s3[an]?://(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL)
_NEWEST: Final = "6.0"
_SPARK: Final = ("glueetl", "gluestreaming")


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A secret with its policy. ``key`` is as it is written."""

    resource: Resource
    arn: str
    name: str
    key: Json
    policy: Policy | None

    @property
    def target(self) -> Target:
        """What a request on it is about."""
        return Target(self.arn, self.resource.account, self.policy)


@dataclass(frozen=True, slots=True, eq=False)
class Protection:
    """What a security configuration says of one thing that a job writes. ``key`` is as it is written."""

    what: str
    mode: Json
    key: Json
    place: str

    @property
    def by_key(self) -> bool:
        """Whether a KMS key encrypts it."""
        return bool(self.mode == ("CSE-KMS" if self.what == BOOKMARKS else "SSE-KMS"))


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A Glue job. What isn't in the templates, or can't be known, is Undecided; None is what isn't said."""

    resource: Resource
    role: Caller | Undecided
    security: Resource | Undecided | None

    @property
    def kind(self) -> Json:
        """``glueetl``, ``gluestreaming``, ``pythonshell`` or ``glueray``."""
        return self.resource.setting("Command", "Name")

    @property
    def is_spark(self) -> bool:
        """Whether it is certainly one that Spark runs."""
        return self.kind in _SPARK

    @property
    def version(self) -> Json:
        """Glue's version as it is written; the newest goes for none."""
        return self.resource.setting("GlueVersion")

    @property
    def major(self) -> int | Undecided:
        """The number before the dot of its version, or of Glue's newest for none."""
        version = _NEWEST if self.version is None else self.version
        if isinstance(version, Undecided):
            return version
        number = str(version).partition(".")[0]
        return int(number) if number.isdecimal() else Undecided(f"{version} is no version of Glue", "")

    def argument(self, name: str) -> Json:
        """Return the value of an argument that runs get unless they are given another one."""
        for among in ("NonOverridableArguments", "DefaultArguments"):
            value = self.resource.setting(among, name)
            if value is not None:
                return value
        return None

    def arguments(self) -> Iterator[tuple[str, str, Json]]:
        """Yield every argument: the property that holds it, its name and its value."""
        for among in ("DefaultArguments", "NonOverridableArguments"):
            values = self.resource.setting(among)
            for name, value in values.items() if isinstance(values, Mapping) else ():
                yield among, name, value

    def protection(self, what: str) -> Protection | Undecided | None:
        """Return what its security configuration says of one thing."""
        if self.security is None or isinstance(self.security, Undecided):
            return self.security
        return next(one for one in protections(self.security) if one.what == what)


@dataclass(frozen=True, slots=True, eq=False)
class Glue:
    """The jobs of an assembly, with the connections and secrets that they may use."""

    jobs: tuple[Job, ...]
    connections: tuple[Resource, ...]
    security_configurations: tuple[Resource, ...]
    secrets: tuple[Secret, ...]
    _connections_by_name: Mapping[tuple[str, str, str], Resource]
    _secrets_by_name: Mapping[tuple[str, str, str], Secret]
    _buckets_by_name: Mapping[str, Bucket]

    def located(self, location: Json) -> tuple[Bucket, str] | None:
        """Return the bucket in the templates that an ``s3://bucket/key`` names, and the key."""
        found = _LOCATION.fullmatch(location) if isinstance(location, str) else None
        bucket = None if found is None else self._buckets_by_name.get(found["bucket"])
        return None if found is None or bucket is None else (bucket, found["key"] or "")

    def connections_of(self, job: Job) -> Iterator[Resource | Undecided]:
        """Yield the connections that a job names and that are in the templates."""
        for name in listed(job.resource.setting("Connections", "Connections")):
            if isinstance(name, Undecided):
                yield name
            elif found := self._connections_by_name.get((*_place(job.resource), str(name))):
                yield found

    def secret_of(self, connection: Resource) -> Secret | Undecided | None:
        """Return the secret that a connection reads its credentials from, if it is in the templates."""
        named = connection.setting("ConnectionInput", "ConnectionProperties", "SECRET_ID")
        if named is None:
            named = connection.setting("ConnectionInput", "AuthenticationConfiguration", "SecretArn")
        if isinstance(named, Undecided) or not isinstance(named, str):
            return named if isinstance(named, Undecided) else None
        return self._secrets_by_name.get((*_place(connection), named))


@functools.lru_cache(maxsize=1)
def glue(inventory: Inventory) -> Glue:
    """Read an assembly's jobs and what they use."""
    configurations = inventory.assembly.resources_of_type("AWS::Glue::SecurityConfiguration")
    connections = inventory.assembly.resources_of_type("AWS::Glue::Connection")
    secrets = tuple(_secrets(inventory))
    roles = {
        (one.resource.account, one.resource.ref): one
        for one in inventory.callers
        if one.resource is not None and one.resource.type == "AWS::IAM::Role" and isinstance(one.resource.ref, str)
    }
    by_name = {(*_place(one), one.ref): one for one in configurations if isinstance(one.ref, str)}
    return Glue(
        tuple(
            Job(one, _role(one, inventory, roles), _configuration(one, by_name))
            for one in inventory.assembly.resources_of_type("AWS::Glue::Job")
        ),
        connections,
        configurations,
        secrets,
        {(*_place(one), one.ref): one for one in connections if isinstance(one.ref, str)},
        {(*_place(one.resource), name): one for one in secrets for name in (one.arn, one.name)},
        {one.name: one for one in inventory.buckets},
    )


def protections(security: Resource) -> tuple[Protection, ...]:
    """Return what a security configuration says of each thing that jobs write; the mode is None for nothing."""
    whole = "EncryptionConfiguration"
    targets = security.setting(whole, "S3Encryptions")
    # It is a list that takes one element; templates write the element alone, too.
    first = security.setting(whole, "S3Encryptions", 0) if isinstance(targets, list) else targets
    return (
        _protection(S3, first, "S3EncryptionMode", "S3Encryptions"),
        _protection(
            LOGS, security.setting(whole, "CloudWatchEncryption"), "CloudWatchEncryptionMode", "CloudWatchEncryption"
        ),
        _protection(
            BOOKMARKS,
            security.setting(whole, "JobBookmarksEncryption"),
            "JobBookmarksEncryptionMode",
            "JobBookmarksEncryption",
        ),
    )


def bucket_key(bucket: Bucket, inventory: Inventory) -> Key | Undecided | None:
    """Return the key in the templates that a bucket's objects are encrypted under by default."""
    if bucket.encryption is None or isinstance(bucket.encryption, Undecided):
        return bucket.encryption
    if bucket.encryption.key is None or not str(bucket.encryption.algorithm).startswith("aws:kms"):
        return None
    return inventory.key(bucket.encryption.key, bucket.resource)


def through_s3(bucket: Bucket, object_arn: str) -> dict[str, str]:
    """Return the context of S3's requests to KMS for an object that is encrypted as the bucket says by default.

    "If you use an S3 Bucket Key … the encryption context will be the ARN of the bucket", of the object otherwise:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
    """
    by_bucket = not isinstance(bucket.encryption, Undecided) and bucket.encryption and bucket.encryption.bucket_key
    return {
        "kms:ViaService": f"s3.{bucket.region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": bucket.arn if by_bucket else object_arn,
    }


def _protection(what: str, said: Json, mode: str, place: str) -> Protection:
    place = f"Properties/EncryptionConfiguration/{place}"
    if isinstance(said, Undecided):
        return Protection(what, said, said, place)
    if not isinstance(said, Mapping):
        return Protection(what, None, None, place)
    return Protection(what, said.get(mode), said.get("KmsKeyArn"), place)


def _place(resource: Resource) -> tuple[str, str]:
    return resource.account, resource.region


def _role(job: Resource, inventory: Inventory, roles: Mapping[tuple[str, str], Caller]) -> Caller | Undecided:
    """Find a job's role, which it may name or give the ARN of."""
    named = job.setting("Role")
    if isinstance(named, Undecided):
        return named
    found = inventory.caller(str(named)) or roles.get((job.account, str(named)))
    return found or Undecided(f"the job's role {named} isn't in the templates", "/Properties/Role")


def _configuration(job: Resource, by_name: Mapping[tuple[str, str, str], Resource]) -> Resource | Undecided | None:
    named = job.setting("SecurityConfiguration")
    if named is None or isinstance(named, Undecided):
        return named
    reason = f"the security configuration {named} isn't in the templates"
    return by_name.get((*_place(job), str(named))) or Undecided(reason, "/Properties/SecurityConfiguration")


def _secrets(inventory: Inventory) -> Iterator[Secret]:
    policies = {
        str(one.setting("SecretId")): one
        for one in inventory.assembly.resources_of_type("AWS::SecretsManager::ResourcePolicy")
    }
    for resource in inventory.assembly.resources_of_type("AWS::SecretsManager::Secret"):
        if resource.arn is None:
            continue
        # Six characters that Secrets Manager makes up follow the name.
        name = resource.arn.rpartition(":secret:")[2][: -len("-123456")]
        policy = policies.get(resource.arn) or policies.get(name)
        document = None if policy is None else policy.setting("ResourcePolicy")
        title = f"the policy of secret {resource.title}"
        yield Secret(
            resource,
            resource.arn,
            name,
            resource.setting("KmsKeyId"),
            None if policy is None else compiled(document, PolicyKind.RESOURCE, title),
        )

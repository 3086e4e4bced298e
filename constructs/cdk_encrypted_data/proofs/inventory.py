"""What an assembly deploys for data: its buckets, keys and principals, and every policy that has a say over each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.attachments import Attachments, compiled, doubtful
from cdk_encrypted_data.proofs.cloudformation.resolution import (
    Assembly,
    Json,
    Opaque,
    Resource,
    Undecided,
    listed,
    truth,
    undecided_in,
)
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy, compile_policy
from cdk_encrypted_data.proofs.iam.principals import ANONYMOUS, Kind, Principal
from cdk_encrypted_data.proofs.iam.statements import PolicyKind, Statement

STRANGER_ACCOUNT: Final = "999999999999"
_EVERYTHING: Final = {
    "Version": "2012-10-17",
    "Statement": {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"},
}
FULL_ACCESS: Final = compile_policy(_EVERYTHING, PolicyKind.IDENTITY, name="IAM policies that allow everything")


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """Who may ask, with the policies on its own side. ``title`` is what a finding calls it.

    ``resource`` is the role or user, or the managed policy that nobody in the templates has yet; None for who isn't in
    the templates. ``trust`` is a role's trust policy.
    """

    principal: Principal
    title: str
    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    trust: Policy | None = None
    resource: Resource | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a request is about: an ARN, the account that owns it, and the policy that is attached to it."""

    arn: str
    account: str
    policy: Policy | None


@dataclass(frozen=True, slots=True, eq=False)
class Encryption:
    """A bucket's default encryption. ``key`` is as it is written: an ARN, an id, an alias or its ARN; None for none."""

    algorithm: str
    key: str | Undecided | None
    bucket_key: bool
    blocks_sse_c: bool


@dataclass(frozen=True, slots=True, eq=False)
class Bucket:
    """A bucket with its policy. ``encryption`` is None where the template says nothing: S3 then takes SSE-S3."""

    resource: Resource
    name: str
    arn: str
    encryption: Encryption | Undecided | None
    policy: Policy | None
    policy_resource: Resource | None

    @property
    def account(self) -> str:
        """The account that owns it."""
        return self.resource.account

    @property
    def region(self) -> str:
        """Its Region."""
        return self.resource.region

    @property
    def key_doubt(self) -> str | None:
        """Why it isn't known under which key, if any, objects are stored by default."""
        encryption = self.encryption
        unknown = encryption.key if isinstance(encryption, Encryption) else encryption
        return unknown.reason if isinstance(unknown, Undecided) else None

    @property
    def target(self) -> Target:
        """What a request on the bucket itself is about."""
        return Target(self.arn, self.account, self.policy)

    @property
    def objects(self) -> Target:
        """What a request on one of its objects is about."""
        return Target(f"{self.arn}/an-object", self.account, self.policy)


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A KMS key or a replica of one, with its policy. ``primary``: the ARN of a replica's primary."""

    resource: Resource
    arn: str
    policy: Policy
    aliases: tuple[Resource, ...]
    primary: str | None

    @property
    def account(self) -> str:
        """The account that owns it."""
        return self.resource.account

    @property
    def region(self) -> str:
        """Its Region."""
        return self.resource.region

    @property
    def target(self) -> Target:
        """What a request on it is about."""
        return Target(self.arn, self.account, self.policy)


class Inventory:
    """The buckets, keys and principals of an assembly.

    What is undecided in a policy stays a doubt of the statement that it stands in: the statement then may apply, and
    whatever hangs on that is undecided too.
    """

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self._by_arn: dict[str, Resource] = {}
        self._attachments = Attachments(assembly)
        self.buckets = tuple(self._buckets())
        self.keys = tuple(self._keys())
        self.callers = tuple(self._callers())
        self._callers_by_arn = {caller.principal.arn: caller for caller in self.callers}
        self._keys_by_arn = {key.arn: key for key in self.keys}
        self._buckets_by_arn = {bucket.arn: bucket for bucket in self.buckets}

    # Finding things.

    def key(self, reference: object, near: Resource) -> Key | Undecided | None:
        """Find the key that a resource names: by ARN, id, alias or an alias's ARN. None: it isn't in the templates."""
        if isinstance(reference, Undecided):
            return reference
        if isinstance(reference, Opaque) or not isinstance(reference, str):
            return Undecided(f"which key {reference!r} is can't be known before deployment", "")
        if reference in self._keys_by_arn:
            return self._keys_by_arn[reference]
        prefix = f"arn:aws:kms:{near.region}:{near.account}:"
        for key in self.keys:
            here = key.account == near.account and key.region == near.region
            if here and reference in (key.arn.rpartition("/")[2], f"{prefix}key/{key.arn.rpartition('/')[2]}"):
                return key
            names = {name for alias in key.aliases for name in (_text(alias, "AliasName"), alias.arn) if name}
            if reference in names and (here or reference.startswith("arn:")):
                return key
        return None

    def bucket(self, arn: str) -> Bucket | None:
        """Find the bucket that an ARN names, or whose object it names."""
        return self._buckets_by_arn.get(arn.partition("/")[0])

    def caller(self, arn: str) -> Caller | None:
        """Find the role or user of an ARN."""
        return self._callers_by_arn.get(arn)

    def named(self, arn: str) -> str:
        """Name what an ARN means by its construct path or logical id, where it is in the templates."""
        resource = self.assembly.resource(arn)
        return arn if resource is None else resource.title

    # Who may ask.

    def administrator(self, account: str) -> Caller:
        """Return whoever in an account IAM lets do everything."""
        arn = f"arn:aws:iam::{account}:role/any-administrator"
        who = "an IAM principal of the account whose IAM policies allow everything"
        return Caller(principals.principal(arn), who, (FULL_ACCESS,))

    def bystander(self, account: str) -> Caller:
        """Return whoever in an account IAM lets do nothing."""
        arn = f"arn:aws:iam::{account}:role/any-bystander"
        return Caller(principals.principal(arn), "an IAM principal of the account without any IAM policy")

    def strangers(self) -> tuple[Caller, ...]:
        """Return who has no business here: a principal of an account that nobody named, anybody, a service."""
        arn = f"arn:aws:iam::{STRANGER_ACCOUNT}:role/stranger"
        return (
            Caller(principals.principal(arn), f"a principal of another account ({STRANGER_ACCOUNT})", (FULL_ACCESS,)),
            Caller(ANONYMOUS, "anybody, without credentials"),
            Caller(principals.service("something.amazonaws.com"), "an AWS service that no policy names"),
        )

    def named_by(self, policies: Iterable[Policy]) -> tuple[Caller, ...]:
        """Return everybody whom policies name, in the order of their names.

        Of who isn't in the templates nobody knows the IAM policies: here they allow everything, which is the worst.
        """
        names = sorted({name for policy in policies for one in policy.statements for name in _names(one)})
        found = (self._of(name) for name in names)
        return tuple(caller for caller in found if caller is not None)

    def _of(self, name: str) -> Caller | None:
        kind, _, value = name.partition(" ")
        if kind == "Service":
            return Caller(principals.service(value), f"the service {value}")
        if kind == "AWS" and (found := self.caller(value)):
            return found
        if kind != "AWS" or ":assumed-role/" in value or ":cloudfront:" in value:
            return None
        arn = f"arn:aws:iam::{value}:root" if re.fullmatch(r"\d{12}", value) else value
        who = principals.principal(arn)
        if who.kind is Kind.ROOT:
            arn = f"arn:aws:iam::{who.account}:role/any-principal"
            return Caller(principals.principal(arn), f"a principal of account {who.account}", (FULL_ACCESS,))
        return Caller(who, f"{arn}, whose IAM policies aren't in these templates,", (FULL_ACCESS,))

    # Reading the assembly.

    def _buckets(self) -> Iterator[Bucket]:
        policies = _policies_of(self.assembly, "AWS::S3::BucketPolicy", "Bucket")
        for resource in self.assembly.resources_of_type("AWS::S3::Bucket"):
            if resource.arn is None or isinstance(resource.ref, Undecided):
                continue
            policy_resource = policies.get(resource.ref)
            name = f"the policy of bucket {resource.title}"
            policy = None
            if policy_resource is not None and (reason := _perhaps_absent(policy_resource, resource)):
                policy = doubtful(PolicyKind.RESOURCE, name, reason)
            elif policy_resource is not None:
                policy = compiled(policy_resource.properties.get("PolicyDocument"), PolicyKind.RESOURCE, name)
            elif reason := _perhaps_named(self.assembly, resource):
                policy = doubtful(PolicyKind.RESOURCE, name, reason)
            yield Bucket(resource, resource.ref, resource.arn, _encryption(resource), policy, policy_resource)

    def _keys(self) -> Iterator[Key]:
        aliases: dict[str, list[Resource]] = {}
        for alias in self.assembly.resources_of_type("AWS::KMS::Alias"):
            target = alias.properties.get("TargetKeyId")
            if isinstance(target, str):
                aliases.setdefault(target.rpartition("/")[2], []).append(alias)
        for kind in ("AWS::KMS::Key", "AWS::KMS::ReplicaKey"):
            for resource in self.assembly.resources_of_type(kind):
                if resource.arn is None:
                    continue
                document = resource.properties.get("KeyPolicy")
                if document is None:
                    document = _default_key_policy(resource.account)
                primary = resource.properties.get("PrimaryKeyArn")
                yield Key(
                    resource,
                    resource.arn,
                    compiled(document, PolicyKind.RESOURCE, f"the policy of key {resource.title}"),
                    tuple(
                        alias
                        for alias in aliases.get(resource.arn.rpartition("/")[2], ())
                        if (alias.account, alias.region) == (resource.account, resource.region)
                    ),
                    primary if isinstance(primary, str) else None,
                )

    def _callers(self) -> Iterator[Caller]:
        for kind, word in (("AWS::IAM::Role", "role"), ("AWS::IAM::User", "user")):
            for resource in self.assembly.resources_of_type(kind):
                if resource.arn is None or isinstance(resource.arn, Opaque):
                    continue
                try:
                    who = principals.principal(resource.arn)
                except ValueError:
                    continue
                trust = resource.properties.get("AssumeRolePolicyDocument")
                yield Caller(
                    who,
                    f"{word} {resource.title}",
                    self._attachments.of(resource),
                    self._attachments.boundary(resource),
                    compiled(trust, PolicyKind.TRUST, f"the trust policy of {resource.title}") if trust else None,
                    resource,
                )
        for resource, policy in self._attachments.unattached:
            who = principals.principal(f"arn:aws:iam::{resource.account}:role/any-holder-of-{resource.logical_id}")
            yield Caller(who, f"a role with the managed policy {resource.title}", (policy,), resource=resource)


def _names(statement: Statement) -> Iterable[str]:
    return () if statement.principals is None else statement.principals.names


def _policies_of(assembly: Assembly, kind: str, target: str) -> dict[str, Resource]:
    found = {}
    for resource in assembly.resources_of_type(kind):
        named = resource.properties.get(target)
        if isinstance(named, str):
            found[named] = resource
    return found


def _perhaps_absent(policy: Resource, bucket: Resource) -> str | None:
    """Say why nobody knows whether a bucket that is there has its policy."""
    if isinstance(policy.present, Undecided) and (
        bucket.present is True or bucket.present.reason != policy.present.reason
    ):
        return policy.present.reason
    return None


def _perhaps_named(assembly: Assembly, bucket: Resource) -> str | None:
    """Say why nobody knows whether a bucket without a policy has one after all."""
    for resource in assembly.resources_of_type("AWS::S3::BucketPolicy"):
        named = resource.properties.get("Bucket")
        if isinstance(named, Undecided) and resource.account == bucket.account:
            return f"which bucket {resource.title} is for can't be known: {named.reason}"
    return None


def _default_key_policy(account: str) -> Json:
    """Return what KMS attaches where a template says no policy."""
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


_DEFAULT: Final = (
    "BucketEncryption",
    "ServerSideEncryptionConfiguration",
    0,
    "ServerSideEncryptionByDefault",
)


def _encryption(resource: Resource) -> Encryption | Undecided | None:
    rules = resource.setting("BucketEncryption", "ServerSideEncryptionConfiguration")
    if rules is None or isinstance(rules, Undecided):
        return rules
    rule = resource.setting("BucketEncryption", "ServerSideEncryptionConfiguration", 0)
    key = resource.setting(*_DEFAULT, "KMSMasterKeyID")
    alone = isinstance(key, Undecided) and not isinstance(resource.setting(*_DEFAULT), Undecided)
    for undecided in undecided_in(rule):
        # Which key it is may be unknown, and what is stored without any key known nevertheless.
        if not (alone and undecided is key):
            return undecided
    if not isinstance(rule, Mapping):
        return None
    default, blocked = rule.get("ServerSideEncryptionByDefault"), rule.get("BlockedEncryptionTypes")
    default = default if isinstance(default, Mapping) else {}
    blocked = blocked if isinstance(blocked, Mapping) else {}
    return Encryption(
        default.get("SSEAlgorithm", "AES256"),
        key,
        truth(rule.get("BucketKeyEnabled")),
        "SSE-C" in listed(blocked.get("EncryptionType")),
    )


def _text(resource: Resource, name: str) -> str | None:
    value = resource.properties.get(name)
    return value if isinstance(value, str) else None

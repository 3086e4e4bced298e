"""What encrypts under which key, who may be asked about it, and what isn't known of where both are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Opaque, Resource, StandIn, Undecided
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Encryption, Inventory, Key
from cdk_encrypted_data.proofs.subjects.outsiders import principal_like

# The property that names the key, by type.
_KEY_PROPERTIES: Final[Mapping[str, str]] = {
    "AWS::CloudTrail::Trail": "KMSKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
}
BUCKET_PLACE: Final = (
    "Properties/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/KMSMasterKeyID"
)
_ACCOUNT: Final = re.compile(r"(?<!\d)\d{12}(?!\d)")
_REGION: Final = re.compile(r"\b(?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-gov|-iso[a-z]?)?-[a-z]+-\d\b")


@dataclass(frozen=True, slots=True)
class Use:
    """A resource that encrypts under a key. ``key`` is None if it isn't in the templates."""

    resource: Resource
    reference: Json
    key: Key | Undecided | None
    place: str


def uses(inventory: Inventory) -> Iterator[Use]:
    """Yield everything in the templates that names a key to encrypt under."""
    for bucket in inventory.buckets:
        reference = _default_key(bucket)
        if reference is not None:
            yield Use(bucket.resource, reference, inventory.key(reference, bucket.resource), BUCKET_PLACE)
    for kind, name in _KEY_PROPERTIES.items():
        for resource in inventory.assembly.resources_of_type(kind):
            reference = resource.setting(name)
            if reference is not None and reference != "":
                yield Use(resource, reference, inventory.key(reference, resource), f"Properties/{name}")


def protected(inventory: Inventory) -> Iterator[tuple[Bucket, Key]]:
    """Yield the buckets whose default encryption is under a key of the templates."""
    for bucket in inventory.buckets:
        reference = _default_key(bucket)
        key = None if reference is None else inventory.key(reference, bucket.resource)
        if isinstance(key, Key):
            yield bucket, key


def _default_key(bucket: Bucket) -> Json:
    encryption = bucket.encryption
    if not isinstance(encryption, Encryption) or not isinstance(encryption.algorithm, str):
        return None
    return encryption.key if encryption.algorithm.startswith("aws:kms") else None


def through_s3(bucket: Bucket, object_arn: str) -> Said:
    """Return what S3 says to KMS about an object: its own ARN, or its bucket's where the bucket has a Bucket Key.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
    """
    encryption = bucket.encryption
    # DSSE-KMS has no Bucket Keys, whatever the template says.
    whole = isinstance(encryption, Encryption) and encryption.bucket_key and encryption.algorithm == "aws:kms"
    return {
        "kms:ViaService": f"s3.{bucket.region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": bucket.arn if whole else object_arn,
    }


def people(inventory: Inventory, key: Key) -> list[Caller]:
    """Return every principal of whom a key's policy could mean to say something: no other has more to say over it."""
    return [*masters(inventory, key), *(one for one in inventory.callers if one.principal.account == key.account)]


def masters(inventory: Inventory, key: Key) -> list[Caller]:
    """Return the account's administrators and the principals that a key's policy names, but no services."""
    named = (caller for caller in inventory.named_by([key.policy]) if caller.principal.kind is not Kind.SERVICE)
    return [inventory.administrator(key.account), *delegates(key), *named]


def delegates(key: Key) -> Iterator[Caller]:
    """Yield who fits a condition on aws:PrincipalArn: so a policy names some of the account's principals."""
    for condition in (one for statement in key.policy.statements for one in statement.conditions):
        if condition.key.lower() == "aws:principalarn":
            for value in condition.values:
                if caller := principal_like(value, key.account):
                    yield caller


def rotates(key: Resource) -> bool:
    """Whether KMS can rotate a key by itself: symmetric, with KMS's own material, and no replica, which follows."""
    return key.type == "AWS::KMS::Key" and all(
        key.setting(name) in (None, value)
        for name, value in (("KeySpec", "SYMMETRIC_DEFAULT"), ("KeyUsage", "ENCRYPT_DECRYPT"), ("Origin", "AWS_KMS"))
    )


# What isn't known of the place.


def unsaid(*resources: Resource) -> str | None:
    """Say why it isn't known that a literal account or Region in these resources is another one than theirs.

    Where nobody said which account or Region a stack is for, a refusal may hang on that and nothing else.
    """
    place = resources[0]
    texts = [text for resource in resources for text in _texts(resource.properties)]
    for pattern, what, value in ((_ACCOUNT, "account", place.account), (_REGION, "Region", place.region)):
        if not isinstance(value, StandIn):
            continue
        for found in (found for text in texts for found in pattern.findall(text)):
            if found != value:
                return f"whether {found} is the {what} of {place.title} isn't known before deployment"
    if any(isinstance(text, Opaque) for text in texts):
        return f"some of what the policies of {place.title} say isn't known before deployment"
    return None


def hangs_on_name(inventory: Inventory, named: Resource, said: Said, policies: Iterable[Resource]) -> str | None:
    """Say why it isn't known that policies mean other names than a request says.

    A resource without a name of its own gets one that begins with its stack's, and nobody said what that is.
    """
    stack = next((stack.name for stack in inventory.assembly.stacks if stack.id == named.stack), "")
    name = named.ref
    if isinstance(name, Undecided) or not isinstance(stack, StandIn) or not name.lower().startswith(stack.lower()):
        return None
    if not any(isinstance(value, str) and name in value for value in said.values()):
        return None
    if any(name in text for policy in policies for text in _texts(policy.properties)):
        return None
    return f"the name of {named.title} isn't known before deployment"


def elsewhere(one: str, other: str) -> bool | None:
    """Whether two accounts or Regions differ; None where that isn't known before deployment."""
    if isinstance(one, StandIn) != isinstance(other, StandIn):
        return None
    if one == other:
        return False
    return None if isinstance(one, StandIn) else True


def _texts(value: Json) -> Iterator[str]:
    """Yield every text in a value, keys too."""
    open_ = [value]
    while open_:
        value = open_.pop()
        if isinstance(value, Mapping):
            open_ += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            open_ += value
        elif isinstance(value, str):
            yield value

"""Keys as resources: whether what names a key can use it, where replicas are, rotation, and what outlives what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Opaque, Resource, StandIn, Undecided, truth
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.inventory import Bucket, Inventory, Key
from cdk_encrypted_data.proofs.rules.keys import refusal
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data.proofs.subjects.uses import Use, elsewhere, people, protected, rotates, through_s3, uses

_GUIDE: Final = "https://docs.aws.amazon.com/kms/latest/developerguide"
_REFERENCE: Final = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference"
_KEY_ARN_PARTS: Final = 6
_THROUGH_S3: Final = ("kms:Decrypt", "kms:GenerateDataKey")

UNUSABLE: Final = Rule(
    id="key-unusable",
    severity=Severity.ERROR,
    claim="What names a key to encrypt under can use it: a symmetric key of its Region that is enabled.",
    because="CloudFormation and S3 take the name unchecked; every write then fails.",
    remedy="Name an enabled symmetric key of the resource's own Region by its ARN.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    ),
)
WITHOUT_USERS: Final = Rule(
    id="key-without-users",
    severity=Severity.ERROR,
    claim="Somebody can read and write, through S3, a bucket whose default encryption is under the key.",
    because="Every upload and every download fails, whatever the bucket's policy and IAM policies say.",
    remedy="Allow the account or the users kms:Decrypt and kms:GenerateDataKey, with both forms of the bucket's ARN.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html#bucket-key-changes",
    ),
)
BY_ALIAS: Final = Rule(
    id="key-by-alias",
    severity=Severity.WARNING,
    claim="A bucket's default encryption names its key by ARN.",
    because="KMS looks an alias up in the requester's account: another account's upload comes under another key.",
    remedy="Name the key by its ARN.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html",),
)
NO_ROTATION: Final = Rule(
    id="key-no-rotation",
    severity=Severity.WARNING,
    claim="KMS rotates the key.",
    because="Without it all data of the key's life hang on one key material.",
    remedy="Set EnableKeyRotation to true.",
    sources=(
        f"{_GUIDE}/rotate-keys.html",
        "https://docs.aws.amazon.com/securityhub/latest/userguide/kms-controls.html#kms-4",
    ),
)
REPLICA_MISPLACED: Final = Rule(
    id="replica-key-misplaced",
    severity=Severity.ERROR,
    claim="A replica has a multi-Region primary in another Region of its account; an alias has its key beside it.",
    because="KMS refuses anything else, and the deployment fails.",
    remedy="Deploy one replica to each Region, name the primary by its ARN, and set the primary's MultiRegion to true.",
    sources=(
        f"{_REFERENCE}/aws-resource-kms-replicakey.html",
        "https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html",
        f"{_REFERENCE}/aws-resource-kms-alias.html",
    ),
)
REPLICA_REFUSED: Final = Rule(
    id="replica-key-refused",
    severity=Severity.ERROR,
    claim="Somebody may replicate the primary key of a replica.",
    because="Who deploys the replica needs kms:ReplicateKey on the primary.",
    remedy="Allow kms:ReplicateKey, with kms:ReplicaRegion, in the primary key's policy.",
    sources=(
        "https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html",
        f"{_GUIDE}/multi-region-keys-auth.html",
    ),
)
NOT_RETAINED: Final = Rule(
    id="key-not-retained",
    severity=Severity.NOTE,
    claim="The key stays when it leaves the template.",
    because="CloudFormation otherwise schedules its deletion, and what is under a deleted key is lost.",
    remedy="Set DeletionPolicy and UpdateReplacePolicy to Retain.",
    sources=(
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html",
        f"{_GUIDE}/deleting-keys.html",
    ),
)
OUTLIVED: Final = Rule(
    id="key-outlived-by-data",
    severity=Severity.WARNING,
    claim="A key stays as long as the buckets under it.",
    because="The template keeps the bucket, and what it then keeps can't be read: its key is deleted.",
    remedy="Set the key's DeletionPolicy to Retain, or delete the bucket with it.",
    sources=NOT_RETAINED.sources,
)


# What names a key.


def _uses(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for use in uses(inventory):
        if use.key is None and isinstance(use.reference, str):
            yield from _outside(inventory, use, use.reference)
        elif isinstance(use.key, Key):
            yield from _usable(use, use.key)
        if isinstance(use.key, Undecided):
            yield Undecidable(UNUSABLE, use.resource, use.key.reason)
        elif use.resource.type == "AWS::S3::Bucket" and _is_alias(use.reference):
            words = f"{use.resource.title} names its key {use.reference}: for another account that is another key"
            yield Finding(BY_ALIAS, use.resource, words, use.place)


def _is_alias(reference: Json) -> bool:
    return isinstance(reference, str) and reference.startswith("alias/") and not reference.startswith("alias/aws/")


def _usable(use: Use, key: Key) -> Iterator[Outcome]:
    far = elsewhere(use.resource.region, key.region)
    faults = [
        ("its key is in another Region: {key} is in {region}", far),
        ("its key {key} is disabled", _is_set(key.resource.setting("Enabled"), "false")),
        ("its key {key} is asymmetric or for HMACs", _differs(key.resource.setting("KeySpec"), "SYMMETRIC_DEFAULT")),
        ("its key {key} isn't for encryption", _differs(key.resource.setting("KeyUsage"), "ENCRYPT_DECRYPT")),
    ]
    for words, wrong in faults:
        if wrong is None:
            yield Undecidable(UNUSABLE, use.resource, f"the Region or a setting of {key.resource.title} isn't known")
        elif wrong:
            said = words.format(key=key.resource.title, region=key.region)
            yield Finding(UNUSABLE, use.resource, f"{use.resource.title} can't encrypt: {said}", use.place)
            return


def _outside(inventory: Inventory, use: Use, reference: str) -> Iterator[Outcome]:
    """Judge a key that isn't in the templates by what its name says."""
    parts = reference.split(":", _KEY_ARN_PARTS - 1)
    if len(parts) == _KEY_ARN_PARTS and parts[2] == "kms":
        # A text that holds a stand-in is one: whether its Region is known can't be told from it.
        unsure = isinstance(reference, StandIn) or isinstance(use.resource.region, StandIn)
        if parts[3] != use.resource.region and not unsure:
            words = f"{use.resource.title} can't encrypt: its key {reference} is in another Region"
            yield Finding(UNUSABLE, use.resource, words, use.place)
    elif reference.startswith("alias/"):
        there = [alias for alias in inventory.assembly.resources_of_type("AWS::KMS::Alias") if alias.ref == reference]
        far = [_far(use.resource, alias) for alias in there]
        if far and all(far):
            words = f"{use.resource.title} can't encrypt: {reference} is in {there[0].region}, and not here"
            yield Finding(UNUSABLE, use.resource, words, use.place)


def _far(one: Resource, other: Resource) -> bool | None:
    """Whether two resources are in different accounts or Regions; None where that isn't known."""
    if one.stack == other.stack:
        return False
    found = [elsewhere(one.account, other.account), elsewhere(one.region, other.region)]
    if True in found:
        return True
    return None if None in found or isinstance(one.region, StandIn) else False


def _is_set(value: Json, text: str) -> bool | None:
    return None if isinstance(value, (Undecided, Opaque)) else str(value).lower() == text


def _differs(value: Json, text: str) -> bool | None:
    return None if isinstance(value, (Undecided, Opaque)) else value is not None and value != text


# Buckets' keys.


def _users(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket, key in protected(inventory):
        answer = prover.hopeless(
            people(inventory, key), _THROUGH_S3, key.target, [through_s3(bucket, bucket.objects.arn)]
        )
        if answer.case and _serves(inventory, prover, key):
            continue
        words = f"{in_words(answer.case)}, nor may anybody else" if answer.case else ""
        effect = f"nothing that {bucket.resource.title} stores by default can be written or read"
        yield from refusal(WITHOUT_USERS, key, answer, f"{words}: {effect}")


def _serves(inventory: Inventory, prover: Prover, key: Key) -> bool:
    """Whether an AWS service may use the key for itself: a bucket may be for nobody else. CloudWatch Logs has none."""
    named = (caller for caller in inventory.named_by([key.policy]) if caller.principal.kind is Kind.SERVICE)
    services = [caller for caller in named if not caller.principal.name.startswith("logs.")]
    return bool(prover.allowed(services, _THROUGH_S3, key.target))


# Replicas and aliases.


def _replicas(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    placed: dict[tuple[str, str, str], Resource] = {}
    # Without its primary's id a replica has no ARN, so that not every one is among the keys.
    for replica in inventory.assembly.resources_of_type("AWS::KMS::ReplicaKey"):
        reference = replica.setting("PrimaryKeyArn")
        if not isinstance(reference, str) or isinstance(reference, Opaque):
            reason = reference.reason if isinstance(reference, Undecided) else "its PrimaryKeyArn isn't a known text"
            yield Undecidable(REPLICA_MISPLACED, replica, reason)
            continue
        primary = next((key for key in inventory.keys if key.arn == reference), None)
        fault = _outside_fault(replica, reference) if primary is None else _fault(replica, primary)
        first = placed.setdefault((reference, replica.account, replica.region), replica)
        if first is not replica and _far(first, replica) is False:
            fault = f"{first.title} is another replica of the same key in {replica.region}"
        if isinstance(fault, Undecided):
            yield Undecidable(REPLICA_MISPLACED, replica, fault.reason)
        elif fault is not None:
            words = f"{replica.title} can't be made: {fault}"
            yield Finding(REPLICA_MISPLACED, replica, words, "Properties/PrimaryKeyArn")
        elif primary is not None:
            yield from _replicable(inventory, prover, replica, primary)


def _fault(replica: Resource, primary: Key) -> str | Undecided | None:
    """Say what is wrong with a replica whose primary is in the templates."""
    title = primary.resource.title
    several = primary.resource.setting("MultiRegion")
    if isinstance(several, Undecided):
        return several
    if primary.resource.type != "AWS::KMS::Key":
        return f"{title} is itself a replica"
    if not truth(several):
        return f"its primary {title} isn't a multi-Region key"
    if elsewhere(replica.account, primary.account):
        return f"its primary {title} is in another account, {primary.account}"
    return _near(replica, primary.resource)


def _near(replica: Resource, primary: Resource) -> str | Undecided | None:
    far = elsewhere(replica.region, primary.region)
    if far:
        return None
    if far is False and (replica.stack == primary.stack or not isinstance(replica.region, StandIn)):
        return f"its primary {primary.title} is in the same Region"
    return Undecided(f"whether {primary.title} is in another Region isn't known before deployment", "")


def _outside_fault(replica: Resource, reference: str) -> str | Undecided | None:
    """Say what is wrong with a replica of a key that isn't in the templates, by the key's ARN."""
    parts = reference.split(":", _KEY_ARN_PARTS - 1)
    if len(parts) != _KEY_ARN_PARTS or parts[2] != "kms" or not parts[5].startswith("key/"):
        return f"{reference} isn't the ARN of a key"
    if isinstance(reference, StandIn):
        return Undecided("its primary key isn't in the templates", "")
    faults = (
        (not parts[5].startswith("key/mrk-"), "isn't a multi-Region key"),
        (elsewhere(replica.account, parts[4]), "is in another account"),
        (elsewhere(replica.region, parts[3]) is False, "is in the same Region"),
    )
    return next((f"its primary {reference} {words}" for wrong, words in faults if wrong), None)


def _replicable(inventory: Inventory, prover: Prover, replica: Resource, primary: Key) -> Iterator[Outcome]:
    answer = prover.hopeless(
        people(inventory, primary), ["kms:ReplicateKey"], primary.target, [{"kms:ReplicaRegion": replica.region}]
    )
    words = f"{in_words(answer.case)}, nor may anybody else" if answer.case else ""
    yield from refusal(REPLICA_REFUSED, primary, answer, f"{words}: {replica.title} can't be made")


def _aliases(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for alias in inventory.assembly.resources_of_type("AWS::KMS::Alias"):
        target = alias.setting("TargetKeyId")
        if not isinstance(target, str) or isinstance(target, Opaque):
            continue
        named = [key.resource for key in inventory.keys if target in (key.arn, key.arn.rpartition("/")[2])]
        far = [_far(alias, key) for key in named]
        account, region = (target.split(":") + [""] * 5)[4:2:-1]
        if not named and (elsewhere(alias.account, account) or elsewhere(alias.region, region)) and account:
            words = f"{alias.title} can't be made: its key {target} is in another account or Region"
            yield Finding(REPLICA_MISPLACED, alias, words, "Properties/TargetKeyId")
        if far and all(far):
            words = f"{alias.title} can't be made: its key {named[0].title} is in {named[0].region}"
            yield Finding(REPLICA_MISPLACED, alias, words, "Properties/TargetKeyId")


# Rotation and retention.


def _rotation(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        rotated = key.resource.setting("EnableKeyRotation")
        doubts = [key.resource.setting(name) for name in ("KeySpec", "KeyUsage", "Origin")]
        doubtful = [one for one in (rotated, *doubts) if isinstance(one, (Undecided, Opaque))]
        if doubtful and key.resource.type == "AWS::KMS::Key":
            yield Undecidable(NO_ROTATION, key.resource, "whether KMS rotates it isn't known before deployment")
        elif rotates(key.resource) and not truth(rotated):
            words = f"EnableKeyRotation of {key.resource.title} isn't true: KMS never makes new key material"
            yield Finding(NO_ROTATION, key.resource, words, "Properties/EnableKeyRotation")


def _retention(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    under: dict[str, list[Bucket]] = {}
    for bucket, key in protected(inventory):
        under.setdefault(key.arn, []).append(bucket)
    for key in inventory.keys:
        policy, replaced = key.resource.deletion_policy, key.resource.update_replace_policy
        if isinstance(policy, Undecided):
            yield Undecidable(NOT_RETAINED, key.resource, policy.reason)
        elif _retained(policy) and isinstance(replaced, Undecided):
            yield Undecidable(NOT_RETAINED, key.resource, replaced.reason)
        elif _retained(policy):
            if not _retained(replaced):
                words = f"UpdateReplacePolicy of {key.resource.title} isn't Retain: a replaced key is deleted"
                yield Finding(NOT_RETAINED, key.resource, words, "UpdateReplacePolicy")
        else:
            said = "no DeletionPolicy" if policy is None else f"DeletionPolicy {policy}"
            words = f"{key.resource.title} has {said}: KMS deletes it once it leaves the template"
            yield Finding(NOT_RETAINED, key.resource, words, "DeletionPolicy")
            for bucket in under.get(key.arn, ()):
                if _retained(bucket.resource.deletion_policy):
                    words = f"{bucket.resource.title} stays, {key.resource.title} has {said}: what stays is unreadable"
                    yield Finding(OUTLIVED, key.resource, words, "DeletionPolicy")


def _retained(policy: Json) -> bool:
    return policy in ("Retain", "RetainExceptOnCreate")


CHECKS: Final = (_uses, _users, _replicas, _aliases, _rotation, _retention)
RULES: Final[tuple[Rule, ...]] = (
    UNUSABLE,
    WITHOUT_USERS,
    BY_ALIAS,
    NO_ROTATION,
    REPLICA_MISPLACED,
    REPLICA_REFUSED,
    NOT_RETAINED,
    OUTLIVED,
)

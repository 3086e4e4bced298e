"""Buckets: the properties that decide about access, copies and loss, and where their access logs go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Resource, Undecided, known, listed, truth
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, outcome
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Target
from cdk_encrypted_data.proofs.rules.bucket_encryption import has_customer_key
from cdk_encrypted_data.proofs.spaces import TLS, Prover
from cdk_encrypted_data.proofs.subjects.s3 import KEY_ID, LOG_DELIVERY, SSE, SSE_C, is_log_target, log_target, relevant

_BUCKET_PAGE: Final = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html"
)
_BLOCK_PAGE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"
_LOGS_PAGE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html"
_DELETION_PAGE: Final = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html"
)

PUBLIC_ACCESS_NOT_BLOCKED: Final = Rule(
    id="bucket-public-access-not-blocked",
    severity=Severity.WARNING,
    claim="All four settings that block public access are on.",
    because="New buckets have all four on; a template that says some of them switches the others off.",
    remedy="Set all four of PublicAccessBlockConfiguration to true, or leave it out.",
    sources=(_BLOCK_PAGE,),
)
ACLS_ENABLED: Final = Rule(
    id="bucket-acls-enabled",
    severity=Severity.WARNING,
    claim="Only policies decide who reaches the bucket and its objects.",
    because="With ACLs on, whoever uploads an object decides who reads it, and no policy shows it.",
    remedy="Set OwnershipControls to BucketOwnerEnforced, or leave it out, and leave out AccessControl.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html", _BUCKET_PAGE),
)
LOG_DELIVERY_REFUSED: Final = Rule(
    id="bucket-log-delivery-refused",
    severity=Severity.ERROR,
    claim="S3 can deliver the bucket's access logs where the template says.",
    because="S3 doesn't say that it can't deliver: the logs are missing on the day when somebody needs them.",
    remedy=(
        "Allow logging.s3.amazonaws.com s3:PutObject under the prefix in the target's policy, with aws:SourceArn the "
        "source's, and exempt it from what the policy denies to everybody."
    ),
    sources=(_LOGS_PAGE,),
)
LOG_TARGET_UNFIT: Final = Rule(
    id="bucket-log-target-unfit",
    severity=Severity.ERROR,
    claim="The bucket that gets access logs is one that S3 delivers to.",
    because="S3 delivers only within an account and a Region, and not into buckets with Object Lock.",
    remedy="Log into a bucket of the same account and Region without Object Lock.",
    sources=(_LOGS_PAGE, "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html"),
)
LOGS_INTO_ITSELF: Final = Rule(
    id="bucket-logs-into-itself",
    severity=Severity.WARNING,
    claim="The bucket's access logs go to another bucket.",
    because="Each delivery of a log is itself logged, without end, and the logs lie among the data they are about.",
    remedy="Name another bucket as DestinationBucketName.",
    sources=(_LOGS_PAGE,),
)
KEY_OFF: Final = Rule(
    id="bucket-key-off",
    severity=Severity.NOTE,
    claim="S3 asks KMS once for many objects.",
    because="Without an S3 Bucket Key each object is a call to KMS: its price, and its limit on calls a second.",
    remedy="Set BucketKeyEnabled, and let policies on the key name the bucket's ARN as encryption context as well.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html",),
)
NOT_VERSIONED: Final = Rule(
    id="bucket-not-versioned",
    severity=Severity.NOTE,
    claim="What is overwritten or deleted can be brought back.",
    because="Without versions the last writer wins for good, and neither replication nor Object Lock is possible.",
    remedy="Set VersioningConfiguration to Enabled, with a lifecycle rule that expires old versions.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html",),
)
NOT_RETAINED: Final = Rule(
    id="bucket-not-retained",
    severity=Severity.NOTE,
    claim="The bucket outlives its stack.",
    because="CloudFormation deletes a bucket that leaves the template or is replaced, unless it holds objects.",
    remedy="Set DeletionPolicy and UpdateReplacePolicy to Retain.",
    sources=(
        _DELETION_PAGE,
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatereplacepolicy.html",
    ),
)
POLICY_NOT_RETAINED: Final = Rule(
    id="bucket-policy-not-retained",
    severity=Severity.NOTE,
    claim="A bucket that outlives its stack keeps its policy.",
    because="The bucket stays with its objects, and what its policy refused is refused no more.",
    remedy="Give the bucket's policy the DeletionPolicy and UpdateReplacePolicy of the bucket.",
    sources=(_DELETION_PAGE,),
)

_SETTINGS: Final = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_OWNERSHIP: Final = ("OwnershipControls", "Rules", 0, "ObjectOwnership")
_ENFORCED: Final = "BucketOwnerEnforced"
# S3 refuses those that give another account access: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
_NOBODY_ELSES: Final = (None, "Private", "BucketOwnerRead", "BucketOwnerFullControl")
_STAYS: Final = ("Retain", "RetainExceptOnCreate")


def _each_bucket(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        yield from _public_access(bucket.resource)
        yield from _acls(bucket.resource)
        yield from _bucket_key(bucket)
        yield from _versions(bucket, inventory)
        yield from _removal(bucket, inventory)
        yield from _logs(bucket, inventory, prover)


# Access.


def _public_access(bucket: Resource) -> Iterator[Outcome]:
    block = bucket.setting("PublicAccessBlockConfiguration")
    if isinstance(block, Undecided):
        yield Undecidable(PUBLIC_ACCESS_NOT_BLOCKED, bucket, block.reason)
    if not isinstance(block, Mapping):
        return
    said = {name: block.get(name) for name in _SETTINGS}
    off = [name for name, value in said.items() if not isinstance(value, Undecided) and not truth(value)]
    undecided = [value for value in said.values() if isinstance(value, Undecided)]
    if off:
        words = f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off: public ACLs or policies can take effect"
        yield Finding(PUBLIC_ACCESS_NOT_BLOCKED, bucket, words, "Properties/PublicAccessBlockConfiguration")
    elif undecided:
        yield Undecidable(PUBLIC_ACCESS_NOT_BLOCKED, bucket, undecided[0].reason)


def _acls(bucket: Resource) -> Iterator[Outcome]:
    """Without OwnershipControls ACLs are off, and an AccessControl other than Private "will fail to deploy"."""
    ownership, acl = bucket.setting(*_OWNERSHIP), bucket.setting("AccessControl")
    if undecided := [one for one in (ownership, acl) if isinstance(one, Undecided)]:
        yield Undecidable(ACLS_ENABLED, bucket, undecided[0].reason)
    elif ownership not in (None, _ENFORCED):
        words = f"ObjectOwnership is {ownership}: whoever uploads an object owns it, or shares it by an ACL of its own"
        if acl not in (None, "Private"):
            words += f", and AccessControl {acl} is an ACL of the bucket's"
        yield Finding(ACLS_ENABLED, bucket, words, "Properties/OwnershipControls")
    elif acl not in _NOBODY_ELSES:
        words = f"AccessControl is {acl}, and ACLs are off: CloudFormation fails to make the bucket"
        yield Finding(ACLS_ENABLED, bucket, words, "Properties/AccessControl")


# Cost and loss.


def _bucket_key(bucket: Bucket) -> Iterator[Outcome]:
    """There is no S3 Bucket Key for DSSE-KMS."""
    encryption = bucket.encryption
    if isinstance(encryption, Undecided):
        yield Undecidable(KEY_OFF, bucket.resource, encryption.reason)
        return
    if encryption is None or encryption.bucket_key or encryption.algorithm != "aws:kms":
        return
    by_customer = has_customer_key(encryption)
    if isinstance(by_customer, Undecided):
        yield Undecidable(KEY_OFF, bucket.resource, by_customer.reason)
    elif by_customer:
        words = "BucketKeyEnabled isn't true: every object written or read is a call to KMS of its own"
        yield Finding(KEY_OFF, bucket.resource, words, "Properties/BucketEncryption")


def _versions(bucket: Bucket, inventory: Inventory) -> Iterator[Outcome]:
    """Log delivery overwrites nothing, so a bucket of logs is left alone, unless it expires versions and has none."""
    status = bucket.resource.setting("VersioningConfiguration", "Status")
    if isinstance(status, Undecided):
        yield Undecidable(NOT_VERSIONED, bucket.resource, status.reason)
    elif status != "Enabled" and (_expires_versions(bucket.resource) or not is_log_target(inventory, bucket)):
        words = "an object that is overwritten or deleted is gone"
        yield Finding(NOT_VERSIONED, bucket.resource, words, "Properties/VersioningConfiguration")


def _expires_versions(bucket: Resource) -> bool:
    rules = listed(bucket.setting("LifecycleConfiguration", "Rules"))
    names = ("NoncurrentVersionExpiration", "NoncurrentVersionExpirationInDays")
    return any(isinstance(rule, Mapping) and any(name in rule for name in names) for rule in rules)


def _removal(bucket: Bucket, inventory: Inventory) -> Iterator[Outcome]:
    policies = {
        "DeletionPolicy": bucket.resource.deletion_policy,
        "UpdateReplacePolicy": bucket.resource.update_replace_policy,
    }
    if undecided := [one for one in policies.values() if isinstance(one, Undecided)]:
        yield Undecidable(NOT_RETAINED, bucket.resource, undecided[0].reason)
        return
    leaving = [name for name, value in policies.items() if value not in _STAYS]
    if not leaving:
        yield from _removal_of_policy(bucket.policy_resource)
        return
    words = f"{' and '.join(leaving)} {'is' if len(leaving) == 1 else 'are'} not Retain: "
    emptied = any(
        resource.properties.get("BucketName") == bucket.name
        for resource in inventory.assembly.resources_of_type("Custom::S3AutoDeleteObjects")
    )
    if emptied and "DeletionPolicy" in leaving:
        words += "the bucket goes with its stack, and so do its objects, which Custom::S3AutoDeleteObjects deletes"
    else:
        words += "once it is empty, the bucket goes with its stack or its replacement, and its name is anybody's"
    yield Finding(NOT_RETAINED, bucket.resource, words, leaving[0])


def _removal_of_policy(policy: Resource | None) -> Iterator[Outcome]:
    if policy is None:
        return
    removals = {"DeletionPolicy": policy.deletion_policy, "UpdateReplacePolicy": policy.update_replace_policy}
    for name, value in removals.items():
        if isinstance(value, Undecided):
            yield Undecidable(POLICY_NOT_RETAINED, policy, value.reason)
        elif value not in _STAYS:
            words = f"{name} isn't Retain, and the bucket's is: the bucket stays without the policy"
            yield Finding(POLICY_NOT_RETAINED, policy, words, name)
            return


# Access logs.


def _logs(source: Bucket, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    named = log_target(source)
    if isinstance(named, Undecided):
        yield Undecidable(LOG_DELIVERY_REFUSED, source.resource, named.reason)
        return
    target = next((one for one in inventory.buckets if one.name == named), None)
    if named is None or target is None:
        return
    if target is source:
        words = "its access logs are delivered into itself, and each delivery is a request that is logged"
        yield Finding(LOGS_INTO_ITSELF, source.resource, words, "Properties/LoggingConfiguration")
    yield from _unfit(source, target)
    yield from _delivery(source, target, prover)


def _unfit(source: Bucket, target: Bucket) -> Iterator[Outcome]:
    why = []
    for word, here, there in (("account", source.account, target.account), ("Region", source.region, target.region)):
        if known(here) and known(there) and here != there:
            why.append(f"it is in {word} {there}, and this bucket in {here}")
    if truth(target.resource.setting("ObjectLockEnabled")):
        why.append("it has Object Lock")
    if why:
        words = f"S3 delivers no access logs into {target.resource.title}: {' and '.join(why)}"
        yield Finding(LOG_TARGET_UNFIT, source.resource, words, "Properties/LoggingConfiguration")


def _delivery(source: Bucket, target: Bucket, prover: Prover) -> Iterator[Outcome]:
    """Search a delivery that passes; where ACLs are on, one of these may let it pass instead of the policy."""
    prefix, ownership = source.resource.setting("LoggingConfiguration", "LogFilePrefix"), _ownership(target)
    for value in (prefix, ownership):
        if isinstance(value, Undecided):
            yield Undecidable(LOG_DELIVERY_REFUSED, source.resource, value.reason)
            return
    if ownership not in (None, _ENFORCED):
        return
    key = f"{prefix if isinstance(prefix, str) else ''}2013-11-01-21-32-16-E568B2907131C0C0"
    delivered = Target(f"{target.arn}/{key}", target.account, target.policy)
    caller = Caller(principals.service(LOG_DELIVERY), f"the service {LOG_DELIVERY}")
    said = {"aws:SourceArn": source.arn, "aws:SourceAccount": source.account}
    # It names no encryption, comes through no endpoint of a customer's, and is in nobody's organization.
    absent = dict.fromkeys((SSE, KEY_ID, SSE_C, "aws:SourceVpc", "aws:SourceVpce", "aws:PrincipalOrgID"))
    variant = {**said, **relevant({**TLS, **absent}, [caller], target)}
    found = prover.allowed([caller], ["s3:PutObject"], delivered, [variant])
    if found:
        return
    if found.doubt is not None:
        yield Undecidable(LOG_DELIVERY_REFUSED, source.resource, found.doubt)
        return
    anywhere = {key: value for key, value in variant.items() if key != "aws:SourceAccount"}
    if not known(source.account) and prover.allowed([caller], ["s3:PutObject"], delivered, [anywhere]):
        reason = "whether the policy's account is this bucket's can't be known before deployment"
        yield Undecidable(LOG_DELIVERY_REFUSED, source.resource, reason)
        return
    refused = prover.refused([caller], ["s3:PutObject"], delivered, [variant])
    words = f"no access log of {source.resource.title} arrives, and nobody is told"
    yield from outcome(LOG_DELIVERY_REFUSED, source.resource, refused, words, "Properties/LoggingConfiguration")


def _ownership(bucket: Bucket) -> Json:
    return bucket.resource.setting(*_OWNERSHIP)


CHECKS: Final = (_each_bucket,)
RULES: Final[tuple[Rule, ...]] = (
    PUBLIC_ACCESS_NOT_BLOCKED,
    ACLS_ENABLED,
    LOG_DELIVERY_REFUSED,
    LOG_TARGET_UNFIT,
    LOGS_INTO_ITSELF,
    KEY_OFF,
    NOT_VERSIONED,
    NOT_RETAINED,
    POLICY_NOT_RETAINED,
)

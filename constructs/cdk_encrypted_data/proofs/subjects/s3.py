"""What requests to S3 look like to a bucket's policy, and who may make them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from cdk_encrypted_data.proofs.attachments import UNDECIDED
from cdk_encrypted_data.proofs.cloudformation.resolution import Undecided, known, listed
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, Bucket, Caller, Inventory, Target
from cdk_encrypted_data.proofs.spaces import Answer, Prover
from cdk_encrypted_data.proofs.subjects.outsiders import principal_like
from cdk_encrypted_data.proofs.witnesses import looked_at

SSE: Final = "s3:x-amz-server-side-encryption"
KEY_ID: Final = "s3:x-amz-server-side-encryption-aws-kms-key-id"
SSE_C: Final = "s3:x-amz-server-side-encryption-customer-algorithm"
LOG_DELIVERY: Final = "logging.s3.amazonaws.com"

# The resource types "bucket" and "object" of
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html; no action has both.
_ON_BUCKETS: Final = """
AllowVendedLogDeliveryForResource CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket
DeleteBucketMetadataTableConfiguration DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration
GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock GetBucketRequestPayment
GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration GetIntelligentTieringConfiguration
GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
ListBucketMultipartUploads ListBucketVersions ListTagsForResource PauseReplication PutAccelerateConfiguration
PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification
PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock
PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration
PutReplicationConfiguration TagResource UntagResource UpdateBucketMetadataAnnotationTableConfiguration
UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration
"""
_ON_OBJECTS: Final = """
AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectAnnotation DeleteObjectTagging
DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging GetObject GetObjectAcl
GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent
GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation GetObjectVersionAnnotationForReplication
GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent
InitiateReplication ListMultipartUploadParts ListObjectAnnotations ListObjectVersionAnnotations
ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectAnnotation PutObjectLegalHold PutObjectRetention
PutObjectTagging PutObjectVersionAcl PutObjectVersionAnnotation PutObjectVersionTagging ReplicateDelete
ReplicateObject ReplicateObjectAnnotation ReplicateTags RestoreObject UpdateObjectEncryption
"""
BUCKET_ACTIONS: Final = frozenset(f"s3:{name}" for name in _ON_BUCKETS.split())
OBJECT_ACTIONS: Final = frozenset(f"s3:{name}" for name in _ON_OBJECTS.split())


# Who asks.


def askers(inventory: Inventory, bucket: Bucket, *, as_administrators: bool = False) -> list[Caller]:
    """Return an administrator of the bucket's account and whoever else the policy names, but for services.

    Services send what they send; people choose. ``as_administrators``: IAM lets all of them do everything.
    """
    found = {one.principal.name: one for one in (inventory.administrator(bucket.account), *_named(inventory, bucket))}
    found = {name: one for name, one in found.items() if one.principal.kind is not Kind.SERVICE}
    if as_administrators:
        return [replace(one, identity=(FULL_ACCESS,), boundary=None) for one in found.values()]
    return list(found.values())


def services(inventory: Inventory, bucket: Bucket) -> list[Caller]:
    """Return the services that the policy names."""
    return [one for one in _named(inventory, bucket) if one.principal.kind is Kind.SERVICE]


def _named(inventory: Inventory, bucket: Bucket) -> Iterator[Caller]:
    if bucket.policy is None:
        return
    yield from inventory.named_by([bucket.policy])
    for statement in bucket.policy.statements:
        for condition in statement.conditions:
            if condition.key.lower() in ("aws:principalarn", "aws:principalaccount"):
                for value in condition.values:
                    yield from _conditioned(inventory, bucket, value)


def _conditioned(inventory: Inventory, bucket: Bucket, value: str) -> Iterator[Caller]:
    """Yield somebody whom a condition on the principal's ARN or account means, whatever its wildcards leave open."""
    pattern = f"arn:aws:iam::{value}:role/any-principal" if re.fullmatch(r"\d{12}", value) else value
    caller = principal_like(pattern, bucket.account)
    if caller is not None:
        yield inventory.caller(caller.principal.arn or "") or caller


# What they ask for.


def objects(bucket: Bucket) -> list[Target]:
    """Return an object of each kind that the policy's resources tell apart: any one, and one below each prefix."""
    statements = () if bucket.policy is None else bucket.policy.statements
    arns = {f"{bucket.arn}/an-object": None, **dict.fromkeys(_named_objects(bucket, statements))}
    return [Target(arn, bucket.account, bucket.policy) for arn in arns]


def _named_objects(bucket: Bucket, statements: Iterable[Statement]) -> Iterator[str]:
    for statement in statements:
        for resource in (*listed(statement.written.get("Resource")), *listed(statement.written.get("NotResource"))):
            if isinstance(resource, str) and resource.startswith(f"{bucket.arn}/") and resource != f"{bucket.arn}/*":
                key = re.sub(r"\$\{[^}]*\}|\*|\?", "x", resource[len(bucket.arn) + 1 :])
                yield f"{bucket.arn}/{key}"


def looks_at(policies: Iterable[Policy | None]) -> dict[str, str]:
    """Name the condition keys that policies look at: in lower case, and as they are written first."""
    statements = (one for policy in policies if policy is not None for one in policy.statements)
    return looked_at(condition for statement in statements for condition in statement.conditions)


def doubt_in(policy: Policy | None) -> str | None:
    """Say what isn't known of a policy, if anything."""
    for statement in () if policy is None else policy.statements:
        for condition in statement.conditions:
            if condition.operator == UNDECIDED:
                return condition.key
    return None


def unsaid_account(bucket: Bucket) -> str | None:
    """Say why nobody knows whom a policy means: it compares accounts, and nobody said which the bucket's is."""
    if known(bucket.account) or not _ACCOUNT_KEYS & looks_at([bucket.policy]).keys():
        return None
    return "whether the policy's accounts are the bucket's own can't be known before deployment"


_ACCOUNT_KEYS: Final = {"aws:principalaccount", "aws:principalarn", "aws:resourceaccount", "s3:resourceaccount"}


def relevant(said: Said, callers: Iterable[Caller], bucket: Bucket) -> dict[str, str | tuple[str, ...] | None]:
    """Leave out what a request hasn't, or always has alike, where no policy looks at it: it would only blur a finding.

    The headers that it has stay, for they are what the finding is about.
    """
    own_side = (policy for caller in callers for policy in (*caller.identity, caller.boundary))
    keys = looks_at([bucket.policy, *own_side])
    return {
        key: value if value is None or isinstance(value, str) else tuple(value)
        for key, value in said.items()
        if key.lower() in keys or (value is not None and key.startswith("s3:x-amz"))
    }


def first_allowed(
    prover: Prover,
    callers: Iterable[Caller],
    actions: Iterable[str],
    targets: Iterable[Target],
    variants: Sequence[Said],
) -> Answer:
    """Search a request that is allowed, target by target."""
    doubt: Answer | None = None
    callers, actions = list(callers), list(actions)
    for target in targets:
        answer = prover.allowed(callers, actions, target, variants)
        if answer:
            return answer
        if doubt is None and answer.doubt is not None:
            doubt = answer
    return Answer() if doubt is None else doubt


_REQUESTS_ON_OBJECTS: Final = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:GetObjectAttributes",
    "s3:RestoreObject",
    "s3:AbortMultipartUpload",
    "s3:ReplicateObject",
    "s3:UpdateObjectEncryption",
)
_REQUESTS_ON_BUCKETS: Final = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketPolicy",
    "s3:PutBucketPolicy",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)


def any_request(prover: Prover, callers: Sequence[Caller], bucket: Bucket, variants: Sequence[Said]) -> Answer:
    """Search a request of any kind that is allowed."""
    on_objects = first_allowed(prover, callers, _REQUESTS_ON_OBJECTS, objects(bucket), variants)
    if on_objects:
        return on_objects
    on_bucket = first_allowed(prover, callers, _REQUESTS_ON_BUCKETS, [bucket.target], variants)
    return on_bucket if on_bucket or on_objects.doubt is None else on_objects


# Who logs where.


def log_target(source: Bucket) -> str | Undecided | None:
    """Name the bucket that gets a bucket's server access logs; None: nobody does.

    "By default, logs are stored in the bucket where the LoggingConfiguration property is defined."
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-loggingconfiguration.html
    """
    logging = source.resource.setting("LoggingConfiguration")
    if isinstance(logging, Undecided) or not isinstance(logging, Mapping):
        return logging if isinstance(logging, Undecided) else None
    named = logging.get("DestinationBucketName")
    if named is None:
        return source.name
    return named if isinstance(named, (str, Undecided)) else None


def is_log_target(inventory: Inventory, bucket: Bucket) -> bool:
    """Whether server access logs are delivered into a bucket: a bucket here does, or its policy reckons with it."""
    if bucket.policy is not None and any(map(_reckons_with_logs, bucket.policy.statements)):
        return True
    return any(source.name != bucket.name and log_target(source) == bucket.name for source in inventory.buckets)


def _reckons_with_logs(statement: Statement) -> bool:
    named = statement.principals is not None and f"Service {LOG_DELIVERY}" in statement.principals.names
    return named or any(LOG_DELIVERY in condition.values for condition in statement.conditions)

"""What a bucket can be told, whichever construct makes it: bounds and refusals."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_encrypted_data import validation
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.choices import CustomerProvidedKeys, MinimumTlsVersion, ObjectEvents, UploadPolicy
from cdk_encrypted_data.interned import home

NONCURRENT_VERSION_DAYS = (1, 36_500)
"""How long non-current versions may be kept, in days."""

ABORT_UPLOAD_DAYS = (1, 365)
"""How long an incomplete multipart upload may be kept, in days."""

DEFAULT_NONCURRENT_VERSION_DAYS = 90
DEFAULT_ABORT_UPLOAD_DAYS = 7

RETENTION = "Retention"
"""The id of the lifecycle rule that every bucket has."""


def check_storage(
    owner: str,
    *,
    upload_policy: object = UploadPolicy.RESPECT_DEFAULT,
    customer_provided_keys: object = CustomerProvidedKeys.BLOCKED,
    minimum_tls_version: object = MinimumTlsVersion.TLS_1_2,
    noncurrent_version_expiration: cdk.Duration | None = None,
    abort_incomplete_multipart_upload_after: cdk.Duration | None = None,
    lifecycle_rules: Sequence[s3.LifecycleRule] = (),
    cors: Sequence[s3.CorsRule] = (),
    object_events: object = ObjectEvents.NOWHERE,
    removal_policy: object = cdk.RemovalPolicy.RETAIN,
) -> None:
    """Refuse options that no bucket can have, whatever its name and key.

    What a construct doesn't offer, it leaves out.
    """
    validation.check_choice(owner, "upload_policy", upload_policy, UploadPolicy)
    validation.check_choice(owner, "customer_provided_keys", customer_provided_keys, CustomerProvidedKeys)
    validation.check_choice(owner, "minimum_tls_version", minimum_tls_version, MinimumTlsVersion)
    validation.check_choice(owner, "object_events", object_events, ObjectEvents)
    validation.check_list(
        owner, "lifecycle_rules", lifecycle_rules, s3.LifecycleRule, allowed="a list of s3.LifecycleRule"
    )
    validation.check_list(owner, "cors", cors, s3.CorsRule, allowed="a list of s3.CorsRule")
    validation.check_days(
        owner, "noncurrent_version_expiration", noncurrent_version_expiration, NONCURRENT_VERSION_DAYS
    )
    validation.check_days(
        owner, "abort_incomplete_multipart_upload_after", abort_incomplete_multipart_upload_after, ABORT_UPLOAD_DAYS
    )
    validation.check_removal_policy(owner, "removal_policy", removal_policy)
    _check_rule_ids(owner, lifecycle_rules)


def check_access_logs(owner: str, log_bucket: AccessLogBucket | None, prefix: str | None, scope: Construct) -> None:
    """Refuse a log bucket that S3 couldn't deliver to, and a prefix without one."""
    if log_bucket is not None:
        validation.check_instance(owner, "access_log_bucket", log_bucket, AccessLogBucket, allowed="an AccessLogBucket")
        validation.check_same_environment(owner, "access_log_bucket", home(log_bucket), here=home(scope))
    elif prefix is not None:
        raise validation.refusal(
            owner,
            "access_log_prefix",
            got=prefix,
            allowed="no prefix without access_log_bucket",
            remedy="pass the log bucket as well, or leave the prefix out",
        )


def _check_rule_ids(owner: str, rules: Sequence[s3.LifecycleRule]) -> None:
    ids = [RETENTION, *(rule.id for rule in rules)]
    if None in ids or len(set(ids)) < len(ids):
        raise validation.refusal(
            owner,
            "lifecycle_rules",
            got=ids[1:],
            allowed=f"rules with ids that differ from each other and from {RETENTION}",
            remedy="give each an id of its own: S3 knows a rule by it",
        )

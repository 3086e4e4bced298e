"""Wrong uses of the public API, each of which mypy and pyright must report.

Both also report a comment that ignores nothing: so each comment proves its line wrong to them. Nothing here runs.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_encrypted_data import (
    AccessLogBucket,
    CustomerManagedKey,
    EncryptedBucket,
    FleetQuotas,
    JobCode,
    MinimumTlsVersion,
    MultiRegionAccessPoint,
    MultiRegionKeyPair,
    PerCustomerGlueJob,
    Placement,
    ReplicatedEncryptedBuckets,
    ReplicationMonitoring,
    ServerSideEncryption,
    UploadPolicy,
)


def choices_are_members_of_their_own_enum(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "A", encryption="aws:kms")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EncryptedBucket(stack, "B", encryption=UploadPolicy.REQUIRE_HEADER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EncryptedBucket(stack, "C", encryption=s3.BucketEncryption.KMS)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EncryptedBucket(stack, "D", minimum_tls_version=1.3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EncryptedBucket(stack, "E", customer_provided_keys=False)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EncryptedBucket(stack, "F", object_events=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def options_are_named(stack: cdk.Stack, key: CustomerManagedKey) -> None:
    EncryptedBucket(stack, "A", ServerSideEncryption.SSE_S3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CustomerManagedKey(stack, "B", [])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    AccessLogBucket(stack, "C", "example-logs")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    key.allow_service("cloudfront.amazonaws.com", ["*"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def there_is_no_option_to_be_unprotected(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "A", versioned=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    EncryptedBucket(stack, "B", block_public_access=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CustomerManagedKey(stack, "C", enable_key_rotation=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    AccessLogBucket(stack, "D", encryption=ServerSideEncryption.SSE_KMS)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def a_pair_has_replicas_in_a_list(stack: cdk.Stack, pair: MultiRegionKeyPair, role: iam.IRole) -> None:
    MultiRegionKeyPair(stack, "A")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MultiRegionKeyPair(stack, "B", replicas=stack)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MultiRegionKeyPair(stack, "C", replicas=["eu-west-1"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    MultiRegionKeyPair(stack, "D", replicas=[stack], bucket_arns=[])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MultiRegionKeyPair(stack, "E", replicas=[stack], promotion="eu-west-1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pair.grant_encrypt(role, encryption_context=["purpose"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pair.grant_decrypt(role, {"purpose": "orders"})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    l2_key: kms.Key = pair.key_for("eu-west-1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(l2_key)  # noqa: T201 - uses it


def replicated_buckets_have_a_prefix_and_choices(stack: cdk.Stack, buckets: ReplicatedEncryptedBuckets) -> None:
    ReplicatedEncryptedBuckets(stack, "A", replicas=[stack])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ReplicatedEncryptedBuckets(stack, "B", bucket_name_prefix="b", replicas=stack)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ReplicatedEncryptedBuckets(stack, "C", bucket_name_prefix="c", replicas=[stack], direction="both-ways")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ReplicatedEncryptedBuckets(stack, "D", bucket_name_prefix="d", replicas=[stack], key_users=[])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bucket: s3.Bucket = buckets.bucket_for("eu-west-1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(bucket)  # noqa: T201 - uses it


def monitoring_takes_buckets_numbers_and_durations(stack: cdk.Stack, buckets: ReplicatedEncryptedBuckets) -> None:
    ReplicationMonitoring(stack, "A")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ReplicationMonitoring(stack, "B", buckets=buckets.bucket_for("eu-west-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ReplicationMonitoring(stack, "C", buckets=buckets, pending_operations="50")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ReplicationMonitoring(stack, "D", buckets=buckets, pending_for=15)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def access_points_take_replicated_buckets(stack: cdk.Stack, buckets: ReplicatedEncryptedBuckets) -> None:
    MultiRegionAccessPoint(stack, "A")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MultiRegionAccessPoint(stack, "B", buckets=[buckets])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MultiRegionAccessPoint(stack, "C", buckets=buckets, name=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def fleets_are_counted_in_numbers(placement: Placement) -> None:
    FleetQuotas({"glue-jobs": 3000})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FleetQuotas(limits={"glue-jobs": "3000"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Placement(stacks=25)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Placement(stacks=25, capacity=40, pinned={"acme": "7"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    placement.stacks = 26  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def times_are_durations(stack: cdk.Stack) -> None:
    EncryptedBucket(stack, "A", noncurrent_version_expiration=30)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CustomerManagedKey(stack, "B", rotation_period="180 days")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AccessLogBucket(stack, "C", retention=365)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def keys_people_and_log_buckets_are_objects(stack: cdk.Stack, logs: AccessLogBucket, data: EncryptedBucket) -> None:
    EncryptedBucket(stack, "A", key="alias/example")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EncryptedBucket(stack, "B", access_log_bucket=logs.bucket)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CustomerManagedKey(stack, "C", users=["arn:aws:iam::111122223333:role/A"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    data.grant_read("arn:aws:iam::111122223333:role/A")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def services_get_access_only_for_named_sources(key: CustomerManagedKey, data: EncryptedBucket) -> None:
    key.allow_service("cloudfront.amazonaws.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    data.grant_read_to_service("cloudfront.amazonaws.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def results_have_their_types(key: CustomerManagedKey, data: EncryptedBucket, role: iam.IRole) -> None:
    bucket: str = data.bucket  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    l2_key: kms.Key = data.key  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    arn: int = key.key_arn  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    granted: bool = data.grant_write(role)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    version: float = MinimumTlsVersion.TLS_1_3  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    data.key = key.key  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(bucket, l2_key, arn, granted, version)  # noqa: T201 - uses them


def a_customers_job_has_a_customer_and_code(stack: cdk.Stack, code: JobCode, job: PerCustomerGlueJob) -> None:
    PerCustomerGlueJob(stack, "A", code=code)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    JobCode(script="s3://code/script.py")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    JobCode("s3://code/script.py", rules={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    job.grant_start("arn:aws:iam::111122223333:role/operator")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

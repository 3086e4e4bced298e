"""The statements of a bucket's policy: what the bucket refuses, whoever asks."""

from __future__ import annotations

from cdk_encrypted_data.choices import CustomerProvidedKeys, ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.policies import Condition, Statement, bucket_and_objects, source_condition

SSE = "s3:x-amz-server-side-encryption"
SSE_KMS_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
SSE_C = "s3:x-amz-server-side-encryption-customer-algorithm"

LOG_DELIVERY = "logging.s3.amazonaws.com"

# What an upload may name. Where SSE-KMS is the rule, DSSE-KMS under the same key protects no less.
_NAMEABLE = {
    ServerSideEncryption.SSE_KMS: ["aws:kms", "aws:kms:dsse"],
    ServerSideEncryption.DSSE_KMS: ["aws:kms:dsse"],
    ServerSideEncryption.SSE_S3: ["AES256"],
}

# Every way to make an object, or to change one that is there.
_WRITES = (
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
    "s3:UpdateObjectEncryption",
)


def refuse_weak_transport(bucket_arn: str, *, minimum_tls_version: str) -> list[Statement]:
    """Refuse every request that comes without TLS, or with a TLS version below the minimum."""

    def refuse(sid: str, condition: Condition) -> Statement:
        resources = bucket_and_objects(bucket_arn)
        return _deny(sid, "s3:*", resources, condition)

    return [
        refuse("RefusePlainHttp", {"Bool": {"aws:SecureTransport": "false"}}),
        # AWS doesn't document s3:TlsVersion for plain HTTP, so this statement can't stand for the one above.
        refuse("RefuseTlsBelowMinimum", {"NumericLessThan": {"s3:TlsVersion": minimum_tls_version}}),
    ]


def refuse_other_encryption(
    bucket_arn: str,
    *,
    encryption: ServerSideEncryption,
    key_arn: str | None,
    upload_policy: UploadPolicy,
    customer_provided_keys: CustomerProvidedKeys,
) -> list[Statement]:
    """Refuse every upload that would be stored under anything but the bucket's own encryption.

    S3 evaluates the headers a request brings; the bucket's default isn't in the request's context. So a request that
    names nothing is safe (the default applies), and each thing that it may name is refused unless it is the right one.
    A missing context key makes ``StringNotEquals`` true, with or without ``IfExists``: only ``Null`` tells "absent"
    from "other" (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html).

    Replicas arrive by ``s3:ReplicateObject``, which no statement of these touches.

    Args:
        bucket_arn: The bucket.
        encryption: How the bucket encrypts.
        key_arn: The only KMS key that may be named; ``None`` where naming any key is wrong (SSE-S3).
        upload_policy: Whether an upload that names no encryption is refused too.
        customer_provided_keys: Whether SSE-C is refused.
    """
    objects = f"{bucket_arn}/*"
    statements: list[Statement] = []

    def refuse(sid: str, condition: Condition) -> None:
        statements.append(_deny(sid, "s3:PutObject", objects, condition))

    other_algorithm: Condition = {"StringNotEquals": {SSE: _NAMEABLE[encryption]}}
    if upload_policy is UploadPolicy.RESPECT_DEFAULT:
        refuse("RefuseOtherEncryption", {"Null": {SSE: "false"}, **other_algorithm})
    elif customer_provided_keys is CustomerProvidedKeys.BLOCKED:
        refuse("RefuseMissingOrOtherEncryption", other_algorithm)
    else:
        # An SSE-C request names its encryption in a header of its own and can't carry the other one.
        refuse("RefuseMissingOrOtherEncryption", {"Null": {SSE_C: "true"}, **other_algorithm})

    if key_arn is None:
        refuse("RefuseKmsKey", {"Null": {SSE_KMS_KEY: "false"}})
    else:
        other_key: Condition = {"StringNotEquals": {SSE_KMS_KEY: key_arn}}
        # `aws:kms` without a key id means the AWS managed key aws/s3, not the bucket's key.
        refuse("RefuseEncryptionUnderMissingOrOtherKey", {"Null": {SSE: "false"}, **other_key})
        refuse("RefuseOtherKey", {"Null": {SSE_KMS_KEY: "false"}, **other_key})

    # The call that puts a stored object under another key or back under S3's, and makes SSE-KMS of what it takes. It
    # must name the bucket's key: S3 isn't documented to put anything into the context where it names none.
    update = "s3:UpdateObjectEncryption"
    if key_arn is not None and encryption is ServerSideEncryption.SSE_KMS:
        statements.append(_deny("RefuseUpdateToOtherKey", update, objects, {"StringNotEquals": {SSE_KMS_KEY: key_arn}}))
    else:
        statements.append(_deny("RefuseUpdateOfEncryption", update, objects))

    if customer_provided_keys is CustomerProvidedKeys.BLOCKED:
        # SSE-C leaves data that nobody but the uploader can read: the means of ransom.
        refuse("RefuseCustomerProvidedKeys", {"Null": {SSE_C: "false"}})
    return statements


def allow_log_delivery(bucket_arn: str, *, prefix: str, source_bucket_arn: str, source_account: str) -> Statement:
    """Allow S3 to deliver one bucket's server access logs under a prefix.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html.
    """
    return {
        "Effect": "Allow",
        "Principal": {"Service": LOG_DELIVERY},
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/{prefix}*",
        "Condition": source_condition([source_bucket_arn], source_account),
    }


def refuse_other_writers(bucket_arn: str) -> list[Statement]:
    """Refuse every write but log delivery, so that a log says what S3 saw and nothing else."""
    # A missing key makes StringNotEquals true: whoever isn't a service principal is refused.
    only_delivery: Condition = {"StringNotEquals": {"aws:PrincipalServiceName": LOG_DELIVERY}}
    return [_deny("RefuseOtherWritersThanLogDelivery", list(_WRITES), f"{bucket_arn}/*", only_delivery)]


def allow_service_read(bucket_arn: str, *, service: str, condition: Condition) -> Statement:
    """Allow an AWS service to read objects, for the sources that ``condition`` names."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "s3:GetObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": condition,
    }


def _deny(
    sid: str, action: str | list[str], resources: str | list[str], condition: Condition | None = None
) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement

"""The statements of a Multi-Region Access Point's policy: what is refused through it, whoever asks."""

from __future__ import annotations

from cdk_encrypted_data.policies import Condition, Statement

# What can be asked of one and of its objects, by name, as in AWS's examples: none of them has `s3:*`. All of these
# fit one in IAM's reference, which has `s3:ListBucketMultipartUploads` for buckets only.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
_LIST = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions")
_READ = (
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectLegalHold",
    "s3:GetObjectRetention",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionTagging",
    "s3:ListMultipartUploadParts",
)
_WRITE = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
    "s3:RestoreObject",
)


def access_point_arn(alias: str, *, partition: str, account: str) -> str:
    """Return the ARN by which clients and policies name it: of no Region, and by its alias, not its name.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequests.html.
    """
    return f"arn:{partition}:s3::{account}:accesspoint/{alias}"


def refuse_weak_transport(arn: str, *, minimum_tls_version: str) -> list[Statement]:
    """Refuse every request that comes without TLS, or with a TLS version below the minimum."""
    everything = [*_LIST, *_READ, *_WRITE]
    resources = [arn, f"{arn}/object/*"]

    def refuse(sid: str, condition: Condition) -> Statement:
        return _deny(sid, everything, resources, condition)

    # Both, as in a bucket's policy: AWS doesn't document s3:TlsVersion for plain HTTP.
    return [
        refuse("RefusePlainHttp", {"Bool": {"aws:SecureTransport": "false"}}),
        refuse("RefuseTlsBelowMinimum", {"NumericLessThan": {"s3:TlsVersion": minimum_tls_version}}),
    ]


def refuse_writes(arn: str) -> Statement:
    """Refuse every request that changes an object."""
    return _deny("RefuseWritesWhichWouldNotBeReplicated", list(_WRITE), f"{arn}/object/*")


def _deny(sid: str, actions: list[str], resources: str | list[str], condition: Condition | None = None) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement

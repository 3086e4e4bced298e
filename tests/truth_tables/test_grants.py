"""What a grant of an EncryptedBucket gives: each S3 operation with its part in KMS, and no action more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.choices import ServerSideEncryption
from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from tests.oracle.evaluator import Request
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, REGION, Synthesis

if TYPE_CHECKING:
    import aws_cdk as cdk
    from constructs import IConstruct

    from tests.oracle.evaluator import Context, Evaluator

S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
GRANTS = ("read", "write", "read_write", "delete", "nothing")
BUCKETS = ("kms", "dsse", "s3", "prefix", "users")

# Each operation as IAM sees it: actions on the bucket or an object, then what S3 asks of KMS in the caller's name.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html, …/mpuoverview.html#mpuAndPermissions
OPERATIONS: dict[str, list[str]] = {
    "GetObject": ["object s3:GetObject", "kms:Decrypt"],
    "GetObject, a version": ["object s3:GetObjectVersion", "kms:Decrypt"],
    "HeadObject": ["object s3:GetObject"],
    "GetObjectTagging": ["object s3:GetObjectTagging"],
    "ListObjectsV2": ["bucket s3:ListBucket"],
    "ListObjectVersions": ["bucket s3:ListBucketVersions"],
    "GetBucketLocation": ["bucket s3:GetBucketLocation"],
    "PutObject": ["object s3:PutObject", "kms:GenerateDataKey"],
    "PutObject, under a bucket key": ["object s3:PutObject", "kms:GenerateDataKey", "kms:Decrypt"],
    "PutObject with tags": ["object s3:PutObject", "object s3:PutObjectTagging", "kms:GenerateDataKey"],
    "CreateMultipartUpload": ["object s3:PutObject", "kms:GenerateDataKey"],
    "UploadPart": ["object s3:PutObject", "kms:Decrypt"],
    "CompleteMultipartUpload": ["object s3:PutObject", "kms:Decrypt"],
    "AbortMultipartUpload": ["object s3:AbortMultipartUpload"],
    "ListParts": ["object s3:ListMultipartUploadParts"],
    "ListMultipartUploads": ["bucket s3:ListBucketMultipartUploads"],
    "CopyObject in the bucket": ["object s3:GetObject", "object s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"],
    "DeleteObject": ["object s3:DeleteObject"],
    "DeleteObject, a version": ["object s3:DeleteObjectVersion"],
    "UpdateObjectEncryption": [
        "object s3:UpdateObjectEncryption",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ],
    "PutObjectRetention": ["object s3:PutObjectRetention"],
    "PutBucketPolicy": ["bucket s3:PutBucketPolicy"],
    "PutBucketEncryption": ["bucket s3:PutEncryptionConfiguration"],
    "PutLifecycleConfiguration": ["bucket s3:PutLifecycleConfiguration"],
    "DeleteBucket": ["bucket s3:DeleteBucket"],
}

EXPECTED = read_table("""
                              | read | write | read_write | delete | nothing
GetObject                     | ok   | D     | ok         | D      | D
GetObject, a version          | ok   | D     | ok         | D      | D
HeadObject                    | ok   | D     | ok         | D      | D
GetObjectTagging              | ok   | D     | ok         | D      | D
ListObjectsV2                 | ok   | D     | ok         | D      | D
ListObjectVersions            | ok   | D     | ok         | D      | D
GetBucketLocation             | ok   | ok    | ok         | D      | D
PutObject                     | D    | ok    | ok         | D      | D
PutObject, under a bucket key | D    | ok    | ok         | D      | D
PutObject with tags           | D    | ok    | ok         | D      | D
CreateMultipartUpload         | D    | ok    | ok         | D      | D
UploadPart                    | D    | ok    | ok         | D      | D
CompleteMultipartUpload       | D    | ok    | ok         | D      | D
AbortMultipartUpload          | D    | ok    | ok         | D      | D
ListParts                     | D    | ok    | ok         | D      | D
ListMultipartUploads          | D    | ok    | ok         | D      | D
CopyObject in the bucket      | D    | D     | ok         | D      | D
DeleteObject                  | D    | D     | D          | ok     | D
DeleteObject, a version       | D    | D     | D          | D      | D
UpdateObjectEncryption        | D    | D     | D          | D      | D
PutObjectRetention            | D    | D     | D          | D      | D
PutBucketPolicy               | D    | D     | D          | D      | D
PutBucketEncryption           | D    | D     | D          | D      | D
PutLifecycleConfiguration     | D    | D     | D          | D      | D
DeleteBucket                  | D    | D     | D          | D      | D
""")

# What a policy could say of a key, whatever it says of S3: only these, only through S3.
KEY_ACTIONS = {
    "read": {"kms:Decrypt"},
    "write": {"kms:Decrypt", "kms:GenerateDataKey"},
    "read_write": {"kms:Decrypt", "kms:GenerateDataKey"},
    "delete": set[str](),
    "nothing": set[str](),
}
CRYPTOGRAPHY = (
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
)
ADMINISTRATION = ("CreateGrant", "DescribeKey", "DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion", "TagResource")


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        roles = {
            (bucket, grant): iam.Role(
                stack, f"{bucket}-{grant}", role_name=f"{bucket}-{grant}", assumed_by=iam.AccountRootPrincipal()
            )
            for bucket in BUCKETS
            for grant in GRANTS
        }
        users = [role for (bucket, _), role in roles.items() if bucket == "users"]
        buckets = {
            "kms": EncryptedBucket(stack, "Kms"),
            "dsse": EncryptedBucket(stack, "Dsse", encryption=ServerSideEncryption.DSSE_KMS),
            "s3": EncryptedBucket(stack, "S3", encryption=ServerSideEncryption.SSE_S3),
            "prefix": EncryptedBucket(stack, "Prefix"),
            "users": EncryptedBucket(stack, "Users", key=CustomerManagedKey(stack, "KeyOfUsers", users=users)),
        }
        for (name, grant), role in roles.items():
            pattern = "customers/*" if name == "prefix" else "*"
            if grant != "nothing":
                getattr(buckets[name], f"grant_{grant}")(role, objects_key_pattern=pattern)
        resources: dict[str, IConstruct] = {f"{bucket}-{grant}": role for (bucket, grant), role in roles.items()}
        for name, bucket in buckets.items():
            resources[f"{name} bucket"] = bucket.bucket
            if name != "s3":
                resources[f"{name} key"] = bucket.key
        return resources

    return Synthesis(build)


class Grantee:
    """A role with one grant on one bucket, trying things."""

    def __init__(self, evaluator: Evaluator, synthesis: Synthesis, bucket: str, grant: str) -> None:
        self._evaluator = evaluator
        self._template = synthesis.template
        self._role = synthesis.logical_id(f"{bucket}-{grant}")
        self._bucket = synthesis.logical_id(f"{bucket} bucket")
        self._key = None if bucket == "s3" else synthesis.logical_id(f"{bucket} key")
        self.bucket_arn = self._template.arn(self._bucket)

    def may_s3(self, action: str, resource: str) -> bool:
        return self._evaluator.decide(
            Request(principal=self._template.arn(self._role), action=action, resource=resource),
            account=ACCOUNT,
            identity_policies=self._template.identity_policies(self._role),
            resource_policy=self._template.bucket_policy(self._bucket),
        ).allowed

    def may_kms(self, action: str, context: Context) -> bool:
        if self._key is None:
            return True  # S3 asks KMS nothing
        return self._evaluator.decide(
            Request(
                principal=self._template.arn(self._role),
                action=action,
                resource=self._template.arn(self._key),
                context=context,
            ),
            account=ACCOUNT,
            identity_policies=self._template.identity_policies(self._role),
            resource_policy=self._template.key_policy(self._key),
        ).allowed

    def through_s3(self, encrypted: str) -> Context:
        return {"kms:ViaService": f"s3.{REGION}.amazonaws.com", S3_CONTEXT: encrypted}

    def may(self, operation: str) -> bool:
        object_arn = f"{self.bucket_arn}/customers/a.parquet"
        for part in OPERATIONS[operation]:
            where, _, action = part.rpartition(" ")
            # Objects from before and after a bucket key was switched on lie side by side: both contexts must do.
            passes = (
                all(self.may_kms(action, self.through_s3(encrypted)) for encrypted in (self.bucket_arn, object_arn))
                if action.startswith("kms:")
                else self.may_s3(action, object_arn if where == "object" else self.bucket_arn)
            )
            if not passes:
                return False
        return True


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("bucket", [*BUCKETS])
def test_what_a_grant_lets_do(evaluator: Evaluator, synthesis: Synthesis, bucket: str, grant: str) -> None:
    grantee = Grantee(evaluator, synthesis, bucket, grant)

    found = {operation: "ok" if grantee.may(operation) else "D" for operation in OPERATIONS}

    assert found == EXPECTED[grant]


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("bucket", ["kms", "users"])
def test_the_key_serves_the_grant_and_nothing_else(
    evaluator: Evaluator, synthesis: Synthesis, bucket: str, grant: str
) -> None:
    grantee = Grantee(evaluator, synthesis, bucket, grant)
    through_s3 = grantee.through_s3(grantee.bucket_arn)
    for_other_bucket = grantee.through_s3(synthesis.arn("prefix bucket"))
    itself: Context = {S3_CONTEXT: grantee.bucket_arn}
    # A key that names its users lets them use it by its own policy: for whatever of theirs it protects.
    all_of_s3 = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
    own_right = all_of_s3 if bucket == "users" else set[str]()

    def allowed(context: Context) -> set[str]:
        return {action for name in CRYPTOGRAPHY if grantee.may_kms(action := f"kms:{name}", context)}

    assert allowed(through_s3) == KEY_ACTIONS[grant] | own_right
    assert allowed(for_other_bucket) == own_right
    assert allowed(itself) == set()
    assert not any(grantee.may_kms(f"kms:{name}", {}) for name in ADMINISTRATION)


@pytest.mark.parametrize(
    ("grant", "action"), [("read", "GetObject"), ("write", "PutObject"), ("delete", "DeleteObject")]
)
def test_a_grant_ends_at_its_objects_and_its_bucket(
    evaluator: Evaluator, synthesis: Synthesis, grant: str, action: str
) -> None:
    grantee = Grantee(evaluator, synthesis, "prefix", grant)
    assert grantee.may_s3(f"s3:{action}", f"{grantee.bucket_arn}/customers/a.parquet")
    assert not grantee.may_s3(f"s3:{action}", f"{grantee.bucket_arn}/suppliers/a.parquet")
    assert not grantee.may_s3(f"s3:{action}", f"{grantee.bucket_arn}-2/customers/a.parquet")

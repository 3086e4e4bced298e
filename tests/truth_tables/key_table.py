"""Who may do what with a CustomerManagedKey, in each shape of its policy; held against the policy and the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_cdk import aws_iam as iam

from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from tests.oracle.evaluator import Context

BUCKET, OTHER_BUCKET = "arn:aws:s3:::data-bucket", "arn:aws:s3:::other-bucket"
S3_CONTEXT, LOGS_CONTEXT = "kms:EncryptionContext:aws:s3:arn", "kms:EncryptionContext:aws:logs:arn"
CLOUDFRONT, LOGS = "cloudfront.amazonaws.com", f"logs.{REGION}.amazonaws.com"
DISTRIBUTION = f"arn:aws:cloudfront::{ACCOUNT}:distribution/EDFDVBD6EXAMPLE"
LOG_GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/orders/api"

ADMIN, USER, OPERATOR = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("KeyAdmin", "KeyUser", "operator"))
ROOT, STRANGER = f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger"

VIA_S3: Context = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
FOR_BUCKET: Context = {**VIA_S3, S3_CONTEXT: BUCKET}
FOR_OBJECT: Context = {**VIA_S3, S3_CONTEXT: f"{BUCKET}/a.parquet"}


class Caller(NamedTuple):
    principal: str
    # Its IAM policies: "all" actions on everything, "decrypt" on this key, or none.
    may: str = "none"


CALLERS = {
    "root": Caller(ROOT),
    "operator": Caller(OPERATOR, "all"),  # named by no key policy
    "nobody": Caller(OPERATOR),
    "reader": Caller(OPERATOR, "decrypt"),
    "admin": Caller(ADMIN, "all"),
    "admin without IAM": Caller(ADMIN),
    "user": Caller(USER, "all"),
    "user without IAM": Caller(USER),
    "stranger": Caller(STRANGER, "all"),
    "anybody": Caller("anonymous"),
    "cloudfront": Caller(CLOUDFRONT),
    "logs": Caller(LOGS),
    "logs elsewhere": Caller("logs.eu-west-1.amazonaws.com"),
}

CALLS: dict[str, tuple[str, Context]] = {
    "rewrites the policy": ("kms:PutKeyPolicy", {}),
    "enables": ("kms:EnableKey", {}),
    "schedules deletion": ("kms:ScheduleKeyDeletion", {}),
    "disables": ("kms:DisableKey", {}),
    "describes": ("kms:DescribeKey", {}),
    "decrypts through S3": ("kms:Decrypt", FOR_BUCKET),
    "decrypts through S3, object": ("kms:Decrypt", FOR_OBJECT),
    "decrypts through S3, other bucket": ("kms:Decrypt", {**VIA_S3, S3_CONTEXT: OTHER_BUCKET}),
    "decrypts through S3, no context": ("kms:Decrypt", VIA_S3),
    "makes a data key through S3": ("kms:GenerateDataKey", FOR_BUCKET),
    "encrypts through S3": ("kms:Encrypt", FOR_BUCKET),
    "decrypts itself": ("kms:Decrypt", {S3_CONTEXT: BUCKET}),
    "decrypts through S3 elsewhere": ("kms:Decrypt", {**FOR_BUCKET, "kms:ViaService": "s3.eu-west-1.amazonaws.com"}),
    "decrypts through Glue": ("kms:Decrypt", {**FOR_BUCKET, "kms:ViaService": f"glue.{REGION}.amazonaws.com"}),
    "re-encrypts": ("kms:ReEncryptFrom", FOR_BUCKET),
    "grants by hand": ("kms:CreateGrant", {"kms:GrantIsForAWSResource": "false"}),
    "grants, unsaid for what": ("kms:CreateGrant", {}),
    "grants for an AWS resource": ("kms:CreateGrant", {"kms:GrantIsForAWSResource": "true"}),
    "decrypts for its distribution": ("kms:Decrypt", {"aws:SourceArn": DISTRIBUTION, "aws:SourceAccount": ACCOUNT}),
    "decrypts for another distribution": (
        "kms:Decrypt",
        {"aws:SourceArn": f"{DISTRIBUTION}2", "aws:SourceAccount": ACCOUNT},
    ),
    "decrypts for another account": (
        "kms:Decrypt",
        {"aws:SourceArn": DISTRIBUTION, "aws:SourceAccount": OTHER_ACCOUNT},
    ),
    "decrypts for nobody": ("kms:Decrypt", {}),
    "makes a data key for its distribution": (
        "kms:GenerateDataKey",
        {"aws:SourceArn": DISTRIBUTION, "aws:SourceAccount": ACCOUNT},
    ),
    "encrypts its log group": ("kms:Encrypt", {LOGS_CONTEXT: LOG_GROUP}),
    "encrypts another log group": ("kms:Encrypt", {LOGS_CONTEXT: f"{LOG_GROUP}-2"}),
    "encrypts no log group": ("kms:Encrypt", {}),
}

# default: nobody is named. bound: for one bucket. services: CloudFront and CloudWatch Logs are let in, and an owner's
# own statement lets the account make grants, which the refusal of grants by hand must withstand.
EXPECTED = read_table("""
                                                  | default | bound | admins | users | both | services
root: rewrites the policy                         | ok      | ok    | ok     | ok    | ok   | ok
root: schedules deletion                          | ok      | ok    | D      | ok    | D    | ok
root: decrypts through S3                         | ok      | ok    | ok     | D     | D    | ok
root: decrypts itself                             | D       | D     | D      | D     | D    | D
operator: rewrites the policy                     | ok      | ok    | ok     | ok    | ok   | ok
operator: enables                                 | ok      | ok    | ok     | ok    | ok   | ok
operator: schedules deletion                      | ok      | ok    | D      | ok    | D    | ok
operator: disables                                | ok      | ok    | D      | ok    | D    | ok
operator: decrypts through S3                     | ok      | ok    | ok     | D     | D    | ok
operator: decrypts through S3, object             | ok      | ok    | ok     | D     | D    | ok
operator: decrypts through S3, other bucket       | ok      | D     | ok     | D     | D    | ok
operator: decrypts through S3, no context         | ok      | D     | ok     | D     | D    | ok
operator: makes a data key through S3             | ok      | ok    | ok     | D     | D    | ok
operator: encrypts through S3                     | ok      | ok    | ok     | D     | D    | ok
operator: decrypts itself                         | D       | D     | D      | D     | D    | D
operator: decrypts through S3 elsewhere           | D       | D     | D      | D     | D    | D
operator: decrypts through Glue                   | D       | D     | D      | D     | D    | D
operator: re-encrypts                             | ok      | ok    | ok     | D     | D    | ok
operator: grants by hand                          | D       | D     | D      | D     | D    | D
operator: grants, unsaid for what                 | D       | D     | D      | D     | D    | D
operator: grants for an AWS resource              | D       | D     | D      | D     | D    | ok
nobody: rewrites the policy                       | D       | D     | D      | D     | D    | D
nobody: describes                                 | D       | D     | D      | D     | D    | D
nobody: decrypts through S3                       | D       | D     | D      | D     | D    | D
reader: decrypts through S3                       | ok      | ok    | ok     | D     | D    | ok
reader: decrypts itself                           | D       | D     | D      | D     | D    | D
reader: makes a data key through S3               | D       | D     | D      | D     | D    | D
reader: rewrites the policy                       | D       | D     | D      | D     | D    | D
admin: rewrites the policy                        | ok      | ok    | ok     | ok    | ok   | ok
admin: schedules deletion                         | ok      | ok    | ok     | ok    | ok   | ok
admin: disables                                   | ok      | ok    | ok     | ok    | ok   | ok
admin: decrypts through S3                        | ok      | ok    | D      | D     | D    | ok
admin: makes a data key through S3                | ok      | ok    | D      | D     | D    | ok
admin: decrypts itself                            | D       | D     | D      | D     | D    | D
admin: grants by hand                             | D       | D     | D      | D     | D    | D
admin without IAM: rewrites the policy            | D       | D     | ok     | D     | ok   | D
admin without IAM: schedules deletion             | D       | D     | ok     | D     | ok   | D
admin without IAM: decrypts through S3            | D       | D     | D      | D     | D    | D
user: rewrites the policy                         | ok      | ok    | ok     | D     | D    | ok
user: enables                                     | ok      | ok    | ok     | D     | D    | ok
user: schedules deletion                          | ok      | ok    | D      | D     | D    | ok
user: describes                                   | ok      | ok    | ok     | ok    | ok   | ok
user: decrypts through S3                         | ok      | ok    | ok     | ok    | ok   | ok
user: makes a data key through S3                 | ok      | ok    | ok     | ok    | ok   | ok
user: decrypts itself                             | D       | D     | D      | D     | D    | D
user: grants by hand                              | D       | D     | D      | D     | D    | D
user without IAM: decrypts through S3             | D       | D     | D      | ok    | ok   | D
user without IAM: decrypts through S3, object     | D       | D     | D      | ok    | ok   | D
user without IAM: makes a data key through S3     | D       | D     | D      | ok    | ok   | D
user without IAM: decrypts through S3 elsewhere   | D       | D     | D      | D     | D    | D
user without IAM: rewrites the policy             | D       | D     | D      | D     | D    | D
stranger: rewrites the policy                     | D       | D     | D      | D     | D    | D
stranger: describes                               | D       | D     | D      | D     | D    | D
stranger: decrypts through S3                     | D       | D     | D      | D     | D    | D
stranger: makes a data key through S3             | D       | D     | D      | D     | D    | D
stranger: grants for an AWS resource              | D       | D     | D      | D     | D    | D
anybody: decrypts through S3                      | D       | D     | D      | D     | D    | D
cloudfront: decrypts for its distribution         | D       | D     | D      | D     | D    | ok
cloudfront: decrypts for another distribution     | D       | D     | D      | D     | D    | D
cloudfront: decrypts for another account          | D       | D     | D      | D     | D    | D
cloudfront: decrypts for nobody                   | D       | D     | D      | D     | D    | D
cloudfront: makes a data key for its distribution | D       | D     | D      | D     | D    | D
cloudfront: rewrites the policy                   | D       | D     | D      | D     | D    | D
logs: encrypts its log group                      | D       | D     | D      | D     | D    | ok
logs: encrypts another log group                  | D       | D     | D      | D     | D    | D
logs: encrypts no log group                       | D       | D     | D      | D     | D    | D
logs elsewhere: encrypts its log group            | D       | D     | D      | D     | D    | D
""")


def make_keys(
    scope: Construct, *, administrators: Sequence[iam.IPrincipal], users: Sequence[iam.IPrincipal]
) -> dict[str, CustomerManagedKey]:
    """The keys that the columns are about."""
    keys = {
        "default": CustomerManagedKey(scope, "Default"),
        "bound": CustomerManagedKey(scope, "Bound", bucket_arns=[BUCKET]),
        "admins": CustomerManagedKey(scope, "Admins", administrators=administrators),
        "users": CustomerManagedKey(scope, "Users", users=users),
        "both": CustomerManagedKey(scope, "Both", administrators=administrators, users=users),
        "services": CustomerManagedKey(scope, "Services"),
    }
    keys["services"].allow_service(CLOUDFRONT, source_arns=[DISTRIBUTION], source_account=ACCOUNT)
    keys["services"].allow_cloudwatch_logs(log_group_name="/orders/api")
    keys["services"].key.add_to_resource_policy(
        iam.PolicyStatement(principals=[iam.AccountRootPrincipal()], actions=["kms:CreateGrant"], resources=["*"])
    )
    return keys

"""What the job of one customer may do, and what their key's policy says of it. Each statement names what is theirs.

AWS documents one policy for all jobs of an account, AWSGlueServiceRole. Here is what of it one job needs, and on what:
https://docs.aws.amazon.com/glue/latest/dg/create-an-iam-role.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cdk_encrypted_data.policies import Condition, Statement, access, bucket_and_objects
from cdk_encrypted_data.policies.key import DECRYPT_ACTIONS, READ_ACTIONS, WRITE_ACTIONS, in_applications

CONTENT_ENCRYPTION = {"aws:x-amz-cek-alg": "AES/GCM/NoPadding"}
"""The encryption context of every data key in the format that the job writes, the S3 encryption client's second.

https://docs.aws.amazon.com/amazon-s3-encryption-client/latest/developerguide/concepts.html
"""

_STATE_CONTEXT = "kms:EncryptionContext:cdk-encrypted-data-job:content"
"""What the job adds to that context of rows from before the rules, which it keeps for its next run."""

_BOOKMARK_ACTIONS = ("kms:Decrypt", "kms:Encrypt")
_LOG_ACTIONS = ("logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_DESCRIBE_NETWORK = (
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
)
_OF_THE_JOB = ("glue:GetJob", "glue:GetJobRun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where policies are for: as tokens, or written out."""

    partition: str
    account: str
    region: str

    def arn(self, service: str, resource: str, *, account: str | None = None) -> str:
        """Return the ARN of a resource here."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account if account is None else account}:{resource}"


def assumed_by_glue(account: str) -> list[Statement]:
    """Let Glue assume the role, for this account's jobs only (against the confused deputy)."""
    return [
        {
            "Effect": "Allow",
            "Principal": {"Service": "glue.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    ]


def use_in_applications(role_arn: str, readers: Sequence[str], here: Environment) -> list[Statement]:
    """Say in the key's policy that the job encrypts in its own process, and that the readers decrypt in theirs.

    A policy that names who may use a key is enough by itself: what isn't limited here, no IAM policy limits.
    """
    account = {"kms:CallerAccount": here.account}

    def allow(sid: str, principals: str | list[str], actions: Sequence[str], condition: Condition) -> Statement:
        limited: Condition = {**condition, "StringEquals": {**account, **condition["StringEquals"]}}
        principal: dict[str, str | list[str]] = {"AWS": principals}
        return {**_allow(sid, actions, ["*"], limited), "Principal": principal}

    job = allow("JobEncryptsInItsProcess", role_arn, WRITE_ACTIONS, in_applications(CONTENT_ENCRYPTION))
    # Not to encrypt: what is encrypted under the key so, the job has written.
    readers_decrypt = allow("ReadersDecryptInApplications", list(readers), DECRYPT_ACTIONS, _of_outputs())
    return [job, readers_decrypt] if readers else [job]


def keep_bookmarks(role_arn: str, here: Environment) -> Statement:
    """Say in the key's policy that the job's bookmarks are encrypted under it.

    AWS documents that the role needs both actions, and not whether the job calls KMS or Glue does for it.
    """
    return {
        "Sid": "JobKeepsBookmarks",
        "Effect": "Allow",
        "Principal": {"AWS": role_arn},
        "Action": list(_BOOKMARK_ACTIONS),
        "Resource": "*",
        "Condition": _for_bookmarks(here),
    }


def log_groups(here: Environment, *, security_configuration: str, role_name: str) -> str:
    """Return the ARN, up to the last word, of the log groups that Glue 5 and later derive for a job.

    With a security configuration each job's role has its own:
    https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging-enable.html.
    """
    return here.arn("logs", f"log-group:/aws-glue/jobs/{security_configuration}-role/{role_name}/*")


def use_bucket(bucket_arn: str, key_arn: str, here: Environment, *, temporary: str) -> list[Statement]:
    """Let the job list its bucket, read and store objects, and delete its temporary ones."""
    granted = [
        *access.read_write(bucket_arn, "*", key_arn=key_arn, region=here.region),
        *access.delete(bucket_arn, f"{temporary}*", key_arn=key_arn, region=here.region),
    ]
    sids = ("UseBucket", "UseObjects", "UseKeyThroughS3", "DeleteTemporaryObjects")
    return [_allow(sid, each.actions, [each.resource], each.condition) for sid, each in zip(sids, granted, strict=True)]


def encrypt(key_arn: str, here: Environment) -> list[Statement]:
    """Let the job encrypt before data leave the process, decrypt what it wrote so, and keep bookmarks."""
    return [
        # Directly, and only data keys of this format: not what S3 encrypted, nor what anything else did.
        _allow("EncryptInJob", WRITE_ACTIONS, [key_arn], in_applications(CONTENT_ENCRYPTION)),
        _allow("KeepBookmarks", _BOOKMARK_ACTIONS, [key_arn], _for_bookmarks(here)),
    ]


def read_output(bucket_arn: str, key_arn: str, here: Environment, *, output: str) -> list[Statement]:
    """Let somebody list the bucket, read the job's outputs, and open them in their own process."""
    granted = access.read(bucket_arn, f"{output}*", key_arn=key_arn, region=here.region)
    sids = ("ListBucket", "ReadOutput", "UseKeyThroughS3")
    return [
        *(_allow(sid, each.actions, [each.resource], each.condition) for sid, each in zip(sids, granted, strict=True)),
        _allow("DecryptInApplications", DECRYPT_ACTIONS, [key_arn], _of_outputs()),
    ]


def read_secret(secret_arn: str, secret_key_arn: str | None, here: Environment) -> list[Statement]:
    """Let the job read the customer's secret, and open it where its key is a customer managed one."""
    statements = [_allow("ReadSecret", ("secretsmanager:GetSecretValue",), [secret_arn])]
    if secret_key_arn is not None:
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
        opened: Condition = {
            "StringEquals": {
                "kms:ViaService": f"secretsmanager.{here.region}.amazonaws.com",
                "kms:EncryptionContext:SecretARN": secret_arn,
            }
        }
        statements.append(_allow("OpenSecret", DECRYPT_ACTIONS, [secret_key_arn], opened))
    return statements


def read_code(object_arns: Sequence[str], key_arn: str | None, here: Environment) -> list[Statement]:
    """Let the job read the objects that its code is in, each by its name: other jobs' lie beside them."""
    statements = [_allow("ReadCode", ("s3:GetObject",), list(object_arns))]
    if key_arn is not None:
        buckets = sorted({arn.partition("/")[0] for arn in object_arns})
        through_s3: Condition = {
            "StringEquals": {"kms:ViaService": f"s3.{here.region}.amazonaws.com"},
            "StringLike": {
                "kms:EncryptionContext:aws:s3:arn": [arn for bucket in buckets for arn in bucket_and_objects(bucket)]
            },
        }
        statements.append(_allow("OpenCode", READ_ACTIONS, [key_arn], through_s3))
    return statements


def write_logs(log_groups_arn: str) -> Statement:
    """Let the job write its logs, and put its log groups under the key."""
    # Without logs:AssociateKmsKey Glue turns real-time logging off and says nothing.
    return _allow("WriteLogs", _LOG_ACTIONS, [log_groups_arn])


def reach_database(
    here: Environment, *, connection: str, subnet_id: str, security_group_ids: Sequence[str]
) -> list[Statement]:
    """Let Glue, as the job, make network interfaces in the connection's subnet and take them away again.

    https://docs.aws.amazon.com/glue/latest/dg/setup-vpc-for-glue-access.html
    """
    interfaces = here.arn("ec2", "network-interface/*")
    # A shared subnet's ARN has its owner's account.
    network = [
        here.arn("ec2", f"subnet/{subnet_id}", account="*"),
        *(here.arn("ec2", f"security-group/{each}", account="*") for each in security_group_ids),
    ]
    of_glue: Condition = {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}}
    return [
        _allow("ReadConnection", ("glue:GetConnection",), _catalog(here, f"connection/{connection}")),
        # EC2 knows no resources for these, except a VPC for its attributes: which one, the subnet doesn't say.
        _allow("LookAtNetwork", _DESCRIBE_NETWORK, ["*"]),
        _allow("MakeNetworkInterface", ("ec2:CreateNetworkInterface",), [interfaces, *network]),
        _allow("DeleteNetworkInterface", ("ec2:DeleteNetworkInterface",), [interfaces]),
        _allow("MarkNetworkInterface", ("ec2:CreateTags", "ec2:DeleteTags"), [interfaces], of_glue),
    ]


def run(here: Environment, *, job: str) -> list[Statement]:
    """Let the job read its own definition, its runs and bookmarks, and count what it does."""
    in_glue: Condition = {"StringEquals": {"cloudwatch:namespace": "Glue"}}
    return [
        _allow("ReadOwnJob", _OF_THE_JOB, [here.arn("glue", f"job/{job}")]),
        # AWS decides on it without a resource: limited to one, it allows nothing, and Glue couldn't begin the job. What
        # it shows of others' bookmarks is encrypted under their keys.
        _allow("ReadBookmarks", ("glue:GetJobBookmark",), ["*"]),
        # CloudWatch knows no resources for it.
        _allow("CountInGlue", ("cloudwatch:PutMetricData",), ["*"], in_glue),
    ]


def _catalog(here: Environment, resource: str) -> list[str]:
    return [here.arn("glue", "catalog"), here.arn("glue", resource)]


def _of_outputs() -> Condition:
    """Return the condition of the data keys of what the rules select, and of no row from before them."""
    condition = in_applications(CONTENT_ENCRYPTION)
    # S3 alone doesn't keep them apart: a reader may have s3:GetObject on the whole bucket by another policy.
    return {**condition, "Null": {**condition["Null"], _STATE_CONTEXT: "true"}}


def _for_bookmarks(here: Environment) -> Condition:
    return {
        "StringEquals": {"kms:CallerAccount": here.account},
        # Through Glue or through nothing.
        "StringEqualsIfExists": {"kms:ViaService": f"glue.{here.region}.amazonaws.com"},
        # Nor what S3 encrypted: that opens through S3 only.
        "Null": {"kms:EncryptionContext:aws:s3:arn": "true"},
    }


def _allow(sid: str, actions: Sequence[str], resources: list[str], condition: Condition | None = None) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement

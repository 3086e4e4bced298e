"""The statements of a key's policy: who may administer the key, who may use it, and through what.

In KMS the key policy is the root of trust: an IAM policy gives access to a key only where the key policy hands the
decision to the account, by naming ``arn:…:iam::ACCOUNT:root``
(https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from cdk_encrypted_data.policies import Condition, Statement, bucket_and_objects

S3_ACTIONS = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")
"""All that S3 does with a key: objects take two of them, replicas and ``UpdateObjectEncryption`` the others."""

READ_ACTIONS = ("kms:Decrypt",)
"""What reading an SSE-KMS object takes."""

WRITE_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
"""What writing takes: S3 decrypts the bucket key, and the upload's data key for every part of a multipart upload."""

_CRYPTOGRAPHIC_ACTIONS = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

# What CloudFormation needs to keep the key as the template says, and what gets a key back that somebody shut off.
_RECOVERY_ACTIONS = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)

# What takes the key away from the data, or costs one of its 25 rotations on demand.
_DISRUPTIVE_ACTIONS = (
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
)

_ADMINISTRATIVE_ACTIONS = tuple(sorted((*_RECOVERY_ACTIONS, *_DISRUPTIVE_ACTIONS)))

# Reading a key's description is no administration: S3 clients and consoles ask for it.
_CHANGING_ACTIONS = tuple(
    action for action in _ADMINISTRATIVE_ACTIONS if not action.startswith(("kms:Describe", "kms:Get", "kms:List"))
)


def administration(account_root_arn: str, *, administrators: Sequence[str]) -> list[Statement]:
    """Say who may administer the key.

    Without ``administrators`` the account's IAM policies decide. With them only those principals may disable the key or
    schedule its deletion, and they may not use it; the account keeps what recovers a key and what deployments need.
    """
    if not administrators:
        return [_allow("AccountAdministersKey", account_root_arn, _ADMINISTRATIVE_ACTIONS)]
    return [
        # Without it a deleted administrator leaves a key that only AWS Support can recover.
        _allow("AccountRecoversKey", account_root_arn, _RECOVERY_ACTIONS),
        _allow("AdministratorsAdministerKey", list(administrators), _ADMINISTRATIVE_ACTIONS),
        # Whatever an IAM policy gives them elsewhere: who can switch the key can't read what it protects.
        _deny("AdministratorsCannotUseKey", list(administrators), _CRYPTOGRAPHIC_ACTIONS),
    ]


def use_through_s3(
    account_root_arn: str,
    *,
    account: str,
    region: str,
    users: Sequence[str],
    bucket_arns: Sequence[str],
) -> list[Statement]:
    """Say who may use the key: only through S3, only from this account and, where they are known, for these buckets.

    Without ``users`` the account's IAM policies decide. With them only those principals may, and they may not
    administer the key.
    """
    # Never directly: who could call Decrypt could open a data key that came out of S3 some other way.
    condition: Condition = {
        "StringEquals": {"kms:CallerAccount": account, "kms:ViaService": f"s3.{region}.amazonaws.com"}
    }
    if bucket_arns:
        condition["StringLike"] = encryption_context(bucket_arns)
    if not users:
        return [_allow("AccountUsesKeyThroughS3", account_root_arn, S3_ACTIONS, condition)]
    return [
        _allow("UsersUseKeyThroughS3", list(users), S3_ACTIONS, condition),
        _deny("UsersCannotAdministerKey", list(users), _CHANGING_ACTIONS),
    ]


def refuse_grants_to_people() -> list[Statement]:
    """Refuse grants other than those that an AWS service integrated with KMS makes for a resource.

    A grant gives access that no policy shows.
    """
    for_people: Condition = {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}
    return [_deny("RefuseGrantsExceptForAwsServices", "*", ("kms:CreateGrant",), for_people)]


def allow_service(service: str, *, actions: Sequence[str], condition: Condition) -> Statement:
    """Allow an AWS service to use the key, for the sources that ``condition`` names."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
        "Resource": "*",
        "Condition": condition,
    }


def allow_cloudwatch_logs(*, region: str, log_group_arn: str) -> Statement:
    """Allow CloudWatch Logs of one Region to encrypt these log groups."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{region}.amazonaws.com"},
        "Action": [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        "Resource": "*",
        # CloudWatch Logs sends no aws:SourceArn here; the encryption context names the log group.
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_group_arn}},
    }


def encryption_context(bucket_arns: Sequence[str]) -> dict[str, str | list[str]]:
    """Return the condition values that bind a key to the objects of these buckets."""
    return {"kms:EncryptionContext:aws:s3:arn": [arn for bucket in bucket_arns for arn in bucket_and_objects(bucket)]}


def _allow(
    sid: str, principals: str | list[str], actions: Sequence[str], condition: Condition | None = None
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": principals},
        "Action": list(actions),
        "Resource": "*",
    }
    return {**statement, "Condition": condition} if condition else statement


def _deny(
    sid: str, principals: str | list[str], actions: Sequence[str], condition: Condition | None = None
) -> Statement:
    return {**_allow(sid, principals, actions, condition), "Effect": "Deny"}

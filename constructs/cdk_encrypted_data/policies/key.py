"""The statements of a key's policy: who may administer the key, who may use it, and through what.

In KMS the key policy is the root of trust: an IAM policy gives access to a key only where the key policy hands the
decision to the account, by naming ``arn:…:iam::ACCOUNT:root``
(https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdk_encrypted_data.policies import Condition, Statement, bucket_and_objects

S3_ACTIONS = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")
"""All that S3 does with a key: objects take two of them, replicas and ``UpdateObjectEncryption`` the others."""

READ_ACTIONS = ("kms:Decrypt",)
"""What reading an SSE-KMS object takes."""

ENCRYPT_ACTIONS = ("kms:GenerateDataKey",)
"""What encrypting in an application takes: a data key for each message. `DECRYPT_ACTIONS` opens it again."""

DECRYPT_ACTIONS = ("kms:Decrypt",)
"""What decrypting in an application takes."""

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

# What S3 names in every message: the object, or the bucket where that has a key of its own.
_S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"

# What makes replicas of a multi-Region key, and one of them the primary.
_REPLICATE = "kms:ReplicateKey"
_PROMOTE = "kms:UpdatePrimaryRegion"

# By which KMS keeps replicas like their primary: new key material is used once every replica has it.
_SYNCHRONIZE = "kms:SynchronizeMultiRegionKey"

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


def use_directly(account_root_arn: str, *, account: str, users: Sequence[str]) -> Statement:
    """Say who may use the key in an application, before data leave it. Without ``users`` IAM policies decide.

    Never through a service: what a service may do with the key, `use_through_s3` says.
    """
    actions = sorted({*ENCRYPT_ACTIONS, *DECRYPT_ACTIONS})
    condition: Condition = {"StringEquals": {"kms:CallerAccount": account}, **in_applications({})}
    if not users:
        return _allow("AccountUsesKeyInApplications", account_root_arn, actions, condition)
    return _allow("UsersUseKeyInApplications", list(users), actions, condition)


def in_applications(context: Mapping[str, str]) -> Condition:
    """Return the condition of a use in an application: not through a service, with this encryption context."""
    # Nor what S3 encrypted: a data key that came out of a bucket some other way opens through S3 only.
    condition: Condition = {"Null": {"kms:ViaService": "true", _S3_CONTEXT: "true"}}
    if context:
        condition["StringEquals"] = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    return condition


def replication(
    account_root_arn: str, *, regions: Sequence[str], administrators: Sequence[str], users: Sequence[str]
) -> list[Statement]:
    """Say where a multi-Region key may have replicas, and who may make which of them the primary.

    Replicas are made by deployments, so the account's IAM policies decide; which is the primary is decided by the
    administrators, where they are named.
    See https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-auth.html and
    https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-auth-slr.html.
    """
    replicas: Condition = {"StringEquals": {"kms:ReplicaRegion": list(regions)}}
    primaries: Condition = {"StringEquals": {"kms:PrimaryRegion": list(regions)}}
    statements = [
        _allow("AccountReplicatesKey", account_root_arn, (_REPLICATE,), replicas),
        # KMS does it as a service-linked role of the account, whose IAM policy allows this and nothing else.
        _allow("AccountSynchronizesKey", account_root_arn, (_SYNCHRONIZE,)),
        # A replica is the key itself: whatever another statement may allow one day, it stays in these Regions.
        _deny("RefuseReplicasElsewhere", "*", (_REPLICATE,), {"StringNotEquals": {"kms:ReplicaRegion": list(regions)}}),
    ]
    if administrators:
        statements.append(_allow("AdministratorsChoosePrimary", list(administrators), (_PROMOTE,), primaries))
    else:
        statements.append(_allow("AccountChoosesPrimary", account_root_arn, (_PROMOTE,), primaries))
    if users:
        statements.append(_deny("UsersCannotReplicateKey", list(users), (_REPLICATE, _PROMOTE)))
    return statements


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
    return {_S3_CONTEXT: [arn for bucket in bucket_arns for arn in bucket_and_objects(bucket)]}


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

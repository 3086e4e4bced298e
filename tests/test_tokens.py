"""Every text a CDK user may only know at deployment passes, and arrives in the template."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_encrypted_data import (
    AccessLogBucket,
    CustomerManagedKey,
    EncryptedBucket,
    FailureTopic,
    ReplicationDestination,
)
from tests.synthesis import new_stack, template


def test_every_text() -> None:
    stack = new_stack()

    def token(name: str) -> str:
        return cdk.CfnParameter(stack, name).value_as_string

    logs = AccessLogBucket(stack, "Logs", bucket_name=token("LogBucketName"))
    key = CustomerManagedKey(
        stack,
        "Key",
        alias_name=f"alias/{token('Alias')}",
        description=token("Description"),
        bucket_arns=[token("BucketArn")],
        administrators=[iam.ArnPrincipal(token("AdministratorArn"))],
        users=[iam.ArnPrincipal(token("UserArn"))],
    )
    key.allow_service(token("Service"), source_arns=[token("SourceArn")], source_account=token("SourceAccount"))
    key.allow_cloudwatch_logs(log_group_name=token("LogGroupName"))
    bucket = EncryptedBucket(
        stack,
        "Data",
        key=key,
        bucket_name=token("BucketName"),
        access_log_bucket=logs,
        access_log_prefix=token("AccessLogPrefix"),
    )
    bucket.grant_read(iam.ManagedPolicy(stack, "Policy"), objects_key_pattern=token("ObjectsKeyPattern"))
    bucket.grant_read_to_service(token("Reader"), source_arns=[token("ReaderSource")])
    EncryptedBucket(stack, "Prefixed", bucket_name_prefix=token("Prefix"))
    EncryptedBucket(stack, "Existing", key=kms.Key.from_key_arn(stack, "ExistingKey", token("KeyArn")))
    FailureTopic(stack, "Failures", key_administrators=[iam.ArnPrincipal(token("TopicAdministratorArn"))])
    ReplicationDestination(
        stack,
        "Backup",
        bucket_name_prefix=token("BackupPrefix"),
        source_role_arns=["arn:aws:iam::444455556666:role/orders-replication"],
        key_administrators=[iam.ArnPrincipal(token("BackupAdministratorArn"))],
        key_alias_name=f"alias/{token('BackupAlias')}",
        access_log_bucket=logs,
        access_log_prefix=token("BackupAccessLogPrefix"),
    )

    synthesized = template(stack)
    resources = json.dumps(synthesized["Resources"])
    names = [name for name in synthesized["Parameters"] if name != "BootstrapVersion"]
    assert len(names) == 22
    assert [name for name in names if json.dumps({"Ref": name}) not in resources] == []


def test_durations() -> None:
    stack = new_stack()
    days = cdk.Duration.days(cdk.CfnParameter(stack, "Days", type="Number").value_as_number)
    EncryptedBucket(stack, "Data", noncurrent_version_expiration=days, abort_incomplete_multipart_upload_after=days)
    AccessLogBucket(stack, "Logs", retention=days)
    roles = ["arn:aws:iam::444455556666:role/orders-replication"]
    ReplicationDestination(
        stack,
        "Backup",
        bucket_name_prefix="backup",
        source_role_arns=roles,
        noncurrent_version_expiration=days,
        abort_incomplete_multipart_upload_after=days,
    )
    assert json.dumps(template(stack)["Resources"]).count('{"Ref": "Days"}') == 5

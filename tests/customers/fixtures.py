"""Customers, the code of their jobs, and stacks with both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import (
    AccessLogBucket,
    Customer,
    FailureTopic,
    GlueVersion,
    JobCode,
    PerCustomerGlueJob,
    TableSource,
)

ACCOUNT, REGION = "111122223333", "eu-central-1"
ENVIRONMENT = cdk.Environment(account=ACCOUNT, region=REGION)
READER = f"arn:aws:iam::{ACCOUNT}:role/reports/acme-reader"
# What a certificate begins and ends with; nobody here connects with it.
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
NETWORK: dict[str, Any] = {
    "subnet_id": "subnet-0123456789abcdef0",
    "availability_zone": "eu-central-1a",
    "security_group_ids": ["sg-0123456789abcdef0"],
}
CODE = JobCode(script="s3://acme-code/script.py", rules={"clinical-trials": "s3://acme-code/rules.zip"})


def customer(name: str = "acme", **said: Any) -> Customer:  # noqa: ANN401 - of any attribute
    return Customer(
        **{
            "name": name,
            "secret_arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}/database-AbCdEf",
            "jdbc_url": f"jdbc:postgresql://{name}.example.com:5432/clinical",
            "ca_certificate": CERTIFICATE,
            "tables": [TableSource(name="subjects", source="public.subjects")],
            "rules": "clinical-trials",
            **said,
        }
    )


def job(stack: cdk.Stack, name: str = "acme", **options: Any) -> PerCustomerGlueJob:  # noqa: ANN401
    return PerCustomerGlueJob(stack, name, **{"customer": customer(name), "code": CODE, **NETWORK, **options})


def new_stack(context: Mapping[str, Any] | None = None, *, env: cdk.Environment | None = ENVIRONMENT) -> cdk.Stack:
    return cdk.Stack(cdk.App(context=dict(context or {})), "Test", env=env)


def fullest_job(stack: cdk.Stack) -> PerCustomerGlueJob:
    reader = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    made = PerCustomerGlueJob(
        stack,
        "Acme",
        customer=customer(
            title="Acme Clinical Ltd",
            secret_key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            tables=[
                TableSource(name="subjects", source="public.subjects"),
                TableSource(
                    name="visits",
                    source="public.visits",
                    partition_column="visit_id",
                    partitions=8,
                    bookmark="xmin",
                ),
            ],
            schedule="cron(0 3 * * ? *)",
            readers=[READER],
            tags={"cost-center": "4711"},
        ),
        code=JobCode(
            script="s3://acme-code/script.py",
            rules={"clinical-trials": "s3://acme-code/rules.zip", "other": "s3://acme-code/other.zip"},
            packages=["s3://acme-code/package.zip"],
            modules=["s3://acme-code/pyarrow.whl"],
            key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/abcd1234-12ab-34cd-56ef-1234567890ab",
        ),
        **NETWORK,
        glue_version=GlueVersion.V6_0,
        worker_type="R.2X",
        maximum_workers=20,
        timeout=cdk.Duration.hours(6),
        retries=2,
        failure_topic=FailureTopic(stack, "Failures").topic,
        key_administrators=[iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/key-administrator")],
        key_users=[reader],
        key_alias_name="alias/acme",
        key_rotation_period=cdk.Duration.days(180),
        key_pending_window=cdk.Duration.days(14),
        bucket_name_prefix="acme-clinical",
        noncurrent_version_expiration=cdk.Duration.days(400),
        abort_incomplete_multipart_upload_after=cdk.Duration.days(2),
        access_log_bucket=AccessLogBucket(stack, "Logs"),
        access_log_prefix="acme/",
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    made.grant_read(reader)
    made.grant_start(iam.ManagedPolicy(stack, "Operators"))
    return made

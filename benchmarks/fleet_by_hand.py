"""The fleet of benchmarks/fleet.py by hand: what a careful person writes with the CDK's L2s for the same protection.

Statement by statement what `PerCustomerGlueJob` makes; fleet.py checks that. `fleet_by_hand.cjs` is the same program in
TypeScript. The job and the trigger are L1s: the CDK's L2 can't pin a job's arguments, and there is none for a schedule.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

_SUBNET, _ZONE, _GROUP = "subnet-0123456789abcdef0", "eu-central-1a", "sg-0123456789abcdef0"
_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_SCRIPT, _RULES = "s3://acme-code/script.py", "s3://acme-code/rules.zip"
_TABLES = [{"name": "subjects", "source": "public.subjects"}]

_SSE = "s3:x-amz-server-side-encryption"
_SSE_KMS_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_SSE_C = "s3:x-amz-server-side-encryption-customer-algorithm"
_S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
_IN_APPLICATIONS = {_S3_CONTEXT: "true", "kms:ViaService": "true"}
_FORMAT = {"kms:EncryptionContext:aws:x-amz-cek-alg": "AES/GCM/NoPadding"}

_CHANGE_KEY = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
]
_LOOK_AT_KEY = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
]


class Place(NamedTuple):
    """What the customers of a stack have in common."""

    stack_name: str
    partition: str
    account: str
    region: str
    network: glue.ConnectionNetwork
    group: ec2.ISecurityGroup


def place_in(stack: cdk.Stack) -> Place:
    """Look it up once for a stack."""
    subnet = ec2.Subnet.from_subnet_attributes(stack, "Subnet", subnet_id=_SUBNET, availability_zone=_ZONE)
    return Place(
        stack_name=stack.stack_name,
        partition=stack.partition,
        account=stack.account,
        region=stack.region,
        network=glue.ConnectionNetwork.subnet(subnet),
        group=ec2.SecurityGroup.from_security_group_id(stack, "Group", _GROUP),
    )


def customer(stack: cdk.Stack, place: Place, name: str, secret_arn: str) -> None:
    """Make the resources of one customer."""
    scope = Construct(stack, name)
    full_name = f"{place.stack_name}-{name}"
    bucket_name = f"{name}-{place.account}-{place.region}-an"
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal(
            "glue.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": place.account}}
        ),
        description=f"What the Glue job of {name} may do",
    )
    log_groups = (
        f"arn:{place.partition}:logs:{place.region}:{place.account}"
        f":log-group:/aws-glue/jobs/{full_name}-role/{role.role_name}/*"
    )
    key = kms.Key(
        scope,
        "Key",
        alias=f"alias/{place.stack_name}/{name}",
        description=f"Encrypts the data of {name} in S3, in the job and in its logs",
        enable_key_rotation=True,
        policy=_key_policy(place, role, f"arn:{place.partition}:s3:::{bucket_name}", log_groups),
    )
    bucket = _bucket(scope, name, key)
    permissions = iam.ManagedPolicy(
        scope,
        "Permissions",
        roles=[role],
        statements=_permissions(place, bucket, key, secret_arn=secret_arn, log_groups=log_groups, full_name=full_name),
    )
    security = glue.SecurityConfiguration(
        scope,
        "SecurityConfiguration",
        security_configuration_name=full_name,
        s3_encryption=glue.S3Encryption.kms(key),
        cloud_watch_encryption=glue.CloudWatchEncryption.kms(key),
        job_bookmarks_encryption=glue.JobBookmarksEncryption.client_side_kms(key),
    )
    bucket_reference = bucket.bucket_name
    jdbc_url = f"jdbc:postgresql://{name}.example.com:5432/clinical"
    connection = glue.Connection(
        scope,
        "Connection",
        type=glue.ConnectionType.JDBC,
        connection_name=full_name,
        network=place.network,
        security_groups=[place.group],
        secret=secretsmanager.Secret.from_secret_complete_arn(scope, "Secret", secret_arn),
        properties={"JDBC_CONNECTION_URL": jdbc_url, "JDBC_ENFORCE_SSL": "true"},
    )
    tags = {"Name": name, "customer": name}
    job = glue.CfnJob(
        scope,
        "Job",
        command=glue.CfnJob.JobCommandProperty(name="glueetl", python_version="3", script_location=_SCRIPT),
        role=role.role_arn,
        connections=glue.CfnJob.ConnectionsListProperty(connections=[connection.connection_name]),
        name=full_name,
        description=f"Extracts, transforms and encrypts the data of {name}",
        glue_version="5.1",
        worker_type="G.1X",
        number_of_workers=4,
        execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=1),
        job_run_queuing_enabled=True,
        max_retries=0,
        timeout=120,
        security_configuration=security.security_configuration_name,
        default_arguments={
            "--enable-auto-scaling": "true",
            "--enable-continuous-cloudwatch-log": "true",
            "--enable-metrics": "true",
        },
        non_overridable_arguments={
            "--TempDir": f"s3://{bucket_reference}/tmp/",  # noqa: S108 - in the bucket
            "--additional-python-modules": "pip",
            "--ca-certificate": _CERTIFICATE,
            "--conf": "spark.io.encryption.enabled=true",
            "--customer": name,
            "--extra-files": _RULES,
            "--extra-jars": _RULES,
            "--extra-py-files": _RULES,
            "--jdbc-url": jdbc_url,
            "--job-bookmark-option": "job-bookmark-enable",
            "--job-language": "python",
            "--key-arn": key.key_arn,
            "--output": f"s3://{bucket_reference}/data/",
            "--python-modules-installer-option": "--no-index",
            "--rules": _RULES,
            "--scriptLocation": _SCRIPT,
            "--state": f"s3://{bucket_reference}/state/",
            "--secret-arn": secret_arn,
            "--spark-event-logs-path": f"s3://{bucket_reference}/tmp/spark-events/",  # noqa: S108
            "--tables": json.dumps(_TABLES, separators=(",", ":")),
        },
        tags=tags,
    )
    job.node.add_dependency(permissions)
    glue.CfnTrigger(
        scope,
        "Schedule",
        name=full_name,
        type="SCHEDULED",
        schedule="cron(0 3 * * ? *)",
        start_on_creation=True,
        actions=[glue.CfnTrigger.ActionProperty(job_name=job.ref)],
        tags=tags,
    )
    cdk.Tags.of(scope).add("Name", name)
    cdk.Tags.of(scope).add("customer", name)
    cdk.Tags.of(key).add("Name", f"{place.stack_name}/{name}")


def _key_policy(place: Place, role: iam.Role, bucket_arn: str, log_groups: str) -> iam.PolicyDocument:
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="AccountAdministersKey",
                principals=[iam.AccountRootPrincipal()],
                actions=[*_CHANGE_KEY, *_LOOK_AT_KEY],
                resources=["*"],
            ),
            iam.PolicyStatement(
                sid="JobUsesKeyThroughS3",
                principals=[role],
                actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
                resources=["*"],
                conditions={
                    "StringEquals": {
                        "kms:CallerAccount": place.account,
                        "kms:ViaService": f"s3.{place.region}.amazonaws.com",
                    },
                    "StringLike": {_S3_CONTEXT: [bucket_arn, f"{bucket_arn}/*"]},
                },
            ),
            iam.PolicyStatement(
                sid="JobCannotAdministerKey",
                effect=iam.Effect.DENY,
                principals=[role],
                actions=_CHANGE_KEY,
                resources=["*"],
            ),
            iam.PolicyStatement(
                sid="RefuseGrantsExceptForAwsServices",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["kms:CreateGrant"],
                resources=["*"],
                conditions={"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}},
            ),
            iam.PolicyStatement(
                sid="JobEncryptsInItsProcess",
                principals=[role],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"Null": _IN_APPLICATIONS, "StringEquals": {"kms:CallerAccount": place.account, **_FORMAT}},
            ),
            iam.PolicyStatement(
                sid="JobKeepsBookmarks",
                principals=[role],
                actions=["kms:Decrypt", "kms:Encrypt"],
                resources=["*"],
                conditions=_for_bookmarks(place),
            ),
            iam.PolicyStatement(
                sid="LogsEncryptLogGroups",
                principals=[iam.ServicePrincipal(f"logs.{place.region}.amazonaws.com")],
                actions=[
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey",
                    "kms:GenerateDataKeyWithoutPlaintext",
                    "kms:ReEncryptFrom",
                    "kms:ReEncryptTo",
                ],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
            ),
        ]
    )


def _bucket(scope: Construct, name: str, key: kms.Key) -> s3.Bucket:
    bucket = s3.Bucket(
        scope,
        "Bucket",
        bucket_name_prefix=name,
        bucket_namespace=s3.BucketNamespace.ACCOUNT_REGIONAL,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
        enforce_ssl=True,
        minimum_tls_version=1.2,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="Retention",
                noncurrent_version_expiration=cdk.Duration.days(90),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                expired_object_delete_marker=True,
            ),
            s3.LifecycleRule(id="Temporary", prefix="tmp/", expiration=cdk.Duration.days(7)),
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    anybody, objects = iam.AnyPrincipal(), bucket.arn_for_objects("*")
    other_key = {"StringNotEquals": {_SSE_KMS_KEY: key.key_arn}}
    for sid, action, condition in (
        (
            "RefuseOtherEncryption",
            "s3:PutObject",
            {"Null": {_SSE: "false"}, "StringNotEquals": {_SSE: ["aws:kms", "aws:kms:dsse"]}},
        ),
        ("RefuseEncryptionUnderMissingOrOtherKey", "s3:PutObject", {"Null": {_SSE: "false"}, **other_key}),
        ("RefuseOtherKey", "s3:PutObject", {"Null": {_SSE_KMS_KEY: "false"}, **other_key}),
        ("RefuseUpdateToOtherKey", "s3:UpdateObjectEncryption", other_key),
        ("RefuseCustomerProvidedKeys", "s3:PutObject", {"Null": {_SSE_C: "false"}}),
    ):
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[anybody],
                actions=[action],
                resources=[objects],
                conditions=condition,
            )
        )
    if (policy := bucket.policy) is not None:
        policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return bucket


def _permissions(
    place: Place, bucket: s3.Bucket, key: kms.Key, *, secret_arn: str, log_groups: str, full_name: str
) -> list[iam.PolicyStatement]:
    bucket_arn, objects, key_arn = bucket.bucket_arn, bucket.arn_for_objects("*"), key.key_arn
    here = f"{place.region}:{place.account}"
    in_glue = f"arn:{place.partition}:glue:{here}"
    interfaces = f"arn:{place.partition}:ec2:{here}:network-interface/*"
    elsewhere = f"arn:{place.partition}:ec2:{place.region}:*"
    code = f"arn:{place.partition}:s3:::acme-code"
    return [
        iam.PolicyStatement(
            sid="UseBucket",
            actions=[
                "s3:GetBucketLocation",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
            ],
            resources=[bucket_arn],
        ),
        iam.PolicyStatement(
            sid="UseObjects",
            actions=[
                "s3:AbortMultipartUpload",
                "s3:GetObject",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionTagging",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectTagging",
            ],
            resources=[objects],
        ),
        iam.PolicyStatement(
            sid="UseKeyThroughS3",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[key_arn],
            conditions={
                "StringEquals": {"kms:ViaService": f"s3.{place.region}.amazonaws.com"},
                "StringLike": {_S3_CONTEXT: [bucket_arn, objects]},
            },
        ),
        iam.PolicyStatement(
            sid="DeleteTemporaryObjects", actions=["s3:DeleteObject"], resources=[bucket.arn_for_objects("tmp/*")]
        ),
        iam.PolicyStatement(
            sid="EncryptInJob",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[key_arn],
            conditions={"Null": _IN_APPLICATIONS, "StringEquals": _FORMAT},
        ),
        iam.PolicyStatement(
            sid="KeepBookmarks",
            actions=["kms:Decrypt", "kms:Encrypt"],
            resources=[key_arn],
            conditions=_for_bookmarks(place),
        ),
        iam.PolicyStatement(sid="ReadSecret", actions=["secretsmanager:GetSecretValue"], resources=[secret_arn]),
        iam.PolicyStatement(
            sid="ReadCode", actions=["s3:GetObject"], resources=[f"{code}/script.py", f"{code}/rules.zip"]
        ),
        iam.PolicyStatement(
            sid="WriteLogs",
            actions=["logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_groups],
        ),
        iam.PolicyStatement(
            sid="ReadConnection",
            actions=["glue:GetConnection"],
            resources=[f"{in_glue}:catalog", f"{in_glue}:connection/{full_name}"],
        ),
        iam.PolicyStatement(
            sid="LookAtNetwork",
            actions=[
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcAttribute",
                "ec2:DescribeVpcEndpoints",
            ],
            resources=["*"],
        ),
        iam.PolicyStatement(
            sid="MakeNetworkInterface",
            actions=["ec2:CreateNetworkInterface"],
            resources=[interfaces, f"{elsewhere}:subnet/{_SUBNET}", f"{elsewhere}:security-group/{_GROUP}"],
        ),
        iam.PolicyStatement(
            sid="DeleteNetworkInterface", actions=["ec2:DeleteNetworkInterface"], resources=[interfaces]
        ),
        iam.PolicyStatement(
            sid="MarkNetworkInterface",
            actions=["ec2:CreateTags", "ec2:DeleteTags"],
            resources=[interfaces],
            conditions={"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}},
        ),
        iam.PolicyStatement(
            sid="ReadOwnJob",
            actions=["glue:GetJob", "glue:GetJobRun"],
            resources=[f"{in_glue}:job/{full_name}"],
        ),
        iam.PolicyStatement(sid="ReadBookmarks", actions=["glue:GetJobBookmark"], resources=["*"]),
        iam.PolicyStatement(
            sid="CountInGlue",
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": "Glue"}},
        ),
    ]


def _for_bookmarks(place: Place) -> dict[str, dict[str, str]]:
    return {
        "StringEquals": {"kms:CallerAccount": place.account},
        "StringEqualsIfExists": {"kms:ViaService": f"glue.{place.region}.amazonaws.com"},
        "Null": {_S3_CONTEXT: "true"},
    }

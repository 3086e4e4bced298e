"""The resources of one customer as plain CloudFormation. Nothing here knows the CDK.

A construct of L2s would cost a hundred calls into Node for each customer (see docs/decisions.md); this is one text.
Where one resource names another, it says ``${Key.Arn}``, or ``${Bucket}`` for what ``Ref`` gives.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from cdk_encrypted_data.choices import CustomerProvidedKeys, MinimumTlsVersion, ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.policies import Statement, document, glue
from cdk_encrypted_data.policies import bucket as bucket_policy
from cdk_encrypted_data.policies import key as key_policy

Resource: TypeAlias = dict[str, Any]

TEMPORARY = "tmp/"
"""What the names of Glue's temporary objects begin with."""

OUTPUT = "data/"
"""What the names of the job's outputs begin with: what readers read."""

STATE = "state/"
"""What the names of rows begin with that the job keeps for its next run: from before the rules, for nobody else."""

_TEMPORARY_DAYS = 7

# Spark writes what doesn't fit into memory to the workers' disks: shuffles, spills, cached and broadcast blocks.
_SPARK = "spark.io.encryption.enabled=true"

_REFERENCE = re.compile(r"\$\{(AWS::\w+|\w+(?:\.\w+)?)\}")

HERE = glue.Environment(partition="${AWS::Partition}", account="${AWS::AccountId}", region="${AWS::Region}")
"""Wherever the template is deployed, in CloudFormation's own words: the CDK's tokens would be resolved one by one."""

STACK_NAME = "${AWS::StackName}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What customers' resources may differ in, checked."""

    name: str
    title: str
    tags: Mapping[str, str]
    path: str
    physical_name: str
    alias_name: str
    key_description: str
    key_name_tag: str
    key_administrators: Sequence[str]
    key_users: Sequence[str]
    has_readers: bool
    rotation_days: int | None
    pending_days: int | None
    bucket_name_prefix: str
    noncurrent_days: int
    abort_days: int
    access_log_bucket_name: str | None
    access_log_prefix: str | None
    deletion_policy: Mapping[str, str]
    secret_arn: str
    secret_key_arn: str | None
    jdbc_url: str
    subnet_id: str
    security_group_ids: Sequence[str]
    availability_zone: str
    script: str
    code_objects: Sequence[str]
    code_key_arn: str | None
    arguments: Mapping[str, str]
    pinned_arguments: Mapping[str, str]
    glue_version: str
    worker_type: str
    workers: int
    timeout_minutes: int
    retries: int
    schedule: str | None
    failure_topic_arn: str | None


_KEY_OF_GLUE = {"KmsKeyArn": "${Key.Arn}"}
_ENCRYPTION_BY_GLUE = {
    # What the job stores through Glue and Spark in S3: encrypted by S3 when it arrives.
    "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", **_KEY_OF_GLUE}],
    "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", **_KEY_OF_GLUE},
    # Bookmarks alone: Glue encrypts its notes of where a job stopped before it stores them.
    "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", **_KEY_OF_GLUE},
}
_DIGEST_OF_ENCRYPTION = hashlib.sha256(json.dumps(_ENCRYPTION_BY_GLUE, sort_keys=True).encode()).hexdigest()[:8]


def template(options: Options) -> Resource:
    """Return the customer's resources, by short fixed names."""
    # Data that stays behind stays protected: the bucket's policy goes where the bucket goes.
    resources = {
        "Role": _role(options),
        "Key": _key(options),
        "Alias": _resource("AWS::KMS::Alias", {"AliasName": options.alias_name, "TargetKeyId": "${Key.Arn}"}),
        "Bucket": _bucket(options),
        "BucketPolicy": _resource("AWS::S3::BucketPolicy", _bucket_policy(), options.deletion_policy),
        "Permissions": _permissions(options),
        "SecurityConfiguration": _security_configuration(options),
        "Connection": _connection(options),
        "Job": _job(options),
    }
    if options.schedule is not None:
        resources["Schedule"] = _schedule(options, options.schedule)
    if options.failure_topic_arn is not None:
        resources["Failure"] = _failure(options, options.failure_topic_arn)
    if options.has_readers:
        resources["Reader"] = _reader(options)
    return {"Resources": {name: _with_references(each) for name, each in resources.items()}}


def _role(options: Options) -> Resource:
    properties = {
        "AssumeRolePolicyDocument": _document(glue.assumed_by_glue(HERE.account)),
        "Description": f"What the Glue job of {options.name} may do",
        "Tags": _tags(options.tags),
    }
    return _resource("AWS::IAM::Role", properties)


def _key(options: Options) -> Resource:
    here = HERE
    root = f"arn:{here.partition}:iam::{here.account}:root"
    users = ["${Role.Arn}", *options.key_users]
    # By its name: the bucket needs the key, so its ARN would be a cycle.
    name = f"{options.bucket_name_prefix}-{here.account}-{here.region}-an"
    buckets = [f"arn:{here.partition}:s3:::{name}"]
    statements: list[Statement] = [
        *key_policy.administration(root, administrators=options.key_administrators),
        *key_policy.use_through_s3(root, account=here.account, region=here.region, users=users, bucket_arns=buckets),
        *key_policy.refuse_grants_to_people(),
        # What `CustomerManagedKey` doesn't allow: the job encrypts in its own process, Glue its bookmarks and its logs.
        *glue.use_in_applications("${Role.Arn}", options.key_users, here),
        glue.keep_bookmarks("${Role.Arn}", here),
        key_policy.allow_cloudwatch_logs(region=here.region, log_group_arn=_log_groups(options)),
    ]
    properties = {
        "Description": options.key_description,
        "EnableKeyRotation": True,
        "KeyPolicy": _document(statements),
        "PendingWindowInDays": options.pending_days,
        "RotationPeriodInDays": options.rotation_days,
        "Tags": _tags({**options.tags, "Name": options.key_name_tag}),
    }
    return _resource("AWS::KMS::Key", properties, options.deletion_policy)


def _bucket(options: Options) -> Resource:
    by_default = {
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {"KMSMasterKeyID": "${Key.Arn}", "SSEAlgorithm": "aws:kms"},
    }
    retention = {
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": options.abort_days},
        "ExpiredObjectDeleteMarker": True,
        "Id": "Retention",
        "NoncurrentVersionExpiration": {"NoncurrentDays": options.noncurrent_days},
        "Status": "Enabled",
    }
    temporary = {"ExpirationInDays": _TEMPORARY_DAYS, "Id": "Temporary", "Prefix": TEMPORARY, "Status": "Enabled"}
    closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    properties: Resource = {
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [by_default]},
        "BucketNamePrefix": options.bucket_name_prefix,
        "BucketNamespace": "account-regional",
        "LifecycleConfiguration": {"Rules": [retention, temporary]},
        "LoggingConfiguration": None,
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": dict.fromkeys(closed, True),
        "Tags": _tags(options.tags),
        "VersioningConfiguration": {"Status": "Enabled"},
    }
    if options.access_log_bucket_name is not None:
        properties["LoggingConfiguration"] = {
            "DestinationBucketName": options.access_log_bucket_name,
            "LogFilePrefix": options.access_log_prefix,
        }
    return _resource("AWS::S3::Bucket", properties, options.deletion_policy)


@functools.cache
def _bucket_policy() -> Resource:
    """Return what is the same for every customer, the names of resources being so."""
    arn = "${Bucket.Arn}"
    statements = [
        *bucket_policy.refuse_weak_transport(arn, minimum_tls_version=MinimumTlsVersion.TLS_1_2.value),
        *bucket_policy.refuse_other_encryption(
            arn,
            encryption=ServerSideEncryption.SSE_KMS,
            key_arn="${Key.Arn}",
            upload_policy=UploadPolicy.RESPECT_DEFAULT,
            customer_provided_keys=CustomerProvidedKeys.BLOCKED,
        ),
    ]
    return {"Bucket": "${Bucket}", "PolicyDocument": _document(statements)}


def _permissions(options: Options) -> Resource:
    here, key, bucket = HERE, "${Key.Arn}", "${Bucket.Arn}"
    statements = [
        *glue.use_bucket(bucket, key, here, temporary=TEMPORARY),
        *glue.encrypt(key, here),
        *glue.read_secret(options.secret_arn, options.secret_key_arn, here),
        *glue.read_code(
            [f"arn:{here.partition}:s3:::{each.removeprefix('s3://')}" for each in options.code_objects],
            options.code_key_arn,
            here,
        ),
        glue.write_logs(_log_groups(options)),
        *glue.reach_database(
            here,
            connection=options.physical_name,
            subnet_id=options.subnet_id,
            security_group_ids=options.security_group_ids,
        ),
        *glue.run(here, job=options.physical_name),
    ]
    # Not inline: a policy of its own waits for the key and the bucket, and rule packs want it so.
    properties = {"PolicyDocument": _document(statements), "Roles": ["${Role}"]}
    return _resource("AWS::IAM::ManagedPolicy", properties)


def _reader(options: Options) -> Resource:
    # Attached by whoever has the readers' roles: they are of other stacks, or of nobody's, as Identity Center's are.
    properties = {
        "Description": f"Reads and decrypts what the Glue job of {options.name} wrote",
        "PolicyDocument": _document(glue.read_output("${Bucket.Arn}", "${Key.Arn}", HERE, output=OUTPUT)),
    }
    return _resource("AWS::IAM::ManagedPolicy", properties)


def security_configuration_name(physical_name: str) -> str:
    """Return the name of a customer's security configuration, which no other content has.

    CloudFormation can't update a security configuration: other content under the same name would fail.
    """
    return f"{physical_name}-{_DIGEST_OF_ENCRYPTION}"


def _security_configuration(options: Options) -> Resource:
    name = security_configuration_name(options.physical_name)
    properties = {"Name": name, "EncryptionConfiguration": _ENCRYPTION_BY_GLUE}
    return _resource("AWS::Glue::SecurityConfiguration", properties)


def _connection(options: Options) -> Resource:
    properties = {
        "CatalogId": HERE.account,
        "ConnectionInput": {
            "ConnectionProperties": {
                "JDBC_CONNECTION_URL": options.jdbc_url,
                # Without it Glue goes on in the clear where TLS fails.
                "JDBC_ENFORCE_SSL": "true",
                "SECRET_ID": options.secret_arn,
            },
            "ConnectionType": "JDBC",
            "Name": options.physical_name,
            "PhysicalConnectionRequirements": {
                "AvailabilityZone": options.availability_zone,
                "SecurityGroupIdList": list(options.security_group_ids),
                "SubnetId": options.subnet_id,
            },
        },
    }
    return _resource("AWS::Glue::Connection", properties)


def _job(options: Options) -> Resource:
    properties = {
        "Command": {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": options.script},
        "Connections": {"Connections": ["${Connection}"]},
        "DefaultArguments": dict(options.arguments),
        "Description": f"Extracts, transforms and encrypts the data of {options.title}",
        # Two runs at a time would take the same rows for new.
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "GlueVersion": options.glue_version,
        "JobRunQueuingEnabled": options.retries == 0,
        "MaxRetries": options.retries,
        "Name": options.physical_name,
        # Whoever may start the job may not turn it to another key, bucket, database or program.
        "NonOverridableArguments": {
            **options.pinned_arguments,
            "--TempDir": f"s3://${{Bucket}}/{TEMPORARY}",
            "--conf": _SPARK,
            "--key-arn": "${Key.Arn}",
            "--output": f"s3://${{Bucket}}/{OUTPUT}",
            # A run may ask for Spark's event log: it stays with the customer.
            "--spark-event-logs-path": f"s3://${{Bucket}}/{TEMPORARY}spark-events/",
            "--state": f"s3://${{Bucket}}/{STATE}",
        },
        "NumberOfWorkers": options.workers,
        "Role": "${Role.Arn}",
        "SecurityConfiguration": "${SecurityConfiguration}",
        "Tags": dict(options.tags),
        "Timeout": options.timeout_minutes,
        "WorkerType": options.worker_type,
    }
    # Nothing in it names the permissions, and a run without them fails.
    return {**_resource("AWS::Glue::Job", properties), "DependsOn": ["Permissions"]}


def _schedule(options: Options, schedule: str) -> Resource:
    properties = {
        "Actions": [{"JobName": "${Job}"}],
        "Name": options.physical_name,
        "Schedule": schedule,
        "StartOnCreation": True,
        "Tags": dict(options.tags),
        "Type": "SCHEDULED",
    }
    return _resource("AWS::Glue::Trigger", properties)


def _failure(options: Options, topic_arn: str) -> Resource:
    # https://docs.aws.amazon.com/glue/latest/dg/automating-awsglue-with-cloudwatch-events.html
    failed = {"jobName": ["${Job}"], "state": ["ERROR", "FAILED", "TIMEOUT"]}
    properties = {
        "Description": f"Tells of runs of the Glue job of {options.name} that failed",
        "EventPattern": {"detail": failed, "detail-type": ["Glue Job State Change"], "source": ["aws.glue"]},
        "State": "ENABLED",
        "Targets": [{"Arn": topic_arn, "Id": "Topic"}],
    }
    return _resource("AWS::Events::Rule", properties)


def _log_groups(options: Options) -> str:
    name = security_configuration_name(options.physical_name)
    return glue.log_groups(HERE, security_configuration=name, role_name="${Role}")


def _document(statements: Sequence[Statement]) -> Resource:
    """Return a policy as the CDK writes it: what is a list of one is that one."""
    plain: list[Statement] = []
    for statement in statements:
        short: dict[str, Any] = {name: _one(value) for name, value in statement.items()}
        if isinstance(short.get("Principal"), Mapping):
            short["Principal"] = {kind: _one(value) for kind, value in short["Principal"].items()}
        plain.append(cast("Statement", short))
    return document(plain)


def _one(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _tags(tags: Mapping[str, str]) -> list[Resource]:
    return [{"Key": name, "Value": tags[name]} for name in sorted(tags)]


def _resource(kind: str, properties: Mapping[str, object], policies: Mapping[str, str] | None = None) -> Resource:
    given = {name: value for name, value in properties.items() if value is not None}
    return {"Type": kind, "Properties": given, **(policies or {})}


def _with_references(value: object) -> object:
    """Put CloudFormation's functions where a text names a resource, or what only the deployment knows."""
    # Not Mapping and Sequence: to ask for these takes longer than all else here.
    if isinstance(value, str):
        return _referred(value) if "${" in value else value
    if isinstance(value, dict):
        return {name: _with_references(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_references(each) for each in value]
    return value


def _referred(text: str) -> object:
    names = _REFERENCE.findall(text)
    if not names:
        return text
    if f"${{{names[0]}}}" == text:
        return _reference(names[0])
    if "${Token[" not in text:
        return {"Fn::Sub": text}
    # The CDK's own tokens look to Fn::Sub as if they were names.
    pieces = _REFERENCE.split(text)
    parts = [_reference(each) if number % 2 else each for number, each in enumerate(pieces)]
    return {"Fn::Join": ["", [each for each in parts if each]]}


def _reference(name: str) -> Resource:
    resource, _, attribute = name.partition(".")
    return {"Fn::GetAtt": [resource, attribute]} if attribute else {"Ref": name}

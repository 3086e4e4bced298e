"""What the pairs of the job rules don't show: their variants, what stays undecided, and the traps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cdk_encrypted_data.proofs.aws_managed_policies import AWS_MANAGED_POLICIES
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.findings import Finding
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Policies, decide
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import PolicyKind
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import job_settings, jobs
from cdk_encrypted_data.proofs.spaces import Prover

ACCOUNT, REGION = "111122223333", "eu-west-1"
Template = dict[str, Any]
Change = Callable[[Template], None]


def arn_of(name: str) -> Template:
    return {"Fn::GetAtt": [name, "Arn"]}


def inside(bucket: str) -> Template:
    return {"Fn::Sub": f"${{{bucket}.Arn}}/*"}


def document(*statements: Template) -> Template:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(*actions: str, on: object, where: object = None) -> Template:
    condition = {} if where is None else {"Condition": where}
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **condition}


ROOT = {**allow("kms:*", on="*"), "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}}
LOGS = {
    **allow(
        *("kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"),
        on="*",
        where={
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": {
                    "Fn::Sub": "arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws-glue/*"
                }
            }
        },
    ),
    "Principal": {"Service": {"Fn::Sub": "logs.${AWS::Region}.amazonaws.com"}},
}
USE = allow("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", on=arn_of("Key"))
LOG = allow(
    *("logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    on={"Fn::Sub": "arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws-glue/*"},
)
OBJECTS = allow("s3:GetObject", "s3:PutObject", on=inside("Data"))
SECRET = allow("secretsmanager:GetSecretValue", on={"Ref": "Secret"})
TRUST = document({"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"})
RIGHT: Template = {
    "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": document(ROOT, LOGS)}},
    "Data": {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn_of("Key")},
                        "BucketKeyEnabled": True,
                    }
                ]
            }
        },
    },
    "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"KmsKeyId": arn_of("Key")}},
    "Security": {
        "Type": "AWS::Glue::SecurityConfiguration",
        "Properties": {
            "Name": "acme",
            "EncryptionConfiguration": {
                "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": arn_of("Key")}],
                "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": arn_of("Key")},
                "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": arn_of("Key")},
            },
        },
    },
    "Database": {
        "Type": "AWS::Glue::Connection",
        "Properties": {
            "CatalogId": {"Ref": "AWS::AccountId"},
            "ConnectionInput": {
                "ConnectionType": "JDBC",
                "ConnectionProperties": {"SECRET_ID": {"Ref": "Secret"}, "JDBC_ENFORCE_SSL": "true"},
            },
        },
    },
    "Role": {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": "etl",
            "AssumeRolePolicyDocument": TRUST,
            "Policies": [{"PolicyName": "Work", "PolicyDocument": document(USE, LOG, OBJECTS, SECRET)}],
        },
    },
    "Job": {
        "Type": "AWS::Glue::Job",
        "Properties": {
            "Role": arn_of("Role"),
            "Command": {"Name": "glueetl", "ScriptLocation": {"Fn::Sub": "s3://${Data}/job.py"}},
            "GlueVersion": "5.0",
            "SecurityConfiguration": {"Ref": "Security"},
            "Connections": {"Connections": [{"Ref": "Database"}]},
            "DefaultArguments": {
                "--TempDir": {"Fn::Sub": "s3://${Data}/temporary/"},
                "--job-bookmark-option": "job-bookmark-enable",
            },
        },
    },
}
CHECKS = (*jobs.CHECKS, *job_settings.CHECKS)


def outcomes(
    *changes: Change, account: str | None = ACCOUNT, region: str | None = REGION, parameters: object = None
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the counterexamples and the doubts, by rule."""
    resources = copy.deepcopy(RIGHT)
    for change in changes:
        change(resources)
    template: Template = {"Resources": resources, "Parameters": parameters or {}}
    stack = StackTemplate(id="Jobs", template=template, account=account, region=region)
    inventory, prover = Inventory(Assembly.of([stack])), Prover()
    found: dict[str, list[str]] = {}
    undecided: dict[str, list[str]] = {}
    for check in CHECKS:
        for one in check(inventory, prover):
            if isinstance(one, Finding):
                found.setdefault(one.rule.id, []).append(one.counterexample)
            else:
                undecided.setdefault(one.rule.id, []).append(one.reason)
    return found, undecided


def put(value: object, *path: str | int) -> Change:
    def change(resources: Template) -> None:
        place: Any = resources
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def without(*path: str | int) -> Change:
    def change(resources: Template) -> None:
        place: Any = resources
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


def job(name: str, value: object) -> Change:
    return put(value, "Job", "Properties", name)


def argument(name: str, value: object, among: str = "DefaultArguments") -> Change:
    def change(resources: Template) -> None:
        resources["Job"]["Properties"].setdefault(among, {})[name] = value

    return change


def role(*statements: Template) -> Change:
    return put(document(*statements), "Role", "Properties", "Policies", 0, "PolicyDocument")


def encryption(name: str) -> tuple[str, ...]:
    return ("Security", "Properties", "EncryptionConfiguration", name)


def test_a_job_that_is_right_is_right() -> None:
    assert outcomes() == ({}, {})
    assert outcomes(account=None, region=None) == ({}, {})


def test_a_role_may_be_named() -> None:
    assert outcomes(job("Role", {"Ref": "Role"})) == ({}, {})
    found, _ = outcomes(job("Role", "etl"), role(LOG, OBJECTS, SECRET))
    assert set(found) == {"job-key-unusable", "job-cannot-read-script", "job-cannot-read-secret"}


@pytest.mark.parametrize(("account", "fires"), [(ACCOUNT, False), ("444455556666", True)])
def test_the_role_is_for_jobs_of_this_account(account: str, fires: bool) -> None:  # noqa: FBT001
    statement = {**TRUST["Statement"][0], "Condition": {"StringEquals": {"aws:SourceAccount": account}}}
    found, _ = outcomes(put(document(statement), "Role", "Properties", "AssumeRolePolicyDocument"))
    assert set(found) == ({"job-role-not-assumable"} if fires else set())


def test_a_managed_policy_of_aws_lacks_what_encrypted_logs_take() -> None:
    managed = put(
        ["arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"], "Role", "Properties", "ManagedPolicyArns"
    )
    found, undecided = outcomes(managed, role(USE, OBJECTS, SECRET))
    assert set(found) == {"job-logs-not-associated"}
    assert undecided == {}
    assert outcomes(managed, role(USE, OBJECTS, SECRET, allow("logs:AssociateKmsKey", on="*"))) == ({}, {})


# Logs.


def group(name: str) -> Template:
    return allow(
        *("logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        on=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}",
    )


@pytest.mark.parametrize(
    ("changes", "right", "wrong"),
    [
        ([], "/aws-glue/jobs/acme-role/etl/*", "/aws-glue/jobs/acme-role/other/*"),
        ([argument("--custom-logGroup-prefix", "/etl")], "/etl/acme-role/etl/*", "/aws-glue/jobs/*"),
        (
            [job("GlueVersion", "4.0"), argument("--enable-continuous-cloudwatch-log", "true")],
            "/aws-glue/jobs/logs-v2-acme:*",
            "/aws-glue/jobs/logs-v2:*",
        ),
        (
            [
                job("GlueVersion", "4.0"),
                argument("--enable-continuous-cloudwatch-log", "true"),
                argument("--continuous-log-logGroup", "/etl"),
            ],
            "/etl-acme:*",
            "/etl:*",
        ),
    ],
)
def test_glue_derives_the_names_of_encrypted_log_groups(changes: list[Change], right: str, wrong: str) -> None:
    key = put(document(ROOT, {**LOGS, "Condition": {}}), "Key", "Properties", "KeyPolicy")
    assert outcomes(*changes, key, role(USE, OBJECTS, SECRET, group(right))) == ({}, {})
    found, _ = outcomes(*changes, key, role(USE, OBJECTS, SECRET, group(wrong)))
    assert set(found) == {"job-logs-not-associated"}


def test_under_glue_4_only_continuous_logs_have_names_that_are_certain() -> None:
    assert outcomes(job("GlueVersion", "4.0"), role(USE, OBJECTS, SECRET)) == ({}, {})


def test_a_group_that_exists_needs_no_creating() -> None:
    allowed = [*LOG["Action"]]
    allowed.remove("logs:CreateLogGroup")
    less = role(USE, OBJECTS, SECRET, {**LOG, "Action": allowed})
    assert set(outcomes(less)[0]) == {"job-logs-not-associated"}
    groups = [
        put(
            {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"/aws-glue/jobs/acme-role/etl/{kind}"}},
            f"Group{kind}",
        )
        for kind in ("error", "output")
    ]
    assert outcomes(less, *groups) == ({}, {})


def test_the_logs_of_python_shells_are_undecided() -> None:
    found, undecided = outcomes(put("pythonshell", "Job", "Properties", "Command", "Name"))
    assert found == {}
    assert set(undecided) == {"job-key-unusable", "job-logs-not-associated"}


@pytest.mark.parametrize("account", [ACCOUNT, None])
def test_a_policy_for_one_region_is_undecided_in_a_stack_for_any(account: str | None) -> None:
    literal = {**LOGS, "Principal": {"Service": f"logs.{REGION}.amazonaws.com"}, "Condition": {}}
    policy = put(document(ROOT, literal), "Key", "Properties", "KeyPolicy")
    found, undecided = outcomes(policy, account=account, region=None)
    assert found == {}
    assert set(undecided) == {"job-key-unusable"}
    assert outcomes(policy) == ({}, {})
    assert set(outcomes(policy, region="us-west-2")[0]) == {"job-key-unusable"}


# Keys.


def test_bookmarks_may_be_encrypted_by_glue_or_by_the_job() -> None:
    through = {"StringEquals": {"kms:ViaService": f"glue.{REGION}.amazonaws.com"}}
    reads = allow("kms:Decrypt", "kms:GenerateDataKey", on=arn_of("Key"))
    assert outcomes(role(LOG, OBJECTS, SECRET, reads, allow("kms:Encrypt", on=arn_of("Key"), where=through))) == (
        {},
        {},
    )
    through["StringEquals"]["kms:ViaService"] = f"s3.{REGION}.amazonaws.com"
    found, _ = outcomes(role(LOG, OBJECTS, SECRET, reads, allow("kms:Encrypt", on=arn_of("Key"), where=through)))
    assert set(found) == {"job-key-unusable"}


@pytest.mark.parametrize(
    ("bucket_key", "context", "fits"),
    [
        (True, {"Fn::Sub": "${Data.Arn}"}, True),
        (True, {"Fn::Sub": "${Data.Arn}/*"}, False),
        (False, {"Fn::Sub": "${Data.Arn}/*"}, True),
        (False, {"Fn::Sub": "${Data.Arn}"}, False),
    ],
)
def test_the_context_is_the_buckets_or_the_objects(bucket_key: bool, context: object, fits: bool) -> None:  # noqa: FBT001
    place = ("Data", "Properties", "BucketEncryption", "ServerSideEncryptionConfiguration", 0, "BucketKeyEnabled")
    where = {"StringLike": {"kms:EncryptionContext:aws:s3:arn": context}}
    use = allow("kms:Decrypt", "kms:GenerateDataKey", on=arn_of("Key"), where=where)
    others = allow("kms:Decrypt", "kms:Encrypt", on=arn_of("Key"), where={"Null": {"kms:ViaService": "true"}})
    secret = allow(
        "kms:Decrypt",
        on=arn_of("Key"),
        where={"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}},
    )
    found, _ = outcomes(put(bucket_key, *place), role(LOG, OBJECTS, SECRET, use, others, secret))
    assert set(found) == (set() if fits else {"job-key-unusable", "job-cannot-read-script"})


def test_a_key_elsewhere_is_undecided_where_it_matters() -> None:
    external = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
    found, undecided = outcomes(put(external, *encryption("S3Encryptions"), 0, "KmsKeyArn"))
    assert found == {}
    assert set(undecided) == {"job-key-unusable"}


@pytest.mark.parametrize(
    ("change", "fires"),
    [
        (put("arn:aws:kms:us-east-1:111122223333:key/1234", *encryption("S3Encryptions"), 0, "KmsKeyArn"), True),
        (put("SSE-C", *encryption("S3Encryptions"), 0, "S3EncryptionMode"), True),
        (without(*encryption("S3Encryptions"), 0, "KmsKeyArn"), True),
        (put([], *encryption("S3Encryptions")), True),
        (without("Security", "Properties", "EncryptionConfiguration"), True),
        (put(False, "Key", "Properties", "Enabled"), True),
        (put("true", "Key", "Properties", "Enabled"), False),
        (put("SYMMETRIC_DEFAULT", "Key", "Properties", "KeySpec"), False),
        (put("HMAC_256", "Key", "Properties", "KeySpec"), True),
        # The element alone, without its list.
        (
            put({"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": arn_of("Key")}, *encryption("S3Encryptions")),
            False,
        ),
    ],
)
def test_what_encrypts(change: Change, fires: bool) -> None:  # noqa: FBT001
    assert ("job-encryption-off" in outcomes(change)[0]) == fires


def test_bookmarks_that_are_never_kept_need_no_key() -> None:
    off = without(*encryption("JobBookmarksEncryption"))
    assert set(outcomes(off)[0]) == {"job-encryption-off"}
    assert set(outcomes(off, argument("--job-bookmark-option", "job-bookmark-disable"))[0]) == {"job-bookmarks-plain"}
    pinned = argument("--job-bookmark-option", "job-bookmark-disable", among="NonOverridableArguments")
    assert outcomes(off, pinned) == ({}, {})


def test_a_configuration_that_no_job_uses_may_be_a_crawlers() -> None:
    only_logs = {
        "CloudWatchEncryption": RIGHT["Security"]["Properties"]["EncryptionConfiguration"]["CloudWatchEncryption"]
    }
    other = {
        "Type": "AWS::Glue::SecurityConfiguration",
        "Properties": {"Name": "c", "EncryptionConfiguration": only_logs},
    }
    assert outcomes(put(other, "Other")) == ({}, {})


# Buckets and secrets.


def test_uploads_may_say_nothing_or_name_the_configurations_key() -> None:
    def refusing(operator: str, value: object) -> Change:
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": inside("Data"),
            "Condition": {operator: {"s3:x-amz-server-side-encryption-aws-kms-key-id": value}},
        }
        properties = {"Bucket": {"Ref": "Data"}, "PolicyDocument": document(statement)}
        return put({"Type": "AWS::S3::BucketPolicy", "Properties": properties}, "Policy")

    assert outcomes(refusing("StringNotEquals", arn_of("Key"))) == ({}, {})
    assert outcomes(refusing("Null", "false")) == ({}, {})
    found, _ = outcomes(refusing("StringNotEquals", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/other"))
    assert set(found) == {"job-cannot-write"}


def test_the_shuffle_is_written_too_once_it_is_on() -> None:
    elsewhere = put({"Type": "AWS::S3::Bucket"}, "Shuffle")
    conf = argument("--conf", {"Fn::Sub": "spark.a=b --conf spark.shuffle.glue.s3ShuffleBucket=s3://${Shuffle}"})
    assert outcomes(elsewhere, conf) == ({}, {})
    # Any value turns it on.
    found, _ = outcomes(elsewhere, conf, argument("--write-shuffle-files-to-s3", "false"))
    assert set(found) == {"job-cannot-write"}


def test_event_logs_are_written_once_they_are_on() -> None:
    elsewhere = put({"Type": "AWS::S3::Bucket"}, "Events")
    path = argument("--spark-event-logs-path", {"Fn::Sub": "s3://${Events}/"})
    assert outcomes(elsewhere, path) == ({}, {})
    assert set(outcomes(elsewhere, path, argument("--enable-spark-ui", "true"))[0]) == {"job-cannot-write"}


def test_buckets_and_secrets_that_nobody_here_knows_are_nobodys_findings() -> None:
    script = put("s3://elsewhere/job.py", "Job", "Properties", "Command", "ScriptLocation")
    secret = put("elsewhere", "Database", "Properties", "ConnectionInput", "ConnectionProperties", "SECRET_ID")
    assert outcomes(script, secret, argument("--TempDir", "s3://elsewhere/"), role(USE, LOG)) == ({}, {})


def test_a_secret_may_be_named_and_its_own_policy_counts() -> None:
    named = [
        put("orders", "Secret", "Properties", "Name"),
        put("orders", "Database", "Properties", "ConnectionInput", "ConnectionProperties", "SECRET_ID"),
    ]
    found, _ = outcomes(*named, role(USE, LOG, OBJECTS))
    assert set(found) == {"job-cannot-read-secret"}
    statement = {**allow("secretsmanager:GetSecretValue", on="*"), "Principal": {"AWS": arn_of("Role")}}
    policy = {"SecretId": {"Ref": "Secret"}, "ResourcePolicy": document(statement)}
    resource = {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": policy}
    assert outcomes(*named, role(USE, LOG, OBJECTS), put(resource, "SecretPolicy")) == ({}, {})


# Undecided, and odd.


def test_what_cannot_be_known_is_said_so() -> None:
    unknown = {"Fn::GetAtt": ["Custom", "Value"]}
    custom = put({"Type": "Custom::Thing", "Properties": {"ServiceToken": "x"}}, "Custom")
    found, undecided = outcomes(custom, job("Role", unknown))
    assert found == {}
    assert {"job-role-not-assumable", "job-key-unusable", "job-logs-not-associated"} <= set(undecided)
    found, undecided = outcomes(custom, job("SecurityConfiguration", unknown))
    assert (found, set(undecided)) == ({}, {"job-encryption-off"})
    found, undecided = outcomes(custom, put(unknown, *encryption("S3Encryptions"), 0, "S3EncryptionMode"))
    assert (found, set(undecided)) == ({}, {"job-encryption-off"})
    found, undecided = outcomes(custom, argument("--TempDir", unknown))
    assert (found, set(undecided)) == ({}, {"job-cannot-write"})
    found, undecided = outcomes(custom, put(unknown, "Job", "Properties", "Command", "ScriptLocation"))
    assert (found, set(undecided)) == ({}, {"job-cannot-read-script"})
    found, undecided = outcomes(custom, argument("--db-password", unknown))
    assert (found, set(undecided)) == ({}, {"job-secret-in-arguments"})


def test_a_role_or_configuration_from_elsewhere_is_undecided() -> None:
    found, undecided = outcomes(job("Role", f"arn:aws:iam::{ACCOUNT}:role/elsewhere"))
    assert found == {}
    assert "job-role-not-assumable" in undecided
    found, undecided = outcomes(job("SecurityConfiguration", "elsewhere"))
    assert (found, set(undecided)) == ({}, {"job-encryption-off"})


@pytest.mark.parametrize("odd", [None, [], {}, "text", 7, [[]], [{"a": 1}], {"Ref": "Nothing"}])
@pytest.mark.parametrize(
    "path",
    [
        ("Job", "Properties"),
        *(("Job", "Properties", name) for name in RIGHT["Job"]["Properties"]),
        ("Job", "Properties", "Connections", "Connections"),
        ("Security", "Properties", "EncryptionConfiguration"),
        encryption("S3Encryptions"),
        (*encryption("S3Encryptions"), 0),
        encryption("CloudWatchEncryption"),
        ("Database", "Properties", "ConnectionInput"),
        ("Database", "Properties", "ConnectionInput", "ConnectionProperties"),
        ("Secret", "Properties", "KmsKeyId"),
        ("Role", "Properties", "AssumeRolePolicyDocument"),
    ],
    ids=lambda path: "-".join(map(str, path)),
)
def test_nothing_crashes_on_odd_properties(path: tuple[str | int, ...], odd: object) -> None:
    outcomes(put(odd, *path))


# In the clear.


@pytest.mark.parametrize(
    ("name", "value", "fires"),
    [
        ("--password", "correct horse", True),
        ("--db_password", "correct horse", True),
        ("--dbPassword", "correct horse", True),
        ("--secret-access-key", "wJalrXUtnFEMI", True),
        ("--api-key", "a1b2c3d4", True),
        ("--auth-token", "a1b2c3d4", True),
        ("--client-secret", "a1b2c3d4", True),
        ("--password", {"Ref": "Given"}, False),
        ("--password", "{{resolve:secretsmanager:orders:SecretString:password}}", False),
        ("--password", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:orders-AbCdEf", False),
        ("--password", "/parameters/orders", False),
        ("--client-secret", "orders/client", False),
        ("--password-secret", "orders", False),
        ("--secret-id", "orders", False),
        ("--max-tokens", "512", False),
        ("--use-password", "true", False),
        ("--bypass", "yes", False),
        ("--partition-key", "customer", False),
        ("--key", "customer", False),
        ("--token", "x", False),
    ],
)
def test_passwords_among_arguments(name: str, value: object, fires: bool) -> None:  # noqa: FBT001
    parameters = {"Given": {"Type": "String", "NoEcho": True}}
    found, _ = outcomes(argument(name, value), parameters=parameters)
    assert set(found) == ({"job-secret-in-arguments"} if fires else set())
    assert all("correct" not in words for words in found.get("job-secret-in-arguments", []))


@pytest.mark.parametrize(
    ("kind", "properties", "fires"),
    [
        ("JDBC", {"JDBC_ENFORCE_SSL": True}, False),
        ("JDBC", {}, True),
        ("JDBC", {"JDBC_CONNECTION_URL": "jdbc:mysql://db:3306/x?sslMode=VERIFY_IDENTITY"}, False),
        ("JDBC", {"JDBC_CONNECTION_URL": "jdbc:mysql://db:3306/x?useSSL=true"}, True),
        ("JDBC", {"JDBC_CONNECTION_URL": "jdbc:sqlserver://db:1433;encrypt=true"}, False),
        ("JDBC", {"JDBC_CONNECTION_URL": "jdbc:sqlserver://db:1433;encrypt=true;trustServerCertificate=true"}, True),
        ("JDBC", {"JDBC_CONNECTION_URL": "jdbc:oracle:thin:@tcps://db:2484/x"}, False),
        ("JDBC", {"JDBC_CONNECTION_URL": "jdbc:oracle:thin://@db:1521/x"}, True),
        ("KAFKA", {"KAFKA_SSL_ENABLED": "false"}, True),
        ("KAFKA", {}, False),
        ("NETWORK", {}, False),
        ("MONGODB", {}, False),
    ],
)
def test_connections(kind: str, properties: Mapping[str, object], fires: bool) -> None:  # noqa: FBT001
    place = ("Database", "Properties", "ConnectionInput")
    found, _ = outcomes(put(kind, *place, "ConnectionType"), put(properties, *place, "ConnectionProperties"))
    assert set(found) == ({"job-connection-plain"} if fires else set())


@pytest.mark.parametrize(
    ("version", "kind", "rule"),
    [
        ("6.0", "glueetl", None),
        ("3.0", "gluestreaming", None),
        ("2.0", "glueetl", "job-version-old"),
        (0.9, "glueetl", "job-version-old"),
        ("1.0", "pythonshell", None),
        (None, "pythonshell", None),
        (None, "glueetl", "job-version-missing"),
    ],
)
def test_versions(version: object, kind: str, rule: str | None) -> None:
    found, _ = outcomes(job("GlueVersion", version), put(kind, "Job", "Properties", "Command", "Name"))
    assert {one for one in found if one.startswith("job-version")} == ({rule} if rule else set())


# AWS's own policies.

REQUESTS = {
    "AWSKeyManagementServicePowerUser": ("kms:CreateAlias", "arn:aws:kms:eu-west-1:111122223333:alias/x"),
    "AWSXRayDaemonWriteAccess": ("xray:PutTraceSegments", "*"),
    "AdministratorAccess": ("s3:DeleteBucket", "arn:aws:s3:::x"),
    "AmazonEC2ContainerRegistryReadOnly": ("ecr:BatchGetImage", "*"),
    "AmazonS3FullAccess": ("s3:PutObject", "arn:aws:s3:::x/y"),
    "AmazonS3ReadOnlyAccess": ("s3:GetObject", "arn:aws:s3:::x/y"),
    "AmazonSQSFullAccess": ("sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:x"),
    "AmazonSSMManagedInstanceCore": ("ssm:GetParameter", "*"),
    "CloudWatchAgentServerPolicy": ("logs:PutLogEvents", "*"),
    "CloudWatchLambdaInsightsExecutionRolePolicy": ("logs:CreateLogGroup", "*"),
    "CloudWatchLogsFullAccess": ("logs:AssociateKmsKey", "*"),
    "IAMFullAccess": ("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/x"),
    "PowerUserAccess": ("s3:GetObject", "arn:aws:s3:::x/y"),
    "SecretsManagerReadWrite": (
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-AbCdEf",
    ),
    "service-role/AWSGlueServiceRole": (
        "logs:PutLogEvents",
        "arn:aws:logs:eu-west-1:111122223333:log-group:/aws-glue/jobs/error:log-stream:x",
    ),
    "service-role/AWSLambdaBasicExecutionRole": ("logs:PutLogEvents", "*"),
    "service-role/AWSLambdaDynamoDBExecutionRole": ("dynamodb:GetRecords", "*"),
    "service-role/AWSLambdaKinesisExecutionRole": ("kinesis:GetRecords", "*"),
    "service-role/AWSLambdaRole": ("lambda:InvokeFunction", "*"),
    "service-role/AWSLambdaSQSQueueExecutionRole": ("sqs:ReceiveMessage", "*"),
    "service-role/AWSLambdaVPCAccessExecutionRole": ("ec2:CreateNetworkInterface", "*"),
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs": ("logs:FilterLogEvents", "*"),
    "service-role/AmazonECSTaskExecutionRolePolicy": ("ecr:GetAuthorizationToken", "*"),
    "service-role/AmazonS3ObjectLambdaExecutionRolePolicy": ("s3-object-lambda:WriteGetObjectResponse", "*"),
}
READERS = {"AdministratorAccess", "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess", "PowerUserAccess"}


def asked(name: str, action: str, resource: str) -> bool:
    policy = compile_policy(AWS_MANAGED_POLICIES[name], PolicyKind.IDENTITY)
    who = principals.principal("arn:aws:iam::111122223333:role/x")
    request = Request(who, action, resource, "111122223333")
    return decide(request, Policies(identity=(policy,))).allowed


@pytest.mark.parametrize("name", AWS_MANAGED_POLICIES)
def test_a_managed_policy_of_aws_allows_what_it_is_for(name: str) -> None:
    assert set(REQUESTS) == set(AWS_MANAGED_POLICIES)
    assert asked(name, *REQUESTS[name])
    assert asked(name, "s3:GetObject", "arn:aws:s3:::data/report") == (name in READERS)
    assert asked(name, "iam:CreateUser", "arn:aws:iam::111122223333:user/x") == (
        name in ("AdministratorAccess", "IAMFullAccess")
    )

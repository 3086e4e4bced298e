"""Keys beside what the pairs show: our own key's statements one by one, traps, what isn't known, several stacks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from cdk_encrypted_data import CustomerManagedKey, EncryptedBucket
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.rules import key_contexts, key_separation, key_services, key_settings, keys
from cdk_encrypted_data.proofs.spaces import Prover
from tests.synthesis import new_stack, template

ACCOUNT, OTHER_ACCOUNT, REGION = "111122223333", "444455556666", "eu-central-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
CHECKS = tuple(
    check for area in (keys, key_separation, key_services, key_settings, key_contexts) for check in area.CHECKS
)

Json = dict[str, Any]


def stack(
    resources: Json, *, name: str | None = "Test", account: str | None = ACCOUNT, region: str | None = REGION
) -> StackTemplate:
    return StackTemplate(id=str(name), name=name, template={"Resources": resources}, account=account, region=region)


def outcomes(*stacks: StackTemplate) -> tuple[set[str], set[str]]:
    """Return the ids of the rules that found something, and of those that are undecided."""
    inventory, prover = Inventory(Assembly.of(stacks)), Prover()
    ended = [one for check in CHECKS for one in check(inventory, prover)]
    found = {one.rule.id for one in ended if hasattr(one, "counterexample")}
    return found, {one.rule.id for one in ended if hasattr(one, "reason")}


def found_in(*stacks: StackTemplate) -> set[str]:
    found, undecided = outcomes(*stacks)
    assert undecided == set()
    return found


def besides_notes(*stacks: StackTemplate) -> set[str]:
    """Leave out the notes that most hand-made policies deserve, and that the test isn't about."""
    return found_in(*stacks) - {"key-administration-incomplete", "key-administration-partial", "key-open-in-account"}


def key(*statements: Json, kind: str = "Key", **properties: object) -> Json:
    said = [
        {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*", **one} for one in statements
    ]
    policy = {"KeyPolicy": {"Version": "2012-10-17", "Statement": said}} if said else {}
    rotation = {"EnableKeyRotation": True} if kind == "Key" else {}
    stays = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {"Type": f"AWS::KMS::{kind}", **stays, "Properties": {**policy, **rotation, **properties}}


def bucket(reference: object, *, algorithm: str = "aws:kms", bucket_key: bool = True, **properties: object) -> Json:
    default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": reference}
    rules = [{"BucketKeyEnabled": bucket_key, "ServerSideEncryptionByDefault": default}]
    encryption = {"BucketEncryption": {"ServerSideEncryptionConfiguration": rules}}
    return {"Type": "AWS::S3::Bucket", "Properties": {**encryption, **properties}}


ARN = {"Fn::GetAtt": ["Key", "Arn"]}
NO_GRANTS: Json = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "kms:CreateGrant",
    "Condition": {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}},
}


# Our own key.

ADMINISTRATOR, USER = f"arn:aws:iam::{ACCOUNT}:role/key-administrator", f"arn:aws:iam::{ACCOUNT}:role/application"


def ours(*, administrators: bool, users: bool) -> Json:
    made = new_stack(account=ACCOUNT, region=REGION)
    own = CustomerManagedKey(
        made,
        "Key",
        administrators=[iam.ArnPrincipal(ADMINISTRATOR)] if administrators else [],
        users=[iam.ArnPrincipal(USER)] if users else [],
        bucket_arns=["arn:aws:s3:::acme-data"],
    )
    own.allow_cloudwatch_logs(log_group_name="/acme/*")
    logs.LogGroup(made, "Logs", log_group_name="/acme/orders", encryption_key=own.key)
    EncryptedBucket(made, "Data", key=own, bucket_name="acme-data")
    resources: Json = template(made)["Resources"]
    return resources


def statements(resources: Json) -> list[Json]:
    (one,) = (each for each in resources.values() if each["Type"] == "AWS::KMS::Key")
    found: list[Json] = one["Properties"]["KeyPolicy"]["Statement"]
    return found


@pytest.fixture(scope="module")
def our_keys() -> dict[str, Json]:
    return {
        "default": ours(administrators=False, users=False),
        "administrators": ours(administrators=True, users=False),
        "users": ours(administrators=False, users=True),
        "both": ours(administrators=True, users=True),
    }


def test_our_own_keys_have_no_finding(our_keys: dict[str, Json]) -> None:
    for resources in our_keys.values():
        assert found_in(stack(resources)) == set()


@pytest.mark.parametrize(
    ("shape", "sid", "fires"),
    [
        ("default", "AccountAdministersKey", "key-lockout"),
        ("default", "AccountUsesKeyThroughS3", "key-without-users"),
        ("administrators", "AccountRecoversKey", "key-without-recovery"),
        ("administrators", "AdministratorsAdministerKey", "key-not-administrable"),
        ("administrators", "AdministratorsCannotUseKey", "key-administrator-uses"),
        ("users", "UsersUseKeyThroughS3", "key-without-users"),
        ("users", "UsersCannotAdministerKey", "key-user-administers"),
        ("both", "UsersCannotAdministerKey", "key-user-administers"),
        ("default", None, "key-service-refused"),
    ],
)
def test_each_statement_of_our_key_is_needed(
    our_keys: dict[str, Json], shape: str, sid: str | None, fires: str
) -> None:
    resources = copy.deepcopy(our_keys[shape])
    kept = statements(resources)
    kept[:] = [one for one in kept if one.get("Sid") != sid]
    assert besides_notes(stack(resources)) == {fires}


@pytest.mark.parametrize(
    ("shape", "sid", "condition", "fires"),
    [
        ("default", "AccountUsesKeyThroughS3", "kms:ViaService", "key-used-directly"),
        ("users", "UsersUseKeyThroughS3", "kms:ViaService", "key-used-directly"),
        ("both", "UsersUseKeyThroughS3", "kms:EncryptionContext:aws:s3:arn", "key-not-bound-to-bucket"),
        ("default", None, "kms:EncryptionContext:aws:logs:arn", "key-service-without-source"),
    ],
)
def test_each_condition_of_our_key_is_needed(
    our_keys: dict[str, Json], shape: str, sid: str | None, condition: str, fires: str
) -> None:
    resources = copy.deepcopy(our_keys[shape])
    for one in statements(resources):
        if one.get("Sid") == sid:
            for operator in one["Condition"].values():
                operator.pop(condition, None)
            one["Condition"] = {operator: block for operator, block in one["Condition"].items() if block}
    assert found_in(stack(resources)) == {fires}


def test_the_refusal_of_grants_holds_against_a_statement_that_allows_them(our_keys: dict[str, Json]) -> None:
    resources = copy.deepcopy(our_keys["default"])
    allowed = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:CreateGrant", "Resource": "*"}
    statements(resources).append(allowed)
    assert found_in(stack(resources)) == set()
    statements(resources)[:] = [one for one in statements(resources) if one.get("Effect") == "Allow"]
    assert found_in(stack(resources)) == {"key-grants-to-people"}


def test_direct_use_for_other_data_is_none_of_the_buckets() -> None:
    """A data key of S3 opens only with S3's own encryption context."""
    refused: Json = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt"}
    refused["Condition"] = {
        "Null": {"kms:ViaService": "true", "kms:EncryptionContext:aws:s3:arn": "false"},
    }
    assert found_in(stack({"Key": key({}, NO_GRANTS), "Data": bucket(ARN)})) == {"key-used-directly"}
    assert found_in(stack({"Key": key({}, refused, NO_GRANTS), "Data": bucket(ARN)})) == set()


# Administering.


def test_a_key_without_a_policy_gets_that_of_kms() -> None:
    assert found_in(stack({"Key": key()})) == {"key-grants-to-people"}


@pytest.mark.parametrize(
    "condition",
    [
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/admin-*"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"StringEquals": {"aws:PrincipalTag/team": "keys"}},
        {"StringEquals": {"kms:CallerAccount": ACCOUNT}},
    ],
)
def test_who_meets_the_condition_administers(condition: Json) -> None:
    assert found_in(stack({"Key": key({"Condition": condition}, NO_GRANTS)})) == set()


def test_nobody_meets_the_condition() -> None:
    condition = {"StringEquals": {"kms:CallerAccount": OTHER_ACCOUNT}}
    assert found_in(stack({"Key": key({"Condition": condition})})) == {"key-lockout"}


def test_a_role_of_the_templates_administers_without_iam_policies() -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}}
    named = key({"Principal": {"AWS": {"Fn::GetAtt": ["Role", "Arn"]}}}, NO_GRANTS)
    assert found_in(stack({"Role": role, "Key": named})) == {"key-without-recovery"}


def test_whose_account_it_is_may_not_be_known() -> None:
    resources = {"Key": key({"Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}}, NO_GRANTS)}
    assert found_in(stack(resources)) == {"key-lockout"}
    assert outcomes(stack(resources, account=None)) == (set(), {"key-lockout"})


def test_what_is_undecided_is_said_so() -> None:
    resources = {"Key": key({"Action": {"Fn::ImportValue": "elsewhere"}}, NO_GRANTS)}
    found, undecided = outcomes(stack(resources))
    assert found == set()
    assert "key-lockout" in undecided


def test_a_replica_and_an_asymmetric_key_need_no_rotation() -> None:
    action = ["kms:Put*", "kms:Describe*", "kms:GetKeyPolicy", "kms:List*", "kms:*Tag*", "kms:UpdateKeyDescription"]
    action += ["kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:DisableKey", "kms:EnableKey"]
    asymmetric = key({"Action": action}, KeySpec="RSA_2048", EnableKeyRotation=False)
    assert besides_notes(stack({"Key": asymmetric})) == set()
    assert besides_notes(stack({"Key": key({"Action": action})})) == {"key-not-administrable"}


# Strangers and services.


@pytest.mark.parametrize(
    ("condition", "is_open"),
    [
        ({}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, False),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}, False),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, False),
        ({"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}, False),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}, False),
        ({"StringEquals": {"aws:PrincipalTag/team": "keys"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::acme-data"}}, True),
        ({"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/deployer"}}, True),
    ],
)
def test_who_is_a_stranger(condition: Json, *, is_open: bool) -> None:
    everybody = {"Principal": "*", "Action": "kms:Decrypt", "Condition": condition}
    found = besides_notes(stack({"Key": key({}, everybody, NO_GRANTS)}))
    assert found == ({"key-open-to-strangers"} if is_open else set())


def test_a_named_account_is_no_stranger() -> None:
    named = {"Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}, "Action": "kms:Decrypt"}
    assert found_in(stack({"Key": key({}, named, NO_GRANTS)})) == set()


LOGS_OF_THE_ACCOUNT = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:*:{ACCOUNT}:log-group:*"}}


@pytest.mark.parametrize(
    ("service", "condition", "is_tied"),
    [
        ("cloudfront.amazonaws.com", {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, True),
        ("cloudfront.amazonaws.com", {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}, False),
        ("cloudfront.amazonaws.com", {"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}, True),
        (
            "logs.eu-central-1.amazonaws.com",
            LOGS_OF_THE_ACCOUNT,
            True,
        ),
        ("logs.eu-central-1.amazonaws.com", {}, False),
        # EventBridge says no source when it sends to encrypted topics.
        ("events.amazonaws.com", {}, True),
    ],
)
def test_what_ties_a_service(service: str, condition: Json, *, is_tied: bool) -> None:
    named = {"Principal": {"Service": service}, "Action": "kms:Decrypt", "Condition": condition}
    if "EncryptionContext" in str(condition):
        named["Condition"] = {
            "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:*:{ACCOUNT}:log-group:*"}
        }
    found = found_in(stack({"Key": key({}, named, NO_GRANTS)}))
    assert found == (set() if is_tied else {"key-service-without-source"})


# Separation.

ADMINISTERS = {"Principal": {"AWS": ADMINISTRATOR}, "Action": ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]}
USES = {"Principal": {"AWS": USER}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"]}


def test_naming_a_user_beside_the_whole_account_declares_no_separation() -> None:
    assert found_in(stack({"Key": key({}, USES, NO_GRANTS)})) == set()


def test_naming_both_declares_it() -> None:
    separated = {"Key": key({}, ADMINISTERS, USES, NO_GRANTS)}
    assert besides_notes(stack(separated)) == {"key-administrator-uses", "key-user-administers"}


def test_who_is_named_as_both_is_meant_so() -> None:
    assert (
        besides_notes(stack({"Key": key({}, ADMINISTERS, {**USES, "Principal": {"AWS": ADMINISTRATOR}}, NO_GRANTS)}))
        == set()
    )


def test_a_role_of_the_templates_has_the_policies_that_it_has() -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "key-administrator", "Policies": []}}
    resources = {"Role": role, "Key": key({}, ADMINISTERS, NO_GRANTS)}
    assert besides_notes(stack(resources)) == set()
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
    role["Properties"] = {"RoleName": "key-administrator", "Policies": [{"PolicyDocument": everything}]}
    assert besides_notes(stack(resources)) == {"key-administrator-uses"}


# Services that must.


def encrypted_group(**properties: object) -> Json:
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"KmsKeyId": ARN, **properties}}


def for_logs(pattern: str, region: str = REGION) -> Json:
    return {
        "Principal": {"Service": f"logs.{region}.amazonaws.com"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:{pattern}"}},
    }


@pytest.mark.parametrize(
    ("statement", "works"),
    [
        (for_logs("log-group:/acme/*"), True),
        (for_logs("*"), True),
        (for_logs("log-group:/other/*"), False),
        (for_logs("*", region="us-east-1"), False),
        ({**for_logs("*"), "Principal": {"Service": "logs.amazonaws.com"}}, False),
        ({**for_logs("*"), "Action": ["kms:Decrypt", "kms:GenerateDataKey"]}, False),
    ],
)
def test_log_groups(statement: Json, *, works: bool) -> None:
    resources = {"Key": key({}, statement, NO_GRANTS), "Group": encrypted_group(LogGroupName="/acme/orders")}
    assert found_in(stack(resources)) == (set() if works else {"key-service-refused"})


def test_a_name_that_hangs_on_the_stacks() -> None:
    resources = {"Key": key({}, for_logs("log-group:Orders-*"), NO_GRANTS), "Group": encrypted_group()}
    assert found_in(stack(resources, name="Orders")) == set()
    assert found_in(stack(resources, name="Payments")) == {"key-service-refused"}
    assert outcomes(stack(resources, name=None)) == (set(), {"key-service-refused"})


def test_a_region_that_nobody_said() -> None:
    resources = {"Key": key({}, for_logs("*"), NO_GRANTS), "Group": encrypted_group(LogGroupName="/acme/orders")}
    assert outcomes(stack(resources, region=None)) == (set(), {"key-service-refused"})


def test_the_l2s_notifications_are_a_custom_resource() -> None:
    configuration = {
        "QueueConfigurations": [{"Events": ["s3:ObjectCreated:*"], "QueueArn": {"Fn::GetAtt": ["Queue", "Arn"]}}]
    }
    notifications = {"BucketName": {"Ref": "Data"}, "NotificationConfiguration": configuration}
    resources = {
        "Key": key({}, NO_GRANTS),
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": ARN}},
        "Data": {"Type": "AWS::S3::Bucket"},
        "Notifications": {"Type": "Custom::S3BucketNotifications", "Properties": notifications},
    }
    assert found_in(stack(resources)) == {"key-service-refused"}
    source = {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Data", "Arn"]}}}
    allowed = {
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Condition": source,
    }
    assert found_in(stack({**resources, "Key": key({}, allowed, NO_GRANTS)})) == set()


# What names a key.


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab", set()),
        (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab", {"key-unusable"}),
        ("alias/elsewhere", {"key-by-alias"}),
        ("alias/aws/s3", set()),
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/elsewhere", set()),
    ],
)
def test_keys_outside_the_templates(reference: str, found: set[str]) -> None:
    assert found_in(stack({"Data": bucket(reference)})) == found


def test_an_alias_of_another_region() -> None:
    alias = {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/data", "TargetKeyId": {"Ref": "Key"}}}
    there = stack({"Key": key({}, NO_GRANTS), "Alias": alias}, name="There", region="us-east-1")
    data = {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": "alias/data"}}
    assert found_in(there, stack({"Data": data})) == {"key-unusable"}
    here = stack({"Key": key({}, NO_GRANTS), "Alias": alias}, name="Here")
    assert found_in(there, here, stack({"Data": data})) == set()
    of_a_key_elsewhere = {**alias, "Properties": {"AliasName": "alias/data", "TargetKeyId": "1234abcd"}}
    here = stack({"Alias": of_a_key_elsewhere}, name="Here")
    assert found_in(there, here, stack({"Data": data})) == set()


def test_a_key_of_another_region() -> None:
    def stacks(region: str) -> tuple[StackTemplate, StackTemplate]:
        made = {"Resources": {"Key": key({}, NO_GRANTS)}, "Outputs": {"Arn": {"Value": ARN}}}
        there = StackTemplate(id="There", name="There", template=made, account=ACCOUNT, region=region)
        reference = {"Fn::GetStackOutput": {"StackName": "There", "OutputName": "Arn", "Region": region}}
        return there, stack({"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"KmsKeyId": reference}}})

    assert found_in(*stacks("us-east-1")) == {"key-unusable"}
    assert found_in(*stacks(REGION)) == set()


def test_a_dsse_bucket_has_no_bucket_key() -> None:
    def used(context: str) -> Json:
        condition = {"StringLike": {"kms:EncryptionContext:aws:s3:arn": context}}
        manages = {"NotAction": ["kms:Decrypt", "kms:GenerateDataKey"], "Action": None}
        through = {"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Condition": condition}
        made = key(manages, through, NO_GRANTS)
        made["Properties"]["KeyPolicy"]["Statement"][0].pop("Action")
        return {"Key": made, "Data": bucket(ARN, algorithm="aws:kms:dsse", BucketName="acme-data")}

    assert "key-without-users" in found_in(stack(used("arn:aws:s3:::acme-data")))
    assert "key-without-users" not in found_in(stack(used("arn:aws:s3:::acme-data/*")))


def test_a_bucket_may_be_for_a_service_alone() -> None:
    manages = {
        "Action": [
            "kms:Put*",
            "kms:Describe*",
            "kms:Get*",
            "kms:List*",
            "kms:Enable*",
            "kms:Disable*",
            "kms:*KeyDeletion",
        ]
    }
    manages["Action"] += ["kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"]
    source = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    delivers = {
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "kms:GenerateDataKey*",
        "Condition": source,
    }
    resources = {"Key": key(manages), "Data": bucket(ARN)}
    assert besides_notes(stack(resources)) == {"key-without-users"}
    assert besides_notes(stack({**resources, "Key": key(manages, delivers)})) == set()


# Replicas.


def replicated(
    primary_region: str | None, replica_region: str | None, **properties: object
) -> tuple[StackTemplate, StackTemplate]:
    made = {"Resources": {"Key": key({}, NO_GRANTS, MultiRegion=True)}, "Outputs": {"Arn": {"Value": ARN}}}
    primary = StackTemplate(id="Primary", name="Primary", template=made, account=ACCOUNT, region=primary_region)
    reference = {"Fn::GetStackOutput": {"StackName": "Primary", "OutputName": "Arn", "Region": primary_region}}
    if primary_region is None:
        del reference["Fn::GetStackOutput"]["Region"]
    replica = key({}, NO_GRANTS, kind="ReplicaKey", PrimaryKeyArn=reference, **properties)
    return primary, stack({"Replica": replica}, name="Secondary", region=replica_region)


def test_where_a_replica_is() -> None:
    assert found_in(*replicated(REGION, "eu-west-1")) == set()
    assert found_in(*replicated(REGION, REGION)) == {"replica-key-misplaced"}
    assert outcomes(*replicated(None, None)) == (set(), {"replica-key-misplaced"})


def test_two_replicas_in_one_region() -> None:
    primary, secondary = replicated(REGION, "eu-west-1")
    again = {**secondary.template["Resources"], "Again": secondary.template["Resources"]["Replica"]}
    assert found_in(primary, stack(again, name="Secondary", region="eu-west-1")) == {"replica-key-misplaced"}


@pytest.mark.parametrize(
    "reference",
    [
        "mrk-1234abcd12ab34cd56ef12345678990a",
        f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/data",
        f"arn:aws:kms:us-east-1:{OTHER_ACCOUNT}:key/mrk-1234abcd12ab34cd56ef12345678990a",
        f"arn:aws:kms:{REGION}:{ACCOUNT}:key/mrk-1234abcd12ab34cd56ef12345678990a",
    ],
)
def test_what_is_no_primary(reference: str) -> None:
    replica = key({}, NO_GRANTS, kind="ReplicaKey", PrimaryKeyArn=reference)
    assert found_in(stack({"Replica": replica})) == {"replica-key-misplaced"}


def test_a_replicas_policy_is_its_own() -> None:
    primary, secondary = replicated(REGION, "eu-west-1")
    replica = copy.deepcopy(secondary.template["Resources"]["Replica"])
    replica["Properties"]["KeyPolicy"]["Statement"].append(
        {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    )
    assert besides_notes(primary, stack({"Replica": replica}, name="Secondary", region="eu-west-1")) == {
        "key-open-to-strangers"
    }


# Settings.


@pytest.mark.parametrize(
    ("properties", "rotates"),
    [
        ({"EnableKeyRotation": "true"}, True),
        ({"EnableKeyRotation": False}, False),
        ({"EnableKeyRotation": False, "Origin": "EXTERNAL"}, True),
        ({"EnableKeyRotation": False, "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, True),
    ],
)
def test_rotation(properties: Json, *, rotates: bool) -> None:
    assert found_in(stack({"Key": key({}, NO_GRANTS, **properties)})) == (set() if rotates else {"key-no-rotation"})


def test_rotation_that_isnt_known() -> None:
    resources = {"Key": key({}, NO_GRANTS, EnableKeyRotation={"Fn::ImportValue": "elsewhere"})}
    assert outcomes(stack(resources)) == (set(), {"key-no-rotation"})


@pytest.mark.parametrize(
    ("of_key", "of_bucket", "found"),
    [
        ("Retain", "Retain", set()),
        ("RetainExceptOnCreate", "Retain", set()),
        ("Delete", "Delete", {"key-not-retained"}),
        ("Delete", "Retain", {"key-not-retained", "key-outlived-by-data"}),
    ],
)
def test_retention(of_key: str, of_bucket: str, found: set[str]) -> None:
    data = {**bucket(ARN), "DeletionPolicy": of_bucket}
    resources = {"Key": {**key({}, NO_GRANTS), "DeletionPolicy": of_key}, "Data": data}
    assert found_in(stack(resources)) - {"key-used-directly"} == found


ODD: tuple[object, ...] = ("", [], {}, "*", 1, None, [None], {"a": "b"}, {"Fn::ImportValue": "x"})
PLACES: tuple[Callable[[Json, object], None], ...] = (
    lambda resources, odd: resources["Key"]["Properties"].update(KeyPolicy=odd),
    lambda resources, odd: resources["Key"]["Properties"].update(KeySpec=odd, Enabled=odd, MultiRegion=odd),
    lambda resources, odd: resources["Key"]["Properties"]["KeyPolicy"].update(Statement=odd),
    lambda resources, odd: resources["Data"]["Properties"].update(BucketEncryption=odd, NotificationConfiguration=odd),
    lambda resources, odd: resources["Group"]["Properties"].update(KmsKeyId=odd, LogGroupName=odd),
    lambda resources, odd: resources["Replica"]["Properties"].update(PrimaryKeyArn=odd),
)


@pytest.mark.parametrize("place", range(len(PLACES)))
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_nothing_odd_is_an_error(place: int, odd: object) -> None:
    replica = key({}, NO_GRANTS, kind="ReplicaKey", PrimaryKeyArn=ARN)
    resources = {"Key": key({}, NO_GRANTS), "Data": bucket(ARN), "Group": encrypted_group(), "Replica": replica}
    PLACES[place](resources, odd)
    outcomes(stack(resources))


# Administering in part.

OF_AWS = [
    "kms:CancelKeyDeletion",
    *(f"kms:{verb}*" for verb in ("Create", "Delete", "Describe", "Disable", "Enable", "Get", "List", "Put", "Revoke")),
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:Update*",
]


def administrators(*without: str, principal: str = ADMINISTRATOR) -> Json:
    return {"Principal": {"AWS": principal}, "Action": [one for one in OF_AWS if one not in without]}


@pytest.mark.parametrize(
    "action", ["kms:CancelKeyDeletion", "kms:ScheduleKeyDeletion", "kms:Revoke*", "kms:UntagResource"]
)
def test_administrators_by_the_policy_do_everything(action: str) -> None:
    assert "key-administration-partial" not in found_in(stack({"Key": key({}, administrators(), NO_GRANTS)}))
    assert "key-administration-partial" in found_in(stack({"Key": key({}, administrators(action), NO_GRANTS)}))


def test_the_account_leaves_the_disruptive_to_administrators() -> None:
    whole, recovering = administrators(), administrators("kms:ScheduleKeyDeletion", "kms:Disable*", principal=ROOT)
    lesser = administrators("kms:ScheduleKeyDeletion", "kms:TagResource", principal=ROOT)
    assert "key-administration-partial" not in found_in(stack({"Key": key(recovering, whole, NO_GRANTS)}))
    assert "key-administration-partial" in found_in(stack({"Key": key(lesser, whole, NO_GRANTS)}))


def test_what_is_denied_is_meant_so() -> None:
    never = {"Effect": "Deny", "Principal": {"AWS": ADMINISTRATOR}, "Action": "kms:ScheduleKeyDeletion"}
    assert "key-administration-partial" not in found_in(stack({"Key": key({}, administrators(), never, NO_GRANTS)}))


def test_a_deny_that_separates_separates_all() -> None:
    both = {"Principal": {"AWS": USER}, "Action": "kms:PutKeyPolicy"}
    apart = {"Effect": "Deny", "Principal": {"AWS": ADMINISTRATOR}, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"]}
    unlimited = {"Key": key({}, USES, both, NO_GRANTS)}
    assert besides_notes(stack(unlimited)) == set()
    assert "key-user-administers" in found_in(stack({"Key": key({}, USES, both, apart, NO_GRANTS)}))


# Services that administer, and services that read.

CDN = {"Principal": {"Service": "cloudfront.amazonaws.com"}}
FROM = {"Condition": {"StringEquals": {"aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/ONE"}}}
ANY = {"Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/*"}}}
OF_ACCOUNT = {"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}


@pytest.mark.parametrize(
    ("action", "administers"),
    [
        ("kms:*", True),
        ("kms:Disable*", True),
        ("kms:CreateGrant", True),
        (["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"], False),
    ],
)
def test_a_service_that_administers(action: object, *, administers: bool) -> None:
    found = found_in(stack({"Key": key({}, {**CDN, **FROM, "Action": action}, NO_GRANTS)}))
    # NO_GRANTS refuses the grant, to services too.
    assert ("key-service-administers" in found) is (administers and action != "kms:CreateGrant")
    found = found_in(stack({"Key": key({}, {**CDN, **FROM, "Action": action})}))
    assert ("key-service-administers" in found) is administers


def served(*of_key: Json, of_bucket: Json | None = None) -> set[str]:
    resources = {"Key": key({}, *of_key, NO_GRANTS), "Data": bucket(ARN, BucketName="acme-data")}
    if of_bucket is not None:
        said = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-data/*", **of_bucket}
        document = {"Version": "2012-10-17", "Statement": [said]}
        properties = {"Bucket": {"Ref": "Data"}, "PolicyDocument": document}
        resources["Policy"] = {"Type": "AWS::S3::BucketPolicy", "Properties": properties}
    return found_in(stack(resources)) & {"bucket-service-cannot-decrypt", "key-service-without-data"}


@pytest.mark.parametrize(
    ("of_key", "of_bucket", "reads"),
    [
        (FROM, FROM, True),
        (ANY, FROM, True),
        # One distribution of those that the bucket lets in is enough.
        (FROM, ANY, True),
        (FROM, OF_ACCOUNT, True),
        (OF_ACCOUNT, FROM, True),
        ({}, FROM, True),
        ({"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudfront::1:distribution/TWO"}}}, FROM, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}}}, OF_ACCOUNT, False),
    ],
)
def test_a_service_reads_with_both_halves(of_key: Json, of_bucket: Json, *, reads: bool) -> None:
    found = served({**CDN, **of_key, "Action": "kms:Decrypt"}, of_bucket={**CDN, **of_bucket})
    assert found == (set() if reads else {"bucket-service-cannot-decrypt"})


def test_half_of_what_a_service_needs() -> None:
    assert served({**CDN, **FROM, "Action": "kms:Decrypt"}) == {"key-service-without-data"}
    assert served(of_bucket={**CDN, **FROM}) == {"bucket-service-cannot-decrypt"}
    # It only lists.
    assert served(of_bucket={**CDN, **FROM, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::acme-data"}) == set()
    one = {**CDN, **FROM, "Resource": "arn:aws:s3:::acme-data/public/*"}
    assert served({**CDN, **FROM, "Action": "kms:Decrypt"}, of_bucket=one) == set()

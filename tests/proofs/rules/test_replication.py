"""Replication beside what the pairs show: variants, traps, what isn't known, and several stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import prove

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
HOME, AWAY = "eu-west-1", "us-west-2"
SOURCE, COPIES = "arn:aws:s3:::acme-source", "arn:aws:s3:::acme-copies"

Json = dict[str, Any]


def policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


def through_s3(region: str, *contexts: str) -> Json:
    return {
        "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": list(contexts)},
    }


def encryption(key: Json, *, bucket_key: bool = True, algorithm: str = "aws:kms") -> Json:
    default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}
    rule = {"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    return {"ServerSideEncryptionConfiguration": [rule]}


SOURCE_KEY: Json = {"Fn::GetAtt": ["SourceKey", "Arn"]}
COPIES_KEY: Json = {"Fn::GetStackOutput": {"StackName": "copies", "OutputName": "Key", "Region": AWAY}}


class World:
    """A source and its copies in stacks of their own, a key on each side, and a role that can do what it must."""

    def __init__(self) -> None:
        self.copies_account = ACCOUNT
        self.copies_region = AWAY
        self.rule: Json = {
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Priority": 1,
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": COPIES,
                "EncryptionConfiguration": {"ReplicaKmsKeyID": COPIES_KEY},
                "Metrics": {"Status": "Enabled"},
            },
        }
        self.statements: list[Json] = [
            {"Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": SOURCE},
            {
                "Action": [
                    "s3:GetObjectVersionForReplication",
                    "s3:GetObjectVersionAcl",
                    "s3:GetObjectVersionTagging",
                ],
                "Resource": f"{SOURCE}/*",
            },
            {"Action": ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], "Resource": f"{COPIES}/*"},
            {
                "Action": "kms:Decrypt",
                "Resource": SOURCE_KEY,
                "Condition": through_s3(HOME, SOURCE, f"{SOURCE}/*"),
            },
            {
                "Action": ["kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": COPIES_KEY,
                "Condition": through_s3(AWAY, COPIES, f"{COPIES}/*"),
            },
        ]
        self.trust: Json = policy({"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"})
        self.role: object = {"Fn::GetAtt": ["Role", "Arn"]}
        self.role_properties: Json = {}
        self.dependencies: tuple[str, ...] = ("Copies",)
        self.rules: list[Json] | None = None
        self.source: Json = {
            "BucketName": "acme-source",
            "BucketEncryption": encryption(SOURCE_KEY),
            "VersioningConfiguration": {"Status": "Enabled"},
        }
        self.copies: Json = {
            "BucketName": "acme-copies",
            "BucketEncryption": encryption({"Fn::GetAtt": ["CopiesKey", "Arn"]}),
            "VersioningConfiguration": {"Status": "Enabled"},
        }
        self.copies_key: Json = {}
        self.copies_policy: list[Json] = []
        self.more: Json = {}

    def assembly(self) -> Assembly:
        source = {**self.source, "ReplicationConfiguration": {"Role": self.role, "Rules": self.rules or [self.rule]}}
        role = {
            "AssumeRolePolicyDocument": self.trust,
            "Policies": [{"PolicyName": "Replicate", "PolicyDocument": policy(*self.statements)}],
        }
        here: Json = {
            "SourceKey": {"Type": "AWS::KMS::Key"},
            "Source": {"Type": "AWS::S3::Bucket", "Properties": source},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"RoleName": "replication", **role, **self.role_properties},
            },
            **self.more,
        }
        there: Json = {
            "CopiesKey": {"Type": "AWS::KMS::Key", "Properties": self.copies_key},
            "Copies": {"Type": "AWS::S3::Bucket", "Properties": self.copies},
        }
        if self.copies_policy:
            document = {"Version": "2012-10-17", "Statement": self.copies_policy}
            properties = {"Bucket": {"Ref": "Copies"}, "PolicyDocument": document}
            there["CopiesPolicy"] = {"Type": "AWS::S3::BucketPolicy", "Properties": properties}
        outputs = {"Key": {"Value": {"Fn::GetAtt": ["CopiesKey", "Arn"]}}}
        return Assembly.of(
            [
                StackTemplate(
                    id="Copies",
                    name="copies",
                    template={"Resources": there, "Outputs": outputs},
                    account=self.copies_account,
                    region=self.copies_region,
                ),
                StackTemplate(
                    id="Source",
                    template={"Resources": here},
                    account=ACCOUNT,
                    region=HOME,
                    dependencies=self.dependencies,
                ),
            ]
        )


def ids(world: World) -> list[str]:
    return sorted({one.rule.id for one in mine(prove(world.assembly()).findings)})


def undecided(world: World) -> dict[str, str]:
    return {one.rule.id: one.reason for one in mine(prove(world.assembly()).undecidable)}


def mine(outcomes: tuple[Any, ...]) -> list[Any]:
    return [one for one in outcomes if one.rule.id.startswith("replication-")]


def told(world: World, rule: str) -> str:
    return "\n".join(one.counterexample for one in prove(world.assembly()).findings if one.rule.id == rule)


@pytest.fixture
def world() -> World:
    return World()


def test_a_right_replication_is_right(world: World) -> None:
    assert ids(world) == []
    assert undecided(world) == {}


# The role's steps: each is needed, and each only where something takes it.

STEPS = (
    ("s3:GetReplicationConfiguration", "replication-role-cannot"),
    ("s3:ListBucket", "replication-role-cannot"),
    ("s3:GetObjectVersionForReplication", "replication-role-cannot"),
    ("s3:GetObjectVersionAcl", "replication-role-cannot"),
    ("s3:GetObjectVersionTagging", "replication-role-cannot-always"),
    ("s3:ReplicateObject", "replication-role-cannot"),
    ("s3:ReplicateDelete", "replication-role-cannot"),
    ("s3:ReplicateTags", "replication-role-cannot-always"),
    ("kms:Encrypt", "replication-role-cannot"),
)


def without(world: World, action: str) -> World:
    for statement in world.statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [one for one in actions if one != action] or ["s3:GetBucketLocation"]
    return world


@pytest.mark.parametrize(("action", "rule"), STEPS)
def test_each_step_is_needed(world: World, action: str, rule: str) -> None:
    assert ids(without(world, action)) == [rule]
    assert action in told(world, rule)


def test_decryption_is_needed_on_both_sides(world: World) -> None:
    assert told(without(world, "kms:Decrypt"), "replication-role-cannot").count("may not kms:Decrypt") == 2


def test_generating_data_keys_is_not_needed(world: World) -> None:
    assert ids(without(world, "kms:GenerateDataKey")) == []


def test_an_explicit_deny_of_a_step(world: World) -> None:
    world.statements.append({"Effect": "Deny", "Action": "s3:ReplicateObject", "Resource": "*"})
    assert ids(world) == ["replication-role-cannot"]


def test_a_boundary_limits_the_role(world: World) -> None:
    boundary = policy({"Action": "s3:*", "Resource": "*"})
    world.more["Boundary"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": boundary}}
    assert ids(world) == []
    world.role_properties["PermissionsBoundary"] = {"Ref": "Boundary"}
    assert ids(world) == ["replication-role-cannot"]


def test_deletions_that_are_not_copied_need_no_permission(world: World) -> None:
    without(without(world, "s3:ReplicateDelete"), "s3:ListBucket")
    world.rule["DeleteMarkerReplication"]["Status"] = "Disabled"
    assert ids(world) == ["replication-role-cannot-always"]  # delete markers can't be seen either


def test_rules_of_the_first_version_copy_deletions(world: World) -> None:
    for name in ("Filter", "Priority", "DeleteMarkerReplication"):
        del world.rule[name]
    assert ids(world) == []
    assert ids(without(world, "s3:ReplicateDelete")) == ["replication-role-cannot"]


def test_a_filter_by_tags_makes_tags_certain(world: World) -> None:
    world.rule["Filter"] = {"TagFilter": {"Key": "kept", "Value": "yes"}}
    world.rule["DeleteMarkerReplication"]["Status"] = "Disabled"
    assert ids(world) == []
    assert ids(without(world, "s3:ReplicateTags")) == ["replication-role-cannot"]


def test_locked_objects_take_their_locks_along(world: World) -> None:
    world.source["ObjectLockEnabled"] = world.copies["ObjectLockEnabled"] = True
    assert ids(world) == ["replication-role-cannot"]
    world.statements[1]["Action"] += ["s3:GetObjectRetention", "s3:GetObjectLegalHold"]
    assert ids(world) == []
    world.copies["ObjectLockEnabled"] = "false"
    assert ids(world) == ["replication-lock"]


def test_object_lock_turns_versioning_on(world: World) -> None:
    world.statements[1]["Action"] += ["s3:GetObjectRetention", "s3:GetObjectLegalHold"]
    for bucket in (world.source, world.copies):
        del bucket["VersioningConfiguration"]
    assert ids(world) == ["replication-not-versioned"]
    for bucket in (world.source, world.copies):
        bucket["ObjectLockEnabled"] = "true"
    assert ids(world) == []


def test_a_role_limited_to_the_prefix_that_is_copied(world: World) -> None:
    for statement in world.statements[1:3]:
        statement["Resource"] = statement["Resource"].replace("/*", "/invoices/*")
    assert "replication-role-cannot" in ids(world)
    world.rule["Filter"] = {"And": {"Prefix": "invoices/", "TagFilters": []}}
    assert ids(world) == []


def test_get_object_version_does_for_objects_without_kms(world: World) -> None:
    world.statements[1]["Action"][0] = "s3:GetObjectVersion"
    assert "SrcGetObjectNotPermitted" in told(world, "replication-role-cannot")
    del world.source["BucketEncryption"]
    assert "replication-role-cannot" not in ids(world)


# Encryption contexts: the bucket's ARN with a bucket key, the object's without.


def contexts(world: World, source: str, copies: str) -> World:
    world.statements[3]["Condition"] = through_s3(HOME, source)
    world.statements[4]["Condition"] = through_s3(AWAY, copies)
    return world


def test_contexts_of_objects_only(world: World) -> None:
    assert ids(contexts(world, f"{SOURCE}/*", f"{COPIES}/*")) == ["replication-role-cannot"]


def test_contexts_of_buckets_only(world: World) -> None:
    assert ids(contexts(world, SOURCE, COPIES)) == ["replication-role-cannot-always"]


def test_contexts_of_buckets_without_bucket_keys(world: World) -> None:
    world.source["BucketEncryption"] = encryption(SOURCE_KEY, bucket_key=False)
    world.copies["BucketEncryption"] = encryption({"Fn::GetAtt": ["CopiesKey", "Arn"]}, bucket_key=False)
    assert ids(contexts(world, SOURCE, COPIES)) == ["replication-role-cannot"]
    assert ids(contexts(world, f"{SOURCE}/*", f"{COPIES}/*")) == ["replication-role-cannot-always"]
    assert ids(contexts(world, f"{SOURCE}*", f"{COPIES}*")) == []


def test_dsse_has_no_bucket_keys(world: World) -> None:
    world.source["BucketEncryption"] = encryption(SOURCE_KEY, algorithm="aws:kms:dsse")
    assert "replication-role-cannot" in ids(contexts(world, SOURCE, f"{COPIES}*"))
    assert ids(contexts(world, f"{SOURCE}*", f"{COPIES}*")) == []


def test_where_aws_leaves_the_context_open_either_form_will_do(world: World) -> None:
    world.source["BucketEncryption"] = encryption(SOURCE_KEY, bucket_key=False)
    for form in (COPIES, f"{COPIES}/*"):
        assert ids(contexts(world, f"{SOURCE}*", form)) == ["replication-role-cannot-always"]


def test_keys_through_the_other_region(world: World) -> None:
    world.statements[4]["Condition"] = through_s3(HOME, f"{COPIES}*")
    assert "replication-role-cannot" in ids(world)


def test_a_key_policy_that_does_not_leave_it_to_iam(world: World) -> None:
    administrators = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/administrator"}
    world.copies_key["KeyPolicy"] = policy({"Principal": administrators, "Action": "kms:*", "Resource": "*"})
    assert ids(world) == ["replication-role-cannot"]
    role = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/replication"}
    uses = ["kms:Encrypt", "kms:Decrypt"]
    statement = {"Effect": "Allow", "Principal": role, "Action": uses, "Resource": "*"}
    limited = {**statement, "Condition": through_s3(AWAY, f"{COPIES}*")}
    world.copies_key["KeyPolicy"]["Statement"].append(limited)
    assert ids(world) == []
    # The role's own policy limits it, but the key's doesn't: in one account either is enough.
    world.copies_key["KeyPolicy"]["Statement"][-1] = statement
    assert ids(world) == ["replication-role-excess"]


def test_a_key_of_another_account(world: World) -> None:
    world.copies_account = OTHER_ACCOUNT
    world.copies_policy = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/replication"},
            "Action": ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
            "Resource": f"{COPIES}/*",
        }
    ]
    output = world.rule["Destination"]["EncryptionConfiguration"]
    output["ReplicaKmsKeyID"] = {"Fn::GetStackOutput": {**COPIES_KEY["Fn::GetStackOutput"], "RoleArn": READER}}
    world.statements[4]["Resource"] = output["ReplicaKmsKeyID"]
    assert ids(world) == ["replication-role-cannot"]
    root = {"AWS": [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{OTHER_ACCOUNT}:root"]}
    world.copies_key["KeyPolicy"] = policy({"Principal": root, "Action": "kms:*", "Resource": "*"})
    assert ids(world) == []
    world.copies_policy = []
    assert ids(world) == ["replication-destination-refuses"]


READER = f"arn:aws:iam::{OTHER_ACCOUNT}:role/reader"


# The destination's policy.


def deny(condition: Json | None = None, action: str = "s3:*") -> Json:
    statement = {"Sid": "Refuse", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"{COPIES}/*"}
    return {**statement, "Condition": condition} if condition else statement


@pytest.mark.parametrize(
    "condition",
    [
        None,
        {"StringNotEquals": {"aws:SourceVpce": "vpce-11111111"}},
        {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/administrator"}},
        {"StringNotEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}},
    ],
)
def test_a_destination_that_refuses(world: World, condition: Json | None) -> None:
    world.copies_policy = [deny(condition)]
    assert ids(world) == ["replication-destination-refuses"]
    assert "Deny Refuse" in told(world, "replication-destination-refuses")


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        # What S3's own requests carry here isn't documented: never a counterexample.
        {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
        {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"StringNotEquals": {"aws:PrincipalOrgID": "o-11111111"}},
        {"Bool": {"aws:ViaAWSService": "false"}},
        {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/replication"}},
    ],
)
def test_a_destination_that_may_take_it(world: World, condition: Json) -> None:
    world.copies_policy = [deny(condition)]
    assert ids(world) == []


def test_uploads_are_not_replicas(world: World) -> None:
    world.copies_policy = [deny(action="s3:PutObject")]
    assert ids(world) == []


def test_a_destination_refuses_a_role_of_elsewhere(world: World) -> None:
    world.role = f"arn:aws:iam::{ACCOUNT}:role/made-elsewhere"
    assert ids(world) == []
    assert set(undecided(world)) == {"replication-role-cannot", "replication-role-not-assumable"}
    world.copies_policy = [deny()]
    assert ids(world) == ["replication-destination-refuses"]


# Who may assume the role.


@pytest.mark.parametrize(
    ("condition", "assumable"),
    [
        ({}, True),
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, True),
        ({"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}}, False),
        ({"ArnLike": {"aws:SourceArn": SOURCE}}, True),
        ({"ArnLike": {"aws:SourceArn": COPIES}}, False),
        ({"StringEquals": {"sts:ExternalId": "acme"}}, False),
    ],
)
def test_who_may_assume_the_role(world: World, condition: Json, assumable: bool) -> None:  # noqa: FBT001
    if condition:
        world.trust["Statement"][0]["Condition"] = condition
    assert ids(world) == ([] if assumable else ["replication-role-not-assumable"])


# What a role may beyond its duty.


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({"Action": "s3:GetObject", "Resource": f"{SOURCE}/*"}, "may s3:GetObject on"),
        ({"Action": "s3:Get*", "Resource": f"{COPIES}/invoices/an-object"}, ""),
        ({"Action": "s3:PutObject", "Resource": f"{COPIES}/*"}, "may s3:PutObject on"),
        ({"Action": "s3:DeleteObject*", "Resource": "*"}, "may s3:DeleteObject on"),
        ({"Action": "s3:PutBucketPolicy", "Resource": SOURCE}, "may s3:PutBucketPolicy on"),
        ({"Action": "s3:ReplicateObject", "Resource": "*"}, "arn:aws:s3:::any-other-bucket/an-object"),
        ({"Action": "s3:ReplicateObject", "Resource": f"{SOURCE}/*"}, "may s3:ReplicateObject on"),
        ({"Action": "kms:Decrypt", "Resource": SOURCE_KEY}, "without kms:ViaService"),
        (
            {"Action": "kms:Decrypt", "Resource": SOURCE_KEY, "Condition": {"Null": {"kms:ViaService": "false"}}},
            "kms:ViaService = s3.another-region-1.amazonaws.com",
        ),
        (
            {
                "Action": "kms:Decrypt",
                "Resource": SOURCE_KEY,
                "Condition": {"StringEquals": {"kms:ViaService": f"s3.{HOME}.amazonaws.com"}},
            },
            "kms:EncryptionContext:aws:s3:arn = arn:aws:s3:::any-other-bucket/an-object",
        ),
        ({"Action": "kms:CreateGrant", "Resource": SOURCE_KEY}, "may kms:CreateGrant on"),
        ({"Action": "kms:Encrypt", "Resource": "*"}, "key/any-other-key"),
        ({"Action": "s3:GetBucketVersioning", "Resource": "*"}, ""),
    ],
)
def test_what_is_too_much(world: World, statement: Json, words: str) -> None:
    world.statements.append(statement)
    assert ids(world) == (["replication-role-excess"] if words else [])
    assert words in told(world, "replication-role-excess")


def test_a_batch_job_reads_its_list_and_writes_its_report(world: World) -> None:
    world.statements.append({"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{SOURCE}/jobs/*"})
    world.statements.append({"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{SOURCE}/*"})
    assert ids(world) == ["replication-role-excess"]
    world.trust["Statement"][0]["Principal"]["Service"] = ["s3.amazonaws.com", "batchoperations.s3.amazonaws.com"]
    assert ids(world) == []


def test_a_managed_policy_of_elsewhere_is_a_doubt(world: World) -> None:
    world.role_properties["ManagedPolicyArns"] = [f"arn:aws:iam::{ACCOUNT}:policy/elsewhere"]
    assert ids(world) == []
    assert set(undecided(world)) >= {"replication-role-excess", "replication-role-cannot"}


# Keys for replicas.


def test_a_key_of_the_source_region(world: World) -> None:
    world.rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"] = SOURCE_KEY
    assert "replication-replica-key" in ids(world)
    assert f"a key of {HOME}, and they are stored in {AWAY}" in told(world, "replication-replica-key")


def test_a_key_that_is_written_out(world: World) -> None:
    key = world.rule["Destination"]["EncryptionConfiguration"]
    key["ReplicaKmsKeyID"] = f"arn:aws:kms:{AWAY}:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555"
    assert ids(world) == ["replication-replica-key-other"]
    assert "isn't in these templates" in undecided(world)["replication-role-cannot"]
    key["ReplicaKmsKeyID"] = key["ReplicaKmsKeyID"].replace(AWAY, HOME)
    assert ids(world) == ["replication-replica-key"]


def test_no_key_is_needed_where_nothing_is_selected(world: World) -> None:
    del world.source["BucketEncryption"]
    del world.rule["SourceSelectionCriteria"]
    del world.rule["Destination"]["EncryptionConfiguration"]
    del world.statements[3:]
    assert ids(world) == []


def test_a_rule_that_is_off_copies_nothing(world: World) -> None:
    world.statements[:] = [{"Action": "s3:ListBucket", "Resource": SOURCE}]
    world.rule["Status"] = "Disabled"
    assert ids(world) == ["replication-rule-disabled"]


# What S3 demands of a rule.


def test_a_single_rule_needs_no_priority(world: World) -> None:
    del world.rule["Priority"]
    assert ids(world) == []


def test_one_priority_for_two_destinations(world: World) -> None:
    other = {**world.rule, "Destination": {**world.rule["Destination"], "Bucket": "arn:aws:s3:::acme-elsewhere"}}
    world.rules = [world.rule, other]
    assert ids(world) == []
    other["Destination"]["Bucket"] = COPIES
    assert ids(world) == ["replication-rule-incomplete"]


@pytest.mark.parametrize(("minutes", "right"), [(15, True), ("15", True), (30, False)])
def test_the_minutes_of_replication_time_control(world: World, minutes: object, right: bool) -> None:  # noqa: FBT001
    world.rule["Destination"]["ReplicationTime"] = {"Status": "Enabled", "Time": {"Minutes": minutes}}
    assert ids(world) == ([] if right else ["replication-rule-incomplete"])


def test_the_owner_of_replicas_in_another_account(world: World) -> None:
    world.rule["Destination"] |= {"Account": ACCOUNT, "AccessControlTranslation": {"Owner": "Destination"}}
    assert ids(world) == ["replication-owner-override"]
    world.copies_account = world.rule["Destination"]["Account"] = OTHER_ACCOUNT
    assert "replication-owner-override" not in ids(world)


def test_what_two_rules_have_in_common_is_said_once(world: World) -> None:
    world.rules = [world.rule, {**world.rule, "Priority": 2, "Filter": {"Prefix": "invoices/"}}]
    assert told(without(world, "s3:GetReplicationConfiguration"), "replication-role-cannot").count("\n") == 0


# Every way to give a role a policy.


def test_policies_in_resources_of_their_own(world: World) -> None:
    statements, world.statements = world.statements, [{"Action": "s3:ListBucket", "Resource": SOURCE}]
    assert "replication-role-cannot" in ids(world)
    properties = {"RoleName": {"Ref": "Role"}, "PolicyName": "Replicate", "PolicyDocument": policy(*statements)}
    world.more["RolePolicy"] = {"Type": "AWS::IAM::RolePolicy", "Properties": properties}
    assert ids(world) == []


# Order.


def test_stacks_in_the_wrong_order(world: World) -> None:
    world.dependencies = ()
    assert ids(world) == ["replication-destination-late"]


def late(resources: Json) -> bool:
    proof = prove(Assembly.of([StackTemplate(id="Stack", template={"Resources": resources})]))
    return any(one.rule.id == "replication-destination-late" for one in proof.findings)


def one_stack(destination: object, **of_copies: object) -> Json:
    rules = [{"Status": "Enabled", "Destination": {"Bucket": destination}}]
    replication = {"Role": "arn:aws:iam::111122223333:role/replication", "Rules": rules}
    source = {"BucketName": "acme-source", "ReplicationConfiguration": replication}
    return {
        "Source": {"Type": "AWS::S3::Bucket", "Properties": source},
        "Copies": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "acme-copies", **of_copies}},
    }


@pytest.mark.parametrize(
    "destination",
    [
        {"Fn::GetAtt": ["Copies", "Arn"]},
        {"Fn::GetAtt": "Copies.Arn"},
        {"Fn::Sub": "arn:aws:s3:::${Copies}"},
        {"Fn::Sub": ["${it}", {"it": {"Fn::GetAtt": ["Copies", "Arn"]}}]},
        {"Fn::Join": ["", ["arn:aws:s3:::", {"Ref": "Copies"}]]},
    ],
)
def test_a_function_makes_the_order(destination: Json) -> None:
    assert not late(one_stack(destination))


def test_a_text_makes_no_order_but_a_detour_does() -> None:
    resources = one_stack(COPIES)
    assert late(resources)
    tags = [{"Key": "after", "Value": {"Ref": "Topic"}}]
    resources["Source"]["Properties"]["Tags"] = tags
    resources["Topic"] = {"Type": "AWS::SNS::Topic", "DependsOn": ["Copies"]}
    assert not late(resources)


def test_a_circle() -> None:
    arn = {"Fn::GetAtt": ["Source", "Arn"]}
    back = one_stack(arn)["Source"]["Properties"]["ReplicationConfiguration"]
    assert late(one_stack({"Fn::GetAtt": ["Copies", "Arn"]}, ReplicationConfiguration=back))


# What isn't known, and what isn't as it should be.


def test_what_is_not_known_is_said(world: World) -> None:
    world.rule["Status"] = {"Fn::Transform": {"Name": "Switch"}}
    assert ids(world) == []
    assert "replication-skips-kms-objects" in undecided(world)


def test_a_configuration_that_is_not_known(world: World) -> None:
    world.source["ReplicationConfiguration"] = {"Fn::Transform": {"Name": "Replicate"}}
    resources = {"Source": {"Type": "AWS::S3::Bucket", "Properties": world.source}}
    proof = prove(Assembly.of([StackTemplate(id="Stack", template={"Resources": resources})]))
    assert mine(proof.findings) == []
    assert "replication-role-cannot" in {one.rule.id for one in proof.undecidable}


def test_accounts_by_number_where_the_account_is_not_known() -> None:
    """A policy that names the account it will be deployed to isn't wrong."""
    role = {"AWS": "arn:aws:iam::111122223333:root"}
    resources = one_stack({"Fn::GetAtt": ["Copies", "Arn"]})
    resources["Role"] = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": policy(
                {"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ),
            "Policies": [{"PolicyName": "All", "PolicyDocument": policy({"Action": "*", "Resource": "*"})}],
        },
    }
    resources["Key"] = {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeyPolicy": policy({"Principal": role, "Action": "kms:*", "Resource": "*"})},
    }
    source = resources["Source"]["Properties"]
    source["BucketEncryption"] = encryption({"Fn::GetAtt": ["Key", "Arn"]})
    replication = source["ReplicationConfiguration"]
    replication["Role"] = {"Fn::GetAtt": ["Role", "Arn"]}
    replication["Rules"][0]["SourceSelectionCriteria"] = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    proof = prove(Assembly.of([StackTemplate(id="Stack", template={"Resources": resources})]))
    assert "replication-role-cannot" not in {one.rule.id for one in proof.findings}
    assert "replication-role-cannot" in {one.rule.id for one in proof.undecidable}


def test_roles_of_one_name(world: World) -> None:
    world.more["Another"] = {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": "replication", "AssumeRolePolicyDocument": world.trust},
    }
    assert ids(world) == []
    assert "2 resources here have the same name" in undecided(world)["replication-role-cannot"]


ODD: tuple[object, ...] = (None, "text", 7, True, [], [[]], {}, {"Status": []}, [{"Status": "Enabled"}], "*")


def odd_rule(value: object) -> list[Callable[[World], None]]:
    def put(*path: str) -> Callable[[World], None]:
        def change(world: World) -> None:
            place = world.rule
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value

        return change

    return [
        put("Status"),
        put("Filter"),
        put("Filter", "And"),
        put("Filter", "Prefix"),
        put("Priority"),
        put("SourceSelectionCriteria"),
        put("SourceSelectionCriteria", "SseKmsEncryptedObjects"),
        put("Destination"),
        put("Destination", "Bucket"),
        put("Destination", "Account"),
        put("Destination", "EncryptionConfiguration"),
        put("Destination", "EncryptionConfiguration", "ReplicaKmsKeyID"),
        put("Destination", "Metrics"),
        put("Destination", "ReplicationTime"),
        put("Destination", "AccessControlTranslation"),
    ]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_odd_properties_do_no_harm(value: object) -> None:
    for change in odd_rule(value):
        world = World()
        change(world)
        prove(world.assembly())
    for name in ("BucketEncryption", "VersioningConfiguration", "ObjectLockEnabled", "OwnershipControls"):
        world = World()
        world.source[name] = world.copies[name] = value
        prove(world.assembly())
    world = World()
    world.role = value
    prove(world.assembly())
    world = World()
    world.trust = value  # type: ignore[assignment]
    prove(world.assembly())
    world = World()
    world.rule = value  # type: ignore[assignment]
    prove(world.assembly())

"""EncryptedBucket: what each choice makes of the template, and what is refused.

What the policies mean is decided in truth_tables/, what a deployed bucket does in deploy/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match

from cdk_encrypted_data import (
    AccessLogBucket,
    CustomerManagedKey,
    CustomerProvidedKeys,
    EncryptedBucket,
    MinimumTlsVersion,
    ObjectEvents,
    ServerSideEncryption,
    UploadPolicy,
)
from tests.synthesis import build, new_stack, only, resources_of, template

KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
MULTI_REGION_KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
FOREIGN_KEY_ARN = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def default_encryption(stack: cdk.Stack) -> dict[str, Any]:
    (rule,) = only(stack, "AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return dict(rule)


def sids(stack: cdk.Stack) -> list[str]:
    return [statement["Sid"] for statement in only(stack, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]]


class TestWithoutOptions:
    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls) -> cdk.Stack:
        return build(lambda stack: EncryptedBucket(stack, "Data"))

    def test_one_key_one_alias_one_bucket_one_policy(self, stack: cdk.Stack) -> None:
        types = sorted(resource["Type"] for resource in template(stack)["Resources"].values())
        assert types == ["AWS::KMS::Alias", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"]

    def test_logical_ids_of_what_holds_data_never_change(self, stack: cdk.Stack) -> None:
        # Another id here replaces keys and buckets of everybody who upgrades.
        assert {name: resource["Type"] for name, resource in template(stack)["Resources"].items()} == {
            "DataKeyAEC34D0C": "AWS::KMS::Key",
            "DataKeyAliasCC71937E": "AWS::KMS::Alias",
            "DataBucketE6B0FAA8": "AWS::S3::Bucket",
            "DataPolicyB80589C3": "AWS::S3::BucketPolicy",
        }

    def test_default_encryption_is_the_own_key_with_a_bucket_key(self, stack: cdk.Stack) -> None:
        assert default_encryption(stack) == {
            "ServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": {"Fn::GetAtt": ["DataKeyAEC34D0C", "Arn"]},
            },
            "BucketKeyEnabled": True,
            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
        }

    def test_nothing_public_no_acls_versions(self, stack: cdk.Stack) -> None:
        bucket = only(stack, "AWS::S3::Bucket")
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}

    def test_lifecycle_expires_old_versions_and_abandoned_uploads(self, stack: cdk.Stack) -> None:
        assert only(stack, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"] == [
            {
                "Id": "Retention",
                "Status": "Enabled",
                "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            }
        ]

    def test_key_bucket_and_policy_are_retained(self, stack: cdk.Stack) -> None:
        for kind in ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"):
            (resource,) = resources_of(stack, kind).values()
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), kind

    def test_neither_names_nor_logs_nor_events_unless_asked(self, stack: cdk.Stack) -> None:
        assert not {
            "BucketName",
            "BucketNamePrefix",
            "LoggingConfiguration",
            "NotificationConfiguration",
            "CorsConfiguration",
        } & set(only(stack, "AWS::S3::Bucket"))

    def test_two_in_one_stack_dont_collide(self) -> None:
        stack = build(lambda stack: [EncryptedBucket(stack, "Data"), EncryptedBucket(stack, "More")])
        names = [
            json.dumps(alias["Properties"]["AliasName"]) for alias in resources_of(stack, "AWS::KMS::Alias").values()
        ]
        assert len(names) == len(set(names)) == 2


class TestEncryption:
    def test_dsse_has_no_bucket_key(self) -> None:
        rule = default_encryption(
            build(lambda stack: EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.DSSE_KMS))
        )
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms:dsse"
        assert not rule.get("BucketKeyEnabled", False)

    def test_dsse_key_rotates(self) -> None:
        # The CDK's own DSSE option makes a key that doesn't.
        stack = build(lambda stack: EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.DSSE_KMS))
        assert only(stack, "AWS::KMS::Key")["EnableKeyRotation"] is True

    def test_sse_s3_makes_no_key(self) -> None:
        stack = new_stack()
        data = EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.SSE_S3)
        assert default_encryption(stack)["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        assert not resources_of(stack, "AWS::KMS::Key")
        with pytest.raises(ValueError, match=r"Data: key is None; allowed: .*; choose SSE_KMS or DSSE_KMS"):
            _ = data.key

    def test_sse_c_only_where_asked_for(self) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", customer_provided_keys=CustomerProvidedKeys.ALLOWED))
        assert default_encryption(stack)["BlockedEncryptionTypes"] == {"EncryptionType": ["NONE"]}
        assert "RefuseCustomerProvidedKeys" not in sids(stack)

    def test_upload_policy_changes_the_policy_and_nothing_else(self) -> None:
        respect = build(lambda stack: EncryptedBucket(stack, "Data"))
        require = build(lambda stack: EncryptedBucket(stack, "Data", upload_policy=UploadPolicy.REQUIRE_HEADER))
        assert sids(respect) != sids(require)
        assert only(respect, "AWS::S3::Bucket") == only(require, "AWS::S3::Bucket")

    def test_minimum_tls_version(self) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", minimum_tls_version=MinimumTlsVersion.TLS_1_3))
        statements = only(stack, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        (condition,) = [each["Condition"] for each in statements if each["Sid"] == "RefuseTlsBelowMinimum"]
        assert condition == {"NumericLessThan": {"s3:TlsVersion": "1.3"}}


class TestExistingKey:
    @pytest.mark.parametrize("arn", [KEY_ARN, MULTI_REGION_KEY_ARN, FOREIGN_KEY_ARN])
    def test_by_arn(self, arn: str) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", key=kms.Key.from_key_arn(stack, "Existing", arn)))
        assert default_encryption(stack)["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == arn
        assert not resources_of(stack, "AWS::KMS::Key")
        assert arn in json.dumps(only(stack, "AWS::S3::BucketPolicy"))

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda stack: kms.Key(stack, "Existing"), id="L2"),
            pytest.param(
                lambda stack: kms.CfnKey(stack, "Existing", key_policy={"Version": "2012-10-17", "Statement": []}),
                id="L1",
            ),
            pytest.param(lambda stack: CustomerManagedKey(stack, "Existing"), id="CustomerManagedKey"),
        ],
    )
    def test_of_this_app(self, make: Callable[[cdk.Stack], Any]) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", key=make(stack)))
        (key,) = resources_of(stack, "AWS::KMS::Key")
        assert default_encryption(stack)["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {
            "Fn::GetAtt": [key, "Arn"]
        }

    def test_of_another_account_warns_with_the_statement_its_policy_needs(self) -> None:
        stack = new_stack(account="111122223333", region="eu-west-1")
        EncryptedBucket(stack, "Data", key=kms.Key.from_key_arn(stack, "Existing", FOREIGN_KEY_ARN))
        Annotations.from_stack(stack).has_warning(
            "/Test/Data", Match.string_like_regexp(r".*can't be changed from here.*AccountUsesKeyThroughS3.*")
        )

    def test_of_this_account_doesnt_warn(self) -> None:
        stack = new_stack(account="111122223333", region="eu-west-1")
        EncryptedBucket(stack, "Data", key=kms.Key.from_key_arn(stack, "Existing", KEY_ARN))
        Annotations.from_stack(stack).has_no_warning("*", Match.any_value())

    def test_of_another_region_is_refused(self) -> None:
        stack = new_stack(account="111122223333", region="us-east-1")
        key = kms.Key.from_key_arn(stack, "Existing", KEY_ARN)
        with pytest.raises(ValueError, match=r"Data: key is 'a key of eu-west-1'; .*us-east-1; .*its replica there"):
            EncryptedBucket(stack, "Data", key=key)

    def test_alias_is_refused(self) -> None:
        stack = new_stack()
        alias = kms.Alias(stack, "Alias", alias_name="alias/mine", target_key=kms.Key(stack, "Existing"))
        with pytest.raises(ValueError, match=r"Data: key is 'an alias'; allowed: a key; pass the key itself"):
            EncryptedBucket(stack, "Data", key=alias)

    def test_with_sse_s3_is_a_contradiction(self) -> None:
        stack = new_stack()
        with pytest.raises(ValueError, match=r"Data: key is .*; allowed: no key with SSE_S3; leave the key out"):
            EncryptedBucket(stack, "Data", key=kms.Key(stack, "Key"), encryption=ServerSideEncryption.SSE_S3)


class TestNames:
    def test_a_name_binds_the_key_to_the_bucket(self) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", bucket_name="acme-data"))
        assert only(stack, "AWS::S3::Bucket")["BucketName"] == "acme-data"
        contexts = key_contexts(stack)
        assert [context.replace(" ", "") for context in contexts] == [":s3:::acme-data", ":s3:::acme-data/*"]

    def test_a_prefix_makes_an_account_regional_name(self) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", bucket_name_prefix="acme"))
        bucket = only(stack, "AWS::S3::Bucket")
        assert (bucket["BucketNamePrefix"], bucket["BucketNamespace"]) == ("acme", "account-regional")
        assert key_contexts(stack) == [
            ":s3:::acme-AWS::AccountId-AWS::Region-an",
            ":s3:::acme-AWS::AccountId-AWS::Region-an/*",
        ]

    def test_without_a_name_the_key_serves_s3_and_the_grants_bind_it(self) -> None:
        assert key_contexts(build(lambda stack: EncryptedBucket(stack, "Data"))) == []


def key_contexts(stack: cdk.Stack) -> list[str]:
    """Return the encryption contexts in the key's policy, from the partition on, pseudo parameters by name."""
    (statement,) = [
        each
        for each in only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        if each["Sid"] == "AccountUsesKeyThroughS3"
    ]
    values = statement["Condition"].get("StringLike", {}).get("kms:EncryptionContext:aws:s3:arn", [])
    texts = []
    for value in values:
        _, parts = value["Fn::Join"]
        texts.append("".join(part if isinstance(part, str) else part["Ref"] for part in parts[2:]))
    return texts


class TestLifecycle:
    def test_archive_classes(self) -> None:
        stack = build(
            lambda stack: EncryptedBucket(
                stack,
                "Data",
                noncurrent_version_expiration=cdk.Duration.days(400),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(2),
                transitions=(
                    s3.Transition(storage_class=s3.StorageClass.GLACIER, transition_after=cdk.Duration.days(90)),
                ),
                noncurrent_version_transitions=(
                    s3.NoncurrentVersionTransition(
                        storage_class=s3.StorageClass.DEEP_ARCHIVE, transition_after=cdk.Duration.days(30)
                    ),
                ),
                lifecycle_rules=(s3.LifecycleRule(id="Drafts", prefix="drafts/", expiration=cdk.Duration.days(5)),),
            )
        )
        own, drafts = only(stack, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
        assert own["NoncurrentVersionExpiration"] == {"NoncurrentDays": 400}
        assert own["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
        assert own["Transitions"] == [{"StorageClass": "GLACIER", "TransitionInDays": 90}]
        assert own["NoncurrentVersionTransitions"] == [{"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 30}]
        assert (drafts["Prefix"], drafts["ExpirationInDays"]) == ("drafts/", 5)


class TestAccessLogs:
    def test_delivered_to_the_log_bucket_under_the_path(self) -> None:
        stack = new_stack()
        logs = AccessLogBucket(stack, "Logs")
        data = EncryptedBucket(stack, "Data", access_log_bucket=logs)
        buckets = resources_of(stack, "AWS::S3::Bucket")
        logical_id = stack.get_logical_id(data.bucket.node.default_child)  # type: ignore[arg-type]
        assert buckets[logical_id]["Properties"]["LoggingConfiguration"] == {
            "DestinationBucketName": stack.resolve(logs.bucket.bucket_name),
            "LogFilePrefix": "Test/Data/",
        }

    def test_prefix(self) -> None:
        stack = new_stack()
        EncryptedBucket(stack, "Data", access_log_bucket=AccessLogBucket(stack, "Logs"), access_log_prefix="mine/")
        assert '"LogFilePrefix": "mine/"' in json.dumps(template(stack))

    @pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
    def test_log_bucket_of_another_region_is_refused(self, region: str) -> None:
        app = cdk.App()
        here = cdk.Stack(app, "Here", env=cdk.Environment(account="111122223333", region="eu-west-1"))
        there = cdk.Stack(app, "There", env=cdk.Environment(account="111122223333", region=region))
        logs = AccessLogBucket(there, "Logs", bucket_name="acme-logs")
        if region == "eu-west-1":
            EncryptedBucket(here, "Data", access_log_bucket=logs)
            return
        with pytest.raises(ValueError, match=r"Data: access_log_bucket is .*us-east-1.*; allowed: .*eu-west-1"):
            EncryptedBucket(here, "Data", access_log_bucket=logs)


class TestEventsAndCors:
    def test_event_bridge_without_a_lambda_function(self) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", object_events=ObjectEvents.EVENT_BRIDGE))
        assert only(stack, "AWS::S3::Bucket")["NotificationConfiguration"] == {
            "EventBridgeConfiguration": {"EventBridgeEnabled": True}
        }
        assert not resources_of(stack, "AWS::Lambda::Function")

    def test_cors(self) -> None:
        rule = s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["https://example.com"])
        stack = build(lambda stack: EncryptedBucket(stack, "Data", cors=(rule,)))
        assert only(stack, "AWS::S3::Bucket")["CorsConfiguration"] == {
            "CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]}]
        }


class TestGrants:
    def test_a_managed_policy_takes_the_grant(self) -> None:
        stack = new_stack()
        policy = iam.ManagedPolicy(stack, "Reader")
        EncryptedBucket(stack, "Data").grant_read(policy).assert_success()
        assert only(stack, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
        assert not resources_of(stack, "AWS::IAM::Policy")

    @pytest.mark.parametrize("grant", ["grant_read", "grant_write", "grant_read_write", "grant_delete"])
    def test_no_grant_has_a_wildcard_action_or_resource(self, grant: str) -> None:
        stack = new_stack()
        getattr(EncryptedBucket(stack, "Data"), grant)(iam.ManagedPolicy(stack, "Policy"))
        for statement in only(stack, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]:
            assert "*" not in json.dumps(statement["Action"])
            assert statement["Resource"] != "*"

    def test_objects_key_pattern(self) -> None:
        stack = new_stack()
        EncryptedBucket(stack, "Data").grant_delete(iam.ManagedPolicy(stack, "Policy"), objects_key_pattern="reports/*")
        (statement,) = only(stack, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
        assert statement["Resource"]["Fn::Join"][1][-1] == "/reports/*"

    def test_whom_no_policy_can_be_given_is_refused(self) -> None:
        stack = new_stack()
        data = EncryptedBucket(stack, "Data")
        service = iam.ServicePrincipal("glue.amazonaws.com")
        with pytest.raises(ValueError, match=r"Data: grantee is .*; allowed: a role, .*; .* grant_read_to_service"):
            data.grant_read(service)

    def test_whom_a_closed_key_doesnt_name_is_refused(self) -> None:
        stack = new_stack()
        named = iam.Role(stack, "Named", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        other = iam.Role(stack, "Other", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        data = EncryptedBucket(stack, "Data", key=CustomerManagedKey(stack, "Key", users=[named]))
        data.grant_read(named)
        with pytest.raises(ValueError, match=r"Key: grantee is .*; allowed: the key's users; add it to users"):
            data.grant_read(other)

    def test_to_a_service_names_its_source_in_both_policies(self) -> None:
        stack = new_stack()
        distribution = "arn:aws:cloudfront::111122223333:distribution/EXAMPLE"
        EncryptedBucket(stack, "Data").grant_read_to_service("cloudfront.amazonaws.com", source_arns=[distribution])
        condition = {"ArnLike": {"aws:SourceArn": [distribution]}}
        principal = {"Service": "cloudfront.amazonaws.com"}
        in_bucket_policy = only(stack, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"][-1]
        assert (in_bucket_policy["Principal"], in_bucket_policy["Condition"]) == (principal, condition)
        in_key_policy = only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"][-1]
        assert (in_key_policy["Principal"], in_key_policy["Condition"]) == (principal, condition)
        assert in_key_policy["Action"] == "kms:Decrypt"

    def test_to_a_service_warns_where_the_keys_policy_cant_be_changed(self) -> None:
        stack = new_stack()
        data = EncryptedBucket(stack, "Data", key=kms.Key.from_key_arn(stack, "Existing", KEY_ARN))
        data.grant_read_to_service(
            "cloudfront.amazonaws.com", source_arns=["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"]
        )
        Annotations.from_stack(stack).has_warning(
            "/Test/Data", Match.string_like_regexp(r".*lets cloudfront\.amazonaws\.com decrypt.*kms:Decrypt.*")
        )

    def test_the_l2_writes_into_the_same_policy(self) -> None:
        stack = new_stack()
        data = EncryptedBucket(stack, "Data")
        data.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Ours",
                actions=["s3:GetObject"],
                principals=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/reader")],
                resources=[data.bucket.arn_for_objects("*")],
            )
        )
        assert sids(stack)[-1] == "Ours"

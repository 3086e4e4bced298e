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
                "ExpiredObjectDeleteMarker": True,
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

    def test_with_material_of_the_customers_own(self) -> None:
        policy = {"Version": "2012-10-17", "Statement": []}
        stack = build(
            lambda stack: EncryptedBucket(
                stack, "Data", key=kms.CfnKey(stack, "Existing", key_policy=policy, origin="EXTERNAL")
            )
        )
        (key,) = resources_of(stack, "AWS::KMS::Key")
        by_default = default_encryption(stack)["ServerSideEncryptionByDefault"]
        assert by_default == {"KMSMasterKeyID": {"Fn::GetAtt": [key, "Arn"]}, "SSEAlgorithm": "aws:kms"}

    @pytest.mark.parametrize("level", [1, 2])
    @pytest.mark.parametrize(
        ("spec", "usage", "said"),
        [
            (kms.KeySpec.RSA_2048, kms.KeyUsage.ENCRYPT_DECRYPT, "key_spec RSA_2048"),
            (kms.KeySpec.ECC_NIST_P256, kms.KeyUsage.SIGN_VERIFY, "key_spec ECC_NIST_P256"),
            (kms.KeySpec.HMAC_256, kms.KeyUsage.GENERATE_VERIFY_MAC, "key_spec HMAC_256"),
        ],
    )
    def test_that_isnt_symmetric_is_refused(
        self, spec: kms.KeySpec, usage: kms.KeyUsage, said: str, level: int
    ) -> None:
        stack = new_stack()
        whole = kms.Key(stack, "Existing", key_spec=spec, key_usage=usage)
        key: Any = whole if level == 2 else whole.node.default_child
        with pytest.raises(ValueError, match=rf"Data: key is 'a key with {said}'; allowed: a symmetric key .*; make"):
            EncryptedBucket(stack, "Data", key=key)
        assert stack.node.try_find_child("Data") is None

    def test_for_another_usage_is_refused(self) -> None:
        stack = new_stack()
        policy = {"Version": "2012-10-17", "Statement": []}
        key = kms.CfnKey(stack, "Existing", key_policy=policy, key_usage="SIGN_VERIFY")
        with pytest.raises(ValueError, match=r"Data: key is 'a key with key_usage SIGN_VERIFY'; .* ENCRYPT_DECRYPT"):
            EncryptedBucket(stack, "Data", key=key)

    def test_whose_kind_only_the_deployment_knows_passes(self) -> None:
        stack = new_stack()
        kind = cdk.CfnParameter(stack, "Kind").value_as_string
        policy = {"Version": "2012-10-17", "Statement": []}
        EncryptedBucket(stack, "Data", key=kms.CfnKey(stack, "Existing", key_policy=policy, key_spec=kind))

    @pytest.mark.parametrize("arn", [KEY_ARN, FOREIGN_KEY_ARN])
    def test_by_arn_warns_with_the_statement_its_policy_needs(self, arn: str) -> None:
        stack = new_stack(account="111122223333", region="eu-west-1")
        EncryptedBucket(stack, "Data", key=kms.Key.from_key_arn(stack, "Existing", arn))
        (message,) = [
            str(entry.data) for entry in stack.node.find_child("Data").node.metadata if entry.type == "aws:cdk:warning"
        ]
        assert "can't be changed from here" in message
        (statement,) = json.loads(message[message.index("[{") : message.rindex("}]") + 2])
        # Nothing of it may depend on where it is pasted.
        assert statement == {
            "Sid": "AccountUsesKeyThroughS3",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"kms:CallerAccount": "111122223333", "kms:ViaService": "s3.eu-west-1.amazonaws.com"}
            },
        }

    def test_of_this_app_doesnt_warn(self) -> None:
        stack = build(lambda stack: EncryptedBucket(stack, "Data", key=kms.Key(stack, "Existing")))
        Annotations.from_stack(stack).has_no_warning("*", Match.any_value())

    @pytest.mark.parametrize(("account", "region"), [("111122223333", "us-east-1"), ("444455556666", "eu-west-1")])
    def test_managed_key_of_another_environment_is_refused(self, account: str, region: str) -> None:
        app = cdk.App()
        there = cdk.Stack(app, "There", env=cdk.Environment(account=account, region=region))
        here = cdk.Stack(app, "Here", env=cdk.Environment(account="111122223333", region="eu-west-1"))
        key = CustomerManagedKey(there, "Key", alias_name="alias/acme")
        with pytest.raises(ValueError, match=rf"Data: key is 'in account {account}, Region {region}'; allowed: one in"):
            EncryptedBucket(here, "Data", key=key)

    def test_bound_to_another_bucket_is_refused(self) -> None:
        stack = new_stack()
        key = CustomerManagedKey(stack, "Key", bucket_arns=["arn:aws:s3:::acme-one"])
        EncryptedBucket(stack, "One", key=key, bucket_name="acme-one")
        for name in ("acme-two", None):
            with pytest.raises(
                ValueError, match=r"Key: bucket_arns is .*; allowed: a list with the ARN of each bucket"
            ):
                EncryptedBucket(stack, "Two", key=key, bucket_name=name)

    @pytest.mark.parametrize("key", ["alias/acme", KEY_ARN, 7])
    def test_no_key_is_refused(self, key: Any) -> None:  # noqa: ANN401 - anything but a key
        with pytest.raises(ValueError, match=r"Data: key is .*; allowed: a CustomerManagedKey or a key of aws_kms"):
            EncryptedBucket(new_stack(), "Data", key=key)

    def test_a_refused_key_leaves_nothing_behind(self) -> None:
        stack = new_stack()
        alias = kms.Alias(stack, "Alias", alias_name="alias/mine", target_key=kms.Key(stack, "Existing"))
        with pytest.raises(ValueError, match="an alias"):
            EncryptedBucket(stack, "Data", key=alias)
        EncryptedBucket(stack, "Data")

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
        with pytest.raises(ValueError, match=r"Data: key is .*; allowed: nothing together with SSE_S3; leave one"):
            EncryptedBucket(stack, "Data", key=kms.Key(stack, "Key"), encryption=ServerSideEncryption.SSE_S3)


class TestOwnKey:
    OPTIONS: dict[str, Any] = {  # noqa: RUF012
        "key_administrators": [iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")],
        "key_users": [iam.ArnPrincipal("arn:aws:iam::111122223333:role/application")],
        "key_alias_name": "alias/acme",
        "key_rotation_period": cdk.Duration.days(180),
        "key_pending_window": cdk.Duration.days(7),
    }

    def test_its_options_change_it_in_place(self) -> None:
        plain = build(lambda stack: EncryptedBucket(stack, "Data"))
        chosen = build(lambda stack: EncryptedBucket(stack, "Data", **self.OPTIONS))
        assert template(plain)["Resources"].keys() == template(chosen)["Resources"].keys()
        key = only(chosen, "AWS::KMS::Key")
        assert (key["RotationPeriodInDays"], key["PendingWindowInDays"]) == (180, 7)
        assert only(chosen, "AWS::KMS::Alias")["AliasName"] == "alias/acme"
        assert {"AdministratorsCannotUseKey", "UsersCannotAdministerKey"} <= {
            each["Sid"] for each in key["KeyPolicy"]["Statement"]
        }

    @pytest.mark.parametrize("option", OPTIONS)
    def test_with_an_existing_key_or_none_they_contradict(self, option: str) -> None:
        arguments = {option: self.OPTIONS[option]}
        stack = new_stack()
        with pytest.raises(ValueError, match=rf"Data: {option} is .*; allowed: nothing together with key; leave one"):
            EncryptedBucket(stack, "Data", key=kms.Key(stack, "Key"), **arguments)
        with pytest.raises(ValueError, match=rf"Data: {option} is .*; allowed: nothing together with SSE_S3; leave"):
            EncryptedBucket(stack, "Data", encryption=ServerSideEncryption.SSE_S3, **arguments)


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
        archive = s3.LifecycleRule(
            id="Archive",
            transitions=[s3.Transition(storage_class=s3.StorageClass.GLACIER, transition_after=cdk.Duration.days(90))],
            noncurrent_version_transitions=[
                s3.NoncurrentVersionTransition(
                    storage_class=s3.StorageClass.DEEP_ARCHIVE, transition_after=cdk.Duration.days(30)
                )
            ],
        )
        stack = build(
            lambda stack: EncryptedBucket(
                stack,
                "Data",
                noncurrent_version_expiration=cdk.Duration.days(400),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(2),
                lifecycle_rules=(archive,),
            )
        )
        own, archived = only(stack, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
        assert own["NoncurrentVersionExpiration"] == {"NoncurrentDays": 400}
        assert own["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
        assert archived["Transitions"] == [{"StorageClass": "GLACIER", "TransitionInDays": 90}]
        assert archived["NoncurrentVersionTransitions"] == [{"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 30}]

    @pytest.mark.parametrize("ids", [["Retention"], ["A", "A"], [None]])
    def test_rules_without_an_id_of_their_own_are_refused(self, ids: list[str | None]) -> None:
        rules = [s3.LifecycleRule(id=each, expiration=cdk.Duration.days(1)) for each in ids]
        with pytest.raises(ValueError, match=r"Data: lifecycle_rules is .*; allowed: rules with ids that differ"):
            EncryptedBucket(new_stack(), "Data", lifecycle_rules=rules)


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

    @pytest.mark.parametrize("id", ["My Data", "Däta", "Data:1"])
    def test_default_prefix_of_any_id(self, id: str) -> None:  # noqa: A002
        stack = new_stack()
        EncryptedBucket(stack, id, access_log_bucket=AccessLogBucket(stack, "Logs"))
        assert '"LogFilePrefix": "Test/' in json.dumps(template(stack))

    def test_two_buckets_under_one_prefix_are_refused(self) -> None:
        stack = new_stack()
        logs = AccessLogBucket(stack, "Logs")
        EncryptedBucket(stack, "One", access_log_bucket=logs, access_log_prefix="same/")
        with pytest.raises(ValueError, match=r"Logs: prefix is 'same/'; allowed: a prefix that no other source has"):
            EncryptedBucket(stack, "Two", access_log_bucket=logs, access_log_prefix="same/")

    @pytest.mark.parametrize("value", ["acme-logs", 7])
    def test_no_log_bucket_is_refused(self, value: Any) -> None:  # noqa: ANN401 - anything but a log bucket
        with pytest.raises(ValueError, match=r"Data: access_log_bucket is .*; allowed: an AccessLogBucket; pass one"):
            EncryptedBucket(new_stack(), "Data", access_log_bucket=value)

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

    def test_event_bridge_and_the_l2s_notifications_exclude_each_other(self) -> None:
        stack = new_stack()
        data = EncryptedBucket(stack, "Data", object_events=ObjectEvents.EVENT_BRIDGE)
        data.bucket.enable_event_bridge_notification()
        with pytest.raises(RuntimeError, match="object_events is EVENT_BRIDGE, and notifications of the bucket's L2"):
            template(stack)

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

    def test_deleting_needs_no_key(self) -> None:
        stack = new_stack()
        named = iam.ArnPrincipal("arn:aws:iam::111122223333:role/named")
        other = iam.Role(stack, "Other", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"), role_name="other")
        EncryptedBucket(stack, "Data", key_users=[named]).grant_delete(other)

    def test_an_administrator_of_the_key_is_refused(self) -> None:
        stack = new_stack()
        role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        data = EncryptedBucket(stack, "Data", key_administrators=[role])
        with pytest.raises(ValueError, match=r"Key: grantee is .*; allowed: principals that aren't administrators"):
            data.grant_read(role)

    def test_a_user_named_by_its_arn_gets_its_grant(self) -> None:
        app = cdk.App()
        there, here = cdk.Stack(app, "There"), cdk.Stack(app, "Here")
        role = iam.Role(there, "Worker", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"), role_name="worker")
        data = EncryptedBucket(here, "Data", key_users=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/worker")])
        data.grant_read(role)
        app.synth()

    def test_of_another_account_is_refused(self) -> None:
        stack = new_stack(account="111122223333", region="eu-west-1")
        role = iam.Role.from_role_arn(stack, "Foreign", "arn:aws:iam::444455556666:role/foreign")
        with pytest.raises(ValueError, match=r"Data: grantee is 'a principal of account 444455556666'; allowed:"):
            EncryptedBucket(stack, "Data").grant_read(role)

    @pytest.mark.parametrize("grantee", ["role", None, 7])
    def test_no_grantee_is_refused(self, grantee: Any) -> None:  # noqa: ANN401 - anything but a grantee
        with pytest.raises(ValueError, match=r"Data: grantee is .*; allowed: a role, user, group or managed policy"):
            EncryptedBucket(new_stack(), "Data").grant_read(grantee)

    def test_in_another_region_names_the_buckets_region(self) -> None:
        app = cdk.App()
        here = cdk.Stack(app, "Here", env=cdk.Environment(account="111122223333", region="eu-west-1"))
        there = cdk.Stack(app, "There", env=cdk.Environment(account="111122223333", region="us-east-1"))
        role = iam.ManagedPolicy(there, "Policy")
        EncryptedBucket(here, "Data", bucket_name="acme", key_alias_name="alias/acme").grant_read(role)
        assert "s3.eu-west-1.amazonaws.com" in json.dumps(app.synth().get_stack_by_name("There").template)

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

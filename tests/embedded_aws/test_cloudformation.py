"""Contract: CloudFormation carries out what a template says, or refuses it with a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.embedded_aws.account import Account, refused

if TYPE_CHECKING:
    from typing import Any

_BLOCKED = {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}


class TestBucketPropertiesAreCarriedOut:
    @pytest.mark.parametrize(
        ("operation", "template", "read", "changed_template", "changed"),
        [
            pytest.param(
                "encryption",
                {
                    "BucketEncryption": {
                        "ServerSideEncryptionConfiguration": [
                            {
                                "BucketKeyEnabled": True,
                                "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
                            }
                        ]
                    }
                },
                {
                    "Rules": [
                        {
                            "BucketKeyEnabled": True,
                            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
                        }
                    ]
                },
                {
                    "BucketEncryption": {
                        "ServerSideEncryptionConfiguration": [
                            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": "k"}}
                        ]
                    }
                },
                {
                    "Rules": [
                        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": "k"}}
                    ]
                },
                id="BucketEncryption",
            ),
            pytest.param(
                "lifecycle_configuration",
                {
                    "LifecycleConfiguration": {
                        "Rules": [
                            {
                                "Id": "old",
                                "Status": "Enabled",
                                "Prefix": "a/",
                                "TagFilters": [{"Key": "k", "Value": "v"}],
                                "ExpirationInDays": 40,
                                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                                "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 2},
                                "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 30}],
                                "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER", "TransitionInDays": 31}],
                            }
                        ]
                    }
                },
                [
                    {
                        "ID": "old",
                        "Status": "Enabled",
                        "Filter": {
                            "And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 0}
                        },
                        "Expiration": {"Days": 40},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 2},
                        "Transitions": [{"StorageClass": "GLACIER", "Days": 30}],
                        "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER", "NoncurrentDays": 31}],
                    }
                ],
                {
                    "LifecycleConfiguration": {
                        "Rules": [{"Status": "Enabled", "Id": "all", "ExpiredObjectDeleteMarker": True}]
                    }
                },
                [
                    {
                        "ID": "all",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "Expiration": {"ExpiredObjectDeleteMarker": True},
                    }
                ],
                id="LifecycleConfiguration",
            ),
            pytest.param(
                "logging",
                {"LoggingConfiguration": {"DestinationBucketName": "logs", "LogFilePrefix": "a/"}},
                {"TargetBucket": "logs", "TargetPrefix": "a/"},
                {"LoggingConfiguration": {"DestinationBucketName": "others"}},
                {"TargetBucket": "others", "TargetPrefix": ""},
                id="LoggingConfiguration",
            ),
            pytest.param(
                "ownership_controls",
                {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}},
                {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
                {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
                {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                id="OwnershipControls",
            ),
            pytest.param(
                "public_access_block",
                {"PublicAccessBlockConfiguration": _BLOCKED},
                _BLOCKED,
                {"PublicAccessBlockConfiguration": _BLOCKED | {"BlockPublicAcls": False}},
                _BLOCKED | {"BlockPublicAcls": False},
                id="PublicAccessBlockConfiguration",
            ),
            pytest.param(
                "versioning",
                {"VersioningConfiguration": {"Status": "Enabled"}},
                "Enabled",
                {"VersioningConfiguration": {"Status": "Suspended"}},
                "Suspended",
                id="VersioningConfiguration",
            ),
            pytest.param(
                "cors",
                {
                    "CorsConfiguration": {
                        "CorsRules": [
                            {
                                "Id": "web",
                                "AllowedMethods": ["GET"],
                                "AllowedOrigins": ["*"],
                                "ExposedHeaders": ["ETag"],
                                "MaxAge": 30,
                            }
                        ]
                    }
                },
                [
                    {
                        "ID": "web",
                        "AllowedMethods": ["GET"],
                        "AllowedOrigins": ["*"],
                        "ExposeHeaders": ["ETag"],
                        "MaxAgeSeconds": 30,
                    }
                ],
                {"CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}]}},
                [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}],
                id="CorsConfiguration",
            ),
            pytest.param(
                "notification_configuration",
                {"NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}},
                {},
                {"NotificationConfiguration": {}},
                None,
                id="NotificationConfiguration",
            ),
            pytest.param(
                "tagging",
                {"Tags": [{"Key": "team", "Value": "a"}]},
                {"team": "a"},
                {"Tags": [{"Key": "team", "Value": "b"}]},
                {"team": "b"},
                id="Tags",
            ),
        ],
    )
    def test_created_and_updated(  # noqa: PLR0917
        self,
        account: Account,
        operation: str,
        template: dict[str, Any],
        read: object,
        changed_template: dict[str, Any],
        changed: object,
    ) -> None:
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": template}})
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        bucket = account.physical_id(stack, "Bucket")
        assert _read(account, operation, bucket) == read
        account.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": changed_template}}, stack=stack)
        assert account.status(stack) == "UPDATE_COMPLETE", account.failures(stack)
        assert account.physical_id(stack, "Bucket") == bucket
        assert _read(account, operation, bucket) == changed

    def test_what_a_template_no_longer_says_is_taken_back(self, account: Account) -> None:
        key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}
        properties = {
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": key}]},
            "LoggingConfiguration": {"DestinationBucketName": "logs"},
            "VersioningConfiguration": {"Status": "Enabled"},
        }
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
        account.deploy({"Bucket": {"Type": "AWS::S3::Bucket"}}, stack=stack)
        bucket = account.physical_id(stack, "Bucket")
        rule = account.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        assert "LoggingEnabled" not in account.s3.get_bucket_logging(Bucket=bucket)
        assert account.s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"

    def test_object_lock(self, account: Account) -> None:
        retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
        lock = {"ObjectLockEnabled": "Enabled", "Rule": retention}
        properties = {
            "ObjectLockEnabled": True,
            "ObjectLockConfiguration": lock,
            "VersioningConfiguration": {"Status": "Enabled"},
        }
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
        bucket = account.physical_id(stack, "Bucket")
        assert account.s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == lock
        account.deploy({"Bucket": {"Type": "AWS::S3::Bucket"}}, stack=stack)
        assert "Object Lock can't be taken off a bucket" in account.failures(stack)[-1]

    @pytest.mark.parametrize(
        ("properties", "name"),
        [
            ({"BucketName": "given"}, "given"),
            ({"BucketNamePrefix": "pre", "BucketNamespace": "account-regional"}, "pre-111122223333-eu-central-1-an"),
        ],
    )
    def test_its_name(self, account: Account, properties: dict[str, Any], name: str) -> None:
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
        assert account.physical_id(stack, "Bucket") == name
        assert account.delete(stack) == "DELETE_COMPLETE"

    @pytest.mark.parametrize(
        ("properties", "sentence"),
        [
            ({"BucketNamePrefix": "pre"}, "BucketNamePrefix needs BucketNamespace account-regional"),
            ({"BucketName": "x-y", "BucketNamespace": "account-regional"}, "ends in -111122223333-eu-central-1-an"),
            (
                {"BucketEncryption": {"ServerSideEncryptionConfiguration": [{"NewThing": True}]}},
                'Unknown parameter in ServerSideEncryptionConfiguration.Rules[0]: "NewThing"',
            ),
        ],
    )
    def test_what_s3_would_refuse(self, account: Account, properties: dict[str, Any], sentence: str) -> None:
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
        assert sentence in account.failures(stack)[0]


class TestBucketsWithObjectsStay:
    def test_until_they_are_empty(self, account: Account) -> None:
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket"}})
        bucket = account.physical_id(stack, "Bucket")
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        assert account.delete(stack) == "DELETE_FAILED"
        assert "BucketNotEmpty" in account.failures(stack)[0]
        account.s3.delete_object(Bucket=bucket, Key="a")
        assert account.delete(stack) == "DELETE_COMPLETE"


class TestWhatIsntCarriedOutIsRefused:
    @pytest.mark.parametrize(
        ("resource", "sentence"),
        [
            ({"Type": "AWS::SQS::Queue"}, "the embedded AWS doesn't carry out AWS::SQS::Queue"),
            ({"Type": "Custom::Thing", "Properties": {"ServiceToken": "x"}}, "of Lambda functions only, not of 'x'"),
            (
                {"Type": "AWS::S3::Bucket", "Properties": {"InventoryConfigurations": [], "WebsiteConfiguration": {}}},
                "doesn't carry out AWS::S3::Bucket: InventoryConfigurations, WebsiteConfiguration",
            ),
            (
                {"Type": "AWS::S3::Bucket", "Properties": {"AccessControl": "PublicRead"}},
                "carries out AWS::S3::Bucket: AccessControl only as Private, not as PublicRead",
            ),
            (
                {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}, "BypassPolicyLockoutSafetyCheck": True}},
                "doesn't carry out AWS::KMS::Key: BypassPolicyLockoutSafetyCheck",
            ),
            (
                {
                    "Type": "AWS::KMS::Key",
                    "Properties": {"KeyPolicy": {"Statement": {"Effect": "Deny", "NotPrincipal": {"AWS": "x"}}}},
                },
                "doesn't evaluate NotPrincipal in a policy of AWS::KMS::Key",
            ),
            (
                {
                    "Type": "AWS::S3::BucketPolicy",
                    "Properties": {
                        "Bucket": "x",
                        "PolicyDocument": {"Statement": [{"Effect": "Deny", "Condition": {"StringEqual": {"a": "b"}}}]},
                    },
                },
                "doesn't evaluate the condition operator StringEqual in a policy of AWS::S3::BucketPolicy",
            ),
        ],
    )
    def test_with_a_sentence(self, account: Account, resource: dict[str, Any], sentence: str) -> None:
        stack = account.deploy({"Resource": resource})
        assert account.status(stack) == "ROLLBACK_COMPLETE"
        assert sentence in account.failures(stack)[0]

    def test_in_an_update_as_well(self, account: Account) -> None:
        stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket"}})
        website = {"Type": "AWS::S3::Bucket", "Properties": {"WebsiteConfiguration": {}}}
        account.deploy({"Bucket": website}, stack=stack)
        assert account.status(stack) == "UPDATE_ROLLBACK_COMPLETE"
        assert "WebsiteConfiguration" in account.failures(stack)[0]


class TestStacksAreFoundByTheirResources:
    def test_by_the_physical_id_of_one(self, account: Account) -> None:
        describe = account.cloudformation.describe_stack_resources
        key = {"Type": "AWS::KMS::Key", "Properties": {"MultiRegion": True}}
        stack = account.deploy({"Key": key, "Logs": {"Type": "AWS::Logs::LogGroup"}})
        account.deploy({"Key": key})
        physical_id = account.physical_id(stack, "Key")
        found = describe(PhysicalResourceId=physical_id)["StackResources"]
        assert {(each["StackName"], each["LogicalResourceId"]) for each in found} == {(stack, "Key"), (stack, "Logs")}
        types = {each["ResourceType"] for each in found if each["PhysicalResourceId"] == physical_id}
        assert types == {"AWS::KMS::Key"}
        assert found == describe(StackName=stack)["StackResources"]

    def test_not_in_another_region_nor_what_no_stack_has(self, account: Account) -> None:
        stack = account.deploy({"Logs": {"Type": "AWS::Logs::LogGroup"}})
        physical_id = account.physical_id(stack, "Logs")
        elsewhere = account.aws.client("cloudformation", region="eu-west-1").describe_stack_resources
        assert refused(elsewhere, PhysicalResourceId=physical_id) == "ValidationError"
        describe = account.cloudformation.describe_stack_resources
        assert refused(describe, PhysicalResourceId=account.key()) == "ValidationError"
        assert refused(describe, PhysicalResourceId=physical_id, StackName=stack) == "ValidationError"


class TestRolesHaveTheirBoundary:
    def test_created_updated_and_bound(self, account: Account) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": account.root_arn}, "Action": "sts:AssumeRole"}
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        only_s3 = _document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
        boundary = account.iam.create_policy(PolicyName=account.name("boundary"), PolicyDocument=json.dumps(only_s3))
        properties = {
            "AssumeRolePolicyDocument": _document(trust),
            "Policies": [{"PolicyName": "all", "PolicyDocument": _document(everything)}],
        }
        bound = properties | {"PermissionsBoundary": boundary["Policy"]["Arn"]}
        stack = account.deploy({"Role": {"Type": "AWS::IAM::Role", "Properties": bound}})
        role = f"{account.root_arn.removesuffix(':root')}:role/{account.physical_id(stack, 'Role')}"
        kms = account.aws.client("kms", credentials=account.aws.assume_role(role))
        assert refused(kms.list_keys) == "AccessDeniedException"
        account.deploy({"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}, stack=stack)
        assert refused(kms.list_keys) == ""

    def test_a_policy_for_a_role_that_is_not_there(self, account: Account) -> None:
        document = _document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
        properties = {"PolicyDocument": document, "Roles": ["nobody"]}
        stack = account.deploy({"Policy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}})
        assert "The role with name nobody cannot be found" in account.failures(stack)[0]


class TestAliasesAreUniqueAndPointSomewhere:
    def test_a_taken_name(self, account: Account) -> None:
        name, key = f"alias/{account.name('taken')}", account.key()
        account.kms.create_alias(AliasName=name, TargetKeyId=key)
        stack = account.deploy({"Alias": _alias(name, account.key())})
        assert f"an alias with the name {name} already exists" in account.failures(stack)[0]
        assert account.kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key

    def test_no_key(self, account: Account) -> None:
        stack = account.deploy({"Alias": _alias(f"alias/{account.name('none')}", "none")})
        assert "TargetKeyId 'none' names no key here" in account.failures(stack)[0]


class TestKeys:
    """MiniStack's own: read back because the library's promises are in these properties."""

    def test_created_updated_and_deleted(self, account: Account) -> None:
        policy = _document(
            {"Effect": "Allow", "Principal": {"AWS": account.root_arn}, "Action": "kms:*", "Resource": "*"}
        )
        properties = {
            "Description": "one",
            "EnableKeyRotation": True,
            "RotationPeriodInDays": 90,
            "KeyPolicy": policy,
            "MultiRegion": True,
            "PendingWindowInDays": 7,
            "Tags": [{"Key": "team", "Value": "a"}],
        }
        stack = account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": properties}})
        key = account.physical_id(stack, "Key")
        metadata = account.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert (metadata["Description"], metadata["MultiRegion"], metadata["KeyState"]) == ("one", True, "Enabled")
        rotation = account.kms.get_key_rotation_status(KeyId=key)
        assert (rotation["KeyRotationEnabled"], rotation["RotationPeriodInDays"]) == (True, 90)
        assert json.loads(account.kms.get_key_policy(KeyId=key)["Policy"]) == policy
        tags = account.kms.list_resource_tags(KeyId=key)["Tags"]
        assert {"TagKey": "team", "TagValue": "a"} in tags

        changed = properties | {"RotationPeriodInDays": 200, "Enabled": False}
        account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": changed}}, stack=stack)
        assert account.physical_id(stack, "Key") == key
        assert account.kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 200
        assert account.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"

        account.delete(stack)
        metadata = account.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert metadata["KeyState"] == "PendingDeletion"
        assert (metadata["DeletionDate"] - metadata["CreationDate"]).days in {6, 7}


def _read(account: Account, operation: str, bucket: str) -> object:
    """A bucket's configuration, without the envelope and what CloudFormation or S3 adds by itself."""
    name = "get_public_access_block" if operation == "public_access_block" else f"get_bucket_{operation}"
    answer = getattr(account.s3, name)(Bucket=bucket)
    match operation:
        case "notification_configuration":
            return answer.get("EventBridgeConfiguration")
        case "tagging":
            return {tag["Key"]: tag["Value"] for tag in answer["TagSet"] if not tag["Key"].startswith("aws:")}
        case "lifecycle_configuration":
            return answer["Rules"]
        case _:
            (content,) = (answer[name] for name in answer if name not in {"ResponseMetadata", "MFADelete"})
            return content


def _document(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def _alias(name: str, key: str) -> dict[str, Any]:
    return {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": name, "TargetKeyId": key}}

"""Contract: who is bound by which policy, and the condition keys of a request."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.embedded_aws.account import Account, refused

if TYPE_CHECKING:
    from typing import Any

_SSE = "s3:x-amz-server-side-encryption"
_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class TestRootIsBoundByPolicies:
    def test_a_bucket_policy_denies_the_root(self, account: Account) -> None:
        bucket = account.bucket()
        account.deny(bucket, {"Null": {"aws:PrincipalArn": "false"}}, action="s3:*")
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x") == "AccessDenied"

    def test_the_root_can_always_take_the_policy_away(self, account: Account) -> None:
        bucket = account.bucket()
        account.deny(bucket, {"Null": {"aws:PrincipalArn": "false"}}, action="s3:*")
        account.s3.delete_bucket_policy(Bucket=bucket)
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")

    def test_a_key_policy_that_leaves_the_root_out_shuts_it_out(self, account: Account) -> None:
        other = {"AWS": f"{account.root_arn.removesuffix(':root')}:user/other"}
        key = account.key_without_delegation(
            {"Effect": "Allow", "Principal": other, "Action": "kms:*", "Resource": "*"}
        )
        assert refused(account.kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


class TestPrincipalConditionKeys:
    @pytest.fixture
    def role(self, account: Account) -> str:
        name = account.name("role")
        trust = {"Effect": "Allow", "Principal": {"AWS": account.root_arn}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = account.iam.create_role(RoleName=name, Path="/team/", AssumeRolePolicyDocument=document)["Role"]
        document = json.dumps({"Version": "2012-10-17", "Statement": [_EVERYTHING]})
        account.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document)
        arn: str = role["Arn"]
        return arn

    def test_the_arn_of_a_role_session_is_the_roles(self, account: Account, role: str) -> None:
        bucket = account.bucket()
        account.deny(bucket, {"ArnNotEquals": {"aws:PrincipalArn": role}})
        s3 = account.aws.client("s3", credentials=account.aws.assume_role(role))
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x") == "AccessDenied"

    @pytest.mark.parametrize(
        "condition",
        [
            {"Bool": {"aws:PrincipalIsAWSService": "false"}},
            {"Bool": {"aws:ViaAWSService": "false"}},
            {"StringEquals": {"aws:PrincipalType": "Account"}},
        ],
    )
    def test_the_root_is_an_account_and_no_service(self, account: Account, condition: dict[str, Any]) -> None:
        bucket = account.bucket()
        account.deny(bucket, condition)
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x") == "AccessDenied"


class TestS3ConditionKeys:
    def test_the_key_id_is_the_header_verbatim(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        condition_key = f"{_SSE}-aws-kms-key-id"
        account.deny(bucket, {"Null": {condition_key: "false"}, "StringNotEquals": {condition_key: key}})

        def put(**headers: str) -> str:
            return refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x", **headers)

        assert put() == ""
        assert put(ServerSideEncryption="aws:kms", SSEKMSKeyId=key) == ""
        assert put(ServerSideEncryption="aws:kms", SSEKMSKeyId=account.key()) == "AccessDenied"
        assert put(ServerSideEncryption="aws:kms", SSEKMSKeyId=key.rpartition("/")[2]) == "AccessDenied"

    def test_a_customer_provided_key_is_seen(self, account: Account) -> None:
        bucket = account.bucket()
        account.deny(bucket, {"Null": {f"{_SSE}-customer-algorithm": "false"}})
        sse_c = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x") == ""
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x", **sse_c) == "AccessDenied"

    def test_the_headers_of_an_upload_are_those_of_its_start(self, account: Account) -> None:
        bucket = account.bucket(key=account.key())
        account.deny(bucket, {"StringEquals": {_SSE: "AES256"}})
        start = account.s3.create_multipart_upload
        assert refused(start, Bucket=bucket, Key="a", ServerSideEncryption="AES256") == "AccessDenied"

    def test_a_part_has_no_encryption_headers(self, account: Account) -> None:
        bucket = account.bucket()
        upload = account.s3.create_multipart_upload(Bucket=bucket, Key="a", ServerSideEncryption="AES256")["UploadId"]
        account.deny(bucket, {"Null": {_SSE: "false"}})
        part = account.s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"x")
        account.s3.complete_multipart_upload(
            Bucket=bucket,
            Key="a",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )

    @pytest.mark.parametrize(
        "condition",
        [
            {"StringEquals": {"s3:authType": "REST-HEADER"}},
            {"NumericLessThan": {"s3:signatureAge": "60000"}},
        ],
    )
    def test_how_and_when_it_was_signed(self, account: Account, condition: dict[str, Any]) -> None:
        bucket = account.bucket()
        account.deny(bucket, condition)
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x") == "AccessDenied"


class TestKmsResourceIsTheKey:
    def test_a_request_by_alias_is_checked_on_the_key(self, account: Account) -> None:
        key, alias = account.key(), f"alias/{account.name('alias')}"
        account.kms.create_alias(AliasName=alias, TargetKeyId=key)
        on_key = account.user({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": key}, service="kms")
        elsewhere = account.user({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": account.key()}, service="kms")
        on_key.encrypt(KeyId=alias, Plaintext=b"x")
        assert refused(elsewhere.encrypt, KeyId=alias, Plaintext=b"x") == "AccessDeniedException"

    def test_listing_aliases_is_about_the_account(self, account: Account) -> None:
        administration = {
            "Effect": "Allow",
            "Principal": {"AWS": account.root_arn},
            "Action": ["kms:PutKeyPolicy", "kms:CreateAlias"],
            "Resource": "*",
        }
        key, alias = account.key_without_delegation(administration), f"alias/{account.name('alias')}"
        account.kms.create_alias(AliasName=alias, TargetKeyId=key)
        allowed = account.user({"Effect": "Allow", "Action": "kms:ListAliases", "Resource": "*"}, service="kms")
        assert [each["AliasName"] for each in allowed.list_aliases(KeyId=key)["Aliases"]] == [alias]
        assert refused(account.kms.describe_key, KeyId=alias) == "AccessDeniedException"

    def test_multi_region_ciphertext_names_its_key(self, account: Account) -> None:
        key = account.key(MultiRegion=True)
        blob = account.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        allowed = account.user({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}, service="kms")
        assert allowed.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        everywhere = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
        but_here = {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": key}
        denied = account.user(everywhere, but_here, service="kms")
        assert refused(denied.decrypt, CiphertextBlob=blob) == "AccessDeniedException"


class TestKmsConditionKeys:
    def test_the_encryption_context(self, account: Account) -> None:
        condition = {"StringEquals": {"kms:EncryptionContext:purpose": "invoices"}}
        statement = {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*", "Condition": condition}
        key, kms = account.key(), account.user(statement, service="kms")
        kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"purpose": "invoices"})
        for context in ({}, {"purpose": "other"}):
            encrypt = {"KeyId": key, "Plaintext": b"x", "EncryptionContext": context}
            assert refused(kms.encrypt, **encrypt) == "AccessDeniedException"

    def test_a_grant_by_a_caller_is_for_no_aws_resource(self, account: Account) -> None:
        key = account.key(
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "false"}},
            }
        )
        grant = {"KeyId": key, "GranteePrincipal": account.root_arn, "Operations": ["Decrypt"]}
        assert refused(account.kms.create_grant, **grant) == "AccessDeniedException"
        account.kms.create_grant(**grant | {"KeyId": account.key()})

    @pytest.mark.parametrize(
        ("condition", "answer"),
        [
            ({"StringEquals": {"kms:CallerAccount": "111122223333"}}, ""),
            ({"StringEquals": {"kms:CallerAccount": "444455556666"}}, "AccessDeniedException"),
            ({"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}, "AccessDeniedException"),
            ({"Bool": {"kms:MultiRegion": "false"}}, ""),
        ],
    )
    def test_the_caller_and_the_key(self, account: Account, condition: dict[str, Any], answer: str) -> None:
        statement = {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*", "Condition": condition}
        key, kms = account.key(), account.user(statement, service="kms")
        assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == answer


class TestOrdinaryPrincipals:
    """MiniStack's own: kept here because everything else rests on it."""

    def test_a_key_policy_delegates_to_iam(self, account: Account) -> None:
        key = account.key()
        statement = {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": key}
        account.user(statement, service="kms").encrypt(KeyId=key, Plaintext=b"x")
        nobody = account.user(service="kms")
        assert refused(nobody.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"

    def test_without_delegation_iam_says_nothing(self, account: Account) -> None:
        admin_only = {
            "Effect": "Allow",
            "Principal": {"AWS": account.root_arn},
            "Action": "kms:Describe*",
            "Resource": "*",
        }
        key = account.key_without_delegation(admin_only)
        kms = account.user(_EVERYTHING, service="kms")
        assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
        kms.describe_key(KeyId=key)

    def test_a_deny_in_a_key_policy_wins(self, account: Account) -> None:
        key = account.key({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*"})
        kms = account.user(_EVERYTHING, service="kms")
        assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
        assert base64.b64encode(kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"])

    def test_a_bucket_policy_denies_a_user_with_every_permission(self, account: Account) -> None:
        bucket = account.bucket()
        s3 = account.user(_EVERYTHING)
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        account.deny(bucket, {"StringEquals": {_SSE: "AES256"}})
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        put = {"Bucket": bucket, "Key": "a", "Body": b"x", "ServerSideEncryption": "AES256"}
        assert refused(s3.put_object, **put) == "AccessDenied"

"""Contract: which key an object gets, and who may use that key through S3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import urllib3

from devtools.embedded_aws.server import Credentials
from tests.embedded_aws.account import Account, refused

if TYPE_CHECKING:
    from typing import Any

_SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


class TestWritesAreEncryptedAsS3Does:
    def test_without_headers_under_the_buckets_key_with_its_bucket_key(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        put = account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        for answer in (put, account.s3.head_object(Bucket=bucket, Key="a")):
            assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"], answer["BucketKeyEnabled"]) == (
                "aws:kms",
                key,
                True,
            )

    def test_a_bucket_without_configuration_has_sse_s3(self, account: Account) -> None:
        answer = account.s3.put_object(Bucket=account.bucket(), Key="a", Body=b"x")
        assert answer["ServerSideEncryption"] == "AES256"
        assert "SSEKMSKeyId" not in answer

    def test_kms_without_a_key_means_the_aws_managed_key(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        answer = account.s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="aws:kms")
        managed = account.kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
        assert answer["SSEKMSKeyId"] == managed["Arn"] != key
        assert managed["KeyManager"] == "AWS"
        assert account.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyManager"] == "CUSTOMER"

    @pytest.mark.parametrize(
        ("headers", "stored"),
        [
            ({"ServerSideEncryption": "AES256"}, ("AES256", None, None)),
            ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{arn}"}, ("aws:kms", "{arn}", True)),
            ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{id}"}, ("aws:kms", "{arn}", True)),
            ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{alias}"}, ("aws:kms", "{arn}", True)),
            ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{other}"}, ("aws:kms", "{other}", True)),
            (
                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{arn}", "BucketKeyEnabled": False},
                ("aws:kms", "{arn}", None),
            ),
            ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "{arn}"}, ("aws:kms:dsse", "{arn}", None)),
        ],
    )
    def test_with_headers_as_they_say(
        self, account: Account, headers: dict[str, Any], stored: tuple[str, str | None, bool | None]
    ) -> None:
        key, alias = account.key(), f"alias/{account.name('alias')}"
        account.kms.create_alias(AliasName=alias, TargetKeyId=key)
        words = {"arn": key, "id": key.rpartition("/")[2], "alias": alias, "other": account.key()}
        headers = {name: value.format(**words) if isinstance(value, str) else value for name, value in headers.items()}
        answer = account.s3.put_object(Bucket=account.bucket(key=key), Key="a", Body=b"x", **headers)
        algorithm, expected, bucket_key = stored
        assert answer["ServerSideEncryption"] == algorithm
        assert answer.get("SSEKMSKeyId") == (expected and expected.format(**words))
        assert answer.get("BucketKeyEnabled") == bucket_key

    def test_dsse_as_the_default_has_no_bucket_key(self, account: Account) -> None:
        key = account.key()
        answer = account.s3.put_object(Bucket=account.bucket(key=key, algorithm="aws:kms:dsse"), Key="a", Body=b"x")
        assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms:dsse", key)
        assert "BucketKeyEnabled" not in answer

    @pytest.mark.parametrize(("blocked", "answer"), [("SSE-C", "AccessDenied"), ("NONE", "")])
    def test_customer_provided_keys_can_be_blocked(self, account: Account, blocked: str, answer: str) -> None:
        bucket = account.bucket(blocked=blocked)
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x", **_SSE_C) == answer

    def test_a_new_bucket_blocks_customer_provided_keys(self, account: Account) -> None:
        bucket = account.bucket()
        account.s3.delete_bucket_encryption(Bucket=bucket)
        assert refused(account.s3.put_object, Bucket=bucket, Key="a", Body=b"x", **_SSE_C) == "AccessDenied"

    def test_a_copy_is_encrypted_as_its_target_says(self, account: Account) -> None:
        key, wrong = account.key(), account.key()
        source, target = account.bucket(key=wrong), account.bucket(key=key)
        account.s3.put_object(Bucket=source, Key="a", Body=b"x")
        copy = account.s3.copy_object(Bucket=target, Key="b", CopySource={"Bucket": source, "Key": "a"})
        assert (copy["SSEKMSKeyId"], copy["BucketKeyEnabled"]) == (key, True)
        assert account.s3.get_object(Bucket=target, Key="b")["Body"].read() == b"x"

    def test_a_multipart_upload_is_encrypted_from_its_start(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        upload = account.s3.create_multipart_upload(Bucket=bucket, Key="a")
        where = {"Bucket": bucket, "Key": "a", "UploadId": upload["UploadId"]}
        part = account.s3.upload_part(**where, PartNumber=1, Body=b"x")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        done = account.s3.complete_multipart_upload(**where, MultipartUpload=parts)
        for answer in (upload, part, done, account.s3.head_object(Bucket=bucket, Key="a")):
            assert (answer["SSEKMSKeyId"], answer["BucketKeyEnabled"]) == (key, True)

    def test_a_presigned_upload_is_encrypted_by_default(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        url = account.s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a"})
        pool = urllib3.PoolManager(ca_certs=str(account.aws.ca_bundle))
        answer = pool.request("PUT", url, body=b"x")
        pool.clear()
        assert answer.headers["x-amz-server-side-encryption-aws-kms-key-id"] == key

    @pytest.mark.parametrize(
        ("change", "answer"),
        [
            ("disable_key", "KMS.DisabledException"),
            ("schedule_key_deletion", "KMS.KMSInvalidStateException"),
        ],
    )
    def test_a_key_that_is_off_refuses_writes_and_reads(self, account: Account, change: str, answer: str) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        getattr(account.kms, change)(KeyId=key)
        assert refused(account.s3.put_object, Bucket=bucket, Key="b", Body=b"x") == answer
        assert refused(account.s3.get_object, Bucket=bucket, Key="a") == answer

    def test_a_key_that_is_not_there_is_noticed_at_the_upload(self, account: Account) -> None:
        for key in ("${KEY_ID}", account.key().replace("eu-central-1", "eu-west-1"), account.key()[:-1] + "x"):
            bucket = account.bucket(key=key)  # PutBucketEncryption takes any
            put = {"Bucket": bucket, "Key": "a", "Body": b"x"}
            assert refused(account.s3.put_object, **put) == "KMS.NotFoundException"

    def test_kms_needs_tls(self, account: Account) -> None:
        s3 = account.aws.client("s3", plain_http=True)
        under_kms, under_sse_s3 = account.bucket(key=account.key()), account.bucket()
        assert refused(s3.put_object, Bucket=under_kms, Key="a", Body=b"x") == "InvalidArgument"
        assert refused(s3.put_object, Bucket=under_sse_s3, Key="a", Body=b"x") == ""


class TestUploadsNobodyCanJudgeAreRefused:
    def test_a_form(self, account: Account) -> None:
        bucket = account.bucket()
        post = account.s3.generate_presigned_post(bucket, "a")
        fields = {**post["fields"], "file": b"x"}
        pool = urllib3.PoolManager(ca_certs=str(account.aws.ca_bundle))
        answer = pool.request_encode_body("POST", post["url"], fields=fields)
        pool.clear()
        assert answer.status == 501

    def test_another_encryption_for_an_object(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key)
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        update = {"Bucket": bucket, "Key": "a", "ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key}}}
        assert refused(account.s3.update_object_encryption, **update) == "NotImplemented"
        assert account.s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


class TestKmsPermissions:
    """Each row: what the caller may do with the key, and whether each S3 request then goes through."""

    @pytest.mark.parametrize(
        ("allowed", "bucket_key", "put", "get"),
        [
            (["kms:GenerateDataKey"], False, "", "AccessDenied"),
            (["kms:GenerateDataKey"], True, "AccessDenied", "AccessDenied"),
            (["kms:Decrypt"], False, "AccessDenied", ""),
            (["kms:GenerateDataKey", "kms:Decrypt"], True, "", ""),
            (["kms:DescribeKey"], False, "AccessDenied", "AccessDenied"),
        ],
    )
    def test_of_writes_and_reads(
        self, account: Account, allowed: list[str], put: str, get: str, *, bucket_key: bool
    ) -> None:
        key = account.key()
        bucket = account.bucket(key=key, bucket_key=bucket_key)
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        s3 = account.user(_on(bucket), {"Effect": "Allow", "Action": allowed, "Resource": key})
        assert refused(s3.put_object, Bucket=bucket, Key="b", Body=b"x") == put
        assert refused(s3.get_object, Bucket=bucket, Key="a") == get
        assert refused(s3.head_object, Bucket=bucket, Key="a") == ""

    def test_of_parts_and_completions(self, account: Account) -> None:
        key = account.key()
        bucket = account.bucket(key=key, bucket_key=False)
        writer = account.user(_on(bucket), {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key})
        upload = writer.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
        part = {"Bucket": bucket, "Key": "a", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
        assert refused(writer.upload_part, **part) == "AccessDenied"
        tag = account.s3.upload_part(**part)["ETag"]
        end = {"Bucket": bucket, "Key": "a", "UploadId": upload}
        end["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        assert refused(writer.complete_multipart_upload, **end) == "AccessDenied"
        account.s3.complete_multipart_upload(**end)

    def test_of_a_copy(self, account: Account) -> None:
        source_key, target_key = account.key(), account.key()
        source, target = account.bucket(key=source_key), account.bucket(key=target_key)
        account.s3.put_object(Bucket=source, Key="a", Body=b"x")
        copy = {"Bucket": target, "Key": "b", "CopySource": {"Bucket": source, "Key": "a"}}
        write = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": target_key}
        read = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": source_key}
        for statements, answer in (([write], "AccessDenied"), ([read], "AccessDenied"), ([read, write], "")):
            s3 = account.user(_on(source), _on(target), *statements)
            assert refused(s3.copy_object, **copy) == answer

    @pytest.mark.parametrize("bucket_key", [True, False])
    def test_the_encryption_context_is_the_bucket_with_a_bucket_key_else_the_object(
        self, account: Account, *, bucket_key: bool
    ) -> None:
        key = account.key()
        bucket = account.bucket(key=key, bucket_key=bucket_key)
        contexts = {True: f"arn:aws:s3:::{bucket}", False: f"arn:aws:s3:::{bucket}/a/b"}
        for context, answer in ((contexts[bucket_key], ""), (contexts[not bucket_key], "AccessDenied")):
            condition = {
                "StringEquals": {
                    "kms:EncryptionContext:aws:s3:arn": context,
                    "kms:ViaService": "s3.eu-central-1.amazonaws.com",
                    "kms:CallerAccount": account.aws.account_id,
                },
                "Bool": {"aws:ViaAWSService": "true"},
            }
            use = {"Effect": "Allow", "Action": "kms:*", "Resource": key, "Condition": condition}
            s3 = account.user(_on(bucket), use)
            assert refused(s3.put_object, Bucket=bucket, Key="a/b", Body=b"x") == answer

    def test_a_key_policy_binds_the_root_through_s3(self, account: Account) -> None:
        deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"}
        key = account.key(deny)
        bucket = account.bucket(key=key, bucket_key=False)
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        assert refused(account.s3.get_object, Bucket=bucket, Key="a") == "AccessDenied"

    def test_the_aws_managed_key_is_open_to_the_account_through_s3_only(self, account: Account) -> None:
        bucket = account.bucket()
        s3 = account.user(_on(bucket))
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="aws:kms")
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        kms = account.user(everything, service="kms")
        assert refused(kms.encrypt, KeyId="alias/aws/s3", Plaintext=b"x") == "AccessDeniedException"

    @pytest.mark.parametrize(("may_use_key", "answer"), [(True, ""), (False, "AccessDenied")])
    def test_another_account_needs_bucket_policy_and_key_policy(
        self, account: Account, *, may_use_key: bool, answer: str
    ) -> None:
        other = {"AWS": "arn:aws:iam::444455556666:root"}
        use = {"Effect": "Allow", "Principal": other, "Action": "kms:*", "Resource": "*"}
        key = account.key(*([use] if may_use_key else []))
        bucket = account.bucket(key=key)
        statement = _on(bucket) | {"Principal": other}
        account.s3.put_bucket_policy(
            Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
        root = Credentials(access_key_id="444455556666", secret_access_key="any")  # noqa: S106
        s3 = account.aws.client("s3", credentials=root)
        assert refused(s3.put_object, Bucket=bucket, Key="a", Body=b"x") == answer

    @pytest.mark.parametrize(("action", "answer"), [("kms:*", ""), ("kms:Decrypt", "AccessDenied")])
    def test_a_user_of_another_account_needs_policies_of_its_own(
        self, account: Account, action: str, answer: str
    ) -> None:
        other = {"AWS": "arn:aws:iam::444455556666:root"}
        key = account.key({"Effect": "Allow", "Principal": other, "Action": "kms:*", "Resource": "*"})
        bucket = account.bucket(key=key)
        policy = {"Version": "2012-10-17", "Statement": [_on(bucket) | {"Principal": other}]}
        account.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        name = account.name("other")
        # The bucket's account has a user of this name as well, whose policies say the opposite.
        account.aws.create_user(name, *([] if action == "kms:*" else [_everything("kms:*")]))
        root = Credentials(access_key_id="444455556666", secret_access_key="any")  # noqa: S106
        iam = account.aws.client("iam", credentials=root)
        iam.create_user(UserName=name)
        policy = {"Version": "2012-10-17", "Statement": [_on(bucket), _everything(action)]}
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        user = Credentials(access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"])
        s3 = account.aws.client("s3", credentials=user)
        assert refused(s3.put_object, Bucket=bucket, Key="a", Body=b"x") == answer


def _on(bucket: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}


def _everything(action: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"}

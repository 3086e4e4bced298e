"""Contract: a service is unreachable in a Region while it is shut off, and nowhere else."""

from __future__ import annotations

import contextlib

import pytest
import urllib3

from tests.embedded_aws.account import Account, refused
from tests.embedded_aws.test_replication import Pair

_503 = "ServiceUnavailable"


class TestShutOff:
    def test_one_service_of_one_region(self, account: Account, elsewhere: Account) -> None:
        encrypt = {"KeyId": account.key(), "Plaintext": b"x"}
        with account.aws.shut_off("kms"):
            assert refused(account.kms.encrypt, **encrypt) == _503
            assert refused(account.kms.list_keys) == _503
            assert elsewhere.kms.list_keys()
            assert account.s3.list_buckets()
        account.kms.encrypt(**encrypt)

    @pytest.mark.parametrize(
        ("service", "call"),
        [
            ("s3", "list_buckets"),
            ("cloudformation", "list_stacks"),
            ("lambda", "list_functions"),
            ("ssm", "describe_parameters"),
        ],
    )
    def test_every_protocol(self, account: Account, elsewhere: Account, service: str, call: str) -> None:
        with account.aws.shut_off(service, "eu-west-1"):
            assert refused(getattr(elsewhere.client(service), call)) == _503
            getattr(account.client(service), call)()
        getattr(elsewhere.client(service), call)()

    def test_presigned_requests(self, account: Account) -> None:
        bucket = account.bucket()
        account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        url = account.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
        pool = urllib3.PoolManager(ca_certs=str(account.aws.ca_bundle))
        with account.aws.shut_off("s3"):
            assert pool.request("GET", url, retries=False).status == 503
        assert pool.request("GET", url, retries=False).status == 200

    def test_two_at_once_and_an_exception(self, account: Account) -> None:
        with account.aws.shut_off("kms"):
            with contextlib.suppress(ZeroDivisionError), account.aws.shut_off("s3"):
                assert refused(account.s3.list_buckets) == refused(account.kms.list_keys) == _503
                raise ZeroDivisionError
            account.s3.list_buckets()
            assert refused(account.kms.list_keys) == _503
        account.kms.list_keys()

    @pytest.mark.parametrize(
        ("service", "region", "sentence"),
        [
            ("KMS", "eu-west-1", "service: boto3 knows no 'KMS'"),
            ("kms", "eu-west", "region: kms isn't in 'eu-west', but in "),
        ],
    )
    def test_what_is_not_there(self, account: Account, service: str, region: str, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence), account.aws.shut_off(service, region):
            pass

    def test_s3_needs_kms_for_what_is_under_its_keys(self, account: Account) -> None:
        bucket = account.bucket(key=account.key())
        put, get = {"Bucket": bucket, "Key": "a", "Body": b"x"}, {"Bucket": bucket, "Key": "a"}
        account.s3.put_object(**put)
        with account.aws.shut_off("kms"):
            assert refused(account.s3.put_object, **put) == _503
            assert refused(account.s3.get_object, **get) == _503
            account.s3.put_object(**put, ServerSideEncryption="AES256")
            assert account.s3.get_object(**get)["Body"].read() == b"x"

    def test_a_related_key_decrypts_while_the_first_region_is_dark(self, account: Account, elsewhere: Account) -> None:
        key = account.key(MultiRegion=True)
        account.kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
        blob = account.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        with account.aws.shut_off("kms", "eu-central-1"):
            assert elsewhere.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


class TestReplicationWaits:
    @pytest.mark.parametrize("service", ["s3", "kms"])
    def test_until_the_region_is_back(self, account: Account, elsewhere: Account, service: str) -> None:
        pair = Pair(account, elsewhere)
        pair.configure()
        with account.aws.shut_off(service, "eu-west-1"):
            first = account.s3.put_object(Bucket=pair.source, Key="a", Body=b"1")["VersionId"]
            tagging = {"TagSet": [{"Key": "team", "Value": "a"}]}
            account.s3.put_object_tagging(Bucket=pair.source, Key="a", Tagging=tagging)
            second = account.s3.put_object(Bucket=pair.source, Key="a", Body=b"2")["VersionId"]
            marker = account.s3.delete_object(Bucket=pair.source, Key="b")["VersionId"]
            assert pair.status("a", first) == pair.status("a", second) == "PENDING"
        assert pair.status("a", first) == pair.status("a", second) == "COMPLETED"
        found = elsewhere.s3.list_object_versions(Bucket=pair.destination)
        assert [each["VersionId"] for each in found["Versions"]] == [second, first]
        assert [each["VersionId"] for each in found["DeleteMarkers"]] == [marker]
        tags = elsewhere.s3.get_object_tagging(Bucket=pair.destination, Key="a", VersionId=first)["TagSet"]
        assert tags == [{"Key": "team", "Value": "a"}]

"""Contract: what a policy can know of the connection is read from the connection."""

from __future__ import annotations

import ssl

import pytest
import urllib3

from tests.embedded_aws.account import Account, refused


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        pytest.param(
            ssl.TLSVersion.TLSv1_1,
            "AccessDenied",
            marks=pytest.mark.skipif(not ssl.HAS_TLSv1_1, reason="this OpenSSL can't speak TLS 1.1"),
        ),
        (ssl.TLSVersion.TLSv1_2, ""),
        (ssl.TLSVersion.TLSv1_3, ""),
    ],
)
def test_tls_version_is_the_negotiated_one(account: Account, version: ssl.TLSVersion, answer: str) -> None:
    bucket = account.bucket()
    account.deny(bucket, {"NumericLessThan": {"s3:TlsVersion": "1.2"}})
    s3 = account.aws.client("s3", tls_version=version)
    assert refused(s3.put_object, Bucket=bucket, Key="a", Body=b"x") == answer


@pytest.mark.parametrize(("plain_http", "answer"), [(True, "AccessDenied"), (False, "")])
def test_secure_transport_is_false_over_http(account: Account, *, plain_http: bool, answer: str) -> None:
    bucket = account.bucket()
    account.deny(bucket, {"Bool": {"aws:SecureTransport": "false"}})
    s3 = account.aws.client("s3", plain_http=plain_http)
    assert refused(s3.put_object, Bucket=bucket, Key="a", Body=b"x") == answer


def test_a_client_cannot_claim_to_have_come_over_tls(account: Account) -> None:
    bucket = account.bucket()
    account.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    account.deny(bucket, {"Bool": {"aws:SecureTransport": "false"}}, action="s3:GetObject")
    s3 = account.aws.client("s3", plain_http=True)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    answer = urllib3.PoolManager().request("GET", url, headers={"X-Forwarded-Proto": "https"})
    assert answer.status == 403

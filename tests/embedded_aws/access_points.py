"""Requests through a Multi-Region Access Point, and about one.

boto3 would need a compiled library for SigV4A, and sends where AWS is. So these are signed with SigV4, which the
embedded AWS takes there too, and say in their Host header which access point they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3
from botocore import credentials as botocore_credentials
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devtools.embedded_aws.server import Credentials, EmbeddedAws

# Where S3 makes access points and switches their Regions.
CONTROL_REGION = "us-west-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class AccessPoint:
    """One access point, asked by somebody: the account's root by default."""

    def __init__(self, aws: EmbeddedAws, arn: str) -> None:
        self._aws = aws
        self.arn = arn

    def request(
        self,
        method: str,
        key: str = "",
        *,
        by: Credentials | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: str = "",
        plain_http: bool = False,
    ) -> Answer:
        """Ask for an object, or for the list of them."""
        host = f"{self.arn.rpartition('/')[2]}.accesspoint.s3-global.amazonaws.com"
        url = f"http{'' if plain_http else 's'}://{host}/{key}{query}"
        return _send(self._aws, method, url, by or self._aws.root, self._aws.region, body, headers or {})

    def routes(self, *, by: Credentials | None = None) -> str:
        """Which Regions are active, as S3 says it."""
        return self._control("GET", by).text

    def switch(self, percentages: Mapping[str, int], *, by: Credentials | None = None) -> Answer:
        """Make Regions active (100) or passive (0)."""
        routes = "".join(
            f"<Route><Region>{region}</Region><TrafficDialPercentage>{percentage}</TrafficDialPercentage></Route>"
            for region, percentage in percentages.items()
        )
        body = f"<SubmitMultiRegionAccessPointRoutesRequest><RouteUpdates>{routes}</RouteUpdates>"
        return self._control("PATCH", by, f"{body}</SubmitMultiRegionAccessPointRoutesRequest>".encode())

    def _control(self, method: str, by: Credentials | None, body: bytes = b"") -> Answer:
        url = f"https://127.0.0.1/v20180820/mrap/instances/{self.arn}/routes"
        headers = {"x-amz-account-id": self._aws.account_id}
        return _send(self._aws, method, url, by or self._aws.root, CONTROL_REGION, body, headers)


def policy_of(aws: EmbeddedAws, name: str) -> str:
    """The policy of an access point, as S3 says it."""
    url = f"https://127.0.0.1/v20180820/mrap/instances/{name}/policy"
    headers = {"x-amz-account-id": aws.account_id}
    return _send(aws, "GET", url, aws.root, CONTROL_REGION, b"", headers).text


def _send(  # noqa: PLR0917 - all that a request consists of
    aws: EmbeddedAws,
    method: str,
    url: str,
    by: Credentials,
    region: str,
    body: bytes,
    headers: Mapping[str, str],
) -> Answer:
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    signer = botocore_credentials.Credentials(by.access_key_id, by.secret_access_key, by.session_token)
    S3SigV4Auth(signer, "s3", region).add_auth(request)
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    endpoint = aws.endpoint_url if scheme == "https" else aws.http_endpoint_url
    with urllib3.PoolManager(ca_certs=str(aws.ca_bundle), retries=False) as pool:
        answer = pool.request(
            method, f"{endpoint}{slash}{path}", body=body, headers={**dict(request.headers.items()), "Host": host}
        )
        return Answer(status=answer.status, body=answer.data)

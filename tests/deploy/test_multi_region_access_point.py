"""MultiRegionAccessPoint on the embedded AWS: who gets what through it, and where it lies then.

Requests are signed with SigV4, not SigV4A, and S3 chooses the Region where the embedded AWS is, while that is active.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import MultiRegionAccessPoint, ReplicatedEncryptedBuckets, ReplicationDirection
from devtools.deployment import outputs_of
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.server import Credentials, EmbeddedAws
from tests.embedded_aws.access_points import AccessPoint

pytestmark = pytest.mark.deploy

ACCOUNT = "111122223333"
REGIONS = HOME, AWAY = ("eu-central-1", "eu-west-1")
DEPLOY = ("deploy", "--all", "--require-approval=never")
OUTPUTS = {ReplicationDirection.ONE_WAY: "OneWayArn", ReplicationDirection.BOTH_WAYS: "BothWaysArn"}
PEOPLE = ("reader", "writer", "deleter", "operator", "buckets-alone")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("access-point") / "cdk.out"
    app = cdk.App(outdir=str(directory))
    home, away = (cdk.Stack(app, each, env=cdk.Environment(account=ACCOUNT, region=each)) for each in REGIONS)
    for direction in ReplicationDirection:
        buckets = ReplicatedEncryptedBuckets(
            home,
            direction.name,
            bucket_name_prefix=direction.value,
            replicas=[away],
            direction=direction,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        point = MultiRegionAccessPoint(
            home, f"Through{direction.name}", buckets=buckets, removal_policy=cdk.RemovalPolicy.DESTROY
        )
        cdk.CfnOutput(home, OUTPUTS[direction], value=point.access_point_arn)
        if direction is ReplicationDirection.BOTH_WAYS:
            policies = {each: iam.ManagedPolicy(home, each, managed_policy_name=each) for each in PEOPLE}
            point.grant_read(policies["reader"], objects_key_pattern="orders/*")
            point.grant_write(policies["writer"])
            point.grant_delete(policies["deleter"])
            point.grant_routing(policies["operator"])
            buckets.grant_read_write(policies["buckets-alone"])
    app.synth()
    return directory


@pytest.fixture(scope="module")
def aws(directory: Path) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(account_id=ACCOUNT, region=HOME) as aws:
        run_cdk(aws, "bootstrap", app=directory)
        run_cdk(aws, *DEPLOY, app=directory)
        yield aws


@pytest.fixture(scope="module")
def people(aws: EmbeddedAws) -> dict[str, Credentials]:
    found = {each: aws.create_user(each) for each in PEOPLE}
    for each in PEOPLE:
        aws.client("iam").attach_user_policy(UserName=each, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/{each}")
    return found


@pytest.fixture
def point(aws: EmbeddedAws) -> Iterator[AccessPoint]:
    """The one over buckets that replicate both ways, with every Region active before and after."""
    point = AccessPoint(aws, outputs_of(aws, HOME)[OUTPUTS[ReplicationDirection.BOTH_WAYS]])
    yield point
    point.switch(dict.fromkeys(REGIONS, 100))


def bucket(region: str, direction: ReplicationDirection = ReplicationDirection.BOTH_WAYS) -> str:
    return f"{direction.value}-{ACCOUNT}-{region}-an"


def head(aws: EmbeddedAws, region: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("s3", region=region).head_object(Bucket=bucket(region), Key=key)
    return found


def key_of(aws: EmbeddedAws, region: str) -> str:
    answer = aws.client("s3", region=region).get_bucket_encryption(Bucket=bucket(region))
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    key: str = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    return key


@pytest.mark.parametrize(("active", "other"), [(HOME, AWAY), (AWAY, HOME)])
def test_what_is_stored_through_it_is_under_the_key_of_the_region_that_answers(
    aws: EmbeddedAws, people: dict[str, Credentials], point: AccessPoint, active: str, other: str
) -> None:
    assert point.switch({active: 100, other: 0}, by=people["operator"]).status == 200
    key = f"orders/{active}"
    assert point.request("PUT", key, by=people["writer"], body=b"through").status == 200
    stored, replica = head(aws, active, key), head(aws, other, key)
    assert (stored["SSEKMSKeyId"], stored["ReplicationStatus"]) == (key_of(aws, active), "COMPLETED")
    assert (replica["SSEKMSKeyId"], replica["ReplicationStatus"]) == (key_of(aws, other), "REPLICA")
    for answering, passive in ((active, other), (other, active)):
        point.switch({answering: 100, passive: 0})
        assert point.request("GET", key, by=people["reader"]).body == b"through"


def test_each_grant_is_for_what_it_says(aws: EmbeddedAws, people: dict[str, Credentials], point: AccessPoint) -> None:
    for key in ("orders/1", "invoices/1"):
        assert point.request("PUT", key, by=people["writer"], body=b"x").status == 200
    tried = {
        (who, method, key): point.request(method, key, by=people[who], body=b"y" if method == "PUT" else b"").status
        for who in PEOPLE
        for method in ("GET", "PUT", "DELETE")
        for key in ("orders/1", "invoices/1")
    }
    allowed = {each for each, status in tried.items() if status < 300}
    assert allowed == {
        ("reader", "GET", "orders/1"),
        *(("writer", "PUT", each) for each in ("orders/1", "invoices/1")),
        *(("deleter", "DELETE", each) for each in ("orders/1", "invoices/1")),
    }
    assert {status for each, status in tried.items() if each not in allowed} == {403}
    assert aws.client("s3").list_object_versions(Bucket=bucket(HOME), Prefix="orders/1")["Versions"]


def test_who_has_rights_on_the_buckets_alone_goes_to_the_buckets(
    aws: EmbeddedAws, people: dict[str, Credentials], point: AccessPoint
) -> None:
    point.request("PUT", "orders/2", body=b"x")
    assert point.request("GET", "orders/2", by=people["buckets-alone"]).status == 403
    direct = aws.client("s3", credentials=people["buckets-alone"])
    assert direct.get_object(Bucket=bucket(HOME), Key="orders/2")["Body"].read() == b"x"


def test_without_a_right_on_the_keys_nothing_is_stored_or_read(aws: EmbeddedAws, point: AccessPoint) -> None:
    keyless = aws.create_user("keyless", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    assert point.request("PUT", "orders/keyless", body=b"x").status == 200
    for active, passive in (REGIONS, REGIONS[::-1]):
        point.switch({active: 100, passive: 0})
        assert "<Key>orders/keyless</Key>" in point.request("GET", query="?list-type=2", by=keyless).text
        assert point.request("GET", "orders/keyless", by=keyless).status == 403
        assert point.request("PUT", "orders/keyless", by=keyless, body=b"y").status == 403


def test_lists(people: dict[str, Credentials], point: AccessPoint) -> None:
    point.request("PUT", "orders/3", body=b"x")
    listed = point.request("GET", query="?list-type=2&prefix=orders%2F3", by=people["reader"])
    assert "<Key>orders/3</Key>" in listed.text
    assert point.request("GET", query="?list-type=2", by=people["writer"]).status == 403


def test_the_buckets_refuse_what_they_refuse(aws: EmbeddedAws, point: AccessPoint) -> None:
    sse = "x-amz-server-side-encryption"
    assert point.request("PUT", "orders/4", body=b"x", headers={sse: "AES256"}).status == 403
    named = {sse: "aws:kms", f"{sse}-aws-kms-key-id": key_of(aws, AWAY)}
    assert point.request("PUT", "orders/4", body=b"x", headers=named).status == 403
    # The right key of the Region that answers, which nobody can know beforehand.
    named[f"{sse}-aws-kms-key-id"] = key_of(aws, HOME)
    assert point.request("PUT", "orders/4", body=b"x", headers=named).status == 200


def test_nothing_over_plain_http(point: AccessPoint) -> None:
    assert point.request("PUT", "orders/5", body=b"x").status == 200
    assert point.request("GET", "orders/5").status == 200
    assert point.request("GET", "orders/5", plain_http=True).status == 403


def test_who_may_switch_regions(people: dict[str, Credentials], point: AccessPoint) -> None:
    assert point.switch({AWAY: 0}, by=people["writer"]).status == 403
    assert point.switch({AWAY: 0}, by=people["operator"]).status == 200
    assert "<TrafficDialPercentage>0<" in point.routes(by=people["operator"])


def test_one_way_nothing_is_written_through_it(aws: EmbeddedAws) -> None:
    one_way = AccessPoint(aws, outputs_of(aws, HOME)[OUTPUTS[ReplicationDirection.ONE_WAY]])
    name = bucket(HOME, ReplicationDirection.ONE_WAY)
    aws.client("s3").put_object(Bucket=name, Key="a", Body=b"x")
    assert one_way.request("GET", "a").body == b"x"
    for method in ("PUT", "DELETE"):
        assert one_way.request(method, "a", body=b"y" if method == "PUT" else b"").status == 403
    assert aws.client("s3").get_object(Bucket=name, Key="a")["Body"].read() == b"x"


def test_a_second_deployment_changes_nothing_and_puts_no_region_back(
    aws: EmbeddedAws, directory: Path, point: AccessPoint
) -> None:
    point.switch({HOME: 0})
    assert run_cdk(aws, *DEPLOY, app=directory).count("(no changes)") == len(REGIONS)
    assert point.routes().count("<TrafficDialPercentage>0<") == 1

"""Contract: Multi-Region Access Points in stacks are made as S3 makes them, and their policies count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.embedded_aws.access_points import AccessPoint, policy_of

if TYPE_CHECKING:
    from tests.embedded_aws.account import Account

KIND = "AWS::S3::MultiRegionAccessPoint"


def _point(*buckets: str, name: str) -> dict[str, Any]:
    return {"Type": KIND, "Properties": {"Name": name, "Regions": [{"Bucket": each} for each in buckets]}}


def _deny(actions: object) -> dict[str, Any]:
    resource = {"Fn::Sub": "arn:aws:s3::${AWS::AccountId}:accesspoint/${Point.Alias}/object/*"}
    statement = {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Type": f"{KIND}Policy", "Properties": {"MrapName": {"Ref": "Point"}, "Policy": document}}


_OUTPUTS = {"Alias": {"Value": {"Fn::GetAtt": ["Point", "Alias"]}}}


def _access_point(account: Account, stack: str) -> AccessPoint:
    (found,) = account.cloudformation.describe_stacks(StackName=stack)["Stacks"]
    alias = found["Outputs"][0]["OutputValue"]
    return AccessPoint(account.aws, f"arn:aws:s3::{account.aws.account_id}:accesspoint/{alias}")


class TestAccessPointsInStacksAreChecked:
    def test_buckets_of_two_regions(self, account: Account, elsewhere: Account) -> None:
        here, there = account.bucket(), elsewhere.bucket()
        stack = account.deploy({"Point": _point(here, there, name=account.name("point"))}, Outputs=_OUTPUTS)
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        point = _access_point(account, stack)
        assert point.request("PUT", "a", body=b"through").status == 200
        assert account.s3.get_object(Bucket=here, Key="a")["Body"].read() == b"through"
        point.switch({account.region: 0})
        assert point.request("PUT", "b", body=b"through").status == 200
        assert elsewhere.s3.get_object(Bucket=there, Key="b")["Body"].read() == b"through"

    @pytest.mark.parametrize(
        ("which", "why"),
        [
            ("none of that name", "NoSuchBucket"),
            ("two of a Region", "MultiRegionAccessPointSameBucketRegion"),
            ("another's name", "MultiRegionAccessPointAlreadyOwnedByYou"),
        ],
    )
    def test_what_s3_refuses(self, account: Account, which: str, why: str) -> None:
        bucket, name = account.bucket(), account.name("point")
        if which == "another's name":
            assert account.status(account.deploy({"Point": _point(bucket, name=name)})) == "CREATE_COMPLETE"
        buckets = {"none of that name": ["not-there"], "two of a Region": [bucket, account.bucket()]}
        stack = account.deploy({"Point": _point(*buckets.get(which, [bucket]), name=name)})
        assert why in account.failures(stack)[0]


class TestAccessPointsInStacksHavePolicies:
    def test_put_changed_and_what_is_left_of_it(self, account: Account) -> None:
        name, point = account.name("point"), _point(account.bucket(), name=account.name("unused"))
        point["Properties"]["Name"] = name
        stack = account.deploy({"Point": point, "Policy": _deny("s3:GetObject")}, Outputs=_OUTPUTS)
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        through = _access_point(account, stack)
        assert through.request("PUT", "a", body=b"x").status == 200
        assert through.request("GET", "a").status == 403
        account.deploy({"Point": point, "Policy": _deny(["s3:PutObject"])}, stack=stack, Outputs=_OUTPUTS)
        assert through.request("PUT", "a", body=b"x").status == 403
        assert through.request("GET", "a").status == 200
        account.deploy({"Point": point}, stack=stack, Outputs=_OUTPUTS)
        left = json.loads(
            policy_of(account.aws, name).split("<Policy>")[-1].split("</Policy>")[0].replace("&quot;", '"')
        )
        assert [each["Effect"] for each in left["Statement"]] == ["Allow"]
        assert account.delete(stack) == "DELETE_COMPLETE"

    def test_of_none_that_is_there(self, account: Account) -> None:
        policy = _deny("s3:GetObject")
        policy["Properties"] = {"MrapName": "not-there", "Policy": {"Version": "2012-10-17", "Statement": []}}
        assert "NoSuchMultiRegionAccessPoint" in account.failures(account.deploy({"Policy": policy}))[0]

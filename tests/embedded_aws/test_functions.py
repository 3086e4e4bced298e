"""Contract: Python functions run as their role, and answer for custom resources."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.embedded_aws.account import Account

if TYPE_CHECKING:
    from typing import Any

# Stores what it is asked for in the bucket, and answers with it.
_STORING = """
import json
import boto3
import cfnresponse

def handler(event, context):
    properties = event["ResourceProperties"]
    try:
        print("asked to", event["RequestType"])
        s3 = boto3.client("s3")
        if event["RequestType"] == "Delete":
            s3.delete_object(Bucket=properties["Bucket"], Key=event["PhysicalResourceId"])
        else:
            body = json.dumps({name: event.get(name) for name in ("RequestType", "OldResourceProperties")})
            s3.put_object(Bucket=properties["Bucket"], Key=properties["Key"], Body=body)
        me = boto3.client("sts").get_caller_identity()["Arn"]
        key = event.get("PhysicalResourceId") if event["RequestType"] == "Delete" else properties["Key"]
        cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Me": me, "Flag": properties.get("Flag")}, key)
    except Exception as problem:
        cfnresponse.send(event, context, cfnresponse.FAILED, {}, reason=str(problem))
"""
_SILENT = "def handler(event, context):\n    pass\n"
_RAISING = "def handler(event, context):\n    raise ValueError('out of order')\n"


class TestCustomResourcesFailWithoutAnAnswer:
    @pytest.mark.parametrize(
        ("code", "sentence"),
        [(_SILENT, "it ended without one"), (_RAISING, "out of order"), ("import nothing_of_that_name", "no module")],
    )
    def test_at_once(self, account: Account, code: str, sentence: str) -> None:
        stack = account.deploy({**_function(code), "Thing": _custom({"Key": "a", "ServiceTimeout": 2})})
        assert account.status(stack) == "ROLLBACK_COMPLETE"
        reason = account.failures(stack)[0]
        assert reason.startswith("CloudFormation did not receive a response from your Custom Resource: ")
        assert sentence in reason.lower()


class TestCustomResources:
    """MiniStack's own, but for the interpreter, the module and the refusals."""

    def test_created_updated_replaced_and_deleted(self, account: Account) -> None:
        bucket = account.bucket()
        function = _function(_STORING, _allow("s3:*", bucket))
        stack = account.deploy({**function, "Thing": _custom({"Bucket": bucket, "Key": "a", "Flag": True})})
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        assert account.physical_id(stack, "Thing") == "a"
        assert _stored(account, bucket, "a") == {"RequestType": "Create", "OldResourceProperties": None}

        changed = _custom({"Bucket": bucket, "Key": "b", "Flag": False})
        account.deploy({**function, "Thing": changed, **_told()}, stack=stack)
        assert account.status(stack) == "UPDATE_COMPLETE", account.failures(stack)
        assert account.physical_id(stack, "Thing") == "b"
        assert _stored(account, bucket, "b")["OldResourceProperties"]["Flag"] == "true"
        assert [each["Key"] for each in account.s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b"]
        role = account.physical_id(stack, "Role")
        told = account.client("ssm").get_parameter(Name=account.physical_id(stack, "Told"))["Parameter"]["Value"]
        assert told == f"false arn:aws:sts::111122223333:assumed-role/{role}/{account.physical_id(stack, 'Function')}"

        assert account.delete(stack) == "DELETE_COMPLETE"
        assert account.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0

    @pytest.mark.parametrize("type_name", ["Custom::Stored", "AWS::CloudFormation::CustomResource"])
    def test_in_the_other_region_from_an_asset(self, account: Account, elsewhere: Account, type_name: str) -> None:
        bucket, key = elsewhere.bucket(), account.name("code.zip")
        with io.BytesIO() as archive:
            with zipfile.ZipFile(archive, "w") as opened:
                opened.writestr("index.py", _STORING.replace("import cfnresponse", "import answers as cfnresponse"))
                opened.writestr("answers.py", _ANSWERS)
            elsewhere.s3.put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
        asset = {"S3Bucket": bucket, "S3Key": key}
        function = _function(asset, _allow("s3:*", bucket))
        stack = elsewhere.deploy({**function, "Thing": _custom({"Bucket": bucket, "Key": "a"}, type_name)})
        assert elsewhere.status(stack) == "CREATE_COMPLETE", elsewhere.failures(stack)
        assert _stored(elsewhere, bucket, "a")["RequestType"] == "Create"

    def test_it_fails_with_its_reason_and_the_roles_rights_count(self, account: Account) -> None:
        bucket = account.bucket()
        function = _function(_STORING, _allow("s3:GetObject", bucket))
        stack = account.deploy({**function, "Thing": _custom({"Bucket": bucket, "Key": "a"})})
        assert account.status(stack) == "ROLLBACK_COMPLETE"
        assert "AccessDenied" in account.failures(stack)[0]
        assert "not authorized to perform: s3:PutObject" in account.failures(stack)[0]

    def test_an_update_that_fails_is_rolled_back(self, account: Account) -> None:
        bucket = account.bucket()
        function = _function(_STORING, _allow("s3:*", bucket))
        stack = account.deploy({**function, "Thing": _custom({"Bucket": bucket, "Key": "a"})})
        account.deploy({**function, "Thing": _custom({"Bucket": "nowhere", "Key": "a"})}, stack=stack)
        assert account.status(stack) == "UPDATE_ROLLBACK_COMPLETE"
        assert account.failures(stack)
        assert _stored(account, bucket, "a")["RequestType"] == "Update"


class TestFunctionsRunWithBoto3:
    def test_as_the_role_in_their_region_without_what_is_ours(self, elsewhere: Account) -> None:
        code = """
import os, boto3
def handler(event, context):
    kms = boto3.client("kms")
    return {
        "arn": kms.describe_key(KeyId=event["key"])["KeyMetadata"]["Arn"],
        "region": kms.meta.region_name,
        "word": os.environ["WORD"],
        "ours": os.environ.get("PYTHONPATH"),
        "log_group": context.log_group_name,
    }
"""
        key = elsewhere.key()
        resources = _function(code, {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": key}, WORD="x")
        stack = elsewhere.deploy(resources)
        assert elsewhere.status(stack) == "CREATE_COMPLETE", elsewhere.failures(stack)
        name = elsewhere.physical_id(stack, "Function")
        lambda_ = elsewhere.client("lambda")
        answer = lambda_.invoke(FunctionName=name, Payload=json.dumps({"key": key}))
        assert json.load(answer["Payload"]) == {
            "arn": key,
            "region": "eu-west-1",
            "word": "x",
            "ours": None,
            "log_group": f"/aws/lambda/{name}",
        }
        other = {"key": elsewhere.key()}
        answer = lambda_.invoke(FunctionName=name, Payload=json.dumps(other))
        assert answer["FunctionError"]
        assert "AccessDeniedException" in json.load(answer["Payload"])["errorMessage"]


class TestFunctionsAreRefusedAsLambdaDoes:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"Runtime": "nodejs22.x"}, "Runtime only as Python, not as 'nodejs22.x'"),
            ({"Code": {"S3Bucket": "nowhere", "S3Key": "a"}}, "there is no code at s3://nowhere/a"),
            ({"Code": {"ImageUri": "x"}}, "doesn't carry out AWS::Lambda::Function: Code: ImageUri"),
            ({"Role": "arn:aws:iam::111122223333:role/none"}, "cannot be assumed by Lambda"),
            ({"Role": {"Fn::GetAtt": ["Untrusting", "Arn"]}}, "cannot be assumed by Lambda"),
            ({"VpcConfig": {}}, "doesn't carry out AWS::Lambda::Function: VpcConfig"),
        ],
    )
    def test_with_a_sentence(self, account: Account, changes: dict[str, Any], sentence: str) -> None:
        resources = _function(_SILENT)
        resources["Untrusting"] = _role("glue.amazonaws.com")
        resources["Function"]["Properties"] |= changes
        stack = account.deploy(resources)
        assert account.status(stack) == "ROLLBACK_COMPLETE"
        assert sentence in account.failures(stack)[0]

    def test_a_name_that_is_taken(self, account: Account) -> None:
        resources = _function(_SILENT)
        resources["Function"]["Properties"]["FunctionName"] = account.name("function")
        account.deploy(resources)
        stack = account.deploy(resources)
        assert "already exist" in account.failures(stack)[0]

    def test_what_is_read_back(self, account: Account) -> None:
        resources = _function(_SILENT, WORD="x")
        group = {"LogGroupName": account.name("group"), "RetentionInDays": 7, "Tags": [{"Key": "a", "Value": "b"}]}
        resources["Group"] = {"Type": "AWS::Logs::LogGroup", "Properties": group}
        properties = resources["Function"]["Properties"] | {
            "Description": "d",
            "FunctionName": account.name("function"),
            "LoggingConfig": {"LogGroup": {"Ref": "Group"}},
            "MemorySize": 256,
            "Tags": [{"Key": "team", "Value": "a"}],
            "Timeout": 7,
        }
        resources["Function"]["Properties"] = properties
        stack = account.deploy(resources)
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        name, lambda_, logs = properties["FunctionName"], account.client("lambda"), account.client("logs")
        read = lambda_.get_function(FunctionName=name)
        configuration = read["Configuration"]
        assert {
            each: configuration[each] for each in ("Description", "Handler", "MemorySize", "Runtime", "Timeout")
        } == {
            "Description": "d",
            "Handler": "index.handler",
            "MemorySize": 256,
            "Runtime": "python3.13",
            "Timeout": 7,
        }
        assert configuration["Environment"]["Variables"] == {"WORD": "x"}
        assert read["Tags"]["team"] == "a"
        lambda_.invoke(FunctionName=name)
        (found,) = logs.describe_log_groups(logGroupNamePrefix=group["LogGroupName"])["logGroups"]
        assert found["retentionInDays"] == 7
        assert logs.list_tags_log_group(logGroupName=group["LogGroupName"])["tags"]["a"] == "b"
        events = logs.filter_log_events(logGroupName=group["LogGroupName"])["events"]
        assert events[0]["message"].startswith("START RequestId")

        properties |= {"Timeout": 9, "Code": {"ZipFile": "def handler(event, context):\n    return 'new'\n"}}
        account.deploy(resources, stack=stack)
        assert account.status(stack) == "UPDATE_COMPLETE", account.failures(stack)
        assert lambda_.get_function(FunctionName=name)["Configuration"]["Timeout"] == 9
        assert json.load(lambda_.invoke(FunctionName=name)["Payload"]) == "new"

    def test_it_is_stopped_when_its_time_is_over(self, account: Account) -> None:
        resources = _function("import time\ndef handler(event, context):\n    time.sleep(30)\n")
        resources["Function"]["Properties"]["Timeout"] = 1
        stack = account.deploy({**resources, "Thing": _custom({})})
        assert "Task timed out" in account.failures(stack)[0]


class TestLogGroupsAreCreatedOnce:
    def test_a_name_that_is_taken(self, account: Account) -> None:
        group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": account.name("group")}}
        account.deploy({"Group": group})
        stack = account.deploy({"Group": group})
        assert "already exists" in account.failures(stack)[0]


_ANSWERS = """
import json, urllib.request
SUCCESS, FAILED = "SUCCESS", "FAILED"
def send(event, context, status, data, key="x", reason=""):
    names = ("StackId", "RequestId", "LogicalResourceId")
    answer = {name: event[name] for name in names}
    answer |= {"Status": status, "Data": data, "PhysicalResourceId": key, "Reason": reason}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request).close()
"""


def _function(code: str | dict[str, Any], *statements: dict[str, Any], **environment: str) -> dict[str, Any]:
    properties = {
        "Code": {"ZipFile": code} if isinstance(code, str) else code,
        "Environment": {"Variables": environment},
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Runtime": "python3.13",
        "Timeout": 30,
    }
    function = {"Type": "AWS::Lambda::Function", "Properties": properties}
    return {"Role": _role("lambda.amazonaws.com", *statements), "Function": function}


def _role(service: str, *statements: dict[str, Any]) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    properties: dict[str, Any] = {"AssumeRolePolicyDocument": _document(trust)}
    if statements:
        properties["Policies"] = [{"PolicyName": "all", "PolicyDocument": _document(*statements)}]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def _custom(properties: dict[str, Any], type_name: str = "Custom::Stored") -> dict[str, Any]:
    return {"Type": type_name, "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, **properties}}


def _told() -> dict[str, Any]:
    value = {"Fn::Join": [" ", [{"Fn::GetAtt": ["Thing", "Flag"]}, {"Fn::GetAtt": ["Thing", "Me"]}]]}
    return {"Told": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}}


def _stored(account: Account, bucket: str, key: str) -> Any:  # noqa: ANN401 - JSON
    return json.load(account.s3.get_object(Bucket=bucket, Key=key)["Body"])


def _allow(action: str, bucket: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}

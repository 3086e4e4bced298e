"""Contract: Fn::GetStackOutput reads what AWS would, where AWS would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.embedded_aws.account import Account

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture(scope="module")
def producer(account: Account) -> str:
    """A stack in the first Region; one of the same name, with another value, is in the other."""
    stack = account.deploy({"Bucket": {"Type": "AWS::S3::Bucket"}}, Outputs={"Word": {"Value": "here"}})
    assert account.status(stack) == "CREATE_COMPLETE"
    return stack


class TestStackOutputsAreReadAcrossRegions:
    @pytest.mark.parametrize(
        ("make", "value"),
        [
            pytest.param(lambda it: it, "here", id="as it is"),
            pytest.param(lambda it: {"Fn::Join": ["-", ["a", it, it]]}, "a-here-here", id="Join"),
            pytest.param(lambda it: {"Fn::Select": [1, ["a", it]]}, "here", id="Select"),
            pytest.param(lambda it: {"Fn::If": ["Yes", it, "no"]}, "here", id="If"),
            pytest.param(lambda it: {"Fn::If": ["Yes", {"Fn::Join": ["", ["a", it]]}, "n"]}, "ahere", id="nested"),
        ],
    )
    def test_in_a_property(self, elsewhere: Account, producer: str, make: Any, value: str) -> None:  # noqa: ANN401
        resources = _parameter(make(_output(producer, Region="eu-central-1")))
        stack = elsewhere.deploy(resources, Conditions={"Yes": {"Fn::Equals": ["a", "a"]}})
        assert elsewhere.status(stack) == "CREATE_COMPLETE", elsewhere.failures(stack)
        assert _value(elsewhere, stack) == value

    def test_without_a_region_its_own(self, account: Account, elsewhere: Account, producer: str) -> None:
        stack = account.deploy(_parameter(_output(producer)))
        assert _value(account, stack) == "here"
        stack = elsewhere.deploy(_parameter(_output(producer)))
        assert f"there is no stack {producer} in eu-west-1" in elsewhere.failures(stack)[0]

    def test_its_arguments_may_be_parameters(self, elsewhere: Account, producer: str) -> None:
        spec = {"StackName": {"Fn::Sub": f"{producer}"}, "OutputName": {"Ref": "Name"}, "Region": "eu-central-1"}
        parameters = {"Name": {"Type": "String", "Default": "Word"}}
        stack = elsewhere.deploy(_parameter({"Fn::GetStackOutput": spec}), Parameters=parameters)
        assert _value(elsewhere, stack) == "here"

    @pytest.mark.parametrize(
        ("named", "sentence"),
        [
            ({"OutputName": "Other"}, "in eu-central-1 has no output Other"),
            ({"StackName": "none"}, "there is no stack none in eu-central-1"),
        ],
    )
    def test_what_is_not_there(self, elsewhere: Account, producer: str, named: dict[str, str], sentence: str) -> None:
        spec = {"StackName": producer, "OutputName": "Word", "Region": "eu-central-1"} | named
        stack = elsewhere.deploy(_parameter({"Fn::GetStackOutput": spec}))
        assert elsewhere.status(stack) == "ROLLBACK_COMPLETE"
        assert sentence in elsewhere.failures(stack)[0]

    def test_it_is_weak(self, account: Account, elsewhere: Account) -> None:
        bucket = {"Bucket": {"Type": "AWS::S3::Bucket"}}
        theirs = account.deploy(bucket, Outputs={"Word": {"Value": "one"}})
        reference = _output(theirs, Region="eu-central-1")
        ours = elsewhere.deploy(_parameter(reference))
        account.deploy(bucket, stack=theirs, Outputs={"Word": {"Value": "two"}})
        assert _value(elsewhere, ours) == "one"
        elsewhere.deploy(_parameter(reference, Description="touched"), stack=ours)
        assert _value(elsewhere, ours) == "two"
        assert account.delete(theirs) == "DELETE_COMPLETE"
        assert _value(elsewhere, ours) == "two"
        elsewhere.deploy(_parameter(reference, Description="again"), stack=ours)
        assert f"there is no stack {theirs}" in elsewhere.failures(ours)[0]


class TestStackOutputsAreRefusedWhereAwsFails:
    @pytest.mark.parametrize(
        ("make", "where"),
        [
            (lambda it: ({}, {"Outputs": {"O": {"Value": it}}}), "Outputs.O.Value"),
            (lambda it: ({}, {"Outputs": {"O": {"Value": {"Fn::Join": ["", [it]]}}}}), "Outputs.O.Value.Fn::Join"),
            (lambda it: ({"Fn::Sub": ["${a}", {"a": it}]}, {}), "Resources.P.Properties.Value.Fn::Sub.a"),
            (lambda it: ({"Fn::Base64": it}, {}), "Resources.P.Properties.Value.Fn::Base64"),
            (lambda it: ({"Fn::Select": [0, {"Fn::Split": [":", it]}]}, {}), "Value.Fn::Select.Fn::Split"),
            (lambda it: ({"Fn::ImportValue": it}, {}), "Resources.P.Properties.Value.Fn::ImportValue"),
            (lambda it: ("x", {"Conditions": {"C": {"Fn::Equals": [it, "a"]}}}), "Conditions.C.Fn::Equals"),
        ],
    )
    def test_with_a_sentence(self, elsewhere: Account, producer: str, make: Any, where: str) -> None:  # noqa: ANN401
        value, sections = make(_output(producer, Region="eu-central-1"))
        sentence = _refusal(elsewhere, _parameter(value or "x"), **sections)
        assert "InternalFailure: Fn::GetStackOutput at " in sentence
        assert f"{where}: AWS supports it as the value of a resource's property" in sentence

    @pytest.mark.parametrize(
        ("more", "sentence"),
        [
            ({"RoleArn": "arn:aws:iam::444455556666:role/x"}, "doesn't carry out Fn::GetStackOutput: RoleArn"),
            ({"OutputName": {"Ref": "Other"}}, "can't depend on the resource Other"),
            ({"OutputName": {"Fn::Sub": "${Other.Value}"}}, "can't depend on the resource Other"),
        ],
    )
    def test_what_it_can_not_name(self, elsewhere: Account, producer: str, more: Any, sentence: str) -> None:  # noqa: ANN401
        spec = {"StackName": producer, "OutputName": "Word", **more}
        other = {"Other": _parameter("x")["P"]}
        assert sentence in _refusal(elsewhere, {**other, **_parameter({"Fn::GetStackOutput": spec})})

    def test_nor_without_a_name(self, elsewhere: Account) -> None:
        resources = _parameter({"Fn::GetStackOutput": {"StackName": "x"}})
        assert "takes a StackName and an OutputName" in _refusal(elsewhere, resources)


def _output(stack: str, **more: str) -> dict[str, Any]:
    return {"Fn::GetStackOutput": {"StackName": stack, "OutputName": "Word", **more}}


def _parameter(value: object, **properties: str) -> dict[str, Any]:
    return {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value, **properties}}}


def _value(account: Account, stack: str) -> str:
    parameter = account.client("ssm").get_parameter(Name=account.physical_id(stack, "P"))
    value: str = parameter["Parameter"]["Value"]
    return value


def _refusal(account: Account, resources: dict[str, Any], **sections: Any) -> str:  # noqa: ANN401
    with pytest.raises(ClientError) as refusal:
        account.deploy(resources, **sections)
    message: str = refusal.value.response["Error"]["Message"]
    return message

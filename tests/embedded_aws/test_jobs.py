"""Contract: what a template says of Glue jobs is there when it is read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.embedded_aws.account import Account

_ENCRYPTION = {
    "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": "arn"},
    "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": "arn"},
    "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": "arn"}],
}


def security(name: str, encryption: object = None) -> dict[str, Any]:
    properties = {"Name": name, "EncryptionConfiguration": encryption or _ENCRYPTION}
    return {"Type": "AWS::Glue::SecurityConfiguration", "Properties": properties}


def job(name: str, **properties: object) -> dict[str, Any]:
    command = {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": "s3://code/script.py"}
    return {
        "Type": "AWS::Glue::Job",
        "Properties": {"Name": name, "Role": "arn:aws:iam::111122223333:role/job", "Command": command, **properties},
    }


class TestSecurityConfigurationsAreCreated:
    def test_read_back_and_deleted(self, account: Account) -> None:
        glue, name = account.client("glue"), account.name("security")
        stack = account.deploy({"Security": security(name)})
        assert account.status(stack) == "CREATE_COMPLETE"
        found = glue.get_security_configuration(Name=name)["SecurityConfiguration"]
        # CloudFormation's name for what Glue's API calls S3Encryption.
        in_the_api = {name.replace("S3Encryptions", "S3Encryption"): value for name, value in _ENCRYPTION.items()}
        assert found["EncryptionConfiguration"] == in_the_api
        assert account.delete(stack) == "DELETE_COMPLETE"
        assert name not in [each["Name"] for each in glue.get_security_configurations()["SecurityConfigurations"]]

    def test_other_content_takes_another_name(self, account: Account) -> None:
        name = account.name("security")
        stack = account.deploy({"Security": security(name)})
        account.deploy({"Security": security(name, {"S3Encryptions": []})}, stack=stack)
        assert account.status(stack) == "UPDATE_ROLLBACK_COMPLETE"
        assert any("give it another Name" in each for each in account.failures(stack))
        account.deploy({"Security": security(f"{name}-2", {"S3Encryptions": []})}, stack=stack)
        assert account.status(stack) == "UPDATE_COMPLETE"
        names = {
            each["Name"] for each in account.client("glue").get_security_configurations()["SecurityConfigurations"]
        }
        assert (name in names, f"{name}-2" in names) == (False, True)


class TestJobsKeepAllTheyAreTold:
    def test_read_back(self, account: Account) -> None:
        name, told = account.name("job"), account.name("security")
        said = {
            "Description": "d",
            "DefaultArguments": {"--a": "b"},
            "ExecutionProperty": {"MaxConcurrentRuns": 1},
            "GlueVersion": "5.1",
            "JobRunQueuingEnabled": True,
            "MaxRetries": 0,
            "NonOverridableArguments": {"--c": "d"},
            "NumberOfWorkers": 4,
            "SecurityConfiguration": told,
            "Timeout": 120,
            "WorkerType": "G.1X",
        }
        stack = account.deploy({"Security": security(told), "Job": {**job(name, **said), "DependsOn": "Security"}})
        found = account.client("glue").get_job(JobName=name)["Job"]
        assert {key: found.get(key) for key in said} == said
        changed = {**said, "JobRunQueuingEnabled": False, "ExecutionProperty": {"MaxConcurrentRuns": 2}}
        account.deploy(
            {"Security": security(told), "Job": {**job(name, **changed), "DependsOn": "Security"}}, stack=stack
        )
        found = account.client("glue").get_job(JobName=name)["Job"]
        assert {key: found.get(key) for key in changed} == changed

    @pytest.mark.parametrize("named", ["nowhere"])
    def test_a_configuration_that_isnt_there_is_refused(self, account: Account, named: str) -> None:
        stack = account.deploy({"Job": job(account.name("job"), SecurityConfiguration=named)})
        assert any("there is no security configuration nowhere" in each for each in account.failures(stack))

"""What the contract tests say to the embedded AWS, in few words."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devtools.embedded_aws.server import EmbeddedAws

_numbers = itertools.count(1)


class Account:
    """The account in one Region, its clients as root, and makers of what the tests need."""

    def __init__(self, aws: EmbeddedAws, region: str = "") -> None:
        self.aws = aws
        self.region = region or aws.region
        self.root_arn = f"arn:aws:iam::{aws.account_id}:root"
        self.s3 = self.client("s3")
        self.kms = self.client("kms")
        self.iam = self.client("iam")
        self.cloudformation = self.client("cloudformation")

    def client(self, service: str, **options: Any) -> Any:  # noqa: ANN401 - boto3
        return self.aws.client(service, region=self.region, **options)

    def name(self, prefix: str) -> str:
        return f"{prefix}-{next(_numbers)}"

    def key(self, *statements: Mapping[str, Any], **options: object) -> str:
        """The ARN of a new key; its policy is ``statements`` after the one that delegates to IAM."""
        delegation = {"Effect": "Allow", "Principal": {"AWS": self.root_arn}, "Action": "kms:*", "Resource": "*"}
        return self.key_without_delegation(delegation, *statements, **options)

    def key_without_delegation(self, *statements: Mapping[str, Any], **options: object) -> str:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        arn: str = self.kms.create_key(Policy=policy, **options)["KeyMetadata"]["Arn"]
        return arn

    def bucket(
        self, *, key: str = "", bucket_key: bool = True, blocked: str = "NONE", algorithm: str = "aws:kms"
    ) -> str:
        """A new bucket, with default encryption under ``key`` when there is one."""
        name = self.name("bucket")
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        if key:
            default = {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}
            rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
        rule["BlockedEncryptionTypes"] = {"EncryptionType": [blocked]}
        self.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        return name

    def deny(self, bucket: str, condition: Mapping[str, Any], action: str = "s3:PutObject") -> None:
        """Make a Deny for everybody the bucket's whole policy."""
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            "Condition": condition,
        }
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def user(self, *statements: Mapping[str, Any], service: str = "s3") -> Any:  # noqa: ANN401 - boto3
        """A client of a new IAM user with these statements."""
        credentials = self.aws.create_user(self.name("user"), *statements)
        return self.client(service, credentials=credentials)

    def deploy(self, resources: Mapping[str, Any], *, stack: str = "", **sections: Any) -> str:  # noqa: ANN401
        """Create or update a stack; the name of the stack, whatever became of it."""
        body = json.dumps({"Resources": resources, **sections})
        how = {"TemplateBody": body, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
        if stack:
            self.cloudformation.update_stack(StackName=stack, **how)
        else:
            stack = self.name("stack")
            self.cloudformation.create_stack(StackName=stack, **how)
        while self.status(stack).endswith("_IN_PROGRESS"):
            time.sleep(0.02)
        return stack

    def delete(self, stack: str) -> str:
        """Delete a stack; its last status."""
        stack_id = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        self.cloudformation.delete_stack(StackName=stack)
        while self.status(stack_id).endswith("_IN_PROGRESS"):
            time.sleep(0.02)
        return self.status(stack_id)

    def status(self, stack: str) -> str:
        status: str = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        return status

    def physical_id(self, stack: str, logical_id: str) -> str:
        detail = self.cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        physical_id: str = detail["StackResourceDetail"]["PhysicalResourceId"]
        return physical_id

    def failures(self, stack: str) -> list[str]:
        """The reasons of the resources that failed."""
        events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        return [
            event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"].endswith("_FAILED") and event["ResourceType"] != "AWS::CloudFormation::Stack"
        ]


def refused(call: Callable[..., object], **request: object) -> str:
    """The error code a request is refused with, or "" when it's allowed."""
    try:
        call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""

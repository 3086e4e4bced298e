"""What the CDK says of every construct alike, or of every one in a scope, asked of Node once.

Each costs a call into Node, as much as a small resource, and none can change.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct


class PseudoParameters(NamedTuple):
    """What CloudFormation puts in at deployment: right wherever the template is deployed."""

    partition: str
    account: str
    region: str
    stack_name: str

    @property
    def account_root_arn(self) -> str:
        """The principal that stands for the account and its IAM policies."""
        return f"arn:{self.partition}:iam::{self.account}:root"


@functools.cache
def pseudo_parameters() -> PseudoParameters:
    """Return the pseudo parameters, as tokens."""
    return PseudoParameters(
        partition=cdk.Aws.PARTITION,
        account=cdk.Aws.ACCOUNT_ID,
        region=cdk.Aws.REGION,
        stack_name=cdk.Aws.STACK_NAME,
    )


class Home(NamedTuple):
    """Where a construct is: its stack, by an address that no other has, and the stack's environment."""

    stack: str
    account: str
    region: str


@functools.lru_cache(maxsize=64)
def home(construct: Construct) -> Home:
    """Return where a construct is. For those that many others name: a fleet's scope, its log bucket."""
    stack = cdk.Stack.of(construct)
    return Home(stack=stack.node.addr, account=stack.account, region=stack.region)


@functools.cache
def days(number: int) -> cdk.Duration:
    """Return a duration of whole days."""
    return cdk.Duration.days(number)


@functools.cache
def block_all_public_access() -> s3.BlockPublicAccess:
    """Return the setting that closes a bucket to the public in all four ways."""
    return s3.BlockPublicAccess.BLOCK_ALL


@functools.cache
def block_sse_c() -> s3.BlockedEncryptionType:
    """Return the setting by which S3 refuses uploads that bring a key of their own."""
    return s3.BlockedEncryptionType.SSE_C

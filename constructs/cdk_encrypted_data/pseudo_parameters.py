"""The pseudo parameters of the stack a construct is in, as tokens: right wherever the template is deployed."""

from __future__ import annotations

import functools
from typing import NamedTuple

import aws_cdk as cdk


class PseudoParameters(NamedTuple):
    """What CloudFormation puts in at deployment."""

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
    """Return the pseudo parameters; asking Node for them each time would cost as much as a resource."""
    return PseudoParameters(
        partition=cdk.Aws.PARTITION,
        account=cdk.Aws.ACCOUNT_ID,
        region=cdk.Aws.REGION,
        stack_name=cdk.Aws.STACK_NAME,
    )

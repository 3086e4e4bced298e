"""FailureTopic: where EventBridge tells of jobs that failed, encrypted under a customer managed key."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.policies import key as key_policy

_EVENTS = "events.amazonaws.com"


class FailureTopic(Construct):
    """A topic to which rules of EventBridge publish, and whoever wants to know subscribes.

    With a key of its own, because EventBridge can't publish to a topic under the AWS managed key: its policy can't be
    changed. Nobody publishes over plain HTTP. What is published are events of AWS about jobs, with no data of them.

    Stateful: the key, which is retained when it leaves the template unless ``removal_policy`` says otherwise.

    See https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the topic and its key.

        Args:
            scope: The construct to put it into.
            id: Its id there.
            removal_policy: What happens to the key when it leaves the template. Default: it stays.

        Raises:
            ValueError: If an argument is out of bounds.
        """
        super().__init__(scope, id)
        key = CustomerManagedKey(
            self, "Key", description="Encrypts notices of failed jobs", removal_policy=removal_policy
        )
        # EventBridge names no source to encrypted topics, nor to their keys: a condition would lose every notice.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
        events = key_policy.allow_service(_EVENTS, actions=key_policy.WRITE_ACTIONS, condition={})
        key.key.add_to_resource_policy(iam.PolicyStatement.from_json(events))
        self._topic = sns.Topic(self, "Topic", master_key=key.key, enforce_ssl=True)
        publish = {"Effect": "Allow", "Principal": {"Service": _EVENTS}, "Action": "sns:Publish"}
        self._topic.add_to_resource_policy(
            iam.PolicyStatement.from_json({**publish, "Resource": self._topic.topic_arn, "Sid": "EventBridgePublishes"})
        )

    @property
    def topic(self) -> sns.Topic:
        """The topic."""
        return self._topic

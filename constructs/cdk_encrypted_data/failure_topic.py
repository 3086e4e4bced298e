"""FailureTopic: where EventBridge tells of jobs that failed, encrypted under a customer managed key."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data.encrypted_topic import EncryptedTopic, Publisher, check_key_options

# No condition: EventBridge names no source to a topic, nor to the key of an encrypted one; any would lose every notice.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
_EVENT_BRIDGE = Publisher("EventBridge", "events.amazonaws.com", {})


class FailureTopic(EncryptedTopic):
    """A topic to which rules of EventBridge publish, and nobody else; whoever wants to know subscribes.

    With a key of its own, because EventBridge can't publish to a topic under the AWS managed key: its policy can't be
    changed. Only EventBridge may use it. It doesn't say for which rule, so the policies can't tell rules apart: whoever
    may make rules for this topic's ARN can have it told things. Nothing comes or goes over plain HTTP. What is
    published are events of AWS about jobs, with no data of them.

    Who is told is the app's own choice: ``topic.add_subscription(…)``. E-mail carries the messages in the clear.

    Stateful: the key, which is retained when it leaves the template unless ``removal_policy`` says otherwise.

    See https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        key_administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_rotation_period: cdk.Duration | None = None,
        key_pending_window: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the topic and its key.

        Args:
            scope: The construct to put it into.
            id: Its id there. Part of the logical ids: changing it makes a new topic and a new key.
            key_administrators: Of the key: who administers it. Default: the account's IAM policies decide.
            key_rotation_period: Of the key: 90 to 2560 days. Default: 365 days.
            key_pending_window: Of the key: 7 to 30 days. Default: 30 days.
            removal_policy: What happens to the key when it leaves the template. Default: it stays.

        Raises:
            ValueError: If an argument is out of bounds, or an administrator can't be named in a key policy.
        """
        administrators = check_key_options(
            id,
            scope,
            key_administrators=key_administrators,
            key_rotation_period=key_rotation_period,
            key_pending_window=key_pending_window,
            removal_policy=removal_policy,
        )
        super().__init__(
            scope,
            id,
            publishers=[_EVENT_BRIDGE],
            subject="failed jobs",
            key_administrators=administrators,
            key_rotation_period=key_rotation_period,
            key_pending_window=key_pending_window,
            removal_policy=removal_policy,
        )

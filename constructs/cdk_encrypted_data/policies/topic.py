"""The statements of a topic's policy: which AWS services may publish, for what, and that nothing goes in the clear."""

from __future__ import annotations

from cdk_encrypted_data.policies import Condition, Statement

# What can be done to a topic. SNS refuses a policy that names an action which it doesn't take there, and ``sns:*``
# (https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html).
_ACTIONS = (
    "sns:AddPermission",
    "sns:DeleteTopic",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
    "sns:Publish",
    "sns:RemovePermission",
    "sns:SetTopicAttributes",
    "sns:Subscribe",
)


def allow_publishing(sid: str, topic_arn: str, *, service: str, condition: Condition) -> Statement:
    """Let an AWS service publish, for the sources that ``condition`` names."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": condition,
    }


def refuse_plain_http(topic_arn: str) -> list[Statement]:
    """Refuse every request that comes without TLS, and every endpoint that messages would reach without it."""
    return [
        _deny("RefusePlainHttp", list(_ACTIONS), topic_arn, {"Bool": {"aws:SecureTransport": "false"}}),
        # The name of a protocol means the same in capitals.
        _deny(
            "RefusePlainHttpEndpoints",
            "sns:Subscribe",
            topic_arn,
            {"StringEqualsIgnoreCase": {"sns:Protocol": "http"}},
        ),
    ]


def _deny(sid: str, actions: str | list[str], topic_arn: str, condition: Condition) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": topic_arn,
        "Condition": condition,
    }

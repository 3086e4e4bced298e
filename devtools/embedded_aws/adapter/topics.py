"""SNS topics under a key, and who publishes to them."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import json
import logging
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, request_scope
from ministack.services import cloudwatch, eventbridge, sns
from ministack.services.cloudformation import provisioners

from . import control, kms

_Record = dict[str, Any]

_log = logging.getLogger("embedded_aws.topics")
_KEY = "KmsMasterKeyId"
# What publishing to an encrypted topic takes, in the publisher's own name.
_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
_EVENT_BRIDGE = "events.amazonaws.com"


def topics_in_stacks_have_their_key() -> None:
    """Gap: MiniStack drops a topic's KmsMasterKeyId."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::SNS::Topic"]

    def create(logical_id: str, properties: _Record, stack: str) -> Any:
        arn, attributes = handler["create"](logical_id, properties, stack)
        return _with_key(arn, properties), attributes

    def update(arn: str, old: _Record, new: _Record, *arguments: Any) -> Any:
        arn, attributes = handler["update"](arn, old, new, *arguments)
        return _with_key(arn, new), attributes

    provisioners._RESOURCE_HANDLERS["AWS::SNS::Topic"] = {**handler, "create": create, "update": update}


def _with_key(arn: str, properties: _Record) -> str:
    attributes = sns._topics[arn]["attributes"]
    attributes.pop(_KEY, None)
    if properties.get(_KEY):
        if kms.key_by_arn(properties[_KEY]) is None:
            raise ValueError(f"AWS::SNS::Topic: {_KEY} {properties[_KEY]!r} is no key's ARN")
        attributes[_KEY] = properties[_KEY]
    return arn


def services_need_the_topics_key() -> None:
    """Gap: MiniStack asks the topic's policy whether S3 may publish, and never the policy of the topic's key."""
    original = sns.topic_policy_allows

    def topic_policy_allows(topic_arn: str, service: str, source_arn: str, source_account: str) -> bool:
        said = {"aws:sourcearn": source_arn, "aws:sourceaccount": source_account}
        return bool(original(topic_arn, service, source_arn, source_account)) and _key_allows(topic_arn, service, said)

    sns.topic_policy_allows = topic_policy_allows


def _key_allows(topic_arn: str, service: str, said: dict[str, str]) -> bool:
    named = sns._topic_by_arn_any_scope(topic_arn)["attributes"].get(_KEY)
    if not named:
        return True
    key = kms.key_by_arn(named)
    if key is None or key["KeyState"] != "Enabled":
        return False
    return all(_allows(key["Policy"], service, action, key["Arn"], said) for action in _KEY_ACTIONS)


def _allows(policy: str, service: str, action: str, arn: str, said: dict[str, str]) -> bool:
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=arn,
        region=arn.split(":")[3],
        secure_transport=True,
        service_context=said,
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision == "Allow")


def alarms_publish_as_cloudwatch() -> None:
    """Gap: an alarm of MiniStack's reaches every topic, whatever the topic's policy says."""
    original = cloudwatch._dispatch_alarm_actions

    def dispatch_alarm_actions(alarm: _Record, *states: Any) -> None:
        def may(target: str) -> bool:
            if not cloudwatch._is_sns_action_arn(target):
                return True
            allowed = sns.topic_policy_allows(target, "cloudwatch.amazonaws.com", alarm["AlarmArn"], get_account_id())
            if not allowed:
                _log.warning("alarm %s may not publish to %s", alarm["AlarmName"], target)
            return bool(allowed)

        lists = ("AlarmActions", "OKActions", "InsufficientDataActions")
        original(alarm | {name: [each for each in alarm.get(name) or [] if may(each)] for name in lists}, *states)

    cloudwatch._dispatch_alarm_actions = dispatch_alarm_actions


def rules_publish_as_eventbridge() -> None:
    """Gap: a rule of MiniStack's reaches every topic, whatever the policies of the topic and its key say."""
    original = eventbridge._dispatch_to_sns

    def dispatch_to_sns(arn: str, payload: str) -> None:
        topic = sns._topic_by_arn_any_scope(arn)
        # It names no source to topics: what a policy says of one doesn't hold.
        if topic and not (
            _allows(topic["attributes"].get("Policy", "{}"), _EVENT_BRIDGE, "sns:Publish", arn, {})
            and _key_allows(arn, _EVENT_BRIDGE, {})
        ):
            _log.warning("EventBridge may not publish to %s", arn)
            return
        original(arn, payload)

    eventbridge._dispatch_to_sns = dispatch_to_sns


@control.route("announce")
def _announce(account: str, region: str, source: str, detail_type: str, detail: _Record) -> None:
    """Put an event on the default bus as an AWS service does."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def people_publish_to_no_encrypted_topic() -> None:
    """Gap: MiniStack doesn't ask whether a publisher may use the topic's key. Nobody here has needed it: refused."""
    original = sns._publish

    def publish(params: Any) -> Any:
        topic = sns._topic_by_arn_any_scope(sns._normalize_arn(sns._p(params, "TopicArn") or ""))
        if topic and topic["attributes"].get(_KEY):
            message = "the embedded AWS publishes to encrypted topics for services only"
            return sns._error("NotImplemented", message, 501)
        return original(params)

    sns._publish = publish


def sns_condition_keys() -> None:
    """Gap: MiniStack has no ``sns:Protocol`` and ``sns:Endpoint`` for a request to subscribe."""
    original = iam_actions.request_tag_context

    def request_tag_context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
        context: dict[str, Any] = original(service, action, body, params)
        if action.lower() != "sns:subscribe":
            return context
        said = {name: sns._p(params, name) for name in ("Protocol", "Endpoint")}
        return context | {f"sns:{name}": value for name, value in said.items() if value}

    iam_actions.request_tag_context = request_tag_context


PATCHES = (
    sns_condition_keys,
    topics_in_stacks_have_their_key,
    services_need_the_topics_key,
    alarms_publish_as_cloudwatch,
    rules_publish_as_eventbridge,
    people_publish_to_no_encrypted_topic,
)

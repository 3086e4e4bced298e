"""Contract: a topic under a key gets messages only of services that its policy and its key's let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devtools.embedded_aws.inbox import Inbox
from tests.embedded_aws.account import refused

if TYPE_CHECKING:
    from tests.embedded_aws.account import Account

_S3, _CLOUDWATCH, _EVENTS = "s3.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"
_USE = ["kms:GenerateDataKey", "kms:Decrypt"]


def _allow(service: str, actions: object, resource: object = "*", **condition: object) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def _deploy(
    account: Account, *statements: dict[str, Any], key: str | None = None, deny: dict[str, Any] | None = None
) -> str:
    """Deploy a topic with such a policy; its ARN."""
    properties = {"KmsMasterKeyId": key} if key else {}
    document = {"Version": "2012-10-17", "Statement": [*statements, *([deny] if deny else [])]}
    policy = {"Topics": [{"Ref": "Topic"}], "PolicyDocument": document}
    stack = account.deploy(
        {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": properties},
            "Policy": {"Type": "AWS::SNS::TopicPolicy", "Properties": policy},
        }
    )
    assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
    return account.physical_id(stack, "Topic")


class TestTopicsInStacksHaveTheirKey:
    def test_read_back_changed_and_taken_away(self, account: Account) -> None:
        def topic(**properties: str) -> dict[str, Any]:
            return {"Topic": {"Type": "AWS::SNS::Topic", "Properties": properties}}

        first, second = account.key(), account.key()
        stack = account.deploy(topic(KmsMasterKeyId=first))
        arn = account.physical_id(stack, "Topic")

        def read() -> str | None:
            attributes: dict[str, str] = account.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
            return attributes.get("KmsMasterKeyId")

        assert read() == first
        account.deploy(topic(KmsMasterKeyId=second), stack=stack)
        assert read() == second
        account.deploy(topic(DisplayName="plain"), stack=stack)
        assert read() is None

    def test_no_key_of_that_name(self, account: Account) -> None:
        missing = f"{account.key()[:-1]}x"
        stack = account.deploy({"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": missing}}})
        assert "is no key's ARN" in account.failures(stack)[0]


class TestServicesNeedTheTopicsKey:
    @pytest.mark.parametrize(
        ("of_the_key", "code"),
        [
            (_allow(_S3, _USE), ""),
            (_allow(_S3, _USE, StringEquals={"aws:SourceAccount": "111122223333"}), ""),
            (_allow(_S3, _USE, StringEquals={"aws:SourceAccount": "444455556666"}), "InvalidArgument"),
            (_allow(_S3, "kms:Decrypt"), "InvalidArgument"),
            (_allow(_CLOUDWATCH, _USE), "InvalidArgument"),
        ],
    )
    def test_s3_tries_before_it_takes_a_configuration(
        self, account: Account, of_the_key: dict[str, Any], code: str
    ) -> None:
        topic = _deploy(account, _allow(_S3, "sns:Publish"), key=account.key(of_the_key))
        configuration = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:Replication:*"]}]}
        put = account.s3.put_bucket_notification_configuration
        assert refused(put, Bucket=account.bucket(), NotificationConfiguration=configuration) == code

    def test_a_disabled_key_takes_nothing(self, account: Account) -> None:
        key = account.key(_allow(_S3, _USE))
        topic = _deploy(account, _allow(_S3, "sns:Publish"), key=key)
        account.kms.disable_key(KeyId=key)
        configuration = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:Replication:*"]}]}
        put = account.s3.put_bucket_notification_configuration
        assert refused(put, Bucket=account.bucket(), NotificationConfiguration=configuration) == "InvalidArgument"


class TestAlarmsPublishAsCloudWatch:
    @pytest.mark.parametrize(
        ("service", "source", "arrives"),
        [
            (_CLOUDWATCH, "arn:aws:cloudwatch:*:111122223333:alarm:*", True),
            (_CLOUDWATCH, "arn:aws:cloudwatch:*:444455556666:alarm:*", False),
            (_S3, "*", False),
        ],
    )
    def test_only_if_the_topics_policy_lets_them(
        self, account: Account, service: str, source: str, *, arrives: bool
    ) -> None:
        topic = _deploy(account, _allow(service, "sns:Publish", ArnLike={"aws:SourceArn": source}))
        inbox = Inbox.of(account.aws, topic)
        cloudwatch = account.client("cloudwatch")
        name = account.name("alarm")
        alarm = {
            "AlarmName": name,
            "AlarmActions": [topic],
            "ComparisonOperator": "GreaterThanThreshold",
            "Dimensions": [{"Name": "RuleId", "Value": "all"}],
            "EvaluationPeriods": 3,
            "MetricName": "OperationsFailedReplication",
            "Namespace": "AWS/S3",
            "Period": 300,
            "Statistic": "Sum",
            "Threshold": 0,
            "TreatMissingData": "notBreaching",
        }
        stack = account.deploy({"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}})
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        assert {key: found[key] for key in alarm} == alarm
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
        assert bool(inbox.take()) is arrives


class TestRulesPublishAsEventBridge:
    @pytest.mark.parametrize(
        ("of_the_topic", "of_the_key", "arrives"),
        [
            (_allow(_EVENTS, "sns:Publish"), _allow(_EVENTS, _USE), True),
            (_allow(_EVENTS, "sns:Publish"), None, True),
            (_allow(_CLOUDWATCH, "sns:Publish"), _allow(_EVENTS, _USE), False),
            (_allow(_EVENTS, "sns:Publish"), _allow(_CLOUDWATCH, _USE), False),
            (_allow(_EVENTS, "sns:Publish"), _allow(_EVENTS, "kms:Decrypt"), False),
            # It names no source.
            (_allow(_EVENTS, "sns:Publish", StringEquals={"aws:SourceAccount": "111122223333"}), None, False),
            (_allow(_EVENTS, "sns:Publish", ArnLike={"aws:SourceArn": "*"}), None, False),
            (
                _allow(_EVENTS, "sns:Publish"),
                _allow(_EVENTS, _USE, StringEquals={"aws:SourceAccount": "111122223333"}),
                False,
            ),
        ],
    )
    def test_only_if_the_policies_of_topic_and_key_let_them(
        self, account: Account, of_the_topic: dict[str, Any], of_the_key: dict[str, Any] | None, *, arrives: bool
    ) -> None:
        topic = _deploy(account, of_the_topic, key=account.key(of_the_key) if of_the_key else None)
        inbox, job = Inbox.of(account.aws, topic), account.name("job")
        pattern = {"source": ["aws.glue"], "detail": {"jobName": [job], "state": ["FAILED"]}}
        rule = {"EventPattern": pattern, "State": "ENABLED", "Targets": [{"Arn": topic, "Id": "Topic"}]}
        stack = account.deploy({"Rule": {"Type": "AWS::Events::Rule", "Properties": rule}})
        assert account.status(stack) == "CREATE_COMPLETE", account.failures(stack)
        for said in ({"jobName": job, "state": "SUCCEEDED"}, {"jobName": "other", "state": "FAILED"}):
            account.aws.announce("aws.glue", "Glue Job State Change", said)
        account.aws.announce("aws.glue", "Glue Job State Change", {"jobName": job, "state": "FAILED"})
        found = inbox.take()
        assert [(each["detail"]["jobName"], each["detail"]["state"]) for each in found] == [(job, "FAILED")] * arrives
        assert {(each["source"], each["account"], each["region"]) for each in found} <= {
            ("aws.glue", account.aws.account_id, account.region)
        }

    def test_people_put_no_events_of_services(self, account: Account) -> None:
        event = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": "{}"}
        (answer,) = account.client("events").put_events(Entries=[event])["Entries"]
        assert answer["ErrorCode"] == "NotAuthorizedForSourceException"


class TestPeoplePublishToNoEncryptedTopic:
    def test_refused_and_not_without_a_key(self, account: Account) -> None:
        publish = account.client("sns").publish
        for key, code in ((account.key(), "NotImplemented"), (None, "")):
            topic = _deploy(account, _allow(_S3, "sns:Publish"), key=key)
            assert refused(publish, TopicArn=topic, Message="m") == code


class TestSnsConditionKeys:
    @pytest.mark.parametrize(("protocol", "code"), [("http", "AuthorizationError"), ("https", "")])
    def test_the_protocol_of_an_endpoint(self, account: Account, protocol: str, code: str) -> None:
        deny = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Subscribe",
            "Resource": "*",
            "Condition": {"StringEqualsIgnoreCase": {"sns:Protocol": "HTTP"}},
        }
        topic = _deploy(account, deny=deny)
        subscribe = account.user({"Effect": "Allow", "Action": "sns:*", "Resource": "*"}, service="sns").subscribe
        endpoint = f"{protocol}://127.0.0.1:9/none"
        assert refused(subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint) == code

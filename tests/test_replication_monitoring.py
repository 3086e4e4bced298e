"""ReplicationMonitoring: what it watches and where, what is proven of it, and what is refused."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_notifications as notifications
from aws_cdk import aws_sns as sns
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_encrypted_data import ObjectEvents, ReplicationDirection, ReplicationMonitoring, ReplicationTime
from cdk_encrypted_data.policies import Condition, Statement
from cdk_encrypted_data.policies import key as key_policy
from tests.test_replicated_encrypted_buckets import (
    ACCOUNT,
    AWAY,
    FAR,
    FIVE_REGIONS,
    HOME,
    REGIONS,
    Buckets,
    of_kind,
    stack_in,
)

BOTH_WAYS = ReplicationDirection.BOTH_WAYS
IN_TIME = ReplicationTime.WITHIN_15_MINUTES


class Monitored(Buckets):
    """Buckets in stacks of their own, and what watches them."""

    def __init__(self, *regions: str, watch: dict[str, Any] | None = None, **arguments: Any) -> None:  # noqa: ANN401 - options
        super().__init__(*regions, **arguments)
        self.monitoring = ReplicationMonitoring(self.home, "Monitoring", buckets=self.buckets, **(watch or {}))


def alarms(template: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the alarms' properties by metric, and by the Regions of source and destination."""
    found = {}
    for alarm in of_kind(template, "AWS::CloudWatch::Alarm"):
        properties = alarm["Properties"]
        dimensions = {each["Name"]: each["Value"] for each in properties["Dimensions"]}
        source, destination = (
            re.fullmatch(rf"acme-{ACCOUNT}-(.+)-an", dimensions[f"{which}Bucket"]).group(1)  # type: ignore[union-attr]
            for which in ("Source", "Destination")
        )
        assert dimensions["RuleId"] == f"To-{destination}"
        assert set(dimensions) == {"SourceBucket", "DestinationBucket", "RuleId"}
        found[properties["MetricName"], source, destination] = properties
    return found


def topic_configurations(template: dict[str, Any]) -> list[dict[str, Any]]:
    (bucket,) = of_kind(template, "AWS::S3::Bucket")
    found: list[dict[str, Any]] = (
        bucket["Properties"].get("NotificationConfiguration", {}).get("TopicConfigurations", [])
    )
    return found


class TestWhatIsWatchedWhere:
    def test_one_way(self) -> None:
        found = Monitored(*REGIONS).templates()
        # AWS publishes what failed in the Region of the source, and what waits in that of the destination.
        assert {region: set(alarms(found[region])) for region in REGIONS} == {
            HOME: {("OperationsFailedReplication", HOME, AWAY), ("OperationsFailedReplication", HOME, FAR)},
            AWAY: {("OperationsPendingReplication", HOME, AWAY)},
            FAR: {("OperationsPendingReplication", HOME, FAR)},
        }
        assert [len(topic_configurations(found[region])) for region in REGIONS] == [1, 0, 0]

    def test_both_ways(self) -> None:
        found = Monitored(*REGIONS, direction=BOTH_WAYS, replication_time=IN_TIME).templates()
        for here in REGIONS:
            others = [each for each in REGIONS if each != here]
            assert set(alarms(found[here])) == {
                *(("OperationsFailedReplication", here, each) for each in others),
                *(("OperationsPendingReplication", each, here) for each in others),
                *(("ReplicationLatency", each, here) for each in others),
            }
            assert len(topic_configurations(found[here])) == 1

    def test_every_event_of_replication_to_the_topic_of_the_region(self) -> None:
        found = Monitored().templates()[HOME]
        ((topic, _),) = [one for one in found["Resources"].items() if one[1]["Type"] == "AWS::SNS::Topic"]
        assert topic_configurations(found) == [{"Event": "s3:Replication:*", "Topic": {"Ref": topic}}]
        for alarm in alarms(found).values():
            assert alarm["AlarmActions"] == [{"Ref": topic}]

    def test_the_topic_takes_messages_before_the_bucket_is_there(self) -> None:
        found = Monitored().templates()[HOME]
        (bucket,) = of_kind(found, "AWS::S3::Bucket")
        assert [name for name in bucket["DependsOn"] if found["Resources"][name]["Type"] == "AWS::SNS::TopicPolicy"]

    def test_beside_event_bridge(self) -> None:
        (bucket,) = of_kind(Monitored(object_events=ObjectEvents.EVENT_BRIDGE).templates()[HOME], "AWS::S3::Bucket")
        configuration = bucket["Properties"]["NotificationConfiguration"]
        assert configuration["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}
        assert len(configuration["TopicConfigurations"]) == 1

    def test_not_beside_notifications_of_the_l2(self) -> None:
        monitored = Monitored()
        monitored.buckets.bucket_for(HOME).bucket.add_event_notification(
            s3.EventType.OBJECT_CREATED, notifications.SnsDestination(sns.Topic(monitored.home, "Mine"))
        )
        with pytest.raises(RuntimeError, match="its replication is monitored, and notifications of the bucket's L2"):
            monitored.templates()

    def test_no_function_and_no_new_dependency_between_stacks(self) -> None:
        monitored = Monitored(*REGIONS)
        found = monitored.templates()
        assert [each.dependencies for each in monitored.stacks] == [monitored.away, [], []]
        assert "AWS::Lambda::Function" not in str(found)

    def test_logical_ids_stay(self) -> None:
        found = Monitored().templates()
        ids = {region: [each for each in whole["Resources"] if "Monitoring" in each] for region, whole in found.items()}
        assert ids == LOGICAL_IDS

    def test_an_administrator_in_a_partition_that_only_a_deployment_knows(self) -> None:
        administrator = iam.ArnPrincipal(f"arn:{cdk.Aws.PARTITION}:iam::{ACCOUNT}:role/administrator")
        for template in Monitored(watch={"key_administrators": [administrator]}).templates().values():
            named = f"'arn:', {{'Ref': 'AWS::Partition'}}, ':iam::{ACCOUNT}:role/administrator'"
            # Who administers, and who doesn't use it.
            assert str(template).count(named) == 2


LOGICAL_IDS = {
    HOME: [
        "DataBucketReplicationMonitoringKey18CCF0F4",
        "DataBucketReplicationMonitoringKeyAlias2DF36871",
        "DataBucketReplicationMonitoringTopicC5709711",
        "DataBucketReplicationMonitoringTopicPolicy64A489D2",
        "DataBucketReplicationMonitoringFailedeuwest1DD9C4303",
    ],
    AWAY: [
        "DataReplicaReplicationMonitoringKeyA1000B61",
        "DataReplicaReplicationMonitoringKeyAlias60B2238D",
        "DataReplicaReplicationMonitoringTopicB24A873C",
        "DataReplicaReplicationMonitoringTopicPolicy130A0F5C",
        "DataReplicaReplicationMonitoringPendingeucentral185ACA894",
    ],
}


class TestAlarms:
    def test_every_failure_anew(self) -> None:
        failed = alarms(Monitored().templates()[HOME])["OperationsFailedReplication", HOME, AWAY]
        assert {
            name: failed[name] for name in ("ComparisonOperator", "Threshold", "Statistic", "EvaluationPeriods")
        } == {
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "Statistic": "Sum",
            "EvaluationPeriods": 1,
        }
        # AWS publishes nothing when nothing is replicated.
        assert failed["TreatMissingData"] == "notBreaching"
        # What failed stays failed, whatever the alarm says later.
        assert "OKActions" not in failed

    @pytest.mark.parametrize(
        ("watch", "threshold", "minutes"),
        [({}, 1000, 15), ({"pending_operations": 50, "pending_for": cdk.Duration.hours(24)}, 50, 1440)],
    )
    def test_a_backlog_that_lasts(self, watch: dict[str, Any], threshold: int, minutes: int) -> None:
        pending = alarms(Monitored(watch=watch).templates()[AWAY])["OperationsPendingReplication", HOME, AWAY]
        assert (pending["Threshold"], pending["Statistic"]) == (threshold, "Maximum")
        assert pending["EvaluationPeriods"] * pending["Period"] == minutes * 60
        assert pending["TreatMissingData"] == "ignore"
        assert pending["OKActions"] == pending["AlarmActions"]

    @pytest.mark.parametrize(
        ("arguments", "watch", "seconds"),
        [
            ({}, {}, None),
            ({"replication_time": IN_TIME}, {}, 900),
            ({"replication_time": IN_TIME}, {"maximum_latency": cdk.Duration.minutes(30)}, 1800),
            ({}, {"maximum_latency": cdk.Duration.minutes(60)}, 3600),
        ],
    )
    def test_a_destination_that_is_behind(
        self, arguments: dict[str, Any], watch: dict[str, Any], seconds: int | None
    ) -> None:
        found = alarms(Monitored(watch=watch, **arguments).templates()[AWAY])
        latency = found.get(("ReplicationLatency", HOME, AWAY), {})
        assert (latency.get("Threshold"), latency.get("Statistic")) == (seconds, "Maximum" if seconds else None)


class TestProofs:
    @pytest.mark.parametrize("direction", ReplicationDirection)
    def test_nothing_is_found_and_nothing_undecided(self, direction: ReplicationDirection) -> None:
        monitored = Monitored(*REGIONS, direction=direction, replication_time=IN_TIME)
        monitored.monitoring.grant_subscribe(iam.ManagedPolicy(monitored.home, "Subscribers"))
        assert monitored.outcomes() == []

    @pytest.mark.parametrize("direction", ReplicationDirection)
    @pytest.mark.parametrize("number", [2, 5])
    def test_nor_with_fewer_or_more_regions(self, number: int, direction: ReplicationDirection) -> None:
        regions = FIVE_REGIONS[:number]
        monitored = Monitored(*regions, direction=direction, replication_time=IN_TIME)
        sources = regions if direction is BOTH_WAYS else regions[:1]
        pairs = [(source, other) for source in sources for other in regions if other != source]
        # Of each pair: what failed, what waits, how far behind.
        assert len(monitored.monitoring.alarms) == 3 * len(pairs)
        assert monitored.monitoring.regions == regions
        assert monitored.outcomes() == []

    @pytest.mark.parametrize("service", ["s3.amazonaws.com", "cloudwatch.amazonaws.com"])
    def test_a_key_that_leaves_a_publisher_out_is_found(self, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def another(name: str, *, actions: Sequence[str], condition: Condition) -> Statement:
            other = "sqs.amazonaws.com" if name == service else name
            return {**ALLOW(name, actions=actions, condition=condition), "Principal": {"Service": other}}

        monkeypatch.setattr(key_policy, "allow_service", another)
        assert "key-service-refused" in Monitored().outcomes()


ALLOW = key_policy.allow_service


class TestGrantsAndReferences:
    def test_who_may_subscribe(self) -> None:
        monitored = Monitored(*REGIONS)
        role = iam.Role(monitored.home, "Operator", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        assert monitored.monitoring.grant_subscribe(role).success
        (statements,) = [
            each["Properties"]["PolicyDocument"]["Statement"]
            for each in of_kind(monitored.templates()[HOME], "AWS::IAM::Policy")
        ]
        assert {each["Action"] for each in statements} == {"sns:Subscribe"}
        references = [each["Resource"].get("Fn::GetStackOutput", {}).get("Region", HOME) for each in statements]
        assert references == list(REGIONS)

    def test_not_who_is_deployed_before(self) -> None:
        monitored = Monitored()
        policy = iam.ManagedPolicy(monitored.away[0], "Subscribers")
        with pytest.raises(ValueError, match=r"^Monitoring: grantee is .of eu-west-1, which is deployed before"):
            monitored.monitoring.grant_subscribe(policy)

    def test_topics_and_alarms(self) -> None:
        monitoring = Monitored(*REGIONS).monitoring
        assert monitoring.regions == tuple(monitoring.topics) == REGIONS
        assert cdk.Stack.of(monitoring.topic_for(AWAY)).region == AWAY
        assert len(monitoring.alarms) == 4
        with pytest.raises(
            ValueError, match=r"^Monitoring: region is 'moon'; allowed: one of eu-central-1, eu-west-1,"
        ):
            monitoring.topic_for("moon")


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("buckets", {"buckets": "acme"}),
    ("pending_operations", {"pending_operations": 0}),
    ("pending_operations", {"pending_operations": True}),
    ("pending_operations", {"pending_operations": 10.5}),
    ("pending_operations", {"pending_operations": 1_000_000_001}),
    ("pending_for", {"pending_for": 15}),
    ("pending_for", {"pending_for": cdk.Duration.seconds(90)}),
    ("pending_for", {"pending_for": cdk.Duration.minutes(1441)}),
    ("pending_for", {"pending_for": cdk.Duration.minutes(cdk.Token.as_number({"Ref": "Minutes"}))}),
    ("maximum_latency", {"maximum_latency": cdk.Duration.seconds(30)}),
    ("maximum_latency", {"maximum_latency": "15 minutes"}),
    ("key_administrators", {"key_administrators": [iam.AccountRootPrincipal()]}),
    ("key_rotation_period", {"key_rotation_period": cdk.Duration.days(30)}),
    ("key_pending_window", {"key_pending_window": cdk.Duration.days(31)}),
    ("removal_policy", {"removal_policy": cdk.RemovalPolicy.SNAPSHOT}),
]


crossing = settings(deadline=None, max_examples=40)


@functools.cache
def unwatched() -> Buckets:
    """Buckets for all refusals: none of them makes anything."""
    return Buckets()


class TestRefusals:
    @pytest.mark.parametrize(("argument", "arguments"), REFUSED)
    def test_one_by_one(self, argument: str, arguments: dict[str, Any]) -> None:
        buckets = Buckets()
        with pytest.raises(ValueError, match=rf"^Monitoring: {argument} is .+; allowed: [^;]+; .+[^.]$") as caught:
            ReplicationMonitoring(buckets.home, "Monitoring", **{"buckets": buckets.buckets, **arguments})
        assert not isinstance(caught.value, jsii.errors.JSIIError)
        assert buckets.home.node.try_find_child("Monitoring") is None

    @crossing
    @given(st.integers(max_value=0) | st.integers(min_value=10**9 + 1))
    def test_any_number_outside_the_bounds(self, number: int) -> None:
        self.refuses("pending_operations", number)

    @crossing
    @given(
        st.sampled_from(["pending_for", "maximum_latency"]),
        st.integers(0, 10**6).filter(lambda seconds: seconds % 60 or not 60 <= seconds <= 86_400),
    )
    def test_any_time_outside_the_bounds(self, argument: str, seconds: int) -> None:
        self.refuses(argument, cdk.Duration.seconds(seconds))

    def refuses(self, argument: str, value: object) -> None:
        made = unwatched()
        with pytest.raises(ValueError, match=rf"^Monitoring: {argument} is .+; allowed: [^;]+; .+[^.]$"):
            ReplicationMonitoring(made.home, "Monitoring", buckets=made.buckets, **{argument: value})  # type: ignore[arg-type]
        assert made.home.node.try_find_child("Monitoring") is None

    @pytest.mark.parametrize(("operations", "minutes"), [(1, 1), (10**9, 1440)])
    def test_the_bounds_themselves(self, operations: int, minutes: int) -> None:
        time = cdk.Duration.minutes(minutes)
        watch = {"pending_operations": operations, "pending_for": time, "maximum_latency": time}
        found = alarms(Monitored(watch=watch).templates()[AWAY])
        assert found["OperationsPendingReplication", HOME, AWAY]["Threshold"] == operations
        assert found["ReplicationLatency", HOME, AWAY]["Threshold"] == minutes * 60

    def test_buckets_that_are_watched_already(self) -> None:
        monitored = Monitored()
        elsewhere = stack_in(AWAY, monitored.scope, "Elsewhere")
        with pytest.raises(ValueError, match=r"^Again: buckets is 'eu-central-1/Data, which another .+; allowed: "):
            ReplicationMonitoring(elsewhere, "Again", buckets=monitored.buckets)

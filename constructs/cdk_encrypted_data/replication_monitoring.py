"""ReplicationMonitoring: what S3 couldn't replicate, or not in time, told in each Region of replicated buckets."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.choices import ReplicationTime
from cdk_encrypted_data.encrypted_bucket import NoOtherNotifications
from cdk_encrypted_data.encrypted_topic import EncryptedTopic, Publisher, check_key_options
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.policies.replication import Place
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets

PENDING_OPERATIONS = (1, 1_000_000_000)
"""The least and the most operations that may be pending before an alarm (bounds of this library's)."""

MINUTES = (1, 1440)
"""How long something may last before an alarm: CloudWatch looks back over a day at most."""

_PART = "ReplicationMonitoring"
_EVENTS = "s3:Replication:*"


class ReplicationMonitoring(Construct):
    """Events and alarms of replicated buckets: a topic in each Region, that S3 and CloudWatch alone publish to.

    S3 tells the topic of a source's Region of every object that it couldn't replicate (``s3:Replication:*``), and why.
    CloudWatch tells it of each rule that failed at all, and the topic of the destination's Region, where AWS publishes
    these metrics, of rules that fall behind. Failed objects aren't tried again by S3: that takes S3 Batch Replication.

    Each topic is encrypted under a customer managed key of its own, which only these two services may use, for these
    buckets and this account's alarms, and takes nothing over plain HTTP. Who is told is the app's own choice:
    ``topic_for(region).add_subscription(…)``. Messages name buckets and objects; e-mail carries them in the clear.

    S3 has one configuration of notifications for a bucket. This one stands beside ``object_events`` and excludes the
    L2's own notifications.

    Stateful: the keys, retained when they leave the template unless ``removal_policy`` says otherwise: SNS keeps
    messages that it couldn't deliver for a while. A retained key costs as much as one in use.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        buckets: ReplicatedEncryptedBuckets,
        pending_operations: int = 1000,
        pending_for: cdk.Duration | None = None,
        maximum_latency: cdk.Duration | None = None,
        key_administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_rotation_period: cdk.Duration | None = None,
        key_pending_window: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make a topic, its key and alarms in the stack of each bucket.

        Args:
            scope: The construct to put it into, in any stack. What it makes is with the buckets, in their stacks.
            id: Its id there. No logical id depends on it.
            buckets: The buckets to watch, which nothing else of this kind watches.
            pending_operations: How many operations of a rule may wait to be replicated, for as long as ``pending_for``
                says: 1 to 1,000,000,000. Default: 1000.
            pending_for: How long more of them may wait before the alarm: 1 to 1440 whole minutes. Default: 15 minutes.
            maximum_latency: How far a destination may be behind before the alarm: 1 to 1440 whole minutes. Default: 15
                minutes with ``ReplicationTime.WITHIN_15_MINUTES``, which promises that; otherwise no such alarm.
            key_administrators: Of the keys: who administers them. Default: the account's IAM policies decide.
            key_rotation_period: Of the keys: 90 to 2560 days. Default: 365 days.
            key_pending_window: Of the keys: 7 to 30 days. Default: 30 days.
            removal_policy: What happens to the keys when they leave the template. Default: they stay.

        Raises:
            ValueError: If an argument is out of bounds, or if the buckets are watched already.
        """
        kind = "a ReplicatedEncryptedBuckets"
        validation.check_instance(id, "buckets", buckets, ReplicatedEncryptedBuckets, allowed=kind)
        validation.check_number(id, "pending_operations", pending_operations, PENDING_OPERATIONS)
        if pending_for is not None:
            validation.check_minutes(id, "pending_for", pending_for, MINUTES)
        if maximum_latency is not None:
            validation.check_minutes(id, "maximum_latency", maximum_latency, MINUTES)
        elif buckets.replication.replication_time is ReplicationTime.WITHIN_15_MINUTES:
            maximum_latency = cdk.Duration.minutes(15)
        administrators = check_key_options(
            id,
            buckets,
            key_administrators=key_administrators,
            key_rotation_period=key_rotation_period,
            key_pending_window=key_pending_window,
            removal_policy=removal_policy,
        )
        _check_not_watched(id, buckets)

        super().__init__(scope, id)
        self._buckets = buckets
        self._parts: dict[str, _RegionalMonitoring] = {}
        for region in buckets.regions:
            self._parts[region] = part = _RegionalMonitoring(
                buckets,
                region=region,
                key_administrators=administrators,
                key_rotation_period=key_rotation_period,
                key_pending_window=key_pending_window,
                removal_policy=removal_policy,
            )
            for destination in buckets.destinations_of(region):
                part.watch_failures(buckets.place_of(destination))
            for origin in buckets.regions:
                if region in buckets.destinations_of(origin):
                    source = buckets.place_of(origin)
                    part.watch_backlog(source, operations=pending_operations, longer_than=pending_for)
                    if maximum_latency is not None:
                        part.watch_latency(source, maximum_latency)
        for elsewhere in buckets.places_elsewhere:
            # What waits for it is published in a Region of another account's.
            self._parts[buckets.regions[0]].watch_failures(elsewhere)

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions that have a topic: those of the buckets, the source's first."""
        return tuple(self._parts)

    @property
    def topics(self) -> Mapping[str, sns.Topic]:
        """The topics, by Region."""
        return {region: part.topic for region, part in self._parts.items()}

    @property
    def alarms(self) -> Sequence[cloudwatch.Alarm]:
        """The alarms of all Regions."""
        return [alarm for part in self._parts.values() for alarm in part.alarms]

    def topic_for(self, region: str) -> sns.Topic:
        """Return the topic of a Region, to subscribe to in that Region's stack.

        Raises:
            ValueError: If there is none.
        """
        if region not in self._parts:
            raise validation.refusal(
                self.node.id,
                "region",
                got=region,
                allowed=f"one of {', '.join(self._parts)}",
                remedy="name a Region that has a bucket",
            )
        return self._parts[region].topic

    def grant_subscribe(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a role, user or policy subscribe endpoints to every topic, none of them over plain HTTP.

        Args:
            grantee: A role, user, group or managed policy of this app, or one imported into it; in the source's stack
                or one that is deployed after it.

        Raises:
            ValueError: If the grantee can't be given a policy, or is in a stack that is deployed before the source's.
        """
        owner = self.node.id
        validation.check_grantee(owner, grantee, account=cdk.Stack.of(self._buckets).account)
        validation.check_grantee_place(owner, grantee)
        earlier = [cdk.Stack.of(part) for part in list(self._parts.values())[1:]]
        validation.check_grantee_stack(owner, grantee, earlier)
        grants = [
            iam.Grant.add_to_principal(grantee=grantee, actions=["sns:Subscribe"], resource_arns=[part.topic_arn])
            for part in self._parts.values()
        ]
        if not all(grant.success for grant in grants):
            raise validation.unable_to_grant(owner, grantee)
        return functools.reduce(iam.Grant.combine, grants)


class _RegionalMonitoring(EncryptedTopic):
    """A topic, its key, and the alarms whose metrics are published in this Region."""

    def __init__(
        self,
        buckets: ReplicatedEncryptedBuckets,
        *,
        region: str,
        key_administrators: list[str],
        key_rotation_period: cdk.Duration | None,
        key_pending_window: cdk.Duration | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        here = pseudo_parameters()
        place = buckets.place_of(region)
        # Not by their names, which CloudFormation makes: the alarms need the topic.
        alarms = f"arn:{here.partition}:cloudwatch:{here.region}:{here.account}:alarm:*"
        publishers = [
            Publisher("CloudWatch", "cloudwatch.amazonaws.com", policies.source_condition([alarms], here.account))
        ]
        if buckets.replicates(region):
            source = policies.source_condition([place.bucket_arn], here.account)
            publishers.append(Publisher("S3", "s3.amazonaws.com", source))
        # With its bucket, whichever stack that is in: so nobody else watches that bucket, and the ids are the same.
        super().__init__(
            buckets.bucket_for(region),
            _PART,
            publishers=publishers,
            subject="replication",
            key_administrators=key_administrators,
            key_rotation_period=key_rotation_period,
            key_pending_window=key_pending_window,
            removal_policy=removal_policy,
        )
        self._buckets = buckets
        self._region = region
        self._place = place
        self.alarms: list[cloudwatch.Alarm] = []
        # Another stack reads an output: no export binds the stacks, no Lambda function copies it.
        cdk.CrossStackReferences.of(self._resource).produce(cdk.ReferenceStrength.WEAK)
        self.topic_arn = self._resource.ref
        if buckets.replicates(region):
            self._notify()

    def watch_failures(self, destination: Place) -> None:
        """Tell of replicas that failed. AWS publishes that in the source's Region, and only when something failed."""
        metric = self._metric("OperationsFailedReplication", self._place, destination, statistic="Sum", minutes=5)
        self._alarm(
            f"Failed{destination.account or ''}{destination.region}",
            f"S3 failed to replicate from {self._place.bucket_name} to {destination.bucket_name} and tries no more; "
            "the topic's events say what and why",
            metric=metric,
            threshold=0,
            # Nothing replicated, nothing failed. So every new failure is told anew.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def watch_backlog(self, source: Place, *, operations: int, longer_than: cdk.Duration | None) -> None:
        """Tell of operations that wait. AWS publishes that in the destination's Region."""
        minutes = 15 if longer_than is None else int(longer_than.to_minutes())
        alarm = self._alarm(
            f"Pending{source.region}",
            f"More than {operations} operations have waited for {minutes} minutes to be replicated "
            f"from {source.bucket_name} to {self._place.bucket_name}",
            metric=self._metric("OperationsPendingReplication", source, self._place, statistic="Maximum", minutes=1),
            threshold=operations,
            evaluation_periods=minutes,
        )
        alarm.add_ok_action(actions.SnsAction(self.topic))

    def watch_latency(self, source: Place, maximum: cdk.Duration) -> None:
        """Tell when the destination is behind. AWS publishes that in the destination's Region."""
        alarm = self._alarm(
            f"Latency{source.region}",
            f"{self._place.bucket_name} is more than {int(maximum.to_minutes())} minutes behind {source.bucket_name}",
            metric=self._metric("ReplicationLatency", source, self._place, statistic="Maximum", minutes=1),
            threshold=maximum.to_seconds(),
        )
        alarm.add_ok_action(actions.SnsAction(self.topic))

    def _notify(self) -> None:
        bucket = self._buckets.bucket_for(self._region)
        resource = bucket.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)  # noqa: S101 - for type checkers: the CDK made it
        # By the property: the L2's way is a Lambda function that writes S3's one configuration without EventBridge.
        resource.add_property_override(
            "NotificationConfiguration.TopicConfigurations", [{"Event": _EVENTS, "Topic": self.topic_arn}]
        )
        # S3 publishes a first message at once and refuses a topic that doesn't take it.
        resource.node.add_dependency(self._policy)
        self.node.add_validation(NoOtherNotifications(bucket.bucket, "its replication is monitored"))

    def _metric(
        self, name: str, source: Place, destination: Place, *, statistic: str, minutes: int
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/S3",
            metric_name=name,
            dimensions_map={
                "SourceBucket": source.bucket_name,
                "DestinationBucket": destination.bucket_name,
                "RuleId": destination.rule_id,
            },
            statistic=statistic,
            period=cdk.Duration.minutes(minutes),
        )

    def _alarm(
        self,
        id: str,  # noqa: A002 - the CDK's name for it
        description: str,
        *,
        metric: cloudwatch.Metric,
        threshold: int | float,  # noqa: PYI041 - the CDK's seconds are one, and whole
        evaluation_periods: int = 1,
        # As AWS advises: what is known last stays true when the best-effort metric has gaps.
        treat_missing_data: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.IGNORE,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=treat_missing_data,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.alarms.append(alarm)
        return alarm


def _check_not_watched(owner: str, buckets: ReplicatedEncryptedBuckets) -> None:
    if buckets.bucket_for(buckets.regions[0]).node.try_find_child(_PART) is not None:
        raise validation.refusal(
            owner,
            "buckets",
            got=f"{buckets.node.path}, which another ReplicationMonitoring watches",
            allowed="buckets that none watches",
            remedy="subscribe to the topics of the other one: S3 has one configuration of notifications for a bucket",
        )

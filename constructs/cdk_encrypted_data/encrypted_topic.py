"""EncryptedTopic: a topic under a key of its own, to which named AWS services publish and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_encrypted_data import names, policies, validation
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.managed_key import ManagedKey, check_options
from cdk_encrypted_data.policies import key as key_policy
from cdk_encrypted_data.policies import topic as topic_policy


class Publisher(NamedTuple):
    """An AWS service that publishes.

    Attributes:
        name: What a policy's statement calls it.
        service: Its service principal.
        condition: For which sources it may publish. Empty for a service that names none.
    """

    name: str
    service: str
    condition: policies.Condition


class EncryptedTopic(Construct):
    """A topic with a customer managed key of its own, for the AWS services named. Made as one of its subclasses.

    SNS encrypts a message by the rights of whoever publishes it. So the key's policy says a second time who may: it
    lets these services use the key, for these sources, and nobody else, whatever IAM policies say of the topic. Who
    gets messages needs no right to the key. Nothing comes or goes over plain HTTP.

    See https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        publishers: Sequence[Publisher],
        subject: str,
        key_administrators: Sequence[str],
        key_rotation_period: cdk.Duration | None,
        key_pending_window: cdk.Duration | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, id)
        self._key = _TopicKey(
            self,
            "Key",
            publishers=publishers,
            subject=subject,
            administrators=key_administrators,
            rotation_period=key_rotation_period,
            pending_window=key_pending_window,
            removal_policy=removal_policy,
        )
        self._topic = sns.Topic(self, "Topic", master_key=self._key.key)
        resource = self._topic.node.default_child
        assert isinstance(resource, sns.CfnTopic)  # noqa: S101 - for type checkers: the CDK made it
        self._resource = resource
        statements = [
            *(
                topic_policy.allow_publishing(
                    f"AllowPublishingBy{each.name}", resource.ref, service=each.service, condition=each.condition
                )
                for each in publishers
            ),
            *topic_policy.refuse_plain_http(resource.ref),
        ]
        # By the L2, which writes whatever else is added into the same policy: a topic has one.
        added = [self._topic.add_to_resource_policy(iam.PolicyStatement.from_json(each)) for each in statements]
        policy = added[0].policy_dependable
        assert policy is not None  # noqa: S101 - for type checkers: a topic has a policy
        self._policy = policy

    @property
    def topic(self) -> sns.Topic:
        """The topic."""
        return self._topic

    @property
    def key(self) -> kms.Key:
        """The topic's key."""
        return self._key.key


def check_key_options(
    owner: str,
    scope: Construct,
    *,
    key_administrators: object,
    key_rotation_period: cdk.Duration | None,
    key_pending_window: cdk.Duration | None,
    removal_policy: object,
) -> list[str]:
    """Refuse options that a topic's key can't have; return the ARNs of its administrators."""
    administrators, _ = check_options(
        owner,
        scope,
        administrators=key_administrators,
        rotation_period=key_rotation_period,
        pending_window=key_pending_window,
        prefix="key_",
    )
    validation.check_removal_policy(owner, "removal_policy", removal_policy)
    return administrators


class _TopicKey(ManagedKey):
    """The key of a topic: for the services that publish to it, and nobody else."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        publishers: Sequence[Publisher],
        subject: str,
        administrators: Sequence[str],
        rotation_period: cdk.Duration | None,
        pending_window: cdk.Duration | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, id, administrators=administrators, users=(), bucket_arns=())
        here = pseudo_parameters()
        statements = [
            *key_policy.administration(here.account_root_arn, administrators=administrators),
            # SNS opens messages with the publisher's permission; those who get them need none.
            *(
                key_policy.allow_service(each.service, actions=key_policy.WRITE_ACTIONS, condition=each.condition)
                for each in publishers
            ),
            *key_policy.refuse_grants_to_people(),
        ]
        self._policy = iam.PolicyDocument(
            statements=[iam.PolicyStatement.from_json(each) for each in statements], minimize=False
        )
        path = self.to_string()
        self._key: kms.Key = kms.Key(
            self,
            "Resource",
            alias=names.alias_name(path, stack_name=here.stack_name),
            description=f"Encrypts what {names.readable(path)} tells of {subject}",
            enable_key_rotation=True,
            rotation_period=rotation_period,
            pending_window=pending_window,
            policy=self._policy,
            removal_policy=removal_policy,
        )
        cdk.Tags.of(self._key).add("Name", names.readable(path))

    @property
    def key(self) -> kms.Key:
        return self._key

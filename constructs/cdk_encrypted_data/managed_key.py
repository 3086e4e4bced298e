"""ManagedKey: what every key of this library offers, single-Region, primary or replica."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.interned import home, pseudo_parameters
from cdk_encrypted_data.policies import key as key_policy

ROTATION_DAYS = (90, 2560)
"""The shortest and the longest rotation period that KMS takes, in days."""

PENDING_WINDOW_DAYS = (7, 30)
"""The shortest and the longest waiting period before KMS deletes a key, in days."""


class ManagedKey(Construct):
    """A KMS key of which this library writes the policy. Made as one of its subclasses.

    `EncryptedBucket` takes any of them as its ``key``.
    """

    # What a subclass makes: the key, and the document of its policy.
    _key: kms.IKey
    _policy: iam.PolicyDocument

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        administrators: Sequence[str],
        users: Sequence[str],
        bucket_arns: Sequence[str],
    ) -> None:
        super().__init__(scope, id)
        self._administrators = list(administrators)
        self._users = list(users)
        self._bucket_arns = list(bucket_arns)

    @property
    def key(self) -> kms.IKey:
        """The key."""
        return self._key

    @property
    def names_its_users(self) -> bool:
        """Whether the key's policy names who uses it, so that no grant lets anybody else."""
        return bool(self._users)

    @property
    def _owner(self) -> str:
        """What a refusal calls the construct."""
        return self.node.id

    @property
    def key_arn(self) -> str:
        """The key's ARN, as a token."""
        return self._key.key_arn

    def allow_service(
        self,
        service: str,
        *,
        source_arns: Sequence[str],
        source_account: str | None = None,
        actions: Sequence[str] = key_policy.READ_ACTIONS,
    ) -> None:
        """Allow an AWS service to use the key, for named sources only.

        Args:
            service: The service principal, such as ``cloudfront.amazonaws.com``.
            source_arns: The resources the service acts for, as ARNs or patterns (``aws:SourceArn``). Where the source
                itself depends on the key, as a distribution does, use a pattern: its ARN would be a cycle.
            source_account: The account of the sources (``aws:SourceAccount``). Needed where an ARN names none, as a
                bucket's doesn't.
            actions: What the service needs. Default: ``kms:Decrypt``.

        Raises:
            ValueError: If no source is named, or one that could be anybody's.
        """
        owner = self._owner
        validation.check_text(owner, "service", service, validation.SERVICE)
        validation.check_texts(owner, "actions", actions, validation.KEY_ACTION)
        if not actions:
            raise validation.refusal(
                owner, "actions", got=actions, allowed=validation.KEY_ACTION.allowed, remedy="name at least one"
            )
        validation.check_sources(owner, source_arns, source_account)
        condition = policies.source_condition(source_arns, source_account)
        statement = key_policy.allow_service(service, actions=actions, condition=condition)
        self._policy.add_statements(iam.PolicyStatement.from_json(statement))

    def allow_cloudwatch_logs(self, *, log_group_name: str) -> None:
        """Allow CloudWatch Logs of this Region to encrypt this account's log groups under the key.

        Args:
            log_group_name: The log group's name; ``*`` stands for any characters.

        Raises:
            ValueError: If it is no log group's name.

        See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html.
        """
        here = pseudo_parameters()
        validation.check_text(self._owner, "log_group_name", log_group_name, validation.LOG_GROUP_NAME)
        statement = key_policy.allow_cloudwatch_logs(
            region=here.region,
            log_group_arn=f"arn:{here.partition}:logs:{here.region}:{here.account}:log-group:{log_group_name}",
        )
        self._policy.add_statements(iam.PolicyStatement.from_json(statement))

    def add_statements(self, statements: Sequence[policies.Statement]) -> None:
        """Add statements to the key's policy, for a construct of this library that answers for them."""
        self._policy.add_statements(*(iam.PolicyStatement.from_json(each) for each in statements))

    def check_grantee(self, grantee: iam.IGrantable) -> None:
        """Refuse a grantee of whom it is known that the key's policy gives it nothing.

        ``grant_*`` of a bucket asks this. A managed policy or a group has no ARN that a key's policy could name: what
        it grants takes effect for those of its roles and users that are among ``users``.

        Raises:
            ValueError: If the grantee is one of ``administrators``, or the key names its users and it isn't one.
        """
        check_key_grantee(
            self._owner,
            grantee,
            account=cdk.Stack.of(self).account if self._users or self._administrators else "",
            administrators=self._administrators,
            users=self._users,
        )

    def check_bucket(self, bucket_name: str | None) -> None:
        """Refuse a bucket of which it is known that the key isn't for it.

        Args:
            bucket_name: The bucket's name; ``None`` where CloudFormation makes it.

        Raises:
            ValueError: If the key names its buckets and this isn't one.
        """
        names_of_buckets = [arn.rpartition(":")[2] for arn in self._bucket_arns]
        unknown = any(validation.is_token(name) for name in (*names_of_buckets, bucket_name or ""))
        if names_of_buckets and not unknown and bucket_name not in names_of_buckets:
            raise validation.refusal(
                self._owner,
                "bucket_arns",
                got=self._bucket_arns,
                allowed="a list with the ARN of each bucket under the key",
                remedy="add the bucket's ARN, and give the bucket its name by bucket_name",
            )


def check_options(
    owner: str,
    scope: Construct,
    *,
    administrators: object = (),
    users: object = (),
    alias_name: object = None,
    rotation_period: cdk.Duration | None = None,
    pending_window: cdk.Duration | None = None,
    prefix: str = "",
) -> tuple[list[str], list[str]]:
    """Refuse options that a key can't have; return the ARNs of its administrators and of its users.

    What a construct doesn't offer, it leaves out. ``prefix`` is what the options are called by where they are given:
    ``key_`` at a bucket.
    """
    validation.check_optional_text(owner, f"{prefix}alias_name", alias_name, validation.ALIAS_NAME)
    validation.check_known_days(owner, f"{prefix}rotation_period", rotation_period, ROTATION_DAYS)
    validation.check_known_days(owner, f"{prefix}pending_window", pending_window, PENDING_WINDOW_DAYS)
    if administrators == () and users == ():
        return [], []
    account = home(scope).account
    administrator_arns = validation.check_principals(owner, f"{prefix}administrators", administrators, account=account)
    user_arns = validation.check_principals(owner, f"{prefix}users", users, account=account)
    check_separation(owner, f"{prefix}users", user_arns, administrators=administrator_arns)
    return administrator_arns, user_arns


def check_separation(owner: str, argument: str, users: Sequence[str], *, administrators: Sequence[str]) -> None:
    """Refuse users of a key who are known to administer it."""
    for user in users:
        if any(validation.may_be_same(user, administrator) for administrator in administrators):
            raise validation.refusal(
                owner,
                argument,
                got=user,
                allowed="principals that aren't administrators",
                remedy="take it out of one of the two: who administers the key may not use it",
            )


def check_key_grantee(
    owner: str, grantee: iam.IGrantable, *, account: str, administrators: Sequence[str], users: Sequence[str]
) -> None:
    """Refuse a grantee of whom it is known that a key with these administrators and users gives it nothing."""
    if not users and not administrators:
        return
    if isinstance(grantee, (iam.ManagedPolicy, iam.Policy, iam.Group)):
        return
    (arn,) = validation.check_principals(owner, "grantee", [grantee.grant_principal], account=account)
    if any(validation.may_be_same(arn, administrator) for administrator in administrators):
        raise validation.refusal(
            owner,
            "grantee",
            got=arn,
            allowed="principals that aren't administrators of the key",
            remedy="grant it to somebody else: who administers the key may not use it",
        )
    # Unknown (None) passes: a role of this app may be one that ``users`` names by its ARN.
    if users and all(validation.may_be_same(arn, user) is False for user in users):
        raise validation.refusal(
            owner,
            "grantee",
            got=arn,
            allowed="the key's users",
            remedy="add it to users: a key that names its users works for nobody else",
        )

"""CustomerManagedKey: a KMS key whose policy separates who administers it from who uses it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_encrypted_data import names, policies, validation
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.policies import key as key_policy

ROTATION_DAYS = (90, 2560)
"""The shortest and the longest rotation period that KMS takes, in days."""

PENDING_WINDOW_DAYS = (7, 30)
"""The shortest and the longest waiting period before KMS deletes a key, in days."""


class CustomerManagedKey(Construct):
    """A symmetric KMS key for data in S3, with an alias, a Name tag, rotation and a policy that admits no stranger.

    The key works only through S3 and only for this account, except for services that `allow_service` and
    `allow_cloudwatch_logs` admit. Nobody makes grants on it but AWS services. By default the account's IAM policies
    decide who administers and who uses it, so the account can always recover it. Name ``administrators`` and those
    can't use it; name ``users`` and those can't administer it, whatever IAM policies say.

    A principal who may call ``kms:PutKeyPolicy`` can in the end give itself anything: the separation makes that a
    recorded change of the policy instead of a quiet use.

    Stateful: the key. It is retained when it leaves the template unless ``removal_policy`` says otherwise; data under a
    deleted key is lost. CloudFormation replaces it on no change of these arguments; a new ``alias_name`` replaces only
    the alias.

    See https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        users: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        bucket_arns: Sequence[str] = (),
        alias_name: str | None = None,
        description: str | None = None,
        rotation_period: cdk.Duration | None = None,
        pending_window: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the key and its alias.

        Args:
            scope: The construct to put it into.
            id: Its id there. Part of the logical id: changing it makes a new key.
            administrators: Roles and users of this account who administer the key and may not use it. They must exist
                when the key is made. Default: the account's IAM policies decide. When given, only they may disable the
                key, schedule its deletion or rotate it at once; a deployment that is to do so
                (``RemovalPolicy.DESTROY``) must run as one of them.
            users: Roles and users of this account who use the key through S3 and may not administer it. They must exist
                when the key is made. Default: the account's IAM policies decide, and ``grant_*`` of a bucket is enough.
                When given, nobody else uses the key, and ``grant_*`` refuses whom this list is known not to name. A
                role of another stack is named by ``iam.ArnPrincipal``: by itself it would make both stacks need each
                other.
            bucket_arns: The only buckets whose objects the key may protect. Default: any bucket of the account. A
                bucket of the same stack can be named here only if its name is known before deployment.
            alias_name: ``alias/…``. Default: ``alias/STACK/PATH``, which no other stack or construct can have.
            description: At most 8192 characters. Default: what the key is for, by its path in the app.
            rotation_period: How often KMS makes new key material: 90 to 2560 days. Default: 365 days.
            pending_window: How long KMS waits before it deletes the key once that is scheduled: 7 to 30 days. Default:
                30 days.
            removal_policy: What happens to the key when it leaves the template. Default: it stays.

        Raises:
            ValueError: If an argument is out of bounds, if a principal can't be named in a key policy, or if somebody
                is both administrator and user.
        """
        validation.check_texts(id, "bucket_arns", bucket_arns, validation.BUCKET_ARN)
        validation.check_optional_text(id, "description", description, validation.DESCRIPTION)
        validation.check_removal_policy(id, "removal_policy", removal_policy)
        administrator_arns, user_arns = check_options(
            id,
            scope,
            administrators=administrators,
            users=users,
            alias_name=alias_name,
            rotation_period=rotation_period,
            pending_window=pending_window,
        )

        super().__init__(scope, id)
        self._administrators = administrator_arns
        self._users = user_arns
        self._bucket_arns = list(bucket_arns)
        path = self.to_string()
        if administrator_arns or user_arns or bucket_arns:
            statements = [
                iam.PolicyStatement.from_json(each)
                for each in _statements(administrator_arns, user_arns, self._bucket_arns)
            ]
        else:
            statements = _default_statements()
        self._key = kms.Key(
            self,
            "Resource",
            alias=alias_name or names.alias_name(path, stack_name=pseudo_parameters().stack_name),
            description=description or f"Encrypts the data of {names.readable(path)} in S3",
            enable_key_rotation=True,
            rotation_period=rotation_period,
            pending_window=pending_window,
            # Under a feature flag the CDK would look for statements to merge: there are none, and it takes its time.
            policy=iam.PolicyDocument(statements=statements, minimize=False),
            removal_policy=removal_policy,
        )
        cdk.Tags.of(self._key).add("Name", names.readable(path))

    @property
    def key(self) -> kms.Key:
        """The key."""
        return self._key

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
        owner = self.node.id
        validation.check_text(owner, "service", service, validation.SERVICE)
        validation.check_texts(owner, "actions", actions, validation.KEY_ACTION)
        if not actions:
            raise validation.refusal(
                owner, "actions", got=actions, allowed=validation.KEY_ACTION.allowed, remedy="name at least one"
            )
        validation.check_sources(owner, source_arns, source_account)
        condition = policies.source_condition(source_arns, source_account)
        statement = key_policy.allow_service(service, actions=actions, condition=condition)
        self._key.add_to_resource_policy(iam.PolicyStatement.from_json(statement))

    def allow_cloudwatch_logs(self, *, log_group_name: str) -> None:
        """Allow CloudWatch Logs of this Region to encrypt this account's log groups under the key.

        Args:
            log_group_name: The log group's name; ``*`` stands for any characters.

        Raises:
            ValueError: If it is no log group's name.

        See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html.
        """
        here = pseudo_parameters()
        validation.check_text(self.node.id, "log_group_name", log_group_name, validation.LOG_GROUP_NAME)
        statement = key_policy.allow_cloudwatch_logs(
            region=here.region,
            log_group_arn=f"arn:{here.partition}:logs:{here.region}:{here.account}:log-group:{log_group_name}",
        )
        self._key.add_to_resource_policy(iam.PolicyStatement.from_json(statement))

    def check_grantee(self, grantee: iam.IGrantable) -> None:
        """Refuse a grantee of whom it is known that the key's policy gives it nothing.

        ``grant_*`` of a bucket asks this. A managed policy or a group has no ARN that a key's policy could name: what
        it grants takes effect for those of its roles and users that are among ``users``.

        Raises:
            ValueError: If the grantee is one of ``administrators``, or the key names its users and it isn't one.
        """
        if not self._users and not self._administrators:
            return
        if isinstance(grantee, (iam.ManagedPolicy, iam.Policy, iam.Group)):
            return
        (arn,) = validation.check_principals(
            self.node.id, "grantee", [grantee.grant_principal], account=cdk.Stack.of(self).account
        )
        if any(validation.may_be_same(arn, administrator) for administrator in self._administrators):
            raise validation.refusal(
                self.node.id,
                "grantee",
                got=arn,
                allowed="principals that aren't administrators of the key",
                remedy="grant it to somebody else: who administers the key may not use it",
            )
        # Unknown (None) passes: a role of this app may be one that ``users`` names by its ARN.
        if self._users and all(validation.may_be_same(arn, user) is False for user in self._users):
            raise validation.refusal(
                self.node.id,
                "grantee",
                got=arn,
                allowed="the key's users",
                remedy="add it to users: a key that names its users works for nobody else",
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
                self.node.id,
                "bucket_arns",
                got=self._bucket_arns,
                allowed="a list with the ARN of each bucket under the key",
                remedy="add the bucket's ARN, and give the bucket its name by bucket_name",
            )


def check_options(
    owner: str,
    scope: Construct,
    *,
    administrators: object,
    users: object,
    alias_name: object,
    rotation_period: cdk.Duration | None,
    pending_window: cdk.Duration | None,
    prefix: str = "",
) -> tuple[list[str], list[str]]:
    """Refuse options that a key can't have; return the ARNs of its administrators and of its users.

    ``prefix`` is what the options are called by where they are given: ``key_`` at a bucket.
    """
    validation.check_optional_text(owner, f"{prefix}alias_name", alias_name, validation.ALIAS_NAME)
    validation.check_days(owner, f"{prefix}rotation_period", rotation_period, ROTATION_DAYS)
    validation.check_days(owner, f"{prefix}pending_window", pending_window, PENDING_WINDOW_DAYS)
    if administrators == () and users == ():
        return [], []
    account = cdk.Stack.of(scope).account
    administrator_arns = validation.check_principals(owner, f"{prefix}administrators", administrators, account=account)
    user_arns = validation.check_principals(owner, f"{prefix}users", users, account=account)
    for user in user_arns:
        if any(validation.may_be_same(user, administrator) for administrator in administrator_arns):
            raise validation.refusal(
                owner,
                f"{prefix}users",
                got=user,
                allowed="principals that aren't administrators",
                remedy="take it out of one of the two: who administers the key may not use it",
            )
    return administrator_arns, user_arns


def _statements(administrators: list[str], users: list[str], buckets: list[str]) -> list[policies.Statement]:
    here = pseudo_parameters()
    root = here.account_root_arn
    return [
        *key_policy.administration(root, administrators=administrators),
        *key_policy.use_through_s3(root, account=here.account, region=here.region, users=users, bucket_arns=buckets),
        *key_policy.refuse_grants_to_people(),
    ]


@functools.cache
def _default_statements() -> list[iam.PolicyStatement]:
    """Return the statements of a key without options: for every such key the same, so frozen and shared."""
    return [iam.PolicyStatement.from_json(each).freeze() for each in _statements([], [], [])]

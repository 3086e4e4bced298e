"""CustomerManagedKey: a KMS key whose policy separates who administers it from who uses it."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.policies import key as key_policy

ROTATION_DAYS = (90, 2560)
"""The shortest and the longest rotation period that KMS takes, in days."""

PENDING_WINDOW_DAYS = (7, 30)
"""The shortest and the longest waiting period before KMS deletes a key, in days."""

# An alias has at most 256 characters: "alias/", a stack's name of 128, a slash, the path, a hyphen and a digest of 8.
_ALIAS_PATH_LENGTH = 112


class CustomerManagedKey(Construct):
    """A symmetric KMS key for data in S3, with an alias, a Name tag, rotation and a policy that admits no stranger.

    The key works only through S3 and only for this account. Nobody makes grants on it but AWS services. By default the
    account's IAM policies decide who administers and who uses it, so the account can always recover it. Name
    ``administrators`` and those can't use it; name ``users`` and those can't administer it, whatever IAM policies say.

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
        administrators: Sequence[iam.IPrincipal] = (),
        users: Sequence[iam.IPrincipal] = (),
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
            administrators: Roles and users who administer the key and may not use it. Default: the account's IAM
                policies decide. When given, only they may disable the key, schedule its deletion or rotate it at once;
                a deployment that is to do so (``RemovalPolicy.DESTROY``) must run as one of them.
            users: Roles and users who use the key through S3 and may not administer it. Default: the account's IAM
                policies decide, and ``grant_*`` of a bucket is enough. When given, nobody else uses the key, and
                ``grant_*`` refuses whom this list doesn't name.
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
        validation.check_text(id, "alias_name", alias_name, validation.ALIAS_NAME)
        validation.check_text(id, "description", description, validation.DESCRIPTION)
        validation.check_days(id, "rotation_period", rotation_period, ROTATION_DAYS)
        validation.check_days(id, "pending_window", pending_window, PENDING_WINDOW_DAYS)
        validation.check_removal_policy(id, "removal_policy", removal_policy)
        administrator_arns = validation.check_principals(id, "administrators", administrators)
        user_arns = validation.check_principals(id, "users", users)
        if user_arns:
            validation.check_account(id, "users", user_arns, account=cdk.Stack.of(scope).account)
        if both := sorted({*administrator_arns} & {*user_arns}):
            raise validation.refusal(
                id,
                "users",
                got=both,
                allowed="principals that aren't administrators",
                remedy="take them out of one of the two: who administers the key may not use it",
            )

        super().__init__(scope, id)
        self._users = frozenset(user_arns)
        path = self.to_string()
        if administrator_arns or user_arns or bucket_arns:
            statements = [_l2(each) for each in _statements(administrator_arns, user_arns, bucket_arns)]
        else:
            statements = _default_statements()
        self._key = kms.Key(
            self,
            "Resource",
            alias=alias_name or f"alias/{pseudo_parameters().stack_name}/{_path_in_alias(path)}",
            description=description or f"Encrypts the data of {path} in S3",
            enable_key_rotation=True,
            rotation_period=rotation_period,
            pending_window=pending_window,
            policy=iam.PolicyDocument(statements=statements),
            removal_policy=removal_policy,
        )
        cdk.Tags.of(self._key).add("Name", path)

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
        validation.check_sources(owner, source_arns, source_account)
        condition = policies.source_condition(source_arns, source_account)
        statement = key_policy.allow_service(service, actions=actions, condition=condition)
        self._key.add_to_resource_policy(_l2(statement))

    def allow_cloudwatch_logs(self, *, log_group_name: str) -> None:
        """Allow CloudWatch Logs of this Region to encrypt this account's log groups under the key.

        Args:
            log_group_name: The log group's name; ``*`` stands for any characters.

        See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html.
        """
        here = pseudo_parameters()
        validation.check_text(self.node.id, "log_group_name", log_group_name, validation.LOG_GROUP_NAME)
        statement = key_policy.allow_cloudwatch_logs(
            region=here.region,
            log_group_arn=f"arn:{here.partition}:logs:{here.region}:{here.account}:log-group:{log_group_name}",
        )
        self._key.add_to_resource_policy(_l2(statement))

    def check_user(self, grantee: iam.IGrantable) -> None:
        """Refuse a grantee to whom the key policy gives nothing.

        Raises:
            ValueError: If the key names its users and ``grantee`` isn't one of them.
        """
        # A policy has no ARN that a key policy could name: it takes effect for those of its roles that are users.
        if not self._users or isinstance(grantee, (iam.ManagedPolicy, iam.Policy)):
            return
        names = validation.check_principals(self.node.id, "grantee", [grantee.grant_principal])
        if not self._users.issuperset(names):
            raise validation.refusal(
                self.node.id,
                "grantee",
                got=names,
                allowed="the key's users",
                remedy="add it to users: a key that names its users works for nobody else",
            )


def _statements(administrators: list[str], users: list[str], buckets: Sequence[str]) -> list[policies.Statement]:
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
    return [_l2(each).freeze() for each in _statements([], [], [])]


def _l2(statement: policies.Statement) -> iam.PolicyStatement:
    return iam.PolicyStatement.from_json(statement)


def _path_in_alias(path: str) -> str:
    """Return the construct's path below its top-level stack or stage, in the characters an alias may have."""
    below = path.split("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9/_-]", "-", below)
    if name == below and len(name) <= _ALIAS_PATH_LENGTH:
        return name
    # Two paths may differ only in what was replaced or cut off.
    digest = hashlib.sha256(path.encode()).hexdigest()[:8]
    return f"{name[:_ALIAS_PATH_LENGTH]}-{digest}"

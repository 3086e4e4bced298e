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
from cdk_encrypted_data.managed_key import ManagedKey, check_options
from cdk_encrypted_data.policies import key as key_policy


class CustomerManagedKey(ManagedKey):
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

        super().__init__(scope, id, administrators=administrator_arns, users=user_arns, bucket_arns=bucket_arns)
        path = self.to_string()
        if administrator_arns or user_arns or bucket_arns:
            statements = [
                iam.PolicyStatement.from_json(each)
                for each in _statements(administrator_arns, user_arns, self._bucket_arns)
            ]
        else:
            statements = _default_statements()
        # Under a feature flag the CDK would look for statements to merge: there are none, and it takes its time.
        self._policy = iam.PolicyDocument(statements=statements, minimize=False)
        self._key: kms.Key = kms.Key(
            self,
            "Resource",
            alias=alias_name or names.alias_name(path, stack_name=pseudo_parameters().stack_name),
            description=description or f"Encrypts the data of {names.readable(path)} in S3",
            enable_key_rotation=True,
            rotation_period=rotation_period,
            pending_window=pending_window,
            policy=self._policy,
            removal_policy=removal_policy,
        )
        cdk.Tags.of(self._key).add("Name", names.readable(path))

    @property
    def key(self) -> kms.Key:
        """The key."""
        return self._key


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

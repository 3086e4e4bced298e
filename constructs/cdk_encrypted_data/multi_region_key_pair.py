"""MultiRegionKeyPair: one KMS key in two Regions or more, for data that applications encrypt before they store them.

The primary is made in the stack of the pair, each replica in a stack of its own Region. Replicas learn the primary's
ARN by ``Fn::GetStackOutput``: no Lambda function and no custom resource is involved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_encrypted_data import names, validation
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.managed_key import ManagedKey, check_options
from cdk_encrypted_data.policies import key as key_policy
from cdk_encrypted_data.promotion import Promotion, check_promotion


class MultiRegionKeyPair(Construct):
    """A multi-Region KMS key: a primary, and a replica in each of other Regions, all with one key id and material.

    What an application encrypts under it in one Region it decrypts in any of the others with the key there, also while
    KMS of the first Region can't be reached: that is what the pair is for. S3's own encryption gains nothing by it: S3
    treats a multi-Region key as a single-Region one, and replication re-encrypts every object.

    In each Region there is an alias of the same name, a Name tag, and a policy of the same meaning: the separation of
    administrators and users of `CustomerManagedKey`, use in applications of this account and through S3 of the Region,
    where what S3 encrypted opens through S3 only, no grants but for AWS services, and no replica outside the pair's
    Regions.

    Stateful: every key. All are retained when they leave the template unless ``removal_policy`` says otherwise; data
    under a deleted key are lost once its last replica is deleted. A primary whose replicas still exist is unusable from
    the moment its deletion is scheduled. Moving a replica to another stack makes CloudFormation replicate before it
    deletes, which KMS refuses: one replica in a Region. Renaming the pair makes new keys, which open nothing old.

    Other stacks read the keys' ids and ARNs by ``Fn::GetStackOutput``, which CloudFormation takes in the properties of
    resources only: an output of theirs can't pass them on, nor can ``Fn::Sub``.

    See https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        replicas: Sequence[Construct],
        administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        users: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        alias_name: str | None = None,
        description: str | None = None,
        rotation_period: cdk.Duration | None = None,
        pending_window: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
        promotion: Promotion | None = None,
    ) -> None:
        """Make the primary in ``scope`` and a replica in each of ``replicas``.

        Args:
            scope: The construct to put the primary into. Its stack names its account and Region; it isn't nested.
            id: Its id there. Part of the logical ids: changing it makes new keys.
            replicas: Where to put the replicas: stacks, or constructs in them, of other Regions of the same account and
                partition, one for each Region. They are deployed after the primary's stack, and aren't nested.
            administrators: Roles and users of this account who administer the keys and may not use them, and who alone
                choose which is the primary. They must exist when the keys are made. Default: the account's IAM policies
                decide. See `CustomerManagedKey`.
            users: Roles and users of this account who use the keys and may not administer them. They must exist when
                the keys are made. Default: the account's IAM policies decide, and ``grant_*`` is enough. When given,
                nobody else uses the keys, they need no grant, and ``grant_*`` refuses whom this list is known not to
                name. A role of a third stack makes the keys' stacks need that one, so a grant to it would be a cycle.
            alias_name: ``alias/…``, the same in every Region. Default: ``alias/STACK/PATH`` of the primary.
            description: At most 8192 characters. Default: what the keys are for, by the pair's path in the app.
            rotation_period: How often KMS makes new key material, for all of them: 90 to 2560 days. Default: 365 days.
            pending_window: How long KMS waits before it deletes one of the keys once that is scheduled: 7 to 30 days.
                Default: 30 days. A primary waits for its last replica first.
            removal_policy: What happens to the keys when they leave the template. Default: they stay.
            promotion: That the primary was moved to a replica's Region, as ``encrypted-data-operations promote`` says
                it. It changes no template; as long as it is there, another ``rotation_period``, replicas in further
                Regions, and the lack of the replica that is the primary now are refused. Default: the primary is in
                ``scope``.

        Raises:
            ValueError: If an argument is out of bounds or contradicts ``promotion``, if a stack is nested or doesn't
                name its account and Region, if two keys would be in one Region or in different accounts, partitions or
                stages, if a principal can't be named in every key's policy, or if somebody is both administrator and
                user.
        """
        validation.check_optional_text(id, "description", description, validation.DESCRIPTION)
        validation.check_removal_policy(id, "removal_policy", removal_policy)
        regions = validation.check_replicas(id, "replicas", replicas, primary=scope)
        administrator_arns, user_arns = check_options(
            id,
            scope,
            administrators=administrators,
            users=users,
            alias_name=alias_name,
            rotation_period=rotation_period,
            pending_window=pending_window,
        )
        check_promotion(id, promotion, regions=regions, rotation_period=rotation_period)
        replica_id = f"{id}Replica"
        _check_replicas_are_new(id, replica_id, replicas)
        _check_known_first(id, "administrators", administrator_arns, replicas)
        _check_known_first(id, "users", user_arns, replicas)
        _check_known_first(id, "alias_name", [alias_name or ""], replicas)
        _check_known_first(id, "description", [description or ""], replicas)

        super().__init__(scope, id)
        stack = cdk.Stack.of(self)
        path = self.to_string()
        shared = _Shared(
            regions=regions,
            administrators=administrator_arns,
            users=user_arns,
            # By the name itself: in another stack AWS::StackName is another name.
            alias_name=alias_name or names.alias_name(path, stack_name=stack.stack_name),
            description=description or f"Encrypts the data of {names.readable(path)} in every Region of the pair",
            name_tag=names.readable(path),
            pending_window=pending_window,
            removal_policy=removal_policy,
        )
        self._users = user_arns
        self._promotion = promotion
        self._primary = _PrimaryKey(self, "Primary", shared, rotation_period=rotation_period)
        self._keys: dict[str, ManagedKey] = {regions[0]: self._primary}
        for region, replica_scope in zip(regions[1:], replicas, strict=True):
            self._keys[region] = _ReplicaKey(replica_scope, replica_id, shared, primary=self._primary)

    @property
    def key(self) -> kms.Key:
        """The key of the pair's own stack: the primary, unless ``promotion`` says that it was moved."""
        return self._primary.key

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions that have a key: the pair's own stack's, then the replicas' in the order they were given."""
        return tuple(self._keys)

    @property
    def primary_region(self) -> str:
        """The Region of the primary: that of the pair's own stack, unless ``promotion`` says that it was moved."""
        return self._promotion.primary_region if self._promotion else self.regions[0]

    def key_for(self, region: str) -> ManagedKey:
        """Return the key of a Region, as `EncryptedBucket` and others take it.

        Raises:
            ValueError: If the pair has none there.
        """
        if region not in self.regions:
            raise validation.refusal(
                self.node.id,
                "region",
                got=region,
                allowed=f"one of {', '.join(self._keys)}",
                remedy="add a stack of that Region to replicas",
            )
        return self._keys[region]

    def key_arn_in(self, region: str) -> str:
        """Return the ARN of a Region's key, for use in any stack that isn't deployed before the primary's.

        It is made from the primary's id, which every replica shares. Errors are those of `key_for`.
        """
        self.key_for(region)
        stack = cdk.Stack.of(self)
        return f"arn:{pseudo_parameters().partition}:kms:{region}:{stack.account}:key/{self._primary.key.key_id}"

    def grant_encrypt(
        self, grantee: iam.IGrantable, *, encryption_context: Mapping[str, str] | None = None
    ) -> iam.Grant:
        """Let a role, user or policy encrypt in an application, with the key of whichever Region it runs in.

        Args:
            grantee: A role, user, group or managed policy of this app, or one imported into it.
            encryption_context: What every message must name, by key; other keys beside it are free. Default: anything.

        Raises:
            ValueError: If the keys name their users and the grantee isn't one or an encryption context is given, which
                the keys' own policies wouldn't demand; or if the grantee can't be given a policy.
        """
        return self._grant(grantee, key_policy.ENCRYPT_ACTIONS, encryption_context)

    def grant_decrypt(
        self, grantee: iam.IGrantable, *, encryption_context: Mapping[str, str] | None = None
    ) -> iam.Grant:
        """Let a role, user or policy decrypt in an application. Arguments and errors are those of `grant_encrypt`."""
        return self._grant(grantee, key_policy.DECRYPT_ACTIONS, encryption_context)

    def grant_encrypt_decrypt(
        self, grantee: iam.IGrantable, *, encryption_context: Mapping[str, str] | None = None
    ) -> iam.Grant:
        """Let a role, user or policy do both. Arguments and errors are those of `grant_encrypt`."""
        actions = (*key_policy.DECRYPT_ACTIONS, *key_policy.ENCRYPT_ACTIONS)
        return self._grant(grantee, actions, encryption_context)

    def _grant(
        self, grantee: iam.IGrantable, actions: Sequence[str], encryption_context: Mapping[str, str] | None
    ) -> iam.Grant:
        owner = self.node.id
        validation.check_grantee(owner, grantee, account=cdk.Stack.of(self).account)
        validation.check_grantee_place(owner, grantee)
        validation.check_encryption_context(owner, "encryption_context", encryption_context)
        # Users of the keys' own policies need no grant, so what a grant demands of them is never asked.
        validation.check_not_both(
            owner, "encryption_context", encryption_context, other="users", other_value=self._users
        )
        self._primary.check_grantee(grantee)
        grant = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(actions),
            # Of one key id in every Region: a reader that fails over needs no other policy.
            resource_arns=[self.key_arn_in(region) for region in self._keys],
            conditions=key_policy.in_applications(encryption_context or {}),
        )
        if not grant.success:
            raise validation.unable_to_grant(owner, grantee)
        return grant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What is the same in every Region."""

    regions: tuple[str, ...]
    administrators: list[str]
    users: list[str]
    alias_name: str
    description: str
    name_tag: str
    pending_window: cdk.Duration | None
    removal_policy: cdk.RemovalPolicy

    def policy(self) -> iam.PolicyDocument:
        """Return the policy of a key, in the words of its own Region."""
        here = pseudo_parameters()
        root = here.account_root_arn
        administrators, users = ([_by_output(arn) for arn in arns] for arns in (self.administrators, self.users))
        statements = [
            *key_policy.administration(root, administrators=administrators),
            *key_policy.use_through_s3(root, account=here.account, region=here.region, users=users, bucket_arns=()),
            key_policy.use_directly(root, account=here.account, users=users),
            *key_policy.replication(root, regions=self.regions, administrators=administrators, users=users),
            *key_policy.refuse_grants_to_people(),
        ]
        return iam.PolicyDocument(
            statements=[iam.PolicyStatement.from_json(each) for each in statements], minimize=False
        )


class _PrimaryKey(ManagedKey):
    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        shared: _Shared,
        *,
        rotation_period: cdk.Duration | None,
    ) -> None:
        super().__init__(scope, id, administrators=shared.administrators, users=shared.users, bucket_arns=())
        self._policy = shared.policy()
        self._key: kms.Key = kms.Key(
            self,
            "Resource",
            multi_region=True,
            alias=_by_output(shared.alias_name),
            description=_by_output(shared.description),
            enable_key_rotation=True,
            rotation_period=rotation_period,
            pending_window=shared.pending_window,
            policy=self._policy,
            removal_policy=shared.removal_policy,
        )
        # Whoever refers to it from another stack reads an output: no export binds the stacks, no Lambda copies it.
        cdk.CrossStackReferences.of(self._key).produce(cdk.ReferenceStrength.WEAK)
        cdk.Tags.of(self._key).add("Name", shared.name_tag)

    @property
    def key(self) -> kms.Key:
        return self._key

    @property
    def _owner(self) -> str:
        # Its own id is the same in every pair.
        return self.node.path.rsplit("/", 2)[-2]


class _ReplicaKey(ManagedKey):
    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        shared: _Shared,
        *,
        primary: _PrimaryKey,
    ) -> None:
        super().__init__(scope, id, administrators=shared.administrators, users=shared.users, bucket_arns=())
        self._policy = shared.policy()
        replica = kms.CfnReplicaKey(
            self,
            "Resource",
            primary_key_arn=primary.key_arn,
            key_policy=self._policy,
            description=_by_output(shared.description),
            pending_window_in_days=None if shared.pending_window is None else shared.pending_window.to_days(),
        )
        cdk.CrossStackReferences.of(replica).produce(cdk.ReferenceStrength.WEAK)
        # CloudFormation's own default for a replica is to schedule its deletion.
        replica.apply_removal_policy(shared.removal_policy)
        cdk.Tags.of(replica).add("Name", shared.name_tag)
        kms.CfnAlias(self, "Alias", alias_name=_by_output(shared.alias_name), target_key_id=replica.attr_key_id)
        self._key = kms.Key.from_key_arn(self, "Key", replica.attr_arn)


def _check_replicas_are_new(owner: str, replica_id: str, replicas: Sequence[Construct]) -> None:
    for place in replicas:
        if place.node.try_find_child(replica_id) is not None:
            raise validation.refusal(
                owner,
                "replicas",
                got=f"{place.node.path}, which has a {replica_id} already",
                allowed=f"places without a {replica_id}",
                remedy="give one of the pairs another id, or pass a construct of its own in that stack",
            )


def _check_known_first(owner: str, argument: str, texts: Sequence[str], replicas: Sequence[Construct]) -> None:
    """Refuse texts that the primary's stack couldn't know, or that a replica's could know only by a Lambda function."""
    after = {cdk.Stack.of(place).node.path for place in replicas}
    for reference in (each for text in texts for each in _references(text).values()):
        stack = cdk.Stack.of(reference.target)
        if stack.node.path in after or stack.nested:
            raise validation.refusal(
                owner,
                argument,
                got=f"{reference.target.node.path}[{reference.display_name}], which the stack {stack.node.path} makes",
                allowed="what is known before the keys are made, from no nested stack and no replica's",
                remedy="make it in the primary's stack or one of its own; name roles and users by iam.ArnPrincipal",
            )


def _by_output(text: str) -> str:
    """Return a text in which what is of other stacks is read by ``Fn::GetStackOutput``.

    To be made anew for each key: the CDK resolves such a reference once, for whoever asks last.
    """
    for token, reference in _references(text).items():
        target = reference.target
        if isinstance(target, cdk.CfnResource):
            # An L2's own reference is its physical name wherever the Region is another, and most have none.
            attribute = target.ref if reference.display_name == "Ref" else target.get_att(reference.display_name)
            value = cdk.Token.as_string(attribute)
        else:
            value = token
        text = text.replace(token, cdk.Stack.consume_reference(value, cdk.ReferenceStrength.WEAK))
    return text


def _references(text: str) -> dict[str, cdk.Reference]:
    """Return the references to resources and parameters that a text contains, by their tokens."""
    tokens = {token: cdk.Tokenization.reverse_complete_string(token) for token in validation.tokens_in(text)}
    return {token: value for token, value in tokens.items() if isinstance(value, cdk.Reference)}

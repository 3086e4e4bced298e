"""ReplicatedEncryptedBuckets: an encrypted bucket in each of several Regions, each object in all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import region_info
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.bucket_options import check_storage
from cdk_encrypted_data.bucket_replication import BucketReplication
from cdk_encrypted_data.choices import (
    CustomerProvidedKeys,
    DeleteMarkers,
    MinimumTlsVersion,
    ObjectEvents,
    ObjectLock,
    ReplicationDirection,
    ReplicationTime,
    ServerSideEncryption,
    UploadPolicy,
)
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.managed_key import check_options
from cdk_encrypted_data.multi_region_key_pair import MultiRegionKeyPair
from cdk_encrypted_data.policies.replication import CrossAccountDestination, Place, Replication, assumed_for

_Grant = Callable[[EncryptedBucket], iam.Grant]


class ReplicatedEncryptedBuckets(Construct):
    """A bucket in each of two Regions or more, each an `EncryptedBucket` under its own Region's key, and replication.

    The first bucket, the source, is made in the construct's own stack, the others in stacks of their Regions, which are
    deployed before it. Buckets of other accounts may be further destinations, or the only ones (``destinations``). S3
    replicates every object, whatever it is encrypted with, and encrypts each replica under the key of its Region. It
    does so as a role for each source that may take the steps of replication from and to these buckets with these keys,
    and no others. Every rule is measured: CloudWatch shows what is pending and what has failed, and a notification of
    the source (``s3:Replication:*``) tells of each replica that fails: `ReplicationMonitoring` makes alarms of the one
    and asks for the other.

    Not replicated are objects that were there before the replication (`BatchReplication`), deletions of single
    versions, what lifecycle rules do, and objects in archive classes.

    Stateful: every bucket and every key. All are retained when they leave the template unless ``removal_policy`` says
    otherwise. The roles aren't: what a retained source is given afterwards isn't replicated. A new
    ``bucket_name_prefix`` replaces every bucket.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        bucket_name_prefix: str,
        replicas: Sequence[Construct] = (),
        destinations: Sequence[CrossAccountDestination] = (),
        role_name: str | None = None,
        direction: ReplicationDirection = ReplicationDirection.ONE_WAY,
        delete_markers: DeleteMarkers = DeleteMarkers.REPLICATED,
        replication_time: ReplicationTime = ReplicationTime.BEST_EFFORT,
        replica_storage_class: s3.StorageClass | None = None,
        object_key_prefix: str | None = None,
        object_tags: Mapping[str, str] | None = None,
        object_lock: ObjectLock = ObjectLock.OFF,
        encryption: ServerSideEncryption = ServerSideEncryption.SSE_KMS,
        keys: MultiRegionKeyPair | None = None,
        key_administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_rotation_period: cdk.Duration | None = None,
        key_pending_window: cdk.Duration | None = None,
        upload_policy: UploadPolicy = UploadPolicy.RESPECT_DEFAULT,
        customer_provided_keys: CustomerProvidedKeys = CustomerProvidedKeys.BLOCKED,
        minimum_tls_version: MinimumTlsVersion = MinimumTlsVersion.TLS_1_2,
        noncurrent_version_expiration: cdk.Duration | None = None,
        abort_incomplete_multipart_upload_after: cdk.Duration | None = None,
        lifecycle_rules: Sequence[s3.LifecycleRule] = (),
        access_log_buckets: Sequence[AccessLogBucket] = (),
        access_log_prefix: str | None = None,
        cors: Sequence[s3.CorsRule] = (),
        object_events: ObjectEvents = ObjectEvents.NOWHERE,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the source in ``scope``, a bucket in each of ``replicas``, their keys, and the replication.

        Args:
            scope: The construct to put the source into. Its stack names its account and Region; it isn't nested.
            id: Its id there. Part of the logical ids: changing it makes new buckets and keys.
            bucket_name_prefix: Each bucket is named PREFIX-ACCOUNT-REGION-an, in the account's own namespace, so that
                its name is known before it is there. The new keys are bound to their buckets by their policies.
            replicas: Where to put the other buckets: stacks, or constructs in them, of other Regions of the same
                account and partition, one for each Region. They are deployed before the source's stack, and aren't
                nested. Default: none, where there are ``destinations``.
            destinations: Buckets of other accounts, one way: each made there before, by `ReplicationDestination`.
                Default: none.
            role_name: What the source's replication role is called: with ``destinations``, whose policies name it.
                Default: CloudFormation's name.
            direction: Which buckets replicate. Default: the source, to all others.
            delete_markers: Whether deleting an object hides its replicas. Default: it does.
            replication_time: How soon. Default: most objects within 15 minutes, without a promise.
            replica_storage_class: In which class replicas are stored. Default: in that of the object.
            object_key_prefix: Replicate only objects whose keys begin so. Default: all.
            object_tags: Replicate only objects that have all these tags. S3 replicates no delete markers then, and
                ``delete_markers`` must say so. Default: all.
            object_lock: Whether objects can be locked, in all buckets. Default: they can't.
            encryption: SSE-KMS or DSSE-KMS. Default: SSE-KMS.
            keys: Keys of these Regions, for applications that encrypt before they store. The pair's primary is in a
                stack that is deployed before the source's: one of its own, or one of ``replicas``. Default: a new
                `CustomerManagedKey` in each Region, which is all that S3's own encryption needs.
            key_administrators: Of the new keys: who administers them and may not use them. Default: the account's IAM
                policies decide.
            key_rotation_period: Of the new keys: 90 to 2560 days. Default: 365 days.
            key_pending_window: Of the new keys: 7 to 30 days. Default: 30 days.
            upload_policy: As of `EncryptedBucket`, and so are all that follow, for every bucket alike.
            customer_provided_keys: Whether SSE-C is allowed. Default: blocked.
            minimum_tls_version: Default: TLS 1.2.
            noncurrent_version_expiration: 1 to 36500 days. Default: 90 days.
            abort_incomplete_multipart_upload_after: 1 to 365 days. Default: 7 days.
            lifecycle_rules: Rules beside the buckets' own. Default: none.
            access_log_buckets: Where S3 delivers server access logs: at most one log bucket of each Region. Default: no
                access logs.
            access_log_prefix: The prefix of those logs in each, ended by a slash; no two buckets of a log bucket may
                share one. Default: the path of each bucket.
            cors: Which web pages of other origins may call the buckets. Default: none.
            object_events: Where the buckets report what happens to their objects. Default: nowhere.
            removal_policy: What happens to buckets and keys when they leave the template. Default: they stay.

        Raises:
            ValueError: If an argument is out of bounds, if two contradict each other, if a stack is nested or doesn't
                name its account and Region, or if two buckets would be in one Region or in different accounts,
                partitions or stages.
        """
        least = 0 if destinations else 1
        regions = validation.check_replicas(
            id, "replicas", replicas, primary=scope, made=validation.BUCKETS, least=least
        )
        validation.check_known_text(id, "bucket_name_prefix", bucket_name_prefix, validation.BUCKET_NAME_PREFIX)
        for region in regions:
            validation.check_name_length(id, "bucket_name_prefix", bucket_name_prefix, region)
        validation.check_choice(id, "direction", direction, ReplicationDirection)
        validation.check_choice(id, "delete_markers", delete_markers, DeleteMarkers)
        validation.check_choice(id, "replication_time", replication_time, ReplicationTime)
        validation.check_choice(id, "object_lock", object_lock, ObjectLock)
        validation.check_choice(id, "encryption", encryption, ServerSideEncryption)
        _check_destinations(id, destinations, role_name, direction, cdk.Stack.of(scope))
        _check_filters(id, object_key_prefix, object_tags, delete_markers)
        if replica_storage_class is not None:
            allowed = "an s3.StorageClass"
            validation.check_instance(
                id, "replica_storage_class", replica_storage_class, s3.StorageClass, allowed=allowed
            )
        check_storage(
            id,
            upload_policy=upload_policy,
            customer_provided_keys=customer_provided_keys,
            minimum_tls_version=minimum_tls_version,
            noncurrent_version_expiration=noncurrent_version_expiration,
            abort_incomplete_multipart_upload_after=abort_incomplete_multipart_upload_after,
            lifecycle_rules=lifecycle_rules,
            cors=cors,
            object_events=object_events,
            removal_policy=removal_policy,
        )
        of_new_keys: dict[str, object] = {
            "key_administrators": key_administrators,
            "key_rotation_period": key_rotation_period,
            "key_pending_window": key_pending_window,
        }
        _check_encryption(id, encryption, keys, of_new_keys)
        check_options(
            id,
            scope,
            administrators=key_administrators,
            rotation_period=key_rotation_period,
            pending_window=key_pending_window,
            prefix="key_",
        )
        if keys is not None:
            _check_keys(id, keys, regions, cdk.Stack.of(scope))
        logs = _log_buckets(id, access_log_buckets, regions)
        validation.check_optional_text(id, "access_log_prefix", access_log_prefix, validation.LOG_PREFIX)
        if access_log_prefix is not None and not logs:
            raise validation.refusal(
                id,
                "access_log_prefix",
                got=access_log_prefix,
                allowed="no prefix without access_log_buckets",
                remedy="pass the log buckets as well, or leave the prefix out",
            )
        _check_replicas_are_new(id, f"{id}Replica", replicas)

        replication = Replication(
            direction=direction,
            delete_markers=delete_markers,
            replication_time=replication_time,
            storage_class=replica_storage_class.value if replica_storage_class else None,
            prefix=object_key_prefix or "",
            tags=tuple((object_tags or {}).items()),
            object_lock=object_lock,
            encryption=encryption,
        )
        _check_size(id, replication, regions, destinations, prefix=bucket_name_prefix, home=cdk.Stack.of(scope))

        super().__init__(scope, id)
        self._replication = replication
        self._upload_policy = upload_policy
        self._minimum_tls_version = minimum_tls_version
        self._buckets: dict[str, EncryptedBucket] = {}
        for region, place in zip(regions, (self, *replicas), strict=True):
            bucket = EncryptedBucket(
                place,
                "Bucket" if place is self else f"{id}Replica",
                bucket_name_prefix=bucket_name_prefix,
                encryption=encryption,
                key=keys.key_for(region) if keys else None,
                key_administrators=key_administrators,
                key_rotation_period=key_rotation_period,
                key_pending_window=key_pending_window,
                upload_policy=upload_policy,
                customer_provided_keys=customer_provided_keys,
                minimum_tls_version=minimum_tls_version,
                noncurrent_version_expiration=noncurrent_version_expiration,
                abort_incomplete_multipart_upload_after=abort_incomplete_multipart_upload_after,
                lifecycle_rules=lifecycle_rules,
                access_log_bucket=logs.get(region),
                # Some Regions may have no log bucket.
                access_log_prefix=access_log_prefix if region in logs else None,
                cors=cors,
                object_events=object_events,
                removal_policy=removal_policy,
            )
            if object_lock is ObjectLock.ON:
                _l1(bucket).object_lock_enabled = True
            # Another stack reads an output: no export binds the stacks, no Lambda function copies it.
            cdk.CrossStackReferences.of(bucket.bucket).produce(cdk.ReferenceStrength.WEAK)
            if keys is None:
                cdk.CrossStackReferences.of(bucket.key).produce(cdk.ReferenceStrength.WEAK)
            self._buckets[region] = bucket
        for place in replicas:
            # S3 takes no configuration before the destination is there, and a computed name is no dependency.
            cdk.Stack.of(self).add_stack_dependency(cdk.Stack.of(place))
        here = cdk.Stack.of(self)
        self._places = {
            region: Place(
                region,
                f"arn:{pseudo_parameters().partition}:s3:::{bucket_name_prefix}-{here.account}-{region}-an",
                bucket.key.key_arn,
            )
            for region, bucket in self._buckets.items()
        }
        self._elsewhere = [
            Place(
                each.region,
                f"arn:{pseudo_parameters().partition}:s3:::{each.bucket_name}",
                each.key_arn,
                account=each.account,
            )
            for each in destinations
        ]
        self._role_name = role_name
        self._roles: dict[str, iam.Role] = {}
        if direction is ReplicationDirection.ONE_WAY:
            self._replicate_from_the_source()
        else:
            self._replicate_from_everywhere()

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions that have a bucket: the source's, then the replicas' in the order they were given."""
        return tuple(self._buckets)

    @property
    def replication(self) -> Replication:
        """What is replicated, and how."""
        return self._replication

    @property
    def upload_policy(self) -> UploadPolicy:
        """What an upload that names no encryption meets, in every bucket."""
        return self._upload_policy

    @property
    def minimum_tls_version(self) -> MinimumTlsVersion:
        """The oldest TLS version that every bucket answers."""
        return self._minimum_tls_version

    def replicates(self, region: str) -> bool:
        """Return whether the bucket of a Region replicates, to a Region of these or to another account.

        Raises:
            ValueError: If there is none.
        """
        self.bucket_for(region)
        return region in self._roles

    def destinations_of(self, region: str) -> tuple[str, ...]:
        """Return the Regions of these to which the bucket of a Region replicates. Errors are those of `replicates`."""
        return tuple(each for each in self.regions if each != region) if self.replicates(region) else ()

    @property
    def places_elsewhere(self) -> tuple[Place, ...]:
        """The buckets of other accounts to which the source replicates."""
        return tuple(self._elsewhere)

    def place_of(self, region: str) -> Place:
        """Return a Region's bucket as policies name it: by ARNs that any stack can use that is deployed after it.

        The bucket's is made of its name, and can be used by what the bucket needs as well.

        Raises:
            ValueError: If there is none.
        """
        self.bucket_for(region)
        return self._places[region]

    def bucket_for(self, region: str) -> EncryptedBucket:
        """Return the bucket of a Region.

        Raises:
            ValueError: If there is none.
        """
        return self._buckets[self._checked(region, tuple(self._buckets), "add a stack of that Region to replicas")]

    def role_for(self, region: str) -> iam.Role:
        """Return the role as which S3 replicates from the bucket of a Region.

        Raises:
            ValueError: If that bucket doesn't replicate.
        """
        return self._roles[self._checked(region, tuple(self._roles), "choose ReplicationDirection.BOTH_WAYS")]

    def grant_read(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy list every bucket and read its objects, decryption included.

        Args:
            grantee: A role, user, group or managed policy of this app, or one imported into it; in the source's stack
                or one that is deployed after it. In a stack of a replica's bucket, grant it that bucket: `bucket_for`.
            objects_key_pattern: Which objects; ``*`` stands for any characters.

        Raises:
            ValueError: If the grantee can't be given a policy, or is in a stack that is deployed before the source's.
        """
        return self._grant(grantee, lambda one: one.grant_read(grantee, objects_key_pattern=objects_key_pattern))

    def grant_write(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy store objects in every bucket. Arguments and errors are those of `grant_read`."""
        return self._grant(grantee, lambda one: one.grant_write(grantee, objects_key_pattern=objects_key_pattern))

    def grant_read_write(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy do both. Arguments and errors are those of `grant_read`."""
        return self._grant(grantee, lambda one: one.grant_read_write(grantee, objects_key_pattern=objects_key_pattern))

    def grant_delete(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy delete objects of every bucket: each becomes a non-current version.

        Arguments and errors are those of `grant_read`.
        """
        return self._grant(grantee, lambda one: one.grant_delete(grantee, objects_key_pattern=objects_key_pattern))

    def _replicate_from_the_source(self) -> None:
        source, *destinations = self._places
        role, permissions = self._role(source)
        bucket = _l1(self._buckets[source])
        configuration = {
            "Role": role.role_arn,
            "Rules": self._replication.rules([*(self._places[each] for each in destinations), *self._elsewhere]),
        }
        # In CloudFormation's own words, at once: of the L1's structs each would be a call into Node.
        bucket.add_property_override("ReplicationConfiguration", configuration)
        # Before its permissions are there, S3 would fail what is stored, and try no more.
        bucket.node.add_dependency(permissions)

    def _replicate_from_everywhere(self) -> None:
        permissions = {region: self._role(region)[1] for region in self.regions}
        replication = BucketReplication(self, "Replication", places=list(self._places.values()), roles=self._roles)
        for region, source in self._places.items():
            rules = self._replication.rules([self._places[each] for each in self.regions if each != region])
            # The others are there: their stacks are deployed before.
            replication.put(source, rules, after=[self._buckets[self.regions[0]], permissions[region]])

    def _role(self, region: str) -> tuple[iam.Role, iam.ManagedPolicy]:
        """Make the role as which S3 replicates from one bucket, and what it may."""
        source = self._places[region]
        suffix = "" if region == self.regions[0] else f"From{region}"
        role = iam.Role(
            self,
            f"Role{suffix}",
            role_name=self._role_name,
            assumed_by=iam.ServicePrincipal(
                "s3.amazonaws.com", conditions=assumed_for(source.bucket_arn, account=cdk.Stack.of(self).account)
            ),
            description=f"S3 replicates as this role what is stored in {source.bucket_arn.rpartition(':')[2]}",
        )
        statements = self._replication.permissions(
            source, [*(self._places[each] for each in self.regions if each != region), *self._elsewhere]
        )
        permissions = iam.ManagedPolicy(
            self,
            f"Permissions{suffix}",
            roles=[role],
            document=iam.PolicyDocument(
                statements=[iam.PolicyStatement.from_json(each) for each in statements], minimize=False
            ),
        )
        self._roles[region] = role
        return role, permissions

    def _checked(self, region: str, regions: Sequence[str], remedy: str) -> str:
        if region not in regions:
            raise validation.refusal(
                self.node.id, "region", got=region, allowed=f"one of {', '.join(regions)}", remedy=remedy
            )
        return region

    def _grant(self, grantee: iam.IGrantable, grant: _Grant) -> iam.Grant:
        owner = self.node.id
        validation.check_grantee(owner, grantee, account=cdk.Stack.of(self).account)
        validation.check_grantee_place(owner, grantee)
        earlier = [cdk.Stack.of(bucket) for bucket in list(self._buckets.values())[1:]]
        validation.check_grantee_stack(owner, grantee, earlier)
        return functools.reduce(iam.Grant.combine, [grant(bucket) for bucket in self._buckets.values()])


def _l1(bucket: EncryptedBucket) -> s3.CfnBucket:
    child = bucket.bucket.node.default_child
    assert isinstance(child, s3.CfnBucket)  # noqa: S101 - for type checkers: the CDK made it
    return child


def _check_encryption(
    owner: str,
    encryption: ServerSideEncryption,
    keys: MultiRegionKeyPair | None,
    of_new_keys: Mapping[str, object],
) -> None:
    if encryption is ServerSideEncryption.SSE_S3:
        raise validation.refusal(
            owner,
            "encryption",
            got=encryption,
            allowed="ServerSideEncryption.SSE_KMS, ServerSideEncryption.DSSE_KMS",
            remedy="replicate under keys of the customer; buckets without them are simple EncryptedBuckets",
        )
    for argument, value in of_new_keys.items():
        validation.check_not_both(owner, argument, value, other="keys", other_value=keys)


def _check_destinations(
    owner: str, destinations: object, role_name: str | None, direction: ReplicationDirection, home: cdk.Stack
) -> None:
    validation.check_optional_text(owner, "role_name", role_name, validation.ROLE_NAME)
    validation.check_list(
        owner, "destinations", destinations, CrossAccountDestination, allowed="a list of CrossAccountDestinations"
    )
    assert isinstance(destinations, (list, tuple))  # noqa: S101 - for type checkers: just checked
    if not destinations:
        # Both ways there is a role for each bucket.
        validation.check_not_both(owner, "role_name", role_name, other="replicas alone", other_value=True)
        return
    if direction is ReplicationDirection.BOTH_WAYS:
        raise validation.refusal(
            owner,
            "destinations",
            got=f"{len(destinations)} with BOTH_WAYS",
            allowed="destinations one way",
            remedy="pass ReplicationDirection.ONE_WAY: another account's bucket isn't ours to replicate from",
        )
    if role_name is None:
        raise validation.refusal(
            owner,
            "role_name",
            got=None,
            allowed=validation.ROLE_NAME.allowed,
            remedy="name the role: the other account's policies admit it by its name, before it is there",
        )
    for each in destinations:
        validation.check_known_text(owner, "account", each.account, validation.ACCOUNT)
        validation.check_known_text(owner, "region", each.region, validation.REGION)
        # The name that an account's own namespace gives ends like no other bucket's.
        validation.check_known_text(owner, "bucket_name", each.bucket_name, validation.DESTINATION_BUCKET_NAME)
        validation.check_known_text(owner, "key_arn", each.key_arn, validation.KEY_ARN)
        if each.account == home.account:
            raise validation.refusal(
                owner,
                "destinations",
                got=f"{each.bucket_name} in account {each.account}",
                allowed="buckets of other accounts",
                remedy="add its stack to replicas: a bucket of this account is made here",
            )
        if each.key_arn.split(":")[3:5] != [each.region, each.account]:
            raise validation.refusal(
                owner,
                "key_arn",
                got=each.key_arn,
                allowed=f"a key of {each.region} and account {each.account}",
                remedy="pass the key of that bucket",
            )
    if len({(each.account, each.region) for each in destinations}) < len(destinations):
        raise validation.refusal(
            owner,
            "destinations",
            got=[f"{each.account} {each.region}" for each in destinations],
            allowed="one bucket in each Region of an account",
            remedy="leave one out",
        )


def _check_size(
    owner: str,
    replication: Replication,
    regions: Sequence[str],
    destinations: Sequence[CrossAccountDestination],
    *,
    prefix: str,
    home: cdk.Stack,
) -> None:
    """Refuse more destinations of one bucket than the policy of its role has room for."""
    partition = region_info.RegionInfo.get(home.region).partition or "aws"

    def place(region: str, account: str, name: str, key_arn: str) -> Place:
        return Place(region, f"arn:{partition}:s3:::{name}", key_arn, None if account == home.account else account)

    places = [
        place(each, home.account, f"{prefix}-{home.account}-{each}-an", _longest_key_arn(partition, each, home.account))
        for each in regions
    ]
    elsewhere = [place(each.region, each.account, each.bucket_name, each.key_arn) for each in destinations]
    for source in places[:1] if replication.direction is ReplicationDirection.ONE_WAY else places:
        others = [*(each for each in places if each is not source), *elsewhere]
        size = policies.characters(replication.permissions(source, others))
        if size > policies.MANAGED_POLICY_CHARACTERS:
            raise validation.refusal(
                owner,
                "destinations" if destinations else "replicas",
                got=f"{len(others)} destinations of {source.bucket_name}, whose role's policy would have {size} "
                "characters",
                allowed=f"as many as IAM's {policies.MANAGED_POLICY_CHARACTERS} characters for a managed policy hold",
                remedy="replicate to fewer Regions, or shorten bucket_name_prefix or object_key_prefix",
            )


def _longest_key_arn(partition: str, region: str, account: str) -> str:
    # Of a multi-Region key it is as long.
    return f"arn:{partition}:kms:{region}:{account}:key/{'0' * 36}"


def _check_filters(
    owner: str, prefix: str | None, tags: Mapping[str, str] | None, delete_markers: DeleteMarkers
) -> None:
    if prefix is not None:
        validation.check_known_text(owner, "object_key_prefix", prefix, validation.OBJECT_KEY_PREFIX)
    validation.check_tags(owner, "object_tags", tags)
    if tags and delete_markers is DeleteMarkers.REPLICATED:
        raise validation.refusal(
            owner,
            "object_tags",
            got=dict(tags),
            allowed="no tags where delete markers are replicated",
            remedy="pass DeleteMarkers.NOT_REPLICATED: delete markers have no tags that S3 could go by",
        )


def _check_keys(owner: str, keys: MultiRegionKeyPair, regions: Sequence[str], home: cdk.Stack) -> None:
    validation.check_instance(owner, "keys", keys, MultiRegionKeyPair, allowed="a MultiRegionKeyPair")
    missing = [region for region in regions if region not in keys.regions]
    if missing or cdk.Stack.of(keys).account != home.account:
        raise validation.refusal(
            owner,
            "keys",
            got=f"a pair in account {cdk.Stack.of(keys).account}, {', '.join(keys.regions)}",
            allowed=f"a pair in account {home.account}, {', '.join(regions)}",
            remedy="make one with a key in each of these Regions",
        )
    if keys.key_for(regions[0]).names_its_users:
        raise validation.refusal(
            owner,
            "keys",
            got="a pair that names its users",
            allowed="a pair whose use the account's IAM policies decide",
            remedy="leave users out: the replication role isn't there yet when the keys are made",
        )
    if cdk.Stack.of(keys) is home:
        raise validation.refusal(
            owner,
            "keys",
            got=f"a pair whose primary is in {home.node.path}, as the source is",
            allowed="a pair whose primary is in another stack",
            remedy="make it in a stack of its own or of a replica: the source's is deployed last, and needs every key",
        )


def _log_buckets(owner: str, log_buckets: object, regions: Sequence[str]) -> dict[str, AccessLogBucket]:
    validation.check_list(
        owner, "access_log_buckets", log_buckets, AccessLogBucket, allowed="a list of AccessLogBuckets"
    )
    assert isinstance(log_buckets, (list, tuple))  # noqa: S101 - for type checkers: just checked
    found: dict[str, AccessLogBucket] = {}
    for each in log_buckets:
        region = cdk.Stack.of(each).region
        if region not in regions or region in found:
            raise validation.refusal(
                owner,
                "access_log_buckets",
                got=f"{'two' if region in found else 'one'} in {region}",
                allowed=f"at most one in each of {', '.join(regions)}",
                remedy="S3 delivers access logs within a Region: name a log bucket of each",
            )
        found[region] = each
    return found


def _check_replicas_are_new(owner: str, replica_id: str, replicas: Sequence[Construct]) -> None:
    for place in replicas:
        if place.node.try_find_child(replica_id) is not None:
            raise validation.refusal(
                owner,
                "replicas",
                got=f"{place.node.path}, which has a {replica_id} already",
                allowed=f"places without a {replica_id}",
                remedy="give one of the two another id, or pass a construct of its own in that stack",
            )

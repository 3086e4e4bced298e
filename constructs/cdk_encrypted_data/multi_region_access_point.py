"""MultiRegionAccessPoint: one name for replicated buckets, answered by the nearest Region that is active."""

from __future__ import annotations

import functools
from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_encrypted_data import policies, validation
from cdk_encrypted_data.choices import MinimumTlsVersion, ReplicationDirection, UploadPolicy
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.policies import access
from cdk_encrypted_data.policies import multi_region_access_point as access_point_policy
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets

_Permissions = Callable[..., list[access.Permission]]
_GrantOnBuckets = Callable[..., iam.Grant]


class MultiRegionAccessPoint(Construct):
    """A Multi-Region Access Point over `ReplicatedEncryptedBuckets`: S3 chooses the bucket for each request.

    Clients name it by its ARN in place of a bucket and sign with SigV4A; S3 answers from the nearest Region that is
    active, at first all of them. What is stored through it is encrypted under the key of the Region where it arrives,
    by that bucket's default, and replicated from there. Replication takes its time, so what is read may be older than
    what was stored through another Region.

    It is closed to the public in all four ways. Its policy allows nothing and refuses plain HTTP and TLS below the
    buckets' minimum. Within the account IAM policies allow: S3 asks them about the access point and about the bucket
    that it has chosen, and KMS asks them about that bucket's key. The grants give all three. Where buckets replicate
    one way, the policy refuses to write: what arrives at a replica would stay there alone.

    Which Regions are active isn't CloudFormation's: ``aws s3control submit-multi-region-access-point-routes``.

    Stateful: it holds no data, but S3 makes the alias in its ARN, which no other will ever have. Its name and its
    buckets are fixed: another name, or a Region more or less, makes a new one with another ARN, and the old one stays
    until it is deleted unless ``removal_policy`` says otherwise. No bucket can be deleted while it exists.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPoints.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        buckets: ReplicatedEncryptedBuckets,
        name: str | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the access point and its policy in the stack of ``scope``.

        Args:
            scope: The construct to put it into: in the source's stack, or in one of the same account that is then
                deployed after it. It isn't nested. CloudFormation makes access points from most Regions; S3 itself
                does in us-west-2 only, which an organization's policy must not refuse.
            id: Its id there. Part of the logical ids: changing it makes a new access point.
            buckets: The buckets, in two Regions or more. They don't demand that uploads name a key, since nobody knows
                which bucket will answer, nor TLS 1.3, since AWS documents TLS 1.2 for access points of this kind.
            name: 3 to 50 lower-case letters, digits and hyphens, that no other of the account has. One with a name
                can't be replaced: CloudFormation makes the new one first. Default: CloudFormation's name.
            removal_policy: What happens to it when it leaves the template or is replaced. Default: it stays, and
                whoever names it still reaches the buckets.

        Raises:
            ValueError: If an argument is out of bounds, the place can't be deployed after the buckets, or the buckets
                can't be reached through an access point.
        """
        kind = "a ReplicatedEncryptedBuckets"
        validation.check_instance(id, "buckets", buckets, ReplicatedEncryptedBuckets, allowed=kind)
        validation.check_optional_text(id, "name", name, validation.MULTI_REGION_ACCESS_POINT_NAME)
        validation.check_removal_policy(id, "removal_policy", removal_policy)
        _check_buckets(id, buckets)
        _check_place(id, scope, buckets)

        super().__init__(scope, id)
        self._buckets = buckets
        self._access_point = s3.CfnMultiRegionAccessPoint(
            self,
            "Resource",
            name=name,
            # In an order of their own: any change of the list replaces the access point.
            regions=[
                s3.CfnMultiRegionAccessPoint.RegionProperty(bucket=buckets.place_of(each).bucket_name)
                for each in sorted(buckets.regions)
            ],
            # Said although it is S3's default: it can't be changed afterwards.
            public_access_block_configuration=s3.CfnMultiRegionAccessPoint.PublicAccessBlockConfigurationProperty(
                block_public_acls=True, block_public_policy=True, ignore_public_acls=True, restrict_public_buckets=True
            ),
        )
        policy = s3.CfnMultiRegionAccessPointPolicy(
            self, "Policy", mrap_name=self._access_point.ref, policy=policies.document(self._statements())
        )
        self._access_point.apply_removal_policy(removal_policy)
        # With it: of a policy that leaves the template CloudFormation makes one that refuses nothing to its account.
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-s3-multiregionaccesspointpolicy.html
        policy.apply_removal_policy(removal_policy)
        # Another stack reads an output: no export binds the stacks, no Lambda function copies it.
        cdk.CrossStackReferences.of(self._access_point).produce(cdk.ReferenceStrength.WEAK)
        # S3 takes buckets that are there, and a computed name is no dependency.
        source = buckets.bucket_for(buckets.regions[0])
        if cdk.Stack.of(self) is cdk.Stack.of(source):
            self._access_point.node.add_dependency(source.bucket)
        else:
            cdk.Stack.of(self).add_stack_dependency(cdk.Stack.of(source))

    @property
    def access_point(self) -> s3.CfnMultiRegionAccessPoint:
        """The CDK's resource, for what has no option here: its alias is ``access_point.attr_alias``."""
        return self._access_point

    @property
    def access_point_arn(self) -> str:
        """The ARN that clients pass as the bucket and policies name; a stack that uses it is deployed after this one.

        Of an object in a policy it is ``ARN/object/KEY``.
        """
        return access_point_policy.access_point_arn(
            self._access_point.attr_alias,
            partition=pseudo_parameters().partition,
            account=cdk.Stack.of(self._buckets).account,
        )

    def grant_read(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy list and read objects through it, decryption in every Region included.

        S3 asks for the same right at the bucket that it chooses, so this includes the buckets' own ``grant_read``, and
        the grantee may go to each bucket itself too
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointPermissions.html).

        Args:
            grantee: A role, user, group or managed policy of this app, or one imported into it; in this construct's
                stack or one that is deployed after it.
            objects_key_pattern: Which objects; ``*`` stands for any characters. Listing is not limited by it.

        Raises:
            ValueError: If the grantee can't be given a policy, or is in a stack that is deployed before this one.
        """
        return self._grant(grantee, objects_key_pattern, access.read, self._buckets.grant_read)

    def grant_write(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy store objects through it, under the key of whichever Region answers.

        It includes the buckets' own ``grant_write``. Arguments are those of `grant_read`.

        Raises:
            ValueError: As `grant_read`, and if the buckets replicate one way.
        """
        self._check_writable()
        return self._grant(grantee, objects_key_pattern, access.write, self._buckets.grant_write)

    def grant_read_write(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy do both. Arguments and errors are those of `grant_write`."""
        self._check_writable()
        return self._grant(grantee, objects_key_pattern, access.read_write, self._buckets.grant_read_write)

    def grant_delete(self, grantee: iam.IGrantable, *, objects_key_pattern: str = "*") -> iam.Grant:
        """Let a role, user or policy delete objects through it: each becomes a non-current version.

        It includes the buckets' own ``grant_delete``. Arguments and errors are those of `grant_write`.
        """
        self._check_writable()
        return self._grant(grantee, objects_key_pattern, access.delete, self._buckets.grant_delete)

    def grant_routing(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a role, user or policy see which Regions are active, and change it: that is how to fail over.

        Args:
            grantee: As of `grant_read`.

        Raises:
            ValueError: As `grant_read`.
        """
        self._check_grantee(grantee)
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/FailoverConfiguration.html
        return self._added(
            grantee,
            [
                access.Permission(
                    ("s3:GetMultiRegionAccessPointRoutes", "s3:SubmitMultiRegionAccessPointRoutes"),
                    self.access_point_arn,
                )
            ],
        )

    def _statements(self) -> list[policies.Statement]:
        arn = self.access_point_arn
        statements = access_point_policy.refuse_weak_transport(
            arn, minimum_tls_version=self._buckets.minimum_tls_version.value
        )
        return statements if self._writable else [*statements, access_point_policy.refuse_writes(arn)]

    @property
    def _writable(self) -> bool:
        return self._buckets.replication.direction is ReplicationDirection.BOTH_WAYS

    def _check_writable(self) -> None:
        if not self._writable:
            raise validation.refusal(
                self.node.id,
                "buckets",
                got=f"{self._buckets.node.path}, which replicates one way",
                allowed="buckets that replicate both ways, to write through the access point",
                remedy="choose ReplicationDirection.BOTH_WAYS, or grant the source's own bucket, by bucket_for",
            )

    def _grant(
        self, grantee: iam.IGrantable, pattern: str, permissions_for: _Permissions, on_buckets: _GrantOnBuckets
    ) -> iam.Grant:
        validation.check_text(self.node.id, "objects_key_pattern", pattern, validation.OBJECTS_KEY_PATTERN)
        self._check_grantee(grantee)
        # Those of a bucket, asked about the access point; the keys are the buckets' own.
        permissions = permissions_for(self.access_point_arn, f"object/{pattern}", key_arn=None, region="")
        return on_buckets(grantee, objects_key_pattern=pattern).combine(self._added(grantee, permissions))

    def _added(self, grantee: iam.IGrantable, permissions: list[access.Permission]) -> iam.Grant:
        grants = [
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=list(each.actions),  # jsii takes no tuples
                resource_arns=[each.resource],
            )
            for each in permissions
        ]
        if not all(grant.success for grant in grants):
            raise validation.unable_to_grant(self.node.id, grantee)
        return functools.reduce(iam.Grant.combine, grants)

    def _check_grantee(self, grantee: iam.IGrantable) -> None:
        owner, here = self.node.id, cdk.Stack.of(self)
        validation.check_grantee(owner, grantee, account=here.account)
        validation.check_grantee_place(owner, grantee)
        stack = validation.stack_of(grantee)
        if stack is not here and any(stack is each for each in _stacks_of(self._buckets)):
            assert stack is not None  # noqa: S101 - for type checkers: it is one of those
            raise validation.refusal(
                owner,
                "grantee",
                got=f"of {stack.node.path}, which is deployed before the access point's stack",
                allowed=f"roles, users, groups and policies in {here.node.path} or a stack deployed after it",
                remedy="grant it the buckets themselves",
            )


def _stacks_of(buckets: ReplicatedEncryptedBuckets) -> list[cdk.Stack]:
    """Return the buckets' stacks, the source's first."""
    return [cdk.Stack.of(buckets.bucket_for(each)) for each in buckets.regions]


def _check_buckets(owner: str, buckets: ReplicatedEncryptedBuckets) -> None:
    def refused(got: str, allowed: str, remedy: str) -> ValueError:
        return validation.refusal(owner, "buckets", got=f"{buckets.node.path}, {got}", allowed=allowed, remedy=remedy)

    # S3 takes 17 Regions; the policy of a replication role has no room for so many.
    if len(buckets.regions) == 1:
        raise refused(
            f"which has a bucket in {buckets.regions[0]} alone",
            "buckets in two Regions or more",
            "name replicas: another account's bucket isn't behind this access point",
        )
    if buckets.upload_policy is UploadPolicy.REQUIRE_HEADER:
        raise refused(
            "which demands that uploads name their bucket's key",
            "buckets with UploadPolicy.RESPECT_DEFAULT",
            "choose that: who stores through an access point doesn't know which Region's key to name",
        )
    if buckets.minimum_tls_version is MinimumTlsVersion.TLS_1_3:
        raise refused(
            "which demands TLS 1.3",
            "buckets with MinimumTlsVersion.TLS_1_2",
            "choose that: AWS documents TLS 1.2 for Multi-Region Access Points",
        )


def _check_place(owner: str, scope: Construct, buckets: ReplicatedEncryptedBuckets) -> None:
    source, *replicas = _stacks_of(buckets)
    allowed = f"a place in {source.node.path}, or in a stack of account {source.account} to deploy after it"

    def refused(got: str, remedy: str) -> ValueError:
        return validation.refusal(owner, "scope", got=got, allowed=allowed, remedy=remedy)

    if not any(cdk.Stack.is_stack(each) for each in scope.node.scopes):
        raise refused(f"{scope.node.path or 'the app'}, which is in no stack", "pass a stack of the app")
    stack = cdk.Stack.of(scope)
    if validation.is_token(stack.account) or validation.is_token(stack.region):
        got = f"{stack.node.path}, which names no account or Region"
        raise refused(got, "pass env=Environment(account=…, region=…) to the stack")
    if stack.account != source.account:
        remedy = "make it in the buckets' account: nothing here lets another account's access point in"
        raise refused(f"{stack.node.path} of account {stack.account}", remedy)
    if cdk.Stage.of(stack) is not cdk.Stage.of(source):
        raise refused(f"{stack.node.path}, which is in another Stage or app", "put it into the buckets' Stage")
    if stack.nested:
        # Its outputs have no stack's name that a template could know: the CDK would copy them by a Lambda function.
        raise refused(f"{stack.node.path}, which is a nested stack", "put it into the stack around it")
    if any(stack is each for each in replicas):
        raise refused(f"{stack.node.path}, which is deployed before the source's stack", "pass the source's stack")

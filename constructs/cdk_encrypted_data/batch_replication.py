"""BatchReplication: what a job of S3 Batch Operations takes, to replicate what replication itself leaves out."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data import validation
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from cdk_encrypted_data.interned import pseudo_parameters
from cdk_encrypted_data.policies.replication import BATCH_OPERATIONS, may_run_jobs, run_for_jobs_in
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets

_PART = "BatchReplication"


class BatchReplication(Construct):
    """A role for each bucket that replicates, as which S3 Batch Operations replicates what was there before, or failed.

    The role may list the bucket's objects for S3, initiate their replication, and store reports under
    ``batch-replication/``; it reads and copies nothing. S3 Batch Operations alone assumes it, for this account's jobs.
    Jobs aren't made by templates: ``encrypted-data-operations replicate-existing`` makes one and follows it.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        buckets: ReplicatedEncryptedBuckets,
        report_buckets: Sequence[EncryptedBucket],
    ) -> None:
        """Make a role in the stack of each bucket that replicates.

        Args:
            scope: The construct to put it into, in any stack. What it makes is with the buckets, in their stacks.
            id: Its id there. No logical id depends on it.
            buckets: The buckets from which to replicate, for which nothing else of this kind is made.
            report_buckets: Where jobs report what they did: a bucket under a KMS key in the Region of each bucket that
                replicates, and none of these buckets. Reports name objects; nothing here expires them, a lifecycle rule
                of the bucket's does.

        Raises:
            ValueError: If a Region has no report bucket or two, one isn't under a KMS key that the role can use, or the
                buckets have such roles already.
        """
        allowed = "a ReplicatedEncryptedBuckets"
        validation.check_instance(id, "buckets", buckets, ReplicatedEncryptedBuckets, allowed=allowed)
        reports = _report_buckets(id, report_buckets, buckets)
        if buckets.bucket_for(buckets.regions[0]).node.try_find_child(_PART) is not None:
            raise validation.refusal(
                id,
                "buckets",
                got=f"{buckets.node.path}, which has such roles",
                allowed="buckets without them",
                remedy="use the other one's roles",
            )

        super().__init__(scope, id)
        self._buckets = buckets
        self._reports = reports
        self._roles = {region: self._role(region) for region in reports}

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions whose buckets replicate."""
        return tuple(self._roles)

    def role_for(self, region: str) -> iam.Role:
        """Return the role for jobs on the bucket of a Region.

        Raises:
            ValueError: If that bucket doesn't replicate.
        """
        if region not in self._roles:
            raise validation.refusal(
                self.node.id,
                "region",
                got=region,
                allowed=f"one of {', '.join(self._roles)}",
                remedy="name a Region whose bucket replicates",
            )
        return self._roles[region]

    def grant_create_job(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a role, user or policy run ``encrypted-data-operations replicate-existing`` on these buckets.

        That is to create jobs of this kind, pass them these roles, list and follow jobs, and read how the buckets
        replicate. Reading reports is a grant of the report bucket's.

        Args:
            grantee: A role, user, group or managed policy of this app, or one imported into it; in the source's stack
                or one that is deployed after it.

        Raises:
            ValueError: If the grantee can't be given a policy, or is in a stack that is deployed before the source's.
        """
        owner = self.node.id
        account = cdk.Stack.of(self._buckets).account
        validation.check_grantee(owner, grantee, account=account)
        validation.check_grantee_place(owner, grantee)
        earlier = [cdk.Stack.of(self._buckets.bucket_for(each)) for each in self._buckets.regions[1:]]
        validation.check_grantee_stack(owner, grantee, earlier)
        permissions = may_run_jobs(
            [self._buckets.place_of(each) for each in self._roles],
            role_arns=[_l1(role).attr_arn for role in self._roles.values()],
            partition=pseudo_parameters().partition,
            account=account,
        )
        grants = [
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=list(each.actions),
                resource_arns=list(each.resources),
                conditions=each.condition,
            )
            for each in permissions
        ]
        if not all(grant.success for grant in grants):
            raise validation.unable_to_grant(owner, grantee)
        return functools.reduce(iam.Grant.combine, grants)

    def _role(self, region: str) -> iam.Role:
        bucket, reports = self._buckets.bucket_for(region), self._reports[region]
        part = Construct(bucket, _PART)
        source = self._buckets.place_of(region)
        role = iam.Role(
            part,
            "Role",
            assumed_by=iam.ServicePrincipal(
                BATCH_OPERATIONS,
                conditions=run_for_jobs_in(
                    region, partition=pseudo_parameters().partition, account=cdk.Stack.of(bucket).account
                ),
            ),
            description=f"S3 Batch Operations has S3 replicate what is in {source.bucket_arn.rpartition(':')[2]}",
        )
        # Another stack reads an output: no export binds the stacks, no Lambda function copies it.
        cdk.CrossStackReferences.of(_l1(role)).produce(cdk.ReferenceStrength.WEAK)
        reports.check_grantee(role)
        statements = self._buckets.replication.permissions_for_existing(
            source, reports_arn=reports.bucket.bucket_arn, reports_key_arn=reports.key.key_arn
        )
        iam.ManagedPolicy(
            part,
            "Permissions",
            roles=[role],
            document=iam.PolicyDocument(
                statements=[iam.PolicyStatement.from_json(each) for each in statements], minimize=False
            ),
        )
        return role


def _l1(role: iam.Role) -> iam.CfnRole:
    child = role.node.default_child
    assert isinstance(child, iam.CfnRole)  # noqa: S101 - for type checkers: the CDK made it
    return child


def _report_buckets(owner: str, given: object, buckets: ReplicatedEncryptedBuckets) -> dict[str, EncryptedBucket]:
    validation.check_list(owner, "report_buckets", given, EncryptedBucket, allowed="a list of EncryptedBuckets")
    assert isinstance(given, (list, tuple))  # noqa: S101 - for type checkers: just checked
    sources = [each for each in buckets.regions if buckets.replicates(each)]
    allowed = f"one bucket of account {cdk.Stack.of(buckets).account}, under a KMS key, in each of {', '.join(sources)}"
    found: dict[str, EncryptedBucket] = {}

    def refused(got: str, remedy: str) -> ValueError:
        return validation.refusal(owner, "report_buckets", got=got, allowed=allowed, remedy=remedy)

    for each in given:
        stack = cdk.Stack.of(each)
        if stack.account != cdk.Stack.of(buckets).account or stack.region not in sources or stack.region in found:
            got = f"{each.node.path} in account {stack.account}, Region {stack.region}"
            raise refused(got, "name one in each Region whose bucket replicates: jobs run there")
        if each is buckets.bucket_for(stack.region):
            raise refused(f"{each.node.path}, which replicates", "make another bucket: reports would be replicated too")
        try:
            each.key  # noqa: B018 - it says whether there is one
        except ValueError:
            got = f"{each.node.path}, which has no KMS key"
            raise refused(got, "choose SSE_KMS: reports name objects") from None
        found[stack.region] = each
    if missing := [each for each in sources if each not in found]:
        raise refused(f"none in {', '.join(missing)}", "add one there")
    return {region: found[region] for region in sources}

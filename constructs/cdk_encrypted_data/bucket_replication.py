"""BucketReplication: puts replication configurations on buckets of any Region, after all of them are there.

CloudFormation knows replication as a property of the bucket alone, and S3 takes it only when the destination is there:
of two buckets that replicate to each other neither could be first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

from cdk_encrypted_data.policies.replication import Place, Rule, as_request, may_configure

CODE = '''\
"""Puts a replication configuration on a bucket, and takes its own away again."""
import json
import time

import boto3
import cfnresponse
from botocore.exceptions import ClientError

# New policies and new versioning take effect within seconds, not at once.
TRIES, PAUSE = 6, 3


def handler(event, context):
    wanted = event["ResourceProperties"]
    try:
        s3 = boto3.client("s3", region_name=wanted["Region"])
        configuration = json.loads(wanted["Configuration"])
        if event["RequestType"] == "Delete":
            remove(s3, wanted["Bucket"], configuration["Role"])
        else:
            put(s3, wanted["Bucket"], configuration)
    except Exception as problem:
        reason = f"replication of {wanted['Bucket']}: {problem}"
        cfnresponse.send(event, context, cfnresponse.FAILED, {}, wanted["Bucket"], reason=reason)
    else:
        cfnresponse.send(event, context, cfnresponse.SUCCESS, {}, wanted["Bucket"])


def put(s3, bucket, configuration):
    for left in reversed(range(TRIES)):
        try:
            s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=configuration)
            return
        except ClientError as problem:
            if not left or problem.response["Error"]["Code"] not in ("AccessDenied", "InvalidRequest"):
                raise
            time.sleep(PAUSE)


def remove(s3, bucket, role):
    try:
        found = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
        # Another role's is somebody else's by now.
        if found["Role"] == role:
            s3.delete_bucket_replication(Bucket=bucket)
    except ClientError as problem:
        if problem.response["Error"]["Code"] not in ("NoSuchBucket", "ReplicationConfigurationNotFoundError"):
            raise
'''
"""The function's code: inline, so that no asset is published."""


class BucketReplication(Construct):
    """A function of our own that S3's API is called by, and what it has put there: for some buckets and roles only."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        places: Sequence[Place],
        roles: Mapping[str, iam.Role],
    ) -> None:
        super().__init__(scope, id)
        self._roles = roles
        log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=cdk.RemovalPolicy.DESTROY
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        statements = may_configure(
            [each.bucket_arn for each in places],
            [each.role_arn for each in roles.values()],
            log_group_arn=log_group.log_group_arn,
        )
        self._permissions = iam.ManagedPolicy(
            self,
            "Permissions",
            roles=[role],
            document=iam.PolicyDocument(
                statements=[iam.PolicyStatement.from_json(each) for each in statements], minimize=False
            ),
        )
        self._function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_inline(CODE),
            handler="index.handler",
            runtime=lambda_.Runtime.PYTHON_3_14,
            role=role,
            log_group=log_group,
            timeout=cdk.Duration.minutes(2),
            description="Puts replication configurations on buckets that replicate to each other",
        )

    def put(self, source: Place, rules: Sequence[Rule], *, after: Sequence[IConstruct]) -> None:
        """Replicate from a bucket by these rules, once what it stands on is there."""
        configuration = {
            "Role": self._roles[source.region].role_arn,
            "Rules": [as_request(rule) for rule in rules],
        }
        resource = cdk.CustomResource(
            self,
            f"From{source.region}",
            resource_type="Custom::BucketReplication",
            service_token=self._function.function_arn,
            service_timeout=cdk.Duration.minutes(5),
            properties={
                "Bucket": source.bucket_arn.rpartition(":")[2],
                "Region": source.region,
                # As text: of what isn't, CloudFormation makes texts of numbers.
                "Configuration": cdk.Stack.of(self).to_json_string(configuration),
            },
        )
        resource.node.add_dependency(self._permissions, *after)

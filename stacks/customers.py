"""A stack for each customer, and one for what they share: the log bucket and the topic that tells of failed runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data import (
    AccessLogBucket,
    Customer,
    FailureTopic,
    JobCode,
    PerCustomerGlueJob,
    check_customers,
    customers_from,
)
from stacks.acknowledgements import (
    NOT_LOGGED,
    REPLICATION,
    acknowledge,
    acknowledge_access_logs,
    acknowledge_each,
    acknowledge_removal,
    logical_id,
    removal,
)
from stacks.settings import arns_in, parsed, refusal

CUSTOMERS = "encrypted-data:customers"
CUSTOMER_NETWORK = "encrypted-data:customerNetwork"
CUSTOMER_RULES = "encrypted-data:customerRules"
CUSTOMER_ADMINISTRATORS = "encrypted-data:customerAdministrators"
NAMES = frozenset({CUSTOMERS, CUSTOMER_NETWORK, CUSTOMER_RULES, CUSTOMER_ADMINISTRATORS})
"""The settings that are read here."""

NETWORK_FIELDS = {"subnetId", "availabilityZone", "securityGroupIds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomersSettings:
    """All that the customers' stacks may differ in.

    Attributes:
        customers: The customers, each with a stack of its own.
        subnet_id: The subnet that jobs reach the databases from.
        availability_zone: The subnet's.
        security_group_ids: What the databases admit.
        rules: The directories of SQL files, by the name of the set.
        administrators: ARNs of the roles and users who administer all keys and use none.
    """

    customers: tuple[Customer, ...] = ()
    subnet_id: str = ""
    availability_zone: str = ""
    security_group_ids: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    administrators: tuple[str, ...] = ()

    @classmethod
    def from_context(cls, context: Mapping[str, object], *, text: str | None) -> CustomersSettings:
        """Read the settings from the app's context and the text of the file that it names.

        Raises:
            ValueError: If a setting isn't one of those allowed, or there is one of customers and no file of them.
        """
        if text is None:
            for name in sorted((NAMES - {CUSTOMERS}) & context.keys()):
                raise refusal(name, context[name], f"nothing without {CUSTOMERS}: cells name their own")
            return cls()
        network = _object(CUSTOMER_NETWORK, context)
        if not network.keys() == NETWORK_FIELDS or not isinstance(network["securityGroupIds"], list):
            raise refusal(
                CUSTOMER_NETWORK, network, f"an object with {', '.join(sorted(NETWORK_FIELDS))}, the last a list"
            )
        rules = _object(CUSTOMER_RULES, context)
        if not rules or not all(isinstance(each, str) for each in rules.values()):
            raise refusal(CUSTOMER_RULES, rules, 'an object such as {"clinical-trials": "DIRECTORY"}')
        return cls(
            customers=customers_from(text),
            subnet_id=str(network["subnetId"]),
            availability_zone=str(network["availabilityZone"]),
            security_group_ids=tuple(map(str, network["securityGroupIds"])),
            rules={name: str(each) for name, each in rules.items()},
            administrators=_administrators(context),
        )


class SharedStack(cdk.Stack):
    """What all customers share, and nothing of theirs: where access logs go, and where failed runs are told of."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        administrators: Sequence[iam.ArnPrincipal] = (),
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
        env: cdk.Environment | None = None,
    ) -> None:
        """Make the stack.

        Args:
            scope: The app or stage.
            id: The stack's id and name.
            administrators: Who administers the topic's key.
            removal_policy: What happens to the log bucket and the topic's key when they leave the template.
            env: Account and Region, the customers'.
        """
        super().__init__(scope, id, env=env, description="What the stacks of all customers share")
        self.access_logs = AccessLogBucket(self, "AccessLogs", removal_policy=removal_policy)
        acknowledge_access_logs(self.access_logs.bucket)
        acknowledge(
            self.access_logs.bucket,
            NOT_LOGGED,
            reason="It is where logs go, which the packs don't see: the buckets that log there are in other stacks.",
        )
        self.failures = FailureTopic(self, "Failures", key_administrators=administrators, removal_policy=removal_policy)
        acknowledge_removal(removal_policy, buckets=[self.access_logs.bucket], keys=[self.failures.key])
        cdk.CfnOutput(self, "FailureTopicArn", value=self.failures.topic.topic_arn)


class CustomerStack(cdk.Stack):
    """Everything of one customer: nothing in it changes when other customers come or go."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        customer: Customer,
        settings: CustomersSettings,
        shared: SharedStack,
        administrators: Sequence[iam.ArnPrincipal] = (),
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
        env: cdk.Environment | None = None,
    ) -> None:
        """Make the stack.

        Args:
            scope: The app or stage.
            id: The stack's id and name.
            customer: Whose stack it is.
            settings: What all customers have in common.
            shared: The stack of what they share.
            administrators: Who administers the customer's key.
            removal_policy: What happens to the customer's key and bucket when they leave the template.
            env: Account and Region.
        """
        super().__init__(scope, id, env=env, description=f"Key, bucket and Glue job of {customer.name}")
        self.job = PerCustomerGlueJob(
            self,
            "Customer",
            customer=customer,
            code=JobCode.from_assets(self, "Code", rules={customer.rules: settings.rules[customer.rules]}),
            subnet_id=settings.subnet_id,
            availability_zone=settings.availability_zone,
            security_group_ids=settings.security_group_ids,
            failure_topic=shared.failures.topic,
            key_administrators=administrators,
            access_log_bucket=shared.access_logs,
            removal_policy=removal_policy,
        )
        acknowledge_job(self.job, "Customer", removal_policy)
        outputs = {
            "BucketName": self.job.bucket.bucket_name,
            "KeyArn": self.job.key.key_arn,
            "JobName": self.job.job_name,
        }
        if customer.readers:
            outputs["ReaderPolicyArn"] = self.job.reader_policy.ref
        for output, value in outputs.items():
            cdk.CfnOutput(self, output, value=value)


def customer_stacks(
    scope: Construct,
    settings: CustomersSettings,
    *,
    removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    env: cdk.Environment | None = None,
) -> list[CustomerStack]:
    """Make a stack for each customer, and the one that they share; none where there are no customers.

    Args:
        scope: The app or stage.
        settings: The customers, and what they have in common.
        removal_policy: What happens to keys and buckets when they leave the template.
        env: Account and Region.

    Raises:
        ValueError: If customers couldn't be told apart, or name rules that aren't there.
    """
    check_customers(CUSTOMERS, settings.customers)
    for customer in settings.customers:
        if customer.rules not in settings.rules:
            raise refusal(f"{CUSTOMERS}, rules", customer.rules, ", ".join(settings.rules))
    if not settings.customers:
        return []
    administrators = tuple(iam.ArnPrincipal(arn) for arn in settings.administrators)
    shared = SharedStack(scope, "Customers", administrators=administrators, removal_policy=removal_policy, env=env)
    return [
        CustomerStack(
            scope,
            # No two customers' names are the same but for what a stack's name can't have.
            f"Customer-{re.sub('[^A-Za-z0-9-]', '-', customer.name)}",
            customer=customer,
            settings=settings,
            shared=shared,
            administrators=administrators,
            removal_policy=removal_policy,
            env=env,
        )
        for customer in settings.customers
    ]


def acknowledge_job(job: PerCustomerGlueJob, id: str, removal_policy: cdk.RemovalPolicy) -> None:  # noqa: A002
    """Accept what rule packs and proofs find in a customer's resources, each finding with its reason.

    Args:
        job: Whose they are.
        id: Its id in the stack.
        removal_policy: What happens to them when they leave the template.
    """
    bucket, role = (logical_id(id, name) for name in ("Bucket", "Role"))
    here = "<AWS::Region>:<AWS::AccountId>"
    log_groups = f"/aws-glue/jobs/{job.security_configuration_name}-role/<{role}>/*"
    acknowledge_each(
        job,
        {
            "The job is about every object of this one bucket, the customer's own, whose names it makes up "
            "itself.": _wildcards(f"<{bucket}.Arn>/*", f"<{bucket}.Arn>/tmp/*"),
            **_of_readers(job, bucket),
            "Glue derives these log groups for this one role and makes them: it puts a word of its own "
            "behind.": _wildcards(f"arn:<AWS::Partition>:logs:{here}:log-group:{log_groups}"),
            "EC2 makes the interfaces' ids up; subnet and security groups are named, whichever account shares "
            "them.": _wildcards(
                f"arn:<AWS::Partition>:ec2:{here}:network-interface/*",
                *(f"arn:<AWS::Partition>:ec2:<AWS::Region>:*:{each}" for each in job.network_resources),
            ),
            "EC2's descriptions and CloudWatch's metrics know no resources; the latter are limited to "
            "Glue's.": _wildcards("*"),
            "The data can be extracted and encrypted anew; versions recover what is overwritten.": REPLICATION,
            # Of the connection, the only one of these resources that names a zone.
            "The zone is that of the subnet that the settings name, and Glue wants to be told both.": (
                "CloudFormation-Validate::W3010",
            ),
            **removal(removal_policy),
        },
    )


def _of_readers(job: PerCustomerGlueJob, bucket: str) -> dict[str, tuple[str, ...]]:
    if not job.customer.readers:
        return {}
    reason = "Readers may read every object that the job wrote, and the job makes their names up."
    return {reason: _wildcards(f"<{bucket}.Arn>/data/*")}


def _wildcards(*resources: str) -> tuple[str, ...]:
    return tuple(f"AwsSolutions::AwsSolutions-IAM5[Resource::{each}]" for each in resources)


def _administrators(context: Mapping[str, object]) -> tuple[str, ...]:
    value = parsed(CUSTOMER_ADMINISTRATORS, context.get(CUSTOMER_ADMINISTRATORS, []), "a JSON list of ARNs")
    if (arns := arns_in(value)) is None:
        raise refusal(CUSTOMER_ADMINISTRATORS, value, "a list of ARNs of roles and users")
    return arns


def _object(setting: str, context: Mapping[str, object]) -> dict[str, object]:
    value = parsed(setting, context.get(setting), "a JSON object")
    if not isinstance(value, dict):
        raise refusal(setting, value, "an object")
    return value

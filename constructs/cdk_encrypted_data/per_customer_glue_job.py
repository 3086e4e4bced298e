"""PerCustomerGlueJob: a Glue job of one customer, with a key, a bucket and a role that are theirs alone."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import cloudformation_include
from aws_cdk.interfaces.aws_sns import ITopicRef
from constructs import Construct

from cdk_encrypted_data import customer_template, names, validation
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.bucket_options import (
    ABORT_UPLOAD_DAYS,
    DEFAULT_ABORT_UPLOAD_DAYS,
    DEFAULT_NONCURRENT_VERSION_DAYS,
    NONCURRENT_VERSION_DAYS,
    check_access_logs,
)
from cdk_encrypted_data.choices import GlueVersion
from cdk_encrypted_data.customer_template import OUTPUT, Options
from cdk_encrypted_data.customers import MAXIMUM_WORKERS, RETRIES, TIMEOUT_MINUTES, Customer
from cdk_encrypted_data.interned import home, pseudo_parameters
from cdk_encrypted_data.job_code import JobCode
from cdk_encrypted_data.managed_key import check_key_grantee, check_options, check_separation
from cdk_encrypted_data.policies import Statement, glue

if TYPE_CHECKING:  # half of the time that importing this module would take
    from aws_cdk import aws_glue as cdk_glue

_DEFAULT_TIMEOUT_MINUTES = 120

_DELETION_POLICIES = {
    cdk.RemovalPolicy.RETAIN: ("Retain", "Retain"),
    cdk.RemovalPolicy.DESTROY: ("Delete", "Delete"),
    cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE: ("RetainExceptOnCreate", "Retain"),
}


class PerCustomerGlueJob(Construct):
    """A Glue job that extracts one customer's data, applies rules, and encrypts what it writes under their key.

    It makes a KMS key with an alias, an encrypted bucket with its policy, a role and its permissions, a Glue security
    configuration, a JDBC connection and the job; with a schedule a trigger, with a topic a rule that tells of failed
    runs, with readers a policy to attach to them. Nothing of it is shared with another customer, except the code, which
    the job may read and nothing else of it.

    The key is a `CustomerManagedKey` and the bucket an `EncryptedBucket`, statement by statement, and beyond these:

    - The key names its users: the job's role, the customer's ``readers``, and ``key_users``. Nobody else uses it,
      whatever IAM policies say.
    - The job uses it directly as well: it encrypts every file in its own process, before it is stored. It gets data
      keys for this one format only, and the other users may open those of its outputs, in their own processes, and
      make none.
    - Rows from before the rules, which a job with bookmarks keeps for its next run, are under ``state/``, apart from
      the outputs under ``data/``: nobody is granted to read them, and their data keys open to the job's role alone.
    - CloudWatch Logs may use it for the log groups that Glue derives for this job, and the job for its bookmarks.
    - Glue's temporary objects, under ``tmp/``, expire after 7 days.

    The security configuration says what encrypts that which Glue itself writes: S3 what is stored (SSE-KMS), CloudWatch
    Logs the logs (SSE-KMS), Glue the bookmarks before it stores them (CSE-KMS). None of this encrypts the data before
    they leave the process: the job's code does. What Spark spills to disk is encrypted by Spark, under keys of the run.

    Key, bucket, secret, database, rules and program are fixed in the job: no argument of a run that AWS documents
    changes them, except one, of which `grant_start` says what it takes. How large a run is, how long it may take and
    which security configuration it has is said by whoever starts it. No argument is a secret; the password stays in
    Secrets Manager.

    Stateful: the key and the bucket. They and the bucket's policy are retained when they leave the template unless
    ``removal_policy`` says otherwise; data under a deleted key are lost. Another ``id`` or scope makes new ones,
    another ``bucket_name_prefix`` a new bucket. The role isn't retained: a key that stays has the other
    users only, until somebody changes its policy.

    See https://docs.aws.amazon.com/glue/latest/dg/encryption-security-configuration.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        customer: Customer,
        code: JobCode,
        subnet_id: str,
        availability_zone: str,
        security_group_ids: Sequence[str],
        glue_version: GlueVersion = GlueVersion.V5_1,
        worker_type: str = "G.1X",
        maximum_workers: int = 4,
        timeout: cdk.Duration | None = None,
        retries: int = 0,
        failure_topic: ITopicRef | None = None,
        key_administrators: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_users: Sequence[iam.IPrincipal | iam.ArnPrincipal] = (),
        key_alias_name: str | None = None,
        key_rotation_period: cdk.Duration | None = None,
        key_pending_window: cdk.Duration | None = None,
        bucket_name_prefix: str | None = None,
        noncurrent_version_expiration: cdk.Duration | None = None,
        abort_incomplete_multipart_upload_after: cdk.Duration | None = None,
        access_log_bucket: AccessLogBucket | None = None,
        access_log_prefix: str | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make everything that one customer needs.

        Args:
            scope: The construct to put it into.
            id: Its id there; the customer's name is a good one. Part of the logical and physical names: changing it
                makes a new key and a new bucket.
            customer: Whose job it is, what it reads, and which rules it applies.
            code: What the job runs.
            subnet_id: The subnet that the workers' network interfaces are in. It needs a route to the database, to
                Secrets Manager, KMS, CloudWatch Logs, Glue and S3.
            availability_zone: The subnet's.
            security_group_ids: Of these interfaces: the database must admit one, and one must admit itself for all TCP
                ports.
            glue_version: Default: Glue 5.1 (Spark 3.5, Python 3.11).
            worker_type: Of a customer who doesn't say it, as of the next three: the size of the workers, ``G.1X`` to
                ``G.16X``, or ``R.1X`` to ``R.8X``. Default: ``G.1X``, 4 CPUs and 16 GB each.
            maximum_workers: 2 to 299; Glue takes as many of them as a run has use for. Default: 4.
            timeout: When a run is ended: a minute to seven days, in whole minutes. Default: 2 hours.
            retries: How often Glue starts a failed run again: 0 to 10. Default: never, and runs for which the account
                has no room are queued instead: Glue does one or the other.
            failure_topic: Who is told of failed runs; EventBridge must be allowed to publish to it (`FailureTopic`).
                Default: nobody.
            key_administrators: As of `EncryptedBucket`: who administers the key and may not use it. Default: the
                account's IAM policies decide.
            key_users: Who uses the key beside the job and the customer's ``readers``, to read what the job wrote, and
                may not administer it. Default: nobody.
            key_alias_name: ``alias/…``. Default: ``alias/STACK/PATH``.
            key_rotation_period: 90 to 2560 days. Default: 365 days.
            key_pending_window: 7 to 30 days. Default: 30 days.
            bucket_name_prefix: The bucket is named PREFIX-ACCOUNT-REGION-an, in the account's own namespace, and the
                key's policy binds it to this bucket. Default: the customer's name and a digest of the construct's path.
                A bucket that stayed of a customer who left is in the way of the same name.
            noncurrent_version_expiration: 1 to 36500 days. Default: 90 days.
            abort_incomplete_multipart_upload_after: 1 to 365 days. Default: 7 days.
            access_log_bucket: Where S3 delivers server access logs. Default: no access logs.
            access_log_prefix: The prefix of those logs, ended by a slash. Default: the construct's path.
            removal_policy: What happens to the key and the bucket when they leave the template. Default: they stay.

        Raises:
            ValueError: If an argument is out of bounds, or two contradict each other.
        """
        validation.check_instance(id, "customer", customer, Customer, allowed="a Customer")
        validation.check_instance(id, "code", code, JobCode, allowed="a JobCode")
        if customer.rules not in code.rules:
            raise validation.refusal(
                id,
                "customer",
                got=f"{customer.name} with the rules {customer.rules}",
                allowed=f"the rules that the code has: {', '.join(code.rules)}",
                remedy="name one of them in the customer, or add it to JobCode",
            )
        read = {table.name for table in customer.tables}
        if missing := set(code.tables.get(customer.rules, ())) - read:
            raise validation.refusal(
                id,
                "customer",
                got=f"{customer.name} without the tables {', '.join(sorted(missing))}",
                allowed=f"customers with every table that the rules {customer.rules} read",
                remedy="name them in the customer's tables",
            )
        validation.check_text(id, "subnet_id", subnet_id, validation.SUBNET_ID)
        validation.check_text(id, "availability_zone", availability_zone, validation.AVAILABILITY_ZONE)
        validation.check_texts(id, "security_group_ids", security_group_ids, validation.SECURITY_GROUP_ID)
        if not security_group_ids:
            raise validation.refusal(
                id,
                "security_group_ids",
                got=security_group_ids,
                allowed="at least one security group",
                remedy="name one that the database admits",
            )
        validation.check_choice(id, "glue_version", glue_version, GlueVersion)
        validation.check_text(id, "worker_type", worker_type, validation.WORKER_TYPE)
        validation.check_number(id, "maximum_workers", maximum_workers, MAXIMUM_WORKERS)
        if timeout is not None:
            validation.check_minutes(id, "timeout", timeout, TIMEOUT_MINUTES)
        validation.check_number(id, "retries", retries, RETRIES)
        # The class is asked first: the attribute itself is two calls into Node.
        if failure_topic is not None and not any(
            hasattr(each, "topic_ref") for each in (type(failure_topic), failure_topic)
        ):
            raise validation.refusal(
                id,
                "failure_topic",
                got=failure_topic,
                allowed="a topic of aws_sns",
                remedy="pass FailureTopic(…).topic",
            )
        validation.check_optional_text(id, "bucket_name_prefix", bucket_name_prefix, validation.BUCKET_NAME_PREFIX)
        validation.check_optional_text(id, "access_log_prefix", access_log_prefix, validation.LOG_PREFIX)
        validation.check_known_days(
            id, "noncurrent_version_expiration", noncurrent_version_expiration, NONCURRENT_VERSION_DAYS
        )
        validation.check_known_days(
            id,
            "abort_incomplete_multipart_upload_after",
            abort_incomplete_multipart_upload_after,
            ABORT_UPLOAD_DAYS,
        )
        validation.check_removal_policy(id, "removal_policy", removal_policy)
        administrator_arns, user_arns = check_options(
            id,
            scope,
            administrators=key_administrators,
            users=key_users,
            alias_name=key_alias_name,
            rotation_period=key_rotation_period,
            pending_window=key_pending_window,
            prefix="key_",
        )
        if customer.readers:
            # Texts, and nothing of the CDK: in a fleet each call into Node counts.
            validation.check_principal_arns(id, "readers", customer.readers, account=home(scope).account)
            check_separation(id, "readers", customer.readers, administrators=administrator_arns)
            user_arns = [*user_arns, *(each for each in customer.readers if each not in user_arns)]
        if bucket_name_prefix is not None:
            validation.check_name_length(id, "bucket_name_prefix", bucket_name_prefix, cdk.Stack.of(scope).region)
        check_access_logs(id, access_log_bucket, access_log_prefix, scope)

        super().__init__(scope, id)
        # The creation stacks of the included resources would show jsii and the CDK, and nothing of the user's.
        self.node.set_context("aws:cdk:disable-creation-stack-traces", True)
        self._id = id
        self._customer = customer
        self._network = (f"subnet/{subnet_id}", *(f"security-group/{each}" for each in security_group_ids))
        self._administrators = administrator_arns
        self._users = user_arns
        path = f"{_path(scope)}/{id}"
        self._name = names.physical(path)
        log_prefix = access_log_prefix or f"{names.readable(path)}/"
        deletion, replacement = _DELETION_POLICIES[removal_policy]
        options = Options(
            name=customer.name,
            title=customer.title or customer.name,
            tags=customer.all_tags(),
            path=path,
            physical_name=self._name,
            alias_name=key_alias_name or names.alias_name(path, stack_name=customer_template.STACK_NAME),
            key_description=f"Encrypts the data of {customer.name} in S3, in the job and in its logs",
            key_name_tag=names.readable(path),
            key_administrators=administrator_arns,
            key_users=user_arns,
            has_readers=bool(customer.readers),
            rotation_days=_days(key_rotation_period),
            pending_days=_days(key_pending_window),
            bucket_name_prefix=bucket_name_prefix or names.bucket_prefix(customer.name, path),
            noncurrent_days=_days(noncurrent_version_expiration) or DEFAULT_NONCURRENT_VERSION_DAYS,
            abort_days=_days(abort_incomplete_multipart_upload_after) or DEFAULT_ABORT_UPLOAD_DAYS,
            access_log_bucket_name=access_log_bucket.bucket_name if access_log_bucket else None,
            access_log_prefix=log_prefix,
            deletion_policy={"DeletionPolicy": deletion, "UpdateReplacePolicy": replacement},
            secret_arn=customer.secret_arn,
            secret_key_arn=customer.secret_key_arn,
            jdbc_url=customer.jdbc_url,
            subnet_id=subnet_id,
            security_group_ids=security_group_ids,
            availability_zone=availability_zone,
            script=code.script,
            code_objects=code.objects(customer.rules),
            code_key_arn=code.key_arn,
            arguments=_ARGUMENTS,
            pinned_arguments=_pinned_arguments(customer, code),
            glue_version=glue_version.value,
            worker_type=customer.worker_type or worker_type,
            workers=customer.maximum_workers or maximum_workers,
            timeout_minutes=customer.timeout_minutes or _minutes(timeout),
            retries=retries if customer.retries is None else customer.retries,
            schedule=customer.schedule,
            failure_topic_arn=_topic_arn(cast("Construct", failure_topic)) if failure_topic else None,
        )
        self._resources = _include(self, customer_template.template(options))
        if access_log_bucket is not None:
            access_log_bucket._allow_delivery_from(  # noqa: SLF001 - the library's own, and not for its users
                scope, bucket_arn=lambda: self.bucket.bucket_arn, prefix=log_prefix
            )

    @property
    def customer(self) -> Customer:
        """Whose job it is."""
        return self._customer

    @property
    def job_name(self) -> str:
        """The job's name, which is also the connection's and the trigger's."""
        return self._name

    @property
    def security_configuration_name(self) -> str:
        """The security configuration's name."""
        return customer_template.security_configuration_name(self._name)

    @property
    def network_resources(self) -> list[str]:
        """The subnet and the security groups, as ARNs end: ``subnet/…``, ``security-group/…``."""
        return list(self._network)

    @functools.cached_property
    def bucket(self) -> s3.IBucket:
        """The bucket. Its own ``grant_*`` know nothing of the key's policy: use those of this class."""
        return s3.Bucket.from_cfn_bucket(cast("s3.CfnBucket", self._resource("Bucket")))

    @functools.cached_property
    def key(self) -> kms.IKey:
        """The key. Its policy is in the template already: name who else uses it by ``key_users``."""
        return kms.Key.from_key_arn(self, "KeyReference", cast("kms.CfnKey", self._resource("Key")).attr_arn)

    @functools.cached_property
    def role(self) -> iam.IRole:
        """The job's role; what is granted to it comes in a policy beside its own."""
        return iam.Role.from_role_arn(self, "RoleReference", cast("iam.CfnRole", self._resource("Role")).attr_arn)

    @functools.cached_property
    def permissions(self) -> iam.CfnManagedPolicy:
        """The policy that says what the job may do."""
        return cast("iam.CfnManagedPolicy", self._resource("Permissions"))

    @functools.cached_property
    def reader_policy(self) -> iam.CfnManagedPolicy:
        """The policy that gives the customer's ``readers`` what they need: attach it to each of them, and nobody else.

        Raises:
            ValueError: If the customer has none.
        """
        if not self._customer.readers:
            raise validation.refusal(
                self._id,
                "readers",
                got=self._customer.readers,
                allowed="a customer with readers",
                remedy="name them in the customer, or grant_read to one of key_users",
            )
        return cast("iam.CfnManagedPolicy", self._resource("Reader"))

    @functools.cached_property
    def security_configuration(self) -> cdk_glue.CfnSecurityConfiguration:
        """The security configuration."""
        return cast("cdk_glue.CfnSecurityConfiguration", self._resource("SecurityConfiguration"))

    @functools.cached_property
    def connection(self) -> cdk_glue.CfnConnection:
        """The connection to the customer's database."""
        return cast("cdk_glue.CfnConnection", self._resource("Connection"))

    @functools.cached_property
    def job(self) -> cdk_glue.CfnJob:
        """The job."""
        return cast("cdk_glue.CfnJob", self._resource("Job"))

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let one of the key's other users list the bucket, read the job's outputs, and decrypt them.

        Not what the job keeps for its next run: the key opens that to nobody but the job, whatever a policy says.

        Args:
            grantee: One of ``key_users`` or of the customer's ``readers``, or a group or managed policy for them. The
                CDK gives a role or user an inline policy, an imported one as well; where permissions are given outside
                the app, attach `reader_policy`, which says the same.

        Raises:
            ValueError: If the key doesn't name the grantee among its users, or it can't be given a policy.
        """
        bucket_arn, key_arn = self.bucket.bucket_arn, self.key.key_arn
        self._check_user(grantee)
        return self._grant(grantee, *glue.read_output(bucket_arn, key_arn, _here(), output=OUTPUT))

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a role, user or policy start runs of this job, watch them and stop them. It gives no data and no key.

        Nor the job's rights, as long as the grantee can't write what the job may read. A run takes code by arguments,
        and all are pinned but ``--python-virtual-env``, with its ``-storage-prefix``, for which there is no value that
        means none: the archive that a run names there takes Python's place, if the job's role may read it. That is the
        code, what lies in the customer's bucket, and what buckets of this account let the role read by their own
        policies. No grant of this construct lets anybody write there.

        A run that is started with another security configuration can't write logs, since the role may write to the log
        groups of its own alone; a job of your own that keeps bookmarks with Glue keeps them as that one says.

        See https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html.

        Raises:
            ValueError: If the grantee can't be given a policy.
        """
        actions = ["glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"]
        return self._grant(grantee, {"Action": actions, "Resource": [_here().arn("glue", f"job/{self._name}")]})

    def _check_user(self, grantee: iam.IGrantable) -> None:
        check_key_grantee(
            self._id,
            grantee,
            account=cdk.Stack.of(self).account,
            administrators=self._administrators,
            # The role is the job's own; without further users there is nobody to grant anything.
            users=[*self._users, self.role.role_arn],
        )

    def _grant(self, grantee: iam.IGrantable, *statements: Statement) -> iam.Grant:
        validation.check_grantee(self._id, grantee, account=cdk.Stack.of(self).account)
        grants = [
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=list(each["Action"]),
                resource_arns=list(each["Resource"]),
                conditions=each.get("Condition") or None,
            )
            for each in statements
        ]
        if not all(grant.success for grant in grants):
            raise validation.unable_to_grant(self._id, grantee)
        return functools.reduce(iam.Grant.combine, grants)

    def _resource(self, name: str) -> cdk.CfnResource:
        from aws_cdk import aws_glue  # noqa: F401, PLC0415 - jsii must know the types of what it returns

        return self._resources.get_resource(name)


def _here() -> glue.Environment:
    here = pseudo_parameters()
    return glue.Environment(partition=here.partition, account=here.account, region=here.region)


# What a run may be told otherwise: tests/customers/test_what_a_run_may_change.py has each that AWS documents.
# Glue scales between one worker and the maximum.
_ARGUMENTS = {
    "--enable-auto-scaling": "true",
    "--enable-continuous-cloudwatch-log": "true",
    "--enable-metrics": "true",
}


def _pinned_arguments(customer: Customer, code: JobCode) -> dict[str, str]:
    rules = code.rules[customer.rules]
    return {
        "--ca-certificate": customer.ca_certificate,
        "--customer": customer.name,
        "--jdbc-url": customer.jdbc_url,
        # Else a run could decide which rows are new.
        "--job-bookmark-option": "job-bookmark-enable",
        "--rules": rules,
        "--secret-arn": customer.secret_arn,
        "--tables": json.dumps([table.as_argument() for table in customer.tables], separators=(",", ":")),
        **_program(code, rules),
    }


def _program(code: JobCode, rules: str) -> dict[str, str]:
    """Return every argument by which Glue takes code: what isn't said here, whoever starts a run could say.

    Where there is nothing to say, it is something that changes nothing: AWS doesn't say whether a value may be empty.
    See https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html.
    """
    only_wheels = all(each.startswith("s3://") for each in code.modules)
    return {
        # Glue would take it before the script of the job's command.
        "--scriptLocation": code.script,
        "--job-language": "python",
        # The rules stand in: a zip that the role may read, in which nothing is that Python or Java would run.
        "--extra-files": rules,
        "--extra-jars": rules,
        "--extra-py-files": ",".join(code.packages) or rules,
        # Glue has pip, and pip leaves alone what is there already.
        "--additional-python-modules": ",".join(code.modules) or "pip",
        # Else it could name another index, and what comes from there runs beside the data keys. Wheels come alone, what
        # they depend on isn't looked for elsewhere; with other modules it is an option that changes nothing of theirs.
        "--python-modules-installer-option": "--no-index" if only_wheels else "--disable-pip-version-check",
    }


def _minutes(duration: cdk.Duration | None) -> int:
    return _DEFAULT_TIMEOUT_MINUTES if duration is None else int(duration.to_minutes())


def _days(duration: cdk.Duration | None) -> int | None:
    return None if duration is None else int(duration.to_days())


@functools.lru_cache(maxsize=64)
def _path(scope: Construct) -> str:
    """Return a construct's path, asked of Node once for all customers in it."""
    return scope.node.path


@functools.lru_cache(maxsize=64)
def _topic_arn(topic: Construct) -> str:
    """Return a topic's ARN, asked of Node once for all customers that share it."""
    # As a construct it can be a key of the cache, which jsii's interfaces don't say of themselves.
    return cast("ITopicRef", topic).topic_ref.topic_arn


def _include(scope: Construct, template: customer_template.Resource) -> cloudformation_include.CfnInclude:
    """Put the resources into the construct: L1s of their types, in one call into Node."""
    file = _template_file()
    # The CDK reads it as YAML, whatever it is.
    text = json.dumps(template).encode()
    # Line breaks over what is left of a longer template before: cutting the file is slower than all else here.
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    file.write(text.ljust(size, b"\n"))
    file.flush()
    # As Default it has no part in the logical ids, which are made of the paths as for all constructs.
    return cloudformation_include.CfnInclude(scope, "Default", template_file=file.name, preserve_logical_ids=False)


@functools.cache
def _template_file() -> IO[bytes]:
    """Return a file of this process: the CDK takes a template by the name of a file only, and reads it at once."""
    return cast("IO[bytes]", tempfile.NamedTemporaryFile(suffix=".template.json"))

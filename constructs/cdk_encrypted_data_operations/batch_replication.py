"""Replicate what is in a bucket already: a job of S3 Batch Operations, made once and followed to its end.

S3 finds the objects itself, by the bucket's replication rules, and copies them as the bucket's replication role. See
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cdk_encrypted_data_operations.answers import code, explained, is_outage, said
from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.errors import SettingsError, UnfinishedError

REPORTS = "batch-replication"
"""Where in their bucket the reports are. The role that `BatchReplication` makes stores them nowhere else."""

POLL_SECONDS = 10
"""How often a job is asked how far it is."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/[\w+=,.@/-]+")
# S3 takes as many characters.
_PREFIX_LENGTH = 1024
_AWS_ERRORS = (BotoCoreError, ClientError)
_ENDED = {"Cancelled", "Complete", "Failed"}
# What somebody must do something about: nothing goes on by itself.
_HELD = {"Paused", "Suspended"}
# How often in a row an unanswered question is asked again.
_PATIENCE = 6
_PRIORITY = 10


class ReplicationStatus(Enum):
    """What S3 says of an object's replication."""

    NONE = "NONE"
    """It was there before the rule."""
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"
    """It was replicated, as to another destination."""
    REPLICA = "REPLICA"
    """It came here by replication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job, as S3 describes it.

    Args:
        id: Its id.
        status: `Preparing`, `Active`, `Complete`, ….
        total: How many objects it is about; 0 until S3 has found them.
        succeeded: How many of them are replicated.
        failed: How many of them aren't: the report says which, and why.
        reasons: Why the job itself failed or was held, in S3's words.
    """

    id: str
    status: str
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _ENDED


class BatchReplication:
    """One job on one bucket.

    Any number of them may be made and inspected: only `start` changes anything. A job that another run of the same
    settings began is found and followed, not made again.

    Args:
        bucket: The name of the bucket to replicate from.
        region: Its Region.
        role_arn: The role for the job: `BatchReplication.role_for` of the library.
        report_bucket: The name of the bucket for the report, in the same account and Region.
        statuses: Which objects, by what S3 says of their replication.
        prefix: Only objects whose keys begin so. Default: all.
        created_before: Only objects that were stored before. Default: all.
        session: Where credentials and configuration come from. Default: boto3's own search.
        config: Settings of the clients; they go before those of this class (10 s to connect, 20 s to read, 3 attempts).

    Raises:
        SettingsError: An argument can't be right.
    """

    def __init__(
        self,
        *,
        bucket: str,
        region: str,
        role_arn: str,
        report_bucket: str,
        statuses: Sequence[ReplicationStatus] = (ReplicationStatus.NONE, ReplicationStatus.FAILED),
        prefix: str = "",
        created_before: datetime | None = None,
        session: boto3.session.Session | None = None,
        config: Config | None = None,
    ) -> None:
        for argument, name in (("bucket", bucket), ("report-bucket", report_bucket)):
            if not _BUCKET.fullmatch(name):
                raise SettingsError(f"{argument} is {name!r}; allowed: the name of a bucket; write it without arn:")
        if bucket == report_bucket:
            raise SettingsError(
                f"report-bucket is {bucket!r} too; allowed: another bucket; its reports would replicate"
            )
        if not _REGION.fullmatch(region):
            raise SettingsError(f"region is {region!r}; allowed: the name of a Region; write eu-central-1")
        role = _ROLE.fullmatch(role_arn)
        if role is None:
            raise SettingsError(f"role is {role_arn!r}; allowed: the ARN of a role; see BatchReplication.role_for")
        if not statuses:
            raise SettingsError("status is empty; allowed: at least one of NONE, FAILED, COMPLETED, REPLICA; name one")
        if len(prefix) > _PREFIX_LENGTH:
            raise SettingsError(f"prefix has {len(prefix)} characters; allowed: at most {_PREFIX_LENGTH}; shorten it")
        if created_before is not None and created_before.tzinfo is None:
            raise SettingsError(f"created-before is {created_before}; allowed: a time with its zone; add Z for UTC")
        self.bucket = bucket
        self.region = region
        self.role_arn = role_arn
        self.report_bucket = report_bucket
        self.account = role["account"]
        self._partition = role_arn.split(":")[1]
        self._filter = _filter(statuses, prefix, created_before)
        self._session = session or boto3.session.Session()
        own = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
        self._config = own.merge(config) if config else own
        self._clients: dict[str, Any] = {}

    def __str__(self) -> str:
        """Say what it is about."""
        return f"replication of what is in {self.bucket} ({self.region})"

    @property
    def request(self) -> dict[str, Any]:
        """What S3 is asked for, without its token."""
        return {
            "AccountId": self.account,
            "ConfirmationRequired": False,
            "Operation": {"S3ReplicateObject": {}},
            "ManifestGenerator": {
                "S3JobManifestGenerator": {
                    "ExpectedBucketOwner": self.account,
                    "SourceBucket": self._arn(self.bucket),
                    "EnableManifestOutput": False,
                    "Filter": self._filter,
                }
            },
            "Report": {
                "Enabled": True,
                "Bucket": self._arn(self.report_bucket),
                "ExpectedBucketOwner": self.account,
                "Prefix": REPORTS,
                "Format": "Report_CSV_20180820",
                "ReportScope": "AllTasks",
            },
            "Priority": _PRIORITY,
            "RoleArn": self.role_arn,
            "Description": self._description,
        }

    def inspect(self) -> tuple[Check, ...]:
        """Look at everything that can be looked at without changing anything.

        Raises:
            UnavailableError: S3 doesn't answer.
        """
        return (self._caller(), self._rules(), self._reports())

    def unfinished(self) -> Job | None:
        """Return the job with the same settings that hasn't ended, if there is one.

        Raises:
            OperationsError: S3 refuses to list jobs, or doesn't answer.
        """
        return next((_job(each) for each in self._jobs() if each["Status"] not in _ENDED), None)

    def start(self) -> Job:
        """Have S3 begin, and return the job. Asked twice before a job with these settings has ended, it is one job.

        Raises:
            RefusedError: S3 refused; nothing was begun.
            UnavailableError: S3 gave no answer. The same again makes no second job.
        """
        # With every job that has ended there is another token: what was done can be done again, but not twice at once.
        ended = sorted(each["JobId"] for each in self._jobs() if each["Status"] in _ENDED)
        token = hashlib.sha256(json.dumps([self._description, ended]).encode()).hexdigest()
        try:
            answer = self._client("s3control").create_job(**self.request, ClientRequestToken=token)
        except _AWS_ERRORS as error:
            remedy = "allow s3:CreateJob, and iam:PassRole on the role: BatchReplication.grant_create_job does"
            raise explained(error, f"{self}: making the job", remedy=remedy) from error
        return Job(id=str(answer["JobId"]), status="New")

    def follow(
        self,
        job: Job,
        *,
        progress: Callable[[Job], object] = lambda _job: None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Job:
        """Return the job when it has ended; it goes on without being followed.

        Args:
            job: The job.
            progress: Called with what S3 says each time that it is asked.
            sleep: How to wait.

        Raises:
            UnfinishedError: S3 doesn't answer any more, or somebody holds the job.
        """
        unanswered = 0
        while not job.ended:
            try:
                job = self.describe(job.id)
            except _AWS_ERRORS as error:
                unanswered += 1
                if not is_outage(error) or unanswered > _PATIENCE:
                    raise UnfinishedError(
                        f"{self}: job {job.id} was begun and can't be followed ({said(error)}); it goes on by itself; "
                        "allow s3:DescribeJob on it, and run this again"
                    ) from error
            else:
                unanswered = 0
                progress(job)
                if job.status in _HELD:
                    raise UnfinishedError(
                        f"{self}: job {job.id} is {job.status} ({'; '.join(job.reasons) or 'S3 says no reason'}); "
                        "see to it in the S3 console, and run this again"
                    )
            if not job.ended:
                sleep(POLL_SECONDS)
        return job

    def describe(self, job_id: str) -> Job:
        """Ask S3 how far a job is. Errors are boto3's."""
        return _job(self._client("s3control").describe_job(AccountId=self.account, JobId=job_id)["Job"])

    def report_of(self, job: Job) -> str:
        """Return where S3 puts the job's report."""
        return f"s3://{self.report_bucket}/{REPORTS}/job-{job.id}/"

    @property
    def _description(self) -> str:
        """What tells jobs of these settings from others: S3 shows it, and keeps 256 characters."""
        settings = json.dumps(
            [self.bucket, self.role_arn, self.report_bucket, self._filter], default=str, sort_keys=True
        )
        return f"replicate-existing {self.bucket} {hashlib.sha256(settings.encode()).hexdigest()[:16]}"

    def _jobs(self) -> list[dict[str, Any]]:
        """Return what S3 lists of jobs with these settings: those of the last 90 days, after which it forgets them."""
        found: list[dict[str, Any]] = []
        # boto3 has no paginator for it.
        more: dict[str, str] | None = {}
        try:
            while more is not None:
                page = self._client("s3control").list_jobs(AccountId=self.account, **more)
                found += page["Jobs"]
                more = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
        except _AWS_ERRORS as error:
            remedy = "allow s3:ListJobs: BatchReplication.grant_create_job does"
            raise explained(error, f"{self}: listing jobs", remedy=remedy) from error
        return [each for each in found if each.get("Description") == self._description]

    def _caller(self) -> Check:
        subject = "who asks"
        try:
            found = self._client("sts").get_caller_identity()
        except _AWS_ERRORS as error:
            if is_outage(error):
                return Check(subject=subject, found=said(error), outcome=Outcome.UNKNOWN)
            raise explained(error, f"{self}: finding out who asks", remedy="configure credentials") from error
        if found["Account"] != self.account:
            return Check(
                subject=subject,
                found=f"{found['Arn']}, of another account than the role's, {self.account}",
                outcome=Outcome.REFUSED,
                remedy="use credentials of the bucket's account",
            )
        return Check(subject=subject, found=str(found["Arn"]))

    def _rules(self) -> Check:
        subject = f"rules of {self.bucket}"
        try:
            found = self._client("s3").get_bucket_replication(Bucket=self.bucket, ExpectedBucketOwner=self.account)
        except _AWS_ERRORS as error:
            if code(error) == "ReplicationConfigurationNotFoundError":
                remedy = "name a bucket that replicates: of ReplicatedEncryptedBuckets one way, the source"
                return Check(
                    subject=subject, found="none: it doesn't replicate", outcome=Outcome.REFUSED, remedy=remedy
                )
            remedy = "name a bucket of this account, and allow s3:GetReplicationConfiguration on it"
            raise explained(error, f"{self}: reading its rules", remedy=remedy) from error
        rules = [each for each in found["ReplicationConfiguration"]["Rules"] if each["Status"] == "Enabled"]
        if not rules:
            remedy = "enable a rule: a job follows the rules that the bucket has"
            return Check(subject=subject, found="none is enabled", outcome=Outcome.REFUSED, remedy=remedy)
        to = ", ".join(each["Destination"]["Bucket"].rpartition(":")[2] for each in rules)
        return Check(subject=subject, found=f"{len(rules)}, to {to}")

    def _reports(self) -> Check:
        subject = f"encryption of {self.report_bucket}"
        try:
            found = self._client("s3").get_bucket_encryption(
                Bucket=self.report_bucket, ExpectedBucketOwner=self.account
            )["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        except _AWS_ERRORS as error:
            if is_outage(error):
                raise explained(error, f"{self}: reading the {subject}", remedy="") from error
            return Check(subject=subject, found=said(error), outcome=Outcome.UNKNOWN)
        if "KMSMasterKeyID" not in found:
            return Check(
                subject=subject,
                found=f"{found['SSEAlgorithm']}, under no key of yours",
                outcome=Outcome.REFUSED,
                remedy="name a bucket under a KMS key: a report names every object",
            )
        return Check(subject=subject, found=f"{found['SSEAlgorithm']}, {found['KMSMasterKeyID']}")

    def _arn(self, bucket: str) -> str:
        return f"arn:{self._partition}:s3:::{bucket}"

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no types without stubs
        if service not in self._clients:
            make: Any = self._session.client
            self._clients[service] = make(service, region_name=self.region, config=self._config)
        return self._clients[service]


def _job(found: dict[str, Any]) -> Job:
    summary = found.get("ProgressSummary", {})
    reasons = [f"{each.get('FailureCode')}: {each.get('FailureReason')}" for each in found.get("FailureReasons", [])]
    reasons += [found[name] for name in ("StatusUpdateReason", "SuspendedCause") if found.get(name)]
    return Job(
        id=str(found["JobId"]),
        status=str(found["Status"]),
        total=int(summary.get("TotalNumberOfTasks", 0)),
        succeeded=int(summary.get("NumberOfTasksSucceeded", 0)),
        failed=int(summary.get("NumberOfTasksFailed", 0)),
        reasons=tuple(reasons),
    )


def _filter(statuses: Sequence[ReplicationStatus], prefix: str, created_before: datetime | None) -> dict[str, Any]:
    return {
        # By the bucket's own rules: what they don't select isn't tried, and doesn't fail.
        "EligibleForReplication": True,
        "ObjectReplicationStatuses": sorted({each.value for each in statuses}),
        **({"KeyNameConstraint": {"MatchAnyPrefix": [prefix]}} if prefix else {}),
        **({"CreatedBefore": created_before} if created_before else {}),
    }

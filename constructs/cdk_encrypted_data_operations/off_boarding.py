"""Take a customer off: job stopped, bucket closed, key destroyed, so that nobody can decrypt anything of theirs.

Data that were encrypted under a customer's own key are destroyed with the key, in every copy, backup and log, whether
or not anybody knows of it (crypto-shredding). KMS waits for 30 days before it destroys a key; until then it can be
taken back. See https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cdk_encrypted_data_operations.answers import code, denied, explained, is_outage, said
from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.errors import RefusedError, SettingsError, UnfinishedError
from cdk_encrypted_data_operations.evidence import Evidence

TAG = "customer"
"""The tag by which a resource says whose it is."""

PENDING_DAYS = 30
"""How long KMS waits before it destroys a key: the longest that it offers."""

WAIT_SECONDS = 900
"""How long runs of jobs are waited for after they were told to stop."""

CLOSED = "CustomerHasLeft"
"""The statement in the bucket's policy that refuses everybody but administrators."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_ADMINISTRATOR = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[\w+=,.@/-]+)")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.*")
_RUNNING = {"STARTING", "RUNNING", "STOPPING", "WAITING"}
_STARTS_BY_ITSELF = {"ACTIVATED", "ACTIVATING"}
_DESTROYED = "Destroyed"
_DOOMED = {"PendingDeletion", "PendingReplicaDeletion", _DESTROYED}
_STOPPED_AT_ONCE = 25
_PAUSE_SECONDS = (0.5, 10.0)
_AWS_ERRORS = (BotoCoreError, ClientError)
_GONE = "gone"
# Asked isn't undone: AWS may have refused, or never heard of it.
_UNDONE = {"done", _GONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A customer's key in a Region."""

    region: str
    arn: str
    state: str
    kind: str
    """``PRIMARY`` or ``REPLICA`` of a multi-Region key, else empty."""
    related: tuple[str, ...]
    """The ARNs of all that have its key material, itself among them; empty for a key of one Region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A customer's bucket."""

    region: str
    arn: str
    is_closed: bool
    """Whether it is closed to all but some administrators, whoever those are."""
    is_closed_as_asked: bool
    """Whether those are the administrators named now."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.arn.rpartition(":")[2]

    @property
    def state(self) -> str:
        """Who gets at it, in words."""
        if not self.is_closed:
            return "open to its policy"
        return "closed" if self.is_closed_as_asked else "closed for other administrators than those named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A customer's Glue job, with its runs that haven't ended and the triggers that start it by themselves."""

    region: str
    arn: str
    runs: tuple[str, ...]
    triggers: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What there is of a customer, and what stands against taking them off.

    Args:
        checks: All that was looked at, in the order to show it.
        account: The account.
        caller: The ARN of who asks.
        keys: The customer's keys.
        buckets: The customer's buckets.
        jobs: The customer's jobs.
    """

    checks: tuple[Check, ...]
    account: str
    caller: str
    keys: tuple[Key, ...]
    buckets: tuple[Bucket, ...]
    jobs: tuple[Job, ...]

    @property
    def is_refused(self) -> bool:
        """Whether something stands against it."""
        return any(check.outcome is Outcome.REFUSED for check in self.checks)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not any(_not_taken_off(self))


class OffBoarding:
    """One customer's end, or the taking back of it.

    Everything is looked at anew each time, so an off-boarding that was interrupted goes on where it ended. Nothing is
    touched that doesn't carry the customer's tag.

    Args:
        customer: The customer's name, which the tag ``customer`` of their resources says.
        regions: Every Region where the customer has something.
        administrators: The ARNs of the roles and users that may still reach the bucket afterwards, who asks among them.
        evidence: The file that says what was done; the same one to go on after an interruption and to take it back.
        session: Where credentials and configuration come from. Default: boto3's own search.
        config: Settings of the clients; they go before those of this class (10 s to connect, 20 s to read, 3 attempts).
        now: The clock of the evidence. Default: this machine's.

    Raises:
        SettingsError: An argument can't be right.
    """

    def __init__(
        self,
        *,
        customer: str,
        regions: Sequence[str],
        administrators: Sequence[str],
        evidence: Path,
        session: boto3.session.Session | None = None,
        config: Config | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        if not customer.strip():
            raise SettingsError("customer is empty; allowed: the customer's name; write it as the tag has it")
        if not regions or not all(_REGION.fullmatch(region) for region in regions):
            raise SettingsError(f"regions are {list(regions)}; allowed: names of Regions; write eu-central-1")
        if not administrators or not all(_ADMINISTRATOR.fullmatch(arn) for arn in administrators):
            raise SettingsError(
                f"administrators are {list(administrators)}; allowed: ARNs of IAM roles and users; name at least your "
                "own role, or you lose the bucket"
            )
        self.customer = customer
        self.regions = tuple(dict.fromkeys(regions))
        self.administrators = tuple(sorted(set(administrators)))
        self.evidence_file = evidence
        self._session = session or boto3.session.Session()
        own = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
        self._config = own.merge(config) if config else own
        self._now = now
        self._clients: dict[tuple[str, str], Any] = {}

    # Before

    def inspect(self) -> Inspection:
        """Look at everything that is the customer's, and change nothing.

        Raises:
            OperationsError: AWS doesn't let it be looked at, or doesn't answer.
        """
        first = self.regions[0]
        identity = self._ask("sts", first, "get_caller_identity", "who asks")
        account, caller = str(identity["Account"]), str(identity["Arn"])
        recorded = {event["resource"] for event in self._evidence(account).events}
        checks = [Check(subject="who asks", found=caller), *self._administrator_checks(caller)]
        keys: list[Key] = []
        buckets: list[Bucket] = []
        jobs: list[Job] = []
        for region in self.regions:
            # What was begun is gone on with, whatever the index of tags says meanwhile.
            tagged = self._tagged(region) | {arn for arn in recorded if arn.split(":")[3] in ("", region)}
            tagged |= {job for arn in sorted(tagged) if ":trigger/" in arn for job in self._started_by(region, arn)}
            for arn in sorted(tagged):
                service = arn.split(":")[2]
                if service == "kms":
                    keys.append(self._key(region, arn, checks))
                elif service == "s3":
                    if bucket := self._bucket(region, arn, checks):
                        buckets.append(bucket)
                elif service == "glue" and ":job/" in arn and (job := self._job(region, arn, checks)):
                    jobs.append(job)
        checks += self._key_checks(keys)
        for bucket in buckets:
            checks += self._bucket_checks(bucket, keys, buckets)
        return Inspection(
            checks=tuple(checks),
            account=account,
            caller=caller,
            keys=tuple(keys),
            buckets=tuple(buckets),
            jobs=tuple(jobs),
        )

    def _administrator_checks(self, caller: str) -> Iterator[Check]:
        subject = "administrators"
        session = _SESSION.fullmatch(caller)
        for arn in self.administrators:
            kind, _, path = arn.split(":", 5)[5].partition("/")
            name = path.rpartition("/")[2]
            if kind == "root":
                yield Check(subject=subject, found=arn)
                continue
            # A policy takes any ARN for a principal's, and one that is nobody's keeps everybody out.
            try:
                found = getattr(self._client("iam", self.regions[0]), f"get_{kind}")(**{f"{kind.title()}Name": name})
            except _AWS_ERRORS as error:
                missing = code(error) == "NoSuchEntity"
                yield Check(
                    subject=subject,
                    found=f"{arn}: {said(error)}",
                    outcome=Outcome.REFUSED if missing else Outcome.UNKNOWN,
                    remedy="name a role or user that is there" if missing else "see for yourself that the ARN is right",
                )
                continue
            really = str(found[kind.title()]["Arn"])
            right = really == arn
            yield Check(
                subject=subject,
                found=arn if right else f"{arn}: it is {really}",
                outcome=Outcome.HOLDS if right else Outcome.REFUSED,
                remedy="" if right else "write the ARN with its path",
            )
        mine = caller if session is None else f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
        names = {arn.rpartition("/")[2] for arn in self.administrators}
        if mine not in self.administrators and (session is None or session[3] not in names):
            yield Check(
                subject=subject,
                found=f"without {mine}, who asks",
                outcome=Outcome.REFUSED,
                remedy="name your own role or user too: you would be shut out, and couldn't go on or take it back",
            )

    def _tagged(self, region: str) -> set[str]:
        """Return the ARNs of everything that carries the customer's tag, as the index of tags has it."""
        what = f"what the customer has in {region}"
        client = self._client("resourcegroupstaggingapi", region)
        try:
            pages = client.get_paginator("get_resources").paginate(
                TagFilters=[{"Key": TAG, "Values": [self.customer]}], ResourceTypeFilters=["kms", "s3", "glue"]
            )
            return {str(each["ResourceARN"]) for page in pages for each in page["ResourceTagMappingList"]}
        except _AWS_ERRORS as error:
            raise explained(error, what, remedy="allow tag:GetResources") from error

    def _key(self, region: str, arn: str, checks: list[Check]) -> Key:
        try:
            metadata = self._client("kms", region).describe_key(KeyId=arn)["KeyMetadata"]
        except _AWS_ERRORS as error:
            if code(error) != "NotFoundException":
                raise explained(error, f"key {arn}", remedy="allow kms:DescribeKey on it") from error
            checks.append(Check(subject=arn, found="destroyed"))
            return Key(region=region, arn=arn, state=_DESTROYED, kind="", related=())
        tags = self._ask("kms", region, "list_resource_tags", f"tags of {arn}", KeyId=arn)["Tags"]
        checks.append(self._tag_check(arn, {each["TagKey"]: each["TagValue"] for each in tags}, metadata["KeyState"]))
        multi = metadata.get("MultiRegionConfiguration", {})
        members = [multi["PrimaryKey"], *multi.get("ReplicaKeys", [])] if multi else []
        return Key(
            region=region,
            arn=metadata["Arn"],
            state=metadata["KeyState"],
            kind=str(multi.get("MultiRegionKeyType", "")),
            related=tuple(str(member["Arn"]) for member in members),
        )

    def _bucket(self, region: str, arn: str, checks: list[Check]) -> Bucket | None:
        name = arn.rpartition(":")[2]
        s3 = self._client("s3", region)
        try:
            location = s3.get_bucket_location(Bucket=name)["LocationConstraint"]
            if (location or "us-east-1") != region:
                return None  # of another Region, which has its turn
            tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
        except _AWS_ERRORS as error:
            if code(error) == "NoSuchBucket":
                return None  # deleted since
            if code(error) != "NoSuchTagSet":
                remedy = "allow s3:GetBucketLocation and s3:GetBucketTagging on it"
                raise explained(error, f"bucket {name}", remedy=remedy) from error
            tags = []
        closing = [each for each in self._policy(region, name)["Statement"] if each.get("Sid") == CLOSED]
        bucket = Bucket(
            region=region,
            arn=arn,
            # Closed is closed, whoever may reach it still: a call that names others must not take it for open.
            is_closed=bool(closing),
            is_closed_as_asked=_meant(closing) == _meant([self._closing(arn)]),
        )
        checks.append(self._tag_check(arn, {each["Key"]: each["Value"] for each in tags}, bucket.state))
        return bucket

    def _started_by(self, region: str, trigger: str) -> set[str]:
        """Return the ARNs of the jobs that a trigger starts: what it starts is looked at, whoever's it is."""
        found = self._trigger(region, trigger.rpartition("/")[2]) or {}
        jobs = {str(action["JobName"]) for action in found.get("Actions", []) if "JobName" in action}
        return {f"{trigger.rpartition(':')[0]}:job/{job}" for job in jobs}

    def _trigger(self, region: str, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client("glue", region).get_trigger(Name=name)["Trigger"]
        except _AWS_ERRORS as error:
            if code(error) == "EntityNotFoundException":
                return None  # deleted since
            raise explained(error, f"trigger {name}", remedy="allow glue:GetTrigger on it") from error
        return found

    def _job(self, region: str, arn: str, checks: list[Check]) -> Job | None:
        name = arn.rpartition("/")[2]
        try:
            self._client("glue", region).get_job(JobName=name)
        except ClientError as error:
            if code(error) == "EntityNotFoundException":
                return None  # deleted since
            raise explained(error, f"job {name}", remedy="allow glue:GetJob on it") from error
        tags = self._ask("glue", region, "get_tags", f"tags of {arn}", ResourceArn=arn)["Tags"]
        runs = self._runs(region, name)
        triggers = []
        pages = self._client("glue", region).get_paginator("get_triggers").paginate(DependentJobName=name)
        for trigger in (each for page in self._pages(pages, f"triggers of {name}") for each in page["Triggers"]):
            its_arn = f"{arn.rpartition(':')[0]}:trigger/{trigger['Name']}"
            theirs = self._ask("glue", region, "get_tags", f"tags of {its_arn}", ResourceArn=its_arn)["Tags"]
            checks.append(self._tag_check(its_arn, theirs, trigger["State"]))
            if trigger["State"] in _STARTS_BY_ITSELF:
                triggers.append(str(trigger["Name"]))
        checks.append(self._tag_check(arn, tags, f"{len(runs)} running"))
        return Job(region=region, arn=arn, runs=runs, triggers=tuple(sorted(triggers)))

    def _runs(self, region: str, job: str) -> tuple[str, ...]:
        pages = self._client("glue", region).get_paginator("get_job_runs").paginate(JobName=job)
        runs = (run for page in self._pages(pages, f"runs of {job}") for run in page["JobRuns"])
        return tuple(str(run["Id"]) for run in runs if run["JobRunState"] in _RUNNING)

    def _tag_check(self, arn: str, tags: dict[str, str], state: str) -> Check:
        if tags.get(TAG) == self.customer:
            return Check(subject=arn, found=f"the customer's; {state}")
        whose = f"{TAG} = {tags[TAG]!r}" if TAG in tags else f"no tag {TAG}"
        return Check(
            subject=arn,
            found=f"not the customer's: {whose}",
            outcome=Outcome.REFUSED,
            remedy=f"nothing without the tag {TAG} = {self.customer!r} is touched; see whose it is",
        )

    def _key_checks(self, keys: Sequence[Key]) -> Iterator[Check]:
        if not keys:
            yield Check(
                subject="keys",
                found=f"none with the tag {TAG} = {self.customer!r} in {', '.join(self.regions)}",
                outcome=Outcome.REFUSED,
                remedy="see that name and Region are right: without a key there is nothing to destroy",
            )
        arns = {key.arn for key in keys}
        for other in sorted({arn for key in keys for arn in key.related} - arns):
            yield Check(
                subject=other,
                found="has the key material of one of the customer's keys, and would still decrypt",
                outcome=Outcome.REFUSED,
                remedy=f"name its Region too, --region {other.split(':')[3]}, and see that it carries the tag",
            )

    def _bucket_checks(self, bucket: Bucket, keys: Sequence[Key], buckets: Sequence[Bucket]) -> Iterator[Check]:
        name, region = bucket.name, bucket.region
        found = self._ask("s3", region, "get_bucket_encryption", f"encryption of {name}", Bucket=name)
        rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        key = str(rule.get("KMSMasterKeyID", "none of the customer's"))
        if not any(key in (each.arn, each.arn.rpartition("/")[2]) for each in keys):
            yield Check(
                subject=bucket.arn,
                found=f"is encrypted under {key}",
                outcome=Outcome.REFUSED,
                remedy="its objects would outlive the customer's keys: delete them first, or tag the key",
            )
        try:
            rules = self._client("s3", region).get_bucket_replication(Bucket=name)["ReplicationConfiguration"]["Rules"]
        except _AWS_ERRORS as error:
            if code(error) == "ReplicationConfigurationNotFoundError":
                return
            raise explained(error, f"replication of {name}", remedy="allow s3:GetReplicationConfiguration") from error
        known = {each.arn for each in buckets}
        for destination in sorted({str(each["Destination"]["Bucket"]) for each in rules} - known):
            yield Check(
                subject=bucket.arn,
                found=f"is replicated to {destination}, under another key",
                outcome=Outcome.REFUSED,
                remedy="name its Region too, and see that bucket and key there carry the tag",
            )

    # What is done

    def stop(
        self,
        inspection: Inspection,
        *,
        seconds: float = WAIT_SECONDS,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        """Stop what starts the jobs and the runs that haven't ended, and wait until none is left.

        The first step, and the only one before a last export: bucket and key still work.

        Args:
            inspection: What was found before. Nothing stands against it.
            seconds: How long runs are waited for at most.
            progress: Called with what is done. Default: nothing.

        Raises:
            RefusedError: Something stands against it.
            UnfinishedError: A run hasn't ended within that time, or AWS didn't do what it was asked.
        """
        evidence = self._begin(inspection)
        say = progress or (lambda _words: None)
        for job in inspection.jobs:
            for trigger in job.triggers:
                say(f"stopping the trigger {trigger}")
                arn = f"{job.arn.rpartition(':')[0]}:trigger/{trigger}"
                ask = self._asking("glue", job.region, "stop_trigger", trigger, Name=trigger)
                evidence.change("stop trigger", ask, resource=arn, by=inspection.caller)
            for first in range(0, len(job.runs), _STOPPED_AT_ONCE):
                runs = list(job.runs[first : first + _STOPPED_AT_ONCE])
                say(f"stopping {len(runs)} runs of {job.name}")
                ask = self._asking("glue", job.region, "batch_stop_job_run", job.name, JobName=job.name, JobRunIds=runs)
                evidence.change("stop runs", ask, resource=job.arn, by=inspection.caller, runs=runs)
            self._await_end(job, seconds, say)

    def destroy(self, inspection: Inspection, *, progress: Callable[[str], object] | None = None) -> None:
        """Close the buckets, disable the keys, and have them destroyed after the longest window.

        From the moment that a key is disabled nothing under it can be decrypted.

        Args:
            inspection: What was found after `stop`. Nothing stands against it, and nothing runs.
            progress: Called with what is done. Default: nothing.

        Raises:
            RefusedError: Something stands against it, or runs still.
            UnfinishedError: AWS didn't do what it was asked.
        """
        evidence = self._begin(inspection)
        say = progress or (lambda _words: None)
        if any(job.runs or job.triggers for job in inspection.jobs):
            raise RefusedError(f"{self}: a job runs still; allowed: none; stop it first")
        for bucket in inspection.buckets:
            if not bucket.is_closed_as_asked:
                say(f"closing {bucket.name}")
                evidence.change(
                    "close bucket",
                    self._putting_policy(bucket, [self._closing(bucket.arn)]),
                    resource=bucket.arn,
                    by=inspection.caller,
                    administrators=list(self.administrators),
                )
        for key in inspection.keys:
            if key.state not in {*_DOOMED, "Disabled"}:
                say(f"disabling {key.arn}")
                ask = self._asking("kms", key.region, "disable_key", key.arn, KeyId=key.arn)
                evidence.change("disable key", ask, resource=key.arn, by=inspection.caller, before=key.state)
        # A primary waits for its replicas, whose own window ends first.
        for key in sorted(inspection.keys, key=lambda each: each.kind == "PRIMARY"):
            if key.state not in _DOOMED:
                say(f"scheduling the deletion of {key.arn}")
                ask = self._asking(
                    "kms",
                    key.region,
                    "schedule_key_deletion",
                    key.arn,
                    KeyId=key.arn,
                    PendingWindowInDays=PENDING_DAYS,
                )
                evidence.change("schedule key deletion", ask, resource=key.arn, by=inspection.caller, days=PENDING_DAYS)

    def take_back(self, inspection: Inspection, *, progress: Callable[[str], object] | None = None) -> tuple[str, ...]:
        """Undo it, as long as KMS hasn't destroyed the keys: what the evidence says was done here, and no more.

        Whichever administrators are named now: a bucket that was closed here is opened.

        Args:
            inspection: What was found before.
            progress: Called with what is done. Default: nothing.

        Returns:
            The ARNs of the triggers that were stopped here and aren't there any more.

        Raises:
            RefusedError: Something stands against it, or the evidence says of nothing that was done.
            UnfinishedError: AWS didn't do what it was asked.
        """
        evidence = self._begin(inspection)
        say = progress or (lambda _words: None)
        if not any(event["step"] in _UNDOES.values() for event in evidence.events):
            raise RefusedError(
                f"{self}: {self.evidence_file} says of nothing that was done; allowed: the file that off-boarding "
                "wrote; name that one"
            )
        done = _not_taken_back(evidence.events)
        # A replica can't be enabled while its primary waits to be deleted.
        for key in sorted(inspection.keys, key=lambda each: each.kind == "REPLICA"):
            if key.state in _DOOMED and ("schedule key deletion", key.arn) in done:
                say(f"keeping {key.arn}")
                ask = self._asking("kms", key.region, "cancel_key_deletion", key.arn, KeyId=key.arn)
                evidence.change("cancel key deletion", ask, resource=key.arn, by=inspection.caller)
        for key in inspection.keys:
            if key.state != "Enabled" and ("disable key", key.arn) in done:
                say(f"enabling {key.arn}")
                ask = self._asking("kms", key.region, "enable_key", key.arn, KeyId=key.arn)
                evidence.change("enable key", ask, resource=key.arn, by=inspection.caller)
        for bucket in inspection.buckets:
            if bucket.is_closed and ("close bucket", bucket.arn) in done:
                say(f"opening {bucket.name}")
                ask = self._putting_policy(bucket, [])
                evidence.change("open bucket", ask, resource=bucket.arn, by=inspection.caller)
        return tuple(self._start_again(inspection, evidence, done, say))

    def _start_again(
        self,
        inspection: Inspection,
        evidence: Evidence,
        done: set[tuple[str, str]],
        say: Callable[[str], object],
    ) -> Iterator[str]:
        """Start the triggers that were stopped here; yield the ARNs of those that are gone."""
        for arn in sorted(arn for step, arn in done if step == "stop trigger"):
            region, name = arn.split(":")[3], arn.rpartition("/")[2]
            trigger = self._trigger(region, name)
            if trigger is None:
                # The customer's stack was destroyed meanwhile; its key and bucket were retained.
                evidence.add("start trigger", resource=arn, by=inspection.caller, outcome=_GONE)
                yield arn
            elif trigger["State"] not in _STARTS_BY_ITSELF:
                say(f"starting the trigger {name}")
                ask = self._asking("glue", region, "start_trigger", name, Name=name)
                evidence.change("start trigger", ask, resource=arn, by=inspection.caller)

    def verify(self, *, is_back: bool = False) -> Inspection:
        """Look whether it came to what it should, and write that into the evidence.

        Args:
            is_back: Whether it was taken back. Default: it wasn't.

        Raises:
            UnfinishedError: It didn't; the message says what of it didn't.
            OperationsError: AWS doesn't let it be looked at, or doesn't answer.
        """
        found = self.inspect()
        evidence = self._evidence(found.account)
        for key in found.keys:
            evidence.add("verify key", resource=key.arn, by=found.caller, state=key.state)
        for bucket in found.buckets:
            evidence.add(
                "verify bucket",
                resource=bucket.arn,
                by=found.caller,
                closed=bucket.is_closed,
                as_asked=bucket.is_closed_as_asked,
            )
        if left := list(_not_taken_off(found) if not is_back else _not_back(found)):
            remedy = "run the same command again"
            if is_back:
                remedy += "; what stays so wasn't done with this evidence: name the evidence of who did it"
            raise UnfinishedError(f"{self}: not all is as it should be: {'; '.join(left)}; {remedy}")
        return found

    def digest(self, inspection: Inspection) -> str:
        """Return the digest of the evidence, to be kept elsewhere."""
        return self._evidence(inspection.account).digest

    # How it is done

    def _begin(self, inspection: Inspection) -> Evidence:
        if inspection.is_refused:
            raise RefusedError(f"{self}: something stands against it; nothing was changed; see what was looked at")
        evidence = self._evidence(inspection.account)
        if not evidence.events:
            jobs = [(job.arn, f"{len(job.runs)} running") for job in inspection.jobs]
            buckets = [(bucket.arn, bucket.state) for bucket in inspection.buckets]
            for arn, state in (*jobs, *buckets, *((key.arn, key.state) for key in inspection.keys)):
                evidence.add("found", resource=arn, by=inspection.caller, state=state)
        return evidence

    def _evidence(self, account: str) -> Evidence:
        subject = {"customer": self.customer, "account": account}
        return Evidence(self.evidence_file, subject=subject, now=self._now)

    def _await_end(self, job: Job, seconds: float, say: Callable[[str], object]) -> None:
        give_up = time.monotonic() + seconds
        pause, longest = _PAUSE_SECONDS
        while runs := self._runs(job.region, job.name):
            say(f"{len(runs)} runs of {job.name} haven't ended")
            if time.monotonic() + pause > give_up:
                raise UnfinishedError(
                    f"{self}: {len(runs)} runs of {job.name} haven't ended after {seconds:g} s; bucket and key weren't "
                    "touched; run the same command again, with a longer --wait"
                )
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _closing(self, arn: str) -> dict[str, Any]:
        """Return the statement that leaves the bucket to administrators. It refuses AWS's services as well."""
        return {
            "Sid": CLOSED,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"StringNotEquals": {"aws:PrincipalArn": list(self.administrators)}},
        }

    def _policy(self, region: str, bucket: str) -> dict[str, Any]:
        try:
            answer = self._client("s3", region).get_bucket_policy(Bucket=bucket)
        except _AWS_ERRORS as error:
            if code(error) == "NoSuchBucketPolicy":
                return {"Version": "2012-10-17", "Statement": []}
            raise explained(error, f"policy of {bucket}", remedy="allow s3:GetBucketPolicy on it") from error
        policy: dict[str, Any] = json.loads(answer["Policy"])
        if isinstance(policy["Statement"], dict):
            policy["Statement"] = [policy["Statement"]]
        return policy

    def _putting_policy(self, bucket: Bucket, added: Iterable[dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        """Return what puts the bucket's policy with our statement or without it; the others stay."""
        name, region = bucket.name, bucket.region
        policy = self._policy(region, name)
        policy["Statement"] = [*(each for each in policy["Statement"] if each.get("Sid") != CLOSED), *added]
        if not policy["Statement"]:
            return self._asking("s3", region, "delete_bucket_policy", name, Bucket=name)
        return self._asking("s3", region, "put_bucket_policy", name, Bucket=name, Policy=json.dumps(policy))

    def _ask(self, service: str, region: str, operation: str, what: str, **request: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client(service, region), operation)(**request)
        except _AWS_ERRORS as error:
            raise explained(error, f"{what} in {region}", remedy=f"allow {service}:{_action(operation)}") from error
        return answer

    def _pages(self, pages: Iterable[dict[str, Any]], what: str) -> Iterator[dict[str, Any]]:
        try:
            yield from pages
        except _AWS_ERRORS as error:
            raise explained(error, what, remedy="allow reading the job, its runs and its triggers") from error

    def _asking(
        self, service: str, region: str, operation: str, what: str, **request: object
    ) -> Callable[[], dict[str, Any]]:
        """Return what asks AWS to change something."""

        def ask() -> dict[str, Any]:
            try:
                answer: dict[str, Any] = getattr(self._client(service, region), operation)(**request)
            except _AWS_ERRORS as error:
                remedy = "run the same command again"
                if denied(error):
                    remedy = f"allow {service}:{_action(operation)} on it, and {remedy}: it goes on there"
                if is_outage(error):
                    remedy = f"{remedy} later: it goes on there"
                raise UnfinishedError(f"{self}: {operation} of {what} in {region}: {said(error)}; {remedy}") from error
            return answer

        return ask

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        if (service, region) not in self._clients:
            make: Any = self._session.client
            self._clients[service, region] = make(service, region_name=region, config=self._config)
        return self._clients[service, region]

    def __str__(self) -> str:
        """Name the customer, as errors do."""
        return f"off-boarding of {self.customer}"


_UNDOES = {
    "cancel key deletion": "schedule key deletion",
    "enable key": "disable key",
    "open bucket": "close bucket",
    "start trigger": "stop trigger",
}


def _not_taken_back(events: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return what was done, or may have been, and not undone since, as pairs of a step and an ARN."""
    done: set[tuple[str, str]] = set()
    for event in events:
        step, arn = str(event["step"]), str(event["resource"])
        if step in _UNDOES.values():
            done.add((step, arn))
        elif step in _UNDOES and event["outcome"] in _UNDONE:
            done.discard((_UNDOES[step], arn))
    return done


def _not_taken_off(found: Inspection) -> Iterator[str]:
    """Yield what isn't as it is to be when a customer is taken off."""
    yield from (f"{bucket.arn} is {bucket.state}" for bucket in found.buckets if not bucket.is_closed_as_asked)
    yield from (f"{key.arn} is {key.state}" for key in found.keys if key.state not in _DOOMED)
    yield from (f"{job.arn} runs, or starts by itself" for job in found.jobs if job.runs or job.triggers)


def _not_back(found: Inspection) -> Iterator[str]:
    """Yield what isn't as it is to be when that was taken back."""
    yield from (f"{bucket.arn} is closed" for bucket in found.buckets if bucket.is_closed)
    yield from (f"{key.arn} is {key.state}" for key in found.keys if key.state in _DOOMED)


def _meant(policy: object) -> frozenset[object]:
    """Return what a part of a policy means: by IAM's grammar a list has no order, and a list of one may be the one.

    S3 needn't give a policy back as it was put. See
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
    """
    several = policy if isinstance(policy, list) else [policy]
    return frozenset(
        frozenset((name, _meant(value)) for name, value in each.items()) if isinstance(each, dict) else each
        for each in several
    )


def _action(operation: str) -> str:
    return "".join(word.title() for word in operation.split("_"))

"""`replicate-existing`: one job, followed to its end. S3 is played; boto3 checks each request by S3's own model."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from cdk_encrypted_data.policies import replication as library
from cdk_encrypted_data_operations import batch_replication
from cdk_encrypted_data_operations.__main__ import main
from cdk_encrypted_data_operations.batch_replication import BatchReplication, ReplicationStatus
from cdk_encrypted_data_operations.checks import Outcome
from cdk_encrypted_data_operations.errors import RefusedError, SettingsError, UnavailableError, UnfinishedError

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/batch"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SETTINGS: dict[str, Any] = {
    "bucket": "orders",
    "region": "eu-central-1",
    "role_arn": ROLE,
    "report_bucket": "reports",
}
ARGUMENTS = ("--bucket", "orders", "--region", "eu-central-1", "--role", ROLE, "--report-bucket", "reports")
DENIED, BUSY, GONE = ("AccessDenied", 403), ("SlowDown", 503), ("ServiceUnavailable", 503)

Answer = dict[str, Any]


class PlayedAws:
    """S3, its Batch Operations and STS, as far as the command knows them. Jobs advance when they are asked for."""

    def __init__(self) -> None:
        self.jobs: list[Answer] = []
        self.asked: list[tuple[str, Answer]] = []
        self.course: list[Answer] = [
            {"Status": "Preparing"},
            {"Status": "Active", "ProgressSummary": _summary(3, 1, 0)},
            {"Status": "Complete", "ProgressSummary": _summary(3, 3, 0)},
        ]
        self.errors: dict[str, list[tuple[str, int] | None]] = {}
        self.account = ACCOUNT
        self.rules = [{"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::away"}}]
        self.encryption: Answer = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
        self.loses_the_answer = False
        self.session = boto3.session.Session(aws_access_key_id="k", aws_secret_access_key="s")  # noqa: S106 - no secret
        # Before-call: boto3 has checked and serialized the request by then.
        answer: Any = self._answer
        self.session.events.register("before-call.*", answer)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    def _answer(self, model: Any, params: Answer, **_event: object) -> tuple[SimpleNamespace, Answer]:  # noqa: ANN401
        name = model.name
        self.asked.append((name, params))
        errors = self.errors.get(name, [])
        error = errors.pop(0) if errors else None
        if error:
            return _error(*error)
        parsed: Answer = getattr(self, f"_{name}")(params)
        if name == "CreateJob" and self.loses_the_answer:
            self.loses_the_answer = False
            return _error(*GONE)
        return SimpleNamespace(status_code=200), parsed

    def _CreateJob(self, params: Answer) -> Answer:  # noqa: N802 - the operation's name
        token, description = (_element(params, name) for name in ("ClientRequestToken", "Description"))
        for known in self.jobs:
            if known["token"] == token:
                return {"JobId": known["JobId"]}
        job: Answer = {"JobId": f"job-{len(self.jobs)}", "token": token, "Description": description, "at": 0}
        self.jobs.append(job | self.course[0])
        return {"JobId": job["JobId"]}

    def _DescribeJob(self, params: Answer) -> Answer:  # noqa: N802
        (job,) = (each for each in self.jobs if params["url_path"].endswith(each["JobId"]))
        job |= self.course[min(job["at"], len(self.course) - 1)]
        job["at"] += 1
        return {"Job": job}

    def _ListJobs(self, params: Answer) -> Answer:  # noqa: N802
        start = int(params["query_string"].get("nextToken", 0))
        more = {"NextToken": str(start + 1)} if start + 1 < len(self.jobs) else {}
        return {"Jobs": self.jobs[start : start + 1], **more}

    def _GetCallerIdentity(self, _params: Answer) -> Answer:  # noqa: N802
        return {"Account": self.account, "Arn": f"arn:aws:iam::{self.account}:user/operator"}

    def _GetBucketReplication(self, _params: Answer) -> Answer:  # noqa: N802
        return {"ReplicationConfiguration": {"Role": "r", "Rules": self.rules}}

    def _GetBucketEncryption(self, _params: Answer) -> Answer:  # noqa: N802
        rule = {"ApplyServerSideEncryptionByDefault": self.encryption}
        return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def _summary(total: int, succeeded: int, failed: int) -> Answer:
    return {"TotalNumberOfTasks": total, "NumberOfTasksSucceeded": succeeded, "NumberOfTasksFailed": failed}


def _error(code: str, status: int) -> tuple[SimpleNamespace, Answer]:
    metadata = {"HTTPStatusCode": status}
    return SimpleNamespace(status_code=status), {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}


def _element(params: Answer, name: str) -> str:
    body: str = params["body"].decode()
    return body.partition(f"<{name}>")[2].partition(f"</{name}>")[0]


@pytest.fixture
def aws() -> PlayedAws:
    return PlayedAws()


def work(aws: PlayedAws, **settings: Any) -> BatchReplication:  # noqa: ANN401 - of BatchReplication
    return BatchReplication(**{**SETTINGS, **settings}, session=aws.session)


def follow(one: BatchReplication) -> batch_replication.Job:
    return one.follow(one.start(), sleep=lambda _: None)


class TestTheJob:
    def test_what_s3_is_asked_for(self, aws: PlayedAws) -> None:
        work(aws).start()
        body = aws.asked[-1][1]["body"].decode()
        for expected in (
            "<Operation><S3ReplicateObject /></Operation>",
            "<SourceBucket>arn:aws:s3:::orders</SourceBucket>",
            f"<ExpectedBucketOwner>{ACCOUNT}</ExpectedBucketOwner>",
            "<EligibleForReplication>true</EligibleForReplication>",
            "<ObjectReplicationStatuses><member>FAILED</member><member>NONE</member></ObjectReplicationStatuses>",
            "<Bucket>arn:aws:s3:::reports</Bucket>",
            "<Prefix>batch-replication</Prefix>",
            "<ReportScope>AllTasks</ReportScope>",
            f"<RoleArn>{ROLE}</RoleArn>",
            "<ConfirmationRequired>false</ConfirmationRequired>",
        ):
            assert expected in body
        assert "MatchAnyPrefix" not in body
        assert "CreatedBefore" not in body

    def test_filters(self, aws: PlayedAws) -> None:
        then = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
        work(aws, statuses=[ReplicationStatus.COMPLETED], prefix="reports/", created_before=then).start()
        body = aws.asked[-1][1]["body"].decode()
        assert "<MatchAnyPrefix><member>reports/</member></MatchAnyPrefix>" in body
        assert "<CreatedBefore>2026-01-31T12:00:00Z</CreatedBefore>" in body
        assert "<member>COMPLETED</member></ObjectReplicationStatuses>" in body

    def test_reports_go_where_the_role_may_store_them(self) -> None:
        assert batch_replication.REPORTS == library.REPORTS

    def test_asked_for_twice_it_is_one(self, aws: PlayedAws) -> None:
        assert work(aws).start().id == work(aws).start().id
        assert len(aws.jobs) == 1

    def test_other_settings_are_another(self, aws: PlayedAws) -> None:
        work(aws).start()
        work(aws, prefix="reports/").start()
        assert len(aws.jobs) == 2

    def test_once_it_has_ended_there_may_be_another(self, aws: PlayedAws) -> None:
        follow(work(aws))
        assert work(aws).unfinished() is None
        follow(work(aws))
        assert len(aws.jobs) == 2

    def test_a_lost_answer_makes_no_second_one(self, aws: PlayedAws) -> None:
        aws.loses_the_answer = True
        with pytest.raises(UnavailableError, match="try again later"):
            work(aws).start()
        found = work(aws).unfinished()
        assert found is not None
        assert found.id == work(aws).start().id
        assert len(aws.jobs) == 1


class TestFollowing:
    def test_to_the_end_with_its_progress(self, aws: PlayedAws) -> None:
        one, seen = work(aws), list[tuple[str, int, int]]()
        job = one.follow(
            one.start(),
            progress=lambda each: seen.append((each.status, each.succeeded, each.total)),
            sleep=lambda _: None,
        )
        assert seen == [("Preparing", 0, 0), ("Active", 1, 3), ("Complete", 3, 3)]
        assert (job.status, job.failed) == ("Complete", 0)
        assert one.report_of(job) == "s3://reports/batch-replication/job-job-0/"

    def test_an_outage_is_waited_for(self, aws: PlayedAws) -> None:
        aws.errors["DescribeJob"] = [BUSY] * 6
        assert follow(work(aws)).status == "Complete"

    @pytest.mark.parametrize("errors", [[BUSY] * 7, [DENIED]])
    def test_or_not_for_ever(self, aws: PlayedAws, errors: list[tuple[str, int] | None]) -> None:
        aws.errors["DescribeJob"] = errors
        with pytest.raises(UnfinishedError, match=r"job job-0 was begun and can't be followed .+ goes on by itself"):
            follow(work(aws))

    def test_one_that_somebody_holds(self, aws: PlayedAws) -> None:
        aws.course = [{"Status": "Suspended", "SuspendedCause": "AwaitingConfirmation"}]
        with pytest.raises(UnfinishedError, match=r"is Suspended \(AwaitingConfirmation\)"):
            follow(work(aws))

    def test_a_long_list_of_jobs(self, aws: PlayedAws) -> None:
        for prefix in ("a/", "b/", "c/"):
            work(aws, prefix=prefix).start()
        found = work(aws, prefix="c/").unfinished()
        assert found is not None
        assert found.id == "job-2"


class TestBefore:
    def test_nothing_stands_against_it(self, aws: PlayedAws) -> None:
        checks = work(aws).inspect()
        assert [check.outcome for check in checks] == [Outcome.HOLDS] * 3
        assert KEY in checks[2].found
        assert "to away" in checks[1].found

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ({"account": "444455556666"}, "of another account"),
            ({"rules": [{"Status": "Disabled", "Destination": {"Bucket": "b"}}]}, "none is enabled"),
            ({"encryption": {"SSEAlgorithm": "AES256"}}, "under no key of yours"),
            (
                {"errors": {"GetBucketReplication": [("ReplicationConfigurationNotFoundError", 404)]}},
                "doesn't replicate",
            ),
        ],
    )
    def test_what_stands_against_it(self, aws: PlayedAws, change: Answer, found: str) -> None:
        vars(aws).update(change)
        (check,) = (each for each in work(aws).inspect() if each.outcome is Outcome.REFUSED)
        assert found in check.found
        assert check.remedy

    def test_an_encryption_that_nobody_may_read_does_not(self, aws: PlayedAws) -> None:
        aws.errors["GetBucketEncryption"] = [DENIED]
        assert [each.outcome for each in work(aws).inspect()] == [Outcome.HOLDS, Outcome.HOLDS, Outcome.UNKNOWN]

    @pytest.mark.parametrize("operation", ["GetBucketReplication", "ListJobs", "CreateJob"])
    def test_what_is_refused_says_which_right_is_missing(self, aws: PlayedAws, operation: str) -> None:
        aws.errors[operation] = [DENIED]
        one = work(aws)
        with pytest.raises(RefusedError, match=r"AccessDenied: no; .*allow s3:"):
            one.inspect() and one.start()
        assert aws.jobs == []

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"bucket": "arn:aws:s3:::orders"}, "bucket is"),
            ({"report_bucket": "orders"}, "report-bucket is 'orders' too"),
            ({"report_bucket": "R"}, "report-bucket is 'R'"),
            ({"region": "Frankfurt"}, "region is"),
            ({"role_arn": "batch"}, "role is 'batch'"),
            ({"statuses": []}, "status is empty"),
            ({"prefix": "a" * 1025}, "prefix has 1025"),
            ({"created_before": datetime(2026, 1, 31)}, "created-before is"),  # noqa: DTZ001 - that is what is refused
        ],
    )
    def test_settings_that_can_t_be_right(self, aws: PlayedAws, settings: Answer, words: str) -> None:
        with pytest.raises(SettingsError, match=rf"^{words}.*; .*|{words}.* allowed: .+; .+"):
            work(aws, **settings)
        assert aws.asked == []


Run = Callable[..., str]


class TestCommand:
    @pytest.fixture
    def run(self, aws: PlayedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
        """Run `replicate-existing`; return what it wrote."""
        monkeypatch.setenv("COLUMNS", "300")
        monkeypatch.setattr(boto3.session, "Session", lambda: aws.session)
        monkeypatch.setattr(batch_replication, "POLL_SECONDS", 0)

        def run(*arguments: str, answer: str = "", code: int = 0) -> str:
            monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
            assert main(["replicate-existing", *ARGUMENTS, *arguments]) == code
            return "".join(capsys.readouterr())

        return run

    def test_it_asks_makes_follows_and_says_where_the_report_is(self, aws: PlayedAws, run: Run) -> None:
        said = run(answer="orders\n")
        assert "Type the bucket's name:" in said
        assert "Job job-0 was made." in said
        assert "s3://reports/batch-replication/job-job-0/" in said
        assert "Complete" in said
        assert len(aws.jobs) == 1

    @pytest.mark.parametrize("answer", ["", "yes\n", "reports\n"])
    def test_unless_confirmed_no_job_is_made(self, aws: PlayedAws, run: Run, answer: str) -> None:
        assert "not confirmed, no job was made" in run(answer=answer, code=1)
        assert "CreateJob" not in aws.names()

    def test_dry_run(self, aws: PlayedAws, run: Run) -> None:
        assert "A job would be made. None was: --dry-run." in run("--dry-run")
        assert aws.jobs == []

    def test_a_job_under_way_is_followed(self, aws: PlayedAws, run: Run) -> None:
        work(aws).start()
        assert "Job job-0 would be followed." in run("--dry-run")
        assert "Job job-0 has begun before; it is followed." in run()
        assert len(aws.jobs) == 1

    def test_objects_that_failed(self, aws: PlayedAws, run: Run) -> None:
        aws.course[-1] = {"Status": "Complete", "ProgressSummary": _summary(3, 1, 2)}
        said = run("--yes", code=3)
        assert "2 of 3 objects failed; the report in s3://reports/batch-replication/job-job-0/ says which" in said

    def test_a_job_that_failed(self, aws: PlayedAws, run: Run) -> None:
        reasons = [{"FailureCode": "ManifestGenerator", "FailureReason": "no permission"}]
        aws.course[-1] = {"Status": "Failed", "FailureReasons": reasons}
        assert "job job-0 is Failed: ManifestGenerator: no permission" in run("--yes", code=3)

    def test_what_stands_against_it_is_shown(self, aws: PlayedAws, run: Run) -> None:
        aws.encryption = {"SSEAlgorithm": "AES256"}
        said = run("--yes", code=1)
        assert "REFUSED" in said
        assert "no job was made" in said
        assert aws.jobs == []

    def test_json(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        del capsys
        written = run("--yes", "--json")
        whole = json.loads(written[: written.rindex("}") + 1])
        assert whole["job"]["succeeded"] == 3
        assert whole["report"].startswith("s3://reports/")

    def test_interrupted_it_says_that_the_job_goes_on(
        self, aws: PlayedAws, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_arguments: object, **_options: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(BatchReplication, "describe", interrupt)
        assert "interrupted; job job-0 goes on by itself" in run("--yes", code=3)
        assert len(aws.jobs) == 1

    @pytest.mark.parametrize("arguments", [("--status", "LOST"), ("--created-before", "yesterday")])
    def test_arguments_that_make_no_sense(self, run: Run, arguments: tuple[str, ...]) -> None:
        with pytest.raises(SystemExit) as ended:
            run(*arguments)
        assert ended.value.code == 2

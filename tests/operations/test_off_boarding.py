"""A customer is taken off: nothing of theirs can be decrypted, nobody else's is touched, and it can be taken back."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cdk_encrypted_data_operations.__main__ import main
from cdk_encrypted_data_operations.checks import Outcome
from cdk_encrypted_data_operations.errors import RefusedError, SettingsError, UnfinishedError
from cdk_encrypted_data_operations.off_boarding import CLOSED, OffBoarding
from devtools.embedded_aws.server import EmbeddedAws
from tests.operations.conftest import ACCOUNT, AWAY, HOME, ONE_ATTEMPT

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
STEPS = ("StopTrigger", "BatchStopJobRun", "PutBucketPolicy", "DisableKey", "ScheduleKeyDeletion")
STEPS_BACK = ("CancelKeyDeletion", "EnableKey", "DeleteBucketPolicy", "StartTrigger")
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Customer:
    """A customer with a key, a bucket with an object in it, a job, a run and a schedule."""

    aws: EmbeddedAws
    name: str
    key: str = ""
    bucket: str = ""
    ciphertext: bytes = b""
    clients: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def new(cls, aws: EmbeddedAws, name: str | None = None, **key: Any) -> Customer:  # noqa: ANN401 - boto3
        made = cls(aws=aws, name=name or f"customer-{next(_numbers)}")
        made.clients = {service: aws.client(service, region=HOME) for service in ("kms", "s3", "glue")}
        kms, s3, glue = made.clients.values()
        made.key = kms.create_key(Tags=made.tags("TagKey", "TagValue"), **key)["KeyMetadata"]["Arn"]
        made.ciphertext = kms.generate_data_key(KeyId=made.key, KeySpec="AES_256")["CiphertextBlob"]
        made.bucket = f"{made.name}-data"
        s3.create_bucket(Bucket=made.bucket, CreateBucketConfiguration={"LocationConstraint": HOME})
        s3.put_bucket_tagging(Bucket=made.bucket, Tagging={"TagSet": made.tags("Key", "Value")})
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": made.key}
        rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
        s3.put_bucket_encryption(Bucket=made.bucket, ServerSideEncryptionConfiguration={"Rules": rules})
        s3.put_object(Bucket=made.bucket, Key="data", Body=b"theirs")
        glue.create_job(Name=made.name, Role="role", Command={"Name": "glueetl"})
        arn = f"arn:aws:glue:{HOME}:{ACCOUNT}:job/{made.name}"
        glue.tag_resource(ResourceArn=arn, TagsToAdd={"customer": made.name})
        glue.create_trigger(
            Name=made.name,
            Type="SCHEDULED",
            Schedule="cron(0 3 * * ? *)",
            Actions=[{"JobName": made.name}],
            StartOnCreation=True,
            Tags={"customer": made.name},
        )
        return made

    def tags(self, name: str, value: str) -> list[dict[str, str]]:
        return [{name: "customer", value: self.name}]

    def policy(self, *statements: dict[str, Any]) -> None:
        document = {"Version": "2012-10-17", "Statement": statements}
        self.clients["s3"].put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(document))

    def statements(self) -> list[str]:
        try:
            answer = self.clients["s3"].get_bucket_policy(Bucket=self.bucket)
        except ClientError:
            return []
        return [each["Sid"] for each in json.loads(answer["Policy"])["Statement"]]

    def administrators(self) -> list[str]:
        """Who still reaches the closed bucket."""
        answer = self.clients["s3"].get_bucket_policy(Bucket=self.bucket)
        (closing,) = [each for each in json.loads(answer["Policy"])["Statement"] if each["Sid"] == CLOSED]
        found: list[str] = closing["Condition"]["StringNotEquals"]["aws:PrincipalArn"]
        return found

    def state(self) -> str:
        return str(self.clients["kms"].describe_key(KeyId=self.key)["KeyMetadata"]["KeyState"])

    def trigger(self) -> str:
        return str(self.clients["glue"].get_trigger(Name=self.name)["Trigger"]["State"])

    def can_be_read(self) -> bool:
        """Whether the account's root, whom nothing else keeps out, gets at anything of theirs."""
        tries: tuple[Callable[[], Any], ...] = (
            lambda: self.clients["s3"].get_object(Bucket=self.bucket, Key="data"),
            lambda: self.clients["kms"].decrypt(CiphertextBlob=self.ciphertext, KeyId=self.key),
        )
        outcomes = {_is_allowed(each) for each in tries}
        assert len(outcomes) == 1
        return outcomes.pop()

    def whole(self) -> tuple[str, str, list[str], bool]:
        return self.state(), self.trigger(), self.statements(), self.can_be_read()


def _is_allowed(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError:
        return False
    return True


ON: tuple[str, str, list[str], bool] = ("Enabled", "ACTIVATED", [], True)
OFF: tuple[str, str, list[str], bool] = ("PendingDeletion", "DEACTIVATED", [CLOSED], False)


class Runs:
    """Runs of jobs as Glue says them: the embedded AWS would really run something."""

    def __init__(self, session: boto3.session.Session) -> None:
        self.running: dict[str, list[str]] = {}
        self.interrupt: tuple[str, str] | None = None
        self.tagged: list[str] = []
        handlers: dict[str, Any] = {
            "before-parameter-build.glue.GetJobRuns": self._remember,
            "after-call.glue.GetJobRuns": self._say,
            "before-call.glue.BatchStopJobRun": self._stop,
            "after-call.resource-groups-tagging-api.GetResources": self._tag,
            "before-call": self._break,
            "after-call": self._break,
        }
        for event, handler in handlers.items():
            session.events.register(event, handler)
        self._asked = ""
        self.stops = True

    def _remember(self, params: dict[str, Any], **_event: object) -> None:
        self._asked = params["JobName"]

    def _say(self, parsed: dict[str, Any], **_event: object) -> None:
        parsed["JobRuns"] = [{"Id": each, "JobRunState": "RUNNING"} for each in self.running.get(self._asked, [])]
        parsed["JobRuns"] += [{"Id": "jr_old", "JobRunState": "SUCCEEDED"}]

    def _stop(self, params: dict[str, Any], **_event: object) -> None:
        if self.stops and self.interrupt != ("before-call", "BatchStopJobRun"):
            self.running.pop(json.loads(params["body"])["JobName"], None)

    def _tag(self, parsed: dict[str, Any], **_event: object) -> None:
        parsed["ResourceTagMappingList"] += [{"ResourceARN": arn, "Tags": []} for arn in self.tagged]

    def _break(self, event_name: str, model: Any, **_event: object) -> None:  # noqa: ANN401 - botocore's
        if self.interrupt == (event_name.split(".", maxsplit=1)[0], model.name):
            self.interrupt = None
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def its_session(aws: EmbeddedAws) -> tuple[boto3.session.Session, Runs]:
    session = aws.session()
    runs = Runs(session)
    # One client of each kind for all tests: what a client costs is the reading of botocore's descriptions.
    make: Any = session.client
    clients: dict[tuple[str, str], Any] = {}

    def client(service: str, *, region_name: str, config: Config) -> Any:  # noqa: ANN401 - boto3
        if (service, region_name) not in clients:
            clients[service, region_name] = make(service, region_name=region_name, config=config)
        return clients[service, region_name]

    setattr(session, "client", client)  # noqa: B010 - boto3's types know no such thing
    return session, runs


@pytest.fixture(autouse=True)
def runs(its_session: tuple[boto3.session.Session, Runs]) -> Iterator[Runs]:
    yield its_session[1]
    its_session[1].running.clear()
    its_session[1].tagged.clear()
    its_session[1].interrupt = None
    its_session[1].stops = True


@pytest.fixture
def acme(aws: EmbeddedAws) -> Customer:
    return Customer.new(aws)


@pytest.fixture
def keeper(aws: EmbeddedAws, acme: Customer) -> str:
    """A second administrator."""
    name = f"keeper-{acme.name}"
    aws.create_user(name, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


@pytest.fixture
def globex(aws: EmbeddedAws) -> Iterator[Customer]:
    """The other customer, of whom nothing may ever change."""
    other = Customer.new(aws)
    assert other.whole() == ON
    yield other
    assert other.whole() == ON


@pytest.fixture
def off(its_session: tuple[boto3.session.Session, Runs], tmp_path: Path) -> Callable[..., OffBoarding]:
    def off(
        customer: Customer, *, regions: tuple[str, ...] = (HOME,), administrators: tuple[str, ...] = (ROOT,)
    ) -> OffBoarding:
        return OffBoarding(
            customer=customer.name,
            regions=regions,
            administrators=administrators,
            evidence=tmp_path / "evidence.json",
            session=its_session[0],
            config=ONE_ATTEMPT,
            now=lambda: datetime(2030, 1, 1, tzinfo=timezone.utc),
        )

    return off


def carry_out(end: OffBoarding) -> None:
    end.stop(end.inspect())
    end.destroy(end.inspect())


def evidence(end: OffBoarding) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(end.evidence_file.read_text())["events"]
    return events


def test_afterwards_nothing_can_be_decrypted_and_the_other_customers_data_can(
    acme: Customer, globex: Customer, off: Callable[..., OffBoarding], runs: Runs
) -> None:
    runs.running[acme.name] = ["jr_1", "jr_2"]
    assert acme.whole() == ON
    end = off(acme)
    carry_out(end)
    assert end.verify().is_done
    assert acme.whole() == OFF
    assert runs.running == {}
    date = acme.clients["kms"].describe_key(KeyId=acme.key)["KeyMetadata"]["DeletionDate"]
    left = date - datetime.now(timezone.utc)
    assert 29 <= left.total_seconds() / 86_400 <= 30
    assert globex.can_be_read()


def test_the_evidence_says_what_was_done_when_by_whom_and_by_which_request(
    acme: Customer, off: Callable[..., OffBoarding], runs: Runs
) -> None:
    runs.running[acme.name] = ["jr_1"]
    end = off(acme)
    carry_out(end)
    events = evidence(end)
    done = [event for event in events if event.get("outcome") == "done"]
    assert [event["step"] for event in done] == [
        "stop trigger",
        "stop runs",
        "close bucket",
        "disable key",
        "schedule key deletion",
    ]
    assert all(event["request_id"] for event in done)
    assert {event["by"] for event in events} == {ROOT}
    assert {event["when"] for event in events} == {"2030-01-01T00:00:00+00:00"}
    assert {event["resource"] for event in events if event["step"] == "found"} == {
        acme.key,
        f"arn:aws:s3:::{acme.bucket}",
        f"arn:aws:glue:{HOME}:{ACCOUNT}:job/{acme.name}",
    }
    assert done[-1]["days"] == 30
    assert done[-1]["deletion"]
    content = json.loads(end.evidence_file.read_text())
    assert (content["customer"], content["account"]) == (acme.name, ACCOUNT)
    assert end.evidence_file.stat().st_mode & 0o077 == 0


def test_the_other_statements_of_the_bucket_stay(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    other = {
        "Sid": "RefusePlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{acme.bucket}/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    acme.policy(other)
    end = off(acme)
    carry_out(end)
    assert acme.statements() == ["RefusePlainHttp", CLOSED]
    end.take_back(end.inspect())
    assert acme.statements() == ["RefusePlainHttp"]


def test_only_administrators_reach_the_bucket(
    aws: EmbeddedAws, acme: Customer, off: Callable[..., OffBoarding]
) -> None:
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    clients = []
    for role in ("keeper", "reader"):
        name = f"{role}-{acme.name}"
        aws.create_user(name, everything)
        clients.append(aws.client("s3", region=HOME, credentials=aws.create_user(f"{name}-2", everything)))
    keeper, reader = clients
    arn = f"arn:aws:iam::{ACCOUNT}:user/keeper-{acme.name}-2"
    carry_out(off(acme, administrators=(ROOT, arn)))
    assert _is_allowed(lambda: keeper.list_objects_v2(Bucket=acme.bucket))
    assert not _is_allowed(lambda: reader.list_objects_v2(Bucket=acme.bucket))


@pytest.mark.parametrize("place", [(when, step) for step in STEPS for when in ("before-call", "after-call")])
def test_interrupted_anywhere_it_goes_on_and_can_be_taken_back(
    place: tuple[str, str],
    acme: Customer,
    globex: Customer,
    off: Callable[..., OffBoarding],
    runs: Runs,
) -> None:
    runs.running[acme.name] = ["jr_1"]
    runs.interrupt = place
    with pytest.raises(KeyboardInterrupt):
        carry_out(off(acme))
    assert runs.interrupt is None
    events = evidence(off(acme))
    assert events[-1]["outcome"] == "asked"
    carry_out(off(acme))
    assert off(acme).verify().is_done
    assert acme.whole() == OFF
    end = off(acme)
    end.take_back(end.inspect())
    end.verify(is_back=True)
    assert acme.whole() == ON
    assert globex.can_be_read()


@pytest.mark.parametrize("place", [(when, step) for step in STEPS_BACK for when in ("before-call", "after-call")])
def test_taking_it_back_goes_on_too_where_it_was_interrupted(
    place: tuple[str, str], acme: Customer, off: Callable[..., OffBoarding], runs: Runs
) -> None:
    carry_out(off(acme))
    end = off(acme)
    runs.interrupt = place
    with pytest.raises(KeyboardInterrupt):
        end.take_back(end.inspect())
    assert runs.interrupt is None
    end.take_back(end.inspect())
    end.verify(is_back=True)
    assert acme.whole() == ON


def test_it_is_taken_back_for_fewer_administrators_than_it_was_closed_to(
    acme: Customer, keeper: str, off: Callable[..., OffBoarding]
) -> None:
    carry_out(off(acme, administrators=(ROOT, keeper)))
    end = off(acme, administrators=(ROOT,))
    with pytest.raises(UnfinishedError, match=f"arn:aws:s3:::{acme.bucket} is closed"):
        end.verify(is_back=True)
    assert [each["closed"] for each in evidence(end) if each["step"] == "verify bucket"] == [True]
    end.take_back(end.inspect())
    assert acme.whole() == ON
    end.verify(is_back=True)
    assert [each["closed"] for each in evidence(end) if each["step"] == "verify bucket"] == [True, False]


def test_for_other_administrators_it_is_closed_anew(
    acme: Customer, keeper: str, off: Callable[..., OffBoarding]
) -> None:
    carry_out(off(acme, administrators=(ROOT, keeper)))
    end = off(acme, administrators=(ROOT,))
    with pytest.raises(UnfinishedError, match=f"{acme.bucket} is closed for other administrators than those named"):
        end.verify()
    carry_out(end)
    assert end.verify().is_done
    assert acme.administrators() == [ROOT]


def test_a_closed_bucket_is_known_however_s3_writes_its_policy_down(
    acme: Customer, off: Callable[..., OffBoarding]
) -> None:
    end = off(acme)
    carry_out(end)
    # The same by IAM's grammar: a list of one as text, and a list in another order.
    (statement,) = json.loads(acme.clients["s3"].get_bucket_policy(Bucket=acme.bucket)["Policy"])["Statement"]
    statement["Resource"].reverse()
    acme.policy(statement | {"Condition": {"StringNotEquals": {"aws:PrincipalArn": ROOT}}})
    assert end.verify().is_done
    acme.policy(statement | {"Action": "s3:GetObject"})
    assert not end.inspect().is_done


def test_what_somebody_else_closed_stays_closed_and_is_said(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    carry_out(off(acme))
    off(acme).evidence_file.unlink()
    acme.clients["kms"].cancel_key_deletion(KeyId=acme.key)
    carry_out(off(acme))
    end = off(acme)
    end.take_back(end.inspect())
    with pytest.raises(UnfinishedError, match=f"{acme.bucket} is closed.*name the evidence of who did it"):
        end.verify(is_back=True)
    assert acme.statements() == [CLOSED]


def test_a_trigger_that_is_gone_meanwhile_keeps_nothing_else_from_being_taken_back(
    acme: Customer, off: Callable[..., OffBoarding]
) -> None:
    # As after the customer's stack was destroyed: key and bucket are retained, job and trigger aren't.
    end = off(acme)
    carry_out(end)
    acme.clients["glue"].delete_trigger(Name=acme.name)
    acme.clients["glue"].delete_job(JobName=acme.name)
    assert end.verify().is_done
    gone = end.take_back(end.inspect())
    assert gone == (f"arn:aws:glue:{HOME}:{ACCOUNT}:trigger/{acme.name}",)
    end.verify(is_back=True)
    assert (acme.state(), acme.statements(), acme.can_be_read()) == ("Enabled", [], True)


def test_it_is_taken_back_within_the_window_and_done_again(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    end = off(acme)
    for _ in range(2):
        carry_out(end)
        assert acme.whole() == OFF
        end.take_back(end.inspect())
        assert acme.whole() == ON


def test_what_was_disabled_before_stays_disabled(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    acme.clients["kms"].disable_key(KeyId=acme.key)
    acme.clients["glue"].stop_trigger(Name=acme.name)
    end = off(acme)
    carry_out(end)
    end.take_back(end.inspect())
    end.verify(is_back=True)
    assert (acme.state(), acme.trigger()) == ("Disabled", "DEACTIVATED")


def test_before_a_last_export_only_the_job_is_stopped(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    end = off(acme)
    end.stop(end.inspect())
    assert acme.whole() == ("Enabled", "DEACTIVATED", [], True)
    end.destroy(end.inspect())
    assert acme.whole() == OFF


def test_without_a_job_the_rest_is_destroyed(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    acme.clients["glue"].delete_trigger(Name=acme.name)
    acme.clients["glue"].delete_job(JobName=acme.name)
    carry_out(off(acme))
    assert (acme.state(), acme.can_be_read()) == ("PendingDeletion", False)


def test_a_run_that_does_not_end_leaves_bucket_and_key(
    acme: Customer, off: Callable[..., OffBoarding], runs: Runs
) -> None:
    runs.running[acme.name] = ["jr_1"]
    runs.stops = False
    end = off(acme)
    with pytest.raises(UnfinishedError, match=r"1 runs of .* haven't ended after 0 s; bucket and key weren't touched"):
        end.stop(end.inspect(), seconds=0)
    with pytest.raises(RefusedError, match="a job runs still"):
        end.destroy(end.inspect())
    assert acme.whole() == ("Enabled", "DEACTIVATED", [], True)


# What is refused


def refused(end: OffBoarding, found: str, remedy: str) -> None:
    """It stands in the checks, and no step can be taken."""
    before = end.inspect()
    (check,) = [each for each in before.checks if each.outcome is Outcome.REFUSED]
    assert found in f"{check.subject} {check.found}"
    assert remedy in check.remedy
    for step in (end.stop, end.destroy, end.take_back):
        with pytest.raises(RefusedError, match="something stands against it; nothing was changed"):
            step(before)


@pytest.mark.parametrize("what", ["key", "bucket", "job"])
def test_what_carries_another_tag_is_not_touched(
    what: str, acme: Customer, globex: Customer, off: Callable[..., OffBoarding], runs: Runs
) -> None:
    # The index of tags says it is acme's; the resource itself says it isn't.
    arns = {
        "key": globex.key,
        "bucket": f"arn:aws:s3:::{globex.bucket}",
        "job": f"arn:aws:glue:{HOME}:{ACCOUNT}:job/{globex.name}",
    }
    runs.tagged.append(arns[what])
    before = off(acme).inspect()
    assert before.is_refused
    words = [each.found for each in before.checks if each.outcome is Outcome.REFUSED]
    assert any(f"not the customer's: customer = '{globex.name}'" in each for each in words)
    with pytest.raises(RefusedError):
        off(acme).destroy(before)
    assert acme.whole() == ON


def test_a_bucket_without_tags_is_not_touched(
    acme: Customer, globex: Customer, off: Callable[..., OffBoarding], runs: Runs
) -> None:
    globex.clients["s3"].delete_bucket_tagging(Bucket=globex.bucket)
    runs.tagged.append(f"arn:aws:s3:::{globex.bucket}")
    assert any("no tag customer" in each.found for each in off(acme).inspect().checks)
    assert off(acme).inspect().is_refused


def test_a_trigger_that_starts_others_too_is_not_touched(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    actions = [{"JobName": acme.name}, {"JobName": "another"}]
    acme.clients["glue"].create_trigger(Name=f"{acme.name}-all", Type="ON_DEMAND", Actions=actions)
    refused(off(acme), f"trigger/{acme.name}-all not the customer's: no tag customer", "nothing without the tag")


def test_a_bucket_under_another_key_would_outlive_the_customers(
    acme: Customer, globex: Customer, off: Callable[..., OffBoarding]
) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": globex.key}
    rules = [{"ApplyServerSideEncryptionByDefault": default}]
    acme.clients["s3"].put_bucket_encryption(Bucket=acme.bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    refused(off(acme), f"is encrypted under {globex.key}", "its objects would outlive the customer's keys")


def test_another_name_or_region_finds_no_key(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    refused(off(acme, regions=(AWAY,)), "keys none with the tag customer", "see that name and Region are right")


def test_who_asks_must_be_an_administrator(aws: EmbeddedAws, acme: Customer, off: Callable[..., OffBoarding]) -> None:
    aws.create_user(f"keeper-of-{acme.name}", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    keeper = f"arn:aws:iam::{ACCOUNT}:user/keeper-of-{acme.name}"
    refused(off(acme, administrators=(keeper,)), f"without {ROOT}, who asks", "you would be shut out")


def test_an_administrator_who_is_nobody_is_refused(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    nobody = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    refused(off(acme, administrators=(ROOT, nobody)), nobody, "name a role or user that is there")


def test_a_key_of_several_regions_goes_in_all_of_them(aws: EmbeddedAws, off: Callable[..., OffBoarding]) -> None:
    acme = Customer.new(aws, MultiRegion=True)
    away = aws.client("kms", region=AWAY)
    acme.clients["kms"].replicate_key(KeyId=acme.key, ReplicaRegion=AWAY, Tags=acme.tags("TagKey", "TagValue"))
    refused(off(acme), "has the key material of one of the customer's keys", f"--region {AWAY}")
    end = off(acme, regions=(HOME, AWAY))
    carry_out(end)
    replica = acme.key.rpartition("/")[2]
    assert away.describe_key(KeyId=replica)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert acme.state() == "PendingReplicaDeletion"
    scheduled = [each["resource"] for each in evidence(end) if each["step"] == "schedule key deletion"]
    assert scheduled == [acme.key.replace(HOME, AWAY), acme.key]
    assert not _is_allowed(lambda: away.decrypt(CiphertextBlob=acme.ciphertext, KeyId=replica))
    assert end.verify().is_done
    end.take_back(end.inspect())
    assert {acme.state(), away.describe_key(KeyId=replica)["KeyMetadata"]["KeyState"]} == {"Enabled"}
    assert away.decrypt(CiphertextBlob=acme.ciphertext, KeyId=replica)["Plaintext"]


def test_a_copy_in_another_bucket_is_refused(aws: EmbeddedAws, acme: Customer, off: Callable[..., OffBoarding]) -> None:
    s3, away = acme.clients["s3"], aws.client("s3", region=AWAY)
    copy = f"{acme.bucket}-copy"
    away.create_bucket(Bucket=copy, CreateBucketConfiguration={"LocationConstraint": AWAY})
    for client, bucket in ((s3, acme.bucket), (away, copy)):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "all",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{copy}"},
    }
    role = f"arn:aws:iam::{ACCOUNT}:role/replication"
    s3.put_bucket_replication(Bucket=acme.bucket, ReplicationConfiguration={"Role": role, "Rules": [rule]})
    refused(off(acme), f"is replicated to arn:aws:s3:::{copy}, under another key", "name its Region too")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customer": " "}, "customer is empty"),
        ({"regions": []}, "regions are"),
        ({"regions": ["Frankfurt"]}, "regions are"),
        ({"administrators": []}, "name at least your own role"),
        ({"administrators": ["arn:aws:sts::111122223333:assumed-role/Admin/me"]}, "ARNs of IAM roles and users"),
        ({"administrators": ["arn:aws:iam::111122223333:role/*"]}, "ARNs of IAM roles and users"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    right: dict[str, Any] = {
        "customer": "acme",
        "regions": [HOME],
        "administrators": [ROOT],
        "evidence": tmp_path / "evidence.json",
    }
    with pytest.raises(SettingsError, match=message):
        OffBoarding(**(right | arguments))


# The evidence


def test_evidence_that_was_changed_is_not_gone_on_with(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    end = off(acme)
    end.stop(end.inspect())
    content = json.loads(end.evidence_file.read_text())
    content["events"][0]["by"] = "somebody else"
    end.evidence_file.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="was changed since it was written"):
        end.inspect()


def test_evidence_of_another_customer_is_not_gone_on_with(
    acme: Customer, globex: Customer, off: Callable[..., OffBoarding]
) -> None:
    end = off(acme)
    end.stop(end.inspect())
    with pytest.raises(SettingsError, match=f"is about the customer '{acme.name}', not '{globex.name}'"):
        off(globex).inspect()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other"}'])
def test_a_file_that_is_no_evidence_is_not_overwritten(
    content: str, acme: Customer, off: Callable[..., OffBoarding]
) -> None:
    end = off(acme)
    end.evidence_file.write_text(content)
    with pytest.raises(SettingsError, match="name another file"):
        end.inspect()
    assert end.evidence_file.read_text() == content


def test_without_a_place_for_evidence_nothing_is_changed(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    end = off(acme)
    end.evidence_file = end.evidence_file / "none" / "evidence.json"
    before = end.inspect()
    with pytest.raises(SettingsError, match="can't be written"):
        end.stop(before)
    assert acme.whole() == ON


def test_nothing_is_taken_back_without_evidence(acme: Customer, off: Callable[..., OffBoarding]) -> None:
    end = off(acme)
    with pytest.raises(RefusedError, match="says of nothing that was done"):
        end.take_back(end.inspect())


# The command


@pytest.fixture
def run(
    acme: Customer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., str]:
    for name, value in (acme.aws.environment() | {"COLUMNS": "300"}).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, answer: str = "", code: int = 0) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        file = str(tmp_path / "evidence.json")
        asked = ("--customer", acme.name, "--region", HOME, "--administrator", ROOT, "--evidence", file)
        assert main(["off-board", *asked, *arguments]) == code
        return "".join(capsys.readouterr())

    return run


def test_the_command_asks_for_the_name_destroys_and_takes_back(acme: Customer, run: Callable[..., str]) -> None:
    said = run(answer=f"{acme.name}\n")
    assert f"1. stop the trigger {acme.name}" in said
    assert f"destroy {acme.key} after 30 days" in said
    assert "Nothing under these keys can be decrypted" in said
    assert acme.whole() == OFF
    assert "Nothing under these keys can be decrypted" in run()  # nothing is left to ask for
    assert "It was taken back" in run("--cancel", "--confirm", acme.name)
    assert acme.whole() == ON


@pytest.mark.parametrize("answer", ["", "yes\n"])
def test_any_other_answer_changes_nothing(answer: str, acme: Customer, run: Callable[..., str]) -> None:
    assert "not confirmed, nothing was changed" in run(answer=answer, code=1)
    assert acme.whole() == ON


def test_a_dry_run_changes_and_writes_nothing(acme: Customer, run: Callable[..., str], tmp_path: Path) -> None:
    said = run("--dry-run")
    assert f"close {acme.bucket}" in said
    assert "Nothing was changed: --dry-run" in said
    assert acme.whole() == ON
    assert list(tmp_path.iterdir()) == []


def test_only_stop_leaves_bucket_and_key_for_an_export(acme: Customer, run: Callable[..., str]) -> None:
    assert "make the last export, and run this again" in run("--only-stop", "--confirm", acme.name)
    assert acme.whole() == ("Enabled", "DEACTIVATED", [], True)


def test_cancelled_by_the_command_for_fewer_administrators_it_is_open(
    acme: Customer, keeper: str, run: Callable[..., str]
) -> None:
    run("--administrator", keeper, "--confirm", acme.name)
    assert "closed for other administrators than those named" in run("--dry-run")
    said = run("--cancel", "--confirm", acme.name)
    assert f"{acme.bucket}: open to its policy" in said
    assert f"{acme.key}: Enabled" in said
    assert acme.whole() == ON


def test_the_command_says_of_a_key_that_was_disabled_before_that_it_is(acme: Customer, run: Callable[..., str]) -> None:
    acme.clients["kms"].disable_key(KeyId=acme.key)
    run("--confirm", acme.name)
    said = run("--cancel", "--confirm", acme.name)
    assert f"{acme.key}: Disabled" in said
    assert "the keys work" not in said


def test_the_command_says_what_is_gone_meanwhile(acme: Customer, run: Callable[..., str]) -> None:
    run("--confirm", acme.name)
    acme.clients["glue"].delete_trigger(Name=acme.name)
    said = run("--cancel", "--confirm", acme.name)
    assert f"trigger/{acme.name}: isn't there any more" in said


def test_json_has_the_digest(acme: Customer, run: Callable[..., str], tmp_path: Path) -> None:
    said = run("--confirm", acme.name, "--json")
    found = json.loads(said[said.index("{") :])
    assert found["digest"] == json.loads((tmp_path / "evidence.json").read_text())["digest"]
    assert found["keys"] == {acme.key: "PendingDeletion"}


@pytest.mark.parametrize("arguments", [("--confirm", "globex"), ("--cancel",), ("--cancel", "--only-stop")])
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], acme: Customer, run: Callable[..., str]) -> None:
    assert "allowed: " in run(*arguments, code=2)
    assert acme.whole() == ON


def test_what_aws_denies_is_said_with_the_right_to_give(
    aws: EmbeddedAws, acme: Customer, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = aws.create_user(f"nobody-{acme.name}", {"Effect": "Allow", "Action": "sts:*", "Resource": "*"})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", nobody.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", nobody.secret_access_key)
    assert "allow " in run("--confirm", acme.name, code=1)
    assert acme.whole() == ON

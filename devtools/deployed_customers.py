"""Customers that the app has deployed: their job, run here as Glue would, and what one may not do with the other's."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from devtools import clinical_data, spark
from devtools.attempts import REFUSED, Attempt
from devtools.embedded_aws.inbox import Inbox

if TYPE_CHECKING:
    from cdk_encrypted_data_job.reading import FinishedRuns
    from devtools.embedded_aws.server import Credentials, EmbeddedAws
    from devtools.postgresql import Postgresql

_RUN_ID = "jr_demo"
_FINISHED = "finished"
_FAILED = "failed"
_NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a customer has before anything is deployed: a database, and the secret with its password.

    Attributes:
        name: The customer.
        secret_arn: The secret.
        jdbc_url: The database.
        rows: How many rows each of its tables has.
    """

    name: str
    secret_arn: str
    jdbc_url: str
    rows: Mapping[str, int]

    @classmethod
    def make(cls, aws: EmbeddedAws, server: Postgresql, name: str, *, subjects: int, seed: int) -> Source:
        """Fill a database with data of so many subjects, and store its password."""
        database = clinical_data.fill(server, name, subjects=subjects, seed=seed)
        secret = json.dumps({"username": database.username, "password": database.password})
        arn: str = aws.client("secretsmanager").create_secret(Name=f"{name}/database", SecretString=secret)["ARN"]
        return cls(name=name, secret_arn=arn, jdbc_url=server.url(name), rows=clinical_data.count(server, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A customer's deployed job, and somebody with the rights of its role.

    Attributes:
        source: What it reads.
        job: What Glue was told of it.
        credentials: A session of the job's role.
        aws: Where.
    """

    source: Source
    job: dict[str, Any] = field(repr=False)
    credentials: Credentials = field(repr=False)
    aws: EmbeddedAws = field(repr=False)

    @classmethod
    def find(cls, aws: EmbeddedAws, source: Source) -> Deployed:
        """Find the customer's job by the argument that names the customer."""
        jobs = aws.client("glue").get_jobs()["Jobs"]
        (job,) = [each for each in jobs if each["NonOverridableArguments"]["--customer"] == source.name]
        # Nothing here can call as Glue, which the role trusts: for the demo it trusts the account.
        trust = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}
        aws.client("iam").update_assume_role_policy(
            RoleName=job["Role"].rpartition("/")[2],
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        return cls(source=source, job=job, credentials=aws.assume_role(job["Role"]), aws=aws)

    @property
    def arguments(self) -> dict[str, str]:
        """What Glue passes to the job: its own arguments, those that a run may change, those that none may."""
        glue = {"--JOB_NAME": self.job["Name"], "--JOB_RUN_ID": _RUN_ID}
        return {**glue, **self.job["DefaultArguments"], **self.job["NonOverridableArguments"]}

    @property
    def bucket(self) -> str:
        """The customer's bucket."""
        return self.arguments["--output"].split("/")[2]

    @property
    def key_arn(self) -> str:
        """The customer's key."""
        return self.arguments["--key-arn"]

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client with the rights of the job's role."""
        return self.aws.client(service, credentials=self.credentials)

    def run(self, files: Path, *, run_id: str = _RUN_ID) -> str:
        """Run the deployed script with the deployed package and arguments; return how it ended."""
        files.mkdir()
        options = spark.settings(files, memory="2g")
        name, _, value = self.arguments["--conf"].partition("=")
        options[name] = value
        script = self._fetched(self.arguments["--scriptLocation"], files / "script.py")
        package = self._fetched(self.arguments["--extra-py-files"], files / "package.zip")
        # The rules, which stand in: Spark has to put up with them as Glue's would.
        options["spark.jars"] += f",{self._fetched(self.arguments['--extra-jars'], files / 'jars.zip')}"
        options["spark.files"] = str(self._fetched(self.arguments["--extra-files"], files / "files.zip"))
        arguments = {**self.arguments, "--JOB_RUN_ID": run_id}
        words = [word for pair in arguments.items() for word in pair]
        environment = self.aws.environment() | {
            **spark.environment(),
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_SESSION_TOKEN": self.credentials.session_token or "",
            "PYTHONPATH": str(package),
            "TMPDIR": str(files / "tmp"),
        }
        done = subprocess.run(  # noqa: S603 - our own command
            spark.command(words, options, script=script),
            env=environment,
            cwd=files,
            capture_output=True,
            text=True,
            check=False,
        )
        finished = done.returncode == 0
        # As Glue ends a run, failed or not: what becomes of it is the deployed rule's.
        state = {"jobName": self.job["Name"], "jobRunId": run_id, "state": "SUCCEEDED" if finished else "FAILED"}
        self.aws.announce("aws.glue", "Glue Job State Change", state)
        return _FINISHED if finished else f"{_FAILED}: {done.stdout[-1000:]}{done.stderr[-1000:]}"

    def _fetched(self, location: str, target: Path) -> Path:
        """Fetch what the job is made of, with the rights of the job."""
        bucket, _, key = location.removeprefix("s3://").partition("/")
        target.write_bytes(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        return target

    def runs(self, credentials: Credentials | None = None) -> FinishedRuns:
        """Return what the job's finished runs have written, as the job's role reads it unless it is said who."""
        from cdk_encrypted_data_job.reading import FinishedRuns  # noqa: PLC0415 - only there with Arrow

        return FinishedRuns(
            customer=self.source.name,
            bucket=self.bucket,
            prefix=self.arguments["--output"].split("/", 3)[3],
            key_arn=self.key_arn,
            session=self.aws.session(credentials or self.credentials),
        )

    def in_the_clear(self) -> list[str]:
        """Return the objects that aren't encrypted in the job, or show what is in the data."""
        found = []
        s3 = self.client("s3")
        for each in s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            stored = s3.get_object(Bucket=self.bucket, Key=each["Key"])
            body = stored["Body"].read()
            sealed = stored["Metadata"].get("x-amz-wrap-alg") == "kms+context"
            if not sealed or clinical_data.MARKER.encode() in body or b"PAR1" in body:
                found.append(each["Key"])
        return found


def job(deployed: Deployed, files: Path) -> list[Attempt]:
    """Run the job, and look at what came of it."""
    # Of those tables that it is to read.
    there = sum(deployed.source.rows[each["name"]] for each in json.loads(deployed.arguments["--tables"]))

    def read() -> str:
        steps = deployed.runs().summary().steps
        return f"{sum(step.rows for step in steps if step.kind == 'table'):,} rows"

    def verified() -> str:
        return "all of them" if deployed.runs().verify() else "there are none"

    def clear() -> str:
        return ", ".join(deployed.in_the_clear()) or _NONE

    return [
        Attempt(
            what="run the job",
            request="the deployed script and arguments, in Spark, as the job's role",
            expected=_FINISHED,
            run=lambda: deployed.run(files),
        ),
        Attempt(what="read the database", request="JDBC over verified TLS", expected=f"{there:,} rows", run=read),
        Attempt(
            what="files that can be read and are those of the run",
            request="FinishedRuns.verify",
            expected="all of them",
            run=verified,
        ),
        Attempt(what="objects that aren't ciphertext", request="GetObject of each", expected=_NONE, run=clear),
    ]


def failures(deployed: Deployed, inbox: Inbox, files: Path) -> list[Attempt]:
    """Let a run fail, and look at what a subscriber of the topic has been told.

    Args:
        deployed: Whose job it is.
        inbox: Subscribed to the topic before any run.
        files: A directory for the run, not there yet.
    """

    def told() -> str:
        found = [each["detail"] for each in inbox.take()]
        names = {deployed.job["Name"]: deployed.source.name}
        return ", ".join(f"{names.get(each['jobName'])}: {each['state']}" for each in found) or _NONE

    def fail() -> str:
        with deployed.aws.shut_off("secretsmanager"):
            # Another run: the first one is finished, and would only say so.
            return deployed.run(files, run_id=f"{_RUN_ID}_fails").partition(":")[0]

    return [
        Attempt(what="told of runs that finished", request="a subscriber of the topic", expected=_NONE, run=told),
        Attempt(
            what="run the job without its password",
            request="once more, while Secrets Manager is out",
            expected=_FAILED,
            run=fail,
        ),
        Attempt(
            what="told of the run that failed",
            request="Glue's event, the job's rule, the topic under its key",
            expected=f"{deployed.source.name}: FAILED",
            run=told,
        ),
    ]


def topic_of_failures(aws: EmbeddedAws) -> Inbox:
    """Subscribe to the app's only topic."""
    (topic,) = aws.client("sns").list_topics()["Topics"]
    return Inbox.of(aws, topic["TopicArn"])


def isolation(one: Deployed, other: Deployed) -> list[Attempt]:
    """Try with one customer's rights what would need the other's."""
    s3 = other.client("s3")
    name: str = s3.list_objects_v2(Bucket=other.bucket)["Contents"][0]["Key"]
    metadata = s3.head_object(Bucket=other.bucket, Key=name)["Metadata"]
    context = {"aws:x-amz-cek-alg": metadata["x-amz-cek-alg"]}
    wrapped = base64.b64decode(metadata["x-amz-key-v2"])
    theirs = {"Bucket": other.bucket, "Key": name}
    data_key = {"KeyId": other.key_arn, "KeySpec": "AES_256", "EncryptionContext": context}
    # The first row shows that it is no empty refusal: the owner's role is allowed what is tried next.
    tried: list[tuple[str, str, Deployed, str, str, dict[str, Any]]] = [
        ("its own: decrypt an object's data key", "kms:Decrypt", other, "kms", "decrypt", {}),
        ("decrypt an object's data key", "kms:Decrypt", one, "kms", "decrypt", {}),
        ("make a data key", "kms:GenerateDataKey", one, "kms", "generate_data_key", data_key),
        ("list the bucket", "ListObjectsV2", one, "s3", "list_objects_v2", {"Bucket": other.bucket}),
        ("read an object", "GetObject", one, "s3", "get_object", theirs),
        ("replace an object", "PutObject", one, "s3", "put_object", {**theirs, "Body": b""}),
        (
            "read the database's password",
            "secretsmanager:GetSecretValue",
            one,
            "secretsmanager",
            "get_secret_value",
            {"SecretId": other.source.secret_arn},
        ),
    ]
    decrypt = {"KeyId": other.key_arn, "CiphertextBlob": wrapped, "EncryptionContext": context}
    return [
        Attempt(
            what=what,
            request=f"{request} by {who.source.name}'s role",
            expected="allowed" if who is other else REFUSED,
            run=_call(who, service, operation, parameters or decrypt),
        )
        for what, request, who, service, operation, parameters in tried
    ]


def _call(who: Deployed, service: str, operation: str, parameters: dict[str, Any]) -> Callable[[], str]:
    def run() -> str:
        getattr(who.client(service), operation)(**parameters)
        return "allowed"

    return run


def summary(deployed: Deployed, *, started: float) -> Table:
    """Return what the run did, step by step."""
    done = deployed.runs().summary()
    title = f"{deployed.source.name}: {time.monotonic() - started:.0f} s, {done.kms_calls} requests to KMS"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("step", "rows in", "rows out", "seconds", "bytes, encrypted", "objects"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in done.steps:
        # The name of a check says what it is.
        name = step.name if step.kind == "check" else f"{step.kind} {step.name}"
        table.add_row(
            name,
            f"{step.rows_in:,}" if step.rows_in else "",
            f"{step.rows:,}",
            f"{step.seconds:.1f}",
            f"{step.bytes:,}" if step.files else "",
            str(step.files or ""),
        )
    return table

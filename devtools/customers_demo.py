"""Two customers' jobs on this machine, as Glue would run them, and what one customer can't have of the other's."""

from __future__ import annotations

import base64
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from rich.markup import escape
from rich.table import Table

from devtools import clinical_data, customers, postgresql, spark
from devtools.postgresql import Postgresql

if TYPE_CHECKING:
    from rich.console import Console

    from devtools.customers import Customer
    from devtools.embedded_aws.server import EmbeddedAws

# About 108 rows each: more than 200,000 rows of a customer.
_SUBJECTS = 2000
_REFUSALS = {"AccessDenied", "AccessDeniedException"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the chapter.

    Attributes:
        broken: How many promises were broken.
        lacking: What can't be had here, if the chapter couldn't be run; None if it was.
    """

    broken: int
    lacking: str | None = None


def demonstrate(console: Console, aws: EmbeddedAws, *, subjects: int = _SUBJECTS) -> Outcome:
    """Run two customers' jobs on a real PostgreSQL over TLS, print what they did, and try what neither may do."""
    lacking = spark.missing() or postgresql.missing()
    if lacking:
        console.print(f"[yellow]not run: the customers' jobs. {escape(lacking)}")
        return Outcome(broken=0, lacking=lacking)
    broken = 0
    with Postgresql() as server, tempfile.TemporaryDirectory(prefix="customers-") as folder:
        made = [
            customers.make(aws, server, name, subjects=subjects, seed=seed)
            for seed, name in enumerate(("acme", "globex"), start=1)
        ]
        console.print(f"PostgreSQL answers on port {server.port}, over TLS only; each customer has a database there.")
        for customer in made:
            broken += _run(console, aws, server, customer, Path(folder) / customer.name)
        broken += _isolation(console, aws, *made)
    return Outcome(broken=broken)


def _run(console: Console, aws: EmbeddedAws, server: Postgresql, customer: Customer, files: Path) -> int:
    """Run a customer's job in a process of its own, and say what it did."""
    files.mkdir()
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own command
        spark.command(customer.arguments("jr_demo"), spark.settings(files, memory="2g")),
        env=customer.environment(aws) | spark.environment() | {"TMPDIR": str(files / "tmp")},
        cwd=files,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        console.print(
            f"[red]the job of {customer.name} failed\n{escape(done.stdout[-2000:])}{escape(done.stderr[-2000:])}"
        )
        return 1
    runs = _runs(aws, customer)
    table = Table(
        title=f"{customer.name}: {time.monotonic() - started:.0f} s", title_justify="left", header_style="bold"
    )
    for column in ("step", "rows in", "rows out", "seconds", "bytes, encrypted", "objects"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in runs.summary().steps:
        bytes_ = f"{step.bytes:,}" if step.files else ""
        counted = f"{step.rows_in:,}" if step.rows_in else ""
        files_ = str(step.files) if step.files else ""
        # The name of a check says what it is.
        name = step.name if step.kind == "check" else f"{step.kind} {step.name}"
        table.add_row(name, counted, f"{step.rows:,}", f"{step.seconds:.1f}", bytes_, files_)
    console.print(table)
    rows = sum(clinical_data.count(server, customer.name).values())
    objects = runs.verify()
    clear = _in_the_clear(aws, customer)
    console.print(
        f"{rows:,} rows read; {objects} objects verified, {runs.summary().kms_calls} requests to KMS; "
        f"objects that aren't ciphertext: {len(clear)}"
    )
    return len(clear)


def _in_the_clear(aws: EmbeddedAws, customer: Customer) -> list[str]:
    """Return the objects of a customer that aren't encrypted in the job, or show what is in the data."""
    s3 = aws.client("s3")
    found = []
    for each in s3.list_object_versions(Bucket=customer.bucket)["Versions"]:
        stored = s3.get_object(Bucket=customer.bucket, Key=each["Key"], VersionId=each["VersionId"])
        body = stored["Body"].read()
        sealed = stored["Metadata"].get("x-amz-wrap-alg") == "kms+context"
        if not sealed or clinical_data.MARKER.encode() in body or b"PAR1" in body:
            found.append(each["Key"])
    return found


def _isolation(console: Console, aws: EmbeddedAws, one: Customer, other: Customer) -> int:
    """Try with one customer's credentials what would need the other's."""
    table = Table(title=f"{one.name}, at what is {other.name}'s", title_justify="left", header_style="bold")
    for column in ("tried", "happened", ""):
        table.add_column(column)
    broken = 0
    for what, attempt in _attempts(aws, one, other).items():
        happened = _happened(attempt)
        kept = happened == "refused"
        broken += not kept
        table.add_row(what, escape(happened), "[green]kept" if kept else "[red]BROKEN")
    console.print(table)
    return broken


def _attempts(aws: EmbeddedAws, one: Customer, other: Customer) -> dict[str, Callable[[], object]]:
    mine: Callable[[str], Any] = lambda service: aws.client(service, credentials=one.credentials)  # noqa: E731
    s3 = aws.client("s3")
    name = s3.list_objects_v2(Bucket=other.bucket)["Contents"][0]["Key"]
    metadata = s3.head_object(Bucket=other.bucket, Key=name)["Metadata"]
    wrapped = base64.b64decode(metadata["x-amz-key-v2"])
    context = {"aws:x-amz-cek-alg": metadata["x-amz-cek-alg"]}
    return {
        "list the bucket": lambda: mine("s3").list_objects_v2(Bucket=other.bucket),
        "get an object": lambda: mine("s3").get_object(Bucket=other.bucket, Key=name),
        "put an object": lambda: mine("s3").put_object(Bucket=other.bucket, Key=name, Body=b""),
        "decrypt an object's data key": lambda: mine("kms").decrypt(
            CiphertextBlob=wrapped, KeyId=other.key_arn, EncryptionContext=context
        ),
        "make a data key": lambda: mine("kms").generate_data_key(KeyId=other.key_arn, KeySpec="AES_256"),
        "read the database's password": lambda: mine("secretsmanager").get_secret_value(SecretId=other.secret_arn),
    }


def _happened(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "refused" if code in _REFUSALS else f"failed: {code}"
    return "allowed"


def _runs(aws: EmbeddedAws, customer: Customer) -> Any:  # noqa: ANN401 - only there with Arrow
    from cdk_encrypted_data_job.reading import FinishedRuns  # noqa: PLC0415

    return FinishedRuns(
        customer=customer.name,
        bucket=customer.bucket,
        prefix="etl",
        key_arn=customer.key_arn,
        session=customers.session(aws, customer.credentials),
    )

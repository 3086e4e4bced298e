"""What client-side encryption costs: our client, AWS's S3 encryption client by hand, and plain boto3, side by side.

``make benchmark`` runs it, against the embedded AWS over TLS. Its megabytes a second say as much about that server as
about a client, so the processor time of the client's own process stands beside them: megabytes for each second of it.
What keeps it fair:

- The three ways take turns, each measurement in a process of its own, warmed up by one small object.
- Each repetition gives ratios; shown are their medians.
- By hand means what a careful user writes: the S3 encryption client's own upload in parts, and a download that streams
  into a temporary file with delayed authentication and renames it at the end.

``--crowd N`` puts and gets N small objects with 32 threads and with 8 processes instead.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from cdk_encrypted_data_client import EncryptedObjects, Location
from devtools.embedded_aws.server import EmbeddedAws

_KB, _MB = 2**10, 2**20
_REGION = "eu-central-1"
_CONTEXT = {"purpose": "benchmark", "object": "n"}
_PROJECT = Path(__file__).parents[1]


class _Size(NamedTuple):
    bytes: int
    operations: int  # in one measurement
    repetitions: int


_SIZES = {
    "64 KB": _Size(64 * _KB, 60, 3),
    "1 MB": _Size(_MB, 30, 3),
    "16 MB": _Size(16 * _MB, 4, 3),
    "128 MB": _Size(128 * _MB, 1, 3),
    "1024 MB": _Size(1024 * _MB, 1, 1),
}


class _Measured(NamedTuple):
    seconds: float
    processor: float
    peak: int  # bytes above what the process had before


def _ways(settings: dict[str, str], folder: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return what puts and what gets, for each way."""
    source, target, bucket, key_arn = folder / "source", folder / "target", settings["bucket"], settings["key_arn"]
    config = Config(proxies={}, max_pool_connections=50)

    def plain() -> tuple[Callable[[], object], Callable[[], object]]:
        s3 = boto3.client("s3", region_name=_REGION, config=config)
        return (
            lambda: s3.upload_file(str(source), bucket, "plain"),
            lambda: s3.download_file(bucket, "plain", str(target)),
        )

    def by_hand() -> tuple[Callable[[], object], Callable[[], object]]:
        from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig  # noqa: PLC0415
        from s3_encryption.materials.kms_keyring import KmsKeyring  # noqa: PLC0415

        keyring = KmsKeyring(boto3.client("kms", region_name=_REGION, config=config), key_arn)
        settings = S3EncryptionClientConfig(keyring=keyring, enable_delayed_authentication=True)
        client = S3EncryptionClient(boto3.client("s3", region_name=_REGION, config=config), settings)

        def get() -> None:
            part = target.with_suffix(".part")
            with part.open("wb") as file:
                body = client.get_object(Bucket=bucket, Key="by-hand", EncryptionContext=_CONTEXT)["Body"]
                shutil.copyfileobj(body, file, _MB)
            part.replace(target)

        return lambda: client.upload_file(str(source), bucket, "by-hand", EncryptionContext=_CONTEXT), get

    def ours() -> tuple[Callable[[], object], Callable[[], object]]:
        location = Location(region=_REGION, bucket=bucket, key_arn=key_arn)
        objects = EncryptedObjects(locations=[location], purpose="benchmark", config=config)
        return (
            lambda: objects.put_file(name="ours", path=source),
            lambda: objects.get_to_file(name="ours", path=target),
        )

    return {way.__name__: way() for way in (plain, by_hand, ours) if way.__name__ == settings["way"]}


def _measure(settings: dict[str, str]) -> None:
    """Measure one way and one direction, in this process, and print it."""
    folder, size, operations = Path(settings["folder"]), int(settings["size"]), int(settings["operations"])
    put, get = _ways(settings, folder)[settings["way"]]
    source = folder / "source"
    os.truncate(source, 1000)
    put()
    get()
    os.truncate(source, size)
    if settings["direction"] == "get":
        # Put by another process, so that its memory isn't counted here.
        subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", "benchmarks.client", "--measure", json.dumps(settings | {"direction": "put"})],
            cwd=_PROJECT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    deed = put if settings["direction"] == "put" else get
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    for _ in range(operations):
        deed()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # On Linux in kilobytes.
    print(json.dumps([seconds, processor, (after.ru_maxrss - before.ru_maxrss) * _KB]))


def _compare(settings: dict[str, str], environment: dict[str, str], names: list[str], console: Console) -> None:
    columns = ("object", "", "plain boto3", "by hand", "ours", "ours / by hand", "ours / plain", "peak memory")
    tables = [Table(*columns, title=title) for title in ("MB/s", "MB for each second of the client's processor time")]
    for name in names:
        size = _SIZES[name]
        for direction in ("put", "get"):
            runs: dict[str, list[_Measured]] = {"plain": [], "by_hand": [], "ours": []}
            for turn in range(size.repetitions):
                ways = list(runs)
                for way in ways[turn % 3 :] + ways[: turn % 3]:
                    about = settings | {"way": way, "direction": direction}
                    about |= {"size": str(size.bytes), "operations": str(size.operations)}
                    command = [sys.executable, "-m", "benchmarks.client", "--measure", json.dumps(about)]
                    done = subprocess.run(  # noqa: S603 - ourselves
                        command, cwd=_PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True
                    )
                    runs[way].append(_Measured(*json.loads(done.stdout)))
            for table, part in zip(tables, ("seconds", "processor"), strict=True):
                table.add_row(name, direction, *_row(runs, part, size))
            console.print(f"{name} {direction}: measured", style="dim")
    for table in tables:
        console.print(table)


def _row(runs: dict[str, list[_Measured]], part: str, size: _Size) -> list[str]:
    def ratio(other: str) -> str:
        each = [getattr(b, part) / getattr(a, part) for a, b in zip(runs["ours"], runs[other], strict=True)]
        return f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})"

    total = size.bytes * size.operations / _MB
    speeds = [f"{total / statistics.median(getattr(run, part) for run in each):.0f}" for each in runs.values()]
    peaks = [f"{max(run.peak for run in each) / _MB:.0f}" for each in runs.values()]
    return [*speeds, ratio("by_hand"), ratio("plain"), f"{' / '.join(peaks)} MB"]


def _crowd(settings: dict[str, str], environment: dict[str, str], count: int, console: Console) -> None:
    for processes, threads in ((1, 32), (8, 4)):
        share, started = count // processes, time.perf_counter()
        command = [sys.executable, "-m", "tests.client.crowd", json.dumps(settings)]
        running: list[subprocess.Popen[str]] = [
            subprocess.Popen(  # noqa: S603 - our own program
                [*command, str(n * share), str(share), str(threads)],
                cwd=_PROJECT,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(processes)
        ]
        right = sum(int(process.communicate()[0]) for process in running)
        seconds = time.perf_counter() - started
        console.print(
            f"{processes} processes of {threads} threads: {right} of {share * processes} right, {seconds:.0f} s"
        )
        if right != share * processes:
            sys.exit("not all were read back right")


def _aes_gcm() -> str:
    """Return what this machine encrypts at most, in one thread, as OpenSSL measures it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return "no openssl here to measure AES-GCM with"
    command = [openssl, "speed", "-seconds", "2", "-bytes", str(_MB), "-evp", "aes-256-gcm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr
    return f"openssl speed, AES-256-GCM in pieces of 1 MB, thousands of bytes a second: {last}"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", nargs="*", default=list(_SIZES), choices=list(_SIZES))
    parser.add_argument("--crowd", type=int, help="put and get so many small objects instead")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measure(options.measure)
        return
    console = Console(width=160)
    with EmbeddedAws(region=_REGION) as aws, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "source").touch()
        s3: Any = aws.client("s3")
        s3.create_bucket(Bucket="benchmark", CreateBucketConfiguration={"LocationConstraint": _REGION})
        key = aws.client("kms").create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
        settings = {"folder": folder, "bucket": "benchmark", "key_arn": key, "region": _REGION}
        environment = aws.environment() | {"PYTHONPATH": "constructs"}
        if options.crowd:
            _crowd(settings, environment, options.crowd, console)
            return
        _compare(settings, environment, options.sizes, console)
        console.print(_aes_gcm())


if __name__ == "__main__":
    main()

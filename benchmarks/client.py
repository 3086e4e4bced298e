"""What client-side encryption costs: our client, AWS's S3 encryption client by hand, and plain boto3, side by side.

``make benchmark`` runs it, against the embedded AWS over TLS. Its megabytes a second say as much about that server as
about a client, so the processor time of the client's own process stands beside them: megabytes for each second of it.
What keeps it fair:

- The three ways take turns object by object, in one process, each warmed up by one small object. So whatever else the
  machine does, it does to all three.
- Each turn gives ratios; shown are their medians and quartiles.
- Memory is measured in a process of its own for each way.
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


_WAYS = ("plain", "by_hand", "ours")


class _Size(NamedTuple):
    bytes: int
    turns: int


_SIZES = {
    "64 KB": _Size(64 * _KB, 200),
    "1 MB": _Size(_MB, 150),
    "16 MB": _Size(16 * _MB, 30),
    "128 MB": _Size(128 * _MB, 8),
    "1024 MB": _Size(1024 * _MB, 3),
}


class _Measured(NamedTuple):
    seconds: float
    processor: float


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

    return {way.__name__: way() for way in (plain, by_hand, ours) if way.__name__ in settings["ways"].split()}


def _measure(settings: dict[str, str]) -> None:
    """Measure one direction in this process, and print what each turn took and how much memory it needed at most."""
    folder, direction = Path(settings["folder"]), settings["direction"]
    ways = _ways(settings, folder)
    source = folder / "source"
    os.truncate(source, 1000)
    for put, get in ways.values():
        put()
        get()
    os.truncate(source, int(settings["size"]))
    if direction == "get":
        # Put by another process, so that its memory isn't counted here.
        _run(settings | {"direction": "put", "turns": "1"})
    before = _peak()
    turns = [
        {way: _taken(ways[way][direction == "get"]) for way in _turned(list(ways), turn)}
        for turn in range(int(settings["turns"]))
    ]
    print(json.dumps([turns, _peak() - before]))


def _turned(ways: list[str], turn: int) -> list[str]:
    first = turn % len(ways)
    return ways[first:] + ways[:first]


def _taken(deed: Callable[[], object]) -> _Measured:
    processor, started = time.process_time(), time.perf_counter()
    deed()
    return _Measured(time.perf_counter() - started, time.process_time() - processor)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KB  # on Linux in kilobytes


def _run(settings: dict[str, str], environment: dict[str, str] | None = None) -> tuple[list[dict[str, _Measured]], int]:
    command = [sys.executable, "-m", "benchmarks.client", "--measure", json.dumps(settings)]
    done = subprocess.run(  # noqa: S603 - ourselves
        command, cwd=_PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    turns, peak = json.loads(done.stdout)
    return [{way: _Measured(*taken) for way, taken in turn.items()} for turn in turns], peak


def _compare(settings: dict[str, str], environment: dict[str, str], names: list[str], console: Console) -> None:
    columns = ("object", "", "plain boto3", "by hand", "ours", "ours / by hand", "ours / plain")
    titles = ("MB/s", "MB for each second of the client's processor time")
    tables = [Table(*columns, *(["peak memory"] if title == "MB/s" else []), title=title) for title in titles]
    for name in names:
        size = _SIZES[name]
        for direction in ("put", "get"):
            about = settings | {"direction": direction, "size": str(size.bytes)}
            turns, _ = _run(about | {"ways": " ".join(_WAYS), "turns": str(size.turns)}, environment)
            peaks = [_run(about | {"ways": way, "turns": "1"}, environment)[1] for way in _WAYS]
            memory = f"{' / '.join(f'{peak / _MB:.0f}' for peak in peaks)} MB"
            tables[0].add_row(name, direction, *_row(turns, "seconds", size), memory)
            tables[1].add_row(name, direction, *_row(turns, "processor", size))
            console.print(f"{name} {direction}: measured", style="dim")
    for table in tables:
        console.print(table)


def _row(turns: list[dict[str, _Measured]], part: str, size: _Size) -> list[str]:
    def ratio(other: str) -> str:
        each = [getattr(turn[other], part) / getattr(turn["ours"], part) for turn in turns]
        low, middle, high = statistics.quantiles(each, n=4)
        return f"{middle:.2f} ({low:.2f}-{high:.2f})"

    medians = [statistics.median(getattr(turn[way], part) for turn in turns) for way in _WAYS]
    return [*(f"{size.bytes / _MB / median:.0f}" for median in medians), ratio("by_hand"), ratio("plain")]


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

"""Puts and gets in processes that are killed at random moments: a program of its own, run by `test_killed.py`.

It forks, so that two hundred of them don't cost two hundred starts of Python, and it has one thread, so that it may.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from botocore.config import Config

from cdk_encrypted_data_client import EncryptedObjects, Location

_LONGEST_LIFE = 0.4  # seconds: some end by themselves


def main(settings: dict[str, str], kills: int, seed: int) -> None:
    """Kill so many, look after each, and print what was seen."""
    folder = Path(settings["folder"])
    source, target, other = folder / "source", folder / "out" / "target", folder / "out" / "new"
    target.parent.mkdir()
    whole = source.read_bytes()
    marker = whole[:64]
    location = Location(region=settings["region"], bucket=settings["bucket"], key_arn=settings["key_arn"])
    objects = EncryptedObjects(
        locations=[location], purpose="orders", state_directory=folder / "state", config=Config(proxies={})
    )
    objects.put_file(name="there", path=source)
    target.write_bytes(b"as it was before")

    def read() -> None:
        with objects.open(name="there") as reader:
            reader.read()

    deeds: dict[str, Callable[[], object]] = {
        "put": lambda: objects.put_file(name="n", path=source),
        "get to a file that is there": lambda: objects.get_to_file(name="there", path=target),
        "get to a new file": lambda: objects.get_to_file(name="there", path=other),
        "open": read,
    }
    chance = random.Random(seed)  # noqa: S311 - moments to kill at
    seen: Counter[str] = Counter()
    records: set[str] = set()
    for _ in range(kills):
        name = chance.choice([*deeds, "put"])
        other.unlink(missing_ok=True)
        begun, begin = os.pipe()
        process = os.fork()
        if not process:
            objects.delete(name="absent")  # connects: what is killed shall be a put or a get
            os.write(begin, b".")
            deeds[name]()
            os._exit(0)
        os.read(begun, 1)
        os.close(begun)
        os.close(begin)
        time.sleep(chance.uniform(0, _LONGEST_LIFE))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        seen[f"{name}: killed" if os.WIFSIGNALED(status) else f"{name}: done"] += 1
        if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
            seen["failed by itself"] += 1
        if target.read_bytes() not in {whole, b"as it was before"}:
            seen["partial file in place of another"] += 1
        if other.exists() and other.read_bytes() != whole:
            seen["partial file"] += 1
        for left in folder.rglob("*"):
            if left.is_file() and left not in {source, target, other} and marker in left.read_bytes():
                seen["plaintext left in a file that was not asked for"] += 1
        records |= {each.name for each in (folder / "state").iterdir()}
    objects.clean()
    seen["records that were left"] = len(records)
    print(json.dumps(seen))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

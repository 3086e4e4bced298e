"""Many threads of one process that put and get small objects: a program of its own, run by `test_concurrency.py`."""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

from botocore.config import Config

from cdk_encrypted_data_client import EncryptedObjects, Location


def main(settings: dict[str, str], first: int, count: int, threads: int) -> None:
    """Put and get so many objects, and print how many were read back right."""
    location = Location(region=settings["region"], bucket=settings["bucket"], key_arn=settings["key_arn"])
    with (
        EncryptedObjects(locations=[location], purpose="orders", config=Config(proxies={})) as objects,
        ThreadPoolExecutor(threads) as pool,
    ):

        def put_and_get(number: int) -> bool:
            # Each its own data, context and seal: what threads mixed up would be refused or would differ.
            data = hashlib.sha256(str(number).encode()).digest() * (1 + number % 100)
            put = objects.put(name=f"{number:06}", data=data)
            got = objects.get(name=put.name, seal=put.seal)
            return got.data == data and got.version_id == put.version_id

        print(sum(pool.map(put_and_get, range(first, first + count))))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *map(int, sys.argv[2:5]))

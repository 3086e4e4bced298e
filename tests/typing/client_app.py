"""What a user of the client writes; a type checker accepts all of it."""

from __future__ import annotations

import io
from pathlib import Path

from cdk_encrypted_data_client import (
    EncryptedObjects,
    Location,
    NotAuthenticError,
    ObjectNotFoundError,
    Retrieved,
    UnavailableError,
)


def program(bucket: str, key_arn: str, folder: Path) -> list[str]:
    """Use every method with every option."""
    here = Location(region="eu-central-1", bucket=bucket, key_arn=key_arn)
    with EncryptedObjects(locations=[here], purpose="orders", home="eu-central-1", state_directory=folder) as objects:
        put = objects.put(name="a", data=b"data", progress=print)
        objects.put_file(name="b", path=folder / "b")
        objects.put_stream(name="c", stream=io.BytesIO(b"data"))
        seal: str = put.seal
        try:
            got: Retrieved = objects.get(name="a", version_id=put.version_id, seal=seal)
        except (ObjectNotFoundError, NotAuthenticError, UnavailableError) as problem:
            return [str(problem)]
        size: int = objects.get_to_file(name="a", path="a").size + objects.verify(name="a").size
        with objects.open(name="a") as reader:
            line: bytes = reader.readline()
            region: str = reader.source.region
        objects.delete(name="a")
        names = [each.name for each in objects.list(prefix="a")]
        return [*names, str(size), str(line + got.data), region, str(objects.clean())]

"""What finished runs have written, for who may use the customer's key: needs pyarrow, and no Spark."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from cdk_encrypted_data_job import manifests
from cdk_encrypted_data_job.errors import NoRunError, NotAuthenticError
from cdk_encrypted_data_job.manifests import Manifest
from cdk_encrypted_data_job.progress import Summary, summary_from
from cdk_encrypted_data_job.storage import Place, Storage

_TYPES = {
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}


class FinishedRuns:
    """The finished runs of a customer, the last one by default; a file is verified before any row of it is returned.

    What lies in the bucket and is named by no manifest, such as of a run that was killed, doesn't exist here.

    Args:
        customer: The customer, as the job was told.
        bucket: Their bucket.
        prefix: What was behind the bucket in `--output`.
        key_arn: Their key: whoever reads needs `kms:Decrypt` on it, and `s3:GetObject` and `s3:ListBucket`.
        session: Where credentials come from; boto3's own chain by default.
    """

    def __init__(
        self,
        *,
        customer: str,
        bucket: str,
        prefix: str,
        key_arn: str,
        session: boto3.session.Session | None = None,
    ) -> None:
        self._customer = customer
        region = key_arn.split(":")[3]
        folder = prefix.strip("/")
        place = Place(bucket=bucket, prefix=f"{folder}/" if folder else "", key_arn=key_arn, region=region)
        make: Any = (session or boto3.session.Session()).client
        self._storage = Storage(place, s3=make("s3", region_name=region), kms=make("kms", region_name=region))

    def manifest(self, number: int | None = None) -> Manifest:
        """Return what a run has written.

        Args:
            number: 1 for the first finished run; the last one by default.

        Raises:
            NoRunError: there is no such finished run.
            NotAuthenticError: its manifest was changed, or put there from elsewhere.
        """
        return manifests.finished(self._storage, self._customer, number)

    def read(self, output: str, number: int | None = None) -> pa.Table:
        """Return the rows of an output.

        Args:
            output: `name` of the rule `write_name.sql`.
            number: As in `manifest`.

        Raises:
            NoRunError: there is no such finished run, or it has no such output.
            NotAuthenticError: a file is gone, was changed, or isn't the one that the run wrote.
        """
        written = self.manifest(number).outputs
        if output not in written:
            raise NoRunError(f"the run wrote no {output!r}; it wrote {', '.join(sorted(written))}")
        tables = [pq.read_table(pa.BufferReader(self._storage.get(file))) for file in written[output]["files"]]
        rows = pa.concat_tables(tables) if tables else _schema(written[output]["schema"]).empty_table()
        if rows.num_rows != written[output]["rows"]:
            raise NotAuthenticError(f"{output}: {rows.num_rows} rows; the manifest says {written[output]['rows']}")
        return rows

    def summary(self, number: int | None = None) -> Summary:
        """Return what a run did, in numbers.

        Args:
            number: As in `manifest`.

        Raises:
            NoRunError, NotAuthenticError: as in `read`.
        """
        return summary_from(self._storage.get(self.manifest(number).summary))

    def verify(self, number: int | None = None) -> int:
        """Read and decrypt every file of a run's outputs and its summary, and return how many.

        Not what it keeps for the next run, which none but the job can decrypt: a run verifies it before it goes on.

        Args:
            number: As in `manifest`.

        Raises:
            NoRunError, NotAuthenticError: as in `read`.
        """
        manifest = self.manifest(number)
        files = [file for output in manifest.outputs.values() for file in output["files"]]
        files.append(manifest.summary)
        for file in files:
            self._storage.get(file)
        return len(files)


def _schema(spark: str) -> pa.Schema:
    return pa.schema([(field["name"], _type(field["type"])) for field in json.loads(spark)["fields"]])


def _type(spark: str) -> pa.DataType:
    if spark.startswith("decimal("):
        precision, scale = spark.removeprefix("decimal(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return _TYPES[spark]

"""A Spark session that writes nothing in the clear, in Glue and elsewhere: the only module that knows `awsglue`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

from cdk_encrypted_data_job.errors import SettingsError

_SETTINGS = {
    # Spark's own files on local disks: shuffles, spills, cached blocks, broadcasts.
    "spark.io.encryption.enabled": "true",
    # 128 bits are the default.
    "spark.io.encryption.keySizeBits": "256",
    # The same rules must give the same rows wherever the job runs.
    "spark.sql.session.timeZone": "UTC",
    # What overflows or divides by zero fails, in place of becoming something else. Spark 4 has it on.
    "spark.sql.ansi.enabled": "true",
    # Cached rows keep their few partitions: each partition of an output becomes a file and a request to KMS.
    "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
}


@contextmanager
def session(argv: Sequence[str]) -> Iterator[SparkSession]:
    """Give the session, and tell Glue that the job is done if no error leaves the block.

    Raises:
        SettingsError: the session that was there already doesn't encrypt, or has another time zone.
    """
    builder: Any = SparkSession.builder  # a property of the class, to type checkers
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    spark: SparkSession = builder.getOrCreate()
    check(spark)
    job = _glue_job(spark, argv)
    yield spark
    if job is not None:
        job.commit()


def check(spark: SparkSession) -> None:
    """Refuse a session that would write rows in the clear: a running one can't be changed."""
    if spark.sparkContext.getConf().get("spark.io.encryption.enabled") != "true":
        raise SettingsError(
            "spark.io.encryption.enabled isn't true, and Spark runs already; allowed: --conf "
            "spark.io.encryption.enabled=true, or rows lie in shuffle and spill files in the clear"
        )
    jvm: Any = spark._jvm  # noqa: SLF001 - how PySpark reaches Java
    zone = jvm.java.util.TimeZone.getDefault().getID()
    if zone not in {"UTC", "GMT", "Etc/UTC", "Z"}:
        raise SettingsError(f"Java's time zone is {zone}; allowed: UTC, or timestamps without a zone shift")


def _glue_job(spark: SparkSession, argv: Sequence[str]) -> Any:  # noqa: ANN401 - no types
    """Begin the job for Glue, which its security configuration and bookmarks wait for; None elsewhere."""
    try:
        from awsglue.context import GlueContext  # noqa: PLC0415 - only in Glue
        from awsglue.job import Job  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    arguments = dict(itertools.pairwise(argv))
    job = Job(GlueContext(spark.sparkContext))
    job.init(arguments.get("--JOB_NAME", "cdk-encrypted-data-job"), {})
    return job

"""The entry point: in Glue the script calls `main`, elsewhere `spark-submit` runs the script."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from cdk_encrypted_data_job.arguments import parse
from cdk_encrypted_data_job.errors import JobError, kind_of
from cdk_encrypted_data_job.job import run
from cdk_encrypted_data_job.progress import LOG
from cdk_encrypted_data_job.session import session


def main(argv: Sequence[str]) -> None:
    """Run the job with Glue's arguments.

    Raises:
        JobError: it failed; nobody sees anything of what it wrote.
    """
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    LOG.setLevel(logging.INFO)
    try:
        arguments = parse(argv)
        with session(argv) as spark:
            run(spark, arguments)
    except JobError as error:
        LOG.error("failed: %s", error)
        raise
    except Exception as error:
        # No traceback either. Messages of Spark, of the database and of Parquet may quote rows.
        LOG.error("failed: %s", kind_of(error))
        raise JobError(f"the run failed: {kind_of(error)}") from None


if __name__ == "__main__":
    main(sys.argv[1:])

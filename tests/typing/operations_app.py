"""What a user of the operators' Python API writes; a type checker accepts all of it."""

from __future__ import annotations

import boto3
from botocore.config import Config

from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.errors import OperationsError, UnfinishedError
from cdk_encrypted_data_operations.promotion import Inspection, Promotion, Stage
from cdk_encrypted_data_operations.related_keys import Member, Rotation


def program() -> list[str]:
    """Use every method with every option."""
    move = Promotion(
        key="alias/orders",
        from_region="eu-central-1",
        to_region="eu-west-1",
        session=boto3.session.Session(),
        config=Config(read_timeout=5),
    )
    try:
        found: Inspection = move.inspect()
        if found.stage is Stage.READY:
            move.promote(found)
        move.wait(found, seconds=60, progress=print)
        checks: tuple[Check, ...] = move.verify(found)
    except UnfinishedError as problem:
        return [str(problem)]
    except OperationsError as problem:
        return [f"{problem.exit_status}: {problem}"]
    home: Member | None = found.home
    rotation: Rotation | None = found.rotation
    refused = [check.remedy for check in checks if check.outcome is Outcome.REFUSED]
    return [*refused, str(rotation), home.arn if home else "", found.caller or ""]

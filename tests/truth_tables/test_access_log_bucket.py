"""Who writes to a log bucket: S3's log delivery, for the buckets it is for, under their prefixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from tests.oracle.evaluator import FULL_ADMIN, Request
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT, Synthesis

if TYPE_CHECKING:
    import aws_cdk as cdk
    from constructs import IConstruct

    from tests.oracle.evaluator import Context, Evaluator

DELIVERY = "logging.s3.amazonaws.com"
ADMIN, ROOT = f"arn:aws:iam::{ACCOUNT}:role/admin", f"arn:aws:iam::{ACCOUNT}:root"
PARTNER = f"arn:aws:iam::{OTHER_ACCOUNT}:role/partner"
PUT = "s3:PutObject"


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    def build(stack: cdk.Stack) -> dict[str, IConstruct]:
        logs = AccessLogBucket(stack, "Logs")
        orders = EncryptedBucket(stack, "Orders", access_log_bucket=logs, access_log_prefix="orders/")
        invoices = EncryptedBucket(stack, "Invoices", access_log_bucket=logs, access_log_prefix="invoices/")
        unlogged = EncryptedBucket(stack, "Unlogged")
        return {
            "logs": logs.bucket,
            "orders": orders.bucket,
            "invoices": invoices.bucket,
            "unlogged": unlogged.bucket,
        }

    return Synthesis(build)


class Row(NamedTuple):
    allowed: bool
    principal: str = DELIVERY
    action: str = PUT
    source: str = "orders"
    source_account: str = ACCOUNT
    log: str = "orders/2026-11-22-10-00-00-0123456789ABCDEF"
    context: Context = {}  # noqa: RUF012 - never changed


ROWS = {
    "delivery": Row(allowed=True),
    "delivery of the other bucket": Row(allowed=True, source="invoices", log="invoices/log"),
    "delivery under another bucket's prefix": Row(allowed=False, log="invoices/log"),
    "delivery under no prefix": Row(allowed=False, log="log"),
    "delivery of a bucket that isn't logged": Row(allowed=False, source="unlogged"),
    "delivery of another account": Row(allowed=False, source_account=OTHER_ACCOUNT),
    "delivery over HTTP": Row(allowed=False, context={"aws:SecureTransport": "false"}),
    "delivery over TLS 1.1": Row(allowed=False, context={"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}),
    "delivery over TLS 1.2": Row(allowed=True, context={"aws:SecureTransport": "true", "s3:TlsVersion": "1.2"}),
    "delivery that reads": Row(allowed=False, action="s3:GetObject"),
    "another service": Row(allowed=False, principal="cloudtrail.amazonaws.com"),
    "administrator writes": Row(allowed=False, principal=ADMIN),
    "root writes": Row(allowed=False, principal=ROOT),
    "administrator reads": Row(allowed=True, principal=ADMIN, action="s3:GetObject"),
    "partner writes": Row(allowed=False, principal=PARTNER),
    "partner reads": Row(allowed=False, principal=PARTNER, action="s3:GetObject"),
    "anybody writes": Row(allowed=False, principal="anonymous"),
    "anybody reads": Row(allowed=False, principal="anonymous", action="s3:GetObject"),
}


def _allowed(evaluator: Evaluator, synthesis: Synthesis, row: Row) -> bool:
    service = row.principal.endswith(".amazonaws.com")
    source = {"aws:SourceArn": synthesis.arn(row.source), "aws:SourceAccount": row.source_account} if service else {}
    request = Request(
        principal=row.principal,
        action=row.action,
        resource=f"{synthesis.arn('logs')}/{row.log}",
        context={**source, **row.context},
    )
    return evaluator.decide(
        request,
        account=ACCOUNT,
        identity_policies=[FULL_ADMIN] if "role/" in row.principal else [],
        resource_policy=synthesis.template.bucket_policy(synthesis.logical_id("logs")),
    ).allowed


@pytest.mark.parametrize("name", ROWS)
def test_only_delivery_writes(evaluator: Evaluator, synthesis: Synthesis, name: str) -> None:
    assert _allowed(evaluator, synthesis, ROWS[name]) is ROWS[name].allowed


def test_delivery_names_its_source(evaluator: Evaluator, synthesis: Synthesis) -> None:
    request = Request(principal=DELIVERY, action=PUT, resource=f"{synthesis.arn('logs')}/orders/log")
    policy = synthesis.template.bucket_policy(synthesis.logical_id("logs"))
    assert not evaluator.decide(request, account=ACCOUNT, resource_policy=policy).allowed


@pytest.mark.parametrize("action", ["s3:ReplicateObject", "s3:PutObjectTagging", "s3:UpdateObjectEncryption"])
def test_an_administrator_writes_in_no_other_way(evaluator: Evaluator, synthesis: Synthesis, action: str) -> None:
    assert not _allowed(evaluator, synthesis, Row(allowed=False, principal=ADMIN, action=action))

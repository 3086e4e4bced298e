"""Buckets that get server access logs: whether these can be read, can be trusted, and come at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Undecided, listed
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, outcome
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory
from cdk_encrypted_data.proofs.spaces import TLS, Prover
from cdk_encrypted_data.proofs.subjects.s3 import LOG_DELIVERY, first_allowed, log_target, objects, relevant

_LOGS_PAGE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html"

TARGET_ENCRYPTION: Final = Rule(
    id="bucket-log-target-encryption",
    severity=Severity.WARNING,
    claim="A bucket that gets server access logs encrypts them with SSE-S3.",
    because="It is all that AWS documents there: under a KMS key logs are missing, or nobody can read them.",
    remedy="Set SSEAlgorithm AES256, or leave out BucketEncryption; keep data and logs in buckets of their own.",
    sources=(_LOGS_PAGE,),
)
TARGET_OPEN: Final = Rule(
    id="bucket-log-target-open",
    severity=Severity.NOTE,
    claim="Nobody but S3's log delivery writes into a bucket that is there for access logs.",
    because="Whoever writes among the logs can forge entries, or overwrite those that tell of him.",
    remedy=(
        "Deny s3:PutObject, PutObjectTagging, PutObjectVersionTagging, ReplicateObject, ReplicateTags and "
        "UpdateObjectEncryption where aws:PrincipalServiceName isn't logging.s3.amazonaws.com."
    ),
    sources=(
        _LOGS_PAGE,
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html",
    ),
)
SOURCE_SILENT: Final = Rule(
    id="bucket-log-source-silent",
    severity=Severity.NOTE,
    claim="A bucket whose access logs another one's policy admits logs there.",
    because="Somebody made room for the logs, and they never come: what is asked of the bucket leaves no trace.",
    remedy="Set the bucket's LoggingConfiguration to the other one, or take the statement out of the other's policy.",
    sources=(_LOGS_PAGE,),
)

# Every way to make an object or to change one: AccessLogBucket refuses the same.
_WRITES: Final = (
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
    "s3:UpdateObjectEncryption",
)


def _targets(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        if _admissions(bucket) or any(log_target(one) == bucket.name for one in inventory.buckets):
            yield from _encryption(bucket)
            if not _is_for_more(inventory, bucket):
                yield from _open(inventory, bucket, prover)


def _admissions(bucket: Bucket) -> list[Statement]:
    """Return the statements that admit log delivery by its name."""
    allows = () if bucket.policy is None else bucket.policy.allows
    return [one for one in allows if f"Service {LOG_DELIVERY}" in _names(one)]


def _encryption(bucket: Bucket) -> Iterator[Outcome]:
    encryption = bucket.encryption
    if isinstance(encryption, Undecided):
        yield Undecidable(TARGET_ENCRYPTION, bucket.resource, encryption.reason)
    elif encryption is not None and encryption.algorithm in ("aws:kms", "aws:kms:dsse"):
        words = f"access logs are delivered into it, and by default it encrypts with {encryption.algorithm}: they may "
        words += "not arrive, or lie there under a key that nobody here can use"
        yield Finding(TARGET_ENCRYPTION, bucket.resource, words, "Properties/BucketEncryption")


def _is_for_more(inventory: Inventory, bucket: Bucket) -> bool:
    """Whether it holds more than access logs: it is logged itself, or the templates let others write there by name.

    "Your destination bucket should not have server access logging enabled", so one that has it is somebody's data,
    under a policy that admits log delivery because all policies there do.
    """
    if log_target(bucket) is not None:
        return True
    allows = () if bucket.policy is None else bucket.policy.allows
    if any(_writes(one) and set(_names(one)) != {f"Service {LOG_DELIVERY}"} for one in allows):
        return True
    of_callers = (one for caller in inventory.callers for policy in caller.identity for one in policy.allows)
    return any(_writes(one) and _names_objects_of(one, bucket) for one in of_callers)


def _writes(statement: Statement) -> bool:
    return any(statement.acts(action.lower()) for action in _WRITES)


def _names(statement: Statement) -> Iterable[str]:
    return () if statement.principals is None else statement.principals.names


def _names_objects_of(statement: Statement, bucket: Bucket) -> bool:
    written = listed(statement.written.get("Resource"))
    return any(isinstance(one, str) and one.startswith(f"{bucket.arn}/") for one in written)


def _open(inventory: Inventory, bucket: Bucket, prover: Prover) -> Iterator[Outcome]:
    callers = [inventory.administrator(bucket.account)]
    said = relevant(TLS, callers, bucket)
    answer = first_allowed(prover, callers, _WRITES, objects(bucket), [said])
    words = "among the access logs, which the bucket is there for, lies what S3 didn't write"
    yield from outcome(TARGET_OPEN, bucket.policy_resource or bucket.resource, answer, words)


def _sources(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for target in inventory.buckets:
        admitted = set(_admitted(target))
        for source in inventory.buckets:
            if source is not target and source.arn in admitted:
                yield from _silent(source, target, prover)


def _admitted(target: Bucket) -> Iterator[str]:
    """Yield whose logs a policy admits by their ARN; of a pattern nobody knows which buckets it is for."""
    for condition in (one for statement in _admissions(target) for one in statement.conditions):
        if condition.key.lower() == "aws:sourcearn":
            yield from condition.values


def _silent(source: Bucket, target: Bucket, prover: Prover) -> Iterator[Outcome]:
    named = log_target(source)
    if isinstance(named, Undecided):
        yield Undecidable(SOURCE_SILENT, source.resource, named.reason)
    elif named != target.name:
        callers = [Caller(principals.service(LOG_DELIVERY), f"the service {LOG_DELIVERY}")]
        said = {"aws:SourceArn": source.arn, "aws:SourceAccount": source.account, **relevant(TLS, callers, target)}
        answer = first_allowed(prover, callers, ("s3:PutObject",), objects(target), [said])
        where = "nowhere" if named is None else "elsewhere"
        words = f"{source.resource.title} logs {where}, so none of its access logs come there"
        yield from outcome(SOURCE_SILENT, source.resource, answer, words, "Properties/LoggingConfiguration")


CHECKS: Final = (_targets, _sources)
RULES: Final[tuple[Rule, ...]] = (TARGET_ENCRYPTION, TARGET_OPEN, SOURCE_SILENT)

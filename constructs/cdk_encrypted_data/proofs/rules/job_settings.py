"""Glue jobs and connections as they are set: what is encrypted, by which key, and what is said in the clear."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Resource, StandIn, Undecided, truth
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable
from cdk_encrypted_data.proofs.inventory import Inventory, Key
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data.proofs.subjects.glue import BOOKMARKS, LOGS, S3, Job, Protection, glue, protections

_SECURITY_CONFIGURATION: Final = "https://docs.aws.amazon.com/glue/latest/dg/encryption-security-configuration.html"
_ARGUMENTS: Final = "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html"
_BOOKMARKS: Final = "https://docs.aws.amazon.com/glue/latest/dg/monitor-continuations.html"
_CONNECTION: Final = "https://docs.aws.amazon.com/glue/latest/dg/connection-properties.html"
_CONTROLS: Final = "https://docs.aws.amazon.com/securityhub/latest/userguide/glue-controls.html"
_VERSIONS: Final = "https://docs.aws.amazon.com/glue/latest/dg/glue-version-support-policy.html"

WITHOUT_SECURITY_CONFIGURATION: Final = Rule(
    id="job-without-security-configuration",
    severity=Severity.ERROR,
    claim="Every Glue job has a security configuration.",
    because="Without one nothing that the job itself writes, its logs above all, is under a key of the customer's.",
    remedy="Name an AWS::Glue::SecurityConfiguration in the job. (Ray jobs can't have one.)",
    sources=(_SECURITY_CONFIGURATION,),
)
ENCRYPTION_OFF: Final = Rule(
    id="job-encryption-off",
    severity=Severity.ERROR,
    claim="What jobs write to S3, their logs, and the bookmarks they keep are encrypted under a KMS key that works.",
    because="A security configuration encrypts only what it says, and overrides the encryption that a job asks for.",
    remedy=(
        "Set S3EncryptionMode SSE-KMS, CloudWatchEncryptionMode SSE-KMS and JobBookmarksEncryptionMode CSE-KMS, each "
        "with the ARN of an enabled symmetric key in the job's Region."
    ),
    sources=(_SECURITY_CONFIGURATION, _BOOKMARKS),
)
BOOKMARKS_PLAIN: Final = Rule(
    id="job-bookmarks-plain",
    severity=Severity.NOTE,
    claim="Bookmarks would be encrypted under a KMS key, should a run keep any.",
    because="Bookmarks hold values of the data, and --job-bookmark-option turns them on for a single run.",
    remedy=(
        "Set JobBookmarksEncryptionMode CSE-KMS with the key's ARN, or set --job-bookmark-option job-bookmark-disable "
        "in NonOverridableArguments."
    ),
    sources=(_BOOKMARKS, _ARGUMENTS),
)
CONNECTION_PLAIN: Final = Rule(
    id="job-connection-plain",
    severity=Severity.ERROR,
    claim="Connections reach their database over TLS, or not at all.",
    because="Where TLS isn't enforced, a connection whose TLS fails goes on without it.",
    remedy='Set JDBC_ENFORCE_SSL "true" (for Kafka: leave KAFKA_SSL_ENABLED "true").',
    sources=(_CONNECTION,),
)
SECRET_IN_ARGUMENTS: Final = Rule(
    id="job-secret-in-arguments",
    severity=Severity.ERROR,
    claim="No password stands in a job's arguments or in a connection.",
    because="Templates, glue:GetJob, glue:GetConnection and the job's logs show them to whoever reads those.",
    remedy="Keep it in Secrets Manager: name the secret by SECRET_ID in the connection, by its ARN in the arguments.",
    sources=(_ARGUMENTS, "https://docs.aws.amazon.com/glue/latest/dg/connection-properties-secrets-manager.html"),
)
VERSION_OLD: Final = Rule(
    id="job-version-old",
    severity=Severity.WARNING,
    claim="Spark jobs run on a version of Glue that AWS supports.",
    because="An unsupported version gets no security patches.",
    remedy="Set GlueVersion to 5.0 or later.",
    sources=(_VERSIONS, _CONTROLS),
)
VERSION_MISSING: Final = Rule(
    id="job-version-missing",
    severity=Severity.NOTE,
    claim="Spark jobs say which version of Glue they run on.",
    because="Without GlueVersion AWS chooses the version when the job is created; Security Hub's Glue.4 fails.",
    remedy="Set GlueVersion.",
    sources=(_CONTROLS, _VERSIONS),
)

_MODES: Final[Mapping[str, tuple[str, ...]]] = {
    S3: ("DISABLED", "SSE-KMS", "SSE-S3"),
    LOGS: ("DISABLED", "SSE-KMS"),
    BOOKMARKS: ("DISABLED", "CSE-KMS"),
}
_BOOKMARK_OPTION: Final = "--job-bookmark-option"
_OLDEST_SUPPORTED: Final = 3
# What a password is called; what only names a secret (--secret-arn, --db-secret-id, --password-parameter) isn't one.
_PASSWORD: Final = re.compile(
    r"(?i)(.*[-_.])?(pass|passwd|password|passphrase|pwd|(client|auth|app|shared)[-_]?secret"
    r"|(secret|access|api|private|account)[-_]?(access[-_]?)?key|(auth|access|api|bearer|session|security)[-_]?token)"
)
_CAMEL_CASE: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What points to a secret, or is plainly none.
_NO_PASSWORD: Final = re.compile(
    r"(?i)arn:.*|s3[an]?://.*|https?://.*|/.*|[\w.-]+(/[\w.-]+)+|true|false|\d{0,3}|none|null|.*[{}].*"
)
# How drivers are told to verify the server, whatever Glue does: PostgreSQL and Redshift, MySQL, SQL Server, Oracle.
_VERIFIED_BY_DRIVER: Final = re.compile(
    r"(?i).*(sslmode=verify[-_](full|ca|identity)|encrypt=(true|strict)(?!.*trustservercertificate=true)|protocol=tcps"
    r"|jdbc:oracle:thin:(@|//)*tcps:).*"
)


def _security_configurations(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        if job.security is None:
            yield Finding(
                WITHOUT_SECURITY_CONFIGURATION,
                job.resource,
                f"job {job.resource.title} has no security configuration: "
                "its logs and bookmarks aren't encrypted under a key of the customer's",
            )
        elif isinstance(job.security, Undecided):
            yield Undecidable(ENCRYPTION_OFF, job.resource, job.security.reason)


def _encryption(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    jobs: dict[Resource, list[Job]] = {}
    for job in glue(inventory).jobs:
        if isinstance(job.security, Resource):
            jobs.setdefault(job.security, []).append(job)
    for security in glue(inventory).security_configurations:
        for protection in protections(security):
            # A crawler writes logs only; a configuration that nobody here uses may be a crawler's.
            if security in jobs or protection.what == LOGS:
                yield from _protected(security, protection, jobs.get(security, []), inventory)


def _protected(security: Resource, protection: Protection, jobs: list[Job], inventory: Inventory) -> Iterator[Outcome]:
    rule = ENCRYPTION_OFF
    if protection.what == BOOKMARKS:
        keeping = [_keeps_bookmarks(job) for job in jobs]
        if not any(keeping):
            rule = BOOKMARKS_PLAIN
            if all(keeps is False for keeps in keeping):
                return
    problem = _problem(security, protection, inventory)
    if isinstance(problem, Undecided):
        yield Undecidable(rule, security, problem.reason)
    elif problem:
        users = f" of {_titles(jobs)}" if jobs else ""
        words = f"security configuration {security.title} leaves the {protection.what}{users} unprotected: {problem}"
        yield Finding(rule, security, words, protection.place)


def _keeps_bookmarks(job: Job) -> bool | None:
    """Whether runs keep bookmarks: False if none can, None if one may be told to."""
    option = job.argument(_BOOKMARK_OPTION)
    if option in ("job-bookmark-enable", "job-bookmark-pause"):
        return True
    pinned = job.resource.setting("NonOverridableArguments", _BOOKMARK_OPTION) == "job-bookmark-disable"
    return False if pinned else None


def _problem(security: Resource, protection: Protection, inventory: Inventory) -> str | Undecided | None:
    """Return what keeps a security configuration from encrypting something under a customer's key."""
    mode = protection.mode
    if isinstance(mode, Undecided):
        return mode
    if mode is None or mode == "DISABLED":
        return "it doesn't encrypt them" if mode is None else "its mode is DISABLED"
    if mode not in _MODES[protection.what]:
        return f"there is no mode {mode}, Glue refuses it"
    if mode == "SSE-S3":
        return "its mode is SSE-S3, so jobs ask S3 to encrypt what they write under S3's own key, not the customer's"
    if protection.key is None:
        return f"its mode {mode} comes without the ARN of a key"
    return _unfit(security, inventory.key(protection.key, security), protection.key)


def _unfit(security: Resource, key: Key | Undecided | None, reference: Json) -> str | Undecided | None:
    if isinstance(key, Undecided):
        return key
    region = key.region if key is not None else _region(str(reference))
    if region is not None and region != security.region:
        if isinstance(region, StandIn) or isinstance(security.region, StandIn):
            return Undecided("the key's Region is known and the stack's isn't, or the other way round", "")
        return f"its key is in {region} and can't be used in {security.region}"
    return None if key is None else _broken(key)


def _broken(key: Key) -> str | Undecided | None:
    spec, usage = key.resource.setting("KeySpec"), key.resource.setting("KeyUsage")
    if spec not in (None, "SYMMETRIC_DEFAULT") or usage not in (None, "ENCRYPT_DECRYPT"):
        odd = next((one for one in (spec, usage) if isinstance(one, Undecided)), None)
        return odd or f"its key {key.resource.title} isn't a symmetric encryption key, and Glue takes no other"
    enabled = key.resource.setting("Enabled")
    if isinstance(enabled, Undecided):
        return enabled
    return None if enabled is None or truth(enabled) else f"its key {key.resource.title} is disabled"


def _region(arn: str) -> str | None:
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[3] else None  # noqa: PLR2004 - an ARN's parts


def _titles(jobs: list[Job]) -> str:
    first = jobs[0].resource.title
    return f"job {first}" if len(jobs) == 1 else f"job {first} and {len(jobs) - 1} more"


def _connections(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for connection in glue(inventory).connections:
        kind = connection.setting("ConnectionInput", "ConnectionType")
        properties = connection.setting("ConnectionInput", "ConnectionProperties")
        if isinstance(properties, Undecided):
            yield Undecidable(CONNECTION_PLAIN, connection, properties.reason)
        elif isinstance(properties, Mapping):
            yield from _transport(connection, kind, properties)
            yield from _password(
                connection,
                "PASSWORD",
                properties.get("PASSWORD"),
                f"connection {connection.title} holds its user's password",
                "Properties/ConnectionInput/ConnectionProperties/PASSWORD",
            )


def _transport(connection: Resource, kind: Json, properties: Mapping[str, Json]) -> Iterator[Outcome]:
    if kind == "JDBC":
        enforced, url = properties.get("JDBC_ENFORCE_SSL"), properties.get("JDBC_CONNECTION_URL")
        if _VERIFIED_BY_DRIVER.fullmatch(str(url)):
            return
        plain = not truth(enforced)
    elif kind == "KAFKA":
        enforced = properties.get("KAFKA_SSL_ENABLED")
        plain = enforced is not None and not truth(enforced)
    else:
        return
    if isinstance(enforced, Undecided):
        yield Undecidable(CONNECTION_PLAIN, connection, enforced.reason)
    elif plain:
        words = "doesn't enforce TLS: what jobs read and the credentials they log in with may travel in the clear"
        place = "Properties/ConnectionInput/ConnectionProperties"
        yield Finding(CONNECTION_PLAIN, connection, f"{kind} connection {connection.title} {words}", place)


def _arguments(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        for among, name, value in job.arguments():
            words = f"job {job.resource.title} gets {name} in its arguments"
            yield from _password(job.resource, name, value, words, f"Properties/{among}/{name}")


def _password(resource: Resource, name: str, value: Json, words: str, place: str) -> Iterator[Outcome]:
    if not _PASSWORD.fullmatch(_CAMEL_CASE.sub("_", name.lstrip("-"))):
        return
    if isinstance(value, Undecided):
        yield Undecidable(SECRET_IN_ARGUMENTS, resource, value.reason)
    elif isinstance(value, str) and not isinstance(value, StandIn) and not _NO_PASSWORD.fullmatch(value):
        shown = "whoever reads the template, the job or its logs can log in with it"
        yield Finding(SECRET_IN_ARGUMENTS, resource, f"{words} in the clear: {shown}", place)


def _versions(inventory: Inventory, _prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        if not job.is_spark:
            continue
        if job.version is None:
            words = f"job {job.resource.title} says no GlueVersion: which one it runs on is AWS's default of that day"
            yield Finding(VERSION_MISSING, job.resource, words)
        elif isinstance(job.major, Undecided):
            yield Undecidable(VERSION_OLD, job.resource, job.major.reason)
        elif job.major < _OLDEST_SUPPORTED:
            words = f"job {job.resource.title} runs on Glue {job.version}, which AWS no longer supports"
            yield Finding(VERSION_OLD, job.resource, words, "Properties/GlueVersion")


CHECKS: Final = (_security_configurations, _encryption, _connections, _arguments, _versions)
RULES: Final[tuple[Rule, ...]] = (
    WITHOUT_SECURITY_CONFIGURATION,
    ENCRYPTION_OFF,
    BOOKMARKS_PLAIN,
    CONNECTION_PLAIN,
    SECRET_IN_ARGUMENTS,
    VERSION_OLD,
    VERSION_MISSING,
)

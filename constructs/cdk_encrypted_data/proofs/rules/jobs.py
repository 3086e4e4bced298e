"""Glue jobs: whether their roles can do the job, under the keys and with the buckets and secrets of the templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Resource, StandIn, Undecided
from cdk_encrypted_data.proofs.findings import Outcome, Rule, Severity, Undecidable, outcome
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key, Target
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Prover
from cdk_encrypted_data.proofs.subjects.glue import (
    LOGS,
    S3,
    Job,
    Protection,
    Secret,
    bucket_key,
    glue,
    protections,
    through_s3,
)

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
_OF_LOGS: Final = ("Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
_ENCRYPTION: Final = "https://docs.aws.amazon.com/glue/latest/dg/set-up-encryption.html"
_LOGGING: Final = "https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html"
_ROLE: Final = "https://docs.aws.amazon.com/glue/latest/dg/create-an-iam-role.html"
_ARGUMENTS: Final = "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html"
_SSE_KMS: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"

KEY_UNUSABLE: Final = Rule(
    id="job-key-unusable",
    severity=Severity.ERROR,
    claim="The job can use every key of its security configuration, and CloudWatch Logs the key of its logs.",
    because="A run whose role may not use the key fails where it writes; logs that can't be encrypted aren't written.",
    remedy=(
        "Allow the job's role kms:Decrypt and kms:GenerateDataKey through S3, kms:Encrypt and kms:Decrypt for "
        "bookmarks, and logs.REGION.amazonaws.com the key for arn:aws:logs:REGION:ACCOUNT:log-group:/aws-glue/*."
    ),
    sources=(_ENCRYPTION, "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"),
)
LOGS_NOT_ASSOCIATED: Final = Rule(
    id="job-logs-not-associated",
    severity=Severity.ERROR,
    claim="The job's role can create its encrypted log groups, associate the key with them, and write to them.",
    because="Without logs:AssociateKmsKey Glue turns real-time logging off and says nothing.",
    remedy=(
        "Allow the role logs:AssociateKmsKey, logs:CreateLogGroup, logs:CreateLogStream and logs:PutLogEvents on "
        "arn:aws:logs:REGION:ACCOUNT:log-group:/aws-glue/*: with a security configuration Glue derives other names."
    ),
    sources=(_LOGGING, "https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging-enable.html"),
)
CANNOT_READ_SCRIPT: Final = Rule(
    id="job-cannot-read-script",
    severity=Severity.ERROR,
    claim="The job's role can read the job's script, where its bucket is in the templates.",
    because="Every run fails before its first line.",
    remedy="Allow the role s3:GetObject on the script, and kms:Decrypt on its bucket's key.",
    sources=(_ROLE, _SSE_KMS),
)
CANNOT_READ_SECRET: Final = Rule(
    id="job-cannot-read-secret",
    severity=Severity.ERROR,
    claim="The job's role can read the secrets of its connections, where they are in the templates.",
    because="Glue fetches the credentials as the job's role: a run fails when it connects.",
    remedy="Allow the role secretsmanager:GetSecretValue on the secret, and kms:Decrypt on the secret's key.",
    sources=(
        "https://docs.aws.amazon.com/glue/latest/dg/connection-properties-secrets-manager.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html",
    ),
)
CANNOT_WRITE: Final = Rule(
    id="job-cannot-write",
    severity=Severity.ERROR,
    claim="The job's role can write where the job's arguments tell Glue to write, in buckets of the templates.",
    because="The run fails, or its event logs are lost.",
    remedy=(
        "Allow the role s3:PutObject there, also with the header that names the security configuration's key, and "
        "kms:GenerateDataKey on the key."
    ),
    sources=(_ARGUMENTS, _SSE_KMS),
)
ROLE_NOT_ASSUMABLE: Final = Rule(
    id="job-role-not-assumable",
    severity=Severity.ERROR,
    claim="Glue can assume the job's role.",
    because="No run starts.",
    remedy="Allow glue.amazonaws.com sts:AssumeRole in the role's trust policy.",
    sources=(_ROLE,),
)

_SSE: Final = "s3:x-amz-server-side-encryption"
_PLACE: Final = re.compile(r"\b\d{12}\b|\b[a-z]{2}(?:-[a-z]+)+-\d\b")
_SHUFFLE: Final = re.compile(r"spark\.shuffle\.glue\.s3ShuffleBucket=(\S+)")
_SHUFFLED: Final = "--write-shuffle-files-to-s3"
# Under Glue 4 and earlier; later ones are Glue's own choice.
_CONTINUOUS_LOGS: Final = "/aws-glue/jobs/logs-v2"
_REAL_TIME_LOGS: Final = "/aws-glue/jobs"
_SINCE_REAL_TIME: Final = 5


def _roles(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        if isinstance(job.role, Undecided):
            yield Undecidable(ROLE_NOT_ASSUMABLE, job.resource, job.role.reason)
            continue
        role = job.role.resource
        if role is None or role.arn is None:
            continue
        account = job.resource.account
        answer = _impossible(
            prover,
            [Caller(principals.service("glue.amazonaws.com"), "the service glue.amazonaws.com")],
            "sts:AssumeRole",
            [Target(role.arn, role.account, job.role.trust)],
            [{"aws:SourceAccount": account}, {"aws:SourceAccount": None}],
            near=job.resource,
        )
        yield from outcome(ROLE_NOT_ASSUMABLE, job.resource, answer, f"no run of {job.resource.title} starts")


def _keys(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        for protection in protections(job.security) if isinstance(job.security, Resource) else ():
            key = inventory.key(protection.key, job.resource) if protection.by_key and protection.key else None
            if isinstance(key, Undecided):
                yield Undecidable(KEY_UNUSABLE, job.resource, key.reason)
            elif isinstance(key, Key):
                yield from _key(job, protection, key, inventory, prover)
            elif protection.by_key and protection.key:
                reason = f"the key {protection.key} of its {protection.what} isn't in the templates"
                yield Undecidable(KEY_UNUSABLE, job.resource, reason)


def _key(job: Job, protection: Protection, key: Key, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    callers: Sequence[Caller]
    if protection.what == LOGS:
        callers = [_logs_service(job.resource)]
        groups = _log_groups(job)
        if isinstance(groups, Undecided):
            yield Undecidable(KEY_UNUSABLE, job.resource, groups.reason)
            return
        uses = [(action, [_of_logs(group)]) for group in groups for action in _OF_LOGS]
        words = f"the logs of {job.resource.title} can't be encrypted under it, so they aren't kept"
    elif isinstance(job.role, Undecided):
        yield Undecidable(KEY_UNUSABLE, job.resource, job.role.reason)
        return
    elif protection.what == S3:
        callers = [job.role]
        contexts = _contexts_of_targets(job, inventory)
        uses = [(action, [context]) for context in contexts for action in ("GenerateDataKey", "Decrypt")]
        words = f"{job.resource.title} can't write under its security configuration's key"
    else:
        callers = [job.role]
        # Bookmarks are encrypted before they are stored, by the job or by Glue for it: AWS doesn't say which.
        by_whom: list[Said] = [
            {"kms:ViaService": None},
            {"kms:ViaService": f"glue.{job.resource.region}.amazonaws.com"},
        ]
        uses = [("Encrypt", by_whom), ("Decrypt", by_whom)]
        words = f"{job.resource.title} can't keep its bookmarks under it"
    yield from _first(
        KEY_UNUSABLE,
        job.resource,
        (
            _impossible(prover, callers, f"kms:{action}", [key.target], variants, near=job.resource)
            for action, variants in uses
        ),
        words,
    )


def _contexts_of_targets(job: Job, inventory: Inventory) -> list[Said]:
    """Return the contexts of S3's requests for what a job certainly writes; open where nobody knows where it writes."""
    known = [
        through_s3(bucket, f"{bucket.arn}/{key}an-object")
        for _, bucket, key in _written(job, inventory)
        if not isinstance(bucket.encryption, Undecided)
    ]
    return [*known] or [{"kms:ViaService": f"s3.{job.resource.region}.amazonaws.com"}]


def _logs(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    existing = {group.ref for group in inventory.assembly.resources_of_type("AWS::Logs::LogGroup")}
    for job in glue(inventory).jobs:
        protection = job.protection(LOGS)
        if not isinstance(protection, Protection) or not protection.by_key:
            continue
        groups = _log_groups(job)
        doubt = next((one for one in (groups, job.role) if isinstance(one, Undecided)), None)
        if doubt is not None:
            yield Undecidable(LOGS_NOT_ASSOCIATED, job.resource, doubt.reason)
        elif isinstance(job.role, Caller) and not isinstance(groups, Undecided):
            yield from _first(
                LOGS_NOT_ASSOCIATED,
                job.resource,
                (
                    _impossible(
                        prover,
                        [job.role],
                        f"logs:{action}",
                        _forms(job.resource, arn, action),
                        [{}],
                        near=job.resource,
                    )
                    for arn in groups
                    for action in ("AssociateKmsKey", "CreateLogGroup", "CreateLogStream", "PutLogEvents")
                    if action != "CreateLogGroup" or arn.partition(":log-group:")[2] not in existing
                ),
                f"{job.resource.title} logs nothing there, and nobody is told",
            )


def _log_groups(job: Job) -> list[str] | Undecided:
    """Return the ARNs of the log groups that Glue derives for a job whose logs are encrypted, those that are certain.

    https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
    """
    if not job.is_spark or isinstance(job.security, Undecided) or job.security is None:
        return Undecided("AWS doesn't say which log groups a job of this kind has under a security configuration", "")
    for needed in (job.major, job.role, job.security.ref):
        if isinstance(needed, Undecided):
            return needed
    name = job.security.ref
    if isinstance(job.major, int) and job.major < _SINCE_REAL_TIME:
        group = job.argument("--continuous-log-logGroup") or _CONTINUOUS_LOGS
        on = job.argument("--enable-continuous-cloudwatch-log")
        names = [f"{group}-{name}"] if str(on).lower() == "true" else []
    else:
        group = job.argument("--custom-logGroup-prefix") or _REAL_TIME_LOGS
        role = job.role.principal.name.rpartition("/")[2] if isinstance(job.role, Caller) else ""
        names = [f"{group}/{name}-role/{role}/{kind}" for kind in ("error", "output")]
    if isinstance(group, Undecided):
        return group
    here = job.resource
    return [f"arn:{_partition(here)}:logs:{here.region}:{here.account}:log-group:{one}" for one in names]


def _partition(resource: Resource) -> str:
    return (resource.arn or "arn:aws").split(":")[1]


def _forms(near: Resource, group: str, action: str) -> list[Target]:
    """Return what a policy may name: AWS documents both forms of a group's ARN, and a stream's for its events."""
    arns = [f"{group}:log-stream:a-run"] if action == "PutLogEvents" else [group, f"{group}:*"]
    return [Target(arn, near.account, None) for arn in arns]


def _logs_service(near: Resource) -> Caller:
    suffix = "amazonaws.com.cn" if near.region.startswith("cn-") else "amazonaws.com"
    name = f"logs.{near.region}.{suffix}"
    return Caller(principals.service(name), f"the service {name}")


def _of_logs(group: str) -> Said:
    return {"kms:EncryptionContext:aws:logs:arn": group}


def _scripts(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        location = job.resource.setting("Command", "ScriptLocation")
        if isinstance(location, Undecided):
            yield Undecidable(CANNOT_READ_SCRIPT, job.resource, location.reason)
        found = glue(inventory).located(location)
        if found is None or not found[1]:
            continue
        if isinstance(job.role, Undecided):
            yield Undecidable(CANNOT_READ_SCRIPT, job.resource, job.role.reason)
            continue
        bucket, key = found
        arn = f"{bucket.arn}/{key}"
        words = f"no run of {job.resource.title} can read its script"
        target = Target(arn, bucket.account, bucket.policy)
        read = _impossible(prover, [job.role], "s3:GetObject", [target], [TLS], near=job.resource)
        decrypted = _under_default(prover, inventory, job.role, "kms:Decrypt", (bucket, arn))
        yield from _first(CANNOT_READ_SCRIPT, job.resource, (read, *decrypted), words)


def _under_default(
    prover: Prover, inventory: Inventory, role: Caller, action: str, place: tuple[Bucket, str]
) -> Iterator[Answer]:
    """Search what keeps a role from using the key that a bucket's objects are under by default."""
    bucket, arn = place
    key = bucket_key(bucket, inventory)
    if isinstance(key, Undecided):
        yield Answer(None, key.reason)
    elif key is not None:
        yield _impossible(prover, [role], action, [key.target], [through_s3(bucket, arn)], near=bucket.resource)


def _secrets(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        for connection in glue(inventory).connections_of(job):
            secret = connection if isinstance(connection, Undecided) else glue(inventory).secret_of(connection)
            if isinstance(secret, Secret) and isinstance(job.role, Caller):
                yield from _first(
                    CANNOT_READ_SECRET,
                    job.resource,
                    _secret(job.role, secret, job, inventory, prover),
                    f"{job.resource.title} can't log in to its database",
                )
            elif secret is not None:
                doubt = secret if isinstance(secret, Undecided) else job.role
                reason = doubt.reason if isinstance(doubt, Undecided) else ""
                yield Undecidable(CANNOT_READ_SECRET, job.resource, reason)


def _secret(role: Caller, secret: Secret, job: Job, inventory: Inventory, prover: Prover) -> Iterator[Answer]:
    yield _impossible(prover, [role], "secretsmanager:GetSecretValue", [secret.target], [{}], near=job.resource)
    key = inventory.key(secret.key, secret.resource) if secret.key is not None else None
    if isinstance(key, Undecided):
        yield Answer(None, key.reason)
    elif key is not None:
        context: Said = {
            "kms:ViaService": f"secretsmanager.{secret.resource.region}.amazonaws.com",
            "kms:EncryptionContext:SecretARN": secret.arn,
        }
        yield _impossible(prover, [role], "kms:Decrypt", [key.target], [context], near=job.resource)


def _outputs(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for job in glue(inventory).jobs:
        for undecided in _undecided_outputs(job):
            yield Undecidable(CANNOT_WRITE, job.resource, undecided.reason)
        for name, bucket, key in _written(job, inventory):
            if isinstance(job.role, Undecided):
                yield Undecidable(CANNOT_WRITE, job.resource, job.role.reason)
                continue
            arn = f"{bucket.arn}/{key}an-object"
            target = Target(arn, bucket.account, bucket.policy)
            put = _impossible(prover, [job.role], "s3:PutObject", [target], _headers(job), near=job.resource)
            words = f"{job.resource.title} can't write where {name} tells it to"
            keys = (
                _under_default(prover, inventory, job.role, "kms:GenerateDataKey", (bucket, arn))
                if _writes_under_default(job)
                else ()
            )
            yield from _first(CANNOT_WRITE, job.resource, (put, *keys), words)


def _writes_under_default(job: Job) -> bool:
    """Whether the bucket's own encryption certainly applies to what a job writes."""
    protection = job.protection(S3)
    return protection is None or (isinstance(protection, Protection) and protection.mode in (None, "DISABLED"))


def _headers(job: Job) -> list[Said]:
    """Return what an upload of a job may say: nothing, or what its security configuration says."""
    silent: Said = {**TLS, _SSE: None, f"{_SSE}-aws-kms-key-id": None, f"{_SSE}-customer-algorithm": None}
    protection = job.protection(S3)
    if not isinstance(protection, Protection):
        return [silent]
    if protection.mode == "SSE-S3":
        return [silent, {**silent, _SSE: "AES256"}]
    if protection.by_key and isinstance(protection.key, str):
        return [silent, {**silent, _SSE: "aws:kms", f"{_SSE}-aws-kms-key-id": protection.key}]
    return [silent]


def _written(job: Job, inventory: Inventory) -> Iterator[tuple[str, Bucket, str]]:
    """Yield where Glue itself writes for a job, in buckets of the templates: the argument, the bucket, the prefix."""
    for name, location in _locations(job):
        found = glue(inventory).located(location)
        if found is not None:
            bucket, key = found
            yield name, bucket, key if not key or key.endswith("/") else f"{key}/"


def _locations(job: Job) -> Iterator[tuple[str, object]]:
    """Yield the arguments by which Glue is told where to write."""
    yield "--TempDir", job.argument("--TempDir")
    if str(job.argument("--enable-spark-ui")).lower() == "true":
        yield "--spark-event-logs-path", job.argument("--spark-event-logs-path")
    # Any value turns it on, false too.
    if job.argument(_SHUFFLED) is not None:
        for found in _SHUFFLE.findall(str(job.argument("--conf"))):
            yield "--conf spark.shuffle.glue.s3ShuffleBucket", found


def _undecided_outputs(job: Job) -> Iterator[Undecided]:
    yield from (location for _, location in _locations(job) if isinstance(location, Undecided))


def _first(rule: Rule, resource: Resource, answers: Iterable[Answer], words: str) -> Iterator[Outcome]:
    """Yield the first case, or, if there is none, the first doubt."""
    doubt: Answer | None = None
    for answer in answers:
        if answer:
            yield from outcome(rule, resource, answer, words)
            return
        doubt = doubt or (answer if answer.doubt is not None else None)
    if doubt is not None:
        yield from outcome(rule, resource, doubt, words)


def _impossible(
    prover: Prover,
    callers: Sequence[Caller],
    action: str,
    targets: Sequence[Target],
    variants: Sequence[Said],
    *,
    near: Resource,
) -> Answer:
    """Search a request that is refused where every one of its kind is: what a claim leaves open may be in its favour.

    A job's runs differ in the network they come from, in their tags and sessions; one that is allowed is enough.
    """
    doubt: str | None = None
    for target in targets:
        found = prover.allowed(callers, [action], target, variants)
        if found:
            return Answer()
        doubt = doubt or found.doubt
    if doubt is None and _hangs_on_place(prover, callers, action, targets, variants, near=near):
        doubt = f"whether {action} is allowed hangs on the account or Region, which the stack leaves open"
    return Answer(None, doubt) if doubt is not None else prover.refused(callers, [action], targets[0], variants)


def _hangs_on_place(
    prover: Prover,
    callers: Sequence[Caller],
    action: str,
    targets: Sequence[Target],
    variants: Sequence[Said],
    *,
    near: Resource,
) -> bool:
    """Whether a policy names an account or Region that a stack of any account or Region may turn out to be in."""
    open_ = isinstance(near.region, StandIn) or isinstance(near.account, StandIn)
    policies = [*(target.policy for target in targets), *(one for caller in callers for one in caller.identity)]
    if not open_ or not any(_names_place(policy, near) for policy in policies):
        return False
    anywhere = [{key: value for key, value in one.items() if not _is_of_place(value, near)} for one in variants]
    peers = [peer for target in targets for caller in callers for peer in _peers(caller, target)]
    return any(bool(prover.allowed(peers, [action], target, anywhere)) for target in targets)


def _names_place(policy: Policy | None, near: Resource) -> bool:
    statements = () if policy is None else policy.statements
    texts = (json.dumps(one.written, default=str) for one in statements)
    return any(found[0] not in (near.account, near.region) for text in texts for found in _PLACE.finditer(text))


def _is_of_place(value: str | Sequence[str] | None, near: Resource) -> bool:
    return isinstance(value, str) and (near.account in value or near.region in value)


def _peers(caller: Caller, target: Target) -> Iterator[Caller]:
    """Yield a caller and, of a service of one Region, those of other Regions that a policy names."""
    yield caller
    service, _, rest = caller.principal.name.partition(".")
    statements = () if target.policy is None or not rest else target.policy.statements
    for statement in statements:
        for name in () if statement.principals is None else statement.principals.names:
            if name.startswith(f"Service {service}."):
                yield Caller(principals.service(name.removeprefix("Service ")), caller.title)


CHECKS: Final = (_roles, _keys, _logs, _scripts, _secrets, _outputs)
RULES: Final[tuple[Rule, ...]] = (
    KEY_UNUSABLE,
    LOGS_NOT_ASSOCIATED,
    CANNOT_READ_SCRIPT,
    CANNOT_READ_SECRET,
    CANNOT_WRITE,
    ROLE_NOT_ASSUMABLE,
)

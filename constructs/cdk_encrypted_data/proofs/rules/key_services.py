"""AWS services that must use a key, for what is in the templates: whether its policy lets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Json, Resource, Undecided, listed
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words
from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.conditions import Condition
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key, Target
from cdk_encrypted_data.proofs.spaces import TLS, Case, Prover
from cdk_encrypted_data.proofs.subjects.plaintext import keys_within
from cdk_encrypted_data.proofs.subjects.uses import hangs_on_name, protected, unsaid
from cdk_encrypted_data.proofs.witnesses import TooManyError


@dataclass(frozen=True, slots=True)
class _Service:
    """What a service asks of a key; ``loss`` is what happens to the data if it may not."""

    principal: str
    actions: tuple[str, ...]
    loss: str
    source: str


_DATA_KEYS: Final = ("kms:GenerateDataKey", "kms:Decrypt")
_LOGS: Final = _Service(
    "logs.{region}.amazonaws.com",
    # Its page lists DescribeKey too, but log groups work without.
    ("kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
    "the log group can't be made, or its events can't be written and read",
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
)
_CLOUDTRAIL: Final = _Service(
    "cloudtrail.amazonaws.com",
    ("kms:GenerateDataKey",),
    "the trail delivers no logs",
    "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html",
)
_CLOUDFRONT: Final = _Service(
    "cloudfront.amazonaws.com",
    ("kms:Decrypt",),
    "the distribution answers 403 for every object",
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html",
)
_S3: Final = _Service(
    "s3.amazonaws.com",
    _DATA_KEYS,
    "the bucket's notifications are lost",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html",
)
_CLOUDWATCH: Final = _Service(
    "cloudwatch.amazonaws.com",
    _DATA_KEYS,
    "the alarm reaches nobody",
    "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
)
_EVENTBRIDGE: Final = _Service(
    "events.amazonaws.com",
    _DATA_KEYS,
    "the rule's events are lost",
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
)
_SNS: Final = _Service(
    "sns.amazonaws.com",
    _DATA_KEYS,
    "the topic's messages never reach the queue",
    "https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html",
)
_SERVICES: Final = (_LOGS, _CLOUDTRAIL, _CLOUDFRONT, _S3, _CLOUDWATCH, _EVENTBRIDGE, _SNS)

REFUSED: Final = Rule(
    id="key-service-refused",
    severity=Severity.ERROR,
    claim="Each AWS service that what is deployed makes use a key may use it.",
    because="A service asks for itself: no IAM policy of the account can give it what the key's policy doesn't.",
    remedy="Allow the service's principal these actions in the key's policy, for this source or encryption context.",
    sources=tuple(service.source for service in _SERVICES),
)
CANNOT_DECRYPT: Final = Rule(
    id="bucket-service-cannot-decrypt",
    severity=Severity.ERROR,
    claim="An AWS service that a bucket's policy lets read objects may use the bucket's key to read them.",
    because="A service asks for itself: without kms:Decrypt in the key's policy it reads nothing.",
    remedy="Allow the service kms:Decrypt in the key's policy, for the source that the bucket's policy names.",
    sources=(
        _CLOUDFRONT.source,
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
    ),
)
WITHOUT_DATA: Final = Rule(
    id="key-service-without-data",
    severity=Severity.NOTE,
    claim="CloudFront may decrypt with a bucket's key only where it may read a bucket under it.",
    because="The key's half alone gives nothing now, and later whatever a bucket's policy adds to it.",
    remedy="Allow the distribution s3:GetObject in the bucket's policy, or take the key's statement away.",
    sources=(_CLOUDFRONT.source,),
)


@dataclass(frozen=True, slots=True)
class _Demand:
    """A service has to use the key that ``encrypted`` names, because of ``cause``. ``said``: what it then sends.

    Of aws:SourceArn and aws:SourceAccount AWS rarely says that they are sent; here they have the values that they would
    have. So a policy that wants others is wrong for certain, and one that wants these isn't.
    """

    service: _Service
    cause: Resource
    encrypted: Resource
    reference: Json
    said: Said


def _check(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for demand in _demands(inventory):
        key = inventory.key(demand.reference, demand.encrypted)
        if isinstance(key, Undecided):
            yield Undecidable(REFUSED, demand.cause, f"which key encrypts {demand.encrypted.title}: {key.reason}")
        elif key is not None:
            yield from _refused(inventory, demand, key, prover)


def _refused(inventory: Inventory, demand: _Demand, key: Key, prover: Prover) -> Iterator[Outcome]:
    name = demand.service.principal.format(region=demand.cause.region)
    caller = Caller(principals.service(name), f"the service {name}")
    answer = prover.hopeless([caller], demand.service.actions, key.target, [demand.said])
    doubt = answer.doubt
    if answer.case is not None:
        doubt = unsaid(key.resource)
        anyhow = prover.hopeless([caller], demand.service.actions, key.target)
        if doubt is None and not anyhow:
            doubt = hangs_on_name(inventory, demand.cause, demand.said, [key.resource])
    if doubt is not None:
        yield Undecidable(REFUSED, key.resource, doubt)
    elif answer.case is not None:
        words = f"{in_words(answer.case)}, as it must for {demand.cause.title}: {demand.service.loss}"
        yield Finding(REFUSED, key.resource, words, "Properties/KeyPolicy")


def _demands(inventory: Inventory) -> Iterator[_Demand]:
    yield from _log_groups(inventory)
    yield from _trails(inventory)
    yield from _distributions(inventory)
    yield from _notifications(inventory)
    yield from _alarms(inventory)
    yield from _event_rules(inventory)
    yield from _subscriptions(inventory)


def _log_groups(inventory: Inventory) -> Iterator[_Demand]:
    for group in inventory.assembly.resources_of_type("AWS::Logs::LogGroup"):
        key = group.setting("KmsKeyId")
        if key is not None:
            yield _Demand(_LOGS, group, group, key, _context("aws:logs:arn", group))


def _trails(inventory: Inventory) -> Iterator[_Demand]:
    for trail in inventory.assembly.resources_of_type("AWS::CloudTrail::Trail"):
        key = trail.setting("KMSKeyId")
        if key is not None:
            yield _Demand(_CLOUDTRAIL, trail, trail, key, _context("aws:cloudtrail:arn", trail))


def _distributions(inventory: Inventory) -> Iterator[_Demand]:
    """Only with origin access control CloudFront signs its requests as itself."""
    under_key = list(protected(inventory))
    for distribution in inventory.assembly.resources_of_type("AWS::CloudFront::Distribution"):
        for origin in _maps(distribution.setting("DistributionConfig", "Origins")):
            domain = origin.get("DomainName")
            if not isinstance(domain, str) or not origin.get("OriginAccessControlId"):
                continue
            for bucket, key in under_key:
                if domain.startswith(f"{bucket.name}.s3."):
                    yield _Demand(_CLOUDFRONT, distribution, bucket.resource, key.arn, _source(distribution))


def _notifications(inventory: Inventory) -> Iterator[_Demand]:
    # The CDK's L2 sets a bucket's notifications by a custom resource.
    for kind in ("AWS::S3::Bucket", "Custom::S3BucketNotifications"):
        for resource in inventory.assembly.resources_of_type(kind):
            bucket = resource
            if kind != "AWS::S3::Bucket":
                name = resource.setting("BucketName")
                bucket = next((one.resource for one in inventory.buckets if one.name == name), resource)
            for which in ("Topic", "Queue"):
                for one in _maps(resource.setting("NotificationConfiguration", f"{which}Configurations")):
                    target = one.get(which, one.get(f"{which}Arn"))
                    yield from _to_target(inventory, _S3, bucket, target, _source(bucket))


def _alarms(inventory: Inventory) -> Iterator[_Demand]:
    for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        for alarm in inventory.assembly.resources_of_type(kind):
            for name in ("AlarmActions", "OKActions", "InsufficientDataActions"):
                for target in listed(alarm.setting(name)):
                    yield from _to_target(inventory, _CLOUDWATCH, alarm, target, _source(alarm))


def _event_rules(inventory: Inventory) -> Iterator[_Demand]:
    for rule in inventory.assembly.resources_of_type("AWS::Events::Rule"):
        for one in _maps(rule.setting("Targets")):
            target = one.get("Arn")
            if one.get("RoleArn") is not None:
                continue
            for demand in _to_target(inventory, _EVENTBRIDGE, rule, target, _source(rule)):
                if demand.encrypted.type == "AWS::SNS::Topic":
                    # To encrypted topics EventBridge sends no source, as their page on keys says.
                    none = {"aws:SourceArn": None, "aws:SourceAccount": None, "aws:SourceOrgID": None}
                    yield _Demand(_EVENTBRIDGE, rule, demand.encrypted, demand.reference, none)
                else:
                    yield demand


def _subscriptions(inventory: Inventory) -> Iterator[_Demand]:
    for one in inventory.assembly.resources_of_type("AWS::SNS::Subscription"):
        topic = one.setting("TopicArn")
        if one.setting("Protocol") == "sqs":
            said = {"aws:SourceArn": topic} if isinstance(topic, str) and topic.startswith("arn:") else {}
            yield from _to_target(inventory, _SNS, one, one.setting("Endpoint"), said)


def _to_target(inventory: Inventory, service: _Service, cause: Resource, target: Json, said: Said) -> Iterator[_Demand]:
    """Yield what it takes to send something to a topic or queue that is encrypted under a key."""
    found = inventory.assembly.resource(target) if isinstance(target, str) else None
    if found is not None and found.type in ("AWS::SNS::Topic", "AWS::SQS::Queue"):
        key = found.setting("KmsMasterKeyId")
        if key is not None and key != "":
            yield _Demand(service, cause, found, key, said)


def _context(name: str, resource: Resource) -> Said:
    context = {} if resource.arn is None else {f"kms:EncryptionContext:{name}": resource.arn}
    return {**context, **_source(resource)}


def _source(resource: Resource) -> Said:
    if resource.arn is None:
        return {"aws:SourceAccount": resource.account}
    return {"aws:SourceArn": resource.arn, "aws:SourceAccount": resource.account}


def _maps(value: Json) -> Iterator[Mapping[str, Json]]:
    return (one for one in listed(value) if isinstance(one, Mapping))


# Services that read buckets.


def _readers(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    under: dict[str, list[Bucket]] = {}
    for bucket, key in protected(inventory):
        under.setdefault(key.arn, []).append(bucket)
        for caller in () if bucket.policy is None else inventory.named_by([bucket.policy]):
            if caller.principal.kind is Kind.SERVICE:
                yield from _decrypts(prover, bucket, key, caller)
    unsure = next((one.encryption for one in inventory.buckets if isinstance(one.encryption, Undecided)), None)
    for key in inventory.keys:
        if key.arn in under:
            yield from _reads_nothing(inventory, prover, key, under[key.arn], unsure)


def _decrypts(prover: Prover, bucket: Bucket, key: Key, caller: Caller) -> Iterator[Outcome]:
    """Ask of each source for which the service may read whether it may decrypt for it."""
    named = {value for one in _conditions(bucket) for value in one.values}
    reading, doubt = _reading(prover, bucket, caller)
    exact = [case for case in reading if named.issuperset(_sources_of(case).values())]
    # What a wildcard lets in may be wider on one side: then one source that both let in is enough.
    for case in exact or reading[:1]:
        said = _sources_of(case) if exact else {}
        answer = prover.hopeless([caller], ["kms:Decrypt"], key.target, [said])
        if answer.case is not None:
            doubt = unsaid(key.resource, *([] if bucket.policy_resource is None else [bucket.policy_resource]))
            if doubt is None:
                words = f"{in_words(case)}, but {in_words(answer.case)}: it reads no object of {bucket.resource.title}"
                yield Finding(CANNOT_DECRYPT, key.resource, words, "Properties/KeyPolicy")
                return
        doubt = doubt or answer.doubt
    if doubt is not None:
        yield Undecidable(CANNOT_DECRYPT, key.resource, doubt)


def _reading(prover: Prover, bucket: Bucket, caller: Caller) -> tuple[list[Case], str | None]:
    """Return the requests by which a service may read some object, and what is doubtful about others."""
    found: list[Case] = []
    doubt: str | None = None
    for arn in keys_within(bucket, caller):
        target = Target(arn, bucket.account, bucket.policy)
        try:
            for case in prover.cases(caller, "s3:GetObject", target, [TLS]):
                found += [case] if case.allowed else []
                doubt = doubt or case.doubt
        except TooManyError as many:
            doubt = doubt or str(many)
    return found, None if found else doubt


def _sources_of(case: Case) -> dict[str, str]:
    """Return what a request says of whom the service acts for."""
    said = {key: value for key, value in case.request.said.items() if key.lower().startswith("aws:source")}
    return {key: value for key, value in said.items() if isinstance(value, str)}


def _conditions(bucket: Bucket) -> Iterator[Condition]:
    for statement in () if bucket.policy is None else bucket.policy.allows:
        yield from statement.conditions


def _reads_nothing(
    inventory: Inventory, prover: Prover, key: Key, buckets: list[Bucket], unsure: Undecided | None
) -> Iterator[Outcome]:
    caller = next(
        (one for one in inventory.named_by([key.policy]) if one.principal.name == _CLOUDFRONT.principal), None
    )
    if caller is None:
        return
    opens = prover.allowed([caller], ["kms:Decrypt"], key.target)
    if opens.case is None:
        return
    reading = [_reading(prover, bucket, caller) for bucket in buckets]
    if any(cases for cases, _ in reading):
        return
    doubt = next((doubt for _, doubt in reading if doubt), None if unsure is None else unsure.reason)
    if doubt is not None:
        yield Undecidable(WITHOUT_DATA, key.resource, doubt)
    else:
        titles = ", ".join(bucket.resource.title for bucket in buckets)
        words = f"{in_words(opens.case)}, but not s3:GetObject on {titles}: it reads nothing with it"
        yield Finding(WITHOUT_DATA, key.resource, words, "Properties/KeyPolicy")


CHECKS: Final = (_check, _readers)
RULES: Final[tuple[Rule, ...]] = (REFUSED, CANNOT_DECRYPT, WITHOUT_DATA)

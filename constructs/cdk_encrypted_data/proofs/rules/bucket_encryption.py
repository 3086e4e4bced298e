"""Buckets: how what is stored in them is encrypted, and whether the uploads that should pass do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import Opaque, Undecided, listed
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words, outcome
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Encryption, Inventory, Key
from cdk_encrypted_data.proofs.spaces import TLS, Answer, Prover
from cdk_encrypted_data.proofs.subjects.s3 import (
    KEY_ID,
    SSE,
    SSE_C,
    askers,
    doubt_in,
    first_allowed,
    is_log_target,
    looks_at,
    objects,
    relevant,
    services,
    unsaid_account,
)

_KMS_PAGE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"
_HEADERS_PAGE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html"
_SSE_C_PAGE: Final = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html"
)
_OPERATORS_PAGE: Final = (
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"
)

OTHER_ENCRYPTION: Final = Rule(
    id="bucket-other-encryption",
    severity=Severity.ERROR,
    claim="No upload is stored under anything but the bucket's own encryption.",
    because="A bucket's default encryption is only that: an upload whose headers name another one gets the other one.",
    remedy=(
        "Deny s3:PutObject to everybody where a header is there (Null false) and names another algorithm or another "
        "key, and where the algorithm is there and the key isn't: aws:kms alone means the AWS managed key aws/s3."
    ),
    sources=(_KMS_PAGE, _HEADERS_PAGE, _OPERATORS_PAGE),
)
ENCRYPTION_UPDATE: Final = Rule(
    id="bucket-encryption-update",
    severity=Severity.ERROR,
    claim="What the bucket refuses of an upload, it refuses of UpdateObjectEncryption too.",
    because="s3:UpdateObjectEncryption puts a stored object under another key without an upload: a call of its own.",
    remedy="Deny s3:UpdateObjectEncryption to everybody unless it names the bucket's key, or altogether.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html",
    ),
)
CUSTOMER_PROVIDED_KEYS: Final = Rule(
    id="bucket-customer-provided-keys",
    severity=Severity.WARNING,
    claim="No upload is stored under a key that only the uploader has (SSE-C).",
    because="Whoever can write can leave data that nobody else can read: the means of ransom. S3 blocks it by default.",
    remedy="Block SSE-C in BlockedEncryptionTypes, or deny s3:PutObject where its customer-algorithm header is there.",
    sources=(_SSE_C_PAGE,),
)
RIGHT_UPLOAD_REFUSED: Final = Rule(
    id="bucket-right-upload-refused",
    severity=Severity.ERROR,
    claim="Somebody can store an object by naming the bucket's own encryption.",
    because="A policy that refuses the right headers leaves the bucket empty, or filled by those who name wrong ones.",
    remedy="Let the policy and the bucket's default encryption name the same algorithm and the same key.",
    sources=(_KMS_PAGE, _OPERATORS_PAGE),
)
HEADER_REQUIRED: Final = Rule(
    id="bucket-header-required",
    severity=Severity.NOTE,
    claim="An upload that names no encryption gets the bucket's own.",
    because="Most clients and AWS services name none and rely on the default; the default is always applied.",
    remedy="Refuse a header that is there and wrong (Null false beside StringNotEquals), not one that isn't there.",
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html",
        _OPERATORS_PAGE,
    ),
)
UPDATE_REFUSED: Final = Rule(
    id="bucket-update-refused",
    severity=Severity.NOTE,
    claim="A policy that speaks of UpdateObjectEncryption lets it name the bucket's own key.",
    because="What was stored under another encryption before can't be brought under the bucket's key where it lies.",
    remedy="Deny s3:UpdateObjectEncryption only where the key that it names isn't the bucket's.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html",),
)
WITHOUT_CUSTOMER_KEY: Final = Rule(
    id="bucket-without-customer-key",
    severity=Severity.WARNING,
    claim="What the bucket stores is encrypted under a customer managed key.",
    because="Under S3's or AWS's own key no key policy decides who reads, and nobody can withdraw the key.",
    remedy="Set SSEAlgorithm aws:kms with KMSMasterKeyID, the ARN of a key of yours.",
    sources=(
        _KMS_PAGE,
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html",
    ),
)

_PUT: Final = ("s3:PutObject",)
_UPDATE: Final = ("s3:UpdateObjectEncryption",)
_NO_HEADERS: Final[Said] = {SSE: None, KEY_ID: None, SSE_C: None}


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A combination of headers that S3 takes and that shouldn't be stored; ``name`` is what the upload names."""

    name: str
    headers: Said
    stored: str


def _uploads(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for bucket in inventory.buckets:
        encryption = bucket.encryption
        if isinstance(encryption, Undecided):
            for rule in (OTHER_ENCRYPTION, RIGHT_UPLOAD_REFUSED, WITHOUT_CUSTOMER_KEY):
                yield Undecidable(rule, bucket.resource, encryption.reason)
            continue
        yield from _customer_provided(bucket, inventory, prover)
        by_customer = has_customer_key(encryption)
        if isinstance(by_customer, Undecided):
            yield Undecidable(WITHOUT_CUSTOMER_KEY, bucket.resource, by_customer.reason)
        if by_customer:
            yield from _under_a_key(bucket, inventory, prover)
        else:
            yield from _under_no_customer_key(bucket, inventory, prover)


def has_customer_key(encryption: Encryption | None) -> bool | Undecided:
    """Whether a default encryption names a key that isn't aws/s3."""
    if encryption is None or encryption.algorithm not in ("aws:kms", "aws:kms:dsse") or encryption.key is None:
        return False
    if isinstance(encryption.key, Undecided):
        return encryption.key
    return not str(encryption.key).endswith("alias/aws/s3")


# Under a customer managed key.


def _under_a_key(bucket: Bucket, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    default = bucket.encryption
    if not isinstance(default, Encryption):
        return
    arn = _key_arn(bucket, default, inventory)
    found = list(_only_own_encryption(bucket, _wrong_for_key(bucket, default, arn), inventory, prover))
    yield from found
    if isinstance(default.key, Undecided) and not any(one.rule is OTHER_ENCRYPTION for one in found):
        yield Undecidable(OTHER_ENCRYPTION, bucket.resource, default.key.reason)
    if isinstance(arn, Undecided) and KEY_ID in looks_at([bucket.policy]):
        for rule in (RIGHT_UPLOAD_REFUSED, HEADER_REQUIRED):
            yield Undecidable(rule, bucket.resource, arn.reason)
        return
    named = "arn:aws:kms:unknown:000000000000:key/unknown" if isinstance(arn, Undecided) else arn
    right = {**_NO_HEADERS, SSE: default.algorithm, KEY_ID: named}
    yield from _right_upload(bucket, right, inventory, prover)
    if default.algorithm == "aws:kms":
        yield from _right_update(bucket, {KEY_ID: named}, inventory, prover)


def _key_arn(bucket: Bucket, default: Encryption, inventory: Inventory) -> str | Undecided:
    """Return the ARN that an upload names the key by, which is what the condition key is compared with."""
    found = inventory.key(default.key, bucket.resource)
    if isinstance(found, Key):
        return found.arn
    if isinstance(found, Undecided):
        return found
    if isinstance(default.key, str) and not isinstance(default.key, Opaque) and ":key/" in default.key:
        return default.key
    return Undecided(f"the ARN of the key {default.key} can't be known before deployment", "")


def _wrong_for_key(bucket: Bucket, default: Encryption, arn: str | Undecided) -> list[_Wrong]:
    """List what S3 takes beside the right upload; SSE-KMS may be DSSE-KMS under the same key, not the other way.

    A bare key id or an alias isn't here: AWS doesn't say how the condition key shows it.
    """
    found = [
        _Wrong("AES256", {SSE: "AES256"}, "under S3's own key, and reading it takes no permission on the bucket's")
    ]
    for algorithm in ("aws:kms", "aws:kms:dsse"):
        if not isinstance(default.key, Undecided):  # which may be aws/s3 itself
            managed = "under the AWS managed key aws/s3, and not under the bucket's"
            found.append(_Wrong(f"{algorithm} without a key", {SSE: algorithm}, managed))
        other = {SSE: algorithm, KEY_ID: _another_key(bucket)}
        found.append(_Wrong(f"{algorithm} with another key", other, "under a key that isn't the bucket's"))
    if default.algorithm == "aws:kms:dsse" and isinstance(arn, str):
        weaker = "with one layer of encryption instead of two"
        found.append(_Wrong("aws:kms with the bucket's key", {SSE: "aws:kms", KEY_ID: arn}, weaker))
    return found


def _another_key(bucket: Bucket) -> str:
    return f"arn:aws:kms:{bucket.region}:{bucket.account}:key/another-key"


# Under S3's or AWS's own.


def _under_no_customer_key(bucket: Bucket, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    headers = {SSE, KEY_ID} & looks_at([bucket.policy]).keys()
    of_s3 = bucket.encryption is None or (
        isinstance(bucket.encryption, Encryption) and bucket.encryption.algorithm == "AES256"
    )
    if headers and of_s3:
        aes256 = _put(bucket, {SSE: "AES256"}, inventory, prover)
        kms = _put(bucket, {SSE: "aws:kms"}, inventory, prover)
        if aes256 and not kms and kms.doubt is None:
            # Whoever refuses aws:kms and takes AES256 has chosen: nothing else may be stored.
            yield from _only_own_encryption(bucket, _wrong_for_s3(bucket), inventory, prover)
            yield from _right_upload(bucket, {**_NO_HEADERS, SSE: "AES256"}, inventory, prover)
            return
        if not aes256 and aes256.doubt is None and not _takes_only_kms(bucket, inventory, prover):
            yield from _right_upload(bucket, {**_NO_HEADERS, SSE: "AES256"}, inventory, prover)
        elif aes256:
            yield from _header_required(bucket, aes256, prover)
    doubt = doubt_in(bucket.policy)
    if doubt is not None:
        yield Undecidable(WITHOUT_CUSTOMER_KEY, bucket.resource, doubt)
    elif not _is_served_with_sse_s3_alone(bucket, inventory):
        yield Finding(WITHOUT_CUSTOMER_KEY, bucket.resource, _own_key_of(bucket), "Properties/BucketEncryption")


def _wrong_for_s3(bucket: Bucket) -> list[_Wrong]:
    with_key = {SSE: "aws:kms", KEY_ID: _another_key(bucket)}
    layers = {SSE: "aws:kms:dsse", KEY_ID: _another_key(bucket)}
    under = "under a KMS key, where the policy wants AES256"
    return [
        _Wrong("aws:kms with a key", with_key, under),
        _Wrong("aws:kms:dsse without a key", {SSE: "aws:kms:dsse"}, under),
        _Wrong("aws:kms:dsse with a key", layers, under),
    ]


def _takes_only_kms(bucket: Bucket, inventory: Inventory, prover: Prover) -> bool:
    """Whether each upload must name KMS, so that the bucket's default, which nothing gets, contradicts nothing."""
    if _put(bucket, {}, inventory, prover):
        return False
    keys = {value for _, value in _constants(bucket, KEY_ID)} | {_another_key(bucket)}
    variants = [{SSE: "aws:kms"}, *({SSE: "aws:kms", KEY_ID: key} for key in sorted(keys))]
    return any(_put(bucket, headers, inventory, prover) for headers in variants)


def _constants(bucket: Bucket, key: str) -> Iterator[tuple[str, str]]:
    for statement in () if bucket.policy is None else bucket.policy.statements:
        for condition in statement.conditions:
            if condition.key.lower() == key.lower():
                yield from ((condition.operator, value) for value in condition.values)


def _is_served_with_sse_s3_alone(bucket: Bucket, inventory: Inventory) -> bool:
    """Whether something that fills or reads the bucket supports SSE-S3 and no key of a customer's.

    Server access logs (AmazonS3/latest/userguide/enable-server-access-logging.html), the access logs of Application and
    Classic Load Balancers (elasticloadbalancing/latest/application/enable-access-logging.html,
    …/classic/enable-access-logs.html), and anonymous readers of a website, who can't use KMS.
    """
    if is_log_target(inventory, bucket) or bucket.resource.setting("WebsiteConfiguration") is not None:
        return True
    for balancer in inventory.assembly.resources_of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = listed(balancer.setting("LoadBalancerAttributes"))
        said = {one.get("Key"): one.get("Value") for one in attributes if isinstance(one, Mapping)}
        application = balancer.setting("Type") in (None, "application")
        if application and said.get("access_logs.s3.bucket") == bucket.name:
            return True
    classic = inventory.assembly.resources_of_type("AWS::ElasticLoadBalancing::LoadBalancer")
    return any(one.setting("AccessLoggingPolicy", "S3BucketName") == bucket.name for one in classic)


def _own_key_of(bucket: Bucket) -> str:
    encryption = bucket.encryption
    if encryption is None:
        return "the template says no encryption, so S3 stores objects under a key of its own (SSE-S3)"
    if isinstance(encryption, Encryption) and encryption.algorithm != "AES256":
        return f"{encryption.algorithm} without a key of yours stores objects under the AWS managed key aws/s3"
    return "AES256 stores objects under a key of S3's own (SSE-S3)"


# What is searched for both.


def _only_own_encryption(
    bucket: Bucket, wrong: list[_Wrong], inventory: Inventory, prover: Prover
) -> Iterator[Outcome]:
    answers = [(one, _put(bucket, one.headers, inventory, prover)) for one in wrong]
    found = [(one, answer.case) for one, answer in answers if answer.case is not None]
    if found:
        first, case = found[0]
        others = ", ".join(one.name for one, _ in found[1:])
        also = f". The same goes for uploads that name {others}" if others else ""
        words = f"{in_words(case)}: the object is stored {first.stored}{also}"
        yield Finding(OTHER_ENCRYPTION, bucket.policy_resource or bucket.resource, words)
        return
    doubts = [answer.doubt for _, answer in answers if answer.doubt is not None]
    if doubts:
        yield Undecidable(OTHER_ENCRYPTION, bucket.policy_resource or bucket.resource, doubts[0])
        return
    yield from _update(bucket, inventory, prover)


def _update(bucket: Bucket, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    """S3 updates no object that lies under DSSE-KMS, so a bucket of these has nothing to fear."""
    if isinstance(bucket.encryption, Encryption) and bucket.encryption.algorithm == "aws:kms:dsse":
        return
    headers = {SSE: "aws:kms", KEY_ID: _another_key(bucket)}
    callers = askers(inventory, bucket)
    said = relevant({**TLS, **headers}, callers, bucket)
    answer = first_allowed(prover, callers, _UPDATE, objects(bucket), [said])
    words = "the stored object is put under another key, which no upload could have named"
    place = bucket.policy_resource or bucket.resource
    yield from outcome(ENCRYPTION_UPDATE, place, answer, words)
    if answer or answer.doubt is not None or SSE not in looks_at([bucket.policy]):
        return
    # The call names a key and no algorithm, and AWS doesn't say that its context has one nevertheless.
    if first_allowed(prover, callers, _UPDATE, objects(bucket), [{**said, SSE: None}]):
        reason = f"whether UpdateObjectEncryption has {SSE}, without which another key passes, isn't documented"
        yield Undecidable(ENCRYPTION_UPDATE, place, reason)


def _right_upload(bucket: Bucket, right: Said, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    if _is_replica(bucket, inventory):
        return
    callers = [*askers(inventory, bucket, as_administrators=True), *services(inventory, bucket)]
    said = relevant({**TLS, **right}, callers, bucket)
    answer = first_allowed(prover, callers, _PUT, objects(bucket), [said])
    if answer:
        yield from _header_required(bucket, answer, prover)
        return
    doubt = answer.doubt or unsaid_account(bucket)
    if doubt is not None:
        yield Undecidable(RIGHT_UPLOAD_REFUSED, bucket.policy_resource or bucket.resource, doubt)
        return
    refused = prover.refused(callers[:1], _PUT, bucket.objects, [said])
    words = "the upload names what the bucket itself encrypts with, and nobody else's passes either"
    yield from outcome(RIGHT_UPLOAD_REFUSED, bucket.policy_resource or bucket.resource, refused, words)


def _right_update(bucket: Bucket, right: Said, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    """Only where a statement speaks of it, and not of everything: who closes a bucket has said what he wants."""
    policy = bucket.policy
    spoken = [] if policy is None else [one for one in policy.statements if one.acts(_UPDATE[0].lower())]
    if not any("*" not in str(one.written.get("Action")) for one in spoken) or _is_replica(bucket, inventory):
        return
    callers = askers(inventory, bucket, as_administrators=True)
    said = relevant({**TLS, **right}, callers, bucket)
    if first_allowed(prover, callers, _UPDATE, objects(bucket), [said]):
        return
    refused = prover.refused(callers[:1], _UPDATE, bucket.objects, [said])
    words = "an object that lies under another encryption stays there until it is copied"
    yield from outcome(UPDATE_REFUSED, bucket.policy_resource or bucket.resource, refused, words)


def _is_replica(bucket: Bucket, inventory: Inventory) -> bool:
    """Whether another bucket's rules fill it: replicas arrive by s3:ReplicateObject, so it may refuse all uploads."""
    for source in inventory.buckets:
        rules = source.resource.setting("ReplicationConfiguration", "Rules")
        for position in range(len(listed(rules))):
            if source.resource.setting("ReplicationConfiguration", "Rules", position, "Destination", "Bucket") == (
                bucket.arn
            ):
                return True
    return False


def _header_required(bucket: Bucket, right: Answer, prover: Prover) -> Iterator[Outcome]:
    """For whom the right upload passes, the one without headers must, if not in this context then in another."""
    if right.case is None or not {SSE, KEY_ID} & looks_at([bucket.policy]).keys():
        return
    callers = [right.case.caller]
    said = [relevant({**TLS, **_NO_HEADERS}, callers, bucket)]
    targets = [one for one in objects(bucket) if one.arn == right.case.request.resource]
    bare = first_allowed(prover, callers, _PUT, targets, said)
    if bare:
        return
    if bare.doubt is not None:
        yield Undecidable(HEADER_REQUIRED, bucket.policy_resource or bucket.resource, bare.doubt)
        return
    refused = prover.refused(callers, _PUT, targets[0], said)
    words = (
        "a client that leaves encryption to the bucket gets 403, CopyObject and multipart uploads without the header "
        "too, and AWS services that name none can't write"
    )
    yield from outcome(HEADER_REQUIRED, bucket.policy_resource or bucket.resource, refused, words)


def _customer_provided(bucket: Bucket, inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    """Only where NONE takes back what S3 does by itself since April 2026: buckets that say nothing block SSE-C."""
    path = ("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "BlockedEncryptionTypes", "EncryptionType")
    if "NONE" not in [one for one in listed(bucket.resource.setting(*path)) if isinstance(one, str)]:
        return
    answer = _put(bucket, {SSE_C: "AES256"}, inventory, prover)
    words = "the object is stored under a key that only the uploader has, and nobody else can ever read it"
    yield from outcome(CUSTOMER_PROVIDED_KEYS, bucket.resource, answer, words, "Properties/BucketEncryption")


def _put(bucket: Bucket, headers: Said, inventory: Inventory, prover: Prover) -> Answer:
    """Search an upload with these encryption headers and no others, over TLS, that is allowed."""
    callers: list[Caller] = askers(inventory, bucket)
    said = relevant({**TLS, **_NO_HEADERS, **headers}, callers, bucket)
    return first_allowed(prover, callers, _PUT, objects(bucket), [said])


CHECKS: Final = (_uploads,)
RULES: Final[tuple[Rule, ...]] = (
    OTHER_ENCRYPTION,
    ENCRYPTION_UPDATE,
    CUSTOMER_PROVIDED_KEYS,
    RIGHT_UPLOAD_REFUSED,
    HEADER_REQUIRED,
    UPDATE_REFUSED,
    WITHOUT_CUSTOMER_KEY,
)

"""What buckets in two Regions promise, and the key under which applications encrypt, as attempts on them."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from cdk_encrypted_data_client import EncryptedDataError, EncryptedObjects, Location
from cdk_encrypted_data_operations.checks import Outcome
from cdk_encrypted_data_operations.promotion import Promotion
from devtools.attempts import REFUSED, Attempt
from devtools.deployment import outputs_of
from devtools.embedded_aws.server import Credentials, EmbeddedAws

DATA = b"three of them"
_TAG = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What is deployed in a Region.

    Attributes:
        name: The Region.
        location: Its bucket, and the applications' key there.
        bucket_key_arn: The key of the bucket itself.
        topic_arn: Where it is told what isn't replicated.
        s3: An S3 client of a principal that may do everything in the account.
        reader: An S3 client of a reader.
    """

    name: str
    location: Location
    bucket_key_arn: str
    topic_arn: str
    s3: Any
    reader: Any

    def put(self, name: str, **how: Any) -> None:  # noqa: ANN401 - what the API takes
        """Store an object, as the owner."""
        self.s3.put_object(Bucket=self.location.bucket, Key=name, Body=DATA, **how)

    def get(self, name: str) -> tuple[bytes, dict[str, str]]:
        """Return what lies there and its metadata, as S3 has it."""
        found = self.s3.get_object(Bucket=self.location.bucket, Key=name)
        return found["Body"].read(), found["Metadata"]


class Deployed:
    """Buckets of our app in two Regions, and who tries things on them.

    Args:
        aws: Where they are deployed.
        name: What the settings call them.
        regions: The Regions, the first one being home.
        suffix: What the names of its IAM users end with: whoever makes them twice needs two.
    """

    def __init__(self, aws: EmbeddedAws, name: str, regions: Sequence[str], *, suffix: str = "") -> None:
        self.aws = aws
        self.name = name
        self._users = f"{name}{suffix}"
        policies = outputs_of(aws, f"{name}-{regions[0]}", region=regions[0])
        self.purpose = policies["Purpose"]
        self._people = {
            "writer": self._user("writer", policies["WriterPolicyArn"]),
            "reader": self._user("reader", policies["ReaderPolicyArn"]),
        }
        self.home, self.away = (self._region(each) for each in regions)
        keys = [each.bucket_key_arn for each in (self.home, self.away)]
        # Whoever administers the buckets and their keys, and has no right on the applications' key.
        everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}
        self._people["stranger"] = aws.create_user(
            f"{self._users}-stranger", everything, {"Effect": "Allow", "Action": ["kms:*"], "Resource": keys}
        )

    def _user(self, who: str, policy_arn: str) -> Credentials:
        credentials = self.aws.create_user(f"{self._users}-{who}")
        self.aws.client("iam").attach_user_policy(UserName=f"{self._users}-{who}", PolicyArn=policy_arn)
        return credentials

    def _region(self, region: str) -> Region:
        outputs = outputs_of(self.aws, f"{self.name}-{region}", region=region)
        bucket = outputs["BucketName"]
        key_arn = outputs_of(self.aws, f"{self.name}-keys-{region}", region=region)["KeyArn"]
        s3 = self.aws.client("s3", region=region)
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return Region(
            name=region,
            location=Location(region=region, bucket=bucket, key_arn=key_arn),
            bucket_key_arn=rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"],
            topic_arn=outputs["ReplicationTopicArn"],
            s3=s3,
            reader=self.aws.client("s3", region=region, credentials=self._people["reader"]),
        )

    def object(self, what: str) -> str:
        """Return the name of an object, which nobody else tries."""
        return f"{self._users}/{what}"

    def objects(self, who: str, *, home: Region) -> EncryptedObjects:
        """Return the client that an application would use, knowing nothing of what happened before."""
        return EncryptedObjects(
            locations=[self.home.location, self.away.location],
            purpose=self.purpose,
            home=home.name,
            session=self.aws.session(self._people[who]),
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    @contextlib.contextmanager
    def shut_off(self, region: Region, *services: str) -> Iterator[None]:
        """Let services of a Region answer nothing but 503 within the block."""
        with contextlib.ExitStack() as off:
            for service in services:
                off.enter_context(self.aws.shut_off(service, region.name))
            yield


def replication(deployed: Deployed) -> list[Attempt]:
    """Return the attempts to store in one Region and find it in the other, and to store it wrongly."""
    attempts = []
    for here, there in ((deployed.home, deployed.away), (deployed.away, deployed.home)):
        name = deployed.object(f"put-in-{here.name}")
        attempts += [
            Attempt(
                what=f"object put in {here.name}",
                request=f"PutObject there, HeadObject in {there.name}",
                expected=f"a replica under the key of {there.name}",
                run=functools.partial(_put, here, there, name),
            ),
            Attempt(
                what=f"read of the replica in {there.name} with the reader's policy",
                request="GetObject",
                expected=f"read: {DATA.decode()}",
                run=functools.partial(_read, there, name),
            ),
            Attempt(
                what=f"delete in {here.name}",
                request=f"DeleteObject there, ListObjectVersions in {there.name}",
                expected="hidden by a delete marker, the version is kept",
                run=functools.partial(_delete, here, there, name),
            ),
        ]
    for region, other in ((deployed.home, deployed.away), (deployed.away, deployed.home)):
        for what, headers in (
            ("with AES256", {"ServerSideEncryption": "AES256"}),
            (
                f"under the key of {other.name}",
                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other.bucket_key_arn},
            ),
            (
                "under the applications' key",
                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": region.location.key_arn},
            ),
        ):
            attempts.append(
                Attempt(
                    what=f"upload to {region.name} {what}",
                    request="PutObject by the account's root",
                    expected=REFUSED,
                    run=functools.partial(_put_with, region, deployed.object("wrong"), headers),
                )
            )
    return attempts


def _put(here: Region, there: Region, name: str) -> str:
    here.put(name)
    found = there.s3.head_object(Bucket=there.location.bucket, Key=name)
    kind = "a replica" if found.get("ReplicationStatus") == "REPLICA" else "an object"
    keys = {there.bucket_key_arn: f"the key of {there.name}", here.bucket_key_arn: f"the key of {here.name}"}
    return f"{kind} under {keys.get(found.get('SSEKMSKeyId'), 'another key')}"


def _put_with(region: Region, name: str, headers: dict[str, str]) -> str:
    region.put(name, **headers)
    return "stored"


def _read(region: Region, name: str) -> str:
    body: bytes = region.reader.get_object(Bucket=region.location.bucket, Key=name)["Body"].read()
    return f"read: {body.decode()}"


def _delete(here: Region, there: Region, name: str) -> str:
    here.s3.delete_object(Bucket=here.location.bucket, Key=name)
    found = there.s3.list_object_versions(Bucket=there.location.bucket, Prefix=name)
    hidden = "hidden by a delete marker" if found.get("DeleteMarkers") else "not hidden"
    return f"{hidden}, the version is {'kept' if found.get('Versions') else 'gone'}"


def monitoring(deployed: Deployed) -> list[Attempt]:
    """Return the attempts to be told what isn't replicated, and to listen or talk there without the right to."""
    home, away = deployed.home, deployed.away
    return [
        Attempt(
            what=f"object put in {home.name} while the bucket's key of {away.name} is disabled",
            request="PutObject; a queue has subscribed to the topic",
            expected="told of the failed replica: DstKmsKeyInvalidState",
            run=lambda: _failed_replica(deployed, home, away),
        ),
        *(
            Attempt(
                what=f"alarm of replication in {region.name}",
                request="SetAlarmState; a queue has subscribed to the topic",
                expected="told by every alarm of the Region",
                run=functools.partial(_alarms, deployed, region),
            )
            for region in (home, away)
        ),
        Attempt(
            what="data key under the key of the topic",
            request="GenerateDataKey by the account's root",
            expected=REFUSED,
            run=lambda: _use_the_topics_key(deployed, home),
        ),
        Attempt(
            what="subscription of an address without TLS",
            request="Subscribe by the account's root",
            expected=REFUSED,
            run=lambda: _listen_without_tls(deployed, home),
        ),
    ]


def _failed_replica(deployed: Deployed, here: Region, there: Region) -> str:
    name, kms = deployed.object("fails"), deployed.aws.client("kms", region=there.name)
    with _subscribed(deployed, here) as messages:
        kms.disable_key(KeyId=there.bucket_key_arn)
        try:
            here.put(name)
        finally:
            kms.enable_key(KeyId=there.bucket_key_arn)
        records = [record for message in messages() for record in message.get("Records", [])]
    told = [each["replicationEventData"]["failureReason"] for each in records if each["s3"]["object"]["key"] == name]
    return f"told of the failed replica: {', '.join(told)}" if told else "nobody was told"


def _alarms(deployed: Deployed, region: Region) -> str:
    cloudwatch = deployed.aws.client("cloudwatch", region=region.name)
    alarms = {
        each["AlarmName"]
        for each in cloudwatch.describe_alarms()["MetricAlarms"]
        if each["AlarmActions"] == [region.topic_arn]
    }
    with _subscribed(deployed, region) as messages:
        for each in alarms:
            cloudwatch.set_alarm_state(AlarmName=each, StateValue="ALARM", StateReason="the demo tries it")
            cloudwatch.set_alarm_state(AlarmName=each, StateValue="OK", StateReason="the demo has tried it")
        told = {each["AlarmName"] for each in messages() if each.get("NewStateValue") == "ALARM"}
    return "told by every alarm of the Region" if alarms and told == alarms else f"told by {sorted(told)} of {alarms}"


def _use_the_topics_key(deployed: Deployed, region: Region) -> str:
    sns, kms = (deployed.aws.client(each, region=region.name) for each in ("sns", "kms"))
    key = sns.get_topic_attributes(TopicArn=region.topic_arn)["Attributes"]["KmsMasterKeyId"]
    kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    return "made"


def _listen_without_tls(deployed: Deployed, region: Region) -> str:
    sns = deployed.aws.client("sns", region=region.name)
    # Nobody listens there; whoever subscribes has to confirm it before anything else is sent.
    sns.subscribe(TopicArn=region.topic_arn, Protocol="http", Endpoint="http://127.0.0.1:9/none")
    return "subscribed"


@contextlib.contextmanager
def _subscribed(deployed: Deployed, region: Region) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Subscribe a queue to the Region's topic; yield what takes its messages, waiting ten seconds for the first."""
    sqs, sns = (deployed.aws.client(each, region=region.name) for each in ("sqs", "sns"))
    queue = sqs.create_queue(QueueName=f"{deployed.name}-told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    subscription = sns.subscribe(TopicArn=region.topic_arn, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]

    def messages() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while received := sqs.receive_message(
            QueueUrl=queue, WaitTimeSeconds=0 if found else 10, MaxNumberOfMessages=10
        ).get("Messages"):
            found += [json.loads(json.loads(each["Body"])["Message"]) for each in received]
            for each in received:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
        return found

    try:
        yield messages
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=queue)


def client_side_encryption(deployed: Deployed) -> list[Attempt]:
    """Return the attempts of applications that encrypt before they store; each relies on those before it."""
    home, away = deployed.home, deployed.away
    encrypted, tampered, elsewhere = (deployed.object(each) for each in ("encrypted", "tampered", "elsewhere"))

    def without(*services: str) -> str:
        with deployed.shut_off(home, *services):
            return _get(deployed, encrypted)

    def put_elsewhere() -> str:
        with deployed.shut_off(home, "s3", "kms"):
            return _put_encrypted(deployed, elsewhere, home=away)

    def read_tampered() -> str:
        _put_encrypted(deployed, tampered, home=home)
        body, metadata = home.get(tampered)
        changed = body[:-1] + bytes([body[-1] ^ 1])
        home.s3.put_object(Bucket=home.location.bucket, Key=tampered, Body=changed, Metadata=metadata)
        return _get(deployed, tampered)

    def read_tampered_elsewhere() -> str:
        with deployed.shut_off(home, "s3", "kms"):
            return _get(deployed, tampered)

    off = f"while KMS and S3 of {home.name} are shut off"
    return [
        Attempt(
            what=f"object encrypted by the writer, put in {home.name}",
            request="EncryptedObjects.put",
            expected=f"stored in {home.name}",
            run=lambda: _put_encrypted(deployed, encrypted, home=home),
        ),
        Attempt(
            what="what S3 holds of it",
            request="GetObject in both Regions by the account's root",
            expected="the same ciphertext in both",
            run=lambda: _ciphertext(deployed, encrypted),
        ),
        Attempt(
            what="read with the reader's policy",
            request="EncryptedObjects.get",
            expected=f"read in {home.name}: {DATA.decode()}",
            run=lambda: _get(deployed, encrypted),
        ),
        Attempt(
            what="read with all rights on the buckets and their keys, but none on the applications'",
            request="EncryptedObjects.get",
            expected="refused: RefusedError, KMS: AccessDeniedException",
            run=lambda: _get(deployed, encrypted, who="stranger"),
        ),
        Attempt(
            what=f"read while KMS of {home.name} is shut off",
            request="EncryptedObjects.get",
            expected=f"read in {away.name}: {DATA.decode()}; the client said so",
            run=lambda: without("kms"),
        ),
        Attempt(
            what=f"read {off}",
            request="EncryptedObjects.get",
            expected=f"read in {away.name}: {DATA.decode()}; the client said so",
            run=lambda: without("s3", "kms"),
        ),
        Attempt(
            what=f"put in {away.name} {off}",
            request="EncryptedObjects.put, home being there",
            expected=f"stored in {away.name}",
            run=put_elsewhere,
        ),
        Attempt(
            what=f"read of that in {home.name} when it is back",
            request="EncryptedObjects.get",
            expected=f"read in {home.name}: {DATA.decode()}",
            run=lambda: _get(deployed, elsewhere),
        ),
        Attempt(
            what="read of an object of which a bit was changed in S3",
            request="PutObject by the account's root, EncryptedObjects.get",
            expected="refused: TamperedError",
            run=read_tampered,
        ),
        Attempt(
            what=f"read of its replica {off}",
            request="EncryptedObjects.get",
            expected="refused: TamperedError",
            run=read_tampered_elsewhere,
        ),
    ]


def _put_encrypted(deployed: Deployed, name: str, *, home: Region) -> str:
    with deployed.objects("writer", home=home) as objects:
        return f"stored in {objects.put(name=name, data=DATA).region}"


def _get(deployed: Deployed, name: str, *, who: str = "reader") -> str:
    with deployed.objects(who, home=deployed.home) as objects, _warnings() as said:
        try:
            found = objects.get(name=name)
        except EncryptedDataError as error:
            # Of the two AWS errors of a missing right, this is KMS's.
            by_kms = ", KMS: AccessDeniedException" if ": AccessDeniedException:" in str(error) else ""
            return f"refused: {type(error).__name__}{by_kms}"
    failover = f"read from {found.region} instead of {deployed.home.name}"
    words = "; the client said so" if any(failover in each for each in said) else ""
    return f"read in {found.region}: {found.data.decode()}{words}"


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Gather what the client logs."""
    said: list[str] = []

    class Gather(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log, handler = logging.getLogger("cdk_encrypted_data_client"), Gather(logging.WARNING)
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


def _ciphertext(deployed: Deployed, name: str) -> str:
    (here, _), (there, _) = deployed.home.get(name), deployed.away.get(name)
    if DATA in here or len(here) != len(DATA) + _TAG:
        return "plaintext"
    return "the same ciphertext in both" if here == there else "two that differ"


def promotion(deployed: Deployed, again: Callable[[str], Attempt]) -> list[Attempt]:
    """Return the attempts to move the key's primary to the other Region and back; ``again`` deploys once more."""
    home, away = deployed.home, deployed.away
    return [
        _move(deployed, home, away),
        again("after the promotion"),
        Attempt(
            what="read of what was encrypted before",
            request="EncryptedObjects.get",
            expected=f"read in {home.name}: {DATA.decode()}",
            run=lambda: _get(deployed, deployed.object("encrypted")),
        ),
        _move(deployed, away, home),
    ]


def _move(deployed: Deployed, origin: Region, target: Region) -> Attempt:
    def run() -> str:
        move = Promotion(
            key=f"alias/{deployed.name}",
            from_region=origin.name,
            to_region=target.name,
            session=deployed.aws.session(),
            config=Config(proxies={}),
        )
        inspection = move.inspect()
        move.promote(inspection)
        move.wait(inspection)
        checks = move.verify(inspection)
        wrong = [f"{each.subject}: {each.found}" for each in checks if each.outcome is Outcome.REFUSED]
        (primary,) = [each.found for each in checks if each.subject == "the primary"]
        return "; ".join(wrong) or f"the primary {primary}"

    return Attempt(
        what=f"promotion of the key in {target.name}",
        request="encrypted-data-operations promote",
        expected=f"the primary is in {target.name}",
        run=run,
    )

"""What the app doesn't use of the constructs, deployed and read back: names, archive, CORS, events, separation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from botocore.exceptions import ClientError

from cdk_encrypted_data import (
    AccessLogBucket,
    CustomerManagedKey,
    CustomerProvidedKeys,
    EncryptedBucket,
    ObjectEvents,
)
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.server import Credentials, EmbeddedAws

pytestmark = pytest.mark.deploy

PEOPLE = ("administrator", "user", "neither")
NAME = "acme-111122223333-eu-central-1-an"


class Deployment(NamedTuple):
    """A running embedded AWS, the people in it, and the ARN of the key that separates them."""

    aws: EmbeddedAws
    people: dict[str, Credentials]
    key_arn: str


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deploy") / "cdk.out"
    with EmbeddedAws() as aws:
        synthesize(str(directory), cdk.Environment(account=aws.account_id, region=aws.region))
        # KMS takes only principals that exist. Each may do everything that an IAM policy can allow.
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        people = {name: aws.create_user(name, everything) for name in PEOPLE}
        run_cdk(aws, "bootstrap", app=directory)
        run_cdk(aws, "deploy", "--all", "--require-approval=never", app=directory)
        (key,) = [
            alias["TargetKeyId"]
            for alias in aws.client("kms").list_aliases()["Aliases"]
            if alias["AliasName"] == "alias/separated"
        ]
        arn = aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        yield Deployment(aws, people, arn)


def synthesize(directory: str, env: cdk.Environment) -> None:
    app = cdk.App(outdir=directory)
    stack = cdk.Stack(app, "Constructs", env=env)
    logs = AccessLogBucket(stack, "Logs", bucket_name="acme-logs", retention=cdk.Duration.days(30))
    EncryptedBucket(
        stack,
        "Everything",
        bucket_name_prefix="acme",
        customer_provided_keys=CustomerProvidedKeys.ALLOWED,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="Archive",
                transitions=[
                    s3.Transition(storage_class=s3.StorageClass.GLACIER, transition_after=cdk.Duration.days(90))
                ],
                noncurrent_version_transitions=[
                    s3.NoncurrentVersionTransition(
                        storage_class=s3.StorageClass.DEEP_ARCHIVE, transition_after=cdk.Duration.days(30)
                    )
                ],
            )
        ],
        cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["https://example.com"])],
        object_events=ObjectEvents.EVENT_BRIDGE,
        access_log_bucket=logs,
        access_log_prefix="acme/",
    )

    def person(name: str) -> iam.IPrincipal:
        return iam.ArnPrincipal(f"arn:aws:iam::{env.account}:user/{name}")

    key = CustomerManagedKey(
        stack,
        "Separated",
        alias_name="alias/separated",
        administrators=[person("administrator")],
        users=[person("user")],
        rotation_period=cdk.Duration.days(90),
    )
    EncryptedBucket(stack, "Data", key=key, bucket_name="acme-separated")
    app.synth()


def refused(call: Any, **arguments: Any) -> bool:  # noqa: ANN401 - boto3
    """Try a call; tell whether it was refused. Anything else that goes wrong is raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
            raise
        return True
    return False


def test_archive_classes(deployment: Deployment) -> None:
    (_, rule) = deployment.aws.client("s3").get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    assert rule["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER"}]
    assert rule["NoncurrentVersionTransitions"] == [{"NoncurrentDays": 30, "StorageClass": "DEEP_ARCHIVE"}]


def test_cors(deployment: Deployment) -> None:
    (rule,) = deployment.aws.client("s3").get_bucket_cors(Bucket=NAME)["CORSRules"]
    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["GET"], ["https://example.com"])


def test_events(deployment: Deployment) -> None:
    assert "EventBridgeConfiguration" in deployment.aws.client("s3").get_bucket_notification_configuration(Bucket=NAME)


def test_access_logs(deployment: Deployment) -> None:
    found = deployment.aws.client("s3").get_bucket_logging(Bucket=NAME)["LoggingEnabled"]
    assert (found["TargetBucket"], found["TargetPrefix"]) == ("acme-logs", "acme/")


def test_nobody_but_log_delivery_writes_logs(deployment: Deployment) -> None:
    # That delivery itself may write, the embedded AWS can't show: nothing there calls as a service. See truth_tables/.
    assert refused(deployment.aws.client("s3").put_object, Bucket="acme-logs", Key="acme/forged", Body=b"x")


def test_sse_c_where_it_was_asked_for(deployment: Deployment) -> None:
    client = deployment.aws.client("s3")
    sse_c = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    client.put_object(Bucket=NAME, Key="a", Body=b"x", **sse_c)
    assert client.get_object(Bucket=NAME, Key="a", **sse_c)["Body"].read() == b"x"
    assert refused(client.put_object, Bucket="acme-separated", Key="a", Body=b"x", **sse_c)


def test_a_key_bound_to_one_bucket_serves_no_other(deployment: Deployment) -> None:
    aws = deployment.aws
    client = aws.client("s3")
    (rule,) = client.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"]
    bound = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    client.put_object(Bucket=NAME, Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=bound)
    client.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": aws.region})
    assert refused(
        client.put_object, Bucket="elsewhere", Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=bound
    )


def test_rotation_period(deployment: Deployment) -> None:
    key = {"KeyId": deployment.key_arn}
    assert deployment.aws.client("kms").get_key_rotation_status(**key)["RotationPeriodInDays"] == 90


@pytest.mark.parametrize(
    ("who", "uses", "switches"),
    [("administrator", False, True), ("user", True, False), ("neither", False, False)],
)
def test_separation_of_duties(deployment: Deployment, who: str, uses: bool, switches: bool) -> None:  # noqa: FBT001
    aws, key = deployment.aws, {"KeyId": deployment.key_arn}
    client, kms = (aws.client(service, credentials=deployment.people[who]) for service in ("s3", "kms"))
    assert refused(client.put_object, Bucket="acme-separated", Key=who, Body=b"x") is not uses
    assert refused(kms.generate_data_key, KeySpec="AES_256", **key)
    assert refused(kms.disable_key, **key) is not switches
    if switches:
        kms.enable_key(**key)

"""Our own app, deployed by the real CDK CLI to the embedded AWS, in every mode; then every promise is tried."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from devtools.deployment import outputs_of, target_of
from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws
from devtools.promises import try_all
from stacks.settings import BUCKETS, REMOVAL_POLICY, Settings

pytestmark = pytest.mark.deploy

MODES = [
    {"name": f"{encryption}_{policy}".title().replace("_", ""), "encryption": encryption, "uploadPolicy": policy}
    for encryption in ("SSE_KMS", "DSSE_KMS", "SSE_S3")
    for policy in ("RESPECT_DEFAULT", "REQUIRE_HEADER")
]
YES = "--require-approval=never"


class Deployment(NamedTuple):
    """A running embedded AWS with the app in it."""

    aws: EmbeddedAws
    settings: Settings
    assembly: Path


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    assembly = tmp_path_factory.mktemp("deploy") / "cdk.out"
    context = {BUCKETS: json.dumps(MODES), REMOVAL_POLICY: "DESTROY"}
    options = [f"--context={name}={value}" for name, value in context.items()]
    with EmbeddedAws() as aws:
        run_cdk(aws, "synth", "--quiet", *options, f"--output={assembly}", app=shlex.join([sys.executable, "app.py"]))
        run_cdk(aws, "bootstrap", app=assembly)
        run_cdk(aws, "deploy", "--all", YES, app=assembly)
        yield Deployment(aws, Settings.from_context(context), assembly)


@pytest.mark.parametrize("name", [mode["name"] for mode in MODES])
def test_every_promise(deployment: Deployment, name: str) -> None:
    (bucket,) = [each for each in deployment.settings.buckets if each.name == name]
    results = list(try_all(target_of(deployment.aws, "EncryptedData", bucket)))
    assert len(results) > 20
    assert [result for result in results if not result.kept] == []


def test_a_broken_promise_is_seen(deployment: Deployment) -> None:
    # The twin of the test above: without its policy the bucket takes what it should refuse.
    (bucket,) = [each for each in deployment.settings.buckets if each.name == "SseKmsRequireHeader"]
    target = target_of(deployment.aws, "EncryptedData", bucket, suffix="-unprotected")
    s3 = deployment.aws.client("s3")
    policy = s3.get_bucket_policy(Bucket=target.bucket_name)["Policy"]
    s3.delete_bucket_policy(Bucket=target.bucket_name)
    try:
        broken = {result.attempt.what for result in try_all(target) if not result.kept}
    finally:
        s3.put_bucket_policy(Bucket=target.bucket_name, Policy=policy)
    # SSE-C stays refused by the bucket's configuration.
    assert broken == {
        "upload that names no encryption",
        "upload in parts that names no encryption",
        "copy that names no encryption",
        "upload with AES256",
        "upload with aws:kms without a key",
        "upload with aws:kms under another key",
        "upload with aws:kms:dsse without a key",
        "upload with aws:kms:dsse under another key",
        "upload over plain HTTP",
        "upload over TLS 1.1",
    }


def test_a_second_deploy_changes_nothing(deployment: Deployment) -> None:
    assert "(no changes)" in run_cdk(deployment.aws, "deploy", "--all", YES, app=deployment.assembly)


def test_destroy_keeps_what_holds_data_and_removes_the_rest(deployment: Deployment) -> None:
    aws = deployment.aws
    outputs = outputs_of(aws, "EncryptedData")
    names = [value for name, value in outputs.items() if name.endswith("BucketName")]
    s3, kms = aws.client("s3"), aws.client("kms")
    s3.put_object(Bucket=outputs["SseS3RespectDefaultBucketName"], Key="kept", Body=b"data")
    # IAM deletes no policy that somebody still has.
    _detach(aws, outputs)
    with pytest.raises(CdkError, match="BucketNotEmpty"):
        run_cdk(aws, "destroy", "--all", "--force", app=deployment.assembly)
    left = set(names) & _buckets(s3)
    assert outputs["SseS3RespectDefaultBucketName"] in left
    for name in left:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for version in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
    run_cdk(aws, "destroy", "--all", "--force", app=deployment.assembly)
    assert not set(names) & _buckets(s3)
    keys = [value for name, value in outputs.items() if name.endswith("KeyArn")]
    assert {kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys} == {"PendingDeletion"}


def _buckets(s3: Any) -> set[str]:  # noqa: ANN401 - boto3
    return {each["Name"] for each in s3.list_buckets()["Buckets"]}


def _detach(aws: EmbeddedAws, outputs: dict[str, str]) -> None:
    iam: Any = aws.client("iam")
    for name, arn in outputs.items():
        if name.endswith("PolicyArn"):
            for user in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]:
                iam.detach_user_policy(UserName=user["UserName"], PolicyArn=arn)

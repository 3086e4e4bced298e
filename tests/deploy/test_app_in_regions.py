"""Our own app in two Regions, as the demo deploys it: every promise is tried, and a broken one is seen.

The tests run in the order they stand in: the last one breaks what is deployed.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from rich.console import Console

from devtools.attempts import Attempt, Result, try_each
from devtools.chapters import regions
from devtools.embedded_aws.server import EmbeddedAws
from devtools.promises_in_regions import Deployed, Region, client_side_encryption, monitoring, promotion, replication
from devtools.stage import Stage

pytestmark = pytest.mark.deploy

HOME, AWAY = regions.REGIONS


class Shown(NamedTuple):
    """The chapter of the demo, and the account it leaves."""

    aws: EmbeddedAws
    results: list[Result]
    said: str


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    said = io.StringIO()
    with EmbeddedAws() as aws:
        stage = Stage(aws=aws, directory=tmp_path_factory.mktemp("demo"), console=Console(file=said))
        results = [result for section in regions.show(stage) for result in section.results]
        yield Shown(aws, results, said.getvalue())


def test_every_promise(shown: Shown) -> None:
    assert [result for result in shown.results if not result.kept] == []
    tried = {result.attempt.what: result.happened for result in shown.results}
    assert len(tried) == len(shown.results) > 30
    assert tried[f"object put in {HOME}"] == f"a replica under the key of {AWAY}"
    assert tried[f"object put in {AWAY}"] == f"a replica under the key of {HOME}"
    assert tried[f"upload to {AWAY} under the key of {HOME}"] == "refused"
    failed = f"object put in {HOME} while the bucket's key of {AWAY} is disabled"
    assert tried[failed] == "told of the failed replica: DstKmsKeyInvalidState"
    outage = f"read while KMS and S3 of {HOME} are shut off"
    assert tried[outage] == f"read in {AWAY}: three of them; the client said so"
    assert tried["deploy once more"] == tried["deploy after the promotion"] == "no changes"
    assert tried[f"promotion of the key in {AWAY}"] == f"the primary is in {AWAY}"


def test_it_deploys_with_one_command(shown: Shown) -> None:
    steps = re.findall(r"^  (cdk .*?) +\d+\.\d s$", shown.said, re.MULTILINE)
    deploy = "cdk deploy --all"
    assert steps == ["cdk synth", "cdk bootstrap", deploy, f"{deploy}, once more", f"{deploy}, after the promotion"]


def test_broken_promises_are_seen(shown: Shown) -> None:
    # The twin of the first test.
    deployed = Deployed(shown.aws, regions.NAME, regions.REGIONS, suffix="-broken")
    home, away = deployed.home, deployed.away
    home.s3.delete_bucket_replication(Bucket=home.location.bucket)
    away.s3.delete_bucket_policy(Bucket=away.location.bucket)
    shown.aws.client("kms", region=AWAY).disable_key(KeyId=away.location.key_arn)
    for region in (home, away):
        _let_nobody_publish(shown.aws, region)

    def changed(when: str) -> Attempt:
        return Attempt(what=f"deploy {when}", request="cdk deploy --all", expected="no changes", run=lambda: "changed")

    attempts = (
        *replication(deployed),
        *monitoring(deployed),
        *client_side_encryption(deployed),
        *promotion(deployed, changed),
    )
    broken = {result.attempt.what: result.happened for result in try_each(attempts) if not result.kept}
    off = f"while KMS and S3 of {HOME} are shut off"
    assert set(broken) == {
        f"object put in {HOME}",
        f"read of the replica in {AWAY} with the reader's policy",
        f"delete in {HOME}",
        f"upload to {AWAY} with AES256",
        f"upload to {AWAY} under the key of {HOME}",
        f"upload to {AWAY} under the applications' key",
        f"object put in {HOME} while the bucket's key of {AWAY} is disabled",
        f"alarm of replication in {HOME}",
        f"alarm of replication in {AWAY}",
        "subscription of an address without TLS",
        "what S3 holds of it",
        f"read while KMS of {HOME} is shut off",
        f"read {off}",
        f"put in {AWAY} {off}",
        f"read of that in {HOME} when it is back",
        f"read of its replica {off}",
        f"promotion of the key in {AWAY}",
        "deploy after the promotion",
        f"promotion of the key in {HOME}",
    }
    assert "NoSuchKey" in broken["what S3 holds of it"]


def _let_nobody_publish(aws: EmbeddedAws, region: Region) -> None:
    """Leave a topic whose policy neither lets services in nor refuses anything."""
    owner = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sns:Subscribe", "Resource": "*"}
    aws.client("sns", region=region.name).set_topic_attributes(
        TopicArn=region.topic_arn,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [owner]}),
    )

"""Multi-Region keys on the embedded AWS, and hands that change what KMS says of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from cdk_encrypted_data_operations.promotion import Promotion
from devtools.embedded_aws.server import Credentials, EmbeddedAws

ACCOUNT = "111122223333"
HOME, AWAY, FAR = REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")
ROTATION_DAYS = 180
ONE_ATTEMPT = Config(proxies={}, retries={"total_max_attempts": 1})


class Hands:
    """Change what KMS says, or answer in its place. Installed in a session before clients are made.

    The embedded AWS moves a primary at once. AWS takes seconds, in which it says of both keys that they are replicas.
    """

    def __init__(self, session: boto3.session.Session) -> None:
        self._changes: list[Callable[[str, dict[str, Any]], None]] = []
        self._answers: dict[str, list[Callable[[], AWSResponse]]] = {}
        change: Any = self._change  # boto3's types know the arguments of no event
        answer: Any = self._answer
        session.events.register("after-call.kms", change)
        session.events.register("after-call.cloudformation", change)
        session.events.register("before-send.kms", answer)

    def end(self) -> None:
        self._changes.clear()
        self._answers.clear()

    def describe(
        self, *regions: str, times: int = -1, kind: str | None = None, primary: str | None = None, **metadata: str
    ) -> None:
        """Say something else of the keys of these Regions, so many times or for ever."""
        left = dict.fromkeys(regions, times)

        def change(operation: str, parsed: dict[str, Any]) -> None:
            key = parsed.get("KeyMetadata", {}) if operation == "DescribeKey" else {}
            region = key.get("Arn", ":::").split(":")[3]
            if left.get(region):
                left[region] -= 1
                key |= metadata
                related = key["MultiRegionConfiguration"]
                related["MultiRegionKeyType"] = kind or related["MultiRegionKeyType"]
                related["PrimaryKey"]["Region"] = primary or related["PrimaryKey"]["Region"]

        self._changes.append(change)

    def deploy(self, region: str) -> None:
        """Be at work on the stacks of a Region."""

        def change(operation: str, parsed: dict[str, Any]) -> None:
            for stack in parsed.get("Stacks", []) if operation == "DescribeStacks" else ():
                if stack["StackId"].split(":")[3] == region:
                    stack["StackStatus"] = "UPDATE_IN_PROGRESS"

        self._changes.append(change)

    def open_as(self, plaintext: bytes) -> None:
        """Decrypt whatever to this."""
        self._changes.append(
            lambda operation, parsed: parsed.update(Plaintext=plaintext) if operation == "Decrypt" else None
        )

    def interrupt_after(self, *operations: str) -> None:
        """Press Ctrl-C when the last of these operations has been answered, after the ones before it."""
        waiting = list(operations)

        def change(operation: str, _parsed: dict[str, Any]) -> None:
            if waiting and operation == waiting[0]:
                waiting.pop(0)
                if not waiting:
                    raise KeyboardInterrupt

        self._changes.append(change)

    def answer(self, operation: str, *answers: Callable[[], AWSResponse]) -> None:
        """Answer the next requests for this in KMS's place."""
        self._answers.setdefault(operation, []).extend(answers)

    def _change(self, parsed: dict[str, Any], model: Any, **_event: object) -> None:  # noqa: ANN401 - botocore's
        for change in self._changes:
            change(model.name, parsed)

    def _answer(self, event_name: str, **_event: object) -> AWSResponse | None:
        waiting = self._answers.get(event_name.rpartition(".")[2])
        return waiting.pop(0)() if waiting else None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A key in three Regions, its primary in the first."""

    aws: EmbeddedAws
    key_id: str
    alias: str
    hands: Hands = field(repr=False)
    _session: boto3.session.Session = field(repr=False)
    _clients: dict[str, Any] = field(repr=False)

    def kms(self, region: str = HOME) -> Any:  # noqa: ANN401 - boto3
        """KMS as the root asks it, with nobody's hands in between."""
        return self._clients[region]

    def promotion(
        self,
        from_region: str = HOME,
        to_region: str = AWAY,
        *,
        key: str = "",
        by: Credentials | None = None,
        config: Config | None = ONE_ATTEMPT,
    ) -> Promotion:
        """A move, by the root or by somebody else."""
        session = self.aws.session(by) if by else self._session
        named = key or self.alias
        return Promotion(key=named, from_region=from_region, to_region=to_region, session=session, config=config)

    def session(self) -> boto3.session.Session:
        """What the hands are installed in."""
        return self._session

    def primary(self) -> str:
        """The Region of the primary, on which all Regions agree."""
        (found,) = {self.describe(region)["MultiRegionConfiguration"]["PrimaryKey"]["Region"] for region in REGIONS}
        return str(found)

    def describe(self, region: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kms(region).describe_key(KeyId=self.key_id)["KeyMetadata"]
        return found

    def refuse(self, region: str, *actions: str) -> None:
        """Refuse actions to everybody in the key's policy in a Region, and leave the rest to IAM."""
        deny = {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": "*"}
        document = json.dumps(policy(deny))
        self.kms(region).put_key_policy(KeyId=self.key_id, PolicyName="default", Policy=document)


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(account_id=ACCOUNT, region=HOME) as aws:
        yield aws


@pytest.fixture(scope="session")
def clients(aws: EmbeddedAws) -> dict[str, Any]:
    return {region: aws.client("kms", region=region) for region in REGIONS}


@pytest.fixture(scope="session")
def session(aws: EmbeddedAws) -> boto3.session.Session:
    """One for all: what a session costs is the reading of botocore's descriptions."""
    return aws.session()


@pytest.fixture(scope="session")
def hands_of_session(session: boto3.session.Session) -> Hands:
    return Hands(session)


@pytest.fixture
def pair(
    aws: EmbeddedAws, clients: dict[str, Any], session: boto3.session.Session, hands_of_session: Hands
) -> Iterator[Pair]:
    """A key for one test; no hand of the test before is left."""
    hands_of_session.end()
    home = clients[HOME]
    key_id = home.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    home.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=ROTATION_DAYS)
    alias = f"alias/{os.urandom(8).hex()}"
    for region, kms in clients.items():
        if region != HOME:
            home.replicate_key(KeyId=key_id, ReplicaRegion=region)
        kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    yield Pair(
        aws=aws,
        key_id=key_id,
        alias=alias,
        hands=hands_of_session,
        _session=session,
        _clients=clients,
    )
    hands_of_session.end()


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """The policy of a key that leaves all to IAM, but for these."""
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    delegation = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [delegation, *statements]}

"""MultiRegionKeyPair in three Regions: one key everywhere, who opens what while a Region is dark, the primary moved.

The tests run in the order they stand in: the last one destroys the stacks.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from botocore.exceptions import ClientError

from cdk_encrypted_data import EncryptedBucket, MultiRegionKeyPair, Promotion
from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws

pytestmark = pytest.mark.deploy

ACCOUNT = "111122223333"
REGIONS = HOME, AWAY, FAR = ("eu-central-1", "eu-west-1", "us-east-1")
OUTSIDE = "ap-southeast-2"
# Two pairs: of one IAM decides, the other names its administrator and its user.
OPEN, NAMED = "alias/Home/Open", "alias/named"
ROTATION_DAYS = {OPEN: 365, NAMED: 180}
BUCKET = "acme-under-the-replica"

CONTEXT = {"purpose": "orders"}
MESSAGE = {"EncryptionContext": CONTEXT | {"order": "7"}}
DENIED = "AccessDeniedException"

every_pair = pytest.mark.parametrize("alias", [OPEN, NAMED])


class Deployment(NamedTuple):
    """A running embedded AWS, clients of the roles in it, and the assembly deployed to it."""

    aws: EmbeddedAws
    client: Callable[[str, str, str], Any]
    assembly: Path

    def kms(self, role: str, region: str = HOME) -> Any:  # noqa: ANN401 - boto3
        """KMS of a Region for a session of a role, or for the account's root."""
        return self.client(role, "kms", region)

    def key(self, alias: str, region: str) -> dict[str, Any]:
        """What KMS of a Region says of the key behind an alias."""
        found: dict[str, Any] = self.kms("root", region).describe_key(KeyId=alias)["KeyMetadata"]
        return found

    def primary(self, alias: str) -> str:
        """The Region of the primary, on which all Regions agree."""
        said = [self.key(alias, region)["MultiRegionConfiguration"]["PrimaryKey"]["Region"] for region in REGIONS]
        (found,) = set(said)
        return str(found)

    def cdk(self, command: str, *options: str, assembly: Path | None = None) -> str:
        """Run the CDK CLI; return what it wrote."""
        return run_cdk(self.aws, command, *options, app=assembly or self.assembly)

    def deploy(self, *which: str, assembly: Path | None = None) -> str:
        """Deploy every stack, or the one that is named."""
        return self.cdk("deploy", *(which or ["--all"]), "--require-approval=never", assembly=assembly)

    def promote(self, who: str, from_region: str, to_region: str, *options: str, code: int = 0) -> dict[str, Any]:
        """Run the command as a session of a role, or as the account's root; return what it wrote."""
        session = self.aws.root if who == "root" else self.aws.assume_role(f"arn:aws:iam::{ACCOUNT}:role/{who}")
        credentials = {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token or "",
        }
        command = ["-m", "cdk_encrypted_data_operations", "promote", "--key", NAMED, "--json"]
        done = subprocess.run(
            [sys.executable, *command, "--from", from_region, "--to", to_region, *options],
            env=self.aws.environment() | {name: value for name, value in credentials.items() if value},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said | {"problem": done.stderr}

    def rotation_days(self, alias: str, region: str) -> int:
        """How often a Region says that the key is rotated."""
        status = self.kms("root", region).get_key_rotation_status(KeyId=self.key(alias, region)["Arn"])
        assert status["KeyRotationEnabled"]
        return int(status["RotationPeriodInDays"])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    assembly = tmp_path_factory.mktemp("deploy") / "cdk.out"
    synthesize(assembly)
    with EmbeddedAws(account_id=ACCOUNT, region=HOME) as aws:
        clients: dict[tuple[str, str, str], Any] = {}

        def client(role: str, service: str, region: str) -> Any:  # noqa: ANN401 - boto3
            if (role, service, region) not in clients:
                session = None if role == "root" else aws.assume_role(f"arn:aws:iam::{ACCOUNT}:role/{role}")
                clients[role, service, region] = aws.client(service, region=region, credentials=session)
            return clients[role, service, region]

        deployment = Deployment(aws, client, assembly)
        deployment.cdk("bootstrap")
        deployment.deploy()
        yield deployment


def synthesize(directory: Path, *, rotation_days: int = ROTATION_DAYS[NAMED], **options: Any) -> Path:  # noqa: ANN401
    app = cdk.App(outdir=str(directory))

    def stack(name: str, region: str) -> cdk.Stack:
        return cdk.Stack(app, name, env=cdk.Environment(account=ACCOUNT, region=region))

    def role(place: cdk.Stack, name: str, *actions: str) -> iam.Role:
        made = iam.Role(place, name.title(), role_name=name, assumed_by=iam.AccountRootPrincipal())
        if actions:
            made.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=["*"]))
        return made

    # KMS takes only principals that exist: a stack of their own is deployed before the keys.
    people = stack("People", HOME)
    home, away, far = stack("Home", HOME), stack("Away", AWAY), stack("Far", FAR)
    role(people, "bystander", "*")

    pair = MultiRegionKeyPair(home, "Open", replicas=[away, far])
    pair.grant_encrypt(role(home, "writer"), encryption_context=CONTEXT)
    pair.grant_decrypt(role(away, "reader", "s3:*"), encryption_context=CONTEXT)
    bucket = EncryptedBucket(
        away, "Bucket", key=pair.key_for(AWAY), bucket_name=BUCKET, removal_policy=cdk.RemovalPolicy.DESTROY
    )
    bucket.grant_read_write(role(away, "clerk"))

    MultiRegionKeyPair(
        home,
        "Named",
        replicas=[away, far],
        administrators=[role(people, "administrator", "*")],
        users=[role(people, "user")],
        alias_name=NAMED,
        rotation_period=cdk.Duration.days(rotation_days),
        **options,
    )
    app.synth()
    return directory


def error(call: Callable[..., object], **arguments: object) -> str:
    """Try a call; return the code of its error, or "" when there is none."""
    try:
        call(**arguments)
    except ClientError as refusal:
        return str(refusal.response["Error"]["Code"])
    return ""


def unchanged(output: str) -> list[str]:
    return sorted(re.findall(r"^\s*✅\s+(\w+) \(no changes\)", output, re.MULTILINE))


@every_pair
def test_one_key_in_every_region(deployed: Deployment, alias: str) -> None:
    keys = {region: deployed.key(alias, region) for region in REGIONS}
    (key_id,) = {key["KeyId"] for key in keys.values()}
    assert key_id.startswith("mrk-")
    assert [key["Arn"] for key in keys.values()] == [
        f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}" for region in REGIONS
    ]
    assert [key["MultiRegionConfiguration"]["MultiRegionKeyType"] for key in keys.values()] == [
        "PRIMARY",
        "REPLICA",
        "REPLICA",
    ]


@every_pair
def test_rotation_description_and_name_are_the_same(deployed: Deployment, alias: str) -> None:
    path = "Home/Open" if alias == OPEN else "Home/Named"
    for region in REGIONS:
        kms, key = deployed.kms("root", region), deployed.key(alias, region)
        assert deployed.rotation_days(alias, region) == ROTATION_DAYS[alias]
        tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key["Arn"])["Tags"]}
        assert tags["Name"] == path
        assert key["Description"] == f"Encrypts the data of {path} in every Region of the pair"


def test_what_was_encrypted_here_opens_there_in_the_dark(deployed: Deployment) -> None:
    writer, reader = deployed.kms("writer", HOME), deployed.kms("reader", AWAY)
    made = writer.generate_data_key(KeyId=OPEN, KeySpec="AES_256", **MESSAGE)
    sealed = {"CiphertextBlob": made["CiphertextBlob"]}
    with deployed.aws.shut_off("kms", HOME):
        assert error(deployed.kms("reader", HOME).decrypt, **sealed, **MESSAGE) == "ServiceUnavailable"
        opened = reader.decrypt(**sealed, **MESSAGE)
        assert (opened["Plaintext"], opened["KeyId"]) == (made["Plaintext"], deployed.key(OPEN, AWAY)["Arn"])
        # Who writes fails over as well, to a Region that has no stack of theirs.
        elsewhere = deployed.kms("writer", FAR).generate_data_key(KeyId=OPEN, KeySpec="AES_256", **MESSAGE)
        assert reader.decrypt(CiphertextBlob=elsewhere["CiphertextBlob"], **MESSAGE)["Plaintext"]


@pytest.mark.parametrize("context", [{}, {"purpose": "salaries"}, {"order": "7"}])
def test_the_context_that_a_grant_demands(deployed: Deployment, context: dict[str, str]) -> None:
    # The key's own policy lets the account's IAM decide: whom IAM allows everything makes what the grant refuses.
    request = {"EncryptionContext": context}
    sealed = deployed.kms("bystander").generate_data_key(KeyId=OPEN, KeySpec="AES_256", **request)["CiphertextBlob"]
    assert deployed.kms("bystander", AWAY).decrypt(CiphertextBlob=sealed, **request)["Plaintext"]
    assert error(deployed.kms("writer").generate_data_key, KeyId=OPEN, KeySpec="AES_256", **request) == DENIED
    assert error(deployed.kms("reader", AWAY).decrypt, CiphertextBlob=sealed, **request) == DENIED


def test_a_context_that_is_not_the_messages(deployed: Deployment) -> None:
    sealed = deployed.kms("writer").generate_data_key(KeyId=OPEN, KeySpec="AES_256", **MESSAGE)["CiphertextBlob"]
    assert (
        error(deployed.kms("reader", AWAY).decrypt, CiphertextBlob=sealed, EncryptionContext=CONTEXT)
        == "InvalidCiphertextException"
    )


@pytest.mark.parametrize("region", REGIONS)
def test_a_grant_of_one_is_not_the_other(deployed: Deployment, region: str) -> None:
    sealed = deployed.kms("writer", region).generate_data_key(KeyId=OPEN, KeySpec="AES_256", **MESSAGE)
    opening = {"CiphertextBlob": sealed["CiphertextBlob"], **MESSAGE}
    assert error(deployed.kms("reader", region).decrypt, **opening) == ""
    assert error(deployed.kms("writer", region).decrypt, **opening) == DENIED
    assert error(deployed.kms("reader", region).generate_data_key, KeyId=OPEN, KeySpec="AES_256", **MESSAGE) == DENIED


def test_use_in_applications_and_through_s3_are_apart(deployed: Deployment) -> None:
    where = {"Bucket": BUCKET, "Key": "a"}
    clerk, reader = deployed.client("clerk", "s3", AWAY), deployed.client("reader", "s3", AWAY)
    assert clerk.put_object(**where, Body=b"data")["SSEKMSKeyId"] == deployed.key(OPEN, AWAY)["Arn"]
    assert clerk.get_object(**where)["Body"].read() == b"data"
    assert error(reader.get_object, **where) == error(reader.put_object, **where, Body=b"data") == "AccessDenied"
    sealed = deployed.kms("writer").generate_data_key(KeyId=OPEN, KeySpec="AES_256", **MESSAGE)["CiphertextBlob"]
    assert error(deployed.kms("clerk", AWAY).decrypt, CiphertextBlob=sealed, **MESSAGE) == DENIED
    # Nor may whom IAM allows everything do outside S3 what S3 does, in any Region.
    for_s3 = {"aws:s3:arn": f"arn:aws:s3:::{BUCKET}"}
    for region in REGIONS:
        make = deployed.kms("bystander", region).generate_data_key
        assert error(make, KeyId=OPEN, KeySpec="AES_256", EncryptionContext=for_s3) == DENIED
        assert error(make, KeyId=OPEN, KeySpec="AES_256", EncryptionContext={"arn": BUCKET}) == ""


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(
    ("who", "uses", "switches"),
    [("administrator", False, True), ("user", True, False), ("bystander", False, False), ("root", False, False)],
)
def test_separation_of_duties_in_every_region(
    deployed: Deployment,
    region: str,
    who: str,
    uses: bool,  # noqa: FBT001
    switches: bool,  # noqa: FBT001
) -> None:
    kms, key = deployed.kms(who, region), {"KeyId": deployed.key(NAMED, region)["Arn"]}
    elsewhere = AWAY if region == HOME else HOME
    sealed = deployed.kms("user", elsewhere).generate_data_key(KeyId=NAMED, KeySpec="AES_256")["CiphertextBlob"]
    assert error(kms.decrypt, CiphertextBlob=sealed) == ("" if uses else DENIED)
    assert error(kms.generate_data_key, KeySpec="AES_256", **key) == ("" if uses else DENIED)
    assert error(kms.disable_key, **key) == ("" if switches else DENIED)
    if switches:
        kms.enable_key(**key)


@every_pair
def test_no_replica_outside_the_pair(deployed: Deployment, alias: str) -> None:
    key = {"KeyId": deployed.key(alias, HOME)["Arn"]}
    for who in ("bystander", "root"):
        assert error(deployed.kms(who).replicate_key, **key, ReplicaRegion=OUTSIDE) == DENIED
        assert error(deployed.kms(who).replicate_key, **key, ReplicaRegion=FAR) == "AlreadyExistsException"
    assert error(deployed.kms("root", OUTSIDE).describe_key, KeyId=alias) == "NotFoundException"


def test_only_administrators_move_the_primary(deployed: Deployment) -> None:
    key = deployed.key(NAMED, HOME)
    # The user may not even describe the keys; of the others KMS says it when they try.
    for who, why in (("user", "do what the table says"), ("bystander", DENIED), ("root", DENIED)):
        assert why in deployed.promote(who, HOME, AWAY, "--yes", code=1)["problem"]
    outside = {"KeyId": key["Arn"], "PrimaryRegion": OUTSIDE}
    assert error(deployed.kms("administrator").update_primary_region, **outside) == DENIED
    assert deployed.key(NAMED, HOME) == key


def test_the_primary_moves_is_recorded_and_comes_back(deployed: Deployment, tmp_path: Path) -> None:
    before = {region: deployed.key(NAMED, region) for region in REGIONS}
    sealed = deployed.kms("user").generate_data_key(KeyId=NAMED, KeySpec="AES_256")
    said = deployed.promote("administrator", HOME, AWAY, "--yes")
    after = {each["subject"]: each["outcome"] for each in said["after"]}
    assert after == {
        "the primary": "holds",
        f"state in {HOME}": "holds",
        f"state in {AWAY}": "holds",
        "rotation": "holds",
        f"{HOME} to {AWAY}": "unknown",  # administrators may not use the keys
        f"{AWAY} to {HOME}": "unknown",
    }
    assert deployed.primary(NAMED) == AWAY
    for region in REGIONS:
        assert deployed.key(NAMED, region)["Arn"] == before[region]["Arn"]
        opened = deployed.kms("user", region).decrypt(CiphertextBlob=sealed["CiphertextBlob"])
        assert opened["Plaintext"] == sealed["Plaintext"]

    # With the record nothing changes; what each key has by itself may change meanwhile.
    promotion = recorded(said)
    assert (promotion.primary_region, list(promotion.regions)) == (AWAY, [HOME, AWAY, FAR])
    same = synthesize(tmp_path / "same", promotion=promotion)
    assert differences(deployed.cdk("diff", "--all", assembly=same)) == 0
    assert unchanged(deployed.deploy(assembly=same)) == ["Away", "Far", "Home", "People"]
    described = synthesize(tmp_path / "described", promotion=promotion, description="Moved")
    assert unchanged(deployed.deploy(assembly=described)) == ["People"]
    assert [deployed.key(NAMED, region)["Description"] for region in REGIONS] == 3 * ["Moved"]
    assert deployed.primary(NAMED) == AWAY
    assert [deployed.rotation_days(NAMED, region) for region in REGIONS] == 3 * [ROTATION_DAYS[NAMED]]
    assert unchanged(deployed.deploy()) == ["People"]
    # Without the record what the pair refuses reaches CloudFormation: the key of that stack is a replica.
    rotated = synthesize(tmp_path / "rotated", rotation_days=200)
    with pytest.raises(ValueError, match=r"^Named: rotation_period is '200 days'; allowed: 180 days, as in promotion"):
        synthesize(tmp_path / "refused", rotation_days=200, promotion=promotion)
    assert differences(deployed.cdk("diff", "--all", assembly=rotated)) == 1
    with pytest.raises(CdkError, match="is a replica key since the primary moved"):
        deployed.deploy("Home", "--exclusively", assembly=rotated)

    deployed.promote("bystander", AWAY, HOME, "--yes", code=1)
    back = deployed.promote("administrator", AWAY, HOME, "--yes")
    assert back["promotion"] is None  # the template has it there
    assert deployed.primary(NAMED) == HOME
    assert {region: deployed.key(NAMED, region) for region in REGIONS} == before
    assert unchanged(deployed.deploy(assembly=rotated)) == ["Away", "Far", "People"]
    assert [deployed.rotation_days(NAMED, region) for region in REGIONS] == [200, 200, 200]


def recorded(said: dict[str, Any]) -> Promotion:
    """The record that the command said."""
    record = dict(said["promotion"])
    days = record.pop("rotation_period_days")
    return Promotion(**record, rotation_period=cdk.Duration.days(days))


def differences(output: str) -> int:
    """The number of stacks with differences, as the CLI says it."""
    (found,) = re.findall(r"Number of stacks with differences: (\d+)", output)
    return int(found)


def test_no_key_is_lost_with_the_stacks(deployed: Deployment) -> None:
    keys = {(alias, region): deployed.key(alias, region) for alias in (OPEN, NAMED) for region in REGIONS}
    sealed = deployed.kms("writer").generate_data_key(KeyId=OPEN, KeySpec="AES_256", **MESSAGE)
    s3 = deployed.client("root", "s3", AWAY)
    for version in s3.list_object_versions(Bucket=BUCKET)["Versions"]:
        s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    deployed.cdk("destroy", "--all", "--force")
    for (alias, region), key in keys.items():
        kms = deployed.kms("root", region)
        assert error(kms.describe_key, KeyId=alias) == "NotFoundException"
        assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"] == key
        assert key["KeyState"] == "Enabled"
        if alias == OPEN:
            opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], **MESSAGE)
            assert opened["Plaintext"] == sealed["Plaintext"]

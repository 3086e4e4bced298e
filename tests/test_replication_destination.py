"""A destination in another account: what the two apps make, what is proven of both together, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import (
    AccessLogBucket,
    CrossAccountDestination,
    DeleteMarkers,
    ObjectLock,
    ReplicatedEncryptedBuckets,
    ReplicationDestination,
    ReplicationDirection,
    ReplicationMonitoring,
    ServerSideEncryption,
)
from cdk_encrypted_data.policies import replication
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from tests.test_replicated_encrypted_buckets import ACCOUNT, AWAY, HOME, of_kind, outcomes, stack_in

OTHER = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/orders-replication"
KEY = f"arn:aws:kms:{AWAY}:{OTHER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BUCKET = f"backup-{OTHER}-{AWAY}-an"
DESTINATION = CrossAccountDestination(account=OTHER, region=AWAY, bucket_name=BUCKET, key_arn=KEY)

SHAPES: dict[str, dict[str, Any]] = {
    "smallest": {},
    "dsse": {"encryption": ServerSideEncryption.DSSE_KMS},
    "lock": {"object_lock": ObjectLock.ON},
    "markers stay": {"delete_markers": DeleteMarkers.NOT_REPLICATED},
}


class Accounts:
    """The apps of both accounts as one, with the key as the other account has told it."""

    def __init__(self, directory: Path, *, key_arn: str = KEY, shape: dict[str, Any] | None = None) -> None:
        app = cdk.App(outdir=str(directory))
        there = cdk.Stack(app, "There", env=cdk.Environment(account=OTHER, region=AWAY))
        here = stack_in(HOME, app, "Here")
        ReplicationDestination(there, "Backup", bucket_name_prefix="backup", source_role_arns=[ROLE], **(shape or {}))
        destination = CrossAccountDestination(account=OTHER, region=AWAY, bucket_name=BUCKET, key_arn=key_arn)
        self.buckets = ReplicatedEncryptedBuckets(
            here,
            "Data",
            bucket_name_prefix="acme",
            destinations=[destination],
            role_name="orders-replication",
            **(shape or {}),
        )
        self.monitoring = ReplicationMonitoring(here, "Monitoring", buckets=self.buckets)
        # As people do it, who deploy the one before the other.
        here.add_stack_dependency(there)
        self.templates = {each.stack_name: each.template for each in app.synth().stacks}


def outcomes_of(directory: Path, shape: dict[str, Any]) -> set[str]:
    Accounts(directory / "first", shape=shape)
    (key,) = (
        each for each in Assembly.read(directory / "first").resources_of_type("AWS::KMS::Key") if each.account == OTHER
    )
    Accounts(directory / "second", key_arn=str(key.arn), shape=shape)
    return set(outcomes(str(directory / "second")))


class TestProofs:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_nothing_is_found_and_nothing_undecided(self, shape: str, tmp_path: Path) -> None:
        assert outcomes_of(tmp_path, SHAPES[shape]) == set()

    @pytest.mark.parametrize(
        ("half", "found"),
        [("admit_replicas", "replication-destination-refuses"), ("admit_use_for_replicas", "replication-role-cannot")],
    )
    def test_either_half_is_needed(
        self, half: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replication, half, lambda *_arguments, **_options: [])
        assert found in outcomes_of(tmp_path, {})


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    return Accounts(tmp_path_factory.mktemp("accounts") / "cdk.out")


class TestBothAccounts:
    def test_the_rule_names_the_account_and_gives_the_replicas_away(self, accounts: Accounts) -> None:
        (bucket,) = of_kind(accounts.templates["Here"], "AWS::S3::Bucket")
        (rule,) = bucket["Properties"]["ReplicationConfiguration"]["Rules"]
        assert rule["Id"] == f"To-{OTHER}-{AWAY}"
        assert rule["Destination"]["Account"] == OTHER
        assert rule["Destination"]["AccessControlTranslation"] == {"Owner": "Destination"}
        assert rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": KEY}

    def test_the_role_has_the_name_that_the_policies_admit(self, accounts: Accounts) -> None:
        names = [each["Properties"].get("RoleName") for each in of_kind(accounts.templates["Here"], "AWS::IAM::Role")]
        assert names == [ROLE.rpartition("/")[2]]
        assert str(accounts.templates["There"]).count(ROLE) == 2

    def test_one_bucket_and_its_key_here_and_there(self, accounts: Accounts) -> None:
        for stack in ("Here", "There"):
            kinds = [each["Type"] for each in accounts.templates[stack]["Resources"].values()]
            assert kinds.count("AWS::S3::Bucket") == 1
            assert "AWS::Lambda::Function" not in kinds

    def test_failures_are_told_here(self, accounts: Accounts) -> None:
        assert accounts.monitoring.regions == (HOME,)
        (alarm,) = of_kind(accounts.templates["Here"], "AWS::CloudWatch::Alarm")
        dimensions = {each["Name"]: each["Value"] for each in alarm["Properties"]["Dimensions"]}
        assert dimensions["DestinationBucket"] == BUCKET
        assert dimensions["RuleId"] == f"To-{OTHER}-{AWAY}"
        (bucket,) = of_kind(accounts.templates["Here"], "AWS::S3::Bucket")
        assert "TopicConfigurations" in bucket["Properties"]["NotificationConfiguration"]

    def test_logical_ids_stay(self, accounts: Accounts) -> None:
        assert list(accounts.templates["There"]["Resources"]) == LOGICAL_IDS

    def test_beside_replicas_of_this_account(self, tmp_path: Path) -> None:
        app = cdk.App(outdir=str(tmp_path))
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        ReplicatedEncryptedBuckets(
            home, "Data", bucket_name_prefix="acme", replicas=[away], destinations=[DESTINATION], role_name="r"
        )
        (bucket,) = of_kind(app.synth().get_stack_by_name(HOME).template, "AWS::S3::Bucket")
        rules = bucket["Properties"]["ReplicationConfiguration"]["Rules"]
        assert [each["Id"] for each in rules] == [f"To-{AWAY}", f"To-{OTHER}-{AWAY}"]
        assert "Account" not in rules[0]["Destination"]


LOGICAL_IDS = [
    "BackupKeyE8E9B142",
    "BackupKeyAlias4B9CF281",
    "BackupBucketC057B673",
    "BackupBucketPolicy387365E3",
]

HERE_REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("destinations", {"destinations": "backup"}),
    ("destinations", {"destinations": [DESTINATION], "direction": ReplicationDirection.BOTH_WAYS}),
    ("destinations", {"destinations": [DESTINATION, DESTINATION]}),
    (
        "destinations",
        {"destinations": [CrossAccountDestination(account=ACCOUNT, region=AWAY, bucket_name=BUCKET, key_arn=KEY)]},
    ),
    ("role_name", {"destinations": [DESTINATION], "role_name": None}),
    ("role_name", {"destinations": [DESTINATION], "role_name": "path/name"}),
    ("account", {"destinations": [CrossAccountDestination(account="1", region=AWAY, bucket_name=BUCKET, key_arn=KEY)]}),
    ("region", {"destinations": [CrossAccountDestination(account=OTHER, region="x", bucket_name=BUCKET, key_arn=KEY)]}),
    (
        "bucket_name",
        {
            "destinations": [
                CrossAccountDestination(account=OTHER, region=AWAY, bucket_name="arn:aws:s3:::b", key_arn=KEY)
            ]
        },
    ),
    (
        "key_arn",
        {
            "destinations": [
                CrossAccountDestination(account=OTHER, region=AWAY, bucket_name=BUCKET, key_arn="alias/backup")
            ]
        },
    ),
    (
        "key_arn",
        {
            "destinations": [
                CrossAccountDestination(
                    account=OTHER, region=AWAY, bucket_name=BUCKET, key_arn=KEY.replace(AWAY, "us-east-1")
                )
            ]
        },
    ),
    ("replicas", {"destinations": []}),
]

THERE_REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("bucket_name_prefix", {"bucket_name_prefix": "Backup"}),
    ("source_role_arns", {"source_role_arns": []}),
    ("source_role_arns", {"source_role_arns": ROLE}),
    ("source_role_arns", {"source_role_arns": [f"arn:aws:iam::{ACCOUNT}:root"]}),
    ("source_role_arns", {"source_role_arns": [f"arn:aws:iam::{ACCOUNT}:role/*"]}),
    ("source_role_arns", {"source_role_arns": [ROLE.replace(ACCOUNT, OTHER)]}),
    ("source_role_arns", {"source_role_arns": [cdk.Token.as_string({"Ref": "Role"})]}),
    ("encryption", {"encryption": ServerSideEncryption.SSE_S3}),
    ("encryption", {"encryption": "aws:kms"}),
    ("delete_markers", {"delete_markers": True}),
    ("object_lock", {"object_lock": True}),
    ("key_alias_name", {"key_alias_name": "backup"}),
    ("key_alias_name", {"key_alias_name": "alias/aws/backup"}),
    ("key_rotation_period", {"key_rotation_period": cdk.Duration.days(89)}),
    ("key_pending_window", {"key_pending_window": cdk.Duration.days(31)}),
    ("abort_incomplete_multipart_upload_after", {"abort_incomplete_multipart_upload_after": cdk.Duration.days(366)}),
    ("access_log_prefix", {"access_log_prefix": "backup"}),
    ("access_log_prefix", {"access_log_prefix": "backup/"}),
    ("object_events", {"object_events": True}),
    ("removal_policy", {"removal_policy": cdk.RemovalPolicy.SNAPSHOT}),
]


class TestRefusals:
    @pytest.mark.parametrize(("argument", "arguments"), HERE_REFUSED)
    def test_here(self, argument: str, arguments: dict[str, Any]) -> None:
        stack = stack_in(HOME)
        with pytest.raises(ValueError, match=rf"^Data: {argument} is .+; allowed: [^;]+; .+[^.]$") as caught:
            ReplicatedEncryptedBuckets(stack, "Data", **{"bucket_name_prefix": "acme", "role_name": "r", **arguments})
        assert not isinstance(caught.value, jsii.errors.JSIIError)
        assert stack.node.try_find_child("Data") is None

    def test_a_name_for_a_role_that_no_other_account_admits(self) -> None:
        app = cdk.App()
        with pytest.raises(ValueError, match=r"^Data: role_name is 'r'; allowed: nothing together with replicas alone"):
            ReplicatedEncryptedBuckets(
                stack_in(HOME, app), "Data", bucket_name_prefix="acme", replicas=[stack_in(AWAY, app)], role_name="r"
            )

    @pytest.mark.parametrize(("argument", "arguments"), THERE_REFUSED)
    def test_there(self, argument: str, arguments: dict[str, Any]) -> None:
        stack = cdk.Stack(cdk.App(), "There", env=cdk.Environment(account=OTHER, region=AWAY))
        with pytest.raises(ValueError, match=rf"^Backup: {argument} is .+; allowed: .+; .+[^.]$") as caught:
            ReplicationDestination(
                stack, "Backup", **{"bucket_name_prefix": "backup", "source_role_arns": [ROLE], **arguments}
            )
        assert not isinstance(caught.value, jsii.errors.JSIIError)
        assert stack.node.try_find_child("Backup") is None

    def test_options_of_the_bucket_and_key(self, tmp_path: Path) -> None:
        app = cdk.App(outdir=str(tmp_path))
        stack = cdk.Stack(app, "There", env=cdk.Environment(account=OTHER, region=AWAY))
        destination = ReplicationDestination(
            stack,
            "Backup",
            bucket_name_prefix="backup",
            source_role_arns=[ROLE, f"{ROLE}-2"],
            key_administrators=[iam.ArnPrincipal(f"arn:aws:iam::{OTHER}:role/administrator")],
            noncurrent_version_expiration=cdk.Duration.days(400),
            access_log_bucket=AccessLogBucket(stack, "Logs"),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        destination.bucket.grant_read(iam.ManagedPolicy(stack, "Readers"))
        template = app.synth().get_stack_by_name("There").template
        for expected in ("'NoncurrentDays': 400", "AdministratorsCannotUseKey", "'AdmitReplicas2'", "LoggingConfig"):
            assert expected in str(template)
        kept = {name for name, each in template["Resources"].items() if each.get("DeletionPolicy") == "Retain"}
        assert not [name for name in kept if name.startswith("Backup")]

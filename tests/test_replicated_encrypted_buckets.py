"""ReplicatedEncryptedBuckets: its buckets, rules and roles, what is proven of them, and what is refused."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from botocore.exceptions import ClientError
from constructs import Construct

from cdk_encrypted_data import (
    AccessLogBucket,
    CustomerProvidedKeys,
    DeleteMarkers,
    MultiRegionKeyPair,
    ObjectEvents,
    ObjectLock,
    ReplicatedEncryptedBuckets,
    ReplicationDirection,
    ReplicationTime,
    ServerSideEncryption,
    UploadPolicy,
    policies,
)
from cdk_encrypted_data.bucket_replication import CODE
from cdk_encrypted_data.policies import Statement
from cdk_encrypted_data.policies.replication import Replication
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.proof import prove
from cdk_encrypted_data.proofs.rules import replication_roles
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data.validation import BUCKETS

ACCOUNT = "111122223333"
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")
HOME, AWAY, FAR = REGIONS
FIVE_REGIONS = (*REGIONS, "ap-southeast-2", "ca-central-1")
TAGS = {"class": "public", "owner": "acme"}

BOTH_WAYS = ReplicationDirection.BOTH_WAYS
CONFIGURATION = {"Role": "ours", "Rules": [{"ID": "To-us-east-1"}]}
NOT_CONFIGURED = "ReplicationConfigurationNotFoundError"

# Every option that changes what is replicated, as whom and how: each must be provable.
SHAPES: dict[str, dict[str, Any]] = {
    "smallest": {},
    "dsse": {"encryption": ServerSideEncryption.DSSE_KMS},
    "header": {"upload_policy": UploadPolicy.REQUIRE_HEADER},
    "sse-c": {"customer_provided_keys": CustomerProvidedKeys.ALLOWED},
    "markers stay": {"delete_markers": DeleteMarkers.NOT_REPLICATED},
    "in time": {"replication_time": ReplicationTime.WITHIN_15_MINUTES},
    "prefix": {"object_key_prefix": "reports/"},
    "tag": {"object_tags": {"class": "public"}, "delete_markers": DeleteMarkers.NOT_REPLICATED},
    "tags": {"object_tags": TAGS, "delete_markers": DeleteMarkers.NOT_REPLICATED},
    "prefix and tag": {
        "object_key_prefix": "reports/",
        "object_tags": {"class": "public"},
        "delete_markers": DeleteMarkers.NOT_REPLICATED,
    },
    "lock": {"object_lock": ObjectLock.ON},
    "administrators": {"key_administrators": [iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/administrator")]},
}

# What the proofs say of what somebody chose, of any EncryptedBucket.
CHOSEN = {"header": {"bucket-header-required"}, "sse-c": {"bucket-customer-provided-keys"}}


class Buckets:
    """Buckets in stacks of their own, one for each Region."""

    def __init__(self, *regions: str, scope: Construct | None = None, **arguments: Any) -> None:  # noqa: ANN401 - options
        self.scope = scope or cdk.App()
        self.stacks = [stack_in(region, self.scope) for region in regions or (HOME, AWAY)]
        self.home, *self.away = self.stacks
        self.buckets = make(self.home, self.away, **arguments)

    def templates(self) -> dict[str, dict[str, Any]]:
        """Return the templates by their stacks' names."""
        return {stack.stack_name: stack.template for stack in self._synth().stacks}

    def outcomes(self) -> list[str]:
        """Return the rules that are broken, or that nobody can decide, in the whole app."""
        return outcomes(self._synth().directory)

    def _synth(self) -> Any:  # noqa: ANN401 - an assembly
        app = self.scope.node.root
        assert isinstance(app, cdk.App)
        return app.synth()


def outcomes(directory: str) -> list[str]:
    assembly = Assembly.read(directory)
    proof = prove(assembly)
    assert proof.gaps == ()
    # Said by name: what the role may do is what these tests stand on.
    of_roles = [one for check in replication_roles.CHECKS for one in check(Inventory(assembly), Prover())]
    return [one.rule.id for one in (*proof.findings, *proof.undecidable, *of_roles)]


def stack_in(region: str | None, scope: Construct | None = None, name: str | None = None) -> cdk.Stack:
    return cdk.Stack(scope or cdk.App(), name or str(region), env=cdk.Environment(account=ACCOUNT, region=region))


def make(home: Construct, away: Any, name: str = "Data", **arguments: Any) -> ReplicatedEncryptedBuckets:  # noqa: ANN401
    return ReplicatedEncryptedBuckets(home, name, **{"bucket_name_prefix": "acme", "replicas": away, **arguments})


def of_kind(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in template["Resources"].values() if each["Type"] == kind]


def rules_of(template: dict[str, Any]) -> list[dict[str, Any]]:
    (bucket,) = of_kind(template, "AWS::S3::Bucket")
    rules: list[dict[str, Any]] = bucket["Properties"]["ReplicationConfiguration"]["Rules"]
    return rules


def permissions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (policy,) = of_kind(template, "AWS::IAM::ManagedPolicy")
    return {each["Sid"]: each for each in policy["Properties"]["PolicyDocument"]["Statement"]}


class TestOneWay:
    def test_plain_resources_only(self) -> None:
        found = Buckets(*REGIONS).templates()
        kinds = {name: sorted(each["Type"] for each in found[name]["Resources"].values()) for name in REGIONS}
        bucket = ["AWS::KMS::Alias", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"]
        assert kinds[AWAY] == kinds[FAR] == bucket
        assert kinds[HOME] == sorted([*bucket, "AWS::IAM::ManagedPolicy", "AWS::IAM::Role"])

    def test_a_rule_for_each_destination_and_none_back(self) -> None:
        found = Buckets(*REGIONS).templates()
        rules = rules_of(found[HOME])
        assert [each["Id"] for each in rules] == [f"To-{AWAY}", f"To-{FAR}"]
        assert len({each["Priority"] for each in rules}) == len(rules)
        assert "ReplicationConfiguration" not in str([found[AWAY], found[FAR]])

    def test_the_replicas_key_is_read_from_its_stack(self) -> None:
        found = Buckets().templates()
        (rule,) = rules_of(found[HOME])
        reference = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]["Fn::GetStackOutput"]
        ((key, _),) = [one for one in found[AWAY]["Resources"].items() if one[1]["Type"] == "AWS::KMS::Key"]
        assert reference["Region"] == AWAY
        assert found[AWAY]["Outputs"][reference["OutputName"]]["Value"] == {"Fn::GetAtt": [key, "Arn"]}

    def test_destinations_are_deployed_first_and_permissions_before_the_bucket(self) -> None:
        buckets = Buckets(*REGIONS)
        found = buckets.templates()
        assert [each.dependencies for each in buckets.stacks] == [buckets.away, [], []]
        (bucket,) = of_kind(found[HOME], "AWS::S3::Bucket")
        policies = [name for name, each in found[HOME]["Resources"].items() if "ManagedPolicy" in each["Type"]]
        assert bucket["DependsOn"] == policies

    def test_logical_ids_stay(self) -> None:
        found = Buckets().templates()
        assert {name: list(each["Resources"]) for name, each in found.items()} == LOGICAL_IDS

    def test_two_in_the_same_stacks(self) -> None:
        buckets = Buckets()
        make(buckets.home, buckets.away, "Orders", bucket_name_prefix="orders")
        assert buckets.outcomes() == []

    def test_regions_buckets_and_roles(self) -> None:
        buckets = Buckets(*REGIONS).buckets
        assert buckets.regions == REGIONS
        for region in REGIONS:
            assert cdk.Stack.of(buckets.bucket_for(region)).region == region
        assert isinstance(buckets.role_for(HOME), iam.Role)
        with pytest.raises(ValueError, match=r"^Data: region is 'eu-west-1'; allowed: one of eu-central-1; choose "):
            buckets.role_for(AWAY)
        with pytest.raises(ValueError, match=r"^Data: region is 'moon'; allowed: one of eu-central-1, eu-west-1, us-"):
            buckets.bucket_for("moon")


LOGICAL_IDS = {
    HOME: [
        "DataBucketKey6DA7DB67",
        "DataBucketKeyAliasF98C7FAD",
        "DataBucket29F23293",
        "DataBucketPolicyE215AACA",
        "DataRole51DCB2AB",
        "DataPermissions41D2CA35",
    ],
    AWAY: [
        "DataReplicaKeyD2FE9E7D",
        "DataReplicaKeyAliasA6D57971",
        "DataReplicaBucket4ACF871D",
        "DataReplicaPolicyA4C2A377",
    ],
}


class TestProofs:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_nothing_is_found_and_nothing_undecided(self, shape: str) -> None:
        assert set(Buckets(*REGIONS, **SHAPES[shape]).outcomes()) == CHOSEN.get(shape, set())

    @pytest.mark.parametrize("direction", ReplicationDirection)
    @pytest.mark.parametrize("number", [2, 5])
    def test_nor_with_fewer_or_more_regions(self, number: int, direction: ReplicationDirection, tmp_path: Path) -> None:
        regions = FIVE_REGIONS[:number]
        buckets = Buckets(*regions, scope=cdk.App(outdir=str(tmp_path)), direction=direction)
        found = buckets.templates()
        roles = [role for each in found.values() for role in of_kind(each, "AWS::IAM::Role") if "s3.amaz" in str(role)]
        assert len(roles) == (1 if direction is ReplicationDirection.ONE_WAY else number)
        for region in regions:
            others = tuple(each for each in regions if each != region)
            replicates = direction is BOTH_WAYS or region == HOME
            assert buckets.buckets.destinations_of(region) == (others if replicates else ())
        assert outcomes(str(tmp_path)) == []

    def test_with_grants_logs_events_and_a_pair_of_keys(self) -> None:
        app = cdk.App()
        home, *away = [stack_in(region, app) for region in (HOME, AWAY)]
        key_stacks = [stack_in(region, app, f"Keys-{region}") for region in (HOME, AWAY)]
        buckets = make(
            home,
            away,
            keys=MultiRegionKeyPair(key_stacks[0], "Keys", replicas=key_stacks[1:]),
            access_log_buckets=[AccessLogBucket(each, "Logs") for each in (home, *away)],
            object_events=ObjectEvents.EVENT_BRIDGE,
        )
        readers = iam.ManagedPolicy(home, "Readers")
        buckets.grant_read(readers)
        # Of a key for applications too.
        assert set(outcomes(app.synth().directory)) == {"key-not-bound-to-bucket"}

    @pytest.mark.parametrize("position", range(5))
    def test_every_statement_is_needed(self, position: int, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = Replication.permissions

        def without_one(self: Replication, *places: Any) -> list[Statement]:  # noqa: ANN401 - passed on
            statements = whole(self, *places)
            del statements[position]
            return statements

        monkeypatch.setattr(Replication, "permissions", without_one)
        assert "replication-role-cannot" in Buckets().outcomes()


class TestBothWays:
    def test_a_configuration_for_every_bucket_made_last(self) -> None:
        buckets = Buckets(*REGIONS, direction=ReplicationDirection.BOTH_WAYS)
        found = buckets.templates()
        assert [each.dependencies for each in buckets.stacks] == [buckets.away, [], []]
        assert "ReplicationConfiguration" not in {
            name for each in found.values() for one in of_kind(each, "AWS::S3::Bucket") for name in one["Properties"]
        }
        assert "Custom::" not in str([found[AWAY], found[FAR]])
        made = of_kind(found[HOME], "Custom::BucketReplication")
        assert [each["Properties"]["Region"] for each in made] == list(REGIONS)
        (bucket,) = [name for name, each in found[HOME]["Resources"].items() if each["Type"] == "AWS::S3::Bucket"]
        for each in made:
            # So that it is also deleted before them.
            assert bucket in each["DependsOn"]
            assert len([name for name in each["DependsOn"] if "Permissions" in name]) == 2

    def test_a_role_for_each_bucket(self) -> None:
        buckets = Buckets(*REGIONS, direction=ReplicationDirection.BOTH_WAYS).buckets
        assert len({buckets.role_for(region).node.path for region in REGIONS}) == len(REGIONS)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_as_properties_of_the_buckets_nothing_is_found(self, shape: str, tmp_path: Path) -> None:
        buckets = Buckets(*REGIONS, scope=cdk.App(outdir=str(tmp_path)), direction=BOTH_WAYS, **SHAPES[shape])
        buckets.templates()
        carry_out(tmp_path)
        # There is no order for properties: that is why they are none.
        assert set(outcomes(str(tmp_path))) - CHOSEN.get(shape, set()) == {"replication-destination-late"}

    def test_a_role_for_the_wrong_bucket_is_found(self, tmp_path: Path) -> None:
        Buckets(*REGIONS, scope=cdk.App(outdir=str(tmp_path)), direction=BOTH_WAYS).templates()
        carry_out(tmp_path, roles={AWAY: FAR, FAR: AWAY})
        assert "replication-role-cannot" in outcomes(str(tmp_path))

    def test_the_function_may_configure_these_buckets_with_these_roles_and_nothing_else(self) -> None:
        found = Buckets(*REGIONS, direction=BOTH_WAYS).templates()[HOME]
        (policy,) = [
            each["Properties"]["PolicyDocument"]["Statement"]
            for name, each in found["Resources"].items()
            if name.startswith("DataReplicationPermissions")
        ]
        assert [each["Action"] for each in policy] == [
            ["s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration"],
            "iam:PassRole",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
        ]
        assert "*" not in str([each["Resource"] for each in policy])
        assert [len(each["Resource"]) for each in policy[:2]] == [len(REGIONS)] * 2


def carry_out(directory: Path, roles: Mapping[str, str] | None = None) -> None:
    """Write what the function would put on the buckets into their templates, as properties."""
    assembly = Assembly.read(directory)
    configurations = {
        str(each.setting("Region")): json.loads(str(each.setting("Configuration")))
        for each in assembly.resources_of_type("Custom::BucketReplication")
    }
    for region, configuration in configurations.items():
        role = configurations[(roles or {}).get(region, region)]["Role"]
        path = directory / f"{region}.template.json"
        template = json.loads(path.read_text())
        (bucket,) = of_kind(template, "AWS::S3::Bucket")
        bucket["Properties"]["ReplicationConfiguration"] = as_property({**configuration, "Role": role})
        path.write_text(json.dumps(template))


def as_property(value: Any) -> Any:  # noqa: ANN401 - JSON
    named = {"ID": "Id", "Tag": "TagFilter", "Tags": "TagFilters"}
    if isinstance(value, dict):
        return {named.get(name, name): as_property(each) for name, each in value.items()}
    return [as_property(each) for each in value] if isinstance(value, list) else value


class TestFunction:
    """What the custom resource's function does, with a stand-in for S3."""

    def test_puts_what_it_is_told(self) -> None:
        function = Function()
        function.handle("Create")
        function.handle("Update")
        assert function.calls == [("eu-west-1", "put", "acme", CONFIGURATION)] * 2
        assert function.answers == [("SUCCESS", "acme", None)] * 2

    @pytest.mark.parametrize("code", ["AccessDenied", "InvalidRequest"])
    def test_waits_for_what_takes_effect_in_seconds(self, code: str) -> None:
        function = Function(put=[code, code])
        function.handle("Create")
        assert function.answers == [("SUCCESS", "acme", None)]

    @pytest.mark.parametrize(("codes", "calls"), [(["AccessDenied"] * 9, 6), (["NoSuchBucket"], 1)])
    def test_says_why_it_failed(self, codes: list[str], calls: int) -> None:
        function = Function(put=codes)
        function.handle("Create")
        ((status, physical_id, reason),) = function.answers
        assert (status, physical_id, len(function.calls)) == ("FAILED", "acme", calls)
        assert str(reason).startswith(f"replication of acme: An error occurred ({codes[0]})")

    @pytest.mark.parametrize(
        ("role", "code", "taken"),
        [("ours", "", True), ("another", "", False), ("", "NoSuchBucket", False), ("", NOT_CONFIGURED, False)],
    )
    def test_takes_only_its_own_away(self, role: str, code: str, *, taken: bool) -> None:
        function = Function(role=role, get=[code] if code else [])
        function.handle("Delete")
        assert function.answers == [("SUCCESS", "acme", None)]
        assert ("delete" in [call[1] for call in function.calls]) is taken

    def test_says_why_it_couldnt(self) -> None:
        function = Function(role="ours", get=["AccessDenied"])
        function.handle("Delete")
        assert function.answers[0][0] == "FAILED"


class Function:
    """The function's code, with S3 and CloudFormation played."""

    def __init__(self, *, role: str = "", put: Sequence[str] = (), get: Sequence[str] = ()) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: list[tuple[str, str, str | None]] = []
        self._role, self._put, self._get = role, list(put), list(get)

    def handle(self, kind: str) -> None:
        modules: dict[str, dict[str, Any]] = {
            "boto3": {"client": self._client},
            "cfnresponse": {"SUCCESS": "SUCCESS", "FAILED": "FAILED", "send": self._answer},
            "time": {"sleep": lambda _: None},
        }
        wanted = {"Bucket": "acme", "Region": "eu-west-1", "Configuration": json.dumps(CONFIGURATION)}
        with pytest.MonkeyPatch.context() as patch:
            for name, contents in modules.items():
                module = ModuleType(name)
                vars(module).update(contents)
                patch.setitem(sys.modules, name, module)
            code: dict[str, Any] = {}
            exec(CODE, code)  # noqa: S102 - ours
            code["handler"]({"RequestType": kind, "ResourceProperties": wanted}, None)

    def _client(self, _service: str, region_name: str) -> SimpleNamespace:
        def call(what: str, failures: list[str], Bucket: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401, N803 - boto3's
            self.calls.append((region_name, what, Bucket, *said.values()))
            if failures:
                raise ClientError({"Error": {"Code": failures.pop(0), "Message": "no"}}, what)
            return {"ReplicationConfiguration": {"Role": self._role}}

        return SimpleNamespace(
            put_bucket_replication=partial(call, "put", self._put),
            get_bucket_replication=partial(call, "get", self._get),
            delete_bucket_replication=partial(call, "delete", []),
        )

    def _answer(self, *said: Any, reason: str | None = None) -> None:  # noqa: ANN401 - of cfnresponse
        _event, _context, status, _data, physical_id = said
        self.answers.append((status, physical_id, reason))


class TestRules:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({}, {"Prefix": ""}),
            ({"object_key_prefix": "reports/"}, {"Prefix": "reports/"}),
            (SHAPES["tag"], {"TagFilter": {"Key": "class", "Value": "public"}}),
            (
                SHAPES["tags"],
                {"And": {"TagFilters": [{"Key": "class", "Value": "public"}, {"Key": "owner", "Value": "acme"}]}},
            ),
            (
                SHAPES["prefix and tag"],
                {"And": {"Prefix": "reports/", "TagFilters": [{"Key": "class", "Value": "public"}]}},
            ),
        ],
    )
    def test_filters(self, arguments: dict[str, Any], expected: dict[str, Any]) -> None:
        (rule,) = rules_of(Buckets(**arguments).templates()[HOME])
        assert rule["Filter"] == expected

    def test_delete_markers(self) -> None:
        for how, status, may in (
            (DeleteMarkers.REPLICATED, "Enabled", True),
            (DeleteMarkers.NOT_REPLICATED, "Disabled", False),
        ):
            found = Buckets(delete_markers=how).templates()[HOME]
            (rule,) = rules_of(found)
            assert rule["DeleteMarkerReplication"] == {"Status": status}
            assert ("s3:ReplicateDelete" in permissions(found)["StoreReplicas"]["Action"]) is may

    def test_in_time_and_in_another_class(self) -> None:
        (rule,) = rules_of(
            Buckets(
                replication_time=ReplicationTime.WITHIN_15_MINUTES,
                replica_storage_class=s3.StorageClass.INFREQUENT_ACCESS,
            ).templates()[HOME]
        )
        minutes = {"Minutes": 15}
        assert rule["Destination"]["ReplicationTime"] == {"Status": "Enabled", "Time": minutes}
        assert rule["Destination"]["Metrics"] == {"Status": "Enabled", "EventThreshold": minutes}
        assert rule["Destination"]["StorageClass"] == "STANDARD_IA"

    def test_locked_everywhere_or_nowhere_and_the_right_to_read_locks_with_it(self) -> None:
        for how, locked in ((ObjectLock.OFF, False), (ObjectLock.ON, True)):
            found = Buckets(object_lock=how).templates()
            for template in found.values():
                (bucket,) = of_kind(template, "AWS::S3::Bucket")
                assert bucket["Properties"].get("ObjectLockEnabled", False) is locked
            may = {"s3:GetObjectLegalHold", "s3:GetObjectRetention"} & set(
                permissions(found[HOME])["ReadObjects"]["Action"]
            )
            assert bool(may) is locked

    def test_a_prefix_limits_the_role_too(self) -> None:
        found = permissions(Buckets(object_key_prefix="reports/").templates()[HOME])
        for sid in ("ReadObjects", "StoreReplicas"):
            assert "-an/reports/*" in str(found[sid]["Resource"])
        for sid in ("DecryptObjects", "EncryptReplicas1"):
            assert "-an/reports/*" in str(found[sid]["Condition"])

    def test_a_bucket_key_is_verified_where_there_is_one(self) -> None:
        assert permissions(Buckets().templates()[HOME])["EncryptReplicas1"]["Action"] == ["kms:Decrypt", "kms:Encrypt"]
        dsse = Buckets(encryption=ServerSideEncryption.DSSE_KMS).templates()[HOME]
        assert permissions(dsse)["EncryptReplicas1"]["Action"] == "kms:Encrypt"


class TestGrants:
    def test_all_regions_at_once(self) -> None:
        buckets = Buckets(*REGIONS)
        policy = iam.ManagedPolicy(buckets.home, "Everything")
        for grant in ("grant_read", "grant_write", "grant_read_write", "grant_delete"):
            assert getattr(buckets.buckets, grant)(policy).success
        (document,) = [
            each["Properties"]["PolicyDocument"]
            for name, each in buckets.templates()[HOME]["Resources"].items()
            if name.startswith("Everything")
        ]
        for region in (AWAY, FAR):
            assert f":s3:::acme-{ACCOUNT}-{region}-an" in str(document)
            assert f"s3.{region}.amazonaws.com" in str(document)
        assert buckets.outcomes() == []

    def test_in_a_stack_that_is_deployed_later(self) -> None:
        buckets = Buckets()
        later = stack_in(AWAY, buckets.scope, "Later")
        buckets.buckets.grant_read(iam.Role(later, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com")))
        assert buckets.outcomes() == []
        assert later.dependencies == [buckets.home, *buckets.away]

    def test_not_in_a_stack_that_is_deployed_before(self) -> None:
        buckets = Buckets()
        policy = iam.ManagedPolicy(buckets.away[0], "Readers")
        with pytest.raises(
            ValueError, match=r"^Data: grantee is .of eu-west-1, which is deployed before .+bucket_for$"
        ):
            buckets.buckets.grant_read(policy)
        buckets.buckets.bucket_for(AWAY).grant_read(policy)
        assert buckets.outcomes() == []

    def test_a_grantee_of_another_account_and_a_bad_pattern(self) -> None:
        buckets = Buckets()
        stranger = iam.Role.from_role_arn(buckets.home, "Stranger", "arn:aws:iam::444455556666:role/stranger")
        with pytest.raises(ValueError, match=r"^Data: grantee is 'a principal of account 444455556666'"):
            buckets.buckets.grant_read(stranger)
        with pytest.raises(ValueError, match=r"objects_key_pattern is '/a'"):
            buckets.buckets.grant_read(iam.ManagedPolicy(buckets.home, "P"), objects_key_pattern="/a")


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("bucket_name_prefix", {"bucket_name_prefix": "Acme"}),
    ("bucket_name_prefix", {"bucket_name_prefix": None}),
    ("bucket_name_prefix", {"bucket_name_prefix": "a" * 35}),
    ("bucket_name_prefix", {"bucket_name_prefix": cdk.Token.as_string({"Ref": "Prefix"})}),
    ("replicas", {"replicas": []}),
    ("replicas", {"replicas": "eu-west-1"}),
    ("replicas", {"replicas": ["eu-west-1"]}),
    ("direction", {"direction": "one-way"}),
    ("delete_markers", {"delete_markers": True}),
    ("replication_time", {"replication_time": 15}),
    ("replica_storage_class", {"replica_storage_class": "STANDARD_IA"}),
    ("object_key_prefix", {"object_key_prefix": ""}),
    ("object_key_prefix", {"object_key_prefix": "reports/*"}),
    ("object_key_prefix", {"object_key_prefix": "${aws:username}/"}),
    ("object_key_prefix", {"object_key_prefix": cdk.Token.as_string({"Ref": "Prefix"})}),
    ("object_tags", {"object_tags": {}}),
    ("object_tags", {"object_tags": [("class", "public")]}),
    ("object_tags", {"object_tags": {"class": 1}, "delete_markers": DeleteMarkers.NOT_REPLICATED}),
    ("object_tags", {"object_tags": {"aws:x": "1"}, "delete_markers": DeleteMarkers.NOT_REPLICATED}),
    ("object_tags", {"object_tags": {"class": "public"}}),
    ("object_lock", {"object_lock": True}),
    ("encryption", {"encryption": ServerSideEncryption.SSE_S3}),
    ("encryption", {"encryption": "aws:kms"}),
    ("keys", {"keys": "alias/acme"}),
    ("upload_policy", {"upload_policy": "require-header"}),
    ("key_rotation_period", {"key_rotation_period": cdk.Duration.days(30)}),
    ("key_administrators", {"key_administrators": [iam.AccountRootPrincipal()]}),
    ("noncurrent_version_expiration", {"noncurrent_version_expiration": 7}),
    ("lifecycle_rules", {"lifecycle_rules": [s3.LifecycleRule()]}),
    ("access_log_buckets", {"access_log_buckets": "logs"}),
    ("removal_policy", {"removal_policy": cdk.RemovalPolicy.SNAPSHOT}),
]


class TestRefusals:
    @pytest.mark.parametrize(("argument", "arguments"), REFUSED)
    def test_one_by_one(self, argument: str, arguments: dict[str, Any]) -> None:
        app = cdk.App()
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        assert_refused(argument, home, [away], **arguments)
        assert away.node.try_find_child("DataReplica") is None

    def test_places(self) -> None:
        app = cdk.App()
        home = stack_in(HOME, app)
        assert_refused("replicas", home, [stack_in(HOME, app, "Same")])
        assert_refused("replicas", home, [stack_in(AWAY, app), stack_in(AWAY, app, "Twice")])
        assert_refused("replicas", home, [cdk.Stack(app, "Nowhere")])
        assert_refused("replicas", home, [stack_in(AWAY, cdk.App(), "OtherApp")])
        assert_refused("replicas", home, [cdk.NestedStack(stack_in(AWAY, app, "Around"), "Nested")])
        other = cdk.Stack(app, "Other", env=cdk.Environment(account="444455556666", region=AWAY))
        assert_refused("replicas", home, [other], words=BUCKETS.elsewhere)
        assert_refused(
            "scope", cdk.Stack(app, "NoRegion"), [stack_in(AWAY, app, "Fine")], words="bucket of the construct"
        )

    def test_the_same_id_twice_in_a_place(self) -> None:
        buckets = Buckets()
        assert_refused("replicas", Construct(buckets.home, "Again"), buckets.away, bucket_name_prefix="other")

    def test_keys(self) -> None:
        app = cdk.App()
        home, away, far, elsewhere = (
            stack_in(region, app, name)
            for region, name in ((HOME, "Home"), (AWAY, "Away"), (FAR, "Far"), (HOME, "Elsewhere"))
        )
        assert_refused("keys", home, [away], keys=MultiRegionKeyPair(home, "Here", replicas=[away]))
        assert_refused("keys", home, [away], keys=MultiRegionKeyPair(elsewhere, "Far", replicas=[far]))
        user = iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/application")
        assert_refused("keys", home, [away], keys=MultiRegionKeyPair(away, "Users", replicas=[elsewhere], users=[user]))
        fine = MultiRegionKeyPair(away, "Fine", replicas=[elsewhere])
        assert_refused("key_pending_window", home, [away], keys=fine, key_pending_window=cdk.Duration.days(7))

    def test_a_pair_with_its_primary_in_a_replicas_stack(self) -> None:
        app = cdk.App()
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        make(home, [away], keys=MultiRegionKeyPair(away, "Keys", replicas=[home]))
        # Of a key for applications too.
        assert set(outcomes(app.synth().directory)) == {"key-not-bound-to-bucket"}

    def test_access_log_buckets(self) -> None:
        app = cdk.App()
        home, away, far = (stack_in(region, app) for region in REGIONS)
        assert_refused("access_log_buckets", home, [away], access_log_buckets=[AccessLogBucket(far, "Logs")])
        twice = [AccessLogBucket(home, name) for name in ("A", "B")]
        assert_refused("access_log_buckets", home, [away], access_log_buckets=twice)
        assert_refused("access_log_prefix", home, [away], access_log_prefix="acme/")
        assert_refused("access_log_prefix", home, [away], access_log_buckets=twice[:1], access_log_prefix="acme")

    def test_an_access_log_prefix_is_that_of_every_bucket_with_logs(self) -> None:
        app = cdk.App()
        home, away, far = (stack_in(region, app) for region in REGIONS)
        logs = [AccessLogBucket(each, "Logs") for each in (home, away)]
        make(home, [away, far], access_log_buckets=logs, access_log_prefix="acme/")
        assembly = app.synth()
        found = {}
        for region in REGIONS:
            buckets = of_kind(assembly.get_stack_by_name(region).template, "AWS::S3::Bucket")
            found[region] = [
                each["Properties"]["LoggingConfiguration"]["LogFilePrefix"]
                for each in buckets
                if "LoggingConfiguration" in each["Properties"]
            ]
        assert found == {home.region: ["acme/"], away.region: ["acme/"], far.region: []}


MANY = [
    f"{place}-{number}"
    for place in ("ap-southeast", "ap-northeast", "eu-central", "me-central", "ca-central", "us-east", "eu-west")
    for number in (1, 2)
]


class TestSize:
    @pytest.mark.parametrize("direction", ReplicationDirection)
    def test_as_many_regions_as_iam_has_characters_for(self, direction: ReplicationDirection, tmp_path: Path) -> None:
        app = cdk.App(outdir=str(tmp_path))
        stacks = [stack_in(each, app) for each in MANY[:13]]
        with pytest.raises(
            ValueError,
            match=r"^Data: replicas is .12 destinations of acme-.+ would have 6[1-9]\d\d characters.; "
            r"allowed: as many as IAM's 6144 characters for a managed policy hold; replicate to fewer Regions, or ",
        ):
            make(stacks[0], stacks[1:], direction=direction)
        assert stacks[0].node.try_find_child("Data") is None
        make(stacks[0], stacks[1:12], direction=direction)
        app.synth()
        sizes = [
            len(json.dumps(each.setting("PolicyDocument"), separators=(",", ":")))
            for each in Assembly.read(tmp_path).resources_of_type("AWS::IAM::ManagedPolicy")
            if "EncryptReplicas" in str(each.setting("PolicyDocument"))
        ]
        assert 5600 < max(sizes) <= 6144

    def test_what_is_counted_is_what_is_deployed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        counted: list[int] = []
        count = policies.characters

        def characters(statements: Sequence[Statement]) -> int:
            counted.append(count(statements))
            return counted[-1]

        monkeypatch.setattr(policies, "characters", characters)
        Buckets(*REGIONS, scope=cdk.App(outdir=str(tmp_path)), object_key_prefix="reports/").templates()
        (policy,) = Assembly.read(tmp_path).resources_of_type("AWS::IAM::ManagedPolicy")
        assert counted == [len(json.dumps(policy.setting("PolicyDocument"), separators=(",", ":")))]


def assert_refused(
    argument: str,
    home: Construct,
    away: list[Any],
    *,
    words: str = "",
    **arguments: Any,  # noqa: ANN401 - options of the construct
) -> None:
    """Assert that making them says argument, value, what is allowed and what to do, and makes nothing."""
    with pytest.raises(ValueError, match=rf"^Data: {argument} is ") as caught:
        make(home, away, **arguments)
    message = str(caught.value)
    assert re.fullmatch(rf"Data: {argument} is .+; allowed: [^;]+; .+", message, re.DOTALL), message
    assert not message.endswith(".")
    assert words in message
    assert not isinstance(caught.value, jsii.errors.JSIIError)
    assert home.node.try_find_child("Data") is None

"""MultiRegionKeyPair: its keys in every Region, how their stacks refer to each other, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from constructs import Construct
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdk_encrypted_data import EncryptedBucket, MultiRegionKeyPair, Promotion
from cdk_encrypted_data.managed_key import PENDING_WINDOW_DAYS, ROTATION_DAYS
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import prove

ACCOUNT = "111122223333"
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "ap-southeast-2", "sa-east-1")
HOME, AWAY, *_ = REGIONS
ADMINISTRATOR = iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/security/key-administrator")
USER = iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/application")
KEYS = ("AWS::KMS::Key", "AWS::KMS::ReplicaKey")

# Each example crosses into Node a few times; a slow machine is no failure.
crossing = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])

Template = dict[str, Any]


def stack_in(
    region: str | None, scope: Construct | None = None, *, account: str | None = ACCOUNT, name: str | None = None
) -> cdk.Stack:
    """Return an empty stack, called by its Region unless it gets a name."""
    return cdk.Stack(scope or cdk.App(), name or str(region), env=cdk.Environment(account=account, region=region))


class Pair:
    """A pair in stacks of its own, one for each Region."""

    def __init__(self, *regions: str, scope: Construct | None = None, **arguments: Any) -> None:  # noqa: ANN401 - options of the pair
        self.scope = scope or cdk.App()
        self.home, *self.away = self.stacks = [stack_in(region, self.scope) for region in regions or (HOME, AWAY)]
        self.pair = MultiRegionKeyPair(self.home, "Pair", replicas=self.away, **arguments)

    def templates(self) -> dict[str, Template]:
        """Return every template of the app by its stack's name, those of nested stacks by their files' names."""
        return templates(self.scope)

    def key(self, region: str) -> dict[str, Any]:
        """Return the resource of a Region's key."""
        return key_of(self.templates()[region])


def templates(scope: Construct) -> dict[str, Template]:
    app = scope.node.root
    assert isinstance(app, cdk.App)
    found: dict[str, Template] = {}
    waiting = [app.synth()]
    while waiting:
        assembly = waiting.pop()
        waiting += [each.nested_assembly for each in assembly.nested_assemblies]
        found |= {stack.stack_name: stack.template for stack in assembly.stacks}
        nested = Path(assembly.directory).glob("*.nested.template.json")
        found |= {path.name: json.loads(path.read_text()) for path in nested}
    return found


def key_of(template: Template) -> dict[str, Any]:
    (key,) = of_kind(template, *KEYS).values()
    return key


def of_kind(template: Template, *kinds: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in template["Resources"].items() if each["Type"] in kinds}


def statements(key: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        each.get("Sid", position): each for position, each in enumerate(key["Properties"]["KeyPolicy"]["Statement"])
    }


def places_of(function: str, value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - JSON
    """Return each place of a template where a function stands, and its argument."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == function:
                yield path, each
            yield from places_of(function, each, (*path, name))
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from places_of(function, each, (*path, str(position)))


def assert_plain(scope: Construct) -> list[dict[str, str]]:
    """Assert that stacks read each other's outputs only where CloudFormation takes it; return what they read."""
    found = templates(scope)
    read = []
    for template in found.values():
        kinds = {each["Type"] for each in template["Resources"].values()}
        assert not [kind for kind in kinds if re.match(r"Custom::|AWS::(Lambda|SSM|CloudFormation::Custom)", kind)]
        assert not list(places_of("Fn::ImportValue", template))
        for path, argument in places_of("Fn::GetStackOutput", template):
            assert (path[0], path[2]) == ("Resources", "Properties")
            assert {name for name in path if name.startswith("Fn::")} <= {"Fn::Join", "Fn::If", "Fn::Select"}
            assert argument["OutputName"] in found[argument["StackName"]]["Outputs"]
            read.append(argument)
    return read


def role_in(scope: Construct, name: str = "Role", **options: Any) -> iam.Role:  # noqa: ANN401 - options of a role
    return iam.Role(scope, name, assumed_by=iam.ServicePrincipal("glue.amazonaws.com"), **options)


class TestEveryRegionHasItsKey:
    @pytest.mark.parametrize("number", [2, 3, 5])
    def test_a_primary_and_replicas_as_plain_resources(self, number: int) -> None:
        pair = Pair(*REGIONS[:number])
        assert pair.pair.regions == REGIONS[:number]
        found = pair.templates()
        primary, *replicas = (found[region] for region in REGIONS[:number])
        assert [each["Type"] for each in primary["Resources"].values()] == ["AWS::KMS::Key", "AWS::KMS::Alias"]
        for replica in replicas:
            kinds = [each["Type"] for each in replica["Resources"].values()]
            assert kinds == ["AWS::KMS::ReplicaKey", "AWS::KMS::Alias"]
        assert len(assert_plain(pair.scope)) == number - 1

    def test_a_replica_names_the_primary_by_its_stacks_output(self) -> None:
        found = Pair().templates()
        reference = key_of(found[AWAY])["Properties"]["PrimaryKeyArn"]["Fn::GetStackOutput"]
        assert (reference["StackName"], reference["Region"]) == (HOME, HOME)
        ((logical_id, _),) = of_kind(found[HOME], "AWS::KMS::Key").items()
        assert found[HOME]["Outputs"][reference["OutputName"]] == {"Value": {"Fn::GetAtt": [logical_id, "Arn"]}}

    def test_replicas_are_deployed_after_the_primary(self) -> None:
        pair = Pair(*REGIONS[:3])
        pair.templates()
        assert [each.dependencies for each in pair.stacks] == [[], [pair.home], [pair.home]]

    def test_logical_ids_stay(self) -> None:
        pair = Pair()
        MultiRegionKeyPair(Construct(pair.home, "Orders"), "Keys", replicas=[Construct(pair.away[0], "Orders")])
        found = pair.templates()
        assert {region: sorted(found[region]["Resources"]) for region in (HOME, AWAY)} == {
            HOME: [
                "OrdersKeysPrimary965CADED",
                "OrdersKeysPrimaryAlias01E1FC5F",
                "PairPrimary11D5BAFA",
                "PairPrimaryAlias5A9915A7",
            ],
            AWAY: [
                "OrdersKeysReplica4295BE67",
                "OrdersKeysReplicaAlias1806DBDC",
                "PairReplica4D62D4AB",
                "PairReplicaAlias827A4E42",
            ],
        }

    def test_only_the_primary_is_multi_region_and_rotates(self) -> None:
        found = Pair(rotation_period=cdk.Duration.days(90)).templates()
        primary, replica = (key_of(found[region])["Properties"] for region in (HOME, AWAY))
        assert (primary["MultiRegion"], primary["EnableKeyRotation"], primary["RotationPeriodInDays"]) == (
            True,
            True,
            90,
        )
        assert replica.keys() == {"Description", "KeyPolicy", "PrimaryKeyArn", "Tags"}

    def test_it_rotates_yearly_if_nobody_says_how_often(self) -> None:
        primary = Pair().key(HOME)["Properties"]
        assert primary["EnableKeyRotation"] is True
        assert "RotationPeriodInDays" not in primary

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_each_has_tag_description_and_window(self, region: str) -> None:
        key = Pair().key(region)["Properties"]
        assert key["Tags"] == [{"Key": "Name", "Value": f"{HOME}/Pair"}]
        assert key["Description"] == f"Encrypts the data of {HOME}/Pair in every Region of the pair"
        assert "PendingWindowInDays" not in key
        given = Pair(description="Orders", pending_window=cdk.Duration.days(7)).key(region)["Properties"]
        assert (given["Description"], given["PendingWindowInDays"]) == ("Orders", 7)

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            (None, ("Retain", "Retain")),
            (cdk.RemovalPolicy.RETAIN, ("Retain", "Retain")),
            (cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE, ("RetainExceptOnCreate", "Retain")),
            (cdk.RemovalPolicy.DESTROY, ("Delete", "Delete")),
        ],
    )
    def test_what_happens_to_all_keys_when_they_leave(
        self, policy: cdk.RemovalPolicy | None, expected: tuple[str, str]
    ) -> None:
        arguments: dict[str, Any] = {} if policy is None else {"removal_policy": policy}
        found = Pair(*REGIONS[:3], **arguments).templates()
        for region in REGIONS[:3]:
            key = key_of(found[region])
            assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == expected

    def test_an_app_in_china(self) -> None:
        assert Pair("cn-north-1", "cn-northwest-1").pair.regions == ("cn-north-1", "cn-northwest-1")

    def test_arns_are_made_from_the_primarys_id(self) -> None:
        pair = Pair()
        here, there = (pair.home.resolve(pair.pair.key_arn_in(region)) for region in (HOME, AWAY))
        ((logical_id, _),) = of_kind(pair.templates()[HOME], "AWS::KMS::Key").items()
        partition, key_id = {"Ref": "AWS::Partition"}, {"Ref": logical_id}
        assert here == {"Fn::Join": ["", ["arn:", partition, f":kms:{HOME}:{ACCOUNT}:key/", key_id]]}
        assert there == {"Fn::Join": ["", ["arn:", partition, f":kms:{AWAY}:{ACCOUNT}:key/", key_id]]}

    def test_a_region_that_the_cdk_has_never_heard_of(self) -> None:
        assert Pair(HOME, "eu-atlantis-1").pair.regions == (HOME, "eu-atlantis-1")


class TestAliases:
    @staticmethod
    def names(found: dict[str, Template], region: str) -> list[str]:
        return [each["Properties"]["AliasName"] for each in of_kind(found[region], "AWS::KMS::Alias").values()]

    @pytest.mark.parametrize("arguments", [{}, {"alias_name": "alias/orders"}])
    def test_one_name_in_all_regions(self, arguments: dict[str, Any]) -> None:
        found = Pair(*REGIONS[:3], **arguments).templates()
        expected = arguments.get("alias_name", f"alias/{HOME}/Pair")
        assert {name for region in REGIONS[:3] for name in self.names(found, region)} == {expected}

    def test_each_leads_to_the_key_of_its_region(self) -> None:
        found = Pair().templates()
        for region in (HOME, AWAY):
            ((logical_id, _),) = of_kind(found[region], *KEYS).items()
            (alias,) = of_kind(found[region], "AWS::KMS::Alias").values()
            assert alias["Properties"]["TargetKeyId"]["Fn::GetAtt"][0] == logical_id

    @pytest.mark.parametrize("ids", [("Keys", "Keys2"), ("a.b", "a-b"), ("x" * 130, "x" * 131)])
    def test_two_pairs_of_the_same_stacks_dont_collide(self, ids: tuple[str, str]) -> None:
        app = cdk.App()
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        for each in ids:
            MultiRegionKeyPair(home, each, replicas=[away])
        found = templates(app)
        assert self.names(found, HOME) == self.names(found, AWAY)
        assert len(set(self.names(found, HOME))) == 2

    def test_two_stages_dont_collide(self) -> None:
        app = cdk.App()
        for stage in ("Test", "Prod"):
            Pair(scope=cdk.Stage(app, stage))
        names = [name for found in templates(app).values() for name in self.names({"": found}, "")]
        assert sorted(names) == sorted(2 * [f"alias/{stage}-{HOME}/{HOME}/Pair" for stage in ("Test", "Prod")])


class TestStacksReadOutputsOnlyWhereCloudFormationTakesIt:
    def test_principals_of_the_primarys_stack(self) -> None:
        scope = cdk.App()
        home, away = stack_in(HOME, scope), stack_in(AWAY, scope)
        MultiRegionKeyPair(
            home, "Pair", replicas=[away], users=[role_in(home), USER], administrators=[iam.User(home, "Administrator")]
        )
        assert assert_plain(scope)
        found = templates(scope)
        ((role, _),) = of_kind(found[HOME], "AWS::IAM::Role").items()
        for_users = "UsersUseKeyInApplications"
        assert statements(key_of(found[HOME]))[for_users]["Principal"]["AWS"] == [
            {"Fn::GetAtt": [role, "Arn"]},
            USER.arn,
        ]
        away_names = statements(key_of(found[AWAY]))[for_users]["Principal"]["AWS"]
        assert found[HOME]["Outputs"][away_names[0]["Fn::GetStackOutput"]["OutputName"]] == {
            "Value": {"Fn::GetAtt": [role, "Arn"]}
        }
        assert away_names[1] == USER.arn

    @pytest.mark.parametrize("region", [HOME, AWAY, "us-west-2"])
    @pytest.mark.parametrize("argument", ["users", "administrators"])
    @pytest.mark.parametrize("options", [{}, {"role_name": "named"}], ids=["unnamed", "named"])
    def test_principals_of_a_third_stack(self, region: str, argument: str, options: dict[str, str]) -> None:
        scope = cdk.App()
        third = stack_in(region, scope, name="Third")
        role = role_in(third, **options)
        arguments: dict[str, Any] = {argument: [role, USER]}
        home, away = stack_in(HOME, scope), stack_in(AWAY, scope)
        MultiRegionKeyPair(home, "Pair", replicas=[away], **arguments)
        read = assert_plain(scope)
        assert {each["StackName"] for each in read} == {"Third", HOME}
        # It exists before either key names it.
        assert third in home.dependencies
        assert third in away.dependencies

    def test_a_role_without_updates_and_an_imported_one(self) -> None:
        scope = cdk.App()
        home, away = stack_in(HOME, scope), stack_in(AWAY, scope)
        imported = iam.Role.from_role_arn(home, "Imported", USER.arn)
        kept = role_in(stack_in(AWAY, scope, name="Third")).without_policy_updates()
        MultiRegionKeyPair(home, "Pair", replicas=[away], users=[imported, kept])
        assert assert_plain(scope)

    @pytest.mark.parametrize(
        "make", [role_in, lambda stack: iam.ManagedPolicy(stack, "Policy")], ids=["role", "policy"]
    )
    @pytest.mark.parametrize(("name", "region"), [(HOME, HOME), (AWAY, AWAY), ("Third", HOME), ("Third", "us-west-2")])
    def test_grants(self, make: Callable[[cdk.Stack], Any], name: str, region: str) -> None:
        pair = Pair()
        stack = next((each for each in pair.stacks if each.stack_name == name), None) or stack_in(
            region, pair.scope, name=name
        )
        pair.pair.grant_encrypt_decrypt(make(stack))
        assert_plain(pair.scope)
        (policy,) = of_kind(pair.templates()[name], "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy").values()
        resources = policy["Properties"]["PolicyDocument"]["Statement"][0]["Resource"]
        assert [re.sub(r".*:kms:([a-z0-9-]+):111122223333:key/.*", r"\1", json.dumps(each)) for each in resources] == [
            HOME,
            AWAY,
        ]
        # Never by a replica's stack: its own role may be the one that is granted.
        assert {each["StackName"] for _, each in places_of("Fn::GetStackOutput", policy)} <= {HOME}

    @pytest.mark.parametrize(("name", "region"), [(HOME, HOME), (AWAY, AWAY), ("Third", HOME), ("Third", "us-west-2")])
    def test_a_grant_to_a_role_of_a_nested_stack(self, name: str, region: str) -> None:
        pair = Pair()
        stack = next((each for each in pair.stacks if each.stack_name == name), None) or stack_in(
            region, pair.scope, name=name
        )
        pair.pair.grant_decrypt(role_in(cdk.NestedStack(stack, "Nested")))
        assert_plain(pair.scope)

    def test_a_bucket_in_each_region(self) -> None:
        pair = Pair(*REGIONS[:3])
        for stack in pair.stacks:
            bucket = EncryptedBucket(stack, "Data", key=pair.pair.key_for(stack.region))
            bucket.grant_read_write(role_in(stack))
        assert len(assert_plain(pair.scope)) == 2
        found = pair.templates()
        for region in REGIONS[:3]:
            ((key, _),) = of_kind(found[region], *KEYS).items()
            (properties,) = (each["Properties"] for each in of_kind(found[region], "AWS::S3::Bucket").values())
            (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": [key, "Arn"]}

    def test_a_stage_around_it(self) -> None:
        scope = cdk.Stage(cdk.App(), "Prod")
        pair = Pair(scope=scope, users=[USER])
        pair.pair.grant_encrypt(iam.ManagedPolicy(stack_in("us-west-2", scope, name="Third"), "Policy"))
        assert {each["StackName"] for each in assert_plain(scope)} == {f"Prod-{HOME}"}

    def test_tokens(self) -> None:
        scope = cdk.App()
        home, away = stack_in(HOME, scope), stack_in(AWAY, scope)

        def token(name: str) -> str:
            return cdk.CfnParameter(home, name).value_as_string

        pair = MultiRegionKeyPair(
            home,
            "Pair",
            replicas=[away],
            alias_name=f"alias/{token('Alias')}-{token('Suffix')}",
            description=token("Description"),
            administrators=[iam.ArnPrincipal(token("Administrator"))],
            users=[iam.ArnPrincipal(f"arn:{cdk.Aws.PARTITION}:iam::{ACCOUNT}:role/{token('User')}")],
        )
        pair.key_for(AWAY).allow_service(
            "sns.amazonaws.com", source_arns=[cdk.CfnParameter(away, "SourceArn").value_as_string]
        )
        read = {each["OutputName"] for each in assert_plain(scope)}
        found = templates(scope)
        referred = {json.dumps(found[HOME]["Outputs"][name]["Value"]) for name in read}
        names = [name for name in found[HOME]["Parameters"] if name != "BootstrapVersion"]
        assert len(names) == 5
        for name in names:
            assert json.dumps({"Ref": name}) in referred
            assert json.dumps({"Ref": name}) in json.dumps(found[HOME]["Resources"])
        assert '{"Ref": "SourceArn"}' in json.dumps(found[AWAY]["Resources"])

    def test_a_token_in_an_encryption_context(self) -> None:
        pair = Pair()
        value = cdk.CfnParameter(pair.home, "Tenant").value_as_string
        pair.pair.grant_encrypt(role_in(pair.home), encryption_context={"tenant": value})
        assert '{"kms:EncryptionContext:tenant": {"Ref": "Tenant"}}' in json.dumps(pair.templates()[HOME])


class TestWhatIsAddedToAKeyStaysInItsRegion:
    @pytest.mark.parametrize(("region", "other"), [(HOME, AWAY), (AWAY, HOME)])
    def test_services_and_log_groups(self, region: str, other: str) -> None:
        pair = Pair()
        before = statements(pair.key(other))
        pair = Pair()
        key = pair.pair.key_for(region)
        key.allow_service("cloudfront.amazonaws.com", source_arns=[f"arn:aws:cloudfront::{ACCOUNT}:distribution/E"])
        key.allow_cloudwatch_logs(log_group_name="/orders/*")
        found = pair.templates()
        added = list(statements(key_of(found[region])).values())[len(before) :]
        assert [each["Principal"]["Service"] for each in added] == [
            "cloudfront.amazonaws.com",
            {"Fn::Join": ["", ["logs.", {"Ref": "AWS::Region"}, ".amazonaws.com"]]},
        ]
        assert statements(key_of(found[other])) == before

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_a_service_that_reads_a_bucket_may_use_the_buckets_key(self, region: str) -> None:
        pair = Pair()
        stack = pair.stacks[(HOME, AWAY).index(region)]
        bucket = EncryptedBucket(stack, "Data", key=pair.pair.key_for(region))
        bucket.grant_read_to_service(
            "cloudfront.amazonaws.com", source_arns=[f"arn:aws:cloudfront::{ACCOUNT}:distribution/E"]
        )
        *_, last = statements(pair.key(region)).values()
        assert (last["Principal"], last["Action"]) == ({"Service": "cloudfront.amazonaws.com"}, "kms:Decrypt")

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_any_bucket_of_its_region(self, region: str) -> None:
        pair = Pair()
        key = pair.pair.key_for(region)
        key.check_bucket("anything")
        key.check_bucket(None)
        other = next(stack for stack in pair.stacks if stack.region != region)
        with pytest.raises(ValueError, match=rf"^Data: key is .*{region}'; allowed: one in .*; make one there"):
            EncryptedBucket(other, "Data", key=key)

    def test_policies_have_the_same_statements(self) -> None:
        found = Pair(*REGIONS[:3], administrators=[ADMINISTRATOR], users=[USER]).templates()
        first, *others = (statements(key_of(found[region])) for region in REGIONS[:3])
        assert all(other == first for other in others)

    def test_the_keys_are_told_apart(self) -> None:
        pair = Pair().pair
        assert pair.key_for(HOME).key is pair.key
        assert pair.key_for(AWAY).key_arn not in (pair.key.key_arn, pair.key_arn_in(AWAY))


def assert_message(caught: pytest.ExceptionInfo[ValueError], argument: str, owner: str = "Id") -> None:
    """Assert that a refusal says argument, value, what is allowed and what to do, and comes from us."""
    message = str(caught.value)
    assert re.fullmatch(rf"{owner}: {argument} is .+; allowed: [^;]+; .+", message, re.DOTALL), message
    assert not message.endswith(".")
    assert not isinstance(caught.value, jsii.errors.JSIIError)


def assert_refused(argument: str, *, home: Construct | None = None, **arguments: Any) -> None:  # noqa: ANN401 - bad input
    """Assert that a pair is refused because of an argument, and nothing made."""
    app = cdk.App()
    home = home or stack_in(HOME, app)
    arguments.setdefault("replicas", [stack_in(AWAY, app)])
    with pytest.raises(ValueError, match=rf"^Id: {argument} is ") as caught:
        MultiRegionKeyPair(home, "Id", **arguments)
    assert_message(caught, argument)
    assert home.node.try_find_child("Id") is None
    for place in arguments["replicas"] if isinstance(arguments["replicas"], list) else ():
        assert not isinstance(place, Construct) or place.node.try_find_child("IdReplica") is None


class TestPlacesAreRefused:
    @pytest.mark.parametrize(
        "replicas", [None, 7, "eu-west-1", b"eu", [], (), {}, iter(()), [None], ["eu-west-1"], [7]], ids=repr
    )
    def test_what_is_no_list_of_places(self, replicas: object) -> None:
        assert_refused("replicas", replicas=replicas)

    def test_a_stack_that_is_in_no_list(self) -> None:
        assert_refused("replicas", replicas=stack_in(AWAY))

    @crossing
    @given(st.lists(st.none() | st.integers() | st.text() | st.binary() | st.booleans(), max_size=3))
    def test_what_is_made_up(self, replicas: list[object]) -> None:
        assert_refused("replicas", replicas=replicas)

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_an_app(self, region: str) -> None:
        app = cdk.App()
        if region == HOME:
            assert_refused("scope", home=app)
            assert_refused("scope", home=app, users=[USER])
        else:
            assert_refused("replicas", home=stack_in(HOME, app), replicas=[app])

    @pytest.mark.parametrize(("account", "region"), [(None, None), (ACCOUNT, None), (None, "eu-west-2")])
    def test_stacks_of_no_environment(self, account: str | None, region: str | None) -> None:
        app = cdk.App()
        anywhere = stack_in(region, app, account=account, name="Anywhere")
        assert_refused("scope", home=anywhere)
        assert_refused("replicas", home=stack_in(HOME, app), replicas=[anywhere])

    def test_nested_stacks(self) -> None:
        app = cdk.App()
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        assert_refused("scope", home=cdk.NestedStack(home, "Nested"), replicas=[away])
        assert_refused("replicas", home=home, replicas=[cdk.NestedStack(away, "Nested")])

    def test_the_primarys_own_region(self) -> None:
        app = cdk.App()
        home = stack_in(HOME, app)
        assert_refused("replicas", home=home, replicas=[home])
        assert_refused("replicas", home=home, replicas=[Construct(home, "Below")])
        assert_refused("replicas", home=home, replicas=[stack_in(HOME, app, name="Other")])
        assert_refused("replicas", home=home, replicas=[stack_in(AWAY, app), stack_in(HOME, app, name="Another")])

    @crossing
    @given(st.lists(st.sampled_from(REGIONS), min_size=1, max_size=6))
    def test_two_in_one_region_and_none_else(self, regions: list[str]) -> None:
        app = cdk.App()
        home = stack_in(HOME, app)
        replicas = [stack_in(region, app, name=f"S{number}") for number, region in enumerate(regions)]
        if len({HOME, *regions}) <= len(regions):
            assert_refused("replicas", home=home, replicas=replicas)
        else:
            assert MultiRegionKeyPair(home, "Id", replicas=replicas).regions == (HOME, *regions)

    @pytest.mark.parametrize(
        ("account", "region"), [("444455556666", AWAY), (ACCOUNT, "cn-north-1"), (ACCOUNT, "us-gov-west-1")]
    )
    def test_another_account_or_partition(self, account: str, region: str) -> None:
        app = cdk.App()
        home = stack_in(HOME, app)
        assert_refused("replicas", home=home, replicas=[stack_in(region, app, account=account, name="Other")])

    def test_another_stage_or_app(self) -> None:
        app = cdk.App()
        home = stack_in(HOME, app)
        assert_refused("replicas", home=home, replicas=[stack_in(AWAY, cdk.Stage(app, "Stage"))])
        assert_refused("replicas", home=home, replicas=[stack_in(AWAY)])

    def test_a_place_that_another_pairs_replica_has(self) -> None:
        app = cdk.App()
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        MultiRegionKeyPair(Construct(home, "First"), "Id", replicas=[away])
        second = Construct(home, "Second")
        with pytest.raises(
            ValueError, match=r"^Id: replicas is 'eu-west-1, which has a IdReplica already'; "
        ) as caught:
            MultiRegionKeyPair(second, "Id", replicas=[away])
        assert_message(caught, "replicas")
        assert second.node.try_find_child("Id") is None
        MultiRegionKeyPair(second, "Id", replicas=[Construct(away, "Second")])


class TestPeopleAreRefused:
    @pytest.mark.parametrize("argument", ["users", "administrators"])
    @pytest.mark.parametrize("value", [None, 7, USER.arn, [None], [USER.arn], [iam.AnyPrincipal()]], ids=repr)
    def test_whom_no_key_can_name(self, argument: str, value: Any) -> None:  # noqa: ANN401 - bad input
        assert_refused(argument, **{argument: value})

    @pytest.mark.parametrize("argument", ["users", "administrators"])
    def test_of_another_account(self, argument: str) -> None:
        arguments: dict[str, Any] = {argument: [iam.ArnPrincipal("arn:aws:iam::444455556666:role/a")]}
        assert_refused(argument, **arguments)

    def test_who_is_both(self) -> None:
        assert_refused("users", users=[USER], administrators=[USER])

    @pytest.mark.parametrize("argument", ["users", "administrators"])
    @pytest.mark.parametrize(
        "principal",
        [lambda role: role, lambda role: role.without_policy_updates(), lambda role: iam.ArnPrincipal(role.role_arn)],
        ids=["role", "immutable", "ARN"],
    )
    def test_of_a_replicas_stack_or_a_nested_one(self, argument: str, principal: Callable[[iam.Role], Any]) -> None:
        app = cdk.App()
        home, away = stack_in(HOME, app), stack_in(AWAY, app)
        for number, place in enumerate([away, cdk.NestedStack(home, "Nested")]):
            arguments: dict[str, Any] = {argument: [principal(role_in(place, f"Role{number}"))]}
            assert_refused(argument, home=home, replicas=[away], **arguments)

    def test_the_same_people_by_their_names(self) -> None:
        pair = Pair(users=[USER], administrators=[ADMINISTRATOR])
        found = statements(pair.key(AWAY))
        assert found["UsersUseKeyInApplications"]["Principal"] == {"AWS": USER.arn}
        assert found["AdministratorsChoosePrimary"]["Principal"] == {"AWS": ADMINISTRATOR.arn}


class TestTextsAndTimesAreRefused:
    @pytest.mark.parametrize("value", [7, 1.5, True, b"bytes", ["list"], {"a": 1}], ids=repr)
    @pytest.mark.parametrize("argument", ["alias_name", "description"])
    def test_no_text(self, argument: str, value: Any) -> None:  # noqa: ANN401 - bad input
        assert_refused(argument, **{argument: value})

    @crossing
    @given(st.text(max_size=300).filter(lambda name: not name.startswith("alias/") and "${Token[" not in name))
    def test_no_alias(self, name: str) -> None:
        assert_refused("alias_name", alias_name=name)

    @pytest.mark.parametrize("description", ["", "a" * 8193, "tab\t", "emoji 🙂"])
    def test_no_description(self, description: str) -> None:
        assert_refused("description", description=description)

    @pytest.mark.parametrize("argument", ["alias_name", "description"])
    def test_a_text_of_a_replicas_stack(self, argument: str) -> None:
        app = cdk.App()
        away = stack_in(AWAY, app)
        arguments: dict[str, Any] = {argument: f"alias/{cdk.CfnParameter(away, 'Text').value_as_string}"}
        assert_refused(argument, home=stack_in(HOME, app), replicas=[away], **arguments)

    @pytest.mark.parametrize("value", [cdk.RemovalPolicy.SNAPSHOT, "retain", None])
    def test_no_removal_policy(self, value: object) -> None:
        assert_refused("removal_policy", removal_policy=value)

    @pytest.mark.parametrize(
        ("argument", "bounds"), [("rotation_period", ROTATION_DAYS), ("pending_window", PENDING_WINDOW_DAYS)]
    )
    def test_times(self, argument: str, bounds: tuple[int, int]) -> None:
        days = cdk.CfnParameter(stack_in(HOME), "Days", type="Number").value_as_number
        outside = [cdk.Duration.days(bounds[0] - 1), cdk.Duration.days(bounds[1] + 1), cdk.Duration.hours(2161)]
        wrong: list[Any] = [*outside, cdk.Duration.days(days), 90, "90", True]
        for value in wrong:
            assert_refused(argument, **{argument: value})
        for within in bounds:
            right: dict[str, Any] = {argument: cdk.Duration.days(within)}
            Pair(**right)


class TestPromotion:
    """A primary that was moved: the templates stay, and what CloudFormation couldn't do is refused."""

    @staticmethod
    def record(**other: Any) -> Promotion:  # noqa: ANN401 - bad input
        return Promotion(**{"primary_region": AWAY, "regions": REGIONS[:3]} | other)

    @pytest.mark.parametrize("primary", REGIONS[1:3])
    @pytest.mark.parametrize("period", [None, 180])
    def test_it_changes_no_template(self, primary: str, period: int | None) -> None:
        rotation = {} if period is None else {"rotation_period": cdk.Duration.days(period)}
        others: dict[str, Any] = {"administrators": [ADMINISTRATOR], "users": [USER], **rotation}
        promotion = self.record(primary_region=primary, **rotation)
        before, after = Pair(*REGIONS[:3], **others), Pair(*REGIONS[:3], promotion=promotion, **others)
        assert before.templates() == after.templates()
        assert (before.pair.primary_region, after.pair.primary_region) == (HOME, primary)
        assert before.pair.regions == after.pair.regions == REGIONS[:3]

    def test_what_each_key_has_by_itself_may_change(self) -> None:
        pair = Pair(
            *REGIONS[:3],
            promotion=self.record(),
            description="Others",
            pending_window=cdk.Duration.days(7),
            users=[USER],
            administrators=[ADMINISTRATOR],
        )
        assert pair.key(AWAY)["Properties"]["Description"] == "Others"

    def test_another_replica_may_be_taken_out(self) -> None:
        assert Pair(*REGIONS[:2], promotion=self.record()).pair.primary_region == AWAY

    @pytest.mark.parametrize(
        ("period", "recorded"), [(None, 180), (180, None), (180, 90), (365, None), (None, 365), (90, 91)]
    )
    def test_another_rotation(self, period: int | None, recorded: int | None) -> None:
        given, then = (None if days is None else cdk.Duration.days(days) for days in (period, recorded))
        assert_refused("rotation_period", rotation_period=given, promotion=self.record(rotation_period=then))

    def test_a_new_replica(self) -> None:
        app = cdk.App()
        home, *away = (stack_in(region, app) for region in REGIONS[:4])
        assert_refused("replicas", home=home, replicas=away, promotion=self.record())

    def test_the_primary_taken_out(self) -> None:
        app = cdk.App()
        home, far = stack_in(HOME, app), stack_in(REGIONS[2], app)
        assert_refused(r"promotion\.primary_region", home=home, replicas=[far], promotion=self.record())

    def test_the_pair_made_the_other_way_round(self) -> None:
        with pytest.raises(ValueError, match=r"leave scope and replicas as they were: exchanged they make new keys"):
            Pair(AWAY, HOME, promotion=self.record())

    @pytest.mark.parametrize("promotion", [7, AWAY, {"primary_region": AWAY}, [AWAY], Promotion])
    def test_no_record(self, promotion: object) -> None:
        assert_refused("promotion", promotion=promotion)

    @pytest.mark.parametrize("region", [HOME, "us-east-1", "", 7, None, cdk.Aws.REGION])
    def test_regions_that_the_primary_cant_be_in(self, region: object) -> None:
        assert_refused(r"promotion\.primary_region", promotion=self.record(primary_region=region))

    @pytest.mark.parametrize("regions", [None, 7, AWAY, [], [AWAY], [HOME], [7], {HOME, AWAY}])
    def test_regions_that_it_cant_have_had(self, regions: object) -> None:
        assert_refused(r"promotion\.regions", promotion=self.record(regions=regions))

    @pytest.mark.parametrize("period", [90, "90", cdk.Duration.days(89), cdk.Duration.days(2561)])
    def test_rotations_that_it_cant_have_had(self, period: object) -> None:
        assert_refused(r"promotion\.rotation_period", promotion=self.record(rotation_period=period))


class TestGrantsAreRefused:
    @pytest.mark.parametrize("grant", ["grant_encrypt", "grant_decrypt", "grant_encrypt_decrypt"])
    @pytest.mark.parametrize(
        "context",
        [
            7,
            "tenant",
            ["tenant"],
            {"tenant": 7},
            {7: "a"},
            {"": "a"},
            {"aws:s3:arn": "a"},
            {"tenant": ""},
            {"tenant": "${aws:username}"},
            {"tenant": "ä"},
            {"a b": "a"},
            {"a" * 129: "a"},
            {"tenant": "a" * 1025},
            {cdk.Aws.REGION: "a"},
        ],
        ids=lambda context: repr(context)[:40],
    )
    def test_encryption_contexts(self, grant: str, context: object) -> None:
        pair = Pair()
        role = role_in(pair.home)
        with pytest.raises(ValueError, match=r"^Pair: encryption_context is ") as caught:
            getattr(pair.pair, grant)(role, encryption_context=context)
        assert_message(caught, "encryption_context", "Pair")
        assert role.node.try_find_child("DefaultPolicy") is None

    @pytest.mark.parametrize(
        "make",
        [
            lambda _: None,
            lambda _: USER.arn,
            lambda _: iam.ServicePrincipal("glue.amazonaws.com"),
            lambda _: iam.AccountPrincipal("444455556666"),
            lambda stack: iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::444455556666:role/a"),
        ],
        ids=["nobody", "text", "service", "account", "role of another account"],
    )
    def test_who_takes_no_policy(self, make: Callable[[cdk.Stack], Any]) -> None:
        pair = Pair()
        with pytest.raises(ValueError, match=r"^Pair: grantee is ") as caught:
            pair.pair.grant_encrypt(make(pair.home))
        assert_message(caught, "grantee", "Pair")

    @pytest.mark.parametrize("make", [role_in, lambda stack: iam.ManagedPolicy(stack, "Policy")])
    def test_who_is_of_a_stack_in_no_region(self, make: Callable[[cdk.Stack], Any]) -> None:
        pair = Pair()
        with pytest.raises(ValueError, match=r"^Pair: grantee is 'of Anywhere, which names no account") as caught:
            pair.pair.grant_encrypt(make(cdk.Stack(pair.scope, "Anywhere")))
        assert_message(caught, "grantee", "Pair")

    def test_a_context_that_the_keys_own_policies_wouldnt_demand(self) -> None:
        pair = Pair(users=[USER])
        user = iam.Role.from_role_arn(pair.home, "User", USER.arn)
        with pytest.raises(ValueError, match=r"^Pair: encryption_context is .*; allowed: nothing together with users;"):
            pair.pair.grant_encrypt(user, encryption_context={"tenant": "acme"})
        pair.pair.grant_encrypt(user, encryption_context={})
        pair.pair.grant_encrypt(user)

    def test_who_is_no_user_or_an_administrator(self) -> None:
        pair = Pair(users=[USER], administrators=[ADMINISTRATOR])
        strangers = ("arn:aws:iam::111122223333:role/stranger", ADMINISTRATOR.arn)
        for number, arn in enumerate(strangers):
            role = iam.Role.from_role_arn(pair.home, f"Role{number}", arn)
            with pytest.raises(ValueError, match=r"^Pair: grantee is ") as caught:
                pair.pair.grant_decrypt(role)
            assert_message(caught, "grantee", "Pair")
        pair.pair.grant_decrypt(iam.Role.from_role_arn(pair.home, "User", USER.arn))

    @pytest.mark.parametrize("region", ["us-east-1", "", None, 7, [HOME], cdk.Aws.REGION])
    def test_regions_without_a_key(self, region: Any) -> None:  # noqa: ANN401 - bad input
        pair = Pair()
        for find in (pair.pair.key_for, pair.pair.key_arn_in):
            with pytest.raises(
                ValueError, match=r"^Pair: region is .*; allowed: one of eu-central-1, eu-west-1;"
            ) as caught:
                find(region)
            assert_message(caught, "region", "Pair")

    @pytest.mark.parametrize(("region", "owner"), [(HOME, "Pair"), (AWAY, "PairReplica")])
    def test_what_a_regions_key_refuses_it_refuses_by_a_name_that_tells_it(self, region: str, owner: str) -> None:
        key = Pair().pair.key_for(region)
        with pytest.raises(ValueError, match=rf"^{owner}: source_arns is "):
            key.allow_service("sns.amazonaws.com", source_arns=[])
        with pytest.raises(ValueError, match=rf"^{owner}: log_group_name is "):
            key.allow_cloudwatch_logs(log_group_name="*")


@pytest.mark.parametrize(
    "arguments",
    [{}, {"administrators": [ADMINISTRATOR]}, {"users": [USER]}, {"administrators": [ADMINISTRATOR], "users": [USER]}],
    ids=["nobody", "administrators", "users", "both"],
)
def test_the_proofs_find_nothing_and_leave_nothing_undecided(arguments: dict[str, Any]) -> None:
    pair = Pair(**arguments)
    for stack in pair.stacks:
        key = pair.pair.key_for(stack.region)
        key.allow_cloudwatch_logs(log_group_name="/orders/*")
        bucket = EncryptedBucket(stack, "Data", key=key)
        bucket.grant_read_to_service(
            "cloudfront.amazonaws.com", source_arns=[f"arn:aws:cloudfront::{ACCOUNT}:distribution/E"]
        )
        if "users" not in arguments:
            bucket.grant_read_write(role_in(stack))
            pair.pair.grant_encrypt_decrypt(role_in(stack, "Elsewhere"), encryption_context={"tenant": "acme"})
    app = pair.scope.node.root
    assert isinstance(app, cdk.App)
    proof = prove(Assembly.read(app.synth().directory))
    assert (proof.findings, proof.undecidable, proof.gaps) == ((), (), ())
    assert (proof.subjects["keys"], proof.subjects["buckets"]) == (2, 2)

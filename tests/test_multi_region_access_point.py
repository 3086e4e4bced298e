"""MultiRegionAccessPoint: what it makes, what its grants take, what the proofs say of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data import (
    CrossAccountDestination,
    MinimumTlsVersion,
    MultiRegionAccessPoint,
    ReplicationDirection,
    UploadPolicy,
)
from tests.test_replicated_encrypted_buckets import (
    ACCOUNT,
    AWAY,
    FAR,
    HOME,
    REGIONS,
    Buckets,
    make,
    of_kind,
    stack_in,
)

BOTH_WAYS = ReplicationDirection.BOTH_WAYS
ALIAS = {"Fn::GetAtt": ["PointC4AB23B4", "Alias"]}
GRANTS = ("grant_read", "grant_write", "grant_read_write", "grant_delete")


class Behind(Buckets):
    """Buckets in stacks of their own, and an access point over them, in the source's stack unless another is named."""

    def __init__(
        self,
        *regions: str,
        elsewhere: str | None = None,
        options: dict[str, Any] | None = None,
        direction: ReplicationDirection = BOTH_WAYS,
        **arguments: Any,  # noqa: ANN401 - options
    ) -> None:
        super().__init__(*regions, direction=direction, **arguments)
        self.stack = stack_in(elsewhere, self.scope, "Global") if elsewhere else self.home
        self.point = MultiRegionAccessPoint(self.stack, "Point", buckets=self.buckets, **(options or {}))


def only(template: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = of_kind(template, f"AWS::S3::{kind}")
    return found


def statements(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    policy = only(template, "MultiRegionAccessPointPolicy")["Properties"]["Policy"]
    assert policy["Version"] == "2012-10-17"
    return {each["Sid"]: each for each in policy["Statement"]}


def arn(alias: object = ALIAS, *, then: str = "") -> dict[str, Any]:
    whole = ["arn:", {"Ref": "AWS::Partition"}, f":s3::{ACCOUNT}:accesspoint/", alias]
    return {"Fn::Join": ["", [*whole, then] if then else whole]}


class TestWhatIsMade:
    def test_the_bucket_of_each_region_closed_to_the_public(self) -> None:
        found = only(Behind(*REGIONS).templates()[HOME], "MultiRegionAccessPoint")
        closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        assert found["Properties"] == {
            "Regions": [{"Bucket": f"acme-{ACCOUNT}-{each}-an"} for each in REGIONS],
            "PublicAccessBlockConfiguration": dict.fromkeys(closed, True),
        }

    def test_the_order_of_the_replicas_replaces_nothing(self) -> None:
        first, second = (
            only(Behind(HOME, *away).templates()[HOME], "MultiRegionAccessPoint") for away in ((AWAY, FAR), (FAR, AWAY))
        )
        assert first == second

    def test_a_name_that_only_the_deployment_knows(self) -> None:
        behind = Buckets(direction=BOTH_WAYS)
        name = cdk.CfnParameter(behind.home, "Name").value_as_string
        MultiRegionAccessPoint(behind.home, "Point", buckets=behind.buckets, name=name)
        found = only(behind.templates()[HOME], "MultiRegionAccessPoint")
        assert found["Properties"]["Name"] == {"Ref": "Name"}

    def test_it_waits_for_the_buckets(self) -> None:
        here = Behind(*REGIONS).templates()[HOME]["Resources"]
        assert [here[name]["Type"] for name in here["PointC4AB23B4"]["DependsOn"]] == ["AWS::S3::Bucket"]
        there = Behind(*REGIONS, elsewhere=FAR)
        assert there.stack.dependencies == [there.home]
        assert "DependsOn" not in only(there.templates()["Global"], "MultiRegionAccessPoint")

    def test_the_policy_is_of_this_access_point_and_denies_only(self) -> None:
        template = Behind().templates()[HOME]
        assert only(template, "MultiRegionAccessPointPolicy")["Properties"]["MrapName"] == {"Ref": "PointC4AB23B4"}
        found = statements(template)
        assert list(found) == ["RefusePlainHttp", "RefuseTlsBelowMinimum"]
        for each in found.values():
            assert (each["Effect"], each["Principal"]) == ("Deny", "*")
            assert each["Resource"] == [arn(), arn(then="/object/*")]
        assert found["RefusePlainHttp"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert found["RefuseTlsBelowMinimum"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}

    def test_one_way_nothing_is_written_through_it(self) -> None:
        found = statements(Behind(direction=ReplicationDirection.ONE_WAY).templates()[HOME])
        refused = found["RefuseWritesWhichWouldNotBeReplicated"]
        assert refused["Resource"] == arn(then="/object/*")
        assert "Condition" not in refused
        everything = set(found["RefusePlainHttp"]["Action"])
        changing = {each for each in everything if each.split(":")[1].startswith(("Put", "Delete", "Restore", "Abort"))}
        assert set(refused["Action"]) == changing

    @pytest.mark.parametrize(
        ("options", "kept"), [({}, "Retain"), ({"removal_policy": cdk.RemovalPolicy.DESTROY}, "Delete")]
    )
    def test_it_stays_with_its_policy(self, options: dict[str, Any], kept: str) -> None:
        template = Behind(options=options).templates()[HOME]
        for kind in ("MultiRegionAccessPoint", "MultiRegionAccessPointPolicy"):
            found = only(template, kind)
            assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == (kept, kept)

    def test_two_over_the_same_buckets(self) -> None:
        behind = Behind()
        MultiRegionAccessPoint(behind.home, "Second", buckets=behind.buckets)
        assert len(of_kind(behind.templates()[HOME], "AWS::S3::MultiRegionAccessPoint")) == 2

    def test_logical_ids_stay(self) -> None:
        ids = [each for each in Behind().templates()[HOME]["Resources"] if each.startswith("Point")]
        assert ids == ["PointC4AB23B4", "PointPolicy02C73934"]

    def test_no_function_and_no_export(self) -> None:
        behind = Behind(elsewhere=FAR, direction=ReplicationDirection.ONE_WAY)
        behind.point.grant_read(iam.ManagedPolicy(stack_in(AWAY, behind.scope, "Readers"), "Policy"))
        found = str(behind.templates())
        assert "AWS::Lambda::Function" not in found
        assert "'Export'" not in found


def granted(behind: Behind, policy: iam.ManagedPolicy) -> set[tuple[str, str]]:
    """Return what the policy allows, as actions on texts; a reference to another stack is its output's name."""
    stack = cdk.Stack.of(policy)
    document = only_policy(behind.templates()[stack.stack_name])
    found = set()
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        actions = statement["Action"]
        resources = statement["Resource"]
        for action in actions if isinstance(actions, list) else [actions]:
            for resource in resources if isinstance(resources, list) else [resources]:
                found.add((action, text(resource)))
    return found


def only_policy(template: dict[str, Any]) -> dict[str, Any]:
    (found,) = (
        each["Properties"]["PolicyDocument"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::IAM::ManagedPolicy" and name.startswith("Policy")
    )
    return dict(found)


def text(value: Any) -> str:  # noqa: ANN401 - a template's
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(text(each) for each in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::GetStackOutput": {"StackName": stack, "OutputName": output}}:
            return f"<{stack}: {output}>"
        case {"Ref": name}:
            return f"<{name}>"
    raise AssertionError(value)


class TestGrants:
    @pytest.mark.parametrize("grant", GRANTS)
    def test_the_buckets_own_and_the_same_of_the_access_point(self, grant: str) -> None:
        buckets_alone, behind = Behind(), Behind()
        for each, of in ((buckets_alone, "buckets"), (behind, "point")):
            policy = iam.ManagedPolicy(each.home, "Policy")
            assert getattr(getattr(each, of), grant)(policy, objects_key_pattern="orders/*").success
        alone = granted(buckets_alone, buckets_alone.home.node.find_child("Policy"))  # type: ignore[arg-type]
        whole = granted(behind, behind.home.node.find_child("Policy"))  # type: ignore[arg-type]
        point = "arn:<AWS::Partition>:s3::111122223333:accesspoint/<PointC4AB23B4.Alias>"
        assert alone < whole
        assert {resource for _, resource in whole - alone} <= {point, f"{point}/object/orders/*"}
        # What a bucket asks for the access point asks for too, of the list and of the objects.
        here = "<DataBucket29F23293.Arn>"
        expected = {
            (action, resource.replace(f"{here}/", f"{point}/object/").replace(here, point))
            for action, resource in alone
            if resource.startswith(here) and action.startswith("s3:")
        }
        assert whole - alone == expected
        assert expected

    def test_from_another_region(self) -> None:
        behind = Behind(elsewhere=FAR)
        policy = iam.ManagedPolicy(stack_in(AWAY, behind.scope, "Readers"), "Policy")
        behind.point.grant_read(policy)
        found = {resource for _, resource in granted(behind, policy) if "accesspoint" in resource}
        (output,) = {one.split("<Global: ")[1].split(">")[0] for one in found}
        assert behind.templates()["Global"]["Outputs"][output]["Value"] == ALIAS
        assert len(found) == 2

    def test_fail_over_and_nothing_else(self) -> None:
        behind = Behind()
        policy = iam.ManagedPolicy(behind.home, "Policy")
        assert behind.point.grant_routing(policy).success
        point = "arn:<AWS::Partition>:s3::111122223333:accesspoint/<PointC4AB23B4.Alias>"
        assert granted(behind, policy) == {
            ("s3:GetMultiRegionAccessPointRoutes", point),
            ("s3:SubmitMultiRegionAccessPointRoutes", point),
        }

    @pytest.mark.parametrize("grant", ["grant_write", "grant_read_write", "grant_delete"])
    def test_one_way_it_is_for_reading(self, grant: str) -> None:
        behind = Behind(direction=ReplicationDirection.ONE_WAY)
        policy = iam.ManagedPolicy(behind.home, "Policy")
        with pytest.raises(
            ValueError, match=r"^Point: buckets is .*, which replicates one way'; allowed: buckets that"
        ):
            getattr(behind.point, grant)(policy)
        assert behind.point.grant_read(policy).success

    @pytest.mark.parametrize("grant", [*GRANTS, "grant_routing"])
    def test_not_who_is_deployed_before(self, grant: str) -> None:
        behind = Behind(elsewhere=FAR)
        for early in (behind.home, *behind.away):
            policy = iam.ManagedPolicy(early, "Policy")
            with pytest.raises(ValueError, match=r"^Point: grantee is .of eu-.*-1, which is deployed before"):
                getattr(behind.point, grant)(policy)

    @pytest.mark.parametrize("grant", [*GRANTS, "grant_routing"])
    def test_not_who_takes_no_policy(self, grant: str) -> None:
        point = Behind().point
        for nobody in (iam.AccountRootPrincipal(), "orders"):
            with pytest.raises(ValueError, match=r"^(Point|Bucket|Data|DataReplica): grantee is ") as caught:
                getattr(point, grant)(nobody)
            assert not isinstance(caught.value, jsii.errors.JSIIError)

    def test_a_pattern_of_objects(self) -> None:
        behind = Behind()
        with pytest.raises(ValueError, match=r"^Point: objects_key_pattern is '/a'; allowed: "):
            behind.point.grant_read(iam.ManagedPolicy(behind.home, "Policy"), objects_key_pattern="/a")


class TestProofs:
    @pytest.mark.parametrize("direction", ReplicationDirection)
    @pytest.mark.parametrize("elsewhere", [None, FAR])
    def test_nothing_is_found_and_nothing_undecided(
        self, direction: ReplicationDirection, elsewhere: str | None
    ) -> None:
        behind = Behind(direction=direction, elsewhere=elsewhere)
        role = iam.Role(behind.stack, "Application", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        policy = iam.ManagedPolicy(behind.stack, "Policy", roles=[role])
        behind.point.grant_read(policy)
        behind.point.grant_routing(policy)
        if direction is BOTH_WAYS:
            behind.point.grant_write(policy)
        assert behind.outcomes() == []


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("buckets", {"buckets": "acme"}),
    ("name", {"name": "ab"}),
    ("name", {"name": "a" * 51}),
    ("name", {"name": "-orders"}),
    ("name", {"name": "orders-"}),
    ("name", {"name": "Orders"}),
    ("name", {"name": "orders.eu"}),
    ("name", {"name": "orders_eu"}),
    ("name", {"name": "orders\n"}),
    ("name", {"name": 7}),
    ("removal_policy", {"removal_policy": cdk.RemovalPolicy.SNAPSHOT}),
]
UNREACHABLE: dict[str, tuple[dict[str, Any], str]] = {
    "a key to name": ({"upload_policy": UploadPolicy.REQUIRE_HEADER}, "demands that uploads name their bucket's key"),
    "TLS 1.3": ({"minimum_tls_version": MinimumTlsVersion.TLS_1_3}, "demands TLS 1.3"),
}


def refused(caught: pytest.ExceptionInfo[ValueError], place: cdk.Stack) -> None:
    assert not isinstance(caught.value, jsii.errors.JSIIError)
    assert place.node.try_find_child("Point") is None


class TestRefusals:
    @pytest.mark.parametrize(("argument", "arguments"), REFUSED)
    def test_one_by_one(self, argument: str, arguments: dict[str, Any]) -> None:
        buckets = Buckets(direction=BOTH_WAYS)
        with pytest.raises(ValueError, match=rf"^Point: {argument} is .+; allowed: [^;]+; .+[^.]$") as caught:
            MultiRegionAccessPoint(buckets.home, "Point", **{"buckets": buckets.buckets, **arguments})
        refused(caught, buckets.home)

    @pytest.mark.parametrize("name", ["abc", "a" * 50, "1-2", "0rders"])
    def test_a_name_within_the_rules(self, name: str) -> None:
        found = only(Behind(options={"name": name}).templates()[HOME], "MultiRegionAccessPoint")
        assert found["Properties"]["Name"] == name

    @pytest.mark.parametrize("which", UNREACHABLE)
    def test_buckets_that_it_couldnt_reach(self, which: str) -> None:
        arguments, why = UNREACHABLE[which]
        buckets = Buckets(direction=BOTH_WAYS, **arguments)
        with pytest.raises(
            ValueError, match=rf"^Point: buckets is .*, which {why}.; allowed: [^;]+; .+[^.]$"
        ) as caught:
            MultiRegionAccessPoint(buckets.home, "Point", buckets=buckets.buckets)
        refused(caught, buckets.home)

    def test_buckets_in_one_region(self) -> None:
        home = stack_in(HOME)
        elsewhere = CrossAccountDestination(
            account="444455556666",
            region=AWAY,
            bucket_name=f"backup-444455556666-{AWAY}-an",
            key_arn=f"arn:aws:kms:{AWAY}:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        )
        buckets = make(home, (), destinations=[elsewhere], role_name="replication")
        with pytest.raises(ValueError, match=r"^Point: buckets is .* in eu-central-1 alone'; allowed: buckets in two"):
            MultiRegionAccessPoint(home, "Point", buckets=buckets)

    @pytest.mark.parametrize(
        ("place", "why"),
        [
            (lambda buckets: buckets.scope, "the app, which is in no stack"),
            (lambda buckets: cdk.Stack(buckets.scope, "Anywhere"), "Anywhere, which names no account or Region"),
            (
                lambda buckets: cdk.Stack(
                    buckets.scope, "Theirs", env=cdk.Environment(account="444455556666", region=HOME)
                ),
                "Theirs of account 444455556666",
            ),
            (
                lambda buckets: stack_in(HOME, cdk.Stage(buckets.scope, "Other"), "Stack"),
                "Other/Stack, which is in another Stage or app",
            ),
            (lambda buckets: cdk.NestedStack(buckets.home, "Nested"), "Nested, which is a nested stack"),
            (lambda buckets: buckets.away[0], "eu-west-1, which is deployed before the source"),
        ],
        ids=["no stack", "no Region", "another account", "another stage", "nested", "before"],
    )
    def test_places(self, place: Callable[[Buckets], Construct], why: str) -> None:
        buckets = Buckets(direction=BOTH_WAYS)
        where = place(buckets)
        with pytest.raises(
            ValueError, match=rf"^Point: scope is .*{why}.*; allowed: a place in eu-central-1, or "
        ) as caught:
            MultiRegionAccessPoint(where, "Point", buckets=buckets.buckets)
        assert not isinstance(caught.value, jsii.errors.JSIIError)
        assert where.node.try_find_child("Point") is None

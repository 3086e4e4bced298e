"""The last step of docs/off-boarding.md, by the real CLI: a customer's stack, or their part of a cell's, goes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from botocore.config import Config

from cdk_encrypted_data import Placement, customers_from
from cdk_encrypted_data_operations.off_boarding import CLOSED, OffBoarding
from devtools.embedded_aws.cdk import CdkError, run_cdk
from devtools.embedded_aws.server import EmbeddedAws
from devtools.readme import README
from stacks.cells import Cell, CellSettings
from stacks.customers import CustomersSettings, customer_stacks
from tests.customers.fixtures import ACCOUNT, ENVIRONMENT, NETWORK, REGION
from tests.customers.test_job_code import rules
from tests.customers.test_stacks import context, listed
from tests.docs.test_readme import code

pytestmark = pytest.mark.deploy

_TEXT = (README.parent / "docs" / "off-boarding.md").read_text()
_CONTEXT = json.loads((README.parent / "cdk.json").read_text())["context"]
_YES = {"deploy": ["--require-approval=never"], "destroy": ["--force"]}


def the_app(place: Path, *names: str) -> Path:
    """The app's default layout, a stack for each customer; the folder of its assembly."""
    app = cdk.App(outdir=str(place), context=_CONTEXT)
    settings = CustomersSettings.from_context(context(place.parent / "rules"), text=listed(*names))
    customer_stacks(app, settings, env=ENVIRONMENT)
    return Path(app.synth().directory)


def a_cell(place: Path, *names: str) -> Path:
    app = cdk.App(outdir=str(place), context=_CONTEXT)
    settings = CellSettings(
        name="Frankfurt1",
        account=ACCOUNT,
        region=REGION,
        placement=Placement(stacks=1, capacity=40),
        customers=customers_from(listed(*names)) if names else (),
        rules={"clinical-trials": str(place.parent / "rules")},
        subnet_id=NETWORK["subnet_id"],
        availability_zone=NETWORK["availability_zone"],
        security_group_ids=tuple(NETWORK["security_group_ids"]),
    )
    Cell(app, settings=settings)
    return Path(app.synth().directory)


class Fleet:
    """Two customers on an embedded AWS."""

    def __init__(self, aws: EmbeddedAws, place: Path, synthesized: Callable[..., Path]) -> None:
        self.aws, self.place, self._synthesized = aws, place, synthesized
        rules(place)
        self.assembly = self.without()
        run_cdk(aws, "bootstrap", app=self.assembly)
        run_cdk(aws, "deploy", "**", *_YES["deploy"], app=self.assembly)

    def without(self, *left: str) -> Path:
        """The assembly of the customers who haven't left."""
        stay = [name for name in ("acme", "globex") if name not in left]
        return self._synthesized(self.place / f"without-{'-'.join(left)}", *stay)

    def off(self, customer: str) -> OffBoarding:
        return OffBoarding(
            customer=customer,
            regions=[REGION],
            administrators=[f"arn:aws:iam::{ACCOUNT}:root"],
            evidence=self.place / f"{customer}.json",
            session=self.aws.session(),
            config=Config(proxies={}),
        )

    def take_off(self, customer: str) -> OffBoarding:
        end = self.off(customer)
        end.stop(end.inspect())
        end.destroy(end.inspect())
        assert end.verify().is_done
        return end

    def of(self, customer: str) -> dict[str, Any]:
        """Return what there is of a customer and how it is, by what it is."""
        kms, s3, glue, iam = map(self.aws.client, ("kms", "s3", "glue", "iam"))
        tagged = self.aws.client("resourcegroupstaggingapi").get_resources(
            TagFilters=[{"Key": "customer", "Values": [customer]}], ResourceTypeFilters=["kms", "s3"]
        )["ResourceTagMappingList"]
        arns = sorted(each["ResourceARN"] for each in tagged)
        keys = [arn for arn in arns if arn.startswith("arn:aws:kms:")]
        # The names that the CDK makes have the customer's in them; jobs are asked for whose they are as well.
        named: dict[str, list[Any]] = {
            "job": [
                each for each in glue.get_jobs()["Jobs"] if each["NonOverridableArguments"]["--customer"] == customer
            ],
            "trigger": [each for each in glue.get_triggers()["Triggers"] if f"-{customer}-" in each["Name"]],
            "connection": [
                each for each in glue.get_connections()["ConnectionList"] if f"-{customer}-" in each["Name"]
            ],
            "role": [each for each in iam.list_roles()["Roles"] if customer in each["RoleName"]],
            "policy": [each for each in iam.list_policies(Scope="Local")["Policies"] if customer in each["PolicyName"]],
            "alias": [each for each in kms.list_aliases()["Aliases"] if customer in each["AliasName"]],
        }
        for each in named["job"]:
            # The embedded AWS writes anew what is in a stack that changes, the same or not.
            del each["LastModifiedOn"]
        held = {
            "key": {arn: kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] for arn in keys},
            "bucket": {arn: _statements(s3, arn.rpartition(":")[2]) for arn in arns if arn not in keys},
        }
        return {what: found for what, found in (held | named).items() if found}


def _statements(s3: Any, bucket: str) -> list[str]:  # noqa: ANN401 - boto3
    return [each["Sid"] for each in json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]]


@pytest.fixture
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    with EmbeddedAws(account_id=ACCOUNT, region=REGION) as aws:
        yield Fleet(aws, tmp_path, request.param)


def of_the_page(program: str) -> list[list[str]]:
    """The page's commands of a program, in its order."""
    return [shlex.split(block)[1:] for block in code("sh", _TEXT) if block.startswith(f"{program} ")]


def assert_only_what_holds_data_is_left(fleet: Fleet, customer: str, before: dict[str, Any]) -> None:
    assert before.keys() == {"key", "bucket", "job", "trigger", "connection", "role", "policy", "alias"}
    left = fleet.of(customer)
    assert left.keys() == {"key", "bucket"}
    assert left["key"] == dict.fromkeys(before["key"], "PendingDeletion")
    assert left["bucket"] == {arn: [*statements, CLOSED] for arn, statements in before["bucket"].items()}


@pytest.mark.parametrize("fleet", [the_app], indirect=True)
def test_a_customers_stack_is_destroyed_before_their_entry_goes(fleet: Fleet) -> None:
    destroy, deploy, _ = of_the_page("cdk")
    before, others = fleet.of("acme"), fleet.of("globex")
    end = fleet.take_off("acme")
    # The other way round: a stack that left the app is nobody's any more, and stays with all that is in it.
    run_cdk(fleet.aws, *deploy, *_YES["deploy"], app=fleet.without("acme"))
    assert fleet.of("acme").keys() == before.keys()
    run_cdk(fleet.aws, *destroy, *_YES["destroy"], app=fleet.assembly)
    assert_only_what_holds_data_is_left(fleet, "acme", before)
    said = run_cdk(fleet.aws, *deploy, *_YES["deploy"], app=fleet.without("acme"))
    assert said.count("(no changes)") == 2
    assert fleet.of("globex") == others
    # It is still known to be done, and can be taken back as long as there is a key.
    assert end.verify().is_done
    (gone,) = end.take_back(end.inspect())
    assert ":trigger/" in gone
    end.verify(is_back=True)
    back = {what: before[what] for what in ("key", "bucket")}
    assert fleet.of("acme") == back
    # What was retained is in the way of the same customer's next stack.
    with pytest.raises(CdkError, match=f"{end.inspect().buckets[0].name} already exists"):
        run_cdk(fleet.aws, *deploy, *_YES["deploy"], app=fleet.assembly)
    assert len(fleet.of("acme")["key"]) == 2


@pytest.mark.parametrize("fleet", [a_cell], indirect=True)
def test_in_a_cell_the_entry_goes_and_the_cell_is_deployed(fleet: Fleet) -> None:
    *_, deploy = of_the_page("cdk")
    before, others = fleet.of("acme"), fleet.of("globex")
    fleet.take_off("acme")
    run_cdk(fleet.aws, *deploy, *_YES["deploy"], app=fleet.without("acme"))
    assert_only_what_holds_data_is_left(fleet, "acme", before)
    assert fleet.of("globex") == others
    # With the last one the stack goes, and what it held stays.
    fleet.take_off("globex")
    run_cdk(fleet.aws, *deploy, *_YES["deploy"], app=fleet.without("acme", "globex"))
    assert_only_what_holds_data_is_left(fleet, "globex", others)

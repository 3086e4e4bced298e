"""Fleets: customers by cells, each cell a stage in an account and Region of its own, with many customers in a stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
import tomllib
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_encrypted_data import Customer, JobCode, PerCustomerGlueJob, Placement, check_customers, customers_from
from stacks.customers import SharedStack, acknowledge_job
from stacks.settings import arns_in

CELLS = "encrypted-data:cells"

_NAME = re.compile(r"[A-Z][A-Za-z0-9]{0,31}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
NEEDED_FIELDS = {
    "name",
    "account",
    "region",
    "stacks",
    "capacity",
    "customers",
    "rules",
    "subnetId",
    "availabilityZone",
    "securityGroupIds",
}
OPTIONAL_FIELDS = {"administrators", "pinned"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSettings:
    """One cell: an account and Region, how many stacks it has there, and whose they are.

    Attributes:
        name: The stage's id and the beginning of its stacks' names: another name is other stacks, with new keys and
            empty buckets.
        account: The account's twelve digits.
        region: The Region.
        placement: How many stacks there are, and who is in which. The number of stacks never changes.
        customers: The cell's customers.
        rules: The directories of SQL files, by the name of the set.
        subnet_id: The subnet that jobs reach the databases from.
        availability_zone: The subnet's.
        security_group_ids: What the databases admit.
        administrators: ARNs of the roles and users of the account who administer its keys and use none.
    """

    name: str
    account: str
    region: str
    placement: Placement
    customers: tuple[Customer, ...]
    rules: Mapping[str, str]
    subnet_id: str
    availability_zone: str
    security_group_ids: tuple[str, ...]
    administrators: tuple[str, ...] = ()


class CellStack(cdk.Stack):
    """Some of a cell's customers: those whose names fall here. None of them is moved by another."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        customers: Sequence[Customer],
        settings: CellSettings,
        shared: SharedStack,
        administrators: Sequence[iam.ArnPrincipal] = (),
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the stack.

        Args:
            scope: The cell.
            id: The stack's id.
            customers: Whose it is; nobody's is a stack without resources, which the CDK CLI doesn't deploy and deletes
                where it was deployed.
            settings: The cell's.
            shared: The stack of what the cell's customers share.
            administrators: The cell's, made once for all its customers.
            removal_policy: What happens to keys and buckets when they leave the template.
        """
        super().__init__(
            scope,
            id,
            description=f"Keys, buckets and Glue jobs of customers of {settings.name}",
            # With white space forty customers come near to the 1 MB that CloudFormation takes.
            suppress_template_indentation=True,
        )
        self.jobs: dict[str, PerCustomerGlueJob] = {}
        if not customers:
            return
        # Of all rules, used or not: what one customer names must change nothing of the others'.
        code = JobCode.from_assets(self, "Code", rules=dict(settings.rules))
        for customer in customers:
            job = PerCustomerGlueJob(
                self,
                customer.name,
                customer=customer,
                code=code,
                subnet_id=settings.subnet_id,
                availability_zone=settings.availability_zone,
                security_group_ids=settings.security_group_ids,
                failure_topic=shared.failures.topic,
                key_administrators=administrators,
                access_log_bucket=shared.access_logs,
                removal_policy=removal_policy,
            )
            acknowledge_job(job, customer.name, removal_policy)
            if customer.readers:
                cdk.CfnOutput(job, "ReaderPolicyArn", value=job.reader_policy.ref)
            self.jobs[customer.name] = job


class Cell(cdk.Stage):
    """A cell: what its customers share, and its stacks, as many as its placement has."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: CellSettings,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        """Make the stage.

        Args:
            scope: The app.
            settings: The cell's.
            removal_policy: What happens to keys and buckets when they leave the template.

        Raises:
            ValueError: If a stack is full, or two customers couldn't be told apart.
        """
        super().__init__(scope, settings.name, env=cdk.Environment(account=settings.account, region=settings.region))
        by_name = {customer.name: customer for customer in settings.customers}
        check_customers(settings.name, settings.customers)
        placed = settings.placement.place(by_name)
        administrators = tuple(iam.ArnPrincipal(arn) for arn in settings.administrators)
        self.shared = SharedStack(self, "Shared", administrators=administrators, removal_policy=removal_policy)
        self.stacks = tuple(
            CellStack(
                self,
                f"Customers{number:04}",
                customers=[by_name[name] for name in names],
                settings=settings,
                shared=self.shared,
                administrators=administrators,
                removal_policy=removal_policy,
            )
            for number, names in enumerate(placed)
        )


def cells_from(text: str, *, read: Callable[[str], str]) -> tuple[CellSettings, ...]:
    """Return the cells that a file lists, in TOML: ``cells``, a list of tables.

    Args:
        text: The file's text.
        read: Returns the text of a file that a cell names: its customers, in the form of `customers_from`.

    Raises:
        ValueError: If a cell isn't one, or two couldn't be told apart.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refusal(CELLS, f"a text that can't be read: {error}", "TOML") from error
    entries = document.get("cells")
    if document.keys() != {"cells"} or not isinstance(entries, list) or not entries:
        raise _refusal(
            CELLS, document if entries is None else entries, "a file with a list named cells, of at least one"
        )
    cells = tuple(_cell(entry, read) for entry in entries)
    names = [cell.name for cell in cells]
    if len(set(names)) != len(names):
        raise _refusal(f"{CELLS}, name", names, "names that differ from each other")
    # A customer in two cells would have two keys, and be off-boarded from one.
    check_customers(CELLS, [customer for cell in cells for customer in cell.customers])
    return cells


def _cell(entry: object, read: Callable[[str], str]) -> CellSettings:
    if not isinstance(entry, dict) or not NEEDED_FIELDS <= entry.keys() <= NEEDED_FIELDS | OPTIONAL_FIELDS:
        raise _refusal(
            CELLS,
            entry,
            f"cells with {', '.join(sorted(NEEDED_FIELDS))}, and any of {', '.join(sorted(OPTIONAL_FIELDS))}",
        )
    for field, pattern, allowed in (
        ("name", _NAME, "1 to 32 letters and digits that begin with a capital"),
        ("account", _ACCOUNT, "the account's twelve digits, as text"),
        ("region", _REGION, "a Region"),
    ):
        if not isinstance(entry[field], str) or not pattern.fullmatch(entry[field]):
            raise _refusal(f"{CELLS}, {field}", entry[field], allowed)
    groups = entry["securityGroupIds"]
    if not isinstance(groups, list) or not groups:
        raise _refusal(f"{CELLS}, securityGroupIds", groups, "a list of at least one security group")
    if not isinstance(entry["rules"], dict) or not entry["rules"]:
        raise _refusal(f"{CELLS}, rules", entry["rules"], 'a table such as {"clinical-trials" = "DIRECTORY"}')
    administrators = arns_in(entry.get("administrators", []))
    if administrators is None:
        raise _refusal(f"{CELLS}, administrators", entry["administrators"], "a list of ARNs of roles and users")
    return CellSettings(
        name=entry["name"],
        account=entry["account"],
        region=entry["region"],
        placement=Placement(stacks=entry["stacks"], capacity=entry["capacity"], pinned=entry.get("pinned", {})),
        customers=customers_from(read(str(entry["customers"]))),
        rules={str(name): str(directory) for name, directory in entry["rules"].items()},
        subnet_id=str(entry["subnetId"]),
        availability_zone=str(entry["availabilityZone"]),
        security_group_ids=tuple(map(str, groups)),
        administrators=administrators,
    )


def _refusal(setting: str, got: object, allowed: str) -> ValueError:
    return ValueError(f"{setting} is {got!r}; allowed: {allowed}; change it in the file of cells")

"""Who reads what a customer's job wrote: the readers that are listed with the customer, and nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devtools.attempts import REFUSED, Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devtools.deployed_customers import Deployed
    from devtools.embedded_aws.server import Credentials, EmbeddedAws

_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """A reader of each customer, who has no permission before the deployment, and two whom IAM allows everything.

    Attributes:
        of: The readers' credentials, by customer.
        administrator: Whom the keys name as their administrator.
        stranger: Whom nothing names.
        aws: Where.
    """

    of: dict[str, Credentials] = field(repr=False)
    administrator: Credentials = field(repr=False)
    stranger: Credentials = field(repr=False)
    aws: EmbeddedAws = field(repr=False)

    @classmethod
    def make(cls, aws: EmbeddedAws, customers: Sequence[str]) -> Readers:
        """Make the users: a key's policy can name who is there only."""
        return cls(
            of={name: aws.create_user(f"{name}-reader") for name in customers},
            administrator=aws.create_user("key-administrator", _EVERYTHING),
            stranger=aws.create_user("stranger", _EVERYTHING),
            aws=aws,
        )

    def arn(self, customer: str) -> str:
        """Return the ARN of a customer's reader, as the list of customers says it."""
        return self._arn(f"{customer}-reader")

    @property
    def administrator_arn(self) -> str:
        """The administrator's ARN, as the settings say it."""
        return self._arn("key-administrator")

    def attach(self) -> None:
        """Give each reader the policy that the customer's stack has made for it."""
        for name in self.of:
            (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=f"Customer-{name}")["Stacks"]
            outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
            self.aws.client("iam").attach_user_policy(UserName=f"{name}-reader", PolicyArn=outputs["ReaderPolicyArn"])

    def attempts(self, deployed: Deployed) -> list[Attempt]:
        """Try as each of them to read what the customer's last run wrote."""
        name = deployed.source.name
        written = sum(each["rows"] for each in deployed.runs().manifest().outputs.values())
        everybody = {f"{each}'s reader": credentials for each, credentials in self.of.items()}
        everybody["the keys' administrator, whom IAM allows everything"] = self.administrator
        everybody["a stranger, whom IAM allows everything"] = self.stranger
        return [
            Attempt(
                what=f"read as {who}",
                request="FinishedRuns.read of every output",
                expected=f"{written:,} rows" if who == f"{name}'s reader" else REFUSED,
                run=_read(deployed, credentials),
            )
            for who, credentials in everybody.items()
        ]

    def _arn(self, user: str) -> str:
        return f"arn:aws:iam::{self.aws.account_id}:user/{user}"


def _read(deployed: Deployed, credentials: Credentials) -> Callable[[], str]:
    def run() -> str:
        runs = deployed.runs(credentials)
        return f"{sum(runs.read(output).num_rows for output in runs.manifest().outputs):,} rows"

    return run

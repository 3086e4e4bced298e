"""The quotas as a validation plugin of the CDK: synthesis fails where AWS would refuse the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
import jsii

import cdk_encrypted_data
from cdk_encrypted_data.encryption_proofs import assembly_of
from cdk_encrypted_data.proofs.cloudformation import assembly
from cdk_encrypted_data.quotas import counting, report
from cdk_encrypted_data.quotas.limits import LIMITS, numbers

_NAME = "FleetQuotas"
_LISTED_PLACES = 10


@jsii.implements(cdk.IPolicyValidationPlugin)
class FleetQuotas:
    """Counts, at synthesis, what AWS would refuse for its number or size. For any CDK app.

    ::

        cdk.Validations.of(app).add_plugins(FleetQuotas())

    It counts over all stacks of an account and Region: what a fleet of customers runs into is no limit of one stack. A
    limit that is exceeded fails the synthesis, and from 90 % on there is a warning; both say how much of which limit,
    and what to do. ``fleet-quotas cdk.out`` prints all of them as a table, with how far the fleet is from each.

    It knows the app and not the account: what else is there counts too, at AWS. It makes no resource and changes no
    template. See https://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html.
    """

    def __init__(self, *, limits: Mapping[str, int] | None = None) -> None:
        """Make the plugin.

        Args:
            limits: The numbers that the accounts have, by the limit's id, such as
                ``{"glue-security-configurations": 1000}`` after AWS has raised that quota; lower ones, where the
                accounts hold other things too. ``fleet-quotas --limits`` lists the ids. Default: AWS's own numbers.

        Raises:
            ValueError: If there is no such limit, or AWS doesn't raise it, or not so far.
        """
        self._numbers = numbers(limits or {})

    @property
    def name(self) -> str:
        """What acknowledgements name before ``::``."""
        return _NAME

    @property
    def version(self) -> str:
        """The library's version."""
        return cdk_encrypted_data.__version__

    @property
    def rule_ids(self) -> list[str]:
        """Every limit's id."""
        return list(LIMITS)

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Count the assembly that was just written. Called by the CDK."""
        templates = {Path(one.template_path).resolve() for one in context.stack_templates}
        # A plugin of one stage is asked about that stage, though what the others hold counts.
        counted = counting.count(assembly.read(assembly_of(templates)), given=self._numbers)
        found = [(usage, _asked(usage, templates)) for usage in (*counted.over, *counted.near)]
        violations = [_violation(usage, places) for usage, places in found if places]
        return cdk.PolicyValidationPluginReport(
            success=not any(usage.is_over for usage, places in found if places),
            violations=violations,
            metadata={"fullest": report.in_words(counted.usages[0])} if counted.usages else None,
        )


def _asked(usage: counting.Usage, templates: set[Path]) -> list[counting.Place]:
    """Return what counts and is of the stacks asked about, or of one nested in them: their files lie together."""
    directories = {template.parent for template in templates}
    return [place for place in usage.places if place.file and Path(place.file).resolve().parent in directories]


def _violation(usage: counting.Usage, places: list[counting.Place]) -> cdk.PolicyViolation:
    return cdk.PolicyViolation(
        rule_name=usage.limit.id,
        severity="error" if usage.is_over else "warning",
        description=f"{report.in_words(usage)}{': AWS refuses it' if usage.is_over else ': little more fits'}",
        fix=report.remedy(usage),
        violating_resources=[
            cdk.PolicyViolatingResource(
                construct_path=place.construct_path,
                resource_logical_id=place.logical_id,
                template_path=place.file,
                locations=[],
            )
            # A thousand of them say no more than some: each is one of too many.
            for place in places[:_LISTED_PLACES]
        ],
    )

"""The proofs as a validation plugin of the CDK: synthesis fails on an error, with the counterexample in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aws_cdk as cdk
import jsii

import cdk_encrypted_data
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Resource
from cdk_encrypted_data.proofs.findings import Finding, Severity, Undecidable
from cdk_encrypted_data.proofs.proof import NAME, prove
from cdk_encrypted_data.proofs.rules import RULES

UNDECIDED: Final = "undecided"
"""The rule id under which the CDK's report lists what can't be decided."""

_SEVERITIES: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "info"}


@jsii.implements(cdk.IPolicyValidationPlugin)
class EncryptionProofs:
    """Proves, at synthesis, that an app's data stay encrypted under the customer's own keys. For any CDK app.

    ::

        cdk.Validations.of(app).add_plugins(EncryptionProofs())

    Every policy of every stack is evaluated as AWS documents it, over every request that the policies can tell apart.
    What doesn't hold is reported at its construct as a counterexample: who, with which request, is allowed or refused
    by which statement, and what happens to the data. An error fails the synthesis; warnings and notes are printed. What
    can't be decided is listed as information under ``undecided``, never taken for sound.

    ``python -m cdk_encrypted_data.proofs --rules`` lists the rules, ``--explain RULE`` says why each matters and what
    to do. A finding is accepted at a construct, with a reason, by
    ``Validations.of(construct).acknowledge(Acknowledgment(id="EncryptionProofs::RULE", reason="…"))``.

    It makes no resource and changes no template. See
    https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html.
    """

    @property
    def name(self) -> str:
        """What acknowledgements name before ``::``."""
        return NAME

    @property
    def version(self) -> str:
        """The library's version."""
        return cdk_encrypted_data.__version__

    @property
    def rule_ids(self) -> list[str]:
        """Every rule's id."""
        return list(RULES)

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Prove the assembly that was just written. Called by the CDK."""
        templates = {Path(one.template_path).resolve() for one in context.stack_templates}
        assembly = Assembly.read(assembly_of(templates))
        # Acknowledgements are the CDK's business here: it keeps accepted findings with their reasons in its report.
        proof = prove(assembly, acknowledgements=False)
        # A plugin of one stage is asked about that stage, though what the others say counts.
        files = {stack.id: stack.file for stack in assembly.stacks}
        asked = tuple(name for name, file in files.items() if file is not None and file.resolve() in templates)
        findings = [one for one in proof.findings if _is_asked(one.resource, asked)]
        undecided: dict[str, list[Undecidable]] = {}
        for one in proof.undecidable:
            if _is_asked(one.resource, asked):
                undecided.setdefault(one.reason, []).append(one)
        return cdk.PolicyValidationPluginReport(
            success=all(one.rule.severity < Severity.ERROR for one in findings),
            violations=[
                *(_finding(one, files) for one in findings),
                *(_undecided(reason, several, files) for reason, several in undecided.items()),
            ],
            metadata={"requestsDecided": str(proof.requests)},
        )


def _is_asked(resource: Resource, stacks: tuple[str, ...]) -> bool:
    """Whether a resource is of one of the stacks, or of one nested in them."""
    return f"{resource.stack}/".startswith(tuple(f"{stack}/" for stack in stacks))


def _finding(finding: Finding, files: Mapping[str, Path | None]) -> cdk.PolicyViolation:
    return cdk.PolicyViolation(
        rule_name=finding.rule.id,
        severity=_SEVERITIES[finding.rule.severity],
        description=finding.counterexample,
        fix=finding.rule.remedy,
        violating_resources=[_resource(finding.resource, files, finding.place)],
    )


def _undecided(reason: str, several: Sequence[Undecidable], files: Mapping[str, Path | None]) -> cdk.PolicyViolation:
    rules = sorted({one.rule.id for one in several})
    resources = {id(one.resource): one.resource for one in several}
    return cdk.PolicyViolation(
        rule_name=UNDECIDED,
        severity=_SEVERITIES[Severity.NOTE],
        description=f"{', '.join(rules)}: {reason}",
        violating_resources=[_resource(one, files, "Properties") for one in resources.values()],
    )


def _resource(resource: Resource, files: Mapping[str, Path | None], place: str) -> cdk.PolicyViolatingResource:
    file = files[resource.stack]
    return cdk.PolicyViolatingResource(
        construct_path=resource.construct_path,
        resource_logical_id=resource.logical_id,
        template_path=None if file is None else str(file),
        locations=[place],
    )


def assembly_of(templates: set[Path]) -> Path:
    """Return the outermost directory with a manifest around the templates: a stage's assembly lies in its app's."""
    directory = min((template.parent for template in templates), key=lambda path: len(path.parts))
    while (directory.parent / "manifest.json").is_file():
        directory = directory.parent
    return directory

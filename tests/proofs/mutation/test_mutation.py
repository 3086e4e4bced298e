"""Break templates in every way, one place at a time: each break that changes what they mean is found.

A mutant that no rule reports has to be shown to mean the same: its policies decide every request of the joint space
alike (``equivalence``), or it only takes rights from a role of the template, or it is one of ``HARMLESS``, each with
its reason.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Json
from cdk_encrypted_data.proofs.proof import Proof, prove
from cdk_encrypted_data.proofs.spaces import Prover
from tests.proofs.mutation.equivalence import ACCOUNT, REGION, differences
from tests.proofs.mutation.memory import RememberingProver
from tests.proofs.mutation.mutants import Mutant, mutants
from tests.proofs.mutation.subjects import TEMPLATES

# So many mutants are proven with what is remembered of the others for each that is also proven without.
ONE_IN = 20


class Harmless(NamedTuple):
    """What of a mutant's name says that it means the same, in which subjects, and why."""

    subjects: str
    pattern: str
    why: str


EVERY = ".*"
OURS = "smallest|strict|dsse|sse-s3|separated|with users"
HARMLESS = (
    # S3's own default is the same.
    Harmless(EVERY, r"^drop at .*/BlockedEncryptionTypes", "S3 blocks SSE-C by itself since April 2026"),
    Harmless(OURS, r"^drop at .*/OwnershipControls", "BucketOwnerEnforced is S3's default since April 2023"),
    Harmless(EVERY, r"^drop at .*/PublicAccessBlockConfiguration$", "all four are S3's default since April 2023"),
    Harmless("sse-s3", r"^drop at .*/BucketEncryption", "SSE-S3 is the default of every bucket"),
    Harmless("with users", r"^drop at Logs.*/BucketEncryption", "SSE-S3 is the default of every bucket"),
    Harmless("replicated.yaml", r"^drop at .*/Rules/0/(Id|Filter/Prefix)$", "CloudFormation makes an id; all objects"),
    # CloudFormation, S3 or KMS refuses it, or nothing sends it.
    Harmless(EVERY, r"^drop at .*Alias.*/TargetKeyId$", "required: CloudFormation refuses the template"),
    Harmless(
        "replicated.yaml",
        r"^drop at .*/(Rules/0/(Status|Priority|Filter)|ReplicationTime/(Status|Time|Time/Minutes)|Minutes)$",
        "required: S3 refuses the configuration",
    ),
    Harmless("job.json", r"^drop at .*/(Name|ConnectionInput|ConnectionType|ScriptLocation)$", "required by Glue"),
    Harmless(
        "smallest|dsse|sse-s3|separated|with users|plain L2s",
        r"^drop the statement at (Data|Logs)Policy.*/Statement/1$",
        "the statement about TLS: S3's endpoints answer nothing below TLS 1.2",
    ),
    Harmless(EVERY, r"^NumericLessThanIfExists at ", "every request over TLS says its version; plain HTTP is refused"),
    Harmless(EVERY, r"^StringLikeIfExists at ", "S3 sends an encryption context with every request to KMS"),
    Harmless("dsse", r"at DataPolicy.*/Statement/5", "S3 updates no object that lies under DSSE-KMS"),
    # Another statement or property does the same.
    Harmless(EVERY, r"^say NONE at ", "the bucket's policy refuses SSE-C, or every upload"),
    Harmless("smallest|dsse|separated|with users", r"at DataPolicy.*/Statement/6(/Principal)?$", "SSE-C is blocked"),
    Harmless("sse-s3", r"at DataPolicy.*/Statement/5(/Principal)?$", "SSE-C is blocked by the bucket's setting"),
    Harmless(
        "strict",
        r"at DataPolicy.*/Statement/2(/Principal)?$",
        "what names no encryption gets the bucket's own, and what names another one the next statements refuse",
    ),
    Harmless(
        EVERY,
        r"^allow or deny every action at .*Key.*/KeyPolicy/Statement/[13]/Action$",
        "S3 asks for these five alone; what administrators gain, their Deny takes",
    ),
    Harmless(
        "with users|replicated.yaml",
        # The statements about keys.
        r"^(allow or deny every action|say \*) at ((Reader|Writer)Policy.*/2|Replication.*/3)/[AR]",
        "on keys, through S3 and for this bucket's objects: there S3's own permissions decide",
    ),
    Harmless(
        "with users",
        r"^name everybody at Data.*/Statement/[37]/Principal$",
        "aws:SourceArn is a distribution's, and no service but CloudFront acts for one",
    ),
    Harmless(
        "with users",
        r"^say \* at LogsPolicy.*/Statement/3/Resource$",
        "S3 delivers where the source's own configuration says",
    ),
    Harmless("separated", r"^drop kms:PutKeyPolicy at .*/Statement/1/", "the account, whose they are, keeps it"),
    # Less than before, for nobody's harm.
    Harmless(
        "smallest|strict|separated|with users",
        r"value at DataPolicy.*/Statement/2/Condition/StringNotEquals/s3:x-amz-server-side-encryption/1$",
        "DSSE-KMS under the bucket's own key is refused as well, which no client is promised",
    ),
    Harmless(EVERY, r"^drop the resource at .*(Alias|Policy|Job)[A-Z0-9]*$", "a name; a role's rights; a job"),
    Harmless(EVERY, r"^name another principal at .*AssumeRolePolicyDocument", "who uses the role no template says"),
    Harmless(
        "replicated.yaml",
        r"(Equals|IfExists|everybody) at ReplicationRole.*/AssumeRolePolicyDocument",
        "AWS documents no source that S3 names when it assumes such a role, so nothing is promised by it",
    ),
    Harmless(
        "replicated.yaml",
        r"^(drop|say Disabled) at .*/(ReplicationTime|EventThreshold|DeleteMarkerReplication)(/Status)?$",
        "a choice: when replicas arrive, and whether deletions reach them",
    ),
    Harmless("job.json", r"^drop at Job/Properties/(Connections|DefaultArguments)", "a choice: what the job works on"),
    Harmless("job.json", r"^drop at Database/.*/(ConnectionProperties|SECRET_ID)$", "a connection without credentials"),
    Harmless("job.json", r"at Secret/Properties/KmsKeyId$", "the secret lies under another key; the data don't"),
    Harmless("job.json", r"^drop BoolIfExists at Key", "services are refused grants too, and none here makes any"),
    Harmless(
        "job.json",
        r"(every action|WithoutPlaintext) at Key/.*/Statement/2/",
        "CloudWatch Logs asks for what AWS's page on it lists",
    ),
)


def proven(template: Json, prover: Prover) -> Proof:
    assembly = Assembly.of([StackTemplate(id="Test", template=template, account=ACCOUNT, region=REGION)])
    return prove(assembly, prover=prover)


def found(proof: Proof) -> set[tuple[str, str, str]]:
    findings = {(one.rule.id, one.resource.logical_id, one.counterexample) for one in proof.findings}
    return findings | {(one.rule.id, one.resource.logical_id, one.reason) for one in proof.undecidable}


def survivors(template: Json) -> tuple[int, list[Mutant]]:
    prover = RememberingProver()
    before = found(proven(template, prover))
    made = list(mutants(template))
    after = [found(proven(mutant.template, prover)) for mutant in made]
    for mutant, its in list(zip(made, after, strict=True))[::ONE_IN]:
        assert its == found(proven(mutant.template, Prover())), f"remembered wrongly: {mutant.name}"
    return len(made), [mutant for mutant, its in zip(made, after, strict=True) if its <= before]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_mutant_is_caught_or_means_the_same(name: str) -> None:
    template = TEMPLATES[name]()
    count, left = survivors(template)
    assert count > 100
    explanations = [one for one in HARMLESS if re.fullmatch(one.subjects, name)]
    explained = {one: [mutant for mutant in left if re.search(one.pattern, mutant.name)] for one in explanations}
    known = {mutant.name for mutants in explained.values() for mutant in mutants}
    changed = {mutant.name: why for mutant in left if (why := difference(template, mutant)) is not None}
    assert {what: why for what, why in changed.items() if what not in known} == {}
    # An explanation that nothing needs any more would hide what comes next.
    named = [one for one in explanations if one.subjects != EVERY and name in one.subjects.split("|")]
    assert [one for one in named if not any(mutant.name in changed for mutant in explained[one])] == []


def difference(template: Json, mutant: Mutant) -> str | None:
    """Say what a mutant changes, if it changes what a template promises."""
    found = differences(template, mutant.template)
    # What an application needs no template says: its own roles may do less, and nobody more.
    return next((one.words for one in found if one.widens or not one.application), None)

"""Key policies: who can administer a key and who can use it, and through what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from cdk_encrypted_data.proofs.cloudformation.resolution import StandIn
from cdk_encrypted_data.proofs.findings import Finding, Outcome, Rule, Severity, Undecidable, in_words, outcome
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import Bucket, Caller, Inventory, Key
from cdk_encrypted_data.proofs.spaces import Answer, Prover
from cdk_encrypted_data.proofs.subjects.outsiders import outsiders, without_owner
from cdk_encrypted_data.proofs.subjects.uses import delegates, masters, people, protected, rotates, through_s3, unsaid

PLACE: Final = "Properties/KeyPolicy"
USE: Final = ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo")
# What CloudFormation's handlers of AWS::KMS::Key call, and what stops a key or brings it back. PutKeyPolicy has a rule
# of its own.
_ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:ListResourceTags",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
_ROTATION: Final = ("kms:EnableKeyRotation", "kms:GetKeyRotationStatus")
OF_ALIASES: Final = ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias")
# The rest of what AWS's own statement for administrators allows.
_FURTHER: Final = ("kms:ListGrants", "kms:ListKeyPolicies", "kms:RevokeGrant")
_FURTHER_ROTATION: Final = ("kms:DisableKeyRotation", "kms:ListKeyRotations", "kms:RotateKeyOnDemand")
# What changes who may do what with a key, stops it or undoes that somebody stopped it. AWS's own statement for users
# lets them revoke the grants that they made.
POWERS: Final = (
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:CancelKeyDeletion",
    "kms:EnableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKeyRotation",
    "kms:RotateKeyOnDemand",
    "kms:UpdateKeyDescription",
    *OF_ALIASES,
    "kms:TagResource",
    "kms:UntagResource",
)
BY_HAND: Final[tuple[Said, ...]] = ({"kms:GrantIsForAWSResource": "false"}, {"kms:GrantIsForAWSResource": None})
_GUIDE: Final = "https://docs.aws.amazon.com/kms/latest/developerguide"

LOCKOUT: Final = Rule(
    id="key-lockout",
    severity=Severity.ERROR,
    claim="Somebody can change the key's policy.",
    because="Without kms:PutKeyPolicy a key stays as it is for good: only AWS Support can recover it.",
    remedy="Allow arn:aws:iam::ACCOUNT:root, or a role that deployments keep, kms:PutKeyPolicy in the key's policy.",
    sources=(
        f"{_GUIDE}/key-policy-default.html",
        "https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html",
    ),
)
NOT_ADMINISTRABLE: Final = Rule(
    id="key-not-administrable",
    severity=Severity.WARNING,
    claim="Somebody can do each thing that administering the key takes.",
    because="What nobody may do, CloudFormation can't do either: updates of the key fail, or a key can't be stopped.",
    remedy="Allow these actions to the account or to the administrators in the key's policy.",
    sources=(
        f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-administrators",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kms-key.html",
    ),
)
ADMINISTRATION_INCOMPLETE: Final = Rule(
    id="key-administration-incomplete",
    severity=Severity.NOTE,
    claim="Somebody can do each further thing that AWS's own statement for key administrators allows.",
    because="When it is needed (a grant must go, a key be rotated at once), the policy has to be changed first.",
    remedy="Allow these actions to the account or to the administrators in the key's policy.",
    sources=(f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-administrators",),
)
WITHOUT_RECOVERY: Final = Rule(
    id="key-without-recovery",
    severity=Severity.WARNING,
    claim="The account itself can change the key's policy, not only principals that can be deleted.",
    because="A role made anew under the old name isn't the one that a key's policy named: the key is then lost.",
    remedy="Allow arn:aws:iam::ACCOUNT:root kms:PutKeyPolicy; which principals may, IAM or aws:PrincipalArn can say.",
    sources=(
        f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-root-enable-iam",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
    ),
)
STRANGERS: Final = Rule(
    id="key-open-to-strangers",
    severity=Severity.ERROR,
    claim="Nobody uses or administers the key whom its policy doesn't name.",
    because="Who can use the key can read whatever of its data comes into their hands.",
    remedy="Name principals, or limit the statement by kms:CallerAccount, aws:PrincipalOrgID or aws:SourceArn.",
    sources=(
        f"{_GUIDE}/conditions-kms.html#conditions-kms-caller-account",
        "https://docs.aws.amazon.com/securityhub/latest/userguide/kms-controls.html#kms-5",
    ),
)
OPEN_IN_ACCOUNT: Final = Rule(
    id="key-open-in-account",
    severity=Severity.NOTE,
    claim="Using or administering the key takes an IAM policy, or a name in the key's policy.",
    because='Principal "*" names everybody of the account directly: IAM policies then have no say, but to deny.',
    remedy="Name arn:aws:iam::ACCOUNT:root instead of *, and let IAM policies allow it to whom it is for.",
    sources=(
        f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-root-enable-iam",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
    ),
)
WITHOUT_SOURCE: Final = Rule(
    id="key-service-without-source",
    severity=Severity.WARNING,
    claim="An AWS service uses the key only for the sources that the policy names.",
    because="A stranger can make the service use the key for the stranger's own resources (confused deputy).",
    remedy="Limit the service's statement by aws:SourceArn, aws:SourceAccount or its encryption context.",
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    ),
)
DIRECTLY: Final = Rule(
    id="key-used-directly",
    severity=Severity.NOTE,
    claim="The key of a bucket works only through S3.",
    because="Who calls kms:Decrypt directly can open a data key that came out of S3 some other way.",
    remedy="Limit the statement that allows the key's use by kms:ViaService = s3.REGION.amazonaws.com.",
    sources=(f"{_GUIDE}/conditions-kms.html#conditions-kms-via-service",),
)
NOT_BOUND: Final = Rule(
    id="key-not-bound-to-bucket",
    severity=Severity.NOTE,
    claim="The key of a bucket works only for the objects of the buckets that have it.",
    because="Another bucket's objects can come under the key, and with it under its users and its deletion.",
    remedy="Limit the key's use by kms:EncryptionContext:aws:s3:arn to the bucket's ARN and BUCKET-ARN/*.",
    sources=(
        f"{_GUIDE}/conditions-kms.html#conditions-kms-encryption-context",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context",
    ),
)
PARTLY_FOR_S3: Final = Rule(
    id="key-partly-for-s3",
    severity=Severity.NOTE,
    claim="S3 re-encrypts objects under the key, or the policy allows it nothing of that.",
    because="UpdateObjectEncryption takes kms:Encrypt and both halves of ReEncrypt; with some of them it fails.",
    remedy="Allow kms:Encrypt, kms:ReEncryptFrom and kms:ReEncryptTo through S3 together, or neither half.",
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html",),
)
GRANTS: Final = Rule(
    id="key-grants-to-people",
    severity=Severity.NOTE,
    claim="Nobody makes grants on the key but AWS services for their resources.",
    because="A grant gives access that no policy shows.",
    remedy="Deny kms:CreateGrant to everybody where kms:GrantIsForAWSResource is false (BoolIfExists).",
    sources=(
        f"{_GUIDE}/grants.html",
        f"{_GUIDE}/conditions-kms.html#conditions-kms-grant-is-for-aws-resource",
    ),
)


# Administering.


def _administration(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        who = people(inventory, key)
        lost = prover.hopeless(who, ["kms:PutKeyPolicy"], key.target)
        words = f"{in_words(lost.case)}, nor may anybody else" if lost.case else ""
        yield from refusal(LOCKOUT, key, lost, f"{words}: its policy stays as it is, whoever leaves")
        if not lost:
            yield from _missing_actions(key, who, prover)
            yield from _recovery(inventory, key, prover)


def _missing_actions(key: Key, who: list[Caller], prover: Prover) -> Iterator[Outcome]:
    turns = rotates(key.resource)

    def answers(actions: Iterable[str]) -> dict[str, Answer]:
        return {action: prover.hopeless(who, [action], key.target) for action in actions}

    needed = (*_ADMINISTRATION, *(_ROTATION if turns else ()), *(OF_ALIASES if key.aliases else ()))
    effect = "whoever must stop, restore or update the key fails"
    yield from _hopeless(NOT_ADMINISTRABLE, key, answers(needed), effect)
    further = (*_FURTHER, *(_FURTHER_ROTATION if turns else ()))
    yield from _hopeless(ADMINISTRATION_INCOMPLETE, key, answers(further), "not before the policy is changed")


def _hopeless(rule: Rule, key: Key, answers: Mapping[str, Answer], effect: str) -> Iterator[Outcome]:
    """Report the actions that nobody may, if any."""
    missing = [action for action, answer in answers.items() if answer]
    first = next((answer for answer in answers.values() if answer), None)
    doubtful = next((answer for answer in answers.values() if answer.doubt), Answer())
    words = f"nobody may {', '.join(missing)} on the key, for no statement of its policy lets anybody: {effect}"
    yield from refusal(rule, key, first or doubtful, words)


def _recovery(inventory: Inventory, key: Key, prover: Prover) -> Iterator[Outcome]:
    through_account = [inventory.administrator(key.account), *delegates(key)]
    answer = prover.hopeless(through_account, ["kms:PutKeyPolicy"], key.target)
    words = f"{in_words(answer.case)}; only principals that the policy names may" if answer.case else ""
    yield from refusal(WITHOUT_RECOVERY, key, answer, f"{words}: once they are deleted, nobody can change the key")


def refusal(rule: Rule, key: Key, answer: Answer, words: str) -> Iterator[Outcome]:
    """Yield what a search for something that nobody may ended with; it may hang on where the stack will be."""
    doubt = answer.doubt if answer.case is None else unsaid(key.resource)
    if doubt is not None:
        yield Undecidable(rule, key.resource, doubt)
    elif answer.case is not None:
        yield Finding(rule, key.resource, words, PLACE)


# Strangers and services.


def _strangers(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        yield from outcome(
            STRANGERS,
            key.resource,
            _open(inventory, key, prover),
            "what is under the key is open to whom its policy doesn't name",
            PLACE,
        )

        yield from outcome(
            OPEN_IN_ACCOUNT,
            key.resource,
            prover.allowed([inventory.bystander(key.account)], [*USE, *POWERS], key.target),
            "everybody of the account may, without any permission of IAM's",
            PLACE,
        )


def _open(inventory: Inventory, key: Key, prover: Prover) -> Answer:
    """Search an outsider who may; or else return the first doubt."""
    doubt: str | None = None
    for caller in outsiders(inventory, key.policy):
        variants = without_owner(key.policy, caller, key.target)
        answer = prover.allowed([caller], [*USE, "kms:CreateGrant", *POWERS], key.target, variants)
        if answer:
            return answer
        doubt = doubt or answer.doubt
    return Answer(None, doubt)


# "Adding aws:SourceAccount, aws:SourceArn and aws:SourceOrgID to a KMS policy isn't supported for
# EventBridge-to-encrypted topics": https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
_WITHOUT_ANY_SOURCE: Final = frozenset(("events.amazonaws.com",))


def _sources(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        for caller in inventory.named_by([key.policy]):
            who = caller.principal
            if who.kind is Kind.SERVICE and who.name not in _WITHOUT_ANY_SOURCE:
                yield from outcome(
                    WITHOUT_SOURCE,
                    key.resource,
                    prover.allowed(
                        [caller],
                        USE,
                        key.target,
                        without_owner(key.policy, caller, key.target, context=True),
                    ),
                    "the service may do so for anybody's resource",
                    PLACE,
                )


# The keys of buckets.


def _of_buckets(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    under: dict[str, list[Bucket]] = {}
    for bucket, key in protected(inventory):
        under.setdefault(key.arn, []).append(bucket)
    for key in inventory.keys:
        buckets = under.get(key.arn)
        if not buckets:
            continue
        who = masters(inventory, key)
        yield from outcome(
            DIRECTLY,
            key.resource,
            # A data key opens only with the context that S3 gave when it was made.
            prover.allowed(who, ["kms:Decrypt"], key.target, [_directly(bucket) for bucket in buckets]),
            "a data key that came out of S3 some other way opens without S3's own permissions",
            PLACE,
        )
        yield from _reencryption(key, who, buckets[0], prover)
        # CloudFormation makes up the name of the others, and a key's policy can't hold it: that were a cycle.
        if any(isinstance(bucket.name, StandIn) for bucket in buckets):
            continue
        yield from outcome(
            NOT_BOUND,
            key.resource,
            prover.allowed(
                who,
                ["kms:GenerateDataKey", "kms:Decrypt"],
                key.target,
                [_for_another_bucket(bucket) for bucket in buckets],
            ),
            "another bucket's objects come under the key",
            PLACE,
        )


def _reencryption(key: Key, who: list[Caller], bucket: Bucket, prover: Prover) -> Iterator[Outcome]:
    said = [through_s3(bucket, bucket.objects.arn)]
    actions = ("kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo")
    answers = {action: prover.hopeless(who, [action], key.target, said) for action in actions}
    encrypt, *halves = (not answer for answer in answers.values())
    # Replicas take Encrypt alone.
    if any(halves) and not (encrypt and all(halves)):
        missing = next(answer for answer in answers.values() if answer)
        words = f"{in_words(missing.case)}, nor may anybody else" if missing.case else ""
        yield from refusal(PARTLY_FOR_S3, key, missing, f"{words}: no stored object comes under the key by it")


def _directly(bucket: Bucket) -> Said:
    return {**through_s3(bucket, bucket.objects.arn), "kms:ViaService": None}


def _for_another_bucket(bucket: Bucket) -> Said:
    other = "arn:aws:s3:::some-other-bucket"
    return {**through_s3(bucket, bucket.objects.arn), "kms:EncryptionContext:aws:s3:arn": other}


def _grants(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        yield from outcome(
            GRANTS,
            key.resource,
            prover.allowed(masters(inventory, key), ["kms:CreateGrant"], key.target, BY_HAND),
            "whoever gets the grant uses the key, and no policy shows it",
            PLACE,
        )


CHECKS: Final = (_administration, _strangers, _sources, _of_buckets, _grants)
RULES: Final[tuple[Rule, ...]] = (
    LOCKOUT,
    NOT_ADMINISTRABLE,
    ADMINISTRATION_INCOMPLETE,
    WITHOUT_RECOVERY,
    STRANGERS,
    OPEN_IN_ACCOUNT,
    WITHOUT_SOURCE,
    DIRECTLY,
    NOT_BOUND,
    PARTLY_FOR_S3,
    GRANTS,
)

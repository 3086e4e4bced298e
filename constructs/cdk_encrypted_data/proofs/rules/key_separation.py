"""Who administers a key: those wholly, users not at all, and no AWS service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from cdk_encrypted_data.proofs.findings import Outcome, Rule, Severity, Undecidable, in_words, outcome
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import Caller, Inventory, Key
from cdk_encrypted_data.proofs.rules.keys import BY_HAND, OF_ALIASES, PLACE, POWERS, USE, refusal
from cdk_encrypted_data.proofs.spaces import Answer, Prover
from cdk_encrypted_data.proofs.subjects.uses import delegates, people, rotates

_GUIDE: Final = "https://docs.aws.amazon.com/kms/latest/developerguide"
# What somebody who may change the policy can do as well, and what keeps a key working or shows what it is.
_HARMLESS: Final = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:RevokeGrant",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
_OF_ROTATION: Final = ("kms:EnableKeyRotation", "kms:GetKeyRotationStatus", "kms:ListKeyRotations")
# What takes the key away from the data: of administrators by name it is expected.
_DISRUPTIVE: Final = ("kms:DisableKey", "kms:ScheduleKeyDeletion")
_DISRUPTIVE_ROTATION: Final = ("kms:DisableKeyRotation",)

ADMINISTRATOR_USES: Final = Rule(
    id="key-administrator-uses",
    severity=Severity.WARNING,
    claim="Whom the key's policy makes an administrator can't use the key, whatever IAM policies say.",
    because="The account's statement lets IAM policies give administrators what their own statement leaves out.",
    remedy="Deny the administrators the cryptographic actions, or let the key's policy allow those to its users only.",
    sources=(
        f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-administrators",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
    ),
)
USER_ADMINISTERS: Final = Rule(
    id="key-user-administers",
    severity=Severity.WARNING,
    claim="Whom the key's policy makes a user can't administer the key, whatever IAM policies say.",
    because="The account's statement lets IAM policies give users what their own statement leaves out.",
    remedy="Deny the users the administrative actions, or let the key's policy allow those to its administrators only.",
    sources=(
        f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-users",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
    ),
)
PARTIAL: Final = Rule(
    id="key-administration-partial",
    severity=Severity.NOTE,
    claim="Who may change the key's policy may do the rest of administering it too.",
    because="They can allow themselves the rest: that it isn't allowed only costs time when it is needed.",
    remedy="Allow them what AWS's own statement for key administrators allows.",
    sources=(f"{_GUIDE}/key-policy-default.html#key-policy-default-allow-administrators",),
)
SERVICE_ADMINISTERS: Final = Rule(
    id="key-service-administers",
    severity=Severity.WARNING,
    claim="No AWS service that the key's policy names may administer the key.",
    because="Services use a key; one that may change its policy or stop it does so for whoever makes it.",
    remedy="Allow the service the cryptographic actions that its page names, and no kms:*.",
    sources=(
        f"{_GUIDE}/least-privilege.html",
        f"{_GUIDE}/key-policy-services.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
    ),
)


# The rest of administering.


def _partial(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        for caller in (inventory.administrator(key.account), *delegates(key)):
            yield from _rest(inventory, key, prover, caller, ())
        disruptive = (*_DISRUPTIVE, *(_DISRUPTIVE_ROTATION if rotates(key.resource) else ()))
        for caller in _declared(inventory, key.policy, _is_administrators):
            # Whatever IAM gives them: the policy means them to be administrators by itself.
            alone = replace(
                caller, title=f"{caller.principal.arn}, by the key's policy alone,", identity=(), boundary=None
            )
            yield from _rest(inventory, key, prover, alone, disruptive)


def _rest(
    inventory: Inventory, key: Key, prover: Prover, caller: Caller, disruptive: Sequence[str]
) -> Iterator[Outcome]:
    changes = prover.hopeless([caller], ["kms:PutKeyPolicy"], key.target)
    if changes.case is not None:
        return
    if changes.doubt is not None:
        yield Undecidable(PARTIAL, key.resource, changes.doubt)
        return
    answers = {
        action: prover.hopeless([caller], [action], key.target)
        for action in (
            *_HARMLESS,
            *(_OF_ROTATION if rotates(key.resource) else ()),
            *(OF_ALIASES if key.aliases else ()),
            *disruptive,
        )
    }
    # What nobody may has rules of its own, and what a Deny says is meant so.
    missing = {
        action: answer
        for action, answer in answers.items()
        if answer.case is not None
        and not _is_denied(answer)
        and not prover.hopeless(people(inventory, key), [action], key.target)
    }
    doubtful = next((answer for answer in answers.values() if answer.doubt), Answer())
    first = next(iter(missing.values()), doubtful)
    words = f"{in_words(first.case)}" if first.case else ""
    others = f", nor {', '.join(list(missing)[1:])}" if len(missing) > 1 else ""
    effect = "though they may change the policy: to do so they have to change it first"
    yield from refusal(PARTIAL, key, first, f"{words}{others}, {effect}")


def _is_denied(answer: Answer) -> bool:
    return answer.case is not None and answer.case.decision is not None and answer.case.decision.explicit


# Separation of administrators and users.


def _separation(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        administrators = _declared(inventory, key.policy, _is_administrators)
        users = _declared(inventory, key.policy, _is_users)
        deliberate = users if administrators else [user for user in users if _only_named_use(inventory, key, prover)]
        if not any(_separates(statement) for statement in key.policy.denies):
            deliberate, administrators = (
                _named_apart(deliberate, administrators),
                _named_apart(administrators, users),
            )
        for caller in administrators:
            yield from outcome(
                ADMINISTRATOR_USES,
                key.resource,
                prover.allowed([caller], USE, key.target),
                "who administers the key uses it too",
                PLACE,
            )
        for caller in deliberate:
            yield from outcome(
                USER_ADMINISTERS,
                key.resource,
                prover.allowed([caller], POWERS, key.target)
                or prover.allowed([caller], ["kms:CreateGrant", "kms:RevokeGrant"], key.target, BY_HAND),
                "who uses the key administers it too",
                PLACE,
            )


def _declared(inventory: Inventory, policy: Policy, declares: Callable[[Statement], bool]) -> list[Caller]:
    """Return the users and roles whom a statement names as what it is about."""
    found: dict[str, Caller] = {}
    for statement in policy.statements:
        named = statement.principals
        if named is None or named.excepted or not declares(statement):
            continue
        for caller in inventory.named_by([Policy(policy.name, policy.kind, (statement,))]):
            if f"AWS {caller.principal.arn}" in named.names:
                found[str(caller.principal.arn)] = caller
    return list(found.values())


def _is_administrators(statement: Statement) -> bool:
    administers = statement.acts("kms:putkeypolicy") or statement.acts("kms:schedulekeydeletion")
    uses = statement.acts("kms:decrypt")
    return administers and not uses if statement.allows else uses and not administers and not statement.conditions


def _is_users(statement: Statement) -> bool:
    administers = statement.acts("kms:putkeypolicy") or statement.acts("kms:schedulekeydeletion")
    uses = statement.acts("kms:decrypt") or statement.acts("kms:generatedatakey")
    return uses and not administers if statement.allows else administers and not uses and not statement.conditions


def _separates(statement: Statement) -> bool:
    """Whether a Deny keeps somebody whom it names from the one or from the other."""
    named = statement.principals is not None and any(name.startswith("AWS ") for name in statement.principals.names)
    return named and (_is_administrators(statement) or _is_users(statement))


def _named_apart(callers: list[Caller], others: list[Caller]) -> list[Caller]:
    """Leave out whom the policy names as both: without any Deny it wants no separation there."""
    both = {other.principal.arn for other in others}
    return [caller for caller in callers if caller.principal.arn not in both]


def _only_named_use(inventory: Inventory, key: Key, prover: Prover) -> bool:
    """Whether the policy leaves the key's use to nobody but those it names."""
    return bool(prover.hopeless([inventory.administrator(key.account)], ["kms:Decrypt"], key.target))


# Services.


def _services(inventory: Inventory, prover: Prover) -> Iterator[Outcome]:
    for key in inventory.keys:
        for caller in inventory.named_by([key.policy]):
            if caller.principal.kind is Kind.SERVICE:
                yield from outcome(
                    SERVICE_ADMINISTERS,
                    key.resource,
                    prover.allowed([caller], POWERS, key.target)
                    or prover.allowed([caller], ["kms:CreateGrant"], key.target, BY_HAND),
                    "no service needs to, and who makes it do so decides over the key",
                    PLACE,
                )


CHECKS: Final = (_partial, _separation, _services)
RULES: Final[tuple[Rule, ...]] = (ADMINISTRATOR_USES, USER_ADMINISTERS, PARTIAL, SERVICE_ADMINISTERS)

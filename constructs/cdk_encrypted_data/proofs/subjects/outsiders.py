"""Who has no business with a resource, and what their requests can't have: whatever names the resource's owner.

AWS counts a statement for everybody as limited where its conditions name an organization, account, network or source:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html, "The meaning of public".
So such a key is absent from an outsider's request or has another value; every other one (tags, the encryption context
of a call, the service it comes through) an outsider chooses.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.principals import Kind
from cdk_encrypted_data.proofs.iam.requests import Request, Said
from cdk_encrypted_data.proofs.iam.statements import Statement
from cdk_encrypted_data.proofs.inventory import FULL_ACCESS, STRANGER_ACCOUNT, Caller, Inventory, Target
from cdk_encrypted_data.proofs.witnesses import FRESH, FRESH_ARN, looked_at

_ORGANIZATION: Final = "o-elsewhere"
_PATHS: Final = (f"{_ORGANIZATION}/r-else/ou-else-elsewhere/",)
_ADDRESS: Final = "100.127.255.254"  # of the carriers' own range, which policies don't name
_Values: TypeAlias = "tuple[str | Sequence[str] | None, ...]"

# What a request of an account's principal, or of a service, has instead of what would name the owner.
_OF_CALLERS: Final[dict[str, _Values]] = {
    "aws:principalorgid": (None, _ORGANIZATION),
    "aws:principalorgpaths": (None, _PATHS),
    "aws:sourceip": (_ADDRESS,),
    "aws:sourcevpc": (None, FRESH),
    "aws:sourcevpcarn": (None, FRESH_ARN),
    "aws:sourcevpce": (None, FRESH),
    "aws:userid": (FRESH,),
    "aws:vpceaccount": (None, STRANGER_ACCOUNT),
    "aws:vpceorgid": (None, _ORGANIZATION),
    "aws:vpceorgpaths": (None, _PATHS),
    "aws:vpcsourceip": (None, _ADDRESS),
    # The owner's, which conditions compare with the caller's.
    "aws:resourceorgid": ("o-ours",),
    "aws:resourceorgpaths": (("o-ours/r-ours/ou-ours-ours/",),),
}
_OF_SERVICES: Final[dict[str, _Values]] = {
    **_OF_CALLERS,
    "aws:principalaccount": (None,),
    "aws:principalarn": (None,),
    "aws:principaltype": (None,),
    "aws:sourceaccount": (None, STRANGER_ACCOUNT),
    "aws:sourcearn": (None, FRESH_ARN),
    "aws:sourceorgid": (None, _ORGANIZATION),
    "aws:sourceorgpaths": (None, _PATHS),
    "kms:calleraccount": (None,),
}
_ENCRYPTION_CONTEXT: Final = "kms:encryptioncontext:"
# With more keys than this they are all absent, or all there.
_MOST_KEYS: Final = 8


def outsiders(inventory: Inventory, policy: Policy) -> Iterator[Caller]:
    """Yield strangers to a policy, and those who took a name that its aws:PrincipalArn conditions match."""
    if not any(_is_for_anybody(one) for one in policy.allows):
        return
    yield from inventory.strangers()
    for condition in (one for statement in policy.statements for one in statement.conditions):
        if condition.key.lower() != "aws:principalarn":
            continue
        for value in condition.values:
            caller = principal_like(value, STRANGER_ACCOUNT)
            if caller is not None and caller.principal.account == STRANGER_ACCOUNT:
                yield caller


def _is_for_anybody(statement: Statement) -> bool:
    """Whether it may name somebody without naming the account; of a canonical user nobody knows the account."""
    named = statement.principals
    return named is None or named.everyone or any(name.startswith("CanonicalUser") for name in named.names)


def principal_like(pattern: str, account: str) -> Caller | None:
    """Return a role or user whose ARN a pattern matches, of the account where the pattern leaves it open."""
    parts = pattern.split(":", 5)
    if len(parts) != 6:  # noqa: PLR2004 - an ARN's parts
        return None
    owner = account if set(parts[4]) & set("*?") else parts[4]
    name = parts[5].replace("*", "any").replace("?", "x")
    try:
        who = principals.principal(f"arn:aws:iam::{owner}:{name}")
    except ValueError:
        return None
    if who.kind is Kind.ROOT:
        return None
    return Caller(who, f"{who.arn}, whose IAM policies aren't in these templates,", (FULL_ACCESS,))


def without_owner(policy: Policy, caller: Caller, target: Target, *, context: bool = False) -> list[Said]:
    """Return variants of a caller's requests in which nothing names the owner of the target.

    ``context``: an encryption context would name it too. A service takes it from the resource that it acts for.
    """
    known = Request(caller.principal, "kms:Decrypt", target.arn, target.account).context
    choices = _OF_SERVICES if caller.principal.kind is Kind.SERVICE else _OF_CALLERS
    free: dict[str, _Values] = {}
    for key in _mentioned(policy):
        lowered = key.lower()
        if known.get(lowered) is not None:
            continue
        if lowered in choices:
            free[key] = choices[lowered]
        elif context and lowered.startswith(_ENCRYPTION_CONTEXT):
            free[key] = (None, FRESH_ARN)
    if len(free) > _MOST_KEYS:
        return [{key: values[place] for key, values in free.items()} for place in (0, -1)]
    return [dict(zip(free, one, strict=True)) for one in itertools.product(*free.values())]


def _mentioned(policy: Policy) -> list[str]:
    """Name the keys that conditions look at, each as it is written first."""
    return list(looked_at(one for statement in policy.statements for one in statement.conditions).values())

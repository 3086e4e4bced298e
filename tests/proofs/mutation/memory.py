"""A prover that remembers: two mutants of a template differ in one place, and most spaces are the same in both."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence

from cdk_encrypted_data.proofs.iam.documents import Policy
from cdk_encrypted_data.proofs.iam.requests import Said
from cdk_encrypted_data.proofs.inventory import Caller, Target
from cdk_encrypted_data.proofs.spaces import Case, Prover
from cdk_encrypted_data.proofs.witnesses import TooManyError


class RememberingProver(Prover):
    """Decides a space once, however many templates it is in, as far as somebody has asked for its cases.

    Two spaces are one if their policies say the same, which is asked of what they were compiled from: compiled, no two
    are equal. The versions of the policies' language aren't looked at, since no mutant changes one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._spaces: dict[Hashable, _Space] = {}
        # By identity, and so with the policy, lest another one takes its place in memory.
        self._texts: dict[int, tuple[Policy | None, str]] = {}

    def cases(self, caller: Caller, action: str, target: Target, variants: Sequence[Said] = ({},)) -> Iterator[Case]:
        policies = (*caller.identity, caller.boundary, target.policy)
        asked = (caller.principal, caller.title, action, target.arn, target.account, repr(variants))
        key = (*asked, *map(self._text, policies))
        if key not in self._spaces:
            self._spaces[key] = _Space(super().cases(caller, action, target, variants))
        # Rules compare callers by identity.
        return (Case(caller, case.request, case.decision, case.doubt) for case in self._spaces[key])

    def _text(self, policy: Policy | None) -> str:
        known = self._texts.get(id(policy))
        if known is None:
            known = self._texts[id(policy)] = policy, _text(policy)
        return known[1]


def _text(policy: Policy | None) -> str:
    if policy is None:
        return ""
    # What is undecided in a statement isn't written any more: it is one of the conditions.
    statements = [
        (one.sid, one.allows, one.written, [(each.operator, each.key, each.values) for each in one.conditions])
        for one in policy.statements
    ]
    return repr((policy.name, policy.kind, statements))


class _Space:
    """The cases of a space, decided when they are asked for first."""

    def __init__(self, cases: Iterator[Case]) -> None:
        self._cases = cases
        self._known: list[Case] = []
        self._too_many: TooManyError | None = None

    def __iter__(self) -> Iterator[Case]:
        for number in itertools.count():
            if number == len(self._known) and not self._decide_one():
                return
            yield self._known[number]

    def _decide_one(self) -> bool:
        if self._too_many is not None:
            raise self._too_many
        try:
            self._known.append(next(self._cases))
        except StopIteration:
            return False
        except TooManyError as many:
            self._too_many = many
            raise
        return True

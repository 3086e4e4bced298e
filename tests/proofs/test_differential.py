"""The evaluator against an independent one, over random policies: no difference without a name and a source."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from cdk_encrypted_data.proofs.iam.evaluation import decide
from cdk_encrypted_data.proofs.iam.patterns import Unmodelled
from tests.oracle.evaluator import Evaluator, UndecidableError
from tests.oracle.evaluator import Request as OracleRequest
from tests.proofs.fuzz import ANONYMOUS, OWNER, ROLE, SESSION, Case, random_case

PAIRS = 20_000
SEED = 20261122
PROCESSES = 2


@dataclass(frozen=True)
class Exclusion:
    """Where AWS's page says something else than the oracle does."""

    source: str
    concerns: Callable[[Case], bool]


def _statements(case: Case) -> Iterator[dict[str, Any]]:
    for _, document in case.documents():
        yield from _block(document)


def _block(document: dict[str, Any]) -> list[dict[str, Any]]:
    block = document["Statement"]
    return [block] if isinstance(block, dict) else block


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _is_root_assuming(case: Case) -> bool:
    return case.is_trust and case.caller.endswith(":root")


def _lists_the_account_but_not_the_caller(case: Case) -> bool:
    account = case.caller.split(":")[4] if case.caller.startswith("arn:") else "none"
    listed = [_listed(one["NotPrincipal"].get("AWS", [])) for one in _statements(case) if "NotPrincipal" in one]
    return any(case.caller not in names and any(account in name for name in names) for names in listed)


def _ip_ranges(case: Case, *operators: str) -> Iterator[str]:
    for statement in _statements(case):
        for operator, keys in statement.get("Condition", {}).items():
            if operator.removesuffix("IfExists") in operators:
                yield from (text for values in keys.values() for text in _listed(values))


def _has_range_of_everything(case: Case) -> bool:
    return any(text.endswith("/0") for text in _ip_ranges(case, "IpAddress", "NotIpAddress"))


def _compares_ip_families(case: Case) -> bool:
    version_6 = ":" in case.context["aws:SourceIp"]
    return any((":" in text) is not version_6 for text in _ip_ranges(case, "NotIpAddress"))


def _limits_by_session(case: Case) -> bool:
    directly = ("*", {"AWS": "*"}, {"AWS": case.caller} if case.caller == SESSION else None)
    return case.session is not None and any(one.get("Principal") in directly for one in _statements(case))


def _reaches_over_colons_in_controls(case: Case) -> bool:
    controls = [one for kind, document in case.documents() if kind == "rcp" for one in _block(document)]
    texts = [text for one in controls for text in _listed(one.get("Resource") or one["NotResource"])]
    return any(text != "*" and text.count(":") < 5 for text in texts)


USER_GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
EXCLUSIONS = {
    "an account's root user can't assume a role, whatever allows it": Exclusion(
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html", _is_root_assuming
    ),
    "KMS and STS answer only signed requests": Exclusion(
        "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html",
        lambda case: case.caller == ANONYMOUS and not case.action.startswith("s3:"),
    ),
    "NotPrincipal that lists Bob and his account still denies Alice of that account": Exclusion(
        f"{USER_GUIDE}/reference_policies_elements_notprincipal.html", _lists_the_account_but_not_the_caller
    ),
    "session policies don't limit what a resource's policy gives to the session itself, or to the wildcard": Exclusion(
        f"{USER_GUIDE}/reference_policies_elements_principal.html", _limits_by_session
    ),
    "a wildcard at the end of an ARN reaches over the colons that follow, in resource control policies too": Exclusion(
        f"{USER_GUIDE}/reference_policies_elements_resource.html", _reaches_over_colons_in_controls
    ),
    "0.0.0.0/0 is every address of IPv4": Exclusion(
        f"{USER_GUIDE}/reference_policies_elements_condition_operators.html#Conditions_IPAddress",
        _has_range_of_everything,
    ),
    "NotIpAddress is every address but those of the range, those of the other IP version too": Exclusion(
        f"{USER_GUIDE}/reference_policies_elements_condition_operators.html#Conditions_IPAddress",
        _compares_ip_families,
    ),
}
# Why we leave cases open that the oracle decides.
OPEN = re.compile(
    r"aws:principal(account|arn).*isn't known"  # of a service: the oracle only doubts where no other condition does
    r"|kms:calleraccount isn't known"
    r"|acts as a pattern"  # a tag that holds a wildcard
    r"|IfExists is true, ForAnyValue is false",
    re.IGNORECASE,
)

Outcome = tuple[bool | None, bool | None, str]


def _compare(cases: list[Case]) -> list[Outcome]:
    with Evaluator() as oracle:
        return [(_theirs(oracle, case), *_ours(case)) for case in cases]


def _theirs(oracle: Evaluator, case: Case) -> bool | None:
    request = OracleRequest(
        principal=case.caller,
        action=case.action,
        resource=case.resource,
        context=case.context,
        role=ROLE if case.caller == SESSION else None,
    )
    try:
        return oracle.decide(
            request,
            account=OWNER,
            identity_policies=case.identity,
            resource_policy=case.resource_policy,
            boundary=case.boundary,
            session=case.session,
            scps=case.scps,
            rcps=case.rcps,
        ).allowed
    except UndecidableError:
        return None


def _ours(case: Case) -> tuple[bool | None, str]:
    try:
        decision = decide(case.request(), case.policies())
    except Unmodelled as doubt:
        return None, str(doubt)
    return decision.allowed, "explicit" if decision.explicit else ""


def test_decides_as_the_oracle_does() -> None:
    start = time.perf_counter()
    cases = [random_case(Random(f"{SEED}/{number}")) for number in range(PAIRS)]  # noqa: S311 - repeatable
    with ThreadPoolExecutor(PROCESSES) as pool:
        parts = list(pool.map(_compare, [cases[part::PROCESSES] for part in range(PROCESSES)]))
    outcomes = [parts[number % PROCESSES][number // PROCESSES] for number in range(PAIRS)]

    shares: Counter[str] = Counter()
    explained: Counter[str] = Counter()
    unexplained = []
    for number, (case, (theirs, ours, why)) in enumerate(zip(cases, outcomes, strict=True)):
        shares["compared" if theirs is not None and ours is not None else "left open"] += 1
        if theirs is not None and ours is None and not OPEN.search(why):
            unexplained.append(f"{SEED}/{number}: oracle {theirs}, left open: {why}: {case}")
        if theirs is None or ours is None:
            continue
        shares["allowed" if ours else "denied explicitly" if why else "denied for lack of an Allow"] += 1
        if theirs is not ours:
            names = [name for name, exclusion in EXCLUSIONS.items() if exclusion.concerns(case)]
            explained.update(names[:1])
            if not names:
                unexplained.append(f"{SEED}/{number}: oracle {theirs}, we {ours} ({why or 'implicitly'}): {case}")
    print(f"{PAIRS} pairs in {time.perf_counter() - start:.0f} s: {dict(shares)}, {dict(explained)}")  # noqa: T201

    assert not unexplained, f"{len(unexplained)} differences, by seed/number:\n" + "\n".join(unexplained[:10])
    assert shares["compared"] > 0.9 * PAIRS, shares
    assert min(shares["allowed"], shares["denied explicitly"]) > 0.1 * PAIRS, shares
    assert shares["denied for lack of an Allow"] > 0.25 * PAIRS, shares
    # An exclusion that nothing needs hides the next difference.
    assert set(explained) == set(EXCLUSIONS)
    assert sum(explained.values()) < 0.025 * PAIRS, explained

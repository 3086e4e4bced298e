"""Random policies and requests, small in vocabulary so that they meet, for laws and for comparison with the oracle."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from cdk_encrypted_data.proofs.iam import principals
from cdk_encrypted_data.proofs.iam.documents import compile_policy
from cdk_encrypted_data.proofs.iam.evaluation import Policies
from cdk_encrypted_data.proofs.iam.principals import Principal
from cdk_encrypted_data.proofs.iam.requests import Request
from cdk_encrypted_data.proofs.iam.statements import PolicyKind

Document = dict[str, Any]

OWNER, OTHER = "111122223333", "444455556666"
BUCKET = "arn:aws:s3:::data-bucket"
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TARGET_ROLE = f"arn:aws:iam::{OWNER}:role/target"
ROLE, JOB_ROLE, USER = (f"arn:aws:iam::{OWNER}:{name}" for name in ("role/app", "role/jobs/etl", "user/anna"))
ROOT, PARTNER_ROOT = f"arn:aws:iam::{OWNER}:root", f"arn:aws:iam::{OTHER}:root"
PARTNER, PARTNER_USER = f"arn:aws:iam::{OTHER}:role/partner", f"arn:aws:iam::{OTHER}:user/bert"
SESSION = f"arn:aws:sts::{OWNER}:assumed-role/app/monday"
LOGS, LOG_DELIVERY = "logs.us-east-1.amazonaws.com", "logging.s3.amazonaws.com"
ANONYMOUS = "anonymous"

ARNS = [ROLE, JOB_ROLE, USER, PARTNER, PARTNER_USER]
CALLERS = [
    ROLE,
    SESSION,
    JOB_ROLE,
    USER,
    USER,
    ROOT,
    PARTNER,
    PARTNER_USER,
    PARTNER_ROOT,
    LOGS,
    LOG_DELIVERY,
    ANONYMOUS,
]
NAMED: list[Any] = [
    "*",
    "*",
    {"AWS": "*"},
    {"AWS": OWNER},
    {"AWS": [ROOT, PARTNER]},
    {"AWS": PARTNER_ROOT, "Service": LOGS},
    {"AWS": ROLE},
    {"AWS": SESSION},
    {"AWS": [USER, JOB_ROLE]},
    {"AWS": PARTNER_USER},
    {"Service": [LOGS, LOG_DELIVERY]},
]
# Listed with their account, as AWS advises; without it, AWS doesn't say what the statement does.
EXCEPTED: list[Any] = [
    {"AWS": [ROOT, ROLE]},
    {"AWS": [OWNER, USER]},
    {"AWS": [PARTNER_ROOT, PARTNER]},
    {"Service": LOGS},
]

SSE, TLS, SECURE = "s3:x-amz-server-side-encryption", "s3:TlsVersion", "aws:SecureTransport"
TEAM, IP, TIME = "aws:PrincipalTag/team", "aws:SourceIp", "aws:CurrentTime"
SOURCE, ARN, ACCOUNT = "aws:SourceArn", "aws:PrincipalArn", "aws:PrincipalAccount"
SERVICE_NAMES = "aws:PrincipalServiceNamesList"
S3_CONTEXT, CONTEXT_KEYS = "kms:EncryptionContext:aws:s3:arn", "kms:EncryptionContextKeys"

STRINGS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"]
STRINGS += ["StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"]
NUMBERS = [f"Numeric{it}" for it in ("Equals", "NotEquals", "LessThan", "LessThanEquals")]
NUMBERS += ["NumericGreaterThan", "NumericGreaterThanEquals"]
DATES = [name.replace("Numeric", "Date") for name in NUMBERS]
ARN_LIKE = ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"]


@dataclass(frozen=True)
class Key:
    """A condition key: the operators that suit it, values of policies, and values of requests (None: absent)."""

    name: str
    operators: list[str]
    policy: list[str]
    request: list[Any]
    several: bool = False


TRUTHS = ["true", "false", "True"]
EVERYWHERE = [
    Key(SECURE, ["Bool"], TRUTHS, ["true", "true", "false"]),
    Key(
        TEAM,
        STRINGS,
        ["red", "RED", "blue", "r*", "?ed", "${aws:PrincipalAccount}"],
        [None, "red", "red", "blue", "blue", "r*d"],
    ),
    Key(
        IP,
        ["IpAddress", "NotIpAddress"],
        ["203.0.113.0/24", "203.0.113.7", "192.0.0.0/4", "2001:db8::/32", "0.0.0.0/0"],
        ["203.0.113.7", "198.51.100.1", "2001:db8::7"],
    ),
    Key(TIME, DATES, ["2026-11-22T00:00:00Z", "2026-11-22", "2027-01-01T12:00:00Z"], ["2026-11-22T00:00:00Z"]),
    Key(SOURCE, [*ARN_LIKE, *STRINGS], [BUCKET, "arn:aws:s3:::*", "arn:aws:s3:::data-?ucket"], [None, BUCKET]),
    Key(ARN, [*ARN_LIKE, *STRINGS], [*ARNS, f"arn:aws:iam::{OWNER}:role/*", "arn:aws:iam::*:user/b?rt"], [None]),
    Key(ACCOUNT, STRINGS, [OWNER, OTHER, "1111*"], [None]),
    Key(SERVICE_NAMES, STRINGS, [LOGS, LOG_DELIVERY, "logs.*"], [None], several=True),
]
TAGS: list[Any] = [None, ["a"], ["b", "c"], ["A", "b"]]
KEYS = {
    "s3": [
        *EVERYWHERE,
        Key(SSE, STRINGS, ["aws:kms", "aws:kms*", "AES256", "aes256"], [None, "aws:kms", "aws:kms:dsse", "AES256"]),
        Key(TLS, NUMBERS, ["1.2", "1.20", "1.3"], [None, "1.1", "1.2", "1.3"]),
        Key("s3:RequestObjectTagKeys", STRINGS, ["a", "b", "?"], TAGS, several=True),
    ],
    "kms": [
        *EVERYWHERE,
        Key("kms:ViaService", STRINGS, ["s3.us-east-1.amazonaws.com", "s3.*"], [None, "s3.us-east-1.amazonaws.com"]),
        Key(
            S3_CONTEXT, [*STRINGS, *ARN_LIKE], [BUCKET, f"{BUCKET}/*", "arn:aws:s3:::*"], [None, BUCKET, f"{BUCKET}/a"]
        ),
        Key(CONTEXT_KEYS, STRINGS, ["aws:s3:arn", "tenant", "aws:*"], [None], several=True),
        Key("kms:CallerAccount", STRINGS, [OWNER, OTHER], [None]),
    ],
    "sts": EVERYWHERE,
}
CALLS = {
    "s3": (["s3:PutObject"], [f"{BUCKET}/a.parquet", f"{BUCKET}/red/b.csv", "arn:aws:s3:::other-bucket/a.parquet"]),
    "kms": (["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
    "sts": (["sts:AssumeRole"], [TARGET_ROLE]),
}
ACTIONS = {
    "s3": ["s3:PutObject", "S3:putobject", "s3:Put*", "s3:*Object", "s3:P?tObject", "s3:GetObject", "s3:*", "*"],
    "kms": ["kms:Decrypt", "kms:*", "kms:GenerateDataKey*", "kms:De?rypt", "kms:CreateGrant", "*"],
    "sts": ["sts:AssumeRole", "sts:Assume*", "sts:TagSession", "sts:*"],
}
FULL_ACCESS: Document = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "FullAWSAccess", "Effect": "Allow", "Action": "*", "Resource": "*"}],
}
RESOURCES = {
    "s3": [
        "*",
        "*",
        f"{BUCKET}/*",
        f"{BUCKET}/a.parquet",
        BUCKET,
        "arn:aws:s3:::*",
        "arn:aws:s3:::d*/?.parquet",
        f"{BUCKET}/${{aws:PrincipalTag/team}}/*",
        f"{BUCKET}/${{*}}",
        "arn:aws:s3:::other-bucket/*",
    ],
    "kms": ["*", "*", KEY, f"arn:aws:kms:*:{OWNER}:key/*", f"arn:aws:kms:us-east-1:{OTHER}:key/*", "arn:aws:kms:*"],
    "sts": ["*", TARGET_ROLE, f"arn:aws:iam::{OWNER}:role/t*", f"arn:aws:iam::*:role/{TARGET_ROLE[-1]}*", JOB_ROLE],
}


@dataclass(frozen=True)
class Case:
    """One request and every document that has a say in it."""

    caller: str
    action: str
    resource: str
    context: dict[str, Any]
    identity: list[Document]
    resource_policy: Document | None
    boundary: Document | None
    session: Document | None = None
    scps: list[list[Document]] = field(default_factory=list)
    rcps: list[list[Document]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def is_trust(self) -> bool:
        return self.action.startswith("sts:")

    def request(self) -> Request:
        said = dict(self.context)
        if self.action.startswith("s3:"):  # the oracle takes what isn't said for absent
            said.setdefault(TLS, None)
        if self.caller.endswith(".amazonaws.com"):
            said[SERVICE_NAMES] = [self.caller]
        for key in self.unknown:
            said.pop(key, None)
        return Request(who(self.caller), self.action, self.resource, OWNER, said=said, unknown=self.unknown)

    def policies(self) -> Policies:
        kind = PolicyKind.TRUST if self.is_trust else PolicyKind.RESOURCE
        return Policies(
            identity=tuple(
                compile_policy(document, PolicyKind.IDENTITY, name=f"identity {position}")
                for position, document in enumerate(self.identity)
            ),
            resource=None if self.resource_policy is None else compile_policy(self.resource_policy, kind),
            boundary=None if self.boundary is None else compile_policy(self.boundary, PolicyKind.BOUNDARY),
            session=None if self.session is None else (compile_policy(self.session, PolicyKind.SESSION),),
            scps=tuple(
                tuple(compile_policy(document, PolicyKind.SERVICE_CONTROL) for document in level) for level in self.scps
            ),
            rcps=tuple(
                compile_policy(document, PolicyKind.RESOURCE_CONTROL) for level in self.rcps for document in level
            ),
        )

    def documents(self) -> list[tuple[str, Document]]:
        """Every document, with what it is attached as."""
        single = [
            ("trust" if self.is_trust else "resource", self.resource_policy),
            ("boundary", self.boundary),
            ("session", self.session),
        ]
        found = [("identity", document) for document in self.identity]
        found += [(kind, document) for kind, document in single if document is not None]
        found += [("scp", document) for level in self.scps for document in level]
        return found + [("rcp", document) for level in self.rcps for document in level]

    def with_documents(self, documents: list[Document]) -> Case:
        """Return the case with other documents in the places of those that it has, in their order."""
        left = iter(documents)
        return replace(
            self,
            identity=[next(left) for _ in self.identity],
            resource_policy=None if self.resource_policy is None else next(left),
            boundary=None if self.boundary is None else next(left),
            session=None if self.session is None else next(left),
            scps=[[next(left) for _ in level] for level in self.scps],
            rcps=[[next(left) for _ in level] for level in self.rcps],
        )


def who(caller: str) -> Principal:
    if caller == ANONYMOUS:
        return principals.ANONYMOUS
    if caller == SESSION:
        return principals.principal(ROLE, session_name="monday")
    return principals.service(caller) if caller.endswith(".amazonaws.com") else principals.principal(caller)


def random_case(rng: Random) -> Case:
    service = rng.choice(["s3", "s3", "kms", "kms", "sts"])
    actions, resources = CALLS[service]
    caller = rng.choice(CALLERS)
    own = caller.startswith("arn:") and not caller.endswith(":root")
    kind = "trust" if service == "sts" else "resource"
    needed = service in ("kms", "sts")
    acts_as_role = caller in (ROLE, SESSION, JOB_ROLE, PARTNER)
    return Case(
        caller=caller,
        action=rng.choice(actions),
        resource=rng.choice(resources),
        context=_context(rng, service),
        identity=[random_document(rng, service, "identity") for _ in range(rng.choice([0, 1, 1, 2]))] if own else [],
        resource_policy=random_document(rng, service, kind) if needed or rng.random() < 0.8 else None,
        boundary=random_document(rng, service, "boundary") if own and rng.random() < 0.2 else None,
        session=random_document(rng, service, "session") if acts_as_role and rng.random() < 0.15 else None,
        scps=random_levels(rng, service, "scp") if caller.startswith("arn:") and rng.random() < 0.12 else [],
        rcps=random_levels(rng, service, "rcp") if rng.random() < 0.1 else [],
    )


def random_levels(rng: Random, service: str, kind: str) -> list[list[Document]]:
    """What is attached to the organization's root, an organizational unit and the account, or to some of them."""
    levels: list[list[Document]] = []
    for _ in range(rng.choice([1, 2, 2, 3])):
        level = [random_document(rng, service, kind) for _ in range(rng.choice([0, 1, 1, 2]))]
        if kind == "scp" and (not level or rng.random() < 0.7):
            level.insert(rng.randrange(len(level) + 1), FULL_ACCESS)
        levels.append(level)
    return levels


def random_document(rng: Random, service: str, kind: str) -> Document:
    statements = [random_statement(rng, service, kind) for _ in range(rng.choice([1, 1, 2, 3]))]
    return {
        "Version": "2012-10-17",
        "Statement": statements if rng.random() < 0.9 or len(statements) > 1 else statements[0],
    }


def random_statement(rng: Random, service: str, kind: str) -> Document:
    statement: Document = {"Effect": "Deny" if kind == "rcp" or rng.random() > 0.8 else "Allow"}
    if kind == "rcp":
        statement["Principal"] = "*"
    if kind in ("resource", "trust"):
        if statement["Effect"] == "Deny" and kind == "resource" and rng.random() < 0.2:
            statement["NotPrincipal"] = rng.choice(EXCEPTED)
        else:
            statement["Principal"] = rng.choice(NAMED)
    actions = [action for action in ACTIONS[service] if action != "*"] if kind == "rcp" else ACTIONS[service]
    element = "NotAction" if kind != "rcp" and rng.random() < 0.07 else "Action"
    statement[element] = _one_or_more(rng, actions)
    if kind != "trust":
        statement["NotResource" if rng.random() < 0.07 else "Resource"] = _one_or_more(rng, RESOURCES[service])
    condition: dict[str, dict[str, Any]] = {}
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        key = rng.choice(KEYS[service])
        operator, values = _test(rng, key)
        name = key.name if rng.random() < 0.9 or "EncryptionContext" in key.name else key.name.upper()
        if not any(name.lower() == other.lower() for other in condition.get(operator, {})):
            condition.setdefault(operator, {})[name] = values
    return statement | ({"Condition": condition} if condition else {})


def _test(rng: Random, key: Key) -> tuple[str, Any]:
    if rng.random() < 0.1:
        return "Null", rng.choice(["true", "false"])
    operator = rng.choice(key.operators) + ("IfExists" if rng.random() < 0.15 else "")
    if key.several:
        operator = rng.choice(["ForAllValues:", "ForAnyValue:"]) + operator
    return operator, _one_or_more(rng, key.policy)


def _one_or_more(rng: Random, choices: list[str]) -> str | list[str]:
    return rng.choice(choices) if rng.random() < 0.6 else rng.sample(choices, 2)


def _context(rng: Random, service: str) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for key in KEYS[service]:
        value = rng.choice(key.request)
        if value is not None:
            context[key.name] = value
    return context

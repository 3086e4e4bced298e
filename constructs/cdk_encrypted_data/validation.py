"""Refusals: bad input is stopped at construction, in the user's words, before it reaches jsii.

Every refusal is a ``ValueError`` that names the construct, the argument, the value got, the values allowed and what to
do. What isn't given (``None``) passes, and so does a CDK token: its value is known only at deployment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

# How a token looks inside a string. Asking the CDK would cost a call into Node for every argument.
_TOKEN = re.compile(r"\$\{Token\[")


class Text(NamedTuple):
    """A kind of text: its grammar, and how to say it to people."""

    pattern: re.Pattern[str]
    allowed: str
    remedy: str


BUCKET_NAME = Text(
    re.compile(
        r"(?!xn--|sthree-|amzn-s3-demo-)"
        r"(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3|-an)$)"
        r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)"
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
    ),
    "3 to 63 lower-case letters, digits, dots and hyphens that don't look like an IP address and carry none of S3's "
    "reserved prefixes and suffixes",
    "choose another name, or leave it out and CloudFormation makes one",
)
BUCKET_NAME_PREFIX = Text(
    re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{0,36}"),
    "1 to 37 lower-case letters, digits and hyphens that don't begin with a hyphen or one of S3's reserved prefixes",
    "shorten or change it; S3 appends -ACCOUNT-REGION-an",
)
ALIAS_NAME = Text(
    re.compile(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}"),
    "alias/ followed by 1 to 250 letters, digits, slashes, underscores and hyphens, but not alias/aws/",
    "begin it with alias/",
)
DESCRIPTION = Text(re.compile(r"[\x20-\x7e\xa1-\xff]{1,8192}"), "1 to 8192 printable Latin-1 characters", "reword it")
LOG_PREFIX = Text(
    re.compile(r"(?=.{2,512}$)([A-Za-z0-9!_.()'-]+/)+"),
    "names that each end with a slash, at most 512 characters, such as data/",
    "end it with a slash, so that no other bucket's prefix begins with it",
)
OBJECTS_KEY_PATTERN = Text(
    re.compile(r"(?!/)\S{1,1024}"),
    "1 to 1024 characters without spaces that don't begin with a slash; * stands for any characters",
    "write it as in reports/*",
)
SERVICE = Text(
    re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?"),
    "the name of a service principal, such as cloudfront.amazonaws.com",
    "look it up in the service's guide; a role or user gets access by grant_read, grant_write …",
)
ACCOUNT = Text(re.compile(r"\d{12}"), "12 digits", "write the account id as a string")
KEY_ACTION = Text(
    re.compile(r"kms:[A-Z][A-Za-z]+"),
    "KMS actions without wildcards, such as kms:Decrypt",
    "name each action that the service's guide asks for",
)
LOG_GROUP_NAME = Text(
    re.compile(r"[A-Za-z0-9._/#-][A-Za-z0-9._/#*-]{0,511}"),
    "1 to 512 letters, digits and any of ._/#-*, not beginning with *",
    "begin with what all the log groups share, such as /aws/lambda/*",
)
BUCKET_ARN = Text(
    re.compile(r"arn:[a-z-]+:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "the ARN of a bucket, arn:PARTITION:s3:::NAME",
    "pass the bucket's own ARN, without objects or wildcards",
)
SOURCE_ARN = Text(
    re.compile(r"arn:[a-z-]+:[a-z0-9-]+:[^:\s]*:[^:\s]*:\S+"),
    "ARNs or patterns such as arn:aws:cloudfront::111122223333:distribution/EXAMPLE",
    "write the whole ARN",
)
_KEY_ARN = Text(
    re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f-]{36})"),
    "arn:PARTITION:kms:REGION:ACCOUNT:key/KEY-ID",
    "pass the key's full ARN, for example with kms.Key.from_key_arn",
)
_PRINCIPAL_ARN = Text(
    re.compile(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[^*\s]+"),
    "IAM roles and users, and iam.ArnPrincipal of their ARNs",
    "name each role or user; KMS takes no group, and an account or a wildcard would undo the separation",
)


def refusal(owner: str, argument: str, *, got: object, allowed: str, remedy: str) -> ValueError:
    """Return the error that says which argument was refused and what to do."""
    return ValueError(f"{owner}: {argument} is {got!r}; allowed: {allowed}; {remedy}")


def is_token(value: str) -> bool:
    """Tell whether a string contains a CDK token."""
    return _TOKEN.search(value) is not None


def check_text(owner: str, argument: str, value: object, kind: Text) -> None:
    """Refuse text that isn't of this kind."""
    if value is None or (isinstance(value, str) and (is_token(value) or kind.pattern.fullmatch(value))):
        return
    raise refusal(owner, argument, got=value, allowed=kind.allowed, remedy=kind.remedy)


def check_texts(owner: str, argument: str, values: Sequence[str], kind: Text) -> None:
    """Refuse a list of texts if one isn't of this kind."""
    if isinstance(values, str):  # a string is a sequence of strings too, and never meant as one
        raise refusal(owner, argument, got=values, allowed=f"a list of {kind.allowed}", remedy="put it into a list")
    for value in values:
        check_text(owner, argument, value, kind)


def check_choice(owner: str, argument: str, value: object, choices: type[Enum]) -> None:
    """Refuse what isn't a member of ``choices``."""
    if isinstance(value, choices):
        return
    names = ", ".join(f"{choices.__name__}.{choice.name}" for choice in choices)
    raise refusal(owner, argument, got=value, allowed=names, remedy="choose one of them")


def check_days(owner: str, argument: str, value: cdk.Duration | None, bounds: tuple[int, int]) -> None:
    """Refuse a duration that isn't a whole number of days within the bounds."""
    if value is None:
        return
    minimum, maximum = bounds
    allowed = f"a Duration of {minimum} to {maximum} whole days"
    if not isinstance(value, cdk.Duration):
        raise refusal(owner, argument, got=value, allowed=allowed, remedy=f"write Duration.days({minimum})")
    if value.is_unresolved():
        return
    days = value.to_days(integral=False)
    if days != int(days) or not minimum <= days <= maximum:
        raise refusal(owner, argument, got=f"{days:g} days", allowed=allowed, remedy="choose one within these bounds")


def check_removal_policy(owner: str, argument: str, value: object) -> None:
    """Refuse a removal policy under which CloudFormation can't say what becomes of the data."""
    if value in (cdk.RemovalPolicy.RETAIN, cdk.RemovalPolicy.DESTROY, cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE):
        return
    raise refusal(
        owner,
        argument,
        got=value,
        allowed="RemovalPolicy.RETAIN, RETAIN_ON_UPDATE_OR_DELETE, DESTROY",
        remedy="retain what can't be made again; neither keys nor buckets have snapshots",
    )


def check_principals(owner: str, argument: str, principals: Sequence[iam.IPrincipal]) -> list[str]:
    """Return the ARNs of principals that a key policy can name one by one, and refuse the others."""

    def unnameable(got: object) -> ValueError:
        return refusal(owner, argument, got=got, allowed=_PRINCIPAL_ARN.allowed, remedy=_PRINCIPAL_ARN.remedy)

    arns: list[str] = []
    for principal in principals:
        if isinstance(principal, (iam.AccountPrincipal, iam.Group)) or not hasattr(principal, "policy_fragment"):
            raise unnameable(principal)
        fragment = principal.policy_fragment
        if fragment.conditions:
            raise unnameable(f"a principal with conditions: {fragment.conditions}")
        for kind, values in fragment.principal_json.items():
            for value in values:
                # The ARN of an account, token or not, is no role's.
                if kind != "AWS" or value.endswith(":root"):
                    raise unnameable(f"{kind}: {value}")
                check_text(owner, argument, value, _PRINCIPAL_ARN)
                arns.append(value)
    return arns


def check_account(owner: str, argument: str, arns: Sequence[str], *, account: str) -> None:
    """Refuse principals that are known to be of another account than ``account``."""
    for arn in arns:
        if is_token(account) or is_token(arn) or arn.split(":")[4] == account:
            continue
        raise refusal(
            owner,
            argument,
            got=arn,
            allowed=f"roles and users of account {account}",
            remedy="let it assume a role of this account: the key serves no other account",
        )


def check_sources(owner: str, source_arns: Sequence[str], source_account: str | None) -> None:
    """Refuse sources that don't say for whom an AWS service may act."""
    check_text(owner, "source_account", source_account, ACCOUNT)
    check_texts(owner, "source_arns", source_arns, SOURCE_ARN)
    if not source_arns:
        raise refusal(
            owner,
            "source_arns",
            got=source_arns,
            allowed="at least one ARN",
            remedy="name what the service acts for: without it anybody's resource could use the access",
        )
    for arn in source_arns:
        # A token's account can't be seen; what brings a token is a resource of this very app.
        if source_account is None and not is_token(arn) and not ACCOUNT.pattern.fullmatch(arn.split(":")[4]):
            raise refusal(
                owner,
                "source_arns",
                got=arn,
                allowed="ARNs that name an account, unless source_account is given",
                remedy="pass source_account: this ARN alone may belong to anybody",
            )


def check_same_environment(owner: str, argument: str, other: cdk.Stack, *, here: cdk.Stack) -> None:
    """Refuse a resource that is known to be in another account or Region."""
    for theirs, ours in ((other.account, here.account), (other.region, here.region)):
        if not is_token(theirs) and not is_token(ours) and theirs != ours:
            raise refusal(
                owner,
                argument,
                got=f"in account {other.account}, Region {other.region}",
                allowed=f"one in account {here.account}, Region {here.region}",
                remedy="make one there",
            )


def check_key(owner: str, argument: str, key: kms.IKey, *, region: str) -> None:
    """Refuse an existing key that S3 couldn't use for a bucket in ``region``."""
    arn = key.key_arn
    if hasattr(key, "alias_name") or ":alias/" in arn:
        raise refusal(
            owner,
            argument,
            got="an alias",
            allowed="a key",
            remedy="pass the key itself: S3 would resolve an alias in the account of whoever uploads",
        )
    check_text(owner, argument, arn, _KEY_ARN)
    key_region = key.env.region
    if not is_token(region) and not is_token(key_region) and key_region != region:
        raise refusal(
            owner,
            argument,
            got=f"a key of {key_region}",
            allowed=f"a key of the bucket's Region, {region}",
            remedy="pass a key of that Region: of a multi-Region key, its replica there",
        )

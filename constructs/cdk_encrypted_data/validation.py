"""Refusals: bad input is stopped at construction, in the user's words, before it reaches jsii.

Every refusal is a ``ValueError`` that names the construct, the argument, the value got, the values allowed and what to
do. What isn't given (``None``) passes, and so does a CDK token: its value is known only at deployment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import region_info
from constructs import Construct

# How a token looks inside a string. Asking the CDK would cost a call into Node for every argument.
_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
# What stands for a token while the text around it is checked: a field of an ARN may be one.
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


BUCKET_NAME_LENGTH = 63

OBJECT_TAGS = 10
"""How many tags an object can have."""


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
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRestrictions.html
MULTI_REGION_ACCESS_POINT_NAME = Text(
    re.compile(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]"),
    "3 to 50 lower-case letters, digits and hyphens that neither begin nor end with a hyphen",
    "choose another name, or leave it out and CloudFormation makes one",
)
DESTINATION_BUCKET_NAME = Text(
    re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "3 to 63 lower-case letters, digits, dots and hyphens",
    "write the name of the bucket as its account says it",
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
    "end it with a slash, so that data/ and data-old/ stay apart",
)
OBJECTS_KEY_PATTERN = Text(
    re.compile(r"(?!/)\S{1,1024}"),
    "1 to 1024 characters without spaces that don't begin with a slash; * stands for any characters",
    "write it as in reports/*",
)
OBJECT_KEY_PREFIX = Text(
    # What IAM would take for a wildcard or a variable: the role's policy is limited to the prefix.
    re.compile(r"(?!/)[^\s*?$\x00-\x1f]{1,512}"),
    "1 to 512 characters without spaces, *, ? and $ that don't begin with a slash",
    "write it as in reports/, or leave it out for all objects",
)
TAG_KEY = Text(
    re.compile(r"(?!aws:)[\w\s+=.:/@-]{1,128}"),
    "1 to 128 letters, digits, spaces and any of _.:/=+-@ that don't begin with aws:",
    "name the tag as the objects have it",
)
TAG_VALUE = Text(
    re.compile(r"[\w\s+=.:/@-]{0,256}"),
    "0 to 256 letters, digits, spaces and any of _.:/=+-@",
    "write the value as the objects have it",
)
SERVICE = Text(
    re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?"),
    "the name of a service principal, such as cloudfront.amazonaws.com",
    "look it up in the service's guide; a role or user gets access by grant_read, grant_write …",
)
ROLE_NAME = Text(
    re.compile(r"[\w+=,.@-]{1,64}", re.ASCII),
    "1 to 64 letters, digits and any of _+=,.@-",
    "write the name alone, without a path",
)
REGION = Text(re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+"), "the name of a Region, such as eu-central-1", "write it out")
ACCOUNT = Text(re.compile(r"\d{12}"), "12 digits", "write the account id as a string")
KEY_ACTION = Text(
    re.compile(r"kms:[A-Z][A-Za-z]+"),
    "KMS actions without wildcards, such as kms:Decrypt",
    "name each action that the service's guide asks for",
)
CONTEXT_NAME = Text(
    re.compile(r"(?!aws:)[A-Za-z0-9_./=+-][A-Za-z0-9_./=:+-]{0,127}"),
    "names of 1 to 128 letters, digits and any of _./=:+- that don't begin with aws:, which AWS keeps for itself",
    "rename it in the application as well: KMS compares the whole context",
)
CONTEXT_VALUE = Text(
    re.compile(r"(?!.*\$\{)[\x20-\x7e]{1,1024}"),
    "1 to 1024 printable ASCII characters without ${, which IAM would take for a variable",
    "reword it in the application as well: KMS compares the whole context",
)
LOG_GROUP_NAME = Text(
    re.compile(r"[A-Za-z0-9._/#-][A-Za-z0-9._/#*-]{0,511}"),
    "1 to 512 letters, digits and any of ._/#-*, not beginning with *",
    "begin with what all the log groups share, such as /aws/lambda/*",
)
ROLE_ARN = Text(
    re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII),
    "arn:PARTITION:iam::ACCOUNT:role/NAME",
    "write the whole ARN of the role as which S3 replicates",
)
BUCKET_ARN = Text(
    re.compile(rf"arn:({_UNKNOWN}|[a-z-]+):s3:::[a-z0-9{_UNKNOWN}][a-z0-9.{_UNKNOWN}-]*"),
    "the ARN of a bucket, arn:PARTITION:s3:::NAME",
    "pass the bucket's own ARN, without objects or wildcards",
)
SOURCE_ARN = Text(
    re.compile(rf"arn:({_UNKNOWN}|[a-z-]+):[a-z0-9-]+:[^:*\s]*:[^:\s]*:\S+"),
    "ARNs or patterns such as arn:aws:cloudfront::111122223333:distribution/EXAMPLE",
    "write the whole ARN",
)
SUBNET_ID = Text(re.compile(r"subnet-[0-9a-f]{8,17}"), "a subnet's id, subnet-…", "pass subnet.subnet_id")
SECURITY_GROUP_ID = Text(
    re.compile(r"sg-[0-9a-f]{8,17}"), "ids of security groups, sg-…", "pass security_group.security_group_id"
)
AVAILABILITY_ZONE = Text(
    re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]"),
    "the name of an Availability Zone, such as eu-central-1a",
    "pass subnet.availability_zone: Glue makes the interfaces there",
)
WORKER_TYPE = Text(
    re.compile(r"G\.(1|2|4|8|12|16)X|R\.[1248]X"),
    "G.1X, G.2X, G.4X, G.8X, G.12X, G.16X, R.1X, R.2X, R.4X, R.8X",
    "choose one; https://docs.aws.amazon.com/glue/latest/dg/worker-types.html says how large they are",
)
KEY_ARN = Text(
    re.compile(
        rf"arn:({_UNKNOWN}|[a-z-]+):kms:({_UNKNOWN}|[a-z0-9-]+):({_UNKNOWN}|\d{{12}}):key/({_UNKNOWN}|mrk-[0-9a-f]{{32}}|[0-9a-f-]{{36}})"
    ),
    "arn:PARTITION:kms:REGION:ACCOUNT:key/KEY-ID",
    "pass the key's full ARN, for example with kms.Key.from_key_arn",
)
PRINCIPAL_ARN = Text(
    re.compile(rf"arn:({_UNKNOWN}|[a-z-]+):iam::({_UNKNOWN}|\d{{12}}):(role|user)/[^*\s]+"),
    "IAM roles and users, and iam.ArnPrincipal of their ARNs",
    "name each role or user; KMS takes no group, and an account or a wildcard would undo the separation",
)


_ARNS = (BUCKET_ARN, SOURCE_ARN, KEY_ARN, PRINCIPAL_ARN)


def refusal(owner: str, argument: str, *, got: object, allowed: str, remedy: str) -> ValueError:
    """Return the error that says which argument was refused and what to do."""
    return ValueError(f"{owner}: {argument} is {got!r}; allowed: {allowed}; {remedy}")


def is_token(value: str) -> bool:
    """Tell whether a string contains a CDK token."""
    return _TOKEN.search(value) is not None


def tokens_in(value: str) -> list[str]:
    """Return the CDK tokens that a string contains."""
    return _TOKEN.findall(value)


def check_text(owner: str, argument: str, value: object, kind: Text) -> None:
    """Refuse text that isn't of this kind."""
    # Of a text in parts only deployment knows the length: in an ARN the rest can be checked, elsewhere nothing can.
    # Who writes the character that stands for such parts means none.
    if isinstance(value, str) and _UNKNOWN not in value:
        text = _TOKEN.sub(_UNKNOWN, value)
        if text == _UNKNOWN or kind.pattern.fullmatch(text) or (text != value and kind not in _ARNS):
            return
    raise refusal(owner, argument, got=value, allowed=kind.allowed, remedy=kind.remedy)


def check_optional_text(owner: str, argument: str, value: object, kind: Text) -> None:
    """Refuse text that was given and isn't of this kind."""
    if value is not None:
        check_text(owner, argument, value, kind)


def check_texts(owner: str, argument: str, values: object, kind: Text) -> None:
    """Refuse a list of texts if one isn't of this kind."""
    check_list(owner, argument, values, str, allowed=f"a list of {kind.allowed}")
    for value in cast("Sequence[str]", values):
        check_text(owner, argument, value, kind)


def check_list(owner: str, argument: str, values: object, kind: type, *, allowed: str) -> None:
    """Refuse what isn't a list or tuple of one type of things."""
    # A string is a sequence too, and never meant as one.
    if isinstance(values, (list, tuple)) and all(isinstance(value, kind) for value in values):
        return
    raise refusal(owner, argument, got=values, allowed=allowed, remedy="pass a list of them")


def check_instance(owner: str, argument: str, value: object, kind: type, *, allowed: str) -> None:
    """Refuse what isn't of this type."""
    if not isinstance(value, kind):
        raise refusal(owner, argument, got=value, allowed=allowed, remedy="pass one")


def check_not_both(owner: str, argument: str, value: object, *, other: str, other_value: object) -> None:
    """Refuse two arguments of which only one can hold."""
    if value and other_value:
        raise refusal(
            owner,
            argument,
            got=value,
            allowed=f"nothing together with {other}",
            remedy="leave one of the two out",
        )


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


def check_known_days(owner: str, argument: str, value: cdk.Duration | None, bounds: tuple[int, int]) -> None:
    """Refuse what `check_days` does, and a duration that only the deployment knows."""
    check_days(owner, argument, value, bounds)
    if value is not None and value.is_unresolved():
        raise refusal(
            owner,
            argument,
            got="a token",
            allowed=f"a Duration of {bounds[0]} to {bounds[1]} whole days that is known before deployment",
            remedy="write the days as a number",
        )


def check_minutes(owner: str, argument: str, value: object, bounds: tuple[int, int]) -> None:
    """Refuse what isn't a duration of whole minutes within the bounds, known before deployment."""
    minimum, maximum = bounds
    allowed = f"a Duration of {minimum} to {maximum} whole minutes that is known before deployment"
    if not isinstance(value, cdk.Duration):
        raise refusal(owner, argument, got=value, allowed=allowed, remedy=f"write Duration.minutes({minimum})")
    if value.is_unresolved():
        raise refusal(owner, argument, got="a token", allowed=allowed, remedy="write the minutes as a number")
    minutes = value.to_minutes(integral=False)
    if minutes != int(minutes) or not minimum <= minutes <= maximum:
        got = f"{minutes:g} minutes"
        raise refusal(owner, argument, got=got, allowed=allowed, remedy="choose one within these bounds")


def check_number(owner: str, argument: str, value: object, bounds: tuple[int, int]) -> None:
    """Refuse what isn't a whole number within the bounds."""
    minimum, maximum = bounds
    # A boolean is a number to Python.
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        allowed = f"a whole number from {minimum} to {maximum}"
        raise refusal(owner, argument, got=value, allowed=allowed, remedy="choose one within these bounds")


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


def check_principals(owner: str, argument: str, principals: object, *, account: str) -> list[str]:
    """Return the ARNs of principals that a key policy can name one by one, and refuse the others."""
    if not isinstance(principals, (list, tuple)):
        raise refusal(owner, argument, got=principals, allowed=PRINCIPAL_ARN.allowed, remedy="pass a list of them")
    arns = [arn for principal in principals for arn in _arns_of(owner, argument, principal)]
    check_principal_arns(owner, argument, arns, account=account)
    return arns


def check_principal_arns(owner: str, argument: str, arns: Sequence[str], *, account: str) -> None:
    """Refuse principals that a key policy of this account can't name."""
    for arn in arns:
        check_text(owner, argument, arn, PRINCIPAL_ARN)
        theirs = account_in(arn)
        if theirs and not is_token(account) and theirs != account:
            raise refusal(
                owner,
                argument,
                got=arn,
                allowed=f"roles and users of account {account}",
                remedy="let it assume a role of this account: the key serves no other",
            )


def _arns_of(owner: str, argument: str, principal: object) -> list[str]:
    """Return the ARNs by which a policy would name a principal."""
    if type(principal) is iam.ArnPrincipal:
        return [_arn_of(principal)]

    def unnameable(got: object) -> ValueError:
        return refusal(owner, argument, got=got, allowed=PRINCIPAL_ARN.allowed, remedy=PRINCIPAL_ARN.remedy)

    if isinstance(principal, (iam.AccountPrincipal, iam.Group)) or not hasattr(principal, "policy_fragment"):
        raise unnameable(principal)
    fragment = principal.policy_fragment
    if fragment.conditions:
        raise unnameable(f"a principal with conditions: {fragment.conditions}")
    arns: list[str] = []
    for kind, values in fragment.principal_json.items():
        if kind != "AWS":
            raise unnameable(f"{kind}: {values}")
        arns += values
    return arns


@functools.lru_cache(maxsize=64)
def _arn_of(principal: iam.ArnPrincipal) -> str:
    """Return a principal's ARN, asked of Node once for all keys that name it."""
    return principal.arn


def account_in(arn: str) -> str | None:
    """Return the account that an ARN names, or ``None`` where only the deployment knows it."""
    account = _TOKEN.sub(_UNKNOWN, arn).split(":")[4:5]
    return account[0] if account and ACCOUNT.pattern.fullmatch(account[0]) else None


def may_be_same(arn: str, other: str) -> bool | None:
    """Tell whether two principals' ARNs are of the same principal; ``None`` where only the deployment knows."""
    if arn == other:
        return True
    texts = [_TOKEN.sub(_UNKNOWN, each) for each in (arn, other)]
    if _UNKNOWN in texts:
        # Two tokens of one app are two principals; a token and a text may be one.
        return False if texts[0] == texts[1] else None
    # In one account, which is all that a key serves, the name is what tells principals apart.
    names = [text.split(":")[5:] for text in texts]
    return None if any(_UNKNOWN in part for name in names for part in name) else names[0] == names[1]


def check_sources(owner: str, source_arns: object, source_account: str | None) -> None:
    """Refuse sources that don't say for whom an AWS service may act."""
    check_optional_text(owner, "source_account", source_account, ACCOUNT)
    check_texts(owner, "source_arns", source_arns, SOURCE_ARN)
    arns = cast("Sequence[str]", source_arns)
    if not arns:
        raise refusal(
            owner,
            "source_arns",
            got=source_arns,
            allowed="at least one ARN",
            remedy="name what the service acts for: without it anybody's resource could use the access",
        )
    for arn in arns:
        fields = _TOKEN.sub(_UNKNOWN, arn).split(":")
        # A whole ARN that is a token is a resource of this app; an account that is one, an account the app knows.
        known = fields == [_UNKNOWN] or fields[4] == _UNKNOWN or ACCOUNT.pattern.fullmatch(fields[4])
        if source_account is None and not known:
            raise refusal(
                owner,
                "source_arns",
                got=arn,
                allowed="ARNs that name an account, unless source_account is given",
                remedy="pass source_account: this ARN alone may belong to anybody",
            )


def check_grantee(owner: str, grantee: object, *, account: str) -> None:
    """Refuse who can't be given permissions, or is known to be of another account."""
    if not hasattr(grantee, "grant_principal"):
        raise unable_to_grant(owner, grantee)
    theirs = getattr(grantee.grant_principal, "principal_account", None)
    if theirs and not is_token(theirs) and not is_token(account) and theirs != account:
        raise unable_to_grant(owner, f"a principal of account {theirs}")


def check_grantee_place(owner: str, grantee: iam.IGrantable) -> None:
    """Refuse a grantee whose policy couldn't read outputs of other stacks: its own names no account or Region."""
    stack = stack_of(grantee)
    if stack is not None and (is_token(stack.account) or is_token(stack.region)):
        raise refusal(
            owner,
            "grantee",
            got=f"of {stack.node.path}, which names no account or Region",
            allowed="roles, users, groups and policies in stacks with an account and a Region",
            remedy="pass env=Environment(account=…, region=…) to the stack",
        )


def stack_of(grantee: iam.IGrantable) -> cdk.Stack | None:
    """Return the stack that a grantee's policy is in, if it is a construct's."""
    # A managed policy is a construct, and the principal it stands for is none.
    for each in (grantee, grantee.grant_principal):
        if hasattr(each, "node"):
            return cdk.Stack.of(cast("Construct", each))
    return None


def check_grantee_stack(owner: str, grantee: iam.IGrantable, earlier: Sequence[cdk.Stack]) -> None:
    """Refuse a grantee whose policy is deployed before what it would name."""
    stack = stack_of(grantee)
    if stack is not None and any(stack is each for each in earlier):
        raise refusal(
            owner,
            "grantee",
            got=f"of {stack.node.path}, which is deployed before the source's stack",
            allowed="roles, users, groups and policies in the source's stack or one deployed after it",
            remedy="grant it the bucket of its own stack, by bucket_for",
        )


def unable_to_grant(owner: str, got: object) -> ValueError:
    """Return the error that says who can be given permissions."""
    return refusal(
        owner,
        "grantee",
        got=got,
        allowed="a role, user, group or managed policy of this account whose permissions the app may change",
        remedy="let others assume a role of this account; an AWS service reads by grant_read_to_service",
    )


def check_encryption_context(owner: str, argument: str, context: object) -> None:
    """Refuse an encryption context that a policy couldn't demand."""
    if context is None:
        return
    if not isinstance(context, Mapping):
        raise refusal(owner, argument, got=context, allowed="a dict of texts", remedy='write {"purpose": "orders"}')
    for name, value in context.items():
        # A name is a key of the policy's JSON: no deployment could put one in.
        if isinstance(name, str) and is_token(name):
            raise refusal(owner, argument, got=name, allowed=CONTEXT_NAME.allowed, remedy="write the name itself")
        check_text(owner, argument, name, CONTEXT_NAME)
        check_text(owner, argument, value, CONTEXT_VALUE)


def check_known_text(owner: str, argument: str, value: object, kind: Text) -> None:
    """Refuse text that isn't of this kind, and text that only the deployment knows."""
    check_text(owner, argument, value, kind)
    if is_token(str(value)):
        raise refusal(
            owner, argument, got="a token", allowed=f"{kind.allowed}, known before deployment", remedy="write it out"
        )


def check_tags(owner: str, argument: str, tags: object) -> None:
    """Refuse tags of objects that a replication rule couldn't ask for."""
    if tags is None:
        return
    if not isinstance(tags, Mapping) or not 1 <= len(tags) <= OBJECT_TAGS:
        allowed = f"a dict of 1 to {OBJECT_TAGS} texts"
        raise refusal(owner, argument, got=tags, allowed=allowed, remedy='write {"class": "public"}')
    for name, value in tags.items():
        check_known_text(owner, argument, name, TAG_KEY)
        check_known_text(owner, argument, value, TAG_VALUE)


def check_name_length(owner: str, argument: str, prefix: str, region: str) -> None:
    """Refuse a prefix of which S3 would make a longer name than it takes, where the Region is known."""
    longest = BUCKET_NAME_LENGTH - len(f"-111122223333-{region}-an")
    if not is_token(prefix) and not is_token(region) and len(prefix) > longest:
        raise refusal(
            owner,
            argument,
            got=prefix,
            allowed=f"at most {longest} characters in {region}",
            remedy="shorten it; S3 appends -ACCOUNT-REGION-an",
        )


class Environment(Protocol):
    """A stack, or what is known of one."""

    @property
    def account(self) -> str:
        """The account; may be a token."""

    @property
    def region(self) -> str:
        """The Region; may be a token."""


def check_same_environment(owner: str, argument: str, other: Environment, *, here: Environment) -> None:
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


class Replicated(NamedTuple):
    """What is made in several Regions, as refusals call it."""

    thing: str
    first: str
    whole: str
    elsewhere: str


KEYS = Replicated("key", "primary", "pair", "KMS replicates a key neither to another account nor to another partition")
BUCKETS = Replicated("bucket", "source", "construct", "the buckets' policies and keys are for one account")


def check_replicas(
    owner: str, argument: str, replicas: object, *, primary: Construct, made: Replicated = KEYS, least: int = 1
) -> tuple[str, ...]:
    """Refuse places for replicas in which they can't be made; return the Regions, the primary's first."""
    allowed = (
        f"stacks, or constructs in them, of other Regions of the {made.first}'s account and partition, one for each"
    )
    if isinstance(replicas, (str, Construct)) or not isinstance(replicas, Sequence) or len(replicas) < least:
        raise refusal(owner, argument, got=replicas, allowed=f"a list of {allowed}", remedy="name at least one")
    for replica in replicas:
        check_instance(owner, argument, replica, Construct, allowed=allowed)
    first, *others = (
        _stack_for_one(owner, "scope" if place is primary else argument, place, made) for place in (primary, *replicas)
    )
    for stack in others:
        _check_place_for_a_replica(owner, argument, stack, primary=first, made=made)
    regions = tuple(stack.region for stack in (first, *others))
    for region in regions[1:]:
        if regions.count(region) > 1:
            raise refusal(
                owner,
                argument,
                got=f"more than one {made.thing} in {region}",
                allowed=f"a Region for each {made.thing}",
                remedy=f"name one stack for each Region, and none for the {made.first}'s: its {made.thing} is in the "
                f"{made.whole}'s own stack",
            )
    return regions


def _stack_for_one(owner: str, argument: str, place: Construct, made: Replicated) -> cdk.Stack:
    """Return the stack of a place for one of several; refuse one that isn't known to be in one Region."""
    if not any(cdk.Stack.is_stack(scope) for scope in place.node.scopes):
        raise refusal(
            owner,
            argument,
            got=f"{place.node.path or 'the app'}, which is in no stack",
            allowed="stacks, or constructs in them",
            remedy="pass a stack of the app",
        )
    stack = cdk.Stack.of(place)
    if is_token(stack.account) or is_token(stack.region):
        raise refusal(
            owner,
            argument,
            got=f"{stack.node.path}, which names no account or Region",
            allowed="stacks with an account and a Region",
            remedy=f"pass env=Environment(account=…, region=…) to the stack: a Region takes one {made.thing} of the "
            f"{made.whole}",
        )
    if stack.nested:
        # Its outputs have no stack's name that a template could know: the CDK would copy them by a Lambda function.
        raise refusal(
            owner,
            argument,
            got=f"{stack.node.path}, which is a nested stack",
            allowed="stacks that are deployed by themselves",
            remedy=f"put the {made.thing} into the stack around it: CloudFormation reads outputs of stacks that have a "
            "name",
        )
    return stack


def _check_place_for_a_replica(
    owner: str, argument: str, stack: cdk.Stack, *, primary: cdk.Stack, made: Replicated
) -> None:
    if cdk.Stage.of(stack) is not cdk.Stage.of(primary):
        raise refusal(
            owner,
            argument,
            got=f"{stack.node.path}, which is in another Stage or app",
            allowed=f"stacks that are deployed together with the {made.first}'s",
            remedy="put all of them into one Stage",
        )
    # By the Regions: without a feature flag a stack's own partition is a token. Of a new Region it is unknown.
    partitions = {region_info.RegionInfo.get(each.region).partition for each in (stack, primary)}
    if stack.account != primary.account or len(partitions - {None}) > 1:
        raise refusal(
            owner,
            argument,
            got=f"{stack.node.path} in account {stack.account}, Region {stack.region}",
            allowed=f"stacks of account {primary.account} in the partition of {primary.region}",
            remedy=f"{made.elsewhere}: make a {made.thing} there",
        )


def check_key(owner: str, argument: str, key: object, *, region: str) -> None:
    """Refuse an existing key that S3 couldn't use for a bucket in ``region``."""
    if not hasattr(key, "key_ref"):
        raise refusal(
            owner,
            argument,
            got=key,
            allowed="a CustomerManagedKey or a key of aws_kms",
            remedy="pass kms.Key.from_key_arn(…) for a key known by its ARN",
        )
    arn = str(key.key_ref.key_arn)
    if hasattr(key, "alias_name") or ":alias/" in arn:
        raise refusal(
            owner,
            argument,
            got="an alias",
            allowed="a key",
            remedy="pass the key itself: S3 would resolve an alias in the account of whoever uploads",
        )
    check_text(owner, argument, arn, KEY_ARN)
    key_region = str(getattr(key, "env").region)  # noqa: B009 - every construct with a reference has one
    if not is_token(region) and not is_token(key_region) and key_region != region:
        raise refusal(
            owner,
            argument,
            got=f"a key of {key_region}",
            allowed=f"a key of the bucket's Region, {region}",
            remedy="pass a key of that Region: of a multi-Region key, its replica there",
        )
    _check_kind_of_key(owner, argument, key)


def _check_kind_of_key(owner: str, argument: str, key: object) -> None:
    """Refuse a key of this app that S3 couldn't encrypt under; of a key by its ARN nothing more is known."""
    resource = key.node.default_child if isinstance(key, kms.Key) else key
    if not isinstance(resource, kms.CfnKey):
        return
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    for what, got, needed in (
        ("key_spec", resource.key_spec, "SYMMETRIC_DEFAULT"),
        ("key_usage", resource.key_usage, "ENCRYPT_DECRYPT"),
    ):
        if got is not None and not is_token(got) and got != needed:
            raise refusal(
                owner,
                argument,
                got=f"a key with {what} {got}",
                allowed=f"a symmetric key for encryption, with {what} {needed}, whatever its origin",
                remedy="make another: KMS changes neither of a key that is there",
            )

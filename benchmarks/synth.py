"""What a synth costs: buckets by EncryptedBucket, and the same resources by hand, measured side by side.

``make benchmark`` runs it. The milliseconds say something about this machine at this moment only; the ratios are the
result. What keeps them fair on a machine that does other things too:

- The apps of one repetition grow side by side, a few buckets at a time and in changing order, so that whatever slows
  the machine down slows them all. None meets a larger table of jsii objects or a larger heap than the others.
- Every repetition gives one ratio; shown are the median and the range of these, not a ratio of averages.
- What a process pays once whoever asks (imports, modules that the CDK loads when first used) is paid before. What the
  first `EncryptedBucket` of a process costs more than later ones is shown below the table.
- The second baseline has our resources to the letter; that is checked before anything is measured.

Below that, `ReplicatedEncryptedBuckets` one way between two Regions, against plain L2s. Those synthesize that only with
a role, bucket names and rights written by hand: with its own role the L2 makes stacks that need each other. Both ways
plain L2s don't synthesize at all, so there is nothing to measure against.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from constructs import Construct
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cdk_encrypted_data import EncryptedBucket, ReplicatedEncryptedBuckets

# How many buckets an app has: how often such apps are built.
_REPETITIONS = {1: 60, 100: 5, 500: 3}
# CloudFormation takes 1 MB and 500 resources in a stack; a bucket has four of 9 kB.
_BUCKETS_IN_A_STACK = 50
_BUCKETS_IN_TURN = 5
# The same for pairs of buckets that replicate; a stack has six or seven resources of each.
_PAIRS = {1: 20, 50: 5}
_ACCOUNT = "111122223333"
_REGIONS = ("eu-central-1", "eu-west-1")
_WIDTH_IN_A_FILE = 160

_SSE = "s3:x-amz-server-side-encryption"
_SSE_KMS_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_SSE_C = "s3:x-amz-server-side-encryption-customer-algorithm"

_Make = Callable[[Construct, str], object]
_MakePair = Callable[[Construct, Construct, str], object]


def plain_l2s(scope: Construct, name: str) -> None:
    """Make the same resources by hand, with less policy: the CDK's own and the two usual refusals of uploads."""
    key = _plain_key(scope, name, policy=None)
    _refuse_uploads(_plain_bucket(scope, name, key, enforce_ssl=True), key)


def _refuse_uploads(bucket: s3.Bucket, key: kms.Key) -> None:
    objects = bucket.arn_for_objects("*")
    anyone = iam.AnyPrincipal()
    for header, value in ((_SSE, "aws:kms"), (_SSE_KMS_KEY, key.key_arn)):
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[anyone],
                actions=["s3:PutObject"],
                resources=[objects],
                conditions={"Null": {header: "false"}, "StringNotEquals": {header: value}},
            )
        )


def plain_l2s_same_policies(scope: Construct, name: str) -> None:
    """Make the same resources by hand, with every statement that `EncryptedBucket` makes."""
    key = _plain_key(scope, name, policy=iam.PolicyDocument(statements=_key_statements()))
    bucket = _plain_bucket(scope, name, key, enforce_ssl=False)
    arn = bucket.bucket_arn
    key_arn = key.key_arn
    anyone = iam.StarPrincipal()

    def refuse(sid: str, action: str, resources: list[str], conditions: dict[str, object]) -> None:
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[anyone],
                actions=[action],
                resources=resources,
                conditions=conditions,
            )
        )

    everything = [arn, f"{arn}/*"]
    refuse("RefusePlainHttp", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}})
    refuse("RefuseTlsBelowMinimum", "s3:*", everything, {"NumericLessThan": {"s3:TlsVersion": "1.2"}})
    put, objects = "s3:PutObject", [f"{arn}/*"]
    algorithms, other_key = ["aws:kms", "aws:kms:dsse"], {_SSE_KMS_KEY: key_arn}
    refuse("RefuseOtherEncryption", put, objects, {"Null": {_SSE: "false"}, "StringNotEquals": {_SSE: algorithms}})
    refuse(
        "RefuseEncryptionUnderMissingOrOtherKey",
        put,
        objects,
        {"Null": {_SSE: "false"}, "StringNotEquals": other_key},
    )
    refuse("RefuseOtherKey", put, objects, {"Null": {_SSE_KMS_KEY: "false"}, "StringNotEquals": other_key})
    refuse("RefuseUpdateToOtherKey", "s3:UpdateObjectEncryption", objects, {"StringNotEquals": other_key})
    refuse("RefuseCustomerProvidedKeys", put, objects, {"Null": {_SSE_C: "false"}})
    if policy := bucket.policy:
        policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN)


def our_pair(home: Construct, away: Construct, name: str) -> None:
    """Make buckets that replicate one way."""
    ReplicatedEncryptedBuckets(home, name, bucket_name_prefix=name.lower(), replicas=[away])


def plain_pair(home: Construct, away: Construct, name: str) -> None:
    """Make them by hand, each as `plain_l2s` does, with a role that has the same rights."""
    key_there, key_here = (_plain_key(stack, name, policy=None) for stack in (away, home))
    there = _plain_bucket(away, name, key_there, enforce_ssl=True, bucket_name=_name(name, _REGIONS[1]))
    role = iam.Role(home, f"{name}Role", assumed_by=iam.ServicePrincipal("s3.amazonaws.com"))
    rule = s3.ReplicationRule(
        destination=there,
        kms_key=key_there,
        sse_kms_encrypted_objects=True,
        delete_marker_replication=True,
        metrics=s3.ReplicationTimeValue.FIFTEEN_MINUTES,
        priority=1,
    )
    here = _plain_bucket(
        home,
        name,
        key_here,
        enforce_ssl=True,
        bucket_name=_name(name, _REGIONS[0]),
        replication_role=role,
        replication_rules=[rule],
    )
    for bucket, key in ((there, key_there), (here, key_here)):
        _refuse_uploads(bucket, key)
    # By names: the bucket waits for the policy, which can't wait for the bucket.
    source, destination = (f"arn:aws:s3:::{_name(name, region)}" for region in _REGIONS)
    policy = iam.ManagedPolicy(home, f"{name}Permissions", roles=[role])
    orders = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
    read = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
    store = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
    for actions, resource in ((orders, source), (read, f"{source}/*"), (store, f"{destination}/*")):
        policy.add_statements(iam.PolicyStatement(actions=actions, resources=[resource]))
    for actions, key, region, bucket_arn in (
        (["kms:Decrypt"], key_here, _REGIONS[0], source),
        (["kms:Decrypt", "kms:Encrypt"], key_there, _REGIONS[1], destination),
    ):
        conditions = {
            "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket_arn, f"{bucket_arn}/*"]},
        }
        policy.add_statements(iam.PolicyStatement(actions=actions, resources=[key.key_arn], conditions=conditions))
    here.node.add_dependency(policy)


def _name(name: str, region: str) -> str:
    return f"{name.lower()}-{_ACCOUNT}-{region}"


def _plain_key(scope: Construct, name: str, *, policy: iam.PolicyDocument | None) -> kms.Key:
    key = kms.Key(
        scope,
        f"{name}Key",
        # An alias without the stack's name would let the app be deployed once an account and Region.
        alias=f"alias/{cdk.Aws.STACK_NAME}/{name}",
        description=f"Encrypts the data of {name} in S3",
        enable_key_rotation=True,
        policy=policy,
    )
    cdk.Tags.of(key).add("Name", name)
    return key


def _plain_bucket(
    scope: Construct,
    name: str,
    key: kms.Key,
    *,
    enforce_ssl: bool,
    bucket_name: str | None = None,
    replication_role: iam.Role | None = None,
    replication_rules: list[s3.ReplicationRule] | None = None,
) -> s3.Bucket:
    return s3.Bucket(
        scope,
        f"{name}Bucket",
        bucket_name=bucket_name,
        replication_role=replication_role,
        replication_rules=replication_rules,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
        enforce_ssl=enforce_ssl,
        minimum_tls_version=1.2 if enforce_ssl else None,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="Retention",
                noncurrent_version_expiration=cdk.Duration.days(90),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                expired_object_delete_marker=True,
            )
        ],
    )


def _key_statements() -> list[iam.PolicyStatement]:
    account = iam.AccountRootPrincipal()
    return [
        iam.PolicyStatement(
            sid="AccountAdministersKey",
            principals=[account],
            actions=[
                "kms:CancelKeyDeletion",
                "kms:CreateAlias",
                "kms:DeleteAlias",
                "kms:DescribeKey",
                "kms:DisableKey",
                "kms:DisableKeyRotation",
                "kms:EnableKey",
                "kms:EnableKeyRotation",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListGrants",
                "kms:ListKeyPolicies",
                "kms:ListKeyRotations",
                "kms:ListResourceTags",
                "kms:PutKeyPolicy",
                "kms:RevokeGrant",
                "kms:RotateKeyOnDemand",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
                "kms:UntagResource",
                "kms:UpdateAlias",
                "kms:UpdateKeyDescription",
            ],
            resources=["*"],
        ),
        iam.PolicyStatement(
            sid="AccountUsesKeyThroughS3",
            principals=[account],
            actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
            resources=["*"],
            conditions={
                "StringEquals": {
                    "kms:CallerAccount": cdk.Aws.ACCOUNT_ID,
                    "kms:ViaService": f"s3.{cdk.Aws.REGION}.amazonaws.com",
                }
            },
        ),
        iam.PolicyStatement(
            sid="RefuseGrantsExceptForAwsServices",
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=["kms:CreateGrant"],
            resources=["*"],
            conditions={"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}},
        ),
    ]


_OURS = "EncryptedBucket"
_SAME_POLICIES = "plain L2s, same policies"
_MAKERS: dict[str, _Make] = {
    _OURS: EncryptedBucket,
    "plain L2s": plain_l2s,
    _SAME_POLICIES: plain_l2s_same_policies,
}


_OUR_PAIR = "ReplicatedEncryptedBuckets"
_PAIR_MAKERS: dict[str, _MakePair] = {_OUR_PAIR: our_pair, "plain L2s": plain_pair}


class _Cost(NamedTuple):
    """Seconds that one app took."""

    construct: float
    synth: float

    @property
    def whole(self) -> float:
        """Seconds from nothing to templates."""
        return self.construct + self.synth


_PARTS: tuple[Callable[[_Cost], float], ...] = (
    lambda cost: cost.construct,
    lambda cost: cost.synth,
    lambda cost: cost.whole,
)


def main() -> int:
    """Measure and print; return the exit status."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_FILE
    with tempfile.TemporaryDirectory() as directory:
        flags = _feature_flags()

        def new_app() -> cdk.App:
            # The built-in validator costs everybody the same and more than all else; the library doesn't touch it.
            return cdk.App(
                outdir=tempfile.mkdtemp(dir=directory), context=flags, builtin_cloud_formation_validation=False
            )

        by_hand = _resources(new_app(), plain_l2s_same_policies)
        once = _seconds_more_for_the_first(new_app())
        if _resources(new_app(), EncryptedBucket) != by_hand:
            console.print(f"[red]{_SAME_POLICIES!r} makes other resources than {_OURS}: bring it up to date")
            return 1
        table = _new_table("EncryptedBucket against the same resources by hand", "buckets")
        pairs_table = _new_table("ReplicatedEncryptedBuckets, one way in two Regions, against plain L2s", "pairs")
        with Progress(console=console, transient=True) as progress:
            for buckets, repetitions in _REPETITIONS.items():
                rounds = progress.track(range(repetitions), description=f"apps of {buckets}")
                costs = [_side_by_side(new_app, buckets, turn) for turn in rounds]
                _add_rows(table, buckets, costs, makers=list(_MAKERS), ours=_OURS)
            for pairs, repetitions in _PAIRS.items():
                # Once for nothing: what a process pays the first time.
                rounds = progress.track(range(-1, repetitions), description=f"apps of {pairs} pairs")
                costs = [_pairs_side_by_side(new_app, pairs, turn) for turn in rounds][1:]
                _add_rows(pairs_table, pairs, costs, makers=list(_PAIR_MAKERS), ours=_OUR_PAIR)
    console.print(table)
    console.print(pairs_table)
    console.print(
        f"Not in the table: the first {_OURS} of a process takes {once * 1000:.0f} ms more than later ones, "
        "for values asked of Node once and for code that isn't warm yet."
    )
    return 0


def _side_by_side(new_app: Callable[[], cdk.App], buckets: int, turn: int) -> dict[str, _Cost]:
    """Let one app of each maker grow, a few buckets at a time, and synthesize them one after the other."""
    orders = list(itertools.permutations(_MAKERS))
    apps = {maker: new_app() for maker in _MAKERS}
    stacks: dict[str, cdk.Stack] = {}
    construct = dict.fromkeys(_MAKERS, 0.0)
    for first in range(0, buckets, _BUCKETS_IN_TURN):
        for maker in orders[(turn + first // _BUCKETS_IN_TURN) % len(orders)]:
            start = time.perf_counter()
            if first % _BUCKETS_IN_A_STACK == 0:
                stacks[maker] = cdk.Stack(apps[maker], f"Stack{first}")
            for number in range(first, min(first + _BUCKETS_IN_TURN, buckets)):
                _MAKERS[maker](stacks[maker], f"Data{number}")
            construct[maker] += time.perf_counter() - start
    costs: dict[str, _Cost] = {}
    for maker in orders[turn % len(orders)]:
        start = time.perf_counter()
        apps[maker].synth()
        costs[maker] = _Cost(construct[maker], time.perf_counter() - start)
    return costs


def _pairs_side_by_side(new_app: Callable[[], cdk.App], pairs: int, turn: int) -> dict[str, _Cost]:
    """Let one app of each maker of pairs grow, one pair at a time, and synthesize them one after the other."""
    orders = list(itertools.permutations(_PAIR_MAKERS))
    apps = {maker: new_app() for maker in _PAIR_MAKERS}
    stacks: dict[str, list[cdk.Stack]] = {}
    construct = dict.fromkeys(_PAIR_MAKERS, 0.0)
    for number in range(pairs):
        for maker in orders[(turn + number) % len(orders)]:
            start = time.perf_counter()
            if maker not in stacks:
                environments = [cdk.Environment(account=_ACCOUNT, region=each) for each in _REGIONS]
                stacks[maker] = [cdk.Stack(apps[maker], str(each.region), env=each) for each in environments]
            home, away = stacks[maker]
            _PAIR_MAKERS[maker](home, away, f"Data{number}")
            construct[maker] += time.perf_counter() - start
    costs: dict[str, _Cost] = {}
    for maker in orders[turn % len(orders)]:
        start = time.perf_counter()
        apps[maker].synth()
        costs[maker] = _Cost(construct[maker], time.perf_counter() - start)
    return costs


def _new_table(title: str, what: str) -> Table:
    table = Table(title=title, caption="median (least-most)")
    table.add_column(what, justify="right")
    table.add_column("made with")
    for column in (
        "construct, ms each",
        "synth, ms each",
        "whole, ms each",
        "construct, ours : this",
        "synth",
        "whole",
    ):
        table.add_column(column, justify="right")
    return table


def _add_rows(
    table: Table, buckets: int, rounds: Sequence[dict[str, _Cost]], *, makers: Sequence[str], ours: str
) -> None:
    for maker in makers:
        times = [_spread([part(costs[maker]) * 1000 / buckets for costs in rounds], digits=1) for part in _PARTS]
        ratios = [
            "" if maker == ours else _spread([part(costs[ours]) / part(costs[maker]) for costs in rounds], digits=2)
            for part in _PARTS
        ]
        last = maker == makers[-1]
        table.add_row(str(buckets) if maker == ours else "", maker, *times, *ratios, end_section=last)


def _spread(values: Sequence[float], *, digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _feature_flags() -> dict[str, object]:
    """Return the feature flags of our own app, which are those that `cdk init` recommends."""
    context = json.loads((Path(__file__).parents[1] / "cdk.json").read_text())["context"]
    return {name: value for name, value in context.items() if name.startswith("@aws-cdk")}


def _resources(app: cdk.App, make: _Make) -> list[dict[str, Any]]:
    """Return one bucket's resources without what only names them."""
    stack = cdk.Stack(app, "Same")
    make(stack, "Data")
    resources = Template.from_stack(stack).to_json()["Resources"]
    text = json.dumps(resources)
    for logical_id, resource in resources.items():
        text = text.replace(f'"{logical_id}"', f'"{resource["Type"]}"')
    found: dict[str, dict[str, Any]] = json.loads(text)
    for resource in found.values():
        for name in ("AliasName", "Description", "Tags"):
            resource["Properties"].pop(name, None)
        resource.pop("Metadata", None)
    return sorted(found.values(), key=lambda resource: str(resource["Type"]))


def _seconds_more_for_the_first(app: cdk.App) -> float:
    """Return how much longer the first `EncryptedBucket` of a process takes than later ones."""
    stack = cdk.Stack(app, "Once")
    seconds: list[float] = []
    for number in range(_BUCKETS_IN_TURN):
        start = time.perf_counter()
        EncryptedBucket(stack, f"Data{number}")
        seconds.append(time.perf_counter() - start)
    return seconds[0] - statistics.median(seconds[1:])


if __name__ == "__main__":
    sys.exit(main())

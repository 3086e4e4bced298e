"""What a synth costs: buckets by EncryptedBucket, and the same resources by hand, measured side by side.

``make benchmark`` runs it. The milliseconds say something about this machine at this moment only; the ratios are the
result. What keeps them fair on a machine that does other things too:

- The apps of one repetition grow side by side, a few buckets at a time and in changing order, so that whatever slows
  the machine down slows them all. None meets a larger table of jsii objects or a larger heap than the others.
- Every repetition gives one ratio; shown are the median and the range of these, not a ratio of averages.
- What a process pays once whoever asks (imports, modules that the CDK loads when first used) is paid before. What the
  first `EncryptedBucket` of a process costs more than later ones is shown below the table.
- The second baseline has our resources to the letter; that is checked before anything is measured.
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

from cdk_encrypted_data import EncryptedBucket

# How many buckets an app has: how often such apps are built.
_REPETITIONS = {1: 60, 100: 5, 500: 3}
# CloudFormation takes 1 MB and 500 resources in a stack; a bucket has four of 9 kB.
_BUCKETS_IN_A_STACK = 50
_BUCKETS_IN_TURN = 5
_WIDTH_IN_A_FILE = 160

_SSE = "s3:x-amz-server-side-encryption"
_SSE_KMS_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_SSE_C = "s3:x-amz-server-side-encryption-customer-algorithm"

_Make = Callable[[Construct, str], object]


def plain_l2s(scope: Construct, name: str) -> None:
    """Make the same resources by hand, with less policy: the CDK's own and the two usual refusals of uploads."""
    key = _plain_key(scope, name, policy=None)
    bucket = _plain_bucket(scope, name, key, enforce_ssl=True)
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


def _plain_bucket(scope: Construct, name: str, key: kms.Key, *, enforce_ssl: bool) -> s3.Bucket:
    return s3.Bucket(
        scope,
        f"{name}Bucket",
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
        table = _new_table()
        with Progress(console=console, transient=True) as progress:
            for buckets, repetitions in _REPETITIONS.items():
                rounds = progress.track(range(repetitions), description=f"apps of {buckets}")
                _add_rows(table, buckets, [_side_by_side(new_app, buckets, turn) for turn in rounds])
    console.print(table)
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


def _new_table() -> Table:
    table = Table(title="EncryptedBucket against the same resources by hand", caption="median (least-most)")
    table.add_column("buckets", justify="right")
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


def _add_rows(table: Table, buckets: int, rounds: Sequence[dict[str, _Cost]]) -> None:
    for maker in _MAKERS:
        times = [_spread([part(costs[maker]) * 1000 / buckets for costs in rounds], digits=1) for part in _PARTS]
        ratios = [
            "" if maker == _OURS else _spread([part(costs[_OURS]) / part(costs[maker]) for costs in rounds], digits=2)
            for part in _PARTS
        ]
        last = maker == list(_MAKERS)[-1]
        table.add_row(str(buckets) if maker == _OURS else "", maker, *times, *ratios, end_section=last)


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

"""Who may what through a Multi-Region Access Point: S3 asks about it and the bucket it chose, KMS about the key."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.choices import ReplicationDirection
from cdk_encrypted_data.multi_region_access_point import MultiRegionAccessPoint
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
from tests.oracle.evaluator import ANONYMOUS, FULL_ADMIN, Request
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.evaluator import Context, Evaluator, Policy

REGIONS = HOME, AWAY = ("eu-central-1", "eu-west-1")
GRANTS = ("read", "write", "read_write", "delete")
APPLICATION, STRANGER = (
    f"arn:aws:iam::{account}:role/{name}" for account, name in ((ACCOUNT, "application"), (OTHER_ACCOUNT, "stranger"))
)
SSE, KEY_ID = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
HTTP: Context = {"aws:SecureTransport": "false"}
TLS_1_1: Context = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}
TLS_1_2: Context = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.2"}

# What S3 asks for, of the access point and the bucket alike, and what KMS asks the caller for. The context is the
# request's; HOME_KEY stands for the key of the first Region's bucket.
OPERATIONS: dict[str, tuple[str, list[str], Context]] = {
    "GetObject": ("object s3:GetObject", ["kms:Decrypt"], TLS_1_2),
    "GetObject over plain HTTP": ("object s3:GetObject", ["kms:Decrypt"], HTTP),
    "GetObject over TLS 1.1": ("object s3:GetObject", ["kms:Decrypt"], TLS_1_1),
    "GetObject, outside the pattern": ("other s3:GetObject", ["kms:Decrypt"], TLS_1_2),
    "ListObjectsV2": ("point s3:ListBucket", [], TLS_1_2),
    "ListObjectsV2 over plain HTTP": ("point s3:ListBucket", [], HTTP),
    "PutObject": ("object s3:PutObject", ["kms:GenerateDataKey", "kms:Decrypt"], TLS_1_2),
    "PutObject with AES256": ("object s3:PutObject", [], {**TLS_1_2, SSE: "AES256"}),
    "PutObject under the key of eu-central-1": (
        "object s3:PutObject",
        ["kms:GenerateDataKey", "kms:Decrypt"],
        {**TLS_1_2, SSE: "aws:kms", KEY_ID: "HOME_KEY"},
    ),
    "PutObjectTagging": ("object s3:PutObjectTagging", [], TLS_1_2),
    "UploadPart": ("object s3:PutObject", ["kms:Decrypt"], TLS_1_2),
    "AbortMultipartUpload": ("object s3:AbortMultipartUpload", [], TLS_1_2),
    "DeleteObject": ("object s3:DeleteObject", [], TLS_1_2),
    "DeleteObject, a version": ("object s3:DeleteObjectVersion", [], TLS_1_2),
    "PutObjectRetention": ("object s3:PutObjectRetention", [], TLS_1_2),
}

# S3 may choose either Region: ok and D in both, or the Region that alone answers. "all" may everything that IAM can
# allow; "one way" too, where buckets replicate one way; "buckets" has what the grants say of buckets and keys, "point"
# what they say of the access point and the keys.
EXPECTED = read_table("""
                                        | read | write | read_write | delete | all | one way | buckets | point
GetObject                               | ok   | D     | ok         | D      | ok  | ok      | D       | D
GetObject over plain HTTP               | D    | D     | D          | D      | D   | D       | D       | D
GetObject over TLS 1.1                  | D    | D     | D          | D      | D   | D       | D       | D
GetObject, outside the pattern          | D    | D     | D          | D      | ok  | ok      | D       | D
ListObjectsV2                           | ok   | D     | ok         | D      | ok  | ok      | D       | D
ListObjectsV2 over plain HTTP           | D    | D     | D          | D      | D   | D       | D       | D
PutObject                               | D    | ok    | ok         | D      | ok  | D       | D       | D
PutObject with AES256                   | D    | D     | D          | D      | D   | D       | D       | D
PutObject under the key of eu-central-1 | D    | eu-central-1 | eu-central-1 | D | eu-central-1 | D | D | D
PutObjectTagging                        | D    | ok    | ok         | D      | ok  | D       | D       | D
UploadPart                              | D    | ok    | ok         | D      | ok  | D       | D       | D
AbortMultipartUpload                    | D    | ok    | ok         | D      | ok  | D       | D       | D
DeleteObject                            | D    | D     | D          | ok     | ok  | D       | D       | D
DeleteObject, a version                 | D    | D     | D          | D      | ok  | D       | D       | D
PutObjectRetention                      | D    | D     | D          | D      | ok  | D       | D       | D
""")


class Behind:
    """Buckets in two Regions behind an access point, and a policy for each grant."""

    def __init__(self, directory: Path, direction: ReplicationDirection) -> None:
        app = cdk.App(outdir=str(directory))
        home, away = (cdk.Stack(app, each, env=cdk.Environment(account=ACCOUNT, region=each)) for each in REGIONS)
        buckets = ReplicatedEncryptedBuckets(
            home, "Data", bucket_name_prefix="acme", replicas=[away], direction=direction
        )
        point = MultiRegionAccessPoint(home, "Point", buckets=buckets)
        grants = GRANTS if direction is ReplicationDirection.BOTH_WAYS else ("read",)
        for grant in grants:
            policy = iam.ManagedPolicy(home, f"Grant-{grant}", managed_policy_name=grant)
            getattr(point, f"grant_{grant}")(policy, objects_key_pattern="orders/*")
        app.synth()
        self._assembly = Assembly.read(directory)
        (policy_of_it,) = self._assembly.resources_of_type("AWS::S3::MultiRegionAccessPointPolicy")
        self.policy = document(policy_of_it.setting("Policy"))
        self.arn = self.policy["Statement"][0]["Resource"][0]
        assert re.fullmatch(rf"arn:aws:s3:{HOME}:{ACCOUNT}:accesspoint/[a-z][a-z0-9]{{12}}\.mrap", self.arn)
        self.granted = {
            str(each.setting("ManagedPolicyName")): document(each.setting("PolicyDocument"))
            for each in self._assembly.resources_of_type("AWS::IAM::ManagedPolicy")
            if str(each.setting("ManagedPolicyName")) in grants
        }
        self.buckets = {region: f"arn:aws:s3:::acme-{ACCOUNT}-{region}-an" for region in REGIONS}
        self.bucket_policies = {
            each.region: document(each.setting("PolicyDocument"))
            for each in self._assembly.resources_of_type("AWS::S3::BucketPolicy")
        }
        self.keys = {
            each.region: (str(each.arn), document(each.setting("KeyPolicy")))
            for each in self._assembly.resources_of_type("AWS::KMS::Key")
        }

    def allows(
        self, evaluator: Evaluator, operation: str, region: str, *, principal: str, identity: list[Policy]
    ) -> bool:
        """Decide an operation through the access point while S3 has chosen this Region."""
        action, key, context = self._asked(operation)
        bucket, (key_arn, key_policy) = self.buckets[region], self.keys[region]
        in_kms: Context = {"kms:ViaService": f"s3.{region}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": bucket}
        others = [
            (action, f"{bucket}/{key}" if key else bucket, self.bucket_policies[region], context),
            *((each, key_arn, key_policy, in_kms) for each in OPERATIONS[operation][1]),
        ]
        return self.lets_through(evaluator, operation, principal=principal, identity=identity) and all(
            _decided(evaluator, *each, principal=principal, identity=identity) for each in others
        )

    def lets_through(self, evaluator: Evaluator, operation: str, *, principal: str, identity: list[Policy]) -> bool:
        """Decide what is asked of the access point alone."""
        action, key, context = self._asked(operation)
        resource = f"{self.arn}/object/{key}" if key else self.arn
        return _decided(evaluator, action, resource, self.policy, context, principal=principal, identity=identity)

    def _asked(self, operation: str) -> tuple[str, str | None, Context]:
        asked, _, said = OPERATIONS[operation]
        where, _, action = asked.partition(" ")
        context = {name: self.keys[HOME][0] if value == "HOME_KEY" else value for name, value in said.items()}
        return action, {"object": "orders/1", "other": "invoices/1"}.get(where), context


def _decided(
    evaluator: Evaluator,
    action: str,
    resource: str,
    policy: Policy,
    context: Context,
    *,
    principal: str,
    identity: list[Policy],
) -> bool:
    request = Request(principal=principal, action=action, resource=resource, context=context)
    return evaluator.decide(request, account=ACCOUNT, identity_policies=identity, resource_policy=policy).allowed


def with_a_region(text: str) -> str:
    """Write an access point's ARN as one of a Region's: the oracle's reference of IAM knows no others."""
    return text.replace(f":s3::{ACCOUNT}:accesspoint/", f":s3:{HOME}:{ACCOUNT}:accesspoint/")


def document(value: Any) -> Policy:  # noqa: ANN401 - a resolved setting
    found: Policy = json.loads(with_a_region(json.dumps(value)))
    return found


@pytest.fixture(scope="module", params=ReplicationDirection)
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Behind]:
    direction: ReplicationDirection = request.param
    return direction.name, Behind(tmp_path_factory.mktemp(direction.name) / "cdk.out", direction)


def columns(name: str, behind: Behind) -> dict[str, list[Policy]]:
    """Return the identity policies of each column that these buckets are about."""
    if name == "ONE_WAY":
        return {"one way": [FULL_ADMIN]}
    halves: dict[str, list[Policy]] = {}
    for half, of_the_point in (("buckets", False), ("point", True)):
        statements = [
            each
            for policy in behind.granted.values()
            for each in policy["Statement"]
            if "kms:" in str(each["Action"]) or (behind.arn in str(each["Resource"])) is of_the_point
        ]
        halves[half] = [{"Version": "2012-10-17", "Statement": statements}]
    return {**{grant: [policy] for grant, policy in behind.granted.items()}, "all": [FULL_ADMIN], **halves}


def test_what_passes(evaluator: Evaluator, behind: tuple[str, Behind]) -> None:
    name, point = behind
    for column, identity in columns(name, point).items():

        def cell(operation: str, identity: list[Policy] = identity) -> str:
            answering = [
                region
                for region in REGIONS
                if point.allows(evaluator, operation, region, principal=APPLICATION, identity=identity)
            ]
            return {0: "D", len(REGIONS): "ok"}.get(len(answering), answering[0] if answering else "")

        assert {row: cell(row) for row in EXPECTED[column]} == EXPECTED[column], column


def test_every_column_is_tried(behind: tuple[str, Behind]) -> None:
    tried = set(columns(*behind))
    assert tried == ({"one way"} if behind[0] == "ONE_WAY" else set(EXPECTED) - {"one way"})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_refuses_weak_transport_by_itself(evaluator: Evaluator, behind: tuple[str, Behind], operation: str) -> None:
    name, point = behind
    read_only = name == "ONE_WAY" and EXPECTED["one way"][operation] == "D"
    passes = " over " not in operation and not read_only
    assert point.lets_through(evaluator, operation, principal=APPLICATION, identity=[FULL_ADMIN]) is passes


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_else_gets_in(evaluator: Evaluator, behind: tuple[str, Behind], operation: str) -> None:
    _, point = behind
    for region in REGIONS:
        assert not point.allows(evaluator, operation, region, principal=STRANGER, identity=[FULL_ADMIN])
        assert not point.allows(evaluator, operation, region, principal=ANONYMOUS, identity=[])

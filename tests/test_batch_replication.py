"""BatchReplication: its roles, and what is refused. What the roles may do is in the truth tables."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam

from cdk_encrypted_data import BatchReplication, EncryptedBucket, ReplicationDirection, ServerSideEncryption
from tests.test_replicated_encrypted_buckets import ACCOUNT, AWAY, FAR, HOME, REGIONS, Buckets, of_kind, stack_in

BOTH_WAYS = ReplicationDirection.BOTH_WAYS


class Prepared(Buckets):
    """Buckets in stacks of their own, report buckets where they replicate, and the roles for jobs."""

    def __init__(self, *regions: str, **arguments: Any) -> None:  # noqa: ANN401 - options
        super().__init__(*regions, **arguments)
        sources = [each for each in self.stacks if self.buckets.destinations_of(each.region)]
        self.reports = [EncryptedBucket(each, "Reports") for each in sources]
        self.batch = BatchReplication(self.home, "Batch", buckets=self.buckets, report_buckets=self.reports)


def roles(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in of_kind(template, "AWS::IAM::Role") if "batchoperations" in str(each)]


@pytest.mark.parametrize(
    ("direction", "regions"), [(ReplicationDirection.ONE_WAY, (HOME,)), (BOTH_WAYS, REGIONS)], ids=["one", "both"]
)
def test_a_role_for_each_bucket_that_replicates_and_nothing_is_found(
    direction: ReplicationDirection, regions: tuple[str, ...]
) -> None:
    prepared = Prepared(*REGIONS, direction=direction)
    prepared.batch.grant_create_job(iam.ManagedPolicy(prepared.home, "Operators"))
    found = prepared.templates()
    assert prepared.batch.regions == regions
    assert [region for region in REGIONS if len(roles(found[region])) == 1] == list(regions)
    assert prepared.outcomes() == []
    assert [each.dependencies for each in prepared.stacks] == [prepared.away, [], []]


def test_logical_ids_stay() -> None:
    found = Prepared().templates()[HOME]["Resources"]
    assert [name for name in found if "Batch" in name] == [
        "DataBucketBatchReplicationRoleA975C992",
        "DataBucketBatchReplicationPermissionsB4A0E4BC",
    ]


def test_roles_of_regions() -> None:
    batch = Prepared().batch
    assert isinstance(batch.role_for(HOME), iam.Role)
    with pytest.raises(
        ValueError, match=r"^Batch: region is 'eu-west-1'; allowed: one of eu-central-1; name a Region "
    ):
        batch.role_for(AWAY)


def test_a_grantee_that_is_deployed_before() -> None:
    prepared = Prepared()
    with pytest.raises(ValueError, match=r"^Batch: grantee is .of eu-west-1, which is deployed before"):
        prepared.batch.grant_create_job(iam.ManagedPolicy(prepared.away[0], "Operators"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"buckets": "acme"}, "buckets is 'acme'"),
            ({"report_buckets": []}, "report_buckets is 'none in eu-central-1'"),
            ({"report_buckets": "reports"}, "report_buckets is 'reports'"),
        ],
    )
    def test_what_is_none(self, arguments: dict[str, Any], words: str) -> None:
        buckets = Buckets()
        assert_refused(words, buckets, **arguments)

    def test_report_buckets(self) -> None:
        buckets = Buckets()
        good, second = (EncryptedBucket(buckets.home, name) for name in ("Good", "Second"))
        for bad, words in (
            (EncryptedBucket(buckets.away[0], "Away"), "eu-west-1/Away in account 111122223333, Region eu-west-1"),
            (EncryptedBucket(stack_in(FAR, buckets.scope), "Far"), "us-east-1/Far in account"),
            (EncryptedBucket(cdk.Stack(buckets.scope, "Anywhere"), "Any"), "Anywhere/Any in account"),
            (second, "eu-central-1/Second in account"),
            (buckets.buckets.bucket_for(HOME), "eu-central-1/Data/Bucket, which replicates"),
            (
                EncryptedBucket(buckets.home, "Plain", encryption=ServerSideEncryption.SSE_S3),
                "eu-central-1/Plain, which has no KMS key",
            ),
        ):
            given = [good, bad] if bad is second else [bad]
            assert_refused(f"report_buckets is '{words}", buckets, report_buckets=given)

    def test_a_report_bucket_whose_key_names_its_users(self) -> None:
        buckets = Buckets()
        user = iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/auditor")
        closed = EncryptedBucket(buckets.home, "Closed", key_users=[user])
        BatchReplication(buckets.home, "Batch", buckets=buckets.buckets, report_buckets=[closed])
        # Nobody knows yet what the role will be called: the user may be it. The proofs know.
        assert buckets.outcomes() != []

    def test_twice(self) -> None:
        prepared = Prepared()
        with pytest.raises(
            ValueError, match=r"^Again: buckets is 'eu-central-1/Data, which has such roles'; allowed: "
        ):
            BatchReplication(
                prepared.home, "Again", buckets=prepared.buckets, report_buckets=[EncryptedBucket(prepared.home, "R")]
            )


def assert_refused(words: str, made: Buckets, **arguments: Any) -> None:  # noqa: ANN401 - options
    with pytest.raises(ValueError, match=r"^Batch: .+; allowed: [^;]+; .+[^.]$") as caught:
        BatchReplication(made.home, "Batch", **{"buckets": made.buckets, "report_buckets": [], **arguments})
    assert str(caught.value).startswith(f"Batch: {words}")
    assert not isinstance(caught.value, jsii.errors.JSIIError)
    assert made.home.node.try_find_child("Batch") is None

"""The app's settings: read from the context, checked once, refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import pytest

from cdk_encrypted_data import ServerSideEncryption, UploadPolicy
from stacks.encrypted_data import EncryptedDataStack
from stacks.settings import (
    ACCOUNT,
    BUCKETS,
    NAMES,
    REMOVAL_POLICY,
    REPLICATED_BUCKETS,
    BucketSettings,
    Monitoring,
    PromotionSettings,
    RemovalPolicy,
    ReplicatedBucketsSettings,
    Settings,
    check_names,
)
from tests.synthesis import resources_of

ADMINISTRATOR = "arn:aws:iam::111122223333:role/key-administrator"
USER = "arn:aws:iam::111122223333:role/application"
REPLICATED: dict[str, object] = {"name": "Orders", "regions": ["eu-central-1", "eu-west-1"]}


def test_what_cdk_json_says_is_the_default() -> None:
    context = json.loads((Path(__file__).resolve().parents[2] / "cdk.json").read_text())["context"]
    assert Settings.from_context(context) == Settings.from_context({}) == Settings()


def test_all_of_it() -> None:
    settings = Settings.from_context(
        {
            BUCKETS: [
                {"name": "Data", "administrators": [ADMINISTRATOR], "users": [USER]},
                {"name": "Public", "encryption": "SSE_S3", "uploadPolicy": "REQUIRE_HEADER"},
            ],
            ACCOUNT: "111122223333",
            REPLICATED_BUCKETS: [
                {
                    "name": "Orders",
                    "regions": ["eu-central-1", "eu-west-1"],
                    "administrators": [ADMINISTRATOR],
                    "monitoring": "OFF",
                    "promotion": {"primaryRegion": "eu-west-1", "regions": ["eu-central-1", "eu-west-1"]},
                },
            ],
            REMOVAL_POLICY: "DESTROY",
        }
    )
    assert settings == Settings(
        account="111122223333",
        buckets=(
            BucketSettings(name="Data", administrators=(ADMINISTRATOR,), users=(USER,)),
            BucketSettings(
                name="Public",
                encryption=ServerSideEncryption.SSE_S3,
                upload_policy=UploadPolicy.REQUIRE_HEADER,
            ),
        ),
        replicated_buckets=(
            ReplicatedBucketsSettings(
                account="111122223333",
                name="Orders",
                regions=("eu-central-1", "eu-west-1"),
                administrators=(ADMINISTRATOR,),
                monitoring=Monitoring.OFF,
                promotion=PromotionSettings(primary_region="eu-west-1", regions=("eu-central-1", "eu-west-1")),
            ),
        ),
        removal_policy=RemovalPolicy.DESTROY,
    )


def test_from_the_command_line() -> None:
    assert Settings.from_context({BUCKETS: '[{"name": "More"}]'}).buckets == (BucketSettings(name="More"),)
    regions = '[{"name": "Orders", "regions": ["eu-central-1", "eu-west-1"]}]'
    (replicated,) = Settings.from_context({ACCOUNT: "111122223333", REPLICATED_BUCKETS: regions}).replicated_buckets
    assert (replicated.name, replicated.regions) == ("Orders", ("eu-central-1", "eu-west-1"))
    assert replicated.monitoring is Monitoring.ON


@pytest.mark.parametrize(
    ("named", "of_the_credentials", "account"),
    [
        (None, None, None),
        (None, "111122223333", "111122223333"),
        ("444455556666", "111122223333", "444455556666"),
        ("444455556666", None, "444455556666"),
    ],
)
def test_the_account(named: str | None, of_the_credentials: str | None, account: str | None) -> None:
    context: dict[str, object] = {} if named is None else {ACCOUNT: named}
    assert Settings.from_context(context, account=of_the_credentials).account == account
    orders: dict[str, object] = {REPLICATED_BUCKETS: [{"name": "Orders", "regions": ["eu-central-1", "eu-west-1"]}]}
    if account is None:
        with pytest.raises(ValueError, match=r"account is None; allowed: twelve digits, or credentials that tell them"):
            Settings.from_context(context | orders)
    else:
        (replicated,) = Settings.from_context(context | orders, account=of_the_credentials).replicated_buckets
        assert replicated.account == account


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({BUCKETS: []}, "a list of at least one object"),
        ({BUCKETS: "[{"}, "a JSON list of objects"),
        ({BUCKETS: ["Data"]}, "objects with a name and any of administrators, encryption, uploadPolicy, users"),
        ({BUCKETS: [{"name": "Data", "upload_policy": "REQUIRE_HEADER"}]}, "objects with a name and any of"),
        ({BUCKETS: [{"name": "data"}]}, "begin with a capital"),
        ({BUCKETS: [{"name": "Data"}, {"name": "Data"}]}, "names that differ"),
        ({BUCKETS: [{"name": "Data", "encryption": "AES256"}]}, "SSE_KMS, DSSE_KMS, SSE_S3"),
        ({BUCKETS: [{"name": "Data", "users": "arn:aws:iam::111122223333:role/a"}]}, "a list of ARNs"),
        ({REMOVAL_POLICY: "SNAPSHOT"}, "RETAIN or DESTROY"),
        ({BUCKETS: {"name": "Data"}}, "a list of objects"),
        ({ACCOUNT: 111122223333}, "twelve digits in quotes"),
        ({ACCOUNT: "1111-2222-3333"}, "twelve digits in quotes"),
        ({REPLICATED_BUCKETS: "Orders"}, "a JSON list of objects"),
        ({REPLICATED_BUCKETS: {"name": "Orders"}}, "a list of objects"),
        ({REPLICATED_BUCKETS: [{"name": "Orders"}]}, "objects with a name and regions and any of administrators"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"users": [USER]}]}, "objects with a name and regions"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"name": "orders"}]}, "begin with a capital"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"regions": ["eu-central-1"]}]}, "at least two Regions, each once"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"regions": ["eu-west-1"] * 2}]}, "at least two Regions, each once"),
        (
            {REPLICATED_BUCKETS: [REPLICATED | {"regions": "eu-central-1, eu-west-1"}]},
            "at least two Regions, each once",
        ),
        ({REPLICATED_BUCKETS: [REPLICATED | {"regions": ["Frankfurt", "Ireland"]}]}, "at least two Regions, each once"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"administrators": [1]}]}, "a list of ARNs"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"monitoring": True}]}, "ON, OFF"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"monitoring": "NONE"}]}, "ON, OFF"),
        ({REPLICATED_BUCKETS: [REPLICATED | {"promotion": "eu-west-1"}]}, "an object with primaryRegion, a Region,"),
        (
            {REPLICATED_BUCKETS: [REPLICATED | {"promotion": {"primaryRegion": "eu-west-1"}}]},
            "an object with primaryRegion, a Region, and regions",
        ),
        (
            {REPLICATED_BUCKETS: [REPLICATED | {"promotion": {"primaryRegion": "Ireland", "regions": ["eu-west-1"]}}]},
            "an object with primaryRegion, a Region, and regions",
        ),
        (
            {REPLICATED_BUCKETS: [REPLICATED | {"promotion": {"primaryRegion": "eu-west-1", "regions": []}}]},
            "at least two Regions, each once",
        ),
        ({REPLICATED_BUCKETS: [REPLICATED, REPLICATED | {"name": "ORDERS"}]}, "names that differ .* in lower case"),
    ],
)
def test_refused(context: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^encrypted-data:.* is .*; allowed: .*{message}.*; change it in cdk.json"):
        Settings.from_context({ACCOUNT: "111122223333"} | context)


@pytest.mark.parametrize("name", ["encrypted-data:removalpolicy", "encrypted-data:administrators", "encrypted-data:"])
def test_a_setting_that_nobody_reads_is_refused(name: str) -> None:
    context: dict[str, object] = {ACCOUNT: "111122223333", "@aws-cdk/core:checkSecretUsage": True}
    check_names(context, known=NAMES)
    with pytest.raises(ValueError, match=rf"^{name} is 'x'; allowed: one of the settings .*{ACCOUNT}, .*; change it"):
        check_names(context | {name: "x"}, known=NAMES)


@pytest.mark.parametrize("name", ["AccessLogs", "AccessLog", "AccessLogBucketName"])
def test_names_of_the_stacks_own_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="begin with a capital, not with AccessLog"):
        Settings.from_context({BUCKETS: [{"name": name}]})


def test_no_two_names_collide() -> None:
    names = ["Data", "DataReader", "DataKey", "DataBucket", "DataBucketName", "DataPolicy"]
    settings = Settings.from_context({BUCKETS: [{"name": name} for name in names]})
    stack = EncryptedDataStack(cdk.App(), "Test", settings=settings)
    assert len(resources_of(stack, "AWS::S3::Bucket")) == len(names) + 1


def test_naming_users_changes_the_key_in_place() -> None:
    # Another logical id would be another key, and what is stored under the old one would be out of reach.
    before, after = (
        EncryptedDataStack(cdk.App(), "Test", settings=Settings.from_context({BUCKETS: [bucket]}))
        for bucket in ({"name": "Data"}, {"name": "Data", "users": [USER], "administrators": [ADMINISTRATOR]})
    )
    assert resources_of(before, "AWS::KMS::Key").keys() == resources_of(after, "AWS::KMS::Key").keys()


def test_sse_s3_with_key_principals_is_refused() -> None:
    settings = Settings.from_context({BUCKETS: [{"name": "Data", "encryption": "SSE_S3", "users": [USER]}]})
    with pytest.raises(ValueError, match=r"Data: key_users is .*; allowed: nothing together with SSE_S3"):
        EncryptedDataStack(cdk.App(), "Test", settings=settings)


def test_one_more_bucket_changes_nothing_of_the_others() -> None:
    def synthesized(*names: str) -> dict[str, object]:
        settings = Settings(buckets=tuple(BucketSettings(name=name) for name in names))
        stack = EncryptedDataStack(cdk.App(), "Test", settings=settings)
        return {**resources_of(stack, "AWS::KMS::Key"), **resources_of(stack, "AWS::S3::Bucket")}

    one, two = synthesized("Data"), synthesized("Data", "More")
    assert one.items() <= two.items()
    assert len(two) == len(one) + 2

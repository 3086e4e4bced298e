"""The rules of buckets, where pairs of templates don't show it: variants, twins, what can't be decided, odd input."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cdk_encrypted_data import CustomerProvidedKeys, EncryptedBucket, ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.findings import Finding, Undecidable
from cdk_encrypted_data.proofs.proof import Proof, prove
from cdk_encrypted_data.proofs.rules import bucket_access, bucket_encryption, bucket_logs, bucket_settings, buckets
from cdk_encrypted_data.proofs.subjects.s3 import BUCKET_ACTIONS, OBJECT_ACTIONS
from tests.synthesis import new_stack, template

Json = Any
ACCOUNT, OTHER = "111122223333", "222233334444"
AREAS = (buckets, bucket_access, bucket_encryption, bucket_logs, bucket_settings)
RULES = {rule.id for area in AREAS for rule in area.RULES}
ARN = {"Fn::GetAtt": ["Data", "Arn"]}
OBJECTS = {"Fn::Sub": "${Data.Arn}/*"}
KEY = {"Fn::GetAtt": ["Key", "Arn"]}
SSE = "s3:x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
SSE_C = f"{SSE}-customer-algorithm"


# Templates.


def statement(effect: str, action: Json = "s3:PutObject", resource: Json = OBJECTS, **others: Json) -> dict[str, Json]:
    return {"Effect": effect, "Principal": "*", "Action": action, "Resource": resource, **others}


def deny(condition: Json = None, action: Json = "s3:PutObject", **others: Json) -> dict[str, Json]:
    return statement("Deny", action, **({} if condition is None else {"Condition": condition}), **others)


def allow(condition: Json = None, action: Json = "s3:GetObject", **others: Json) -> dict[str, Json]:
    return statement("Allow", action, **({} if condition is None else {"Condition": condition}), **others)


def encryption(algorithm: str = "aws:kms", key: Json = KEY, **rule: Json) -> dict[str, Json]:
    default = {"SSEAlgorithm": algorithm, **({} if key is None else {"KMSMasterKeyID": key})}
    whole = {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default, **rule}
    return {"BucketEncryption": {"ServerSideEncryptionConfiguration": [whole]}}


def resources(
    properties: Mapping[str, Json] | None = None, statements: Sequence[Json] | None = None, **others: Json
) -> dict[str, Json]:
    found: dict[str, Json] = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
        "Data": {"Type": "AWS::S3::Bucket", "Properties": dict(properties or {})},
    }
    if statements is not None:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        found["Policy"] = {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Data"}, "PolicyDocument": document},
        }
    return {**found, **others}


def proof(found: Mapping[str, Json], account: str | None = ACCOUNT, **sections: Json) -> Proof:
    whole = {"Resources": found, **sections}
    return prove(Assembly.of([StackTemplate(id="Test", template=whole, account=account, region="eu-west-1")]))


def findings(found: Mapping[str, Json], rule: str, **sections: Json) -> list[Finding]:
    return [one for one in proof(found, **sections).findings if one.rule.id == rule]


def undecided(found: Mapping[str, Json], rule: str, **sections: Json) -> list[str]:
    return [one.reason for one in proof(found, **sections).undecidable if one.rule.id == rule]


# Uploads: what "modern" and its well-known predecessors let pass.

UPDATE = deny({"StringNotEquals": {KEY_ID: KEY}}, "s3:UpdateObjectEncryption")
THERE = {"Null": {SSE: "false"}}
AES256, MANAGED, OTHER_KEY = "AES256", "aws:kms without a key", "aws:kms with another key"
DSSE_MANAGED, DSSE_OTHER_KEY = "aws:kms:dsse without a key", "aws:kms:dsse with another key"
ALL = [AES256, MANAGED, OTHER_KEY, DSSE_MANAGED, DSSE_OTHER_KEY]
WELL_KNOWN: dict[str, tuple[list[Json], list[str]]] = {
    "none": ([], ALL),
    "classic": ([deny({"StringNotEquals": {SSE: "aws:kms"}})], [MANAGED, OTHER_KEY]),
    "if exists": ([deny({"StringNotEqualsIfExists": {SSE: "aws:kms"}})], [MANAGED, OTHER_KEY]),
    "guarded": ([deny({**THERE, "StringNotEquals": {SSE: "aws:kms"}})], [MANAGED, OTHER_KEY]),
    "guarded, and the key where it is named": (
        [
            deny({**THERE, "StringNotEquals": {SSE: "aws:kms"}}),
            deny({"Null": {KEY_ID: "false"}, "StringNotEquals": {KEY_ID: KEY}}),
        ],
        [MANAGED],
    ),
    "classic and the key": (
        [deny({"StringNotEquals": {SSE: "aws:kms"}}), deny({"StringNotEquals": {KEY_ID: KEY}})],
        [],
    ),
    "modern": (
        [
            deny({**THERE, "StringNotEquals": {SSE: ["aws:kms", "aws:kms:dsse"]}}),
            deny({**THERE, "StringNotEquals": {KEY_ID: KEY}}),
        ],
        [],
    ),
    "the account's keys": (
        [deny({**THERE, "StringNotLike": {KEY_ID: f"arn:aws:kms:*:{ACCOUNT}:key/*"}})],
        [OTHER_KEY, DSSE_OTHER_KEY],
    ),
    "on a prefix": (
        [deny({**THERE, "StringNotEquals": {KEY_ID: KEY}}, Resource={"Fn::Sub": "${Data.Arn}/secret/*"})],
        ALL,
    ),
    "but for a prefix": (
        [
            deny(
                {**THERE, "StringNotEquals": {KEY_ID: KEY}},
                Resource=None,
                NotResource={"Fn::Sub": "${Data.Arn}/drafts/*"},
            )
        ],
        ALL,
    ),
}


def without_none(statements: list[Json]) -> list[Json]:
    return [{name: value for name, value in one.items() if value is not None} for one in statements]


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_uploads_under_something_else_are_found_and_no_others(name: str) -> None:
    statements, wrong = WELL_KNOWN[name]
    found = findings(resources(encryption(), without_none([UPDATE, *statements])), "bucket-other-encryption")
    assert bool(found) is bool(wrong)
    for one in found:
        first, _, others = one.counterexample.partition(". The same goes for uploads that name ")
        assert f"{SSE} = {wrong[0].split()[0]}" in first
        assert ("another-key" in first) is (wrong[0] == OTHER_KEY)
        assert others.split(", ") == (wrong[1:] or [""])


def test_dsse_under_the_same_key_may_replace_sse_kms_and_not_the_other_way() -> None:
    both = [
        deny({**THERE, "StringNotEquals": {SSE: ["aws:kms", "aws:kms:dsse"]}}),
        deny({**THERE, "StringNotEquals": {KEY_ID: KEY}}),
    ]
    assert not findings(resources(encryption(), [*both, UPDATE]), "bucket-other-encryption")
    (weaker,) = findings(resources(encryption("aws:kms:dsse"), [*both, UPDATE]), "bucket-other-encryption")
    assert "one layer" in weaker.counterexample
    only = [deny({**THERE, "StringNotEquals": {SSE: "aws:kms:dsse"}}), both[1]]
    assert not findings(resources(encryption("aws:kms:dsse"), only), "bucket-other-encryption")


def test_nothing_is_said_of_headers_where_the_template_wants_none_in_particular() -> None:
    for properties in ({}, encryption("AES256", None), encryption("aws:kms", None)):
        for statements in (None, [deny({"Null": {SSE: "true"}})], [deny({"Null": {SSE_C: "false"}})]):
            assert not findings(resources(properties, statements), "bucket-other-encryption")
    # AES256 or aws:kms: both were chosen.
    either = deny({"StringNotEquals": {SSE: ["AES256", "aws:kms"]}})
    assert not findings(resources({}, [either]), "bucket-other-encryption")


def test_only_callers_who_can_upload_make_a_counterexample() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/writer"
    closed = deny({"ArnNotEquals": {"aws:PrincipalArn": role}}, "s3:*", Resource=[ARN, OBJECTS])
    (found,) = findings(resources(encryption(), [closed]), "bucket-other-encryption")
    assert role in found.counterexample
    nobody = deny({"StringNotEquals": {"aws:PrincipalServiceName": "logging.s3.amazonaws.com"}}, "s3:*")
    assert not findings(resources(encryption(), [nobody]), "bucket-other-encryption")


def test_a_key_by_its_alias_is_the_key() -> None:
    alias = {
        "Type": "AWS::KMS::Alias",
        "Properties": {"AliasName": "alias/data", "TargetKeyId": {"Ref": "Key"}},
    }
    policy = [deny({**THERE, "StringNotEquals": {KEY_ID: KEY}}), UPDATE]
    for name in ("alias/data", {"Ref": "Key"}):
        found = proof(resources(encryption(key=name), policy, Alias=alias))
        assert not {"bucket-right-upload-refused", "bucket-other-encryption"} & {one.rule.id for one in found.findings}
        assert not found.undecidable


def test_a_key_that_nobody_knows_is_undecided_only_where_the_policy_asks_for_it() -> None:
    elsewhere = encryption(key="alias/elsewhere")
    named = [deny({**THERE, "StringNotEquals": {KEY_ID: KEY}})]
    assert undecided(resources(elsewhere, named), "bucket-right-upload-refused")
    assert not undecided(resources(elsewhere), "bucket-right-upload-refused")
    assert not findings(resources(elsewhere, named), "bucket-right-upload-refused")
    assert findings(resources(elsewhere), "bucket-other-encryption")  # certain all the same


UNSAID = {"Fn::Transform": {"Name": "x"}}


def test_what_a_key_that_is_undecided_leaves_certain() -> None:
    rule = "bucket-other-encryption"
    (open_,) = findings(resources(encryption(key=UNSAID)), rule)
    assert "AES256" in open_.counterexample
    assert MANAGED not in open_.counterexample  # the key may be aws/s3 itself
    guarded = [deny({**THERE, "StringNotEquals": {SSE: ["aws:kms", "aws:kms:dsse"]}})]
    guarded.append(deny({"Null": {KEY_ID: "false"}}))
    assert not findings(resources(encryption(key=UNSAID), guarded), rule)
    assert undecided(resources(encryption(key=UNSAID), guarded), rule)
    assert undecided(resources(encryption(key=UNSAID)), "bucket-without-customer-key")
    assert not findings(resources(encryption(key=UNSAID)), "bucket-without-customer-key")
    for with_key, unknown in ((True, []), (False, ["bucket-key-off"])):
        found = proof(resources(encryption(key=UNSAID, BucketKeyEnabled=with_key)))
        assert [one.rule.id for one in found.undecidable if one.rule.id == "bucket-key-off"] == unknown
    assert findings(resources(encryption("AES256", UNSAID)), "bucket-without-customer-key")


def test_the_managed_key_by_its_alias_is_no_customer_key() -> None:
    for key in ("alias/aws/s3", f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/aws/s3"):
        assert findings(resources(encryption(key=key)), "bucket-without-customer-key")
        assert not findings(resources(encryption(key=key)), "bucket-other-encryption")


# Later changes, SSE-C.


def test_an_update_is_found_only_where_uploads_are_held() -> None:
    held = WELL_KNOWN["modern"][0]
    assert findings(resources(encryption(), held), "bucket-encryption-update")
    assert not findings(resources(encryption(), []), "bucket-encryption-update")
    assert not findings(resources(encryption(), [*held, deny(None, "s3:UpdateObject*")]), "bucket-encryption-update")
    assert not findings(resources(encryption("aws:kms:dsse"), [*held, deny({**THERE})]), "bucket-encryption-update")


def test_whether_an_update_names_an_algorithm_is_nowhere_said() -> None:
    held = WELL_KNOWN["modern"][0]
    by_algorithm = deny({**THERE, "StringNotEquals": {KEY_ID: KEY}}, "s3:UpdateObjectEncryption")
    by_key = deny({"Null": {KEY_ID: "false"}, "StringNotEquals": {KEY_ID: KEY}}, "s3:UpdateObjectEncryption")
    without_update = [one for one in held if one != UPDATE]
    for statements, doubtful in (([by_algorithm], True), ([by_key], False), ([by_algorithm, by_key], False)):
        found = resources(encryption(), [*without_update, *statements])
        assert not findings(found, "bucket-encryption-update")
        assert bool(undecided(found, "bucket-encryption-update")) is doubtful


def test_a_key_provided_by_the_uploader() -> None:
    def blocked(*types: str) -> dict[str, Json]:
        return encryption(BlockedEncryptionTypes={"EncryptionType": list(types)})

    rule = "bucket-customer-provided-keys"
    assert findings(resources(blocked("NONE")), rule)
    assert not findings(resources(blocked("NONE"), [deny({"Null": {SSE_C: "false"}})]), rule)
    assert not findings(resources(blocked("SSE-C")), rule)
    assert not findings(resources(encryption()), rule)  # blocked by default since April 2026
    assert not findings(resources(), rule)


# The uploads that should pass.


def test_somebody_in_some_context_is_enough_to_store() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/writer"
    rule = "bucket-right-upload-refused"
    for condition in (
        {"StringNotEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}},
        {"StringNotEquals": {"aws:PrincipalOrgID": "o-ourcompany0"}},
        {"ArnNotEquals": {"aws:PrincipalArn": role}},
        {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/writers/*"}},
        {"StringNotEquals": {"aws:PrincipalAccount": OTHER}},
        {"StringNotLike": {"aws:userid": "AROAEXAMPLEEXAMPLEID:*"}},
        {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
    ):
        policy = [deny(condition, "s3:*"), deny({**THERE, "StringNotEquals": {KEY_ID: KEY}})]
        if "aws:PrincipalAccount" in str(condition):
            policy.append(allow(None, "s3:PutObject", Principal={"AWS": OTHER}))
        assert not findings(resources(encryption(), policy), rule), condition
        assert not undecided(resources(encryption(), policy), rule), condition
    assert findings(resources(encryption(), [deny()]), rule)  # a Deny that lost its condition


def test_a_bucket_that_replicas_fill_may_refuse_uploads() -> None:
    rules = [{"Status": "Enabled", "Destination": {"Bucket": ARN}}]
    role = f"arn:aws:iam::{ACCOUNT}:role/replication"
    source = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"ReplicationConfiguration": {"Role": role, "Rules": rules}},
    }
    assert not findings(resources(encryption(), [deny()], Source=source), "bucket-right-upload-refused")


def test_a_default_that_the_policy_contradicts() -> None:
    rule = "bucket-right-upload-refused"
    guarded = deny({**THERE, "StringNotEquals": {SSE: "aws:kms"}})
    required = deny({"StringNotEquals": {SSE: "aws:kms"}})
    assert findings(resources({}, [guarded]), rule)  # without a header it is stored under what is refused by name
    assert not findings(resources({}, [required]), rule)  # nothing ever gets the default
    assert not findings(resources(encryption(), [guarded]), rule)


def test_a_required_header_is_noted_for_each_encryption() -> None:
    rule = "bucket-header-required"
    required = deny({"StringNotEquals": {SSE: "aws:kms"}})
    assert findings(resources(encryption(), [required]), rule)
    assert findings(resources(encryption(), [deny({"Null": {KEY_ID: "true"}})]), rule)
    assert findings(resources({}, [deny({"Null": {SSE: "true"}})]), rule)
    assert not findings(resources(encryption(), WELL_KNOWN["modern"][0]), rule)
    assert not findings(resources(encryption(), [deny()]), rule)  # nothing passes: that is another finding


def test_what_supports_no_customer_key_needs_none() -> None:
    rule = "bucket-without-customer-key"
    bucket = {"Ref": "Data"}

    def balancer(**properties: Json) -> dict[str, Json]:
        attributes = [{"Key": "access_logs.s3.bucket", "Value": bucket}]
        return {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"LoadBalancerAttributes": attributes, **properties},
        }

    classic = {
        "Type": "AWS::ElasticLoadBalancing::LoadBalancer",
        "Properties": {"AccessLoggingPolicy": {"S3BucketName": bucket}},
    }
    logged = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"LoggingConfiguration": {"DestinationBucketName": bucket}, **encryption()},
    }
    assert findings(resources(), rule)
    assert not findings(resources(None, None, Balancer=balancer()), rule)
    assert findings(resources(None, None, Balancer=balancer(Type="network")), rule)
    assert not findings(resources(None, None, Balancer=classic), rule)
    assert not findings(resources(None, None, Logged=logged), rule)
    assert not findings(resources({"WebsiteConfiguration": {"IndexDocument": "index.html"}}), rule)
    assert not findings(resources({}, [deny({**THERE, "StringNotEquals": {SSE: "AES256"}})]), rule)  # enforced: chosen


# Strangers.

OPEN = {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": False, "RestrictPublicBuckets": False}}
NAMED_BY: dict[str, Json] = {
    "organization": {"StringEquals": {"aws:PrincipalOrgID": "o-ourcompany0"}},
    "unit": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-ourcompany0/r-root/*"}},
    "account": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
    "role": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}},
    "session": {"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLEID:*"}},
    "endpoint": {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}},
    "network": {"StringEquals": {"aws:SourceVpc": "vpc-0123456789abcdef0"}},
    "addresses": {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"]}},
    "source": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::our-bucket"}},
    "source account": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    "source account in a pattern": {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}},
    "access point": {"StringEquals": {"s3:DataAccessPointAccount": ACCOUNT}},
    "key": {"StringEquals": {KEY_ID: KEY}},
    "the owner's organization": {"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}},
    "an instance": {"ArnEquals": {"ec2:SourceInstanceARN": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-0"}},
    "two": {
        "StringEquals": {"aws:PrincipalOrgID": "o-ourcompany0"},
        "Bool": {"aws:SecureTransport": "true"},
    },
}
NAMES_NOBODY: dict[str, Json] = {
    "nothing": None,
    "TLS": {"Bool": {"aws:SecureTransport": "true"}},
    "referer": {"StringLike": {"aws:Referer": "https://example.com/*"}},
    "agent": {"StringEquals": {"aws:UserAgent": "ours"}},
    "all addresses": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
    "half of all addresses": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}},
    "any organization": {"StringLike": {"aws:PrincipalOrgID": "o-*"}},
    "organization if it has one": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-ourcompany0"}},
    "all but an organization": {"StringNotEquals": {"aws:PrincipalOrgID": "o-ourcompany0"}},
    "any endpoint": {"Null": {"aws:SourceVpce": "false"}},
    "a tag that everybody can have": {"StringEquals": {"aws:PrincipalTag/team": "data"}},
    "a name that everybody can give": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/data-*"}},
    "an object's tag": {"StringEquals": {"s3:ExistingObjectTag/public": "yes"}},
    "anybody's source": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}},
    "everybody's trails": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/*"}},
}


@pytest.mark.parametrize("name", NAMED_BY)
def test_a_fixed_value_names_somebody(name: str) -> None:
    found = proof(resources(OPEN, [allow(NAMED_BY[name])]))
    assert not [one.counterexample for one in found.findings if one.rule.id == "bucket-open-to-strangers"]
    assert not [one.reason for one in found.undecidable if one.rule.id == "bucket-open-to-strangers"]


@pytest.mark.parametrize("name", NAMES_NOBODY)
def test_anything_else_is_open_to_strangers(name: str) -> None:
    assert findings(resources(OPEN, [allow(NAMES_NOBODY[name])]), "bucket-open-to-strangers")


@pytest.mark.parametrize("action", ["s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:PutLifecycleConfiguration"])
def test_strangers_do_more_than_read(action: str) -> None:
    (found,) = findings(resources(OPEN, [allow(None, action, Resource=[ARN, OBJECTS])]), "bucket-open-to-strangers")
    assert action in found.counterexample


def test_a_deny_closes_what_an_allow_opens() -> None:
    outside = {"StringNotEquals": {"aws:PrincipalOrgID": "o-ourcompany0"}}
    closed = resources(OPEN, [allow(), deny(outside, "s3:*", Resource=[ARN, OBJECTS])])
    assert not findings(closed, "bucket-open-to-strangers")


def test_named_principals_are_no_strangers() -> None:
    oai = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE"
    for principal in (
        {"AWS": OTHER},
        {"AWS": f"arn:aws:iam::{OTHER}:role/reader"},
        {"Service": "cloudfront.amazonaws.com"},
        {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"},
        {"AWS": oai},
    ):
        found = resources(OPEN, [allow(None, Principal=principal)])
        assert not findings(found, "bucket-open-to-strangers"), principal
        assert not undecided(found, "bucket-open-to-strangers"), principal


def test_a_public_policy_meets_what_blocks_it() -> None:
    def outcome(block: Json) -> set[str]:
        properties = {} if block is None else {"PublicAccessBlockConfiguration": block}
        found = proof(resources(properties, [allow()]), Parameters={"Unsaid": {"Type": "String"}})
        about = {"bucket-open-to-strangers", "bucket-policy-public-but-blocked"}
        decided = {one.rule.id for one in found.findings} & about
        return decided | {f"? {one.rule.id}" for one in found.undecidable if one.rule.id in about}

    assert outcome(None) == {"bucket-policy-public-but-blocked"}  # all four are on by default
    assert outcome({"BlockPublicPolicy": True}) == {"bucket-policy-public-but-blocked"}
    assert outcome({"RestrictPublicBuckets": "true"}) == {"bucket-policy-public-but-blocked"}
    assert outcome({"BlockPublicAcls": True}) == {"bucket-open-to-strangers"}  # what isn't named is off
    assert outcome({"BlockPublicPolicy": {"Fn::Transform": {"Name": "x"}}}) == {"? bucket-open-to-strangers"}


# Services.


def test_a_service_is_tied_by_its_source_or_by_the_account_in_the_path() -> None:
    rule = "bucket-service-without-source"
    trail = {"Service": "cloudtrail.amazonaws.com"}

    def found(condition: Json, path: str = "*") -> list[Finding]:
        write = allow(condition, "s3:PutObject", Principal=trail, Resource={"Fn::Sub": "${Data.Arn}/" + path})
        return findings(resources({}, [write]), rule)

    assert found(None)
    assert found(None, "logs/*")
    assert found({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}})
    assert found({"StringEqualsIfExists": {"s3:x-amz-acl": "bucket-owner-full-control"}})
    assert found({"StringNotEquals": {"aws:SourceAccount": OTHER}})
    assert found({"StringLike": {"aws:SourceArn": "*"}})
    assert found({"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/*"}})
    assert not found(None, f"AWSLogs/{ACCOUNT}/*")
    assert not found({"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    assert not found({"StringEquals": {"AWS:SourceArn": f"arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/ours"}})
    assert not found({"StringEquals": {"aws:SourceOrgID": "o-ourcompany0"}})
    assert not found({"ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:*:{ACCOUNT}:*"}})
    ours = {"aws:SourceArn": f"arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/ours"}
    assert found({"ArnLikeIfExists": ours})
    assert found({"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}})
    assert found(
        {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}
    )
    assert not found({"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLikeIfExists": ours})


def test_a_deny_that_looks_away_where_there_is_no_source_means_to() -> None:
    """AWS's own data perimeter: github.com/aws-samples/data-perimeter-policy-examples."""
    rule = "bucket-service-without-source"
    perimeter = deny(
        {
            "StringNotEquals": {"aws:SourceOrgID": "o-ourcompany0"},
            "Null": {"aws:SourceAccount": "false"},
            "Bool": {"aws:PrincipalIsAWSService": "true"},
        },
        "s3:*",
    )
    read = allow(None, Principal={"Service": "cloudfront.amazonaws.com"})
    assert findings(resources({}, [read]), rule)
    assert not findings(resources({}, [read, perimeter]), rule)


@pytest.mark.parametrize("action", ["s3:Put*", "s3:DeleteBucket*", "s3:PutLifecycleConfiguration"])
def test_a_service_administers_whatever_its_source(action: str) -> None:
    rule = "bucket-service-administers"
    ours = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    administers = allow(ours, action, Resource=ARN, Principal={"Service": "config.amazonaws.com"})
    assert findings(resources({}, [administers]), rule)
    assert not findings(resources({}, [administers, deny(None, action, Resource=ARN)]), rule)
    assert not findings(resources({}, [{**administers, "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}]), rule)


# S3 lets no service change a policy: only principals of the bucket's own account.
@pytest.mark.parametrize("action", ["s3:GetBucketAcl", "s3:ListBucket", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"])
def test_a_service_may_look_at_the_bucket_and_cant_change_its_policy(action: str) -> None:
    looks = allow(None, action, Resource=ARN, Principal={"Service": "config.amazonaws.com"})
    assert not findings(resources({}, [looks]), "bucket-service-administers")


def test_an_undecided_statement_may_let_a_service_administer() -> None:
    doubtful = allow(UNSAID, "s3:*", Resource=ARN, Principal={"Service": "config.amazonaws.com"})
    assert undecided(resources({}, [doubtful]), "bucket-service-administers")


# Whether anybody reads, and whose policy it is.


def test_a_bucket_that_somebody_reads_isnt_unreadable() -> None:
    rule = "bucket-unreadable"
    role = f"arn:aws:iam::{ACCOUNT}:role/reader"
    for condition, unreadable in (
        (None, True),
        ({"Null": {SSE: "true"}}, True),
        ({"StringNotEquals": {"aws:PrincipalServiceName": "logging.s3.amazonaws.com"}}, True),
        ({"StringNotEquals": {SSE: "aws:kms"}, **THERE}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"StringNotEquals": {"aws:SourceVpce": "vpce-0"}}, False),
        ({"StringNotEquals": {"aws:PrincipalOrgID": "o-ourcompany0"}}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": role}}, False),
        ({"StringNotLike": {"aws:userId": "AROAEXAMPLE:*"}}, False),
        ({"StringNotEquals": {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"}}, False),
        ({"StringNotEquals": {"s3:DataAccessPointAccount": ACCOUNT}}, False),
    ):
        assert bool(findings(resources({}, [deny(condition, "s3:GetObject")]), rule)) is unreadable, condition
    delivered = allow(Action="s3:GetObject", Principal={"Service": "cloudfront.amazonaws.com"})
    but_services = deny({"Bool": {"aws:PrincipalIsAWSService": "false"}}, "s3:*")
    assert findings(resources({}, [but_services]), rule)
    assert not findings(resources({}, [but_services, delivered]), rule)
    assert not findings(resources({}, [deny(None, "s3:GetObject", Resource={"Fn::Sub": "${Data.Arn}/closed/*"})]), rule)


def test_what_isnt_known_of_a_deny_may_leave_a_bucket_unreadable() -> None:
    rule = "bucket-unreadable"
    assert undecided(resources({}, [deny(UNSAID, "s3:*")]), rule)
    assert undecided(resources({}, [deny(UNSAID, "s3:*")]), rule)
    others = deny({"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}, "s3:*")
    unsaid = proof(resources({}, [others]), account=None)
    assert rule not in {one.rule.id for one in unsaid.findings}


def second(bucket: Json = None, **attributes: Json) -> dict[str, Json]:
    document = {"Version": "2012-10-17", "Statement": [deny()]}
    properties = {"Bucket": {"Ref": "Data"} if bucket is None else bucket, "PolicyDocument": document}
    return {"Second": {"Type": "AWS::S3::BucketPolicy", "Properties": properties, **attributes}}


def test_two_policies_of_one_bucket() -> None:
    rule = "bucket-two-policies"
    assert findings(resources({}, [deny()], **second()), rule)
    named = {"BucketName": "acme-data"}
    assert findings(resources(named, [deny()], **second("acme-data")), rule)
    other = {"Other": {"Type": "AWS::S3::Bucket"}}
    assert not findings(resources({}, [deny()], **second({"Ref": "Other"}), **other), rule)
    assert not findings(resources({}, [deny()]), rule)
    for odd in _ODD:
        proof(resources({}, [deny()], **second(odd)))


def test_of_two_policies_one_may_not_be_there() -> None:
    rule, conditions = "bucket-two-policies", {"Given": {"Fn::Equals": [{"Ref": "Which"}, "this"]}}
    sections = {"Parameters": {"Which": {"Type": "String"}}, "Conditions": conditions}
    found = resources({}, [deny()], **second(Condition="Given"))
    assert not findings(found, rule, **sections)
    assert undecided(found, rule, **sections)
    never = {"Conditions": {"Given": {"Fn::Equals": ["that", "this"]}}}
    assert not findings(found, rule, **never)
    assert not undecided(found, rule, **never)


# Connections.


def test_plain_http_of_every_kind_and_caller() -> None:
    rule = "bucket-plain-http"
    http = {"Bool": {"aws:SecureTransport": "false"}}
    whole = deny(http, "s3:*", Resource=[ARN, OBJECTS])
    assert not findings(resources({}, [whole]), rule)
    assert not findings(resources({}, [deny(http, "*", Resource="*")]), rule)
    assert findings(resources({}, [deny(http, "s3:Get*", Resource=[ARN, OBJECTS])]), rule)
    assert findings(
        resources({}, [deny({"Bool": {"aws:SecureTransport": "true"}}, "s3:*", Resource=[ARN, OBJECTS])]), rule
    )
    # A Deny for the own account alone lets another account's principals pass.
    own = deny(http, "s3:*", Resource=[ARN, OBJECTS], Principal={"AWS": ACCOUNT})
    partner = allow(None, Principal={"AWS": OTHER})
    assert not findings(resources({}, [own]), rule)
    (found,) = findings(resources({}, [own, partner]), rule)
    assert OTHER in found.counterexample


def test_the_version_of_tls_is_looked_at_only_where_the_policy_does() -> None:
    rule = "bucket-weak-tls"
    assert not findings(resources({}, []), rule)
    for least, holds in (("1.2", True), ("1.3", True), ("1.1", False)):
        policy = deny({"NumericLessThan": {"s3:TlsVersion": least}}, "s3:*", Resource=[ARN, OBJECTS])
        assert bool(findings(resources({}, [policy]), rule)) is not holds
    only = deny({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, "s3:*")
    (found,) = findings(resources({}, [only]), rule)
    assert "s3:ListBucket" in found.counterexample


# What a policy is about.


@pytest.mark.parametrize(
    ("action", "resource", "applies"),
    [
        ("s3:*", ARN, True),
        ("s3:*", OBJECTS, True),
        ("s3:Get*", OBJECTS, True),
        ("s3:ListBucket*", OBJECTS, False),
        ("s3:List*", OBJECTS, True),  # ListMultipartUploadParts
        ("S3:getobject", OBJECTS, True),
        ("s3:GetObject", ARN, False),
        ("s3:ListBucket", ARN, True),
        ("s3:ListBucket", OBJECTS, False),
        ("s3:SomethingNew", OBJECTS, True),  # nobody knows
        ("s3:GetObject", "*", True),
        ("s3:GetObject", "arn:aws:s3:::*", True),
        ("s3:GetObject", {"Fn::Sub": "${Data.Arn}/home/${!aws:username}/*"}, True),
        ("s3:GetObject", {"Fn::Sub": "${Data.Arn}*"}, True),
        ("s3:GetObject", {"Fn::Sub": "${Data.Arn}/a?c"}, True),
        ("s3:GetObject", {"Fn::Sub": "${Data}/*"}, None),  # no ARN: another matter
        (["s3:GetObject", "s3:ListBucket"], [ARN, OBJECTS], True),
        (["s3:GetObject", "s3:PutObject"], ARN, False),
        ("s3:*", "arn:aws:s3:::elsewhere/*", False),
        ("s3:GetObject", {"Fn::GetAtt": ["Thing", "Arn"]}, True),
    ],
)
def test_actions_and_resources_fit(action: Json, resource: Json, applies: Json) -> None:
    thing = {"Type": "Custom::Thing", "Properties": {}}
    one = statement("Deny", action, resource)
    found = findings(resources({}, [one], Thing=thing), "bucket-policy-elsewhere")
    assert bool(found) is (applies is False)


def test_actions_are_on_buckets_or_on_objects() -> None:
    assert not BUCKET_ACTIONS & OBJECT_ACTIONS


# Settings.


def test_public_access_is_blocked_by_all_four_or_by_default() -> None:
    rule = "bucket-public-access-not-blocked"
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    whole = dict.fromkeys(names, True)

    def found(block: Json) -> list[Finding]:
        return findings(resources({"PublicAccessBlockConfiguration": block}), rule)

    assert not findings(resources(), rule)
    assert not found(whole)
    assert not found(dict.fromkeys(names, "true"))
    for name in names:
        assert name in found({**whole, name: False})[0].counterexample
        assert name in found({one: True for one in names if one != name})[0].counterexample
    unknown = {**whole, "BlockPublicAcls": {"Fn::Transform": {"Name": "x"}}}
    assert undecided(resources({"PublicAccessBlockConfiguration": unknown}), rule)
    assert found({**unknown, "BlockPublicPolicy": False})  # certain beside a doubt


def test_acls() -> None:
    rule = "bucket-acls-enabled"

    def owned(by: str) -> dict[str, Json]:
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": by}]}}

    assert not findings(resources(), rule)
    assert not findings(resources(owned("BucketOwnerEnforced")), rule)
    assert not findings(resources({"AccessControl": "Private"}), rule)
    assert findings(resources(owned("BucketOwnerPreferred")), rule)
    assert findings(resources({"AccessControl": "LogDeliveryWrite"}), rule)


def test_versions_are_for_data_and_not_for_logs() -> None:
    rule = "bucket-not-versioned"
    assert findings(resources(), rule)
    assert findings(resources({"VersioningConfiguration": {"Status": "Suspended"}}), rule)
    assert not findings(resources({"VersioningConfiguration": {"Status": "Enabled"}}), rule)
    data = {**LOGGED, "VersioningConfiguration": {"Status": "Enabled"}}
    assert not findings(resources(data, None, **logs(delivery())), rule)
    assert not findings(resources({}, [allow(None, Principal={"Service": "logging.s3.amazonaws.com"})]), rule)
    for expiring in ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, {"NoncurrentVersionExpirationInDays": 1}):
        lifecycle = {"LifecycleConfiguration": {"Rules": [{"Status": "Enabled", **expiring}]}}
        assert findings(resources(data, None, **logs(delivery(), **lifecycle)), rule)


def test_bucket_keys_are_for_sse_kms_under_ones_own_key() -> None:
    rule = "bucket-key-off"
    assert findings(resources(encryption(BucketKeyEnabled=False)), rule)
    assert not findings(resources(encryption(BucketKeyEnabled="true")), rule)
    for algorithm, key in (("aws:kms:dsse", KEY), ("AES256", None), ("aws:kms", None)):
        assert not findings(resources(encryption(algorithm, key, BucketKeyEnabled=False)), rule)


def test_what_stays_when_the_stack_goes() -> None:
    rule = "bucket-not-retained"
    policies = (None, "Delete", "Retain", "RetainExceptOnCreate")
    for deletion, replacement in itertools.product(policies, policies):
        bucket = {"Type": "AWS::S3::Bucket", "DeletionPolicy": deletion, "UpdateReplacePolicy": replacement}
        found = resources()
        found["Data"] = {name: value for name, value in bucket.items() if value is not None}
        stays = {deletion, replacement} <= {"Retain", "RetainExceptOnCreate"}
        assert bool(findings(found, rule)) is not stays


# Access logs.

LOGGED = {"LoggingConfiguration": {"DestinationBucketName": {"Ref": "Logs"}, "LogFilePrefix": "data/"}}


def logs(*statements: Json, **properties: Json) -> dict[str, Json]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    found: dict[str, Json] = {"Logs": {"Type": "AWS::S3::Bucket", "Properties": properties}}
    if statements:
        found["LogsPolicy"] = {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Logs"}, "PolicyDocument": document},
        }
    return found


def delivery(path: str = "*", **others: Json) -> dict[str, Json]:
    service = {"Service": "logging.s3.amazonaws.com"}
    return allow(None, "s3:PutObject", Resource={"Fn::Sub": "${Logs.Arn}/" + path}, Principal=service) | others


@pytest.mark.parametrize(
    ("statements", "delivered"),
    [
        ([delivery()], True),
        ([delivery("data/*")], True),
        ([delivery("other/*")], False),
        ([delivery(Condition={"ArnLike": {"aws:SourceArn": ARN}})], True),
        ([delivery(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})], True),
        ([delivery(Condition={"StringEquals": {"aws:SourceAccount": OTHER}})], False),
        ([delivery(Condition={"ArnLike": {"aws:SourceArn": OBJECTS}})], False),
        ([delivery(Action="s3:GetObject")], False),
        ([delivery(Principal={"Service": "delivery.logs.amazonaws.com"})], False),
        ([delivery(), deny({"Null": {SSE: "true"}}, Resource={"Fn::Sub": "${Logs.Arn}/*"})], False),
        ([delivery(), deny({"Null": {SSE: "false"}}, Resource={"Fn::Sub": "${Logs.Arn}/*"})], True),
        (
            [
                delivery(),
                deny({"StringNotEquals": {"aws:SourceVpce": "vpce-0"}}, Resource={"Fn::Sub": "${Logs.Arn}/*"}),
            ],
            False,
        ),
        (
            [
                delivery(),
                deny(
                    {
                        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-ourcompany0"},
                        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                    },
                    Resource={"Fn::Sub": "${Logs.Arn}/*"},
                ),
            ],
            True,
        ),
        (
            [
                delivery(),
                deny({"Bool": {"aws:SecureTransport": "false"}}, "s3:*", Resource={"Fn::Sub": "${Logs.Arn}/*"}),
            ],
            True,
        ),
    ],
)
def test_log_delivery(statements: list[Json], delivered: Json) -> None:
    found = resources(LOGGED, None, **logs(*statements))
    assert bool(findings(found, "bucket-log-delivery-refused")) is not delivered
    assert not undecided(found, "bucket-log-delivery-refused")


WRITES = ["PutObject", "PutObjectTagging", "PutObjectVersionTagging", "ReplicateObject", "ReplicateTags"]
WRITES.append("UpdateObjectEncryption")


def closed(*but: str, **others: Json) -> dict[str, Json]:
    """Refuse every write but log delivery's, and but the named ones."""
    condition = {"StringNotEquals": {"aws:PrincipalServiceName": "logging.s3.amazonaws.com"}}
    actions = [f"s3:{name}" for name in WRITES if name not in but]
    return deny(condition, actions, Resource={"Fn::Sub": "${Logs.Arn}/*"}) | others


@pytest.mark.parametrize("missing", [None, *WRITES])
def test_every_way_to_write_among_the_logs(missing: str | None) -> None:
    found = findings(resources(LOGGED, None, **logs(delivery(), closed(missing or ""))), "bucket-log-target-open")
    assert [f"s3:{missing} on" in one.counterexample for one in found] == ([] if missing is None else [True])


def test_a_bucket_that_isnt_for_logs_alone_may_be_written_to() -> None:
    rule = "bucket-log-target-open"
    objects = {"Fn::Sub": "${Logs.Arn}/*"}
    assert findings(resources(LOGGED, None, **logs()), rule)
    assert findings(resources({}, None, **logs(delivery())), rule)
    trail = allow(None, "s3:PutObject", Principal={"Service": "cloudtrail.amazonaws.com"}, Resource=objects)
    assert not findings(resources(LOGGED, None, **logs(delivery(), trail)), rule)
    reader = allow(None, "s3:GetObject", Principal={"AWS": ACCOUNT}, Resource=objects)
    assert findings(resources(LOGGED, None, **logs(delivery(), reader)), rule)
    for resource, meant in ((objects, True), ("*", False)):
        written = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": resource}
        document = {"Version": "2012-10-17", "Statement": [written]}
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        policies = [{"PolicyName": "Write", "PolicyDocument": document}]
        trusted = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}, "Policies": policies}
        role = {"Type": "AWS::IAM::Role", "Properties": trusted}
        assert bool(findings(resources(LOGGED, None, **logs(delivery()), Role=role), rule)) is not meant
    assert not findings(resources({"LoggingConfiguration": {}}), rule)  # its own logs, among its data
    logged = {"LoggingConfiguration": {"DestinationBucketName": "elsewhere"}}
    assert not findings(resources({}, None, **logs(delivery(), **logged)), rule)
    assert not findings(resources(), rule)
    assert undecided(resources(LOGGED, None, **logs(delivery(), closed(Condition=UNSAID))), rule)


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse", "AES256"])
def test_the_encryption_of_access_logs(algorithm: str) -> None:
    rule, wrong = "bucket-log-target-encryption", algorithm != "AES256"
    encrypted = encryption(algorithm, KEY if wrong else None)
    assert bool(findings(resources(LOGGED, None, **logs(**encrypted)), rule)) is wrong
    assert bool(findings(resources({}, None, **logs(delivery(), **encrypted)), rule)) is wrong
    assert bool(findings(resources({**encrypted, "LoggingConfiguration": {}}), rule)) is wrong
    assert not findings(resources({**LOGGED, **encrypted}, None, **logs()), rule)
    spared = closed(Resource=OBJECTS)
    assert not findings(resources(encrypted, [spared]), rule)  # it spares log delivery, and admits none


def test_the_encryption_of_access_logs_may_be_undecided() -> None:
    found = resources(LOGGED, None, **logs(BucketEncryption=UNSAID))
    assert undecided(found, "bucket-log-target-encryption")
    assert not findings(found, "bucket-log-target-encryption")
    key = resources(LOGGED, None, **logs(**encryption(key=UNSAID)))
    assert findings(key, "bucket-log-target-encryption")  # whichever key it is


@pytest.mark.parametrize(
    ("logging", "condition", "silent"),
    [
        ({}, {"ArnLike": {"aws:SourceArn": ARN}}, True),
        (LOGGED, {"ArnLike": {"aws:SourceArn": ARN}}, False),
        ({"LoggingConfiguration": {}}, {"ArnEquals": {"aws:SourceArn": [ARN]}}, True),
        ({}, {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, False),
        ({}, {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::another"}}, False),
        ({}, {"ArnLike": {"aws:SourceArn": ARN}, "StringEquals": {"aws:SourceAccount": OTHER}}, False),
        ({}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, False),
    ],
)
def test_a_source_that_is_admitted_logs(logging: Json, condition: Json, silent: Json) -> None:
    found = resources(logging, None, **logs(delivery(Condition=condition)))
    assert [one.resource.logical_id for one in findings(found, "bucket-log-source-silent")] == ["Data"] * silent


def test_whether_a_source_logs_may_be_undecided() -> None:
    admitted = logs(delivery(Condition={"ArnLike": {"aws:SourceArn": ARN}}))
    found = resources({"LoggingConfiguration": UNSAID}, None, **admitted)
    assert undecided(found, "bucket-log-source-silent")
    assert not findings(found, "bucket-log-source-silent")


def test_log_delivery_by_acl_or_into_a_bucket_elsewhere_is_left_alone() -> None:
    by_acl = logs(OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}, AccessControl="LogDeliveryWrite")
    elsewhere = {"LoggingConfiguration": {"DestinationBucketName": "central-logs"}}
    assert not findings(resources(LOGGED, None, **by_acl), "bucket-log-delivery-refused")
    assert not findings(resources(elsewhere), "bucket-log-delivery-refused")


def test_logs_of_another_region_or_account() -> None:
    named = logs(delivery(), BucketName="the-logs")
    source = resources({"LoggingConfiguration": {"DestinationBucketName": "the-logs"}})

    def unfit(account: str | None, region: str | None) -> list[str]:
        assembly = Assembly.of(
            [
                StackTemplate(id="Data", template={"Resources": source}, account=ACCOUNT, region="eu-west-1"),
                StackTemplate(id="Logs", template={"Resources": named}, account=account, region=region),
            ]
        )
        return [one.counterexample for one in prove(assembly).findings if one.rule.id == "bucket-log-target-unfit"]

    assert unfit(ACCOUNT, "eu-west-1") == []
    assert unfit(None, None) == []
    assert "us-east-1" in unfit(ACCOUNT, "us-east-1")[0]
    assert OTHER in unfit(OTHER, "eu-west-1")[0]


# What can't be decided is said.


def test_a_policy_that_may_not_be_there_decides_nothing() -> None:
    https = deny({"Bool": {"aws:SecureTransport": "false"}}, "s3:*", Resource=[ARN, OBJECTS])
    sections = {
        "Parameters": {"Unsaid": {"Type": "String"}},
        "Conditions": {"Open": {"Fn::Equals": [{"Ref": "Unsaid"}, "x"]}},
    }
    found = resources({}, [https])
    found["Policy"]["Condition"] = "Open"
    assert undecided(found, "bucket-plain-http", **sections)
    assert not findings(found, "bucket-plain-http", **sections)
    found["Data"]["Condition"] = "Open"  # both or neither
    assert not undecided(found, "bucket-plain-http", **sections)
    assert not findings(found, "bucket-plain-http", **sections)


def test_a_policy_of_a_bucket_that_nobody_knows_may_be_this_ones() -> None:
    https = deny({"Bool": {"aws:SecureTransport": "false"}}, "s3:*", Resource="*")
    found = resources({}, [https])
    found["Policy"]["Properties"]["Bucket"] = {"Fn::Transform": {"Name": "x"}}
    assert undecided(found, "bucket-plain-http")
    assert undecided(found, "bucket-without-customer-key")
    assert not findings(found, "bucket-plain-http")


def test_an_undecided_statement_is_a_doubt_and_no_answer() -> None:
    unknown = deny({"Bool": {"aws:SecureTransport": {"Fn::Transform": {"Name": "x"}}}}, "s3:*", Resource=[ARN, OBJECTS])
    assert undecided(resources({}, [unknown]), "bucket-plain-http")
    assert not findings(resources({}, [unknown]), "bucket-plain-http")
    assert undecided(resources(encryption(), [unknown]), "bucket-other-encryption")


def test_nothing_hangs_on_an_account_that_nobody_said() -> None:
    """A policy may name the account of the deployment by its number."""

    def outcome(rule: str, found: Json) -> list[str]:
        end = proof(found, account=None)
        both: list[Finding | Undecidable] = [*end.findings, *end.undecidable]
        return [type(one).__name__ for one in both if one.rule.id == rule]

    for condition in (
        {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}},
        {"ArnNotEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/writer"}},
    ):
        policy = [deny(condition, "s3:*"), deny({**THERE, "StringNotEquals": {KEY_ID: KEY}})]
        assert outcome("bucket-right-upload-refused", resources(encryption(), policy)) == ["Undecidable"]
    by_account = delivery(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    assert outcome("bucket-log-delivery-refused", resources(LOGGED, None, **logs(by_account))) == ["Undecidable"]
    elsewhere = delivery("other/*", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    assert outcome("bucket-log-delivery-refused", resources(LOGGED, None, **logs(elsewhere))) == ["Finding"]
    trail = {"Service": "cloudtrail.amazonaws.com"}
    path = {"Fn::Sub": f"${{Data.Arn}}/AWSLogs/{ACCOUNT}/*"}
    write = allow(None, "s3:PutObject", Principal=trail, Resource=path)
    assert outcome("bucket-service-without-source", resources({}, [write])) == []


def test_undecided_properties_are_said_to_be() -> None:
    unknown = {"Fn::Transform": {"Name": "x"}}
    for name, rule in (
        ("BucketEncryption", "bucket-other-encryption"),
        ("BucketEncryption", "bucket-without-customer-key"),
        ("BucketEncryption", "bucket-key-off"),
        ("PublicAccessBlockConfiguration", "bucket-public-access-not-blocked"),
        ("OwnershipControls", "bucket-acls-enabled"),
        ("VersioningConfiguration", "bucket-not-versioned"),
        ("LoggingConfiguration", "bucket-log-delivery-refused"),
    ):
        found = resources({name: unknown})
        assert undecided(found, rule), rule
        assert not findings(found, rule), rule
    found = resources()
    found["Data"]["DeletionPolicy"] = unknown
    assert undecided(found, "bucket-not-retained")


_ODD: list[Json] = [None, True, 7, "text", [], {}, ["text"], [[]], [{}], {"Rules": 1}, {"a": {"b": []}}, [None, 1]]


@pytest.mark.parametrize(
    "name",
    [
        "AccessControl",
        "BucketEncryption",
        "LoggingConfiguration",
        "OwnershipControls",
        "PublicAccessBlockConfiguration",
        "ReplicationConfiguration",
        "VersioningConfiguration",
        "WebsiteConfiguration",
        "ObjectLockEnabled",
    ],
)
def test_odd_properties_crash_nothing(name: str) -> None:
    for odd in _ODD:
        proof(resources({name: odd}, [deny(THERE)]))


def test_odd_settings_below_crash_nothing() -> None:
    for odd in _ODD:
        proof(resources(encryption(key=odd)))
        proof(resources(encryption(algorithm=odd)))
        proof(resources(encryption(BlockedEncryptionTypes=odd)))
        proof(resources({"BucketEncryption": {"ServerSideEncryptionConfiguration": odd}}))
        proof(resources({"OwnershipControls": {"Rules": odd}}))
        proof(resources({"LoggingConfiguration": {"DestinationBucketName": odd, "LogFilePrefix": odd}}))
        proof(resources({"ReplicationConfiguration": {"Rules": odd}}, [deny()]))


@pytest.mark.parametrize("element", ["Effect", "Principal", "Action", "Resource", "Condition", "Sid", "Else"])
def test_odd_statements_crash_nothing(element: str) -> None:
    for odd in _ODD:
        proof(resources(encryption(), [{**deny(THERE), element: odd}]))
        proof(resources(encryption(), [odd]))
    for document in _ODD:
        found = resources({}, [])
        found["Policy"]["Properties"]["PolicyDocument"] = document
        proof(found)


# Our own.


@pytest.mark.parametrize("customer_keys", CustomerProvidedKeys)
@pytest.mark.parametrize("uploads", UploadPolicy)
@pytest.mark.parametrize("algorithm", ServerSideEncryption)
def test_our_buckets_hold_but_for_what_their_options_choose(
    algorithm: ServerSideEncryption, uploads: UploadPolicy, customer_keys: CustomerProvidedKeys
) -> None:
    stack = new_stack()
    EncryptedBucket(
        stack,
        "Data",
        encryption=algorithm,
        upload_policy=uploads,
        customer_provided_keys=customer_keys,
        access_log_bucket=AccessLogBucket(stack, "Logs"),
    )
    found = prove(Assembly.of([StackTemplate(id="Test", template=template(stack))]))
    chosen = set()
    if uploads is UploadPolicy.REQUIRE_HEADER:
        chosen.add("bucket-header-required")
    if customer_keys is CustomerProvidedKeys.ALLOWED:
        chosen.add("bucket-customer-provided-keys")
    assert {one.rule.id for one in found.findings if one.rule.id in RULES} == chosen
    assert not [one for one in found.undecidable if one.rule.id in RULES]

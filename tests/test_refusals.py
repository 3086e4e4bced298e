"""Bad input, made up by hypothesis: each is refused in the same form, and nothing of it reaches jsii."""

from __future__ import annotations

import re
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cdk_encrypted_data import (
    AccessLogBucket,
    CustomerManagedKey,
    EncryptedBucket,
    FailureTopic,
    JobCode,
    PerCustomerGlueJob,
    ReplicationDestination,
)
from cdk_encrypted_data.access_log_bucket import RETENTION_DAYS
from cdk_encrypted_data.bucket_options import ABORT_UPLOAD_DAYS, NONCURRENT_VERSION_DAYS
from cdk_encrypted_data.customers import MAXIMUM_WORKERS, RETRIES, TIMEOUT_MINUTES
from cdk_encrypted_data.managed_key import PENDING_WINDOW_DAYS, ROTATION_DAYS
from tests.customers.fixtures import CODE, NETWORK, customer
from tests.synthesis import new_stack

# Each example crosses into Node a few times; a slow machine is no failure.
crossing = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])

# What a construct can't be made without.
NEEDED: dict[type, dict[str, Any]] = {
    PerCustomerGlueJob: {"customer": customer(), "code": CODE, **NETWORK},
    ReplicationDestination: {
        "bucket_name_prefix": "backup",
        "source_role_arns": ["arn:aws:iam::444455556666:role/orders-replication"],
    },
}
DURATIONS = [
    (CustomerManagedKey, "rotation_period", ROTATION_DAYS),
    (CustomerManagedKey, "pending_window", PENDING_WINDOW_DAYS),
    (EncryptedBucket, "key_rotation_period", ROTATION_DAYS),
    (EncryptedBucket, "key_pending_window", PENDING_WINDOW_DAYS),
    (EncryptedBucket, "noncurrent_version_expiration", NONCURRENT_VERSION_DAYS),
    (EncryptedBucket, "abort_incomplete_multipart_upload_after", ABORT_UPLOAD_DAYS),
    (AccessLogBucket, "retention", RETENTION_DAYS),
    (FailureTopic, "key_rotation_period", ROTATION_DAYS),
    (FailureTopic, "key_pending_window", PENDING_WINDOW_DAYS),
    (ReplicationDestination, "key_rotation_period", ROTATION_DAYS),
    (ReplicationDestination, "key_pending_window", PENDING_WINDOW_DAYS),
    (ReplicationDestination, "noncurrent_version_expiration", NONCURRENT_VERSION_DAYS),
    (ReplicationDestination, "abort_incomplete_multipart_upload_after", ABORT_UPLOAD_DAYS),
    (PerCustomerGlueJob, "key_rotation_period", ROTATION_DAYS),
    (PerCustomerGlueJob, "key_pending_window", PENDING_WINDOW_DAYS),
    (PerCustomerGlueJob, "noncurrent_version_expiration", NONCURRENT_VERSION_DAYS),
    (PerCustomerGlueJob, "abort_incomplete_multipart_upload_after", ABORT_UPLOAD_DAYS),
]
# Those of keys, and all that CfnInclude writes, must be numbers in the template.
KNOWN = [
    (construct, argument)
    for construct, argument, bounds in DURATIONS
    if bounds in (ROTATION_DAYS, PENDING_WINDOW_DAYS) or construct is PerCustomerGlueJob
]
NUMBERS = [
    (PerCustomerGlueJob, "maximum_workers", MAXIMUM_WORKERS),
    (PerCustomerGlueJob, "retries", RETRIES),
]
TEXTS = [
    (CustomerManagedKey, "alias_name"),
    (CustomerManagedKey, "description"),
    (EncryptedBucket, "key_alias_name"),
    (EncryptedBucket, "bucket_name"),
    (EncryptedBucket, "bucket_name_prefix"),
    (AccessLogBucket, "bucket_name"),
    (ReplicationDestination, "bucket_name_prefix"),
    (ReplicationDestination, "key_alias_name"),
    (ReplicationDestination, "access_log_prefix"),
    (PerCustomerGlueJob, "subnet_id"),
    (PerCustomerGlueJob, "availability_zone"),
    (PerCustomerGlueJob, "worker_type"),
    (PerCustomerGlueJob, "key_alias_name"),
    (PerCustomerGlueJob, "bucket_name_prefix"),
    (PerCustomerGlueJob, "access_log_prefix"),
]
CHOICES = [
    *(
        (EncryptedBucket, argument)
        for argument in (
            "encryption",
            "upload_policy",
            "customer_provided_keys",
            "minimum_tls_version",
            "object_events",
        )
    ),
    *(
        (ReplicationDestination, argument)
        for argument in ("encryption", "delete_markers", "object_lock", "minimum_tls_version", "object_events")
    ),
    (PerCustomerGlueJob, "glue_version"),
]
NO_TEXT: list[Any] = [7, 1.5, True, b"bytes", ["list"], {"a": 1}, object()]


def assert_refused(construct: type, arguments: dict[str, Any]) -> None:
    """Assert that making the construct says argument, value, what is allowed and what to do, and makes nothing."""
    (argument,) = arguments
    stack = new_stack()
    with pytest.raises(ValueError, match=rf"^Id: {argument} is ") as caught:
        construct(stack, "Id", **NEEDED.get(construct, {}) | arguments)
    message = str(caught.value)
    assert re.fullmatch(rf"Id: {argument} is .+; allowed: [^;]+; .+", message, re.DOTALL), message
    assert not message.endswith(".")
    assert not isinstance(caught.value, jsii.errors.JSIIError)
    assert stack.node.try_find_child("Id") is None


@pytest.mark.parametrize(("construct", "argument", "bounds"), DURATIONS)
class TestDurations:
    @crossing
    @given(data=st.data())
    def test_outside_the_bounds(
        self, construct: type, argument: str, bounds: tuple[int, int], data: st.DataObject
    ) -> None:
        minimum, maximum = bounds
        days = data.draw(st.integers(0, minimum - 1) | st.integers(maximum + 1, 10**6))
        assert_refused(construct, {argument: cdk.Duration.days(days)})

    @crossing
    @given(data=st.data())
    def test_within_the_bounds(
        self, construct: type, argument: str, bounds: tuple[int, int], data: st.DataObject
    ) -> None:
        days = data.draw(st.integers(*bounds) | st.sampled_from(bounds))
        construct(new_stack(), "Id", **NEEDED.get(construct, {}), **{argument: cdk.Duration.days(days)})

    def test_not_whole_days(self, construct: type, argument: str, bounds: tuple[int, int]) -> None:
        assert_refused(construct, {argument: cdk.Duration.hours(bounds[0] * 24 + 1)})

    @pytest.mark.parametrize("value", [90, "90", 3.5])
    def test_no_duration(self, construct: type, argument: str, bounds: tuple[int, int], value: object) -> None:
        assert bounds
        assert_refused(construct, {argument: value})


@pytest.mark.parametrize(("construct", "argument", "bounds"), NUMBERS)
class TestNumbers:
    @crossing
    @given(data=st.data())
    def test_outside_the_bounds(
        self, construct: type, argument: str, bounds: tuple[int, int], data: st.DataObject
    ) -> None:
        minimum, maximum = bounds
        assert_refused(
            construct, {argument: data.draw(st.integers(max_value=minimum - 1) | st.integers(min_value=maximum + 1))}
        )

    @crossing
    @given(data=st.data())
    def test_within_the_bounds(
        self, construct: type, argument: str, bounds: tuple[int, int], data: st.DataObject
    ) -> None:
        number = data.draw(st.integers(*bounds) | st.sampled_from(bounds))
        construct(new_stack(), "Id", **NEEDED[construct], **{argument: number})

    @pytest.mark.parametrize("value", [True, 2.5, "3", None])
    def test_no_number(self, construct: type, argument: str, bounds: tuple[int, int], value: object) -> None:
        assert bounds
        assert_refused(construct, {argument: value})


class TestTimeouts:
    @crossing
    @given(st.integers(1, TIMEOUT_MINUTES[0] * 60 - 1) | st.integers(TIMEOUT_MINUTES[1] * 60 + 1, 10**7))
    def test_outside_the_bounds(self, seconds: int) -> None:
        assert_refused(PerCustomerGlueJob, {"timeout": cdk.Duration.seconds(seconds)})

    @crossing
    @given(st.integers(*TIMEOUT_MINUTES) | st.sampled_from(TIMEOUT_MINUTES))
    def test_within_the_bounds(self, minutes: int) -> None:
        timeout = cdk.Duration.minutes(minutes)
        PerCustomerGlueJob(new_stack(), "Id", **NEEDED[PerCustomerGlueJob], timeout=timeout)


@pytest.mark.parametrize(("construct", "argument"), KNOWN)
def test_days_that_only_a_deployment_knows(construct: type, argument: str) -> None:
    days = cdk.CfnParameter(new_stack(), "Days", type="Number").value_as_number
    assert_refused(construct, {argument: cdk.Duration.days(days)})


@pytest.mark.parametrize(("construct", "argument"), TEXTS)
@pytest.mark.parametrize("value", NO_TEXT, ids=lambda value: type(value).__name__)
def test_no_text(construct: type, argument: str, value: object) -> None:
    assert_refused(construct, {argument: value})


@pytest.mark.parametrize(("construct", "argument"), CHOICES)
@pytest.mark.parametrize("value", ["SSE_KMS", "aws:kms", None, True, 1.2, cdk.RemovalPolicy.RETAIN])
def test_no_choice(construct: type, argument: str, value: object) -> None:
    assert_refused(construct, {argument: value})


@pytest.mark.parametrize(
    "construct",
    [CustomerManagedKey, EncryptedBucket, AccessLogBucket, FailureTopic, ReplicationDestination, PerCustomerGlueJob],
)
@pytest.mark.parametrize("value", [cdk.RemovalPolicy.SNAPSHOT, "retain", None])
def test_no_removal_policy(construct: type, value: object) -> None:
    assert_refused(construct, {"removal_policy": value})


class TestBucketNames:
    """By S3's rules: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html."""

    @crossing
    @given(
        st.text(alphabet="abcXYZ019.-_/ é", max_size=70).filter(
            lambda name: not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name)
        )
    )
    def test_outside_the_grammar(self, name: str) -> None:
        assert_refused(EncryptedBucket, {"bucket_name": name})

    @pytest.mark.parametrize(
        "name",
        ["192.168.5.4", "a..b", "xn--acme", "sthree-acme", "amzn-s3-demo-a", "acme-s3alias", "acme--ol-s3", "acme.mrap",
         "acme--x-s3", "acme--table-s3", "acme-111122223333-eu-west-1-an", "acme\n", "a" * 64],
    )  # fmt: skip
    def test_reserved_or_malformed(self, name: str) -> None:
        assert_refused(EncryptedBucket, {"bucket_name": name})

    @crossing
    @given(st.from_regex(r"[a-z0-9][a-z0-9-]{1,40}[a-y0-9]", fullmatch=True).filter(lambda name: "--" not in name))
    def test_legal(self, name: str) -> None:
        EncryptedBucket(new_stack(), "Id", bucket_name=f"q{name}q")

    @pytest.mark.parametrize("prefix", ["", "-a", "A", "a.b", "a_b", "a" * 38, "xn--a"])
    def test_prefixes(self, prefix: str) -> None:
        assert_refused(EncryptedBucket, {"bucket_name_prefix": prefix})


class TestAliasNames:
    @crossing
    @given(st.text(max_size=300).filter(lambda name: not name.startswith("alias/") and "${Token[" not in name))
    def test_without_alias_in_front(self, name: str) -> None:
        assert_refused(CustomerManagedKey, {"alias_name": name})

    @pytest.mark.parametrize("name", ["alias/", "alias/aws/s3", "alias/a b", "alias/" + "a" * 251, "alias/ä"])
    def test_malformed(self, name: str) -> None:
        assert_refused(CustomerManagedKey, {"alias_name": name})

    @pytest.mark.parametrize("name", ["alias/a", "alias/awsome/a_b-C/1", "alias/" + "a" * 250])
    def test_legal(self, name: str) -> None:
        CustomerManagedKey(new_stack(), "Id", alias_name=name)


@pytest.mark.parametrize("description", ["", "a" * 8193, "tab\t", "emoji 🙂"])
def test_descriptions(description: str) -> None:
    assert_refused(CustomerManagedKey, {"description": description})


@pytest.mark.parametrize("arns", ["arn:aws:s3:::acme", ["acme"], ["arn:aws:s3:::acme/*"], ["arn:aws:s3:::*"], [7]])
def test_bucket_arns(arns: object) -> None:
    assert_refused(CustomerManagedKey, {"bucket_arns": arns})


@pytest.mark.parametrize(
    ("construct", "argument"),
    [
        (EncryptedBucket, "cors"),
        (EncryptedBucket, "lifecycle_rules"),
        (ReplicationDestination, "lifecycle_rules"),
        (ReplicationDestination, "source_role_arns"),
        (PerCustomerGlueJob, "security_group_ids"),
    ],
)
@pytest.mark.parametrize("value", [None, 7, "abc", [1], [None], iter(())], ids=repr)
def test_no_list(construct: type, argument: str, value: object) -> None:
    assert_refused(construct, {argument: value})


@pytest.mark.parametrize(
    ("construct", "argument"),
    [
        (EncryptedBucket, "access_log_bucket"),
        (ReplicationDestination, "access_log_bucket"),
        (PerCustomerGlueJob, "access_log_bucket"),
        (PerCustomerGlueJob, "customer"),
        (PerCustomerGlueJob, "code"),
        (PerCustomerGlueJob, "failure_topic"),
    ],
)
@pytest.mark.parametrize("value", ["acme", 7, ["acme"]], ids=repr)
def test_no_construct_or_value_of_ours(construct: type, argument: str, value: object) -> None:
    assert_refused(construct, {argument: value})


def test_what_stands_for_tokens_in_the_checks_is_no_token() -> None:
    arn = "arn:\N{REPLACEMENT CHARACTER}:kms:eu-central-1:111122223333:key/11112222-3333-4444-8555-666677778888"
    with pytest.raises(ValueError, match=r"^JobCode: key_arn is ") as caught:
        JobCode(script=CODE.script, rules=CODE.rules, key_arn=arn)
    assert "allowed: " in str(caught.value)


class TestJobCode:
    @given(st.text(max_size=60).filter(lambda text: not re.match(r"s3://[a-z0-9]", text) and "${Token[" not in text))
    @example("\N{REPLACEMENT CHARACTER}")  # what stands for a token in the checks
    def test_what_is_no_object(self, location: str) -> None:
        given: list[tuple[str, dict[str, Any]]] = [
            ("script", {"script": location}),
            ("rules", {"rules": {"clinical-trials": location}}),
            ("packages", {"packages": [location]}),
        ]
        for argument, arguments in given:
            with pytest.raises(ValueError, match=rf"^JobCode: {argument} is ") as caught:
                JobCode(**{"script": CODE.script, "rules": CODE.rules, **arguments})
            assert re.fullmatch(r"JobCode: .+; allowed: [^;]+; .+[^.]", str(caught.value), re.DOTALL)

    @given(st.from_regex(r"s3://[a-z0-9][a-z0-9-]{1,61}[a-z0-9]/[A-Za-z0-9_/=-]{1,40}\.zip", fullmatch=True))
    def test_objects(self, location: str) -> None:
        code = JobCode(script=location, rules={"clinical-trials": location}, packages=[location])
        assert code.objects("clinical-trials") == [location] * 3

    @given(st.text(max_size=40).filter(lambda text: "==" not in text and not text.endswith(".whl")))
    def test_modules_without_their_version(self, module: str) -> None:
        with pytest.raises(ValueError, match=r"^JobCode: modules is "):
            JobCode(script=CODE.script, rules=CODE.rules, modules=[module])


@pytest.mark.parametrize(
    ("construct", "argument"),
    [
        (CustomerManagedKey, "administrators"),
        (CustomerManagedKey, "users"),
        (CustomerManagedKey, "bucket_arns"),
        (EncryptedBucket, "key_administrators"),
        (EncryptedBucket, "key_users"),
        (FailureTopic, "key_administrators"),
        (ReplicationDestination, "key_administrators"),
        (PerCustomerGlueJob, "key_administrators"),
        (PerCustomerGlueJob, "key_users"),
    ],
)
@pytest.mark.parametrize("value", [None, 7, "arn:aws:iam::111122223333:role/application", [None]], ids=repr)
def test_no_list_of_principals(construct: type, argument: str, value: object) -> None:
    assert_refused(construct, {argument: value})


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:{cdk.Aws.PARTITION}:iam::111122223333:role/*",
        f"arn:aws:iam::{cdk.Aws.ACCOUNT_ID}:root",
        f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:group/everybody",
        f"*{cdk.Aws.PARTITION}",
    ],
)
def test_a_token_in_a_principal_opens_no_door(arn: str) -> None:
    assert_refused(CustomerManagedKey, {"users": [cdk.aws_iam.ArnPrincipal(arn)]})


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:{cdk.Aws.PARTITION}:cloudfront::*:distribution/*",
        f"*{cdk.Aws.PARTITION}*",
        f"arn:{cdk.Aws.PARTITION}:s3:::acme",
        f"arn:aws:*:{cdk.Aws.REGION}:*:x",
    ],
)
def test_a_token_in_a_source_opens_no_door(arn: str) -> None:
    bucket = EncryptedBucket(new_stack(), "Id")
    with pytest.raises(ValueError, match=r"Id: source_arns is "):
        bucket.grant_read_to_service("cloudfront.amazonaws.com", source_arns=[arn])


def test_a_source_of_an_account_that_is_a_token_passes() -> None:
    bucket = EncryptedBucket(new_stack(), "Id")
    arn = f"arn:{cdk.Aws.PARTITION}:cloudfront::{cdk.Aws.ACCOUNT_ID}:distribution/*"
    bucket.grant_read_to_service("cloudfront.amazonaws.com", source_arns=[arn])


def test_who_is_administrator_and_user_by_two_spellings() -> None:
    name = "111122223333:role/both"
    spelt = [cdk.aws_iam.ArnPrincipal(f"arn:{partition}:iam::{name}") for partition in ("aws", cdk.Aws.PARTITION)]
    with pytest.raises(ValueError, match=r"Id: users is .*; allowed: principals that aren't administrators"):
        CustomerManagedKey(new_stack(), "Id", administrators=spelt[:1], users=spelt[1:])


@pytest.mark.parametrize("argument", ["administrators", "users"])
def test_principals_of_another_account(argument: str) -> None:
    arguments: dict[str, Any] = {argument: [cdk.aws_iam.ArnPrincipal("arn:aws:iam::111122223333:role/a")]}
    CustomerManagedKey(new_stack(account="111122223333", region="eu-west-1"), "Id", **arguments)
    stack = new_stack(account="444455556666", region="eu-west-1")
    with pytest.raises(ValueError, match=rf"Id: {argument} is '.*'; allowed: roles and users of account 444455556666"):
        CustomerManagedKey(stack, "Id", **arguments)


@pytest.mark.parametrize(("region", "longest"), [("us-east-1", 37), ("ap-southeast-1", 32)])
def test_a_prefix_fits_the_region(region: str, longest: int) -> None:
    stack = new_stack(account="111122223333", region=region)
    EncryptedBucket(stack, "Fits", bucket_name_prefix="a" * longest)
    with pytest.raises(ValueError, match=r"Id: bucket_name_prefix is 'a+'; allowed: "):
        EncryptedBucket(stack, "Id", bucket_name_prefix="a" * (longest + 1))


@pytest.mark.parametrize("service", [None, 7])
def test_no_text_where_one_is_needed(service: Any) -> None:  # noqa: ANN401 - anything but text
    key = CustomerManagedKey(new_stack(), "Id")
    with pytest.raises(ValueError, match=r"Id: service is "):
        key.allow_service(service, source_arns=["arn:aws:sns:eu-west-1:111122223333:topic"])
    with pytest.raises(ValueError, match=r"Id: log_group_name is "):
        key.allow_cloudwatch_logs(log_group_name=service)


def test_no_action() -> None:
    key = CustomerManagedKey(new_stack(), "Id")
    with pytest.raises(ValueError, match=r"Id: actions is \[\]; allowed: KMS actions"):
        key.allow_service("sns.amazonaws.com", source_arns=["arn:aws:sns:eu-west-1:111122223333:t"], actions=[])


def test_name_and_prefix_contradict() -> None:
    with pytest.raises(
        ValueError, match=r"Id: bucket_name_prefix is 'b'; allowed: nothing together with bucket_name; leave"
    ):
        EncryptedBucket(new_stack(), "Id", bucket_name="acme", bucket_name_prefix="b")


def test_a_log_prefix_without_a_log_bucket_contradicts() -> None:
    with pytest.raises(
        ValueError, match=r"Id: access_log_prefix is 'a/'; allowed: no prefix without access_log_bucket"
    ):
        EncryptedBucket(new_stack(), "Id", access_log_prefix="a/")


@pytest.mark.parametrize("pattern", ["", "/a", "a b", "a\n", "a" * 1025, 7])
def test_objects_key_patterns(pattern: Any) -> None:  # noqa: ANN401 - anything but a pattern
    stack = new_stack()
    bucket = EncryptedBucket(stack, "Id")
    with pytest.raises(ValueError, match=r"Id: objects_key_pattern is .*; allowed: 1 to 1024 characters"):
        bucket.grant_read(cdk.aws_iam.ManagedPolicy(stack, "Policy"), objects_key_pattern=pattern)


@pytest.mark.parametrize("service", ["", "cloudfront", "*", "cloudfront.amazonaws.com/x", "logs.example.com"])
def test_services(service: str) -> None:
    bucket = EncryptedBucket(new_stack(), "Id")
    with pytest.raises(ValueError, match=r"Id: service is .*; allowed: the name of a service principal"):
        bucket.grant_read_to_service(service, source_arns=["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"])


@pytest.mark.parametrize("name", ["", "*", "*/acme", "a b", "a" * 513])
def test_log_group_names(name: str) -> None:
    key = CustomerManagedKey(new_stack(), "Id")
    with pytest.raises(ValueError, match=r"Id: log_group_name is .*; allowed: 1 to 512 letters"):
        key.allow_cloudwatch_logs(log_group_name=name)

"""PerCustomerGlueJob: what it makes, that it holds what other constructs promise, and that nobody reaches another's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_encrypted_data import AccessLogBucket, CustomerManagedKey, EncryptedBucket, FailureTopic, JobCode, names
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.inventory import Inventory
from cdk_encrypted_data.proofs.proof import prove
from cdk_encrypted_data.proofs.rules.isolation import matrix
from cdk_encrypted_data.proofs.spaces import Prover
from cdk_encrypted_data_job.arguments import TableSource as TableArgument
from cdk_encrypted_data_job.arguments import parse
from cdk_encrypted_data_job.envelope import CONTEXT, STATE_CONTEXT
from tests.customers.fixtures import CODE, NETWORK, READER, customer, fullest_job, job, new_stack
from tests.synthesis import Resources, template

# What the key's policy says beyond a CustomerManagedKey's, and the bucket beyond an EncryptedBucket's.
_ADDED_TO_KEY = {"JobEncryptsInItsProcess", "ReadersDecryptInApplications", "JobKeepsBookmarks", None}
_TEMPORARY = s3.LifecycleRule(id="Temporary", prefix="tmp/", expiration=cdk.Duration.days(7))


def resources(stack: cdk.Stack) -> Resources:
    found: Resources = template(stack)["Resources"]
    return found


def by_type(found: Resources, kind: str, beginning: str = "") -> dict[str, Any]:
    (resource,) = [each for name, each in found.items() if each["Type"] == kind and name.startswith(beginning)]
    return resource


def test_logical_ids() -> None:
    # Another id of the key or the bucket would be a new one, without the customer's data.
    stack = new_stack()
    job(stack, customer=customer(schedule="cron(0 3 * * ? *)"), failure_topic=FailureTopic(stack, "Failures").topic)
    assert {name: each["Type"] for name, each in resources(stack).items() if name.startswith("acme")} == {
        "acmeAlias3AF5EADF": "AWS::KMS::Alias",
        "acmeBucket425B4F82": "AWS::S3::Bucket",
        "acmeBucketPolicy233883E5": "AWS::S3::BucketPolicy",
        "acmeConnection75FCE68D": "AWS::Glue::Connection",
        "acmeFailure72A43539": "AWS::Events::Rule",
        "acmeJobA8F20C31": "AWS::Glue::Job",
        "acmeKey74CD4B6E": "AWS::KMS::Key",
        "acmePermissions557D3C1E": "AWS::IAM::ManagedPolicy",
        "acmeRoleA2E3FF0F": "AWS::IAM::Role",
        "acmeSchedule72D31444": "AWS::Glue::Trigger",
        "acmeSecurityConfigurationBCF39FA5": "AWS::Glue::SecurityConfiguration",
    }


def same_bucket(stack: cdk.Stack, options: Mapping[str, Any]) -> None:
    """Make by EncryptedBucket what the job's key and bucket must be."""
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    users = options.get("key_users", ())
    EncryptedBucket(
        stack,
        "acme",
        lifecycle_rules=[_TEMPORARY],
        **{"bucket_name_prefix": names.bucket_prefix("acme", "Test/acme"), **options, "key_users": [role, *users]},
    )


def comparable(found: Resources, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return the resources by their types, and what names others by the others' types."""
    own = {name: each for name, each in found.items() if name.startswith(("acme", "Role"))}
    text = json.dumps(own)
    for name, each in own.items():
        text = re.sub(rf"\b{name}\b", f"<{each['Type']}>", text)
    plain: Resources = json.loads(text, object_hook=as_text)
    for each in plain.values():
        each.pop("Metadata", None)
        for name in ("Description", "Tags"):
            each["Properties"].pop(name, None)
    return {each["Type"]: each for each in plain.values() if each["Type"] in kinds}


def as_text(value: dict[str, Any]) -> dict[str, Any]:
    """Write Fn::Join as the Fn::Sub that means the same."""
    if "Fn::Join" not in value:
        return value
    separator, parts = value["Fn::Join"]
    assert separator == ""
    texts = (each if isinstance(each, str) else f"${{{'.'.join(next(iter(named(each))))}}}" for each in parts)
    return {"Fn::Sub": "".join(texts)}


def named(function: dict[str, Any]) -> Iterator[list[str]]:
    yield [function["Ref"]] if "Ref" in function else function["Fn::GetAtt"]


def administrators() -> list[iam.ArnPrincipal]:
    return [iam.ArnPrincipal("arn:aws:iam::111122223333:role/key-administrator")]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(dict, id="none"),
        pytest.param(lambda: {"key_administrators": administrators()}, id="administrators"),
        pytest.param(lambda: {"key_users": [iam.ArnPrincipal("arn:aws:iam::111122223333:role/reader")]}, id="users"),
        pytest.param(
            lambda: {
                "key_rotation_period": cdk.Duration.days(180),
                "key_pending_window": cdk.Duration.days(14),
                "key_alias_name": "alias/other",
                "bucket_name_prefix": "clinical",
                "noncurrent_version_expiration": cdk.Duration.days(400),
                "abort_incomplete_multipart_upload_after": cdk.Duration.days(2),
                "removal_policy": cdk.RemovalPolicy.DESTROY,
            },
            id="others",
        ),
        pytest.param(lambda: {"removal_policy": cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE}, id="once made"),
    ],
)
def test_key_and_bucket_are_those_of_encrypted_bucket(options: Callable[[], dict[str, Any]]) -> None:
    ours, theirs = new_stack(), new_stack()
    # The alias has the construct's own path, which is another one where a bucket makes the key.
    job(ours, **{"key_alias_name": "alias/acme", **options()})
    same_bucket(theirs, {"key_alias_name": "alias/acme", **options()})
    kinds = ("AWS::KMS::Key", "AWS::KMS::Alias", "AWS::S3::Bucket", "AWS::S3::BucketPolicy")
    found, promised = (comparable(resources(each), kinds) for each in (ours, theirs))
    statements = found["AWS::KMS::Key"]["Properties"]["KeyPolicy"]["Statement"]
    kept = [each for each in statements if each.get("Sid") not in _ADDED_TO_KEY]
    assert len(statements) - len(kept) == (4 if "key_users" in options() else 3)
    found["AWS::KMS::Key"]["Properties"]["KeyPolicy"]["Statement"] = kept
    assert found == promised


def test_access_logs_are_those_of_encrypted_bucket() -> None:
    ours, theirs = new_stack(), new_stack()
    job(ours, access_log_bucket=AccessLogBucket(ours, "Logs"))
    same_bucket(theirs, {"access_log_bucket": AccessLogBucket(theirs, "Logs")})
    found, promised = (
        (
            by_type(each, "AWS::S3::Bucket", "acme")["Properties"]["LoggingConfiguration"],
            len(by_type(each, "AWS::S3::BucketPolicy", "Logs")["Properties"]["PolicyDocument"]["Statement"]),
        )
        for each in (resources(ours), resources(theirs))
    )
    assert found == promised


# The proofs.


def customers_stack(*names: str, make: Callable[[cdk.Stack, str], object] = job) -> cdk.Stack:
    stack = new_stack()
    for name in names:
        make(stack, name)
    return stack


def assembly_of(stack: cdk.Stack) -> Assembly:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return Assembly.read(app.synth().directory)


def scheduled(stack: cdk.Stack, name: str) -> None:
    """Make a customer with a schedule, a topic and a secret in the same stack, under a key of its own."""
    topic = stack.node.try_find_child("Failures") or FailureTopic(stack, "Failures")
    assert isinstance(topic, FailureTopic)
    key = CustomerManagedKey(stack, f"Secret-{name}-Key")
    secret = secretsmanager.Secret(stack, f"Secret-{name}", encryption_key=key.key)
    whose = customer(
        name,
        schedule="cron(0 3 * * ? *)",
        secret_arn=secret.secret_arn,
        secret_key_arn=key.key.key_arn,
    )
    job(stack, name, customer=whose, failure_topic=topic.topic)


def test_nothing_is_found_and_every_pair_is_kept_apart() -> None:
    assembly = assembly_of(customers_stack("acme", "globex", "initech", make=scheduled))
    proof = prove(assembly)
    assert [str(each) for each in proof.findings] == []
    assert [str(each) for each in proof.undecidable] == []
    reached = matrix(Inventory(assembly), Prover())
    assert (set(reached.customers), reached.pairs) == ({"acme", "globex", "initech"}, 6)
    assert (reached.reached, reached.undecided) == ({}, frozenset())


def test_what_reaches_over_is_found() -> None:
    # The twin of the test above: one policy more, and the proofs see it.
    stack = customers_stack("acme")
    other = job(stack, "globex")
    everything = iam.PolicyStatement(actions=["s3:*", "kms:*", "secretsmanager:*"], resources=["*"])
    iam.ManagedPolicy(stack, "Wide", roles=[other.role], statements=[everything])
    reached = matrix(Inventory(assembly_of(stack)), Prover()).reached
    # The key names its users, so what is listed stays unreadable.
    assert reached == {("globex", "acme"): ("delete from", "list")}


def test_the_fullest_use_is_proven_too() -> None:
    stack = new_stack()
    fullest_job(stack)
    found = {each.rule.id for each in prove(assembly_of(stack)).findings}
    # What RemovalPolicy.DESTROY means, and nothing else.
    assert found == {"bucket-not-retained", "key-not-retained"}


# One customer more or less.


def test_one_customer_more_or_less_changes_nothing_of_the_others() -> None:
    both, one, renamed = (
        resources(customers_stack(*names, make=scheduled))
        for names in (("acme", "globex"), ("globex",), ("acme-2", "globex"))
    )
    of_globex = {name: each for name, each in both.items() if name.startswith("globex")}
    assert len(of_globex) == 11
    assert {name: each for name, each in one.items() if name.startswith("globex")} == of_globex
    assert {name: each for name, each in renamed.items() if name.startswith("globex")} == of_globex
    assert set(both) - set(one) == {name for name in both if name.startswith(("acme", "Secretacme"))}


def test_another_title_changes_no_name() -> None:
    before, after = new_stack(), new_stack()
    job(before)
    job(after, customer=customer(title="Acme Clinical Ltd"))
    found = [resources(before), resources(after)]
    assert found[0].keys() == found[1].keys()
    for kind in ("AWS::KMS::Alias", "AWS::S3::BucketPolicy", "AWS::Glue::SecurityConfiguration"):
        assert by_type(found[0], kind) == by_type(found[1], kind)
    for each in found:
        key = by_type(each, "AWS::KMS::Key")
        assert key["Properties"].pop("Tags")
    assert by_type(found[0], "AWS::KMS::Key") == by_type(found[1], "AWS::KMS::Key")


# The job.


def arguments_of(found: Resources) -> dict[str, Any]:
    properties = by_type(found, "AWS::Glue::Job")["Properties"]
    assert properties["DefaultArguments"].keys().isdisjoint(properties["NonOverridableArguments"])
    return {**properties["DefaultArguments"], **properties["NonOverridableArguments"]}


def test_the_entry_point_takes_the_arguments() -> None:
    stack = new_stack()
    fullest_job(stack)
    text = json.dumps(arguments_of(resources(stack)))
    # As CloudFormation would: what the functions give is the key's ARN, and the bucket's name in a text.
    given = json.loads(text, object_hook=deployed)
    words = [word for name, value in given.items() for word in (name, value)]
    read = parse([*words, "--JOB_RUN_ID", "jr_1", "--JOB_NAME", "acme"])
    assert (read.customer, read.bucket, read.prefix) == ("acme", "the-bucket", "data/")
    assert given["--TempDir"] == "s3://the-bucket/tmp/"
    assert read.state_prefix == "state/"
    assert read.key_arn == "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert (read.rules_bucket, read.rules_name) == ("acme-code", "rules.zip")
    assert read.secret_arn == customer().secret_arn
    assert read.jdbc_url == customer().jdbc_url
    assert read.tables == (
        TableArgument(name="subjects", source="public.subjects"),
        TableArgument(
            name="visits", source="public.visits", partition_column="visit_id", partitions=8, bookmark="xmin"
        ),
    )


def deployed(value: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if "Fn::GetAtt" in value:
        return "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    if "Ref" in value:
        return "the-bucket"
    return re.sub(r"\$\{AcmeBucket\w+\}", "the-bucket", value["Fn::Sub"]) if "Fn::Sub" in value else value


def test_the_key_lets_the_job_make_data_keys_of_its_format_and_readers_open_them() -> None:
    # A key's policy that names somebody is enough by itself: no IAM policy would limit them.
    stack = new_stack()
    fullest_job(stack)
    statements = by_type(resources(stack), "AWS::KMS::Key", "Acme")["Properties"]["KeyPolicy"]["Statement"]
    found = {each.get("Sid"): each for each in statements}
    ours, theirs = found["JobEncryptsInItsProcess"], found["ReadersDecryptInApplications"]
    assert (ours["Action"], theirs["Action"]) == (["kms:Decrypt", "kms:GenerateDataKey"], "kms:Decrypt")
    for each in (ours, theirs):
        condition = each["Condition"]
        assert condition["StringEquals"]["kms:EncryptionContext:aws:x-amz-cek-alg"] == "AES/GCM/NoPadding"
        of_state = {f"kms:EncryptionContext:{name}": "true" for name in STATE_CONTEXT.keys() - CONTEXT.keys()}
        in_applications = {"kms:ViaService": "true", "kms:EncryptionContext:aws:s3:arn": "true"}
        assert condition["Null"] == (in_applications if each is ours else in_applications | of_state)
        assert of_state
    assert theirs["Principal"] != ours["Principal"]


@pytest.mark.parametrize(("retries", "queued"), [(0, True), (2, False)])
def test_glue_either_tries_again_or_queues(retries: int, queued: bool) -> None:  # noqa: FBT001
    stack = new_stack()
    job(stack, retries=retries)
    properties = by_type(resources(stack), "AWS::Glue::Job")["Properties"]
    assert (properties["MaxRetries"], properties["JobRunQueuingEnabled"]) == (retries, queued)


# References and grants.


def test_references_are_made_when_they_are_asked_for() -> None:
    stack = new_stack()
    made = job(stack)
    other = new_stack()
    job(other)
    without = resources(other)
    assert (made.customer.name, made.job_name) == ("acme", "Test-acme-42603671")
    for name, reference in {
        "Bucket": made.bucket.bucket_arn,
        "Key": made.key.key_arn,
        "Role": made.role.role_arn,
    }.items():
        (expected,) = [each for each in without if each.startswith(f"acme{name}") and "Policy" not in each]
        assert stack.resolve(reference) == {"Fn::GetAtt": [expected, "Arn"]}
    assert made.job.glue_version == "5.1"
    assert made.connection.cfn_resource_type == "AWS::Glue::Connection"
    assert made.security_configuration.name == "Test-acme-42603671-a90fe5e8"
    assert made.permissions.cfn_resource_type == "AWS::IAM::ManagedPolicy"
    assert resources(stack) == without


def test_who_isnt_named_by_the_key_is_granted_nothing() -> None:
    stack = new_stack()
    reader = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    with pytest.raises(ValueError, match=r"^acme: grantee is .*; allowed: the key's users; add it to"):
        job(stack).grant_read(reader)


def test_readers_are_named_by_the_key_and_get_a_policy_to_attach() -> None:
    stack, without = new_stack(), new_stack()
    made = job(stack, customer=customer(readers=[READER]))
    job(without)
    statements = by_type(resources(stack), "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    naming = {each["Sid"]: each["Effect"] for each in statements if READER in str(each)}
    assert naming == {
        "UsersUseKeyThroughS3": "Allow",
        "UsersCannotAdministerKey": "Deny",
        "ReadersDecryptInApplications": "Allow",
    }
    (reader,) = set(resources(stack)) - set(resources(without))
    assert reader.startswith("acmeReader")
    # By whoever has the readers' roles: nobody is attached here.
    assert resources(stack)[reader]["Properties"].keys() == {"Description", "PolicyDocument"}
    assert stack.resolve(made.reader_policy.ref) == {"Ref": reader}
    with pytest.raises(ValueError, match=r"^acme: readers is \(\); allowed: a customer with readers; name them in"):
        _ = job(new_stack()).reader_policy


def test_the_readers_policy_says_what_grant_read_gives() -> None:
    stack = new_stack()
    job(stack, customer=customer(readers=[READER])).grant_read(iam.ManagedPolicy(stack, "Granted"))
    found = resources(stack)
    ours, granted = (
        by_type(found, "AWS::IAM::ManagedPolicy", name)["Properties"]["PolicyDocument"]["Statement"]
        for name in ("acmeReader", "Granted")
    )
    for each in ours:
        del each["Sid"]
    assert json.loads(json.dumps(ours), object_hook=as_text) == json.loads(json.dumps(granted), object_hook=as_text)


def test_readers_and_key_users_are_users_alike() -> None:
    stack = new_stack()
    user = iam.ArnPrincipal("arn:aws:iam::111122223333:role/other")
    made = job(stack, customer=customer(readers=[READER, user.arn]), key_users=[user])
    made.grant_read(iam.Role.from_role_arn(stack, "Reader", READER))
    statements = by_type(resources(stack), "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    (opens,) = [each for each in statements if each.get("Sid") == "ReadersDecryptInApplications"]
    assert opens["Principal"] == {"AWS": [user.arn, READER]}


def test_what_a_customer_says_of_their_runs_goes_before_what_is_said_of_all() -> None:
    stack = new_stack()
    of_all: dict[str, Any] = {
        "worker_type": "G.2X",
        "maximum_workers": 9,
        "timeout": cdk.Duration.hours(5),
        "retries": 3,
    }
    own = {"worker_type": "R.8X", "maximum_workers": 50, "timeout_minutes": 15, "retries": 0}
    job(stack, **of_all)
    job(stack, "globex", customer=customer("globex", **own), **of_all)
    names = ("WorkerType", "NumberOfWorkers", "Timeout", "MaxRetries", "JobRunQueuingEnabled")
    acme, globex = (by_type(resources(stack), "AWS::Glue::Job", each)["Properties"] for each in ("acme", "globex"))
    assert [acme[name] for name in names] == ["G.2X", 9, 300, 3, False]
    assert [globex[name] for name in names] == ["R.8X", 50, 15, 0, True]


def test_starting_gives_no_data() -> None:
    stack = new_stack()
    operators = iam.ManagedPolicy(stack, "Operators")
    job(stack).grant_start(operators)
    document = by_type(resources(stack), "AWS::IAM::ManagedPolicy", "Operators")["Properties"]["PolicyDocument"]
    assert {action for each in document["Statement"] for action in each["Action"]} == {
        "glue:BatchStopJobRun",
        "glue:GetJobRun",
        "glue:GetJobRuns",
        "glue:StartJobRun",
    }


# Refusals.


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"customer": {"name": "acme"}}, "customer"),
        ({"code": "s3://code/script.py"}, "code"),
        ({"customer": customer(rules="other")}, "customer"),
        ({"subnet_id": "vpc-0123456789abcdef0"}, "subnet_id"),
        ({"availability_zone": "eu-central-1"}, "availability_zone"),
        ({"security_group_ids": "sg-0123456789abcdef0"}, "security_group_ids"),
        ({"security_group_ids": []}, "security_group_ids"),
        ({"glue_version": "5.1"}, "glue_version"),
        ({"worker_type": "Standard"}, "worker_type"),
        ({"maximum_workers": 1}, "maximum_workers"),
        ({"maximum_workers": 300}, "maximum_workers"),
        ({"timeout": 60}, "timeout"),
        ({"timeout": cdk.Duration.seconds(90)}, "timeout"),
        ({"timeout": cdk.Duration.days(8)}, "timeout"),
        ({"retries": 11}, "retries"),
        ({"retries": -1}, "retries"),
        ({"failure_topic": "arn:aws:sns:eu-central-1:111122223333:failures"}, "failure_topic"),
        ({"key_alias_name": "acme"}, "key_alias_name"),
        ({"key_rotation_period": cdk.Duration.days(30)}, "key_rotation_period"),
        ({"key_pending_window": cdk.Duration.days(1)}, "key_pending_window"),
        ({"key_users": ["arn:aws:iam::111122223333:role/reader"]}, "key_users"),
        ({"bucket_name_prefix": "Acme"}, "bucket_name_prefix"),
        ({"bucket_name_prefix": "a" * 37}, "bucket_name_prefix"),
        ({"noncurrent_version_expiration": cdk.Duration.days(0)}, "noncurrent_version_expiration"),
        (
            {"abort_incomplete_multipart_upload_after": cdk.Duration.days(366)},
            "abort_incomplete_multipart_upload_after",
        ),
        ({"access_log_prefix": "acme/"}, "access_log_prefix"),
        ({"access_log_bucket": "logs"}, "access_log_bucket"),
        ({"removal_policy": cdk.RemovalPolicy.SNAPSHOT}, "removal_policy"),
        ({"customer": customer(readers=[READER.replace("111122223333", "444455556666")])}, "readers"),
    ],
)
def test_refused(options: dict[str, Any], argument: str) -> None:
    stack = new_stack()
    with pytest.raises(ValueError, match=rf"(?s)^acme: {argument} is .+; allowed: .+; .+[^.]$"):
        job(stack, **options)
    assert stack.node.try_find_child("acme") is None


def test_a_reader_who_administers_the_key_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"^acme: readers is '{READER}'; allowed: principals that aren't administrat"):
        job(new_stack(), customer=customer(readers=[READER]), key_administrators=[iam.ArnPrincipal(READER)])


@pytest.mark.parametrize(
    ("said", "argument"),
    [
        ({"script": "script.py"}, "script"),
        ({"script": "s3://code/*"}, "script"),
        ({"rules": {}}, "rules"),
        ({"rules": {"a": "rules.zip"}}, "rules"),
        ({"rules": {"a": "s3://code/rules.sql"}}, "rules"),
        ({"packages": "s3://code/package.zip"}, "packages"),
        ({"packages": ["package.zip"]}, "packages"),
        ({"modules": ["pyarrow"]}, "modules"),
        ({"modules": ["pyarrow>=21"]}, "modules"),
        ({"key_arn": "alias/code"}, "key_arn"),
    ],
)
def test_refused_code(said: dict[str, Any], argument: str) -> None:
    with pytest.raises(ValueError, match=rf"^JobCode: {argument} is .+; allowed: .+; .+[^.]$"):
        JobCode(**{"script": CODE.script, "rules": CODE.rules, **said})


def test_tokens_pass() -> None:
    stack = new_stack(env=None)

    def token(name: str) -> str:
        return cdk.CfnParameter(stack, name).value_as_string

    job(
        stack,
        customer=customer(
            title=token("Title"),
            secret_arn=token("Secret"),
            secret_key_arn=token("SecretKey"),
            jdbc_url=token("Url"),
            ca_certificate=token("Certificate"),
            schedule=token("Schedule"),
            readers=[token("ReaderArn")],
            tags={"cost-center": token("Tag")},
        ),
        code=JobCode(
            script=token("Script"),
            rules={"clinical-trials": token("Rules")},
            packages=[token("Package")],
            modules=[token("Module")],
            key_arn=token("CodeKey"),
        ),
        subnet_id=token("Subnet"),
        availability_zone=token("Zone"),
        security_group_ids=[token("SecurityGroup")],
        worker_type=token("Worker"),
        bucket_name_prefix=token("Prefix"),
        key_alias_name=token("Alias"),
    )
    synthesized = template(stack)
    text = json.dumps(synthesized["Resources"])
    names = [name for name in synthesized["Parameters"] if name != "BootstrapVersion"]
    assert len(names) == 19
    assert [name for name in names if json.dumps({"Ref": name}) not in text] == []


def test_the_network_options_are_those_of_the_fixture() -> None:
    assert set(NETWORK) == {"subnet_id", "availability_zone", "security_group_ids"}

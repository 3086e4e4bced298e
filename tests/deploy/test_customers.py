"""Two customers deployed: read back what Glue is told, and try as each job's role what it may and what it may not."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from botocore.config import Config
from botocore.exceptions import ClientError

from cdk_encrypted_data import AccessLogBucket, FailureTopic, JobCode, PerCustomerGlueJob
from cdk_encrypted_data_job.envelope import CONTEXT, STATE_CONTEXT, seal, unseal
from cdk_encrypted_data_job.errors import NotAuthenticError
from cdk_encrypted_data_operations.checks import Outcome
from cdk_encrypted_data_operations.off_boarding import OffBoarding
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.inbox import Inbox
from devtools.embedded_aws.server import EmbeddedAws
from tests.customers.fixtures import NETWORK, customer
from tests.customers.test_job_code import rules

pytestmark = pytest.mark.deploy

NAMES = ("acme", "globex")
RULES = {"acme": "clinical-trials", "globex": "registries"}
# The second one may read every object of the account, as far as S3 is concerned.
READERS = ("reader", "wide-reader")
REFUSED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")


class Deployed(NamedTuple):
    """A customer's things, and clients with the rights of their job."""

    bucket: str
    key_arn: str
    secret_arn: str
    job: dict[str, Any]
    client: Callable[[str], Any]


class Deployment(NamedTuple):
    """A running embedded AWS with two customers."""

    aws: EmbeddedAws
    customers: dict[str, Deployed]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    place = tmp_path_factory.mktemp("deploy")
    with EmbeddedAws() as aws:
        secrets = made_secrets(aws)
        synthesize(place, cdk.Environment(account=aws.account_id, region=aws.region), secrets)
        run_cdk(aws, "bootstrap", app=place / "cdk.out")
        run_cdk(aws, "deploy", "--all", "--require-approval=never", app=place / "cdk.out")
        yield Deployment(aws, {name: deployed(aws, name, secrets[name]) for name in NAMES})


def made_secrets(aws: EmbeddedAws) -> dict[str, str]:
    """Make each customer's secret; return their ARNs."""
    client = aws.client("secretsmanager")
    made = {name: client.create_secret(Name=f"{name}/database", SecretString='{"username": "u"}') for name in NAMES}
    return {name: secret["ARN"] for name, secret in made.items()}


def synthesize(place: Path, env: cdk.Environment, secrets: dict[str, str]) -> None:
    app = cdk.App(outdir=str(place / "cdk.out"))
    stack = cdk.Stack(app, "Fleet", env=env)
    code = JobCode.from_assets(stack, "Code", rules={each: rules_of(place, each) for each in RULES.values()})
    logs = AccessLogBucket(stack, "Logs")
    failures = FailureTopic(stack, "Failures")
    everything = iam.PolicyStatement(actions=["s3:Get*", "s3:List*"], resources=["*"])
    for name in NAMES:
        readers = [
            iam.Role(stack, f"{kind}-{name}", role_name=f"{kind}-{name}", assumed_by=iam.AccountRootPrincipal())
            for kind in READERS
        ]
        readers[1].add_to_policy(everything)
        made = PerCustomerGlueJob(
            stack,
            name,
            key_users=readers,
            customer=customer(name, secret_arn=secrets[name], rules=RULES[name], schedule="cron(0 3 * * ? *)"),
            code=code,
            **NETWORK,
            failure_topic=failures.topic,
            access_log_bucket=logs,
        )
        for reader in readers:
            made.grant_read(reader)
    app.synth()


def rules_of(place: Path, name: str) -> Path:
    """Make rules that differ from the others', or both would be one object."""
    directory = place / name
    directory.mkdir()
    return rules(directory, **{f"write_{name.replace('-', '_')}.sql": "SELECT subject_id FROM subjects"})


def deployed(aws: EmbeddedAws, name: str, secret_arn: str) -> Deployed:
    jobs = aws.client("glue").get_jobs()["Jobs"]
    (job,) = [each for each in jobs if each["NonOverridableArguments"]["--customer"] == name]
    arguments = job["NonOverridableArguments"]
    role_name = job["Role"].rpartition("/")[2]
    # Nothing here calls as a service, so that Glue is trusted shows the proofs: for these tests the account is.
    trust = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").update_assume_role_policy(RoleName=role_name, PolicyDocument=document)
    session = aws.assume_role(job["Role"])
    return Deployed(
        bucket=arguments["--output"].split("/")[2],
        key_arn=arguments["--key-arn"],
        secret_arn=secret_arn,
        job=job,
        client=lambda service: aws.client(service, credentials=session),
    )


def refused(call: Any, **request: Any) -> bool:  # noqa: ANN401 - boto3
    """Try a call; tell whether it was refused. Anything else that goes wrong is raised."""
    try:
        call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] not in REFUSED:
            raise
        return True
    return False


def test_the_security_configuration(deployment: Deployment) -> None:
    for each in deployment.customers.values():
        name = each.job["SecurityConfiguration"]
        found = deployment.aws.client("glue").get_security_configuration(Name=name)["SecurityConfiguration"]
        encryption = found["EncryptionConfiguration"]
        key = {"KmsKeyArn": each.key_arn}
        assert encryption == {
            "S3Encryption": [{"S3EncryptionMode": "SSE-KMS", **key}],
            "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", **key},
            "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", **key},
        }


def test_connection_and_trigger(deployment: Deployment) -> None:
    glue = deployment.aws.client("glue")
    for each in deployment.customers.values():
        (name,) = each.job["Connections"]["Connections"]
        properties = glue.get_connection(Name=name)["Connection"]["ConnectionProperties"]
        assert (properties["JDBC_ENFORCE_SSL"], properties["SECRET_ID"]) == ("true", each.secret_arn)
        assert glue.get_trigger(Name=each.job["Name"])["Trigger"]["Actions"] == [{"JobName": each.job["Name"]}]


def test_what_is_a_customers_is_tagged_so(deployment: Deployment) -> None:
    aws = deployment.aws
    for name, each in deployment.customers.items():
        job = f"arn:aws:glue:{aws.region}:{aws.account_id}:job/{each.job['Name']}"
        assert aws.client("glue").get_tags(ResourceArn=job)["Tags"]["customer"] == name
        on_key = {
            tag["TagKey"]: tag["TagValue"] for tag in aws.client("kms").list_resource_tags(KeyId=each.key_arn)["Tags"]
        }
        on_bucket = {
            tag["Key"]: tag["Value"] for tag in aws.client("s3").get_bucket_tagging(Bucket=each.bucket)["TagSet"]
        }
        assert (on_key["customer"], on_bucket["customer"]) == (name, name)


def test_the_code_is_where_the_job_looks_and_the_job_may_read_it(deployment: Deployment) -> None:
    for each in deployment.customers.values():
        arguments = each.job["NonOverridableArguments"]
        named = {location for value in arguments.values() for location in value.split(",")}
        locations = {each for each in named if each.endswith((".py", ".zip"))}
        # The script, the package and the rules; where nothing is to be said, the rules stand in.
        assert len(locations) == 3
        assert {each.job["Command"]["ScriptLocation"], arguments["--rules"], arguments["--extra-jars"]} <= locations
        for location in locations:
            bucket, _, key = location.removeprefix("s3://").partition("/")
            assert each.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        (bucket, _, _) = arguments["--rules"].removeprefix("s3://").partition("/")
        other = deployment.aws.client("s3").put_object(Bucket=bucket, Key="other.zip", Body=b"x")
        assert other["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert refused(each.client("s3").get_object, Bucket=bucket, Key="other.zip")


@pytest.mark.parametrize("name", NAMES)
def test_a_job_can_take_its_steps(deployment: Deployment, name: str) -> None:
    own = deployment.customers[name]
    s3, kms = own.client("s3"), own.client("kms")
    assert own.client("secretsmanager").get_secret_value(SecretId=own.secret_arn)["SecretString"]
    data_key = kms.generate_data_key(KeyId=own.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    opened = kms.decrypt(KeyId=own.key_arn, CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == data_key["Plaintext"]
    s3.put_object(Bucket=own.bucket, Key="data/a", Body=b"x", Metadata={"k": base64.b64encode(b"k").decode()})
    stored = s3.get_object(Bucket=own.bucket, Key="data/a")
    assert (stored["Body"].read(), stored["SSEKMSKeyId"]) == (b"x", own.key_arn)
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=own.bucket, Prefix="data/")["Contents"]] == ["data/a"]
    s3.put_object(Bucket=own.bucket, Key="tmp/a", Body=b"x")
    s3.delete_object(Bucket=own.bucket, Key="tmp/a")


@pytest.mark.parametrize("name", NAMES)
def test_and_no_others(deployment: Deployment, name: str) -> None:
    own = deployment.customers[name]
    s3, kms = own.client("s3"), own.client("kms")
    data_key = {"KeyId": own.key_arn, "KeySpec": "AES_256"}
    assert refused(kms.generate_data_key, **data_key)
    assert refused(kms.generate_data_key, **data_key, EncryptionContext={"purpose": "other"})
    assert refused(kms.generate_data_key, **data_key, EncryptionContext={**CONTEXT, "aws:s3:arn": "arn:aws:s3:::b"})
    assert refused(kms.disable_key, KeyId=own.key_arn)
    assert refused(kms.schedule_key_deletion, KeyId=own.key_arn)
    assert refused(s3.delete_object, Bucket=own.bucket, Key="data/a")
    assert refused(s3.put_bucket_policy, Bucket=own.bucket, Policy="{}")
    assert refused(s3.put_object, Bucket=own.bucket, Key="data/b", Body=b"x", ServerSideEncryption="AES256")


@pytest.mark.parametrize(("name", "other"), [NAMES, NAMES[::-1]])
def test_nothing_of_another_customer(deployment: Deployment, name: str, other: str) -> None:
    own, others = deployment.customers[name], deployment.customers[other]
    s3, kms = own.client("s3"), own.client("kms")
    for place in ("data", "tmp"):
        others.client("s3").put_object(Bucket=others.bucket, Key=f"{place}/theirs", Body=b"x")
        assert refused(s3.get_object, Bucket=others.bucket, Key=f"{place}/theirs")
        assert refused(s3.put_object, Bucket=others.bucket, Key=f"{place}/mine", Body=b"x")
        assert refused(s3.delete_object, Bucket=others.bucket, Key=f"{place}/theirs")
    assert refused(s3.list_objects_v2, Bucket=others.bucket)
    assert refused(kms.generate_data_key, KeyId=others.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    sealed = others.client("kms").generate_data_key(KeyId=others.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)[
        "CiphertextBlob"
    ]
    assert refused(kms.decrypt, KeyId=others.key_arn, CiphertextBlob=sealed, EncryptionContext=CONTEXT)
    assert refused(own.client("secretsmanager").get_secret_value, SecretId=others.secret_arn)


@pytest.mark.parametrize(("name", "other"), [NAMES, NAMES[::-1]])
def test_each_reads_its_own_rules(deployment: Deployment, name: str, other: str) -> None:
    # The script and the package are everybody's; rules are of those who name them.
    own, others = (deployment.customers[each] for each in (name, other))
    locations = [each.job["NonOverridableArguments"]["--rules"].removeprefix("s3://") for each in (own, others)]
    (bucket, _, ours), (_, _, theirs) = (each.partition("/") for each in locations)
    assert not refused(own.client("s3").get_object, Bucket=bucket, Key=ours)
    assert refused(own.client("s3").get_object, Bucket=bucket, Key=theirs)
    assert refused(own.client("s3").put_object, Bucket=bucket, Key=ours, Body=b"x")


@pytest.mark.parametrize(("name", "other"), [NAMES, NAMES[::-1]])
def test_each_writes_its_own_logs(deployment: Deployment, name: str, other: str) -> None:
    own, others = (deployment.customers[each] for each in (name, other))
    logs, events = own.client("logs"), [{"timestamp": 0, "message": "x"}]
    ours, theirs = log_group(own), log_group(others)
    assert not refused(logs.create_log_group, logGroupName=ours, kmsKeyId=own.key_arn)
    assert not refused(logs.create_log_stream, logGroupName=ours, logStreamName="jr_1")
    assert not refused(logs.put_log_events, logGroupName=ours, logStreamName="jr_1", logEvents=events)
    # Theirs are there, or there would be nothing to refuse.
    deployment.aws.client("logs").create_log_group(logGroupName=theirs)
    deployment.aws.client("logs").create_log_stream(logGroupName=theirs, logStreamName="jr_1")
    # A run that is started with another security configuration logs under its name.
    role, elsewhere = ours.split("/")[-2], f"/aws-glue/jobs/{others.job['SecurityConfiguration']}-role"
    for group in (theirs, f"{elsewhere}/{role}/output", "/aws-glue/jobs/output"):
        assert refused(logs.create_log_group, logGroupName=group)
        assert refused(logs.create_log_stream, logGroupName=group, logStreamName="jr_2")
        assert refused(logs.put_log_events, logGroupName=group, logStreamName="jr_1", logEvents=events)
    # Nor does a job read any.
    for group in (ours, theirs):
        assert refused(logs.get_log_events, logGroupName=group, logStreamName="jr_1")
    deployment.aws.client("logs").delete_log_group(logGroupName=theirs)
    deployment.aws.client("logs").delete_log_group(logGroupName=ours)


def log_group(customer: Deployed) -> str:
    """Return where a customer's job logs: https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html."""
    role = customer.job["Role"].rpartition("/")[2]
    return f"/aws-glue/jobs/{customer.job['SecurityConfiguration']}-role/{role}/output"


@pytest.fixture(scope="module")
def sealed(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Store, as the job of acme does, a row of an output and one from before the rules."""
    own = deployment.customers["acme"]
    for name, context in CONTEXTS.items():
        body, metadata = seal(b"a row", kms=own.client("kms"), key_arn=own.key_arn, context=context)
        own.client("s3").put_object(Bucket=own.bucket, Key=name, Body=body, Metadata=metadata)
    return {name: {"Bucket": own.bucket, "Key": name} for name in CONTEXTS}


CONTEXTS = {"data/runs/1/a": CONTEXT, "state/1/a": STATE_CONTEXT}


def opened(own: Deployed, request: dict[str, Any], client: Callable[[str], Any], context: dict[str, str]) -> bytes:
    stored = client("s3").get_object(**request)
    body = stored["Body"].read()
    return unseal("it", body, stored["Metadata"], kms=client("kms"), key_arn=own.key_arn, context=context)


def test_readers_read_outputs_and_no_row_from_before_the_rules(
    deployment: Deployment, sealed: dict[str, dict[str, Any]]
) -> None:
    own = deployment.customers["acme"]
    output, state = sealed
    for name, context in CONTEXTS.items():
        assert opened(own, sealed[name], own.client, context) == b"a row"
    for kind in READERS:
        session = deployment.aws.assume_role(f"arn:aws:iam::{deployment.aws.account_id}:role/{kind}-acme")
        client = functools.partial(deployment.aws.client, credentials=session)
        assert opened(own, sealed[output], client, CONTEXT) == b"a row"
        # S3 refuses the one, and KMS both: for a reader's other policies may say what they like.
        assert refused(client("s3").get_object, **sealed[state]) is (kind == "reader")
        key = own.client("s3").head_object(**sealed[state])["Metadata"]["x-amz-key-v2"]
        decrypt = {"KeyId": own.key_arn, "CiphertextBlob": base64.b64decode(key)}
        assert refused(client("kms").decrypt, **decrypt, EncryptionContext=STATE_CONTEXT)
        with pytest.raises(ClientError, match="InvalidCiphertext"):
            client("kms").decrypt(**decrypt, EncryptionContext=CONTEXT)
    # A row from before the rules isn't taken for one of an output either.
    with pytest.raises(NotAuthenticError):
        opened(own, sealed[state], own.client, CONTEXT)


def test_the_account_uses_no_customers_key(deployment: Deployment) -> None:
    # Whatever IAM policies say: the key names its users.
    everything = deployment.aws.create_user("everything", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    own = deployment.customers["acme"]
    own.client("s3").put_object(Bucket=own.bucket, Key="data/c", Body=b"x")
    assert refused(deployment.aws.client("s3", credentials=everything).get_object, Bucket=own.bucket, Key="data/c")


STATE = "Glue Job State Change"


class TestFailureTopic:
    def test_failed_runs_of_every_customer_are_told_and_others_not(self, deployment: Deployment) -> None:
        aws = deployment.aws
        inbox = Inbox.of(aws, topic(aws)["TopicArn"])
        for each in deployment.customers.values():
            for state in ("RUNNING", "SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT", "ERROR"):
                aws.announce("aws.glue", STATE, {"jobName": each.job["Name"], "state": state, "jobRunId": "jr_1"})
        aws.announce("aws.glue", STATE, {"jobName": "somebody else's", "state": "FAILED"})
        told = [(each["detail"]["jobName"], each["detail"]["state"]) for each in inbox.take(seconds=10)]
        names = [each.job["Name"] for each in deployment.customers.values()]
        assert sorted(told) == sorted((name, state) for name in names for state in ("ERROR", "FAILED", "TIMEOUT"))

    def test_another_service_tells_it_nothing(self, deployment: Deployment) -> None:
        # The alarm is this account's own; its topic's policy and key don't name CloudWatch.
        aws = deployment.aws
        arn = topic(aws)["TopicArn"]
        inbox = Inbox.of(aws, arn)
        cloudwatch = aws.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName="ours",
            AlarmActions=[arn],
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            MetricName="Other",
            Namespace="Ours",
            Period=60,
            Statistic="Sum",
            Threshold=0,
        )
        cloudwatch.set_alarm_state(AlarmName="ours", StateValue="ALARM", StateReason="tried")
        assert inbox.take() == []

    def test_nobody_else_uses_its_key(self, deployment: Deployment) -> None:
        aws = deployment.aws
        everything = aws.create_user("publisher", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        data_key = {"KeyId": topic(aws)["KmsMasterKeyId"], "KeySpec": "AES_256"}
        # By which SNS would encrypt what they publish.
        assert refused(aws.client("kms", credentials=everything).generate_data_key, **data_key)
        assert refused(deployment.customers["acme"].client("kms").generate_data_key, **data_key)

    def test_nothing_over_plain_http(self, deployment: Deployment) -> None:
        aws = deployment.aws
        arn = topic(aws)["TopicArn"]
        everything = aws.create_user("reader", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        for plain_http in (False, True):
            sns = aws.client("sns", credentials=everything, plain_http=plain_http)
            assert refused(sns.get_topic_attributes, TopicArn=arn) is plain_http
        sns = aws.client("sns", credentials=everything)
        for protocol in ("https", "http"):
            endpoint = f"{protocol}://127.0.0.1:9/none"
            assert refused(sns.subscribe, TopicArn=arn, Protocol=protocol, Endpoint=endpoint) is (protocol == "http")


def topic(aws: EmbeddedAws) -> dict[str, str]:
    sns = aws.client("sns")
    (arn,) = (each["TopicArn"] for each in sns.list_topics()["Topics"])
    attributes: dict[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return attributes


def test_a_second_deployment_changes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    secrets = {name: each.secret_arn for name, each in deployment.customers.items()}
    synthesize(tmp_path, cdk.Environment(account=deployment.aws.account_id, region=deployment.aws.region), secrets)
    output = run_cdk(deployment.aws, "deploy", "--all", "--require-approval=never", app=tmp_path / "cdk.out")
    assert "no changes" in str(output)


def test_a_customer_is_taken_off_and_the_other_stays(deployment: Deployment, tmp_path: Path) -> None:
    aws = deployment.aws
    gone, stays = (deployment.customers[name] for name in NAMES)
    written = {
        each.bucket: each.client("kms").generate_data_key(
            KeyId=each.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT
        )
        for each in (gone, stays)
    }
    for each in (gone, stays):
        each.client("s3").put_object(Bucket=each.bucket, Key="data/last", Body=b"theirs")
    end = OffBoarding(
        customer=NAMES[0],
        regions=[aws.region],
        administrators=[f"arn:aws:iam::{aws.account_id}:root"],
        evidence=tmp_path / "evidence.json",
        session=aws.session(),
        config=Config(proxies={}),
    )
    found = end.inspect()
    assert [check.found for check in found.checks if check.outcome is Outcome.REFUSED] == []
    assert ([key.arn for key in found.keys], [bucket.name for bucket in found.buckets]) == (
        [gone.key_arn],
        [gone.bucket],
    )
    assert [(job.name, job.triggers) for job in found.jobs] == [(gone.job["Name"], (gone.job["Name"],))]
    end.stop(found)
    end.destroy(end.inspect())
    assert end.verify().is_done

    def opens(each: Deployed) -> bool:
        ciphertext = written[each.bucket]["CiphertextBlob"]
        try:
            each.client("s3").get_object(Bucket=each.bucket, Key="data/last")
            each.client("kms").decrypt(CiphertextBlob=ciphertext, KeyId=each.key_arn, EncryptionContext=CONTEXT)
        except ClientError:
            return False
        return True

    assert (opens(gone), opens(stays)) == (False, True)
    assert aws.client("kms").describe_key(KeyId=gone.key_arn)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    end.take_back(end.inspect())
    assert opens(gone)

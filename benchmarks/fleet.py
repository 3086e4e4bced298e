"""What a fleet costs to synthesize: PerCustomerGlueJob, and the same resources by hand, in Python and in TypeScript.

``make benchmark`` runs it. Each measurement is a process of its own, from its start to its templates, so that none
finds anything warm and each has its own memory. The three of one repetition run one after the other in changing order;
the ratios are taken within a repetition, and shown are their median and range: the seconds say something about this
machine at this moment only.

What is measured by hand is what a careful person would write with the CDK's L2s: the same kinds and numbers of
resources, with less policy. That both languages make the same templates is checked before anything is measured. The
TypeScript is run as its compiler would leave it, on the aws-cdk-lib that the Python package of that name brings along.
The CDK's own validator is off: it costs everybody the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

_PROJECT = Path(__file__).parents[1]
_BY_HAND = Path(__file__).with_name("fleet_by_hand.cjs")
_REPETITIONS = {10: 5, 100: 3, 1000: 3}
# A customer has ten resources of 15 kB; CloudFormation takes 500 and 1 MB.
_CUSTOMERS_IN_A_STACK = 40
_WIDTH_IN_A_FILE = 160
_OURS, _PYTHON, _TYPESCRIPT = "PerCustomerGlueJob", "plain L2s", "plain L2s, TypeScript"
_MAKERS = (_OURS, _PYTHON, _TYPESCRIPT)
_ACCOUNT, _REGION = "111122223333", "eu-central-1"
_SUBNET, _ZONE, _GROUP = "subnet-0123456789abcdef0", "eu-central-1a", "sg-0123456789abcdef0"


class Cost(NamedTuple):
    """What one program took: seconds, and megabytes at their most, Python's and Node's together."""

    whole: float
    imports: float
    construct: float
    synth: float
    processor: float
    megabytes: float


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure what a fleet costs to synthesize, against doing it by hand.")
    parser.add_argument("--customers", type=int, action="append", help="only so many; may be repeated")
    parser.add_argument("--repetitions", type=int, help="how often each is measured")
    parser.add_argument("--one", nargs=3, metavar=("MAKER", "CUSTOMERS", "DIRECTORY"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        return _one(options.one[0], int(options.one[1]), options.one[2])
    sizes = options.customers or list(_REPETITIONS)
    with tempfile.TemporaryDirectory() as directory:
        modules = _node_modules(Path(directory))
        if problem := _difference(modules):
            print(problem, file=sys.stderr)
            return 1
        _measure({size: options.repetitions or _REPETITIONS.get(size, 1) for size in sizes}, modules)
    return 0


def _measure(repetitions: dict[int, int], modules: Path) -> None:
    from rich.console import Console  # noqa: PLC0415 - not in the processes that are measured
    from rich.progress import Progress  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_FILE
    columns = ("whole, s", "imports", "construct", "synth", "processor, s", "memory, MB", "ours : this", "processor")
    table = Table(
        title="A fleet of customers, from the start of the program to its templates", caption="median (least-most)"
    )
    table.add_column("customers", justify="right")
    table.add_column("made with")
    for column in columns:
        table.add_column(column, justify="right")
    with Progress(console=console, transient=True) as progress:
        for size, times in repetitions.items():
            rounds = [
                {maker: _run(maker, size, modules)[0] for maker in (*_MAKERS[turn % 3 :], *_MAKERS[: turn % 3])}
                for turn in progress.track(range(times), description=f"{size} customers")
            ]
            for maker in _MAKERS:
                costs = [each[maker] for each in rounds]
                cells = [
                    _spread([getattr(cost, part) for cost in costs], digits=0 if part == "megabytes" else 1)
                    for part in Cost._fields
                ]
                for part in ("whole", "processor"):
                    ratios = [getattr(each[_OURS], part) / getattr(each[maker], part) for each in rounds]
                    cells.append("" if maker == _OURS else _spread(ratios, digits=2))
                last = maker == _MAKERS[-1]
                table.add_row(str(size) if maker == _OURS else "", maker, *cells, end_section=last)
    console.print(table)


def _spread(values: list[float], *, digits: int) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _run(maker: str, customers: int, modules: Path) -> tuple[Cost, dict[str, Any]]:
    """Run one program; return what it cost and its templates."""
    outdir = tempfile.mkdtemp(dir=modules)
    environment = os.environ | {"NODE_PATH": str(modules), "PYTHONPATH": f"{_PROJECT / 'constructs'}:{_PROJECT}"}
    command = [sys.executable, __file__, "--one", maker, str(customers), outdir]
    if maker == _TYPESCRIPT:
        node = environment.get("JSII_NODE", "node")
        command = [node, str(_BY_HAND), str(customers), str(_CUSTOMERS_IN_A_STACK), outdir, json.dumps(_flags())]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    whole = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{maker}, {customers} customers: {done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    templates = {file.name: json.loads(file.read_text()) for file in sorted(Path(outdir).glob("*.template.json"))}
    shutil.rmtree(outdir)
    return Cost(whole=whole, processor=processor, **said), templates


def _node_modules(directory: Path) -> Path:
    """Unpack the CDK that Python's packages bring along, for Node to find."""
    for package in ("@aws-cdk/cloud-assembly-schema", "aws-cdk-lib", "constructs"):
        name = package.removeprefix("@").replace("/", ".")
        (archive,) = (Path(str(file.locate())) for file in distribution(name).files or [] if file.name.endswith(".tgz"))
        with tarfile.open(archive) as content:
            content.extractall(directory / "unpacked", filter="data")
        (directory / package).parent.mkdir(exist_ok=True)
        (directory / "unpacked" / "package").rename(directory / package)
    return directory


def _difference(modules: Path) -> str | None:
    """Return what isn't the same in the three programs' templates."""
    made = {maker: _run(maker, 2, modules)[1] for maker in _MAKERS}
    kinds = {
        maker: Counter(
            each["Type"]
            for template in templates.values()
            for each in template["Resources"].values()
            if each["Type"] != "AWS::CDK::Metadata"
        )
        for maker, templates in made.items()
    }
    if made[_PYTHON] != made[_TYPESCRIPT]:
        return "by hand, Python and TypeScript make different templates: bring them up to date"
    if kinds[_OURS] != kinds[_PYTHON]:
        return f"by hand other resources are made: {kinds[_OURS] - kinds[_PYTHON]}, {kinds[_PYTHON] - kinds[_OURS]}"
    return None


def _flags() -> dict[str, object]:
    """Return the feature flags of our own app, which are those that `cdk init` recommends."""
    context = json.loads((_PROJECT / "cdk.json").read_text())["context"]
    return {name: value for name, value in context.items() if name.startswith("@aws-cdk")}


# What is measured, in a process of its own.


def _one(maker: str, customers: int, outdir: str) -> int:
    start = time.perf_counter()
    import aws_cdk as cdk  # noqa: PLC0415 - the imports are measured

    make = _ours() if maker == _OURS else _by_hand()
    imported = time.perf_counter()
    app = cdk.App(outdir=outdir, context=_flags(), builtin_cloud_formation_validation=False)
    stack: Any = None
    for number in range(customers):
        if number % _CUSTOMERS_IN_A_STACK == 0:
            env = cdk.Environment(account=_ACCOUNT, region=_REGION)
            stack = cdk.Stack(app, f"Customers{number // _CUSTOMERS_IN_A_STACK}", env=env)
        make(stack, f"customer-{number}")
    constructed = time.perf_counter()
    app.synth()
    ended = time.perf_counter()
    print(
        json.dumps(
            {
                "imports": imported - start,
                "construct": constructed - imported,
                "synth": ended - constructed,
                "megabytes": _megabytes(),
            }
        )
    )
    return 0


def _megabytes() -> float:
    """Return the most memory that this process and its Node have had."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    parents: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):  # on Linux; elsewhere Node's isn't known
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue  # it has ended
        process = int(status.parent.name)
        parents[process] = int(lines["PPid"])
        peaks[process] = int(lines.get("VmHWM", "0 kB").split()[0])
    # Node is a child of jsii's, which is one of ours.
    family = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    return own + sum(peaks[process] for process in family - {os.getpid()}) / 1024


def _ours() -> Any:  # noqa: ANN401 - what makes a customer
    from cdk_encrypted_data import Customer, JobCode, PerCustomerGlueJob, TableSource  # noqa: PLC0415

    code = JobCode(script="s3://acme-code/script.py", rules={"clinical-trials": "s3://acme-code/rules.zip"})
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    tables = [TableSource(name="subjects", source="public.subjects")]

    def make(stack: Any, name: str) -> None:  # noqa: ANN401 - a stack
        customer = Customer(
            name=name,
            secret_arn=_secret(name),
            jdbc_url=f"jdbc:postgresql://{name}.example.com:5432/clinical",
            ca_certificate=certificate,
            tables=tables,
            rules="clinical-trials",
            schedule="cron(0 3 * * ? *)",
        )
        PerCustomerGlueJob(
            stack,
            name,
            customer=customer,
            code=code,
            subnet_id=_SUBNET,
            availability_zone=_ZONE,
            security_group_ids=[_GROUP],
        )

    return make


def _secret(name: str) -> str:
    return f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:{name}/database-AbCdEf"


def _by_hand() -> Any:  # noqa: ANN401 - one program, as a person would write it
    import aws_cdk as cdk  # noqa: PLC0415
    from aws_cdk import aws_ec2 as ec2  # noqa: PLC0415
    from aws_cdk import aws_glue as glue  # noqa: PLC0415
    from aws_cdk import aws_iam as iam  # noqa: PLC0415
    from aws_cdk import aws_kms as kms  # noqa: PLC0415
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415
    from aws_cdk import aws_secretsmanager as secretsmanager  # noqa: PLC0415
    from constructs import Construct  # noqa: PLC0415

    places: dict[str, tuple[glue.ConnectionNetwork, ec2.ISecurityGroup]] = {}

    def place_in(stack: cdk.Stack) -> tuple[glue.ConnectionNetwork, ec2.ISecurityGroup]:
        if stack.stack_name not in places:
            group = ec2.SecurityGroup.from_security_group_id(stack, "Group", _GROUP)
            subnet = ec2.Subnet.from_subnet_attributes(stack, "Subnet", subnet_id=_SUBNET, availability_zone=_ZONE)
            places[stack.stack_name] = (glue.ConnectionNetwork.subnet(subnet), group)
        return places[stack.stack_name]

    def bucket_of(scope: Construct, key: kms.Key) -> s3.Bucket:
        bucket = s3.Bucket(
            scope,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Retention",
                    noncurrent_version_expiration=cdk.Duration.days(90),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(id="Temporary", prefix="tmp/", expiration=cdk.Duration.days(7)),
            ],
        )
        for header, value in (
            ("s3:x-amz-server-side-encryption", "aws:kms"),
            ("s3:x-amz-server-side-encryption-aws-kms-key-id", key.key_arn),
        ):
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=["s3:PutObject"],
                    resources=[bucket.arn_for_objects("*")],
                    conditions={"Null": {header: "false"}, "StringNotEquals": {header: value}},
                )
            )
        return bucket

    def make(stack: cdk.Stack, name: str) -> None:
        network, group = place_in(stack)
        scope = Construct(stack, name)
        key = kms.Key(
            scope,
            "Key",
            alias=f"alias/{cdk.Aws.STACK_NAME}/{name}",
            description=f"Encrypts the data of {name}",
            enable_key_rotation=True,
        )
        bucket = bucket_of(scope, key)
        role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        may = [
            (["s3:ListBucket", "s3:GetBucketLocation"], bucket.bucket_arn),
            (["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], bucket.arn_for_objects("*")),
            (["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], key.key_arn),
            (["secretsmanager:GetSecretValue"], _secret(name)),
            (["s3:GetObject"], "arn:aws:s3:::acme-code/*"),
            (
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:AssociateKmsKey"],
                f"arn:aws:logs:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:log-group:/aws-glue/jobs/*",
            ),
            (["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces"], "*"),
            (["cloudwatch:PutMetricData"], "*"),
        ]
        iam.ManagedPolicy(
            scope,
            "Permissions",
            roles=[role],
            statements=[iam.PolicyStatement(actions=actions, resources=[on]) for actions, on in may],
        )
        log_groups = "arn:aws:logs:*:*:log-group:/aws-glue/jobs/*"
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("logs.amazonaws.com")],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
            )
        )
        security = glue.SecurityConfiguration(
            scope,
            "SecurityConfiguration",
            s3_encryption=glue.S3Encryption.kms(key),
            cloud_watch_encryption=glue.CloudWatchEncryption.kms(key),
            job_bookmarks_encryption=glue.JobBookmarksEncryption.client_side_kms(key),
        )
        connection = glue.Connection(
            scope,
            "Connection",
            type=glue.ConnectionType.JDBC,
            connection_name=name,
            network=network,
            security_groups=[group],
            secret=secretsmanager.Secret.from_secret_complete_arn(scope, "Secret", _secret(name)),
            properties={
                "JDBC_CONNECTION_URL": f"jdbc:postgresql://{name}.example.com:5432/clinical",
                "JDBC_ENFORCE_SSL": "true",
            },
        )
        job = glue.PySparkEtlJob(
            scope,
            "Job",
            role=role.without_policy_updates(),
            script=glue.Code.from_bucket(s3.Bucket.from_bucket_name(scope, "Code", "acme-code"), "script.py"),
            connections=[connection],
            job_name=name,
            glue_version=glue.GlueVersion.V5_1,
            worker_configuration=glue.WorkerConfiguration(worker_type=glue.WorkerType.G_1X, number_of_workers=4),
            max_concurrent_runs=1,
            max_retries=0,
            timeout=cdk.Duration.hours(2),
            security_configuration=security,
            default_arguments={"--customer": name, "--secret-arn": _secret(name)},
        )
        glue.CfnTrigger(
            scope,
            "Schedule",
            type="SCHEDULED",
            schedule="cron(0 3 * * ? *)",
            start_on_creation=True,
            actions=[glue.CfnTrigger.ActionProperty(job_name=job.job_name)],
        )
        cdk.Tags.of(scope).add("customer", name)

    return make


if __name__ == "__main__":
    sys.exit(main())

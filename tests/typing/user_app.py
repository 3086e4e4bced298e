"""The whole public API as a user writes it: type-checked as such, and run. Every choice and every option is here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

import cdk_encrypted_data
from cdk_encrypted_data import (
    AccessLogBucket,
    BatchReplication,
    CrossAccountDestination,
    Customer,
    CustomerManagedKey,
    CustomerProvidedKeys,
    DeleteMarkers,
    EncryptedBucket,
    EncryptionProofs,
    FailureTopic,
    FleetQuotas,
    GlueVersion,
    JobCode,
    MinimumTlsVersion,
    MultiRegionAccessPoint,
    MultiRegionKeyPair,
    ObjectEvents,
    ObjectLock,
    PerCustomerGlueJob,
    Placement,
    Promotion,
    ReplicatedEncryptedBuckets,
    ReplicationDestination,
    ReplicationDirection,
    ReplicationMonitoring,
    ReplicationTime,
    ServerSideEncryption,
    TableSource,
    UploadPolicy,
    check_customers,
    customers_from,
)
from cdk_encrypted_data.policies.replication import Place, Replication

app = cdk.App()
stack = cdk.Stack(app, "UserApp")
version: str = cdk_encrypted_data.__version__
cdk.Tags.of(stack).add("LibraryVersion", version)

auditor = iam.User(stack, "Auditor")
administrator = iam.Role(stack, "Administrator", assumed_by=auditor)
application: iam.IRole = iam.Role.from_role_arn(stack, "Application", "arn:aws:iam::111122223333:role/Application")
analysts = iam.Group(stack, "Analysts")
readers = iam.ManagedPolicy(stack, "Readers")
distribution_arns = ["arn:aws:cloudfront::111122223333:distribution/EXAMPLE"]

# Access logs

small_logs = AccessLogBucket(stack, "SmallLogs")
logs: AccessLogBucket = AccessLogBucket(
    stack,
    "Logs",
    bucket_name="example-access-logs",
    retention=cdk.Duration.days(400),
    removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
)
log_bucket: s3.Bucket = logs.bucket
small_logs_name: str = small_logs.bucket_name
small_logs.allow_delivery(source=s3.Bucket(stack, "Elsewhere"), prefix="elsewhere/")

# Keys

small_key = CustomerManagedKey(stack, "SmallKey")
key: CustomerManagedKey = CustomerManagedKey(
    stack,
    "Key",
    administrators=[administrator, iam.ArnPrincipal("arn:aws:iam::111122223333:role/Security")],
    users=(application, auditor),
    bucket_arns=["arn:aws:s3:::example-data"],
    alias_name="alias/example",
    description="Encrypts the example's data",
    rotation_period=cdk.Duration.days(180),
    pending_window=cdk.Duration.days(7),
    removal_policy=cdk.RemovalPolicy.RETAIN,
)
l2_key: kms.Key = key.key
key_arn: str = key.key_arn
key.allow_service("cloudfront.amazonaws.com", source_arns=distribution_arns)
key.allow_service(
    "s3.amazonaws.com",
    source_arns=("arn:aws:s3:::example-data",),
    source_account="111122223333",
    actions=["kms:Decrypt", "kms:GenerateDataKey"],
)
key.allow_cloudwatch_logs(log_group_name="/aws/lambda/*")
key.check_grantee(application)
key.check_bucket("example-data")

# Keys in several Regions

home = cdk.Stack(app, "UserAppHome", env=cdk.Environment(account="111122223333", region="eu-central-1"))
away = cdk.Stack(app, "UserAppAway", env=cdk.Environment(account="111122223333", region="eu-west-1"))
writer = iam.User(home, "Writer")
small_pair = MultiRegionKeyPair(home, "SmallPair", replicas=[away])
pair: MultiRegionKeyPair = MultiRegionKeyPair(
    home,
    "Pair",
    replicas=(away, cdk.Stack(app, "UserAppUs", env=cdk.Environment(account="111122223333", region="us-east-1"))),
    administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/Security")],
    users=(application, writer),
    alias_name="alias/example-pair",
    description="Encrypts the example's data in every Region",
    rotation_period=cdk.Duration.days(180),
    pending_window=cdk.Duration.days(7),
    removal_policy=cdk.RemovalPolicy.RETAIN,
    promotion=Promotion(
        primary_region="us-east-1",
        regions=["eu-central-1", "eu-west-1", "us-east-1"],
        rotation_period=cdk.Duration.days(180),
    ),
)
primary: kms.Key = pair.key
primary_region: str = pair.primary_region
regions: tuple[str, ...] = pair.regions
replica_arn: str = pair.key_arn_in("us-east-1")
EncryptedBucket(away, "Replicated", key=pair.key_for("eu-west-1"))
travellers = iam.ManagedPolicy(away, "Travellers")
pair_grants: list[iam.Grant] = [
    small_pair.grant_encrypt(travellers, encryption_context={"purpose": "orders"}),
    small_pair.grant_decrypt(travellers, encryption_context={"purpose": "orders"}),
    small_pair.grant_encrypt_decrypt(travellers, encryption_context=None),
    pair.grant_encrypt_decrypt(travellers),
]

# Buckets in several Regions: the source's stack is deployed last

small_replicated = ReplicatedEncryptedBuckets(away, "SmallReplicated", bucket_name_prefix="small", replicas=[home])
replicated: ReplicatedEncryptedBuckets = ReplicatedEncryptedBuckets(
    away,
    "ReplicatedBuckets",
    bucket_name_prefix="example",
    replicas=[home],
    direction=ReplicationDirection.BOTH_WAYS,
    delete_markers=DeleteMarkers.NOT_REPLICATED,
    replication_time=ReplicationTime.WITHIN_15_MINUTES,
    replica_storage_class=s3.StorageClass.INFREQUENT_ACCESS,
    object_key_prefix="reports/",
    object_tags={"class": "public"},
    object_lock=ObjectLock.ON,
    encryption=ServerSideEncryption.SSE_KMS,
    keys=small_pair,
    upload_policy=UploadPolicy.RESPECT_DEFAULT,
    customer_provided_keys=CustomerProvidedKeys.BLOCKED,
    minimum_tls_version=MinimumTlsVersion.TLS_1_2,
    noncurrent_version_expiration=cdk.Duration.days(30),
    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
    lifecycle_rules=[s3.LifecycleRule(id="Scratch", prefix="scratch/", expiration=cdk.Duration.days(7))],
    access_log_buckets=[AccessLogBucket(away, "AwayLogs")],
    access_log_prefix="example/",
    cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["https://example.com"])],
    object_events=ObjectEvents.EVENT_BRIDGE,
    removal_policy=cdk.RemovalPolicy.RETAIN,
)
ReplicatedEncryptedBuckets(
    away,
    "ReplicatedOneWay",
    bucket_name_prefix="one-way",
    replicas=[home],
    direction=ReplicationDirection.ONE_WAY,
    delete_markers=DeleteMarkers.REPLICATED,
    replication_time=ReplicationTime.BEST_EFFORT,
    object_lock=ObjectLock.OFF,
    key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/Security")],
    key_rotation_period=cdk.Duration.days(180),
    key_pending_window=cdk.Duration.days(7),
)
elsewhere = CrossAccountDestination(
    account="444455556666",
    region="eu-west-1",
    bucket_name="backup-444455556666-eu-west-1-an",
    key_arn="arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
)
sending = ReplicatedEncryptedBuckets(
    away, "Sending", bucket_name_prefix="sending", destinations=[elsewhere], role_name="sending-replication"
)
places_elsewhere: tuple[Place, ...] = sending.places_elsewhere
replicates: bool = sending.replicates("eu-west-1")
destination: ReplicationDestination = ReplicationDestination(
    stack,
    "Destination",
    bucket_name_prefix="backup",
    source_role_arns=["arn:aws:iam::444455556666:role/orders-replication"],
    delete_markers=DeleteMarkers.NOT_REPLICATED,
    object_lock=ObjectLock.ON,
    encryption=ServerSideEncryption.DSSE_KMS,
    key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/Security")],
    minimum_tls_version=MinimumTlsVersion.TLS_1_3,
    noncurrent_version_expiration=cdk.Duration.days(30),
    lifecycle_rules=[s3.LifecycleRule(id="Scratch", prefix="scratch/", expiration=cdk.Duration.days(7))],
    access_log_bucket=logs,
    access_log_prefix="replicas/",
    object_events=ObjectEvents.EVENT_BRIDGE,
    key_alias_name="alias/example-replicas",
    key_rotation_period=cdk.Duration.days(180),
    key_pending_window=cdk.Duration.days(14),
    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
    removal_policy=cdk.RemovalPolicy.RETAIN,
)
bucket_of_replicas: EncryptedBucket = destination.bucket
bucket_regions: tuple[str, ...] = replicated.regions
bucket_there: EncryptedBucket = replicated.bucket_for("eu-central-1")
replication_role: iam.Role = replicated.role_for("eu-central-1")
destinations: tuple[str, ...] = replicated.destinations_of("eu-central-1")
what_and_how: Replication = replicated.replication
uploads_everywhere: UploadPolicy = replicated.upload_policy
oldest_tls: MinimumTlsVersion = replicated.minimum_tls_version
bucket_arn_there: str = replicated.place_of("eu-central-1").bucket_arn
replicated_grants: list[iam.Grant] = [
    small_replicated.grant_read(travellers),
    small_replicated.grant_write(travellers, objects_key_pattern="uploads/*"),
    replicated.grant_read_write(travellers),
    replicated.grant_delete(travellers, objects_key_pattern="scratch/*"),
]

small_monitoring = ReplicationMonitoring(away, "SmallMonitoring", buckets=small_replicated)
monitoring: ReplicationMonitoring = ReplicationMonitoring(
    stack,
    "Monitoring",
    buckets=replicated,
    pending_operations=50,
    pending_for=cdk.Duration.hours(1),
    maximum_latency=cdk.Duration.minutes(30),
    key_administrators=[iam.ArnPrincipal("arn:aws:iam::111122223333:role/Security")],
    key_rotation_period=cdk.Duration.days(180),
    key_pending_window=cdk.Duration.days(7),
    removal_policy=cdk.RemovalPolicy.DESTROY,
)
monitored_regions: tuple[str, ...] = monitoring.regions
topics: Mapping[str, sns.Topic] = monitoring.topics
topic_of_a_region: sns.Topic = monitoring.topic_for("eu-central-1")
alarms: Sequence[cloudwatch.Alarm] = monitoring.alarms
subscribing: iam.Grant = small_monitoring.grant_subscribe(travellers)

small_access_point = MultiRegionAccessPoint(away, "SmallAccessPoint", buckets=small_replicated)
access_point: MultiRegionAccessPoint = MultiRegionAccessPoint(
    away, "AccessPoint", buckets=replicated, name="example", removal_policy=cdk.RemovalPolicy.DESTROY
)
access_point_arn: str = access_point.access_point_arn
access_point_alias: str = access_point.access_point.attr_alias
grants_through_it: list[iam.Grant] = [
    small_access_point.grant_read(travellers),
    access_point.grant_read(travellers, objects_key_pattern="public/*"),
    access_point.grant_write(travellers, objects_key_pattern="uploads/*"),
    access_point.grant_read_write(travellers, objects_key_pattern="drafts/*"),
    access_point.grant_delete(travellers, objects_key_pattern="scratch/*"),
    access_point.grant_routing(travellers),
]

batch: BatchReplication = BatchReplication(
    stack,
    "Batch",
    buckets=replicated,
    report_buckets=[EncryptedBucket(each, "Reports") for each in (away, home)],
)
batch_regions: tuple[str, ...] = batch.regions
batch_role: iam.Role = batch.role_for("eu-central-1")
creating_jobs: iam.Grant = batch.grant_create_job(travellers)

# Buckets: a key that names its users, and every option

data: EncryptedBucket = EncryptedBucket(
    stack,
    "Data",
    encryption=ServerSideEncryption.SSE_KMS,
    key=key,
    upload_policy=UploadPolicy.RESPECT_DEFAULT,
    customer_provided_keys=CustomerProvidedKeys.BLOCKED,
    minimum_tls_version=MinimumTlsVersion.TLS_1_2,
    bucket_name="example-data",
    noncurrent_version_expiration=cdk.Duration.days(30),
    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
    lifecycle_rules=[s3.LifecycleRule(id="Scratch", prefix="scratch/", expiration=cdk.Duration.days(7))],
    access_log_bucket=logs,
    access_log_prefix="data/",
    cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["https://example.com"])],
    object_events=ObjectEvents.EVENT_BRIDGE,
    removal_policy=cdk.RemovalPolicy.RETAIN,
)
bucket: s3.Bucket = data.bucket
bucket_key: kms.IKey = data.key
grants: list[iam.Grant] = [
    data.grant_read(application),
    data.grant_read(readers, objects_key_pattern="reports/*"),
    data.grant_write(application, objects_key_pattern="uploads/*"),
    data.grant_read_write(auditor, objects_key_pattern="audit/*"),
    data.grant_delete(application, objects_key_pattern="scratch/*"),
]
data.grant_read_to_service("cloudfront.amazonaws.com", source_arns=distribution_arns)
data.grant_read_to_service(
    "delivery.logs.amazonaws.com",
    source_arns=["arn:aws:logs:eu-central-1:111122223333:*"],
    source_account="111122223333",
)

# Buckets: the other choices

own_key = EncryptedBucket(
    stack,
    "OwnKey",
    upload_policy=UploadPolicy.REQUIRE_HEADER,
    key_administrators=[administrator],
    key_users=(application, iam.ArnPrincipal("arn:aws:iam::111122223333:role/Reports")),
    key_alias_name="alias/example-own",
    key_rotation_period=cdk.Duration.days(90),
    key_pending_window=cdk.Duration.days(14),
)
own_key.grant_read(analysts)
EncryptedBucket(
    stack,
    "Dsse",
    encryption=ServerSideEncryption.DSSE_KMS,
    customer_provided_keys=CustomerProvidedKeys.ALLOWED,
    minimum_tls_version=MinimumTlsVersion.TLS_1_3,
    bucket_name_prefix="example-dsse",
    object_events=ObjectEvents.NOWHERE,
)
EncryptedBucket(stack, "SseS3", encryption=ServerSideEncryption.SSE_S3, removal_policy=cdk.RemovalPolicy.DESTROY)

# Buckets: every way to name an existing key

imported = kms.Key.from_key_arn(
    stack, "Imported", "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
)
EncryptedBucket(stack, "WithImportedKey", key=imported)
EncryptedBucket(stack, "WithL2Key", key=kms.Key(stack, "L2Key"))
EncryptedBucket(stack, "WithL1Key", key=kms.CfnKey(stack, "L1Key"))
EncryptedBucket(stack, "WithSmallKey", key=small_key)

# Customers

table = TableSource(name="visits", source="public.visits", partition_column="visit_id", partitions=8, bookmark="xmin")
acme: Customer = Customer(
    name="acme",
    title="Acme Clinical Ltd",
    secret_arn="arn:aws:secretsmanager:eu-central-1:111122223333:secret:acme/database-AbCdEf",  # noqa: S106 - an ARN
    secret_key_arn="arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555",  # noqa: S106 - an ARN
    jdbc_url="jdbc:postgresql://db.example.com:5432/clinical",
    ca_certificate="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    tables=[TableSource(name="subjects", source="public.subjects"), table],
    rules="clinical-trials",
    schedule="cron(0 3 * * ? *)",
    readers=["arn:aws:iam::111122223333:role/AcmeReader"],
    worker_type="G.2X",
    maximum_workers=20,
    timeout_minutes=360,
    retries=1,
    tags={"cost-center": "4711"},
)
listed: tuple[Customer, ...] = customers_from('{"customers": []}')
check_customers("UserApp", [acme, *listed])
tags: dict[str, str] = acme.all_tags()
argument: dict[str, object] = table.as_argument()
code: JobCode = JobCode(
    script="s3://example-code/script.py",
    rules={"clinical-trials": "s3://example-code/rules.zip"},
    packages=["s3://example-code/package.zip"],
    modules=("pyarrow==21.0.0",),
    key_arn="arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555",
    tables={"clinical-trials": ["subjects", "visits"]},
)
objects: list[str] = code.objects("clinical-trials")
failures = FailureTopic(stack, "Failures")
administered_failures: FailureTopic = FailureTopic(
    stack,
    "Notices",
    key_administrators=[administrator],
    key_rotation_period=cdk.Duration.days(180),
    key_pending_window=cdk.Duration.days(7),
    removal_policy=cdk.RemovalPolicy.DESTROY,
)
topic: sns.Topic = administered_failures.topic
topic_key: kms.Key = administered_failures.key
PerCustomerGlueJob(
    stack,
    "SmallJob",
    customer=acme,
    code=code,
    subnet_id="subnet-0123456789abcdef0",
    availability_zone="eu-central-1a",
    security_group_ids=["sg-0123456789abcdef0"],
    glue_version=GlueVersion.V5_1,
)
customer_job: PerCustomerGlueJob = PerCustomerGlueJob(
    stack,
    "Job",
    customer=acme,
    code=code,
    subnet_id="subnet-0123456789abcdef0",
    availability_zone="eu-central-1a",
    security_group_ids=("sg-0123456789abcdef0",),
    glue_version=GlueVersion.V6_0,
    worker_type="G.2X",
    maximum_workers=20,
    timeout=cdk.Duration.hours(6),
    retries=1,
    failure_topic=failures.topic,
    key_administrators=[administrator],
    key_users=[application],
    key_alias_name="alias/example-acme",
    key_rotation_period=cdk.Duration.days(90),
    key_pending_window=cdk.Duration.days(14),
    bucket_name_prefix="example-acme",
    noncurrent_version_expiration=cdk.Duration.days(30),
    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
    access_log_bucket=logs,
    access_log_prefix="acme/",
    removal_policy=cdk.RemovalPolicy.RETAIN,
)
read: iam.Grant = customer_job.grant_read(application)
started: iam.Grant = customer_job.grant_start(readers)
whose: Customer = customer_job.customer
job_name: str = customer_job.job_name
job_security_name: str = customer_job.security_configuration_name
network: list[str] = customer_job.network_resources
job_bucket: s3.IBucket = customer_job.bucket
job_key: kms.IKey = customer_job.key
job_role: iam.IRole = customer_job.role
job_permissions: iam.CfnManagedPolicy = customer_job.permissions
job_readers: iam.CfnManagedPolicy = customer_job.reader_policy
job_security: glue.CfnSecurityConfiguration = customer_job.security_configuration
job_connection: glue.CfnConnection = customer_job.connection
job: glue.CfnJob = customer_job.job
published: JobCode = JobCode.from_assets(
    stack,
    "Code",
    rules={"clinical-trials": Path(__file__).parents[2] / "docs" / "examples" / "clinical_trials"},
    wheels=[],
    modules=["cryptography==48.0.1"],
)

# The proofs are a plugin; this app would fail by them, since it tries everything once

proofs: cdk.IPolicyValidationPlugin = EncryptionProofs()

# Fleets

quotas: cdk.IPolicyValidationPlugin = FleetQuotas(limits={"glue-security-configurations": 1000})
placement: Placement = Placement(stacks=25, capacity=40, pinned={"acme": 7})
number: int = placement.stack_of("acme")
placed: tuple[tuple[str, ...], ...] = placement.place(["acme", "globex"])
room: int = placement.room + placement.likely_room(chance=0.001)

app.synth()

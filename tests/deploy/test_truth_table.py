"""The truth tables of bucket and key, tried: deployed by the real CDK CLI to the embedded AWS, called with boto3.

Who tries is an IAM user to whom IAM allows everything, or what the row says, or S3 as a replication role with every
right: only the policy of the bucket or of the key is left to refuse. The cells are those that the evaluator decides in
truth_tables/.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from botocore.exceptions import ClientError
from botocore.handlers import disable_signing

from cdk_encrypted_data.choices import ServerSideEncryption
from devtools.embedded_aws.cdk import run_cdk
from devtools.embedded_aws.server import Credentials, EmbeddedAws
from tests.oracle.evaluator import Decision
from tests.oracle.requests import AWS_MANAGED_KEY, SSE_C, Headers, Stored, Target, Upload, outcome, uploads
from tests.truth_tables import bucket_table, key_table
from tests.truth_tables.bucket_table import ALLOWED, LOG_SOURCE, MODES, RESPECT, Mode, make_bucket
from tests.truth_tables.key_table import BUCKET, OTHER_BUCKET, S3_CONTEXT, make_keys
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT, REGION

pytestmark = pytest.mark.deploy

_VERBATIM = (
    "AWS documents no reading; on the embedded AWS a policy sees the header verbatim, which is the row that is tried"
)
_SERVICE = "service principals never call on the embedded AWS"
_UPDATE = "the embedded AWS answers UpdateObjectEncryption with 501"
_REGION = "S3 takes keys of its own Region only, whatever the key's policy"
_NO_CALL = "nothing that S3 carries out on the embedded AWS calls this"
_ACCOUNT = "KMS of the embedded AWS finds keys of the caller's account only: NotFoundException, whatever the policy"
_GRANT = "the embedded AWS always says kms:GrantIsForAWSResource: false, as for any caller of its own"

# Every row that is not tried, and why.
NOT_SHOWN = {
    "aws:kms, no key: filled in": _VERBATIM,
    "right key id: as ARN": _VERBATIM,
    "right alias: as ARN": _VERBATIM,
    "HTTP: TLS version shown": "AWS documents no reading; on the embedded AWS plain HTTP has no s3:TlsVersion",
    "UploadPart: its upload's shown": "AWS documents no reading; on the embedded AWS a part has no encryption headers",
    "UpdateObjectEncryption, right key": _UPDATE,
    "UpdateObjectEncryption, wrong key": _UPDATE,
    "log delivery": _SERVICE,
    "log delivery, other account": _SERVICE,
    "log delivery, other bucket": _SERVICE,
    "log delivery, no source": _SERVICE,
    "operator: decrypts through S3, no context": "S3 never calls KMS without an encryption context",
    "operator: encrypts through S3": _NO_CALL,
    "operator: decrypts through S3 elsewhere": _REGION,
    "operator: decrypts through Glue": "only S3 calls KMS for somebody on the embedded AWS",
    "operator: re-encrypts": _NO_CALL,
    "operator: grants, unsaid for what": _GRANT,
    "operator: grants for an AWS resource": _GRANT,
    "user without IAM: decrypts through S3 elsewhere": _REGION,
    "stranger: rewrites the policy": _ACCOUNT,
    "stranger: describes": _ACCOUNT,
    "stranger: grants for an AWS resource": _GRANT,
    "anybody: decrypts through S3": "S3 refuses unsigned requests for SSE-KMS objects, whatever the key's policy",
    "cloudfront: decrypts for its distribution": _SERVICE,
    "cloudfront: decrypts for another distribution": _SERVICE,
    "cloudfront: decrypts for another account": _SERVICE,
    "cloudfront: decrypts for nobody": _SERVICE,
    "cloudfront: makes a data key for its distribution": _SERVICE,
    "cloudfront: rewrites the policy": _SERVICE,
    "logs: encrypts its log group": _SERVICE,
    "logs: encrypts another log group": _SERVICE,
    "logs: encrypts no log group": _SERVICE,
    "logs elsewhere: encrypts its log group": _SERVICE,
}

# What the policy lets by and S3 itself refuses: a cell that isn't D is this answer, and AccessDenied still isn't.
REFUSED_BY_S3 = {
    "right key, no aws:kms": "InvalidArgument: x-amz-server-side-encryption-aws-kms-key-id needs "
    "x-amz-server-side-encryption: aws:kms or aws:kms:dsse"
}

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ALL_OF_S3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
USERS = {
    "operator": EVERYTHING,
    "nobody": ALL_OF_S3,  # nothing in KMS; its rows through S3 have to pass S3
    "reader": ALL_OF_S3,  # and kms:Decrypt on the keys, once there are any
    "admin": EVERYTHING,
    "admin without IAM": ALL_OF_S3,
    "user": EVERYTHING,
    "user without IAM": ALL_OF_S3,
}
REPLICATED = "replicated-bucket"
PARTNER = "stranger"  # of the other account, where everything is allowed to it
S3_ENCRYPTION_CONTEXT = {S3_CONTEXT.removeprefix("kms:EncryptionContext:"): BUCKET}
OLD_TLS = pytest.mark.skipif(not ssl.HAS_TLSv1_1, reason="TLS 1.1: this OpenSSL can't speak it")


class Bucket(NamedTuple):
    """A deployed bucket, and what its rows name."""

    mode: Mode
    target: Target
    default: Stored
    alias: str


class Key(NamedTuple):
    """A deployed key, what lies under it in `BUCKET` and `OTHER_BUCKET`, and its policy."""

    name: str
    arn: str
    policy: str
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed(Target):
    """A target whose wrong key is there as well: S3 wouldn't refuse it."""

    other_key_arn: str

    @property
    def wrong_key_arn(self) -> str:
        return self.other_key_arn


class Deployment(NamedTuple):
    """A running embedded AWS with every mode's bucket and every key."""

    client: Callable[..., Any]
    buckets: dict[Mode, Bucket]
    keys: dict[str, Key]
    replication_failures: Callable[[], list[dict[str, str]]]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deploy") / "cdk.out"
    with EmbeddedAws(account_id=ACCOUNT, region=REGION) as aws:
        _synthesize(str(directory))
        # KMS takes only principals that exist.
        people = {name: aws.create_user(name.replace(" ", "-"), policy) for name, policy in USERS.items()}
        people[PARTNER] = _user_of_the_other_account(aws)
        run_cdk(aws, "bootstrap", app=directory)
        run_cdk(aws, "deploy", "--all", "--require-approval=never", app=directory)

        @cache
        def client(who: str, service: str, **connection: Any) -> Any:  # noqa: ANN401 - boto3
            made = aws.client(service, credentials=people.get(who), **connection)
            if who == "anonymous":
                made.meta.events.register(f"choose-signer.{service}", disable_signing)
            return made

        (stack,) = aws.client("cloudformation").describe_stacks(StackName="Tables")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        _make_replication(aws)
        yield Deployment(client, _buckets(aws, outputs), _keys(aws, outputs), aws.replication_failures)


def _synthesize(directory: str) -> None:
    app = cdk.App(outdir=directory)
    stack = cdk.Stack(app, "Tables", env=cdk.Environment(account=ACCOUNT, region=REGION))
    for mode in MODES:
        made = make_bucket(stack, mode)
        cdk.CfnOutput(stack, f"{_id(mode)}Bucket", value=made.bucket.bucket_name)
        if mode.encryption is not ServerSideEncryption.SSE_S3:
            # The table is about the bucket's policy: the key lets the other account in.
            made.key.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.AccountPrincipal(OTHER_ACCOUNT)],
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=["*"],
                )
            )
            cdk.CfnOutput(stack, f"{_id(mode)}Key", value=made.key.key_arn)

    def people(*names: str) -> list[iam.IPrincipal]:
        return [iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:user/{name}") for name in names]

    keys = make_keys(
        stack, administrators=people("admin", "admin-without-IAM"), users=people("user", "user-without-IAM")
    )
    for name, key in keys.items():
        cdk.CfnOutput(stack, f"{name.title()}Key", value=key.key_arn)
    app.synth()


def _id(mode: Mode) -> str:
    return str(mode).title().replace("_", "").replace("-", "")


def _user_of_the_other_account(aws: EmbeddedAws) -> Credentials:
    root = Credentials(access_key_id=OTHER_ACCOUNT, secret_access_key="any")  # noqa: S106 - any will do
    client = aws.client("iam", credentials=root)
    client.create_user(UserName=PARTNER)
    document = json.dumps({"Version": "2012-10-17", "Statement": EVERYTHING})
    client.put_user_policy(UserName=PARTNER, PolicyName="inline", PolicyDocument=document)
    key = client.create_access_key(UserName=PARTNER)["AccessKey"]
    return Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


def _make_replication(aws: EmbeddedAws) -> None:
    """A bucket to replicate from, and the role that its rules name."""
    s3, role = aws.client("s3"), ANY.replication_role.rpartition("/")[2]
    s3.create_bucket(Bucket=REPLICATED)
    s3.put_bucket_versioning(Bucket=REPLICATED, VersioningConfiguration={"Status": "Enabled"})
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "s3.amazonaws.com"}}
    aws.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=_document(trust))
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="inline", PolicyDocument=_document(EVERYTHING))


def _buckets(aws: EmbeddedAws, outputs: Mapping[str, str]) -> dict[Mode, Bucket]:
    s3, kms = aws.client("s3"), aws.client("kms")
    s3.create_bucket(Bucket=LOG_SOURCE)
    s3.put_object(Bucket=LOG_SOURCE, Key="a.parquet", Body=b"data")
    any_key, other_key = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.create_alias(AliasName="alias/any", TargetKeyId=any_key)
    found = {}
    for mode in MODES:
        own_key = outputs.get(f"{_id(mode)}Key")
        key_arn = own_key or any_key
        (alias,) = kms.list_aliases(KeyId=key_arn)["Aliases"]
        target = Deployed(
            bucket=outputs[f"{_id(mode)}Bucket"],
            key_arn=key_arn,
            account=ACCOUNT,
            region=REGION,
            partner_account=OTHER_ACCOUNT,
            log_source=LOG_SOURCE,
            other_key_arn=other_key,
        )
        found[mode] = Bucket(mode, target, Stored(mode.encryption.value, own_key), alias["AliasName"])
    return found


def _keys(aws: EmbeddedAws, outputs: Mapping[str, str]) -> dict[str, Key]:
    s3, kms, users = aws.client("s3"), aws.client("kms"), aws.client("iam")
    partner = {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}
    for arn in (BUCKET, OTHER_BUCKET):
        s3.create_bucket(Bucket=_name(arn))
        statement = ALL_OF_S3 | {"Principal": partner, "Resource": [arn, f"{arn}/*"]}
        s3.put_bucket_policy(Bucket=_name(arn), Policy=_document(statement))
    found = {}
    for name in key_table.EXPECTED:
        key_id = {"KeyId": outputs[f"{name.title()}Key"]}
        policy = kms.get_key_policy(**key_id)["Policy"]
        # Some of what shall be read nobody may write, or encrypt: it is done before the policy is in force.
        kms.put_key_policy(
            **key_id, Policy=_document({**EVERYTHING, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}})
        )
        for arn, with_bucket_key in ((BUCKET, True), (OTHER_BUCKET, True), (BUCKET, False)):
            s3.put_object(**_under(key_id["KeyId"], arn, with_bucket_key=with_bucket_key), Body=b"data")
        ciphertext = kms.encrypt(**key_id, Plaintext=b"data", EncryptionContext=S3_ENCRYPTION_CONTEXT)["CiphertextBlob"]
        kms.put_key_policy(**key_id, Policy=policy)
        found[name] = Key(name, key_id["KeyId"], policy, ciphertext)
    decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": [key.arn for key in found.values()]}
    users.put_user_policy(UserName="reader", PolicyName="keys", PolicyDocument=_document(decrypt))
    return found


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _name(bucket_arn: str) -> str:
    return bucket_arn.rpartition(":")[2]


def _object(key_arn: str, bucket_arn: str, *, with_bucket_key: bool = True) -> dict[str, str]:
    return {"Bucket": _name(bucket_arn), "Key": f"{key_arn.rpartition('/')[2]}/{with_bucket_key}"}


def _under(key_arn: str, bucket_arn: str, *, with_bucket_key: bool = True) -> dict[str, Any]:
    headers = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn, "BucketKeyEnabled": with_bucket_key}
    return _object(key_arn, bucket_arn, with_bucket_key=with_bucket_key) | headers


# The bucket's table

SECURE, TLS, COPY = "aws:SecureTransport", "s3:TlsVersion", "s3:x-amz-copy-source"
CONNECTIONS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({}, {}),
    ({SECURE: "false"}, {"plain_http": True}),
    ({SECURE: "true", TLS: "1.1"}, {"tls_version": ssl.TLSVersion.TLSv1_1}),
    ({SECURE: "true", TLS: "1.2"}, {"tls_version": ssl.TLSVersion.TLSv1_2}),
    ({SECURE: "true", TLS: "1.3"}, {"tls_version": ssl.TLSVersion.TLSv1_3}),
]
CUSTOMER_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
ANY = Target(bucket="any", key_arn="arn:aws:kms:us-east-1:111122223333:key/any")


def _caller(row: Upload, target: Target) -> tuple[str, dict[str, Any]] | None:
    """Who sends the row's request, and over what; None where nobody can."""
    who = {target.writer: "operator", target.partner: PARTNER, "anonymous": "anonymous"}.get(row.principal)
    context = {name: value for name, value in row.context.items() if name != COPY}
    connection = [options for shown, options in CONNECTIONS if shown == context]
    return (who, connection[0]) if who and connection else None


def _can_be_tried(row: Upload, target: Target) -> bool:
    """Whether a client can send the request, and the embedded AWS presents it as the row says."""
    verbatim = row.headers.presented_key_id in (None, row.headers.key_id)
    bare_part = row.settles_encryption or row.headers == Headers()
    if row.principal == target.replication_role:
        return row.action in REPLICATED_BY
    return row.action == "s3:PutObject" and verbatim and bare_part and _caller(row, target) is not None


def _try_upload(deployed: Deployment, bucket: Bucket, name: str) -> str:
    """The cell: as the table writes it, or what is different."""
    row = uploads(bucket.target)[name]
    if row.principal == bucket.target.replication_role:
        return _try_replication(deployed, bucket, row.action)
    if row.headers.key_id == "alias/data":
        row = replace(row, headers=replace(row.headers, key_id=bucket.alias))
    try:
        stored = _store(deployed, bucket, name, row)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        # S3 has reasons of its own to refuse, and the key too: D is the policy of the bucket. To callers from outside
        # the account S3 doesn't say what it refuses.
        if code == "AccessDenied" and ("to perform: s3:PutObject" in message or message == "Access Denied"):
            return "D"
        return f"{code}: {message}"
    if stored != row.headers.stored(bucket.default):
        return f"stored as {stored}"
    return outcome(row, Decision(allowed=True, why="S3 took it"), bucket.default)


# What S3 does to the other bucket, as the role, after this has been done to an object in the first.
REPLICATED_BY: dict[str, Callable[..., Any]] = {
    "s3:ReplicateObject": lambda s3, headers, **where: s3.put_object(**where, Body=b"data", **headers),
    "s3:ReplicateDelete": lambda s3, _headers, **where: s3.delete_object(**where),
}


def _try_replication(deployed: Deployment, bucket: Bucket, action: str) -> str:
    s3, target, default = deployed.client("root", "s3"), bucket.target, bucket.default
    rule: dict[str, Any] = {
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "Status": "Enabled",
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": target.bucket_arn},
    }
    headers = {"ServerSideEncryption": default.algorithm}
    if default.key is not None:
        # A replica is encrypted as its source is, under the key that the rule names.
        headers["SSEKMSKeyId"] = target.wrong_key_arn
        rule["SourceSelectionCriteria"] = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
        rule["Destination"]["EncryptionConfiguration"] = {"ReplicaKmsKeyID": default.key}
    configuration = {"Role": target.replication_role, "Rules": [rule]}
    s3.put_bucket_replication(Bucket=REPLICATED, ReplicationConfiguration=configuration)

    where = {"Key": f"customers/{target.bucket}"}
    version = REPLICATED_BY[action](s3, headers, Bucket=REPLICATED, **where)["VersionId"]
    failures = [each["message"] for each in deployed.replication_failures() if each["version"] == version]
    if failures:
        return "D" if f" may not {action} on " in failures[-1] else failures[-1]
    found = s3.list_object_versions(Bucket=target.bucket, Prefix=where["Key"])
    kind = "Versions" if action == "s3:ReplicateObject" else "DeleteMarkers"
    if version not in [each["VersionId"] for each in found.get(kind, [])]:
        return "not replicated"
    if action == "s3:ReplicateDelete":
        return "ok"
    stored = _stored(deployed, s3.head_object(Bucket=target.bucket, **where, VersionId=version))
    return "ok" if stored == default else f"stored as {stored}"


def _store(deployed: Deployment, bucket: Bucket, name: str, row: Upload) -> Stored:
    who, connection = _caller(row, bucket.target) or pytest.fail(f"{name} can't be tried")
    s3 = deployed.client(who, "s3", **connection)
    where = {"Bucket": bucket.target.bucket, "Key": f"customers/{name}"}
    named = {"ServerSideEncryption": row.headers.sse, "SSEKMSKeyId": row.headers.key_id}
    headers = {parameter: value for parameter, value in named.items() if value is not None}
    if row.headers.customer_algorithm is not None:
        headers |= CUSTOMER_KEY
    if name.startswith("UploadPart"):
        start = {"ServerSideEncryption": bucket.default.algorithm}
        if bucket.default.key is not None:
            start["SSEKMSKeyId"] = bucket.default.key
        if row.headers.customer_algorithm is not None and bucket.mode.customer_provided_keys is ALLOWED:
            start = CUSTOMER_KEY
        upload = {**where, "UploadId": s3.create_multipart_upload(**where, **start)["UploadId"]}
        _finish(s3, upload, headers)
    elif name.startswith("multipart upload"):
        started = s3.create_multipart_upload(**where, **headers)
        if bucket.mode.upload_policy is not RESPECT:
            # Its parts are refused, which is a row of its own. What the upload is under, the answer says.
            return _stored(deployed, started)
        _finish(s3, {**where, "UploadId": started["UploadId"]}, {})
    elif COPY in row.context:
        s3.copy_object(**where, CopySource=row.context[COPY], **headers)
    else:
        s3.put_object(**where, Body=b"data", **headers)
    read = CUSTOMER_KEY if row.headers.customer_algorithm is not None else {}
    return _stored(deployed, deployed.client("root", "s3").head_object(**where, **read))


def _finish(s3: Any, upload: Mapping[str, str], headers: Mapping[str, str]) -> None:  # noqa: ANN401 - boto3
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"data", **headers)["ETag"]}
    # Completing is s3:PutObject too: only its own header tells the strict mode's policy of a customer provided key.
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]}, **headers)


def _stored(deployed: Deployment, answer: Mapping[str, Any]) -> Stored:
    if "SSECustomerAlgorithm" in answer:
        return Stored(SSE_C)
    key = answer.get("SSEKMSKeyId")
    if key is not None:
        manager = deployed.client("root", "kms").describe_key(KeyId=key)["KeyMetadata"]["KeyManager"]
        key = AWS_MANAGED_KEY if manager == "AWS" else key
    return Stored(answer["ServerSideEncryption"], key)


UPLOADS = [
    pytest.param(name, marks=OLD_TLS) if row.context.get(TLS) == "1.1" else name for name, row in uploads(ANY).items()
]


@pytest.mark.parametrize("name", UPLOADS)
def test_every_way_to_upload(request: pytest.FixtureRequest, name: str) -> None:
    if name in NOT_SHOWN:
        pytest.skip(f"{name}: {NOT_SHOWN[name]}")
    deployed: Deployment = request.getfixturevalue("deployed")
    found = {str(mode): _try_upload(deployed, bucket, name) for mode, bucket in deployed.buckets.items()}
    expected = {str(mode): bucket_table.expected(mode)[name] for mode in MODES}
    if name in REFUSED_BY_S3:
        expected = {mode: cell if cell == "D" else REFUSED_BY_S3[name] for mode, cell in expected.items()}
    assert found == expected


# All rows that are tried, except where S3 itself refuses what the policy allows, or no client can ask.
WITNESSES = [
    name
    for name, row in uploads(ANY).items()
    if name not in (*NOT_SHOWN, *REFUSED_BY_S3) and (ssl.HAS_TLSv1_1 or row.context.get(TLS) != "1.1")
]
# The default bucket without one of its statements: what then becomes of the rows that it decides.
WITHOUT = {
    "RefusePlainHttp": {"HTTP": "InvalidArgument"},
    "RefuseTlsBelowMinimum": {"TLS 1.1": "ok"},
    "RefuseEncryptionUnderMissingOrOtherKey": {"aws:kms, no key: verbatim": "OK!aws/s3", "dsse, no key": "OK!aws/s3"},
    "RefuseOtherKey": {"wrong key, no aws:kms": "InvalidArgument"},
    # The bucket's configuration refuses SSE-C as well, in other words.
    "RefuseCustomerProvidedKeys": {"SSE-C": "AccessDenied", "UploadPart, SSE-C": "InvalidRequest"},
}


@pytest.mark.parametrize("sid", [pytest.param(sid, marks=OLD_TLS) if "Tls" in sid else sid for sid in WITHOUT])
def test_a_missing_statement_is_seen(deployed: Deployment, sid: str) -> None:
    bucket = deployed.buckets[MODES[0]]
    s3 = deployed.client("root", "s3")
    policy = s3.get_bucket_policy(Bucket=bucket.target.bucket)["Policy"]
    document = json.loads(policy)
    kept = [statement for statement in document["Statement"] if statement.get("Sid") != sid]
    assert len(kept) == len(document["Statement"]) - 1
    s3.put_bucket_policy(Bucket=bucket.target.bucket, Policy=json.dumps(document | {"Statement": kept}))
    try:
        found = {name: _try_upload(deployed, bucket, name).partition(":")[0] for name in WITNESSES}
    finally:
        s3.put_bucket_policy(Bucket=bucket.target.bucket, Policy=policy)
    expected = bucket_table.expected(bucket.mode)
    assert {name: cell for name, cell in found.items() if cell != expected[name]} == WITHOUT[sid]


def test_a_policy_that_refuses_replicas_is_seen(deployed: Deployment) -> None:
    # In no mode's table there is one; without this, replication that nobody judges would pass.
    bucket, s3 = deployed.buckets[MODES[0]], deployed.client("root", "s3")
    policy = s3.get_bucket_policy(Bucket=bucket.target.bucket)["Policy"]
    refusal = {
        "Effect": "Deny",
        "Principal": {"AWS": bucket.target.replication_role},
        "Action": list(REPLICATED_BY),
        "Resource": f"{bucket.target.bucket_arn}/*",
    }
    document = json.loads(policy)
    document["Statement"].append(refusal)
    s3.put_bucket_policy(Bucket=bucket.target.bucket, Policy=json.dumps(document))
    try:
        found = [_try_replication(deployed, bucket, action) for action in REPLICATED_BY]
    finally:
        s3.put_bucket_policy(Bucket=bucket.target.bucket, Policy=policy)
    assert found == ["D", "D"]


# The key's table


def _get(**where: Any) -> Callable[[Any, Any, Key], object]:  # noqa: ANN401 - what _object takes
    return lambda s3, _kms, key: s3.get_object(**_object(key.arn, **where))


CALLS: dict[str, Callable[[Any, Any, Key], object]] = {
    "rewrites the policy": lambda _s3, kms, key: kms.put_key_policy(KeyId=key.arn, Policy=key.policy),
    "enables": lambda _s3, kms, key: kms.enable_key(KeyId=key.arn),
    "schedules deletion": lambda _s3, kms, key: kms.schedule_key_deletion(KeyId=key.arn, PendingWindowInDays=7),
    "disables": lambda _s3, kms, key: kms.disable_key(KeyId=key.arn),
    "describes": lambda _s3, kms, key: kms.describe_key(KeyId=key.arn),
    "decrypts through S3": _get(bucket_arn=BUCKET),
    "decrypts through S3, object": _get(bucket_arn=BUCKET, with_bucket_key=False),
    "decrypts through S3, other bucket": _get(bucket_arn=OTHER_BUCKET),
    "makes a data key through S3": lambda s3, _kms, key: s3.put_object(
        **_under(key.arn, BUCKET) | {"Key": "new"}, Body=b"data"
    ),
    "decrypts itself": lambda _s3, kms, key: kms.decrypt(
        KeyId=key.arn, CiphertextBlob=key.ciphertext, EncryptionContext=S3_ENCRYPTION_CONTEXT
    ),
    "grants by hand": lambda _s3, kms, key: kms.create_grant(
        KeyId=key.arn, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/nobody", Operations=["Decrypt"]
    ),
}


def _try_call(deployed: Deployment, key: Key, name: str) -> str:
    who, _, call = name.partition(": ")
    try:
        CALLS[call](deployed.client(who, "s3"), deployed.client(who, "kms"), key)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code in ("AccessDenied", "AccessDeniedException") and "to perform: kms:" in message:
            return "D"
        return f"{code}: {message}"
    root = deployed.client("root", "kms")
    if call == "schedules deletion":
        root.cancel_key_deletion(KeyId=key.arn)
    if call in ("schedules deletion", "disables"):
        root.enable_key(KeyId=key.arn)
    return "ok"


@pytest.mark.parametrize("name", next(iter(key_table.EXPECTED.values())))
def test_who_may_what_with_a_key(request: pytest.FixtureRequest, name: str) -> None:
    if name in NOT_SHOWN:
        pytest.skip(f"{name}: {NOT_SHOWN[name]}")
    deployed: Deployment = request.getfixturevalue("deployed")
    found = {column: _try_call(deployed, key, name) for column, key in deployed.keys.items()}
    assert found == {column: cells[name] for column, cells in key_table.EXPECTED.items()}


def test_what_is_not_shown_could_not_be_tried() -> None:
    rows = uploads(ANY)
    not_tried = {name for name, row in rows.items() if not _can_be_tried(row, ANY)}
    for name in next(iter(key_table.EXPECTED.values())):
        who, _, call = name.partition(": ")
        callers = {"root", *USERS} | ({PARTNER} if "through S3" in call else set())
        if who not in callers or call not in CALLS:
            not_tried.add(name)
    assert set(NOT_SHOWN) == not_tried
    assert {who: policy for who, policy in USERS.items() if key_table.CALLERS[who].may == "all"} == {
        who: EVERYTHING for who, policy in USERS.items() if policy is EVERYTHING
    }

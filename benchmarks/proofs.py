"""What proving costs: our own app's assembly, and fleets of customers with a bucket, a key, a role and a job each.

Run as ``python -m benchmarks.proofs``. The times are the tool's own: without the synthesis and without starting Python.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cdk_encrypted_data.choices import CustomerProvidedKeys, ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.policies import document
from cdk_encrypted_data.policies.access import read_write
from cdk_encrypted_data.policies.bucket import refuse_other_encryption, refuse_weak_transport
from cdk_encrypted_data.policies.key import (
    administration,
    allow_cloudwatch_logs,
    refuse_grants_to_people,
    use_directly,
    use_through_s3,
)
from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import Proof, prove

PROJECT = Path(__file__).resolve().parents[1]
ACCOUNT, REGION = "111122223333", "eu-west-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
FLEETS = (10, 100, 500)
RETAINED = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
REPEATS = 3

Json = Any


def main() -> None:
    """Print a table."""
    print(f"{'assembly':24} {'resolve':>9} {'prove':>9} {'requests':>10} {'per customer':>13}  found")
    with tempfile.TemporaryDirectory() as directory:
        _synthesize(Path(directory))
        _row("our own app", lambda: Assembly.read(directory))
    for count in FLEETS:
        stacks = [fleet_stack(number, count) for number in range(0, count, 50)]
        _row(f"{count} customers", lambda stacks=stacks: Assembly.of(stacks), count)


def _synthesize(directory: Path) -> None:
    subprocess.run(
        [sys.executable, "app.py"],
        cwd=PROJECT,
        env={"CDK_OUTDIR": str(directory), "PATH": str(Path(sys.executable).parent)},
        check=True,
        capture_output=True,
    )


def _row(name: str, read: Any, customers: int = 0) -> None:  # noqa: ANN401 - a function
    best: tuple[float, float, Proof] | None = None
    for _ in range(REPEATS):
        start = time.perf_counter()
        assembly = read()
        resolved = time.perf_counter()
        proof = prove(assembly)
        ended = time.perf_counter()
        one = resolved - start, ended - resolved, proof
        best = one if best is None or sum(one[:2]) < sum(best[:2]) else best
    if best is None:
        return
    resolving, proving, proof = best
    each = f"{proving / customers * 1000:10.2f} ms" if customers else ""
    found = f"{len(proof.findings)} found, {len(proof.undecidable)} undecided"
    print(f"{name:24} {resolving:7.2f} s {proving:7.2f} s {proof.requests:10,} {each:>13}  {found}")


def fleet_stack(first: int, count: int) -> StackTemplate:
    """Return a stack of up to fifty customers, from the number ``first`` on."""
    resources: dict[str, Json] = {}
    for number in range(first, min(first + 50, count)):
        resources |= customer(f"Customer{number:04}")
    return StackTemplate(
        id=f"Fleet{first}",
        name=f"Fleet{first}",
        template={"Resources": resources},
        account=ACCOUNT,
        region=REGION,
    )


def customer(name: str) -> dict[str, Json]:
    """Return a customer's key, bucket, role and job, as our constructs write policies."""
    bucket_name = f"data-{name.lower()}-{ACCOUNT}-{REGION}-an"
    bucket_arn = f"arn:aws:s3:::{bucket_name}"
    key_arn: Json = {"Fn::GetAtt": [f"{name}Key", "Arn"]}
    logs = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws-glue/{name}*"
    key_policy = document(
        [
            *administration(ROOT, administrators=[]),
            *use_through_s3(ROOT, account=ACCOUNT, region=REGION, users=[], bucket_arns=[bucket_arn]),
            use_directly(ROOT, account=ACCOUNT, users=[]),
            allow_cloudwatch_logs(region=REGION, log_group_arn=logs),
            *refuse_grants_to_people(),
        ]
    )
    uploads = refuse_other_encryption(
        bucket_arn,
        encryption=ServerSideEncryption.SSE_KMS,
        key_arn="KEY",
        upload_policy=UploadPolicy.RESPECT_DEFAULT,
        customer_provided_keys=CustomerProvidedKeys.BLOCKED,
    )
    permissions: list[Json] = [
        {
            "Effect": "Allow",
            "Action": list(one.actions),
            "Resource": one.resource,
            **({"Condition": one.condition} if one.condition else {}),
        }
        for one in read_write(bucket_arn, "*", key_arn="KEY", region=REGION)
    ]
    trust: Json = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    return {
        f"{name}Key": {
            "Type": "AWS::KMS::Key",
            **RETAINED,
            "Properties": {"EnableKeyRotation": True, "KeyPolicy": key_policy},
        },
        f"{name}Bucket": {
            "Type": "AWS::S3::Bucket",
            **RETAINED,
            "Properties": {
                "BucketName": bucket_name,
                "VersioningConfiguration": {"Status": "Enabled"},
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default}
                    ]
                },
            },
        },
        f"{name}BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            **RETAINED,
            "Properties": {
                "Bucket": {"Ref": f"{name}Bucket"},
                "PolicyDocument": _with_key(
                    document([*refuse_weak_transport(bucket_arn, minimum_tls_version="1.2"), *uploads]), key_arn
                ),
            },
        },
        f"{name}Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": document([trust]),
                "Policies": [
                    {"PolicyName": "Data", "PolicyDocument": _with_key(document(permissions), key_arn)},
                ],
            },
        },
        f"{name}Security": {
            "Type": "AWS::Glue::SecurityConfiguration",
            "Properties": {
                "Name": name,
                "EncryptionConfiguration": {
                    "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key_arn}],
                    "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": key_arn},
                    "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": key_arn},
                },
            },
        },
        f"{name}Job": {
            "Type": "AWS::Glue::Job",
            "Properties": {
                "Role": {"Fn::GetAtt": [f"{name}Role", "Arn"]},
                "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{bucket_name}/job.py"},
                "GlueVersion": "5.1",
                "SecurityConfiguration": name,
                "DefaultArguments": {"--TempDir": f"s3://{bucket_name}/temporary/"},
            },
        },
    }


def _with_key(value: Json, key_arn: Json) -> Json:
    """Put the key's ARN where a policy says KEY."""
    if value == "KEY":
        return key_arn
    if isinstance(value, dict):
        return {name: _with_key(one, key_arn) for name, one in value.items()}
    return [_with_key(one, key_arn) for one in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    main()

"""Customers on the embedded AWS and the local PostgreSQL: each with what their job needs, and the arguments for it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools import clinical_data
from devtools.spark import EXAMPLE_RULES, zipped

if TYPE_CHECKING:
    from devtools.embedded_aws.server import Credentials, EmbeddedAws
    from devtools.postgresql import Postgresql

_SCRIPTS = "job-scripts"
TABLES = (
    {"name": "subjects", "source": "public.subjects"},
    {"name": "visits", "source": "visits", "partition_column": "visit_id", "partitions": 2},
    {"name": "lab_results", "source": "lab_results", "partition_column": "result_id", "partitions": 4},
    {"name": "adverse_events", "source": "adverse_events"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer with everything, and nothing that another one could use.

    Attributes:
        name: The customer.
        bucket: Their bucket.
        key_arn: Their key.
        secret_arn: Their secret.
        credentials: Those of their job.
        jdbc_url: Their database.
        certificate: The authority of the database server.
        rules: Where the rules lie.
        tables: What is read.
        database: Who reads it.
    """

    name: str
    bucket: str
    key_arn: str
    secret_arn: str
    credentials: Credentials
    jdbc_url: str
    certificate: str
    rules: str
    tables: tuple[dict[str, Any], ...]
    database: clinical_data.CustomerDatabase

    def arguments(self, run_id: str, *, output_partitions: int = 2) -> list[str]:
        """Return what Glue passes to the customer's job, its own arguments among it."""
        given = {
            "--JOB_NAME": f"{self.name}-job",
            "--JOB_RUN_ID": run_id,
            "--enable-metrics": "true",
            "--customer": self.name,
            "--key-arn": self.key_arn,
            "--output": f"s3://{self.bucket}/etl/",
            "--state": f"s3://{self.bucket}/state/",
            "--secret-arn": self.secret_arn,
            "--jdbc-url": self.jdbc_url,
            "--ca-certificate": self.certificate,
            "--tables": json.dumps(self.tables),
            "--rules": self.rules,
            "--output-partitions": str(output_partitions),
        }
        return [word for pair in given.items() for word in pair]

    def environment(self, aws: EmbeddedAws) -> dict[str, str]:
        """Return the environment of a program that has the rights of the customer's job."""
        return aws.environment() | {
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
        }

    def with_bookmarks(self) -> Customer:
        """Return the customer with results that are read once."""
        tables = tuple(
            table | {"bookmark": "xmin"} if table["name"] == "lab_results" else table for table in self.tables
        )
        return replace(self, tables=tables)


def make(
    aws: EmbeddedAws, server: Postgresql, name: str, *, subjects: int, seed: int, rules: Path = EXAMPLE_RULES
) -> Customer:
    """Make a customer with data of so many subjects."""
    database = clinical_data.fill(server, name, subjects=subjects, seed=seed)
    s3, kms = aws.client("s3"), aws.client("kms")
    key_arn = kms.create_key(Description=f"data of {name}")["KeyMetadata"]["Arn"]
    bucket = f"{name}-data-{aws.account_id}"
    where = {"LocationConstraint": aws.region}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption)
    secret = json.dumps({"username": database.username, "password": database.password})
    secret_arn = aws.client("secretsmanager").create_secret(Name=f"{name}/database", SecretString=secret)["ARN"]
    return Customer(
        name=name,
        bucket=bucket,
        key_arn=key_arn,
        secret_arn=secret_arn,
        credentials=aws.create_user(f"{name}-job", *_statements(bucket, key_arn, secret_arn, name)),
        jdbc_url=server.url(name),
        certificate=server.certificate,
        rules=put_rules(aws, name, rules),
        tables=TABLES,
        database=database,
    )


def put_rules(aws: EmbeddedAws, name: str, rules: Path) -> str:
    """Store rules where a customer's job reads them."""
    s3 = aws.client("s3")
    if _SCRIPTS not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=_SCRIPTS, CreateBucketConfiguration={"LocationConstraint": aws.region})
    with tempfile.TemporaryDirectory() as folder:
        archive = zipped(rules, Path(folder) / "rules.zip")
        s3.put_object(Bucket=_SCRIPTS, Key=f"{name}/rules.zip", Body=archive.read_bytes())
    return f"s3://{_SCRIPTS}/{name}/rules.zip"


def _statements(bucket: str, key_arn: str, secret_arn: str, name: str) -> list[dict[str, Any]]:
    """Return what a customer's job may do: what is their own."""
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{bucket}/{folder}/*" for folder in ("etl", "state")],
        },
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{_SCRIPTS}/{name}/rules.zip"},
        {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key_arn},
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret_arn},
    ]

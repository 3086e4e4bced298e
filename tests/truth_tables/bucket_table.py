"""What an EncryptedBucket lets in, row by row, in every mode; held against its policy and against the bucket."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from aws_cdk import aws_iam as iam

from cdk_encrypted_data.choices import (
    CustomerProvidedKeys,
    MinimumTlsVersion,
    ServerSideEncryption,
    UploadPolicy,
)
from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
from tests.oracle.table import read_table
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from constructs import Construct

RESPECT, REQUIRE = UploadPolicy.RESPECT_DEFAULT, UploadPolicy.REQUIRE_HEADER
BLOCKED, ALLOWED = CustomerProvidedKeys.BLOCKED, CustomerProvidedKeys.ALLOWED
TLS_1_2, TLS_1_3 = MinimumTlsVersion.TLS_1_2, MinimumTlsVersion.TLS_1_3
LOG_SOURCE = "source-bucket"


class Mode(NamedTuple):
    encryption: ServerSideEncryption
    upload_policy: UploadPolicy
    customer_provided_keys: CustomerProvidedKeys
    minimum_tls_version: MinimumTlsVersion

    def __str__(self) -> str:
        return "-".join(choice.name for choice in self)

    @property
    def column(self) -> str:
        return self.encryption.name + ("" if self.upload_policy is RESPECT else ", header")


MODES = [
    Mode(*choices) for choices in product(ServerSideEncryption, UploadPolicy, CustomerProvidedKeys, MinimumTlsVersion)
]

# SSE-C blocked, TLS 1.2. The bucket's owner has let a partner account and log delivery write: a consumer's own Allow
# statements open nothing that the table says is closed.
EXPECTED = read_table("""
                                  | SSE_KMS | SSE_KMS, header | DSSE_KMS | DSSE_KMS, header | SSE_S3 | SSE_S3, header
no header                         | ok      | D               | ok       | D                | ok     | D
AES256                            | D       | D               | D        | D                | ok     | ok
aws:kms, no key: verbatim         | D       | D               | D        | D                | D      | D
aws:kms, no key: filled in        | D       | D               | D        | D                | D      | D
aws:kms, right key                | ok      | ok              | D        | D                | D      | D
right key id: verbatim            | D       | D               | D        | D                | D      | D
right key id: as ARN              | ok      | ok              | D        | D                | D      | D
right alias: verbatim             | D       | D               | D        | D                | D      | D
right alias: as ARN               | ok      | ok              | D        | D                | D      | D
aws:kms, wrong key                | D       | D               | D        | D                | D      | D
right key, no aws:kms             | ok      | D               | ok       | D                | D      | D
wrong key, no aws:kms             | D       | D               | D        | D                | D      | D
dsse, right key                   | OK!dsse | OK!dsse         | ok       | ok               | D      | D
dsse, wrong key                   | D       | D               | D        | D                | D      | D
dsse, no key                      | D       | D               | D        | D                | D      | D
unknown algorithm                 | D       | D               | D        | D                | D      | D
SSE-C                             | D       | D               | D        | D                | D      | D
HTTP                              | D       | D               | D        | D                | D      | D
HTTP: TLS version shown           | D       | D               | D        | D                | D      | D
TLS 1.1                           | D       | D               | D        | D                | D      | D
TLS 1.2                           | ok      | D               | ok       | D                | ok     | D
TLS 1.3                           | ok      | D               | ok       | D                | ok     | D
other account, no header          | ok      | D               | ok       | D                | ok     | D
other account, right key          | ok      | ok              | D        | D                | D      | D
anonymous                         | D       | D               | D        | D                | D      | D
CopyObject, no header             | ok      | D               | ok       | D                | ok     | D
CopyObject, right key             | ok      | ok              | D        | D                | D      | D
CopyObject, wrong key             | D       | D               | D        | D                | D      | D
multipart upload, no header       | ok      | D               | ok       | D                | ok     | D
multipart upload, right key       | ok      | ok              | D        | D                | D      | D
multipart upload, wrong key       | D       | D               | D        | D                | D      | D
UploadPart: nothing shown         | ok      | D               | ok       | D                | ok     | D
UploadPart: its upload's shown    | ok      | ok              | D        | D                | D      | D
UploadPart, SSE-C                 | D       | D               | D        | D                | D      | D
UpdateObjectEncryption, right key | ok      | ok              | D        | D                | D      | D
UpdateObjectEncryption, wrong key | D       | D               | D        | D                | D      | D
ReplicateObject                   | ok      | ok              | ok       | ok               | ok     | ok
ReplicateDelete                   | ok      | ok              | ok       | ok               | ok     | ok
log delivery                      | ok      | D               | ok       | D                | ok     | D
log delivery, other account       | D       | D               | D        | D                | D      | D
log delivery, other bucket        | D       | D               | D        | D                | D      | D
log delivery, no source           | D       | D               | D        | D                | D      | D
""")
# What the other choices change, and nothing else.
WITH_SSE_C = {"SSE-C": "OK!sse-c", "UploadPart, SSE-C": "OK!sse-c"}
WITH_TLS_1_3 = {"TLS 1.2": "D"}


def expected(mode: Mode) -> dict[str, str]:
    """The cell of every row."""
    cells = dict(EXPECTED[mode.column])
    if mode.customer_provided_keys is ALLOWED:
        cells |= WITH_SSE_C
    if mode.minimum_tls_version is TLS_1_3:
        cells |= WITH_TLS_1_3
    return cells


def make_bucket(scope: Construct, mode: Mode) -> EncryptedBucket:
    """The bucket that a mode's cells are about."""
    made = EncryptedBucket(
        scope,
        str(mode).replace("_", ""),
        encryption=mode.encryption,
        upload_policy=mode.upload_policy,
        customer_provided_keys=mode.customer_provided_keys,
        minimum_tls_version=mode.minimum_tls_version,
    )
    from_source = {"aws:SourceArn": f"arn:aws:s3:::{LOG_SOURCE}", "aws:SourceAccount": ACCOUNT}
    for writer in (
        iam.AccountPrincipal(OTHER_ACCOUNT),
        iam.ServicePrincipal("logging.s3.amazonaws.com", conditions={"StringEquals": from_source}),
    ):
        made.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[writer], actions=["s3:PutObject"], resources=[made.bucket.arn_for_objects("*")]
            )
        )
    return made

"""AWS CDK constructs for data encrypted under the customer's own KMS keys."""

from cdk_encrypted_data.access_log_bucket import AccessLogBucket
from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
from cdk_encrypted_data.encrypted_bucket import (
    CustomerProvidedKeys,
    EncryptedBucket,
    MinimumTlsVersion,
    ObjectEvents,
    ServerSideEncryption,
    UploadPolicy,
)

__version__ = "0.1.0"

__all__ = [
    "AccessLogBucket",
    "CustomerManagedKey",
    "CustomerProvidedKeys",
    "EncryptedBucket",
    "MinimumTlsVersion",
    "ObjectEvents",
    "ServerSideEncryption",
    "UploadPolicy",
    "__version__",
]

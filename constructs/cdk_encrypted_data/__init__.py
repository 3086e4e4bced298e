"""AWS CDK constructs for data encrypted under the customer's own KMS keys.

Each name is imported when it is first used, so that the proofs can be without the CDK and its Node process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk_encrypted_data.access_log_bucket import AccessLogBucket
    from cdk_encrypted_data.batch_replication import BatchReplication
    from cdk_encrypted_data.choices import (
        CustomerProvidedKeys,
        DeleteMarkers,
        GlueVersion,
        MinimumTlsVersion,
        ObjectEvents,
        ObjectLock,
        ReplicationDirection,
        ReplicationTime,
        ServerSideEncryption,
        UploadPolicy,
    )
    from cdk_encrypted_data.customer_managed_key import CustomerManagedKey
    from cdk_encrypted_data.customers import Customer, TableSource, check_customers, customers_from
    from cdk_encrypted_data.encrypted_bucket import EncryptedBucket
    from cdk_encrypted_data.encryption_proofs import EncryptionProofs
    from cdk_encrypted_data.failure_topic import FailureTopic
    from cdk_encrypted_data.fleet_quotas import FleetQuotas
    from cdk_encrypted_data.job_code import JobCode
    from cdk_encrypted_data.multi_region_access_point import MultiRegionAccessPoint
    from cdk_encrypted_data.multi_region_key_pair import MultiRegionKeyPair
    from cdk_encrypted_data.per_customer_glue_job import PerCustomerGlueJob
    from cdk_encrypted_data.placement import Placement
    from cdk_encrypted_data.policies.replication import CrossAccountDestination
    from cdk_encrypted_data.promotion import Promotion
    from cdk_encrypted_data.replicated_encrypted_buckets import ReplicatedEncryptedBuckets
    from cdk_encrypted_data.replication_destination import ReplicationDestination
    from cdk_encrypted_data.replication_monitoring import ReplicationMonitoring

__version__ = "0.1.0"

__all__ = [
    "AccessLogBucket",
    "BatchReplication",
    "CrossAccountDestination",
    "Customer",
    "CustomerManagedKey",
    "CustomerProvidedKeys",
    "DeleteMarkers",
    "EncryptedBucket",
    "EncryptionProofs",
    "FailureTopic",
    "FleetQuotas",
    "GlueVersion",
    "JobCode",
    "MinimumTlsVersion",
    "MultiRegionAccessPoint",
    "MultiRegionKeyPair",
    "ObjectEvents",
    "ObjectLock",
    "PerCustomerGlueJob",
    "Placement",
    "Promotion",
    "ReplicatedEncryptedBuckets",
    "ReplicationDestination",
    "ReplicationDirection",
    "ReplicationMonitoring",
    "ReplicationTime",
    "ServerSideEncryption",
    "TableSource",
    "UploadPolicy",
    "__version__",
    "check_customers",
    "customers_from",
]

_MODULES = {
    "AccessLogBucket": "access_log_bucket",
    "BatchReplication": "batch_replication",
    "CrossAccountDestination": "policies.replication",
    "Customer": "customers",
    "CustomerManagedKey": "customer_managed_key",
    "CustomerProvidedKeys": "choices",
    "DeleteMarkers": "choices",
    "EncryptedBucket": "encrypted_bucket",
    "EncryptionProofs": "encryption_proofs",
    "FailureTopic": "failure_topic",
    "FleetQuotas": "fleet_quotas",
    "GlueVersion": "choices",
    "JobCode": "job_code",
    "MinimumTlsVersion": "choices",
    "MultiRegionAccessPoint": "multi_region_access_point",
    "MultiRegionKeyPair": "multi_region_key_pair",
    "ObjectEvents": "choices",
    "ObjectLock": "choices",
    "PerCustomerGlueJob": "per_customer_glue_job",
    "Placement": "placement",
    "Promotion": "promotion",
    "ReplicatedEncryptedBuckets": "replicated_encrypted_buckets",
    "ReplicationDestination": "replication_destination",
    "ReplicationDirection": "choices",
    "ReplicationMonitoring": "replication_monitoring",
    "ReplicationTime": "choices",
    "ServerSideEncryption": "choices",
    "TableSource": "customers",
    "UploadPolicy": "choices",
    "check_customers": "customers",
    "customers_from": "customers",
}

if not TYPE_CHECKING:  # a type checker that sees __getattr__ takes every misspelt name for a good one

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

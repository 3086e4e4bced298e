"""The names that policies may use: actions and condition keys of the services that these proofs are about.

As of November 2026, from each service's page of the Service Authorization Reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html,
and what is newer from the pages of the operations themselves; the global keys from
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html. What AWS adds later isn't known
here. AWS Glue isn't here at all: its reference lacks dozens of operations that its API has.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from typing import Final

from cdk_encrypted_data.proofs.iam.patterns import wildcard_regex

# How much of two names must be the same for the one to be taken for the other, misspelt.
_NEAR: Final = 0.8

_ACTIONS: Final[Mapping[str, str]] = {
    "kms": """
CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey Decapsulate Decrypt
DeleteAlias DeleteCustomKeyStore DeleteImportedKeyMaterial DeriveSharedSecret DescribeCustomKeyStores DescribeKey
DisableKey DisableKeyRotation DisconnectCustomKeyStore EnableKey EnableKeyRotation Encapsulate Encrypt GenerateDataKey
GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom
GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus GetParametersForImport GetPublicKey ImportKeyMaterial ListAliases
ListGrants ListKeyPolicies ListKeyRotations ListKeys ListResourceTags ListRetirableGrants PutKeyPolicy ReEncryptFrom
ReEncryptTo ReplicateKey RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign SynchronizeMultiRegionKey
TagResource UntagResource UpdateAlias UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac
""",
    "logs": """
AssociateKmsKey AssociateSourceToS3TableIntegration CallWithBearerToken CancelExportTask CancelImportTask
CreateDelivery CreateExportTask CreateImportTask CreateLogAnomalyDetector CreateLogDelivery CreateLogGroup
CreateLogStream CreateLookupTable CreateScheduledQuery DeleteAccountPolicy DeleteDataProtectionPolicy DeleteDelivery
DeleteDeliveryDestination DeleteDeliveryDestinationPolicy DeleteDeliverySource DeleteDestination DeleteIndexPolicy
DeleteIntegration DeleteLogAnomalyDetector DeleteLogDelivery DeleteLogGroup DeleteLogStream DeleteLookupTable
DeleteMetricFilter DeletePipelineRule DeleteQueryDefinition DeleteResourcePolicy DeleteRetentionPolicy
DeleteScheduledQuery DeleteSubscriptionFilter DeleteSyslogConfiguration DeleteTransformer DescribeAccountPolicies
DescribeConfigurationTemplates DescribeDeliveries DescribeDeliveryDestinations DescribeDeliverySources
DescribeDestinations DescribeExportTasks DescribeFieldIndexes DescribeImportTaskBatches DescribeImportTasks
DescribeIndexPolicies DescribeLogGroups DescribeLogStreams DescribeLookupTables DescribeMetricFilters DescribeQueries
DescribeQueryDefinitions DescribeResourcePolicies DescribeSubscriptionFilters DisassociateKmsKey
DisassociateSourceFromS3TableIntegration FilterLogEvents GetDataProtectionPolicy GetDelivery GetDeliveryDestination
GetDeliveryDestinationPolicy GetDeliverySource GetIntegration GetLogAnomalyDetector GetLogDelivery GetLogEvents
GetLogFields GetLogGroupFields GetLogObject GetLogRecord GetLookupTable GetQueryResults GetScheduledQuery
GetScheduledQueryHistory GetStorageTierPolicy GetTransformer IntegrateWithDataset IntegrateWithS3Table Link
ListAggregateLogGroupSummaries ListAnomalies ListEntitiesForLogGroup ListIntegrations ListLogAnomalyDetectors
ListLogDeliveries ListLogGroups ListLogGroupsForEntity ListLogGroupsForQuery ListScheduledQueries
ListSourcesForS3TableIntegration ListSyslogConfigurations ListTagsForResource ListTagsLogGroup ProcessWithPipeline
PutAccountPolicy PutBearerTokenAuthentication PutDataProtectionPolicy PutDeliveryDestination
PutDeliveryDestinationPolicy PutDeliverySource PutDestination PutDestinationPolicy PutIndexPolicy PutIntegration
PutLogEvents PutLogGroupDeletionProtection PutMetricFilter PutPipelineRule PutQueryDefinition PutResourcePolicy
PutRetentionPolicy PutStorageTierPolicy PutSubscriptionFilter PutSyslogConfiguration PutTransformer StartLiveTail
StartQuery StopLiveTail StopQuery TagLogGroup TagResource TestMetricFilter TestTransformer Unmask UntagLogGroup
UntagResource UpdateAnomaly UpdateDeliveryConfiguration UpdateLogAnomalyDetector UpdateLogDelivery UpdateLookupTable
UpdateScheduledQuery
""",
    "s3": """
AbortMultipartUpload AllowVendedLogDeliveryForResource AssociateAccessGrantsIdentityCenter BypassGovernanceRetention
CreateAccessGrant CreateAccessGrantsInstance CreateAccessGrantsLocation CreateAccessPoint
CreateAccessPointForObjectLambda CreateBucket CreateBucketMetadataTableConfiguration CreateJob
CreateMultiRegionAccessPoint CreateStorageLensGroup DeleteAccessGrant DeleteAccessGrantsInstance
DeleteAccessGrantsInstanceResourcePolicy DeleteAccessGrantsLocation DeleteAccessPoint DeleteAccessPointForObjectLambda
DeleteAccessPointPolicy DeleteAccessPointPolicyForObjectLambda DeleteBucket DeleteBucketMetadataTableConfiguration
DeleteBucketPolicy DeleteBucketWebsite DeleteJobTagging DeleteMultiRegionAccessPoint DeleteObject
DeleteObjectAnnotation DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionAnnotation
DeleteObjectVersionTagging DeleteStorageLensConfiguration DeleteStorageLensConfigurationTagging DeleteStorageLensGroup
DescribeJob DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter GetAccelerateConfiguration
GetAccessGrant GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix GetAccessGrantsInstanceResourcePolicy
GetAccessGrantsLocation GetAccessPoint GetAccessPointConfigurationForObjectLambda GetAccessPointForObjectLambda
GetAccessPointPolicy GetAccessPointPolicyForObjectLambda GetAccessPointPolicyStatus
GetAccessPointPolicyStatusForObjectLambda GetAccountPublicAccessBlock GetAnalyticsConfiguration GetBucketAbac
GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration
GetBucketNotification GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy
GetBucketPolicyStatus GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning
GetBucketWebsite GetDataAccess GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
GetJobTagging GetLifecycleConfiguration GetMetricsConfiguration GetMultiRegionAccessPoint
GetMultiRegionAccessPointPolicy GetMultiRegionAccessPointPolicyStatus GetMultiRegionAccessPointRoutes GetObject
GetObjectAcl GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging
GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation
GetObjectVersionAnnotationForReplication GetObjectVersionAttributes GetObjectVersionForReplication
GetObjectVersionTagging GetObjectVersionTorrent GetReplicationConfiguration GetStorageLensConfiguration
GetStorageLensConfigurationTagging GetStorageLensDashboard GetStorageLensGroup InitiateReplication ListAccessGrants
ListAccessGrantsInstances ListAccessGrantsLocations ListAccessPoints ListAccessPointsForObjectLambda ListAllMyBuckets
ListBucket ListBucketMultipartUploads ListBucketVersions ListCallerAccessGrants ListJobs ListMultipartUploadParts
ListMultiRegionAccessPoints ListObjectAnnotations ListObjectVersionAnnotations ListStorageLensConfigurations
ListStorageLensGroups ListTagsForResource ObjectOwnerOverrideToBucketOwner PauseReplication PutAccelerateConfiguration
PutAccessGrantsInstanceResourcePolicy PutAccessPointConfigurationForObjectLambda PutAccessPointPolicy
PutAccessPointPolicyForObjectLambda PutAccessPointPublicAccessBlock PutAccountPublicAccessBlock
PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification
PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock
PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
PutIntelligentTieringConfiguration PutInventoryConfiguration PutJobTagging PutLifecycleConfiguration
PutMetricsConfiguration PutMultiRegionAccessPointPolicy PutObject PutObjectAcl PutObjectAnnotation PutObjectLegalHold
PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionAnnotation PutObjectVersionTagging
PutReplicationConfiguration PutStorageLensConfiguration PutStorageLensConfigurationTagging ReplicateDelete
ReplicateObject ReplicateObjectAnnotation ReplicateTags RestoreObject SubmitMultiRegionAccessPointRoutes TagResource
UntagResource UpdateAccessGrantsLocation UpdateBucketMetadataAnnotationTableConfiguration
UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration UpdateJobPriority
UpdateJobStatus UpdateObjectEncryption UpdateStorageLensGroup
""",
    "secretsmanager": """
AcceptCrossAccountReplication AssociateCrossAccountReplica BatchGetSecretValue CancelRotateSecret CreateSecret
DeleteResourcePolicy DeleteSecret DescribeSecret DisassociateCrossAccountReplica GetRandomPassword GetResourcePolicy
GetSecretValue ListResourcePolicies ListSecrets ListSecretVersionIds PutResourcePolicy PutSecretValue
RemoveRegionsFromReplication ReplicateSecretToRegions RestoreSecret RotateSecret StopReplicationToReplica TagResource
UntagResource UpdateSecret UpdateSecretVersionStage ValidateResourcePolicy
""",
    "sts": """
AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot DecodeAuthorizationMessage GetAccessKeyInfo
GetCallerIdentity GetDelegatedAccessToken GetFederationToken GetServiceBearerToken GetSessionToken GetWebIdentityToken
SetContext SetSourceIdentity TagGetWebIdentityToken TagSession
""",
}

# What people take for an action of S3 or KMS, since the operation is called so, by the action that it needs (first):
# "API operations defined by Amazon S3" of the reference, and
# https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html.
_OPERATIONS: Final[Mapping[str, str]] = {
    "kms:ReEncryptFrom": "ReEncrypt",
    "s3:CreateBucketMetadataTableConfiguration": "CreateBucketMetadataConfiguration",
    "s3:DeleteBucketMetadataTableConfiguration": "DeleteBucketMetadataConfiguration",
    "s3:DeleteObject": "DeleteObjects",
    "s3:GetAccelerateConfiguration": "GetBucketAccelerateConfiguration",
    "s3:GetAnalyticsConfiguration": "GetBucketAnalyticsConfiguration ListBucketAnalyticsConfigurations",
    "s3:GetBucketMetadataTableConfiguration": "GetBucketMetadataConfiguration",
    "s3:GetBucketNotification": "GetBucketNotificationConfiguration",
    "s3:GetBucketObjectLockConfiguration": "GetObjectLockConfiguration",
    "s3:GetBucketPublicAccessBlock": "GetPublicAccessBlock",
    "s3:GetEncryptionConfiguration": "GetBucketEncryption",
    "s3:GetIntelligentTieringConfiguration": (
        "GetBucketIntelligentTieringConfiguration ListBucketIntelligentTieringConfigurations"
    ),
    "s3:GetInventoryConfiguration": "GetBucketInventoryConfiguration ListBucketInventoryConfigurations",
    "s3:GetLifecycleConfiguration": "GetBucketLifecycle GetBucketLifecycleConfiguration",
    "s3:GetMetricsConfiguration": "GetBucketMetricsConfiguration ListBucketMetricsConfigurations",
    "s3:GetObject": "HeadObject SelectObjectContent",
    "s3:GetReplicationConfiguration": "GetBucketReplication",
    "s3:ListAllMyBuckets": "ListBuckets",
    "s3:ListBucket": "HeadBucket ListObjects ListObjectsV2",
    "s3:ListBucketMultipartUploads": "ListMultipartUploads",
    "s3:ListBucketVersions": "ListObjectVersions",
    "s3:ListMultipartUploadParts": "ListParts",
    "s3:PutAccelerateConfiguration": "PutBucketAccelerateConfiguration",
    "s3:PutAnalyticsConfiguration": "DeleteBucketAnalyticsConfiguration PutBucketAnalyticsConfiguration",
    "s3:PutBucketCORS": "DeleteBucketCors",
    "s3:PutBucketNotification": "PutBucketNotificationConfiguration",
    "s3:PutBucketObjectLockConfiguration": "PutObjectLockConfiguration",
    "s3:PutBucketOwnershipControls": "DeleteBucketOwnershipControls",
    "s3:PutBucketPublicAccessBlock": "DeletePublicAccessBlock PutPublicAccessBlock",
    "s3:PutBucketTagging": "DeleteBucketTagging",
    "s3:PutEncryptionConfiguration": "DeleteBucketEncryption PutBucketEncryption",
    "s3:PutIntelligentTieringConfiguration": (
        "DeleteBucketIntelligentTieringConfiguration PutBucketIntelligentTieringConfiguration"
    ),
    "s3:PutInventoryConfiguration": "DeleteBucketInventoryConfiguration PutBucketInventoryConfiguration",
    "s3:PutLifecycleConfiguration": "DeleteBucketLifecycle PutBucketLifecycle PutBucketLifecycleConfiguration",
    "s3:PutMetricsConfiguration": "DeleteBucketMetricsConfiguration PutBucketMetricsConfiguration",
    "s3:PutObject": "CompleteMultipartUpload CopyObject CreateMultipartUpload UploadPart UploadPartCopy",
    "s3:PutReplicationConfiguration": "DeleteBucketReplication PutBucketReplication",
}

# A name that ends in * stands for every name that begins so and goes on. Beside the reference's:
# aws:SourceOwner, which Amazon SNS puts into the policies that it makes
# (https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html), and aws:PrincipalOrgMasterAccountId,
# which AWS's own AWSSSOServiceRolePolicy looks at.
_CONDITION_KEYS: Final[Mapping[str, str]] = {
    "aws": """
AssumedRoot CalledVia CalledViaAWSMCP CalledViaFirst CalledViaLast ChatbotSourceArn CurrentTime
Ec2InstanceSourcePrivateIPv4 Ec2InstanceSourceVpc EpochTime FederatedProvider IsMcpServiceAction MultiFactorAuthAge
MultiFactorAuthPresent PrincipalAccount PrincipalArn PrincipalIsAWSService PrincipalOrgID PrincipalOrgMasterAccountId
PrincipalOrgPaths PrincipalServiceName PrincipalServiceNamesList PrincipalTag/* PrincipalType referer RequestedRegion
RequestTag/* ResourceAccount ResourceOrgID ResourceOrgPaths ResourceTag/* SecureTransport SignInSessionArn
SourceAccount SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceOwner SourceVpc SourceVpcArn
SourceVpce TagKeys TokenIssueTime UserAgent userid username ViaAWSMCPService ViaAWSService VpceAccount VpceOrgID
VpceOrgPaths VpcSourceIp
""",
    "kms": """
BypassPolicyLockoutSafetyCheck CallerAccount CustomerMasterKeySpec CustomerMasterKeyUsage DataKeyPairSpec
EncryptionAlgorithm EncryptionContext:* EncryptionContextKeys ExpirationModel GrantConstraintSourceArn
GrantConstraintType GranteePrincipal GranteeServicePrincipal GrantIsForAWSResource GrantOperations
KeyAgreementAlgorithm KeyOrigin KeySpec KeyUsage MacAlgorithm MessageType MultiRegion MultiRegionKeyType PolicyName
PrimaryRegion RecipientAttestation:ImageSha384 RecipientAttestation:NitroTPMPCR* RecipientAttestation:PCR*
ReEncryptOnSameKey ReplicaRegion RequestAlias ResourceAliases RetiringPrincipal RetiringServicePrincipal
RotationPeriodInDays ScheduleKeyDeletionPendingWindowInDays SigningAlgorithm TrailingDaysWithoutKeyUsage ValidTo
ViaService WrappingAlgorithm WrappingKeySpec
""",
    "s3": """
AccessGrantScope AccessGrantsInstanceArn AccessGrantsLocationScope AccessPointNetworkOrigin AccessPointTag/*
annotation-prefix authType BucketTag/* DataAccessPointAccount DataAccessPointArn delimiter deliverySourceArn
destinationRegion ExistingJobOperation ExistingJobPriority ExistingObjectTag/* if-match if-none-match
InventoryAccessibleOptionalFields isReplicationPauseRequest JobSuspendedCause locationconstraint logType
max-annotation-results max-keys object-lock-event-hold object-lock-event-hold-duration-days object-lock-legal-hold
object-lock-mode object-lock-remaining-retention-days object-lock-retain-until-date ObjectCreationOperation prefix
RequestJobOperation RequestJobPriority RequestObjectTag/* RequestObjectTagKeys ResourceAccount
resourceArnBeingAuthorized signatureAge signatureversion TlsVersion versionid x-amz-acl x-amz-bucket-namespace
x-amz-content-sha256 x-amz-copy-source x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp
x-amz-grant-write x-amz-grant-write-acp x-amz-metadata-directive x-amz-object-annotation-directive
x-amz-object-if-match x-amz-object-ownership x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id
x-amz-server-side-encryption-customer-algorithm x-amz-storage-class x-amz-website-redirect-location
""",
    "secretsmanager": """
AddReplicaRegions BlockPublicPolicy Description ExternalSecretRotationRoleArn ForceDeleteWithoutRecovery
ForceOverwriteReplicaSecret KmsKeyArn KmsKeyId ModifyRotationRules Name RecoveryWindowInDays
resource/AllowRotationLambdaArn resource/Type ResourceTag/* RotateImmediately RotationLambdaARN SecretId
SecretPrimaryRegion Type VersionId VersionStage
""",
    "sts": """
AWSServiceName DurationSeconds ExternalId IdentityTokenAudience RequestContext/* RequestContextProviders
RoleAuthorizedByIdp RoleSessionName SigningAlgorithm SourceIdentity TaskPolicyArn TransitiveTagKeys
""",
}


def is_action(pattern: str) -> bool | None:
    """Whether an action of a policy, with or without wildcards, names any action; None for services that aren't here.

    IAM compares names without regard to case, here and below.
    """
    actions = _ACTIONS_BY_SERVICE.get(_prefix(pattern))
    if actions is None:
        return None
    return pattern.lower() in actions or _matches_any(pattern.lower())


def is_condition_key(key: str) -> bool | None:
    """Whether any request can have a condition key; None for prefixes that aren't here."""
    keys = _KEYS_BY_PREFIX.get(_prefix(key))
    if keys is None:
        return None
    lowered = key.lower()
    families = (name.removesuffix("*") for name in keys if name.endswith("*"))
    return lowered in keys or any(lowered.startswith(family) and lowered != family for family in families)


def action_of_operation(name: str) -> str | None:
    """Return the action that an operation needs, where the name is the operation's and no action's."""
    return _ACTIONS_BY_OPERATION.get(name.lower())


def nearest_action(pattern: str) -> str | None:
    """Return the action that somebody may have meant."""
    return _nearest(re.sub(r"[*?]", "", pattern), _ACTIONS_BY_SERVICE.get(_prefix(pattern), {}))


def nearest_condition_key(key: str) -> str | None:
    """Return the condition key that somebody may have meant."""
    keys = {name.removesuffix("*"): written for name, written in _KEYS_BY_PREFIX.get(_prefix(key), {}).items()}
    head = re.match(r"[^:]*:[^:/]*[:/]?", key)
    begun = "" if head is None else head[0]
    if begun == key:
        found = _nearest(key, keys)
        return None if found is None else found.replace("*", "…")
    families = {name: written.removesuffix("*") for name, written in keys.items() if written.endswith("*")}
    if found := _nearest(key, {name: written for name, written in keys.items() if name not in families}):
        return found
    family = _nearest(begun, families)
    return None if family is None else f"{family}{key.removeprefix(begun)}"


def _prefix(name: str) -> str:
    return name.partition(":")[0].lower()


@functools.lru_cache(maxsize=1024)
def _matches_any(pattern: str) -> bool:
    if not re.search(r"[*?]", pattern):
        return False
    matches = re.compile(wildcard_regex(pattern)).fullmatch
    return any(matches(action) for action in _ACTIONS_BY_SERVICE[_prefix(pattern)])


def _nearest(name: str, known: Mapping[str, str]) -> str | None:
    found = difflib.get_close_matches(name.lower(), known, 1, _NEAR)
    return known[found[0]] if found else None


def _by_prefix(tables: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """Return each table's names with their prefix: in lower case, and as AWS writes them."""
    return {
        prefix: {f"{prefix}:{name}".lower(): f"{prefix}:{name}" for name in names.split()}
        for prefix, names in tables.items()
    }


_ACTIONS_BY_SERVICE: Final = _by_prefix(_ACTIONS)
_KEYS_BY_PREFIX: Final = _by_prefix(_CONDITION_KEYS)
_ACTIONS_BY_OPERATION: Final = {
    f"{_prefix(action)}:{name}".lower(): action for action, names in _OPERATIONS.items() for name in names.split()
}

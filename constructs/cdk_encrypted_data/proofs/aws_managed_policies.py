"""What AWS's managed policies allow, for those that roles beside encrypted data often have.

From https://docs.aws.amazon.com/aws-managed-policy/latest/reference/NAME.html, as of March 2026. AWS may widen them,
and says so there; what is new then isn't known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


def _policy(*statements: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(*actions: str, on: tuple[str, ...] = ("*",), where: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    condition = {} if where is None else {"Condition": where}
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(on), **condition}


def _allow_but(*actions: str) -> Mapping[str, Any]:
    return {"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}


AWS_MANAGED_POLICIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "AWSKeyManagementServicePowerUser": _policy(
        _allow(
            "iam:ListGroups",
            "iam:ListRoles",
            "iam:ListUsers",
            "kms:CreateAlias",
            "kms:CreateKey",
            "kms:DeleteAlias",
            "kms:Describe*",
            "kms:GenerateRandom",
            "kms:Get*",
            "kms:List*",
            "kms:TagResource",
            "kms:UntagResource",
        )
    ),
    "AWSXRayDaemonWriteAccess": _policy(
        _allow(
            "xray:GetSamplingRules",
            "xray:GetSamplingStatisticSummaries",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        )
    ),
    "AdministratorAccess": _policy(_allow("*")),
    "AmazonEC2ContainerRegistryReadOnly": _policy(
        _allow(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:DescribeImageScanFindings",
            "ecr:DescribeImages",
            "ecr:DescribeRepositories",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "ecr:GetLifecyclePolicy",
            "ecr:GetLifecyclePolicyPreview",
            "ecr:GetRepositoryPolicy",
            "ecr:ListImages",
            "ecr:ListTagsForResource",
        )
    ),
    "AmazonS3FullAccess": _policy(_allow("s3-object-lambda:*", "s3:*")),
    "AmazonS3ReadOnlyAccess": _policy(
        _allow("s3-object-lambda:Get*", "s3-object-lambda:List*", "s3:Describe*", "s3:Get*", "s3:List*")
    ),
    "AmazonSQSFullAccess": _policy(_allow("sqs:*")),
    "AmazonSSMManagedInstanceCore": _policy(
        _allow(
            "ssm:DescribeAssociation",
            "ssm:DescribeDocument",
            "ssm:GetDeployablePatchSnapshotForInstance",
            "ssm:GetDocument",
            "ssm:GetManifest",
            "ssm:GetParameter",
            "ssm:GetParameters",
            "ssm:ListAssociations",
            "ssm:ListInstanceAssociations",
            "ssm:PutComplianceItems",
            "ssm:PutConfigurePackageResult",
            "ssm:PutInventory",
            "ssm:UpdateAssociationStatus",
            "ssm:UpdateInstanceAssociationStatus",
            "ssm:UpdateInstanceInformation",
        ),
        _allow(
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ),
        _allow(
            "ec2messages:AcknowledgeMessage",
            "ec2messages:DeleteMessage",
            "ec2messages:FailMessage",
            "ec2messages:GetEndpoint",
            "ec2messages:GetMessages",
            "ec2messages:SendReply",
        ),
    ),
    "CloudWatchAgentServerPolicy": _policy(
        _allow(
            "cloudwatch:PutMetricData",
            "ec2:DescribeTags",
            "ec2:DescribeVolumes",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
            "logs:PutRetentionPolicy",
            "xray:GetSamplingRules",
            "xray:GetSamplingStatisticSummaries",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        ),
        _allow("ssm:GetParameter", on=("arn:aws:ssm:*:*:parameter/AmazonCloudWatch-*",)),
    ),
    "CloudWatchLambdaInsightsExecutionRolePolicy": _policy(
        _allow("logs:CreateLogGroup"),
        _allow("logs:CreateLogStream", "logs:PutLogEvents", on=("arn:aws:logs:*:*:log-group:/aws/lambda-insights:*",)),
    ),
    "CloudWatchLogsFullAccess": _policy(
        _allow(
            "cloudwatch:GenerateQuery",
            "cloudwatch:GenerateQueryResultsSummary",
            "logs:*",
            "observabilityadmin:GetS3TableIntegration",
            "observabilityadmin:ListS3TableIntegrations",
            "observabilityadmin:ListTelemetryPipelines",
        )
    ),
    "IAMFullAccess": _policy(
        _allow(
            "iam:*",
            "organizations:DescribeAccount",
            "organizations:DescribeOrganization",
            "organizations:DescribeOrganizationalUnit",
            "organizations:DescribePolicy",
            "organizations:ListChildren",
            "organizations:ListParents",
            "organizations:ListPolicies",
            "organizations:ListPoliciesForTarget",
            "organizations:ListRoots",
            "organizations:ListTargetsForPolicy",
        )
    ),
    "PowerUserAccess": _policy(
        _allow_but("account:*", "iam:*", "organizations:*"),
        _allow(
            "account:GetAccountInformation",
            "account:GetGovCloudAccountInformation",
            "account:GetPrimaryEmail",
            "account:ListRegions",
            "iam:CreateServiceLinkedRole",
            "iam:DeleteServiceLinkedRole",
            "iam:ListRoles",
            "organizations:DescribeEffectivePolicy",
            "organizations:DescribeOrganization",
        ),
    ),
    "SecretsManagerReadWrite": _policy(
        _allow(
            "cloudformation:CreateChangeSet",
            "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeStackResource",
            "cloudformation:DescribeStacks",
            "cloudformation:ExecuteChangeSet",
            "docdb-elastic:GetCluster",
            "docdb-elastic:ListClusters",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "kms:DescribeKey",
            "kms:ListAliases",
            "kms:ListKeys",
            "lambda:ListFunctions",
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "redshift-serverless:GetNamespace",
            "redshift-serverless:ListWorkgroups",
            "redshift:DescribeClusters",
            "secretsmanager:*",
            "tag:GetResources",
        ),
        _allow(
            "lambda:AddPermission",
            "lambda:CreateFunction",
            "lambda:GetFunction",
            "lambda:InvokeFunction",
            "lambda:UpdateFunctionConfiguration",
            on=("arn:aws:lambda:*:*:function:SecretsManager*",),
        ),
        _allow(
            "serverlessrepo:CreateCloudFormationChangeSet",
            "serverlessrepo:GetApplication",
            on=("arn:aws:serverlessrepo:*:*:applications/SecretsManager*",),
        ),
        _allow(
            "s3:GetObject",
            on=(
                "arn:aws:s3:::awsserverlessrepo-changesets*",
                "arn:aws:s3:::secrets-manager-rotation-apps-*/*",
            ),
        ),
    ),
    "service-role/AWSGlueServiceRole": _policy(
        _allow(
            "cloudwatch:PutMetricData",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
            "glue:*",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListRolePolicies",
            "s3:GetBucketAcl",
            "s3:GetBucketLocation",
            "s3:ListAllMyBuckets",
            "s3:ListBucket",
        ),
        _allow("s3:CreateBucket", on=("arn:aws:s3:::aws-glue-*",)),
        _allow(
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
            on=(
                "arn:aws:s3:::aws-glue-*/*",
                "arn:aws:s3:::*/*aws-glue-*/*",
            ),
        ),
        _allow(
            "s3:GetObject",
            on=(
                "arn:aws:s3:::crawler-public*",
                "arn:aws:s3:::aws-glue-*",
            ),
        ),
        _allow(
            "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", on=("arn:aws:logs:*:*:*:/aws-glue/*",)
        ),
        _allow(
            "ec2:CreateTags",
            "ec2:DeleteTags",
            on=(
                "arn:aws:ec2:*:*:network-interface/*",
                "arn:aws:ec2:*:*:security-group/*",
                "arn:aws:ec2:*:*:instance/*",
            ),
            where={"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}},
        ),
    ),
    "service-role/AWSLambdaBasicExecutionRole": _policy(
        _allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
    ),
    "service-role/AWSLambdaDynamoDBExecutionRole": _policy(
        _allow(
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        )
    ),
    "service-role/AWSLambdaKinesisExecutionRole": _policy(
        _allow(
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
            "kinesis:ListStreams",
            "kinesis:SubscribeToShard",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        )
    ),
    "service-role/AWSLambdaRole": _policy(_allow("lambda:InvokeFunction")),
    "service-role/AWSLambdaSQSQueueExecutionRole": _policy(
        _allow(
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        )
    ),
    "service-role/AWSLambdaVPCAccessExecutionRole": _policy(
        _allow(
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        )
    ),
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs": _policy(
        _allow(
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:FilterLogEvents",
            "logs:GetLogEvents",
            "logs:PutLogEvents",
        )
    ),
    "service-role/AmazonECSTaskExecutionRolePolicy": _policy(
        _allow(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        )
    ),
    "service-role/AmazonS3ObjectLambdaExecutionRolePolicy": _policy(
        _allow(
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "s3-object-lambda:WriteGetObjectResponse",
        )
    ),
}
"""By the name behind ``policy/``; the resource ``*`` where AWS writes it."""

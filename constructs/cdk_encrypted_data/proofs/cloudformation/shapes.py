"""What Ref and Fn::GetAtt return, by resource type: texts in the shape of those that only a deployment knows.

Sources: each type's page of https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/, "Return values".
"""

from __future__ import annotations

import functools
import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


class StandIn(str):
    """A text in the shape of one that only a deployment knows. Nothing may hang on what exactly it says."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Tell it from a text that is known."""
        return f"{type(self).__name__}({super().__repr__()})"


class Opaque(StandIn):
    """A stand-in whose shape isn't known either: a parameter of Systems Manager, a secret."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """Texts with fields: pseudo parameters, ``{name}``, properties, and characters that only a deployment knows.

    ``name_property`` holds the physical name; without it CloudFormation makes one up, in the shape ``generated``.
    ``attributes`` are what Fn::GetAtt returns, ``arn`` what policies call the resource. With one of the properties
    ``unless`` the texts would be others.
    """

    ref: str | None
    attributes: Mapping[str, str]
    name_property: str | None = None
    generated: str = "{stack}-{logical}-{upper:12}"
    arn: str | None = None
    unless: tuple[str, ...] = ()


def _arn(service: str, resource: str) -> str:
    return f"arn:{{partition}}:{service}:{{region}}:{{account}}:{resource}"


def _named(service: str, resource: str, name_property: str, **others: str) -> Shape:
    """Describe the most common kind: Ref is the name, and there is an Arn."""
    arn = _arn(service, resource)
    return Shape("{name}", {"Arn": arn, **others}, name_property, arn=arn)


def _by_arn(service: str, resource: str, name_property: str, attribute: str | None, **others: str) -> Shape:
    """Describe those whose Ref is the ARN."""
    arn = _arn(service, resource)
    return Shape(arn, {attribute: arn, **others} if attribute else others, name_property, arn=arn)


def _identified(id_shape: str, attribute: str, arn: str | None = None, **others: str) -> Shape:
    """Describe those that only an id tells apart."""
    return Shape("{name}", {attribute: "{name}", **others}, generated=id_shape, arn=arn)


def _iam(kind: str, name_property: str, **others: str) -> Shape:
    arn = f"arn:{{partition}}:iam::{{account}}:{kind}{{Path}}{{name}}"
    return Shape("{name}", {"Arn": arn, **others}, name_property, arn=arn)


_BUCKET_ARN: Final = "arn:{partition}:s3:::{name}"
_KEY_ARN: Final = _arn("kms", "key/{name}")
_MANAGED_POLICY_ARN: Final = "arn:{partition}:iam::{account}:policy{Path}{name}"
_QUEUE_URL: Final = "https://sqs.{region}.{suffix}/{account}/{name}"
_SECRET_ARN: Final = _arn("secretsmanager", "secret:{name}-{mixed:6}")
_KEY: Final = Shape("{name}", {"Arn": _KEY_ARN, "KeyId": "{name}"}, arn=_KEY_ARN)
NESTED_STACK: Final = "AWS::CloudFormation::Stack"
_STACK_ID: Final = _arn("cloudformation", "stack/{name}/{uuid}")

SHAPES: Final[Mapping[str, Shape]] = {
    "AWS::ApiGateway::RestApi": _identified("{lower:10}", "RestApiId"),
    "AWS::Athena::WorkGroup": Shape("{name}", {}, "Name", arn=_arn("athena", "workgroup/{name}")),
    "AWS::Backup::BackupVault": Shape(
        "{name}",
        {"BackupVaultArn": _arn("backup", "backup-vault:{name}"), "BackupVaultName": "{name}"},
        "BackupVaultName",
        arn=_arn("backup", "backup-vault:{name}"),
    ),
    "AWS::CertificateManager::Certificate": _by_arn("acm", "certificate/{uuid}", "DomainName", None),
    "AWS::CloudFormation::Stack": Shape(_STACK_ID, {}, arn=_STACK_ID),
    "AWS::CloudFront::CloudFrontOriginAccessIdentity": _identified("E{upper:13}", "Id", S3CanonicalUserId="{hex:96}"),
    "AWS::CloudFront::Distribution": _identified(
        "E{upper:13}",
        "Id",
        arn="arn:{partition}:cloudfront::{account}:distribution/{name}",
        DomainName="d{lower:13}.cloudfront.net",
    ),
    "AWS::CloudFront::OriginAccessControl": _identified("E{upper:13}", "Id"),
    "AWS::CloudTrail::Trail": _named("cloudtrail", "trail/{name}", "TrailName"),
    "AWS::CloudWatch::Alarm": _named("cloudwatch", "alarm:{name}", "AlarmName"),
    "AWS::CodeBuild::Project": _named("codebuild", "project/{name}", "Name"),
    "AWS::Cognito::UserPool": Shape(
        "{name}",
        {"Arn": _arn("cognito-idp", "userpool/{name}"), "UserPoolId": "{name}"},
        generated="{region}_{mixed:9}",
        arn=_arn("cognito-idp", "userpool/{name}"),
    ),
    "AWS::Config::ConfigRule": _named("config", "config-rule/config-rule-{lower:6}", "ConfigRuleName"),
    "AWS::DynamoDB::GlobalTable": _named("dynamodb", "table/{name}", "TableName"),
    "AWS::DynamoDB::Table": _named("dynamodb", "table/{name}", "TableName"),
    "AWS::EC2::FlowLog": _identified("fl-{hex:17}", "Id"),
    "AWS::EC2::Instance": _identified("i-{hex:17}", "InstanceId"),
    "AWS::EC2::InternetGateway": _identified("igw-{hex:17}", "InternetGatewayId"),
    "AWS::EC2::LaunchTemplate": _identified("lt-{hex:17}", "LaunchTemplateId"),
    "AWS::EC2::NatGateway": _identified("nat-{hex:17}", "NatGatewayId"),
    "AWS::EC2::NetworkAcl": _identified("acl-{hex:17}", "Id"),
    "AWS::EC2::PrefixList": _identified("pl-{hex:17}", "PrefixListId"),
    "AWS::EC2::RouteTable": _identified("rtb-{hex:17}", "RouteTableId"),
    "AWS::EC2::SecurityGroup": _identified("sg-{hex:17}", "GroupId", Id="{name}", VpcId="{VpcId}"),
    "AWS::EC2::Subnet": _identified(
        "subnet-{hex:17}", "SubnetId", VpcId="{VpcId}", AvailabilityZone="{AvailabilityZone}"
    ),
    "AWS::EC2::VPC": _identified("vpc-{hex:17}", "VpcId", DefaultSecurityGroup="sg-{hex:17}", CidrBlock="{CidrBlock}"),
    "AWS::EC2::VPCEndpoint": _identified("vpce-{hex:17}", "Id", arn=_arn("ec2", "vpc-endpoint/{name}")),
    "AWS::ECR::Repository": _named(
        "ecr",
        "repository/{name}",
        "RepositoryName",
        RepositoryUri="{account}.dkr.ecr.{region}.{suffix}/{name}",
    ),
    "AWS::ECS::Cluster": _named("ecs", "cluster/{name}", "ClusterName"),
    "AWS::Events::EventBus": _named("events", "event-bus/{name}", "Name"),
    # On another bus than the default one Ref is of another shape, and so is the Arn.
    "AWS::Events::Rule": replace(_named("events", "rule/{name}", "Name"), unless=("EventBusName",)),
    "AWS::Glue::Connection": Shape(
        "{name}", {"Name": "{name}"}, "ConnectionInput.Name", arn=_arn("glue", "connection/{name}")
    ),
    "AWS::Glue::Crawler": Shape("{name}", {}, "Name", arn=_arn("glue", "crawler/{name}")),
    "AWS::Glue::Database": Shape("{name}", {}, "DatabaseInput.Name", arn=_arn("glue", "database/{name}")),
    "AWS::Glue::Job": Shape("{name}", {}, "Name", arn=_arn("glue", "job/{name}")),
    "AWS::Glue::SecurityConfiguration": Shape("{name}", {}, "Name"),
    "AWS::Glue::Trigger": Shape("{name}", {}, "Name", arn=_arn("glue", "trigger/{name}")),
    "AWS::Glue::Workflow": Shape("{name}", {}, "Name", arn=_arn("glue", "workflow/{name}")),
    "AWS::IAM::AccessKey": Shape("{name}", {}, generated="AKIA{upper:16}"),
    "AWS::IAM::Group": _iam("group", "GroupName"),
    "AWS::IAM::InstanceProfile": _iam("instance-profile", "InstanceProfileName"),
    "AWS::IAM::ManagedPolicy": Shape(
        _MANAGED_POLICY_ARN, {"PolicyArn": _MANAGED_POLICY_ARN}, "ManagedPolicyName", arn=_MANAGED_POLICY_ARN
    ),
    "AWS::IAM::Policy": Shape("{name}", {}, "PolicyName"),
    "AWS::IAM::Role": _iam("role", "RoleName", RoleId="AROA{upper:17}"),
    "AWS::IAM::User": _iam("user", "UserName"),
    # A replica and its primary have one id; an alias has no attribute, but policies can name it.
    "AWS::KMS::Alias": Shape("{name}", {}, "AliasName", generated="", arn=_arn("kms", "{name}")),
    "AWS::KMS::Key": _KEY,
    "AWS::KMS::ReplicaKey": _KEY,
    "AWS::Kinesis::Stream": _named("kinesis", "stream/{name}", "Name"),
    "AWS::KinesisFirehose::DeliveryStream": _named("firehose", "deliverystream/{name}", "DeliveryStreamName"),
    "AWS::Lambda::Function": _named("lambda", "function:{name}", "FunctionName"),
    "AWS::Logs::LogGroup": Shape(
        "{name}",
        {"Arn": _arn("logs", "log-group:{name}:*")},
        "LogGroupName",
        arn=_arn("logs", "log-group:{name}"),
    ),
    "AWS::S3::AccessPoint": Shape(
        "{name}",
        {"Arn": _arn("s3", "accesspoint/{name}"), "Name": "{name}"},
        "Name",
        generated="{stack}-{logical}-{lower:12}",
        arn=_arn("s3", "accesspoint/{name}"),
    ),
    "AWS::S3::Bucket": Shape(
        "{name}",
        {
            "Arn": _BUCKET_ARN,
            "DomainName": "{name}.s3.{suffix}",
            "DualStackDomainName": "{name}.s3.dualstack.{region}.{suffix}",
            "RegionalDomainName": "{name}.s3.{region}.{suffix}",
        },
        "BucketName",
        generated="{stack}-{logical}-{lower:12}",
        arn=_BUCKET_ARN,
    ),
    "AWS::S3::BucketPolicy": Shape("{Bucket}", {}),
    # Policies name it by its alias, which S3 makes: a letter first.
    "AWS::S3::MultiRegionAccessPoint": Shape(
        "{name}", {"Alias": "m{lower:12}.mrap"}, "Name", generated="{stack}-{logical}-{lower:12}"
    ),
    "AWS::SNS::Topic": _by_arn("sns", "{name}", "TopicName", "TopicArn", TopicName="{name}"),
    "AWS::SQS::Queue": Shape(
        _QUEUE_URL,
        {"Arn": _arn("sqs", "{name}"), "QueueName": "{name}", "QueueUrl": _QUEUE_URL},
        "QueueName",
        arn=_arn("sqs", "{name}"),
    ),
    "AWS::SSM::Parameter": Shape("{name}", {"Type": "{Type}", "Value": "{Value}"}, "Name"),
    "AWS::SecretsManager::Secret": Shape(
        _SECRET_ARN, {"Id": _SECRET_ARN}, "Name", generated="{logical}-{mixed:12}", arn=_SECRET_ARN
    ),
    "AWS::StepFunctions::StateMachine": _by_arn(
        "states", "stateMachine:{name}", "StateMachineName", "Arn", Name="{name}"
    ),
}
FIFO: Final = {"AWS::SNS::Topic": "FifoTopic", "AWS::SQS::Queue": "FifoQueue"}
LOWER_CASE: Final = {"AWS::S3::Bucket", "AWS::S3::AccessPoint", "AWS::ECR::Repository"}
ALPHABETS: Final = {
    "hex": "0123456789abcdef",
    "lower": string.ascii_lowercase + string.digits,
    "mixed": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase + string.digits,
}


@functools.cache
def fields(shape: str) -> tuple[tuple[str, str | None, str | None], ...]:
    """Return the literal texts of a shape, each with the field behind it and what the field says of itself."""
    return tuple((text, name, spec) for text, name, spec, _ in string.Formatter().parse(shape))


def characters(alphabet: str, length: int, *seed: str) -> str:
    """Characters that are the same for the same seed, and for no other."""
    number = int.from_bytes(hashlib.sha512("\0".join(seed).encode("utf-8", "surrogatepass")).digest(), "big")
    made = []
    for _ in range(length):
        number, place = divmod(number, len(alphabet))
        made.append(alphabet[place])
    return "".join(made)


def uuid(*seed: str) -> str:
    """Return a UUID that is the same for the same seed."""
    digits = characters(ALPHABETS["hex"], 32, *seed)
    # A random one, as AWS's are: version 4, variant 8.
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

"""CloudFormation: what isn't carried out is refused, with a sentence, instead of being dropped."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import cloudformation, iam, kms
from ministack.services.cloudformation import handlers, provisioners

from . import buckets

if TYPE_CHECKING:
    from collections.abc import Iterator

_Properties = dict[str, Any]

# The types our templates and the bootstrap template use, with the properties that are carried out: read back in the
# contract tests. Everything else is refused.
_CARRIED_OUT: dict[str, frozenset[str]] = {
    name: frozenset(properties)
    for name, properties in {
        "AWS::CDK::Metadata": ("Analytics",),
        "AWS::CloudWatch::Alarm": (
            "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator", "Dimensions", "EvaluationPeriods",
            "MetricName", "Namespace", "OKActions", "Period", "Statistic", "Tags", "Threshold", "TreatMissingData",
        ),
        "AWS::ECR::Repository": (
            "ImageTagMutability", "LifecyclePolicy", "RepositoryName", "RepositoryPolicyText", "Tags",
        ),
        "AWS::Events::Rule": ("Description", "EventPattern", "State", "Targets"),
        "AWS::Glue::Connection": ("CatalogId", "ConnectionInput"),
        "AWS::Glue::Job": (
            "Command", "Connections", "DefaultArguments", "Description", "ExecutionProperty", "GlueVersion",
            "JobRunQueuingEnabled", "MaxRetries", "Name", "NonOverridableArguments", "NumberOfWorkers", "Role",
            "SecurityConfiguration", "Tags", "Timeout", "WorkerType",
        ),
        "AWS::Glue::SecurityConfiguration": ("EncryptionConfiguration", "Name"),
        "AWS::Glue::Trigger": ("Actions", "Name", "Schedule", "StartOnCreation", "Tags", "Type"),
        "AWS::IAM::ManagedPolicy": (
            "Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users",
        ),
        "AWS::IAM::Policy": ("Groups", "PolicyDocument", "PolicyName", "Roles", "Users"),
        "AWS::IAM::Role": (
            "AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path",
            "PermissionsBoundary", "Policies", "RoleName", "Tags",
        ),
        "AWS::IAM::User": ("ManagedPolicyArns", "Path", "PermissionsBoundary", "Policies", "Tags", "UserName"),
        "AWS::KMS::Alias": ("AliasName", "TargetKeyId"),
        "AWS::KMS::Key": (
            "Description", "EnableKeyRotation", "Enabled", "KeyPolicy", "KeySpec", "KeyUsage", "MultiRegion", "Origin",
            "PendingWindowInDays", "RotationPeriodInDays", "Tags",
        ),
        "AWS::KMS::ReplicaKey": (
            "Description", "Enabled", "KeyPolicy", "PendingWindowInDays", "PrimaryKeyArn", "Tags",
        ),
        "AWS::Lambda::Function": (
            "Code", "Description", "Environment", "FunctionName", "Handler", "LoggingConfig", "MemorySize", "Role",
            "Runtime", "Tags", "Timeout",
        ),
        "AWS::Logs::LogGroup": ("LogGroupName", "RetentionInDays", "Tags"),
        "AWS::S3::Bucket": (*buckets.PROPERTIES, "AccessControl"),
        "AWS::S3::BucketPolicy": ("Bucket", "PolicyDocument"),
        "AWS::S3::MultiRegionAccessPoint": ("Name", "PublicAccessBlockConfiguration", "Regions"),
        "AWS::S3::MultiRegionAccessPointPolicy": ("MrapName", "Policy"),
        "AWS::SNS::Topic": ("DisplayName", "KmsMasterKeyId", "Tags", "TopicName"),
        "AWS::SNS::TopicPolicy": ("PolicyDocument", "Topics"),
        "AWS::SSM::Parameter": (
            "AllowedPattern", "DataType", "Description", "Name", "Tags", "Tier", "Type", "Value",
        ),
    }.items()
}  # fmt: skip

_CUSTOM_RESOURCE = "AWS::CloudFormation::CustomResource"

# Properties of which only one value is carried out.
_ONLY = {
    ("AWS::S3::Bucket", "AccessControl"): "Private",
    ("AWS::KMS::Key", "KeySpec"): "SYMMETRIC_DEFAULT",
    ("AWS::KMS::Key", "KeyUsage"): "ENCRYPT_DECRYPT",
    ("AWS::KMS::Key", "Origin"): "AWS_KMS",
}


def what_isnt_carried_out_is_refused() -> None:
    """Gap: MiniStack answers CREATE_COMPLETE for properties it drops and for types nobody here has tried."""
    custom = {"create": provisioners._custom_resource_create, "update": provisioners._custom_resource_update}
    for resource_type, handler in list(provisioners._RESOURCE_HANDLERS.items()):
        if resource_type != _CUSTOM_RESOURCE:
            provisioners._RESOURCE_HANDLERS[resource_type] = _refusing(resource_type, handler)

    def create(logical_id: str, properties: _Properties, *arguments: Any) -> Any:
        _refuse_other_custom_resources(properties)
        return custom["create"](logical_id, properties, *arguments)

    def update(physical_id: str, old: _Properties, new: _Properties, *arguments: Any, **options: Any) -> Any:
        _refuse_other_custom_resources(new)
        return custom["update"](physical_id, old, new, *arguments, **options)

    provisioners._custom_resource_create, provisioners._custom_resource_update = create, update
    provisioners._RESOURCE_HANDLERS[_CUSTOM_RESOURCE] = {"create": create}


def _refuse_other_custom_resources(properties: _Properties) -> None:
    token = str(properties.get("ServiceToken", ""))
    if not token.startswith("arn:aws:lambda:"):
        raise ValueError(f"the embedded AWS carries out custom resources of Lambda functions only, not of {token!r}")


def _refusing(resource_type: str, handler: _Properties) -> _Properties:
    create: Any = handler["create"]
    update: Any = handler.get("update")

    def checked_create(logical_id: str, properties: _Properties, stack: str) -> Any:
        _refuse_what_isnt_carried_out(resource_type, properties)
        return create(logical_id, properties, stack)

    def checked_update(physical_id: str, old: _Properties, new: _Properties, *arguments: Any) -> Any:
        _refuse_what_isnt_carried_out(resource_type, new)
        return update(physical_id, old, new, *arguments)

    return {**handler, "create": checked_create} | ({"update": checked_update} if update else {})


def _refuse_what_isnt_carried_out(resource_type: str, properties: _Properties) -> None:
    if resource_type not in _CARRIED_OUT:
        raise ValueError(f"the embedded AWS doesn't carry out {resource_type}")
    unknown = sorted(set(properties) - _CARRIED_OUT[resource_type])
    if unknown:
        raise ValueError(f"the embedded AWS doesn't carry out {resource_type}: {', '.join(unknown)}")
    for name, value in properties.items():
        only = _ONLY.get((resource_type, name), value)
        if value != only:
            raise ValueError(f"the embedded AWS carries out {resource_type}: {name} only as {only}, not as {value}")
    for statement in _statements(properties):
        for element in _unevaluated(statement):
            raise ValueError(f"the embedded AWS doesn't evaluate {element} in a policy of {resource_type}")


def _statements(value: Any) -> Iterator[_Properties]:
    """Every policy statement in a resource's properties, at whatever depth."""
    if isinstance(value, list):
        for each in value:
            yield from _statements(each)
    elif isinstance(value, dict):
        statements = value.get("Statement", [])
        yield from statements if isinstance(statements, list) else [statements]
        for each in value.values():
            yield from _statements(each)


def _unevaluated(statement: _Properties) -> Iterator[str]:
    """What MiniStack's evaluator would take for "doesn't match" without a word."""
    if "NotPrincipal" in statement:
        yield "NotPrincipal"
    for operator in statement.get("Condition", {}):
        name = operator.lower().removesuffix("ifexists").rpartition(":")[2]
        if name != "null" and name not in iam_evaluator._CONDITION_OPS:
            yield f"the condition operator {operator}"


def roles_have_their_boundary() -> None:
    """Gap: MiniStack drops a role's PermissionsBoundary, and a managed policy's attachment to what doesn't exist."""
    role = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    policy = provisioners._RESOURCE_HANDLERS["AWS::IAM::ManagedPolicy"]

    def with_boundary(name: str, attributes: _Properties, properties: _Properties) -> tuple[str, _Properties]:
        if properties.get("PermissionsBoundary"):
            iam._roles[name]["PermissionsBoundary"] = properties["PermissionsBoundary"]
        else:
            iam._roles[name].pop("PermissionsBoundary", None)
        return name, attributes

    def create(logical_id: str, properties: _Properties, stack: str) -> tuple[str, _Properties]:
        name, attributes = role["create"](logical_id, properties, stack)
        return with_boundary(name, attributes, properties)

    def update(name: str, old: _Properties, new: _Properties, *arguments: Any) -> tuple[str, _Properties]:
        name, attributes = role["update"](name, old, new, *arguments)
        return with_boundary(name, attributes, new)

    def create_policy(logical_id: str, properties: _Properties, stack: str) -> Any:
        provisioners._iam_policy_require_entities(properties)
        return policy["create"](logical_id, properties, stack)

    provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"] = {**role, "create": create, "update": update}
    provisioners._RESOURCE_HANDLERS["AWS::IAM::ManagedPolicy"] = {**policy, "create": create_policy}


def aliases_are_unique_and_point_somewhere() -> None:
    """Gap: MiniStack's CloudFormation takes an alias away from another key, and lets one point to no key."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::KMS::Alias"]

    def create(logical_id: str, properties: _Properties, stack: str) -> Any:
        name = properties.get("AliasName", "")
        if kms._alias_arn(name) in kms._aliases:
            raise ValueError(f"AWS::KMS::Alias: an alias with the name {name} already exists")
        if not kms._resolve_key(properties.get("TargetKeyId", "")):
            raise ValueError(f"AWS::KMS::Alias: TargetKeyId {properties.get('TargetKeyId')!r} names no key here")
        return handler["create"](logical_id, properties, stack)

    provisioners._RESOURCE_HANDLERS["AWS::KMS::Alias"] = {**handler, "create": create}


def stacks_are_found_by_their_resources() -> None:
    """Gap: MiniStack describes the resources of a stack by its name only, not by the physical id of one of them."""
    by_name = handlers._describe_stack_resources

    def describe_stack_resources(parameters: _Properties) -> Any:
        physical_id = handlers._p(parameters, "PhysicalResourceId")
        if not physical_id:
            return by_name(parameters)
        if handlers._p(parameters, "StackName"):
            return handlers._error("ValidationError", "Specify StackName or PhysicalResourceId, not both.")
        for stack in cloudformation._stacks.values():
            resources = stack.get("_resources", {}).values()
            if any(each.get("PhysicalResourceId") == physical_id for each in resources):
                return by_name({**parameters, "StackName": [stack["StackId"]]})
        return handlers._error("ValidationError", f"Stack for {physical_id} does not exist")

    handlers._ACTION_HANDLERS["DescribeStackResources"] = describe_stack_resources


PATCHES = (
    stacks_are_found_by_their_resources,
    roles_have_their_boundary,
    aliases_are_unique_and_point_somewhere,
    what_isnt_carried_out_is_refused,
)

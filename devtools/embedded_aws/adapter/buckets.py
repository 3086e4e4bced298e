"""AWS::S3::Bucket: every property the library's templates use, put through S3's own operations."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.serialize import create_serializer
from botocore.session import Session
from ministack.core.responses import get_account_id, get_region
from ministack.services import s3
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_Properties = dict[str, Any]


class _Configuration(NamedTuple):
    """A property of the bucket, the operation that sets it and what its removal from a template does."""

    name: str
    operation: str
    parameter: str
    translate: Callable[[Any], Any]
    put: Callable[[str, bytes], Any]
    remove: Callable[[str], Any]


def _as_written(value: Any) -> Any:
    return value


def _encryption(value: _Properties) -> _Properties:
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = [_rename(rule, renamed) for rule in value["ServerSideEncryptionConfiguration"]]
    return {"Rules": rules}


def _logging(value: _Properties) -> _Properties:
    target = _rename(value, {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"})
    return {"LoggingEnabled": {"TargetPrefix": "", **target}}


def _cors(value: _Properties) -> _Properties:
    renamed = {"Id": "ID", "ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    return {"CORSRules": [_rename(rule, renamed) for rule in value["CorsRules"]]}


def _lifecycle(value: _Properties) -> _Properties:
    return {**value, "Rules": [_lifecycle_rule(dict(rule)) for rule in value["Rules"]]}


def _lifecycle_rule(rule: _Properties) -> _Properties:
    """The rule as the API words it; the template's older, singular spellings are left for botocore to refuse."""
    sizes = {name: int(rule.pop(name)) for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan") if name in rule}
    prefix = {"Prefix": rule.pop("Prefix")} if "Prefix" in rule else {}
    tags = rule.pop("TagFilters", [])
    if len(sizes) + len(prefix) + len(tags) > 1:
        rule["Filter"] = {"And": {**prefix, **sizes, **({"Tags": tags} if tags else {})}}
    else:
        rule["Filter"] = {**prefix, **sizes, **({"Tag": tags[0]} if tags else {})} or {"Prefix": ""}
    expirations = {"ExpirationInDays": "Days", "ExpirationDate": "Date", "ExpiredObjectDeleteMarker": None}
    expiration = {api or name: rule.pop(name) for name, api in expirations.items() if name in rule}
    if expiration:
        rule["Expiration"] = expiration
    for transitions, days in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        if transitions in rule:
            renamed = {"TransitionInDays": days, "TransitionDate": "Date"}
            rule[transitions] = [_rename(each, renamed) for each in rule[transitions]]
    return _rename(rule, {"Id": "ID"})


def _replication(value: _Properties) -> _Properties:
    return {**value, "Rules": [_replication_rule(dict(rule)) for rule in value["Rules"]]}


def _replication_rule(rule: _Properties) -> _Properties:
    """The rule as the API words it: a filter's Tag and Tags are called TagFilter and TagFilters in templates."""
    if "Filter" in rule:
        rule["Filter"] = _rename(rule["Filter"], {"TagFilter": "Tag"})
        if "And" in rule["Filter"]:
            rule["Filter"]["And"] = _rename(rule["Filter"]["And"], {"TagFilters": "Tags"})
    return _rename(rule, {"Id": "ID"})


def _put_replication(bucket: str, body: bytes) -> Any:
    # Looked up when it's called: it is patched after this module's table is made.
    return s3._put_bucket_replication(bucket, body)


def _rename(value: _Properties, names: dict[str, str]) -> _Properties:
    return {names.get(name, name): content for name, content in value.items()}


def _object_lock_stays(_bucket: str) -> None:
    raise ValueError("AWS::S3::Bucket: Object Lock can't be taken off a bucket")


# In this order: Object Lock and replication ask for versioning.
_CONFIGURATIONS = (
    _Configuration(
        "BucketEncryption",
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
        s3._put_bucket_encryption,
        s3._delete_bucket_encryption,
    ),
    _Configuration(
        "PublicAccessBlockConfiguration",
        "PutPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        _as_written,
        s3._put_public_access_block,
        provisioners._s3_default_public_access_block,
    ),
    _Configuration(
        "OwnershipControls",
        "PutBucketOwnershipControls",
        "OwnershipControls",
        _as_written,
        s3._put_bucket_ownership_controls,
        s3._delete_bucket_ownership_controls,
    ),
    _Configuration(
        "VersioningConfiguration",
        "PutBucketVersioning",
        "VersioningConfiguration",
        _as_written,
        s3._put_bucket_versioning,
        lambda bucket: s3._bucket_versioning.__setitem__(bucket, "Suspended"),
    ),
    _Configuration(
        "ObjectLockConfiguration",
        "PutObjectLockConfiguration",
        "ObjectLockConfiguration",
        _as_written,
        s3._put_object_lock_configuration,
        _object_lock_stays,
    ),
    _Configuration(
        "LifecycleConfiguration",
        "PutBucketLifecycleConfiguration",
        "LifecycleConfiguration",
        _lifecycle,
        s3._put_bucket_lifecycle,
        s3._delete_bucket_lifecycle,
    ),
    _Configuration(
        "LoggingConfiguration",
        "PutBucketLogging",
        "BucketLoggingStatus",
        _logging,
        s3._put_bucket_logging,
        lambda bucket: s3._put_bucket_logging(bucket, b"<BucketLoggingStatus/>"),
    ),
    _Configuration(
        "CorsConfiguration",
        "PutBucketCors",
        "CORSConfiguration",
        _cors,
        s3._put_bucket_cors,
        s3._delete_bucket_cors,
    ),
    _Configuration(
        "ReplicationConfiguration",
        "PutBucketReplication",
        "ReplicationConfiguration",
        _replication,
        _put_replication,
        s3._delete_bucket_replication,
    ),
)

# Names, and what the handlers below treat by themselves.
PROPERTIES = frozenset(configuration.name for configuration in _CONFIGURATIONS) | {
    "BucketName",
    "BucketNamePrefix",
    "BucketNamespace",
    "NotificationConfiguration",
    "ObjectLockEnabled",
    "Tags",
}


def bucket_properties_are_carried_out() -> None:
    """Gap: MiniStack drops a bucket's encryption, logging, lifecycle, ownership, Object Lock and tags in silence."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create_plain = handler["create"]
    provisioners._STACK_TAG_PROPERTY["AWS::S3::Bucket"] = ("Tags", "list")

    def create(logical_id: str, properties: _Properties, stack: str) -> tuple[str, _Properties]:
        name = _name(properties)
        bucket, _attributes = create_plain(logical_id, {"BucketName": name} if name else {}, stack)
        try:
            _configure(bucket, {}, properties)
        except Exception:
            s3._delete_bucket(bucket)
            raise
        return bucket, _attributes_of(bucket)

    def update(bucket: str, old: _Properties, new: _Properties, stack: str) -> tuple[str, _Properties]:
        if _name(new) not in {"", bucket}:
            return create("", new, stack)
        _configure(bucket, old, new)
        return bucket, _attributes_of(bucket)

    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"] = {**handler, "create": create, "update": update}


def buckets_with_objects_stay() -> None:
    """Gap: MiniStack's CloudFormation deletes a bucket and whatever is in it; AWS's fails with BucketNotEmpty."""

    def delete(bucket: str, _properties: _Properties) -> None:
        _refuse_errors("AWS::S3::Bucket", s3._delete_bucket(bucket), tolerate={404})

    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"] = {**handler, "delete": delete}


def _name(properties: _Properties) -> str:
    """The name a template asks for, or "" when CloudFormation is to find one."""
    suffix = f"-{get_account_id()}-{get_region()}-an"
    name: str = properties.get("BucketName", "")
    prefix: str = properties.get("BucketNamePrefix", "")
    namespace = properties.get("BucketNamespace", "global")
    if namespace not in {"global", "account-regional"}:
        raise ValueError(f"AWS::S3::Bucket: BucketNamespace {namespace!r} is neither global nor account-regional")
    if prefix and (name or namespace == "global"):
        raise ValueError("AWS::S3::Bucket: BucketNamePrefix needs BucketNamespace account-regional and no BucketName")
    if namespace == "account-regional" and not prefix and not name.endswith(suffix):
        raise ValueError(f"AWS::S3::Bucket: a BucketName in the account-regional namespace ends in {suffix}")
    return prefix + suffix if prefix else name


def _configure(bucket: str, old: _Properties, new: _Properties) -> None:
    if new.get("ObjectLockConfiguration") and not new.get("ObjectLockEnabled"):
        raise ValueError("AWS::S3::Bucket: ObjectLockConfiguration needs ObjectLockEnabled")
    if new.get("ObjectLockEnabled") and not new.get("ObjectLockConfiguration"):
        # AWS turns versioning on by itself.
        new = {"VersioningConfiguration": {"Status": "Enabled"}, **new}
        new["ObjectLockConfiguration"] = {"ObjectLockEnabled": "Enabled"}
    elif old.get("ObjectLockEnabled") and not new.get("ObjectLockEnabled"):
        _object_lock_stays(bucket)
    for configuration in _CONFIGURATIONS:
        if configuration.name in new:
            body = _serialize(bucket, configuration, new[configuration.name])
            _refuse_errors(f"AWS::S3::Bucket: {configuration.name}", configuration.put(bucket, body))
        elif configuration.name in old:
            configuration.remove(bucket)
    if "NotificationConfiguration" in new or "NotificationConfiguration" in old:
        provisioners._s3_apply_notification(bucket, new.get("NotificationConfiguration"))
    s3._bucket_tags[bucket] = {tag["Key"]: str(tag["Value"]) for tag in new.get("Tags", [])}


def _serialize(bucket: str, configuration: _Configuration, value: Any) -> bytes:
    """The request body of the operation; botocore refuses every member it doesn't know."""
    model = _s3_model().operation_model(configuration.operation)
    parameters = {"Bucket": bucket, configuration.parameter: configuration.translate(value)}
    try:
        body: bytes = create_serializer("rest-xml").serialize_to_request(parameters, model)["body"]
    except Exception as problem:
        raise ValueError(f"AWS::S3::Bucket: {configuration.name}: {problem}") from problem
    return body


@cache
def _s3_model() -> Any:
    return Session().get_service_model("s3")


def _refuse_errors(what: str, response: tuple[int, Any, bytes], *, tolerate: Collection[int] = ()) -> None:
    status, _headers, body = response
    if status >= 400 and status not in tolerate:  # noqa: PLR2004
        found = re.search(rb"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", body, re.DOTALL)
        words = ": ".join(part.decode() for part in found.groups()) if found else body.decode(errors="replace")
        raise ValueError(f"{what}: {words}")


def _attributes_of(bucket: str) -> _Properties:
    dual_stack = f"{bucket}.s3.dualstack.{get_region()}.amazonaws.com"
    attributes: _Properties = provisioners._s3_attrs(bucket)
    return attributes | {"DualStackDomainName": dual_stack}


PATCHES = (bucket_properties_are_carried_out, buckets_with_objects_stay)

"""Multi-Region keys: replicas in stacks, whose rights count where, deletion in order, and the move of the primary."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, request_scope
from ministack.services import kms
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from collections.abc import Callable

_Record = dict[str, Any]
_Response = tuple[int, dict[str, str], bytes]

_PENDING = {"PendingDeletion", "PendingReplicaDeletion"}
_SHARED_ROTATION = ("KeyRotationEnabled", "RotationPeriodInDays")


def key_states_are_kept_to() -> None:
    """Gap: MiniStack encrypts under a primary that waits for its replicas, and enables what is to be deleted.

    It replicates a disabled primary, too.
    """
    check, replicate = kms._check_key_state, kms._replicate_key

    def check_key_state(key: _Record) -> _Response | None:
        if key["KeyState"] == "PendingReplicaDeletion":
            return _invalid_state(key)
        refusal: _Response | None = check(key)
        return refusal

    def replicate_enabled(request: _Record) -> _Response:
        key = kms._resolve_key(request.get("KeyId", ""))
        if key and key["KeyState"] == "Disabled":
            return _disabled(key)
        answer: _Response = replicate(request)
        return answer

    kms._check_key_state = check_key_state
    kms._replicate_key = replicate_enabled
    kms._enable_key = _unless_pending(kms._enable_key)
    kms._disable_key = _unless_pending(kms._disable_key)
    kms._schedule_key_deletion = _unless_pending(kms._schedule_key_deletion)


def _unless_pending(original: Callable[[_Record], _Response]) -> Callable[[_Record], _Response]:
    def unless_pending(request: _Record) -> _Response:
        key = kms._resolve_key(request.get("KeyId", ""))
        return _invalid_state(key) if key and key["KeyState"] in _PENDING else original(request)

    return unless_pending


def deletions_wait_for_replicas() -> None:
    """Gap: a replica that is only to be deleted is already gone for MiniStack.

    On AWS it holds its place in the Region, and its primary waits, for as long as the waiting period lasts; here that
    is for ever. A primary that waits has a window and no date.
    """
    schedule, cancel = kms._schedule_key_deletion, kms._cancel_key_deletion

    def schedule_key_deletion(request: _Record) -> _Response:
        key = kms._resolve_key(request.get("KeyId", ""))
        members = list(kms._mrk_members(key)) if key and key.get("MultiRegion") else []
        before = {region: (member["KeyState"], list(member["_mrk_regions"])) for region, member in members}
        answer: _Response = schedule(request)
        for region, member in members:
            state, member["_mrk_regions"] = before[region]
            if region != get_region():
                member["KeyState"] = state
        if answer[0] == 200 and key and key["KeyState"] == "PendingReplicaDeletion":  # noqa: PLR2004
            key.pop("DeletionDate", None)
            days = key["_pending_window_days"]
            answer = json_response({"KeyId": key["Arn"], "KeyState": key["KeyState"], "PendingWindowInDays": days})
        return answer

    def cancel_key_deletion(request: _Record) -> _Response:
        key = kms._resolve_key(request.get("KeyId", ""))
        if key and key["KeyState"] not in _PENDING:
            return _invalid_state(key)
        answer: _Response = cancel(request)
        return answer

    kms._schedule_key_deletion = schedule_key_deletion
    kms._cancel_key_deletion = cancel_key_deletion


def rotation_is_the_primarys() -> None:
    """Gap: every replica has a rotation setting of its own in MiniStack; AWS has one, and sets it on the primary."""
    enable, disable, status = kms._enable_key_rotation, kms._disable_key_rotation, kms._get_key_rotation_status
    update = provisioners._RESOURCE_HANDLERS["AWS::KMS::Key"]["update"]

    def on_the_primary(original: Callable[[_Record], _Response]) -> Callable[[_Record], _Response]:
        def call(request: _Record) -> _Response:
            key = kms._resolve_key(request.get("KeyId", ""))
            if key and _is_replica(key):
                return _unsupported(f"{key['Arn']} is a replica key; its rotation is set on the primary key.")
            return original(request)

        return call

    def status_of_the_primary(request: _Record) -> _Response:
        key = kms._resolve_key(request.get("KeyId", ""))
        region = key["_mrk_primary_region"] if key and _is_replica(key) else get_region()
        with request_scope(get_account_id(), region):
            answer: _Response = status({"KeyId": key["KeyId"]} if key else request)
        return answer

    def update_key(physical_id: str, old: _Record, new: _Record, *arguments: Any) -> Any:
        key = kms._resolve_key(physical_id)
        rotation = ("EnableKeyRotation", "RotationPeriodInDays")
        if key and _is_replica(key) and any(old.get(name) != new.get(name) for name in rotation):
            raise ValueError(
                f"AWS::KMS::Key: UnsupportedOperationException: {key['Arn']} is a replica key since the primary "
                "moved; its rotation is set on the primary key"
            )
        return update(physical_id, old, new, *arguments)

    kms._enable_key_rotation = on_the_primary(enable)
    kms._disable_key_rotation = on_the_primary(disable)
    kms._get_key_rotation_status = status_of_the_primary
    handler = provisioners._RESOURCE_HANDLERS["AWS::KMS::Key"]
    provisioners._RESOURCE_HANDLERS["AWS::KMS::Key"] = {**handler, "update": update_key}


def primary_region_is_updated() -> None:
    """Gap: MiniStack has no UpdatePrimaryRegion. Here the move is done when the call returns, without ``Updating``."""
    original = kms.handle_request

    async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> _Response:
        if headers.get("x-amz-target", "").endswith(".UpdatePrimaryRegion"):
            return _update_primary_region(json.loads(body or b"{}"))
        answer: _Response = await original(method, path, headers, body, query)
        return answer

    kms.handle_request = handle_request


def _update_primary_region(request: _Record) -> _Response:
    named, target = request.get("KeyId", ""), request.get("PrimaryRegion", "")
    primary = None if "alias/" in named else kms._resolve_key(named)
    if not primary:
        return _error("NotFoundException", f"Key '{named}' does not exist")
    if not primary.get("MultiRegion") or _is_replica(primary):
        return _unsupported(f"{primary['Arn']} is not a multi-Region primary key.")
    if target == get_region():
        return _unsupported(f"{primary['Arn']} is the primary key already.")
    members = dict(kms._mrk_members(primary))
    if target not in members:
        missing = f"arn:aws:kms:{target}:{get_account_id()}:key/{primary['KeyId']}"
        return _error("NotFoundException", f"Key '{missing}' does not exist")
    for key in (primary, members[target]):
        if key["KeyState"] != "Enabled":
            return _disabled(key) if key["KeyState"] == "Disabled" else _invalid_state(key)
    members[target] |= {name: primary[name] for name in _SHARED_ROTATION if name in primary}
    for region, member in members.items():
        member["_mrk_primary_region"] = target
        member["_mrk_type"] = "PRIMARY" if region == target else "REPLICA"
    answer: _Response = json_response({})
    return answer


def both_regions_must_allow() -> None:
    """Gap: MiniStack looks at the primary's Region only.

    ReplicateKey needs kms:CreateKey in the replica's Region, and UpdatePrimaryRegion the right to it on both keys.
    """
    original = iam_evaluator.enforce

    def enforce(access_key: str, action: str, service: str, region: str, *arguments: Any, **options: Any) -> Any:
        denied = original(access_key, action, service, region, *arguments, **options)
        if denied or action not in {"kms:ReplicateKey", "kms:UpdatePrimaryRegion"}:
            return denied
        conditions = dict(options.get("service_context") or {})
        conditions["kms:MultiRegionKeyType"] = "REPLICA"
        resource = options.get("resource_arn", "*")
        if action == "kms:ReplicateKey":
            elsewhere, action, resource = conditions.pop("kms:ReplicaRegion", ""), "kms:CreateKey", "*"
        else:
            elsewhere = conditions.get("kms:PrimaryRegion", "")
            resource = resource.replace(f":kms:{region}:", f":kms:{elsewhere}:")
        with request_scope(get_account_id(), elsewhere):
            return original(access_key, action, service, elsewhere, resource_arn=resource, service_context=conditions)

    iam_evaluator.enforce = enforce


def replica_keys_are_created_in_stacks() -> None:
    """Gap: MiniStack's CloudFormation has no AWS::KMS::ReplicaKey."""
    provisioners._STACK_TAG_PROPERTY["AWS::KMS::ReplicaKey"] = ("Tags", "list")
    provisioners._RESOURCE_HANDLERS["AWS::KMS::ReplicaKey"] = {
        "create": _create_replica,
        "update": _update_replica,
        "delete": provisioners._kms_key_delete,
    }


def _create_replica(_logical_id: str, properties: _Record, _stack: str) -> tuple[str, _Record]:
    arn, region = properties.get("PrimaryKeyArn", ""), get_region()
    for name in ("PrimaryKeyArn", "KeyPolicy"):
        if not properties.get(name):
            raise ValueError(f"AWS::KMS::ReplicaKey: {name} is required")
    found = re.fullmatch(r"arn:aws:kms:([a-z0-9-]+):[0-9]{12}:key/(.+)", arn)
    if not found:
        raise ValueError(f"AWS::KMS::ReplicaKey: PrimaryKeyArn {arn!r} isn't the ARN of a key")
    primary_region, key_id = found.groups()
    request = {
        "KeyId": arn,
        "ReplicaRegion": region,
        "Description": properties.get("Description", ""),
        "Policy": _as_json(properties["KeyPolicy"]),
        "Tags": provisioners._kms_tags(properties),
    }
    with request_scope(get_account_id(), primary_region):
        status, _headers, body = kms._replicate_key(request)
    if status != 200:  # noqa: PLR2004
        problem = json.loads(body)
        raise ValueError(f"AWS::KMS::ReplicaKey: {problem.get('__type')}: {problem.get('message')}")
    replica = kms._keys[key_id]
    _enable(replica, properties)
    return replica["KeyId"], {"Arn": replica["Arn"], "KeyId": replica["KeyId"]}


def _update_replica(physical_id: str, old: _Record, new: _Record, stack: str) -> tuple[str, _Record]:
    if old.get("PrimaryKeyArn") != new.get("PrimaryKeyArn"):
        return _create_replica("", new, stack)
    replica = kms._keys[physical_id]
    replica["Description"] = new.get("Description", "")
    replica["Policy"] = _as_json(new["KeyPolicy"])
    replica["Tags"] = provisioners._kms_tags(new)
    _enable(replica, new)
    return physical_id, {"Arn": replica["Arn"], "KeyId": physical_id}


def _enable(replica: _Record, properties: _Record) -> None:
    if replica["KeyState"] in _PENDING:
        raise ValueError(f"AWS::KMS::ReplicaKey: {replica['Arn']} is in state {replica['KeyState']}")
    replica["Enabled"] = str(properties.get("Enabled", True)).lower() == "true"
    replica["KeyState"] = "Enabled" if replica["Enabled"] else "Disabled"


def _as_json(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)


def _is_replica(key: _Record) -> bool:
    return bool(key.get("MultiRegion")) and key["_mrk_type"] == "REPLICA"


def _invalid_state(key: _Record) -> _Response:
    return _error("KMSInvalidStateException", f"{key['Arn']} is in state {key['KeyState']}.")


def _disabled(key: _Record) -> _Response:
    return _error("DisabledException", f"{key['Arn']} is disabled.")


def _unsupported(message: str) -> _Response:
    return _error("UnsupportedOperationException", message)


def _error(code: str, message: str) -> _Response:
    answer: _Response = error_response_json(code, message, 400)
    return answer


PATCHES = (
    key_states_are_kept_to,
    deletions_wait_for_replicas,
    rotation_is_the_primarys,
    primary_region_is_updated,
    both_regions_must_allow,
    replica_keys_are_created_in_stacks,
)

"""Who may do what: gaps in MiniStack's policy evaluation and in the condition keys it knows."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import base64
import dataclasses
import json
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import iam, kms

from . import connection

# What the account root may always do, however a bucket policy tries to lock it out.
_RESCUES = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}

# Headers of a write whose value is the condition key's value, verbatim: AWS doesn't document whether it would turn
# an alias or a bare key id into an ARN first.
_WRITE_HEADERS = (
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
)


def root_is_bound_by_policies() -> None:
    """Gap: MiniStack lets the account root do anything, whatever a bucket or key policy says.

    Here the root is a principal with every permission of its own, so that a Deny binds it and a key policy that
    doesn't name it shuts it out.
    """
    resolve_principal, enforce = iam_evaluator.resolve_principal, iam_evaluator.enforce
    everything = iam_evaluator.parse_policy_document({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})

    def with_policies(*arguments: Any, **options: Any) -> Any:
        principal = resolve_principal(*arguments, **options)
        if isinstance(principal, iam_evaluator.PrincipalInfo) and principal.policies is None:
            return dataclasses.replace(principal, policies=[everything])
        return principal

    def with_rescue(access_key: str, action: str, *arguments: Any, **options: Any) -> Any:
        if action in _RESCUES and iam_evaluator.is_root_access_key(access_key):
            return None
        return enforce(access_key, action, *arguments, **options)

    iam_evaluator.resolve_principal = with_policies
    iam_evaluator.enforce = with_rescue


def principal_and_connection_condition_keys() -> None:
    """Gap: a role session's ``aws:PrincipalArn`` is its session ARN in MiniStack, on AWS it is the role's ARN.

    Also answers ``aws:PrincipalType`` for the root, ``aws:PrincipalIsAWSService``, ``aws:ViaAWSService`` and
    ``s3:TlsVersion``, of which MiniStack knows none.
    """
    resolve = iam_evaluator._resolve_condition_key

    def resolve_condition_key(key: str, context: Any) -> Any:
        match key.lower():
            case "aws:principalarn" if context.principal_type == "AssumedRole":
                name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
                role = iam._roles.get_scoped(context.principal_account, None, name)
                return role["Arn"] if role else context.principal_arn
            case "aws:principaltype" if context.principal_type == "Root":
                return "Account"
            case "aws:principalisawsservice":
                return "false"
            case "aws:viaawsservice":
                return context.service_context.get("aws:viaawsservice", "false")
            case "s3:tlsversion":
                return connection.tls_version()
        return resolve(key, context)

    iam_evaluator._resolve_condition_key = resolve_condition_key


def s3_condition_keys() -> None:
    """Gap: MiniStack doesn't know the key id and SSE-C condition keys, nor how and when a request was signed.

    It also gives UploadPart the header of the upload's start; here a part has only what it carries itself.
    """
    original = iam_actions.s3_service_context

    def s3_service_context(action: str, query: Any, path: str = "", headers: Any = None) -> dict[str, Any]:
        query, headers = query or {}, headers or {}
        context: dict[str, Any] = original(action, query, path, headers)
        if action == "s3:PutObject":
            context.pop("s3:x-amz-server-side-encryption", None)
            context |= {f"s3:{name}": headers[name] for name in _WRITE_HEADERS if headers.get(name)}
        if headers.get("x-amz-content-sha256"):
            context["s3:x-amz-content-sha256"] = headers["x-amz-content-sha256"]
        return context | _signature(query, headers)

    iam_actions.s3_service_context = s3_service_context


def _signature(query: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    presigned = "X-Amz-Signature" in query
    if not presigned and not headers.get("authorization"):
        return {}
    signed_at = query.get("X-Amz-Date", [""])[0] if presigned else headers.get("x-amz-date", "")
    context: dict[str, Any] = {"s3:authType": "REST-QUERY-STRING" if presigned else "REST-HEADER"}
    with suppress(ValueError):
        then = datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        context["s3:signatureAge"] = str(int((datetime.now(timezone.utc) - then).total_seconds() * 1000))
    return context


def kms_resource_is_the_key() -> None:
    """Gap: for a request that names its key by alias, or not at all (multi-Region ciphertext), no key is checked.

    MiniStack checks the alias' ARN, or ``*``, which no statement about the key matches. ListAliases is about the
    account, even where it names a key, and no key's policy speaks of it.
    """
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(*arguments: Any) -> str:
        service, _method, _path, headers, body, _query, region, account = arguments
        arn: str = original(*arguments)
        if service != "kms":
            return arn
        if {name.lower(): value for name, value in headers.items()}.get("x-amz-target") == "TrentService.ListAliases":
            return "*"
        named = iam_actions._safe_json_field(body, "KeyId") or iam_actions._safe_json_field(body, "TargetKeyId")
        with request_scope(account, region):
            key = kms._resolve_key(named or key_id_in(iam_actions._safe_json_field(body, "CiphertextBlob")))
        return key["Arn"] if key else arn

    iam_actions.extract_resource_arn = extract_resource_arn


def key_id_in(ciphertext: str) -> str:
    """The key id at the front of a Base64 ciphertext, of a multi-Region key as well."""
    found: str = iam_actions._kms_key_id_from_ciphertext(ciphertext)
    if found or not ciphertext:
        return found
    with suppress(ValueError):
        front = base64.b64decode(ciphertext)[:36].decode("ascii", errors="ignore")
        return front if front.startswith("mrk-") else ""
    return ""


def kms_condition_keys() -> None:
    """Gap: MiniStack gives a KMS request none of the ``kms:`` condition keys.

    A caller's own request never has ``kms:ViaService``; the one that S3 makes for its caller is evaluated in
    ``s3_encryption``.
    """
    original = iam_actions.request_tag_context

    def request_tag_context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
        context: dict[str, Any] = original(service, action, body, params)
        if service != "kms":
            return context
        with suppress(ValueError):
            context |= _kms_request(action, json.loads(body or b"{}"))
        return context

    iam_actions.request_tag_context = request_tag_context


def _kms_request(action: str, request: dict[str, Any]) -> dict[str, Any]:
    named = request.get("KeyId", "")
    context: dict[str, Any] = {"kms:CallerAccount": iam_evaluator.caller_arn().split(":")[4]}
    context |= encryption_context(request.get("EncryptionContext") or {})
    key = kms._resolve_key(named or key_id_in(request.get("CiphertextBlob", "")))
    if key:
        context |= key_conditions(key)
    if action == "kms:CreateKey":
        context |= _new_key(request)
    for name in ("ReplicaRegion", "PrimaryRegion"):
        if name in request:
            context[f"kms:{name}"] = request[name]
    if "alias/" in named:
        context["kms:RequestAlias"] = named[named.index("alias/") :]
    if action in {"kms:CreateGrant", "kms:RevokeGrant", "kms:ListGrants"}:
        context["kms:GrantIsForAWSResource"] = "false"
    if action == "kms:CreateGrant":
        context |= {"kms:GrantOperations": request.get("Operations", [])}
        context |= {
            f"kms:{name}": request[name] for name in ("GranteePrincipal", "RetiringPrincipal") if name in request
        }
    if action == "kms:ScheduleKeyDeletion":
        context["kms:ScheduleKeyDeletionPendingWindowInDays"] = request.get("PendingWindowInDays", 30)
    return context


def key_conditions(key: dict[str, Any]) -> dict[str, Any]:
    """The condition keys that a key has in every request."""
    return {
        "kms:KeySpec": key["KeySpec"],
        "kms:KeyUsage": key["KeyUsage"],
        "kms:KeyOrigin": key["Origin"],
        "kms:MultiRegion": str(key.get("MultiRegion", False)).lower(),
    } | ({"kms:MultiRegionKeyType": key["_mrk_type"]} if key.get("MultiRegion") else {})


def _new_key(request: dict[str, Any]) -> dict[str, Any]:
    multi_region = bool(request.get("MultiRegion"))
    return {
        "kms:KeySpec": request.get("KeySpec", "SYMMETRIC_DEFAULT"),
        "kms:KeyUsage": request.get("KeyUsage", "ENCRYPT_DECRYPT"),
        "kms:KeyOrigin": request.get("Origin", "AWS_KMS"),
        "kms:MultiRegion": str(multi_region).lower(),
    } | ({"kms:MultiRegionKeyType": "PRIMARY"} if multi_region else {})


def encryption_context(pairs: dict[str, str]) -> dict[str, Any]:
    """The condition keys of an encryption context."""
    if not pairs:
        return {}
    return {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()} | {
        "kms:EncryptionContextKeys": list(pairs)
    }


def decide(
    principal: Any,
    action: str,
    resource: str,
    *,
    region: str,
    conditions: dict[str, Any],
    policy: Any,
    owner: str | None,
    required: bool = False,
    **origin: Any,
) -> Any:
    """What the policies of ``principal`` (MiniStack's) and the resource's own say of a request a service makes for it.

    With ``required``, nothing is allowed that the resource's policy doesn't allow, as with keys. ``origin`` is the
    ``source_ip`` when it isn't that of the request that is being carried out.
    """
    context = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=region,
        secure_transport=True,
        service_context={name.lower(): value for name, value in conditions.items()},
        principal_keys=principal.keys,
        **origin,
    )
    identity = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
    return iam_evaluator.combine_resource_policy(
        identity, context, policy, owner, required=required, limits=principal.limits
    )


def role_session(arn: str, session: str) -> Any:
    """What a service is that has assumed a role, as MiniStack's PrincipalInfo, or None when there is no such role."""
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name)
    if not role or role["Arn"] != arn:
        return None
    return iam_evaluator.PrincipalInfo(
        arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        type="AssumedRole",
        account=account,
        policies=iam_evaluator._gather_role_policies(name, account),
        keys={f"aws:principaltag/{tag['Key'].lower()}": tag["Value"] for tag in role.get("Tags") or []},
        limits=iam_evaluator._permissions_boundary(iam._roles, name, account),
    )


def service_may_assume(arn: str, service: str, conditions: dict[str, Any]) -> bool:
    """Whether a role's trust policy lets the service in."""
    role = iam._roles.get_scoped(arn.split(":")[4], None, arn.rpartition("/")[2])
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn=arn,
        region="",
        source_ip=None,
        secure_transport=True,
        service_context={name.lower(): value for name, value in conditions.items()},
    )
    trust = role["AssumeRolePolicyDocument"]
    return bool(iam_evaluator.evaluate_resource_policy(trust, context, service=service).decision == "Allow")


PATCHES = (
    root_is_bound_by_policies,
    principal_and_connection_condition_keys,
    s3_condition_keys,
    kms_resource_is_the_key,
    kms_condition_keys,
)

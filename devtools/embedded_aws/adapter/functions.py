"""Lambda functions in Python, run as processes of this machine, and the custom resources they answer for."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import cloudwatch_logs, lambda_svc
from ministack.services.cloudformation import custom_resource, provisioners

from . import authorization

_Properties = dict[str, Any]

# The interpreter that functions run in: it has boto3, which MiniStack's own environment lacks.
PYTHON_VARIABLE = "EMBEDDED_AWS_FUNCTION_PYTHON"

_FUNCTION = "AWS::Lambda::Function"
_CARRIED_OUT_WITHIN = {
    "Code": {"S3Bucket", "S3Key", "S3ObjectVersion", "ZipFile"},
    "Environment": {"Variables"},
    "LoggingConfig": {"LogGroup"},
}

# Lambda puts a module of this name beside code that is inline in a template.
_CFNRESPONSE = """
import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    answer = {
        "Status": responseStatus,
        "Reason": reason or "See the details in CloudWatch Log Stream: " + context.log_stream_name,
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request).close()
"""


def functions_run_with_boto3() -> None:
    """Gap: MiniStack runs a Python function in its own environment, which has no boto3 and shows the function ours."""
    original = lambda_runtime._detect_runtime_binary
    os.environ.pop("PYTHONPATH", None)

    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return (os.environ[PYTHON_VARIABLE] if runtime.startswith("python") else binary), script

    lambda_runtime._detect_runtime_binary = detect_runtime_binary


def functions_are_refused_as_lambda_does() -> None:
    """Gap: MiniStack creates a function whose code isn't there, whose role Lambda can't assume or whose name is taken.

    It also accepts runtimes and settings that nobody here has tried.
    """
    handler = provisioners._RESOURCE_HANDLERS[_FUNCTION]
    create_plain, update_plain = handler["create"], handler["update"]

    def create(logical_id: str, properties: _Properties, stack: str) -> Any:
        _check(properties)
        if properties.get("FunctionName") in lambda_svc._functions:
            raise ValueError(f"{_FUNCTION}: Function already exist: {properties['FunctionName']}")
        return create_plain(logical_id, properties, stack)

    def update(physical_id: str, old: _Properties, new: _Properties, *arguments: Any) -> Any:
        _check(new)
        return update_plain(physical_id, old, new, *arguments)

    provisioners._RESOURCE_HANDLERS[_FUNCTION] = {**handler, "create": create, "update": update}


def _check(properties: _Properties) -> None:
    for name, allowed in _CARRIED_OUT_WITHIN.items():
        others = ", ".join(sorted(set(properties.get(name, {})) - allowed))
        if others:
            raise ValueError(f"the embedded AWS doesn't carry out {_FUNCTION}: {name}: {others}")
    runtime = properties.get("Runtime", "")
    if not runtime.startswith("python"):
        raise ValueError(f"the embedded AWS carries out {_FUNCTION}: Runtime only as Python, not as {runtime!r}")
    role, trusts = properties.get("Role", ""), False
    if authorization.role_session(role, "function"):
        trusts = authorization.service_may_assume(role, "lambda.amazonaws.com", {})
    if not trusts:
        raise ValueError(f"{_FUNCTION}: The role defined for the function cannot be assumed by Lambda: {role}")
    code = properties.get("Code", {})
    where = (code.get("S3Bucket"), code.get("S3Key"))
    if not code.get("ZipFile") and not lambda_svc._fetch_code_from_s3(*where, version_id=code.get("S3ObjectVersion")):
        raise ValueError(f"{_FUNCTION}: there is no code at s3://{where[0]}/{where[1]}")


def inline_code_has_cfnresponse() -> None:
    """Gap: MiniStack has no ``cfnresponse`` for inline code."""
    original = provisioners._zip_inline

    def zip_inline(source: str | None, handler: str, runtime: str = "") -> bytes | None:
        code: bytes | None = original(source, handler, runtime)
        if code is not None:
            with io.BytesIO() as archive:
                archive.write(code)
                with zipfile.ZipFile(archive, "a") as opened:
                    opened.writestr("cfnresponse.py", _CFNRESPONSE)
                code = archive.getvalue()
        return code

    provisioners._zip_inline = zip_inline


def log_groups_are_created_once() -> None:
    """Gap: MiniStack's CloudFormation empties a log group that is there already."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]
    create_plain = handler["create"]

    def create(logical_id: str, properties: _Properties, stack: str) -> Any:
        name = properties.get("LogGroupName")
        if name in cloudwatch_logs._log_groups:
            raise ValueError(f"AWS::Logs::LogGroup: log group {name} already exists")
        return create_plain(logical_id, properties, stack)

    provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"] = {**handler, "create": create}


def custom_resources_fail_without_an_answer() -> None:
    """Gap: when a function ends without an answer, MiniStack waits for an hour for somebody else's.

    AWS waits as well. Nothing here would answer later, so the resource fails at once, with what the function said.
    """
    original = lambda_svc._execute_function_with_config_scope

    def execute(function: Any, event: Any) -> Any:
        result = original(function, event)
        token = event.get("ResponseURL", "").rpartition("/")[2] if isinstance(event, dict) else ""
        pending = custom_resource._pending.get(token)
        if pending and pending["result"] is None:
            said = result.get("body") if isinstance(result, dict) and result.get("error") else "it ended without one"
            reason = f"CloudFormation did not receive a response from your Custom Resource: {said}"
            custom_resource.deliver_response(token, {"Status": "FAILED", "Reason": reason})
        return result

    lambda_svc._execute_function_with_config_scope = execute


PATCHES = (
    functions_run_with_boto3,
    functions_are_refused_as_lambda_does,
    inline_code_has_cfnresponse,
    log_groups_are_created_once,
    custom_resources_fail_without_an_answer,
)

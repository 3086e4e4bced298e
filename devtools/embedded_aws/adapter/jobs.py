"""Glue in CloudFormation: security configurations, and all that a job is told."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import json
from typing import Any

from ministack.services import glue
from ministack.services.cloudformation import provisioners

_Properties = dict[str, Any]
_DROPPED = ("ExecutionProperty", "JobRunQueuingEnabled")


def security_configurations_are_created() -> None:
    """Gap: MiniStack's CloudFormation has no AWS::Glue::SecurityConfiguration.

    Its schema has no update: what changes must have another name, and is made anew.
    """

    def create(_logical_id: str, properties: _Properties, _stack: str) -> tuple[str, _Properties]:
        said = dict(properties["EncryptionConfiguration"])
        if "S3Encryptions" in said:  # CloudFormation's name for what Glue's API calls S3Encryption
            said["S3Encryption"] = said.pop("S3Encryptions")
        status, _, body = glue._create_security_configuration({**properties, "EncryptionConfiguration": said})
        if status >= 400:  # noqa: PLR2004
            raise ValueError(f"AWS::Glue::SecurityConfiguration: {json.loads(body)}")
        return properties["Name"], {}

    def update(name: str, old: _Properties, new: _Properties, *arguments: Any) -> tuple[str, _Properties]:
        if old == new:
            return name, {}
        if new["Name"] == name:
            raise ValueError("AWS::Glue::SecurityConfiguration can't be updated; give it another Name")
        made = create("", new, "")
        delete(name, *arguments[:1])
        return made

    def delete(name: str, *_: Any) -> None:
        glue._delete_security_configuration({"Name": name})

    provisioners._RESOURCE_HANDLERS["AWS::Glue::SecurityConfiguration"] = {
        "create": create,
        "update": update,
        "delete": delete,
    }


def jobs_keep_all_they_are_told() -> None:
    """Gap: MiniStack drops a job's concurrency and queueing, and takes one under a configuration that isn't there."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::Glue::Job"]

    def kept(made: tuple[str, _Properties], properties: _Properties) -> tuple[str, _Properties]:
        job = glue._jobs[made[0]]
        for name in _DROPPED:
            job.pop(name, None)
            if name in properties:
                job[name] = properties[name]
        return made

    def check(properties: _Properties) -> None:
        named = properties.get("SecurityConfiguration")
        if named and named not in glue._security_configs:
            raise ValueError(f"AWS::Glue::Job: there is no security configuration {named}")

    def create(logical_id: str, properties: _Properties, stack: str) -> tuple[str, _Properties]:
        check(properties)
        return kept(handler["create"](logical_id, properties, stack), properties)

    def update(name: str, old: _Properties, new: _Properties, *arguments: Any) -> tuple[str, _Properties]:
        check(new)
        return kept(handler["update"](name, old, new, *arguments), new)

    provisioners._RESOURCE_HANDLERS["AWS::Glue::Job"] = {**handler, "create": create, "update": update}


PATCHES = (
    security_configurations_are_created,
    jobs_keep_all_they_are_told,
)

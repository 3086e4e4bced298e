"""Multi-Region Access Points in stacks: made as S3 makes them, with their policies."""

# ruff: noqa: ANN401, SLF001 - private names of a package without types are what an adapter deals in

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import s3
from ministack.services.cloudformation import provisioners

_Record = dict[str, Any]
_ACCESS_POINT = "AWS::S3::MultiRegionAccessPoint"


def access_points_in_stacks_are_checked() -> None:
    """Gap: in a stack MiniStack takes buckets that aren't there, two of a Region, and another one's name."""
    handler = provisioners._RESOURCE_HANDLERS[_ACCESS_POINT]

    def create(logical_id: str, properties: _Record, stack: str) -> Any:
        name = properties.get("Name") or provisioners._physical_name(stack, logical_id, lowercase=True, max_len=50)
        buckets = [each["Bucket"] for each in properties["Regions"]]
        try:
            s3.create_mrap(name, buckets, properties.get("PublicAccessBlockConfiguration"))
        except s3.MrapError as error:
            raise ValueError(f"{_ACCESS_POINT}: {error.code}: {error.message}") from error
        # It finds the one that was just made.
        return handler["create"](logical_id, {**properties, "Name": name}, stack)

    provisioners._RESOURCE_HANDLERS[_ACCESS_POINT] = {**handler, "create": create}


def access_points_in_stacks_have_policies() -> None:
    """Gap: MiniStack has no AWS::S3::MultiRegionAccessPointPolicy."""

    def put(name: str, policy: _Record) -> tuple[str, _Record]:
        record = s3.find_mrap(name)
        if record is None:
            raise ValueError(f"{_ACCESS_POINT}Policy: NoSuchMultiRegionAccessPoint: {name}")
        record["Policy"] = json.dumps(policy)
        return name, {}

    def create(_logical_id: str, properties: _Record, _stack: str) -> tuple[str, _Record]:
        return put(properties["MrapName"], properties["Policy"])

    def update(name: str, _old: _Record, new: _Record, *_: Any) -> tuple[str, _Record]:
        return put(name, new["Policy"])

    def delete(name: str, _properties: _Record) -> None:
        record = s3.find_mrap(name)
        if record is not None:
            put(name, _of_the_account(record["Alias"]))

    provisioners._RESOURCE_HANDLERS[f"{_ACCESS_POINT}Policy"] = {"create": create, "update": update, "delete": delete}


def _of_the_account(alias: str) -> _Record:
    """What CloudFormation leaves, because S3 can't delete a policy."""
    arn = f"arn:aws:s3::{get_account_id()}:accesspoint/{alias}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{get_account_id()}:root"},
        "Action": "s3:GetObject",
        "Resource": f"{arn}/object/*",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


PATCHES = (access_points_in_stacks_are_checked, access_points_in_stacks_have_policies)

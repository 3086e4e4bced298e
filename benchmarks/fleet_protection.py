"""Whether two fleets protect their customers alike: what their templates say, whoever wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly, Json, Resource, StandIn

# What ends the names that `PerCustomerGlueJob` makes, so that no two paths have the same.
_DIGEST = re.compile(r"-[0-9a-f]{8}(?![0-9a-f])")

# What the CDK's L2s and its tags add, and neither protects nor opens anything.
_ADDED_BY_L2S = {
    "AWS::Glue::Connection": {"Tags"},
    "AWS::Glue::SecurityConfiguration": {"DeletionPolicy", "UpdateReplacePolicy"},
    "AWS::IAM::ManagedPolicy": {"Description", "Path"},
}


def differences(ours: Path, by_hand: Path) -> list[str]:
    """Return what two assemblies don't say alike, property by property and statement by statement.

    Functions are carried out, so it doesn't count how a text is put together; nor do logical ids, the digests in names,
    the order of statements and actions, and their Sids.
    """
    promised, said = (_said(Assembly.read(directory)) for directory in (ours, by_hand))
    for name, properties in said.items():
        for each in _ADDED_BY_L2S.get(name.partition(" ")[0], set()):
            if promised.get(name, {}).get(each) is None:
                properties.pop(each, None)
    return list(_unlike("", promised, said))


def _unlike(where: str, ours: Json, by_hand: Json) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(by_hand, Mapping):
        for name in sorted(ours.keys() | by_hand.keys()):
            yield from _unlike(f"{where} {name}".strip(), ours.get(name), by_hand.get(name))
    elif isinstance(ours, list) and isinstance(by_hand, list):
        yield from (f"{where}: only ours has {each}" for each in ours if each not in by_hand)
        yield from (f"{where}: only by hand there is {each}" for each in by_hand if each not in ours)
    elif ours != by_hand:
        yield f"{where}: ours is {ours}, by hand it is {by_hand}"


def _said(assembly: Assembly) -> dict[str, dict[str, Json]]:
    """Return the properties of each resource, under its type and its customer, of whom each has one of a type."""
    resources = [each for each in assembly.resources() if each.type != "AWS::CDK::Metadata"]
    titles = {each.logical_id: _title(each) for each in resources}
    unknown: dict[str, str] = {
        text: f"<{kind} of {_title(each)}>"
        for each in resources
        for kind, text in (("name", each.ref), ("ARN", each.arn))
        if isinstance(text, StandIn)
    }
    # An ARN may end with a name.
    stand_ins = dict(sorted(unknown.items(), key=lambda each: -len(each[0])))
    return {
        titles[each.logical_id]: {
            **{name: _plain(value, stand_ins) for name, value in each.properties.items()},
            "DeletionPolicy": each.deletion_policy,
            "UpdateReplacePolicy": each.update_replace_policy,
            "DependsOn": sorted(titles[other] for other in each.depends_on),
        }
        for each in resources
    }


def _title(resource: Resource) -> str:
    (customer,) = re.findall(r"customer-?\d+", resource.construct_path or resource.logical_id)[:1]
    return f"{resource.type} of {customer}"


def _plain(value: Json, stand_ins: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        for text, meant in stand_ins.items():
            value = value.replace(text, meant)
        return _DIGEST.sub("", value)
    if isinstance(value, float):
        return str(value)  # S3's minimum version of TLS is a number in the L2's policy
    if isinstance(value, list):
        return sorted((_plain(each, stand_ins) for each in value), key=_in_order)
    if not isinstance(value, Mapping):
        return value
    plain = {name: _plain(each, stand_ins) for name, each in value.items()}
    if "Effect" in plain:
        plain.pop("Sid", None)
        # The two mean the same: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html.
        if plain.get("Principal") == {"AWS": "*"}:
            plain["Principal"] = "*"
    return plain


def _in_order(value: Json) -> str:
    return json.dumps(value, sort_keys=True)

"""Templates that nobody here wrote: no crash, no long search, and every finding in the form that reports rely on.

They are found at run time in the packages of the development lock: the template that ``cdk bootstrap`` deploys, those
in the CDK's own documentation, and ones made up from the schemas of all resource types that cfn-lint carries.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import random
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cdk_encrypted_data.proofs.cloudformation.assembly import StackTemplate
from cdk_encrypted_data.proofs.cloudformation.resolution import Assembly
from cdk_encrypted_data.proofs.proof import Proof, prove
from cdk_encrypted_data.proofs.rules import RULES

Json = Any

PROJECT = Path(__file__).parents[3]
SECONDS = 20
# Beside these every type may stand; these are what the rules read.
READ = (
    "AWS::Glue::Connection",
    "AWS::Glue::Crawler",
    "AWS::Glue::Job",
    "AWS::Glue::SecurityConfiguration",
    "AWS::IAM::Group",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::IAM::RolePolicy",
    "AWS::IAM::User",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::KMS::ReplicaKey",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
)


def packaged(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def in_documentation() -> Iterator[tuple[str, str]]:
    """The templates in fenced blocks of a CDK module's documentation, which is its Python module's docstring."""
    text = (packaged("aws_cdk") / "cloudformation_include" / "__init__.py").read_text(encoding="utf-8")
    for number, block in enumerate(re.findall(r"```(?:ya?ml|json)[^\n]*\n(.*?)```", text, re.DOTALL)):
        if re.search(r"^\W*Resources", block):
            yield f"documentation-{number}", block


DOCUMENTATION = dict(in_documentation())
BOOTSTRAP = PROJECT / "node_modules" / "aws-cdk" / "lib" / "api" / "bootstrap" / "bootstrap-template.yaml"


def test_there_are_strangers() -> None:
    assert len(DOCUMENTATION) >= 3
    assert set(READ) <= set(schemas())


@pytest.mark.parametrize("name", DOCUMENTATION)
def test_the_documentation_of_the_cdk(name: str, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    # What it leaves out with an ellipsis would be no template.
    file.write_text(DOCUMENTATION[name].replace("...", '"..."'), encoding="utf-8")
    check(Assembly.read(file))


@pytest.mark.skipif(not BOOTSTRAP.exists(), reason="the CDK's command line isn't installed here")
def test_the_bootstrap_template() -> None:
    proof = check(Assembly.read(BOOTSTRAP))
    assert proof.subjects["buckets"] == 1


def test_the_bootstrap_template_with_a_key_of_its_own() -> None:
    if BOOTSTRAP.exists():
        proof = check(Assembly.read(BOOTSTRAP, parameters={"FileAssetsBucketKmsKeyId": ""}))
        assert proof.subjects["keys"] == 1


@pytest.mark.parametrize("seed", range(100))
def test_templates_made_up_from_schemas(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
    made = Maker(chance, wild=seed % 3 == 0)
    types = [*READ, *chance.sample(sorted(schemas()), 5)]
    chance.shuffle(types)
    resources = {f"R{number}": made.resource(kind) for number, kind in enumerate(types * 2)}
    template = {"Resources": resources}
    # As a user's template would come: through JSON.
    check(Assembly.of([StackTemplate(id="Stranger", template=json.loads(json.dumps(template)))]))


def check(assembly: Assembly) -> Proof:
    start = time.monotonic()
    proof = prove(assembly)
    assert time.monotonic() - start < SECONDS
    resources = set(assembly.resources())
    for finding in proof.findings:
        assert RULES[finding.rule.id] is finding.rule
        assert finding.resource in resources
        assert finding.place.startswith("Properties") or finding.place in ("DeletionPolicy", "UpdateReplacePolicy")
        well_formed(finding.counterexample)
    for undecidable in proof.undecidable:
        assert RULES[undecidable.rule.id] is undecidable.rule
        assert undecidable.resource in resources
        well_formed(undecidable.reason)
    return proof


def well_formed(words: str) -> None:
    assert words.strip() == words != ""
    assert not re.search(r"StandIn\(|Opaque\(|Undecided\(|<cdk_encrypted_data|object at 0x", words), words


@functools.cache
def schemas() -> Mapping[str, Path]:
    """Where the schema of each resource type is."""
    data = packaged("cfnlint") / "data" / "schemas"
    types = json.loads((data / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    return {name: data / "resources" / f"{digest}.json" for name, digest in types.items()}


class Maker:
    """Makes resources of which nothing is known but their schemas; ``wild`` ones keep to them only mostly."""

    def __init__(self, chance: random.Random, *, wild: bool) -> None:
        self._chance = chance
        self._wild = wild

    def resource(self, kind: str) -> Json:
        schema = json.loads(schemas()[kind].read_text(encoding="utf-8"))
        read_only = {pointer.rpartition("/")[2] for pointer in schema.get("readOnlyProperties", ())}
        top = {**schema, "properties": {k: v for k, v in schema["properties"].items() if k not in read_only}}
        return {"Type": kind, "Properties": self._value(top, schema, "", 0)}

    def _value(self, schema: Json, root: Json, name: str, depth: int) -> Json:
        if self._wild and depth and self._chance.random() < 0.04:
            return self._chance.choice([None, [], {}, "", "*", 0, True, [[]], {"": ""}, {"Ref": "AWS::NoValue"}])
        schema = self._resolved(schema, root)
        if depth and self._chance.random() < 0.05:
            return self._function()
        if name.endswith(("Document", "KeyPolicy")):
            return {
                "Version": "2012-10-17",
                "Statement": [self._statement() for _ in range(self._chance.randint(1, 3))],
            }
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        return self._of_kind(
            self._chance.choice(kinds) if isinstance(kinds, list) else kinds, schema, root, name, depth
        )

    def _of_kind(self, kind: str, schema: Json, root: Json, name: str, depth: int) -> Json:
        if kind == "object":
            return self._object(schema, root, depth)
        if kind == "array":
            count = max(schema.get("minItems", 0), self._chance.randint(0, 2)) if depth < 9 else 0
            return [self._value(schema.get("items", {}), root, name, depth + 1) for _ in range(count)]
        plain: dict[str, list[Json]] = {"boolean": [True, "true"], "integer": [0, 1, 15, 365], "number": [0.5, 7]}
        return self._chance.choice(plain.get(kind, self._texts(name)))

    def _resolved(self, schema: Json, root: Json) -> Json:
        for _ in range(9):
            if "$ref" in schema:
                place: Json = root
                for step in schema["$ref"].removeprefix("#/").split("/"):
                    place = place[step]
                schema = place
            elif (some := [one for word in ("oneOf", "anyOf") for one in schema.get(word, ())]) and (
                "type" not in schema and "properties" not in schema
            ):
                schema = self._chance.choice(some)
        return schema

    def _object(self, schema: Json, root: Json, depth: int) -> Json:
        required = set(schema.get("required", ()))
        return {
            name: self._value(one, root, name, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if name in required or (depth < 7 and self._chance.random() < 0.6)
        }

    def _texts(self, name: str) -> list[Json]:
        number = self._chance.randrange(36)
        attribute = self._chance.choice(["Arn", "Arn", "Arn", "KeyId", "Nothing"])
        texts: list[Json] = [
            {"Ref": f"R{number}"},
            {"Fn::GetAtt": [f"R{number}", attribute]},
            {"Fn::Sub": f"${{R{number}.Arn}}/*"},
            "arn:aws:s3:::acme-data",
            "arn:aws:iam::111122223333:role/somebody",
            "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555",
            "alias/acme",
            "acme-data",
            "Enabled",
        ]
        return texts if name.endswith(("Arn", "Id", "ID", "Bucket", "Role", "Roles", "Users")) else [*texts, "text"] * 2

    def _function(self) -> Json:
        return self._chance.choice(
            [
                {"Ref": "AWS::AccountId"},
                {"Ref": "AWS::NoValue"},
                {"Ref": "Nobody"},
                {"Fn::If": ["Unknown", "one", "other"]},
                {"Fn::ImportValue": "from-elsewhere"},
                {"Fn::Transform": {"Name": "Macro"}},
            ]
        )

    def _statement(self) -> Json:
        pick = self._chance.choice
        statement: dict[str, Json] = {
            "Effect": pick(["Allow", "Allow", "Deny"]),
            "Action": pick(["*", "s3:*", ["s3:GetObject", "kms:Decrypt"], "kms:*", "s3:Put*", "sts:AssumeRole"]),
            "Resource": pick(["*", self._texts("Arn")[1], ["arn:aws:s3:::acme-data", self._texts("Arn")[2]]]),
        }
        if self._chance.random() < 0.6:
            statement["Principal"] = pick(
                ["*", {"AWS": "*"}, {"Service": "s3.amazonaws.com"}, {"AWS": {"Ref": "AWS::AccountId"}}, {"AWS": 7}]
            )
        if self._chance.random() < 0.5:
            statement["Condition"] = pick(
                [
                    {"Bool": {"aws:SecureTransport": False}},
                    {"StringNotEquals": {"s3:x-amz-server-side-encryption": ["aws:kms", {"Ref": "R1"}]}},
                    {"ArnLike": {"aws:SourceArn": self._texts("Arn")[1]}},
                    {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
                    {"ForAllValues:StringEquals": {"aws:CalledVia": "s3.amazonaws.com"}},
                    {"Nonsense": {"aws:nothing": 1}},
                    [],
                ]
            )
        if self._wild and self._chance.random() < 0.2:
            statement[pick(["Sid", "Effect", "Action", "Resource", "Principal", "NotAction"])] = pick([None, 1, [], {}])
        return statement

"""Who may do what with a MultiRegionKeyPair's key in each Region, in each shape of its policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from cdk_encrypted_data.multi_region_key_pair import MultiRegionKeyPair
from tests.oracle.table import read_table
from tests.oracle.template import Template
from tests.truth_tables.synthesis import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.evaluator import Context, Policy

HOME, AWAY, OUTSIDE = "eu-central-1", "eu-west-1", "us-east-1"
REGIONS = (HOME, AWAY)

BUCKET, S3_CONTEXT = "arn:aws:s3:::data-bucket", "kms:EncryptionContext:aws:s3:arn"
CLOUDFRONT, DISTRIBUTION = "cloudfront.amazonaws.com", f"arn:aws:cloudfront::{ACCOUNT}:distribution/EDFDVBD6EXAMPLE"
ADMIN, USER, OPERATOR = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("KeyAdmin", "KeyUser", "operator"))
STRANGER = f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger"
# https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-auth-slr.html
KMS = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/mrk.kms.amazonaws.com/"
    "AWSServiceRoleForKeyManagementServiceMultiRegionKeys"
)


class Caller(NamedTuple):
    principal: str
    # What its IAM policies allow on everything; none is "".
    action: str = ""


CALLERS = {
    "operator": Caller(OPERATOR, "*"),  # named by no key policy
    "nobody": Caller(OPERATOR),
    "admin": Caller(ADMIN, "*"),
    "admin without IAM": Caller(ADMIN),
    "user": Caller(USER, "*"),
    "user without IAM": Caller(USER),
    "stranger": Caller(STRANGER, "*"),
    "anybody": Caller("anonymous"),
    "cloudfront": Caller(CLOUDFRONT),
    "KMS": Caller(KMS, "kms:SynchronizeMultiRegionKey"),
}


def calls(region: str) -> dict[str, tuple[str, Context]]:
    """Every call, as it is made in a Region of the pair."""
    (other,) = set(REGIONS) - {region}

    def via(service: str, where: str = region) -> Context:
        return {"kms:ViaService": f"{service}.{where}.amazonaws.com"}

    for_distribution = {"aws:SourceArn": DISTRIBUTION, "aws:SourceAccount": ACCOUNT}
    return {
        "decrypts itself": ("kms:Decrypt", {}),
        "decrypts itself, with a context": ("kms:Decrypt", {"kms:EncryptionContext:tenant": "acme"}),
        "makes a data key itself": ("kms:GenerateDataKey", {}),
        "decrypts itself what S3 encrypted": ("kms:Decrypt", {S3_CONTEXT: BUCKET}),
        "decrypts through S3": ("kms:Decrypt", via("s3")),
        "decrypts through S3 what S3 encrypted": ("kms:Decrypt", {**via("s3"), S3_CONTEXT: BUCKET}),
        "makes a data key through S3": ("kms:GenerateDataKey", via("s3")),
        "decrypts through S3 of the other Region": ("kms:Decrypt", via("s3", other)),
        "makes a data key through S3 of the other Region": ("kms:GenerateDataKey", via("s3", other)),
        "decrypts through Glue": ("kms:Decrypt", via("glue")),
        "encrypts itself": ("kms:Encrypt", {}),
        "encrypts through S3": ("kms:Encrypt", via("s3")),
        "re-encrypts itself": ("kms:ReEncryptFrom", {}),
        "re-encrypts through S3": ("kms:ReEncryptFrom", via("s3")),
        "grants by hand": ("kms:CreateGrant", {"kms:GrantIsForAWSResource": "false"}),
        "grants for an AWS resource": ("kms:CreateGrant", {"kms:GrantIsForAWSResource": "true"}),
        "describes": ("kms:DescribeKey", {}),
        "rewrites the policy": ("kms:PutKeyPolicy", {}),
        "schedules deletion": ("kms:ScheduleKeyDeletion", {}),
        "replicates in the pair": ("kms:ReplicateKey", {"kms:ReplicaRegion": other}),
        "replicates elsewhere": ("kms:ReplicateKey", {"kms:ReplicaRegion": OUTSIDE}),
        "promotes in the pair": ("kms:UpdatePrimaryRegion", {"kms:PrimaryRegion": other}),
        "promotes elsewhere": ("kms:UpdatePrimaryRegion", {"kms:PrimaryRegion": OUTSIDE}),
        "synchronizes": ("kms:SynchronizeMultiRegionKey", {}),
        "decrypts for its distribution": ("kms:Decrypt", for_distribution),
        "decrypts for another distribution": ("kms:Decrypt", for_distribution | {"aws:SourceArn": f"{DISTRIBUTION}2"}),
        "decrypts for another account": ("kms:Decrypt", for_distribution | {"aws:SourceAccount": OTHER_ACCOUNT}),
    }


# default: nobody is named. service: CloudFront is let in by the key of each Region.
EXPECTED = read_table("""
                                                          | default | admins | users | both | service
operator: decrypts itself                                 | ok      | ok     | D     | D    | ok
operator: decrypts itself what S3 encrypted               | D       | D      | D     | D    | D
operator: makes a data key itself                         | ok      | ok     | D     | D    | ok
operator: decrypts through S3                             | ok      | ok     | D     | D    | ok
operator: decrypts through S3 what S3 encrypted           | ok      | ok     | D     | D    | ok
operator: makes a data key through S3                     | ok      | ok     | D     | D    | ok
operator: decrypts through S3 of the other Region         | D       | D      | D     | D    | D
operator: makes a data key through S3 of the other Region | D       | D      | D     | D    | D
operator: decrypts through Glue                           | D       | D      | D     | D    | D
operator: encrypts itself                                 | D       | D      | D     | D    | D
operator: encrypts through S3                             | ok      | ok     | D     | D    | ok
operator: re-encrypts itself                              | D       | D      | D     | D    | D
operator: re-encrypts through S3                          | ok      | ok     | D     | D    | ok
operator: grants by hand                                  | D       | D      | D     | D    | D
operator: grants for an AWS resource                      | D       | D      | D     | D    | D
operator: describes                                       | ok      | ok     | ok    | ok   | ok
operator: rewrites the policy                             | ok      | ok     | ok    | ok   | ok
operator: schedules deletion                              | ok      | D      | ok    | D    | ok
operator: replicates in the pair                          | ok      | ok     | ok    | ok   | ok
operator: replicates elsewhere                            | D       | D      | D     | D    | D
operator: promotes in the pair                            | ok      | D      | ok    | D    | ok
operator: promotes elsewhere                              | D       | D      | D     | D    | D
nobody: decrypts itself                                   | D       | D      | D     | D    | D
nobody: makes a data key itself                           | D       | D      | D     | D    | D
nobody: decrypts through S3                               | D       | D      | D     | D    | D
nobody: describes                                         | D       | D      | D     | D    | D
nobody: rewrites the policy                               | D       | D      | D     | D    | D
nobody: replicates in the pair                            | D       | D      | D     | D    | D
nobody: promotes in the pair                              | D       | D      | D     | D    | D
nobody: synchronizes                                      | D       | D      | D     | D    | D
admin: decrypts itself                                    | ok      | D      | D     | D    | ok
admin: makes a data key itself                            | ok      | D      | D     | D    | ok
admin: decrypts through S3                                | ok      | D      | D     | D    | ok
admin: makes a data key through S3                        | ok      | D      | D     | D    | ok
admin: encrypts through S3                                | ok      | D      | D     | D    | ok
admin: re-encrypts through S3                             | ok      | D      | D     | D    | ok
admin: grants by hand                                     | D       | D      | D     | D    | D
admin: rewrites the policy                                | ok      | ok     | ok    | ok   | ok
admin: schedules deletion                                 | ok      | ok     | ok    | ok   | ok
admin: replicates in the pair                             | ok      | ok     | ok    | ok   | ok
admin: replicates elsewhere                               | D       | D      | D     | D    | D
admin: promotes in the pair                               | ok      | ok     | ok    | ok   | ok
admin: promotes elsewhere                                 | D       | D      | D     | D    | D
admin without IAM: decrypts itself                        | D       | D      | D     | D    | D
admin without IAM: decrypts through S3                    | D       | D      | D     | D    | D
admin without IAM: rewrites the policy                    | D       | ok     | D     | ok   | D
admin without IAM: schedules deletion                     | D       | ok     | D     | ok   | D
admin without IAM: replicates in the pair                 | D       | D      | D     | D    | D
admin without IAM: promotes in the pair                   | D       | ok     | D     | ok   | D
admin without IAM: promotes elsewhere                     | D       | D      | D     | D    | D
user: decrypts itself                                     | ok      | ok     | ok    | ok   | ok
user: makes a data key itself                             | ok      | ok     | ok    | ok   | ok
user: decrypts through S3                                 | ok      | ok     | ok    | ok   | ok
user: decrypts through S3 of the other Region             | D       | D      | D     | D    | D
user: decrypts through Glue                               | D       | D      | D     | D    | D
user: encrypts itself                                     | D       | D      | D     | D    | D
user: grants by hand                                      | D       | D      | D     | D    | D
user: describes                                           | ok      | ok     | ok    | ok   | ok
user: rewrites the policy                                 | ok      | ok     | D     | D    | ok
user: schedules deletion                                  | ok      | D      | D     | D    | ok
user: replicates in the pair                              | ok      | ok     | D     | D    | ok
user: replicates elsewhere                                | D       | D      | D     | D    | D
user: promotes in the pair                                | ok      | D      | D     | D    | ok
user without IAM: decrypts itself                         | D       | D      | ok    | ok   | D
user without IAM: decrypts itself, with a context         | D       | D      | ok    | ok   | D
user without IAM: decrypts itself what S3 encrypted       | D       | D      | D     | D    | D
user without IAM: makes a data key itself                 | D       | D      | ok    | ok   | D
user without IAM: decrypts through S3                     | D       | D      | ok    | ok   | D
user without IAM: decrypts through S3 what S3 encrypted   | D       | D      | ok    | ok   | D
user without IAM: makes a data key through S3             | D       | D      | ok    | ok   | D
user without IAM: encrypts through S3                     | D       | D      | ok    | ok   | D
user without IAM: re-encrypts through S3                  | D       | D      | ok    | ok   | D
user without IAM: decrypts through S3 of the other Region | D       | D      | D     | D    | D
user without IAM: decrypts through Glue                   | D       | D      | D     | D    | D
user without IAM: encrypts itself                         | D       | D      | D     | D    | D
user without IAM: re-encrypts itself                      | D       | D      | D     | D    | D
user without IAM: rewrites the policy                     | D       | D      | D     | D    | D
user without IAM: replicates in the pair                  | D       | D      | D     | D    | D
user without IAM: promotes in the pair                    | D       | D      | D     | D    | D
stranger: decrypts itself                                 | D       | D      | D     | D    | D
stranger: makes a data key itself                         | D       | D      | D     | D    | D
stranger: decrypts through S3                             | D       | D      | D     | D    | D
stranger: describes                                       | D       | D      | D     | D    | D
stranger: rewrites the policy                             | D       | D      | D     | D    | D
stranger: replicates in the pair                          | D       | D      | D     | D    | D
stranger: promotes in the pair                            | D       | D      | D     | D    | D
stranger: grants for an AWS resource                      | D       | D      | D     | D    | D
anybody: decrypts itself                                  | D       | D      | D     | D    | D
anybody: replicates in the pair                           | D       | D      | D     | D    | D
cloudfront: decrypts for its distribution                 | D       | D      | D     | D    | ok
cloudfront: decrypts for another distribution             | D       | D      | D     | D    | D
cloudfront: decrypts for another account                  | D       | D      | D     | D    | D
cloudfront: decrypts itself                               | D       | D      | D     | D    | D
KMS: synchronizes                                         | ok      | ok     | ok    | ok   | ok
KMS: decrypts itself                                      | D       | D      | D     | D    | D
KMS: replicates in the pair                               | D       | D      | D     | D    | D
""")

# The owner of the primary added a statement that allows the account everything.
OPENED = read_table("""
                                     | opened
operator: replicates in the pair     | ok
operator: replicates elsewhere       | D
operator: decrypts through Glue      | ok
operator: grants by hand             | D
operator: grants for an AWS resource | ok
admin: makes a data key itself       | D
admin: decrypts through Glue         | D
admin: schedules deletion            | ok
user: decrypts through Glue          | ok
user: schedules deletion             | D
user: replicates in the pair         | D
user: promotes in the pair           | D
operator: promotes in the pair       | ok
""")

CONTEXT = {"tenant": "acme", "purpose": "orders"}
_SAID: Context = {f"kms:EncryptionContext:{name}": value for name, value in CONTEXT.items()}
_MORE: Context = {**_SAID, "kms:EncryptionContext:message": "7"}
_OTHER: Context = {**_SAID, "kms:EncryptionContext:tenant": "initech"}
_HALF: Context = {"kms:EncryptionContext:tenant": "acme"}


def granted_calls(region: str) -> dict[str, tuple[str, Context]]:
    """What those who got a grant try in a Region."""
    through_s3: Context = {**_SAID, "kms:ViaService": f"s3.{region}.amazonaws.com"}
    through_glue: Context = {**_SAID, "kms:ViaService": f"glue.{region}.amazonaws.com"}
    return {
        "makes a data key": ("kms:GenerateDataKey", {}),
        "makes a data key, context": ("kms:GenerateDataKey", _SAID),
        "makes a data key, more context": ("kms:GenerateDataKey", _MORE),
        "makes a data key, wrong context": ("kms:GenerateDataKey", _OTHER),
        "makes a data key, half the context": ("kms:GenerateDataKey", _HALF),
        "decrypts": ("kms:Decrypt", {}),
        "decrypts, context": ("kms:Decrypt", _SAID),
        "decrypts, more context": ("kms:Decrypt", _MORE),
        "decrypts, wrong context": ("kms:Decrypt", _OTHER),
        "decrypts, half the context": ("kms:Decrypt", _HALF),
        "makes a data key through S3": ("kms:GenerateDataKey", through_s3),
        "decrypts through S3": ("kms:Decrypt", through_s3),
        "decrypts what S3 encrypted": ("kms:Decrypt", {**_SAID, S3_CONTEXT: BUCKET}),
        "decrypts through Glue": ("kms:Decrypt", through_glue),
        "makes a data key without plaintext": ("kms:GenerateDataKeyWithoutPlaintext", _SAID),
        "encrypts": ("kms:Encrypt", _SAID),
        "re-encrypts": ("kms:ReEncryptFrom", _SAID),
        "describes": ("kms:DescribeKey", {}),
        "grants by hand": ("kms:CreateGrant", {"kms:GrantIsForAWSResource": "false"}),
        "replicates": ("kms:ReplicateKey", {"kms:ReplicaRegion": HOME}),
        "rewrites the policy": ("kms:PutKeyPolicy", {}),
    }


# said: the grant demands the context. named: the key's policy names them as users, and so demands no context of them.
GRANTED = read_table("""
                                   | encrypt | decrypt | both | encrypt, said | decrypt, said | both, said | named
makes a data key                   | ok      | D       | ok   | D             | D             | D          | ok
makes a data key, context          | ok      | D       | ok   | ok            | D             | ok         | ok
makes a data key, more context     | ok      | D       | ok   | ok            | D             | ok         | ok
makes a data key, wrong context    | ok      | D       | ok   | D             | D             | D          | ok
makes a data key, half the context | ok      | D       | ok   | D             | D             | D          | ok
decrypts                           | D       | ok      | ok   | D             | D             | D          | ok
decrypts, context                  | D       | ok      | ok   | D             | ok            | ok         | ok
decrypts, more context             | D       | ok      | ok   | D             | ok            | ok         | ok
decrypts, wrong context            | D       | ok      | ok   | D             | D             | D          | ok
decrypts, half the context         | D       | ok      | ok   | D             | D             | D          | ok
makes a data key through S3        | D       | D       | D    | D             | D             | D          | ok
decrypts through S3                | D       | D       | D    | D             | D             | D          | ok
decrypts through Glue              | D       | D       | D    | D             | D             | D          | D
decrypts what S3 encrypted         | D       | D       | D    | D             | D             | D          | D
makes a data key without plaintext | D       | D       | D    | D             | D             | D          | D
encrypts                           | D       | D       | D    | D             | D             | D          | D
re-encrypts                        | D       | D       | D    | D             | D             | D          | D
describes                          | D       | D       | D    | D             | D             | D          | D
grants by hand                     | D       | D       | D    | D             | D             | D          | D
replicates                         | D       | D       | D    | D             | D             | D          | D
rewrites the policy                | D       | D       | D    | D             | D             | D          | D
""")


class Deployment:
    """All pairs and roles of the tables, synthesized once, as they would be deployed."""

    def __init__(self) -> None:
        app = cdk.App()
        self._stacks = {
            region: cdk.Stack(app, region, env=cdk.Environment(account=ACCOUNT, region=region)) for region in REGIONS
        }
        self._pairs = self._make_pairs()
        self._roles = self._make_grants()
        assembly = app.synth()
        synthesized = {region: assembly.get_stack_by_name(region).template for region in REGIONS}
        home = Template(synthesized[HOME], account=ACCOUNT, region=HOME)

        def read_outputs(value: Any) -> Any:  # noqa: ANN401 - JSON
            if isinstance(value, list):
                return [read_outputs(each) for each in value]
            if not isinstance(value, dict):
                return value
            if list(value) != ["Fn::GetStackOutput"]:
                return {name: read_outputs(each) for name, each in value.items()}
            name = value["Fn::GetStackOutput"]["OutputName"]
            return home.resolve(synthesized[HOME]["Outputs"][name]["Value"])

        away = Template(read_outputs(synthesized[AWAY]), account=ACCOUNT, region=AWAY)
        self._templates = {HOME: home, AWAY: away}

    def key_arn(self, pair: str, region: str) -> str:
        """The ARN of a pair's key in a Region."""
        return self._templates[region].arn(self._key(pair, region))

    def key_policy(self, pair: str, region: str) -> Policy:
        """Its policy."""
        return self._templates[region].key_policy(self._key(pair, region))

    def role_arn(self, grant: str) -> str:
        """The ARN of the role that got a grant."""
        return self._templates[HOME].arn(self._roles[grant])

    def identity_policies(self, grant: str) -> list[dict[str, Any]]:
        """The policies of that role."""
        return self._templates[HOME].identity_policies(self._roles[grant])

    def _key(self, pair: str, region: str) -> str:
        # Of a replica the L2 is an import: the resource stands beside it.
        key = self._pairs[pair].key_for(region).node.find_child("Resource")
        resource = key if isinstance(key, cdk.CfnElement) else key.node.default_child
        assert isinstance(resource, cdk.CfnElement)
        logical_id: str = self._stacks[region].resolve(resource.logical_id)
        return logical_id

    def _make_pairs(self) -> dict[str, MultiRegionKeyPair]:
        people: Mapping[str, Any] = {
            "default": {},
            "admins": {"administrators": [iam.ArnPrincipal(ADMIN)]},
            "users": {"users": [iam.ArnPrincipal(USER)]},
            "both": {"administrators": [iam.ArnPrincipal(ADMIN)], "users": [iam.ArnPrincipal(USER)]},
            "service": {},
            "opened": {"administrators": [iam.ArnPrincipal(ADMIN)], "users": [iam.ArnPrincipal(USER)]},
            "granted": {},
            "named": {"users": [iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/named")]},
        }
        pairs = {name: self._pair(name, arguments) for name, arguments in people.items()}
        for region in REGIONS:
            pairs["service"].key_for(region).allow_service(
                CLOUDFRONT, source_arns=[DISTRIBUTION], source_account=ACCOUNT
            )
        pairs["opened"].key.add_to_resource_policy(
            iam.PolicyStatement(principals=[iam.AccountRootPrincipal()], actions=["kms:*"], resources=["*"])
        )
        return pairs

    def _pair(self, name: str, arguments: Mapping[str, Any]) -> MultiRegionKeyPair:
        return MultiRegionKeyPair(self._stacks[HOME], name, replicas=[self._stacks[AWAY]], **arguments)

    def _make_grants(self) -> dict[str, str]:
        grants = {
            "encrypt": MultiRegionKeyPair.grant_encrypt,
            "decrypt": MultiRegionKeyPair.grant_decrypt,
            "both": MultiRegionKeyPair.grant_encrypt_decrypt,
        }
        roles = {name: self._role(name) for name in (*GRANTED, "nothing")}
        for name, grant in grants.items():
            grant(self._pairs["granted"], roles[name])
            grant(self._pairs["granted"], roles[f"{name}, said"], encryption_context=CONTEXT)
        self._pairs["named"].grant_encrypt(roles["named"])
        found = {}
        for name, role in roles.items():
            resource = role.node.default_child
            assert isinstance(resource, cdk.CfnElement)
            found[name] = self._stacks[HOME].resolve(resource.logical_id)
        return found

    def _role(self, name: str) -> iam.Role:
        role_name = name.replace(", ", "-")
        return iam.Role(
            self._stacks[HOME], f"Role-{role_name}", role_name=role_name, assumed_by=iam.AccountRootPrincipal()
        )

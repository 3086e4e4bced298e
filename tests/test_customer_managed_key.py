"""CustomerManagedKey: what each choice makes of the template, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_encrypted_data import CustomerManagedKey
from tests.synthesis import build, new_stack, only, resources_of

ADMINISTRATOR = iam.ArnPrincipal("arn:aws:iam::111122223333:role/security/key-administrator")
USER = iam.ArnPrincipal("arn:aws:iam::111122223333:role/application")


def statements(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    return {each["Sid"]: each for each in only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]}


def test_description_name_tag_rotation() -> None:
    key = only(build(lambda stack: CustomerManagedKey(stack, "Key")), "AWS::KMS::Key")
    assert key["Description"] == "Encrypts the data of Test/Key in S3"
    assert key["Tags"] == [{"Key": "Name", "Value": "Test/Key"}]
    assert key["EnableKeyRotation"] is True


def test_rotation_period_pending_window_and_removal_policy() -> None:
    stack = build(
        lambda stack: CustomerManagedKey(
            stack,
            "Key",
            rotation_period=cdk.Duration.days(90),
            pending_window=cdk.Duration.days(7),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
    )
    key = only(stack, "AWS::KMS::Key")
    assert (key["RotationPeriodInDays"], key["PendingWindowInDays"]) == (90, 7)
    (resource,) = resources_of(stack, "AWS::KMS::Key").values()
    assert resource["DeletionPolicy"] == "Delete"


def test_alias_and_description_by_name() -> None:
    stack = build(lambda stack: CustomerManagedKey(stack, "Key", alias_name="alias/acme", description="Acme's"))
    assert only(stack, "AWS::KMS::Alias")["AliasName"] == "alias/acme"
    assert only(stack, "AWS::KMS::Key")["Description"] == "Acme's"


@pytest.mark.parametrize("ids", [("a.b", "a-b"), ("x" * 130, "x" * 131), ("ä", "ö"), ("Key", "Key2")])
def test_default_aliases_dont_collide(ids: tuple[str, str]) -> None:
    stack = build(lambda stack: [CustomerManagedKey(stack, each) for each in ids])
    names = []
    for alias in resources_of(stack, "AWS::KMS::Alias").values():
        _, (start, stack_name, path) = alias["Properties"]["AliasName"]["Fn::Join"]
        assert (start, stack_name) == ("alias/", {"Ref": "AWS::StackName"})
        # A stack's name has at most 128 characters, an alias 256.
        assert len("alias/") + 128 + len(path) <= 256
        assert path.isascii()
        names.append(path)
    assert len(set(names)) == 2


def test_without_principals_the_account_decides() -> None:
    assert set(statements(build(lambda stack: CustomerManagedKey(stack, "Key")))) == {
        "AccountAdministersKey",
        "AccountUsesKeyThroughS3",
        "RefuseGrantsExceptForAwsServices",
    }


def test_shared_default_statements_arent_changed_by_one_key() -> None:
    stack = new_stack()
    first, _ = CustomerManagedKey(stack, "First"), CustomerManagedKey(stack, "Second")
    first.allow_cloudwatch_logs(log_group_name="/acme/*")
    sizes = [len(key["Properties"]["KeyPolicy"]["Statement"]) for key in resources_of(stack, "AWS::KMS::Key").values()]
    assert sizes == [4, 3]


def test_named_administrators_and_users_are_separated() -> None:
    stack = build(lambda stack: CustomerManagedKey(stack, "Key", administrators=[ADMINISTRATOR], users=[USER]))
    found = statements(stack)
    assert set(found) == {
        "AccountRecoversKey",
        "AdministratorsAdministerKey",
        "AdministratorsCannotUseKey",
        "UsersUseKeyThroughS3",
        "UsersCannotAdministerKey",
        "RefuseGrantsExceptForAwsServices",
    }
    assert found["AdministratorsCannotUseKey"]["Effect"] == found["UsersCannotAdministerKey"]["Effect"] == "Deny"
    for sid in ("AdministratorsAdministerKey", "AdministratorsCannotUseKey"):
        assert found[sid]["Principal"] == {"AWS": ADMINISTRATOR.arn}
    for sid in ("UsersUseKeyThroughS3", "UsersCannotAdministerKey"):
        assert found[sid]["Principal"] == {"AWS": USER.arn}


@pytest.mark.parametrize("named", [{}, {"administrators": [ADMINISTRATOR]}, {"users": [USER]}])
def test_allowed_actions_are_spelled_out(named: dict[str, Any]) -> None:
    for statement in statements(build(lambda stack: CustomerManagedKey(stack, "Key", **named))).values():
        assert "*" not in json.dumps(statement["Action"])


def test_a_role_of_the_same_stack_can_be_user_and_administrator_of_another_key() -> None:
    stack = new_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    CustomerManagedKey(stack, "Key", users=[role])
    CustomerManagedKey(stack, "Other", administrators=[role])
    assert len(resources_of(stack, "AWS::KMS::Key")) == 2


def test_who_is_both_is_refused() -> None:
    stack = new_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    with pytest.raises(ValueError, match=r"Key: users is .*; allowed: principals that aren't administrators; take"):
        CustomerManagedKey(stack, "Key", users=[role], administrators=[role])


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: iam.AnyPrincipal(), id="anybody"),
        pytest.param(lambda _: iam.AccountRootPrincipal(), id="this account"),
        pytest.param(lambda _: iam.AccountPrincipal("111122223333"), id="an account"),
        pytest.param(lambda _: iam.OrganizationPrincipal("o-abcdefghij"), id="an organization"),
        pytest.param(lambda _: iam.ServicePrincipal("glue.amazonaws.com"), id="a service"),
        pytest.param(lambda _: iam.ArnPrincipal("arn:aws:iam::111122223333:role/*"), id="a wildcard"),
        pytest.param(lambda _: iam.ArnPrincipal("arn:aws:iam::111122223333:root"), id="a root"),
        pytest.param(lambda stack: iam.Group(stack, "Group"), id="a group"),
        pytest.param(lambda _: USER.with_conditions({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), id="conditions"),
        pytest.param(lambda _: "arn:aws:iam::111122223333:role/application", id="a string"),
    ],
)
@pytest.mark.parametrize("argument", ["administrators", "users"])
def test_principals_that_would_undo_the_separation_are_refused(make: Callable[[cdk.Stack], Any], argument: str) -> None:
    stack = new_stack()
    arguments: dict[str, Any] = {argument: [make(stack)]}
    with pytest.raises(ValueError, match=rf"^Key: {argument} is .*; allowed: IAM roles and users, .*; name each role"):
        CustomerManagedKey(stack, "Key", **arguments)


def test_only_for_named_buckets() -> None:
    stack = build(lambda stack: CustomerManagedKey(stack, "Key", bucket_arns=["arn:aws:s3:::acme", "arn:aws:s3:::b-2"]))
    assert statements(stack)["AccountUsesKeyThroughS3"]["Condition"]["StringLike"] == {
        "kms:EncryptionContext:aws:s3:arn": [
            "arn:aws:s3:::acme",
            "arn:aws:s3:::acme/*",
            "arn:aws:s3:::b-2",
            "arn:aws:s3:::b-2/*",
        ]
    }


def test_cloudwatch_logs_only_for_its_log_groups() -> None:
    stack = new_stack(account="111122223333", region="eu-west-1")
    CustomerManagedKey(stack, "Key").allow_cloudwatch_logs(log_group_name="/acme/*")
    statement = only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"][-1]
    assert "logs." in json.dumps(statement["Principal"])
    assert ":log-group:/acme/*" in json.dumps(statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"])


def test_a_service_only_for_its_source() -> None:
    stack = new_stack()
    CustomerManagedKey(stack, "Key").allow_service(
        "sns.amazonaws.com",
        source_arns=["arn:aws:s3:::acme"],
        source_account="111122223333",
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
    )
    assert only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"][-1] == {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": ["arn:aws:s3:::acme"]},
            "StringEquals": {"aws:SourceAccount": "111122223333"},
        },
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source_arns": []}, "source_arns is .*; allowed: at least one ARN; name what the service acts for"),
        ({"source_arns": "arn:aws:s3:::acme"}, "source_arns is .*; allowed: a list of"),
        ({"source_arns": ["*"]}, "source_arns is .*; allowed: ARNs or patterns"),
        ({"source_arns": ["arn:aws:s3:::acme"]}, "source_arns is .*; .*unless source_account is given; pass"),
        ({"source_arns": ["arn:aws:sns:eu-west-1:*:topic"]}, "source_arns is .*; .*unless source_account is given"),
        ({"source_arns": ["arn:aws:s3:::acme"], "source_account": "1"}, "source_account is '1'; allowed: 12 digits"),
        (
            {"source_arns": ["arn:aws:s3:::acme"], "source_account": "111122223333", "actions": ["kms:*"]},
            "actions is .*; allowed: KMS actions without wildcards",
        ),
    ],
)
def test_a_service_without_a_source_is_refused(arguments: dict[str, Any], message: str) -> None:
    key = CustomerManagedKey(new_stack(), "Key")
    with pytest.raises(ValueError, match=message):
        key.allow_service("sns.amazonaws.com", **arguments)


def test_the_l2_is_a_key_like_any_other() -> None:
    stack = new_stack()
    assert isinstance(CustomerManagedKey(stack, "Key").key, kms.Key)

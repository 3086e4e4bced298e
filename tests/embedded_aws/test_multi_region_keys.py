"""Contract: multi-Region keys, through the API and in stacks of two Regions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.embedded_aws.account import Account, refused

if TYPE_CHECKING:
    from typing import Any

_HERE, _ELSEWHERE = "eu-central-1", "eu-west-1"
_EVERYTHING = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}


class TestReplicaKeysAreCreatedInStacks:
    def test_created_updated_and_deleted(self, account: Account, elsewhere: Account) -> None:
        primary = account.key(MultiRegion=True)
        policy = _policy(account, {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"})
        properties = {
            "PrimaryKeyArn": primary,
            "KeyPolicy": policy,
            "Description": "one",
            "PendingWindowInDays": 8,
            "Tags": [{"Key": "team", "Value": "a"}],
        }
        stack = elsewhere.deploy({"Replica": _replica(properties)})
        assert elsewhere.status(stack) == "CREATE_COMPLETE", elsewhere.failures(stack)
        key = elsewhere.physical_id(stack, "Replica")
        assert key == primary.rpartition("/")[2]
        metadata = elsewhere.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert (metadata["Description"], metadata["KeyState"]) == ("one", "Enabled")
        assert json.loads(elsewhere.kms.get_key_policy(KeyId=key)["Policy"]) == policy
        tags = elsewhere.kms.list_resource_tags(KeyId=key)["Tags"]
        assert {"TagKey": "team", "TagValue": "a"} in tags
        for there in (account, elsewhere):
            assert there.kms.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"] == {
                "MultiRegionKeyType": "PRIMARY" if there is account else "REPLICA",
                "PrimaryKey": {"Arn": primary, "Region": _HERE},
                "ReplicaKeys": [{"Arn": _arn(key, _ELSEWHERE), "Region": _ELSEWHERE}],
            }

        changed = properties | {"Description": "two", "Enabled": False, "KeyPolicy": _policy(account), "Tags": []}
        elsewhere.deploy({"Replica": _replica(changed)}, stack=stack)
        assert elsewhere.status(stack) == "UPDATE_COMPLETE", elsewhere.failures(stack)
        metadata = elsewhere.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert (metadata["Description"], metadata["KeyState"]) == ("two", "Disabled")
        assert json.loads(elsewhere.kms.get_key_policy(KeyId=key)["Policy"]) == _policy(account)
        assert account.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"

        assert elsewhere.delete(stack) == "DELETE_COMPLETE"
        metadata = elsewhere.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert metadata["KeyState"] == "PendingDeletion"
        assert (metadata["DeletionDate"] - metadata["CreationDate"]).days in {7, 8}
        assert account.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"

    def test_what_getatt_answers_and_an_alias_in_each_region(self, account: Account, elsewhere: Account) -> None:
        alias = f"alias/{account.name('alias')}"
        key = {"Type": "AWS::KMS::Key", "Properties": {"MultiRegion": True, "KeyPolicy": _policy(account)}}
        primary_stack = account.deploy({"Key": key, "Alias": _alias(alias, {"Ref": "Key"})})
        key_id = account.physical_id(primary_stack, "Key")
        assert key_id.startswith("mrk-")
        assert len(key_id) == 36
        replica = _replica({"PrimaryKeyArn": _arn(key_id, _HERE), "KeyPolicy": _policy(account)})
        parameters = {
            name: {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value, "Name": name}}
            for name, value in {
                "Arn": {"Fn::GetAtt": ["Replica", "Arn"]},
                "KeyId": {"Fn::GetAtt": ["Replica", "KeyId"]},
                "Ref": {"Ref": "Replica"},
            }.items()
        }
        target = {"Fn::GetAtt": ["Replica", "KeyId"]}
        stack = elsewhere.deploy({"Replica": replica, "Alias": _alias(alias, target), **parameters})
        assert elsewhere.status(stack) == "CREATE_COMPLETE", elsewhere.failures(stack)
        ssm = elsewhere.client("ssm")
        values = {name: ssm.get_parameter(Name=name)["Parameter"]["Value"] for name in parameters}
        assert values == {"Arn": _arn(key_id, _ELSEWHERE), "KeyId": key_id, "Ref": key_id}
        assert account.kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == _arn(key_id, _HERE)
        assert elsewhere.kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == _arn(key_id, _ELSEWHERE)

    def test_an_mrk_can_not_become_another_kind_of_key(self, account: Account) -> None:
        properties = {"MultiRegion": True, "KeyPolicy": _policy(account)}
        stack = account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": properties}})
        other = properties | {"MultiRegion": False}
        account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": other}}, stack=stack)
        assert account.status(stack) == "UPDATE_ROLLBACK_COMPLETE"
        assert "MultiRegion cannot be changed" in account.failures(stack)[0]

    def test_another_primary_means_another_replica(self, account: Account, elsewhere: Account) -> None:
        first, second = account.key(MultiRegion=True), account.key(MultiRegion=True)
        properties = {"PrimaryKeyArn": first, "KeyPolicy": _policy(account)}
        stack = elsewhere.deploy({"Replica": _replica(properties)})
        elsewhere.deploy({"Replica": _replica(properties | {"PrimaryKeyArn": second})}, stack=stack)
        assert elsewhere.status(stack) == "UPDATE_COMPLETE", elsewhere.failures(stack)
        assert elsewhere.physical_id(stack, "Replica") == second.rpartition("/")[2]
        old = elsewhere.kms.describe_key(KeyId=first.rpartition("/")[2])["KeyMetadata"]
        assert old["KeyState"] == "PendingDeletion"

    def test_a_retained_one_stays(self, account: Account, elsewhere: Account) -> None:
        replica = _replica({"PrimaryKeyArn": account.key(MultiRegion=True), "KeyPolicy": _policy(account)})
        stack = elsewhere.deploy({"Replica": {**replica, "DeletionPolicy": "Retain"}})
        key = elsewhere.physical_id(stack, "Replica")
        assert elsewhere.delete(stack) == "DELETE_COMPLETE"
        assert elsewhere.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"

    @pytest.mark.parametrize(
        ("primary", "sentence"),
        [
            ("arn:aws:kms:eu-central-1:111122223333:key/mrk-0", "NotFoundException"),
            ("arn:aws:kms:eu-central-1:444455556666:key/{replicated}", "NotFoundException"),
            (
                "arn:aws:kms:eu-central-1:111122223333:key/{single}",
                "UnsupportedOperationException: {single_arn} is not",
            ),
            ("arn:aws:kms:eu-west-1:111122223333:key/{replicated}", "UnsupportedOperationException"),
            ("arn:aws:kms:eu-central-1:111122223333:key/{replicated}", "AlreadyExistsException"),
            ("arn:aws:kms:eu-west-1:111122223333:key/{here}", "AlreadyExistsException"),
            ("arn:aws:kms:eu-central-1:111122223333:key/{disabled}", "DisabledException"),
            ("{replicated}", "'{replicated}' isn't the ARN of a key"),
            ("alias/x", "'alias/x' isn't the ARN of a key"),
        ],
    )
    def test_what_kms_refuses(self, account: Account, elsewhere: Account, primary: str, sentence: str) -> None:
        arns = {
            "replicated": account.key(MultiRegion=True),
            "single": account.key(),
            "here": elsewhere.key(MultiRegion=True),
            "disabled": account.key(MultiRegion=True),
        }
        account.kms.replicate_key(KeyId=arns["replicated"], ReplicaRegion=_ELSEWHERE)
        account.kms.disable_key(KeyId=arns["disabled"])
        words = {name: arn.rpartition("/")[2] for name, arn in arns.items()} | {"single_arn": arns["single"]}
        replica = _replica({"PrimaryKeyArn": primary.format(**words), "KeyPolicy": _policy(account)})
        stack = elsewhere.deploy({"Replica": replica})
        assert elsewhere.status(stack) == "ROLLBACK_COMPLETE"
        assert sentence.format(**words) in elsewhere.failures(stack)[0]


class TestDeletionsWaitForReplicas:
    def test_the_primary_waits_and_the_replica_holds_its_place(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        answer = account.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=9)
        assert (answer["KeyState"], answer["PendingWindowInDays"]) == ("PendingReplicaDeletion", 9)
        assert "DeletionDate" not in answer
        metadata = account.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert (metadata["KeyState"], metadata["PendingDeletionWindowInDays"]) == ("PendingReplicaDeletion", 9)
        assert "DeletionDate" not in metadata
        assert elsewhere.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"

        assert elsewhere.kms.schedule_key_deletion(KeyId=key)["KeyState"] == "PendingDeletion"
        metadata = account.kms.describe_key(KeyId=key)["KeyMetadata"]
        assert metadata["KeyState"] == "PendingReplicaDeletion"
        assert [each["Region"] for each in metadata["MultiRegionConfiguration"]["ReplicaKeys"]] == [_ELSEWHERE]

        assert refused(elsewhere.kms.cancel_key_deletion, KeyId=key) == ""
        assert account.kms.cancel_key_deletion(KeyId=key)
        for there in (account, elsewhere):
            assert there.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
            assert refused(there.kms.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"

    def test_a_replica_to_be_deleted_is_not_made_again(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        elsewhere.kms.schedule_key_deletion(KeyId=key)
        replicate = {"KeyId": key, "ReplicaRegion": _ELSEWHERE}
        assert refused(account.kms.replicate_key, **replicate) == "AlreadyExistsException"
        account.kms.replicate_key(KeyId=key, ReplicaRegion="eu-north-1")

    def test_a_primary_without_replicas_has_a_date(self, account: Account) -> None:
        answer = account.kms.schedule_key_deletion(KeyId=account.key(MultiRegion=True))
        assert answer["KeyState"] == "PendingDeletion"
        assert "DeletionDate" in answer


class TestKeyStatesAreKeptTo:
    def test_a_waiting_primary_is_of_no_use(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        blob = account.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        account.kms.schedule_key_deletion(KeyId=key)
        state = "KMSInvalidStateException"
        assert refused(account.kms.encrypt, KeyId=key, Plaintext=b"x") == state
        assert refused(account.kms.decrypt, CiphertextBlob=blob) == state
        assert refused(account.kms.generate_data_key, KeyId=key, KeySpec="AES_256") == state
        assert refused(account.kms.enable_key, KeyId=key) == state
        assert refused(account.kms.disable_key, KeyId=key) == state
        assert refused(account.kms.schedule_key_deletion, KeyId=key) == state
        assert refused(account.kms.replicate_key, KeyId=key, ReplicaRegion="eu-north-1") == state
        assert elsewhere.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_a_disabled_primary_is_not_replicated(self, account: Account) -> None:
        key = account.key(MultiRegion=True)
        account.kms.disable_key(KeyId=key)
        replicate = {"KeyId": key, "ReplicaRegion": _ELSEWHERE}
        assert refused(account.kms.replicate_key, **replicate) == "DisabledException"
        account.kms.enable_key(KeyId=key)
        account.kms.replicate_key(**replicate)


class TestRelatedKeysDecryptEachOthersCiphertext:
    """MiniStack's own, but for the tag: kept here because everything else rests on it."""

    @pytest.mark.parametrize("operation", ["encrypt", "generate_data_key"])
    def test_with_the_key_of_the_region_only(self, account: Account, elsewhere: Account, operation: str) -> None:
        key = _replicated(account)
        how = {"Plaintext": b"secret"} if operation == "encrypt" else {"KeySpec": "AES_256"}
        context = {"EncryptionContext": {"purpose": "invoices"}}
        for writer, reader in ((account, elsewhere), (elsewhere, account)):
            answer = getattr(writer.kms, operation)(KeyId=key, **how, **context)
            blob = {"CiphertextBlob": answer["CiphertextBlob"], **context}
            there = _arn(key, reader.region)
            for named in ({}, {"KeyId": key}, {"KeyId": there}):
                read = reader.kms.decrypt(**blob, **named)
                assert (read["Plaintext"], read["KeyId"]) == (answer.get("Plaintext", b"secret"), there)
            assert refused(reader.kms.decrypt, KeyId=_arn(key, writer.region), **blob) == "NotFoundException"

    def test_a_single_region_key_and_another_mrk_do_not(self, account: Account, elsewhere: Account) -> None:
        blob = account.kms.encrypt(KeyId=account.key(), Plaintext=b"x")["CiphertextBlob"]
        assert refused(elsewhere.kms.decrypt, CiphertextBlob=blob) in {
            "InvalidCiphertextException",
            "AccessDeniedException",
        }
        blob = account.kms.encrypt(KeyId=_replicated(account), Plaintext=b"x")["CiphertextBlob"]
        decrypt = {"CiphertextBlob": blob, "KeyId": elsewhere.key(MultiRegion=True)}
        assert refused(elsewhere.kms.decrypt, **decrypt) == "IncorrectKeyException"

    def test_each_region_has_its_own_key_policy(self, account: Account, elsewhere: Account) -> None:
        no_decrypt = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
        key = _replicated(account, Policy=json.dumps(_policy(account, no_decrypt)))
        blob = elsewhere.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        assert refused(elsewhere.kms.decrypt, CiphertextBlob=blob) == "AccessDeniedException"
        assert account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_a_disabled_replica_leaves_the_primary_as_it_is(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        elsewhere.kms.disable_key(KeyId=key)
        assert refused(elsewhere.kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
        account.kms.encrypt(KeyId=key, Plaintext=b"x")


class TestRotationIsThePrimarys:
    def test_set_on_the_primary_seen_on_both(self, account: Account, elsewhere: Account) -> None:
        key = account.key(MultiRegion=True)
        account.kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
        key = _replicate(account, key)
        assert _rotation(elsewhere, key) == (True, 90)
        account.kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=100)
        assert _rotation(elsewhere, key) == (True, 100)
        account.kms.disable_key_rotation(KeyId=key)
        assert _rotation(elsewhere, key)[0] is False

    def test_not_on_a_replica(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        for call in (elsewhere.kms.enable_key_rotation, elsewhere.kms.disable_key_rotation):
            assert refused(call, KeyId=key) == "UnsupportedOperationException"

    def test_set_by_a_stack_and_kept_when_the_primary_moves(self, account: Account, elsewhere: Account) -> None:
        properties = {"KeyPolicy": _policy(account), "MultiRegion": True, "EnableKeyRotation": True}
        properties["RotationPeriodInDays"] = 120
        stack = account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": properties}})
        key = _replicate(account, account.physical_id(stack, "Key"))
        assert _rotation(elsewhere, key) == (True, 120)
        account.kms.update_primary_region(KeyId=key, PrimaryRegion=_ELSEWHERE)
        assert _rotation(account, key) == _rotation(elsewhere, key) == (True, 120)
        elsewhere.kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=130)
        assert _rotation(account, key) == (True, 130)

        changed = properties | {"RotationPeriodInDays": 140}
        account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": changed}}, stack=stack)
        assert "UnsupportedOperationException" in account.failures(stack)[0]
        described = properties | {"Description": "only this"}
        account.deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": described}}, stack=stack)
        assert account.status(stack) == "UPDATE_COMPLETE"
        assert _rotation(account, key) == (True, 130)


class TestPrimaryRegionIsUpdated:
    def test_there_and_back(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        account.kms.replicate_key(KeyId=key, ReplicaRegion="eu-north-1")
        north = account.aws.client("kms", region="eu-north-1")
        blob = account.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        for caller, target in ((account, elsewhere), (elsewhere, account)):
            caller.kms.update_primary_region(KeyId=key, PrimaryRegion=target.region)
            for kms in (account.kms, elsewhere.kms, north):
                metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
                assert metadata["KeyState"] == "Enabled"
                configuration = metadata["MultiRegionConfiguration"]
                assert configuration["PrimaryKey"] == {"Arn": _arn(key, target.region), "Region": target.region}
                replicas = {each["Region"] for each in configuration["ReplicaKeys"]}
                assert replicas == {_HERE, _ELSEWHERE, "eu-north-1"} - {target.region}
                is_primary = kms.meta.region_name == target.region
                assert configuration["MultiRegionKeyType"] == ("PRIMARY" if is_primary else "REPLICA")
                assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_only_the_primary_is_replicated_and_waits(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        account.kms.update_primary_region(KeyId=key, PrimaryRegion=_ELSEWHERE)
        replicate = {"KeyId": key, "ReplicaRegion": "eu-north-1"}
        assert refused(account.kms.replicate_key, **replicate) == "UnsupportedOperationException"
        elsewhere.kms.replicate_key(**replicate)
        assert account.kms.schedule_key_deletion(KeyId=key)["KeyState"] == "PendingDeletion"
        assert elsewhere.kms.schedule_key_deletion(KeyId=key)["KeyState"] == "PendingReplicaDeletion"

    def test_what_kms_refuses(self, account: Account, elsewhere: Account) -> None:
        key = _replicated(account)
        update, from_elsewhere = account.kms.update_primary_region, elsewhere.kms.update_primary_region
        assert refused(update, KeyId=key, PrimaryRegion=_HERE) == "UnsupportedOperationException"
        assert refused(update, KeyId=key, PrimaryRegion="eu-north-1") == "NotFoundException"
        assert refused(update, KeyId="mrk-0", PrimaryRegion=_ELSEWHERE) == "NotFoundException"
        assert refused(update, KeyId=account.key(), PrimaryRegion=_ELSEWHERE) == "UnsupportedOperationException"
        assert refused(from_elsewhere, KeyId=key, PrimaryRegion=_HERE) == "UnsupportedOperationException"
        for there in (account, elsewhere):
            there.kms.disable_key(KeyId=key)
            assert refused(update, KeyId=key, PrimaryRegion=_ELSEWHERE) == "DisabledException"
            there.kms.enable_key(KeyId=key)
            there.kms.schedule_key_deletion(KeyId=key)
            assert refused(update, KeyId=key, PrimaryRegion=_ELSEWHERE) == "KMSInvalidStateException"
            there.kms.cancel_key_deletion(KeyId=key)
            there.kms.enable_key(KeyId=key)
        update(KeyId=key, PrimaryRegion=_ELSEWHERE)


class TestBothRegionsMustAllow:
    def test_replicating_needs_createkey_there(self, account: Account) -> None:
        replicate = {"Effect": "Allow", "Action": "kms:ReplicateKey", "Resource": "*"}
        there = {"StringEquals": {"aws:RequestedRegion": _ELSEWHERE}}
        here = {"StringEquals": {"aws:RequestedRegion": _HERE}}
        create = {"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"}
        call = {"KeyId": account.key(MultiRegion=True), "ReplicaRegion": _ELSEWHERE}
        for statements in ([replicate], [create], [replicate, create | {"Condition": here}]):
            kms = account.user(*statements, service="kms")
            assert refused(kms.replicate_key, **call) == "AccessDeniedException"
        account.user(replicate, create | {"Condition": there}, service="kms").replicate_key(**call)

    @pytest.mark.parametrize("refusing", [_HERE, _ELSEWHERE, ""])
    def test_moving_the_primary_needs_both_keys(self, account: Account, elsewhere: Account, refusing: str) -> None:
        key = _replicated(account)
        deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:UpdatePrimaryRegion", "Resource": "*"}
        for there in (account, elsewhere):
            policy = json.dumps(_policy(account, *([deny] if there.region == refusing else [])))
            there.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
        kms = account.user(_EVERYTHING, service="kms")
        answer = refused(kms.update_primary_region, KeyId=key, PrimaryRegion=_ELSEWHERE)
        assert answer == ("AccessDeniedException" if refusing else "")


class TestMultiRegionConditionKeys:
    @pytest.mark.parametrize(
        ("condition", "answer"),
        [
            ({"StringEquals": {"kms:ReplicaRegion": _ELSEWHERE}}, ""),
            ({"StringLike": {"kms:ReplicaRegion": "us-*"}}, "AccessDeniedException"),
            ({"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}, ""),
            ({"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}, "AccessDeniedException"),
        ],
    )
    def test_replicating(self, account: Account, condition: dict[str, Any], answer: str) -> None:
        allowed = {"Effect": "Allow", "Action": "kms:ReplicateKey", "Resource": "*", "Condition": condition}
        create = {"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"}
        kms = account.user(allowed, create, service="kms")
        replicate = {"KeyId": account.key(MultiRegion=True), "ReplicaRegion": _ELSEWHERE}
        assert refused(kms.replicate_key, **replicate) == answer

    @pytest.mark.parametrize(("region", "answer"), [(_ELSEWHERE, ""), ("eu-north-1", "AccessDeniedException")])
    def test_moving_the_primary(self, account: Account, region: str, answer: str) -> None:
        condition = {"StringEquals": {"kms:PrimaryRegion": region}}
        kms = account.user({**_EVERYTHING, "Condition": condition}, service="kms")
        move = {"KeyId": _replicated(account), "PrimaryRegion": _ELSEWHERE}
        assert refused(kms.update_primary_region, **move) == answer

    @pytest.mark.parametrize(
        ("condition", "single", "multi"),
        [
            ({"Bool": {"kms:MultiRegion": "false"}}, "", "AccessDeniedException"),
            ({"Bool": {"kms:MultiRegion": "true"}}, "AccessDeniedException", ""),
            ({"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}, "AccessDeniedException", ""),
            ({"Null": {"kms:MultiRegionKeyType": "true"}}, "", "AccessDeniedException"),
        ],
    )
    def test_creating_and_using(self, account: Account, condition: dict[str, Any], single: str, multi: str) -> None:
        kms = account.user({**_EVERYTHING, "Condition": condition}, service="kms")
        for multi_region, answer in ((False, single), (True, multi)):
            assert refused(kms.create_key, MultiRegion=multi_region) == answer
            encrypt = {"KeyId": account.key(MultiRegion=multi_region), "Plaintext": b"x"}
            assert refused(kms.encrypt, **encrypt) == answer

    def test_the_type_flips_with_the_primary(self, account: Account) -> None:
        condition = {"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}
        kms = account.user({**_EVERYTHING, "Condition": condition}, service="kms")
        key = _replicated(account)
        kms.encrypt(KeyId=key, Plaintext=b"x")
        account.kms.update_primary_region(KeyId=key, PrimaryRegion=_ELSEWHERE)
        assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def _replicated(account: Account, **options: object) -> str:
    """The id of a new key with a replica elsewhere."""
    return _replicate(account, account.key(MultiRegion=True), **options)


def _replicate(account: Account, key: str, **options: object) -> str:
    account.kms.replicate_key(KeyId=key, ReplicaRegion=_ELSEWHERE, **options)
    return key.rpartition("/")[2]


def _rotation(account: Account, key: str) -> tuple[bool, int | None]:
    status = account.kms.get_key_rotation_status(KeyId=key)
    return status["KeyRotationEnabled"], status.get("RotationPeriodInDays")


def _arn(key_id: str, region: str) -> str:
    return f"arn:aws:kms:{region}:111122223333:key/{key_id}"


def _policy(account: Account, *statements: dict[str, Any]) -> dict[str, Any]:
    delegation = {"Effect": "Allow", "Principal": {"AWS": account.root_arn}, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [delegation, *statements]}


def _replica(properties: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "AWS::KMS::ReplicaKey", "Properties": properties}


def _alias(name: str, target: Any) -> dict[str, Any]:  # noqa: ANN401 - a reference
    return {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": name, "TargetKeyId": target}}

"""A primary is moved, seen through, refused, and moved back."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.errors import RefusedError, SettingsError, UnavailableError, UnfinishedError
from cdk_encrypted_data_operations.promotion import Inspection, Promotion, Stage
from cdk_encrypted_data_operations.related_keys import Rotation
from tests.client.conftest import kms_status
from tests.embedded_aws.account import Account
from tests.operations.conftest import ACCOUNT, AWAY, FAR, HOME, ROTATION_DAYS, Pair, policy

_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_USE = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"]


def refused(checks: tuple[Check, ...]) -> dict[str, str]:
    """What stands against it, by what was looked at; each says what to do."""
    found = [check for check in checks if check.outcome is Outcome.REFUSED]
    assert all(check.remedy for check in found)
    return {check.subject: check.found for check in found}


def outcomes(checks: tuple[Check, ...]) -> dict[str, Outcome]:
    return {check.subject: check.outcome for check in checks}


def moved(move: Promotion) -> tuple[Inspection, tuple[Check, ...]]:
    """Move it without a word."""
    found = move.inspect()
    move.promote(found)
    move.wait(found, seconds=5)
    return found, move.verify(found)


class TestMoving:
    def test_there_and_back(self, pair: Pair) -> None:
        for here, there in ((HOME, AWAY), (AWAY, HOME)):
            found, after = moved(pair.promotion(here, there))
            assert found.rotation == Rotation(enabled=True, period_days=ROTATION_DAYS)
            assert pair.primary() == there
            assert set(outcomes(after).values()) == {Outcome.HOLDS}
            assert {check.subject for check in after} >= {"rotation", f"{HOME} to {AWAY}", f"{AWAY} to {HOME}"}

    def test_each_name_of_the_key(self, pair: Pair) -> None:
        arns = [f"arn:aws:kms:{region}:{ACCOUNT}" for region in (HOME, AWAY)]
        names = [
            pair.key_id,
            pair.alias,
            *(f"{arn}:{name}" for arn in arns for name in (f"key/{pair.key_id}", pair.alias)),
        ]
        for name in names:
            found = pair.promotion(key=name).inspect()
            assert found.stage is Stage.READY
            assert [each.key_id for each in (found.home, found.away) if each] == 2 * [pair.key_id]

    def test_what_isnt_known_before_is_said(self, pair: Pair) -> None:
        found = pair.promotion().inspect()
        assert found.stage is Stage.READY
        assert [check.subject for check in found.checks if check.outcome is Outcome.UNKNOWN] == [
            f"stack in {HOME}",
            f"stack in {AWAY}",
            "right to move it",
        ]

    def test_moved_before(self, pair: Pair) -> None:
        moved(pair.promotion())
        again = pair.promotion()
        found = again.inspect()
        assert (found.stage, refused(found.checks)) == (Stage.DONE, {})
        with pytest.raises(RefusedError, match="the move is done; allowed: one that is ready"):
            again.promote(found)
        again.wait(found, seconds=0)
        (rotation,) = (check.found for check in again.verify(found) if check.subject == "rotation")
        assert rotation == f"every {ROTATION_DAYS} days"  # nobody knows what it was before

    def test_inspecting_changes_nothing(self, pair: Pair) -> None:
        before = [pair.describe(region) for region in (HOME, AWAY, FAR)]
        pair.promotion().inspect()
        assert [pair.describe(region) for region in (HOME, AWAY, FAR)] == before

    def test_rotation_that_isnt_what_it_was(self, pair: Pair) -> None:
        move = pair.promotion()
        found = move.inspect()
        move.promote(found)
        pair.kms(AWAY).enable_key_rotation(KeyId=pair.key_id, RotationPeriodInDays=90)
        assert refused(move.verify(found)) == {"rotation": f"every 90 days; it was every {ROTATION_DAYS} days"}

    def test_rotation_that_is_off(self, pair: Pair) -> None:
        pair.kms().disable_key_rotation(KeyId=pair.key_id)
        found, after = moved(pair.promotion())
        assert str(found.rotation) == "off"
        assert refused(after) == {}


class TestWhatStandsAgainstIt:
    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_a_key_that_isnt_enabled(self, pair: Pair, region: str) -> None:
        move, kms = pair.promotion(), pair.kms(region)
        kms.disable_key(KeyId=pair.key_id)
        assert refused(move.inspect().checks) == {f"state in {region}": "Disabled"}
        kms.enable_key(KeyId=pair.key_id)
        kms.schedule_key_deletion(KeyId=pair.key_id)
        pending = "PendingReplicaDeletion" if region == HOME else "PendingDeletion"
        found = move.inspect()
        assert (found.stage, refused(found.checks)) == (Stage.REFUSED, {f"state in {region}": pending})
        with pytest.raises(RefusedError, match="the move is refused; allowed: one that is ready"):
            move.promote(found)
        kms.cancel_key_deletion(KeyId=pair.key_id)
        kms.enable_key(KeyId=pair.key_id)
        assert move.inspect().stage is Stage.READY

    def test_another_replica_that_is_disabled_does_not(self, pair: Pair) -> None:
        pair.kms(FAR).disable_key(KeyId=pair.key_id)
        found = pair.promotion().inspect()
        assert (found.stage, refused(found.checks)) == (Stage.READY, {})

    @pytest.mark.parametrize("state", ["Creating", "Updating"])
    def test_another_replica_that_is_being_made_or_moved(self, pair: Pair, state: str) -> None:
        pair.hands.describe(FAR, KeyState=state)
        found = pair.promotion().inspect()
        assert found.stage is Stage.REFUSED
        assert refused(found.checks) == {f"key in {FAR}": f"{pair.key_id}, {state}"}
        pair.hands.end()
        assert pair.promotion().inspect().stage is Stage.READY

    def test_another_replica_that_cant_be_seen_does_not(self, pair: Pair) -> None:
        with pair.aws.shut_off("kms", FAR):
            found = pair.promotion().inspect()
        assert (found.stage, outcomes(found.checks)[f"key in {FAR}"]) == (Stage.READY, Outcome.UNKNOWN)

    def test_a_primary_in_a_third_region(self, pair: Pair) -> None:
        found = pair.promotion(FAR, AWAY).inspect()
        assert (found.stage, refused(found.checks)) == (Stage.REFUSED, {"the primary": f"is in {HOME}"})
        (check,) = (check for check in found.checks if check.outcome is Outcome.REFUSED)
        assert check.remedy == f"move it from there: --from {HOME}"

    def test_no_replica_there(self, pair: Pair) -> None:
        found = pair.promotion(HOME, "eu-north-1").inspect()
        assert found.stage is Stage.REFUSED
        assert refused(found.checks)["key in eu-north-1"].startswith("NotFoundException: ")

    def test_no_key_here(self, pair: Pair) -> None:
        found = pair.promotion(key="alias/nobody").inspect()
        assert (found.stage, found.home) == (Stage.REFUSED, None)
        assert refused(found.checks).keys() == {f"key in {HOME}", f"key in {AWAY}"}

    def test_a_key_of_one_region(self, pair: Pair) -> None:
        kms = pair.kms()
        single = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"{pair.alias}-single", TargetKeyId=single)
        found = pair.promotion(key=f"{pair.alias}-single").inspect()
        assert refused(found.checks)[f"key in {HOME}"] == f"{single} is a key of one Region"

    def test_an_alias_of_another_key_there(self, pair: Pair) -> None:
        kms = pair.kms(AWAY)
        other = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        kms.update_alias(AliasName=pair.alias, TargetKeyId=other)
        assert refused(pair.promotion().inspect().checks) == {f"{pair.alias} in {AWAY}": f"another key, {other}"}
        assert pair.promotion(key=pair.key_id).inspect().stage is Stage.READY

    def test_no_alias_there_does_not(self, pair: Pair) -> None:
        pair.kms(AWAY).delete_alias(AliasName=pair.alias)
        found = pair.promotion().inspect()
        assert (found.stage, outcomes(found.checks)[f"{pair.alias} in {AWAY}"]) == (Stage.READY, Outcome.UNKNOWN)

    def test_credentials_of_another_account(self, pair: Pair) -> None:
        key = f"arn:aws:kms:{HOME}:444455556666:key/{pair.key_id}"
        assert refused(pair.promotion(key=key).inspect().checks).keys() == {"who asks"}

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_a_region_that_doesnt_answer(self, pair: Pair, region: str) -> None:
        with pair.aws.shut_off("kms", region), pytest.raises(UnavailableError) as caught:
            pair.promotion().inspect()
        assert f"KMS of {region} doesn't answer" in str(caught.value)
        assert "every key of the pair encrypts and decrypts by itself" in str(caught.value)


class TestStacks:
    """A key that a stack has as the primary, and another stack as the replica."""

    @pytest.fixture
    def keys(self, pair: Pair) -> tuple[Pair, Account, str]:
        home, away = Account(pair.aws, HOME), Account(pair.aws, AWAY)
        primary = {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain", "Properties": {"MultiRegion": True}}
        stack = home.deploy({"Key": primary})
        key_id = home.physical_id(stack, "Key")
        replica = {"PrimaryKeyArn": f"arn:aws:kms:{HOME}:{ACCOUNT}:key/{key_id}", "KeyPolicy": policy()}
        away.deploy({"Key": {"Type": "AWS::KMS::ReplicaKey", "Properties": replica}})
        return replace(pair, key_id=key_id, alias=key_id), home, stack

    def test_they_are_found(self, keys: tuple[Pair, Account, str]) -> None:
        pair, _, stack = keys
        found = pair.promotion().inspect()
        said = {check.subject: check.found for check in found.checks}
        assert said[f"stack in {HOME}"] == f"{stack}, CREATE_COMPLETE, has it as AWS::KMS::Key"
        assert said[f"stack in {AWAY}"].endswith(", CREATE_COMPLETE, has it as AWS::KMS::ReplicaKey")
        assert found.stage is Stage.READY
        assert found.declaration is not None
        assert found.declaration.resource_type == "AWS::KMS::ReplicaKey"

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_one_that_is_being_deployed_stands_against_it(self, keys: tuple[Pair, Account, str], region: str) -> None:
        pair, _, _ = keys
        pair.hands.deploy(region)
        found = pair.promotion().inspect()
        assert found.stage is Stage.REFUSED
        assert refused(found.checks).keys() == {f"stack in {region}"}

    def test_one_that_was_deleted_has_it_no_more(self, keys: tuple[Pair, Account, str]) -> None:
        pair, home, stack = keys
        assert home.delete(stack) == "DELETE_COMPLETE"
        found = pair.promotion().inspect()
        assert (found.stage, outcomes(found.checks)[f"stack in {HOME}"]) == (Stage.READY, Outcome.UNKNOWN)

    def test_who_may_not_look_for_them(self, keys: tuple[Pair, Account, str]) -> None:
        pair, _, _ = keys
        operator = pair.aws.create_user(os.urandom(8).hex(), {"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
        found = pair.promotion(by=operator).inspect()
        assert (found.stage, found.declaration) == (Stage.READY, None)
        (words,) = (check.found for check in found.checks if check.subject == f"stack in {AWAY}")
        assert words.startswith("AccessDenied")


class TestRights:
    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_who_may_not_move_it(self, pair: Pair, region: str) -> None:
        operator = pair.aws.create_user(os.urandom(8).hex(), _EVERYTHING)
        pair.refuse(region, "kms:UpdatePrimaryRegion")
        move = pair.promotion(by=operator)
        found = move.inspect()
        assert found.stage is Stage.READY
        with pytest.raises(
            RefusedError, match=r"nothing was changed: AccessDeniedException: .*; allow .*:user/"
        ) as caught:
            move.promote(found)
        assert "kms:UpdatePrimaryRegion in the policies of both keys" in str(caught.value)
        assert pair.primary() == HOME

    def test_who_may_move_it_and_not_use_it(self, pair: Pair) -> None:
        operator = pair.aws.create_user(os.urandom(8).hex(), _EVERYTHING)
        for region in (HOME, AWAY):
            pair.refuse(region, *_USE)
        _, after = moved(pair.promotion(by=operator))
        tried = {f"{HOME} to {AWAY}": Outcome.UNKNOWN, f"{AWAY} to {HOME}": Outcome.UNKNOWN}
        assert outcomes(after).items() >= tried.items()
        assert refused(after) == {}

    def test_who_may_not_even_look(self, pair: Pair) -> None:
        stranger = pair.aws.create_user(os.urandom(8).hex())
        found = pair.promotion(key=pair.key_id, by=stranger).inspect()
        assert found.stage is Stage.REFUSED
        assert refused(found.checks)[f"key in {HOME}"].startswith("AccessDeniedException: ")

    def test_who_may_not_read_the_rotation(self, pair: Pair) -> None:
        pair.refuse(HOME, "kms:GetKeyRotationStatus")
        found, after = moved(pair.promotion())
        assert (found.rotation, outcomes(found.checks)["rotation"]) == (None, Outcome.UNKNOWN)
        assert refused(after) == {}


class TestOnTheWay:
    """AWS takes seconds, in which both keys are `Updating` and may both be called replicas."""

    def test_it_is_waited_for(self, pair: Pair) -> None:
        move, said = pair.promotion(), list[str]()
        found = move.inspect()
        move.promote(found)
        pair.hands.describe(HOME, AWAY, times=2, kind="REPLICA", KeyState="Updating")
        move.wait(found, seconds=30, progress=said.append)
        assert said == [
            *2 * [f"{HOME}: REPLICA, Updating; {AWAY}: REPLICA, Updating"],
            f"{HOME}: REPLICA, Enabled; {AWAY}: PRIMARY, Enabled",
        ]

    @pytest.mark.parametrize("region", [HOME, AWAY])
    def test_a_region_that_is_updating_is_waited_for(self, pair: Pair, region: str) -> None:
        move, said = pair.promotion(), list[str]()
        found = move.inspect()
        move.promote(found)
        pair.hands.describe(region, times=1, KeyState="Updating")
        move.wait(found, seconds=30, progress=said.append)
        assert len(said) == 2

    @pytest.mark.parametrize(
        ("region", "says"),
        [
            (HOME, {"kind": "PRIMARY"}),
            (HOME, {"kind": "PRIMARY", "primary": HOME}),
            (HOME, {"primary": HOME}),
            (AWAY, {"kind": "REPLICA"}),
            (AWAY, {"kind": "REPLICA", "primary": HOME}),
        ],
    )
    def test_regions_that_dont_agree_are_waited_for(self, pair: Pair, region: str, says: dict[str, str]) -> None:
        move, said = pair.promotion(), list[str]()
        found = move.inspect()
        move.promote(found)
        pair.hands.describe(region, times=1, **says)
        move.wait(found, seconds=30, progress=said.append)
        assert len(said) == 2

    def test_what_kms_said_before_is_no_answer(self, pair: Pair) -> None:
        move, said = pair.promotion(), list[str]()
        found = move.inspect()
        move.promote(found)
        pair.hands.describe(HOME, times=1, kind="PRIMARY", primary=HOME)
        pair.hands.describe(AWAY, times=1, kind="REPLICA", primary=HOME)
        move.wait(found, seconds=30, progress=said.append)
        assert len(said) == 2

    def test_outages_are_waited_out(self, pair: Pair) -> None:
        move, said = pair.promotion(), list[str]()
        found = move.inspect()
        move.promote(found)
        with pair.aws.shut_off("kms", AWAY), pytest.raises(UnfinishedError, match="no answer"):
            move.wait(found, seconds=1, progress=said.append)
        move.wait(found, seconds=1, progress=said.append)
        assert (said[0], said[-1]) == ("no answer", f"{HOME}: REPLICA, Enabled; {AWAY}: PRIMARY, Enabled")

    def test_not_for_ever(self, pair: Pair) -> None:
        move, said = pair.promotion(), list[str]()
        found = move.inspect()
        move.promote(found)
        pair.hands.describe(HOME, AWAY, kind="REPLICA", KeyState="Updating")
        with pytest.raises(
            UnfinishedError, match=r"not settled after 1 s .*; the keys can be used meanwhile; run the same"
        ):
            move.wait(found, seconds=1, progress=said.append)
        assert 1 <= len(said) <= 2  # at once and after half a second; the next would be too late
        again = pair.promotion()
        assert again.inspect().stage is Stage.UNDER_WAY
        assert refused(again.verify(found)).keys() == {"the primary"}
        pair.hands.end()
        assert again.inspect().stage is Stage.DONE

    @pytest.mark.parametrize("stale", [False, True])
    def test_an_answer_that_was_lost_is_no_refusal(self, pair: Pair, stale: bool) -> None:  # noqa: FBT001
        # boto3 asks again when KMS says 500, and then KMS says that there is no primary any more.
        def lose() -> AWSResponse:
            pair.kms().update_primary_region(KeyId=pair.key_id, PrimaryRegion=AWAY)
            if stale:
                pair.hands.describe(HOME, times=1, kind="PRIMARY", primary=HOME)
                pair.hands.describe(AWAY, times=1, kind="REPLICA", primary=HOME)
            return kms_status(500, "KMSInternalException")()

        pair.hands.answer("UpdatePrimaryRegion", lose)
        move = pair.promotion(config=None)
        found = move.inspect()
        move.promote(found)
        move.wait(found, seconds=5)
        assert refused(move.verify(found)) == {}

    def test_what_somebody_else_moved_meanwhile(self, pair: Pair) -> None:
        move = pair.promotion()
        found = move.inspect()
        pair.kms().update_primary_region(KeyId=pair.key_id, PrimaryRegion=AWAY)
        move.promote(found)
        move.wait(found, seconds=5)
        assert refused(move.verify(found)) == {}

    def test_what_somebody_else_moved_elsewhere(self, pair: Pair) -> None:
        move = pair.promotion()
        found = move.inspect()
        pair.kms().update_primary_region(KeyId=pair.key_id, PrimaryRegion=FAR)
        with pytest.raises(RefusedError, match="nothing was changed: UnsupportedOperationException: "):
            move.promote(found)
        assert pair.primary() == FAR

    def test_no_answer_at_all(self, pair: Pair) -> None:
        move = pair.promotion()
        found = move.inspect()
        pair.hands.answer("UpdatePrimaryRegion", kms_status(500, "KMSInternalException"))
        with pytest.raises(UnfinishedError, match="so the move may have begun; run the same command again"):
            move.promote(found)

    def test_what_kms_refuses_after_all(self, pair: Pair) -> None:
        move = pair.promotion()
        found = move.inspect()
        pair.kms(AWAY).disable_key(KeyId=pair.key_id)
        with pytest.raises(RefusedError, match=r"nothing was changed: DisabledException: .*run the same command again"):
            move.promote(found)
        assert pair.primary() == HOME


class TestTheRoundTrip:
    @pytest.mark.parametrize("answer", ["another", "error"])
    def test_what_doesnt_open(self, pair: Pair, answer: str) -> None:
        move = pair.promotion()
        found = move.inspect()
        move.promote(found)
        if answer == "another":
            pair.hands.open_as(bytes(32))
        else:
            pair.hands.answer("Decrypt", *2 * [kms_status(400, "KMSInvalidStateException")])
        assert refused(move.verify(found)).keys() == {f"{HOME} to {AWAY}", f"{AWAY} to {HOME}"}

    def test_a_key_that_doesnt_encrypt(self, pair: Pair) -> None:
        pair.hands.describe(HOME, AWAY, KeyUsage="SIGN_VERIFY")
        _, after = moved(pair.promotion())
        assert outcomes(after)[f"{HOME} to {AWAY}"] is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"from_region": "Frankfurt"}, "from is 'Frankfurt'; allowed: the name of a Region; write eu-central-1"),
        ({"to_region": ""}, "to is ''; allowed: the name of a Region; write eu-central-1"),
        ({"to_region": HOME}, f"from and to are both '{HOME}'; allowed: two Regions; name the replica's by to"),
        ({"key": "orders"}, "key is 'orders'; allowed: alias/NAME, mrk-"),
        ({"key": "1234abcd-12ab-34cd-56ef-1234567890ab"}, "a key whose id doesn't begin with mrk- is of one Region"),
        ({"key": f"arn:aws:kms:{FAR}:{ACCOUNT}:key/mrk-1"}, f"allowed: a key of {HOME} or {AWAY}; name the one"),
    ],
)
def test_arguments_that_cant_be_right(arguments: dict[str, Any], words: str) -> None:
    right: dict[str, Any] = {"key": "alias/orders", "from_region": HOME, "to_region": AWAY}
    with pytest.raises(SettingsError) as caught:
        Promotion(**right | arguments)
    assert words in str(caught.value)
    assert not str(caught.value).endswith(".")

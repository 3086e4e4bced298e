"""The command `encrypted-data-operations promote`, as a shell runs it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from cdk_encrypted_data_operations import promotion
from cdk_encrypted_data_operations.__main__ import main
from cdk_encrypted_data_operations.stacks import Declaration
from tests.operations.conftest import AWAY, FAR, HOME, ROTATION_DAYS, Pair

_PROJECT = Path(__file__).parents[2]
_MOVE = ("--from", HOME, "--to", AWAY)
# Kills itself at an event of botocore's, as the machine or the connection may.
_KILLED = """
import os, signal, sys
import boto3
from cdk_encrypted_data_operations import promotion
from cdk_encrypted_data_operations.__main__ import main
from cdk_encrypted_data_operations.stacks import Declaration

boto3.setup_default_session()
def kill(**event):
    os.kill(os.getpid(), signal.SIGKILL)
make = boto3.session.Session
def session():
    made = make()
    made.events.register(sys.argv[1], kill)
    return made
boto3.session.Session = session
sys.exit(main(sys.argv[2:]))
"""

Run = Callable[..., str]


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `promote` for the pair's key; return what it wrote, on one line."""
    for name, value in (pair.aws.environment() | {"COLUMNS": "300"}).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, answer: str | None = None, code: int = 0) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer or ""))
        assert main(["promote", "--key", pair.alias, *arguments]) == code
        return "".join(capsys.readouterr())

    return run


def test_it_asks_moves_and_says_what_to_record(pair: Pair, run: Run) -> None:
    said = run(*_MOVE, answer=f"{AWAY}\n")
    assert f"Move the primary of {pair.key_id} from {HOME} to {AWAY}?" in said
    assert pair.primary() == AWAY
    assert (
        f"""
        promotion=Promotion(
            primary_region="{AWAY}",
            regions=["{HOME}", "{AWAY}", "{FAR}"],
            rotation_period=Duration.days({ROTATION_DAYS}),
        ),
"""
        in said
    )
    assert f"If the pair's own stack is in {AWAY}, take promotion= out instead." in said  # no stack has it
    back = f"encrypted-data-operations promote --key {pair.alias} --from {AWAY} --to {HOME}"
    assert back in said
    run(*back.split()[4:], "--yes")
    assert pair.primary() == HOME


def test_where_the_template_has_the_primary_there_is_nothing_to_record(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def declared(_client: object, _key_id: str) -> Declaration:
        return Declaration(stack="Home", resource_type=types.pop(0), status="UPDATE_COMPLETE")

    monkeypatch.setattr(promotion, "declaration_of", declared)
    types = ["AWS::KMS::Key", "AWS::KMS::ReplicaKey"]
    said = run(*_MOVE, "--yes")
    assert f'primary_region="{AWAY}"' in said
    assert "take promotion= out" not in said
    types = ["AWS::KMS::ReplicaKey", "AWS::KMS::Key"]
    said = run("--from", AWAY, "--to", HOME, "--yes")
    assert "The primary is where the template has it: take promotion= out of the app" in said
    assert "primary_region" not in said
    types = 2 * ["AWS::KMS::Key"]
    assert json.JSONDecoder().raw_decode(run("--from", AWAY, "--to", HOME, "--json"))[0]["promotion"] is None


def test_a_period_that_templates_leave_out_is_left_out(pair: Pair, run: Run) -> None:
    pair.kms().enable_key_rotation(KeyId=pair.key_id)
    assert "rotation_period" not in run(*_MOVE, "--yes")


@pytest.mark.parametrize("answer", [None, "\n", "yes\n", f"{HOME}\n"])
def test_any_other_answer_changes_nothing(pair: Pair, run: Run, answer: str | None) -> None:
    assert f"not confirmed, nothing was changed; type {AWAY}, or say --yes" in run(*_MOVE, answer=answer, code=1)
    assert pair.primary() == HOME


def test_a_dry_run_looks_only(pair: Pair, run: Run) -> None:
    assert "Nothing is known to stand against it. Nothing was changed" in run(*_MOVE, "--dry-run")
    assert pair.primary() == HOME
    run(*_MOVE, "--yes")
    assert "It was moved before. Nothing was changed" in run(*_MOVE, "--dry-run")


def test_a_second_time_it_says_so(pair: Pair, run: Run) -> None:
    run(*_MOVE, "--yes")
    said = run(*_MOVE)  # no question, no answer
    assert "It was moved before." in said
    assert f'primary_region="{AWAY}"' in said
    assert pair.primary() == AWAY


def test_what_stands_against_it_is_1_and_says_what_to_do(pair: Pair, run: Run) -> None:
    pair.kms(AWAY).disable_key(KeyId=pair.key_id)
    for options in (["--yes"], ["--dry-run"]):
        said = run(*_MOVE, *options, code=1)
        assert f"state in {AWAY}" in said
        assert "enable it, and run this again" in said
        assert said.endswith("nothing was changed; do what the table says, and run this again\n")
    assert pair.primary() == HOME


def test_as_json(pair: Pair, run: Run) -> None:
    pair.kms(AWAY).disable_key(KeyId=pair.key_id)
    said, _, problem = run(*_MOVE, "--yes", "--json", code=1).partition("encrypted-data-operations: ")
    refused = json.loads(said)
    assert (refused["stage"], refused["key_id"], "after" in refused) == ("refused", pair.key_id, False)
    assert "nothing was changed" in problem
    pair.kms(AWAY).enable_key(KeyId=pair.key_id)
    done: dict[str, Any] = json.JSONDecoder().raw_decode(run(*_MOVE, "--yes", "--json"))[0]
    assert (done["stage"], done["from"], done["to"]) == ("done", HOME, AWAY)
    assert {each["outcome"] for each in done["after"]} == {"holds"}
    assert done["promotion"] == {
        "primary_region": AWAY,
        "regions": [HOME, AWAY, FAR],
        "rotation_period_days": ROTATION_DAYS,
    }


@pytest.mark.parametrize(
    ("moment", "moved"), [("before-call.kms.UpdatePrimaryRegion", False), ("after-call.kms.UpdatePrimaryRegion", True)]
)
def test_killed_it_goes_on_when_it_is_run_again(pair: Pair, run: Run, moment: str, moved: bool) -> None:  # noqa: FBT001
    environment = pair.aws.environment() | {"PYTHONPATH": "constructs"}
    command = [sys.executable, "-c", _KILLED, moment, "promote", "--key", pair.alias, *_MOVE, "--yes"]
    done = subprocess.run(command, cwd=_PROJECT, env=environment, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()
    assert pair.primary() == (AWAY if moved else HOME)
    said = run(*_MOVE, "--yes")
    assert ("It was moved before." in said) is moved
    assert pair.primary() == AWAY


@pytest.fixture
def on_the_way(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A pair of which KMS says that its primary is on the way from or to where it is, to the command as well."""
    monkeypatch.setattr(boto3.session, "Session", pair.session)
    pair.hands.describe(HOME, AWAY, times=4, kind="REPLICA", KeyState="Updating")
    return pair


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_on_the_way_is_waited_for_first(on_the_way: Pair, run: Run, moved: bool) -> None:  # noqa: FBT001
    if moved:
        on_the_way.kms().update_primary_region(KeyId=on_the_way.key_id, PrimaryRegion=AWAY)
    said = run(*_MOVE, "--yes")
    assert f"is moving: {HOME} says REPLICA, Updating; {AWAY} says REPLICA, Updating" in said
    assert ("It was moved before." in said) is moved
    # Each thing that both Regions say is a line, once.
    assert said.splitlines().count(f"{HOME}: REPLICA, Updating; {AWAY}: REPLICA, Updating") == 1
    assert f"{HOME}: REPLICA, Enabled; {AWAY}: PRIMARY, Enabled" in said.splitlines()
    assert on_the_way.primary() == AWAY


def test_a_terminal_shows_what_is_waited_for(on_the_way: Pair, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "waiting for KMS, 300 s at most" in run(*_MOVE, "--yes")
    assert on_the_way.primary() == AWAY


def test_a_dry_run_doesnt_wait(on_the_way: Pair, run: Run) -> None:
    assert "KMS is moving it. Nothing was changed" in run(*_MOVE, "--dry-run", code=3)
    assert on_the_way.primary() == HOME


def test_what_doesnt_arrive_in_time_is_3(on_the_way: Pair, run: Run) -> None:
    on_the_way.hands.describe(HOME, AWAY, kind="REPLICA", KeyState="Updating")
    assert "not settled after 0 s" in run(*_MOVE, "--yes", "--wait", "0", code=3)


def test_interrupted_it_says_that_kms_goes_on(pair: Pair, on_the_way: Pair, run: Run) -> None:
    pair.hands.end()
    pair.hands.interrupt_after("UpdatePrimaryRegion", "DescribeKey")
    said = run(*_MOVE, "--yes", code=3)
    assert said.endswith(
        "interrupted; what KMS has begun goes on by itself; run the same command again to see it through\n"
    )
    assert on_the_way.primary() == AWAY
    assert "It was moved before." in run(*_MOVE)


def test_interrupted_before_nothing_was_changed(pair: Pair, on_the_way: Pair, run: Run) -> None:
    pair.hands.end()
    pair.hands.interrupt_after("DescribeKey")
    assert run(*_MOVE, "--yes", code=130) == "encrypted-data-operations: interrupted\n"
    assert on_the_way.primary() == HOME


def test_what_isnt_as_it_should_be_afterwards_is_3(on_the_way: Pair, run: Run) -> None:
    on_the_way.hands.end()
    on_the_way.hands.open_as(bytes(32))
    said = run(*_MOVE, "--yes", code=3)
    assert "a data key opens as another one" in said
    assert said.endswith("not all is as it should be; do what the table says, and run this again\n")


def test_no_credentials_are_1(pair: Pair, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = run(*_MOVE, "--yes", code=1)
    assert said == (
        f"encrypted-data-operations: {pair.alias} from {HOME} to {AWAY}: no AWS credentials; "
        "configure them as for the AWS CLI\n"
    )


def test_a_profile_that_isnt_there_is_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "the AWS configuration can't be used: ProfileNotFound: " in run(*_MOVE, "--yes", code=2)


def test_credentials_that_aws_doesnt_know_are_1(pair: Pair, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert "see what AWS says, and run this again" in run(*_MOVE, "--yes", code=1)
    assert pair.primary() == HOME


def test_a_region_that_doesnt_answer_is_1(pair: Pair, run: Run) -> None:
    with pair.aws.shut_off("kms", HOME):
        assert f"KMS of {HOME} doesn't answer" in run(*_MOVE, "--yes", code=1)


@pytest.mark.parametrize(
    "arguments",
    [[], ["promote"], ["promote", "--key", "alias/a"], ["promote", "--key", "alias/a", *_MOVE, "--wait", "-1"]],
)
def test_what_makes_no_sense_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: encrypted-data-operations" in capsys.readouterr().err


def test_arguments_that_cant_be_right_are_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "--key", "orders", *_MOVE]) == 2
    assert capsys.readouterr().err.startswith("encrypted-data-operations: key is 'orders'; allowed: alias/NAME")


def test_the_exit_statuses_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert [
        status for status in ("0 it is", "1 refused", "2 the", "3 something", "130 int") if status not in said
    ] == []

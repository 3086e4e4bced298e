"""What can't be right is refused before anything is sent, and says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cdk_encrypted_data_client import EncryptedObjects, Location, SettingsError

_ID = "mrk-" + "0123456789abcdef" * 2
_HERE: dict[str, str] = {
    "region": "eu-central-1",
    "bucket": "orders-here",
    "key_arn": f"arn:aws:kms:eu-central-1:111122223333:key/{_ID}",
}
_THERE: dict[str, str] = {
    "region": "eu-west-1",
    "bucket": "orders-there",
    "key_arn": f"arn:aws:kms:eu-west-1:111122223333:key/{_ID}",
}


def test_a_pair_is_taken(tmp_path: Path) -> None:
    EncryptedObjects(locations=[Location(**_HERE), Location(**_THERE)], purpose="orders", state_directory=tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"region": "Frankfurt"}, "region is 'Frankfurt'"),
        ({"bucket": "arn:aws:s3:::orders"}, "bucket is 'arn:aws:s3:::orders'"),
        (
            {"key_arn": "arn:aws:kms:eu-central-1:111122223333:key/0b36dd9c-0b36-0b36-0b36-0b36dd9c0b3"},
            "single-Region",
        ),
        ({"key_arn": "arn:aws:kms:eu-central-1:111122223333:alias/orders"}, "allowed: the ARN of a multi-Region key"),
        ({"key_arn": _ID}, "allowed: the ARN of a multi-Region key"),
        ({"key_arn": _THERE["key_arn"]}, "replicate the key to eu-central-1"),
    ],
)
def test_a_location_that_cant_be_right_is_refused(change: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Location(**{**_HERE, **change})


@pytest.mark.parametrize(
    ("there", "options", "words"),
    [
        (_HERE, {}, "one Location a Region"),
        ({**_THERE, "bucket": _HERE["bucket"]}, {}, "a bucket in each Region"),
        ({**_THERE, "key_arn": _THERE["key_arn"][:-1] + "0"}, {}, "only related keys"),
        ({**_THERE, "key_arn": _THERE["key_arn"].replace("1111", "2222")}, {}, "only related keys"),
        (_THERE, {"home": "us-east-1"}, "home is 'us-east-1'; allowed: one of eu-central-1, eu-west-1"),
        (_THERE, {"purpose": ""}, "purpose is ''"),
        (_THERE, {"purpose": "Bestellungen für Köln"}, "printable ASCII"),
        (_THERE, {"purpose": "x" * 129}, "1 to 128"),
    ],
)
def test_what_doesnt_fit_together_is_refused(
    there: dict[str, str], options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    settings = {"purpose": "orders", "state_directory": tmp_path, **options}
    with pytest.raises(SettingsError, match=words):
        EncryptedObjects(locations=[Location(**_HERE), Location(**there)], **settings)


def test_no_location_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="locations is empty"):
        EncryptedObjects(locations=[], purpose="orders", state_directory=tmp_path)


def test_a_state_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="nobody else may write to"):
        EncryptedObjects(locations=[Location(**_HERE)], purpose="orders", state_directory=tmp_path)

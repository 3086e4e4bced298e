"""Contract: KMS ciphertext can't be changed, and belongs to its key and its encryption context."""

from __future__ import annotations

import pytest

from tests.embedded_aws.account import Account, refused

_CONTEXT = {"purpose": "invoices"}


class TestCiphertextIsAuthenticated:
    @pytest.fixture(params=["encrypt", "generate_data_key", "generate_data_key_without_plaintext"])
    def sealed(self, account: Account, request: pytest.FixtureRequest) -> tuple[str, bytes]:
        key = account.key()
        how = {"Plaintext": b"secret"} if request.param == "encrypt" else {"KeySpec": "AES_256"}
        answer = getattr(account.kms, request.param)(KeyId=key, EncryptionContext=_CONTEXT, **how)
        return key, answer["CiphertextBlob"]

    def test_unchanged_it_decrypts(self, account: Account, sealed: tuple[str, bytes]) -> None:
        key, blob = sealed
        answer = account.kms.decrypt(CiphertextBlob=blob, EncryptionContext=_CONTEXT)
        assert answer["KeyId"] == key
        assert len(answer["Plaintext"]) in {6, 32}

    @pytest.mark.parametrize("position", [40, 70, 85, -1])
    def test_a_changed_byte_is_refused(self, account: Account, sealed: tuple[str, bytes], position: int) -> None:
        changed = bytearray(sealed[1])
        changed[position] ^= 1
        decrypt = {"CiphertextBlob": bytes(changed), "EncryptionContext": _CONTEXT}
        assert refused(account.kms.decrypt, **decrypt) == "InvalidCiphertextException"

    def test_cut_off_or_made_up_it_is_refused(self, account: Account, sealed: tuple[str, bytes]) -> None:
        key, blob = sealed
        for other in (blob[:-1], blob[:80], blob + b"x", b"x" * 100, b"x"):
            for named in ({}, {"KeyId": key}):
                decrypt = {"CiphertextBlob": other, "EncryptionContext": _CONTEXT, **named}
                assert refused(account.kms.decrypt, **decrypt) == "InvalidCiphertextException"

    @pytest.mark.parametrize("context", [{}, {"purpose": "other"}, _CONTEXT | {"more": "x"}])
    def test_another_context_is_refused(
        self, account: Account, sealed: tuple[str, bytes], context: dict[str, str]
    ) -> None:
        decrypt = {"CiphertextBlob": sealed[1], "EncryptionContext": context}
        assert refused(account.kms.decrypt, **decrypt) == "InvalidCiphertextException"

    def test_another_key_is_refused(self, account: Account, sealed: tuple[str, bytes]) -> None:
        decrypt = {"CiphertextBlob": sealed[1], "EncryptionContext": _CONTEXT, "KeyId": account.key()}
        assert refused(account.kms.decrypt, **decrypt) == "IncorrectKeyException"


def test_multi_region_ciphertext_decrypts_in_the_other_region(account: Account) -> None:
    key = account.key(MultiRegion=True)
    account.kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    blob = account.kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    elsewhere = account.aws.client("kms", region="eu-west-1")
    assert elsewhere.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"

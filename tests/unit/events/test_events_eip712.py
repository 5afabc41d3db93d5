"""Digests against eth_account's EIP-712, and the type strings of the specification."""

from __future__ import annotations

import re
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from events_spec import SPEC, unhex, vectors

from adtally.errors import InvalidInput
from adtally.events import eip712
from adtally.events.signature import address_of, recover, sign
from adtally.types import Checkpoint, Counts, Statement

MESSAGES = vectors("signatures.json")["messages"]
TYPES = {value for name, value in vars(eip712).items() if re.fullmatch(r"[A-Z][A-Z_]*_TYPE", name)}


def reference_digest(typed_data: dict[str, Any]) -> bytes:
    """What a wallet would sign."""
    message = encode_typed_data(full_message=typed_data)
    return keccak(b"\x19" + message.version + message.header + message.body)


def test_types__of_the_code__stand_in_the_specification() -> None:
    page = (SPEC / "signatures.md").read_text()
    assert set(re.findall(r"^`(\w+\(.*\))`$", page, re.MULTILINE)) == TYPES
    assert {message["type"] for message in MESSAGES} == TYPES


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m["type"].partition("(")[0])
def test_digest__of_each_type__equals_eth_account(message: dict[str, Any]) -> None:
    assert unhex(message["type_hash"]) == keccak(message["type"].encode())
    assert unhex(message["digest"]) == reference_digest(message["typed_data"])
    signable = encode_typed_data(full_message=message["typed_data"])
    assert unhex(message["domain_separator"]) == signable.header


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m["type"].partition("(")[0])
def test_signature__of_each_type__is_the_one_eth_account_makes(message: dict[str, Any]) -> None:
    signable = encode_typed_data(full_message=message["typed_data"])
    for each in message["signatures"]:
        theirs = Account.sign_message(signable, unhex(each["private_key"]))
        assert theirs.signature == unhex(each["signature"])
        assert (
            Account.recover_message(signable, signature=theirs.signature).lower()
            == (each["signer"])
        )
        assert recover(unhex(message["digest"]), unhex(each["signature"])) == unhex(each["signer"])


def test_domains__of_the_two_contracts__differ() -> None:
    assert len({message["domain_separator"] for message in MESSAGES}) == 2


def test_receipt_digest__field_over_its_type__is_refused() -> None:
    receipt = eip712.Receipt(2**32, 1, bytes(32), 0, 1, 2, bytes(32), 0)
    with pytest.raises(InvalidInput) as caught:
        eip712.receipt_digest(bytes(32), receipt)
    assert caught.value.field == "member"


@pytest.mark.parametrize(
    ("counts", "field"), [(Counts(-1), "impressions"), (Counts(0, 2**64), "viewables")]
)
def test_statement_digest__count_out_of_range__is_refused(counts: Counts, field: str) -> None:
    statement = Statement(1, 1, 1, 0, counts, 0, bytes(32), False)
    with pytest.raises(InvalidInput) as caught:
        eip712.statement_digest(bytes(32), statement)
    assert caught.value.field == field


@pytest.mark.parametrize("size", [0, 31, 33])
def test_checkpoint_digest__root_of_wrong_length__is_refused(size: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        eip712.checkpoint_digest(bytes(32), Checkpoint(1, bytes(size)))
    assert caught.value.field == "root_hash"


def test_batch_digest__address_of_19_bytes__is_not_padded() -> None:
    with pytest.raises(InvalidInput) as caught:
        eip712.event_batch_digest(bytes(32), bytes(19), 1, 1, 1, bytes(32))
    assert caught.value.field == "signer"


def test_declaration_digest__lone_surrogate__is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        eip712.declaration_digest(bytes(32), bytes(20), 1, True, 1, 0, 1, 1, 0, "\ud800")
    assert caught.value.field == "detail"


def test_address_of__known_key__is_its_ethereum_address() -> None:
    key = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    assert address_of(key).hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    assert recover(bytes(32), sign(bytes(32), key)) == address_of(key)

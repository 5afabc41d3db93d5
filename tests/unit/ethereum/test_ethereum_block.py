"""Headers and receipts: Ethereum's own genesis block, and receipts that are not quite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scripts.chainless.evidence import MadeChain, Shape, claim_logs, made_lines

from adtally.chain.log_proofs import header_rlp
from adtally.errors import AdtallyError, ChainUnavailable, VerificationFailed
from adtally.ethereum.block import EvmLog, Header, LogProof, Receipt
from adtally.ethereum.patricia import trie_proof, trie_root
from adtally.ethereum.rlp import encode, uint

ZERO = "0x" + "00" * 32
EMPTY = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GENESIS: dict[str, Any] = {
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": ZERO,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY,
    "receiptsRoot": EMPTY,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": ZERO,
    "nonce": "0x0000000000000042",
}


def test_header__of_the_first_block_of_ethereum__hashes_to_its_hash() -> None:
    header = Header.from_rlp(header_rlp(GENESIS))
    assert "0x" + header.hash.hex() == GENESIS["hash"]
    assert "0x" + header.receipts_root.hex() == EMPTY
    assert header.number == 0


def test_header__node_names_fields_that_are_not_hashed__left_out() -> None:
    raw = header_rlp(GENESIS | {"baseFeePerGas": "0x7", "withdrawalsRoot": EMPTY})
    assert raw == header_rlp(GENESIS)


def test_header__field_changed__no_header() -> None:
    with pytest.raises(ChainUnavailable, match="can't be proven"):
        header_rlp(GENESIS | {"gasLimit": "0x1389"})


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_receipt__of_every_transaction_type__round_trip(kind: int) -> None:
    logs = tuple(claim_logs(Shape(), made_lines(Shape())))
    receipt = Receipt(kind, True, 21_000, logs)
    assert Receipt.from_bytes(receipt.to_bytes()) == receipt


def test_receipt__any_bit_flipped__refused_or_another_receipt() -> None:
    receipt = Receipt(2, True, 21_000, (EvmLog(b"\x01" * 20, (b"\x02" * 32,), b"data"),))
    raw = receipt.to_bytes()
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = Receipt.from_bytes(bytes(changed))
        except AdtallyError:
            continue
        assert found != receipt


def test_log_proof__true__gives_block_and_log() -> None:
    logs = claim_logs(Shape(), made_lines(Shape()))
    chain = MadeChain(1)
    proof = chain.add(logs, 3, neighbours=20)
    header, log = proof.verify()
    assert log == logs[3]
    assert header.number == 100
    assert LogProof.from_item(proof.to_item()) == proof


def test_log_proof__transaction_that_failed__refused() -> None:
    receipt = Receipt(2, False, 21_000, (EvmLog(b"\x01" * 20, (), b""),))
    values = {encode(uint(0)): receipt.to_bytes()}
    made = MadeChain(1)._header(trie_root(values))
    proof = LogProof(made, 0, trie_proof(values, encode(uint(0))), 0)
    with pytest.raises(VerificationFailed, match="no such log"):
        proof.verify()


def test_log_proof__log_or_transaction_beyond__refused() -> None:
    proof = MadeChain(1).add([EvmLog(b"\x01" * 20, (), b"")], 0, neighbours=3)
    for wrong in (replace(proof, log=1), replace(proof, transaction=1)):
        with pytest.raises(VerificationFailed):
            wrong.verify()

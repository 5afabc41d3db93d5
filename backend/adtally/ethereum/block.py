"""Block headers and transaction receipts, as far as a proof of one log needs them."""

from __future__ import annotations

from dataclasses import dataclass

from eth_hash.auto import keccak

from adtally.errors import InvalidInput, VerificationFailed
from adtally.ethereum.patricia import verify_value
from adtally.ethereum.rlp import (
    Item,
    as_bytes,
    as_hash,
    as_list,
    as_sized,
    as_uint,
    decode,
    encode,
    uint,
)
from adtally.types import Address, Hash

_HEADER_FIELDS = 15
"""Of the oldest headers; later forks only appended to them."""
_PARENT, _RECEIPTS_ROOT, _NUMBER, _TIMESTAMP = 0, 5, 8, 11
_BLOOM_SIZE = 256


@dataclass(frozen=True, slots=True)
class Header:
    """What the chain says of a block; ``hash`` is the keccak hash of the header's RLP."""

    hash: Hash
    parent_hash: Hash
    receipts_root: Hash
    number: int
    timestamp_seconds: int

    @staticmethod
    def from_rlp(raw: bytes) -> Header:
        """Read the fields whose places are the same in every fork; raises InvalidInput."""
        fields = as_list(decode(raw))
        if len(fields) < _HEADER_FIELDS:
            raise InvalidInput(
                "not a block header",
                field="header",
                expected=f"at least {_HEADER_FIELDS} fields",
                found=str(len(fields)),
            )
        return Header(
            keccak(raw),
            as_hash(fields[_PARENT]),
            as_hash(fields[_RECEIPTS_ROOT]),
            as_uint(fields[_NUMBER]),
            as_uint(fields[_TIMESTAMP]),
        )


@dataclass(frozen=True, slots=True)
class EvmLog:
    """One log (Solidity event) of a receipt."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes

    def to_item(self) -> Item:
        return [self.address, list(self.topics), self.data]

    @staticmethod
    def from_item(item: Item) -> EvmLog:
        address, topics, data = as_list(item, 3)
        return EvmLog(
            as_sized(address, 20),
            tuple(as_hash(topic) for topic in as_list(topics)),
            as_bytes(data),
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction's receipt (EIP-658, EIP-2718); ``kind`` 0 is a legacy transaction."""

    kind: int
    succeeded: bool
    cumulative_gas: int
    logs: tuple[EvmLog, ...]

    def to_bytes(self) -> bytes:
        """As it stands in the receipts trie."""
        body = encode(
            [
                b"\x01" if self.succeeded else b"",
                uint(self.cumulative_gas),
                logs_bloom(self.logs),
                [log.to_item() for log in self.logs],
            ]
        )
        return body if self.kind == 0 else bytes((self.kind,)) + body

    @staticmethod
    def from_bytes(raw: bytes) -> Receipt:
        """Parse; raises InvalidInput on anything ``to_bytes`` would not write."""
        kind = raw[0] if raw[:1] < b"\x80" and raw else 0
        status, gas, bloom, logs = as_list(decode(raw[1:] if kind else raw), 4)
        receipt = Receipt(
            kind,
            as_bytes(status) == b"\x01",
            as_uint(gas),
            tuple(EvmLog.from_item(each) for each in as_list(logs)),
        )
        if as_bytes(bloom) != logs_bloom(receipt.logs) or receipt.to_bytes() != raw:
            raise InvalidInput(
                "not a transaction receipt",
                field="receipt",
                expected="status, gas used, the bloom filter of its logs, and the logs",
                found=f"{len(raw)} bytes",
            )
        return receipt


def logs_bloom(logs: tuple[EvmLog, ...]) -> bytes:
    """The 2,048-bit filter over addresses and topics (Yellow Paper, 4.3.1)."""
    bits = 0
    for log in logs:
        for value in (log.address, *log.topics):
            digest = keccak(value)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits.to_bytes(_BLOOM_SIZE, "big")


@dataclass(frozen=True, slots=True)
class LogProof:
    """That a log stands in a block.

    Attributes:
        header: RLP of the block's header.
        transaction: index of the transaction in the block.
        nodes: from the root of the receipts trie down to the transaction's receipt.
        log: index of the log in the receipt.
    """

    header: bytes
    transaction: int
    nodes: tuple[bytes, ...]
    log: int

    def to_item(self) -> Item:
        return [self.header, uint(self.transaction), list(self.nodes), uint(self.log)]

    @staticmethod
    def from_item(item: Item) -> LogProof:
        """Raises InvalidInput where the item is none."""
        header, transaction, nodes, log = as_list(item, 4)
        return LogProof(
            as_bytes(header),
            as_uint(transaction, 32),
            tuple(as_bytes(node) for node in as_list(nodes)),
            as_uint(log, 32),
        )

    def verify(self) -> tuple[Header, EvmLog]:
        """The block and the log that it then holds.

        Whether the block is part of any chain is for the caller to know.

        Raises:
            VerificationFailed: the nodes do not lead to a receipt of success with such a log.
            InvalidInput: header, node or receipt are malformed.
        """
        header = Header.from_rlp(self.header)
        key = encode(uint(self.transaction))
        receipt = Receipt.from_bytes(verify_value(header.receipts_root, key, self.nodes))
        if not receipt.succeeded or self.log >= len(receipt.logs):
            raise VerificationFailed(
                "the transaction left no such log",
                field="log",
                expected=f"a successful transaction with more than {self.log} logs",
                found=f"{len(receipt.logs)} logs",
            )
        return header, receipt.logs[self.log]

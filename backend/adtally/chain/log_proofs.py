"""Builds proofs of contract logs from what any node answers: headers, and all receipts of a block.

Nothing is taken on trust: a header must hash to its block's hash and the receipts to its receipts
root, else there is no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth_hash.auto import keccak

from adtally.chain.connection import Chain
from adtally.chain.rpc import JsonRpc, RpcError
from adtally.errors import ChainUnavailable, InvalidInput, NotFound
from adtally.ethereum.block import EvmLog, Header, LogProof, Receipt
from adtally.ethereum.patricia import trie_proof, trie_root
from adtally.ethereum.rlp import Item, encode, uint
from adtally.types import Address, Hash

MAX_HEADERS = 1_000
"""Of a chain of headers; each takes some 500 bytes."""

# In their order in the header; later forks append. Numbers have no leading zeros in RLP.
_FIELDS: tuple[tuple[str, bool], ...] = (
    ("parentHash", False),
    ("sha3Uncles", False),
    ("miner", False),
    ("stateRoot", False),
    ("transactionsRoot", False),
    ("receiptsRoot", False),
    ("logsBloom", False),
    ("difficulty", True),
    ("number", True),
    ("gasLimit", True),
    ("gasUsed", True),
    ("timestamp", True),
    ("extraData", False),
    ("mixHash", False),
    ("nonce", False),
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
    ("blockAccessListHash", False),
)
_FRONTIER = 15


class LogProver:
    """Makes proofs of logs; keeps the last block, since one payment often follows another.

    Every method raises ChainUnavailable when the node does not answer, or answers what does not
    hash to what it says.
    """

    def __init__(self, chain: Chain) -> None:
        self._rpc: JsonRpc = chain.rpc
        self._blocks: dict[Hash, tuple[bytes, list[Receipt]]] = {}

    async def prove(
        self, block_hash: Hash, transaction: Hash, wanted: Callable[[EvmLog], bool]
    ) -> LogProof:
        """Proof of the transaction's first log that is ``wanted``.

        Raises:
            NotFound: the block has no such transaction, or it has no such log.
        """
        block = await self._block(block_hash)
        hashes = [_octets(each) for each in block["transactions"]]
        if transaction not in hashes:
            raise NotFound(
                "the block does not hold the transaction",
                field="transaction",
                expected=f"one of block 0x{block_hash.hex()}",
                found=f"0x{transaction.hex()}",
            )
        header, receipts = await self._evidence(block_hash, block, hashes)
        index = hashes.index(transaction)
        logs = receipts[index].logs
        found = next((at for at, log in enumerate(logs) if wanted(log)), None)
        if found is None:
            raise NotFound(
                "the transaction left no such log",
                field="log",
                expected="the event asked for",
                found=f"{len(logs)} others in 0x{transaction.hex()}",
            )
        values = {encode(uint(at)): each.to_bytes() for at, each in enumerate(receipts)}
        return LogProof(header, index, trie_proof(values, encode(uint(index))), found)

    async def find_log(
        self, address: Address, topics: Sequence[bytes], first_block: int, last_block: int
    ) -> tuple[Hash, Hash] | None:
        """Hashes of block and transaction of the newest log with these first topics."""
        query = {
            "fromBlock": hex(first_block),
            "toBlock": hex(last_block),
            "address": "0x" + address.hex(),
            "topics": ["0x" + topic.hex() for topic in topics],
        }
        answer = await self._ask("eth_getLogs", query)
        if not isinstance(answer, list):
            raise _malformed("a list of logs", answer)
        if not answer:
            return None
        newest = max(
            answer, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16))
        )
        return _octets(newest["blockHash"]), _octets(newest["transactionHash"])

    async def headers(self, newest: int, oldest_child: int) -> tuple[bytes, ...]:
        """Headers of the blocks ``newest`` down to ``oldest_child``.

        Raises:
            InvalidInput: more than ``MAX_HEADERS``.
        """
        count = newest - oldest_child + 1
        if not 0 < count <= MAX_HEADERS:
            raise InvalidInput(
                "the blocks are too far apart to be linked by headers",
                field="headers",
                expected=f"1 to {MAX_HEADERS} headers",
                found=str(count),
                action="give one --block-hash for each block of the bundle instead",
            )
        found = []
        for number in range(newest, oldest_child - 1, -1):
            block = await self._ask("eth_getBlockByNumber", hex(number), False)
            found.append(header_rlp(block))
        return tuple(found)

    async def _evidence(
        self, block_hash: Hash, block: Any, transactions: Sequence[Hash]
    ) -> tuple[bytes, list[Receipt]]:
        known = self._blocks.get(block_hash)
        if known is None:
            header = header_rlp(block)
            receipts = await self._receipts(block_hash, transactions)
            values = {encode(uint(at)): each.to_bytes() for at, each in enumerate(receipts)}
            root = Header.from_rlp(header).receipts_root
            if trie_root(values) != root:
                raise _malformed(
                    f"receipts with root 0x{root.hex()} in block 0x{block_hash.hex()}",
                    f"0x{trie_root(values).hex()}",
                )
            known = header, receipts
            self._blocks = {block_hash: known}
        return known

    async def _block(self, block_hash: Hash) -> Any:
        block = await self._ask("eth_getBlockByHash", "0x" + block_hash.hex(), False)
        if block is None:
            raise NotFound(
                "the node does not know the block",
                field="block",
                expected=f"0x{block_hash.hex()}",
                found="no such block",
            )
        return block

    async def _receipts(self, block_hash: Hash, transactions: Sequence[Hash]) -> list[Receipt]:
        try:
            answers = await self._rpc.request("eth_getBlockReceipts", "0x" + block_hash.hex())
        except RpcError:
            answers = None
        if not isinstance(answers, list):
            # Not every node has the method, or takes a hash.
            calls = [("eth_getTransactionReceipt", ("0x" + each.hex(),)) for each in transactions]
            answers = await self._rpc.batch(calls)
        return [_receipt(each) for each in answers]

    async def _ask(self, method: str, *params: object) -> Any:
        try:
            return await self._rpc.request(method, *params)
        except RpcError as error:
            raise ChainUnavailable(
                f"the node refuses {method}",
                expected="a result",
                found=f"{error.message} (code {error.code})",
                action="see the node's log",
            ) from None


def header_rlp(block: Any) -> bytes:
    """RLP of a block's header, out of the JSON that nodes give.

    Raises:
        ChainUnavailable: no form of header that is known hashes to the block's hash.
    """
    try:
        values = [
            _number(block[name]) if is_number else _octets(block[name])
            for name, is_number in _FIELDS
            if block.get(name) is not None
        ]
        wanted = _octets(block["hash"])
    except (TypeError, KeyError, AttributeError):
        raise _malformed("a block", block) from None
    # Some nodes name fields that their fork does not hash.
    for count in range(len(values), _FRONTIER - 1, -1):
        fields: list[Item] = list(values[:count])
        raw = encode(fields)
        if keccak(raw) == wanted:
            return raw
    raise _malformed(f"a header that hashes to 0x{wanted.hex()}", f"{len(values)} fields")


def _receipt(answer: Any) -> Receipt:
    try:
        return Receipt(
            kind=int(answer.get("type") or "0x0", 16),
            succeeded=int(answer["status"], 16) == 1,
            cumulative_gas=int(answer["cumulativeGasUsed"], 16),
            logs=tuple(
                EvmLog(
                    _octets(log["address"]),
                    tuple(_octets(topic) for topic in log["topics"]),
                    _octets(log["data"]),
                )
                for log in answer["logs"]
            ),
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        raise _malformed("a transaction receipt", answer) from None


def _number(value: Any) -> bytes:
    return uint(int(value, 16))


def _octets(value: Any) -> bytes:
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise _malformed("0x bytes", value) from None


def _malformed(expected: str, found: object) -> ChainUnavailable:
    return ChainUnavailable(
        "the node's answer can't be proven",
        expected=expected,
        found=repr(found)[:200],
        action="ask another node; the proof needs headers and receipts that hash to the block",
    )


def _place(log: Any) -> tuple[int, int]:
    return int(log["blockNumber"], 16), int(log["logIndex"], 16)

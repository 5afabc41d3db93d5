"""The chain as the rest of the program sees it: pinned reads, raw sends, typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from adtally.chain.finality import INSTANT, Finality, FinalityKind, read_marker
from adtally.chain.reverts import as_revert
from adtally.chain.rpc import JsonRpc, RpcError
from adtally.chain.settled_reads import SettledReads
from adtally.errors import ChainUnavailable, ForeignChain, Reorged
from adtally.types import Address, BlockStamp, ChainLog, Hash

LOGS_RANGE = 2_000
"""Blocks per eth_getLogs; many nodes refuse more."""


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """What tells one chain from another."""

    chain_id: int
    genesis_hash: Hash


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """What became of a mined transaction."""

    hash: Hash
    succeeded: bool
    block_number: int
    block_hash: Hash
    gas_used: int
    contract: Address | None
    logs: tuple[ChainLog, ...]


@dataclass(frozen=True, slots=True)
class FeeMarket:
    """Prices now, in wei per gas. ``base_fee_wei`` is None on a chain without EIP-1559."""

    base_fee_wei: int | None
    gas_price_wei: int


class Chain:
    """One chain behind one RPC endpoint.

    Reads take ``at``, a block to pin to (EIP-1898, by hash, so a reorg can't slip in between);
    None means latest. Every method raises ChainUnavailable when the node does not answer, and
    ChainReverted when a contract refuses.
    """

    def __init__(
        self, rpc_url: str, finality: Finality = INSTANT, *, timeout_seconds: float = 10.0
    ) -> None:
        self.rpc = JsonRpc(rpc_url, timeout_seconds=timeout_seconds)
        self.finality = finality
        self._settled = SettledReads(self.rpc)

    async def close(self) -> None:
        """Close the connections to the node."""
        await self.rpc.close()

    async def chain_id(self) -> int:
        """EIP-155 chain id."""
        return _int(await self._ask("eth_chainId"))

    async def genesis_hash(self) -> Hash:
        """Hash of block 0."""
        genesis = await self.block(0)
        if genesis is None:
            raise ChainUnavailable(
                "the node does not know its genesis block",
                expected="block 0",
                found="null",
                action="use a node that serves all block headers",
            )
        return genesis.hash

    async def identity(self) -> ChainIdentity:
        """Chain id and genesis hash, in one round trip."""
        chain_id, genesis = await self.rpc.batch(
            [("eth_chainId", ()), ("eth_getBlockByNumber", ("0x0", False))]
        )
        for answer in (chain_id, genesis):
            if isinstance(answer, RpcError):
                raise _unavailable(answer)
        return ChainIdentity(_int(chain_id), _stamp(genesis).hash)

    async def require_identity(self, expected: ChainIdentity) -> None:
        """Refuse to go on when another chain answers at the endpoint.

        Raises:
            ForeignChain: chain id or genesis hash differ.
        """
        found = await self.identity()
        if found.chain_id != expected.chain_id:
            raise ForeignChain(
                "this is another chain",
                field="chain_id",
                expected=str(expected.chain_id),
                found=f"{found.chain_id} at {self.rpc.url}",
                action="point rpc_url at the chain of the deployment file",
            )
        if found.genesis_hash != expected.genesis_hash:
            raise ForeignChain(
                "this is another chain, or the local chain was started afresh",
                field="genesis_hash",
                expected="0x" + expected.genesis_hash.hex(),
                found=f"0x{found.genesis_hash.hex()} at {self.rpc.url}",
                action="start the chain with its saved state, or make a new data directory and "
                "run `adtally deploy`; the old log belongs to the old chain",
            )

    async def latest(self) -> BlockStamp:
        """The newest block."""
        return _stamp(await self._ask("eth_getBlockByNumber", "latest", False))

    async def final(self) -> BlockStamp | None:
        """The newest final block by this chain's policy, None if there is none yet.

        Raises:
            Reorged: the block named by the dump marker is no longer part of the chain.
        """
        policy = self.finality
        if policy.kind is FinalityKind.DUMPED:
            return await self._dumped()
        latest = await self.latest()
        if policy.kind is FinalityKind.INSTANT:
            return latest
        if latest.number < policy.confirmations:
            return None
        return await self.block(latest.number - policy.confirmations)

    async def _dumped(self) -> BlockStamp | None:
        assert self.finality.marker is not None
        marker = await asyncio.to_thread(read_marker, self.finality.marker)
        if marker is None:
            return None
        block = await self.block(marker.number)
        if block is None or block.hash != marker.hash:
            raise Reorged(
                "a dumped block is not part of the chain",
                expected=f"block {marker.number} 0x{marker.hash.hex()}",
                found="no such block" if block is None else f"0x{block.hash.hex()}",
                action=f"start the node from the dump beside {self.finality.marker}",
            )
        return block

    async def block(self, number: int) -> BlockStamp | None:
        """The block of this number, None if there is none."""
        answer = await self._ask("eth_getBlockByNumber", hex(number), False)
        return None if answer is None else _stamp(answer)

    async def blocks(self, numbers: Collection[int]) -> dict[int, BlockStamp | None]:
        """The blocks of these numbers, in one round trip per hundred."""
        found: dict[int, BlockStamp | None] = {}
        wanted = sorted(set(numbers))
        for start in range(0, len(wanted), 100):
            piece = wanted[start : start + 100]
            answers = await self.rpc.batch(
                [("eth_getBlockByNumber", (hex(number), False)) for number in piece]
            )
            for number, answer in zip(piece, answers, strict=True):
                if isinstance(answer, RpcError):
                    raise _unavailable(answer)
                found[number] = None if answer is None else _stamp(answer)
        return found

    async def block_by_hash(self, block_hash: Hash) -> BlockStamp | None:
        """The block with this hash, None if there is none. It may be off the main chain."""
        answer = await self._ask("eth_getBlockByHash", _hex(block_hash), False)
        return None if answer is None else _stamp(answer)

    async def is_canonical(self, block: BlockStamp) -> bool:
        """Whether the block is part of the main chain now."""
        found = await self.block(block.number)
        return found is not None and found.hash == block.hash

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        """All logs of these contracts in blocks ``first`` to ``last``, in chain order.

        Long ranges are asked for in pieces; pin nothing to that but final blocks.
        """
        logs: list[ChainLog] = []
        for start in range(first, last + 1, LOGS_RANGE):
            end = min(start + LOGS_RANGE - 1, last)
            logs += await self._logs(start, end, addresses)
        return sorted(logs, key=lambda log: (log.block_number, log.log_index))

    async def _logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        query = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": [_hex(address) for address in addresses],
        }
        answer = await self._ask("eth_getLogs", query)
        if not isinstance(answer, list):
            raise _malformed("a list of logs", answer)
        return [_log(item) for item in answer if not item.get("removed", False)]

    async def call(
        self,
        to: Address,
        data: bytes,
        at: BlockStamp | None = None,
        *,
        sender: Address | None = None,
        gas: int | None = None,
    ) -> bytes:
        """Run a call without sending it; its return data.

        Raises:
            ChainReverted: with the contract's error decoded.
            Reorged: ``at`` is not known to the node (any more).
        """
        message = _message(to, data, sender, gas)
        answer = await self._at("eth_call", at, message, what=f"the call to {_hex(to)}")
        return _bytes(answer)

    async def estimate_gas(self, sender: Address, to: Address | None, data: bytes) -> int:
        """Gas that the call needs on the latest block. Raises ChainReverted as ``call``."""
        message = _message(to, data, sender, None)
        what = "a contract creation" if to is None else f"the call to {_hex(to)}"
        # anvil's default is the pending block, where our own waiting transaction already counts.
        return _int(await self._ask("eth_estimateGas", message, "latest", what=what))

    async def nonce(self, address: Address, at: BlockStamp | None = None) -> int:
        """Transactions of the account that are mined (not those that wait)."""
        return _int(await self._at("eth_getTransactionCount", at, _hex(address)))

    async def balance(self, address: Address, at: BlockStamp | None = None) -> int:
        """The account's native balance in wei."""
        return _int(await self._at("eth_getBalance", at, _hex(address)))

    async def code(self, address: Address, at: BlockStamp | None = None) -> bytes:
        """Runtime code at the address, empty if there is none."""
        return _bytes(await self._at("eth_getCode", at, _hex(address)))

    async def fees(self) -> FeeMarket:
        """What gas costs now."""
        block = await self._ask("eth_getBlockByNumber", "latest", False)
        base = block.get("baseFeePerGas")
        price = _int(await self._ask("eth_gasPrice"))
        return FeeMarket(None if base is None else _int(base), price)

    async def send_raw(self, raw: bytes) -> None:
        """Hand a signed transaction to the node.

        Raises:
            RpcError: whatever the node says; what became of the transaction is only to be
                learnt from ``receipt`` and ``nonce``, since hardhat answers an error for a
                transaction that it has mined and that reverted.
        """
        await self.rpc.request("eth_sendRawTransaction", _hex(raw))

    async def knows_transaction(self, transaction: Hash) -> bool:
        """Whether the node has the transaction, mined or waiting."""
        return await self._ask("eth_getTransactionByHash", _hex(transaction)) is not None

    async def input_of(self, transaction: Hash) -> bytes | None:
        """Call data of a transaction, None if the node does not have it (any more)."""
        answer = await self._ask("eth_getTransactionByHash", _hex(transaction))
        return None if answer is None else _bytes(answer.get("input"))

    async def receipt(self, transaction: Hash) -> TransactionReceipt | None:
        """The receipt if the transaction is mined, else None."""
        answer = await self._ask("eth_getTransactionReceipt", _hex(transaction))
        if answer is None or answer.get("blockHash") is None:
            return None
        contract = answer.get("contractAddress")
        return TransactionReceipt(
            hash=_bytes(answer["transactionHash"]),
            succeeded=_int(answer["status"]) == 1,
            block_number=_int(answer["blockNumber"]),
            block_hash=_bytes(answer["blockHash"]),
            gas_used=_int(answer["gasUsed"]),
            contract=None if contract is None else _bytes(contract),
            logs=tuple(_log(item) for item in answer["logs"]),
        )

    async def _at(
        self, method: str, at: BlockStamp | None, subject: object, *, what: str = "it"
    ) -> Any:
        if at is None:
            return await self._ask(method, subject, "latest", what=what)
        pin = {"blockHash": _hex(at.hash), "requireCanonical": True}
        try:
            return await self._settled.read(at, lambda: self._ask(method, subject, pin, what=what))
        except ChainUnavailable:
            if await self.is_canonical(at):
                raise
            raise Reorged(
                "the block that the read is pinned to is no longer part of the chain",
                expected=f"block {at.number} 0x{at.hash.hex()}",
                found="another block, or none",
                action="read again at a newer block",
            ) from None

    async def _ask(self, method: str, *params: object, what: str = "it") -> Any:
        try:
            return await self.rpc.request(method, *params)
        except RpcError as error:
            revert = as_revert(error, what)
            raise (revert if revert is not None else _unavailable(error)) from None


def _unavailable(error: RpcError) -> ChainUnavailable:
    return ChainUnavailable(
        f"the node refuses {error.method}",
        expected="a result",
        found=f"{error.message} (code {error.code})",
        action="see the node's log",
    )


def _message(
    to: Address | None, data: bytes, sender: Address | None, gas: int | None
) -> dict[str, str]:
    message = {"data": _hex(data)}
    if to is not None:
        message["to"] = _hex(to)
    if sender is not None:
        message["from"] = _hex(sender)
    if gas is not None:
        message["gas"] = hex(gas)
    return message


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _int(value: Any) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise _malformed("a 0x number", value) from None


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise _malformed("0x bytes", value) from None


def _stamp(block: Any) -> BlockStamp:
    try:
        return BlockStamp(_int(block["number"]), _bytes(block["hash"]), _int(block["timestamp"]))
    except (TypeError, KeyError):
        raise _malformed("a block", block) from None


def _log(item: Any) -> ChainLog:
    try:
        return ChainLog(
            block_number=_int(item["blockNumber"]),
            block_hash=_bytes(item["blockHash"]),
            transaction_hash=_bytes(item["transactionHash"]),
            log_index=_int(item["logIndex"]),
            address=_bytes(item["address"]),
            topics=tuple(_bytes(topic) for topic in item["topics"]),
            data=_bytes(item["data"]),
        )
    except (TypeError, KeyError):
        raise _malformed("a log", item) from None


def _malformed(expected: str, found: object) -> ChainUnavailable:
    return ChainUnavailable(
        "the node's answer is malformed",
        expected=expected,
        found=repr(found)[:200],
        action="check that rpc_url is an Ethereum JSON-RPC endpoint",
    )

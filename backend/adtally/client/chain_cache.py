"""The auditor's own record of what its node said of final blocks, so that it is asked once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from adtally.chain.connection import Chain
from adtally.chain.files import write_atomically
from adtally.types import Address, BlockStamp, ChainLog, Hash

_MAGIC = b"adtally chain record 1\n"
_HASH_SIZE = 32


class RecordedChain:
    """A chain whose logs are read from a file up to the block that it reaches.

    The file counts only while that block is still the chain's, and for the same contracts.

    Args:
        path: of the record; missing or damaged ones are begun anew.
        remark: told why a record is not used.
    """

    def __init__(self, chain: Chain, path: Path, remark: Callable[[str], None]) -> None:
        self._chain = chain
        self._path = path
        self._remark = remark
        self._addresses: list[str] = []
        self._through: BlockStamp | None = None
        self._logs: list[ChainLog] = []
        self._blocks: dict[int, BlockStamp] = {}
        self._is_open = False

    async def chain_id(self) -> int:
        return await self._chain.chain_id()

    async def genesis_hash(self) -> Hash:
        return await self._chain.genesis_hash()

    async def final(self) -> BlockStamp | None:
        return await self._chain.final()

    async def call(self, to: Address, data: bytes, at: BlockStamp | None = None) -> bytes:
        return await self._chain.call(to, data, at)

    async def block(self, number: int) -> BlockStamp | None:
        """From the record where it reaches so far."""
        if self._through is not None and number in self._blocks and number < self._through.number:
            return self._blocks[number]
        block = await self._chain.block(number)
        if block is not None:
            self._blocks[number] = block
        return block

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        """From the record where it reaches so far."""
        if not self._is_open:
            await self._open([address.hex() for address in addresses])
        through = -1 if self._through is None else self._through.number
        if first > through:
            found = await self._chain.logs(first, last, addresses)
            self._logs += found
            return found
        kept = [log for log in self._logs if first <= log.block_number <= min(last, through)]
        if last > through:
            kept += await self.logs(through + 1, last, addresses)
        return kept

    def save(self, through: BlockStamp) -> None:
        """Write the record, which reaches to a final block up to which logs were read."""
        logs = [log for log in self._logs if log.block_number <= through.number]
        blocks = [stamp for stamp in self._blocks.values() if stamp.number <= through.number]
        document = {
            "addresses": self._addresses,
            "through": _stamp_json(through),
            "blocks": [_stamp_json(stamp) for stamp in blocks],
            "logs": [_log_json(log) for log in logs],
        }
        content = json.dumps(document, separators=(",", ":")).encode()
        write_atomically(self._path, _MAGIC + hashlib.sha256(content).digest() + content)

    async def _open(self, addresses: list[str]) -> None:
        self._is_open = True
        self._addresses = addresses
        document = self._read()
        if document is None or document["addresses"] != addresses:
            return
        through = _stamp(document["through"])
        if await self._chain.block(through.number) != through:
            self._remark(f"the chain is read anew: block {through.number} is not what it was")
            return
        self._through = through
        self._logs = [_log(raw) for raw in document["logs"]]
        self._blocks = {stamp.number: stamp for stamp in map(_stamp, document["blocks"])}

    def _read(self) -> dict[str, list[object]] | None:
        try:
            stored = self._path.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _HASH_SIZE
        content = stored[start:]
        if stored[:start] != _MAGIC + hashlib.sha256(content).digest():
            self._remark(f"{self._path} is spoiled; the chain is read anew")
            return None
        document: dict[str, list[object]] = json.loads(content)
        return document


def _stamp_json(stamp: BlockStamp) -> list[object]:
    return [stamp.number, stamp.hash.hex(), stamp.timestamp_seconds]


def _stamp(raw: object) -> BlockStamp:
    assert isinstance(raw, list)
    return BlockStamp(raw[0], bytes.fromhex(raw[1]), raw[2])


def _log_json(log: ChainLog) -> list[object]:
    return [
        log.block_number,
        log.block_hash.hex(),
        log.transaction_hash.hex(),
        log.log_index,
        log.address.hex(),
        [topic.hex() for topic in log.topics],
        log.data.hex(),
    ]


def _log(raw: object) -> ChainLog:
    assert isinstance(raw, list)
    number, block, transaction, index, address, topics, data = raw
    return ChainLog(
        number,
        bytes.fromhex(block),
        bytes.fromhex(transaction),
        index,
        bytes.fromhex(address),
        tuple(bytes.fromhex(topic) for topic in topics),
        bytes.fromhex(data),
    )

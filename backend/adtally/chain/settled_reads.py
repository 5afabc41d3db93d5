"""Reads pinned to anvil's newest block, made exact.

anvil 1.7.1 applies a transaction to its state a moment before the block with it appears. A read
pinned to the newest block at that moment answers from the next block's state: one in ten reads
while transactions come without pause; reads at older blocks are exact, and hardhat's all are.
A transaction leaves anvil's pool only after its block has appeared. So a read was exact if the
pool was empty after it and the block was still the newest after that; otherwise read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from adtally.chain.rpc import JsonRpc
from adtally.types import BlockStamp

_TRIES = 20
_PAUSE_SECONDS = 0.002


class SettledReads:
    """Repeats pinned reads on an anvil until they are exact; on other nodes reads once."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc
        self._is_anvil: bool | None = None

    async def read(self, at: BlockStamp, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of ``ask``, which must be pinned to ``at``."""
        if self._is_anvil is None:
            version = await self._rpc.request("web3_clientVersion")
            self._is_anvil = str(version).lower().startswith("anvil")
        answer = await ask()
        if not self._is_anvil:
            return answer
        for _ in range(_TRIES):
            pool = await self._rpc.request("txpool_status")
            newest = int(await self._rpc.request("eth_blockNumber"), 16)
            if newest > at.number:
                return await ask()
            if int(pool["pending"], 16) == 0:
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)
            answer = await ask()
        # Transactions wait but none is mined (mining is off): nothing is being applied.
        return answer

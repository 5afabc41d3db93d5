"""Virtual time of service and local chain together, and other powers of a test chain."""

from __future__ import annotations

from adtally.chain.connection import Chain
from adtally.client.log_client import LogClient
from adtally.types import Address


class LocalTime:
    """Moves the chain's and the service's clocks; neither ever falls.

    The chain goes first: the service must never believe in a time that no block has, since it
    would then send what the contracts still refuse.
    """

    def __init__(self, chain: Chain, log: LogClient, now_ms: int = 0) -> None:
        self._chain = chain
        self._log = log
        self.now_ms = now_ms

    async def set(self, now_ms: int) -> None:
        """Move both to ``now_ms`` (UTC), rounded up to a whole second on the chain.

        A time that has passed already changes nothing: a run that goes on where another broke
        off finds the clocks ahead.
        """
        if now_ms <= self.now_ms:
            return
        await set_chain_time(self._chain, -(-now_ms // 1000))
        await self._log.set_clock(now_ms)
        self.now_ms = now_ms


async def set_chain_time(chain: Chain, timestamp_seconds: int) -> None:
    """Mine a block of this time, unless the chain is there already (local chains only)."""
    if (await chain.latest()).timestamp_seconds < timestamp_seconds:
        await chain.rpc.request("evm_setNextBlockTimestamp", hex(timestamp_seconds))
        await chain.rpc.request("evm_mine")


async def give_ether(chain: Chain, account: Address, wei: int = 10**20) -> None:
    """Set an account's native balance, for gas (local chains only)."""
    await chain.rpc.request("hardhat_setBalance", "0x" + account.hex(), hex(wei))

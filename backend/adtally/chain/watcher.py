"""Follows the chain's blocks, keeps our contracts' logs, and rewinds when the chain does.

A log is identified by (block hash, log index), so a reorganised log is another log. Stamps are
sparse: one per range read. The hash of a range's last block fixes all blocks before it, so logs
read between two looks at an unchanged last block belong to that chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.chain.connection import Chain, ChainIdentity
from adtally.chain.ports import WatcherStore
from adtally.errors import ChainUnavailable, Reorged
from adtally.types import Address, BlockStamp, ChainLog, Hash

__all__ = ["FinalRange", "Watcher", "WatcherStore"]

MAX_RANGE = 1_000
"""Blocks asked for at once; public nodes refuse more."""

_NOTHING = -1


@dataclass(frozen=True, slots=True)
class FinalRange:
    """All watched logs of the final blocks ``first_block`` to ``last.number``, in chain order."""

    first_block: int
    last: BlockStamp
    logs: tuple[ChainLog, ...]


class Watcher:
    """Watches ``addresses`` from ``first_block`` (the deployment's) on."""

    def __init__(
        self,
        chain: Chain,
        identity: ChainIdentity,
        store: WatcherStore,
        addresses: Sequence[Address],
        *,
        first_block: int,
        max_range: int = MAX_RANGE,
    ) -> None:
        self._chain = chain
        self._identity = identity
        self._store = store
        self._addresses = tuple(addresses)
        self._first_block = first_block
        self._max_range = max_range

    async def step(self) -> BlockStamp | None:
        """Read up to the newest block; the block reached, None if none is there to read yet.

        Raises:
            ForeignChain: another chain answers; nothing was stored.
            ChainUnavailable, Reorged: try again later; what is stored is consistent.
        """
        await self._chain.require_identity(self._identity)
        latest = await self._chain.latest()
        newest = next(iter(await self._store.stamps(1)), None)
        kept = await self._newest_canonical()
        if kept is not None and kept != newest and latest.number <= kept.number:
            # The chain became shorter and nothing follows yet: read the kept block again.
            return await self._read(kept.number - 1, kept.number)
        while True:
            done = kept.number if kept is not None else self._first_block - 1
            if done >= latest.number:
                return kept
            last = min(latest.number, done + self._max_range)
            after = done if kept is not None else _NOTHING
            before = kept
            kept = await self._read(after, last)
            if before is not None and not await self._chain.is_canonical(before):
                raise _moved(before)

    async def final_range(self, after: int, after_hash: Hash | None = None) -> FinalRange | None:
        """The final blocks behind block ``after``, at most ``max_range``; None if there are none.

        Call it after ``step``. ``after`` is the last block already taken over as final (the
        deployment's first block - 1 at the start), ``after_hash`` its hash.

        Raises:
            Reorged: the block ``after`` is gone, although it was final.
        """
        if after_hash is not None:
            await self._require_still_there(after, after_hash)
        final = await self._chain.final()
        newest = next(iter(await self._store.stamps(1)), None)
        if final is None or newest is None or not await self._chain.is_canonical(newest):
            return None
        last = min(final.number, newest.number, after + self._max_range)
        if last <= after:
            return None
        stamp = await self._chain.block(last)
        if stamp is None:
            return None
        logs = await self._store.logs(after + 1, last)
        return FinalRange(after + 1, stamp, tuple(logs))

    async def _newest_canonical(self) -> BlockStamp | None:
        """The newest stamp that is still part of the chain."""
        seen = 0
        limit = 16
        while True:
            stamps = await self._store.stamps(limit)
            for stamp in stamps[seen:]:
                if await self._chain.is_canonical(stamp):
                    return stamp
            if len(stamps) < limit:
                return None
            seen, limit = len(stamps), limit * 4

    async def _read(self, after: int, last: int) -> BlockStamp:
        """Read the blocks behind ``after`` up to ``last`` and store them, replacing the rest."""
        stamp = await self._chain.block(last)
        if stamp is None:
            raise ChainUnavailable(
                "the node lost a block that it had",
                expected=f"block {last}",
                found="null",
                action="the next round reads it again",
            )
        first = max(after + 1, self._first_block)
        logs = await self._chain.logs(first, last, self._addresses)
        if not await self._chain.is_canonical(stamp):
            raise _moved(stamp)
        await self._store.replace_after(after, stamp, logs)
        return stamp

    async def _require_still_there(self, number: int, block_hash: Hash) -> None:
        block = await self._chain.block(number)
        if block is None or block.hash != block_hash:
            raise Reorged(
                "a block that was final is no longer part of the chain",
                expected=f"block {number} 0x{block_hash.hex()}",
                found="no such block" if block is None else f"0x{block.hash.hex()}",
                action="stop: the chain's finality policy was too optimistic, or the node was "
                "restored from an older state; restore the chain before going on",
            )


def _moved(stamp: BlockStamp) -> Reorged:
    return Reorged(
        "the chain was reorganised while it was read",
        expected=f"block {stamp.number} 0x{stamp.hash.hex()}",
        found="another block",
        action="the next round reads it again",
    )

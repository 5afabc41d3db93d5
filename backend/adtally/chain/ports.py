"""What the chain room needs kept: the two stores, and the rows they hold (``adtally.types``).

Nothing here but shapes, so whoever implements the stores imports nothing else of this room.
Both stores are durable: when a method that writes returns, its effect survives kill -9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adtally.types import (
    Address,
    Attempt,
    BlockStamp,
    ChainLog,
    NewTransaction,
    OutboxRow,
    OutboxState,
)

__all__ = [
    "Attempt",
    "NewTransaction",
    "OutboxRow",
    "OutboxState",
    "OutboxStore",
    "WatcherStore",
]


class OutboxStore(Protocol):
    """Keeps outbox rows."""

    async def add(self, new: NewTransaction) -> OutboxRow:
        """Insert a QUEUED row, or return the existing one with the same ``effect_key``."""

    async def get(self, row_id: int) -> OutboxRow | None:
        """The row, None if there is none."""

    async def find(self, effect_key: str) -> OutboxRow | None:
        """The row with this effect key, None if there is none."""

    async def open_rows(self, sender: Address) -> list[OutboxRow]:
        """Rows of ``sender`` in state QUEUED, SUBMITTED or MINED, in order of id."""

    async def save(self, row: OutboxRow) -> None:
        """Overwrite the row with this id, attempts included."""


class WatcherStore(Protocol):
    """Keeps the logs of our contracts, and stamps of the blocks up to which they were read.

    A stamp at block n says: every watched log up to and including n is stored, as seen on the
    chain whose block n has this hash. Logs are unique by (block_hash, log_index).
    """

    async def stamps(self, limit: int) -> list[BlockStamp]:
        """The newest ``limit`` stamps, newest first."""

    async def replace_after(self, number: int, stamp: BlockStamp, logs: Sequence[ChainLog]) -> None:
        """In one transaction: delete stamps and logs of blocks above ``number``, then add these.

        ``number`` is -1 to delete everything. ``stamp.number`` and every log's block number are
        above ``number``.
        """

    async def logs(self, first: int, last: int) -> list[ChainLog]:
        """Stored logs of blocks ``first`` to ``last``, by block number, then log index."""

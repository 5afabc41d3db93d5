"""The two stores that the chain room works with (its ``OutboxStore`` and ``WatcherStore``).

Each method is one transaction of its own, durable on return: the outbox may send a transaction
only after it is stored, so these stores are the edge that commits.
"""

from __future__ import annotations

from collections.abc import Sequence

from adtally.storage.database import Database
from adtally.storage.repositories import blocks, outbox
from adtally.types import Address, BlockStamp, ChainLog, NewTransaction, OutboxRow


class SqlOutboxStore:
    """Keeps outbox rows in the control database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewTransaction) -> OutboxRow:
        """Insert a queued row, or return the existing one with the same effect key."""
        async with self._database.transaction() as session:
            return await outbox.add_transaction(session, new)

    async def get(self, row_id: int) -> OutboxRow | None:
        """The row, None if there is none."""
        async with self._database.session() as session:
            return await outbox.get_transaction(session, row_id)

    async def find(self, effect_key: str) -> OutboxRow | None:
        """The row with this effect key, None if there is none."""
        async with self._database.session() as session:
            return await outbox.find_transaction(session, effect_key)

    async def open_rows(self, sender: Address) -> list[OutboxRow]:
        """The sender's queued, submitted and mined rows, in order of id."""
        async with self._database.session() as session:
            return await outbox.open_transactions(session, sender)

    async def save(self, row: OutboxRow) -> None:
        """Overwrite the row with this id, attempts included."""
        async with self._database.transaction() as session:
            await outbox.save_transaction(session, row)


class SqlWatcherStore:
    """Keeps block stamps and chain logs in the control database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stamps(self, limit: int) -> list[BlockStamp]:
        """The newest ``limit`` stamps, newest first."""
        async with self._database.session() as session:
            return await blocks.latest_stamps(session, limit)

    async def replace_after(self, number: int, stamp: BlockStamp, logs: Sequence[ChainLog]) -> None:
        """Delete stamps and logs above block ``number`` and add these, in one transaction."""
        async with self._database.transaction() as session:
            await blocks.replace_after(session, number, stamp, logs)

    async def logs(self, first: int, last: int) -> list[ChainLog]:
        """Stored logs of blocks ``first`` to ``last``, by block number, then log index."""
        async with self._database.session() as session:
            return await blocks.list_logs(session, first, last)

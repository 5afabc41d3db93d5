"""Keeps the index of event ids up with the log, so that a lookup reads little of it."""

from __future__ import annotations

import asyncio

from adtally.evidence.event_ids import RUN_ENTRIES, EventIds
from adtally.log.store import LogStore


class EventIdsJob:
    """One round indexes a full run in a thread, if there is one; lookups read what is left."""

    def __init__(self, ids: EventIds, store: LogStore, every_entries: int = RUN_ENTRIES) -> None:
        self._ids = ids
        self._store = store
        self._every_entries = every_entries

    async def run(self) -> None:
        """Raises StorageCorrupt, StorageFailed or OSError: what was indexed before stays."""
        if self._store.size - self._ids.covered >= self._every_entries:
            await asyncio.to_thread(self._ids.catch_up, 1)

"""Derives Parquet by itself once enough entries wait, so that a report finds most of it done."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from adtally.analytics.derive import Deriver
from adtally.log.store import LogStore


class DeriveJob:
    """One round derives what is there, if that is at least ``every_entries``.

    The work is done in a thread, a part at a time, so that reports and the end of the process
    wait for one part at most. It is always the same thread: allocators keep memory for each thread
    that ever used much, and only that thread can give all of it back.
    """

    def __init__(self, deriver: Deriver, store: LogStore, every_entries: int) -> None:
        self._deriver = deriver
        self._store = store
        self._every_entries = every_entries
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="derive")

    async def run(self) -> None:
        """Derive now, if it is time.

        Raises:
            StorageCorrupt: an entry of the log does not parse.
            StorageFailed: an old segment can't be fetched from the archive.
            OSError: the disk refused; what was derived before stays.
        """
        size = self._store.size
        reached = self._deriver.dataset.size
        if size - reached < self._every_entries:
            return
        before = -1
        loop = asyncio.get_running_loop()
        step = partial(self._deriver.catch_up, most_parts=1)
        # An incomplete batch at the end is left for later, so the size need not be reached.
        while before < reached < size:
            before = reached
            reached = await loop.run_in_executor(self._thread, step)

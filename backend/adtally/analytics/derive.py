"""Keeps the Parquet dataset up with the log, from whatever state it is in."""

from __future__ import annotations

import hashlib
import threading
from typing import Protocol

from adtally.analytics.arrow import Table, give_memory_back, pa
from adtally.analytics.columns import RatesOf, entries_table, split_entries
from adtally.analytics.dataset import Dataset

READ_ENTRIES = 1 << 16
"""Entries read at a time; larger than any batch, so every full read holds a whole one."""


class EntrySource(Protocol):
    """The log's durable entries; ``adtally.log.store.LogStore`` is one."""

    @property
    def size(self) -> int:
        """Number of durable entries."""

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries ``start`` to ``end`` (exclusive)."""


class Deriver:
    """Derives what is missing, idempotently; safe to call from any thread.

    Args:
        source: the log; reading it must be safe from the calling thread.
        dataset: where the Parquet parts go.
        rates: what an event of (campaign, publisher) costs where it counts.
    """

    def __init__(self, source: EntrySource, dataset: Dataset, rates: RatesOf) -> None:
        self._source = source
        self._dataset = dataset
        self._rates = rates
        self._lock = threading.Lock()
        self._is_checked = False

    @property
    def dataset(self) -> Dataset:
        return self._dataset

    def catch_up(self, most_parts: int | None = None) -> int:
        """Derive every whole batch that the log holds now.

        Args:
            most_parts: end after filling so many parts, None: when there is nothing left.

        Returns:
            The number of log entries covered afterwards.

        Raises:
            StorageCorrupt: an entry of the log does not parse.
            OSError: the disk refused; what was derived before stays.
        """
        with self._lock:
            if not self._is_checked:
                self._check_same_log()
                self._is_checked = True
            size = self._source.size
            before = self._dataset.size
            left = -1 if most_parts is None else most_parts
            while left != 0 and self._dataset.size < size and self._step(size):
                left -= 1
            if self._dataset.size != before:
                give_memory_back()
            return self._dataset.size

    def _step(self, size: int) -> bool:
        start = self._dataset.size
        # As much as fills a part: a long backlog is written once, not merged again and again.
        end = min(size, start + max(READ_ENTRIES, self._dataset.room))
        tables: list[Table] = []
        last_entry = b""
        while start < end:
            entries = self._source.entries(start, min(start + READ_ENTRIES, end))
            run = split_entries(start, entries)
            if not run.count:
                break
            tables.append(entries_table(run, self._rates))
            last_entry = entries[run.count - 1]
            start += run.count
        if not tables:
            return False
        digest = hashlib.sha256(last_entry).digest()
        self._dataset.append(start, pa.concat_tables(tables), digest)
        return True

    def _check_same_log(self) -> None:
        # The log's files may have been wiped or restored while the derived ones stayed.
        for part in self._dataset.parts:
            if part.end > self._source.size or part.last_entry_sha256 != (
                hashlib.sha256(self._source.entries(part.end - 1, part.end)[0]).digest()
            ):
                self._dataset.clear()
                return

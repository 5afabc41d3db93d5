"""Makes the next part of the derived dataset from the log."""

from __future__ import annotations

import hashlib
from typing import Protocol

from adtally.analytics.arrow import Table, pa
from adtally.analytics.columns import RatesOf, entries_table, split_entries
from adtally.analytics.dataset import Draft, Stock

READ_ENTRIES = 1 << 16
"""Entries read at a time; larger than any batch, so every full read holds a whole one."""


class EntrySource(Protocol):
    """The log's durable entries; ``adtally.log.store.LogStore`` is one."""

    @property
    def size(self) -> int:
        """Number of durable entries."""

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries ``start`` to ``end`` (exclusive)."""


def end_of_next(stock: Stock, size: int) -> int:
    """Up to which entry the next part of a log of ``size`` entries should reach.

    As much as fills a part: a long backlog is written once, not merged again and again.
    """
    return min(size, stock.size + max(READ_ENTRIES, stock.room))


def next_part(stock: Stock, end: int, source: EntrySource, rates: RatesOf) -> Draft | None:
    """Draft the part that the whole batches up to entry ``end`` become part of; None without any.

    Raises:
        StorageCorrupt: an entry of the log does not parse.
        OSError: the disk refused.
    """
    start = stock.size
    tables: list[Table] = []
    last_entry = b""
    while start < end:
        entries = source.entries(start, min(start + READ_ENTRIES, end))
        run = split_entries(start, entries)
        if not run.count:
            break
        tables.append(entries_table(run, rates))
        last_entry = entries[run.count - 1]
        start += run.count
    if not tables:
        return None
    return stock.draft(start, pa.concat_tables(tables), hashlib.sha256(last_entry).digest())

"""Keeps the Parquet dataset up with the log, from whatever state it is in."""

from __future__ import annotations

import hashlib
import threading

from adtally.analytics.arrow import give_memory_back
from adtally.analytics.columns import RatesOf
from adtally.analytics.dataset import Dataset
from adtally.analytics.next_part import EntrySource, end_of_next, next_part
from adtally.analytics.part_process import next_part_apart

APART_SPAN = 1 << 17
"""A part of more leaves is made by a process of its own."""


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
            StorageFailed: the process that makes a large part did not finish.
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
        stock = self._dataset.stock
        end = end_of_next(stock, size)
        # What a large part takes, some hundred MiB, the allocators would keep in pieces.
        is_large = end - stock.first_of_next(end) > APART_SPAN
        make = next_part_apart if is_large else next_part
        draft = make(stock, end, self._source, self._rates)
        if draft is not None:
            self._dataset.adopt(draft)
        return draft is not None

    def _check_same_log(self) -> None:
        # The log's files may have been wiped or restored while the derived ones stayed.
        for part in self._dataset.parts:
            if part.end > self._source.size or part.last_entry_sha256 != (
                hashlib.sha256(self._source.entries(part.end - 1, part.end)[0]).digest()
            ):
                self._dataset.clear()
                return

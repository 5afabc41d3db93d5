"""Keeps ``event_table`` within its memory and forgets what has grown too old."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adtally.errors import Overloaded
from adtally.events.record import AdEvent
from adtally.kernel.event_table import (
    BLOCK_ROWS,
    PARTITION_BITS,
    ROW_WORDS,
    EventTable,
    Floors,
    close_partition,
    find_key,
    sweep,
    take_one,
)
from adtally.kernel.records import RecordArray
from adtally.verification.age_floors import AgeFloors

_ROW_BYTES = ROW_WORDS * 8
BLOCK_BYTES = BLOCK_ROWS * _ROW_BYTES
_PAGE_ROWS = 4096 // _ROW_BYTES
_FIRST_SLOTS = 256
_EVENTS_PER_BLOCK_SWEPT = 512
_SPARE_BLOCKS = 64
_EVENTS_PER_SPARE_BLOCK = 64
"""Blocks fill evenly, so when they are split, many are: one for some 110 events at the most."""


class EventIds:
    """The ids of events, and which of them may be parents.

    Args:
        seed: secret; decides where ids go.
        memory_bytes: for the rows. It is reserved, and used only as it fills.
        ready_bytes: of that, what gets its pages before it is used: the operating system gives out
            and clears pages at their first use, which costs an event as much as judging it.
    """

    def __init__(self, seed: np.uint64, memory_bytes: int, ready_bytes: int = 0) -> None:
        blocks = max(memory_bytes // BLOCK_BYTES, 2 * _SPARE_BLOCKS)
        self._most_places = 4 * 2 ** blocks.bit_length()
        self.table = EventTable(
            rows=np.zeros((blocks * BLOCK_ROWS, ROW_WORDS), np.uint64),
            taken=np.zeros(blocks, np.int32),
            depth=np.zeros(blocks, np.int32),
            free=np.zeros(blocks, np.int32),
            counts=np.zeros(2, np.int64),
            directory=np.zeros((_FIRST_SLOTS, self._most_places), np.int32),
            places=np.zeros(_FIRST_SLOTS, np.int64),
            partitions=np.full(_FIRST_SLOTS, -1, np.int64),
            seed=seed,
        )
        self._ready_rows = ready_bytes // _ROW_BYTES
        self._make_ready(0)
        self._passed: tuple[int, ...] = (0, 0, 0)
        """Partitions before these lie below the floors."""
        self._to_sweep: dict[int, int] = {}
        """Partitions that a floor has passed, and the place of each that comes next."""
        self.floors = Floors(0, 0, 0)
        self.latest_ms = 0

    @property
    def bytes_used(self) -> int:
        """Of the rows, whether taken or not."""
        return self._blocks_used() * BLOCK_BYTES

    @property
    def events(self) -> int:
        """Ids remembered."""
        return int(self.table.taken.sum())

    def advance(self, floors: AgeFloors, latest_ms: int, events: int) -> None:
        """Make ready for so many events that occurred at ``latest_ms`` or before.

        Raises:
            Overloaded: the memory is full of ids that can't be forgotten yet; nothing changed.
        """
        self.floors = Floors(
            floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms
        )
        self.latest_ms = latest_ms
        self._forget(1 + events // _EVENTS_PER_BLOCK_SWEPT)
        self._widen((latest_ms - max(min(self.floors), 0)) // 2**PARTITION_BITS + 2)
        spare = _SPARE_BLOCKS + events // _EVENTS_PER_SPARE_BLOCK
        blocks = len(self.table.taken)
        if blocks - self._blocks_used() < min(spare, blocks // 2):
            raise Overloaded(
                f"no memory is left to remember more event ids: {self.events} are within the age "
                f"limit (operator: raise ADTALLY_DEDUPE_MEMORY_BYTES, now {blocks * BLOCK_BYTES}, "
                "or shorten max_event_age_ms)",
                retry_after_seconds=60,
            )

    def knows(self, event: AdEvent) -> bool:
        """Whether the id is taken, as far as ids are remembered."""
        if event.occurred_at_ms < self.floors.event:
            return False
        row = find_key(self.table, *_key(event))
        return row >= 0 and bool(self.table.rows[row, 0])

    def take(self, event: AdEvent, unset_record: bytes) -> None:
        """Take the id of an event that no batch has brought, unless it is forgotten."""
        if event.occurred_at_ms >= self.floors.event:
            records = RecordArray.of([unset_record])
            hashes = records.leaf_hashes.view(np.uint64)
            latest_ms = max(self.latest_ms, event.occurred_at_ms)
            take_one(self.table, records.rows, hashes, self.floors, latest_ms)

    def dump(self) -> dict[str, Any]:
        """All of the table that is in use."""
        table = self.table
        free, blocks = table.counts.tolist()
        slots = np.flatnonzero(table.partitions >= 0)
        directories = [table.directory[slot, : table.places[slot]] for slot in slots]
        return {
            "ids.rows": table.rows[: blocks * BLOCK_ROWS],
            "ids.taken": table.taken[:blocks],
            "ids.depth": table.depth[:blocks],
            "ids.free": table.free[:free],
            "ids.partitions": table.partitions[slots],
            "ids.places": table.places[slots],
            "ids.directories": np.concatenate([np.empty(0, np.int32), *directories]),
            "seed": np.array([table.seed], np.uint64),
            "ids.floors": np.array([*self.floors, self.latest_ms], np.int64),
            "ids.passed": np.array(self._passed, np.int64),
            "ids.to_sweep": np.array(list(self._to_sweep.items()), np.int64).reshape(-1, 2),
        }

    def load(self, dump: Mapping[str, Any]) -> None:
        """Take over what ``dump`` gave.

        Raises:
            Overloaded: it is more than this table's memory.
        """
        blocks = len(dump["ids.taken"])
        if blocks > len(self.table.taken):
            raise Overloaded(
                f"the remembered event ids take {blocks * BLOCK_BYTES} bytes (operator: "
                f"ADTALLY_DEDUPE_MEMORY_BYTES is {len(self.table.taken) * BLOCK_BYTES})"
            )
        *floors, self.latest_ms = dump["ids.floors"].tolist()
        self.floors = Floors(*floors)
        self._passed = tuple(dump["ids.passed"].tolist())
        self._to_sweep = dict(dump["ids.to_sweep"].tolist())
        self.table = self.table._replace(seed=dump["seed"][0])
        partitions = dump["ids.partitions"].tolist()
        self._widen(max(partitions, default=0) - min(partitions, default=0) + 1)
        table = self.table
        table.rows[: blocks * BLOCK_ROWS] = dump["ids.rows"]
        table.taken[:blocks], table.depth[:blocks] = dump["ids.taken"], dump["ids.depth"]
        table.free[: len(dump["ids.free"])] = dump["ids.free"]
        table.counts[:] = len(dump["ids.free"]), blocks
        at = 0
        for partition, places in zip(partitions, dump["ids.places"].tolist(), strict=True):
            slot = self._slot(partition)
            table.partitions[slot], table.places[slot] = partition, places
            table.directory[slot, :places] = dump["ids.directories"][at : at + places]
            at += places
        self._make_ready(blocks)

    def _make_ready(self, block: int) -> None:
        """Touch the pages of the rows from a block on, which was never used."""
        first = block * BLOCK_ROWS
        self.table.rows[first : first + self._ready_rows : _PAGE_ROWS] = 0

    def _blocks_used(self) -> int:
        free, untouched = self.table.counts.tolist()
        return int(untouched - free)

    def _forget(self, blocks: int) -> None:
        """Drop partitions that all floors have passed; sweep some blocks of what one has passed."""
        passed = tuple(floor >> PARTITION_BITS for floor in self.floors)
        if passed != self._passed:
            for partition in self.table.partitions[self.table.partitions >= 0].tolist():
                if partition < min(passed):
                    close_partition(self.table, self._slot(partition))
                    self._to_sweep.pop(partition, None)
                elif any(a <= partition < b for a, b in zip(self._passed, passed, strict=True)):
                    self._to_sweep[partition] = 0
            self._passed = passed
        while blocks > 0 and self._to_sweep:
            partition, place = next(iter(self._to_sweep.items()))
            slot = self._slot(partition)
            place = int(sweep(self.table, slot, place, self.floors))
            if place < self.table.places[slot]:
                self._to_sweep[partition] = place
            else:
                del self._to_sweep[partition]
            blocks -= 1

    def _slot(self, partition: int) -> int:
        return partition % len(self.table.partitions)

    def _widen(self, partitions: int) -> None:
        """Have slots for so many partitions in a row."""
        old = self.table
        if partitions <= len(old.partitions):
            return
        slots = 2 ** (partitions - 1).bit_length()
        self.table = old._replace(
            directory=np.zeros((slots, self._most_places), np.int32),
            places=np.zeros(slots, np.int64),
            partitions=np.full(slots, -1, np.int64),
        )
        for slot, partition in enumerate(old.partitions.tolist()):
            if partition >= 0:
                new, places = partition % slots, int(old.places[slot])
                self.table.directory[new, :places] = old.directory[slot, :places]
                self.table.places[new] = places
                self.table.partitions[new] = partition


def _key(event: AdEvent) -> tuple[np.uint64, np.uint64, np.uint64]:
    return (
        np.uint64(event.publisher << 3 | event.type),
        np.uint64(int.from_bytes(event.id[:8], "big")),
        np.uint64(int.from_bytes(event.id[8:], "big")),
    )

"""The table of event ids against a dictionary, over splits, floors that rise, and full memory."""

from __future__ import annotations

import ctypes
import mmap
import sys
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from adtally.errors import Overloaded
from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.kernel.event_ids import BLOCK_BYTES, EventIds
from adtally.kernel.event_table import (
    ACCEPTED,
    BLOCK_ROWS,
    CHUNK,
    PARTITION_BITS,
    campaign_in,
    digest_of,
    event_name,
    find_key,
    has_digest,
    make_room,
    put_row,
)
from adtally.kernel.facts_table import Words
from adtally.kernel.records import RecordArray
from adtally.kernel.words import word32, word64
from adtally.verification.age_floors import AgeFloors
from adtally.verification.rule_set import RuleSet

PARTITION_MS = 2**PARTITION_BITS
START_MS = 400_000 * PARTITION_MS
SEED = np.uint64(0x1234_5678_9ABC_DEF1)
RULES = RuleSet(
    max_event_age_ms=3 * PARTITION_MS,
    viewable_window_ms=PARTITION_MS,
    click_window_ms=2 * PARTITION_MS,
    conversion_window_ms=9 * PARTITION_MS,
)

Key = tuple[int, int, bytes]


@njit
def insert(table, records, hashes, accepted, floors, latest_ms):  # type: ignore[no-untyped-def]
    """Take the ids as the rules do; returns how many were taken already."""
    known = 0
    for first in range(0, len(records), CHUNK):
        end = min(first + CHUNK, len(records))
        make_room(table, records, first, end, floors, latest_ms)
        for at in range(first, end):
            name = event_name(word32(records, at, 8), records[at, 1])
            high, low = word64(records, at, 20), word64(records, at, 28)
            row = find_key(table, name, high, low)
            if table.rows[row, 0] != 0:
                known += 1
                continue
            digest, campaign = digest_of(hashes, at, table.seed), word32(records, at, 4)
            put_row(table, row, name, high, low, campaign, digest)
            if accepted[at]:
                table.rows[row, 0] |= ACCEPTED
    return known


class Model:
    """The table, and what must be in it."""

    def __init__(self, seed: int, memory_bytes: int = 400 * BLOCK_BYTES) -> None:
        self.random = Random(seed)
        self.ids = EventIds(SEED, memory_bytes)
        self.floors = AgeFloors()
        self.now_ms = START_MS
        self.known: dict[Key, tuple[AdEvent, bool]] = {}
        self.bits = np.random.default_rng(seed)

    def events(self, count: int, kind: EventType, age_ms: int) -> list[AdEvent]:
        made = []
        for _ in range(count):
            at_ms = self.now_ms - self.random.randrange(age_ms + 1)
            parent = bytes(16) if kind is EventType.IMPRESSION else b"\x01" * 16
            made.append(
                AdEvent(
                    type=kind,
                    campaign=self.random.randrange(2**32),
                    publisher=self.random.choice((0, 1, 2**32 - 1)),
                    placement=1,
                    creative=1,
                    id=new_event_id(at_ms, self.bits.bytes(10)),
                    occurred_at_ms=at_ms,
                    parent_id=parent,
                )
            )
        return made

    def advance(self, ms: int, events: int) -> None:
        self.now_ms += ms
        self.floors.advance(self.now_ms, RULES)
        self.ids.advance(self.floors, self.now_ms + RULES.max_clock_skew_ms, events)

    def add(self, events: list[AdEvent]) -> None:
        self.advance(0, len(events))
        records = RecordArray.of([event.to_record() for event in events])
        accepted = np.array([self.random.random() < 0.7 for _ in events])
        hashes = records.leaf_hashes.view(np.uint64)
        latest_ms = self.now_ms + RULES.max_clock_skew_ms
        known = insert(self.ids.table, records.rows, hashes, accepted, self.ids.floors, latest_ms)
        assert known == 0
        for event, is_accepted in zip(events, accepted.tolist(), strict=True):
            self.known[event.publisher, event.type, event.id] = event, is_accepted

    def may_be_met(self, event: AdEvent, is_accepted: bool) -> bool:
        if event.occurred_at_ms >= self.floors.oldest_event_ms:
            return True
        if not is_accepted or event.type not in (EventType.IMPRESSION, EventType.CLICK):
            return False
        return event.occurred_at_ms >= self.floors.oldest_parent_ms(event.type)

    def check(self) -> None:
        self.known = {key: found for key, found in self.known.items() if self.may_be_met(*found)}
        table = self.ids.table
        for (publisher, kind, event_id), (event, is_accepted) in self.known.items():
            row = find_key(table, *_words(publisher, kind, event_id))
            assert table.rows[row, 0] != 0
            assert bool(table.rows[row, 0] & ACCEPTED) == is_accepted
            assert int(campaign_in(table.rows, row)) == event.campaign
        other = find_key(table, *_words(1, 1, new_event_id(self.now_ms, bytes(10))))
        assert other < 0 or table.rows[other, 0] == 0
        self.check_structure()

    def check_structure(self) -> None:
        """Every block is free, untouched, or led to by one run of one directory."""
        table = self.ids.table
        free = table.free[: table.counts[0]].tolist()
        used: list[int] = []
        for slot in np.flatnonzero(table.partitions >= 0).tolist():
            places = int(table.places[slot])
            at = 0
            while at < places:
                block = int(table.directory[slot, at])
                span = places >> int(table.depth[block])
                assert at % span == 0
                assert set(table.directory[slot, at : at + span].tolist()) == {block}
                rows = table.rows[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS]
                assert (rows[:, 0] != 0).sum() == table.taken[block] < BLOCK_ROWS
                used.append(block)
                at += span
        assert sorted(used + free) == list(range(int(table.counts[1])))
        assert self.ids.bytes_used == len(used) * BLOCK_BYTES


def _words(publisher: int, kind: int, event_id: bytes) -> tuple[Any, Any, Any]:
    high, low = (int.from_bytes(half, "big") for half in (event_id[:8], event_id[8:]))
    return np.uint64(publisher << 3 | kind), np.uint64(high), np.uint64(low)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([EventType.IMPRESSION, EventType.CLICK, EventType.VIEWABLE]),
        st.integers(1, 4_000),
        st.sampled_from([0, 1_000, PARTITION_MS, 3 * PARTITION_MS - 1]),
        st.sampled_from([0, 1, PARTITION_MS // 2, PARTITION_MS, 7 * PARTITION_MS]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), steps=STEPS)
def test_event_table__random_events__are_found_as_long_as_they_may_be_met(
    seed: int, steps: list[tuple[EventType, int, int, int]]
) -> None:
    model = Model(seed)
    for kind, count, age_ms, pause_ms in steps:
        model.add(model.events(count, kind, age_ms))
        model.check()
        model.advance(pause_ms, 10_000)
    model.check()


def test_event_table__one_partition_many_blocks__splits_and_shrinks_again() -> None:
    model = Model(1)
    for _ in range(3):
        model.add(model.events(10_000, EventType.IMPRESSION, 60_000))
        model.add(model.events(3_000, EventType.CLICK, 60_000))
    model.check()
    full = model.ids.bytes_used
    assert full >= 10 * BLOCK_BYTES
    # Impressions may be parents for five partitions from now, clicks for twelve.
    model.advance(7 * PARTITION_MS, 10**6)
    model.check()
    assert model.ids.bytes_used <= full // 2
    assert model.ids.events > 0
    model.advance(7 * PARTITION_MS, 10**6)
    model.check()
    assert model.ids.events == model.ids.bytes_used == 0


def test_event_table__ids_within_one_partition_grow_old__their_rows_are_used_again() -> None:
    rules = RuleSet(
        max_event_age_ms=1_000, viewable_window_ms=1, click_window_ms=1, conversion_window_ms=1,
        max_clock_skew_ms=1,
    )  # fmt: skip
    model, sizes = Model(2), []
    for _ in range(40):
        model.now_ms += 1_100
        model.floors.advance(model.now_ms, rules)
        model.ids.advance(model.floors, model.now_ms, 0)
        records = RecordArray.of(
            [event.to_record() for event in model.events(2_000, EventType.IMPRESSION, 0)]
        )
        hashes = records.leaf_hashes.view(np.uint64)
        accepted = np.ones(2_000, np.bool_)
        insert(model.ids.table, records.rows, hashes, accepted, model.ids.floors, model.now_ms)
        sizes.append(model.ids.bytes_used)
    assert max(sizes) <= 2 * BLOCK_BYTES
    model.check_structure()


def test_event_table__windows_of_years__get_slots_for_all_partitions() -> None:
    model = Model(3)
    early = model.events(10, EventType.CLICK, 0)
    model.add(early)
    for _ in range(3):
        model.now_ms += PARTITION_MS
        model.add(model.events(10, EventType.CLICK, 0))
    model.ids._widen(1_000)
    assert len(model.ids.table.partitions) == 1_024
    model.check()


def test_event_table__memory_full__is_refused_before_anything_changes() -> None:
    model = Model(4, memory_bytes=0)
    blocks = len(model.ids.table.taken)
    with pytest.raises(Overloaded, match="ADTALLY_DEDUPE_MEMORY_BYTES"):
        _fill(model, times=blocks)
    model.check()
    # What grows old makes room again.
    model.advance(30 * PARTITION_MS, 0)
    model.add(model.events(2_000, EventType.IMPRESSION, 0))
    model.check()


def _fill(model: Model, times: int) -> None:
    for _ in range(times):
        model.add(model.events(2_000, EventType.IMPRESSION, 3 * PARTITION_MS - 1))


@pytest.mark.skipif(sys.platform != "linux", reason="asks mincore(2)")
def test_event_ids__ready_bytes__the_rows_that_come_next_have_their_pages() -> None:
    ready_bytes, blocks = 8 * BLOCK_BYTES, 20
    used = EventIds(SEED, 64 * BLOCK_BYTES)
    used.table.counts[1] = blocks
    fresh, loaded = (EventIds(SEED, 64 * BLOCK_BYTES, ready_bytes) for _ in range(2))
    loaded.load(used.dump())
    for ids, next_block in ((fresh, 0), (loaded, blocks)):
        first = next_block * BLOCK_ROWS
        assert _resident_share(ids.table.rows[first : first + 8 * BLOCK_ROWS]) == 1
        assert not ids.table.rows.any()


def _resident_share(rows: Words) -> float:
    """Of the pages that lie wholly within the rows."""
    page = mmap.PAGESIZE
    start = -(-rows.ctypes.data // page) * page
    count = (rows.ctypes.data + rows.nbytes - start) // page
    found = (ctypes.c_ubyte * count)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(count * page), found) == 0
    return sum(each & 1 for each in found) / count


def test_event_table__digests__tell_records_apart() -> None:
    ids = EventIds(SEED, 0)
    table = ids.table
    hashes = np.random.default_rng(1).integers(0, 2**63, (64, 4)).astype(np.uint64)
    for bit in range(256):
        hashes[0] = hashes[1]
        hashes[0, bit // 64] ^= np.uint64(1 << bit % 64)
        first, second = (np.uint64(digest_of(hashes, at, SEED)) for at in (0, 1))
        put_row(table, bit, np.uint64(9), np.uint64(1), np.uint64(2), 3, first)
        assert has_digest(table.rows, bit, first)
        assert not has_digest(table.rows, bit, second)

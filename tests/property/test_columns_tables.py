"""Tables, entries and trees of whole arrays do what a dict, a list and one tree do."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING, Hashing, checked, tree_roots
from adtally.columns.key_table import Keys, KeyTable
from adtally.columns.rows import RecordColumns, first_malformed
from adtally.errors import InvalidInput, InvariantBroken
from adtally.events.record import NO_PARENT, RECORD_SIZE, AdEvent, EventType
from adtally.kernel.sha256 import leaf_hashes, node_hashes
from adtally.log.bundle import decode_bundle, encode_bundle
from adtally.rfc9162 import leaf_hash, tree_root
from support.world import World

COMPILED = Hashing(leaf_hashes, node_hashes)


def keys_of(names: list[int]) -> Keys:
    """Few different words, so that keys share some of them."""
    numbers = np.array(names, np.uint64)
    return Keys(numbers % 5, numbers // 5 % 7, numbers // 35)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), one_slot=st.booleans())
def test_key_table__any_keys__leads_each_to_the_row_of_its_first(seed: int, one_slot: bool) -> None:
    random = Random(seed)
    table = KeyTable({"name": np.int64}, seed)
    if one_slot:
        # Every key wants the same slot: only comparing whole keys tells them apart.
        table._hashes = lambda keys: np.full(len(keys.first), 12, np.uint64)  # type: ignore[method-assign]
    first_row: dict[int, int] = {}
    for _ in range(6):
        names = [random.randrange(300) for _ in range(random.randrange(120))]
        if random.random() < 0.4:
            gone = {name for name in first_row if random.random() < 0.5}
            rows = table.live_rows()
            table.keep(rows[[table.columns["name"][row] not in gone for row in rows]], 1_000)
            kept = sorted((row, name) for name, row in first_row.items() if name not in gone)
            first_row = {name: at for at, (_, name) in enumerate(kept)}
        table.room_for(len(names), lambda rows: np.ones(len(rows), bool))
        base = table.count
        found = table.take(keys_of(names))
        for at, name in enumerate(names):
            table.columns["name"][base + at] = name
            first_row.setdefault(name, base + at)
        assert found.tolist() == [first_row[name] for name in names]
    everything = list(range(300))
    assert table.find(keys_of(everything)).tolist() == [
        first_row.get(name, -1) for name in everything
    ]


def test_key_table__ten_times_as_many_keys_as_stay_alive__keeps_its_size() -> None:
    table = KeyTable({"name": np.int64}, 1)
    for start in range(0, 100_000, 1_000):
        oldest = np.uint64(max(start - 5_000, 0))
        table.room_for(1_000, lambda rows: table.keys.first[rows] >= oldest)  # noqa: B023
        names = np.arange(start, start + 1_000, dtype=np.uint64)
        table.take(Keys(names, names, names))
    assert table.capacity <= 4 * 8_000


entry_lists = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=130),
        st.just(b"\x01" + bytes(RECORD_SIZE - 1)),
        st.just(b"\x02" + bytes(RECORD_SIZE - 1)),
        st.just(b"\x02" + bytes(16) + b"\x03" + bytes(91)),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(entries=entry_lists, start=st.integers(0, 40), size=st.integers(0, 40))
def test_entry_columns__any_bundle__holds_the_same_entries(
    entries: list[bytes], start: int, size: int
) -> None:
    bundle = encode_bundle(entries)
    for columns in (EntryColumns.of_bundle(bundle), EntryColumns.of(entries)):
        assert list(columns) == entries == [columns[at] for at in range(len(columns))]
        assert list(columns[start : start + size]) == entries[start : start + size]
        packed = columns.leaf_hashes(PLAIN_HASHING).tobytes()
        assert packed == b"".join(map(leaf_hash, entries))


@settings(max_examples=200, deadline=None)
@given(entries=entry_lists, cut=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_entry_columns__broken_bundle__is_refused_where_the_bundle_is(
    entries: list[bytes], cut: int, seed: int
) -> None:
    bundle = bytearray(encode_bundle(entries))
    if bundle and seed % 2:
        bundle[seed % len(bundle)] ^= 1 << seed % 8
    broken = bytes(bundle[:-cut])
    try:
        expected = decode_bundle(broken)
    except InvalidInput:
        with pytest.raises(InvalidInput):
            EntryColumns.of_bundle(broken)
    else:
        assert list(EntryColumns.of_bundle(broken)) == expected


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), max_size=12), seed=st.integers(0, 2**32))
@pytest.mark.parametrize("hashing", [PLAIN_HASHING, COMPILED], ids=["hashlib", "lanes"])
def test_tree_roots__many_trees__are_those_of_each(
    hashing: Hashing, sizes: list[int], seed: int
) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (sum(sizes), RECORD_SIZE), np.uint8)
    roots = tree_roots(hashing.leaves(rows), np.array(sizes, np.int64), hashing)
    at = 0
    for size, root in zip(sizes, roots, strict=True):
        assert root.tobytes() == tree_root([row.tobytes() for row in rows[at : at + size]])
        at += size


def test_checked__right_and_wrong_hashes__takes_the_right_ones_only() -> None:
    assert checked(COMPILED) is COMPILED
    assert checked(PLAIN_HASHING) is PLAIN_HASHING
    flipped = Hashing(lambda rows: leaf_hashes(rows) ^ np.uint8(1), node_hashes)
    swapped = Hashing(leaf_hashes, lambda children: node_hashes(children[::-1].copy()))
    for wrong in (flipped, swapped):
        with pytest.raises(InvariantBroken, match="SHA-256"):
            checked(wrong)


@settings(max_examples=600, deadline=None)
@given(
    at=st.integers(0, RECORD_SIZE - 1),
    value=st.integers(0, 255),
    kind=st.sampled_from(EventType),
    position=st.integers(0, 2),
)
def test_first_malformed__any_byte_changed__finds_what_the_reference_refuses(
    at: int, value: int, kind: EventType, position: int
) -> None:
    world = World()
    parent = NO_PARENT if kind is EventType.IMPRESSION else bytes(range(16))
    priced = {"value_minor_units": 5, "currency": 978} if kind is EventType.CONVERSION else {}
    record = bytearray(world.event(kind, parent_id=parent, **priced).to_record())
    record[at] = value
    records = [world.event().to_record() for _ in range(3)]
    records[position] = bytes(record)
    try:
        AdEvent.from_record(bytes(record))
        expected = 3
    except InvalidInput:
        expected = position
    rows = np.frombuffer(b"".join(records), np.uint8).reshape(-1, RECORD_SIZE)
    assert first_malformed(RecordColumns(rows)) == expected

"""Every event id that may still be met, with what later events need to know of it.

Ids carry their time, so the table is cut into partitions of 2**22 ms (70 minutes): what has grown
too old goes with its partition, and partitions that are seldom asked for can leave memory for swap.
A partition is an extendible hash table (Fagin et al., 1979): a directory, led to by the leading
bits of an id's hash, of blocks of ``BLOCK_ROWS`` rows. A block that fills up is split into two, one
at a time, so no batch ever waits for a whole table to be rebuilt.

A row is four words: publisher, type, and what became of the event | first and second half of its
id | campaign and the rest of the digest. Ids are whole, never a hash of them. The digest, which
tells a duplicate from a conflict, is 57 bits of a hash with a secret seed over the record's
SHA-256: nobody can look for two records that share it, and for two that were not chosen so the
chance is 2**-57. Places follow from a hash with the same seed: whoever chooses ids can't choose
where they go.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.kernel.compiled import leaf
from adtally.kernel.facts_table import Signed, Words
from adtally.kernel.prefetch import prefetch
from adtally.kernel.tables import event_hash, mix
from adtally.kernel.words import word32, word64

PARTITION_BITS = 22
"""Of a partition's length in ms."""
BLOCK_ROWS = 4096
ROW_WORDS = 4
CHUNK = 1000
"""Events that may be added after ``make_room`` before it is called again."""
FULL = BLOCK_ROWS - CHUNK - 24
"""Rows from which on a block is split; so many more always fit."""
_ROOMY = 3 * FULL // 4
"""A block without what is too old is left whole if it holds no more."""
_SMALL = FULL // 2
"""Two neighbours that hold no more together become one."""

ACCEPTED = np.uint64(1 << 28)
_USED = np.uint64(1 << 23)
_DIGEST_HIGH = np.uint64((1 << 25) - 1)
_LOW_32 = np.uint64(2**32 - 1)
_ID_TAIL = np.uint64(16)
_PARTITION = np.uint64(16 + PARTITION_BITS)
_NAME = np.uint64(29)
_KIND = np.uint64(3)
_HALF = np.uint64(32)
_IN_BLOCK = np.uint64(BLOCK_ROWS - 1)
_IMPRESSION, _CLICK = np.uint64(1), np.uint64(3)

_FREE, _UNTOUCHED = 0, 1

Small = npt.NDArray[np.int32]


class EventTable(NamedTuple):
    """The arrays of the table; see the module's docstring."""

    rows: Words
    """(blocks * BLOCK_ROWS, ROW_WORDS); zero where free."""
    taken: Small
    """Rows taken of each block."""
    depth: Small
    """How many leading bits of the hash all rows of a block share."""
    free: Small
    """Blocks given back, a stack."""
    counts: Signed
    """How many of ``free`` there are, and from which block on none was ever used."""
    directory: Small
    """(slots, most places): the block for a partition and the leading bits of a hash."""
    places: Signed
    """How many places of each slot's directory are in use, a power of two."""
    partitions: Signed
    """Which partition each slot is for, -1 for none; its number modulo slots."""
    seed: np.uint64


class Floors(NamedTuple):
    """As ``verification.age_floors.AgeFloors``, in ms."""

    event: int
    impression: int
    click: int


@leaf
def event_name(publisher, kind):
    """What an event's id is unique for: publisher and type, never zero."""
    return publisher << _KIND | np.uint64(kind)


@leaf
def digest_of(hashes, at, seed):
    """64 bits of a record's hash, four words, by the secret seed."""
    mixed = mix(hashes[at, 0], seed)
    mixed = mix(hashes[at, 1] ^ mixed, seed)
    mixed = mix(hashes[at, 2] ^ mixed, seed)
    return mix(hashes[at, 3] ^ mixed, seed)


@leaf
def find_row(table, name, high, low):
    """The row of an event's key, or the free one where it would go; -1 without a partition."""
    rows, partition = table.rows, np.int64(high >> _PARTITION)
    slot = partition & (len(table.partitions) - 1)
    if table.partitions[slot] != partition:
        return np.int64(-1)
    hashed = event_hash(name, high, low, table.seed)
    block = table.directory[slot, _place(hashed, table.places[slot])]
    first = np.int64(block) * BLOCK_ROWS
    at = hashed & _IN_BLOCK
    while True:
        row = first + np.int64(at)
        word = rows[row, 0]
        if word == 0 or (word >> _NAME == name and rows[row, 1] == high and rows[row, 2] == low):
            return row
        at = (at + np.uint64(1)) & _IN_BLOCK


@leaf
def _place(found, places):
    """Where a hash leads in a directory of so many places: by its leading bits."""
    return np.int64((found >> _HALF) * np.uint64(places) >> _HALF)


@leaf
def put_row(table, row, name, high, low, campaign, digest):
    """Take a free row for an event that is not accepted (yet)."""
    rows = table.rows
    rows[row, 0] = name << _NAME | digest >> np.uint64(39)
    rows[row, 1] = high
    rows[row, 2] = low
    rows[row, 3] = campaign << _HALF | digest >> np.uint64(7) & _LOW_32
    table.taken[row // BLOCK_ROWS] += 1


@leaf
def has_digest(rows, row, digest):
    """Whether the event in a row had the same bytes."""
    is_high = rows[row, 0] & _DIGEST_HIGH == digest >> np.uint64(39)
    return is_high and rows[row, 3] & _LOW_32 == digest >> np.uint64(7) & _LOW_32


@leaf
def is_accepted(rows, row):
    """Whether a row (-1 is none) holds an accepted event."""
    return row >= 0 and rows[row, 0] & ACCEPTED != 0


@leaf
def campaign_in(rows, row):
    """The campaign of the event in a row."""
    return rows[row, 3] >> _HALF


@leaf
def used_bit(kind):
    """The bit that says that an event of this type (2 to 4) counts for its parent."""
    return _USED << np.uint64(kind)


@njit(cache=True)
def make_room(table, records, first, end, floors, latest_ms):
    """Have room for the records ``first`` to ``end``, at most ``CHUNK``, and fetch their rows.

    Events that will be refused for their age get no room. The caller has seen to it that blocks are
    left.
    """
    rows, taken, directory, places = table.rows, table.taken, table.directory, table.places
    partitions, seed = table.partitions, table.seed
    for at in range(first, end):
        high = word64(records, at, 20)
        occurred_at_ms = np.int64(high >> _ID_TAIL)
        if occurred_at_ms < floors.event or occurred_at_ms > latest_ms:
            continue
        name = event_name(word32(records, at, 8), records[at, 1])
        hashed = event_hash(name, high, word64(records, at, 28), seed)
        partition = np.int64(high >> _PARTITION)
        slot = partition & (len(partitions) - 1)
        if partitions[slot] != partition:
            directory[slot, 0] = _new_block(table)
            places[slot], partitions[slot] = 1, partition
        block = directory[slot, _place(hashed, places[slot])]
        if taken[block] >= FULL:
            _relieve(table, slot, hashed, floors)
            block = directory[slot, _place(hashed, places[slot])]
        prefetch(rows, np.int64(block) * BLOCK_ROWS + np.int64(hashed & _IN_BLOCK))


@njit(cache=True)
def _new_block(table):
    """An empty block that shares no bits."""
    counts = table.counts
    if counts[_FREE] > 0:
        counts[_FREE] -= 1
        block = table.free[counts[_FREE]]
        table.rows[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS] = 0
    else:
        block = np.int32(counts[_UNTOUCHED])
        if block == len(table.taken):
            raise MemoryError("no block is left in the table of event ids")
        counts[_UNTOUCHED] += 1
    table.taken[block] = table.depth[block] = 0
    return block


@njit(cache=True)
def _relieve(table, slot, hashed, floors):
    """Empty a full block of what is too old; if that is little, split it."""
    depth, directory, places = table.depth, table.directory[slot], table.places
    block = directory[_place(hashed, places[slot])]
    kept = _taken_out(table, block, floors)
    if len(kept) > _ROOMY:
        if places[slot] == 1 << depth[block]:
            _double(directory, places[slot])
            places[slot] *= 2
        new = _new_block(table)
        span = places[slot] >> depth[block]
        start = _place(hashed, places[slot]) // span * span
        directory[start + span // 2 : start + span] = new
        depth[block] += 1
        depth[new] = depth[block]
    _put_back(table, directory, places[slot], kept)


@njit(cache=True)
def _double(directory, places):
    """One more leading bit of the hash; both of its values lead where one place led."""
    if 2 * places > len(directory):
        raise MemoryError("a directory of the table of event ids is too small")
    for at in range(places - 1, -1, -1):
        directory[2 * at] = directory[2 * at + 1] = directory[at]


@njit(cache=True)
def _taken_out(table, block, floors):
    """Empty a block; returns the rows that are not too old."""
    rows = table.rows
    kept = np.empty((table.taken[block], ROW_WORDS), np.uint64)
    count = 0
    for row in range(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS):
        if rows[row, 0] != 0 and _may_be_met(rows, row, floors):
            _copy_row(rows, row, kept, count)
            count += 1
    rows[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS] = 0
    table.taken[block] = 0
    return kept[:count]


@leaf
def _may_be_met(rows, row, floors):
    """Whether a later entry can still ask for this event, as one sent again or as a parent."""
    occurred_at_ms = np.int64(rows[row, 1] >> _ID_TAIL)
    if occurred_at_ms >= floors.event:
        return True
    kind = rows[row, 0] >> _NAME & np.uint64(7)
    if rows[row, 0] & ACCEPTED == 0:
        return False
    if kind == _IMPRESSION:
        return occurred_at_ms >= floors.impression
    return kind == _CLICK and occurred_at_ms >= floors.click


@leaf
def _put_back(table, directory, places, kept):
    rows = table.rows
    for number in range(len(kept)):
        name = kept[number, 0] >> _NAME
        hashed = event_hash(name, kept[number, 1], kept[number, 2], table.seed)
        block = np.int64(directory[_place(hashed, places)])
        at = hashed & _IN_BLOCK
        while rows[block * BLOCK_ROWS + np.int64(at), 0] != 0:
            at = (at + np.uint64(1)) & _IN_BLOCK
        _copy_row(kept, number, rows, block * BLOCK_ROWS + np.int64(at))
        table.taken[block] += 1


@leaf
def _copy_row(source, row, target, to):
    for word in range(ROW_WORDS):
        target[to, word] = source[row, word]


@njit(cache=True)
def sweep(table, slot, place, floors):
    """Free one block of a partition of what is too old; small neighbours become one.

    Returns the place behind it, the number of places at the end.
    """
    taken, depth, directory = table.taken, table.depth, table.directory[slot]
    places = table.places[slot]
    block = directory[place]
    _put_back(table, directory, places, _taken_out(table, block, floors))
    while depth[block] > 0:
        span = places >> depth[block]
        start = place // span * span
        neighbour = directory[start ^ span]
        if depth[neighbour] != depth[block] or taken[block] + taken[neighbour] > _SMALL:
            break
        moved = _taken_out(table, neighbour, floors)
        depth[block] -= 1
        low = min(start, start ^ span)
        directory[low : low + 2 * span] = block
        _put_back(table, directory, places, moved)
        _give_back(table, neighbour)
    span = places >> depth[block]
    return place // span * span + span


@njit(cache=True)
def close_partition(table, slot):
    """Forget all of a partition."""
    at = 0
    while at < table.places[slot]:
        block = table.directory[slot, at]
        at += table.places[slot] >> table.depth[block]
        _give_back(table, block)
    table.partitions[slot] = -1


@njit(cache=True)
def _give_back(table, block):
    table.taken[block] = 0
    table.free[table.counts[_FREE]] = block
    table.counts[_FREE] += 1


@njit(cache=True)
def find_key(table, name, high, low):
    """``find_row`` for one key."""
    return find_row(table, name, high, low)


@njit(cache=True)
def take_one(table, records, hashes, floors, latest_ms):
    """Take the id of a single record that is not too old, unless it is taken."""
    make_room(table, records, 0, 1, floors, latest_ms)
    name = event_name(word32(records, 0, 8), records[0, 1])
    high, low = word64(records, 0, 20), word64(records, 0, 28)
    row = find_row(table, name, high, low)
    if table.rows[row, 0] == 0:
        digest = digest_of(hashes, 0, table.seed)
        put_row(table, row, name, high, low, word32(records, 0, 4), digest)

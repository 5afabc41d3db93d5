"""A hash table of keys of three words, asked and filled with whole arrays at a time.

A key gets the next row, and columns beside it; ``slots`` lead from a key's hash to its row by
linear probing. In each round all keys that are left look at one slot each; those that don't find
their place go on to the next. Keys are compared whole: the hash decides nothing but speed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adtally.errors import Overloaded

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

_FIRST_ROWS = 1 << 10
_SLOTS_PER_ROW = 2
_MOST_ROWS = 1 << 31
_FIRST_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SECOND_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_THIRD_FACTOR = np.uint64(0xA0761D6478BD642F)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(0xFFFFFFFF00000000)


class Keys(NamedTuple):
    """Keys by their three words, one array each."""

    first: Words
    second: Words
    third: Words

    def pick(self, at: Any) -> Keys:
        """Some of them."""
        return Keys(self.first[at], self.second[at], self.third[at])


class KeyTable:
    """Keys, a row each in the order in which they came, with columns for what belongs to them.

    Rows that are in no slot (keys that came twice at once) are free; they go with ``keep``. A row
    takes 24 bytes and its columns, and 16 bytes of slots; there is room for at most four times
    the rows that are alive.

    Args:
        columns: type of each further column.
        seed: makes the hashes; whoever knows it could choose keys that collide.
    """

    def __init__(self, columns: Mapping[str, Any], seed: int | None = None) -> None:
        seeds = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
        self._seeds = seeds.integers(0, 2**64, 3, np.uint64)
        self.count = 0
        self.keys = Keys(*(np.empty(_FIRST_ROWS, np.uint64) for _ in Keys._fields))
        self.columns = {name: np.zeros(_FIRST_ROWS, kind) for name, kind in columns.items()}
        self._slots = np.zeros(_FIRST_ROWS * _SLOTS_PER_ROW, np.uint64)

    @property
    def capacity(self) -> int:
        """For how many rows there is room."""
        return len(self.keys.first)

    def find(self, keys: Keys) -> Rows:
        """The row of each key, -1 where there is none."""
        slots = self._slots_of(keys)
        rows = (self._slots[slots] & _LOW).view(np.int64) - 1
        rows[slots < 0] = -1
        return rows

    def _slots_of(self, keys: Keys) -> Rows:
        """The slot of each key, -1 where there is none."""
        hashes = self._hashes(keys)
        found = np.full(len(hashes), -1, np.int64)
        mask = len(self._slots) - 1
        left, at = np.arange(len(hashes)), hashes.view(np.int64) & mask
        while len(left):
            held = self._slots[at]
            alike = np.flatnonzero((held ^ hashes) < _HALF_RANGE)
            rows = (held[alike] & _LOW).view(np.int64) - 1
            # An empty slot may look alike too, and leads to no row.
            same = alike[(rows >= 0) & self._is_same(rows, keys.pick(left[alike]))]
            found[left[same]] = at[same]
            held[same] = 0
            on = np.flatnonzero(held)
            left, hashes, at = left[on], hashes[on], (at[on] + 1) & mask
        return found

    def take(self, keys: Keys) -> Rows:
        """The row of each key; new keys get new ones. ``room_for`` them must have been made.

        The first new key of the call would have row ``count``, the next one more, and so on; a
        key that comes again within the call has the row of the first.
        """
        number = len(keys.first)
        base = self.count
        for mine, theirs in zip(self.keys, keys, strict=True):
            mine[base : base + number] = theirs
        for column in self.columns.values():
            column[base : base + number] = np.zeros((), column.dtype)
        self.count += number
        hashes = self._hashes(keys)
        entries = (hashes & _HIGH) | np.arange(base + 1, base + number + 1, dtype=np.uint64)
        return self._place(keys, entries, hashes, base)

    def _place(self, keys: Keys, entries: Words, hashes: Words, base: int) -> Rows:
        found = np.arange(base, base + len(entries))
        mask = len(self._slots) - 1
        left, at, mine = np.arange(len(entries)), hashes.view(np.int64) & mask, entries
        while len(left):
            free = np.flatnonzero(self._slots[at] == 0)
            # Of several that claim one slot some one gets it; the others see it there.
            self._slots[at[free]] = mine[free]
            held = self._slots[at]
            lost = np.flatnonzero(held != mine)
            left, at, mine, held = left[lost], at[lost], mine[lost], held[lost]
            alike = np.flatnonzero((held ^ mine) < _HALF_RANGE)
            rows = (held[alike] & _LOW).view(np.int64) - 1
            is_same = self._is_same(rows, keys.pick(left[alike]))
            found[left[alike[is_same]]] = rows[is_same]
            on = np.ones(len(left), bool)
            on[alike[is_same]] = False
            left, at, mine = left[on], (at[on] + 1) & mask, mine[on]
        self._first_comes_first(found, keys, entries, base)
        return found

    def _first_comes_first(self, found: Rows, keys: Keys, entries: Words, base: int) -> None:
        """Where a key came several times at once, whoever got the slot, give it to the first."""
        again = np.flatnonzero((found >= base) & (found != np.arange(base, base + len(found))))
        if not len(again):
            return
        winners = np.unique(found[again]) - base
        members = np.union1d(again, winners)
        groups, firsts = np.unique(found[members], return_index=True)
        first_of = members[firsts]
        self._slots[self._slots_of(keys.pick(first_of))] = entries[first_of]
        found[members] = base + first_of[np.searchsorted(groups, found[members])]

    def room_for(self, number: int, is_alive: Any) -> None:
        """Make room for so many more rows.

        Args:
            is_alive: gives for an array of rows which of them are still needed, as a mask.

        Raises:
            Overloaded: there would be more rows than can be numbered.
        """
        if self.count + number <= self.capacity:
            return
        rows = self.live_rows()
        rows = rows[is_alive(rows)]
        self.keep(rows, len(rows) + number)

    def live_rows(self) -> Rows:
        """Rows that a key leads to, ascending."""
        held = self._slots[self._slots != 0]
        return np.sort((held & _LOW).view(np.int64) - 1)

    def keep(self, rows: Rows, wanted: int) -> None:
        """Keep only these rows, in their order, and have room for at least ``wanted`` twice."""
        capacity = _FIRST_ROWS
        while capacity < 2 * wanted:
            capacity *= 2
        if capacity > _MOST_ROWS:
            raise Overloaded(f"{wanted} ids are alive at once: no row numbers are left")
        kept = Keys(*(_moved(words, rows, capacity) for words in self.keys))
        self.columns = {name: _moved(each, rows, capacity) for name, each in self.columns.items()}
        self.keys, self.count = kept, len(rows)
        self._slots = np.zeros(capacity * _SLOTS_PER_ROW, np.uint64)
        keys = kept.pick(slice(0, self.count))
        hashes = self._hashes(keys)
        entries = (hashes & _HIGH) | np.arange(1, self.count + 1, dtype=np.uint64)
        self._place(keys, entries, hashes, 0)

    def fill(self, keys: Keys, columns: Mapping[str, Any]) -> None:
        """Have only these rows; no key comes twice."""
        self.keep(np.empty(0, np.int64), len(keys.first))
        number = len(self.take(keys))
        for name, column in columns.items():
            self.columns[name][:number] = column

    def _is_same(self, rows: Rows, keys: Keys) -> npt.NDArray[np.bool_]:
        same: npt.NDArray[np.bool_] = (
            (self.keys.first[rows] == keys.first)
            & (self.keys.second[rows] == keys.second)
            & (self.keys.third[rows] == keys.third)
        )
        return same

    def _hashes(self, keys: Keys) -> Words:
        mixed: Words = keys.first ^ self._seeds[0]
        mixed *= _FIRST_FACTOR
        mixed ^= mixed >> np.uint64(29)
        mixed += keys.second ^ self._seeds[1]
        mixed *= _SECOND_FACTOR
        mixed ^= mixed >> _HALF
        mixed += keys.third ^ self._seeds[2]
        mixed *= _THIRD_FACTOR
        mixed ^= mixed >> np.uint64(31)
        mixed *= _FIRST_FACTOR
        mixed ^= mixed >> _HALF
        return mixed


_HALF_RANGE = np.uint64(1 << 32)


def _moved(column: Any, rows: Rows, capacity: int) -> Any:
    moved = np.zeros(capacity, column.dtype)
    moved[: len(rows)] = column[rows]
    return moved

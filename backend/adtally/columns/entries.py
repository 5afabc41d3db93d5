"""A stretch of the log with its records as rows of one array: no Python object a record."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from adtally.columns.hashing import Hashes, Hashing
from adtally.errors import InvalidInput
from adtally.events.batch import ENVELOPE_KIND, ENVELOPE_SIZE
from adtally.events.record import RECORD_KIND, RECORD_SIZE
from adtally.events.record_columns import RecordRows
from adtally.log.bundle import LENGTH_BYTES
from adtally.rfc9162 import HASH_SIZE, leaf_hash

OtherEntry = tuple[int, bytes]
"""Place of an entry in its stretch, and its bytes."""

_STEP = LENGTH_BYTES + RECORD_SIZE
_RECORD = RECORD_SIZE.to_bytes(LENGTH_BYTES, "big") + bytes((RECORD_KIND,))
"""What every record of a bundle begins with: its length and its kind."""
_COUNT = slice(14, 18)
"""Where an envelope says how many records follow (docs/spec/envelope.md)."""
_FIRST_WINDOW = 256


class EntryColumns(Sequence[bytes]):
    """Entries one after the other.

    Args:
        rows: every entry that has a record's length and kind, in order; nothing says yet that it
            is well-formed.
        others: all other entries, by ascending place.
    """

    def __init__(self, rows: RecordRows, others: Sequence[OtherEntry]) -> None:
        self.rows = rows
        self.others = others
        self._places = [place for place, _ in others]

    @staticmethod
    def of_bundle(bundle: bytes) -> EntryColumns:
        """Parse an entry bundle (C2SP tlog-tiles), of any number of entries.

        Raises:
            InvalidInput: an empty entry, or the bytes end within one.
        """
        others: list[OtherEntry] = []
        runs: list[RecordRows] = []
        buffer = np.frombuffer(bundle, np.uint8)
        at = place = 0
        expected = _FIRST_WINDOW
        while at < len(bundle):
            if bundle[at : at + len(_RECORD)] == _RECORD:
                count = _records_at(buffer, at, expected)
                framed = buffer[at : at + count * _STEP].reshape(count, _STEP)
                runs.append(framed[:, LENGTH_BYTES:])
                at += count * _STEP
                place += count
                expected = 2 * count
                if count:
                    continue
            end = at + LENGTH_BYTES + int.from_bytes(bundle[at : at + LENGTH_BYTES], "big")
            if end <= at + LENGTH_BYTES or end > len(bundle):
                raise _malformed(at, len(bundle))
            entry = bundle[at + LENGTH_BYTES : end]
            others.append((place, entry))
            expected = _records_behind(entry)
            at = end
            place += 1
        return EntryColumns(_joined(runs), others)

    @staticmethod
    def of(entries: Sequence[bytes]) -> EntryColumns:
        """The same entries."""
        if isinstance(entries, EntryColumns):
            return entries
        others: list[OtherEntry] = []
        records: list[bytes] = []
        for place, entry in enumerate(entries):
            if len(entry) == RECORD_SIZE and entry[0] == RECORD_KIND:
                records.append(entry)
            else:
                others.append((place, entry))
        rows = np.frombuffer(b"".join(records), np.uint8).reshape(-1, RECORD_SIZE)
        return EntryColumns(rows, others)

    def part(self, start: int, end: int) -> EntryColumns:
        """Entries ``start`` to ``end`` (exclusive); the rows are not copied."""
        start, end = min(start, len(self)), min(end, len(self))
        first, last = bisect_left(self._places, start), bisect_left(self._places, end)
        others = [(place - start, entry) for place, entry in self.others[first:last]]
        return EntryColumns(self.rows[start - first : end - last], others)

    def leaf_hashes(self, hashing: Hashing) -> Hashes:
        """RFC 9162 leaf hash of every entry, (n, 32)."""
        of_rows = hashing.leaves(self.rows)
        if not self.others:
            return of_rows
        hashes = np.empty((len(self), HASH_SIZE), np.uint8)
        is_row = np.ones(len(self), bool)
        is_row[self._places] = False
        hashes[is_row] = of_rows
        packed = b"".join([leaf_hash(entry) for _, entry in self.others])
        hashes[self._places] = np.frombuffer(packed, np.uint8).reshape(-1, HASH_SIZE)
        return hashes

    def __len__(self) -> int:
        return len(self.rows) + len(self.others)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> EntryColumns: ...

    def __getitem__(self, at: int | slice) -> bytes | EntryColumns:
        if isinstance(at, slice):
            start, end, step = at.indices(len(self))
            if step != 1:
                raise IndexError(f"entries in steps of {step}: expected one after the other")
            return self.part(start, max(start, end))
        place = range(len(self))[at]
        number = bisect_left(self._places, place)
        if number < len(self._places) and self._places[number] == place:
            return self.others[number][1]
        record: bytes = self.rows[place - number].tobytes()
        return record

    def __iter__(self) -> Iterator[bytes]:
        row = place = 0
        for other, entry in (*self.others, (len(self), b"")):
            yield from (each.tobytes() for each in self.rows[row : row + other - place])
            row += other - place
            place = other + 1
            if other < len(self):
                yield entry


def _records_behind(entry: bytes) -> int:
    """How many records to look for behind an entry: as many as it says, if it is an envelope."""
    if len(entry) == ENVELOPE_SIZE and entry[0] == ENVELOPE_KIND:
        return max(int.from_bytes(entry[_COUNT], "big"), 1)
    return _FIRST_WINDOW


def _records_at(buffer: RecordRows, at: int, window: int) -> int:
    """How many of the next ``window`` entries, up to the first other, are records."""
    window = min(window, (len(buffer) - at) // _STEP)
    frames = buffer[at : at + window * _STEP].reshape(window, _STEP)
    good = np.ones(window, bool)
    for column, value in enumerate(_RECORD):
        good &= frames[:, column] == value
    return window if good.all() else int(good.argmin())


def _joined(runs: list[RecordRows]) -> RecordRows:
    if not runs:
        return np.empty((0, RECORD_SIZE), np.uint8)
    return np.ascontiguousarray(np.concatenate(runs))


def _malformed(at: int, size: int) -> InvalidInput:
    return InvalidInput(
        "not an entry bundle",
        field="bundle",
        expected="entries of 1 to 65,535 bytes, each behind a 16 bit length",
        found=f"{size - at} bytes at offset {at} that are no entry",
    )

"""Judged records as the log has them: each behind its length, with its verdict in its bytes.

On the way to the disk a record is copied once, into its place in the frame; on the way back once,
out of it. Either way it is hashed where it stands in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET
from adtally.events.verdict import Verdicts
from adtally.kernel.records import RecordArray
from adtally.kernel.sha256 import Hashes, hash_leaves
from adtally.log.bundle import LENGTH_BYTES
from adtally.rfc9162 import HASH_SIZE

FRAMED_SIZE = LENGTH_BYTES + RECORD_SIZE

Bytes = npt.NDArray[np.uint8]

_LENGTH_HIGH, _LENGTH_LOW = divmod(RECORD_SIZE, 256)


def lay_out(records: RecordArray, verdicts: Verdicts, bundle: Bytes, hashes: Hashes) -> None:
    """Write records and their verdicts as entries, and the entries' leaf hashes.

    Args:
        bundle: room for ``len(records) * FRAMED_SIZE`` bytes.
        hashes: (records, 32) bytes of room.

    Raises:
        ValueError: one of them is for another number of records.
    """
    codes, entries = np.frombuffer(verdicts.codes, np.uint8), bundle.reshape(-1, FRAMED_SIZE)
    if not len(records) == len(codes) == len(entries) == len(hashes):
        raise ValueError(
            f"{len(records)} records, {len(codes)} verdicts, room for {len(entries)} entries and "
            f"{len(hashes)} hashes: expected as many of each"
        )
    _lay_out(records.rows, codes, entries, hashes)


class LoggedRecords(Sequence[bytes]):
    """The judged records of one batch, taken out of an entry bundle."""

    def __init__(self, signed: RecordArray, verdicts: Verdicts, leaf_hashes: Hashes) -> None:
        self.signed = signed
        """As their sender signed them: without verdicts."""
        self.verdicts = verdicts
        self.leaf_hashes = leaf_hashes
        """Of the records as they are logged."""

    @staticmethod
    def read(bundle: bytes, at: int, count: int) -> LoggedRecords | None:
        """So many records that stand at ``at``, or None when something else does."""
        if at + count * FRAMED_SIZE > len(bundle):
            return None
        entries = np.frombuffer(bundle, np.uint8, count * FRAMED_SIZE, at)
        rows = np.empty((count, RECORD_SIZE), np.uint8)
        codes = np.empty(count, np.uint8)
        hashes = np.empty((count, HASH_SIZE), np.uint8)
        if not _take_out(entries.reshape(count, FRAMED_SIZE), rows, codes, hashes):
            return None
        return LoggedRecords(RecordArray(rows), Verdicts(codes.tobytes()), hashes)

    def __len__(self) -> int:
        return len(self.verdicts)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...

    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(at, slice):
            return [self[each] for each in range(len(self))[at]]
        record = bytearray(self.signed[at])
        record[VERDICT_OFFSET] = self.verdicts.codes[at]
        return bytes(record)

    def __iter__(self) -> Iterator[bytes]:
        return (self[at] for at in range(len(self)))


@njit(cache=True, nogil=True)
def _lay_out(rows, codes, entries, hashes):
    for at in range(len(rows)):
        entries[at, 0], entries[at, 1] = _LENGTH_HIGH, _LENGTH_LOW
        for byte in range(RECORD_SIZE):
            entries[at, LENGTH_BYTES + byte] = rows[at, byte]
        entries[at, LENGTH_BYTES + VERDICT_OFFSET] = codes[at]
    hash_leaves(entries[:, LENGTH_BYTES:], hashes)


@njit(cache=True, nogil=True)
def _take_out(entries, rows, codes, hashes):
    """Whether all entries are as long as records; what they hold if so."""
    for at in range(len(entries)):
        if entries[at, 0] != _LENGTH_HIGH or entries[at, 1] != _LENGTH_LOW:
            return False
        for byte in range(RECORD_SIZE):
            rows[at, byte] = entries[at, LENGTH_BYTES + byte]
        codes[at] = rows[at, VERDICT_OFFSET]
        rows[at, VERDICT_OFFSET] = 0
    hash_leaves(entries[:, LENGTH_BYTES:], hashes)
    return True

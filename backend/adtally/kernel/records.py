"""Canonical records as an array: which of them can stand in the log.

``records`` is always an array of bytes, one row of ``RECORD_SIZE`` each (docs/spec/record.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.errors import InvariantBroken
from adtally.events.batch import split_records
from adtally.events.record import RECORD_SIZE, AdEvent
from adtally.kernel.compiled import leaf
from adtally.kernel.sha256 import Hashes, leaf_hashes, tree_root
from adtally.kernel.words import word16, word48, word64
from adtally.settlement.engine import unjudged
from adtally.types import Hash

Records = npt.NDArray[np.uint8]

_CURRENCY_MAX = 999


class RecordArray(Sequence[bytes]):
    """Canonical records of one batch as rows of one array; hashed once.

    ``rows`` is (n, RECORD_SIZE) bytes. They can't be written, wherever they come from: arrays that
    can are another type to the compiler, and the rules would be compiled for both.
    """

    def __init__(self, rows: Records) -> None:
        self.rows = rows.view()
        self.rows.flags.writeable = False

    @staticmethod
    def packed(records: bytes | memoryview) -> RecordArray:
        """Of records that stand back to back."""
        return RecordArray(np.frombuffer(records, np.uint8).reshape(-1, RECORD_SIZE))

    @staticmethod
    def of(records: Sequence[bytes]) -> RecordArray:
        """Of any sequence of records.

        Raises:
            InvalidInput: one has another length.
        """
        if isinstance(records, RecordArray):
            return records
        for record in records:
            if len(record) != RECORD_SIZE:
                AdEvent.from_record(record)
        return RecordArray.packed(b"".join(records))

    @cached_property
    def leaf_hashes(self) -> Hashes:
        """RFC 9162 leaf hash of each record."""
        return leaf_hashes(self.rows)

    @cached_property
    def tree_root(self) -> Hash:
        """RFC 9162 root hash over the records."""
        return tree_root(self.leaf_hashes)

    @cached_property
    def first_refused(self) -> int:
        """Place of the first record that has a verdict or no place in a log, or their number."""
        return int(first_refused(self.rows))

    def require_unjudged(self) -> None:
        """Refuse what can't stand in the log, and records that have a verdict.

        Raises:
            InvalidInput, VerificationFailed: what the reference says of the first such record.
        """
        at = self.first_refused
        if at < len(self):
            unjudged(self[at])
            raise InvariantBroken(f"the kernel refuses what the reference takes: {self[at]!r}")

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> RecordArray: ...

    def __getitem__(self, at: int | slice) -> bytes | RecordArray:
        return RecordArray(self.rows[at]) if isinstance(at, slice) else self.rows[at].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return iter(split_records(self.rows.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


@njit(cache=True)
def first_refused(records):
    """Index of the first row that is no canonical record without verdict, or their number."""
    for at in range(len(records)):
        if not _is_well_formed(records, at):
            return at
    return len(records)


@leaf
def _is_well_formed(records, at):
    kind = records[at, 1]
    is_framed = (
        records[at, 0] == 1
        and records[at, 2] == 0
        and records[at, 63] == 0
        and records[at, 110] == 0
        and records[at, 111] == 0
    )
    is_coded = (
        1 <= kind <= 4
        and records[at, 3] == 0
        and records[at, 60] <= 5
        and records[at, 61] <= 3
        and records[at, 62] <= 4
        and 65 <= records[at, 58] <= 90
        and 65 <= records[at, 59] <= 90
    )
    if not (is_framed and is_coded):
        return False
    if word48(records, at, 20) != word48(records, at, 52):
        return False
    has_parent = word64(records, at, 36) != 0 or word64(records, at, 44) != 0
    if has_parent == (kind == 1):
        return False
    value = word64(records, at, 100)
    currency = word16(records, at, 108)
    if kind != 4 and (value != 0 or currency != 0):
        return False
    return currency <= _CURRENCY_MAX and (value == 0 or currency != 0)

"""Canonical records as rows: which of them can stand in a log, and as one batch's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from adtally.columns.hashing import Hashes, Hashing, tree_roots
from adtally.events.record import (
    RECORD_KIND,
    RECORD_SIZE,
    VERDICT_OFFSET,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
)
from adtally.events.record_columns import RecordRows
from adtally.events.verdict import Verdict
from adtally.types import Hash

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

_CURRENCY_MAX = 999
_A, _Z = ord("A"), ord("Z")
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


class SignedRows(Sequence[bytes]):
    """The records of one batch, verdict byte zero, with the root that their sender signed."""

    def __init__(self, rows: RecordRows, leaves: Hashes, tree_root: Hash) -> None:
        self.rows = rows
        self.leaves = leaves
        """Leaf hash of each."""
        self.tree_root = tree_root

    @staticmethod
    def of(rows: RecordRows, hashing: Hashing) -> SignedRows:
        """Of at least one record."""
        leaves = hashing.leaves(rows)
        root = tree_roots(leaves, np.array([len(rows)]), hashing)
        return SignedRows(rows, leaves, root.tobytes())

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...

    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(at, slice):
            return [row.tobytes() for row in self.rows[at]]
        record: bytes = self.rows[at].tobytes()
        return record


class RecordColumns:
    """Fields of records, one array each, in the layout of ``events.record``.

    Records are read eight bytes at a time: walking over the rows is what costs, not taking words
    apart that stand side by side.

    Args:
        rows: records, well-formed or not (see ``first_malformed``).
    """

    def __init__(self, rows: RecordRows) -> None:
        words = np.ascontiguousarray(rows).view(">u8")
        first, second, third, fourth, fifth, sixth, seventh, eighth = (
            words[:, at].astype(np.uint64) for at in range(8)
        )
        self.count = len(rows)
        self.frame: Codes = _code(first, 56) ^ np.uint8(RECORD_KIND) | _code(first, 40)
        self.frame |= _code(eighth, 0)
        """Zero where first, flags and reserved byte are as they must be."""
        self.kind = _code(first, 48)
        self.verdict = _code(first, 32)
        self.campaign: Words = first & _LOW
        self.publisher: Words = second >> _HALF
        self.line: Words = first << _HALF | self.publisher
        """Campaign and publisher."""
        self.creation: Words = second << _HALF | third >> _HALF
        """Placement and creative."""
        self.id_high: Words = third << _HALF | fourth >> _HALF
        self.id_low: Words = fourth << _HALF | fifth >> _HALF
        self.parent_high: Words = fifth << _HALF | sixth >> _HALF
        self.parent_low: Words = sixth << _HALF | seventh >> _HALF
        self.occurred_at_ms: Numbers = (
            (seventh & _LOW) << np.uint64(16) | eighth >> np.uint64(48)
        ).view(np.int64)
        self.country = _code(eighth, 40), _code(eighth, 32)
        self.device = _code(eighth, 24)
        self.agent = _code(eighth, 16)
        self.network = _code(eighth, 8)
        self._rows = rows
        self._words = words

    def first(self, number: int) -> RecordColumns:
        """Of the first records only."""
        return self if number == self.count else RecordColumns(self._rows[:number])

    def value(self) -> tuple[Words, Words, Words]:
        """Value (minor units), currency, and the last two bytes, which must be zero."""
        high, low = (self._words[:, at].astype(np.uint64) for at in (12, 13))
        value = high << _HALF | low >> _HALF
        return value, low >> np.uint64(16) & np.uint64(0xFFFF), low & np.uint64(0xFFFF)


def packed_rows(records: Sequence[bytes]) -> RecordRows:
    """Records as rows; raises InvalidInput when one has another length."""
    if isinstance(records, SignedRows):
        return records.rows
    for record in records:
        if len(record) != RECORD_SIZE:
            AdEvent.from_record(record)
    return np.frombuffer(b"".join(records), np.uint8).reshape(-1, RECORD_SIZE)


def unjudged_rows(rows: RecordRows) -> RecordRows:
    """A copy with the verdicts cleared: what the sender signed."""
    cleared = rows.copy()
    cleared[:, VERDICT_OFFSET] = Verdict.UNSET
    return cleared


def first_malformed(columns: RecordColumns) -> int:
    """Index of the first record that ``AdEvent.from_record`` refuses, or their number."""
    good = (columns.frame == 0) & _is_coded(columns) & _is_consistent(columns) & _is_priced(columns)
    return columns.count if good.all() else int(good.argmin())


def _is_coded(columns: RecordColumns) -> Mask:
    coded: Mask = (
        (columns.kind >= min(EventType))
        & (columns.kind <= max(EventType))
        & (columns.verdict <= max(Verdict))
        & (columns.device <= max(DeviceClass))
        & (columns.agent <= max(UserAgentClass))
        & (columns.network <= max(NetworkClass))
    )
    for letter in columns.country:
        coded &= (letter >= _A) & (letter <= _Z)
    return coded


def _is_consistent(columns: RecordColumns) -> Mask:
    id_time_ms = (columns.id_high >> np.uint64(16)).view(np.int64)
    has_parent = (columns.parent_high | columns.parent_low) != 0
    consistent: Mask = (id_time_ms == columns.occurred_at_ms) & (
        (columns.kind == EventType.IMPRESSION) ^ has_parent
    )
    return consistent


def _is_priced(columns: RecordColumns) -> Mask:
    """Whether value and currency are such as the event's type may have."""
    value, currency, padding = columns.value()
    has_value, has_currency = value != 0, currency != 0
    priced: Mask = (
        (padding == 0)
        & (currency <= _CURRENCY_MAX)
        & (has_currency | ~has_value)
        & (~has_currency | (columns.kind == EventType.CONVERSION))
    )
    return priced


def _code(words: Words, shift: int) -> Codes:
    """The byte of each word that stands ``shift`` bits above its lowest."""
    return (words >> np.uint64(shift)).astype(np.uint8)

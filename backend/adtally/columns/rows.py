"""Canonical records as rows: which of them can stand in a log, and as one batch's records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from adtally.columns.hashing import Hashes, Hashing, tree_roots
from adtally.events.record import (
    NO_PARENT,
    RECORD_KIND,
    RECORD_SIZE,
    VERDICT_OFFSET,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
)
from adtally.events.record_columns import RECORD_DTYPE, RecordRows, times_ms
from adtally.events.verdict import Verdict
from adtally.types import Hash

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

_CURRENCY_MAX = 999
_A, _Z = ord("A"), ord("Z")


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
    """The fields that rules read of well-formed records, one array each."""

    def __init__(self, rows: RecordRows) -> None:
        fields = np.ascontiguousarray(rows).view(RECORD_DTYPE).ravel()
        self.count = len(rows)
        self.kind: Codes = fields["type"].copy()
        self.verdict: Codes = fields["verdict"].copy()
        self.campaign: Words = fields["campaign"].astype(np.uint64)
        self.publisher: Words = fields["publisher"].astype(np.uint64)
        self.placement: Words = fields["placement"].astype(np.uint64)
        self.creative: Words = fields["creative"].astype(np.uint64)
        self.id_high, self.id_low = _halves(fields["event_id"])
        self.agent: Codes = fields["user_agent_class"].copy()
        self.network: Codes = fields["network_class"].copy()
        self._fields = fields

    @cached_property
    def occurred_at_ms(self) -> Numbers:
        """A well-formed id begins with its event's time."""
        return (self.id_high >> np.uint64(16)).view(np.int64)

    def parents_of(self, at: Numbers) -> tuple[Words, Words]:
        """Halves of the parent ids that some of them name."""
        return _halves(self._fields["parent_id"][at])


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


def first_malformed(rows: RecordRows) -> int:
    """Index of the first row that ``AdEvent.from_record`` refuses, or their number."""
    if not len(rows):
        return 0
    fields = np.ascontiguousarray(rows).view(RECORD_DTYPE).ravel()
    good = _is_framed(fields) & _is_coded(fields) & _is_consistent(fields)
    return len(rows) if good.all() else int(good.argmin())


def _is_framed(fields: npt.NDArray[np.void]) -> Mask:
    framed: Mask = (
        (fields["kind"] == RECORD_KIND)
        & (fields["flags"] == 0)
        & (fields["reserved"] == 0)
        & (fields["padding"] == 0)
    )
    return framed


def _is_coded(fields: npt.NDArray[np.void]) -> Mask:
    country = fields["country"].astype(np.uint16)
    first, second = country >> np.uint16(8), country & np.uint16(0xFF)
    coded: Mask = (
        (fields["type"] >= min(EventType))
        & (fields["type"] <= max(EventType))
        & (fields["verdict"] <= max(Verdict))
        & (fields["device"] <= max(DeviceClass))
        & (fields["user_agent_class"] <= max(UserAgentClass))
        & (fields["network_class"] <= max(NetworkClass))
        & (first >= _A)
        & (first <= _Z)
        & (second >= _A)
        & (second <= _Z)
    )
    return coded


def _is_consistent(fields: npt.NDArray[np.void]) -> Mask:
    id_high, _ = _halves(fields["event_id"])
    no_parent = fields["parent_id"] == np.void(NO_PARENT)
    kind = fields["type"]
    value, currency = fields["value_minor_units"] != 0, fields["currency"]
    priced = value | (currency != 0)
    consistent: Mask = (
        ((id_high >> np.uint64(16)) == times_ms(fields["occurred_at"]).view(np.uint64))
        & ((kind == EventType.IMPRESSION) == no_parent)
        & (~priced | (kind == EventType.CONVERSION))
        & (~value | (currency != 0))
        & (currency <= _CURRENCY_MAX)
    )
    return consistent


def _halves(ids: npt.NDArray[np.void]) -> tuple[Words, Words]:
    words = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2)
    return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)

"""Canonical records as a NumPy structured array: one row a record, one field a column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from adtally.events.record import RECORD_SIZE

RecordRows = npt.NDArray[np.uint8]
"""Canonical records as bytes: (n, RECORD_SIZE)."""

RECORD_DTYPE = np.dtype(
    [
        ("kind", "u1"),
        ("type", "u1"),
        ("flags", "u1"),
        ("verdict", "u1"),
        ("campaign", ">u4"),
        ("publisher", ">u4"),
        ("placement", ">u4"),
        ("creative", ">u4"),
        ("event_id", "V16"),
        ("parent_id", "V16"),
        ("occurred_at", "u1", (6,)),
        ("country", ">u2"),
        ("device", "u1"),
        ("user_agent_class", "u1"),
        ("network_class", "u1"),
        ("reserved", "u1"),
        ("subject", "V16"),
        ("context", "V20"),
        ("value_minor_units", ">u8"),
        ("currency", ">u2"),
        ("padding", "u2"),
    ]
)
"""The layout of ``events.record`` (docs/spec/record.md)."""

assert RECORD_DTYPE.itemsize == RECORD_SIZE


def times_ms(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Times of 6 bytes, big-endian, (n, 6), as numbers."""
    wide = np.zeros((len(raw), 8), dtype=np.uint8)
    wide[:, 2:] = raw
    return wide.view(">i8").ravel().astype(np.int64)

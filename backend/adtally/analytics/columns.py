"""Log entries as columns: a row per record and per correction, parsed whole arrays at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from adtally.analytics.arrow import Array, Table, pa
from adtally.errors import InvalidInput, StorageCorrupt
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.events.record import RECORD_KIND, RECORD_SIZE, DeviceClass, EventType
from adtally.events.record_columns import RECORD_DTYPE, times_ms
from adtally.events.verdict import Verdict
from adtally.settlement.rates import event_amount_milli
from adtally.types import Rates

RatesOf = Callable[[int, int], Rates]
"""Rates of the order of (campaign, publisher); asked only where an event counts or did."""

AMOUNT = pa.decimal128(38, 0)
"""Milli base units of tokens with 18 decimals outgrow 64 bits."""

SCHEMA = pa.schema(
    [
        ("leaf_index", pa.uint64()),
        ("member", pa.uint32()),
        ("received_at_ms", pa.int64()),
        ("type", pa.uint8()),
        ("verdict", pa.uint8()),
        ("campaign", pa.uint32()),
        ("publisher", pa.uint32()),
        ("placement", pa.uint32()),
        ("creative", pa.uint32()),
        ("event_id", pa.binary(16)),
        ("parent_id", pa.binary(16)),
        ("occurred_at_ms", pa.int64()),
        ("country", pa.string()),
        ("device", pa.uint8()),
        ("user_agent_class", pa.uint8()),
        ("network_class", pa.uint8()),
        ("subject", pa.binary(16)),
        ("context", pa.binary(20)),
        ("value_minor_units", pa.uint64()),
        ("currency", pa.uint16()),
        ("amount_milli", AMOUNT),
        ("correction", pa.uint8()),
        ("change", pa.int8()),
    ]
)
"""One row per record and one per correction; codes are those of ``adtally.events``.

``change`` is what the row adds to the count of its type: 1 for an accepted record, 0 for a refused
one, 1 or -1 for a correction; ``amount_milli`` what it adds to the cost, in thousandths of a base
unit. ``correction`` is a correction's reason, 0 for a record. A correction has the columns of the
record it is about, but its own ``leaf_index``, its ``received_at_ms`` is when it was recorded, and
nobody sent it (``member`` 0).
"""

_AMOUNTS_PER_ORDER = 1 + len(EventType)


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """An envelope at its leaf index, and the records behind it."""

    first_index: int
    envelope: Envelope
    records: list[bytes]


@dataclass(frozen=True, slots=True)
class LoggedCorrection:
    """A correction at its leaf index."""

    index: int
    correction: Correction


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of ``count`` entries holds, the facts left out."""

    batches: list[LoggedBatch]
    corrections: list[LoggedCorrection]
    count: int


def split_entries(first_index: int, entries: Sequence[bytes]) -> Run:
    """The whole batches and the corrections in a run that starts at a batch or facts entry.

    A batch whose records are not all there is left for the next run.

    Raises:
        StorageCorrupt: a record stands outside a batch, or an entry does not parse.
    """
    batches: list[LoggedBatch] = []
    corrections: list[LoggedCorrection] = []
    at = 0
    while at < len(entries):
        kind = entries[at][0] if entries[at] else -1
        if kind == RECORD_KIND:
            raise _corrupt(first_index + at, "an envelope or facts", "a record outside a batch")
        if kind == ENVELOPE_KIND:
            envelope = _envelope(first_index + at, entries[at])
            end = at + 1 + envelope.count
            if end > len(entries):
                break
            batches.append(LoggedBatch(first_index + at, envelope, list(entries[at + 1 : end])))
            at = end
        else:
            if kind == CORRECTION_KIND:
                corrections.append(_correction(first_index + at, entries[at]))
            at += 1
    return Run(batches, corrections, at)


def _correction(index: int, entry: bytes) -> LoggedCorrection:
    try:
        return LoggedCorrection(index, Correction.from_entry(entry))
    except InvalidInput as error:
        raise _corrupt(index, "a correction", str(error)) from error


def _envelope(index: int, entry: bytes) -> Envelope:
    try:
        return Envelope.from_entry(entry)
    except InvalidInput as error:
        raise _corrupt(index, "an envelope", str(error)) from error


def entries_table(run: Run, rates: RatesOf) -> Table:
    """A run's records and corrections as a table of ``SCHEMA``; raises as its parts do."""
    tables = [records_table(run.batches, rates)]
    if run.corrections:
        tables.append(corrections_table(run.corrections, rates))
    return pa.concat_tables(tables)


def corrections_table(corrections: Sequence[LoggedCorrection], rates: RatesOf) -> Table:
    """The corrections as a table of ``SCHEMA``, a row each, with the columns of their records."""
    logged = [each.correction for each in corrections]
    rows = np.frombuffer(b"".join(each.record for each in logged), dtype=RECORD_DTYPE)
    changes = np.array([each.change for each in logged], dtype=np.int8)
    return _table(
        rows,
        {
            "leaf_index": np.array([each.index for each in corrections], dtype=np.uint64),
            "member": np.zeros(len(rows), dtype=np.uint32),
            "received_at_ms": np.array([each.recorded_at_ms for each in logged], dtype=np.int64),
            "correction": np.array([each.reason for each in logged], dtype=np.uint8),
            "change": changes,
            "amount_milli": _amounts(rows, changes, rates),
        },
    )


def records_table(batches: Sequence[LoggedBatch], rates: RatesOf) -> Table:
    """The batches' records as a table of ``SCHEMA``.

    Raises:
        StorageCorrupt: an entry is no record, or holds a code that no record has.
    """
    for batch in batches:
        if any(len(record) != RECORD_SIZE for record in batch.records):
            raise _corrupt(batch.first_index, f"{batch.envelope.count} records behind it", "others")
    counts = [len(batch.records) for batch in batches]
    rows = np.frombuffer(b"".join(b"".join(batch.records) for batch in batches), dtype=RECORD_DTYPE)
    indices = np.concatenate(
        [np.zeros(0, np.uint64)]
        + [
            np.arange(batch.first_index + 1, batch.first_index + 1 + count, dtype=np.uint64)
            for batch, count in zip(batches, counts, strict=True)
        ]
    )
    _check_codes(rows, indices)
    changes = (rows["verdict"] == Verdict.ACCEPTED).astype(np.int8)
    return _table(
        rows,
        {
            "leaf_index": indices,
            "member": np.repeat(
                np.array([batch.envelope.member for batch in batches], dtype=np.uint32), counts
            ),
            "received_at_ms": np.repeat(
                np.array([batch.envelope.received_at_ms for batch in batches], dtype=np.int64),
                counts,
            ),
            "correction": np.zeros(len(rows), dtype=np.uint8),
            "change": changes,
            "amount_milli": _amounts(rows, changes, rates),
        },
    )


def _table(rows: npt.NDArray[np.void], columns: dict[str, Any]) -> Table:
    """``columns`` and what else the records themselves hold."""
    made = columns | {
        "occurred_at_ms": times_ms(rows["occurred_at"]),
        "country": _countries(rows["country"]),
    }
    return pa.table([_column(name, made, rows) for name in SCHEMA.names], schema=SCHEMA)


def _column(name: str, made: dict[str, Any], rows: npt.NDArray[np.void]) -> Array:
    kind = SCHEMA.field(name).type
    column = made.get(name)
    if column is None:
        column = rows[name]
        if pa.types.is_fixed_size_binary(kind):
            data = pa.py_buffer(np.ascontiguousarray(column).tobytes())
            return pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, data])
        column = column.astype(column.dtype.newbyteorder("="))
    return column if isinstance(column, pa.Array) else pa.array(column, type=kind)


def _check_codes(rows: npt.NDArray[np.void], indices: npt.NDArray[np.uint64]) -> None:
    good = (
        (rows["kind"] == RECORD_KIND)
        & (rows["type"] >= min(EventType))
        & (rows["type"] <= max(EventType))
        & (rows["verdict"] > Verdict.UNSET)
        & (rows["verdict"] <= max(Verdict))
        & (rows["device"] <= max(DeviceClass))
    )
    if not good.all():
        bad = int(np.argmin(good))
        raise _corrupt(int(indices[bad]), "a judged record", rows[bad].tobytes()[:4].hex())


def _countries(codes: npt.NDArray[np.uint16]) -> Array:
    found, positions = np.unique(codes, return_inverse=True)
    names = [int(code).to_bytes(2, "big").decode("latin-1") for code in found]
    return pa.array(names, type=pa.string()).take(pa.array(positions))


def _amounts(rows: npt.NDArray[np.void], changes: npt.NDArray[np.int8], rates: RatesOf) -> Array:
    is_priced = changes != 0
    lines = (rows["campaign"].astype(np.uint64) << np.uint64(32)) | rows["publisher"]
    found, positions = np.unique(lines[is_priced], return_inverse=True)
    # For each order its prices, then the same taken back; row 0 is for what does not count.
    amounts = [0]
    for line in found.tolist():
        order = rates(line >> 32, line & 0xFFFFFFFF)
        prices = [0, *(event_amount_milli(order, kind) for kind in EventType)]
        amounts += [*prices, *(-price for price in prices)]
    chosen = np.zeros(len(rows), dtype=np.int64)
    chosen[is_priced] = 1 + positions * 2 * _AMOUNTS_PER_ORDER + rows["type"][is_priced]
    chosen[changes < 0] += _AMOUNTS_PER_ORDER
    # Decimals are exact when they are made, but a minus before one rounds it to 28 digits.
    return pa.array([Decimal(amount) for amount in amounts], type=AMOUNT).take(pa.array(chosen))


def _corrupt(index: int, expected: str, found: str) -> StorageCorrupt:
    return StorageCorrupt(
        f"the log entry at index {index} can't be analysed",
        field="entry",
        expected=expected,
        found=found,
        action="run the log's recovery and audit; Parquet is only derived",
    )

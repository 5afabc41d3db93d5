"""Logs of the Open Bandit Dataset (Saito et al. 2020, arXiv:2008.07146) as ad events.

Each row is one impression of a fashion item at one of three positions, with whether it was
clicked. Items become creatives (item 0 is creative 1), positions become placements. The dataset
does not say when a click happened; it is put one second after its impression.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adtally.errors import InvalidInput
from adtally.events.record import AdEvent, EventType, new_event_id

CLICK_DELAY_MS = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_COLUMNS = ("timestamp", "item_id", "position", "click")
_GZIP_MAGIC = b"\x1f\x8b"
_UINT31_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ObdRow:
    """One row; ``shown_at_ms`` is UTC as in the file, ``number`` counts data rows from 0."""

    number: int
    shown_at_ms: int
    item: int
    position: int
    clicked: bool


@dataclass(frozen=True, slots=True)
class ObdLog:
    """A whole file, rows by time; ``file_hash`` is SHA-256 of the uncompressed CSV."""

    file_hash: bytes
    rows: tuple[ObdRow, ...]

    @property
    def clicks(self) -> int:
        return sum(row.clicked for row in self.rows)

    @property
    def creatives(self) -> list[int]:
        """Creative ids, ascending."""
        return sorted({row.item + 1 for row in self.rows})

    @property
    def placements(self) -> list[int]:
        """Placement ids, ascending."""
        return sorted({row.position for row in self.rows})

    def events(self, campaign: int, publisher: int, offset_ms: int) -> Iterator[AdEvent]:
        """The rows as events of one publisher, their times shifted by ``offset_ms``.

        Ids are derived from file hash and row, so the same file and offset give the same events.
        """
        for row in self.rows:
            impression = AdEvent(
                type=EventType.IMPRESSION,
                campaign=campaign,
                publisher=publisher,
                placement=row.position,
                creative=row.item + 1,
                id=self._id(row, EventType.IMPRESSION, row.shown_at_ms + offset_ms),
                occurred_at_ms=row.shown_at_ms + offset_ms,
            )
            yield impression
            if row.clicked:
                clicked_at_ms = impression.occurred_at_ms + CLICK_DELAY_MS
                yield AdEvent(
                    type=EventType.CLICK,
                    campaign=campaign,
                    publisher=publisher,
                    placement=row.position,
                    creative=row.item + 1,
                    id=self._id(row, EventType.CLICK, clicked_at_ms),
                    occurred_at_ms=clicked_at_ms,
                    parent_id=impression.id,
                )

    def _id(self, row: ObdRow, kind: EventType, occurred_at_ms: int) -> bytes:
        place = row.number.to_bytes(8, "big") + bytes((kind,))
        return new_event_id(occurred_at_ms, hashlib.sha256(self.file_hash + place).digest()[:10])


def read_obd(path: Path) -> ObdLog:
    """Read a CSV file of the dataset, plain or gzipped.

    Raises:
        InvalidInput: unreadable, or a row is malformed; ``field`` names row and column.
    """
    data = _read(path)
    reader = csv.DictReader(io.StringIO(_text(data)))
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise _malformed("header", f"the columns {', '.join(_COLUMNS)}", f"no {missing[0]}")
    try:
        rows = [_row(number, row) for number, row in enumerate(reader)]
    except csv.Error as error:
        raise _malformed("body", "CSV", str(error)) from None
    if not rows:
        raise _malformed("body", "at least one row", "none")
    rows.sort(key=lambda row: (row.shown_at_ms, row.number))
    return ObdLog(hashlib.sha256(data).digest(), tuple(rows))


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(_GZIP_MAGIC) else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(
            "the file can't be read", field=str(path), expected="a CSV file", found=str(error)
        ) from None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _malformed("body", "UTF-8", str(error)) from None


def _row(number: int, row: dict[str, str | None]) -> ObdRow:
    return ObdRow(
        number=number,
        shown_at_ms=_time_ms(number, row["timestamp"]),
        item=_integer(number, "item_id", row["item_id"], 0, _UINT31_MAX),
        position=_integer(number, "position", row["position"], 1, _UINT31_MAX),
        clicked=bool(_integer(number, "click", row["click"], 0, 1)),
    )


def _time_ms(number: int, text: str | None) -> int:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment < _EPOCH:
        raise _malformed(
            f"rows.{number}.timestamp", "an ISO 8601 time with a zone, from 1970 on", repr(text)
        )
    return (moment - _EPOCH) // _MILLISECOND


def _integer(number: int, name: str, text: str | None, least: int, most: int) -> int:
    value = int(text) if text and text.isascii() and text.isdecimal() else -1
    if not least <= value <= most:
        raise _malformed(f"rows.{number}.{name}", f"an integer {least} to {most}", repr(text))
    return value


def _malformed(field: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput(
        "not an Open Bandit Dataset log", field=field, expected=expected, found=found
    )

"""Reader for the Open Bandit Dataset (Saito et al. 2020, arXiv:2008.07146).

Every row of its CSV is a real impression of a fashion shop; rows with ``click`` 1 were clicked.
The file knows no users, no addresses and no click times: subjects and contexts stay zero, and a
click is put ``CLICK_DELAY_MS`` after its impression.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

from adtally.errors import InvalidInput
from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.types import UINT48_MAX

CLICK_DELAY_MS = 1_000
"""The dataset has no click times; one second keeps a click behind its impression."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MILLISECOND = timedelta(milliseconds=1)
_COLUMNS = ("timestamp", "item_id", "position", "click")
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class ObdMapping:
    """Where the file's rows belong: position -> placement and item_id -> creative."""

    campaign: int
    publisher: int
    placements: Mapping[int, int]
    creatives: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ObdSummary:
    """What a file holds; times are UTC milliseconds as the file has them."""

    sha256: bytes
    rows: int
    clicks: int
    first_ms: int
    last_ms: int
    positions: tuple[int, ...]
    items: tuple[int, ...]

    @property
    def last_event_ms(self) -> int:
        """Not earlier than any event that ``read_obd`` yields without an offset."""
        return self.last_ms + CLICK_DELAY_MS


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    at_ms: int
    item: int
    position: int
    is_click: bool


def summarize_obd(path: Path) -> ObdSummary:
    """Read a file once, to plan its replay.

    Raises:
        InvalidInput: not a CSV (plain or gzip) of the dataset, or it holds no row.
    """
    rows = clicks = 0
    first, last = UINT48_MAX, 0
    positions: set[int] = set()
    items: set[int] = set()
    for row in _rows(path):
        rows += 1
        clicks += row.is_click
        first, last = min(first, row.at_ms), max(last, row.at_ms)
        positions.add(row.position)
        items.add(row.item)
    if not rows:
        raise _malformed(path, "at least one row", "none")
    return ObdSummary(
        _file_sha256(path),
        rows,
        clicks,
        first,
        last,
        tuple(sorted(positions)),
        tuple(sorted(items)),
    )


def read_obd(path: Path, mapping: ObdMapping, *, offset_ms: int = 0) -> Iterator[AdEvent]:
    """The file's events in the order of its rows, each click right behind its impression.

    Ids come from the file's SHA-256 and the row number, so the same file replayed with the same
    offset gives the same ids.

    Args:
        path: plain or gzip-compressed CSV.
        mapping: must know every position and item of the file.
        offset_ms: added to every time; store it, a replay must use the same one.

    Raises:
        InvalidInput: the file or a row is malformed, a position or item is not in the mapping,
            or a shifted time does not fit a record.
    """
    file_hash = _file_sha256(path)
    for row in _rows(path):
        at_ms = row.at_ms + offset_ms
        if not 0 <= at_ms <= UINT48_MAX - CLICK_DELAY_MS:
            raise _malformed(path, "a shifted time from 1970 to 10889", f"{at_ms} ms", row.number)
        placement = mapping.placements.get(row.position)
        creative = mapping.creatives.get(row.item)
        if placement is None or creative is None:
            raise _malformed(
                path,
                "a position and item of the mapping",
                f"position {row.position}, item {row.item}",
                row.number,
            )
        impression = AdEvent(
            type=EventType.IMPRESSION,
            campaign=mapping.campaign,
            publisher=mapping.publisher,
            placement=placement,
            creative=creative,
            id=_event_id(file_hash, row.number, EventType.IMPRESSION, at_ms),
            occurred_at_ms=at_ms,
        )
        yield impression
        if row.is_click:
            clicked_at_ms = at_ms + CLICK_DELAY_MS
            yield AdEvent(
                type=EventType.CLICK,
                campaign=mapping.campaign,
                publisher=mapping.publisher,
                placement=placement,
                creative=creative,
                id=_event_id(file_hash, row.number, EventType.CLICK, clicked_at_ms),
                occurred_at_ms=clicked_at_ms,
                parent_id=impression.id,
            )


def _event_id(file_hash: bytes, number: int, kind: EventType, at_ms: int) -> bytes:
    tail = hashlib.sha256(file_hash + number.to_bytes(8, "big") + bytes((kind,))).digest()[:10]
    return new_event_id(at_ms, tail)


def _file_sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def _plain(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if is_gzip:
            with gzip.open(file) as unpacked:
                yield cast("BinaryIO", unpacked)
        else:
            yield file


def _rows(path: Path) -> Iterator[_Row]:
    number = -1
    try:
        with _plain(path) as data, io.TextIOWrapper(data, encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise _malformed(path, f"columns {', '.join(_COLUMNS)}", f"no {missing[0]}")
            for number, fields in enumerate(reader):
                yield _row(path, number, fields)
    except FileNotFoundError:
        raise _malformed(path, "a readable file", "none there") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise _malformed(path, "CSV in UTF-8, plain or gzip", str(error), number + 1) from None


def _row(path: Path, number: int, fields: Mapping[str, str | None]) -> _Row:
    try:
        at = datetime.fromisoformat(fields["timestamp"] or "")
        item, position, click = (int(fields[name] or "") for name in _COLUMNS[1:])
        at_ms = (at - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError) as error:
        raise _malformed(path, "a time with zone and whole numbers", str(error), number) from None
    if click not in (0, 1):
        raise _malformed(path, "click 0 or 1", str(click), number)
    return _Row(number, at_ms, item, position, bool(click))


def _malformed(path: Path, expected: str, found: str, row: int | None = None) -> InvalidInput:
    where = path.name if row is None else f"{path.name}, row {row}"
    return InvalidInput(
        "not a file of the Open Bandit Dataset", field=where, expected=expected, found=found
    )

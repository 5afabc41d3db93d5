"""Hours and days in an IANA time zone, computed with integers.

A zone's hours are those of its wall clock: where the clock jumps inside an hour, that hour is
cut at the jump; a local hour that occurs twice is two intervals. A day is a local date and may
have 23 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from adtally.errors import InvalidInput

HOUR_MS = 3_600_000
DAY_MS = 86_400_000

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_LAST_MS = 253_402_128_000_000
"""9999-12-30: ``datetime`` ends soon after; record times reach 10889 and keep its offset."""


class Granularity(StrEnum):
    """Length of a report's intervals."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Interval:
    """UTC milliseconds, end exclusive; ``label`` is the local start in ISO 8601.

    ``is_partial``: the report's range cuts it, or it was not over when the report was made.
    """

    start_ms: int
    end_ms: int
    label: str
    is_partial: bool


@dataclass(frozen=True, slots=True)
class OffsetSegment:
    """From ``start_ms`` to ``end_ms`` (exclusive), inside one UTC day, the offset is the same."""

    utc_day: int
    start_ms: int
    end_ms: int
    offset_ms: int


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def parse_zone(name: str) -> ZoneInfo:
    """An IANA time zone.

    Raises:
        InvalidInput: no such zone.
    """
    # Membership first: ZoneInfo itself would open any file of that name in its data folders.
    if name not in _zone_names():
        raise InvalidInput(
            "unknown time zone",
            field="zone",
            expected="an IANA zone such as Europe/Berlin",
            found=repr(name[:64]),
        )
    return ZoneInfo(name)


def offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    """Local time minus UTC at a moment."""
    moment = _EPOCH + timedelta(milliseconds=min(at_ms, _LAST_MS))
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return offset // timedelta(milliseconds=1)


def day_segments(zone: ZoneInfo, utc_days: Iterable[int]) -> list[OffsetSegment]:
    """Cuts UTC days (days since 1970) where the zone's offset changes, at most once a day."""
    segments = []
    for day in utc_days:
        start, end = day * DAY_MS, (day + 1) * DAY_MS
        first, last = offset_ms(zone, start), offset_ms(zone, end - 1)
        if first == last:
            segments.append(OffsetSegment(day, start, end, first))
        else:
            change = _change(zone, start, end - 1)
            segments.append(OffsetSegment(day, start, change, first))
            segments.append(OffsetSegment(day, change, end, last))
    return segments


def hour_interval(zone: ZoneInfo, local_hour: int, offset: int) -> tuple[int, int]:
    """Bounds of a local hour (hours since 1970 on the wall clock) while ``offset`` applies."""
    start = local_hour * HOUR_MS - offset
    end = start + HOUR_MS
    before, after = offset_ms(zone, max(start, 0)), offset_ms(zone, end - 1)
    if before != after:
        change = _change(zone, start, end - 1)
        if before != offset:
            start = change
        else:
            end = change
    return start, end


def day_interval(zone: ZoneInfo, local_day: int) -> tuple[int, int]:
    """Bounds of a local date (days since 1970)."""
    return _day_start(zone, local_day), _day_start(zone, local_day + 1)


def interval_label(zone: ZoneInfo, start_ms: int, granularity: Granularity) -> str:
    """Local date, or local time with its offset, in ISO 8601."""
    offset = offset_ms(zone, max(start_ms, 0))
    local = str(np.datetime64(start_ms + offset, "ms").astype("datetime64[s]"))
    if granularity is Granularity.DAY:
        return local.split("T")[0]
    minutes = abs(offset) // 60_000
    return f"{local}{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _day_start(zone: ZoneInfo, local_day: int) -> int:
    wall_ms = local_day * DAY_MS
    if not 0 <= wall_ms <= _LAST_MS:
        return wall_ms - offset_ms(zone, max(wall_ms, 0))
    # fold 0 is the first of two midnights; at a skipped midnight it is the jump itself.
    midnight = (_EPOCH + timedelta(days=local_day)).replace(tzinfo=zone)
    return (midnight.astimezone(_EPOCH.tzinfo) - _EPOCH) // timedelta(milliseconds=1)


def _change(zone: ZoneInfo, before_ms: int, after_ms: int) -> int:
    """First moment with the offset of ``after_ms``, which ``before_ms`` has not."""
    target = offset_ms(zone, after_ms)
    while after_ms - before_ms > 1:
        middle = (before_ms + after_ms) // 2
        if offset_ms(zone, middle) == target:
            after_ms = middle
        else:
            before_ms = middle
    return after_ms

"""Hours and days in zones with and without clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from adtally.analytics.intervals import (
    DAY_MS,
    HOUR_MS,
    Granularity,
    day_interval,
    day_segments,
    hour_interval,
    interval_label,
    offset_ms,
    parse_zone,
)
from adtally.errors import InvalidInput
from adtally.types import UINT48_MAX

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def days(text: str) -> int:
    return (datetime.fromisoformat(text + "T00:00:00+00:00") - EPOCH).days


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", "2026-03-29", "2026-03-29T00:00:00+00:00", 24),
        ("Europe/Berlin", "2026-03-28", "2026-03-28T00:00:00+01:00", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-29T00:00:00+01:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-25T00:00:00+02:00", 25),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-05T00:00:00+11:00", 24.5),
        # Midnight is skipped here, and occurs twice there.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00", 23),
        ("America/Havana", "2025-11-02", "2025-11-02T00:00:00-04:00", 25),
        # The whole of 30 December 2011 is missing.
        ("Pacific/Apia", "2011-12-29", "2011-12-29T00:00:00-10:00", 24),
    ],
)
def test_day_interval__clock_changes__local_midnights(
    zone: str, day: str, start: str, hours: float
) -> None:
    first, end = day_interval(ZoneInfo(zone), days(day))
    assert first == ms(start)
    assert end - first == hours * HOUR_MS


def test_hour_interval__repeated_hour__two_intervals() -> None:
    local = days("2026-10-25") * 24 + 2
    assert hour_interval(BERLIN, local, 2 * HOUR_MS) == (
        ms("2026-10-25T00:00:00+00:00"),
        ms("2026-10-25T01:00:00+00:00"),
    )
    assert hour_interval(BERLIN, local, HOUR_MS) == (
        ms("2026-10-25T01:00:00+00:00"),
        ms("2026-10-25T02:00:00+00:00"),
    )


def test_hour_interval__half_hour_change__cut_at_the_change() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    local = days("2026-04-05") * 24 + 1
    change = ms("2026-04-04T15:00:00+00:00")
    summer, winter = 11 * HOUR_MS, 10 * HOUR_MS + HOUR_MS // 2
    assert hour_interval(zone, local, summer) == (change - HOUR_MS, change)
    assert hour_interval(zone, local, winter) == (change, change + HOUR_MS // 2)


def test_day_segments__day_of_a_change__cut_there() -> None:
    day = days("2026-03-29")
    change = ms("2026-03-29T01:00:00+00:00")
    first, second = day_segments(BERLIN, [day])
    assert (first.start_ms, first.end_ms, first.offset_ms) == (day * DAY_MS, change, HOUR_MS)
    assert (second.start_ms, second.end_ms) == (change, (day + 1) * DAY_MS)
    assert second.offset_ms == 2 * HOUR_MS
    assert len(day_segments(BERLIN, [day - 1, day + 1])) == 2


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue", "Africa/Monrovia"])
@pytest.mark.parametrize("at", [0, 1, UINT48_MAX])
def test_intervals__first_and_last_time_of_a_record__no_error(zone: str, at: int) -> None:
    info = ZoneInfo(zone)
    offset = offset_ms(info, at)
    start, end = hour_interval(info, (at + offset) // HOUR_MS, offset)
    assert start <= at < end
    start, end = day_interval(info, (at + offset) // DAY_MS)
    assert start <= at < end
    assert interval_label(info, start, Granularity.HOUR)
    assert [segment.offset_ms for segment in day_segments(info, [at // DAY_MS])] == [offset]


def test_interval_label__hour_and_day__local_iso() -> None:
    at = ms("2026-03-29T00:00:00+00:00")
    assert interval_label(BERLIN, at, Granularity.HOUR) == "2026-03-29T01:00:00+01:00"
    assert interval_label(BERLIN, at, Granularity.DAY) == "2026-03-29"
    new_york = ZoneInfo("America/New_York")
    assert interval_label(new_york, at, Granularity.HOUR) == "2026-03-28T20:00:00-04:00"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "a\0b",
        "\ud800",
        "x" * 999,
    ],
)
def test_parse_zone__no_zone__invalid_input(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_zone(name)
    assert caught.value.field == "zone"


def test_parse_zone__iana_name__that_zone() -> None:
    assert parse_zone("Asia/Kathmandu").key == "Asia/Kathmandu"

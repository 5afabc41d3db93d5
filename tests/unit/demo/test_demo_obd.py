"""Reading Open Bandit Dataset logs: events that are the same for ever, errors that say where."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from adtally.demo.obd import CLICK_DELAY_MS, read_obd
from adtally.errors import InvalidInput
from adtally.events.record import AdEvent, EventType

HEADER = ",timestamp,item_id,position,click,propensity_score\n"
ROWS = (
    "0,2019-11-24 00:03:13.442536+00:00,14,3,0,0.03\n"
    "1,2019-11-24 00:03:36.705207+00:00,10,1,1,0.03\n"
)
FIRST_MS = 1_574_553_793_442


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_read_obd__rows_with_and_without_click__become_events(tmp_path: Path) -> None:
    log = read_obd(write(tmp_path / "a.csv", HEADER + ROWS))
    events = list(log.events(campaign=7, publisher=3, offset_ms=1_000))
    assert [event.type for event in events] == [
        EventType.IMPRESSION,
        EventType.IMPRESSION,
        EventType.CLICK,
    ]
    assert events[0].occurred_at_ms == FIRST_MS + 1_000
    assert (events[0].placement, events[0].creative) == (3, 15)
    assert events[2].parent_id == events[1].id
    assert events[2].occurred_at_ms == events[1].occurred_at_ms + CLICK_DELAY_MS
    for event in events:
        assert AdEvent.from_record(event.to_record()) == event
    assert (log.clicks, log.creatives, log.placements) == (1, [11, 15], [1, 3])


def test_read_obd__gzipped__gives_the_same_ids(tmp_path: Path) -> None:
    plain = read_obd(write(tmp_path / "a.csv", HEADER + ROWS))
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    assert list(read_obd(packed).events(1, 2, 0)) == list(plain.events(1, 2, 0))


def test_read_obd__rows_out_of_order__are_sorted_by_time(tmp_path: Path) -> None:
    first, second = ROWS.splitlines(keepends=True)
    log = read_obd(write(tmp_path / "a.csv", HEADER + second + first))
    assert [row.item for row in log.rows] == [14, 10]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "header"),
        ("timestamp,item_id,position\n", "header"),
        (HEADER, "body"),
        (HEADER + "0,yesterday,14,3,0,0.03\n", "rows.0.timestamp"),
        (HEADER + "0,2019-11-24 00:03:13,14,3,0,0.03\n", "rows.0.timestamp"),
        (HEADER + ROWS + "2,2019-11-24 00:03:13+00:00,-1,3,0,0.03\n", "rows.2.item_id"),
        (HEADER + "0,2019-11-24 00:03:13+00:00,1,0,0,0.03\n", "rows.0.position"),
        (HEADER + "0,2019-11-24 00:03:13+00:00,1,1,2,0.03\n", "rows.0.click"),
        (HEADER + "0,2019-11-24 00:03:13+00:00,1\n", "rows.0.position"),
        (HEADER + "0,2019-11-24 00:03:13+00:00,1,\xb2,0\n", "rows.0.position"),
    ],
)
def test_read_obd__malformed__names_row_and_column(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_obd(write(tmp_path / "a.csv", text))
    assert caught.value.field == field


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x1f\x8b\x08broken", b"\x1f\x8b"])
def test_read_obd__no_text__is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(InvalidInput):
        read_obd(path)


def test_read_obd__no_file__is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        read_obd(tmp_path / "missing.csv")

"""The reader of the Open Bandit Dataset, on small generated files and on the real one."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from adtally.errors import InvalidInput
from adtally.events.record import AdEvent, EventType
from adtally.simulation.obd import CLICK_DELAY_MS, ObdMapping, read_obd, summarize_obd

REPOSITORY = Path(__file__).parents[3]
HEADER = ",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
ROWS = (
    "0,2019-11-24 00:03:13.442536+00:00,14,3,0,0.03,ab\n"
    "1,2019-11-24 00:03:36.705207+00:00,10,1,1,0.03,ab\n"
    "2,2019-11-24 00:05:39+00:00,14,2,0,0.03,cd\n"
)
FIRST_MS = 1_574_553_793_442
MAPPING = ObdMapping(7, 2, {1: 101, 2: 102, 3: 103}, {10: 1, 14: 2})


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text(HEADER + ROWS)
    return path


def test_read_obd__rows__impressions_and_clicks_behind_them(small: Path) -> None:
    events = list(read_obd(small, MAPPING))
    assert [event.type for event in events] == [
        EventType.IMPRESSION,
        EventType.IMPRESSION,
        EventType.CLICK,
        EventType.IMPRESSION,
    ]
    assert [event.placement for event in events] == [103, 101, 101, 102]
    assert [event.creative for event in events] == [2, 1, 1, 2]
    assert events[0].occurred_at_ms == FIRST_MS
    assert events[2].parent_id == events[1].id
    assert events[2].occurred_at_ms == events[1].occurred_at_ms + CLICK_DELAY_MS
    assert all(AdEvent.from_record(event.to_record()) == event for event in events)


def test_read_obd__offset__shifts_every_time_and_keeps_the_rest(small: Path) -> None:
    shifted = list(read_obd(small, MAPPING, offset_ms=1_000_000))
    for before, after in zip(read_obd(small, MAPPING), shifted, strict=True):
        assert after.occurred_at_ms == before.occurred_at_ms + 1_000_000
        assert after.id[8:] == before.id[8:]


def test_read_obd__same_file__same_ids_and_other_file_others(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(HEADER + ROWS + "3,2019-11-24 00:06:00+00:00,14,2,0,0.03,cd\n")
    ids = [event.id for event in read_obd(small, MAPPING)]
    assert ids == [event.id for event in read_obd(small, MAPPING)]
    assert len(set(ids)) == 4
    assert not set(ids) & {event.id for event in read_obd(other, MAPPING)}


def test_read_obd__gzip__same_times_as_plain(small: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.bin"
    packed.write_bytes(gzip.compress(small.read_bytes()))
    assert [event.occurred_at_ms for event in read_obd(packed, MAPPING)] == [
        event.occurred_at_ms for event in read_obd(small, MAPPING)
    ]


def test_summarize_obd__small_file__what_a_replay_needs(small: Path) -> None:
    summary = summarize_obd(small)
    assert (summary.rows, summary.clicks) == (3, 1)
    assert summary.first_ms == FIRST_MS
    assert summary.last_event_ms == summary.last_ms + CLICK_DELAY_MS
    assert (summary.positions, summary.items) == ((1, 2, 3), (10, 14))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        HEADER.encode() + b"0,yesterday,14,3,0,.03,ab\n",
        HEADER.encode() + b"0,2019-11-24 00:03:13,14,3,0,.03,ab\n",
        HEADER.encode() + b"0,2019-11-24 00:03:13+00:00,x,3,0,.03,ab\n",
        HEADER.encode() + b"0,2019-11-24 00:03:13+00:00,14,3,2,.03,ab\n",
        HEADER.encode() + b"0,2019-11-24 00:03:13+00:00\n",
        HEADER.encode() + b"0,1969-11-24 00:03:13+00:00,14,3,0,.03,ab\n",
        HEADER.encode() + b"0,2019-11-24 00:03:13+00:00,14,9,0,.03,ab\n",
        HEADER.encode() + b"\xff\xfe\n",
        HEADER.encode() + b"0," + b"9" * 200_000 + b",1,1,0\n",
        gzip.compress(HEADER.encode() + ROWS.encode())[:-20],
        b"\x1f\x8bnot gzip",
    ],
    ids=range(13),
)
def test_read_obd__malformed__invalid_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        list(read_obd(path, MAPPING))


def test_summarize_obd__no_rows__invalid_input(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(HEADER)
    with pytest.raises(InvalidInput):
        summarize_obd(path)
    with pytest.raises(InvalidInput):
        summarize_obd(tmp_path / "absent.csv")


def test_read_obd__real_file__10000_impressions_46_clicks() -> None:
    data = Path(os.environ.get("ADTALLY_EVAL_DATA", REPOSITORY.parent / "shared" / "data"))
    path = data / "obd" / "random_men.csv.gz"
    if not path.exists():
        pytest.skip("evaluation data absent: set ADTALLY_EVAL_DATA to the folder that holds obd/")
    summary = summarize_obd(path)
    assert (summary.rows, summary.clicks) == (10_000, 46)
    mapping = ObdMapping(
        1,
        2,
        {position: position for position in summary.positions},
        {item: item + 1 for item in summary.items},
    )
    events = list(read_obd(path, mapping))
    assert len(events) == 10_046
    assert len({event.id for event in events}) == 10_046
    assert [event.occurred_at_ms for event in events if event.type is EventType.IMPRESSION] == (
        sorted(event.occurred_at_ms for event in events if event.type is EventType.IMPRESSION)
    )
    assert events[0].occurred_at_ms == FIRST_MS

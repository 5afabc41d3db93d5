"""The index of event ids: finds every record, survives a restart, notices another log."""

from __future__ import annotations

from pathlib import Path

import pytest

from adtally.errors import NotFound, StorageCorrupt
from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.events.verdict import Verdict
from adtally.evidence.event_ids import EventIds
from adtally.evidence.records import Records, require_one_type

AT_MS = 1_700_000_000_000
RUN = 64


def event_id(number: int) -> bytes:
    return new_event_id(AT_MS + number, number.to_bytes(10, "big"))


def record(number: int, publisher: int = 3, verdict: Verdict = Verdict.ACCEPTED) -> bytes:
    """Impressions, and a click on the one before for every third."""
    is_click = number % 3 == 2
    return AdEvent(
        EventType.CLICK if is_click else EventType.IMPRESSION,
        1,
        publisher,
        7,
        9,
        event_id(number),
        AT_MS + number,
        parent_id=event_id(number - 1) if is_click else bytes(16),
        verdict=verdict,
    ).to_record()


class MemoryLog:
    """Facts now and then between records."""

    def __init__(self, count: int) -> None:
        self.all = [record(n) if n % 10 else b"\x06 time" for n in range(count)]
        self.read: list[int] = []

    @property
    def size(self) -> int:
        return len(self.all)

    def entries(self, start: int, end: int) -> list[bytes]:
        self.read.append(start)
        return self.all[start:end]


def kind_of(number: int) -> EventType:
    return EventType.CLICK if number % 3 == 2 else EventType.IMPRESSION


@pytest.mark.parametrize("count", [0, 1, RUN - 1, RUN, RUN + 1, 5 * RUN + 7])
def test_event_ids__any_size__finds_every_record(tmp_path: Path, count: int) -> None:
    log = MemoryLog(count)
    ids = EventIds(tmp_path, log, RUN)
    assert ids.catch_up() == count
    for number in range(count):
        found = list(ids.find(3, kind_of(number), event_id(number)))
        assert found == ([number] if number % 10 else [])
    assert list(ids.find(4, EventType.IMPRESSION, event_id(1))) == []


def test_event_ids__grown_log__found_after_catching_up(tmp_path: Path) -> None:
    log = MemoryLog(RUN)
    ids = EventIds(tmp_path, log, RUN)
    ids.catch_up()
    log.all += [record(number) for number in range(RUN, 3 * RUN + 5)]
    assert list(ids.find(3, kind_of(RUN + 1), event_id(RUN + 1))) == []
    ids.catch_up()
    assert list(ids.find(3, kind_of(RUN + 1), event_id(RUN + 1))) == [RUN + 1]


def test_event_ids__repeated_event__all_its_places_ascending(tmp_path: Path) -> None:
    log = MemoryLog(2 * RUN)
    places = [1, 5, RUN + 3, 2 * RUN - 1]
    for at in places:
        log.all[at] = record(1)
    ids = EventIds(tmp_path, log, RUN)
    ids.catch_up()
    assert list(ids.find(3, EventType.IMPRESSION, event_id(1))) == places


def test_event_ids__restart__reads_only_what_is_behind_the_runs(tmp_path: Path) -> None:
    EventIds(tmp_path, MemoryLog(4 * RUN + 9), RUN).catch_up()
    log = MemoryLog(4 * RUN + 9)
    again = EventIds(tmp_path, log, RUN)
    again.catch_up()
    assert list(again.find(3, kind_of(7), event_id(7))) == [7]
    # Besides the last entry of each run, which says that it is the same log.
    assert [at for at in log.read if (at + 1) % RUN] == [4 * RUN]


def test_event_ids__few_runs_at_a_time__goes_on_where_it_was(tmp_path: Path) -> None:
    ids = EventIds(tmp_path, MemoryLog(4 * RUN + 9), RUN)
    assert ids.catch_up(1) == RUN
    assert ids.catch_up(2) == 3 * RUN
    assert ids.catch_up() == 4 * RUN + 9


def test_event_ids__another_log_in_its_place__made_anew(tmp_path: Path) -> None:
    EventIds(tmp_path, MemoryLog(3 * RUN), RUN).catch_up()
    other = MemoryLog(3 * RUN)
    other.all[2 * RUN - 1] = record(9_999)
    ids = EventIds(tmp_path, other, RUN)
    ids.catch_up()
    assert list(ids.find(3, kind_of(9_999), event_id(9_999))) == [2 * RUN - 1]
    assert len(list(tmp_path.glob("*.run"))) == 3


def test_event_ids__file_cut_or_salt_gone__made_anew(tmp_path: Path) -> None:
    EventIds(tmp_path, MemoryLog(3 * RUN), RUN).catch_up()
    first, *_ = sorted(tmp_path.glob("*.run"))
    first.write_bytes(first.read_bytes()[:-3])
    for damage in (lambda: None, (tmp_path / "salt").unlink):
        damage()
        ids = EventIds(tmp_path, MemoryLog(3 * RUN), RUN)
        ids.catch_up()
        assert list(ids.find(3, kind_of(4), event_id(4))) == [4]


def test_event_ids__children__only_accepted_ones_under_their_parent(tmp_path: Path) -> None:
    log = MemoryLog(RUN)
    log.all[5] = record(5, verdict=Verdict.KNOWN_BOT)
    ids = EventIds(tmp_path, log, RUN)
    ids.catch_up()
    records = Records(log, ids)
    assert [each.index for each in records.children(3, EventType.CLICK, event_id(1))] == [2]
    assert list(records.children(3, EventType.CLICK, event_id(4))) == []


def test_records__id_of_two_types__says_which(tmp_path: Path) -> None:
    log = MemoryLog(RUN)
    click = AdEvent(
        EventType.CLICK, 1, 3, 7, 9, event_id(1), AT_MS + 1, event_id(4), verdict=Verdict.ACCEPTED
    )
    log.all[8] = click.to_record()
    ids = EventIds(tmp_path, log, RUN)
    ids.catch_up()
    records = Records(log, ids)
    with pytest.raises(NotFound, match="several events") as refused:
        require_one_type(records.occurrences(3, event_id(1)), 3, event_id(1))
    assert "impression, click" in str(refused.value)
    (found,) = require_one_type(records.occurrences(3, event_id(1), EventType.CLICK), 3, b"")
    assert found.index == 8
    with pytest.raises(NotFound, match="no such event"):
        require_one_type(records.occurrences(5, event_id(1)), 5, event_id(1))


def test_records__no_envelope_before__storage_corrupt(tmp_path: Path) -> None:
    records = Records(MemoryLog(RUN), EventIds(tmp_path, MemoryLog(RUN), RUN))
    with pytest.raises(StorageCorrupt, match="no envelope"):
        records.batch_of(9)


def test_event_ids__log_that_can_not_be_read_at_first__nothing_listed_twice(tmp_path: Path) -> None:
    log = MemoryLog(3 * RUN + 5)
    EventIds(tmp_path, log, RUN).catch_up()
    read, left = log.entries, [1]

    def fails_at_the_second(start: int, end: int) -> list[bytes]:
        left[0] -= 1
        if left[0] < 0:
            raise StorageCorrupt("the archive does not answer")
        return read(start, end)

    log.entries = fails_at_the_second  # type: ignore[method-assign]
    ids = EventIds(tmp_path, log, RUN)
    with pytest.raises(StorageCorrupt):
        ids.catch_up()
    log.entries = read  # type: ignore[method-assign]
    assert ids.catch_up() == log.size
    assert list(ids.find(3, kind_of(7), event_id(7))) == [7]


def test_event_ids__salt_of_another_folder__runs_are_made_anew(tmp_path: Path) -> None:
    log = MemoryLog(3 * RUN + 5)
    EventIds(tmp_path, log, RUN).catch_up()
    (tmp_path / "salt").write_bytes(bytes(64))
    ids = EventIds(tmp_path, log, RUN)
    assert ids.catch_up() == log.size
    assert list(ids.find(3, kind_of(7), event_id(7))) == [7]

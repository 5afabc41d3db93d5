"""A log in memory, and events with defaults, for the analytics tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.events.batch import Envelope
from adtally.events.facts import TimeFacts
from adtally.events.record import NO_PARENT, AdEvent, EventType, new_event_id
from adtally.events.verdict import Verdict
from adtally.types import Rates

RATES = Rates(2_500, 700, 11, 30)


class MemoryLog:
    """An EntrySource."""

    def __init__(self) -> None:
        self.log: list[bytes] = []

    @property
    def size(self) -> int:
        return len(self.log)

    def entries(self, start: int, end: int) -> list[bytes]:
        return self.log[start:end]

    def add(self, events: Sequence[AdEvent], received_at_ms: int, member: int = 9) -> None:
        envelope = Envelope(member, 1, len(events), received_at_ms, bytes(20), bytes(65))
        self.log += [envelope.to_entry(), *(event.to_record() for event in events)]

    def add_time(self, at_ms: int) -> None:
        self.log.append(TimeFacts(at_ms).to_entry())


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def make_event() -> Callable[..., AdEvent]:
    made = 0

    def make(kind: EventType = EventType.IMPRESSION, at_ms: int = 10**12, **fields) -> AdEvent:  # type: ignore[no-untyped-def]
        nonlocal made
        made += 1
        event_id = new_event_id(at_ms, made.to_bytes(10, "big"))
        plain = {
            "campaign": 1,
            "publisher": 2,
            "placement": 3,
            "creative": 4,
            "verdict": Verdict.ACCEPTED,
            "parent_id": NO_PARENT if kind is EventType.IMPRESSION else b"p" * 16,
        }
        return AdEvent(type=kind, id=event_id, occurred_at_ms=at_ms, **(plain | fields))

    return make


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "parquet", "test log")


@pytest.fixture
def deriver(log: MemoryLog, dataset: Dataset) -> Deriver:
    return Deriver(log, dataset, lambda campaign, publisher: RATES)

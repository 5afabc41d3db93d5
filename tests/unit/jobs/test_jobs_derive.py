"""Parquet derived in the background: when it is time, and a part at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.events.batch import Envelope
from adtally.events.facts import TimeFacts
from adtally.jobs.derive import DeriveJob
from adtally.log.store import LogStore
from adtally.types import Rates


def deriver_of(store: LogStore, tmp_path: Path) -> Deriver:
    return Deriver(
        store, Dataset(tmp_path / "parquet", "a log"), lambda campaign, publisher: Rates()
    )


@pytest.mark.asyncio
async def test_run__entries_wait__derived_from_the_threshold_on(tmp_path: Path) -> None:
    with LogStore.open(tmp_path / "log") as store:
        deriver = deriver_of(store, tmp_path)
        job = DeriveJob(deriver, store, every_entries=10)
        for size in range(1, 31):
            store.append([TimeFacts(size).to_entry()])
            await job.run()
            assert deriver.dataset.size == size // 10 * 10


@pytest.mark.asyncio
async def test_run__log_ends_inside_a_batch__ends_too(tmp_path: Path) -> None:
    with LogStore.open(tmp_path / "log") as store:
        deriver = deriver_of(store, tmp_path)
        store.append([TimeFacts(1).to_entry()] * 3)
        store.append([Envelope(1, 1, 2, 5, bytes(20), bytes(65)).to_entry()])
        await DeriveJob(deriver, store, every_entries=1).run()
        assert deriver.dataset.size == 3


@pytest.mark.asyncio
async def test_run__long_backlog__whole_in_one_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adtally.analytics.dataset.SEALED_SPAN", 8)
    monkeypatch.setattr("adtally.analytics.next_part.READ_ENTRIES", 4)
    with LogStore.open(tmp_path / "log") as store:
        deriver = deriver_of(store, tmp_path)
        store.append([TimeFacts(1).to_entry()] * 50)
        assert deriver.catch_up(most_parts=1) == 8
        await DeriveJob(deriver, store, every_entries=1).run()
        assert deriver.dataset.size == 50

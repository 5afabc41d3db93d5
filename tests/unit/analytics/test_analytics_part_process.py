"""Large parts made by a process of their own: same part, same errors, no harm when it dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_native_id as gettid
from typing import Any

import pyarrow.parquet
import pytest

from adtally.analytics import derive
from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.errors import StorageCorrupt, StorageFailed
from adtally.types import Rates

RATES = Rates(2_500, 700, 11, 30)


EARLIER: frozenset[int] = frozenset()
"""What other tests of this process have left."""


def children() -> list[int]:
    """Processes that this thread has started in this test and that are still there."""
    pids = Path(f"/proc/self/task/{gettid()}/children").read_text().split()
    return [int(pid) for pid in pids if int(pid) not in EARLIER]


class Watched:
    """A log that lets something happen when it is read."""

    def __init__(self, log: Any, happens: Callable[[], None]) -> None:
        self._log, self._happens = log, happens

    @property
    def size(self) -> int:
        size: int = self._log.size
        return size

    def entries(self, start: int, end: int) -> list[bytes]:
        self._happens()
        entries: list[bytes] = self._log.entries(start, end)
        return entries


@pytest.fixture(autouse=True)
def _all_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(derive, "APART_SPAN", 0)
    monkeypatch.setattr(sys.modules[__name__], "EARLIER", frozenset(children()))
    yield
    assert not children()


def fill(log: Any, make_event: Any, batches: int) -> None:
    for number in range(batches):
        log.add([make_event(publisher=2 + number % 3), make_event()], number)


def open_deriver(log: Any, directory: Path) -> Deriver:
    return Deriver(log, Dataset(directory, "a log"), lambda campaign, publisher: RATES)


def test_catch_up__apart__the_same_files(
    log: Any, make_event: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, make_event, 20)
    apart = open_deriver(log, tmp_path / "apart")
    assert apart.catch_up() == log.size
    fill(log, make_event, 5)
    assert apart.catch_up() == log.size
    monkeypatch.setattr(derive, "APART_SPAN", 1 << 20)
    here = open_deriver(log, tmp_path / "here")
    assert here.catch_up() == log.size
    read = pyarrow.parquet.read_table
    assert read(tmp_path / "apart").equals(read(tmp_path / "here"))


def test_catch_up__entry_does_not_parse__the_error_comes_over(
    log: Any, make_event: Any, tmp_path: Path
) -> None:
    fill(log, make_event, 1)
    log.log.append(log.log[-1])
    with pytest.raises(StorageCorrupt) as raised:
        open_deriver(log, tmp_path).catch_up()
    assert raised.value.found == "a record outside a batch"


def test_catch_up__log_can_not_be_read__raised_here(
    log: Any, make_event: Any, tmp_path: Path
) -> None:
    fill(log, make_event, 1)

    def fails() -> None:
        raise StorageFailed("the archive does not answer")

    with pytest.raises(StorageFailed, match="archive"):
        open_deriver(Watched(log, fails), tmp_path).catch_up()


def test_catch_up__process_is_killed__said_and_done_again(
    log: Any, make_event: Any, tmp_path: Path
) -> None:
    fill(log, make_event, 3)

    def kill() -> None:
        for child in children():
            # As if it had been killed while it wrote.
            (tmp_path / f"leaves.parquet.{child}.tmp").touch()
            os.kill(child, signal.SIGKILL)

    with pytest.raises(StorageFailed, match="ended early"):
        open_deriver(Watched(log, kill), tmp_path).catch_up()
    assert not list(tmp_path.glob("*.tmp"))
    deriver = open_deriver(log, tmp_path)
    assert deriver.catch_up() == log.size
    assert not list(tmp_path.glob("*.tmp"))

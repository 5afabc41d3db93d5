"""Compaction: few large parts, sorted and packed; no row lost or doubled at any crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest

from adtally.analytics import dataset as dataset_module
from adtally.analytics import part_file
from adtally.analytics.currencies import Token
from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.analytics.query import Dimension, ReportQuery
from adtally.analytics.report import Report, report
from adtally.events.record import EventType
from adtally.events.verdict import Verdict
from adtally.types import Rates

RATES = Rates(2_500, 700, 11, 30)
TOKEN = Token("EUR", 6)
SPAN = 64
FAULTS = ("crash", "error")


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "SEALED_SPAN", SPAN)


def open_deriver(log, directory: Path) -> Deriver:  # type: ignore[no-untyped-def]
    return Deriver(log, Dataset(directory, "test log"), lambda campaign, publisher: RATES)


def fill(log, make_event, batches: int) -> None:  # type: ignore[no-untyped-def]
    """Batches of three publishers in turn, with something refused and a click in each."""
    for number in range(batches):
        log.add_time(number)
        publisher = 2 + number % 3
        log.add(
            [
                make_event(publisher=publisher),
                make_event(publisher=publisher, verdict=Verdict.KNOWN_BOT),
                make_event(EventType.CLICK, publisher=publisher, at_ms=10**12 + number),
            ],
            number,
        )


def figures(dataset: Dataset, tree_size: int | None = None) -> Report:
    query = ReportQuery(1, (Dimension.PUBLISHER,), tree_size=tree_size)
    return report(dataset, query, TOKEN)


def leaves(dataset: Dataset) -> list[int]:
    return sorted(
        leaf
        for part in dataset.parts
        for leaf in pyarrow.parquet.read_table(part.path)["leaf_index"].to_pylist()
    )


def records_in(log, end: int) -> list[int]:  # type: ignore[no-untyped-def]
    return [index for index, entry in enumerate(log.log[:end]) if entry[0] == 1]


def test_catch_up__long_backlog__few_large_parts_written_once(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path, monkeypatch
) -> None:
    fill(log, make_event, 100)
    written = []
    write = part_file.pq.write_table

    def counted(table, *args, **options):  # type: ignore[no-untyped-def]
        written.append(table.num_rows)
        write(table, *args, **options)

    monkeypatch.setattr(part_file.pq, "write_table", counted)
    # Else a whole backlog of a test would fit one read.
    monkeypatch.setattr("adtally.analytics.next_part.READ_ENTRIES", 10)
    deriver = open_deriver(log, tmp_path)
    assert deriver.catch_up() == log.size == 500
    # A part of 64 ends before the batch of four entries that does not fit.
    assert [part.span for part in deriver.dataset.parts] == [61, 64] * 4
    assert sum(written) == 300
    assert leaves(deriver.dataset) == records_in(log, log.size)


@pytest.mark.parametrize("step", [1, 3, 11])
def test_catch_up__many_rounds__parts_stay_few(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path, step
) -> None:
    deriver = open_deriver(log, tmp_path)
    for _ in range(120 // step):
        fill(log, make_event, step)
        deriver.catch_up()
        spans = [part.span for part in deriver.dataset.parts]
        old = [span for span in spans if 2 * span >= SPAN]
        assert max(spans) <= SPAN
        assert len(spans) - len(old) <= 6
        assert len(old) <= 2 * log.size / SPAN
    assert leaves(deriver.dataset) == records_in(log, log.size)


def test_packed_part__rows__sorted_and_equal_to_the_young_ones(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path, monkeypatch
) -> None:
    fill(log, make_event, 12)
    packed = open_deriver(log, tmp_path / "packed")
    packed.catch_up()
    monkeypatch.setattr(dataset_module, "SEALED_SPAN", 1 << 20)
    young = open_deriver(log, tmp_path / "young")
    young.catch_up()
    (old_part,), (young_part,) = packed.dataset.parts, young.dataset.parts
    old_rows = pyarrow.parquet.read_table(old_part.path)
    young_rows = pyarrow.parquet.read_table(young_part.path)
    order = [(name, "ascending") for name in ("campaign", "publisher", "occurred_at_ms")]
    order.append(("leaf_index", "ascending"))
    assert old_rows != young_rows
    assert old_rows.equals(young_rows.sort_by(order))
    group = pyarrow.parquet.read_metadata(old_part.path).row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "DELTA_BINARY_PACKED" in columns["leaf_index"].encodings
    assert "RLE_DICTIONARY" in columns["subject"].encodings
    assert figures(packed.dataset) == figures(young.dataset)


def _breaking(patch: pytest.MonkeyPatch, number: int, fault: str) -> Callable[[], bool]:
    """Make file call ``number`` go wrong, once; returns whether it has come to it."""
    left = number
    happened = False

    def breaking(real):  # type: ignore[no-untyped-def]
        def call(*args, **options):  # type: ignore[no-untyped-def]
            nonlocal left, happened
            left -= 1
            if left == -1:
                happened = True
                raise Crash if fault == "crash" else OSError("injected")
            return real(*args, **options)

        return call

    for module, name in (
        (os, "fsync"),
        (os, "replace"),
        (Path, "unlink"),
        (part_file.pq, "write_table"),
        (part_file.pq, "read_table"),
    ):
        patch.setattr(module, name, breaking(getattr(module, name)))
    return lambda: happened


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("rounds", "last"), [([2, 1], 1), ([5, 2, 1], 1), ([6], 25)])
def test_catch_up__fault_at_every_file_call__no_row_lost_or_doubled(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path, monkeypatch, fault, rounds, last
) -> None:
    for batches in rounds:
        fill(log, make_event, batches)
    start = log.size
    fill(log, make_event, last)
    entries, sizes = list(log.log), []
    at = 0
    for batches in rounds:
        at += 5 * batches
        sizes.append(at)
    assert at == start
    truth = open_deriver(log, tmp_path / "truth")
    truth.catch_up()
    calls = 0
    while True:
        directory = tmp_path / str(calls)
        for size in sizes:
            log.log[:] = entries[:size]
            open_deriver(log, directory).catch_up()
        log.log[:] = entries
        deriver = open_deriver(log, directory)
        with monkeypatch.context() as patch:
            happened = _breaking(patch, calls, fault)
            try:
                deriver.catch_up()
            except (Crash, OSError):
                assert happened()
        # After an error the same process goes on with what it has in memory.
        dataset = deriver.dataset if fault == "error" else Dataset(directory, "test log")
        assert dataset.size >= start
        assert leaves(dataset) == records_in(log, dataset.size)
        seen, true = figures(dataset), figures(truth.dataset, dataset.size)
        assert (seen.rows, seen.total) == (true.rows, true.total)
        finish = deriver if fault == "error" else open_deriver(log, directory)
        assert finish.catch_up() == log.size
        assert figures(finish.dataset) == figures(truth.dataset)
        assert leaves(Dataset(directory, "test log")) == records_in(log, log.size)
        assert not list(directory.glob("*.tmp"))
        if not happened():
            break
        calls += 1
    assert calls >= 4


def test_reader__while_parts_are_merged__sees_each_leaf_once(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path
) -> None:
    deriver = open_deriver(log, tmp_path)
    fill(log, make_event, 3)
    deriver.catch_up()
    before = figures(deriver.dataset)
    with deriver.dataset.reading() as parts:
        for _ in range(9):
            fill(log, make_event, 1)
            deriver.catch_up()
            rows = sum(pyarrow.parquet.read_metadata(part.path).num_rows for part in parts)
            assert rows == 9
    assert figures(deriver.dataset, before.tree_size).total == before.total
    assert {path.name for path in tmp_path.iterdir()} == {
        part.path.name for part in deriver.dataset.parts
    }

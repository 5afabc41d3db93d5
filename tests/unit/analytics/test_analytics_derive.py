"""The dataset follows the log from any state, and from any files."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest

from adtally.analytics import dataset as dataset_module
from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.types import Rates

RATES = Rates(2_500, 700, 11, 30)


def derive(log, directory: Path, origin: str = "test log") -> Dataset:  # type: ignore[no-untyped-def]
    dataset = Dataset(directory, origin)
    Deriver(log, dataset, lambda campaign, publisher: RATES).catch_up()
    return dataset


def leaves(dataset: Dataset) -> list[int]:
    return [
        leaf
        for part in dataset.parts
        for leaf in pyarrow.parquet.read_table(part.path)["leaf_index"].to_pylist()
    ]


def records_in(log) -> list[int]:  # type: ignore[no-untyped-def]
    return [index for index, entry in enumerate(log.log) if entry[0] == 1]


def fill(log, make_event, batches: int) -> None:  # type: ignore[no-untyped-def]
    for number in range(batches):
        log.add_time(number)
        log.add([make_event() for _ in range(1 + number % 3)], number)


def test_catch_up__grown_log__adds_what_is_missing(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    assert deriver.catch_up() == 0
    for _ in range(5):
        fill(log, make_event, 3)
        assert deriver.catch_up() == log.size
        assert leaves(dataset) == records_in(log)


def test_catch_up__nothing_new__touches_no_file(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    fill(log, make_event, 4)
    deriver.catch_up()
    before = {path: path.stat().st_mtime_ns for path in dataset.directory.iterdir()}
    deriver.catch_up()
    assert {path: path.stat().st_mtime_ns for path in dataset.directory.iterdir()} == before


def test_catch_up__log_ends_inside_a_batch__waits_for_the_rest(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    log.add([make_event()], 1)
    whole = log.size
    log.add([make_event(), make_event()], 2)
    last = log.log.pop()
    assert deriver.catch_up() == whole
    log.log.append(last)
    assert deriver.catch_up() == log.size
    assert leaves(dataset) == records_in(log)


def test_dataset__many_small_rounds__few_parts(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    for number in range(64):
        log.add([make_event()], number)
        deriver.catch_up()
    assert len(dataset.parts) <= 8
    assert {path.name for path in dataset.directory.iterdir()} == {
        part.path.name for part in dataset.parts
    }


def test_dataset__sealed_parts__not_merged(log, make_event, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(dataset_module, "SEALED_SPAN", 8)
    dataset = Dataset(tmp_path / "parquet", "test log")
    deriver = Deriver(log, dataset, lambda campaign, publisher: RATES)
    for number in range(32):
        log.add([make_event()], number)
        deriver.catch_up()
    assert [part.span for part in dataset.parts] == [8] * 8


def test_dataset__reopened__same_parts(log, make_event, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fill(log, make_event, 9)
    first = derive(log, tmp_path / "parquet")
    again = Dataset(tmp_path / "parquet", "test log")
    assert again.parts == first.parts


def test_dataset__reader_inside__files_stay_until_it_leaves(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    log.add([make_event()], 1)
    deriver.catch_up()
    with dataset.reading() as parts:
        log.add([make_event()], 2)
        deriver.catch_up()
        assert all(part.path.exists() for part in parts)
    assert not any(part.path.exists() for part in parts)
    assert leaves(dataset) == records_in(log)


def test_dataset__torn_or_foreign_files__derived_again(log, make_event, tmp_path) -> None:  # type: ignore[no-untyped-def]
    directory = tmp_path / "parquet"
    for _ in range(3):
        fill(log, make_event, 5)
        derive(log, directory)
    first = Dataset(directory, "test log").parts[0].path
    first.write_bytes(first.read_bytes()[:100])
    (directory / "leaves-0000000000000001-0000000000000009.parquet").write_bytes(b"junk")
    (directory / "notes.txt").write_text("not ours")
    dataset = derive(log, directory)
    assert leaves(dataset) == records_in(log)
    assert (directory / "notes.txt").exists()


def test_dataset__other_origin__derived_again(log, make_event, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fill(log, make_event, 5)
    derive(log, tmp_path / "parquet", "one log")
    other = Dataset(tmp_path / "parquet", "another log")
    assert other.parts == ()


@pytest.mark.parametrize("shorter", [True, False])
def test_catch_up__log_replaced_under_it__derived_again(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path, shorter
) -> None:
    fill(log, make_event, 5)
    derive(log, tmp_path / "parquet")
    log.log.clear()
    fill(log, make_event, 2 if shorter else 7)
    assert leaves(derive(log, tmp_path / "parquet")) == records_in(log)

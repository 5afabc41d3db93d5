"""The store in fair weather: append, read, rotate, reopen; and what it refuses."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from adtally.errors import Conflict, InvalidInput, StorageCorrupt, StorageFailed, StorageFull
from adtally.log.bundle import encode_bundle
from adtally.log.files import OsFiles
from adtally.log.store import LOCK_NAME, Frame, LogStore

SEGMENT = 4096


def batches(seed: int, number: int) -> list[list[bytes]]:
    content = random.Random(seed)
    return [
        [content.randbytes(109), *(content.randbytes(112) for _ in range(content.randrange(1, 9)))]
        for _ in range(number)
    ]


def segments(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("segment-*.log"))


def test_store__new__is_empty(tmp_path: Path) -> None:
    with LogStore.open(tmp_path / "a" / "log") as store:
        assert store.size == 0
        assert store.entries(0, 0) == []
        assert list(store.frames()) == []


def test_store__appended__read_back_by_any_range(tmp_path: Path) -> None:
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        expected: list[bytes] = []
        for batch in batches(1, 12):
            assert store.append(batch) == len(expected)
            expected += batch
            assert store.size == len(expected)
        assert len(segments(tmp_path)) > 1
        for start in range(0, len(expected) + 1, 3):
            for end in range(start, len(expected) + 1, 5):
                assert store.entries(start, end) == expected[start:end]
        assert [store.entry(index) for index in range(store.size)] == expected
        assert store.bundle(2, 40) == encode_bundle(expected[2:40])


def test_store__reopened__has_the_same_frames_and_goes_on(tmp_path: Path) -> None:
    made = batches(2, 30)
    first = 0
    frames = []
    for round_start in range(0, 30, 5):
        with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
            assert list(store.frames()) == frames
            for batch in made[round_start : round_start + 5]:
                assert store.append(batch) == first
                frames.append(Frame(first, batch))
                first += len(batch)
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        assert list(store.frames()) == frames
        for frame in frames:
            end = frame.first_index + len(frame.entries)
            assert {store.commit_end(index) for index in range(frame.first_index, end)} == {end}
        assert next(store.frames(frames[3].first_index)) == frames[3]
        assert next(store.frames(frames[3].first_index + 1)) == frames[3]


def test_store__segments__are_preallocated_and_named_by_first_index(tmp_path: Path) -> None:
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        while len(segments(tmp_path)) < 3:
            last = store.append([b"x" * 112] * 4)
    names = segments(tmp_path)
    assert names[0] == "segment-0000000000000000.log"
    assert names[2] == f"segment-{last:016d}.log"
    first, second, newest = ((tmp_path / name).stat().st_size for name in names)
    assert newest == SEGMENT
    # A full one ends with its last frame.
    assert SEGMENT <= first == second < SEGMENT + 1_000


def test_store__frame_larger_than_a_segment__makes_it_full(tmp_path: Path) -> None:
    large = [b"y" * 60_000] * 3
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        store.append([b"small"])
        store.append(large)
        store.append([b"small again"])
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        assert store.entries(0, 5) == [b"small", *large, b"small again"]
    assert segments(tmp_path) == [f"segment-{first:016d}.log" for first in (0, 4)]


def test_take_room__full_or_read_only_disk__refused_and_nothing_changed(tmp_path: Path) -> None:
    class Disk(OsFiles):
        refuses: int | None = None

        def preallocate(self, descriptor: int, size: int) -> None:
            if self.refuses is not None:
                raise OSError(self.refuses, "injected")
            super().preallocate(descriptor, size)

        def open(self, path: Path, *, create: bool = False) -> int:
            if create and self.refuses == errno.EROFS:
                raise OSError(errno.EROFS, "injected")
            return super().open(path, create=create)

    disk = Disk()
    with LogStore.open(tmp_path, segment_bytes=SEGMENT, files=disk) as store:
        written = 0
        for refuses in (errno.ENOSPC, errno.EROFS, errno.EDQUOT) * 5:
            disk.refuses = refuses
            # What was taken before is there to be used.
            while store.has_room(500):
                assert store.append([b"x" * 112] * 4) == written
                written += 4
            with pytest.raises(StorageFull, match="no room"):
                store.take_room(500)
            disk.refuses = None
            store.take_room(500)
            assert store.has_room(500)
        assert len(segments(tmp_path)) > 2
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        assert store.size == written


def test_take_room__disk_that_does_not_answer__is_no_full_one(tmp_path: Path) -> None:
    class Dead(OsFiles):
        def preallocate(self, descriptor: int, size: int) -> None:
            raise OSError(errno.EIO, "injected")

    with LogStore.open(tmp_path, files=Dead()) as store, pytest.raises(StorageFailed):
        store.take_room(1)


def test_store__opened_with_another_segment_size__goes_on(tmp_path: Path) -> None:
    expected: list[bytes] = []
    for size in (4096, 65_536, 512, 4096):
        with LogStore.open(tmp_path, segment_bytes=size) as store:
            for batch in batches(size, 10):
                store.append(batch)
                expected += batch
    with LogStore.open(tmp_path) as store:
        assert store.entries(0, store.size) == expected


def test_store__second_writer__refused_until_the_first_closes(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    with pytest.raises(Conflict):
        LogStore.open(tmp_path)
    store.close()
    LogStore.open(tmp_path).close()


def test_store__closed__takes_nothing_and_closes_twice(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StorageFailed):
        store.append([b"late"])


@pytest.mark.parametrize("entries", [[], [b""], [b"fine", b""], [b"x" * 65_536]])
def test_append__bad_entries__refused_and_nothing_written(
    tmp_path: Path, entries: list[bytes]
) -> None:
    with LogStore.open(tmp_path) as store:
        store.append([b"before"])
        with pytest.raises(InvalidInput):
            store.append(entries)
        assert store.append([b"after"]) == 1
        assert store.entries(0, 2) == [b"before", b"after"]


def test_store__range_outside__refused(tmp_path: Path) -> None:
    with LogStore.open(tmp_path) as store:
        store.append([b"a", b"b"])
        for start, end in ((0, 3), (-1, 1), (2, 1), (3, 3)):
            with pytest.raises(InvalidInput):
                store.entries(start, end)
        for index in (-1, 2):
            with pytest.raises(InvalidInput):
                store.commit_end(index)
            with pytest.raises(InvalidInput):
                store.entry(index)


def test_store__other_files_in_the_directory__left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "segment-1.log", "segment-0000000000000000.log.bak"):
        (tmp_path / name).write_bytes(b"mine")
    with LogStore.open(tmp_path) as store:
        store.append([b"a"])
    assert (tmp_path / "segment-1.log").read_bytes() == b"mine"
    assert (tmp_path / LOCK_NAME).exists()


@pytest.mark.parametrize("number", [0, 1])
def test_store__missing_segment__refused_by_name(tmp_path: Path, number: int) -> None:
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        while len(segments(tmp_path)) < 3:
            store.append([b"x" * 112] * 4)
    names = segments(tmp_path)
    (tmp_path / names[number]).unlink()
    with pytest.raises(StorageCorrupt) as caught:
        LogStore.open(tmp_path, segment_bytes=SEGMENT)
    assert caught.value.field == names[number + 1]
    with pytest.raises(StorageCorrupt):
        LogStore.open(tmp_path, segment_bytes=SEGMENT)


def test_store__rubbish_behind_a_full_segment__refused(tmp_path: Path) -> None:
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        while len(segments(tmp_path)) < 2:
            store.append([b"x" * 112] * 3)
    full = tmp_path / segments(tmp_path)[0]
    data = bytearray(full.read_bytes())
    data[-1] = 1
    full.write_bytes(data)
    with pytest.raises(StorageCorrupt) as caught:
        LogStore.open(tmp_path, segment_bytes=SEGMENT)
    assert caught.value.field == full.name


def test_store__bit_flipped_under_an_open_store__found_on_reading(tmp_path: Path) -> None:
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        store.append([b"a" * 112] * 3)
        store.append([b"b" * 112] * 3)
        path = tmp_path / segments(tmp_path)[0]
        data = bytearray(path.read_bytes())
        data[500] ^= 4
        path.write_bytes(data)
        assert store.entry(0) == b"a" * 112
        with pytest.raises(StorageCorrupt) as caught:
            store.entry(3)
        assert caught.value.field == path.name


def test_store__segment_gone_under_an_open_store__says_so(tmp_path: Path) -> None:
    with LogStore.open(tmp_path) as store:
        store.append([b"a"])
        (tmp_path / segments(tmp_path)[0]).unlink()
        with pytest.raises(StorageFailed):
            store.entry(0)

"""A store whose old segments are in the archive alone."""

from __future__ import annotations

import asyncio
import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adtally.errors import Overloaded, StorageCorrupt, StorageFailed
from adtally.log.archive import Archive
from adtally.log.archived_files import ArchivedFiles
from adtally.log.archiver import Archiver
from adtally.log.files import OsFiles
from adtally.log.store import LogStore
from support.archived_log import (
    ORIGIN,
    SEGMENT,
    FaultyTarget,
    archive_all,
    made_entries,
    segments,
    tree_of,
    write_log,
)

BATCHES = made_entries(4, 40)
ENTRIES = [entry for batch in BATCHES for entry in batch]


class Site:
    """A log, its archive, and how they are opened."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.folder = folder / "archive"
        self.cache = folder / "cache"
        self.target = FaultyTarget()
        self.archive = Archive(self.target, str(self.folder))
        self.files = ArchivedFiles(self.log, self.archive, ORIGIN, self.cache, cached_segments=2)

    def open(self) -> LogStore:
        return LogStore.open(self.log, segment_bytes=SEGMENT, files=self.files)

    def break_target(self) -> None:
        """Every call from here on fails."""
        self.target.run = self._fail  # type: ignore[method-assign]

    def mend_target(self) -> None:
        del self.target.run

    @staticmethod
    def _fail(*calls: object) -> None:
        raise TimeoutError("nobody answers")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Archived, and all but two sealed segments dropped."""
    site = Site(tmp_path)
    write_log(site.log, BATCHES)
    with site.open() as store:
        archiver = Archiver(store, site.archive, ORIGIN)
        archive_all(archiver, tree_of(store))
        assert archiver.drop_local(2) == 2
        assert archiver.drop_local(2) == 2
    assert len(segments(site.log)) == 3
    assert len(segments(site.folder)) > 6
    return site


def test_store__old_segments_archived_only__reads_recovers_and_goes_on(site: Site) -> None:
    for _ in range(2):
        with site.open() as store:
            assert store.entries(0, store.size)[: len(ENTRIES)] == ENTRIES
            assert [frame.entries for frame in store.frames()][:40] == BATCHES
            for index in range(0, len(ENTRIES), 7):
                assert store.entry(index) == ENTRIES[index]
            store.append([b"more"])
            assert len(segments(site.cache)) <= 2


def test_drop__while_readers_read__they_see_every_entry(tmp_path: Path) -> None:
    site = Site(tmp_path)
    write_log(site.log, BATCHES)
    with site.open() as store:
        archiver = Archiver(store, site.archive, ORIGIN)
        archive_all(archiver, tree_of(store))
        frames = store.frames()
        seen = [next(frames).entries]
        archiver.drop_local(1)
        seen += [frame.entries for frame in frames]
    assert seen == BATCHES


def test_drop__archived_copy_damaged__local_one_stays(tmp_path: Path) -> None:
    site = Site(tmp_path)
    write_log(site.log, BATCHES)
    before = segments(site.log)
    with site.open() as store:
        archiver = Archiver(store, site.archive, ORIGIN)
        archive_all(archiver, tree_of(store))
        path = sorted(site.folder.glob("*.log"))[1]
        data = bytearray(path.read_bytes())
        data[99] ^= 1
        path.write_bytes(data)
        with pytest.raises(StorageCorrupt):
            archiver.drop_local(1)
        first = store.sealed_segments()[0].path.name
        assert before.keys() - segments(site.log).keys() == {first}


@pytest.mark.parametrize("tail", [bytes(512), b"\x00\x01", b""])
def test_drop__local_copy_longer_than_the_archived_one__only_zeros_are_let_go(
    tmp_path: Path, tail: bytes
) -> None:
    site = Site(tmp_path)
    write_log(site.log, BATCHES)
    with site.open() as store:
        archiver = Archiver(store, site.archive, ORIGIN)
        archive_all(archiver, tree_of(store))
        path = store.sealed_segments()[0].path
        data = path.read_bytes()
        path.write_bytes(data + tail if tail else data[:-1])
        if tail == bytes(512):
            assert archiver.drop_local(1) == 1
            assert store.entries(0, store.size) == ENTRIES
        else:
            with pytest.raises(StorageCorrupt, match="differ"):
                archiver.drop_local(1)
            assert path.exists()


def test_sealed_segments__directory_not_synced_yet__last_one_may_be_written_again(
    tmp_path: Path,
) -> None:
    with LogStore.open(tmp_path, segment_bytes=SEGMENT, files=_UnsyncedFiles()) as store:
        for batch in BATCHES:
            sealed = [segment.path.name for segment in store.sealed_segments()]
            try:
                store.append(batch)
            except StorageFailed:
                break
        names = sorted(segments(tmp_path))
        assert len(names) == 2
        assert [segment.path.name for segment in store.sealed_segments()] == sealed == []


class _UnsyncedFiles(OsFiles):
    """The disk fails when the second segment's name is to be synced."""

    def sync_directory(self, directory: Path) -> None:
        if len(segments(directory)) == 2:
            raise OSError(errno.EIO, "injected")
        super().sync_directory(directory)


def test_open__all_segments_local__archive_is_not_asked(tmp_path: Path) -> None:
    site = Site(tmp_path)
    write_log(site.log, BATCHES)
    site.break_target()
    with site.open() as store:
        assert store.entries(0, store.size) == ENTRIES
        store.append([b"more"])


def test_open__archive_down_or_foreign_or_damaged__refused(site: Site) -> None:
    site.break_target()
    with pytest.raises(StorageFailed, match="list"):
        site.open()
    site.mend_target()
    foreign = ArchivedFiles(site.log, site.archive, "another log", site.cache)
    with pytest.raises(StorageFailed, match="neither here nor in the archive"):
        LogStore.open(site.log, files=foreign)
    path = sorted(site.folder.glob("*.log"))[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageCorrupt):
        site.open()
    assert not list(site.cache.iterdir())


def test_open__archive_lacks_a_dropped_segment__refused(site: Site) -> None:
    path = sorted(site.folder.glob("*.log"))[1]
    path.unlink()
    with pytest.raises(StorageCorrupt, match="gap"):
        site.open()


def test_open__newest_segments_lost_or_folder_empty__refused(site: Site) -> None:
    shutil.rmtree(site.log)
    with pytest.raises(StorageCorrupt, match="newer segments"):
        site.open()


def test_files__of_another_folder__have_nothing_to_do_with_the_archive(
    site: Site, tmp_path: Path
) -> None:
    site.break_target()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "level-0").write_bytes(b"hashes")
    assert site.files.list_names(tmp_path / "tree") == ["level-0"]
    with pytest.raises(FileNotFoundError):
        site.files.read(tmp_path / "tree" / next(iter(segments(site.folder))), 0, 10)


def test_open__without_the_archive__says_what_is_missing(site: Site) -> None:
    with pytest.raises(StorageCorrupt, match="gap"):
        LogStore.open(site.log)


def test_read__archive_down_while_serving__local_entries_and_appends_go_on(site: Site) -> None:
    with site.open() as store:
        # Opening has read all segments in order: the first one is out of the cache again.
        site.break_target()
        with pytest.raises(StorageFailed):
            store.entry(0)
        assert store.entry(len(ENTRIES) - 1) == ENTRIES[-1]
        store.append([b"more"])
        site.mend_target()
        assert store.entry(0) == ENTRIES[0]


def test_read__target_hangs__others_are_told_to_come_again(site: Site) -> None:
    files = ArchivedFiles(
        site.log, site.archive, ORIGIN, site.cache, cached_segments=1, patience_seconds=0.1
    )
    with LogStore.open(site.log, segment_bytes=SEGMENT, files=files) as store:
        asked, answer = threading.Event(), threading.Event()
        run = site.target.run

        def hang(call: Callable[[], Any], half: Callable[[], Any] = lambda: None) -> Any:
            asked.set()
            assert answer.wait(30)
            return run(call, half)

        site.target.run = hang  # type: ignore[method-assign]
        found: list[bytes] = []
        first = threading.Thread(target=lambda: found.append(store.entry(0)))
        first.start()
        assert asked.wait(30)
        with pytest.raises(Overloaded):
            store.entry(len(ENTRIES) // 2)
        assert store.entry(len(ENTRIES) - 1) == ENTRIES[-1]
        answer.set()
        first.join()
        assert found == [ENTRIES[0]]
        assert store.entry(len(ENTRIES) // 2) == ENTRIES[len(ENTRIES) // 2]


@pytest.mark.asyncio
async def test_read__in_the_event_loop__never_waits_and_is_there_later(site: Site) -> None:
    with site.open() as store:
        # Recovery itself may wait: nothing is served yet.
        assert store.entry(len(ENTRIES) // 2) == ENTRIES[len(ENTRIES) // 2]
        site.files.spare_event_loops()
        with pytest.raises(Overloaded):
            store.entry(0)
        while True:
            try:
                assert store.entry(0) == ENTRIES[0]
                break
            except Overloaded:
                await asyncio.sleep(0.01)
        index = len(ENTRIES) // 3
        assert await asyncio.to_thread(store.entry, index) == ENTRIES[index]


def test_archive__restarted_with_dropped_segments__needs_no_local_copy(site: Site) -> None:
    with site.open() as store:
        archiver = Archiver(store, site.archive, ORIGIN)
        archive_all(archiver, tree_of(store))
        assert archiver.archived_entries == store.sealed_segments()[-1].end_index
        assert archiver.drop_local(1) == 1
    # Nothing of this needs the archiver of before.
    write_log_through(site)
    assert archived_again(site) > archiver.archived_entries


def write_log_through(site: Site) -> None:
    with site.open() as store:
        for batch in made_entries(8, 30):
            store.append(batch)


def archived_again(site: Site) -> int:
    with site.open() as store:
        archiver = Archiver(store, site.archive, ORIGIN)
        archive_all(archiver, tree_of(store))
        return archiver.archived_entries

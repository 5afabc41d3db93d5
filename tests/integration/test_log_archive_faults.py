"""A failing target and a dying process at every call of an archive run.

After each fault the archiver goes on (after an error) or a new one begins (after a crash). In the
end the archive is the sealed segments, byte for byte, and at no time does a segment count that is
not whole.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adtally.errors import StorageFailed
from adtally.log.archive import Archive
from adtally.log.archived_files import ArchivedFiles
from adtally.log.archiver import Archiver
from adtally.log.restore import restore
from adtally.log.store import LogStore
from support.archived_log import (
    ORIGIN,
    SEGMENT,
    Crash,
    FaultyTarget,
    archive_all,
    local_archive,
    made_entries,
    segments,
    tree_of,
    write_log,
)

FAULTS = ["error", "half, then error", "crash", "crash after", "half, then crash"]


def counted(target: Path) -> dict[str, bytes]:
    """The segments whose manifest is whole, as a restore sees them."""
    found = segments(target)
    return {
        name: data
        for name, data in found.items()
        if (note := (target / name).with_suffix(".json")).exists()
        and note.read_bytes().endswith(b"}\n")
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_archive__fault_at_every_call__complete_in_the_end(fault: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(log, made_entries(5, 12))
    *sealed, _ = segments(log).items()
    with LogStore.open(log, segment_bytes=SEGMENT) as store:
        tree = tree_of(store)
        at = 0
        while True:
            folder = tmp_path / f"archive-{at}"
            target = FaultyTarget(at, fault)
            archiver = Archiver(store, Archive(target, str(folder)), ORIGIN)
            try:
                archive_all(archiver, tree)
            except (StorageFailed, Crash) as raised:
                assert counted(folder).items() <= dict(sealed).items()
                if isinstance(raised, Crash):
                    archiver = Archiver(store, local_archive(folder), ORIGIN)
                archive_all(archiver, tree)
            assert counted(folder) == segments(folder) == dict(sealed)
            if not target.happened:
                break
            at += 1
    assert at >= 20


@pytest.mark.parametrize("fault", ["error", "crash"])
def test_restore__fault_at_every_call__complete_in_the_end(fault: str, tmp_path: Path) -> None:
    write_log(tmp_path / "log", made_entries(6, 12))
    folder = tmp_path / "archive"
    with LogStore.open(tmp_path / "log", segment_bytes=SEGMENT) as store:
        archive_all(Archiver(store, local_archive(folder), ORIGIN), tree_of(store))
    at = 0
    while True:
        target = FaultyTarget(at, fault)
        directory = tmp_path / f"restored-{at}"
        try:
            restore(Archive(target, str(folder)), directory)
        except (StorageFailed, Crash):
            assert not directory.exists()
            restore(local_archive(folder), directory)
        *same, (_, empty) = segments(directory).items()
        assert dict(same) == segments(folder)
        assert empty == b""
        if not target.happened:
            break
        at += 1
    assert at >= 10


@pytest.mark.parametrize("fault", ["error", "crash"])
def test_drop__fault_at_every_call__every_entry_stays_readable(fault: str, tmp_path: Path) -> None:
    batches = made_entries(7, 20)
    at = 0
    while True:
        log, folder = tmp_path / f"log-{at}", tmp_path / f"archive-{at}"
        write_log(log, batches)
        target = FaultyTarget(-1, fault)
        archive = Archive(target, str(folder))
        files = ArchivedFiles(log, archive, ORIGIN, tmp_path / f"cache-{at}")
        with LogStore.open(log, segment_bytes=SEGMENT, files=files) as store:
            archiver = Archiver(store, archive, ORIGIN)
            archive_all(archiver, tree_of(store))
            target.count, target.at = 0, at
            try:
                archiver.drop_local(1)
            except (StorageFailed, Crash):
                archiver.drop_local(1)
            happened = target.happened
            target.at = -1
        with LogStore.open(log, segment_bytes=SEGMENT, files=files) as store:
            assert len(segments(log)) == 2
            assert store.entries(0, store.size) == [e for batch in batches for e in batch]
        if not happened:
            break
        at += 1
    assert at >= 5

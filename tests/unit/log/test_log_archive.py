"""Archiving and restoring in fair weather, and what both refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from adtally.errors import (
    AdtallyError,
    Conflict,
    InvalidInput,
    StorageCorrupt,
    StorageFailed,
    VerificationFailed,
)
from adtally.log.archive import Archive
from adtally.log.archiver import Archiver
from adtally.log.manifest import Manifest
from adtally.log.restore import restore
from adtally.log.store import LogStore
from support.archived_log import (
    ORIGIN,
    SEGMENT,
    FaultyTarget,
    archive_all,
    archived,
    local_archive,
    made_entries,
    segments,
    tree_of,
    write_log,
)

BATCHES = made_entries(1, 30)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write_log(tmp_path / "log", BATCHES)
    return tmp_path / "log"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def manifests(target: Path) -> list[Path]:
    return sorted(target.glob("*.json"))


def test_archive__sealed_segments__byte_for_byte_with_true_manifests(
    log: Path, target: Path
) -> None:
    end = archived(log, local_archive(target))
    local = segments(log)
    *sealed, newest = local
    assert len(sealed) > 2
    assert segments(target) == {name: local[name] for name in sealed}
    assert newest == f"segment-{end:016d}.log"
    with LogStore.open(log, segment_bytes=SEGMENT) as store:
        tree = tree_of(store)
    for path in manifests(target):
        manifest = Manifest.parse(path.read_bytes(), path.name)
        assert manifest.origin == ORIGIN
        assert manifest.root_hash == tree.root(manifest.end_index)


def test_archive__again_and_grown__adds_only_what_is_new(log: Path, target: Path) -> None:
    archived(log, local_archive(target))
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    archived(log, local_archive(target))
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before
    write_log(log, made_entries(2, 30))
    archived(log, local_archive(target))
    after = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert len(after) > len(before)
    assert before.items() <= after.items()


def test_archive__memory_target__holds_and_restores(log: Path, tmp_path: Path) -> None:
    archive = Archive.open("memory://some/folder")
    try:
        end = archived(log, archive)
        restored = restore(archive, tmp_path / "restored")
        assert restored.tree_size == end
        assert archive.place == "memory:///some/folder"
    finally:
        MemoryFileSystem.store.clear()


@pytest.mark.parametrize("url", ["nosuchkind://x", "s3", "gopher://host/x"])
def test_open__unusable_url__says_so(url: str, tmp_path: Path) -> None:
    if url == "s3":
        # A plain path is a local folder to fsspec.
        assert Archive.open(str(tmp_path)).sizes() == {}
        return
    with pytest.raises(InvalidInput):
        Archive.open(url)


def test_archive__other_bytes_under_the_name__conflict_and_untouched(
    log: Path, target: Path
) -> None:
    target.mkdir()
    name = next(iter(segments(log)))
    for strange in (b"not ours", bytes(10**6)):
        (target / name).write_bytes(strange)
        with pytest.raises(Conflict):
            archived(log, local_archive(target))
        assert segments(target) == {name: strange}
        assert not manifests(target)


def test_archive__half_copied__taken_up_again(log: Path, target: Path) -> None:
    target.mkdir()
    name, data = next(iter(segments(log).items()))
    for half in (b"", data[:700], data):
        (target / name).write_bytes(half)
        archived(log, local_archive(target))
        assert segments(target)[name] == data
        (target / name).with_suffix(".json").unlink()


def test_archive__manifest_half_written__finished(log: Path, target: Path) -> None:
    archived(log, local_archive(target))
    for path in manifests(target):
        whole = path.read_bytes()
        path.write_bytes(whole[:40])
        archived(log, local_archive(target))
        assert path.read_bytes() == whole


def test_archive__unfinished_manifest_of_something_else__conflict_and_untouched(
    log: Path, target: Path
) -> None:
    archived(log, local_archive(target))
    path = manifests(target)[0]
    path.write_bytes(b'{\n  "version": 9')
    with pytest.raises(Conflict):
        archived(log, local_archive(target))
    assert path.read_bytes() == b'{\n  "version": 9'


class _LossyTarget(FaultyTarget):
    """Says nothing, and keeps something else."""

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "wb":
            Path(path).write_bytes(b"something else")
            path = os.devnull
        return super().open(path, mode, **options)


def test_archive__target_keeps_other_bytes__never_counted(log: Path, target: Path) -> None:
    with pytest.raises(StorageCorrupt):
        archived(log, Archive(_LossyTarget(), str(target)))
    assert not manifests(target)


def test_archive__local_target__object_is_on_disk_before_its_manifest_is_written(
    log: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        synced.append((path.name, path.with_suffix(".json").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    archived(log, local_archive(target))
    for name in segments(target):
        first = synced.index((name, False))
        assert synced[first + 1][0] == target.name
        assert (Path(name).with_suffix(".json").name, True) in synced[first:]


@pytest.mark.parametrize("other", ["origin", "entries"])
def test_archive__another_log_there__conflict_and_untouched(
    other: str, log: Path, target: Path, tmp_path: Path
) -> None:
    archived(log, local_archive(target))
    before = segments(target)
    if other == "origin":
        with pytest.raises(Conflict):
            archived(log, local_archive(target), origin="another log")
    else:
        write_log(tmp_path / "other", made_entries(9, 60))
        with pytest.raises(Conflict):
            archived(tmp_path / "other", local_archive(target))
    assert segments(target) == before


def test_archive__ahead_of_the_log__conflict(log: Path, target: Path, tmp_path: Path) -> None:
    archived(log, local_archive(target))
    write_log(tmp_path / "older", BATCHES[:8])
    with pytest.raises(Conflict, match="more of a log"):
        archived(tmp_path / "older", local_archive(target))


def test_archive__local_segment_damaged__never_archived(log: Path, target: Path) -> None:
    with LogStore.open(log, segment_bytes=SEGMENT) as store:
        archiver = Archiver(store, local_archive(target), ORIGIN)
        tree = tree_of(store)
        path = store.sealed_segments()[1].path
        data = bytearray(path.read_bytes())
        data[300] ^= 1
        path.write_bytes(data)
        with pytest.raises(StorageCorrupt):
            archive_all(archiver, tree)
        assert archiver.archived_segments == 1
        assert path.name not in segments(target)


def test_archive__object_shortened_later__noticed_at_the_next_start(
    log: Path, target: Path
) -> None:
    archived(log, local_archive(target))
    name, data = list(segments(target).items())[1]
    (target / name).write_bytes(data[:-1])
    with pytest.raises(StorageCorrupt):
        archived(log, local_archive(target))
    (target / name).unlink()
    with pytest.raises(StorageCorrupt):
        archived(log, local_archive(target))


def test_restore__whole_archive__same_segments_and_the_log_goes_on(
    log: Path, target: Path, tmp_path: Path
) -> None:
    end = archived(log, local_archive(target))
    data_dir = tmp_path / "new"
    restored = restore(local_archive(target), data_dir / "log", origin=ORIGIN)
    assert (restored.tree_size, restored.segments) == (end, len(segments(target)))
    assert restored.not_counted == ()
    assert segments(data_dir / "log") == segments(target) | {f"segment-{end:016d}.log": b""}
    assert [path.name for path in data_dir.iterdir()] == ["log"]
    with (
        LogStore.open(log, segment_bytes=SEGMENT) as old,
        LogStore.open(data_dir / "log", segment_bytes=SEGMENT) as new,
    ):
        assert new.entries(0, new.size) == old.entries(0, end)
        assert restored.root_hash == tree_of(old).root(end)
        new.append([b"next"])
    # What is logged afterwards is in a segment of its own, so the archive goes on as well.
    write_log(data_dir / "log", made_entries(3, 30))
    assert archived(data_dir / "log", local_archive(target)) > end


def test_restore__newer_local_segment_put_in_place__nothing_is_lost(
    log: Path, target: Path, tmp_path: Path
) -> None:
    end = archived(log, local_archive(target))
    restore(local_archive(target), tmp_path / "new")
    newest = f"segment-{end:016d}.log"
    (tmp_path / "new" / newest).write_bytes((log / newest).read_bytes())
    with LogStore.open(log) as old, LogStore.open(tmp_path / "new") as new:
        assert new.size == old.size > end
        assert new.entries(0, new.size) == old.entries(0, old.size)


def test_restore__interrupted__goes_on_and_needs_no_object_twice(
    log: Path, target: Path, tmp_path: Path
) -> None:
    archived(log, local_archive(target))

    class Stop(Exception):
        pass

    def stop(manifest: Manifest) -> None:
        if manifest.first_index:
            raise Stop

    with pytest.raises(Stop):
        restore(local_archive(target), tmp_path / "new", on_segment=stop)
    assert not (tmp_path / "new").exists()
    kept = sorted((tmp_path / "new.restoring").iterdir())
    times = [path.stat().st_mtime_ns for path in kept]
    kept[1].write_bytes(b"torn")
    restored = restore(local_archive(target), tmp_path / "new")
    assert restored.segments == len(segments(target))
    assert (tmp_path / "new" / kept[0].name).stat().st_mtime_ns == times[0]
    assert not (tmp_path / "new.restoring").exists()


def test_restore__log_in_place_or_in_use__conflict_and_untouched(
    log: Path, target: Path, tmp_path: Path
) -> None:
    archived(log, local_archive(target))
    before = segments(log)
    with pytest.raises(Conflict):
        restore(local_archive(target), log)
    assert segments(log) == before
    with LogStore.open(tmp_path / "new"), pytest.raises(Conflict):
        restore(local_archive(target), tmp_path / "new")
    restore(local_archive(target), tmp_path / "new")


def test_restore__unfinished_copy_at_the_end__told_and_not_counted(
    log: Path, target: Path, tmp_path: Path
) -> None:
    archived(log, local_archive(target))
    last = manifests(target)[-1]
    start = json.loads(last.read_bytes())["first_index"]
    for number, unfinished in enumerate((last.read_bytes()[:-1], b"", None)):
        if unfinished is None:
            last.unlink()
        else:
            last.write_bytes(unfinished)
        restored = restore(local_archive(target), tmp_path / str(number))
        assert restored.tree_size == start
        assert restored.not_counted == (last.with_suffix(".log").name,)


def _damaged(name: str, target: Path) -> type[AdtallyError]:
    """Do it; returns the error to expect."""
    objects, notes = sorted(target.glob("*.log")), manifests(target)
    match name:
        case "bit":
            data = bytearray(objects[1].read_bytes())
            data[400] ^= 4
            objects[1].write_bytes(data)
            return StorageCorrupt
        case "truncated":
            objects[1].write_bytes(objects[1].read_bytes()[:-5])
            return StorageCorrupt
        case "object missing":
            objects[1].unlink()
            return StorageCorrupt
        case "both missing":
            objects[1].unlink()
            notes[1].unlink()
            return VerificationFailed
        case "manifest missing":
            notes[1].unlink()
            return VerificationFailed
        case "first missing":
            objects[0].unlink()
            notes[0].unlink()
            return VerificationFailed
        case "manifests swapped":
            first, second = notes[0].read_bytes(), notes[1].read_bytes()
            notes[0].write_bytes(second)
            notes[1].write_bytes(first)
            return VerificationFailed
        case "root":
            values = json.loads(notes[1].read_bytes())
            values["root_hash"] = "0x" + "00" * 32
            notes[1].write_text(json.dumps(values, indent=2) + "\n")
            return VerificationFailed
        case _:
            raise AssertionError(name)


DAMAGES = [
    "bit",
    "truncated",
    "object missing",
    "both missing",
    "manifest missing",
    "first missing",
    "manifests swapped",
    "root",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_restore__damaged_archive__refused_and_no_log_appears(
    damage: str, log: Path, target: Path, tmp_path: Path
) -> None:
    archived(log, local_archive(target))
    expected = _damaged(damage, target)
    with pytest.raises(expected):
        restore(local_archive(target), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_restore__segment_of_a_foreign_log_in_the_row__refused(
    log: Path, target: Path, tmp_path: Path
) -> None:
    archived(log, local_archive(target))
    lengths = [[bytes(len(entry)) for entry in batch] for batch in BATCHES]
    write_log(tmp_path / "foreign", lengths)
    archived(tmp_path / "foreign", local_archive(tmp_path / "other"))
    second = sorted(target.glob("*.log"))[1]
    for name in (second.name, second.with_suffix(".json").name):
        (target / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(VerificationFailed, match="does not continue"):
        restore(local_archive(target), tmp_path / "new")


def test_restore__other_origin_or_nothing_there__refused(
    log: Path, target: Path, tmp_path: Path
) -> None:
    with pytest.raises(VerificationFailed, match="no segment"):
        restore(local_archive(target), tmp_path / "new")
    archived(log, local_archive(target))
    with pytest.raises(VerificationFailed, match="another log"):
        restore(local_archive(target), tmp_path / "new", origin="somebody else")


def test_archive__interrupted__ends_at_the_next_chunk(log: Path, target: Path) -> None:
    asked = 0

    def interrupted() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(StorageFailed, match="interrupted"):
        archived(log, Archive.open(f"file://{target}", interrupted=interrupted))
    archived(log, local_archive(target))
    assert set(segments(target)) == set(list(segments(log))[:-1])

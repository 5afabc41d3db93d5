"""Dropped segments and snapshots together: a start fetches nothing that it need not replay."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from adtally.errors import StorageCorrupt
from adtally.intake.clock import VirtualClock
from adtally.intake.recovery import LogFolders, recovered_sequencer
from adtally.intake.sequencer import Sequencer
from adtally.jobs.archive import ArchiveJob
from adtally.kernel.engine import KernelEngine
from adtally.log.archive import Archive
from adtally.log.archived_files import ArchivedFiles
from adtally.log.manifest import Manifest
from adtally.log.restore import restore
from adtally.settlement.machine import LogMachine
from support.archived_log import segments
from support.world import ESCROW_DOMAIN, IDENTITY, NOON_MS, RECEIPT_KEY, World

ORIGIN = "the log"


def opened(directory: Path) -> Sequencer:
    archive = Archive.open(f"file://{directory}/archive")
    files = ArchivedFiles(directory / "log", archive, ORIGIN, directory / "cache")
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=False, engine=KernelEngine)
    folders = LogFolders(
        directory / "log", directory / "tree", directory / "snapshots", 10**9, segment_bytes=8192
    )
    clock = VirtualClock(directory / "clock", NOON_MS)
    sequencer = recovered_sequencer(folders, machine, clock, RECEIPT_KEY, files=files)
    machine.require_signatures()
    files.spare_event_loops()
    sequencer.start()
    return sequencer


async def fill(sequencer: Sequencer, world: World, batches: int) -> None:
    if sequencer.store.size == 0:
        await sequencer.enter_facts(lambda _: world.facts())
    for _ in range(batches):
        await sequencer.submit(world.batch([world.event() for _ in range(30)]))


async def archive_and_drop(sequencer: Sequencer, directory: Path) -> None:
    job = ArchiveJob(sequencer, f"file://{directory}/archive", ORIGIN, keep_local=1)
    await job.run()
    assert job.view().local_segments == 1


@pytest.mark.asyncio
async def test_start__from_a_snapshot__fetches_no_dropped_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    sequencer = opened(tmp_path)
    await fill(sequencer, world, 15)
    await archive_and_drop(sequencer, tmp_path)
    checkpoint = sequencer.checkpoint()
    await sequencer.stop()
    fetched: list[str] = []
    fetch = Archive.fetch

    def counted(archive: Archive, manifest: Manifest, to: Path) -> None:
        fetched.append(manifest.segment)
        fetch(archive, manifest, to)

    monkeypatch.setattr(Archive, "fetch", counted)
    again = opened(tmp_path)
    assert again.checkpoint() == checkpoint
    assert fetched == []
    await fill(again, world, 15)
    await archive_and_drop(again, tmp_path)
    assert fetched == []
    first = await asyncio.to_thread(again.store.entry, 0)
    assert fetched == ["segment-0000000000000000.log"]
    await again.stop()
    # Without them the whole log is replayed through the archive.
    shutil.rmtree(tmp_path / "snapshots")
    shutil.rmtree(tmp_path / "tree")
    replayed = opened(tmp_path)
    assert replayed.checkpoint() == again.checkpoint()
    assert await asyncio.to_thread(replayed.store.entry, 0) == first
    assert len(set(fetched)) == len(segments(tmp_path / "archive")) - 1
    await replayed.stop()


@pytest.mark.asyncio
async def test_restored_log__with_snapshots_of_the_lost_one__refused_until_they_are_removed(
    tmp_path: Path,
) -> None:
    sequencer = opened(tmp_path)
    await fill(sequencer, World(), 15)
    await archive_and_drop(sequencer, tmp_path)
    await sequencer.stop()
    shutil.rmtree(tmp_path / "log")
    restored = restore(Archive.open(f"file://{tmp_path}/archive"), tmp_path / "log")
    with pytest.raises(StorageCorrupt):
        opened(tmp_path)
    shutil.rmtree(tmp_path / "snapshots")
    shutil.rmtree(tmp_path / "tree")
    again = opened(tmp_path)
    assert again.checkpoint().tree_size == restored.tree_size
    assert again.checkpoint().root_hash == restored.root_hash
    await again.stop()

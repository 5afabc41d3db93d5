"""The archive job on a running sequencer: does its work, survives its target, tells how it is."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adtally.errors import Conflict, InvalidInput, Overloaded, StorageFailed
from adtally.intake.clock import VirtualClock
from adtally.intake.sequencer import Sequencer
from adtally.jobs.archive import LONGEST_PAUSE_SECONDS, ArchiveJob
from adtally.jobs.runner import JobRunner
from adtally.kernel.engine import KernelEngine
from adtally.log.archive import Archive
from adtally.log.archived_files import ArchivedFiles
from adtally.log.manifest import Manifest
from adtally.log.restore import restore
from adtally.log.store import LogStore
from adtally.settlement.machine import LogMachine
from support.archived_log import segments
from support.world import ESCROW_DOMAIN, IDENTITY, NOON_MS, RECEIPT_KEY, World

ORIGIN = "the log"
BATCH_EVENTS = 40


def opened(directory: Path, url: str) -> Sequencer:
    files = ArchivedFiles(directory / "log", Archive.open(url), ORIGIN, directory / "cache")
    store = LogStore.open(directory / "log", segment_bytes=8192, files=files)
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, engine=KernelEngine)
    clock = VirtualClock(directory / "clock", NOON_MS)
    sequencer = Sequencer(store, machine, clock, RECEIPT_KEY)
    sequencer.recover()
    files.spare_event_loops()
    sequencer.start()
    return sequencer


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def url(target: Path) -> str:
    return f"file://{target}"


@pytest.fixture
def world() -> World:
    return World()


@pytest_asyncio.fixture
async def sequencer(tmp_path: Path, url: str, world: World) -> AsyncIterator[Sequencer]:
    sequencer = opened(tmp_path, url)
    await sequencer.enter_facts(lambda _: world.facts())
    await log(sequencer, world, 8)
    yield sequencer
    await sequencer.stop()


def obstruct(target: Path) -> None:
    """A file where a folder should be."""
    target.write_text("in the way")


def clear(target: Path) -> None:
    target.rename(target.with_name("aside"))


async def log(sequencer: Sequencer, world: World, batches: int) -> None:
    for _ in range(batches):
        await sequencer.submit(world.batch([world.event() for _ in range(BATCH_EVENTS)]))


@pytest.mark.asyncio
async def test_run__growing_log__archived_up_to_the_open_segment(
    sequencer: Sequencer, world: World, url: str, target: Path, tmp_path: Path
) -> None:
    job = ArchiveJob(sequencer, url, ORIGIN)
    before = job.view()
    assert (before.archived_entries, before.problem) == (0, None)
    assert before.sealed_behind_entries > 0
    for _ in range(3):
        await job.run()
        *sealed, (newest, _) = segments(tmp_path / "log").items()
        assert segments(target) == dict(sealed)
        view = job.view()
        assert newest == f"segment-{view.archived_entries:016d}.log"
        assert view.archived_segments == view.local_segments == len(sealed)
        assert view.sealed_behind_entries == 0
        await log(sequencer, world, 4)
    restored = restore(Archive.open(url), tmp_path / "restored", origin=ORIGIN)
    assert restored.root_hash == sequencer.checkpoint(restored.tree_size).root_hash


@pytest.mark.asyncio
async def test_run__keep_two__old_segments_go_and_resent_batches_keep_their_receipts(
    sequencer: Sequencer, world: World, url: str, tmp_path: Path
) -> None:
    early = world.batch([world.event() for _ in range(3)])
    receipt = await sequencer.submit(early)
    await log(sequencer, world, 20)
    job = ArchiveJob(sequencer, url, ORIGIN, keep_local=2)
    await job.run()
    assert job.view().local_segments == 2
    assert len(segments(tmp_path / "log")) == 3
    # The first attempts may be told to come again while the segment is fetched.
    while True:
        try:
            again = await sequencer.submit(early)
            break
        except Overloaded:
            await asyncio.sleep(0.01)
    assert (again.receipt, again.signature) == (receipt.receipt, receipt.signature)
    root = sequencer.checkpoint()
    await sequencer.stop()
    recovered = opened(tmp_path, url)
    assert recovered.checkpoint() == root
    await recovered.stop()


@pytest.mark.asyncio
async def test_run__target_down__intake_goes_on_and_tries_become_seldom(
    sequencer: Sequencer,
    world: World,
    url: str,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    obstruct(target)
    now = 100.0
    job = ArchiveJob(sequencer, url, ORIGIN, now=lambda: now)
    tries: list[float] = []
    ask = Archive.sizes

    def counted(archive: Archive) -> dict[str, int]:
        tries.append(now)
        return ask(archive)

    monkeypatch.setattr(Archive, "sizes", counted)
    while now < 2_000:
        with pytest.raises(StorageFailed):
            await job.run()
        now += 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(pauses[9:]) == {LONGEST_PAUSE_SECONDS}
    size = sequencer.store.size
    await log(sequencer, world, 2)
    assert sequencer.store.size > size
    view = job.view()
    assert view.archived_entries == 0
    assert view.problem is not None
    # Anybody may read the status.
    assert view.problem.startswith("the archive could not")
    assert str(target) not in view.problem
    clear(target)
    now += LONGEST_PAUSE_SECONDS
    await job.run()
    assert job.view().problem is None
    assert job.view().sealed_behind_entries == 0


@pytest.mark.asyncio
async def test_run__another_log_s_archive__conflict_until_it_is_moved_aside(
    sequencer: Sequencer, url: str, target: Path
) -> None:
    await ArchiveJob(sequencer, url, "somebody else's log").run()
    before = segments(target)
    now = 0.0
    job = ArchiveJob(sequencer, url, ORIGIN, now=lambda: now)
    with pytest.raises(Conflict):
        await job.run()
    assert segments(target) == before
    clear(target)
    now += LONGEST_PAUSE_SECONDS
    await job.run()
    assert job.view().sealed_behind_entries == 0


@pytest.mark.asyncio
async def test_runner__archive_in_the_background__first_round_holds_nobody_up(
    sequencer: Sequencer, url: str
) -> None:
    job = ArchiveJob(sequencer, url, ORIGIN)
    done = asyncio.Event()

    async def archive() -> None:
        await job.run()
        done.set()

    def unexpected(broken: BaseException) -> None:
        raise AssertionError(broken)

    runner = JobRunner(
        {}, tick_seconds=0.01, background={"archive": archive}, on_invariant_broken=unexpected
    )
    await runner.start()
    assert not done.is_set()
    await asyncio.wait_for(done.wait(), 30)
    await runner.stop()
    assert job.view().sealed_behind_entries == 0


@pytest.mark.asyncio
async def test_run__cancelled__the_copy_ends_and_the_next_start_takes_it_up(
    sequencer: Sequencer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ArchiveJob(sequencer, url, ORIGIN)
    copying, cancelled, ended = (threading.Event() for _ in range(3))
    put = Archive.put

    def slow(archive: Archive, manifest: Manifest, segment: Path) -> None:
        copying.set()
        assert cancelled.wait(30)
        try:
            put(archive, manifest, segment)
        finally:
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "put", slow)
        running = asyncio.create_task(job.run())
        assert await asyncio.to_thread(copying.wait, 30)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        cancelled.set()
        assert await asyncio.to_thread(ended.wait, 30)
    assert job.view().archived_segments == 0
    again = ArchiveJob(sequencer, url, ORIGIN)
    await again.run()
    assert again.view().sealed_behind_entries == 0


@pytest.mark.asyncio
async def test_job__unusable_url__refused_at_the_start(sequencer: Sequencer) -> None:
    with pytest.raises(InvalidInput):
        ArchiveJob(sequencer, "nosuchkind://x", ORIGIN)

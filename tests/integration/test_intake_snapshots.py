"""Snapshots: a start from one knows what a replay of the whole log knows, or does not use it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from adtally.errors import Conflict, Overloaded, StorageCorrupt, StorageFailed
from adtally.events.correction import CorrectionOrder, CorrectionReason
from adtally.events.record import RECORD_KIND, AdEvent, EventType
from adtally.events.signature import address_of, sign
from adtally.events.verdict import Verdict
from adtally.intake.clock import VirtualClock
from adtally.intake.corrections import enter_correction
from adtally.intake.recovery import LogFolders, recovered_sequencer
from adtally.intake.sequencer import Sequencer
from adtally.intake.snapshotter import Snapshotter
from adtally.kernel.engine import KernelEngine
from adtally.log.merkle import MerkleTree
from adtally.log.store import LogStore
from adtally.rfc9162 import tree_root
from adtally.settlement.machine import LogMachine
from support.world import (
    ALICE,
    BOB,
    CAMPAIGN,
    ESCROW_DOMAIN,
    IDENTITY,
    LOG_DOMAIN,
    NOON_MS,
    OPERATOR,
    RECEIPT_KEY,
    World,
)

NEVER = 10**9


def opened(directory: Path, every: int | None = NEVER) -> Sequencer:
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=False, engine=KernelEngine)
    folders = LogFolders(
        directory / "log",
        directory / "tree",
        directory / "snapshots",
        every,
        segment_bytes=40_000,
    )
    clock = VirtualClock(directory / "clock", NOON_MS)
    sequencer = recovered_sequencer(folders, machine, clock, RECEIPT_KEY)
    machine.require_signatures()
    sequencer.start()
    return sequencer


async def kill(sequencer: Sequencer) -> None:
    """End it without a snapshot."""
    sequencer.keeper = None
    await sequencer.stop()


async def fill(sequencer: Sequencer, world: World, random: Random, batches: int) -> None:
    """Impressions, clicks, repetitions, and a correction now and then."""
    if sequencer.store.size == 0:
        await sequencer.enter_facts(lambda _: world.facts())
    for _ in range(batches):
        impressions = [world.event() for _ in range(random.randrange(1, 40))]
        clicks = [world.event(EventType.CLICK, parent_id=each.id) for each in impressions[::3]]
        events = [*impressions, *clicks, *impressions[:2]]
        member = random.choice((ALICE, BOB))
        events = [replace(event, publisher=member) for event in events]
        result = await sequencer.submit(world.batch(events, member=member))
        if random.random() < 0.5:
            await enter_correction(sequencer, OPERATOR, taken_back(result.receipt.first_index + 1))


def taken_back(index: int) -> CorrectionOrder:
    unsigned = CorrectionOrder(
        index, -1, CorrectionReason.LATE_SIVT, "", address_of(RECEIPT_KEY), bytes(65)
    )
    return replace(unsigned, signature=sign(unsigned.digest(LOG_DOMAIN), RECEIPT_KEY))


def folder(directory: Path) -> list[str]:
    """Snapshots that count, oldest first."""
    names = [path.name for path in (directory / "snapshots").iterdir()]
    return sorted(name for name in names if not name.endswith(".new"))


def knowledge(sequencer: Sequencer) -> list[object]:
    """What can be asked of a sequencer."""
    machine = sequencer.machine
    return [
        machine.size,
        machine.last_received_at_ms,
        sequencer.checkpoint(),
        machine.accruals.lines(CAMPAIGN),
        machine.accruals.corrections(CAMPAIGN),
        machine.corrections.of_campaign(CAMPAIGN),
        machine.facts.members,
        machine.facts.campaigns,
        machine.rules,
        [machine.next_sequence(member) for member in (ALICE, BOB)],
        [sequencer.tree.inclusion_proof(index) for index in range(0, machine.size, 17)],
    ]


def plain_machine(store: LogStore, tree: MerkleTree) -> LogMachine:
    """The reference, from the log's bytes alone."""
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, leaves=tree)
    for frame in store.frames():
        for entry in frame.entries:
            machine.apply(entry)
    return machine


def probes(store: LogStore, world: World, member: int) -> list[AdEvent]:
    """Events whose verdicts depend on all that was logged: sent again, changed, and children."""
    made: list[AdEvent] = []
    for frame in store.frames():
        for entry in frame.entries:
            if entry[0] != RECORD_KIND:
                continue
            event = replace(AdEvent.from_record(entry), verdict=Verdict.UNSET)
            made += [event, replace(event, country="FR")]
            if event.type is EventType.IMPRESSION:
                child = world.event(EventType.CLICK, parent_id=event.id)
                made.append(replace(child, publisher=event.publisher))
    return [event for event in made if event.publisher == member]


@pytest.mark.asyncio
@pytest.mark.parametrize("tail", [0, 1, 30])
async def test_recover__from_a_snapshot_and_a_tail__as_from_the_whole_log(
    tmp_path: Path, tail: int
) -> None:
    world, random = World(holdback=5_000), Random(tail)
    sequencer = opened(tmp_path)
    await fill(sequencer, world, random, 30)
    await sequencer.stop()
    assert len(folder(tmp_path)) == 1
    sequencer = opened(tmp_path)
    await fill(sequencer, world, random, tail)
    await kill(sequencer)

    resumed = opened(tmp_path)
    known = knowledge(resumed)
    entries = [entry for frame in resumed.store.frames() for entry in frame.entries]
    assert tree_root(entries) == resumed.tree.root()
    plain = plain_machine(resumed.store, resumed.tree)
    assert plain.accruals.lines(CAMPAIGN) == resumed.machine.accruals.lines(CAMPAIGN)
    for member in (ALICE, BOB):
        batch = world.batch(
            probes(resumed.store, world, member),
            member=member,
            sequence=plain.next_sequence(member),
        )
        verdicts = plain.judge_batch(batch, plain.last_received_at_ms)
        assert len(set(verdicts)) > 3
        # Nothing of it is logged: this sequencer is not used any more.
        received_at_ms = resumed.machine.last_received_at_ms
        assert resumed.machine.judge_batch(batch, received_at_ms) == verdicts
    await kill(resumed)

    whole = opened(tmp_path, None)
    assert knowledge(whole) == known
    await whole.stop()


@pytest.mark.asyncio
async def test_stop_and_start__many_times__receipts_stay_the_same(tmp_path: Path) -> None:
    world = World(holdback=5_000)
    sent, receipts = [], []
    for _ in range(5):
        sequencer = opened(tmp_path)
        await fill(sequencer, world, Random(1), 1)
        for member in (ALICE, BOB):
            sent.append(world.batch([world.event(publisher=member)], member=member))
            receipts.append((await sequencer.submit(sent[-1])).receipt)
        again = [(await sequencer.submit(batch)).receipt for batch in sent]
        assert again == receipts
        await sequencer.stop()
    assert len(folder(tmp_path)) == 2


@pytest.mark.asyncio
async def test_snapshots__while_intake_goes_on__are_of_one_instant(tmp_path: Path) -> None:
    """Each is written by a child process while later batches are judged and logged."""
    world, random = World(holdback=5_000), Random(5)
    sequencer = opened(tmp_path, every=100)
    taken: list[str] = []
    for _ in range(12):
        await fill(sequencer, world, random, 5)
        assert isinstance(sequencer.keeper, Snapshotter)
        running = sequencer.keeper._running
        assert running is not None
        await fill(sequencer, world, random, 5)
        await running
        newest = folder(tmp_path)[-1]
        assert int(newest.removeprefix("snapshot-")) <= sequencer.tree.size
        taken.append(newest)
    known = knowledge(sequencer)
    await kill(sequencer)
    assert len(set(taken)) > 8
    assert len(folder(tmp_path)) == 2
    resumed = opened(tmp_path)
    assert knowledge(resumed) == known
    await resumed.stop()


@pytest.mark.asyncio
async def test_recover__damaged_snapshots__are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world, random = World(holdback=5_000), Random(2)
    for _ in range(2):
        sequencer = opened(tmp_path)
        await fill(sequencer, world, random, 10)
        known = knowledge(sequencer)
        await sequencer.stop()
    older, newest = (tmp_path / "snapshots" / name for name in folder(tmp_path))
    whole = newest.read_bytes()
    damages = [whole[:-1], whole[:5], b"", whole + b"\0"]
    damages += [_flipped(whole, random.randrange(8 * len(whole))) for _ in range(20)]
    for damage in damages:
        newest.write_bytes(damage)
        with caplog.at_level(logging.WARNING):
            sequencer = opened(tmp_path)
        assert "more of the log is replayed" in caplog.text
        caplog.clear()
        assert knowledge(sequencer) == known
        assert folder(tmp_path) == [older.name]
        await kill(sequencer)
    older.write_bytes(b"")
    sequencer = opened(tmp_path)
    assert knowledge(sequencer) == known
    await sequencer.stop()
    assert folder(tmp_path) == [newest.name]


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.asyncio
async def test_recover__tree_lost_or_damaged__all_is_made_anew(tmp_path: Path) -> None:
    world, random = World(holdback=5_000), Random(3)
    sequencer = opened(tmp_path)
    await fill(sequencer, world, random, 20)
    known = knowledge(sequencer)
    await sequencer.stop()
    border = tmp_path / "tree" / "level-00-0000000000000000"
    last = 32 * (int(folder(tmp_path)[0].removeprefix("snapshot-")) - 1)
    data = border.read_bytes()
    border.write_bytes(data[:last] + bytes(32))
    sequencer = opened(tmp_path)
    assert folder(tmp_path) == []
    assert knowledge(sequencer) == known
    await sequencer.stop()
    shutil.rmtree(tmp_path / "tree")
    sequencer = opened(tmp_path)
    assert knowledge(sequencer) == known
    await sequencer.stop()


@pytest.mark.asyncio
async def test_recover__segments_behind_the_snapshot_missing__refused(tmp_path: Path) -> None:
    sequencer = opened(tmp_path)
    await fill(sequencer, World(holdback=5_000), Random(4), 40)
    await sequencer.stop()
    segments = sorted((tmp_path / "log").glob("segment-*"))
    assert len(segments) > 1
    data = segments[-1].read_bytes()
    segments[-1].unlink()
    with pytest.raises(StorageCorrupt, match="segments of the log are missing"):
        opened(tmp_path)
    segments[-1].write_bytes(data[:100])
    with pytest.raises(StorageCorrupt, match="damaged"):
        opened(tmp_path)


@pytest.mark.asyncio
async def test_recover__log_of_another_history__refused(tmp_path: Path) -> None:
    """Snapshot and tree are not taken for a log that they were not made from."""
    for name, seed in (("mine", 6), ("other", 7)):
        sequencer = opened(tmp_path / name)
        await fill(sequencer, World(holdback=5_000), Random(seed), 3)
        await sequencer.stop()
    shutil.rmtree(tmp_path / "mine" / "log")
    (tmp_path / "other" / "log").rename(tmp_path / "mine" / "log")
    with pytest.raises(StorageCorrupt, match=r"damaged|not the one that its tree was made from"):
        opened(tmp_path / "mine")


@pytest.mark.asyncio
async def test_recover__snapshot_of_other_code__is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequencer = opened(tmp_path)
    await fill(sequencer, World(holdback=5_000), Random(7), 3)
    known = knowledge(sequencer)
    await sequencer.stop()
    monkeypatch.setattr("adtally.intake.snapshot.SOURCES", "of another version")
    sequencer = opened(tmp_path)
    assert folder(tmp_path) == []
    assert knowledge(sequencer) == known
    await sequencer.stop()


@pytest.mark.asyncio
async def test_recover__log_open_elsewhere__its_snapshots_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second start, even of another version, must not take from the one that runs."""
    sequencer = opened(tmp_path)
    await fill(sequencer, World(holdback=5_000), Random(9), 3)
    await sequencer.stop()
    running = opened(tmp_path)
    before = folder(tmp_path)
    with monkeypatch.context() as other:
        other.setattr("adtally.intake.snapshot.SOURCES", "of another version")
        with pytest.raises(Conflict):
            opened(tmp_path)
    assert folder(tmp_path) == before != []
    await running.stop()


@pytest.mark.asyncio
async def test_stop__after_a_disk_failure__takes_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory may be ahead of the log then."""
    world = World(holdback=5_000)
    sequencer = opened(tmp_path)
    await fill(sequencer, world, Random(8), 3)

    def refuse(*_: object) -> int:
        raise StorageFailed("injected")

    monkeypatch.setattr(sequencer.store, "append_frame", refuse)
    with pytest.raises(Overloaded):
        await sequencer.submit(world.batch([world.event()]))
    await sequencer.stop()
    assert not (tmp_path / "snapshots").exists()

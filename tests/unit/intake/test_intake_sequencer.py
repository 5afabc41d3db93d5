"""The sequencer on a real store: order, receipts, replay, crash and disk failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from adtally.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    Overloaded,
    StorageFailed,
    StorageFull,
    VerificationFailed,
)
from adtally.events.correction import CorrectionOrder, CorrectionReason
from adtally.events.eip712 import receipt_digest
from adtally.events.facts import TimeFacts
from adtally.events.record import EventType
from adtally.events.signature import address_of, recover, sign
from adtally.events.verdict import Verdict
from adtally.intake.clock import VirtualClock
from adtally.intake.corrections import Entered, enter_correction
from adtally.intake.sequencer import ROOM_BYTES, Sequencer
from adtally.kernel.engine import KernelEngine
from adtally.log.proof import verify_inclusion
from adtally.log.store import LogStore
from adtally.rfc9162 import leaf_hash
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


def opened(directory: Path) -> Sequencer:
    clock = VirtualClock(directory / "clock", NOON_MS)
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=True, engine=KernelEngine)
    store = LogStore.open(directory / "log", segment_bytes=1 << 20)
    sequencer = Sequencer(store, machine, clock, RECEIPT_KEY)
    sequencer.recover()
    sequencer.start()
    return sequencer


@pytest_asyncio.fixture
async def sequencer(tmp_path: Path) -> AsyncIterator[Sequencer]:
    sequencer = opened(tmp_path)
    await sequencer.enter_facts(lambda _: World().facts())
    yield sequencer
    await sequencer.stop()


@pytest.mark.asyncio
async def test_submit__batch__receipt_is_signed_and_provable(sequencer: Sequencer) -> None:
    world = World()
    impression = world.event()
    click = world.event(EventType.CLICK, parent_id=impression.id)
    result = await sequencer.submit(world.batch([impression, click]))
    receipt = result.receipt
    assert result.verdicts == [Verdict.ACCEPTED] * 2
    assert recover(receipt_digest(LOG_DOMAIN, receipt), result.signature) == address_of(RECEIPT_KEY)
    for index in range(receipt.first_index, receipt.first_index + 1 + receipt.count):
        proof = sequencer.tree.inclusion_proof(index, receipt.tree_size)
        entry = sequencer.store.entry(index)
        verify_inclusion(leaf_hash(entry), index, receipt.tree_size, proof, receipt.root_hash)


@pytest.mark.asyncio
async def test_submit__hundred_identical_batches_at_once__one_receipt(sequencer: Sequencer) -> None:
    world = World()
    batch = world.batch([world.event() for _ in range(5)])
    size = sequencer.store.size
    results = await asyncio.gather(*(sequencer.submit(batch) for _ in range(100)))
    assert len({(result.receipt, result.signature) for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert sequencer.store.size == size + 6


@pytest.mark.asyncio
async def test_submit__same_sequence_other_body_in_parallel__one_winner(
    sequencer: Sequencer,
) -> None:
    world = World()
    batches = [world.batch([world.event()], sequence=1) for _ in range(20)]
    results = await asyncio.gather(
        *(sequencer.submit(batch) for batch in batches), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 19


@pytest.mark.asyncio
async def test_submit__refused_batch__leaves_no_trace(sequencer: Sequencer) -> None:
    world = World()
    size = sequencer.store.size
    with pytest.raises(NotAllowed):
        await sequencer.submit(world.batch([world.event()], member=BOB, key=RECEIPT_KEY))
    with pytest.raises(Conflict):
        await sequencer.submit(world.batch([world.event()], sequence=7))
    assert sequencer.store.size == size == sequencer.machine.size


@pytest.mark.asyncio
async def test_recover__after_restart__same_receipts_and_state(tmp_path: Path) -> None:
    first = opened(tmp_path)
    world = World()
    await first.enter_facts(lambda _: world.facts())
    batches = [
        world.batch([world.event(publisher=member) for _ in range(3)], member=member)
        for member in (ALICE, BOB, ALICE)
    ]
    results = [await first.submit(batch) for batch in batches]
    lines = first.machine.accruals.lines(CAMPAIGN)
    await first.stop()
    second = opened(tmp_path)
    try:
        assert second.machine.accruals.lines(CAMPAIGN) == lines
        assert second.checkpoint() == first.checkpoint()
        again = [await second.submit(batch) for batch in batches]
        assert all(result.replayed for result in again)
        for old, new in zip(results, again, strict=True):
            assert (old.receipt, old.signature, old.verdicts) == (
                new.receipt,
                new.signature,
                new.verdicts,
            )
    finally:
        await second.stop()


@pytest.mark.asyncio
async def test_submit__disk_refuses__nobody_gets_a_receipt_and_all_stops(
    sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()

    def refuse(*_: object) -> int:
        raise StorageFailed("no space left on device")

    monkeypatch.setattr(sequencer.store, "append_frame", refuse)
    batches = [world.batch([world.event()]) for _ in range(3)]
    results = await asyncio.gather(
        *(sequencer.submit(batch) for batch in batches), return_exceptions=True
    )
    assert all(isinstance(result, Overloaded) for result in results)
    assert isinstance(sequencer.failure, StorageFailed)
    with pytest.raises(Overloaded):
        await sequencer.submit(world.batch([world.event()]))


@pytest.mark.asyncio
async def test_submit__disk_full__refused_until_there_is_room_and_reads_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adtally.intake.sequencer._ROOM_RETRY_SECONDS", 0.0)
    sequencer = opened(tmp_path)
    await sequencer.enter_facts(lambda _: World().facts())
    world = World()
    first = world.batch([world.event()])
    receipt = (await sequencer.submit(first)).receipt

    def refuse(_: int) -> None:
        raise StorageFull("injected")

    size = sequencer.store.size
    with monkeypatch.context() as disk:
        disk.setattr(sequencer.store, "has_room", lambda _: False)
        disk.setattr(sequencer.store, "take_room", refuse)
        second = world.batch([world.event()])
        with pytest.raises(StorageFull):
            await sequencer.submit(second)
        with pytest.raises(StorageFull):
            await sequencer.enter_facts(lambda at_ms: [TimeFacts(at_ms)])
        # What is logged is answered for.
        assert (await sequencer.submit(first)).receipt == receipt
        assert await sequencer.read(lambda machine: machine.size) == size
    assert (await sequencer.submit(second)).receipt.first_index == size
    assert sequencer.failure is None
    await sequencer.stop()


@pytest.mark.asyncio
async def test_submit__segment_nearly_full__room_is_taken_before_every_group(
    sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(sequencer.store, "has_room", lambda _: False)
    monkeypatch.setattr(sequencer.store, "take_room", taken.append)
    world = World()
    for _ in range(3):
        await sequencer.submit(world.batch([world.event()]))
    assert taken == [ROOM_BYTES] * 3


@pytest.mark.asyncio
async def test_submit__queue_full__pushed_back_and_nothing_taken(
    sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adtally.intake.fair_queue.MAX_WAITING_EVENTS", 50)
    world = World()
    batches = [world.batch([world.event() for _ in range(20)]) for _ in range(5)]
    results = await asyncio.gather(
        *(sequencer.submit(batch) for batch in batches), return_exceptions=True
    )
    assert [isinstance(result, Overloaded) for result in results] == [False] * 2 + [True] * 3
    retried = [await sequencer.submit(batch) for batch in batches[2:]]
    assert not any(result.replayed for result in retried)


@pytest.mark.asyncio
async def test_read__sees_only_whole_durable_batches(sequencer: Sequencer) -> None:
    world = World()
    batches = [world.batch([world.event() for _ in range(50)]) for _ in range(10)]
    reads = []
    for batch in batches:
        submitted = asyncio.ensure_future(sequencer.submit(batch))
        reads.append(
            asyncio.ensure_future(sequencer.read(lambda m: (m.size, len(m.facts.members))))
        )
        await submitted
    for read in reads:
        size, _ = await read
        assert size <= sequencer.store.size
        sequencer.checkpoint(size)


@pytest.mark.asyncio
async def test_read__reader_fails__only_its_caller_is_told(sequencer: Sequencer) -> None:
    with pytest.raises(ZeroDivisionError):
        await sequencer.read(lambda machine: 1 // (machine.size - machine.size))
    world = World()
    assert not (await sequencer.submit(world.batch([world.event()]))).replayed


@pytest.mark.asyncio
async def test_submit__answer_fails_after_the_commit__others_and_later_batches_are_answered(
    sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    first = world.batch([world.event()])
    await sequencer.submit(first)
    with monkeypatch.context() as broken:
        broken.setattr(sequencer.store, "entries", lambda *_: [])
        again = asyncio.ensure_future(sequencer.submit(first))
        other = asyncio.ensure_future(sequencer.submit(world.batch([world.event()])))
        with pytest.raises(IndexError):
            await again
        assert not (await other).replayed
    assert (await sequencer.submit(first)).replayed


@pytest.mark.asyncio
async def test_enter_facts__a_bug_in_them__caller_is_told_and_all_stops(
    sequencer: Sequencer,
) -> None:
    with pytest.raises(Overloaded):
        await asyncio.wait_for(sequencer.enter_facts(lambda at_ms: [1 // (at_ms - at_ms)]), 5)  # type: ignore[list-item]
    assert isinstance(sequencer.failure, ZeroDivisionError)


@pytest.mark.asyncio
async def test_submit__all_shared_threads_busy__still_answered(sequencer: Sequencer) -> None:
    release = threading.Event()
    loop = asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, release.wait) for _ in range(64)]
    try:
        world = World()
        result = await asyncio.wait_for(sequencer.submit(world.batch([world.event()])), 5)
        assert not result.replayed
    finally:
        release.set()
        await asyncio.gather(*busy)


def signed_order(index: int, change: int, detail: str = "") -> CorrectionOrder:
    unsigned = CorrectionOrder(
        index, change, CorrectionReason.MAKE_GOOD, detail, address_of(RECEIPT_KEY), bytes(65)
    )
    return replace(unsigned, signature=sign(unsigned.digest(LOG_DOMAIN), RECEIPT_KEY))


@pytest.mark.asyncio
async def test_correction__entered__durable_and_known_after_recovery(tmp_path: Path) -> None:
    sequencer, world = opened(tmp_path), World(holdback=5_000)
    await sequencer.enter_facts(lambda _: world.facts())
    refused = world.event(placement=99)
    result = await sequencer.submit(world.batch([world.event(), world.event(), refused]))
    first = result.receipt.first_index + 1
    entered = await enter_correction(sequencer, OPERATOR, signed_order(first, -1))
    assert (entered.index, entered.tree_size) == (first + 3, first + 4)
    await enter_correction(sequencer, OPERATOR, signed_order(first + 2, 1))
    lines = sequencer.machine.accruals.lines(CAMPAIGN)
    root = sequencer.tree.root()
    await sequencer.stop()

    again = opened(tmp_path)
    assert again.tree.root() == root
    assert again.machine.accruals.lines(CAMPAIGN) == lines
    assert again.machine.accruals.corrections(CAMPAIGN) == 2
    with pytest.raises(Conflict, match=f"stands already at index {entered.index}"):
        await enter_correction(again, OPERATOR, signed_order(first, -1, "another detail"))
    # Its opposite is fine; the first order, sent again by whoever has seen it, is not.
    await enter_correction(again, OPERATOR, signed_order(first, 1))
    with pytest.raises(Conflict, match="reversed since"):
        await enter_correction(again, OPERATOR, signed_order(first, -1))
    await enter_correction(again, OPERATOR, signed_order(first, -1, "on a second look"))
    await again.stop()


@pytest.mark.asyncio
async def test_correction__sent_twice_at_once__stands_once(sequencer: Sequencer) -> None:
    world = World()
    result = await sequencer.submit(world.batch([world.event(placement=99)]))
    order = signed_order(result.receipt.first_index + 1, 1)
    answers = await asyncio.gather(
        *(enter_correction(sequencer, OPERATOR, order) for _ in range(4)), return_exceptions=True
    )
    entered = [answer for answer in answers if isinstance(answer, Entered)]
    assert len(entered) == 1
    assert all(isinstance(answer, Entered | Conflict | Overloaded) for answer in answers), answers
    assert sequencer.machine.accruals.corrections(CAMPAIGN) == 1


@pytest.mark.asyncio
async def test_correction__not_by_the_operator_or_of_no_record__refused(
    sequencer: Sequencer,
) -> None:
    world = World()
    result = await sequencer.submit(world.batch([world.event(placement=99)]))
    index, size = result.receipt.first_index + 1, sequencer.store.size
    with pytest.raises(NotAllowed):
        await enter_correction(sequencer, ALICE, signed_order(index, 1))
    with pytest.raises(NotAllowed):
        await enter_correction(sequencer, 99, signed_order(index, 1))
    with pytest.raises(VerificationFailed):
        await enter_correction(sequencer, OPERATOR, replace(signed_order(index, 1), detail="x"))
    for other in (0, index - 1, index + 1):
        with pytest.raises(NotFound):
            await enter_correction(sequencer, OPERATOR, signed_order(other, 1))
    assert sequencer.store.size == sequencer.machine.size == size

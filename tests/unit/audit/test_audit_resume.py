"""Audits that go on from one another: what is believed, what is refused, and what they find out."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from adtally.audit import log_tree, reading, resume
from adtally.audit.report import AuditReport
from adtally.audit.state import AuditState
from adtally.errors import StorageCorrupt
from adtally.events.facts import ChainFacts, TimeFacts
from adtally.events.record import RECORD_KIND
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hashes
from support.audit_memory import DictMemory
from support.audit_scene import (
    Scene,
    SceneBuilder,
    block_hash,
    corrected_scene,
    deployment,
    honest_scene,
)
from support.world import ALICE, BOB, FINAL_FROM, World


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 4 entries, as if the log were long."""
    for module in (log_tree, reading, resume):
        monkeypatch.setattr(module, "CHUNK", 4)
    monkeypatch.setattr("adtally.audit.log_reader.ENTRIES_AT_ONCE", 4)
    monkeypatch.setattr("adtally.audit.resume.ENTRIES_AT_ONCE", 4)


def first_half() -> SceneBuilder:
    """Up to the first payments, signed."""
    builder = SceneBuilder(World())
    builder.traffic(ALICE, 5)
    builder.traffic(BOB, 3)
    builder.anchor(53)
    builder.state(54, is_final=False)
    builder.pay(55)
    builder.scene.chain.last = 60
    builder.scene.chain.balance = builder.world.funding - sum(builder.paid.values())
    builder.scene.chain.balance -= sum(builder.cuts_paid)
    builder.scene.sign()
    return builder


def second_half(builder: SceneBuilder) -> Scene:
    """What ``honest_scene`` does after that."""
    scene = builder.scene
    scene.chain.last = 90
    scene.chain.balance = 0
    end = scene.chain.time(60)
    builder.facts(ChainFacts(builder.world.now_ms, 41, 60, block_hash(60), end, ()))
    builder.traffic(ALICE, 4)
    builder.facts(TimeFacts((FINAL_FROM + 1) * 1000))
    builder.anchor(80)
    builder.state(81, is_final=True)
    builder.pay(82)
    builder.refund(85)
    scene.sign()
    return scene


def without_resumed(report: AuditReport) -> AuditReport:
    """The same but for where it began; nobody else can tell."""
    checks = tuple(
        replace(each, how_many=0) if each.name == "history" else each for each in report.checks
    )
    figures = replace(report.figures, resumed_at=0)
    return replace(report, checks=checks, figures=figures)


@pytest.mark.asyncio
async def test_resume__two_audits_in_a_row__equal_to_one_of_everything() -> None:
    memory = DictMemory()
    builder = first_half()
    first = await builder.scene.audit(memory=memory)
    assert first.ok, first.discrepancies
    half = len(builder.scene.log.served)
    assert memory.sizes() == [half]
    scene = second_half(builder)
    asked: list[int] = []
    serve = scene.log.entries

    async def entries(start: int, end: int) -> list[bytes]:
        asked.append(start)
        return await serve(start, end)

    scene.log.entries = entries  # type: ignore[method-assign]
    second = await scene.audit(memory=memory)
    assert second.ok, second.discrepancies
    assert second.figures.resumed_at == half
    assert min(asked) == half
    assert without_resumed(second) == without_resumed(await honest_scene().audit())


@pytest.mark.asyncio
async def test_resume__nothing_new__reads_nothing_and_agrees() -> None:
    memory, scene = DictMemory(), honest_scene()
    whole = await scene.audit(memory=memory)
    again = await scene.audit(memory=memory)
    assert again.ok
    assert again.figures.resumed_at == len(scene.log.served)
    assert without_resumed(again) == without_resumed(whole)


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_chunks")
async def test_resume__correction_of_an_audited_entry__its_chunk_is_read_again() -> None:
    scene, memory = corrected_scene(), DictMemory()
    served = scene.log.served
    corrections = [at for at, entry in enumerate(served) if entry[0] == 0x07]
    early = copy.deepcopy(scene)
    early.log.served = served[: corrections[0]]
    early.chain.last = 60
    early.chain.balance = 10**13
    early.sign()
    assert (await early.audit(memory=memory)).ok
    report = await scene.audit(memory=memory)
    assert report.ok, report.discrepancies
    assert report.figures.resumed_at == corrections[0]
    assert report.figures.corrections == len(corrections)


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_chunks")
async def test_resume__interrupted__goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adtally.audit.audit.STATE_EVERY", 4)
    memory, scene = DictMemory(), honest_scene()
    serve = scene.log.entries

    async def entries(start: int, end: int) -> list[bytes]:
        if start >= 24:
            raise KeyboardInterrupt
        return await serve(start, end)

    scene.log.entries = entries  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await scene.audit(memory=memory)
    assert memory.sizes()
    stopped = memory.sizes()[0]
    scene.log.entries = serve  # type: ignore[method-assign]
    report = await scene.audit(memory=memory)
    assert report.ok, report.discrepancies
    assert report.figures.resumed_at == stopped > 0


@pytest.mark.asyncio
async def test_resume__statement_about_an_older_size__from_an_older_state() -> None:
    memory, builder = DictMemory(), first_half()
    await builder.scene.audit(memory=memory)
    half = len(builder.scene.log.served)
    scene = second_half(builder)
    whole = copy.deepcopy(scene)
    # The last audit saw all entries, but not yet the statement at an earlier size.
    for block in (80, 81, 82, 83, 85):
        scene.chain.take_back(block)
    scene.chain.balance = 10**13
    assert (await scene.audit(memory=memory)).ok
    memory.states.pop(half)
    report = await whole.audit(memory=memory)
    assert report.ok, report.discrepancies
    size = whole.stated[1][0].tree_size
    assert report.figures.resumed_at in (0, size)


# Liars -----------------------------------------------------------------------------------------


async def rewritten_scene() -> tuple[DictMemory, Scene, list[bytes], int]:
    """The first half was audited; then one of its records is changed, signed and anchored again."""
    memory, builder = DictMemory(), first_half()
    await builder.scene.audit(memory=memory)
    audited = list(builder.scene.log.served)
    scene = second_half(builder)
    index = next(at for at, each in enumerate(audited) if each[0] == RECORD_KIND)
    entry = bytearray(audited[index])
    entry[70] ^= 1
    scene.log.served[index] = bytes(entry)
    scene.sign()
    scene.anchor_again()
    return memory, scene, audited, index


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_chunks")
async def test_resume__rewritten_history_and_a_cache__names_the_entry() -> None:
    memory, scene, audited, index = await rewritten_scene()
    served = copy.deepcopy(scene.log)
    scene.log.served = audited + scene.log.served[len(audited) :]
    report = await scene.audit(memory=memory, served=served)
    lies = [each for each in report.discrepancies if each.check == "history"]
    assert [each.where for each in lies] == [f"entry {index}"]
    assert "rewritten" in lies[0].what


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_chunks")
async def test_resume__rewritten_history_without_a_cache__names_the_chunk() -> None:
    memory, scene, _, index = await rewritten_scene()
    report = await scene.audit(memory=memory)
    lies = [each for each in report.discrepancies if each.check == "history"]
    first = index - index % 4
    assert [each.where for each in lies] == [f"entries {first} to {first + 3}"]


@pytest.mark.asyncio
async def test_resume__stale_checkpoint__found() -> None:
    memory, builder = DictMemory(), first_half()
    half = len(builder.scene.log.served)
    scene = second_half(builder)
    await scene.audit(memory=memory)
    scene.sign(size=half)
    report = await scene.audit(memory=memory)
    (lie,) = [each for each in report.discrepancies if each.check == "history"]
    assert "stale" in lie.what
    assert lie.found == f"{half} entries"


@pytest.mark.asyncio
async def test_resume__chain_that_went_back_behind_the_last_audit__found() -> None:
    memory, scene = DictMemory(), honest_scene()
    await scene.audit(memory=memory)
    state = AuditState.from_bytes(memory.read(memory.sizes()[0]), deployment().name)
    assert state.pinned is not None
    gone = replace(state, pinned=replace(state.pinned, hash=b"\x19" * 32))
    memory.states[state.size] = gone.to_bytes()
    report = await scene.audit(memory=memory)
    (lie,) = report.discrepancies
    assert (lie.check, lie.where) == ("history", "block 90")


@pytest.mark.asyncio
async def test_resume__log_found_to_be_wrong__leaves_no_state() -> None:
    memory, scene = DictMemory(), honest_scene()
    scene.log.served[10] = scene.log.served[11]
    assert not (await scene.audit(memory=memory)).ok
    assert memory.sizes() == []


# States ----------------------------------------------------------------------------------------


async def kept_state() -> tuple[Scene, bytes]:
    memory, scene = DictMemory(), corrected_scene()
    await scene.audit(memory=memory)
    return scene, memory.read(memory.sizes()[0])


@pytest.mark.asyncio
async def test_state__round_trip__same_bytes() -> None:
    _, data = await kept_state()
    state = AuditState.from_bytes(data, deployment().name)
    assert state.to_bytes() == data
    assert state.is_audited


@pytest.mark.asyncio
async def test_state__any_damage__refused_and_the_audit_starts_from_scratch() -> None:
    scene, data = await kept_state()
    size = len(scene.log.served)
    for at in range(0, len(data), max(1, len(data) // 40)):
        spoiled = bytearray(data)
        spoiled[at] ^= 0x40
        with pytest.raises(StorageCorrupt):
            AuditState.from_bytes(bytes(spoiled), deployment().name)
        memory = DictMemory()
        memory.states[size] = bytes(spoiled)
        if at < 200:
            report = await scene.audit(memory=memory)
            assert report.ok
            assert report.figures.resumed_at == 0
            assert any("is not used" in remark for remark in report.remarks)
    for cut in (0, 10, 60, len(data) - 1):
        with pytest.raises(StorageCorrupt):
            AuditState.from_bytes(data[:cut], deployment().name)


@pytest.mark.asyncio
async def test_state__of_another_log__refused() -> None:
    _, data = await kept_state()
    with pytest.raises(StorageCorrupt, match="can't be used"):
        AuditState.from_bytes(data, "another log")


# Tree ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 4, 11])
def test_log_tree__any_size__root_is_that_of_the_whole_tree(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tree, "CHUNK", 4)
    leaves = leaf_hashes([b"entry %d" % number for number in range(37)])
    whole, tree = MerkleTree(), log_tree.LogTree()
    whole.append_packed(leaves)
    tree.watch(range(38))
    for at in range(0, 37, step):
        tree.append_packed(leaves[at * 32 : min(at + step, 37) * 32])
    assert tree.roots == {size: whole.root(size) for size in range(38) if size} | {0: whole.root(0)}
    again = log_tree.LogTree()
    again.load(tree.chunk_roots, tree.open_leaves, {})
    assert again.root() == whole.root()
    assert not again.has_chunk(2)
    assert not again.bring(2, leaves[: 4 * 32])
    assert again.bring(2, leaves[8 * 32 : 12 * 32])
    assert again.leaf(9) == whole.leaf(9)
    assert again.root(10) == whole.root(10)

"""The attestor signs what it recomputed and refuses every lie, naming it, under its signature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adtally.attestation.answers import Signed
from adtally.attestation.judgement import Standing
from adtally.errors import ChainUnavailable, Overloaded
from adtally.events.eip712 import checkpoint_digest, statement_digest
from adtally.events.facts import ChainFacts, RulesFacts
from adtally.events.record import set_verdict
from adtally.events.signature import recover, sign
from adtally.events.verdict import Verdict
from adtally.log.checkpoint import NoteSigner
from adtally.settlement.machine import batch_entries
from adtally.types import Checkpoint
from support.attestor_scene import (
    DOMAINS,
    ME,
    ORIGIN,
    OTHER,
    OTHER_KEY,
    PaperSource,
    open_scene,
    two_batches,
)
from support.correctable_log import CorrectableLog
from support.world import CAMPAIGN, ESCROW_DOMAIN, LOG_DOMAIN, NOON_MS, World


@pytest.mark.asyncio
async def test_attestor__honest_log__stores_it_and_signs_checkpoint_and_statement(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        answer = await scene.answer()
        assert isinstance(answer, Signed)
        assert recover(checkpoint_digest(LOG_DOMAIN, scene.checkpoint()), answer.signature) == ME
        statement = scene.statement()
        answer = await scene.answer(statement)
        assert isinstance(answer, Signed)
        assert recover(statement_digest(ESCROW_DOMAIN, statement), answer.signature) == ME
        assert scene.copy.entries(0, scene.copy.size) == scene.source.entries_served
        (document,) = scene.attesting.statements.find(CAMPAIGN, 1)
        assert document["lines"][0]["amount_base_units"] == "16000"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lines_total_base_units", 1_000_001),
        ("lines_root", bytes(32)),
        ("corrections", 1),
        ("impressions", 9),
        ("tree_size", 3),
    ],
)
async def test_attestor__wrong_statement__refused_with_the_difference_and_still_works(
    tmp_path: Path, field: str, value: object
) -> None:
    async with open_scene(tmp_path) as scene:
        right = scene.statement()
        wrong = (
            replace(right, counts=replace(right.counts, impressions=9))
            if field == "impressions"
            else replace(right, **{field: value})
        )
        refusal = await scene.refusal(wrong)
        shown = "counts" if field == "impressions" else field
        assert refusal.startswith(shown), refusal
        head = scene.attesting.follower.ladder.head
        assert isinstance(await scene.answer(right), Signed)
        assert scene.attesting.follower.ladder.head is head, "a refusal replays nothing"
        assert [each.attestor for each in scene.rounds.book.refusals()] == [ME]


@pytest.mark.asyncio
async def test_attestor__sequence_ahead_of_the_chain__is_not_spent(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        ahead = scene.statement(sequence=2)
        with pytest.raises(ChainUnavailable):
            await scene.answer(ahead)
        scene.book.standings[CAMPAIGN] = Standing(1, ahead.tree_size - 1)
        assert isinstance(await scene.answer(ahead), Signed)


@pytest.mark.asyncio
async def test_attestor__statement_of_nothing_new_or_final_too_early__refused(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        stale = scene.statement(sequence=2)
        for size_before in (0, 1):
            scene.book.standings[CAMPAIGN] = Standing(1, stale.tree_size + size_before)
            assert "covers nothing" in await scene.refusal(stale)
        scene.book.standings[CAMPAIGN] = Standing(2, stale.tree_size)
        assert isinstance(await scene.answer(stale), Signed)
        assert "final too early" in await scene.refusal(scene.statement(is_final=True))


@pytest.mark.asyncio
async def test_attestor__wrong_entries__are_dropped_and_the_good_ones_behind_them_taken(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        honest = list(scene.source.entries_served)
        before = len(honest) - 5
        await scene.answer(checkpoint=scene.checkpoint(before))
        assert scene.copy.size == before
        scene.source.entries_served[-1] = set_verdict(honest[-1], Verdict.KNOWN_BOT)
        assert "verdict" in await scene.refusal()
        assert scene.copy.size == before, "nothing wrong is stored"
        scene.source.entries_served[-1] = honest[-1]
        scene.source.asked_entries = 0
        assert isinstance(await scene.answer(), Signed)
        assert scene.source.asked_entries == 5, "only what was dropped is asked for again"


@pytest.mark.asyncio
async def test_attestor__checkpoint_of_another_root_or_inside_a_batch__refused(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        other = replace(scene.checkpoint(), root_hash=b"\1" * 32)
        assert "root hash" in await scene.refusal(None, other)
        inside = scene.checkpoint(scene.checkpoint().tree_size - 1)
        assert "inside a batch" in await scene.refusal(None, inside)


@pytest.mark.asyncio
async def test_attestor__log_that_ends_inside_a_batch__refused(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        scene.source.entries_served.pop()
        assert "inside a batch" in await scene.refusal()


@pytest.mark.asyncio
@pytest.mark.parametrize("lie", ["omitted", "invented", "changed", "hash"])
async def test_attestor__facts_that_contradict_the_chain__refused(tmp_path: Path, lie: str) -> None:
    async with open_scene(tmp_path) as scene:
        logs = scene.chain.chain_logs
        if lie == "omitted":
            logs.append(replace(logs[-1], log_index=99))
        elif lie == "invented":
            logs.pop()
        elif lie == "changed":
            logs[0] = replace(logs[0], data=logs[0].data[:-1] + b"\xee")
        else:
            scene.chain.last = replace(scene.chain.last, hash=b"\2" * 32)
        assert "chain facts" in await scene.refusal()
        assert scene.copy.size == 0


@pytest.mark.asyncio
async def test_attestor__own_node_behind__waits_and_signs_later(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        scene.chain.final_block = 10
        with pytest.raises(ChainUnavailable):
            await scene.answer()
        scene.chain.final_block = 40
        assert isinstance(await scene.answer(), Signed)


@pytest.mark.asyncio
async def test_attestor__change_on_chain_held_back_beyond_the_lag__refused(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        lag = 300
        late = replace(scene.chain.chain_logs[-1], block_number=41)
        scene.chain.chain_logs.append(late)
        scene.chain.final_block = 41
        changed_at = NOON_MS // 1000 - lag
        scene.chain.last = replace(scene.chain.last, timestamp_seconds=changed_at)
        facts = scene.source.entries_served[1]
        told = replace(ChainFacts.from_entry(facts), last_block_timestamp_seconds=changed_at)
        scene.source.entries_served[1] = told.to_entry()
        assert isinstance(await scene.answer(), Signed), "just within the lag"
    async with open_scene(tmp_path / "late") as scene:
        scene.chain.chain_logs.append(late)
        scene.chain.final_block = 41
        assert "facts_lag" in await scene.refusal()
        assert "facts_lag" in await scene.refusal(scene.statement())
        # Once they are in the log it can be signed again; that they were late is for the audit.
        assert scene.copy.size == scene.checkpoint().tree_size
        entered = replace(
            ChainFacts.from_entry(scene.source.entries_served[1]),
            recorded_at_ms=NOON_MS,
            first_block=41,
            last_block=41,
            logs=(replace(scene.fact_logs[-1], block_number=41),),
        )
        scene.source.entries_served.append(entered.to_entry())
        assert isinstance(await scene.answer(), Signed)


@pytest.mark.asyncio
async def test_attestor__older_size_than_stored__is_computed_from_a_state_before(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        world = World()
        machine = world.machine()
        batch = world.batch([world.event() for _ in range(4)])
        first = [facts.to_entry() for facts in world.facts()]
        first += batch_entries(batch, NOON_MS, machine.judge_batch(batch, NOON_MS))
        assert scene.source.entries_served[: len(first)] == first
        await scene.answer()
        older, _ = machine.statement(CAMPAIGN, 1, is_final=False)
        answer = await scene.answer(older, scene.checkpoint(len(first)))
        assert isinstance(answer, Signed)
        assert answer.content == older
        assert scene.copy.size == len(scene.source.entries_served)


@pytest.mark.asyncio
async def test_attestor__two_logs_signed_by_the_operator__second_is_never_attested(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        assert isinstance(await scene.answer(), Signed)
        await scene.rounds.round()
        fork, _ = two_batches(World(next_id=500))
        scene.source.entries_served[:] = fork
        assert "root hash" in await scene.refusal()
        await scene.rounds.round()
        assert any("two logs" in str(each.refusal) for each in scene.rounds.book.refusals())
        assert len(list((tmp_path / "forks").iterdir())) == 2, "both notes are kept"
        longer, _ = two_batches(World(next_id=500))
        scene.source.entries_served[:] = [*longer, longer[-1]]
        scene.seconds[0] += 61
        await scene.rounds.round()
        assert scene.copy.entries(0, scene.copy.size) != fork


@pytest.mark.asyncio
async def test_attestor__good_entries_that_the_checkpoint_does_not_cover__are_not_stored(
    tmp_path: Path,
) -> None:
    other, _ = two_batches(World(next_id=500))
    async with open_scene(tmp_path) as scene:
        scene.source.other_entries = other
        assert "root hash" in await scene.refusal()
        before = scene.checkpoint(scene.checkpoint().tree_size - 5)
        assert "consistency" in await scene.refusal(None, before)
        assert scene.copy.size == 0
        scene.source.other_entries = None
        assert isinstance(await scene.answer(None, before), Signed)
        assert isinstance(await scene.answer(), Signed)


@pytest.mark.asyncio
async def test_attestor__checkpoint_under_another_key__nothing_is_taken(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        scene.source.note_signer = NoteSigner(ORIGIN, b"\x08" * 32)
        assert "not signed by this key" in await scene.refusal()
        assert scene.copy.size == 0


@pytest.mark.asyncio
async def test_attestor__corrections__signs_what_contains_them_and_nothing_else(
    tmp_path: Path,
) -> None:
    log = CorrectableLog(World(holdback=5_000))
    indexes = log.send(*(log.world.event() for _ in range(4)))
    log.correct(indexes[0], -1)
    twice = replace(log.correction(indexes[0], -1), detail="again")
    source = PaperSource(entries_served=list(log.entries))
    async with open_scene(tmp_path, source=source, world=log.world) as scene:
        scene.machine = log.machine
        asked = scene.statement()
        assert (asked.corrections, asked.lines_total_base_units) == (1, 6_000)
        for lie in ({"corrections": 0}, {"lines_total_base_units": 8_000}):
            assert await scene.refusal(scene.statement(**lie))
        assert isinstance(await scene.answer(asked), Signed)
        source.entries_served.append(twice.to_entry())
        assert "stands already" in await scene.refusal()


@pytest.mark.asyncio
async def test_rounds__refused__is_handed_in_signed_and_rests(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        seconds = [0.0]
        scene.rounds._rests.now = lambda: seconds[0]
        wrong = replace(scene.checkpoint(), root_hash=bytes(32))
        scene.source.requests = [
            {"id": 1, "tree_size": wrong.tree_size, "root_hash": "0x" + "00" * 32}
        ]
        for at, answers in ((0.0, 1), (59.0, 1), (60.0, 2)):
            seconds[0] = at
            await scene.rounds.round()
            assert len(scene.source.posted) == answers
        _, document = scene.source.posted[0]
        assert document["refusal"]["check"] == "root_hash"
        assert isinstance(document["refusal"]["signature"], str)


@pytest.mark.asyncio
async def test_rounds__nothing_asked__the_log_is_followed_all_the_same(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.rounds.round()
        assert scene.copy.checkpoint() == scene.checkpoint()
        assert scene.attesting.follower.note == await scene.source.checkpoint_note()
        rules = RulesFacts.from_entry(scene.source.entries_served[0]).rules_json
        (published,) = (tmp_path / "rules").iterdir()
        assert published.read_bytes() == rules


@pytest.mark.asyncio
async def test_rounds__operator_away__follows_a_peer_that_has_more(tmp_path: Path) -> None:
    peer = PaperSource("paper://peer", two_batches(World())[0])
    async with open_scene(tmp_path, peers=[peer]) as scene:
        scene.source.away = True
        await scene.rounds.round()
        assert scene.copy.size == len(peer.entries_served)


@pytest.mark.asyncio
async def test_rounds__peer_was_shown_another_log__is_noticed_and_published(
    tmp_path: Path,
) -> None:
    peer = PaperSource("paper://peer", two_batches(World(next_id=500))[0])
    async with open_scene(tmp_path, peers=[peer]) as scene:
        await scene.rounds.round()
        (refusal,) = scene.rounds.book.refusals()
        assert "two logs" in str(refusal.refusal)
        assert "paper://peer" in refusal.refusal.place
        assert isinstance(await scene.answer(), Signed), "our own log is still attested"


@pytest.mark.asyncio
async def test_rounds__peers_signatures__are_kept_and_only_new_ones_asked_for(
    tmp_path: Path,
) -> None:
    signed = [
        Signed(content, OTHER, sign(DOMAINS.digest(content), OTHER_KEY))
        for content in (Checkpoint(7, bytes(32)), Checkpoint(8, bytes(32)))
    ]
    peer = PaperSource("paper://peer", signed=signed[:1], away=False)
    peer.entries_served = two_batches(World())[0]
    async with open_scene(tmp_path, peers=[peer]) as scene:
        await scene.rounds._collector.collect()
        peer.signed = signed
        await scene.rounds._collector.collect()
        assert scene.rounds.book.all_signed(OTHER) == signed
        assert scene.rounds.book.all_signed(OTHER, 1) == signed[1:]
        assert scene.rounds._collector._seen == {("paper://peer", OTHER): 2}


@pytest.mark.asyncio
async def test_propose__while_the_operator_answers__nothing_is_signed(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.rounds.round()
        with pytest.raises(Exception, match="not gone"):
            await scene.attesting.propose(scene.checkpoint())
        scene.seconds[0] += 100
        assert (await scene.attesting.propose(scene.checkpoint())).attestor == ME
        statement = scene.statement()
        with pytest.raises(Exception, match="everything stored"):
            await scene.attesting.propose(statement)
        scene.book.head = statement.tree_size
        assert (await scene.attesting.propose(statement)).content == statement
        wrong = replace(statement, lines_total_base_units=1, sequence=2)
        scene.book.standings[CAMPAIGN] = Standing(1, statement.tree_size - 1)
        with pytest.raises(Exception, match="not what the log gives"):
            await scene.attesting.propose(wrong)


@pytest.mark.asyncio
async def test_attestor__request_beyond_the_signed_checkpoint__waits(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        beyond = replace(scene.checkpoint(), tree_size=scene.checkpoint().tree_size + 1)
        with pytest.raises(Overloaded):
            await scene.answer(None, beyond)


@pytest.mark.asyncio
async def test_propose__what_is_anchored_already__is_not_judged_again(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.rounds.round()
        scene.seconds[0] += 100
        scene.book.head = scene.checkpoint().tree_size
        with pytest.raises(Exception, match="anchored already"):
            await scene.attesting.propose(scene.checkpoint())

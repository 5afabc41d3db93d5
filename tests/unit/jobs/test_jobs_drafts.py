"""Which statements and time facts a log's state calls for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.events.facts import TimeFacts
from adtally.jobs.facts import ends_unseen
from adtally.jobs.settle import due_drafts
from adtally.settlement.machine import LogMachine
from adtally.storage.rows import DraftReason, Settlement, StatementRow
from adtally.types import GoalType, Statement
from support.correctable_log import CorrectableLog
from support.world import (
    ALICE,
    BOB,
    CAMPAIGN,
    FINAL_FROM,
    NOON_MS,
    World,
)

FINAL_MS = FINAL_FROM * 1000


def _machine(world: World, events: int, member: int = ALICE) -> LogMachine:
    machine = world.machine()
    _send(machine, world, events, member)
    return machine


def _send(machine: LogMachine, world: World, events: int, member: int = ALICE) -> None:
    batch = world.batch([world.event(publisher=member) for _ in range(events)], member=member)
    machine.judge_batch(batch, NOON_MS)


def _settled(statement: Statement, activates_at_seconds: int) -> StatementRow:
    settlement = Settlement(bytes(32), 1, bytes(32), activates_at_seconds)
    return StatementRow(statement, DraftReason.GOAL, 1, settlement)


def test_due_drafts__threshold_reached__one_statement_with_all_lines() -> None:
    world = World(threshold=5_000)  # an impression is 2,000
    machine = _machine(world, 2)
    assert due_drafts(machine, {}, NOON_MS) == []
    _send(machine, world, 1, BOB)
    (draft,) = due_drafts(machine, {}, NOON_MS)
    assert draft.reason is DraftReason.THRESHOLD
    assert (draft.statement.campaign, draft.statement.sequence) == (CAMPAIGN, 1)
    assert draft.statement.tree_size == machine.size
    assert draft.statement.lines_total_base_units == 6_000
    assert [(line.publisher, line.amount_base_units) for line in draft.lines] == [
        (ALICE, 4_000),
        (BOB, 2_000),
    ]
    assert draft.attestor_set == 1
    assert not draft.statement.is_final


def test_due_drafts__previous_not_active__waits_for_its_window_to_end() -> None:
    world = World(threshold=2_000)
    machine = _machine(world, 1)
    (first,) = due_drafts(machine, {}, NOON_MS)
    _send(machine, world, 1)
    unsettled = StatementRow(first.statement, first.reason, 1, None)
    assert due_drafts(machine, {CAMPAIGN: unsettled}, NOON_MS) == []
    settled = _settled(first.statement, NOON_MS // 1000)
    assert due_drafts(machine, {CAMPAIGN: settled}, NOON_MS - 1) == []
    (second,) = due_drafts(machine, {CAMPAIGN: settled}, NOON_MS)
    assert second.statement.sequence == 2
    assert second.statement.lines_total_base_units == 4_000


def test_due_drafts__impression_goal__counts_from_the_last_statement() -> None:
    world = World(goal=(int(GoalType.IMPRESSIONS), 3))
    machine = _machine(world, 3)
    (first,) = due_drafts(machine, {}, NOON_MS)
    assert first.reason is DraftReason.GOAL
    settled = {CAMPAIGN: _settled(first.statement, 0)}
    _send(machine, world, 2)
    assert due_drafts(machine, settled, NOON_MS) == []
    _send(machine, world, 1)
    assert due_drafts(machine, settled, NOON_MS)[0].statement.counts.impressions == 6


@pytest.mark.parametrize("events", [0, 2])
def test_due_drafts__flight_over_in_the_log__final_exactly_once(events: int) -> None:
    world = World()
    machine = _machine(world, events) if events else world.machine()
    assert due_drafts(machine, {}, FINAL_MS) == []
    machine.apply_facts(TimeFacts(FINAL_MS))
    (final,) = due_drafts(machine, {}, FINAL_MS)
    assert final.reason is DraftReason.FINAL
    assert final.statement.is_final
    assert len(final.lines) == bool(events)
    assert due_drafts(machine, {CAMPAIGN: _settled(final.statement, 0)}, FINAL_MS) == []


def test_due_drafts__final_was_objected_to__another_final_once_it_is_active() -> None:
    machine = _machine(World(), 2)
    machine.apply_facts(TimeFacts(FINAL_MS))
    (final,) = due_drafts(machine, {}, FINAL_MS)
    settled = _settled(final.statement, FINAL_FROM + 600)
    assert settled.settlement is not None
    objected = replace(settled, settlement=replace(settled.settlement, is_objected=True))
    assert due_drafts(machine, {CAMPAIGN: objected}, FINAL_MS + 599_999) == []
    (second,) = due_drafts(machine, {CAMPAIGN: objected}, FINAL_MS + 600_000)
    assert (second.statement.sequence, second.statement.is_final) == (2, True)
    assert second.statement.lines_root == final.statement.lines_root
    assert due_drafts(machine, {CAMPAIGN: settled}, FINAL_MS + 600_000) == []


def test_due_drafts__objected_and_corrected__decided_as_soon_as_the_escrow_takes_it() -> None:
    log = CorrectableLog(World(threshold=16_000, holdback=5_000))
    indexes = log.send(*(log.world.event() for _ in range(8)))
    (first,) = due_drafts(log.machine, {}, NOON_MS)
    settled = _settled(first.statement, NOON_MS // 1000 + 600)
    assert settled.settlement is not None
    objected = replace(settled, settlement=replace(settled.settlement, is_objected=True))
    later_ms = NOON_MS + 600_000
    assert due_drafts(log.machine, {CAMPAIGN: objected}, later_ms) == []
    log.correct(indexes[0], -1)
    assert due_drafts(log.machine, {CAMPAIGN: objected}, later_ms - 1) == []
    # Without an objection it waits for whatever comes next.
    assert due_drafts(log.machine, {CAMPAIGN: settled}, later_ms) == []
    (second,) = due_drafts(log.machine, {CAMPAIGN: objected}, later_ms)
    assert second.reason is DraftReason.CORRECTION
    assert (second.statement.corrections, second.statement.is_final) == (1, False)
    assert second.statement.lines_total_base_units == 14_000
    decided = _settled(second.statement, 0)
    assert due_drafts(log.machine, {CAMPAIGN: decided}, later_ms) == []
    log.send(*(log.world.event() for _ in range(7)))
    assert due_drafts(log.machine, {CAMPAIGN: decided}, later_ms) == []
    log.send(log.world.event())
    (third,) = due_drafts(log.machine, {CAMPAIGN: decided}, later_ms)
    assert third.statement.lines_total_base_units == 30_000


def test_due_drafts__never_funded__nothing_even_after_the_flight() -> None:
    world = World(funding=0)
    machine = world.machine()
    machine.apply_facts(TimeFacts(FINAL_MS))
    assert due_drafts(machine, {}, FINAL_MS) == []


def test_ends_unseen__clock_past_the_correction_window__only_until_the_log_shows_it() -> None:
    machine = World().machine()
    assert ends_unseen(machine, set(), FINAL_MS - 1) == []
    assert ends_unseen(machine, set(), FINAL_MS) == [CAMPAIGN]
    assert ends_unseen(machine, {CAMPAIGN}, FINAL_MS) == []
    machine.apply_facts(TimeFacts(FINAL_MS))
    assert ends_unseen(machine, set(), FINAL_MS + 1) == []

"""A campaign's whole life through the jobs, on a real chain, to the unit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from adtally.storage.rows import DraftReason, TransferKind
from adtally.types import GoalType, OutboxState
from support.jobs_world import ADVERTISER, AGENCY, ALICE, BOB, CAMPAIGN, FUNDING, JobsWorld

pytestmark = pytest.mark.chain
MakeWorld = Callable[..., Awaitable[JobsWorld]]


@pytest.mark.asyncio
async def test_day__threshold_then_final__everybody_is_paid_and_the_rest_goes_back(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=5_000)
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 2)
    await world.send_accepted(BOB, 1)
    await world.settle_down()
    (first,) = await world.statements()
    assert first.reason is DraftReason.THRESHOLD
    assert first.settlement is not None
    assert await world.received(ALICE) == 4_000
    assert await world.received(BOB) == 2_000
    assert await world.received(AGENCY) == 300

    await world.send_accepted(BOB, 1)
    await world.settle_down()
    assert len(await world.statements()) == 1

    await world.end_flight()
    await world.settle_down()
    final = (await world.statements())[-1]
    assert final.reason is DraftReason.FINAL
    assert final.statement.lines_total_base_units == 8_000
    assert await world.received(BOB) == 4_000
    assert await world.received(AGENCY) == 400

    await world.wallet(ADVERTISER).send(world.escrow.refund_call(CAMPAIGN))
    await world.settle_down()
    assert await world.received(ADVERTISER) == FUNDING - 8_400
    assert await world.token.balance_of(world.escrow.address) == 0
    transfers = await world.transfers()
    sums = {
        kind: sum(row.amount_base_units for row in transfers if row.kind is kind)
        for kind in TransferKind
    }
    assert sums == {
        TransferKind.DEPOSIT: FUNDING,
        TransferKind.BOND: 0,
        TransferKind.BOND_RELEASED: 0,
        TransferKind.CLAIM: 8_000,
        TransferKind.CUT: 400,
        TransferKind.REFUND: FUNDING - 8_400,
    }
    assert {row.state for row in await world.transactions()} == {OutboxState.FINAL}
    assert world.broken == []


@pytest.mark.asyncio
async def test_day__nothing_sent__final_statement_without_lines_opens_the_refund(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=1)
    await world.settle_down()
    assert await world.statements() == []
    await world.end_flight()
    await world.settle_down()
    (final,) = await world.statements()
    assert final.statement.is_final
    assert final.statement.lines_total_base_units == 0
    assert final.settlement is not None
    await world.wallet(ADVERTISER).send(world.escrow.refund_call(CAMPAIGN))
    await world.settle_down()
    assert await world.received(ADVERTISER) == FUNDING


@pytest.mark.asyncio
async def test_day__count_goal_and_dispute_window__one_statement_at_a_time(
    make_world: MakeWorld,
) -> None:
    world = await make_world(goal=(GoalType.IMPRESSIONS, 2), dispute_window_seconds=600)
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 2)
    await world.settle_down()
    await world.send_accepted(ALICE, 4)
    await world.settle_down()
    assert [row.statement.sequence for row in await world.statements()] == [1]
    assert await world.received(ALICE) == 0

    await world.advance(700)
    await world.settle_down()
    assert await world.received(ALICE) == 4_000
    assert [row.statement.counts.impressions for row in await world.statements()] == [2, 6]
    await world.advance(700)
    await world.settle_down()
    assert await world.received(ALICE) == 12_000


@pytest.mark.asyncio
async def test_pay__below_the_minimum__is_left_to_the_publisher(make_world: MakeWorld) -> None:
    world = await make_world(threshold=5_000)
    await world.close()
    world.minimum_base_units = 3_000
    await world.open()
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 2)
    await world.send_accepted(BOB, 1)
    await world.settle_down()
    assert await world.received(ALICE) == 4_000
    assert await world.received(BOB) == 0
    assert await world.received(AGENCY) == 0


@pytest.mark.asyncio
async def test_facts__quiet_chain__the_log_does_not_grow(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.settle_down()
    await world.advance(60)
    await world.settle_down()
    size = world.context.sequencer.tree.size
    anchors = len(await world.anchors())
    for _ in range(5):
        await world.advance(3_600)
        await world.settle_down()
    assert world.context.sequencer.tree.size == size
    assert len(await world.anchors()) == anchors == 1


@pytest.mark.asyncio
async def test_facts__restarted__goes_on_where_the_log_is(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.settle_down()
    await world.close()
    await world.fund(1_000)
    await world.open()
    await world.settle_down()
    facts = world.context.sequencer.machine.facts
    assert facts.campaigns[CAMPAIGN].funded_base_units == FUNDING + 1_000

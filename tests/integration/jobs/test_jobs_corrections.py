"""Corrections through the jobs, on a real chain, to the unit, and audited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from adtally.errors import Conflict
from adtally.storage.rows import DraftReason, TransferKind
from adtally.types import OutboxState
from support.jobs_world import ADVERTISER, AGENCY, ALICE, BOB, BOND, CAMPAIGN, FUNDING, JobsWorld

pytestmark = pytest.mark.chain
MakeWorld = Callable[..., Awaitable[JobsWorld]]
HOLDBACK = 2_500
WINDOW = 600


async def _received(world: JobsWorld) -> tuple[int, int, int]:
    return (
        await world.received(ALICE),
        await world.received(BOB),
        await world.received(AGENCY),
    )


async def _object(world: JobsWorld, sequence: int) -> None:
    advertiser = world.member(ADVERTISER)
    await advertiser.account.send(world.token.mint_call(advertiser.account.address, BOND))
    await advertiser.object_to(CAMPAIGN, sequence, "these are bots")


@pytest.mark.asyncio
async def test_objection__with_a_correction__is_upheld_and_the_lower_line_is_paid(
    make_world: MakeWorld,
) -> None:
    world = await make_world(
        threshold=24_000, dispute_window_seconds=WINDOW, holdback_basis_points=HOLDBACK
    )
    await world.round()
    await world.declare()
    first = await world.send_accepted(ALICE, 8)
    await world.send_accepted(BOB, 4)
    await world.settle_down()
    (stated,) = await world.statements()
    assert (stated.statement.lines_total_base_units, stated.statement.corrections) == (24_000, 0)

    await _object(world, 1)
    await world.settle_down()
    entered = await world.correct(first + 2, -1, "report 7")
    with pytest.raises(Conflict, match=f"stands already at index {entered.index}"):
        await world.correct(first + 2, -1, "report 7")
    await world.settle_down()
    assert len(await world.statements()) == 1

    # The objection's extension is over: the first statement pays, the second decides.
    await world.advance(2 * WINDOW + 100)
    await world.settle_down()
    second = (await world.statements())[-1]
    assert second.reason is DraftReason.CORRECTION
    assert (second.statement.sequence, second.statement.is_final) == (2, False)
    assert (second.statement.lines_total_base_units, second.statement.corrections) == (22_000, 1)
    assert await _received(world) == (12_000, 6_000, 900)
    assert world.broken == []

    # Alice's line falls to 14,000; of it 10,500 are released, and she keeps the 12,000.
    _, released = await world.member(BOB).release_objection_bond(CAMPAIGN)
    assert released.to == world.payout(ADVERTISER)
    await world.advance(WINDOW + 100)
    await world.settle_down()
    assert await _received(world) == (12_000, 6_000, 900)
    assert world.broken == []
    report = await world.audit()
    assert report.ok, report.discrepancies

    await world.end_flight()
    await world.settle_down()
    final = (await world.statements())[-1]
    assert (final.statement.sequence, final.is_last) == (3, True)
    assert final.statement.lines_root == second.statement.lines_root
    await world.advance(WINDOW + 100)
    await world.settle_down()
    assert await _received(world) == (14_000, 8_000, 1_100)
    await world.member(ADVERTISER).refund(CAMPAIGN)
    await world.settle_down()
    # The bond came to the same address.
    assert await world.received(ADVERTISER) == FUNDING - 23_100 + BOND
    assert await world.token.balance_of(world.escrow.address) == 0
    bonds = [row for row in await world.transfers() if row.kind is TransferKind.BOND_RELEASED]
    assert [(row.party, row.amount_base_units) for row in bonds] == [
        (world.payout(ADVERTISER), BOND)
    ]
    assert world.broken == []
    assert {row.state for row in await world.transactions()} == {OutboxState.FINAL}
    report = await world.audit()
    assert report.ok, report.discrepancies
    assert (report.figures.corrections, report.figures.objections) == (1, 1)


@pytest.mark.asyncio
async def test_complete__no_threshold_reached__stated_while_it_can_be_objected_to(
    make_world: MakeWorld,
) -> None:
    world = await make_world(
        threshold=10**9, dispute_window_seconds=WINDOW, holdback_basis_points=HOLDBACK
    )
    await world.round()
    await world.declare()
    first = await world.send_accepted(ALICE, 8)
    await world.settle_down()
    assert await world.statements() == []

    terms = world.terms
    await world.move_to((terms.flight_end_seconds + terms.late_window_seconds) * 1000)
    await world.settle_down()
    (complete,) = await world.statements()
    assert (complete.reason, complete.statement.is_final) == (DraftReason.COMPLETE, False)
    await _object(world, 1)
    await world.correct(first, -1)
    await world.end_flight()
    await world.settle_down()
    final = (await world.statements())[-1]
    assert (final.statement.sequence, final.is_last) == (2, True)
    assert (final.statement.lines_total_base_units, final.statement.corrections) == (14_000, 1)
    _, released = await world.member(BOB).release_objection_bond(CAMPAIGN)
    assert released.to == world.payout(ADVERTISER)
    await world.advance(WINDOW + 100)
    await world.settle_down()
    assert await _received(world) == (14_000, 0, 700)
    assert world.broken == []
    report = await world.audit()
    assert report.ok, report.discrepancies


@pytest.mark.asyncio
async def test_correction__nobody_objected__waits_for_the_final_statement(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=16_000, holdback_basis_points=HOLDBACK)
    await world.round()
    await world.declare()
    first = await world.send_accepted(ALICE, 8)
    await world.settle_down()
    assert await _received(world) == (12_000, 0, 600)
    await world.correct(first, -1)
    await world.correct(first + 1, -1)
    with pytest.raises(Conflict, match="fall below"):
        await world.correct(first + 2, -1)
    await world.settle_down()
    assert len(await world.statements()) == 1

    # Killed and opened again, it knows what was corrected.
    await world.close()
    await world.open()
    with pytest.raises(Conflict, match="stands already"):
        await world.correct(first, -1)
    with pytest.raises(Conflict, match="fall below"):
        await world.correct(first + 2, -1)
    await world.end_flight()
    await world.settle_down()
    final = (await world.statements())[-1]
    assert (final.statement.lines_total_base_units, final.statement.corrections) == (12_000, 2)
    assert await _received(world) == (12_000, 0, 600)
    await world.member(ADVERTISER).refund(CAMPAIGN)
    await world.settle_down()
    assert await world.received(ADVERTISER) == FUNDING - 12_600
    assert await world.token.balance_of(world.escrow.address) == 0
    assert world.broken == []
    report = await world.audit()
    assert report.ok, report.discrepancies
    assert report.figures.corrections == 2


@pytest.mark.asyncio
async def test_objection__extended_past_the_correction_window__the_final_statement_upholds_it(
    make_world: MakeWorld,
) -> None:
    day = 86_400
    world = await make_world(
        threshold=16_000, dispute_window_seconds=day, holdback_basis_points=HOLDBACK
    )
    await world.round()
    await world.declare()
    first = await world.send_accepted(ALICE, 8)
    await world.settle_down()
    await _object(world, 1)
    await world.correct(first, -1)
    # In the last hours nothing is stated but the final total, so that it may fall.
    await world.end_flight()
    await world.settle_down()
    assert len(await world.statements()) == 1
    await world.advance(day)
    await world.settle_down()
    final = (await world.statements())[-1]
    assert (final.statement.sequence, final.is_last) == (2, True)
    assert (final.statement.lines_total_base_units, final.statement.corrections) == (14_000, 1)
    assert final.settlement is not None
    _, released = await world.member(BOB).release_objection_bond(CAMPAIGN)
    assert released.to == world.payout(ADVERTISER)
    await world.advance(day + 100)
    await world.settle_down()
    assert await _received(world) == (14_000, 0, 700)
    assert world.broken == []
    report = await world.audit()
    assert report.ok, report.discrepancies

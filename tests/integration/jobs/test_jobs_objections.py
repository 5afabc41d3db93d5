"""Holdback and objections through the jobs, on a real chain, to the unit, and audited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from adtally.audit.objections_check import BURN
from adtally.storage.rows import TransferKind
from adtally.types import OutboxState
from support.jobs_world import ADVERTISER, AGENCY, ALICE, BOB, BOND, CAMPAIGN, FUNDING, JobsWorld

pytestmark = pytest.mark.chain
MakeWorld = Callable[..., Awaitable[JobsWorld]]
HOLDBACK = 1_000


async def _received(world: JobsWorld) -> tuple[int, int, int]:
    return (
        await world.received(ALICE),
        await world.received(BOB),
        await world.received(AGENCY),
    )


@pytest.mark.asyncio
async def test_objection__to_the_final_statement__another_final_one_pays_everything(
    make_world: MakeWorld,
) -> None:
    world = await make_world(dispute_window_seconds=600, holdback_basis_points=HOLDBACK)
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 2)
    await world.send_accepted(BOB, 1)
    await world.end_flight()
    await world.settle_down()
    (first,) = await world.statements()
    assert first.is_last

    advertiser = world.member(ADVERTISER)
    await advertiser.account.send(world.token.mint_call(advertiser.account.address, BOND))
    await advertiser.object_to(CAMPAIGN, 1, "these are bots")
    await world.settle_down()
    (objected,) = await world.statements()
    assert not objected.is_last
    assert objected.settlement is not None
    assert first.settlement is not None
    moved = objected.settlement.activates_at_seconds - first.settlement.activates_at_seconds
    assert moved == 600
    assert world.broken == []

    # The first activation has passed; the moved one has not.
    await world.advance(700)
    await world.settle_down()
    assert len(await world.statements()) == 1
    assert await _received(world) == (0, 0, 0)

    # Now it is active, but not the last word: a part is held back.
    await world.advance(600)
    await world.settle_down()
    second = (await world.statements())[-1]
    assert (second.statement.sequence, second.is_last) == (2, True)
    assert second.statement.lines_root == first.statement.lines_root
    assert await _received(world) == (3_600, 1_800, 270)

    await world.advance(700)
    await world.settle_down()
    assert await _received(world) == (4_000, 2_000, 300)
    _, released = await world.member(BOB).release_objection_bond(CAMPAIGN)
    assert released.to == BURN
    await advertiser.refund(CAMPAIGN)
    await world.settle_down()
    assert await world.received(ADVERTISER) == FUNDING - 6_300
    assert await world.token.balance_of(world.escrow.address) == 0
    bonds = [row for row in await world.transfers() if row.kind is TransferKind.BOND_RELEASED]
    assert [(row.party, row.amount_base_units) for row in bonds] == [(BURN, BOND)]
    assert world.broken == []
    assert {row.state for row in await world.transactions()} == {OutboxState.FINAL}
    report = await world.audit()
    assert report.ok, report.discrepancies
    assert report.figures.objections == 1


@pytest.mark.asyncio
async def test_holdback__campaign_closes_by_its_grace__the_rest_is_pushed_by_itself(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=4_000, holdback_basis_points=HOLDBACK)
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 2)
    await world.settle_down()
    assert await _received(world) == (3_600, 0, 180)
    assert (await world.audit()).ok

    # No attestor signs any more, so no final statement closes the campaign.
    assert world.running is not None
    await world.end_flight()
    await world.advance(world.terms.grace_seconds - 60)
    for _ in range(3):
        assert await world.running.runner.run_all()
    assert await _received(world) == (3_600, 0, 180)
    await world.advance(60)
    for _ in range(3):
        assert await world.running.runner.run_all()
    assert await _received(world) == (4_000, 0, 200)
    keys = [row.effect_key for row in await world.transactions()]
    assert {key for key in keys if key.startswith(("claim", "cut"))} == {
        "claim:1:1:0",
        "cut:1:1:0",
        "claim:1:1:0:rest",
        "cut:1:1:0:rest",
    }
    assert world.broken == []
    report = await world.audit()
    assert report.ok, report.discrepancies


@pytest.mark.asyncio
async def test_reconcile__payouts_booked_by_anyone__changes_nothing(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=2_000)
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 1)
    await world.settle_down()
    token = world.terms.token
    assert await world.escrow.liabilities(token) == FUNDING
    assert (await world.escrow.campaign(CAMPAIGN)).unbooked_base_units == 2_100
    await world.wallet(BOB).send(world.escrow.book_payouts_call(CAMPAIGN))
    assert await world.escrow.liabilities(token) == FUNDING - 2_100
    await world.settle_down()
    assert world.broken == []

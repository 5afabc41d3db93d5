"""Reorgs of every depth to 64 on anvil: pending again, mined again, never final too early."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.chain.ports import OutboxState
from adtally.storage.database import Database
from support.chain_site import STRANGER, ChainSite
from support.outbox_runs import Office

pytestmark = pytest.mark.chain


async def _mine(site: ChainSite, blocks: int) -> None:
    await site.chain.rpc.request("anvil_mine", hex(blocks))


async def _reorg(site: ChainSite, depth: int) -> None:
    await site.chain.rpc.request("anvil_reorg", depth, [])


@pytest.mark.slow
@pytest.mark.asyncio
async def test_outbox__reorg_of_every_depth_to_64__is_pending_then_mined_again(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    rows: list[int] = []
    for depth in range(1, 65):
        row = await office.ask_anchor(depth - 1, depth)
        mined = await office.step_until(row, OutboxState.MINED)
        if depth > 1:
            await _mine(anvil_site, depth - 1)
        await _reorg(anvil_site, depth)
        again = await office.step_until(row, OutboxState.MINED)
        assert again.transaction_hash == mined.transaction_hash
        assert await anvil_site.event_log.head_size() == depth
        assert await office.nonce() == depth
        rows.append(row)
    await _mine(anvil_site, 64)
    await office.outbox.step()
    assert set(await office.states(*rows)) == {OutboxState.FINAL}
    await _reorg(anvil_site, 64)
    await office.outbox.step()
    assert set(await office.states(*rows)) == {OutboxState.FINAL}


@pytest.mark.asyncio
async def test_outbox__several_rows_reorganised_away__come_back_in_order_unchanged(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    rows = [await office.ask_anchor(size, size + 1) for size in range(6)]
    await office.step_until(rows[-1], OutboxState.MINED)
    before = [(await office.row(row)).transaction_hash for row in rows]
    await _mine(anvil_site, 20)
    await _reorg(anvil_site, 26)
    await office.outbox.step()
    await office.step_until(rows[-1], OutboxState.MINED)
    after = [await office.row(row) for row in rows]
    assert [row.transaction_hash for row in after] == before
    assert all(len(row.attempts) == 1 for row in after)
    assert await anvil_site.event_log.anchor_count() == 6


@pytest.mark.asyncio
async def test_outbox__earlier_effect_done_by_others_after_reorg__fills_the_nonce_gap(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    rows = [await office.ask_anchor(size, size + 1) for size in range(3)]
    await office.step_until(rows[-1], OutboxState.MINED)
    before = [(await office.row(row)).transaction_hash for row in rows]
    await _reorg(anvil_site, 3)
    await anvil_site.wallet(STRANGER).send(anvil_site.anchor_call(0, 1))
    await office.outbox.step()
    await office.step_until(rows[-1], OutboxState.MINED)
    after = [await office.row(row) for row in rows]
    assert after[0].state is OutboxState.MINED
    assert [row.transaction_hash for row in after[1:]] == before[1:]
    assert [attempt.is_filler for attempt in after[1].attempts] == [False, True]
    assert await anvil_site.event_log.anchor_count() == 3
    assert await office.nonce() == 3
    await _mine(anvil_site, 64)
    await office.outbox.step()
    assert set(await office.states(*rows)) == {OutboxState.FINAL}


@pytest.mark.asyncio
async def test_outbox__effect_by_others_reorganised_away__is_sent_by_us(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    row = await office.ask_anchor(0, 4)
    await anvil_site.wallet(STRANGER).send(anvil_site.anchor_call(0, 4))
    seen = await office.step_until(row, OutboxState.MINED)
    assert seen.transaction_hash is None
    await _reorg(anvil_site, 1)
    await office.outbox.step()
    done = await office.step_until(row, OutboxState.MINED)
    assert done.transaction_hash == done.attempts[0].hash
    assert await anvil_site.event_log.anchor_count() == 1


@pytest.mark.asyncio
async def test_outbox__effect_seen_at_a_block_that_lacks_it__is_not_believed(
    any_site: ChainSite, database: Database
) -> None:
    """A node may answer a pinned read from a later state; no receipt ties that to a block."""
    office = Office(any_site, database)
    row = await office.ask_anchor(0, 4)
    latest = await any_site.chain.latest()
    believed = replace(
        await office.row(row),
        state=OutboxState.MINED,
        block_number=latest.number,
        block_hash=latest.hash,
    )
    await office.store.save(believed)
    await office.outbox.step()
    done = await office.step_until(row, OutboxState.FINAL)
    assert done.transaction_hash == done.attempts[0].hash
    assert await any_site.event_log.head_size() == 4

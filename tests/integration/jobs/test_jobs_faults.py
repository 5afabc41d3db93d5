"""Jobs under faults, on a real chain: killed anywhere, chain down, old backups, wrong books."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.chain.accounts import local_account
from adtally.chain.contracts.event_log import NO_ANCHOR
from adtally.chain.contracts.quorum import make_quorum
from adtally.events.eip712 import statement_digest
from adtally.events.signature import address_of, sign
from adtally.jobs.books import BooksJob
from adtally.jobs.reconcile import ReconcileJob
from adtally.jobs.requests import find_quorum
from adtally.settlement.statement import build_statement
from adtally.storage.models import Transfer
from adtally.storage.repositories import attestations
from adtally.storage.rows import TransferKind
from adtally.types import Counts, Line, OutboxState
from support.jobs_world import (
    AGENCY,
    ALICE,
    ATTESTOR_KEYS,
    BOB,
    CAMPAIGN,
    OPERATOR,
    JobsWorld,
)

pytestmark = pytest.mark.chain
MakeWorld = Callable[..., Awaitable[JobsWorld]]


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Reaper:
    """Kills the service at its n-th step that touches disk or network, before or after it."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def watch(self, world: JobsWorld) -> None:
        """Count the steps of the service that is running now."""
        context = world.context
        context.chain.rpc.request = self._around(context.chain.rpc.request)  # type: ignore[method-assign]
        context.sequencer.enter_facts = self._around(context.sequencer.enter_facts)  # type: ignore[method-assign]
        context.sequencer.read = self._around(context.sequencer.read)  # type: ignore[method-assign]
        inner = context.database.transaction

        @asynccontextmanager
        async def transaction() -> AsyncIterator[AsyncSession]:
            async with inner() as session:
                yield session
                self.step()
            self.step()

        context.database.transaction = transaction  # type: ignore[method-assign]

    def _around(self, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def outer(*arguments: Any) -> Any:
            self.step()
            result = await inner(*arguments)
            self.step()
            return result

        return outer


async def _killed_again_and_again(world: JobsWorld, first: int) -> int:
    """Run until all is done, killed at every third step from ``first`` on, each time a little
    later than before; how often it was killed.
    """
    kills = 0
    while True:
        reaper = Reaper(first + 3 * kills)
        reaper.watch(world)
        try:
            await world.settle_down()
        except Killed:
            kills += 1
            await world.close()
            await world.open()
        else:
            reaper.left = 0  # it has counted past its step; from here on nothing is killed
            return kills


@pytest.mark.slow
@pytest.mark.asyncio
async def test_jobs__killed_over_and_over__each_effect_once_and_totals_exact(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=5_000)
    account = local_account(OPERATOR).address
    nonce = await world.chain.nonce(account)
    kills = await _killed_again_and_again(world, 1)
    await world.declare()
    await world.send_accepted(ALICE, 2)
    await world.send_accepted(BOB, 1)
    kills += await _killed_again_and_again(world, 2)
    await world.end_flight()
    kills += await _killed_again_and_again(world, 3)
    assert kills > 40
    assert world.broken == []
    assert await world.received(ALICE) == 4_000
    assert await world.received(BOB) == 2_000
    assert await world.received(AGENCY) == 300
    rows = await world.statements()
    assert [(row.statement.sequence, row.statement.is_final) for row in rows] == [
        (1, False),
        (2, True),
    ]
    transactions = await world.transactions()
    assert {row.state for row in transactions} == {OutboxState.FINAL}
    assert await world.chain.nonce(account) - nonce == len(transactions)
    sizes = [anchor.checkpoint.tree_size for anchor in await world.anchors()]
    assert sizes == sorted(set(sizes))


@pytest.mark.asyncio
async def test_jobs__chain_down__intake_goes_on_and_one_anchor_catches_up(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=5_000)
    await world.round()
    await world.declare()
    await world.close()
    url, world.rpc_url = world.rpc_url, "http://127.0.0.1:1"
    await world.open()
    for _ in range(3):
        await world.send_accepted(ALICE, 2)
        world.clock.at_ms += 300_000
        assert not await world.round()
    assert {"watch", "facts", "anchor"} <= set(world.failing)
    assert "did not answer" in world.failing["watch"] or "RPC" in world.failing["watch"]
    assert world.broken == []
    size = world.context.sequencer.tree.size
    await world.close()
    world.rpc_url = url
    await world.open()
    await world.move_to(world.clock.at_ms)
    await world.settle_down()
    anchors = await world.anchors()
    assert anchors[-1].checkpoint.tree_size == size
    assert len(anchors) <= 2
    # Drafted while the chain was down, at the second batch; the third waits for the flight's end.
    assert await world.received(ALICE) == 8_000
    await world.end_flight()
    await world.settle_down()
    assert await world.received(ALICE) == 12_000


@pytest.mark.asyncio
async def test_reconcile__books_changed_by_one_unit__stops_with_both_numbers(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=2_000)
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 1)
    await world.settle_down()
    assert world.broken == []
    async with world.context.database.transaction() as session:
        changed = update(Transfer).where(Transfer.kind == TransferKind.CLAIM.value)
        await session.execute(changed.values(amount_base_units=1_999))
    await world.advance(600)
    await world.round()
    (broken, *_) = world.broken
    assert "claimed: books 1999, chain 2000" in str(broken)
    assert f"paid to publisher {ALICE}: books 1999, chain 2000" in str(broken)
    assert "liabilities" in str(broken)


@pytest.mark.asyncio
async def test_reconcile__tokens_sent_to_the_escrow__are_a_surplus_not_a_difference(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    await world.wallet(ALICE).send(world.token.mint_call(world.escrow.address, 7))
    await world.settle_down()
    job = ReconcileJob(world.context, BooksJob(world.context))
    await job.run()
    assert job.last is not None
    assert job.last.surplus_base_units == {world.terms.token: 7}
    assert world.broken == []


@pytest.mark.asyncio
async def test_books__statement_settled_that_was_not_drafted__stops(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    await world.round()
    await world.declare()
    await world.send_accepted(ALICE, 1)
    await world.advance(60)
    await world.settle_down()
    (anchor,) = await world.anchors()
    lines = [Line(ALICE, Counts(500), 1_000_000)]
    domain = world.deployment.escrow_domain
    size = anchor.checkpoint.tree_size
    statement = build_statement(domain, CAMPAIGN, 1, size, lines, corrections=0, is_final=False)
    digest = statement_digest(domain, statement)
    signatures = {address_of(key): sign(digest, key) for key in ATTESTOR_KEYS}
    quorum = make_quorum(2, world.deployment.attestors, signatures)
    await world.wallet(BOB).send(world.escrow.settle_call(statement, quorum))
    await world.round()
    assert "not drafted here" in str(world.broken[0])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sent_after", "message"), [(0, "lacks entries"), (80, "is of another log")]
)
async def test_anchor__log_restored_from_an_old_backup__stops(
    make_world: MakeWorld, sent_after: int, message: str
) -> None:
    world = await make_world()
    await world.round()
    await world.declare()
    await world.close()
    backup = world.folder.parent / f"{world.folder.name}-backup"
    shutil.copytree(world.folder, backup)
    await world.open()
    await world.send_accepted(ALICE, 40)
    await world.advance(60)
    await world.settle_down()
    assert len(await world.anchors()) == 1
    await world.close()
    shutil.rmtree(world.folder)
    backup.rename(world.folder)
    await world.open()
    if sent_after:
        await world.send_accepted(BOB, sent_after)
    await world.round()
    assert message in str(world.broken[0])
    assert await world.transactions() == []


@pytest.mark.asyncio
async def test_anchor__somebody_else_anchors_in_between__is_sent_anew_on_the_new_head(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    assert world.running is not None
    runner, context = world.running.runner, world.context
    for name in ("watch", "facts", "books"):
        assert await runner.run_round(name)
    await world.declare()
    for publisher in (ALICE, BOB):
        await world.send_accepted(publisher, 1)
        await world.advance(60)
        assert await runner.run_round("anchor")
        async with context.database.session() as session:
            asked = await attestations.checkpoint_requests_above(session, 0)
    assert len(asked) == 2
    await world.attest()
    assert await runner.run_round("anchor")
    async with context.database.session() as session:
        quorum = await find_quorum(session, asked[0])
    assert quorum is not None
    call = context.event_log.anchor_call(NO_ANCHOR, asked[0].checkpoint, [], quorum)
    await world.wallet(BOB).send(call)
    assert await runner.run_round("send")
    (row,) = await world.transactions()
    assert row.state is OutboxState.FAILED
    assert "PreviousNotHead" in (row.error or "")
    await world.settle_down()
    anchors = await world.anchors()
    assert [anchor.checkpoint for anchor in anchors] == [row.checkpoint for row in asked]
    assert anchors[0].gas_used is None
    assert anchors[1].gas_used is not None
    assert world.broken == []


@pytest.mark.asyncio
async def test_settle__drafted_once__is_the_same_after_more_traffic_and_a_restart(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=2_000)
    assert world.running is not None
    for name in ("watch", "facts", "books"):
        assert await world.running.runner.run_round(name)
    await world.declare()
    await world.send_accepted(ALICE, 1)
    assert await world.running.runner.run_round("settle")
    (drafted,) = await world.statements()
    await world.close()
    await world.open()
    await world.send_accepted(ALICE, 3)
    await world.settle_down()
    first, second = await world.statements()
    assert first.statement == drafted.statement
    assert second.statement.lines_total_base_units == 8_000
    assert await world.received(ALICE) == 8_000

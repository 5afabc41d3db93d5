"""What strangers do on the chain must not stop the service, nor hold up anybody else's money."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from eth_utils import keccak

from adtally.chain.contracts.quorum import make_quorum
from adtally.chain.contracts.token import Token
from adtally.events.eip712 import statement_digest
from adtally.events.signature import address_of, sign
from adtally.settlement.statement import build_statement
from support.jobs_world import ADVERTISER, ALICE, BOB, CAMPAIGN, JobsWorld

pytestmark = pytest.mark.chain
MakeWorld = Callable[..., Awaitable[JobsWorld]]

LYING_TOKEN = keccak(b"lying token")[12:]
# balanceOf answers slot 0, transferFrom adds to it, any other call clears it: money in thin air.
LYING_TOKEN_CODE = (
    "0x60003560e01c806370a0823114602157"
    "6323b872dd14602d57600060005560385"
    "65b60005460005260206000f3"
    "5b60443560005401600055"
    "5b600160005260206000f3"
)


async def _alice_is_paid(world: JobsWorld, total: int) -> None:
    """The ordinary business of the world's campaign goes through to the payout."""
    await world.send_accepted(ALICE, 500)
    await world.advance(60)
    await world.settle_down()
    assert world.broken == []
    assert await world.received(ALICE) == total


@pytest.mark.asyncio
async def test_books__campaign_settled_by_attestors_of_its_own__is_left_alone(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=1_000_000)
    await world.round()
    await world.declare()
    await _alice_is_paid(world, 1_000_000)

    mine = keccak(b"an attestor of my own")
    advertiser = world.wallet(ADVERTISER)
    await advertiser.send(world.context.event_log.create_attestor_set_call([address_of(mine)], 1))
    terms = replace(world.terms, attestor_set=world.deployment.attestor_set + 1)
    await advertiser.send(world.escrow.open_campaign_call(terms))
    await advertiser.send(world.token.mint_call(advertiser.address, 1))
    await advertiser.send(world.token.approve_call(world.escrow.address, 1))
    await advertiser.send(world.escrow.fund_call(CAMPAIGN + 1, 1))
    domain = world.deployment.escrow_domain
    statement = build_statement(domain, CAMPAIGN + 1, 1, 1, [], corrections=0, is_final=False)
    signature = sign(statement_digest(domain, statement), mine)
    quorum = make_quorum(1, [address_of(mine)], {address_of(mine): signature})
    await advertiser.send(world.escrow.settle_call(statement, quorum))

    await _alice_is_paid(world, 2_000_000)
    # Its own final statement is drafted in time and can never be settled; the rest goes on.
    await world.end_flight()
    await world.settle_down()
    assert world.broken == []


@pytest.mark.asyncio
async def test_reconcile__a_strangers_token_takes_its_money_back__goes_on(
    make_world: MakeWorld,
) -> None:
    world = await make_world(threshold=1_000_000)
    await world.round()
    await world.declare()
    await world.chain.rpc.request("hardhat_setCode", f"0x{LYING_TOKEN.hex()}", LYING_TOKEN_CODE)
    advertiser = world.wallet(ADVERTISER)
    await advertiser.send(world.escrow.open_campaign_call(replace(world.terms, token=LYING_TOKEN)))
    await advertiser.send(world.escrow.fund_call(CAMPAIGN + 1, 10**9))
    await world.settle_down()
    lying = Token(world.chain, LYING_TOKEN)
    await advertiser.send(lying.transfer_call(BOB.to_bytes(20, "big"), 1))
    assert await lying.balance_of(world.escrow.address) == 0
    await _alice_is_paid(world, 1_000_000)

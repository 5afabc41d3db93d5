"""The outbox on real nodes: every effect once, whatever the node does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from adtally.chain.accounts import local_account
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import ClaimBatch, ClaimLine
from adtally.chain.deploy import Officer, Officers
from adtally.chain.effects import ANCHOR, CLAIM, PAY_CUT, SETTLE, standard_effects
from adtally.chain.fees import FeePolicy, Fees
from adtally.chain.outbox import Outbox, OutboxPolicy
from adtally.chain.ports import OutboxState
from adtally.chain.signer import Signer
from adtally.errors import (
    ChainUnavailable,
    Conflict,
    ForeignChain,
    InsufficientEscrow,
    InvalidInput,
    NotFound,
)
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade
from adtally.types import BlockStamp, Counts, OutboxRow, Role, Statement
from support.chain_site import DEPLOYER, OPERATOR, STRANGER, ChainSite, make_site
from support.faulty_rpc import faulty_rpc
from support.outbox_runs import Office

pytestmark = pytest.mark.chain

GWEI = 10**9


async def _rpc(site: ChainSite, method: str, *parameters: object) -> Any:
    return await site.chain.rpc.request(method, *parameters)


async def _hold_mining(site: ChainSite) -> None:
    await _rpc(site, "evm_setAutomine", False)


@pytest.mark.asyncio
async def test_outbox__two_anchors__go_through_to_final(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    # The node may have served other tests before.
    nonce = await office.nonce()
    first, second = await office.ask_anchor(0, 3), await office.ask_anchor(3, 8)
    row = await office.step_until(second, OutboxState.FINAL)
    assert await office.states(first, second) == [OutboxState.FINAL, OutboxState.FINAL]
    assert row.transaction_hash == row.attempts[0].hash
    assert len(row.attempts) == 1
    assert row.gas_used
    assert row.error is None
    assert await any_site.event_log.head_size() == 8
    assert await office.nonce() == nonce + 2


@pytest.mark.asyncio
async def test_outbox__gas_limit_given__is_used_and_too_little_is_refused_unsent(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    before = await office.nonce()
    call = any_site.anchor_call(0, 3)
    little = await office.outbox.enqueue("little", ANCHOR, call, gas=40_000)
    enough = await office.outbox.enqueue("enough", ANCHOR, call, gas=500_000)
    done = await office.step_until(enough, OutboxState.FINAL)
    assert await office.states(little) == [OutboxState.FAILED]
    assert await office.nonce() == before + 1
    sent = await any_site.chain.rpc.request(
        "eth_getTransactionByHash", "0x" + (done.transaction_hash or b"").hex()
    )
    assert int(sent["gas"], 16) == 500_000


@pytest.mark.asyncio
async def test_outbox__same_effect_key_again__is_the_same_row(
    hardhat_site: ChainSite, database: Database
) -> None:
    office = Office(hardhat_site, database)
    before = await office.nonce()
    row = await office.ask_anchor(0, 3)
    await office.step_until(row, OutboxState.FINAL)
    assert await office.ask_anchor(0, 3) == row
    await office.outbox.step()
    assert await office.nonce() == before + 1


@pytest.mark.asyncio
async def test_outbox__unknown_purpose_or_too_much_gas__is_refused(
    hardhat_site: ChainSite, database: Database
) -> None:
    office = Office(hardhat_site, database)
    call = hardhat_site.anchor_call(0, 3)
    with pytest.raises(InvalidInput):
        await office.outbox.enqueue("x", "no such purpose", call)
    with pytest.raises(InvalidInput):
        await office.outbox.enqueue("x", ANCHOR, call, gas=17_000_000)


@pytest.mark.asyncio
async def test_outbox__effect_already_there__sends_nothing(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    before = await office.nonce()
    row = await office.ask_anchor(0, 5)
    await any_site.wallet(STRANGER).send(any_site.anchor_call(0, 5))
    done = await office.step_until(row, OutboxState.FINAL)
    assert done.transaction_hash is None
    assert done.attempts == ()
    assert await office.nonce() == before


@pytest.mark.asyncio
async def test_outbox__contract_refuses__fails_without_sending_and_can_be_retried(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    before = await office.nonce()
    row = await office.ask_anchor(4, 9)
    failed = await office.step_until(row, OutboxState.FAILED)
    assert failed.error is not None
    assert "PreviousNotHead(treeSize=4" in failed.error
    assert await office.nonce() == before
    await any_site.wallet(STRANGER).send(any_site.anchor_call(0, 4))
    await office.outbox.retry(row)
    await office.step_until(row, OutboxState.FINAL)
    with pytest.raises(Conflict):
        await office.outbox.retry(row)
    with pytest.raises(NotFound):
        await office.outbox.retry(10**6)


@pytest.mark.asyncio
async def test_outbox__failed_row__does_not_block_the_next(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    bad, good = await office.ask_anchor(4, 9), await office.ask_anchor(0, 2)
    await office.step_until(good, OutboxState.FINAL)
    assert await office.states(bad) == [OutboxState.FAILED]
    await office.outbox.retry(bad, any_site.anchor_call(2, 9))
    await office.step_until(bad, OutboxState.FINAL)


@pytest.mark.asyncio
async def test_outbox__stuck_transaction__is_replaced_at_higher_fees(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    await _hold_mining(anvil_site)
    row = await office.ask_anchor(0, 3)
    await office.outbox.step()
    await office.outbox.step()
    assert len((await office.row(row)).attempts) == 1
    office.clock.ms += 30_000
    await office.outbox.step()
    first, second = (await office.row(row)).attempts
    assert first.nonce == second.nonce
    assert second.max_fee_wei * 8 >= first.max_fee_wei * 9
    assert second.priority_fee_wei * 8 >= first.priority_fee_wei * 9
    await _rpc(anvil_site, "evm_mine")
    done = await office.step_until(row, OutboxState.MINED)
    assert done.transaction_hash == second.hash
    assert await office.nonce() == 1


@pytest.mark.asyncio
async def test_outbox__replaced_attempt_is_mined_after_all__is_recognised(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    await _hold_mining(anvil_site)
    row = await office.ask_anchor(0, 3)
    await office.outbox.step()
    office.clock.ms += 30_000
    await office.outbox.step()
    first, second = (await office.row(row)).attempts
    await _rpc(anvil_site, "anvil_dropTransaction", "0x" + second.hash.hex())
    await anvil_site.chain.send_raw(first.raw)
    await _rpc(anvil_site, "evm_mine")
    done = await office.step_until(row, OutboxState.MINED)
    assert done.transaction_hash == first.hash
    assert len(done.attempts) == 2


@pytest.mark.asyncio
async def test_outbox__fee_ceiling__is_never_exceeded(
    anvil_site: ChainSite, database: Database
) -> None:
    ceiling = 4 * GWEI
    policy = OutboxPolicy(FeePolicy(ceiling_wei=ceiling), bump_after_ms=1_000)
    office = Office(anvil_site, database, policy=policy)
    await _hold_mining(anvil_site)
    row = await office.ask_anchor(0, 3)
    for _ in range(20):
        await office.outbox.step()
        office.clock.ms += 1_000
    stuck = await office.row(row)
    assert 2 <= len(stuck.attempts) < 20
    assert all(attempt.max_fee_wei <= ceiling for attempt in stuck.attempts)
    assert stuck.error == f"fee ceiling of {ceiling} wei reached"
    await _rpc(anvil_site, "evm_mine")
    await office.step_until(row, OutboxState.MINED)


@pytest.mark.asyncio
async def test_outbox__base_fee_jumps_before_sending__raises_the_fee_at_once(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    async with faulty_rpc(anvil_site.chain.rpc.url) as proxy:
        chain = Chain(proxy.url, anvil_site.chain.finality)
        office.chain = chain
        office.restart()
        seen: list[str] = []

        def old_price(method: str, answer: Any) -> bytes | None:
            if isinstance(answer, list) or "eth_gasPrice" in seen:
                return None
            seen.append(method)
            if method == "eth_gasPrice":
                return json.dumps(answer | {"result": hex(10**6)}).encode()
            if method == "eth_getBlockByNumber":
                answer["result"]["baseFeePerGas"] = hex(10**6)
                return json.dumps(answer).encode()
            return None

        proxy.fault = old_price
        row = await office.ask_anchor(0, 3)
        await office.outbox.step()
        assert ((await office.row(row)).error or "").startswith("fee too low")
        done = await office.step_until(row, OutboxState.MINED)
        await chain.close()
    assert len(done.attempts) == 2
    assert done.transaction_hash == done.attempts[1].hash


@pytest.mark.asyncio
async def test_outbox__dropped_from_the_pool__is_sent_again_unchanged(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    await _hold_mining(anvil_site)
    row = await office.ask_anchor(0, 3)
    await office.outbox.step()
    (attempt,) = (await office.row(row)).attempts
    await _rpc(anvil_site, "anvil_dropTransaction", "0x" + attempt.hash.hex())
    await office.outbox.step()
    assert await anvil_site.chain.knows_transaction(attempt.hash)
    await _rpc(anvil_site, "evm_mine")
    done = await office.step_until(row, OutboxState.MINED)
    assert done.transaction_hash == attempt.hash


@pytest.mark.asyncio
async def test_outbox__nonce_used_by_another_instance__signs_anew(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    await _hold_mining(anvil_site)
    row = await office.ask_anchor(0, 3)
    await office.outbox.step()
    stolen = Signer(OPERATOR.private_key).sign(
        chain_id=31337,
        nonce=0,
        to=STRANGER.address,
        data=b"",
        gas=21_000,
        fees=Fees(50 * GWEI, 20 * GWEI),
        legacy=False,
    )
    await anvil_site.chain.send_raw(stolen.raw)
    await _rpc(anvil_site, "evm_mine")
    await _rpc(anvil_site, "evm_setAutomine", True)
    done = await office.step_until(row, OutboxState.MINED)
    assert [attempt.nonce for attempt in done.attempts] == [0, 1]
    assert done.transaction_hash == done.attempts[1].hash
    assert await anvil_site.event_log.anchor_count() == 1


@pytest.mark.asyncio
async def test_outbox__two_instances_on_one_key__bring_it_about_once(
    any_site: ChainSite, database: Database, tmp_path: Any
) -> None:
    other_database = Database(f"sqlite+aiosqlite:///{tmp_path / 'other.sqlite3'}")
    await upgrade(other_database)
    one, two = Office(any_site, database), Office(any_site, other_database)
    before = await one.nonce()
    first, second = await one.ask_anchor(0, 4), await two.ask_anchor(0, 4)
    for _ in range(20):
        await one.outbox.step()
        await two.outbox.step()
    assert await one.states(first) == await two.states(second) == [OutboxState.FINAL]
    assert await any_site.event_log.anchor_count() == 1
    assert await one.nonce() == before + 1
    await other_database.engine.dispose()


@pytest.mark.asyncio
async def test_outbox__restored_from_an_old_backup__sends_nothing_again(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    row = await office.ask_anchor(0, 4)
    backup = await office.row(row)
    await office.step_until(row, OutboxState.FINAL)
    nonce = await office.nonce()
    await office.store.save(backup)
    office.restart()
    restored = await office.step_until(row, OutboxState.FINAL)
    assert restored.attempts == ()
    assert await office.nonce() == nonce


@pytest.mark.asyncio
async def test_outbox__answer_lost_after_accepting__is_found_by_receipt(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    before = await office.nonce()
    async with faulty_rpc(any_site.chain.rpc.url) as proxy:
        office.chain = Chain(proxy.url, any_site.chain.finality)
        office.restart()
        row = await office.ask_anchor(0, 3)
        proxy.fault = lambda method, _: b"" if method == "eth_sendRawTransaction" else None
        with pytest.raises(ChainUnavailable):
            await office.outbox.step()
        assert await office.states(row) == [OutboxState.SUBMITTED]
        done = await office.step_until(row, OutboxState.FINAL)
        assert proxy.methods.count("eth_sendRawTransaction") == 1
        await office.chain.close()
    assert len(done.attempts) == 1
    assert done.transaction_hash == done.attempts[0].hash
    assert await office.nonce() == before + 1


@pytest.mark.asyncio
@pytest.mark.parametrize("lie", [b"not json", b"[]", b'{"jsonrpc":"2.0","id":0}', b"{}"])
async def test_outbox__node_answers_nonsense__is_unavailable_and_nothing_is_lost(
    lie: bytes, anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    async with faulty_rpc(anvil_site.chain.rpc.url) as proxy:
        office.chain = Chain(proxy.url, anvil_site.chain.finality)
        office.restart()
        row = await office.ask_anchor(0, 3)
        for method in ("eth_getTransactionCount", "eth_estimateGas", "eth_sendRawTransaction"):
            proxy.fault = lambda asked, _, at=method: lie if asked == at else None  # type: ignore[misc]
            with pytest.raises(ChainUnavailable):
                await office.outbox.step()
        proxy.fault = lambda method, answer: None
        await office.step_until(row, OutboxState.MINED)
        await office.chain.close()
    assert await office.nonce() == 1
    assert await anvil_site.event_log.anchor_count() == 1


@pytest.mark.asyncio
async def test_outbox__node_hides_receipts__does_not_send_twice(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    before = await office.nonce()
    async with faulty_rpc(any_site.chain.rpc.url) as proxy:
        office.chain = Chain(proxy.url, any_site.chain.finality)
        office.restart()
        row = await office.ask_anchor(0, 3)

        def hide(method: str, answer: Any) -> bytes | None:
            if method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
                return json.dumps(answer | {"result": None}).encode()
            return None

        proxy.fault = hide
        await office.step_until(row, OutboxState.FINAL)
        await office.chain.close()
    assert await office.nonce() == before + 1


@pytest.mark.asyncio
async def test_outbox__no_money_for_gas__waits_and_says_so(
    anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    address = "0x" + OPERATOR.address.hex()
    await _rpc(anvil_site, "anvil_setBalance", address, "0x0")
    row = await office.ask_anchor(0, 3)
    for _ in range(3):
        await office.outbox.step()
    waiting = await office.row(row)
    assert waiting.state is OutboxState.SUBMITTED
    assert "funds" in (waiting.error or "").lower()
    await _rpc(anvil_site, "anvil_setBalance", address, hex(10**18))
    await office.step_until(row, OutboxState.MINED)


@pytest.mark.asyncio
@pytest.mark.parametrize("change", ["chain id", "genesis"])
async def test_outbox__foreign_chain__sends_nothing(
    change: str, anvil_site: ChainSite, database: Database
) -> None:
    office = Office(anvil_site, database)
    row = await office.ask_anchor(0, 3)
    identity = anvil_site.deployment.identity
    wrong = (
        type(identity)(1, identity.genesis_hash)
        if change == "chain id"
        else type(identity)(identity.chain_id, bytes(32))
    )
    effects = standard_effects(anvil_site.event_log, anvil_site.escrow)
    outbox = Outbox(anvil_site.chain, wrong, office.store, OPERATOR.private_key, effects)
    with pytest.raises(ForeignChain) as caught:
        await outbox.step()
    assert caught.value.action
    assert await office.states(row) == [OutboxState.QUEUED]
    assert await office.nonce() == 0


async def _never(row: OutboxRow, at: BlockStamp) -> bool:
    return False


@pytest.mark.asyncio
async def test_outbox__mined_but_reverted__fails_once_that_is_final(
    anvil: Any, artifacts: Any, database: Database
) -> None:
    registrar = Officers(registrar=Officer(OPERATOR.address))
    site = await make_site(anvil.url, artifacts, officers=registrar)
    office = Office(site, database, effects={"register": _never})
    await _hold_mining(site)

    def register(roles: int) -> Any:
        return site.membership.register_call(
            STRANGER.address, roles, kyc_reference=bytes(32), kyc_expires_seconds=2**40
        )

    row = await office.outbox.enqueue("register:x", "register", register(Role.PUBLISHER))
    await office.outbox.step()
    (attempt,) = (await office.row(row)).attempts
    # The same account registered by a transaction that is mined right before ours.
    await _rpc(site, "anvil_dropTransaction", "0x" + attempt.hash.hex())
    await _rpc(site, "anvil_impersonateAccount", "0x" + OPERATOR.address.hex())
    await _rpc(site, "evm_setAutomine", True)
    rival = register(Role.ADVERTISER)
    message = {"from": "0x" + OPERATOR.address.hex(), "to": "0x" + rival.to.hex()}
    sent = await _rpc(site, "eth_sendTransaction", message | {"data": "0x" + rival.data.hex()})
    # It is mined a moment later; a nonce that is set before would be counted up again.
    while await _rpc(site, "eth_getTransactionReceipt", sent) is None:
        await asyncio.sleep(0.01)
    await _rpc(site, "anvil_setNonce", "0x" + OPERATOR.address.hex(), "0x0")
    failed = await office.step_until(row, OutboxState.FAILED)
    assert "AccountTaken(" in (failed.error or "")
    assert failed.transaction_hash == attempt.hash
    await site.chain.close()


@pytest.mark.asyncio
async def test_effects__settle_claim_and_cut_before_they_are_due__are_not_there(
    hardhat_site: ChainSite, database: Database
) -> None:
    site = hardhat_site
    office = Office(site, database)
    batch = ClaimBatch(1, bytes(32), (), (ClaimLine(2, Counts(1), ()),))
    calls = {
        SETTLE: site.settle_call(Statement(1, 1, 5, 0, Counts(), 0, bytes(32), False)),
        CLAIM: site.escrow.claim_many_call(batch),
        PAY_CUT: site.escrow.pay_cut_call(1, 0),
    }
    effects = standard_effects(site.event_log, site.escrow)
    latest = await site.chain.latest()
    for purpose, call in calls.items():
        row_id = await office.outbox.enqueue(f"{purpose}:1", purpose, call)
        assert not await effects[purpose](await office.row(row_id), latest)


@pytest.mark.asyncio
async def test_wallet__poor_account__says_what_is_missing(any_site: ChainSite) -> None:
    poor = any_site.wallet(local_account(99))
    with pytest.raises(InsufficientEscrow, match="funds"):
        await poor.send(any_site.dollars.mint_call(DEPLOYER.address, 1), gas=100_000)

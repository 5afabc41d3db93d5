"""The written signatures against the compiled ABI, and the wrappers against the contracts."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

import pytest
from eth_utils import keccak

from adtally.chain.abi import Event, Function
from adtally.chain.compile import Artifact
from adtally.chain.contracts import (
    access_manager,
    attestor_sets,
    campaign_escrow,
    event_log,
    membership,
    operator_bond,
    token,
)
from adtally.chain.contracts.campaign_escrow import (
    ClaimBatch,
    ClaimLine,
    Objection,
    OrderState,
    decode_claimed,
    decode_cut_paid,
    decode_objection_bond_released,
    decode_objection_decided,
    decode_objection_raised,
    decode_refunded,
    decode_statement_submitted,
)
from adtally.chain.fees import Fees
from adtally.chain.reverts import CUSTOM_ERRORS
from adtally.chain.signer import Signer
from adtally.client.escrow_member import EscrowMember
from adtally.errors import ChainReverted, InvalidInput, Reorged
from adtally.events.eip712 import escrow_domain, statement_digest
from adtally.events.signature import sign
from adtally.settlement.claim_tree import ClaimTree
from adtally.types import (
    UINT64_MAX,
    BlockStamp,
    Counts,
    Cut,
    GoalType,
    Line,
    Rates,
    Role,
    Statement,
    Terms,
)
from support.chain_site import DEPLOYER, OPERATOR, STRANGER, ChainSite

pytestmark = pytest.mark.chain

_PAIRS = [
    ("AccessManager", access_manager),
    ("Membership", membership),
    ("EventLog", event_log),
    ("EventLog", attestor_sets),
    ("CampaignEscrow", campaign_escrow),
    ("OperatorBond", operator_bond),
    ("MockDollar", token),
]


def _type(parameter: dict[str, object]) -> str:
    kind = str(parameter["type"])
    if kind.startswith("tuple"):
        inner = ",".join(_type(part) for part in parameter["components"])  # type: ignore[attr-defined]
        return f"({inner}){kind.removeprefix('tuple')}"
    return kind


def _signature(entry: dict[str, object]) -> str:
    inputs = ",".join(_type(parameter) for parameter in entry["inputs"])  # type: ignore[attr-defined]
    return f"{entry['name']}({inputs})"


@pytest.mark.parametrize(("name", "wrapper"), _PAIRS)
def test_signatures__against_compiled_abi__are_equal(
    name: str, wrapper: object, artifacts: dict[str, Artifact]
) -> None:
    abi = artifacts[name].abi
    functions = {
        _signature(entry): ",".join(_type(output) for output in entry["outputs"])
        for entry in abi
        if entry["type"] == "function"
    }
    events = {
        _signature(entry): [(p["name"], p["indexed"]) for p in entry["inputs"]]
        for entry in abi
        if entry["type"] == "event"
    }
    for value in vars(wrapper).values():
        if isinstance(value, Function):
            assert value.signature in functions
            assert value.returns in ("", functions[value.signature])
        if isinstance(value, Event):
            written = f"{value.name}({','.join(value.types)})"
            assert events[written] == list(zip(value.names, value.indexed, strict=True))


def test_errors__of_our_contracts__are_all_decodable(artifacts: dict[str, Artifact]) -> None:
    known = {f"{error.name}({','.join(error.types)})": error.names for error in CUSTOM_ERRORS}
    for name in ("IMembership", "IEventLog", "ICampaignEscrow", "IOperatorBond"):
        for entry in artifacts[name].abi:
            if entry["type"] == "error":
                names = tuple(parameter["name"] for parameter in entry["inputs"])
                assert known[_signature(entry)] == names
    assert len({error.selector for error in CUSTOM_ERRORS}) == len(known)


@pytest.mark.asyncio
async def test_membership__register_and_change__reads_back(hardhat_site: ChainSite) -> None:
    people = hardhat_site.membership
    assert await people.member_count() == 1
    operator = await people.member(1)
    assert operator.account == OPERATOR.address
    assert operator.roles == Role.OPERATOR | Role.COLLECTOR
    assert operator.event_key == hardhat_site.deployment.receipt_signer
    account = secrets.token_bytes(20)
    await hardhat_site.wallet(DEPLOYER).send(
        people.register_call(
            account,
            Role.PUBLISHER | Role.COLLECTOR,
            kyc_reference=b"\x07" * 32,
            kyc_expires_seconds=operator.kyc_expires_seconds,
            event_key=STRANGER.address,
        )
    )
    member = await people.member_of(account)
    assert member == 2
    assert (await people.member(member)).event_key == STRANGER.address
    assert await people.payout_of(member) == account
    assert await people.is_active(member, Role.PUBLISHER)
    assert not await people.is_active(member, Role.ADVERTISER)
    until = await people.event_key_valid_until_seconds(member, STRANGER.address)
    assert until == UINT64_MAX
    assert await people.event_key_valid_until_seconds(member, account) == 0
    assert await people.payout_delay_seconds() > 0


@pytest.mark.asyncio
async def test_membership__stranger_registers__is_refused_by_name(any_site: ChainSite) -> None:
    call = any_site.membership.register_call(
        STRANGER.address, Role.PUBLISHER, kyc_reference=bytes(32), kyc_expires_seconds=2**40
    )
    with pytest.raises(ChainReverted) as caught:
        await any_site.wallet(STRANGER).send(call)
    assert caught.value.reason == f"AccessManagedUnauthorized(caller=0x{STRANGER.address.hex()})"


@pytest.mark.asyncio
async def test_event_log__anchors__are_kept_and_extend(any_site: ChainSite) -> None:
    log = any_site.event_log
    wallet = any_site.wallet(STRANGER)
    before = await any_site.chain.latest()
    await wallet.send(any_site.anchor_call(0, 7))
    receipt = await wallet.send(any_site.anchor_call(7, 20))
    anchored = event_log.decode_anchored(receipt.logs[0])
    assert anchored.checkpoint == any_site.checkpoint(20)
    assert anchored.number == 2
    assert await log.head_size() == 20
    assert await log.head_size(before) == 0
    assert await log.is_anchored(any_site.checkpoint(7))
    assert not await log.is_anchored(any_site.checkpoint(8))
    await log.verify_inclusion(
        any_site.checkpoint(20), 3, any_site.tree.leaf(3), any_site.tree.inclusion_proof(3, 20)
    )
    assert (await log.operator(), await log.log_attestor_set()) == (1, 1)
    assert (await log.attestor_set(1))[0] == await log.attestor_set_count() == 1
    assert await log.max_anchors() == 2**24 - 1
    with pytest.raises(ChainReverted) as caught:
        await wallet.send(any_site.anchor_call(7, 21))
    assert caught.value.reason.startswith("PreviousNotHead(treeSize=7, rootHash=0x")


@pytest.mark.asyncio
async def test_chain__read_pinned_to_unknown_block__says_reorged(any_site: ChainSite) -> None:
    latest = await any_site.chain.latest()
    gone = BlockStamp(latest.number, b"\x11" * 32, latest.timestamp_seconds)
    with pytest.raises(Reorged):
        await any_site.event_log.head_size(gone)


@pytest.mark.asyncio
async def test_chain__reads_pinned_to_the_newest_block_while_mining__are_exact(
    any_site: ChainSite,
) -> None:
    """One transaction a block, so the nonce at a block follows from its number."""
    chain, signer = any_site.chain, Signer(STRANGER.private_key)
    start, nonce = (await chain.latest()).number, await chain.nonce(STRANGER.address)
    fees = Fees(10**11, 10**9)

    async def send(count: int) -> None:
        for number in range(nonce, nonce + count):
            signed = signer.sign(
                chain_id=31337,
                nonce=number,
                to=DEPLOYER.address,
                data=b"",
                gas=21_000,
                fees=fees,
                legacy=False,
            )
            await chain.send_raw(signed.raw)
            await asyncio.sleep(0)

    sending = asyncio.create_task(send(300))
    reads = 0
    while not sending.done():
        at = await chain.latest()
        assert await chain.nonce(STRANGER.address, at) == nonce + at.number - start
        reads += 1
    await sending
    assert reads > 10


@pytest.mark.asyncio
async def test_chain__logs_in_pieces__are_all_logs_once(
    any_site: ChainSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = any_site.wallet(STRANGER)
    for size in range(5):
        await wallet.send(any_site.anchor_call(size, size + 1))
    last = (await any_site.chain.latest()).number
    whole = await any_site.chain.logs(0, last, [any_site.event_log.address])
    monkeypatch.setattr("adtally.chain.connection.LOGS_RANGE", 2)
    assert await any_site.chain.logs(0, last, [any_site.event_log.address]) == whole
    assert attestor_sets.decode_attestor_set_named(whole[0]).attestor_set == 1
    assert [event_log.decode_anchored(log).number for log in whole[1:]] == [1, 2, 3, 4, 5]


class _Campaign:
    """A campaign on real contracts: an advertiser, a publisher, an agency."""

    rates = Rates(2_000_000, 0, 250_000, 0)
    cap = 50_000_000

    def __init__(self, site: ChainSite) -> None:
        self.site = site
        self.members: dict[str, int] = {}

    async def open(self, **changes: Any) -> int:
        site = self.site
        deployer = site.wallet(DEPLOYER)
        now = (await site.chain.latest()).timestamp_seconds
        people = {"advertiser": Role.ADVERTISER, "publisher": Role.PUBLISHER}
        for name, role in (people | {"agency": Role.INTERMEDIARY}).items():
            account = {"advertiser": DEPLOYER, "publisher": STRANGER}.get(name)
            address = account.address if account else keccak(name.encode())[12:]
            await deployer.send(
                site.membership.register_call(
                    address, role, kyc_reference=bytes(32), kyc_expires_seconds=now + 10**6
                )
            )
            self.members[name] = await site.membership.member_of(address)
        self.terms = Terms(
            token=site.dollars.address,
            flight_start_seconds=now,
            flight_end_seconds=now + 86_400,
            late_window_seconds=60,
            correction_window_seconds=60,
            dispute_window_seconds=0,
            grace_seconds=86_400,
            notice_seconds=60,
            attestor_set=1,
            holdback_basis_points=0,
            objection_bond_base_units=0,
            goal_type=GoalType.CLICKS,
            goal_count=5,
            settle_threshold_base_units=1_000_000,
            cuts=(Cut(self.members["agency"], 500),),
        )
        self.terms = replace(self.terms, **changes)
        receipt = await deployer.send(site.escrow.open_campaign_call(self.terms))
        opened = campaign_escrow.CAMPAIGN_OPENED.decode(receipt.logs[0])
        return int(opened["campaign"])


async def _book_payouts(site: ChainSite, campaign: int) -> None:
    """Anyone may take claims and cuts off the liabilities."""
    token = site.dollars.address
    before = await site.escrow.liabilities(token)
    unbooked = (await site.escrow.campaign(campaign)).unbooked_base_units
    await site.wallet(STRANGER).send(site.escrow.book_payouts_call(campaign))
    assert await site.escrow.liabilities(token) == before - unbooked
    assert (await site.escrow.campaign(campaign)).unbooked_base_units == 0


@pytest.mark.asyncio
async def test_escrow__campaign_from_terms_to_refund__moves_exact_amounts(
    hardhat_site: ChainSite,
) -> None:
    site, setup = hardhat_site, _Campaign(hardhat_site)
    campaign, escrow, publisher = await setup.open(), site.escrow, setup.members["publisher"]
    deployer, stranger = site.wallet(DEPLOYER), site.wallet(STRANGER)
    assert await escrow.terms(campaign) == setup.terms
    await deployer.send(site.dollars.mint_call(DEPLOYER.address, 100_000_000))
    await deployer.send(site.dollars.approve_call(escrow.address, 60_000_000))
    await deployer.send(escrow.fund_call(campaign, 60_000_000))
    permit = await site.dollars.permit_digest(DEPLOYER.address, escrow.address, 5, 2**40)
    await deployer.send(
        escrow.fund_with_permit_call(campaign, 5, 2**40, sign(permit, DEPLOYER.private_key))
    )
    await deployer.send(escrow.offer_order_call(campaign, publisher, setup.rates, setup.cap))
    await stranger.send(escrow.accept_order_call(campaign, setup.rates, setup.cap))
    order = await escrow.order(campaign, publisher)
    accepted = (setup.rates, setup.cap, OrderState.ACCEPTED)
    assert (order.rates, order.cap_base_units, order.state) == accepted

    await stranger.send(site.anchor_call(0, 9))
    counts = Counts(1500, 0, 3, 0)
    line = Line(publisher, counts, 3_750_000)
    tree = ClaimTree(escrow_domain(31337, escrow.address), campaign, [line])
    statement = Statement(campaign, 1, 9, 3_750_000, counts, 0, tree.root, False)
    domain = escrow_domain(site.deployment.chain_id, escrow.address)
    digests = (await escrow.statement_digest(statement), await escrow.domain_separator())
    assert digests == (statement_digest(domain, statement), domain)
    settled = await stranger.send(site.settle_call(statement))
    assert decode_statement_submitted(settled.logs[0]).statement == statement

    claim = ClaimLine(publisher, counts, tuple(tree.proof(publisher)))
    assert await escrow.claimable(campaign, claim) == 3_750_000
    call = escrow.claim_many_call(ClaimBatch(campaign, tree.root, (), (claim,)))
    paid = await stranger.send(call, gas=400_000)
    (claimed,) = (decode_claimed(x) for x in paid.logs if campaign_escrow.CLAIMED.matches(x))
    assert (claimed.amount_base_units, claimed.payout) == (3_750_000, STRANGER.address)
    assert await escrow.cut_payable(campaign, 0) == 187_500
    cut = await stranger.send(escrow.pay_cut_call(campaign, 0))
    (cut_paid,) = (log for log in cut.logs if campaign_escrow.CUT_PAID.matches(log))
    assert decode_cut_paid(cut_paid).amount_base_units == 187_500

    view = await escrow.campaign(campaign)
    moved = (view.funded_base_units, view.claimed_base_units, view.active.sequence)
    assert moved == (60_000_005, 3_750_000, 1)
    assert await escrow.liabilities(site.dollars.address) == 60_000_005
    closes_at_seconds = view.flight_end_seconds + 60 + 60 + 86_400
    assert (view.unbooked_base_units, view.closes_at_seconds) == (3_937_500, closes_at_seconds)
    await _book_payouts(site, campaign)
    await site.chain.rpc.request("evm_increaseTime", 200_000)
    await site.chain.rpc.request("evm_mine")
    assert await escrow.refundable(campaign) == 60_000_005 - 3_937_500
    back = await deployer.send(escrow.refund_call(campaign))
    (refund,) = (log for log in back.logs if campaign_escrow.REFUNDED.matches(log))
    assert decode_refunded(refund).amount_base_units == 60_000_005 - 3_937_500
    assert await site.dollars.balance_of(escrow.address) == 0
    with pytest.raises(InvalidInput):
        decode_claimed(refund)


@pytest.mark.asyncio
async def test_escrow__objection_to_a_statement__costs_the_bond_and_moves_it(
    hardhat_site: ChainSite,
) -> None:
    site, setup, bond = hardhat_site, _Campaign(hardhat_site), 3_000_000
    campaign = await setup.open(
        dispute_window_seconds=600, objection_bond_base_units=bond, grace_seconds=86_400 + 1_800
    )
    escrow, stranger = site.escrow, site.wallet(STRANGER)
    member = EscrowMember(site.chain, escrow.address, DEPLOYER.private_key)
    await member.account.send(site.dollars.mint_call(DEPLOYER.address, bond))
    await stranger.send(site.anchor_call(0, 9))
    first = Statement(campaign, 1, 9, 0, Counts(), 0, bytes(32), False)
    await stranger.send(site.settle_call(first))
    before = (await escrow.campaign(campaign)).latest.activates_at_seconds
    raised = await site.chain.receipt(await member.object_to(campaign, 1, "where are they?"))
    assert raised is not None
    (log,) = (each for each in raised.logs if campaign_escrow.OBJECTION_RAISED.matches(each))
    objection = decode_objection_raised(log)
    assert (objection.bond_base_units, objection.reason) == (bond, "where are they?")
    assert objection.activates_at_seconds == before + 600
    view = await escrow.campaign(campaign)
    assert (view.objection, view.latest.activates_at_seconds) == (Objection.OPEN, before + 600)
    assert await escrow.liabilities(site.dollars.address) == bond

    await site.chain.rpc.request("evm_increaseTime", 1_300)
    await site.chain.rpc.request("evm_mine")
    settled = await stranger.send(site.settle_call(replace(first, sequence=2, corrections=1)))
    (log,) = (each for each in settled.logs if campaign_escrow.OBJECTION_DECIDED.matches(each))
    assert decode_objection_decided(log).is_upheld
    assert (await escrow.campaign(campaign)).latest.corrections == 1
    transaction, released = await member.release_objection_bond(campaign)
    assert (released.to, released.amount_base_units) == (DEPLOYER.address, bond)
    receipt = await site.chain.receipt(transaction)
    assert receipt is not None
    with pytest.raises(InvalidInput):
        decode_objection_bond_released(settled.logs[0])
    assert (await escrow.campaign(campaign)).objection is Objection.NONE
    assert await escrow.liabilities(site.dollars.address) == 0

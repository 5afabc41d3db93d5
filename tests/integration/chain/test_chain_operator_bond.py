"""A broken promise is proven to the bond's contract, which pays the finder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio
from eth_utils import keccak

from adtally.chain.abi import Call
from adtally.chain.contracts import operator_bond
from adtally.chain.contracts.event_log import NO_ANCHOR
from adtally.chain.contracts.operator_bond import Breach, OperatorBond, ProvenEntry
from adtally.chain.deploy import LOCAL_PENALTY_BASE_UNITS
from adtally.demo.bonding import BOND_BASE_UNITS, deposit_bond
from adtally.errors import ChainReverted
from adtally.events.batch import Envelope, SignedBatch, sign_batch
from adtally.events.eip712 import Receipt, checkpoint_digest, log_domain, receipt_digest
from adtally.events.record import NO_PARENT, AdEvent, EventType, new_event_id, set_verdict
from adtally.events.signature import sign
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash, tree_root
from adtally.types import Checkpoint, Hash
from support.chain_site import OPERATOR, RECEIPTS, STRANGER, ChainSite

pytestmark = pytest.mark.chain
PUBLISHER, EVENT_KEY = 2, keccak(b"event key")
NOON_MS = 1_793_620_800_000
HALF = LOCAL_PENALTY_BASE_UNITS // 2


def _record(number: int) -> bytes:
    event_id = new_event_id(NOON_MS, number.to_bytes(10, "big"))
    return AdEvent(
        EventType.IMPRESSION, 1, PUBLISHER, 3, 4, event_id, NOON_MS, NO_PARENT
    ).to_record()


@dataclass
class Breaker:
    """An operator with a bond and an anchored log of one batch of three, the third of which
    repeats the first and was accepted all the same.
    """

    site: ChainSite
    now: int
    entries: list[bytes] = field(default_factory=list)
    tree: MerkleTree = field(default_factory=MerkleTree)

    @property
    def bond(self) -> OperatorBond:
        contract = self.site.deployment.operator_bond
        assert contract is not None
        return OperatorBond(self.site.chain, contract.address)

    def batch(self) -> SignedBatch:
        identity = self.site.deployment.log_identity
        records = [_record(number) for number in (0, 1, 0)]
        return sign_batch(log_domain(identity), identity.chain_id, EVENT_KEY, PUBLISHER, 1, records)

    async def start(self) -> None:
        batch = self.batch()
        envelope = Envelope(PUBLISHER, 1, 3, NOON_MS, batch.signer, batch.signature)
        self.entries = [envelope.to_entry()]
        self.entries += [set_verdict(record, Verdict.ACCEPTED) for record in batch.records]
        self.entries += [b"\x06" + bytes(6)]
        self.tree.append([leaf_hash(entry) for entry in self.entries])
        domain = log_domain(self.site.deployment.log_identity)
        quorum = self.site.quorum(checkpoint_digest(domain, self.head))
        call = self.site.event_log.anchor_call(NO_ANCHOR, self.head, [], quorum)
        await self.site.wallet(STRANGER).send(call)
        await deposit_bond(self.site.chain, self.site.deployment, OPERATOR.private_key)

    @property
    def head(self) -> Checkpoint:
        return Checkpoint(self.tree.size, self.tree.root())

    def receipt(self) -> Receipt:
        """An honest one, given when the log had four entries."""
        return Receipt(
            PUBLISHER, 1, self.batch().records_root, 0, 3, 4, self.tree.root(4), self.now + 3_600
        )

    def sign(self, receipt: Receipt) -> bytes:
        domain = log_domain(self.site.deployment.log_identity)
        return sign(receipt_digest(domain, receipt), RECEIPTS.private_key)

    def proven(self, index: int) -> ProvenEntry:
        proof = tuple(self.tree.inclusion_proof(index))
        return ProvenEntry(index, self.entries[index], proof)

    def other_root(self, receipt: Receipt) -> Call:
        size = receipt.tree_size
        return self.bond.prove_other_root_call(
            receipt, self.sign(receipt), self.head, self.tree.root(size),
            self.tree.consistency_proof(size),
        )  # fmt: skip

    async def pays(self, call: Call, breach: Breach) -> Hash:
        """The finder gets half of a penalty, the other half is burned; the breach's id."""
        dollars = self.site.dollars
        had, bonded = await dollars.balance_of(STRANGER.address), await self.bond.bond()
        burned = await self.bond.burned()
        receipt = await self.site.wallet(STRANGER).send(call)
        (log,) = (x for x in receipt.logs if operator_bond.BREACH_PROVEN.matches(x))
        proven = operator_bond.decode_breach_proven(log)
        assert (proven.breach, proven.finder) == (breach, STRANGER.address)
        assert (proven.paid_base_units, proven.burned_base_units) == (HALF, HALF)
        assert await dollars.balance_of(STRANGER.address) == had + HALF
        assert await self.bond.bond() == bonded - LOCAL_PENALTY_BASE_UNITS
        assert await self.bond.burned() == burned + HALF
        assert await self.bond.is_punished(proven.id)
        return proven.id

    async def refuses(self, call: Call, reason: str) -> None:
        with pytest.raises(ChainReverted) as caught:
            await self.site.wallet(STRANGER).send(call)
        assert caught.value.reason.startswith(reason)


@pytest_asyncio.fixture
async def breaker(hardhat_site: ChainSite) -> Breaker:
    made = Breaker(hardhat_site, (await hardhat_site.chain.latest()).timestamp_seconds)
    await made.start()
    return made


@pytest.mark.asyncio
async def test_bond__receipt_for_another_root__pays_the_finder_once(breaker: Breaker) -> None:
    honest = breaker.receipt()
    await breaker.refuses(breaker.other_root(honest), "RootAgrees(treeSize=4)")
    lie = replace(honest, root_hash=keccak(b"another log"))
    assert await breaker.bond.receipt_digest(lie) == receipt_digest(
        log_domain(breaker.site.deployment.log_identity), lie
    )
    breach = await breaker.pays(breaker.other_root(lie), Breach.OTHER_ROOT)
    assert breach == await breaker.bond.receipt_digest(lie)
    await breaker.refuses(breaker.other_root(lie), "AlreadyPunished")


@pytest.mark.asyncio
async def test_bond__event_accepted_twice__pays_the_finder_once(breaker: Breaker) -> None:
    bond, head = breaker.bond, breaker.head
    other = bond.prove_double_count_call(head, breaker.proven(1), breaker.proven(2))
    await breaker.refuses(other, "NotCountedTwice()")
    call = bond.prove_double_count_call(head, breaker.proven(1), breaker.proven(3))
    await breaker.pays(call, Breach.DOUBLE_COUNT)
    again = bond.prove_double_count_call(head, breaker.proven(3), breaker.proven(1))
    await breaker.refuses(again, "AlreadyPunished")


@pytest.mark.asyncio
async def test_bond__batch_elsewhere_than_promised__envelope_or_record_shows_it(
    breaker: Breaker,
) -> None:
    bond, head, honest = breaker.bond, breaker.head, breaker.receipt()
    signed = breaker.sign(honest)
    call = bond.prove_other_envelope_call(honest, signed, head, breaker.proven(0))
    await breaker.refuses(call, "EntryAgrees(index=0)")
    moved = replace(honest, first_index=1)
    call = bond.prove_other_envelope_call(moved, breaker.sign(moved), head, breaker.proven(1))
    await breaker.pays(call, Breach.OTHER_ENVELOPE)

    records = [_record(number) for number in (5, 6, 7)]
    tree = MerkleTree()
    tree.append([leaf_hash(record) for record in records])
    assert tree.root() == tree_root(records)
    lie = replace(honest, records_root=tree.root())
    call = bond.prove_other_record_call(
        lie, breaker.sign(lie), head, breaker.proven(2), records[1], tree.inclusion_proof(1)
    )
    await breaker.pays(call, Breach.OTHER_RECORD)
    unsigned = bond.prove_other_record_call(
        honest, breaker.sign(honest), head, breaker.proven(2), records[1], tree.inclusion_proof(1)
    )
    await breaker.refuses(unsigned, "RecordNotInReceipt(offset=1)")


@pytest.mark.asyncio
async def test_bond__no_anchor_after_the_deadline__one_breach_for_all_receipts(
    breaker: Breaker,
) -> None:
    bond, waiting = breaker.bond, replace(breaker.receipt(), tree_size=9)
    in_time = bond.prove_late_call(waiting, breaker.sign(waiting))
    await breaker.refuses(in_time, "NotLate(")
    late = replace(waiting, anchor_deadline_seconds=breaker.now - 1)
    await breaker.pays(bond.prove_late_call(late, breaker.sign(late)), Breach.LATE)
    another = replace(late, sequence=2)
    await breaker.refuses(bond.prove_late_call(another, breaker.sign(another)), "AlreadyPunished")
    stranger = bond.prove_late_call(late, sign(await bond.receipt_digest(late), EVENT_KEY))
    await breaker.refuses(stranger, "SignerNotOperator(")


@pytest.mark.asyncio
async def test_bond__withdrawal__is_announced_and_paid_after_the_delay(breaker: Breaker) -> None:
    bond, dollars = breaker.bond, breaker.site.dollars
    assert await bond.bond() == BOND_BASE_UNITS
    assert await bond.penalty() == LOCAL_PENALTY_BASE_UNITS
    assert await bond.token() == dollars.address
    operator = breaker.site.wallet(OPERATOR)
    receipt = await operator.send(bond.request_withdrawal_call(BOND_BASE_UNITS))
    asked = operator_bond.decode_withdrawal_requested(receipt.logs[0])
    assert await bond.withdrawal() == (asked.amount_base_units, asked.withdrawable_at_seconds)
    with pytest.raises(ChainReverted, match="WithdrawalNotDue"):
        await operator.send(bond.withdraw_call())
    await breaker.refuses(bond.withdraw_call(), "NotOperator(")
    await breaker.site.chain.rpc.request("evm_increaseTime", 46 * 86_400)
    await breaker.site.chain.rpc.request("evm_mine")
    receipt = await operator.send(bond.withdraw_call())
    (log,) = (x for x in receipt.logs if operator_bond.WITHDRAWN.matches(x))
    paid = operator_bond.decode_withdrawn(log)
    assert (paid.to, paid.amount_base_units, paid.bond_base_units) == (
        OPERATOR.address, BOND_BASE_UNITS, 0,
    )  # fmt: skip
    assert await dollars.balance_of(OPERATOR.address) == BOND_BASE_UNITS

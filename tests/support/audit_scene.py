"""A finished campaign as an auditor meets it: a log, a chain, published statements.

``honest_scene`` builds one in which everything is right; tests then tell lies in it. The chain is
paper: it emits what contracts would, lies included, which real contracts refuse.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from eth_abi import encode

from adtally.audit.audit import AuditExtras, run_audit
from adtally.audit.chain_events import AUDITED_EVENTS, Contract
from adtally.audit.deployment import AuditDeployment
from adtally.audit.objections_check import BURN
from adtally.audit.report import AuditReport
from adtally.errors import NotFound
from adtally.events.batch import SignedBatch
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.facts import ChainFacts, ContractCode, TimeFacts
from adtally.events.record import EventType
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hashes
from adtally.settlement.claim_tree import ClaimTree
from adtally.settlement.machine import LogMachine, batch_entries
from adtally.settlement.rates import cut_amount_base_units, released_base_units
from adtally.types import Address, BlockStamp, ChainLog, Checkpoint, Cut, Line, Statement
from support.world import (
    ALICE,
    BOB,
    BOND,
    CAMPAIGN,
    CHAIN_ID,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    FINAL_FROM,
    FLIGHT_START,
    OPERATOR,
    TOKEN,
    World,
)

MEMBERSHIP = b"\x44" * 20
GENESIS = hashlib.sha256(b"genesis").digest()
ORIGIN = f"adtally/{CHAIN_ID}/0x{EVENT_LOG.hex()}"
SIGNER = NoteSigner(ORIGIN, b"\x09" * 32)
FACTS_BLOCK = 40
LAST_BLOCK = 90
ADDRESSES = {
    Contract.MEMBERSHIP: MEMBERSHIP,
    Contract.EVENT_LOG: EVENT_LOG,
    Contract.CAMPAIGN_ESCROW: ESCROW,
}


def payout_of(member: int) -> Address:
    """What ``World`` registers."""
    return bytes([member]) * 20


def deployment() -> AuditDeployment:
    return AuditDeployment.from_json(
        {
            "chain_id": CHAIN_ID,
            "genesis_hash": "0x" + GENESIS.hex(),
            "block_number": 1,
            "contracts": {
                each.value: {"address": "0x" + address.hex()} for each, address in ADDRESSES.items()
            },
            "log_origin": ORIGIN,
            "operator_member": OPERATOR,
            "note_verifier": str(SIGNER.verifier),
        }
    )


def block_hash(number: int) -> bytes:
    # World's first chain facts end at block 40 with this hash.
    if number == FACTS_BLOCK:
        return b"\x01" * 32
    return hashlib.sha256(b"block %d" % number).digest()


class PaperChain:
    """Blocks 0 to ``LAST_BLOCK``; from ``FACTS_BLOCK`` on, each an hour after the one before."""

    def __init__(self) -> None:
        self.logs_: list[ChainLog] = []
        self.balance = 0
        self.last = LAST_BLOCK
        self.id = CHAIN_ID

    def time(self, number: int) -> int:
        return FLIGHT_START + max(0, number - FACTS_BLOCK) * 3_600

    async def chain_id(self) -> int:
        return self.id

    async def genesis_hash(self) -> bytes:
        return GENESIS

    async def final(self) -> BlockStamp | None:
        return await self.block(self.last)

    async def block(self, number: int) -> BlockStamp | None:
        if number > self.last:
            return None
        return BlockStamp(number, block_hash(number), self.time(number))

    async def logs(self, first: int, last: int, addresses: Any) -> list[ChainLog]:
        return [
            log
            for log in self.logs_
            if first <= log.block_number <= last and log.address in addresses
        ]

    async def call(self, to: Address, data: bytes, at: BlockStamp | None = None) -> bytes:
        assert to == TOKEN
        assert data[4:] == encode(["address"], [ESCROW])
        assert at is not None
        assert at.number == self.last
        return encode(["uint256"], [self.balance])

    def emit(self, number: int, name: str, indexed: list[Any], data: list[Any]) -> None:
        """Append an event to a block."""
        form = next(each for each in AUDITED_EVENTS if each.name == name)
        topics = [form.topic]
        topics += [
            encode([kind], [value]) for kind, value in zip(form.indexed, indexed, strict=True)
        ]
        self.add(number, ADDRESSES[form.contract], tuple(topics), encode(list(form.data), data))

    def add(self, number: int, address: Address, topics: tuple[bytes, ...], data: bytes) -> None:
        index = sum(log.block_number == number for log in self.logs_)
        transaction = hashlib.sha256(b"transaction %d/%d" % (number, index)).digest()
        self.logs_.append(
            ChainLog(number, block_hash(number), transaction, index, address, topics, data)
        )

    def take_back(self, number: int) -> list[ChainLog]:
        """Remove a block's logs, to emit others instead."""
        gone = [log for log in self.logs_ if log.block_number == number]
        self.logs_ = [log for log in self.logs_ if log.block_number != number]
        return gone


@dataclass
class PaperLog:
    """What the operator serves."""

    served: list[bytes]
    note: bytes = b""
    statements: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    page: int = 10**9

    async def checkpoint_note(self) -> bytes:
        return self.note

    async def entries(self, start: int, end: int) -> list[bytes]:
        return self.served[start : min(end, start + self.page)]

    async def statement(self, campaign: int, sequence: int) -> object:
        if (campaign, sequence) not in self.statements:
            raise NotFound("no such statement", expected="a statement", found="nothing")
        return self.statements[campaign, sequence]


@dataclass
class Scene:
    """Log, chain and what was computed to make them."""

    log: PaperLog
    chain: PaperChain
    stated: list[tuple[Statement, list[Line]]]
    anchors: dict[int, int]
    """Block -> anchored tree size."""
    dispute_window: int = 0

    async def audit(self, **extras: Any) -> AuditReport:
        """What an auditor finds who brings ``extras`` along."""
        return await run_audit(self.log, self.chain, deployment(), extras=AuditExtras(**extras))

    def root(self, size: int) -> bytes:
        tree = MerkleTree()
        tree.append_packed(leaf_hashes(self.log.served[:size]))
        return tree.root()

    def sign(self, signer: NoteSigner = SIGNER, size: int | None = None) -> None:
        """Sign a checkpoint over what is served now."""
        size = len(self.log.served) if size is None else size
        self.log.note = sign_checkpoint(signer, Checkpoint(size, self.root(size)))

    def anchor_again(self) -> None:
        """Let the anchors agree with what is served now, as colluding attestors would."""
        for number, (block, size) in enumerate(sorted(self.anchors.items()), start=1):
            self.chain.take_back(block)
            self.chain.emit(block, "Anchored", [size], [self.root(size), number])

    def submit(self, block: int, statement: Statement) -> None:
        counts = statement.counts
        raw = (
            statement.campaign,
            statement.sequence,
            statement.tree_size,
            statement.lines_total_base_units,
            (counts.impressions, counts.viewables, counts.clicks, counts.conversions),
            statement.corrections,
            statement.lines_root,
            statement.is_final,
        )
        keys = [statement.campaign, statement.sequence]
        activates_at = self.chain.time(block) + self.dispute_window
        self.chain.emit(block, "StatementSubmitted", keys, [raw, activates_at])

    def publish(self, statement: Statement, lines: list[Line]) -> None:
        tree = ClaimTree(ESCROW_DOMAIN, statement.campaign, lines)
        self.log.statements[statement.campaign, statement.sequence] = {
            "lines": [
                {
                    "publisher": line.publisher,
                    "counts": {
                        "impressions": line.counts.impressions,
                        "viewables": line.counts.viewables,
                        "clicks": line.counts.clicks,
                        "conversions": line.counts.conversions,
                    },
                    "amount_base_units": str(line.amount_base_units),
                    "proof": ["0x" + node.hex() for node in tree.proof(line.publisher)],
                }
                for line in lines
            ]
        }

    def claim(
        self, block: int, line: Line, before: int, *, more: int = 0, to: Address | None = None
    ) -> None:
        paid = line.amount_base_units + more
        self.chain.emit(
            block,
            "Claimed",
            [CAMPAIGN, line.publisher],
            [to or payout_of(line.publisher), paid - before, paid],
        )

    def pay_cut(self, block: int, member: int, total: int, before: int) -> None:
        data = [payout_of(member), total - before, total]
        self.chain.emit(block, "CutPaid", [CAMPAIGN, member], data)


class SceneBuilder:
    def __init__(self, world: World) -> None:
        self.world = world
        self.paid: dict[int, int] = {}
        self.cuts_paid = [0] * len(world.cuts)
        self.machine: LogMachine = self.world.machine()
        self.scene = Scene(
            PaperLog([each.to_entry() for each in self.world.facts()]), PaperChain(), [], {}
        )
        self.scene.dispute_window = world.dispute_window
        first_facts = ChainFacts.from_entry(self.scene.log.served[1])
        for log in first_facts.logs:
            address = MEMBERSHIP if log.contract is ContractCode.MEMBERSHIP else ESCROW
            self.scene.chain.add(log.block_number, address, log.topics, log.data)
        # The world numbers its logs itself; the chain must number them alike.
        self.scene.chain.logs_ = [
            ChainLog(
                log.block_number, log.block_hash, log.transaction_hash,
                fact.log_index, log.address, log.topics, log.data,
            )
            for log, fact in zip(self.scene.chain.logs_, first_facts.logs, strict=True)
        ]  # fmt: skip

    def traffic(self, member: int, count: int) -> SignedBatch:
        """A batch of impressions, a click on the first, one duplicate and one bad placement."""
        world = self.world
        impressions = [world.event(publisher=member) for _ in range(count)]
        click = world.event(EventType.CLICK, publisher=member, parent_id=impressions[0].id)
        bad = world.event(publisher=member, placement=99)
        batch = world.batch([*impressions, click, impressions[0], bad], member=member)
        verdicts = self.machine.judge_batch(batch, world.now_ms)
        self.scene.log.served += batch_entries(batch, world.now_ms, verdicts)
        world.now_ms += 1_000
        return batch

    def correct(self, index: int, change: int) -> None:
        """Correct the record at ``index``."""
        served, tree = self.scene.log.served, MerkleTree()
        tree.append_packed(leaf_hashes(served))
        self.machine.leaves = tree
        reason = CorrectionReason.LATE_SIVT if change < 0 else CorrectionReason.MAKE_GOOD
        self.facts(Correction(self.world.now_ms, index, change, reason, served[index], "report 7"))

    def facts(self, entry: ChainFacts | TimeFacts | Correction) -> None:
        self.machine.apply_facts(entry)
        self.scene.log.served.append(entry.to_entry())

    def anchor(self, block: int) -> None:
        """Anchor all entries there are."""
        size, number = self.machine.size, len(self.scene.anchors) + 1
        self.scene.anchors[block] = size
        self.scene.chain.emit(block, "Anchored", [size], [self.scene.root(size), number])

    def state(self, block: int, *, is_final: bool) -> None:
        """Submit and publish the next statement."""
        sequence = len(self.scene.stated) + 1
        statement, lines = self.machine.statement(CAMPAIGN, sequence, is_final=is_final)
        self.scene.stated.append((statement, lines))
        self.scene.submit(block, statement)
        self.scene.publish(statement, lines)

    def pay(self, block: int, holdback: int = 0) -> None:
        """Pay all lines of the newest statement in this block, and all cuts in the next one."""
        statement, lines = self.scene.stated[-1]
        for line in lines:
            released = released_base_units(line.amount_base_units, holdback)
            held = released - line.amount_base_units
            self.scene.claim(block, line, self.paid.get(line.publisher, 0), more=held)
            self.paid[line.publisher] = released
        total = released_base_units(statement.lines_total_base_units, holdback)
        for at, cut in enumerate(self.world.cuts):
            amount = cut_amount_base_units(total, cut)
            self.scene.pay_cut(block + 1, cut.member, amount, self.cuts_paid[at])
            self.cuts_paid[at] = amount

    def refund(self, block: int) -> None:
        """Pay back what is not reserved."""
        reserved = self.scene.stated[-1][0].lines_total_base_units
        cuts = sum(cut_amount_base_units(reserved, cut) for cut in self.world.cuts)
        rest = self.world.funding - reserved - cuts
        self.scene.chain.emit(block, "Refunded", [CAMPAIGN], [payout_of(2), rest, rest])


def honest_scene(cuts: tuple[Cut, ...] | None = None) -> Scene:
    """Two statements, the second final; everything paid, the rest refunded."""
    builder = SceneBuilder(World() if cuts is None else World(cuts=cuts))
    scene, world = builder.scene, builder.world
    builder.traffic(ALICE, 5)
    builder.traffic(BOB, 3)
    builder.anchor(53)
    builder.state(54, is_final=False)
    builder.pay(55)
    builder.facts(ChainFacts(world.now_ms, 41, 60, block_hash(60), scene.chain.time(60), ()))
    builder.traffic(ALICE, 4)
    builder.facts(TimeFacts((FINAL_FROM + 1) * 1000))
    builder.anchor(80)
    builder.state(81, is_final=True)
    builder.pay(82)
    builder.refund(85)
    scene.sign()
    return scene


def objected_scene() -> Scene:
    """A dispute window of an hour and a holdback of 10 %: the final statement (block 75) is
    objected to (block 75) in vain (block 78), everything is paid, the rest refunded.
    """
    builder = SceneBuilder(World(dispute_window=3_600, holdback=1_000))
    scene, chain = builder.scene, builder.scene.chain
    builder.traffic(ALICE, 5)
    builder.traffic(BOB, 3)
    builder.anchor(53)
    builder.state(54, is_final=False)
    builder.pay(55, holdback=1_000)
    builder.facts(TimeFacts((FINAL_FROM + 1) * 1000))
    builder.anchor(74)
    builder.state(75, is_final=True)
    chain.emit(75, "ObjectionRaised", [CAMPAIGN, 2], [BOND, chain.time(75) + 2 * 3_600, "too many"])
    chain.emit(78, "ObjectionDecided", [CAMPAIGN, 2], [False])
    builder.state(78, is_final=True)
    builder.pay(79)
    chain.emit(81, "ObjectionBondReleased", [CAMPAIGN], [BURN, BOND])
    builder.refund(82)
    scene.sign()
    return scene


def corrected_scene() -> Scene:
    """A dispute window of an hour and a holdback of 25 %: three quarters of the first statement are
    paid (blocks 56 and 57), then two of Alice's events are taken back and one of Bob's is made
    good; the final statement (block 75) is lower, its rest is paid, and the advertiser is refunded.
    The corrections are the entries before the last one.
    """
    builder = SceneBuilder(World(dispute_window=3_600, holdback=2_500))
    scene = builder.scene
    first = len(scene.log.served) + 1
    builder.traffic(ALICE, 5)
    builder.traffic(BOB, 3)
    bad = len(scene.log.served) - 1
    builder.anchor(53)
    builder.state(54, is_final=False)
    builder.pay(56, holdback=2_500)
    builder.correct(first, -1)
    builder.correct(first + 1, -1)
    builder.correct(bad, 1)
    builder.facts(TimeFacts((FINAL_FROM + 1) * 1000))
    builder.anchor(74)
    builder.state(75, is_final=True)
    builder.pay(77)
    builder.refund(80)
    scene.sign()
    return scene

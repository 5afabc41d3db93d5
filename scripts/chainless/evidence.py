"""Proof bundles of any shape without a chain: blocks made by hand, hashes and signatures real."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_abi import encode as encode_abi
from eth_utils import keccak

from adtally.audit.chain_events import AUDITED_EVENTS
from adtally.ethereum.block import EvmLog, LogProof, Receipt
from adtally.ethereum.patricia import trie_proof, trie_root
from adtally.ethereum.rlp import Item, encode, uint
from adtally.events.batch import Envelope, sign_batch
from adtally.events.eip712 import statement_digest
from adtally.events.record import AdEvent, EventType, new_event_id, set_verdict
from adtally.events.signature import address_of, sign
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.log.multiproof import join_proofs, root_of_leaves, subtrees_beside
from adtally.proofs.bundle import Attestation, Bundle, LineProof, Scope
from adtally.rfc9162 import leaf_hash
from adtally.settlement.claim_tree import ClaimTree
from adtally.settlement.rates import line_amount_base_units
from adtally.types import Counts, Hash, Line, Rates, Statement
from adtally.verification.chain_logs import WATCHED_EVENTS

from .facts import (
    CHAIN_ID,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    FLIGHT_START,
    LOG_DOMAIN,
    NOON_MS,
    TOKEN,
    key_of,
)

ATTESTOR_KEYS = tuple(sorted((keccak(b"attestor %d" % n) for n in range(3)), key=address_of))
RATES = Rates(2_000_000, 500_000, 250_000, 5_000_000)
CAP = 10**12
CAMPAIGN = 1
_TRANSFER = keccak(b"Transfer(address,address,uint256)")
_EVENTS = {each.name: each for each in (*WATCHED_EVENTS, *AUDITED_EVENTS)}
_EMPTY_LIST = keccak(encode([]))
_EMPTY_TRIE = keccak(encode(b""))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a bundle is about.

    Attributes:
        tree_size: entries of the log at its anchor and at its statement.
        first_index: leaf index of the envelope.
        batch: records in the batch; ``position`` of the record among them, from 0.
        lines: lines in the statement.
        paid_together: lines that the payment's transaction pays.
        neighbours: other transactions in every block.
        seed: makes another world of the same shape.
    """

    tree_size: int = 5_000
    first_index: int = 1_234
    batch: int = 10
    position: int = 3
    lines: int = 5
    paid_together: int = 2
    neighbours: int = 0
    publisher: int = 10
    campaign: int = CAMPAIGN
    seed: int = 1


def made_hash(*parts: object) -> Hash:
    """A hash that nothing is known of."""
    return hashlib.sha256(repr(parts).encode()).digest()


def event_log(name: str, address: bytes, indexed: Sequence[int], data: Sequence[object]) -> EvmLog:
    """A contract's event as a receipt has it; indexed values are numbers."""
    event = _EVENTS[name]
    topics = (event.topic, *(value.to_bytes(32, "big") for value in indexed))
    return EvmLog(address, topics, encode_abi(list(event.data), list(data)))


class MadeChain:
    """Blocks one on top of the other, as the newest fork writes them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.headers: list[bytes] = []
        self.number = 100

    def add(self, logs: Sequence[EvmLog], log: int, neighbours: int = 0) -> LogProof:
        """A block with a transaction that left ``logs``; the proof of one of them."""
        others = [
            Receipt(2, True, 100_000 * (at + 2), (_transfer(made_hash("to", at)[:20], at + 1),))
            for at in range(neighbours)
        ]
        receipts = [Receipt(2, True, 100_000, tuple(logs)), *others]
        values = {encode(uint(at)): each.to_bytes() for at, each in enumerate(receipts)}
        header = self._header(trie_root(values))
        self.headers.append(header)
        self.number += 1
        return LogProof(header, 0, trie_proof(values, encode(uint(0))), log)

    def _header(self, receipts_root: Hash) -> bytes:
        parent = keccak(self.headers[-1]) if self.headers else made_hash(self._seed, "parent")
        salt = (self._seed, self.number)
        fields: list[Item] = [
            parent, _EMPTY_LIST, made_hash(salt, "fees")[:20], made_hash(salt, "state"),
            made_hash(salt, "transactions"), receipts_root, made_bloom(salt), b"",
            uint(self.number), uint(30_000_000), uint(200_000),
            uint(FLIGHT_START + 12 * self.number), b"", made_hash(salt, "mix"), bytes(8),
            uint(7), _EMPTY_TRIE, b"", b"", made_hash(salt, "beacon"), hashlib.sha256().digest(),
        ]  # fmt: skip
        return encode(fields)


def made_bloom(salt: object) -> bytes:
    """A header's filter over some thirty values."""
    bits = 0
    for at in range(90):
        bits |= 1 << (int.from_bytes(made_hash(salt, at)[:2], "big") & 2047)
    return bits.to_bytes(256, "big")


def _transfer(to: bytes, amount: int) -> EvmLog:
    topics = (_TRANSFER, ESCROW.rjust(32, b"\0"), to.rjust(32, b"\0"))
    return EvmLog(TOKEN, topics, amount.to_bytes(32, "big"))


def made_lines(shape: Shape) -> list[Line]:
    """The statement's lines, that of the shape's publisher the first."""
    lines = []
    for publisher in range(shape.publisher, shape.publisher + shape.lines):
        counts = Counts(900_000_000 + publisher, 5_000_000, 70_000 + publisher, 800)
        amount = line_amount_base_units(RATES, counts, CAP * 10)
        lines.append(Line(publisher, counts, amount))
    return lines


def payout_of(publisher: int) -> bytes:
    """The address that gets a publisher's money."""
    return made_hash("payout", publisher)[:20]


def claim_logs(shape: Shape, lines: Sequence[Line]) -> list[EvmLog]:
    """What a transaction leaves that pays lines in full: a transfer and a Claimed each."""
    logs = []
    for line in lines:
        amount = line.amount_base_units
        payout = "0x" + payout_of(line.publisher).hex()
        logs.append(_transfer(payout_of(line.publisher), amount))
        where = [shape.campaign, line.publisher]
        logs.append(event_log("Claimed", ESCROW, where, [payout, amount, amount]))
    return logs


def make_bundle(shape: Shape) -> tuple[Bundle, MadeChain]:
    """A bundle in which everything is shown, and the chain that it is about."""
    records = made_records(shape)
    batch = sign_batch(LOG_DOMAIN, CHAIN_ID, key_of(shape.publisher), shape.publisher, 7, records)
    envelope = Envelope(
        shape.publisher, 7, len(records), NOON_MS, batch.signer, batch.signature
    ).to_entry()
    record = set_verdict(records[shape.position], Verdict.ACCEPTED)
    index = shape.first_index + 1 + shape.position
    leaves = {shape.first_index: leaf_hash(envelope), index: leaf_hash(record)}
    log_proof = tuple(
        made_hash(shape.seed, *subtree)
        for subtree in subtrees_beside(sorted(leaves), shape.tree_size)
    )
    root = root_of_leaves(leaves, shape.tree_size, log_proof)
    in_batch = MerkleTree()
    in_batch.append([leaf_hash(each) for each in records])
    path = in_batch.inclusion_proof(shape.position)
    chain = MadeChain(shape.seed)
    order = chain.add([_order(shape)], 0, shape.neighbours)
    anchored = event_log("Anchored", EVENT_LOG, [shape.tree_size], [root, 9])
    anchor = chain.add([anchored], 0, shape.neighbours)
    line = _line(shape, chain)
    paid_lines = made_lines(shape)[: shape.paid_together]
    paid = chain.add(claim_logs(shape, paid_lines), 1, shape.neighbours)
    bundle = Bundle(
        scope=Scope(CHAIN_ID, EVENT_LOG, ESCROW),
        index=index,
        record=record,
        first_index=shape.first_index,
        envelope=envelope,
        records_proof=join_proofs({shape.position: path}, len(records)),
        log_proof=log_proof,
        anchored=anchor,
        line=line,
        order=order,
        paid=paid,
    )
    return bundle, chain


def with_headers(bundle: Bundle, chain: MadeChain) -> Bundle:
    """The bundle with its blocks linked, so that the newest one's hash is enough."""
    return replace(bundle, headers=tuple(reversed(chain.headers[1:])))


def made_records(shape: Shape) -> list[bytes]:
    """The batch's records as they were signed."""
    return [
        AdEvent(
            EventType.IMPRESSION,
            shape.campaign,
            shape.publisher,
            placement=7,
            creative=9,
            id=new_event_id(NOON_MS - 1_000, made_hash(shape.seed, "event", at)[:10]),
            occurred_at_ms=NOON_MS - 1_000,
            country="DE",
            subject=made_hash(shape.seed, "subject", at)[:16],
            context=made_hash(shape.seed, "context", at)[:20],
        ).to_record()
        for at in range(shape.batch)
    ]


def _order(shape: Shape) -> EvmLog:
    rates = (
        RATES.per_mille_impressions,
        RATES.per_mille_viewables,
        RATES.per_click,
        RATES.per_conversion,
    )
    where = [shape.campaign, shape.publisher]
    return event_log("OrderAccepted", ESCROW, where, [rates, CAP * 10])


def _line(shape: Shape, chain: MadeChain) -> LineProof:
    lines = made_lines(shape)
    tree = ClaimTree(ESCROW_DOMAIN, shape.campaign, lines)
    statement = Statement(
        campaign=shape.campaign,
        sequence=4,
        tree_size=shape.tree_size,
        lines_total_base_units=sum(line.amount_base_units for line in lines),
        counts=sum((line.counts for line in lines), Counts()),
        corrections=0,
        lines_root=tree.root,
        is_final=False,
    )
    counts = statement.counts
    said = (
        statement.campaign, statement.sequence, statement.tree_size,
        statement.lines_total_base_units,
        (counts.impressions, counts.viewables, counts.clicks, counts.conversions),
        statement.corrections, statement.lines_root, statement.is_final,
    )  # fmt: skip
    submitted = event_log(
        "StatementSubmitted",
        ESCROW,
        [statement.campaign, statement.sequence],
        [said, FLIGHT_START],
    )
    digest = statement_digest(ESCROW_DOMAIN, statement)
    return LineProof(
        lines[0].counts,
        tuple(tree.proof(shape.publisher)),
        tuple(Attestation(address_of(key), sign(digest, key)) for key in ATTESTOR_KEYS[:2]),
        chain.add([submitted], 0, shape.neighbours),
    )

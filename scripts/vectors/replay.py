"""A whole small log for ``docs/spec/vectors/replay.json``: every verdict, and a final statement.

Its facts are what the contracts would have emitted; its batches are signed with fixed keys. Whoever
implements the specification should give the same verdicts, lines and root hash for these entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from adtally.events.batch import sign_batch
from adtally.events.eip712 import escrow_domain, log_domain, statement_digest
from adtally.events.facts import (
    ChainFacts,
    ContractCode,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
    TimeFacts,
)
from adtally.events.record import (
    AdEvent,
    EventType,
    NetworkClass,
    UserAgentClass,
    new_event_id,
)
from adtally.events.signature import address_of, sign
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import FactsEntry, LogMachine, batch_entries
from adtally.types import GoalType, LogIdentity
from adtally.verification.rule_set import RuleSet

IDENTITY = LogIdentity(31_337, bytes.fromhex("11" * 20))
DOMAIN = log_domain(IDENTITY)
ESCROW_DOMAIN = escrow_domain(31_337, bytes.fromhex("22" * 20))

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
# 2026-11-02 12:00:00 UTC: the flight takes two hours from here, its late window one more,
# and its correction window half an hour.
NOON_MS = 1_793_620_800_000
NOON = NOON_MS // 1000

OPERATOR, ADVERTISER, PUBLISHER, ORDERLESS, COLLECTOR, AGENCY, SMALL = range(1, 8)
ROLES = {OPERATOR: 16, ADVERTISER: 1, PUBLISHER: 2, ORDERLESS: 2, COLLECTOR: 8, AGENCY: 4, SMALL: 2}
FUNDED = 5_800

_TERMS = (
    "(address,uint64,uint64,uint32,uint32,uint32,uint32,uint32,uint32,uint16,uint128,uint8,uint64,"
    "uint128,(uint32,uint16)[])"
)
_RATES = "(uint80,uint80,uint80,uint80)"


def event_key(member: int) -> bytes:
    """The private event key of a member of this log."""
    return hashlib.sha256(f"adtally replay vector: member {member}".encode()).digest()


def address(name: str) -> str:
    return "0x" + hashlib.sha256(name.encode()).digest()[:20].hex()


# Chain facts ------------------------------------------------------------------------------------


class Chain:
    """Numbers the logs of a block range as they come."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.logs: list[FactLog] = []

    def emit(
        self,
        contract: ContractCode,
        name: str,
        indexed: Sequence[tuple[str, Any]],
        data: Sequence[tuple[str, Any]],
    ) -> None:
        kinds = ",".join(kind for kind, _ in (*indexed, *data))
        topics = [keccak(f"{name}({kinds})".encode())]
        topics += [encode([kind], [value]) for kind, value in indexed]
        body = encode([kind for kind, _ in data], [value for _, value in data])
        self.logs.append(FactLog(self.block, len(self.logs), contract, tuple(topics), body))

    def facts(self, recorded_at_ms: int, first_block: int) -> ChainFacts:
        block_hash = hashlib.sha256(f"block {self.block}".encode()).digest()
        return ChainFacts(
            recorded_at_ms,
            first_block,
            self.block,
            block_hash,
            recorded_at_ms // 1000 - 2,
            tuple(self.logs),
        )


def opening_facts() -> ChainFacts:
    """Members, a campaign of 2 hours with an agency's cut of 10 %, two orders, and the money."""
    chain, membership, escrow = Chain(9), ContractCode.MEMBERSHIP, ContractCode.CAMPAIGN_ESCROW
    for member, roles in ROLES.items():
        key = address_of(event_key(member))
        chain.emit(
            membership,
            "MemberRegistered",
            [("uint32", member), ("address", address(f"account {member}"))],
            [("uint8", roles), ("bytes32", bytes(32)), ("uint64", NOON + 10**8),
             ("address", key), ("address", address(f"payout {member}"))],
        )  # fmt: skip
    terms = (
        address("token"), NOON, NOON + 7_200, 3_600, 1_800, 0, 86_400, 3_600, 1, 1_000, 0,
        GoalType.NONE, 0, 0, [(AGENCY, 1_000)],
    )  # fmt: skip
    chain.emit(escrow, "CampaignOpened", [("uint32", 1), ("uint32", ADVERTISER)], [(_TERMS, terms)])
    for publisher, rates, cap in (
        (PUBLISHER, (2_500, 4_000, 250, 5_000), 10**9),
        (SMALL, (1_000, 0, 0, 0), 2),
    ):
        chain.emit(
            escrow,
            "OrderAccepted",
            [("uint32", 1), ("uint32", publisher)],
            [(_RATES, rates), ("uint128", cap)],
        )
    chain.emit(
        escrow,
        "Funded",
        [("uint32", 1), ("address", address("account 2"))],
        [("uint128", FUNDED), ("uint128", FUNDED)],
    )
    return chain.facts(NOON_MS - 5 * MINUTE_MS, 1)


def order_end_facts() -> ChainFacts:
    """The small publisher's order ends at 13:00."""
    chain = Chain(20)
    chain.emit(
        ContractCode.CAMPAIGN_ESCROW,
        "OrderEnded",
        [("uint32", 1), ("uint32", SMALL)],
        [("uint64", NOON + 3_600)],
    )
    return chain.facts(NOON_MS + 50 * MINUTE_MS, 10)


def declared(
    kind: DeclarationKind, member: int, campaign: int, publisher: int, item: int, detail: str
) -> Declaration:
    at_ms = NOON_MS - 4 * MINUTE_MS
    key = event_key(member)
    unsigned = Declaration(
        at_ms, kind, True, member, campaign, publisher, item, at_ms, address_of(key), bytes(65),
        detail,
    )  # fmt: skip
    return replace(unsigned, signature=sign(unsigned.digest(DOMAIN), key))


def declarations() -> list[Declaration]:
    kinds = DeclarationKind
    return [
        declared(kinds.PLACEMENT, PUBLISHER, 0, PUBLISHER, 17, "top of page"),
        declared(kinds.PLACEMENT, PUBLISHER, 0, PUBLISHER, 18, "below the comments"),
        declared(kinds.PLACEMENT, SMALL, 0, SMALL, 70, "sidebar"),
        declared(kinds.CREATIVE, ADVERTISER, 1, 0, 5, "https://shop.example/"),
        declared(kinds.ALLOWED_PLACEMENT, ADVERTISER, 1, PUBLISHER, 17, ""),
    ]


# Events -----------------------------------------------------------------------------------------


def shown(name: str, at_ms: int, publisher: int = PUBLISHER, **changes: Any) -> AdEvent:
    """An impression that nothing speaks against, but for ``changes``."""
    tail = hashlib.sha256(name.encode()).digest()[:10]
    event = AdEvent(
        type=EventType.IMPRESSION,
        campaign=1,
        publisher=publisher,
        placement=70 if publisher == SMALL else 17,
        creative=5,
        id=new_event_id(at_ms, tail),
        occurred_at_ms=at_ms,
        country="DE",
        user_agent_class=UserAgentClass.BROWSER,
    )
    return replace(event, **changes)


def after(name: str, kind: EventType, parent: AdEvent, delay_ms: int) -> AdEvent:
    at_ms = parent.occurred_at_ms + delay_ms
    return shown(name, at_ms, parent.publisher, type=kind, parent_id=parent.id)


def main_batch() -> list[AdEvent]:
    """From the publisher at 12:10: one event for almost every rule."""
    at = NOON_MS + 5 * MINUTE_MS
    first = shown("first", at)
    click = after("click", EventType.CLICK, first, 4_000)
    bought = after("bought", EventType.CONVERSION, click, 9_000)
    stranger = shown("never sent", at)
    return [
        first,
        after("viewable", EventType.VIEWABLE, first, 1_000),
        click,
        replace(bought, value_minor_units=12_999, currency=978),
        after("second click", EventType.CLICK, first, 5_000),
        first,
        replace(first, country="FR"),
        after("orphan", EventType.CLICK, stranger, 1_000),
        shown("elsewhere", at, campaign=99),
        shown("comments", at, placement=18),
        shown("other creative", at, creative=6),
        shown("crawler", at, user_agent_class=UserAgentClass.KNOWN_BOT),
        shown("server", at, network_class=NetworkClass.DATA_CENTER),
        shown("tomorrow", at + 10 * MINUTE_MS),
        shown("not mine", at, publisher=ORDERLESS),
        shown("early", NOON_MS - MINUTE_MS),
        shown("yesterday", at - 24 * HOUR_MS),
    ]


def batches() -> list[tuple[int, int, list[AdEvent]]]:
    """Sender, received-at and events of every batch, in log order."""
    at = NOON_MS + 15 * MINUTE_MS
    return [
        (PUBLISHER, NOON_MS + 10 * MINUTE_MS, main_batch()),
        (ORDERLESS, at, [shown("no order", at, ORDERLESS)]),
        (COLLECTOR, at, [shown("by collector", at), shown("small one", at, SMALL)]),
        # The collector saw what the publisher has sent: an id counts once, whoever reports it.
        (COLLECTOR, at, [main_batch()[0]]),
        (SMALL, at, [shown("at the cap", at, SMALL), shown("over the cap", at, SMALL)]),
        (PUBLISHER, at, [shown("still affordable", at)]),
        # The parent is refused before the budget is asked.
        (PUBLISHER, at, [after("third click", EventType.CLICK, main_batch()[0], 2 * MINUTE_MS)]),
        (PUBLISHER, at, [after("too dear", EventType.CLICK, shown("still affordable", at), 1)]),
    ]


def late_batches() -> list[tuple[int, int, list[AdEvent]]]:
    """After the order's end, after the flight, and after the late window."""
    return [
        (SMALL, NOON_MS + 61 * MINUTE_MS, [shown("order over", NOON_MS + HOUR_MS, SMALL)]),
        (PUBLISHER, NOON_MS + 2 * HOUR_MS, [shown("too late", NOON_MS + 2 * HOUR_MS)]),
        (PUBLISHER, NOON_MS + 3 * HOUR_MS, [shown("late arrival", NOON_MS + HOUR_MS)]),
    ]


# The log ----------------------------------------------------------------------------------------


class _Writer:
    """Collects entries as the operator would."""

    def __init__(self) -> None:
        self.machine = LogMachine(IDENTITY, ESCROW_DOMAIN)
        self.entries: list[bytes] = []
        self.verdicts: list[str] = []

    def enter(self, facts: Iterable[FactsEntry]) -> None:
        for each in facts:
            self.machine.apply_facts(each)
            self.entries.append(each.to_entry())

    def take(self, sent: Iterable[tuple[int, int, list[AdEvent]]]) -> None:
        for sender, received_at_ms, events in sent:
            batch = sign_batch(
                DOMAIN,
                IDENTITY.chain_id,
                event_key(sender),
                sender,
                self.machine.next_sequence(sender),
                [event.to_record() for event in events],
            )
            verdicts = self.machine.judge_batch(batch, received_at_ms)
            self.entries += batch_entries(batch, received_at_ms, verdicts)
            self.verdicts += [verdict.label for verdict in verdicts]


def replay_vectors() -> dict[str, Any]:
    """The vector file's content."""
    writer = _Writer()
    writer.enter([RulesFacts(NOON_MS - HOUR_MS, RuleSet().to_json()), opening_facts()])
    writer.enter(declarations())
    writer.take(batches())
    writer.enter([order_end_facts()])
    writer.take(late_batches())
    writer.enter([TimeFacts(NOON_MS + 3 * HOUR_MS + 30 * MINUTE_MS)])
    statement, lines = writer.machine.statement(1, 1, is_final=True)
    tree = MerkleTree()
    tree.append([leaf_hash(entry) for entry in writer.entries])
    return {
        "identity": {"chain_id": IDENTITY.chain_id, "event_log": "0x" + IDENTITY.event_log.hex()},
        "escrow_domain": "0x" + ESCROW_DOMAIN.hex(),
        "entries": ["0x" + entry.hex() for entry in writer.entries],
        "root_hash": "0x" + tree.root().hex(),
        "verdicts": writer.verdicts,
        "lines": [
            {
                "publisher": line.publisher,
                "counts": asdict(line.counts),
                "amount_base_units": str(line.amount_base_units),
            }
            for line in lines
        ],
        "statement": {
            "campaign": statement.campaign,
            "sequence": statement.sequence,
            "tree_size": statement.tree_size,
            "lines_total_base_units": str(statement.lines_total_base_units),
            "counts": asdict(statement.counts),
            "corrections": statement.corrections,
            "lines_root": "0x" + statement.lines_root.hex(),
            "is_final": statement.is_final,
            "digest": "0x" + statement_digest(ESCROW_DOMAIN, statement).hex(),
        },
    }

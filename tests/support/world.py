"""A small world: two publishers, an advertiser, one funded campaign, as log entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.chainless.facts import (
    CHAIN_ID,
    ESCROW,
    ESCROW_DOMAIN,
    FLIGHT_START,
    IDENTITY,
    LOG_DOMAIN,
    MEMBERSHIP,
    NOON_MS,
    RECEIPT_KEY,
    TOKEN,
    encoded_log,
    key_of,
    signed_declaration,
)
from scripts.chainless.facts import EVENT_LOG as EVENT_LOG

from adtally.events.batch import SignedBatch, sign_batch
from adtally.events.facts import (
    ChainFacts,
    ContractCode,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
)
from adtally.events.record import NO_PARENT, AdEvent, EventType, new_event_id
from adtally.events.signature import address_of
from adtally.settlement.machine import LogMachine
from adtally.types import Cut, Rates, Role
from adtally.verification.rule_set import RuleSet

FLIGHT_END = FLIGHT_START + 86_400
LATE_WINDOW = 3_600
CORRECTION_WINDOW = 1_800
FINAL_FROM = FLIGHT_END + LATE_WINDOW + CORRECTION_WINDOW
GRACE = 10 * 86_400
BOND = 3_000_000
KYC_EXPIRES = FLIGHT_START + 10 * 86_400

OPERATOR, ADVERTISER, ALICE, BOB, AGENCY = 1, 2, 3, 4, 5
CAMPAIGN = 1
PLACEMENT = 7
CREATIVE = 9
DEFAULT_RATES = Rates(2_000_000, 500_000, 250_000, 5_000_000)

_ROLES = {
    OPERATOR: Role.OPERATOR | Role.COLLECTOR,
    ADVERTISER: Role.ADVERTISER,
    ALICE: Role.PUBLISHER,
    BOB: Role.PUBLISHER,
    AGENCY: Role.INTERMEDIARY,
}


@dataclass
class World:
    """Facts under construction, and the event ids and sequences handed out so far."""

    rules: RuleSet = field(default_factory=RuleSet)
    rates: Rates = DEFAULT_RATES
    cap: int = 10**12
    funding: int = 10**12
    cuts: tuple[Cut, ...] = (Cut(AGENCY, 500), Cut(OPERATOR, 250))
    goal: tuple[int, int] = (0, 0)
    threshold: int = 0
    holdback: int = 0
    dispute_window: int = 0
    now_ms: int = NOON_MS
    next_id: int = 0
    sequences: dict[int, int] = field(default_factory=dict)

    def facts(self) -> list[Any]:
        """Rules, chain facts and declarations that make the world."""
        return [
            RulesFacts(FLIGHT_START * 1000, self.rules.to_json()),
            ChainFacts(
                FLIGHT_START * 1000, 1, 40, b"\x01" * 32, FLIGHT_START, tuple(self._chain_logs())
            ),
            *(
                self.declaration(DeclarationKind.PLACEMENT, publisher, publisher=publisher)
                for publisher in (ALICE, BOB)
            ),
            self.declaration(
                DeclarationKind.CREATIVE, ADVERTISER, campaign=CAMPAIGN, item=CREATIVE
            ),
        ]

    def _chain_logs(self) -> list[FactLog]:
        logs = [
            encoded_log(
                "MemberRegistered",
                [member, bytes([member]) * 20],
                [
                    role,
                    bytes(32),
                    KYC_EXPIRES,
                    address_of(RECEIPT_KEY if member == OPERATOR else key_of(member)),
                    bytes([member]) * 20,
                ],
                member,
                0,
            )
            for member, role in _ROLES.items()
        ]
        logs.append(encoded_log("CampaignOpened", [CAMPAIGN, ADVERTISER], [self.terms()], 10, 0))
        logs.append(self.funded_log(self.funding, 11))
        rates = (
            self.rates.per_mille_impressions,
            self.rates.per_mille_viewables,
            self.rates.per_click,
            self.rates.per_conversion,
        )
        logs += [
            encoded_log("OrderAccepted", [CAMPAIGN, publisher], [rates, self.cap], 12, publisher)
            for publisher in (ALICE, BOB)
        ]
        return logs

    def terms(self) -> tuple[Any, ...]:
        """A campaign's terms as the contract has them."""
        cuts = [(cut.member, cut.basis_points) for cut in self.cuts]
        return (
            TOKEN, FLIGHT_START, FLIGHT_END, LATE_WINDOW, CORRECTION_WINDOW, self.dispute_window,
            GRACE, 3_600, 1, self.holdback, BOND if self.dispute_window else 0, *self.goal,
            self.threshold, cuts,
        )  # fmt: skip

    @staticmethod
    def funded_log(total: int, block: int) -> FactLog:
        return encoded_log("Funded", [CAMPAIGN, bytes(20)], [total, total], block, 0)

    def declaration(
        self,
        kind: DeclarationKind,
        member: int,
        *,
        campaign: int = 0,
        publisher: int = 0,
        item: int = PLACEMENT,
        active: bool = True,
        at_ms: int = FLIGHT_START * 1000,
        key: bytes | None = None,
    ) -> Declaration:
        """A declaration signed by the member (or by another key)."""
        return signed_declaration(
            kind, member, key or key_of(member), item,
            campaign=campaign, publisher=publisher, active=active, at_ms=at_ms,
        )  # fmt: skip

    def machine(self, *, verify_signatures: bool = True) -> LogMachine:
        """A machine that has taken in the world's facts."""
        machine = LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=verify_signatures)
        for facts in self.facts():
            machine.apply_facts(facts)
        return machine

    def event(self, type_: EventType = EventType.IMPRESSION, **changes: Any) -> AdEvent:
        """A fresh, honest event now, of Alice; ``changes`` replace fields."""
        occurred_at_ms = changes.pop("occurred_at_ms", self.now_ms)
        self.next_id += 1
        fields: dict[str, Any] = {
            "type": type_,
            "campaign": CAMPAIGN,
            "publisher": ALICE,
            "placement": PLACEMENT,
            "creative": CREATIVE,
            "id": new_event_id(occurred_at_ms, self.next_id.to_bytes(10, "big")),
            "occurred_at_ms": occurred_at_ms,
            "parent_id": NO_PARENT,
        }
        return AdEvent(**(fields | changes))

    def batch(
        self,
        events: list[AdEvent],
        *,
        member: int = ALICE,
        sequence: int | None = None,
        key: bytes | None = None,
        chain_id: int = CHAIN_ID,
    ) -> SignedBatch:
        """A signed batch, by default the member's next one."""
        if sequence is None:
            sequence = self.sequences.get(member, 1)
            self.sequences[member] = sequence + 1
        records = [event.to_record() for event in events]
        return sign_batch(LOG_DOMAIN, chain_id, key or key_of(member), member, sequence, records)


WATCHED_CONTRACTS = {
    MEMBERSHIP: ContractCode.MEMBERSHIP,
    ESCROW: ContractCode.CAMPAIGN_ESCROW,
}

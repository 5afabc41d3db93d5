"""What the API answers. Money is a decimal string of base units; hashes are lower-case hex."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from adtally.events.eip712 import Receipt
from adtally.types import Counts, Cut, Line, Rates, Statement, Terms
from adtally.verification.fact_state import CampaignFacts, MemberFacts, OrderFacts


def hex_text(value: bytes) -> str:
    return "0x" + value.hex()


class ReceiptOut(BaseModel):
    """The operator's signed promise (EIP-712 ``Receipt``, ``docs/spec/receipt.md``)."""

    member: int
    sequence: int
    records_root: str
    first_index: int = Field(description="leaf index of the envelope; the records follow it")
    count: int
    tree_size: int
    root_hash: str
    anchor_deadline_seconds: int
    signature: str

    @staticmethod
    def of(receipt: Receipt, signature: bytes) -> ReceiptOut:
        return ReceiptOut(
            member=receipt.member,
            sequence=receipt.sequence,
            records_root=hex_text(receipt.records_root),
            first_index=receipt.first_index,
            count=receipt.count,
            tree_size=receipt.tree_size,
            root_hash=hex_text(receipt.root_hash),
            anchor_deadline_seconds=receipt.anchor_deadline_seconds,
            signature=hex_text(signature),
        )


class BatchOut(BaseModel):
    """Answer to a batch: on disk, in the log, priced."""

    receipt: ReceiptOut
    verdicts: list[str] = Field(description="one per event, in order")
    replayed: bool = Field(description="true if this batch had been logged before")


class CountsOut(BaseModel):
    impressions: int
    viewables: int
    clicks: int
    conversions: int

    @staticmethod
    def of(counts: Counts) -> CountsOut:
        return CountsOut(
            impressions=counts.impressions,
            viewables=counts.viewables,
            clicks=counts.clicks,
            conversions=counts.conversions,
        )


class RatesOut(BaseModel):
    """Base units per 1,000 impressions, per 1,000 viewables, per click, per conversion."""

    per_mille_impressions: str
    per_mille_viewables: str
    per_click: str
    per_conversion: str

    @staticmethod
    def of(rates: Rates) -> RatesOut:
        return RatesOut(
            per_mille_impressions=str(rates.per_mille_impressions),
            per_mille_viewables=str(rates.per_mille_viewables),
            per_click=str(rates.per_click),
            per_conversion=str(rates.per_conversion),
        )


class OrderOut(BaseModel):
    publisher: int
    rates: RatesOut
    cap_base_units: str
    ends_at_seconds: int | None

    @staticmethod
    def of(publisher: int, order: OrderFacts) -> OrderOut:
        return OrderOut(
            publisher=publisher,
            rates=RatesOut.of(order.rates),
            cap_base_units=str(order.cap_base_units),
            ends_at_seconds=order.ends_at_seconds,
        )


class CutOut(BaseModel):
    member: int
    basis_points: int

    @staticmethod
    def of(cut: Cut) -> CutOut:
        return CutOut(member=cut.member, basis_points=cut.basis_points)


class TermsOut(BaseModel):
    token: str
    flight_start_seconds: int
    flight_end_seconds: int
    late_window_seconds: int
    correction_window_seconds: int
    dispute_window_seconds: int
    grace_seconds: int
    notice_seconds: int
    attestor_set: int
    holdback_basis_points: int
    objection_bond_base_units: str
    goal_type: str
    goal_count: int
    settle_threshold_base_units: str
    cuts: list[CutOut]

    @staticmethod
    def of(terms: Terms) -> TermsOut:
        return TermsOut(
            token=hex_text(terms.token),
            flight_start_seconds=terms.flight_start_seconds,
            flight_end_seconds=terms.flight_end_seconds,
            late_window_seconds=terms.late_window_seconds,
            correction_window_seconds=terms.correction_window_seconds,
            dispute_window_seconds=terms.dispute_window_seconds,
            grace_seconds=terms.grace_seconds,
            notice_seconds=terms.notice_seconds,
            attestor_set=terms.attestor_set,
            holdback_basis_points=terms.holdback_basis_points,
            objection_bond_base_units=str(terms.objection_bond_base_units),
            goal_type=terms.goal_type.name.lower(),
            goal_count=terms.goal_count,
            settle_threshold_base_units=str(terms.settle_threshold_base_units),
            cuts=[CutOut.of(cut) for cut in terms.cuts],
        )


class LineOut(BaseModel):
    """What one publisher is owed, cumulative over the campaign."""

    publisher: int
    counts: CountsOut
    amount_base_units: str
    proof: list[str] | None = None

    @staticmethod
    def of(line: Line, proof: list[bytes] | None = None) -> LineOut:
        return LineOut(
            publisher=line.publisher,
            counts=CountsOut.of(line.counts),
            amount_base_units=str(line.amount_base_units),
            proof=None if proof is None else [hex_text(node) for node in proof],
        )


class StatementOut(BaseModel):
    """What a campaign owes over the log's first ``tree_size`` entries, cumulative."""

    campaign: int
    sequence: int
    tree_size: int
    lines_total_base_units: str
    counts: CountsOut
    corrections: int = Field(description="corrections in the log that the lines contain")
    lines_root: str
    is_final: bool

    @staticmethod
    def of(statement: Statement) -> StatementOut:
        return StatementOut(
            campaign=statement.campaign,
            sequence=statement.sequence,
            tree_size=statement.tree_size,
            lines_total_base_units=str(statement.lines_total_base_units),
            counts=CountsOut.of(statement.counts),
            corrections=statement.corrections,
            lines_root=hex_text(statement.lines_root),
            is_final=statement.is_final,
        )


class CampaignOut(BaseModel):
    """A campaign as the log's facts know it, with what has accrued so far."""

    id: int
    advertiser: int
    terms: TermsOut
    flight_end_seconds: int
    funded_base_units: str
    orders: list[OrderOut]
    creatives: dict[int, str]
    allowed_placements: dict[int, list[int]]
    accrued_lines: list[LineOut]
    accrued_lines_total_base_units: str
    accrued_counts: CountsOut

    @staticmethod
    def of(campaign: CampaignFacts, lines: list[Line]) -> CampaignOut:
        return CampaignOut(
            id=campaign.id,
            advertiser=campaign.advertiser,
            terms=TermsOut.of(campaign.terms),
            flight_end_seconds=campaign.flight_end_seconds,
            funded_base_units=str(campaign.funded_base_units),
            orders=[
                OrderOut.of(publisher, campaign.orders[publisher])
                for publisher in sorted(campaign.orders)
            ],
            creatives=dict(campaign.creatives),
            allowed_placements={
                publisher: sorted(items) for publisher, items in campaign.allowed_placements.items()
            },
            accrued_lines=[LineOut.of(line) for line in lines],
            accrued_lines_total_base_units=str(sum(line.amount_base_units for line in lines)),
            accrued_counts=CountsOut.of(sum((line.counts for line in lines), Counts())),
        )


class MemberOut(BaseModel):
    """A member as the log's facts know it."""

    id: int
    account: str
    roles: list[str]
    kyc_expires_seconds: int
    event_key: str
    next_sequence: int = Field(description="sequence of the member's next batch")
    placements: dict[int, str]

    @staticmethod
    def of(
        member: MemberFacts, roles: list[str], next_sequence: int, placements: dict[int, str]
    ) -> MemberOut:
        return MemberOut(
            id=member.id,
            account=hex_text(member.account),
            roles=roles,
            kyc_expires_seconds=member.kyc_expires_seconds,
            event_key=hex_text(member.event_key),
            next_sequence=next_sequence,
            placements=placements,
        )


class TreeSizeOut(BaseModel):
    tree_size: int = Field(description="size of the log once the entry was durable")


class InclusionOut(BaseModel):
    """An RFC 9162 inclusion proof with what it proves; ``adtally verify`` reads it as a file."""

    index: int
    leaf_hash: str
    tree_size: int
    root_hash: str
    proof: list[str] = Field(description="node hashes, from the leaf up")


class ConsistencyOut(BaseModel):
    """An RFC 9162 consistency proof with what it proves; ``adtally verify`` reads it as a file."""

    first: int
    first_root_hash: str
    second: int
    second_root_hash: str
    proof: list[str]


class HealthOut(BaseModel):
    status: str
    tree_size: int


Json = dict[str, Any]

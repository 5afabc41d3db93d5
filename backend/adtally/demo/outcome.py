"""Everything that came of a demo run, as plain values: what tables and report are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from adtally.client.fields import Fields
from adtally.demo.money import TokenUnit
from adtally.demo.tally import Tally
from adtally.errors import InvariantBroken
from adtally.types import Counts


@dataclass(frozen=True, slots=True)
class AnchorOutcome:
    """An anchor in a final block; ``gas_used`` None when somebody else sent it."""

    tree_size: int
    root_hash: str
    transaction: str
    block_number: int
    gas_used: int | None

    @staticmethod
    def from_fields(fields: Fields) -> AnchorOutcome:
        gas = fields.integer("gas_used") if fields.has_value("gas_used") else None
        return AnchorOutcome(
            fields.integer("tree_size"),
            fields.text("root_hash"),
            fields.text("transaction_hash"),
            fields.integer("block_number"),
            gas,
        )


@dataclass(frozen=True, slots=True)
class StatementOutcome:
    """A settled statement; ``signers`` are the attestors that signed it (0x addresses)."""

    campaign: int
    sequence: int
    tree_size: int
    counts: Counts
    lines_total_base_units: int
    is_final: bool
    reason: str
    transaction: str
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """Money that left the escrow: ``kind`` is claim, cut or refund."""

    kind: str
    campaign: int
    member: int
    payee: str
    amount_base_units: int
    transaction: str

    @staticmethod
    def from_fields(fields: Fields) -> PaymentOutcome:
        return PaymentOutcome(
            fields.text("kind"),
            fields.integer("campaign"),
            fields.integer("member"),
            fields.text("payee"),
            fields.integer("amount_base_units"),
            fields.text("transaction_hash"),
        )


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """A publisher's line in the final statement, and what it was paid."""

    publisher: int
    counts: Counts
    amount_base_units: int
    paid_base_units: int


@dataclass(frozen=True, slots=True)
class MoneyOutcome:
    """One campaign's money, read from the chain; base units of ``unit``."""

    campaign: int
    unit: TokenUnit
    funded_base_units: int
    paid_base_units: int
    cuts_base_units: int
    refunded_base_units: int
    lines: tuple[LineOutcome, ...]

    @property
    def balance_base_units(self) -> int:
        """What the escrow's books still hold for the campaign."""
        return (
            self.funded_base_units
            - self.paid_base_units
            - self.cuts_base_units
            - self.refunded_base_units
        )


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """A campaign's report over what its final statement covers.

    ``metrics`` are quotients as decimal strings, None where undefined; ``hourly_impressions``
    are accepted ones, by hour of the flight.
    """

    campaign: int
    gross: Counts
    net: Counts
    spend_base_units: int
    metrics: dict[str, str | None]
    hourly_impressions: tuple[int, ...]

    @staticmethod
    def from_fields(campaign: int, total: Fields, by_hour: Fields) -> ReportOutcome:
        metrics = total.inner("metrics")
        return ReportOutcome(
            campaign=campaign,
            gross=counts_from_fields(total.inner("gross_to_net").inner("gross")),
            net=counts_from_fields(total.inner("counts")),
            spend_base_units=total.integer("spend_base_units"),
            metrics={name: _metric(metrics.inner(name)) for name in metrics.names()},
            hourly_impressions=tuple(
                row.inner("counts").integer("impressions") for row in by_hour.inners("rows")
            ),
        )


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What the audit said: what was checked, and how many of each."""

    ok: bool
    checked: dict[str, int]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceiptsOutcome:
    """Receipts against the final log: all of them must be kept."""

    received: int
    kept: int
    anchored_in_time: int


@dataclass(slots=True)
class Outcome:
    """A whole run; ``escrow_balances`` are token balances read from the token contracts."""

    tally: Tally
    names: dict[int, str]
    campaign_names: dict[int, str]
    tree_size: int = 0
    root_hash: str = ""
    anchors: list[AnchorOutcome] = field(default_factory=list)
    statements: list[StatementOutcome] = field(default_factory=list)
    payments: list[PaymentOutcome] = field(default_factory=list)
    money: list[MoneyOutcome] = field(default_factory=list)
    escrow_balances: dict[str, int] = field(default_factory=dict)
    receipts: ReceiptsOutcome | None = None
    audit: AuditOutcome | None = None
    reports: dict[int, ReportOutcome] = field(default_factory=dict)
    seconds: float = 0.0

    def check(self) -> None:
        """Raises InvariantBroken unless every unit went where the statements say."""
        for money in self.money:
            paid = sum(self._paid(money.campaign, "claim"))
            cuts = sum(self._paid(money.campaign, "cut"))
            refunded = sum(self._paid(money.campaign, "refund"))
            _equal("claims", paid, money.paid_base_units)
            _equal("cuts", cuts, money.cuts_base_units)
            _equal("refunds", refunded, money.refunded_base_units)
            _equal("balance of the campaign", money.balance_base_units, 0)
            for line in money.lines:
                _equal(f"line {line.publisher}", line.paid_base_units, line.amount_base_units)
            self._check_report(money)
        for symbol, balance in self.escrow_balances.items():
            _equal(f"{symbol} in the escrow", balance, 0)
        if self.tally.surprises:
            raise InvariantBroken(f"wrong verdicts: {'; '.join(self.tally.surprises[:3])}")
        if self.receipts is not None:
            _equal("receipts kept", self.receipts.kept, self.receipts.received)
            _equal("receipts anchored", self.receipts.anchored_in_time, self.receipts.received)
        if self.audit is not None and not self.audit.ok:
            raise InvariantBroken(f"the audit found: {'; '.join(self.audit.findings[:3])}")

    def _check_report(self, money: MoneyOutcome) -> None:
        report = self.reports.get(money.campaign)
        if report is None:
            return
        owed = sum(line.amount_base_units for line in money.lines)
        _equal("spend in the report", report.spend_base_units, owed)
        stated = sum((line.counts for line in money.lines), Counts())
        if report.net != stated:
            raise InvariantBroken(
                f"campaign {money.campaign}: the report counts {report.net}, the statement {stated}"
            )

    def _paid(self, campaign: int, kind: str) -> list[int]:
        return [
            payment.amount_base_units
            for payment in self.payments
            if payment.campaign == campaign and payment.kind == kind
        ]


def counts_from_fields(fields: Fields) -> Counts:
    """The four counts of a JSON object."""
    return Counts(
        fields.integer("impressions"),
        fields.integer("viewables"),
        fields.integer("clicks"),
        fields.integer("conversions"),
    )


def _metric(fields: Fields) -> str | None:
    return fields.text("value") if fields.has_value("value") else None


def _equal(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise InvariantBroken(f"{what}: expected {expected}, found {found}")

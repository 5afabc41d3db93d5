"""Step 5: every unit that left the escrow left it for the right reason, to the right address."""

from __future__ import annotations

from collections.abc import Mapping

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak

from adtally.audit.chain_events import (
    Claimed,
    CutPaid,
    Funded,
    ObjectionBondReleased,
    ObjectionDecided,
    ObjectionRaised,
    Refunded,
    StatementSubmitted,
)
from adtally.audit.history import Happened
from adtally.audit.ledger import Ledger
from adtally.audit.objections_check import ObjectionCheck
from adtally.audit.payouts import Payouts
from adtally.audit.ports import ChainSource
from adtally.audit.replay import Recomputed, StatementKey
from adtally.audit.report import (
    CampaignFigures,
    Findings,
    PublisherFigures,
    TokenFigures,
    show,
)
from adtally.settlement.claim_tree import ClaimTree, line_leaf, verify_line
from adtally.settlement.machine import LogMachine
from adtally.settlement.rates import (
    cut_amount_base_units,
    released_base_units,
    reserve_base_units,
)
from adtally.types import Address, BlockStamp, Counts, Hash, Line, Statement
from adtally.verification.chain_logs import CampaignEnded, CampaignOpened

_Objected = ObjectionRaised | ObjectionDecided | ObjectionBondReleased
_Booked = CampaignEnded | StatementSubmitted | Funded | Claimed | CutPaid | Refunded | _Objected

_BALANCE_OF = keccak(b"balanceOf(address)")[:4]


class MoneyCheck:
    """Walks through deposits and payments in chain order, keeping the books itself."""

    def __init__(
        self,
        recomputed: Mapping[StatementKey, Recomputed],
        escrow_domain: Hash,
        findings: Findings,
    ) -> None:
        self.ledgers: dict[int, Ledger] = {}
        self._recomputed = recomputed
        self._domain = escrow_domain
        self._findings = findings
        self._payouts = Payouts()
        self._objections = ObjectionCheck(self._payouts, findings)

    def take(self, happened: Happened) -> None:
        """Take in the next event of the chain."""
        event = happened.event
        self._payouts.take(event, happened.timestamp_seconds)
        match event:
            case CampaignOpened(campaign, advertiser, terms):
                self.ledgers[campaign] = Ledger(
                    advertiser,
                    terms,
                    terms.flight_end_seconds,
                    cuts_paid=[0] * len(terms.cuts),
                )
            case CampaignEnded() | Funded() | Claimed() | CutPaid() | Refunded():
                self._book(event, event.campaign, happened)
            case ObjectionRaised() | ObjectionDecided() | ObjectionBondReleased():
                self._book(event, event.campaign, happened)
            case StatementSubmitted(statement):
                self._book(event, statement.campaign, happened)

    def _book(self, event: _Booked, campaign: int, happened: Happened) -> None:
        ledger = self.ledgers.get(campaign)
        if ledger is None:
            expected = "the event that opened it before"
            self._findings.differs("chain", "unknown campaign", happened.where, expected, campaign)
            return
        where = f"campaign {campaign}"
        match event:
            case CampaignEnded(_, flight_end):
                ledger.flight_end_seconds = flight_end
            case StatementSubmitted():
                self._objections.stated(event, ledger, f"{where}, {happened.where}")
                ledger.state(event)
            case ObjectionRaised() | ObjectionDecided() | ObjectionBondReleased():
                self._objections.take(event, ledger, happened)
            case Funded():
                self._funded(event, ledger, f"{where}, {happened.where}")
            case Claimed(_, publisher):
                self._claimed(event, ledger, happened, f"{where} publisher {publisher}")
            case CutPaid(_, member):
                self._cut_paid(event, ledger, happened, f"{where} member {member}")
            case Refunded():
                self._refunded(event, ledger, happened, where)

    # Events ------------------------------------------------------------------------------------

    def _funded(self, event: Funded, ledger: Ledger, where: str) -> None:
        ledger.funded += event.amount_base_units
        self._findings.compare(
            "funding", "funded total", where, ledger.funded, event.funded_total_base_units
        )

    def _claimed(self, event: Claimed, ledger: Ledger, happened: Happened, who: str) -> None:
        publisher, where = event.publisher, f"{who}, {happened.where}"
        before = ledger.paid.get(publisher, 0)
        ledger.paid[publisher] = before + event.amount_base_units
        self._payout("claims", publisher, event.payout, happened, where)
        active = ledger.active_at(happened.timestamp_seconds)
        own = self._own(active)
        line = own.lines.get(publisher) if own is not None else None
        if active is None or own is None or line is None:
            self._unfounded("claims", "a line in the active statement", where, event)
            return
        compare = self._findings.compare
        holdback = ledger.holdback_at(happened.timestamp_seconds)
        released = released_base_units(line.amount_base_units, holdback)
        compare("claims", "amount", where, released - before, event.amount_base_units)
        compare("claims", "paid total", where, released, event.paid_total_base_units)
        tree = ClaimTree(self._domain, event.campaign, list(own.lines.values()))
        leaf = line_leaf(self._domain, event.campaign, publisher, line.counts)
        if not verify_line(active.lines_root, leaf, tree.proof(publisher)):
            what = "the claimed line is not in the statement"
            self._findings.differs("claims", what, where, active.lines_root, leaf)

    def _cut_paid(self, event: CutPaid, ledger: Ledger, happened: Happened, who: str) -> None:
        where = f"{who}, {happened.where}"
        self._payout("cuts", event.member, event.payout, happened, where)
        active = ledger.active_at(happened.timestamp_seconds)
        own = self._own(active)
        lines_total = 0 if active is None else active.lines_total_base_units
        holdback = ledger.holdback_at(happened.timestamp_seconds)
        position = ledger.position_of_cut(event, released_base_units(lines_total, holdback))
        if position is None:
            ledger.strays += event.amount_base_units
            self._unfounded("cuts", "a cut in the campaign's terms", where, event)
            return
        before = ledger.cuts_paid[position]
        ledger.cuts_paid[position] += event.amount_base_units
        if own is None:
            self._unfounded("cuts", "an active statement that the log gives", where, event)
            return
        cut = ledger.terms.cuts[position]
        released = released_base_units(own.statement.lines_total_base_units, holdback)
        total = cut_amount_base_units(released, cut)
        compare = self._findings.compare
        compare("cuts", "amount", where, total - before, event.amount_base_units)
        compare("cuts", "paid total", where, total, event.paid_total_base_units)

    def _refunded(self, event: Refunded, ledger: Ledger, happened: Happened, who: str) -> None:
        where = f"{who}, {happened.where}"
        before = ledger.refunded
        ledger.refunded = before + event.amount_base_units
        self._payout("refunds", ledger.advertiser, event.to, happened, where)
        own = self._own(ledger.newest)
        if ledger.newest is not None and own is None:
            self._unfounded("refunds", "a newest statement that the log gives", where, event)
            return
        lines_total = 0 if own is None else own.statement.lines_total_base_units
        reserved = reserve_base_units(lines_total, ledger.terms.cuts)
        compare = self._findings.compare
        free = ledger.funded - reserved
        compare("refunds", "amount", where, free - before, event.amount_base_units)
        compare("refunds", "refunded total", where, free, event.refunded_total_base_units)
        if happened.timestamp_seconds < ledger.closes_at_seconds:
            expected = "an active final statement, or the end of the grace period"
            found = f"time {happened.timestamp_seconds}"
            self._findings.differs("refunds", "refund too early", where, expected, found)

    def _own(self, statement: Statement | None) -> Recomputed | None:
        if statement is None:
            return None
        return self._recomputed.get((statement.campaign, statement.sequence))

    def _payout(
        self, check: str, member: int, found: Address, happened: Happened, where: str
    ) -> None:
        expected = self._payouts.at(member, happened.timestamp_seconds)
        self._findings.compare(check, "payout address", where, expected, found)

    def _unfounded(
        self, check: str, expected: str, where: str, event: Claimed | CutPaid | Refunded
    ) -> None:
        found = f"{event.amount_base_units} base units paid"
        self._findings.differs(check, "payment without ground", where, expected, found)

    # Balances ----------------------------------------------------------------------------------

    def close_books(self, machine: LogMachine) -> None:
        """No campaign may have paid more than it holds; fills in the campaigns' figures."""
        for campaign, ledger in sorted(self.ledgers.items()):
            if ledger.held < 0:
                where = f"campaign {campaign}"
                found = f"{-ledger.held} base units too much"
                self._findings.differs("balances", "paid out", where, "at most the funding", found)
            newest = ledger.newest
            self._findings.figures.campaigns.append(
                CampaignFigures(
                    campaign=campaign,
                    token=show(ledger.terms.token),
                    statements=len(ledger.statements),
                    is_final=ledger.is_final,
                    funded_base_units=ledger.funded,
                    lines_total_base_units=0 if newest is None else newest.lines_total_base_units,
                    accrued_base_units=machine.accruals.lines_total_base_units(campaign),
                    paid_base_units=sum(ledger.paid.values()),
                    cuts_base_units=ledger.cuts_total,
                    refunded_base_units=ledger.refunded,
                    held_base_units=ledger.held,
                    bond_base_units=ledger.bond,
                )
            )
            self._fill_publishers(campaign, ledger, machine)

    def _fill_publishers(self, campaign: int, ledger: Ledger, machine: LogMachine) -> None:
        lines = {line.publisher: line for line in machine.accruals.lines(campaign)}
        for publisher in sorted(lines.keys() | ledger.paid.keys()):
            line = lines.get(publisher) or Line(publisher, Counts(), 0)
            self._findings.figures.publishers.append(
                PublisherFigures(
                    campaign,
                    publisher,
                    line.counts.impressions,
                    line.counts.viewables,
                    line.counts.clicks,
                    line.counts.conversions,
                    accrued_base_units=line.amount_base_units,
                    paid_base_units=ledger.paid.get(publisher, 0),
                )
            )

    async def check_balances(self, chain: ChainSource, escrow: Address, pinned: BlockStamp) -> None:
        """The escrow holds, of each token, at least what its campaigns still hold.

        More is no discrepancy: anyone can send tokens to a contract.
        """
        owed: dict[Address, int] = {}
        for ledger in self.ledgers.values():
            owed[ledger.terms.token] = owed.get(ledger.terms.token, 0) + ledger.held + ledger.bond
        for token, amount in sorted(owed.items()):
            where = f"token {show(token)} at block {pinned.number}"
            data = _BALANCE_OF + encode(["address"], [escrow])
            answer = await chain.call(token, data, pinned)
            try:
                balance = int(decode(["uint256"], answer)[0])
            except DecodingError:
                self._findings.differs("balances", "balance", where, "a uint256", answer)
                continue
            if balance < amount:
                expected = f"at least {amount}"
                self._findings.differs("balances", "balance", where, expected, balance)
            else:
                self._findings.holds("balances")
            self._findings.figures.tokens.append(
                TokenFigures(show(token), balance, amount, max(0, balance - amount))
            )

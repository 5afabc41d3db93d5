"""One campaign's books as an auditor keeps them, from the chain's events alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from adtally.audit.chain_events import CutPaid, StatementSubmitted
from adtally.settlement.rates import cut_amount_base_units
from adtally.types import Statement, Terms


@dataclass(slots=True)
class Ledger:
    """What was paid in and out, in base units, and the statements that justify it."""

    advertiser: int
    terms: Terms
    flight_end_seconds: int
    funded: int = 0
    refunded: int = 0
    paid: dict[int, int] = field(default_factory=dict)
    cuts_paid: list[int] = field(default_factory=list)
    """Per cut of the terms, by position: a member may have several."""
    strays: int = 0
    """Paid as cuts that the terms don't have."""
    statements: list[StatementSubmitted] = field(default_factory=list)

    @property
    def held(self) -> int:
        """What the escrow must still hold for the campaign."""
        return self.funded - sum(self.paid.values()) - self.cuts_total - self.refunded

    @property
    def cuts_total(self) -> int:
        """Everything paid as cuts."""
        return sum(self.cuts_paid) + self.strays

    @property
    def newest(self) -> Statement | None:
        """The newest statement, active or not."""
        return self.statements[-1].statement if self.statements else None

    def active_at(self, seconds: int) -> Statement | None:
        """The statement that claims are paid by at a time."""
        for each in reversed(self.statements):
            if each.activates_at_seconds <= seconds:
                return each.statement
        return None

    def position_of_cut(self, event: CutPaid, lines_total: int) -> int | None:
        """Which of the terms' cuts was paid: the event names only the member.

        Of several cuts of one member it is the one whose books the event continues.
        """
        own = [at for at, cut in enumerate(self.terms.cuts) if cut.member == event.member]
        before = event.paid_total_base_units - event.amount_base_units
        continued = [at for at in own if self.cuts_paid[at] == before]
        for at in continued:
            due = cut_amount_base_units(lines_total, self.terms.cuts[at])
            if due == event.paid_total_base_units:
                return at
        return next(iter(continued or own), None)

    def refund_is_open(self, seconds: int) -> bool:
        """Whether the advertiser may take what is not reserved."""
        active = self.active_at(seconds)
        if active is not None and active.is_final:
            return True
        terms = self.terms
        opens_at = self.flight_end_seconds + terms.late_window_seconds + terms.grace_seconds
        return seconds >= opens_at

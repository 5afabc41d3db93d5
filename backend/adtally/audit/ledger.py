"""One campaign's books as an auditor keeps them, from the chain's events alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from adtally.audit.chain_events import CutPaid, ObjectionRaised, StatementSubmitted
from adtally.settlement.rates import cut_amount_base_units
from adtally.types import Statement, Terms


@dataclass(slots=True)
class Objection:
    """An objection whose bond is held; ``is_upheld`` None while it is undecided."""

    sequence: int
    bond: int
    is_upheld: bool | None = None


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
    is_final: bool = False
    """Whether the newest statement is the final one; an objection to it takes that back."""
    objection: Objection | None = None

    @property
    def held(self) -> int:
        """What the escrow must still hold for the campaign, besides an objection's bond."""
        return self.funded - sum(self.paid.values()) - self.cuts_total - self.refunded

    @property
    def bond(self) -> int:
        """What the escrow must hold for an objection."""
        return 0 if self.objection is None else self.objection.bond

    @property
    def cuts_total(self) -> int:
        """Everything paid as cuts."""
        return sum(self.cuts_paid) + self.strays

    @property
    def newest(self) -> Statement | None:
        """The newest statement, active or not."""
        return self.statements[-1].statement if self.statements else None

    def state(self, submitted: StatementSubmitted) -> None:
        """Take in the campaign's next statement."""
        self.statements.append(submitted)
        self.is_final = submitted.statement.is_final

    def object_to(self, raised: ObjectionRaised) -> None:
        """Take in an objection to the newest statement."""
        if self.statements:
            self.statements[-1] = replace(
                self.statements[-1], activates_at_seconds=raised.activates_at_seconds
            )
        self.is_final = False
        self.objection = Objection(raised.sequence, raised.bond_base_units)

    def active_at(self, seconds: int) -> Statement | None:
        """The statement that claims are paid by at a time."""
        for each in reversed(self.statements):
            if each.activates_at_seconds <= seconds:
                return each.statement
        return None

    def position_of_cut(self, event: CutPaid, released_total: int) -> int | None:
        """Which of the terms' cuts was paid: the event names only the member.

        Of several cuts of one member it is the one whose books the event continues.
        """
        own = [at for at, cut in enumerate(self.terms.cuts) if cut.member == event.member]
        before = event.paid_total_base_units - event.amount_base_units
        continued = [at for at in own if self.cuts_paid[at] == before]
        for at in continued:
            due = cut_amount_base_units(released_total, self.terms.cuts[at])
            if due == event.paid_total_base_units:
                return at
        return next(iter(continued or own), None)

    @property
    def closes_at_seconds(self) -> int:
        """When refund opens and holdback ends, as things stand after the events taken in."""
        terms = self.terms
        grace_over = (
            self.flight_end_seconds
            + terms.late_window_seconds
            + terms.correction_window_seconds
            + terms.grace_seconds
        )
        if not self.is_final:
            return grace_over
        return min(grace_over, self.statements[-1].activates_at_seconds)

    def holdback_at(self, seconds: int) -> int:
        """Basis points of lines and cuts that are kept back at a time."""
        return 0 if seconds >= self.closes_at_seconds else self.terms.holdback_basis_points

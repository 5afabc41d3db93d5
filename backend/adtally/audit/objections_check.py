"""Objections: what they cost, what they move, who decides them, and where the bond goes."""

from __future__ import annotations

from adtally.audit.chain_events import (
    ObjectionBondReleased,
    ObjectionDecided,
    ObjectionRaised,
    StatementSubmitted,
)
from adtally.audit.history import Happened
from adtally.audit.ledger import Ledger
from adtally.audit.payouts import Payouts
from adtally.audit.report import Findings
from adtally.types import Address

BURN: Address = bytes.fromhex("000000000000000000000000000000000000dead")
"""Where rejected bonds go."""


class ObjectionCheck:
    """Checks the events about objections and books them in the campaign's ledger."""

    def __init__(self, payouts: Payouts, findings: Findings) -> None:
        self._payouts = payouts
        self._findings = findings

    def take(
        self,
        event: ObjectionRaised | ObjectionDecided | ObjectionBondReleased,
        ledger: Ledger,
        happened: Happened,
    ) -> None:
        """Take in an event about an objection."""
        where = f"campaign {event.campaign}, {happened.where}"
        match event:
            case ObjectionRaised():
                self._raised(event, ledger, where, happened.timestamp_seconds)
            case ObjectionDecided():
                self._decided(event, ledger, where)
            case ObjectionBondReleased():
                self._released(event, ledger, where, happened.timestamp_seconds)

    def stated(self, submitted: StatementSubmitted, ledger: Ledger, where: str) -> None:
        """A statement, before it is booked: it decides an open objection to the one before."""
        before, objection = ledger.newest, ledger.objection
        if before is None or objection is None or objection.sequence != before.sequence:
            return
        is_upheld = submitted.statement.corrections > before.corrections
        self._findings.compare(
            "objections", "objection upheld", where, is_upheld, objection.is_upheld
        )

    def _raised(self, event: ObjectionRaised, ledger: Ledger, where: str, at_seconds: int) -> None:
        compare = self._findings.compare
        if ledger.objection is not None:
            expected = "no objection while a bond is held"
            self._findings.differs("objections", "objection", where, expected, "another")
        newest = ledger.statements[-1] if ledger.statements else None
        sequence = 0 if newest is None else newest.statement.sequence
        compare("objections", "objected statement", where, sequence, event.sequence)
        bond = ledger.terms.objection_bond_base_units
        compare("objections", "bond", where, bond, event.bond_base_units)
        if newest is not None:
            if at_seconds >= newest.activates_at_seconds:
                expected = f"before the activation at {newest.activates_at_seconds}"
                self._findings.differs("objections", "time", where, expected, at_seconds)
            moved = newest.activates_at_seconds + ledger.terms.dispute_window_seconds
            compare("objections", "activation time", where, moved, event.activates_at_seconds)
        ledger.object_to(event)

    def _decided(self, event: ObjectionDecided, ledger: Ledger, where: str) -> None:
        objection = ledger.objection
        open_sequence = 0
        if objection is not None and objection.is_upheld is None:
            open_sequence = objection.sequence
            # Whether rightly so shows when the statement that decides it follows.
            objection.is_upheld = event.is_upheld
        self._findings.compare(
            "objections", "decided objection", where, open_sequence, event.sequence
        )

    def _released(
        self, event: ObjectionBondReleased, ledger: Ledger, where: str, at_seconds: int
    ) -> None:
        objection, compare = ledger.objection, self._findings.compare
        compare("objections", "released bond", where, ledger.bond, event.amount_base_units)
        ledger.objection = None
        if objection is None:
            return
        if objection.is_upheld is None and at_seconds < ledger.closes_at_seconds:
            expected = "a decision, or the campaign's close"
            self._findings.differs("objections", "bond released too early", where, expected, "none")
        payee = self._payouts.at(ledger.advertiser, at_seconds)
        expected_payee = BURN if objection.is_upheld is False else payee
        compare("objections", "payee of the bond", where, expected_payee, event.to)

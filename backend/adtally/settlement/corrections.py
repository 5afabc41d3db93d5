"""What corrections may change: the rules for entries that take back or make good.

The log's leaf hashes are all that is needed of what was logged before: a correction repeats the
record it is about, and its hash must be the one at the index it names. What is kept here grows
with the number of corrections, not with the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adtally.errors import VerificationFailed
from adtally.events.correction import Correction
from adtally.events.record import AdEvent, clear_verdict
from adtally.events.verdict import Verdict
from adtally.rfc9162 import leaf_hash
from adtally.settlement.engine import Engine
from adtally.types import Hash
from adtally.verification.event_index import EventKey, event_key
from adtally.verification.fact_state import CampaignFacts, FactState, OrderFacts

NEVER_MADE_GOOD = frozenset({Verdict.DUPLICATE, Verdict.CONFLICT})
"""The id names another record; counting this one too would count one event twice."""

_ID_NOT_TAKEN = frozenset({Verdict.SENDER_NOT_ALLOWED, Verdict.TOO_OLD, Verdict.IN_THE_FUTURE})
"""Given before the rule about ids: the same event may have been logged again and counted."""


class Leaves(Protocol):
    """Leaf hashes of the log so far; ``adtally.log.merkle.MerkleTree`` is one."""

    @property
    def size(self) -> int:
        """Number of leaves."""

    def leaf(self, index: int) -> Hash:
        """Hash of the leaf at ``index``, which is below ``size``."""


class Corrections:
    """Checks corrections and books them; keeps which records were corrected, and by what."""

    def __init__(self, facts: FactState, engine: Engine) -> None:
        self._facts = facts
        self._engine = engine
        self._of_record: dict[int, list[int]] = {}
        self._of_campaign: dict[int, list[int]] = {}
        self._made_good: set[EventKey] = set()

    def of_record(self, index: int) -> Sequence[int]:
        """Leaf indexes of the corrections of the record at ``index``, oldest first."""
        return self._of_record.get(index, ())

    def of_campaign(self, campaign: int) -> Sequence[int]:
        """Leaf indexes of the campaign's corrections, oldest first."""
        return self._of_campaign.get(campaign, ())

    def counts(self, index: int, verdict: Verdict) -> bool:
        """Whether the record at ``index``, which was given ``verdict``, counts now."""
        # Every correction is the opposite of what stood before it.
        is_flipped = len(self.of_record(index)) % 2 == 1
        return (verdict is Verdict.ACCEPTED) != is_flipped

    def apply(self, correction: Correction, at: int, leaves: Leaves | None) -> None:
        """Take in a correction that stands (or is about to) at leaf index ``at``.

        Raises:
            VerificationFailed: it can't stand here; nothing changed.
            InvalidInput: its record does not parse.
        """
        _require_logged(correction, at, leaves)
        event = correction.event
        campaign, order = self._require_order(event)
        _require_in_time(correction, campaign)
        counts = self.counts(correction.index, event.verdict)
        if counts != (correction.change < 0):
            raise _refused(
                "the correction stands already",
                "change",
                "1 for an event that does not count" if not counts else "-1 for one that counts",
                str(correction.change),
                "look up what was corrected: GET /v1/corrections",
            )
        if correction.change < 0:
            self._require_within_holdback(event, campaign, order)
            self._engine.accruals.take_back(campaign, order, event)
        else:
            self._require_payable(correction, event, campaign, order)
            self._engine.accruals.charge(campaign, order, event)
            if event.verdict in _ID_NOT_TAKEN:
                self._engine.take(event, clear_verdict(correction.record))
        self._engine.accruals.count_correction(campaign.id)
        self.note(correction, at)

    def note(self, correction: Correction, at: int) -> None:
        """Keep a correction that was taken in; what is booked and judged by knows it already."""
        event = correction.event
        self._of_record.setdefault(correction.index, []).append(at)
        self._of_campaign.setdefault(event.campaign, []).append(at)
        if correction.change > 0 and event.verdict in _ID_NOT_TAKEN:
            self._made_good.add(event_key(event))

    def _require_order(self, event: AdEvent) -> tuple[CampaignFacts, OrderFacts]:
        campaign = self._facts.campaigns.get(event.campaign)
        order = None if campaign is None else campaign.orders.get(event.publisher)
        if campaign is None or order is None:
            raise _refused(
                "the record has no price",
                "record",
                "a campaign with an accepted order of the publisher",
                f"campaign {event.campaign}, publisher {event.publisher}",
                "only what an order pays for can be corrected",
            )
        return campaign, order

    def _require_within_holdback(
        self, event: AdEvent, campaign: CampaignFacts, order: OrderFacts
    ) -> None:
        lowest, after = self._engine.accruals.after_taking_back(campaign, order, event)
        if after < lowest:
            raise _refused(
                "the line would fall below what may be paid of it already",
                "change",
                f"at least {lowest} base units left, the line's highest amount less its holdback",
                f"{after}",
                "no correction takes back more than the holdback of the campaign's terms",
            )

    def _require_payable(
        self, correction: Correction, event: AdEvent, campaign: CampaignFacts, order: OrderFacts
    ) -> None:
        if event.verdict in NEVER_MADE_GOOD:
            raise _refused(
                "a repeated event can't be made good",
                "record",
                "any other verdict",
                event.verdict.label,
                "correct the record that has taken the id",
            )
        is_first = not self.of_record(correction.index)
        is_taken = self._engine.knows(event) or event_key(event) in self._made_good
        if is_first and event.verdict in _ID_NOT_TAKEN and is_taken:
            raise _refused(
                "the same event was logged again",
                "record",
                "an id that no other record has taken",
                f"type {event.type.label}, id {event.id.hex()}",
                "correct the record that has taken the id",
            )
        refusal = self._engine.accruals.refusal(campaign, order, event)
        if refusal is not None:
            raise _refused(
                "what would be made good can't be paid",
                "change",
                "an amount within the order's cap and the campaign's funding",
                refusal.label,
                "fund the campaign, or agree on another order",
            )


def _require_logged(correction: Correction, at: int, leaves: Leaves | None) -> None:
    known = 0 if leaves is None else min(leaves.size, at)
    if leaves is None or correction.index >= known:
        raise _refused(
            "there is no such entry before the correction",
            "index",
            f"less than {known}",
            str(correction.index),
            "name the leaf index of a record in the log",
        )
    found = leaf_hash(correction.record)
    if leaves.leaf(correction.index) != found:
        raise _refused(
            "the record is not the entry at its index",
            "record",
            f"leaf hash {leaves.leaf(correction.index).hex()} at index {correction.index}",
            found.hex(),
            "repeat the entry's bytes as they stand in the log, verdict included",
        )


def _require_in_time(correction: Correction, campaign: CampaignFacts) -> None:
    end_ms = campaign.final_from_seconds * 1000
    if correction.recorded_at_ms >= end_ms:
        raise _refused(
            "the campaign's correction window is over",
            "recorded_at_ms",
            f"before {end_ms}",
            str(correction.recorded_at_ms),
            "what is owed is final now; settle what remains outside",
        )


def _refused(
    message: str, field: str, expected: str, found: str, action: str
) -> VerificationFailed:
    return VerificationFailed(message, field=field, expected=expected, found=found, action=action)

"""What publishers send: signed batches, the same ones for the same seed."""

from __future__ import annotations

import random
from dataclasses import replace

from adtally.events.batch import SignedBatch, sign_batch
from adtally.events.record import AdEvent, EventType, new_event_id

from .world import CAMPAIGN, CHAIN_ID, CREATIVE, LOG_DOMAIN, NOW_MS, PLACEMENT, key_of

_REMEMBERED = 200


class Publisher:
    """One publisher's events and batches.

    Besides fresh impressions there are clicks on them, events sent again (verdict ``duplicate``),
    other events under a used id (``conflict``) and unknown placements, so that a lost or doubled
    event shows in other verdicts too.
    """

    def __init__(self, member: int, seed: int = 0) -> None:
        self.member = member
        self.sequence = 0
        self._chance = random.Random(f"{member} {seed}")
        self._sent: list[AdEvent] = []

    def batch(self, count: int) -> SignedBatch:
        """The next batch, of ``count`` events."""
        return self.signed([self._event() for _ in range(count)])

    def signed(self, events: list[AdEvent]) -> SignedBatch:
        """Events as the publisher's next batch."""
        self.sequence += 1
        return sign_events(self.member, self.sequence, events)

    def impression(self) -> AdEvent:
        """A fresh, honest impression."""
        at_ms = NOW_MS - self._chance.randrange(60_000)
        return AdEvent(
            type=EventType.IMPRESSION,
            campaign=CAMPAIGN,
            publisher=self.member,
            placement=PLACEMENT,
            creative=CREATIVE,
            id=new_event_id(at_ms, self._chance.randbytes(10)),
            occurred_at_ms=at_ms,
            subject=self._chance.randbytes(16),
            context=self._chance.randbytes(20),
        )

    def _event(self) -> AdEvent:
        event = self.impression()
        share = self._chance.random()
        if self._sent and share < 0.3:
            earlier = self._chance.choice(self._sent)
            if share < 0.1:
                event = earlier
            elif share < 0.2:
                event = replace(earlier, subject=event.subject)
            elif earlier.type is EventType.IMPRESSION:
                event = replace(event, type=EventType.CLICK, parent_id=earlier.id)
        elif share > 0.95:
            event = replace(event, placement=PLACEMENT + 1)
        self._sent = [*self._sent[-_REMEMBERED:], event]
        return event


def sign_events(member: int, sequence: int, events: list[AdEvent]) -> SignedBatch:
    """Events under a member's signature and a sequence."""
    records = [event.to_record() for event in events]
    return sign_batch(LOG_DOMAIN, CHAIN_ID, key_of(member), member, sequence, records)

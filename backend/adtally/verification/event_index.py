"""What earlier entries leave behind for later verdicts: ids seen, and parents that count.

Both tables are cut into minutes of occurred-at, so that what the age rules make unreachable is
dropped whole. Dropping can't be observed: below the floors of ``age_floors`` nothing is looked up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from adtally.events.record import AdEvent, EventType
from adtally.verification.age_floors import AgeFloors
from adtally.verification.rule_set import RuleSet

MINUTE_MS = 60_000

EventKey = tuple[int, EventType, bytes]
"""Publisher (member id), event type and event id."""


@dataclass(slots=True)
class Parent:
    """An accepted impression or click, and which types of child already count for it."""

    campaign: int
    occurred_at_ms: int
    used_by: set[EventType] = field(default_factory=set)


def event_id_time_ms(event_id: bytes) -> int:
    """The time inside an event id."""
    return int.from_bytes(event_id[:6], "big")


def event_key(event: AdEvent) -> EventKey:
    """What names the event."""
    return event.publisher, event.type, event.id


def body_digest(unset_record: bytes) -> bytes:
    """What tells a duplicate from a conflict: a 16-byte digest of the record without verdict."""
    return hashlib.sha256(unset_record).digest()[:16]


class EventIndex:
    """Ids and parents, by publisher and type."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[EventKey, bytes]] = {}
        self._parents: dict[int, dict[EventKey, Parent]] = {}
        self._pruned_to = (-1, -1)
        self.floors = AgeFloors()

    def first_body(self, event: AdEvent) -> bytes | None:
        """Digest of the first record with the event's id, None if there is none in the window."""
        minute = event.occurred_at_ms // MINUTE_MS
        return self._seen.get(minute, {}).get(event_key(event))

    def remember(self, event: AdEvent, digest: bytes) -> None:
        """Take the event's id."""
        minute = event.occurred_at_ms // MINUTE_MS
        self._seen.setdefault(minute, {})[event_key(event)] = digest

    def knows(self, event: AdEvent) -> bool:
        """Whether the event's id is taken, as far as ids are remembered."""
        return (
            event.occurred_at_ms >= self.floors.oldest_event_ms
            and self.first_body(event) is not None
        )

    def take(self, event: AdEvent, unset_record: bytes) -> None:
        """Take the id of an event that a correction has made good, unless it is forgotten."""
        if event.occurred_at_ms >= self.floors.oldest_event_ms:
            self.remember(event, body_digest(unset_record))

    def parent(self, publisher: int, kind: EventType, event_id: bytes) -> Parent | None:
        """The accepted impression or click (``kind`` says which) with this id."""
        occurred_at_ms = event_id_time_ms(event_id)
        if occurred_at_ms < self.floors.oldest_parent_ms(kind):
            return None
        minute = occurred_at_ms // MINUTE_MS
        return self._parents.get(minute, {}).get((publisher, kind, event_id))

    def add_parent(self, event: AdEvent) -> None:
        """Keep an accepted event that others may name as parent; the first of an id stands."""
        minute = event.occurred_at_ms // MINUTE_MS
        self._parents.setdefault(minute, {}).setdefault(
            event_key(event), Parent(event.campaign, event.occurred_at_ms)
        )

    def advance(self, now_ms: int, rules: RuleSet) -> None:
        """Raise the floors to what the rules allow at ``now_ms``, and drop what lies below."""
        self.floors.advance(now_ms, rules)
        floors = self.floors
        oldest_parent_ms = min(floors.oldest_impression_ms, floors.oldest_click_ms)
        minutes = (floors.oldest_event_ms // MINUTE_MS, oldest_parent_ms // MINUTE_MS)
        if minutes != self._pruned_to:
            self._pruned_to = minutes
            _drop_before(self._seen, minutes[0])
            _drop_before(self._parents, minutes[1])


def _drop_before(table: dict[int, dict[EventKey, bytes]] | dict[int, dict[EventKey, Parent]],
                 minute: int) -> None:  # fmt: skip
    for old in [key for key in table if key < minute]:
        del table[old]

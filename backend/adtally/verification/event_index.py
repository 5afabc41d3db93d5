"""What earlier entries leave behind for later verdicts: ids seen, and parents that count.

Both tables are cut into minutes of occurred-at, so that what the age rules make unreachable is
dropped whole. Dropping can't be observed: below the floors of ``age_floors`` nothing is looked up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adtally.events.record import AdEvent, EventType
from adtally.verification.age_floors import AgeFloors
from adtally.verification.rule_set import RuleSet

MINUTE_MS = 60_000

_KEY = [("minute", "<i8"), ("publisher", "<u4"), ("type", "u1"), ("id", "V16")]
_SEEN = np.dtype([*_KEY, ("digest", "V16")])
_PARENTS = np.dtype([*_KEY, ("campaign", "<u4"), ("occurred_at_ms", "<i8"), ("used_by", "<u4")])

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

    def dump(self) -> dict[str, Any]:
        """All that it knows, as NumPy arrays by name."""
        seen = [(m, *k, d) for m, table in self._seen.items() for k, d in table.items()]
        parents = [
            (m, *k, p.campaign, p.occurred_at_ms, sum(1 << used for used in p.used_by))
            for m, table in self._parents.items()
            for k, p in table.items()
        ]
        floors = self.floors
        return {
            "seen": np.array(seen, dtype=_SEEN),
            "parents": np.array(parents, dtype=_PARENTS),
            "pruned_to": np.array(self._pruned_to, dtype=np.int64),
            "floors": np.array(
                (floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms),
                dtype=np.int64,
            ),
        }

    def load(self, dump: Mapping[str, Any]) -> None:
        """Know what ``dump`` gave."""
        for minute, publisher, kind, event_id, digest in dump["seen"].tolist():
            key = (publisher, EventType(kind), event_id)
            self._seen.setdefault(minute, {})[key] = digest
        for minute, publisher, kind, event_id, campaign, at_ms, used in dump["parents"].tolist():
            used_by = {each for each in EventType if used >> each & 1}
            table = self._parents.setdefault(minute, {})
            table[publisher, EventType(kind), event_id] = Parent(campaign, at_ms, used_by)
        first, second = dump["pruned_to"].tolist()
        self._pruned_to = (first, second)
        floors = self.floors
        floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms = dump[
            "floors"
        ].tolist()


def _drop_before(table: dict[int, dict[EventKey, bytes]] | dict[int, dict[EventKey, Parent]],
                 minute: int) -> None:  # fmt: skip
    for old in [key for key in table if key < minute]:
        del table[old]

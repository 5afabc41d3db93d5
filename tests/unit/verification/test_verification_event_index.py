"""What the reference remembers, and when it forgets."""

from __future__ import annotations

from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.verification.event_index import EventIndex
from adtally.verification.rule_set import RuleSet

NOW_MS = 1_700_000_000_000
AGE_MS = 20_000
RULES = RuleSet(
    max_event_age_ms=AGE_MS,
    max_clock_skew_ms=0,
    viewable_window_ms=AGE_MS,
    click_window_ms=AGE_MS,
    conversion_window_ms=AGE_MS,
)


def impression(at_ms: int) -> AdEvent:
    event_id = new_event_id(at_ms, bytes(10))
    return AdEvent(EventType.IMPRESSION, 1, 1, 1, 1, id=event_id, occurred_at_ms=at_ms)


def test_event_index__short_ages__what_is_kept_follows_the_age_and_not_the_hour() -> None:
    index, kept = EventIndex(), []
    for second in range(600):
        now_ms = NOW_MS + 1_000 * second
        index.advance(now_ms, RULES)
        event = impression(now_ms)
        index.remember(event, bytes(16))
        index.add_parent(event)
        kept.append((sum(map(len, index._seen.values())), sum(map(len, index._parents.values()))))
        within = impression(now_ms - min(second * 1_000, AGE_MS))
        assert index.first_body(within) == bytes(16)
        assert index.parent(1, EventType.IMPRESSION, within.id) is not None
    # An event each second: those of its age, and up to a minute more.
    assert max(seen for seen, _ in kept) <= 20 + 60 + 1
    assert max(parents for _, parents in kept) <= 40 + 60 + 1

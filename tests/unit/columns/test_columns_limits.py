"""At every limit, one millisecond to either side: the columnar engine judges as the reference."""

from __future__ import annotations

from random import Random

import pytest

from adtally.columns.engine import ColumnEngine
from adtally.events.facts import RulesFacts
from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.verification.rule_set import RuleSet
from support.random_traffic import MINUTE_MS, Twins
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    FLIGHT_END,
    FLIGHT_START,
    LATE_WINDOW,
    World,
)

NOW_MS = (FLIGHT_START + 40_000) * 1000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@pytest.fixture
def twins() -> Twins:
    made = Twins(World(), Random(1), ColumnEngine)
    made.now_ms = NOW_MS
    return made


def verdicts(twins: Twins, events: list[AdEvent], member: int = ALICE) -> list[Verdict]:
    """Both engines give them; they are in the log afterwards."""
    before = len(twins.entries)
    twins.send(events, member)
    return [Verdict(entry[3]) for entry in twins.entries[before + 1 :]]


def around(twins: Twins, limit_ms: int, **fields: object) -> list[AdEvent]:
    times = (limit_ms - 1, limit_ms, limit_ms + 1)
    return [twins.world.event(occurred_at_ms=at, **fields) for at in times]


def children(twins: Twins, kind: EventType, parents: list[AdEvent], at_ms: int) -> list[AdEvent]:
    return [
        twins.world.event(kind, occurred_at_ms=at_ms, parent_id=parent.id) for parent in parents
    ]


def test_limits__oldest_event__is_not_too_old(twins: Twins) -> None:
    rules = RuleSet(max_event_age_ms=HOUR_MS)
    twins.enter(RulesFacts(twins.now_ms, rules.to_json()))
    found = verdicts(twins, around(twins, NOW_MS - HOUR_MS))
    assert found == [Verdict.TOO_OLD, Verdict.ACCEPTED, Verdict.ACCEPTED]


def test_limits__clock_ahead_by_the_skew__is_not_in_the_future(twins: Twins) -> None:
    found = verdicts(twins, around(twins, NOW_MS + MINUTE_MS))
    assert found == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.IN_THE_FUTURE]


def test_limits__flight__holds_its_first_millisecond_and_not_its_last(twins: Twins) -> None:
    twins.now_ms = FLIGHT_START * 1000 + 5
    found = verdicts(twins, around(twins, FLIGHT_START * 1000))
    assert found == [Verdict.FLIGHT_NOT_STARTED, Verdict.ACCEPTED, Verdict.ACCEPTED]
    twins.now_ms = FLIGHT_END * 1000 + 5
    found = verdicts(twins, around(twins, FLIGHT_END * 1000))
    assert found == [Verdict.ACCEPTED, Verdict.FLIGHT_OVER, Verdict.FLIGHT_OVER]


def test_limits__end_of_late_window__is_too_late_for_events_and_conversions(twins: Twins) -> None:
    end_ms = (FLIGHT_END + LATE_WINDOW) * 1000
    clicks = [click_of(twins, FLIGHT_END * 1000 - 9) for _ in range(2)]
    twins.now_ms = end_ms - 1
    events = [
        twins.world.event(occurred_at_ms=FLIGHT_END * 1000 - 1),
        *children(twins, EventType.CONVERSION, clicks[:1], end_ms - 1),
        *children(twins, EventType.CONVERSION, clicks[1:], end_ms),
    ]
    expected = [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.FLIGHT_OVER]
    assert verdicts(twins, events) == expected
    twins.now_ms = end_ms
    late = twins.world.event(occurred_at_ms=FLIGHT_END * 1000 - 2)
    assert verdicts(twins, [late]) == [Verdict.FLIGHT_OVER]


def click_of(twins: Twins, at_ms: int) -> AdEvent:
    """An accepted click."""
    twins.now_ms = max(twins.now_ms, at_ms)
    shown = twins.world.event(occurred_at_ms=at_ms)
    (click,) = children(twins, EventType.CLICK, [shown], at_ms)
    assert verdicts(twins, [shown, click]) == [Verdict.ACCEPTED] * 2
    return click


def test_limits__order_end__takes_no_event_from_then_on(twins: Twins) -> None:
    twins.chain(("OrderEnded", [CAMPAIGN, ALICE], [NOW_MS // 1000 - 5]))
    found = verdicts(twins, around(twins, NOW_MS - 5_000))
    assert found == [Verdict.ACCEPTED, Verdict.ORDER_ENDED, Verdict.ORDER_ENDED]


@pytest.mark.parametrize("kind", [EventType.VIEWABLE, EventType.CLICK])
def test_limits__window_of_a_parent__holds_its_last_millisecond(
    twins: Twins, kind: EventType
) -> None:
    twins.enter(RulesFacts(NOW_MS, RuleSet(click_window_ms=HOUR_MS).to_json()))
    parents = around(twins, NOW_MS - HOUR_MS)
    assert verdicts(twins, parents) == [Verdict.ACCEPTED] * 3
    found = verdicts(twins, children(twins, kind, parents, NOW_MS))
    assert found == [Verdict.UNKNOWN_PARENT, Verdict.ACCEPTED, Verdict.ACCEPTED]


def test_limits__conversion_window__is_its_own(twins: Twins) -> None:
    clicks = [click_of(twins, at) for at in range(NOW_MS, NOW_MS + 3)]
    rules = RuleSet(conversion_window_ms=HOUR_MS)
    twins.now_ms = NOW_MS + HOUR_MS + 1
    twins.enter(RulesFacts(twins.now_ms, rules.to_json()))
    found = verdicts(twins, children(twins, EventType.CONVERSION, clicks, twins.now_ms))
    assert found == [Verdict.UNKNOWN_PARENT, Verdict.ACCEPTED, Verdict.ACCEPTED]


def test_limits__parent_after_its_child__is_known_up_to_the_skew(twins: Twins) -> None:
    parents = around(twins, NOW_MS + MINUTE_MS - 5)
    assert verdicts(twins, parents) == [Verdict.ACCEPTED] * 3
    found = verdicts(twins, children(twins, EventType.CLICK, parents, NOW_MS - 5))
    assert found == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.UNKNOWN_PARENT]


def test_limits__parent_below_a_floor_of_stricter_rules__stays_unknown(twins: Twins) -> None:
    """Relaxed rules don't bring back what may have been forgotten."""
    start_ms = NOW_MS - 2 * HOUR_MS
    floor_ms = NOW_MS - HOUR_MS - 2 * MINUTE_MS
    twins.now_ms = start_ms
    old = [twins.world.event(occurred_at_ms=start_ms)]
    assert verdicts(twins, old) == [Verdict.ACCEPTED]
    parents = around(twins, floor_ms)
    twins.now_ms = floor_ms + 5
    assert verdicts(twins, parents) == [Verdict.ACCEPTED] * 3
    twins.now_ms = NOW_MS
    strict = RuleSet(
        max_event_age_ms=MINUTE_MS, click_window_ms=HOUR_MS, viewable_window_ms=HOUR_MS
    )
    twins.enter(RulesFacts(NOW_MS, strict.to_json()))
    assert verdicts(twins, [twins.world.event(occurred_at_ms=NOW_MS)]) == [Verdict.ACCEPTED]
    twins.enter(RulesFacts(NOW_MS, RuleSet().to_json()))
    found = verdicts(twins, children(twins, EventType.CLICK, [*old, *parents], NOW_MS))
    unknown = Verdict.UNKNOWN_PARENT
    assert found == [unknown, unknown, Verdict.ACCEPTED, Verdict.ACCEPTED]


def test_limits__child_before_its_parent_in_one_batch__finds_none(twins: Twins) -> None:
    shown = twins.world.event(occurred_at_ms=NOW_MS)
    early, late = (
        twins.world.event(EventType.CLICK, occurred_at_ms=NOW_MS, parent_id=shown.id)
        for _ in range(2)
    )
    expected = [Verdict.UNKNOWN_PARENT, Verdict.ACCEPTED, Verdict.ACCEPTED]
    assert verdicts(twins, [early, shown, late]) == expected


def test_limits__parent_of_another_publisher__is_unknown(twins: Twins) -> None:
    shown = twins.world.event(occurred_at_ms=NOW_MS)
    foreign = twins.world.event(
        EventType.CLICK, occurred_at_ms=NOW_MS, parent_id=shown.id, publisher=BOB
    )
    assert verdicts(twins, [shown]) == [Verdict.ACCEPTED]
    assert verdicts(twins, [foreign], BOB) == [Verdict.UNKNOWN_PARENT]


def test_limits__placement_allowed_to_others__is_not(twins: Twins) -> None:
    event = twins.world.event(occurred_at_ms=NOW_MS, placement=8)
    assert verdicts(twins, [event]) == [Verdict.PLACEMENT_NOT_ALLOWED]
    conversion = twins.world.event(
        EventType.CONVERSION, occurred_at_ms=NOW_MS, parent_id=event.id, campaign=99
    )
    assert verdicts(twins, [conversion], ADVERTISER) == [Verdict.SENDER_NOT_ALLOWED]

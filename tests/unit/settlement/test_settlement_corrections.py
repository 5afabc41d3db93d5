"""Every rule for corrections: one that it lets pass and one that it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adtally.errors import VerificationFailed
from adtally.events.correction import Correction
from adtally.events.facts import ChainFacts, TimeFacts
from adtally.events.record import AdEvent, EventType, UserAgentClass
from adtally.events.verdict import Verdict
from adtally.settlement.rates import lowest_line_base_units, released_base_units
from adtally.types import Counts, Cut, Rates
from adtally.verification.rule_set import RuleSet
from support.correctable_log import CorrectableLog
from support.world import (
    AGENCY,
    ALICE,
    BOB,
    CAMPAIGN,
    FINAL_FROM,
    NOON_MS,
    OPERATOR,
    World,
)

HOUR_MS = 3_600_000
IMPRESSION = 2_000


def log_of(**changes: Any) -> CorrectableLog:
    """A campaign with a holdback of a quarter."""
    return CorrectableLog(World(**({"holdback": 2_500} | changes)))


def impressions(log: CorrectableLog, count: int, **changes: Any) -> list[int]:
    return log.send(*(log.world.event(**changes) for _ in range(count)))


def refuse(log: CorrectableLog, correction: Correction, field: str) -> VerificationFailed:
    """Refused, with everything said, and nothing has changed."""

    def state() -> object:
        machine = log.machine
        return (
            machine.size,
            machine.last_received_at_ms,
            machine.accruals.lines(CAMPAIGN),
            machine.accruals.corrections(CAMPAIGN),
            list(machine.corrections.of_campaign(CAMPAIGN)),
            list(machine.corrections.of_record(correction.index)),
        )

    before = state()
    with pytest.raises(VerificationFailed) as caught:
        log.machine.apply_facts(correction)
    assert caught.value.field == field
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.action
    assert state() == before
    return caught.value


def test_correction__taken_back__lowers_the_line_and_is_counted() -> None:
    log = log_of()
    indexes = impressions(log, 4)
    at = log.correct(indexes[1], -1)
    (line,) = log.machine.accruals.lines(CAMPAIGN)
    assert (line.counts, line.amount_base_units) == (Counts(impressions=3), 3 * IMPRESSION)
    statement, _ = log.machine.statement(CAMPAIGN, 1, is_final=False)
    assert (statement.corrections, statement.lines_total_base_units) == (1, 3 * IMPRESSION)
    assert statement.counts == Counts(impressions=3)
    assert log.machine.corrections.of_record(indexes[1]) == [at]
    assert log.machine.corrections.of_campaign(CAMPAIGN) == [at]
    assert log.replayed().accruals.lines(CAMPAIGN) == [line]


def test_correction__followed_by_its_opposite__and_again_but_never_twice() -> None:
    log = log_of()
    index, *_ = impressions(log, 4)
    assert "-1" in str(refuse(log, log.correction(index, 1), "change").expected)
    log.correct(index, -1)
    refuse(log, log.correction(index, -1), "change")
    log.correct(index, 1)
    refuse(log, log.correction(index, 1), "change")
    log.correct(index, -1)
    assert log.total == 3 * IMPRESSION
    assert log.machine.accruals.corrections(CAMPAIGN) == 3
    assert log.replayed().accruals.corrections(CAMPAIGN) == 3


def test_correction__record_is_not_the_entry__refused() -> None:
    log = log_of()
    first, second = impressions(log, 2)
    other_verdict = AdEvent.from_record(log.entries[first]).with_verdict(Verdict.TOO_OLD)
    refuse(log, log.correction(first, -1, record=log.entries[second]), "record")
    refuse(log, log.correction(first, 1, record=other_verdict.to_record()), "record")
    envelope = Correction(
        NOON_MS, first - 1, -1, log.correction(first, -1).reason, log.entries[first], ""
    )
    refuse(log, envelope, "record")


def test_correction__index_not_before_it__refused() -> None:
    log = log_of()
    (index,) = impressions(log, 1)
    good = log.correction(index, -1)
    for beyond in (log.machine.size, log.machine.size + 1, 2**64 - 1):
        refuse(log, replace(good, index=beyond), "index")


def test_correction__without_leaves__refused() -> None:
    log = log_of()
    (index,) = impressions(log, 1)
    log.machine.leaves = None
    refuse(log, log.correction(index, -1), "index")


def test_correction__no_order_or_no_campaign__refused() -> None:
    log = log_of()
    collector = log.send(log.world.event(campaign=99), log.world.event(publisher=AGENCY))
    assert log.verdict(collector[0]) is Verdict.UNKNOWN_CAMPAIGN
    for index in collector:
        refuse(log, log.correction(index, 1), "record")


def test_correction__window__is_half_open() -> None:
    log = log_of()
    first, second, *_ = impressions(log, 9)
    end_ms = FINAL_FROM * 1000
    log.correct(first, -1, recorded_at_ms=end_ms - 1)
    assert not log.machine.may_be_final(CAMPAIGN)
    refuse(log, log.correction(second, -1, recorded_at_ms=end_ms), "recorded_at_ms")
    log.enter(TimeFacts(end_ms))
    assert log.machine.may_be_final(CAMPAIGN)
    refuse(log, log.correction(second, -1), "recorded_at_ms")


def test_correction__holdback__is_exactly_what_can_be_taken_back() -> None:
    log = log_of()
    indexes = impressions(log, 8)
    for index in indexes[:2]:
        log.correct(index, -1)
    assert log.line() == 6 * IMPRESSION == lowest_line_base_units(8 * IMPRESSION, 2_500)
    error = refuse(log, log.correction(indexes[2], -1), "change")
    assert str(6 * IMPRESSION) in str(error.expected)
    assert error.found == str(5 * IMPRESSION)
    # What the line reaches later raises its floor; what fell before stays counted against it.
    impressions(log, 6)
    for index in indexes[2:5]:
        log.correct(index, -1)
    assert log.line() == 9 * IMPRESSION == lowest_line_base_units(12 * IMPRESSION, 2_500)
    refuse(log, log.correction(indexes[5], -1), "change")


def test_correction__no_holdback__takes_back_nothing_that_has_a_price() -> None:
    log = log_of(holdback=0, rates=Rates(per_mille_impressions=1_000))
    shown, *_ = impressions(log, 3)
    refuse(log, log.correction(shown, -1), "change")
    event = log.world.event()
    parent, click = log.send(event, log.world.event(EventType.CLICK, parent_id=event.id))
    log.correct(click, -1)
    refuse(log, log.correction(parent, -1), "change")


def test_lowest_line__rounds_up_where_released_rounds_down() -> None:
    for amount in range(50):
        for holdback in (0, 1, 333, 2_500, 5_000, 10_000):
            lowest = lowest_line_base_units(amount, holdback)
            released = released_base_units(amount, holdback)
            exact = amount * (10_000 - holdback)
            assert released * 10_000 <= exact <= lowest * 10_000
            assert lowest - released <= 1


def test_correction__every_refusal_but_repetition__can_be_made_good() -> None:
    log = log_of()
    event = log.world.event()
    bot = log.world.event(user_agent_class=UserAgentClass.KNOWN_BOT)
    misplaced = log.world.event(placement=999)
    orphan = log.world.event(EventType.CLICK, parent_id=bytes(15) + b"\x01")
    first, same, other, *rest = log.send(
        event, event, replace(event, country="FR"), bot, misplaced, orphan
    )
    assert [log.verdict(index) for index in (first, same, other)] == [
        Verdict.ACCEPTED,
        Verdict.DUPLICATE,
        Verdict.CONFLICT,
    ]
    for index in (same, other):
        refuse(log, log.correction(index, 1), "record")
    for index in rest:
        assert log.verdict(index) is not Verdict.ACCEPTED
        log.correct(index, 1)
    assert log.machine.accruals.counts(CAMPAIGN) == Counts(impressions=3, clicks=1)
    assert log.replayed().accruals.lines(CAMPAIGN) == log.machine.accruals.lines(CAMPAIGN)


def test_correction__make_good__within_cap_and_funding() -> None:
    capped = log_of(cap=3 * IMPRESSION)
    *_, refused = impressions(capped, 4)
    assert capped.verdict(refused) is Verdict.ORDER_CAP_REACHED
    assert refuse(capped, capped.correction(refused, 1), "change").found == "order_cap_reached"

    # Three impressions and a cut of 10 %: the fourth does not fit.
    poor = log_of(funding=3 * IMPRESSION + 600, cuts=(Cut(OPERATOR, 1_000),))
    first, *_, refused = impressions(poor, 4)
    assert poor.verdict(refused) is Verdict.BUDGET_EXHAUSTED
    assert refuse(poor, poor.correction(refused, 1), "change").found == "budget_exhausted"
    refuse(poor, poor.correction(first, -1), "change")
    poor.enter(
        ChainFacts(NOON_MS, 41, 41, bytes(32), 0, (World.funded_log(4 * IMPRESSION + 800, 41),))
    )
    poor.correct(refused, 1)
    poor.correct(first, -1)
    assert poor.total == 3 * IMPRESSION


def test_correction__what_was_taken_back__is_reinstated_only_if_it_fits() -> None:
    log = log_of(cap=4 * IMPRESSION)
    first, *_ = impressions(log, 4)
    log.correct(first, -1)
    impressions(log, 1)
    assert log.line() == 4 * IMPRESSION
    assert refuse(log, log.correction(first, 1), "change").found == "order_cap_reached"


def test_correction__sender_without_right__can_be_made_good() -> None:
    log = log_of()
    (index,) = log.send(log.world.event(publisher=BOB), member=ALICE)
    assert log.verdict(index) is Verdict.SENDER_NOT_ALLOWED
    log.correct(index, 1)
    assert log.line(BOB) == IMPRESSION


def test_correction__event_logged_again_after_an_early_refusal__counts_once() -> None:
    log = log_of()
    future = log.world.event(occurred_at_ms=NOON_MS + HOUR_MS)
    (early,) = log.send(future)
    (again,) = log.send(future)
    assert log.verdict(early) is log.verdict(again) is Verdict.IN_THE_FUTURE
    log.correct(early, 1)
    # The id is taken now: by another make-good, and for the rule about ids.
    refuse(log, log.correction(again, 1), "record")
    (repeated,) = log.send(future, at_ms=NOON_MS + HOUR_MS)
    assert log.verdict(repeated) is Verdict.DUPLICATE
    assert log.total == IMPRESSION
    assert log.replayed().accruals.lines(CAMPAIGN) == log.machine.accruals.lines(CAMPAIGN)


def test_correction__event_counted_in_time_later__early_refusal_stays_refused() -> None:
    log = log_of()
    future = log.world.event(occurred_at_ms=NOON_MS + HOUR_MS)
    (early,) = log.send(future)
    (counted,) = log.send(future, at_ms=NOON_MS + HOUR_MS)
    assert log.verdict(counted) is Verdict.ACCEPTED
    refuse(log, log.correction(early, 1), "record")


def test_correction__too_old__made_good_once_for_each_id() -> None:
    log = log_of(rules=RuleSet(max_event_age_ms=HOUR_MS))
    old = log.world.event(occurred_at_ms=NOON_MS - HOUR_MS - 1)
    first, second = log.send(old, old)
    assert log.verdict(first) is log.verdict(second) is Verdict.TOO_OLD
    log.correct(first, 1)
    refuse(log, log.correction(second, 1), "record")
    assert log.total == IMPRESSION


def test_correction__parent_taken_back__children_need_their_own() -> None:
    log = log_of()
    impressions(log, 1_000)
    shown = log.world.event()
    click = log.world.event(EventType.CLICK, parent_id=shown.id)
    parent, child = log.send(shown, click)
    log.correct(parent, -1)
    assert log.machine.accruals.counts(CAMPAIGN).clicks == 1
    (second,) = log.send(log.world.event(EventType.CLICK, parent_id=shown.id))
    assert log.verdict(second) is Verdict.PARENT_ALREADY_USED
    (viewable,) = log.send(log.world.event(EventType.VIEWABLE, parent_id=shown.id))
    assert log.verdict(viewable) is Verdict.ACCEPTED
    log.correct(child, -1)
    assert log.machine.accruals.counts(CAMPAIGN).clicks == 0


def test_correction__all_of_a_line__has_no_line_left() -> None:
    log = log_of(rates=Rates(per_mille_impressions=1))
    (index,) = impressions(log, 1)
    assert len(log.machine.accruals.lines(CAMPAIGN)) == 1
    log.correct(index, -1)
    assert log.machine.accruals.lines(CAMPAIGN) == []
    statement, lines = log.machine.statement(CAMPAIGN, 1, is_final=False)
    assert (statement.lines_root, lines, statement.corrections) == (bytes(32), [], 1)


def test_correction__between_parts_of_facts__refused() -> None:
    log = log_of()
    (index,) = impressions(log, 1)
    log.enter(ChainFacts(NOON_MS, 41, 43, bytes(32), 0, (), part=0, parts=2))
    with pytest.raises(VerificationFailed, match="incomplete"):
        log.machine.apply_facts(log.correction(index, -1))


def test_correction__time_falls__refused() -> None:
    log = log_of()
    (index, *_) = impressions(log, 8)
    with pytest.raises(VerificationFailed, match="received-at"):
        log.machine.apply_facts(log.correction(index, -1, recorded_at_ms=NOON_MS - 1))

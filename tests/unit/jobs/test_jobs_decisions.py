"""When to anchor and when to settle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.jobs.decisions import (
    AnchorPolicy,
    AnchorReason,
    AskedCheckpoint,
    CampaignProgress,
    NewEntries,
    Totals,
    anchor_reason,
    draft_reason,
    goal_count,
    is_last_call,
    may_ask_beyond,
)
from adtally.storage.rows import DraftReason
from adtally.types import Counts, GoalType, Terms

POLICY = AnchorPolicy(every_entries=100, every_seconds=60, margin_seconds=600)
T0 = 1_700_000_000_000


@pytest.mark.parametrize(
    ("count", "waited_seconds", "expected"),
    [
        (0, 10**9, None),
        (1, 0, None),
        (1, 59.999, None),
        (1, 60, AnchorReason.TIME),
        (99, 0, None),
        (100, 0, AnchorReason.ENTRIES),
        (5_000, 59, AnchorReason.ENTRIES),
        (5_000, 3_000, AnchorReason.DEADLINE),
    ],
)
def test_anchor_reason__entries_and_time__are_both_limits(
    count: int, waited_seconds: float, expected: AnchorReason | None
) -> None:
    new = NewEntries(count, T0, promise_seconds=3_600)
    assert anchor_reason(new, POLICY, T0 + int(waited_seconds * 1000)) is expected


@pytest.mark.parametrize(
    ("promise_seconds", "due_after_seconds"), [(3_600, 3_000), (100, 50), (0, 0), (1_201, 601)]
)
def test_anchor_reason__long_interval__a_receipts_deadline_comes_first(
    promise_seconds: int, due_after_seconds: int
) -> None:
    policy = replace(POLICY, every_seconds=10**6)
    new = NewEntries(1, T0, promise_seconds)
    due_at_ms = T0 + due_after_seconds * 1000
    assert anchor_reason(new, policy, due_at_ms) is AnchorReason.DEADLINE
    assert anchor_reason(new, policy, due_at_ms - 1) is None


@pytest.mark.parametrize(("waited_seconds", "expected"), [(0, False), (59, False), (60, True)])
def test_may_ask_beyond__one_on_its_way__waits_the_usual_time(
    waited_seconds: int, expected: bool
) -> None:
    asked = AskedCheckpoint(T0)
    assert may_ask_beyond(asked, POLICY, T0 + waited_seconds * 1000) is expected


def test_may_ask_beyond__none_on_its_way__always() -> None:
    assert may_ask_beyond(None, POLICY, T0)


TERMS = Terms(
    token=b"\x01" * 20,
    flight_start_seconds=0,
    flight_end_seconds=86_400,
    late_window_seconds=3_600,
    correction_window_seconds=60,
    dispute_window_seconds=0,
    grace_seconds=0,
    notice_seconds=0,
    attestor_set=1,
    holdback_basis_points=0,
    objection_bond_base_units=0,
    goal_type=GoalType.NONE,
    goal_count=0,
    settle_threshold_base_units=0,
)


def _progress(**changes: object) -> CampaignProgress:
    fields = {
        "terms": TERMS,
        "funded_base_units": 1_000,
        "accrued": Totals(),
        "stated": Totals(),
        "may_be_final": False,
        "is_closed": False,
        "is_waiting": False,
    }
    return CampaignProgress(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("threshold", "accrued", "stated", "expected"),
    [
        (100, 99, 0, None),
        (100, 100, 0, DraftReason.THRESHOLD),
        (100, 199, 100, None),
        (100, 200, 100, DraftReason.THRESHOLD),
        (2**128 - 1, 2**128 - 1, 0, DraftReason.THRESHOLD),
        (0, 10**9, 0, None),
    ],
)
def test_draft_reason__threshold__counts_what_is_not_stated_yet(
    threshold: int, accrued: int, stated: int, expected: DraftReason | None
) -> None:
    terms = replace(TERMS, settle_threshold_base_units=threshold)
    progress = _progress(terms=terms, accrued=Totals(accrued), stated=Totals(stated))
    assert draft_reason(progress) is expected


GOALS = [
    (GoalType.IMPRESSIONS, Counts(10, 1, 2, 3), Counts(9, 9, 9, 9)),
    (GoalType.VIEWABLES, Counts(1, 10, 2, 3), Counts(99, 9, 9, 9)),
    (GoalType.CLICKS, Counts(1, 2, 10, 3), Counts(99, 9, 9, 9)),
    (GoalType.CONVERSIONS, Counts(1, 2, 3, 10), Counts(99, 9, 9, 9)),
]


@pytest.mark.parametrize(("goal", "reached", "short"), GOALS)
def test_draft_reason__count_goal__is_about_its_own_count_only(
    goal: GoalType, reached: Counts, short: Counts
) -> None:
    terms = replace(TERMS, goal_type=goal, goal_count=10)
    assert goal_count(goal, reached) == 10
    at_goal = _progress(terms=terms, accrued=Totals(0, reached))
    assert draft_reason(at_goal) is DraftReason.GOAL
    assert draft_reason(replace(at_goal, accrued=Totals(0, short))) is None
    stated = replace(at_goal, stated=Totals(0, Counts(1, 1, 1, 1)))
    assert draft_reason(stated) is None


def test_draft_reason__goal_of_none_or_of_zero__never_triggers() -> None:
    many = Totals(0, Counts(10**9, 10**9, 10**9, 10**9))
    none = replace(TERMS, goal_type=GoalType.NONE, goal_count=1)
    zero = replace(TERMS, goal_type=GoalType.CLICKS, goal_count=0)
    assert draft_reason(_progress(terms=none, accrued=many)) is None
    assert draft_reason(_progress(terms=zero, accrued=many)) is None
    assert goal_count(GoalType.NONE, many.counts) == 0


def test_draft_reason__flight_over__final_once_even_with_nothing_owed() -> None:
    over = _progress(may_be_final=True)
    assert draft_reason(over) is DraftReason.FINAL
    assert draft_reason(replace(over, is_closed=True)) is None
    assert draft_reason(replace(over, funded_base_units=0)) is None


def test_draft_reason__previous_statement_not_active__waits_whatever_is_due() -> None:
    terms = replace(TERMS, settle_threshold_base_units=1)
    due = _progress(terms=terms, accrued=Totals(5))
    assert draft_reason(due) is DraftReason.THRESHOLD
    assert draft_reason(replace(due, is_waiting=True)) is None
    assert draft_reason(replace(due, is_waiting=True, may_be_final=True)) is None


def test_draft_reason__threshold_reached_and_flight_over__is_final() -> None:
    terms = replace(TERMS, settle_threshold_base_units=1)
    due = _progress(terms=terms, accrued=Totals(5), may_be_final=True)
    assert draft_reason(due) is DraftReason.FINAL


def test_draft_reason__open_objection_with_a_correction__is_decided() -> None:
    answered = _progress(is_answered=True)
    assert draft_reason(answered) is DraftReason.CORRECTION
    assert draft_reason(replace(answered, is_waiting=True)) is None
    assert draft_reason(replace(answered, may_be_final=True)) is DraftReason.FINAL


@pytest.mark.parametrize(
    ("dispute", "correction", "stated", "expected"),
    [
        (60, 60, 0, DraftReason.COMPLETE),
        (60, 60, 5, None),
        (0, 60, 0, None),
        (60, 0, 0, None),
    ],
)
def test_draft_reason__complete__stated_while_an_objection_can_be_answered(
    dispute: int, correction: int, stated: int, expected: DraftReason | None
) -> None:
    terms = replace(TERMS, dispute_window_seconds=dispute, correction_window_seconds=correction)
    complete = _progress(terms=terms, accrued=Totals(5), stated=Totals(stated), is_complete=True)
    assert draft_reason(complete) is expected
    assert draft_reason(replace(complete, is_complete=False)) is None
    assert draft_reason(replace(complete, may_be_final=True)) is DraftReason.FINAL


def test_draft_reason__last_call__only_the_final_one() -> None:
    terms = replace(TERMS, settle_threshold_base_units=1)
    late = _progress(terms=terms, accrued=Totals(5), is_answered=True, is_last_call=True)
    assert draft_reason(late) is None
    assert draft_reason(replace(late, may_be_final=True)) is DraftReason.FINAL


@pytest.mark.parametrize("window", [0, 600, 86_400, 10 * 86_400])
def test_is_last_call__leaves_the_final_one_time_to_fall(window: int) -> None:
    # As ITermsPolicy demands: a day and three dispute windows.
    terms = replace(TERMS, dispute_window_seconds=window, grace_seconds=86_400 + 3 * window)
    final_from = 10**9
    closes_at = final_from + terms.grace_seconds
    calls = [at for at in range(final_from - 2 * window, closes_at, 3_600)
             if not is_last_call(terms, final_from, at)]  # fmt: skip
    if window == 0:
        assert calls[-1] + 3_600 >= closes_at
        return
    # Drafted then, submitted within an hour, objected to: the next one can still fall.
    assert calls[-1] + 3_600 + 2 * window <= closes_at - 2 * window
    if window <= 82_800:
        assert calls[-1] >= final_from

"""Random traffic with random corrections: accruals equal a recount, floors and bounds hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.errors import VerificationFailed
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.events.record import RECORD_KIND, AdEvent, EventType, UserAgentClass
from adtally.events.verdict import Verdict
from adtally.settlement.rates import (
    counts_amount_milli,
    released_base_units,
    reserve_base_units,
)
from adtally.types import Counts, Cut, Line, Rates
from support.correctable_log import CorrectableLog
from support.world import AGENCY, ALICE, BOB, CAMPAIGN, World

PUBLISHERS = (ALICE, BOB)
CUTS = (Cut(AGENCY, 333),)
rate_sets = st.builds(
    Rates, st.integers(0, 9_999), st.integers(0, 9_999), st.integers(0, 9), st.integers(0, 30)
)
# Events of one publisher (type, refused why?, repeated?), or corrections of the n-th records, most
# of them of a kind that can stand.
sends = st.tuples(
    st.just("send"),
    st.sampled_from(PUBLISHERS),
    st.lists(
        st.tuples(st.sampled_from(EventType), st.integers(0, 5), st.booleans()),
        min_size=1,
        max_size=8,
    ),
)
corrections = st.tuples(
    st.just("correct"), st.lists(st.integers(0, 10**6), min_size=1, max_size=8), st.integers(0, 9)
)


def recount(entries: list[bytes], rates: Rates) -> tuple[list[Line], int]:
    """Lines and number of corrections, from the entries alone."""
    counting: dict[int, AdEvent] = {}
    corrected = 0
    for index, entry in enumerate(entries):
        if entry[0] == RECORD_KIND:
            event = AdEvent.from_record(entry)
            if event.verdict is Verdict.ACCEPTED:
                counting[index] = event
        elif entry[0] == CORRECTION_KIND:
            correction = Correction.from_entry(entry)
            corrected += 1
            assert (correction.index in counting) == (correction.change < 0)
            if correction.change < 0:
                del counting[correction.index]
            else:
                counting[correction.index] = AdEvent.from_record(entries[correction.index])
    by_line: dict[int, Counter[EventType]] = {}
    for event in counting.values():
        by_line.setdefault(event.publisher, Counter())[event.type] += 1
    lines = []
    for publisher, found in sorted(by_line.items()):
        counts = Counts(*(found[kind] for kind in EventType))
        lines.append(Line(publisher, counts, counts_amount_milli(rates, counts) // 1_000))
    return lines, corrected


def events_of(
    log: CorrectableLog, publisher: int, wanted: list[tuple[EventType, int, bool]]
) -> Any:
    """A click or viewable gets an impression of its own in front, a conversion a click as well."""
    made: list[AdEvent] = []
    for kind, quirk, is_repeated in wanted:
        parents = {
            EventType.IMPRESSION: (),
            EventType.VIEWABLE: (EventType.IMPRESSION,),
            EventType.CLICK: (EventType.IMPRESSION,),
            EventType.CONVERSION: (EventType.IMPRESSION, EventType.CLICK),
        }[kind]
        parent: dict[str, Any] = {}
        for each in (*parents, kind):
            fields = dict(parent)
            if quirk == 0 and each is kind:
                fields["user_agent_class"] = UserAgentClass.KNOWN_BOT
            if quirk == 1 and each is kind:
                fields["placement"] = 99
            event = log.world.event(each, publisher=publisher, **fields)
            made.append(event)
            parent = {"parent_id": event.id}
        if is_repeated:
            made.append(made[-1])
    return made


class Watch:
    """What must hold after every step."""

    def __init__(self, log: CorrectableLog, holdback: int, cap: int, funding: int) -> None:
        self.log, self.holdback, self.cap, self.funding = log, holdback, cap, funding
        self.highest = dict.fromkeys(PUBLISHERS, 0)
        self.released = dict.fromkeys(PUBLISHERS, 0)
        self.floor = 0

    def check(self) -> None:
        accruals = self.log.machine.accruals
        lines, corrected = recount(self.log.entries, self.log.world.rates)
        assert accruals.lines(CAMPAIGN) == lines
        assert accruals.corrections(CAMPAIGN) == corrected
        total = sum(line.amount_base_units for line in lines)
        assert accruals.lines_total_base_units(CAMPAIGN) == total
        assert accruals.counts(CAMPAIGN) == sum((line.counts for line in lines), Counts())
        assert reserve_base_units(total, CUTS) <= self.funding
        # As if a statement had been settled and paid at every size before: the escrow's floor, and
        # what each publisher was paid.
        assert total >= self.floor
        for publisher in PUBLISHERS:
            amount = self.log.line(publisher)
            assert amount <= self.cap
            assert amount >= self.released[publisher]
            self.highest[publisher] = max(self.highest[publisher], amount)
            keeps = 10_000 - self.holdback
            assert amount * 10_000 >= self.highest[publisher] * keeps
            self.released[publisher] = released_base_units(self.highest[publisher], self.holdback)
        self.floor = max(self.floor, released_base_units(total, self.holdback))


@settings(max_examples=60, deadline=None)
@given(
    rates=rate_sets,
    holdback=st.sampled_from((0, 1, 1_000, 2_500, 5_000, 10_000)),
    cap=st.sampled_from((30, 300, 10**12)),
    funding=st.sampled_from((50, 500, 10**12)),
    steps=st.lists(st.one_of(sends, corrections), min_size=6, max_size=30),
)
def test_corrections__random_traffic__equal_a_recount_and_stay_within_bounds(
    rates: Rates, holdback: int, cap: int, funding: int, steps: list[tuple[Any, Any, Any]]
) -> None:
    world = World(rates=rates, holdback=holdback, cap=cap, funding=funding, cuts=CUTS)
    log = CorrectableLog(world)
    watch = Watch(log, holdback, cap, funding)
    records: list[int] = []
    for action, first, second in steps:
        if action == "send":
            records += log.send(*events_of(log, first, second), member=first)
        for pick in first if action == "correct" and records else ():
            index, before = records[pick % len(records)], log.machine.size
            counts = log.machine.corrections.counts(index, log.verdict(index))
            # One in ten repeats what stands.
            change = -1 if counts is (second > 0) else 1
            try:
                log.correct(index, change)
            except VerificationFailed:
                assert log.machine.size == before
            watch.check()
        watch.check()
    replayed = log.replayed()
    assert replayed.accruals.lines(CAMPAIGN) == log.machine.accruals.lines(CAMPAIGN)
    statement, _ = replayed.statement(CAMPAIGN, 1, is_final=False)
    assert statement.corrections == log.machine.accruals.corrections(CAMPAIGN)

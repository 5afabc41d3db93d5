"""Whatever the scenario: exact volume, parents before children, repetitions after originals."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.simulation.scenario import (
    DAY_MS,
    Behaviour,
    DishonestShares,
    PublisherTraffic,
    Scenario,
)
from adtally.simulation.traffic import simulate

shares = st.builds(
    DishonestShares, **{spec.name: st.floats(0, 0.2) for spec in fields(DishonestShares)}
)
publishers = st.lists(st.floats(0.1, 5), min_size=1, max_size=4).map(
    lambda weights: (
        *(PublisherTraffic(2 + n, (1, 2), weight) for n, weight in enumerate(weights)),
        PublisherTraffic(99, (5,), has_order=False),
    )
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    start = draw(st.integers(2 * DAY_MS, 2**41))
    return Scenario(
        seed=draw(st.integers(0, 2**64)),
        campaign=draw(st.integers(1, 2**32 - 1)),
        publishers=draw(publishers),
        creatives=(1, 2, 3),
        flight_start_ms=start,
        flight_end_ms=start + draw(st.integers(1_000, DAY_MS)),
        steps=draw(st.integers(1, 12)),
        impressions=draw(st.integers(0, 300)),
        behaviour=Behaviour(ctr=draw(st.floats(0, 0.5)), cvr=draw(st.floats(0, 1))),
        dishonest=draw(shares),
        tail_ms=draw(st.sampled_from((0, 900_000))),
    )


@given(scenarios())
@settings(max_examples=40, deadline=None)
def test_simulate__any_scenario__exact_volume_valid_records_parents_first(plan: Scenario) -> None:
    sent: dict[tuple[int, bytes], AdEvent] = {}
    accepted: set[tuple[int, bytes, EventType]] = set()
    impressions = 0
    for step in simulate(plan):
        groups = [*step.publishers.items(), (0, step.conversions)]
        for sender, events in groups:
            for event, expected in events:
                assert AdEvent.from_record(event.to_record()) == event
                repeated = expected in (Verdict.DUPLICATE, Verdict.CONFLICT)
                assert ((sender, event.id) in sent) == repeated
                if repeated:
                    same = sent[sender, event.id] == event
                    assert same == (expected is Verdict.DUPLICATE)
                    continue
                sent[sender, event.id] = event
                if expected is None:
                    assert _parent(event) <= accepted
                    accepted.add((event.publisher, event.id, event.type))
                    impressions += event.type is EventType.IMPRESSION
    assert impressions == plan.impressions


def _parent(event: AdEvent) -> set[tuple[int, bytes, EventType]]:
    if event.type is EventType.IMPRESSION:
        return set()
    kind = EventType.CLICK if event.type is EventType.CONVERSION else EventType.IMPRESSION
    return {(event.publisher, event.parent_id, kind)}

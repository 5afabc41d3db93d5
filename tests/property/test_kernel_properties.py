"""The compiled engine and the plain reference agree, bit for bit, whatever is sent to them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adtally.errors import InvalidInput
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.record import NO_PARENT, RECORD_SIZE, EventType, set_verdict
from adtally.events.verdict import Verdict
from adtally.kernel.engine import KernelEngine
from adtally.kernel.event_ids import BLOCK_BYTES
from adtally.kernel.facts_table import highest_payable
from adtally.settlement.engine import PlainEngine
from adtally.settlement.rates import reserve_base_units
from adtally.types import Cut
from adtally.verification.rule_set import RuleSet
from support.random_traffic import MINUTE_MS, Twins, outcome, random_event, step, worlds
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    FLIGHT_END,
    LATE_WINDOW,
    World,
)

CHECK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_kernel__any_traffic__agrees_with_the_reference(world: World, seed: int) -> None:
    twins = Twins(world, Random(seed), KernelEngine)
    for _ in range(twins.random.randrange(5, 40)):
        step(twins)


def test_kernel__a_day_of_one_campaign__gives_most_verdicts() -> None:
    """So that the property above is about something."""
    twins = Twins(World(cap=9_000_000_000, funding=12_000_000_000), Random(5), KernelEngine)
    seen: set[Verdict] = set()
    while twins.now_ms < (FLIGHT_END + LATE_WINDOW) * 1000 + MINUTE_MS:
        twins.now_ms += 2_000_000
        for member in (ALICE, BOB, ADVERTISER):
            twins.send([random_event(twins) for _ in range(150)], member)
        seen |= {Verdict(record[3]) for record in twins.records.values()}
    assert seen >= set(Verdict) - {
        Verdict.UNSET,
        Verdict.ORDER_ENDED,
        Verdict.FLIGHT_NOT_STARTED,
        Verdict.ORDER_CAP_REACHED,
        Verdict.BUDGET_EXHAUSTED,
    }


@CHECK
@given(funded=st.integers(0, 2**128 - 1), shares=st.lists(st.integers(1, 2_500), max_size=4))
def test_highest_payable__any_funding__is_the_last_that_fits(
    funded: int, shares: list[int]
) -> None:
    cuts = tuple(Cut(9, share) for share in shares)
    highest = highest_payable(funded, cuts)
    assert reserve_base_units(highest, cuts) <= funded < reserve_base_units(highest + 1, cuts)


@settings(max_examples=400, deadline=None)
@given(
    at=st.integers(0, RECORD_SIZE - 1),
    value=st.integers(0, 255),
    kind=st.sampled_from(EventType),
    position=st.integers(0, 2),
)
def test_parse__any_byte_changed__refuses_what_the_reference_refuses(
    at: int, value: int, kind: EventType, position: int
) -> None:
    world = World()
    parent = NO_PARENT if kind is EventType.IMPRESSION else bytes(range(16))
    record = bytearray(world.event(kind, parent_id=parent).to_record())
    record[at] = value
    records = [world.event().to_record() for _ in range(3)]
    records[position] = bytes(record)
    plain, fast = (engine(World().machine().facts) for engine in (PlainEngine, KernelEngine))
    assert outcome(plain.parse, records) == outcome(fast.parse, records)


def test_parse__wrong_length_or_verdict__is_refused_as_by_the_reference() -> None:
    record = World().event().to_record()
    engine = KernelEngine(World().machine().facts)
    with pytest.raises(InvalidInput, match="fixed length"):
        engine.parse([record, record + b"\0"])
    judged = set_verdict(record, Verdict.ACCEPTED)
    assert outcome(engine.parse, [judged]) == outcome(PlainEngine(engine._facts).parse, [judged])


def test_kernel__events_older_than_any_rule_allows__are_forgotten() -> None:
    """Weeks of traffic take no more memory than a day of it, and verdicts stay the reference's."""
    rules = RuleSet(max_event_age_ms=MINUTE_MS, click_window_ms=1_000, conversion_window_ms=1_000)
    twins = Twins(World(rules=rules), Random(1), KernelEngine)
    used = []
    for _ in range(60):
        twins.now_ms += 10 * MINUTE_MS
        twins.send([twins.world.event(occurred_at_ms=twins.now_ms) for _ in range(400)], ALICE)
        engine = twins.fast._engine
        assert isinstance(engine, KernelEngine)
        used.append(engine.ids.bytes_used)
    assert max(used) <= 2 * BLOCK_BYTES


def test_kernel__order_accepted_then_make_good__needs_no_batch_in_between() -> None:
    twins = Twins(World(), Random(1), KernelEngine)
    twins.send([twins.world.event(occurred_at_ms=twins.now_ms, publisher=77)], ALICE)
    twins.chain(("OrderAccepted", [CAMPAIGN, 77], [(2_000_000, 0, 0, 0), 10**9]))
    (index, record), *_ = twins.records.items()
    assert record[3] == Verdict.SENDER_NOT_ALLOWED
    twins.enter(Correction(twins.now_ms, index, 1, CorrectionReason.MAKE_GOOD, record, ""))
    assert [line.publisher for line in twins.fast.accruals.lines(CAMPAIGN)] == [77]

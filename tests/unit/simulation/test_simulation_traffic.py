"""The simulator against its own promises and against the real judge."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import fields, replace

import pytest

from adtally.errors import InvalidInput
from adtally.events.record import AdEvent, EventType, NetworkClass, UserAgentClass
from adtally.events.verdict import Verdict
from adtally.settlement.accrual import Accruals
from adtally.simulation.scenario import (
    DAY_MS,
    Behaviour,
    DishonestShares,
    Market,
    PublisherTraffic,
    Scenario,
)
from adtally.simulation.traffic import Step, simulate
from adtally.types import GoalType, Rates, Role, Terms
from adtally.verification.event_index import EventIndex
from adtally.verification.fact_state import CampaignFacts, FactState, MemberFacts, OrderFacts
from adtally.verification.judge import Judge
from adtally.verification.rule_set import RuleSet

START_MS = 20_700 * DAY_MS
ADVERTISER = 1
LATE_WINDOW_SECONDS = 3_600


def scenario(**changes: object) -> Scenario:
    plain = Scenario(
        seed=11,
        campaign=1,
        publishers=(
            PublisherTraffic(2, (1, 2, 3), 3.0),
            PublisherTraffic(3, (1,), 2.0),
            PublisherTraffic(4, (7, 8)),
            PublisherTraffic(5, (9,), has_order=False),
        ),
        creatives=(1, 2),
        flight_start_ms=START_MS,
        flight_end_ms=START_MS + DAY_MS,
        steps=24,
        impressions=6_000,
        # More clicks than in life, so that second clicks and conversions occur in few events.
        behaviour=Behaviour(ctr=0.03, cvr=0.3),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def all_events(steps: list[Step]) -> list[AdEvent]:
    return [
        event
        for step in steps
        for group in (*step.publishers.values(), step.conversions)
        for event, _ in group
    ]


def fingerprint(steps: list[Step]) -> str:
    records = b"".join(event.to_record() for event in all_events(steps))
    return hashlib.sha256(records).hexdigest()


def facts_for(plan: Scenario, cap_base_units: int) -> FactState:
    facts = FactState()
    facts.members[ADVERTISER] = MemberFacts(ADVERTISER, bytes(20), Role.ADVERTISER, 2**40, b"k")
    terms = Terms(
        token=bytes(20),
        flight_start_seconds=plan.flight_start_ms // 1000,
        flight_end_seconds=plan.flight_end_ms // 1000,
        late_window_seconds=LATE_WINDOW_SECONDS,
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
    campaign = CampaignFacts(plan.campaign, ADVERTISER, terms, terms.flight_end_seconds, 10**18)
    campaign.creatives = dict.fromkeys(plan.creatives, "landing page")
    for publisher in plan.publishers:
        member = publisher.member
        facts.members[member] = MemberFacts(member, bytes(20), Role.PUBLISHER, 2**40, b"k")
        for placement in publisher.placements:
            facts.placements[member, placement] = "placement"
        if publisher.has_order:
            campaign.orders[member] = OrderFacts(Rates(2_000_000, 0, 100_000, 0), cap_base_units)
    facts.campaigns[plan.campaign] = campaign
    return facts


def judged(plan: Scenario, cap_base_units: int) -> list[tuple[Verdict | None, Verdict]]:
    """(expected, found) of every event, judged by the real rules in the order of the steps."""
    facts = facts_for(plan, cap_base_units)
    judge = Judge(facts, EventIndex(), Accruals())
    rules = RuleSet()
    pairs = []
    for step in simulate(plan):
        batches = [*step.publishers.items(), (ADVERTISER, step.conversions)]
        for sender, events in batches:
            for event, expected in events:
                found = judge.judge(
                    event, event.to_record(), facts.members[sender], step.end_ms, rules
                )
                pairs.append((expected, found))
    return pairs


def test_simulate__same_seed__same_bytes() -> None:
    assert fingerprint(list(simulate(scenario()))) == fingerprint(list(simulate(scenario())))


@pytest.mark.parametrize("change", [{"seed": 12}, {"campaign": 2}])
def test_simulate__other_seed_or_campaign__no_id_in_common(change: dict[str, int]) -> None:
    ids = {event.id for event in all_events(list(simulate(scenario())))}
    others = {event.id for event in all_events(list(simulate(scenario(**change))))}
    assert not ids & others


def test_simulate__honest_traffic__does_not_depend_on_dishonest_shares() -> None:
    def honest(plan: Scenario) -> list[bytes]:
        return [
            event.to_record()
            for step in simulate(plan)
            for group in (*step.publishers.values(), step.conversions)
            for event, expected in group
            if expected is None
        ]

    assert honest(scenario()) == honest(scenario(dishonest=DishonestShares.none()))


def test_simulate__every_label__is_the_verdict_of_the_real_rules() -> None:
    pairs = judged(scenario(), cap_base_units=10**15)
    assert [pair for pair in pairs if (pair[0] or Verdict.ACCEPTED) is not pair[1]] == []
    kinds = {expected.label for expected, _ in pairs if expected is not None}
    assert kinds == {spec.name for spec in fields(DishonestShares)}


def test_simulate__over_delivery__only_money_changes_verdicts() -> None:
    pairs = judged(scenario(), cap_base_units=1_000_000)
    money = {Verdict.ORDER_CAP_REACHED, Verdict.BUDGET_EXHAUSTED, Verdict.UNKNOWN_PARENT}
    others = [pair for pair in pairs if (pair[0] or Verdict.ACCEPTED) is not pair[1]]
    assert {expected for expected, _ in others} <= {None, Verdict.PARENT_ALREADY_USED}
    assert {found for _, found in others} <= money
    assert any(found is Verdict.ORDER_CAP_REACHED for _, found in others)


def test_simulate__dishonest_shares__counted_up_to_the_event() -> None:
    plan = scenario()
    labels = Counter(expected for expected, _ in judged(plan, cap_base_units=10**15))
    assert labels[Verdict.KNOWN_BOT] == 240
    assert labels[Verdict.NO_ORDER] == 60
    assert labels[Verdict.DUPLICATE] == 60
    assert labels[Verdict.FLIGHT_NOT_STARTED] == 12
    assert labels[Verdict.PARENT_ALREADY_USED] == 6


def test_simulate__tiny_share__occurs_at_least_once() -> None:
    tiny = DishonestShares(*(1e-6 for _ in fields(DishonestShares)))
    labels = Counter(
        expected for expected, _ in judged(scenario(dishonest=tiny), cap_base_units=10**15)
    )
    assert all(labels[Verdict[spec.name.upper()]] >= 1 for spec in fields(DishonestShares))


def test_simulate__honest_rates__near_the_behaviour() -> None:
    plan = scenario(impressions=30_000, dishonest=DishonestShares.none(), behaviour=Behaviour())
    events = all_events(list(simulate(plan)))
    counts = Counter(event.type for event in events)
    assert counts[EventType.IMPRESSION] == 30_000
    assert 0.63 < counts[EventType.VIEWABLE] / 30_000 < 0.67
    assert 0.005 < counts[EventType.CLICK] / 30_000 < 0.009
    assert len({event.country for event in events}) == len(plan.markets)
    assert len({event.device for event in events}) == 4
    assert all(
        event.value_minor_units > 0 and event.currency == 978
        for event in events
        if event.type is EventType.CONVERSION
    )


def test_simulate__day_curve__evening_of_the_market_is_busier_than_its_night() -> None:
    tokyo = scenario(markets=(Market("JP", "Asia/Tokyo", 1.0),), dishonest=DishonestShares.none())
    hours = Counter(
        (event.occurred_at_ms // 3_600_000 + 9) % 24 for event in all_events(list(simulate(tokyo)))
    )
    assert hours[20] > 5 * hours[3]


def test_simulate__commitments__change_with_day_and_campaign() -> None:
    days = scenario(flight_end_ms=START_MS + 2 * DAY_MS, dishonest=DishonestShares.none())
    by_day: dict[int, set[bytes]] = {}
    for event in all_events(list(simulate(days))):
        if event.type is EventType.IMPRESSION:
            by_day.setdefault(event.occurred_at_ms // DAY_MS, set()).add(event.subject)
    first, second = by_day.values()
    assert not first & second
    other = {event.subject for event in all_events(list(simulate(scenario(campaign=2))))}
    assert not other & (first | second)


def test_simulate__events_of_a_step__inside_it_unless_badly_timed() -> None:
    outside = {
        Verdict.TOO_OLD,
        Verdict.IN_THE_FUTURE,
        Verdict.FLIGHT_NOT_STARTED,
        Verdict.DUPLICATE,
        Verdict.CONFLICT,
    }
    for step in simulate(scenario()):
        for group in (*step.publishers.values(), step.conversions):
            for event, expected in group:
                inside = step.start_ms <= event.occurred_at_ms < step.end_ms
                assert inside or expected in outside


def test_simulate__bots_and_servers__are_told_by_their_claims() -> None:
    for step in simulate(scenario()):
        for event, expected in (pair for group in step.publishers.values() for pair in group):
            is_bot = event.user_agent_class is UserAgentClass.KNOWN_BOT
            is_server = event.network_class is NetworkClass.DATA_CENTER
            assert is_bot == (expected is Verdict.KNOWN_BOT)
            assert is_server == (expected is Verdict.DATA_CENTER)


def test_simulate__no_impressions__yields_empty_steps() -> None:
    steps = list(simulate(scenario(impressions=0)))
    assert len(steps) == 25
    assert all_events(steps) == []


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("publishers", {"publishers": ()}),
        ("publishers", {"publishers": (PublisherTraffic(2, ()),)}),
        ("creatives", {"creatives": ()}),
        ("markets", {"markets": ()}),
        ("seed", {"seed": -1}),
        ("steps", {"steps": 0}),
        ("steps", {"tail_ms": DAY_MS + 1}),
        ("flight_start_ms", {"flight_start_ms": 0}),
        ("flight_end_ms", {"flight_end_ms": START_MS}),
        ("dishonest", {"dishonest": DishonestShares(duplicate=1.5)}),
    ],
)
def test_scenario__nonsense__named_in_the_error(field: str, change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        scenario(**change)
    assert caught.value.field == field

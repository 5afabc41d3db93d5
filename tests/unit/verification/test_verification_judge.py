"""Every rule: one event that it lets pass and one that it refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from adtally.columns.engine import ColumnEngine
from adtally.events.facts import DeclarationKind, RulesFacts
from adtally.events.record import AdEvent, EventType, NetworkClass, UserAgentClass
from adtally.events.verdict import Verdict
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from adtally.types import Cut, Rates, Role
from adtally.verification.rule_set import RuleSet
from support.world import (
    ADVERTISER,
    AGENCY,
    ALICE,
    BOB,
    CAMPAIGN,
    FLIGHT_END,
    FLIGHT_START,
    LATE_WINDOW,
    PLACEMENT,
    World,
)

HOUR_MS = 3_600_000


@pytest.fixture(params=[PlainEngine, ColumnEngine], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds' machines judge by the reference, then by what audits run instead."""
    monkeypatch.setattr("support.world.LogMachine", partial(LogMachine, engine=request.param))


@pytest.fixture
def world() -> World:
    return World()


def judge(
    world: World,
    machine: LogMachine,
    *events: AdEvent,
    member: int = ALICE,
    at_ms: int | None = None,
) -> list[Verdict]:
    return machine.judge_batch(
        world.batch(list(events), member=member), at_ms if at_ms is not None else world.now_ms
    )


def test_judge__honest_path__accepts_all_four_types(world: World) -> None:
    machine = world.machine()
    impression = world.event()
    viewable = world.event(EventType.VIEWABLE, parent_id=impression.id)
    click = world.event(EventType.CLICK, parent_id=impression.id)
    assert judge(world, machine, impression, viewable, click) == [Verdict.ACCEPTED] * 3
    conversion = world.event(EventType.CONVERSION, parent_id=click.id)
    assert judge(world, machine, conversion, member=ADVERTISER) == [Verdict.ACCEPTED]


def test_judge__reported_by_publisher_and_collector__counts_once(world: World) -> None:
    machine = world.machine()
    # The agency collects hits too; it signs them as itself.
    machine.facts.members[AGENCY].roles |= Role.COLLECTOR
    event, other = world.event(), world.event()
    assert judge(world, machine, event) == [Verdict.ACCEPTED]
    assert judge(world, machine, event, member=AGENCY) == [Verdict.DUPLICATE]
    assert judge(world, machine, replace(event, country="FR"), member=AGENCY) == [Verdict.CONFLICT]
    assert judge(world, machine, other, member=AGENCY) == [Verdict.ACCEPTED]
    assert judge(world, machine, other) == [Verdict.DUPLICATE]


def test_judge__one_id_of_two_publishers__counts_for_both(world: World) -> None:
    machine = world.machine()
    event = world.event()
    assert judge(world, machine, event) == [Verdict.ACCEPTED]
    assert judge(world, machine, replace(event, publisher=BOB), member=BOB) == [Verdict.ACCEPTED]


def test_judge__refused_as_sender__does_not_take_the_id(world: World) -> None:
    machine = world.machine()
    event = world.event()
    assert judge(world, machine, event, member=BOB) == [Verdict.SENDER_NOT_ALLOWED]
    assert judge(world, machine, event) == [Verdict.ACCEPTED]


def test_judge__same_id_twice__duplicate_or_conflict(world: World) -> None:
    machine = world.machine()
    event = world.event()
    changed = replace(event, country="FR")
    assert judge(world, machine, event, event, changed) == [
        Verdict.ACCEPTED,
        Verdict.DUPLICATE,
        Verdict.CONFLICT,
    ]
    assert judge(world, machine, event, changed) == [Verdict.DUPLICATE, Verdict.CONFLICT]


def test_judge__another_senders_id__is_not_taken(world: World) -> None:
    machine = world.machine()
    event = world.event()
    assert judge(world, machine, event) == [Verdict.ACCEPTED]
    bobs = replace(event, publisher=BOB)
    assert judge(world, machine, bobs, member=BOB) == [Verdict.ACCEPTED]


def test_judge__advertisers_conversion_with_a_clicks_id__does_not_take_it(world: World) -> None:
    machine = world.machine()
    impression = world.event()
    judge(world, machine, impression)
    click = world.event(EventType.CLICK, parent_id=impression.id)
    # The advertiser has seen the click's id on its landing page, before the publisher reports it.
    planted = replace(click, type=EventType.CONVERSION, parent_id=impression.id)
    assert judge(world, machine, planted, member=ADVERTISER) == [Verdict.UNKNOWN_PARENT]
    assert judge(world, machine, click) == [Verdict.ACCEPTED]
    conversion = world.event(EventType.CONVERSION, parent_id=click.id)
    assert judge(world, machine, conversion, member=ADVERTISER) == [Verdict.ACCEPTED]


def test_judge__one_id_for_impression_and_click__both_count_and_can_be_parents(
    world: World,
) -> None:
    machine = world.machine()
    impression = world.event()
    click = replace(impression, type=EventType.CLICK, parent_id=impression.id)
    conversion = world.event(EventType.CONVERSION, parent_id=impression.id)
    assert judge(world, machine, impression, click, conversion) == [Verdict.ACCEPTED] * 3
    assert judge(world, machine, impression, click) == [Verdict.DUPLICATE] * 2


def test_judge__planted_id__does_not_block_the_publisher(world: World) -> None:
    machine = world.machine()
    event = world.event()
    assert judge(world, machine, event, member=BOB) == [Verdict.SENDER_NOT_ALLOWED]
    assert judge(world, machine, event) == [Verdict.ACCEPTED]


def test_judge__sender_without_right__refused(world: World) -> None:
    machine = world.machine()
    assert judge(world, machine, world.event(publisher=BOB)) == [Verdict.SENDER_NOT_ALLOWED]
    impression = world.event()
    assert judge(world, machine, impression, member=ADVERTISER) == [Verdict.SENDER_NOT_ALLOWED]
    conversion = world.event(EventType.CONVERSION, parent_id=impression.id)
    assert judge(world, machine, conversion, member=AGENCY) == [Verdict.SENDER_NOT_ALLOWED]


def test_judge__publisher_conversions__by_rule() -> None:
    for allowed, expected in ((True, Verdict.ACCEPTED), (False, Verdict.SENDER_NOT_ALLOWED)):
        world = World(rules=RuleSet(publisher_conversions=allowed))
        machine = world.machine()
        impression = world.event()
        click = world.event(EventType.CLICK, parent_id=impression.id)
        conversion = world.event(EventType.CONVERSION, parent_id=click.id)
        assert judge(world, machine, impression, click, conversion)[2] == expected


def test_judge__age__limits_are_inclusive(world: World) -> None:
    machine = world.machine()
    age, skew = RuleSet().max_event_age_ms, RuleSet().max_clock_skew_ms
    at_ms = FLIGHT_END * 1000 - 1
    world.now_ms = at_ms
    events = [
        world.event(occurred_at_ms=at_ms - age),
        world.event(occurred_at_ms=at_ms - age - 1),
        world.event(occurred_at_ms=at_ms + skew + 1),
    ]
    assert judge(world, machine, *events) == [
        Verdict.FLIGHT_NOT_STARTED,
        Verdict.TOO_OLD,
        Verdict.IN_THE_FUTURE,
    ]


def test_judge__future_event_sent_again_in_time__accepted(world: World) -> None:
    machine = world.machine()
    event = world.event(occurred_at_ms=world.now_ms + HOUR_MS)
    assert judge(world, machine, event) == [Verdict.IN_THE_FUTURE]
    assert judge(world, machine, event, at_ms=world.now_ms + HOUR_MS) == [Verdict.ACCEPTED]


def test_judge__flight__half_open_and_late_window(world: World) -> None:
    machine = world.machine()
    first = world.event(occurred_at_ms=FLIGHT_START * 1000)
    assert judge(world, machine, first) == [Verdict.ACCEPTED]
    last = world.event(occurred_at_ms=FLIGHT_END * 1000 - 1)
    spare = world.event(occurred_at_ms=FLIGHT_END * 1000 - 1)
    after = world.event(occurred_at_ms=FLIGHT_END * 1000)
    closes_ms = (FLIGHT_END + LATE_WINDOW) * 1000
    assert judge(world, machine, last, after, at_ms=closes_ms - 1) == [
        Verdict.ACCEPTED,
        Verdict.FLIGHT_OVER,
    ]
    assert judge(world, machine, spare, at_ms=closes_ms) == [Verdict.FLIGHT_OVER]


def test_judge__conversion_in_late_window__accepted(world: World) -> None:
    machine = world.machine()
    world.now_ms = FLIGHT_END * 1000 - 1
    impression = world.event()
    click = world.event(EventType.CLICK, parent_id=impression.id)
    judge(world, machine, impression, click)
    world.now_ms = (FLIGHT_END + 60) * 1000
    conversion = world.event(EventType.CONVERSION, parent_id=click.id)
    assert judge(world, machine, conversion, member=ADVERTISER) == [Verdict.ACCEPTED]


def test_judge__campaign_and_order__refusals(world: World) -> None:
    machine = world.machine()
    assert judge(world, machine, world.event(campaign=99)) == [Verdict.UNKNOWN_CAMPAIGN]
    campaign = machine.facts.campaigns[CAMPAIGN]
    campaign.orders[ALICE].ends_at_seconds = world.now_ms // 1000
    machine.facts.version += 1
    before = world.event(occurred_at_ms=world.now_ms - 1)
    assert judge(world, machine, before, world.event()) == [Verdict.ACCEPTED, Verdict.ORDER_ENDED]
    del campaign.orders[ALICE]
    machine.facts.version += 1
    assert judge(world, machine, world.event()) == [Verdict.NO_ORDER]


def test_judge__inventory__placement_allowlist_creative(world: World) -> None:
    machine = world.machine()
    assert judge(world, machine, world.event(placement=1), world.event(creative=1)) == [
        Verdict.PLACEMENT_NOT_ALLOWED,
        Verdict.CREATIVE_NOT_ALLOWED,
    ]
    only_other = world.declaration(
        DeclarationKind.ALLOWED_PLACEMENT, ADVERTISER, campaign=CAMPAIGN, publisher=ALICE, item=8,
        at_ms=world.now_ms,
    )  # fmt: skip
    machine.apply_facts(only_other)
    assert judge(world, machine, world.event()) == [Verdict.PLACEMENT_NOT_ALLOWED]
    this_too = world.declaration(
        DeclarationKind.ALLOWED_PLACEMENT, ADVERTISER, campaign=CAMPAIGN, publisher=ALICE,
        item=PLACEMENT, at_ms=world.now_ms,
    )  # fmt: skip
    machine.apply_facts(this_too)
    assert judge(world, machine, world.event()) == [Verdict.ACCEPTED]


def test_judge__traffic_classes__refused_by_rules(world: World) -> None:
    machine = world.machine()
    bot = world.event(user_agent_class=UserAgentClass.KNOWN_BOT)
    server = world.event(network_class=NetworkClass.DATA_CENTER)
    assert judge(world, machine, bot, server) == [Verdict.KNOWN_BOT, Verdict.DATA_CENTER]


def test_judge__parents__must_be_accepted_of_right_type_and_recent(world: World) -> None:
    machine = world.machine()
    bot = world.event(user_agent_class=UserAgentClass.KNOWN_BOT)
    impression = world.event(occurred_at_ms=world.now_ms - 2 * HOUR_MS)
    judge(world, machine, bot, impression)
    late_viewable = world.event(EventType.VIEWABLE, parent_id=impression.id)
    of_bot = world.event(EventType.CLICK, parent_id=bot.id)
    of_nothing = world.event(EventType.CLICK, parent_id=world.event().id)
    of_impression = world.event(EventType.CONVERSION, parent_id=impression.id)
    verdicts = judge(world, machine, late_viewable, of_bot, of_nothing, of_impression)
    assert verdicts == [Verdict.UNKNOWN_PARENT] * 4
    of_bob = world.event(EventType.CLICK, publisher=BOB, parent_id=impression.id)
    assert judge(world, machine, of_bob, member=BOB) == [Verdict.UNKNOWN_PARENT]


def test_judge__second_child__parent_already_used(world: World) -> None:
    machine = world.machine()
    impression = world.event()
    first = world.event(EventType.CLICK, parent_id=impression.id)
    second = world.event(EventType.CLICK, parent_id=impression.id)
    assert judge(world, machine, impression, first, second) == [
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.PARENT_ALREADY_USED,
    ]


def test_judge__cap__exact_remainder_is_spent() -> None:
    world = World(rates=Rates(per_mille_impressions=3_000), cap=9)
    machine = world.machine()
    verdicts = judge(world, machine, *(world.event() for _ in range(4)))
    assert verdicts == [Verdict.ACCEPTED] * 3 + [Verdict.ORDER_CAP_REACHED]
    assert machine.accruals.lines_total_base_units(CAMPAIGN) == 9


def test_judge__budget__lines_and_cuts_fit_exactly() -> None:
    world = World(
        rates=Rates(per_mille_impressions=100_000), funding=330, cuts=(Cut(AGENCY, 1000),)
    )
    machine = world.machine()
    verdicts = judge(world, machine, *(world.event() for _ in range(4)))
    assert verdicts == [Verdict.ACCEPTED] * 3 + [Verdict.BUDGET_EXHAUSTED]
    assert machine.accruals.lines_total_base_units(CAMPAIGN) == 300


def test_judge__top_up__budget_opens_again() -> None:
    world = World(rates=Rates(per_mille_impressions=100_000), funding=100, cuts=())
    machine = world.machine()
    assert judge(world, machine, world.event(), world.event()) == [
        Verdict.ACCEPTED,
        Verdict.BUDGET_EXHAUSTED,
    ]
    machine.facts.campaigns[CAMPAIGN].funded_base_units = 200
    assert judge(world, machine, world.event()) == [Verdict.ACCEPTED]


def test_judge__rules_relaxed_later__forgotten_ids_stay_too_old() -> None:
    world = World(rules=RuleSet(max_event_age_ms=HOUR_MS))
    machine = world.machine()
    event = world.event()
    assert judge(world, machine, event) == [Verdict.ACCEPTED]
    later_ms = world.now_ms + 3 * HOUR_MS
    assert judge(world, machine, event, at_ms=later_ms) == [Verdict.TOO_OLD]
    machine.apply_facts(RulesFacts(later_ms, RuleSet().to_json()))
    assert judge(world, machine, event, at_ms=later_ms) == [Verdict.TOO_OLD]

"""The simulator: steps of virtual time, each with the events that arrive at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from adtally.events.record import AdEvent, EventType, NetworkClass
from adtally.events.verdict import Verdict
from adtally.simulation.dishonest import DishonestTraffic
from adtally.simulation.honest import HonestTraffic
from adtally.simulation.impressions import Inventory
from adtally.simulation.population import Population
from adtally.simulation.scenario import Scenario
from adtally.simulation.user_agents import BOTS, PEOPLE


class SimulatedEvent(NamedTuple):
    """An event and the verdict it deserves.

    ``expected`` None means honest: accepted as long as order cap and budget last. When money has
    run out, honest events and second clicks (``parent_already_used``) may instead be judged
    ``order_cap_reached``, ``budget_exhausted`` or, after a parent refused so, ``unknown_parent``.
    """

    event: AdEvent
    expected: Verdict | None


@dataclass(frozen=True, slots=True)
class Step:
    """What arrives at ``end_ms`` of virtual time (UTC milliseconds).

    ``publishers`` maps a publisher to its events in the order in which to send them;
    ``conversions`` are the advertiser's and go out after all publishers' events of the step,
    since their parents are clicks.
    """

    number: int
    start_ms: int
    end_ms: int
    publishers: dict[int, list[SimulatedEvent]]
    conversions: list[SimulatedEvent]


def simulate(scenario: Scenario) -> Iterator[Step]:
    """The steps of the flight and, if ``tail_ms`` is not 0, one after it.

    Every number comes from the scenario's seed. Honest traffic is the same whatever the
    dishonest shares are.
    """
    streams = np.random.SeedSequence([scenario.seed, scenario.campaign]).spawn(3)
    people_rng, honest_rng, dishonest_rng = (np.random.default_rng(seq) for seq in streams)
    secret = people_rng.bytes(32)

    def population(name: str, share: int) -> Population:
        size = max(scenario.impressions // share // len(scenario.markets), 20)
        return Population(
            name,
            secret,
            scenario.campaign,
            people_rng,
            scenario.markets,
            size,
            BOTS if name == "bot" else PEOPLE,
            NetworkClass.DATA_CENTER if name == "server" else None,
        )

    people = population("person", 6)
    honest = HonestTraffic(
        scenario,
        people,
        Inventory([p for p in scenario.publishers if p.has_order], people_rng),
        honest_rng,
    )
    dishonest = DishonestTraffic(
        scenario, people, population("bot", 400), population("server", 400), dishonest_rng
    )
    start = scenario.flight_start_ms
    for number in range(scenario.steps):
        end = scenario.step_end_ms(number)
        yield _step(number, start, end, honest, dishonest, scenario)
        start = end
    if scenario.tail_ms:
        end = start + scenario.tail_ms
        yield _step(scenario.steps, start, end, honest, dishonest, scenario)


def _step(
    number: int,
    start_ms: int,
    end_ms: int,
    honest: HonestTraffic,
    dishonest: DishonestTraffic,
    scenario: Scenario,
) -> Step:
    sent = [
        SimulatedEvent(event, _deserved(event, scenario))
        for event in honest.step(number, start_ms, end_ms)
    ]
    clean = [event for event, expected in sent if expected is None]
    mischief = dishonest.step(number, start_ms, end_ms, clean)
    sent += [SimulatedEvent(*pair) for pair in mischief.fresh]
    # Stable: a second click at the same millisecond stays behind the first.
    sent.sort(key=lambda pair: pair.event.occurred_at_ms)
    sent += [SimulatedEvent(*pair) for pair in mischief.resent]
    publishers: dict[int, list[SimulatedEvent]] = {p.member: [] for p in scenario.publishers}
    conversions = []
    for pair in sent:
        if pair.event.type is EventType.CONVERSION:
            conversions.append(pair)
        else:
            publishers[pair.event.publisher].append(pair)
    return Step(number, start_ms, end_ms, publishers, conversions)


def _deserved(event: AdEvent, scenario: Scenario) -> Verdict | None:
    # People don't know when a flight ends: their last clicks and views come too late. Conversions
    # still count in the late window.
    if event.type is EventType.CONVERSION or event.occurred_at_ms < scenario.flight_end_ms:
        return None
    return Verdict.FLIGHT_OVER

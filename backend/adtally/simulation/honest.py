"""Honest traffic: impressions along the day curve, and what people do after them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from adtally.events.record import AdEvent, EventType
from adtally.simulation.day_curve import step_weights
from adtally.simulation.impressions import (
    Inventory,
    child_of,
    draw_impressions,
    event_ids,
)
from adtally.simulation.population import Population
from adtally.simulation.scenario import Scenario

EUR = 978
_MAX_CONVERSION_DELAY_MS = 6 * 3_600_000


class HonestTraffic:
    """Makes each step's honest events; what follows an impression may fall into a later step."""

    def __init__(
        self, scenario: Scenario, people: Population, inventory: Inventory, rng: np.random.Generator
    ) -> None:
        self._scenario = scenario
        self._people = people
        self._inventory = inventory
        self._rng = rng
        weights = step_weights(scenario)
        drawn = rng.multinomial(scenario.impressions, weights.ravel())
        self._counts = drawn.reshape(weights.shape)
        self._ends = [scenario.step_end_ms(number) for number in range(scenario.steps)]
        self._ends.append(scenario.flight_end_ms + scenario.tail_ms)
        self._due: list[list[AdEvent]] = [[] for _ in self._ends]

    def step(self, number: int, start_ms: int, end_ms: int) -> list[AdEvent]:
        """Impressions of this step and everything else that occurs in it, in order of time.

        A parent always stands before its children: they occur at least a second later.
        """
        if number < self._scenario.steps:
            impressions, slots = self._impressions(number, start_ms, end_ms)
            self._follow_up(impressions, slots)
            events = impressions + self._due[number]
        else:
            events = self._due[number]
        self._due[number] = []
        return sorted(events, key=lambda event: event.occurred_at_ms)

    def _impressions(
        self, number: int, start_ms: int, end_ms: int
    ) -> tuple[list[AdEvent], npt.NDArray[np.int64]]:
        counts = self._counts[number]
        total = int(counts.sum())
        market = np.repeat(np.arange(len(counts)), counts)
        size = self._people.per_market
        users = market * size + self._rng.integers(0, size, total)
        times = self._rng.integers(start_ms, end_ms, total)
        return draw_impressions(
            self._rng, self._scenario, self._people, users, self._inventory, times
        )

    def _follow_up(self, impressions: list[AdEvent], slots: npt.NDArray[np.int64]) -> None:
        count = len(impressions)
        behaviour = self._scenario.behaviour
        times = np.array([event.occurred_at_ms for event in impressions], dtype=np.int64)
        seen = self._rng.random(count) < behaviour.viewability
        seen_at = times + self._rng.integers(1_000, 3_000, count)
        # People click what they see: the click rate of viewed impressions makes up the CTR.
        rate = behaviour.ctr / max(behaviour.viewability, behaviour.ctr)
        chance = rate * self._inventory.placement_factor[slots]
        clicked = seen & (self._rng.random(count) < chance)
        delay = np.minimum(self._rng.exponential(8_000, count), 120_000).astype(np.int64)
        self._children(EventType.VIEWABLE, impressions, seen, seen_at)
        clicks = self._children(EventType.CLICK, impressions, clicked, seen_at + 500 + delay)
        self._convert(clicks)

    def _children(
        self,
        kind: EventType,
        impressions: list[AdEvent],
        chosen: npt.NDArray[np.bool_],
        times: npt.NDArray[np.int64],
    ) -> list[AdEvent]:
        positions = np.flatnonzero(chosen)
        at = times[positions]
        ids = event_ids(self._rng, at)
        children = [
            child_of(impressions[position], kind, event_id, occurred_at_ms)
            for position, event_id, occurred_at_ms in zip(
                positions.tolist(), ids, at.tolist(), strict=True
            )
        ]
        for child in children:
            self._schedule(child)
        return children

    def _convert(self, clicks: list[AdEvent]) -> None:
        behaviour = self._scenario.behaviour
        flight_end = self._scenario.flight_end_ms
        draws = self._rng.random(len(clicks)) < behaviour.cvr
        buying = [
            click
            for click, buys in zip(clicks, draws.tolist(), strict=True)
            if buys and click.occurred_at_ms < flight_end
        ]
        delay = np.minimum(
            30_000 + self._rng.exponential(1_200_000, len(buying)), _MAX_CONVERSION_DELAY_MS
        ).astype(np.int64)
        values = self._rng.lognormal(
            np.log(behaviour.median_value_eur * 100), behaviour.value_sigma, len(buying)
        )
        at = np.array([click.occurred_at_ms for click in buying], dtype=np.int64) + delay
        ids = event_ids(self._rng, at)
        for click, event_id, occurred_at_ms, value in zip(
            buying, ids, at.tolist(), values.tolist(), strict=True
        ):
            conversion = child_of(click, EventType.CONVERSION, event_id, occurred_at_ms)
            self._schedule(
                replace(conversion, value_minor_units=max(1, round(value)), currency=EUR)
            )

    def _schedule(self, event: AdEvent) -> None:
        step = bisect_right(self._ends, event.occurred_at_ms)
        if step < len(self._ends):
            self._due[step].append(event)

"""Dishonest traffic, each event breaking exactly one rule so that its verdict is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.simulation.impressions import Inventory, child_of, draw_impressions, event_ids
from adtally.simulation.population import Population
from adtally.simulation.scenario import Scenario

Labelled = tuple[AdEvent, Verdict]
Integers = npt.NDArray[np.int64]

_HOUR_MS = 3_600_000
_MARGIN_MS = 1_000
_BOT_CLICKS = 0.2


@dataclass(frozen=True, slots=True)
class Mischief:
    """Dishonest events of a step; ``resent`` ones must arrive after the events they repeat."""

    fresh: list[Labelled]
    resent: list[Labelled]


class DishonestTraffic:
    """Makes each step's dishonest events.

    After every step the number of events of a kind is its share of the honest impressions so
    far, rounded up, so that every kind with a share above zero occurs; what a step could not
    hold (a second click needs a first) is made up for in a later one.
    """

    def __init__(
        self,
        scenario: Scenario,
        people: Population,
        bots: Population,
        servers: Population,
        rng: np.random.Generator,
    ) -> None:
        self._scenario = scenario
        self._rng = rng
        self._people, self._bots, self._servers = people, bots, servers
        self._inventory = Inventory([p for p in scenario.publishers if p.has_order], rng)
        outsiders = [p for p in scenario.publishers if not p.has_order]
        self._outsiders = Inventory(outsiders, rng) if outsiders else None
        self._impressions = 0
        self._made: dict[Verdict, int] = {}
        self._resend_later: list[Labelled] = []

    def step(self, number: int, start_ms: int, end_ms: int, clean: list[AdEvent]) -> Mischief:
        """Dishonest events of one step.

        Args:
            clean: the step's honest events in order of time, conversions included.
        """
        impressions = [event for event in clean if event.type is EventType.IMPRESSION]
        clicks = [event for event in clean if event.type is EventType.CLICK]
        self._impressions += len(impressions)
        resent, self._resend_later = self._resend_later, []
        if number == self._scenario.steps:
            return Mischief(self._after_flight(start_ms, end_ms), resent)
        fresh = self._before_flight(start_ms) if number == 0 else []
        fresh += self._bot_events(impressions, start_ms, end_ms)
        fresh += self._data_center(start_ms, end_ms)
        fresh += self._badly_timed(end_ms)
        fresh += self._badly_placed(start_ms, end_ms)
        fresh += self._orphan_clicks(start_ms, end_ms)
        fresh += self._second_clicks(clicks, end_ms)
        self._resend(clean, number, end_ms, resent)
        return Mischief(fresh, resent)

    def _due(self, verdict: Verdict, limit: int | None = None, *, whole: bool = False) -> int:
        """How many events of a kind to make now; ``whole`` asks for the flight's total."""
        share: float = getattr(self._scenario.dishonest, verdict.label)
        impressions = self._scenario.impressions if whole else self._impressions
        due = math.ceil(share * impressions) - self._made.get(verdict, 0)
        count = due if limit is None else min(due, limit)
        self._made[verdict] = self._made.get(verdict, 0) + count
        return count

    def _draw(
        self,
        count: int,
        times_ms: Integers,
        population: Population | None = None,
        inventory: Inventory | None = None,
    ) -> list[AdEvent]:
        population = population or self._people
        users = self._rng.integers(0, len(population.users), count)
        return draw_impressions(
            self._rng, self._scenario, population, users, inventory or self._inventory, times_ms
        )[0]

    def _times(self, count: int, start_ms: int, end_ms: int) -> Integers:
        return self._rng.integers(start_ms, end_ms, count)

    def _bot_events(self, impressions: list[AdEvent], start_ms: int, end_ms: int) -> list[Labelled]:
        count = self._due(Verdict.KNOWN_BOT)
        drawn = self._draw(count, self._times(count, start_ms, end_ms), self._bots)
        follows = self._rng.random(count) < (_BOT_CLICKS if impressions else 0.0)
        return [
            (self._bot_click(event, impressions) if is_click else event, Verdict.KNOWN_BOT)
            for event, is_click in zip(drawn, follows.tolist(), strict=True)
        ]

    def _bot_click(self, bot: AdEvent, impressions: list[AdEvent]) -> AdEvent:
        """A link scanner follows the click address of an impression that a person saw."""
        seen = impressions[int(self._rng.integers(len(impressions)))]
        at = max(seen.occurred_at_ms, bot.occurred_at_ms)
        (event_id,) = event_ids(self._rng, np.array([at], dtype=np.int64))
        return replace(
            child_of(seen, EventType.CLICK, event_id, at),
            device=bot.device,
            user_agent_class=bot.user_agent_class,
            network_class=bot.network_class,
            subject=bot.subject,
            context=bot.context,
        )

    def _data_center(self, start_ms: int, end_ms: int) -> list[Labelled]:
        count = self._due(Verdict.DATA_CENTER)
        drawn = self._draw(count, self._times(count, start_ms, end_ms), self._servers)
        return [(event, Verdict.DATA_CENTER) for event in drawn]

    def _badly_timed(self, end_ms: int) -> list[Labelled]:
        oldest = end_ms - self._scenario.max_event_age_ms - _MARGIN_MS
        newest = end_ms + self._scenario.max_clock_skew_ms + _MARGIN_MS
        count = self._due(Verdict.TOO_OLD)
        old = self._draw(count, self._times(count, oldest - _HOUR_MS, oldest))
        count = self._due(Verdict.IN_THE_FUTURE)
        future = self._draw(count, self._times(count, newest, newest + _HOUR_MS))
        return [(event, Verdict.TOO_OLD) for event in old] + [
            (event, Verdict.IN_THE_FUTURE) for event in future
        ]

    def _badly_placed(self, start_ms: int, end_ms: int) -> list[Labelled]:
        scenario = self._scenario
        changes: list[tuple[Verdict, Callable[[AdEvent], AdEvent]]] = [
            (
                Verdict.UNKNOWN_CAMPAIGN,
                lambda event: replace(event, campaign=scenario.unknown_campaign),
            ),
            (
                Verdict.PLACEMENT_NOT_ALLOWED,
                lambda event: replace(event, placement=scenario.unregistered_placement),
            ),
        ]
        events = []
        for verdict, change in changes:
            count = self._due(verdict)
            drawn = self._draw(count, self._times(count, start_ms, end_ms))
            events += [(change(event), verdict) for event in drawn]
        if self._outsiders is not None:
            count = self._due(Verdict.NO_ORDER)
            times = self._times(count, start_ms, end_ms)
            drawn = self._draw(count, times, inventory=self._outsiders)
            events += [(event, Verdict.NO_ORDER) for event in drawn]
        return events

    def _before_flight(self, start_ms: int) -> list[Labelled]:
        # They arrive with the first step, and must not be too old by then.
        scenario = self._scenario
        first_end = scenario.step_end_ms(0)
        slack = min(scenario.max_event_age_ms - (first_end - start_ms), _HOUR_MS)
        if slack < 1:
            return []
        count = self._due(Verdict.FLIGHT_NOT_STARTED, whole=True)
        drawn = self._draw(count, self._times(count, start_ms - slack, start_ms))
        return [(event, Verdict.FLIGHT_NOT_STARTED) for event in drawn]

    def _after_flight(self, start_ms: int, end_ms: int) -> list[Labelled]:
        count = self._due(Verdict.FLIGHT_OVER, whole=True)
        drawn = self._draw(count, self._times(count, start_ms, end_ms))
        return [(event, Verdict.FLIGHT_OVER) for event in drawn]

    def _orphan_clicks(self, start_ms: int, end_ms: int) -> list[Labelled]:
        count = self._due(Verdict.UNKNOWN_PARENT)
        never_sent = self._draw(count, self._times(count, start_ms, end_ms))
        at = np.array([event.occurred_at_ms for event in never_sent], dtype=np.int64)
        ids = event_ids(self._rng, at)
        return [
            (child_of(event, EventType.CLICK, event_id, occurred_at_ms), Verdict.UNKNOWN_PARENT)
            for event, event_id, occurred_at_ms in zip(never_sent, ids, at.tolist(), strict=True)
        ]

    def _second_clicks(self, clicks: list[AdEvent], end_ms: int) -> list[Labelled]:
        count = self._due(Verdict.PARENT_ALREADY_USED, len(clicks))
        chosen = [clicks[at] for at in self._rng.permutation(len(clicks))[:count].tolist()]
        at = np.array([event.occurred_at_ms for event in chosen], dtype=np.int64)
        at = np.minimum(at + self._rng.integers(1, 5_000, len(chosen)), end_ms - 1)
        return [
            (replace(first, id=event_id, occurred_at_ms=when), Verdict.PARENT_ALREADY_USED)
            for first, event_id, when in zip(
                chosen, event_ids(self._rng, at), at.tolist(), strict=True
            )
        ]

    def _resend(self, clean: list[AdEvent], number: int, end_ms: int, now: list[Labelled]) -> None:
        """Repeat events, unchanged or changed, in this step or in the next one."""
        scenario = self._scenario
        originals = [event for event in clean if event.type is not EventType.CONVERSION]
        shuffled = self._rng.permutation(len(originals)).tolist()
        next_end = (
            scenario.step_end_ms(number + 1)
            if number + 1 < scenario.steps
            else scenario.flight_end_ms + scenario.tail_ms
        )
        has_next = number + 1 < scenario.steps or scenario.tail_ms > 0
        for verdict in (Verdict.DUPLICATE, Verdict.CONFLICT):
            count = self._due(verdict, len(shuffled))
            chosen, shuffled = shuffled[:count], shuffled[count:]
            for position, later in zip(
                chosen, (self._rng.random(count) < 0.5).tolist(), strict=True
            ):
                event = originals[position]
                # An event past its age would be judged too old before it is found a repetition.
                young = next_end - event.occurred_at_ms <= scenario.max_event_age_ms
                target = self._resend_later if later and has_next and young else now
                copy = event if verdict is Verdict.DUPLICATE else _changed(event)
                target.append((copy, verdict))


def _changed(event: AdEvent) -> AdEvent:
    """The same id over another body: a pricier country."""
    return replace(event, country="CH" if event.country != "CH" else "NO")

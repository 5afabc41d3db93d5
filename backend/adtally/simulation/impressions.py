"""Draws impressions: who saw which creative where and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from adtally.events.record import NO_PARENT, AdEvent, EventType
from adtally.simulation.population import Population
from adtally.simulation.scenario import PublisherTraffic, Scenario

Integers = npt.NDArray[np.int64]


def event_ids(rng: np.random.Generator, times_ms: Integers) -> list[bytes]:
    """UUIDv7 ids (RFC 9562) of the given times, their tails from the generator."""
    count = len(times_ms)
    raw = np.empty((count, 16), dtype=np.uint8)
    raw[:, :6] = times_ms.astype(">u8").view(np.uint8).reshape(count, 8)[:, 2:]
    raw[:, 6:] = np.frombuffer(rng.bytes(count * 10), dtype=np.uint8).reshape(count, 10)
    raw[:, 6] = 0x70 | (raw[:, 6] & 0x0F)
    raw[:, 8] = 0x80 | (raw[:, 8] & 0x3F)
    joined = raw.tobytes()
    return [joined[at : at + 16] for at in range(0, count * 16, 16)]


class Inventory:
    """The placements of some publishers, drawn by the publishers' weights.

    ``placement_factor`` lifts or lowers a placement's click rate; its weighted mean is 1.
    """

    def __init__(self, publishers: list[PublisherTraffic], rng: np.random.Generator) -> None:
        pairs = [(p, placement) for p in publishers for placement in p.placements]
        self.publishers = [publisher.member for publisher, _ in pairs]
        self.placements = [placement for _, placement in pairs]
        weights = np.array([p.weight / len(p.placements) for p, _ in pairs])
        self._weights = weights / weights.sum()
        factors = rng.lognormal(0.0, 0.25, len(pairs))
        self.placement_factor = factors / float((factors * self._weights).sum())

    def draw(self, rng: np.random.Generator, count: int) -> Integers:
        """Positions in ``publishers`` and ``placements``."""
        return rng.choice(len(self.placements), size=count, p=self._weights)


def draw_impressions(
    rng: np.random.Generator,
    scenario: Scenario,
    population: Population,
    users: Integers,
    inventory: Inventory,
    times_ms: Integers,
) -> tuple[list[AdEvent], Integers]:
    """One impression per user given, in order of time, and the inventory position of each."""
    count = len(users)
    slots = inventory.draw(rng, count)
    creatives = rng.integers(0, len(scenario.creatives), count)
    order = np.argsort(times_ms, kind="stable")
    times_ms = times_ms[order]
    ids = event_ids(rng, times_ms)
    impressions = [
        _impression(scenario.campaign, inventory, slot, scenario.creatives[creative], *rest)
        for slot, creative, *rest in zip(
            slots.tolist(),
            creatives.tolist(),
            ids,
            times_ms.tolist(),
            _people(population, users[order].tolist(), times_ms.tolist()),
            strict=True,
        )
    ]
    return impressions, slots


def _people(population: Population, users: list[int], times: list[int]) -> list[tuple[Any, ...]]:
    return [
        (population.users[user], *population.commitments(user, at))
        for user, at in zip(users, times, strict=True)
    ]


def _impression(
    campaign: int,
    inventory: Inventory,
    slot: int,
    creative: int,
    event_id: bytes,
    occurred_at_ms: int,
    person: tuple[Any, ...],
) -> AdEvent:
    user, subject, context = person
    return AdEvent(
        EventType.IMPRESSION,
        campaign,
        inventory.publishers[slot],
        inventory.placements[slot],
        creative,
        event_id,
        occurred_at_ms,
        NO_PARENT,
        user.country,
        user.device,
        user.user_agent_class,
        user.network_class,
        subject,
        context,
    )


def child_of(parent: AdEvent, kind: EventType, event_id: bytes, occurred_at_ms: int) -> AdEvent:
    """A viewable or click of an impression: the same person, place and creative."""
    return AdEvent(
        kind,
        parent.campaign,
        parent.publisher,
        parent.placement,
        parent.creative,
        event_id,
        occurred_at_ms,
        parent.id,
        parent.country,
        parent.device,
        parent.user_agent_class,
        parent.network_class,
        parent.subject,
        parent.context,
    )

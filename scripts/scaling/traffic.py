"""Who sends how many events for whom, and when in the day: drawn as whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from adtally.simulation.day_curve import weight_at

from .scenario import Scenario

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY_SECONDS = 86_400
STEP_SECONDS = 10
STEPS = DAY_SECONDS // STEP_SECONDS
_START_MS = 1_767_225_600_000


@dataclass(frozen=True, slots=True)
class Orders:
    """One row an order: events of one publisher for one campaign on this day.

    ``expected`` is what was known when the campaign was funded and put on a log.
    """

    campaign: Ints
    publisher: Ints
    expected: Floats
    events: Ints


def zipf(number: int, exponent: float) -> Floats:
    """Shares of the first, second, ... largest; they sum to 1."""
    weights = np.arange(1, number + 1, dtype=np.float64) ** -exponent
    shares: Floats = weights / weights.sum()
    return shares


def draw_orders(scenario: Scenario, rng: np.random.Generator) -> Orders:
    """Every event of the day belongs to one order."""
    campaigns, publishers = scenario.campaigns, scenario.publishers
    size = zipf(publishers, scenario.publisher_skew)
    chosen = rng.choice(publishers, (campaigns, scenario.orders_per_campaign), p=size)
    pairs = np.unique(np.arange(campaigns)[:, None] * publishers + chosen)
    campaign, publisher = np.divmod(pairs, publishers)
    weight = np.sqrt(size[publisher])
    in_campaign = np.bincount(campaign, weight, campaigns)
    share = zipf(campaigns, scenario.campaign_skew)[campaign] * weight / in_campaign[campaign]
    # Nobody delivers exactly what was planned.
    delivered = share * rng.lognormal(0.0, 0.2, len(share))
    events = rng.multinomial(scenario.events, delivered / delivered.sum())
    return Orders(campaign, publisher, share * scenario.events, events)


def day_curve(scenario: Scenario) -> Floats:
    """Share of the day's events in each step; sums to 1."""
    weights = np.zeros(STEPS)
    zones = [(ZoneInfo(name), share) for name, share in scenario.market_zones]
    for step in range(0, STEPS, 6):
        at_ms = _START_MS + step * STEP_SECONDS * 1_000
        weights[step : step + 6] = sum(share * weight_at(at_ms, zone) for zone, share in zones)
    curve: Floats = weights / weights.sum()
    return curve

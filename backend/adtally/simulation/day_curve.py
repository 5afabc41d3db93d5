"""When people are online: one curve of the local day, applied in each market's own zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from adtally.simulation.scenario import Scenario

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

HOUR_WEIGHTS = (
    0.35, 0.22, 0.15, 0.12, 0.13, 0.22, 0.45, 0.75, 0.95, 1.00, 1.00, 1.02,
    1.08, 1.05, 1.00, 0.98, 1.00, 1.08, 1.20, 1.38, 1.50, 1.42, 1.05, 0.65,
)  # fmt: skip
"""Relative traffic at each full local hour, low at night and highest in the evening."""


def weight_at(at_ms: int, zone: ZoneInfo) -> float:
    """Relative traffic at a moment, interpolated between the full local hours."""
    local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
    part = (local.minute * 60 + local.second) / 3600
    this, following = HOUR_WEIGHTS[local.hour], HOUR_WEIGHTS[(local.hour + 1) % 24]
    return this + (following - this) * part


def step_weights(scenario: Scenario) -> npt.NDArray[np.float64]:
    """Share of the honest impressions by (step, market); sums to 1."""
    zones = [ZoneInfo(market.zone) for market in scenario.markets]
    weights = np.empty((scenario.steps, len(zones)))
    start = scenario.flight_start_ms
    for step in range(scenario.steps):
        end = scenario.step_end_ms(step)
        for column, (market, zone) in enumerate(zip(scenario.markets, zones, strict=True)):
            weights[step, column] = market.weight * weight_at((start + end) // 2, zone)
        start = end
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares

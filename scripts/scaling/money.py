"""Every campaign's escrow on this day: funded, billed, paid, what is left; whole base units."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from adtally.errors import InvariantBroken
from adtally.settlement.rates import MILLI, cut_amount_base_units, reserve_base_units

from .scenario import Scenario
from .traffic import Ints, Orders

_MARGIN_PERCENT = 125


@dataclass(frozen=True, slots=True)
class Money:
    """Base units of all campaigns together.

    Attributes:
        billed: events that fit their campaign's funds, by order; the others have the verdict
            ``budget_exhausted`` and cost nothing.
        line: what each order's publisher is owed.
        left: funds that no line and no cut takes.
    """

    billed: Ints
    line: Ints
    funded: int
    cuts: int
    left: int

    @property
    def lines(self) -> int:
        return int(self.line.sum())


def settle_day(scenario: Scenario, orders: Orders) -> Money:
    """Bill events in the order of orders until a campaign's funds are used up.

    Raises:
        InvariantBroken: a campaign owes more than its escrow holds.
    """
    price = scenario.price_per_mille_base_units
    expected = np.bincount(orders.campaign, orders.expected, scenario.campaigns)
    first = np.searchsorted(orders.campaign, np.arange(scenario.campaigns + 1))
    billed, line = orders.events.copy(), np.zeros_like(orders.events)
    funded = cuts = left = 0
    for campaign, (start, end) in enumerate(pairwise(first)):
        planned = int(expected[campaign]) * _MARGIN_PERCENT // 100 + 1
        funds = reserve_base_units(planned * price // MILLI, scenario.cuts)
        rows = slice(int(start), int(end))
        billed[rows] = _fitting(orders.events[rows], planned)
        line[rows] = billed[rows] * price // MILLI
        total = int(line[rows].sum())
        own_cuts = sum(cut_amount_base_units(total, cut) for cut in scenario.cuts)
        rest = funds - total - own_cuts
        if rest < 0:
            raise InvariantBroken(f"campaign {campaign} owes {-rest} more than it was funded with")
        funded, cuts, left = funded + funds, cuts + own_cuts, left + rest
    return Money(billed, line, funded, cuts, left)


def _fitting(events: Ints, most: int) -> Ints:
    """The events of each order that fit, if the first orders come first."""
    before = np.cumsum(events) - events
    fitting: Ints = np.clip(most - before, 0, events)
    return fitting

"""Which events the money refuses, exact to the thousandth of a base unit.

Taken as accepted is what the log says so. Where even the dearest event would still fit after all
of them, nobody is refused, and sums of counts are all it takes; only for campaigns near an order's
cap or the end of their funding the amounts are followed from event to event, in whole numbers of
64 bits or, where those might not do, of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from adtally.columns.offers import Order
from adtally.columns.rows import Codes, Mask, Numbers
from adtally.events.record import EventType
from adtally.events.verdict import Verdict
from adtally.settlement.accrual import Accruals
from adtally.settlement.rates import BASIS_POINTS, MILLI, event_amount_milli, reserve_base_units
from adtally.types import Counts

_KINDS = 1 + max(EventType)
_SMALL = 2**62
"""Sums of two numbers below this stay below 2^63."""

Exact = npt.NDArray[Any]
"""Whole numbers that can't overflow: int64 where that is certain, else Python's."""


@dataclass(frozen=True, slots=True)
class Spending:
    """Events of a run that have an order.

    Attributes:
        at: their places in the run, ascending.
        kind: event types.
        order: places in ``orders``.
        counts: whether the log says that they are accepted.
    """

    at: Numbers
    kind: Codes
    order: Numbers
    counts: Mask

    def pick(self, which: Any) -> Spending:
        """Some of them."""
        return Spending(self.at[which], self.kind[which], self.order[which], self.counts[which])


@dataclass(frozen=True, slots=True)
class _Touched:
    """An order with events in the run."""

    row: int
    order: Order
    prices_milli: list[int]
    """By event type."""
    start_milli: int
    end_milli: int

    @property
    def dearest_milli(self) -> int:
        return max(self.prices_milli)

    @property
    def rise_base_units(self) -> int:
        return self.end_milli // MILLI - self.start_milli // MILLI

    @property
    def may_reach_cap(self) -> bool:
        cap = self.order.facts.cap_base_units
        return (self.end_milli + self.dearest_milli) // MILLI > cap


def accepted_counts(spending: Spending, orders: int) -> Numbers:
    """How many accepted events each order has of each type: (orders, 1 + types)."""
    cells = spending.order[spending.counts] * _KINDS + spending.kind[spending.counts]
    counts: Numbers = np.bincount(cells, minlength=orders * _KINDS).reshape(-1, _KINDS)
    return counts


def refusals(spending: Spending, orders: Sequence[Order], accruals: Accruals) -> Codes:
    """``order_cap_reached`` or ``budget_exhausted`` for each event that can't be paid, else 0.

    Right for every event before which all verdicts in the log are right.
    """
    codes = np.zeros(len(spending.at), np.uint8)
    for touched in _by_campaign(spending, orders, accruals):
        campaign = touched[0].order.campaign
        total = accruals.lines_total_base_units(campaign.id)
        highest = total + sum(each.rise_base_units for each in touched)
        highest += max(each.dearest_milli for each in touched) // MILLI + 1
        may_exhaust = reserve_base_units(highest, campaign.terms.cuts) > campaign.funded_base_units
        if may_exhaust or any(each.may_reach_cap for each in touched):
            rows = np.array([each.row for each in touched])
            of_campaign = np.flatnonzero(np.isin(spending.order, rows))
            codes[of_campaign] = _followed(spending.pick(of_campaign), touched, total, highest)
    return codes


def book(spending: Spending, orders: Sequence[Order], accruals: Accruals) -> None:
    """Book the accepted events."""
    counts = accepted_counts(spending, len(orders))
    for row in np.flatnonzero(counts.any(axis=1)).tolist():
        campaign, publisher, facts = orders[row]
        _, *each = counts[row].tolist()
        accruals.charge_many(campaign, facts, publisher, Counts(*each))


def _by_campaign(
    spending: Spending, orders: Sequence[Order], accruals: Accruals
) -> Iterator[list[_Touched]]:
    counts = accepted_counts(spending, len(orders))
    rows = np.flatnonzero(np.bincount(spending.order, minlength=len(orders))).tolist()
    rows.sort(key=lambda row: orders[row].campaign.id)
    for _, group in groupby(rows, key=lambda row: orders[row].campaign.id):
        yield [_touched(row, orders[row], counts[row].tolist(), accruals) for row in group]


def _touched(row: int, order: Order, counts: list[int], accruals: Accruals) -> _Touched:
    prices = [0, *(event_amount_milli(order.facts.rates, kind) for kind in EventType)]
    start = accruals.line_milli(order.campaign.id, order.publisher)
    spent = sum(count * price for count, price in zip(counts, prices, strict=True))
    return _Touched(row, order, prices, start, start + spent)


def _followed(spending: Spending, touched: Sequence[_Touched], total: int, highest: int) -> Codes:
    """The codes of one campaign's events, each amount followed from the one before."""
    limit = max(highest * BASIS_POINTS, *(each.end_milli + each.dearest_milli for each in touched))
    kind: Any = np.int64 if limit < _SMALL else object
    campaign = touched[0].order.campaign
    rows = np.array([each.row for each in touched])
    # Stable, so that each order's events stay in log order.
    by_order = np.argsort(spending.order, kind="stable")
    places = np.searchsorted(rows, spending.order[by_order])
    prices = _exact([each.prices_milli for each in touched], kind)
    price = prices[places, spending.kind[by_order]]
    start = _exact([each.start_milli for each in touched], kind)[places]
    before = start + _earlier_of_order(price, spending.counts[by_order], places)
    rise = (before + price) // MILLI - before // MILLI
    cap = _exact([each.order.facts.cap_base_units for each in touched], kind)[places]
    over_cap, rise_base_units = np.empty(len(rise), bool), np.empty(len(rise), kind)
    over_cap[by_order] = (before + price) // MILLI > cap
    rise_base_units[by_order] = rise
    after = total + _earlier(rise_base_units, spending.counts) + rise_base_units
    reserve = after + sum(after * cut.basis_points // BASIS_POINTS for cut in campaign.terms.cuts)
    exhausted = reserve > _exact([campaign.funded_base_units], kind)[0]
    codes = np.where(exhausted, np.uint8(Verdict.BUDGET_EXHAUSTED), np.uint8(0))
    codes[over_cap] = Verdict.ORDER_CAP_REACHED
    return codes


def _exact(numbers: Sequence[Any], kind: Any) -> Exact:
    if kind is object:
        return np.array(numbers, object)
    return np.array(np.minimum(np.array(numbers, object), _SMALL), np.int64)


def _earlier(amounts: Exact, counts: Mask) -> Exact:
    """For each event the sum over those before it that count."""
    counted = np.where(counts, amounts, 0)
    sums: Exact = np.cumsum(counted) - counted
    return sums


def _earlier_of_order(amounts: Exact, counts: Mask, places: Numbers) -> Exact:
    """The same over those of the same order; events stand order by order."""
    sums = _earlier(amounts, counts)
    firsts = np.searchsorted(places, places)
    return sums - sums[firsts]

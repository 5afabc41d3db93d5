"""Accruals on arrays: the twin of ``settlement.accrual.Accruals`` for compiled rules.

Single events of corrections are booked here as well, in plain integers; they are few.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.kernel.facts_table import WORD, FactRows
from adtally.kernel.rules import Books
from adtally.settlement.rates import (
    MILLI,
    event_amount_milli,
    lowest_line_base_units,
    reserve_base_units,
)
from adtally.types import Counts, Line
from adtally.verification.fact_state import CampaignFacts, OrderFacts

_FIRST_ROWS = 64


class Ledger:
    """Implements ``settlement.accrual.AccrualBooks``; ``books`` is what the rules write to."""

    def __init__(self, rows: FactRows) -> None:
        self._rows = rows
        self._corrections: dict[int, int] = {}
        self.books = _books(_FIRST_ROWS, _FIRST_ROWS)

    def make_room(self) -> None:
        """Have a row for every campaign and order; call when facts have brought new ones."""
        orders, campaigns = len(self._rows.orders), len(self._rows.campaigns)
        if orders > len(self.books.line) or campaigns > len(self.books.total):
            grown = _books(2 * orders + _FIRST_ROWS, 2 * campaigns + _FIRST_ROWS)
            for old, new in zip(self.books, grown, strict=True):
                new[: len(old)] = old
            self.books = grown

    def dump(self) -> dict[str, Any]:
        """The books, and how many corrections each campaign has."""
        books = {f"books.{name}": array for name, array in self.books._asdict().items()}
        corrections = np.array(list(self._corrections.items()), np.int64).reshape(-1, 2)
        return books | {"books.corrections": corrections}

    def load(self, dump: Mapping[str, Any]) -> None:
        """Take over what ``dump`` gave; rows are given out as they were then."""
        self.books = Books(**{name: dump[f"books.{name}"].copy() for name in Books._fields})
        self._corrections = dict(dump["books.corrections"].tolist())
        self.make_room()

    def refusal(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> Verdict | None:
        """As ``Accruals.refusal``."""
        before, after = self._amounts(order, event)
        if after > order.cap_base_units:
            return Verdict.ORDER_CAP_REACHED
        total = self.lines_total_base_units(campaign.id) + after - before
        if reserve_base_units(total, campaign.terms.cuts) > campaign.funded_base_units:
            return Verdict.BUDGET_EXHAUSTED
        return None

    def charge(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None:
        """As ``Accruals.charge``."""
        self._change(event, event_amount_milli(order.rates, event.type), 1)

    def after_taking_back(
        self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent
    ) -> tuple[int, int]:
        """As ``Accruals.after_taking_back``."""
        row = self._order_row(event)
        lowest = lowest_line_base_units(
            _amount(self.books.highest[row]), campaign.terms.holdback_basis_points
        )
        return lowest, (self._milli(row) - event_amount_milli(order.rates, event.type)) // MILLI

    def take_back(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None:
        """As ``Accruals.take_back``."""
        self._change(event, -event_amount_milli(order.rates, event.type), -1)

    def count_correction(self, campaign: int) -> None:
        """As ``Accruals.count_correction``."""
        self._corrections[campaign] = self.corrections(campaign) + 1

    def corrections(self, campaign: int) -> int:
        """As ``Accruals.corrections``."""
        return self._corrections.get(campaign, 0)

    def lines_total_base_units(self, campaign: int) -> int:
        """As ``Accruals.lines_total_base_units``."""
        row = self._rows.campaigns.get(campaign)
        return 0 if row is None else _amount(self.books.total[row])

    def lines(self, campaign: int) -> list[Line]:
        """As ``Accruals.lines``."""
        found = []
        for publisher, row in self._rows.orders_of.get(campaign, {}).items():
            counts = self.books.counts[row]
            if counts.any():
                amount = _amount(self.books.line[row])
                found.append(Line(publisher, Counts(*map(int, counts[1:])), amount))
        return sorted(found, key=lambda line: line.publisher)

    def counts(self, campaign: int) -> Counts:
        """As ``Accruals.counts``."""
        return sum((line.counts for line in self.lines(campaign)), Counts())

    def _order_row(self, event: AdEvent) -> int:
        return self._rows.orders[event.campaign, event.publisher]

    def _milli(self, row: int) -> int:
        return _amount(self.books.line[row]) * MILLI + int(self.books.line_milli[row])

    def _amounts(self, order: OrderFacts, event: AdEvent) -> tuple[int, int]:
        before = self._milli(self._order_row(event))
        after = before + event_amount_milli(order.rates, event.type)
        return before // MILLI, after // MILLI

    def _change(self, event: AdEvent, milli: int, count: int) -> None:
        row, campaign = self._order_row(event), self._rows.campaigns[event.campaign]
        before = self._milli(row)
        line, rest = divmod(before + milli, MILLI)
        _set(self.books.line, row, line)
        self.books.line_milli[row] = rest
        self.books.counts[row, EventType(event.type)] += count
        _set(self.books.highest, row, max(line, _amount(self.books.highest[row])))
        total = _amount(self.books.total[campaign]) + line - before // MILLI
        _set(self.books.total, campaign, total)


def _books(orders: int, campaigns: int) -> Books:
    return Books(
        line=np.zeros((orders, 2), np.uint64),
        line_milli=np.zeros(orders, np.int64),
        highest=np.zeros((orders, 2), np.uint64),
        counts=np.zeros((orders, 1 + len(EventType)), np.int64),
        total=np.zeros((campaigns, 2), np.uint64),
    )


def _amount(split: npt.NDArray[np.uint64]) -> int:
    return int(split[0]) * WORD + int(split[1])


def _set(amounts: npt.NDArray[np.uint64], row: int, amount: int) -> None:
    amounts[row, 0], amounts[row, 1] = divmod(amount, WORD)

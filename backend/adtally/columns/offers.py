"""What the facts say of each (campaign, publisher, placement, creative) that events name.

There are few of them, so each is looked up in the facts once, in plain Python, and kept until the
facts change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from adtally.columns.key_table import Keys, KeyTable, Rows
from adtally.columns.rows import Numbers, RecordColumns
from adtally.events.verdict import Verdict
from adtally.verification.fact_state import CampaignFacts, FactState, OrderFacts

_MOST = 1 << 18
"""Rows kept between runs; whoever sends events for ever other placements can't fill the memory."""
_NEVER_MS = 1 << 62
"""Beyond every time that a record or envelope can hold."""
_NONE = -1


class Order(NamedTuple):
    """An accepted order and where it stands."""

    campaign: CampaignFacts
    publisher: int
    facts: OrderFacts


class Offers:
    """Rows for what events name; columns say what the facts allow.

    ``order`` is a row's place in ``orders`` or -1, ``inventory`` the verdict that its placement
    and creative lead to or 0; times are ms, far in the future where there is no end.
    """

    def __init__(self, facts: FactState) -> None:
        self._facts = facts
        self._version = -1
        self._clear()

    def rows_of(self, columns: RecordColumns) -> Rows:
        """The row of each record."""
        if self._facts.version != self._version or self._table.count > _MOST:
            self._clear()
        keys = Keys(
            columns.line,
            columns.creation,
            np.zeros(columns.count, np.uint64),
        )
        rows = self._table.find(keys)
        missing = rows == _NONE
        if missing.any():
            self._add(keys.pick(missing))
            rows[missing] = self._table.find(keys.pick(missing))
        return rows

    def __getitem__(self, column: str) -> Numbers:
        """One column, by row."""
        return self._table.columns[column]

    def _clear(self) -> None:
        self._version = self._facts.version
        self.orders: list[Order] = []
        self._order_rows: dict[tuple[int, int], int] = {}
        names = ("advertiser", "starts_ms", "ends_ms", "until_ms", "order", "order_ends_ms")
        columns = dict.fromkeys(names, np.int64)
        self._table = KeyTable({**columns, "is_known": np.bool_, "inventory": np.uint8})

    def _add(self, keys: Keys) -> None:
        pairs = np.unique(np.stack((keys.first, keys.second), axis=1), axis=0)
        first, second = pairs[:, 0].copy(), pairs[:, 1].copy()
        table = self._table
        table.room_for(len(pairs), lambda rows: np.ones(len(rows), bool))
        rows = table.take(Keys(first, second, np.zeros(len(pairs), np.uint64)))
        for row, one, other in zip(rows.tolist(), first.tolist(), second.tolist(), strict=True):
            self._fill(row, *_parts(one), *_parts(other))

    def _fill(self, row: int, campaign: int, publisher: int, placement: int, creative: int) -> None:
        columns = self._table.columns
        columns["order"][row] = _NONE
        facts = self._facts.campaigns.get(campaign)
        if facts is None:
            return
        columns["is_known"][row] = True
        columns["advertiser"][row] = facts.advertiser
        columns["starts_ms"][row] = _ms(facts.terms.flight_start_seconds)
        columns["ends_ms"][row] = _ms(facts.flight_end_seconds)
        columns["until_ms"][row] = _ms(facts.counts_until_seconds)
        columns["inventory"][row] = self._inventory(facts, publisher, placement, creative)
        order = facts.orders.get(publisher)
        if order is None:
            return
        ends = order.ends_at_seconds
        columns["order_ends_ms"][row] = _NEVER_MS if ends is None else _ms(ends)
        columns["order"][row] = self._order_row(facts, publisher, order)

    def _inventory(
        self, campaign: CampaignFacts, publisher: int, placement: int, creative: int
    ) -> int:
        allowed = campaign.allowed_placements.get(publisher)
        if (publisher, placement) not in self._facts.placements:
            return Verdict.PLACEMENT_NOT_ALLOWED
        if allowed and placement not in allowed:
            return Verdict.PLACEMENT_NOT_ALLOWED
        return 0 if creative in campaign.creatives else Verdict.CREATIVE_NOT_ALLOWED

    def _order_row(self, campaign: CampaignFacts, publisher: int, order: OrderFacts) -> int:
        key = (campaign.id, publisher)
        if key not in self._order_rows:
            self._order_rows[key] = len(self.orders)
            self.orders.append(Order(campaign, publisher, order))
        return self._order_rows[key]


def _parts(word: int) -> tuple[int, int]:
    return word >> 32, word & 0xFFFFFFFF


def _ms(seconds: int) -> int:
    return min(seconds * 1000, _NEVER_MS)

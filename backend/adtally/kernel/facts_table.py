"""Facts as arrays: what the rules read of members' campaigns, orders and inventory.

Rows of campaigns and orders keep their place for ever, because the books refer to them; everything
else is built anew from ``FactState`` when facts have changed. Money is split into words of 64
bits, high and low: nothing here is rounded or cut.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adtally.events.record import EventType
from adtally.kernel.tables import put_words
from adtally.settlement.rates import MILLI, event_amount_milli, reserve_base_units
from adtally.types import Cut
from adtally.verification.fact_state import CampaignFacts, FactState, OrderFacts

Words = npt.NDArray[np.uint64]
Signed = npt.NDArray[np.int64]

WORD = 2**64
NEVER_MS = 2**62
"""Later than any event: 48 bits hold its time."""


class FactsTable(NamedTuple):
    """One moment's facts for compiled code; ``*_keys`` and ``*_rows`` are hash tables."""

    campaign_keys: Words
    campaign_rows: Signed
    campaigns: Signed
    """Advertiser, start and end of the flight, end of counting (ms); (campaigns, 4)."""
    limit: Words
    """Highest lines total that the campaign can pay with its cuts on top; (campaigns, 2)."""

    order_keys: Words
    order_rows: Signed
    orders: Signed
    """End (ms), and 1 if its publisher may use listed placements only; (orders, 2)."""
    price: Words
    """Whole base units of an event, (orders, type, 2)."""
    price_milli: Signed
    """Thousandths beyond them, (orders, type)."""
    cap: Words

    placements: Words
    creatives: Words
    allowed: Words


class FactRows:
    """Where campaigns and orders stand, and the table of the newest facts."""

    def __init__(self, seed: np.uint64) -> None:
        self._seed = seed
        self.campaigns: dict[int, int] = {}
        self.orders: dict[tuple[int, int], int] = {}
        self.orders_of: dict[int, dict[int, int]] = {}
        """By campaign: each publisher's row."""

    def dump(self) -> dict[str, Any]:
        """Which campaign and which order has which row."""
        return {
            "rows.campaigns": np.array(list(self.campaigns), np.uint64),
            "rows.orders": np.array(list(self.orders), np.uint64).reshape(-1, 2),
        }

    def load(self, dump: Mapping[str, Any]) -> None:
        """Give out the rows as they were; the facts are as they were, too."""
        self._seed = dump["seed"][0]
        for campaign in dump["rows.campaigns"].tolist():
            self.campaigns[campaign] = len(self.campaigns)
        for campaign, publisher in dump["rows.orders"].tolist():
            row = self.orders[campaign, publisher] = len(self.orders)
            self.orders_of.setdefault(campaign, {})[publisher] = row

    def build(self, facts: FactState) -> FactsTable:
        """The table of all facts so far; new campaigns and orders get rows behind the others."""
        for campaign in facts.campaigns.values():
            self.campaigns.setdefault(campaign.id, len(self.campaigns))
            rows = self.orders_of.setdefault(campaign.id, {})
            for publisher in campaign.orders:
                key = (campaign.id, publisher)
                rows[publisher] = self.orders.setdefault(key, len(self.orders))
        campaigns = [facts.campaigns[campaign] for campaign in self.campaigns]
        orders = [facts.campaigns[campaign].orders[who] for campaign, who in self.orders]
        campaign_keys, campaign_rows = self._hashed(list(self.campaigns))
        order_keys, order_rows = self._hashed([pair(*key) for key in self.orders])
        restricted = [
            bool(facts.campaigns[campaign].allowed_placements.get(publisher))
            for campaign, publisher in self.orders
        ]
        return FactsTable(
            campaign_keys=campaign_keys,
            campaign_rows=campaign_rows,
            campaigns=_signed([_times(campaign) for campaign in campaigns], 4),
            limit=words([_limit(campaign) for campaign in campaigns]),
            order_keys=order_keys,
            order_rows=order_rows,
            orders=_signed(
                [
                    (_order_end(order), is_listed)
                    for order, is_listed in zip(orders, restricted, strict=True)
                ],
                2,
            ),
            price=words([price for order in orders for price in _prices(order)]).reshape(-1, 5, 2),
            price_milli=_signed([_millis(order) for order in orders], 5),
            cap=words([order.cap_base_units for order in orders]),
            placements=self._set([pair(*key) for key in facts.placements]),
            creatives=self._set(
                [pair(each.id, creative) for each in campaigns for creative in each.creatives]
            ),
            allowed=self._set(
                [
                    pair(row + 1, placement)
                    for (campaign, publisher), row in self.orders.items()
                    for placement in facts.campaigns[campaign].allowed_placements.get(publisher, ())
                ]
            ),
        )

    def _set(self, keys: Collection[int]) -> Words:
        return self._hashed(keys)[0]

    def _hashed(self, keys: Collection[int]) -> tuple[Words, Signed]:
        """A hash table from each key (nonzero) to its place in ``keys``."""
        places = 2 ** (2 * len(keys) + 1).bit_length()
        table, rows = np.zeros(places, np.uint64), np.zeros(places, np.int64)
        put_words(table, rows, np.array(list(keys), np.uint64), np.arange(len(keys)), self._seed)
        return table, rows


def pair(high: int, low: int) -> int:
    """Two numbers of 32 bits as one key."""
    return high << 32 | low


def words(amounts: Collection[int]) -> Words:
    """Amounts of up to 128 bits as rows (high, low)."""
    split = [divmod(amount, WORD) for amount in amounts]
    return np.array(split, np.uint64).reshape(-1, 2)


def _signed(rows: Collection[Sequence[int]], width: int) -> Signed:
    return np.array(list(rows), np.int64).reshape(-1, width)


def _times(campaign: CampaignFacts) -> tuple[int, int, int, int]:
    return (
        campaign.advertiser,
        _ms(campaign.terms.flight_start_seconds),
        _ms(campaign.flight_end_seconds),
        _ms(campaign.counts_until_seconds),
    )


def _ms(seconds: int) -> int:
    return min(seconds * 1000, NEVER_MS)


def _order_end(order: OrderFacts) -> int:
    return NEVER_MS if order.ends_at_seconds is None else _ms(order.ends_at_seconds)


def _prices(order: OrderFacts) -> list[int]:
    return [0, *(event_amount_milli(order.rates, kind) // MILLI for kind in EventType)]


def _millis(order: OrderFacts) -> list[int]:
    return [0, *(event_amount_milli(order.rates, kind) % MILLI for kind in EventType)]


def _limit(campaign: CampaignFacts) -> int:
    return highest_payable(campaign.funded_base_units, campaign.terms.cuts)


def highest_payable(funded_base_units: int, cuts: tuple[Cut, ...]) -> int:
    """The highest lines total whose reserve is at most ``funded_base_units``."""
    low, high = 0, funded_base_units
    while low < high:
        middle = (low + high + 1) // 2
        if reserve_base_units(middle, cuts) <= funded_base_units:
            low = middle
        else:
            high = middle - 1
    return low

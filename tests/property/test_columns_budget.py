"""The columnar budget refuses what ``Accruals`` refuses, and books what it books."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.columns.budget import Spending, book, refusals
from adtally.columns.offers import Order
from adtally.events.record import EventType
from adtally.events.verdict import Verdict
from adtally.settlement.accrual import Accruals
from adtally.types import Cut, Rates
from adtally.verification.fact_state import CampaignFacts, OrderFacts
from support.world import World

PRICES = (0, 1, 7, 999, 1_001, 250_000, 2**40 + 1, 10**18, 2**80 - 1)


def random_orders(random: Random) -> list[Order]:
    terms = World().machine().facts.campaigns[1].terms
    orders = []
    for campaign in (1, 2, 3):
        cuts = random.choice([(), (Cut(5, 10_000),), (Cut(5, 333), Cut(1, 1))])
        scale = random.choice((10, 10**6, 2**62, 10**20, 2**88))
        facts = CampaignFacts(campaign, 2, _with_cuts(terms, cuts), 0)
        facts.funded_base_units = random.randrange(scale)
        few = [price for price in PRICES if price <= scale * 10]
        for publisher in random.sample(range(10, 20), random.randrange(1, 4)):
            rates = Rates(*(random.choice(few) for _ in range(4)))
            orders.append(Order(facts, publisher, OrderFacts(rates, random.randrange(scale))))
    random.shuffle(orders)
    return orders


def _with_cuts(terms, cuts):  # type: ignore[no-untyped-def]
    return type(terms)(**{name: getattr(terms, name) for name in terms.__slots__} | {"cuts": cuts})


class Asked:
    """What ``Accruals`` reads of an event."""

    def __init__(self, kind: int, publisher: int) -> None:
        self.type = EventType(kind)
        self.publisher = publisher


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_budget__any_events_of_several_campaigns__refuses_and_books_as_the_reference(
    seed: int,
) -> None:
    random = Random(seed)
    orders = random_orders(random)
    plain, fast = Accruals(), Accruals()
    for _ in range(4):
        number = random.choice((0, 1, 20, 200))
        kinds = [random.choice((1, 1, 2, 3, 4)) for _ in range(number)]
        rows = [random.randrange(len(orders)) for _ in range(number)]
        expected = [_one(plain, orders[row], kind) for row, kind in zip(rows, kinds, strict=True)]
        codes = np.array(expected, np.uint8)
        spending = Spending(
            np.arange(number), np.array(kinds, np.uint8), np.array(rows, np.int64), codes == 0
        )
        assert refusals(spending, orders, fast).tolist() == expected
        book(spending, orders, fast)
        assert sorted(plain.dump().lines) == sorted(fast.dump().lines)
        for campaign in (1, 2, 3):
            totals = [each.lines_total_base_units(campaign) for each in (plain, fast)]
            assert totals[0] == totals[1]


def _one(accruals: Accruals, order: Order, kind: int) -> int:
    event = Asked(kind, order.publisher)
    refusal = accruals.refusal(order.campaign, order.facts, event)  # type: ignore[arg-type]
    if refusal is None:
        accruals.charge(order.campaign, order.facts, event)  # type: ignore[arg-type]
    assert refusal in (None, Verdict.ORDER_CAP_REACHED, Verdict.BUDGET_EXHAUSTED)
    return 0 if refusal is None else int(refusal)

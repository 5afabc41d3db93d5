"""Gas offers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adtally.chain.connection import FeeMarket
from adtally.chain.fees import GWEI, FeePolicy, Fees, first_offer, raised_offer

WEI = st.integers(0, 2000 * GWEI)
MARKETS = st.builds(FeeMarket, st.none() | WEI, WEI)
POLICIES = st.builds(FeePolicy, st.integers(1, 1000 * GWEI), st.integers(0, 10 * GWEI))


def test_first_offer__free_gas_chain__offers_nothing() -> None:
    assert first_offer(FeeMarket(0, 0), FeePolicy()) == Fees(0, 0)
    assert first_offer(FeeMarket(None, 0), FeePolicy()) == Fees(0, 0)


def test_first_offer__base_fee__leaves_room_to_double() -> None:
    assert first_offer(FeeMarket(7 * GWEI, 8 * GWEI), FeePolicy()) == Fees(15 * GWEI, GWEI)


def test_first_offer__legacy_chain__is_the_gas_price() -> None:
    assert first_offer(FeeMarket(None, 3 * GWEI), FeePolicy()) == Fees(3 * GWEI, 3 * GWEI)


def test_raised_offer__zero__still_rises() -> None:
    assert raised_offer(Fees(0, 0), FeeMarket(0, 0), FeePolicy()) == Fees(1, 1)


def test_raised_offer__market_jumped__follows_it() -> None:
    raised = raised_offer(Fees(GWEI, 1), FeeMarket(100 * GWEI, 101 * GWEI), FeePolicy())
    assert raised == Fees(201 * GWEI, GWEI)


@given(MARKETS, POLICIES)
def test_first_offer__any_market__stays_under_the_ceiling(
    market: FeeMarket, policy: FeePolicy
) -> None:
    offer = first_offer(market, policy)
    assert 0 <= offer.priority_fee_wei <= offer.max_fee_wei <= policy.ceiling_wei


@given(MARKETS, POLICIES, WEI, WEI)
def test_raised_offer__any_market__rises_by_an_eighth_or_stops(
    market: FeeMarket, policy: FeePolicy, max_fee: int, priority: int
) -> None:
    before = Fees(max_fee, min(priority, max_fee))
    raised = raised_offer(before, market, policy)
    if raised is not None:
        assert raised.max_fee_wei * 8 >= before.max_fee_wei * 9
        assert raised.priority_fee_wei * 8 >= before.priority_fee_wei * 9
        assert raised.max_fee_wei <= policy.ceiling_wei

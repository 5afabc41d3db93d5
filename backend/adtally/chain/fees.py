"""What to offer for gas, and how to raise the offer. All figures are wei per gas."""

from __future__ import annotations

from dataclasses import dataclass

from adtally.chain.connection import FeeMarket

GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Fees:
    """An offer. On a chain without EIP-1559 both are the gas price."""

    max_fee_wei: int
    priority_fee_wei: int


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """``ceiling_wei`` bounds every offer; ``priority_fee_wei`` is offered where gas costs."""

    ceiling_wei: int = 500 * GWEI
    priority_fee_wei: int = GWEI


def first_offer(market: FeeMarket, policy: FeePolicy) -> Fees:
    """Room for the base fee to double (six full blocks), never over the ceiling."""
    priority = min(policy.priority_fee_wei, market.gas_price_wei, policy.ceiling_wei)
    if market.base_fee_wei is None:
        price = min(market.gas_price_wei, policy.ceiling_wei)
        return Fees(price, price)
    return Fees(min(2 * market.base_fee_wei + priority, policy.ceiling_wei), priority)


def raised_offer(previous: Fees, market: FeeMarket, policy: FeePolicy) -> Fees | None:
    """At least x1.125 (nodes ask 10 %) of both parts, rounded up; None above the ceiling."""
    fresh = first_offer(market, policy)
    raised = Fees(
        max(_raise(previous.max_fee_wei), fresh.max_fee_wei),
        max(_raise(previous.priority_fee_wei), fresh.priority_fee_wei),
    )
    return raised if raised.max_fee_wei <= policy.ceiling_wei else None


def _raise(fee_wei: int) -> int:
    return max(-(-fee_wei * 9 // 8), fee_wei + 1)

"""Where each member's money goes at any time, from Membership's events."""

from __future__ import annotations

from dataclasses import dataclass

from adtally.audit.chain_events import (
    AuditedEvent,
    PayoutChangeCancelled,
    PayoutChangeRequested,
    PayoutRegistered,
)
from adtally.types import Address
from adtally.verification.chain_logs import FactChange


@dataclass(slots=True)
class _Payout:
    address: Address
    pending: Address | None = None
    pending_from_seconds: int = 0

    def at(self, seconds: int) -> Address:
        if self.pending is not None and seconds >= self.pending_from_seconds:
            return self.pending
        return self.address


class Payouts:
    """Follows registrations and delayed changes in chain order."""

    def __init__(self) -> None:
        self._payouts: dict[int, _Payout] = {}

    def take(self, event: AuditedEvent | FactChange, timestamp_seconds: int) -> None:
        """Take in the next event of the chain; others than Membership's pass by."""
        match event:
            case PayoutRegistered(member, address):
                self._payouts[member] = _Payout(address)
            case PayoutChangeRequested(member, address, effective_from) if member in self._payouts:
                # A change that is due takes effect before it is replaced, as in the contract.
                now = self._payouts[member].at(timestamp_seconds)
                self._payouts[member] = _Payout(now, address, effective_from)
            case PayoutChangeCancelled(member) if member in self._payouts:
                self._payouts[member] = _Payout(self._payouts[member].address)

    def at(self, member: int, seconds: int) -> Address | None:
        """The member's payout address at a time, None for an unknown member."""
        payout = self._payouts.get(member)
        return None if payout is None else payout.at(seconds)

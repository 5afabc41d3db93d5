"""What has been earned so far, per campaign and publisher, exact and always affordable.

Invariant: after every event, for every campaign, the sum of floored lines plus cuts is at most
what the campaign holds, and every line is at most its order's cap. So no settlement can lack
money, whatever order claims come in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.settlement.rates import MILLI, event_amount_milli, reserve_base_units
from adtally.types import Counts, Line
from adtally.verification.fact_state import CampaignFacts, OrderFacts


@dataclass(slots=True)
class _LineAccrual:
    counts: dict[EventType, int] = field(default_factory=lambda: dict.fromkeys(EventType, 0))
    amount_milli: int = 0

    @property
    def amount_base_units(self) -> int:
        return self.amount_milli // MILLI

    def frozen_counts(self) -> Counts:
        return Counts(
            self.counts[EventType.IMPRESSION],
            self.counts[EventType.VIEWABLE],
            self.counts[EventType.CLICK],
            self.counts[EventType.CONVERSION],
        )


class Accruals:
    """Implements ``verification.judge.Budget``."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, _LineAccrual]] = {}
        self._lines_total: dict[int, int] = {}
        self._corrections: dict[int, int] = {}

    def refusal(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> Verdict | None:
        """``order_cap_reached`` or ``budget_exhausted`` if the event can't be paid in full."""
        before, after = self._amounts(campaign.id, order, event)
        if after > order.cap_base_units:
            return Verdict.ORDER_CAP_REACHED
        total = self.lines_total_base_units(campaign.id) + after - before
        if reserve_base_units(total, campaign.terms.cuts) > campaign.funded_base_units:
            return Verdict.BUDGET_EXHAUSTED
        return None

    def charge(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None:
        """Book an event that ``refusal`` let pass."""
        before, after = self._amounts(campaign.id, order, event)
        line = self._lines.setdefault(campaign.id, {}).setdefault(event.publisher, _LineAccrual())
        line.counts[event.type] += 1
        line.amount_milli += event_amount_milli(order.rates, event.type)
        self._lines_total[campaign.id] = self.lines_total_base_units(campaign.id) + after - before

    def _amounts(self, campaign: int, order: OrderFacts, event: AdEvent) -> tuple[int, int]:
        line = self._lines.get(campaign, {}).get(event.publisher)
        milli = line.amount_milli if line is not None else 0
        return milli // MILLI, (milli + event_amount_milli(order.rates, event.type)) // MILLI

    def lines_total_base_units(self, campaign: int) -> int:
        """Sum of the campaign's floored lines."""
        return self._lines_total.get(campaign, 0)

    def corrections(self, campaign: int) -> int:
        """How many corrections in the log the campaign's lines contain."""
        return self._corrections.get(campaign, 0)

    def lines(self, campaign: int) -> list[Line]:
        """The campaign's lines by ascending publisher; publishers without any count are absent."""
        lines = self._lines.get(campaign, {})
        return [
            Line(publisher, lines[publisher].frozen_counts(), lines[publisher].amount_base_units)
            for publisher in sorted(lines)
        ]

    def counts(self, campaign: int) -> Counts:
        """Sum of the campaign's lines' counts."""
        return sum((line.counts for line in self.lines(campaign)), Counts())

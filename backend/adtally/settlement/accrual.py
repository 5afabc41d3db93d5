"""What has been earned so far, per campaign and publisher, exact and always affordable.

Invariant: after every event and correction, for every campaign, the sum of floored lines plus cuts
is at most what the campaign holds, every line is at most its order's cap, and no line is below its
highest amount less the holdback. So no settlement can lack money, whatever order claims come in,
and no publisher was ever paid more than its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.settlement.rates import (
    MILLI,
    counts_amount_milli,
    event_amount_milli,
    lowest_line_base_units,
    reserve_base_units,
)
from adtally.types import Counts, Line
from adtally.verification.fact_state import CampaignFacts, OrderFacts


@dataclass(slots=True)
class _LineAccrual:
    counts: dict[EventType, int] = field(default_factory=lambda: dict.fromkeys(EventType, 0))
    amount_milli: int = 0
    highest_base_units: int = 0

    @property
    def amount_base_units(self) -> int:
        return self.amount_milli // MILLI

    def add(self, counts: Counts) -> None:
        self.counts[EventType.IMPRESSION] += counts.impressions
        self.counts[EventType.VIEWABLE] += counts.viewables
        self.counts[EventType.CLICK] += counts.clicks
        self.counts[EventType.CONVERSION] += counts.conversions

    def frozen_counts(self) -> Counts:
        return Counts(
            self.counts[EventType.IMPRESSION],
            self.counts[EventType.VIEWABLE],
            self.counts[EventType.CLICK],
            self.counts[EventType.CONVERSION],
        )


class LineDump(NamedTuple):
    """What is known of one line."""

    campaign: int
    publisher: int
    counts: Counts
    amount_milli: int
    highest_base_units: int


class AccrualsDump(NamedTuple):
    """Every line, and how many corrections each campaign has."""

    lines: Sequence[LineDump]
    corrections: Mapping[int, int]


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
        line.highest_base_units = max(line.highest_base_units, after)
        self._lines_total[campaign.id] = self.lines_total_base_units(campaign.id) + after - before

    def charge_many(
        self, campaign: CampaignFacts, order: OrderFacts, publisher: int, counts: Counts
    ) -> None:
        """Book many events of one line that the rules let pass, in whatever order they came."""
        line = self._lines.setdefault(campaign.id, {}).setdefault(publisher, _LineAccrual())
        before = line.amount_base_units
        line.add(counts)
        line.amount_milli += counts_amount_milli(order.rates, counts)
        # Without corrections in between it only rose.
        line.highest_base_units = max(line.highest_base_units, line.amount_base_units)
        total = self.lines_total_base_units(campaign.id) + line.amount_base_units - before
        self._lines_total[campaign.id] = total

    def after_taking_back(
        self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent
    ) -> tuple[int, int]:
        """The line's lowest amount allowed, and its amount without an event that counts."""
        line = self._lines[campaign.id][event.publisher]
        lowest = lowest_line_base_units(
            line.highest_base_units, campaign.terms.holdback_basis_points
        )
        return lowest, (line.amount_milli - event_amount_milli(order.rates, event.type)) // MILLI

    def take_back(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None:
        """Book that an event counts no more; ``after_taking_back`` has shown that it may."""
        line = self._lines[campaign.id][event.publisher]
        before = line.amount_base_units
        line.counts[event.type] -= 1
        line.amount_milli -= event_amount_milli(order.rates, event.type)
        self._lines_total[campaign.id] += line.amount_base_units - before

    def count_correction(self, campaign: int) -> None:
        """Note that the campaign's lines contain one more correction."""
        self._corrections[campaign] = self.corrections(campaign) + 1

    def _amounts(self, campaign: int, order: OrderFacts, event: AdEvent) -> tuple[int, int]:
        line = self._lines.get(campaign, {}).get(event.publisher)
        milli = line.amount_milli if line is not None else 0
        return milli // MILLI, (milli + event_amount_milli(order.rates, event.type)) // MILLI

    def line_milli(self, campaign: int, publisher: int) -> int:
        """Exact amount of a line in thousandths of a base unit."""
        line = self._lines.get(campaign, {}).get(publisher)
        return 0 if line is None else line.amount_milli

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
            if any(lines[publisher].counts.values())
        ]

    def counts(self, campaign: int) -> Counts:
        """Sum of the campaign's lines' counts."""
        return sum((line.counts for line in self.lines(campaign)), Counts())

    def dump(self) -> AccrualsDump:
        """Everything that is known."""
        lines = [
            LineDump(campaign, publisher, line.frozen_counts(), line.amount_milli,
                     line.highest_base_units)
            for campaign, lines in self._lines.items()
            for publisher, line in lines.items()
        ]  # fmt: skip
        return AccrualsDump(lines, dict(self._corrections))

    def load(self, dump: AccrualsDump) -> None:
        """Know only what ``dump`` gave."""
        self._lines, self._lines_total = {}, {}
        self._corrections = dict(dump.corrections)
        for each in dump.lines:
            line = _LineAccrual(amount_milli=each.amount_milli)
            line.add(each.counts)
            line.highest_base_units = each.highest_base_units
            self._lines.setdefault(each.campaign, {})[each.publisher] = line
            total = self.lines_total_base_units(each.campaign) + line.amount_base_units
            self._lines_total[each.campaign] = total

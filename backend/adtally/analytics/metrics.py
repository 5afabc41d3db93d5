"""The metric catalogue: each metric defined once, exact until its last division.

A metric is a numerator over a denominator; where the denominator is zero or a part is unknown
the value is None with a reason, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Literal

from adtally.analytics.currencies import Revenue, Token
from adtally.settlement.rates import MILLI
from adtally.types import Counts

_QUOTIENT = Context(prec=18, rounding=ROUND_HALF_EVEN)

Unit = Literal["ratio", "token_base_units"]


@dataclass(frozen=True, slots=True)
class Basis:
    """What every metric is computed from: events that count only.

    ``spend_milli_base_units`` is exact (thousandths of a base unit); ``revenue`` is what
    conversions that count are worth in the token's currency.
    """

    counts: Counts
    spend_milli_base_units: int
    revenue: Revenue
    token: Token

    @property
    def spend_base_units(self) -> Fraction:
        return Fraction(self.spend_milli_base_units, MILLI)

    @property
    def spend_major_units(self) -> Fraction:
        return self.spend_base_units * Fraction(1, 10**self.token.decimals)


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A quotient rounded half-even to 18 significant digits, or None and why."""

    value: Decimal | None
    reason: str | None = None

    @property
    def text(self) -> str | None:
        """The value as a plain decimal string (no exponent)."""
        return None if self.value is None else format(self.value, "f")


@dataclass(frozen=True, slots=True)
class Metric:
    """A definition; ``empty`` says what is missing when the denominator is zero."""

    name: str
    label: str
    unit: Unit
    definition: str
    numerator: Callable[[Basis], Fraction | int | None]
    denominator: Callable[[Basis], Fraction | int]
    empty: str

    def of(self, basis: Basis) -> MetricValue:
        denominator = Fraction(self.denominator(basis))
        if denominator == 0:
            return MetricValue(None, self.empty)
        numerator = self.numerator(basis)
        if numerator is None:
            return MetricValue(None, basis.revenue.reason)
        quotient = Fraction(numerator) / denominator
        return MetricValue(
            _QUOTIENT.divide(Decimal(quotient.numerator), Decimal(quotient.denominator))
        )


def _catalogue(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


CATALOGUE = _catalogue(
    Metric(
        "ctr",
        "CTR",
        "ratio",
        "clicks / impressions",
        lambda basis: basis.counts.clicks,
        lambda basis: basis.counts.impressions,
        "no impressions",
    ),
    Metric(
        "cvr",
        "CVR",
        "ratio",
        "conversions / clicks",
        lambda basis: basis.counts.conversions,
        lambda basis: basis.counts.clicks,
        "no clicks",
    ),
    Metric(
        "viewable_rate",
        "Viewable rate",
        "ratio",
        "viewables / impressions (every accepted impression counts as measurable)",
        lambda basis: basis.counts.viewables,
        lambda basis: basis.counts.impressions,
        "no impressions",
    ),
    Metric(
        "ecpm",
        "eCPM",
        "token_base_units",
        "spend / impressions x 1,000, in base units of the token",
        lambda basis: basis.spend_base_units * 1000,
        lambda basis: basis.counts.impressions,
        "no impressions",
    ),
    Metric(
        "cpa",
        "CPA",
        "token_base_units",
        "spend / conversions, in base units of the token",
        lambda basis: basis.spend_base_units,
        lambda basis: basis.counts.conversions,
        "no conversions",
    ),
    Metric(
        "roas",
        "ROAS",
        "ratio",
        "value of conversions / spend, both in the token's currency",
        lambda basis: basis.revenue.value,
        lambda basis: basis.spend_major_units,
        "no spend",
    ),
)


def compute(basis: Basis) -> dict[str, MetricValue]:
    """Every metric of the catalogue, by name."""
    return {name: metric.of(basis) for name, metric in CATALOGUE.items()}

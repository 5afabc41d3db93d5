"""Values of conversions in their currencies, and dated exchange rates between them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from adtally.errors import InvalidInput
from adtally.events.currency import currency_code, currency_number

_DEFAULT_DIGITS = 2
_DIGITS_AND_CODES = (
    "0 BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    "3 BHD IQD JOD KWD LYD OMR TND",
    "4 CLF UYW",
)
_MINOR_DIGITS = {code: int(line[0]) for line in _DIGITS_AND_CODES for code in line[2:].split()}


def minor_digits(currency: int) -> int:
    """Decimal places of a currency's minor unit (ISO 4217 list one), by numeric code."""
    return _MINOR_DIGITS.get(currency_code(currency) or "", _DEFAULT_DIGITS)


@dataclass(frozen=True, slots=True)
class Token:
    """What a campaign is paid in.

    ``currency`` is the ISO 4217 numeric code that one whole token stands for, None if none.
    """

    symbol: str
    decimals: int
    currency: int | None = None


@dataclass(frozen=True, slots=True)
class FxRate:
    """One unit of ``base`` is ``rate`` units of ``quote`` (ISO 4217 numeric codes, major units).

    ``day`` and ``source`` say where it comes from; a report repeats them.
    """

    base: int
    quote: int
    rate: Decimal
    day: date
    source: str


def parse_fx_rates(data: bytes) -> list[FxRate]:
    """Rates from a JSON list of objects with base, quote, rate, day and source.

    A rate may be a string or a number; its decimal digits are taken as they stand.

    Raises:
        InvalidInput: another form, an unknown currency, or a rate that is no number.
    """
    try:
        return [
            FxRate(
                currency_number(item["base"]),
                currency_number(item["quote"]),
                Decimal(item["rate"]),
                date.fromisoformat(item["day"]),
                str(item["source"]),
            )
            for item in json.loads(data, parse_float=Decimal)
        ]
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise InvalidInput(
            "the exchange rates are malformed",
            field="fx",
            expected="a JSON list of {base, quote, rate, day, source}",
            found=repr(error),
        ) from None


@dataclass(frozen=True, slots=True)
class AttributedValue:
    """Sum of the values of accepted conversions in one currency, in its minor unit."""

    currency: int
    value_minor_units: int

    @property
    def code(self) -> str | None:
        """ISO 4217 alphabetic code; None for a number that is no active currency."""
        return currency_code(self.currency)

    @property
    def major_units(self) -> Fraction:
        return Fraction(self.value_minor_units, 10 ** minor_digits(self.currency))


class FxTable:
    """Exchange rates by pair; a pair given the other way round is inverted, exactly.

    Raises:
        InvalidInput: a rate is not positive, or a pair is given twice.
    """

    def __init__(self, rates: Iterable[FxRate] = ()) -> None:
        self.rates = tuple(rates)
        self._by_pair: dict[tuple[int, int], Fraction] = {}
        for rate in self.rates:
            if not rate.rate.is_finite() or rate.rate <= 0 or rate.base == rate.quote:
                raise _bad_rate("a positive rate between two currencies", str(rate.rate))
            if (rate.base, rate.quote) in self._by_pair:
                raise _bad_rate("each pair once", f"{rate.base} to {rate.quote} again")
            self._by_pair[rate.base, rate.quote] = Fraction(rate.rate)
            self._by_pair[rate.quote, rate.base] = 1 / Fraction(rate.rate)

    def factor(self, base: int, quote: int) -> Fraction | None:
        """Units of ``quote`` for one of ``base``; None if no rate says."""
        return Fraction(1) if base == quote else self._by_pair.get((base, quote))


def _bad_rate(expected: str, found: str) -> InvalidInput:
    return InvalidInput("unusable exchange rate", field="fx", expected=expected, found=found)


@dataclass(frozen=True, slots=True)
class Revenue:
    """Attributed value in the token's currency, major units; None with a reason if unknown."""

    value: Fraction | None
    reason: str | None = None


def revenue_in_token_currency(
    values: Iterable[AttributedValue], token: Token, fx: FxTable
) -> Revenue:
    """All attributed values together, as far as the exchange rates allow it."""
    total = Fraction(0)
    missing = []
    for value in values:
        if token.currency is None:
            return Revenue(None, f"{token.symbol} stands for no currency")
        factor = fx.factor(value.currency, token.currency)
        if factor is None:
            missing.append(_name(value.currency))
        else:
            total += value.major_units * factor
    if missing:
        target = _name(token.currency or 0)
        return Revenue(None, f"no exchange rate from {', '.join(missing)} to {target}")
    return Revenue(total)


def _name(currency: int) -> str:
    return currency_code(currency) or f"currency {currency}"

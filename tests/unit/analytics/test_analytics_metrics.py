"""Metric definitions, exact quotients, and values in several currencies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from adtally.analytics.currencies import (
    AttributedValue,
    FxRate,
    FxTable,
    Revenue,
    Token,
    minor_digits,
    parse_fx_rates,
    revenue_in_token_currency,
)
from adtally.analytics.metrics import CATALOGUE, Basis, MetricValue, compute
from adtally.errors import InvalidInput
from adtally.types import Counts

EUR, USD, JPY, KWD = 978, 840, 392, 414
USDX = Token("USDX", 6, USD)
DAY = date(2026, 11, 2)


def rate(base: int, quote: int, value: str) -> FxRate:
    return FxRate(base, quote, Decimal(value), DAY, "ECB")


def basis(counts: Counts, milli: int, revenue: Revenue | None = None) -> Basis:
    return Basis(counts, milli, revenue or Revenue(Fraction(0)), USDX)


def test_compute__ordinary_row__the_documented_formulas() -> None:
    # 8 dollars spent, 20 dollars earned.
    found = compute(basis(Counts(2_000, 1_300, 16, 4), 8_000_000_000, Revenue(Fraction(20))))
    assert {name: metric.text for name, metric in found.items()} == {
        "ctr": "0.008",
        "cvr": "0.25",
        "viewable_rate": "0.65",
        "ecpm": "4000000",
        "cpa": "2000000",
        "roas": "2.5",
    }


def test_compute__nothing_happened__none_with_a_reason_never_zero() -> None:
    found = compute(basis(Counts(), 0))
    assert all(metric.value is None and metric.text is None for metric in found.values())
    assert {metric.reason for metric in found.values()} == {
        "no impressions",
        "no clicks",
        "no conversions",
        "no spend",
    }


def test_compute__zero_numerator__zero() -> None:
    assert compute(basis(Counts(impressions=5), 1_000))["ctr"] == MetricValue(Decimal(0))


def test_compute__quotient_without_end__18_digits_half_even() -> None:
    found = compute(basis(Counts(impressions=3, clicks=2), 0))
    assert found["ctr"].text == "0.666666666666666667"


def test_compute__tiny_ratio__plain_decimal_string() -> None:
    found = compute(basis(Counts(impressions=10**12, clicks=1), 0))
    assert found["ctr"].text == "0.000000000001"


def test_compute__token_of_18_decimals__money_beyond_64_bits_exact() -> None:
    token = Token("DAIX", 18, USD)
    milli = 123_456_789 * 10**21
    found = compute(Basis(Counts(impressions=1_000), milli, Revenue(Fraction(10**9)), token))
    assert found["ecpm"].text == str(123_456_789 * 10**18)
    assert found["roas"].text == "8.10000007371000067"


def test_compute__revenue_unknown__roas_none_with_that_reason() -> None:
    found = compute(basis(Counts(1, 0, 1, 1), 1_000, Revenue(None, "no exchange rate")))
    assert found["roas"] == MetricValue(None, "no exchange rate")


def test_catalogue__names__keys_of_the_metrics() -> None:
    assert all(name == metric.name and metric.definition for name, metric in CATALOGUE.items())


@pytest.mark.parametrize(("currency", "digits"), [(EUR, 2), (JPY, 0), (KWD, 3), (990, 4), (0, 2)])
def test_minor_digits__iso_4217__its_exponent(currency: int, digits: int) -> None:
    assert minor_digits(currency) == digits


def test_revenue__same_currency__no_rate_needed() -> None:
    values = [AttributedValue(USD, 12_345)]
    assert revenue_in_token_currency(values, USDX, FxTable()).value == Fraction(12_345, 100)


def test_revenue__several_currencies__each_at_its_rate() -> None:
    values = [AttributedValue(EUR, 100), AttributedValue(JPY, 300), AttributedValue(USD, 5)]
    fx = FxTable([rate(EUR, USD, "1.10"), rate(USD, JPY, "150")])
    found = revenue_in_token_currency(values, USDX, fx)
    assert found == Revenue(Fraction(110, 100) + 2 + Fraction(5, 100))


def test_revenue__rates_missing__none_naming_them() -> None:
    values = [AttributedValue(EUR, 100), AttributedValue(JPY, 300)]
    fx = FxTable([rate(EUR, JPY, "160")])
    found = revenue_in_token_currency(values, USDX, fx)
    assert found == Revenue(None, "no exchange rate from EUR, JPY to USD")


def test_revenue__value_without_currency__none() -> None:
    found = revenue_in_token_currency([AttributedValue(0, 100)], USDX, FxTable())
    assert found == Revenue(None, "no exchange rate from currency 0 to USD")
    assert AttributedValue(0, 100).code is None


def test_revenue__token_without_currency__none_but_zero_stays_zero() -> None:
    token = Token("POINTS", 0)
    found = revenue_in_token_currency([AttributedValue(EUR, 1)], token, FxTable())
    assert found == Revenue(None, "POINTS stands for no currency")
    assert revenue_in_token_currency([], token, FxTable()) == Revenue(Fraction(0))


@pytest.mark.parametrize(
    "rates",
    [
        [rate(EUR, USD, "0")],
        [rate(EUR, USD, "-1")],
        [rate(EUR, USD, "NaN")],
        [rate(EUR, USD, "Infinity")],
        [rate(EUR, EUR, "1")],
        [rate(EUR, USD, "1.1"), rate(EUR, USD, "1.2")],
        [rate(EUR, USD, "1.1"), rate(USD, EUR, "0.9")],
    ],
)
def test_fx_table__unusable_rates__invalid_input(rates: list[FxRate]) -> None:
    with pytest.raises(InvalidInput):
        FxTable(rates)


@pytest.mark.parametrize("text", ['"1.1"', "1.1"])
def test_parse_fx_rates__string_or_number__the_digits_as_they_stand(text: str) -> None:
    line = f'[{{"base":"EUR","quote":"USD","rate":{text},"day":"2026-11-02","source":"ECB"}}]'
    assert parse_fx_rates(line.encode()) == [rate(EUR, USD, "1.1")]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}x",
        b"[1]",
        b'[{"base":"EUR"}]',
        b'[{"base":"EUR","quote":"XXX","rate":"1","day":"2026-11-02","source":"ECB"}]',
        b'[{"base":7,"quote":"USD","rate":"1","day":"2026-11-02","source":"ECB"}]',
        b'[{"base":"EUR","quote":"USD","rate":"one","day":"2026-11-02","source":"ECB"}]',
        b'[{"base":"EUR","quote":"USD","rate":"1","day":"today","source":"ECB"}]',
    ],
)
def test_parse_fx_rates__malformed__invalid_input(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_fx_rates(line)

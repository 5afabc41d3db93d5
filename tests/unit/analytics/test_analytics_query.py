"""Report queries: nothing but names of fixed lists and numbers in range gets through."""

from __future__ import annotations

import pytest

from adtally.analytics.intervals import Granularity
from adtally.analytics.query import (
    MAX_LIMIT,
    Dimension,
    ReportQuery,
    parse_dimensions,
    parse_granularity,
)
from adtally.errors import InvalidInput


def test_parse_dimensions__names__in_their_order() -> None:
    assert parse_dimensions(["device", "publisher"]) == (Dimension.DEVICE, Dimension.PUBLISHER)
    assert parse_dimensions([]) == ()


@pytest.mark.parametrize(
    "name", ["", "campaign", "PUBLISHER", "publisher; DROP TABLE cells", "1", "country--", "*"]
)
def test_parse_dimensions__anything_else__invalid_input(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_dimensions(["country", name])
    assert caught.value.field == "dimensions"


def test_parse_granularity__names_or_nothing__that_granularity() -> None:
    assert parse_granularity("hour") is Granularity.HOUR
    assert parse_granularity(None) is None
    assert parse_granularity("") is None
    with pytest.raises(InvalidInput):
        parse_granularity("week")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("dimensions", {"dimensions": ("publisher, 1 AS x",)}),
        ("dimensions", {"dimensions": (Dimension.COUNTRY, Dimension.COUNTRY)}),
        ("granularity", {"granularity": "hour"}),
        ("campaign", {"campaign": -1}),
        ("campaign", {"campaign": 2**32}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": MAX_LIMIT + 1}),
        ("from_ms", {"from_ms": -1}),
        ("to_ms", {"to_ms": 2**48 + 1}),
        ("to_ms", {"from_ms": 10, "to_ms": 9}),
        ("tree_size", {"tree_size": -1}),
    ],
)
def test_report_query__out_of_range__named_in_the_error(field: str, changes: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidInput) as caught:
        ReportQuery(**({"campaign": 1} | changes))
    assert caught.value.field == field

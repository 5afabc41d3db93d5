"""Reports over small logs, checked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from adtally.analytics.currencies import AttributedValue, FxRate, Token
from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.analytics.intervals import Granularity
from adtally.analytics.query import Dimension, ReportQuery
from adtally.analytics.report import report
from adtally.errors import InvalidInput, Overloaded, StorageCorrupt, TooLarge
from adtally.events.record import DeviceClass, EventType
from adtally.events.verdict import Verdict
from adtally.types import UINT48_MAX, UINT80_MAX, Counts, Rates

USDX = Token("USDX", 6, 840)
HOUR = 3_600_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def test_report__empty_log__a_total_of_nothing(dataset) -> None:  # type: ignore[no-untyped-def]
    found = report(dataset, ReportQuery(1, (Dimension.COUNTRY,), Granularity.DAY), USDX)
    assert found.rows == ()
    assert found.total.counts == Counts()
    assert (found.total.spend_base_units, found.total.spend_milli_base_units) == (0, 0)
    assert found.total.values == ()
    assert (found.tree_size, found.as_of_ms) == (0, None)
    assert found.total.metrics["ctr"].value is None


def test_report__by_publisher__counts_spend_and_other_campaigns_left_out(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    log.add([make_event(publisher=2), make_event(publisher=2), make_event(publisher=3)], 1)
    log.add([make_event(EventType.CLICK, publisher=3), make_event(campaign=7)], 2)
    deriver.catch_up()
    found = report(dataset, ReportQuery(1, (Dimension.PUBLISHER,)), USDX)
    assert [(row.dimensions, row.counts) for row in found.rows] == [
        ({"publisher": 2}, Counts(impressions=2)),
        ({"publisher": 3}, Counts(impressions=1, clicks=1)),
    ]
    assert [row.spend_milli_base_units for row in found.rows] == [5_000, 13_500]
    assert [row.spend_base_units for row in found.rows] == [5, 13]
    assert found.total.spend_milli_base_units == 18_500
    # 18.5 base units are owed, but each line is floored: 5 + 13.
    assert found.total.spend_base_units == 18
    assert found.total.interval is None


def test_report__rows_of_a_publisher__floored_each_but_the_total_once(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    log.add([make_event(country="DE"), make_event(country="FR")], 1)
    deriver.catch_up()
    found = report(dataset, ReportQuery(1, (Dimension.COUNTRY,)), USDX)
    assert [row.spend_base_units for row in found.rows] == [2, 2]
    assert found.total.spend_base_units == 5


def test_report__verdicts__gross_general_invalid_and_net(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    verdicts = [
        Verdict.ACCEPTED,
        Verdict.KNOWN_BOT,
        Verdict.KNOWN_BOT,
        Verdict.DATA_CENTER,
        Verdict.DUPLICATE,
    ]
    log.add([make_event(verdict=verdict) for verdict in verdicts], 1)
    log.add([make_event(EventType.CLICK, verdict=Verdict.PARENT_ALREADY_USED)], 2)
    deriver.catch_up()
    found = report(dataset, ReportQuery(1), USDX).total
    assert list(found.gross_to_net.by_verdict.items()) == [
        ("accepted", Counts(impressions=1)),
        ("duplicate", Counts(impressions=1)),
        ("known_bot", Counts(impressions=2)),
        ("data_center", Counts(impressions=1)),
        ("parent_already_used", Counts(clicks=1)),
    ]
    assert found.gross_to_net.gross == Counts(impressions=5, clicks=1)
    assert found.gross_to_net.general_invalid == Counts(impressions=3)
    assert found.gross_to_net.net == found.counts == Counts(impressions=1)
    assert found.spend_milli_base_units == 2_500


def test_report__devices__by_their_names(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event(device=device) for device in DeviceClass], 1)
    deriver.catch_up()
    rows = report(dataset, ReportQuery(1, (Dimension.DEVICE,)), USDX).rows
    assert [row.dimensions["device"] for row in rows] == [kind.label for kind in DeviceClass]


def test_report__tree_size__only_the_first_entries(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event(), make_event()], 5)
    size = log.size
    log.add([make_event()], 9)
    deriver.catch_up()
    found = report(dataset, ReportQuery(1, tree_size=size), USDX, as_of_ms=99)
    assert found.total.counts == Counts(impressions=2)
    assert (found.tree_size, found.as_of_ms) == (size, 5)
    assert report(dataset, ReportQuery(1), USDX, as_of_ms=99).as_of_ms == 99
    assert report(dataset, ReportQuery(1, tree_size=0), USDX).total.counts == Counts()


def test_report__tree_size_not_derived_yet__overloaded(log, make_event, dataset) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Overloaded):
        report(dataset, ReportQuery(1, tree_size=1), USDX)


def test_report__hours_in_berlin__repeated_hour_twice_in_order(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    start = ms("2026-10-25T00:00:00+00:00")
    log.add([make_event(at_ms=start + HOUR * n // 2) for n in range(4)], start + 2 * HOUR)
    deriver.catch_up()
    query = ReportQuery(1, granularity=Granularity.HOUR, zone="Europe/Berlin")
    intervals = [row.interval for row in report(dataset, query, USDX).rows]
    assert [interval.label for interval in intervals if interval] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ]
    assert [(i.start_ms, i.end_ms, i.is_partial) for i in intervals if i] == [
        (start, start + HOUR, False),
        (start + HOUR, start + 2 * HOUR, False),
    ]


def test_report__day_of_a_clock_change__one_row(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    first, last = ms("2026-10-25T00:00:00+02:00"), ms("2026-10-25T23:59:59+01:00")
    log.add([make_event(at_ms=first), make_event(at_ms=last), make_event(at_ms=last + 1_000)], last)
    deriver.catch_up()
    query = ReportQuery(1, granularity=Granularity.DAY, zone="Europe/Berlin")
    rows = report(dataset, query, USDX).rows
    assert [row.counts.impressions for row in rows] == [2, 1]
    assert [row.interval.label for row in rows if row.interval] == ["2026-10-25", "2026-10-26"]


def test_report__partial_intervals__cut_by_range_or_not_over(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    start = ms("2026-11-02T08:00:00+00:00")
    log.add([make_event(at_ms=start + HOUR * n // 2) for n in range(8)], start + 7 * HOUR // 2)
    deriver.catch_up()
    query = ReportQuery(
        1, granularity=Granularity.HOUR, from_ms=start + HOUR // 2, to_ms=start + 4 * HOUR
    )
    rows = report(dataset, query, USDX).rows
    assert [row.counts.impressions for row in rows] == [1, 2, 2, 2]
    flags = [row.interval.is_partial for row in rows if row.interval]
    assert flags == [True, False, False, True]
    later = report(dataset, query, USDX, as_of_ms=start + 9 * HOUR).rows
    assert [row.interval.is_partial for row in later if row.interval] == [True, False, False, False]


@pytest.mark.parametrize("granularity", list(Granularity))
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Niue", "Pacific/Kiritimati"])
def test_report__first_and_last_possible_times__rows_for_both(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset, granularity, zone
) -> None:
    log.add([make_event(at_ms=0), make_event(at_ms=UINT48_MAX)], 1)
    deriver.catch_up()
    rows = report(dataset, ReportQuery(1, granularity=granularity, zone=zone), USDX).rows
    first, last = (row.interval for row in rows)
    assert first is not None
    assert last is not None
    assert first.start_ms <= 0 < first.end_ms
    assert last.start_ms <= UINT48_MAX < last.end_ms


def test_report__values__per_currency_and_roas_by_a_dated_rate(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    sale = EventType.CONVERSION
    log.add(
        [
            make_event(sale, value_minor_units=2_000, currency=978),
            make_event(sale, value_minor_units=500, currency=978, publisher=3),
            make_event(sale, value_minor_units=300, currency=392),
            make_event(sale, value_minor_units=9, currency=978, verdict=Verdict.UNKNOWN_PARENT),
            make_event(sale),
        ],
        1,
    )
    deriver.catch_up()
    euro = FxRate(978, 840, Decimal("1.2"), date(2026, 11, 2), "ECB")
    yen = FxRate(840, 392, Decimal("150"), date(2026, 11, 2), "ECB")
    without = report(dataset, ReportQuery(1, (Dimension.PUBLISHER,)), USDX, fx=[euro])
    values = (AttributedValue(392, 300), AttributedValue(978, 2_500))
    assert without.total.values == values
    assert without.total.metrics["roas"].reason == "no exchange rate from JPY to USD"
    assert without.fx == (euro,)
    assert without.rows[1].values == (AttributedValue(978, 500),)
    found = report(dataset, ReportQuery(1), USDX, fx=[euro, yen]).total
    # 30 + 2 dollars earned for 4 conversions at 30 base units of a millionth dollar.
    assert found.metrics["roas"].value == Decimal("266666.666666666667")
    assert found.metrics["cpa"].value == 30


def test_report__more_rows_than_the_limit__truncated_but_total_whole(  # type: ignore[no-untyped-def]
    log, make_event, deriver, dataset
) -> None:
    log.add([make_event(placement=number) for number in range(5)], 1)
    deriver.catch_up()
    query = ReportQuery(1, (Dimension.PLACEMENT,), limit=3)
    found = report(dataset, query, USDX)
    assert [row.dimensions["placement"] for row in found.rows] == [0, 1, 2]
    assert found.is_truncated
    assert found.total.counts.impressions == 5
    whole = ReportQuery(1, (Dimension.PLACEMENT,), limit=5)
    assert not report(dataset, whole, USDX).is_truncated


def test_report__amounts_beyond_64_bits__exact_and_never_wrapped(  # type: ignore[no-untyped-def]
    log, make_event, tmp_path
) -> None:
    log.add([make_event(EventType.CONVERSION) for _ in range(1_000)], 1)
    dataset = Dataset(tmp_path / "parquet", "test log")
    Deriver(log, dataset, lambda c, p: Rates(per_conversion=UINT80_MAX)).catch_up()
    found = report(dataset, ReportQuery(1), Token("DAIX", 18, 840)).total
    assert found.spend_base_units == UINT80_MAX * 1_000
    assert found.spend_milli_base_units == UINT80_MAX * 1_000_000


def test_report__sum_beyond_127_bits__refused(log, make_event, tmp_path) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event(EventType.CONVERSION) for _ in range(3)], 1)
    dataset = Dataset(tmp_path / "parquet", "test log")
    Deriver(log, dataset, lambda c, p: Rates(per_conversion=9 * 10**34)).catch_up()
    with pytest.raises(TooLarge):
        report(dataset, ReportQuery(1), USDX)


def test_report__unreadable_part__storage_corrupt(log, make_event, deriver, dataset) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event()], 1)
    deriver.catch_up()
    dataset.parts[0].path.write_bytes(b"PAR1 not any more PAR1")
    with pytest.raises(StorageCorrupt):
        report(dataset, ReportQuery(1), USDX)


def test_report__unknown_zone__invalid_input(dataset) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput):
        report(dataset, ReportQuery(1, zone="Europe/Nowhere"), USDX)

"""A report equals a plain computation over the log's events, whatever log and query."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.analytics.currencies import Token
from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.analytics.intervals import Granularity
from adtally.analytics.query import Dimension, ReportQuery
from adtally.analytics.report import ReportRow, report
from adtally.events.batch import Envelope
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.facts import TimeFacts
from adtally.events.record import NO_PARENT, AdEvent, DeviceClass, EventType, new_event_id
from adtally.events.verdict import Verdict
from adtally.settlement.rates import event_amount_milli
from adtally.types import Counts, Rates

USDX = Token("USDX", 6, 840)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu")
HOUR_MS = 3_600_000

# Around clock changes of the zones above, and anywhere up to the year 9999.
changes = st.sampled_from([1_792_890_000_000, 1_775_314_800_000, 1_541_300_400_000])
times = st.one_of(
    st.builds(lambda at, by: at + by, changes, st.integers(-30 * HOUR_MS, 30 * HOUR_MS)),
    st.integers(0, 253_402_000_000_000),
)
small = st.integers(1, 3)
rates = st.builds(
    Rates, st.integers(0, 2**96 - 1), st.integers(0, 9), st.integers(0, 9), st.integers(0, 10**20)
)


@st.composite
def events(draw: st.DrawFn) -> AdEvent:
    kind = draw(st.sampled_from(EventType))
    at_ms = draw(times)
    is_sale = kind is EventType.CONVERSION and draw(st.booleans())
    return AdEvent(
        type=kind,
        campaign=draw(st.sampled_from((1, 1, 1, 2))),
        publisher=draw(small),
        placement=draw(small),
        creative=draw(small),
        id=new_event_id(at_ms, draw(st.binary(min_size=10, max_size=10))),
        occurred_at_ms=at_ms,
        parent_id=NO_PARENT if kind is EventType.IMPRESSION else b"p" * 16,
        country=draw(st.sampled_from(("DE", "FR", "ZZ"))),
        device=draw(st.sampled_from(DeviceClass)),
        value_minor_units=draw(st.integers(1, 2**64 - 1)) if is_sale else 0,
        currency=draw(st.sampled_from((392, 840, 978))) if is_sale else 0,
        verdict=draw(st.sampled_from([Verdict.ACCEPTED] * 20 + list(Verdict)[1:])),
    )


batches = st.lists(st.lists(events(), min_size=1, max_size=12), max_size=8)


@st.composite
def queries(draw: st.DrawFn) -> ReportQuery:
    ends = sorted(draw(st.tuples(times, times)))
    has_from, has_to = draw(st.tuples(st.booleans(), st.booleans()))
    return ReportQuery(
        campaign=1,
        dimensions=tuple(draw(st.lists(st.sampled_from(Dimension), unique=True))),
        granularity=draw(st.sampled_from((None, *Granularity))),
        from_ms=ends[0] if has_from else None,
        to_ms=ends[1] if has_to else None,
        zone=draw(st.sampled_from(ZONES)),
    )


class MemoryLog:
    def __init__(self, entries: list[bytes]) -> None:
        self.log = entries

    @property
    def size(self) -> int:
        return len(self.log)

    def entries(self, start: int, end: int) -> list[bytes]:
        return self.log[start:end]


def entries_of(
    groups: list[list[AdEvent]], picks: list[tuple[int, CorrectionReason]]
) -> tuple[list[bytes], list[Correction]]:
    """Batches with facts between them, then corrections that turn the picked records round."""
    log, records = [], []
    for number, group in enumerate(groups):
        log.append(TimeFacts(number).to_entry())
        log.append(Envelope(9, number + 1, len(group), number, bytes(20), bytes(65)).to_entry())
        records += range(len(log), len(log) + len(group))
        log += [event.to_record() for event in group]
    corrections = []
    counting: dict[int, bool] = {}
    for pick, reason in picks if records else []:
        index = records[pick % len(records)]
        verdict = AdEvent.from_record(log[index]).verdict
        counts = counting.get(index, verdict is Verdict.ACCEPTED)
        counting[index] = not counts
        at_ms = len(groups) + len(corrections)
        change = -1 if counts else 1
        corrections.append(Correction(at_ms, index, change, reason, log[index], "why"))
    return log + [each.to_entry() for each in corrections], corrections


def interval_key(at_ms: int, query: ReportQuery) -> tuple[object, ...]:
    if query.granularity is None:
        return ()
    local = (EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(query.zone))
    if query.granularity is Granularity.DAY:
        return (local.date(),)
    return (local.date(), local.hour, local.utcoffset())


def event_key(event: AdEvent, query: ReportQuery) -> tuple[object, ...]:
    values = (
        event.device.label if name is Dimension.DEVICE else getattr(event, name)
        for name in query.dimensions
    )
    return (*interval_key(event.occurred_at_ms, query), *values)


def row_key(row: ReportRow, query: ReportQuery) -> tuple[object, ...]:
    start = () if row.interval is None else interval_key(max(row.interval.start_ms, 0), query)
    return (*start, *row.dimensions.values())


def check_row(
    row: ReportRow, group: list[AdEvent], corrections: list[Correction], prices: Rates
) -> None:
    signed = [(event, 1) for event in group if event.verdict is Verdict.ACCEPTED]
    signed += [(each.event, each.change) for each in corrections]
    counts = _signed_counts(signed)
    assert row.counts == row.gross_to_net.net == counts
    assert dict(row.gross_to_net.corrections) == {
        reason.label: _signed_counts(
            [(each.event, each.change) for each in corrections if each.reason is reason]
        )
        for reason in {each.reason for each in corrections}
    }
    assert row.gross_to_net.gross == _counts(group)
    assert dict(row.gross_to_net.by_verdict) == {
        verdict.label: _counts([event for event in group if event.verdict is verdict])
        for verdict in {event.verdict for event in group}
    }
    lines: dict[int, int] = defaultdict(int)
    values: dict[int, int] = defaultdict(int)
    for event, sign in signed:
        lines[event.publisher] += sign * event_amount_milli(prices, event.type)
        if event.value_minor_units:
            values[event.currency] += sign * event.value_minor_units
    values = {currency: value for currency, value in values.items() if value}
    spend = sum(lines.values())
    assert row.spend_milli_base_units == spend
    assert row.spend_base_units == sum(line // 1000 for line in lines.values())
    assert [(value.currency, value.value_minor_units) for value in row.values] == sorted(
        values.items()
    )
    _check_ratio(row, "ctr", counts.clicks, counts.impressions)
    _check_ratio(row, "cvr", counts.conversions, counts.clicks)
    _check_ratio(row, "viewable_rate", counts.viewables, counts.impressions)
    _check_ratio(row, "ecpm", spend, counts.impressions)
    _check_ratio(row, "cpa", Fraction(spend, 1000), counts.conversions)
    if set(values) <= {840}:
        _check_ratio(row, "roas", Fraction(values.get(840, 0), 100), Fraction(spend, 10**9))
    else:
        assert row.metrics["roas"].value is None


def _check_ratio(
    row: ReportRow, name: str, numerator: Fraction | int, denominator: Fraction | int
) -> None:
    found = row.metrics[name]
    if denominator == 0:
        assert found.value is None
        assert found.reason is not None
        return
    assert found.value is not None
    exact = Fraction(numerator) / Fraction(denominator)
    assert abs(Fraction(found.value) - exact) <= exact / 10**17


def _counts(group: list[AdEvent]) -> Counts:
    return Counts(*(sum(event.type is kind for event in group) for kind in EventType))


def _signed_counts(signed: list[tuple[AdEvent, int]]) -> Counts:
    return Counts(
        *(sum(sign for event, sign in signed if event.type is kind) for kind in EventType)
    )


picks = st.lists(st.tuples(st.integers(0, 99), st.sampled_from(CorrectionReason)), max_size=12)


@given(batches, picks, queries(), rates, st.integers(0, 40), st.booleans())
@settings(max_examples=50, deadline=None)
def test_report__any_log_and_query__equals_a_plain_computation(
    groups: list[list[AdEvent]],
    chosen: list[tuple[int, CorrectionReason]],
    query: ReportQuery,
    prices: Rates,
    derived_first: int,
    in_two_rounds: bool,
) -> None:
    entries, corrections = entries_of(groups, chosen)
    with tempfile.TemporaryDirectory() as directory:
        dataset = Dataset(Path(directory) / "parquet", "property")
        log = MemoryLog(entries[:derived_first] if in_two_rounds else entries)
        deriver = Deriver(log, dataset, lambda campaign, publisher: prices)
        deriver.catch_up()
        log.log = entries
        assert deriver.catch_up() == len(entries)
        found = report(dataset, query, USDX)
    wanted: dict[tuple[object, ...], list[AdEvent]] = defaultdict(list)
    for event in (event for group in groups for event in group):
        inside = query.first_ms <= event.occurred_at_ms < query.last_ms
        if event.campaign == query.campaign and inside:
            wanted[event_key(event, query)].append(event)
    corrected: dict[tuple[object, ...], list[Correction]] = defaultdict(list)
    for correction in corrections:
        key = event_key(correction.event, query)
        if correction.event in wanted.get(key, ()):
            corrected[key].append(correction)
    keys = [row_key(row, query) for row in found.rows]
    if query.granularity is None and not query.dimensions:
        assert keys == []
    else:
        assert len(set(keys)) == len(keys)
        assert set(keys) == set(wanted)
        for row, key in zip(found.rows, keys, strict=True):
            check_row(row, wanted[key], corrected[key], prices)
            if row.interval is not None:
                assert all(
                    row.interval.start_ms <= event.occurred_at_ms < row.interval.end_ms
                    for event in wanted[key]
                )
    check_row(
        found.total,
        [event for group in wanted.values() for event in group],
        [correction for group in corrected.values() for correction in group],
        prices,
    )
    starts = [row.interval.start_ms for row in found.rows if row.interval is not None]
    assert starts == sorted(starts)
    milli = sum(row.spend_milli_base_units for row in found.rows)
    assert not found.rows or milli == found.total.spend_milli_base_units

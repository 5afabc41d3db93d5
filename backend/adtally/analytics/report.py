"""Campaign reports: what was counted, what it cost, and what became of the rest.

For a settled range (``tree_size`` of a statement, no time range) the total row equals the
statement to the unit: the same counts, and ``spend_base_units`` = ``lines_total_base_units``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from adtally.analytics.cells import INTERVAL_COLUMNS, Cells, Key, open_cells
from adtally.analytics.currencies import (
    AttributedValue,
    FxRate,
    FxTable,
    Token,
    revenue_in_token_currency,
)
from adtally.analytics.dataset import Dataset
from adtally.analytics.intervals import (
    Granularity,
    Interval,
    day_interval,
    hour_interval,
    interval_label,
    parse_zone,
)
from adtally.analytics.metrics import Basis, MetricValue, compute
from adtally.analytics.query import Dimension, ReportQuery
from adtally.errors import Overloaded
from adtally.events.correction import CorrectionReason
from adtally.events.record import DeviceClass, EventType
from adtally.events.verdict import Verdict
from adtally.types import Counts

GIVT_VERDICTS = frozenset({Verdict.KNOWN_BOT, Verdict.DATA_CENTER})
"""General invalid traffic (MRC): found by lists alone."""


@dataclass(frozen=True, slots=True)
class GrossToNet:
    """Every logged event by verdict, and what corrections changed afterwards.

    ``by_verdict`` and ``corrections`` hold the labels that occur, in code order. The counts of
    corrections are signed: made good less taken back, by reason.
    """

    by_verdict: Mapping[str, Counts]
    corrections: Mapping[str, Counts] = field(default_factory=dict)

    @property
    def gross(self) -> Counts:
        """All logged events."""
        return sum(self.by_verdict.values(), Counts())

    @property
    def general_invalid(self) -> Counts:
        """Known bots and data centers (GIVT)."""
        return sum((self.verdict(verdict) for verdict in GIVT_VERDICTS), Counts())

    @property
    def net(self) -> Counts:
        """What counts and bills: accepted, and corrected since."""
        return sum(self.corrections.values(), self.verdict(Verdict.ACCEPTED))

    def verdict(self, verdict: Verdict) -> Counts:
        return self.by_verdict.get(verdict.label, Counts())


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One group, or the total.

    Attributes:
        interval: None without granularity and in the total.
        dimensions: by name, in the query's order; empty in the total.
        counts: events that count: accepted, corrections included.
        spend_milli_base_units: exact; rows add up to the total.
        spend_base_units: the sum over the row's publishers of their amounts floored to base
            units, as a statement has it; so rows of one publisher's parts may add up to less
            than its line.
        values: attributed value of conversions that count per currency, by numeric code.
        metrics: the catalogue's metrics by name.
    """

    interval: Interval | None
    dimensions: Mapping[str, int | str]
    counts: Counts
    gross_to_net: GrossToNet
    spend_milli_base_units: int
    spend_base_units: int
    values: tuple[AttributedValue, ...]
    metrics: Mapping[str, MetricValue]


@dataclass(frozen=True, slots=True)
class Report:
    """Rows by interval and dimensions, and their total.

    Attributes:
        tree_size: the report is over the log's first ``tree_size`` entries.
        as_of_ms: the clock that partial intervals are judged by; None if nothing was received.
        is_truncated: there are more rows than the query's limit; the total has them all.
        fx: the exchange rates that were given.
    """

    query: ReportQuery
    token: Token
    tree_size: int
    as_of_ms: int | None
    rows: tuple[ReportRow, ...]
    total: ReportRow
    is_truncated: bool
    fx: tuple[FxRate, ...]


def report(
    dataset: Dataset,
    query: ReportQuery,
    token: Token,
    *,
    fx: Iterable[FxRate] = (),
    as_of_ms: int | None = None,
) -> Report:
    """Answer a query from the derived Parquet.

    Args:
        dataset: caught up to the query's tree size.
        query: which campaign, grouped how, over which range.
        token: the campaign's.
        fx: dated rates from the currencies of conversions to the token's; ROAS is None without.
        as_of_ms: the present; without it, or with a tree size, received-at of the last event.

    Raises:
        InvalidInput: unknown zone or unusable exchange rate.
        Overloaded: the dataset has not reached the query's tree size yet.
        StorageCorrupt: the derived files can't be read.
    """
    zone = parse_zone(query.zone)
    table = FxTable(fx)
    size = dataset.size
    tree_size = size if query.tree_size is None else query.tree_size
    if tree_size > size:
        raise Overloaded(f"analytics have derived {size} of {tree_size} log entries")
    with open_cells(dataset, query, zone, tree_size) as (cells, last_received_at_ms):
        # An older tree size knows nothing of what has arrived since.
        is_past = as_of_ms is None or query.tree_size is not None
        as_of = last_received_at_ms if is_past else as_of_ms
        keys = cells.groups()
        shown = keys[: query.limit]
        drafts: dict[Key, _Draft] = {key: _Draft() for key in shown}
        if shown:
            _collect(drafts, cells, total=False)
        total: dict[Key, _Draft] = {(): _Draft()}
        _collect(total, cells, total=True)
    rows = tuple(drafts[key].row(*_named(key, query, zone, as_of), token, table) for key in shown)
    return Report(
        query=query,
        token=token,
        tree_size=tree_size,
        as_of_ms=as_of,
        rows=rows,
        total=total[()].row(None, {}, token, table),
        is_truncated=len(keys) > len(shown),
        fx=table.rates,
    )


@dataclass(slots=True)
class _Draft:
    """A row while its cells come in."""

    events: dict[Verdict, dict[EventType, int]] = field(default_factory=dict)
    corrections: dict[CorrectionReason, dict[EventType, int]] = field(default_factory=dict)
    milli_base_units: int = 0
    base_units: int = 0
    values: list[AttributedValue] = field(default_factory=list)

    def row(
        self,
        interval: Interval | None,
        dimensions: Mapping[str, int | str],
        token: Token,
        fx: FxTable,
    ) -> ReportRow:
        gross_to_net = GrossToNet(
            {verdict.label: _counts(self.events[verdict]) for verdict in sorted(self.events)},
            {
                reason.label: _counts(self.corrections[reason])
                for reason in sorted(self.corrections)
            },
        )
        values = tuple(self.values)
        revenue = revenue_in_token_currency(values, token, fx)
        return ReportRow(
            interval=interval,
            dimensions=dimensions,
            counts=gross_to_net.net,
            gross_to_net=gross_to_net,
            spend_milli_base_units=self.milli_base_units,
            spend_base_units=self.base_units,
            values=values,
            metrics=compute(Basis(gross_to_net.net, self.milli_base_units, revenue, token)),
        )


def _collect(drafts: dict[Key, _Draft], cells: Cells, *, total: bool) -> None:
    for events in cells.events(total=total):
        if events.key not in drafts:
            continue
        draft = drafts[events.key]
        if events.reason is None:
            draft.events.setdefault(events.verdict, {})[events.type] = events.count
        else:
            by_type = draft.corrections.setdefault(events.reason, {})
            # Records of several verdicts may have been corrected for one reason.
            by_type[events.type] = by_type.get(events.type, 0) + events.count
    for spend in cells.spend(total=total):
        if spend.key in drafts:
            drafts[spend.key].milli_base_units = spend.milli_base_units
            drafts[spend.key].base_units = spend.base_units
    for value in cells.values(total=total):
        if value.key in drafts:
            drafts[value.key].values.append(
                AttributedValue(value.currency, value.value_minor_units)
            )


def _counts(by_type: Mapping[EventType, int]) -> Counts:
    return Counts(
        by_type.get(EventType.IMPRESSION, 0),
        by_type.get(EventType.VIEWABLE, 0),
        by_type.get(EventType.CLICK, 0),
        by_type.get(EventType.CONVERSION, 0),
    )


def _named(
    key: Key, query: ReportQuery, zone: ZoneInfo, as_of_ms: int | None
) -> tuple[Interval | None, dict[str, int | str]]:
    interval = None
    if query.granularity is not None:
        number, offset, *rest = key
        interval = _interval(int(number), int(offset), query, zone, as_of_ms)
        key = tuple(rest)
    return interval, {
        name.value: DeviceClass(int(value)).label if name is Dimension.DEVICE else value
        for name, value in zip(query.dimensions, key, strict=True)
    }


def _interval(
    number: int, offset: int, query: ReportQuery, zone: ZoneInfo, as_of_ms: int | None
) -> Interval:
    granularity = query.granularity or Granularity.DAY
    start, end = (
        hour_interval(zone, number, offset)
        if granularity is Granularity.HOUR
        else day_interval(zone, number)
    )
    is_cut = start < query.first_ms or end > query.last_ms
    is_running = as_of_ms is None or end > as_of_ms
    return Interval(start, end, interval_label(zone, start, granularity), is_cut or is_running)


assert len(INTERVAL_COLUMNS) == 2

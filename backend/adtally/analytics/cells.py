"""The SQL of a report: one scan of the Parquet into cells, then sums over the cells.

Money is added as integers of 128 bits (``DECIMAL(38,0)``, ``HUGEINT``), which DuckDB checks for
overflow. Names in the SQL text come from ``Dimension`` and from this file alone; every value is
a bound parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from adtally.analytics.arrow import pa
from adtally.analytics.columns import SCHEMA
from adtally.analytics.dataset import Dataset
from adtally.analytics.intervals import (
    DAY_MS,
    HOUR_MS,
    Granularity,
    day_segments,
)
from adtally.analytics.query import ReportQuery
from adtally.errors import StorageCorrupt, TooLarge
from adtally.events.correction import CorrectionReason
from adtally.events.record import EventType
from adtally.events.verdict import Verdict
from adtally.settlement.rates import MILLI

Key = tuple[int | str, ...]
"""Values of a group's columns; ``()`` is the total."""

INTERVAL_COLUMNS = ("interval_number", "interval_offset_ms")

_THREADS = 2
_MEMORY_LIMIT = "1GB"
_PAD_DAYS = 2
"""Keeps local times of early 1970 positive: SQL's integer division truncates."""

_FILTER = (
    "campaign = $campaign AND leaf_index < $tree_size "
    "AND occurred_at_ms >= $from_ms AND occurred_at_ms < $to_ms"
)


@dataclass(frozen=True, slots=True)
class EventCell:
    """Number of events of one type and verdict in a group.

    ``reason`` None: of records. Else of corrections: made good less taken back.
    """

    key: Key
    verdict: Verdict
    type: EventType
    reason: CorrectionReason | None
    count: int


@dataclass(frozen=True, slots=True)
class SpendCell:
    """Spend of a group: exact, and as the sum of its publishers' floored amounts."""

    key: Key
    milli_base_units: int
    base_units: int


@dataclass(frozen=True, slots=True)
class ValueCell:
    """Attributed value of a group in one currency."""

    key: Key
    currency: int
    value_minor_units: int


class Cells:
    """One query's groups. Use inside ``open_cells``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, query: ReportQuery) -> None:
        self._connection = connection
        interval = INTERVAL_COLUMNS if query.granularity else ()
        self.columns: tuple[str, ...] = (*interval, *query.dimensions)

    def groups(self) -> list[Key]:
        """The groups in order, at most one more than the query's limit."""
        if not self.columns:
            return []
        return self._rows("SELECT * EXCLUDE (place) FROM groups ORDER BY place")

    def events(self, *, total: bool = False) -> Iterator[EventCell]:
        """Counts by verdict, type and correction, of every group or of all together."""
        keys, source = self._source(total)
        rows = self._rows(
            f"SELECT verdict, type, correction, sum(count){keys} FROM {source} GROUP BY ALL"
        )
        for verdict, kind, code, count, *key in rows:
            reason = CorrectionReason(code) if code else None
            yield EventCell(tuple(key), Verdict(verdict), EventType(kind), reason, count)

    def spend(self, *, total: bool = False) -> Iterator[SpendCell]:
        """Spend, of every group or of all together."""
        keys, source = self._source(total)
        rows = self._rows(
            f"SELECT sum(milli), sum(milli // {MILLI}){keys} FROM ("
            f"SELECT sum(milli) AS milli, line{keys} FROM {source} GROUP BY ALL"
            f") GROUP BY ALL HAVING count(*) > 0"
        )
        for milli, base_units, *key in rows:
            yield SpendCell(tuple(key), milli, base_units)

    def values(self, *, total: bool = False) -> Iterator[ValueCell]:
        """Attributed values, of every group or of all together, by ascending currency."""
        keys, source = self._source(total)
        rows = self._rows(
            f"SELECT currency, sum(value){keys} FROM {source} "
            "WHERE currency IS NOT NULL GROUP BY ALL HAVING sum(value) <> 0 ORDER BY currency"
        )
        for currency, value, *key in rows:
            yield ValueCell(tuple(key), currency, value)

    def _source(self, total: bool) -> tuple[str, str]:
        """The group columns as they follow others in a SELECT, and where to select from."""
        if total or not self.columns:
            return "", "cells"
        columns = "".join(f", {name}" for name in self.columns)
        return columns, f"cells SEMI JOIN groups USING ({', '.join(self.columns)})"

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def build(self, parameters: dict[str, int], zone: ZoneInfo, query: ReportQuery) -> None:
        """Scan the events once and keep what the report needs of them."""
        unit = {None: 0, Granularity.HOUR: HOUR_MS, Granularity.DAY: DAY_MS}[query.granularity]
        join = offset = ""
        if query.granularity:
            self._build_offsets(parameters, zone)
            join = (
                f"JOIN offsets ON occurred_at_ms // {DAY_MS} = utc_day "
                "AND occurred_at_ms >= start_ms AND occurred_at_ms < end_ms"
            )
            number = (
                f"(occurred_at_ms + offset_ms + {_PAD_DAYS * DAY_MS}) // {unit} "
                f"- {_PAD_DAYS * DAY_MS // unit} AS interval_number"
            )
            # Only hours can occur twice; a day is one date whatever its offsets.
            kept = "offset_ms" if query.granularity is Granularity.HOUR else "0"
            offset = f"{number}, {kept}::BIGINT AS interval_offset_ms, "
        dimensions = "".join(f"{name}, " for name in query.dimensions)
        value = f"change <> 0 AND type = {EventType.CONVERSION:d}"
        self._connection.execute(
            f"CREATE TEMP TABLE cells AS SELECT {offset}{dimensions}"
            "publisher AS line, verdict, type, correction, "
            f"CASE WHEN {value} AND value_minor_units > 0 THEN currency END AS currency, "
            "sum(CASE WHEN correction = 0 THEN 1 ELSE change END) AS count, "
            "sum(amount_milli)::HUGEINT AS milli, "
            "sum(value_minor_units::HUGEINT * change) AS value "
            f"FROM events {join} WHERE {_FILTER} GROUP BY ALL",
            parameters,
        )
        if self.columns:
            started = (
                [f"interval_number * {unit} - interval_offset_ms"] if query.granularity else []
            )
            order = ", ".join([*started, *query.dimensions])
            self._connection.execute(
                f"CREATE TEMP TABLE groups AS SELECT *, row_number() OVER (ORDER BY {order}) "
                f"AS place FROM (SELECT DISTINCT {', '.join(self.columns)} FROM cells) "
                f"QUALIFY place <= {query.limit + 1:d}"
            )

    def _build_offsets(self, parameters: dict[str, int], zone: ZoneInfo) -> None:
        days = self._connection.execute(
            f"SELECT DISTINCT occurred_at_ms // {DAY_MS} FROM events WHERE {_FILTER}", parameters
        ).fetchall()
        segments = day_segments(zone, (day for (day,) in days))
        columns = {
            name: pa.array([getattr(segment, name) for segment in segments], type=pa.int64())
            for name in ("utc_day", "start_ms", "end_ms", "offset_ms")
        }
        self._connection.register("offsets", pa.table(columns))


@contextmanager
def open_cells(
    dataset: Dataset, query: ReportQuery, zone: ZoneInfo, tree_size: int
) -> Iterator[tuple[Cells, int | None]]:
    """The query's cells, and received-at of the last event among the first ``tree_size``.

    Raises:
        StorageCorrupt: the derived files can't be read.
        TooLarge: a sum of money is beyond any real budget.
    """
    parameters = {
        "campaign": query.campaign,
        "tree_size": tree_size,
        "from_ms": query.first_ms,
        "to_ms": query.last_ms,
    }
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": _THREADS,
        "memory_limit": _MEMORY_LIMIT,
        "temp_directory": str(dataset.directory.parent / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with dataset.reading() as parts, duckdb.connect(":memory:", config=config) as connection:
        try:
            _attach(connection, [str(part.path) for part in parts if part.first < tree_size])
            cells = Cells(connection, query)
            cells.build(parameters, zone, query)
            (last,) = connection.execute(
                "SELECT max(received_at_ms) FROM events "
                "WHERE leaf_index < $tree_size AND correction = 0",
                {"tree_size": tree_size},
            ).fetchone() or (None,)
            yield cells, last
        except duckdb.OutOfRangeException as error:
            raise TooLarge(
                "a sum of the report does not fit 127 bits",
                field="spend",
                expected="amounts below 1.7e38 thousandths of a base unit",
                found=str(error).splitlines()[0],
                action="narrow the range",
            ) from error
        except duckdb.Error as error:
            raise StorageCorrupt(
                "the derived files can't be read",
                field=str(dataset.directory),
                expected="Parquet parts written by this version",
                found=str(error).splitlines()[0],
                action="delete the directory; it is derived again from the log",
            ) from error


def _attach(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Make the parts' rows available as ``events``."""
    if files:
        relation = connection.read_parquet(list(files))
        relation.create_view("events")
    else:
        connection.register("events", SCHEMA.empty_table())

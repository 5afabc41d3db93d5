"""The soak's table and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rich import box
from rich.console import Console
from rich.table import Table
from scripts.figures import Figure, Figures, Json, Part

from .probe import Probe
from .sender import Log
from .windows import Bounds, Verdict, Window

_MIB = 2**20


@dataclass(slots=True)
class Result:
    """Everything that a run found.

    Attributes:
        warm_up: seconds before the first window.
        attestors: their probes at the end of each window.
        audit: one line: what agreed, or what stood in its place.
    """

    seconds: float
    rate: int
    warm_up: float
    windows: list[Window]
    verdict: Verdict
    bounds: Bounds
    log: Log
    attestors: list[list[Probe]]
    audit: str = ""
    drain_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def show(windows: Sequence[Window], console: Console) -> None:
    """A line for each window."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in (
        *("from s", "events/s", "p50 ms", "p99 ms", "late p99", "503", "own MiB", "RSS MiB"),
        *("files", "anchors", "behind", "statements", "payments", "disk B/event"),
    ):
        table.add_column(name, justify="right")
    for each in windows:
        table.add_row(*_cells(each))
    console.print(table)


def _cells(each: Window) -> list[str]:
    cells = [
        f"{each.start:.0f}",
        f"{each.events_per_second:,.0f}",
        f"{each.p50_ms:.1f}",
        f"{each.p99_ms:.1f}",
        f"{each.late_p99_ms:.0f}",
        str(each.pushed_back),
        f"{each.anonymous_bytes / _MIB:.1f}",
        f"{each.resident_bytes / _MIB:.1f}",
        str(each.open_files),
    ]
    tally = each.tally
    if tally is None:
        return [*cells, *["-"] * 5]
    return [
        *cells,
        str(tally.anchors),
        f"{tally.tree_size - tally.anchored_size:,}",
        str(tally.statements),
        str(tally.payments),
        f"{tally.disk_bytes / tally.tree_size:.0f}",
    ]


def part(result: Result) -> Part:
    """The figures, with everything else as details."""
    details: Json = {
        "soak": {
            "seconds": result.seconds,
            "offered_events_per_second": result.rate,
            "warm_up_seconds": result.warm_up,
            "drain_seconds": round(result.drain_seconds, 1),
            "bounds": asdict(result.bounds),
            "windows": [asdict(each) for each in result.windows],
            "verdicts": dict(sorted(result.log.verdicts.items())),
            "batches": {kind.value: count for kind, count in result.log.batches.items()},
            "audit": result.audit,
        },
        "notes": result.notes,
    }
    return Part(_figures(result), details, result.problems)


def _figures(result: Result) -> Figures:
    found, last = result.verdict, result.windows[-1].tally
    measured = f"{len(result.windows)} windows after {result.warm_up:.0f} s of warm-up"
    figures = {
        "soak.events": Figure(result.log.events, "events", "acknowledged, warm-up included"),
        "soak.events_per_second": Figure(
            round(found.rate_median, 1), "1/s", f"median of {measured}; the rate was given"
        ),
        "soak.rate_spread_percent": Figure(
            round(100 * found.rate_spread, 2), "%", f"farthest from their median of {measured}"
        ),
        "soak.memory_growth_bytes_per_minute": Figure(
            round(found.memory_bytes_per_minute),
            "bytes/min",
            f"the service's anonymous memory, Theil-Sen slope of the medians of {measured}",
        ),
        "soak.memory_bytes": Figure(
            round(result.windows[-1].anonymous_bytes), "bytes", "the same, in the last window"
        ),
        "soak.p99_first_ms": Figure(
            round(found.first_p99_ms, 2), "ms", "batches of 1 to 1,000, first third of the windows"
        ),
        "soak.p99_last_ms": Figure(round(found.last_p99_ms, 2), "ms", "the same, last third"),
        "soak.p99_ratio_last_to_first": Figure(round(found.p99_ratio, 3), "x", "of these two"),
        "soak.pushed_back": Figure(len(result.log.pushed_back), "answers", "503, batch sent again"),
    }
    if last is not None:
        figures |= {
            "soak.anchors": Figure(last.anchors, "anchors", "final, at the end of the traffic"),
            "soak.statements": Figure(last.statements, "statements", "settled, likewise"),
            "soak.payments": Figure(last.payments, "payments", "final, likewise"),
            "soak.disk_bytes_per_event": Figure(
                round(last.disk_bytes / last.tree_size, 1),
                "bytes",
                "log, tree, archive, snapshots, Parquet, database and space taken ahead",
            ),
        }
    growth = attestor_bytes_per_entry(result)
    if growth is not None:
        figures["soak.attestor_bytes_per_entry"] = Figure(
            round(growth, 1), "bytes", "anonymous memory of an attestor, last window to first"
        )
    return figures


def attestor_bytes_per_entry(result: Result) -> float | None:
    """How an attestor's memory grows with the log, mean of them; None without attestors."""
    sizes = [each.tally.anchored_size for each in result.windows if each.tally is not None]
    if len(sizes) < 2 or not result.attestors[0] or sizes[-1] == sizes[0]:
        return None
    pairs = zip(result.attestors[0], result.attestors[-1], strict=True)
    grown = sum(last.anonymous_bytes - first.anonymous_bytes for first, last in pairs)
    return grown / len(result.attestors[0]) / (sizes[-1] - sizes[0])

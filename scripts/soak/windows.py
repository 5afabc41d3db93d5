"""The arithmetic of steady state: windows, slopes, thirds and bounds. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

from .probe import Probe
from .sender import Ack

MAX_WARM_UP_SECONDS = 120.0
MAX_WINDOW_SECONDS = 30.0
JUDGED_FROM_SECONDS = 300.0
"""Shorter runs end before memory has settled: growth is told, not judged."""

STANDSTILL_SECONDS = 5.0
"""Between two looks that are meant to be a second apart."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What stood in the service's documents at the end of a window, all of it cumulative."""

    tree_size: int
    anchored_size: int
    anchors: int
    statements: int
    payments: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen from ``start`` to ``end``, seconds of the run."""

    start: float
    end: float
    events: int
    batches: int
    p50_ms: float
    p99_ms: float
    late_p99_ms: float
    anonymous_bytes: float
    resident_bytes: float
    open_files: int
    pushed_back: int
    tally: Tally | None = None

    @property
    def events_per_second(self) -> float:
        return self.events / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is still called steady.

    Attributes:
        rate_spread: of a window's rate from the median, as a share of it.
        memory_bytes_per_minute: slope of anonymous memory.
        p99_ratio: of the last third to the first.
        p99_noise_ms: a smaller difference is none.
        open_files: more than at the start of the measured time.
    """

    rate_spread: float = 0.15
    memory_bytes_per_minute: float = 2 * 2**20
    p99_ratio: float = 1.5
    p99_noise_ms: float = 10.0
    open_files: int = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the windows come to; latencies in ms."""

    rate_median: float
    rate_spread: float
    memory_bytes_per_minute: float
    first_p99_ms: float
    last_p99_ms: float
    open_files_growth: int

    @property
    def p99_ratio(self) -> float:
        return self.last_p99_ms / self.first_p99_ms if self.first_p99_ms else 1.0


def spans(seconds: float) -> tuple[float, list[tuple[float, float]]]:
    """The warm-up of a run, and its windows: at least six, of half a minute at most."""
    warm_up = min(MAX_WARM_UP_SECONDS, seconds / 5)
    count = max(math.ceil((seconds - warm_up) / MAX_WINDOW_SECONDS), 6)
    length = (seconds - warm_up) / count
    return warm_up, [(warm_up + at * length, warm_up + (at + 1) * length) for at in range(count)]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them stay at or under (nearest rank); 0.0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(math.ceil(round(share * len(ordered), 6)), 1) - 1]


def window(
    span: tuple[float, float],
    acks: Sequence[Ack],
    pushed_back: Sequence[float],
    probes: Sequence[Probe],
    tally: Tally | None = None,
) -> Window:
    """What falls into a span: its start included, its end not."""
    start, end = span
    own = [ack for ack in acks if start <= ack.at < end]
    seen = [probe for probe in probes if start <= probe.at < end]
    return Window(
        start=start,
        end=end,
        events=sum(ack.events for ack in own),
        batches=len(own),
        p50_ms=percentile([ack.latency_ms for ack in own], 0.5),
        p99_ms=percentile([ack.latency_ms for ack in own], 0.99),
        late_p99_ms=percentile([ack.late_ms for ack in own], 0.99),
        anonymous_bytes=median(probe.anonymous_bytes for probe in seen) if seen else 0.0,
        resident_bytes=median(probe.resident_bytes for probe in seen) if seen else 0.0,
        open_files=max((probe.open_files for probe in seen), default=0),
        pushed_back=sum(start <= at < end for at in pushed_back),
        tally=tally,
    )


def standstills(probes: Sequence[Probe]) -> list[tuple[float, float]]:
    """Where nobody looked for seconds: the machine was suspended, or hopelessly busy."""
    return [
        (before.at, after.at)
        for before, after in pairwise(probes)
        if after.at - before.at > STANDSTILL_SECONDS
    ]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen's slope: the median of the slopes of all pairs; one outlier changes nothing."""
    return median(_slopes(points)) if len(points) > 1 else 0.0


def _slopes(points: Sequence[tuple[float, float]]) -> Iterator[float]:
    for (x1, y1), (x2, y2) in combinations(points, 2):
        if x1 != x2:
            yield (y2 - y1) / (x2 - x1)


def thirds(windows: Sequence[Window]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The first and the last third of the measured time."""
    start, end = windows[0].start, windows[-1].end
    third = (end - start) / 3
    return (start, start + third), (end - third, end)


def verdict(windows: Sequence[Window], acks: Sequence[Ack]) -> Verdict:
    """What the windows, all of them after the warm-up, come to."""
    rates = [each.events_per_second for each in windows]
    rate = median(rates)
    memory = [((each.start + each.end) / 120, each.anonymous_bytes) for each in windows]
    first, last = (
        percentile([ack.latency_ms for ack in acks if start <= ack.at < end], 0.99)
        for start, end in thirds(windows)
    )
    return Verdict(
        rate_median=rate,
        rate_spread=max(abs(each - rate) for each in rates) / rate if rate else 1.0,
        memory_bytes_per_minute=slope(memory),
        first_p99_ms=first,
        last_p99_ms=last,
        open_files_growth=windows[-1].open_files - windows[0].open_files,
    )


def broken(found: Verdict, bounds: Bounds, judges_growth: bool) -> list[str]:
    """The bounds that are broken, in words; growth is judged only where it says something."""
    problems = []
    if found.rate_spread > bounds.rate_spread:
        problems.append(
            f"the rate of a window is {found.rate_spread:.0%} from the median, "
            f"allowed are {bounds.rate_spread:.0%}"
        )
    if not judges_growth:
        return problems
    if found.memory_bytes_per_minute > bounds.memory_bytes_per_minute:
        problems.append(
            f"the service's memory grows by {found.memory_bytes_per_minute:,.0f} bytes a minute, "
            f"allowed are {bounds.memory_bytes_per_minute:,.0f}"
        )
    is_noise = found.last_p99_ms - found.first_p99_ms <= bounds.p99_noise_ms
    if found.p99_ratio > bounds.p99_ratio and not is_noise:
        problems.append(
            f"the 99th percentile went from {found.first_p99_ms:.1f} to {found.last_p99_ms:.1f} "
            f"ms, allowed is a factor of {bounds.p99_ratio}"
        )
    if found.open_files_growth > bounds.open_files:
        problems.append(f"{found.open_files_growth} more files are open than at first")
    return problems

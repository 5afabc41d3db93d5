"""What one part of the bench found: figures, and notes on what could not be measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scripts.figures import Figure, Figures

NOT_QUIET = "the machine was not quiet"
"""How the note begins that says that others used the machine."""


@dataclass(slots=True)
class Sheet:
    """Figures under dotted names; both kinds of lines are printed as they come."""

    figures: Figures = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, name: str, value: float, how: str, unit: str = "1/s") -> None:
        """Add a figure, with as many digits as mean something."""
        if name in self.figures:
            raise ValueError(f"there is a figure {name} already")
        rounded = round(value) if value >= 1_000 else round(value, 2)
        self.figures[name] = Figure(rounded, unit, how)
        print(f"{name} = {rounded:,} {unit}", flush=True)

    def note(self, text: str) -> None:
        """Say what is missing, and why."""
        self.notes.append(text)
        print(f"note: {text}", flush=True)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure over another of the same run.

    Args:
        over: names of figures of adtally; the largest that is there is taken.
        under: the figure it is divided by.
    """

    name: str
    over: tuple[str, ...]
    under: str


_BEST = ("ingest.binary_events_per_second",)
# A single hit and a batch of one are both an event that came in a request of its own.
_SINGLE = ("ingest.hits_per_second", "ingest.binary_1.events_per_second")

RATIOS = (
    Ratio("ingest.ratio_naive", _BEST, "naive.events_per_second"),
    Ratio("ingest.ratio_naive_single", _SINGLE, "naive.single_events_per_second"),
    Ratio("ingest.ratio_plain", _BEST, "ingest.plain.events_per_second"),
    Ratio("ingest.ratio_sha256_limit", _BEST, "limit.sha256_per_second"),
    Ratio("ingest.ratio_http_body_limit", _BEST, "limit.http_body_events_per_second"),
    Ratio("ingest.ratio_tessera_single", _SINGLE, "tessera.single_events_per_second"),
    Ratio("ingest.ratio_tessera_best", _BEST, "tessera.best_events_per_second"),
    Ratio("ingest.ratio_tessera_in_process", _BEST, "tessera.in_process_events_per_second"),
)


def ratios(figures: Mapping[str, Figure], wanted: Iterable[Ratio] = RATIOS) -> Sheet:
    """The ratios whose figures are there, and a note for each of the others."""
    sheet = Sheet()
    for ratio in wanted:
        over = [name for name in ratio.over if name in figures]
        if not over or ratio.under not in figures:
            missing = ratio.under if over else " or ".join(ratio.over)
            sheet.note(f"{ratio.name} is absent: {missing} was not measured")
            continue
        best = max(over, key=lambda name: figures[name].value)
        value = figures[best].value / figures[ratio.under].value
        sheet.put(ratio.name, value, f"{best} to {ratio.under}", "x")
    return sheet

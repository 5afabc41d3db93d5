"""Measures intake: ``python -m scripts.bench``, or ``make bench``; build/bench/report.json.

The server has one core, the load another. Every rate is of events that were on disk, judged, hashed
into the tree, priced and signed for before their 200. Machines differ: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from scripts.figures import Figures, Part, commit, report_json, write_json

from .others import Others
from .parts import audit, hits, intake, limits, naive, proof, raw_http, recovery, tessera
from .sheet import NOT_QUIET, Sheet, ratios
from .stage import BUILD, ROOT, Stage

PARTS: dict[str, Callable[[Stage], Sheet]] = {
    "limits": limits.measure,
    "http": raw_http.measure,
    "intake": intake.measure,
    "hits": hits.measure,
    "recovery": recovery.measure,
    "audit": audit.measure,
    "proof": proof.measure,
    "naive": naive.measure,
    "tessera": tessera.measure,
}

_QUIET = 0.1
"""Share of all cores that others may use on a machine that is called quiet."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="measure one part and write nothing")
    only = parser.parse_args().only
    BUILD.mkdir(parents=True, exist_ok=True)
    if only:
        PARTS[only](Stage())
        return 0
    sheets: list[Sheet] = []
    seconds: dict[str, int] = {}
    shares: dict[str, float | None] = {}
    for name, measure in PARTS.items():
        others, started = Others(), time.monotonic()
        sheets.append(measure(Stage()))
        seconds[name] = round(time.monotonic() - started)
        shares[name] = others.share()
    sheets.append(_circumstances(shares))
    report = _report(sheets, seconds)
    write_json(BUILD / "report.json", report)
    print(f"written: {BUILD / 'report.json'}; {sum(seconds.values())} s: {seconds}")
    return 0


def _circumstances(shares: dict[str, float | None]) -> Sheet:
    """Whether others used the machine: rates are then lower, and ratios less certain."""
    sheet = Sheet()
    for name, share in shares.items():
        if share is not None and share > _QUIET:
            sheet.note(f"{NOT_QUIET}: others used {share:.0%} of its cores during {name}")
    return sheet


def _report(sheets: list[Sheet], seconds: dict[str, int]) -> dict[str, object]:
    """One report of all sheets, and the ratios between their figures."""
    figures: Figures = {}
    for sheet in sheets:
        figures |= sheet.figures
    parts = [*sheets, ratios(figures)]
    details = {"notes": [note for sheet in parts for note in sheet.notes], "seconds": seconds}
    merged = [Part(sheet.figures, {}, []) for sheet in parts]
    return report_json([*merged, Part({}, details, [])], commit(ROOT))


if __name__ == "__main__":
    sys.exit(main())

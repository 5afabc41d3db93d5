"""Simulates days of many logs: ``python -m scripts.scaling``, or ``make scaling``.

Takes measured figures from the last ``make bench`` and ``make contracts`` where there are reports,
else the recorded ones, records them, and writes the tables of docs/SCALING.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from .inputs import ROOT, Table, UnitCosts, newest, record, recorded, unit_costs
from .limits import stops
from .page import Variant, render, splice
from .placement import DoesNotFit
from .scenario import GIB, SCENARIOS, Scenario
from .simulate import simulate, simulate_placement

PAGE = ROOT / "docs" / "SCALING.md"


def variants(base: Scenario) -> list[tuple[str, Scenario]]:
    """The base with one assumption changed."""
    hour_ms = 3_600_000
    return [
        ("nothing", base),
        ("16 GiB for ids, as a machine of 24 GiB has", replace(base, memory_bytes=16 * GIB)),
        ("ids remembered for 1 hour", replace(base, id_window_ms=hour_ms)),
        ("the same, batches gathered for 60 s", replace(
            base, id_window_ms=hour_ms, batch_wait_seconds=60.0
        )),
        ("the same, batches sent after 1 s", replace(
            base, id_window_ms=hour_ms, batch_wait_seconds=1.0
        )),
    ]  # fmt: skip


def generated(table: Table) -> str:
    """The page's generated part, from these figures."""
    costs = unit_costs(table)
    days = [simulate(scenario, costs) for scenario in SCENARIOS]
    changed = [(name, _attempt(scenario, costs)) for name, scenario in variants(SCENARIOS[-1])]
    return render(table, days, changed, stops(SCENARIOS[1], costs, table))


def _attempt(scenario: Scenario, costs: UnitCosts) -> Variant | DoesNotFit:
    try:
        return simulate_placement(scenario, costs)
    except DoesNotFit as reason:
        return reason


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.scaling", description=__doc__)
    parser.add_argument(
        "--recorded", action="store_true", help="take the recorded figures, whatever was measured"
    )
    table = recorded() if parser.parse_args().recorded else newest()
    text = generated(table)
    print(text)
    record(table)
    PAGE.write_text(splice(PAGE.read_text(), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())

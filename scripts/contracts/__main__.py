"""Measures the contracts: gas, coverage, depth of the tests, static and symbolic analysis.

    python -m scripts.contracts report              build/contracts/report.json, docs/contracts.md
    python -m scripts.contracts report --only gas   that part alone, printed; nothing is written
    python -m scripts.contracts mutation            build/contracts/mutation.json (hours)

The exit status is 0 only if every test passed and nothing is missing or unexplained.
``make contracts`` and ``make mutation`` install the tools first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from scripts.figures import Part, commit, report_json, write_json

from .campaign import GOAL_PERCENT, Summary, mutation_part, run_campaign
from .coverage import measure_coverage
from .forge import measure_depth, measure_gas
from .static import measure_static
from .symbolic import measure_symbolic
from .table import render, replaced
from .tools import BUILD, ROOT, ToolFailed, say

PAGE = ROOT / "docs" / "contracts.md"
MUTATION = BUILD / "mutation.json"
INCOMPLETE = 2
"""Exit status of a campaign that ran out of its time."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.contracts", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="measure, write the report and the table")
    report.add_argument("--only", choices=[name for name, _ in _parts("")], action="append")
    report.add_argument("--profile", default="long", help="Foundry profile of fuzz and invariants")
    mutation = commands.add_parser("mutation", help="test the tests by changing the contracts")
    mutation.add_argument("--minutes", type=float, help="stop then; run it again to go on")
    mutation.add_argument("--processes", type=int, default=2)
    mutation.add_argument("--file", action="append", help="only mutants of this file")
    mutation.add_argument("--fresh", action="store_true", help="forget earlier outcomes")
    chosen = parser.parse_args(arguments)
    if chosen.command == "mutation":
        return _mutation(chosen)
    return _report(chosen.only, chosen.profile)


def _parts(profile: str) -> list[tuple[str, Callable[[], Part]]]:
    """What there is to measure, the quick first."""
    return [
        ("symbolic", measure_symbolic),
        ("slither", measure_static),
        ("gas", measure_gas),
        ("coverage", measure_coverage),
        ("depth", lambda: measure_depth(profile)),
    ]


def _report(only: list[str] | None, profile: str) -> int:
    """One part that fails does not keep the others from being measured."""
    parts = []
    for name, measure in _parts(profile):
        if only and name not in only:
            continue
        try:
            part = measure()
        except ToolFailed as problem:
            part = Part({}, {}, [f"{name}: {problem}"])
        for figure, (value, unit, _) in part.figures.items():
            say(f"  {figure} = {value:,} {unit}")
        parts.append(part)
    if not only and MUTATION.is_file():
        parts.append(mutation_part(json.loads(MUTATION.read_text())))
    report = report_json(parts, commit(ROOT))
    if not only:
        write_json(BUILD / "report.json", report)
        PAGE.write_text(replaced(PAGE.read_text(), render(report)))
        say(f"written: {BUILD / 'report.json'}, {PAGE}")
    for line in report["problems"]:
        say(f"PROBLEM {line}")
    return 1 if report["problems"] else 0


def _mutation(chosen: argparse.Namespace) -> int:
    seconds = None if chosen.minutes is None else chosen.minutes * 60
    try:
        summary: Summary = run_campaign(
            processes=chosen.processes, seconds=seconds, files=chosen.file, fresh=chosen.fresh
        )
    except ToolFailed as problem:
        say(f"PROBLEM {problem}")
        return 1
    write_json(MUTATION, summary.to_json() | {"commit": commit(ROOT)})
    for survivor in summary.survivors:
        if not survivor["reason"]:
            say(f"SURVIVED {survivor['file']}:{survivor['line']}\n{survivor['diff']}")
    say(
        f"{summary.caught} of {summary.total} mutants caught ({summary.percent()} %, "
        f"goal {GOAL_PERCENT} %), {summary.untested} not tried yet; written: {MUTATION}"
    )
    if summary.untested:
        return INCOMPLETE
    unexplained = any(not survivor["reason"] for survivor in summary.survivors)
    return 1 if unexplained or summary.percent() < GOAL_PERCENT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

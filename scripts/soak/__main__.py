"""A whole deployment under mixed traffic for minutes: ``make soak``; build/soak/report.json.

The rate is given, and so low that three attestors on the plain reference can follow it on two
cores that they share with service, chain and traffic. ``make bench`` says how fast it can be.
Exits with 1 if rate, memory or latency did not stay as they were, or the audit does not agree.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from rich.console import Console
from scripts.figures import commit, report_json, write_json

from .report import part
from .run import Options, run

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "soak"
DEFAULT_RATE = 2_000
_QUIET = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=DEFAULT_RATE, help="events a second")
    parser.add_argument(
        "--without-attestors",
        action="store_true",
        help="only intake: nothing is anchored or settled, so the rate may be higher",
    )
    given = parser.parse_args()
    if given.minutes < 0.3 or given.rate < 100:
        parser.error("give at least 0.3 minutes and 100 events a second")
    busy = os.getloadavg()[0]
    options = Options(given.minutes * 60, given.rate, not given.without_attestors, BUILD / "site")
    console = Console(width=150)
    result = asyncio.run(run(options, console))
    if busy > _QUIET:
        result.notes.append(f"the machine was not quiet: load average {busy:.1f} at the start")
    report = report_json([part(result)], commit(ROOT))
    write_json(BUILD / "report.json", report)
    for name, figure in report["figures"].items():
        console.print(f"{name} = {figure['value']:,} {figure['unit']}", highlight=False)
    console.print(f"audit: {result.audit}", highlight=False)
    for note in result.notes:
        console.print(f"note: {note}", highlight=False)
    for problem in result.problems:
        console.print(f"[red]problem[/red]: {problem}", highlight=False)
    console.print(f"written: {BUILD / 'report.json'}", highlight=False)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())

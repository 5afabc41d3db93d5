"""``adtally demo``: the whole job on a fresh local chain, with tables at the end."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from adtally.demo.plan import default_plan
from adtally.demo.play import PlayOptions, play
from adtally.demo.report import write_report
from adtally.demo.tables import outcome_tables


async def demo(directory: Path, seed: int, scale_percent: int, console: Console) -> None:
    """Play the default plan, write the report, show the tables."""
    plan = default_plan(seed=seed, scale_percent=scale_percent)
    outcome = await play(plan, PlayOptions(directory), console)
    report_path = directory / "report.json"
    write_report(outcome, report_path)
    console.print(Rule("what happened", style="dim"))
    for table in outcome_tables(outcome):
        console.print(table)
    console.print(
        f"\n{outcome.tally.events_sent:,} events in {outcome.seconds:.0f} s. "
        f"Report: {report_path}; logs beside it.",
        highlight=False,
    )

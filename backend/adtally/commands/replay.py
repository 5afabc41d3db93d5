"""``adtally replay``: a real log through the whole path, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from adtally.demo.replay import ReplayOutcome, replay
from adtally.demo.tables import money_table, statement_tables


async def replay_obd(path: Path, directory: Path, console: Console) -> None:
    """Replay, then show what was accepted and what was paid because of it."""
    result = await replay(path, directory, console)
    show_replay(result, console)


def show_replay(result: ReplayOutcome, console: Console) -> None:
    """Verdicts, statements and money; last what this very replay paid."""
    outcome, summary = result.outcome, result.summary
    money = outcome.money[0]
    verdicts = Table("verdict", "events", title_justify="left", box=box.SIMPLE_HEAD)
    verdicts.title = f"{summary.rows:,} impressions, {summary.clicks:,} clicks replayed"
    for verdict, count in sorted(outcome.tally.verdicts.items()):
        verdicts.add_row(verdict.label, f"{count:,}")
    console.print(verdicts)
    for table in statement_tables(outcome):
        console.print(table)
    console.print(money_table(outcome))
    now = money.paid_base_units - result.paid_before_base_units
    console.print(
        f"the file at its rates: {money.unit.named(result.expected_base_units)}; "
        f"paid before: {money.unit.named(result.paid_before_base_units)}; "
        f"[bold]paid by this replay: {money.unit.named(now)}[/bold]",
        highlight=False,
    )

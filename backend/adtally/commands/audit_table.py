"""An audit's report on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adtally.audit.report import AuditReport, Check
from adtally.chain.deployment import Deployment

_SHOWN_DISCREPANCIES = 20


def show_deployment(deployment: Deployment, trusted: Path | None, console: Console) -> None:
    """Which contracts are audited, and who says so."""
    source = "the log itself, checked on chain" if trusted is None else str(trusted)
    console.print(f"chain {deployment.chain_id}, deployment from {source}", highlight=False)
    for name, contract in deployment.contracts.items():
        console.print(f"    {name:<16} 0x{contract.address.hex()}", highlight=False)


def _mark(check: Check) -> str:
    if not check.ok:
        return "[bold red]differs[/bold red]"
    return "[green]ok[/green]" if check.how_many else "[dim]nothing to compare[/dim]"


def show_report(report: AuditReport, console: Console) -> None:
    """The checks as a table, then what was found to be wrong, then the verdict."""
    table = Table("check", "what was compared", "how many", "", box=box.SIMPLE_HEAD)
    table.columns[2].justify = "right"
    for check in report.checks:
        table.add_row(check.name, check.what, f"{check.how_many:,}", _mark(check))
    console.print(table)
    for each in report.discrepancies[:_SHOWN_DISCREPANCIES]:
        console.print(
            f"[red]{each.check}[/red] {escape(each.where)}: {escape(each.what)}\n"
            f"    expected {escape(each.expected)}\n    found    {escape(each.found)}",
            highlight=False,
        )
    hidden = len(report.discrepancies) - _SHOWN_DISCREPANCIES
    if hidden > 0:
        console.print(f"[red]and {hidden} more[/red]")
    for remark in report.remarks:
        console.print(f"[yellow]note[/yellow] {escape(remark)}", highlight=False)
    figures = report.figures
    since = f" (from entry {figures.resumed_at:,} on)" if figures.resumed_at else ""
    console.print(
        f"log of {figures.tree_size:,} entries{since}, {figures.corrections} corrections, "
        f"{figures.anchors} anchors, {figures.statements} statements, {figures.claims} claims, "
        f"up to block {figures.pinned_block}"
    )
    if report.ok:
        console.print("[bold green]everything agrees[/bold green]")
    else:
        console.print("[bold red]it does not agree[/bold red]")

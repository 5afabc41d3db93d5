"""``adtally audit``: everything verified from the public log and the chain, shown as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from adtally.audit.audit import run_audit
from adtally.audit.deployment import AuditDeployment
from adtally.audit.report import AuditReport
from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.chain.files import write_atomically
from adtally.client.fields import Fields
from adtally.client.log_client import LogClient

_SHOWN_DISCREPANCIES = 20


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Where to look; ``note_verifier`` None believes the service about its checkpoint key."""

    service: str
    rpc_url: str
    deployment: Path
    note_verifier: str | None
    json_file: Path | None


async def audit(options: AuditOptions, console: Console) -> bool:
    """Run the audit, show it, write it; returns whether everything agreed."""
    deployment = Deployment.load(options.deployment)
    chain = Chain(options.rpc_url, deployment.finality)
    log = LogClient(options.service)
    try:
        verifier = options.note_verifier
        if verifier is None:
            verifier = Fields(await log.deployment(), "deployment").text("note_verifier")
        document = deployment.to_json() | {"note_verifier": verifier}
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            tell = _Bars(bar)
            report = await run_audit(log, chain, AuditDeployment.from_json(document), tell)
    finally:
        await log.close()
        await chain.close()
    if options.json_file is not None:
        write_atomically(options.json_file, json.dumps(report.to_json(), indent=2).encode())
    show_report(report, console)
    return report.ok


def show_report(report: AuditReport, console: Console) -> None:
    """The checks as a table, then what was found to be wrong."""
    table = Table("check", "what was compared", "how many", "", box=box.SIMPLE_HEAD)
    table.columns[2].justify = "right"
    for check in report.checks:
        mark = "[green]ok[/green]" if check.ok else "[bold red]differs[/bold red]"
        table.add_row(check.name, check.what, f"{check.how_many:,}", mark)
    console.print(table)
    for each in report.discrepancies[:_SHOWN_DISCREPANCIES]:
        console.print(
            f"[red]{each.check}[/red] {each.where}: {each.what}\n"
            f"    expected {each.expected}\n    found    {each.found}",
            highlight=False,
        )
    hidden = len(report.discrepancies) - _SHOWN_DISCREPANCIES
    if hidden > 0:
        console.print(f"[red]and {hidden} more[/red]")
    figures = report.figures
    console.print(
        f"log of {figures.tree_size:,} entries, {figures.corrections} corrections, "
        f"{figures.anchors} anchors, {figures.statements} statements, {figures.claims} claims, up "
        f"to block "
        f"{figures.pinned_block}"
    )
    if report.ok:
        console.print("[bold green]everything agrees[/bold green]")
    else:
        console.print("[bold red]it does not agree[/bold red]")


class _Bars:
    """One progress bar a step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)

"""``adtally export-log``: the whole public log as a folder of files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from adtally.client.log_copy import Copied, copy_log
from adtally.client.published_log import PublishedLog


async def export_log(
    directory: Path, service: str, note_verifier: str | None, console: Console
) -> Copied:
    """Bring the copy in ``directory`` up to date and say up to where it reaches.

    Raises: as ``adtally.client.log_copy.copy_log``.
    """
    columns = (
        TextColumn("copying"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} entries"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("copying", total=0)
        async with PublishedLog(f"{service.rstrip('/')}/v1/log") as source:
            copied = await copy_log(
                source,
                directory,
                lambda done, total: progress.update(task, completed=done, total=total),
                note_verifier=note_verifier,
            )
    show(copied, directory, console)
    return copied


def show(copied: Copied, directory: Path, console: Console) -> None:
    """What the folder holds now."""
    console.print(
        f"[bold]{directory}[/bold] holds {copied.checkpoint.tree_size:,} entries, "
        f"{copied.fetched_entries:,} of them new, and {copied.statements:,} statements",
        highlight=False,
    )
    console.print(f"root hash {copied.checkpoint.root_hash.hex()}", highlight=False)
    for sha256 in copied.missing_lists:
        console.print(f"rules name a list that is not published: {sha256}", style="yellow")

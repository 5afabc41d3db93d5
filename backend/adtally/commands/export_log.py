"""``adtally export-log``: the whole public log as a folder of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from adtally.client.log_copy import Copied, copy_log
from adtally.client.published_log import PublishedLog
from adtally.client.read_auth import ReadAuth
from adtally.client.service_facts import ServiceFacts
from adtally.commands.private_keys import read_key


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Where to copy from.

    Attributes:
        service: its address.
        note_verifier: the log's key; None believes the service about it.
        key_file: key that reads a log that is not public; None reads as anybody.
        member: whose event key that is; 0 for an attestor's key.
    """

    service: str
    note_verifier: str | None = None
    key_file: Path | None = None
    member: int = 0


async def export_log(directory: Path, options: ExportOptions, console: Console) -> Copied:
    """Bring the copy in ``directory`` up to date and say up to where it reaches.

    Raises: as ``adtally.client.log_copy.copy_log``; NotFound or InvalidInput for the key file.
    """
    address = f"{options.service.rstrip('/')}/v1/log"
    auth = await _auth(address, options)
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
        async with PublishedLog(address, auth=auth) as source:
            copied = await copy_log(
                source,
                directory,
                lambda done, total: progress.update(task, completed=done, total=total),
                note_verifier=options.note_verifier,
            )
    show(copied, directory, console)
    return copied


async def _auth(address: str, options: ExportOptions) -> httpx.Auth | None:
    """What signs grants; which log they are for is open to everybody."""
    if options.key_file is None:
        return None
    key = read_key(options.key_file)
    async with PublishedLog(address) as source:
        facts = ServiceFacts.from_json(await source.document("deployment.json"))
    return ReadAuth(facts.domain, key, options.member)


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

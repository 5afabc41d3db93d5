"""``adtally restore-log``: a log's folder out of an archive, every hash recomputed."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from adtally.chain.deployment import Deployment
from adtally.log.archive import Archive
from adtally.log.restore import Restored, restore


def restore_log(
    url: str, data_dir: Path, deployment_file: Path | None, console: Console
) -> Restored:
    """Restore into ``log`` in a data folder, and say up to which entry.

    Args:
        url: fsspec URL of the archive.
        data_dir: the service's data folder.
        deployment_file: names the log that it must be; None: the one in the data folder, and any
            log if there is none.
        console: for the result.

    Raises: as ``adtally.log.restore.restore``.
    """
    path = deployment_file or data_dir / "deployment.json"
    named = deployment_file is not None or path.exists()
    origin = Deployment.load(path).log_origin if named else None
    columns = (
        TextColumn("restoring"),
        MofNCompleteColumn(),
        TextColumn("segments, up to entry {task.fields[entry]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("restoring", total=None, entry=0)
        restored = restore(
            Archive.open(url),
            data_dir / "log",
            origin=origin,
            on_segment=lambda manifest: progress.update(task, advance=1, entry=manifest.end_index),
        )
    _show(restored, console)
    derived = [name for name in ("tree", "snapshots") if (data_dir / name).exists()]
    if derived:
        console.print(f"Remove before the start, they are of the lost log: {', '.join(derived)}")
    return restored


def _show(restored: Restored, console: Console) -> None:
    console.print(
        f"restored [bold]{restored.tree_size}[/bold] entries of {restored.origin} "
        f"in {restored.segments} segments",
        highlight=False,
    )
    console.print(f"root hash {restored.root_hash.hex()}", highlight=False)
    for name in restored.not_counted:
        console.print(f"not counted, its copy was never finished: {name}", style="yellow")
    console.print(
        "What was logged after that is not in the archive. If you have a newer "
        f"segment-{restored.tree_size:016d}.log, put it in place before the start: receipts may "
        "have been given for it."
    )

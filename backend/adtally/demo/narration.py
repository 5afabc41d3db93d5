"""Progress while the demo plays: a moving bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

_PLAIN_EVERY_STEPS = 12


class Narrator:
    """Tells what happens, with the virtual time it happens at; a context manager."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("preparing", total=steps, status="")

    def __enter__(self) -> Narrator:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, message: str, now_ms: int | None = None) -> None:
        """One line of the story."""
        clock = clock_text(now_ms) if now_ms is not None else "     "
        self._progress.console.print(f"[dim]{clock}[/dim]  {message}", highlight=False)

    def phase(self, description: str) -> None:
        """Name what is going on now."""
        self._progress.update(self._task, description=description)
        if not self._console.is_terminal:
            self.say(f"[dim]{description} …[/dim]")

    def step(self, number: int, now_ms: int, status: str) -> None:
        """Step ``number`` (from 0) has been sent."""
        self._progress.update(
            self._task,
            completed=number + 1,
            description=f"the day, {clock_text(now_ms)}",
            status=status,
        )
        if not self._console.is_terminal and (number + 1) % _PLAIN_EVERY_STEPS == 0:
            self.say(f"[dim]{status}[/dim]", now_ms)


def clock_text(now_ms: int) -> str:
    """Hours and minutes, UTC."""
    return datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%H:%M")

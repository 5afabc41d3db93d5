"""How far an audit has come: bars on a terminal, now and then a line anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0
_STEPS = {"chain": "blocks of the chain", "log": "entries of the log", "payments": "payments"}


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(
            "" if task.speed is None else f"{task.speed:,.0f}/s", style="progress.data.speed"
        )


class AuditProgress:
    """Takes ``adtally.audit.ports.Progress`` calls; a context manager."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._said = now()
        self._bars: Progress | None = None
        if console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> AuditProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Told how far a step has come."""
        if self._bars is None:
            self._line(step, done, total)
            return
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(_STEPS.get(step, step), total=total)
        self._bars.update(self._tasks[step], completed=done, total=total)

    def _line(self, step: str, done: int, total: int) -> None:
        now = self._now()
        began, first = self._started.setdefault(step, (now, done))
        if now - self._said < _SECONDS_BETWEEN_LINES or now == began:
            return
        self._said = now
        rate = (done - first) / (now - began)
        left = f", about {(total - done) / rate:,.0f} s left" if rate > 0 else ""
        text = f"{_STEPS.get(step, step)}: {done:,} of {total:,}, {rate:,.0f}/s{left}"
        self._console.print(text, highlight=False)

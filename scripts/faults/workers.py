"""Runs shared out to a few processes, each with a launcher of its own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .lives import Launcher


@dataclass
class Outcome:
    """What came out of some runs: how many of what, and what was wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Job(NamedTuple):
    """One call of ``work(launcher, directory, *arguments)`` in some worker."""

    name: str
    work: Callable[..., Awaitable[Outcome]]
    arguments: Sequence[Any]


_own: list[Launcher] = []


def run_jobs(jobs: Sequence[Job], root: Path, processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Each job with its outcome, in the order in which they end; ``root`` is for their files."""
    with ProcessPoolExecutor(processes, initializer=_start_worker) as pool:
        waiting = {pool.submit(_run, job, root): job for job in jobs}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _start_worker() -> None:
    _own.append(Launcher())


def _run(job: Job, root: Path) -> Outcome:
    directory = Path(tempfile.mkdtemp(dir=root))
    try:
        outcome = asyncio.run(_awaited(job.work(_own[0], directory, *job.arguments)))
    except Exception:
        # A harness that breaks has shown nothing: that must not look like a pass.
        outcome = Outcome(problems=[traceback.format_exc()])
    if outcome.problems:
        outcome.problems = [f"{job.name}: {problem}" for problem in outcome.problems]
    else:
        shutil.rmtree(directory)
    return outcome


async def _awaited(work: Awaitable[Outcome]) -> Outcome:
    return await work

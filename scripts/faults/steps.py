"""Every write step of a short run, with every fault that it can meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from adtally.events.batch import SignedBatch

from .book import Book
from .disk import ERRORS, KILLS, POWER_LOSSES, Fault, kinds_for
from .runs import Scenario, Starter, run_faults, send_all, write_steps
from .segments import read_commits
from .traffic import Publisher
from .workers import Job, Outcome

_SIZES = (4, 11, 18, 25, 2, 9, 30, 1, 16, 23)
_AGAIN = (7, 45, 3, 50, 12)
_RECOVERY_STEPS = 5
"""Of a second life: directory, lock, open, and the last frame written and synced again."""


async def make_scenarios(starter: Starter, root: Path) -> list[Scenario]:
    """A new log, and one that is opened again with an append torn off at its end."""
    publishers = [Publisher(member) for member in (10, 11, 12)]
    first = [publishers[at % 3].batch(size) for at, size in enumerate(_SIZES)]
    again = [publishers[at % 3].batch(size) for at, size in enumerate(_AGAIN)]
    template, book = root / "template", Book()
    await _one_life(starter, template, first, book, None)
    if len(book.promised) != len(first):
        raise RuntimeError(f"no log to start from: {book.problems}")
    names = await write_steps(
        starter, Scenario("trial", again[:1], template, first, book), root / "trial steps"
    )
    last_write = max(step for step, name in enumerate(names) if name == "pwrite")
    await _one_life(starter, template, again[:1], book, Fault(last_write, "kill_within", seed=2))
    (template / "platter").unlink()
    _require_torn(template / "log")
    return [
        Scenario("new log", first),
        Scenario("torn log", again, template, first, book),
    ]


async def _one_life(
    starter: Starter,
    directory: Path,
    batches: Sequence[SignedBatch],
    book: Book,
    fault: Fault | None,
) -> None:
    life = await starter.start(directory, fault=fault)
    book.problems += (await send_all(life.client(), batches, book)).problems
    await life.kill()


def _require_torn(log_directory: Path) -> None:
    last = read_commits(log_directory)[-1]
    newest = max(log_directory.glob("segment-*.log"))
    committed = last.end if newest == last.path else 0
    if not newest.read_bytes()[committed:].strip(b"\0"):
        raise RuntimeError("nothing is torn at the end of the log to start from")


def step_faults(names: Sequence[str]) -> Iterator[list[Fault]]:
    """Every fault at every step of a run whose steps have these names."""
    for step, name in enumerate(names):
        for kind in kinds_for(name):
            yield [Fault(step, kind)]


def second_losses(names: Sequence[str]) -> Iterator[list[Fault]]:
    """A kill before a sync, and a loss of power during or soon after the recovery from it.

    What the killed life wrote and never synced is in the page cache: the next one finds it and may
    promise it only after making sure that it is on disk.
    """
    for step, name in enumerate(names):
        if name == "fdatasync":
            commits_left = names[step + 1 :].count("fdatasync")
            for later in range(2, _RECOVERY_STEPS + min(2 * commits_left, 3)):
                yield [Fault(step, "kill_before"), Fault(later, "power_loss_before", seed=step)]


async def step_jobs(starter: Starter, root: Path) -> tuple[list[Job], int]:
    """The runs, and how many write steps they cover."""
    jobs: list[Job] = []
    covered = 0
    for scenario in await make_scenarios(starter, root):
        names = await write_steps(starter, scenario, root / f"count {scenario.name}")
        covered += len(names)
        for faults in (*step_faults(names), *second_losses(names)):
            what = ", then ".join(f"{each.kind} at step {each.step}" for each in faults)
            name = f"{scenario.name} ({names[faults[0].step]}), {what}"
            jobs.append(Job(name, one_run, (scenario, faults)))
    return jobs, covered


async def one_run(
    starter: Starter, directory: Path, scenario: Scenario, faults: list[Fault]
) -> Outcome:
    """Runs one list of faults."""
    problems = await run_faults(starter, scenario, faults, directory / "data")
    return Outcome(Counter({group_of(faults): 1}), problems)


def group_of(faults: Sequence[Fault]) -> str:
    """The figure that counts a run."""
    kind = faults[0].kind
    if len(faults) > 1:
        return "second_loss_runs"
    if kind in KILLS:
        return "kill_step_runs"
    if kind in POWER_LOSSES:
        return "power_loss_runs"
    return "disk_error_runs" if kind in ERRORS else "short_write_runs"

"""Does to a real service what disks, power and crowds do, and looks for what was promised.

    python -m scripts.faults                       build/faults/report.json, docs/RELIABILITY.md
    python -m scripts.faults --only steps          that part alone, printed; nothing is written

The exit status is 0 only if nothing that was promised was lost, doubled, moved or changed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scripts.figures import Figure, Figures, Part, commit, report_json, write_json

from . import flips, parallel, random_kills
from .lives import ROOT, Launcher
from .overload import measure_overload
from .steps import make_scenarios, step_jobs
from .table import GROUPS, render, replaced, violations
from .workers import Job, run_jobs

BUILD = ROOT / "build" / "faults"
PAGE = ROOT / "docs" / "RELIABILITY.md"
PARTS = ("steps", "random", "flips", "parallel", "overload")
DEATHS_OF_A_LOG = 6
_FLIPS_OF_A_JOB = 25
_SHARES = 4


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.faults", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 4))
    parser.add_argument("--random", type=int, default=120, help="deaths under load")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="of those")
    parser.add_argument("--flips", type=int, default=200, help="bits flipped under real processes")
    parser.add_argument("--parallel", type=int, default=100, help="runs of each parallel test")
    parser.add_argument("--overload-seconds", type=float, default=60)
    chosen = parser.parse_args(arguments)
    runs = BUILD / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir(parents=True)
    parts = [_in_workers(chosen, runs)]
    if not chosen.only or "overload" in chosen.only:
        parts.append(_overload(chosen.overload_seconds, runs))
    report = report_json(parts, commit(ROOT))
    for name, figure in report["figures"].items():
        say(f"{name} = {figure['value']:,} {figure['unit']}")
    if not chosen.only:
        write_json(BUILD / "report.json", report)
        PAGE.write_text(replaced(PAGE.read_text(), render(report)))
        say(f"written: {BUILD / 'report.json'}, {PAGE}")
    for line in report["problems"]:
        say(f"PROBLEM {line}")
    if report["problems"]:
        say(f"the data directories of failed runs are in {runs}")
        return 1
    shutil.rmtree(runs)
    return 0


def _in_workers(chosen: argparse.Namespace, runs: Path) -> Part:
    """All parts but the overload, whose two sides want a core each."""
    jobs, figures = asyncio.run(_jobs(chosen, runs))
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    problems: list[str] = []
    started = time.monotonic()
    for done, (job, outcome) in enumerate(run_jobs(jobs, runs, chosen.processes), 1):
        counts += outcome.counts
        problems += outcome.problems
        for group in _groups(job, outcome.counts) if outcome.problems else ():
            wrong[group] += len(outcome.problems)
        if done % 50 == 0 or done == len(jobs):
            say(f"{done} of {len(jobs)} jobs, {time.monotonic() - started:.0f} s")
    labels = {group.figure: group.label for group in GROUPS}
    for name, value in counts.items():
        how = labels.get(name, "over all random runs of this report")
        figures[f"faults.{name}"] = Figure(value, "", how)
        if name in labels:
            how = "promises broken in these runs"
            figures[violations(name)] = Figure(wrong[name], "", how)
    return Part(figures, {"seed": chosen.seed}, problems)


def _groups(job: Job, counts: Counter[str]) -> list[str]:
    """Which groups a job's problems count for; one that broke off counted nothing."""
    known = {group.figure for group in GROUPS}
    return [name for name in counts if name in known] or [job.name]


async def _jobs(chosen: argparse.Namespace, runs: Path) -> tuple[list[Job], Figures]:
    """Everything there is to do, the long first."""

    def wanted(part: str) -> bool:
        return not chosen.only or part in chosen.only

    jobs: list[Job] = []
    figures: Figures = {}
    if wanted("random"):
        for at in range(-(-chosen.random // DEATHS_OF_A_LOG)):
            seed = chosen.seed + at
            name = f"random, seed {seed}"
            jobs.append(Job(name, random_kills.one_log, (seed, DEATHS_OF_A_LOG)))
    if wanted("parallel"):
        works = (parallel.identical_batches, parallel.other_bodies, parallel.same_ids)
        jobs += [Job(work.__name__, work, (chosen.parallel,)) for work in works]
    with Launcher() as launcher:
        if wanted("flips"):
            jobs += await _flip_jobs(launcher, runs / "flips", chosen.flips)
        if wanted("steps"):
            more, covered = await step_jobs(launcher, runs / "steps")
            jobs += more
            how = "calls that change the disk in a run of fifteen batches, all of them tried"
            figures["faults.write_steps"] = Figure(covered, "", how)
    return jobs, figures


async def _flip_jobs(launcher: Launcher, root: Path, flipped: int) -> list[Job]:
    scenario = (await make_scenarios(launcher, root))[1]
    template = scenario.template
    jobs = []
    for first in range(0, flipped, _FLIPS_OF_A_JOB):
        seeds = range(first, min(first + _FLIPS_OF_A_JOB, flipped))
        jobs.append(Job(f"bits at rest, {seeds}", flips.at_rest, (template, seeds)))
        jobs.append(
            Job(
                f"bits while running, {seeds}",
                flips.while_running,
                (template, scenario.before, scenario.book, seeds),
            )
        )
    for share in range(_SHARES):
        name = f"bits of the last commit, {share}"
        jobs.append(Job(name, flips.every_bit, (template, share, _SHARES)))
    return jobs


def _overload(seconds: float, runs: Path) -> Part:
    say(f"overload, {seconds:g} s")
    with Launcher() as launcher:
        figures, problems = asyncio.run(measure_overload(launcher, runs / "overload", seconds))
    how = f"an overload of {seconds:g} s, everything that got a receipt checked afterwards"
    figures["faults.overload_runs"] = Figure(1, "", how)
    figures[violations("overload_runs")] = Figure(len(problems), "", "promises broken in it")
    return Part(figures, {}, [f"overload: {problem}" for problem in problems])


def say(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    started = time.monotonic()
    status = main(sys.argv[1:])
    say(f"{time.monotonic() - started:.0f} s")
    sys.exit(status)

"""Real processes, real kills, real sockets: a handful of what ``make faults`` does in numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# scripts/ is no package that is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.faults import flips, parallel, random_kills
from scripts.faults.disk import Fault
from scripts.faults.lives import Launcher
from scripts.faults.runs import run_faults, write_steps
from scripts.faults.steps import make_scenarios


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher() as launcher:
        yield launcher


@pytest.mark.asyncio
async def test_process__one_fault_of_each_kind__keeps_what_it_promised(
    launcher: Launcher, tmp_path: Path
) -> None:
    scenario = (await make_scenarios(launcher, tmp_path))[0]
    steps = await write_steps(launcher, scenario, tmp_path / "count")
    writes = [step for step, name in enumerate(steps) if name == "pwrite"]
    syncs = [step for step, name in enumerate(steps) if name == "fdatasync"]
    for fault in (
        Fault(writes[3], "kill_within"),
        Fault(syncs[4], "kill_before"),
        Fault(syncs[5], "kill_within"),
        Fault(syncs[6], "kill_after"),
        Fault(steps.index("fsync"), "kill_after"),
        Fault(syncs[2], "power_loss_before"),
        Fault(writes[5], "eio"),
        Fault(syncs[5], "eio_after_effect"),
        Fault(steps.index("preallocate"), "enospc"),
        Fault(writes[2], "short_write"),
        Fault(writes[4], "short_write_then_enospc"),
    ):
        problems = await run_faults(launcher, scenario, [fault], tmp_path / "run")
        assert not problems, fault


@pytest.mark.asyncio
async def test_process__killed_under_load__keeps_what_it_promised(
    launcher: Launcher, tmp_path: Path
) -> None:
    outcome = await random_kills.one_log(launcher, tmp_path / "log", seed=7, deaths=5)
    assert not outcome.problems
    assert outcome.counts["acknowledged_batches"] > 0


@pytest.mark.asyncio
async def test_process__flipped_bits__are_refused_and_never_served(
    launcher: Launcher, tmp_path: Path
) -> None:
    scenario = (await make_scenarios(launcher, tmp_path))[1]
    assert scenario.template is not None
    template, seeds = scenario.template, range(8)
    at_rest = await flips.at_rest(launcher, tmp_path / "rest", template, seeds)
    running = await flips.while_running(
        launcher, tmp_path / "running", template, scenario.before, scenario.book, seeds
    )
    assert at_rest.problems == running.problems == []
    assert at_rest.counts == running.counts == {"flipped_bit_runs": len(seeds)}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "work", [parallel.identical_batches, parallel.other_bodies, parallel.same_ids]
)
async def test_process__the_same_from_many_at_once__one_counts(
    launcher: Launcher, tmp_path: Path, work: parallel.Work
) -> None:
    outcome = await work(launcher, tmp_path / "log", 3)
    assert not outcome.problems

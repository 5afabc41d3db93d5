"""Power lost at every write step of a short run, and writes that stop half-way.

The edition of ``make faults`` that fits a test run: all steps, in this process. The oracle, the
senders and what is checked are those of ``scripts/faults``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.faults.disk import Fault
from scripts.faults.runs import run_faults, write_steps
from scripts.faults.steps import make_scenarios, second_losses

from support.dying_process import InProcessStarter

SCENARIOS = {"new log": 0, "torn log": 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_service__power_lost_at_every_write_step__keeps_what_it_promised(
    tmp_path: Path, name: str
) -> None:
    starter = InProcessStarter()
    scenario = (await make_scenarios(starter, tmp_path))[SCENARIOS[name]]
    steps = await write_steps(starter, scenario, tmp_path / "count")
    assert {"pwrite", "fdatasync", "preallocate", "open", "sync_directory"} <= set(steps)
    assert len(steps) > 20
    for step, kind in enumerate(steps):
        # After a step is before the next one, but for what other threads do meanwhile.
        faults = [Fault(step, "power_loss_before")]
        if kind in ("pwrite", "preallocate"):
            faults.append(Fault(step, "kill_within"))
        for fault in faults:
            problems = await run_faults(starter, scenario, [fault], tmp_path / "run")
            assert not problems, fault


@pytest.mark.asyncio
async def test_service__killed_before_a_sync_then_power_lost__keeps_what_it_promised(
    tmp_path: Path,
) -> None:
    starter = InProcessStarter()
    scenario = (await make_scenarios(starter, tmp_path))[1]
    steps = await write_steps(starter, scenario, tmp_path / "count")
    runs = list(second_losses(steps))
    assert len(runs) > 20
    for faults in runs:
        problems = await run_faults(starter, scenario, faults, tmp_path / "run")
        assert not problems, faults

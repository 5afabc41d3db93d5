"""kill -9 of the service at random moments of a running demo: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import io
import random
from pathlib import Path

import pytest
from rich.console import Console

from adtally.demo.outcome import Outcome
from adtally.demo.plan import default_plan
from adtally.demo.play import PlayOptions, next_midnight_seconds, play
from adtally.demo.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.chain]

ROUNDS = 20
SEED = 11
PLAN = default_plan(seed=SEED, steps=48, scale_percent=12, second_token="DAIX")


class Killer:
    """Kills the service and starts it again, over and over, until it has had enough rounds."""

    def __init__(self, seed: int) -> None:
        self.rounds = 0
        self.task: asyncio.Task[None] | None = None
        self._random = random.Random(seed)

    def start(self, stage: Stage) -> None:
        self.task = asyncio.create_task(self._kill(stage))

    async def _kill(self, stage: Stage) -> None:
        while self.rounds < ROUNDS:
            # Some die while they start and replay, most while they work.
            await asyncio.sleep(self._random.choice((0.3, 1.0, 3.0, 4.0)) + self._random.random())
            stage.service.kill()
            stage.service.start()
            self.rounds += 1


def totals(outcome: Outcome) -> dict[str, object]:
    """What must not depend on how often the service died: everything about events and money."""
    return {
        "verdicts": dict(outcome.tally.verdicts),
        "deserved": dict(outcome.tally.deserved),
        "refusals": outcome.tally.refusals,
        "money": outcome.money,
        "balances": outcome.escrow_balances,
    }


@pytest.mark.asyncio
async def test_demo__service_killed_twenty_times__same_totals_and_no_receipt_broken(
    tmp_path: Path,
) -> None:
    quiet = Console(file=io.StringIO())
    midnight = next_midnight_seconds()
    undisturbed = await play(
        PLAN, PlayOptions(tmp_path / "calm", flight_start_seconds=midnight), quiet
    )
    killer = Killer(SEED)
    options = PlayOptions(
        tmp_path / "killed",
        flight_start_seconds=midnight,
        on_stage=killer.start,
        patience_seconds=180.0,
    )
    try:
        killed = await play(PLAN, options, quiet)
    finally:
        if killer.task is not None:
            killer.task.cancel()
    # ``play`` has checked: every receipt against the final log, every line paid once and to the
    # unit, escrow empty, audit without findings.
    assert killer.rounds == ROUNDS, "the demo ended before the killer did: give it more traffic"
    assert killed.receipts is not None
    assert killed.receipts.kept == killed.receipts.received > 0
    assert totals(killed) == totals(undisturbed)

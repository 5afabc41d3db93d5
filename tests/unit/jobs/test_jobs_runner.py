"""The runner: soft failures heal, a broken invariant stops everything, rounds never overlap."""

from __future__ import annotations

import asyncio
import logging

import pytest

from adtally.errors import ChainUnavailable, InvariantBroken
from adtally.jobs.runner import JobRunner


class Ticks:
    """Counts rounds and how many of them run at once."""

    def __init__(self) -> None:
        self.rounds = 0
        self.running = 0
        self.most_running = 0
        self.enough = asyncio.Event()

    async def run(self) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.rounds += 1
        await asyncio.sleep(0.01)
        self.running -= 1
        if self.rounds >= 5:
            self.enough.set()


def _unexpected(broken: InvariantBroken) -> None:
    raise AssertionError(str(broken))


@pytest.mark.asyncio
async def test_runner__started__ticks_without_overlap_until_stopped() -> None:
    ticks = Ticks()
    runner = JobRunner({"ticks": ticks.run}, tick_seconds=0.002, on_invariant_broken=_unexpected)
    await runner.start()
    await asyncio.wait_for(ticks.enough.wait(), 30)
    await runner.stop()
    rounds = ticks.rounds
    await asyncio.sleep(0.03)
    assert ticks.rounds == rounds
    assert ticks.most_running == 1


@pytest.mark.asyncio
async def test_runner__chain_down__is_logged_once_and_heals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    down = True

    async def read() -> None:
        if down:
            raise ChainUnavailable("nobody answers")

    runner = JobRunner({"facts": read}, on_invariant_broken=_unexpected)
    with caplog.at_level(logging.INFO):
        assert not await runner.run_all()
        assert not await runner.run_all()
        assert runner.failing == {"facts": "nobody answers"}
        down = False
        assert await runner.run_all()
    assert runner.failing == {}
    assert [record.message for record in caplog.records] == [
        "job facts: nobody answers",
        "job facts works again",
    ]


@pytest.mark.asyncio
async def test_runner__first_round_fails__the_others_wait_for_their_tick() -> None:
    seen = []

    async def fail() -> None:
        seen.append("watch")
        raise ChainUnavailable("nobody answers")

    async def never() -> None:
        seen.append("facts")

    runner = JobRunner(
        {"watch": fail, "facts": never}, tick_seconds=3_600, on_invariant_broken=_unexpected
    )
    await runner.start()
    await runner.stop()
    assert seen == ["watch"]


@pytest.mark.asyncio
async def test_runner__a_bug_in_a_job__does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran = []

    async def buggy() -> None:
        raise KeyError("x")

    async def fine() -> None:
        ran.append(True)

    runner = JobRunner({"buggy": buggy, "fine": fine}, on_invariant_broken=_unexpected)
    assert not await runner.run_all()
    assert ran == [True]
    assert runner.failing == {"buggy": "KeyError: 'x'"}
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.asyncio
async def test_runner__invariant_broken__goes_to_the_one_who_stops_the_process() -> None:
    stopped: list[InvariantBroken] = []

    async def reconcile() -> None:
        raise InvariantBroken("claimed: books 1, chain 2")

    runner = JobRunner({"reconcile": reconcile}, on_invariant_broken=stopped.append)
    assert not await runner.run_round("reconcile")
    assert [str(broken) for broken in stopped] == ["claimed: books 1, chain 2"]


@pytest.mark.asyncio
async def test_runner__invariant_broken_on_a_tick__is_not_swallowed_by_the_scheduler() -> None:
    stopped = asyncio.Event()
    first = True

    async def reconcile() -> None:
        nonlocal first
        if first:
            first = False
            return
        raise InvariantBroken("claimed: books 1, chain 2")

    runner = JobRunner(
        {"reconcile": reconcile}, tick_seconds=0.005, on_invariant_broken=lambda _: stopped.set()
    )
    await runner.start()
    await asyncio.wait_for(stopped.wait(), 30)
    await runner.stop()

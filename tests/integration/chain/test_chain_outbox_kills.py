"""Killed at every contact with store or node, before and after it: exactly one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from adtally.chain.deployment import Deployment
from adtally.chain.ports import OutboxState
from adtally.storage.database import Database
from support.chain_site import PROJECT_ROOT, ChainSite
from support.outbox_runs import KillAt, Killed, Office

pytestmark = [pytest.mark.chain, pytest.mark.slow]

ANCHORS = 60
"""Enough for ten kills on a loaded machine too, where each life gets less or more done."""


async def _run_killed_at(office: Office, contact: int, previous: int) -> bool:
    """One anchor by an outbox that dies at this contact, finished by the next; whether it died."""
    kill = KillAt(contact)
    chain = office.restart_mortal(kill)
    died = False
    try:
        row = await office.ask_anchor(previous, previous + 1)
        for _ in range(5):
            await office.outbox.step()
    except Killed:
        died = True
    await chain.close()
    office.restart()
    row = await office.ask_anchor(previous, previous + 1)
    done = await office.step_until(row, OutboxState.FINAL)
    assert len(done.attempts) == 1
    assert done.transaction_hash == done.attempts[0].hash
    return died


@pytest.mark.asyncio
async def test_outbox__killed_at_every_contact__sends_exactly_once(
    any_site: ChainSite, database: Database
) -> None:
    office = Office(any_site, database)
    start = await office.nonce()
    contact, runs = 0, 0
    while True:
        contact += 1
        runs += 1
        if not await _run_killed_at(office, contact, runs - 1):
            break
    print(f"{runs} runs, 0 violations")
    assert runs > 30
    assert await any_site.event_log.anchor_count() == runs
    assert await office.nonce() == start + runs


@pytest.mark.asyncio
async def test_outbox__killed_at_every_contact_after_a_reorg__sends_exactly_once(
    anvil_site: ChainSite, database: Database
) -> None:
    """As above, but each anchor was mined once and reorganised away before the deadly step."""
    office = Office(anvil_site, database)
    runs = 0
    died = True
    while died:
        row = await office.ask_anchor(runs, runs + 1)
        await office.step_until(row, OutboxState.MINED)
        await anvil_site.chain.rpc.request("anvil_reorg", 1, [])
        chain = office.restart_mortal(KillAt(runs + 1))
        died = False
        try:
            for _ in range(5):
                await office.outbox.step()
        except Killed:
            died = True
        await chain.close()
        office.restart()
        runs += 1
        await _until_final(office, row)
        assert await anvil_site.event_log.anchor_count() == runs
        assert await office.nonce() == runs
    print(f"{runs} runs, 0 violations")
    assert runs > 15


async def _until_final(office: Office, row: int) -> None:
    """Bury the row under final blocks. What anvil showed as mined before may still have been the
    block in the making, so that the outbox, which looks again, sends once more.
    """
    for _ in range(10):
        await office.step_until(row, OutboxState.MINED)
        await office.site.chain.rpc.request("anvil_mine", hex(64))
        await office.outbox.step()
        if (await office.row(row)).state is OutboxState.FINAL:
            return
    raise AssertionError(f"still {await office.row(row)}")


async def _start_worker(site: ChainSite, folder: Path) -> asyncio.subprocess.Process:
    worker = Path(__file__).with_name("outbox_worker.py")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT / "backend"), str(PROJECT_ROOT / "tests")])
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(worker),
        str(folder),
        site.chain.rpc.url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )


async def _live_and_die(worker: asyncio.subprocess.Process, milliseconds: int) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(b"%d\n" % milliseconds)
    await worker.stdin.drain()
    assert int(await worker.stdout.readline()) == -signal.SIGKILL


@pytest.mark.asyncio
async def test_outbox__process_killed_at_random_moments__sends_each_once(
    anvil_site: ChainSite, database: Database, tmp_path: Path
) -> None:
    deployment: Deployment = anvil_site.deployment
    deployment.save(tmp_path / "deployment.json")
    office = Office(anvil_site, database)
    rows = [await office.ask_anchor(size, size + 1) for size in range(ANCHORS)]
    # Blocks of 30 ms, so that transactions wait to be mined.
    await anvil_site.chain.rpc.request("evm_setAutomine", False)
    mining = asyncio.create_task(_mine(anvil_site))
    worker = await _start_worker(anvil_site, tmp_path)
    chance = random.Random(7)
    kills = 0
    while any(state < OutboxState.MINED for state in await office.states(*rows)):
        await _live_and_die(worker, chance.randrange(100, 400))
        kills += 1
    assert worker.stdin is not None
    worker.stdin.close()
    await worker.wait()
    mining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await mining
    print(f"{kills} kills, 0 violations")
    assert kills >= 10
    assert await anvil_site.event_log.anchor_count() == ANCHORS
    assert await office.nonce() == ANCHORS
    assert [len((await office.row(row)).attempts) for row in rows] == [1] * ANCHORS


async def _mine(site: ChainSite) -> None:
    while True:
        await site.chain.rpc.request("evm_mine")
        await asyncio.sleep(0.03)


def test_kill_at__counts_before_and_after__as_two_contacts() -> None:
    async def run() -> list[str]:
        seen = []
        for contact in (1, 2, 3):
            kill = KillAt(contact)

            async def work() -> Any:
                seen.append("done")

            with contextlib.suppress(Killed):
                await kill.pass_on(work)
                seen.append("survived")
        return seen

    assert asyncio.run(run()) == ["done", "done", "survived"]

"""A local chain that survives: clean stops, kills of either process, torn starts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adtally.chain.compile import Artifact
from adtally.chain.connection import Chain
from adtally.chain.finality import DumpMarker, read_marker
from adtally.chain.local_node import (
    Supervisor,
    dumped_finality,
    start_anvil,
    start_persistent,
    stop_persistent,
)
from adtally.chain.local_process import free_port, start_hardhat
from adtally.chain.ports import OutboxState
from adtally.errors import ChainUnavailable, Conflict, ForeignChain, Reorged
from adtally.storage.database import Database
from support.chain_site import PROJECT_ROOT, STRANGER, ChainSite, make_site
from support.outbox_runs import Office

pytestmark = pytest.mark.chain


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "chain"
    yield state
    if state.exists():
        stop_persistent(state)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT / "backend"))


def _supervisor_pid(folder: Path) -> int:
    return int((folder / "supervisor.pid").read_text())


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            done, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return
        if done:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} is still there")


def _anvil_pid(port: int) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"anvil") and str(port).encode() in words:
                return int(entry.name)
    raise AssertionError("no anvil")


async def _until_final(chain: Chain, number: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        final = await chain.final()
        if final is not None and final.number >= number:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("never final")


async def _site(folder: Path, port: int, artifacts: dict[str, Artifact]) -> ChainSite:
    url = start_persistent(PROJECT_ROOT, folder, port)
    return await make_site(url, artifacts, finality=dumped_finality(folder))


@pytest.mark.asyncio
async def test_persistent_chain__stopped_and_started__goes_on(
    folder: Path, port: int, artifacts: dict[str, Artifact]
) -> None:
    site = await _site(folder, port, artifacts)
    await site.wallet(STRANGER).send(site.anchor_call(0, 3))
    before = await site.chain.latest()
    await site.chain.close()
    assert stop_persistent(folder)
    assert not stop_persistent(folder)
    start_persistent(PROJECT_ROOT, folder, port)
    await site.deployment.check(site.chain)
    assert await site.chain.latest() == before
    assert await site.chain.final() == before
    assert await site.event_log.head_size() == 3
    await site.wallet(STRANGER).send(site.anchor_call(3, 4))
    await site.chain.close()


@pytest.mark.asyncio
async def test_persistent_chain__started_twice__is_one_chain(folder: Path, port: int) -> None:
    start_persistent(PROJECT_ROOT, folder, port)
    pid = _supervisor_pid(folder)
    start_persistent(PROJECT_ROOT, folder, port)
    assert _supervisor_pid(folder) == pid


@pytest.mark.asyncio
async def test_persistent_chain__supervisor_killed__next_one_takes_anvil_over(
    folder: Path, port: int, artifacts: dict[str, Artifact]
) -> None:
    site = await _site(folder, port, artifacts)
    anvil = _anvil_pid(port)
    os.kill(_supervisor_pid(folder), signal.SIGKILL)
    _wait_gone(_supervisor_pid(folder))
    await site.wallet(STRANGER).send(site.anchor_call(0, 3))
    unsafe = await site.chain.latest()
    final = await site.chain.final()
    assert final is not None
    assert final.number < unsafe.number
    start_persistent(PROJECT_ROOT, folder, port)
    await _until_final(site.chain, unsafe.number)
    assert _anvil_pid(port) == anvil
    await site.chain.close()


@pytest.mark.asyncio
async def test_persistent_chain__everything_killed__keeps_all_that_was_final(
    folder: Path, port: int, artifacts: dict[str, Artifact], database: Database
) -> None:
    site = await _site(folder, port, artifacts)
    office = Office(site, database)
    done = await office.ask_anchor(0, 3)
    await office.outbox.step()
    await _until_final(site.chain, (await site.chain.latest()).number)
    await office.step_until(done, OutboxState.FINAL)
    supervisor = _supervisor_pid(folder)
    os.kill(supervisor, signal.SIGSTOP)  # no dump of what comes now
    lost = await office.ask_anchor(3, 8)
    mined = await office.step_until(lost, OutboxState.MINED)
    anvil = _anvil_pid(port)
    os.kill(anvil, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    _wait_gone(supervisor)
    with pytest.raises(ChainUnavailable):
        await office.outbox.step()
    start_persistent(PROJECT_ROOT, folder, port)
    await site.deployment.check(site.chain)
    assert await site.event_log.head_size() == 3
    await office.outbox.step()
    await _until_final(site.chain, (await site.chain.latest()).number)
    again = await office.step_until(lost, OutboxState.FINAL)
    assert again.transaction_hash == mined.transaction_hash
    assert await site.event_log.head_size() == 8
    assert await office.states(done) == [OutboxState.FINAL]
    await site.chain.close()


@pytest.mark.asyncio
async def test_persistent_chain__only_anvil_killed__supervisor_ends_and_can_be_started(
    folder: Path, port: int
) -> None:
    url = start_persistent(PROJECT_ROOT, folder, port)
    supervisor = _supervisor_pid(folder)
    os.kill(_anvil_pid(port), signal.SIGKILL)
    _wait_gone(supervisor)
    assert start_persistent(PROJECT_ROOT, folder, port) == url
    assert _supervisor_pid(folder) != supervisor


@pytest.mark.asyncio
async def test_supervisor__dump_without_a_final_block__is_refused(
    folder: Path, port: int, artifacts: dict[str, Artifact]
) -> None:
    site = await _site(folder, port, artifacts)
    await site.chain.close()
    stop_persistent(folder)
    (folder / "state.json").unlink()
    with pytest.raises(ChainUnavailable):
        start_persistent(PROJECT_ROOT, folder, port)
    assert "lacks a block that was final" in (folder / "node.log").read_text()
    with pytest.raises(ForeignChain):
        Supervisor(PROJECT_ROOT, folder, port).run()


@pytest.mark.asyncio
async def test_supervisor__port_taken_by_another_node__is_refused(folder: Path) -> None:
    other = start_anvil(PROJECT_ROOT, folder.parent / "other.log")
    with pytest.raises(Conflict):
        Supervisor(PROJECT_ROOT, folder, int(other.url.rsplit(":")[-1])).run()
    other.stop()


@pytest.mark.asyncio
async def test_dumped_finality__marker_of_another_chain__says_reorged(
    folder: Path, port: int
) -> None:
    url = start_persistent(PROJECT_ROOT, folder, port)
    chain = Chain(url, dumped_finality(folder))
    await _until_final(chain, 0)
    marker = read_marker(folder / "marker.json")
    assert marker is not None
    other = folder.parent / "marker.json"
    other.write_text(DumpMarker(0, b"\x11" * 32).to_text())
    lying = Chain(url, dumped_finality(folder.parent))
    with pytest.raises(Reorged):
        await lying.final()
    await chain.close()
    await lying.close()


def test_hardhat__port_in_use__is_refused(tmp_path: Path) -> None:
    node = start_hardhat(PROJECT_ROOT, tmp_path / "one.log")
    port = int(node.url.rsplit(":")[-1])
    with pytest.raises(Conflict):
        start_hardhat(PROJECT_ROOT, tmp_path / "two.log", port=port)
    node.stop()
    assert node.process.returncode is not None


def test_anvil__cannot_start__says_what_to_read(tmp_path: Path) -> None:
    with pytest.raises(ChainUnavailable) as caught:
        start_anvil(PROJECT_ROOT, tmp_path / "anvil.log", arguments=["--no-such-option"])
    assert str(tmp_path / "anvil.log") in (caught.value.action or "")

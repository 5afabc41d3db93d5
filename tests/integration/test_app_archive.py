"""The whole service with an archive: it archives, drops, restarts, and is restored elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adtally.api.application import create_application
from adtally.app import running_service
from adtally.config import Settings
from adtally.intake.clock import VirtualClock
from adtally.intake.keys import OperatorKeys
from adtally.intake.sequencer import Sequencer
from adtally.log.archive import Archive
from adtally.log.restore import restore
from adtally.log.store import LogStore
from adtally.settlement.machine import LogMachine
from support.application import DEPLOYMENT
from support.archived_log import segments
from support.world import ESCROW_DOMAIN, IDENTITY, NOON_MS, RECEIPT_KEY, World

CLOSED_PORT = "http://127.0.0.1:9"


async def make_log(data_dir: Path, clock_file: Path) -> None:
    """A log in small segments."""
    store = LogStore.open(data_dir / "log", segment_bytes=8192)
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN)
    sequencer = Sequencer(store, machine, VirtualClock(clock_file, NOON_MS), RECEIPT_KEY)
    sequencer.start()
    world = World()
    await sequencer.enter_facts(lambda _: world.facts())
    for _ in range(8):
        await sequencer.submit(world.batch([world.event() for _ in range(40)]))
    await sequencer.stop()


def make_settings(data_dir: Path, archive: Path | None, keep: int | None) -> Settings:
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "keys").exists():
        OperatorKeys.load_or_create(data_dir / "keys")
        (data_dir / "keys" / "receipt.key").write_text(RECEIPT_KEY.hex())
        DEPLOYMENT.save(data_dir / "deployment.json")
    return Settings(
        data_dir=data_dir,
        rpc_url=CLOSED_PORT,
        clock="virtual",
        job_tick_seconds=0.05,
        virtual_start_ms=NOON_MS,
        archive_url=None if archive is None else f"file://{archive}",
        keep_local_segments=keep,
        engine="plain",
    )


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running_service(settings) as service:
        app = create_application(service, with_virtual_clock=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


async def archive_state(client: httpx.AsyncClient, *, local: int | None = None) -> dict[str, Any]:
    """The status once everything that is sealed is archived."""
    while True:
        status = (await client.get("/v1/status")).json()
        archive: dict[str, Any] = status["archive"]
        assert archive["problem"] is None
        assert archive["behind_entries"] == status["tree_size"] - archive["archived_entries"]
        is_archived = archive["archived_segments"] and not archive["sealed_behind_entries"]
        if is_archived and local in (None, archive["local_segments"]):
            return archive
        await asyncio.sleep(0.05)


async def all_entries(client: httpx.AsyncClient) -> bytes:
    return (await client.get("/v1/log/entries", params={"start": 0})).content


@pytest.mark.asyncio
async def test_service__archive_drop_restart_restore__same_public_log(tmp_path: Path) -> None:
    data_dir, target = tmp_path / "var", tmp_path / "archive"
    await make_log(data_dir, tmp_path / "clock")
    async with client_of(make_settings(data_dir, None, None)) as client:
        assert (await client.get("/v1/status")).json()["archive"] is None
        entries = await all_entries(client)
        proof = (await client.get("/v1/log/proofs/inclusion", params={"index": 5})).json()
    before = segments(data_dir / "log")
    async with client_of(make_settings(data_dir, target, None)) as client:
        await asyncio.wait_for(archive_state(client), 30)
        assert segments(data_dir / "log") == before
    async with client_of(make_settings(data_dir, target, 1)) as client:
        state = await asyncio.wait_for(archive_state(client, local=1), 30)
        assert len(segments(data_dir / "log")) == 2
        assert await all_entries(client) == entries
    async with client_of(make_settings(data_dir, target, 1)) as client:
        assert await all_entries(client) == entries
        params = {"index": 5, "tree_size": proof["tree_size"]}
        assert (await client.get("/v1/log/proofs/inclusion", params=params)).json() == proof
    restored = restore(Archive.open(f"file://{target}"), tmp_path / "new" / "log")
    assert restored.tree_size == state["archived_entries"]
    async with client_of(make_settings(tmp_path / "new", target, None)) as client:
        assert entries.startswith(await all_entries(client))
        state = await asyncio.wait_for(archive_state(client), 30)
        assert state["behind_entries"] == 0

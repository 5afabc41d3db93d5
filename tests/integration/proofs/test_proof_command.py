"""``adtally proof`` against the real application over HTTP, and what it refuses to keep."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from rich.console import Console
from scripts.chainless.application import make_service

from adtally.api.application import create_application
from adtally.chain.local_node import LocalNode
from adtally.commands.proof import ProofOptions, fetch_proof
from adtally.commands.verify_bundle import Against, check_bundle
from adtally.config import Settings
from adtally.errors import NotFound, VerificationFailed
from adtally.events.record import AdEvent, event_id_text
from adtally.evidence.desk import ProofDesk, Wish
from support.jobs_world import ALICE
from support.proof_scene import ProofScene

pytestmark = pytest.mark.chain


@asynccontextmanager
async def served(
    scene: ProofScene, folder: Path, desk: ProofDesk | None = None
) -> AsyncIterator[str]:
    """The application over the scene's log, books and chain; gives its address."""
    context = scene.world.context
    settings = Settings(data_dir=folder / "http", clock="virtual")
    made = make_service(settings, context.clock, context.sequencer, context.database)
    service = replace(made, deployment=scene.world.deployment, proofs=desk or scene.desk)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_application(service, with_virtual_clock=True), lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()
        await made.hits.collector.stop()


def options(scene: ProofScene, folder: Path, service: str, event: str, rpc: str) -> ProofOptions:
    deployment = folder / "deployment.json"
    scene.world.deployment.save(deployment)
    return ProofOptions(event, ALICE, folder / "event.adtproof", service, rpc, deployment)


def alice_event(scene: ProofScene) -> bytes:
    store = scene.world.context.sequencer.store
    records = (store.entry(index) for index in range(store.size))
    return AdEvent.from_record(next(each for each in records if len(each) == 112)).id


@pytest.mark.asyncio
async def test_proof__event_of_a_running_service__kept_and_verifies(
    scene: ProofScene, tmp_path: Path, node: LocalNode
) -> None:
    event = event_id_text(alice_event(scene))
    async with served(scene, tmp_path) as service:
        chosen = options(scene, tmp_path, service, event, node.url)
        out = io.StringIO()
        assert await fetch_proof(chosen, Console(file=out, width=400))
        assert "written:" in out.getvalue()
        async with httpx.AsyncClient(base_url=f"{service}/v1/events/{ALICE}/{event}") as http:
            answer = await http.get("/proof")
            assert answer.headers["content-type"] == "application/vnd.adtally.proof"
            assert answer.content == chosen.output.read_bytes()
            lines = (await http.get("/explanation", params={"facts": True})).json()
            assert {"log", "rule", "payment"} <= {line["topic"] for line in lines}
        with pytest.raises(NotFound):
            await fetch_proof(replace(chosen, publisher=4), Console(file=io.StringIO()))
    against = Against(chosen.deployment, node.url)
    assert await check_bundle(chosen.output.read_bytes(), against, Console(file=io.StringIO()))


class LyingDesk(ProofDesk):
    """Answers every question with the proof of another event."""

    other: bytes

    async def bundle(self, wish: Wish) -> bytes:
        return self.other


@pytest.mark.asyncio
async def test_proof__service_sends_that_of_another_event__nothing_kept(
    scene: ProofScene, tmp_path: Path, node: LocalNode
) -> None:
    store = scene.world.context.sequencer.store
    records = [store.entry(i) for i in range(store.size) if len(store.entry(i)) == 112]
    liar = LyingDesk.__new__(LyingDesk)
    liar.other = await scene.desk.bundle(Wish(ALICE, AdEvent.from_record(records[1]).id))
    async with served(scene, tmp_path, liar) as service:
        event = event_id_text(alice_event(scene))
        chosen = options(scene, tmp_path, service, event, node.url)
        with pytest.raises(VerificationFailed, match="another event"):
            await fetch_proof(chosen, Console(file=io.StringIO()))
    assert not chosen.output.exists()

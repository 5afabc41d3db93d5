"""Real nodes of both kinds, and a service on one of them that has settled and paid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from adtally.chain.local_node import LocalNode, start_anvil, start_hardhat
from support.jobs_world import PROJECT_ROOT
from support.proof_scene import ProofScene


@pytest.fixture(scope="module", params=["hardhat", "anvil"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalNode]:
    start = start_hardhat if request.param == "hardhat" else start_anvil
    running = start(PROJECT_ROOT, tmp_path_factory.mktemp("node") / "node.log")
    yield running
    running.kill()


@pytest_asyncio.fixture
async def scene(node: LocalNode, tmp_path: Path) -> AsyncIterator[ProofScene]:
    made = await ProofScene.start(node.url, tmp_path)
    yield made
    await made.stop()

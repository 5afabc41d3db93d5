"""One real node for all tests of the jobs; every test deploys its own contracts on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adtally.chain.local_node import start_hardhat
from support.jobs_world import PROJECT_ROOT, JobsWorld

MakeWorld = Callable[..., Awaitable[JobsWorld]]


@pytest.fixture(scope="session")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    node = start_hardhat(PROJECT_ROOT, tmp_path_factory.mktemp("node") / "node.log")
    try:
        yield node.url
    finally:
        node.stop()


@pytest_asyncio.fixture
async def make_world(node_url: str, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Makes worlds, at most one a test."""
    worlds: list[JobsWorld] = []

    async def make(**options: Any) -> JobsWorld:
        world = await JobsWorld.start(node_url, tmp_path, **options)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.stop()
